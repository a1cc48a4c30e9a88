/* SPDX-License-Identifier: MPL-2.0 */
/* Delivery: each event once, in order, whatever happens in between. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "calendar.h"
#include "err.h"
#include "inbox.h"
#include "mirror.h"
#include "rig.h"

enum { MUNICIPALITY, TE_OFFICE };

#define DELIVERED "kapula.referral.delivered.v1"
#define REFER                                                                                      \
    "refer", "to", "te-office", "service", "recruitment", "region", "mikkeli", "basis.disclosure", \
        "customer_consent", "basis.gdpr", "6.1.a", "basis.consent_date", "2026-01-02", "company",  \
        "Kone Oy", NULL

static rig_t *started(void)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    return rig;
}

/* The rows of the inbox that stand where they should, from 1 to the cursor; none beyond. */
static int rows_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    uint64_t *count = arg;
    kap_inbox_state_t state;
    kap_inbox_state(node->inbox, &state);
    *count = 0;
    for (uint64_t seq = 1; seq <= state.cursor; seq++) {
        kap_inbox_row_t row;
        *count += kap_inbox_row_get(txn, seq, &row) == KAP_OK && row.stream_seq == seq;
    }
    kap_inbox_row_t beyond;
    cr_expect_eq(kap_inbox_row_get(txn, state.cursor + 1, &beyond), KAP_E_NOTFOUND);
    return KAP_OK;
}

static uint64_t rows(kap_node_t *node)
{
    uint64_t count = 0;
    cr_assert_eq(kap_work_read(node, rows_read, &count), KAP_OK);
    return count;
}

typedef struct {
    int member;
    uint64_t cursor;
} at_t;

static bool is_at(rig_t *rig, void *arg)
{
    const at_t *at = arg;
    kap_inbox_state_t state;
    kap_inbox_state(rig->nodes[at->member]->inbox, &state);
    return state.cursor >= at->cursor;
}

static void until_cursor(rig_t *rig, int member, uint64_t cursor)
{
    at_t at = {.member = member, .cursor = cursor};
    rig_until(rig, is_at, &at, "the cursor");
}

Test(inbox, each_event_up_to_the_cursor_has_its_row, .timeout = 60)
{
    rig_t *rig = started();
    kap_node_t *sender = rig->nodes[MUNICIPALITY];
    for (int i = 0; i < 6; i++)
        cr_expect(rig_act(sender, REFER).accepted);
    until_cursor(rig, MUNICIPALITY, 6); /* a member's stream holds what it sends, too */
    cr_expect_eq(rows(sender), 6);
    rig_destroy(&rig);
}

Test(inbox, a_restart_at_every_cursor_delivers_each_once, .timeout = 120)
{
    rig_t *rig = started();
    kap_node_t *sender = rig->nodes[MUNICIPALITY];
    for (int i = 0; i < 12; i++) {
        cr_assert(rig_act(sender, REFER).accepted);
        rig_until(rig, rig_is_empty, sender, "sent");
        rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
        until_cursor(rig, TE_OFFICE, 2 * (uint64_t)i + 1);
        rig_until(rig, rig_is_empty, rig->nodes[TE_OFFICE], "delivered is receipted");
        until_cursor(rig, TE_OFFICE, 2 * (uint64_t)i + 2);
        rig_node_close(rig, TE_OFFICE);
    }
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    cr_assert_eq(rows(office), 24);
    cr_assert_eq(rig_count(rig, DELIVERED), 12);
    rig_destroy(&rig);
}

Test(inbox, many_that_waited_come_in_order, .timeout = 120)
{
    rig_t *rig = started();
    kap_node_t *sender = rig->nodes[MUNICIPALITY];
    for (int i = 0; i < 250; i++)
        cr_assert(rig_act(sender, REFER).accepted);
    rig_until(rig, rig_is_empty, sender, "sent");
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    until_cursor(rig, TE_OFFICE, 500);
    cr_assert_eq(rows(office), 500);
    cr_assert_eq(rig_count(rig, DELIVERED), 250);
    rig_destroy(&rig);
}

