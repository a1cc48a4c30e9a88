/* SPDX-License-Identifier: MPL-2.0 */
/* What a report asks for. */
#include <string.h>

#include "report.h"

static void set_window(const kap_report_t *report, kap_report_window_t window,
                       kap_shown_list_t *question)
{
    kap_date_t from = report->from, to = report->to;
    char text[KAP_TIME_TEXT];
    if (window == KAP_REPORT_NOW)
        return;
    if (window == KAP_REPORT_BEFORE) {
        from = report->before;
        to = report->from;
    } else if (window == KAP_REPORT_MONTHS) {
        kap_date_t last = kap_date_add(to, -1);
        to = kap_date_add((kap_date_t){last.year, last.month, 28}, 4);
        to.day = 1;
        from = (kap_date_t){(int16_t)(to.year - 1), to.month, 1};
    }
    kap_date_format(from, text);
    kap_shown_set_text(question, "from", kap_arena_dup(question->arena, kap_span_str(text)));
    kap_date_format(to, text);
    kap_shown_set_text(question, "to", kap_arena_dup(question->arena, kap_span_str(text)));
}

static const kap_mp_t *put(kap_report_t *report, const kap_shown_list_t *question)
{
    const kap_mp_t map = kap_shown_map(question), *answer = NULL;
    int code = kap_asking_put(report->asking, &map, true, &answer);
    const kap_mp_t *error = code == 0 ? kap_mp_get(answer, "error") : NULL;
    if (error && !report->refused)
        report->refused = kap_arena_str(report->asking->arena, kap_mp_get_str(error, "sentence"));
    if (code != 0)
        report->page.err = true; /* silence: told by the command */
    return code == 0 && !error ? answer : NULL;
}

const kap_mp_t *kap_report_ask(kap_report_t *report, const char *metric, const char *by,
                               kap_report_window_t window)
{
    if (report->page.err)
        return NULL;
    kap_shown_list_t question = kap_asking_question(report->asking, metric);
    kap_shown_set_text(&question, "region", kap_span_str(report->region));
    if (by)
        kap_shown_set_text(&question, "by", kap_span_str(by));
    set_window(report, window, &question);
    return put(report, &question);
}

const kap_mp_t *kap_report_value(const kap_mp_t *answer, const char *value)
{
    return kap_mp_get(kap_mp_get(answer, "values"), value);
}

const kap_mp_t *kap_report_row(const kap_mp_t *answer, kap_span_t from, kap_span_t to)
{
    const kap_mp_t *rows = kap_mp_get(answer, "rows");
    for (uint32_t i = 0; rows && i < rows->count; i++) {
        const kap_mp_t *row = kap_mp_item(rows, i), *key = kap_mp_get(row, "key");
        const kap_mp_t *edge = kap_mp_get(key, "edge");
        kap_span_t x =
            edge && edge->count == 2 ? kap_mp_item(edge, 0)->s : kap_mp_get_str(key, "member");
        kap_span_t y = edge && edge->count == 2 ? kap_mp_item(edge, 1)->s : (kap_span_t){0};
        if (kap_span_eq(x, from) && kap_span_eq(y, to))
            return row;
    }
    return NULL;
}

int kap_report_order(kap_report_t *report, kap_span_t a, kap_span_t b)
{
    int order =
        kap_span_cmp(kap_cli_member_name(report->cli, a), kap_cli_member_name(report->cli, b));
    return order ? order : kap_span_cmp(a, b);
}

/* The i-th id that a row is about: of an edge its ends, else the member. */
static kap_span_t id_of(const kap_mp_t *row, uint32_t i)
{
    const kap_mp_t *key = kap_mp_get(row, "key"), *edge = kap_mp_get(key, "edge");
    if (edge)
        return kap_mp_item(edge, i) ? kap_mp_item(edge, i)->s : (kap_span_t){0};
    return i == 0 ? kap_mp_get_str(key, "member") : (kap_span_t){0};
}

static bool stands_behind(kap_report_t *report, const kap_mp_t *a, const kap_mp_t *b)
{
    int order = kap_report_order(report, id_of(a, 0), id_of(b, 0));
    return order ? order > 0 : kap_report_order(report, id_of(a, 1), id_of(b, 1)) > 0;
}

const kap_mp_t *const *kap_report_rows(kap_report_t *report, const kap_mp_t *answer, bool all)
{
    static const kap_mp_t *const none[] = {NULL};
    const kap_mp_t *list = kap_mp_get(answer, "rows");
    uint32_t n = 0, count = list ? list->count : 0;
    const kap_mp_t **rows = kap_arena_calloc(report->asking->arena, count + 1, sizeof *rows);
    if (!rows)
        return none;
    for (uint32_t i = 0; i < count; i++) {
        const kap_mp_t *row = kap_mp_item(list, i);
        uint32_t at = n;
        if (!all && kap_mp_get_int(row, "n", 0) == 0)
            continue;
        for (; at > 0 && stands_behind(report, rows[at - 1], row); at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
        n++;
    }
    return rows;
}

const kap_mp_t *kap_report_comments(kap_report_t *report)
{
    kap_shown_list_t question = {.arena = report->asking->arena};
    if (report->page.err)
        return NULL;
    kap_shown_set_text(&question, "query", kap_span_str("followed"));
    kap_shown_set_text(&question, "region", kap_span_str(report->region));
    kap_shown_set_text(&question, "type", kap_span_str("kapula.figures.commented.v1"));
    return kap_mp_get(put(report, &question), "rows");
}

const kap_mp_t *kap_report_matters(kap_report_t *report)
{
    kap_shown_list_t question = {.arena = report->asking->arena};
    if (report->page.err)
        return NULL;
    kap_shown_set_text(&question, "query", kap_span_str("matters"));
    kap_shown_set_text(&question, "region", kap_span_str(report->region));
    kap_shown_set_text(&question, "members", kap_span_str(report->members));
    return put(report, &question);
}
