/* SPDX-License-Identifier: MPL-2.0 */
/* Drives floor_broker: one frame an event, answered by a running count. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static void *context;

static void *open_socket(int type, const char *endpoint)
{
    int zero = 0;
    void *s = zmq_socket(context, type);
    zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
    if (type == ZMQ_SUB)
        zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0);
    if (zmq_connect(s, endpoint))
        bench_die("connect %s: %s", endpoint, zmq_strerror(zmq_errno()));
    return s;
}

static void prepare(void)
{
    context = zmq_ctx_new();
}

static void publish(bench_publisher_t *p)
{
    void *s = open_socket(ZMQ_DEALER, bench.endpoint);
    uint8_t *event = calloc(1, (size_t)bench.size);
    bench_start_line();
    while (p->acked < p->share) {
        while (bench_room(p) > 0) {
            bench_sent(p, 1);
            zmq_send(s, event, (size_t)bench.size, 0);
        }
        uint64_t upto;
        if (zmq_recv(s, &upto, sizeof upto, 0) == sizeof upto)
            bench_acked(p, (long)upto);
    }
    zmq_close(s);
    free(event);
}

/* The fan-out is a socket in the folder; the broker greets each reader. */
static void follow(bench_reader_t *r)
{
    char endpoint[256];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/out", bench.folder);
    void *s = open_socket(ZMQ_SUB, endpoint);
    zmq_msg_t m;
    zmq_msg_init(&m);
    zmq_msg_recv(&m, s, 0);
    bench_start_line();
    bool done = false;
    while (!done && zmq_msg_recv(&m, s, 0) >= 0)
        done = bench_arrived(r, 1);
    zmq_msg_close(&m);
    zmq_close(s);
}

const bench_driver_t bench_floor = {"floor", prepare, publish, follow};
