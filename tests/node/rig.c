/* SPDX-License-Identifier: MPL-2.0 */
#include "rig.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "err.h"
#include "event.h"
#include "hash.h"
#include "ids.h"
#include "log.h"
#include "mirror.h"

const kap_actor_t rig_actor = {.program = "kapula-test", .summary = "a node of the tests"};

static const struct {
    const char *id, *organisation, *type, *more;
} people[RIG_MEMBERS] = {
    {"municipality", "0165116-3", "municipality",
     "\"regions\":[\"mikkeli\"],\"roles\":[\"node\",\"party\",\"coordinator:mikkeli\"],"
     "\"services\":[\"startup-advice\"]"},
    {"te-office", "2617416-4", "te-office",
     "\"regions\":[\"mikkeli\"],\"roles\":[\"node\"],\"services\":[\"startup-grant\","
     "\"recruitment\"]"},
    {"finnvera", "1484332-4", "finnvera",
     "\"national\":true,\"roles\":[\"node\"],\"services\":[\"financing\"]"},
    {"mentor", "2617416-4", "company-godparents",
     "\"regions\":[\"mikkeli\"],\"roles\":[\"node\"],\"services\":[\"mentoring\","
     "\"recruitment\"]"},
    {"adviser", "0112038-9", "private-provider",
     "\"regions\":[\"mikkeli\"],\"roles\":[\"node\"],\"services\":[\"tax\"]"},
};

/* --- files --- */

static void path_of(const rig_t *rig, int member, const char *what, char out[200])
{
    snprintf(out, 200, "%s/%s-%s", rig->dir, people[member].id, what);
}

static void text_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0600);
}

static void directory_write(rig_t *rig)
{
    kap_buf_t json;
    char path[200];
    kap_buf_init(&json);
    kap_buf_str(&json, "{\"mesh\":\"");
    for (int i = 0; i < 32; i++)
        kap_buf_str(&json, "a1");
    kap_buf_str(&json, "\",\"regions\":[{\"id\":\"mikkeli\"},{\"id\":\"jamsa\"}],\"members\":[");
    for (int i = 0; i < RIG_MEMBERS; i++) {
        char curve[41], seal[65], sign[65];
        kap_z85_encode(curve, rig->members[i].curve->public, 32);
        kap_hex_encode(rig->members[i].seal->public, 32, seal);
        kap_hex_encode(rig->members[i].sign->public, 32, sign);
        kap_buf_printf(&json,
                       "%s{\"id\":\"%s\",\"organisation\":\"%s\",\"name\":{\"fi\":\"%s\"},"
                       "\"type\":\"%s\",%s,\"curve\":\"%s\",\"sealing\":\"%s\",\"signing\":\"%s\"}",
                       i ? "," : "", people[i].id, people[i].organisation, people[i].id,
                       people[i].type, people[i].more, curve, seal, sign);
    }
    kap_buf_str(&json, "]}");
    snprintf(path, sizeof path, "%s/directory.json", rig->dir);
    text_write(path, kap_buf_cstr(&json));
    kap_directory_t *dir;
    kap_buf_t messages;
    kap_buf_init(&messages);
    cr_assert_eq(kap_directory_parse(kap_buf_span(&json), &dir, &messages), KAP_OK, "%s",
                 kap_buf_cstr(&messages));
    memcpy(rig->broker->mesh, kap_directory_mesh(dir), 32);
    kap_directory_unref(&dir);
    kap_buf_fini(&messages);
    kap_buf_fini(&json);
}

