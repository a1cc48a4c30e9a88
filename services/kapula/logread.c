/* SPDX-License-Identifier: MPL-2.0 */
#include "logread.h"

#include <string.h>

#include "csvlog.h"
#include "err.h"
#include "loginput.h"
#include "progress.h"
#include "xes.h"

/* The usual names: XES's standard extensions, and what tools make of them in a table. */
static const kap_logkeys_t xes_keys = {"concept:name", "time:timestamp", NULL};
static const kap_logkeys_t csv_keys = {"case:concept:name", "time:timestamp", NULL};

/* One of the two readers. */
typedef struct {
    kap_logkind_t kind;
    kap_xes_t *xes;
    kap_csvlog_t *csv;
} reader_t;

static int reader_open(reader_t *r, const kap_logread_opts_t *opts, kap_logread_t *out,
                       kap_buf_t *why)
{
    if (r->kind == KAP_LOGKIND_CSV)
        return kap_csvlog_open(&out->keys, opts->delimiter, out->log, why, &r->csv);
    return kap_xes_open(&out->keys, out->log, why, &r->xes);
}

static int reader_feed(reader_t *r, kap_span_t bytes)
{
    return r->csv ? kap_csvlog_feed(r->csv, bytes) : kap_xes_feed(r->xes, bytes);
}

static int reader_finish(reader_t *r)
{
    return r->csv ? kap_csvlog_finish(r->csv) : kap_xes_finish(r->xes);
}

static void reader_close(reader_t *r)
{
    kap_csvlog_close(&r->csv);
    kap_xes_close(&r->xes);
}

/* XML begins with '<' after blanks; 0, fe and ff begin XML in encodings that its reader refuses by
 * name. */
static kap_logkind_t kind_of(kap_span_t first)
{
    if (kap_span_starts(first, KAP_SPAN("\xef\xbb\xbf")))
        first = kap_span_sub(first, 3, first.size);
    first = kap_span_trim(first);
    if (kap_span_empty(first))
        return KAP_LOGKIND_CSV;
    uint8_t c = first.data[0];
    return c == '<' || c == 0 || c == 0xfe || c == 0xff ? KAP_LOGKIND_XES : KAP_LOGKIND_CSV;
}

static void choose_keys(const kap_logread_opts_t *opts, kap_logread_t *out)
{
    const kap_logkeys_t *usual = out->kind == KAP_LOGKIND_CSV ? &csv_keys : &xes_keys;

    out->keys = opts->keys;
    if (!out->keys.case_key)
        out->keys.case_key = usual->case_key;
    if (!out->keys.time_key)
        out->keys.time_key = usual->time_key;
}

static int read_all(kap_loginput_t *in, const kap_logread_opts_t *opts, kap_buf_t *why,
                    kap_logread_t *out)
{
    reader_t reader = {0};
    kap_progress_t progress;
    kap_span_t chunk;
    int rc = kap_loginput_read(in, &chunk);

    if (rc)
        return rc;
    out->kind = opts->kind == KAP_LOGKIND_BY_FILE ? kind_of(chunk) : opts->kind;
    choose_keys(opts, out);
    reader.kind = out->kind;
    rc = reader_open(&reader, opts, out, why);
    kap_progress_begin(&progress, "reading", opts->progress ? kap_loginput_size_bytes(in) : 0);
    while (!rc && chunk.size) {
        rc = reader_feed(&reader, chunk);
        if (!rc)
            rc = kap_loginput_read(in, &chunk);
        kap_progress_update(&progress, kap_loginput_done_bytes(in));
    }
    if (!rc)
        rc = reader_finish(&reader);
    kap_progress_end(&progress);
    reader_close(&reader);
    return rc;
}

int kap_logread(const kap_logread_opts_t *opts, kap_buf_t *why, kap_logread_t *out)
{
    kap_loginput_t *in = NULL;
    kap_logread_t read = {0};
    int rc = kap_loginput_open(opts->path, why, &in);

    if (!rc)
        rc = kap_eventlog_new(&opts->rules, why, &read.log);
    if (!rc)
        rc = read_all(in, opts, why, &read);
    if (!rc)
        rc = kap_eventlog_finish(read.log);
    if (!rc)
        kap_loginput_digest(in, read.digest);
    kap_loginput_close(&in);
    if (rc == KAP_E_NOMEM)
        kap_buf_str(why, kap_err_text(rc));
    if (rc)
        kap_eventlog_destroy(&read.log);
    else
        *out = read;
    return rc;
}
