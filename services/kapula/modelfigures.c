/* SPDX-License-Identifier: MPL-2.0 */
/* kapula survey list, evaluate list, advice list and customers list --new: what is told as figures
 * only, because each event counts by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asking.h"
#include "clock.h"
#include "followup.h"
#include "model.h"

/* One view: a list among the values of the metric follow-up. */
typedef struct {
    const char *command, *value, *doc;
    const kap_shown_column_t *columns;
} figures_t;

#define COLUMNS(NAME, ...) static const kap_shown_column_t NAME[] = {__VA_ARGS__, {.key = NULL}}

COLUMNS(survey_columns, {.key = "survey"}, {.key = "question"}, {.key = "year"},
        {.key = "n", .right = true}, {.key = "average", .right = true},
        {.key = "scale", .right = true}, {.key = "texts", .right = true});
COLUMNS(evaluation_columns, {.key = "question"}, {.key = "n", .right = true},
        {.key = "average", .right = true}, {.key = "texts", .right = true});
COLUMNS(advice_columns, {.key = "service"}, {.key = "segment"}, {.key = "channel"},
        {.key = "n", .right = true});
COLUMNS(origin_columns, {.key = "origin"}, {.key = "n", .right = true});

static const figures_t figures[] = {
    {"survey list", "surveys", "Answers to surveys of a year: how many, and their means.",
     survey_columns},
    {"evaluate list", "evaluation",
     "The self-evaluation of a year: how many answers, and their "
     "means.",
     evaluation_columns},
    {"advice list", "advice", "Advice given in a year.", advice_columns},
    {"customers list", "new_customers", "New customers of a year by where they came from.",
     origin_columns},
};

/* A mean {sum_milli, n} with one decimal. */
static void show_mean(kap_cli_t *cli, kap_shown_list_t *map, const kap_mp_t *row)
{
    const kap_mp_t *mean = kap_mp_get(row, "mean");
    int64_t n = kap_mp_get_int(mean, "n", 0), sum = kap_mp_get_int(mean, "sum_milli", 0);
    char text[32];
    if (n < 1)
        return;
    int64_t tenths = (sum + n * 50) / (n * 100);
    snprintf(text, sizeof text, "%lld.%lld", (long long)(tenths / 10), (long long)(tenths % 10));
    kap_shown_set_text(map, "average", kap_arena_dup(cli->arena, kap_span_str(text)));
}

/* By the words of its list, where the id is one of them. */
static void show_code(kap_cli_t *cli, kap_shown_list_t *map, const kap_mp_t *row, const char *key,
                      kap_code_list_t list)
{
    int code = kap_code_parse(list, kap_mp_get_str(row, key));
    if (code >= 0 && cli->format == KAP_FORMAT_TABLE)
        kap_shown_set_text(map, key, kap_span_str(kap_code_text(list, code, kap_shown_lang(cli))));
}

static kap_mp_t row_of(kap_cli_t *cli, const kap_mp_t *row)
{
    kap_shown_list_t map = {.arena = cli->arena};
    for (uint32_t i = 0; i < row->count; i++) {
        kap_shown_add(&map, kap_mp_key(row, i));
        kap_shown_add(&map, kap_mp_value(row, i));
    }
    kap_shown_set_text(&map, "id", kap_mp_get_str(row, "question"));
    show_code(cli, &map, row, "survey", KAP_LIST_SURVEY);
    show_code(cli, &map, row, "question", KAP_LIST_EVALUATION);
    show_mean(cli, &map, row);
    if (kap_mp_get_bool(row, "hidden", false) && cli->format == KAP_FORMAT_TABLE)
        kap_shown_set_text(&map, "average", kap_span_str(kap_shown_word(cli, KAP_WORD_TOO_FEW)));
    return kap_shown_map(&map);
}

/* The questions of the self-evaluation in their own order. */
static int by_question(const void *a, const void *b)
{
    int x = kap_code_parse(KAP_LIST_EVALUATION, kap_mp_get_str(a, "id"));
    int y = kap_code_parse(KAP_LIST_EVALUATION, kap_mp_get_str(b, "id"));
    return (x > y) - (x < y);
}

/* The metric's answer of the year, of which one list is wanted. */
static int ask(kap_asking_t *asking, const char *region, const char *year, const kap_mp_t **answer)
{
    char this_year[8];
    kap_shown_list_t question = kap_asking_question(asking, "follow-up");
    int64_t now = kap_clock_now_ms(kap_clock_system());
    snprintf(this_year, sizeof this_year, "%d", kap_date_of(KAP_ZONE_HELSINKI, now).year);
    kap_shown_set_text(&question, "region", kap_span_str(region));
    kap_shown_set_text(&question, "year", kap_span_str(year ? year : this_year));
    kap_mp_t map = kap_shown_map(&question);
    return kap_asking_put(asking, &map, false, answer);
}

static int show(kap_cli_t *cli, const figures_t *view, const kap_args_t *args)
{
    const char *region = kap_cli_region(cli, kap_args_option(args, "region"));
    kap_shown_list_t list = {.arena = cli->arena};
    kap_asking_t asking;
    const kap_mp_t *answer;
    if (!region)
        return KAP_EXIT_USAGE;
    int code = kap_asking_init(&asking, cli);
    if (code == 0)
        code = ask(&asking, region, kap_args_field(args, "year"), &answer);
    if (code == 0) {
        const kap_mp_t *rows = kap_mp_get(kap_mp_get(answer, "values"), view->value);
        for (uint32_t i = 0; rows && i < rows->count; i++) {
            kap_mp_t made = row_of(cli, kap_mp_item(rows, i));
            kap_shown_add(&list, &made);
        }
        if (list.used > 1 && strcmp(view->value, "evaluation") == 0)
            qsort(list.items, list.used, sizeof *list.items, by_question);
        kap_mp_t made = kap_shown_array(&list);
        code = kap_shown_rows(cli, view->value, &made, view->columns);
    }
    kap_asking_fini(&asking);
    return code;
}

int kap_model_figures(kap_cli_t *cli, const kap_args_t *args)
{
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (strcmp(figures[i].command, args->usage->command) == 0)
            return show(cli, &figures[i], args);
    return KAP_EXIT_USAGE;
}

const char *kap_model_figures_doc(const char *command)
{
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (strcmp(figures[i].command, command) == 0)
            return figures[i].doc;
    return NULL;
}
