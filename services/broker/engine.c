/* SPDX-License-Identifier: MPL-2.0 */
#include "engine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "book.h"
#include "clock.h"
#include "crypto.h"
#include "err.h"
#include "hash.h"
#include "ids.h"
#include "judge.h"

enum {
    HASH = KAP_LIMIT_HASH_BYTES,
    FIGURES_BATCHES = 8,    /* figures wait at most so many batches */
    FIGURES_MS = 50,        /* and so long */
    EXPIRED_A_BATCH = 1024, /* a guess: deadlines ended in one batch */
    CATCH_UP_EVENTS = 4096, /* figures after a crash: events in one transaction */
    SOURCE_BYTES = 7 + 2 * KAP_LIMIT_EPOCH_BYTES + 1, /* "broker/<epoch>" */
};

/* A batch and what it holds. */
typedef struct {
    kap_batch_t pub;
    atomic_int refs;
    kap_arena_t *arena;
    kap_msg_t **msgs; /* bytes of the events */
    uint32_t msg_count;
    kap_arena_t **arenas; /* of jobs without a message: their bytes are there */
    uint32_t arena_count;
    size_t job_bytes;
} batch_t;

/* Bytes of one kind of run gathered for a batch. */
typedef struct {
    kap_buf_t bytes;
    struct {
        uint64_t first;
        size_t at;
    } * runs;
    uint32_t count, cap;
} runs_t;

struct kap_engine {
    kap_store_t *store;
    kap_book_t *book;
    kap_arena_t *scratch;
    kap_head_t head;
    bool figures, disk_full;
    kap_directory_t *dir;
    kap_buf_t json;
    bool json_new;
    char source[SOURCE_BYTES]; /* of the events it makes itself */
    runs_t log, ends, sealed;
    uint64_t batch_number;
    uint32_t figures_batches;
    int64_t figures_ms; /* monotonic time of their last writing */
    /* the batch under way */
    kap_txn_t *txn;
    kap_head_t next;
    int64_t now;
    batch_t *batch;
    kap_entry_t *entries;
    uint32_t entry_count;
    bool begun; /* the batch has an event */
};

/* --- batches --- */

kap_job_t *kap_job_new(void)
{
    return calloc(1, sizeof(kap_job_t));
}

void kap_job_destroy(kap_job_t **job)
{
    if (*job == NULL)
        return;
    kap_arena_destroy(&(*job)->arena);
    kap_msg_destroy(&(*job)->msg);
    free(*job);
    *job = NULL;
}

kap_batch_t *kap_batch_ref(kap_batch_t *batch)
{
    atomic_fetch_add(&((batch_t *)batch)->refs, 1);
    return batch;
}

void kap_batch_unref(kap_batch_t **batch)
{
    batch_t *b = (batch_t *)*batch;

    *batch = NULL;
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < b->msg_count; i++)
        kap_msg_destroy(&b->msgs[i]);
    for (uint32_t i = 0; i < b->arena_count; i++)
        kap_arena_destroy(&b->arenas[i]);
    kap_arena_destroy(&b->arena);
    free(b);
}

size_t kap_batch_job_bytes(const kap_batch_t *batch)
{
    return ((const batch_t *)batch)->job_bytes;
}

