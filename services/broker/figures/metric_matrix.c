/* SPDX-License-Identifier: MPL-2.0 */
/* metric_matrix: the share of a row in all transfers; what happened in the window (flow), and what
 * was open at its end (stock). */
#include "err.h"
#include "metric.h"

static void put_flow(const kap_vector_t *sum, kap_metric_values_t *values)
{
    static const struct {
        kap_figure_t figure;
        const char *wire;
    } flows[] = {
        {KAP_FIGURE_REFERRALS, "transfers"},      {KAP_FIGURE_FLOW_DELIVERED, "delivered"},
        {KAP_FIGURE_FLOW_ACCEPTED, "accepted"},   {KAP_FIGURE_FLOW_CONTACTED, "contacted"},
        {KAP_FIGURE_FLOW_COMPLETED, "completed"}, {KAP_FIGURE_FLOW_TURNED_AWAY, "turned_away"},
        {KAP_FIGURE_FLOW_WITHDRAWN, "withdrawn"},
    };

    for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++)
        kap_metric_put_count(values, flows[i].wire, sum->counts[flows[i].figure]);
}

int kap_metric_matrix(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      const kap_vector_t *sum, kap_metric_values_t *values)
{
    (void)at;
    if (query->kind == KAP_KIND_OF_FLOW)
        put_flow(sum, values);
    else if (query->kind == KAP_KIND_OF_STOCK)
        kap_metric_put_count(values, "open", values->pending);
    else
        kap_metric_put_rate(values, "share", values->n, values->whole);
    return KAP_OK;
}
