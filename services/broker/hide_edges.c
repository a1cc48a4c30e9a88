/* SPDX-License-Identifier: MPL-2.0 */
#include "hide_edges.h"

#include <stdlib.h>

#include "hide.h"
#include "scope.h"

static bool is_own(const kap_edge_t *edge, kap_span_t self)
{
    return kap_span_eq(edge->from, self) || kap_span_eq(edge->to, self);
}

/* The edges as a table with what is hidden in it; NULL: out of memory. */
static kap_hide_cell_t *table_of(const kap_edges_t *edges, kap_span_t self, uint32_t k)
{
    kap_hide_cell_t *cells = calloc(edges->count + 1, sizeof *cells);

    for (uint32_t i = 0; cells != NULL && i < edges->count; i++) {
        const kap_edge_t *edge = &edges->edges[i];
        cells[i] = (kap_hide_cell_t){.row = edge->from,
                                     .column = edge->to,
                                     .size = edge->counts[KAP_FIGURE_REFERRALS],
                                     .k = k,
                                     .own = is_own(edge, self)};
    }
    if (cells != NULL)
        kap_hide(cells, edges->count);
    return cells;
}

/* Is the window whole months that ended some time ago? *one: a single one. */
static bool is_settled(const kap_edges_query_t *query, int64_t now, bool *one)
{
    kap_window_t window, month;

    kap_window_days(&window, query->zone, query->has_from, query->from, query->has_to, query->to);
    *one = false;
    if (!query->has_from || !query->has_to || query->zone != KAP_ZONE_HELSINKI ||
        !kap_window_is_months(&window) || window.to_ms + KAP_HIDE_DAYS * KAP_DAY_MS > now)
        return false;
    kap_window_month(&month, query->zone, query->from.year, query->from.month);
    *one = kap_date_cmp(month.to, query->to) == 0;
    return true;
}

void kap_hide_edges(kap_edges_t *edges, const kap_edges_query_t *query, const kap_hide_from_t *whom)
{
    bool one, settled = is_settled(query, whom->now, &one);
    kap_hide_cell_t *cells =
        one && whom->see == KAP_SEE_EDGES ? table_of(edges, whom->self, whom->k) : NULL;
    uint64_t n = 0, pending = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < edges->count; i++) {
        const kap_edge_t *edge = &edges->edges[i];
        if (!is_own(edge, whom->self) && (cells == NULL || cells[i].hidden))
            continue;
        n += edge->counts[KAP_FIGURE_REFERRALS];
        pending += edge->counts[KAP_FIGURE_PENDING];
        edges->edges[kept++] = *edge;
    }
    free(cells);
    edges->count = kept;
    if (whom->totals || (settled && edges->n >= whom->k))
        return;
    edges->n = n;
    edges->pending = pending;
    edges->decided = n - pending;
}
