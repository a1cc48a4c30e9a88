/* SPDX-License-Identifier: MPL-2.0 */
/* Which edges need a talk: orphans, missed targets, agreed edges that are silent, used ones that
 * nobody agreed on. And the quality of the data, member by member. */
#include <string.h>

#include "clock.h"
#include "metricview.h"
#include "report.h"

typedef struct {
    kap_span_t from, to;
} edge_t;

typedef struct {
    kap_report_t *report;
    const kap_mp_t *orphans, *targets, *silent, *unplanned;
    edge_t *edges;
    uint32_t used, cap;
} talk_t;

static int cmp(kap_report_t *report, edge_t a, edge_t b)
{
    int order = kap_report_order(report, a.from, b.from);
    return order ? order : kap_report_order(report, a.to, b.to);
}

/* Kept in alphabetical order, each edge once. */
static void add(talk_t *talk, kap_span_t from, kap_span_t to)
{
    const edge_t edge = {from, to};
    uint32_t at = 0;
    while (at < talk->used && cmp(talk->report, talk->edges[at], edge) < 0)
        at++;
    if (at < talk->used && cmp(talk->report, talk->edges[at], edge) == 0)
        return;
    if (talk->used == talk->cap) {
        uint32_t cap = talk->cap ? talk->cap * 2 : 32;
        edge_t *edges = kap_arena_calloc(talk->report->asking->arena, cap, sizeof *edges);
        if (!edges)
            return;
        if (talk->used)
            memcpy(edges, talk->edges, talk->used * sizeof *edges);
        talk->edges = edges;
        talk->cap = cap;
    }
    memmove(&talk->edges[at + 1], &talk->edges[at], (talk->used - at) * sizeof edge);
    talk->edges[at] = edge;
    talk->used++;
}

static int64_t missed_of(const kap_mp_t *answered)
{
    return kap_mp_get_int(answered, "den", 0) - kap_mp_get_int(answered, "num", 0);
}

static void gather(talk_t *talk)
{
    const kap_mp_t *lists[] = {talk->orphans, talk->silent, talk->unplanned};
    const kap_mp_t *rows = kap_mp_get(talk->targets, "rows");
    for (size_t k = 0; k < 3; k++)
        for (uint32_t i = 0; lists[k] && i < lists[k]->count; i++)
            add(talk, kap_mp_get_str(kap_mp_item(lists[k], i), "from"),
                kap_mp_get_str(kap_mp_item(lists[k], i), "to"));
    for (uint32_t i = 0; rows && i < rows->count; i++) {
        const kap_mp_t *row = kap_mp_item(rows, i);
        const kap_mp_t *edge = kap_mp_get(kap_mp_get(row, "key"), "edge");
        if (edge && edge->count == 2 && missed_of(kap_report_value(row, "answered")) > 0)
            add(talk, kap_mp_item(edge, 0)->s, kap_mp_item(edge, 1)->s);
    }
}

static bool is_of(const kap_mp_t *row, edge_t edge)
{
    return kap_span_eq(kap_mp_get_str(row, "from"), edge.from) &&
           kap_span_eq(kap_mp_get_str(row, "to"), edge.to);
}

static bool has(const kap_mp_t *list, edge_t edge)
{
    for (uint32_t i = 0; list && i < list->count; i++)
        if (is_of(kap_mp_item(list, i), edge))
            return true;
    return false;
}

static void put_part(kap_buf_t *line, const char *part)
{
    kap_buf_printf(line, "%s%s", line->size ? "; " : "", part);
}

/* "not answered 3", each kind of orphan of the edge once. */
static void put_orphans(talk_t *talk, edge_t edge, kap_buf_t *line)
{
    for (int kind = 0; kind < KAP_ORPHAN_COUNT; kind++) {
        const char *name = kap_code_name(KAP_LIST_ORPHAN, kind);
        int64_t n = 0;
        for (uint32_t i = 0; talk->orphans && i < talk->orphans->count; i++) {
            const kap_mp_t *row = kap_mp_item(talk->orphans, i);
            n += is_of(row, edge) && kap_span_eq_str(kap_mp_get_str(row, "what"), name);
        }
        if (n > 0)
            put_part(line, kap_report_say(talk->report, KAP_SAY_TALK_ORPHANS,
                                          kap_code_text(KAP_LIST_ORPHAN, kind, talk->report->lang),
                                          kap_report_count(talk->report, n), NULL));
    }
}

