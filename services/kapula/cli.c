/* SPDX-License-Identifier: MPL-2.0 */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "answer.h"
#include "err.h"
#include "frame.h"
#include "ids.h"
#include "sock.h"

enum { FILE_MAX_BYTES = 16 << 20 };

static int connections; /* the context of sockets lives as long as any of them */

static const char *const languages[] = {"fi", "sv", "en", NULL};

static const kap_conf_key_t cli_keys[] = {
    {"endpoint", KAP_CONF_STRING, NULL, 1, 255, NULL,
     "A node's local door (ipc:///...), or the broker's (tcp://host:port).", NULL, true},
    {"mesh", KAP_CONF_STRING, NULL, 64, 64, NULL, "Mesh id, 64 hex digits.", NULL, true},
    {"key", KAP_CONF_PATH, NULL, 1, 4096, NULL, "Key file of the connection; needed with tcp.",
     NULL, false},
    {"broker_public", KAP_CONF_STRING, NULL, 40, 40, NULL,
     "The broker's CURVE public key, Z85; needed with tcp.", NULL, false},
    {"member", KAP_CONF_STRING, NULL, 1, 200, NULL, "Id of our own member.", NULL, false},
    {"region", KAP_CONF_STRING, NULL, 1, 200, NULL, "Region of commands that name none.", NULL,
     false},
    {"language", KAP_CONF_ENUM, "en", 0, 0, NULL, "Language of names and words shown.", languages,
     false},
    {"directory", KAP_CONF_PATH, NULL, 1, 4096, NULL, "Directory file, for names.", NULL, false},
    {"timeout", KAP_CONF_DURATION_MS, "10s", 100, 600000, NULL, "How long an answer is waited for.",
     NULL, false},
    {NULL}};

int kap_cli_fail(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("kapula: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return code;
}

/* Messages of a reader, a line each. */
static void tell(const kap_buf_t *messages)
{
    size_t from = 0;
    for (size_t i = 0; i <= messages->size; i++)
        if (i == messages->size || messages->data[i] == '\n') {
            if (i > from)
                kap_cli_fail(0, "%.*s", (int)(i - from), (const char *)messages->data + from);
            from = i + 1;
        }
}

/* The first of the usual places that exists; the last one, for its message, when none does. */
static const char *usual_path(char *out, size_t size)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && *xdg)
        snprintf(out, size, "%s/kapula/kapula.conf", xdg);
    else
        snprintf(out, size, "%s/.config/kapula/kapula.conf", home ? home : "");
    if (access(out, F_OK) != 0)
        snprintf(out, size, "/etc/kapula/kapula.conf");
    return out;
}

int kap_cli_configure(kap_cli_t *cli)
{
    static const kap_conf_key_t *const tables[] = {cli_keys, NULL};
    char usual[4096];
    if (cli->conf)
        return 0;
    kap_buf_t messages;
    kap_buf_init(&messages);
    const char *path = cli->conf_path ? cli->conf_path : usual_path(usual, sizeof usual);
    int rc = kap_conf_load(path, tables, &cli->conf, &messages);
    kap_span_t mesh = kap_span_str(rc == KAP_OK ? kap_conf_str(cli->conf, "mesh") : "");
    if (rc != KAP_OK)
        tell(&messages);
    else if (kap_hex_decode(mesh, cli->mesh, sizeof cli->mesh) != KAP_OK)
        rc = kap_cli_fail(KAP_E_CONFIG, "%s: mesh: not 64 hex digits; `kapula keygen` prints it",
                          path);
    else if (!cli->lang)
        cli->lang = kap_conf_str(cli->conf, "language");
    kap_buf_fini(&messages);
    return rc == KAP_OK ? 0 : KAP_EXIT_USAGE;
}

bool kap_cli_is_local(const kap_cli_t *cli)
{
    return strncmp(kap_conf_str(cli->conf, "endpoint"), "ipc:", 4) == 0;
}

int kap_cli_needs_node(kap_cli_t *cli, const char *does)
{
    int code = kap_cli_configure(cli);
    if (code == 0 && !kap_cli_is_local(cli))
        code = kap_cli_fail(KAP_EXIT_USAGE,
                            "only a member's node %s this: use its configuration "
                            "(-c), not one of the broker",
                            does);
    return code;
}

/* The keys of a connection by TCP. */
static int read_keys(kap_cli_t *cli, uint8_t server_public[32])
{
    const char *file = kap_conf_str(cli->conf, "key");
    const char *server = kap_conf_str(cli->conf, "broker_public");
    if (!file || !server)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "the configuration's endpoint is tcp: it needs key and broker_public");
    if (kap_z85_decode(server_public, 32, kap_span_str(server)) != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "broker_public: not 40 characters of Z85");
    kap_buf_t messages;
    kap_buf_init(&messages);
    int rc = kap_curve_read(file, &cli->keys, &messages);
    if (rc != KAP_OK)
        tell(&messages);
    kap_buf_fini(&messages);
    return rc == KAP_OK ? 0 : KAP_EXIT_USAGE;
}

