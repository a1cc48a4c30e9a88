/* SPDX-License-Identifier: MPL-2.0 */
#include "logs.h"

#include <criterion/criterion.h>
#include <string.h>

#include "csvlog.h"
#include "err.h"
#include "loginput.h"
#include "xes.h"

const kap_logrules_t kap_logs_rules = {.zone = KAP_ZONE_UTC, .max_skipped = -1};
const kap_logkeys_t kap_logs_keys = {"concept:name", "time:timestamp", "org:resource"};

static void begin(kap_logs_t *logs, const kap_logrules_t *rules)
{
    memset(logs, 0, sizeof *logs);
    logs->rc = kap_eventlog_new(rules ? rules : &kap_logs_rules, &logs->why, &logs->log);
    cr_assert_eq(logs->rc, KAP_OK);
}

int kap_logs_xes(kap_logs_t *logs, kap_span_t text, size_t piece, const kap_logkeys_t *keys,
                 const kap_logrules_t *rules)
{
    kap_xes_t *xes = NULL;

    begin(logs, rules);
    logs->rc = kap_xes_open(keys ? keys : &kap_logs_keys, logs->log, &logs->why, &xes);
    for (size_t at = 0; at < text.size && !logs->rc; at += piece ? piece : text.size)
        logs->rc = kap_xes_feed(xes, kap_span_sub(text, at, piece ? piece : text.size));
    if (!logs->rc)
        logs->rc = kap_xes_finish(xes);
    if (!logs->rc)
        logs->rc = kap_eventlog_finish(logs->log);
    kap_xes_close(&xes);
    return logs->rc;
}

int kap_logs_csv(kap_logs_t *logs, kap_span_t text, size_t piece, char delimiter,
                 const kap_logkeys_t *keys, const kap_logrules_t *rules)
{
    kap_csvlog_t *csv = NULL;

    begin(logs, rules);
    logs->rc =
        kap_csvlog_open(keys ? keys : &kap_logs_keys, delimiter, logs->log, &logs->why, &csv);
    for (size_t at = 0; at < text.size && !logs->rc; at += piece ? piece : text.size)
        logs->rc = kap_csvlog_feed(csv, kap_span_sub(text, at, piece ? piece : text.size));
    if (!logs->rc)
        logs->rc = kap_csvlog_finish(csv);
    if (!logs->rc)
        logs->rc = kap_eventlog_finish(logs->log);
    kap_csvlog_close(&csv);
    return logs->rc;
}

int kap_logs_traces(kap_logs_t *logs, const char *traces)
{
    kap_buf_t text = {0};

    kap_buf_printf(&text, "<log>%s</log>", traces);
    int rc = kap_logs_xes(logs, kap_buf_span(&text), 0, NULL, NULL);
    kap_buf_fini(&text);
    return rc;
}

int kap_logs_file(kap_logs_t *logs, const char *path, const kap_logkeys_t *keys,
                  const kap_logrules_t *rules)
{
    kap_loginput_t *in = NULL;
    kap_xes_t *xes = NULL;
    kap_span_t chunk = {0};

    begin(logs, rules);
    logs->rc = kap_xes_open(keys ? keys : &kap_logs_keys, logs->log, &logs->why, &xes);
    if (!logs->rc)
        logs->rc = kap_loginput_open(path, &logs->why, &in);
    while (!logs->rc) {
        logs->rc = kap_loginput_read(in, &chunk);
        if (logs->rc || !chunk.size)
            break;
        logs->rc = kap_xes_feed(xes, chunk);
    }
    if (!logs->rc)
        logs->rc = kap_xes_finish(xes);
    if (!logs->rc)
        logs->rc = kap_eventlog_finish(logs->log);
    if (!logs->rc)
        kap_loginput_digest(in, logs->digest);
    kap_loginput_close(&in);
    kap_xes_close(&xes);
    return logs->rc;
}

const char *kap_logs_why(kap_logs_t *logs)
{
    return kap_buf_cstr(&logs->why);
}

uint64_t kap_logs_fault(const kap_logs_t *logs, kap_logfault_t fault)
{
    return kap_eventlog_totals(logs->log)->faults[fault];
}

const kap_logtotals_t *kap_logs_totals(const kap_logs_t *logs)
{
    return kap_eventlog_totals(logs->log);
}

void kap_logs_close(kap_logs_t *logs)
{
    kap_eventlog_destroy(&logs->log);
    kap_buf_fini(&logs->why);
}

void kap_logs_event(kap_buf_t *xes, const char *actor, const char *time)
{
    kap_buf_str(xes, "<event>");
    if (actor)
        kap_buf_printf(xes, "<string key=\"org:resource\" value=\"%s\"/>", actor);
    if (time)
        kap_buf_printf(xes, "<date key=\"time:timestamp\" value=\"%s\"/>", time);
    kap_buf_str(xes, "</event>");
}

void kap_logs_worked_example(kap_buf_t *xes)
{
    kap_buf_str(xes, "<trace><string key=\"concept:name\" value=\"c1\"/>");
    kap_logs_event(xes, "A", "2024-02-29T23:00:00Z");
    kap_logs_event(xes, "A", "2024-03-01T00:30:00+01:00");
    kap_logs_event(xes, "B", "2024-03-01T10:00:00Z");
    kap_logs_event(xes, "C", "2024-03-01T10:00:00Z");
    kap_logs_event(xes, "B", "2024-03-01T11:00:00Z");
    kap_logs_event(xes, NULL, "2024-03-01T12:00:00Z");
    kap_logs_event(xes, "C", "2024-03-02T12:00:00Z");
    kap_buf_str(xes, "</trace><trace><string key=\"concept:name\" value=\"c2\"/>");
    kap_logs_event(xes, "A", "2024-03-03T09:00:00Z");
    kap_buf_str(xes, "</trace><trace><string key=\"concept:name\" value=\"c3\"/>");
    kap_logs_event(xes, "B", "2024-03-04T09:00:00Z");
    kap_logs_event(xes, "A", "2024-03-04T08:00:00Z");
    kap_logs_event(xes, "A", "2024-03-04T10:00:00Z");
    kap_buf_str(xes, "</trace>");
}
