/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sum: the figures of a scope over a window, from cells where the window is whole months and from
 * the cohort where it is not; durations exactly in a scope of at most KAP_EXACT_MAX transfers
 * (those of cases: cases), else from sketches (1 %). Reads scopes x periods rows, and the cohort
 * rows of what whole periods leave at the window's ends, whatever the history. Any thread, in one
 * snapshot.
 */
#ifndef KAP_SUM_H
#define KAP_SUM_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "cell.h"
#include "count.h"
#include "scope.h"
#include "store.h"

enum { KAP_EXACT_MAX = 1000 }; /* transfers or cases up to which percentiles are exact */

/* Which side of a member (or organisation) is meant. Regions and above: no difference. */
typedef enum { KAP_SIDE_GETS, KAP_SIDE_SENDS, KAP_SIDE_CASES } kap_side_t;

/* What is asked. */
typedef struct {
    kap_scope_t scope;
    kap_window_t window;
    kap_side_t side;
    kap_breakdown_t breakdown; /* only the referrals with this value of it; NONE: all */
    uint16_t value;
    /* a second one, answered from the cohort alone (windows of at most 31 days); NONE: none */
    kap_breakdown_t breakdown2;
    uint16_t value2;
} kap_sum_query_t;

typedef struct kap_summer kap_summer_t;

/* Cursors and buffers for many sums of one snapshot. NULL when out of memory. */
int kap_summer_new(kap_txn_t *txn, kap_arena_t *arena, const kap_directory_t *dir,
                   kap_summer_t **out);
void kap_summer_destroy(kap_summer_t **summer);

/* Counts, added to *sum. FLOW_ figures are told of the whole periods in the window only, cases
 * likewise: days of the cells' zone, whole months where the scope is broken down or (flows) an
 * edge. The others are those of any window. */
int kap_sum_counts(kap_summer_t *summer, const kap_sum_query_t *query, kap_vector_t *sum);

/* Refused events of the members that act in the scope (of a nation kap_sum_counts has them), added
 * to the figure REFUSED. */
int kap_sum_refused(kap_summer_t *summer, const kap_sum_query_t *query, kap_vector_t *sum);

typedef struct {
    uint64_t n;                             /* durations known */
    int64_t p50_ms, p90_ms, p99_ms, max_ms; /* nearest rank; -1 when n is 0 */
    double mean_ms;                         /* exact only when exact */
    bool exact;                             /* else from a sketch, at most 1 % off */
} kap_sum_time_t;

bool kap_sum_is_of_cases(kap_figure_time_t time);
/* Of cases: exact in a window in which the mesh (or the archive) created at most 100,000 referrals;
 * the first time it looks at all of them. */
int kap_sum_time(kap_summer_t *summer, const kap_sum_query_t *query, kap_figure_time_t time,
                 bool elapsed, kap_sum_time_t *out);

/* The median of Kaplan and Meier (1958) of the time to accept, recipient's clock: the first time by
 * which at most half would still wait. Who gave up is censored at that time, who waits at `now`;
 * accepted by doing only: in nothing. Exact as kap_sum_time is. O(buckets + open). *median_ms -1:
 * more than half would still wait. *waiting: the open ones. */
int kap_sum_survival(kap_summer_t *summer, const kap_sum_query_t *query, bool elapsed, int64_t now,
                     int64_t *median_ms, uint64_t *waiting);

/* How often each number of CHAIN occurs: added to counts[0 .. max]; longer ones to counts[max]. */
int kap_sum_chains(kap_summer_t *summer, const kap_sum_query_t *query, uint64_t *counts,
                   uint32_t max);

/* --- who is there to be asked for: each once, in no order; stops at a callback's error --- */

/* Regions that ever had a referral: the scope's own, those of its area or nation by the directory
 * of today, or all of the mesh. */
typedef int (*kap_sum_region_fn)(void *arg, uint32_t region);
int kap_sum_regions(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_region_fn fn,
                    void *arg);

/* Edges of a region, area, nation, member or organisation that ever had a referral. In view now
 * those whose ends fell together are told with one member at both. */
typedef int (*kap_sum_edge_fn)(void *arg, uint32_t region, uint32_t from, uint32_t to);
int kap_sum_edges(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_edge_fn fn, void *arg);

/* First and last month (since the year 0, in the cells' zone) in which anything counts in the scope
 * and the window; first > last: none. */
int kap_sum_months(kap_summer_t *summer, const kap_sum_query_t *query, int32_t *first,
                   int32_t *last);

/* Values that a breakdown ever had in the scope. */
typedef int (*kap_sum_value_fn)(void *arg, uint16_t value);
int kap_sum_values(kap_summer_t *summer, const kap_sum_query_t *query, kap_breakdown_t breakdown,
                   kap_sum_value_fn fn, void *arg);

/* Open referrals (table `open`) of the query's scope, created in its window, of its breakdowns; of
 * a member or an organisation by the side, CASES: at either end. Regions and organisations count
 * where they belong today. In order of region, from, to, created; the row lends from the snapshot.
 * Of an archive: none. O(open of the scope's regions). */
typedef int (*kap_sum_open_fn)(void *arg, const kap_open_t *open, const kap_referral_row_t *row);
int kap_sum_open(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_open_fn fn, void *arg);

#endif
