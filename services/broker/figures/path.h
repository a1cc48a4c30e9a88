/* SPDX-License-Identifier: MPL-2.0 */
/*
 * path: what one case counts (metrics 5, 6, 7, 8, 9, 10), and what its shape makes of each of its
 * referrals. Pure functions of the case's referrals; the table `paths` keeps the fact, as the
 * cohort keeps a referral's. Any thread; everything in the caller's arena.
 */
#ifndef KAP_PATH_H
#define KAP_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "case.h"
#include "fact.h"
#include "span.h"

/* One end of a referral, in one region: who takes part in the case, and where. */
typedef struct {
    uint32_t region, area, member, organisation; /* numbers of names; area, organisation 0: none */
} kap_path_part_t;

/* What a case counts. The tree (chain, ping-pong, parts, started_at) is of all its unvoided
 * referrals, whatever their kind; what became of it (closed, served, closable, loop closed,
 * complete) is of its transfers, internal and external ones left out. */
typedef struct {
    kap_figure_set_t figures; /* KAP_FIGURE_CASE rows; empty: it counts nowhere */
    uint32_t chain;           /* referrals on the longest path; 0: none */
    bool utc;                 /* of an archive: counted in UTC's months, in its region only */
    int64_t started_at;       /* created of the earliest root: its month */
    kap_spent_t complete;     /* of a closed case: started to the last end, no holds or closures */
    /* each (region, member) once, ordered by region, then member; area and organisation are those
     * of its first referral there */
    kap_path_part_t *parts;
    uint32_t part_count;
} kap_path_t;

void kap_path_init(kap_path_t *path);

/* How the numbers of a part are found: called for both ends of each unvoided referral, in the
 * order of the log, but never for an external end. The directory is that of created_seq. */
typedef int (*kap_path_place_fn)(void *arg, kap_span_t region, kap_span_t member,
                                 uint64_t created_seq, kap_path_part_t *part);

/* The fact of a case, and of each of its referrals what the shape makes of it (`of[i]` belongs to
 * rows[i]). rows[i] is the referral of c->nodes[i]. Parts in the arena. KAP_E_NOMEM, or the
 * callback's error. */
int kap_path_of(const kap_case_t *c, const kap_referral_row_t *rows, kap_arena_t *arena,
                kap_path_place_fn place, void *arg, kap_path_t *out, kap_fact_path_t *of);

/* Dropped batons (metrics 11): redirected, and the child it was handed on by (`next`, of its row)
 * is voided, withdrawn or, `patience_ms` after its creation, not delivered; and nobody handed the
 * customer on since (no later unvoided child of the same parent that is not withdrawn). */
bool kap_path_dropped(const kap_case_t *c, int32_t node, kap_span_t next, int64_t now,
                      int64_t patience_ms);

bool kap_path_equal(const kap_path_t *a, const kap_path_t *b);

/* The row of `paths`. unpack: parts in the arena; KAP_E_CORRUPT, KAP_E_NOMEM. */
void kap_path_pack(kap_buf_t *buf, const kap_path_t *path);
int kap_path_unpack(kap_span_t value, kap_arena_t *arena, kap_path_t *path);

#endif
