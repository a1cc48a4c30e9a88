/* SPDX-License-Identifier: MPL-2.0 */
/*
 * now_inner: what the files of now.h share: where regions and members stand today, and the cases
 * that were counted anew.
 */
#ifndef KAP_NOW_INNER_H
#define KAP_NOW_INNER_H

#include "now.h"
#include "succession.h"

/* A region as it was. `area`: kap_now_t.texts, from 1; 0: none. */
typedef struct {
    uint32_t then, now; /* numbers of names */
    kap_span_t text;    /* of then */
    uint32_t area;
} kap_now_region_t;

/* An edge then whose ends stand in one place today. */
typedef struct {
    uint32_t region; /* index of kap_now_t.regions */
    uint32_t from, to, now;
} kap_now_fallen_t;

/* What the tree makes of a referral today, where it made something else of it then. */
typedef struct {
    uint64_t seq;
    kap_cohort_key_t key; /* places of today */
    uint16_t breakdown[KAP_BREAKDOWN_COUNT];
    kap_fact_path_t then, now;
} kap_now_shape_t;

struct kap_now {
    kap_succession_t *successions;
    kap_arena_t *arena;
    kap_now_region_t *regions;
    uint32_t region_count;
    kap_now_fallen_t *fallen;
    uint32_t fallen_count;
    kap_span_t *texts; /* of areas and organisations */
    uint32_t text_count;
    uint32_t *organisations; /* of members, by turns: number, index of texts */
    uint32_t organisation_count;
    /* cases with a referral created in the window; parts are of today, their areas and
     * organisations are indexes of texts */
    bool counted;
    kap_path_t *paths;
    uint32_t path_count;
    kap_now_shape_t *shapes; /* by seq */
    uint32_t shape_count;
};

/* The region of a number, added when it is new; NULL when that fails: *rc says why. */
const kap_now_region_t *kap_now_region(kap_summer_t *summer, struct kap_now *now, uint32_t region,
                                       int *rc);

/* The organisation of a member today by the directory, else `then` (a number), as an index. */
int kap_now_organisation(kap_summer_t *summer, struct kap_now *now, uint32_t member, uint32_t then,
                         uint32_t *index);

/* Do a referral's places of today lie in the scope? */
int kap_now_edge_fits(kap_summer_t *summer, struct kap_now *now, const kap_sum_query_t *query,
                      const kap_cohort_key_t *key, bool *fits);

/* Does a case take part in the scope today? */
bool kap_now_path_fits(const struct kap_now *now, const kap_scope_t *scope, const kap_path_t *path);

/* Every case of the scope that began in the query's window, once. */
int kap_now_cases(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_case_fn fn,
                  void *arg);

/* Counts the cases anew. */
int kap_now_count_cases(kap_summer_t *summer, struct kap_now *now, const kap_window_t *window);

#endif
