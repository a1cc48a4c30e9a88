# SPDX-License-Identifier: MPL-2.0
"""Whole daemons under load, killed and stopped at any moment (guarantees G1, G3, G4, G5).

Every node's door takes acts, a program publishes straight to the broker, recipients answer; a
driver kills and stops daemons. At the end nothing waits, and whatever was accepted or receipted
is in the log once, at the place that was told."""

import os
import random
import signal
import sys
import threading
import time
import unittest

import rig
from kapula_client import build, new_producer
from rig import NODES, Door, Mesh, alive, wait_for

CREATED = "kapula.referral.created.v1"
CYCLES = int(os.environ.get("KAPULA_CYCLES", 1000 if rig.FULL else 10))
# A long run is about many deaths, not about the size of its log.
PACE_S = 0.15 if CYCLES > 100 else 0
TYPES = {"refer": CREATED, "accept": "kapula.referral.accepted.v1",
         "complete": "kapula.referral.completed.v1"}


class Load:
    """Threads that say things through every door until told to stop; what they were promised."""

    def __init__(self, mesh, seed):
        self.mesh, self.ending, self.wrong = mesh, threading.Event(), []
        self.acts = []      # (member, verb, act, subject) that a door accepted
        self.receipts = {}  # (source, sequence) -> (log_seq, leaf) that the broker gave
        self.threads = [threading.Thread(target=self.guard, args=(self.speak, member, seed + n))
                        for n, member in enumerate(NODES)]
        self.threads += [threading.Thread(target=self.guard, args=(self.publish, member))
                         for member in ("municipality", "ely")]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def guard(self, what, *arguments):
        try:
            what(*arguments)
        except Exception as wrong:  # pylint: disable=broad-except
            self.wrong.append(f"{what.__name__} {arguments}: {wrong!r}")

    def note(self, member, verb, answer):
        if not answer.get("accepted"):
            raise AssertionError(f"{verb} by {member}: {answer}")
        self.acts.append((member, verb, answer["act"], answer["subject"]))

    def speak(self, member, seed):
        """Refers to the others, and accepts and completes what came here."""
        dice, door, n, done = random.Random(seed), Door(self.mesh, member), 0, set()
        others = [other for other in NODES if other != member]
        while not self.ending.is_set():
            n += 1
            self.ending.wait(PACE_S)
            self.note(member, "refer", rig.refer(door, f"refer/{n}", dice.choice(others)))
            came = door.local("inbox", side="in", open=True, limit=500)["referrals"]
            for row in came:
                if row["referral"] in done or self.ending.is_set() or dice.random() < 0.5:
                    continue
                done.add(row["referral"])
                self.note(member, "accept", door.act(
                    "accept", f"accept/{row['referral']}", referral=row["referral"]))
                self.note(member, "complete", door.act(
                    "complete", f"complete/{row['referral']}", referral=row["referral"],
                    outcome="handled"))
        door.close()

    def publish(self, member):
        """A client of the broker with an outbox of its own; some batches are sent twice."""
        client, source, first = rig.client_of(self.mesh, member), f"{member}/{new_producer()}", 1
        while not self.ending.is_set():
            events = [build(source, first + i, CREATED, {
                "kind": "transfer", "referral": f"{source}/{first + i}", "from": member,
                "to": "partner", "service": "mentoring", "segment": "unknown",
                "region": "mikkeli", "basis": {
                    "disclosure": "customer_consent", "gdpr": "6.1.a",
                    "consent_date": "2026-01-02", "consent_how": "spoken"}},
                ends={"case": f"case/{source}/{first + i}"}) for i in range(8)]
            for _ in range(2):
                receipt = client.publish(source, first, events, seconds=90, again_s=2)
                if receipt["status"] != "ok":
                    raise AssertionError(f"{source} from {first}: {receipt}")
                for i, (verdict, number, sentence, log_seq, leaf) in enumerate(receipt["verdicts"]):
                    told = self.receipts.setdefault((source, first + i), (log_seq, leaf.hex()))
                    if verdict != "accepted" or told != (log_seq, leaf.hex()):
                        raise AssertionError(f"{source}/{first + i}: {verdict} {number} "
                                             f"{sentence}, {told} then {log_seq}")
            first += len(events)
            self.ending.wait(PACE_S)
        client.close()


