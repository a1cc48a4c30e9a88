# SPDX-License-Identifier: MPL-2.0
"""Bugs put in on purpose (common/seeded.h): each must be found, and nothing without them."""

import os
import subprocess
import sys
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
SEEDED = os.environ.get("KAPULA_SEEDED_BIN", "")
BUGS = [("sync_dropped", "disk", "no sync of the store ever happens"),
        ("receipt_before_sync", "disk", "the receipt goes out, then the commit is synced"),
        ("commit_dropped", "broker", "a receipt for what was never committed"),
        ("commit_dropped", "node", "an act is accepted and never committed"),
        ("mark_not_written", "broker", "a producer's mark stays behind in the store"),
        ("resend_gets_a_new_place", "broker", "a duplicate is told another log position"),
        ("double_count", "broker", "a referral's last contribution is not subtracted"),
        ("stream_entry_skipped", "broker", "an event is left out of its streams"),
        ("chain_skips", "broker", "the chain leaves out leaves"),
        ("outbox_row_lost", "node", "an act's frames never reach the outbox"),
        ("outbox_not_resent", "node", "what waits is not sent after a start")]


def find(way, bug):
    """Exit code and line of find.py on the seeded build."""
    env = dict(os.environ, KAPULA_BIN=SEEDED, KAP_SEEDED_BUG=bug)
    done = subprocess.run([sys.executable, "-B", os.path.join(FOLDER, "find.py"), way], env=env,
                          capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, (done.stdout.splitlines() or [done.stderr[-300:]])[-1]


@unittest.skipUnless(os.path.exists(os.path.join(SEEDED, "kapula-broker")),
                     "the build with seeded bugs is not there (cmake --preset seeded)")
class Seeded(unittest.TestCase):
    def test_every_seeded_bug_is_found(self):
        table = []
        for bug, way, what in BUGS:
            code, line = find(way, bug)
            table.append((bug, way, what, "found" if code == 1 else f"NOT FOUND ({code})", line))
        for bug, way, what, result, line in table:
            print(f"{bug:24} {way:7} {what:50} {result}: {line}", file=sys.stderr)
        self.assertEqual([row for row in table if row[3] != "found"], [])

    def test_without_a_bug_nothing_is_found(self):
        for way in ("disk", "broker", "node"):
            with self.subTest(way=way):
                code, line = find(way, "none")
                self.assertEqual(code, 0, line)


if __name__ == "__main__":
    unittest.main()
