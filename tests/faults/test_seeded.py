# SPDX-License-Identifier: MPL-2.0
"""Bugs put in on purpose (common/seeded.h): each must be found, and nothing without them.

A row names the bug, what it does, and the quickest test that finds it: a test of a Criterion suite
(room/suite/test), a look of find.py (find/...), or a few histories of the oracle."""

import os
import re
import subprocess
import sys
import time
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))
SEEDED = os.environ.get("KAPULA_SEEDED_BIN", "")
PROGRAMS = os.path.join(os.path.dirname(SEEDED.rstrip("/")), "tests")
FOUND, NOTHING = 1, 0
HISTORIES = 6  # of the oracle, each a second or less
CONTROLS = [
    # durable before it is said
    ("sync_dropped", "no sync of the store ever happens", "find/disk"),
    ("receipt_before_sync", "the receipt goes out, then the commit is synced", "find/disk"),
    ("commit_dropped", "a receipt for what was never committed", "find/broker"),
    ("commit_dropped", "an act is accepted and never committed", "find/node"),
    ("mark_not_written", "a producer's mark stays behind in the store", "find/broker"),
    ("disk_full_ignored", "events are taken while the disk is full",
     "broker/ledger/below_the_reserve_it_says_disk"),
    # once, and in order
    ("resend_gets_a_new_place", "a duplicate is told another log position", "find/broker"),
    ("judged_anew", "a duplicate is judged again",
     "broker/judge/a_duplicate_gets_the_original_receipt"),
    ("other_content_taken", "a number comes again with other content and is taken",
     "broker/judge/the_same_number_with_other_content_is_a_conflict"),
    ("gap_taken", "events are taken beyond a gap",
     "broker/judge/a_gap_uses_nothing_and_says_what_is_expected"),
    ("last_comes_first", "what came last is judged first",
     "broker/ledger/answers_every_job_in_order_after_its_commit"),
    ("half_a_group", "of a refused group the first ones count",
     "broker/judge/of_a_group_all_or_none_count"),
    ("deadline_off_by_one", "a limit is over a millisecond late",
     "proto/referral/a_limit_starts_and_ends_on_the_millisecond"),
    ("deadline_not_indexed", "the timer does not learn of a limit",
     "broker/ledger/random_histories_agree_with_their_recount"),
    # streams and nodes
    ("stream_entry_skipped", "an event is left out of its streams", "find/broker"),
    ("cursor_skips", "a reader of the store leaves out what comes next",
     "broker/fetch/stored_and_remembered_events_are_the_same_bytes"),
    ("epoch_ignored", "a cursor of another epoch is taken for one of this",
     "broker/broker/an_old_epoch_is_told_that_the_store_was_restored"),
    ("outbox_row_lost", "an act's frames never reach the outbox", "find/node"),
    ("outbox_not_resent", "what waits is not sent after a start", "find/node"),
    ("outbox_never_emptied", "what is trimmed off the outbox stays in it",
     "node/uplink/a_trimmed_outbox_keeps_what_has_no_receipt"),
    ("inbox_row_lost", "the cursor goes on without the row",
     "node/inbox/each_event_up_to_the_cursor_has_its_row"),
    # tamper and damage
    ("chain_skips", "the chain leaves out leaves", "find/broker"),
    ("verdict_not_hashed", "a leaf does not hold the verdict",
     "proto/hash/a_leaf_holds_time_verdict_and_the_three_hashes"),
    ("part_hash_unchecked", "a part need not be what the open part says",
     "proto/event/parts_are_bound_by_their_hashes"),
    ("checksum_ignored", "nobody looks at the checksums of records", "common/store/finds_a_flipped_bit"),
    ("scrub_trusts_parts", "the scrubber does not hash the parts of events",
     "broker/scrub/an_ends_part_that_was_changed_is_found"),
    ("audit_blind", "the recount does not look at one table",
     "broker/figures/the_recount_looks_at_every_table_that_the_log_makes"),
    # who may
    ("publish_unchecked", "anybody publishes anything",
     "broker/access/every_event_is_published_by_whom_its_row_names"),
    ("source_unchecked", "a member sends as another",
     "broker/judge/a_foreign_source_uses_nothing"),
    ("member_for_ever", "a key works outside its days",
     "broker/access/a_key_is_somebodys_from_its_first_day_to_its_last"),
    ("replay_unchecked", "who fetches from the beginning is not checked",
     "broker/broker/a_foreign_stream_is_not_allowed"),
    ("ends_uncut", "who is no end of a referral gets its ends part",
     "broker/access/a_region_reader_never_gets_more_than_the_open_part"),
    ("waits_when_revoked", "a removed key's waiting FETCH waits on",
     "broker/broker/a_removed_key_stops_at_its_next_message_and_in_its_waiting_fetch"),
    ("metrics_unchecked", "figures of members are told to everybody",
     "broker/hide_metrics/others_see_totals_and_no_rows_of_members"),
    ("audit_unchecked", "anybody asks for the recount",
     "broker/query/refuses_what_it_does_not_know_and_whom_it_does_not_serve"),
    ("suppression_skipped", "small cells are shown",
     "broker/hide/groups_are_tables_of_their_own"),
    ("second_not_hidden", "a hidden cell can be had by subtraction",
     "broker/hide/a_list_is_a_table_of_one_row"),
    # figures
    ("double_count", "a referral's last contribution is not subtracted", "find/broker"),
    ("double_count", "the same, as the oracle sees it", "oracle/duel"),
    ("late_not_subtracted", "the same after a late event only", "oracle/duel"),
    ("stale_cell", "figures are written without the cells of recipients", "oracle/duel"),
    ("case_twice", "a case counts twice in a region", "oracle/duel"),
    ("void_keeps_path", "a case is not counted again after a void", "oracle/duel"),
    ("open_row_kept", "an ended referral stays among the open ones", "oracle/duel"),
    ("breakdown_mixed", "segments are counted as services are", "oracle/duel"),
    ("days_of_utc", "days of an archive's zone in every region", "oracle/duel"),
    ("implied_in_flow", "implied milestones count as said ones", "oracle/duel"),
    ("rest_left_out", "the rest of a window is not added", "oracle/duel"),
    ("holds_forgotten", "working time runs on while a referral is on hold", "proto/scenarios/file"),
]


