/* SPDX-License-Identifier: MPL-2.0 */
/* For an activation meeting: what is open between the members present. */
#include <string.h>

#include "clock.h"
#include "metricview.h"
#include "report.h"

static const char *date_of(kap_report_t *report, const kap_mp_t *row, const char *key)
{
    int64_t at = kap_metricview_time(row, key);
    return at ? kap_report_date(report, kap_date_of(KAP_ZONE_HELSINKI, at)) : "";
}

static const char *shown(kap_report_t *report, const kap_mp_t *row, const char *key)
{
    char text[KAP_SHOWN_BYTES];
    kap_shown_value(report->cli, kap_span_str(key), kap_mp_get(row, key), text);
    const char *kept = kap_arena_str(report->asking->arena, kap_span_str(text));
    return kept ? kept : "";
}

/* The orphan of that referral, to tell what has to be done. */
static const kap_mp_t *orphan_of(const kap_mp_t *orphans, kap_span_t referral)
{
    for (uint32_t i = 0; orphans && i < orphans->count; i++)
        if (kap_span_eq(kap_mp_get_str(kap_mp_item(orphans, i), "referral"), referral))
            return kap_mp_item(orphans, i);
    return NULL;
}

static int by_edge(kap_report_t *report, const kap_mp_t *a, const kap_mp_t *b)
{
    int order = kap_report_order(report, kap_mp_get_str(a, "from"), kap_mp_get_str(b, "from"));
    return order ? order
                 : kap_report_order(report, kap_mp_get_str(a, "to"), kap_mp_get_str(b, "to"));
}

/* The first edge behind `before` in alphabetical order; NULL at the end. */
static const kap_mp_t *next_edge(kap_report_t *report, const kap_mp_t *list, const kap_mp_t *before)
{
    const kap_mp_t *best = NULL;
    for (uint32_t i = 0; list && i < list->count; i++) {
        const kap_mp_t *row = kap_mp_item(list, i);
        if ((!before || by_edge(report, row, before) > 0) &&
            (!best || by_edge(report, row, best) < 0))
            best = row;
    }
    return best;
}

/* The service; of guidance and leads also that. */
static const char *service_of(kap_report_t *report, const kap_mp_t *row)
{
    const char *service = shown(report, row, "service");
    if (kap_span_eq_str(kap_mp_get_str(row, "kind"), "transfer"))
        return service;
    return kap_report_say(report, KAP_SAY_TALK_ORPHANS, service, shown(report, row, "kind"), NULL);
}

static void put_edge(kap_report_t *report, const kap_mp_t *matters, const kap_mp_t *of,
                     const kap_mp_t *orphans)
{
    kap_page_group(&report->page,
                   kap_report_edge(report, kap_mp_get_str(of, "from"), kap_mp_get_str(of, "to")));
    for (uint32_t i = 0; i < matters->count; i++) {
        const kap_mp_t *row = kap_mp_item(matters, i);
        kap_span_t id = kap_mp_get_str(row, "referral"), short_id = kap_shown_id(id);
        const kap_mp_t *orphan = orphan_of(orphans, id);
        char text[64];
        if (by_edge(report, row, of) != 0)
            continue;
        snprintf(text, sizeof text, "%.*s", KAP_SPAN_ARGS(short_id));
        kap_span_t step = kap_metricview_word(report->cli, "step", kap_mp_get_str(orphan, "step"));
        const char *what = kap_arena_str(report->asking->arena, step);
        const kap_page_cell_t cells[] = {
            {.text = text, .share = -1},
            {.text = date_of(report, row, "created_at"), .share = -1},
            {.text = service_of(report, row), .share = -1},
            {.text = shown(report, row, "state"), .share = -1},
            {.text = orphan && what ? what : "", .share = -1, .tone = KAP_PAGE_BAD}};
        kap_page_row(&report->page, cells);
    }
}

static void put_actions(kap_report_t *report, const kap_mp_t *actions)
{
    const char *const titles[] = {kap_report_say(report, KAP_SAY_WHAT, NULL),
                                  kap_report_say(report, KAP_SAY_WHO, NULL),
                                  kap_report_say(report, KAP_SAY_BY_WHEN, NULL)};
    kap_page_say(&report->page, KAP_PAGE_SECTION,
                 kap_report_say(report, KAP_SAY_OPEN_ACTIONS, NULL));
    if (!actions || actions->count == 0) {
        kap_page_say(&report->page, KAP_PAGE_TEXT,
                     kap_report_say(report, KAP_SAY_NO_ACTIONS, NULL));
        return;
    }
    kap_page_table(&report->page, 3, titles, 0);
    for (uint32_t i = 0; i < actions->count; i++) {
        const kap_mp_t *row = kap_mp_item(actions, i);
        const char *member = shown(report, row, "member");
        const kap_page_cell_t cells[] = {
            {.text = shown(report, row, "what"), .share = -1},
            {.text = *member ? member : shown(report, row, "responsible"), .share = -1},
            {.text = shown(report, row, "due"), .share = -1}};
        kap_page_row(&report->page, cells);
    }
}

static void put_statements(kap_report_t *report, const kap_mp_t *statements)
{
    if (!statements || statements->count == 0)
        return;
    kap_page_say(&report->page, KAP_PAGE_SECTION,
                 kap_report_say(report, KAP_SAY_OPEN_STATEMENTS, NULL));
    for (uint32_t i = 0; i < statements->count; i++) {
        const kap_mp_t *row = kap_mp_item(statements, i);
        kap_page_item(&report->page,
                      kap_report_say(report, KAP_SAY_TALK_LINE,
                                     kap_report_edge(report, kap_mp_get_str(row, "from"),
                                                     kap_mp_get_str(row, "to")),
                                     shown(report, row, "statement_kind"), NULL),
                      KAP_PAGE_PLAIN);
    }
}

void kap_report_activation(kap_report_t *report)
{
    const kap_mp_t *open = kap_report_matters(report), *matters = kap_mp_get(open, "matters");
    const kap_mp_t *orphans =
        kap_report_value(kap_report_ask(report, "orphans", NULL, KAP_REPORT_NOW), "orphans");
    kap_page_say(&report->page, KAP_PAGE_SECTION,
                 kap_report_say(report, KAP_SAY_OPEN_MATTERS, NULL));
    const char *const titles[] = {
        kap_report_say(report, KAP_SAY_MATTER, NULL), kap_report_say(report, KAP_SAY_SINCE, NULL),
        kap_report_say(report, KAP_SAY_SERVICE, NULL), kap_report_say(report, KAP_SAY_STATE, NULL),
        kap_report_say(report, KAP_SAY_NEXT_STEP, NULL)};
    if (matters && matters->count > 0)
        kap_page_table(&report->page, 5, titles, 0);
    for (const kap_mp_t *edge = NULL; (edge = next_edge(report, matters, edge));)
        put_edge(report, matters, edge, orphans);
    if (!matters || matters->count == 0)
        kap_page_say(&report->page, KAP_PAGE_TEXT,
                     kap_report_say(report, KAP_SAY_NO_MATTERS, NULL));
    put_actions(report, kap_mp_get(open, "actions"));
    put_statements(report, kap_mp_get(open, "statements"));
}
