/* SPDX-License-Identifier: MPL-2.0 */
#include "sum.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "now.h"
#include "rows.h"
#include "seeded.h"
#include "sum_inner.h"

/* --- life --- */

static int is_archive(kap_txn_t *txn, uint32_t number, bool *archive)
{
    kap_span_t name;
    kap_archive_t row;
    int rc = kap_rows_text(txn, number, &name);

    if (rc == KAP_OK)
        rc = kap_rows_archive(txn, name, &row);
    *archive = rc == KAP_OK;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int add_region(kap_summer_t *s, uint32_t region)
{
    if ((s->region_count & (s->region_count - 1)) == 0) {
        size_t cap = s->region_count == 0 ? 1 : (size_t)s->region_count * 2;
        uint32_t *grown = kap_arena_alloc(s->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (s->region_count > 0)
            memcpy(grown, s->regions, s->region_count * sizeof *grown);
        s->regions = grown;
    }
    s->regions[s->region_count++] = region;
    return KAP_OK;
}

/* Goes from one region that has cells to the next. */
static int find_regions(kap_summer_t *s)
{
    kap_cell_t cell = {.level = KAP_LEVEL_REGION, .at = INT32_MIN}, found;
    uint8_t key[KAP_CELL_KEY];
    bool archive;
    int rc;

    for (;; cell.region = found.region + 1) {
        kap_cell_key(key, &cell);
        rc = kap_cursor_seek_ge(s->cells, kap_span(key, sizeof key));
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
        if (!kap_cell_split(kap_cursor_key(s->cells), &found))
            return KAP_E_CORRUPT;
        if (found.level != KAP_LEVEL_REGION)
            return KAP_OK;
        rc = is_archive(s->txn, found.region, &archive);
        if (rc == KAP_OK && !archive)
            rc = add_region(s, found.region);
        if (rc != KAP_OK)
            return rc;
    }
}

int kap_summer_new(kap_txn_t *txn, kap_arena_t *arena, const kap_directory_t *dir,
                   kap_summer_t **out)
{
    kap_summer_t *s = calloc(1, sizeof *s);

    if (s == NULL)
        return KAP_E_NOMEM;
    s->txn = txn;
    s->arena = arena;
    s->dir = dir;
    int rc = kap_cursor_open(txn, KAP_ROWS_CELLS, &s->cells);
    if (rc == KAP_OK)
        rc = kap_cursor_open(txn, KAP_ROWS_SKETCHES, &s->sketches);
    if (rc == KAP_OK)
        rc = kap_cursor_open(txn, KAP_ROWS_COHORT, &s->cohort);
    if (rc == KAP_OK)
        rc = find_regions(s);
    if (rc == KAP_OK)
        *out = s;
    else
        kap_summer_destroy(&s);
    return rc;
}

void kap_summer_destroy(kap_summer_t **summer)
{
    kap_summer_t *s = *summer;

    if (s == NULL)
        return;
    kap_cursor_close(&s->cells);
    kap_cursor_close(&s->sketches);
    kap_cursor_close(&s->cohort);
    free(s->values);
    free(s);
    *summer = NULL;
}

/* --- which rows make up a scope --- */

typedef struct {
    kap_summer_t *s;
    const kap_sum_query_t *query;
    kap_sum_place_fn fn;
    void *arg;
} placing_t;

static int place(const placing_t *p, kap_level_t level, uint32_t region, uint32_t a, uint32_t b)
{
    bool both = level >= KAP_LEVEL_REGION;
    bool cases = both || level == KAP_LEVEL_MEMBER || level == KAP_LEVEL_PAIR ||
                 level == KAP_LEVEL_ORGANISATION;
    kap_sum_place_t at = {level, region, a, b, cases, both || !cases};

    return p->fn(p->arg, &at);
}

/* The same in the scope's region, or in all of the mesh. */
static int place_in_regions(const placing_t *p, kap_level_t level, uint32_t a, uint32_t b)
{
    const kap_scope_t *scope = &p->query->scope;
    int rc = KAP_OK;

    if (scope->region.size > 0)
        return place(p, level, scope->region_number, a, b);
    for (uint32_t i = 0; rc == KAP_OK && i < p->s->region_count; i++)
        rc = place(p, level, p->s->regions[i], a, b);
    return rc;
}

static kap_level_t side_of(const kap_sum_query_t *query)
{
    return query->side == KAP_SIDE_SENDS ? KAP_LEVEL_SENDS : KAP_LEVEL_GETS;
}

typedef int (*member_fn)(void *arg, uint32_t member);

/* Members of the organisation, by the directory of today. */
static int each_member(kap_summer_t *s, kap_span_t organisation, member_fn fn, void *arg)
{
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < kap_directory_member_count(s->dir); i++) {
        const kap_member_t *m = kap_directory_member_at(s->dir, i);
        uint32_t number = 0;
        if (!kap_span_eq(m->organisation, organisation))
            continue;
        rc = kap_rows_number(s->txn, m->id, &number);
        if (rc == KAP_OK && number != 0)
            rc = fn(arg, number);
    }
    return rc;
}

int kap_sum_add_member(kap_sum_members_t *m, uint32_t member)
{
    if (m->count == m->cap) {
        uint32_t cap = m->cap == 0 ? 16 : m->cap * 2;
        uint32_t *grown = kap_arena_alloc(m->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (m->count > 0)
            memcpy(grown, m->numbers, m->count * sizeof *grown);
        m->numbers = grown;
        m->cap = cap;
    }
    m->numbers[m->count++] = member;
    return KAP_OK;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int take_member(void *arg, uint32_t member)
{
    return kap_sum_add_member(arg, member);
}

int kap_sum_members(kap_summer_t *s, kap_span_t organisation, kap_sum_members_t *out)
{
    int rc = each_member(s, organisation, take_member, out);

    if (rc == KAP_OK && out->count > 0)
        qsort(out->numbers, out->count, sizeof *out->numbers, by_number);
    return rc;
}

bool kap_sum_is_among(const kap_sum_members_t *m, uint32_t member)
{
    return m->count > 0 && bsearch(&member, m->numbers, m->count, sizeof member, by_number) != NULL;
}

static int place_member(void *arg, uint32_t member)
{
    const placing_t *p = arg;

    return place_in_regions(p, side_of(p->query), member, 0);
}

static int places_of_edge(const placing_t *p)
{
    const kap_scope_t *scope = &p->query->scope;
    uint32_t low = scope->a < scope->b ? scope->a : scope->b;
    uint32_t high = scope->a < scope->b ? scope->b : scope->a;
    int rc = place_in_regions(p, KAP_LEVEL_EDGE, scope->a, scope->b);

    return rc != KAP_OK ? rc : place(p, KAP_LEVEL_PAIR, scope->region_number, low, high);
}

int kap_sum_places(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_place_fn fn,
                   void *arg)
{
    placing_t p = {summer, query, fn, arg};
    const kap_scope_t *scope = &query->scope;
    int rc;

    if (scope->region.size > 0 && scope->region_number == 0)
        return KAP_OK;
    switch (scope->kind) {
    case KAP_SCOPE_REGION:
        return place(&p, KAP_LEVEL_REGION, scope->region_number, 0, 0);
    case KAP_SCOPE_AREA:
        return scope->region_number == 0 ? KAP_OK
                                         : place(&p, KAP_LEVEL_AREA, scope->region_number, 0, 0);
    case KAP_SCOPE_NATION:
        return place(&p, KAP_LEVEL_NATION, 0, 0, 0);
    case KAP_SCOPE_ORGANISATION:
        rc = scope->a == 0 ? KAP_OK : place(&p, KAP_LEVEL_ORGANISATION, 0, scope->a, 0);
        return rc != KAP_OK ? rc : each_member(summer, scope->organisation, place_member, &p);
    case KAP_SCOPE_MEMBER:
        if (scope->a == 0)
            return KAP_OK;
        rc = place_member(&p, scope->a);
        return rc != KAP_OK ? rc : place(&p, KAP_LEVEL_MEMBER, scope->region_number, scope->a, 0);
    case KAP_SCOPE_EDGE:
        return scope->a == 0 || scope->b == 0 ? KAP_OK : places_of_edge(&p);
    }
    return KAP_E_INTERNAL;
}

/* --- the cohort --- */

/* Facts asked for: those of the query in a span of time. */
typedef struct {
    kap_summer_t *s;
    const kap_sum_query_t *query;
    kap_instants_t span;
    bool utc;
    kap_sum_fact_fn fn;
    void *arg;
    kap_sum_members_t members; /* of an organisation: one end is among them */
} gleaner_t;

static bool fact_fits(const gleaner_t *g, const kap_fact_t *fact)
{
    const kap_sum_query_t *q = g->query;

    if (q->scope.kind == KAP_SCOPE_AREA && fact->area != q->scope.region_number)
        return false;
    if (q->scope.kind == KAP_SCOPE_NATION && fact->area == 0)
        return false;
    return (q->breakdown == KAP_BREAKDOWN_NONE || fact->breakdown[q->breakdown] == q->value) &&
           (q->breakdown2 == KAP_BREAKDOWN_NONE || fact->breakdown[q->breakdown2] == q->value2);
}

/* The facts of one edge; the cursor may stand anywhere. */
static int glean_edge(const gleaner_t *g, uint32_t region, uint32_t from, uint32_t to)
{
    kap_cohort_key_t at = {region, from, to, g->span.from_ms, 0, g->utc};
    kap_cursor_t *cohort = g->s->cohort;
    uint8_t key[KAP_COHORT_KEY];
    kap_fact_t fact;

    kap_cohort_key(key, &at);
    int rc = kap_cursor_seek_ge(cohort, kap_span(key, sizeof key));
    for (; rc == KAP_OK; rc = kap_cursor_next(cohort)) {
        if (!kap_cohort_split(kap_cursor_key(cohort), &at))
            return KAP_E_CORRUPT;
        if (at.region != region || at.from != from || at.to != to ||
            (g->span.to_ms != INT64_MAX && at.at >= g->span.to_ms))
            break;
        rc = kap_fact_unpack(kap_cursor_value(cohort), &fact);
        if (rc == KAP_OK && fact_fits(g, &fact))
            rc = g->fn(g->arg, &at, &fact);
        if (rc != KAP_OK)
            return rc;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static bool edge_is_wanted(const gleaner_t *g, uint32_t from, uint32_t to, uint32_t only_to)
{
    bool sends = g->query->side == KAP_SIDE_SENDS;

    if (g->query->scope.kind == KAP_SCOPE_ORGANISATION)
        return kap_sum_is_among(&g->members, sends ? from : to);
    return only_to == 0 || to == only_to;
}

/* Goes from one edge of the region to the next. `from` 0: of all senders. */
static int glean_region(const gleaner_t *g, uint32_t region, uint32_t from, uint32_t to)
{
    kap_cohort_key_t at = {.region = region, .from = from, .at = INT64_MIN};
    uint8_t key[KAP_COHORT_KEY];

    for (;;) {
        kap_cohort_key(key, &at);
        int rc = kap_cursor_seek_ge(g->s->cohort, kap_span(key, sizeof key));
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
        if (!kap_cohort_split(kap_cursor_key(g->s->cohort), &at))
            return KAP_E_CORRUPT;
        if (at.region != region || (from != 0 && at.from != from))
            return KAP_OK;
        if (edge_is_wanted(g, at.from, at.to, to))
            rc = glean_edge(g, region, at.from, at.to);
        if (rc != KAP_OK)
            return rc;
        at.at = INT64_MAX;
        at.seq = UINT64_MAX;
    }
}

/* The same in the scope's region, or in all of the mesh. */
static int glean_regions(const gleaner_t *g, uint32_t from, uint32_t to)
{
    const kap_scope_t *scope = &g->query->scope;
    bool one = scope->region.size > 0;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < (one ? 1 : g->s->region_count); i++) {
        uint32_t region = one ? scope->region_number : g->s->regions[i];
        rc = from != 0 && to != 0 ? glean_edge(g, region, from, to)
                                  : glean_region(g, region, from, to);
    }
    return rc;
}

static int glean_member(const gleaner_t *g, uint32_t member)
{
    bool sends = g->query->side == KAP_SIDE_SENDS;

    return glean_regions(g, sends ? member : 0, sends ? 0 : member);
}

static int glean_organisation(gleaner_t *g)
{
    g->members = (kap_sum_members_t){.arena = g->s->arena};
    int rc = kap_sum_members(g->s, g->query->scope.organisation, &g->members);

    return rc != KAP_OK || g->members.count == 0 ? rc : glean_regions(g, 0, 0);
}

/* The facts of the scope in a span of time. */
static int glean(gleaner_t *g)
{
    const kap_scope_t *scope = &g->query->scope;

    bool unknown = (scope->region.size > 0 || scope->kind == KAP_SCOPE_AREA) &&
                   scope->region_number == 0; /* 0 stands for none in a fact */

    if (g->span.from_ms >= g->span.to_ms || unknown)
        return KAP_OK;
    switch (scope->kind) {
    case KAP_SCOPE_REGION:
    case KAP_SCOPE_AREA:
    case KAP_SCOPE_NATION:
        return glean_regions(g, 0, 0);
    case KAP_SCOPE_ORGANISATION:
        return glean_organisation(g);
    case KAP_SCOPE_MEMBER:
        return scope->a == 0 ? KAP_OK : glean_member(g, scope->a);
    case KAP_SCOPE_EDGE:
        return scope->a == 0 || scope->b == 0 ? KAP_OK : glean_regions(g, scope->a, scope->b);
    }
    return KAP_E_INTERNAL;
}

int kap_sum_facts(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_fact_fn fn, void *arg)
{
    gleaner_t g = {.s = summer,
                   .query = query,
                   .span = {query->window.from_ms, query->window.to_ms},
                   .utc = query->scope.utc,
                   .fn = fn,
                   .arg = arg};

    return summer->now != NULL ? kap_now_facts(summer, query, fn, arg) : glean(&g);
}

/* --- walking cells --- */

static unsigned kept(const kap_sum_query_t *q, kap_level_t level, bool counts)
{
    unsigned periods = 0;

    for (int period = KAP_PERIOD_YEAR; period <= KAP_PERIOD_DAY; period++) {
        if (kap_cell_kept(level, q->breakdown, (kap_period_t)period, counts))
            periods |= 1u << period;
    }
    return q->breakdown2 == KAP_BREAKDOWN_NONE ? periods : 0;
}

static int walk_piece(const kap_sum_walk_t *w, const kap_sum_place_t *at,
                      const kap_span_of_periods_t *piece)
{
    kap_cursor_t *cursor = w->counts ? w->s->cells : w->s->sketches;
    kap_cell_t cell = {
        at->level,   at->region, at->a, at->b, (uint8_t)w->query->breakdown, (uint8_t)piece->period,
        piece->first};
    uint8_t first[KAP_CELL_KEY], last[KAP_CELL_KEY];

    kap_cell_key(first, &cell);
    cell.at = piece->last;
    kap_cell_key(last, &cell);
    int rc = kap_cursor_seek_ge(cursor, kap_span(first, sizeof first));
    for (; rc == KAP_OK; rc = kap_cursor_next(cursor)) {
        if (kap_span_cmp(kap_cursor_key(cursor), kap_span(last, sizeof last)) > 0)
            break;
        rc = w->row(w->arg, at, kap_cursor_value(cursor));
        if (rc != KAP_OK)
            return rc;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int walk_place(void *arg, const kap_sum_place_t *at)
{
    const kap_sum_walk_t *w = arg;
    kap_span_of_periods_t pieces[KAP_WINDOW_PIECES];
    kap_instants_t rest[2];
    int rc = KAP_OK;

    if (!w->counts && !(w->cases ? at->cases : at->others))
        return KAP_OK;
    uint32_t count = kap_window_pieces(&w->query->window, w->query->scope.utc,
                                       kept(w->query, at->level, w->counts), pieces, rest);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = walk_piece(w, at, &pieces[i]);
    return rc;
}

/* The level whose rows hold the referrals of the scope. */
static kap_level_t level_of(const kap_sum_query_t *q)
{
    static const kap_level_t levels[] = {
        [KAP_SCOPE_REGION] = KAP_LEVEL_REGION,
        [KAP_SCOPE_AREA] = KAP_LEVEL_AREA,
        [KAP_SCOPE_NATION] = KAP_LEVEL_NATION,
        [KAP_SCOPE_EDGE] = KAP_LEVEL_EDGE,
    };
    bool member = q->scope.kind == KAP_SCOPE_MEMBER || q->scope.kind == KAP_SCOPE_ORGANISATION;

    return member ? side_of(q) : levels[q->scope.kind];
}

/* Facts of the referrals that no whole period of the walk held. */
static int walk_rest(const kap_sum_walk_t *w)
{
    const kap_sum_query_t *of = w->facts_of != NULL ? w->facts_of : w->query;
    kap_span_of_periods_t pieces[KAP_WINDOW_PIECES];
    kap_instants_t rest[2];
    int rc = KAP_OK;

    kap_window_pieces(&w->query->window, w->query->scope.utc,
                      kept(w->query, level_of(w->query), w->counts), pieces, rest);
    for (int i = KAP_SEEDED_BUG("rest_left_out"); rc == KAP_OK && i < 2; i++) {
        gleaner_t g = {.s = w->s,
                       .query = of,
                       .span = rest[i],
                       .utc = of->scope.utc,
                       .fn = w->fact,
                       .arg = w->arg};
        rc = glean(&g);
    }
    return rc;
}

int kap_sum_walk(const kap_sum_walk_t *walk)
{
    int rc = kap_sum_places(walk->s, walk->query, walk_place, (void *)walk);

    return rc != KAP_OK || walk->fact == NULL ? rc : walk_rest(walk);
}

/* --- counts --- */

typedef struct {
    const kap_sum_query_t *query;
    kap_vector_t *sum;
} counting_t;

static int add_row(void *arg, const kap_sum_place_t *at, kap_span_t value)
{
    counting_t *c = arg;
    const kap_sum_query_t *q = c->query;
    kap_vector_t row = {0};
    int rc =
        kap_cell_add(value, q->breakdown, q->breakdown == KAP_BREAKDOWN_NONE ? -1 : q->value, &row);

    for (int i = 0; rc == KAP_OK && i < KAP_FIGURE_COUNT; i++) {
        if (kap_figure_is_of_case((kap_figure_t)i) ? at->cases : at->others)
            c->sum->counts[i] += row.counts[i];
    }
    return rc;
}

/* Flows lie in the periods in which they happened, not in that of the fact: whole periods only. */
static bool is_flow(int figure)
{
    return figure >= KAP_FIGURE_FLOW_DELIVERED && figure <= KAP_FIGURE_FLOW_WITHDRAWN;
}

static int add_fact(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact)
{
    counting_t *c = arg;

    (void)key;
    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        if (!is_flow(i))
            c->sum->counts[i] += kap_fact_count(fact, (kap_figure_t)i);
    }
    return KAP_OK;
}

int kap_sum_counts(kap_summer_t *summer, const kap_sum_query_t *query, kap_vector_t *sum)
{
    counting_t c = {query, sum};
    kap_sum_walk_t w = {
        .s = summer, .query = query, .counts = true, .row = add_row, .fact = add_fact, .arg = &c};

    return summer->now != NULL ? kap_now_counts(summer, query, sum) : kap_sum_walk(&w);
}

/* --- refused events: they have no region --- */

static int add_refused(kap_summer_t *s, const kap_sum_query_t *query, uint32_t member,
                       kap_vector_t *sum)
{
    kap_vector_t all = {0};
    counting_t c = {query, &all};
    kap_sum_walk_t w = {.s = s, .query = query, .counts = true, .row = add_row, .arg = &c};
    kap_sum_place_t at = {.level = KAP_LEVEL_GETS, .a = member, .others = true};
    int rc = member == 0 ? KAP_OK : walk_place(&w, &at);

    sum->counts[KAP_FIGURE_REFUSED] += all.counts[KAP_FIGURE_REFUSED];
    return rc;
}

/* Does the member act in what is asked for? */
static bool acts_in(const kap_directory_t *dir, const kap_scope_t *scope, const kap_member_t *m)
{
    switch (scope->kind) {
    case KAP_SCOPE_ORGANISATION:
        return kap_span_eq(m->organisation, scope->organisation);
    case KAP_SCOPE_MEMBER:
        return kap_span_eq(m->id, scope->member);
    case KAP_SCOPE_REGION:
    case KAP_SCOPE_AREA:
        for (uint32_t i = 0; i < m->region_count; i++) {
            const kap_region_t *region = kap_directory_region_at(dir, m->regions[i]);
            if (kap_span_eq(region->id, scope->region) ||
                (scope->kind == KAP_SCOPE_AREA && kap_span_eq(region->area, scope->area)))
                return true;
        }
        return false;
    default:
        return false;
    }
}

int kap_sum_refused(kap_summer_t *summer, const kap_sum_query_t *query, kap_vector_t *sum)
{
    int rc = KAP_OK;

    for (uint32_t i = 0;
         rc == KAP_OK && !query->scope.utc && i < kap_directory_member_count(summer->dir); i++) {
        const kap_member_t *m = kap_directory_member_at(summer->dir, i), *now = m;
        uint32_t number = 0;
        rc = kap_now_successor(summer, m, &now);
        if (rc == KAP_OK && !acts_in(summer->dir, &query->scope, now))
            continue;
        if (rc == KAP_OK)
            rc = kap_rows_number(summer->txn, m->id, &number);
        if (rc == KAP_OK)
            rc = add_refused(summer, query, number, sum);
    }
    return rc;
}
