/* SPDX-License-Identifier: MPL-2.0 */
/* kapula health: is it up, is it connected, does anything need a person. */
#include <string.h>

#include "answer.h"
#include "args.h"
#include "shown.h"

enum { LABEL = 28, INDENT = 2 };

static int ask(kap_cli_t *cli, bool quiet, const kap_mp_t **root)
{
    kap_buf_t map;
    kap_verb_t verb = kap_cli_is_local(cli) ? KAP_VERB_LOCAL : KAP_VERB_QUERY;
    kap_buf_init(&map);
    if (verb == KAP_VERB_LOCAL) {
        kap_mp_put_map(&map, 1);
        kap_mp_put_cstr(&map, "local");
        kap_mp_put_cstr(&map, "health");
    } else {
        kap_query_begin(&map, "health", 0);
    }
    int code = quiet ? kap_cli_ask_quietly(cli, verb, kap_buf_span(&map), 0, root)
                     : kap_cli_ask(cli, verb, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code == 0 && kap_mp_get(*root, "error") ? KAP_EXIT_UNREACHABLE : code;
}

/* A node tells its health as a JSON text. */
static int unfold(kap_cli_t *cli, const kap_mp_t **root)
{
    kap_mp_t *told = kap_arena_alloc(cli->arena, sizeof *told);
    kap_span_t text = kap_mp_get_str(*root, "health");
    if (kap_span_empty(text))
        return 0;
    if (!told || kap_cli_read_json(cli->arena, text, told) != 0 || told->kind != KAP_MP_MAP)
        return kap_cli_fail(KAP_EXIT_REFUSED, "a health that cannot be read");
    *root = told;
    return 0;
}

static void print_csv(kap_span_t name, const kap_mp_t *value)
{
    char text[KAP_SHOWN_BYTES] = "";
    if (value->kind == KAP_MP_STR)
        snprintf(text, sizeof text, "%.*s", KAP_SPAN_ARGS(value->s));
    else if (value->kind == KAP_MP_INT)
        snprintf(text, sizeof text, "%lld", (long long)value->i);
    else if (value->kind == KAP_MP_BOOL)
        snprintf(text, sizeof text, "%s", value->b ? "true" : "false");
    kap_cli_csv_field(stdout, name, false);
    kap_cli_csv_field(stdout, kap_span_str(text), true);
}

/* One line a value: "outbox.waiting  3". */
static void print(kap_cli_t *cli, const char *front, const kap_mp_t *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        kap_span_t key = kap_mp_key(map, i)->s;
        const kap_mp_t *value = kap_mp_value(map, i);
        char name[96], text[KAP_SHOWN_BYTES];
        snprintf(name, sizeof name, "%s%s%.*s", front, *front ? "." : "", KAP_SPAN_ARGS(key));
        if (value->kind == KAP_MP_MAP) {
            print(cli, name, value);
        } else if (cli->format == KAP_FORMAT_CSV) {
            print_csv(kap_span_str(name), value);
        } else {
            kap_shown_value(cli, key, value, text);
            kap_shown_line(INDENT, LABEL, kap_span_str(name), kap_span_str(text));
        }
    }
}

int kap_cmd_health(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"health", "", 0, 0,
                                      "Is it up, is a node connected to its broker, does anything "
                                      "need a person. Exit code 0 when "
                                      "it is up and connected, 3 when it is not."};
    kap_args_t args;
    const kap_mp_t *root;
    kap_args_parse(cli, &usage, argc, argv, &args);
    bool quiet = kap_args_option(&args, "quiet");
    int code = kap_cli_configure(cli);
    if (code == 0)
        code = ask(cli, quiet, &root);
    if (code == 0)
        code = unfold(cli, &root);
    if (code != 0)
        return code;
    bool connected =
        !kap_cli_is_local(cli) || kap_mp_get_bool(kap_mp_get(root, "broker"), "up", false);
    if (quiet)
        return connected ? KAP_EXIT_DONE : KAP_EXIT_UNREACHABLE;
    if (cli->format == KAP_FORMAT_JSON)
        kap_cli_print_json(root, stdout);
    else
        print(cli, "", root);
    if (connected)
        return KAP_EXIT_DONE;
    fflush(stdout);
    return kap_cli_fail(KAP_EXIT_UNREACHABLE,
                        "the node is up but not connected to its broker; what is said waits");
}
