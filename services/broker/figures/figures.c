/* SPDX-License-Identifier: MPL-2.0 */
#include "figures.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "mp.h"
#include "seeded.h"
#include "sketch.h"

enum {
    COHORT_KEY = 4 + 4 + 4 + 8 + 8,
    CELL_KEY = 4 + 4 + 4 + 4,
    EDGE_KEY = 12,
    PAGE_BYTES = 900 << 10, /* of edges in one answer: a frame holds them and one more */
};

/* The sketches of a row: recipient's and customer's clock, working and elapsed time. */
static unsigned which(int clock, bool elapsed)
{
    return (unsigned)clock * 2 + (elapsed ? 1 : 0);
}

const char *kap_edges_figure_name(kap_figure_t figure)
{
    static const char *const names[] = {
#define KAP_FIGURE(NAME, wire, meaning) wire,
#include "edges.def"
#undef KAP_FIGURE
    };

    return names[figure];
}

/* --- contributions --- */

static uint32_t bit(kap_figure_t figure)
{
    return UINT32_C(1) << figure;
}

static uint32_t figures_of_end(const kap_referral_t *r)
{
    bool accepted = r->accepted_at != KAP_REFERRAL_NO_TIME;
    uint32_t backed = accepted ? bit(KAP_FIGURE_BACKED_OUT) : 0;

    switch (r->state) {
    case KAP_STATE_DECLINED:
        return bit(KAP_FIGURE_DECLINED) | backed;
    case KAP_STATE_REDIRECTED:
        return bit(KAP_FIGURE_REDIRECTED) | backed;
    case KAP_STATE_COMPLETED:
        return bit(KAP_FIGURE_COMPLETED);
    case KAP_STATE_WITHDRAWN:
        return bit(KAP_FIGURE_WITHDRAWN);
    case KAP_STATE_EXPIRED:
        return bit(KAP_FIGURE_EXPIRED);
    default:
        return 0;
    }
}

static uint32_t figures_of_transfer(const kap_referral_t *r)
{
    uint32_t figures = bit(KAP_FIGURE_REFERRALS) | figures_of_end(r);
    bool ended = kap_state_is_terminal(r->state);

    if (r->accepted_at != KAP_REFERRAL_NO_TIME)
        figures |= bit(KAP_FIGURE_ACCEPTED);
    else if (!ended)
        figures |= bit(KAP_FIGURE_PENDING);
    if (r->delivered_at == KAP_REFERRAL_NO_TIME && !ended)
        figures |= bit(KAP_FIGURE_UNDELIVERED);
    if (r->implied & KAP_MILESTONE_ACCEPTED)
        figures |= bit(KAP_FIGURE_IMPLIED);
    if (r->flags & KAP_RF_LATE)
        figures |= bit(KAP_FIGURE_LATE);
    if (r->clamped != 0)
        figures |= bit(KAP_FIGURE_CLAMPED);
    return figures;
}

void kap_contribution_of(const kap_referral_row_t *row, kap_contribution_t *out)
{
    const kap_referral_t *r = &row->r;
    const kap_spent_t none = {KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};

    *out = (kap_contribution_t){.amount = 1, .times = {none, none}};
    if (r->state == KAP_STATE_VOIDED || r->state == KAP_STATE_NONE)
        return;
    if (r->flags & KAP_RF_INTERNAL) {
        out->figures = bit(KAP_FIGURE_INTERNAL);
    } else if (r->flags & KAP_RF_EXTERNAL) {
        out->figures = bit(KAP_FIGURE_REPORTED);
    } else if (r->kind == KAP_KIND_GUIDANCE) {
        out->figures = bit(KAP_FIGURE_GUIDANCE);
    } else if (r->kind == KAP_KIND_LEAD) {
        out->figures = bit(KAP_FIGURE_LEADS);
    } else {
        out->figures = figures_of_transfer(r);
        out->times[KAP_CLOCK_RECIPIENT] = r->to_accept;
        out->times[KAP_CLOCK_CUSTOMER] = row->customer;
    }
}

static void contribution_pack(kap_buf_t *buf, const kap_contribution_t *c)
{
    kap_put_varint(buf, c->figures);
    kap_put_varint(buf, c->amount);
    for (int i = 0; i < 2; i++) {
        kap_put_svarint(buf, c->times[i].working_ms);
        kap_put_svarint(buf, c->times[i].elapsed_ms);
    }
}