static batch_t *batch_new(void)
{
    batch_t *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    atomic_init(&b->refs, 1);
    b->arena = kap_arena_new(8 << 10); /* a ring keeps many batches of one event */
    if (b->arena == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

static void batch_drop(batch_t **batch)
{
    kap_batch_t *pub = &(*batch)->pub;

    *batch = NULL;
    kap_batch_unref(&pub);
}

/* --- opening --- */

static int write_head(kap_txn_t *txn, const kap_head_t *head)
{
    kap_buf_t buf = {0};

    kap_head_pack(&buf, head);
    int rc = buf.err != KAP_OK
                 ? buf.err
                 : kap_txn_put(txn, KAP_ROWS_META, KAP_SPAN("head"), kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return rc;
}

static int make_head(kap_store_t *store, kap_head_t *head)
{
    kap_txn_t *txn;
    int rc = kap_txn_begin(store, KAP_TXN_WRITE, &txn);

    if (rc != KAP_OK)
        return rc;
    kap_chain_start(head->mesh, head->epoch, head->chain);
    write_head(txn, head);
    return kap_txn_commit(&txn);
}

static int read_head(kap_engine_t *e, const uint8_t mesh[32])
{
    kap_txn_t *txn;
    int rc = kap_txn_begin(e->store, KAP_TXN_READ, &txn);

    if (rc != KAP_OK)
        return rc;
    rc = kap_rows_head(txn, &e->head);
    kap_txn_abort(&txn);
    if (rc == KAP_E_NOTFOUND) {
        e->head = (kap_head_t){0};
        memcpy(e->head.mesh, mesh, sizeof e->head.mesh);
        kap_random(e->head.epoch, sizeof e->head.epoch);
        rc = make_head(e->store, &e->head);
    }
    if (rc != KAP_OK)
        return rc;
    return memcmp(e->head.mesh, mesh, sizeof e->head.mesh) == 0 ? KAP_OK : KAP_E_CONFLICT;
}

static void make_source(kap_engine_t *e)
{
    memcpy(e->source, "broker/", 7);
    kap_hex_encode(e->head.epoch, KAP_LIMIT_EPOCH_BYTES, e->source + 7);
}

static int catch_up(kap_engine_t *e);

int kap_engine_open(kap_store_t *store, const uint8_t mesh[32], bool figures, kap_engine_t **out)
{
    kap_engine_t *e = calloc(1, sizeof *e);
    int rc;

    if (e == NULL)
        return KAP_E_NOMEM;
    e->store = store;
    e->figures = figures;
    e->book = kap_book_new(figures);
    e->scratch = kap_arena_new(1 << 20);
    rc = e->book == NULL || e->scratch == NULL ? KAP_E_NOMEM : read_head(e, mesh);
    if (rc == KAP_OK) {
        make_source(e);
        rc = figures ? catch_up(e) : KAP_OK;
    }
    if (rc != KAP_OK) {
        kap_engine_close(&e);
        return rc;
    }
    *out = e;
    return KAP_OK;
}

static void runs_fini(runs_t *r)
{
    kap_buf_fini(&r->bytes);
    free(r->runs);
}

void kap_engine_close(kap_engine_t **engine)
{
    kap_engine_t *e = *engine;

    if (e == NULL)
        return;
    kap_book_destroy(&e->book);
    kap_arena_destroy(&e->scratch);
    kap_directory_unref(&e->dir);
    kap_buf_fini(&e->json);
    runs_fini(&e->log);
    runs_fini(&e->ends);
    runs_fini(&e->sealed);
    free(e);
    *engine = NULL;
}

int kap_engine_set_directory(kap_engine_t *e, kap_directory_t *dir, kap_span_t json)
{
    kap_directory_t *old = e->dir;

    kap_buf_reset(&e->json);
    kap_buf_append(&e->json, json);
    if (e->json.err != KAP_OK)
        return e->json.err;
    e->json_new = true;
    e->dir = kap_directory_ref(dir);
    kap_directory_unref(&old);
    return KAP_OK;
}

void kap_engine_set_disk_full(kap_engine_t *e, bool full)
{
    e->disk_full = full;
}

const kap_head_t *kap_engine_head(const kap_engine_t *e)
{
    return &e->head;
}

int kap_engine_adopt(kap_engine_t *e, const kap_head_t *of)
{
    KAP_CHECK(e->head.seq == 0);
    memcpy(e->head.epoch, of->epoch, sizeof e->head.epoch);
    int rc = make_head(e->store, &e->head);
    make_source(e);
    return rc;
}

/* --- runs --- */

static void runs_reset(runs_t *r)
{
    kap_buf_reset(&r->bytes);
    r->count = 0;
}

/* Before `size` more bytes for a position: begins a run where the last is full. */
static void runs_before(kap_engine_t *e, runs_t *r, uint64_t log_seq, size_t size)
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

static void add_part(kap_engine_t *e, runs_t *r, uint64_t log_seq, kap_span_t part)
{
    if (part.size == 0)
        return;
    runs_before(e, r, log_seq, 12 + part.size);
    kap_buf_u64be(&r->bytes, log_seq);
    kap_buf_u32be(&r->bytes, (uint32_t)part.size);
    kap_buf_append(&r->bytes, part);
}

static int runs_write(kap_txn_t *txn, unsigned table, const runs_t *r)
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

/* --- entering an event --- */

static void *room(kap_engine_t *e, size_t bytes)
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
    if (stream == NULL)
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
    kap_place_t *places = room(e, (4 + judged->other_count) * sizeof *places);

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

/* Enters a decided event: log, chain, mark, streams. Returns its entry, NULL on error. */
static const kap_entry_t *enter(kap_engine_t *e, const kap_judge_t *judge, kap_name_t *source,
                                const kap_event_t *ev, uint64_t sequence,
                                const kap_judged_t *judged)
{
    bool body = judged->verdict != KAP_VERDICT_REFUSED;
    kap_entry_t *entry = &e->entries[e->entry_count];
    uint8_t *hashes = room(e, 2 * HASH);
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
                           .source = shown(e, source),
                           .sequence = sequence,
                           .content_hash = hashes,
                           .leaf = hashes + HASH};
    e->entry_count++;
    if (!body)
        return entry;
    entry->open = ev->open;
    entry->ends = ev->ends;
    entry->sealed = ev->sealed;
    kap_referral_object_t *r = judged->referral;
    entry->from = shown_end(e, judged->from, r != NULL ? &r->from : NULL);
    entry->to = shown_end(e, judged->to, r != NULL ? &r->to : NULL);
    if (judged->verdict == KAP_VERDICT_ACCEPTED)
        kap_judge_placed(judge, ev, judged, logged.log_seq);
    enter_streams(e, judged, entry);
    if (judged->opens)
        source->mark.scope = kap_book_number(e->book, kap_book_name(e->book, judged->region));
    return entry;
}

/* --- jobs --- */

/* One job while it is judged. */
typedef struct {
    kap_engine_t *e;
    kap_job_t *job;
    kap_result_t *result;
    kap_decided_t *decided;
    kap_name_t *source;
    kap_judge_t judge;
} running_t;

static void keep_decided(running_t *r, uint32_t i, const kap_judged_t *judged,
                         const kap_entry_t *entry)
{
    if (entry == NULL)
        return;
    r->decided[i] = (kap_decided_t){.verdict = judged->verdict,
                                    .why = judged->why,
                                    .state = judged->state,
                                    .log_seq = entry->log_seq,
                                    .leaf = entry->leaf};
}

/* 0, or why an event does not belong where it stands. */
static int misplaced(const running_t *r, const kap_event_t *ev, uint32_t i)
{
    bool fits =
        kap_span_eq(ev->source, r->job->header.source) && ev->sequence == r->job->header.first + i;

    return ev->type == KAP_EV_NONE || fits ? 0 : KAP_REFUSAL_MALFORMED_HEADER;
}

static void judge_one(running_t *r, uint32_t i, uint32_t group_first, uint32_t group_count,
                      kap_judged_t *out)
{
    const kap_event_t *ev = &r->job->events[i];
    int why = misplaced(r, ev, i);

    *out = (kap_judged_t){.verdict = KAP_VERDICT_REFUSED, .state = KAP_STATE_NONE};
    if (why == 0 && group_count > KAP_LIMIT_GROUP_EVENTS)
        why = KAP_REFUSAL_MALFORMED_GROUP;
    out->why.number = (uint16_t)why;
    if (why == 0)
        kap_judge_event(&r->judge, ev, group_count > 0 ? &r->job->events[group_first] : NULL,
                        group_count, out);
}

/* Events of one group from `first` on: how many stand side by side; 0: it is in none. */
static uint32_t group_size(const kap_job_t *job, uint32_t first)
{
    kap_span_t group = job->events[first].group;
    uint32_t n = 1;

    if (group.size == 0)
        return 0;
    while (first + n < job->count && kap_span_eq(job->events[first + n].group, group))
        n++;
    return n;
}

static void refuse_rest(kap_judged_t *judged, uint32_t count, uint32_t but)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i != but)
            judged[i] = (kap_judged_t){.verdict = KAP_VERDICT_REFUSED,
                                       .why = {KAP_REFUSAL_ILLEGAL_GROUP, KAP_F_NONE},
                                       .state = KAP_STATE_NONE};
    }
}

