/* SPDX-License-Identifier: MPL-2.0 */
/* kapula follow: the feed for eyes and programs. */
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "args.h"
#include "clock.h"
#include "cloudevents.h"
#include "err.h"
#include "feed.h"
#include "shown.h"

typedef struct {
    kap_cli_t *cli;
    const char *stream;
    long count, seen;
    bool headed;
    char owned[KAP_FEED_STREAM];
    kap_buf_t json;
} line_t;

static void set_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, json_string(text));
}

static void print_json_line(line_t *line, const kap_feed_item_t *item)
{
    char text[64];
    json_t *object = json_object();
    kap_feed_cursor_text(item->epoch, item->meta.stream_seq, text);
    set_text(object, "cursor", text);
    set_text(object, "stream", line->stream);
    json_object_set_new(object, "seq", json_integer((json_int_t)item->meta.stream_seq));
    json_object_set_new(object, "log_seq", json_integer((json_int_t)item->meta.log_seq));
    kap_time_format_utc(item->meta.committed_at, text);
    set_text(object, "committed_at", text);
    set_text(object, "verdict", kap_code_name(KAP_LIST_VERDICT, item->meta.verdict));
    kap_buf_reset(&line->json);
    if (kap_cloudevents_json(&item->event, true, &line->json) == KAP_OK)
        json_object_set_new(object, "event",
                            json_loadb((const char *)line->json.data, line->json.size, 0, NULL));
    json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
}

/* Who did it to whom: "municipality > finnvera", or who alone. */
static void who_text(const kap_event_t *event, char *out, size_t size)
{
    kap_span_t from = kap_event_span(event, KAP_F_FROM), to = kap_event_span(event, KAP_F_TO);
    const uint8_t *slash =
        event->source.size ? memchr(event->source.data, '/', event->source.size) : NULL;
    int own = slash ? (int)(slash - event->source.data) : (int)event->source.size;
    if (kap_span_empty(to))
        snprintf(out, size, "%.*s", own, (const char *)event->source.data);
    else
        snprintf(out, size, "%.*s > %.*s", KAP_SPAN_ARGS(from), KAP_SPAN_ARGS(to));
}

/* Bytes of the text that fit in `columns`; *cut when not all do. */
static int fitting(const char *text, int columns, bool *cut)
{
    int i = 0;
    for (int n = 0; text[i]; i++) {
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
        if (n > columns)
            break;
    }
    *cut = text[i] != '\0';
    return i;
}

/* "21.11.2026 23:33  b232bfcfee59  municipality > finnvera: created, start-up advice" */
static void print_line(line_t *line, const kap_feed_item_t *item)
{
    enum { TIME = 16, ID = 12, GAPS = 4 };
    char when[KAP_TIME_TEXT], who[128], text[512];
    const kap_event_t *event = &item->event;
    kap_lang_t lang = kap_shown_lang(line->cli);
    const char *what = event->type ? kap_event_type_text(event->type, lang) : "?";
    const char *service =
        kap_code_text(KAP_LIST_SERVICE, kap_event_code(event, KAP_F_SERVICE), lang);
    const char *verdict = item->meta.verdict == KAP_VERDICT_ACCEPTED
                              ? NULL
                              : kap_code_text(KAP_LIST_VERDICT, item->meta.verdict, lang);
    kap_span_t id = kap_shown_id(event->subject);
    bool cut;
    if (id.size > ID)
        id = kap_span(id.data + id.size - ID, ID);
    kap_time_format_local(item->meta.committed_at, when);
    who_text(event, who, sizeof who);
    snprintf(text, sizeof text, "%s: %s%s%s%s%s", who, what, service ? ", " : "",
             service ? service : "", verdict ? ", " : "", verdict ? verdict : "");
    int room = kap_cli_width() - TIME - ID - GAPS;
    int n = fitting(text, room, &cut);
    if (cut)
        n = fitting(text, room - 1, &cut);
    printf("%*s  %-*.*s  %.*s%s\n", TIME, when, ID, KAP_SPAN_ARGS(id), n, text, cut ? "…" : "");
}

static void print_csv(line_t *line, const kap_feed_item_t *item)
{
    char cursor[64], when[KAP_TIME_TEXT];
    const kap_event_t *event = &item->event;
    if (!line->headed)
        fputs("cursor,committed_at,type,subject,source,from,to,service,verdict\r\n", stdout);
    line->headed = true;
    kap_feed_cursor_text(item->epoch, item->meta.stream_seq, cursor);
    kap_time_format_utc(item->meta.committed_at, when);
    const char *service = kap_code_name(KAP_LIST_SERVICE, kap_event_code(event, KAP_F_SERVICE));
    const char *verdict = kap_code_name(KAP_LIST_VERDICT, item->meta.verdict);
    kap_span_t cells[] = {kap_span_str(cursor),
                          kap_span_str(when),
                          kap_span_str(kap_event_type_name(event->type)),
                          event->subject,
                          event->source,
                          kap_event_span(event, KAP_F_FROM),
                          kap_event_span(event, KAP_F_TO),
                          kap_span_str(service ? service : ""),
                          kap_span_str(verdict ? verdict : "")};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        kap_cli_csv_field(stdout, cells[i], i + 1 == sizeof cells / sizeof *cells);
}

static bool on_follow(void *arg, const kap_feed_item_t *item)
{
    line_t *line = arg;
    if (line->cli->format == KAP_FORMAT_JSON)
        print_json_line(line, item);
    else if (line->cli->format == KAP_FORMAT_CSV)
        print_csv(line, item);
    else
        print_line(line, item);
    if (fflush(stdout) != 0 || ferror(stdout))
        return false;
    return line->count == 0 || ++line->seen < line->count;
}

static int run(line_t *line, const kap_args_t *args, const char *from, kap_feed_t *feed)
{
    int code = kap_cli_configure(line->cli);
    if (code != 0)
        return code;
    line->stream = kap_feed_stream(line->cli, kap_args_option(args, "stream"),
                                   kap_args_option(args, "region"), line->owned);
    if (!line->stream)
        return KAP_EXIT_USAGE;
    feed->stream = line->stream;
    feed->arg = line;
    if (strcmp(from, "now") == 0)
        code = kap_feed_seek_end(line->cli, feed);
    else if (kap_feed_cursor_parse(from, &feed->at) != KAP_OK)
        code = kap_cli_fail(KAP_EXIT_USAGE,
                            "--from %s: say start, now, or a cursor as follow prints it", from);
    kap_buf_init(&line->json);
    if (code == 0)
        code = kap_feed_run(line->cli, feed);
    kap_buf_fini(&line->json);
    return code;
}

int kap_cmd_follow(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"follow", "", 0, 0,
                                      "The live feed: each event once, in order. With --format "
                                      "json a line each, with the cursor to go on from."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *from = kap_args_option(&args, "from");
    line_t line = {.cli = cli, .count = kap_args_number(&args, "count", 1, LONG_MAX, 0)};
    kap_feed_t feed = {.on_event = on_follow};
    feed.follow = !kap_args_option(&args, "until-end") && !kap_args_option(&args, "until-idle");
    if (!from || (!feed.follow && strcmp(from, "now") == 0))
        from = feed.follow ? "now" : "start";
    return run(&line, &args, from, &feed);
}
