/* SPDX-License-Identifier: MPL-2.0 */
#include "sock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "err.h"
#include "log.h"
#include "loop_uv.h"
#include "msg.h"
#include "pump.h"
#include "sock_system.h"

/* In Debian's library but behind the header's draft macro, which would change the ABI. Without it
 * CURVE accepts every key as long as no ZAP handler answers. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

#define ROUTING_ID_BYTES 5 /* a zero byte, then 32 bits; any other id was chosen by the peer */

/* One turn of the loop reads at most this much, so that timers stay fair. */
#define TURN_MESSAGES 256
#define TURN_FRAMES   4096
#define TURN_NS       2000000

#define HEARTBEAT_MS         5000
#define HEARTBEAT_TIMEOUT_MS 15000
#define HEARTBEAT_TTL_MS     20000
#define RECONNECT_MS         100
#define CONNECT_TIMEOUT_MS   5000
#define BACKLOG              256

#define MONITOR_EVENTS                                                                             \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED)

typedef enum { RX_START, RX_FRAMES, RX_DISCARD } rx_state_t;

struct kap_sock {
    kap_loop_t *loop;
    kap_sock_opts_t opts; /* with defaults; the keys in it are copies, or NULL after bind */
    kap_curve_t *keys;
    uint8_t server_public[KAP_KEY_BYTES];
    char *zap_domain, *subscribe;
    kap_sock_message_fn *on_message;
    kap_sock_state_fn *on_state;
    void *arg;

    void *socket, *monitor; /* owned by their pumps; NULL between two lives */
    kap_pump_t *pump, *monitor_pump;
    int pumps; /* not yet gone */
    bool closed, up;

    char endpoint[KAP_SOCK_ENDPOINT_MAX]; /* a client's */
    kap_timer_t *retry;
    int64_t retry_ms;

    kap_msg_t *rx; /* being received, or spare */
    rx_state_t rx_state;
    kap_sock_counts_t counts;
};

static bool is_server(const kap_sock_t *sock)
{
    return sock->opts.type == KAP_SOCK_ROUTER || sock->opts.type == KAP_SOCK_PUB;
}

/* --- receiving --- */

static void discard(kap_sock_t *sock, uint64_t *counter)
{
    (*counter)++;
    sock->rx_state = RX_DISCARD;
    if (sock->rx)
        kap_msg_reset(sock->rx);
}

/* The first frame at a ROUTER: which connection. */
static void take_routing_id(kap_sock_t *sock, zmq_msg_t *frame)
{
    const uint8_t *id = zmq_msg_data(frame);
    if (zmq_msg_size(frame) != ROUTING_ID_BYTES || id[0] != 0) {
        discard(sock, &sock->counts.foreign_id);
        return;
    }
    memcpy(&sock->rx->peer, id + 1, sizeof sock->rx->peer);
    sock->rx_state = RX_FRAMES;
}

static void take_frame(kap_sock_t *sock, zmq_msg_t *frame)
{
    if (sock->rx_state == RX_DISCARD)
        return;
    if (sock->rx_state == RX_START) {
        if (sock->opts.type == KAP_SOCK_ROUTER) {
            take_routing_id(sock, frame);
            return;
        }
        sock->rx_state = RX_FRAMES;
    }
    if (sock->rx->count == (size_t)sock->opts.max_frames)
        discard(sock, &sock->counts.too_many_frames);
    else if (kap_msg_push(sock->rx, frame) != KAP_OK)
        discard(sock, &sock->counts.no_memory);
}

static void deliver(kap_sock_t *sock)
{
    kap_msg_t *msg = sock->rx;
    if (sock->opts.type == KAP_SOCK_ROUTER && !sock->opts.local) {
        kap_msg_find_user(msg);
        if (!*msg->user) {
            discard(sock, &sock->counts.no_user);
            return;
        }
    }
    sock->counts.received++;
    sock->rx = NULL;
    sock->on_message(sock->arg, &msg);
    if (msg) {
        kap_msg_reset(msg);
        sock->rx = msg;
    }
}

