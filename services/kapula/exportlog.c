/* SPDX-License-Identifier: MPL-2.0 */
#include "exportlog.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "cloudevents.h"
#include "err.h"
#include "tables.h"

enum { ARENA_BYTES = 1 << 16, EVENTS_FIRST = 1024 };

#define NO_TRACE UINT32_MAX

/* A referral as far as its `created` was seen; or, with nothing but the id, a trace. */
typedef struct {
    kap_span_t id, from, to;
    uint32_t trace;
    bool voided;
} named_t;

/* Where an event lies in the temporary file, and where it belongs. */
typedef struct {
    named_t *referral;
    int64_t at;
    uint64_t offset;
    uint32_t bytes, order;
} laid_t;

struct kap_exportlog {
    kap_export_form_t form;
    bool by_case, archive;
    kap_arena_t *arena;
    void *referrals, *traces; /* trees of named_t by id */
    kap_span_t *trace_names;
    uint32_t trace_count, trace_cap;
    laid_t *laid;
    size_t count, cap;
    uint64_t written, caseless;
    uint64_t read_at; /* where the next read of the temporary file begins without a seek */
    FILE *aside;
    kap_buf_t text;
};

kap_exportlog_t *kap_exportlog_new(kap_export_form_t form, bool by_case, bool archive)
{
    kap_exportlog_t *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log->form = form;
    log->by_case = by_case;
    log->archive = archive;
    log->arena = kap_arena_new(ARENA_BYTES);
    log->aside = tmpfile();
    kap_buf_init(&log->text);
    if (log->arena == NULL || log->aside == NULL)
        kap_exportlog_destroy(&log);
    return log;
}

static void keep_item(void *item)
{
    (void)item; /* the arena's */
}

void kap_exportlog_destroy(kap_exportlog_t **at)
{
    kap_exportlog_t *log = *at;

    *at = NULL;
    if (log == NULL)
        return;
    tdestroy(log->referrals, keep_item);
    tdestroy(log->traces, keep_item);
    kap_arena_destroy(&log->arena);
    kap_buf_fini(&log->text);
    free(log->trace_names);
    free(log->laid);
    if (log->aside)
        fclose(log->aside);
    free(log);
}

uint64_t kap_exportlog_caseless(const kap_exportlog_t *log)
{
    return log->caseless;
}

/* --- names --- */

static int by_id(const void *a, const void *b)
{
    return kap_span_cmp(((const named_t *)a)->id, ((const named_t *)b)->id);
}

/* The entry of an id in a tree, made when it is new; NULL when out of memory. */
static named_t *named(kap_exportlog_t *log, void **tree, kap_span_t id)
{
    named_t key = {.id = id}, **found = tfind(&key, tree, by_id);

    if (found)
        return *found;
    named_t *made = kap_arena_alloc(log->arena, sizeof *made);
    if (made == NULL)
        return NULL;
    *made = (named_t){.id = kap_arena_dup(log->arena, id), .trace = NO_TRACE};
    if (made->id.data == NULL || tsearch(made, tree, by_id) == NULL)
        return NULL;
    return made;
}

static void *grown(void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    *cap = *cap ? *cap * 2 : EVENTS_FIRST;
    return realloc(items, *cap * size);
}

/* The number of a trace, given in the order of first appearance. */
static int trace_of(kap_exportlog_t *log, kap_span_t name, uint32_t *trace)
{
    named_t *entry = named(log, &log->traces, name);
    size_t cap = log->trace_cap;

    if (entry == NULL)
        return KAP_E_NOMEM;
    if (entry->trace == NO_TRACE) {
        kap_span_t *names = grown(log->trace_names, log->trace_count, &cap, sizeof *names);
        if (names == NULL)
            return KAP_E_NOMEM;
        log->trace_names = names;
        log->trace_cap = (uint32_t)cap;
        names[log->trace_count] = entry->id;
        entry->trace = log->trace_count++;
    }
    *trace = entry->trace;
    return KAP_OK;
}

/* The case of a referral: told by its `created`, or by its id; empty when the key may not know. */
static kap_span_t case_of(const kap_exportlog_t *log, const kap_event_t *event, kap_span_t id)
{
    kap_span_t name = kap_event_span(event, KAP_F_CASE);

    if (name.size > 0 || !log->archive)
        return name;
    while (id.size > 0 && id.data[id.size - 1] != '#')
        id.size--;
    return kap_span(id.data, id.size > 0 ? id.size - 1 : 0);
}

