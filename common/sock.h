/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sock - authenticated message sockets (ZeroMQ) on a kap_loop_t, with the known traps closed.
 *
 * Owner: the loop's thread, for everything but kap_msg_destroy and the kap_blob functions, which
 * any thread may call. One context a process, made by kap_sock_system_start. Nothing here blocks: a
 * peer that does not read costs KAP_E_AGAIN, never time. Nothing here is durable: a message
 * accepted for sending may still die with its connection; only an answer of the peer is delivery.
 * Every socket is CURVE, and a server asks the ZAP thread (zap.h) about each key; without a running
 * ZAP thread all are refused. The only exception is opts.local, on ipc:// and inproc:// endpoints.
 */
#ifndef KAP_SOCK_H
#define KAP_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "loop.h"
#include "span.h"

typedef struct kap_sock kap_sock_t;
typedef struct kap_msg kap_msg_t;
typedef struct kap_blob kap_blob_t;

/* Frames of one message that can be sent, and the default bound of what is received (1 + 64). */
#define KAP_SOCK_FRAMES_MAX   65
#define KAP_SOCK_ENDPOINT_MAX 256

typedef enum {
    KAP_SOCK_ROUTER, /* server, answers by peer */
    KAP_SOCK_DEALER, /* client of a ROUTER */
    KAP_SOCK_PUB,    /* server, sends to whoever listens, drops for who is slow */
    KAP_SOCK_SUB,    /* client of a PUB, receives only */
} kap_sock_type_t;

typedef enum {
    KAP_SOCK_UP,      /* the handshake succeeded: send (again) what is outstanding */
    KAP_SOCK_DOWN,    /* the connection is lost; it is retried by itself */
    KAP_SOCK_REFUSED, /* the server does not know our key; retried by itself, slower and slower */
} kap_sock_state_t;

/* Zero means the default in brackets. Keys and strings are copied. */
typedef struct {
    kap_sock_type_t type;
    bool local;                     /* no CURVE; then only ipc:// and inproc:// endpoints */
    bool loopback;                  /* with local: tcp://127.0.0.1 too; for benchmarks alone */
    const kap_curve_t *server_keys; /* ROUTER, PUB: our pair */
    const kap_curve_t *client_keys; /* DEALER, SUB: our pair */
    const uint8_t *server_public;   /* DEALER, SUB: the server's public key, 32 bytes */
    const char *zap_domain;         /* server ["kapula"] */
    const char *subscribe;          /* SUB: prefix of the first frame [everything] */
    int recv_hwm, send_hwm;         /* messages a peer [1000, 1000] */
    size_t max_frame_bytes;         /* larger ones cost the sender its connection [1 MiB] */
    int max_frames;                 /* a message of more is read and discarded [65] */
    int handshake_ms;               /* [3000] */
    int linger_ms;                  /* how long a closed socket still sends [1000]; below 0: none */
    int reconnect_max_ms;           /* longest pause between attempts [3000] */
    int retry_ms, retry_max_ms;     /* after REFUSED: first and longest pause [250, 10000] */
} kap_sock_opts_t;

/* Counters since kap_sock_open, recreations included. */
typedef struct {
    uint64_t received, sent;                                  /* messages */
    uint64_t too_many_frames, foreign_id, no_user, no_memory; /* discarded messages, by reason */
    uint64_t again, unreachable;                              /* sends refused, by reason */
    uint64_t ups, downs, refusals;                            /* state changes of a client */
} kap_sock_counts_t;

/* *msg is lent for the call; set *msg to NULL to keep it (then it is yours to destroy). */
typedef void kap_sock_message_fn(void *arg, kap_msg_t **msg);
typedef void kap_sock_state_fn(void *arg, kap_sock_state_t state);

/* --- the process --- */

/* Makes the one context: no signal handlers, random routing ids. Once, before the first socket and
 * before threads; a second call without stop is our bug. 0, KAP_E_IO (no randomness), KAP_E_NOMEM.
 */
int kap_sock_system_start(void);

