/* SPDX-License-Identifier: MPL-2.0 */
/* The values of a metric's answer as people read them. What a value is shows in its own form:
 * {num, den} a share, {sum, n} or {sum_milli, n} a mean, {p50_ms ...} times, an integer a count (a
 * key in _ms a duration); the broker's tables say which metric has which. One thread. It computes
 * nothing but the percent and the mean of what it is given. */
#ifndef KAP_MEASURE_H
#define KAP_MEASURE_H

#include "shown.h"

typedef enum {
    KAP_MEASURE_NONE, /* absent, nil */
    KAP_MEASURE_COUNT,
    KAP_MEASURE_MS,
    KAP_MEASURE_RATE,
    KAP_MEASURE_MEAN,
    KAP_MEASURE_TIME,
    KAP_MEASURE_TEXT,
    KAP_MEASURE_LIST,
    KAP_MEASURE_MAP
} kap_measure_form_t;

enum { KAP_MEASURE_BYTES = 96 };

kap_measure_form_t kap_measure_form(kap_span_t key, const kap_mp_t *value);

/* 12.5 or 12,5 by language; at most 2 decimals. */
void kap_measure_number(kap_lang_t lang, double value, int decimals, char out[KAP_MEASURE_BYTES]);

/* "45 min", "6.5 h", "3.2 d": a day is 8 hours of working time, else 24. "-" below 0. With `words`
 * a day is called a working day where it is one. */
void kap_measure_duration(kap_lang_t lang, int64_t ms, bool elapsed, bool words,
                          char out[KAP_MEASURE_BYTES]);

/* "12/15 80 %", never a percent without its numbers; "-" of nothing. */
void kap_measure_rate(const kap_mp_t *rate, char out[KAP_MEASURE_BYTES]);

/* The percent, -1 when the denominator is 0 or it is no rate. */
double kap_measure_percent(const kap_mp_t *rate);

/* Any single value on one line; of times the median. Empty for lists and maps. */
void kap_measure_text(kap_cli_t *cli, kap_span_t key, const kap_mp_t *value, bool elapsed,
                      char out[KAP_SHOWN_BYTES]);

#endif
