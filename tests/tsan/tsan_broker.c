/* SPDX-License-Identifier: MPL-2.0 */
/* The broker's threads without sockets: the loop submits, the ledger commits into a store whose map
 * is far too small and has to grow again and again, the reader reads streams from their beginning
 * all the while. Every event must get its receipt, and every read must be without a gap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access.h"
#include "answer.h"
#include "crypto.h"
#include "err.h"
#include "frame.h"
#include "ids.h"
#include "ledger.h"
#include "reader.h"
#include "ring.h"
#include "segment.h"

#define SOURCE "driver/p1"

enum { JOBS = 120, A_JOB = 40, IN_FLIGHT = 8, READS_MIN = 20 };

typedef struct {
    kap_work_t work; /* first */
    kap_segment_key_t key;
    kap_segment_t *segment;
    uint64_t head;
} read_t;

static kap_loop_t *loop;
static kap_ledger_t *ledger;
static kap_reader_t *reader;
static kap_ring_t *ring;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static uint64_t submitted, receipted, reads, ring_head;
static int held;
static char key_text[KAP_Z85_KEY_CHARS + 1];
static read_t one;

static void give_up(const char *what)
{
    fprintf(stderr, "tsan_broker: %s\n", what);
    exit(1);
}

static void put_member(kap_buf_t *json, const char *id, const char *roles, bool first)
{
    uint8_t curve[32], hex[32];
    char z85[KAP_Z85_KEY_CHARS + 1], sealing[65];
    kap_random(curve, sizeof curve);
    kap_random(hex, sizeof hex);
    kap_z85_encode(z85, curve, sizeof curve);
    kap_hex_encode(hex, sizeof hex, sealing);
    if (first)
        memcpy(key_text, z85, sizeof key_text);
    kap_buf_printf(json,
                   "%s{\"id\": \"%s\", \"organisation\": \"1484332-4\", \"type\": \"other\","
                   " \"roles\": [%s], \"regions\": [\"bench\"], \"name\": {\"fi\": \"x\"},"
                   " \"sealing\": \"%s\", \"signing\": \"%s\", \"curve\": \"",
                   first ? "" : ", ", id, roles, sealing, sealing);
    kap_buf_json_text(json, kap_span_str(z85));
    kap_buf_str(json, "\"}");
}

static kap_directory_t *make_directory(kap_buf_t *json)
{
    kap_directory_t *dir = NULL;
    kap_buf_t messages = {0};
    kap_buf_printf(json,
                   "{\"mesh\": \"%064d\", \"rehearsal\": false, \"regions\": "
                   "[{\"id\": \"bench\", \"kind\": \"bench\"}], \"members\": [",
                   7);
    put_member(json, "driver", "\"node\", \"speaker:bench\"", true);
    put_member(json, "b1", "\"node\"", false);
    put_member(json, "b2", "\"node\"", false);
    kap_buf_str(json, "]}");
    if (kap_directory_parse(kap_buf_span(json), &dir, &messages) != KAP_OK)
        give_up(kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    return dir;
}

/* One referral in the job's arena. */
static void make_event(kap_job_t *job, uint32_t at, uint64_t sequence)
{
    kap_event_builder_t b;
    kap_buf_t open = {0}, ends = {0};
    char id[32];
    uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1};
    snprintf(id, sizeof id, "r%llu", (unsigned long long)sequence);
    kap_event_builder_begin(&b, KAP_EV_REFERRAL_CREATED, kap_span_str(id), KAP_SPAN(SOURCE),
                            sequence, 1000, 1000);
    kap_event_builder_set_code(&b, KAP_F_KIND, KAP_KIND_TRANSFER);
    kap_event_builder_set_span(&b, KAP_F_REFERRAL, kap_span_str(id));
    kap_event_builder_set_span(&b, KAP_F_FROM, KAP_SPAN("b1"));
    kap_event_builder_set_span(&b, KAP_F_TO, KAP_SPAN("b2"));
    kap_event_builder_set_span(&b, KAP_F_REGION, KAP_SPAN("bench"));
    kap_event_builder_set_code(&b, KAP_F_SERVICE, KAP_SERVICE_TAX);
    kap_event_builder_set_code(&b, KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN);
    kap_event_builder_set_span(&b, KAP_F_CASE, kap_span_str(id));
    if (kap_event_builder_finish(&b, salt, (kap_span_t){0}, &open, &ends) != KAP_OK)
        give_up("an event cannot be built");
    kap_span_t parts[2] = {kap_arena_dup(job->arena, kap_buf_span(&open)),
                           kap_arena_dup(job->arena, kap_buf_span(&ends))};
    if (kap_event_decode(parts[0], parts[1], (kap_span_t){0}, job->arena, &job->events[at], NULL) !=
        KAP_OK)
        give_up("an event cannot be decoded");
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

static void submit_one(void)
{
    kap_job_t *job = kap_job_new();
    job->arena = kap_arena_new(65536);
    job->events = kap_arena_calloc(job->arena, A_JOB, sizeof *job->events);
    job->count = job->header.count = A_JOB;
    job->header.source = KAP_SPAN(SOURCE);
    job->header.first = submitted + 1;
    job->bytes = 1000;
    memcpy(job->key, key_text, sizeof job->key);
    for (uint32_t i = 0; i < A_JOB; i++)
        make_event(job, i, submitted + 1 + i);
    submitted += A_JOB;
    kap_ledger_submit(ledger, &job);
}

static void on_touch(void *arg, kap_stream_t *stream)
{
    (void)arg;
    ring_head = stream->head;
}

static void on_results(void *arg, kap_batch_t *batch)
{
    (void)arg;
    for (uint32_t i = 0; i < batch->result_count; i++) {
        const kap_result_t *result = &batch->results[i];
        if (result->status != KAP_RECEIPT_OK || result->count != A_JOB)
            give_up("a receipt is not ok");
        for (uint32_t k = 0; k < result->count; k++) {
            if (result->decided[k].verdict != KAP_VERDICT_ACCEPTED)
                give_up(kap_refusal_sentence(result->decided[k].why.number));
        }
        receipted += result->count;
        if (submitted < JOBS * (uint64_t)A_JOB)
            submit_one();
    }
    kap_ring_push(ring, batch, on_touch, NULL);
    if (receipted == JOBS * (uint64_t)A_JOB && reads >= READS_MIN)
        kap_loop_stop(loop);
}

static void on_fatal(void *arg, int rc)
{
    (void)arg;
    give_up(kap_err_text(rc));
}

static void hold(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate);
    held++;
}

