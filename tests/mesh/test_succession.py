# SPDX-License-Identifier: MPL-2.0
"""Who follows whom, said by the operator, and the figures as organisations are now."""

import unittest

from mesh import Mesh

CUSTOMER = ["--business-id", "1234567-1", "--text", "Rahoitus", "--basis", "customer_consent"]


class Succession(unittest.TestCase):
    """municipality > te-office > finnvera, and then te-office becomes part of the municipality."""

    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.mesh.__enter__()
        for source, target in [("municipality", "te-office"), ("te-office", "finnvera"),
                               ("te-office", "finnvera")]:
            referral = cls.mesh.json(source, "refer", "--to", target, "--service", "financing",
                                     *CUSTOMER)["subject"]
            cls.mesh.until_state(target, referral, "delivered")

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__()

    def say(self, kind, *fields, expect=0, who="operator"):
        words = [word for field in fields for word in ("--field", field)]
        return self.mesh.kapula(who, "event", kind, *words, expect=expect)

    def edges(self, *words):
        answer = self.mesh.json("coordinator", "metrics", "matrix", "--by", "edge", *words)
        rows = {">".join(row["key"]["edge"]): row["n"] for row in answer["rows"]}
        return rows, answer["values"]["internal"]

    def test_the_operator_says_who_follows_and_then_and_now_differ(self):
        then = self.edges()
        self.assertEqual((then[0]["municipality>te-office"], then[0]["te-office>finnvera"], then[1]),
                         (1, 2, 0))
        said = self.say("member.succeeded", "from_ids=te-office", "to_ids=municipality",
                        "valid_from=2025-01-01")
        self.assertRegex(said, r"^member.succeeded: committed at \d+\n$")
        self.assertEqual(self.edges(), then)
        now, internal = self.edges("--view", "now")
        self.assertEqual((now["municipality>finnvera"], internal), (2, 1))
        self.assertFalse([edge for edge in now if "te-office" in edge])
        self.assertRegex(self.say("member.succeeded", "from_ids=te-office", "to_ids=ely",
                                  "valid_from=2025-01-01", expect=1),
                         "it has a successor already; let another follow that one")

    def test_what_cannot_be_is_refused_with_what_would_be_right(self):
        self.assertIn("there is no such member",
                      self.say("member.succeeded", "from_ids=ghost", "to_ids=ely",
                               "valid_from=2025-01-01", expect=1))
        self.assertIn("by_region", self.say("member.succeeded", "from_ids=partner",
                                            "to_ids=ely,finnvera", "valid_from=2025-01-01", expect=1))
        self.assertIn("valid_from", self.say("member.succeeded", "from_ids=partner", "to_ids=ely",
                                             expect=2))
        self.assertIn("to_id is no field", self.say("member.succeeded", "to_id=ely", expect=2))
        self.assertIn("operator", self.say("member.succeeded", "from_ids=partner", "to_ids=ely",
                                           "valid_from=2025-01-01", who="municipality", expect=2))

    def test_a_split_names_the_regions(self):
        self.assertIn("committed", self.say("member.succeeded", "from_ids=partner",
                                            "to_ids=ely,finnvera", "valid_from=2025-01-01",
                                            "by_region=mikkeli=ely, savonlinna=finnvera"))
        referral = self.mesh.json("municipality", "refer", "--to", "partner", "--service", "financing",
                                  *CUSTOMER)["subject"]
        self.mesh.until_state("partner", referral, "delivered")
        self.assertIn("municipality>ely", self.edges("--view", "now")[0])
        self.assertIn("committed", self.say("kapula.area.succeeded.v1", "from_ids=etela-savo",
                                            "to_ids=itainen", "valid_from=2026-01-01"))


if __name__ == "__main__":
    unittest.main()
