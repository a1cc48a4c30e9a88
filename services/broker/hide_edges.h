/* SPDX-License-Identifier: MPL-2.0 */
/*
 * hide_edges: what of the answer to `edges` is left out for those who do not read the region
 * (hide.h). Pure; any thread. A member's own edges are always shown.
 */
#ifndef KAP_HIDE_EDGES_H
#define KAP_HIDE_EDGES_H

#include "access.h"
#include "figures.h"

/* Cuts `edges` to what somebody who sees `see` (not FULL) may know; `self` is its member id, k the
 * region's hidden_below. Figures by days are nobody's but the member's own. TOTALS: own edges, and
 * the totals of whole months when they are not small. EDGES: also the edges of whole months that
 * are not hidden. */
void kap_hide_edges(kap_edges_t *edges, const kap_edges_query_t *query, kap_see_t see,
                    kap_span_t self, uint32_t k);

#endif
