/* SPDX-License-Identifier: MPL-2.0 */
#include "engine_inner.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hash.h"
#include "seeded.h"

enum { HASH = KAP_LIMIT_HASH_BYTES };

/* --- runs --- */

void kap_runs_reset(kap_runs_t *r)
{
    kap_buf_reset(&r->bytes);
    r->count = 0;
}

/* Before `size` more bytes for a position: begins a run where the last is full. */
static void runs_before(kap_engine_t *e, kap_runs_t *r, uint64_t log_seq, size_t size)
{
    if (r->count > 0 && r->bytes.size - r->runs[r->count - 1].at + size <= KAP_ROWS_RUN_BYTES)
        return;
    if (r->count == r->cap) {
        uint32_t cap = r->cap == 0 ? 64 : r->cap * 2;
        void *grown = realloc(r->runs, cap * sizeof *r->runs);
        if (grown == NULL) {
            kap_book_fail(e->book, KAP_E_NOMEM);
            return;
        }
        r->runs = grown;
        r->cap = cap;
    }
    r->runs[r->count].first = log_seq;
    r->runs[r->count++].at = r->bytes.size;
}

static void add_part(kap_engine_t *e, kap_runs_t *r, uint64_t log_seq, kap_span_t part)
{
    if (part.size == 0)
        return;
    runs_before(e, r, log_seq, 12 + part.size);
    kap_buf_u64be(&r->bytes, log_seq);
    kap_buf_u32be(&r->bytes, (uint32_t)part.size);
    kap_buf_append(&r->bytes, part);
}

int kap_runs_write(kap_txn_t *txn, unsigned table, const kap_runs_t *r)
{
    kap_key_t key;

    if (r->bytes.err != KAP_OK)
        return r->bytes.err;
    for (uint32_t i = 0; i < r->count; i++) {
        size_t end = i + 1 < r->count ? r->runs[i + 1].at : r->bytes.size;
        kap_key_u64(&key, r->runs[i].first);
        kap_span_t run = kap_span(r->bytes.data + r->runs[i].at, end - r->runs[i].at);
        int rc = kap_txn_append(txn, table, kap_key_span(&key), run);
        if (rc != KAP_OK)
            return rc;
    }
    return KAP_OK;
}

void kap_runs_fini(kap_runs_t *r)
{
    kap_buf_fini(&r->bytes);
    free(r->runs);
}

/* --- entering an event --- */

void *kap_engine_room(kap_engine_t *e, size_t bytes)
{
    void *p = kap_arena_calloc(e->batch->arena, 1, bytes > 0 ? bytes : 1);

    if (p == NULL)
        kap_book_fail(e->book, KAP_E_NOMEM);
    return p;
}

/* Text of a name, copied once a batch. */
static kap_span_t shown(kap_engine_t *e, kap_name_t *name)
{
    if (name->shown_in != e->batch_number) {
        name->shown = kap_arena_dup(e->batch->arena, name->text);
        name->shown_in = e->batch_number;
        if (name->shown.data == NULL)
            kap_book_fail(e->book, KAP_E_NOMEM);
    }
    return name->shown;
}

static void place_in(kap_engine_t *e, kap_name_t *stream, kap_entry_t *entry, kap_place_t *places)
{
    if (stream == NULL || (KAP_SEEDED_BUG("stream_entry_skipped") && entry->log_seq % 7 == 0))
        return;
    kap_span_t text = shown(e, stream);
    kap_place_t *place = &places[entry->place_count++];
    place->stream = kap_span_sub(text, 1, SIZE_MAX); /* without its mark */
    place->seq = kap_book_append(e->book, stream, entry->log_seq);
}

/* Streams of a referral are looked up once a batch. */
static kap_name_t *cached_stream(kap_engine_t *e, const kap_judged_t *judged, kap_span_t id)
{
    kap_referral_object_t *r = judged->referral;
    kap_name_t **slot = NULL;

    if (r != NULL && kap_span_eq(id, r->row.r.from))
        slot = &r->from_stream;
    else if (r != NULL && kap_span_eq(id, r->row.r.to))
        slot = &r->to_stream;
    if (slot == NULL)
        return kap_book_stream(e->book, "member/", id);
    if (*slot == NULL)
        *slot = kap_book_stream(e->book, "member/", id);
    return *slot;
}

static void enter_streams(kap_engine_t *e, const kap_judged_t *judged, kap_entry_t *entry)
{
    kap_referral_object_t *r = judged->referral;
    kap_place_t *places = kap_engine_room(e, (4 + judged->other_count) * sizeof *places);

    if (places == NULL)
        return;
    entry->places = places;
    if (judged->region.size > 0) {
        kap_name_t *stream = r != NULL ? r->region_stream : NULL;
        if (stream == NULL)
            stream = kap_book_stream(e->book, "region/", judged->region);
        if (r != NULL)
            r->region_stream = stream;
        place_in(e, stream, entry, places);
    }
    for (size_t i = 0; i < 3 && judged->tell[i].size > 0; i++)
        place_in(e, cached_stream(e, judged, judged->tell[i]), entry, places);
    for (uint32_t i = 0; i < judged->other_count; i++)
        place_in(e, kap_book_stream(e->book, "member/", judged->others[i]), entry, places);
}

