#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Looks for bugs in the way of the fault tests, quickly: find.py disk|broker|node.

Ends with 0 when nothing was found, with 1 and a line when something was, with 2 when it could not
look. The seeded build is looked at in this way (test_seeded.py)."""

import os
import signal
import sys
import tempfile
import time

import rig
from kapula_client import build
from lone import Broker
from rig import Door, Failed, Mesh, wait_for
from test_crash import record_broker
from test_fail import Sender


def need(condition, sentence):
    if not condition:
        raise AssertionError(sentence)


def disk():
    """Crash states of a broker."""
    with tempfile.TemporaryDirectory(prefix="kapula-find-", dir="/tmp") as folder:
        record = record_broker(folder, 11, 14, KAP_RECORD_SLOW_MS=5)
        _, figures, text = rig.look("broker", "explore", record, 11, 250)
        wrong = [line.strip() for line in text.splitlines() if "promises:" in line]
        need(figures["wrong"] == 0, wrong[-1] if wrong else "crash states")


def answer_all(broker, sender):
    """finnvera accepts and completes what was published, event by event; a question between two
    events has the figures written, so that the later event must subtract what the earlier added."""
    client, source, first = broker.client("finnvera"), "finnvera/0123456789abcdef", 1
    for sequence in sender.promised:
        for verb, data in (("accepted", {}), ("completed", {"outcome": "handled"})):
            client.query("edges", region="mikkeli")
            receipt = client.publish(source, first, [build(
                source, first, f"kapula.referral.{verb}.v1",
                {"referral": f"{sender.source}/{sequence}", **data})], seconds=20)
            need(receipt["status"] == "ok", f"an answer's receipt: {receipt}")
            first += 1
    client.close()


def broker_alone():
    """Receipts, streams, log and recount of a broker that is killed once."""
    broker, sender = Broker(), Sender()
    try:
        need(sender.publish(broker, 5) == "ok", "the first receipts are not ok")
        answer_all(broker, sender)
        for again in range(2):
            if again:
                broker.kill()
                broker.start()
            sender.first = 1
            need(sender.publish(broker, 5) == "ok", "a resend is not ok")
        streams = rig.read_stream(broker.client("finnvera"), "finnvera")
        need({log_seq for log_seq, _ in sender.promised.values()} <= set(streams),
             "a receipted event is not in the stream of its end")
        rig.recount(broker.client("operator"))
        broker.process.terminate()
        broker.process.wait(30)
        sender.check(broker.path("store"), broker.mesh)
    finally:
        broker.stop()


def node():
    """Acts of a node that dies while the broker stands still."""
    with Mesh() as mesh:
        door, acts, broker = Door(mesh, "municipality"), {}, mesh.pid("broker")
        os.kill(broker, signal.SIGSTOP)
        try:
            for n in range(12):
                answer = rig.refer(door, f"find/{n}", "partner", 20)
                need(answer.get("accepted"), f"an act is {answer}")
                need(answer["act"] not in acts, "two acts have one number")
                acts[answer["act"]] = answer["subject"]
            mesh.kill("municipality")
        finally:
            os.kill(broker, signal.SIGCONT)
        mesh.start("municipality")
        wait_for("an empty outbox", lambda: rig.idle(mesh, "municipality"), 10)
        for act, subject in acts.items():
            fate = door.local("fate", act=act)
            need((fate.get("fate"), fate.get("subject")) == ("committed", subject),
                 f"an accepted act is {fate}")
        rig.audit(mesh)
        door.close()


def main():
    begin = time.monotonic()
    try:
        {"disk": disk, "broker": broker_alone, "node": node}[sys.argv[1]]()
    except (AssertionError, Failed, TimeoutError, rig.Refused) as found:
        print(" ".join(str(found).split())[:150] or repr(found))
        return 1
    except Exception as broken:  # pylint: disable=broad-except
        print(f"could not look: {broken!r}")
        return 2
    print(f"nothing found in {time.monotonic() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
