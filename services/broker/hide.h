/* SPDX-License-Identifier: MPL-2.0 */
/*
 * hide: which cells of a table are too small to be shown to those who do not read the region
 * (metrics.md "Who sees what"). Pure; any thread.
 */
#ifndef KAP_HIDE_H
#define KAP_HIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

enum { KAP_HIDE_DAYS = 14 }; /* others see a period so long after its end */

/* A cell of a table with rows and columns (of edges: from and to; a table of one column has one
 * row of cells, each its own column). Tables of several groups (regions) are told apart by group.
 */
typedef struct {
    kap_span_t group, row, column;
    uint64_t size;
    uint32_t k; /* 1 to k - 1 are small */
    bool own;   /* the asker's own: never hidden, and hides nothing, for the asker knows it */
    bool hidden;
} kap_hide_cell_t;

/* Marks what is hidden: sizes 1 to k - 1; then in each row and column with exactly one hidden cell
 * the next smallest too (of equal ones the first), which could be had by subtraction else; until
 * nothing changes. Out of memory: everything but the own is hidden. */
void kap_hide(kap_hide_cell_t *cells, uint32_t count);

#endif
