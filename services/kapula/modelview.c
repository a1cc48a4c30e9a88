/* SPDX-License-Identifier: MPL-2.0 */
/* kapula plan list and its like: what of the follow-up model is in force in a region. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "model.h"
#include "modelvalue.h"
#include "shown.h"

/* One view. The columns of people fit a line, those of programs are all there is. */
typedef struct {
    const char *command, *name; /* name: of the list in JSON */
    kap_event_type_t type;
    const char *doc;
    const kap_shown_column_t *people, *programs;
    const char *order[4]; /* keys to sort by */
    bool whole;           /* one, with all that it says */
} view_t;

#define COLUMNS(NAME, ...) static const kap_shown_column_t NAME[] = {__VA_ARGS__, {.key = NULL}}

COLUMNS(plan_people, {.key = "years"}, {.key = "what"}, {.key = "responsible", .max = 18},
        {.key = "progress", .right = true}, {.key = "status", .max = 12},
        {.key = "item", .tail = true});
COLUMNS(plan_programs, {.key = "item"}, {.key = "plan"}, {.key = "year"}, {.key = "year_to"},
        {.key = "priority"}, {.key = "goal"}, {.key = "what"}, {.key = "who"}, {.key = "meter"},
        {.key = "schedule"}, {.key = "responsible"}, {.key = "member"}, {.key = "segment"},
        {.key = "progress"}, {.key = "status"});
COLUMNS(process_people, {.key = "name"}, {.key = "owner"}, {.key = "stages"}, {.key = "review"},
        {.key = "process", .max = 20});
COLUMNS(process_programs, {.key = "process"}, {.key = "name"}, {.key = "owner"}, {.key = "begins"},
        {.key = "finishes"}, {.key = "stages"}, {.key = "documents"}, {.key = "meters"},
        {.key = "review"}, {.key = "ended"});
COLUMNS(indicator_people, {.key = "indicator"}, {.key = "segment"}, {.key = "period"},
        {.key = "value", .right = true}, {.key = "unit"}, {.key = "info_source"});
COLUMNS(indicator_programs, {.key = "indicator"}, {.key = "period"}, {.key = "segment"},
        {.key = "value"}, {.key = "unit"}, {.key = "info_source"});
COLUMNS(target_people, {.key = "target"}, {.key = "from"}, {.key = "to"}, {.key = "service"},
        {.key = "forum"}, {.key = "year"}, {.key = "days", .right = true},
        {.key = "value", .right = true});
COLUMNS(target_programs, {.key = "target"}, {.key = "from"}, {.key = "to"}, {.key = "service"},
        {.key = "forum"}, {.key = "year"}, {.key = "days"}, {.key = "value"}, {.key = "valid_from"},
        {.key = "valid_to"});
COLUMNS(customers_people, {.key = "year"}, {.key = "segment"}, {.key = "member"},
        {.key = "total", .right = true}, {.key = "new_customers", .right = true});
COLUMNS(customers_programs, {.key = "year"}, {.key = "segment"}, {.key = "member"},
        {.key = "total"}, {.key = "new"});
COLUMNS(comment_people, {.key = "period"}, {.key = "member"}, {.key = "text"});

