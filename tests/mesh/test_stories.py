# SPDX-License-Identifier: MPL-2.0
"""Stories of referrals on whole daemons, as advisers and operators would live them."""

import glob
import os
import re
import shutil
import subprocess
import unittest

from mesh import BIN, LOCAL, Failed, Mesh, wait_for

CUSTOMER = ["--business-id", "1234567-1", "--customer", "company=Esimerkki Oy",
            "--customer", "person=Maija Esimerkki", "--customer", "phone=+358 40 000 0000",
            "--text", "Laajennus, rahoitustarve 40 000 euroa", "--segment", "local_small",
            "--basis", "customer_consent"]


def refer(mesh, who, *words):
    """The referral's id; committed."""
    answer = mesh.json(who, "refer", *words, *CUSTOMER)
    if answer["fate"] != "committed":
        raise Failed(f"the referral is {answer}")
    return answer["subject"]


def processes_of(folder):
    """Command lines that name the folder."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                line = file.read()
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


class Stories(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.mesh.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__()

    def test_an_event_log_has_cases_only_for_who_may_know_them(self):
        mesh = self.mesh
        referral = refer(mesh, "municipality", "--to", "ely", "--service", "financing")
        mesh.until_state("ely", referral, "delivered")
        log = mesh.kapula("municipality", "export", "--region", "mikkeli", "--as", "csv")
        self.assertIn(f"{referral},created,", log)
        case = mesh.json("municipality", "show", referral)["case"]
        self.assertNotIn(case, log)
        said = mesh.kapula("municipality", "export", "--as", "xes", "--trace", "case", expect=1)
        self.assertIn("--trace referral", said)
        log = mesh.kapula("municipality", "export", "--stream", "member/municipality", "--as", "xes")
        self.assertIn(f'<trace><string key="concept:name" value="{case}"/>', log)

    def test_a_referral_goes_all_the_way_and_the_answer_comes_home(self):
        mesh = self.mesh
        referral = refer(mesh, "municipality", "--to", "finnvera", "--service", "financing")
        mesh.until_state("finnvera", referral, "delivered")
        shown = mesh.json("finnvera", "show", referral)
        self.assertEqual(shown["contents"]["company"], "Esimerkki Oy")
        self.assertIn(referral, mesh.kapula("finnvera", "--format", "json", "inbox"))
        mesh.kapula("finnvera", "answer", referral, "accept", "--role", "financing_expert")
        mesh.kapula("finnvera", "answer", referral, "contacted", "--contact", "reached",
                    "--channel", "phone")
        mesh.kapula("finnvera", "answer", referral, "complete", "--outcome", "handled")
        mesh.until_state("municipality", referral, "completed")
        wait_for("answer_received", lambda: any(
            event["type"] == "kapula.referral.answer_received.v1"
            for event in mesh.json("finnvera", "show", referral)["events"]))

    def test_the_region_sees_figures_and_no_ends(self):
        mesh = self.mesh
        referral = refer(mesh, "te-office", "--to", "ely", "--service", "development-grant")
        mesh.until_state("ely", referral, "delivered")
        edge = mesh.edge("coordinator", "te-office", "ely")
        self.assertGreaterEqual(edge["referrals"], 1)
        feed = mesh.kapula("coordinator", "--format", "json", "follow", "--stream",
                           "region/mikkeli", "--from", "start", "--until-end")
        self.assertIn(referral, feed)
        for canary in ('"case"', '"customer"', "Esimerkki", "1234567-1", '"ends"'):
            self.assertNotIn(canary, "\n".join(
                line for line in feed.splitlines() if referral in line), canary)

    def test_a_redirect_is_one_group_with_its_child(self):
        mesh = self.mesh
        referral = refer(mesh, "municipality", "--to", "te-office", "--service", "startup-grant")
        mesh.until_state("te-office", referral, "delivered")
        mesh.kapula("te-office", "answer", referral, "redirect", "--reason", "wrong_service",
                    "--to", "partner", "--service", "startup-advice")
        mesh.until_state("municipality", referral, "redirected")
        child = mesh.json("te-office", "show", referral)["next"]
        mesh.until_state("partner", child, "delivered")
        self.assertEqual(mesh.json("partner", "show", child)["contents"]["company"], "Esimerkki Oy")

    def test_what_was_voided_is_not_handed_on_and_the_reason_is_its_state(self):
        mesh = self.mesh
        referral = refer(mesh, "municipality", "--to", "te-office", "--service", "startup-grant")
        mesh.until_state("te-office", referral, "delivered")
        mesh.kapula("municipality", "answer", referral, "consent-withdrawn")
        mesh.kapula("municipality", "answer", referral, "void", "--reason", "mistake")
        mesh.until_state("te-office", referral, "voided")
        said = mesh.kapula("te-office", "answer", referral, "redirect", "--reason", "wrong_area",
                           "--to", "ely", "--service", "export", expect=1)
        self.assertIn("voided", said)
        self.assertEqual(len(said.strip().splitlines()), 1)

    def test_a_withdrawal_that_comes_second_is_refused_with_the_current_state(self):
        mesh = self.mesh
        referral = refer(mesh, "municipality", "--to", "partner", "--service", "startup-advice")
        mesh.until_state("partner", referral, "delivered")
        mesh.kapula("partner", "answer", referral, "complete", "--outcome", "handled")
        mesh.until_state("municipality", referral, "completed")
        said = mesh.kapula("municipality", "answer", referral, "withdraw", "--reason",
                           "customer_request", expect=1)
        self.assertIn("completed", said)

    def test_guidance_has_no_deadline_and_ends_when_the_customer_came(self):
        mesh = self.mesh
        referral = refer(mesh, "municipality", "--to", "partner", "--service", "startup-advice",
                         "--kind", "guidance")
        mesh.until_state("partner", referral, "delivered")
        self.assertIsNone(mesh.json("partner", "show", referral).get("due_at"))
        mesh.kapula("partner", "answer", referral, "came")
        mesh.until_state("municipality", referral, "completed")

    def test_a_tally_sheet_stands_in_the_matrix_as_reported(self):
        mesh = self.mesh
        mesh.kapula("ely", "tally", "--to", "municipality", "--count", "7", "--period", "2026-10",
                    "--kind", "transfer")
        edge = wait_for("the tally", lambda: mesh.edge("coordinator", "ely", "municipality"))
        self.assertEqual(edge["reported"], 7)
        self.assertEqual(edge["referrals"], 0)

    def test_a_service_with_one_member_finds_it_and_a_bad_one_is_explained(self):
        mesh = self.mesh
        answer = mesh.json("municipality", "refer", "--service", "recruitment", *CUSTOMER)
        self.assertEqual(mesh.show_to("municipality", answer["subject"]), "te-office")
        said = mesh.kapula("municipality", "refer", "--service", "tax", *CUSTOMER, expect=1)
        self.assertIn("tax", said)

    def test_bad_customers_are_refused_in_words(self):
        mesh = self.mesh
        said = mesh.kapula("municipality", "refer", "--to", "finnvera", "--service", "financing",
                           "--business-id", "1234567-2", expect=1)
        self.assertIn("1234567-2", said)
        said = mesh.kapula("municipality", "refer", "--to", "finnvera", "--service", "financing",
                           "--text", "Asiakas 131052-308T soitti", expect=1)
        self.assertNotIn("131052-308T", said)

    def test_a_coordinator_holds_a_meeting_with_an_action(self):
        mesh = self.mesh
        mesh.kapula("coordinator", "forum", "set", "--id", "tyoryhma", "--kind", "working_group",
                    "--name", "Työryhmä", "--members", "municipality,te-office,ely",
                    "--rrule", "FREQ=MONTHLY;BYDAY=2TU", "--start", "2026-01-13T09:00")
        mesh.kapula("coordinator", "meeting", "plan", "--id", "kokous-1", "--forum", "tyoryhma",
                    "--starts", "2026-11-10T09:00")
        mesh.kapula("coordinator", "meeting", "hold", "--id", "kokous-1", "--starts",
                    "2026-11-10 09:00", "--attendance", "municipality,te-office", "--topics", "4")
        mesh.kapula("te-office", "meeting", "attend", "--id", "kokous-1", "--present", "present")
        mesh.kapula("coordinator", "action", "agree", "--id", "teko-1", "--meeting", "kokous-1",
                    "--what", "Soitetaan odottaville", "--member", "te-office")
        mesh.kapula("coordinator", "action", "done", "--id", "teko-1")
        self.assertIn("tyoryhma", mesh.kapula("coordinator", "--format", "json", "forum", "list"))
        self.assertIn("kokous-1", mesh.kapula("coordinator", "--format", "json", "meeting", "list"))
        self.assertIn("teko-1", mesh.kapula("coordinator", "--format", "json", "action", "list",
                                          "--all"))
        said = mesh.kapula("te-office", "forum", "set", "--id", "tyoryhma", "--kind",
                           "working_group", expect=1)
        self.assertIn("coordinator", said)


class Faults(unittest.TestCase):
    """Each with a mesh of its own, since daemons die in them."""

    def test_the_broker_dies_and_nothing_is_lost(self):
        with Mesh() as mesh:
            mesh.kill("broker")
            answer = mesh.json("municipality", "refer", "--to", "finnvera", "--service",
                               "financing", "--no-wait", *CUSTOMER)
            self.assertEqual(answer["fate"], "queued")
            mesh.start("broker")
            mesh.until_state("finnvera", answer["subject"], "delivered")
            mesh.kapula("finnvera", "answer", answer["subject"], "accept")
            mesh.until_state("municipality", answer["subject"], "accepted")

    def test_a_node_restored_from_an_old_copy_goes_on(self):
        with Mesh() as mesh:
            first = refer(mesh, "municipality", "--to", "partner", "--service", "startup-advice")
            mesh.until_state("partner", first, "delivered")
            mesh.kill("municipality")
            shutil.copytree(mesh.path("state", "municipality"), mesh.path("copy"))
            mesh.start("municipality")
            lost = refer(mesh, "municipality", "--to", "partner", "--service", "mentoring")
            mesh.until_state("partner", lost, "delivered")
            mesh.kill("municipality")
            shutil.rmtree(mesh.path("state", "municipality"))
            os.rename(mesh.path("copy"), mesh.path("state", "municipality"))
            mesh.start("municipality")
            third = refer(mesh, "municipality", "--to", "partner", "--service", "startup-advice")
            mesh.until_state("partner", third, "delivered")
            mesh.until_state("municipality", lost, "delivered")
            edge = mesh.edge("coordinator", "municipality", "partner")
            self.assertEqual(edge["referrals"], 3)

    def test_two_meshes_run_side_by_side_and_touch_only_their_folders(self):
        with Mesh() as one, Mesh() as other:
            refer(one, "municipality", "--to", "ely", "--service", "development-grant")
            wait_for("the edge", lambda: one.edge("coordinator", "municipality", "ely"))
            self.assertIsNone(other.edge("coordinator", "municipality", "ely"))
            one.local("stop", one.dir)
            self.assertEqual(glob.glob(one.path("run", "*.pid")), [])
            one.local("start", one.dir)
            self.assertEqual(one.edge("coordinator", "municipality", "ely")["referrals"], 1)

    def test_a_path_too_long_for_sockets_is_refused_and_leaves_nothing(self):
        folder = "/tmp/" + "a" * 90
        done = subprocess.run([LOCAL, "start", folder], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, KAPULA_BIN=BIN), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("at most 78 bytes", done.stderr)
        self.assertFalse(os.path.exists(folder))

    def test_a_rehearsal_that_cannot_be_says_why_and_leaves_no_process(self):
        done = subprocess.run([LOCAL, "run", "--once", "--referrals", "0"], capture_output=True,
                              text=True, timeout=120, env=dict(os.environ, KAPULA_BIN=BIN),
                              check=False)
        folder = re.search(r"logs: (\S+)", done.stdout)[1]
        running = processes_of(folder)
        shutil.rmtree(folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--referrals 0", done.stderr)
        self.assertEqual(running, [])

    def test_without_a_mesh_every_command_ends_with_a_line_and_its_code(self):
        with Mesh() as mesh:
            mesh.kill("municipality")
            said = mesh.kapula("municipality", "inbox", expect=3)
            self.assertEqual(len(said.strip().splitlines()), 1)
            mesh.kill("broker")
            said = mesh.kapula("operator", "edges", "--region", "mikkeli", expect=3, timeout=60)
            self.assertEqual(len(said.strip().splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
