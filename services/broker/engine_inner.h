/* SPDX-License-Identifier: MPL-2.0 */
/*
 * engine_inner: what the engine's files share: engine.c (jobs into a batch), enter.c (one event
 * into log, chain and streams), due.c (deadlines that are over), replay.c (the log entered again),
 * epoch.c (a restored store).
 * Nobody else includes it.
 */
#ifndef KAP_ENGINE_INNER_H
#define KAP_ENGINE_INNER_H

#include "batch.h"
#include "book.h"
#include "engine.h"
#include "judge.h"

enum { KAP_ENGINE_EXPIRED_MAX = 1024 /* a guess: deadlines ended in one batch */ };

/* Bytes of one kind of run gathered for a batch. */
typedef struct {
    kap_buf_t bytes;
    struct {
        uint64_t first;
        size_t at;
    } * runs;
    uint32_t count, cap;
} kap_runs_t;

struct kap_engine {
    kap_store_t *store;
    kap_book_t *book;
    kap_arena_t *scratch;
    kap_head_t head;
    bool figures, disk_full;
    kap_directory_t *dir;
    kap_buf_t json;
    bool json_new;
    char source[7 + 2 * KAP_LIMIT_EPOCH_BYTES + 1]; /* of the events it makes itself */
    kap_runs_t log, ends, sealed;
    uint64_t batch_number;
    int64_t figures_ms; /* monotonic time of their last writing */
    /* the batch under way */
    kap_txn_t *txn;
    kap_head_t next;
    int64_t now;
    kap_held_t *batch;
    kap_entry_t *entries;
    uint32_t entry_count;
    bool begun; /* the batch has an event */
};

/* --- engine.c --- */

/* Begins a batch and its transaction at `now`, or at the head's time when that is later. */
int kap_engine_begin(kap_engine_t *e, int64_t now);

/* Writes everything and commits; turn NULL: figures wait. After a failure: kap_engine_abandon. */
int kap_engine_finish(kap_engine_t *e, const kap_engine_turn_t *turn);
void kap_engine_abandon(kap_engine_t *e);

/* The source of its own events, by the head's epoch. */
void kap_engine_make_source(kap_engine_t *e);

int kap_engine_write_head(kap_txn_t *txn, const kap_head_t *head);
int kap_engine_put_figures(kap_engine_t *e, bool due);

/* What a source fills may have changed with its last event. */
void kap_engine_look_up_scope(kap_engine_t *e, kap_name_t *source, kap_judge_t *judge);

/* --- enter.c --- */

/* Zeroed room that lives as long as the batch; NULL on error, which the book knows. */
void *kap_engine_room(kap_engine_t *e, size_t bytes);

/* Enters a decided event: log, chain, mark, streams. Returns its entry, NULL on error. */
const kap_entry_t *kap_engine_enter(kap_engine_t *e, const kap_judge_t *judge, kap_name_t *source,
                                    const kap_event_t *ev, uint64_t sequence,
                                    const kap_judged_t *judged);

/* The member part of a source; NULL on error, which the book knows. */
kap_name_t *kap_engine_member_of(kap_engine_t *e, kap_span_t source);

void kap_runs_reset(kap_runs_t *runs);
void kap_runs_fini(kap_runs_t *runs);
int kap_runs_write(kap_txn_t *txn, unsigned table, const kap_runs_t *runs);

/* --- due.c --- */

/* The job of the timer: every `expired` that is to be said now; NULL: none, or on error. *more:
 * further ones wait for another batch. */
kap_job_t *kap_engine_expired_job(kap_engine_t *e, bool *more);

/* --- replay.c --- */

/* Counts what happened between the figures' position and the head: after a crash. */
int kap_engine_catch_up(kap_engine_t *e);

#endif
