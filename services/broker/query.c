/* SPDX-License-Identifier: MPL-2.0 */
#include "query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "ask.h"
#include "err.h"
#include "log.h"
#include "rows.h"

enum { LOOK_EVERY_MS = 10, FIGURES_WAIT_MS = 500 };

typedef enum { LOOP, STORE, FIGURES } where_t;

/* A request on its way: the question itself, and where its answer goes. */
typedef struct waiting {
    kap_work_t work; /* first: the reader hands it back */
    kap_ask_t ask;
    kap_queries_t *queries;
    struct waiting *next;
    uint32_t peer;
    char key[41];
    uint8_t req[KAP_LIMIT_REQ_BYTES];
    size_t req_size;
    kap_account_t *account;
    bool audits;                   /* it is the one recount */
    bool moving;                   /* figures did not stand at one position */
    uint64_t min_seq, figures_seq; /* wait for these positions */
    int64_t until, figures_until;  /* monotonic */
} waiting_t;

struct kap_queries {
    kap_query_host_t host;
    waiting_t *first;   /* wait for a position */
    bool auditing;      /* a recount needs the memory of a second store: one at a time */
    kap_timer_t *timer; /* runs while anybody waits */
};

static const where_t where_of[KAP_QUERY_COUNT] = {
#define KAP_ASK(name, where, parameters, answer, who) [KAP_QUERY_##name] = where,
#include "query.def"
#undef KAP_ASK
};

static kap_span_t req_of(const waiting_t *w)
{
    return kap_span(w->req, w->req_size);
}

static void free_waiting(waiting_t *w)
{
    if (w->account)
        kap_account_unask(w->account);
    if (w->audits)
        w->queries->auditing = false;
    kap_ask_fini(&w->ask);
    free(w);
}

static void refuse(waiting_t *w, uint16_t refusal, const char *why)
{
    const kap_query_host_t *host = &w->queries->host;
    host->refuse(host->arg, w->peer, req_of(w), refusal, why);
    free_waiting(w);
}

/* Sends what the ask holds. */
static void answer(waiting_t *w)
{
    const kap_query_host_t *host = &w->queries->host;
    kap_span_t map = kap_buf_span(&w->ask.out);
    if (w->ask.out.err || kap_bin_size(map.size) > KAP_LIMIT_FRAME_BYTES) {
        refuse(w, KAP_REFUSAL_REQUEST_LIMIT, "the answer is larger than a frame; narrow it");
        return;
    }
    kap_buf_t bin = {0};
    kap_bin_put(&bin, map);
    kap_blob_t *blob = bin.err ? NULL : kap_blob_new(bin.size);
    if (blob)
        memcpy(kap_blob_data(blob), bin.data, bin.size);
    kap_blob_t *lent = blob ? kap_account_lend(w->account, blob) : NULL;
    if (lent)
        (void)host->send(host->arg, w->peer, req_of(w), &lent, 1);
    kap_blob_unref(&lent);
    kap_blob_unref(&blob);
    kap_buf_fini(&bin);
    free_waiting(w);
}

static int on_step(kap_work_t *work, kap_txn_t *txn)
{
    waiting_t *w = (waiting_t *)work;
    kap_head_t head;
    w->moving = false;
    if (where_of[w->ask.query.query] == FIGURES) {
        int rc = kap_rows_head(txn, &head);
        w->moving = rc == KAP_OK && head.figures_moving;
        if (rc != KAP_OK || w->moving)
            return rc;
    }
    return kap_ask_store(&w->ask, txn);
}

/* The key and its rights, asked of the directory in force; false: refused. *changed: it is another
 * directory than the one the ask was made with. */
static bool still_may(waiting_t *w, bool *changed)
{
    const kap_query_host_t *host = &w->queries->host;
    kap_directory_t *dir = kap_live_now(host->live);
    const kap_member_t *who = host->who(host->arg, w->key);
    const char *why = NULL;
    if (!who || !kap_span_eq(who->id, w->ask.who->id)) {
        refuse(w, KAP_REFUSAL_NOT_ALLOWED_KEY, NULL);
        return false;
    }
    *changed = dir != w->ask.dir;
    if (!*changed)
        return true;
    kap_ask_renew(&w->ask, dir, who);
    uint16_t refusal = kap_ask_allowed(&w->ask, &why);
    if (refusal)
        refuse(w, refusal, why);
    return refusal == 0;
}