static const view_t views[] = {
    {"plan list",
     "items",
     KAP_EV_PLAN_ITEM_SET,
     "The items of the region's plans, and how they stand.",
     plan_people,
     plan_programs,
     {"plan", "year", "priority", "goal"}},
    {"plan show",
     "items",
     KAP_EV_PLAN_ITEM_SET,
     "All of an item, by its id or its words.",
     plan_programs,
     plan_programs,
     {"plan"},
     true},
    {"process show",
     "processes",
     KAP_EV_PROCESS_SET,
     "All of a process, by its id or its name.",
     process_programs,
     process_programs,
     {"name"},
     true},
    {"process list",
     "processes",
     KAP_EV_PROCESS_SET,
     "The region's service processes.",
     process_people,
     process_programs,
     {"name"}},
    {"indicator list",
     "indicators",
     KAP_EV_INDICATOR_REPORTED,
     "What was reported last of each indicator and period.",
     indicator_people,
     indicator_programs,
     {"indicator", "segment", "period"}},
    {"target list",
     "targets",
     KAP_EV_TARGET_SET,
     "Targets in force.",
     target_people,
     target_programs,
     {"target", "from", "to", "year"}},
    {"customers list",
     "customers",
     KAP_EV_CUSTOMERS_REPORTED,
     "Customers of each year as reported.",
     customers_people,
     customers_programs,
     {"year", "segment", "member"}},
    {"comment list",
     "comments",
     KAP_EV_FIGURES_COMMENTED,
     "What members say beside their figures.",
     comment_people,
     comment_people,
     {"period", "member"}},
};

/* --- rows --- */

static void copy_pairs(kap_shown_list_t *map, const kap_mp_t *data)
{
    for (uint32_t i = 0; data && i < data->count; i++) {
        kap_shown_add(map, kap_mp_key(data, i));
        kap_shown_add(map, kap_mp_value(data, i));
    }
}

/* An open code by its words, where the field takes any text. */
static void show_code(kap_cli_t *cli, kap_shown_list_t *map, const char *key, kap_code_list_t list)
{
    kap_mp_t row = kap_shown_map(map);
    int code = kap_code_parse(list, kap_mp_get_str(&row, key));
    const char *text = code < 0 ? NULL : kap_code_text(list, code, kap_shown_lang(cli));
    if (text)
        kap_shown_set_text(map, key, kap_span_str(text));
}

static void show_years(kap_cli_t *cli, kap_shown_list_t *map, const kap_mp_t *data)
{
    int64_t first = kap_mp_get_int(data, "year", 0), last = kap_mp_get_int(data, "year_to", first);
    char text[32];
    if (first == 0)
        return;
    snprintf(text, sizeof text, first == last ? "%lld" : "%lld-%lld", (long long)first,
             (long long)last);
    kap_shown_set_text(map, "years", kap_arena_dup(cli->arena, kap_span_str(text)));
}

/* A row for people or programs: the event's fields, who said it and when. */
static kap_mp_t row_of(kap_cli_t *cli, const view_t *view, const kap_mp_t *row)
{
    bool whose = view->type == KAP_EV_CUSTOMERS_REPORTED;
    const kap_mp_t *data = kap_mp_get(row, "data"), *fresh = kap_mp_get(data, "new");
    kap_shown_list_t map = {.arena = cli->arena};
    copy_pairs(&map, data);
    kap_shown_set_text(&map, "said_by", kap_mp_get_str(row, "by"));
    kap_shown_set_int(&map, "log_seq", kap_mp_get_int(row, "log_seq", 0));
    kap_shown_set_int(&map, "said_at", kap_mp_get_int(row, "at", 0));
    if (cli->format == KAP_FORMAT_TABLE) {
        show_code(cli, &map, "indicator", KAP_LIST_INDICATOR);
        show_code(cli, &map, "unit", KAP_LIST_UNIT);
        show_code(cli, &map, "status", KAP_LIST_PLAN_STATUS);
        show_years(cli, &map, data);
        if (fresh)
            kap_shown_set(&map, "new_customers", fresh);
    }
    if (whose && !kap_mp_get(data, "member"))
        kap_shown_set_text(&map, "member", kap_mp_get_str(row, "by"));
    return kap_shown_map(&map);
}

/* --- which rows --- */

static bool field_is(const kap_mp_t *data, const char *key, const char *want)
{
    int64_t number;
    const kap_mp_t *value = kap_mp_get(data, key);
    if (!want)
        return true;
    if (value && value->kind == KAP_MP_INT)
        return kap_span_int(kap_span_str(want), &number) && number == value->i;
    return value && kap_span_eq_str(kap_mp_get_str(data, key), want);
}