class Trouble:
    """One bad moment after the other, all from one seed."""

    def __init__(self, mesh, seed):
        self.mesh, self.dice, self.kills = mesh, random.Random(seed), 0

    def kill(self, *names):
        for name in names:
            self.mesh.kill(name)
            self.kills += 1
        time.sleep(self.dice.random() * 0.3)
        for name in names:
            self.mesh.start(name)

    def stop(self, name):
        pid = self.mesh.pid(name)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.dice.random() * 1.5)
        os.kill(pid, signal.SIGCONT)
        self.unharmed(name, pid)

    @staticmethod
    def unharmed(name, pid):
        assert alive(pid), f"{name} died of being stopped"

    def cycle(self):
        node = self.dice.choice(list(NODES))
        other = self.dice.choice([name for name in NODES if name != node])
        time.sleep(self.dice.random() * 0.5)
        self.dice.choice([lambda: self.kill("broker"), lambda: self.kill("broker"),
                          lambda: self.kill(node), lambda: self.kill("broker", node),
                          lambda: self.kill(node, other), lambda: self.stop("broker"),
                          lambda: self.stop(node)])()


class Kill(unittest.TestCase):
    def test_what_was_accepted_is_in_the_log_once_whatever_dies(self):
        seed = rig.seed_of("kill", 20261121)
        with Mesh() as mesh:
            trouble = Trouble(mesh, seed)
            with Load(mesh, seed) as load:
                for _ in range(CYCLES):
                    trouble.cycle()
                    if load.wrong:
                        break
            self.assertEqual(load.wrong, [], mesh.logs())
            for member in NODES:
                wait_for(f"an empty outbox of {member}", lambda m=member: rig.idle(mesh, m), 120)
            answer = rig.audit(mesh)
            self.compare(mesh, load)
            print(f"kill: {trouble.kills} kills, {len(load.acts)} acts and {len(load.receipts)} "
                  f"direct events of {answer['events']} in the log, 0 missing, 0 twice; audit "
                  f"compared {answer['rows']} rows", file=sys.stderr)

    def compare(self, mesh, load):
        """Promises against the streams, the streams against the log, the log against its chain."""
        streams = {member: rig.stream_of(mesh, member) for member in NODES}
        for member, verb, act, subject in load.acts:
            door = Door(mesh, member)
            fate = door.local("fate", act=act)
            door.close()
            self.assertEqual(fate["fate"], "committed", (member, verb, fate))
            _, event = streams[member][fate["log_seq"]]
            self.assertEqual((event["type"], event["subject"]), (TYPES[verb], subject))
        for (source, sequence), (log_seq, leaf) in load.receipts.items():
            meta, event = streams["partner"][log_seq]
            self.assertEqual((meta[5], meta[6], meta[7].hex()), (source, sequence, leaf))
            self.assertEqual((event["source"], event["sequence"]), (source, sequence))
        created = [event["data"]["referral"] for event in {
            seq: event for stream in streams.values() for seq, (_, event) in stream.items()
            if event["type"] == CREATED}.values()]
        self.assertEqual(len(created), len(set(created)), "a referral was created twice")
        mesh.local("stop", mesh.dir)
        head, rows = rig.log_of(mesh.path("state", "broker"))
        rig.check_chain(head, rows, rig.broker_of(mesh)[2])
        for stream in streams.values():
            for seq, (meta, _) in stream.items():
                self.assertEqual(rows[seq]["leaf"], meta[7].hex())


if __name__ == "__main__":
    unittest.main()
