/* SPDX-License-Identifier: MPL-2.0 */
/* Verdicts of the ledger's core, on the store and on its twin. */
#include <criterion/criterion.h>

#include "audit.h"
#include "desk.h"
#include "err.h"
#include "rows.h"

/* One behaviour, shown on LMDB and on the twin; the recount must agree at the end. */
#define BOTH(words)                                                                                \
    static void words(desk_t *d);                                                                  \
    Test(judge, words, .timeout = 60)                                                              \
    {                                                                                              \
        static desk_t d;                                                                           \
        desk_open(&d, false);                                                                      \
        words(&d);                                                                                 \
        desk_audit(&d);                                                                            \
        desk_close(&d);                                                                            \
    }                                                                                              \
    Test(judge_twin, words, .timeout = 60)                                                         \
    {                                                                                              \
        static desk_t d;                                                                           \
        desk_open(&d, true);                                                                       \
        words(&d);                                                                                 \
        desk_audit(&d);                                                                            \
        desk_close(&d);                                                                            \
    }                                                                                              \
    static void words(desk_t *d)

BOTH(a_referral_goes_from_created_to_completed)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_state(d, "r1"), KAP_STATE_CREATED);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "r1");
    desk_referral(d, "b", KAP_EV_REFERRAL_COMPLETED, "r1");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(d->last->entry_count, 3);
    cr_assert_eq(desk_state(d, "r1"), KAP_STATE_COMPLETED);
    const kap_entry_t *e = &d->last->entries[0];
    cr_assert_eq(e->place_count, 3);
    cr_assert(kap_span_eq_str(e->places[0].stream, "region/mikkeli"));
    cr_assert_eq(e->places[0].seq, 2);
    cr_assert(kap_span_eq_str(e->places[1].stream, "member/a"));
    cr_assert(kap_span_eq_str(e->places[2].stream, "member/b"));
    cr_assert(kap_span_eq_str(e->from, "a"));
}

BOTH(a_duplicate_gets_the_original_receipt)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    desk_created(d, "a", "r2", "c2", "a", "a", "mikkeli", NULL); /* refused: to itself */
    kap_job_t *job = desk_take(d);
    kap_span_t open = kap_arena_dup(d->arena, job->events[1].open);
    kap_span_t ends = kap_arena_dup(d->arena, job->events[1].ends);
    desk_run(d, job, false);
    kap_decided_t first = *desk_decided(d, 1);
    uint8_t leaf[32];
    memcpy(leaf, first.leaf, sizeof leaf);
    cr_assert_eq(first.why.number, KAP_REFUSAL_ILLEGAL_TO_SELF);
    job = kap_job_new();
    job->arena = kap_arena_new(4096);
    job->events = kap_arena_calloc(job->arena, 1, sizeof *job->events);
    kap_event_decode(open, ends, kap_span(NULL, 0), job->arena, job->events, NULL);
    job->count = 1;
    job->header.source = KAP_SPAN("a/p");
    job->header.first = 2;
    memcpy(job->key, desk_key(d, "a"), 41);
    uint64_t head = kap_engine_head(d->engine)->seq;
    desk_run(d, job, false);
    cr_assert_eq(d->last->results[0].status, KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 0)->log_seq, first.log_seq);
    cr_assert_eq(desk_decided(d, 0)->why.number, KAP_REFUSAL_ILLEGAL_TO_SELF);
    cr_assert_arr_eq(desk_decided(d, 0)->leaf, leaf, 32);
    cr_assert_eq(d->last->entry_count, 0);
    cr_assert_eq(kap_engine_head(d->engine)->seq, head);
}

BOTH(the_same_number_with_other_content_is_a_conflict)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_source(d, "a")->last = 0;
    desk_created(d, "a", "r2", "c2", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_send(d), KAP_RECEIPT_CONFLICT);
    cr_assert_eq(d->last->results[0].expected, 2);
    cr_assert_eq(desk_state(d, "r2"), KAP_STATE_NONE);
}

BOTH(a_gap_uses_nothing_and_says_what_is_expected)
{
    desk_source(d, "a")->last = 4;
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_send(d), KAP_RECEIPT_GAP);
    cr_assert_eq(d->last->results[0].expected, 1);
    cr_assert_eq(kap_engine_head(d->engine)->seq, 0);
}

