/* SPDX-License-Identifier: MPL-2.0 */
#include "engine_inner.h"

#include <string.h>

#include "err.h"

enum {
    HASH = KAP_LIMIT_HASH_BYTES,
    CATCH_UP_EVENTS = 4096, /* figures after a crash: events in one transaction */
};

/* --- recount --- */

/* Decodes an event of the log, parts and all; one without a body keeps its hashes only. */
static int revive(kap_arena_t *arena, const kap_logged_t *logged, kap_event_t *ev)
{
    if (logged->open.size > 0) {
        int rc = kap_event_decode(logged->open, logged->ends, logged->sealed, arena, ev, NULL);
        return rc == KAP_E_INVALID ? KAP_E_CORRUPT : rc;
    }
    memset(ev, 0, sizeof *ev);
    memcpy(ev->content_hash, logged->content_hash, HASH);
    memcpy(ev->ends_hash, logged->ends_hash, HASH);
    memcpy(ev->sealed_hash, logged->sealed_hash, HASH);
    return KAP_OK;
}

/* Events of the same group around a position, for the machine of redirects. */
static void group_around(const kap_event_t *events, uint32_t count, uint32_t at, uint32_t *first,
                         uint32_t *n)
{
    kap_span_t group = events[at].group;
    uint32_t last = at;

    *first = at;
    if (group.size == 0) {
        *n = 0;
        return;
    }
    while (*first > 0 && kap_span_eq(events[*first - 1].group, group))
        --*first;
    while (last + 1 < count && kap_span_eq(events[last + 1].group, group))
        last++;
    *n = last - *first + 1;
}

static void replay_one(kap_engine_t *e, const kap_replayed_t *replayed, const kap_event_t *events,
                       uint32_t count, uint32_t at, uint64_t *differs)
{
    const kap_logged_t *logged = &replayed[at].logged;
    kap_name_t *source = kap_book_name(e->book, replayed[at].source);
    kap_judge_t judge = {.book = e->book,
                         .dir = e->dir,
                         .recount = true,
                         .now = e->now,
                         .source = replayed[at].source};
    kap_judged_t judged = {.as = logged->as, .verdict = logged->verdict, .state = logged->state};
    uint32_t first, n;

    if (source == NULL)
        return;
    kap_engine_look_up_scope(e, source, &judge);
    if (logged->verdict != KAP_VERDICT_REFUSED) {
        group_around(events, count, at, &first, &n);
        kap_judge_event(&judge, &events[at], n > 0 ? &events[first] : NULL, n, &judged);
    }
    if (judged.verdict != logged->verdict && *differs == 0)
        *differs = logged->log_seq;
    judged.why = logged->why;
    judged.state = logged->state;
    kap_engine_enter(e, &judge, source, &events[at], logged->sequence, &judged);
}

int kap_engine_replay(kap_engine_t *e, const kap_replayed_t *replayed, uint32_t count,
                      uint64_t *differs)
{
    int rc = kap_engine_begin(e, replayed[0].logged.committed_at);

    if (rc != KAP_OK)
        return rc;
    kap_event_t *events = kap_arena_calloc(e->scratch, count, sizeof *events);
    e->entries = kap_engine_room(e, count * sizeof *e->entries);
    if (events == NULL || e->entries == NULL)
        rc = KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = revive(e->scratch, &replayed[i].logged, &events[i]);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++) {
        replay_one(e, replayed, events, count, i, differs);
        rc = kap_book_error(e->book);
    }
    if (rc == KAP_OK)
        rc = kap_engine_finish(e, NULL);
    if (rc != KAP_OK)
        kap_engine_abandon(e);
    else
        kap_batch_drop(&e->batch);
    return rc;
}

/* Ends a transaction that wrote the figures: with the new head, or not at all when rc says so. */
static int settle_figures(kap_engine_t *e, int rc)
{
    if (rc == KAP_OK)
        rc = kap_engine_write_head(e->txn, &e->next);
    if (rc == KAP_OK)
        rc = kap_txn_commit(&e->txn);
    if (rc != KAP_OK) {
        kap_engine_abandon(e);
        return rc;
    }
    kap_book_end(e->book, true);
    kap_batch_drop(&e->batch);
    e->head = e->next;
    return KAP_OK;
}

int kap_engine_write_figures(kap_engine_t *e)
{
    int rc = kap_engine_begin(e, e->head.time);

    return rc != KAP_OK ? rc : settle_figures(e, kap_engine_put_figures(e, true));
}

/* --- figures after a crash --- */

/* The case of the referral that an event of the log is about. */
static void count_again(kap_engine_t *e, const kap_event_t *ev, uint32_t scope)
{
    kap_referral_object_t *r =
        kap_book_referral(e->book, scope, kap_event_span(ev, KAP_F_REFERRAL));

    if (r != NULL && r->o.known)
        kap_book_count_case(e->book, scope, r->row.r.case_id, r->row.places.region);
}

static int catch_up_event(kap_engine_t *e, const kap_logged_t *logged)
{
    kap_span_t none = {0}, source;
    kap_event_t ev;
    kap_mark_t mark;
    int rc = kap_rows_text(e->txn, logged->source, &source);

    if (rc != KAP_OK)
        return rc;
    if (logged->verdict == KAP_VERDICT_REFUSED) {
        kap_name_t *member = kap_engine_member_of(e, source);
        if (member != NULL)
            kap_book_refused(e->book, member->number, logged->committed_at);
        return KAP_OK;
    }
    if (logged->open.size == 0)
        return KAP_OK;
    rc = kap_event_decode(logged->open, none, none, e->scratch, &ev, NULL);
    if (rc == KAP_OK)
        rc = kap_rows_mark(e->txn, source, &mark);
    if (rc == KAP_OK && ev.family == KAP_FAMILY_REFERRAL)
        count_again(e, &ev, mark.scope);
    return rc;
}

static int catch_up_events(kap_engine_t *e, uint64_t to)
{
    kap_log_walk_t walk;
    kap_logged_t logged;
    int rc = kap_log_walk_open(e->txn, &walk);

    for (uint64_t at = e->head.figures_seq + 1; rc == KAP_OK && at <= to; at++) {
        rc = kap_log_walk_get(&walk, at, 0, &logged);
        if (rc == KAP_OK)
            rc = catch_up_event(e, &logged);
        e->next.figures_time = logged.committed_at;
    }
    kap_log_walk_close(&walk);
    return rc;
}

/* Cells stand at an earlier position than the log: counts what happened since. Tallies never wait
 * (book.h, urgent), not even while no figures are kept, so referrals alone can be behind. */
int kap_engine_catch_up(kap_engine_t *e)
{
    while (e->head.figures_seq < e->head.seq) {
        uint64_t to = e->head.seq - e->head.figures_seq > CATCH_UP_EVENTS
                          ? e->head.figures_seq + CATCH_UP_EVENTS
                          : e->head.seq;
        int rc = kap_engine_begin(e, e->head.time);
        if (rc != KAP_OK)
            return rc;
        rc = catch_up_events(e, to);
        if (rc == KAP_OK)
            rc = kap_book_write(e->book);
        if (rc == KAP_OK)
            rc = kap_book_write_figures(e->book, UINT64_MAX);
        e->next.figures_seq = to;
        e->next.figures_moving = to < e->head.seq;
        rc = settle_figures(e, rc);
        if (rc != KAP_OK)
            return rc;
    }
    return KAP_OK;
}
