/* SPDX-License-Identifier: MPL-2.0 */
#include "sheet.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "csv.h"
#include "err.h"
#include "utf8.h"

/* The sets of sheetwords.def in bits. */
enum {
    PLAN = KAP_SHEET_PLAN,
    PROGRESS = KAP_SHEET_PROGRESS,
    SURVEY = KAP_SHEET_SURVEY,
    EVALUATION = KAP_SHEET_EVALUATION,
    INDICATOR = KAP_SHEET_INDICATOR,
    PROCESS = KAP_SHEET_PROCESS,
    CUSTOMERS = KAP_SHEET_CUSTOMERS,
    NEWCOMERS = KAP_SHEET_NEWCOMERS,
    ADVICE = KAP_SHEET_ADVICE,
    TARGET = KAP_SHEET_TARGET,
    ALL = KAP_SHEET_ALL,
};

static const struct {
    unsigned kinds;
    const char *field;
    bool carries;
    const char *words[3]; /* fi, sv, en */
} words[] = {
#define KAP_SHEET_WORD(KINDS, FIELD, CARRIES, FI, SV, EN) {KINDS, FIELD, CARRIES, {FI, SV, EN}},
#include "sheetwords.def"
#undef KAP_SHEET_WORD
};
enum { WORDS = sizeof words / sizeof *words };

typedef struct {
    int64_t line;
    kap_span_t *cells;
    size_t count;
} line_t;

/* A table being read. */
typedef struct {
    const kap_sheet_want_t *want;
    kap_arena_t *arena;
    line_t *lines;
    uint32_t count, cap;
} reading_t;

/* --- bytes to text --- */

