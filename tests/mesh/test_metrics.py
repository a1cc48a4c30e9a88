# SPDX-License-Identifier: MPL-2.0
"""Figures on whole daemons: asked, frozen, asked again, and as the steering group's page."""

import datetime
import hashlib
import json
import os
import re
import stat
import unittest
import zoneinfo

from mesh import Mesh, wait_for

CUSTOMER = ["--business-id", "1234567-1", "--text", "Rahoitus", "--basis", "customer_consent"]


class Metrics(unittest.TestCase):
    """One mesh: three handovers to finnvera, one taken, one declined, one waiting."""

    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.mesh.__enter__()
        os.environ["XDG_DATA_HOME"] = cls.mesh.path("data")
        cls.referrals = [cls.refer() for _ in range(3)]
        for referral in cls.referrals:
            cls.mesh.until_state("finnvera", referral, "delivered")
        cls.mesh.kapula("finnvera", "answer", cls.referrals[0], "accept")
        cls.mesh.kapula("finnvera", "answer", cls.referrals[1], "decline", "--reason", "no_capacity")

    @classmethod
    def tearDownClass(cls):
        del os.environ["XDG_DATA_HOME"]
        cls.mesh.__exit__()

    @classmethod
    def refer(cls):
        answer = cls.mesh.json("municipality", "refer", "--to", "finnvera", "--service", "financing",
                               *CUSTOMER)
        return answer["subject"]

    def ask(self, *words):
        return self.mesh.json("coordinator", "metrics", *words)

    def test_a_figure_has_its_numbers_and_its_breakdown(self):
        answer = self.ask("acceptance", "--by", "edge")
        self.assertEqual(answer["scope"]["region"], "mikkeli")
        self.assertEqual((answer["n"] - answer["pending"], answer["values"]["turned_down"]),
                         (answer["decided"], 1))
        row = next(row for row in answer["rows"] if row["key"]["edge"] == ["municipality", "finnvera"])
        self.assertEqual(row["n"], answer["n"])
        text = self.mesh.kapula("coordinator", "metrics", "acceptance", "--by", "edge")
        self.assertRegex(text, r"\n  rate +\d+/\d+ +\d+ %\n")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        table = self.mesh.kapula("coordinator", "--format", "csv", "metrics", "acceptance", "--by", "edge")
        self.assertTrue(table.startswith("from,to,rate_num,rate_den,"), table)

    def test_the_stock_of_each_month_ends_with_the_window(self):
        answer = self.ask("matrix", "--kind", "stock", "--by", "month")
        now = datetime.datetime.fromisoformat(answer["as_of_time"].replace("Z", "+00:00"))
        month = now.astimezone(zoneinfo.ZoneInfo("Europe/Helsinki")).strftime("%Y-%m")
        self.assertEqual(answer["rows"][-1]["key"]["month"], month)

    def test_every_metric_of_the_list_can_be_asked_and_shown(self):
        listed = self.mesh.json("coordinator", "metrics", "list")["metrics"]
        self.assertEqual(len(listed), 18)
        for metric in listed:
            for word in ["", *filter(None, metric["by"].split(", "))]:
                by = ["--by", word] if word else []
                who, by = ("operator", [*by, "--nation"]) if word == "region" else ("coordinator", by)
                for form in ("table", "json", "csv"):
                    text = self.mesh.kapula(who, "--format", form, "metrics", metric["metric"], *by)
                    if form == "table":
                        self.assertLessEqual(max(map(len, text.splitlines())), 80, text)

    def test_what_is_asked_wrongly_is_refused_with_what_would_be_right(self):
        wrong = {("acceptanse",): "acceptance",
                 ("acceptance", "--region", "mikeli"): "kapula directory",
                 ("acceptance", "--month", "2026-13"): "2026-10",
                 ("acceptance", "--member", "nobody"): "kapula directory",
                 ("reciprocity", "--by", "edge"): "leave by",
                 ("acceptance", "--kind", "flow"): "cohort",
                 ("acceptance", "--from", "2026-01-01", "--to", "2026-12-31", "--by", "service",
                  "--where", "segment=founder"): "31 days"}
        for words, right in wrong.items():
            said = self.mesh.kapula("coordinator", "metrics", *words, expect=1)
            self.assertIn(right, said)
            self.assertEqual(len(said.splitlines()), 1, said)

    def test_a_frozen_answer_is_asked_again_old_new_and_why(self):
        self.mesh.kapula("coordinator", "metrics", "acceptance", "--freeze", "before")
        path = self.mesh.path("data", "kapula", "frozen", "before.json")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as file:
            frozen = json.load(file)
        said = frozen.pop("hash")
        text = json.dumps(frozen, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.assertEqual(said, hashlib.blake2b(text.encode(), digest_size=32).hexdigest())
        self.assertIn("The same answer as then", self.mesh.kapula("coordinator", "frozen", "again", "before"))

        self.mesh.kapula("municipality", "answer", self.referrals[1], "void", "--reason", "mistake")
        old = frozen["questions"][0]["answer"]["n"]
        wait_for("the figures to follow", lambda: self.ask("acceptance")["n"] == old - 1)
        again = self.mesh.json("coordinator", "frozen", "again", "before")
        self.assertTrue(again["intact"])
        self.assertGreater(again["now_seq"], again["as_of_seq"])
        changed = {row["what"]: (row["old"], row["new"]) for row in again["differences"]}
        self.assertEqual(changed["n"], (old, old - 1))
        self.assertEqual(changed["turned_down"], (1, 0))
        voided = [row for row in again["why"] if row["event"] == "kapula.referral.voided.v1"]
        self.assertEqual([row["subjects"] for row in voided], [[self.referrals[1]]])
        self.referrals[1] = self.refer()
        self.mesh.until_state("finnvera", self.referrals[1], "delivered")
        self.mesh.kapula("finnvera", "answer", self.referrals[1], "decline", "--reason", "no_capacity")

    def test_a_wider_scope_is_asked_again_too(self):
        self.mesh.kapula("coordinator", "metrics", "matrix", "--member", "municipality", "--freeze", "ours")
        added = self.refer()
        self.mesh.until_state("finnvera", added, "delivered")
        again = self.mesh.json("coordinator", "frozen", "again", "ours")
        self.assertIn("transfers", [row["what"] for row in again["differences"]])
        created = [row for row in again["why"] if row["event"] == "kapula.referral.created.v1"]
        self.assertEqual([added in row["subjects"] for row in created], [True])
        self.mesh.kapula("finnvera", "answer", added, "decline", "--reason", "no_capacity")

    def test_the_report_is_one_page_in_three_languages(self):
        month = ["--from", "2026-01-01", "--to", "2099-01-01"]
        for lang, word in (("fi", "Siirrot toimijalta toiselle"), ("sv", "Vad blev sämre"),
                           ("en", "Which edges need a talk")):
            page = self.mesh.kapula("coordinator", "--format", "html", "--lang", lang, "report", *month)
            self.assertIn(word, page)
            self.assertIn(f'<html lang="{lang}">', page)
            self.assertEqual(re.findall(r"(?:src|href)=|url\(|https?:", page), [])
            self.assertEqual(page.count("<table"), page.count("</table>"))
        text = self.mesh.kapula("coordinator", "report", *month)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertNotIn("Not given to this key", text)
        said = self.mesh.kapula("coordinator", "report", "--edition", "public", *month, expect=1)
        self.assertIn("14 days", said)

    def test_an_activation_meeting_sees_what_is_open_between_those_present(self):
        waiting = self.referrals[2][-12:]
        text = self.mesh.kapula("coordinator", "report", "--for", "activation", "--members",
                                "municipality,finnvera")
        self.assertIn(waiting, text)
        text = self.mesh.kapula("coordinator", "report", "--for", "activation", "--members",
                                "municipality,ely")
        self.assertNotIn(waiting, text)

    def test_nobody_is_an_orphan_on_the_first_day(self):
        self.assertIn("No handover is left without care.", self.mesh.kapula("coordinator", "orphans"))


if __name__ == "__main__":
    unittest.main()
