# SPDX-License-Identifier: MPL-2.0
"""One history, played by the real engine and counted by the oracle: where do they differ?

    python3 tests/oracle/duel.py SEED [--size N] [--shrink]

plays one history of the tests again; with --shrink it looks for the shortest one that still shows
the first difference and prints what happens in it. The player is $KAPULA_ORACLE_PLAYER, else the
one of the newest build.
"""

import argparse
import glob
import json
import os
import random
import subprocess
import sys
import tempfile

import histories
import oracle
import questions

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def player(seed):
    """The program that plays; every fifth history by the sanitized one, which is slow."""
    named = os.environ.get("KAPULA_ORACLE_PLAYER")
    if seed % 5 == 0:
        named = os.environ.get("KAPULA_SANITIZED_PLAYER", named)
    built = sorted(glob.glob(f"{ROOT}/build/*/tests/oracle_player"), key=os.path.getmtime)
    return named or (built[-1] if built else "oracle_player")


def play(lines, folder=None, bug=None, seed=1):
    """The player's answers to a list of lines."""
    environment = {**os.environ, **({"KAP_SEEDED_BUG": bug} if bug else {})}
    result = subprocess.run([player(seed)] + ([folder] if folder else []), text=True,
                            input="".join(json.dumps(line) + "\n" for line in lines),
                            capture_output=True, env=environment, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"the player ends with {result.returncode}: {result.stderr[:2000]}")
    return [json.loads(line) for line in result.stdout.splitlines()]


class Duel:
    """What a list of steps gives: questions at its end and, of a whole history, some on the way.
    `only`: the one question that is asked, at the end."""

    def __init__(self, steps, seed, on_disk=False, only=None, bug=None):
        self.steps, self.seed, self.bug = steps, seed, bug
        self.differences = []    # (question or None, sentence, steps played before it)
        self.compared = self.near = 0
        rng = random.Random(seed)
        stops = [(len(steps), [only])] if only is not None else self.stops(rng)
        with tempfile.TemporaryDirectory(prefix="kapula-oracle-") as folder:
            answers = iter(play(self.lines(stops), folder if on_disk else None, bug, seed))
        for count, asks in stops:
            self.check(count, asks, answers)

    def stops(self, rng):
        """After how many steps is what asked? Some questions halfway, all of them at the end."""
        batches = [i + 1 for i, step in enumerate(self.steps) if step[0] == "batch"]
        stops = [(len(self.steps), questions.write(self.steps, rng))]
        if batches:
            half = batches[len(batches) // 2]
            asks = questions.write(self.steps[:half], rng)
            stops.insert(0, (half, rng.sample(asks, len(asks) // 4)))
        return stops

    def now(self, count):
        """The clock when it is asked: a little, or some days, after the newest batch."""
        return histories.last_batch(self.steps[:count])["at"] + self.seed % 7 * 11 * histories.HOUR

    def lines(self, stops):
        whole, done, lines = histories.lines(self.steps), 0, []
        for count, asks in stops:
            upto = len(histories.lines(self.steps[:count]))
            lines += whole[done:upto] + [histories.last_batch(self.steps[:count])]
            lines += [{"log": True}, {"audit": True}]
            lines += [{"ask": ask, "as": histories.READER, "now": self.now(count)} for ask in asks]
            done = upto
        return lines

    def check(self, count, asks, answers):
        exported, audit = next(answers), next(answers)["audit"]
        self.log = exported["log"]
        log = oracle.Log(self.log, exported["directories"])
        figures = oracle.Figures(log, self.now(count))
        if audit["differences"]:
            self.differ(None, f"the recount: {audit['what'][:300]}", count)
        for sentence in log.wrong:
            self.differ(None, sentence, count)
        for ask in asks:
            checks = questions.compare(ask, next(answers), figures)
            self.compared += checks.count
            self.near += checks.near_count
            for sentence in checks.differences:
                self.differ(ask, sentence, count)

    def differ(self, ask, sentence, count):
        self.differences.append((ask, sentence, count))


def of_seed(seed, size=None, bug=None):
    """The duel of a seed: every fourth on a disk."""
    return Duel(histories.write(seed, size), seed, on_disk=seed % 4 == 3, bug=bug)


def shrunk(duel):
    """Leaves out steps as long as the first difference stays."""
    ask, sentence, count = duel.differences[0]
    steps = list(duel.steps[:count])

    def still(fewer):
        try:
            rest = Duel(fewer, duel.seed, only=ask, bug=duel.bug) if ask is not None else \
                Duel(fewer, duel.seed, bug=duel.bug)
        except (RuntimeError, KeyError, TypeError, ValueError):
            return False
        return any(other == ask and said.split(":")[0] == sentence.split(":")[0]
                   for other, said, _ in rest.differences)

    size = max(len(steps) // 2, 1)
    while size >= 1:
        at = 1                       # the first directory stays
        while at < len(steps):
            fewer = steps[:at] + steps[at + size:]
            if still(fewer):
                steps = fewer
            else:
                at += size
        size //= 2
    return Duel(steps, duel.seed, only=ask, bug=duel.bug) if ask is not None else \
        Duel(steps, duel.seed, bug=duel.bug)


def told(duel, most=3):
    """The differences as lines, and how to see them again."""
    lines = [f"seed {duel.seed}: {len(duel.differences)} differences"]
    for ask, sentence, _ in duel.differences[:most]:
        lines.append(f"  {sentence}\n    asked: {json.dumps(ask)}")
    lines.append(f"  again: python3 tests/oracle/duel.py {duel.seed} --shrink")
    return "\n".join(lines)


def story(duel):
    """What happened, one line an event."""
    for event in duel.log:
        data = {k: v for k, v in event.get("data", {}).items() if k not in ("basis", "service", "segment")}
        print(event["seq"], event["at"], event["verdict"], event["source"], event.get("type", ""),
              event.get("time", 0) - event["at"], json.dumps(data))


def main():
    parser = argparse.ArgumentParser(description="plays one history of the oracle's tests")
    parser.add_argument("seed", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--bug", help="a seeded bug, with a player of the preset `seeded`")
    parser.add_argument("--shrink", action="store_true")
    options = parser.parse_args()
    duel = of_seed(options.seed, options.size, options.bug)
    if duel.differences and options.shrink:
        duel = shrunk(duel)
        story(duel)
    print(told(duel, 20) if duel.differences else
          f"seed {options.seed}: {len(duel.log)} events, {duel.compared} numbers, no difference")
    return 1 if duel.differences else 0


if __name__ == "__main__":
    sys.exit(main())
