/* SPDX-License-Identifier: MPL-2.0 */
/* kapula metrics, kapula metrics list, kapula orphans: the agreed figures of handovers. */
#include <string.h>

#include "args.h"
#include "asking.h"
#include "catalogue.h"
#include "clock.h"
#include "err.h"
#include "frozen.h"
#include "metricview.h"

enum { INDENT = 4, LABEL = 14 };

/* --- metrics list: from the broker's own table, without a broker --- */

static kap_span_t words_of(kap_cli_t *cli, uint32_t bits, const char *(*word)(int))
{
    kap_buf_t line;
    kap_buf_init(&line);
    for (int i = 0; word(i); i++)
        if (bits & (1U << i))
            kap_buf_printf(&line, "%s%s", line.size ? ", " : "", word(i));
    kap_span_t text = kap_arena_dup(cli->arena, kap_buf_span(&line));
    kap_buf_fini(&line);
    return text;
}

static kap_mp_t values_of(kap_cli_t *cli, int metric)
{
    kap_shown_list_t list = {.arena = cli->arena};
    for (const kap_catalogue_value_t *row = NULL; (row = kap_catalogue_next(metric, row));) {
        kap_shown_list_t map = {.arena = cli->arena};
        kap_shown_set_text(&map, "value", kap_span_str(row->name));
        kap_shown_set_text(&map, "form", kap_span_str(row->shape));
        kap_shown_set_text(&map, "meaning", kap_span_str(row->meaning));
        kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(&list, &made);
    }
    return kap_shown_array(&list);
}

static kap_mp_t metric_map(kap_cli_t *cli, int metric)
{
    const kap_catalogue_metric_t *row = kap_catalogue_metric(metric);
    kap_shown_list_t map = {.arena = cli->arena};
    kap_mp_t values = values_of(cli, metric);
    kap_shown_set_text(&map, "metric", kap_span_str(row->name));
    kap_shown_set_text(&map, "name", kap_span_str(row->text[kap_shown_lang(cli)]));
    kap_shown_set_text(&map, "unit", kap_span_str(row->unit));
    kap_shown_set_text(&map, "kinds", words_of(cli, row->kinds, kap_catalogue_kind_word));
    kap_shown_set_text(&map, "by", words_of(cli, row->by, kap_catalogue_by_word));
    kap_shown_set_text(&map, "definition", kap_span_str(row->definition));
    kap_shown_set_text(&map, "source", kap_span_str(row->source));
    kap_shown_set(&map, "values", &values);
    return kap_shown_map(&map);
}

static void print_metric(kap_cli_t *cli, int metric)
{
    static const char *const keys[] = {"unit", "kinds", "by", "definition", "source"};
    kap_mp_t map = metric_map(cli, metric);
    char head[KAP_SHOWN_BYTES], text[KAP_SHOWN_BYTES];
    snprintf(head, sizeof head, "%.*s: %.*s", KAP_SPAN_ARGS(kap_mp_get_str(&map, "metric")),
             KAP_SPAN_ARGS(kap_mp_get_str(&map, "name")));
    kap_shown_line(0, 0, kap_span_str(""), kap_span_str(head));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        kap_shown_line(INDENT, LABEL, kap_shown_key(cli, kap_span_str(keys[i])),
                       kap_mp_get_str(&map, keys[i]));
    for (const kap_catalogue_value_t *row = NULL; (row = kap_catalogue_next(metric, row));) {
        snprintf(text, sizeof text, "%s (%s)", row->meaning, row->shape);
        kap_shown_line(INDENT + 2, 2 * LABEL - 2, kap_span_str(row->name), kap_span_str(text));
    }
}

static int list(kap_cli_t *cli)
{
    static const kap_shown_column_t columns[] = {
        {.key = "metric"}, {.key = "name"},       {.key = "unit"},   {.key = "kinds"},
        {.key = "by"},     {.key = "definition"}, {.key = "source"}, {.key = NULL}};
    kap_shown_list_t rows = {.arena = cli->arena};
    for (int i = 0; kap_catalogue_metric(i); i++) {
        if (cli->format == KAP_FORMAT_TABLE) {
            if (i)
                putchar('\n');
            print_metric(cli, i);
            continue;
        }
        kap_mp_t map = metric_map(cli, i);
        kap_shown_add(&rows, &map);
    }
    kap_mp_t all = kap_shown_array(&rows);
    return cli->format == KAP_FORMAT_TABLE ? KAP_EXIT_DONE
                                           : kap_shown_rows(cli, "metrics", &all, columns);
}

/* --- the question --- */

