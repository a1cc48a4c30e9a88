/* SPDX-License-Identifier: MPL-2.0 */
/* bench_metrics [STEPS...]: does a question about the figures cost the same after years? All
 * regions of the country with ten members each, and as many referrals as each step says (100000
 * 1000000), created, delivered, accepted, contacted and completed over one year. After each step
 * the same questions are asked, as a node asks them, each 21 times; the median counts. Prints the
 * times, how they grew from step to step, and what a referral weighs in the store and in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "bench_world.h"
#include "crypto.h"
#include "directory.h"
#include "engine.h"
#include "err.h"
#include "event.h"
#include "ids.h"
#include "mp.h"
#include "rows.h"

enum { MEMBERS = 10, LIFE = 5, ROUND = 8, ASKED = 21, STEPS_MAX = 8, MAP_GIB = 64 };

#define YEAR_START INT64_C(1735682400000) /* 2025-01-01 in Helsinki */

/* Ten members a region; each sends ROUND referrals a round and answers those of the round before.
 */
typedef struct {
    char id[48], key[41], source[56];
    uint64_t sequence;
} member_t;

typedef struct {
    kap_store_t *store;
    kap_engine_t *engine;
    kap_directory_t *dir;
    kap_buf_t json;
    member_t *members;
    uint32_t member_count;
    uint64_t round, referrals;
    int64_t now, a_round_ms;
    double engine_s;
    const char *path;
} bench_t;

/* --- the country --- */

static void make_directory(bench_t *b, uint8_t mesh[32])
{
    char regions[64], organisation[16], key[41];
    kap_buf_t messages = {0}, roles = {0};

    bench_begin_directory(&b->json, mesh);
    for (int r = 0; r < kap_region_count(); r++) {
        kap_buf_printf(&roles, "%s, \"coordinator:%s\"", r == 0 ? "\"ministry\"" : "",
                       kap_region_row(r)->id);
        kap_buf_printf(&b->json, "%s{\"id\": \"%s\", \"kind\": \"ordinary\"}", r == 0 ? "" : ", ",
                       kap_region_row(r)->id);
    }
    kap_buf_str(&b->json, "], \"members\": [");
    bench_fresh_key(key);
    bench_put_member(&b->json, "everywhere", "1484332-4", kap_buf_cstr(&roles), "\"mikkeli\"", key,
                     true);
    kap_buf_fini(&roles);
    b->member_count = (uint32_t)kap_region_count() * MEMBERS;
    b->members = calloc(b->member_count, sizeof *b->members);
    for (uint32_t i = 0; i < b->member_count; i++) {
        member_t *m = &b->members[i];
        const char *region = kap_region_row((int)(i / MEMBERS))->id;
        snprintf(m->id, sizeof m->id, "%s-%u", region, i % MEMBERS);
        snprintf(m->source, sizeof m->source, "%s/p", m->id);
        snprintf(regions, sizeof regions, "\"%s\"", region);
        bench_business_id(100000 + i, organisation);
        bench_fresh_key(m->key);
        bench_put_member(&b->json, m->id, organisation, "\"node\"", regions, m->key, false);
    }
    kap_buf_str(&b->json, "]}\n");
    int rc = kap_directory_parse(kap_buf_span(&b->json), &b->dir, &messages);
    if (rc != KAP_OK)
        fprintf(stderr, "%s", kap_buf_cstr(&messages));
    bench_must(rc, "directory");
}

/* --- referrals --- */

/* Whom member `from` refers its k-th customer of a round to: all others of the region in turn. */
static uint32_t recipient(uint32_t from, uint64_t round, uint32_t k)
{
    uint32_t base = from / MEMBERS * MEMBERS;

    return base + (from % MEMBERS + 1 + (uint32_t)((round * ROUND + k) % (MEMBERS - 1))) % MEMBERS;
}

static void referral_id(char out[64], char mark, uint64_t round, uint32_t from, uint32_t k)
{
    snprintf(out, 64, "%08llx-%04x-%04x-0000-00000000000%c", (unsigned long long)round, from, k,
             mark);
}

