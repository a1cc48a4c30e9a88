/* SPDX-License-Identifier: MPL-2.0 */
#include "importreport.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "err.h"
#include "table.h"

static const char *const fault_names[] = {
#define KAP_LOGFAULT(NAME, json, text) json,
#include "logfaults.def"
#undef KAP_LOGFAULT
};

/* --- the most frequent actors --- */

typedef struct {
    const kap_eventlog_t *log;
    uint32_t actors[KAP_IMPORTREPORT_TOP]; /* the most frequent first, then by name */
    size_t count;
} top_t;

static bool before(const kap_eventlog_t *log, uint32_t a, uint32_t b)
{
    uint64_t events_a = kap_eventlog_actor_events(log, a);
    uint64_t events_b = kap_eventlog_actor_events(log, b);

    if (events_a != events_b)
        return events_a > events_b;
    return kap_span_cmp(kap_eventlog_actor(log, a), kap_eventlog_actor(log, b)) < 0;
}

static top_t top_of(const kap_eventlog_t *log)
{
    top_t top = {.log = log};

    for (uint32_t i = 0; i < kap_eventlog_actor_count(log); i++) {
        size_t at = top.count;
        while (at > 0 && before(log, i, top.actors[at - 1]))
            at--;
        if (at == KAP_IMPORTREPORT_TOP)
            continue;
        if (top.count < KAP_IMPORTREPORT_TOP)
            top.count++;
        for (size_t j = top.count - 1; j > at; j--)
            top.actors[j] = top.actors[j - 1];
        top.actors[at] = i;
    }
    return top;
}

/* --- for people --- */

static void line(FILE *out, const char *what, uint64_t n)
{
    fprintf(out, "  %-46s %12" PRIu64 "\n", what, n);
}

static void line_if(FILE *out, const char *what, uint64_t n)
{
    if (n)
        line(out, what, n);
}

static void print_warnings(const kap_importreport_t *report, const kap_logtotals_t *t, FILE *out)
{
    if (t->without_zone)
        fprintf(out, "%" PRIu64 " times name no zone; they were read as %s (--zone).\n",
                t->without_zone, report->args->zone);
    if (t->before_1970)
        fprintf(out,
                "%" PRIu64 " times are of 1970-01-01 or before: often a default, not a date.\n",
                t->before_1970);
    if (t->merged)
        fprintf(out, "%" PRIu64 " traces have an id that came before: merged into one case.\n",
                t->merged);
    if (t->handovers_break != t->handovers)
        fprintf(out,
                "Events without an actor lie inside cases. Handovers: %" PRIu64
                " as imported (skipped),\n%" PRIu64 " if they ended the chain, %" PRIu64
                " if \"missing\" were one more actor.\n",
                t->handovers, t->handovers_break, t->handovers_actor);
    if (t->handovers_file != t->handovers)
        fprintf(out, "In the file's own order there would be %" PRIu64 " handovers.\n",
                t->handovers_file);
}

static int print_actors(const kap_importreport_t *report, FILE *out)
{
    static const kap_table_column_t columns[] = {
        {"most frequent actors", KAP_TABLE_LEFT, 50}, {"events", KAP_TABLE_RIGHT, 0}, {NULL, 0, 0}};
    top_t top = top_of(report->read->log);
    kap_table_t *table = kap_table_new(columns);
    kap_buf_t name = {0};
    char events[24];
    int rc = table ? KAP_OK : KAP_E_NOMEM;

    for (size_t i = 0; !rc && i < top.count; i++) {
        kap_buf_reset(&name);
        kap_buf_append(&name, kap_eventlog_actor(top.log, top.actors[i]));
        snprintf(events, sizeof events, "%" PRIu64,
                 kap_eventlog_actor_events(top.log, top.actors[i]));
        const char *cells[] = {kap_buf_cstr(&name), events};
        rc = name.err ? name.err : kap_table_row(table, cells);
    }
    if (!rc)
        rc = kap_table_print(table, out, 0);
    kap_table_destroy(&table);
    kap_buf_fini(&name);
    return rc;
}

static int print_text(const kap_importreport_t *report, FILE *out)
{
    const kap_logtotals_t *t = kap_eventlog_totals(report->read->log);
    uint64_t total = kap_logmap_total(report->map);

    if (report->mark >= total)
        fprintf(out, "Archive %s holds this import already; nothing changed.\n",
                report->args->into);
    else
        fprintf(out, "Imported into archive %s%s.\n", report->args->into,
                report->mark ? " (resumed)" : "");
    line(out, "cases", t->cases);
    line(out, "events of the log", t->events_read);
    line(out, "  with time and actor", t->actor_events);
    line(out, "actors", t->actors);
    line(out, "referrals (handovers)", kap_logmap_referrals(report->map));
    line(out, "  ping-pongs", t->pingpongs);
    line(out, "cases without a handover", t->cases - t->with_handover);
    line(out, "events by the same actor in a row", t->self_follows);
    line(out, "events published", total > report->mark ? total - report->mark : 0);
    line_if(out, "events of values declared missing", t->declared);
    for (int i = 0; i < KAP_LOGFAULT_COUNT; i++)
        line_if(out, kap_logfault_text(i), t->faults[i]);
    line_if(out, "cases left without any event", t->hollow);
    print_warnings(report, t, out);
    fputc('\n', out);
    return print_actors(report, out);
}

