/* SPDX-License-Identifier: MPL-2.0 */
/*
 * metric_ask: the question that a request's map asks (proto/SPEC.md, QUERY metrics), checked. What
 * cannot be answered is refused here, in one sentence that says what would be right. Rights are
 * access.h's. Any thread, in the caller's snapshot.
 */
#ifndef KAP_METRIC_ASK_H
#define KAP_METRIC_ASK_H

#include "metric.h"
#include "mp.h"

/* KAP_OK: *out lends from the map and the arena. KAP_E_INVALID: something in it is wrong,
 * KAP_E_NOTFOUND: it names something that is not there; both with *why, in the arena. Else what the
 * store says. */
int kap_metric_ask(kap_txn_t *txn, const kap_directory_t *dir, kap_arena_t *arena,
                   const kap_mp_t *root, kap_metric_query_t *out, const char **why);

#endif
