/* SPDX-License-Identifier: MPL-2.0 */
/*
 * hide: what of a region's figures is left out for those who do not read the region (metrics.md
 * "Who sees what"). Pure; any thread. A member's own edges are always shown.
 */
#ifndef KAP_HIDE_H
#define KAP_HIDE_H

#include "access.h"
#include "figures.h"

/* Cuts `edges` to what somebody who sees `see` (not FULL) may know; `self` is its member id, k the
 * region's hidden_below. Figures by days are nobody's but the member's own. TOTALS: own edges, and
 * the totals of whole months when they are not small. EDGES: also the edges of whole months; of
 * them 1..k-1 are hidden, then in each row and column with exactly one hidden edge the next
 * smallest too, until stable. */
void kap_hide(kap_edges_t *edges, const kap_edges_query_t *query, kap_see_t see, kap_span_t self,
              uint32_t k);

#endif
