/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 10: how long the chains of cases are. */
#include "err.h"
#include "metric_list.h"
#include "mp.h"
#include "sketch.h"

enum { LONGEST = KAP_SKETCH_BUCKETS - 1, LONG = 2 };

/* The nearest rank: the smallest length that so many percent of the cases do not exceed. */
static uint64_t rank_of(const uint64_t *counts, uint64_t n, uint64_t percent)
{
    uint64_t wanted = (n * percent + 99) / 100, seen = 0;

    for (uint32_t i = 1; i <= LONGEST; i++) {
        seen += counts[i];
        if (seen >= wanted)
            return i;
    }
    return 0;
}

static void put_lengths(kap_metric_values_t *values, const uint64_t *counts)
{
    kap_metric_list_t lengths = {0};

    for (uint32_t i = 1; i <= LONGEST; i++) {
        kap_buf_t *item = counts[i] == 0 ? NULL : kap_metric_item(&lengths, 2);
        if (item == NULL)
            continue;
        kap_metric_number(item, "length", i);
        kap_metric_number(item, "cases", counts[i]);
    }
    kap_metric_put_list(values, "lengths", &lengths);
}

static void put_chain(kap_metric_values_t *values, const uint64_t *counts)
{
    uint64_t n = 0, sum = 0, longer = 0;
    uint32_t max = 0;

    for (uint32_t i = 1; i <= LONGEST; i++) {
        n += counts[i];
        sum += i * counts[i];
        longer += i > LONG ? counts[i] : 0;
        max = counts[i] > 0 ? i : max;
    }
    kap_buf_t *mean = kap_metric_pair(values, "mean");
    kap_mp_put_map(mean, 2);
    kap_metric_number(mean, "sum", sum);
    kap_metric_number(mean, "n", n);
    kap_metric_put_count(values, "p50", n == 0 ? 0 : rank_of(counts, n, 50));
    kap_metric_put_count(values, "p90", n == 0 ? 0 : rank_of(counts, n, 90));
    kap_metric_put_count(values, "max", max);
    kap_metric_put_rate(values, "above_2", longer, n);
    put_lengths(values, counts);
}

int kap_metric_chain(const kap_metric_at_t *at, const kap_metric_query_t *query,
                     const kap_vector_t *sum, kap_metric_values_t *values)
{
    uint64_t *counts = kap_arena_calloc(at->arena, LONGEST + 1, sizeof *counts);

    (void)sum;
    if (query->what.scope.kind == KAP_SCOPE_EDGE)
        return KAP_OK; /* pairs keep how many cases they share, not how long their chains are */
    int rc =
        counts == NULL ? KAP_E_NOMEM : kap_sum_chains(at->summer, &query->what, counts, LONGEST);
    if (rc == KAP_OK)
        put_chain(values, counts);
    return rc;
}
