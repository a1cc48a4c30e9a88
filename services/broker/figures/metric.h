/* SPDX-License-Identifier: MPL-2.0 */
/*
 * metric: a question about the figures and its answer. metrics.def says what can be asked; what a
 * sum of figures can say is said by the table alone, the rest by metric_*.c, one file a metric or a
 * family. Any thread, in one snapshot. What the asker may see is decided before (which scopes) and
 * after (hide.h): never here. metric_ask.h makes questions of requests, metric_tell.h maps of
 * answers.
 */
#ifndef KAP_METRIC_H
#define KAP_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "directory.h"
#include "scope.h"
#include "store.h"
#include "sum.h"

typedef enum {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en)              \
    KAP_METRIC_##NAME,
#define KAP_METRIC_COUNT(METRIC, wire, figures, meaning)
#define KAP_METRIC_RATE(METRIC, wire, num, den, meaning)
#define KAP_METRIC_MEAN(METRIC, wire, sum, n, meaning)
#define KAP_METRIC_TIME(METRIC, wire, time, meaning)
#define KAP_METRIC_OTHER(METRIC, wire, shape, meaning)
#include "metrics.def"
#undef KAP_METRIC
#undef KAP_METRIC_COUNT
#undef KAP_METRIC_RATE
#undef KAP_METRIC_MEAN
#undef KAP_METRIC_TIME
#undef KAP_METRIC_OTHER
    KAP_METRIC_TOTAL /* how many */
} kap_metric_t;

typedef enum {
    KAP_KIND_OF_COHORT = 1,
    KAP_KIND_OF_FLOW = 2,
    KAP_KIND_OF_STOCK = 4,
    KAP_KIND_OF_NOW = 8
} kap_metric_kind_t;

typedef enum {
    KAP_BY_NOTHING,
    KAP_BY_EDGE,
    KAP_BY_MEMBER,
    KAP_BY_REGION,
    KAP_BY_SERVICE,
    KAP_BY_SEGMENT,
    KAP_BY_WARM,
    KAP_BY_ORIGIN,
    KAP_BY_MONTH,
    KAP_BY_COUNT
} kap_metric_by_t;

/* A question that was checked (metric_ask.c makes it of a request's map). */
typedef struct {
    kap_metric_t metric;
    kap_metric_kind_t kind;
    kap_sum_query_t what; /* scope, window, side, filters */
    kap_metric_by_t by;
    bool customer_clock, elapsed; /* of the times */
    uint32_t limit;               /* rows in one answer, 0: as many as fit */
    bool now_view;                /* organisations as they are today */
    int64_t now;      /* as_of_time of the figures; of how open ones stand now: the clock */
    kap_span_t after; /* rows behind this one: kap_metric_key_t.sort of the last; empty: all */
} kap_metric_query_t;

/* --- the table --- */

/* What metrics.def says of a metric. */
typedef struct {
    const char *wire, *unit, *definition, *source;
    const char *text[3]; /* by kap_lang_t */
    kap_side_t side;
    unsigned kinds; /* KAP_KIND_OF_ bits */
    unsigned by;    /* bits 1 << KAP_BY_ */
} kap_metric_row_t;

const kap_metric_row_t *kap_metric_row(kap_metric_t metric);

/* The metric of that name, or -1. */
int kap_metric_find(kap_span_t wire);

/* "cohort", "edge": NULL outside; and back, -1. */
const char *kap_metric_kind_name(kap_metric_kind_t kind);
int kap_metric_kind_find(kap_span_t wire);
const char *kap_metric_by_name(kap_metric_by_t by);
int kap_metric_by_find(kap_span_t wire);

/* --- values: those of one scope over one window, as pairs of a MessagePack map --- */

/* When the broker last heard of members' nodes, as far as it did since it started. */
typedef struct {
    kap_span_t member;
    int64_t at;
} kap_metric_heard_t;

typedef struct {
    int64_t now, since;              /* of the clock that heard; it listens since then */
    const kap_metric_heard_t *heard; /* by member, as bytes */
    uint32_t count;
} kap_metric_seen_t;

