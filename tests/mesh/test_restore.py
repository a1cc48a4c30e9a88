# SPDX-License-Identifier: MPL-2.0
"""Backup, scrub and restore of a broker's store, as commands, with whole daemons."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
# pylint: disable=wrong-import-position
import rig  # noqa: E402
from kapula_client import NEVER, new_producer  # noqa: E402
from lone import Broker, created  # noqa: E402
from mesh import BIN, Mesh, wait_for  # noqa: E402


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


class RestoreTest(Lone):
    def move(self, name="moved"):
        """Ends the broker and moves its store away."""
        self.stop()
        os.rename(self.broker.path("store"), self.broker.path(name))
        return self.broker.path(name)

    def head(self, stream="region/mikkeli"):
        """Epoch and last sequence of a stream."""
        client = self.broker.client("finnvera")
        try:
            head, _ = client.fetch({stream: (NEVER, 0)}, most=1)
            return head["epoch"], head["streams"][0][2]
        finally:
            client.close()

    def told(self, epoch, seq, stream="region/mikkeli"):
        """Status and kept_to of a cursor."""
        client = self.broker.client("finnvera")
        try:
            _, status, _, kept_to = client.fetch({stream: (epoch, seq)})[0]["streams"][0]
            return status, kept_to
        finally:
            client.close()

    def check_log(self, moved="store"):
        self.stop()
        head, rows = rig.log_of(self.broker.path(moved))
        rig.check_chain(head, rows, self.broker.mesh)
        self.broker.start()
        rig.recount(self.broker.client("operator"))

    def test_a_backup_begins_a_new_epoch_and_readers_are_told_what_was_kept(self):
        self.publish(60)
        old, seq = self.head()
        self.assertEqual(seq, 60)
        self.says(command(self.broker, "--backup", self.broker.path("copy")))
        self.publish(40)
        self.move()
        said = self.says(command(self.broker, "--restore", self.broker.path("copy")))
        self.assertEqual((said["kept_to"], said["position"]), ("60", "61"))
        self.broker.start()
        new, seq = self.head()
        self.assertNotEqual(new, old)
        self.assertEqual((new.hex(), seq), (said["epoch"], 60))
        self.assertEqual(self.told(old, 100), ("epoch_changed", 60))
        self.assertEqual(self.told(old, 10), ("epoch_changed", 60))
        self.assertEqual(self.told(bytes([1]) * 16, 10), ("epoch_changed", 0))
        self.assertEqual(self.told(new, 60), ("ok", 0))
        self.check_log()
        # what the sender holds beyond the backup it sends again, and it gets places of its own
        self.sent = 60
        self.assertEqual(self.publish(40), 101)
        self.assertEqual(self.told(old, 100), ("epoch_changed", 60))
        # a second restore, of the store itself, goes further back
        moved = self.move("again")
        said = self.says(command(self.broker, "--restore", moved, "--until", "30"))
        self.assertEqual(said["kept_to"], "30")
        self.broker.start()
        self.assertEqual(self.told(old, 100), ("epoch_changed", 30))
        self.assertEqual(self.told(new, 90), ("epoch_changed", 30))
        self.check_log()

    def test_a_point_in_time_is_what_was_known_then(self):
        figures = []
        for _ in range(2):
            self.publish(50)
            operator = self.broker.client("municipality")
            figures.append(operator.query("edges", region="mikkeli", min_seq=self.sent)["edges"])
            operator.close()
        moved = self.move()
        said = self.says(command(self.broker, "--restore", moved, "--until", "50"))
        self.assertEqual((said["kept_to"], said["position"]), ("50", "51"))
        self.assertNotIn("differs", said)
        self.broker.start()
        client = self.broker.client("municipality")
        self.assertEqual(client.query("mark", source=self.source)["last"], 50)
        self.assertEqual(client.query("edges", region="mikkeli", min_seq=51)["edges"], figures[0])
        client.close()
        self.check_log()

    def test_a_damaged_store_gives_what_is_whole_of_its_log(self):
        self.publish(120)
        moved = self.move()
        with open(os.path.join(moved, "data.mdb"), "r+b") as file:
            at = file.read().rindex(b"consent_how")
            file.seek(at)
            file.write(b"X")
        done = command(self.broker, "--restore", moved)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the backup is damaged", done.stderr)
        self.assertFalse(os.path.exists(self.broker.path("store/data.mdb")))
        done = command(self.broker, "--restore", moved, "--until", "120")
        self.assertEqual(done.returncode, 1)
        whole = int(re.search(r"--until (\d+)", done.stderr).group(1))
        self.assertTrue(100 <= whole < 120, whole)
        said = self.says(command(self.broker, "--restore", moved, "--until", str(whole)))
        self.assertEqual(said["kept_to"], str(whole))
        self.broker.start()
        self.head()
        self.check_log()

    def test_a_restore_that_is_killed_leaves_no_store_or_a_whole_one(self):
        self.publish(1000)
        moved = self.move()
        words = [os.path.join(BIN, "kapula-broker"), "-c", self.broker.path("broker.conf"),
                 "--restore", moved, "--until", "900"]
        made, tries = self.broker.path("store/data.mdb"), 0
        while not os.path.exists(made):
            tries += 1
            with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
                try:
                    process.wait(0.01 * tries)
                except subprocess.TimeoutExpired:
                    process.kill()
        self.assertGreater(tries, 1)
        self.broker.start()
        self.head()
        self.check_log()

    def test_what_cannot_be_restored_is_said(self):
        self.publish(10)
        done = command(self.broker, "--restore", self.broker.path("copy"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is a store already", done.stderr)
        moved = self.move()
        for words, sentence, code in [
                (["--restore", self.broker.path("none")], "not found", 1),
                (["--restore", moved, "--until", "11"], "the backup ends at position 10", 1),
                (["--restore", moved, "--until", "0"], "is no position of a log", 2),
                (["--until", "1"], "--until goes with --restore", 2)]:
            done = command(self.broker, *words)
            self.assertEqual(done.returncode, code, words)
            self.assertIn(sentence, done.stderr)
            self.assertFalse(os.path.exists(self.broker.path("store/data.mdb")))
        other = Broker()
        self.addCleanup(other.stop)
        wait_for("its store", lambda: os.path.exists(other.path("store/data.mdb")))
        done = command(self.broker, "--restore", other.path("store"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("another mesh", done.stderr)


class HealingTest(unittest.TestCase):
    """Nodes, a broker restored from an older backup, and the same mesh as before."""

    def setUp(self):
        self.mesh = Mesh()
        self.mesh.__enter__()
        self.addCleanup(self.mesh.__exit__)

    def broker(self, *words):
        done = subprocess.run([os.path.join(BIN, "kapula-broker"), "-c",
                               self.mesh.path("daemons", "broker.conf"), *words],
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)

    def refer(self, keys):
        """Referrals of the municipality; their ids."""
        door = rig.Door(self.mesh, "municipality")
        try:
            answers = [rig.refer(door, key, "finnvera") for key in keys]
        finally:
            door.close()
        self.assertTrue(all(answer["accepted"] for answer in answers), answers)
        return [answer["subject"] for answer in answers]

    def settle(self):
        self.settle_but(None)

    def states(self, referrals):
        return {who: {r: self.mesh.state(who, r) for r in referrals}
                for who in ("municipality", "finnvera")}

    def store(self):
        with open(self.mesh.path("daemons", "broker.conf"), encoding="utf-8") as file:
            return re.search(r'store = "([^"]*)"', file.read()).group(1)

    def begin(self):
        """A few referrals, a backup, and more that only the nodes will remember."""
        early = self.refer([f"early/{n}" for n in range(5)])
        for referral in early:
            self.mesh.until_state("finnvera", referral, "delivered")
        self.settle()
        self.kept_to = self.broker("--backup", self.mesh.path("copy"))["position"]
        self.mesh.kapula("finnvera", "answer", early[0], "accept")
        late = self.refer([f"late/{n}" for n in range(5)])
        for referral in late:
            self.mesh.until_state("finnvera", referral, "delivered")
        self.mesh.kapula("finnvera", "answer", late[0], "accept")
        self.mesh.kapula("finnvera", "answer", late[0], "contacted", "--contact", "reached",
                         "--channel", "phone")
        self.mesh.kapula("finnvera", "answer", late[1], "redirect", "--reason", "wrong_service", "--to", "partner",
                         "--service", "startup-advice")
        self.mesh.until_state("municipality", late[0], "in_contact")
        self.mesh.until_state("municipality", late[1], "redirected")
        self.settle()
        return early + late

    def restore(self):
        self.mesh.kill("broker")
        store = self.store()
        os.rename(store, store + ".moved")
        self.assertEqual(self.broker("--restore", self.mesh.path("copy"))["kept_to"], self.kept_to)

    def test_an_older_backup_is_healed_by_what_the_nodes_hold(self):
        referrals = self.begin()
        states = self.states(referrals)
        edge = self.mesh.edge("coordinator", "municipality", "finnvera")
        streams = {who: self.said(who) for who in ("municipality", "finnvera", "partner")}
        self.mesh.kill("municipality")  # answers come before what they answer
        self.restore()
        self.mesh.start("broker")
        wait_for("finnvera to have said all", lambda: self.logged("finnvera", "said_again_later"))
        wait_for("an empty outbox of finnvera", lambda: rig.idle(self.mesh, "finnvera"))
        self.mesh.start("municipality")
        for who, events in streams.items():
            wait_for(f"all that {who} had been told",
                     lambda who=who, events=events: self.said(who) >= events)
        self.settle()
        self.assertEqual({who: self.said(who) for who in streams}, streams)
        for who, of in states.items():
            for referral, state in of.items():
                self.mesh.until_state(who, referral, state)
        self.assertFalse(self.logged("finnvera", "restore_conflict"))
        for who in streams:
            self.assertEqual(self.health(who)["delivery"]["taken_back"], 0)
        rig.audit(self.mesh)
        again = self.mesh.edge("coordinator", "municipality", "finnvera")
        for name in ("sent", "delivered", "accepted", "open"):
            self.assertEqual(again.get(name), edge.get(name), name)
        self.mesh.kill("broker", 15)
        head, rows = rig.log_of(self.store())
        rig.check_chain(head, rows, rig.broker_of(self.mesh)[2])
        self.assertNotEqual(head["epoch"], head["first_epoch"])
        self.mesh.start("broker")

    def health(self, who):
        door = rig.Door(self.mesh, who)
        try:
            return json.loads(door.local("health")["health"])
        finally:
            door.close()

    def test_what_can_no_longer_be_is_told_to_both_ends(self):
        referral, = self.refer(["one"])
        self.mesh.until_state("municipality", referral, "delivered")
        self.settle()
        self.kept_to = self.broker("--backup", self.mesh.path("copy"))["position"]
        self.mesh.kapula("finnvera", "answer", referral, "accept")
        self.mesh.until_state("municipality", referral, "accepted")
        self.settle()
        self.mesh.kill("finnvera")
        self.restore()
        self.mesh.start("broker")
        wait_for("what was taken back to be told",
                 lambda: self.health("municipality")["delivery"]["taken_back"] == 1)
        self.assertIn(f"accepted.v1 of {referral}", "".join(self.health("municipality")["why"]))
        self.mesh.until_state("municipality", referral, "delivered")
        self.mesh.kapula("municipality", "answer", referral, "withdraw", "--reason",
                         "customer_request")
        self.settle_but("finnvera")
        self.mesh.start("finnvera")
        wait_for("the conflict", lambda: self.logged("finnvera", "restore_conflict"))
        door = rig.Door(self.mesh, "finnvera")
        try:
            act = door.local("acts", limit=1)["acts"][-1]
            self.assertEqual((act["fate"], act["code"]), ("refused", "illegal.restore_conflict"))
        finally:
            door.close()
        self.assertEqual(self.health("municipality")["delivery"]["taken_back"], 1)
        self.mesh.until_state("finnvera", referral, "withdrawn")
        rig.audit(self.mesh)

    def settle_but(self, dead):
        for member in rig.NODES:
            if member != dead:
                wait_for(f"an empty outbox of {member}", lambda m=member: rig.idle(self.mesh, m))

    def logged(self, who, event):
        with open(self.mesh.path("logs", f"{who}.log"), encoding="utf-8") as file:
            return f'"event":"{event}"' in file.read()

    def said(self, who):
        """What stands in a member's stream, wherever it lies and whoever said it anew."""
        return {(event["type"], event["subject"])
                for _, event in rig.stream_of(self.mesh, who).values()}


if __name__ == "__main__":
    unittest.main()
