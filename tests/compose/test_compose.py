# SPDX-License-Identifier: MPL-2.0
"""What an operator starts from: compose files, setup, units; and, where an engine answers, the
image and the whole mesh in containers."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mesh"))
from mesh import BIN, ROOT, Failed, wait_for  # pylint: disable=wrong-import-position

COMPOSE = os.path.join(ROOT, "compose")
NODES = ["municipality", "te-office", "ely", "finnvera", "partner"]
DAEMONS = ["broker", *NODES]
IMAGE = "kapula-test"
PROJECT = "kapula-test"


def text(*parts):
    with open(os.path.join(COMPOSE, *parts), encoding="utf-8") as file:
        return file.read()


def run(*words, expect=0, seconds=120, **environment):
    """What the command printed; a failure when it ended otherwise than expected."""
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, timeout=seconds, check=False,
                          env=dict(os.environ, KAPULA_BIN=BIN, **environment))
    if done.returncode != expect:
        raise Failed(f"{' '.join(words)} ended with {done.returncode}:\n"
                     f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def engine():
    """Whether a Docker engine answers root, for whom setup gives keys to the containers' user."""
    if os.geteuid() != 0 or not shutil.which("docker") or not shutil.which("docker-compose"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Folder(unittest.TestCase):
    """A folder of its own for each test."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="kapula-compose-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def write(self, content, *parts):
        with open(self.path(*parts), "w", encoding="utf-8") as file:
            file.write(content)

    def everything(self, where="mesh"):
        """Path -> bytes of all files there."""
        found = {}
        for name in glob.glob(self.path(where, "**"), recursive=True):
            if os.path.isfile(name):
                with open(name, "rb") as file:
                    found[os.path.relpath(name, self.path(where))] = file.read()
        return found


class Files(unittest.TestCase):
    """The rules of the compose files and the Dockerfile, held by reading them."""

    FILES = ["compose.yaml", "edge.yaml", "node.yaml", "rehearsal.yaml"]

    @unittest.skipUnless(shutil.which("docker-compose"), "docker-compose is not installed")
    def test_they_are_valid(self):
        node = {"KAPULA_NODE": "/n", "KAPULA_MEMBER": "partner", "KAPULA_DAEMON": "partner"}
        run("docker-compose", "-f", "compose/compose.yaml", "config", "-q")
        run("docker-compose", "-f", "compose/compose.yaml", "-f", "compose/edge.yaml", "config", "-q")
        run("docker-compose", "-f", "compose/compose.yaml", "-f", "compose/rehearsal.yaml", "config", "-q")
        run("docker-compose", "-f", "compose/node.yaml", "config", "-q", **node)

    def test_every_port_is_this_host_s_own(self):
        for name in self.FILES:
            for line in re.findall(r"ports:.*", text(name)):
                self.assertRegex(line, r'^ports: \["127\.0\.0\.1:[^",]*"\]$', name)
            self.assertNotIn("network_mode", text(name), name)

    def test_no_secret_stands_in_an_environment(self):
        for name in [*self.FILES, "Dockerfile"]:
            self.assertNotRegex(text(name), r"(?m)^\s*(environment|env_file):|^ENV\b", name)

    def test_keys_are_files_of_those_who_need_them(self):
        services = text("compose.yaml").split("\nservices:\n")[1].split("\nnetworks:\n")[0]
        blocks = dict(re.findall(r"(?ms)^  ([a-z-]+):\n(.*?)(?=^  [a-z-]+:|\Z)", services))
        self.assertEqual(set(blocks), {*DAEMONS, "operator"})
        for name, block in blocks.items():
            secrets = re.search(r"secrets: \[(.*)\]", block).group(1).split(", ")
            others = [secret for secret in secrets if secret.split(".")[0] not in
                      (name, "monitor" if name == "broker" else "pseudonym")]
            self.assertEqual(others, [], name)
            self.assertNotIn("authority", block)

    def test_every_service_is_confined(self):
        rules = ["read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"', "init: true",
                 'user: "10001:10001"', "mem_limit:", "pids_limit:", "stop_grace_period:",
                 "core: 0", "healthcheck:", "networks: [mesh]"]
        for name in ["compose.yaml", "node.yaml"]:
            for rule in rules:
                self.assertIn(rule, text(name), name)
            for word in ["privileged: true", "cap_add", "docker.sock", "pid: host", "ipc: host"]:
                self.assertNotIn(word, text(name), name)
        services = text("compose.yaml").split("\nservices:\n")[1].split("\nnetworks:\n")[0]
        self.assertEqual(len(re.findall(r"(?m)^  [a-z-]+:$", services)),
                         len(re.findall(r"(?m)^    <<: \*(daemon|node)$", services)))
        self.assertRegex(text("compose.yaml"), r"(?m)^  mesh:\n    internal: true$")

    def test_a_stop_waits_longer_than_the_drain(self):
        source = os.path.join(ROOT, "services", "broker", "conf.c")
        with open(source, encoding="utf-8") as file:
            drain_s = int(re.search(r'"drain",.*?\.def = "(\d+)s"', file.read(), re.S).group(1))
        for name in ["compose.yaml", "node.yaml"]:
            self.assertGreater(int(re.search(r"stop_grace_period: (\d+)s", text(name)).group(1)), drain_s)
        for unit in glob.glob(os.path.join(COMPOSE, "systemd", "*.service")):
            self.assertGreater(int(re.search(r"TimeoutStopSec=(\d+)s", text(unit)).group(1)), drain_s)

    def test_both_stages_have_the_same_base_and_the_image_runs_as_nobody(self):
        docker = text("Dockerfile")
        self.assertEqual(re.findall(r"(?m)^FROM (\S+)", docker), ["${BASE}", "${BASE}"])
        self.assertRegex(docker, r"(?m)^USER 10001:10001$")
        self.assertRegex(docker, r"(?m)^STOPSIGNAL SIGTERM$")
        self.assertNotRegex(docker, r"(?m)^ADD |curl|wget|https?://")

    @unittest.skipUnless(shutil.which("dpkg-query"), "this is no Debian")
    def test_the_libraries_of_the_programs_are_those_listed_to_run(self):
        listed = set(re.findall(r"(?m)^(\S+)\s+run$", text("packages"))) | {"libc6", "libgcc-s1"}
        needed = set()
        for program in glob.glob(os.path.join(BIN, "kapula*")):
            dump = subprocess.run(["objdump", "-p", program], text=True, capture_output=True, check=True)
            needed |= set(re.findall(r"NEEDED\s+(\S+)", dump.stdout))
        needed = {name for name in needed if not re.match(r"lib(asan|ubsan|tsan)\.", name)}
        self.assertTrue(needed)
        for name in sorted(needed):
            owners = subprocess.run(["dpkg-query", "-S", f"*/{name}"], text=True, capture_output=True,
                                    check=False).stdout
            self.assertTrue(any(line.split(":")[0] in listed for line in owners.splitlines()),
                            f"{name} is of {owners}")


class Setup(Folder):
    ANSWERS = os.path.join(COMPOSE, "answers")

    def setup(self, *words, **options):
        return run(os.path.join(COMPOSE, "setup"), *words, **options)

    def test_it_lays_down_what_each_service_mounts(self):
        self.setup(self.ANSWERS, self.path("mesh"))
        laid = self.everything()
        for name in re.findall(r"\$\{KAPULA_MESH:-./mesh\}/([^:\n]+)", text("compose.yaml")):
            self.assertTrue(os.path.exists(self.path("mesh", name)), name)
        for name in laid:
            if name.startswith("keys/"):
                self.assertEqual(os.stat(self.path("mesh", name)).st_mode & 0o777, 0o600, name)
        self.assertEqual([name for name in laid if b"secret = " in laid[name] and "keys/" not in name], [])

    def test_twice_is_safe_and_keeps_keys(self):
        self.setup(self.ANSWERS, self.path("mesh"))
        before = self.everything()
        self.setup(self.ANSWERS, self.path("mesh"))
        self.assertEqual(self.everything(), before)

    def test_an_interrupted_setup_is_finished_by_the_next(self):
        self.setup(self.ANSWERS, self.path("mesh"))
        before = self.everything()
        os.remove(self.path("mesh", "directory", "directory.json"))
        os.remove(self.path("mesh", "daemons", "ely.conf"))
        self.write("half", "mesh", "directory", "directory.json.new")
        self.setup(self.ANSWERS, self.path("mesh"))
        self.assertEqual(self.everything(), before)

    def test_a_configuration_changed_by_hand_stays(self):
        self.setup(self.ANSWERS, self.path("mesh"))
        self.write('log = "debug";\n' + self.read("mesh", "daemons", "ely.conf"), "mesh", "daemons", "ely.conf")
        said = self.setup(self.ANSWERS, self.path("mesh"))
        self.assertIn("ely.conf.new", said)
        self.assertIn('log = "debug"', self.read("mesh", "daemons", "ely.conf"))

    def test_the_directory_follows_the_answers(self):
        self.setup(self.ANSWERS, self.path("mesh"))
        old = json.loads(self.read("mesh", "directory", "directory.json"))
        self.write(text("answers").replace("en Mikkeli", 'en The "City" of Mikkeli \\'), "answers")
        self.setup(self.path("answers"), self.path("mesh"))
        new = json.loads(self.read("mesh", "directory", "directory.json"))
        self.assertEqual(new["members"][0]["name"]["en"], 'The "City" of Mikkeli \\')
        self.assertEqual(new["members"][0]["curve"], old["members"][0]["curve"])

    def test_answers_that_cannot_be_right_are_refused_with_their_line(self):
        for old, new, sentence in (("member ely", "member ../ely", "an id is lower case"),
                                   ("region mikkeli", "regoin mikkeli", "regoin: is not known here"),
                                   ("    type ely", "    typo ely", "typo: is not known of a member"),
                                   ("    type ely", "    type", "type: its value is missing"),
                                   ("member partner", "member finnvera", "finnvera: is there twice")):
            with self.subTest(new=new):
                line = text("answers").split("\n").index(old) + 1
                self.write(re.sub(f"(?m)^{old}$", new, text("answers")), "answers")
                said = self.setup(self.path("answers"), self.path("mesh"), expect=1)
                self.assertRegex(said, f"answers:{line}: .*{re.escape(sentence)}")
                self.assertFalse(os.path.exists(self.path("mesh")))

    def test_a_directory_that_the_broker_refuses_does_not_take_effect(self):
        self.setup(self.ANSWERS, self.path("mesh"))
        before = self.read("mesh", "directory", "directory.json")
        self.write(text("answers").replace("roles node party\n", "roles node king\n", 1), "answers")
        self.assertIn("is no role", self.setup(self.path("answers"), self.path("mesh"), expect=1))
        self.assertEqual(self.read("mesh", "directory", "directory.json"), before)

    def test_a_rehearsal_has_a_clock_that_stays(self):
        self.setup("--rehearsal", "2025", self.ANSWERS, self.path("mesh"))
        before = self.everything()
        self.assertTrue(json.loads(before["directory/directory.json"])["rehearsal"])
        self.assertIn(b"clock = ", before["daemons/ely.conf"])
        self.setup("--rehearsal", "2025", self.ANSWERS, self.path("mesh"))
        self.assertEqual(self.everything(), before)

    def test_a_node_alone_makes_its_keys_and_joins_with_what_the_operator_sends(self):
        partner = re.search(r"(?ms)^member partner\n.*?\n\n", text("answers")).group(0)
        self.write("region mikkeli\n" + partner, "own")
        said = self.setup("--node", self.path("own"), self.path("node"), expect=1)
        self.assertIn("broker is missing", said)
        keys = "".join(re.findall(r"(?m)^    (?:curve|sealing|signing) .*\n", said))
        self.assertEqual(keys.count("\n"), 3)
        self.write(text("answers").replace(partner, partner.rstrip() + "\n" + keys + "\n"), "answers")
        said = self.setup(self.path("answers"), self.path("mesh"))
        self.assertFalse(os.path.exists(self.path("mesh", "keys", "partner.curve.key")))
        shutil.copy(self.path("mesh", "directory", "directory.json"), self.path("node", "directory"))
        shutil.copy(self.path("mesh", "keys", "pseudonym.secret"), self.path("node", "keys"))
        public = re.search(r"(?m)^broker_public .*\n", said).group(0)
        self.write("region mikkeli\nbroker tcp://broker.example.invalid:7300\n" + public + partner, "own")
        self.setup("--node", self.path("own"), self.path("node"))
        self.assertIn("KAPULA_DAEMON=partner", self.read("node", "node.env"))
        before = self.everything("node")
        self.setup("--node", self.path("own"), self.path("node"))
        self.assertEqual(self.everything("node"), before)


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
class Units(unittest.TestCase):
    def test_they_are_sandboxed(self):
        for name in ["kapula-broker.service", "kapula-node@.service"]:
            run("systemd-analyze", "security", "--offline=true", "--threshold=15",
                os.path.join(COMPOSE, "systemd", name))

    def test_both_have_the_same_sandbox(self):
        broker, node = (text("systemd", name).split("ExecReload", 1)[1]
                        for name in ["kapula-broker.service", "kapula-node@.service"])
        self.assertEqual(broker, node)


@unittest.skipUnless(engine(), "no Docker engine answers root, or docker-compose is not installed")
class Engine(Folder):
    """The operator's page as it stands there, and what a mesh in containers must survive."""

    def setUp(self):
        super().setUp()
        self.environment = {"KAPULA_MESH": self.path("mesh"), "KAPULA_IMAGE": IMAGE,
                            "COMPOSE_PROJECT_NAME": PROJECT, "COMPOSE_FILE": "compose/compose.yaml"}
        run("docker", "build", "--tag", IMAGE, "--file", "compose/Dockerfile", ".", seconds=900)
        self.addCleanup(self.compose, "down", "--volumes")

    def compose(self, *words, **options):
        return run("docker-compose", *words, **self.environment, **options)

    def kapula(self, who, *words):
        return run("docker", "exec", self.container(who), "kapula", *words)

    def json(self, who, *words):
        return json.loads(self.kapula(who, "--format", "json", *words))

    @staticmethod
    def container(name):
        """Its id by the labels that docker-compose gives; asking docker-compose takes a second."""
        label = "label=com.docker.compose."
        return run("docker", "ps", "-aq", "--filter", f"{label}project={PROJECT}",
                   "--filter", f"{label}service={name}").strip()

    @staticmethod
    def inspect(container, what):
        return run("docker", "inspect", "-f", "{{" + what + "}}", container).strip()

    def until_healthy(self, *names):
        for name in names:
            wait_for(f"{name} to be healthy", lambda name=name: self.inspect(
                self.container(name), ".State.Health.Status") == "healthy", 90)

    def edges(self):
        return self.json("municipality", "edges", "--region", "mikkeli")["edges"]

    def state(self, who, referral):
        return self.json(who, "show", referral)["state"]

    def refer(self, target, service):
        answer = self.json("municipality", "refer", "--to", target, "--service", service, "--business-id",
                           "1234567-1", "--customer", "company=Esimerkki Oy", "--basis", "customer_consent")
        self.assertEqual(answer["fate"], "committed")
        return answer["subject"]

    def confined(self, container):
        """What the engine made of the rules."""
        status = run("docker", "exec", container, "cat", "/proc/1/status", "/proc/self/status")
        self.assertEqual(set(re.findall(r"Cap(?:Eff|Prm|Bnd):\t(\w+)", status)), {"0" * 16})
        self.assertEqual(set(re.findall(r"NoNewPrivs:\t(\d)", status)), {"1"})
        self.assertEqual(set(re.findall(r"Uid:\t(\d+)", status)), {"10001"})
        run("docker", "exec", container, "touch", "/etc/kapula/x", expect=1)
        told = run("docker", "inspect", container)
        for key in glob.glob(self.path("mesh", "keys", "*")):
            with open(key, encoding="ascii") as file:
                secret = re.search(r'secret = "(.*)"|^([0-9a-f]{64})$', file.read(), re.M)
            self.assertNotIn(secret.group(1) or secret.group(2), told)

    def test_the_operator_s_page_does_what_it_says(self):
        self.addCleanup(run, "docker-compose", "-p", f"{PROJECT}-rehearsal", "-f", "compose/compose.yaml",
                        "-f", "compose/rehearsal.yaml", "down", "--volumes")
        script = "".join(re.findall(r"(?ms)^```sh\n(.*?)^```", text("README.md")))
        self.assertIn("docker-compose up -d", script)
        script = script.replace("/srv/kapula", self.path("mesh")).replace("--tag kapula", f"--tag {IMAGE}")
        script = script.replace("--referrals 400", "--referrals 10")
        script = script.replace("=kapula-rehearsal", f"={PROJECT}-rehearsal")
        # No programs but the image's; and `exec` wants a terminal.
        self.write("set -eux\n" + script, "page")
        environment = dict(self.environment, KAPULA_BIN="/nonexistent")
        done = subprocess.run(["script", "-qec", f"bash {self.path('page')}", "/dev/null"], cwd=ROOT, text=True,
                              capture_output=True, timeout=900, env=dict(os.environ, **environment),
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertIn("Esimerkki Oy", done.stdout)
        self.assertIn("The year 2025", done.stdout)
        self.until_healthy(*DAEMONS)

    def test_a_region_survives_the_ends_of_its_containers(self):
        run(os.path.join(COMPOSE, "setup"), os.path.join(COMPOSE, "answers"), self.path("mesh"))
        self.compose("up", "-d", "--no-build")
        self.until_healthy(*DAEMONS)
        referral = self.refer("finnvera", "financing")
        wait_for("delivery", lambda: self.state("finnvera", referral) == "delivered")
        self.kapula("finnvera", "answer", referral, "accept", "--role", "financing_expert")
        wait_for("the answer at home", lambda: self.state("municipality", referral) == "accepted")
        figures = self.edges()
        self.assertEqual([(row["from"], row["to"], row["referrals"]) for row in figures],
                         [("municipality", "finnvera", 1)])
        for name in DAEMONS:
            run("docker", "kill", "--signal", "KILL", self.container(name))
            run("docker", "start", self.container(name))
        self.until_healthy(*DAEMONS)
        self.assertEqual(self.edges(), figures)
        self.confined(self.container("broker"))
        self.compose("stop")
        ended = [self.inspect(self.container(name), ".State.ExitCode") for name in DAEMONS]
        self.assertEqual(ended, ["0"] * len(DAEMONS))
        self.compose("up", "-d", "--no-build")
        self.until_healthy(*DAEMONS)
        self.assertEqual(self.edges(), figures)

    def test_a_node_alone_joins_a_region_elsewhere(self):
        partner = re.search(r"(?ms)^member partner\n.*?\n\n", text("answers")).group(0)
        partner = partner.replace("member partner", "member hub")
        setup = os.path.join(COMPOSE, "setup")
        self.write("region mikkeli\n" + partner, "own")
        said = run(setup, "--node", self.path("own"), self.path("node"), expect=1)
        keys = "".join(re.findall(r"(?m)^    (?:curve|sealing|signing) .*\n", said))
        self.write(text("answers") + "\n" + partner.rstrip() + "\n" + keys, "answers")
        said = run(setup, self.path("answers"), self.path("mesh"))
        shutil.copy(self.path("mesh", "directory", "directory.json"), self.path("node", "directory"))
        shutil.copy(self.path("mesh", "keys", "pseudonym.secret"), self.path("node", "keys"))
        public = re.search(r"(?m)^broker_public .*\n", said).group(0)
        self.write("region mikkeli\nbroker tcp://broker:7300\n" + public + partner, "own")
        run(setup, "--node", self.path("own"), self.path("node"))
        self.compose("up", "-d", "--no-build", "municipality")
        node = ["docker-compose", "-p", f"{PROJECT}-node", "--env-file", self.path("node", "node.env"),
                "-f", "compose/node.yaml"]
        self.addCleanup(run, *node, "down", "--volumes")
        run(*node, "up", "-d", "--no-build", KAPULA_IMAGE=IMAGE)
        alone = run(*node, "ps", "-q").strip()
        # Stands for the way to a broker on another host.
        run("docker", "network", "connect", f"{PROJECT}_mesh", alone)
        self.until_healthy("municipality")
        wait_for("the node to be healthy", lambda: self.inspect(alone, ".State.Health.Status") == "healthy", 90)
        referral = self.refer("hub", "mentoring")
        wait_for("delivery", lambda: self.state("municipality", referral) == "delivered")
        self.assertIn(referral, run("docker", "exec", alone, "kapula", "--format", "json", "inbox"))


if __name__ == "__main__":
    unittest.main()
