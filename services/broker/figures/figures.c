/* SPDX-License-Identifier: MPL-2.0 */
#include "figures.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "cell.h"
#include "err.h"
#include "mp.h"
#include "sketch.h"

enum { PAGE_BYTES = 900 << 10 /* of edges in one answer: a frame holds them and one more */ };

/* One query while it runs. */
typedef struct {
    kap_txn_t *txn;
    const kap_edges_query_t *query;
    const kap_directory_t *dir;
    kap_arena_t *arena;
    kap_edges_t *out;
    uint32_t region, scope, cap;
    int64_t from_ms, to_ms;       /* the window */
    bool whole;                   /* months below may be taken from cells */
    int32_t month_from, month_to; /* whole months in the window, [from, to) */
    int64_t inner_from, inner_to; /* the instants they cover */
    kap_cursor_t *cells, *sketches, *cohort;
    int64_t *values; /* times of the edge in hand, as far as exact */
    size_t value_count, value_cap;
    uint64_t *sketch; /* KAP_SKETCH_BUCKETS counts, of the edge in hand */
} edges_t;

static int32_t month_of(kap_date_t date)
{
    return date.year * 12 + date.month - 1;
}

/* Finds the whole months of the window, if its days are those of the cells. */
static void window(edges_t *q, bool utc)
{
    const kap_edges_query_t *query = q->query;
    kap_zone_t zone = query->zone;

    q->from_ms = query->has_from ? kap_day_start_ms(zone, query->from) : INT64_MIN;
    q->to_ms = query->has_to ? kap_day_start_ms(zone, query->to) : INT64_MAX;
    q->whole = zone == kap_cell_zone(utc);
    q->month_from = query->has_from ? month_of(query->from) + (query->from.day > 1) : INT32_MIN;
    q->month_to = query->has_to ? month_of(query->to) : INT32_MAX;
    if (!query->has_from && !query->has_to)
        q->whole = true; /* everything: whatever the zone */
    if (q->month_from >= q->month_to)
        q->whole = false;
    q->inner_from = !query->has_from ? INT64_MIN
                    : q->whole       ? kap_cell_start(KAP_PERIOD_MONTH, zone, q->month_from)
                                     : 0;
    q->inner_to = !query->has_to ? INT64_MAX
                  : q->whole     ? kap_cell_start(KAP_PERIOD_MONTH, zone, q->month_to)
                                 : 0;
}

