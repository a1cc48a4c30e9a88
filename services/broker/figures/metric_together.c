/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 9: who hands to whom and gets it back, and who works together. */
#include <stdlib.h>

#include "err.h"
#include "followed.h"
#include "metric_list.h"
#include "now.h"
#include "rows.h"

/* What is told of x and y. */
typedef struct {
    kap_span_t x, y;
    uint64_t subcontracts; /* x handed to y and got it back, expected or not */
    uint64_t both, cases;  /* cases with both; with x */
    uint64_t met, held;    /* meetings of the region held with both; with x */
} together_t;

/* --- meetings --- */

static bool attended(const kap_meeting_t *meeting, kap_span_t member)
{
    const unsigned there = KAP_ATTENDEE_STATED | KAP_ATTENDEE_CONFIRMED;

    for (uint32_t i = 0; i < meeting->attendee_count; i++) {
        uint8_t marks = meeting->attendees[i].marks;
        if (kap_span_eq(meeting->attendees[i].member, member))
            return (marks & there) && !(marks & KAP_ATTENDEE_DENIED);
    }
    return false;
}

static int add_meeting(void *arg, kap_span_t id, const kap_meeting_t *meeting)
{
    together_t *t = arg;
    bool with_x = meeting->state == KAP_MEETING_HELD && attended(meeting, t->x);

    (void)id;
    t->held += with_x;
    t->met += with_x && attended(meeting, t->y);
    return KAP_OK;
}

/* Meetings belong to a region: of the mesh nothing is told. */
static int meetings_of(const kap_metric_at_t *at, const kap_metric_query_t *query, together_t *t)
{
    const kap_sum_query_t *what = &query->what;
    kap_followed_range_t range = {.region = what->scope.region_number,
                                  .from_ms = what->window.from_ms,
                                  .to_ms = what->window.to_ms};

    return what->scope.region.size == 0 || what->scope.utc
               ? KAP_OK
               : kap_followed_meetings(at->txn, &range, add_meeting, t);
}

/* --- cases --- */

/* The query narrowed to an edge, as far as the scope has a region in that. */
static kap_sum_query_t of_edge(const kap_metric_query_t *query, kap_span_t from, uint32_t a,
                               kap_span_t to, uint32_t b)
{
    kap_sum_query_t what = query->what;
    kap_scope_t *scope = &what.scope;

    *scope = (kap_scope_t){.kind = KAP_SCOPE_EDGE,
                           .region = scope->region,
                           .utc = scope->utc,
                           .region_number = scope->region.size > 0 ? scope->region_number : 0,
                           .from = from,
                           .to = to,
                           .a = a,
                           .b = b};
    return what;
}

static int together_of(const kap_metric_at_t *at, const kap_metric_query_t *query, uint32_t a,
                       uint32_t b, together_t *t)
{
    kap_sum_query_t back = of_edge(query, t->y, b, t->x, a), alone = back;
    kap_vector_t of_back = {0}, of_alone = {0};

    alone.scope.kind = KAP_SCOPE_MEMBER;
    alone.scope.member = t->x;
    alone.scope.a = a;
    alone.side = KAP_SIDE_CASES;
    int rc = kap_sum_counts(at->summer, &back, &of_back);
    if (rc == KAP_OK)
        rc = kap_sum_counts(at->summer, &alone, &of_alone);
    t->subcontracts = of_back.counts[KAP_FIGURE_RETURNS];
    t->both = of_back.counts[KAP_FIGURE_CASES]; /* of the pair, whatever the direction */
    t->cases = of_alone.counts[KAP_FIGURE_CASES];
    return rc != KAP_OK ? rc : meetings_of(at, query, t);
}

/* --- an edge --- */

static int put_edge(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    kap_metric_values_t *values)
{
    const kap_scope_t *scope = &query->what.scope;
    together_t t = {.x = scope->from, .y = scope->to};
    int rc = together_of(at, query, scope->a, scope->b, &t);

    kap_metric_put_count(values, "subcontracts", t.subcontracts);
    kap_metric_put_rate(values, "together", t.both, t.cases);
    if (scope->region.size > 0 && !scope->utc)
        kap_metric_put_rate(values, "meetings", t.met, t.held);
    return rc;
}

/* --- every pair that ever shared a case --- */

typedef struct {
    uint32_t a, b;
} pair_t;

typedef struct {
    const kap_metric_at_t *at;
    pair_t *pairs;
    size_t count, cap;
} pairs_t;

