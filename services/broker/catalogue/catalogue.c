/* SPDX-License-Identifier: MPL-2.0 */
#include "catalogue.h"

#include <stddef.h>
#include <string.h>

/* The words of metrics.def in its columns KINDS and BY. */
#define KINDS(X) X(COHORT, "cohort") X(FLOW, "flow") X(STOCK, "stock") X(NOW, "now")
#define BREAKDOWNS(X)                                                                              \
    X(EDGE, "edge")                                                                                \
    X(MEMBER, "member")                                                                            \
    X(REGION, "region")                                                                            \
    X(SERVICE, "service")                                                                          \
    X(SEGMENT, "segment")                                                                          \
    X(WARM, "warm")                                                                                \
    X(ORIGIN, "origin")                                                                            \
    X(MONTH, "month")
#define WORD(NAME, word)     word,
#define KIND_BIT(NAME, word) KIND_BIT_##NAME,
#define BY_BIT(NAME, word)   BY_BIT_##NAME,

enum { KINDS(KIND_BIT) KIND_BITS };
enum { BREAKDOWNS(BY_BIT) BY_BITS };
enum { COHORT = 1 << KIND_BIT_COHORT, FLOW = 1 << KIND_BIT_FLOW };
enum { STOCK = 1 << KIND_BIT_STOCK, NOW = 1 << KIND_BIT_NOW };
#define BY(NAME) (1U << BY_BIT_##NAME)

static const char *const kind_words[] = {KINDS(WORD) NULL};
static const char *const by_words[] = {BREAKDOWNS(WORD) NULL};

enum {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en) METRIC_##NAME,
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
    METRICS
};

static const kap_catalogue_metric_t metrics[] = {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en)              \
    {wire, unit, definition, source, {fi, sv, en}, (kinds), (by)},
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
};

static const kap_catalogue_value_t values[] = {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en)
#define KAP_METRIC_COUNT(METRIC, wire, figures, meaning)                                           \
    {METRIC_##METRIC, KAP_CATALOGUE_COUNT, wire, "count", meaning},
#define KAP_METRIC_RATE(METRIC, wire, num, den, meaning)                                           \
    {METRIC_##METRIC, KAP_CATALOGUE_RATE, wire, "rate", meaning},
#define KAP_METRIC_MEAN(METRIC, wire, sum, n, meaning)                                             \
    {METRIC_##METRIC, KAP_CATALOGUE_MEAN, wire, "mean", meaning},
#define KAP_METRIC_TIME(METRIC, wire, time, meaning)                                               \
    {METRIC_##METRIC, KAP_CATALOGUE_TIME, wire, "time", meaning},
#define KAP_METRIC_OTHER(METRIC, wire, shape, meaning)                                             \
    {METRIC_##METRIC, KAP_CATALOGUE_OTHER, wire, shape, meaning},
#include "metrics.def"
#undef KAP_METRIC
#undef KAP_METRIC_COUNT
#undef KAP_METRIC_RATE
#undef KAP_METRIC_MEAN
#undef KAP_METRIC_TIME
#undef KAP_METRIC_OTHER
};
enum { VALUES = sizeof values / sizeof *values };

const kap_catalogue_metric_t *kap_catalogue_metric(int index)
{
    return index >= 0 && index < METRICS ? &metrics[index] : NULL;
}

int kap_catalogue_find(const char *name)
{
    for (int i = 0; i < METRICS; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return i;
    return -1;
}

const kap_catalogue_value_t *kap_catalogue_next(int metric, const kap_catalogue_value_t *before)
{
    for (const kap_catalogue_value_t *row = before ? before + 1 : values; row < values + VALUES;
         row++)
        if (row->metric == metric)
            return row;
    return NULL;
}

const char *kap_catalogue_kind_word(int bit)
{
    return bit >= 0 && bit < KIND_BITS ? kind_words[bit] : NULL;
}

const char *kap_catalogue_by_word(int bit)
{
    return bit >= 0 && bit < BY_BITS ? by_words[bit] : NULL;
}
