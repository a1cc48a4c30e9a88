# SPDX-License-Identifier: MPL-2.0
"""Files in and out of whole daemons: CRM files, decisions, an area's feed."""

import json
import os
import unittest

from mesh import Mesh, wait_for

HEADER = "Y-tunnus;Yritys;Palvelu;Vastaanottaja;Luovutusperuste;Suostumuspäivä\n"
GIVEN = ";suostumus;2.1.2026\n"


def drop(mesh, folder, name, text):
    """Renames a whole file into place and waits until it was taken."""
    with open(mesh.path("dropped.tmp"), "w", encoding="utf-8") as file:
        file.write(text)
    path = mesh.path(*folder, name)
    os.rename(mesh.path("dropped.tmp"), path)
    wait_for(f"{name} to be taken", lambda: not os.path.exists(path))


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.mesh.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__()

    def applications(self):
        return os.listdir(self.mesh.path("finnvera", "applications"))

    def test_a_crm_file_goes_out_survives_the_broker_and_a_decision_file_comes_home(self):
        mesh = self.mesh
        mesh.kill("broker")
        drop(mesh, ("spool", "municipality", "in"), "siirrot.csv",
             HEADER + "1234567-1;Esimerkki Oy;Rahoitus;finnvera" + GIVEN +
             "1234567-1;Esimerkki Oy;Hauki;finnvera" + GIVEN)
        with open(mesh.path("spool", "municipality", "refused", "siirrot.csv"),
                  encoding="utf-8") as file:
            self.assertIn("siirrot.csv;3;Palvelu;'Hauki' is not one of", file.read())
        self.assertEqual(self.applications(), [])
        mesh.start("broker")
        name = wait_for("the application", self.applications)[0]
        with open(mesh.path("finnvera", "applications", name), encoding="utf-8") as file:
            application = json.load(file)
        self.assertEqual(application["company"], "Esimerkki Oy")
        referral = application["referral"]
        drop(mesh, ("finnvera", "decisions"), "paatokset.csv",
             f"Hakemus;Päätös;Summa\n{referral};myönnetty;25000\n")
        mesh.until_state("municipality", referral, "completed")
        wait_for("the application's end", lambda: not self.applications())

    def test_the_same_file_again_changes_nothing(self):
        mesh = self.mesh
        before = mesh.json("municipality", "acts")
        for _ in range(2):
            drop(mesh, ("spool", "municipality", "in"), "tukkimies.csv",
                 "Kuukausi;finnvera;ely\n1/2026;4;2\n")
        after = mesh.json("municipality", "acts")
        self.assertEqual(len(after["acts"]) - len(before["acts"]), 2)

    def test_an_area_follows_its_regions_into_files(self):
        mesh = self.mesh
        path = mesh.path("daemons", "ely.conf")
        with open(path, "a", encoding="utf-8") as file:
            file.write('ely = { feed = "../feed"; };\n')
        feed = mesh.path("feed", "mikkeli-1.jsonl")

        def lines():
            if not os.path.exists(feed):
                return []
            with open(feed, encoding="utf-8") as file:
                return [json.loads(line) for line in file]

        drop(mesh, ("spool", "te-office", "in"), "siirrot.csv",
             HEADER + "1234567-1;Esimerkki Oy;Rahoitus;finnvera" + GIVEN)
        for _ in range(2):  # killed in between: no line is lost or comes twice
            mesh.kill("ely")
            mesh.start("ely")
            wait_for("the feed", lines)
        drop(mesh, ("spool", "te-office", "in"), "siirrot-2.csv",
             HEADER + "1234567-1;Toinen Oy;Rahoitus;finnvera" + GIVEN)
        wait_for("both referrals", lambda: sum(
            line["event"]["type"] == "kapula.referral.created.v1" and
            line["event"]["data"]["from"] == "te-office" for line in lines()) == 2)
        numbers = [line["seq"] for line in lines()]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        with open(feed, encoding="utf-8") as file:
            text = file.read()
        for canary in ("Esimerkki", "1234567-1", '"customer"', '"ends"'):
            self.assertNotIn(canary, text)


if __name__ == "__main__":
    unittest.main()