/* What Windows-1252 has from 0x80 to 0x9f; 0: nothing. */
static const uint16_t windows[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

static void put_point(kap_buf_t *out, unsigned point)
{
    if (point < 0x80) {
        kap_buf_u8(out, (uint8_t)point);
    } else if (point < 0x800) {
        kap_buf_u8(out, (uint8_t)(0xc0 | point >> 6));
        kap_buf_u8(out, (uint8_t)(0x80 | (point & 0x3f)));
    } else {
        kap_buf_u8(out, (uint8_t)(0xe0 | point >> 12));
        kap_buf_u8(out, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
        kap_buf_u8(out, (uint8_t)(0x80 | (point & 0x3f)));
    }
}

static void from_windows(kap_span_t bytes, kap_buf_t *out)
{
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned c = bytes.data[i];
        unsigned point = c >= 0x80 && c < 0xa0 ? windows[c - 0x80] : c;
        put_point(out, point ? point : 0xfffd);
    }
}

int kap_sheet_text(kap_span_t bytes, kap_arena_t *arena, kap_sheet_coding_t *coding,
                   kap_span_t *text, kap_buf_t *why)
{
    bool wide = bytes.size >= 2 && ((bytes.data[0] == 0xff && bytes.data[1] == 0xfe) ||
                                    (bytes.data[0] == 0xfe && bytes.data[1] == 0xff));
    if (wide || (bytes.size && memchr(bytes.data, 0, bytes.size))) {
        kap_buf_str(why, "is not text in UTF-8 or Windows-1252; save it as `CSV UTF-8`");
        return KAP_E_INVALID;
    }
    *coding = kap_span_starts(bytes, KAP_SPAN("\xef\xbb\xbf")) ? KAP_SHEET_UTF8_MARK
              : kap_utf8_valid(bytes, NULL)                    ? KAP_SHEET_UTF8
                                                               : KAP_SHEET_WINDOWS;
    if (*coding != KAP_SHEET_WINDOWS) {
        *text = kap_span_sub(bytes, *coding == KAP_SHEET_UTF8_MARK ? 3 : 0, bytes.size);
        return KAP_OK;
    }
    kap_buf_t out;
    kap_buf_init(&out);
    from_windows(bytes, &out);
    *text = kap_arena_dup(arena, kap_buf_span(&out));
    int rc = out.err ? out.err : text->data ? KAP_OK : KAP_E_NOMEM;
    kap_buf_fini(&out);
    return rc;
}

/* --- words --- */

/* One letter in lower case, as far as the three languages need it; bytes taken from *rest. */
static void put_lower(kap_span_t *rest, uint8_t *out, size_t *n)
{
    uint8_t c = rest->data[0], second = rest->size > 1 ? rest->data[1] : 0;
    if (c == 0xc2 && second == 0xa0) { /* a blank that does not break */
        out[(*n)++] = ' ';
        *rest = kap_span_sub(*rest, 2, rest->size);
        return;
    }
    if (c == 0xc3 && second >= 0x80 && second <= 0x9e && second != 0x97) {
        out[(*n)++] = c;
        out[(*n)++] = (uint8_t)(second + 0x20);
        *rest = kap_span_sub(*rest, 2, rest->size);
        return;
    }
    out[(*n)++] = c < 0x20 ? ' ' : c >= 'A' && c <= 'Z' ? (uint8_t)(c + 0x20) : c;
    *rest = kap_span_sub(*rest, 1, rest->size);
}

kap_span_t kap_sheet_word(kap_arena_t *arena, kap_span_t text)
{
    uint8_t *out = kap_arena_alloc(arena, text.size + 1);
    size_t n = 0, kept = 0;
    if (!out)
        return kap_span("", 0);
    while (text.size > 0 && text.data[0] != '(' && text.data[0] != '/' && text.data[0] != '[')
        put_lower(&text, out, &n);
    for (size_t i = 0; i < n; i++)
        if (out[i] != ' ' || (kept > 0 && out[kept - 1] != ' '))
            out[kept++] = out[i];
    while (kept > 0 && strchr(" :*.", out[kept - 1]))
        kept--;
    return kap_span(out, kept);
}

bool kap_sheet_is_among(kap_span_t word, const char *list)
{
    kap_span_t rest = kap_span_str(list);
    while (rest.size > 0) {
        const uint8_t *bar = memchr(rest.data, '|', rest.size);
        size_t n = bar ? (size_t)(bar - rest.data) : rest.size;
        if (kap_span_eq(word, kap_span(rest.data, n)))
            return true;
        rest = kap_span_sub(rest, bar ? n + 1 : n, rest.size);
    }
    return false;
}

/* The row of sheetwords.def for a title; -1. */
static int find_word(unsigned kind, kap_span_t word)
{
    for (int i = 0; i < WORDS && word.size > 0; i++) {
        if (!(words[i].kinds & kind))
            continue;
        bool known = kap_span_eq_str(word, words[i].field);
        for (int lang = 0; lang < 3; lang++)
            known |= kap_sheet_is_among(word, words[i].words[lang]);
        if (known)
            return i;
    }
    return -1;
}

/* --- periods --- */

static int number(kap_span_t *rest, size_t most)
{
    int value = 0;
    size_t n = 0;
    while (n < rest->size && n < most && rest->data[n] >= '0' && rest->data[n] <= '9')
        value = value * 10 + (rest->data[n++] - '0');
    *rest = kap_span_sub(*rest, n, rest->size);
    return n ? value : -1;
}

static bool take(kap_span_t *rest, char c)
{
    bool there = rest->size > 0 && rest->data[0] == (uint8_t)c;
    if (there)
        *rest = kap_span_sub(*rest, 1, rest->size);
    return there;
}

/* 10/2025, 31.10.2025 */
static bool finnish_period(kap_span_t text, char out[11])
{
    int a = number(&text, 2);
    if (a > 0 && take(&text, '/')) {
        int year = number(&text, 4);
        snprintf(out, 11, "%04u-%02u", (unsigned)year % 10000, (unsigned)a % 100);
        return a <= 12 && year >= 1900 && text.size == 0;
    }
    if (a <= 0 || !take(&text, '.'))
        return false;
    int month = number(&text, 2);
    if (month <= 0 || !take(&text, '.'))
        return false;
    int year = number(&text, 4);
    kap_date_t date = {.year = (int16_t)year, .month = (int8_t)month, .day = (int8_t)a};
    if (year < 1900 || text.size > 0 || !kap_date_valid(date))
        return false;
    snprintf(out, 11, "%04u-%02u-%02u", (unsigned)year % 10000, (unsigned)month % 100,
             (unsigned)a % 100);
    return true;
}

bool kap_sheet_period(kap_span_t text, char out[11])
{
    kap_span_t rest = kap_span_trim(text);
    kap_date_t date;
    text = rest;
    if (text.size == 10 && kap_date_parse(text, &date) == KAP_OK) {
        snprintf(out, 11, "%.*s", KAP_SPAN_ARGS(text));
        return true;
    }
    int year = number(&rest, 4);
    if (year >= 1900 && rest.size == 0) {
        snprintf(out, 11, "%04u", (unsigned)year % 10000);
        return true;
    }
    if (year >= 1900 && take(&rest, '-')) {
        int month = number(&rest, 2);
        snprintf(out, 11, "%04u-%02u", (unsigned)year % 10000, (unsigned)month % 100);
        return month >= 1 && month <= 12 && text.size == 7;
    }
    return finnish_period(text, out);
}

/* --- rows --- */

/* A cell in one line: what breaks it becomes one blank. */
static kap_span_t plain_cell(kap_arena_t *arena, kap_span_t cell)
{
    kap_span_t from = kap_span_trim(cell);
    uint8_t *out = kap_arena_alloc(arena, from.size + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < from.size; i++) {
        bool breaks = from.data[i] < 0x20;
        if (!breaks || (n > 0 && out[n - 1] != ' '))
            out[n++] = breaks ? ' ' : from.data[i];
    }
    return kap_span(out, n);
}

static int on_row(void *arg, const kap_span_t fields[], size_t n, int64_t line)
{
    reading_t *reading = arg;
    size_t said = 0;
    for (size_t i = 0; i < n; i++)
        said += kap_span_trim(fields[i]).size;
    if (said == 0)
        return KAP_OK;
    if (reading->count == reading->cap) {
        uint32_t cap = reading->cap ? reading->cap * 2 : 64;
        line_t *grown = kap_arena_alloc(reading->arena, cap * sizeof *grown);
        if (!grown)
            return KAP_E_NOMEM;
        if (reading->count)
            memcpy(grown, reading->lines, reading->count * sizeof *grown);
        reading->lines = grown;
        reading->cap = cap;
    }
    kap_span_t *cells = kap_arena_calloc(reading->arena, n, sizeof *cells);
    for (size_t i = 0; cells && i < n; i++) {
        cells[i] = plain_cell(reading->arena, fields[i]);
        if (!cells[i].data)
            return KAP_E_NOMEM;
    }
    if (!cells)
        return KAP_E_NOMEM;
    reading->lines[reading->count++] = (line_t){line, cells, n};
    return KAP_OK;
}

static int read_rows(reading_t *reading, kap_span_t text, char delimiter, kap_buf_t *why)
{
    kap_csv_t *csv = NULL;
    kap_csv_opts_t opts = {.delimiter = delimiter, .on_row = on_row, .arg = reading};
    int rc = kap_csv_new(&opts, &csv);
    if (rc == KAP_OK)
        rc = kap_csv_feed(csv, text);
    if (rc == KAP_OK)
        rc = kap_csv_finish(csv);
    kap_buf_reset(why);
    if (rc != KAP_OK)
        kap_buf_str(why, csv && *kap_csv_why(csv) ? kap_csv_why(csv) : kap_err_text(rc));
    kap_csv_destroy(&csv);
    return rc;
}

/* --- the header --- */

static bool has_field(const kap_sheet_t *sheet, const char *field)
{
    for (uint32_t i = 0; i < sheet->column_count; i++)
        if (sheet->columns[i].field && strcmp(sheet->columns[i].field, field) == 0)
            return true;
    return false;
}

static void name_column(const reading_t *reading, kap_sheet_t *sheet, kap_span_t title)
{
    kap_sheet_column_t column = {.title = title};
    int word = find_word(reading->want->kind, kap_sheet_word(reading->arena, title));
    if (word >= 0 && strcmp(words[word].field, "-") == 0) {
        column.is_left_out = true;
    } else if (word >= 0 && !has_field(sheet, words[word].field)) {
        column.field = words[word].field;
        column.carries = words[word].carries;
    }
    sheet->columns[sheet->column_count++] = column;
}

/* Columns with unknown titles whose title says something: a question, a period. */
static void spread(const reading_t *reading, kap_sheet_t *sheet)
{
    const kap_sheet_want_t *want = reading->want;
    bool periods = want->spread && strcmp(want->spread, "period") == 0;
    if (!want->spread || has_field(sheet, want->spread))
        return;
    for (uint32_t i = 0; i < sheet->column_count; i++) {
        kap_sheet_column_t *column = &sheet->columns[i];
        char period[11];
        if (column->field || column->is_left_out || kap_span_empty(column->title))
            continue;
        if (periods && !kap_sheet_period(column->title, period))
            continue;
        column->spread = want->spread;
        column->said = periods ? kap_arena_dup(reading->arena, kap_span_str(period))
                               : kap_span_sub(column->title, 0, 200);
        column->field = want->spread_to;
    }
}

static bool meets(const reading_t *reading, const kap_sheet_t *sheet)
{
    const char *needs = reading->want->needs;
    bool met = needs == NULL;
    for (uint32_t i = 0; !met && i < sheet->column_count; i++)
        met = sheet->columns[i].field &&
              kap_sheet_is_among(kap_span_str(sheet->columns[i].field), needs);
    return met;
}

/* How well a line would do as the header: columns with known titles, then the others that are used;
 * 0 when it cannot be it. */
static uint32_t try_header(const reading_t *reading, uint32_t at, kap_sheet_t *sheet)
{
    const line_t *line = &reading->lines[at];
    uint32_t named = 0;
    sheet->column_count = 0;
    for (size_t i = 0; i < line->count && i < KAP_SHEET_COLUMNS; i++)
        name_column(reading, sheet, line->cells[i]);
    spread(reading, sheet);
    for (uint32_t i = 0; i < sheet->column_count; i++) {
        const kap_sheet_column_t *column = &sheet->columns[i];
        bool known = column->is_left_out || (column->field && !column->spread);
        named += known ? 2 * KAP_SHEET_COLUMNS : column->field != NULL;
    }
    return meets(reading, sheet) ? named : 0;
}

/* The line that does best, the first of equals; 0: none. */
static uint32_t find_header(const reading_t *reading, kap_sheet_t *sheet)
{
    uint32_t best = 0, best_at = 0;
    for (uint32_t i = 0; i < reading->count && i < KAP_SHEET_TITLES; i++) {
        uint32_t named = try_header(reading, i, sheet);
        if (named > best) {
            best = named;
            best_at = i;
        }
    }
    if (best > 0)
        try_header(reading, best_at, sheet);
    sheet->passed_over = best_at;
    return best;
}

/* --- the rows below it --- */

/* The cells of a line with what is carried down to them; what is new is kept in `above`, and ends
 * what stood to its right: another goal has other groups below it. */
static void fill_row(const kap_sheet_t *sheet, const line_t *line, kap_span_t above[],
                     kap_span_t cells[], kap_sheet_row_t *row)
{
    uint32_t own = 0, carried = 0;
    for (uint32_t i = 0; i < sheet->column_count; i++) {
        const kap_sheet_column_t *column = &sheet->columns[i];
        cells[i] = i < line->count ? line->cells[i] : kap_span("", 0);
        if (!column->field)
            continue;
        if (!column->carries) {
            own += !kap_span_empty(cells[i]);
        } else if (kap_span_empty(cells[i])) {
            cells[i] = above[i];
        } else {
            if (!kap_span_eq(above[i], cells[i]))
                for (uint32_t right = i; right < sheet->column_count; right++)
                    above[right] = kap_span("", 0);
            above[i] = cells[i];
            carried++;
        }
    }
    *row = (kap_sheet_row_t){
        .line = line->line, .cells = cells, .is_heading = own == 0 && carried > 0};
}

static bool same_line(const line_t *a, const line_t *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = kap_span_eq(a->cells[i], b->cells[i]);
    return same;
}

/* Says something in a column that is used? */
static bool says(const kap_sheet_t *sheet, const line_t *line)
{
    for (uint32_t i = 0; i < sheet->column_count && i < line->count; i++)
        if (sheet->columns[i].field && line->cells[i].size > 0)
            return true;
    return false;
}

/* "Yhteensä", where a row begins: what it says is said by the rows above it. */
static bool is_total(const reading_t *reading, const line_t *line)
{
    size_t first = 0;
    while (first < line->count && kap_span_empty(line->cells[first]))
        first++;
    return first < line->count &&
           kap_sheet_is_among(kap_sheet_word(reading->arena, line->cells[first]),
                              "yhteensä|kaikki yhteensä|koko seutu yhteensä|summa|totalt|"
                              "sammanlagt|total|sum|all together");
}

static int take_rows(const reading_t *reading, kap_sheet_t *sheet)
{
    kap_span_t above[KAP_SHEET_COLUMNS] = {{0}};
    const line_t *header = &reading->lines[sheet->passed_over];
    kap_sheet_row_t *rows = kap_arena_calloc(reading->arena, reading->count, sizeof *rows);
    if (!rows)
        return KAP_E_NOMEM;
    sheet->header_line = header->line;
    sheet->rows = rows;
    for (uint32_t i = sheet->passed_over + 1; i < reading->count; i++) {
        const line_t *line = &reading->lines[i];
        if (same_line(line, header) || !says(sheet, line))
            continue;
        if (is_total(reading, line)) {
            sheet->totals++;
            continue;
        }
        kap_span_t *cells = kap_arena_calloc(reading->arena, sheet->column_count, sizeof *cells);
        if (!cells)
            return KAP_E_NOMEM;
        fill_row(sheet, line, above, cells, &rows[sheet->row_count++]);
    }
    return KAP_OK;
}

static void say_no_header(const kap_sheet_want_t *want, kap_buf_t *why)
{
    kap_buf_reset(why);
    kap_buf_printf(why, "no header in the first %d rows: it needs a column %s (", KAP_SHEET_TITLES,
                   want->needs ? want->needs : "");
    for (int i = 0, n = 0; want->needs && i < WORDS; i++)
        for (int lang = 0; lang < 3; lang++)
            if (words[i].kinds & want->kind &&
                kap_sheet_is_among(kap_span_str(words[i].field), want->needs)) {
                int size = (int)strcspn(words[i].words[lang], "|");
                kap_buf_printf(why, "%s%.*s", n++ ? ", " : "", size, words[i].words[lang]);
            }
    kap_buf_str(why, ")");
}

int kap_sheet_read(kap_span_t bytes, const kap_sheet_want_t *want, kap_arena_t *arena,
                   kap_sheet_t *sheet, kap_buf_t *why)
{
    static const char delimiters[] = {';', '\t', ','};
    kap_sheet_t tried;
    reading_t best = {0};
    uint32_t most = 0;
    kap_span_t text;
    memset(sheet, 0, sizeof *sheet);
    int rc = kap_sheet_text(bytes, arena, &sheet->coding, &text, why);
    if (rc != KAP_OK)
        return rc;
    int failed = KAP_OK;
    for (size_t i = 0; i < sizeof delimiters; i++) {
        reading_t reading = {.want = want, .arena = arena};
        tried = (kap_sheet_t){.coding = sheet->coding, .delimiter = delimiters[i]};
        rc = read_rows(&reading, text, delimiters[i], why);
        if (rc == KAP_E_NOMEM)
            return rc;
        failed = rc != KAP_OK ? rc : failed;
        uint32_t named = rc == KAP_OK ? find_header(&reading, &tried) : 0;
        if (named > most) {
            most = named;
            best = reading;
            *sheet = tried;
        }
    }
    if (most > 0 && best.lines[sheet->passed_over].count > KAP_SHEET_COLUMNS) {
        kap_buf_reset(why);
        kap_buf_printf(why, "line %lld: more than %d columns; make two tables of it",
                       (long long)best.lines[sheet->passed_over].line, KAP_SHEET_COLUMNS);
        return KAP_E_LIMIT;
    }
    if (most > 0)
        return take_rows(&best, sheet);
    if (failed == KAP_OK || why->size == 0)
        say_no_header(want, why);
    return KAP_E_INVALID;
}

kap_span_t kap_sheet_cell(const kap_sheet_t *sheet, const kap_sheet_row_t *row, const char *field)
{
    for (uint32_t i = 0; i < sheet->column_count; i++)
        if (sheet->columns[i].field && strcmp(sheet->columns[i].field, field) == 0 &&
            !sheet->columns[i].spread)
            return row->cells[i];
    return kap_span("", 0);
}
