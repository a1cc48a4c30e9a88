/* SPDX-License-Identifier: MPL-2.0 */
/* kapula plan, survey, evaluate, indicator, process, customers, advice, target and comment. */
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "crypto.h"
#include "err.h"
#include "followup.h"
#include "ids.h"
#include "modelvalue.h"
#include "saying.h"
#include "shown.h"

/* The kinds of sheets that model.def names. */
enum {
    PLAN = KAP_SHEET_PLAN,
    PROGRESS = KAP_SHEET_PROGRESS,
    SURVEY = KAP_SHEET_SURVEY,
    EVALUATION = KAP_SHEET_EVALUATION,
    INDICATOR = KAP_SHEET_INDICATOR,
    PROCESS = KAP_SHEET_PROCESS,
    CUSTOMERS = KAP_SHEET_CUSTOMERS,
    NEWCOMERS = KAP_SHEET_NEWCOMERS,
    ADVICE = KAP_SHEET_ADVICE,
    TARGET = KAP_SHEET_TARGET,
};

static const kap_model_row_t rows[KAP_MODEL_COUNT] = {
#define KAP_MODEL(NAME, COMMAND, EVENT, SHEET, NEEDS, SPREAD, SPREAD_TO, HELP)                     \
    {COMMAND, KAP_EV_##EVENT, {SHEET, NEEDS, SPREAD, SPREAD_TO}, HELP},
#include "model.def"
#undef KAP_MODEL
};

const kap_model_row_t *kap_model_row(kap_model_t model)
{
    return &rows[model];
}

/* --- what is said --- */

const char *kap_said(const kap_said_t *said, const char *name)
{
    for (int i = 0; i < said->count; i++)
        if (strcmp(said->names[i], name) == 0)
            return said->values[i];
    return NULL;
}

static void drop(kap_said_t *said, const char *name)
{
    int kept = 0;
    for (int i = 0; i < said->count; i++) {
        if (strcmp(said->names[i], name) == 0)
            continue;
        said->names[kept] = said->names[i];
        said->values[kept++] = said->values[i];
    }
    said->count = kept;
}

void kap_said_set(kap_cli_t *cli, kap_said_t *said, const char *name, kap_span_t value)
{
    char *copy = kap_span_empty(value) ? NULL : kap_arena_str(cli->arena, value);
    drop(said, name);
    if (!copy || said->count == KAP_MODEL_FIELDS)
        return;
    said->names[said->count] = name;
    said->values[said->count++] = copy;
}

static void set_if_absent(kap_cli_t *cli, kap_said_t *said, const char *name, const char *value)
{
    if (!kap_said(said, name) && value)
        kap_said_set(cli, said, name, kap_span_str(value));
}

/* --- settling --- */

/* front + 12 hex digits that the texts give. */
static void derive_id(const kap_said_t *said, const char *const names[], size_t n,
                      const char *front, char out[32])
{
    uint8_t digest[KAP_HASH_BYTES];
    char hex[13];
    kap_buf_t text;
    kap_buf_init(&text);
    for (size_t i = 0; i < n; i++) {
        const char *value = kap_said(said, names[i]);
        kap_buf_str(&text, value ? value : "");
        kap_buf_u8(&text, 0);
    }
    kap_span_t part = kap_buf_span(&text);
    kap_hash256(digest, &part, 1);
    kap_buf_fini(&text);
    kap_hex_encode(digest, 6, hex);
    snprintf(out, 32, "%s%s", front, hex);
}

/* "1", "1.2", "a": a number within its plan, no id. */
static bool is_ordinal(const char *text)
{
    size_t digits = strspn(text, "0123456789.");
    return strlen(text) <= 8 && (text[digits] == '\0' || text[1] == '\0');
}

static void settle_years(kap_cli_t *cli, kap_said_t *said)
{
    const char *year = kap_said(said, "year");
    kap_span_t first, last;
    if (!year || !kap_value_years(kap_span_str(year), &first, &last))
        return;
    kap_said_set(cli, said, "year_to", last);
    kap_said_set(cli, said, "year", first);
}

/* The id of an item: its own, its number within its plan, or made of its words. */
static void settle_item(kap_cli_t *cli, bool of_sheet, kap_said_t *said)
{
    static const char *const named[] = {"region",   "plan", "year", "year_to",
                                        "priority", "goal", "what"};
    const char *item = kap_said(said, "item"), *plan = kap_said(said, "plan"),
               *year = kap_said(said, "year");
    char id[KAP_LIMIT_ID_BYTES + 1];
    if (item && (!of_sheet || !is_ordinal(item)))
        return;
    if (item) {
        snprintf(id, sizeof id, "%s%s%s%s%s", plan ? plan : "", plan ? "-" : "", year ? year : "",
                 year ? "-" : "", item);
    } else if (kap_said(said, "what")) {
        derive_id(said, named, sizeof named / sizeof *named, "item-", id);
    } else {
        return;
    }
    kap_said_set(cli, said, "item", kap_span_str(id));
}

static bool settle_report(kap_cli_t *cli, bool of_sheet, kap_said_t *said, char *why)
{
    static const char *const which[] = {"priority", "goal", "what", "plan", "year", "year_to"};
    settle_item(cli, of_sheet, said);
    for (size_t i = 0; i < sizeof which / sizeof *which; i++)
        drop(said, which[i]);
    if (kap_said(said, "item"))
        return true;
    snprintf(why, KAP_MODEL_WHY,
             "item: which one? Say its id, or what it says; `kapula plan list` "
             "shows them");
    return false;
}

static bool is_number(const char *text)
{
    return kap_text_is(KAP_TYPE_DECIMAL, kap_span_str(text));
}

/* A value that is no number is an answer in words. */
static void settle_answer(kap_cli_t *cli, kap_said_t *said)
{
    const char *value = kap_said(said, "value");
    if (!value || is_number(value))
        return;
    set_if_absent(cli, said, "text", value);
    drop(said, "value");
}

static bool is_on_scale(const char *value)
{
    int64_t number;
    return kap_span_int(kap_span_str(value), &number) && number >= 1 &&
           number <= KAP_EVALUATION_SCALE;
}

static bool settle_evaluation(kap_cli_t *cli, kap_said_t *said, char *why)
{
    const char *question = kap_said(said, "question"), *value = kap_said(said, "value");
    int64_t number = 0;
    int code =
        question ? kap_value_code(cli->arena, KAP_LIST_EVALUATION, kap_span_str(question)) : -1;
    if (question && kap_span_int(kap_span_str(question), &number) && number >= 1 &&
        number <= KAP_EVALUATION_COUNT)
        code = (int)number - 1;
    if (code < 0) {
        snprintf(why, KAP_MODEL_WHY,
                 "question: '%.60s' is none of the %d; `kapula evaluate` shows "
                 "them",
                 question ? question : "", (int)KAP_EVALUATION_COUNT);
        return false;
    }
    kap_said_set(cli, said, "question", kap_span_str(kap_code_name(KAP_LIST_EVALUATION, code)));
    kap_said_set(cli, said, "survey",
                 kap_span_str(kap_code_name(KAP_LIST_SURVEY, KAP_SURVEY_SELF_EVALUATION)));
    if (kap_evaluation_is_scaled(code) && value && !is_on_scale(value)) {
        snprintf(why, KAP_MODEL_WHY, "%s: '%.60s' is no number from 1 to %d",
                 kap_code_name(KAP_LIST_EVALUATION, code), value, KAP_EVALUATION_SCALE);
        return false;
    }
    if (!kap_evaluation_is_scaled(code) && value) {
        set_if_absent(cli, said, "text", value);
        drop(said, "value");
    }
    return true;
}

static void settle_indicator(kap_cli_t *cli, kap_said_t *said)
{
    const char *indicator = kap_said(said, "indicator");
    int code = indicator ? kap_code_parse(KAP_LIST_INDICATOR, kap_span_str(indicator)) : -1;
    if (code >= 0)
        set_if_absent(cli, said, "unit", kap_code_name(KAP_LIST_UNIT, kap_indicator_unit(code)));
}

static void settle_process(kap_cli_t *cli, kap_said_t *said)
{
    static const char *const named[] = {"region", "name"};
    char id[32];
    set_if_absent(cli, said, "name", kap_said(said, "process"));
    derive_id(said, named, 2, "process-", id);
    if (kap_said(said, "name"))
        set_if_absent(cli, said, "process", id);
}

static bool has_what(bool of_sheet, const kap_said_t *said, char *why)
{
    if (kap_said(said, "what") || !of_sheet)
        return true;
    snprintf(why, KAP_MODEL_WHY,
             "what: nothing stands there; where one cell spans several rows, say "
             "it in each, or put the rows together");
    return false;
}

/* New customers are customers. */
static bool has_enough(const kap_said_t *said, char *why)
{
    const char *total = kap_said(said, "total"), *fresh = kap_said(said, "new");
    int64_t all, new_ones;
    if (!total || !fresh || !kap_span_int(kap_span_str(total), &all) ||
        !kap_span_int(kap_span_str(fresh), &new_ones) || new_ones <= all)
        return true;
    snprintf(why, KAP_MODEL_WHY, "new: %.20s are more than all customers, %.20s", fresh, total);
    return false;
}

bool kap_model_settle(kap_cli_t *cli, kap_model_t model, bool of_sheet, kap_said_t *said,
                      char why[KAP_MODEL_WHY])
{
    settle_years(cli, said);
    for (int i = 0; i < said->count; i++) {
        kap_field_t field = kap_field_parse(kap_span_str(said->names[i]));
        kap_span_t plain = kap_value_plain(cli, field, kap_span_str(said->values[i]));
        const char *copy = kap_arena_str(cli->arena, plain);
        said->values[i] = copy ? copy : said->values[i];
    }
    set_if_absent(cli, said, "region", kap_conf_str(cli->conf, "region"));
    switch (model) {
    case KAP_MODEL_PLAN_SET:
        settle_item(cli, of_sheet, said);
        return has_what(of_sheet, said, why);
    case KAP_MODEL_PLAN_REPORT:
        return settle_report(cli, of_sheet, said, why);
    case KAP_MODEL_SURVEY:
        settle_answer(cli, said);
        return true;
    case KAP_MODEL_EVALUATE:
        return settle_evaluation(cli, said, why);
    case KAP_MODEL_INDICATOR:
        settle_indicator(cli, said);
        return true;
    case KAP_MODEL_PROCESS:
        settle_process(cli, said);
        return true;
    case KAP_MODEL_CUSTOMERS:
        set_if_absent(cli, said, "segment", "unknown");
        return has_enough(said, why);
    case KAP_MODEL_ADVICE:
        set_if_absent(cli, said, "segment", "unknown");
        set_if_absent(cli, said, "service", "other");
        set_if_absent(cli, said, "channel", "other");
        set_if_absent(cli, said, "count", "1");
        return true;
    case KAP_MODEL_NEWCOMERS:
        set_if_absent(cli, said, "origin", "other");
        set_if_absent(cli, said, "count", "1");
        return true;
    case KAP_MODEL_COMMENT:
        set_if_absent(cli, said, "member", kap_conf_str(cli->conf, "member"));
        return true;
    default:
        return true;
    }
}

void kap_model_stamp(kap_cli_t *cli, kap_model_t model, kap_said_t *said)
{
    char day[KAP_TIME_TEXT + 8];
    if (model != KAP_MODEL_SURVEY && model != KAP_MODEL_EVALUATE)
        return;
    kap_date_format(kap_date_of(KAP_ZONE_HELSINKI, kap_clock_now_ms(kap_clock_system())), day);
    strcat(day, " 00:00");
    set_if_absent(cli, said, "time", day);
}

/* --- saying one --- */

static int say_one(kap_cli_t *cli, kap_model_t model, kap_args_t *args)
{
    kap_said_t said = {0};
    char why[KAP_MODEL_WHY];
    int kept = 0;
    for (int i = 0; i < args->count; i++) {
        if (args->said[i].field)
            kap_said_set(cli, &said, args->said[i].field, kap_span_str(args->said[i].value));
        else
            args->said[kept++] = args->said[i];
    }
    args->count = kept;
    if (!kap_model_settle(cli, model, false, &said, why))
        return kap_cli_fail(KAP_EXIT_REFUSED, "%s", why);
    kap_model_stamp(cli, model, &said);
    for (int i = 0; i < said.count; i++)
        kap_args_add(args, said.names[i], said.values[i]);
    kap_args_add(args, "type", kap_event_type_name(rows[model].type));
    return kap_cli_say_args(cli, "report", args);
}

static int run_model(kap_cli_t *cli, kap_model_t model, int argc, char **argv)
{
    const kap_usage_t usage = {rows[model].command, "", 0, 0, rows[model].help};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *file = rows[model].sheet.kind ? kap_args_option(&args, "file") : NULL;
    int code = kap_cli_configure(cli);
    if (code == 0)
        code = file ? kap_model_file(cli, model, &args, file) : say_one(cli, model, &args);
    return code;
}

/* --- the commands --- */

/* The command's second word: a model, a view, or what is wrong. `words` say what there is. */
static int run_word(kap_cli_t *cli, int argc, char **argv, const char *words, const char *doc)
{
    char command[64], text[600];
    snprintf(text, sizeof text, "%s%s`kapula %s %.*s --help` tells the options.", doc,
             doc[strlen(doc) - 1] == '\v' ? "" : "\n\n", argv[0], (int)strcspn(words, "|"), words);
    const kap_usage_t usage = {argv[0], words, 1, 1, text};
    kap_args_t args;
    snprintf(command, sizeof command, "%s %s", argv[0], argc > 1 ? argv[1] : "");
    for (int i = 0; i < KAP_MODEL_COUNT; i++)
        if (strcmp(rows[i].command, command) == 0)
            return run_model(cli, (kap_model_t)i, argc - 1, argv + 1);
    int code = argc > 1 ? kap_model_view(cli, command, argc - 1, argv + 1) : -1;
    if (code >= 0)
        return code;
    kap_args_parse(cli, &usage, argc, argv, &args);
    return kap_cli_fail(KAP_EXIT_USAGE, "%s %s: say %s; see --help", usage.command, args.words[0],
                        words);
}

int kap_cmd_plan(kap_cli_t *cli, int argc, char **argv)
{
    return run_word(cli, argc, argv, "set|report|list|show",
                    "Plans: action, work, contact, communication and customer plans.\v"
                    "`kapula plan set --file TABLE.csv --plan action --year 2026` takes a plan as "
                    "it is kept: its header may be Finnish, Swedish or English.");
}

int kap_cmd_survey(kap_cli_t *cli, int argc, char **argv)
{
    return run_word(cli, argc, argv, "answer|list",
                    "Surveys of the network's members and of customers.\v"
                    "Single answers are never shown.");
}

int kap_cmd_indicator(kap_cli_t *cli, int argc, char **argv)
{
    return run_word(cli, argc, argv, "report|list",
                    "Indicators of the region: reported, not computed.\v");
}

int kap_cmd_process(kap_cli_t *cli, int argc, char **argv)
{
    return run_word(cli, argc, argv, "set|list|show",
                    "Service processes, their stages and owners.\v");
}

int kap_cmd_customers(kap_cli_t *cli, int argc, char **argv)
{
    return run_word(cli, argc, argv, "report|new|list", "Customers of a year, and new ones.\v");
}

int kap_cmd_target(kap_cli_t *cli, int argc, char **argv)
{
    return run_word(cli, argc, argv, "set|list", "Targets that a region has agreed on.\v");
}

/* Commands that say without a second word, and show with `list`. */
static int run_plain(kap_cli_t *cli, kap_model_t model, int argc, char **argv)
{
    char command[64];
    snprintf(command, sizeof command, "%s list", argv[0]);
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return kap_model_view(cli, command, argc - 1, argv + 1);
    return run_model(cli, model, argc, argv);
}

int kap_cmd_advice(kap_cli_t *cli, int argc, char **argv)
{
    return run_plain(cli, KAP_MODEL_ADVICE, argc, argv);
}

int kap_cmd_comment(kap_cli_t *cli, int argc, char **argv)
{
    return run_plain(cli, KAP_MODEL_COMMENT, argc, argv);
}

/* --- the self-evaluation --- */

static void print_question(const kap_mp_t *question)
{
    enum { LABEL = 4 };
    char number[16], text[KAP_SHOWN_BYTES];
    snprintf(number, sizeof number, "%lld", (long long)kap_mp_get_int(question, "number", 0));
    snprintf(text, sizeof text, "%.*s [%.*s: %.*s]",
             KAP_SPAN_ARGS(kap_mp_get_str(question, "text")),
             KAP_SPAN_ARGS(kap_mp_get_str(question, "id")),
             KAP_SPAN_ARGS(kap_mp_get_str(question, "answer")));
    kap_shown_line(0, LABEL, kap_span_str(number), kap_span_str(text));
}

static int show_questions(kap_cli_t *cli)
{
    static const kap_shown_column_t columns[] = {
        {.key = "number"}, {.key = "id"}, {.key = "text"}, {.key = "answer"}, {.key = NULL}};
    kap_shown_list_t list = {.arena = cli->arena};
    for (int i = 0; i < KAP_EVALUATION_COUNT; i++) {
        kap_shown_list_t map = {.arena = cli->arena};
        const char *text = kap_code_text(KAP_LIST_EVALUATION, i, kap_shown_lang(cli));
        bool scaled = kap_evaluation_is_scaled(i);
        const char *form = scaled ? "1-7" : kap_shown_word(cli, KAP_WORD_IN_WORDS);
        kap_shown_set_int(&map, "number", i + 1);
        kap_shown_set_text(&map, "id", kap_span_str(kap_code_name(KAP_LIST_EVALUATION, i)));
        kap_shown_set_text(&map, "text", kap_span_str(text));
        kap_shown_set_text(&map, "answer", kap_span_str(form));
        kap_mp_t made = kap_shown_map(&map);
        if (cli->format == KAP_FORMAT_TABLE)
            print_question(&made);
        kap_shown_add(&list, &made);
    }
    kap_mp_t all = kap_shown_array(&list);
    return cli->format == KAP_FORMAT_TABLE ? KAP_EXIT_DONE
                                           : kap_shown_rows(cli, "questions", &all, columns);
}

/* One act for each --answer. */
static int say_answers(kap_cli_t *cli, const kap_args_t *args)
{
    int code = KAP_EXIT_DONE;
    for (int i = 0; i < args->count; i++) {
        if (!args->said[i].option || strcmp(args->said[i].option, "answer") != 0)
            continue;
        kap_args_t one = *args;
        one.count = 0;
        for (int k = 0; k < args->count; k++)
            if (!args->said[k].option || strcmp(args->said[k].option, "answer") != 0)
                one.said[one.count++] = args->said[k];
        kap_args_add(&one, "question", args->said[i].field);
        kap_args_add(&one, "value", args->said[i].value);
        int rc = say_one(cli, KAP_MODEL_EVALUATE, &one);
        code = rc > code ? rc : code;
    }
    return code;
}

int kap_cmd_evaluate(kap_cli_t *cli, int argc, char **argv)
{
    const kap_model_row_t *row = &rows[KAP_MODEL_EVALUATE];
    const kap_usage_t usage = {row->command, "", 0, 0, row->help};
    kap_args_t args;
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return kap_model_view(cli, "evaluate list", argc - 1, argv + 1);
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_cli_configure(cli);
    if (code != 0)
        return code;
    if (kap_args_option(&args, "file"))
        return kap_model_file(cli, KAP_MODEL_EVALUATE, &args, kap_args_option(&args, "file"));
    return kap_args_option(&args, "answer") ? say_answers(cli, &args) : show_questions(cli);
}