static int meet(kap_exportlog_t *log, const kap_event_t *event, named_t *referral)
{
    if (event->type == KAP_EV_REFERRAL_CREATED) {
        referral->from = kap_arena_dup(log->arena, kap_event_span(event, KAP_F_FROM));
        referral->to = kap_arena_dup(log->arena, kap_event_span(event, KAP_F_TO));
    }
    if (event->type == KAP_EV_REFERRAL_VOIDED)
        referral->voided = true;
    kap_span_t name = log->by_case ? case_of(log, event, referral->id) : referral->id;
    if (referral->trace != NO_TRACE || name.size == 0)
        return KAP_OK;
    return trace_of(log, name, &referral->trace);
}

/* --- one event --- */

/* Who did it; empty: a machine by itself. The actors of an archive have no sources of their own. */
static kap_span_t actor_of(const kap_event_t *event, const named_t *referral)
{
    bool has_source = event->source.size > 0; /* the header line's event has none */
    const uint8_t *slash = has_source ? memchr(event->source.data, '/', event->source.size) : NULL;
    kap_span_t member =
        kap_span(event->source.data, slash ? (size_t)(slash - event->source.data) : 0);

    if (event->type == KAP_EV_REFERRAL_DELIVERED || event->type == KAP_EV_REFERRAL_EXPIRED ||
        event->type == KAP_EV_REFERRAL_ANSWER_RECEIVED)
        return kap_span(NULL, 0);
    if (kap_span_eq(member, referral->from) || kap_span_eq(member, referral->to))
        return member;
    return event->type == KAP_EV_REFERRAL_CREATED ? referral->from : referral->to;
}

/* "accepted" of "kapula.referral.accepted.v1". */
static kap_span_t activity_of(const kap_event_t *event)
{
    kap_span_t name = kap_span_str(kap_event_type_name(event->type));
    size_t begin = sizeof "kapula.referral." - 1, tail = sizeof ".v1" - 1;

    return kap_span(name.data + begin, name.size - begin - tail);
}

/* The columns beside the four of every log; in XES an attribute of that key where not empty. */
typedef struct {
    const char *key;
    kap_span_t value;
} column_t;

enum { COLUMNS = 13 };

static kap_span_t code_text(const kap_event_t *event, kap_field_t field, kap_code_list_t list)
{
    const char *name = kap_code_name(list, kap_event_code(event, field));

    return kap_span_str(name ? name : "");
}

static kap_span_t reason_text(const kap_event_t *event)
{
    switch (event->type) {
    case KAP_EV_REFERRAL_WITHDRAWN:
        return code_text(event, KAP_F_WITHDRAW_REASON, KAP_LIST_WITHDRAW);
    case KAP_EV_REFERRAL_HELD:
        return code_text(event, KAP_F_HOLD_REASON, KAP_LIST_HOLD);
    default:
        return code_text(event, KAP_F_REASON, KAP_LIST_DECLINE);
    }
}

static void columns_of(const kap_exportlog_t *log, const kap_event_t *event,
                       const named_t *referral, const char *time, column_t out[COLUMNS])
{
    bool known = referral->trace != NO_TRACE;
    const column_t all[COLUMNS] = {
        {"case:concept:name", known ? log->trace_names[referral->trace] : kap_span(NULL, 0)},
        {"concept:name", activity_of(event)},
        {"time:timestamp", kap_span_str(time)},
        {"org:resource", actor_of(event, referral)},
        {"referral", referral->id},
        {"from", referral->from},
        {"to", referral->to},
        {"kind", code_text(event, KAP_F_KIND, KAP_LIST_KIND)},
        {"service", code_text(event, KAP_F_SERVICE, KAP_LIST_SERVICE)},
        {"segment", code_text(event, KAP_F_SEGMENT, KAP_LIST_SEGMENT)},
        {"origin", code_text(event, KAP_F_ORIGIN, KAP_LIST_ORIGIN)},
        {"reason", reason_text(event)},
        {"outcome", code_text(event, KAP_F_OUTCOME, KAP_LIST_OUTCOME)},
    };
    memcpy(out, all, sizeof all);
}

/* --- XES --- */

