/* SPDX-License-Identifier: MPL-2.0 */
/* One connection to a broker's door, or to a node's local door, that asks and gets answers.
 *
 * Owner: whoever opened it; loop thread only. A request is kept until it is answered, timed out
 * or cancelled, and is sent again whenever the connection comes up: an asker therefore sees one
 * answer or one failure, never silence. Answers with an unknown request id are dropped (they are
 * late copies). What makes a resend harmless is the callee's business: PUBLISH has its mark, ACT
 * its key, FETCH and QUERY change nothing.
 * It does not queue without bound (KAP_CLIENT_REQUESTS), does not look into payloads, and knows
 * nothing of outboxes. Source of the frames: proto/SPEC.md. */
#ifndef KAP_CLIENT_H
#define KAP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "crypto.h"
#include "frame.h"
#include "loop.h"
#include "sock.h"
#include "span.h"

/* Requests outstanding at once; one more is KAP_E_LIMIT. */
#define KAP_CLIENT_REQUESTS 256

typedef struct kap_client kap_client_t;

typedef struct {
    const char *endpoint;         /* tcp://host:port, or ipc:///path of a node's local door */
    const kap_curve_t *keys;      /* lent until close; NULL only with `local` */
    const uint8_t *server_public; /* 32 bytes, copied; NULL only with `local` */
    uint8_t mesh[32];             /* goes into every header */
    bool local;                   /* an ipc door without CURVE */
    /* May be NULL. Called at every change with KAP_SOCK_UP, _DOWN or _REFUSED. */
    void (*on_state)(void *arg, kap_sock_state_t state);
    void *arg;
} kap_client_opts_t;

/* One request: verb, header fields that it uses, payload frames (lent for the call, copied). */
typedef struct {
    kap_verb_t verb;
    kap_span_t source; /* PUBLISH; else empty */
    uint64_t first;    /* PUBLISH: sequence of the first event */
    uint32_t count;    /* PUBLISH: events */
    const kap_span_t *frames;
    size_t frame_count;
    int64_t timeout_ms; /* from now until the answer; at least 1 */
} kap_request_t;

/* Called exactly once a request unless it is cancelled. status: KAP_OK with `header` and `answer`
 * (lent; take the message by setting *answer to NULL), also when the answer is a refusal in the
 * protocol's own words; else header and answer are NULL and status is
 * KAP_E_TIMEOUT      nobody answered in time, the connection being up
 * KAP_E_UNREACHABLE  the same, and the connection was not up
 * KAP_E_DENIED       the same, and the door refused our key
 * KAP_E_CLOSED       the client was closed. */
typedef void kap_client_answer_fn(void *arg, int status, const kap_header_t *header,
                                  kap_msg_t **answer);

/* KAP_E_INVALID when the endpoint or keys cannot be used. Connects in the background. */
int kap_client_open(kap_loop_t *loop, const kap_client_opts_t *opts, kap_client_t **client);

/* Ends every outstanding request with KAP_E_CLOSED. */
void kap_client_close(kap_client_t **client);

/* Sends now if the connection is up, else when it comes up. `ticket` (may be NULL) names the
 * request for kap_client_cancel. KAP_E_LIMIT, KAP_E_NOMEM: nothing was sent and the callback is
 * not called. */
int kap_client_request(kap_client_t *client, const kap_request_t *request,
                       kap_client_answer_fn *on_answer, void *arg, uint64_t *ticket);

/* The same for FETCH, QUERY and LOCAL, whose payload is one bin with one map. What went wrong while
 * `map` was written is returned. */
int kap_client_ask(kap_client_t *client, kap_verb_t verb, const kap_buf_t *map, int64_t timeout_ms,
                   kap_client_answer_fn *on_answer, void *arg, uint64_t *ticket);

/* Forgets the request: its callback is not called. An unknown ticket is ignored. */
void kap_client_cancel(kap_client_t *client, uint64_t ticket);

bool kap_client_is_up(const kap_client_t *client);

/* For programs that do one thing at a time: sends, runs the loop until the answer or the end of
 * the time, and returns the status as above. On KAP_OK *header and *answer are set; the header's
 * spans point into the answer, which is yours. Not to be called from within the loop. */
int kap_client_call(kap_client_t *client, const kap_request_t *request, kap_header_t *header,
                    kap_msg_t **answer);

#endif
