/* SPDX-License-Identifier: MPL-2.0 */
/* The handovers of a report: key figures, matrix, months, edges, members with their comments. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "measure.h"
#include "metricview.h"
#include "report.h"

static int64_t count_of(const kap_mp_t *answer, const char *value)
{
    return kap_mp_get_int(kap_mp_get(answer, "values"), value, 0);
}

static const char *previous(kap_report_t *report, const char *then)
{
    return strcmp(then, "–") == 0 ? "" : kap_report_say(report, KAP_SAY_PREVIOUS, then, NULL);
}

/* --- key figures --- */

static void tile_rate(kap_report_t *report, kap_say_t label, const char *metric, const char *value)
{
    const kap_mp_t *now =
        kap_report_value(kap_report_ask(report, metric, NULL, KAP_REPORT_PERIOD), value);
    const kap_mp_t *then =
        kap_report_value(kap_report_ask(report, metric, NULL, KAP_REPORT_BEFORE), value);
    const char *text = kap_report_rate(report, now);
    char percent[KAP_MEASURE_BYTES], detail[4 * KAP_MEASURE_BYTES];
    const char *comma = strchr(text, ',');
    if (!now)
        return;
    snprintf(percent, sizeof percent, "%s", comma ? comma + 2 : text);
    snprintf(detail, sizeof detail, "%.*s", comma ? (int)(comma - text) : 0, text);
    const char *before = previous(report, kap_report_rate(report, then));
    if (*before)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "%s%s",
                 *detail ? " · " : "", before);
    kap_page_tile(&report->page, kap_report_say(report, label, NULL), percent, detail,
                  KAP_PAGE_PLAIN);
}

static void tile_time(kap_report_t *report, kap_say_t label, const char *metric)
{
    const kap_mp_t *now =
        kap_report_value(kap_report_ask(report, metric, NULL, KAP_REPORT_PERIOD), "time");
    const kap_mp_t *then =
        kap_report_value(kap_report_ask(report, metric, NULL, KAP_REPORT_BEFORE), "time");
    char detail[4 * KAP_MEASURE_BYTES];
    if (!now)
        return;
    const char *before = previous(report, kap_report_time(report, then, "p50_ms", false));
    snprintf(detail, sizeof detail, "90 %% %s · n %s%s%s",
             kap_report_time(report, now, "p90_ms", false), kap_report_number(report, now, "n"),
             *before ? " · " : "", before);
    kap_page_tile(&report->page, kap_report_say(report, label, NULL),
                  kap_report_time(report, now, "p50_ms", false), detail, KAP_PAGE_PLAIN);
}

