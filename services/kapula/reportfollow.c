/* SPDX-License-Identifier: MPL-2.0 */
/* Plans, meetings and visits, and the rest of the follow-up model in a report. */
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "report.h"

enum { COLUMNS = 9 };

/* A column of a list: the key, its title, and the codes it has, if any. */
typedef struct {
    const char *key;
    kap_say_t title;
    kap_code_list_t codes;
    bool right;
} column_t;

static bool has_items(const kap_mp_t *list)
{
    return list && list->kind == KAP_MP_ARRAY && list->count > 0;
}

static const char *kept(kap_report_t *report, const char *text)
{
    const char *copy = kap_arena_str(report->asking->arena, kap_span_str(text));
    return copy ? copy : "";
}

/* A number that came as its digits, as the language writes it: a mean with two decimals, a change
 * with its sign, others with one where they have any. */
static bool decimal_of(kap_report_t *report, const char *key, kap_span_t text,
                       char out[KAP_MEASURE_BYTES])
{
    char copy[32], number[KAP_MEASURE_BYTES], *end;
    bool mean = strcmp(key, "mean") == 0, change = strcmp(key, "change") == 0;
    snprintf(copy, sizeof copy, "%.*s", KAP_SPAN_ARGS(text));
    double value = strtod(copy, &end);
    if (text.size == 0 || text.size >= sizeof copy || *end != '\0')
        return false;
    kap_measure_number(report->lang, value < 0 ? -value : value,
                       mean                ? 2
                       : strchr(copy, '.') ? 1
                                           : 0,
                       number);
    snprintf(out, KAP_MEASURE_BYTES, "%s%.80s",
             value < 0             ? "−"
             : change && value > 0 ? "+"
                                   : "",
             number);
    return true;
}

/* A code in words, any other text as it is. */
static const char *text_of(kap_report_t *report, const column_t *column, kap_span_t text)
{
    char copy[KAP_SHOWN_BYTES];
    if (kap_span_eq_str(text, "none"))
        return "";
    if (column->right && decimal_of(report, column->key, text, copy))
        return kept(report, copy);
    const char *code =
        column->codes
            ? kap_code_text(column->codes, kap_code_parse(column->codes, text), report->lang)
            : NULL;
    snprintf(copy, sizeof copy, "%.*s", KAP_SPAN_ARGS(text));
    return code ? code : kept(report, copy);
}

/* A mean with its number, whose n stands beside it; too few behind it are not told. */
static const char *mean_of(kap_report_t *report, const kap_mp_t *mean)
{
    char text[KAP_SHOWN_BYTES];
    if (kap_mp_get_int(mean, "n", 0) == 0 ||
        (report->edition == KAP_EDITION_PUBLIC && kap_mp_get_int(mean, "n", 0) < report->k))
        return "–";
    kap_measure_text(report->cli, kap_span_str(""), mean, false, text);
    return kept(report, text);
}

static const char *cell_text(kap_report_t *report, const column_t *column, const kap_mp_t *row)
{
    char text[32];
    const kap_mp_t *value = kap_mp_get(row, column->key);
    bool hidden = kap_mp_get_bool(row, "hidden", false);
    bool few = report->edition == KAP_EDITION_PUBLIC && kap_mp_get_int(row, "n", 0) < report->k;
    switch (kap_measure_form(kap_span_str(column->key), value)) {
    case KAP_MEASURE_TEXT:
        if (few && strcmp(column->key, "mean") == 0)
            return "–";
        return value->kind == KAP_MP_STR ? text_of(report, column, value->s) : "";
    case KAP_MEASURE_RATE:
        return kap_report_rate(report, value);
    case KAP_MEASURE_MEAN:
        return mean_of(report, value);
    case KAP_MEASURE_COUNT:
        snprintf(text, sizeof text, "%lld", (long long)value->i);
        if (strcmp(column->key, "change") == 0)
            return text_of(report, column, kap_span_str(text));
        return strcmp(column->key, "year") == 0 || strcmp(column->key, "scale") == 0
                   ? kept(report, text)
                   : kap_report_count(report, value->i);
    default:
        return hidden && strcmp(column->key, "n") == 0 ? "1–4"
               : hidden && column->right               ? "–"
               : strcmp(column->key, "segment") == 0   ? kap_report_say(report, KAP_SAY_ALL, NULL)
                                                       : "";
    }
}

