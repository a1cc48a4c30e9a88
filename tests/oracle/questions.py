# SPDX-License-Identifier: MPL-2.0
"""What is asked after a history, and the comparison of the two answers.

A question goes to the broker as it is; the oracle answers the same map. Numbers must be equal;
durations of more than 1,000 referrals may be 1 % off, and say so.
"""

import histories
import oracle

ORDINARY = ["mikkeli", "pieksamaki", "tampereen-kaupunkiseutu"]
EDGE_COUNTS = ["referrals", "accepted", "declined", "redirected", "completed", "withdrawn",
               "expired", "pending", "undelivered", "backed_out", "implied", "late",
               "guidance", "leads", "reported", "internal"]
SKETCH = 0.01


class Checks:
    def __init__(self):
        self.count, self.differences = 0, []

    def equal(self, where, mine, theirs):
        self.count += 1
        if mine != theirs:
            self.differences.append(f"{where}: the oracle says {mine}, the broker {theirs}")

    def time(self, where, mine, theirs):
        """Durations: exactly, or within the sketch's error."""
        theirs = theirs or {}
        self.equal(where + ".n", mine["n"], theirs.get("n", 0))
        for name in ("p50_ms", "p90_ms", "p99_ms"):
            a, b = mine[name], theirs.get(name)
            if mine["exact"]:
                self.equal(f"{where}.{name}", a, b)
            else:
                self.count += 1
                if b is None or abs(a - b) > SKETCH * a + 1:
                    self.differences.append(f"{where}.{name}: {a} and {b} are more than 1 % apart")


def regions_of(steps):
    archive = any(step[0] == "say" and step[1] == "op/import-1" for step in steps)
    return ORDINARY + ["bench"] + ([histories.ARCHIVE] if archive else [])


def window(rng, steps):
    """Nothing, a month, a year, or some days of the time in which things happened."""
    times = [step[1] for step in steps if step[0] == "batch"]
    day = histories.day_text(rng.choice(times))
    if rng.random() < 0.3:
        return {}
    other = histories.day_text(rng.choice(times) + histories.DAY)
    return {"from": min(day, other), "to": max(day, other)} if day != other else {"from": day}


def write(steps, rng):
    """The questions after a history."""
    asks = []
    for region in regions_of(steps):
        for clock in ("recipient", "customer"):
            for time in ("working", "elapsed"):
                asks.append({"query": "edges", "region": region, "clock": clock, "time": time,
                             **window(rng, steps)})
    return asks


def compare(ask, answer, figures):
    checks = Checks()
    if "answer" not in answer:
        checks.differences.append(f"the broker refuses: {answer['refusal']}, {answer['why']}")
    elif ask["query"] == "edges":
        compare_edges(checks, ask, answer["answer"], figures)
    return checks


def compare_edges(checks, ask, answer, figures):
    mine = oracle.Question({**ask, "metric": "matrix"}, figures)
    edges = {(f.sender, f.recipient) for f in mine.cohort}
    theirs = {(edge["from"], edge["to"]): edge for edge in answer["edges"]}
    checks.equal("edges", sorted(edges), sorted(theirs))
    for edge in sorted(edges & set(theirs)):
        q = mine.narrowed(edge=list(edge))
        for name in EDGE_COUNTS:
            checks.equal(f"{edge}.{name}", q.sum(name), theirs[edge][name])
        clock = "accept_customer" if ask["clock"] == "customer" else "accept"
        checks.time(f"{edge}.time", q.time(clock), theirs[edge]["time_to_accept"])