/* All or none of them. */
static void judge_group(running_t *r, uint32_t first, uint32_t count)
{
    kap_judged_t judged[KAP_LIMIT_GROUP_EVENTS];
    uint32_t n = 0;

    kap_book_group_begin(r->e->book);
    for (; n < count; n++) {
        judge_one(r, first + n, first, count, &judged[n]);
        if (judged[n].verdict == KAP_VERDICT_REFUSED)
            break;
    }
    if (n < count) {
        kap_book_group_rollback(r->e->book);
        refuse_rest(judged, count, n);
    }
    kap_book_group_end(r->e->book);
    for (uint32_t i = 0; i < count; i++)
        keep_decided(r, first + i, &judged[i],
                     enter(r->e, &r->judge, r->source, &r->job->events[first + i],
                           r->job->header.first + first + i, &judged[i]));
}

/* What the source fills may have changed with its last event. */
static void look_up_scope(kap_engine_t *e, kap_name_t *source, kap_judge_t *judge)
{
    const kap_mark_t *mark = kap_book_mark(e->book, source);

    if (judge->scope == mark->scope)
        return;
    judge->scope = mark->scope;
    judge->archive = kap_book_text(e->book, mark->scope);
}

static void judge_new(running_t *r, uint32_t first)
{
    kap_judged_t judged;

    for (uint32_t i = first; i < r->job->count;) {
        uint32_t n = group_size(r->job, i);
        look_up_scope(r->e, r->source, &r->judge);
        if (n > 1 && n <= KAP_LIMIT_GROUP_EVENTS) {
            judge_group(r, i, n);
            i += n;
            continue;
        }
        for (uint32_t end = i + (n == 0 ? 1 : n); i < end; i++) {
            judge_one(r, i, i, n, &judged);
            keep_decided(r, i, &judged,
                         enter(r->e, &r->judge, r->source, &r->job->events[i],
                               r->job->header.first + i, &judged));
        }
    }
}

