/* SPDX-License-Identifier: MPL-2.0 */
#include "intake_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "err.h"
#include "intake_json.h"

enum {
    PIECE_BYTES = 128 * 1024, /* read on at once: some hundreds of rows */
    CHUNK_BYTES = 256 * 1024,
    REFUSED_BYTES = 2048,
    FIELD_BYTES = 64 * 1024,
    ROW_BYTES = 1024 * 1024
};

/* A row as it was read, before it is looked at. */
typedef struct {
    int64_t line;
    kap_span_t *names, *cells; /* names: JSON only */
    size_t count;
    const char *bad; /* JSON: why it is no row */
} raw_t;

struct kap_intake_file {
    kap_span_t bytes;
    size_t at; /* read so far */
    int64_t line;
    kap_intake_format_t format;
    kap_intake_opts_t opts;
    char delimiter;
    kap_csv_t *csv;
    kap_intake_t *intake; /* CSV: of the header; JSON: of the latest names */
    kap_arena_t *raws_arena, *rows_arena;
    raw_t *raws;
    size_t raw_count, raw_cap, raw_at;
    uint64_t rows;
    bool has_header, ended;
};

char kap_intake_delimiter(kap_span_t text)
{
    static const char marks[] = ";,\t";
    size_t counts[3] = {0}, best = 1;
    bool quoted = false;
    for (size_t i = 0; i < text.size && (quoted || text.data[i] != '\n'); i++) {
        if (text.data[i] == '"')
            quoted = !quoted;
        for (size_t m = 0; !quoted && m < 3; m++)
            counts[m] += text.data[i] == (uint8_t)marks[m];
    }
    for (size_t m = 0; m < 3; m++)
        if (counts[m] > counts[best])
            best = m;
    return marks[best];
}

static int refuse(kap_intake_why_t *why, const char *reason)
{
    snprintf(why->column, sizeof why->column, "%s", "");
    snprintf(why->reason, sizeof why->reason, "%s", reason);
    return KAP_E_DENIED;
}

/* --- raw rows --- */

static raw_t *raw_new(kap_intake_file_t *file, int64_t line)
{
    if (file->raw_count == file->raw_cap) {
        size_t cap = file->raw_cap ? 2 * file->raw_cap : 512;
        raw_t *grown = realloc(file->raws, cap * sizeof *grown);
        if (!grown)
            return NULL;
        file->raws = grown;
        file->raw_cap = cap;
    }
    raw_t *raw = &file->raws[file->raw_count++];
    *raw = (raw_t){.line = line};
    return raw;
}

static int header_set(kap_intake_file_t *file, const kap_span_t *names, size_t count)
{
    kap_intake_why_t why;
    file->has_header = true;
    return kap_intake_new(&file->opts, names, count, &file->intake, &why);
}

/* "sep=;", which some spreadsheets write before the header. */
static bool is_sep(const kap_span_t fields[])
{
    return fields[0].size <= 5 && kap_span_starts(fields[0], KAP_SPAN("sep="));
}

static int on_row(void *arg, const kap_span_t fields[], size_t n, int64_t line)
{
    kap_intake_file_t *file = arg;
    if (!file->has_header && line == 1 && is_sep(fields))
        return KAP_OK;
    if (!file->has_header)
        return header_set(file, fields, n);
    raw_t *raw = raw_new(file, line);
    if (!raw)
        return KAP_E_NOMEM;
    raw->cells = kap_arena_alloc(file->raws_arena, n * sizeof *raw->cells);
    for (size_t i = 0; raw->cells && i < n; i++) {
        raw->cells[i] = kap_arena_dup(file->raws_arena, fields[i]);
        if (!raw->cells[i].data)
            return KAP_E_NOMEM;
    }
    raw->count = n;
    return raw->cells ? KAP_OK : KAP_E_NOMEM;
}

static int csv_start(kap_intake_file_t *file, kap_csv_row_fn row, void *arg, kap_csv_t **csv)
{
    kap_csv_opts_t opts = {.delimiter = file->delimiter,
                           .on_row = row,
                           .arg = arg,
                           .max_field_bytes = FIELD_BYTES,
                           .max_row_bytes = ROW_BYTES,
                           .max_fields = KAP_INTAKE_COLUMNS};
    return kap_csv_new(&opts, csv);
}

