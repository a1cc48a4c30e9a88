/* SPDX-License-Identifier: MPL-2.0 */
/*
 * count: the writer of figures. Given what rows count now, it subtracts what they counted last,
 * adds the new, and leaves cells, sketches, cohort, paths and the list of open referrals as if the
 * log up to this position had been counted once. Ledger thread (and the recount) only, inside the
 * transaction of a batch. Cells stand at a position that the head tells (kap_head_t.figures_seq).
 *
 * Areas and organisations are those of a referral's creation: its row has their numbers
 * (kap_places_t), so that no directory is asked.
 */
#ifndef KAP_COUNT_H
#define KAP_COUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "cell.h"
#include "fact.h"
#include "path.h"
#include "rows.h"
#include "store.h"

/* One row that stands on its own (a tally): the cohort row under `key` shall hold `fact` (no
 * figures: no row). */
typedef struct {
    kap_cohort_key_t key;
    kap_fact_t fact;
} kap_count_change_t;

/* A referral's row as it is written: what the store would say. */
typedef struct {
    kap_span_t id, row;
} kap_count_row_t;

/* A case whose referrals may have changed: all of them, and the case, are counted anew. */
typedef struct {
    uint32_t scope; /* as in rows.h */
    kap_span_t id;
    uint32_t region; /* number of that of some referral of it: cases of a region go together */
    const kap_count_row_t *rows; /* all its referrals in order of creation; NULL: the store tells */
    uint32_t row_count;
    bool counted; /* something of it was counted after counted_to */
} kap_count_case_t;

/* An event that was refused: it counts for its member, and nothing takes it back. */
typedef struct {
    uint32_t member;
    int64_t at; /* its commit */
} kap_count_refused_t;

/* What is to be counted; the lists are sorted. */
typedef struct {
    kap_count_change_t *changes;
    kap_count_case_t *cases;
    const kap_count_refused_t *refused;
    size_t change_count, case_count, refused_count;
    /* referrals created after this position count nowhere yet, so that nothing of them is looked
     * up; UINT64_MAX: any may */
    uint64_t counted_to;
    bool doubtful; /* a case that is not in the store is none, else the store is damaged */
} kap_count_work_t;

/* Counts it all. A row that counts what it counted before writes nothing. Errors leave the
 * transaction to be aborted; KAP_E_CORRUPT: rows contradict each other. */
int kap_count_apply(kap_txn_t *txn, const kap_count_work_t *work);

/* A referral that is open, or that somebody still has to do something about (metrics 11). */
typedef struct {
    kap_cohort_key_t key;
    uint32_t scope;
    kap_span_t referral;
    bool dropped; /* ended by redirected, and the child may be a dropped baton */
} kap_open_t;

/* The table `open`: keyed as the cohort, a row for each referral of the mesh that has not ended
 * (internal and external ones left out), and for each redirected transfer whose child may be lost
 * (kap_path_dropped). KAP_E_CORRUPT. */
int kap_open_split(kap_span_t key, kap_span_t value, kap_open_t *open);

#endif
