/* SPDX-License-Identifier: MPL-2.0 */
#include "door.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer.h"
#include "cli.h"
#include "clock.h"
#include "err.h"
#include "frame.h"
#include "loop.h"
#include "sock.h"

enum { RULES = 64, REQUESTS = 64, ARGS = 40, EVENTS = 64, PATIENCE_MS = 20000 };

extern char **environ;

struct door {
    const char *output; /* instead of folder/out; or NULL */
    char folder[64];
    kap_loop_t *loop;
    kap_sock_t *sock;
    struct {
        char name[48];
        kap_buf_t map;
        bool used;
    } rules[RULES];
    int rule_count;
    struct {
        kap_buf_t open, ends;
        char subject[64];
        int64_t at;
    } events[EVENTS];
    int event_count;
    bool has_stream;
    char *requests[REQUESTS];
    int request_count;
    uint8_t last_req[KAP_LIMIT_REQ_BYTES]; /* a request that is sent again counts once */
    size_t last_req_size;
    const kap_buf_t *last_map;
    pid_t child;
    bool ended;
    int status;
    run_t run;
    struct {
        char key[32], value[160];
    } conf[16];
    int conf_count;
};

/* --- JSON to MessagePack --- */

static void put_json(kap_buf_t *out, const json_t *json)
{
    const char *name;
    json_t *value;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        kap_mp_put_map(out, (uint32_t)json_object_size(json));
        json_object_foreach((json_t *)json, name, value)
        {
            kap_mp_put_cstr(out, name);
            put_json(out, value);
        }
        break;
    case JSON_ARRAY:
        kap_mp_put_array(out, (uint32_t)json_array_size(json));
        for (size_t i = 0; i < json_array_size(json); i++)
            put_json(out, json_array_get(json, i));
        break;
    case JSON_STRING:
        kap_mp_put_cstr(out, json_string_value(json));
        break;
    case JSON_INTEGER:
        kap_mp_put_int(out, json_integer_value(json));
        break;
    case JSON_NULL:
        kap_mp_put_nil(out);
        break;
    default:
        kap_mp_put_bool(out, json_is_true(json));
        break;
    }
}

static json_t *parsed(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    cr_assert(json, "%s: line %d: %s", error.text, error.line, text);
    return json;
}

void door_answers(door_t *door, const char *name, const char *text)
{
    cr_assert_lt(door->rule_count, RULES);
    json_t *json = parsed(text);
    snprintf(door->rules[door->rule_count].name, sizeof door->rules[0].name, "%s", name);
    kap_buf_init(&door->rules[door->rule_count].map);
    put_json(&door->rules[door->rule_count++].map, json);
    json_decref(json);
}

/* --- the stream --- */

void door_stream_begin(door_t *door)
{
    door->has_stream = true;
}

static void set_field(kap_event_builder_t *b, kap_arena_t *arena, const char *name,
                      const json_t *value)
{
    kap_field_t field = kap_field_parse(kap_span_str(name));
    kap_buf_t raw;
    cr_assert_neq(field, KAP_F_NONE, "%s", name);
    if (json_is_string(value) && kap_field_row(field)->type == KAP_TYPE_CODE) {
        kap_span_t text = kap_span_str(json_string_value(value));
        kap_event_builder_set_code(b, field, kap_code_parse(kap_field_row(field)->list, text));
    } else if (json_is_string(value)) {
        kap_event_builder_set_span(b, field,
                                   kap_arena_dup(arena, kap_span_str(json_string_value(value))));
    } else if (json_is_integer(value)) {
        kap_event_builder_set_int(b, field, json_integer_value(value));
    } else if (json_is_boolean(value)) {
        kap_event_builder_set_bool(b, field, json_is_true(value));
    } else {
        kap_buf_init(&raw);
        put_json(&raw, value);
        kap_event_builder_set_raw(b, field, kap_arena_dup(arena, kap_buf_span(&raw)));
        kap_buf_fini(&raw);
    }
}