static void set_created(bench_t *b, kap_event_builder_t *eb, uint64_t round, uint32_t from,
                        uint32_t k, char case_id[64])
{
    static const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};
    uint64_t number = (round * b->member_count + from) * ROUND + k;

    referral_id(case_id, 'c', round, from, k);
    kap_event_builder_set_span(eb, KAP_F_CASE, kap_span_str(case_id));
    kap_event_builder_set_span(eb, KAP_F_FROM, kap_span_str(b->members[from].id));
    kap_event_builder_set_span(eb, KAP_F_TO,
                               kap_span_str(b->members[recipient(from, round, k)].id));
    kap_event_builder_set_span(eb, KAP_F_REGION,
                               kap_span_str(kap_region_row((int)(from / MEMBERS))->id));
    kap_event_builder_set_code(eb, KAP_F_KIND, KAP_KIND_TRANSFER);
    kap_event_builder_set_code(eb, KAP_F_SERVICE, (int)(number * 7 % KAP_SERVICE_COUNT));
    kap_event_builder_set_code(eb, KAP_F_SEGMENT, (int)(number * 5 % KAP_SEGMENT_COUNT));
    kap_event_builder_set_code(eb, KAP_F_ORIGIN, (int)(number * 3 % KAP_ORIGIN_COUNT));
    kap_event_builder_set_basis(eb, &basis);
}

/* One event of a member's job. `age` is how long before the round it happened. */
static void add_event(bench_t *b, kap_job_t *job, member_t *m, kap_event_type_t type,
                      uint64_t round, uint32_t from, uint32_t k, int64_t age)
{
    uint8_t salt[KAP_LIMIT_SALT_BYTES];
    kap_event_builder_t eb;
    kap_buf_t open = {0}, ends = {0};
    char id[KAP_UUID_TEXT], referral[64], case_id[64];

    kap_uuid_v7_random(b->now, id);
    kap_random(salt, sizeof salt);
    referral_id(referral, 'r', round, from, k);
    kap_event_builder_begin(&eb, type, kap_span_str(id), kap_span_str(m->source), ++m->sequence,
                            b->now - age, b->now);
    kap_event_builder_set_span(&eb, KAP_F_REFERRAL, kap_span_str(referral));
    if (type == KAP_EV_REFERRAL_CREATED)
        set_created(b, &eb, round, from, k, case_id);
    if (type == KAP_EV_REFERRAL_CONTACTED) {
        kap_event_builder_set_code(&eb, KAP_F_CONTACT, KAP_CONTACT_REACHED);
        kap_event_builder_set_code(&eb, KAP_F_CHANNEL, KAP_CHANNEL_PHONE);
    }
    if (type == KAP_EV_REFERRAL_COMPLETED)
        kap_event_builder_set_code(&eb, KAP_F_OUTCOME, KAP_OUTCOME_HANDLED);
    bench_must(kap_event_builder_finish(&eb, salt, kap_span(NULL, 0), &open, &ends), "event");
    bench_must(kap_event_decode(kap_arena_dup(job->arena, kap_buf_span(&open)),
                                kap_arena_dup(job->arena, kap_buf_span(&ends)), kap_span(NULL, 0),
                                job->arena, &job->events[job->count++], NULL),
               "decode");
    job->bytes += open.size + ends.size;
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

/* What a member says in a round: answers to what came in the last one, then what it sends. */
static kap_job_t *make_job(bench_t *b, uint32_t self)
{
    static const kap_event_type_t answers[LIFE - 1] = {
        KAP_EV_REFERRAL_DELIVERED, KAP_EV_REFERRAL_ACCEPTED, KAP_EV_REFERRAL_CONTACTED,
        KAP_EV_REFERRAL_COMPLETED};
    member_t *m = &b->members[self];
    uint32_t base = self / MEMBERS * MEMBERS;
    kap_job_t *job = kap_job_new();

    job->arena = kap_arena_new(64 << 10);
    memcpy(job->key, m->key, sizeof job->key);
    job->header.source = kap_arena_dup(job->arena, kap_span_str(m->source));
    job->header.first = m->sequence + 1;
    job->events =
        kap_arena_calloc(job->arena, ROUND * (1 + MEMBERS * (LIFE - 1)), sizeof *job->events);
    for (uint32_t from = base; b->round > 0 && from < base + MEMBERS; from++)
        for (uint32_t k = 0; k < ROUND; k++)
            for (int step = 0; recipient(from, b->round - 1, k) == self && step < LIFE - 1; step++)
                add_event(b, job, m, answers[step], b->round - 1, from, k,
                          b->a_round_ms * (LIFE - 1 - step) / LIFE +
                              (int64_t)(from * 7919 + k * 104729) % (b->a_round_ms / LIFE));
    for (uint32_t k = 0; k < ROUND; k++, b->referrals++)
        add_event(b, job, m, KAP_EV_REFERRAL_CREATED, b->round, self, k, 0);
    return job;
}

static bool busy(void *arg)
{
    (void)arg;
    return false;
}

static void commit(bench_t *b, kap_job_t *jobs, bool quiet)
{
    kap_engine_turn_t turn = {.now = b->now, .idle = quiet ? NULL : busy};
    kap_batch_t *batch;
    bool more;
    double begun = bench_now_s();

    bench_must(kap_engine_batch(b->engine, jobs, &turn, &batch, &more), "batch");
    b->engine_s += bench_now_s() - begun;
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        if (batch->entries[i].verdict == KAP_VERDICT_REFUSED) {
            fprintf(stderr, "bench_metrics: refused: %u\n", batch->entries[i].refusal);
            exit(1);
        }
    }
    kap_batch_unref(&batch);
}