static void wait_for(kap_queries_t *queries, waiting_t *w);

static void on_done(kap_work_t *work, int rc)
{
    waiting_t *w = (waiting_t *)work;
    bool changed;
    if (rc == KAP_E_CLOSED) {
        free_waiting(w);
    } else if (w->moving) {
        kap_ledger_want_figures(w->queries->host.ledger);
        wait_for(w->queries, w);
    } else if (!still_may(w, &changed)) {
        return;
    } else if (changed && w->ask.query.query != KAP_QUERY_AUDIT) {
        kap_reader_submit(w->queries->host.reader, &w->work); /* what may be seen has changed */
    } else if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "query_failed", KAP_S("error", kap_err_text(rc)));
        refuse(w, KAP_REFUSAL_REQUEST_RECOVERING, NULL);
    } else if (w->ask.refusal) {
        refuse(w, w->ask.refusal, w->ask.why);
    } else {
        answer(w);
    }
}

/* KAP_OK: the log stands where the answer wants it; KAP_E_AGAIN, KAP_E_TIMEOUT. */
static int stands(const waiting_t *w, const kap_ledger_state_t *state, int64_t now)
{
    if (state->head_seq < w->min_seq)
        return now < w->until ? KAP_E_AGAIN : KAP_E_TIMEOUT;
    if (state->figures_seq >= w->figures_seq)
        return KAP_OK;
    if (state->figures_seq >= w->min_seq)
        return now < w->figures_until ? KAP_E_AGAIN : KAP_OK;
    /* The log is there: the lag of the figures is ours, and short. */
    return now < w->until || now < w->figures_until ? KAP_E_AGAIN : KAP_E_TIMEOUT;
}

static void answer_here(waiting_t *w)
{
    const kap_query_host_t *host = &w->queries->host;
    kap_ledger_state_t state;
    kap_ledger_state(host->ledger, &state);
    kap_buf_t *out = &w->ask.out;
    if (w->ask.query.query == KAP_QUERY_HEALTH) {
        kap_buf_t pairs = {0};
        uint32_t n = host->health(host->arg, &pairs);
        kap_answer_begin(out, state.head_seq, state.head_time, n);
        kap_buf_append(out, kap_buf_span(&pairs));
        out->err = out->err ? out->err : pairs.err;
        kap_buf_fini(&pairs);
    } else {
        kap_answer_begin(out, state.head_seq, state.head_time, 2);
        kap_mp_put_cstr(out, "rehearsal");
        kap_mp_put_bool(out, kap_directory_rehearsal(kap_live_now(host->live)));
        kap_mp_put_cstr(out, "text");
        kap_mp_put_str(out, kap_live_text(host->live));
    }
    answer(w);
}

/* The position is reached: the answer is made. */
static void go(waiting_t *w)
{
    bool changed;
    if (!still_may(w, &changed))
        return;
    if (where_of[w->ask.query.query] == LOOP) {
        answer_here(w);
        return;
    }
    w->ask.now = kap_clock_now_ms(w->queries->host.clock);
    if (kap_ask_wants_seen(&w->ask))
        w->ask.seen = w->queries->host.seen(w->queries->host.arg, w->ask.arena);
    w->work = (kap_work_t){.step = on_step, .done = on_done, .question = true};
    kap_reader_submit(w->queries->host.reader, &w->work);
}

void kap_queries_moved(kap_queries_t *queries)
{
    if (!queries->first)
        return;
    kap_ledger_state_t state;
    kap_ledger_state(queries->host.ledger, &state);
    int64_t now = kap_monotonic_ms();
    for (waiting_t **at = &queries->first, *w; (w = *at) != NULL;) {
        int rc = stands(w, &state, now);
        if (rc == KAP_E_AGAIN) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        if (rc == KAP_OK)
            go(w);
        else
            refuse(w, KAP_REFUSAL_REQUEST_TIMEOUT, NULL);
    }
    if (!queries->first && queries->timer)
        kap_timer_stop(&queries->timer);
}