void door_stream_add(door_t *door, const char *type, const char *subject, const char *member,
                     const char *time, const char *text)
{
    uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1};
    char id[64], source[64];
    int n = door->event_count++;
    kap_arena_t *arena = kap_arena_new(4096);
    json_t *json = parsed(text), *value;
    const char *name;
    kap_event_builder_t b;
    int64_t at;
    cr_assert_lt(n, EVENTS);
    cr_assert_eq(kap_time_parse(kap_span_str(time), KAP_ZONE_UTC, &at, NULL), KAP_OK);
    snprintf(id, sizeof id, "0193aaaa-0000-7000-8000-%012d", n);
    snprintf(source, sizeof source, "%s/00112233", member);
    snprintf(door->events[n].subject, sizeof door->events[n].subject, "%s", subject);
    kap_buf_init(&door->events[n].open);
    kap_buf_init(&door->events[n].ends);
    door->events[n].at = at;
    kap_event_builder_begin(&b, kap_event_type_parse(kap_span_str(type)), kap_span_str(id),
                            kap_span_str(source), (uint64_t)n + 1, at, at);
    kap_event_builder_set_subject(&b, kap_span_str(subject));
    json_object_foreach(json, name, value) set_field(&b, arena, name, value);
    int rc = kap_event_builder_finish(&b, salt, kap_span("", 0), &door->events[n].open,
                                      &door->events[n].ends);
    cr_assert_eq(rc, KAP_OK, "%s: %s: %s", type, kap_err_text(rc),
                 b.field ? kap_field_row(b.field)->wire : "");
    json_decref(json);
    kap_arena_destroy(&arena);
}

/* The EVENTS answer for whoever stands at `after`. */
static void put_stream(const door_t *door, kap_buf_t *frame, uint64_t after)
{
    kap_stream_state_t state = {.stream = kap_span_str("region/mikkeli"),
                                .status = KAP_FETCH_OK,
                                .head = (uint64_t)door->event_count};
    kap_events_head_t head = {.as_of_seq = (uint64_t)door->event_count,
                              .as_of_time = 1,
                              .streams = &state,
                              .stream_count = 1};
    kap_buf_t part;
    memset(head.epoch, 7, sizeof head.epoch);
    kap_buf_init(&part);
    kap_events_head_encode(&part, &head);
    kap_bin_put(frame, kap_buf_span(&part));
    for (int i = (int)after; i < door->event_count; i++) {
        kap_event_meta_t meta = {.stream_seq = (uint64_t)i + 1,
                                 .log_seq = (uint64_t)i + 1,
                                 .committed_at = door->events[i].at,
                                 .verdict = KAP_VERDICT_ACCEPTED,
                                 .source = kap_span_str("municipality/00112233"),
                                 .sequence = (uint64_t)i + 1};
        kap_buf_reset(&part);
        kap_event_meta_encode(&part, &meta);
        kap_bin_put(frame, kap_buf_span(&part));
        kap_bin_put(frame, kap_buf_span(&door->events[i].open));
        kap_bin_put(frame, kap_span("", 0)); /* a region's reader gets no ends */
        kap_bin_put(frame, kap_span("", 0));
    }
    kap_buf_fini(&part);
}

/* --- the door --- */

static kap_span_t name_of(kap_verb_t verb, const kap_mp_t *root)
{
    return verb == KAP_VERB_FETCH   ? kap_span_str("fetch")
           : verb == KAP_VERB_QUERY ? kap_mp_get_str(root, "query")
           : verb == KAP_VERB_LOCAL ? kap_mp_get_str(root, "local")
                                    : kap_mp_get_str(root, "verb");
}

static const kap_buf_t *rule_of(door_t *door, kap_span_t name)
{
    int last = -1;
    for (int i = 0; i < door->rule_count; i++) {
        if (!kap_span_eq_str(name, door->rules[i].name))
            continue;
        last = i;
        if (!door->rules[i].used)
            break;
    }
    if (last < 0)
        return NULL;
    door->rules[last].used = true;
    return &door->rules[last].map;
}

static void note_request(door_t *door, const kap_mp_t *root)
{
    size_t size;
    if (door->request_count == REQUESTS)
        return;
    FILE *memory = open_memstream(&door->requests[door->request_count++], &size);
    kap_cli_print_json_line(root, memory);
    fclose(memory);
}

