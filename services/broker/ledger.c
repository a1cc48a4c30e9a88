/* SPDX-License-Identifier: MPL-2.0 */
#include "ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"
#include "err.h"
#include "log.h"
#include "rows.h"
#include "seeded.h"

enum {
    BATCH_EVENTS_MAX = 8192, /* a guess: more would only make the first ones wait */
    RESERVE_BYTES = 256 << 20,
    DISK_BATCHES = 64,    /* the disk is looked at so often under load, and at each tick */
    READERS_MS = 60000,   /* slots of killed readers would hold back pages for ever */
    FIGURES_IDLE_MS = 20, /* so long nothing comes: figures are written. A guess: above the pause
                           * of who sends one event after the other */
};

typedef struct waiting {
    kap_batch_t *batch;
    int64_t commit_us;
    int64_t deadlines_at; /* every deadline up to here is judged; INT64_MIN: not looked */
    struct waiting *next;
} waiting_t;

struct kap_ledger {
    kap_ledger_opts_t opts;
    kap_store_t *store;
    kap_engine_t *engine; /* the ledger thread's, once it runs */
    kap_wake_t *wake;
    pthread_t thread;
    /* between the threads */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    kap_job_t *jobs, *last_job;
    bool tick, closing, figures_wanted;
    kap_directory_t *dir; /* to be taken over */
    kap_buf_t json;
    waiting_t *results, *last_result;
    int fatal;
    bool disk_full;
    /* the loop's */
    kap_ledger_state_t state;
    size_t load;
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    kap_buf_t ended; /* epochs before it */
    bool fatal_told;
    /* the ledger thread's */
    uint32_t until_disk;
    int64_t readers_ms; /* when reader slots were looked at */
    bool figures_owed;  /* they stand behind the head */
    bool quiet;         /* the turn has no jobs */
    bool full;
};

/* --- ledger thread --- */

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Figures are written when nothing comes, or when somebody waits for them: not in the way of a
 * lone event's receipt. */
static bool may_write_figures(void *arg)
{
    kap_ledger_t *l = arg;

    pthread_mutex_lock(&l->mutex);
    bool may = (l->jobs == NULL && l->quiet) || l->figures_wanted;
    l->figures_wanted = false;
    pthread_mutex_unlock(&l->mutex);
    return may;
}

/* What the thread takes up next. */
typedef struct {
    kap_job_t *jobs;
    bool tick, closing;
    kap_directory_t *dir;
    kap_buf_t json;
} turn_t;

/* Takes whole jobs off the queue, as many as one batch holds. Under the mutex. */
static kap_job_t *take_jobs(kap_ledger_t *l)
{
    kap_job_t *first = l->jobs, *last = NULL;
    size_t events = 0;

    for (kap_job_t *job = l->jobs; job != NULL; job = job->next) {
        events += job->count;
        if (last != NULL && events > BATCH_EVENTS_MAX)
            break;
        last = job;
    }
    if (last == NULL)
        return NULL;
    l->jobs = last->next;
    if (l->jobs == NULL)
        l->last_job = NULL;
    last->next = NULL;
    return first;
}

/* Under the mutex. */
static bool has_work(const kap_ledger_t *l)
{
    return l->jobs != NULL || l->tick || l->closing || l->dir != NULL ||
           (l->figures_owed && l->figures_wanted);
}

/* Until there is work, or figures are owed and nothing came. Under the mutex. */
static void wait_a_while(kap_ledger_t *l)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += FIGURES_IDLE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (rc == 0 && !has_work(l))
        rc = l->figures_owed ? pthread_cond_timedwait(&l->cond, &l->mutex, &until)
                             : pthread_cond_wait(&l->cond, &l->mutex);
}

static void wait_for_work(kap_ledger_t *l, turn_t *turn)
{
    pthread_mutex_lock(&l->mutex);
    wait_a_while(l);
    turn->jobs = take_jobs(l);
    l->quiet = turn->jobs == NULL;
    turn->tick = l->tick;
    turn->closing = l->closing && turn->jobs == NULL && !l->figures_owed;
    turn->dir = l->dir;
    turn->json = l->json;
    l->tick = false;
    l->dir = NULL;
    l->json = (kap_buf_t){0};
    pthread_mutex_unlock(&l->mutex);
}