static void release(void *arg)
{
    (void)arg;
    pthread_mutex_unlock(&gate);
}

static int on_step(kap_work_t *work, kap_txn_t *txn)
{
    read_t *r = (read_t *)work;
    int rc = kap_segment_cold(&r->key, txn, &r->segment);
    return rc;
}

/* The next slice goes on where this one ended, and at the head begins anew. */
static void on_done(kap_work_t *work, int rc)
{
    read_t *r = (read_t *)work;
    if (rc == KAP_E_CLOSED)
        return;
    if (rc != KAP_OK)
        give_up(kap_err_text(rc));
    if (r->segment->head < r->head)
        give_up("the head went back");
    if (r->segment->last != r->key.after + r->segment->count)
        give_up("a gap");
    r->head = r->segment->head;
    r->key.after = r->segment->count ? r->segment->last : 0;
    reads++;
    kap_segment_unref(&r->segment);
    if (receipted == JOBS * (uint64_t)A_JOB && reads >= READS_MIN)
        kap_loop_stop(loop);
    kap_reader_submit(reader, &r->work);
}

int main(void)
{
    char path[] = "/tmp/kapula-tsan-XXXXXX";
    kap_buf_t json = {0}, why = {0};
    if (kap_crypto_init() != KAP_OK || kap_clock_init_zone() != KAP_OK || !mkdtemp(path))
        give_up("it cannot begin");
    kap_directory_t *dir = make_directory(&json);
    loop = kap_loop_new();
    ring = kap_ring_new(1 << 18, 0, 0);
    kap_ledger_opts_t opts = {.loop = loop,
                              .path = path,
                              .clock = kap_clock_system(),
                              .map_size = 1 << 19,
                              .reserve_bytes = 1,
                              .on_results = on_results,
                              .on_fatal = on_fatal,
                              .hold = hold,
                              .release = release,
                              .why = &why};
    memcpy(opts.mesh, kap_directory_mesh(dir), sizeof opts.mesh);
    if (kap_ledger_open(&opts, dir, kap_buf_span(&json), &ledger) != KAP_OK)
        give_up(kap_buf_cstr(&why));
    if (kap_reader_start(loop, kap_ledger_store(ledger), &gate, &reader) != KAP_OK)
        give_up("no reader");
    one.work = (kap_work_t){.step = on_step, .done = on_done};
    one.key = (kap_segment_key_t){.stream = kap_ring_stream(ring, KAP_SPAN("member/b2")),
                                  .parts = KAP_READ_OPEN | KAP_READ_ENDS | KAP_READ_SEALED,
                                  .max = 300,
                                  .max_bytes = 65536};
    kap_reader_submit(reader, &one.work);
    for (int i = 0; i < IN_FLIGHT; i++)
        submit_one();
    kap_loop_run(loop);
    kap_reader_stop(&reader);
    kap_ledger_close(&ledger);
    kap_ring_destroy(&ring);
    kap_directory_unref(&dir);
    kap_loop_destroy(&loop);
    kap_buf_fini(&json);
    kap_buf_fini(&why);
    if (held == 0)
        give_up("the store never grew: the barrier was not tried");
    printf("tsan_broker: %llu events, %llu reads, grown %d times\n", (unsigned long long)receipted,
           (unsigned long long)reads, held);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command) == 0 ? 0 : 1;
}