static int add_value(edges_t *q, int64_t ms)
{
    if (q->value_count == q->value_cap) {
        size_t cap = q->value_cap == 0 ? 256 : q->value_cap * 2;
        int64_t *grown = realloc(q->values, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        q->values = grown;
        q->value_cap = cap;
    }
    q->values[q->value_count++] = ms;
    return KAP_OK;
}

static kap_figure_time_t time_asked(const edges_t *q)
{
    return q->query->clock == KAP_CLOCK_CUSTOMER ? KAP_FIGURE_TIME_ACCEPT_CUSTOMER
                                                 : KAP_FIGURE_TIME_ACCEPT;
}

static int64_t time_in(const edges_t *q, const kap_fact_t *fact)
{
    const kap_spent_t *t = &fact->times[time_asked(q)];

    return q->query->elapsed ? t->elapsed_ms : t->working_ms;
}

/* What is done with each cohort row of a span of time. */
typedef enum { COUNT = 1, VALUES = 2, SKETCH = 4 } take_t;

static int take(edges_t *q, kap_edge_t *edge, const kap_fact_t *fact, unsigned what)
{
    int64_t ms = time_in(q, fact);

    for (int i = 0; (what & COUNT) && i < KAP_EDGE_FIGURES; i++)
        edge->counts[i] += kap_fact_count(fact, (kap_figure_t)i);
    if (ms == KAP_REFERRAL_NO_SPAN_MS)
        return KAP_OK;
    if (what & SKETCH)
        q->sketch[kap_sketch_bucket(ms)]++;
    return what & VALUES ? add_value(q, ms) : KAP_OK;
}

/* An edge by the numbers of its ends. */
typedef struct {
    uint32_t from, to;
} ends_t;

/* Walks the cohort rows of an edge created in [from_ms, to_ms). */
static int walk_cohort(edges_t *q, ends_t ends, kap_edge_t *edge, int64_t from_ms, int64_t to_ms,
                       unsigned what)
{
    kap_cohort_key_t key = {.region = q->region, .from = ends.from, .to = ends.to, .at = from_ms};
    uint8_t bytes[KAP_COHORT_KEY];
    kap_fact_t fact;

    if (from_ms >= to_ms)
        return KAP_OK;
    kap_cohort_key(bytes, &key);
    int rc = kap_cursor_seek_ge(q->cohort, kap_span(bytes, sizeof bytes));
    for (; rc == KAP_OK; rc = kap_cursor_next(q->cohort)) {
        if (!kap_cohort_split(kap_cursor_key(q->cohort), &key))
            return KAP_E_CORRUPT;
        if (key.region != q->region || key.from != ends.from || key.to != ends.to ||
            (to_ms != INT64_MAX && key.at >= to_ms))
            break;
        rc = kap_fact_unpack(kap_cursor_value(q->cohort), &fact);
        if (rc == KAP_OK)
            rc = take(q, edge, &fact, what);
        if (rc != KAP_OK)
            return rc;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* The same for the parts of the window that cells do not cover. */
static int walk_rest(edges_t *q, ends_t ends, kap_edge_t *edge, unsigned what)
{
    if (!q->whole)
        return walk_cohort(q, ends, edge, q->from_ms, q->to_ms, what);
    int rc = walk_cohort(q, ends, edge, q->from_ms, q->inner_from, what);
    return rc != KAP_OK ? rc : walk_cohort(q, ends, edge, q->inner_to, q->to_ms, what);
}

/* Takes one row of cells or sketches. */
static int take_month(edges_t *q, kap_cursor_t *cursor, kap_edge_t *edge)
{
    kap_span_t row = kap_cursor_value(cursor);
    kap_vector_t vector = {0};

    if (cursor == q->sketches)
        return kap_cell_add_times(row, KAP_BREAKDOWN_NONE, 0,
                                  kap_cell_which(time_asked(q), q->query->elapsed), q->sketch);
    int rc = kap_cell_add(row, KAP_BREAKDOWN_NONE, 0, &vector);
    for (int i = 0; i < KAP_EDGE_FIGURES; i++)
        edge->counts[i] += vector.counts[i];
    return rc;
}

/* Walks the rows of one table that belong to the edge's whole months. */
static int walk_months(edges_t *q, kap_cursor_t *cursor, ends_t ends, kap_edge_t *edge)
{
    kap_cell_t cell = {.level = KAP_LEVEL_EDGE,
                       .region = q->region,
                       .a = ends.from,
                       .b = ends.to,
                       .breakdown = KAP_BREAKDOWN_NONE,
                       .period = KAP_PERIOD_MONTH,
                       .at = q->month_from};
    uint8_t first[KAP_CELL_KEY], end[KAP_CELL_KEY];

    kap_cell_key(first, &cell);
    cell.at = q->month_to;
    kap_cell_key(end, &cell);
    int rc = kap_cursor_seek_ge(cursor, kap_span(first, sizeof first));
    while (rc == KAP_OK && kap_span_cmp(kap_cursor_key(cursor), kap_span(end, sizeof end)) < 0) {
        rc = take_month(q, cursor, edge);
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Nearest rank: the ceil(p n)-th smallest. */
static int64_t rank(const edges_t *q, size_t percent)
{
    return q->values[(q->value_count * percent + 99) / 100 - 1];
}

static int times(edges_t *q, ends_t ends, kap_edge_t *edge)
{
    kap_edge_time_t *t = &edge->to_accept;
    int rc;

    *t = (kap_edge_time_t){.p50_ms = -1, .p90_ms = -1, .p99_ms = -1};
    t->exact = edge->counts[KAP_FIGURE_REFERRALS] <= KAP_FIGURES_EXACT_MAX;
    if (t->exact) {
        q->value_count = 0;
        rc = walk_cohort(q, ends, edge, q->from_ms, q->to_ms, VALUES);
        t->n = q->value_count;
        if (rc != KAP_OK || t->n == 0)
            return rc;
        qsort(q->values, q->value_count, sizeof *q->values, by_value);
        t->p50_ms = rank(q, 50);
        t->p90_ms = rank(q, 90);
        t->p99_ms = rank(q, 99);
        return KAP_OK;
    }
    memset(q->sketch, 0, KAP_SKETCH_BUCKETS * sizeof *q->sketch);
    rc = walk_rest(q, ends, edge, SKETCH);
    if (rc == KAP_OK && q->whole)
        rc = walk_months(q, q->sketches, ends, edge);
    for (int i = 0; i < KAP_SKETCH_BUCKETS; i++)
        t->n += q->sketch[i];
    t->p50_ms = kap_sketch_rank(q->sketch, 50);
    t->p90_ms = kap_sketch_rank(q->sketch, 90);
    t->p99_ms = kap_sketch_rank(q->sketch, 99);
    return rc;
}

/* Actors of an archive are no members, whatever they are called. */
static int name_of(const edges_t *q, uint32_t number, kap_span_t *id, kap_span_t *name)
{
    int rc = kap_rows_text(q->txn, number, id);

    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    if (q->scope != 0)
        return kap_rows_title(q->txn, q->scope, *id, name);
    const kap_member_t *m = q->dir == NULL ? NULL : kap_directory_member(q->dir, *id);
    *name = m != NULL && m->name_fi.size > 0 ? m->name_fi : *id;
    return KAP_OK;
}

static int keep(edges_t *q, const kap_edge_t *edge)
{
    if (q->out->count == q->cap) {
        uint32_t cap = q->cap == 0 ? 64 : q->cap * 2;
        kap_edge_t *grown = kap_arena_alloc(q->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (q->out->count > 0)
            memcpy(grown, q->out->edges, q->out->count * sizeof *grown);
        q->out->edges = grown;
        q->cap = cap;
    }
    q->out->edges[q->out->count++] = *edge;
    q->out->n += edge->counts[KAP_FIGURE_REFERRALS];
    q->out->pending += edge->counts[KAP_FIGURE_PENDING];
    return KAP_OK;
}

static int one_edge(edges_t *q, ends_t ends)
{
    kap_edge_t edge = {0};
    uint64_t any = 0;

    int rc = walk_rest(q, ends, &edge, COUNT);
    if (rc == KAP_OK && q->whole)
        rc = walk_months(q, q->cells, ends, &edge);
    for (int i = 0; i < KAP_EDGE_FIGURES; i++)
        any |= edge.counts[i];
    if (rc != KAP_OK || any == 0)
        return rc;
    rc = times(q, ends, &edge);
    if (rc == KAP_OK)
        rc = name_of(q, ends.from, &edge.from, &edge.from_name);
    if (rc == KAP_OK)
        rc = name_of(q, ends.to, &edge.to, &edge.to_name);
    return rc != KAP_OK ? rc : keep(q, &edge);
}

/* Every edge of the region has cells: goes from one to the next. */
static int walk_edges(edges_t *q)
{
    kap_cell_t cell = {.level = KAP_LEVEL_EDGE, .region = q->region, .at = INT32_MIN};
    uint8_t key[KAP_CELL_KEY];

    for (;;) {
        kap_cell_key(key, &cell);
        int rc = kap_cursor_seek_ge(q->cells, kap_span(key, sizeof key));
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
        if (!kap_cell_split(kap_cursor_key(q->cells), &cell))
            return KAP_E_CORRUPT;
        if (cell.level != KAP_LEVEL_EDGE || cell.region != q->region)
            return KAP_OK;
        rc = one_edge(q, (ends_t){cell.a, cell.b});
        if (rc != KAP_OK)
            return rc;
        cell.breakdown = cell.period = UINT8_MAX; /* behind all of the edge */
    }
}

static int by_ids(const void *a, const void *b)
{
    const kap_edge_t *x = a, *y = b;
    int order = kap_span_cmp(x->from, y->from);

    return order != 0 ? order : kap_span_cmp(x->to, y->to);
}

int kap_figures_edges(kap_txn_t *txn, const kap_edges_query_t *query, const kap_directory_t *dir,
                      kap_arena_t *arena, kap_edges_t *out)
{
    edges_t q = {.txn = txn, .query = query, .dir = dir, .arena = arena, .out = out};
    kap_head_t head;
    int rc = kap_rows_head(txn, &head);

    *out = (kap_edges_t){0};
    if (rc == KAP_OK)
        rc = kap_rows_number(txn, query->region, &q.region);
    if (rc == KAP_OK)
        rc = kap_rows_scope(txn, query->region, &q.scope);
    if (rc != KAP_OK)
        return rc;
    out->as_of_seq = head.figures_seq;
    out->as_of_time = head.figures_time;
    if (q.region == 0)
        return KAP_OK;
    window(&q, q.scope != 0);
    q.sketch = kap_arena_alloc(arena, KAP_SKETCH_BUCKETS * sizeof *q.sketch);
    rc = q.sketch == NULL ? KAP_E_NOMEM : kap_cursor_open(txn, KAP_ROWS_CELLS, &q.cells);
    if (rc == KAP_OK)
        rc = kap_cursor_open(txn, KAP_ROWS_SKETCHES, &q.sketches);
    if (rc == KAP_OK)
        rc = kap_cursor_open(txn, KAP_ROWS_COHORT, &q.cohort);
    if (rc == KAP_OK)
        rc = walk_edges(&q);
    kap_cursor_close(&q.cells);
    kap_cursor_close(&q.sketches);
    kap_cursor_close(&q.cohort);
    free(q.values);
    if (rc != KAP_OK)
        return rc;
    if (out->count > 0)
        qsort(out->edges, out->count, sizeof *out->edges, by_ids);
    out->decided = out->n - out->pending;
    return KAP_OK;
}

/* --- encoding --- */

static void put_date(kap_buf_t *buf, bool there, kap_date_t date)
{
    char text[KAP_TIME_TEXT];

    if (!there) {
        kap_mp_put_nil(buf);
        return;
    }
    kap_date_format(date, text);
    kap_mp_put_cstr(buf, text);
}

static void put_ms(kap_buf_t *buf, const char *key, int64_t ms)
{
    kap_mp_put_cstr(buf, key);
    if (ms < 0)
        kap_mp_put_nil(buf);
    else
        kap_mp_put_int(buf, ms);
}

static void put_edge_map(kap_buf_t *buf, const kap_edge_t *edge)
{
    kap_mp_put_map(buf, 4 + KAP_EDGE_FIGURES + 1);
    kap_mp_put_cstr(buf, "from");
    kap_mp_put_str(buf, edge->from);
    kap_mp_put_cstr(buf, "to");
    kap_mp_put_str(buf, edge->to);
    kap_mp_put_cstr(buf, "from_name");
    kap_mp_put_str(buf, edge->from_name);
    kap_mp_put_cstr(buf, "to_name");
    kap_mp_put_str(buf, edge->to_name);
    for (int i = 0; i < KAP_EDGE_FIGURES; i++) {
        kap_mp_put_cstr(buf, kap_figure_name((kap_figure_t)i));
        kap_mp_put_uint(buf, edge->counts[i]);
    }
    kap_mp_put_cstr(buf, "time_to_accept");
    kap_mp_put_map(buf, 5);
    kap_mp_put_cstr(buf, "n");
    kap_mp_put_uint(buf, edge->to_accept.n);
    put_ms(buf, "p50_ms", edge->to_accept.p50_ms);
    put_ms(buf, "p90_ms", edge->to_accept.p90_ms);
    put_ms(buf, "p99_ms", edge->to_accept.p99_ms);
    kap_mp_put_cstr(buf, "exact");
    kap_mp_put_bool(buf, edge->to_accept.exact);
}

/* The edges behind the query's, as many as fit, into *page: how many; *more: there are others. */
static uint32_t put_page(kap_buf_t *page, const kap_edges_query_t *query, const kap_edges_t *edges,
                         bool *more)
{
    const kap_edge_t after = {.from = query->after_from, .to = query->after_to};
    uint32_t first = 0, at;

    while (first < edges->count && after.from.size > 0 && by_ids(&edges->edges[first], &after) <= 0)
        first++;
    for (at = first; at < edges->count && page->size < PAGE_BYTES; at++)
        put_edge_map(page, &edges->edges[at]);
    *more = at < edges->count;
    return at - first;
}

void kap_figures_edges_encode(kap_buf_t *buf, const kap_edges_query_t *query,
                              const kap_edges_t *edges)
{
    kap_buf_t page = {0};
    bool more;
    uint32_t count = put_page(&page, query, edges, &more);

    kap_mp_put_map(buf, 11);
    kap_mp_put_cstr(buf, "window");
    kap_mp_put_map(buf, 3);
    kap_mp_put_cstr(buf, "from");
    put_date(buf, query->has_from, query->from);
    kap_mp_put_cstr(buf, "to");
    put_date(buf, query->has_to, query->to);
    kap_mp_put_cstr(buf, "zone");
    kap_mp_put_cstr(buf, query->zone == KAP_ZONE_UTC ? "UTC" : "Europe/Helsinki");
    kap_mp_put_cstr(buf, "kind");
    kap_mp_put_cstr(buf, "cohort");
    kap_mp_put_cstr(buf, "clock");
    kap_mp_put_cstr(buf, query->clock == KAP_CLOCK_CUSTOMER ? "customer" : "recipient");
    kap_mp_put_cstr(buf, "time");
    kap_mp_put_cstr(buf, query->elapsed ? "elapsed" : "working");
    kap_mp_put_cstr(buf, "as_of_seq");
    kap_mp_put_uint(buf, edges->as_of_seq);
    kap_mp_put_cstr(buf, "as_of_time");
    kap_mp_put_int(buf, edges->as_of_time);
    kap_mp_put_cstr(buf, "n");
    kap_mp_put_uint(buf, edges->n);
    kap_mp_put_cstr(buf, "decided");
    kap_mp_put_uint(buf, edges->decided);
    kap_mp_put_cstr(buf, "pending");
    kap_mp_put_uint(buf, edges->pending);
    kap_mp_put_cstr(buf, "more");
    kap_mp_put_bool(buf, more);
    kap_mp_put_cstr(buf, "edges");
    kap_mp_put_array(buf, count);
    kap_buf_append(buf, kap_buf_span(&page));
    if (buf->err == KAP_OK)
        buf->err = page.err;
    kap_buf_fini(&page);
}
