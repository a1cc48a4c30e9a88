# SPDX-License-Identifier: MPL-2.0
"""`kapula import` against a real broker: small logs of our own, and a real one where it is at hand."""

import json
import os
import subprocess
import unittest

from mesh import BIN, ROOT, Mesh, wait_for

DATA = os.path.join(ROOT, "..", "shared", "data")
LOG = os.path.join(DATA, "receipt.xes")
TRUTH = os.path.join(DATA, "receipt.truth.json")
EVENT = ('<event><string key="org:resource" value="{}"/>'
         '<date key="time:timestamp" value="{}"/></event>')


def xes(cases, head=""):
    """A log of cases: name -> [(actor, time), ...]."""
    traces = "".join(
        f'<trace><string key="concept:name" value="{name}"/>'
        + "".join(EVENT.format(actor, time) for actor, time in events) + "</trace>"
        for name, events in cases.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}<log>{traces}</log>'


EXAMPLE = {"c1": [("A", "2024-02-29T23:00:00Z"), ("A", "2024-03-01T00:30:00+01:00"),
                  ("B", "2024-03-01T10:00:00Z"), ("C", "2024-03-01T10:00:00Z"),
                  ("B", "2024-03-01T11:00:00Z"), ("C", "2024-03-02T12:00:00Z")],
           "c2": [("A", "2024-03-01T08:00:00Z")],
           "c3": [("B", "2024-03-01T09:00:00Z"), ("A", "2024-03-01T08:00:00Z"),
                  ("A", "2024-03-01T10:00:00Z")]}


