/* SPDX-License-Identifier: MPL-2.0 */
#include "local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "err.h"
#include "log.h"
#include "pass.h"
#include "view.h"

#define SOCKET_PATH_MAX 100 /* sun_path is 108; "/stream" and a NUL join */
#define FIELDS_MAX      256
#define WAITING_MAX     64

/* An asker whose act has no final fate yet. */
typedef struct {
    uint64_t act; /* 0: the slot is free */
    uint32_t peer;
    uint8_t req[KAP_LIMIT_REQ_BYTES];
    size_t req_size;
} waiting_t;

struct kap_local {
    kap_node_t *node;
    kap_sock_t *sock;
    kap_pass_t *pass;
    waiting_t waiting[WAITING_MAX];
    size_t next_waiting;
};

int kap_local_folder(const char *path)
{
    struct stat st;
    const char *what = NULL;
    if (strlen(path) > SOCKET_PATH_MAX - strlen("/stream"))
        what = "the path is too long for a socket; at most 93 bytes";
    else if (mkdir(path, 0750) != 0 && errno != EEXIST)
        what = strerror(errno);
    else if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        what = "is not a folder";
    else if (st.st_uid != geteuid())
        what = "belongs to another user";
    else if (st.st_mode & (S_IWGRP | S_IRWXO) && chmod(path, 0750) != 0)
        what = "others may use it; chmod 750";
    if (!what)
        return KAP_OK;
    KAP_LOG(KAP_LOG_ERROR, "local_directory", KAP_S("path", path), KAP_S("what", what));
    return KAP_E_CONFIG;
}

/* --- answers --- */

static void send_answer(kap_local_t *local, uint32_t peer, kap_span_t req, kap_verb_t verb,
                        kap_span_t map)
{
    kap_buf_t head, frame;
    kap_buf_init(&head);
    kap_buf_init(&frame);
    kap_header_t header = {.version = KAP_LIMIT_VERSION, .req = req, .verb = verb};
    memcpy(header.mesh, local->node->mesh, sizeof header.mesh);
    kap_header_encode(&head, &header);
    kap_bin_put(&frame, map);
    kap_span_t frames[] = {kap_buf_span(&head), kap_buf_span(&frame)};
    if (head.err == KAP_OK && frame.err == KAP_OK)
        kap_sock_send(local->sock, peer, frames, 2); /* who is gone or slow asks again */
    kap_buf_fini(&head);
    kap_buf_wipe(&frame);
}

static void send_error(kap_local_t *local, uint32_t peer, kap_span_t req, const char *code,
                       const char *sentence)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_view_error(&map, code, sentence);
    send_answer(local, peer, req, KAP_VERB_ERROR, kap_buf_span(&map));
    kap_buf_fini(&map);
}

/* --- ACT --- */

typedef struct {
    kap_act_field_t items[FIELDS_MAX];
    size_t count;
    kap_arena_t *arena;
    const char *why;
} fields_t;

/* A scalar as the text that a column would hold. */
static bool scalar_text(const kap_mp_t *node, kap_buf_t *text)
{
    switch (node->kind) {
    case KAP_MP_STR:
        kap_buf_append(text, node->s);
        return true;
    case KAP_MP_INT:
        kap_buf_printf(text, "%lld", (long long)node->i);
        return true;
    case KAP_MP_BOOL:
        kap_buf_str(text, node->b ? "true" : "false");
        return true;
    case KAP_MP_NIL:
        return true;
    default:
        return false;
    }
}

static void field_add(fields_t *fields, kap_span_t name, const kap_mp_t *value)
{
    kap_buf_t text;
    kap_buf_init(&text);
    bool fits = true;
    if (value->kind == KAP_MP_ARRAY) {
        for (uint32_t i = 0; fits && i < value->count; i++) {
            kap_buf_str(&text, i ? "," : "");
            fits = scalar_text(kap_mp_item(value, i), &text);
        }
    } else {
        fits = scalar_text(value, &text);
    }
    kap_span_t kept = kap_arena_dup(fields->arena, kap_buf_span(&text));
    if (!fits || !kept.data || text.err)
        fields->why = "a field's value is a text, number, truth value or list of these";
    else if (fields->count == FIELDS_MAX)
        fields->why = "an act has at most 256 fields";
    else
        fields->items[fields->count++] = (kap_act_field_t){.name = name, .value = kept};
    kap_buf_wipe(&text);
}

/* A map inside becomes names with dots; one level, as the fields of events have. */
static void fields_read(fields_t *fields, const kap_mp_t *map, kap_span_t front, int depth)
{
    for (uint32_t i = 0; map && map->kind == KAP_MP_MAP && i < map->count && !fields->why; i++) {
        const kap_mp_t *name = kap_mp_key(map, i), *value = kap_mp_value(map, i);
        kap_buf_t whole;
        if (name->kind != KAP_MP_STR) {
            fields->why = "the names of fields are texts";
            return;
        }
        kap_buf_init(&whole);
        kap_buf_append(&whole, front);
        kap_buf_str(&whole, front.size ? "." : "");
        kap_buf_append(&whole, name->s);
        kap_span_t kept = kap_arena_dup(fields->arena, kap_buf_span(&whole));
        kap_buf_fini(&whole);
        if (!kept.data)
            fields->why = "out of memory";
        else if (value->kind == KAP_MP_MAP && depth < 3)
            fields_read(fields, value, kept, depth + 1);
        else
            field_add(fields, kept, value);
    }
}

