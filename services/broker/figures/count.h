/* SPDX-License-Identifier: MPL-2.0 */
/*
 * count: the writer of figures. Given what rows count now, it subtracts what they counted last,
 * adds the new, and leaves cells, sketches, cohort, paths and the list of open referrals as if the
 * log up to this position had been counted once. Ledger thread (and the recount) only, inside the
 * transaction of a batch. Cells stand at a position that the head tells (kap_head_t.figures_seq).
 */
#ifndef KAP_COUNT_H
#define KAP_COUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "cell.h"
#include "directory.h"
#include "fact.h"
#include "path.h"
#include "store.h"

/* One row: the cohort row under `key` shall hold `fact` (no figures: no row). */
typedef struct {
    kap_cohort_key_t key;
    kap_fact_t fact;
} kap_count_change_t;

/* A case whose referrals may have changed: all of them, and the case, are counted anew. */
typedef struct {
    uint32_t scope; /* as in rows.h */
    kap_span_t id;
} kap_count_case_t;

/* What counting looks up. `directory_at` lends the directory as of a position of the log (the
 * caller may keep the last one); areas and organisations are those of a referral's creation. */
typedef struct {
    kap_txn_t *txn;
    kap_arena_t *arena;
    const kap_directory_t *(*directory_at)(void *arg, uint64_t log_seq);
    uint32_t (*number)(void *arg, kap_span_t text); /* of a name, given now if it has none */
    void *arg;
} kap_count_t;

/* Counts tallies (and what else stands on its own) and cases; sorts both lists. A row that counts
 * what it counted before writes nothing. Errors leave the transaction to be aborted. */
int kap_count_apply(const kap_count_t *count, kap_count_change_t *changes, size_t change_count,
                    kap_count_case_t *cases, size_t case_count);

/* A referral that is open, or that somebody still has to do something about (metrics 11). */
typedef struct {
    kap_cohort_key_t key;
    uint32_t scope;
    kap_span_t referral;
    bool dropped; /* ended by redirected, and the child may be a dropped baton */
} kap_open_t;

/* The table `open`: keyed as the cohort, a row for each open transfer, guidance or lead of the
 * mesh, and for each redirected transfer whose child has not arrived. KAP_E_CORRUPT. */
int kap_open_split(kap_span_t key, kap_span_t value, kap_open_t *open);

#endif
