/* SPDX-License-Identifier: MPL-2.0 */
/* kapula inbox, outbox and acts: what waits, what became of it, what was said here. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "saying.h"
#include "shown.h"

enum { PAGE = 50, ROWS_MAX = 5000, TAIL = 12 };

/* Whether a person has enough of it, told so; programs take everything there is. */
static bool is_full(const kap_cli_t *cli, const kap_shown_list_t *list)
{
    if (cli->format != KAP_FORMAT_TABLE || list->used < ROWS_MAX)
        return false;
    fprintf(stderr, "kapula: the list ends after %u; --format csv or json shows them all\n",
            list->used);
    return true;
}

/* One page of referrals behind `after` (empty: from the first) whose ids end with `tail`. */
static int ask_page(kap_cli_t *cli, const char *side, bool open, kap_span_t after, const char *tail,
                    const kap_mp_t **root)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, 3u + open + (after.size > 0) + (*tail != 0));
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "inbox");
    kap_mp_put_cstr(&map, "side");
    kap_mp_put_cstr(&map, side);
    if (open) {
        kap_mp_put_cstr(&map, "open");
        kap_mp_put_bool(&map, true);
    }
    kap_mp_put_cstr(&map, "limit");
    kap_mp_put_int(&map, PAGE);
    if (after.size > 0) {
        kap_mp_put_cstr(&map, "after");
        kap_mp_put_str(&map, after);
    }
    if (*tail) {
        kap_mp_put_cstr(&map, "ends");
        kap_mp_put_cstr(&map, tail);
    }
    int code = kap_cli_ask(cli, KAP_VERB_LOCAL, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

/* All pages into `list`, until there is no more or `list` is as long as a person can use: then
 * it says so. */
static int ask_referrals(kap_cli_t *cli, const char *side, bool open, const char *tail,
                         kap_shown_list_t *list)
{
    kap_span_t after = kap_span_str("");
    for (;;) {
        const kap_mp_t *root;
        int code = ask_page(cli, side, open, after, tail, &root);
        if (code != 0)
            return code;
        const kap_mp_t *rows = kap_mp_get(root, "referrals");
        uint32_t n = rows && rows->kind == KAP_MP_ARRAY ? rows->count : 0;
        for (uint32_t i = 0; i < n; i++) {
            kap_mp_t row = kap_shown_with_id(cli, kap_mp_item(rows, i));
            kap_shown_add(list, &row);
            after = kap_mp_get_str(&row, "id");
        }
        if (n == 0 || !kap_mp_get_bool(root, "more", false))
            return 0;
        if (is_full(cli, list))
            return 0;
    }
}

static bool is_tail(const char *text)
{
    return strlen(text) == TAIL && strspn(text, "0123456789abcdef") == TAIL;
}

int kap_cli_whole_id(kap_cli_t *cli, const char *text, const char **id)
{
    kap_shown_list_t list = {.arena = cli->arena};
    const kap_mp_t *found = NULL;
    *id = text;
    if (!is_tail(text) || !kap_cli_is_local(cli))
        return 0;
    int code = ask_referrals(cli, "in", false, text, &list);
    if (code == 0)
        code = ask_referrals(cli, "out", false, text, &list);
    for (uint32_t i = 0; code == 0 && i < list.used; i++) {
        kap_span_t whole = kap_mp_get_str(&list.items[i], "id");
        if (!kap_span_eq_str(kap_shown_id(whole), text))
            continue;
        if (found)
            return kap_cli_fail(KAP_EXIT_USAGE, "%s ends several ids; say the whole id", text);
        found = &list.items[i];
    }
    if (found)
        *id = kap_arena_str(cli->arena, kap_mp_get_str(found, "id"));
    return *id ? code : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
}

static int show_referrals(kap_cli_t *cli, const char *side, bool open,
                          const kap_shown_column_t columns[])
{
    kap_shown_list_t list = {.arena = cli->arena};
    int code = kap_cli_needs_node(cli, "knows");
    if (code == 0)
        code = ask_referrals(cli, side, open, "", &list);
    if (code != 0)
        return code;
    kap_mp_t rows = kap_shown_array(&list);
    return kap_shown_rows(cli, "referrals", &rows, columns);
}

int kap_cmd_inbox(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"inbox", "", 0, 0, "What came in and waits for us."};
    static const kap_shown_column_t people[] = {{.key = "id", .tail = true},
                                                {.key = "created_at", .day = true},
                                                {.key = "from"},
                                                {.key = "service"},
                                                {.key = "state"},
                                                {.key = "due_at", .day = true},
                                                {.key = NULL}};
    static const kap_shown_column_t programs[] = {
        {.key = "id"},     {.key = "case"},     {.key = "created_at"}, {.key = "from"},
        {.key = "to"},     {.key = "kind"},     {.key = "service"},    {.key = "state"},
        {.key = "due_at"}, {.key = "ended_at"}, {.key = NULL}};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    return show_referrals(cli, "in", !kap_args_option(&args, "all"),
                          cli->format == KAP_FORMAT_CSV ? programs : people);
}

