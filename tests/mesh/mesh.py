# SPDX-License-Identifier: MPL-2.0
"""A whole mesh of daemons in a folder of its own, for the tests."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("KAPULA_BIN") or os.path.join(ROOT, "build", "bin")
LOCAL = os.path.join(ROOT, "compose", "local")
# Sanitized daemons are several times slower; a wait ends as soon as its condition holds.
PATIENCE_S = 60


class Failed(Exception):
    """A command ended otherwise than expected."""


def wait_for(what, condition, seconds=PATIENCE_S):
    """Returns what the condition returns as soon as it is true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


def alive(pid):
    """Whether a process still runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Mesh:
    """`with Mesh() as mesh`: started by compose/local, stopped and removed at the end."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kapula-mesh-", dir="/tmp")

    def __enter__(self):
        try:
            self.local("start", self.dir)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run([LOCAL, "stop", self.dir], capture_output=True, timeout=120, check=False)
        if os.environ.get("KAPULA_KEEP"):
            print("kept:", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def local(self, *words, env=None):
        done = subprocess.run([LOCAL, *words], capture_output=True, text=True, timeout=300,
                              env=dict(os.environ, KAPULA_BIN=BIN, **(env or {})), check=False)
        if done.returncode != 0:
            raise Failed(f"compose/local {words}: {done.stdout}{done.stderr}{self.logs()}")
        return done.stdout

    def logs(self):
        """The end of every daemon's log, for a failure's message."""
        text, folder = "", self.path("logs")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                text += f"\n== {name}\n" + "".join(file.readlines()[-8:])
        return text

    def run(self, who, *words, timeout=90):
        """One `kapula` command; the finished process."""
        return subprocess.run([os.path.join(BIN, "kapula"), "-c", self.path(f"{who}.conf"), *words],
                              capture_output=True, text=True, timeout=timeout, check=False)

    def kapula(self, who, *words, expect=0, timeout=90):
        """What a command printed that ends with `expect`; its error line when that is not 0."""
        done = self.run(who, *words, timeout=timeout)
        if done.returncode != expect:
            raise Failed(f"kapula {' '.join(words)} as {who} ended with {done.returncode}, "
                         f"not {expect}:\n{done.stdout}{done.stderr}{self.logs()}")
        return done.stdout if expect == 0 else done.stderr + done.stdout

    def json(self, who, *words, **options):
        return json.loads(self.kapula(who, "--format", "json", *words, **options))

    def pid(self, name):
        with open(self.path("run", f"{name}.pid"), encoding="ascii") as file:
            return int(file.read())

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid(name)
        os.kill(pid, number)
        wait_for(f"the end of {name}", lambda: not alive(pid))

    def start(self, name, env=None):
        """One daemon again, as compose/local starts it; `env` is added to its environment."""
        self.local("daemon", self.dir, name, env=env)

    def state(self, who, referral):
        """The referral's state as that organisation knows it; None when it does not."""
        done = self.run(who, "--format", "json", "show", referral)
        return json.loads(done.stdout).get("state") if done.returncode == 0 else None

    def until_state(self, who, referral, state):
        wait_for(f"{referral} to be {state} at {who}",
                 lambda: self.state(who, referral) == state)

    def show_to(self, who, referral):
        return self.json(who, "show", referral)["to"]

    def edge(self, who, source, target, *words):
        """The row of one edge of the region, or None."""
        answer = self.json(who, "edges", "--region", "mikkeli", *words)
        rows = [row for row in answer["edges"] if (row["from"], row["to"]) == (source, target)]
        return rows[0] if rows else None
