/* SPDX-License-Identifier: MPL-2.0 */
/* Tables for people: a header, a rule, rows; columns as wide as they need, the whole never wider
 * than the terminal. Numbers stand right, text left; what does not fit ends in an ellipsis. Widths
 * are those of UTF-8 on a terminal, controls are shown as '?'. Rows are held until printed. For
 * output a program reads there is JSON and CSV instead. One thread. */
#ifndef KAP_TABLE_H
#define KAP_TABLE_H

#include <stdio.h>

#include "span.h"

enum { KAP_TABLE_WIDTH = 80 };

typedef enum { KAP_TABLE_LEFT, KAP_TABLE_RIGHT } kap_table_align_t;

typedef struct {
    const char *title; /* NULL ends the list */
    kap_table_align_t align;
    int max; /* columns on screen at most; 0: as wide as its widest cell */
} kap_table_column_t;

typedef struct kap_table kap_table_t;

/* The columns are copied but not their titles. NULL when out of memory. */
kap_table_t *kap_table_new(const kap_table_column_t columns[]);

/* One row: as many strings as there are columns, copied; NULL is an empty cell. KAP_E_NOMEM. */
int kap_table_row(kap_table_t *table, const char *const cells[]);

/* A rule between the rows before and after, for a line of totals. KAP_E_NOMEM. */
int kap_table_rule(kap_table_t *table);

size_t kap_table_rows(const kap_table_t *table);

/* Prints at most `width` columns (0: KAP_TABLE_WIDTH). When the cells need more, the widest
 * left-aligned columns shrink first, then the right-aligned ones, none below four columns (so that
 * very many columns may still not fit). Plain text, no escape codes. KAP_E_IO, KAP_E_NOMEM. */
int kap_table_print(const kap_table_t *table, FILE *out, int width);

/* Frees and nulls; *table may be NULL. */
void kap_table_destroy(kap_table_t **table);

#endif