static void enter_log(kap_engine_t *e, const kap_logged_t *logged, kap_span_t ends,
                      kap_span_t sealed)
{
    /* 200: more than what stands beside the open part */
    runs_before(e, &e->log, logged->log_seq, logged->open.size + 200);
    kap_logged_pack(&e->log.bytes, logged);
    add_part(e, &e->ends, logged->log_seq, ends);
    add_part(e, &e->sealed, logged->log_seq, sealed);
}

/* Copies an end for the readers of the batch. `slot`: where the referral keeps the name. */
static kap_span_t shown_end(kap_engine_t *e, kap_span_t id, kap_name_t **slot)
{
    kap_name_t *name = slot != NULL ? *slot : NULL;

    if (id.size == 0)
        return id;
    if (name == NULL)
        name = kap_book_name(e->book, id);
    if (slot != NULL)
        *slot = name;
    return name == NULL ? kap_span(NULL, 0) : shown(e, name);
}

/* What the batch's readers are told of an event that was not refused. */
static void show(kap_engine_t *e, const kap_event_t *ev, const kap_judged_t *judged,
                 kap_entry_t *entry)
{
    kap_referral_object_t *r = judged->referral;

    entry->open = ev->open;
    entry->ends = ev->ends;
    entry->sealed = ev->sealed;
    entry->from = shown_end(e, judged->from, r != NULL ? &r->from : NULL);
    entry->to = shown_end(e, judged->to, r != NULL ? &r->to : NULL);
    if (r != NULL && ev->type == KAP_EV_REFERRAL_CREATED &&
        judged->verdict == KAP_VERDICT_ACCEPTED) {
        entry->answer_days = r->row.r.answer_days;
        entry->contact_days = r->row.r.contact_days;
    }
}

kap_name_t *kap_engine_member_of(kap_engine_t *e, kap_span_t source)
{
    const uint8_t *end = memchr(source.data, '/', source.size);
    size_t size = end == NULL ? source.size : (size_t)(end - source.data);

    return kap_book_name(e->book, size == 0 ? source : kap_span_sub(source, 0, size));
}

/* A refused event counts for whoever published it. */
static void count_refused(kap_engine_t *e, const kap_name_t *source)
{
    kap_name_t *member = kap_engine_member_of(e, source->text);

    uint32_t number = member == NULL ? 0 : kap_book_number(e->book, member);
    if (e->figures && number != 0) /* else it is counted from the log: replay.c */
        kap_book_refused(e->book, number, e->now);
}

/* Enters a decided event: log, chain, mark, streams. Returns its entry, NULL on error. */
const kap_entry_t *kap_engine_enter(kap_engine_t *e, const kap_judge_t *judge, kap_name_t *source,
                                    const kap_event_t *ev, uint64_t sequence,
                                    const kap_judged_t *judged)
{
    bool body = judged->verdict != KAP_VERDICT_REFUSED;
    kap_entry_t *entry = &e->entries[e->entry_count];
    uint8_t *hashes = kap_engine_room(e, 2 * HASH);
    kap_logged_t logged = {.log_seq = e->next.seq + 1,
                           .committed_at = e->now,
                           .verdict = judged->verdict,
                           .why = judged->why,
                           .state = judged->state,
                           .as = judged->as,
                           .sequence = sequence,
                           .begins_batch = !e->begun};

    if (hashes == NULL)
        return NULL;
    memcpy(logged.content_hash, ev->content_hash, HASH);
    memcpy(logged.ends_hash, ev->ends_hash, HASH);
    memcpy(logged.sealed_hash, ev->sealed_hash, HASH);
    kap_leaf(e->now, judged->verdict, ev->content_hash, ev->ends_hash, ev->sealed_hash,
             logged.leaf);
    if (!KAP_SEEDED_BUG("chain_skips") || logged.log_seq % 7 != 0)
        kap_chain(e->next.chain, logged.leaf, e->next.chain);
    e->next.seq++;
    e->next.time = e->now;
    e->begun = true;
    kap_book_advance(e->book, source, ev->content_hash, logged.log_seq);
    logged.source = source->number;
    logged.open = body ? ev->open : kap_span(NULL, 0);
    enter_log(e, &logged, body ? ev->ends : kap_span(NULL, 0),
              body ? ev->sealed : kap_span(NULL, 0));
    memcpy(hashes, ev->content_hash, HASH);
    memcpy(hashes + HASH, logged.leaf, HASH);
    *entry = (kap_entry_t){.log_seq = logged.log_seq,
                           .committed_at = e->now,
                           .verdict = judged->verdict,
                           .refusal = judged->why.number,
                           .field = judged->why.field,
                           .state = judged->state,
                           .source = shown(e, source),
                           .sequence = sequence,
                           .content_hash = hashes,
                           .leaf = hashes + HASH};
    e->entry_count++;
    if (!body) {
        count_refused(e, source);
        return entry;
    }
    show(e, ev, judged, entry);
    if (judged->verdict == KAP_VERDICT_ACCEPTED)
        kap_judge_placed(judge, ev, judged, logged.log_seq);
    enter_streams(e, judged, entry);
    if (judged->opens)
        source->mark.scope = kap_book_number(e->book, kap_book_name(e->book, judged->region));
    return entry;
}
