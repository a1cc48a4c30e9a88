/* SPDX-License-Identifier: MPL-2.0 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "ids.h"

/* A send refused by a full pipe is tried again after this; a guess. */
#define RETRY_MS 100

typedef struct {
    uint64_t ticket; /* 0: the slot is free */
    bool sent;       /* on the present connection */
    kap_buf_t header;
    kap_blob_t *frames[KAP_SOCK_FRAMES_MAX];
    size_t frame_count;
    kap_timer_t *deadline;
    kap_client_answer_fn *on_answer;
    void *arg;
    kap_client_t *client;
} slot_t;

struct kap_client {
    kap_loop_t *loop;
    kap_sock_t *sock;
    kap_timer_t *retry; /* NULL: none is running */
    bool up, refused, closed;
    uint8_t mesh[32];
    uint64_t next_ticket;
    void (*on_state)(void *arg, kap_sock_state_t state);
    void *arg;
    slot_t slots[KAP_CLIENT_REQUESTS];
};

static slot_t *slot_find(kap_client_t *client, uint64_t ticket)
{
    for (size_t i = 0; i < KAP_CLIENT_REQUESTS; i++)
        if (client->slots[i].ticket == ticket)
            return &client->slots[i];
    return NULL;
}

static void slot_free(slot_t *slot)
{
    kap_buf_fini(&slot->header);
    for (size_t i = 0; i < slot->frame_count; i++)
        kap_blob_unref(&slot->frames[i]);
    kap_timer_stop(&slot->deadline);
    memset(slot, 0, sizeof *slot);
}

static void retry_due(void *arg);

/* Sends what was not sent on this connection yet; a full pipe leaves the rest to the timer. */
static void send_waiting(kap_client_t *client)
{
    for (size_t i = 0; i < KAP_CLIENT_REQUESTS; i++) {
        slot_t *slot = &client->slots[i];
        if (slot->ticket == 0 || slot->sent)
            continue;
        int rc = kap_sock_send_blobs(client->sock, 0, kap_buf_span(&slot->header), slot->frames,
                                     slot->frame_count);
        slot->sent = rc == KAP_OK;
        if (rc != KAP_OK && client->up && !client->retry)
            client->retry = kap_timer_start(client->loop, RETRY_MS, 0, retry_due, client);
    }
}

static void retry_due(void *arg)
{
    kap_client_t *client = arg;
    kap_timer_stop(&client->retry);
    send_waiting(client);
}

/* Ends a request: the slot is free before the callback runs, which may ask anew or close the
 * client; nothing of the client is touched after it. */
static void slot_end(slot_t *slot, int status, const kap_header_t *header, kap_msg_t **answer)
{
    kap_client_answer_fn *on_answer = slot->on_answer;
    void *arg = slot->arg;
    slot_free(slot);
    on_answer(arg, status, header, answer);
}

static void deadline_due(void *arg)
{
    slot_t *slot = arg;
    const kap_client_t *client = slot->client;
    int status = client->up ? KAP_E_TIMEOUT : client->refused ? KAP_E_DENIED : KAP_E_UNREACHABLE;
    slot_end(slot, status, NULL, NULL);
}

static void message_arrived(void *arg, kap_msg_t **msg)
{
    kap_client_t *client = arg;
    kap_header_t header;
    const char *why;
    if (kap_header_decode(kap_msg_frame(*msg, 0), &header, &why) != KAP_OK ||
        header.req.size != sizeof(uint64_t))
        return;
    uint64_t ticket = kap_be_get_u64(header.req.data);
    slot_t *slot = ticket ? slot_find(client, ticket) : NULL;
    if (slot)
        slot_end(slot, KAP_OK, &header, msg);
}

static void state_changed(void *arg, kap_sock_state_t state)
{
    kap_client_t *client = arg;
    client->up = state == KAP_SOCK_UP;
    client->refused = state == KAP_SOCK_REFUSED;
    for (size_t i = 0; i < KAP_CLIENT_REQUESTS; i++)
        client->slots[i].sent = false;
    if (client->up)
        send_waiting(client);
    if (client->on_state)
        client->on_state(client->arg, state);
}

int kap_client_open(kap_loop_t *loop, const kap_client_opts_t *opts, kap_client_t **out)
{
    kap_client_t *client = calloc(1, sizeof *client);
    if (!client)
        return KAP_E_NOMEM;
    client->loop = loop;
    client->on_state = opts->on_state;
    client->arg = opts->arg;
    memcpy(client->mesh, opts->mesh, sizeof client->mesh);
    kap_random(&client->next_ticket, sizeof client->next_ticket);
    kap_sock_opts_t sock = {.type = KAP_SOCK_DEALER,
                            .local = opts->local,
                            .client_keys = opts->local ? NULL : opts->keys,
                            .server_public = opts->local ? NULL : opts->server_public};
    int rc = kap_sock_open(loop, &sock, message_arrived, state_changed, client, &client->sock);
    if (rc == KAP_OK)
        rc = kap_sock_connect(client->sock, opts->endpoint);
    if (rc != KAP_OK) {
        kap_client_close(&client);
        return rc == KAP_E_CONFIG ? KAP_E_INVALID : rc;
    }
    *out = client;
    return KAP_OK;
}

