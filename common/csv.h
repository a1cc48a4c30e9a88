/* SPDX-License-Identifier: MPL-2.0 */
/* CSV by RFC 4180 over libcsv, strict, streaming: bytes are fed in pieces of any size, rows come
 * out.
 *
 * A UTF-8 byte order mark is skipped. Fields keep every blank, tab, line end and control character
 * they have. Empty lines are no rows; a last row needs no line end. Refused, with the line: bytes
 * that are not UTF-8, a quote inside an unquoted field, characters after a closing quote, an
 * unterminated quote, a field or row over its limit. The number of fields is the caller's business.
 * After a refusal nothing more comes. One thread at a time. csv.h of libcsv is included in csv.c
 * only. */
#ifndef KAP_CSV_H
#define KAP_CSV_H

#include "buf.h"

typedef struct kap_csv kap_csv_t;

/* One row: n >= 1 fields, lent for the call; line: where the row begins, from 1. Return KAP_OK to
 * go on; another code stops, and feed returns it. */
typedef int (*kap_csv_row_fn)(void *arg, const kap_span_t fields[], size_t n, int64_t line);

typedef struct {
    char delimiter; /* 0 means ',' ; not '"', CR or LF */
    kap_csv_row_fn on_row;
    void *arg;
    size_t max_field_bytes; /* 0 means 64 KiB */
    size_t max_row_bytes;   /* all fields of a row together; 0 means 1 MiB */
    size_t max_fields;      /* 0 means 1,024 */
} kap_csv_opts_t;

/* KAP_E_NOMEM, KAP_E_INVALID (delimiter). */
int kap_csv_new(const kap_csv_opts_t *opts, kap_csv_t **out);

/* KAP_E_INVALID, KAP_E_LIMIT (see kap_csv_why), KAP_E_NOMEM or what on_row returned. */
int kap_csv_feed(kap_csv_t *csv, kap_span_t bytes);

/* The end of the input: delivers a last row without a line end; refuses an open quote. */
int kap_csv_finish(kap_csv_t *csv);

/* After a refusal: a sentence ("line 3: ..."), "" before one. Lives as long as csv. */
const char *kap_csv_why(const kap_csv_t *csv);

/* The line of the refusal; otherwise the line being read. */
int64_t kap_csv_line(const kap_csv_t *csv);

/* Frees and nulls; *csv may be NULL. */
void kap_csv_destroy(kap_csv_t **csv);

/* Appends one row and CRLF as RFC 4180 wants it: a field is quoted only where it must be
 * (delimiter, quote, line end, or a lone empty field, which would be an empty line). */
void kap_csv_write_row(kap_buf_t *out, char delimiter, const kap_span_t fields[], size_t n);

#endif