/* Reads one frame; false when there is none. *whole: it ended a message. */
static bool read_frame(kap_sock_t *sock, bool *whole)
{
    if (!sock->rx && !(sock->rx = kap_msg_new()))
        return false; /* stays in the socket until there is memory */
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, sock->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return false;
    }
    *whole = !zmq_msg_more(&frame);
    take_frame(sock, &frame);
    zmq_msg_close(&frame);
    if (!*whole)
        return true;
    if (sock->rx_state == RX_FRAMES && sock->rx->count > 0)
        deliver(sock);
    if (sock->rx)
        kap_msg_reset(sock->rx);
    sock->rx_state = RX_START;
    return true;
}

static void on_readable(void *arg)
{
    kap_sock_t *sock = arg;
    uint64_t until = uv_hrtime() + TURN_NS;
    int messages = 0;
    for (int frames = 0; frames < TURN_FRAMES && messages < TURN_MESSAGES; frames++) {
        bool whole = false;
        if (!read_frame(sock, &whole) || sock->closed)
            return;
        messages += whole;
        if (whole && uv_hrtime() >= until)
            return;
    }
}

/* --- one life of the socket --- */

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int set_common(kap_sock_t *sock, void *socket)
{
    const kap_sock_opts_t *o = &sock->opts;
    int64_t max_frame = (int64_t)o->max_frame_bytes;
    int bad = set_int(socket, ZMQ_LINGER, o->linger_ms);
    bad |= set_int(socket, ZMQ_RCVHWM, o->recv_hwm);
    bad |= set_int(socket, ZMQ_SNDHWM, o->send_hwm);
    bad |= set_int(socket, ZMQ_HANDSHAKE_IVL, o->handshake_ms);
    bad |= set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    bad |= set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    bad |= set_int(socket, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TTL_MS);
    bad |= zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_frame, sizeof max_frame);
    return bad ? KAP_E_INTERNAL : KAP_OK;
}

static int set_server(kap_sock_t *sock, void *socket)
{
    int bad = set_int(socket, ZMQ_BACKLOG, BACKLOG);
    if (sock->opts.type == KAP_SOCK_ROUTER)
        bad |= set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    if (!sock->opts.local) {
        const char *domain = sock->zap_domain;
        bad |= set_int(socket, ZMQ_CURVE_SERVER, 1);
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, sock->keys->secret, KAP_KEY_BYTES);
        bad |= zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain));
        bad |= set_int(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    }
    return bad ? KAP_E_INTERNAL : KAP_OK;
}

static int set_client(kap_sock_t *sock, void *socket)
{
    int bad = set_int(socket, ZMQ_IMMEDIATE, 1);
    bad |= set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    bad |= set_int(socket, ZMQ_RECONNECT_IVL_MAX, sock->opts.reconnect_max_ms);
    bad |= set_int(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS);
    if (sock->opts.type == KAP_SOCK_SUB)
        bad |= zmq_setsockopt(socket, ZMQ_SUBSCRIBE, sock->subscribe, strlen(sock->subscribe));
    if (!sock->opts.local) {
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, sock->server_public, KAP_KEY_BYTES);
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, sock->keys->public, KAP_KEY_BYTES);
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, sock->keys->secret, KAP_KEY_BYTES);
    }
    return bad ? KAP_E_INTERNAL : KAP_OK;
}

static void free_sock(kap_sock_t *sock)
{
    kap_msg_destroy(&sock->rx);
    kap_curve_destroy(&sock->keys);
    free(sock->zap_domain);
    free(sock->subscribe);
    free(sock);
}

static void on_pump_gone(void *arg)
{
    kap_sock_t *sock = arg;
    if (--sock->pumps == 0 && sock->closed)
        free_sock(sock);
}

static void end_life(kap_sock_t *sock)
{
    if (sock->monitor_pump) {
        zmq_socket_monitor(sock->socket, NULL, 0);
        kap_pump_stop(&sock->monitor_pump, on_pump_gone);
    }
    if (sock->pump)
        kap_pump_stop(&sock->pump, on_pump_gone);
    sock->socket = sock->monitor = NULL;
    sock->rx_state = RX_START;
    sock->up = false;
    if (sock->rx)
        kap_msg_reset(sock->rx);
}

static void on_monitor(void *arg);

