/* SPDX-License-Identifier: MPL-2.0 */
/* Drives kapula-broker: PUBLISH with whatever is due, FETCH of all bench regions by each reader.
 * Every publisher has a key that may speak for both ends. Each referral is created, delivered,
 * accepted and completed; events are encoded before the clock starts, as the peers' payloads are.
 */
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "answer.h"
#include "clock.h"
#include "codes.h"
#include "err.h"
#include "crypto.h"
#include "event.h"
#include "frame.h"
#include "ids.h"

enum { REGIONS = 18, MEMBERS = 8, SPEAKERS = 32, READERS = 32, BLOCK = 32, SERVICES = 25 };

typedef struct {
    kap_buf_t frames; /* bins of event 0, 1, 2 ... */
    size_t *at;       /* where each begins; one more than there are */
    char source[64];
} load_t;

static void *context;
static uint8_t mesh[32], server_public[32];
static load_t *loads;

static void path_of(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/%s", bench.folder, name);
}

static void check(int rc, const char *what)
{
    if (rc != KAP_OK)
        bench_die("%s: code %d", what, rc);
}

/* --- the folder of a bench mesh --- */

static void write_member(FILE *out, const char *id, const char *key, const char *role, bool regions)
{
    fprintf(out, ",\n{\"id\": \"%s\", \"type\": \"other\", \"name\": {\"fi\": \"%s\"}", id, id);
    if (key)
        fprintf(out, ", \"curve\": \"%s\"", key);
    fputs(", \"roles\": [", out);
    for (int r = 0; role && r < REGIONS; r++)
        fprintf(out, "%s\"%s:bench-%d\"", r ? ", " : "", role, r);
    fputs("], \"regions\": [", out);
    for (int r = 0; regions && r < REGIONS; r++)
        fprintf(out, "%s\"bench-%d\"", r ? ", " : "", r);
    fputs("]}", out);
}

/* Key `number` of a kind is derived, so that every process of a run knows it. */
static void curve_of(const char *kind, int number, kap_curve_t **keys)
{
    char path[512], name[64];
    snprintf(name, sizeof name, "%s-%d.key", kind, number);
    path_of(path, sizeof path, name);
    if (access(path, F_OK) != 0) {
        *keys = kap_curve_new();
        check(kap_curve_write(path, *keys), path);
    } else
        check(kap_curve_read(path, keys, NULL), path);
}

static void write_keyed(FILE *out, const char *kind, int count, const char *role)
{
    for (int i = 0; i < count; i++) {
        char id[32], z85[41];
        kap_curve_t *keys;
        snprintf(id, sizeof id, "%s-%d", kind, i);
        curve_of(kind, i, &keys);
        kap_z85_encode(z85, keys->public, 32);
        write_member(out, id, z85, role, false);
        kap_curve_destroy(&keys);
    }
}

static void write_directory(const char *authority)
{
    char path[512];
    path_of(path, sizeof path, "directory.json");
    FILE *out = fopen(path, "w");
    if (!out)
        bench_die("cannot write %s", path);
    fprintf(out, "{\"mesh\": \"%s\", \"regions\": [", authority);
    for (int r = 0; r < REGIONS; r++)
        fprintf(out, "%s{\"id\": \"bench-%d\", \"kind\": \"bench\"}", r ? ", " : "", r);
    fputs("], \"members\": [\n{\"id\": \"m0\", \"type\": \"other\", \"name\": {\"fi\": \"m0\"}, "
          "\"roles\": [], \"regions\": [\"bench-0\"]}",
          out);
    for (int m = 1; m < REGIONS * MEMBERS; m++) {
        fprintf(out, ",\n{\"id\": \"m%d\", \"type\": \"other\", \"name\": {\"fi\": \"m%d\"}, ", m,
                m);
        fprintf(out, "\"roles\": [], \"regions\": [\"bench-%d\"]}", m / MEMBERS);
    }
    write_keyed(out, "speaker", SPEAKERS, "speaker");
    write_keyed(out, "reader", READERS, "coordinator");
    fputs("\n]}\n", out);
    fclose(out);
}

