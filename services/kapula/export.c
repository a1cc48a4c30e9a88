/* SPDX-License-Identifier: MPL-2.0 */
/* kapula export: what this key may read of a stream, for other programs: CloudEvents, XES, CSV. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "args.h"
#include "cloudevents.h"
#include "err.h"
#include "exportlog.h"
#include "feed.h"

static const char DOC[] =
    "Everything this key may read of a region, a member's stream or an archive. Sealed contents "
    "never leave.\v"
    "cloudevents: CloudEvents 1.0, a JSON line each. xes, csv: an event log that process mining "
    "and `kapula import` read; voided referrals are left out. A trace is a case where the key may "
    "know the cases (its own stream, an archive), else a referral.";

typedef struct {
    kap_cli_t *cli;
    FILE *out;
    kap_exportlog_t *log; /* NULL: CloudEvents */
    kap_buf_t json;
    int code; /* why it stopped; after saying it */
} export_t;

static bool on_cloudevent(void *arg, const kap_feed_item_t *item)
{
    export_t *e = arg;

    kap_buf_reset(&e->json);
    if (kap_cloudevents_json(&item->event, true, &e->json) != KAP_OK)
        return kap_cli_fail(0, "event %llu cannot be exported",
                            (unsigned long long)item->meta.log_seq) == 0;
    fwrite(e->json.data, 1, e->json.size, e->out);
    fputc('\n', e->out);
    return ferror(e->out) == 0;
}

static bool on_event(void *arg, const kap_feed_item_t *item)
{
    export_t *e = arg;
    int rc = kap_exportlog_add(e->log, item);

    if (rc != KAP_OK)
        e->code = kap_cli_fail(KAP_EXIT_REFUSED, "laying events aside in a temporary file: %s",
                               kap_err_text(rc));
    return rc == KAP_OK;
}

/* Is what the stream tells of an archive? */
static int is_archive(kap_cli_t *cli, const char *stream, bool *archive)
{
    static const char prefix[] = "region/";
    const kap_mp_t *root = NULL;
    kap_buf_t map;

    *archive = false;
    if (strncmp(stream, prefix, sizeof prefix - 1) != 0)
        return 0;
    kap_buf_init(&map);
    kap_query_begin(&map, "archive", 1);
    kap_mp_put_cstr(&map, "name");
    kap_mp_put_cstr(&map, stream + sizeof prefix - 1);
    int code = kap_cli_ask_quietly(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, &root);
    kap_buf_fini(&map);
    *archive = code == 0 && kap_mp_get(root, "error") == NULL;
    return code;
}

/* What a trace is: as said, or a case where that is known. */
static int choose(export_t *e, const kap_args_t *args, const char *stream, kap_export_form_t form)
{
    const char *trace = kap_args_option(args, "trace");
    bool archive;

    if (trace && strcmp(trace, "case") != 0 && strcmp(trace, "referral") != 0)
        return kap_cli_fail(KAP_EXIT_USAGE, "--trace %s: say case or referral", trace);
    int code = is_archive(e->cli, stream, &archive);
    if (code != 0)
        return kap_cli_fail(code, "the broker does not answer");
    bool by_case =
        trace ? strcmp(trace, "case") == 0 : archive || strncmp(stream, "member/", 7) == 0;
    e->log = kap_exportlog_new(form, by_case, archive);
    return e->log ? 0 : kap_cli_fail(KAP_EXIT_REFUSED, "no memory or no temporary file");
}

static int write_log(export_t *e)
{
    uint64_t caseless = kap_exportlog_caseless(e->log);

    if (caseless > 0)
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "the cases of %llu events are not this key's to know; say --trace "
                            "referral, or export your own stream (--stream member/NAME)",
                            (unsigned long long)caseless);
    int rc = kap_exportlog_write(e->log, e->out);
    return rc == KAP_OK ? 0 : kap_cli_fail(KAP_EXIT_REFUSED, "writing: %s", kap_err_text(rc));
}

static int run(export_t *e, const kap_args_t *args, bool log_form, kap_export_form_t form)
{
    char owned[KAP_FEED_STREAM];
    const char *from = kap_args_option(args, "from");
    kap_feed_t feed = {.on_event = log_form ? on_event : on_cloudevent, .arg = e};

    int code = kap_cli_configure(e->cli);
    if (code != 0)
        return code;
    feed.stream = kap_feed_stream(e->cli, kap_args_option(args, "stream"),
                                  kap_args_option(args, "region"), owned);
    if (!feed.stream)
        return KAP_EXIT_USAGE;
    if (kap_feed_cursor_parse(from ? from : "start", &feed.at) != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "--from %s: say start, or a cursor as follow prints it",
                            from);
    if (log_form)
        code = choose(e, args, feed.stream, form);
    if (code == 0)
        code = kap_feed_run(e->cli, &feed);
    if (code == 0)
        code = e->code;
    return code == 0 && log_form ? write_log(e) : code;
}

/* Opens --out beside its place; standard output without it. */
static int open_out(export_t *e, const char *out, char beside[], size_t size)
{
    e->out = stdout;
    if (!out)
        return 0;
    if ((size_t)snprintf(beside, size, "%s.part", out) >= size)
        return kap_cli_fail(KAP_EXIT_USAGE, "--out: a shorter name would be right");
    e->out = fopen(beside, "w");
    return e->out ? 0 : kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", beside, strerror(errno));
}

static int close_out(export_t *e, const char *out, const char *beside, int code)
{
    if (!out)
        return code == 0 && (fflush(stdout) != 0 || ferror(stdout))
                   ? kap_cli_fail(KAP_EXIT_REFUSED, "standard output: %s", strerror(errno))
                   : code;
    bool good = fflush(e->out) == 0 && !ferror(e->out) && fsync(fileno(e->out)) == 0;
    if (fclose(e->out) != 0)
        good = false;
    if (code == 0 && good && rename(beside, out) == 0)
        return 0;
    if (code == 0)
        code = kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s", out, strerror(errno));
    unlink(beside);
    return code;
}

int kap_cmd_export(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"export", "", 0, 0, DOC};
    char beside[4096];
    kap_args_t args;
    export_t e = {.cli = cli};

    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *as = kap_args_option(&args, "as"), *out = kap_args_option(&args, "out");
    bool xes = as && strcmp(as, "xes") == 0, csv = as && strcmp(as, "csv") == 0;
    if (as && !xes && !csv && strcmp(as, "cloudevents") != 0)
        return kap_cli_fail(KAP_EXIT_USAGE, "--as %s: say cloudevents, xes or csv", as);
    int code = open_out(&e, out, beside, sizeof beside);
    if (code != 0)
        return code;
    kap_buf_init(&e.json);
    code = run(&e, &args, xes || csv, csv ? KAP_EXPORT_CSV : KAP_EXPORT_XES);
    kap_buf_fini(&e.json);
    kap_exportlog_destroy(&e.log);
    return close_out(&e, out, beside, code);
}
