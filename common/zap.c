/* SPDX-License-Identifier: MPL-2.0 */
#include "zap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "crypto.h"
#include "err.h"
#include "log.h"
#include "sock_system.h"

#define ZAP_ENDPOINT  "inproc://zeromq.zap.01"
#define STOP_ENDPOINT "inproc://kap.zap.stop"
#define REQUEST_MAX   8   /* frames of a request that are kept; a CURVE request has 7 */
#define FRAME_MAX     256 /* and bytes of each; RFC 27 allows 255 */

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, CURVE_FRAMES };

struct kap_zap {
    pthread_t thread;
    pthread_mutex_t lock; /* guards keys, n and counts */
    uint8_t (*keys)[KAP_KEY_BYTES];
    size_t n;
    kap_zap_counts_t counts;
    void *handler;   /* REP, the thread's */
    void *stop_here; /* PAIR, the starter's */
    void *stop_there;
};

typedef struct {
    size_t size;
    uint8_t data[FRAME_MAX];
} field_t;

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, KAP_KEY_BYTES);
}

static bool is(const field_t *field, const char *text)
{
    return field->size == strlen(text) && memcmp(field->data, text, field->size) == 0;
}

/* --- the thread --- */

/* Reads one whole request; how many frames it had. An oversize frame counts as cut, which no
 * comparison below accepts. */
static size_t receive(void *socket, field_t fields[REQUEST_MAX])
{
    size_t n = 0;
    int more = 1;
    while (more) {
        field_t rest;
        field_t *field = n < REQUEST_MAX ? &fields[n] : &rest;
        int rc = zmq_recv(socket, field->data, sizeof field->data, ZMQ_DONTWAIT);
        if (rc < 0)
            return 0;
        field->size = (size_t)rc;
        n++;
        size_t size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0)
            return 0;
    }
    return n;
}

static void reply(void *socket, const field_t *request_id, const char *status, const char *text,
                  const char *user)
{
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, request_id->data, request_id->size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, status, strlen(status), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, text, strlen(text), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, user, strlen(user), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, "", 0, ZMQ_DONTWAIT);
}

static bool decide(kap_zap_t *zap, const uint8_t *key)
{
    pthread_mutex_lock(&zap->lock);
    bool known = zap->n > 0 && bsearch(key, zap->keys, zap->n, sizeof *zap->keys, compare_keys);
    if (known)
        zap->counts.allowed++;
    else
        zap->counts.refused++;
    pthread_mutex_unlock(&zap->lock);
    return known;
}

static void answer_curve(kap_zap_t *zap, const field_t fields[REQUEST_MAX])
{
    char user[KAP_Z85_KEY_CHARS + 1];
    kap_z85_encode(user, fields[CREDENTIALS].data, KAP_KEY_BYTES);
    if (decide(zap, fields[CREDENTIALS].data)) {
        reply(zap->handler, &fields[REQUEST_ID], "200", "OK", user);
        return;
    }
    KAP_LOG(KAP_LOG_WARN, "peer_refused", KAP_S("key", user),
            KAP_SP("address", kap_span(fields[ADDRESS].data, fields[ADDRESS].size)));
    reply(zap->handler, &fields[REQUEST_ID], "400", "unknown key", "");
}

static void answer(kap_zap_t *zap)
{
    field_t fields[REQUEST_MAX];
    memset(fields, 0, sizeof fields);
    size_t n = receive(zap->handler, fields);
    if (n == 0)
        return;
    if (n == CURVE_FRAMES && is(&fields[VERSION], "1.0") && is(&fields[MECHANISM], "CURVE") &&
        fields[CREDENTIALS].size == KAP_KEY_BYTES && fields[REQUEST_ID].size < FRAME_MAX) {
        answer_curve(zap, fields);
        return;
    }
    pthread_mutex_lock(&zap->lock);
    zap->counts.malformed++;
    pthread_mutex_unlock(&zap->lock);
    fields[REQUEST_ID].size %= FRAME_MAX;
    reply(zap->handler, &fields[REQUEST_ID], "400", "only CURVE is spoken here", "");
}