static void tile_transfers(kap_report_t *report)
{
    const kap_mp_t *now = kap_report_ask(report, "matrix", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *then = kap_report_ask(report, "matrix", NULL, KAP_REPORT_BEFORE);
    char detail[4 * KAP_MEASURE_BYTES];
    if (!now)
        return;
    snprintf(
        detail, sizeof detail, "%s%s%s",
        kap_report_say(report, KAP_SAY_PENDING, kap_report_number(report, now, "pending"), NULL),
        then ? " · " : "", then ? previous(report, kap_report_number(report, then, "n")) : "");
    kap_page_tile(&report->page, kap_report_say(report, KAP_SAY_TRANSFERS, NULL),
                  kap_report_number(report, now, "n"), detail, KAP_PAGE_PLAIN);
}

static void put_tiles(kap_report_t *report)
{
    tile_transfers(report);
    tile_rate(report, KAP_SAY_ACCEPTED, "acceptance", "rate");
    tile_time(report, KAP_SAY_TO_ACCEPT, "time-to-accept");
    tile_time(report, KAP_SAY_TO_CONTACT, "time-to-contact");
    tile_time(report, KAP_SAY_TO_COMPLETE, "time-to-complete");
    tile_rate(report, KAP_SAY_IN_TIME, "targets", "answered");
    tile_rate(report, KAP_SAY_LOOP_CLOSED, "loop-closed", "rate");
    tile_rate(report, KAP_SAY_SERVED, "served", "rate");
    tile_rate(report, KAP_SAY_PING_PONG, "ping-pong", "rate");
    kap_page_say(&report->page, KAP_PAGE_NOTE,
                 kap_report_say(report, KAP_SAY_BEFORE_IS,
                                kap_report_period(report, report->before, report->from), NULL));
}

/* What is counted beside the transfers, and what cases led to. */
static void put_beside(kap_report_t *report)
{
    static const char *const results[] = {"company_founded", "funding_granted", "ownership_changed",
                                          "siting_decided",  "siting_lost",     "recruited",
                                          "exported"};
    const kap_mp_t *matrix = kap_report_ask(report, "matrix", NULL, KAP_REPORT_PERIOD);
    const kap_mp_t *served = kap_report_ask(report, "served", NULL, KAP_REPORT_PERIOD);
    int64_t undelivered = count_of(matrix, "undelivered");
    kap_buf_t list;
    if (!matrix)
        return;
    kap_page_say(&report->page, KAP_PAGE_TEXT,
                 kap_report_say(report, KAP_SAY_BESIDE,
                                kap_report_number(report, kap_mp_get(matrix, "values"), "guidance"),
                                kap_report_number(report, kap_mp_get(matrix, "values"), "leads"),
                                kap_report_number(report, kap_mp_get(matrix, "values"), "reported"),
                                kap_report_number(report, kap_mp_get(matrix, "values"), "internal"),
                                NULL));
    if (undelivered > 0)
        kap_page_say(&report->page, KAP_PAGE_TEXT,
                     kap_report_say(report, KAP_SAY_UNDELIVERED,
                                    kap_report_count(report, undelivered), NULL));
    kap_buf_init(&list);
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (count_of(served, results[i]) > 0)
            kap_buf_printf(&list, "%s%.*s %s", list.size ? ", " : "",
                           KAP_SPAN_ARGS(kap_shown_key(report->cli, kap_span_str(results[i]))),
                           kap_report_count(report, count_of(served, results[i])));
    if (list.size > 0)
        kap_page_say(&report->page, KAP_PAGE_TEXT,
                     kap_report_say(report, KAP_SAY_RESULTS, kap_buf_cstr(&list), NULL));
    kap_buf_fini(&list);
}

/* --- matrix --- */

/* Who sends or gets, by name, each once. */
static int gather_names(kap_report_t *report, const kap_mp_t *rows,
                        kap_span_t names[KAP_PAGE_COLUMNS])
{
    int n = 0;
    for (uint32_t i = 0; rows && i < rows->count; i++)
        for (uint32_t end = 0; end < 2; end++) {
            const kap_mp_t *edge = kap_mp_get(kap_mp_get(kap_mp_item(rows, i), "key"), "edge");
            const kap_mp_t *id = kap_mp_item(edge, end);
            int at = 0, order = 1;
            while (id && at < n && (order = kap_report_order(report, names[at], id->s)) < 0)
                at++;
            if (!id || (at < n && order == 0))
                continue;
            if (n == KAP_PAGE_COLUMNS)
                return 0; /* too many for a picture: the table below says it */
            memmove(&names[at + 1], &names[at], (size_t)(n - at) * sizeof *names);
            names[at] = id->s;
            n++;
        }
    return n;
}

static void put_matrix(kap_report_t *report)
{
    const kap_mp_t *answer = kap_report_ask(report, "matrix", "edge", KAP_REPORT_PERIOD);
    kap_span_t names[KAP_PAGE_COLUMNS + 1];
    const char *titles[KAP_PAGE_COLUMNS];
    const kap_mp_t *rows = kap_mp_get(answer, "rows");
    int n = gather_names(report, rows, names);
    int64_t most = 1;
    for (uint32_t i = 0; rows && i < rows->count; i++) {
        int64_t count = kap_mp_get_int(kap_mp_item(rows, i), "n", 0);
        most = count > most ? count : most;
    }
    for (int i = 0; i < n; i++)
        titles[i] = kap_report_member(report, names[i]);
    if (n < 2)
        return;
    kap_page_matrix(&report->page, kap_report_say(report, KAP_SAY_MATRIX, NULL), n, titles);
    for (int at = 0; at < n * n; at++) {
        const kap_mp_t *row = kap_report_row(answer, names[at / n], names[at % n]);
        int64_t count = kap_mp_get_int(row, "n", 0);
        const kap_page_cell_t cell = {.text = count > 0 ? kap_report_count(report, count) : "",
                                      .share = (double)count / (double)most};
        kap_page_cell(&report->page, &cell);
    }
}

/* --- months --- */

static void put_months(kap_report_t *report)
{
    const kap_mp_t *answer = kap_report_ask(report, "matrix", "month", KAP_REPORT_MONTHS);
    const kap_mp_t *rows = kap_mp_get(answer, "rows");
    kap_date_t last = kap_date_add(report->to, -1);
    int month = last.year * 12 + last.month - 1 - 11; /* the first of the twelve, since year 0 */
    int64_t counts[12] = {0}, most = report->k;
    for (uint32_t i = 0; rows && i < rows->count; i++) {
        const kap_mp_t *row = kap_mp_item(rows, i);
        kap_span_t text = kap_mp_get_str(kap_mp_get(row, "key"), "month");
        int64_t year = 0, of_year = 0;
        kap_span_int(kap_span_sub(text, 0, 4), &year);
        kap_span_int(kap_span_sub(text, 5, 2), &of_year);
        int64_t at = year * 12 + of_year - 1 - month;
        if (at >= 0 && at < 12)
            counts[at] = kap_mp_get_int(row, "n", 0);
        if (at >= 0 && at < 12 && counts[at] > most)
            most = counts[at];
    }
    if (!rows || rows->count == 0)
        return;
    kap_page_bars(&report->page, kap_report_say(report, KAP_SAY_BY_MONTH, NULL));
    for (int i = 0; i < 12; i++) {
        char label[16];
        kap_date_t first = {(int16_t)((month + i) / 12), (int8_t)((month + i) % 12 + 1), 1};
        snprintf(label, sizeof label, "%d/%02d", first.month, first.year % 100);
        int64_t drawn = counts[i]; /* a hidden number has no height of its own */
        if (report->edition == KAP_EDITION_PUBLIC && drawn > 0 && drawn < report->k)
            drawn = report->k - 1;
        bool in = kap_date_cmp(kap_date_add(first, 27), report->from) >= 0 &&
                  kap_date_cmp(first, report->to) < 0;
        const kap_page_cell_t cell = {.text = kap_report_count(report, counts[i]),
                                      .label = label,
                                      .share = (double)drawn / (double)most,
                                      .tone = in ? KAP_PAGE_PLAIN : KAP_PAGE_DIM};
        kap_page_cell(&report->page, &cell);
    }
}

/* --- rows with their data quality --- */

static const char *quality_of(kap_report_t *report, const kap_mp_t *row)
{
    const kap_mp_t *values = kap_mp_get(row, "values");
    int64_t implied = kap_mp_get_int(values, "implied", 0);
    int64_t late = kap_mp_get_int(values, "reported_late", 0);
    int64_t unknown = kap_mp_get_int(values, "unknown_outcome", 0);
    if (implied + late + unknown == 0)
        return kap_report_say(report, KAP_SAY_Q_FINE, NULL);
    return kap_report_say(report, KAP_SAY_Q_SHORT, kap_report_count(report, implied),
                          kap_report_count(report, late), kap_report_count(report, unknown), NULL);
}

static void put_edges(kap_report_t *report)
{
    const kap_mp_t *matrix = kap_report_ask(report, "matrix", "edge", KAP_REPORT_PERIOD);
    const kap_mp_t *taken = kap_report_ask(report, "acceptance", "edge", KAP_REPORT_PERIOD);
    const kap_mp_t *times = kap_report_ask(report, "time-to-accept", "edge", KAP_REPORT_PERIOD);
    const kap_mp_t *quality = kap_report_ask(report, "data-quality", "edge", KAP_REPORT_PERIOD);
    const kap_mp_t *const *rows = kap_report_rows(report, matrix, false);
    const char *const titles[] = {kap_report_say(report, KAP_SAY_FROM, NULL),
                                  kap_report_say(report, KAP_SAY_TO, NULL),
                                  kap_report_say(report, KAP_SAY_SENT, NULL),
                                  kap_report_say(report, KAP_SAY_ACCEPTED, NULL),
                                  kap_report_say(report, KAP_SAY_MEDIAN, NULL),
                                  kap_report_say(report, KAP_SAY_NINETY, NULL),
                                  kap_report_say(report, KAP_SAY_DATA, NULL)};
    if (!rows[0])
        return;
    kap_page_say(&report->page, KAP_PAGE_HEADING, kap_report_say(report, KAP_SAY_BY_EDGE, NULL));
    kap_page_table(&report->page, 7, titles, 0x3c);
    for (; *rows; rows++) {
        const kap_mp_t *row = *rows;
        const kap_mp_t *edge = kap_mp_get(kap_mp_get(row, "key"), "edge");
        if (!edge || edge->count != 2)
            continue;
        kap_span_t from = kap_mp_item(edge, 0)->s, to = kap_mp_item(edge, 1)->s;
        const kap_mp_t *rate = kap_report_value(kap_report_row(taken, from, to), "rate");
        const kap_mp_t *time = kap_report_value(kap_report_row(times, from, to), "time");
        double percent = kap_measure_percent(rate);
        const kap_page_cell_t cells[] = {
            {.text = kap_report_member(report, from), .share = -1},
            {.text = kap_report_member(report, to), .share = -1},
            {.text = kap_report_number(report, row, "n"), .share = -1},
            {.text = kap_report_rate(report, rate), .share = percent < 0 ? -1 : percent / 100},
            {.text = kap_report_time(report, time, "p50_ms", false), .share = -1},
            {.text = kap_report_time(report, time, "p90_ms", false), .share = -1},
            {.text = quality_of(report, kap_report_row(quality, from, to)),
             .share = -1,
             .tone = KAP_PAGE_DIM}};
        kap_page_row(&report->page, cells);
    }
}

void kap_report_handovers(kap_report_t *report)
{
    bool shown = report->edition != KAP_EDITION_PUBLIC;
    kap_page_say(&report->page, KAP_PAGE_SECTION, kap_report_say(report, KAP_SAY_HANDOVERS, NULL));
    put_tiles(report);
    put_beside(report);
    put_months(report);
    if (shown) {
        put_matrix(report);
        put_edges(report);
    }
}

/* --- members --- */

/* Whether the period, a year, a month or a day, lies in the report's. */
static bool in_period(const kap_report_t *report, kap_span_t period)
{
    char text[32];
    kap_date_t first;
    snprintf(text, sizeof text, "%.*s%s", (int)(period.size < 10 ? period.size : 10),
             (const char *)period.data,
             period.size == 4   ? "-01-01"
             : period.size == 7 ? "-01"
                                : "");
    if (kap_date_parse(kap_span_str(text), &first) != KAP_OK)
        return false;
    kap_date_t next = kap_date_add(first, 1);
    if (period.size == 7)
        next = kap_date_add(first, 31);
    if (period.size == 4)
        next = (kap_date_t){(int16_t)(first.year + 1), 1, 1};
    if (period.size == 7)
        next.day = 1;
    return kap_date_cmp(first, report->from) >= 0 && kap_date_cmp(next, report->to) <= 0;
}

/* What the member says of its figures stands beside them. */
static void put_comments(kap_report_t *report, kap_span_t member)
{
    const kap_mp_t *rows = kap_report_comments(report);
    for (uint32_t i = 0; rows && i < rows->count; i++) {
        const kap_mp_t *data = kap_mp_get(kap_mp_item(rows, i), "data");
        kap_span_t text = kap_mp_get_str(data, "text");
        if (kap_span_empty(text) || !in_period(report, kap_mp_get_str(data, "period")) ||
            !kap_span_eq(kap_mp_get_str(data, "member"), member))
            continue;
        const char *said = kap_arena_str(report->asking->arena, text);
        kap_page_remark(&report->page,
                        kap_report_say(report, KAP_SAY_COMMENT, kap_report_member(report, member),
                                       said ? said : "", NULL));
    }
}

/* What each member got, how it took it, and how long it took. */
void kap_report_members(kap_report_t *report)
{
    const kap_mp_t *sent = kap_report_ask(report, "matrix", "member", KAP_REPORT_PERIOD);
    const kap_mp_t *got = kap_report_ask(report, "acceptance", "member", KAP_REPORT_PERIOD);
    const kap_mp_t *times = kap_report_ask(report, "time-to-accept", "member", KAP_REPORT_PERIOD);
    const kap_mp_t *quality = kap_report_ask(report, "data-quality", "member", KAP_REPORT_PERIOD);
    const kap_mp_t *const *rows = kap_report_rows(report, got, false);
    const kap_span_t none = {0};
    const char *const titles[] = {kap_report_say(report, KAP_SAY_MEMBER, NULL),
                                  kap_report_say(report, KAP_SAY_SENT, NULL),
                                  kap_report_say(report, KAP_SAY_GOT, NULL),
                                  kap_report_say(report, KAP_SAY_ACCEPTED, NULL),
                                  kap_report_say(report, KAP_SAY_MEDIAN, NULL),
                                  kap_report_say(report, KAP_SAY_DATA, NULL)};
    if (!rows[0])
        return;
    kap_page_say(&report->page, KAP_PAGE_HEADING, kap_report_say(report, KAP_SAY_BY_MEMBER, NULL));
    kap_page_table(&report->page, 6, titles, 0x1e);
    for (; *rows; rows++) {
        const kap_mp_t *row = *rows;
        kap_span_t id = kap_mp_get_str(kap_mp_get(row, "key"), "member");
        const kap_mp_t *rate = kap_report_value(row, "rate");
        const kap_mp_t *time = kap_report_value(kap_report_row(times, id, none), "time");
        double percent = kap_measure_percent(rate);
        const kap_page_cell_t cells[] = {
            {.text = kap_report_member(report, id), .share = -1},
            {.text = kap_report_number(report, kap_report_row(sent, id, none), "n"), .share = -1},
            {.text = kap_report_number(report, row, "n"), .share = -1},
            {.text = kap_report_rate(report, rate), .share = percent < 0 ? -1 : percent / 100},
            {.text = kap_report_time(report, time, "p50_ms", false), .share = -1},
            {.text = quality_of(report, kap_report_row(quality, id, none)),
             .share = -1,
             .tone = KAP_PAGE_DIM}};
        kap_page_row(&report->page, cells);
        put_comments(report, id);
    }
}