static bool is_unreadable(rig_t *rig, void *arg)
{
    kap_inbox_state_t state;
    (void)arg;
    kap_inbox_state(rig->nodes[TE_OFFICE]->inbox, &state);
    return state.unreadable == 1 && state.cursor == 1;
}

Test(inbox, contents_that_do_not_open_are_kept_but_not_delivered, .timeout = 60)
{
    rig_t *rig = started();
    kap_seal_keys_t *other = kap_seal_keys_new();
    char path[200];
    snprintf(path, sizeof path, "%s/te-office-seal.key", rig->dir);
    remove(path);
    cr_assert_eq(kap_seal_keys_write(path, other), KAP_OK); /* it lost its key */
    kap_seal_keys_destroy(&other);
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    kap_act_result_t sent = rig_act(rig->nodes[MUNICIPALITY], REFER);
    rig_until(rig, is_unreadable, NULL, "one that does not open");
    rig_turns(rig, 100);
    cr_assert_eq(rig_count(rig, DELIVERED), 0);
    cr_assert_eq(rows(office), 1);
    cr_assert_str_eq(rig_state(office, sent.subject), "created");
    kap_buf_t health;
    kap_buf_init(&health);
    kap_node_health(office, &health);
    cr_assert(strstr(kap_buf_cstr(&health), "\"unreadable\":1"));
    kap_buf_fini(&health);
    rig_destroy(&rig);
}

typedef struct {
    const char *referral;
    int64_t due_in; /* working time from the delivery, or the accept, to the deadline */
} due_t;

static int due_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    due_t *due = arg;
    kap_referral_t r;
    (void)node;
    cr_assert_eq(kap_mirror_referral(txn, kap_span_str(due->referral), &r, NULL), KAP_OK);
    int64_t since = r.due_kind == KAP_DEADLINE_CONTACT ? r.accepted_at : r.delivered_at;
    due->due_in = kap_calendar_working_ms(since, r.due_at, NULL);
    return KAP_OK;
}

/* Working days that a node gives until the deadline of a referral. */
static int64_t due_days(kap_node_t *node, const char *referral)
{
    due_t due = {.referral = referral};
    cr_assert_eq(kap_work_read(node, due_read, &due), KAP_OK);
    cr_assert_eq(due.due_in % KAP_WORKING_DAY_MS, 0);
    return due.due_in / KAP_WORKING_DAY_MS;
}

static bool has_both_delivered(rig_t *rig, void *arg)
{
    (void)arg;
    return rig_count(rig, DELIVERED) == 2;
}

Test(inbox, deadlines_are_those_of_the_targets_that_came_with_the_referral, .timeout = 120)
{
    rig_t *rig = started();
    kap_node_t *sender = rig->nodes[MUNICIPALITY];
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    kap_act_result_t untold = rig_act(sender, REFER);
    rig_until_state(rig, office, untold.subject, "delivered");
    int64_t directorys = due_days(office, untold.subject);
    cr_assert_neq(directorys, 2);
    rig->broker->answer_days = 2;
    rig->broker->contact_days = 3;
    kap_act_result_t sent = rig_act(sender, REFER);
    rig_until_state(rig, office, sent.subject, "delivered");
    rig_until_state(rig, sender, sent.subject, "delivered");
    until_cursor(rig, TE_OFFICE, 4);
    until_cursor(rig, MUNICIPALITY, 4);
    cr_expect_eq(due_days(sender, sent.subject), 2);
    cr_expect_eq(due_days(office, sent.subject), 2);
    cr_expect_eq(due_days(office, untold.subject), directorys, "what it was sent under stays");
    rig_broker_restore(rig, 3); /* its `delivered` is taken back, and comes again */
    rig_until(rig, has_both_delivered, NULL, "delivered again");
    until_cursor(rig, MUNICIPALITY, 4);
    rig_until_state(rig, sender, sent.subject, "delivered");
    cr_expect_eq(due_days(sender, sent.subject), 2);
    rig_broker_stop(rig);
    rig_node_close(rig, TE_OFFICE);
    office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    cr_expect_eq(due_days(office, sent.subject), 2);
    cr_assert(rig_act(office, "accept", "referral", sent.subject, NULL).accepted);
    cr_expect_eq(due_days(office, sent.subject), 3, "offline it knows them too");
    rig_destroy(&rig);
}