/* What can be known to be wrong before anybody is asked. */
static int days_in_order(const kap_args_t *args)
{
    static const char *const names[] = {"from", "to"};
    const char *from = kap_args_option(args, "from"), *to = kap_args_option(args, "to");
    for (int i = 0; i < 2; i++) {
        const char *day = kap_args_option(args, names[i]);
        kap_date_t date;
        if (day && kap_date_parse(kap_span_str(day), &date) != KAP_OK)
            return kap_cli_fail(KAP_EXIT_USAGE, "--%s %s: say a day that exists, YYYY-MM-DD",
                                names[i], day);
    }
    if (from && to && strcmp(from, to) >= 0)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "--to %s: the day after the last, so it lies behind --from %s", to,
                            from);
    return KAP_EXIT_DONE;
}

static int set_edge(kap_asking_t *asking, kap_shown_list_t *question, const char *edge)
{
    kap_shown_list_t pair = {.arena = asking->arena};
    const char *colon = strchr(edge, ':');
    if (!colon || colon == edge || !colon[1])
        return kap_cli_fail(KAP_EXIT_USAGE, "--edge %s: say FROM:TO, two members' ids", edge);
    const kap_mp_t ends[] = {{.kind = KAP_MP_STR, .s = kap_span(edge, (size_t)(colon - edge))},
                             {.kind = KAP_MP_STR, .s = kap_span_str(colon + 1)}};
    kap_shown_add(&pair, &ends[0]);
    kap_shown_add(&pair, &ends[1]);
    const kap_mp_t both = kap_shown_array(&pair);
    kap_shown_set(question, "edge", &both);
    return 0;
}

/* --where service=training ...: each a pair of the question's map `where`. */
static void set_where(kap_asking_t *asking, kap_shown_list_t *question, const kap_args_t *args)
{
    kap_shown_list_t where = {.arena = asking->arena};
    for (int i = 0; i < args->count; i++)
        if (args->said[i].option && strcmp(args->said[i].option, "where") == 0)
            kap_shown_set_text(&where, args->said[i].field, kap_span_str(args->said[i].value));
    const kap_mp_t map = kap_shown_map(&where);
    if (map.count > 0)
        kap_shown_set(question, "where", &map);
}

static bool names_a_scope(const kap_args_t *args)
{
    static const char *const scopes[] = {"region", "area", "nation", "organisation", "member"};
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (kap_args_field(args, scopes[i]))
            return true;
    return false;
}

/* The question of the options; without a scope the configuration's region. */
static int make_question(kap_asking_t *asking, const kap_args_t *args, const char *metric,
                         kap_shown_list_t *question)
{
    const char *edge = kap_args_field(args, "edge"), *value;
    const kap_mp_t yes = {.kind = KAP_MP_BOOL, .b = true};
    *question = kap_asking_question(asking, metric);
    if (!names_a_scope(args)) {
        const char *region = kap_cli_region(asking->cli, NULL);
        if (!region)
            return KAP_EXIT_USAGE;
        kap_shown_set_text(question, "region", kap_span_str(region));
    }
    for (const kap_option_t *row = NULL; (row = kap_option_next(args->usage->command, row));) {
        if (!row->field || !(value = kap_args_field(args, row->field)))
            continue;
        if (!row->argument)
            kap_shown_set(question, row->field, &yes);
        else if (strcmp(row->field, "edge") != 0)
            kap_shown_set_text(question, row->field, kap_span_str(value));
    }
    return edge ? set_edge(asking, question, edge) : 0;
}

static int answer(kap_asking_t *asking, const kap_args_t *args, const char *metric)
{
    const char *name = kap_args_option(args, "freeze");
    const kap_mp_t *root = NULL;
    kap_shown_list_t question;
    int code = name ? kap_frozen_check_name(name) : 0;
    if (code == 0)
        code = kap_cli_configure(asking->cli);
    if (code == 0)
        code = make_question(asking, args, metric, &question);
    if (code != 0)
        return code;
    if (strcmp(args->usage->command, "metrics") == 0)
        set_where(asking, &question, args);
    const kap_mp_t map = kap_shown_map(&question);
    code = kap_asking_put(asking, &map, false, &root);
    if (code == 0)
        code = kap_metricview_show(asking->cli, root);
    if (code == 0 && name)
        code = kap_frozen_write(asking, name, NULL);
    return code;
}

static int run(kap_cli_t *cli, const kap_args_t *args, const char *metric)
{
    kap_asking_t asking;
    int code = kap_asking_init(&asking, cli);
    if (code == 0)
        code = answer(&asking, args, metric);
    kap_asking_fini(&asking);
    return code;
}

int kap_cmd_metrics(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "metrics", "NAME|list", 1, 1,
        "One of the agreed figures, over a window and a scope. `metrics list` says which there "
        "are, what they mean and where they come from."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    if (strcmp(args.words[0], "list") == 0)
        return list(cli);
    int code = days_in_order(&args);
    return code ? code : run(cli, &args, args.words[0]);
}

int kap_cmd_orphans(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"orphans", "", 0, 0,
                                      "Handovers that nobody takes care of now, each with one "
                                      "owner and one next step. The limits are the region's."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    return run(cli, &args, "orphans");
}
