/* SPDX-License-Identifier: MPL-2.0 */
/* Durations: exactly from the cohort, or from sketches. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "now.h"
#include "sum_inner.h"

/* A walk over durations: their buckets in `counts`, or the durations themselves in the summer. */
typedef struct {
    kap_summer_t *s;
    const kap_sum_query_t *query;
    kap_figure_time_t time;
    bool elapsed;
    uint64_t *counts;
    uint64_t cases; /* gathered */
} timing_t;

bool kap_sum_is_of_cases(kap_figure_time_t time)
{
    return time == KAP_FIGURE_TIME_COMPLETE_CASE || time == KAP_FIGURE_TIME_CHAIN;
}

static int64_t time_of(const timing_t *t, const kap_fact_t *fact)
{
    const kap_spent_t *spent = &fact->times[t->time];

    return t->elapsed ? spent->elapsed_ms : spent->working_ms;
}

static int bucket_row(void *arg, const kap_sum_place_t *at, kap_span_t value)
{
    timing_t *t = arg;
    (void)at;
    return kap_cell_add_times(value, t->query->breakdown, t->query->value,
                              kap_cell_which(t->time, t->elapsed), t->counts);
}

static int bucket_fact(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact)
{
    timing_t *t = arg;
    int64_t ms = time_of(t, fact);

    (void)key;
    if (ms != KAP_REFERRAL_NO_SPAN_MS)
        t->counts[kap_sketch_bucket(ms)]++;
    return KAP_OK;
}

static int64_t time_of_case(const timing_t *t, const kap_path_t *path)
{
    if (t->time == KAP_FIGURE_TIME_CHAIN)
        return path->chain;
    return t->elapsed ? path->complete.elapsed_ms : path->complete.working_ms;
}

static int bucket_case(void *arg, const kap_path_t *path)
{
    timing_t *t = arg;
    int64_t ms = time_of_case(t, path);
    uint32_t last = KAP_SKETCH_BUCKETS - 1;

    if (t->time == KAP_FIGURE_TIME_CHAIN)
        t->counts[path->chain < last ? path->chain : last]++;
    else if (ms != KAP_REFERRAL_NO_SPAN_MS)
        t->counts[kap_sketch_bucket(ms)]++;
    return KAP_OK;
}

int kap_sum_sketch(kap_summer_t *summer, const kap_sum_query_t *query, kap_figure_time_t time,
                   bool elapsed, uint64_t counts[KAP_SKETCH_BUCKETS])
{
    timing_t t = {summer, query, time, elapsed, counts, 0};
    bool cases = kap_sum_is_of_cases(time);
    kap_sum_walk_t w = {.s = summer,
                        .query = query,
                        .cases = cases,
                        .row = bucket_row,
                        .fact = cases ? NULL : bucket_fact,
                        .arg = &t};

    if (summer->now != NULL)
        return kap_now_sketch(summer, query, time, elapsed, counts);
    int rc = kap_sum_walk(&w);
    return rc != KAP_OK || !cases ? rc : kap_sum_case_rest(summer, query, bucket_case, &t);
}

static int gather(kap_summer_t *s, int64_t ms)
{
    if (ms == KAP_REFERRAL_NO_SPAN_MS)
        return KAP_OK;
    if (s->value_count == s->value_cap) {
        size_t cap = s->value_cap == 0 ? 256 : s->value_cap * 2;
        int64_t *grown = realloc(s->values, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        s->values = grown;
        s->value_cap = cap;
    }
    s->values[s->value_count++] = ms;
    return KAP_OK;
}

static int gather_fact(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact)
{
    timing_t *t = arg;

    (void)key;
    return gather(t->s, time_of(t, fact));
}

static int gather_case(void *arg, const kap_path_t *path)
{
    timing_t *t = arg;

    return ++t->cases > KAP_EXACT_MAX ? KAP_E_LIMIT : gather(t->s, time_of_case(t, path));
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Nearest rank: the ceil(p n)-th smallest. */
static int64_t rank(const kap_summer_t *s, size_t percent)
{
    return s->values[(s->value_count * percent + 99) / 100 - 1];
}

/* What was gathered. */
static void spread(kap_summer_t *s, kap_sum_time_t *out)
{
    double sum = 0;

    out->exact = true;
    out->n = s->value_count;
    if (out->n == 0)
        return;
    qsort(s->values, s->value_count, sizeof *s->values, by_value);
    for (size_t i = 0; i < s->value_count; i++)
        sum += (double)s->values[i];
    out->p50_ms = rank(s, 50);
    out->p90_ms = rank(s, 90);
    out->p99_ms = rank(s, 99);
    out->max_ms = s->values[s->value_count - 1];
    out->mean_ms = sum / (double)out->n;
}

static int time_exactly(kap_summer_t *s, timing_t *t, kap_sum_time_t *out)
{
    s->value_count = 0;
    int rc = kap_sum_facts(s, t->query, gather_fact, t);
    if (rc == KAP_OK)
        spread(s, out);
    return rc;
}

/* The same of cases, of which the whole days count `least`. KAP_E_LIMIT: there are too many, or
 * retention took some of them from the log. */
static int case_time_exactly(kap_summer_t *s, timing_t *t, uint64_t least, kap_sum_time_t *out)
{
    s->value_count = 0;
    int rc = kap_sum_cases(s, t->query, gather_case, t);
    if (rc == KAP_OK && t->cases < least)
        rc = KAP_E_LIMIT;
    if (rc == KAP_OK)
        spread(s, out);
    return rc;
}

static int time_from_sketch(kap_summer_t *s, timing_t *t, kap_sum_time_t *out)
{
    double sum = 0;

    memset(s->counts, 0, sizeof s->counts);
    int rc = kap_sum_sketch(s, t->query, t->time, t->elapsed, s->counts);
    for (uint32_t i = 0; rc == KAP_OK && i < KAP_SKETCH_BUCKETS; i++) {
        if (s->counts[i] == 0)
            continue;
        out->n += s->counts[i];
        out->max_ms = kap_sketch_value(i);
        sum += (double)s->counts[i] * (double)out->max_ms;
    }
    out->exact = out->n == 0;
    if (rc != KAP_OK || out->n == 0)
        return rc;
    out->p50_ms = kap_sketch_rank(s->counts, 50);
    out->p90_ms = kap_sketch_rank(s->counts, 90);
    out->p99_ms = kap_sketch_rank(s->counts, 99);
    out->mean_ms = sum / (double)out->n;
    return KAP_OK;
}

int kap_sum_time(kap_summer_t *summer, const kap_sum_query_t *query, kap_figure_time_t time,
                 bool elapsed, kap_sum_time_t *out)
{
    timing_t t = {summer, query, time, elapsed, NULL, 0};
    bool cases = kap_sum_is_of_cases(time);
    kap_vector_t sum = {0};

    *out = (kap_sum_time_t){.p50_ms = -1, .p90_ms = -1, .p99_ms = -1, .max_ms = -1};
    int rc = kap_sum_counts(summer, query, &sum);
    uint64_t n = sum.counts[cases ? KAP_FIGURE_CASES : KAP_FIGURE_REFERRALS];
    if (rc != KAP_OK)
        return rc;
    if (n > KAP_EXACT_MAX)
        return time_from_sketch(summer, &t, out);
    if (!cases)
        return time_exactly(summer, &t, out);
    rc = case_time_exactly(summer, &t, n, out);
    return rc == KAP_E_LIMIT ? time_from_sketch(summer, &t, out) : rc;
}