static int csv_piece(kap_intake_file_t *file)
{
    kap_span_t piece = kap_span_sub(file->bytes, file->at, PIECE_BYTES);
    file->at += piece.size;
    if (piece.size)
        return kap_csv_feed(file->csv, piece);
    file->ended = true;
    return kap_csv_finish(file->csv);
}

/* One line of JSON, however long; empty ones are passed over. */
static int json_line(kap_intake_file_t *file)
{
    size_t left = file->bytes.size - file->at;
    if (left == 0) {
        file->ended = true;
        return KAP_OK;
    }
    const uint8_t *from = file->bytes.data + file->at;
    const uint8_t *end = memchr(from, '\n', left);
    size_t n = end ? (size_t)(end - from) : left;
    file->at += n + (end != NULL);
    file->line++;
    kap_span_t text = kap_span_trim(kap_span(from, n));
    if (kap_span_empty(text))
        return KAP_OK;
    raw_t *raw = raw_new(file, file->line);
    return raw ? kap_intake_json_row(text, ROW_BYTES, file->raws_arena, &raw->names, &raw->cells,
                                     &raw->count, &raw->bad)
               : KAP_E_NOMEM;
}

/* Reads on until there is at least one raw row, or the end. */
static int read_on(kap_intake_file_t *file)
{
    int rc = KAP_OK;
    file->raw_count = file->raw_at = 0;
    kap_arena_reset(file->raws_arena);
    size_t until = file->at + PIECE_BYTES;
    while (rc == KAP_OK && !file->ended &&
           (file->raw_count == 0 || (file->format == KAP_INTAKE_JSON && file->at < until)))
        rc = file->format == KAP_INTAKE_CSV ? csv_piece(file) : json_line(file);
    return rc;
}

/* --- opening --- */

/* The first pass over a CSV file: is it one to its end, and is its header right? */
typedef struct {
    kap_intake_file_t *file;
    const kap_directory_t *directory;
    kap_intake_why_t *why;
    bool has_header;
} check_t;

static int check_row(void *arg, const kap_span_t fields[], size_t n, int64_t line)
{
    check_t *check = arg;
    kap_intake_t *intake = NULL;
    if (check->has_header || (line == 1 && is_sep(fields)))
        return KAP_OK;
    check->has_header = true;
    int rc = kap_intake_new(&check->file->opts, fields, n, &intake, check->why);
    if (rc == KAP_OK)
        rc = kap_intake_check(intake, check->directory, check->why);
    kap_intake_destroy(&intake);
    return rc;
}

static int csv_check(kap_intake_file_t *file, const kap_directory_t *directory, int64_t *line,
                     kap_intake_why_t *why)
{
    kap_csv_t *csv = NULL;
    check_t check = {.file = file, .directory = directory, .why = why};
    int rc = csv_start(file, check_row, &check, &csv);
    for (size_t at = 0; rc == KAP_OK && at < file->bytes.size; at += PIECE_BYTES)
        rc = kap_csv_feed(csv, kap_span_sub(file->bytes, at, PIECE_BYTES));
    if (rc == KAP_OK)
        rc = kap_csv_finish(csv);
    if (csv)
        *line = kap_csv_line(csv);
    if (rc == KAP_E_INVALID || rc == KAP_E_LIMIT) {
        const char *what = strncmp(kap_csv_why(csv), "line ", 5) == 0
                               ? strstr(kap_csv_why(csv), ": ")
                               : NULL; /* the line is told beside */
        snprintf(why->reason, sizeof why->reason, "%s; nothing of the file was taken",
                 what ? what + 2 : kap_csv_why(csv));
        why->column[0] = '\0';
        rc = KAP_E_DENIED;
    }
    if (rc == KAP_OK && !check.has_header)
        rc = refuse(why, "the file is empty; its first line names the columns");
    kap_csv_destroy(&csv);
    return rc;
}

