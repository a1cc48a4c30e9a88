/* SPDX-License-Identifier: MPL-2.0 */
/*
 * segment: a run of one stream's events as it goes into an EVENTS answer: one frame, built once for
 * a (stream, cursor, parts) and shared by reference. Built by the loop from the ring, or by the
 * reader's thread from the store; then immutable. References are counted by the loop alone.
 * It knows nothing of requests; which parts may be shown comes in.
 */
#ifndef KAP_SEGMENT_H
#define KAP_SEGMENT_H

#include <stdint.h>

#include "ring.h"
#include "sock.h"
#include "span.h"
#include "store.h"

/* What a segment is of. */
typedef struct {
    const kap_stream_t *stream; /* its name may be read by the reader's thread */
    uint32_t index;             /* of the stream in the request: it stands in each event's meta */
    unsigned parts;             /* KAP_READ_ */
    uint64_t after;
    uint32_t max;
    size_t max_bytes; /* one event is always taken */
    uint64_t kept_to; /* not 0: no events are wanted, but how far the stream reaches at or below
                       * this position of the log: in `last`. Cold only */
} kap_segment_key_t;

typedef struct {
    uint32_t refs;
    kap_segment_key_t key;
    kap_blob_t *blob; /* NULL when count is 0 */
    uint32_t count;
    uint64_t last; /* sequence of the last event; `after` when count is 0 */
    uint64_t head; /* of the stream, when it was built */
    bool full;     /* ended by max or max_bytes: the same for ever, whatever the head is */
} kap_segment_t;

bool kap_segment_key_eq(const kap_segment_key_t *a, const kap_segment_key_t *b);
uint32_t kap_segment_key_hash(const kap_segment_key_t *key);

/* Of the events in the ring: all of (after, head] must be there (checked). One reference;
 * KAP_E_NOMEM.
 */
int kap_segment_hot(const kap_segment_key_t *key, kap_segment_t **out);

/* Of the events in the store; nothing after the cursor gives count 0. Reader's thread. KAP_E_NOMEM,
 * or what the store says. */
int kap_segment_cold(const kap_segment_key_t *key, kap_txn_t *txn, kap_segment_t **out);

kap_segment_t *kap_segment_ref(kap_segment_t *segment);
void kap_segment_unref(kap_segment_t **segment);

#endif