/* The receipt of an event that the source published before; false when its content was another. */
static bool repeat(running_t *r, kap_log_walk_t *walk, uint32_t i)
{
    kap_engine_t *e = r->e;
    const kap_event_t *ev = &r->job->events[i];
    kap_logged_t logged;
    uint64_t at = kap_book_receipt(e->book, r->source, r->job->header.first + i);

    if (at > e->head.seq) { /* of this very batch */
        const kap_entry_t *entry = &e->entries[at - e->head.seq - 1];
        r->decided[i] = (kap_decided_t){.verdict = entry->verdict,
                                        .why = {entry->refusal, KAP_F_NONE},
                                        .state = KAP_STATE_NONE,
                                        .log_seq = at,
                                        .leaf = entry->leaf};
        return memcmp(entry->content_hash, ev->content_hash, HASH) == 0;
    }
    int rc = at == 0 ? KAP_E_CORRUPT : kap_log_walk_get(walk, at, 0, &logged);
    uint8_t *leaf = rc == KAP_OK ? room(e, HASH) : NULL;
    if (rc != KAP_OK || leaf == NULL) {
        kap_book_fail(e->book, rc != KAP_OK ? rc : KAP_E_NOMEM);
        return true;
    }
    memcpy(leaf, logged.leaf, HASH);
    r->decided[i] = (kap_decided_t){logged.verdict, logged.why, logged.state, at, leaf};
    return memcmp(logged.content_hash, ev->content_hash, HASH) == 0;
}

