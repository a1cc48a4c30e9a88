/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fetch: FETCH requests from their arrival to their answer. At the tail they are answered from the
 * ring, in the past from the store by the reader; with nothing new they wait for the next batch or
 * the end of wait_ms. Owner and only caller: the loop. Every answer asks `may_read` anew, at the
 * last moment before it is sent. proto/SPEC.md, FETCH.
 *
 * A connection has one request outstanding a stream: a newer one that names one of its streams
 * replaces the whole older one; 16 in all. A member that does not read is not sent more: its
 * requests wait their turn, round robin. A request whose answer cannot be sent is forgotten: the
 * client asks again.
 */
#ifndef KAP_FETCHER_H
#define KAP_FETCHER_H

#include <stdint.h>

#include "budget.h"
#include "directory.h"
#include "frame.h"
#include "loop.h"
#include "reader.h"
#include "ring.h"
#include "sock.h"
#include "span.h"

typedef struct kap_fetcher kap_fetcher_t;

/* What it works with; all of it outlives the fetcher. */
typedef struct {
    kap_loop_t *loop;
    kap_ring_t *ring;
    kap_reader_t *reader;
    kap_budget_t *budget;
    const uint8_t *epoch; /* KAP_LIMIT_EPOCH_BYTES */
    kap_span_t ended;     /* epochs before it, as kap_rows_ended has them */
    /* The member that holds the key now, or NULL. */
    const kap_member_t *(*who)(void *arg, const char *key);
    /* KAP_READ_ parts of a stream that it may read now. */
    unsigned (*may_read)(void *arg, const kap_member_t *who, kap_span_t stream);
    /* Sends an EVENTS answer; blobs are lent. KAP_E_AGAIN, KAP_E_UNREACHABLE. */
    int (*send)(void *arg, uint32_t peer, kap_span_t req, uint32_t count, kap_blob_t *const blobs[],
                size_t n);
    /* Sends an ERROR answer. */
    void (*refuse)(void *arg, uint32_t peer, kap_span_t req, uint16_t refusal, const char *why);
    void *arg;
} kap_fetch_host_t;

/* NULL when out of memory. */
kap_fetcher_t *kap_fetcher_new(const kap_fetch_host_t *host);

/* Forgets every request without an answer. The reader has been stopped. Takes and nulls. */
void kap_fetcher_destroy(kap_fetcher_t **fetcher);

/* A FETCH that the door has let in: `who` holds `key`, `body` is the request's map. All lent. */
void kap_fetcher_request(kap_fetcher_t *fetcher, uint32_t peer, const char *key,
                         const kap_member_t *who, kap_span_t req, kap_span_t body);

/* Enters a committed batch into the ring and answers whom it concerns. */
void kap_fetcher_batch(kap_fetcher_t *fetcher, kap_batch_t *batch);

/* The directory has changed: requests of those that may not read any more are refused now. */
void kap_fetcher_recheck(kap_fetcher_t *fetcher);

/* Counts since the start, and what waits now. */
typedef struct {
    uint64_t requests, answers, events, bytes;
    uint64_t hot, cold, shared; /* segments built from the ring, from the store, used again */
    uint64_t lost;              /* answers that could not be sent */
    uint32_t waiting, blocked;  /* requests now; blocked: for their member does not read */
} kap_fetch_counts_t;
void kap_fetcher_counts(const kap_fetcher_t *fetcher, kap_fetch_counts_t *out);

#endif