BOTH(a_foreign_source_uses_nothing)
{
    desk_created(d, "b", "r1", "c1", "b", "a", "mikkeli", NULL);
    kap_job_t *job = desk_take(d);
    memcpy(job->key, desk_key(d, "a"), 41);
    desk_run(d, job, false);
    cr_assert_eq(d->last->results[0].status, KAP_RECEIPT_FOREIGN);
    desk_source(d, "b")->last = 0;
    desk_created(d, "b", "r1", "c1", "b", "a", "mikkeli", NULL);
    job = desk_take(d);
    memset(job->key, 'x', 40);
    desk_run(d, job, false);
    cr_assert_eq(d->last->results[0].status, KAP_RECEIPT_FOREIGN);
    cr_assert_eq(kap_engine_head(d->engine)->seq, 0);
}

BOTH(nobody_publishes_as_the_broker)
{
    desk_event(d, "broker/0123", KAP_EV_REFERRAL_EXPIRED, d->now);
    desk_span(d, KAP_F_REFERRAL, "r1");
    desk_code(d, KAP_F_DEADLINE, KAP_DEADLINE_ANSWER);
    desk_int(d, KAP_F_DEADLINE_AT, d->now);
    cr_assert_eq(desk_send(d), KAP_RECEIPT_FOREIGN);
}

BOTH(a_refusal_is_logged_without_its_body_and_uses_the_number)
{
    desk_created(d, "a", "r1", "c1", "b", "c", "mikkeli", NULL); /* not its own */
    cr_assert_eq(desk_said(d), KAP_REFUSAL_NOT_ALLOWED_SENDER);
    cr_assert_eq(d->last->entries[0].open.size, 0);
    cr_assert_eq(d->last->entries[0].place_count, 0);
    desk_created(d, "a", "r1", "c1", "a", "c", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    kap_txn_t *txn;
    kap_log_walk_t walk;
    kap_logged_t logged;
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_log_walk_open(txn, &walk), KAP_OK);
    cr_assert_eq(kap_log_walk_get(&walk, 1, KAP_LOGGED_ENDS, &logged), KAP_OK);
    cr_assert_eq(logged.verdict, KAP_VERDICT_REFUSED);
    cr_assert_eq(logged.why.number, KAP_REFUSAL_NOT_ALLOWED_SENDER);
    cr_assert_eq(logged.open.size, 0);
    cr_assert_eq(logged.ends.size, 0);
    kap_log_walk_close(&walk);
    kap_txn_abort(&txn);
}

BOTH(a_refusal_tells_the_state_to_those_only_who_may_know_it)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "c", KAP_EV_REFERRAL_ACCEPTED, "r1");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_NOT_ALLOWED_RECIPIENT);
    cr_assert_eq(desk_decided(d, 0)->state, KAP_STATE_NONE);
    desk_created(d, "c", "r1", "c1", "c", "d", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_REFERRAL_EXISTS);
    cr_assert_eq(desk_decided(d, 0)->state, KAP_STATE_NONE);
    desk_referral(d, "b", KAP_EV_REFERRAL_RESUMED, "r1");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_STATE);
    cr_assert_eq(desk_decided(d, 0)->state, KAP_STATE_CREATED);
    desk_referral(d, "a", KAP_EV_REFERRAL_ANSWER_RECEIVED, "r1");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_NOTHING_TO_ANSWER);
    cr_assert_eq(desk_decided(d, 0)->state, KAP_STATE_CREATED);
}

static void share(desk_t *d, const char *with)
{
    static const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = 0, .consent_how = -1};

    desk_referral(d, "a", KAP_EV_REFERRAL_SHARED, "r1");
    desk_span(d, KAP_F_WITH, with);
    kap_event_builder_set_basis(&d->builder, &basis);
}

BOTH(what_is_shared_goes_to_a_present_member)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    share(d, "nobody");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_UNKNOWN_MEMBER);
    cr_assert_eq(d->last->entries[0].place_count, 0);
    share(d, "c");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(d->last->entries[0].place_count, 4);
    cr_assert(kap_span_eq_str(d->last->entries[0].places[3].stream, "member/c"));
}

static void redirect(desk_t *d, const char *child_parent)
{
    desk_referral(d, "b", KAP_EV_REFERRAL_REDIRECTED, "r1");
    desk_span(d, KAP_F_NEXT, "r2");
    desk_group(d, "g");
    desk_created(d, "b", "r2", "c1", "b", "c", "mikkeli", child_parent);
    desk_group(d, "g");
}

