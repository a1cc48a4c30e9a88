/* SPDX-License-Identifier: MPL-2.0 */
/* Fates of local acts: one row an act, from queued to the broker's word.
 *
 * Purpose: whoever asked for an act can always see what became of it. Owner: the node; inside a
 * transaction that is lent. Rows are kept as long as the store (they hold no customer data). */
#ifndef KAP_NODE_FATE_H
#define KAP_NODE_FATE_H

#include "act.h"
#include "outbox.h"

/* A new row, fate queued. `events` events from `first` on in `line` belong to it. */
int kap_fate_put_new(kap_txn_t *txn, uint64_t act, kap_act_verb_t verb, kap_span_t key,
                     kap_span_t subject, kap_span_t correlation, int64_t now_ms, uint8_t events);

/* The act of a caller's key; KAP_E_NOTFOUND. */
int kap_fate_by_key(kap_txn_t *txn, kap_span_t key, uint64_t *act);

/* One of its events has its verdict. *done: the fate is final with this. A second verdict on a
 * final fate (a healed broker judged anew) may only change committed into refused: *conflict; its
 * code is then illegal.restore_conflict, its sentence why it is refused now. */
int kap_fate_verdict(kap_txn_t *txn, uint64_t act, const kap_outbox_receipt_t *receipt,
                     const char *code, kap_span_t sentence, bool *done, bool *conflict);

int kap_fate_get(kap_txn_t *txn, uint64_t act, kap_act_fate_t *fate, char correlation[201]);

#endif