/* The referrals themselves: for the parties, who have to do something about them. */
static void put_steps(talk_t *talk, edge_t edge)
{
    kap_report_t *report = talk->report;
    for (uint32_t i = 0; talk->orphans && i < talk->orphans->count; i++) {
        const kap_mp_t *row = kap_mp_item(talk->orphans, i);
        char since[KAP_TIME_TEXT], id[64], what[256], step[256];
        if (!is_of(row, edge))
            continue;
        kap_time_format_local(kap_metricview_time(row, "since_at"), since);
        since[strcspn(since, " ")] = '\0';
        snprintf(id, sizeof id, "%.*s",
                 KAP_SPAN_ARGS(kap_shown_id(kap_mp_get_str(row, "referral"))));
        snprintf(
            what, sizeof what, "%.*s",
            KAP_SPAN_ARGS(kap_metricview_word(report->cli, "what", kap_mp_get_str(row, "what"))));
        snprintf(
            step, sizeof step, "%.*s",
            KAP_SPAN_ARGS(kap_metricview_word(report->cli, "step", kap_mp_get_str(row, "step"))));
        kap_page_item(&report->page,
                      kap_report_say(report, KAP_SAY_TALK_STEP, id, what, since,
                                     kap_report_member(report, kap_mp_get_str(row, "owner")), step,
                                     NULL),
                      KAP_PAGE_DIM);
    }
}

static void put_edge(talk_t *talk, edge_t edge)
{
    kap_report_t *report = talk->report;
    const kap_mp_t *answered =
        kap_report_value(kap_report_row(talk->targets, edge.from, edge.to), "answered");
    int64_t missed = missed_of(answered);
    kap_buf_t line;
    kap_buf_init(&line);
    put_orphans(talk, edge, &line);
    if (missed > 0) {
        char of[64];
        snprintf(of, sizeof of, "%lld/%lld", (long long)missed,
                 (long long)kap_mp_get_int(answered, "den", 0));
        put_part(&line, kap_report_say(report, KAP_SAY_TALK_MISSED, of, NULL));
    }
    if (has(talk->silent, edge))
        put_part(&line, kap_report_say(report, KAP_SAY_TALK_SILENT, NULL));
    if (has(talk->unplanned, edge))
        put_part(&line, kap_report_say(report, KAP_SAY_TALK_UNPLANNED, NULL));
    kap_page_item(&report->page,
                  kap_report_say(report, KAP_SAY_TALK_LINE,
                                 kap_report_edge(report, edge.from, edge.to), kap_buf_cstr(&line),
                                 NULL),
                  KAP_PAGE_PLAIN);
    kap_buf_fini(&line);
    if (report->edition == KAP_EDITION_PARTIES)
        put_steps(talk, edge);
}

static void put_quiet_members(kap_report_t *report, const kap_mp_t *members)
{
    kap_buf_t line;
    kap_buf_init(&line);
    for (uint32_t i = 0; members && i < members->count; i++) {
        const kap_mp_t *row = kap_mp_item(members, i);
        kap_span_t node = kap_metricview_word(report->cli, "node", kap_mp_get_str(row, "node"));
        kap_buf_printf(&line, "%s%s (%.*s)", i ? ", " : "",
                       kap_report_member(report, kap_mp_get_str(row, "member")),
                       KAP_SPAN_ARGS(node));
    }
    if (line.size > 0)
        kap_page_say(&report->page, KAP_PAGE_TEXT,
                     kap_report_say(report, KAP_SAY_QUIET_MEMBERS, kap_buf_cstr(&line), NULL));
    kap_buf_fini(&line);
}

