/* SPDX-License-Identifier: MPL-2.0 */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "map.h"

/* A batch in the ring and the streams of its entries, in their order. */
typedef struct held {
    struct held *next;
    kap_batch_t *batch;
    size_t bytes, count;
    kap_stream_t *streams[];
} held_t;

struct kap_ring {
    size_t limit, bytes;
    uint64_t position;
    int64_t time;
    kap_map_t *streams;
    held_t *oldest, **newest;
};

enum {
    FIRST_ROW = 16,
    STREAMS_MAX = 65536, /* a guess, a hundred times a mesh: names are asked for by peers */
};

kap_ring_t *kap_ring_new(size_t bytes, uint64_t position, int64_t time)
{
    kap_ring_t *ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    ring->limit = bytes;
    ring->position = position;
    ring->time = time;
    ring->newest = &ring->oldest;
    ring->streams = kap_map_new();
    if (!ring->streams) {
        free(ring);
        return NULL;
    }
    return ring;
}

/* The stream has no events in memory any more; its head stays known. */
static void row_clear(kap_stream_t *stream)
{
    free(stream->row);
    stream->row = NULL;
    stream->row_size = stream->row_at = 0;
    stream->first = stream->head + 1;
}

static int row_grow(kap_stream_t *stream)
{
    size_t count = (size_t)(stream->head + 1 - stream->first);
    size_t size = stream->row_size ? stream->row_size * 2 : FIRST_ROW;
    const kap_entry_t **row = malloc(size * sizeof *row);
    if (!row)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        row[i] = stream->row[(stream->row_at + i) & (stream->row_size - 1)];
    free(stream->row);
    stream->row = row;
    stream->row_size = size;
    stream->row_at = 0;
    return KAP_OK;
}

/* Enters the event after the head. */
static void row_put(kap_stream_t *stream, const kap_entry_t *entry, uint64_t seq)
{
    if (!stream->known) {
        stream->known = true;
        stream->head = seq - 1;
        stream->first = seq;
    }
    if (seq <= stream->head)
        return; /* the reader saw it before it came by here: it is read from the store */
    KAP_CHECK(seq == stream->head + 1);
    size_t count = (size_t)(stream->head + 1 - stream->first);
    if (count == stream->row_size && row_grow(stream) != KAP_OK) {
        stream->head = seq;
        row_clear(stream);
        return;
    }
    stream->row[(stream->row_at + count) & (stream->row_size - 1)] = entry;
    stream->head = seq;
}

/* Lets go of an event if it is still the stream's oldest. */
static void row_drop(kap_stream_t *stream, const kap_entry_t *entry)
{
    if (stream->first > stream->head || stream->row[stream->row_at] != entry)
        return;
    stream->first++;
    stream->row_at = (stream->row_at + 1) & (stream->row_size - 1);
    if (stream->first > stream->head)
        row_clear(stream);
}

static void drop_oldest(kap_ring_t *ring)
{
    held_t *held = ring->oldest;
    size_t at = 0;
    for (size_t i = 0; i < held->batch->entry_count && at < held->count; i++) {
        const kap_entry_t *entry = &held->batch->entries[i];
        for (size_t k = 0; k < entry->place_count; k++)
            row_drop(held->streams[at++], entry);
    }
    ring->bytes -= held->bytes;
    ring->oldest = held->next;
    if (!ring->oldest)
        ring->newest = &ring->oldest;
    kap_batch_unref(&held->batch);
    free(held);
}

void kap_ring_destroy(kap_ring_t **handle)
{
    kap_ring_t *ring = *handle;
    if (!ring)
        return;
    while (ring->oldest)
        drop_oldest(ring);
    size_t place = 0;
    for (kap_stream_t *stream; (stream = kap_map_next(ring->streams, &place, NULL)) != NULL;) {
        free(stream->row);
        free((uint8_t *)stream->name.data);
        free(stream);
    }
    kap_map_destroy(&ring->streams);
    free(ring);
    *handle = NULL;
}

kap_stream_t *kap_ring_stream(kap_ring_t *ring, kap_span_t name)
{
    kap_stream_t *stream = kap_map_get(ring->streams, name);
    if (stream)
        return stream;
    if (kap_map_count(ring->streams) >= STREAMS_MAX)
        return NULL;
    stream = calloc(1, sizeof *stream);
    uint8_t *copy = malloc(name.size + 1);
    if (!stream || !copy || kap_map_put(ring->streams, name, stream) != KAP_OK) {
        free(copy);
        free(stream);
        return NULL;
    }
    memcpy(copy, name.data, name.size);
    stream->name = kap_span(copy, name.size);
    return stream;
}

/* A batch whose streams cannot be noted is not kept: whoever had it in memory forgets it. */
static void forget(kap_ring_t *ring, const kap_batch_t *batch)
{
    for (size_t i = 0; i < batch->entry_count; i++) {
        for (size_t k = 0; k < batch->entries[i].place_count; k++) {
            kap_stream_t *stream = kap_map_get(ring->streams, batch->entries[i].places[k].stream);
            if (!stream)
                continue;
            row_clear(stream);
            stream->known = false;
        }
    }
}

static held_t *held_new(kap_ring_t *ring, kap_batch_t *batch)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < batch->entry_count; i++)
        count += batch->entries[i].place_count;
    held_t *held = malloc(sizeof *held + count * sizeof(kap_stream_t *));
    if (!held)
        return NULL;
    *held = (held_t){.batch = batch, .bytes = batch->bytes, .count = count};
    for (size_t i = 0; i < batch->entry_count; i++) {
        for (size_t k = 0; k < batch->entries[i].place_count; k++) {
            held->streams[at] = kap_ring_stream(ring, batch->entries[i].places[k].stream);
            if (!held->streams[at++]) {
                free(held);
                return NULL;
            }
        }
    }
    return held;
}

void kap_ring_push(kap_ring_t *ring, kap_batch_t *batch, kap_ring_touch_fn *touch, void *arg)
{
    ring->position = batch->head_seq;
    ring->time = batch->head_time;
    if (batch->entry_count == 0)
        return;
    held_t *held = held_new(ring, batch);
    if (!held) {
        forget(ring, batch);
        return;
    }
    kap_batch_ref(batch);
    *ring->newest = held;
    ring->newest = &held->next;
    ring->bytes += held->bytes;
    size_t at = 0;
    for (size_t i = 0; i < batch->entry_count; i++) {
        const kap_entry_t *entry = &batch->entries[i];
        for (size_t k = 0; k < entry->place_count; k++, at++) {
            row_put(held->streams[at], entry, entry->places[k].seq);
            if (!held->streams[at]->touched) {
                held->streams[at]->touched = true;
                touch(arg, held->streams[at]);
            }
        }
    }
    for (at = 0; at < held->count; at++)
        held->streams[at]->touched = false;
    while (ring->bytes > ring->limit && ring->oldest != held)
        drop_oldest(ring);
}

void kap_ring_learn(kap_stream_t *stream, uint64_t head)
{
    if (stream->known)
        return;
    stream->known = true;
    stream->head = head;
    stream->first = head + 1;
}

const kap_entry_t *kap_ring_at(const kap_stream_t *stream, uint64_t seq)
{
    if (!stream->known || seq < stream->first || seq > stream->head)
        return NULL;
    return stream->row[(stream->row_at + (size_t)(seq - stream->first)) & (stream->row_size - 1)];
}

size_t kap_ring_bytes(const kap_ring_t *ring)
{
    return ring->bytes;
}

void kap_ring_head(const kap_ring_t *ring, uint64_t *position, int64_t *time)
{
    *position = ring->position;
    *time = ring->time;
}
