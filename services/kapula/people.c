/* SPDX-License-Identifier: MPL-2.0 */
/* kapula directory: who is in the mesh, what they offer and where. */
#include <string.h>

#include "args.h"
#include "err.h"
#include "shown.h"
#include "tables.h"

static kap_mp_t services_of(kap_cli_t *cli, const kap_member_t *m)
{
    kap_shown_list_t list = {.arena = cli->arena};
    for (int code = 0; code < KAP_SERVICE_COUNT; code++)
        if (kap_member_offers(m, code)) {
            kap_mp_t item = {.kind = KAP_MP_STR,
                             .s = kap_span_str(kap_code_name(KAP_LIST_SERVICE, code))};
            kap_shown_add(&list, &item);
        }
    return kap_shown_array(&list);
}

static kap_mp_t regions_of(kap_cli_t *cli, const kap_directory_t *dir, const kap_member_t *m)
{
    kap_shown_list_t list = {.arena = cli->arena};
    for (uint32_t i = 0; i < m->region_count; i++) {
        kap_mp_t item = {.kind = KAP_MP_STR, .s = kap_directory_region_at(dir, m->regions[i])->id};
        kap_shown_add(&list, &item);
    }
    return kap_shown_array(&list);
}

static kap_mp_t member_map(kap_cli_t *cli, const kap_directory_t *dir, const kap_member_t *m)
{
    kap_shown_list_t map = {.arena = cli->arena};
    kap_mp_t services = services_of(cli, m), regions = regions_of(cli, dir, m);
    kap_mp_t national = {.kind = KAP_MP_BOOL, .b = m->national};
    kap_shown_set_text(&map, "id", m->id);
    kap_shown_set_text(&map, "name", kap_cli_name_of(cli, m));
    kap_shown_set_text(&map, "type", m->type_id);
    kap_shown_set_text(&map, "organisation", m->organisation);
    kap_shown_set(&map, "services", &services);
    kap_shown_set(&map, "regions", &regions);
    kap_shown_set(&map, "national", &national);
    kap_shown_set_text(&map, "phone", m->phone);
    kap_shown_set_text(&map, "email", m->email);
    return kap_shown_map(&map);
}

int kap_cli_ask_directory(kap_cli_t *cli, kap_directory_t **dir)
{
    const kap_mp_t *root;
    kap_buf_t messages;
    int code = kap_cli_query(cli, "directory", &root);
    if (code != 0)
        return code;
    kap_buf_init(&messages);
    int rc = kap_directory_parse(kap_mp_get_str(root, "text"), dir, &messages);
    if (rc != KAP_OK) {
        const char *why = messages.size ? kap_buf_cstr(&messages) : kap_err_text(rc);
        code = kap_cli_fail(KAP_EXIT_REFUSED, "a directory that cannot be read: %.*s",
                            (int)strcspn(why, "\n"), why);
    }
    kap_buf_fini(&messages);
    return code;
}

static void print_member(kap_cli_t *cli, const kap_directory_t *dir, const kap_member_t *m)
{
    enum { INDENT = 4, LABEL = 14 };
    static const char *const keys[] = {"type", "services", "regions", "phone", "email"};
    kap_mp_t map = member_map(cli, dir, m);
    const kap_actor_type_row_t *type = kap_actor_type_row(kap_actor_type_find(m->type_id));
    kap_span_t name = kap_cli_name_of(cli, m);
    char head[KAP_SHOWN_BYTES], text[KAP_SHOWN_BYTES];
    snprintf(head, sizeof head, "%.*s (%.*s)", KAP_SPAN_ARGS(name), KAP_SPAN_ARGS(m->id));
    kap_shown_line(0, 0, kap_span_str(""), kap_span_str(head));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        kap_span_t key = kap_span_str(keys[i]);
        kap_shown_value(cli, key, kap_mp_get(&map, keys[i]), text);
        if (i == 0 && type)
            snprintf(text, sizeof text, "%s", type->text[kap_shown_lang(cli)]);
        kap_shown_line(INDENT, LABEL, kap_shown_key(cli, key), kap_span_str(text));
    }
}

int kap_cmd_directory(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"directory", "", 0, 0,
                                      "Who is in the mesh, what they offer and where."};
    kap_args_t args;
    static const kap_shown_column_t columns[] = {
        {.key = "id"},           {.key = "name"},     {.key = "type"},
        {.key = "organisation"}, {.key = "services"}, {.key = "regions"},
        {.key = "phone"},        {.key = "email"},    {.key = NULL}};
    kap_directory_t *dir = NULL;
    kap_shown_list_t members = {.arena = cli->arena};
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_cli_ask_directory(cli, &dir);
    for (uint32_t i = 0; code == 0 && i < kap_directory_member_count(dir); i++) {
        const kap_member_t *m = kap_directory_member_at(dir, i);
        kap_mp_t map = member_map(cli, dir, m);
        if (cli->format == KAP_FORMAT_TABLE)
            print_member(cli, dir, m);
        else
            kap_shown_add(&members, &map);
    }
    if (code == 0 && cli->format != KAP_FORMAT_TABLE) {
        kap_mp_t rows = kap_shown_array(&members);
        code = kap_shown_rows(cli, "members", &rows, columns);
    }
    kap_directory_unref(&dir);
    return code;
}