/* Answers the first `count` events, which are duplicates. */
static bool repeat_all(running_t *r, uint32_t count)
{
    kap_log_walk_t walk;
    bool same = true;

    if (count == 0)
        return true;
    int rc = kap_log_walk_open(r->e->txn, &walk);
    if (rc != KAP_OK) {
        kap_book_fail(r->e->book, rc);
        return true;
    }
    for (uint32_t i = 0; same && i < count; i++)
        same = repeat(r, &walk, i);
    kap_log_walk_close(&walk);
    return same;
}

/* Who it is, and whether the source is theirs. The engine's own jobs have no key. */
static bool admit(running_t *r)
{
    kap_engine_t *e = r->e;

    r->judge = (kap_judge_t){
        .book = e->book, .dir = e->dir, .now = e->now, .source = r->job->header.source};
    if (r->job->key[0] == '\0')
        return kap_span_eq_str(r->job->header.source, e->source);
    r->judge.who = kap_access_who(e->dir, r->job->key, e->now);
    return kap_may_source(r->judge.who, r->job->header.source);
}

static void answer_later(running_t *r, int status, uint64_t expected)
{
    r->result->status = status;
    r->result->expected = expected;
}

static void run_job(kap_engine_t *e, kap_job_t *job, kap_result_t *result)
{
    running_t r = {.e = e, .job = job, .result = result};
    uint64_t first = job->header.first;

    *result = (kap_result_t){.ticket = job->ticket, .first = first};
    if (!admit(&r)) {
        answer_later(&r, KAP_RECEIPT_FOREIGN, 0);
        return;
    }
    r.source = kap_book_name(e->book, job->header.source);
    if (r.source == NULL)
        return;
    uint64_t last = kap_book_mark(e->book, r.source)->last;
    if (e->disk_full) {
        answer_later(&r, KAP_RECEIPT_DISK, last + 1);
        return;
    }
    if (first == 0 || first > last + 1) {
        answer_later(&r, KAP_RECEIPT_GAP, last + 1);
        return;
    }
    uint64_t known = last + 1 - first;
    uint32_t repeats = known < job->count ? (uint32_t)known : job->count;
    r.decided = room(e, job->count * sizeof *r.decided);
    if (r.decided == NULL)
        return;
    if (!repeat_all(&r, repeats)) {
        answer_later(&r, KAP_RECEIPT_CONFLICT, last + 1);
        return;
    }
    judge_new(&r, repeats);
    result->status = KAP_RECEIPT_OK;
    result->expected = r.source->mark.last + 1;
    result->count = job->count;
    result->decided = r.decided;
}

/* --- deadlines --- */

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
        *more = ++seen > EXPIRED_A_BATCH;
        if (*more)
            break;
        look_at_due(e, kap_cursor_key(cursor), job);
    }
    kap_cursor_close(&cursor);
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        kap_book_fail(e->book, rc);
}