/* Attribute text. What XML cannot say at all (most control characters) becomes U+FFFD. */
static void put_xml(kap_buf_t *out, kap_span_t text)
{
    size_t done = 0; /* what was appended; plain bytes go in one piece */

    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c >= ' ' && c != '&' && c != '<' && c != '"')
            continue;
        kap_buf_append(out, kap_span_sub(text, done, i - done));
        done = i + 1;
        if (c == '&')
            kap_buf_str(out, "&amp;");
        else if (c == '<')
            kap_buf_str(out, "&lt;");
        else if (c == '"')
            kap_buf_str(out, "&quot;");
        else if (c == '\t' || c == '\n' || c == '\r')
            kap_buf_printf(out, "&#%d;", c);
        else
            kap_buf_str(out, "\xef\xbf\xbd");
    }
    kap_buf_append(out, kap_span_sub(text, done, text.size - done));
}

static void put_attribute(kap_buf_t *out, const char *type, const char *key, kap_span_t value)
{
    if (value.size == 0)
        return;
    kap_buf_printf(out, "<%s key=\"%s\" value=\"", type, key);
    put_xml(out, value);
    kap_buf_str(out, "\"/>");
}

static void put_xes_event(kap_buf_t *out, const column_t columns[COLUMNS])
{
    kap_buf_str(out, "<event>");
    for (int i = 1; i < COLUMNS; i++) { /* the trace has the first */
        bool plain = strchr(columns[i].key, ':') != NULL;
        char key[32];
        snprintf(key, sizeof key, "%s%s", plain ? "" : "kapula:", columns[i].key);
        put_attribute(out, strcmp(key, "time:timestamp") == 0 ? "date" : "string", key,
                      columns[i].value);
    }
    kap_buf_str(out, "</event>\n");
}