static void *run(void *arg)
{
    kap_zap_t *zap = arg;
    zmq_pollitem_t items[] = {{.socket = zap->handler, .events = ZMQ_POLLIN},
                              {.socket = zap->stop_there, .events = ZMQ_POLLIN}};
    while (!(items[1].revents & ZMQ_POLLIN)) {
        int rc = zmq_poll(items, 2, -1);
        if (rc < 0 && errno != EINTR)
            break;
        if (rc > 0 && (items[0].revents & ZMQ_POLLIN))
            answer(zap);
    }
    zmq_close(zap->handler);
    zmq_close(zap->stop_there);
    return NULL;
}

/* --- its owner --- */

static int bind_sockets(kap_zap_t *zap)
{
    void *ctx = kap_sock_context();
    int linger = 0;
    zap->handler = zmq_socket(ctx, ZMQ_REP);
    zap->stop_here = zmq_socket(ctx, ZMQ_PAIR);
    zap->stop_there = zmq_socket(ctx, ZMQ_PAIR);
    if (!zap->handler || !zap->stop_here || !zap->stop_there)
        return KAP_E_LIMIT;
    zmq_setsockopt(zap->handler, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(zap->stop_here, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(zap->stop_there, ZMQ_LINGER, &linger, sizeof linger);
    if (zmq_bind(zap->handler, ZAP_ENDPOINT) != 0)
        return KAP_E_EXISTS;
    if (zmq_bind(zap->stop_there, STOP_ENDPOINT) != 0 ||
        zmq_connect(zap->stop_here, STOP_ENDPOINT) != 0)
        return KAP_E_INTERNAL;
    return KAP_OK;
}

static void free_zap(kap_zap_t *zap)
{
    pthread_mutex_destroy(&zap->lock);
    free(zap->keys);
    free(zap);
}

static void close_sockets(kap_zap_t *zap)
{
    void *sockets[] = {zap->handler, zap->stop_here, zap->stop_there};
    for (size_t i = 0; i < 3; i++) {
        if (sockets[i])
            zmq_close(sockets[i]);
    }
}

/* All signals stay with the loop's thread. */
static int start_thread(kap_zap_t *zap)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&zap->thread, NULL, run, zap);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0 ? KAP_OK : KAP_E_LIMIT;
}

int kap_zap_start(kap_zap_t **out)
{
    kap_zap_t *zap = calloc(1, sizeof *zap);
    if (!zap)
        return KAP_E_NOMEM;
    pthread_mutex_init(&zap->lock, NULL);
    int rc = bind_sockets(zap);
    if (rc == KAP_OK)
        rc = start_thread(zap);
    if (rc != KAP_OK) {
        close_sockets(zap);
        free_zap(zap);
        return rc;
    }
    *out = zap;
    return KAP_OK;
}

int kap_zap_allow(kap_zap_t *zap, const uint8_t (*keys)[32], size_t n)
{
    uint8_t(*mine)[KAP_KEY_BYTES] = malloc(n ? n * sizeof *mine : 1);
    if (!mine)
        return KAP_E_NOMEM;
    if (n > 0) {
        memcpy(mine, keys, n * sizeof *mine);
        qsort(mine, n, sizeof *mine, compare_keys);
    }
    pthread_mutex_lock(&zap->lock);
    uint8_t(*old)[KAP_KEY_BYTES] = zap->keys;
    zap->keys = mine;
    zap->n = n;
    pthread_mutex_unlock(&zap->lock);
    free(old);
    return KAP_OK;
}

void kap_zap_counts(kap_zap_t *zap, kap_zap_counts_t *out)
{
    pthread_mutex_lock(&zap->lock);
    *out = zap->counts;
    pthread_mutex_unlock(&zap->lock);
}

void kap_zap_stop(kap_zap_t **self)
{
    kap_zap_t *zap = *self;
    if (!zap)
        return;
    *self = NULL;
    zmq_send(zap->stop_here, "", 0, ZMQ_DONTWAIT);
    pthread_join(zap->thread, NULL);
    zmq_close(zap->stop_here);
    free_zap(zap);
}
