# SPDX-License-Identifier: MPL-2.0
"""Bits that flip on the disk: an error or an end, never another value."""

import shutil
import tempfile
import unittest

import rig
from test_crash import record_broker, record_node

FLIPS = 10000 if rig.FULL else 1000


class Rot(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kapula-rot-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def test_a_flipped_bit_of_the_ledger_is_never_shown(self):
        seed = rig.seed_of("rot", 4)
        _, figures, text = rig.look("broker", "rot", record_broker(self.folder, seed, 20), seed,
                                    FLIPS)
        self.assertEqual((figures["wrong"], figures["absent"]), (0, 0), text)
        self.assertGreater(figures["noticed"] + figures["died"], 0)

    def test_a_flipped_bit_of_a_node_is_never_shown(self):
        seed = rig.seed_of("rot", 5)
        _, figures, text = rig.look("node", "rot", record_node(self.folder, seed, 20), seed, FLIPS)
        self.assertEqual(figures["wrong"], 0, text)
        self.assertGreater(figures["noticed"] + figures["died"], 0)


if __name__ == "__main__":
    unittest.main()