/* A full disk is seen before LMDB meets it; work is taken again above a second mark, so that the
 * answer does not flicker. */
static void look_at_disk(kap_ledger_t *l, bool tick)
{
    uint64_t free_bytes;

    if (!tick && l->until_disk-- > 0)
        return;
    l->until_disk = DISK_BATCHES;
    if (kap_store_disk(l->store, &free_bytes) != KAP_OK)
        return;
    bool full = free_bytes < (l->full ? l->opts.room_bytes : l->opts.reserve_bytes);
    if (full == l->full)
        return;
    l->full = full;
    kap_engine_set_disk_full(l->engine, full);
    KAP_LOG(full ? KAP_LOG_ERROR : KAP_LOG_INFO, full ? "disk_nearly_full" : "disk_has_room",
            KAP_I("free_bytes", (int64_t)free_bytes),
            KAP_I("reserve_bytes", (int64_t)l->opts.reserve_bytes));
    pthread_mutex_lock(&l->mutex);
    l->disk_full = full;
    pthread_mutex_unlock(&l->mutex);
}

static void look_at_readers(kap_ledger_t *l)
{
    int dead = 0;

    if (kap_monotonic_ms() - l->readers_ms < READERS_MS)
        return;
    l->readers_ms = kap_monotonic_ms();
    if (kap_store_check_readers(l->store, &dead) == KAP_OK && dead > 0)
        KAP_LOG(KAP_LOG_WARN, "reader_slots_freed", KAP_I("count", dead));
}

static int grow(kap_ledger_t *l)
{
    if (l->opts.hold != NULL)
        l->opts.hold(l->opts.barrier_arg);
    int rc = kap_store_grow(l->store);
    if (l->opts.release != NULL)
        l->opts.release(l->opts.barrier_arg);
    KAP_LOG(KAP_LOG_INFO, "store_grown", KAP_S("result", kap_err_name(rc)));
    return rc;
}

static int commit(kap_ledger_t *l, const turn_t *turn, waiting_t *w, bool *more)
{
    kap_engine_turn_t t = {.now = kap_clock_now_ms(l->opts.clock),
                           .expire = turn->tick && !l->full,
                           .idle = may_write_figures,
                           .arg = l};
    int rc;

    while ((rc = kap_engine_batch(l->engine, turn->jobs, &t, &w->batch, more)) == KAP_E_MAPFULL) {
        rc = grow(l);
        if (rc != KAP_OK)
            return rc;
    }
    if (rc == KAP_OK)
        l->figures_owed = !l->opts.no_figures && w->batch->figures_seq < w->batch->head_seq;
    w->deadlines_at = t.expire && !*more ? t.now : INT64_MIN;
    return rc;
}

static void hand_back(kap_ledger_t *l, waiting_t *w, bool more)
{
    pthread_mutex_lock(&l->mutex);
    if (l->last_result == NULL)
        l->results = w;
    else
        l->last_result->next = w;
    l->last_result = w;
    l->tick = l->tick || more;
    pthread_mutex_unlock(&l->mutex);
    kap_wake_send(l->wake);
}

static void destroy_jobs(kap_job_t *jobs)
{
    while (jobs != NULL) {
        kap_job_t *next = jobs->next;
        kap_job_destroy(&jobs);
        jobs = next;
    }
}

static void fail(kap_ledger_t *l, int rc, kap_job_t *jobs)
{
    KAP_LOG(KAP_LOG_ERROR, "commit_failed", KAP_S("error", kap_err_name(rc)),
            KAP_S("text", kap_err_text(rc)));
    destroy_jobs(jobs);
    pthread_mutex_lock(&l->mutex);
    l->fatal = rc;
    pthread_mutex_unlock(&l->mutex);
    kap_wake_send(l->wake);
}

