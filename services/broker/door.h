/* SPDX-License-Identifier: MPL-2.0 */
/*
 * door: the broker's one socket (ROUTER) and what every message must pass: header, mesh, version,
 * and an identity that is asked of the directory anew each time. PUBLISH becomes a job of the
 * ledger, FETCH goes to the fetcher, QUERY to the queries; receipts go out when a batch is
 * committed. Owner and only caller: the loop. The socket is always read: who is over its budget
 * hears `busy`. It is a filter; what may be published is decided inside the ledger's transaction.
 * proto/SPEC.md, Frames.
 */
#ifndef KAP_DOOR_H
#define KAP_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "clock.h"
#include "crypto.h"
#include "fetch.h"
#include "frame.h"
#include "ledger.h"
#include "live.h"
#include "loop.h"
#include "metric.h"
#include "query.h"
#include "sock.h"

typedef struct kap_door kap_door_t;

/* Everything named here outlives the door. */
typedef struct {
    kap_loop_t *loop;
    const kap_curve_t *keys;  /* NULL: plain, on loopback; then a PUBLISH is believed to be its
                                 source's member's, any other request the first operator's */
    const kap_clock_t *clock; /* for the validity of members */
    const kap_live_t *live;
    kap_budget_t *budget;
} kap_door_opts_t;

/* Opens the socket; nobody can connect yet. */
int kap_door_open(const kap_door_opts_t *opts, kap_door_t **out);

/* Listens, and hands requests to these three. `actual` gets the endpoint in force. */
int kap_door_serve(kap_door_t *door, kap_ledger_t *ledger, kap_fetcher_t *fetcher,
                   kap_queries_t *queries, const char *endpoint,
                   char actual[KAP_SOCK_ENDPOINT_MAX]);

/* The member that holds the key now, or NULL. */
const kap_member_t *kap_door_who(const kap_door_t *door, const char *key);

/* When each member's node was last let in, in the arena; NULL when out of memory. */
const kap_metric_seen_t *kap_door_seen(const kap_door_t *door, kap_arena_t *arena);

/* Sends an answer (EVENTS, ANSWER); blobs are lent and carry at most 64 frames. KAP_E_AGAIN,
 * KAP_E_UNREACHABLE. */
int kap_door_answer(kap_door_t *door, uint32_t peer, kap_span_t req, kap_verb_t verb,
                    uint32_t count, kap_blob_t *const blobs[], size_t n);

/* Sends an ERROR answer; `why` NULL: the refusal's own sentence. */
void kap_door_refuse(kap_door_t *door, uint32_t peer, kap_span_t req, uint16_t refusal,
                     const char *why);

/* Sends the receipts of a committed batch. */
void kap_door_results(kap_door_t *door, const kap_batch_t *batch);

/* From now on PUBLISH is answered `busy`. */
void kap_door_drain(kap_door_t *door);

/* PUBLISH requests that have no receipt yet. */
uint32_t kap_door_pending(const kap_door_t *door);

typedef struct {
    uint64_t publishes, fetches, queries; /* requests let in */
    uint64_t events;                      /* published, duplicates included */
    uint64_t malformed, versions, meshes; /* refused for their header or form */
    uint64_t strangers;                   /* refused: key of no present member */
    uint64_t foreign, busy;               /* answered so */
    uint64_t lost;                        /* receipts that could not be sent */
} kap_door_counts_t;
void kap_door_counts(const kap_door_t *door, kap_door_counts_t *out);

/* Stops listening; what is on its way is sent for a second. Takes and nulls; NULL is fine. */
void kap_door_close(kap_door_t **door);

#endif
