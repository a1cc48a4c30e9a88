# SPDX-License-Identifier: MPL-2.0
"""The follow-up model and the agreement on whole daemons, from tables as they are kept."""

import json
import os
import unittest

from mesh import Mesh

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tables")


class Follow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.mesh.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__()

    def table(self, name, coding="utf-8", change=lambda text: text):
        """A table of the folder `tables` as this organisation saved it: its path."""
        with open(os.path.join(TABLES, name), encoding="utf-8") as file:
            text = change(file.read())
        path = self.mesh.path(name)
        with open(path, "wb") as file:
            file.write(text.replace("\n", "\r\n").encode(coding))
        return path

    def says(self, *words, expect=0, who="coordinator"):
        """What `kapula ... --file` told as JSON; its refusals are there too."""
        done = self.mesh.run(who, "--format", "json", *words)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_a_plan_is_taken_as_it_is_kept_and_said_once(self):
        plan = ["plan", "set", "--plan", "action", "--year", "2026-2028", "--file"]
        told = self.says(*plan, self.table("toimintasuunnitelma.csv", "cp1252"), expect=1)
        self.assertEqual((told["coding"], told["header_line"], told["passed_over"]),
                         ("Windows-1252", 5, 3))
        self.assertEqual((told["said"], told["headings"], told["refused"]), (8, 1, 1))
        self.assertEqual([row["line"] for row in told["refusals"]], [18])
        self.assertNotIn("308T", str(told))
        self.assertEqual(told["not_used"], ["Kustannusarvio €"])
        self.assertIn({"title": "Toteuma %", "field": "progress"}, told["columns"])
        items = self.mesh.json("te-office", "plan", "list", "--year", "2027")["items"]
        self.assertEqual(len(items), 8)
        visits = [item for item in items if item["what"].startswith("Yhteiset yrityskäynnit (")][0]
        self.assertEqual((visits["goal"], visits["priority"], visits["progress"]),
                         ("Uusia kasvuyrityksiä seudulle", "1. Kasvu", 55))
        again = self.says(*plan, self.table("toimintasuunnitelma.csv", "utf-8-sig"), expect=1)
        self.assertEqual((again["coding"], again["said"], again["same"]), ("UTF-8 (BOM)", 0, 8))
        mended = self.table("toimintasuunnitelma.csv", change=lambda text: text.replace(
            ";40 %;", ";60 %;").replace("131052-308T ", ""))
        told = self.says(*plan, mended)
        self.assertEqual([(row["line"], row["change"]) for row in told["items"]
                          if row["change"] != "same"], [(6, "changed"), (18, "new")])

    def test_what_became_of_a_plan_is_told_by_the_same_table(self):
        table = self.table("verksamhetsplan.csv", "utf-8-sig")
        told = self.says("plan", "set", "--plan", "contact", "--year", "2026", "--file", table)
        self.assertEqual((told["said"], told["delimiter"]), (3, ","))
        report = self.mesh.path("utfall.csv")
        with open(report, "w", encoding="utf-8") as file:
            file.write("Vad,Mål,Läge,Framskridande\nGemensamma företagsbesök,"
                       "Företagen känner sina rådgivare,under_way,35 %\nEtt ord till,,reached,\n")
        told = self.says("plan", "report", "--plan", "contact", "--year", "2026", "--period",
                         "2026-11", "--file", report, expect=1)
        self.assertEqual([row["line"] for row in told["refusals"]], [3], "no such item")
        items = self.mesh.json("coordinator", "plan", "list", "--plan", "contact")["items"]
        states = {item["what"]: (item.get("status"), item.get("progress")) for item in items}
        self.assertEqual(states["Gemensamma företagsbesök"], ("under_way", 35))
        self.assertEqual(states['Mässa "Skärgården 2026"'], (None, None))
        again = self.says("plan", "report", "--plan", "contact", "--year", "2026", "--period",
                          "2026-11", "--file", report, expect=1)
        self.assertEqual((again["said"], again["same"]), (0, 1))
        told = self.mesh.kapula("coordinator", "--lang", "sv", "plan", "list", "--plan", "contact")
        self.assertIn("pågår", told)
        self.assertLessEqual(max(map(len, told.splitlines())), 80)

    def test_indicators_of_a_year_a_column(self):
        table = self.table("tunnusluvut.csv")
        told = self.says("indicator", "report", "--file", table, expect=1)
        self.assertEqual((told["said"], told["refused"]), (9, 1))
        self.assertEqual(told["refusals"][0]["line"], 6)
        rows = self.mesh.json("finnvera", "indicator", "list")["indicators"]
        values = {(row["indicator"], row["period"]): (row["value"], row["unit"]) for row in rows}
        self.assertEqual(values["companies_founded", "2025"], ("1305", "companies"))
        self.assertEqual(values["development_funding", "2024"], ("1980500.50", "eur"))
        self.assertEqual(values["Työttömyysaste", "2023"], ("9.8", "%"))
        self.assertNotIn(("companies_closed", "2024"), values)
        self.assertEqual(self.says("indicator", "report", "--file", table, expect=1)["same"], 9)

    def test_customers_of_a_year_with_rows_of_totals(self):
        told = self.says("customers", "report", "--file", self.table("asiakkaat.csv"), expect=1)
        self.assertEqual((told["said"], told["totals"], told["refused"]), (6, 1, 1))
        self.assertIn("Kylän kioski", told["refusals"][0]["sentence"])
        rows = self.mesh.json("coordinator", "customers", "list", "--year", "2024")["customers"]
        self.assertEqual({row["segment"]: (row["total"], row["new"]) for row in rows},
                         {"founder": (124, 96), "local_small": (310, 41), "home_market": (58, 9),
                          "unknown": (12, 3)})

    def test_what_counts_one_by_one_counts_once(self):
        table = self.table("neuvonta.csv")
        self.assertEqual(self.says("advice", "--file", table)["said"], 4)
        self.assertEqual(self.says("advice", "--file", table)["repeated"], 4)
        longer = self.table("neuvonta.csv", change=lambda text: text + ";;;sähköposti;2\n")
        told = self.says("advice", "--file", longer)
        self.assertEqual((told["said"], told["repeated"]), (1, 4))
        feed = self.mesh.kapula("coordinator", "--format", "json", "follow", "--from", "start",
                                "--until-end")
        self.assertEqual(feed.count("kapula.advice.given.v1"), 5)

    def test_answers_in_columns_and_no_word_of_who_gave_them(self):
        table = self.table("itsearviointi.csv")
        told = self.says("evaluate", "--period", "2026", "--file", table, expect=1)
        self.assertEqual((told["said"], told["refused"]), (28, 1), told["refusals"])
        self.assertEqual(told["refusals"][0]["line"], 4)
        self.assertEqual(told["not_used"], ["Vastaaja"])
        table = self.table("kysely.csv")
        told = self.says("survey", "answer", "--survey", "members", "--period", "2026", "--scale",
                         "4", "--file", table)
        self.assertEqual(told["said"], 5)
        feed = self.mesh.kapula("coordinator", "--format", "json", "follow", "--from", "start",
                                "--until-end")
        self.assertIn("Jatkakaa", feed)
        for word in ("Maija", "example.invalid", "Vastaaja"):
            self.assertNotIn(word, feed)

    def test_processes_targets_and_comments(self):
        mesh = self.mesh
        mesh.kapula("partner", "process", "set", "--name", "Yrityksen perustaminen", "--owner",
                    "partner", "--stages", "neuvonta, lausunto, perustaminen")
        rows = mesh.json("ely", "process", "list")["processes"]
        self.assertEqual([(row["owner"], row["stages"]) for row in rows],
                         [("partner", ["neuvonta", "lausunto", "perustaminen"])])
        told = mesh.kapula("te-office", "target", "set", "--target", "seminars", "--value", "2",
                           expect=1)
        self.assertIn("coordinator", told)
        mesh.kapula("te-office", "comment", "--period", "2026-10", "--text", "Kaksi paikkaa auki")
        self.assertIn("Kaksi paikkaa", mesh.kapula("ely", "comment", "list"))
        mesh.kapula("te-office", "comment", "--period", "2026-10")
        self.assertNotIn("Kaksi paikkaa", mesh.kapula("ely", "comment", "list"))

    def test_a_target_in_force_is_the_deadline_of_broker_and_nodes_alike(self):
        mesh = self.mesh

        def refer():
            answer = mesh.json("municipality", "refer", "--to", "te-office", "--service",
                               "recruitment", "--basis", "customer_consent", "--business-id",
                               "1234567-1", "--customer", "company=Esimerkki Oy")
            for who in ("te-office", "municipality"):
                mesh.until_state(who, answer["subject"], "delivered")
            return answer["subject"]

        def due(who, referral):
            return mesh.json(who, "show", referral)["due_at"]

        target = ["target", "set", "--target", "answer", "--service", "recruitment"]
        before = refer()
        mesh.kapula("coordinator", *target, "--days", "2")
        after = refer()
        mesh.kapula("coordinator", *target, "--days", "1", "--valid-to", "2026-01-01")
        for referral in (before, after):
            at_broker = due("coordinator", referral)
            self.assertEqual(due("te-office", referral), at_broker)
            self.assertEqual(due("municipality", referral), at_broker)
        self.assertLess(due("te-office", after), due("te-office", before))

    def test_an_agreement_goes_there_and_back(self):
        mesh = self.mesh
        path = self.table("sopimus.txt")
        self.assertIn("0 wrong", mesh.kapula("coordinator", "agreement", "check", path))
        told = mesh.kapula("coordinator", "agreement", "set", path, "--dry-run")
        self.assertIn("Nothing was said.", told)
        self.assertEqual(mesh.json("coordinator", "agreement", "show")["clauses"][0]["fields"],
                         {"limit": "undelivered", "value": "1"}, "nothing is agreed yet")
        told = self.says("agreement", "set", path, who="te-office", expect=1)
        self.assertEqual((told["refused"], told["said"]), (7, 2), "a party may set up forums")
        told = self.says("agreement", "set", path)
        self.assertEqual((told["refused"], told["operator"]), (0, 1))
        self.assertEqual(self.says("agreement", "set", path)["said"], 0)
        for language in ("en", "fi", "sv"):
            shown = mesh.kapula("ely", "--lang", language, "agreement", "show")
            with open(mesh.path("shown.txt"), "w", encoding="utf-8") as file:
                file.write(shown)
            told = self.says("agreement", "set", mesh.path("shown.txt"))
            self.assertEqual((told["said"], told["operator"]), (0, 0), shown)
        self.assertIn("regions[mikkeli].settings.silent_days = 20",
                      mesh.kapula("coordinator", "agreement", "set", path))
        less = self.table("sopimus.txt", change=lambda text: text.replace(
            "siirtää    te-office > municipality  laji liidi\n", "").replace(
                "yhteydenotto 3 päivää", "yhteydenotto 2 päivää"))
        told = mesh.kapula("coordinator", "agreement", "set", less)
        self.assertIn("- refers     te-office > municipality  kind lead\n", told)
        self.assertIn("1 changed, 1 ended", told)
        shown = mesh.kapula("ely", "agreement", "show")
        self.assertNotIn("te-office > municipality", shown)
        self.assertIn("target     contact 2 days\n", shown)
        self.assertEqual(self.says("agreement", "set", less)["said"], 0)


if __name__ == "__main__":
    unittest.main()
