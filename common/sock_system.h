/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sock_system - the one ZeroMQ context of the process, for sock.c and zap.c only.
 */
#ifndef KAP_SOCK_SYSTEM_H
#define KAP_SOCK_SYSTEM_H

/* Between kap_sock_system_start and stop; outside of it our bug. */
void *kap_sock_context(void);

#endif