class Imports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.mesh.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__()

    def write(self, name, text):
        path = self.mesh.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def load(self, name, *words, expect=0):
        return self.mesh.kapula("operator", "import", "--into", name, *words, expect=expect,
                                timeout=300)

    def edges(self, name, *words):
        return self.mesh.json("operator", "edges", "--region", name, "--time", "elapsed", *words)

    def transfers(self, name):
        """How many transfers the archive has; 0 when it is not there yet."""
        done = self.mesh.run("operator", "--format", "json", "edges", "--region", name)
        return json.loads(done.stdout)["n"] if done.returncode == 0 else 0

    def test_the_worked_example(self):
        path = self.write("example.xes", xes(EXAMPLE))
        self.load("example", "--actor", "org:resource", path)
        answer = self.edges("example")
        rows = {(row["from"], row["to"]): row for row in answer["edges"]}
        self.assertEqual({pair: row["referrals"] for pair, row in rows.items()},
                         {("A", "B"): 2, ("B", "A"): 1, ("B", "C"): 2, ("C", "B"): 1})
        self.assertEqual(answer["n"], 6)
        self.assertTrue(all(row["time_to_accept"]["exact"] for row in rows.values()))
        self.assertEqual(rows["A", "B"]["time_to_accept"]["p90_ms"], 37_800_000)
        self.assertEqual(self.edges("example", "--to", "2024-03-01")["n"], 1)

    def test_a_second_import_changes_nothing_and_another_one_is_refused(self):
        path = self.write("twice.xes", xes(EXAMPLE))
        self.load("twice", "--actor", "org:resource", path)
        before = self.edges("twice")
        self.load("twice", "--actor", "org:resource", path)
        self.assertEqual(self.edges("twice")["as_of_seq"], before["as_of_seq"])
        said = self.load("twice", "--actor", "org:resource", "--missing", "C", path, expect=1)
        self.assertIn("twice", said)
        other = self.write("other.xes", xes({"c9": EXAMPLE["c1"]}))
        self.load("twice", "--actor", "org:resource", other, expect=1)
        said = self.load("mikkeli", "--actor", "org:resource", path, expect=2)
        self.assertIn("mikkeli", said)

    def test_a_csv_log_gives_the_same(self):
        rows = "".join(f"{name},{actor},{time}\n" for name, events in EXAMPLE.items()
                       for actor, time in events)
        path = self.write("example.csv", "case,who,when\n" + rows)
        self.load("csv", "--actor", "who", "--case", "case", "--time", "when", path)
        self.assertEqual(self.edges("csv")["n"], 6)

    def figures(self, name):
        """What must survive a way out and in again: edges with their counts and times."""
        return {(row["from"], row["to"]): (row["referrals"], row["accepted"], row["completed"],
                                           row["redirected"], row["time_to_accept"])
                for row in self.edges(name)["edges"]}

    def goes_out_and_in_again(self, name):
        for form, words in {"xes": ("--actor", "org:resource"),
                            "csv": ("--actor", "org:resource", "--delimiter", ",")}.items():
            path = self.mesh.path(f"{name}-again.{form}")
            self.mesh.kapula("operator", "export", "--region", name, "--as", form, "--out", path,
                             timeout=300)
            self.load(f"{name}-{form}", *words, path)
            self.assertEqual(self.figures(f"{name}-{form}"), self.figures(name), form)
            os.remove(path)

    def test_an_export_imported_again_gives_the_same_figures(self):
        odd = {"c&1": [("A \"x\"", "2024-02-29T23:00:00Z"), ("<B>, c", "2024-03-01T08:00:00Z"),
                       ("<B>, c", "2024-03-01T09:00:00Z"), ("A \"x\"", "2024-03-02T08:00:00Z")]}
        self.load("odd", "--actor", "org:resource", self.write("odd.xes", xes(
            {name.replace("&", "&amp;"): [(actor.replace("<", "&lt;").replace('"', "&quot;"), at)
                                          for actor, at in events]
             for name, events in odd.items()})))
        self.assertEqual(self.figures("odd").keys(),
                         {('A "x"', "<B>, c"), ("<B>, c", 'A "x"')})
        self.goes_out_and_in_again("odd")
        self.load("there", "--actor", "org:resource", self.write("there.xes", xes(EXAMPLE)))
        self.goes_out_and_in_again("there")

    def test_bad_files_are_refused_whole_with_the_place(self):
        for name, text in {
                "cut": xes(EXAMPLE)[:-40],
                "doctype": xes(EXAMPLE, '<!DOCTYPE log [<!ENTITY a "b">]>'),
                "latin": xes(EXAMPLE).replace("UTF-8", "ISO-8859-1")}.items():
            with self.subTest(name):
                path = self.write(f"{name}.xes", text)
                said = self.load(f"bad-{name}", "--actor", "org:resource", path, expect=1)
                self.assertRegex(said, r"(line|byte) \d+|ISO-8859-1")
                said = self.mesh.kapula("operator", "edges", "--region", f"bad-{name}", expect=1)
                self.assertIn(f"bad-{name}", said)

    def test_an_interrupted_import_goes_on(self):
        cases = {f"case-{i}": [(f"actor-{(i + k) % 7}", f"2024-01-{1 + k:02}T08:00:00Z")
                               for k in range(12)] for i in range(3000)}
        path = self.write("long.xes", xes(cases))
        command = [os.path.join(BIN, "kapula"), "-c", self.mesh.path("operator.conf"), "import",
                   "--into", "long", "--actor", "org:resource", path]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            wait_for("the first transfers", lambda: self.transfers("long") > 1000)
            one.kill()
        cut = self.edges("long")["n"]
        self.load("long", "--actor", "org:resource", path)
        self.assertEqual(self.edges("long")["n"], 3000 * 11)
        self.assertLessEqual(cut, 3000 * 11)

    @unittest.skipUnless(os.path.exists(LOG), "the real log is not at hand")
    def test_a_real_log_gives_the_known_figures(self):
        with open(TRUTH, encoding="utf-8") as file:
            truth = json.load(file)
        for name, words, view in (
                ("receipt", ["org:resource"], "org:resource"),
                ("receipt-group", ["org:group"], "org:group"),
                ("receipt-some", ["org:group", "--missing", "EMPTY"],
                 "org:group with EMPTY as missing")):
            with self.subTest(view):
                self.load(name, "--actor", *words, LOG)
                self.compare(name, truth[view])
                self.compare_metrics(name, truth[view])
        self.goes_out_and_in_again("receipt")

    def compare(self, name, truth):
        answer = self.edges(name)
        self.assertEqual(answer["n"], truth["handovers_total"])
        self.assertEqual(len(answer["edges"]), truth["distinct_edges"])
        self.assertEqual(sorted([row["from_name"], row["to_name"], row["referrals"]]
                                for row in answer["edges"]), sorted(truth["matrix"]))
        rows = {(row["from_name"], row["to_name"]): row["time_to_accept"]
                for row in answer["edges"]}
        for source, target, wait in truth["wait_ms_per_edge"]:
            times = rows[source, target]
            self.assertEqual(times["n"], wait["n"])
            for key in ("p50", "p90", "p99"):
                bound = 0 if times["exact"] else wait[key] * 0.01 + 1
                self.assertLessEqual(abs(times[f"{key}_ms"] - wait[key]), bound,
                                     (source, target, key))
            self.assertEqual(times["exact"], wait["n"] <= 1000)
        for month, count in truth["by_month_sent_utc"].items():
            year, number = map(int, month.split("-"))
            after = (f"{year + number // 12}-{number % 12 + 1:02}-01")
            got = self.edges(name, "--zone", "UTC", "--from", f"{month}-01", "--to", after)
            self.assertEqual(got["n"], count, month)

    def metric(self, name, metric, *words):
        return self.mesh.json("operator", "metrics", metric, "--region", name, *words)["values"]

    def compare_metrics(self, name, truth):
        """Shapes of the cases, and who hands back to whom."""
        got = self.metric(name, "ping-pong")
        self.assertEqual(got["ping_pongs"], truth["pingpong"]["total"])
        self.assertEqual(got["rate"], {"num": truth["pingpong"]["cases"],
                                       "den": truth["cases_with_handover"]})
        histogram = {int(length): cases for length, cases
                     in truth["handovers_per_case"]["histogram"].items() if length != "0"}
        got = self.metric(name, "chain-length")
        self.assertEqual({row["length"]: row["cases"] for row in got["lengths"]}, histogram)
        self.assertEqual(got["mean"], {"sum": truth["handovers_total"],
                                       "n": truth["cases_with_handover"]})
        self.assertEqual(got["max"], max(histogram))
        got = self.metric(name, "reciprocity")
        self.assertAlmostEqual(got["rate"]["num"] / got["rate"]["den"],
                               truth["reciprocity"]["weighted"], places=9)
        self.assertEqual(got["rate"], got["rate_all"])
        self.assertEqual(got["edges"], {"num": truth["reciprocity"]["edges_reciprocated"],
                                        "den": truth["distinct_edges"]})
        together = {(row["from_name"], row["to_name"]): row["together"]["num"]
                    for row in self.metric(name, "working-together")["pairs"]}
        self.assertEqual(len(together), 2 * truth["working_together"]["pairs"])
        self.assertEqual(sum(together.values()), 2 * truth["working_together"]["sum"])
        for one, other, cases in truth["working_together"]["top50"]:
            self.assertEqual((together[one, other], together[other, one]), (cases, cases))


if __name__ == "__main__":
    unittest.main()