/* Rounds until there are so many referrals; the members of some regions in one batch. */
static void fill(bench_t *b, uint64_t referrals)
{
    enum { AT_ONCE = 4 * MEMBERS };

    while (b->referrals < referrals) {
        for (uint32_t first = 0; first < b->member_count; first += AT_ONCE) {
            kap_job_t *jobs = NULL, **end = &jobs;
            for (uint32_t i = first; i < first + AT_ONCE && i < b->member_count; i++) {
                *end = make_job(b, i);
                end = &(*end)->next;
            }
            commit(b, jobs, false);
        }
        b->round++;
        b->now += b->a_round_ms;
    }
    commit(b, NULL, true);
    bench_must(kap_engine_write_figures(b->engine), "figures");
}

/* --- questions --- */

typedef struct {
    const char *name, *json;
} question_t;

static const question_t questions[] = {
    {"matrix, nation, year", "matrix|nation|"},
    {"acceptance, nation, year", "acceptance|nation|"},
    {"time to accept, nation, year", "time-to-accept|nation|"},
    {"matrix, nation, by region", "matrix|nation|region"},
    {"matrix, nation, by edge", "matrix|nation|edge"},
    {"acceptance, nation, by edge", "acceptance|nation|edge"},
    {"acceptance, a region, by service", "acceptance|mikkeli|service"},
    {"time to accept, a region, by edge", "time-to-accept|mikkeli|edge"},
};

enum { QUESTIONS = sizeof questions / sizeof *questions };

/* The request of a question: "metric|scope|by"; rows behind `after` where that is not empty. */
static void put_request(const char *question, const kap_mp_t *after, kap_buf_t *out)
{
    char text[96], *metric = text, *scope, *by;

    snprintf(text, sizeof text, "%s", question);
    scope = strchr(text, '|');
    *scope++ = '\0';
    by = strchr(scope, '|');
    *by++ = '\0';
    bool nation = strcmp(scope, "nation") == 0;
    kap_query_begin(out, "metrics", 3 + (*by != '\0') + (after != NULL));
    kap_mp_put_cstr(out, "metric");
    kap_mp_put_cstr(out, metric);
    kap_mp_put_cstr(out, nation ? "nation" : "region");
    if (nation)
        kap_mp_put_bool(out, true);
    else
        kap_mp_put_cstr(out, scope);
    kap_mp_put_cstr(out, "year");
    kap_mp_put_cstr(out, "2025");
    if (*by != '\0') {
        kap_mp_put_cstr(out, "by");
        kap_mp_put_cstr(out, by);
    }
    if (after != NULL) {
        kap_mp_put_cstr(out, "after");
        kap_mp_put_node(out, after);
    }
}

/* One page of an answer: rows told, and in *more whether others follow; *after gets the place. */
static uint64_t ask_page(bench_t *b, kap_txn_t *txn, kap_span_t request, kap_arena_t *arena,
                         kap_mp_t *answer)
{
    const kap_member_t *who = kap_directory_member(b->dir, KAP_SPAN("everywhere"));
    const char *why = "no answer";
    kap_ask_t ask;

    bench_must(kap_ask_init(&ask, b->dir, who, request, &why), why);
    bench_must(kap_ask_store(&ask, txn), "ask");
    if (ask.refusal != 0) {
        fprintf(stderr, "bench_metrics: refused %u: %s\n", ask.refusal, ask.why ? ask.why : "");
        exit(1);
    }
    bench_must(
        kap_mp_read_answer(kap_arena_dup(arena, kap_buf_span(&ask.out)), arena, answer, &why), why);
    kap_ask_fini(&ask);
    const kap_mp_t *rows = kap_mp_get(answer, "rows");
    return rows ? rows->count : 0;
}