static void act_asked(kap_local_t *local, uint32_t peer, kap_span_t req, const kap_mp_t *root,
                      kap_arena_t *arena)
{
    kap_act_result_t result;
    kap_buf_t map;
    fields_t *fields = kap_arena_calloc(arena, 1, sizeof *fields);
    if (!fields) {
        send_error(local, peer, req, "local.memory", "out of memory; try again");
        return;
    }
    fields->arena = arena;
    fields_read(fields, kap_mp_get(root, "fields"), kap_span(NULL, 0), 0);
    if (fields->why) {
        send_error(local, peer, req, "local.act", fields->why);
        return;
    }
    kap_act_t act = {.verb = kap_mp_get_str(root, "verb"),
                     .key = kap_mp_get_str(root, "key"),
                     .fields = fields->items,
                     .count = fields->count};
    if (kap_mp_get_bool(root, "try", false))
        kap_act_try(local->node, &act, &result);
    else
        kap_act_submit(local->node, &act, &result);
    kap_buf_init(&map);
    kap_view_act_result(&result, &map);
    send_answer(local, peer, req, KAP_VERB_ANSWER, kap_buf_span(&map));
    kap_buf_fini(&map);
}

/* --- LOCAL --- */

static void health_asked(kap_local_t *local, uint32_t peer, kap_span_t req)
{
    kap_buf_t json, map;
    kap_buf_init(&json);
    kap_buf_init(&map);
    kap_node_health(local->node, &json);
    kap_mp_put_map(&map, 2);
    kap_mp_put_cstr(&map, "ok");
    kap_mp_put_bool(&map, kap_span_starts(kap_buf_span(&json), KAP_SPAN("{\"ok\":true")));
    kap_mp_put_cstr(&map, "health");
    kap_mp_put_str(&map, kap_buf_span(&json));
    send_answer(local, peer, req, KAP_VERB_ANSWER, kap_buf_span(&map));
    kap_buf_fini(&json);
    kap_buf_fini(&map);
}

static void fate_tell(kap_local_t *local, uint32_t peer, kap_span_t req, const kap_act_fate_t *fate)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_view_fate(fate, &map);
    send_answer(local, peer, req, KAP_VERB_ANSWER, kap_buf_span(&map));
    kap_buf_fini(&map);
}

/* Remembers the asker until the fate is final; the oldest gives way when there are too many. */
static bool fate_waits(kap_local_t *local, uint32_t peer, kap_span_t req, uint64_t act)
{
    kap_act_fate_t fate;
    if (kap_act_fate(local->node, act, &fate) != KAP_OK || fate.fate != KAP_FATE_QUEUED)
        return false;
    waiting_t *slot = &local->waiting[local->next_waiting];
    local->next_waiting = (local->next_waiting + 1) % WAITING_MAX;
    if (slot->act && kap_act_fate(local->node, slot->act, &fate) == KAP_OK)
        fate_tell(local, slot->peer, kap_span(slot->req, slot->req_size), &fate);
    slot->act = act;
    slot->peer = peer;
    slot->req_size = req.size;
    memcpy(slot->req, req.data, req.size);
    return true;
}

static void fates_changed(void *arg, const uint64_t *acts, size_t count)
{
    kap_local_t *local = ((kap_node_t *)arg)->local;
    kap_act_fate_t fate;
    for (size_t i = 0; local && i < WAITING_MAX; i++) {
        waiting_t *slot = &local->waiting[i];
        for (size_t j = 0; slot->act && j < count; j++) {
            if (acts[j] != slot->act || kap_act_fate(local->node, slot->act, &fate) != KAP_OK ||
                fate.fate == KAP_FATE_QUEUED)
                continue;
            slot->act = 0;
            fate_tell(local, slot->peer, kap_span(slot->req, slot->req_size), &fate);
        }
    }
}

static void local_asked(kap_local_t *local, uint32_t peer, kap_span_t req, const kap_mp_t *root)
{
    kap_span_t word = kap_mp_get_str(root, "local");
    kap_buf_t map;
    if (kap_span_eq_str(word, "health")) {
        health_asked(local, peer, req);
        return;
    }
    if (kap_span_eq_str(word, "fate") && kap_mp_get_bool(root, "wait", false) &&
        fate_waits(local, peer, req, (uint64_t)kap_mp_get_int(root, "act", 0)))
        return;
    kap_buf_init(&map);
    int rc = kap_view_answer(local->node, root, &map);
    if (rc == KAP_OK)
        send_answer(local, peer, req, KAP_VERB_ANSWER, kap_buf_span(&map));
    else
        send_error(local, peer, req, "local.store", kap_err_text(rc));
    kap_buf_wipe(&map);
}

