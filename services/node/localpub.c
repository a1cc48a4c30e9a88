/* SPDX-License-Identifier: MPL-2.0 */
#include "localpub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudevents.h"
#include "err.h"
#include "log.h"
#include "view.h"

struct kap_localpub {
    kap_sock_t *sock;
    bool with_contents;
    uint64_t sent, dropped;
};

static void nothing_arrives(void *arg, kap_msg_t **msg)
{
    (void)arg;
    (void)msg;
}

int kap_localpub_start(kap_node_t *node, kap_localpub_t **out)
{
    char endpoint[KAP_SOCK_ENDPOINT_MAX];
    kap_localpub_t *pub = calloc(1, sizeof *pub);
    if (!pub)
        return KAP_E_NOMEM;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/stream",
             kap_conf_str(node->conf, "local.directory"));
    pub->with_contents = kap_conf_bool(node->conf, "local.contents");
    kap_sock_opts_t opts = {.type = KAP_SOCK_PUB, .local = true};
    int rc = kap_sock_open(node->loop, &opts, nothing_arrives, NULL, pub, &pub->sock);
    if (rc == KAP_OK)
        rc = kap_sock_bind(pub->sock, endpoint, NULL);
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "local_stream", KAP_S("endpoint", endpoint),
                KAP_S("error", kap_err_text(rc)));
        kap_localpub_stop(&pub);
        return rc;
    }
    *out = pub;
    return KAP_OK;
}

void kap_localpub_stop(kap_localpub_t **ref)
{
    kap_localpub_t *pub = *ref;
    *ref = NULL;
    if (!pub)
        return;
    kap_sock_close(&pub->sock);
    free(pub);
}

/* The object without its last brace, so that ours can follow. */
int kap_localpub_json(const kap_received_t *received, bool with_contents, kap_buf_t *json)
{
    char at[KAP_TIME_TEXT];
    kap_span_t ends = received->event->ends;
    int rc = kap_cloudevents_json(received->event, false, json);
    if (rc != KAP_OK)
        return rc;
    KAP_CHECK(json->size > 0 && json->data[json->size - 1] == '}');
    json->size--;
    if (ends.size > KAP_LIMIT_SALT_BYTES) {
        kap_buf_str(json, ",\"ends\":");
        rc = kap_view_json(kap_span_sub(ends, KAP_LIMIT_SALT_BYTES, ends.size), json);
        if (rc != KAP_OK)
            return rc;
    }
    kap_time_format_utc(received->committed_at_ms, at);
    kap_buf_printf(json,
                   ",\"kapula\":{\"seq\":%llu,\"log_seq\":%llu,\"committed_at\":\"%s\",\"own\":%s,"
                   "\"verdict\":\"%s\",\"unsealed\":%s",
                   (unsigned long long)received->stream_seq, (unsigned long long)received->log_seq,
                   at, received->is_own ? "true" : "false",
                   kap_code_name(KAP_LIST_VERDICT, received->verdict),
                   received->unsealed ? "true" : "false");
    if (received->referral)
        kap_buf_printf(json, ",\"state\":\"%s\"", kap_state_name(received->referral->state));
    kap_buf_str(json, "}");
    if (with_contents && received->contents.size) {
        kap_buf_str(json, ",\"contents\":");
        rc = kap_view_json(received->contents, json);
    }
    kap_buf_str(json, "}");
    return rc == KAP_OK ? json->err : rc;
}

void kap_localpub_send(kap_localpub_t *pub, const kap_received_t *received)
{
    kap_buf_t json;
    kap_buf_init(&json);
    int rc = kap_localpub_json(received, pub->with_contents, &json);
    if (rc == KAP_OK) {
        kap_span_t frames[] = {kap_span_str(kap_event_type_name(received->event->type)),
                               kap_buf_span(&json)};
        rc = kap_sock_send(pub->sock, 0, frames, 2);
    }
    if (rc == KAP_OK)
        pub->sent++;
    else
        pub->dropped++;
    kap_buf_wipe(&json);
}

uint64_t kap_localpub_sent(const kap_localpub_t *pub)
{
    return pub->sent;
}