int kap_cli_connect(kap_cli_t *cli)
{
    if (cli->client)
        return 0;
    uint8_t server_public[32];
    int code = kap_cli_configure(cli);
    if (code == 0 && !kap_cli_is_local(cli))
        code = read_keys(cli, server_public);
    if (code != 0)
        return code;
    kap_client_opts_t opts = {.endpoint = kap_conf_str(cli->conf, "endpoint"),
                              .keys = cli->keys,
                              .server_public = cli->keys ? server_public : NULL,
                              .local = kap_cli_is_local(cli)};
    memcpy(opts.mesh, cli->mesh, sizeof opts.mesh);
    int rc = connections == 0 ? kap_sock_system_start() : KAP_OK;
    if (rc == KAP_OK && !(cli->loop = kap_loop_new()))
        rc = KAP_E_NOMEM;
    connections += cli->loop != NULL;
    if (rc == KAP_OK)
        rc = kap_client_open(cli->loop, &opts, &cli->client);
    if (rc != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "endpoint %s: %s", opts.endpoint, kap_err_text(rc));
    return 0;
}

static int explain_silence(const kap_cli_t *cli, int rc)
{
    const char *endpoint = kap_conf_str(cli->conf, "endpoint");
    if (rc == KAP_E_DENIED)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE,
                            "%s does not know our key: is it in the mesh's directory, and is "
                            "broker_public right?",
                            endpoint);
    if (rc == KAP_E_TIMEOUT)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE, "%s did not answer in time", endpoint);
    return kap_cli_fail(KAP_EXIT_UNREACHABLE, "%s is not reachable: is the %s running?", endpoint,
                        kap_cli_is_local(cli) ? "node" : "broker");
}

int kap_cli_refused(kap_cli_t *cli, const kap_mp_t *error)
{
    kap_span_t sentence = kap_mp_get_str(error, "sentence"), field = kap_mp_get_str(error, "field");
    kap_span_t code = kap_mp_get_str(error, "code");
    const kap_mp_t *candidates = kap_mp_get(error, "candidates");
    kap_buf_t line;
    kap_buf_init(&line);
    if (!kap_span_empty(field))
        kap_buf_printf(&line, "%.*s: ", KAP_SPAN_ARGS(field));
    kap_buf_append(&line, kap_span_empty(sentence) ? code : sentence);
    for (uint32_t i = 0; candidates && candidates->kind == KAP_MP_ARRAY && i < candidates->count;
         i++) {
        kap_span_t id = kap_span_str("?");
        kap_mp_str(kap_mp_item(candidates, i), &id);
        kap_span_t name = kap_cli_member_name(cli, id);
        kap_buf_printf(&line, "%s%.*s", i ? ", " : ": ", KAP_SPAN_ARGS(id));
        if (!kap_span_eq(id, name))
            kap_buf_printf(&line, " (%.*s)", KAP_SPAN_ARGS(name));
    }
    for (size_t i = 0; i < line.size; i++) /* one line, whatever was said */
        line.data[i] = line.data[i] < 0x20 ? ' ' : line.data[i];
    kap_cli_fail(0, "%.*s", KAP_SPAN_ARGS(line));
    kap_buf_fini(&line);
    bool silent =
        kap_span_eq_str(code, "local.unreachable") || kap_span_eq_str(code, "local.timeout");
    return silent ? KAP_EXIT_UNREACHABLE : KAP_EXIT_REFUSED;
}

/* The one map of a payload frame that lies in the arena. */
static int read_answer(kap_cli_t *cli, kap_span_t frame, bool quietly, const kap_mp_t **root)
{
    kap_span_t bin;
    kap_mp_t *node = kap_arena_alloc(cli->arena, sizeof *node);
    const char *why = "no payload";
    if (!node)
        return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    if (kap_bins_next(&frame, &bin) != 1 ||
        kap_mp_read_answer(bin, cli->arena, node, &why) != KAP_OK)
        return kap_cli_fail(KAP_EXIT_REFUSED, "an answer that cannot be read: %s", why);
    const kap_mp_t *error = kap_mp_get(node, "error");
    if (error && !quietly)
        return kap_cli_refused(cli, error);
    *root = node;
    return 0;
}