/* The job of the timer: every `expired` that is to be said now; NULL: none, or on error. */
static kap_job_t *expired_job(kap_engine_t *e, bool *more)
{
    kap_job_t *job = kap_job_new();
    kap_name_t *source = kap_book_name(e->book, kap_span_str(e->source));

    if (job != NULL)
        job->arena = kap_arena_new(16 << 10);
    if (job != NULL && job->arena != NULL)
        job->events = kap_arena_calloc(job->arena, EXPIRED_A_BATCH, sizeof *job->events);
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

/* --- the batch --- */

static int begin(kap_engine_t *e, int64_t now)
{
    kap_txn_t *txn;

    kap_arena_reset(e->scratch);
    runs_reset(&e->log);
    runs_reset(&e->ends);
    runs_reset(&e->sealed);
    e->batch = batch_new();
    if (e->batch == NULL)
        return KAP_E_NOMEM;
    int rc = kap_txn_begin(e->store, KAP_TXN_WRITE, &txn);
    if (rc != KAP_OK) {
        batch_drop(&e->batch);
        return rc;
    }
    e->txn = txn;
    e->next = e->head;
    e->now = now > e->head.time ? now : e->head.time;
    e->entries = NULL;
    e->entry_count = 0;
    e->begun = false;
    e->batch_number++;
    kap_book_begin(e->book, txn, e->scratch);
    return KAP_OK;
}

/* The directory's text stands in the store from the position at which it begins to count. */
static int write_directory(kap_engine_t *e)
{
    kap_key_t key;
    kap_span_t old;

    if (!e->json_new)
        return KAP_OK;
    int rc = kap_rows_directory(e->txn, UINT64_MAX, NULL, &old);
    if (rc == KAP_OK && kap_span_eq(old, kap_buf_span(&e->json)))
        return KAP_OK;
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    kap_key_u64(&key, e->head.seq + 1);
    return kap_txn_put(e->txn, KAP_ROWS_DIRECTORIES, kap_key_span(&key), kap_buf_span(&e->json));
}

static bool figures_are_due(const kap_engine_t *e, const kap_engine_turn_t *turn)
{
    return kap_book_figures_urgent(e->book) || e->figures_batches + 1 >= FIGURES_BATCHES ||
           kap_monotonic_ms() - e->figures_ms >= FIGURES_MS || turn->idle == NULL ||
           turn->idle(turn->arg);
}

static int write_figures(kap_engine_t *e, bool due)
{
    if (!e->figures || !due)
        return KAP_OK;
    e->next.figures_seq = e->next.seq;
    e->next.figures_time = e->next.time;
    return kap_book_figures_waiting(e->book) == 0 ? KAP_OK : kap_book_write_figures(e->book);
}

/* Writes everything and commits. */
static int finish(kap_engine_t *e, const kap_engine_turn_t *turn)
{
    int rc = kap_book_error(e->book);
    bool due = false;

    if (rc == KAP_OK)
        rc = write_directory(e);
    if (rc == KAP_OK)
        rc = runs_write(e->txn, KAP_ROWS_LOG, &e->log);
    if (rc == KAP_OK)
        rc = runs_write(e->txn, KAP_ROWS_ENDS, &e->ends);
    if (rc == KAP_OK)
        rc = runs_write(e->txn, KAP_ROWS_SEALED, &e->sealed);
    if (rc == KAP_OK)
        rc = kap_book_write(e->book);
    if (rc == KAP_OK) {
        due = turn != NULL && figures_are_due(e, turn);
        rc = write_figures(e, due);
    }
    if (rc == KAP_OK)
        rc = write_head(e->txn, &e->next);
    if (rc != KAP_OK) {
        kap_txn_abort(&e->txn);
        return rc;
    }
    rc = kap_txn_commit(&e->txn);
    if (rc != KAP_OK)
        return rc;
    kap_book_end(e->book, due);
    e->head = e->next;
    e->json_new = false;
    e->figures_batches = due ? 0 : e->figures_batches + 1;
    if (due)
        e->figures_ms = kap_monotonic_ms();
    return KAP_OK;
}

/* Nothing to write: later answers and duplicates alone want no sync. */
static bool is_idle(const kap_engine_t *e)
{
    return e->entry_count == 0 && !e->json_new && kap_book_is_clean(e->book) &&
           kap_book_figures_waiting(e->book) == 0;
}

static int skip(kap_engine_t *e)
{
    int rc = kap_book_error(e->book);

    kap_txn_abort(&e->txn);
    if (rc == KAP_OK)
        kap_book_end(e->book, false);
    return rc;
}

static void abandon(kap_engine_t *e)
{
    if (e->txn != NULL)
        kap_txn_abort(&e->txn);
    kap_book_forget(e->book);
    batch_drop(&e->batch);
}

/* Hands the bytes of a job over to the batch; its other memory goes. */
static void take_job(batch_t *b, kap_job_t *job)
{
    b->job_bytes += job->bytes;
    if (job->msg != NULL) {
        b->pub.bytes += kap_msg_size(job->msg);
        b->msgs[b->msg_count++] = job->msg;
        job->msg = NULL;
    } else {
        b->pub.bytes += kap_arena_held_bytes(job->arena);
        b->arenas[b->arena_count++] = job->arena;
        job->arena = NULL;
    }
    kap_job_destroy(&job);
}

static kap_batch_t *publish(kap_engine_t *e, kap_job_t *jobs, kap_job_t *expired, uint64_t before,
                            const kap_result_t *results, uint32_t count)
{
    batch_t *b = e->batch;

    e->batch = NULL;
    if (expired != NULL)
        take_job(b, expired);
    for (kap_job_t *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        take_job(b, job);
    }
    b->pub.results = results;
    b->pub.result_count = count;
    b->pub.entries = e->entries;
    b->pub.entry_count = e->entry_count;
    b->pub.first_seq = before + 1;
    b->pub.head_seq = e->head.seq;
    b->pub.head_time = e->head.time;
    b->pub.figures_seq = e->head.figures_seq;
    b->pub.bytes += kap_arena_held_bytes(b->arena);
    return &b->pub;
}

/* Makes room for all that the jobs may become. */
static kap_result_t *reserve(kap_engine_t *e, const kap_job_t *jobs, const kap_job_t *expired,
                             uint32_t *count)
{
    size_t events = expired != NULL ? expired->count : 0;
    uint32_t n = 0;

    for (const kap_job_t *job = jobs; job != NULL; job = job->next, n++)
        events += job->count;
    *count = n;
    e->entries = room(e, events * sizeof *e->entries);
    e->batch->msgs = room(e, (n + 1) * sizeof *e->batch->msgs);
    e->batch->arenas = room(e, (n + 1) * sizeof *e->batch->arenas);
    return room(e, (n + 1) * sizeof(kap_result_t));
}

int kap_engine_batch(kap_engine_t *e, kap_job_t *jobs, const kap_engine_turn_t *turn,
                     kap_batch_t **out, bool *more)
{
    uint64_t before = e->head.seq;
    kap_job_t *expired = NULL;
    uint32_t count = 0, n = 0;
    int rc = begin(e, turn->now);

    *more = false;
    if (rc != KAP_OK)
        return rc;
    if (turn->expire)
        expired = expired_job(e, more);
    kap_result_t *results = reserve(e, jobs, expired, &count);
    if (kap_book_error(e->book) == KAP_OK && expired != NULL)
        run_job(e, expired, &results[count]);
    for (kap_job_t *job = jobs; job != NULL && kap_book_error(e->book) == KAP_OK; job = job->next)
        run_job(e, job, &results[n++]);
    rc = is_idle(e) ? skip(e) : finish(e, turn);
    if (rc != KAP_OK) {
        kap_job_destroy(&expired);
        abandon(e);
        return rc;
    }
    *out = publish(e, jobs, expired, before, results, count);
    return KAP_OK;
}

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
    look_up_scope(e, source, &judge);
    if (logged->verdict != KAP_VERDICT_REFUSED) {
        group_around(events, count, at, &first, &n);
        kap_judge_event(&judge, &events[at], n > 0 ? &events[first] : NULL, n, &judged);
    }
    if (judged.verdict != logged->verdict && *differs == 0)
        *differs = logged->log_seq;
    judged.why = logged->why;
    judged.state = logged->state;
    enter(e, &judge, source, &events[at], logged->sequence, &judged);
}