int kap_intake_file_open(kap_span_t bytes, kap_intake_format_t format,
                         const kap_intake_opts_t *opts, const kap_directory_t *directory,
                         kap_intake_file_t **out, int64_t *line, kap_intake_why_t *why)
{
    kap_intake_file_t *file = calloc(1, sizeof *file);
    *why = (kap_intake_why_t){0};
    *line = 1;
    if (!file)
        return KAP_E_NOMEM;
    *file = (kap_intake_file_t){.bytes = bytes, .format = format, .opts = *opts};
    file->delimiter = kap_intake_delimiter(bytes);
    file->raws_arena = kap_arena_new(CHUNK_BYTES);
    file->rows_arena = kap_arena_new(CHUNK_BYTES);
    int rc = file->raws_arena && file->rows_arena ? KAP_OK : KAP_E_NOMEM;
    if (rc == KAP_OK && format == KAP_INTAKE_CSV)
        rc = csv_check(file, directory, line, why);
    if (rc == KAP_OK && format == KAP_INTAKE_CSV)
        rc = csv_start(file, on_row, file, &file->csv);
    if (rc == KAP_OK)
        *out = file;
    else
        kap_intake_file_close(&file);
    return rc;
}

void kap_intake_file_close(kap_intake_file_t **file)
{
    if (!*file)
        return;
    kap_csv_destroy(&(*file)->csv);
    kap_intake_destroy(&(*file)->intake);
    kap_arena_destroy(&(*file)->raws_arena);
    kap_arena_destroy(&(*file)->rows_arena);
    free((*file)->raws);
    free(*file);
    *file = NULL;
}

/* --- rows --- */

/* The reader of the raw row's names: a file of JSON lines may change them at any line. */
static int intake_of(kap_intake_file_t *file, const raw_t *raw, kap_intake_why_t *why)
{
    if (file->format == KAP_INTAKE_CSV ||
        (file->intake && kap_intake_same_names(file->intake, raw->names, raw->count)))
        return KAP_OK;
    kap_intake_destroy(&file->intake);
    return kap_intake_new(&file->opts, raw->names, raw->count, &file->intake, why);
}

static int row_look(kap_intake_file_t *file, const kap_directory_t *directory, const raw_t *raw,
                    kap_intake_row_t *row)
{
    int rc;
    *row = (kap_intake_row_t){.line = raw->line,
                              .names = raw->names,
                              .cells = raw->cells,
                              .count = raw->count,
                              .name_count = raw->count};
    if (raw->bad)
        rc = refuse(&row->why, raw->bad);
    else
        rc = intake_of(file, raw, &row->why);
    if (file->format == KAP_INTAKE_CSV)
        row->names = kap_intake_names(file->intake, &row->name_count);
    if (rc == KAP_OK)
        rc = kap_intake_row(file->intake, directory, raw->cells, raw->count, file->rows_arena,
                            &row->acts, &row->act_count, &row->why);
    row->refused = rc == KAP_E_DENIED;
    return row->refused ? KAP_OK : rc;
}

int kap_intake_file_next(kap_intake_file_t *file, const kap_directory_t *directory, size_t max,
                         kap_intake_row_t **rows, size_t *count)
{
    int rc = KAP_OK;
    *count = 0;
    kap_arena_reset(file->rows_arena);
    if (file->raw_at == file->raw_count)
        rc = read_on(file);
    size_t left = file->raw_count - file->raw_at, n = left < max ? left : max;
    if (rc != KAP_OK || n == 0)
        return rc;
    *rows = kap_arena_alloc(file->rows_arena, n * sizeof **rows);
    if (!*rows)
        return KAP_E_NOMEM;
    for (size_t i = 0; rc == KAP_OK && i < n; i++)
        rc = row_look(file, directory, &file->raws[file->raw_at + i], &(*rows)[i]);
    if (rc != KAP_OK)
        return rc;
    file->raw_at += n;
    file->rows += n;
    *count = n;
    return KAP_OK;
}

int kap_intake_file_skip(kap_intake_file_t *file, uint64_t rows)
{
    while (rows) {
        if (file->raw_at == file->raw_count) {
            int rc = read_on(file);
            if (rc != KAP_OK || file->raw_count == 0)
                return rc;
        }
        size_t left = file->raw_count - file->raw_at;
        size_t n = rows < left ? (size_t)rows : left;
        file->raw_at += n;
        file->rows += n;
        rows -= n;
    }
    return KAP_OK;
}

