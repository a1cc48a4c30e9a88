# SPDX-License-Identifier: MPL-2.0
"""The broker's figures against the oracle's, over random histories; and the golden example."""

import concurrent.futures
import os
import unittest

import duel

HISTORIES = int(os.environ.get("KAPULA_ORACLE_HISTORIES") or
                (10_000 if os.environ.get("KAPULA_FULL") == "yes" else 200))
FIRST = int(os.environ.get("KAPULA_SEED") or 1)


def outcome(seed):
    """(numbers compared, differences as text or None) of one history."""
    try:
        result = duel.of_seed(seed)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        return 0, f"seed {seed}: {error!r}\n  again: python3 tests/oracle/duel.py {seed}"
    return result.compared, duel.told(result) if result.differences else None


class Histories(unittest.TestCase):
    def test_the_broker_counts_what_the_oracle_counts(self):
        seeds = range(FIRST, FIRST + HISTORIES)
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(outcome, seeds, chunksize=4))
        failures = [text for _, text in outcomes if text is not None]
        self.assertEqual(failures, [], "\n".join(failures[:5]))
        self.assertGreater(sum(count for count, _ in outcomes), 100 * HISTORIES)


if __name__ == "__main__":
    unittest.main()
