/* SPDX-License-Identifier: MPL-2.0 */
/* What a report says: sentences of report.def, figures and names in its language. */
#include <stdarg.h>
#include <string.h>

#include "measure.h"
#include "report.h"
#include "tables.h"

enum { HOLES = 8 };

static const char *const texts[][3] = {
#define KAP_REPORT_TEXT(NAME, FI, SV, EN) {FI, SV, EN},
#include "report.def"
#undef KAP_REPORT_TEXT
};

static const char *kept(kap_report_t *report, kap_span_t text)
{
    const char *copy = kap_arena_str(report->asking->arena, text);
    report->page.err |= !copy;
    return copy ? copy : "";
}

const char *kap_report_say(kap_report_t *report, kap_say_t text, ...)
{
    const char *holes[HOLES] = {0}, *value;
    int n = 0;
    va_list list;
    kap_buf_t out;
    va_start(list, text);
    while (n < HOLES && (value = va_arg(list, const char *)))
        holes[n++] = value;
    va_end(list);
    kap_buf_init(&out);
    for (const char *at = texts[text][report->lang]; *at; at++) {
        bool hole = at[0] == '{' && at[1] >= '0' && at[1] < '0' + HOLES && at[2] == '}';
        if (hole) {
            kap_buf_str(&out, holes[at[1] - '0'] ? holes[at[1] - '0'] : "");
            at += 2;
        } else {
            kap_buf_u8(&out, (uint8_t)*at);
        }
    }
    const char *said = kept(report, kap_buf_span(&out));
    kap_buf_fini(&out);
    return said;
}

/* Whether small numbers are hidden in what is said now. */
static bool is_public(const kap_report_t *report)
{
    return report->edition == KAP_EDITION_PUBLIC && !report->of_work;
}

const char *kap_report_rate(kap_report_t *report, const kap_mp_t *rate)
{
    char text[KAP_MEASURE_BYTES];
    double percent = kap_measure_percent(rate);
    long long num = (long long)kap_mp_get_int(rate, "num", 0);
    long long den = (long long)kap_mp_get_int(rate, "den", 0);
    if (percent < 0 || (is_public(report) && den < report->k))
        return "–";
    bool few = is_public(report) && (num < report->k || den - num < report->k);
    if (few)
        return "–";
    snprintf(text, sizeof text, "%lld/%lld, %.0f %%", num, den, percent);
    return kept(report, kap_span_str(text));
}

const char *kap_report_time(kap_report_t *report, const kap_mp_t *time, const char *part,
                            bool words)
{
    char text[KAP_MEASURE_BYTES];
    int64_t n = kap_mp_get_int(time, "n", 0);
    if (n == 0 || (is_public(report) && n < report->k))
        return "–";
    kap_measure_duration(report->lang, kap_mp_get_int(time, part, -1), false, words, text);
    return kept(report, kap_span_str(text));
}

const char *kap_report_count(kap_report_t *report, int64_t count)
{
    char text[KAP_MEASURE_BYTES];
    if (is_public(report) && count > 0 && count < report->k)
        snprintf(text, sizeof text, "1–%d", report->k - 1);
    else
        snprintf(text, sizeof text, "%lld", (long long)count);
    return kept(report, kap_span_str(text));
}

const char *kap_report_number(kap_report_t *report, const kap_mp_t *map, const char *key)
{
    char text[KAP_MEASURE_BYTES];
    const kap_mp_t *value = kap_mp_get(map, key);
    if (!value || value->kind != KAP_MP_NIL)
        return kap_report_count(report, kap_mp_get_int(map, key, 0));
    snprintf(text, sizeof text, "1–%d", report->k - 1);
    return kept(report, kap_span_str(text));
}

const char *kap_report_member(kap_report_t *report, kap_span_t id)
{
    return kept(report, kap_cli_member_name(report->cli, id));
}

const char *kap_report_region(kap_report_t *report)
{
    const kap_region_row_t *row = kap_region_row(kap_region_find(kap_span_str(report->region)));
    return !row ? report->region : report->lang == KAP_LANG_SV ? row->sv : row->fi;
}

const char *kap_report_edge(kap_report_t *report, kap_span_t from, kap_span_t to)
{
    return kap_report_say(report, KAP_SAY_EDGE, kap_report_member(report, from),
                          kap_report_member(report, to), NULL);
}

const char *kap_report_date(kap_report_t *report, kap_date_t date)
{
    char text[KAP_TIME_TEXT];
    snprintf(text, sizeof text, "%d.%d.%d", date.day, date.month, date.year);
    return kept(report, kap_span_str(text));
}

const char *kap_report_period(kap_report_t *report, kap_date_t from, kap_date_t to)
{
    char year[16];
    kap_date_t last = kap_date_add(to, -1);
    snprintf(year, sizeof year, "%d", from.year);
    bool whole = from.day == 1 && to.day == 1;
    if (whole && from.month == 1 && to.month == 1 && to.year == from.year + 1)
        return kap_report_say(report, KAP_SAY_YEAR_NAME, year, NULL);
    if (whole && from.year == last.year && from.month == last.month)
        return kap_report_say(
            report, KAP_SAY_MONTH_NAME,
            kap_report_say(report, (kap_say_t)(KAP_SAY_MONTH_1 + from.month - 1), NULL), year,
            NULL);
    return kap_report_say(report, KAP_SAY_DAYS_NAME, kap_report_date(report, from),
                          kap_report_date(report, last), NULL);
}