/* Follows handshakes of a client over an inproc pair, pumped like any socket. */
static int start_monitor(kap_sock_t *sock)
{
    static atomic_uint number; /* a process may have several loops */
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://kap.monitor.%u", atomic_fetch_add(&number, 1));
    if (zmq_socket_monitor(sock->socket, endpoint, MONITOR_EVENTS) != 0)
        return KAP_E_LIMIT;
    void *monitor = zmq_socket(kap_sock_context(), ZMQ_PAIR);
    if (!monitor)
        return KAP_E_LIMIT;
    set_int(monitor, ZMQ_LINGER, 0);
    int rc = zmq_connect(monitor, endpoint) == 0 ? KAP_OK : KAP_E_INTERNAL;
    if (rc == KAP_OK)
        rc = kap_pump_start(sock->loop, monitor, on_monitor, sock, &sock->monitor_pump);
    if (rc != KAP_OK) {
        zmq_close(monitor);
        return rc;
    }
    sock->pumps++;
    sock->monitor = monitor;
    return KAP_OK;
}

static int begin_life(kap_sock_t *sock)
{
    static const int types[] = {[KAP_SOCK_ROUTER] = ZMQ_ROUTER,
                                [KAP_SOCK_DEALER] = ZMQ_DEALER,
                                [KAP_SOCK_PUB] = ZMQ_PUB,
                                [KAP_SOCK_SUB] = ZMQ_SUB};
    void *socket = zmq_socket(kap_sock_context(), types[sock->opts.type]);
    if (!socket)
        return errno == ENOMEM ? KAP_E_NOMEM : KAP_E_LIMIT;
    int rc = set_common(sock, socket);
    if (rc == KAP_OK)
        rc = is_server(sock) ? set_server(sock, socket) : set_client(sock, socket);
    if (rc == KAP_OK)
        rc = kap_pump_start(sock->loop, socket, on_readable, sock, &sock->pump);
    if (rc != KAP_OK) {
        zmq_close(socket);
        return rc;
    }
    sock->pumps++;
    sock->socket = socket;
    if (!is_server(sock))
        rc = start_monitor(sock);
    if (rc != KAP_OK)
        end_life(sock);
    return rc;
}

static int connect_now(kap_sock_t *sock)
{
    set_int(sock->socket, ZMQ_IPV6, strchr(sock->endpoint, '[') != NULL);
    return zmq_connect(sock->socket, sock->endpoint) == 0 ? KAP_OK : KAP_E_CONFIG;
}

/* --- states of a client --- */

static void tell(kap_sock_t *sock, kap_sock_state_t state)
{
    uint64_t *counters[] = {[KAP_SOCK_UP] = &sock->counts.ups,
                            [KAP_SOCK_DOWN] = &sock->counts.downs,
                            [KAP_SOCK_REFUSED] = &sock->counts.refusals};
    (*counters[state])++;
    if (sock->on_state && !sock->closed)
        sock->on_state(sock->arg, state);
}

static void plan_retry(kap_sock_t *sock)
{
    int64_t jitter = rand() % (sock->retry_ms / 4 + 1); /* seeded; a crowd does not come at once */
    kap_timer_again(sock->retry, sock->retry_ms + jitter, 0);
    sock->retry_ms *= 2;
    if (sock->retry_ms > sock->opts.retry_max_ms)
        sock->retry_ms = sock->opts.retry_max_ms;
}

static void on_retry(void *arg)
{
    kap_sock_t *sock = arg;
    int rc = begin_life(sock);
    if (rc == KAP_OK && (rc = connect_now(sock)) == KAP_OK)
        return;
    KAP_LOG(KAP_LOG_WARN, "socket_not_recreated", KAP_S("error", kap_err_name(rc)));
    end_life(sock);
    plan_retry(sock);
}

/* The library never tries again on a socket whose key was refused: a new one does, later. */
static void on_refused(kap_sock_t *sock)
{
    end_life(sock);
    plan_retry(sock);
    tell(sock, KAP_SOCK_REFUSED);
}

static void on_event(kap_sock_t *sock, unsigned event)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        on_refused(sock);
    } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        sock->up = true;
        sock->retry_ms = sock->opts.retry_ms;
        tell(sock, KAP_SOCK_UP);
    } else if (event == ZMQ_EVENT_DISCONNECTED && sock->up) {
        sock->up = false;
        tell(sock, KAP_SOCK_DOWN);
    }
}

