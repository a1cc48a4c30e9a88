/* SPDX-License-Identifier: MPL-2.0 */
/*
 * metric_own: what the metrics that read the index (followed.h) and not the cells share: the
 * regions of a scope, the years of a window, tables that add up, and the targets of a year. Any
 * thread, in one snapshot; everything in the question's arena.
 */
#ifndef KAP_METRIC_OWN_H
#define KAP_METRIC_OWN_H

#include "followed.h"
#include "metric_list.h"
#include "succession.h"

/* --- where and when --- */

/* A region as the question's view has it. */
typedef struct {
    kap_span_t id;
    uint32_t number;           /* 0: nobody ever heard of it */
    const kap_region_t *known; /* NULL: no longer in the directory */
} kap_own_region_t;

/* Rows of a region of the scope in the window; of the view `now` also those of the regions that it
 * followed, one by one. Member 0 unless the scope is one of members. */
typedef int (*kap_own_range_fn)(void *arg, const kap_own_region_t *region,
                                const kap_followed_range_t *range);

/* Every region of the scope: those of which something was ever said, then those of the directory of
 * which nothing was; of a member or organisation each member's part. Archives have none. */
int kap_own_ranges(const kap_metric_at_t *at, const kap_metric_query_t *query, kap_own_range_fn fn,
                   void *arg);

/* Numbers of those regions, each once. */
int kap_own_regions(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    kap_sum_region_fn fn, void *arg);

/* Who follows whom, for the view `now`; NULL for `then`. */
int kap_own_succession(const kap_metric_at_t *at, const kap_metric_query_t *query,
                       const kap_succession_t **out);

/* The member that stands in its place in a region: the id itself without a succession. */
int kap_own_member(const kap_metric_at_t *at, const kap_succession_t *succession, uint32_t region,
                   kap_span_t id, kap_span_t *today);

/* The first and the last month in which the scope has a meeting of the window; first > last: none.
 * Months since the year 0, in Helsinki. */
int kap_own_months(const kap_metric_at_t *at, const kap_metric_query_t *query, int32_t *first,
                   int32_t *last);

/* The years that the window touches; one that is open ends with the year of `now`, and begins where
 * the calendar does. */
void kap_own_years(const kap_metric_query_t *query, int *first, int *last);

/* [from_ms, to_ms) of the years first to last. */
kap_followed_range_t kap_own_years_range(const kap_followed_range_t *range, int first, int last);

/* Is a segment (code, -1 none) what is asked for? True when none is. */
bool kap_own_is_segment(const kap_metric_query_t *query, int segment);

/* --- tables that add up --- */

enum { KAP_TALLY_KEYS = 4, KAP_TALLY_SUMS = 12, KAP_TALLY_TEXTS = 4 };

typedef struct {
    kap_span_t a, b;
    int32_t k[KAP_TALLY_KEYS];
    int64_t v[KAP_TALLY_SUMS];
    kap_span_t text[KAP_TALLY_TEXTS];
} kap_tally_t;

/* Rows by (a, b, k). {.arena} is an empty one. Errors stick. */
typedef struct {
    kap_arena_t *arena;
    kap_tally_t **rows; /* in the order they came, kap_tally_sort: of their keys */
    kap_tally_t **slots;
    size_t count, size;
    int err;
} kap_tallies_t;

/* The row of a key, made with zeroes when it is new; NULL when out of memory. Texts are lent. */
kap_tally_t *kap_tally(kap_tallies_t *tallies, kap_span_t a, kap_span_t b, int k0, int k1, int k2,
                       int k3);

/* By a, b, k0, k1, ... as bytes and numbers. */
void kap_tally_sort(kap_tallies_t *tallies);

/* --- pairs of a list's item --- */

/* `key` the name of a code; "none" for -1. */
void kap_own_code(kap_buf_t *buf, const char *key, kap_code_list_t list, int code);
/* `key` a decimal of thousandths, as text. */
void kap_own_decimal(kap_buf_t *buf, const char *key, int64_t milli);
void kap_own_flag(kap_buf_t *buf, const char *key, bool flag);
/* `key` the mean of n values, as such a decimal, rounded; nil of none. */
void kap_own_mean(kap_buf_t *buf, const char *key, int64_t sum_milli, uint64_t n);
/* `key` a text, nil when it is empty; `key` nil. */
void kap_own_text(kap_buf_t *buf, const char *key, kap_span_t text);
void kap_own_nil(kap_buf_t *buf, const char *key);

/* --- small numbers --- */

enum { KAP_OWN_LEAST = 5, KAP_OWN_SEGMENTS = KAP_SEGMENT_COUNT + 1 };

/* Of parts that are told beside their sum, which must not be: fewer than KAP_OWN_LEAST, and so many
 * more of the smallest that what is hidden is neither one part nor fewer than that together. */
void kap_own_hide(const uint64_t *n, size_t count, bool *hidden);

/* --- what a year's targets ask --- */

/* Items of plans of a year: how many there are, how many are reached. */
int kap_own_plans(const kap_metric_at_t *at, const kap_followed_range_t *range, int year,
                  uint64_t *items, uint64_t *reached);

/* Customers' feedback on a scale (4 or 5), added: of referrals, and the answers to the survey
 * `customers` of the years first to last in a region. */
int kap_own_feedback(const kap_metric_at_t *at, const kap_sum_query_t *what, int scale, uint64_t *n,
                     int64_t *sum_milli);
int kap_own_answers(const kap_metric_at_t *at, uint32_t region, int first, int last, int scale,
                    uint64_t *n, int64_t *sum_milli);

/* Is it an answer of customers on one of these scales? */
bool kap_own_is_feedback(const kap_followed_survey_t *survey);

#endif