int kap_engine_replay(kap_engine_t *e, const kap_replayed_t *replayed, uint32_t count,
                      uint64_t *differs)
{
    int rc = begin(e, replayed[0].logged.committed_at);

    if (rc != KAP_OK)
        return rc;
    kap_event_t *events = kap_arena_calloc(e->scratch, count, sizeof *events);
    e->entries = room(e, count * sizeof *e->entries);
    if (events == NULL || e->entries == NULL)
        rc = KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = revive(e->scratch, &replayed[i].logged, &events[i]);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++) {
        replay_one(e, replayed, events, count, i, differs);
        rc = kap_book_error(e->book);
    }
    if (rc == KAP_OK)
        rc = finish(e, NULL);
    if (rc != KAP_OK)
        abandon(e);
    else
        batch_drop(&e->batch);
    return rc;
}

int kap_engine_write_figures(kap_engine_t *e)
{
    int rc = begin(e, e->head.time);

    if (rc != KAP_OK)
        return rc;
    rc = write_figures(e, true);
    if (rc == KAP_OK)
        rc = write_head(e->txn, &e->next);
    if (rc == KAP_OK)
        rc = kap_txn_commit(&e->txn);
    if (rc != KAP_OK) {
        abandon(e);
        return rc;
    }
    kap_book_end(e->book, true);
    batch_drop(&e->batch);
    e->head = e->next;
    return KAP_OK;
}

