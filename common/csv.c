/* SPDX-License-Identifier: MPL-2.0 */
#include "csv.h"

#include <../include/csv.h> /* libcsv's: plain <csv.h> would find ours */
#include <stdlib.h>

#include "err.h"
#include "utf8.h"

enum { SLICE_BYTES = 4096, BOM_BYTES = 3 };

struct kap_csv {
    struct csv_parser parser;
    kap_csv_opts_t opts;
    kap_buf_t row;     /* the bytes of the row's fields, one after the other */
    size_t *ends;      /* of each field in row */
    kap_span_t *spans; /* made of them for on_row */
    size_t n, cap;
    int64_t line;      /* being read */
    int64_t row_line;  /* where the row began */
    int64_t row_lines; /* line ends inside its fields so far */
    int64_t why_line;
    size_t bom; /* bytes of the mark seen; BOM_BYTES + 1: past it */
    bool after_cr;
    int err; /* sticky */
    kap_buf_t why;
};

static void refuse(kap_csv_t *csv, int err, int64_t line, const char *what)
{
    if (csv->err != KAP_OK)
        return;
    csv->err = err;
    csv->why_line = line;
    kap_buf_printf(&csv->why, "line %lld: %s", (long long)line, what);
}

/* Without this libcsv trims blanks around unquoted fields. */
static int no_blank(unsigned char c)
{
    (void)c;
    return 0;
}

int kap_csv_new(const kap_csv_opts_t *opts, kap_csv_t **out)
{
    char delimiter = opts->delimiter ? opts->delimiter : ',';
    if (delimiter == '"' || delimiter == '\r' || delimiter == '\n' || (delimiter & 0x80))
        return KAP_E_INVALID;
    kap_csv_t *csv = calloc(1, sizeof *csv);
    if (!csv)
        return KAP_E_NOMEM;
    csv->opts = *opts;
    csv->opts.max_field_bytes = opts->max_field_bytes ? opts->max_field_bytes : 64 * 1024;
    csv->opts.max_row_bytes = opts->max_row_bytes ? opts->max_row_bytes : 1024 * 1024;
    csv->opts.max_fields = opts->max_fields ? opts->max_fields : 1024;
    csv->line = csv->row_line = 1;
    if (csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        free(csv);
        return KAP_E_NOMEM;
    }
    csv_set_delim(&csv->parser, (unsigned char)delimiter);
    csv_set_space_func(&csv->parser, no_blank);
    *out = csv;
    return KAP_OK;
}

/* Line ends in the first `size` bytes: LF, CR LF, or CR. */
static int64_t count_lines(const uint8_t *bytes, size_t size)
{
    int64_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n' || (bytes[i] == '\r' && !(i + 1 < size && bytes[i + 1] == '\n'));
    return lines;
}

static int grow(kap_csv_t *csv)
{
    size_t cap = csv->cap ? csv->cap * 2 : 32;
    size_t *ends = realloc(csv->ends, cap * sizeof *ends);
    if (ends)
        csv->ends = ends;
    kap_span_t *spans = realloc(csv->spans, cap * sizeof *spans);
    if (spans)
        csv->spans = spans;
    if (!ends || !spans)
        return KAP_E_NOMEM;
    csv->cap = cap;
    return KAP_OK;
}

static void on_field(void *data, size_t size, void *arg)
{
    kap_csv_t *csv = arg;
    kap_span_t field = kap_span(data, size);
    size_t bad_at;
    if (csv->err != KAP_OK)
        return;
    int64_t line = csv->row_line + csv->row_lines;
    if (size > csv->opts.max_field_bytes)
        refuse(csv, KAP_E_LIMIT, line, "a field is too long");
    else if (csv->row.size + size > csv->opts.max_row_bytes)
        refuse(csv, KAP_E_LIMIT, line, "the row is too long");
    else if (csv->n == csv->opts.max_fields)
        refuse(csv, KAP_E_LIMIT, line, "the row has too many fields");
    else if (!kap_utf8_valid(field, &bad_at))
        refuse(csv, KAP_E_INVALID, line + count_lines(field.data, bad_at),
               "bytes that are not UTF-8; save it as CSV UTF-8");
    else if (csv->n == csv->cap && grow(csv) != KAP_OK)
        refuse(csv, KAP_E_NOMEM, line, "out of memory");
    if (csv->err != KAP_OK)
        return;
    csv->row_lines += count_lines(field.data, field.size);
    kap_buf_append(&csv->row, field);
    csv->ends[csv->n++] = csv->row.size;
    if (csv->row.err != KAP_OK)
        refuse(csv, csv->row.err, line, "out of memory");
}

static void on_row_end(int terminator, void *arg)
{
    (void)terminator;
    kap_csv_t *csv = arg;
    if (csv->err != KAP_OK)
        return;
    size_t at = 0;
    for (size_t i = 0; i < csv->n; i++) {
        csv->spans[i] = kap_span(csv->row.data + at, csv->ends[i] - at);
        at = csv->ends[i];
    }
    int err = csv->n ? csv->opts.on_row(csv->opts.arg, csv->spans, csv->n, csv->row_line) : KAP_OK;
    if (err != KAP_OK) {
        csv->err = err;
        csv->why_line = csv->row_line;
    }
    kap_buf_reset(&csv->row);
    csv->n = 0;
    csv->row_lines = 0;
}