BOTH(a_redirect_goes_with_its_child)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    redirect(d, "r1");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_decided(d, 1)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(desk_state(d, "r1"), KAP_STATE_REDIRECTED);
    cr_assert_eq(desk_state(d, "r2"), KAP_STATE_CREATED);
}

BOTH(of_a_group_all_or_none_count)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    desk_created(d, "a", "r9", "c9", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "r9");
    desk_group(d, "g");
    desk_created(d, "b", "r2", "c1", "b", "b", "mikkeli", "r1"); /* to itself */
    desk_group(d, "g");
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r9");
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 0)->why.number, KAP_REFUSAL_ILLEGAL_GROUP);
    cr_assert_eq(desk_decided(d, 1)->why.number, KAP_REFUSAL_ILLEGAL_TO_SELF);
    cr_assert_eq(desk_decided(d, 2)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(desk_state(d, "r9"), KAP_STATE_DELIVERED);
    cr_assert_eq(desk_state(d, "r2"), KAP_STATE_NONE);
}

static void fill_group(desk_t *d, int count)
{
    for (int i = 0; i < count; i++) {
        desk_referral(d, "b", KAP_EV_REFERRAL_NOTED, "r1");
        desk_group(d, "g");
    }
}

BOTH(a_group_has_16_events_at_most)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    fill_group(d, 16);
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_decided(d, 15)->verdict, KAP_VERDICT_ACCEPTED);
    fill_group(d, 17);
    cr_assert_eq(desk_said(d), KAP_REFUSAL_MALFORMED_GROUP);
    cr_assert_eq(desk_decided(d, 16)->why.number, KAP_REFUSAL_MALFORMED_GROUP);
}

/* A group over two requests could be accepted in half. */
BOTH(a_group_in_pieces_is_refused_from_its_second_piece_on)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    desk_referral(d, "a", KAP_EV_REFERRAL_NOTED, "r1");
    desk_group(d, "g");
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 1)->verdict, KAP_VERDICT_ACCEPTED);
    desk_referral(d, "a", KAP_EV_REFERRAL_NOTED, "r1");
    desk_group(d, "g");
    desk_referral(d, "a", KAP_EV_REFERRAL_NOTED, "r1");
    desk_referral(d, "a", KAP_EV_REFERRAL_NOTED, "r1");
    desk_group(d, "h");
    desk_referral(d, "a", KAP_EV_REFERRAL_NOTED, "r1");
    desk_group(d, "i");
    desk_referral(d, "a", KAP_EV_REFERRAL_NOTED, "r1");
    desk_group(d, "h");
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 0)->why.number, KAP_REFUSAL_MALFORMED_GROUP);
    cr_assert_eq(desk_decided(d, 1)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(desk_decided(d, 2)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(desk_decided(d, 3)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(desk_decided(d, 4)->why.number, KAP_REFUSAL_MALFORMED_GROUP);
}

BOTH(an_event_that_cannot_be_decoded_uses_its_number)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    kap_job_t *job = desk_take(d);
    kap_event_decode(KAP_SPAN("\xc1"), kap_span(NULL, 0), kap_span(NULL, 0), job->arena,
                     &job->events[0], NULL);
    desk_run(d, job, false);
    cr_assert_eq(desk_decided(d, 0)->verdict, KAP_VERDICT_REFUSED);
    cr_assert_eq(desk_decided(d, 0)->why.number, KAP_REFUSAL_MALFORMED_ENCODING);
    cr_assert_eq(d->last->results[0].expected, 2);
}

BOTH(source_and_sequence_must_be_the_header_s)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    kap_job_t *job = desk_take(d);
    job->events[0].sequence = 7;
    desk_run(d, job, false);
    cr_assert_eq(desk_decided(d, 0)->why.number, KAP_REFUSAL_MALFORMED_HEADER);
}

