/* SPDX-License-Identifier: MPL-2.0 */
/* A table as organisations keep it, saved as CSV: its header found and understood in three
 * languages, its cells by the names of fields.
 *
 * Read: UTF-8 with or without byte order mark, or Windows-1252; commas, semicolons or tabs; titles
 * above the header and empty rows are passed over; a merged cell, saved as one value and empty
 * cells below, is carried down (sheetwords.def says which) until something new stands in its column
 * or in such a one to its left. Line ends within a cell become blanks.
 * Every decision stands in the result, to be told. It judges no value and asks nobody. Pure. */
#ifndef KAP_SHEET_H
#define KAP_SHEET_H

#include "arena.h"
#include "buf.h"
#include "span.h"

enum { KAP_SHEET_COLUMNS = 256, KAP_SHEET_TITLES = 30 }; /* header within so many rows */

/* What a table tells of: bits. */
typedef enum {
    KAP_SHEET_PLAN = 1,
    KAP_SHEET_PROGRESS = 2, /* of the items of a plan */
    KAP_SHEET_SURVEY = 4,
    KAP_SHEET_EVALUATION = 8,
    KAP_SHEET_INDICATOR = 16,
    KAP_SHEET_PROCESS = 32,
    KAP_SHEET_CUSTOMERS = 64,
    KAP_SHEET_NEWCOMERS = 128,
    KAP_SHEET_ADVICE = 256,
    KAP_SHEET_TARGET = 512,
    KAP_SHEET_ALL = 1023,
} kap_sheet_kind_t;

typedef enum { KAP_SHEET_UTF8, KAP_SHEET_UTF8_MARK, KAP_SHEET_WINDOWS } kap_sheet_coding_t;

typedef struct {
    kap_span_t title;   /* as it stands in the header */
    const char *field;  /* what its cells say; NULL: not used */
    bool carries;       /* an empty cell means the one above */
    bool is_left_out;   /* known, and not used on purpose */
    const char *spread; /* the field that its title says for each of its cells; NULL */
    kap_span_t said;    /* what it says */
} kap_sheet_column_t;

typedef struct {
    int64_t line;
    const kap_span_t *cells; /* one a column, trimmed; empty where nothing stands */
    bool is_heading;         /* says only what is carried down: nothing of its own */
} kap_sheet_row_t;

typedef struct {
    kap_sheet_coding_t coding;
    char delimiter;
    int64_t header_line;
    uint32_t passed_over; /* rows above the header */
    kap_sheet_column_t columns[KAP_SHEET_COLUMNS];
    uint32_t column_count;
    uint32_t totals;             /* rows that sum up the others: left out */
    const kap_sheet_row_t *rows; /* empty ones and repeated headers left out */
    uint32_t row_count;
} kap_sheet_t;

/* What must be found: the header needs one of `needs` (names with | between them). */
typedef struct {
    unsigned kind; /* KAP_SHEET_ */
    const char *needs;
    /* Columns with unknown titles belong to `spread_to`: their title says `spread` ("question", or
     * "period" where it must be one). NULL: there are none. */
    const char *spread, *spread_to;
} kap_sheet_want_t;

/* Reads all of it into the arena. KAP_E_INVALID or KAP_E_LIMIT with a sentence in *why;
 * KAP_E_NOMEM. */
int kap_sheet_read(kap_span_t bytes, const kap_sheet_want_t *want, kap_arena_t *arena,
                   kap_sheet_t *sheet, kap_buf_t *why);

/* The text of a file's bytes without its mark, in the arena where it was not UTF-8. KAP_E_INVALID
 * with a sentence in *why; KAP_E_NOMEM. */
int kap_sheet_text(kap_span_t bytes, kap_arena_t *arena, kap_sheet_coding_t *coding,
                   kap_span_t *text, kap_buf_t *why);

/* The cell of a row under a field; empty when there is none. */
kap_span_t kap_sheet_cell(const kap_sheet_t *sheet, const kap_sheet_row_t *row, const char *field);

/* A word as words are compared: lower case, single blanks, without what stands in brackets or
 * behind a slash, and without a colon at its end. In the arena; empty when out of memory. */
kap_span_t kap_sheet_word(kap_arena_t *arena, kap_span_t text);

/* Is the word one of those with | between them? */
bool kap_sheet_is_among(kap_span_t word, const char *list);

/* A title or cell as a period: 2025, 2025-10, 10/2025, 31.10.2025 -> out. False: none. */
bool kap_sheet_period(kap_span_t text, char out[11]);

#endif