static int contribution_unpack(kap_span_t value, kap_contribution_t *c)
{
    uint64_t figures, amount;

    if (!kap_get_varint(&value, &figures) || !kap_get_varint(&value, &amount) ||
        figures > UINT32_MAX || amount > UINT32_MAX)
        return KAP_E_CORRUPT;
    c->figures = (uint32_t)figures;
    c->amount = (uint32_t)amount;
    for (int i = 0; i < 2; i++) {
        if (!kap_get_svarint(&value, &c->times[i].working_ms) ||
            !kap_get_svarint(&value, &c->times[i].elapsed_ms))
            return KAP_E_CORRUPT;
    }
    return value.size == 0 ? KAP_OK : KAP_E_CORRUPT;
}

/* --- keys --- */

static uint64_t ordered(int64_t at)
{
    return (uint64_t)at ^ UINT64_C(1) << 63;
}

static void put_edge(uint8_t *key, uint32_t region, uint32_t from, uint32_t to)
{
    kap_be_put_u32(key, region);
    kap_be_put_u32(key + 4, from);
    kap_be_put_u32(key + 8, to);
}

static void put_cohort(uint8_t key[COHORT_KEY], const kap_cohort_key_t *k)
{
    put_edge(key, k->region, k->from, k->to);
    kap_be_put_u64(key + 12, ordered(k->at));
    kap_be_put_u64(key + 20, k->seq);
}

/* Months since the year 0. */
static uint32_t month_of(kap_date_t date)
{
    return (uint32_t)date.year * 12 + (uint32_t)date.month - 1;
}

static kap_zone_t cell_zone(bool utc)
{
    return utc ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI;
}

/* --- applying changes --- */

/* One cell while its changes are gathered. */
typedef struct {
    uint8_t key[CELL_KEY];
    bool open;
    int64_t counts[KAP_FIGURE_COUNT];
    kap_sketch_change_t *changes;
    size_t count, cap;
} gather_t;

static int add_time(gather_t *g, kap_arena_t *scratch, unsigned sketch, int64_t ms, int32_t by)
{
    if (ms == KAP_REFERRAL_NO_SPAN_MS)
        return KAP_OK;
    if (g->count == g->cap) {
        size_t cap = g->cap == 0 ? 64 : g->cap * 2;
        kap_sketch_change_t *grown = kap_arena_alloc(scratch, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (g->count > 0)
            memcpy(grown, g->changes, g->count * sizeof *grown);
        g->changes = grown;
        g->cap = cap;
    }
    g->changes[g->count++] =
        (kap_sketch_change_t){.place = kap_sketch_place(sketch, kap_sketch_bucket(ms)), .by = by};
    return KAP_OK;
}

/* Adds (by 1) or subtracts (by -1) a contribution. */
static int gather(gather_t *g, kap_arena_t *scratch, const kap_contribution_t *c, int32_t by)
{
    int rc = KAP_OK;

    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        if (c->figures & bit((kap_figure_t)i))
            g->counts[i] += by * (int64_t)c->amount;
    }
    for (int i = 0; rc == KAP_OK && c->figures != 0 && i < 2; i++) {
        rc = add_time(g, scratch, which(i, false), c->times[i].working_ms, by);
        if (rc == KAP_OK)
            rc = add_time(g, scratch, which(i, true), c->times[i].elapsed_ms, by);
    }
    return rc;
}

static int put_or_delete(kap_txn_t *txn, unsigned table, kap_span_t key, const kap_buf_t *value)
{
    if (value->err != KAP_OK)
        return value->err;
    if (value->size > 0)
        return kap_txn_put(txn, table, key, kap_buf_span(value));
    int rc = kap_txn_delete(txn, table, key);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int cell_unpack(kap_span_t value, uint64_t counts[KAP_FIGURE_COUNT])
{
    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        counts[i] = 0;
        if (value.size > 0 && !kap_get_varint(&value, &counts[i]))
            return KAP_E_CORRUPT;
    }
    return KAP_OK;
}

static int write_counts(kap_txn_t *txn, const gather_t *g, kap_buf_t *buf)
{
    kap_span_t key = kap_span(g->key, CELL_KEY), value = {0};
    uint64_t counts[KAP_FIGURE_COUNT], any = 0;
    int rc = kap_txn_get(txn, KAP_ROWS_CELLS, key, &value);

    if (rc == KAP_OK || rc == KAP_E_NOTFOUND)
        rc = cell_unpack(value, counts);
    if (rc != KAP_OK)
        return rc;
    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        if (g->counts[i] < 0 && (uint64_t)-g->counts[i] > counts[i])
            return KAP_E_CORRUPT; /* cohort and cells contradict each other */
        counts[i] += (uint64_t)g->counts[i];
        any |= counts[i];
    }
    kap_buf_reset(buf);
    for (int i = 0; any != 0 && i < KAP_FIGURE_COUNT; i++)
        kap_put_varint(buf, counts[i]);
    return put_or_delete(txn, KAP_ROWS_CELLS, key, buf);
}