/* Each event of the test stands in the log with effect, whatever order the two came back in. */
static bool is_healed(rig_t *rig, void *arg)
{
    (void)arg;
    return rig_count(rig, "kapula.referral.created.v1") == 2 && rig_count(rig, DELIVERED) == 2 &&
           rig_count(rig, "kapula.referral.accepted.v1") == 1;
}

Test(inbox, goes_back_to_where_an_older_epoch_was_kept, .timeout = 60)
{
    rig_t *rig = started();
    kap_node_t *sender = rig->nodes[MUNICIPALITY];
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    kap_act_result_t one = rig_act(sender, REFER);
    rig_until_state(rig, sender, one.subject, "delivered");
    uint64_t kept = rig->broker->count;
    kap_act_result_t two = rig_act(sender, REFER);
    rig_until_state(rig, sender, two.subject, "delivered");
    cr_assert(rig_act(office, "accept", "referral", one.subject, NULL).accepted);
    rig_until_state(rig, sender, one.subject, "accepted");
    rig_broker_restore(rig, kept); /* `two` and the accept are forgotten there */
    rig_until(rig, is_healed, NULL, "all is sent anew");
    rig_until_state(rig, sender, two.subject, "delivered");
    rig_until_state(rig, sender, one.subject, "accepted");
    rig_until_state(rig, office, one.subject, "accepted");
    rig_until(rig, rig_is_empty, sender, "resent and receipted");
    rig_until(rig, rig_is_empty, office, "resent and receipted");
    until_cursor(rig, MUNICIPALITY, 5);
    until_cursor(rig, TE_OFFICE, 5);
    cr_assert_eq(rows(sender), 5);
    cr_assert_eq(rows(office), 5);
    cr_assert(is_healed(rig, NULL));
    rig_destroy(&rig);
}

/* --- hooks --- */

static uint64_t seen[64];
static size_t seen_count, seen_failures;
static char seen_contents[200];

static int remember(void *state, kap_node_t *node, const kap_received_t *received)
{
    (void)state;
    (void)node;
    if (seen_failures > 0) {
        seen_failures--;
        return KAP_E_DISK;
    }
    seen[seen_count++] = received->stream_seq;
    if (received->contents.size && received->contents.size < sizeof seen_contents)
        memcpy(seen_contents, received->contents.data, received->contents.size);
    return KAP_OK;
}

static bool is_seen(rig_t *rig, void *arg)
{
    (void)rig;
    return seen_count >= *(const size_t *)arg;
}

Test(inbox, the_actor_sees_each_row_until_it_took_it, .timeout = 60)
{
    kap_actor_t actor = rig_actor;
    actor.received = remember;
    rig_t *rig = started();
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &actor, NULL);
    size_t two = 2, three = 3;
    cr_assert(rig_act(rig->nodes[MUNICIPALITY], REFER).accepted);
    rig_until(rig, is_seen, &two, "created and delivered are shown");
    cr_assert_eq(seen[0], 1);
    cr_assert_eq(seen[1], 2);
    cr_assert(memmem(seen_contents, sizeof seen_contents, "Kone Oy", 7));
    seen_failures = 1;
    cr_assert(rig_act(rig->nodes[MUNICIPALITY], REFER).accepted);
    until_cursor(rig, TE_OFFICE, 4);
    cr_assert_eq(seen_count, 2, "held");
    rig_node_close(rig, TE_OFFICE);
    office = rig_node_open(rig, TE_OFFICE, &actor, NULL);
    rig_until(rig, is_seen, &three, "what was not taken is shown after the restart");
    cr_assert_eq(seen[2], 3);
    (void)office;
    rig_destroy(&rig);
}
