/* SPDX-License-Identifier: MPL-2.0 */
/* Received messages and shared bytes: what of sock.h may move between threads. */
#include "msg.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "err.h"

struct kap_blob {
    atomic_size_t refs;
    size_t size;
    uint8_t *bytes;    /* its own, or those of `whole` */
    kap_blob_t *whole; /* a view: what it shows, and who hears of its end */
    void (*gone)(void *arg);
    void *arg;
    alignas(16) uint8_t own[];
};

/* --- messages --- */

kap_msg_t *kap_msg_new(void)
{
    kap_msg_t *msg = malloc(sizeof *msg);
    if (!msg)
        return NULL;
    msg->frames = msg->first;
    msg->cap = KAP_MSG_INLINE;
    msg->count = 0;
    kap_msg_reset(msg);
    return msg;
}

void kap_msg_reset(kap_msg_t *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        zmq_msg_close(&msg->frames[i]);
    msg->count = 0;
    msg->size = 0;
    msg->peer = 0;
    msg->user = "";
}

static int grow(kap_msg_t *msg)
{
    size_t cap = msg->cap * 2;
    zmq_msg_t *frames = malloc(cap * sizeof *frames);
    if (!frames)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < msg->count; i++) {
        zmq_msg_init(&frames[i]);
        zmq_msg_move(&frames[i], &msg->frames[i]);
        zmq_msg_close(&msg->frames[i]);
    }
    if (msg->frames != msg->first)
        free(msg->frames);
    msg->frames = frames;
    msg->cap = cap;
    return KAP_OK;
}

int kap_msg_push(kap_msg_t *msg, zmq_msg_t *frame)
{
    if (msg->count == msg->cap && grow(msg) != KAP_OK)
        return KAP_E_NOMEM;
    zmq_msg_t *slot = &msg->frames[msg->count++];
    zmq_msg_init(slot);
    zmq_msg_move(slot, frame);
    msg->size += zmq_msg_size(slot);
    return KAP_OK;
}

void kap_msg_find_user(kap_msg_t *msg)
{
    const char *user = msg->count ? zmq_msg_gets(&msg->frames[0], "User-Id") : NULL;
    msg->user = user ? user : "";
}

size_t kap_msg_count(const kap_msg_t *msg)
{
    return msg->count;
}

kap_span_t kap_msg_frame(const kap_msg_t *msg, size_t i)
{
    if (i >= msg->count)
        return kap_span(NULL, 0);
    zmq_msg_t *frame = &msg->frames[i];
    return kap_span(zmq_msg_data(frame), zmq_msg_size(frame));
}

const char *kap_msg_user(const kap_msg_t *msg)
{
    return msg->user;
}

uint32_t kap_msg_peer(const kap_msg_t *msg)
{
    return msg->peer;
}

size_t kap_msg_size(const kap_msg_t *msg)
{
    return msg->size;
}

void kap_msg_destroy(kap_msg_t **self)
{
    kap_msg_t *msg = *self;
    if (!msg)
        return;
    *self = NULL;
    kap_msg_reset(msg);
    if (msg->frames != msg->first)
        free(msg->frames);
    free(msg);
}

/* --- shared bytes --- */

kap_blob_t *kap_blob_new(size_t size)
{
    if (size > SIZE_MAX - sizeof(kap_blob_t))
        return NULL;
    kap_blob_t *blob = malloc(sizeof *blob + size);
    if (!blob)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->size = size;
    blob->bytes = blob->own;
    blob->whole = NULL;
    return blob;
}

kap_blob_t *kap_blob_view(kap_blob_t *whole, void (*gone)(void *arg), void *arg)
{
    kap_blob_t *view = kap_blob_new(0);
    if (!view)
        return NULL;
    view->size = whole->size;
    view->bytes = whole->bytes;
    view->whole = kap_blob_ref(whole);
    view->gone = gone;
    view->arg = arg;
    return view;
}

uint8_t *kap_blob_data(kap_blob_t *blob)
{
    return blob->bytes;
}

size_t kap_blob_size(const kap_blob_t *blob)
{
    return blob->size;
}

kap_blob_t *kap_blob_ref(kap_blob_t *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void kap_blob_unref(kap_blob_t **self)
{
    kap_blob_t *blob = *self;
    *self = NULL;
    if (!blob || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (blob->whole) {
        kap_blob_unref(&blob->whole);
        blob->gone(blob->arg);
    }
    free(blob);
}
