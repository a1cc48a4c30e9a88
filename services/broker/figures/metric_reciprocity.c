/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 12: how much of what is handed there is handed back. */
#include <stdlib.h>

#include "err.h"
#include "metric_list.h"

/* What two members handed each other; `low` stands before `high`. */
typedef struct {
    kap_span_t low, high;
    uint64_t there, back;         /* without those expected back */
    uint64_t all_there, all_back; /* with them */
} pair_t;

static pair_t pair_of(const kap_handed_t *edge)
{
    uint64_t handed = edge->handed - edge->expected;

    if (kap_span_cmp(edge->from, edge->to) <= 0)
        return (pair_t){edge->from, edge->to, handed, 0, edge->handed, 0};
    return (pair_t){edge->to, edge->from, 0, handed, 0, edge->handed};
}

static int by_members(const void *a, const void *b)
{
    const pair_t *x = a, *y = b;
    int order = kap_span_cmp(x->low, y->low);

    return order != 0 ? order : kap_span_cmp(x->high, y->high);
}

/* Edges become pairs, in the order of their members. */
static uint32_t gather(const kap_handed_t *edges, uint32_t count, pair_t *pairs)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        pairs[i] = pair_of(&edges[i]);
    if (count > 0)
        qsort(pairs, count, sizeof *pairs, by_members);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || by_members(&pairs[i], &pairs[kept - 1]) != 0) {
            pairs[kept++] = pairs[i];
            continue;
        }
        pairs[kept - 1].there += pairs[i].there;
        pairs[kept - 1].back += pairs[i].back;
        pairs[kept - 1].all_there += pairs[i].all_there;
        pairs[kept - 1].all_back += pairs[i].all_back;
    }
    return kept;
}

typedef struct {
    uint64_t both, sum, all_both, all_sum, edges, edges_back;
} total_t;

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Each pair stands twice in the sum over x != y. */
static void add_pair(total_t *t, const pair_t *pair)
{
    bool selves = kap_span_eq(pair->low, pair->high);
    uint32_t edges = (pair->there > 0) + (pair->back > 0);

    t->sum += pair->there + pair->back;
    t->all_sum += pair->all_there + pair->all_back;
    t->edges += edges;
    if (selves)
        return;
    t->both += 2 * least(pair->there, pair->back);
    t->all_both += 2 * least(pair->all_there, pair->all_back);
    t->edges_back += edges == 2 ? 2 : 0;
}

static int put_pair(const kap_metric_at_t *at, const kap_scope_t *scope, const pair_t *pair,
                    kap_metric_list_t *list)
{
    bool any = pair->there + pair->back > 0 && !kap_span_eq(pair->low, pair->high);
    kap_buf_t *item = any ? kap_metric_item(list, 6) : NULL;

    if (item == NULL)
        return KAP_OK;
    int rc = kap_metric_member(at, scope, item, "from", pair->low);
    if (rc == KAP_OK)
        rc = kap_metric_member(at, scope, item, "to", pair->high);
    kap_metric_number(item, "there", pair->there);
    kap_metric_number(item, "back", pair->back);
    return rc;
}

int kap_metric_reciprocity(const kap_metric_at_t *at, const kap_metric_query_t *query,
                           const kap_vector_t *sum, kap_metric_values_t *values)
{
    kap_metric_list_t list = {0};
    total_t total = {0};
    kap_handed_t *edges;
    uint32_t count;
    int rc = kap_metric_handed(at, query, true, &edges, &count);
    pair_t *pairs = kap_arena_calloc(at->arena, count + 1, sizeof *pairs);

    (void)sum;
    if (rc == KAP_OK && pairs == NULL)
        rc = KAP_E_NOMEM;
    count = rc == KAP_OK ? gather(edges, count, pairs) : 0;
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++) {
        add_pair(&total, &pairs[i]);
        rc = put_pair(at, &query->what.scope, &pairs[i], &list);
    }
    kap_metric_put_rate(values, "rate", total.both, total.sum);
    kap_metric_put_rate(values, "rate_all", total.all_both, total.all_sum);
    kap_metric_put_rate(values, "edges", total.edges_back, total.edges);
    kap_metric_put_list(values, "pairs", &list);
    return rc;
}
