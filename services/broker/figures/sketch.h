/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sketch: durations in log buckets with integer counts, so that adding and subtracting are exact
 * and a percentile is at most 1 % off (DDSketch: Masson, Rim, Lee 2019, without collapsing). Bucket
 * borders come from repeated multiplication alone, so that every machine finds the same bucket.
 * A stored row holds several sketches side by side, told apart by a number `which`. Pure.
 */
#ifndef KAP_SKETCH_H
#define KAP_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

enum {
    KAP_SKETCH_BUCKETS = 1760, /* bucket 0: zero; the last one: all above 10^15 ms */
    KAP_SKETCH_WHICH_MAX = 16,
};

/* The bucket of a duration; negative ones are 0's. */
uint32_t kap_sketch_bucket(int64_t ms);

/* The duration that stands for a bucket. */
int64_t kap_sketch_value(uint32_t bucket);

/* One change to a row. */
typedef struct {
    uint16_t place; /* kap_sketch_place */
    uint16_t value; /* the owner's (cell.h): whose sketch it is, where a row has one for each */
    int32_t by;
} kap_sketch_change_t;

static inline uint16_t kap_sketch_place(unsigned which, uint32_t bucket)
{
    return (uint16_t)(which * 2048 + bucket);
}

/* Appends the row that follows from `row` (empty: none yet) and the changes, which it sorts. An
 * empty result: nothing is left. KAP_E_CORRUPT: the row cannot be read, or a count would fall below
 * zero. */
int kap_sketch_merge(kap_span_t row, kap_sketch_change_t *changes, size_t count, kap_buf_t *out);

/* Adds one sketch of a row to counts[KAP_SKETCH_BUCKETS]. KAP_E_CORRUPT. */
int kap_sketch_add(kap_span_t row, unsigned which, uint64_t counts[KAP_SKETCH_BUCKETS]);

/* The percentile by nearest rank: numerator/denominator of the sum of counts, e.g. 90/100.
 * -1 when there is nothing. */
int64_t kap_sketch_rank(const uint64_t counts[KAP_SKETCH_BUCKETS], uint32_t percent);

#endif
