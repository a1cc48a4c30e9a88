/* SPDX-License-Identifier: MPL-2.0 */
/* Who is there to be asked for: edges, regions, months and values of a scope. */
#include "err.h"
#include "now.h"
#include "rows.h"
#include "sum_inner.h"

enum { VALUES_MAX = 64 };

typedef struct {
    const kap_scope_t *scope;
    kap_sum_members_t members; /* of a member or an organisation */
    kap_sum_edge_fn fn;
    void *arg;
} edging_t;

static bool edge_fits(const edging_t *e, uint32_t from, uint32_t to)
{
    const kap_scope_t *scope = e->scope;

    if (scope->kind == KAP_SCOPE_EDGE)
        return from == scope->a && to == scope->b;
    if (scope->kind != KAP_SCOPE_MEMBER && scope->kind != KAP_SCOPE_ORGANISATION)
        return true;
    return kap_sum_is_among(&e->members, from) || kap_sum_is_among(&e->members, to);
}

/* Every edge of the region has cells: goes from one to the next. */
static int edges_of(kap_summer_t *s, const edging_t *e, uint32_t region)
{
    kap_cell_t cell = {.level = KAP_LEVEL_EDGE, .region = region}, found;
    uint8_t key[KAP_CELL_KEY];

    for (;;) {
        cell.at = INT32_MIN;
        kap_cell_key(key, &cell);
        int rc = kap_cursor_seek_ge(s->cells, kap_span(key, sizeof key));
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
        if (!kap_cell_split(kap_cursor_key(s->cells), &found))
            return KAP_E_CORRUPT;
        if (found.level != KAP_LEVEL_EDGE || found.region != region)
            return KAP_OK;
        if (edge_fits(e, found.a, found.b))
            rc = e->fn(e->arg, region, found.a, found.b);
        if (rc != KAP_OK)
            return rc;
        cell.a = found.a;
        cell.b = found.b + 1;
    }
}

/* Is the region of the scope? By the directory of today; one that is no longer there is of the
 * nation. */
static int region_fits(kap_summer_t *s, const kap_scope_t *scope, uint32_t number, bool *fits)
{
    kap_span_t id;

    *fits = true;
    if (scope->kind != KAP_SCOPE_AREA && scope->kind != KAP_SCOPE_NATION)
        return KAP_OK;
    int rc = kap_rows_text(s->txn, number, &id);
    if (rc != KAP_OK)
        return rc;
    const kap_region_t *region = kap_directory_region(s->dir, id);
    if (scope->kind == KAP_SCOPE_NATION)
        *fits = region == NULL || region->area.size > 0;
    else
        *fits = region != NULL && kap_span_eq(region->area, scope->area);
    return KAP_OK;
}

int kap_sum_regions(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_region_fn fn, void *arg)
{
    bool fits;
    int rc = KAP_OK;

    if (scope->region.size > 0)
        return scope->region_number == 0 ? KAP_OK : fn(arg, scope->region_number);
    if (summer->now != NULL)
        return kap_now_regions(summer, scope, fn, arg);
    for (uint32_t i = 0; rc == KAP_OK && i < summer->region_count; i++) {
        rc = region_fits(summer, scope, summer->regions[i], &fits);
        if (rc == KAP_OK && fits)
            rc = fn(arg, summer->regions[i]);
    }
    return rc;
}

typedef struct {
    kap_summer_t *s;
    const edging_t *e;
} edges_in_t;

static int edges_in(void *arg, uint32_t region)
{
    const edges_in_t *in = arg;

    return edges_of(in->s, in->e, region);
}

int kap_sum_edges(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_edge_fn fn, void *arg)
{
    edging_t e = {.scope = scope, .members = {.arena = summer->arena}, .fn = fn, .arg = arg};
    edges_in_t in = {summer, &e};
    int rc = KAP_OK;

    if (summer->now != NULL)
        return kap_now_edges(summer, scope, fn, arg);
    if (scope->kind == KAP_SCOPE_MEMBER && scope->a != 0)
        rc = kap_sum_add_member(&e.members, scope->a);
    else if (scope->kind == KAP_SCOPE_ORGANISATION)
        rc = kap_sum_members(summer, scope->organisation, &e.members);
    return rc != KAP_OK ? rc : kap_sum_regions(summer, scope, edges_in, &in);
}

/* The months of the scope's rows. */
typedef struct {
    kap_summer_t *s;
    const kap_sum_query_t *query;
    int32_t first, last;
} months_t;