static bool says_anything(const kap_mp_t *list, const char *key)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const kap_mp_t *value = kap_mp_get(kap_mp_item(list, i), key);
        if (value && value->kind != KAP_MP_NIL)
            return true;
    }
    return false;
}

/* A list as a table under a heading (NULL: none); columns that no row fills are left out. */
static int put_table(kap_report_t *report, const char *heading, const kap_mp_t *list,
                     const column_t columns[])
{
    const column_t *used[COLUMNS];
    const char *titles[COLUMNS];
    uint32_t right = 0;
    int n = 0;
    if (!has_items(list))
        return 0;
    for (; columns->key && n < COLUMNS; columns++) {
        if (!says_anything(list, columns->key))
            continue;
        right |= columns->right ? 1U << n : 0;
        titles[n] = kap_report_say(report, columns->title, NULL);
        used[n++] = columns;
    }
    kap_page_say(&report->page, KAP_PAGE_HEADING, heading);
    kap_page_table(&report->page, n, titles, right);
    for (uint32_t i = 0; i < list->count; i++) {
        kap_page_cell_t cells[COLUMNS];
        const kap_mp_t *row = kap_mp_item(list, i);
        for (int k = 0; k < n; k++) {
            const char *text = cell_text(report, used[k], row);
            double percent =
                strcmp(text, "–") == 0 ? -1 : kap_measure_percent(kap_mp_get(row, used[k]->key));
            cells[k] = (kap_page_cell_t){.text = text, .share = percent < 0 ? -1 : percent / 100};
        }
        kap_page_row(&report->page, cells);
    }
    return 1;
}

static void say_nothing(kap_report_t *report)
{
    kap_page_say(&report->page, KAP_PAGE_TEXT,
                 kap_report_say(report, KAP_SAY_NOTHING_REPORTED, NULL));
}

/* --- plans --- */

void kap_report_plans(kap_report_t *report)
{
    static const column_t columns[] = {{"plan", KAP_SAY_PLAN, KAP_LIST_PLAN, false},
                                       {"year", KAP_SAY_YEAR, KAP_LIST_NONE, true},
                                       {"items", KAP_SAY_ITEMS, KAP_LIST_NONE, true},
                                       {"share", KAP_SAY_REACHED, KAP_LIST_NONE, true},
                                       {"unreported", KAP_SAY_UNSAID, KAP_LIST_NONE, true},
                                       {"dropped", KAP_SAY_DROPPED, KAP_LIST_NONE, true},
                                       {NULL}};
    const kap_mp_t *answer = kap_report_ask(report, "follow-up", NULL, KAP_REPORT_PERIOD);
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_PLANS, NULL));
    report->of_work = true;
    if (!put_table(report, NULL, kap_report_value(answer, "plans"), columns))
        say_nothing(report);
    report->of_work = false;
}

/* --- meetings, visits, actions --- */

static const char *count_text(kap_report_t *report, const kap_mp_t *values, const char *key)
{
    return kap_report_number(report, values, key);
}

/* Of referrals, even of those that arose in a meeting, few are hidden. */
static const char *referrals_text(kap_report_t *report, const kap_mp_t *values, const char *key)
{
    report->of_work = false;
    const char *text = kap_report_number(report, values, key);
    report->of_work = true;
    return text;
}

static void tile_rate(kap_report_t *report, kap_say_t label, const kap_mp_t *rate)
{
    const char *text = kap_report_rate(report, rate), *comma = strchr(text, ',');
    char detail[KAP_MEASURE_BYTES] = "";
    if (comma)
        snprintf(detail, sizeof detail, "%.*s", (int)(comma - text), text);
    kap_page_tile(&report->page, kap_report_say(report, label, NULL), comma ? comma + 2 : text,
                  detail, KAP_PAGE_PLAIN);
}

