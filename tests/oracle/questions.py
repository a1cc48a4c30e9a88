# SPDX-License-Identifier: MPL-2.0
"""What is asked after a history, and the comparison of the two answers.

A question goes to the broker as it is; the oracle answers the same map. Numbers must be equal;
durations of more than 1,000 referrals (of cases: cases) may be 1 % off, and say so.
"""

import json

import histories
import oracle

ORDINARY = ["mikkeli", "pieksamaki", "tampereen-kaupunkiseutu"]
EDGE_COUNTS = ["referrals", "accepted", "declined", "redirected", "completed", "withdrawn",
               "expired", "pending", "undelivered", "backed_out", "implied", "late",
               "guidance", "leads", "reported", "internal"]
SKETCH = 0.01
FEW = 5
NOW = {"open", "waiting", "what", "survival_median_ms"}    # how things stand now


class Checks:
    """Counts what was compared, and says what differs."""

    def __init__(self, veiled=False):
        self.count, self.near_count, self.differences = 0, 0, []
        self.veiled = veiled   # lists and few durations may be kept back (hide.h)

    def differ(self, where, mine, theirs):
        self.differences.append(f"{where}: the oracle says {mine}, the broker {theirs}")

    def equal(self, where, mine, theirs):
        self.count += 1
        if mine != theirs:
            self.differ(where, mine, theirs)

    def near(self, where, mine, theirs):
        self.count += 1
        if mine is None and theirs is None:
            return
        if mine is None or theirs is None or abs(mine - theirs) > SKETCH * mine + 1:
            self.differ(where, mine, theirs)

    def time(self, where, mine, theirs):
        """Durations: exactly, or within the sketch's error."""
        theirs = theirs or {"n": 0}
        self.equal(where + ".n", mine["n"], theirs["n"])
        if self.veiled and mine["n"] < FEW and theirs.get("p50_ms") is None:
            return
        self.near_count += not mine["exact"] and mine["n"] > 0
        for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms"):
            if name not in theirs:
                continue
            check = self.equal if mine["exact"] else self.near
            check(f"{where}.{name}", whole(mine[name]), theirs[name])
        if mine["n"] > 0:
            self.equal(where + ".exact", mine["exact"], theirs.get("exact", mine["exact"]))

    def value(self, where, mine, theirs):
        """Whatever a metric holds; names of members beside their ids are passed over."""
        if isinstance(mine, dict) and "p50_ms" in mine:
            self.time(where, mine, theirs)
        elif isinstance(mine, oracle.Near):
            self.near(where, mine, theirs)
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            for name in sorted(set(mine) | {key for key in theirs if not key.endswith("_name")}):
                if self.veiled and is_little(name, mine.get(name), theirs.get(name)):
                    continue
                self.value(f"{where}.{name}", mine.get(name), theirs.get(name))
        elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
            for i, (one, other) in enumerate(zip(mine, theirs)):
                self.value(f"{where}[{i}]", one, other)
        else:
            self.equal(where, mine, theirs)


def is_little(name, mine, theirs):
    """Kept back: a list, how things stand now, or a count that is small beside the transfers."""
    now = isinstance(mine, list) or name in NOW
    return theirs is None and (now or isinstance(mine, int) and mine < FEW)


def whole(mean):
    return mean if mean is None else int(mean + 0.5)


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


def month_window(rng, steps):
    """Whole months, a whole year, or all of the time."""
    times = [step[1] for step in steps if step[0] == "batch"]
    day = histories.day_text(rng.choice(times))
    return rng.choice([{}, {"month": day[:7]}, {"year": day[:4]},
                       {"from": day[:7] + "-01"}, {"to": f"{int(day[:4]) + 1}-01-01"}])


MEMBERS = ["kunta", "ely", "te", "agency", "campus", "finnvera", "gone"]
RATES = ["edge", "member", "region", "service", "segment", "warm", "origin", "month"]
SHAPE = ["member", "region", "month"]
# What each metric may be broken down by.
BY = {"matrix": RATES, "acceptance": RATES, "time-to-accept": RATES, "time-to-contact": RATES,
      "time-to-complete": RATES, "loop-closed": RATES, "targets": RATES, "served": SHAPE,
      "ping-pong": SHAPE + ["edge"], "chain-length": SHAPE, "working-together": ["edge"],
      "data-quality": ["member", "edge", "region", "month"], "orphans": ["member", "region"],
      "meetings": ["member", "month"], "follow-up": [], "reciprocity": [], "silent-edges": [],
      "concentration": []}
# Those that are compared as organisations are today.
NOW_VIEW = set(BY) - {"orphans", "silent-edges", "meetings", "follow-up"}
CASES = {"time-to-complete", "loop-closed", "served", "ping-pong", "chain-length",
         "working-together"}
WHERE = [("service", "financing"), ("segment", "founder"), ("warm", "true"), ("origin", "none")]