/* One request and its answer's payload frames, copied into the arena. */
static int exchange(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                    bool quietly, kap_span_t *frames, size_t max, size_t *count, kap_verb_t *said)
{
    int code = kap_cli_connect(cli);
    if (code != 0)
        return code;
    kap_header_t header;
    kap_msg_t *answer = NULL;
    kap_buf_t frame;
    kap_buf_init(&frame);
    kap_bin_put(&frame, map);
    kap_span_t span = kap_buf_span(&frame);
    kap_request_t request = {.verb = verb,
                             .frames = &span,
                             .frame_count = 1,
                             .timeout_ms =
                                 timeout_ms > 0 ? timeout_ms : kap_conf_int(cli->conf, "timeout")};
    int rc = frame.err ? frame.err : kap_client_call(cli->client, &request, &header, &answer);
    *count = 0;
    for (size_t i = 1; rc == KAP_OK && i < kap_msg_count(answer) && *count < max; i++)
        frames[(*count)++] = kap_arena_dup(cli->arena, kap_msg_frame(answer, i));
    if (rc == KAP_OK)
        *said = header.verb;
    else
        code = quietly ? KAP_EXIT_UNREACHABLE : explain_silence(cli, rc);
    kap_msg_destroy(&answer);
    kap_buf_fini(&frame);
    return code;
}

static int ask(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms, bool quietly,
               const kap_mp_t **root)
{
    kap_span_t frame = {0};
    kap_verb_t said;
    size_t count;
    int code = exchange(cli, verb, map, timeout_ms, quietly, &frame, 1, &count, &said);
    return code != 0 ? code : read_answer(cli, frame, quietly, root);
}

int kap_cli_ask_frames(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                       kap_span_t *frames, size_t max, size_t *count)
{
    const kap_mp_t *root;
    kap_verb_t said;
    int code = exchange(cli, verb, map, timeout_ms, false, frames, max, count, &said);
    if (code == 0 && said != KAP_VERB_EVENTS) {
        code = read_answer(cli, *count ? frames[0] : (kap_span_t){0}, false, &root);
        code = code ? code : kap_cli_fail(KAP_EXIT_REFUSED, "an answer of another kind");
    }
    return code;
}

int kap_cli_ask(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                const kap_mp_t **root)
{
    return ask(cli, verb, map, timeout_ms, false, root);
}

int kap_cli_ask_quietly(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                        const kap_mp_t **root)
{
    return ask(cli, verb, map, timeout_ms, true, root);
}

int kap_cli_query(kap_cli_t *cli, const char *name, const kap_mp_t **root)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_query_begin(&map, name, 0);
    int code = kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

int kap_cli_local(kap_cli_t *cli, const char *word, const kap_mp_t **root)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, 1);
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, word);
    int code = kap_cli_ask(cli, KAP_VERB_LOCAL, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

int kap_cli_read_file(const char *path, kap_buf_t *out)
{
    FILE *file = fopen(path, "rb");
    uint8_t chunk[65536];
    size_t n;
    if (!file)
        return KAP_E_NOTFOUND;
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0 && out->size <= FILE_MAX_BYTES)
        kap_buf_append(out, kap_span(chunk, n));
    int rc = ferror(file) ? KAP_E_IO : out->size > FILE_MAX_BYTES ? KAP_E_LIMIT : out->err;
    fclose(file);
    return rc;
}

const kap_directory_t *kap_cli_directory(kap_cli_t *cli)
{
    if (cli->directory || kap_cli_configure(cli) != 0 || !kap_conf_str(cli->conf, "directory"))
        return cli->directory;
    kap_buf_t json, messages;
    kap_buf_init(&json);
    kap_buf_init(&messages);
    if (kap_cli_read_file(kap_conf_str(cli->conf, "directory"), &json) == KAP_OK)
        kap_directory_parse(kap_buf_span(&json), &cli->directory, &messages);
    kap_buf_fini(&json);
    kap_buf_fini(&messages);
    return cli->directory;
}

kap_span_t kap_cli_name_of(const kap_cli_t *cli, const kap_member_t *member)
{
    return strcmp(cli->lang, "fi") == 0   ? member->name_fi
           : strcmp(cli->lang, "sv") == 0 ? member->name_sv
                                          : member->name_en;
}

kap_span_t kap_cli_member_name(kap_cli_t *cli, kap_span_t id)
{
    const kap_directory_t *dir = kap_cli_directory(cli);
    const kap_member_t *member = dir ? kap_directory_member(dir, id) : NULL;
    return member ? kap_cli_name_of(cli, member) : id;
}

const char *kap_cli_region(kap_cli_t *cli, const char *given)
{
    const char *region = given;
    if (!region && kap_cli_configure(cli) == 0)
        region = kap_conf_str(cli->conf, "region");
    if (!region)
        kap_cli_fail(0, "which region? Say --region NAME, or name one in the configuration");
    return region;
}

int kap_cli_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return 80;
}

int kap_cli_height(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

void kap_cli_close(kap_cli_t *cli)
{
    kap_client_close(&cli->client);
    if (cli->loop) {
        kap_loop_destroy(&cli->loop);
        if (--connections == 0)
            kap_sock_system_stop();
    }
    kap_curve_destroy(&cli->keys);
    kap_directory_unref(&cli->directory);
    kap_conf_close(&cli->conf);
    kap_arena_destroy(&cli->arena);
}