/* Of a plan that spans years: within them. */
static bool in_year(const kap_mp_t *data, const char *want)
{
    int64_t first = kap_mp_get_int(data, "year", 0), year;
    return !want || (kap_span_int(kap_span_str(want), &year) && first <= year &&
                     year <= kap_mp_get_int(data, "year_to", first));
}

/* Still in force today? */
static bool in_force(const kap_mp_t *data)
{
    char today[KAP_TIME_TEXT];
    int64_t now = kap_clock_now_ms(kap_clock_system());
    kap_span_t last = kap_mp_get_str(data, "valid_to");
    kap_date_format(kap_date_of(KAP_ZONE_HELSINKI, now), today);
    return !kap_mp_get_bool(data, "ended", false) &&
           (kap_span_empty(last) || kap_span_cmp(last, kap_span_str(today)) >= 0);
}

/* The word beside the options: an id, or a part of what stands in the first columns. */
static bool names_it(const view_t *view, const kap_mp_t *data, const char *word)
{
    bool found = !word;
    for (int i = 0; !found && view->programs[i].key; i++)
        found = kap_span_eq_str(kap_mp_get_str(data, view->programs[i].key), word);
    return found;
}

static bool wanted(const view_t *view, const kap_args_t *args, const kap_mp_t *data)
{
    bool is_plan = view->type == KAP_EV_PLAN_ITEM_SET;
    bool has_ends = view->type == KAP_EV_PROCESS_SET || view->type == KAP_EV_TARGET_SET;
    const char *year = kap_args_field(args, "year");
    if (is_plan && (!field_is(data, "plan", kap_args_field(args, "plan")) || !in_year(data, year)))
        return false;
    if (!is_plan && !field_is(data, "year", year))
        return false;
    if (has_ends && !view->whole && !kap_args_option(args, "all") && !in_force(data))
        return false;
    if (view->type == KAP_EV_FIGURES_COMMENTED && !kap_mp_get(data, "text"))
        return false; /* taken back */
    return names_it(view, data, args->word_count ? args->words[0] : NULL);
}

/* --- what was reported of items --- */

/* The newest report of each item goes over what the item said of itself. */
static void put_report(kap_shown_list_t *map, const kap_mp_t *item, const kap_mp_t *reports)
{
    static const char *const keys[] = {"progress", "status", "value", "text", "period"};
    kap_span_t id = kap_mp_get_str(kap_mp_get(item, "data"), "item");
    int64_t said_at = kap_mp_get_int(item, "log_seq", 0);
    const kap_mp_t *newest = NULL;
    for (uint32_t i = 0; i < reports->count; i++) {
        const kap_mp_t *report = kap_mp_item(reports, i);
        int64_t at = kap_mp_get_int(report, "log_seq", 0);
        if (at > said_at && kap_span_eq(kap_mp_get_str(kap_mp_get(report, "data"), "item"), id)) {
            newest = report;
            said_at = at;
        }
    }
    for (size_t i = 0; newest && i < sizeof keys / sizeof *keys; i++) {
        const kap_mp_t *value = kap_mp_get(kap_mp_get(newest, "data"), keys[i]);
        if (value)
            kap_shown_set(map, keys[i], value);
    }
}

static kap_mp_t with_report(kap_cli_t *cli, const kap_mp_t *item, const kap_mp_t *reports)
{
    kap_shown_list_t data = {.arena = cli->arena}, row = {.arena = cli->arena};
    copy_pairs(&data, kap_mp_get(item, "data"));
    put_report(&data, item, reports);
    copy_pairs(&row, item);
    kap_mp_t made = kap_shown_map(&data);
    kap_shown_set(&row, "data", &made);
    return kap_shown_map(&row);
}

/* --- order --- */

static const view_t *sorted_by; /* of the one list that is sorted at a time */