/* The first month at or after `from`, or the last one at or before it. */
static int month_beside(const months_t *m, const kap_sum_place_t *place, bool after, int32_t from,
                        bool *there, int32_t *month)
{
    kap_cell_t cell = {place->level,
                       place->region,
                       place->a,
                       place->b,
                       (uint8_t)KAP_BREAKDOWN_NONE,
                       (uint8_t)KAP_PERIOD_MONTH,
                       from};
    kap_cell_t found;
    uint8_t key[KAP_CELL_KEY];

    kap_cell_key(key, &cell);
    kap_span_t k = kap_span(key, sizeof key);
    int rc = after ? kap_cursor_seek_ge(m->s->cells, k) : kap_cursor_seek_le(m->s->cells, k);
    *there = false;
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    if (!kap_cell_split(kap_cursor_key(m->s->cells), &found))
        return KAP_E_CORRUPT;
    *month = found.at;
    *there = found.level == cell.level && found.region == cell.region && found.a == cell.a &&
             found.b == cell.b && found.breakdown == cell.breakdown && found.period == cell.period;
    return KAP_OK;
}

static int months_of(void *arg, const kap_sum_place_t *place)
{
    months_t *m = arg;
    const kap_window_t *w = &m->query->window;
    kap_zone_t zone = kap_cell_zone(m->query->scope.utc);
    int32_t from = w->has_from ? kap_cell_at(KAP_PERIOD_MONTH, zone, w->from_ms) : INT32_MIN;
    int32_t to = w->has_to ? kap_cell_at(KAP_PERIOD_MONTH, zone, w->to_ms - 1) : INT32_MAX;
    bool there;
    int32_t month;
    int rc = month_beside(m, place, true, from, &there, &month);

    if (rc == KAP_OK && there && month < m->first)
        m->first = month;
    if (rc == KAP_OK)
        rc = month_beside(m, place, false, to, &there, &month);
    if (rc == KAP_OK && there && month > m->last)
        m->last = month;
    return rc;
}

int kap_sum_months(kap_summer_t *summer, const kap_sum_query_t *query, int32_t *first,
                   int32_t *last)
{
    months_t m = {summer, query, INT32_MAX, INT32_MIN};

    if (summer->now != NULL)
        return kap_now_months(summer, query, first, last);
    int rc = kap_sum_places(summer, query, months_of, &m);
    *first = m.first;
    *last = m.last;
    return rc;
}

/* Values of a breakdown that occur, as bits. */
typedef struct {
    kap_breakdown_t breakdown;
    uint64_t seen;
} seeing_t;

static int see(seeing_t *s, uint16_t value)
{
    if (value >= VALUES_MAX)
        return KAP_E_CORRUPT;
    s->seen |= UINT64_C(1) << value;
    return KAP_OK;
}

static int see_row(void *arg, const kap_sum_place_t *at, kap_span_t row)
{
    kap_cell_walk_t walk = {row, -1};
    uint16_t value;
    kap_vector_t vector;
    int rc = KAP_OK;

    (void)at;
    while (rc == KAP_OK && kap_cell_next(&walk, &value, &vector, &rc))
        rc = see(arg, value);
    return rc;
}

static int see_fact(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact)
{
    seeing_t *s = arg;

    (void)key;
    return see(s, fact->breakdown[s->breakdown]);
}

int kap_sum_values(kap_summer_t *summer, const kap_sum_query_t *query, kap_breakdown_t breakdown,
                   kap_sum_value_fn fn, void *arg)
{
    seeing_t seeing = {breakdown, 0};
    kap_sum_query_t of = *query;
    kap_sum_walk_t w = {.s = summer,
                        .query = &of,
                        .counts = true,
                        .row = see_row,
                        .fact = see_fact,
                        .facts_of = query,
                        .arg = &seeing};
    int rc;

    if (summer->now != NULL)
        return kap_now_values(summer, query, breakdown, fn, arg);
    if (query->breakdown == KAP_BREAKDOWN_NONE) {
        of.breakdown = breakdown;
        rc = kap_sum_walk(&w);
    } else {
        rc = kap_sum_facts(summer, query, see_fact, &seeing);
    }
    for (uint16_t value = 0; rc == KAP_OK && value < VALUES_MAX; value++) {
        if (seeing.seen >> value & 1)
            rc = fn(arg, value);
    }
    return rc;
}
