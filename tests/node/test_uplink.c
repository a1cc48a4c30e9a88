/* SPDX-License-Identifier: MPL-2.0 */
/* The way to the broker: nothing is lost, nothing is doubled, whatever it answers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "err.h"
#include "rig.h"
#include "uplink.h"

enum { MUNICIPALITY, TE_OFFICE };

#define TALLY "kapula.handover.tallied.v1"

static kap_act_result_t tally(kap_node_t *node, int count)
{
    char text[12];
    snprintf(text, sizeof text, "%d", count);
    kap_act_result_t r =
        rig_act(node, "tally", "to", "te-office", "period", "2025", "count", text, NULL);
    cr_assert(r.accepted, "%s", r.sentence);
    return r;
}

static void drained(rig_t *rig, kap_node_t *node, size_t tallies)
{
    rig_until(rig, rig_is_empty, node, "everything is receipted");
    cr_assert_eq(rig_count(rig, TALLY), tallies, "%zu of %zu", rig_count(rig, TALLY), tallies);
}

/* Each source's sequences are gapless from 1. */
static void is_gapless(const rig_t *rig)
{
    const rig_broker_t *b = rig->broker;
    for (size_t i = 0; i < b->count; i++) {
        uint64_t before = 0;
        for (size_t j = 0; j < i; j++)
            if (kap_span_eq(b->events[j].source, b->events[i].source))
                before = b->events[j].sequence;
        cr_assert_eq(b->events[i].sequence, before + 1);
    }
}

Test(uplink, what_waited_while_the_broker_was_away_goes_in_order, .timeout = 60)
{
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    for (int i = 0; i < 50; i++)
        tally(node, i + 1);
    rig_node_close(rig, MUNICIPALITY);
    rig_broker_start(rig);
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    drained(rig, node, 50);
    is_gapless(rig);
    rig_destroy(&rig);
}

static void survives(int status, int times)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    tally(node, 1);
    rig_until(rig, rig_is_empty, node, "the first is receipted");
    rig->broker->later = times;
    rig->broker->later_status = status;
    for (int i = 0; i < 20; i++)
        tally(node, i + 2);
    drained(rig, node, 21);
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, sends_again_after_busy, .timeout = 60)
{
    survives(KAP_RECEIPT_BUSY, 3);
}

Test(uplink, sends_again_after_a_full_disk, .timeout = 60)
{
    survives(KAP_RECEIPT_DISK, 2);
}

Test(uplink, returns_to_expected_after_a_gap, .timeout = 60)
{
    survives(KAP_RECEIPT_GAP, 2);
}

Test(uplink, tries_on_when_its_source_is_called_foreign, .timeout = 60)
{
    survives(KAP_RECEIPT_FOREIGN, 1);
}

