/* SPDX-License-Identifier: MPL-2.0 */
/*
 * query: QUERY requests from their arrival to their answer. One row of query.def a question: its
 * parameters, its answer, who may ask. With min_seq an answer waits until the log (and, where it is
 * told from them, the figures) stand there. Owner and only caller: the loop; the questions to the
 * store are answered by the reader. The key is asked of the directory when the request comes and
 * again before its answer goes.
 */
#ifndef KAP_QUERY_H
#define KAP_QUERY_H

#include <stdint.h>

#include "budget.h"
#include "clock.h"
#include "frame.h"
#include "ledger.h"
#include "live.h"
#include "loop.h"
#include "metric.h"
#include "reader.h"
#include "span.h"

typedef struct kap_queries kap_queries_t;

/* What it works with; all of it outlives the queries. */
typedef struct {
    kap_loop_t *loop;
    kap_ledger_t *ledger;
    kap_reader_t *reader;
    kap_budget_t *budget;
    const kap_live_t *live;
    const kap_clock_t *clock;
    bool no_figures; /* edges and audit are refused */
    /* The member that holds the key now, or NULL. */
    const kap_member_t *(*who)(void *arg, const char *key);
    /* Sends an ANSWER; blobs are lent. */
    int (*send)(void *arg, uint32_t peer, kap_span_t req, kap_blob_t *const blobs[], size_t n);
    /* Sends an ERROR answer. */
    void (*refuse)(void *arg, uint32_t peer, kap_span_t req, uint16_t refusal, const char *why);
    /* When members' nodes were last heard of, in the arena; NULL when out of memory. */
    const kap_metric_seen_t *(*seen)(void *arg, kap_arena_t *arena);
    /* Appends the pairs of `health`; returns how many. */
    uint32_t (*health)(void *arg, kap_buf_t *pairs);
    void *arg;
} kap_query_host_t;

/* NULL when out of memory. */
kap_queries_t *kap_queries_new(const kap_query_host_t *host);

/* Forgets what waits. The reader has been stopped. Takes and nulls; NULL inside is fine. */
void kap_queries_destroy(kap_queries_t **queries);

/* A QUERY that the door has let in: `who` holds `key`, `body` is the request's map. All lent. */
void kap_queries_request(kap_queries_t *queries, uint32_t peer, const char *key,
                         const kap_member_t *who, kap_span_t req, kap_span_t body);

/* The log or the figures moved: those who waited for it are answered. */
void kap_queries_moved(kap_queries_t *queries);

#endif
