/* SPDX-License-Identifier: MPL-2.0 */
/* bench_ledger [EVENTS [BATCH [nofigures]]]: the ledger's engine alone, without sockets or threads:
 * events of a bench region through judge, put and a synced commit, in batches. All are built and
 * decoded before. Prints events a second for decoding and for the engine, and the bytes that the
 * store wrote for an event. The workload is that of
 * architecture.md, "Speed by design": 18 regions of 8 members, 8 sources, each referral created,
 * delivered, accepted, completed, about 300 bytes an event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench_world.h"
#include "crypto.h"
#include "directory.h"
#include "engine.h"
#include "err.h"
#include "event.h"
#include "ids.h"
#include "rows.h"

enum { REGIONS = 18, MEMBERS = 8, SOURCES = 8, LIFE = 4, PACK = 32, AHEAD = 40 };

#define ORGANISATION "1484332-4"

typedef struct {
    kap_store_t *store;
    kap_engine_t *engine;
    kap_directory_t *dir;
    kap_buf_t json;
    char keys[SOURCES][41];
    uint64_t last[SOURCES];
    uint64_t made; /* events */
    int64_t now;
    double decode_s, engine_s, engine_cpu_s, engine_bytes;
} bench_t;

/* Bytes this process made the kernel write so far, page by page. */
static double written(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return 512.0 * (double)u.ru_oublock;
}

/* The organisation of a bench region's members is one: it would make every handover internal. */
static void make_directory(bench_t *b, uint8_t mesh[32])
{
    char id[32], roles[800] = "\"node\"", regions[64], key[41];
    kap_buf_t messages = {0};

    bench_begin_directory(&b->json, mesh);
    for (int r = 0; r < REGIONS; r++) {
        kap_buf_printf(&b->json, "%s{\"id\": \"bench-%d\", \"kind\": \"bench\"}",
                       r == 0 ? "" : ", ", r);
        size_t used = strlen(roles);
        snprintf(roles + used, sizeof roles - used, ", \"speaker:bench-%d\"", r);
    }
    kap_buf_str(&b->json, "], \"members\": [");
    for (int s = 0; s < SOURCES; s++) {
        snprintf(id, sizeof id, "driver-%d", s);
        bench_fresh_key(b->keys[s]);
        bench_put_member(&b->json, id, ORGANISATION, roles, "\"bench-0\"", b->keys[s], s == 0);
    }
    for (int r = 0; r < REGIONS; r++) {
        for (int m = 0; m < MEMBERS; m++) {
            snprintf(id, sizeof id, "member-%d-%d", r, m);
            snprintf(regions, sizeof regions, "\"bench-%d\"", r);
            bench_fresh_key(key);
            bench_put_member(&b->json, id, ORGANISATION, "\"node\"", regions, key, false);
        }
    }
    kap_buf_str(&b->json, "]}\n");
    int rc = kap_directory_parse(kap_buf_span(&b->json), &b->dir, &messages);
    if (rc != KAP_OK)
        fprintf(stderr, "%s", kap_buf_cstr(&messages));
    bench_must(rc, "directory");
}

/* The n-th event of a source: AHEAD referrals go on side by side, one step each in turn. */
static void build(bench_t *b, int source, uint64_t n, kap_span_t name, kap_buf_t *open,
                  kap_buf_t *ends)
{
    static const kap_event_type_t types[LIFE] = {KAP_EV_REFERRAL_CREATED, KAP_EV_REFERRAL_DELIVERED,
                                                 KAP_EV_REFERRAL_ACCEPTED,
                                                 KAP_EV_REFERRAL_COMPLETED};
    uint8_t salt[KAP_LIMIT_SALT_BYTES];
    kap_event_builder_t eb;
    char id[KAP_UUID_TEXT], referral[64], case_id[64], from[32], to[32], region[32];
    uint64_t round = n / (LIFE * AHEAD), step = n % (LIFE * AHEAD) / AHEAD;
    uint64_t number = round * AHEAD + n % AHEAD;
    unsigned r = (unsigned)(number % REGIONS), f = (unsigned)(number / REGIONS % MEMBERS);
    unsigned t = (f + 1 + (unsigned)(number / (REGIONS * MEMBERS) % (MEMBERS - 1))) % MEMBERS;

    kap_uuid_v7_random(b->now, id);
    kap_random(salt, sizeof salt);
    snprintf(referral, sizeof referral, "%012llx-%d-0000-0000-00000000000r",
             (unsigned long long)number, source);
    snprintf(case_id, sizeof case_id, "%012llx-%d-0000-0000-00000000000c",
             (unsigned long long)number, source);
    snprintf(from, sizeof from, "member-%u-%u", r, f);
    snprintf(to, sizeof to, "member-%u-%u", r, t);
    snprintf(region, sizeof region, "bench-%u", r);
    kap_event_builder_begin(&eb, types[step], kap_span_str(id), name, n + 1, b->now, b->now);
    kap_event_builder_set_span(&eb, KAP_F_REFERRAL, kap_span_str(referral));
    if (step == 0) {
        kap_event_builder_set_span(&eb, KAP_F_CASE, kap_span_str(case_id));
        kap_event_builder_set_span(&eb, KAP_F_FROM, kap_span_str(from));
        kap_event_builder_set_span(&eb, KAP_F_TO, kap_span_str(to));
        kap_event_builder_set_span(&eb, KAP_F_REGION, kap_span_str(region));
        kap_event_builder_set_code(&eb, KAP_F_KIND, KAP_KIND_TRANSFER);
        kap_event_builder_set_code(&eb, KAP_F_SERVICE, (int)(number % KAP_SERVICE_COUNT));
        kap_event_builder_set_code(&eb, KAP_F_SEGMENT, (int)(number % KAP_SEGMENT_COUNT));
    }
    if (step == LIFE - 1)
        kap_event_builder_set_code(&eb, KAP_F_OUTCOME, KAP_OUTCOME_HANDLED);
    bench_must(kap_event_builder_finish(&eb, salt, kap_span(NULL, 0), open, ends), "event");
}