static void on_timer(void *arg)
{
    kap_queries_moved(arg);
}

static void wait_for(kap_queries_t *queries, waiting_t *w)
{
    w->next = queries->first;
    queries->first = w;
    if (!queries->timer)
        queries->timer =
            kap_timer_start(queries->host.loop, LOOK_EVERY_MS, LOOK_EVERY_MS, on_timer, queries);
}

/* Decodes the request; 0 or the refusal it deserves. */
static uint16_t open_ask(kap_queries_t *queries, waiting_t *w, const kap_member_t *who,
                         kap_span_t body, const char **why)
{
    const kap_query_host_t *host = &queries->host;
    if (kap_ask_init(&w->ask, kap_live_now(host->live), who, body, why) != KAP_OK)
        return KAP_REFUSAL_REQUEST_BODY;
    if (w->ask.query.query < 0)
        return KAP_REFUSAL_REQUEST_QUERY;
    if (where_of[w->ask.query.query] == FIGURES && host->no_figures) {
        *why = "this broker keeps no figures (configuration: metrics)";
        return KAP_REFUSAL_REQUEST_QUERY;
    }
    if (!w->account || !kap_account_reads(w->account)) {
        *why = "answers wait unread; read them first";
        return KAP_REFUSAL_REQUEST_LIMIT;
    }
    memcpy(w->ask.epoch, kap_ledger_epoch(host->ledger), sizeof w->ask.epoch);
    uint16_t refusal = kap_ask_allowed(&w->ask, why);
    if (refusal || w->ask.query.query != KAP_QUERY_AUDIT)
        return refusal;
    *why = "a recount is under way; ask again when it is done";
    w->audits = !queries->auditing;
    queries->auditing = true;
    return w->audits ? 0 : KAP_REFUSAL_REQUEST_LIMIT;
}

void kap_queries_request(kap_queries_t *queries, uint32_t peer, const char *key,
                         const kap_member_t *who, kap_span_t req, kap_span_t body)
{
    const kap_query_host_t *host = &queries->host;
    const char *why = NULL;
    kap_account_t *account = kap_budget_account(host->budget, who->id);
    waiting_t *w = account ? calloc(1, sizeof *w) : NULL;
    if (!w || !kap_account_ask(account)) {
        free(w);
        host->refuse(host->arg, peer, req, KAP_REFUSAL_REQUEST_LIMIT, "too many queries wait");
        return;
    }
    w->queries = queries;
    w->peer = peer;
    w->account = account;
    w->req_size = req.size;
    memcpy(w->req, req.data, req.size);
    snprintf(w->key, sizeof w->key, "%s", key);
    uint16_t refusal = open_ask(queries, w, who, body, &why);
    if (refusal) {
        refuse(w, refusal, why);
        return;
    }
    kap_ledger_state_t state;
    kap_ledger_state(host->ledger, &state);
    int64_t now = kap_monotonic_ms();
    w->min_seq = w->ask.query.min_seq;
    w->until = now + w->ask.query.wait_ms;
    if (where_of[w->ask.query.query] == FIGURES) {
        w->figures_seq = w->min_seq > state.head_seq ? w->min_seq : state.head_seq;
        w->figures_until = now + FIGURES_WAIT_MS;
        if (state.figures_seq < w->figures_seq)
            kap_ledger_want_figures(host->ledger);
    }
    int rc = stands(w, &state, now);
    if (rc == KAP_OK)
        go(w);
    else if (rc == KAP_E_AGAIN)
        wait_for(queries, w);
    else
        refuse(w, KAP_REFUSAL_REQUEST_TIMEOUT, NULL);
}

kap_queries_t *kap_queries_new(const kap_query_host_t *host)
{
    kap_queries_t *queries = calloc(1, sizeof *queries);
    if (queries)
        queries->host = *host;
    return queries;
}

void kap_queries_destroy(kap_queries_t **handle)
{
    kap_queries_t *queries = *handle;
    if (!queries)
        return;
    for (waiting_t *w; (w = queries->first) != NULL;) {
        queries->first = w->next;
        free_waiting(w);
    }
    if (queries->timer)
        kap_timer_stop(&queries->timer);
    free(queries);
    *handle = NULL;
}
