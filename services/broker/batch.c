/* SPDX-License-Identifier: MPL-2.0 */
#include "batch.h"

#include <stdlib.h>

#include "engine.h"

kap_job_t *kap_job_new(void)
{
    return calloc(1, sizeof(kap_job_t));
}

void kap_job_destroy(kap_job_t **job)
{
    if (*job == NULL)
        return;
    kap_arena_destroy(&(*job)->arena);
    kap_msg_destroy(&(*job)->msg);
    free(*job);
    *job = NULL;
}

kap_batch_t *kap_batch_ref(kap_batch_t *batch)
{
    atomic_fetch_add(&((kap_held_t *)batch)->refs, 1);
    return batch;
}

void kap_batch_unref(kap_batch_t **batch)
{
    kap_held_t *b = (kap_held_t *)*batch;

    *batch = NULL;
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < b->msg_count; i++)
        kap_msg_destroy(&b->msgs[i]);
    for (uint32_t i = 0; i < b->arena_count; i++)
        kap_arena_destroy(&b->arenas[i]);
    kap_arena_destroy(&b->arena);
    free(b);
}

size_t kap_batch_job_bytes(const kap_batch_t *batch)
{
    return ((const kap_held_t *)batch)->job_bytes;
}

kap_held_t *kap_batch_new(void)
{
    kap_held_t *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    atomic_init(&b->refs, 1);
    b->arena = kap_arena_new(8 << 10); /* a ring keeps many batches of one event */
    if (b->arena == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

void kap_batch_drop(kap_held_t **batch)
{
    kap_batch_t *pub = &(*batch)->pub;

    *batch = NULL;
    kap_batch_unref(&pub);
}

void kap_batch_take(kap_held_t *b, kap_job_t *job)
{
    b->job_bytes += job->bytes;
    if (job->msg != NULL) {
        b->pub.bytes += kap_msg_size(job->msg);
        b->msgs[b->msg_count++] = job->msg;
        job->msg = NULL;
    } else {
        b->pub.bytes += kap_arena_held_bytes(job->arena);
        b->arenas[b->arena_count++] = job->arena;
        job->arena = NULL;
    }
    kap_job_destroy(&job);
}