/* An event is two frames: number and value, then the endpoint. */
static void on_monitor(void *arg)
{
    kap_sock_t *sock = arg;
    while (!sock->closed && sock->monitor) {
        uint8_t data[6];
        char endpoint[1];
        if (zmq_recv(sock->monitor, data, sizeof data, ZMQ_DONTWAIT) < 0)
            return;
        zmq_recv(sock->monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
        uint16_t event;
        memcpy(&event, data, sizeof event);
        on_event(sock, event);
    }
}

/* --- opening --- */

static int or_default(int value, int otherwise)
{
    return value ? value : otherwise;
}

static void set_defaults(kap_sock_opts_t *o)
{
    o->recv_hwm = or_default(o->recv_hwm, 1000);
    o->send_hwm = or_default(o->send_hwm, 1000);
    o->max_frames = or_default(o->max_frames, KAP_SOCK_FRAMES_MAX);
    o->handshake_ms = or_default(o->handshake_ms, 3000);
    o->linger_ms = or_default(o->linger_ms, 1000);
    o->reconnect_max_ms = or_default(o->reconnect_max_ms, 3000);
    o->retry_ms = or_default(o->retry_ms, 250);
    o->retry_max_ms = or_default(o->retry_max_ms, 10000);
    if (o->max_frame_bytes == 0)
        o->max_frame_bytes = 1 << 20;
    if (o->linger_ms < 0)
        o->linger_ms = 0;
}

static bool keys_fit(const kap_sock_opts_t *o)
{
    if (o->local)
        return !o->server_keys && !o->client_keys && !o->server_public;
    if (o->type == KAP_SOCK_ROUTER || o->type == KAP_SOCK_PUB)
        return o->server_keys && !o->client_keys && !o->server_public &&
               (!o->zap_domain || *o->zap_domain);
    return o->client_keys && o->server_public && !o->server_keys;
}

static bool numbers_fit(const kap_sock_opts_t *o)
{
    return o->recv_hwm > 0 && o->send_hwm > 0 && o->max_frames > 0 && o->handshake_ms > 0 &&
           o->reconnect_max_ms > 0 && o->retry_ms > 0 && o->retry_max_ms >= o->retry_ms &&
           o->max_frame_bytes <= INT32_MAX;
}

/* Copies what opts lends; its pointers are cleared. */
static int copy_opts(kap_sock_t *sock)
{
    kap_sock_opts_t *o = &sock->opts;
    const kap_curve_t *keys = o->server_keys ? o->server_keys : o->client_keys;
    if (keys && !(sock->keys = kap_curve_copy(keys)))
        return KAP_E_NOMEM;
    if (o->server_public)
        memcpy(sock->server_public, o->server_public, KAP_KEY_BYTES);
    sock->zap_domain = strdup(o->zap_domain ? o->zap_domain : "kapula");
    sock->subscribe = strdup(o->subscribe ? o->subscribe : "");
    if (!sock->zap_domain || !sock->subscribe)
        return KAP_E_NOMEM;
    o->server_keys = o->client_keys = NULL;
    o->server_public = NULL;
    o->zap_domain = o->subscribe = NULL;
    return KAP_OK;
}

int kap_sock_open(kap_loop_t *loop, const kap_sock_opts_t *opts, kap_sock_message_fn *on_message,
                  kap_sock_state_fn *on_state, void *arg, kap_sock_t **out)
{
    kap_sock_t *sock = calloc(1, sizeof *sock);
    if (!sock)
        return KAP_E_NOMEM;
    sock->loop = loop;
    sock->opts = *opts;
    sock->on_message = on_message;
    sock->on_state = on_state;
    sock->arg = arg;
    set_defaults(&sock->opts);
    sock->retry_ms = sock->opts.retry_ms;
    int rc = keys_fit(&sock->opts) && numbers_fit(&sock->opts) ? KAP_OK : KAP_E_CONFIG;
    if (rc == KAP_OK)
        rc = copy_opts(sock);
    if (rc == KAP_OK)
        rc = begin_life(sock);
    if (rc == KAP_OK) {
        *out = sock;
        return KAP_OK;
    }
    sock->closed = true;
    if (sock->pumps == 0) /* else the last pump frees it */
        free_sock(sock);
    return rc;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool endpoint_fits(const kap_sock_t *sock, const char *endpoint)
{
    if (strlen(endpoint) >= KAP_SOCK_ENDPOINT_MAX)
        return false;
    if (sock->opts.local)
        return starts(endpoint, "ipc://") || starts(endpoint, "inproc://") ||
               (sock->opts.loopback && starts(endpoint, "tcp://127.0.0.1:"));
    return starts(endpoint, "ipc://") || starts(endpoint, "tcp://");
}

static int bind_error(int error)
{
    switch (error) {
    case EADDRINUSE:
        return KAP_E_EXISTS;
    case EACCES:
    case EPERM:
        return KAP_E_DENIED;
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case EADDRNOTAVAIL:
    case ENODEV:
    case ENOENT:
    case ENAMETOOLONG:
        return KAP_E_CONFIG;
    default:
        return KAP_E_IO;
    }
}

int kap_sock_bind(kap_sock_t *sock, const char *endpoint, char actual[KAP_SOCK_ENDPOINT_MAX])
{
    KAP_CHECK(is_server(sock));
    if (!endpoint_fits(sock, endpoint))
        return KAP_E_CONFIG;
    set_int(sock->socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    if (zmq_bind(sock->socket, endpoint) != 0)
        return bind_error(errno);
    size_t size = KAP_SOCK_ENDPOINT_MAX;
    if (actual && zmq_getsockopt(sock->socket, ZMQ_LAST_ENDPOINT, actual, &size) != 0)
        return KAP_E_INTERNAL;
    return KAP_OK;
}

int kap_sock_connect(kap_sock_t *sock, const char *endpoint)
{
    KAP_CHECK(!is_server(sock) && !*sock->endpoint);
    if (!endpoint_fits(sock, endpoint))
        return KAP_E_CONFIG;
    /* Made now, so that a later retry needs no memory. */
    kap_timer_t *retry = kap_timer_start(sock->loop, INT64_MAX / 2, 0, on_retry, sock);
    if (!retry)
        return KAP_E_NOMEM;
    sock->retry = retry;
    strcpy(sock->endpoint, endpoint);
    int rc = connect_now(sock);
    if (rc != KAP_OK) {
        kap_timer_stop(&sock->retry);
        *sock->endpoint = '\0';
    }
    return rc;
}

/* --- sending --- */

static int send_error(kap_sock_t *sock, int error)
{
    if (error == EHOSTUNREACH) {
        sock->counts.unreachable++;
        return KAP_E_UNREACHABLE;
    }
    if (error == EAGAIN) {
        sock->counts.again++;
        return KAP_E_AGAIN;
    }
    return error == ENOMEM ? KAP_E_NOMEM : KAP_E_IO;
}

/* The first frame decides whether the message can go. The library looks at new connections and
 * freed room only now and then; asking for events makes it look, before "no" is believed. */
static int send_first(kap_sock_t *sock, zmq_msg_t *frame, int more)
{
    if (zmq_msg_send(frame, sock->socket, more | ZMQ_DONTWAIT) >= 0)
        return KAP_OK;
    if (errno == EAGAIN) {
        int events;
        size_t size = sizeof events;
        zmq_getsockopt(sock->socket, ZMQ_EVENTS, &events, &size);
        if (zmq_msg_send(frame, sock->socket, more | ZMQ_DONTWAIT) >= 0)
            return KAP_OK;
    }
    return send_error(sock, errno);
}

/* Sends and closes n prepared frames. When the connection goes in the middle the library wants the
 * other frames all the same, to drop them as one message. */
static int send_frames(kap_sock_t *sock, zmq_msg_t frames[], size_t n)
{
    int rc = send_first(sock, &frames[0], n > 1 ? ZMQ_SNDMORE : 0);
    bool begun = rc == KAP_OK;
    for (size_t i = 1; i < n && begun; i++) {
        int more = i + 1 < n ? ZMQ_SNDMORE : 0;
        if (zmq_msg_send(&frames[i], sock->socket, more | ZMQ_DONTWAIT) < 0 && rc == KAP_OK)
            rc = send_error(sock, errno);
    }
    for (size_t i = 0; i < n; i++)
        zmq_msg_close(&frames[i]); /* what was sent is empty by now */
    if (rc == KAP_OK)
        sock->counts.sent++;
    return rc;
}

/* The frames of one message while it is put together. */
typedef struct {
    zmq_msg_t frames[1 + KAP_SOCK_FRAMES_MAX];
    size_t n;
    int err;
} outgoing_t;

static void add_copy(outgoing_t *out, kap_span_t bytes)
{
    if (out->err != KAP_OK)
        return;
    if (zmq_msg_init_size(&out->frames[out->n], bytes.size) != 0) {
        out->err = KAP_E_NOMEM;
        return;
    }
    if (bytes.size > 0)
        memcpy(zmq_msg_data(&out->frames[out->n]), bytes.data, bytes.size);
    out->n++;
}

static void free_blob(void *data, void *hint)
{
    (void)data;
    kap_blob_t *blob = hint;
    kap_blob_unref(&blob);
}

static void add_blob(outgoing_t *out, kap_blob_t *blob)
{
    if (out->err != KAP_OK)
        return;
    kap_blob_ref(blob);
    if (zmq_msg_init_data(&out->frames[out->n], kap_blob_data(blob), kap_blob_size(blob), free_blob,
                          blob) != 0) {
        kap_blob_unref(&blob);
        out->err = KAP_E_NOMEM;
        return;
    }
    out->n++;
}

static void begin(outgoing_t *out, const kap_sock_t *sock, uint32_t peer)
{
    out->n = 0;
    out->err = KAP_OK;
    if (sock->opts.type != KAP_SOCK_ROUTER)
        return;
    uint8_t id[ROUTING_ID_BYTES] = {0};
    memcpy(id + 1, &peer, sizeof peer);
    add_copy(out, kap_span(id, sizeof id));
}

static int finish(outgoing_t *out, kap_sock_t *sock)
{
    if (out->err == KAP_OK)
        return send_frames(sock, out->frames, out->n);
    for (size_t i = 0; i < out->n; i++)
        zmq_msg_close(&out->frames[i]);
    return out->err;
}

/* Between two lives a client has no connection. */
static int can_send(kap_sock_t *sock)
{
    KAP_CHECK(sock->opts.type != KAP_SOCK_SUB);
    if (sock->socket)
        return KAP_OK;
    sock->counts.again++;
    return KAP_E_AGAIN;
}

int kap_sock_send(kap_sock_t *sock, uint32_t peer, const kap_span_t frames[], size_t n)
{
    if (n == 0 || n > KAP_SOCK_FRAMES_MAX)
        return KAP_E_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (frames[i].size > sock->opts.max_frame_bytes)
            return KAP_E_LIMIT;
    }
    int rc = can_send(sock);
    if (rc != KAP_OK)
        return rc;
    outgoing_t out;
    begin(&out, sock, peer);
    for (size_t i = 0; i < n; i++)
        add_copy(&out, frames[i]);
    return finish(&out, sock);
}

int kap_sock_send_blobs(kap_sock_t *sock, uint32_t peer, kap_span_t header,
                        kap_blob_t *const blobs[], size_t n)
{
    if (n + 1 > KAP_SOCK_FRAMES_MAX || header.size > sock->opts.max_frame_bytes)
        return KAP_E_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (kap_blob_size(blobs[i]) > sock->opts.max_frame_bytes)
            return KAP_E_LIMIT;
    }
    int rc = can_send(sock);
    if (rc != KAP_OK)
        return rc;
    outgoing_t out;
    begin(&out, sock, peer);
    add_copy(&out, header);
    for (size_t i = 0; i < n; i++)
        add_blob(&out, blobs[i]);
    return finish(&out, sock);
}

void kap_sock_counts(const kap_sock_t *sock, kap_sock_counts_t *out)
{
    *out = sock->counts;
}

void kap_sock_close(kap_sock_t **self)
{
    kap_sock_t *sock = *self;
    if (!sock)
        return;
    *self = NULL;
    sock->closed = true;
    kap_timer_stop(&sock->retry);
    end_life(sock);
    if (sock->pumps == 0)
        free_sock(sock);
}
