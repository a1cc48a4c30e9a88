/* SPDX-License-Identifier: MPL-2.0 */
#include "hide.h"

#include <stdlib.h>

static uint64_t size_of(const kap_edge_t *edge)
{
    return edge->counts[KAP_FIGURE_REFERRALS];
}

static bool is_own(const kap_edge_t *edge, kap_span_t self)
{
    return kap_span_eq(edge->from, self) || kap_span_eq(edge->to, self);
}

/* The row (same `from`) or column (same `to`) of edge i: how many are hidden in it, and which of
 * the shown ones is the smallest (count when none is). */
static uint32_t hidden_beside(const kap_edges_t *edges, const bool *hidden, uint32_t i, bool row,
                              uint32_t *smallest)
{
    uint32_t n = 0;
    *smallest = edges->count;
    for (uint32_t j = 0; j < edges->count; j++) {
        const kap_edge_t *a = &edges->edges[i], *b = &edges->edges[j];
        if (!kap_span_eq(row ? a->from : a->to, row ? b->from : b->to) || size_of(b) == 0)
            continue;
        if (hidden[j])
            n++;
        else if (*smallest == edges->count || size_of(b) < size_of(&edges->edges[*smallest]))
            *smallest = j;
    }
    return n;
}

/* A single hidden edge could be had by subtraction: another one goes with it. */
static bool hide_second(const kap_edges_t *edges, bool *hidden)
{
    bool more = false;
    for (uint32_t i = 0; i < edges->count; i++) {
        for (int row = 0; hidden[i] && row < 2; row++) {
            uint32_t smallest;
            if (hidden_beside(edges, hidden, i, row == 0, &smallest) == 1 &&
                smallest < edges->count)
                more = hidden[smallest] = true;
        }
    }
    return more;
}

/* Marks what is hidden of the edges of whole months. */
static void hide_small(const kap_edges_t *edges, bool *hidden, uint32_t k)
{
    for (uint32_t i = 0; i < edges->count; i++)
        hidden[i] = size_of(&edges->edges[i]) > 0 && size_of(&edges->edges[i]) < k;
    while (hide_second(edges, hidden))
        continue;
}

void kap_hide(kap_edges_t *edges, const kap_edges_query_t *query, kap_see_t see, kap_span_t self,
              uint32_t k)
{
    bool months =
        (!query->has_from || query->from.day == 1) && (!query->has_to || query->to.day == 1);
    bool *hidden = months && see == KAP_SEE_EDGES ? calloc(edges->count + 1, sizeof *hidden) : NULL;
    if (hidden)
        hide_small(edges, hidden, k);
    uint64_t n = 0, pending = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < edges->count; i++) {
        const kap_edge_t *edge = &edges->edges[i];
        if (!is_own(edge, self) && (!hidden || hidden[i]))
            continue;
        n += size_of(edge);
        pending += edge->counts[KAP_FIGURE_PENDING];
        edges->edges[kept++] = *edge;
    }
    free(hidden);
    edges->count = kept;
    if (months && edges->n >= k)
        return;
    edges->n = n;
    edges->pending = pending;
    edges->decided = n - pending;
}
