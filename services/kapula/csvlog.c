/* SPDX-License-Identifier: MPL-2.0 */
#include "csvlog.h"

#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "err.h"

struct kap_csvlog {
    kap_logkeys_t keys;
    char delimiter;
    kap_eventlog_t *log;
    kap_buf_t *why;
    kap_csv_t *csv;
    bool told;   /* `why` has the sentence already */
    bool header; /* has been read */
    int64_t header_line;
    size_t width; /* fields of the header */
    size_t case_at, time_at, actor_at;
};

/* --- header --- */

static void say_header(kap_csvlog_t *csv, const kap_span_t fields[], size_t n)
{
    kap_buf_str(csv->why, "; the header has:");
    for (size_t i = 0; i < n && i < 40; i++)
        kap_buf_printf(csv->why, "%s \"%.*s\"", i ? "," : "",
                       (int)(fields[i].size < 60 ? fields[i].size : 60),
                       (const char *)fields[i].data);
}

/* A header of one field that holds another usual delimiter was probably split by the wrong one. */
static void suggest_delimiter(kap_csvlog_t *csv, const kap_span_t fields[], size_t n)
{
    static const char usual[] = ",;\t|";

    for (const char *d = usual; n == 1 && *d; d++) {
        if (*d == csv->delimiter || !memchr(fields[0].data, *d, fields[0].size))
            continue;
        if (*d == '\t')
            kap_buf_str(csv->why, "; is the delimiter a tab (--delimiter tab)?");
        else
            kap_buf_printf(csv->why, "; is the delimiter '%c' (--delimiter '%c')?", *d, *d);
        return;
    }
}

static int find_column(kap_csvlog_t *csv, const kap_span_t fields[], size_t n, const char *key,
                       const char *option, size_t *at)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        if (kap_span_eq_str(fields[i], key)) {
            *at = i;
            found++;
        }
    if (found == 1)
        return KAP_OK;
    csv->told = true;
    if (found) {
        kap_buf_printf(csv->why, "line %lld: %zu columns are called \"%s\"",
                       (long long)csv->header_line, found, key);
        return KAP_E_INVALID;
    }
    kap_buf_printf(csv->why, "line %lld: no column is called \"%s\" (name it with %s)",
                   (long long)csv->header_line, key, option);
    say_header(csv, fields, n);
    suggest_delimiter(csv, fields, n);
    return KAP_E_INVALID;
}

static int read_header(kap_csvlog_t *csv, const kap_span_t fields[], size_t n, int64_t line)
{
    csv->header = true;
    csv->header_line = line;
    csv->width = n;
    int rc = find_column(csv, fields, n, csv->keys.case_key, "--case", &csv->case_at);
    if (!rc)
        rc = find_column(csv, fields, n, csv->keys.time_key, "--time", &csv->time_at);
    if (!rc)
        rc = find_column(csv, fields, n, csv->keys.actor_key, "--actor", &csv->actor_at);
    return rc;
}

/* --- rows --- */

static int count_fault(kap_csvlog_t *csv, kap_logfault_t fault, int64_t line)
{
    if (fault == KAP_LOGFAULT_NONE)
        return KAP_OK;
    int rc = kap_eventlog_fault(csv->log, fault, (uint64_t)line);
    csv->told = rc != KAP_OK;
    return rc;
}

static int on_row(void *arg, const kap_span_t fields[], size_t n, int64_t line)
{
    kap_csvlog_t *csv = arg;
    kap_logfault_t fault = KAP_LOGFAULT_NONE;
    bool nameless = false;

    if (!csv->header)
        return read_header(csv, fields, n, line);
    if (n != csv->width)
        return count_fault(csv, KAP_LOGFAULT_RAGGED, line);
    int rc = kap_eventlog_row(csv->log, fields[csv->case_at], fields[csv->time_at],
                              fields[csv->actor_at], &fault, &nameless);
    if (rc == KAP_E_INVALID)
        kap_buf_printf(csv->why, " (line %lld)", (long long)line);
    csv->told = rc != KAP_OK;
    if (!rc)
        rc = count_fault(csv, fault, line);
    if (!rc && nameless)
        rc = count_fault(csv, KAP_LOGFAULT_NO_ID, line);
    return rc;
}

/* --- life --- */

int kap_csvlog_open(const kap_logkeys_t *keys, char delimiter, kap_eventlog_t *log, kap_buf_t *why,
                    kap_csvlog_t **csv)
{
    kap_csvlog_t *c = calloc(1, sizeof *c);

    if (!c)
        return KAP_E_NOMEM;
    c->keys = *keys;
    c->delimiter = delimiter;
    c->log = log;
    c->why = why;
    kap_csv_opts_t opts = {.delimiter = delimiter, .on_row = on_row, .arg = c};
    int rc = kap_csv_new(&opts, &c->csv);
    if (rc) {
        free(c);
        return rc;
    }
    *csv = c;
    return KAP_OK;
}

/* A refusal by the CSV reader itself has its own sentence. */
static int explain(kap_csvlog_t *csv, int rc)
{
    if (rc && rc != KAP_E_NOMEM && !csv->told) {
        kap_buf_str(csv->why, kap_csv_why(csv->csv));
        csv->told = true;
        return KAP_E_INVALID;
    }
    return rc;
}

int kap_csvlog_feed(kap_csvlog_t *csv, kap_span_t bytes)
{
    csv->told = false;
    return explain(csv, kap_csv_feed(csv->csv, bytes));
}

int kap_csvlog_finish(kap_csvlog_t *csv)
{
    csv->told = false;
    int rc = explain(csv, kap_csv_finish(csv->csv));
    if (rc || csv->header)
        return rc;
    kap_buf_str(csv->why, "line 1: the file is empty: no header row");
    return KAP_E_INVALID;
}

void kap_csvlog_close(kap_csvlog_t **csv)
{
    if (!*csv)
        return;
    kap_csv_destroy(&(*csv)->csv);
    free(*csv);
    *csv = NULL;
}
