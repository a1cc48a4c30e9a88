# SPDX-License-Identifier: MPL-2.0
"""The broker's figures against the oracle's, over random histories; and the golden example."""

import concurrent.futures
import os
import unittest

import duel
import histories
import oracle

HISTORIES = int(os.environ.get("KAPULA_ORACLE_HISTORIES") or
                (10_000 if os.environ.get("KAPULA_FULL") == "yes" else 200))
FIRST = int(os.environ.get("KAPULA_SEED") or 1)
WRONG = (RuntimeError, KeyError, TypeError, ValueError, AttributeError)


def outcome(seed):
    """(numbers compared, differences as text or None) of one history."""
    try:
        result = duel.of_seed(seed)
    except WRONG as error:
        return 0, f"seed {seed}: {error!r}\n  again: python3 tests/oracle/duel.py {seed}"
    return result.compared, duel.told(result) if result.differences else None


class Histories(unittest.TestCase):
    def test_the_broker_counts_what_the_oracle_counts(self):
        seeds = range(FIRST, FIRST + HISTORIES)
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(outcome, seeds, chunksize=4))
        failures = [text for _, text in outcomes if text is not None]
        self.assertEqual(failures, [], "\n".join(failures[:5]))
        self.assertGreater(sum(count for count, _ in outcomes), 1000 * HISTORIES)


    def test_sketches_are_near_where_a_scope_is_large(self):
        """Over a thousand transfers: counts exactly, durations within 1 %."""
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(duel.of_seed, (FIRST, FIRST + 1), (1500, 1500)))
        for result in results:
            self.assertEqual(result.differences, [], duel.told(result))
        self.assertGreater(sum(result.near for result in results), 5)


class Golden(unittest.TestCase):
    """Every number of the golden example, as the broker and as the oracle tell it."""

    A, B, C = histories.Golden.A, histories.Golden.B, histories.Golden.C

    @classmethod
    def setUpClass(cls):
        cls.steps = histories.Golden().write()

    def ask(self, **asked):
        """The answer, on which both have to agree."""
        ask = {"query": "metrics", "region": "mikkeli", **asked}
        lines = histories.lines(self.steps) + [histories.last_batch(self.steps), {"log": True},
                                               {"ask": ask, "as": histories.READER}]
        log, answer = duel.play(lines)
        figures = oracle.Figures(oracle.Log(log["log"], log["directories"]), lines[-3]["at"])
        checks = duel.questions.compare(ask, answer, figures)
        self.assertEqual(checks.differences, [])
        return answer["answer"]

    def rows(self, answer):
        return {tuple(row["key"]["edge"]): row for row in answer["rows"]}

    def test_the_matrix(self):
        rows = self.rows(self.ask(metric="matrix", by="edge"))
        a, b, c = self.A, self.B, self.C
        self.assertEqual({edge: row["values"]["transfers"] for edge, row in rows.items()},
                         {(a, b): 4, (b, c): 1, (b, a): 1, (a, c): 1, (c, a): 1, (c, b): 1})

    def test_acceptance(self):
        answer = self.ask(metric="acceptance", by="edge")
        self.assertEqual(answer["values"]["rate"], {"num": 5, "den": 9})
        self.assertEqual(self.rows(answer)[self.A, self.B]["values"]["rate"], {"num": 2, "den": 4})

    def test_reciprocity_over_all(self):
        values = self.ask(metric="reciprocity")["values"]
        self.assertEqual(values["rate_all"], {"num": 6, "den": 9})
        self.assertEqual(values["rate"], {"num": 4, "den": 8})

    def test_ping_pong(self):
        values = self.ask(metric="ping-pong")["values"]
        self.assertEqual((values["ping_pongs"], values["rate"]), (2, {"num": 1, "den": 5}))

    def test_subcontracting_and_working_together(self):
        a, b, c = self.A, self.B, self.C
        pairs = {(pair["from"], pair["to"]): pair
                 for pair in self.ask(metric="working-together")["values"]["pairs"]}
        self.assertEqual({pair: row["subcontracts"] for pair, row in pairs.items()
                          if row["subcontracts"]}, {(a, b): 1, (b, a): 1, (a, c): 1})
        self.assertEqual({pair: (row["together"]["num"], row["together"]["den"])
                          for pair, row in pairs.items()},
                         {(a, b): (3, 4), (b, a): (3, 4), (a, c): (2, 4), (c, a): (2, 3),
                          (b, c): (2, 4), (c, b): (2, 3)})

    def test_chains(self):
        values = self.ask(metric="chain-length")["values"]
        self.assertEqual((values["mean"], values["p50"], values["max"]), ({"sum": 9, "n": 5}, 2, 3))


if __name__ == "__main__":
    unittest.main()