Test(uplink, a_lost_receipt_is_asked_for_again_and_nothing_doubles, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    rig->broker->lose = 2;
    for (int i = 0; i < 5; i++)
        tally(node, i + 1);
    drained(rig, node, 5);
    cr_assert_gt(rig->broker->resent, 0);
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, a_node_stopped_before_the_receipt_goes_on_with_the_same_line, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    tally(node, 1);
    rig_until(rig, rig_is_empty, node, "the first is receipted");
    rig->broker->lose = 1000;
    tally(node, 2);
    tally(node, 3);
    rig_turns(rig, 300);
    rig_node_close(rig, MUNICIPALITY);
    rig->broker->lose = 0;
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    drained(rig, node, 3);
    tally(node, 4);
    drained(rig, node, 4);
    cr_assert(kap_span_eq(rig->broker->events[0].source, rig->broker->events[3].source),
              "the mark was ours: no new producer");
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, acts_before_the_mark_is_known_begin_a_line_of_their_own, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    tally(node, 1);
    rig_until(rig, rig_is_empty, node, "the first is receipted");
    rig_node_close(rig, MUNICIPALITY);
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    tally(node, 2); /* before any answer */
    drained(rig, node, 2);
    cr_assert_not(kap_span_eq(rig->broker->events[0].source, rig->broker->events[1].source));
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, a_store_restored_from_an_old_copy_loses_and_doubles_nothing, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    tally(node, 1);
    rig_until(rig, rig_is_empty, node, "the first is receipted");
    rig->broker->deaf = true; /* 2 and 3 are in the copy, not yet receipted */
    tally(node, 2);
    tally(node, 3);
    rig_node_close(rig, MUNICIPALITY);
    rig_store_copy(rig, MUNICIPALITY, "store", "copy");
    rig->broker->deaf = false;
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    drained(rig, node, 3);
    for (int i = 4; i <= 9; i++) /* the life that the copy does not know */
        tally(node, i);
    drained(rig, node, 9);
    rig_node_close(rig, MUNICIPALITY);
    rig_store_copy(rig, MUNICIPALITY, "copy", "store");
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    rig_until(rig, rig_is_empty, node, "the copy's rows are receipted anew");
    tally(node, 10);
    tally(node, 11);
    drained(rig, node, 11);
    const rig_event_t *last = &rig->broker->events[rig->broker->count - 1];
    cr_assert_eq(last->sequence, 2, "a new producer");
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, heals_a_broker_restored_from_an_older_backup, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    for (int i = 1; i <= 10; i++)
        tally(node, i);
    drained(rig, node, 10);
    rig_broker_restore(rig, 4);
    cr_assert_eq(rig_count(rig, TALLY), 4);
    tally(node, 11);
    drained(rig, node, 11);
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, a_trimmed_outbox_keeps_what_has_no_receipt, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    for (int i = 1; i <= 10; i++)
        tally(node, i);
    drained(rig, node, 10);
    rig->broker->deaf = true;
    tally(node, 11);
    kap_txn_t *txn;
    uint64_t trimmed = 0;
    kap_line_t line;
    kap_outbox_row_t row;
    cr_assert_eq(kap_txn_begin(node->store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_outbox_trim(txn, kap_node_now_ms(node) + 1000, 6, &trimmed), KAP_OK);
    cr_assert_eq(trimmed, 6);
    cr_assert_eq(kap_outbox_trim(txn, kap_node_now_ms(node) + 1000, 100, &trimmed), KAP_OK);
    cr_assert_eq(trimmed, 4);
    cr_assert_eq(kap_line_last(txn, &line), KAP_OK);
    cr_assert_eq(line.kept, 11);
    cr_assert_eq(line.receipted, 10);
    cr_assert_eq(line.next, 12);
    for (uint64_t sequence = 1; sequence <= 10; sequence++)
        cr_expect_eq(kap_outbox_get(txn, line.line, sequence, &row), KAP_E_NOTFOUND);
    cr_expect_eq(kap_outbox_get(txn, line.line, 11, &row), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    rig->broker->deaf = false;
    drained(rig, node, 11);
    rig_destroy(&rig);
}

Test(uplink, sends_large_batches_in_several_requests, .timeout = 60)
{
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    for (int i = 0; i < 300; i++)
        tally(node, i + 1);
    rig_node_close(rig, MUNICIPALITY);
    rig_broker_start(rig);
    rig->broker->lose = 1;
    rig->uplink_more = "batch = 16; window = 3;";
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    drained(rig, node, 300);
    is_gapless(rig);
    rig_destroy(&rig);
}

Test(uplink, numbers_that_another_copy_has_used_are_given_up, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    tally(node, 1);
    drained(rig, node, 1);
    rig_node_close(rig, MUNICIPALITY);
    rig_store_copy(rig, MUNICIPALITY, "store", "copy");
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    node->line_sure = true; /* as if the mark had been compared before the copy went on */
    tally(node, 2);
    tally(node, 3);
    drained(rig, node, 3);
    rig_node_close(rig, MUNICIPALITY);
    rig_store_copy(rig, MUNICIPALITY, "copy", "store");
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    node->line_sure = true;
    kap_act_result_t r = tally(node, 4);
    tally(node, 5);
    tally(node, 6);
    drained(rig, node, 6);
    is_gapless(rig);
    kap_act_fate_t fate;
    cr_assert_eq(kap_act_fate(node, r.act, &fate), KAP_OK);
    cr_assert_eq(fate.fate, KAP_FATE_COMMITTED);
    rig_destroy(&rig);
}

Test(uplink, a_gap_that_cannot_be_filled_loses_no_waiting_act, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    kap_txn_t *txn;
    uint64_t trimmed = 0;
    for (int i = 1; i <= 10; i++)
        tally(node, i);
    drained(rig, node, 10);
    cr_assert_eq(kap_txn_begin(node->store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_outbox_trim(txn, kap_node_now_ms(node) + 1000, 8, &trimmed), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    rig_broker_restore(rig, 4); /* 5 to 8 are lost on both sides; 9 and 10 are kept here */
    tally(node, 11);
    drained(rig, node, 7);
    is_gapless(rig);
    rig_destroy(&rig);
}