/* One turn; false: the thread ends. */
static bool take_turn(kap_ledger_t *l, turn_t *turn)
{
    int64_t begun = now_us();
    bool more = false;
    waiting_t *w = calloc(1, sizeof *w);
    int rc = w == NULL ? KAP_E_NOMEM : turn->json.err;

    if (rc == KAP_OK && turn->dir != NULL)
        rc = kap_engine_set_directory(l->engine, turn->dir, kap_buf_span(&turn->json));
    kap_directory_unref(&turn->dir);
    kap_buf_fini(&turn->json);
    look_at_disk(l, turn->tick);
    look_at_readers(l);
    if (rc == KAP_OK)
        rc = commit(l, turn, w, &more);
    if (rc != KAP_OK) {
        free(w);
        fail(l, rc, turn->jobs);
        return false;
    }
    w->commit_us = now_us() - begun;
    hand_back(l, w, more);
    return true;
}

static void *run(void *arg)
{
    kap_ledger_t *l = arg;
    turn_t turn;

    for (;;) {
        wait_for_work(l, &turn);
        if (turn.closing) {
            kap_directory_unref(&turn.dir);
            kap_buf_fini(&turn.json);
            return NULL;
        }
        if (!take_turn(l, &turn))
            return NULL;
    }
}

/* --- loop thread --- */

static void count_batch(kap_ledger_t *l, const waiting_t *w)
{
    const kap_batch_t *b = w->batch;

    l->state.head_seq = b->head_seq;
    l->state.head_time = b->head_time;
    l->state.figures_seq = b->figures_seq;
    l->state.last_commit_us = w->commit_us;
    if (w->deadlines_at > l->state.deadlines_at)
        l->state.deadlines_at = w->deadlines_at;
    l->state.batches += b->entry_count > 0;
    for (uint32_t i = 0; i < b->entry_count; i++)
        l->state.refused += b->entries[i].verdict == KAP_VERDICT_REFUSED;
    l->load -= kap_batch_job_bytes(b);
}

static void deliver(void *arg)
{
    kap_ledger_t *l = arg;

    pthread_mutex_lock(&l->mutex);
    waiting_t *w = l->results;
    l->results = l->last_result = NULL;
    int fatal = l->fatal;
    l->state.disk_full = l->disk_full;
    pthread_mutex_unlock(&l->mutex);
    while (w != NULL) {
        waiting_t *next = w->next;
        count_batch(l, w);
        l->opts.on_results(l->opts.arg, w->batch);
        kap_batch_unref(&w->batch);
        free(w);
        w = next;
    }
    if (fatal != KAP_OK && !l->fatal_told) {
        l->fatal_told = true;
        l->opts.on_fatal(l->opts.arg, fatal);
    }
}

static int open_store(kap_ledger_t *l)
{
    kap_store_opts_t opts = {.path = l->opts.path,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .older = KAP_ROWS_OLDER,
                             .tables = kap_rows_tables,
                             .map_size = l->opts.map_size,
                             .memory = l->opts.memory,
                             .why = l->opts.why};

    return kap_store_open(&opts, &l->store);
}

static int read_ended(kap_ledger_t *l)
{
    kap_txn_t *txn;
    kap_span_t ended;
    int rc = kap_txn_begin(l->store, KAP_TXN_READ, &txn);

    if (rc != KAP_OK)
        return rc;
    rc = kap_rows_ended(txn, &ended);
    if (rc == KAP_OK)
        kap_buf_append(&l->ended, ended);
    kap_txn_abort(&txn);
    return rc == KAP_OK ? l->ended.err : rc;
}

static int open_engine(kap_ledger_t *l, kap_directory_t *dir, kap_span_t json)
{
    int rc;

    while ((rc = kap_engine_open(l->store, l->opts.mesh, !l->opts.no_figures, &l->engine)) ==
           KAP_E_MAPFULL) {
        rc = kap_store_grow(l->store);
        if (rc != KAP_OK)
            return rc;
    }
    if (rc != KAP_OK) {
        if (l->opts.why != NULL)
            kap_buf_printf(l->opts.why, "ledger %s: %s", l->opts.path,
                           rc == KAP_E_CONFLICT ? "it belongs to another mesh" : kap_err_text(rc));
        return rc;
    }
    const kap_head_t *head = kap_engine_head(l->engine);
    memcpy(l->epoch, head->epoch, sizeof l->epoch);
    l->state.head_seq = head->seq;
    l->state.head_time = head->time;
    l->state.figures_seq = head->figures_seq;
    rc = read_ended(l);
    return rc == KAP_OK ? kap_engine_set_directory(l->engine, dir, json) : rc;
}

