/* SPDX-License-Identifier: MPL-2.0 */
#include "pump.h"

#include <stdlib.h>
#include <zmq.h>

#include "err.h"
#include "loop_uv.h"

struct kap_pump {
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    int open_handles;
    void *zsock;
    kap_loop_fn *on_readable, *on_gone;
    void *arg;
};

static bool readable(const kap_pump_t *pump)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(pump->zsock, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

static void on_edge(uv_poll_t *handle, int status, int events)
{
    (void)handle;
    (void)status;
    (void)events;
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* its being active makes the loop's timeout 0 */
}

static void on_prepare(uv_prepare_t *handle)
{
    kap_pump_t *pump = handle->data;
    if (readable(pump))
        uv_idle_start(&pump->idle, on_idle);
}

static void on_check(uv_check_t *handle)
{
    kap_pump_t *pump = handle->data;
    uv_idle_stop(&pump->idle);
    if (readable(pump))
        pump->on_readable(pump->arg);
}

int kap_pump_start(kap_loop_t *loop, void *zsock, kap_loop_fn *on_readable, void *arg,
                   kap_pump_t **out)
{
    int fd = -1;
    size_t size = sizeof fd;
    if (zmq_getsockopt(zsock, ZMQ_FD, &fd, &size) != 0)
        return KAP_E_IO;
    kap_pump_t *pump = calloc(1, sizeof *pump);
    if (!pump)
        return KAP_E_NOMEM;
    uv_loop_t *uv = kap_loop_uv(loop);
    if (uv_poll_init(uv, &pump->poll, fd) != 0) {
        free(pump);
        return KAP_E_IO;
    }
    uv_prepare_init(uv, &pump->prepare);
    uv_check_init(uv, &pump->check);
    uv_idle_init(uv, &pump->idle);
    pump->poll.data = pump->prepare.data = pump->check.data = pump->idle.data = pump;
    pump->open_handles = 4;
    pump->zsock = zsock;
    pump->on_readable = on_readable;
    pump->arg = arg;
    uv_poll_start(&pump->poll, UV_READABLE, on_edge);
    uv_prepare_start(&pump->prepare, on_prepare);
    uv_check_start(&pump->check, on_check);
    *out = pump;
    return KAP_OK;
}

static void on_closed(uv_handle_t *handle)
{
    kap_pump_t *pump = handle->data;
    if (--pump->open_handles > 0)
        return;
    KAP_CHECK(zmq_close(pump->zsock) == 0);
    pump->on_gone(pump->arg);
    free(pump);
}

void kap_pump_stop(kap_pump_t **self, kap_loop_fn *on_gone)
{
    kap_pump_t *pump = *self;
    *self = NULL;
    pump->on_gone = on_gone;
    uv_close((uv_handle_t *)&pump->poll, on_closed);
    uv_close((uv_handle_t *)&pump->prepare, on_closed);
    uv_close((uv_handle_t *)&pump->check, on_closed);
    uv_close((uv_handle_t *)&pump->idle, on_closed);
}
