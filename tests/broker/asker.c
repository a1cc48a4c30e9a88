/* SPDX-License-Identifier: MPL-2.0 */
#include "asker.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "ids.h"

/* --- the process --- */

static void write_file(const char *path, const char *text)
{
    char fresh[128];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    cr_assert_not_null(file, "%s", fresh);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(rename(fresh, path), 0);
}

void broker_init(broker_t *broker, const world_t *world, const char *more)
{
    char path[128], text[1024];
    memset(broker, 0, sizeof *broker);
    snprintf(broker->dir, sizeof broker->dir, "/tmp/kapula-broker-XXXXXX");
    cr_assert_not_null(mkdtemp(broker->dir));
    snprintf(broker->conf, sizeof broker->conf, "%s/broker.conf", broker->dir);
    snprintf(broker->directory, sizeof broker->directory, "%s/directory.json", broker->dir);
    snprintf(broker->log, sizeof broker->log, "%s/log", broker->dir);
    broker->keys = kap_curve_new();
    snprintf(path, sizeof path, "%s/broker.key", broker->dir);
    cr_assert_eq(kap_curve_write(path, broker->keys), KAP_OK);
    snprintf(text, sizeof text,
             "endpoint = \"tcp://127.0.0.1:*\";\nstore = \"store\";\n"
             "directory = \"directory.json\";\nkeys = \"broker.key\";\n%s\n",
             more);
    write_file(broker->conf, text);
    kap_buf_t json = {0};
    world_json(world, &json);
    write_file(broker->directory, kap_buf_cstr(&json));
    kap_buf_fini(&json);
}

