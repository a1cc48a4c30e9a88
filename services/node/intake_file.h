/* SPDX-License-Identifier: MPL-2.0 */
/* A whole file of rows in memory: CSV with a header line, or JSON lines.
 *
 * Purpose: hands out rows with their acts in batches, and writes the refused ones as the same kind
 * of file again, with reasons, so that a person mends and drops it once more. The syntax of a CSV
 * file is checked to its end before the first row is handed out: a torn file does nothing. A JSON
 * line that is none is refused as a row. Owner: whoever opened it; one thread; no file system. */
#ifndef KAP_NODE_INTAKE_FILE_H
#define KAP_NODE_INTAKE_FILE_H

#include "intake.h"

typedef enum { KAP_INTAKE_CSV, KAP_INTAKE_JSON } kap_intake_format_t;

typedef struct kap_intake_file kap_intake_file_t;

typedef struct {
    int64_t line;            /* where it begins, from 1 */
    const kap_span_t *names; /* of its cells */
    const kap_span_t *cells;
    size_t count;
    size_t name_count;
    kap_intake_act_t *acts;
    size_t act_count;
    bool refused; /* before any act: *why says it */
    kap_intake_why_t why;
} kap_intake_row_t;

/* ';', ',' or tab, whichever the header line has most of outside quotes; ',' when it has none. */
char kap_intake_delimiter(kap_span_t text);

/* The bytes are lent for the life of the file. `line` of the trouble. KAP_E_DENIED with *why when
 * the file cannot be read at all (syntax, header, empty); KAP_E_NOMEM. */
int kap_intake_file_open(kap_span_t bytes, kap_intake_format_t format,
                         const kap_intake_opts_t *opts, const kap_directory_t *directory,
                         kap_intake_file_t **out, int64_t *line, kap_intake_why_t *why);
void kap_intake_file_close(kap_intake_file_t **file);

/* At most `max` further rows, none at the end; lent until the next call. KAP_E_NOMEM. */
int kap_intake_file_next(kap_intake_file_t *file, const kap_directory_t *directory, size_t max,
                         kap_intake_row_t **rows, size_t *count);

/* Passes over rows that were done before. KAP_E_NOMEM. */
int kap_intake_file_skip(kap_intake_file_t *file, uint64_t rows);

/* Rows handed out or passed over so far. */
uint64_t kap_intake_file_rows(const kap_intake_file_t *file);

/* The head of the refused file: a header line for CSV, nothing for JSON. */
void kap_intake_refused_head(const kap_intake_file_t *file, kap_buf_t *out);

/* One refused row: its own cells, then file, line, column and reason. `cells` (may be NULL) stand
 * in the place of the row's own. Personal identity codes are masked. */
void kap_intake_refused_row(const kap_intake_file_t *file, const kap_intake_row_t *row,
                            const kap_span_t *cells, kap_span_t name, const kap_intake_why_t *why,
                            kap_buf_t *out);

#endif
