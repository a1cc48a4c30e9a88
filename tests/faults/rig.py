# SPDX-License-Identifier: MPL-2.0
"""What the fault tests share: a node's local door, and the whole truth about a mesh at rest."""

import json
import os
import struct
import subprocess
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mesh"))
# pylint: disable=wrong-import-position
from kapula_client import (NEVER, Client, Refused, bins, h, pack, read_keys, unpack)  # noqa: E402,F401
from mesh import BIN, ROOT, Failed, Mesh, alive, wait_for  # noqa: E402,F401

ACT, LOCAL = 33, 34
FULL = os.environ.get("KAPULA_FULL") == "yes"
NODES = {"municipality": "needs-mapping", "te-office": "recruitment", "ely": "rural-business",
         "finnvera": "small-loan", "partner": "mentoring"}
CONSENT = {"basis.disclosure": "customer_consent", "basis.gdpr": "6.1.a",
           "basis.consent_date": "2026-01-02", "basis.consent_how": "spoken"}


def seed_of(name, default):
    """The seed of a run: KAPULA_SEED or the default; printed, so that a failure replays."""
    seed = int(os.environ.get("KAPULA_SEED", default))
    print(f"{name}: seed {seed}", file=sys.stderr, flush=True)
    return seed


def program(name):
    """A C part of these tests, beside the suites."""
    return os.path.join(os.path.dirname(BIN.rstrip("/")), "tests", name)


def asan(*more):
    return ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), *more]))


def preload(**settings):
    """The environment of a daemon that runs under the recorder (record.c)."""
    return {"LD_PRELOAD": program("libfaults_record.so"),
            "ASAN_OPTIONS": asan("verify_asan_link_order=0"),
            **{name: str(value) for name, value in settings.items()}}


def promise(record, text):
    """Adds a mark to a record: what was promised, after all that was written before."""
    data = text.encode()
    with open(record, "ab", buffering=0) as file:
        file.write(struct.pack("qqq", ord("m"), 0, len(data)) + data)


def sober(**more):
    """The environment of those who look on: no seeded bug in their own eyes."""
    return {**{key: value for key, value in os.environ.items() if key != "KAP_SEEDED_BUG"}, **more}


def look(which, what, record, seed, count):
    """Runs faults_broker or faults_node over a record: its exit code and its figures."""
    done = subprocess.run([program(f"faults_{which}"), what, record, str(seed), str(count)],
                          capture_output=True, text=True, timeout=7200, check=False,
                          env=sober(ASAN_OPTIONS=asan(
                              "handle_segv=0", "handle_sigbus=0", "handle_abort=0")))
    lines = done.stdout.splitlines()
    if done.returncode not in (0, 1) or not lines:
        raise Failed(f"faults_{which} {what}: {done.returncode}\n{done.stdout}{done.stderr[-3000:]}")
    print(f"{which} {what}: {lines[-1]}", file=sys.stderr, flush=True)
    words = lines[-1].split()
    return done.returncode, dict(zip(words[::2], map(int, words[1::2]))), done.stdout


def broker_of(mesh):
    """Endpoint, public key and mesh id, as the operator's configuration says."""
    with open(mesh.path("operator.conf"), encoding="utf-8") as file:
        lines = dict(line.rstrip(";\n").split(" = ", 1) for line in file if " = " in line)
    text = {key: value.strip('"') for key, value in lines.items()}
    return text["endpoint"], text["broker_public"].encode(), bytes.fromhex(text["mesh"])


def client_of(mesh, member):
    endpoint, public, mesh_id = broker_of(mesh)
    keys = read_keys(mesh.path("keys", f"{member}.curve.key"))
    return Client(endpoint, public, *keys, mesh_id)


class Door(Client):
    """A node's own door: acts are asked again under the same key until they are answered."""

    def __init__(self, mesh, member):  # pylint: disable=super-init-not-called
        self.mesh = broker_of(mesh)[2]
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.immediate = 1
        self.socket.reconnect_ivl = 50
        self.socket.connect(f"ipc://{mesh.path('run', member, 'door')}")

    def ask(self, verb, body, seconds=60):
        _, payload = self.request(verb, [pack(pack(body))], seconds=seconds, again_s=2)
        return unpack(next(bins(payload)))

    def act(self, verb, key, seconds=60, **fields):
        return self.ask(ACT, {"verb": verb, "key": key, "fields": fields}, seconds)

    def local(self, word, **parameters):
        return self.ask(LOCAL, {"local": word, **parameters})


def refer(door, key, target, seconds=60):
    return door.act("refer", key, seconds, to=target, service=NODES[target], segment="unknown",
                    **CONSENT)


def idle(mesh, member):
    """Nothing waits in the member's outbox."""
    door = Door(mesh, member)
    try:
        return door.local("outbox", limit=1)["waiting"] == 0
    finally:
        door.close()


def stream_of(mesh, member):
    """Every event of a member's stream."""
    return read_stream(client_of(mesh, member), member)


def read_stream(client, member):
    """The same, hashes checked by the client, which is closed: log_seq -> (meta, open)."""
    found, seq, epoch = {}, 0, NEVER
    stream = f"member/{member}"
    try:
        while True:
            head, events = client.fetch({stream: (epoch, seq)})
            _, status, end, _ = head["streams"][0]
            epoch = head["epoch"]
            assert status == "ok", status
            for meta, event, _, _ in events:
                assert meta[1] == seq + 1, f"a gap in {stream} after {seq}"
                seq = meta[1]
                found[meta[2]] = (meta, event)
            if seq >= end:
                return found
    finally:
        client.close()


def log_of(store):
    """The log of a broker's store that nobody has open: (head, {log_seq: row})."""
    done = subprocess.run([program("faults_broker"), "log", store], capture_output=True, text=True,
                          timeout=120, check=False, env=sober())
    if done.returncode != 0:
        raise Failed(f"faults_broker log {store}: {done.stdout[-400:]}{done.stderr[-2000:]}")
    head, *rows = (json.loads(line) for line in done.stdout.splitlines())
    return head, {row["seq"]: row for row in rows}


def check_chain(head, rows, mesh_id):
    """The chain of SPEC.md (Hashes) over every leaf, from the mesh and the first epoch to the head."""
    assert sorted(rows) == list(range(1, head["seq"] + 1)), "the log has gaps"
    assert head["mesh"] == mesh_id.hex()
    chain = h(b"\x03" + mesh_id + bytes.fromhex(head["first_epoch"]))
    for seq in range(1, head["seq"] + 1):
        chain = h(b"\x02" + chain + bytes.fromhex(rows[seq]["leaf"]))
    assert chain.hex() == head["chain"], "the chain ends elsewhere"
    said = [(row["source"], row["sequence"]) for row in rows.values()]
    assert len(said) == len(set(said)), "an event is in the log twice"


def audit(mesh):
    """The recount by the broker itself, without differences."""
    return recount(client_of(mesh, "operator"))


def recount(client):
    """The same, by the operator's client, which is closed."""
    try:
        answer = client.query("audit")
        assert answer["differences"] == 0, answer
        return answer
    finally:
        client.close()
