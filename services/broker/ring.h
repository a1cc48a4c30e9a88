/* SPDX-License-Identifier: MPL-2.0 */
/*
 * ring: the newest events in memory, so that a FETCH at the tail touches no store. It keeps whole
 * batches of the ledger, by reference, until they are more than its bytes, and for each stream the
 * row of its newest events. Owner and only caller: the loop. It answers who has what; it reads no
 * store and decides no access.
 *
 * A stream's head is known once an event of it came by, or once the reader told it
 * (kap_ring_learn). The ring then holds the stream's events first..head without a gap.
 */
#ifndef KAP_RING_H
#define KAP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"
#include "span.h"

typedef struct kap_ring kap_ring_t;

/* One stream as the ring sees it; lives as long as the ring. */
typedef struct kap_stream {
    kap_span_t name;
    bool known;     /* `head` is true */
    uint64_t head;  /* sequence of the newest event, 0: none yet */
    uint64_t first; /* oldest one in memory, head + 1: none in memory */
    void *waiting;  /* fetch.c's own: requests that wait for this stream */
    bool touched;   /* fetch.c's own: got events in this batch */
    /* ring.c's own: the entries first..head, in a circle */
    const kap_entry_t **row;
    size_t row_size, row_at;
} kap_stream_t;

/* A ring of at most `bytes` (the newest batch always stays) of a log that stands at `position`,
 * committed at `time`. NULL when out of memory. */
kap_ring_t *kap_ring_new(size_t bytes, uint64_t position, int64_t time);

/* Lets go of every batch. Takes and nulls; NULL inside is fine. */
void kap_ring_destroy(kap_ring_t **ring);

/* Called for each stream that a pushed batch has events of, once a batch. */
typedef void kap_ring_touch_fn(void *arg, kap_stream_t *stream);

/* Keeps a reference to the batch and enters its events; old batches go. Out of memory: the streams
 * concerned are forgotten, not wrong: the reader tells them again. */
void kap_ring_push(kap_ring_t *ring, kap_batch_t *batch, kap_ring_touch_fn *touch, void *arg);

/* The stream of that name, made unknown when first asked for; NULL when out of memory or of places
 * (65,536). */
kap_stream_t *kap_ring_stream(kap_ring_t *ring, kap_span_t name);

/* The reader found `head` in a snapshot. Ignored when the ring knows better. */
void kap_ring_learn(kap_stream_t *stream, uint64_t head);

/* The event `seq` of a known stream; NULL when it is not in memory. Lent until the next push. */
const kap_entry_t *kap_ring_at(const kap_stream_t *stream, uint64_t seq);

/* Bytes held. */
size_t kap_ring_bytes(const kap_ring_t *ring);

/* The newest position of the log that came by, and when it was committed: as_of of answers. */
void kap_ring_head(const kap_ring_t *ring, uint64_t *position, int64_t *time);

#endif