/* What is left when no thread runs. */
static void free_ledger(kap_ledger_t *l)
{
    kap_engine_close(&l->engine);
    kap_store_close(&l->store);
    kap_wake_destroy(&l->wake);
    kap_directory_unref(&l->dir);
    kap_buf_fini(&l->json);
    kap_buf_fini(&l->ended);
    destroy_jobs(l->jobs);
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->cond);
    free(l);
}

int kap_ledger_open(const kap_ledger_opts_t *opts, kap_directory_t *dir, kap_span_t json,
                    kap_ledger_t **out)
{
    kap_ledger_t *l = calloc(1, sizeof *l);
    pthread_condattr_t attr;

    if (l == NULL)
        return KAP_E_NOMEM;
    l->opts = *opts;
    l->opts.reserve_bytes = opts->reserve_bytes != 0 ? opts->reserve_bytes : RESERVE_BYTES;
    l->opts.room_bytes = opts->room_bytes != 0 ? opts->room_bytes : l->opts.reserve_bytes / 4 * 5;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->cond, &attr);
    pthread_condattr_destroy(&attr);
    l->wake = kap_wake_new(opts->loop, deliver, l);
    int rc = l->wake == NULL ? KAP_E_NOMEM : open_store(l);
    if (rc == KAP_OK)
        rc = open_engine(l, dir, json);
    if (rc == KAP_OK && pthread_create(&l->thread, NULL, run, l) != 0)
        rc = KAP_E_NOMEM;
    if (rc != KAP_OK) {
        free_ledger(l);
        return rc;
    }
    l->opts.why = NULL; /* lent for the call */
    *out = l;
    return KAP_OK;
}

void kap_ledger_close(kap_ledger_t **ledger)
{
    kap_ledger_t *l = *ledger;

    if (l == NULL)
        return;
    pthread_mutex_lock(&l->mutex);
    l->closing = true;
    pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    deliver(l);
    free_ledger(l);
    *ledger = NULL;
}

void kap_ledger_submit(kap_ledger_t *l, kap_job_t **job)
{
    kap_job_t *j = *job;

    *job = NULL;
    l->load += j->bytes;
    j->next = NULL;
    pthread_mutex_lock(&l->mutex);
    if (KAP_SEEDED_BUG("last_comes_first") && l->jobs != NULL) {
        j->next = l->jobs;
        l->jobs = j;
    } else if (l->last_job == NULL) {
        l->last_job = l->jobs = j;
    } else {
        l->last_job = l->last_job->next = j;
    }
    pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
}

size_t kap_ledger_load(const kap_ledger_t *l)
{
    return l->load;
}

void kap_ledger_set_directory(kap_ledger_t *l, kap_directory_t *dir, kap_span_t json)
{
    kap_buf_t copy = {0};

    kap_buf_append(&copy, json);
    pthread_mutex_lock(&l->mutex);
    kap_directory_t *unused = l->dir;
    kap_buf_t old = l->json;
    l->dir = kap_directory_ref(dir);
    l->json = copy;
    pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
    kap_directory_unref(&unused);
    kap_buf_fini(&old);
}

void kap_ledger_tick(kap_ledger_t *l)
{
    pthread_mutex_lock(&l->mutex);
    l->tick = true;
    pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
}

void kap_ledger_want_figures(kap_ledger_t *l)
{
    pthread_mutex_lock(&l->mutex);
    l->figures_wanted = true;
    pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
}

kap_store_t *kap_ledger_store(kap_ledger_t *l)
{
    return l->store;
}

const uint8_t *kap_ledger_epoch(const kap_ledger_t *l)
{
    return l->epoch;
}

kap_span_t kap_ledger_ended(const kap_ledger_t *l)
{
    return kap_buf_span(&l->ended);
}

void kap_ledger_state(const kap_ledger_t *l, kap_ledger_state_t *state)
{
    *state = l->state;
}
