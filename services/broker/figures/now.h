/* SPDX-License-Identifier: MPL-2.0 */
/*
 * now: the sums of sum.h for organisations as they are today. Cells stay as they were; what a scope
 * of today sums is read from the scopes then whose places it has taken (succession.h), less the
 * edges whose ends fell together since: they count as internal, apart. Cases and the tree (metrics
 * 5 to 10) cannot be added up: of the cases with a referral created in the window of the question
 * they are counted anew, with the ids of today. Archives have no today. Files of sum.h call it when
 * the summer has this view; everybody else sees no difference. One snapshot, any thread.
 */
#ifndef KAP_NOW_H
#define KAP_NOW_H

#include "sum_inner.h"

/* From here on the summer answers for organisations as they are at `now`. `window`: that of the
 * question, where cases or the tree are asked for (O(referrals created in it)); NULL: they are 0.
 * Without any succession in force nothing changes. */
int kap_now_view(kap_summer_t *summer, int64_t now, const kap_window_t *window);

/* Nobody stands in the place of this member in this region today, though it was followed. Without
 * the view: false. */
bool kap_now_is_unassigned(const kap_summer_t *summer, uint32_t region, uint32_t member);

/* Who stands in the place of a member in a region today, and in which region that is: ids. Without
 * the view, and of whom nobody ever heard, themselves. */
int kap_now_place(const kap_summer_t *summer, kap_span_t *region, kap_span_t *member);

/* The member of the directory that follows it everywhere; itself. */
int kap_now_successor(const kap_summer_t *summer, const kap_member_t *member,
                      const kap_member_t **out);

/* As their namesakes of sum.h and sum_inner.h. */
int kap_now_counts(kap_summer_t *summer, const kap_sum_query_t *query, kap_vector_t *sum);
int kap_now_sketch(kap_summer_t *summer, const kap_sum_query_t *query, kap_figure_time_t time,
                   bool elapsed, uint64_t counts[KAP_SKETCH_BUCKETS]);
int kap_now_facts(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_fact_fn fn,
                  void *arg);
int kap_now_regions(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_region_fn fn,
                    void *arg);
int kap_now_edges(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_edge_fn fn, void *arg);
int kap_now_months(kap_summer_t *summer, const kap_sum_query_t *query, int32_t *first,
                   int32_t *last);
int kap_now_values(kap_summer_t *summer, const kap_sum_query_t *query, kap_breakdown_t breakdown,
                   kap_sum_value_fn fn, void *arg);
int kap_now_open(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_open_fn fn, void *arg);

/* Every two members that share a case of the question's window in the region (0: in any), each
 * once, a < b. */
typedef int (*kap_now_pair_fn)(void *arg, uint32_t a, uint32_t b);
int kap_now_pairs(kap_summer_t *summer, uint32_t region, kap_now_pair_fn fn, void *arg);

#endif