static void on_message(void *arg, kap_msg_t **msg)
{
    door_t *door = arg;
    kap_header_t header;
    kap_mp_t root;
    kap_span_t bin, rest = kap_msg_frame(*msg, 1);
    kap_arena_t *arena = kap_arena_new(4096);
    kap_buf_t head, frame;
    kap_buf_init(&head);
    kap_buf_init(&frame);
    if (kap_header_decode(kap_msg_frame(*msg, 0), &header, NULL) == KAP_OK &&
        kap_bins_next(&rest, &bin) == 1 && kap_mp_read(bin, arena, &root, NULL) == KAP_OK) {
        kap_span_t name = name_of(header.verb, &root);
        bool again = kap_span_eq(header.req, kap_span(door->last_req, door->last_req_size));
        const kap_buf_t *map = again ? door->last_map : rule_of(door, name);
        bool stream = header.verb == KAP_VERB_FETCH && door->has_stream && !map;
        if (!again)
            note_request(door, &root);
        memcpy(door->last_req, header.req.data, header.req.size);
        door->last_req_size = header.req.size;
        door->last_map = map;
        kap_header_t answer = {.version = KAP_LIMIT_VERSION,
                               .req = header.req,
                               .verb = stream ? KAP_VERB_EVENTS : KAP_VERB_ANSWER,
                               .count = stream ? (uint32_t)door->event_count : 0};
        memcpy(answer.mesh, header.mesh, sizeof answer.mesh);
        kap_header_encode(&head, &answer);
        if (stream) {
            const kap_mp_t *at = kap_mp_item(kap_mp_get(&root, "after"), 0);
            int64_t seq = 0;
            for (uint32_t i = 0; at && i < at->count; i++)
                kap_mp_int(&at->items[i], 0, EVENTS, &seq);
            put_stream(door, &frame, (uint64_t)seq);
        } else if (map) {
            kap_bin_put(&frame, kap_buf_span(map));
        }
        kap_span_t frames[] = {kap_buf_span(&head), kap_buf_span(&frame)};
        if (map || stream)
            kap_sock_send(door->sock, kap_msg_peer(*msg), frames, 2);
    }
    kap_buf_fini(&head);
    kap_buf_fini(&frame);
    kap_arena_destroy(&arena);
}

void door_conf(door_t *door, const char *key, const char *value)
{
    char path[96];
    int i = 0;
    while (i < door->conf_count && strcmp(door->conf[i].key, key) != 0)
        i++;
    if (i == door->conf_count)
        door->conf_count++;
    snprintf(door->conf[i].key, sizeof door->conf[i].key, "%s", key);
    snprintf(door->conf[i].value, sizeof door->conf[i].value, "%s", value);
    snprintf(path, sizeof path, "%s/kapula.conf", door->folder);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    for (i = 0; i < door->conf_count; i++)
        fprintf(file, "%s = %s;\n", door->conf[i].key, door->conf[i].value);
    fclose(file);
}