/* --- passing on --- */

static void passed_back(void *arg, uint32_t peer, kap_span_t req, int status,
                        const kap_header_t *header, const kap_msg_t *answer)
{
    kap_local_t *local = arg;
    kap_span_t frames[KAP_SOCK_FRAMES_MAX];
    kap_buf_t head;
    if (status != KAP_OK) {
        send_error(local, peer, req,
                   status == KAP_E_TIMEOUT ? "local.timeout" : "local.unreachable",
                   status == KAP_E_TIMEOUT ? "the broker did not answer in time; ask again"
                                           : "the broker cannot be reached from this node; acts "
                                             "are queued, questions have to wait");
        return;
    }
    kap_buf_init(&head);
    kap_header_t own = *header;
    own.req = req;
    kap_header_encode(&head, &own);
    size_t count = kap_msg_count(answer);
    frames[0] = kap_buf_span(&head);
    for (size_t i = 1; i < count && i < KAP_SOCK_FRAMES_MAX; i++)
        frames[i] = kap_msg_frame(answer, i);
    if (head.err == KAP_OK)
        kap_sock_send(local->sock, peer, frames, count);
    kap_buf_fini(&head);
}

/* --- the door --- */

static void own_asked(kap_local_t *local, uint32_t peer, const kap_header_t *header,
                      const kap_msg_t *msg)
{
    kap_mp_t root;
    kap_span_t bin, rest = kap_msg_frame(msg, 1);
    const char *why = "the request is one bin with one map";
    kap_arena_t *arena = kap_arena_new(32768);
    if (!arena || kap_bins_next(&rest, &bin) != 1 || bin.size > KAP_LIMIT_REQUEST_BYTES ||
        kap_mp_read(bin, arena, &root, &why) != KAP_OK || root.kind != KAP_MP_MAP)
        send_error(local, peer, header->req, kap_refusal_code(KAP_REFUSAL_REQUEST_BODY), why);
    else if (header->verb == KAP_VERB_ACT)
        act_asked(local, peer, header->req, &root, arena);
    else
        local_asked(local, peer, header->req, &root);
    kap_arena_destroy(&arena);
}

static void message_arrived(void *arg, kap_msg_t **msg)
{
    kap_local_t *local = arg;
    uint32_t peer = kap_msg_peer(*msg);
    kap_header_t header;
    const char *why = "";
    memset(&header, 0, sizeof header);
    if (kap_header_decode(kap_msg_frame(*msg, 0), &header, &why) != KAP_OK) {
        if (header.req.size)
            send_error(local, peer, header.req, kap_refusal_code(KAP_REFUSAL_REQUEST_HEADER), why);
        return;
    }
    if (header.verb == KAP_VERB_ACT || header.verb == KAP_VERB_LOCAL) {
        own_asked(local, peer, &header, *msg);
    } else if (header.verb == KAP_VERB_FETCH || header.verb == KAP_VERB_QUERY) {
        int rc = kap_pass_ask(local->pass, peer, &header, *msg);
        if (rc == KAP_E_DENIED)
            send_error(local, peer, header.req, "act.not_member",
                       "this member is not in the directory any more; the broker answers it "
                       "nothing");
        else if (rc != KAP_OK)
            send_error(local, peer, header.req, "local.busy",
                       "too many ask through this node at once; ask again");
    } else {
        send_error(local, peer, header.req, kap_refusal_code(KAP_REFUSAL_REQUEST_VERB),
                   "this door takes ACT, LOCAL, FETCH and QUERY");
    }
}

int kap_local_start(kap_node_t *node, kap_local_t **out)
{
    char endpoint[KAP_SOCK_ENDPOINT_MAX];
    kap_local_t *local = calloc(1, sizeof *local);
    if (!local)
        return KAP_E_NOMEM;
    local->node = node;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/door",
             kap_conf_str(node->conf, "local.directory"));
    kap_sock_opts_t opts = {.type = KAP_SOCK_ROUTER, .local = true};
    int rc = kap_pass_start(node, passed_back, local, &local->pass);
    if (rc == KAP_OK)
        rc = kap_act_on_fate(node, fates_changed, node);
    if (rc == KAP_OK)
        rc = kap_sock_open(node->loop, &opts, message_arrived, NULL, local, &local->sock);
    if (rc == KAP_OK)
        rc = kap_sock_bind(local->sock, endpoint, NULL);
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "local_door", KAP_S("endpoint", endpoint),
                KAP_S("error", kap_err_text(rc)));
        kap_local_stop(&local);
        return rc;
    }
    *out = local;
    return KAP_OK;
}

void kap_local_stop(kap_local_t **ref)
{
    kap_local_t *local = *ref;
    *ref = NULL;
    if (!local)
        return;
    kap_pass_stop(&local->pass);
    kap_sock_close(&local->sock);
    free(local);
}