int kap_cmd_outbox(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"outbox", "", 0, 0, "What we sent, and what became of it."};
    static const kap_shown_column_t people[] = {{.key = "id", .tail = true},
                                                {.key = "created_at", .day = true},
                                                {.key = "to"},
                                                {.key = "service"},
                                                {.key = "state"},
                                                {.key = "outcome"},
                                                {.key = NULL}};
    static const kap_shown_column_t programs[] = {
        {.key = "id"},      {.key = "case"},     {.key = "created_at"}, {.key = "from"},
        {.key = "to"},      {.key = "kind"},     {.key = "service"},    {.key = "state"},
        {.key = "outcome"}, {.key = "ended_at"}, {.key = NULL}};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    return show_referrals(cli, "out", !kap_args_option(&args, "all"),
                          cli->format == KAP_FORMAT_CSV ? programs : people);
}

/* One page of acts, the newest first, before number `after` (0: from the newest). */
static int ask_acts(kap_cli_t *cli, int64_t after, const kap_mp_t **root)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, 3u + (after > 0));
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "acts");
    kap_mp_put_cstr(&map, "newest");
    kap_mp_put_bool(&map, true);
    kap_mp_put_cstr(&map, "limit");
    kap_mp_put_int(&map, PAGE);
    if (after > 0) {
        kap_mp_put_cstr(&map, "after");
        kap_mp_put_int(&map, after);
    }
    int code = kap_cli_ask(cli, KAP_VERB_LOCAL, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

int kap_cmd_acts(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"acts", "", 0, 0,
                                      "What was said here, the newest first, and its fate."};
    static const kap_shown_column_t people[] = {{.key = "act", .right = true},
                                                {.key = "at"},
                                                {.key = "verb"},
                                                {.key = "subject", .tail = true},
                                                {.key = "fate"},
                                                {.key = "sentence"},
                                                {.key = NULL}};
    static const kap_shown_column_t programs[] = {
        {.key = "act"},     {.key = "at"},       {.key = "verb"},
        {.key = "subject"}, {.key = "fate"},     {.key = "log_seq"},
        {.key = "code"},    {.key = "sentence"}, {.key = NULL}};
    kap_shown_list_t list = {.arena = cli->arena};
    kap_args_t args;
    int64_t after = 0;
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_cli_needs_node(cli, "knows");
    while (code == 0) {
        const kap_mp_t *root;
        code = ask_acts(cli, after, &root);
        const kap_mp_t *rows = code == 0 ? kap_mp_get(root, "acts") : NULL;
        uint32_t n = rows && rows->kind == KAP_MP_ARRAY ? rows->count : 0;
        for (uint32_t i = 0; i < n; i++)
            kap_shown_add(&list, kap_mp_item(rows, i));
        if (n == 0 || !kap_args_option(&args, "all") || !kap_mp_get_bool(root, "more", false) ||
            is_full(cli, &list))
            break;
        after = kap_mp_get_int(kap_mp_item(rows, n - 1), "act", 0);
    }
    if (code != 0)
        return code;
    kap_mp_t rows = kap_shown_array(&list);
    return kap_shown_rows(cli, "acts", &rows, cli->format == KAP_FORMAT_CSV ? programs : people);
}
