/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sum_inner: what the files of sum.h share: which rows make up a scope, and the walks over them.
 */
#ifndef KAP_SUM_INNER_H
#define KAP_SUM_INNER_H

#include "sketch.h"
#include "sum.h"

/* Cases that began in a span of time, kept from one sum to the next: sum_chain.c's. */
typedef struct kap_sum_began {
    kap_instants_t span;
    uint32_t archive; /* its number, 0: the mesh */
    kap_path_t *paths;
    size_t count;
    bool beyond; /* more referrals were created then than a walk for exact times may touch */
    struct kap_sum_began *next;
} kap_sum_began_t;

struct kap_summer {
    kap_txn_t *txn;
    kap_arena_t *arena;
    const kap_directory_t *dir;
    kap_cursor_t *cells, *sketches, *cohort;
    uint32_t *regions; /* numbers of the mesh's regions that ever had a referral: no archives */
    uint32_t region_count;
    int64_t *values; /* durations gathered for exact percentiles */
    size_t value_count, value_cap;
    uint64_t counts[KAP_SKETCH_BUCKETS]; /* or their buckets */
    kap_sum_began_t *began;
    struct kap_now *now; /* organisations as they are today (now.h); NULL: as then */
};

/* One row of cells at each period: level and (region, a, b). */
typedef struct {
    kap_level_t level;
    uint32_t region, a, b;
    bool cases; /* holds KAP_FIGURE_CASE rows; others: the rest. Both at REGION and above */
    bool others;
} kap_sum_place_t;

/* Calls fn for every place whose sum is the scope (query's side; cases: the places of
 * KAP_FIGURE_CASE rows too, else only these of referrals). */
typedef int (*kap_sum_place_fn)(void *arg, const kap_sum_place_t *place);
int kap_sum_places(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_place_fn fn,
                   void *arg);

/* A walk over the rows of whole periods in a query's places, of `cells` (counts) or `sketches`;
 * then over the cohort's facts of what those leave. */
typedef int (*kap_sum_fact_fn)(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact);
typedef struct {
    kap_summer_t *s;
    const kap_sum_query_t *query;
    bool counts, cases; /* sketches: those of cases, else the others */
    int (*row)(void *arg, const kap_sum_place_t *place, kap_span_t value);
    kap_sum_fact_fn fact;            /* NULL: no facts */
    const kap_sum_query_t *facts_of; /* other breakdowns for them; NULL: the query */
    void *arg;
} kap_sum_walk_t;
int kap_sum_walk(const kap_sum_walk_t *walk);

/* Numbers of members, in the arena. */
typedef struct {
    kap_arena_t *arena;
    uint32_t *numbers;
    uint32_t count, cap;
} kap_sum_members_t;
int kap_sum_add_member(kap_sum_members_t *members, uint32_t member);
/* Those of an organisation by the directory of today, in order. */
int kap_sum_members(kap_summer_t *summer, kap_span_t organisation, kap_sum_members_t *out);
bool kap_sum_is_among(const kap_sum_members_t *members, uint32_t member);

/* Adds the sketch of a duration in the query's scope and window to counts[KAP_SKETCH_BUCKETS]: rows
 * of whole months and years, the cohort's facts (of a duration of cases: cases) for the rest. Of
 * CHAIN the bucket is the number. */
int kap_sum_sketch(kap_summer_t *summer, const kap_sum_query_t *query, kap_figure_time_t time,
                   bool elapsed, uint64_t counts[KAP_SKETCH_BUCKETS]);

/* Every fact of the cohort in the query's scope, window and breakdowns: O(edges of the scope's
 * regions + facts in the window). Stops at a callback's error. */
int kap_sum_facts(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_fact_fn fn,
                  void *arg);

/* The ids of the cases with a referral created in the span, each once: of the mesh, or of the
 * archive of that number. O(referrals created then). */
typedef int (*kap_sum_case_id_fn)(void *arg, kap_span_t id);
int kap_sum_touched(kap_summer_t *summer, uint32_t archive, kap_instants_t span,
                    kap_sum_case_id_fn fn, void *arg);

/* Every case of the query's scope that began in the parts of its window that the sketches of cases
 * leave, once; broken down, or of an edge: none. The first time O(referrals created then in the
 * mesh, or in the archive), then O(cases). The path is lent for the call. */
typedef int (*kap_sum_case_fn)(void *arg, const kap_path_t *path);
int kap_sum_case_rest(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_case_fn fn,
                      void *arg);

/* The same of the whole window. KAP_E_LIMIT: more than KAP_CASE_WALK_MAX referrals were created
 * then. */
enum { KAP_CASE_WALK_MAX = 100000 }; /* a second and some 20 MB at most; a guess */
int kap_sum_cases(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_case_fn fn,
                  void *arg);

#endif
