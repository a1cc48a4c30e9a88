/* SPDX-License-Identifier: MPL-2.0 */
/*
 * batch: memory of jobs and of committed batches (the types stand in ledger.h). A batch keeps the
 * messages of its jobs, since its entries lend from their bytes; everything else of a job goes when
 * it is taken. References are counted from any thread; the rest is the engine's.
 */
#ifndef KAP_BATCH_H
#define KAP_BATCH_H

#include <stdatomic.h>

#include "ledger.h"

/* A batch and what it holds. */
typedef struct {
    kap_batch_t pub;
    atomic_int refs;
    kap_arena_t *arena;
    kap_msg_t **msgs; /* bytes of the events */
    uint32_t msg_count;
    kap_arena_t **arenas; /* of jobs without a message: their bytes are there */
    uint32_t arena_count;
    size_t job_bytes;
} kap_held_t;

/* Empty, with one reference; NULL when out of memory. */
kap_held_t *kap_batch_new(void);

/* Lets go of a batch that was not published; nulls. */
void kap_batch_drop(kap_held_t **batch);

/* Hands the bytes of a job over to the batch, which has room for them in msgs and arenas; its other
 * memory goes. */
void kap_batch_take(kap_held_t *batch, kap_job_t *job);

#endif
