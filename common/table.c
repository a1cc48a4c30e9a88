/* SPDX-License-Identifier: MPL-2.0 */
#include "table.h"

#include <stdlib.h>

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "utf8.h"

enum { CHUNK_BYTES = 4096, LEAST = 4, GAP = 2 };

typedef struct row {
    struct row *next;
    const char **cells; /* NULL: a rule */
} row_t;

struct kap_table {
    kap_arena_t *arena;
    kap_table_column_t *columns;
    size_t n;
    row_t *first, *last;
    size_t rows;
};

kap_table_t *kap_table_new(const kap_table_column_t columns[])
{
    size_t n = 0;
    while (columns[n].title)
        n++;
    kap_table_t *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->n = n;
    table->arena = kap_arena_new(CHUNK_BYTES);
    if (table->arena)
        table->columns = kap_arena_calloc(table->arena, n, sizeof *columns);
    if (!table->columns) {
        kap_table_destroy(&table);
        return NULL;
    }
    memcpy(table->columns, columns, n * sizeof *columns);
    return table;
}

/* A copy without what would move the cursor: controls and bad bytes become '?'. */
static const char *clean(kap_arena_t *arena, const char *cell)
{
    char *copy = kap_arena_str(arena, kap_span_str(cell ? cell : ""));
    if (!copy)
        return NULL;
    kap_span_t rest = kap_span_str(copy);
    char *to = copy;
    while (rest.size) {
        const uint8_t *at = rest.data;
        uint32_t point = kap_utf8_next(&rest);
        size_t size = (size_t)(rest.data - at);
        bool bad = *at >= 0x80 && size == 1;
        if (bad || point < 0x20 || (point >= 0x7f && point < 0xa0)) {
            *to++ = '?';
        } else {
            memmove(to, at, size);
            to += size;
        }
    }
    *to = '\0';
    return copy;
}

static void link_row(kap_table_t *table, row_t *row)
{
    if (table->last)
        table->last->next = row;
    else
        table->first = row;
    table->last = row;
}

int kap_table_row(kap_table_t *table, const char *const cells[])
{
    row_t *row = kap_arena_calloc(table->arena, 1, sizeof *row);
    if (row)
        row->cells = kap_arena_calloc(table->arena, table->n, sizeof *row->cells);
    if (!row || !row->cells)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < table->n; i++) {
        row->cells[i] = clean(table->arena, cells[i]);
        if (!row->cells[i])
            return KAP_E_NOMEM;
    }
    link_row(table, row);
    table->rows++;
    return KAP_OK;
}

int kap_table_rule(kap_table_t *table)
{
    row_t *row = kap_arena_calloc(table->arena, 1, sizeof *row);
    if (!row)
        return KAP_E_NOMEM;
    link_row(table, row);
    return KAP_OK;
}

size_t kap_table_rows(const kap_table_t *table)
{
    return table->rows;
}

static int width_of(const char *text)
{
    return kap_utf8_width(kap_span_str(text));
}

static void natural_widths(const kap_table_t *table, int widths[])
{
    for (size_t i = 0; i < table->n; i++) {
        widths[i] = width_of(table->columns[i].title);
        for (const row_t *row = table->first; row; row = row->next) {
            int width = row->cells ? width_of(row->cells[i]) : 0;
            widths[i] = width > widths[i] ? width : widths[i];
        }
        int max = table->columns[i].max;
        widths[i] = max > 0 && widths[i] > max ? max : widths[i];
    }
}

/* The widest column of the alignment that can still shrink, or -1. */
static int widest(const kap_table_t *table, const int widths[], kap_table_align_t align)
{
    int found = -1;
    for (size_t i = 0; i < table->n; i++) {
        if (table->columns[i].align == align && widths[i] > LEAST &&
            (found < 0 || widths[i] > widths[found]))
            found = (int)i;
    }
    return found;
}

static void shrink(const kap_table_t *table, int widths[], int width)
{
    int total = -GAP;
    for (size_t i = 0; i < table->n; i++)
        total += widths[i] + GAP;
    for (; total > width; total--) {
        int column = widest(table, widths, KAP_TABLE_LEFT);
        if (column < 0)
            column = widest(table, widths, KAP_TABLE_RIGHT);
        if (column < 0)
            return;
        widths[column]--;
    }
}

static void spaces(kap_buf_t *line, int n)
{
    for (; n > 0; n--)
        kap_buf_u8(line, ' ');
}

/* The text in exactly `width` columns. */
static void put_cell(kap_buf_t *line, const char *text, int width, kap_table_align_t align)
{
    kap_span_t rest = kap_span_str(text), shown = rest;
    int used = kap_utf8_width(rest);
    bool cut = used > width;
    if (cut) {
        used = 0;
        while (rest.size) {
            kap_span_t before = rest;
            kap_utf8_next(&rest);
            int step = kap_utf8_width(kap_span(before.data, before.size - rest.size));
            if (used + step > width - 1) {
                shown.size = (size_t)(before.data - shown.data);
                break;
            }
            used += step;
        }
        used++;
    }
    if (align == KAP_TABLE_RIGHT)
        spaces(line, width - used);
    kap_buf_append(line, shown);
    if (cut)
        kap_buf_str(line, "…");
    if (align == KAP_TABLE_LEFT)
        spaces(line, width - used);
}

static void end_line(kap_buf_t *line)
{
    while (line->size && line->data[line->size - 1] == ' ')
        line->size--;
    kap_buf_u8(line, '\n');
}

static void put_rule(kap_buf_t *text, const kap_table_t *table, const int widths[])
{
    for (size_t i = 0; i < table->n; i++) {
        spaces(text, i ? GAP : 0);
        for (int j = 0; j < widths[i]; j++)
            kap_buf_str(text, "─");
    }
    kap_buf_u8(text, '\n');
}

static void put_cells(kap_buf_t *text, const kap_table_t *table, const int widths[],
                      const char *const *cells)
{
    for (size_t i = 0; i < table->n; i++) {
        spaces(text, i ? GAP : 0);
        put_cell(text, cells ? cells[i] : table->columns[i].title, widths[i],
                 table->columns[i].align);
    }
    end_line(text);
}

int kap_table_print(const kap_table_t *table, FILE *out, int width)
{
    int *widths = calloc(table->n ? table->n : 1, sizeof *widths);
    if (!widths)
        return KAP_E_NOMEM;
    natural_widths(table, widths);
    shrink(table, widths, width > 0 ? width : KAP_TABLE_WIDTH);
    kap_buf_t text = {0};
    put_cells(&text, table, widths, NULL);
    put_rule(&text, table, widths);
    for (const row_t *row = table->first; row; row = row->next) {
        if (row->cells)
            put_cells(&text, table, widths, row->cells);
        else
            put_rule(&text, table, widths);
    }
    int err = text.err;
    if (err == KAP_OK && fwrite(text.data, 1, text.size, out) != text.size)
        err = KAP_E_IO;
    kap_buf_fini(&text);
    free(widths);
    return err;
}

void kap_table_destroy(kap_table_t **table)
{
    if (!*table)
        return;
    kap_arena_destroy(&(*table)->arena);
    free(*table);
    *table = NULL;
}
