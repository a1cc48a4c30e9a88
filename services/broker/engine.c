/* SPDX-License-Identifier: MPL-2.0 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "engine_inner.h"
#include "err.h"
#include "hash.h"
#include "ids.h"
#include "seeded.h"
#include "sound.h"

enum {
    HASH = KAP_LIMIT_HASH_BYTES,
    /* Guesses: figures wait until so many cases do, or so long, unless somebody asks for them
     * (kap_engine_turn_t.idle); then what waits is counted in so many parts. The more cases, the
     * more of them share a cell that is written once; each needs some 600 bytes meanwhile. */
    FIGURES_CASES = 10000,
    FIGURES_MS = 2000,
    FIGURES_PARTS = 8,
};

/* --- opening --- */

int kap_engine_write_head(kap_txn_t *txn, const kap_head_t *head)
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
    kap_engine_write_head(txn, head);
    return kap_txn_commit(&txn);
}

static int read_head(kap_engine_t *e, const uint8_t mesh[32])
{
    kap_txn_t *txn;
    int rc = kap_txn_begin(e->store, KAP_TXN_READ, &txn);

    if (rc != KAP_OK)
        return rc;
    rc = kap_rows_head(txn, &e->head);
    if (rc == KAP_OK || rc == KAP_E_NOTFOUND)
        rc = kap_sound_check(txn, rc == KAP_E_NOTFOUND);
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

void kap_engine_make_source(kap_engine_t *e)
{
    memcpy(e->source, "broker/", 7);
    kap_hex_encode(e->head.epoch, KAP_LIMIT_EPOCH_BYTES, e->source + 7);
}

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
        kap_engine_make_source(e);
        rc = figures || e->head.figures_moving ? kap_engine_catch_up(e) : KAP_OK;
    }
    if (rc != KAP_OK) {
        kap_engine_close(&e);
        return rc;
    }
    *out = e;
    return KAP_OK;
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
    kap_runs_fini(&e->log);
    kap_runs_fini(&e->ends);
    kap_runs_fini(&e->sealed);
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
    kap_book_new_directory(e->book);
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
    kap_engine_make_source(e);
    return rc;
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

/* `cut`: its group is too large, or part of it was judged before. */
static void judge_one(running_t *r, uint32_t i, uint32_t group_first, uint32_t group_count,
                      bool cut, kap_judged_t *out)
{
    const kap_event_t *ev = &r->job->events[i];
    int why = misplaced(r, ev, i);

    *out = (kap_judged_t){.verdict = KAP_VERDICT_REFUSED, .state = KAP_STATE_NONE};
    if (why == 0 && cut)
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
        judge_one(r, first + n, first, count, false, &judged[n]);
        if (judged[n].verdict == KAP_VERDICT_REFUSED)
            break;
    }
    if (n < count) {
        if (!KAP_SEEDED_BUG("half_a_group"))
            kap_book_group_rollback(r->e->book);
        refuse_rest(judged, count, n);
    }
    kap_book_group_end(r->e->book);
    for (uint32_t i = 0; i < count; i++)
        keep_decided(r, first + i, &judged[i],
                     kap_engine_enter(r->e, &r->judge, r->source, &r->job->events[first + i],
                                      r->job->header.first + first + i, &judged[i]));
}

/* What the source fills may have changed with its last event. */
void kap_engine_look_up_scope(kap_engine_t *e, kap_name_t *source, kap_judge_t *judge)
{
    const kap_mark_t *mark = kap_book_mark(e->book, source);

    if (judge->scope == mark->scope)
        return;
    judge->scope = mark->scope;
    judge->archive = kap_book_text(e->book, mark->scope);
}

/* The open part of the event that the source published before this job. */
static kap_span_t open_before(running_t *r, kap_log_walk_t *walk)
{
    kap_engine_t *e = r->e;
    kap_logged_t logged = {0};
    uint64_t at = kap_book_receipt(e->book, r->source, r->job->header.first - 1);

    if (at > e->head.seq) /* of this very batch */
        return e->entries[at - e->head.seq - 1].open;
    int rc = at == 0 ? KAP_OK : kap_log_walk_get(walk, at, 0, &logged);
    if (rc != KAP_OK)
        kap_book_fail(e->book, rc);
    return logged.open;
}

/* Is the event before this job of this group? A refused one has no body to tell. */
static bool group_was_begun(running_t *r, kap_span_t group)
{
    kap_log_walk_t walk;
    kap_event_t ev = {0};
    int rc = kap_log_walk_open(r->e->txn, &walk);

    if (rc != KAP_OK) {
        kap_book_fail(r->e->book, rc);
        return false;
    }
    kap_span_t open = open_before(r, &walk);
    if (open.size > 0)
        (void)kap_event_decode(open, kap_span(NULL, 0), kap_span(NULL, 0), r->e->scratch, &ev,
                               NULL);
    kap_log_walk_close(&walk);
    return kap_span_eq(ev.group, group);
}