static void put_meeting_tiles(kap_report_t *report, const kap_mp_t *values)
{
    kap_page_tile(&report->page, kap_report_say(report, KAP_SAY_MEETINGS_HELD, NULL),
                  count_text(report, values, "held"),
                  kap_report_say(report, KAP_SAY_PLANNED_N, count_text(report, values, "planned"),
                                 count_text(report, values, "cancelled"),
                                 count_text(report, values, "moved"), NULL),
                  KAP_PAGE_PLAIN);
    tile_rate(report, KAP_SAY_ADHERENCE, kap_mp_get(values, "adherence"));
    tile_rate(report, KAP_SAY_PARTICIPATION, kap_mp_get(values, "participation"));
    kap_page_tile(&report->page, kap_report_say(report, KAP_SAY_JOINT_VISITS, NULL),
                  count_text(report, values, "joint_visits"),
                  kap_report_say(report, KAP_SAY_FROM_VISITS,
                                 referrals_text(report, values, "visit_referrals"),
                                 kap_report_rate(report, kap_mp_get(values, "visit_actions")),
                                 NULL),
                  KAP_PAGE_PLAIN);
    kap_page_tile(
        &report->page, kap_report_say(report, KAP_SAY_ARISEN, NULL),
        referrals_text(report, values, "referrals"),
        kap_report_say(report, KAP_SAY_AND_LEADS, referrals_text(report, values, "leads"), NULL),
        KAP_PAGE_PLAIN);
    kap_page_tile(&report->page, kap_report_say(report, KAP_SAY_ACTIONS, NULL),
                  kap_report_count(report, kap_mp_get_int(kap_mp_get(values, "actions"), "den", 0)),
                  kap_report_say(report, KAP_SAY_DONE_OF,
                                 kap_report_rate(report, kap_mp_get(values, "actions")), NULL),
                  KAP_PAGE_PLAIN);
}

void kap_report_visits(kap_report_t *report)
{
    static const column_t clock[] = {{"name", KAP_SAY_FORUM, KAP_LIST_NONE, false},
                                     {"forum_kind", KAP_SAY_WHAT, KAP_LIST_FORUM, false},
                                     {"expected", KAP_SAY_EXPECTED, KAP_LIST_NONE, true},
                                     {"due", KAP_SAY_DUE, KAP_LIST_NONE, true},
                                     {"held", KAP_SAY_HELD, KAP_LIST_NONE, true},
                                     {"cancelled", KAP_SAY_CANCELLED, KAP_LIST_NONE, true},
                                     {"adherence", KAP_SAY_ADHERENCE, KAP_LIST_NONE, true},
                                     {NULL}},
                          targets[] = {{"target", KAP_SAY_WHAT, KAP_LIST_TARGET, false},
                                       {"year", KAP_SAY_YEAR, KAP_LIST_NONE, true},
                                       {"value", KAP_SAY_TARGET, KAP_LIST_NONE, true},
                                       {"done", KAP_SAY_DONE, KAP_LIST_NONE, true},
                                       {NULL}};
    const kap_mp_t *answer = kap_report_ask(report, "meetings", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *values = kap_mp_get(answer, "values");
    bool any = kap_mp_get_int(values, "planned", 0) + kap_mp_get_int(values, "held", 0) > 0;
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_VISITS, NULL));
    report->of_work = true;
    if (any)
        put_meeting_tiles(report, values);
    int said = any;
    said += put_table(report, kap_report_say(report, KAP_SAY_TARGETS, NULL),
                      kap_mp_get(values, "targets"), targets);
    if (report->edition != KAP_EDITION_PUBLIC)
        said += put_table(report, kap_report_say(report, KAP_SAY_CLOCK, NULL),
                          kap_mp_get(values, "clock"), clock);
    if (said == 0)
        say_nothing(report);
    report->of_work = false;
}

/* --- customers, feedback, indicators --- */

