/* SPDX-License-Identifier: MPL-2.0 */
/*
 * msg - the inside of a received message, for sock.c only. Up to KAP_MSG_INLINE frames cost one
 * allocation in all, and none when the socket's callback leaves the message.
 */
#ifndef KAP_MSG_H
#define KAP_MSG_H

#include <zmq.h>

#include "sock.h"

#define KAP_MSG_INLINE 8

struct kap_msg {
    const char *user; /* in the first frame's metadata, or "" */
    size_t count, cap, size;
    uint32_t peer;
    zmq_msg_t *frames; /* first, or a larger array */
    zmq_msg_t first[KAP_MSG_INLINE];
};

/* Empty; NULL when out of memory. */
kap_msg_t *kap_msg_new(void);

/* Drops the frames, keeps the memory. */
void kap_msg_reset(kap_msg_t *msg);

/* Moves frame in; KAP_E_NOMEM leaves it. */
int kap_msg_push(kap_msg_t *msg, zmq_msg_t *frame);

/* The proven key of the sender. It stands on payload frames; the identity frame may lack it. Only
 * after a handshake that ZAP judged: elsewhere a peer may write this property itself. */
void kap_msg_find_user(kap_msg_t *msg);

#endif