static void spawn(broker_t *broker)
{
    broker->pid = fork();
    cr_assert_geq(broker->pid, 0);
    if (broker->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive a test that failed */
    int fd = open(broker->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    execl(KAP_TEST_BIN_DIR "/kapula-broker", "kapula-broker", "-c", broker->conf, (char *)NULL);
    _exit(127);
}

static char *read_log(const broker_t *broker)
{
    static char text[1 << 20];
    FILE *file = fopen(broker->log, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = 0;
    if (file)
        fclose(file);
    return text;
}

int broker_said(const broker_t *broker, const char *word)
{
    int times = 0;
    for (const char *at = read_log(broker); (at = strstr(at, word)) != NULL; at++)
        times++;
    return times;
}

void broker_says(const broker_t *broker, const char *word, int times)
{
    int64_t give_up = kap_monotonic_ms() + ASKER_PATIENCE_MS;
    while (broker_said(broker, word) < times) {
        cr_assert(waitpid(broker->pid, NULL, WNOHANG) == 0, "it ended:\n%s", read_log(broker));
        cr_assert_lt(kap_monotonic_ms(), give_up, "it never said %s:\n%s", word, read_log(broker));
        usleep(2000);
    }
}

void broker_start(broker_t *broker)
{
    int times = broker_said(broker, "\"ready\"");
    spawn(broker);
    broker_says(broker, "\"ready\"", times + 1);
    const char *at = NULL;
    for (const char *next = read_log(broker); (next = strstr(next, "\"endpoint\":\"")) != NULL;
         next++)
        at = next + 12;
    cr_assert_not_null(at);
    snprintf(broker->endpoint, sizeof broker->endpoint, "%.*s", (int)strcspn(at, "\""), at);
}

static int wait_exit(broker_t *broker)
{
    int status = 0;
    int64_t give_up = kap_monotonic_ms() + ASKER_PATIENCE_MS;
    while (waitpid(broker->pid, &status, WNOHANG) == 0) {
        cr_assert_lt(kap_monotonic_ms(), give_up, "it does not end:\n%s", read_log(broker));
        usleep(2000);
    }
    broker->pid = 0;
    cr_assert(WIFEXITED(status), "signal %d:\n%s", WTERMSIG(status), read_log(broker));
    return WEXITSTATUS(status);
}

int broker_fails(broker_t *broker)
{
    spawn(broker);
    return wait_exit(broker);
}

int broker_stop(broker_t *broker)
{
    kill(broker->pid, SIGTERM);
    return wait_exit(broker);
}

void broker_kill(broker_t *broker)
{
    kill(broker->pid, SIGKILL);
    waitpid(broker->pid, NULL, 0);
    broker->pid = 0;
}

void broker_directory(broker_t *broker, const char *text, const char *said)
{
    int times = broker_said(broker, said);
    write_file(broker->directory, text);
    broker_says(broker, said, times + 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void broker_fini(broker_t *broker)
{
    if (broker->pid > 0)
        broker_kill(broker);
    kap_curve_destroy(&broker->keys);
    nftw(broker->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- the client --- */

static void on_message(void *arg, kap_msg_t **msg)
{
    asker_t *asker = arg;
    if (asker->inbox_count == sizeof asker->inbox / sizeof *asker->inbox) {
        kap_msg_destroy(&asker->inbox[0]);
        memmove(asker->inbox, asker->inbox + 1, --asker->inbox_count * sizeof *asker->inbox);
        asker->dropped++;
    }
    asker->inbox[asker->inbox_count++] = *msg;
    *msg = NULL;
    asker->got = true;
}

static void on_state(void *arg, kap_sock_state_t state)
{
    asker_t *asker = arg;
    asker->up = state == KAP_SOCK_UP;
    asker->refused = asker->refused || state == KAP_SOCK_REFUSED;
    asker->got = true;
}

void asker_init(asker_t *asker, const world_t *world, const broker_t *broker,
                const kap_curve_t *keys)
{
    memset(asker, 0, sizeof *asker);
    memcpy(asker->mesh, world->mesh, 32);
    asker->loop = kap_loop_new();
    asker->arena = kap_arena_new(65536);
    kap_sock_opts_t opts = {.type = KAP_SOCK_DEALER,
                            .client_keys = keys,
                            .server_public = broker->keys->public,
                            .max_frame_bytes = 8 << 20};
    cr_assert_eq(kap_sock_open(asker->loop, &opts, on_message, on_state, asker, &asker->sock),
                 KAP_OK);
    cr_assert_eq(kap_sock_connect(asker->sock, broker->endpoint), KAP_OK);
}

static bool turn(asker_t *asker, int64_t until)
{
    asker->got = false;
    int64_t left = until - kap_monotonic_ms();
    return left > 0 && kap_loop_run_until(asker->loop, &asker->got, left) == KAP_OK;
}

bool asker_up(asker_t *asker)
{
    int64_t until = kap_monotonic_ms() + ASKER_PATIENCE_MS;
    while (!asker->up && !asker->refused && turn(asker, until))
        continue;
    cr_assert(asker->up || asker->refused, "neither connected nor refused");
    return asker->up;
}

void asker_fini(asker_t *asker)
{
    for (size_t i = 0; i < asker->inbox_count; i++)
        kap_msg_destroy(&asker->inbox[i]);
    kap_sock_close(&asker->sock);
    kap_loop_destroy(&asker->loop);
    kap_arena_destroy(&asker->arena);
}

kap_header_t asker_header(asker_t *asker, kap_verb_t verb)
{
    uint32_t *req = kap_arena_alloc(asker->arena, sizeof *req);
    *req = ++asker->next_req;
    kap_header_t header = {
        .version = KAP_LIMIT_VERSION, .req = kap_span(req, sizeof *req), .verb = verb};
    memcpy(header.mesh, asker->mesh, 32);
    return header;
}

void asker_send(asker_t *asker, const kap_header_t *header, const kap_span_t frames[], size_t n)
{
    kap_span_t all[KAP_SOCK_FRAMES_MAX];
    kap_buf_t buf = {0};
    kap_header_encode(&buf, header);
    all[0] = kap_buf_span(&buf);
    for (size_t i = 0; i < n; i++)
        all[i + 1] = frames[i];
    cr_assert_eq(kap_sock_send(asker->sock, 0, all, n + 1), KAP_OK);
    kap_buf_fini(&buf);
}

const kap_msg_t *asker_answer(asker_t *asker, const kap_header_t *header, int64_t ms,
                              kap_header_t *answer)
{
    int64_t until = kap_monotonic_ms() + ms;
    for (uint64_t seen = asker->dropped;;) {
        if (seen < asker->dropped)
            seen = asker->dropped;
        for (; seen < asker->dropped + asker->inbox_count; seen++) {
            const kap_msg_t *msg = asker->inbox[seen - asker->dropped];
            const char *why = NULL;
            cr_assert_eq(kap_header_decode(kap_msg_frame(msg, 0), answer, &why), KAP_OK, "%s", why);
            if (kap_span_eq(answer->req, header->req))
                return msg;
        }
        if (!turn(asker, until))
            return NULL;
    }
}

/* The n-th bin of the first payload frame. */
static kap_span_t first_bin(const kap_msg_t *msg)
{
    kap_span_t rest = kap_msg_frame(msg, 1), bin = {0};
    cr_assert_eq(kap_bins_next(&rest, &bin), 1);
    return bin;
}

void asker_publish(asker_t *asker, const char *source, uint64_t first, uint32_t count,
                   kap_span_t bins, kap_receipt_t *receipt)
{
    kap_header_t header = asker_header(asker, KAP_VERB_PUBLISH), answer;
    header.source = kap_span_str(source);
    header.first = first;
    header.count = count;
    asker_send(asker, &header, &bins, 1);
    const kap_msg_t *msg = asker_answer(asker, &header, ASKER_PATIENCE_MS, &answer);
    cr_assert_not_null(msg, "no receipt");
    cr_assert_eq(answer.verb, KAP_VERB_RECEIPT, "%s", kap_verb_name(answer.verb));
    cr_assert(kap_span_eq(answer.source, header.source));
    cr_assert_eq(answer.first, first);
    const char *why = NULL;
    cr_assert_eq(kap_receipt_decode(first_bin(msg), asker->arena, receipt, &why), KAP_OK, "%s",
                 why);
}

static uint16_t error_of(asker_t *asker, const kap_msg_t *msg)
{
    kap_answer_t error;
    const char *why = NULL;
    cr_assert_eq(kap_answer_decode(first_bin(msg), asker->arena, &error, &why), KAP_OK, "%s", why);
    cr_assert_neq(error.refusal, 0);
    cr_assert_gt(error.sentence.size, 0);
    return error.refusal;
}

uint16_t asker_error(asker_t *asker, const kap_header_t *header)
{
    kap_header_t answer;
    const kap_msg_t *msg = asker_answer(asker, header, ASKER_PATIENCE_MS, &answer);
    cr_assert_not_null(msg, "no answer");
    return answer.verb == KAP_VERB_ERROR ? error_of(asker, msg) : 0;
}

kap_header_t asker_fetch_send(asker_t *asker, const kap_fetch_t *fetch)
{
    kap_buf_t map = {0}, bin = {0};
    kap_fetch_encode(&map, fetch);
    kap_bin_put(&bin, kap_buf_span(&map));
    kap_header_t header = asker_header(asker, KAP_VERB_FETCH);
    kap_span_t frame = kap_buf_span(&bin);
    asker_send(asker, &header, &frame, 1);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
    return header;
}

static void take_events(asker_t *asker, kap_span_t rest, asker_events_t *events)
{
    kap_span_t meta;
    const char *why = NULL;
    while (kap_bins_next(&rest, &meta) == 1) {
        cr_assert_lt(events->count, sizeof events->events / sizeof *events->events);
        asker_event_t *event = &events->events[events->count++];
        cr_assert_eq(kap_event_meta_decode(meta, asker->arena, &event->meta, &why), KAP_OK, "%s",
                     why);
        cr_assert_eq(kap_bins_next(&rest, &event->open), 1);
        cr_assert_eq(kap_bins_next(&rest, &event->ends), 1);
        cr_assert_eq(kap_bins_next(&rest, &event->sealed), 1);
    }
}

bool asker_fetched(asker_t *asker, const kap_header_t *header, int64_t ms, asker_events_t *events)
{
    kap_header_t answer;
    const char *why = NULL;
    const kap_msg_t *msg = asker_answer(asker, header, ms, &answer);
    memset(events, 0, sizeof *events);
    if (!msg)
        return false;
    if (answer.verb == KAP_VERB_ERROR) {
        events->refusal = error_of(asker, msg);
        return true;
    }
    cr_assert_eq(answer.verb, KAP_VERB_EVENTS);
    cr_assert_eq(kap_events_head_decode(first_bin(msg), asker->arena, &events->head, &why), KAP_OK,
                 "%s", why);
    for (size_t i = 2; i < kap_msg_count(msg); i++)
        take_events(asker, kap_msg_frame(msg, i), events);
    cr_assert_eq(answer.count, events->count);
    return true;
}

void asker_fetch(asker_t *asker, const char *stream, const uint8_t *epoch, uint64_t seq,
                 uint32_t wait_ms, asker_events_t *events)
{
    kap_cursor_at_t at = {.stream = kap_span_str(stream), .seq = seq};
    if (epoch)
        memcpy(at.epoch, epoch, sizeof at.epoch);
    kap_fetch_t fetch = {.after = &at, .after_count = 1, .wait_ms = wait_ms};
    kap_header_t header = asker_fetch_send(asker, &fetch);
    cr_assert(asker_fetched(asker, &header, ASKER_PATIENCE_MS + wait_ms, events), "no answer");
}

void asker_query(asker_t *asker, const char *name, kap_answer_t *answer, ...)
{
    kap_buf_t map = {0}, bin = {0};
    uint32_t n = 0;
    va_list args, count;
    va_start(args, answer);
    va_copy(count, args);
    while (va_arg(count, const char *))
        n++;
    va_end(count);
    kap_query_begin(&map, name, n / 2);
    while (n-- > 0)
        kap_mp_put_cstr(&map, va_arg(args, const char *));
    va_end(args);
    kap_bin_put(&bin, kap_buf_span(&map));
    kap_header_t header = asker_header(asker, KAP_VERB_QUERY), got;
    kap_span_t frame = kap_buf_span(&bin);
    asker_send(asker, &header, &frame, 1);
    const kap_msg_t *msg = asker_answer(asker, &header, ASKER_PATIENCE_MS, &got);
    cr_assert_not_null(msg, "no answer");
    const char *why = NULL;
    cr_assert_eq(kap_answer_decode(first_bin(msg), asker->arena, answer, &why), KAP_OK, "%s", why);
    cr_assert_eq(got.verb, answer->refusal ? KAP_VERB_ERROR : KAP_VERB_ANSWER);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
}

void event_bins(kap_buf_t *bins, const char *source, uint64_t sequence, kap_event_type_t type,
                const char *referral, const char *from, const char *to, const char *region)
{
    kap_event_builder_t b;
    kap_buf_t open = {0}, ends = {0};
    char id[KAP_UUID_TEXT], case_id[220];
    uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1};
    kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};
    int64_t now = kap_clock_now_ms(kap_clock_system());
    kap_uuid_v7_random(now, id);
    snprintf(case_id, sizeof case_id, "case-%s", referral);
    kap_event_builder_begin(&b, type, kap_span_str(id), kap_span_str(source), sequence, now, now);
    kap_event_builder_set_span(&b, KAP_F_REFERRAL, kap_span_str(referral));
    if (type == KAP_EV_REFERRAL_CREATED) {
        kap_event_builder_set_code(&b, KAP_F_KIND, KAP_KIND_TRANSFER);
        kap_event_builder_set_span(&b, KAP_F_FROM, kap_span_str(from));
        kap_event_builder_set_span(&b, KAP_F_TO, kap_span_str(to));
        kap_event_builder_set_span(&b, KAP_F_REGION, kap_span_str(region));
        kap_event_builder_set_code(&b, KAP_F_SERVICE, KAP_SERVICE_FINANCING);
        kap_event_builder_set_code(&b, KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN);
        kap_event_builder_set_basis(&b, &basis);
        kap_event_builder_set_span(&b, KAP_F_CASE, kap_span_str(case_id));
    } else if (type == KAP_EV_REFERRAL_COMPLETED) {
        kap_event_builder_set_code(&b, KAP_F_OUTCOME, KAP_OUTCOME_HANDLED);
    }
    cr_assert_eq(kap_event_builder_finish(&b, salt, (kap_span_t){0}, &open, &ends), KAP_OK,
                 "field %d", (int)b.field);
    kap_bin_put(bins, kap_buf_span(&open));
    kap_bin_put(bins, kap_buf_span(&ends));
    kap_bin_put(bins, (kap_span_t){0});
    cr_assert_eq(bins->err, KAP_OK);
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

void asker_refer(asker_t *kunta, uint64_t first, uint32_t count)
{
    kap_buf_t bins = {0};
    kap_receipt_t receipt;
    char referral[32];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(referral, sizeof referral, "r-%u", (unsigned)(first + i));
        event_bins(&bins, "kunta/p1", first + i, KAP_EV_REFERRAL_CREATED, referral, "kunta", "te",
                   "mikkeli");
    }
    asker_publish(kunta, "kunta/p1", first, count, kap_buf_span(&bins), &receipt);
    cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    cr_assert_eq(receipt.verdict_count, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(receipt.verdicts[i].verdict, KAP_VERDICT_ACCEPTED, "%.*s",
                     KAP_SPAN_ARGS(receipt.verdicts[i].sentence));
    cr_assert_eq(receipt.expected, first + count);
    kap_buf_fini(&bins);
}

void asker_tell(asker_t *asker, const char *source, uint64_t sequence, kap_event_type_t type,
                const char *referral)
{
    kap_buf_t bins = {0};
    kap_receipt_t receipt;
    event_bins(&bins, source, sequence, type, referral, NULL, NULL, NULL);
    asker_publish(asker, source, sequence, 1, kap_buf_span(&bins), &receipt);
    cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    cr_assert_eq(receipt.verdicts[0].verdict, KAP_VERDICT_ACCEPTED, "%.*s",
                 KAP_SPAN_ARGS(receipt.verdicts[0].sentence));
    kap_buf_fini(&bins);
}

void scene_open(scene_t *scene, const char *conf)
{
    world_init(&scene->world);
    cr_assert_eq(kap_sock_system_start(), KAP_OK);
    broker_init(&scene->broker, &scene->world, conf ? conf : "");
    if (conf)
        broker_start(&scene->broker);
}

void scene_connect(scene_t *scene, asker_t *asker, const char *id)
{
    asker_init(asker, &scene->world, &scene->broker, world_member(&scene->world, id)->keys);
    cr_assert(asker_up(asker), "%s was refused", id);
}

void scene_close(scene_t *scene)
{
    broker_fini(&scene->broker);
    kap_sock_system_stop();
    world_fini(&scene->world);
}
