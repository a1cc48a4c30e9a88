/* SPDX-License-Identifier: MPL-2.0 */
/* What the local door shows: rows of the store as MessagePack maps, and such maps as JSON.
 *
 * Purpose: one form for inbox, outbox, show, acts and fate. Reads only. Owner: local.c. Coded
 * values are their wire names, times are milliseconds, an absent value is left out. */
#ifndef KAP_NODE_VIEW_H
#define KAP_NODE_VIEW_H

#include "inside.h"
#include "mp.h"

/* Answers one LOCAL request (local.h) but health and a waiting fate: appends one map. What the
 * request asks wrongly is an {error} map, not an error here. */
int kap_view_answer(kap_node_t *node, const kap_mp_t *request, kap_buf_t *out);

/* {error: {code, sentence, field?, candidates?}} */
void kap_view_error(kap_buf_t *out, const char *code, const char *sentence);

/* The answer to ACT. */
void kap_view_act_result(const kap_act_result_t *result, kap_buf_t *out);

/* One act and its fate. */
void kap_view_fate(const kap_act_fate_t *fate, kap_buf_t *out);

/* One encoded object as JSON: bin as hex, everything else as itself. KAP_E_INVALID. */
int kap_view_json(kap_span_t packed, kap_buf_t *json);

#endif
