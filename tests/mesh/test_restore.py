# SPDX-License-Identifier: MPL-2.0
"""Backup, scrub and restore of a broker's store, as commands, with whole daemons."""

import os
import shutil
import subprocess
import threading
import unittest

from kapula_client import new_producer
from lone import Broker, created
from mesh import BIN, Mesh, wait_for


def command(broker, *words):
    """One run of the broker's program beside the daemon."""
    return subprocess.run([os.path.join(BIN, "kapula-broker"), "-c", broker.path("broker.conf"),
                           *words], capture_output=True, text=True, timeout=120, check=False)


class Lone(unittest.TestCase):
    """A broker on its own, and a member that publishes."""

    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.stop)
        self.source, self.sent = f"municipality/{new_producer()}", 0

    def publish(self, count):
        """So many more events of one producer; the position of the last."""
        client = self.broker.client("municipality")
        try:
            while count > 0:
                first, some = self.sent + 1, min(count, 50)
                events = [created(self.source, n, f"r-{self.source}-{n}")
                          for n in range(first, first + some)]
                receipt = client.publish(self.source, first, events)
                self.assertEqual(receipt["status"], "ok")
                self.sent, count = self.sent + some, count - some
            return receipt["verdicts"][-1][3]
        finally:
            client.close()

    def says(self, done, code=0):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)

    def stop(self):
        self.broker.process.terminate()
        self.assertEqual(self.broker.process.wait(60), 0)


class BackupTest(Lone):
    def test_a_backup_under_load_is_whole_and_says_where_it_stands(self):
        self.publish(200)
        ended = threading.Event()

        def load():
            while not ended.is_set():
                self.publish(50)
        thread = threading.Thread(target=load)
        thread.start()
        try:
            for n in range(3):
                before = self.sent
                said = self.says(command(self.broker, "--backup", self.broker.path(f"copy{n}")))
                self.assertGreaterEqual(int(said["position"]), before)
                self.assertEqual(int(said["bytes"]),
                                 os.stat(self.broker.path(f"copy{n}/data.mdb")).st_size)
                self.assertRegex(said["epoch"], r"^[0-9a-f]{32}$")
                self.assertRegex(said["time"], r"^20\d\d-.*Z$")
        finally:
            ended.set()
            thread.join(120)
        again = command(self.broker, "--backup", self.broker.path("copy0"))
        self.assertEqual(again.returncode, 1)
        self.assertIn("it is there already", again.stderr)
        nowhere = command(self.broker, "--backup", self.broker.path("no/such"))
        self.assertEqual(nowhere.returncode, 1)
        self.assertIn("the folder it is to lie in", nowhere.stderr)

    def test_a_store_that_is_not_there_is_said(self):
        self.publish(1)
        self.stop()
        shutil.rmtree(self.broker.path("store"))
        done = command(self.broker, "--backup", self.broker.path("copy"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("not found", done.stderr)


class NodeBackupTest(unittest.TestCase):
    def test_the_store_of_a_running_node_is_copied(self):
        with Mesh() as mesh:
            words = [os.path.join(BIN, "kapula-partner"), "-c",
                     mesh.path("daemons", "partner.conf"), "--backup", mesh.path("copy")]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"bytes {os.stat(mesh.path('copy/data.mdb')).st_size}\n", done.stdout)
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no backup in", done.stderr)


class ScrubTest(Lone):
    def flip(self, text):
        """One bit of the store's file where the text stands."""
        path = self.broker.path("store/data.mdb")
        with open(path, "r+b") as file:
            at = file.read().rindex(text)
            file.seek(at)
            file.write(bytes([text[0] ^ 1]))

    def test_a_whole_store_is_said_to_be_whole_beside_its_broker(self):
        position = self.publish(120)
        done = command(self.broker, "--scrub")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"whole: every record, leaf and the chain up to position {position}",
                      done.stdout)

    def test_the_running_broker_looks_by_itself(self):
        self.publish(1)
        self.stop()
        with open(self.broker.path("broker.conf"), "a", encoding="utf-8") as file:
            file.write('scrub = "1ms";\n')
        self.broker.start()
        position = self.publish(120)
        operator = self.broker.client("operator")
        try:
            wait_for("a whole pass", lambda: operator.query("health")["scrubbed_to"] == position)
            self.assertEqual(operator.query("health")["store_damages"], 0)
        finally:
            operator.close()

    def test_a_damaged_log_is_named_with_its_position(self):
        self.publish(120)
        self.stop()
        self.flip(b"consent_how")
        done = command(self.broker, "--scrub")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"damaged: log, positions \d+ to \d+: cannot be read")
        self.assertRegex(done.stdout, r"damaged: log, from position \d+: the record is damaged")
        self.assertIn("restore the newest backup", done.stdout)
        done = command(self.broker, "--backup", self.broker.path("copy"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("the store is damaged", done.stderr)
        self.assertFalse(os.path.exists(self.broker.path("copy")))


if __name__ == "__main__":
    unittest.main()