BOTH(a_deadline_makes_the_broker_say_expired)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    desk_created(d, "a", "r2", "c2", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    cr_assert_eq(desk_said(d), 0);
    d->now += 13 * KAP_DAY_MS;
    cr_assert_eq(desk_expire(d), 0);
    d->now += 3 * KAP_DAY_MS; /* 10 working days after a Monday with an off day in between */
    cr_assert_eq(desk_expire(d), 1);
    cr_assert(kap_span_starts(d->last->entries[0].source, KAP_SPAN("broker/")));
    cr_assert_eq(desk_state(d, "r1"), KAP_STATE_EXPIRED);
    cr_assert_eq(desk_expire(d), 0);
    d->now += 15 * KAP_DAY_MS; /* never delivered: 30 days */
    cr_assert_eq(desk_expire(d), 1);
    cr_assert_eq(desk_state(d, "r2"), KAP_STATE_EXPIRED);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r2");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_state(d, "r2"), KAP_STATE_DELIVERED);
    d->now += 20 * KAP_DAY_MS;
    cr_assert_eq(desk_expire(d), 1);
}

BOTH(a_hold_stops_the_deadline)
{
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    desk_referral(d, "b", KAP_EV_REFERRAL_HELD, "r1");
    desk_code(d, KAP_F_HOLD_REASON, 0);
    cr_assert_eq(desk_said(d), 0);
    d->now += 60 * KAP_DAY_MS;
    cr_assert_eq(desk_expire(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_RESUMED, "r1");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_expire(d), 0);
    d->now += 30 * KAP_DAY_MS;
    cr_assert_eq(desk_expire(d), 1);
}

BOTH(a_tally_counts_as_reported_and_the_last_of_its_key_counts)
{
    kap_edges_t edges;

    for (int count = 5; count <= 7; count++) {
        desk_event(d, "a", KAP_EV_HANDOVER_TALLIED, d->now);
        desk_span(d, KAP_F_FROM, "a");
        desk_span(d, KAP_F_TO, "b");
        desk_code(d, KAP_F_KIND, KAP_KIND_TRANSFER);
        desk_span(d, KAP_F_REGION, "mikkeli");
        desk_span(d, KAP_F_PERIOD, "2025-11");
        desk_int(d, KAP_F_COUNT, count);
        cr_assert_eq(desk_said(d), 0);
    }
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.count, 1);
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_REPORTED], 7);
    cr_assert_eq(edges.n, 0);
}

static void open_archive(desk_t *d, const char *source, const char *name, const char *attribute)
{
    static const uint8_t digest[32] = {7};

    desk_event(d, source, KAP_EV_ARCHIVE_OPENED, d->now);
    desk_span(d, KAP_F_REGION, name);
    desk_span(d, KAP_F_ATTRIBUTE, attribute);
    desk_span(d, KAP_F_OPTIONS, "none");
    kap_event_builder_set_span(&d->builder, KAP_F_DIGEST, kap_span(digest, sizeof digest));
}

BOTH(an_archive_holds_one_import_and_keeps_its_ids_apart)
{
    kap_edges_t edges;

    desk_created(d, "a", "c1#1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    open_archive(d, "op/import-1", "mikkeli", "org:resource");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_ARCHIVE_NAME);
    open_archive(d, "op/import-1", "receipt", "org:resource");
    desk_created(d, "op/import-1", "c1#1", "c1", "Resource 1", "b", "receipt", NULL);
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_decided(d, 1)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(d->last->entries[1].place_count, 1); /* its actors have no streams */
    cr_assert(kap_span_eq_str(d->last->entries[1].places[0].stream, "region/receipt"));
    desk_referral(d, "op/import-1", KAP_EV_REFERRAL_DELIVERED, "c1#1");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(desk_state(d, "c1#1"), KAP_STATE_CREATED); /* the mesh's own */
    open_archive(d, "op/import-2", "receipt", "org:group");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_ARCHIVE_HOLDS_OTHER);
    desk_created(d, "a", "r3", "c3", "a", "b", "receipt", NULL);
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN);
    desk_edges(d, "receipt", &edges);
    cr_assert_eq(edges.count, 1);
    cr_assert(kap_span_eq_str(edges.edges[0].from_name, "Resource 1"));
    cr_assert(kap_span_eq_str(edges.edges[0].to_name, "b"));
    desk_edges(d, "mikkeli", &edges);
    cr_assert(kap_span_eq_str(edges.edges[0].to_name, "Toimija b"));
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_REFERRALS], 1);
}