static int keep(pairs_t *p, uint32_t a, uint32_t b)
{
    if (p->count == p->cap) {
        size_t cap = p->cap == 0 ? 64 : p->cap * 2;
        pair_t *grown = realloc(p->pairs, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        p->pairs = grown;
        p->cap = cap;
    }
    p->pairs[p->count++] = (pair_t){a, b};
    return KAP_OK;
}

/* A pair, both ways; of a member (not 0) its own. */
typedef struct {
    pairs_t *p;
    uint32_t member;
} keeping_t;

static int keep_both(void *arg, uint32_t a, uint32_t b)
{
    const keeping_t *k = arg;

    if (k->member != 0 && a != k->member && b != k->member)
        return KAP_OK;
    int rc = keep(k->p, a, b);
    return rc != KAP_OK ? rc : keep(k->p, b, a);
}

/* Goes from one pair that has cells to the next. */
static int find_pairs(pairs_t *p, uint32_t region, uint32_t member)
{
    keeping_t keeping = {p, member};
    kap_cell_t cell = {.level = KAP_LEVEL_PAIR, .region = region, .at = INT32_MIN}, found;
    kap_cursor_t *cells = p->at->summer->cells;
    uint8_t key[KAP_CELL_KEY];

    if (p->at->summer->now != NULL)
        return kap_now_pairs(p->at->summer, region, keep_both, &keeping);
    for (;;) {
        kap_cell_key(key, &cell);
        int rc = kap_cursor_seek_ge(cells, kap_span(key, sizeof key));
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
        if (!kap_cell_split(kap_cursor_key(cells), &found))
            return KAP_E_CORRUPT;
        if (found.level != KAP_LEVEL_PAIR || found.region != region)
            return KAP_OK;
        rc = keep_both(&keeping, found.a, found.b);
        if (rc != KAP_OK)
            return rc;
        cell.a = found.a;
        cell.b = found.b + 1;
    }
}

static int by_members(const void *a, const void *b)
{
    const together_t *x = a, *y = b;
    int order = kap_span_cmp(x->x, y->x);

    return order != 0 ? order : kap_span_cmp(x->y, y->y);
}

static int put_together(const kap_metric_at_t *at, const kap_metric_query_t *query,
                        const together_t *t, kap_metric_list_t *list)
{
    kap_buf_t *item = t->both == 0 ? NULL : kap_metric_item(list, 7);

    if (item == NULL)
        return KAP_OK;
    int rc = kap_metric_member(at, &query->what.scope, item, "from", t->x);
    if (rc == KAP_OK)
        rc = kap_metric_member(at, &query->what.scope, item, "to", t->y);
    kap_metric_number(item, "subcontracts", t->subcontracts);
    kap_metric_rate(item, "together", t->both, t->cases);
    kap_metric_rate(item, "meetings", t->met, t->held);
    return rc;
}

static int put_pairs(const kap_metric_at_t *at, const kap_metric_query_t *query, const pairs_t *p,
                     kap_metric_values_t *values)
{
    kap_metric_list_t list = {0};
    together_t *all = kap_arena_calloc(at->arena, p->count + 1, sizeof *all);
    int rc = all == NULL ? KAP_E_NOMEM : KAP_OK;

    for (size_t i = 0; rc == KAP_OK && i < p->count; i++) {
        rc = kap_rows_text(at->txn, p->pairs[i].a, &all[i].x);
        if (rc == KAP_OK)
            rc = kap_rows_text(at->txn, p->pairs[i].b, &all[i].y);
        if (rc == KAP_OK)
            rc = together_of(at, query, p->pairs[i].a, p->pairs[i].b, &all[i]);
    }
    if (rc == KAP_OK && p->count > 0)
        qsort(all, p->count, sizeof *all, by_members);
    for (size_t i = 0; rc == KAP_OK && i < p->count; i++)
        rc = put_together(at, query, &all[i], &list);
    kap_metric_put_list(values, "pairs", &list);
    return rc;
}

int kap_metric_together(const kap_metric_at_t *at, const kap_metric_query_t *query,
                        const kap_vector_t *sum, kap_metric_values_t *values)
{
    const kap_scope_t *scope = &query->what.scope;
    bool of_member = scope->kind == KAP_SCOPE_MEMBER;
    bool unheard =
        (of_member && scope->a == 0) || (scope->region.size > 0 && scope->region_number == 0);
    pairs_t pairs = {.at = at};

    (void)sum;
    if (scope->kind == KAP_SCOPE_EDGE)
        return put_edge(at, query, values);
    if (values->row || scope->kind == KAP_SCOPE_AREA || scope->kind == KAP_SCOPE_ORGANISATION)
        return KAP_OK; /* pairs are counted in a region and in the mesh, not in between */
    int rc = unheard ? KAP_OK
                     : find_pairs(&pairs, scope->region.size > 0 ? scope->region_number : 0,
                                  of_member ? scope->a : 0);
    if (rc == KAP_OK)
        rc = put_pairs(at, query, &pairs, values);
    free(pairs.pairs);
    return rc;
}
