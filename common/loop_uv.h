/* SPDX-License-Identifier: MPL-2.0 */
/*
 * loop_uv - what loop.c shows to the socket files of this room, and to nobody else: the libuv loop.
 */
#ifndef KAP_LOOP_UV_H
#define KAP_LOOP_UV_H

#include <uv.h>

#include "loop.h"

uv_loop_t *kap_loop_uv(kap_loop_t *loop);

#endif
