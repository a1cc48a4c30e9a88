/* SPDX-License-Identifier: MPL-2.0 */
/* What improved and what worsened against the period before: sentences with numbers, the whole
 * region first, then edges in alphabetical order. */
#include <string.h>

#include "measure.h"
#include "report.h"

/* What is worth a sentence: of an edge, which has fewer, a larger change. Guesses that the report
 * tells its reader. */
enum { LEAST_N = 5, LEAST_POINTS = 5, FIFTH = 5, OF_EDGE = 2, HOUR_MS = 3600000 };

static const struct {
    const char *metric, *value;
    kap_say_t says;
    bool is_rate, more_is_better, by_edge;
} watched[] = {
    {"acceptance", "rate", KAP_SAY_SAY_ACCEPTED, true, true, true},
    {"time-to-accept", "time", KAP_SAY_SAY_TO_ACCEPT, false, false, true},
    {"time-to-contact", "time", KAP_SAY_SAY_TO_CONTACT, false, false, true},
    {"time-to-complete", "time", KAP_SAY_SAY_TO_COMPLETE, false, false, false},
    {"targets", "answered", KAP_SAY_SAY_IN_TIME, true, true, true},
    {"loop-closed", "rate", KAP_SAY_SAY_LOOP_CLOSED, true, true, false},
    {"served", "rate", KAP_SAY_SAY_SERVED, true, true, false},
    {"ping-pong", "rate", KAP_SAY_SAY_PING_PONG, true, false, false},
};
enum { WATCHED = sizeof watched / sizeof *watched };

/* 1 grew, -1 shrank, 0 nothing to tell. */
static int rate_moved(const kap_mp_t *now, const kap_mp_t *then, int times)
{
    int least = LEAST_N * times;
    if (kap_mp_get_int(now, "den", 0) < least || kap_mp_get_int(then, "den", 0) < least)
        return 0;
    double change = kap_measure_percent(now) - kap_measure_percent(then);
    return change >= LEAST_POINTS * times ? 1 : change <= -LEAST_POINTS * times ? -1 : 0;
}

static int time_moved(const kap_mp_t *now, const kap_mp_t *then, int times)
{
    int64_t a = kap_mp_get_int(now, "p50_ms", -1), b = kap_mp_get_int(then, "p50_ms", -1);
    int64_t least = (int64_t)LEAST_N * times;
    if (kap_mp_get_int(now, "n", 0) < least || kap_mp_get_int(then, "n", 0) < least)
        return 0;
    int64_t change = a > b ? a - b : b - a, larger = a > b ? a : b;
    return change < HOUR_MS || change * FIFTH < larger * times ? 0 : a > b ? 1 : -1;
}

/* Tells the change when it is of the kind asked for. Returns whether it did. */
static bool tell(kap_report_t *report, int i, const char *edge, const kap_mp_t *now,
                 const kap_mp_t *then, bool better)
{
    bool rate = watched[i].is_rate;
    int times = edge ? OF_EDGE : 1;
    const char *where = edge ? edge : kap_report_say(report, KAP_SAY_WHOLE_REGION, NULL);
    int moved = rate ? rate_moved(now, then, times) : time_moved(now, then, times);
    if (moved == 0 || ((moved > 0) == watched[i].more_is_better) != better)
        return false;
    const char *new =
        rate ? kap_report_rate(report, now) : kap_report_time(report, now, "p50_ms", true);
    const char *old =
        rate ? kap_report_rate(report, then) : kap_report_time(report, then, "p50_ms", true);
    if (strcmp(new, "–") == 0 || strcmp(old, "–") == 0)
        return false;
    kap_page_item(&report->page,
                  kap_report_say(report, KAP_SAY_CHANGE, where,
                                 kap_report_say(report, watched[i].says, NULL), new, old, NULL),
                  better ? KAP_PAGE_GOOD : KAP_PAGE_BAD);
    return true;
}

static int tell_region(kap_report_t *report, bool better)
{
    int told = 0;
    for (int i = 0; i < WATCHED; i++) {
        const kap_mp_t *now = kap_report_ask(report, watched[i].metric, NULL, KAP_REPORT_PERIOD);
        const kap_mp_t *then = kap_report_ask(report, watched[i].metric, NULL, KAP_REPORT_BEFORE);
        told += tell(report, i, NULL, kap_report_value(now, watched[i].value),
                     kap_report_value(then, watched[i].value), better);
    }
    return told;
}

static int tell_edge(kap_report_t *report, kap_span_t from, kap_span_t to, bool better)
{
    int told = 0;
    const char *where = kap_report_edge(report, from, to);
    for (int i = 0; i < WATCHED; i++) {
        if (!watched[i].by_edge)
            continue;
        const kap_mp_t *now = kap_report_ask(report, watched[i].metric, "edge", KAP_REPORT_PERIOD);
        const kap_mp_t *then = kap_report_ask(report, watched[i].metric, "edge", KAP_REPORT_BEFORE);
        told += tell(report, i, where,
                     kap_report_value(kap_report_row(now, from, to), watched[i].value),
                     kap_report_value(kap_report_row(then, from, to), watched[i].value), better);
    }
    return told;
}

static int tell_edges(kap_report_t *report, bool better)
{
    const kap_mp_t *matrix = kap_report_ask(report, "matrix", "edge", KAP_REPORT_PERIOD);
    int told = 0;
    for (const kap_mp_t *const *rows = kap_report_rows(report, matrix, false); *rows; rows++) {
        const kap_mp_t *edge = kap_mp_get(kap_mp_get(*rows, "key"), "edge");
        if (edge && edge->count == 2)
            told += tell_edge(report, kap_mp_item(edge, 0)->s, kap_mp_item(edge, 1)->s, better);
    }
    return told;
}

void kap_report_changes(kap_report_t *report)
{
    const kap_mp_t *before = kap_report_ask(report, "matrix", NULL, KAP_REPORT_BEFORE);
    bool nothing = kap_mp_get_int(before, "n", 0) == 0;
    for (int better = 1; better >= 0; better--) {
        kap_page_say(&report->page, KAP_PAGE_SECTION,
                     kap_report_say(report, better ? KAP_SAY_IMPROVED : KAP_SAY_WORSENED, NULL));
        int told = nothing ? 0 : tell_region(report, better);
        if (!nothing && report->edition != KAP_EDITION_PUBLIC)
            told += tell_edges(report, better);
        if (told == 0)
            kap_page_say(
                &report->page, KAP_PAGE_TEXT,
                kap_report_say(report, nothing ? KAP_SAY_NOTHING_BEFORE : KAP_SAY_NO_CHANGE, NULL));
    }
    if (!nothing)
        kap_page_say(&report->page, KAP_PAGE_NOTE,
                     kap_report_say(report, KAP_SAY_THRESHOLD,
                                    kap_report_period(report, report->before, report->from), NULL));
}