uint64_t kap_intake_file_rows(const kap_intake_file_t *file)
{
    return file->rows;
}

/* --- refused rows --- */

static const char *const added[] = {"kapula_file", "kapula_line", "kapula_column", "kapula_reason"};
enum { ADDED = sizeof added / sizeof added[0] };

/* Columns of an earlier refusal make room for those of this one. */
static bool is_added(kap_span_t name)
{
    return kap_span_starts(name, KAP_SPAN("kapula_"));
}

void kap_intake_refused_head(const kap_intake_file_t *file, kap_buf_t *out)
{
    kap_span_t fields[KAP_INTAKE_COLUMNS + ADDED];
    size_t count = 0, n = 0;
    if (file->format != KAP_INTAKE_CSV || !file->intake)
        return;
    const kap_span_t *names = kap_intake_names(file->intake, &count);
    for (size_t i = 0; i < count; i++)
        if (!is_added(names[i]))
            fields[n++] = names[i];
    for (size_t i = 0; i < ADDED; i++)
        fields[n++] = kap_span_str(added[i]);
    kap_csv_write_row(out, file->delimiter, fields, n);
}

static void json_pair(kap_buf_t *out, bool first, kap_span_t name, kap_span_t value)
{
    kap_buf_str(out, first ? "\"" : ",\"");
    kap_buf_json_text(out, name);
    kap_buf_str(out, "\":\"");
    kap_buf_json_text(out, value);
    kap_buf_str(out, "\"");
}

static void json_refused(const kap_intake_row_t *row, const kap_span_t *cells,
                         const kap_span_t *last, kap_arena_t *arena, kap_buf_t *out)
{
    bool first = true;
    kap_buf_str(out, "{");
    for (size_t i = 0; i < row->count; i++) {
        if (is_added(row->names[i]))
            continue;
        json_pair(out, first, kap_intake_mask(row->names[i], arena),
                  kap_intake_mask(cells[i], arena));
        first = false;
    }
    for (size_t i = 0; i < ADDED; i++, first = false)
        json_pair(out, first, kap_span_str(added[i]), last[i]);
    kap_buf_str(out, "}\n");
}

/* A row too short is filled up, one too long keeps its surplus in front of what is added. */
static void csv_refused(const kap_intake_file_t *file, const kap_intake_row_t *row,
                        const kap_span_t *cells, const kap_span_t *last, kap_arena_t *arena,
                        kap_buf_t *out)
{
    kap_span_t fields[2 * KAP_INTAKE_COLUMNS + ADDED];
    size_t n = 0;
    for (size_t i = 0; i < row->count || i < row->name_count; i++) {
        if (i < row->name_count && is_added(row->names[i]))
            continue;
        fields[n++] = i < row->count ? kap_intake_mask(cells[i], arena) : kap_span(NULL, 0);
    }
    for (size_t i = 0; i < ADDED; i++)
        fields[n++] = last[i];
    kap_csv_write_row(out, file->delimiter, fields, n);
}

void kap_intake_refused_row(const kap_intake_file_t *file, const kap_intake_row_t *row,
                            const kap_span_t *cells, kap_span_t name, const kap_intake_why_t *why,
                            kap_buf_t *out)
{
    char line[24];
    kap_arena_t *arena = kap_arena_new(REFUSED_BYTES);
    if (!arena) {
        out->err = out->err ? out->err : KAP_E_NOMEM;
        return;
    }
    snprintf(line, sizeof line, "%lld", (long long)row->line);
    kap_span_t last[ADDED] = {name, kap_span_str(line),
                              kap_intake_mask(kap_span_str(why->column), arena),
                              kap_intake_mask(kap_span_str(why->reason), arena)};
    if (!cells)
        cells = row->cells;
    if (file->format == KAP_INTAKE_JSON)
        json_refused(row, cells, last, arena, out);
    else
        csv_refused(file, row, cells, last, arena, out);
    kap_arena_destroy(&arena);
}