/* One PUBLISH of PACK events, built and decoded. */
static kap_job_t *make_job(bench_t *b, int source)
{
    kap_job_t *job = kap_job_new();
    kap_buf_t open = {0}, ends = {0};
    kap_span_t parts[PACK][2];
    char name[32];

    job->arena = kap_arena_new(32 << 10);
    memcpy(job->key, b->keys[source], sizeof job->key);
    snprintf(name, sizeof name, "driver-%d/p", source);
    job->header.source = kap_arena_dup(job->arena, kap_span_str(name));
    job->header.first = b->last[source] + 1;
    for (int i = 0; i < PACK; i++) {
        kap_buf_reset(&open);
        kap_buf_reset(&ends);
        build(b, source, b->last[source]++, job->header.source, &open, &ends);
        parts[i][0] = kap_arena_dup(job->arena, kap_buf_span(&open));
        parts[i][1] = kap_arena_dup(job->arena, kap_buf_span(&ends));
        job->bytes += open.size + ends.size;
    }
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    double begun = bench_now_s();
    job->events = kap_arena_calloc(job->arena, PACK, sizeof *job->events);
    for (int i = 0; i < PACK; i++)
        bench_must(kap_event_decode(parts[i][0], parts[i][1], kap_span(NULL, 0), job->arena,
                                    &job->events[i], NULL),
                   "decode");
    b->decode_s += bench_now_s() - begun;
    job->count = PACK;
    b->made += PACK;
    return job;
}

static bool busy(void *arg)
{
    (void)arg;
    return false;
}

/* Jobs of one batch, linked. */
static kap_job_t *make_batch(bench_t *b, uint32_t jobs, uint64_t *bytes)
{
    kap_job_t *first = NULL, **end = &first;

    for (uint32_t i = 0; i < jobs; i++) {
        *end = make_job(b, (int)(i % SOURCES));
        *bytes += (*end)->bytes;
        end = &(*end)->next;
    }
    return first;
}

/* Under this name for callgrind: --toggle-collect=run_batch. */
__attribute__((noinline, noclone)) static void run_batch(bench_t *b, kap_job_t *jobs)
{
    kap_engine_turn_t turn = {.now = b->now, .idle = busy};
    kap_batch_t *batch;
    bool more;
    double begun = bench_now_s(), cpu = bench_cpu_s(), bytes = written();

    bench_must(kap_engine_batch(b->engine, jobs, &turn, &batch, &more), "batch");
    b->engine_s += bench_now_s() - begun;
    b->engine_cpu_s += bench_cpu_s() - cpu;
    b->engine_bytes += written() - bytes;
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        if (batch->entries[i].verdict == KAP_VERDICT_REFUSED) {
            fprintf(stderr, "bench_ledger: refused: %u\n", batch->entries[i].refusal);
            exit(1);
        }
    }
    kap_batch_unref(&batch);
    b->now += 5;
}

int main(int argc, char **argv)
{
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000, bytes = 0;
    uint32_t jobs = (uint32_t)(argc > 2 ? strtoul(argv[2], NULL, 10) : 1024) / PACK;
    bool figures = argc <= 3;
    char path[] = "./bench-ledger-XXXXXX", command[64];
    bench_t b = {.now = INT64_C(1767607200000)};
    uint8_t mesh[32];

    bench_must(kap_crypto_init(), "crypto");
    make_directory(&b, mesh);
    if (mkdtemp(path) == NULL)
        bench_must(KAP_E_IO, "mkdtemp");
    kap_store_opts_t opts = {.path = path,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .map_size = (size_t)8 << 30}; /* valgrind takes no more */
    bench_must(kap_store_open(&opts, &b.store), "store");
    bench_must(kap_engine_open(b.store, mesh, figures, &b.engine), "engine");
    bench_must(kap_engine_set_directory(b.engine, b.dir, kap_buf_span(&b.json)), "directory");
    uint32_t batches = (uint32_t)(events / (jobs * PACK)) + 1;
    kap_job_t **made = calloc(batches, sizeof *made);
    for (uint32_t i = 0; made != NULL && i < batches; i++)
        made[i] = make_batch(&b, jobs, &bytes);
    for (uint32_t i = 0; made != NULL && i < batches; i++)
        run_batch(&b, made[i]);
    free(made);
    printf("events %llu, %llu bytes each, batches of %u, figures %s\n", (unsigned long long)b.made,
           (unsigned long long)(bytes / b.made), jobs * PACK, figures ? "on" : "off");
    printf("decode %.0f events/s\n", (double)b.made / b.decode_s);
    printf("engine %.0f events/s, %.2f us an event, of that CPU %.2f us; %.0f bytes written\n",
           (double)b.made / b.engine_s, 1e6 * b.engine_s / (double)b.made,
           1e6 * b.engine_cpu_s / (double)b.made, b.engine_bytes / (double)b.made);
    kap_engine_close(&b.engine);
    kap_store_close(&b.store);
    kap_directory_unref(&b.dir);
    kap_buf_fini(&b.json);
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command);
}