void bench_kapula_setup(void)
{
    char path[512], authority[65];
    uint8_t key[32];
    check(kap_crypto_init(), "crypto");
    kap_random(key, sizeof key);
    kap_hex_encode(key, sizeof key, authority);
    write_directory(authority);
    kap_curve_t *server;
    curve_of("broker", 0, &server);
    kap_curve_destroy(&server);
    path_of(path, sizeof path, "authority");
    FILE *out = fopen(path, "w");
    fputs(authority, out);
    fclose(out);
    path_of(path, sizeof path, "broker.conf");
    out = fopen(path, "w");
    fprintf(out,
            "endpoint = \"%s\";\nstore = \"store\";\ndirectory = \"directory.json\";\n"
            "keys = \"broker-0.key\";\nauthority = \"%s\";\nplain = %s;\nmetrics = %s;\n"
            "log = \"warn\";\n",
            bench.endpoint, authority, bench.curve ? "false" : "true",
            bench.no_metrics ? "false" : "true");
    fclose(out);
}

static void read_mesh(void)
{
    char path[512], authority[65] = "";
    uint8_t key[32];
    path_of(path, sizeof path, "authority");
    FILE *in = fopen(path, "r");
    if (!in || fread(authority, 1, 64, in) != 64)
        bench_die("%s is missing: run --setup first", path);
    fclose(in);
    check(kap_hex_decode(kap_span(authority, 64), key, 32), "authority");
    kap_span_t part = kap_span(key, 32);
    kap_hash256(mesh, &part, 1);
    kap_curve_t *server;
    curve_of("broker", 0, &server);
    memcpy(server_public, server->public, 32);
    kap_curve_destroy(&server);
}

/* --- events --- */

static const kap_event_type_t steps[] = {KAP_EV_REFERRAL_CREATED, KAP_EV_REFERRAL_DELIVERED,
                                         KAP_EV_REFERRAL_ACCEPTED, KAP_EV_REFERRAL_COMPLETED};

static void set_created(kap_event_builder_t *b, long number, const char *producer, char *names)
{
    int region = (int)(number % REGIONS), from = (int)(number / REGIONS % MEMBERS);
    int to = (from + 1 + (int)(number / (REGIONS * MEMBERS)) % (MEMBERS - 1)) % MEMBERS;
    char *region_name = names, *from_name = names + 32, *to_name = names + 64, *whole = names + 96;
    snprintf(region_name, 32, "bench-%d", region);
    snprintf(from_name, 32, "m%d", region * MEMBERS + from);
    snprintf(to_name, 32, "m%d", region * MEMBERS + to);
    snprintf(whole, 48, "case-%s-%ld", producer, number);
    kap_event_builder_set_code(b, KAP_F_KIND, KAP_KIND_TRANSFER);
    kap_event_builder_set_span(b, KAP_F_FROM, kap_span_str(from_name));
    kap_event_builder_set_span(b, KAP_F_TO, kap_span_str(to_name));
    kap_event_builder_set_span(b, KAP_F_REGION, kap_span_str(region_name));
    kap_event_builder_set_code(b, KAP_F_SERVICE, (int)(number % SERVICES));
    kap_event_builder_set_code(b, KAP_F_SEGMENT, (int)(number % KAP_SEGMENT_COUNT));
    kap_event_builder_set_span(b, KAP_F_CASE, kap_span_str(whole));
}

/* Appends event `i` of a publisher: blocks of referrals, each block step by step. */
static void append_event(load_t *load, int publisher, long i, int64_t now, kap_buf_t scratch[2])
{
    char id[37], referral[64], names[160];
    uint8_t salt[KAP_LIMIT_SALT_BYTES], random[10];
    int step = (int)(i / BLOCK % 4);
    long number = (i / (4 * BLOCK) * BLOCK + i % BLOCK) * SPEAKERS + publisher;
    kap_event_builder_t b;
    kap_random(salt, sizeof salt);
    memcpy(random, salt, sizeof random);
    kap_uuid_v7(now, random, id);
    snprintf(referral, sizeof referral, "bench-%s-%08ld", strchr(load->source, '/') + 1, number);
    kap_event_builder_begin(&b, steps[step], kap_span_str(id), kap_span_str(load->source),
                            (uint64_t)i + 1, now, now);
    kap_event_builder_set_subject(&b, kap_span_str(referral));
    kap_event_builder_set_span(&b, KAP_F_REFERRAL, kap_span_str(referral));
    if (step == 0)
        set_created(&b, number, strchr(load->source, '/') + 1, names);
    if (step == 3)
        kap_event_builder_set_code(&b, KAP_F_OUTCOME, KAP_OUTCOME_HANDLED);
    kap_buf_reset(&scratch[0]);
    kap_buf_reset(&scratch[1]);
    check(kap_event_builder_finish(&b, salt, kap_span("", 0), &scratch[0], &scratch[1]), "event");
    kap_bin_put(&load->frames, kap_buf_span(&scratch[0]));
    kap_bin_put(&load->frames, kap_buf_span(&scratch[1]));
    kap_bin_put(&load->frames, kap_span("", 0));
}

