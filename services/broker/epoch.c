/* SPDX-License-Identifier: MPL-2.0 */
/* A new epoch of a restored store (engine.h). */
#include "engine_inner.h"

#include <string.h>

#include "crypto.h"
#include "err.h"
#include "ids.h"

/* Every epoch that ended, with what is kept of it now: nothing lies above the head. *of_head gets
 * the one that the head belongs to. */
static void end_epochs(const kap_engine_t *e, const uint8_t current[KAP_LIMIT_EPOCH_BYTES],
                       kap_span_t before, kap_buf_t *ended, kap_ended_t *of_head)
{
    kap_ended_t one;
    bool found = false;

    while (kap_ended_next(&before, &one)) {
        if (one.kept_to > e->head.seq)
            one.kept_to = e->head.seq;
        if (!found && one.kept_to == e->head.seq) {
            *of_head = one;
            found = true;
        }
        kap_ended_pack(ended, &one);
    }
    one.kept_to = e->head.seq;
    memcpy(one.epoch, current, sizeof one.epoch);
    if (!found)
        *of_head = one;
    kap_ended_pack(ended, &one);
}

static int write_epochs(kap_engine_t *e, kap_span_t ended)
{
    kap_txn_t *txn;
    int rc = kap_txn_begin(e->store, KAP_TXN_WRITE, &txn);

    if (rc != KAP_OK)
        return rc;
    kap_random(e->head.epoch, sizeof e->head.epoch);
    kap_engine_make_source(e);
    kap_txn_put(txn, KAP_ROWS_META, KAP_SPAN("ended"), ended);
    kap_engine_write_head(txn, &e->head);
    return kap_txn_commit(&txn);
}

static int make_restored(const kap_engine_t *e, const kap_ended_t *ended, int64_t now,
                         kap_arena_t *arena, kap_event_t *ev)
{
    static const uint8_t no_salt[KAP_LIMIT_SALT_BYTES];
    kap_event_builder_t builder;
    kap_buf_t open = {0}, ends = {0};
    char id[KAP_UUID_TEXT];
    uint8_t hash[KAP_HASH_BYTES];
    kap_span_t source = kap_span_str(e->source), none = kap_span(NULL, 0);

    kap_hash256(hash, &source, 1);
    kap_uuid_v8(hash, id);
    kap_event_builder_begin(&builder, KAP_EV_BROKER_RESTORED, kap_span_str(id), source, 1, now,
                            now);
    kap_event_builder_set_span(&builder, KAP_F_OLD_EPOCH,
                               kap_span(ended->epoch, sizeof ended->epoch));
    kap_event_builder_set_int(&builder, KAP_F_KEPT_TO, (int64_t)ended->kept_to);
    kap_event_builder_set_span(&builder, KAP_F_EPOCH, kap_span(e->head.epoch, 16));
    int rc = kap_event_builder_finish(&builder, no_salt, none, &open, &ends);
    kap_span_t kept = rc == KAP_OK ? kap_arena_dup(arena, kap_buf_span(&open)) : none;
    if (rc == KAP_OK && kept.data == NULL)
        rc = KAP_E_NOMEM;
    if (rc == KAP_OK)
        rc = kap_event_decode(kept, none, none, arena, ev, NULL);
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    return rc == KAP_E_INVALID ? KAP_E_INTERNAL : rc;
}

static int say_restored(kap_engine_t *e, const kap_ended_t *ended, int64_t now)
{
    kap_engine_turn_t turn = {.now = now};
    kap_batch_t *batch = NULL;
    kap_job_t *job = kap_job_new();
    bool more;

    if (job != NULL)
        job->arena = kap_arena_new(4 << 10);
    if (job != NULL && job->arena != NULL)
        job->events = kap_arena_calloc(job->arena, 1, sizeof *job->events);
    int rc = job != NULL && job->events != NULL
                 ? make_restored(e, ended, now, job->arena, job->events)
                 : KAP_E_NOMEM;
    if (rc == KAP_OK) {
        job->header.source = kap_span_str(e->source);
        job->header.first = job->count = 1;
        rc = kap_engine_batch(e, job, &turn, &batch, &more);
    }
    if (rc != KAP_OK) {
        kap_job_destroy(&job);
        return rc;
    }
    bool accepted = batch->entry_count == 1 && batch->entries[0].verdict == KAP_VERDICT_ACCEPTED;
    kap_batch_unref(&batch);
    return accepted ? KAP_OK : KAP_E_INTERNAL;
}

int kap_engine_new_epoch(kap_engine_t *e, const uint8_t current[KAP_LIMIT_EPOCH_BYTES],
                         kap_span_t before, int64_t now)
{
    kap_buf_t ended = {0};
    kap_ended_t of_head;

    end_epochs(e, current, before, &ended, &of_head);
    int rc = ended.err != KAP_OK ? ended.err : write_epochs(e, kap_buf_span(&ended));
    kap_buf_fini(&ended);
    return rc == KAP_OK ? say_restored(e, &of_head, now) : rc;
}
