# SPDX-License-Identifier: MPL-2.0
"""Files dropped at the daemons, as offices without a line of code live with Kapula."""

import glob
import json
import os
import re
import signal
import subprocess
import unittest

from mesh import BIN, Mesh, wait_for

HEADER = ("Oma viite;Y-tunnus;Yritys;Yhteyshenkilö;Kenelle;Palvelu;Lisätiedot;Luovutusperuste;"
          "Suostumuspäivä\r\n")


def referrals_csv(rows):
    """As a Finnish Excel saves it: BOM, semicolons, Windows line ends, doubled quotes."""
    text = HEADER + "".join(f'{number};1234567-1;"Esimerkki ""{number}"" Oy; tytär";Maija;{to};'
                            f"{service};Tarve;asiakkaan suostumus;20.11.2026\r\n"
                            for number, to, service in rows)
    return b"\xef\xbb\xbf" + text.encode("utf-8")


def drop(folder, name, data):
    """Written beside, then renamed into place when whole."""
    path = os.path.join(folder, name)
    with open(path + ".part", "wb") as file:
        file.write(data)
    os.rename(path + ".part", path)


def sent(mesh, who="municipality"):
    return mesh.json(who, "outbox", "--all")["referrals"]


class Intake(unittest.TestCase):
    """Daemons die in some of them, so each has a mesh of its own."""

    def test_a_file_goes_to_finnvera_over_a_broker_that_died_and_the_decision_comes_home(self):
        with Mesh() as mesh:
            mesh.kill("broker")
            drop(mesh.path("spool", "municipality", "in"), "siirrot marraskuu.csv",
                 referrals_csv([("K-1", "Finnvera", "rahoitus")]))
            referral = wait_for("the row to be queued", lambda: sent(mesh))[0]["id"]
            self.assertEqual(mesh.json("municipality", "acts")["acts"][0]["fate"], "queued")
            mesh.start("broker")
            mesh.until_state("finnvera", referral, "delivered")
            [name] = wait_for("the application",
                              lambda: glob.glob(mesh.path("finnvera", "applications", "*.json")))
            with open(name, encoding="utf-8") as file:
                application = json.load(file)
            self.assertEqual(application["referral"], referral)
            self.assertEqual(application["company"], 'Esimerkki "K-1" Oy; tytär')
            self.assertEqual(os.stat(name).st_mode & 0o777, 0o600)
            mesh.kill("broker")
            drop(mesh.path("finnvera", "decisions"), "paatokset.csv",
                 ("Hakemus;Päätös;Päätöspäivä;Summa;Perustelut\r\n"
                  f"{referral};myönnetty;20.11.2026;25000;Haetun mukaisesti\r\n").encode())
            mesh.until_state("finnvera", referral, "completed")
            mesh.start("broker")
            mesh.until_state("municipality", referral, "completed")
            shown = mesh.json("municipality", "show", referral)
            self.assertEqual(shown["outcome"], "handled")
            self.assertIn("Haetun mukaisesti", json.dumps(shown, ensure_ascii=False))
            wait_for("answer_received", lambda: "answer_received_at" in
                     mesh.json("finnvera", "show", referral))
            wait_for("the application to be gone",
                     lambda: not glob.glob(mesh.path("finnvera", "applications", "*.json")))
            self.assertEqual(mesh.edge("coordinator", "municipality", "finnvera")["completed"], 1)
            self.assertEqual(glob.glob(mesh.path("spool", "municipality", "refused", "*")), [])

    def test_a_node_killed_in_the_middle_of_a_file_says_each_row_once(self):
        with Mesh() as mesh:
            rows = 3000
            drop(mesh.path("spool", "municipality", "in"), "siirrot.csv", referrals_csv(
                [(f"K-{i}", "partner", "startup-advice") for i in range(rows)]))
            self.kill_while(mesh, "municipality", rows)
            self.kill_while(mesh, "partner", rows)
            self.until_sent(mesh, rows)

    def kill_while(self, mesh, name, rows):
        """Kills and restarts a daemon a few times while the rows go through."""
        for part in (1, 2, 3):
            wait_for(f"{part} quarters", lambda part=part: self.counted(mesh) >= rows * part // 8)
            mesh.kill(name)
            mesh.start(name)

    def counted(self, mesh):
        edge = mesh.edge("ely", "municipality", "partner")
        return edge["referrals"] if edge else 0

    def until_sent(self, mesh, rows, to="partner", seconds=120):
        folder = mesh.path("spool", "municipality", "in")
        wait_for("the file to be gone", lambda: not os.listdir(folder), seconds)
        wait_for("empty outboxes", lambda: all(
            mesh.json(who, "health")["outbox"]["waiting"] == 0 for who in ("municipality", to)),
            seconds)
        wait_for("each to be delivered", lambda: mesh.edge(
            "ely", "municipality", to)["undelivered"] == 0, seconds)
        self.assertEqual(mesh.edge("ely", "municipality", to)["referrals"], rows)

    @unittest.skipUnless(os.environ.get("KAPULA_FULL") == "yes", "a run of --full")
    def test_a_file_of_100_000_rows_goes_through(self):
        with Mesh() as mesh:
            rows = 100_000
            drop(mesh.path("spool", "municipality", "in"), "siirrot.csv", referrals_csv(
                [(f"K-{i}", "partner", "startup-advice") for i in range(rows)]))
            self.until_sent(mesh, rows, seconds=1800)


class Asking(unittest.TestCase):
    def test_a_script_may_ask_through_a_node_as_often_as_it_likes(self):
        with Mesh() as mesh:
            for _ in range(80):
                mesh.kapula("ely", "edges")

    def test_what_is_wrong_is_said_before_anybody_is_asked(self):
        with Mesh() as mesh:
            for words, sentence in ((("--from", "2026-02-30"), "--from 2026-02-30"),
                                    (("--from", "2026-12-01", "--to", "2026-11-01"),
                                     "--to 2026-11-01")):
                said = mesh.kapula("coordinator", "edges", *words, expect=2)
                self.assertIn(sentence, said)
                self.assertEqual(len(said.strip().splitlines()), 1)

    def test_a_tally_is_a_column_of_the_matrix_and_who_may_not_see_it_reads_so(self):
        with Mesh() as mesh:
            self.assertNotIn("Rep.", mesh.kapula("coordinator", "edges"))
            mesh.kapula("ely", "tally", "--to", "partner", "--count", "7", "--period", "2026-10")
            mesh.kapula("municipality", "refer", "--to", "partner", "--service", "mentoring",
                        "--basis", "customer_consent")
            table = mesh.kapula("coordinator", "edges")
            self.assertIn("Handovers in mikkeli: 1 transfer, ", table)
            [row] = [line for line in table.splitlines() if line.startswith("South Savo ELY")]
            self.assertTrue(row.endswith(" 7"), row)
            self.assertLessEqual(max(len(line) for line in table.splitlines()), 80)
            drop(mesh.path("spool", "municipality", "in"), "siirrot.csv", referrals_csv(
                [(f"K-{i}", "partner", "startup-advice") for i in range(30)]))
            wait_for("the rows", lambda: mesh.edge("ely", "municipality",
                                                   "partner")["referrals"] == 31)
            self.assertIn("totals only", mesh.kapula("operator", "edges"))


class Checks(unittest.TestCase):
    """--check, before anything is started."""

    def check(self, mesh, daemon, pattern, instead):
        """Exit code and output of --check for municipality's configuration, changed."""
        with open(mesh.path("daemons", "municipality.conf"), encoding="utf-8") as file:
            text, changes = re.subn(pattern, instead, file.read())
        self.assertGreater(changes, 0)
        with open(mesh.path("daemons", "x.conf"), "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([os.path.join(BIN, daemon), "-c", mesh.path("daemons", "x.conf"),
                               "--check"], capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_a_broken_configuration_is_told_before_the_start(self):
        node = "kapula-municipality"
        with Mesh() as mesh:
            code, said = self.check(mesh, node, "^", "# nothing changed\n")
            self.assertEqual(code, 0)
            self.assertIn("are usable", said)
            for daemon, pattern, instead, sentence in (
                    (node, "tcp:", "tpc:", "tcp://host:port"),
                    (node, 'member = "municipality"', 'membr = "x"', "perhaps member is meant"),
                    (node, 'member = "municipality"', 'member = "x"', "x of the configuration"),
                    (node, "municipality.curve.key", "none.key", "none.key: not found"),
                    (node, "municipality.curve.key", "ely.sealing.key", "curve"),
                    (node, "directory.json", "none.json", "No such file"),
                    (node, "}", "", "syntax error"),
                    ("kapula-finnvera", "^", "# another daemon\n", "kapula-partner serves any")):
                code, said = self.check(mesh, daemon, pattern, instead)
                self.assertEqual(code, 2, said)
                self.assertIn(sentence, said)

    def test_asked_to_end_in_the_middle_of_work_it_ends_and_goes_on_later(self):
        with Mesh() as mesh:
            rows = 2000
            drop(mesh.path("spool", "municipality", "in"), "siirrot.csv", referrals_csv(
                [(f"K-{i}", "partner", "startup-advice") for i in range(rows)]))
            counted = lambda: (mesh.edge("ely", "municipality", "partner") or {"referrals": 0})
            for name in ("municipality", "partner", "broker", "municipality"):
                before = counted()["referrals"]
                wait_for("work", lambda before=before: counted()["referrals"] > before
                         or before == rows)
                mesh.kill(name, signal.SIGTERM)
                mesh.start(name)
            wait_for("every row", lambda: counted()["referrals"] == rows, 120)
            wait_for("every delivery", lambda: counted()["undelivered"] == 0, 120)


class Directory(unittest.TestCase):
    def test_a_key_removed_from_the_directory_is_heard_no_more_and_comes_back(self):
        with Mesh() as mesh:
            with open(mesh.path("directory.json"), encoding="utf-8") as file:
                whole = json.load(file)
            without = dict(whole, members=[m for m in whole["members"] if m["id"] != "partner"])
            self.replace(mesh, without)
            wait_for("the broker to let go of partner", lambda: mesh.json(
                "operator", "health")["members"] == len(without["members"]))
            wait_for("partner's node to say so",
                     lambda: not mesh.json("partner", "health")["ok"])
            said = mesh.kapula("partner", "edges", expect=1, timeout=10)
            self.assertIn("not in the directory", said)
            self.assertEqual(len(said.strip().splitlines()), 1, said)
            said = mesh.kapula("municipality", "refer", "--to", "partner", "--service", "mentoring",
                               "--basis", "customer_consent", expect=1)
            self.assertIn("partner", said)
            self.replace(mesh, whole)
            wait_for("partner to be back", lambda: mesh.json("partner", "health")["ok"])
            answer = mesh.json("municipality", "refer", "--to", "partner", "--service", "mentoring",
                               "--basis", "customer_consent")
            mesh.until_state("partner", answer["subject"], "delivered")
            mesh.kapula("partner", "answer", answer["subject"], "accept")

    def test_a_broken_directory_changes_nothing(self):
        with Mesh() as mesh:
            with open(mesh.path("directory.json"), "w", encoding="utf-8") as file:
                file.write("{ half a file")
            wait_for("the broker to refuse it", lambda: "directory" in mesh.logs() and any(
                "refused" in line or "error" in line for line in mesh.logs().splitlines()
                if "directory" in line))
            mesh.kapula("municipality", "refer", "--to", "partner", "--service", "mentoring",
                        "--basis", "customer_consent")

    def replace(self, mesh, directory):
        path = mesh.path("directory.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(directory, file)
        os.rename(path + ".new", path)


if __name__ == "__main__":
    unittest.main()