/* --- figures after a crash --- */

/* The referral that an event of the log is about, and those of its case: the customer's clock may
 * have moved between them. */
static void recontribute(kap_engine_t *e, uint32_t scope, kap_span_t id)
{
    kap_referral_object_t *r = kap_book_referral(e->book, scope, id);
    kap_span_t ids, other;

    if (r == NULL || !r->o.known)
        return;
    kap_book_touch(e->book, &r->o);
    kap_case_object_t *c = kap_book_case(e->book, scope, r->row.r.case_id);
    if (c == NULL || c->row.count < 2)
        return;
    ids = c->row.ids;
    while (ids.size > 0 && kap_get_text(&ids, &other)) {
        r = kap_book_referral(e->book, scope, other);
        if (r != NULL && r->o.known)
            kap_book_touch(e->book, &r->o);
    }
}

static int catch_up_events(kap_engine_t *e, uint64_t to)
{
    kap_log_walk_t walk;
    kap_logged_t logged;
    kap_event_t ev;
    kap_span_t source;
    kap_mark_t mark;
    int rc = kap_log_walk_open(e->txn, &walk);

    for (uint64_t at = e->head.figures_seq + 1; rc == KAP_OK && at <= to; at++) {
        rc = kap_log_walk_get(&walk, at, 0, &logged);
        if (rc != KAP_OK || logged.open.size == 0)
            continue;
        rc = kap_event_decode(logged.open, kap_span(NULL, 0), kap_span(NULL, 0), e->scratch, &ev,
                              NULL);
        if (rc == KAP_OK)
            rc = kap_rows_text(e->txn, logged.source, &source);
        if (rc == KAP_OK)
            rc = kap_rows_mark(e->txn, source, &mark);
        kap_span_t id = rc == KAP_OK ? kap_event_span(&ev, KAP_F_REFERRAL) : kap_span(NULL, 0);
        if (rc == KAP_OK && ev.family == KAP_FAMILY_REFERRAL)
            recontribute(e, mark.scope, id);
        e->next.figures_time = logged.committed_at;
    }
    kap_log_walk_close(&walk);
    return rc;
}

/* Cells stand at an earlier position than the log: counts what happened since. Tallies never wait
 * (book.h, urgent), so referrals alone can be behind. */
static int catch_up(kap_engine_t *e)
{
    while (e->head.figures_seq < e->head.seq) {
        uint64_t to = e->head.seq - e->head.figures_seq > CATCH_UP_EVENTS
                          ? e->head.figures_seq + CATCH_UP_EVENTS
                          : e->head.seq;
        int rc = begin(e, e->head.time);
        if (rc != KAP_OK)
            return rc;
        rc = catch_up_events(e, to);
        if (rc == KAP_OK)
            rc = kap_book_write(e->book);
        if (rc == KAP_OK)
            rc = kap_book_write_figures(e->book);
        e->next.figures_seq = to;
        if (rc == KAP_OK)
            rc = write_head(e->txn, &e->next);
        if (rc == KAP_OK)
            rc = kap_txn_commit(&e->txn);
        if (rc != KAP_OK) {
            abandon(e);
            return rc;
        }
        kap_book_end(e->book, true);
        batch_drop(&e->batch);
        e->head = e->next;
    }
    return KAP_OK;
}
