/* SPDX-License-Identifier: MPL-2.0 */
#include "sketch.h"

#include <pthread.h>
#include <stdlib.h>

#include "err.h"
#include "rows.h"

/* Relative error a = 0.01: borders grow by (1 + a) / (1 - a). */
#define GROWTH (1.01 / 0.99)

static double border[KAP_SKETCH_BUCKETS]; /* bucket i >= 1 holds (border[i - 1], border[i]] */
static pthread_once_t border_once = PTHREAD_ONCE_INIT;

static void make_borders(void)
{
    border[0] = 0;
    border[1] = 1;
    for (int i = 2; i < KAP_SKETCH_BUCKETS; i++)
        border[i] = border[i - 1] * GROWTH;
}

uint32_t kap_sketch_bucket(int64_t ms)
{
    uint32_t low = 1, high = KAP_SKETCH_BUCKETS - 1;

    pthread_once(&border_once, make_borders);
    if (ms <= 0)
        return 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((double)ms <= border[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int64_t kap_sketch_value(uint32_t bucket)
{
    pthread_once(&border_once, make_borders);
    if (bucket == 0)
        return 0;
    return (int64_t)(2 * border[bucket] / (GROWTH + 1) + 0.5);
}

static int by_place(const void *a, const void *b)
{
    const kap_sketch_change_t *x = a, *y = b;

    return (x->place > y->place) - (x->place < y->place);
}

/* Reads pairs (distance to the next place, count) off a row. */
typedef struct {
    kap_span_t rest;
    uint64_t place, count;
    bool there, broken;
} pairs_t;

static void pairs_next(pairs_t *p)
{
    uint64_t distance;

    p->there = p->rest.size > 0;
    if (!p->there)
        return;
    if (!kap_get_varint(&p->rest, &distance) || !kap_get_varint(&p->rest, &p->count) ||
        distance > UINT16_MAX) {
        p->there = false;
        p->broken = true;
        return;
    }
    p->place += distance;
}

int kap_sketch_merge(kap_span_t row, kap_sketch_change_t *changes, size_t count, kap_buf_t *out)
{
    pairs_t old = {.rest = row};
    uint64_t last = 0;
    size_t i = 0;

    if (count > 0)
        qsort(changes, count, sizeof *changes, by_place);
    pairs_next(&old);
    while (old.there || i < count) {
        uint64_t place = old.there && (i == count || old.place <= changes[i].place)
                             ? old.place
                             : changes[i].place;
        int64_t sum = 0;
        if (old.there && old.place == place) {
            sum = (int64_t)old.count;
            pairs_next(&old);
        }
        for (; i < count && changes[i].place == place; i++)
            sum += changes[i].by;
        if (sum < 0)
            return KAP_E_CORRUPT;
        if (sum == 0)
            continue;
        kap_put_varint(out, place - last);
        kap_put_varint(out, (uint64_t)sum);
        last = place;
    }
    return old.broken ? KAP_E_CORRUPT : out->err;
}

int kap_sketch_add(kap_span_t row, unsigned which, uint64_t counts[KAP_SKETCH_BUCKETS])
{
    pairs_t pairs = {.rest = row};

    for (pairs_next(&pairs); pairs.there; pairs_next(&pairs)) {
        if (pairs.place / 2048 != which)
            continue;
        if (pairs.place % 2048 >= KAP_SKETCH_BUCKETS)
            return KAP_E_CORRUPT;
        counts[pairs.place % 2048] += pairs.count;
    }
    return pairs.broken ? KAP_E_CORRUPT : KAP_OK;
}

int64_t kap_sketch_rank(const uint64_t counts[KAP_SKETCH_BUCKETS], uint32_t percent)
{
    uint64_t n = 0, seen = 0;

    for (uint32_t i = 0; i < KAP_SKETCH_BUCKETS; i++)
        n += counts[i];
    if (n == 0)
        return -1;
    uint64_t rank = (n * percent + 99) / 100;
    for (uint32_t i = 0; i < KAP_SKETCH_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= rank)
            return kap_sketch_value(i);
    }
    return kap_sketch_value(KAP_SKETCH_BUCKETS - 1);
}