static void keys_write(rig_t *rig)
{
    char path[200];
    uint8_t allowed[RIG_MEMBERS][32];
    for (int i = 0; i < RIG_MEMBERS; i++) {
        rig_member_t *m = &rig->members[i];
        m->id = people[i].id;
        m->curve = kap_curve_new();
        m->seal = kap_seal_keys_new();
        m->sign = kap_sign_keys_new();
        memcpy(allowed[i], m->curve->public, 32);
        path_of(rig, i, "curve.key", path);
        cr_assert_eq(kap_curve_write(path, m->curve), KAP_OK);
        path_of(rig, i, "seal.key", path);
        cr_assert_eq(kap_seal_keys_write(path, m->seal), KAP_OK);
        path_of(rig, i, "sign.key", path);
        cr_assert_eq(kap_sign_keys_write(path, m->sign), KAP_OK);
    }
    snprintf(path, sizeof path, "%s/pseudonym.key", rig->dir);
    text_write(path, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    cr_assert_eq(kap_zap_allow(rig->zap, (const uint8_t(*)[32])allowed, RIG_MEMBERS), KAP_OK);
}

rig_t *rig_new(void)
{
    rig_t *rig = calloc(1, sizeof *rig);
    rig->broker = calloc(1, sizeof *rig->broker);
    strcpy(rig->dir, "/tmp/kap-node-XXXXXX");
    cr_assert(mkdtemp(rig->dir));
    kap_log_init("test", getenv("KAPULA_TEST_LOG") ? KAP_LOG_DEBUG : KAP_LOG_ERROR);
    cr_assert_eq(kap_clock_init_zone(), KAP_OK);
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    cr_assert_eq(kap_sock_system_start(), KAP_OK);
    cr_assert_eq(kap_zap_start(&rig->zap), KAP_OK);
    rig->loop = kap_loop_new();
    rig->broker->loop = rig->loop;
    rig->broker->curve = kap_curve_new();
    rig->broker->arena = kap_arena_new(65536);
    kap_random(rig->broker->epoch, sizeof rig->broker->epoch);
    strcpy(rig->broker->endpoint, "tcp://127.0.0.1:*");
    keys_write(rig);
    directory_write(rig);
    return rig;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void rig_destroy(rig_t **ref)
{
    rig_t *rig = *ref;
    *ref = NULL;
    for (int i = 0; i < RIG_MEMBERS; i++) {
        rig_node_close(rig, i);
        kap_curve_destroy(&rig->members[i].curve);
        kap_seal_keys_destroy(&rig->members[i].seal);
        kap_sign_keys_destroy(&rig->members[i].sign);
    }
    rig_broker_stop(rig);
    kap_loop_destroy(&rig->loop);
    kap_zap_stop(&rig->zap);
    kap_sock_system_stop();
    kap_curve_destroy(&rig->broker->curve);
    kap_arena_destroy(&rig->broker->arena);
    free(rig->broker);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
}

/* --- the broker --- */

static int member_of(kap_span_t id)
{
    for (int i = 0; i < RIG_MEMBERS; i++)
        if (kap_span_eq_str(id, people[i].id))
            return i;
    return -1;
}

static bool is_for(const rig_event_t *event, int member)
{
    size_t n = strlen(people[member].id);
    bool made = kap_span_starts(event->source, kap_span_str(people[member].id)) &&
                event->source.size > n && event->source.data[n] == '/';
    return event->verdict != KAP_VERDICT_REFUSED &&
           (made || kap_span_eq_str(event->from, people[member].id) ||
            kap_span_eq_str(event->to, people[member].id));
}

static uint64_t stream_head(const rig_broker_t *b, int member)
{
    uint64_t seq = 0;
    for (size_t i = 0; i < b->count; i++)
        seq += is_for(&b->events[i], member);
    return seq;
}

static void reply(rig_broker_t *b, uint32_t peer, kap_span_t req, kap_verb_t verb, kap_span_t frame)
{
    kap_buf_t head;
    kap_header_t header = {.version = KAP_LIMIT_VERSION, .req = req, .verb = verb};
    memcpy(header.mesh, b->mesh, sizeof header.mesh);
    kap_buf_init(&head);
    kap_header_encode(&head, &header);
    kap_span_t frames[] = {kap_buf_span(&head), frame};
    if (!b->deaf)
        kap_sock_send(b->sock, peer, frames, 2);
    kap_buf_fini(&head);
}

static void fetch_answer(rig_broker_t *b, uint32_t peer, kap_span_t req, int member, uint64_t after,
                         int status, uint64_t kept_to)
{
    kap_buf_t map, frame;
    char stream[64];
    uint64_t seq = 0;
    int sent = 0;
    snprintf(stream, sizeof stream, "member/%s", people[member].id);
    kap_stream_state_t state = {.stream = kap_span_str(stream),
                                .status = status,
                                .head = stream_head(b, member),
                                .kept_to = kept_to};
    kap_events_head_t head = {.as_of_seq = b->count, .streams = &state, .stream_count = 1};
    memcpy(head.epoch, b->epoch, sizeof head.epoch);
    kap_buf_init(&map);
    kap_buf_init(&frame);
    kap_events_head_encode(&map, &head);
    kap_bin_put(&frame, kap_buf_span(&map));
    for (size_t i = 0; status == KAP_FETCH_OK && i < b->count && sent < 100; i++) {
        const rig_event_t *event = &b->events[i];
        if (!is_for(event, member) || ++seq <= after)
            continue;
        kap_event_meta_t meta = {.stream_seq = seq,
                                 .log_seq = event->log_seq,
                                 .committed_at = kap_clock_now_ms(kap_clock_system()),
                                 .verdict = event->verdict,
                                 .source = event->source,
                                 .sequence = event->sequence,
                                 .answer_days = event->answer_days,
                                 .contact_days = event->contact_days};
        kap_buf_reset(&map);
        kap_event_meta_encode(&map, &meta);
        kap_bin_put(&frame, kap_buf_span(&map));
        kap_bin_put(&frame, event->open);
        kap_bin_put(&frame, event->ends);
        kap_bin_put(&frame, event->sealed);
        sent++;
    }
    reply(b, peer, req, KAP_VERB_EVENTS, kap_buf_span(&frame));
    kap_buf_fini(&map);
    kap_buf_fini(&frame);
}

static void waits_look(rig_broker_t *b)
{
    for (int i = 0; i < RIG_WAITS; i++) {
        if (!b->waits[i].on || stream_head(b, b->waits[i].member) <= b->waits[i].seq)
            continue;
        b->waits[i].on = false;
        fetch_answer(b, b->waits[i].peer, kap_span(b->waits[i].req, b->waits[i].req_size),
                     b->waits[i].member, b->waits[i].seq, KAP_FETCH_OK, 0);
    }
}

static void on_fetch(rig_broker_t *b, uint32_t peer, const kap_header_t *header, kap_span_t bin,
                     kap_arena_t *arena)
{
    kap_fetch_t fetch;
    static const uint8_t never[KAP_LIMIT_EPOCH_BYTES];
    b->fetches++;
    cr_assert_eq(kap_fetch_decode(bin, arena, &fetch, NULL), KAP_OK);
    const kap_cursor_at_t *at = &fetch.after[0];
    int member = member_of(kap_span_sub(at->stream, strlen("member/"), at->stream.size));
    if (member < 0) {
        fetch_answer(b, peer, header->req, 0, 0, KAP_FETCH_UNKNOWN, 0);
        return;
    }
    if (memcmp(at->epoch, never, sizeof never) != 0 &&
        memcmp(at->epoch, b->epoch, sizeof never) != 0) {
        fetch_answer(b, peer, header->req, member, 0, KAP_FETCH_EPOCH_CHANGED, b->kept_to[member]);
        return;
    }
    uint64_t head = stream_head(b, member);
    if (at->seq > head)
        fetch_answer(b, peer, header->req, member, 0, KAP_FETCH_AHEAD, 0);
    else if (at->seq < head || fetch.wait_ms == 0)
        fetch_answer(b, peer, header->req, member, at->seq, KAP_FETCH_OK, 0);
    else
        for (int i = 0; i < RIG_WAITS; i++)
            if (!b->waits[i].on) {
                b->waits[i].on = true;
                b->waits[i].peer = peer;
                b->waits[i].req_size = header->req.size;
                memcpy(b->waits[i].req, header->req.data, header->req.size);
                b->waits[i].member = member;
                b->waits[i].seq = at->seq;
                break;
            }
}

static const rig_event_t *last_of(const rig_broker_t *b, kap_span_t source)
{
    for (size_t i = b->count; i > 0; i--)
        if (kap_span_eq(b->events[i - 1].source, source))
            return &b->events[i - 1];
    return NULL;
}

static void on_query(rig_broker_t *b, uint32_t peer, const kap_header_t *header, kap_span_t bin,
                     kap_arena_t *arena)
{
    kap_query_t query;
    kap_buf_t map, frame;
    uint8_t hash[32] = {0};
    cr_assert_eq(kap_query_decode(bin, arena, &query, NULL), KAP_OK);
    kap_buf_init(&map);
    kap_buf_init(&frame);
    if (query.query == KAP_QUERY_MARK) {
        b->marks++;
        const rig_event_t *last = last_of(b, kap_mp_get_str(query.root, "source"));
        if (last)
            kap_content_hash(last->open, hash);
        kap_answer_begin(&map, b->count, 0, last ? 3 : 2);
        kap_mp_put_cstr(&map, "last");
        kap_mp_put_uint(&map, last ? last->sequence : 0);
        if (last) {
            kap_mp_put_cstr(&map, "hash");
            kap_mp_put_bin(&map, kap_span(hash, sizeof hash));
        }
        kap_mp_put_cstr(&map, "epoch");
        kap_mp_put_bin(&map, kap_span(b->epoch, sizeof b->epoch));
    } else {
        kap_answer_begin(&map, b->count, 0, 1);
        kap_mp_put_cstr(&map, "asked");
        kap_mp_put_str(&map, query.name);
    }
    kap_bin_put(&frame, kap_buf_span(&map));
    reply(b, peer, header->req, KAP_VERB_ANSWER, kap_buf_span(&frame));
    kap_buf_fini(&map);
    kap_buf_fini(&frame);
}

/* Who is told: the ends of the referral, which later events know by its `created`. */
static void ends_of(const rig_broker_t *b, const kap_event_t *ev, rig_event_t *event)
{
    event->referral = ev->subject;
    event->from = kap_event_span(ev, KAP_F_FROM);
    event->to = kap_event_span(ev, KAP_F_TO);
    for (size_t i = 0; i < b->count && kap_span_empty(event->to); i++)
        if (ev->subject.size && kap_span_eq(b->events[i].referral, ev->subject)) {
            event->from = b->events[i].from;
            event->to = b->events[i].to;
        }
}

static void take(rig_broker_t *b, const kap_header_t *header, uint64_t seq,
                 const kap_span_t parts[3])
{
    kap_event_t ev;
    kap_refusal_t why = {0};
    rig_event_t event = {.sequence = seq, .log_seq = b->count + 1};
    cr_assert_lt(b->count, RIG_EVENTS);
    event.source = kap_arena_dup(b->arena, header->source);
    event.open = kap_arena_dup(b->arena, parts[0]);
    event.ends = kap_arena_dup(b->arena, parts[1]);
    event.sealed = kap_arena_dup(b->arena, parts[2]);
    cr_assert_eq(kap_event_decode(event.open, event.ends, event.sealed, b->arena, &ev, &why),
                 KAP_OK, "refusal %d field %d", why.number, why.field);
    cr_assert(kap_event_is_whole(&ev));
    cr_assert(kap_span_eq(ev.source, header->source));
    cr_assert_eq(ev.sequence, seq);
    ends_of(b, &ev, &event);
    bool refused = b->refuse && strcmp(kap_event_type_name(ev.type), b->refuse) == 0;
    event.refusal = refused ? KAP_REFUSAL_ILLEGAL_STATE : 0;
    if (ev.family == KAP_FAMILY_REFERRAL && kap_span_empty(event.to))
        event.refusal = KAP_REFUSAL_ILLEGAL_UNKNOWN_REFERRAL;
    event.verdict = event.refusal ? KAP_VERDICT_REFUSED : KAP_VERDICT_ACCEPTED;
    if (ev.type == KAP_EV_REFERRAL_CREATED) {
        event.answer_days = b->answer_days;
        event.contact_days = b->contact_days;
    }
    if (b->forge_sealed && event.sealed.size)
        event.sealed = kap_span_sub(event.sealed, 0, event.sealed.size - 1);
    b->events[b->count++] = event;
}

static void on_publish(rig_broker_t *b, uint32_t peer, const kap_header_t *header,
                       const kap_msg_t *msg)
{
    kap_span_t rest = kap_msg_frame(msg, 1), parts[3];
    kap_verdict_t *verdicts = calloc(header->count, sizeof *verdicts);
    kap_receipt_t receipt = {.status = KAP_RECEIPT_OK, .verdicts = verdicts};
    const rig_event_t *last = last_of(b, header->source);
    uint64_t expected = last ? last->sequence + 1 : 1;
    b->publishes++;
    if (b->later > 0) {
        b->later--;
        receipt.status = b->later_status;
    } else if (header->first > expected) {
        receipt.status = KAP_RECEIPT_GAP;
    }
    for (uint32_t i = 0; receipt.status == KAP_RECEIPT_OK && i < header->count; i++) {
        for (int p = 0; p < 3; p++)
            cr_assert_eq(kap_bins_next(&rest, &parts[p]), 1);
        if (header->first + i >= expected)
            take(b, header, header->first + i, parts);
        else
            b->resent++;
        for (size_t e = 0; e < b->count; e++)
            if (kap_span_eq(b->events[e].source, header->source) &&
                b->events[e].sequence == header->first + i) {
                if (!kap_span_eq(b->events[e].open, parts[0]))
                    receipt.status = KAP_RECEIPT_CONFLICT;
                verdicts[i].verdict = b->events[e].verdict;
                verdicts[i].log_seq = b->events[e].log_seq;
                verdicts[i].refusal = b->events[e].refusal;
            }
        receipt.verdict_count++;
    }
    kap_buf_t map, frame;
    kap_buf_init(&map);
    kap_buf_init(&frame);
    last = last_of(b, header->source);
    receipt.expected = last ? last->sequence + 1 : 1;
    receipt.position = b->count;
    memcpy(receipt.epoch, b->epoch, sizeof receipt.epoch);
    kap_receipt_encode(&map, &receipt);
    kap_bin_put(&frame, kap_buf_span(&map));
    if (b->lose > 0 && receipt.status == KAP_RECEIPT_OK)
        b->lose--;
    else
        reply(b, peer, header->req, KAP_VERB_RECEIPT, kap_buf_span(&frame));
    kap_buf_fini(&map);
    kap_buf_fini(&frame);
    free(verdicts);
    waits_look(b);
}

static void broker_message(void *arg, kap_msg_t **msg)
{
    rig_broker_t *b = arg;
    kap_header_t header;
    kap_span_t rest = kap_msg_frame(*msg, 1), bin;
    if (b->deaf)
        return;
    cr_assert_eq(kap_header_decode(kap_msg_frame(*msg, 0), &header, NULL), KAP_OK);
    cr_assert_eq(memcmp(header.mesh, b->mesh, 32), 0);
    kap_arena_t *arena = kap_arena_new(4096);
    if (header.verb == KAP_VERB_PUBLISH) {
        on_publish(b, kap_msg_peer(*msg), &header, *msg);
    } else {
        cr_assert_eq(kap_bins_next(&rest, &bin), 1);
        if (header.verb == KAP_VERB_FETCH)
            on_fetch(b, kap_msg_peer(*msg), &header, bin, arena);
        else
            on_query(b, kap_msg_peer(*msg), &header, bin, arena);
    }
    kap_arena_destroy(&arena);
}

void rig_broker_start(rig_t *rig)
{
    rig_broker_t *b = rig->broker;
    kap_sock_opts_t opts = {.type = KAP_SOCK_ROUTER, .server_keys = b->curve, .linger_ms = -1};
    char wanted[KAP_SOCK_ENDPOINT_MAX];
    memcpy(wanted, b->endpoint, sizeof wanted);
    cr_assert_eq(kap_sock_open(b->loop, &opts, broker_message, NULL, b, &b->sock), KAP_OK);
    cr_assert_eq(kap_sock_bind(b->sock, wanted, b->endpoint), KAP_OK);
}

void rig_broker_stop(rig_t *rig)
{
    memset(rig->broker->waits, 0, sizeof rig->broker->waits);
    if (rig->broker->sock)
        kap_sock_close(&rig->broker->sock);
}

void rig_broker_restore(rig_t *rig, uint64_t log_seq)
{
    rig_broker_t *b = rig->broker;
    b->count = log_seq;
    kap_random(b->epoch, sizeof b->epoch);
    for (int i = 0; i < RIG_MEMBERS; i++)
        b->kept_to[i] = stream_head(b, i);
    for (int i = 0; i < RIG_WAITS; i++) /* a restart ends what waits */
        if (b->waits[i].on) {
            b->waits[i].on = false;
            fetch_answer(b, b->waits[i].peer, kap_span(b->waits[i].req, b->waits[i].req_size),
                         b->waits[i].member, 0, KAP_FETCH_EPOCH_CHANGED,
                         b->kept_to[b->waits[i].member]);
        }
}

const rig_event_t *rig_find(const rig_t *rig, const char *type, size_t nth)
{
    kap_arena_t *arena = kap_arena_new(4096);
    const rig_event_t *found = NULL;
    for (size_t i = 0; i < rig->broker->count && !found; i++) {
        const rig_event_t *event = &rig->broker->events[i];
        kap_event_t ev;
        kap_event_decode(event->open, event->ends, kap_span(NULL, 0), arena, &ev, NULL);
        if (event->verdict == KAP_VERDICT_ACCEPTED &&
            strcmp(kap_event_type_name(ev.type), type) == 0 && nth-- == 0)
            found = event;
    }
    kap_arena_destroy(&arena);
    return found;
}

size_t rig_count(const rig_t *rig, const char *type)
{
    size_t n = 0;
    while (rig_find(rig, type, n))
        n++;
    return n;
}

/* --- nodes --- */

kap_node_t *rig_node_open(rig_t *rig, int member, const kap_actor_t *actor, const char *more)
{
    const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES];
    char name[100], key[41];
    kap_buf_t text, messages;
    const char *id = people[member].id;
    kap_buf_init(&text);
    kap_buf_init(&messages);
    kap_z85_encode(key, rig->broker->curve->public, 32);
    kap_buf_printf(&text,
                   "member = \"%s\";\nbroker: { endpoint = \"%s\"; public_key = \"%s\"; };\n"
                   "keys: { curve = \"%s-curve.key\"; sealing = \"%s-seal.key\"; "
                   "signing = \"%s-sign.key\"; pseudonym = \"pseudonym.key\"; };\n"
                   "directory = \"directory.json\";\nstore: { path = \"%s-store\"; %s };\n"
                   "local: { directory = \"%s-local\"; };\n"
                   "uplink: { timeout = \"500ms\"; pause = \"10ms\"; %s };\n%s\n",
                   id,
                   rig->broker->endpoint[16] == '*' ? "tcp://127.0.0.1:1" : rig->broker->endpoint,
                   key, id, id, id, id, rig->store_more ? rig->store_more : "", id,
                   rig->uplink_more ? rig->uplink_more : "", more ? more : "");
    snprintf(name, sizeof name, "%s/node.conf", rig->dir);
    kap_node_conf_tables(actor, tables);
    cr_assert_eq(kap_conf_parse(name, kap_buf_span(&text), tables, &rig->confs[member], &messages),
                 KAP_OK, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&text);
    kap_buf_fini(&messages);
    cr_assert_eq(kap_node_open(rig->loop, rig->confs[member], actor, &rig->nodes[member]), KAP_OK);
    cr_assert_eq(kap_node_start(rig->nodes[member]), KAP_OK);
    return rig->nodes[member];
}

void rig_node_close(rig_t *rig, int member)
{
    kap_node_close(&rig->nodes[member]);
    kap_conf_close(&rig->confs[member]);
}

void rig_store_copy(rig_t *rig, int member, const char *from, const char *to)
{
    char command[400];
    cr_assert_null(rig->nodes[member]);
    snprintf(command, sizeof command, "cd %s && rm -rf %s-%s && cp -r %s-%s %s-%s", rig->dir,
             people[member].id, to, people[member].id, from, people[member].id, to);
    cr_assert_eq(system(command), 0);
}

/* --- waiting --- */

typedef struct {
    rig_t *rig;
    rig_condition_fn *holds;
    void *arg;
    bool done;
} until_t;

static void until_look(void *arg)
{
    until_t *until = arg;
    until->done = until->done || until->holds(until->rig, until->arg);
}

void rig_until(rig_t *rig, rig_condition_fn *holds, void *arg, const char *what)
{
    until_t until = {.rig = rig, .holds = holds, .arg = arg};
    kap_timer_t *timer = kap_timer_start(rig->loop, 0, 5, until_look, &until);
    int rc = kap_loop_run_until(rig->loop, &until.done, 20000);
    kap_timer_stop(&timer);
    cr_assert_eq(rc, KAP_OK, "in vain: %s", what);
}

void rig_turns(rig_t *rig, int64_t ms)
{
    bool never = false;
    kap_loop_run_until(rig->loop, &never, ms);
}

static kap_act_result_t act_list(kap_node_t *node, const char *key, const char *verb, va_list args)
{
    kap_act_field_t fields[64];
    kap_act_result_t result;
    size_t count = 0;
    const char *name;
    while ((name = va_arg(args, const char *)) != NULL) {
        fields[count].name = kap_span_str(name);
        fields[count++].value = kap_span_str(va_arg(args, const char *));
    }
    kap_act_t act = {
        .verb = kap_span_str(verb), .key = kap_span_str(key), .fields = fields, .count = count};
    kap_act_submit(node, &act, &result);
    return result;
}

kap_act_result_t rig_act(kap_node_t *node, const char *verb, ...)
{
    va_list args;
    va_start(args, verb);
    kap_act_result_t result = act_list(node, NULL, verb, args);
    va_end(args);
    return result;
}

kap_act_result_t rig_act_key(kap_node_t *node, const char *key, const char *verb, ...)
{
    va_list args;
    va_start(args, verb);
    kap_act_result_t result = act_list(node, key, verb, args);
    va_end(args);
    return result;
}

bool rig_is_empty(rig_t *rig, void *node)
{
    uint64_t waiting = 1;
    int64_t oldest_ms;
    (void)rig;
    return kap_node_waiting(node, &waiting, &oldest_ms) == KAP_OK && waiting == 0;
}

typedef struct {
    const char *referral, *state;
} state_t;

static int state_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    state_t *state = arg;
    kap_referral_t r;
    (void)node;
    int rc = kap_mirror_referral(txn, kap_span_str(state->referral), &r, NULL);
    state->state = rc == KAP_OK ? kap_state_name(r.state) : "none";
    return KAP_OK;
}

const char *rig_state(kap_node_t *node, const char *referral)
{
    state_t state = {.referral = referral};
    kap_work_read(node, state_read, &state);
    return state.state;
}

bool rig_has_state(rig_t *rig, void *arg)
{
    const rig_wanted_t *wanted = arg;
    (void)rig;
    return strcmp(rig_state(wanted->node, wanted->referral), wanted->state) == 0;
}

void rig_until_state(rig_t *rig, kap_node_t *node, const char *referral, const char *state)
{
    rig_wanted_t wanted = {.node = node, .referral = referral, .state = state};
    rig_until(rig, rig_has_state, &wanted, state);
}