def environment(bug):
    env = {**os.environ, "KAPULA_BIN": SEEDED, "KAP_SEEDED_BUG": bug,
           "KAPULA_ORACLE_PLAYER": os.path.join(PROGRAMS, "oracle_player")}
    env.pop("KAPULA_SANITIZED_PLAYER", None)
    return env


def run(bug, command):
    """Exit code and what it said; a look that hangs found nothing, and is no answer."""
    done = subprocess.run(command, env=environment(bug), capture_output=True, text=True,
                          errors="replace", timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def suite(room, tests, bug):
    """FOUND when at least one of the tests fails or crashes; each must be there."""
    pattern = f"@({'|'.join(tests)})" if len(tests) > 1 else tests[0]
    _, out, err = run(bug, [os.path.join(PROGRAMS, f"suite_{room}"), "-j1", "--filter", pattern])
    text = re.sub(r"\x1b\[[0-9;]*m", "", out + err)
    said = re.search(r"Tested: (\d+) \| Passing: (\d+)", text)
    if not said or int(said[1]) < len(tests):
        return None, f"not all tests of {pattern} were run"
    lines = [line for line in text.splitlines() if line.startswith("[----] ")]
    where = lines[0].removeprefix("[----] ") if lines else ""
    return (NOTHING if said[1] == said[2] else FOUND), where


def duel(bug):
    """FOUND when the oracle differs over one of a few histories; which one."""
    for seed in range(1, HISTORIES + 1):
        code, out, err = run(bug, [sys.executable, "-B", os.path.join(
            ROOT, "tests", "oracle", "duel.py"), str(seed), "--bug", bug])
        if code == FOUND and (out.startswith("seed ") or "the player ends with" in err):
            return FOUND, out.split("\n")[0] or "the player ends"
        if code != NOTHING:
            return None, err[-300:]
    return NOTHING, f"{HISTORIES} histories without a difference"


def find(way, bug):
    code, out, err = run(bug, [sys.executable, "-B", os.path.join(FOLDER, "find.py"), way])
    if code not in (FOUND, NOTHING) or not out:
        return None, (out + err)[-300:]
    return code, out.splitlines()[-1]


def look(way, bug):
    """FOUND, NOTHING or None (could not look), and a line about it."""
    kind, rest = way.split("/", 1)
    if kind == "find":
        return find(rest, bug)
    return duel(bug) if kind == "oracle" else suite(kind, [rest], bug)


def known_to_the_sources():
    """The names of all bugs that are put in."""
    names = set()
    for room in ("common", "proto", "services"):
        for folder, _, files in os.walk(os.path.join(ROOT, room)):
            for file in (file for file in files if file.endswith(".c")):
                with open(os.path.join(folder, file), encoding="utf-8") as text:
                    names |= set(re.findall(r'KAP_SEEDED_BUG\(\s*"(\w+)"\s*\)', text.read()))
    return names


class Table(unittest.TestCase):
    def test_every_bug_that_is_put_in_stands_in_the_table(self):
        self.assertEqual(known_to_the_sources(), {bug for bug, _, _ in CONTROLS})


@unittest.skipUnless(os.path.exists(os.path.join(SEEDED, "kapula-broker")),
                     "the build with seeded bugs is not there (cmake --preset seeded)")
class Seeded(unittest.TestCase):
    def test_every_seeded_bug_is_found(self):
        missed = []
        print(f"\n{'bug':24}{'caught by':74}{'s':>5}", file=sys.stderr)
        for bug, what, way in CONTROLS:
            begin = time.monotonic()
            found, line = look(way, bug)
            took = time.monotonic() - begin
            print(f"{bug:24}{way:74}{took:5.1f}  {what}", file=sys.stderr, flush=True)
            if found != FOUND:
                missed.append(f"{bug}: {way} found nothing: {line}")
        self.assertEqual(missed, [], "\n".join(missed))

    def test_without_a_bug_nothing_is_found(self):
        suites, ways = {}, []
        for way in dict.fromkeys(way for _, _, way in CONTROLS):
            room, rest = way.split("/", 1)
            if room in ("find", "oracle"):
                ways.append(way)
            else:
                suites.setdefault(room, []).append(rest)
        for way in ways:
            with self.subTest(way=way):
                found, line = look(way, "none")
                self.assertEqual(found, NOTHING, line)
        for room, tests in suites.items():
            with self.subTest(room=room):
                found, line = suite(room, tests, "none")
                self.assertEqual(found, NOTHING, line)


if __name__ == "__main__":
    unittest.main()