door_t *door_open(void)
{
    char endpoint[128], quoted[160];
    door_t *door = calloc(1, sizeof *door);
    signal(SIGPIPE, SIG_IGN);
    strcpy(door->folder, "/tmp/kapula-door-XXXXXX");
    cr_assert(mkdtemp(door->folder));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/door", door->folder);
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    cr_assert_eq(kap_clock_init_zone(), KAP_OK);
    cr_assert_eq(kap_sock_system_start(), KAP_OK);
    door->loop = kap_loop_new();
    kap_sock_opts_t opts = {.type = KAP_SOCK_ROUTER, .local = true};
    cr_assert_eq(kap_sock_open(door->loop, &opts, on_message, NULL, door, &door->sock), KAP_OK);
    cr_assert_eq(kap_sock_bind(door->sock, endpoint, NULL), KAP_OK);
    snprintf(quoted, sizeof quoted, "\"%s\"", endpoint);
    door_conf(door, "endpoint", quoted);
    door_conf(door, "mesh", "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"");
    door_conf(door, "timeout", "\"2s\"");
    door_conf(door, "region", "\"mikkeli\"");
    door_conf(door, "member", "\"municipality\"");
    return door;
}

static void forget_run(door_t *door)
{
    for (int i = 0; i < door->request_count; i++)
        free(door->requests[i]);
    door->request_count = 0;
    door->last_req_size = 0;
    free(door->run.out);
    free(door->run.err);
    door->run = (run_t){0};
}

void door_close(door_t **ref)
{
    door_t *door = *ref;
    static const char *const files[] = {"kapula.conf", "out",       "err",
                                        "door",        "sheet.csv", "directory.json"};
    kap_sock_close(&door->sock);
    kap_loop_destroy(&door->loop);
    kap_sock_system_stop();
    forget_run(door);
    for (int i = 0; i < door->rule_count; i++)
        kap_buf_fini(&door->rules[i].map);
    for (int i = 0; i < door->event_count; i++) {
        kap_buf_fini(&door->events[i].open);
        kap_buf_fini(&door->events[i].ends);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", door->folder, files[i]);
        unlink(path);
    }
    rmdir(door->folder);
    free(door);
    *ref = NULL;
}

/* --- the child --- */

static void look(void *arg)
{
    door_t *door = arg;
    if (!door->ended && waitpid(door->child, &door->status, WNOHANG) == door->child)
        door->ended = true;
}

static char *slurp(const door_t *door, const char *name)
{
    char path[128];
    kap_buf_t text;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", door->folder, name);
    FILE *file = fopen(path, "rb");
    cr_assert(file);
    kap_buf_init(&text);
    for (int c; (c = getc(file)) != EOF;)
        kap_buf_u8(&text, (uint8_t)c);
    kap_buf_u8(&text, 0);
    fclose(file);
    return (char *)kap_buf_take(&text, &size);
}

static void spawn(door_t *door, char *argv[])
{
    char out[128], err[128];
    posix_spawn_file_actions_t actions;
    snprintf(out, sizeof out, "%s/out", door->folder);
    snprintf(err, sizeof err, "%s/err", door->folder);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (door->output)
        posix_spawn_file_actions_addopen(&actions, 1, door->output, O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(
        posix_spawn(&door->child, KAP_TEST_BIN_DIR "/kapula", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
}

const run_t *door_kapula(door_t *door, const char *arguments)
{
    char conf[96], *words = strdup(arguments), name[] = "kapula", option[] = "-c",
                   *argv[ARGS] = {name, option, conf}, *save = NULL;
    int n = 3;
    forget_run(door);
    snprintf(conf, sizeof conf, "%s/kapula.conf", door->folder);
    for (char *w = strtok_r(words, " ", &save); w && n < ARGS - 1; w = strtok_r(NULL, " ", &save)) {
        for (char *c = w; *c; c++)
            *c = *c == '~' ? ' ' : *c;
        argv[n++] = w;
    }
    int64_t begin = kap_monotonic_ms();
    door->ended = false;
    spawn(door, argv);
    kap_timer_t *timer = kap_timer_start(door->loop, 2, 2, look, door);
    if (kap_loop_run_until(door->loop, &door->ended, PATIENCE_MS) != KAP_OK) {
        kill(door->child, SIGKILL);
        waitpid(door->child, &door->status, 0);
    }
    kap_timer_stop(&timer);
    free(words);
    door->run.took_ms = kap_monotonic_ms() - begin;
    door->run.code = !door->ended ? -1 : WIFEXITED(door->status) ? WEXITSTATUS(door->status) : -2;
    door->run.out = slurp(door, "out");
    door->run.err = slurp(door, "err");
    return &door->run;
}

void door_output(door_t *door, const char *path)
{
    door->output = path;
}

const char *door_request(const door_t *door, int i)
{
    return i < door->request_count ? door->requests[i] : "";
}

const char *door_folder(const door_t *door)
{
    return door->folder;
}

int widest_line(const char *text)
{
    int widest = 0, n = 0;
    for (const char *c = text; *c; c++) {
        n = *c == '\n' ? 0 : n + (((unsigned char)*c & 0xc0) != 0x80);
        widest = n > widest ? n : widest;
    }
    return widest;
}