def scopes(steps, rng):
    """One of each kind of thing that can be asked of, and each region."""
    region = rng.choice(ORDINARY[:2])
    one, other = rng.sample(["kunta", "ely", "te", "firma", "gone", "finnvera"], 2)
    organisation = histories.business_id(rng.choice([1000001, 1000004, 1000005]))
    return [{"region": name} for name in regions_of(steps)] + [
        {"area": rng.choice(["etela-savo", "pirkanmaa"])}, {"nation": True},
        {"organisation": organisation}, {"member": rng.choice(MEMBERS)},
        {"region": region, "member": rng.choice(MEMBERS)},
        {"region": region, "edge": [one, other]}]


def allowed_by(metric, scope):
    """Breakdowns that such a scope has."""
    by = BY[metric]
    if "region" in scope or "organisation" in scope:
        by = [name for name in by if name != "region"]
    if "edge" in scope:
        by = [name for name in by if name not in ("edge", "member")]
    if "member" in scope:
        by = [name for name in by if name != "member"]
    return by


def question(metric, scope, steps, rng):
    """One that the broker answers: what is refused has tests of its own."""
    kind = rng.choice(["cohort", "cohort", "flow", "stock"]) if metric == "matrix" else None
    ask = {"query": "metrics", "metric": metric, **scope}
    by = allowed_by(metric, scope)
    if by and rng.random() < 0.6:
        ask["by"] = rng.choice(by)
    if kind is not None:
        ask["kind"] = kind
    wheres = [(name, value) for name, value in WHERE if name in BY[metric]]
    two = ask.get("by") in oracle.BREAKDOWNS
    if wheres and not two and rng.random() < 0.15:
        ask["where"] = dict([rng.choice(wheres)])
    if metric != "orphans":
        periods = kind in ("flow", "stock")
        ask.update(month_window(rng, steps) if periods or rng.random() < 0.5 else
                   window(rng, steps))
        any_zone = not periods and metric not in CASES | {"data-quality", "meetings", "follow-up"}
        if any_zone and rng.random() < 0.2:
            ask["zone"] = rng.choice(["UTC", "Europe/Helsinki"])
    if metric in ("time-to-accept", "time-to-contact", "time-to-complete", "ping-pong"):
        ask["time"] = rng.choice(["working", "elapsed"])
    if metric in NOW_VIEW and rng.random() < 0.25 and scope.get("region") != histories.ARCHIVE:
        ask["view"] = "now"
    if metric == "time-to-accept":
        ask["clock"] = rng.choice(["recipient", "customer"])
    return ask


def write(steps, rng):
    """The questions after a history."""
    asks = []
    for region in regions_of(steps):
        asks.append({"query": "edges", "region": region, **window(rng, steps),
                     "clock": rng.choice(["recipient", "customer"]),
                     "time": rng.choice(["working", "elapsed"])})
    for metric in oracle.METRICS:
        asks += [question(metric, scope, steps, rng) for scope in scopes(steps, rng)
                 if metric not in ("meetings", "follow-up") or set(scope) == {"region"} and
                 scope["region"] in ORDINARY]
    return asks


def compare(ask, answer, figures):
    checks = Checks(veiled="area" in ask or "nation" in ask)
    if "answer" not in answer:
        checks.differences.append(f"refused: {answer['refusal']}, {answer['why']}")
    elif ask["query"] == "edges":
        compare_edges(checks, ask, answer["answer"], figures)
    else:
        compare_metric(checks, ask, answer["answer"], figures)
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


def compare_metric(checks, ask, answer, figures):
    name, figures = ask["metric"], figures.view(ask)
    compare_values(checks, name, figures.answer(ask), answer)
    checks.equal(name + ".as_of_seq", figures.log.seq, answer["as_of_seq"])
    rows = {key_text(row["key"]): row for row in answer["rows"]}
    for key_of, row in rows.items():
        if checks.veiled and row.get("hidden"):
            continue
        compare_values(checks, f"{name} {key_of}", figures.row(ask, row["key"]), row)
    if "by" in ask:
        for key in figures.keys(ask):
            if key_text(key) not in rows and tells(figures.row(ask, key), checks.veiled):
                checks.differ(f"{name} {key_text(key)}", "there is such a row", "there is none")


def key_text(key):
    """A row's name: the same whoever tells it."""
    return " ".join(f"{name}={value if isinstance(value, str) else str(value).lower()}"
                    for name, value in sorted(key.items()))


def tells(row, veiled):
    """Is there anything in the row?"""
    passed_over = {"den", "exact", "subcontracts", "together", "meetings"} | \
        (NOW if veiled else set())

    def any_number(value):
        if isinstance(value, dict):
            return any(any_number(v) for k, v in value.items() if k not in passed_over)
        return bool(value)
    return row["n"] > 0 or any_number(row["values"])


def compare_values(checks, where, mine, theirs):
    for name in ("n", "decided", "pending"):
        if name in mine:
            checks.equal(f"{where}.{name}", mine[name], theirs[name])
    mine, told = mine["values"], theirs["values"]
    if where.startswith(("meetings", "follow-up")):    # what stands beside these is passed over
        told = {name: told.get(name) for name in mine}
    if where.startswith("follow-up"):
        mine, told = in_order(mine), in_order(told)
    checks.value(where, mine, told)


def in_order(values):
    """Lists by what stands in them: codes have an order of their own."""
    return {name: sorted(value, key=lambda row: json.dumps(row, sort_keys=True))
            if isinstance(value, list) else value for name, value in values.items()}
