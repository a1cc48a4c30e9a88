/* SPDX-License-Identifier: MPL-2.0 */
#include "hide.h"
#include "seeded.h"

#include <stdlib.h>

/* Cells in the order of their lines: rows, or columns. */
typedef struct {
    const kap_hide_cell_t *cell;
    uint32_t index;
    bool column;
} placed_t;

static kap_span_t line_of(const placed_t *p)
{
    return p->column ? p->cell->column : p->cell->row;
}

static int by_line(const void *a, const void *b)
{
    const placed_t *x = a, *y = b;
    int order = kap_span_cmp(x->cell->group, y->cell->group);

    if (order == 0)
        order = kap_span_cmp(line_of(x), line_of(y));
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static placed_t *place(const kap_hide_cell_t *cells, uint32_t count, bool column)
{
    placed_t *places = malloc((count + 1) * sizeof *places);

    for (uint32_t i = 0; places != NULL && i < count; i++)
        places[i] = (placed_t){&cells[i], i, column};
    if (places != NULL)
        qsort(places, count, sizeof *places, by_line);
    return places;
}

/* The line that begins at places[0]: its length; *one when exactly one of it is hidden, and which
 * of the shown ones is the smallest (count: none). */
static uint32_t look_at_line(const placed_t *places, uint32_t count, bool *one, uint32_t *smallest)
{
    uint32_t size = 0, hidden = 0;

    *smallest = count;
    for (; size < count; size++) {
        const placed_t *p = &places[size];
        if (size > 0 && (!kap_span_eq(p->cell->group, places[0].cell->group) ||
                         !kap_span_eq(line_of(p), line_of(&places[0]))))
            break;
        if (p->cell->hidden)
            hidden++;
        else if (!p->cell->own && p->cell->size > 0 &&
                 (*smallest == count || p->cell->size < places[*smallest].cell->size))
            *smallest = size;
    }
    *one = hidden == 1 && *smallest < count;
    return size;
}

/* A single hidden cell could be had by subtraction: another one goes with it. */
static bool hide_second(kap_hide_cell_t *cells, const placed_t *places, uint32_t count)
{
    bool more = false, one;
    uint32_t smallest;

    for (uint32_t at = 0; at < count;) {
        uint32_t size = look_at_line(places + at, count - at, &one, &smallest);
        if (one && !KAP_SEEDED_BUG("second_not_hidden"))
            more = cells[places[at + smallest].index].hidden = true;
        at += size;
    }
    return more;
}

void kap_hide(kap_hide_cell_t *cells, uint32_t count)
{
    placed_t *rows = place(cells, count, false), *columns = place(cells, count, true);
    bool room = rows != NULL && columns != NULL;

    for (uint32_t i = 0; i < count; i++)
        cells[i].hidden = !cells[i].own &&
                          (!room || (cells[i].size > 0 && cells[i].size < cells[i].k)) &&
                          !KAP_SEEDED_BUG("suppression_skipped");
    for (bool more = room; more;) {
        more = hide_second(cells, rows, count);
        more = hide_second(cells, columns, count) || more;
    }
    free(rows);
    free(columns);
}
