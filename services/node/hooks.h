/* SPDX-License-Identifier: MPL-2.0 */
/* Tells the actor and the local stream what was stored, in the order of the member's stream.
 *
 * Purpose: the actor's `received` sees each inbox row until it returned KAP_OK once: how far it got
 * is a number in the store, so a crash repeats at most the rows of one turn. The local PUB socket
 * sends each row once a run, without such a number (local.h offers FETCH for those who must not
 * miss one). Owner: the node; loop thread only. */
#ifndef KAP_NODE_HOOKS_H
#define KAP_NODE_HOOKS_H

#include "inside.h"

#define KAP_HOOKS_META "hooks" /* last stream sequence that the actor has taken */

int kap_hooks_start(kap_node_t *node, kap_hooks_t **hooks);
void kap_hooks_stop(kap_hooks_t **hooks);

/* Rows joined the inbox. */
void kap_hooks_wake(kap_hooks_t *hooks);

/* Rows beyond `seq` were taken back; others will come in their place. */
void kap_hooks_rewound(kap_hooks_t *hooks, uint64_t seq);

/* The last row that the actor has taken, and whether it refuses the next. */
void kap_hooks_state(const kap_hooks_t *hooks, uint64_t *taken, bool *held);

#endif