static void encode_load(load_t *load, int publisher, long count)
{
    kap_buf_t scratch[2];
    uint8_t producer[8];
    char hex[17];
    int64_t now = kap_clock_now_ms(kap_clock_system());
    kap_random(producer, sizeof producer);
    kap_hex_encode(producer, sizeof producer, hex);
    snprintf(load->source, sizeof load->source, "speaker-%d/%s", publisher, hex);
    load->at = calloc((size_t)count + 1, sizeof *load->at);
    kap_buf_init(&load->frames);
    kap_buf_init(&scratch[0]);
    kap_buf_init(&scratch[1]);
    for (long i = 0; i < count; i++) {
        append_event(load, publisher, i, now, scratch);
        load->at[i + 1] = load->frames.size;
    }
    kap_buf_fini(&scratch[0]);
    kap_buf_fini(&scratch[1]);
}

static void prepare(void)
{
    check(kap_crypto_init(), "crypto");
    context = zmq_ctx_new();
    read_mesh();
    loads = calloc((size_t)bench.publishers, sizeof *loads);
    for (int i = 0; i < bench.publishers; i++)
        encode_load(&loads[i], i, bench.count / bench.publishers);
}

/* --- the wire --- */

static void *connect_as(const char *kind, int number)
{
    int zero = 0;
    void *s = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
    if (bench.curve) {
        kap_curve_t *keys;
        curve_of(kind, number, &keys);
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, server_public, 32);
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, keys->public, 32);
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, keys->secret, 32);
        kap_curve_destroy(&keys);
    }
    if (zmq_connect(s, bench.endpoint))
        bench_die("connect %s: %s", bench.endpoint, zmq_strerror(zmq_errno()));
    return s;
}

static void send_request(void *s, kap_buf_t *buf, const kap_header_t *header, kap_span_t payload)
{
    kap_buf_reset(buf);
    kap_header_encode(buf, header);
    zmq_send(s, buf->data, buf->size, ZMQ_SNDMORE);
    zmq_send(s, payload.data, payload.size, 0);
}

/* The header and the first payload frame; further frames stay in the socket. */
static void receive(void *s, zmq_msg_t frame[2], kap_header_t *header)
{
    const char *why = "";
    for (int i = 0; i < 2; i++) {
        zmq_msg_init(&frame[i]);
        if (zmq_msg_recv(&frame[i], s, 0) < 0)
            bench_die("receive: %s", zmq_strerror(zmq_errno()));
    }
    kap_span_t span = kap_span(zmq_msg_data(&frame[0]), zmq_msg_size(&frame[0]));
    if (kap_header_decode(span, header, &why) != KAP_OK)
        bench_die("an answer's header: %s", why);
}

static void take_receipt(void *s, bench_publisher_t *p, kap_arena_t *arena)
{
    zmq_msg_t frame[2];
    kap_header_t header;
    kap_receipt_t receipt;
    kap_span_t rest, bin;
    receive(s, frame, &header);
    rest = kap_span(zmq_msg_data(&frame[1]), zmq_msg_size(&frame[1]));
    kap_arena_reset(arena);
    if (header.verb != KAP_VERB_RECEIPT || kap_bins_next(&rest, &bin) != 1 ||
        kap_receipt_decode(bin, arena, &receipt, NULL) != KAP_OK)
        bench_die("an answer that is no receipt: %.*s", (int)rest.size, (const char *)rest.data);
    if (receipt.status != KAP_RECEIPT_OK)
        bench_die("receipt: %s", kap_code_name(KAP_LIST_RECEIPT, receipt.status));
    for (uint32_t i = 0; i < receipt.verdict_count; i++)
        if (receipt.verdicts[i].verdict != KAP_VERDICT_ACCEPTED)
            bench_die("event %llu refused: %s", (unsigned long long)header.first + i,
                      kap_refusal_code(receipt.verdicts[i].refusal));
    bench_acked(p, (long)(header.first + header.count - 1));
    zmq_msg_close(&frame[0]);
    zmq_msg_close(&frame[1]);
}