BOTH(a_speaker_speaks_for_both_ends_of_a_bench_region)
{
    desk_created(d, "drv", "r1", "c1", "x", "y", "bench", NULL);
    desk_referral(d, "drv", KAP_EV_REFERRAL_DELIVERED, "r1");
    desk_referral(d, "drv", KAP_EV_REFERRAL_ACCEPTED, "r1");
    desk_referral(d, "drv", KAP_EV_REFERRAL_COMPLETED, "r1");
    cr_assert_eq(desk_said(d), 0);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(desk_decided(d, i)->verdict, KAP_VERDICT_ACCEPTED, "%u: %u", i,
                     desk_decided(d, i)->why.number);
    cr_assert_eq(desk_state(d, "r1"), KAP_STATE_COMPLETED);
}

BOTH(a_meeting_is_planned_and_held)
{
    desk_event(d, "a", KAP_EV_FORUM_SET, d->now);
    desk_span(d, KAP_F_FORUM, "f1");
    desk_span(d, KAP_F_FORUM_KIND, "working_group");
    desk_span(d, KAP_F_REGION, "mikkeli");
    cr_assert_eq(desk_said(d), 0);
    desk_event(d, "a", KAP_EV_MEETING_PLANNED, d->now);
    desk_span(d, KAP_F_MEETING, "m1");
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_span(d, KAP_F_FORUM, "f1");
    desk_int(d, KAP_F_STARTS_AT, d->now + KAP_DAY_MS);
    cr_assert_eq(desk_said(d), 0);
    d->now += 2 * KAP_DAY_MS;
    desk_event(d, "a", KAP_EV_MEETING_HELD, d->now);
    desk_span(d, KAP_F_MEETING, "m1");
    cr_assert_eq(desk_said(d), 0);
    kap_txn_t *txn;
    kap_meeting_t m;
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_meeting(txn, KAP_SPAN("m1"), &m), KAP_OK);
    cr_assert_eq(m.state, KAP_MEETING_HELD);
    kap_txn_abort(&txn);
}

static void set_forum(desk_t *d, const char *source, const char *owner)
{
    desk_event(d, source, KAP_EV_FORUM_SET, d->now);
    desk_span(d, KAP_F_FORUM, "f1");
    desk_span(d, KAP_F_FORUM_KIND, "working_group");
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_span(d, KAP_F_OWNER, owner);
    cr_assert_eq(desk_said(d), 0);
}

static void plan(desk_t *d, const char *source, const char *meeting, const char *region)
{
    desk_event(d, source, KAP_EV_MEETING_PLANNED, d->now);
    desk_span(d, KAP_F_MEETING, meeting);
    desk_span(d, KAP_F_REGION, region);
    desk_span(d, KAP_F_FORUM, "f1");
    desk_int(d, KAP_F_STARTS_AT, d->now + KAP_DAY_MS);
}

BOTH(a_speaker_of_another_region_plans_no_meeting_of_a_forum)
{
    set_forum(d, "a", "a");
    plan(d, "drv", "m1", "bench");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_MALFORMED_FIELDS_CLASH);
    plan(d, "drv", "m1", "mikkeli");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_NOT_ALLOWED_REGION);
}

BOTH(the_owner_of_a_forum_notes_what_its_meetings_agreed_on)
{
    set_forum(d, "a", "b");
    plan(d, "a", "m1", "mikkeli"); /* the coordinator */
    cr_assert_eq(desk_said(d), 0);
    for (int i = 0; i < 2; i++) {
        desk_event(d, i == 0 ? "c" : "b", KAP_EV_ACTION_AGREED, d->now);
        desk_span(d, KAP_F_ACTION, "x1");
        desk_span(d, KAP_F_MEETING, "m1");
        desk_span(d, KAP_F_WHAT, "kierros");
        desk_span(d, KAP_F_MEMBER, "nobody");
        cr_assert_eq(desk_said(d), i == 0 ? KAP_REFUSAL_NOT_ALLOWED_COORDINATOR : 0);
    }
    cr_assert_eq(d->last->entries[0].place_count, 2, "a name without a member has no stream");
}