/* With what the figures are read: all of one snapshot. */
typedef struct {
    kap_summer_t *summer;
    kap_txn_t *txn;
    const kap_directory_t *dir;
    kap_arena_t *arena;
    const kap_metric_seen_t *seen; /* NULL: nobody listens */
} kap_metric_at_t;

/* A map that grows, and the numbers that stand beside it. */
typedef struct {
    kap_buf_t pairs;
    uint32_t count;
    bool row;       /* of a row of the answer, else of all of it */
    uint64_t whole; /* n of all of it */
    uint64_t least; /* durations of fewer, and fewer beside the transfers, are not told (hide.h) */
    uint64_t n, decided, pending; /* as the counts say; a metric of its own may say otherwise */
} kap_metric_values_t;

/* Begins a pair: append exactly one object to the buffer. */
kap_buf_t *kap_metric_pair(kap_metric_values_t *values, const char *wire);
void kap_metric_put_count(kap_metric_values_t *values, const char *wire, uint64_t count);
void kap_metric_put_rate(kap_metric_values_t *values, const char *wire, uint64_t num, uint64_t den);
void kap_metric_put_time(kap_metric_values_t *values, const char *wire, const kap_sum_time_t *time);

/* What the rows KAP_METRIC_OTHER of a metric hold, appended behind what the table says. `query` is
 * narrowed to the scope and window in hand (a row's, or all), `sum` its counts. The functions stand
 * in metric_hooks.def, one row a metric. */
typedef int (*kap_metric_other_fn)(const kap_metric_at_t *at, const kap_metric_query_t *query,
                                   const kap_vector_t *sum, kap_metric_values_t *values);

#define KAP_METRIC_HOOK(METRIC, function)                                                          \
    int function(const kap_metric_at_t *at, const kap_metric_query_t *query,                       \
                 const kap_vector_t *sum, kap_metric_values_t *values);
#include "metric_hooks.def"
#undef KAP_METRIC_HOOK

/* All pairs of a metric; counts are read here. The caller frees `pairs`. */
int kap_metric_values(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      kap_metric_values_t *values);

/* --- rows --- */

/* What a row is about. */
typedef struct {
    kap_scope_t scope;   /* that of the question, or narrower */
    kap_window_t window; /* likewise */
    kap_breakdown_t breakdown;
    uint16_t value;  /* of the breakdown: as in fact.h */
    kap_span_t sort; /* rows stand in its order (kap_metric_sort) */
    uint64_t n, decided, pending;
    bool hidden;  /* only that there is such a row may be told (hide.h) */
    bool omitted; /* nor that */
} kap_metric_key_t;

typedef struct {
    kap_metric_key_t *rows; /* in the arena */
    uint32_t count, cap;
    uint64_t n, decided, pending; /* of the whole scope */
    bool omitted;                 /* some rows are */
} kap_metric_rows_t;

/* The whole scope and every row in which something of the metric counts, sorted; no values. */
int kap_metric_rows(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    kap_metric_rows_t *out);

/* The question, narrowed to a row of its answer. */
void kap_metric_narrow(const kap_metric_query_t *query, const kap_metric_key_t *row,
                       kap_metric_query_t *out);

/* The order of rows: the parts of a key one behind the other, each ended by a NUL. Data NULL: no
 * memory. */
kap_span_t kap_metric_sort(kap_arena_t *arena, kap_span_t a, kap_span_t b, kap_span_t c);

/* Does it tell anything of cases, not of referrals alone? */
bool kap_metric_has_cases(kap_metric_t metric);

/* Does the value of that name tell of members or referrals one by one, or of this moment? */
bool kap_metric_is_list(kap_metric_t metric, kap_span_t wire);

/* The name of a breakdown's value as keys and `where` say it ("none": not told), and back, -1. */
const char *kap_metric_value_name(kap_breakdown_t breakdown, uint16_t value);
int kap_metric_value_find(kap_breakdown_t breakdown, kap_span_t name);
/* "service", of KAP_BREAKDOWN_SERVICE. */
const char *kap_metric_breakdown_name(kap_breakdown_t breakdown);
/* The breakdown that a `by` is, or NONE. */
kap_breakdown_t kap_metric_breakdown(kap_metric_by_t by);

#endif
