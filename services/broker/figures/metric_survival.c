/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 3: the time by the clock asked for, and the median that counts those who still wait. */
#include "err.h"
#include "metric.h"
#include "mp.h"

static int put_survival(const kap_metric_at_t *at, const kap_metric_query_t *query,
                        kap_metric_values_t *values)
{
    int64_t median;
    uint64_t waiting;
    int rc =
        kap_sum_survival(at->summer, &query->what, query->elapsed, query->now, &median, &waiting);

    if (rc != KAP_OK)
        return rc;
    kap_buf_t *buf = kap_metric_pair(values, "survival_median_ms");
    if (median < 0 || values->n < values->least)
        kap_mp_put_nil(buf);
    else
        kap_mp_put_int(buf, median);
    kap_metric_put_count(values, "waiting", waiting);
    return KAP_OK;
}

int kap_metric_time_to_accept(const kap_metric_at_t *at, const kap_metric_query_t *query,
                              const kap_vector_t *sum, kap_metric_values_t *values)
{
    kap_figure_time_t which =
        query->customer_clock ? KAP_FIGURE_TIME_ACCEPT_CUSTOMER : KAP_FIGURE_TIME_ACCEPT;
    kap_sum_time_t time;
    int rc = kap_sum_time(at->summer, &query->what, which, query->elapsed, &time);

    (void)sum;
    if (rc != KAP_OK)
        return rc;
    kap_metric_put_time(values, "time", &time);
    return query->customer_clock ? KAP_OK : put_survival(at, query, values);
}
