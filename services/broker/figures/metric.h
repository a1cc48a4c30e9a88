/* SPDX-License-Identifier: MPL-2.0 */
/*
 * metric: a question about the figures and its answer. metrics.def says what can be asked; what a
 * sum of figures can say is said by the table alone, the rest by metric_*.c, one file a metric or a
 * family. Any thread, in one snapshot. What the asker may see is decided before (which scopes) and
 * after (hide.h): never here.
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
    KAP_METRIC_TOTAL
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
    bool now_view;                /* organisations as they are today */
    int64_t now;                  /* as_of_time of the figures */
    kap_span_t after; /* rows behind this one: the key of the last row that the asker has */
} kap_metric_query_t;

/* The values of one row: one MessagePack map appended, as the table says. */
typedef struct {
    kap_summer_t *summer;
    kap_txn_t *txn;
    const kap_directory_t *dir;
    kap_arena_t *arena;
} kap_metric_at_t;

int kap_metric_values(const kap_metric_at_t *at, const kap_metric_query_t *query, kap_buf_t *out);

#endif
