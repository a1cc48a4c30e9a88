/* SPDX-License-Identifier: MPL-2.0 */
/*
 * engine: one batch into the store, in one transaction: marks, duplicates, groups, verdicts, log,
 * chain, streams, state, deadlines that are over, figures. What the ledger's thread runs; without a
 * thread or a clock, so that tests, the benchmark and the recount run the very same code.
 * Owner: one thread. It acknowledges nothing: the caller does, after KAP_OK.
 */
#ifndef KAP_ENGINE_H
#define KAP_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "rows.h"

typedef struct kap_engine kap_engine_t;

/* Over an open store with the tables of rows.h, which outlives it. A new store gets an epoch and is
 * bound to the mesh. figures false: none are kept. KAP_E_CONFLICT: the store is of another mesh;
 * KAP_E_CORRUPT: rows are missing that have to be there (sound.h). */
int kap_engine_open(kap_store_t *store, const uint8_t mesh[32], bool figures, kap_engine_t **out);
void kap_engine_close(kap_engine_t **engine);

/* The directory from the next batch on; takes its own reference. `json` is its text, copied. */
int kap_engine_set_directory(kap_engine_t *engine, kap_directory_t *dir, kap_span_t json);

/* While true, PUBLISH is answered `disk`. */
void kap_engine_set_disk_full(kap_engine_t *engine, bool full);

/* Where the log stands. */
const kap_head_t *kap_engine_head(const kap_engine_t *engine);

/* What a batch is to do beside its jobs. */
typedef struct {
    int64_t now;             /* commit time; never goes back: the head's time is the least */
    bool expire;             /* look for deadlines that are over */
    bool (*idle)(void *arg); /* asked before writing: does nothing wait, or somebody for figures?
                              * then they are written */
    void *arg;
} kap_engine_turn_t;

/* Judges and commits a list of jobs (linked by next; may be NULL). KAP_OK: the jobs are taken and
 * *out is the batch, with one reference; *more says that further deadlines are over. On failure
 * nothing happened and the jobs are still the caller's: KAP_E_MAPFULL -> grow the store, again;
 * anything else is fatal for the process. */
int kap_engine_batch(kap_engine_t *engine, kap_job_t *jobs, const kap_engine_turn_t *turn,
                     kap_batch_t **out, bool *more);

/* Bytes of the jobs that a batch answers (kap_job_t.bytes). */
size_t kap_batch_job_bytes(const kap_batch_t *batch);

/* For a recount: enters events of one batch as they were decided. The verdicts are taken from the
 * log; *differs gets the first position whose machine now says otherwise (0: none). Figures wait
 * for kap_engine_write_figures, tallies too. */
typedef struct {
    kap_logged_t logged;
    kap_span_t source;
} kap_replayed_t;
int kap_engine_replay(kap_engine_t *engine, const kap_replayed_t *events, uint32_t count,
                      uint64_t *differs);

/* Writes the figures that wait, at the head. */
int kap_engine_write_figures(kap_engine_t *engine);

/* Takes over the epoch (and so the chain's start) of the log that is recounted; before the first
 * event. */
int kap_engine_adopt(kap_engine_t *engine, const kap_head_t *of);

/* A restored store begins a new epoch: those that ended are written down, and `broker_restored` is
 * the first event of the new one. `current` and `before` (kap_rows_ended) are of the store that was
 * restored, which may have stood further on. Not for a store that anybody reads already. */
int kap_engine_new_epoch(kap_engine_t *engine, const uint8_t current[KAP_LIMIT_EPOCH_BYTES],
                         kap_span_t before, int64_t now);

#endif