/* Seconds of one whole answer, all pages; its rows. */
static double ask_once(bench_t *b, const question_t *q, uint64_t *rows)
{
    kap_arena_t *arena = kap_arena_new(1 << 20);
    const kap_mp_t *after = NULL;
    kap_mp_t answer;
    kap_txn_t *txn;
    double begun = bench_now_s();

    *rows = 0;
    bench_must(kap_txn_begin(b->store, KAP_TXN_READ, &txn), "snapshot");
    do {
        kap_buf_t request = {0};
        put_request(q->json, after, &request);
        *rows += ask_page(b, txn, kap_buf_span(&request), arena, &answer);
        kap_buf_fini(&request);
        const kap_mp_t *page = kap_mp_get(&answer, "rows");
        after =
            page && page->count > 0 ? kap_mp_get(kap_mp_item(page, page->count - 1), "key") : NULL;
    } while (kap_mp_get_bool(&answer, "more", false));
    kap_txn_abort(&txn);
    kap_arena_destroy(&arena);
    return bench_now_s() - begun;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(bench_t *b, const question_t *q, uint64_t *rows)
{
    double took[ASKED];

    for (int i = 0; i < ASKED; i++)
        took[i] = ask_once(b, q, rows);
    qsort(took, ASKED, sizeof *took, by_size);
    return took[ASKED / 2];
}

/* Bytes of the store's file. */
static double store_bytes(const bench_t *b)
{
    char path[256];
    struct stat st;

    snprintf(path, sizeof path, "%s/data.mdb", b->path);
    return stat(path, &st) == 0 ? 512.0 * (double)st.st_blocks : 0;
}

/* Private memory of this process, in MiB: not the store's pages. */
static double private_mib(void)
{
    unsigned long size, resident, shared;
    FILE *file = fopen("/proc/self/statm", "r");
    int got = file ? fscanf(file, "%lu %lu %lu", &size, &resident, &shared) : 0;

    if (file)
        fclose(file);
    return got == 3 ? (double)(resident - shared) * (double)sysconf(_SC_PAGESIZE) / (1 << 20) : 0;
}

static void report(bench_t *b, double took[QUESTIONS], bool first)
{
    printf("%llu referrals, %llu events: engine %.0f events/s, store %.0f bytes a referral, "
           "private memory %.0f MiB\n",
           (unsigned long long)b->referrals, (unsigned long long)b->referrals * LIFE,
           (double)b->referrals * LIFE / b->engine_s, store_bytes(b) / (double)b->referrals,
           private_mib());
    for (int i = 0; i < QUESTIONS; i++) {
        uint64_t rows;
        double now = median(b, &questions[i], &rows);
        printf("  %-36s %7llu rows %10.3f ms", questions[i].name, (unsigned long long)rows,
               1e3 * now);
        if (!first)
            printf("   %.2f times the last step", now / took[i]);
        printf("\n");
        took[i] = now;
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint64_t steps[STEPS_MAX] = {100000, 1000000};
    int count = argc > 1 ? argc - 1 : 2;
    char path[] = "./bench-metrics-XXXXXX", command[64];
    double took[QUESTIONS];
    bench_t b = {.now = YEAR_START};
    uint8_t mesh[32];

    for (int i = 0; i < count && argc > 1 && i < STEPS_MAX; i++)
        steps[i] = strtoull(argv[i + 1], NULL, 10);
    bench_must(kap_crypto_init(), "crypto");
    make_directory(&b, mesh);
    uint64_t rounds = steps[count - 1] / ((uint64_t)b.member_count * ROUND) + 2;
    b.a_round_ms = INT64_C(360) * 86400000 / (int64_t)rounds;
    if (mkdtemp(path) == NULL)
        bench_must(KAP_E_IO, "mkdtemp");
    b.path = path;
    kap_store_opts_t opts = {.path = path,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .map_size = (size_t)MAP_GIB << 30};
    bench_must(kap_store_open(&opts, &b.store), "store");
    bench_must(kap_engine_open(b.store, mesh, true, &b.engine), "engine");
    bench_must(kap_engine_set_directory(b.engine, b.dir, kap_buf_span(&b.json)), "directory");
    for (int i = 0; i < count && i < STEPS_MAX; i++) {
        fill(&b, steps[i]);
        report(&b, took, i == 0);
    }
    kap_engine_close(&b.engine);
    kap_store_close(&b.store);
    kap_directory_unref(&b.dir);
    kap_buf_fini(&b.json);
    free(b.members);
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command);
}
