/* SPDX-License-Identifier: MPL-2.0 */
/* A page for a terminal: plain text, no escape codes. */
#include <string.h>

#include "page.h"
#include "table.h"

enum { INDENT = 2, TILE_LABEL = 30, BAR = 40, LEAST = 20 };

static int columns_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

/* Bytes of the text that fit, cut at a blank. */
static size_t fitting(const char *text, int width)
{
    size_t blank = 0, i = 0;
    for (int n = 0; text[i]; i++) {
        if ((text[i] & 0xc0) != 0x80 && n++ == width)
            break;
        if (text[i] == ' ')
            blank = i;
    }
    return !text[i] || blank == 0 || text[i] == ' ' ? i : blank;
}

/* The text behind `mark`, wrapped under itself. */
static void wrapped(FILE *out, const char *mark, const char *text, int width)
{
    int used = columns_of(mark);
    int room = width - used > LEAST ? width - used : LEAST;
    bool first = true;
    while (*text) {
        size_t n = fitting(text, room);
        if (first)
            fputs(mark, out);
        else
            fprintf(out, "%*s", used, "");
        for (size_t i = 0; i < n; i++)
            fputc((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i], out);
        fputc('\n', out);
        text += n;
        text += *text == ' ';
        first = false;
    }
}

static void ruled(FILE *out, const char *text, const char *rule)
{
    fprintf(out, "%s\n", text);
    for (int i = columns_of(text); i > 0; i--)
        fputs(rule, out);
    fputc('\n', out);
}

static void put_tiles(const kap_page_block_t *block, FILE *out, int width)
{
    char line[512];
    for (int i = 0; i < block->used; i++) {
        const kap_page_cell_t *cell = &block->cells[i];
        int gap = TILE_LABEL - columns_of(cell->label);
        fprintf(out, "%*s%s%*s", INDENT, "", cell->label, gap > 0 ? gap : 1, "");
        snprintf(line, sizeof line, "%s%s%s%s", cell->text,
                 cell->detail && *cell->detail ? " (" : "", cell->detail ? cell->detail : "",
                 cell->detail && *cell->detail ? ")" : "");
        size_t n = fitting(line, width - INDENT - TILE_LABEL);
        fprintf(out, "%.*s\n", (int)n, line);
        if (line[n]) {
            char mark[TILE_LABEL + INDENT + 1];
            snprintf(mark, sizeof mark, "%*s", TILE_LABEL + INDENT, "");
            wrapped(out, mark, line + n + (line[n] == ' '), width);
        }
    }
}

static void print_table(kap_table_t **table, FILE *out, int width)
{
    if (*table && kap_table_rows(*table) > 0)
        kap_table_print(*table, out, width);
    kap_table_destroy(table);
}

/* The rows from `at` on, until a group begins; where that is. */
static int put_rows(const kap_page_block_t *block, int at, FILE *out, int width)
{
    kap_table_column_t heads[KAP_PAGE_COLUMNS + 1] = {{0}};
    const char *cells[KAP_PAGE_COLUMNS];
    int first = at;
    for (int i = 0; i < block->columns; i++)
        heads[i] = (kap_table_column_t){
            block->titles[i], block->right & (1U << i) ? KAP_TABLE_RIGHT : KAP_TABLE_LEFT, 0};
    kap_table_t *table = kap_table_new(heads);
    for (; at + block->columns <= block->used && !block->cells[at].label; at += block->columns) {
        for (int i = 0; i < block->columns; i++)
            cells[i] = block->cells[at + i].text;
        if (table && !block->cells[at].detail)
            kap_table_row(table, cells);
    }
    print_table(&table, out, width);
    for (; first < at; first += block->columns)
        if (block->cells[first].detail)
            wrapped(out, "  ", block->cells[first].detail, width);
    return at;
}

static void put_table(const kap_page_block_t *block, FILE *out, int width)
{
    int at = put_rows(block, 0, out, width);
    while (at + block->columns <= block->used) {
        fprintf(out, "%s%s\n\n", at ? "\n" : "", block->cells[at].label);
        at = put_rows(block, at + block->columns, out, width);
    }
}

/* Columns are numbered like the rows, so that any names fit. */
static void put_matrix(const kap_page_block_t *block, FILE *out, int width)
{
    kap_table_column_t heads[KAP_PAGE_COLUMNS + 3] = {{"", KAP_TABLE_RIGHT, 0},
                                                      {"", KAP_TABLE_LEFT, 0}};
    char numbers[KAP_PAGE_COLUMNS][16];
    const char *cells[KAP_PAGE_COLUMNS + 2];
    for (int i = 0; i < block->columns; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%d", i + 1);
        heads[i + 2] = (kap_table_column_t){numbers[i], KAP_TABLE_RIGHT, 0};
    }
    kap_table_t *table = kap_table_new(heads);
    for (int row = 0; table && (row + 1) * block->columns <= block->used; row++) {
        cells[0] = numbers[row];
        cells[1] = block->titles[row];
        for (int i = 0; i < block->columns; i++)
            cells[i + 2] = row == i ? "·" : block->cells[row * block->columns + i].text;
        kap_table_row(table, cells);
    }
    if (table)
        kap_table_print(table, out, width);
    kap_table_destroy(&table);
}

static void put_bars(const kap_page_block_t *block, FILE *out)
{
    int widest = 0;
    for (int i = 0; i < block->used; i++) {
        int n = columns_of(block->cells[i].label);
        widest = n > widest ? n : widest;
    }
    for (int i = 0; i < block->used; i++) {
        const kap_page_cell_t *cell = &block->cells[i];
        fprintf(out, "%*s%s%*s ", INDENT, "", cell->label, widest - columns_of(cell->label), "");
        for (int n = (int)(cell->share * BAR + 0.5); n > 0; n--)
            fputs("▇", out);
        fprintf(out, " %s\n", cell->text);
    }
}

static void put_list(const kap_page_block_t *block, FILE *out, int width)
{
    static const char *const marks[] = {"  - ", "  + ", "  ! ", "    "}; /* by tone */
    for (int i = 0; i < block->used; i++)
        wrapped(out, marks[block->cells[i].tone], block->cells[i].text, width);
}

static void put_block(const kap_page_block_t *block, FILE *out, int width)
{
    fputc('\n', out);
    switch (block->kind) {
    case KAP_PAGE_SECTION:
        fputc('\n', out);
        ruled(out, block->text, "─");
        break;
    case KAP_PAGE_HEADING:
    case KAP_PAGE_TEXT:
    case KAP_PAGE_NOTE:
        wrapped(out, "", block->text, width);
        break;
    case KAP_PAGE_TILES:
        put_tiles(block, out, width);
        break;
    case KAP_PAGE_TABLE:
        put_table(block, out, width);
        break;
    case KAP_PAGE_LIST:
        put_list(block, out, width);
        break;
    case KAP_PAGE_MATRIX:
        wrapped(out, "", block->text, width);
        fputc('\n', out);
        put_matrix(block, out, width);
        break;
    case KAP_PAGE_BARS:
        wrapped(out, "", block->text, width);
        fputc('\n', out);
        put_bars(block, out);
        break;
    }
}

void kap_page_text(const kap_page_t *page, FILE *out, int width)
{
    wrapped(out, "", page->kicker, width);
    ruled(out, page->title, "═");
    wrapped(out, "", page->subtitle, width);
    for (const kap_page_block_t *block = page->first; block; block = block->next)
        put_block(block, out, width);
    if (page->foot) {
        fputc('\n', out);
        wrapped(out, "", page->foot, width);
    }
}