/* A group travels in one PUBLISH, side by side: were some of it judged before? */
static bool is_rest_of_group(running_t *r, uint32_t first)
{
    const kap_event_t *events = r->job->events;
    kap_span_t group = events[first].group;

    for (uint32_t i = 1; i <= first && i <= KAP_LIMIT_GROUP_EVENTS; i++) {
        if (kap_span_eq(events[first - i].group, group))
            return true;
    }
    return first == 0 && r->job->header.first > 1 && group_was_begun(r, group);
}

static void judge_new(running_t *r, uint32_t first)
{
    kap_judged_t judged;

    for (uint32_t i = first; i < r->job->count;) {
        uint32_t n = group_size(r->job, i);
        kap_engine_look_up_scope(r->e, r->source, &r->judge);
        bool cut = n > KAP_LIMIT_GROUP_EVENTS || (n > 0 && is_rest_of_group(r, i));
        if (n > 1 && !cut) {
            judge_group(r, i, n);
            i += n;
            continue;
        }
        for (uint32_t end = i + (n == 0 ? 1 : n); i < end; i++) {
            judge_one(r, i, i, n, cut, &judged);
            keep_decided(r, i, &judged,
                         kap_engine_enter(r->e, &r->judge, r->source, &r->job->events[i],
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
                                        .why = {entry->refusal, entry->field},
                                        .state = entry->state,
                                        .log_seq = at,
                                        .leaf = entry->leaf};
        return memcmp(entry->content_hash, ev->content_hash, HASH) == 0;
    }
    int rc = at == 0 ? KAP_E_CORRUPT : kap_log_walk_get(walk, at, 0, &logged);
    uint8_t *leaf = rc == KAP_OK ? kap_engine_room(e, HASH) : NULL;
    if (rc != KAP_OK || leaf == NULL) {
        kap_book_fail(e->book, rc != KAP_OK ? rc : KAP_E_NOMEM);
        return true;
    }
    memcpy(leaf, logged.leaf, HASH);
    if (KAP_SEEDED_BUG("resend_gets_a_new_place"))
        at = e->head.seq;
    r->decided[i] = (kap_decided_t){logged.verdict, logged.why, logged.state, at, leaf};
    return memcmp(logged.content_hash, ev->content_hash, HASH) == 0 ||
           KAP_SEEDED_BUG("other_content_taken");
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
    return kap_may_source(r->judge.who, r->job->header.source) ||
           (r->judge.who != NULL && KAP_SEEDED_BUG("source_unchecked"));
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
    if (e->disk_full && !KAP_SEEDED_BUG("disk_full_ignored")) {
        answer_later(&r, KAP_RECEIPT_DISK, last + 1);
        return;
    }
    if (first == 0 || (first > last + 1 && !KAP_SEEDED_BUG("gap_taken"))) {
        answer_later(&r, KAP_RECEIPT_GAP, last + 1);
        return;
    }
    uint64_t known = first <= last && !KAP_SEEDED_BUG("judged_anew") ? last + 1 - first : 0;
    uint32_t repeats = known < job->count ? (uint32_t)known : job->count;
    r.decided = kap_engine_room(e, job->count * sizeof *r.decided);
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

/* --- the batch --- */

int kap_engine_begin(kap_engine_t *e, int64_t now)
{
    kap_txn_t *txn;

    kap_arena_reset(e->scratch);
    kap_runs_reset(&e->log);
    kap_runs_reset(&e->ends);
    kap_runs_reset(&e->sealed);
    e->batch = kap_batch_new();
    if (e->batch == NULL)
        return KAP_E_NOMEM;
    int rc = kap_txn_begin(e->store, KAP_TXN_WRITE, &txn);
    if (rc != KAP_OK) {
        kap_batch_drop(&e->batch);
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

/* Figures are written at once when nobody's receipt waits for that, or somebody asked for them. */
static bool figures_are_wanted(const kap_engine_t *e, const kap_engine_turn_t *turn)
{
    return kap_book_figures_urgent(e->book) || turn->idle == NULL || turn->idle(turn->arg);
}

static bool figures_are_due(const kap_engine_t *e)
{
    return e->next.figures_moving || kap_book_cases_waiting(e->book) >= FIGURES_CASES ||
           kap_monotonic_ms() - e->figures_ms >= FIGURES_MS;
}

int kap_engine_put_figures(kap_engine_t *e, bool due)
{
    if (!due)
        return KAP_OK;
    if (e->figures) {
        e->next.figures_seq = e->next.seq;
        e->next.figures_time = e->next.time;
        e->next.figures_moving = false;
    }
    if (!kap_book_figures_waiting(e->book))
        return KAP_OK;
    return kap_book_write_figures(e->book, e->head.figures_seq);
}

/* When figures are due, part of them with each batch, so that who waits for a receipt does not wait
 * for all of them; then the rest. *all: nothing is left. */
static int write_figures(kap_engine_t *e, const kap_engine_turn_t *turn, bool *all)
{
    bool some = false;
    int rc = KAP_OK;

    *all = turn != NULL && figures_are_wanted(e, turn);
    if (turn != NULL && !*all && figures_are_due(e)) {
        if (e->figures)
            rc = kap_book_count_some(e->book, e->head.figures_seq, FIGURES_PARTS, &some);
        e->next.figures_moving = e->next.figures_moving || some;
        *all = !some;
    }
    return rc != KAP_OK ? rc : kap_engine_put_figures(e, *all);
}

/* Writes everything and commits. */
int kap_engine_finish(kap_engine_t *e, const kap_engine_turn_t *turn)
{
    int rc = kap_book_error(e->book);
    bool due = false;

    if (rc == KAP_OK)
        rc = write_directory(e);
    if (rc == KAP_OK)
        rc = kap_runs_write(e->txn, KAP_ROWS_LOG, &e->log);
    if (rc == KAP_OK)
        rc = kap_runs_write(e->txn, KAP_ROWS_ENDS, &e->ends);
    if (rc == KAP_OK)
        rc = kap_runs_write(e->txn, KAP_ROWS_SEALED, &e->sealed);
    if (rc == KAP_OK)
        rc = kap_book_write(e->book);
    if (rc == KAP_OK)
        rc = write_figures(e, turn, &due);
    if (rc == KAP_OK)
        rc = kap_engine_write_head(e->txn, &e->next);
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
    if (due)
        e->figures_ms = kap_monotonic_ms();
    return KAP_OK;
}

/* Nothing to write: later answers and duplicates alone want no sync. */
static bool is_idle(const kap_engine_t *e)
{
    return e->entry_count == 0 && !e->json_new && kap_book_is_clean(e->book) &&
           (!e->figures || e->head.figures_seq == e->head.seq);
}

static int skip(kap_engine_t *e)
{
    int rc = kap_book_error(e->book);

    kap_txn_abort(&e->txn);
    if (rc == KAP_OK)
        kap_book_end(e->book, false);
    return rc;
}

void kap_engine_abandon(kap_engine_t *e)
{
    if (e->txn != NULL)
        kap_txn_abort(&e->txn);
    kap_book_forget(e->book);
    kap_batch_drop(&e->batch);
}

static kap_batch_t *publish(kap_engine_t *e, kap_job_t *jobs, kap_job_t *expired, uint64_t before,
                            const kap_result_t *results, uint32_t count)
{
    kap_held_t *b = e->batch;

    e->batch = NULL;
    if (expired != NULL)
        kap_batch_take(b, expired);
    for (kap_job_t *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        kap_batch_take(b, job);
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
    e->entries = kap_engine_room(e, events * sizeof *e->entries);
    e->batch->msgs = kap_engine_room(e, (n + 1) * sizeof *e->batch->msgs);
    e->batch->arenas = kap_engine_room(e, (n + 1) * sizeof *e->batch->arenas);
    return kap_engine_room(e, (n + 1) * sizeof(kap_result_t));
}

int kap_engine_batch(kap_engine_t *e, kap_job_t *jobs, const kap_engine_turn_t *turn,
                     kap_batch_t **out, bool *more)
{
    uint64_t before = e->head.seq;
    kap_job_t *expired = NULL;
    uint32_t count = 0, n = 0;
    int rc = kap_engine_begin(e, turn->now);

    *more = false;
    if (rc != KAP_OK)
        return rc;
    if (turn->expire)
        expired = kap_engine_expired_job(e, more);
    kap_result_t *results = reserve(e, jobs, expired, &count);
    if (kap_book_error(e->book) == KAP_OK && expired != NULL)
        run_job(e, expired, &results[count]);
    for (kap_job_t *job = jobs; job != NULL && kap_book_error(e->book) == KAP_OK; job = job->next)
        run_job(e, job, &results[n++]);
    rc = is_idle(e) ? skip(e) : kap_engine_finish(e, turn);
    if (rc != KAP_OK) {
        kap_job_destroy(&expired);
        kap_engine_abandon(e);
        return rc;
    }
    *out = publish(e, jobs, expired, before, results, count);
    return KAP_OK;
}