void kap_client_close(kap_client_t **ref)
{
    kap_client_t *client = *ref;
    *ref = NULL;
    if (!client || client->closed)
        return;
    client->closed = true;
    kap_sock_close(&client->sock);
    kap_timer_stop(&client->retry);
    for (size_t i = 0; i < KAP_CLIENT_REQUESTS; i++)
        if (client->slots[i].ticket)
            slot_end(&client->slots[i], KAP_E_CLOSED, NULL, NULL);
    free(client);
}

/* Header and copies of the payload frames. */
static int slot_fill(slot_t *slot, const kap_client_t *client, const kap_request_t *request)
{
    uint8_t req[sizeof(uint64_t)];
    kap_be_put_u64(req, slot->ticket);
    kap_header_t header = {.version = KAP_LIMIT_VERSION,
                           .req = kap_span(req, sizeof req),
                           .verb = request->verb,
                           .source = request->source,
                           .first = request->first,
                           .count = request->count};
    memcpy(header.mesh, client->mesh, sizeof header.mesh);
    kap_buf_init(&slot->header);
    kap_header_encode(&slot->header, &header);
    if (slot->header.err)
        return slot->header.err;
    for (size_t i = 0; i < request->frame_count; i++) {
        kap_span_t frame = request->frames[i];
        kap_blob_t *blob = kap_blob_new(frame.size);
        if (!blob)
            return KAP_E_NOMEM;
        if (frame.size)
            memcpy(kap_blob_data(blob), frame.data, frame.size);
        slot->frames[slot->frame_count++] = blob;
    }
    return KAP_OK;
}

int kap_client_request(kap_client_t *client, const kap_request_t *request,
                       kap_client_answer_fn *on_answer, void *arg, uint64_t *ticket)
{
    KAP_CHECK(request->timeout_ms > 0);
    if (client->closed)
        return KAP_E_CLOSED;
    if (request->frame_count >= KAP_SOCK_FRAMES_MAX)
        return KAP_E_LIMIT;
    slot_t *slot = slot_find(client, 0);
    if (!slot)
        return KAP_E_LIMIT;
    slot->client = client;
    slot->on_answer = on_answer;
    slot->arg = arg;
    if (++client->next_ticket == 0)
        client->next_ticket = 1;
    slot->ticket = client->next_ticket;
    int rc = slot_fill(slot, client, request);
    if (rc == KAP_OK) {
        slot->deadline = kap_timer_start(client->loop, request->timeout_ms, 0, deadline_due, slot);
        if (!slot->deadline)
            rc = KAP_E_NOMEM;
    }
    if (rc != KAP_OK) {
        slot_free(slot);
        return rc;
    }
    if (ticket)
        *ticket = slot->ticket;
    send_waiting(client);
    return KAP_OK;
}

int kap_client_ask(kap_client_t *client, kap_verb_t verb, const kap_buf_t *map, int64_t timeout_ms,
                   kap_client_answer_fn *on_answer, void *arg, uint64_t *ticket)
{
    kap_buf_t frame = {0};
    kap_bin_put(&frame, kap_buf_span(map));
    kap_span_t frames[] = {kap_buf_span(&frame)};
    kap_request_t request = {
        .verb = verb, .frames = frames, .frame_count = 1, .timeout_ms = timeout_ms};
    int rc = map->err ? map->err : frame.err;
    if (rc == KAP_OK)
        rc = kap_client_request(client, &request, on_answer, arg, ticket);
    kap_buf_fini(&frame);
    return rc;
}

void kap_client_cancel(kap_client_t *client, uint64_t ticket)
{
    slot_t *slot = ticket ? slot_find(client, ticket) : NULL;
    if (slot)
        slot_free(slot);
}

bool kap_client_is_up(const kap_client_t *client)
{
    return client->up;
}

/* --- one thing at a time --- */

typedef struct {
    bool done;
    int status;
    kap_header_t *header;
    kap_msg_t **answer;
} call_t;

static void call_answered(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    call_t *call = arg;
    call->done = true;
    call->status = status;
    if (status == KAP_OK) {
        *call->header = *header;
        *call->answer = *answer;
        *answer = NULL;
    }
}

int kap_client_call(kap_client_t *client, const kap_request_t *request, kap_header_t *header,
                    kap_msg_t **answer)
{
    call_t call = {.header = header, .answer = answer};
    uint64_t ticket;
    int rc = kap_client_request(client, request, call_answered, &call, &ticket);
    if (rc != KAP_OK)
        return rc;
    rc = kap_loop_run_until(client->loop, &call.done, request->timeout_ms + RETRY_MS);
    if (call.done)
        return call.status;
    kap_client_cancel(client, ticket);
    return rc;
}