/* Waits for lingering sends of closed sockets. All sockets and the ZAP thread are gone by now. */
void kap_sock_system_stop(void);

/* --- sockets --- */

/* on_state may be NULL and is called for clients only; both run on the loop, never inside open.
 * KAP_E_CONFIG: keys missing or contradicting; KAP_E_LIMIT: out of sockets; KAP_E_NOMEM. */
int kap_sock_open(kap_loop_t *loop, const kap_sock_opts_t *opts, kap_sock_message_fn *on_message,
                  kap_sock_state_fn *on_state, void *arg, kap_sock_t **sock);

/* Servers. "tcp://127.0.0.1:*" takes a free port; actual (may be NULL) gets the real endpoint.
 * KAP_E_CONFIG: endpoint not understood or not allowed; KAP_E_EXISTS: taken; KAP_E_DENIED;
 * KAP_E_IO. */
int kap_sock_bind(kap_sock_t *sock, const char *endpoint, char actual[KAP_SOCK_ENDPOINT_MAX]);

/* Clients, once a socket. Returns at once; KAP_SOCK_UP tells when. KAP_E_CONFIG as for bind. */
int kap_sock_connect(kap_sock_t *sock, const char *endpoint);

/* Copies the frames and queues the message. peer is kap_msg_peer of the one it answers; ignored but
 * for ROUTER. KAP_E_AGAIN: the peer (or, client: the connection) takes no more now;
 * KAP_E_UNREACHABLE: the peer is gone; KAP_E_LIMIT: a frame or the message is above the socket's
 * bounds, or n is 0; KAP_E_NOMEM. On an error nothing was sent. */
int kap_sock_send(kap_sock_t *sock, uint32_t peer, const kap_span_t frames[], size_t n);

/* Like it, with a copied header frame and blobs sent in place; holds a reference to each until
 * sent. */
int kap_sock_send_blobs(kap_sock_t *sock, uint32_t peer, kap_span_t header,
                        kap_blob_t *const blobs[], size_t n);

void kap_sock_counts(const kap_sock_t *sock, kap_sock_counts_t *out);

/* No callback after it; queued messages are sent for linger_ms. Finishes on the loop. Allowed
 * inside the socket's own callbacks. NULL inside is allowed. */
void kap_sock_close(kap_sock_t **sock);

/* --- received messages --- */

size_t kap_msg_count(const kap_msg_t *msg);

/* Frame i, from 0, without the routing id; empty span for i >= count. Lives as long as the message.
 */
kap_span_t kap_msg_frame(const kap_msg_t *msg, size_t i);

/* At a ROUTER the sender's public key in Z85 (40 characters), as the handshake proved it; "" at
 * clients and on local sockets. */
const char *kap_msg_user(const kap_msg_t *msg);

/* Names the connection to answer on; never shown to anybody, reused by the library one day. */
uint32_t kap_msg_peer(const kap_msg_t *msg);

/* Bytes of all frames. */
size_t kap_msg_size(const kap_msg_t *msg);

/* Any thread. NULL inside is allowed. */
void kap_msg_destroy(kap_msg_t **msg);

/* --- shared bytes --- */

/* One reference, size bytes not yet written; NULL when out of memory. Written by its maker before
 * it is first shared, immutable afterwards. */
kap_blob_t *kap_blob_new(size_t size);
uint8_t *kap_blob_data(kap_blob_t *blob);
size_t kap_blob_size(const kap_blob_t *blob);

/* The same bytes once more, with a reference of its own to `whole`; gone(arg) is called once, from
 * whichever thread gives up the last reference to the view: how a sender learns that what it sent
 * no longer waits in a socket. NULL when out of memory (gone is then not called). */
kap_blob_t *kap_blob_view(kap_blob_t *whole, void (*gone)(void *arg), void *arg);
kap_blob_t *kap_blob_ref(kap_blob_t *blob);

/* Takes the reference; the last one frees. NULL inside is allowed. */
void kap_blob_unref(kap_blob_t **blob);

#endif