/* --- for programs --- */

static json_t *json_count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *json_actors(const kap_importreport_t *report)
{
    top_t top = top_of(report->read->log);
    json_t *list = json_array();

    for (size_t i = 0; list && i < top.count; i++) {
        kap_span_t name = kap_eventlog_actor(top.log, top.actors[i]);
        json_t *actor = json_object();
        json_object_set_new(actor, "name", json_stringn((const char *)name.data, name.size));
        json_object_set_new(actor, "events",
                            json_count(kap_eventlog_actor_events(top.log, top.actors[i])));
        json_array_append_new(list, actor);
    }
    return list;
}

static json_t *json_report(const kap_importreport_t *report)
{
    const kap_logtotals_t *t = kap_eventlog_totals(report->read->log);
    uint64_t total = kap_logmap_total(report->map);
    json_t *skipped = json_object();

    for (int i = 0; i < KAP_LOGFAULT_COUNT; i++)
        json_object_set_new(skipped, fault_names[i], json_count(t->faults[i]));
    return json_pack(
        "{s:s, s:s%, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "archive", report->args->into, "source", (const char *)kap_logmap_source(report->map).data,
        kap_logmap_source(report->map).size, "repeated", report->mark >= total, "events_published",
        json_count(total > report->mark ? total - report->mark : 0), "events_total",
        json_count(total), "cases", json_count(t->cases), "cases_without_handover",
        json_count(t->cases - t->with_handover), "cases_without_events", json_count(t->hollow),
        "traces", json_count(t->traces), "log_events", json_count(t->events_read), "actor_events",
        json_count(t->actor_events), "actors", json_count(t->actors), "referrals",
        json_count(kap_logmap_referrals(report->map)), "pingpongs", json_count(t->pingpongs),
        "self_follows", json_count(t->self_follows), "handovers", json_count(t->handovers),
        "handovers_missing_breaks", json_count(t->handovers_break), "handovers_missing_is_actor",
        json_count(t->handovers_actor), "handovers_file_order", json_count(t->handovers_file),
        "missing_declared", json_count(t->declared), "merged", json_count(t->merged),
        "without_zone", json_count(t->without_zone), "before_1970", json_count(t->before_1970),
        "skipped", skipped, "most_frequent_actors", json_actors(report));
}

static int print_json(const kap_importreport_t *report, FILE *out)
{
    json_t *root = json_report(report);
    int rc = root ? KAP_OK : KAP_E_NOMEM;

    if (!rc && json_dumpf(root, out, JSON_INDENT(2)))
        rc = KAP_E_IO;
    if (!rc)
        fputc('\n', out);
    json_decref(root);
    return rc;
}

static int print_csv(const kap_importreport_t *report, FILE *out)
{
    json_t *root = json_report(report), *value;
    const char *key;

    if (!root)
        return KAP_E_NOMEM;
    fputs("what,count\r\n", out);
    json_object_foreach(root, key, value)
    {
        if (json_is_integer(value))
            fprintf(out, "%s,%" JSON_INTEGER_FORMAT "\r\n", key, json_integer_value(value));
    }
    json_object_foreach(json_object_get(root, "skipped"), key, value)
    {
        fprintf(out, "skipped.%s,%" JSON_INTEGER_FORMAT "\r\n", key, json_integer_value(value));
    }
    json_decref(root);
    return KAP_OK;
}

int kap_importreport_print(const kap_importreport_t *report, kap_format_t format, FILE *out)
{
    int rc;

    if (format == KAP_FORMAT_JSON)
        rc = print_json(report, out);
    else if (format == KAP_FORMAT_CSV)
        rc = print_csv(report, out);
    else
        rc = print_text(report, out);
    return !rc && (fflush(out) || ferror(out)) ? KAP_E_IO : rc;
}

void kap_importreport_nothing(const kap_logtotals_t *totals, kap_buf_t *out)
{
    kap_buf_printf(out, "no event could be used (%" PRIu64 " read", totals->events_read);
    for (int i = 0; i < KAP_LOGFAULT_COUNT; i++)
        if (totals->faults[i])
            kap_buf_printf(out, "; %s: %" PRIu64, kap_logfault_text(i), totals->faults[i]);
    if (totals->declared)
        kap_buf_printf(out, "; declared missing: %" PRIu64, totals->declared);
    kap_buf_str(out, ")");
    if (totals->faults[KAP_LOGFAULT_NO_TIME])
        kap_buf_str(out, "; does the log keep its times in another key (--time)?");
    else if (totals->faults[KAP_LOGFAULT_NO_ACTOR])
        kap_buf_str(out, "; is --actor the right key?");
}