static int compare_values(const kap_mp_t *a, const kap_mp_t *b)
{
    if (a && b && a->kind == KAP_MP_INT && b->kind == KAP_MP_INT)
        return (a->i > b->i) - (a->i < b->i);
    kap_span_t x = a && a->kind == KAP_MP_STR ? a->s : kap_span("", 0);
    kap_span_t y = b && b->kind == KAP_MP_STR ? b->s : kap_span("", 0);
    return kap_span_cmp(x, y);
}

static int by_keys(const void *a, const void *b)
{
    int order = 0;
    for (int i = 0; order == 0 && i < 4 && sorted_by->order[i]; i++)
        order =
            compare_values(kap_mp_get(a, sorted_by->order[i]), kap_mp_get(b, sorted_by->order[i]));
    return order ? order : compare_values(kap_mp_get(a, "log_seq"), kap_mp_get(b, "log_seq"));
}

/* --- the views --- */

/* Every field that something stands in, a line each. */
static int print_whole(kap_cli_t *cli, const view_t *view, const kap_mp_t *rows)
{
    enum { LABEL = 16 };
    for (uint32_t i = 0; i < rows->count; i++) {
        if (i > 0)
            putchar('\n');
        for (const kap_shown_column_t *column = view->programs; column->key; column++) {
            char text[KAP_SHOWN_BYTES];
            kap_span_t key = kap_span_str(column->key);
            kap_shown_value(cli, key, kap_mp_get(kap_mp_item(rows, i), column->key), text);
            kap_shown_line(0, LABEL, kap_shown_key(cli, key), kap_span_str(text));
        }
    }
    return rows->count > 0
               ? KAP_EXIT_DONE
               : kap_cli_fail(KAP_EXIT_REFUSED, "there is none of that id or name here");
}

static int show(kap_cli_t *cli, const view_t *view, const kap_args_t *args)
{
    const char *region = kap_cli_region(cli, kap_args_option(args, "region"));
    kap_shown_list_t list = {.arena = cli->arena};
    kap_mp_t rows, reports = {.kind = KAP_MP_ARRAY};
    if (!region)
        return KAP_EXIT_USAGE;
    int code = kap_model_in_force(cli, view->type, region, false, &rows);
    if (code == 0 && view->type == KAP_EV_PLAN_ITEM_SET)
        code = kap_model_in_force(cli, KAP_EV_PLAN_ITEM_REPORTED, region, false, &reports);
    if (code != 0)
        return code;
    for (uint32_t i = 0; i < rows.count; i++) {
        kap_mp_t row = with_report(cli, kap_mp_item(&rows, i), &reports);
        if (!wanted(view, args, kap_mp_get(&row, "data")))
            continue;
        kap_mp_t made = row_of(cli, view, &row);
        kap_shown_add(&list, &made);
    }
    sorted_by = view;
    if (list.used > 1)
        qsort(list.items, list.used, sizeof *list.items, by_keys);
    kap_mp_t made = kap_shown_array(&list);
    if (view->whole && cli->format == KAP_FORMAT_TABLE)
        return print_whole(cli, view, &made);
    return kap_shown_rows(cli, view->name, &made,
                          cli->format == KAP_FORMAT_CSV ? view->programs : view->people);
}

int kap_model_view(kap_cli_t *cli, const char *command, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (strcmp(views[i].command, command) != 0)
            continue;
        const kap_usage_t usage = {command, views[i].whole ? "WORD" : "[WORD]", views[i].whole, 1,
                                   views[i].doc};
        kap_args_t args;
        kap_args_parse(cli, &usage, argc, argv, &args);
        int code = kap_cli_configure(cli);
        if (code != 0)
            return code;
        bool figures = views[i].type == KAP_EV_CUSTOMERS_REPORTED && kap_args_option(&args, "new");
        return figures ? kap_model_figures(cli, &args) : show(cli, &views[i], &args);
    }
    const kap_usage_t usage = {command, "", 0, 0, kap_model_figures_doc(command)};
    kap_args_t args;
    if (!usage.doc)
        return -1;
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_cli_configure(cli);
    return code ? code : kap_model_figures(cli, &args);
}