static int write_sketches(kap_txn_t *txn, const gather_t *g, kap_buf_t *buf)
{
    kap_span_t key = kap_span(g->key, CELL_KEY), value = {0};

    if (g->count == 0)
        return KAP_OK;
    int rc = kap_txn_get(txn, KAP_ROWS_SKETCHES, key, &value);
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    kap_buf_reset(buf);
    rc = kap_sketch_merge(value, g->changes, g->count, buf);
    return rc != KAP_OK ? rc : put_or_delete(txn, KAP_ROWS_SKETCHES, key, buf);
}

static int close_cell(kap_txn_t *txn, gather_t *g, kap_buf_t *buf)
{
    if (!g->open)
        return KAP_OK;
    int rc = write_counts(txn, g, buf);
    if (rc == KAP_OK)
        rc = write_sketches(txn, g, buf);
    g->open = false;
    memset(g->counts, 0, sizeof g->counts);
    g->count = 0;
    return rc;
}

/* The order of put_cohort's bytes. */
static int by_key(const void *a, const void *b)
{
    const kap_cohort_key_t *x = &((const kap_figures_change_t *)a)->key;
    const kap_cohort_key_t *y = &((const kap_figures_change_t *)b)->key;

    if (x->region != y->region)
        return x->region < y->region ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* One row of the cohort: what it counted goes, what it counts now comes. */
static int apply_one(kap_txn_t *txn, gather_t *g, kap_arena_t *scratch,
                     const kap_figures_change_t *change, kap_buf_t *buf)
{
    uint8_t bytes[COHORT_KEY];
    kap_span_t key, value;
    kap_contribution_t old = {0};

    put_cohort(bytes, &change->key);
    key = kap_span(bytes, COHORT_KEY);
    int rc = kap_txn_get(txn, KAP_ROWS_COHORT, key, &value);
    if (rc == KAP_OK)
        rc = contribution_unpack(value, &old);
    else if (rc == KAP_E_NOTFOUND)
        rc = KAP_OK;
    if (rc == KAP_OK && !KAP_SEEDED_BUG("double_count"))
        rc = gather(g, scratch, &old, -1);
    if (rc == KAP_OK)
        rc = gather(g, scratch, &change->now, 1);
    if (rc != KAP_OK)
        return rc;
    kap_buf_reset(buf);
    if (change->now.figures != 0)
        contribution_pack(buf, &change->now);
    return put_or_delete(txn, KAP_ROWS_COHORT, key, buf);
}

int kap_figures_apply(kap_txn_t *txn, kap_arena_t *scratch, kap_figures_change_t *changes,
                      size_t count)
{
    gather_t g = {0};
    kap_buf_t buf = {0};
    int rc = KAP_OK;

    qsort(changes, count, sizeof *changes, by_key);
    for (size_t i = 0; rc == KAP_OK && i < count; i++) {
        const kap_cohort_key_t *k = &changes[i].key;
        uint8_t cell[CELL_KEY];
        put_edge(cell, k->region, k->from, k->to);
        kap_be_put_u32(cell + EDGE_KEY, month_of(kap_date_of(cell_zone(k->utc), k->at)));
        if (g.open && memcmp(cell, g.key, CELL_KEY) != 0)
            rc = close_cell(txn, &g, &buf);
        memcpy(g.key, cell, CELL_KEY);
        g.open = true;
        if (rc == KAP_OK)
            rc = apply_one(txn, &g, scratch, &changes[i], &buf);
    }
    if (rc == KAP_OK)
        rc = close_cell(txn, &g, &buf);
    kap_buf_fini(&buf);
    return rc;
}

/* --- the answer to edges --- */

/* One query while it runs. */
typedef struct {
    kap_txn_t *txn;
    const kap_edges_query_t *query;
    const kap_directory_t *dir;
    kap_arena_t *arena;
    kap_edges_t *out;
    uint32_t region, scope, cap;
    int64_t from_ms, to_ms;        /* the window */
    bool whole;                    /* months below may be taken from cells */
    uint32_t month_from, month_to; /* whole months in the window, [from, to) */
    int64_t inner_from, inner_to;  /* the instants they cover */
    kap_cursor_t *cells, *cohort;
    int64_t *values; /* times of the edge in hand, as far as exact */
    size_t value_count, value_cap;
    uint64_t *sketch; /* KAP_SKETCH_BUCKETS counts, of the edge in hand */
} edges_t;

/* Start of a month by its number, in the cells' zone. */
static int64_t month_start(kap_zone_t zone, uint32_t month)
{
    kap_date_t first = {(int16_t)(month / 12), (int8_t)(month % 12 + 1), 1};

    return kap_day_start_ms(zone, first);
}

/* Finds the whole months of the window, if its days are those of the cells. */
static void window(edges_t *q, bool utc)
{
    const kap_edges_query_t *query = q->query;
    kap_zone_t zone = query->zone;

    q->from_ms = query->has_from ? kap_day_start_ms(zone, query->from) : INT64_MIN;
    q->to_ms = query->has_to ? kap_day_start_ms(zone, query->to) : INT64_MAX;
    q->whole = zone == cell_zone(utc);
    q->month_from = query->has_from ? month_of(query->from) + (query->from.day > 1) : 0;
    q->month_to = query->has_to ? month_of(query->to) : UINT32_MAX;
    if (!query->has_from && !query->has_to)
        q->whole = true; /* everything: whatever the zone */
    if (q->month_from >= q->month_to)
        q->whole = false;
    q->inner_from = !query->has_from ? INT64_MIN : q->whole ? month_start(zone, q->month_from) : 0;
    q->inner_to = !query->has_to ? INT64_MAX : q->whole ? month_start(zone, q->month_to) : 0;
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

static int64_t time_in(const edges_t *q, const kap_contribution_t *c)
{
    const kap_spent_t *t = &c->times[q->query->clock];

    return q->query->elapsed ? t->elapsed_ms : t->working_ms;
}

/* What is done with each cohort row of a span of time. */
typedef enum { COUNT = 1, VALUES = 2, SKETCH = 4 } take_t;

static int take(edges_t *q, kap_edge_t *edge, const kap_contribution_t *c, unsigned what)
{
    int64_t ms = time_in(q, c);

    for (int i = 0; (what & COUNT) && i < KAP_FIGURE_COUNT; i++) {
        if (c->figures & bit((kap_figure_t)i))
            edge->counts[i] += c->amount;
    }
    if (ms == KAP_REFERRAL_NO_SPAN_MS)
        return KAP_OK;
    if (what & SKETCH)
        q->sketch[kap_sketch_bucket(ms)]++;
    return what & VALUES ? add_value(q, ms) : KAP_OK;
}

/* Walks the cohort rows of an edge created in [from_ms, to_ms). */
static int walk_cohort(edges_t *q, const uint8_t edge_key[EDGE_KEY], kap_edge_t *edge,
                       int64_t from_ms, int64_t to_ms, unsigned what)
{
    uint8_t key[COHORT_KEY] = {0};
    kap_contribution_t c;

    if (from_ms >= to_ms)
        return KAP_OK;
    memcpy(key, edge_key, EDGE_KEY);
    kap_be_put_u64(key + 12, ordered(from_ms));
    int rc = kap_cursor_seek_ge(q->cohort, kap_span(key, COHORT_KEY));
    for (; rc == KAP_OK; rc = kap_cursor_next(q->cohort)) {
        kap_span_t k = kap_cursor_key(q->cohort);
        if (k.size != COHORT_KEY)
            return KAP_E_CORRUPT;
        if (memcmp(k.data, edge_key, EDGE_KEY) != 0 ||
            (to_ms != INT64_MAX && kap_be_get_u64(k.data + 12) >= ordered(to_ms)))
            break;
        rc = contribution_unpack(kap_cursor_value(q->cohort), &c);
        if (rc == KAP_OK)
            rc = take(q, edge, &c, what);
        if (rc != KAP_OK)
            return rc;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* The same for the parts of the window that cells do not cover. */
static int walk_rest(edges_t *q, const uint8_t edge_key[EDGE_KEY], kap_edge_t *edge, unsigned what)
{
    if (!q->whole)
        return walk_cohort(q, edge_key, edge, q->from_ms, q->to_ms, what);
    int rc = walk_cohort(q, edge_key, edge, q->from_ms, q->inner_from, what);
    return rc != KAP_OK ? rc : walk_cohort(q, edge_key, edge, q->inner_to, q->to_ms, what);
}

/* Walks the rows of one table that belong to the edge's whole months. `add` gets each value. */
static int walk_months(edges_t *q, unsigned table, const uint8_t edge_key[EDGE_KEY],
                       kap_edge_t *edge)
{
    kap_cursor_t *cursor;
    uint8_t key[CELL_KEY];
    uint64_t counts[KAP_FIGURE_COUNT];
    int rc = kap_cursor_open(q->txn, table, &cursor);

    if (rc != KAP_OK)
        return rc;
    memcpy(key, edge_key, EDGE_KEY);
    kap_be_put_u32(key + EDGE_KEY, q->month_from);
    rc = kap_cursor_seek_ge(cursor, kap_span(key, CELL_KEY));
    for (; rc == KAP_OK; rc = kap_cursor_next(cursor)) {
        kap_span_t k = kap_cursor_key(cursor), value = kap_cursor_value(cursor);
        if (memcmp(k.data, edge_key, EDGE_KEY) != 0 ||
            kap_be_get_u32(k.data + EDGE_KEY) >= q->month_to)
            break;
        if (table == KAP_ROWS_SKETCHES)
            rc = kap_sketch_add(value, which(q->query->clock, q->query->elapsed), q->sketch);
        else
            rc = cell_unpack(value, counts);
        for (int i = 0; rc == KAP_OK && table == KAP_ROWS_CELLS && i < KAP_FIGURE_COUNT; i++)
            edge->counts[i] += counts[i];
        if (rc != KAP_OK)
            break;
    }
    kap_cursor_close(&cursor);
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

static int times(edges_t *q, const uint8_t edge_key[EDGE_KEY], kap_edge_t *edge)
{
    kap_edge_time_t *t = &edge->to_accept;
    int rc;

    *t = (kap_edge_time_t){.p50_ms = -1, .p90_ms = -1, .p99_ms = -1};
    t->exact = edge->counts[KAP_FIGURE_REFERRALS] <= KAP_FIGURES_EXACT_MAX;
    if (t->exact) {
        q->value_count = 0;
        rc = walk_cohort(q, edge_key, edge, q->from_ms, q->to_ms, VALUES);
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
    rc = walk_rest(q, edge_key, edge, SKETCH);
    if (rc == KAP_OK && q->whole)
        rc = walk_months(q, KAP_ROWS_SKETCHES, edge_key, edge);
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

static int one_edge(edges_t *q, const uint8_t edge_key[EDGE_KEY])
{
    kap_edge_t edge = {0};
    uint32_t from = kap_be_get_u32(edge_key + 4), to = kap_be_get_u32(edge_key + 8);
    uint64_t any = 0;

    int rc = walk_rest(q, edge_key, &edge, COUNT);
    if (rc == KAP_OK && q->whole)
        rc = walk_months(q, KAP_ROWS_CELLS, edge_key, &edge);
    for (int i = 0; i < KAP_FIGURE_COUNT; i++)
        any |= edge.counts[i];
    if (rc != KAP_OK || any == 0)
        return rc;
    rc = times(q, edge_key, &edge);
    if (rc == KAP_OK)
        rc = name_of(q, from, &edge.from, &edge.from_name);
    if (rc == KAP_OK)
        rc = name_of(q, to, &edge.to, &edge.to_name);
    return rc != KAP_OK ? rc : keep(q, &edge);
}

/* Every edge of the region has cells: goes from one to the next. */
static int walk_edges(edges_t *q)
{
    uint8_t key[CELL_KEY] = {0};

    kap_be_put_u32(key, q->region);
    for (;;) {
        int rc = kap_cursor_seek_ge(q->cells, kap_span(key, CELL_KEY));
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
        kap_span_t k = kap_cursor_key(q->cells);
        if (k.size != CELL_KEY)
            return KAP_E_CORRUPT;
        if (kap_be_get_u32(k.data) != q->region)
            return KAP_OK;
        memcpy(key, k.data, EDGE_KEY);
        kap_be_put_u32(key + EDGE_KEY, UINT32_MAX);
        rc = one_edge(q, key);
        if (rc != KAP_OK)
            return rc;
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
        rc = kap_cursor_open(txn, KAP_ROWS_COHORT, &q.cohort);
    if (rc == KAP_OK)
        rc = walk_edges(&q);
    kap_cursor_close(&q.cells);
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
    kap_mp_put_map(buf, 4 + KAP_FIGURE_COUNT + 1);
    kap_mp_put_cstr(buf, "from");
    kap_mp_put_str(buf, edge->from);
    kap_mp_put_cstr(buf, "to");
    kap_mp_put_str(buf, edge->to);
    kap_mp_put_cstr(buf, "from_name");
    kap_mp_put_str(buf, edge->from_name);
    kap_mp_put_cstr(buf, "to_name");
    kap_mp_put_str(buf, edge->to_name);
    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        kap_mp_put_cstr(buf, kap_edges_figure_name((kap_figure_t)i));
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