/* One physical line or a part of it, through libcsv. */
static void parse_slice(kap_csv_t *csv, kap_span_t slice)
{
    if (csv->parser.pstate == 0) /* between rows: the next one begins here */
        csv->row_line = csv->line;
    size_t done = csv_parse(&csv->parser, slice.data, slice.size, on_field, on_row_end, csv);
    if (csv->err == KAP_OK && done != slice.size) {
        bool quote = csv_error(&csv->parser) == CSV_EPARSE;
        refuse(csv, quote ? KAP_E_INVALID : KAP_E_NOMEM, csv->line,
               quote ? "a quote in the middle of a field; put the field in quotes and double the "
                       "quotes inside"
                     : "out of memory");
    }
    /* A field still growing, caught before it holds more than it may. */
    if (csv->parser.entry_pos > csv->opts.max_field_bytes)
        refuse(csv, KAP_E_LIMIT, csv->row_line + csv->row_lines, "a field is too long");
}

/* The size of the next slice: to the end of its line, at most SLICE_BYTES. */
static size_t slice_size(kap_span_t bytes)
{
    size_t size = 0;
    while (size < bytes.size && size < SLICE_BYTES) {
        uint8_t c = bytes.data[size++];
        if (c == '\n' || c == '\r')
            break;
    }
    return size;
}

static void count_line_end(kap_csv_t *csv, uint8_t last)
{
    if (last == '\r' || (last == '\n' && !csv->after_cr))
        csv->line++;
    csv->after_cr = last == '\r';
}

/* The mark may come in pieces: what turns out to be none is parsed after all. */
static kap_span_t skip_bom(kap_csv_t *csv, kap_span_t bytes)
{
    static const uint8_t mark[BOM_BYTES] = {0xef, 0xbb, 0xbf};
    while (csv->bom < BOM_BYTES && bytes.size) {
        if (bytes.data[0] != mark[csv->bom]) {
            parse_slice(csv, kap_span(mark, csv->bom));
            break;
        }
        csv->bom++;
        bytes = kap_span_sub(bytes, 1, SIZE_MAX);
    }
    if (bytes.size)
        csv->bom = BOM_BYTES + 1;
    return bytes;
}

int kap_csv_feed(kap_csv_t *csv, kap_span_t bytes)
{
    if (csv->bom <= BOM_BYTES)
        bytes = skip_bom(csv, bytes);
    while (csv->err == KAP_OK && bytes.size) {
        size_t size = slice_size(bytes);
        parse_slice(csv, kap_span(bytes.data, size));
        if (csv->err == KAP_OK)
            count_line_end(csv, bytes.data[size - 1]);
        bytes = kap_span_sub(bytes, size, SIZE_MAX);
    }
    return csv->err;
}

int kap_csv_finish(kap_csv_t *csv)
{
    if (csv->err == KAP_OK && csv->bom > 0 && csv->bom < BOM_BYTES)
        refuse(csv, KAP_E_INVALID, 1, "bytes that are not UTF-8; save it as CSV UTF-8");
    if (csv->err == KAP_OK && csv_fini(&csv->parser, on_field, on_row_end, csv) != 0)
        refuse(csv, KAP_E_INVALID, csv->row_line + csv->row_lines,
               "a quote is opened here and never closed");
    return csv->err;
}

const char *kap_csv_why(const kap_csv_t *csv)
{
    return csv->why.size && csv->why.err == KAP_OK ? (const char *)csv->why.data : "";
}

int64_t kap_csv_line(const kap_csv_t *csv)
{
    return csv->err == KAP_OK ? csv->line : csv->why_line;
}

void kap_csv_destroy(kap_csv_t **csv)
{
    if (!*csv)
        return;
    csv_free(&(*csv)->parser);
    kap_buf_fini(&(*csv)->row);
    kap_buf_fini(&(*csv)->why);
    free((*csv)->ends);
    free((*csv)->spans);
    free(*csv);
    *csv = NULL;
}

static bool needs_quotes(kap_span_t field, char delimiter)
{
    for (size_t i = 0; i < field.size; i++) {
        uint8_t c = field.data[i];
        if (c == '"' || c == '\r' || c == '\n' || c == (uint8_t)delimiter)
            return true;
    }
    return false;
}

void kap_csv_write_row(kap_buf_t *out, char delimiter, const kap_span_t fields[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            kap_buf_u8(out, (uint8_t)delimiter);
        bool lone_empty = n == 1 && fields[i].size == 0;
        if (!lone_empty && !needs_quotes(fields[i], delimiter)) {
            kap_buf_append(out, fields[i]);
            continue;
        }
        kap_buf_u8(out, '"');
        for (size_t j = 0; j < fields[i].size; j++) {
            if (fields[i].data[j] == '"')
                kap_buf_u8(out, '"');
            kap_buf_u8(out, fields[i].data[j]);
        }
        kap_buf_u8(out, '"');
    }
    kap_buf_str(out, "\r\n");
}