BOTH(what_is_said_of_a_meeting_that_nobody_planned_is_told_so)
{
    static const kap_event_type_t types[] = {KAP_EV_MEETING_MOVED, KAP_EV_MEETING_CANCELLED,
                                             KAP_EV_MEETING_HELD, KAP_EV_MEETING_ATTENDED};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        desk_event(d, "b", types[i], d->now);
        desk_span(d, KAP_F_MEETING, "m9");
        if (types[i] == KAP_EV_MEETING_MOVED)
            desk_int(d, KAP_F_STARTS_AT, d->now);
        if (types[i] == KAP_EV_MEETING_ATTENDED)
            desk_span(d, KAP_F_MEMBER, "b");
        if (types[i] == KAP_EV_MEETING_ATTENDED)
            desk_code(d, KAP_F_PRESENT, KAP_ATTENDANCE_PRESENT);
        cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, "%zu", i);
    }
    desk_event(d, "b", KAP_EV_ACTION_AGREED, d->now);
    desk_span(d, KAP_F_ACTION, "x1");
    desk_span(d, KAP_F_MEETING, "m9");
    desk_span(d, KAP_F_WHAT, "kierros");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING);
    desk_event(d, "b", KAP_EV_ACTION_DONE, d->now);
    desk_span(d, KAP_F_ACTION, "x1");
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_UNKNOWN_ACTION);
}

BOTH(while_the_disk_is_full_it_says_later)
{
    kap_engine_set_disk_full(d->engine, true);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_send(d), KAP_RECEIPT_DISK);
    cr_assert_eq(d->last->results[0].expected, 1);
    kap_engine_set_disk_full(d->engine, false);
    desk_source(d, "a")->last = 0;
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
}

static void set_target(desk_t *d, const char *to, int days, const char *valid_to)
{
    desk_event(d, "a", KAP_EV_TARGET_SET, d->now);
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_code(d, KAP_F_TARGET, KAP_TARGET_ANSWER);
    desk_int(d, KAP_F_DAYS, days);
    if (to != NULL)
        desk_span(d, KAP_F_TO, to);
    if (valid_to != NULL)
        desk_span(d, KAP_F_VALID_TO, valid_to);
    cr_assert_eq(desk_said(d), 0);
}

static int answer_days(desk_t *d, const char *referral, const char *to)
{
    kap_txn_t *txn;
    kap_referral_row_t row;

    desk_created(d, "a", referral, referral, "a", to, "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_referral(txn, 0, kap_span_str(referral), &row), KAP_OK);
    kap_txn_abort(&txn);
    return row.r.answer_days;
}

BOTH(a_referral_keeps_the_target_in_force_at_its_creation)
{
    cr_assert_eq(answer_days(d, "r1", "b"), 10);
    set_target(d, NULL, 7, NULL);
    cr_assert_eq(answer_days(d, "r2", "b"), 7);
    set_target(d, "c", 3, "2026-01-05"); /* the last day it holds */
    cr_assert_eq(answer_days(d, "r3", "c"), 3);
    cr_assert_eq(answer_days(d, "r4", "b"), 7);
    d->now += KAP_DAY_MS;
    cr_assert_eq(answer_days(d, "r5", "c"), 7);
}

BOTH(a_statement_is_asked_and_given_once)
{
    desk_event(d, "a", KAP_EV_STATEMENT_ASKED, d->now);
    desk_span(d, KAP_F_STATEMENT, "s1");
    desk_code(d, KAP_F_STATEMENT_KIND, 0);
    desk_span(d, KAP_F_FROM, "a");
    desk_span(d, KAP_F_TO, "b");
    desk_span(d, KAP_F_REGION, "mikkeli");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(d->last->entries[0].place_count, 3);
    for (int i = 0; i < 3; i++) {
        static const char *const who[] = {"c", "b", "b"};
        static const int said[] = {KAP_REFUSAL_NOT_ALLOWED_RECIPIENT, 0,
                                   KAP_REFUSAL_ILLEGAL_STATEMENT_GIVEN};
        desk_event(d, who[i], KAP_EV_STATEMENT_GIVEN, d->now);
        desk_span(d, KAP_F_STATEMENT, "s1");
        desk_code(d, KAP_F_STATEMENT_RESULT, 0);
        cr_assert_eq(desk_said(d), said[i], "%d", i);
    }
    desk_event(d, "b", KAP_EV_STATEMENT_GIVEN, d->now);
    desk_span(d, KAP_F_STATEMENT, "s2");
    desk_code(d, KAP_F_STATEMENT_RESULT, 0);
    cr_assert_eq(desk_said(d), KAP_REFUSAL_ILLEGAL_UNKNOWN_STATEMENT);
}
