/* SPDX-License-Identifier: MPL-2.0 */
/* A page of a report before it is text or HTML: sections of paragraphs, key figures, tables, lists,
 * a matrix, bars. Whoever makes a page says what stands on it; how it looks is the writers' alone.
 * Texts are copied into the page's arena; without memory what is added is left out and err is set.
 * One thread. It knows nothing of handovers. */
#ifndef KAP_PAGE_H
#define KAP_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arena.h"

typedef enum {
    KAP_PAGE_SECTION,
    KAP_PAGE_HEADING, /* within a section */
    KAP_PAGE_TEXT,
    KAP_PAGE_NOTE, /* small print */
    KAP_PAGE_TILES,
    KAP_PAGE_TABLE,
    KAP_PAGE_LIST,
    KAP_PAGE_MATRIX,
    KAP_PAGE_BARS
} kap_page_kind_t;

typedef enum { KAP_PAGE_PLAIN, KAP_PAGE_GOOD, KAP_PAGE_BAD, KAP_PAGE_DIM } kap_page_tone_t;

/* A cell of a table, an item of a list, a tile (text its value), a bar, a cell of a matrix. */
typedef struct {
    const char *text;
    const char *label, *detail; /* NULL where there is none */
    double share;               /* 0 to 1 draws how much; below 0: nothing */
    kap_page_tone_t tone;
} kap_page_cell_t;

enum { KAP_PAGE_COLUMNS = 24 };

typedef struct kap_page_block {
    kap_page_kind_t kind;
    const char *text;                     /* of a section, a heading, a paragraph, a picture */
    const char *titles[KAP_PAGE_COLUMNS]; /* of a table, a matrix */
    uint32_t right;                       /* columns of numbers, a bit each */
    int columns;
    kap_page_cell_t *cells; /* row by row */
    int used, cap;
    struct kap_page_block *next;
} kap_page_block_t;

typedef struct {
    kap_arena_t *arena;
    const char *lang, *kicker, *title, *subtitle, *foot;
    kap_page_block_t *first, *last;
    bool err;
} kap_page_t;

void kap_page_init(kap_page_t *page, kap_arena_t *arena, const char *lang);

/* A section, a heading, a paragraph, a note. */
void kap_page_say(kap_page_t *page, kap_page_kind_t kind, const char *text);

/* Tiles and items that follow one another stand together. */
void kap_page_tile(kap_page_t *page, const char *label, const char *value, const char *detail,
                   kap_page_tone_t tone);
void kap_page_item(kap_page_t *page, const char *text, kap_page_tone_t tone);

/* A table, then its rows of as many cells; a row's cell without text is empty. */
void kap_page_table(kap_page_t *page, int columns, const char *const titles[], uint32_t right);
void kap_page_row(kap_page_t *page, const kap_page_cell_t cells[]);

/* A heading across the table for the rows that follow; as text each group is a table of its own. */
void kap_page_group(kap_page_t *page, const char *text);

/* A remark on the last row, across the table; as text it stands below the table. */
void kap_page_remark(kap_page_t *page, const char *text);

/* A square of names x names, then its cells by kap_page_cell: text empty where nothing is. `text`
 * describes the picture. */
void kap_page_matrix(kap_page_t *page, const char *text, int names, const char *const titles[]);

/* Bars side by side, then each by kap_page_cell: label below, text above. */
void kap_page_bars(kap_page_t *page, const char *text);

void kap_page_cell(kap_page_t *page, const kap_page_cell_t *cell);

/* The page for a terminal of `width` columns; the page as one HTML file without any other. */
void kap_page_text(const kap_page_t *page, FILE *out, int width);
void kap_page_html(const kap_page_t *page, FILE *out);

#endif
