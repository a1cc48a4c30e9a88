/* SPDX-License-Identifier: MPL-2.0 */
/*
 * pump - keeps one ZeroMQ socket moving on the loop. For sock.c only.
 *
 * The descriptor of a ZeroMQ socket is edge-triggered and says "look at ZMQ_EVENTS", never
 * "readable"; any call on the socket may swallow the edge. So the poll callback is empty; before
 * the loop would sleep, prepare asks ZMQ_EVENTS and forbids the sleep while work is left; check
 * does the work.
 */
#ifndef KAP_PUMP_H
#define KAP_PUMP_H

#include "loop.h"

typedef struct kap_pump kap_pump_t;

/* Calls on_readable each turn while zsock has something to read; it reads as much as is fair and
 * returns. zsock belongs to the pump on success. KAP_E_NOMEM, KAP_E_IO. */
int kap_pump_start(kap_loop_t *loop, void *zsock, kap_loop_fn *on_readable, void *arg,
                   kap_pump_t **pump);

/* Stops at once, closes zsock when libuv let go of its descriptor, then calls on_gone(arg of
 * start).
 */
void kap_pump_stop(kap_pump_t **pump, kap_loop_fn *on_gone);

#endif
