/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zap - the thread that says which CURVE keys may finish a handshake (ZeroMQ RFC 27).
 *
 * One a process, started after kap_sock_system_start and stopped before kap_sock_system_stop.
 * Default deny: nobody is allowed before the first kap_zap_allow. An allowed peer's messages carry
 * its public key in Z85 as kap_msg_user.
 * It guards the handshake only: a key taken off the list keeps its live session, so every message
 * is checked again by whoever answers it.
 */
#ifndef KAP_ZAP_H
#define KAP_ZAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct kap_zap kap_zap_t;

typedef struct {
    uint64_t allowed, refused; /* handshakes */
    uint64_t malformed;        /* requests that were no ZAP request */
} kap_zap_counts_t;

/* Returns when the handler answers. KAP_E_EXISTS: there is one; KAP_E_NOMEM, KAP_E_LIMIT. */
int kap_zap_start(kap_zap_t **zap);

/* Swaps the whole list (copied; order and repetitions do not matter); any thread. KAP_E_NOMEM
 * leaves the old list. */
int kap_zap_allow(kap_zap_t *zap, const uint8_t (*keys)[32], size_t n);

/* Any thread. */
void kap_zap_counts(kap_zap_t *zap, kap_zap_counts_t *out);

/* By the thread that started it; joins. From then on all handshakes are refused. NULL inside is
 * allowed. */
void kap_zap_stop(kap_zap_t **zap);

#endif
