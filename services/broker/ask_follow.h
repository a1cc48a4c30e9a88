/* SPDX-License-Identifier: MPL-2.0 */
/* The question `followed`: of a follow-up type whose last event counts, the last of each key in a
 * region (plan items, targets, agreements ...). Part of ask.h and under its rules. It tells no
 * type whose events count one by one: those are figures. */
#ifndef KAP_ASK_FOLLOW_H
#define KAP_ASK_FOLLOW_H

#include "ask.h"

/* 0, or the refusal of parameters that cannot be answered, with *why. */
uint16_t kap_ask_followed_allowed(const kap_ask_t *ask, const char **why);

/* Puts the answer into ask->out: at most a page. */
int kap_ask_followed(kap_ask_t *ask, kap_txn_t *txn);

#endif
