# SPDX-License-Identifier: MPL-2.0
"""Power failures: what a disk may hold after one, at any moment (guarantees G2, G3, G12).

A daemon runs under the recorder, one request after the other; each receipt and each accepted act
becomes a mark among its writes. Then stores are made of what was synced and any part of what was
not, opened in process, and every promise made before that moment is looked for."""

import os
import random
import shutil
import tempfile
import unittest

import rig
from kapula_client import build, new_producer
from lone import Broker, created
from rig import NODES, Door, Mesh

STATES = 100000 if rig.FULL else 1500


def record_broker(folder, seed, requests=40, **settings):
    """A broker's record: receipts of events, refused ones too; killed once on the way."""
    record, dice = os.path.join(folder, "broker.record"), random.Random(seed)
    env = rig.preload(KAP_RECORD=record, **settings)
    broker = Broker(env)
    try:
        clients = {who: broker.client(who) for who in ("municipality", "finnvera")}
        sources = {who: [f"{who}/{new_producer()}", 1] for who in clients}
        known = []

        def publish(who, events):
            source, first = sources[who]
            receipt = clients[who].publish(source, first, events, seconds=60, again_s=2)
            if receipt["status"] != "ok":
                raise AssertionError(receipt)
            sources[who][1] += len(events)
            for i, (_, _, _, log_seq, leaf) in enumerate(receipt["verdicts"]):
                rig.promise(record, f"{source} {first + i} {log_seq} {leaf.hex()}")

        for n in range(requests):
            if n == requests // 2:
                broker.kill()
                broker.start(env)
            who = dice.choice(["municipality", "municipality", "finnvera"])
            source, first = sources[who]
            if who == "municipality" or not known:
                who = "municipality"
                source, first = sources[who]
                ids = [f"r{n}-{i}" for i in range(dice.randint(1, 12))]
                known += ids
                publish(who, [created(source, first + i, one) for i, one in enumerate(ids)])
            else:
                chosen = [dice.choice(known) for _ in range(dice.randint(1, 8))]
                publish(who, [build(source, first + i, "kapula.referral.accepted.v1",
                                    {"referral": one}) for i, one in enumerate(chosen)])
        broker.kill()
        for client in clients.values():
            client.close()
    finally:
        broker.stop()
    return record


def record_node(folder, seed, acts=40, **settings):
    """A node's record: acts at its door while referrals come in and receipts return."""
    record, dice = os.path.join(folder, "node.record"), random.Random(seed)
    with Mesh() as mesh:
        mesh.kill("municipality")
        shutil.rmtree(mesh.path("state", "municipality"))
        env = rig.preload(KAP_RECORD=record, **settings)
        mesh.start("municipality", env)
        own, other = Door(mesh, "municipality"), Door(mesh, "finnvera")
        for n in range(acts):
            if n == acts // 2:
                mesh.kill("municipality")
                mesh.start("municipality", env)
            if dice.random() < 0.3:
                rig.refer(other, f"back/{n}", "municipality")
            target = dice.choice([name for name in NODES if name != "municipality"])
            answer = rig.refer(own, f"refer/{n}", target)
            if not answer.get("accepted"):
                raise AssertionError(answer)
            rig.promise(record, f"{answer['act']} refer/{n} {answer['subject']}")
        mesh.kill("municipality")
        own.close()
        other.close()
    return record


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kapula-crash-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def test_every_receipt_of_the_broker_survives_a_power_failure(self):
        seed = rig.seed_of("crash", 1)
        code, figures, text = rig.look("broker", "explore",
                                       record_broker(self.folder, seed, KAP_RECORD_SLOW_MS=5),
                                       seed, STATES)
        self.assertEqual((code, figures["wrong"]), (0, 0), text)
        self.assertGreater(figures["promises"], 100)
        self.assertGreaterEqual(figures["states"], STATES)

    def test_every_accepted_act_of_a_node_survives_a_power_failure(self):
        seed = rig.seed_of("crash", 2)
        code, figures, text = rig.look("node", "explore",
                                       record_node(self.folder, seed, KAP_RECORD_SLOW_MS=5),
                                       seed, STATES // 2)
        self.assertEqual((code, figures["wrong"]), (0, 0), text)
        self.assertGreaterEqual(figures["promises"], 40)

    def test_dropped_syncs_are_found(self):
        seed = rig.seed_of("crash", 3)
        record = record_broker(self.folder, seed, 12, KAP_RECORD_NOSYNC=1)
        code, figures, _ = rig.look("broker", "explore", record, seed, 200)
        self.assertEqual(code, 1)
        self.assertGreater(figures["wrong"], 0)


if __name__ == "__main__":
    unittest.main()
