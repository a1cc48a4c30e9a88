# SPDX-License-Identifier: MPL-2.0
"""The n-th write or sync of a store fails, or the disk is full (guarantee G8).

A daemon may refuse or end; what it promised must be there afterwards, and the store must open
and serve again."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

import rig
from kapula_client import new_producer
from lone import Broker, created
from rig import Door, Mesh, wait_for

TIMES = tuple(range(1, 40)) if rig.FULL else (2, 8, 13)
EIO, ENOSPC = 5, 28
WAYS = [("sync", EIO), ("write", EIO), ("write", ENOSPC), ("write", "short")]


class Sender:
    """An outbox of events, final bytes kept; what it was promised."""

    def __init__(self):
        self.source, self.first, self.events, self.promised = \
            f"municipality/{new_producer()}", 1, {}, {}

    def event(self, sequence):
        return self.events.setdefault(sequence, created(self.source, sequence,
                                                        f"{self.source}/{sequence}"))

    def publish(self, broker, requests=6, seconds=30):
        """Until so many requests were answered ok: "ok"; another status; "ended": the broker did."""
        client, deadline = broker.client("municipality"), time.monotonic() + seconds
        try:
            while requests and time.monotonic() < deadline:
                events = [self.event(self.first + i) for i in range(5)]
                try:
                    receipt = client.publish(self.source, self.first, events, seconds=1)
                except TimeoutError:
                    if broker.process.poll() is not None:
                        return "ended"
                    continue
                if receipt["status"] != "ok":
                    return receipt["status"]
                self.keep(receipt)
                requests -= 1
            return "silent" if requests else "ok"
        finally:
            client.close()

    def keep(self, receipt):
        for i, (_, _, _, log_seq, leaf) in enumerate(receipt["verdicts"]):
            said = self.promised.setdefault(self.first + i, (log_seq, leaf.hex()))
            assert said == (log_seq, leaf.hex()), "a second receipt differs from the first"
        self.first += len(receipt["verdicts"])

    def check(self, store, mesh_id):
        """Every promise is in the log."""
        if not self.promised:
            return
        head, rows = rig.log_of(store)
        rig.check_chain(head, rows, mesh_id)
        for sequence, (log_seq, leaf) in self.promised.items():
            row = rows[log_seq]
            assert (row["source"], row["sequence"], row["leaf"]) == (self.source, sequence, leaf)


class FailTheNth(unittest.TestCase):
    def one_broker(self, what, how, times):
        """Whether the fault came, and what the daemon did then."""
        sender, broker = Sender(), Broker(rig.preload(KAP_FAIL=f"{what}:{times}:{how}"))
        try:
            outcome = sender.publish(broker)
            if outcome == "ended":
                self.assertGreater(broker.process.returncode, 0, "it ends by itself, with a code")
                sender.check(broker.path("store"), broker.mesh)
            else:
                self.assertEqual(outcome, "ok")
                broker.kill()
            with open(broker.path("log"), encoding="utf-8") as file:
                injected = "injected" in file.read()
            broker.start()
            sender.first = 1  # all of it again: the same receipts for what was promised
            self.assertEqual(sender.publish(broker), "ok")
            broker.process.terminate()
            broker.process.wait(30)
            sender.check(broker.path("store"), broker.mesh)
            return injected, outcome
        finally:
            broker.stop()

    def test_a_broker_whose_disk_fails_promises_nothing_false(self):
        outcomes = {}
        for what, how in WAYS:
            for times in TIMES:
                with self.subTest(what=what, how=how, times=times):
                    outcome = self.one_broker(what, how, times)
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
        print(f"fail broker: (injected, outcome): {outcomes}", file=rig.sys.stderr)
        self.assertGreater(outcomes.get((True, "ended"), 0), 0)

    def test_a_node_whose_disk_fails_promises_nothing_false(self):
        outcomes = {}
        with Mesh() as mesh:
            promised = {}
            for what, how in WAYS:
                for times in TIMES if rig.FULL else (3, 40):
                    with self.subTest(what=what, how=how, times=times):
                        ended = self.one_node(mesh, what, how, times, promised)
                        outcomes[ended] = outcomes.get(ended, 0) + 1
            wait_for("an empty outbox", lambda: rig.idle(mesh, "municipality"))
            door = Door(mesh, "municipality")
            for act, subject in promised.items():
                fate = door.local("fate", act=act)
                self.assertEqual((fate["fate"], fate["subject"]), ("committed", subject))
            door.close()
            rig.audit(mesh)
        print(f"fail node: {len(promised)} acts kept; ended: {outcomes}", file=rig.sys.stderr)
        self.assertGreater(outcomes.get(True, 0), 0)

    def one_node(self, mesh, what, how, times, promised):
        """Whether the daemon ended of it."""
        pid = mesh.pid("municipality")
        os.kill(pid, 9)
        wait_for("its end", lambda: not rig.alive(pid))
        env = dict(os.environ, **rig.preload(KAP_FAIL=f"{what}:{times}:{how}"))
        with open(mesh.path("logs", "municipality.log"), "ab") as log:
            process = subprocess.Popen([os.path.join(rig.BIN, "kapula-municipality"), "-c",
                                        mesh.path("daemons", "municipality.conf")],
                                       stderr=log, stdout=log, env=env)
        door = Door(mesh, "municipality")
        try:
            for n in range(6):
                answer = rig.refer(door, f"{what}/{how}/{times}/{n}", "finnvera", 3)
                if answer.get("accepted"):
                    promised[answer["act"]] = answer["subject"]
        except TimeoutError:
            pass
        ended = process.poll()
        if ended is None:
            process.kill()
        process.wait(30)
        door.close()
        self.assertTrue(ended is None or ended > 0, f"ended with {ended}")
        mesh.start("municipality")
        return ended is not None


class FullDisk(unittest.TestCase):
    """A file system of 24 MiB that fills up and is emptied again."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kapula-full-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", self.folder],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"a small file system may not be mounted here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.folder], check=False)

    def test_a_full_disk_is_answered_and_service_resumes(self):
        broker = Broker()
        sender, store = Sender(), f"{self.folder}/store"
        try:
            broker.kill()
            with open(broker.path("broker.conf"), encoding="utf-8") as file:
                text = file.read().replace('store = "store"', f'store = "{store}"')
            with open(broker.path("broker.conf"), "w", encoding="utf-8") as file:
                file.write(text + 'reserve = "4MiB";\n')
            broker.start()
            self.assertEqual(sender.publish(broker), "ok")
            filler, disk = os.path.join(self.folder, "filler"), os.statvfs(self.folder)
            with open(filler, "wb") as file:
                file.write(bytes(disk.f_bavail * disk.f_frsize - (1 << 20)))
            wait_for("the answer `disk`", lambda: sender.publish(broker, 1) == "disk")
            os.unlink(filler)
            wait_for("service again", lambda: sender.publish(broker, 1) == "ok")
            broker.process.terminate()
            broker.process.wait(30)
            sender.check(store, broker.mesh)
        finally:
            broker.stop()


if __name__ == "__main__":
    unittest.main()
