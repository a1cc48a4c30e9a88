/* SPDX-License-Identifier: MPL-2.0 */
/* Plans, meetings and visits, and the rest of the follow-up model in a report. */
#include <string.h>

#include "measure.h"
#include "metricview.h"
#include "report.h"

enum { COLUMNS = 8 };

static bool is_name(kap_span_t key)
{
    return key.size > 5 && memcmp(key.data + key.size - 5, "_name", 5) == 0;
}

/* A value as it stands in a cell; numbers that the public edition hides are hidden. */
static const char *cell_text(kap_report_t *report, const kap_mp_t *row, kap_span_t key,
                             const kap_mp_t *value)
{
    char text[KAP_SHOWN_BYTES], name[64];
    switch (kap_measure_form(key, value)) {
    case KAP_MEASURE_RATE:
        return kap_report_rate(report, value);
    case KAP_MEASURE_MEAN:
        if (report->edition == KAP_EDITION_PUBLIC && kap_mp_get_int(value, "n", 0) < report->k)
            return "–";
        break;
    case KAP_MEASURE_COUNT:
        if (kap_span_eq_str(key, "year"))
            break;
        return kap_report_count(report, value->i);
    case KAP_MEASURE_TEXT:
        snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(key));
        if (value->kind == KAP_MP_STR &&
            !kap_span_eq(kap_metricview_who(report->cli, row, name), value->s))
            return kap_arena_str(report->asking->arena, kap_metricview_who(report->cli, row, name));
        break;
    default:
        break;
    }
    kap_measure_text(report->cli, key, value, false, text);
    return kap_arena_str(report->asking->arena, kap_span_str(text));
}

static bool is_number(kap_measure_form_t form)
{
    return form >= KAP_MEASURE_COUNT && form <= KAP_MEASURE_TIME;
}

/* A list of maps as a table under a heading; its columns are the first map's keys. */
static void put_list(kap_report_t *report, const char *heading, const kap_mp_t *list)
{
    const kap_mp_t *first = kap_mp_item(list, 0);
    const char *titles[COLUMNS];
    kap_span_t keys[COLUMNS];
    uint32_t right = 0;
    int n = 0;
    if (!first || first->kind != KAP_MP_MAP)
        return;
    for (uint32_t i = 0; i < first->count && n < COLUMNS; i++) {
        kap_span_t key = kap_mp_key(first, i)->s;
        kap_measure_form_t form = kap_measure_form(key, kap_mp_value(first, i));
        if (is_name(key) || kap_span_eq_str(key, "region") || form >= KAP_MEASURE_LIST)
            continue;
        keys[n] = key;
        right |= is_number(form) ? 1U << n : 0;
        titles[n++] = kap_arena_str(report->asking->arena, kap_shown_key(report->cli, key));
    }
    kap_page_say(&report->page, KAP_PAGE_HEADING, heading);
    kap_page_table(&report->page, n, titles, right);
    for (uint32_t i = 0; i < list->count; i++) {
        kap_page_cell_t cells[COLUMNS];
        const kap_mp_t *row = kap_mp_item(list, i);
        for (int k = 0; k < n; k++) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(keys[k]));
            const kap_mp_t *value = kap_mp_get(row, name);
            double percent = kap_measure_form(keys[k], value) == KAP_MEASURE_RATE
                                 ? kap_measure_percent(value)
                                 : -1;
            cells[k] = (kap_page_cell_t){.text = cell_text(report, row, keys[k], value),
                                         .share = percent < 0 ? -1 : percent / 100};
        }
        kap_page_row(&report->page, cells);
    }
}

static bool has_items(const kap_mp_t *list)
{
    return list && list->kind == KAP_MP_ARRAY && list->count > 0;
}

static void say_nothing(kap_report_t *report)
{
    kap_page_say(&report->page, KAP_PAGE_TEXT,
                 kap_report_say(report, KAP_SAY_NOTHING_REPORTED, NULL));
}

void kap_report_plans(kap_report_t *report)
{
    const kap_mp_t *answer = kap_report_ask(report, "follow-up", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *plans = kap_report_value(answer, "plans");
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_PLANS, NULL));
    if (has_items(plans))
        put_list(report, NULL, plans);
    else
        say_nothing(report);
}

/* Single values become tiles, lists and maps of maps tables. */
static int put_values(kap_report_t *report, const kap_mp_t *values)
{
    int said = 0;
    for (uint32_t i = 0; values && i < values->count; i++) {
        kap_span_t key = kap_mp_key(values, i)->s, label = kap_shown_key(report->cli, key);
        const kap_mp_t *value = kap_mp_value(values, i);
        kap_measure_form_t form = kap_measure_form(key, value);
        char title[128];
        snprintf(title, sizeof title, "%.*s", KAP_SPAN_ARGS(label));
        if (form == KAP_MEASURE_MAP) {
            said += put_values(report, value);
        } else if (is_number(form)) {
            kap_page_tile(&report->page, title, cell_text(report, values, key, value), NULL,
                          KAP_PAGE_PLAIN);
            said++;
        }
    }
    return said;
}

void kap_report_visits(kap_report_t *report)
{
    const kap_mp_t *answer = kap_report_ask(report, "meetings", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *values = kap_mp_get(answer, "values");
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_VISITS, NULL));
    int said = put_values(report, values);
    for (uint32_t i = 0; values && i < values->count; i++)
        if (has_items(kap_mp_value(values, i)) && report->edition != KAP_EDITION_PUBLIC) {
            char title[128];
            snprintf(title, sizeof title, "%.*s",
                     KAP_SPAN_ARGS(kap_shown_key(report->cli, kap_mp_key(values, i)->s)));
            put_list(report, title, kap_mp_value(values, i));
            said++;
        }
    if (said == 0)
        say_nothing(report);
}

void kap_report_follow(kap_report_t *report)
{
    static const struct {
        const char *value;
        kap_say_t heading;
    } parts[] = {{"customers", KAP_SAY_F_CUSTOMERS},   {"new_customers", KAP_SAY_F_NEW},
                 {"advice", KAP_SAY_F_ADVICE},         {"feedback", KAP_SAY_F_FEEDBACK},
                 {"evaluation", KAP_SAY_F_EVALUATION}, {"surveys", KAP_SAY_F_SURVEYS},
                 {"indicators", KAP_SAY_F_INDICATORS}};
    const kap_mp_t *answer = kap_report_ask(report, "follow-up", NULL, KAP_REPORT_PERIOD);
    int said = 0;
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_CUSTOMERS, NULL));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const kap_mp_t *list = kap_report_value(answer, parts[i].value);
        if (!has_items(list))
            continue;
        put_list(report, kap_report_say(report, parts[i].heading, NULL), list);
        said++;
    }
    if (said == 0)
        say_nothing(report);
}
