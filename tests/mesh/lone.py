# SPDX-License-Identifier: MPL-2.0
"""A broker on its own, for tests of the protocol and of its store."""

import json
import os
import shutil
import socket
import subprocess
import tempfile

import zmq

from kapula_client import Client, build, h, read_keys
from mesh import BIN

CREATED = "kapula.referral.created.v1"
REFERRAL = "0193a5f2-7c1e-7abc-8def-0123456789ab"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Broker:
    """A broker with two members and nothing else, in a folder of its own."""

    def __init__(self, env=None):
        self.dir = tempfile.mkdtemp(prefix="kapula-client-", dir="/tmp")
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        authority = os.urandom(32)
        self.mesh = h(authority)
        self.server = self.keys("broker")
        members = [self.member("municipality"), self.member("finnvera"),
                   self.member("operator", "other", ["operator"])]
        self.write("directory.json", json.dumps({
            "mesh": authority.hex(), "members": members,
            "regions": [{"id": "mikkeli", "kind": "ordinary", "area": "etela-savo"}]}))
        self.write("broker.conf", f'endpoint = "{self.endpoint}";\nstore = "store";\n'
                                  'directory = "directory.json";\nkeys = "broker.key";\n'
                                  'log = "warn";\n')
        self.log = open(self.path("log"), "ab")
        self.start(env)

    def start(self, env=None):
        self.process = subprocess.Popen([os.path.join(BIN, "kapula-broker"), "-c",
                                         self.path("broker.conf")], stderr=self.log,
                                        env=dict(os.environ, **(env or {})))

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_CREAT | os.O_WRONLY, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(text)

    def keys(self, name):
        public, secret = zmq.curve_keypair()
        self.write(f"{name}.key", f'kind = "curve";\npublic = "{public.decode()}";\n'
                                  f'secret = "{secret.decode()}";\n')
        return public

    def member(self, name, kind=None, roles=("node", "party")):
        return {"id": name, "name": {"fi": name}, "type": kind or name, "roles": list(roles),
                "regions": ["mikkeli"], "services": ["financing"],
                "curve": self.keys(name).decode(), "sealing": os.urandom(32).hex(),
                "signing": os.urandom(32).hex()}

    def client(self, name):
        return Client(self.endpoint, self.server, *read_keys(self.path(f"{name}.key")), self.mesh)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def created(source, sequence, referral=REFERRAL):
    return build(source, sequence, CREATED,
                 {"kind": "transfer", "referral": referral, "from": "municipality",
                  "to": "finnvera", "service": "financing", "segment": "unknown",
                  "region": "mikkeli",
                  "basis": {"disclosure": "customer_consent", "gdpr": "6.1.a",
                            "consent_date": "2026-01-02", "consent_how": "spoken"}},
                 ends={"case": "case-" + referral})
