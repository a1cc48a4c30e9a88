/* SPDX-License-Identifier: MPL-2.0 */
/*
 * hide_edges: what of the answer to `edges` is left out for those who do not read the region
 * (hide.h). Pure; any thread. A member's own edges are always shown.
 */
#ifndef KAP_HIDE_EDGES_H
#define KAP_HIDE_EDGES_H

#include "access.h"
#include "figures.h"

/* Who asks, when, and what the region says. */
typedef struct {
    kap_see_t see;   /* not FULL */
    bool totals;     /* in full and at once: a role that covers the region's area */
    kap_span_t self; /* its member id */
    uint32_t k;      /* the region's hidden_below */
    int64_t now;
} kap_hide_from_t;

/* Cuts `edges` to what the asker may know: its own edges always; totals of whole months that ended
 * 14 days ago, when they are not small; of one such month, where the region shows them (EDGES), the
 * edges that are not hidden too. A total that may not be told is that of the edges that are. */
void kap_hide_edges(kap_edges_t *edges, const kap_edges_query_t *query,
                    const kap_hide_from_t *whom);

#endif
