/* SPDX-License-Identifier: MPL-2.0 */
#include "pass.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

#define IDLE_MS    60000
#define LOOK_MS    10000
#define TIMEOUT_MS (KAP_LIMIT_FETCH_WAIT_MS + KAP_LIMIT_RESEND_MARGIN_MS)

typedef struct {
    uint32_t peer;
    kap_client_t *client; /* NULL: the slot is free */
    int64_t used_ms;
    uint32_t asked; /* requests outstanding */
} link_t;

struct kap_pass {
    kap_node_t *node;
    kap_pass_answer_fn *on_answer;
    void *arg;
    kap_timer_t *look;
    bool stopping;
    link_t links[KAP_PASS_CONNECTIONS];
};

/* One request on its way. */
typedef struct {
    kap_pass_t *pass;
    link_t *link;
    uint32_t peer;
    uint8_t req[KAP_LIMIT_REQ_BYTES];
    size_t req_size;
} asked_t;

static void idle_look(void *arg)
{
    kap_pass_t *pass = arg;
    int64_t now = kap_monotonic_ms();
    for (size_t i = 0; i < KAP_PASS_CONNECTIONS; i++) {
        link_t *link = &pass->links[i];
        if (link->client && link->asked == 0 && now - link->used_ms > IDLE_MS)
            kap_client_close(&link->client);
    }
}

static void answered(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    asked_t *asked = arg;
    kap_pass_t *pass = asked->pass;
    asked->link->asked--;
    asked->link->used_ms = kap_monotonic_ms();
    if (!pass->stopping)
        pass->on_answer(pass->arg, asked->peer, kap_span(asked->req, asked->req_size), status,
                        header, answer ? *answer : NULL);
    free(asked);
}

/* The connection of this asker; else a free place, which may be taken from whoever asked last
 * the longest ago and waits for nothing: most commands ask once and are gone. */
static link_t *place_of(kap_pass_t *pass, uint32_t peer)
{
    link_t *best = NULL;
    for (size_t i = 0; i < KAP_PASS_CONNECTIONS; i++) {
        link_t *link = &pass->links[i];
        if (link->client && link->peer == peer)
            return link;
        if (link->client && link->asked > 0)
            continue;
        if (!best || (best->client && (!link->client || link->used_ms < best->used_ms)))
            best = link;
    }
    if (best && best->client)
        kap_client_close(&best->client);
    return best;
}

static int link_find(kap_pass_t *pass, uint32_t peer, link_t **out)
{
    link_t *free_link = place_of(pass, peer);
    if (!free_link)
        return KAP_E_LIMIT;
    if (free_link->client) {
        *out = free_link;
        return KAP_OK;
    }
    uint8_t server_public[32];
    kap_client_opts_t opts;
    int rc = kap_node_broker_opts(pass->node, server_public, &opts);
    if (rc == KAP_OK)
        rc = kap_client_open(pass->node->loop, &opts, &free_link->client);
    free_link->peer = peer;
    free_link->asked = 0;
    *out = free_link;
    return rc;
}

int kap_pass_ask(kap_pass_t *pass, uint32_t peer, const kap_header_t *header, const kap_msg_t *msg)
{
    link_t *link;
    kap_span_t frames[KAP_SOCK_FRAMES_MAX];
    size_t count = kap_msg_count(msg) - 1;
    if (!kap_node_self(pass->node))
        return KAP_E_DENIED;
    int rc = link_find(pass, peer, &link);
    if (rc != KAP_OK)
        return rc;
    asked_t *asked = calloc(1, sizeof *asked);
    if (!asked)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < count && i < KAP_SOCK_FRAMES_MAX; i++)
        frames[i] = kap_msg_frame(msg, i + 1);
    asked->pass = pass;
    asked->link = link;
    asked->peer = peer;
    asked->req_size = header->req.size;
    memcpy(asked->req, header->req.data, header->req.size);
    kap_request_t request = {
        .verb = header->verb, .frames = frames, .frame_count = count, .timeout_ms = TIMEOUT_MS};
    link->used_ms = kap_monotonic_ms();
    rc = kap_client_request(link->client, &request, answered, asked, NULL);
    if (rc == KAP_OK)
        link->asked++;
    else
        free(asked);
    return rc;
}

int kap_pass_start(kap_node_t *node, kap_pass_answer_fn *on_answer, void *arg, kap_pass_t **out)
{
    kap_pass_t *pass = calloc(1, sizeof *pass);
    if (!pass)
        return KAP_E_NOMEM;
    pass->node = node;
    pass->on_answer = on_answer;
    pass->arg = arg;
    pass->look = kap_timer_start(node->loop, LOOK_MS, LOOK_MS, idle_look, pass);
    if (!pass->look) {
        free(pass);
        return KAP_E_NOMEM;
    }
    *out = pass;
    return KAP_OK;
}

void kap_pass_stop(kap_pass_t **ref)
{
    kap_pass_t *pass = *ref;
    *ref = NULL;
    if (!pass)
        return;
    pass->stopping = true;
    kap_timer_stop(&pass->look);
    for (size_t i = 0; i < KAP_PASS_CONNECTIONS; i++)
        kap_client_close(&pass->links[i].client);
    free(pass);
}