static void publish(bench_publisher_t *p)
{
    load_t *load = &loads[p->id];
    void *s = connect_as("speaker", p->id);
    kap_arena_t *arena = kap_arena_new(65536);
    kap_buf_t buf;
    uint32_t request = 0;
    kap_buf_init(&buf);
    bench_start_line();
    while (p->acked < p->share) {
        long n = bench_room(p);
        if (n > 0) {
            kap_header_t header = {.version = KAP_LIMIT_VERSION,
                                   .req = kap_span(&request, sizeof request),
                                   .verb = KAP_VERB_PUBLISH,
                                   .source = kap_span_str(load->source),
                                   .first = (uint64_t)p->sent + 1,
                                   .count = (uint32_t)n};
            memcpy(header.mesh, mesh, sizeof mesh);
            const uint8_t *from = load->frames.data + load->at[p->sent];
            size_t size = load->at[p->sent + n] - load->at[p->sent];
            request++;
            bench_sent(p, n);
            send_request(s, &buf, &header, kap_span(from, size));
        }
        take_receipt(s, p, arena);
    }
    kap_buf_fini(&buf);
    kap_arena_destroy(&arena);
    zmq_close(s);
}

/* Events of one answer; moves the cursors. */
static long read_items(kap_span_t rest, kap_cursor_at_t *at, kap_arena_t *arena)
{
    kap_span_t bin, part;
    long n = 0;
    while (kap_bins_next(&rest, &bin) == 1) {
        kap_event_meta_t meta;
        for (int i = 0; i < 3; i++)
            kap_bins_next(&rest, &part);
        if (kap_event_meta_decode(bin, arena, &meta, NULL) != KAP_OK)
            bench_die("an event without meta");
        at[meta.stream].seq = meta.stream_seq;
        n++;
    }
    return n;
}

static long read_events(kap_span_t rest, kap_cursor_at_t *at, kap_arena_t *arena)
{
    kap_events_head_t head;
    kap_span_t bin;
    if (kap_bins_next(&rest, &bin) != 1 ||
        kap_events_head_decode(bin, arena, &head, NULL) != KAP_OK)
        bench_die("an answer that is no EVENTS");
    for (uint32_t i = 0; i < head.stream_count; i++)
        memcpy(at[i].epoch, head.epoch, sizeof head.epoch);
    return read_items(rest, at, arena);
}

static void follow(bench_reader_t *r)
{
    void *s = connect_as("reader", r->id);
    kap_arena_t *arena = kap_arena_new(65536);
    kap_cursor_at_t at[REGIONS] = {0};
    char names[REGIONS][16];
    kap_buf_t buf, map, bin;
    char name[32];
    uint32_t request = 0;
    snprintf(name, sizeof name, "reader-%d/plain", r->id);
    kap_buf_init(&buf);
    kap_buf_init(&map);
    kap_buf_init(&bin);
    for (int i = 0; i < REGIONS; i++) {
        snprintf(names[i], sizeof names[i], "region/bench-%d", i);
        at[i].stream = kap_span_str(names[i]);
    }
    bench_start_line();
    for (bool done = false; !done;) {
        kap_fetch_t fetch = {.after = at, .after_count = REGIONS, .wait_ms = 20000};
        kap_header_t header = {.version = KAP_LIMIT_VERSION,
                               .req = kap_span(&request, sizeof request),
                               .verb = KAP_VERB_FETCH,
                               .source = kap_span_str(bench.curve ? "" : name)};
        zmq_msg_t frame[2];
        memcpy(header.mesh, mesh, sizeof mesh);
        request++;
        kap_buf_reset(&map);
        kap_buf_reset(&bin);
        kap_fetch_encode(&map, &fetch);
        kap_bin_put(&bin, kap_buf_span(&map));
        send_request(s, &buf, &header, kap_buf_span(&bin));
        receive(s, frame, &header);
        kap_arena_reset(arena);
        long n = read_events(kap_span(zmq_msg_data(&frame[1]), zmq_msg_size(&frame[1])), at, arena);
        while (zmq_msg_more(&frame[1])) {
            if (zmq_msg_recv(&frame[1], s, 0) < 0)
                bench_die("receive: %s", zmq_strerror(zmq_errno()));
            n += read_items(kap_span(zmq_msg_data(&frame[1]), zmq_msg_size(&frame[1])), at, arena);
        }
        done = bench_arrived(r, n);
        zmq_msg_close(&frame[0]);
        zmq_msg_close(&frame[1]);
    }
    kap_buf_fini(&buf);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
    kap_arena_destroy(&arena);
    zmq_close(s);
}

const bench_driver_t bench_kapula = {"kapula", prepare, publish, follow};