static const struct {
    const char *value;
    kap_say_t heading;
    column_t columns[COLUMNS];
} parts[] = {
    {"customers",
     KAP_SAY_F_CUSTOMERS,
     {{"year", KAP_SAY_YEAR, KAP_LIST_NONE, false},
      {"segment", KAP_SAY_SEGMENT, KAP_LIST_SEGMENT, false},
      {"total", KAP_SAY_TOTAL, KAP_LIST_NONE, true},
      {"new", KAP_SAY_NEW, KAP_LIST_NONE, true},
      {"change", KAP_SAY_MOVED_BY, KAP_LIST_NONE, true}}},
    {"new_customers",
     KAP_SAY_F_NEW,
     {{"origin", KAP_SAY_ORIGIN, KAP_LIST_ORIGIN, false},
      {"n", KAP_SAY_NUMBER, KAP_LIST_NONE, true}}},
    {"feedback",
     KAP_SAY_F_FEEDBACK,
     {{"segment", KAP_SAY_SEGMENT, KAP_LIST_SEGMENT, false},
      {"scale", KAP_SAY_SCALE, KAP_LIST_NONE, true},
      {"n", KAP_SAY_ANSWERS, KAP_LIST_NONE, true},
      {"mean", KAP_SAY_MEAN, KAP_LIST_NONE, true}}},
    {"advice",
     KAP_SAY_F_ADVICE,
     {{"service", KAP_SAY_SERVICE, KAP_LIST_SERVICE, false},
      {"segment", KAP_SAY_SEGMENT, KAP_LIST_SEGMENT, false},
      {"channel", KAP_SAY_CHANNEL, KAP_LIST_CHANNEL, false},
      {"n", KAP_SAY_NUMBER, KAP_LIST_NONE, true}}},
    {"evaluation",
     KAP_SAY_F_EVALUATION,
     {{"question", KAP_SAY_QUESTION, KAP_LIST_EVALUATION, false},
      {"year", KAP_SAY_YEAR, KAP_LIST_NONE, true},
      {"n", KAP_SAY_ANSWERS, KAP_LIST_NONE, true},
      {"mean", KAP_SAY_MEAN, KAP_LIST_NONE, true}}},
    {"surveys",
     KAP_SAY_F_SURVEYS,
     {{"survey", KAP_SAY_SURVEY, KAP_LIST_SURVEY, false},
      {"question", KAP_SAY_QUESTION, KAP_LIST_NONE, false},
      {"year", KAP_SAY_YEAR, KAP_LIST_NONE, true},
      {"scale", KAP_SAY_SCALE, KAP_LIST_NONE, true},
      {"n", KAP_SAY_ANSWERS, KAP_LIST_NONE, true},
      {"mean", KAP_SAY_MEAN, KAP_LIST_NONE, true}}},
    {"indicators",
     KAP_SAY_F_INDICATORS,
     {{"indicator", KAP_SAY_INDICATOR, KAP_LIST_INDICATOR, false},
      {"segment", KAP_SAY_SEGMENT, KAP_LIST_SEGMENT, false},
      {"period", KAP_SAY_PERIOD, KAP_LIST_NONE, false},
      {"value", KAP_SAY_VALUE, KAP_LIST_NONE, true},
      {"unit", KAP_SAY_UNIT, KAP_LIST_UNIT, false},
      {"change", KAP_SAY_MOVED_BY, KAP_LIST_NONE, true},
      {"info_source", KAP_SAY_INFO_SOURCE, KAP_LIST_NONE, false}}},
};

/* What of the contract's least is not there. */
static void put_missing(kap_report_t *report, const kap_mp_t *minimum)
{
    kap_buf_t line;
    kap_buf_init(&line);
    for (uint32_t i = 0; minimum && i < minimum->count; i++) {
        const kap_mp_t *row = kap_mp_item(minimum, i);
        const char *what = kap_code_text(
            KAP_LIST_MINIMUM, kap_code_parse(KAP_LIST_MINIMUM, kap_mp_get_str(row, "minimum")),
            report->lang);
        if (what && !kap_mp_get_bool(row, "there", true))
            kap_buf_printf(&line, "%s%s", line.size ? "; " : "", what);
    }
    if (line.size > 0)
        kap_page_say(&report->page, KAP_PAGE_NOTE,
                     kap_report_say(report, KAP_SAY_MINIMUM, kap_buf_cstr(&line), NULL));
    kap_buf_fini(&line);
}

void kap_report_follow(kap_report_t *report)
{
    const kap_mp_t *answer = kap_report_ask(report, "follow-up", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *electronic = kap_report_value(answer, "electronic");
    int said = 0;
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_CUSTOMERS, NULL));
    if (kap_mp_get_int(electronic, "den", 0) > 0) {
        tile_rate(report, KAP_SAY_ELECTRONIC, electronic);
        tile_rate(report, KAP_SAY_PHONE, kap_report_value(answer, "phone"));
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        said += put_table(report, kap_report_say(report, parts[i].heading, NULL),
                          kap_report_value(answer, parts[i].value), parts[i].columns);
    if (said == 0)
        say_nothing(report);
    put_missing(report, kap_report_value(answer, "minimum"));
}
