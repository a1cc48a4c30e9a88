/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The question `metrics`: a metric of a scope over a window, cut to what the asker may see
 * (metrics.md "Who sees what"). Part of ask.h and under its rules. What the figures say is
 * figures/metric.h's; here stands who is told what.
 */
#ifndef KAP_ASK_METRICS_H
#define KAP_ASK_METRICS_H

#include "ask.h"

/* Puts the answer into ask->out, or sets the refusal. */
int kap_ask_metrics(kap_ask_t *ask, kap_txn_t *txn);

#endif
