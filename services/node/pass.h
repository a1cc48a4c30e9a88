/* SPDX-License-Identifier: MPL-2.0 */
/* FETCH and QUERY of local askers, carried to the broker under this member's key.
 *
 * Purpose: a script or the command asks through its node and needs no key of its own. Each local
 * connection gets one of its own to the broker (at most KAP_PASS_CONNECTIONS, closed when idle),
 * since the broker takes one FETCH a connection and stream, and the node's own delivery must not
 * be displaced. Owner: local.c; loop thread only. It looks into nothing. */
#ifndef KAP_NODE_PASS_H
#define KAP_NODE_PASS_H

#include "inside.h"

#define KAP_PASS_CONNECTIONS 32

typedef struct kap_pass kap_pass_t;

/* Header and message of the answer are lent; status as in client.h. */
typedef void kap_pass_answer_fn(void *arg, uint32_t peer, kap_span_t req, int status,
                                const kap_header_t *header, const kap_msg_t *answer);

int kap_pass_start(kap_node_t *node, kap_pass_answer_fn *on_answer, void *arg, kap_pass_t **pass);
void kap_pass_stop(kap_pass_t **pass);

/* KAP_E_LIMIT: too many askers at once. */
int kap_pass_ask(kap_pass_t *pass, uint32_t peer, const kap_header_t *header, const kap_msg_t *msg);

#endif
