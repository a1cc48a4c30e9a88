# SPDX-License-Identifier: MPL-2.0
"""The commands of the README, run as they stand there, in their order."""

import os
import re
import subprocess
import unittest

from mesh import BIN, ROOT, Failed


def blocks():
    """The shell blocks of the README."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)


class Readme(unittest.TestCase):
    def test_every_command_block_does_what_it_says(self):
        """`tests/run` itself is left out: it is what runs this. `run --once` lives a short year."""
        script = "\n".join(block for block in blocks() if block.strip() != "tests/run")
        self.assertIn("compose/local start", script)
        script = script.replace("run --once", "run --once --referrals 20")
        demo = "/tmp/kapula-demo"
        if os.path.exists(demo):
            self.skipTest(f"{demo} is somebody's")
        # The last command ends the mesh; before it, what the commands brought about.
        checks = ("\nfor i in $(seq 300); do coordinator edges --format json >/tmp/edges.$$; "
                  "grep -q '\"reported\": [1-9]' /tmp/edges.$$ && break; sleep 0.1; done\n"
                  "cat /tmp/edges.$$; rm /tmp/edges.$$\ncompose/local stop")
        script = "shopt -s expand_aliases\nset -e\n" + script.replace("\ncompose/local stop", checks)
        script = script.replace("build/bin", BIN)
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, text=True, capture_output=True,
                              timeout=600, env=dict(os.environ, KAPULA_BIN=BIN), check=False)
        subprocess.run(["rm", "-rf", demo], check=True)
        if done.returncode != 0:
            raise Failed(f"ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        self.assertRegex(done.stdout, r'"reported": [1-9]')
        self.assertIn("Finnvera", done.stdout)


if __name__ == "__main__":
    unittest.main()
