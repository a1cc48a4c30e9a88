/* SPDX-License-Identifier: MPL-2.0 */
#include "engine_inner.h"

#include <stdio.h>

#include "crypto.h"
#include "err.h"
#include "ids.h"

/* One `expired` event for a referral whose limit is over. */
static int make_expired(kap_engine_t *e, const kap_referral_object_t *r, uint64_t sequence,
                        kap_arena_t *arena, kap_event_t *ev)
{
    static const uint8_t no_salt[KAP_LIMIT_SALT_BYTES];
    kap_event_builder_t builder;
    kap_buf_t open = {0}, ends = {0};
    char number[24], id[KAP_UUID_TEXT];
    uint8_t hash[KAP_HASH_BYTES];
    int64_t at = r->row.r.due_at;

    snprintf(number, sizeof number, "/%llu", (unsigned long long)sequence);
    kap_span_t parts[] = {kap_span_str(e->source), kap_span_str(number)};
    kap_hash256(hash, parts, 2);
    kap_uuid_v8(hash, id);
    kap_event_builder_begin(&builder, KAP_EV_REFERRAL_EXPIRED, kap_span_str(id),
                            kap_span_str(e->source), sequence, at, at);
    kap_event_builder_set_subject(&builder, r->o.id);
    kap_event_builder_set_span(&builder, KAP_F_REFERRAL, r->o.id);
    kap_event_builder_set_code(&builder, KAP_F_DEADLINE, r->row.r.due_kind);
    kap_event_builder_set_int(&builder, KAP_F_DEADLINE_AT, at);
    int rc = kap_event_builder_finish(&builder, no_salt, kap_span(NULL, 0), &open, &ends);
    kap_span_t kept = rc == KAP_OK ? kap_arena_dup(arena, kap_buf_span(&open)) : kap_span(NULL, 0);
    if (rc == KAP_OK && kept.data == NULL)
        rc = KAP_E_NOMEM;
    if (rc == KAP_OK)
        rc = kap_event_decode(kept, kap_span(NULL, 0), kap_span(NULL, 0), arena, ev, NULL);
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    return rc == KAP_E_INVALID ? KAP_E_INTERNAL : rc;
}

/* Looks at one entry of the index of deadlines: it goes, whatever becomes of its referral. */
static void look_at_due(kap_engine_t *e, kap_span_t key, kap_job_t *job)
{
    int64_t at;
    uint32_t scope;
    kap_span_t id;

    if (kap_key_due_split(key, &at, &scope, &id) != KAP_OK) {
        kap_book_fail(e->book, KAP_E_CORRUPT);
        return;
    }
    kap_book_due_delete(e->book, key);
    kap_referral_object_t *r = kap_book_referral(e->book, scope, kap_book_keep(e->book, id));
    if (r == NULL || !r->o.known)
        return;
    if (r->row.due_indexed_at == at) {
        kap_book_touch(e->book, &r->o);
        r->row.due_indexed_at = KAP_REFERRAL_NO_TIME;
    }
    if (!kap_referral_is_due(&r->row.r, e->now))
        return;
    uint64_t sequence = job->header.first + job->count;
    int rc = make_expired(e, r, sequence, job->arena, &job->events[job->count]);
    if (rc != KAP_OK)
        kap_book_fail(e->book, rc);
    else
        job->count++;
}

static void scan_due(kap_engine_t *e, kap_job_t *job, bool *more)
{
    kap_cursor_t *cursor;
    kap_span_t id;
    int64_t at = 0;
    uint32_t scope, seen = 0;
    int rc = kap_cursor_open(e->txn, KAP_ROWS_DUE, &cursor);

    if (rc != KAP_OK) {
        kap_book_fail(e->book, rc);
        return;
    }
    for (rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0)); rc == KAP_OK;
         rc = kap_cursor_next(cursor)) {
        rc = kap_key_due_split(kap_cursor_key(cursor), &at, &scope, &id);
        if (rc != KAP_OK || at > e->now)
            break;
        *more = ++seen > KAP_ENGINE_EXPIRED_MAX;
        if (*more)
            break;
        look_at_due(e, kap_cursor_key(cursor), job);
    }
    kap_cursor_close(&cursor);
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        kap_book_fail(e->book, rc);
}

/* The job of the timer: every `expired` that is to be said now; NULL: none, or on error. */
kap_job_t *kap_engine_expired_job(kap_engine_t *e, bool *more)
{
    kap_job_t *job = kap_job_new();
    kap_name_t *source = kap_book_name(e->book, kap_span_str(e->source));

    if (job != NULL)
        job->arena = kap_arena_new(16 << 10);
    if (job != NULL && job->arena != NULL)
        job->events = kap_arena_calloc(job->arena, KAP_ENGINE_EXPIRED_MAX, sizeof *job->events);
    if (job == NULL || job->events == NULL || source == NULL) {
        kap_book_fail(e->book, KAP_E_NOMEM);
        kap_job_destroy(&job);
        return NULL;
    }
    job->header.source = kap_span_str(e->source);
    job->header.first = kap_book_mark(e->book, source)->last + 1;
    scan_due(e, job, more);
    if (job->count == 0)
        kap_job_destroy(&job);
    return job;
}