/* Where nothing at all was agreed, every used edge is unplanned: that says nothing of any of them.
 */
static bool has_agreement(kap_report_t *report, const kap_mp_t *silent, const kap_mp_t *unplanned)
{
    const kap_mp_t *matrix = kap_report_ask(report, "matrix", "edge", KAP_REPORT_PERIOD);
    uint32_t used = 0;
    for (const kap_mp_t *const *rows = kap_report_rows(report, matrix, false); *rows; rows++)
        used++;
    return (silent && silent->count > 0) || !unplanned || unplanned->count < used;
}

void kap_report_talk(kap_report_t *report)
{
    const kap_mp_t *silent = kap_report_ask(report, "silent-edges", NULL, KAP_REPORT_PERIOD);
    talk_t talk = {.report = report,
                   .orphans = kap_report_value(
                       kap_report_ask(report, "orphans", NULL, KAP_REPORT_NOW), "orphans"),
                   .targets = kap_report_ask(report, "targets", "edge", KAP_REPORT_PERIOD),
                   .silent = kap_report_value(silent, "silent"),
                   .unplanned = kap_report_value(silent, "unplanned")};
    bool agreed = has_agreement(report, talk.silent, talk.unplanned);
    talk.unplanned = agreed ? talk.unplanned : NULL;
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_TALK, NULL));
    gather(&talk);
    for (uint32_t i = 0; i < talk.used; i++)
        put_edge(&talk, talk.edges[i]);
    if (talk.used == 0)
        kap_page_say(&report->page, KAP_PAGE_TEXT, kap_report_say(report, KAP_SAY_NO_TALK, NULL));
    if (!agreed && talk.orphans)
        kap_page_say(&report->page, KAP_PAGE_NOTE,
                     kap_report_say(report, KAP_SAY_NO_AGREEMENT, NULL));
    put_quiet_members(report, kap_report_value(silent, "members"));
}

static void put_quality(kap_report_t *report, const char *name, const kap_mp_t *row)
{
    static const char *const keys[] = {"implied", "clamped", "reported_late", "unknown_outcome",
                                       "refused"};
    kap_page_cell_t cells[6] = {{.text = name, .share = -1}};
    for (int k = 0; k < 5; k++)
        cells[k + 1] = (kap_page_cell_t){
            .text = kap_report_number(report, kap_mp_get(row, "values"), keys[k]), .share = -1};
    kap_page_row(&report->page, cells);
}

void kap_report_quality(kap_report_t *report)
{
    const char *const titles[] = {kap_report_say(report, KAP_SAY_MEMBER, NULL),
                                  kap_report_say(report, KAP_SAY_Q_IMPLIED, NULL),
                                  kap_report_say(report, KAP_SAY_Q_CLAMPED, NULL),
                                  kap_report_say(report, KAP_SAY_Q_LATE, NULL),
                                  kap_report_say(report, KAP_SAY_Q_UNKNOWN, NULL),
                                  kap_report_say(report, KAP_SAY_Q_REFUSED, NULL)};
    const kap_mp_t *total = kap_report_ask(report, "data-quality", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *of_members =
        report->edition == KAP_EDITION_PUBLIC
            ? NULL
            : kap_report_ask(report, "data-quality", "member", KAP_REPORT_PERIOD);
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_QUALITY, NULL));
    if (!total)
        return;
    kap_page_table(&report->page, 6, titles, 0x3e);
    for (const kap_mp_t *const *rows = kap_report_rows(report, of_members, true); *rows; rows++)
        put_quality(report,
                    kap_report_member(report, kap_mp_get_str(kap_mp_get(*rows, "key"), "member")),
                    *rows);
    put_quality(report, kap_report_say(report, KAP_SAY_WHOLE_REGION, NULL), total);
    kap_page_say(&report->page, KAP_PAGE_NOTE, kap_report_say(report, KAP_SAY_Q_NOTE, NULL));
}