static const char XES_HEAD[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<log xes.version=\"1849-2016\" xmlns=\"http://www.xes-standard.org/\">\n"
    "<extension name=\"Concept\" prefix=\"concept\" "
    "uri=\"http://www.xes-standard.org/concept.xesext\"/>\n"
    "<extension name=\"Time\" prefix=\"time\" uri=\"http://www.xes-standard.org/time.xesext\"/>\n"
    "<extension name=\"Organizational\" prefix=\"org\" "
    "uri=\"http://www.xes-standard.org/org.xesext\"/>\n"
    "<classifier name=\"Activity\" keys=\"concept:name\"/>\n";

/* --- adding --- */

/* A field of RFC 4180; quoted only where it must be. */
static void put_csv(kap_buf_t *out, kap_span_t text)
{
    bool quoted = false;
    size_t done = 0;

    for (size_t i = 0; i < text.size && !quoted; i++)
        quoted = memchr("\",\r\n", text.data[i], 4) != NULL;
    kap_buf_str(out, quoted ? "\"" : "");
    for (size_t i = 0; quoted && i < text.size; i++) {
        if (text.data[i] != '"')
            continue;
        kap_buf_append(out, kap_span_sub(text, done, i - done));
        kap_buf_str(out, "\"");
        done = i; /* the quote itself goes with what follows */
    }
    kap_buf_append(out, kap_span_sub(text, done, text.size - done));
    kap_buf_str(out, quoted ? "\"" : "");
}

static void put_csv_event(kap_buf_t *out, const column_t columns[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++) {
        put_csv(out, columns[i].value);
        kap_buf_str(out, i + 1 < COLUMNS ? "," : "\r\n");
    }
}

static int lay_aside(kap_exportlog_t *log, named_t *referral, int64_t at)
{
    laid_t *laid = grown(log->laid, log->count, &log->cap, sizeof *laid);

    if (laid == NULL || log->text.err != KAP_OK)
        return KAP_E_NOMEM;
    log->laid = laid;
    laid[log->count] = (laid_t){.referral = referral,
                                .at = at,
                                .offset = log->written,
                                .bytes = (uint32_t)log->text.size,
                                .order = (uint32_t)log->count};
    log->count++;
    log->written += log->text.size;
    return fwrite(log->text.data, 1, log->text.size, log->aside) == log->text.size ? KAP_OK
                                                                                   : KAP_E_IO;
}

int kap_exportlog_add(kap_exportlog_t *log, const kap_feed_item_t *item)
{
    const kap_event_t *event = &item->event;
    kap_span_t id = kap_event_span(event, KAP_F_REFERRAL);
    column_t columns[COLUMNS];
    char time[KAP_TIME_TEXT];

    if (item->meta.verdict != KAP_VERDICT_ACCEPTED || event->family != KAP_FAMILY_REFERRAL ||
        id.size == 0)
        return KAP_OK;
    named_t *referral = named(log, &log->referrals, id);
    if (referral == NULL)
        return KAP_E_NOMEM;
    int rc = meet(log, event, referral);
    if (rc != KAP_OK)
        return rc;
    log->caseless += referral->trace == NO_TRACE;
    kap_time_format_utc(event->time, time);
    columns_of(log, event, referral, time, columns);
    kap_buf_reset(&log->text);
    if (log->form == KAP_EXPORT_XES)
        put_xes_event(&log->text, columns);
    else
        put_csv_event(&log->text, columns);
    return lay_aside(log, referral, event->time);
}

/* --- writing --- */

static int by_trace(const void *a, const void *b)
{
    const laid_t *x = a, *y = b;
    uint32_t xt = x->referral->trace, yt = y->referral->trace;

    if (xt != yt)
        return xt < yt ? -1 : 1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int copy(kap_exportlog_t *log, const laid_t *laid, FILE *out)
{
    kap_buf_reset(&log->text);
    uint8_t *bytes = kap_buf_reserve(&log->text, laid->bytes);

    if (bytes == NULL)
        return KAP_E_NOMEM;
    if (laid->offset != log->read_at && fseeko(log->aside, (off_t)laid->offset, SEEK_SET) != 0)
        return KAP_E_IO;
    if (fread(bytes, 1, laid->bytes, log->aside) != laid->bytes ||
        fwrite(bytes, 1, laid->bytes, out) != laid->bytes)
        return KAP_E_IO;
    log->read_at = laid->offset + laid->bytes;
    return KAP_OK;
}

static void begin_trace(kap_exportlog_t *log, uint32_t trace, FILE *out)
{
    kap_buf_reset(&log->text);
    kap_buf_str(&log->text, "<trace>");
    put_attribute(&log->text, "string", "concept:name", log->trace_names[trace]);
    kap_buf_str(&log->text, "\n");
    fwrite(log->text.data, 1, log->text.size, out);
}

static int write_xes(kap_exportlog_t *log, FILE *out)
{
    uint32_t open = NO_TRACE;
    int rc = KAP_OK;

    fputs(XES_HEAD, out);
    for (size_t i = 0; rc == KAP_OK && i < log->count; i++) {
        const named_t *referral = log->laid[i].referral;
        if (referral->voided || referral->trace == NO_TRACE)
            continue;
        if (referral->trace != open) {
            fputs(open == NO_TRACE ? "" : "</trace>\n", out);
            begin_trace(log, referral->trace, out);
            open = referral->trace;
        }
        rc = copy(log, &log->laid[i], out);
    }
    fputs(open == NO_TRACE ? "</log>\n" : "</trace>\n</log>\n", out);
    return rc;
}

static int write_csv(kap_exportlog_t *log, FILE *out)
{
    static const named_t nobody = {.trace = NO_TRACE};
    static const kap_event_t nothing = {.type = KAP_EV_REFERRAL_CREATED};
    column_t columns[COLUMNS];
    int rc = KAP_OK;

    columns_of(log, &nothing, &nobody, "", columns);
    for (int i = 0; i < COLUMNS; i++)
        fprintf(out, "%s%s", columns[i].key, i + 1 < COLUMNS ? "," : "\r\n");
    for (size_t i = 0; rc == KAP_OK && i < log->count; i++)
        if (!log->laid[i].referral->voided && log->laid[i].referral->trace != NO_TRACE)
            rc = copy(log, &log->laid[i], out);
    return rc;
}

int kap_exportlog_write(kap_exportlog_t *log, FILE *out)
{
    int rc;

    if (fflush(log->aside) != 0 || fseeko(log->aside, 0, SEEK_SET) != 0)
        return KAP_E_IO;
    log->read_at = 0;
    if (log->form == KAP_EXPORT_XES && log->count > 0)
        qsort(log->laid, log->count, sizeof *log->laid, by_trace);
    rc = log->form == KAP_EXPORT_XES ? write_xes(log, out) : write_csv(log, out);
    return rc == KAP_OK && fflush(out) != 0 ? KAP_E_IO : rc;
}
