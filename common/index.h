/* SPDX-License-Identifier: MPL-2.0 */
/*
 * index: from a hash to pointers, for the tables of one batch: open addressing, no removal, emptied
 * as a whole. What a key is, is the owner's: it compares what it finds. Hashes are seeded at
 * random, so that names chosen by a peer do not pile up. One thread.
 */
#ifndef KAP_INDEX_H
#define KAP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

typedef struct {
    uint64_t hash;
    void *item; /* NULL: a free slot */
} kap_slot_t;

typedef struct {
    kap_slot_t *slots;
    size_t size, count; /* size: a power of two, or 0 */
    uint64_t seed;
} kap_index_t;

/* An empty index with a random seed; no memory yet. */
void kap_index_init(kap_index_t *index);
void kap_index_fini(kap_index_t *index);

/* Forgets everything; keeps the memory unless it has grown far beyond what was in it. */
void kap_index_reset(kap_index_t *index);

/* Hash of a text together with a number. */
uint64_t kap_index_hash(const kap_index_t *index, uint64_t number, kap_span_t text);

/* Walks the items of a hash: begin with *place = SIZE_MAX; NULL: no more. */
void *kap_index_find(const kap_index_t *index, uint64_t hash, size_t *place);

/* Adds an item (not NULL). KAP_OK or KAP_E_NOMEM. */
int kap_index_add(kap_index_t *index, uint64_t hash, void *item);

#endif
