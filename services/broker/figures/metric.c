/* SPDX-License-Identifier: MPL-2.0 */
#include "metric.h"

#include <stdlib.h>
#include <string.h>

#include "codes.h"
#include "err.h"
#include "metric_own.h"
#include "mp.h"
#include "rows.h"

/* --- the table --- */

#define BY(what)      (1u << KAP_BY_##what)
#define F(figure)     (KAP_FIGURE_##figure + 1)
#define PLUS          ,
#define COHORT        KAP_KIND_OF_COHORT
#define FLOW          KAP_KIND_OF_FLOW
#define STOCK         KAP_KIND_OF_STOCK
#define NOW           KAP_KIND_OF_NOW
#define FIGURES_A_SUM 4

static const kap_metric_row_t table[] = {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en)              \
    [KAP_METRIC_##                                                                                 \
        NAME] = {wire, unit, definition, source, {fi, sv, en}, KAP_SIDE_##side, kinds, by},
#define KAP_METRIC_COUNT(METRIC, wire, figures, meaning)
#define KAP_METRIC_RATE(METRIC, wire, num, den, meaning)
#define KAP_METRIC_MEAN(METRIC, wire, sum, n, meaning)
#define KAP_METRIC_TIME(METRIC, wire, time, meaning)
#define KAP_METRIC_OTHER(METRIC, wire, shape, meaning)
#include "metrics.def"
#undef KAP_METRIC
#undef KAP_METRIC_COUNT
#undef KAP_METRIC_RATE
#undef KAP_METRIC_MEAN
#undef KAP_METRIC_TIME
#undef KAP_METRIC_OTHER
};

typedef enum { COUNT, RATE, MEAN, TIME, OTHER } shape_t;

/* A value of a metric; figures are numbers of the table and 1, ended by 0. */
typedef struct {
    kap_metric_t metric;
    shape_t shape;
    const char *wire;
    int a[FIGURES_A_SUM], b[FIGURES_A_SUM];
    kap_figure_time_t time;
    const char *other; /* its shape, of OTHER */
} value_t;

static const value_t value_table[] = {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en)
#define KAP_METRIC_COUNT(METRIC, wire, figures, meaning)                                           \
    {KAP_METRIC_##METRIC, COUNT, wire, {figures}, {0}, 0, NULL},
#define KAP_METRIC_RATE(METRIC, wire, num, den, meaning)                                           \
    {KAP_METRIC_##METRIC, RATE, wire, {num}, {den}, 0, NULL},
#define KAP_METRIC_MEAN(METRIC, wire, sum, n, meaning)                                             \
    {KAP_METRIC_##METRIC, MEAN, wire, {sum}, {n}, 0, NULL},
#define KAP_METRIC_TIME(METRIC, wire, time, meaning)                                               \
    {KAP_METRIC_##METRIC, TIME, wire, {0}, {0}, KAP_FIGURE_TIME_##time, NULL},
#define KAP_METRIC_OTHER(METRIC, wire, shape, meaning)                                             \
    {KAP_METRIC_##METRIC, OTHER, wire, {0}, {0}, 0, shape},
#include "metrics.def"
#undef KAP_METRIC
#undef KAP_METRIC_COUNT
#undef KAP_METRIC_RATE
#undef KAP_METRIC_MEAN
#undef KAP_METRIC_TIME
#undef KAP_METRIC_OTHER
};

enum { VALUES = sizeof value_table / sizeof value_table[0] };

static const kap_metric_other_fn hooks[KAP_METRIC_TOTAL] = {
#define KAP_METRIC_HOOK(METRIC, function) [KAP_METRIC_##METRIC] = function,
#include "metric_hooks.def"
#undef KAP_METRIC_HOOK
};

const kap_metric_row_t *kap_metric_row(kap_metric_t metric)
{
    return &table[metric];
}

int kap_metric_find(kap_span_t wire)
{
    for (int i = 0; i < KAP_METRIC_TOTAL; i++) {
        if (kap_span_eq_str(wire, table[i].wire))
            return i;
    }
    return -1;
}

static const struct {
    kap_metric_kind_t kind;
    const char *name;
} kind_names[] = {{KAP_KIND_OF_COHORT, "cohort"},
                  {KAP_KIND_OF_FLOW, "flow"},
                  {KAP_KIND_OF_STOCK, "stock"},
                  {KAP_KIND_OF_NOW, "now"}};

enum { KINDS = sizeof kind_names / sizeof kind_names[0] };

const char *kap_metric_kind_name(kap_metric_kind_t kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kind_names[i].kind == kind)
            return kind_names[i].name;
    }
    return NULL;
}

int kap_metric_kind_find(kap_span_t wire)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kap_span_eq_str(wire, kind_names[i].name))
            return (int)kind_names[i].kind;
    }
    return -1;
}

/* What an answer can be broken down by; the list of codes that its values are of. */
static const struct {
    const char *name;
    kap_breakdown_t breakdown;
    kap_code_list_t list;
} bys[KAP_BY_COUNT] = {
    [KAP_BY_NOTHING] = {"nothing", KAP_BREAKDOWN_NONE, KAP_LIST_NONE},
    [KAP_BY_EDGE] = {"edge", KAP_BREAKDOWN_NONE, KAP_LIST_NONE},
    [KAP_BY_MEMBER] = {"member", KAP_BREAKDOWN_NONE, KAP_LIST_NONE},
    [KAP_BY_REGION] = {"region", KAP_BREAKDOWN_NONE, KAP_LIST_NONE},
    [KAP_BY_SERVICE] = {"service", KAP_BREAKDOWN_SERVICE, KAP_LIST_SERVICE},
    [KAP_BY_SEGMENT] = {"segment", KAP_BREAKDOWN_SEGMENT, KAP_LIST_SEGMENT},
    [KAP_BY_WARM] = {"warm", KAP_BREAKDOWN_WARM, KAP_LIST_NONE},
    [KAP_BY_ORIGIN] = {"origin", KAP_BREAKDOWN_ORIGIN, KAP_LIST_ORIGIN},
    [KAP_BY_MONTH] = {"month", KAP_BREAKDOWN_NONE, KAP_LIST_NONE},
};

const char *kap_metric_by_name(kap_metric_by_t by)
{
    return by < KAP_BY_COUNT ? bys[by].name : NULL;
}

int kap_metric_by_find(kap_span_t wire)
{
    for (int i = 0; i < KAP_BY_COUNT; i++) {
        if (kap_span_eq_str(wire, bys[i].name))
            return i;
    }
    return -1;
}

kap_breakdown_t kap_metric_breakdown(kap_metric_by_t by)
{
    return bys[by].breakdown;
}

static int by_of(kap_breakdown_t breakdown)
{
    int by = KAP_BY_COUNT - 1;

    while (by > 0 && bys[by].breakdown != breakdown)
        by--;
    return by;
}

const char *kap_metric_breakdown_name(kap_breakdown_t breakdown)
{
    return bys[by_of(breakdown)].name;
}

static kap_code_list_t list_of(kap_breakdown_t breakdown)
{
    return bys[by_of(breakdown)].list;
}

const char *kap_metric_value_name(kap_breakdown_t breakdown, uint16_t value)
{
    if (breakdown == KAP_BREAKDOWN_WARM)
        return value == 0 ? "false" : "true";
    return value == 0 ? "none" : kap_code_name(list_of(breakdown), value - 1);
}

int kap_metric_value_find(kap_breakdown_t breakdown, kap_span_t name)
{
    if (breakdown == KAP_BREAKDOWN_WARM)
        return kap_span_eq_str(name, "true") ? 1 : kap_span_eq_str(name, "false") ? 0 : -1;
    if (kap_span_eq_str(name, "none"))
        return 0;
    int code = kap_code_parse(list_of(breakdown), name);
    return code < 0 ? -1 : code + 1;
}

/* --- values --- */

kap_buf_t *kap_metric_pair(kap_metric_values_t *values, const char *wire)
{
    values->count++;
    kap_mp_put_cstr(&values->pairs, wire);
    return &values->pairs;
}

void kap_metric_put_count(kap_metric_values_t *values, const char *wire, uint64_t count)
{
    kap_mp_put_uint(kap_metric_pair(values, wire), count);
}

static void put_two(kap_metric_values_t *values, const char *wire, const char *first, uint64_t a,
                    const char *second, uint64_t b)
{
    kap_buf_t *buf = kap_metric_pair(values, wire);

    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, first);
    kap_mp_put_uint(buf, a);
    kap_mp_put_cstr(buf, second);
    kap_mp_put_uint(buf, b);
}

void kap_metric_put_rate(kap_metric_values_t *values, const char *wire, uint64_t num, uint64_t den)
{
    put_two(values, wire, "num", num, "den", den);
}

static void put_ms(kap_buf_t *buf, const char *key, bool there, int64_t ms)
{
    kap_mp_put_cstr(buf, key);
    if (there)
        kap_mp_put_int(buf, ms);
    else
        kap_mp_put_nil(buf);
}

void kap_metric_put_time(kap_metric_values_t *values, const char *wire, const kap_sum_time_t *time)
{
    kap_buf_t *buf = kap_metric_pair(values, wire);
    bool there = time->n > 0 && time->n >= values->least;

    kap_mp_put_map(buf, 7);
    kap_mp_put_cstr(buf, "n");
    kap_mp_put_uint(buf, time->n);
    put_ms(buf, "p50_ms", there, time->p50_ms);
    put_ms(buf, "p90_ms", there, time->p90_ms);
    put_ms(buf, "p99_ms", there, time->p99_ms);
    put_ms(buf, "max_ms", there, time->max_ms);
    put_ms(buf, "mean_ms", there, (int64_t)(time->mean_ms + 0.5));
    kap_mp_put_cstr(buf, "exact");
    kap_mp_put_bool(buf, time->exact);
}

static uint64_t sum_of(const kap_vector_t *sum, const int figures[FIGURES_A_SUM])
{
    uint64_t total = 0;

    for (int i = 0; i < FIGURES_A_SUM && figures[i] != 0; i++)
        total += sum->counts[figures[i] - 1];
    return total;
}

/* Counted beside the transfers, whose number says nothing of it. */
static bool stands_beside(int figure)
{
    return figure >= KAP_FIGURE_GUIDANCE && figure <= KAP_FIGURE_INTERNAL;
}

static int put_value(const kap_metric_at_t *at, const kap_metric_query_t *query,
                     const value_t *value, const kap_vector_t *sum, kap_metric_values_t *values)
{
    kap_sum_time_t time;
    uint64_t a = sum_of(sum, value->a), b = sum_of(sum, value->b);
    int rc = KAP_OK;

    switch (value->shape) {
    case COUNT:
        if (stands_beside(value->a[0] - 1) && a > 0 && a < values->least)
            kap_mp_put_nil(kap_metric_pair(values, value->wire));
        else
            kap_metric_put_count(values, value->wire, a);
        break;
    case RATE:
        kap_metric_put_rate(values, value->wire, a, b);
        break;
    case MEAN:
        put_two(values, value->wire, "sum", a, "n", b);
        break;
    case TIME:
        if (kap_sum_is_of_cases(value->time) && query->what.scope.kind == KAP_SCOPE_EDGE)
            break; /* pairs keep how many cases they share, not how long those took */
        rc = kap_sum_time(at->summer, &query->what, value->time, query->elapsed, &time);
        if (rc == KAP_OK)
            kap_metric_put_time(values, value->wire, &time);
        break;
    case OTHER:
        break;
    }
    return rc;
}

/* Entered minus left by the end of the window: flows alone say what was so then. By a clock that
 * went wrong a referral may have left before it entered. */
static uint64_t still_open(const kap_vector_t *sum)
{
    uint64_t left = sum->counts[KAP_FIGURE_FLOW_COMPLETED] +
                    sum->counts[KAP_FIGURE_FLOW_TURNED_AWAY] +
                    sum->counts[KAP_FIGURE_FLOW_WITHDRAWN];
    uint64_t entered = sum->counts[KAP_FIGURE_REFERRALS];

    return left < entered ? entered - left : 0;
}

/* n, and how many of them are not decided. */
static void numbers_of(const kap_metric_query_t *query, const kap_vector_t *sum,
                       kap_metric_values_t *values)
{
    if (table[query->metric].side == KAP_SIDE_CASES) {
        values->n = sum->counts[KAP_FIGURE_CASES];
        values->decided = sum->counts[KAP_FIGURE_CASES_CLOSED];
        values->pending = values->n - values->decided;
        return;
    }
    values->n = sum->counts[KAP_FIGURE_REFERRALS];
    values->pending =
        query->kind == KAP_KIND_OF_STOCK ? still_open(sum) : sum->counts[KAP_FIGURE_PENDING];
    values->decided = values->n - values->pending;
}

static int counts_of(const kap_metric_at_t *at, const kap_metric_query_t *query, kap_vector_t *sum)
{
    int rc = kap_sum_counts(at->summer, &query->what, sum);

    if (rc == KAP_OK && query->metric == KAP_METRIC_DATA_QUALITY)
        rc = kap_sum_refused(at->summer, &query->what, sum);
    return rc;
}

int kap_metric_values(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      kap_metric_values_t *values)
{
    kap_vector_t sum = {0};
    int rc = counts_of(at, query, &sum);

    if (rc != KAP_OK)
        return rc;
    numbers_of(query, &sum, values);
    if (!values->row)
        values->whole = values->n;
    for (size_t i = 0; rc == KAP_OK && query->kind == KAP_KIND_OF_COHORT && i < VALUES; i++) {
        if (value_table[i].metric == query->metric)
            rc = put_value(at, query, &value_table[i], &sum, values);
    }
    if (rc == KAP_OK && hooks[query->metric] != NULL)
        rc = hooks[query->metric](at, query, &sum, values);
    return rc != KAP_OK ? rc : values->pairs.err;
}

bool kap_metric_has_cases(kap_metric_t metric)
{
    for (size_t i = 0; i < VALUES; i++) {
        const value_t *v = &value_table[i];
        if (v->metric == metric &&
            ((v->a[0] != 0 && kap_figure_is_of_case((kap_figure_t)(v->a[0] - 1))) ||
             (v->shape == TIME && kap_sum_is_of_cases(v->time))))
            return true;
    }
    return table[metric].side == KAP_SIDE_CASES;
}

/* Shapes "list", and what ends in " now". */
static bool is_for_readers(const char *shape)
{
    size_t size = strlen(shape);

    return strcmp(shape, "list") == 0 || (size > 4 && strcmp(shape + size - 4, " now") == 0);
}

bool kap_metric_is_list(kap_metric_t metric, kap_span_t wire)
{
    for (size_t i = 0; i < VALUES; i++) {
        if (value_table[i].metric == metric && kap_span_eq_str(wire, value_table[i].wire))
            return value_table[i].other != NULL && is_for_readers(value_table[i].other);
    }
    return false;
}

/* --- rows --- */

void kap_metric_narrow(const kap_metric_query_t *query, const kap_metric_key_t *row,
                       kap_metric_query_t *out)
{
    *out = *query;
    out->what.scope = row->scope;
    out->what.window = row->window;
    if (row->breakdown == KAP_BREAKDOWN_NONE)
        return;
    if (query->what.breakdown == KAP_BREAKDOWN_NONE) {
        out->what.breakdown = row->breakdown;
        out->what.value = row->value;
    } else {
        out->what.breakdown2 = row->breakdown;
        out->what.value2 = row->value;
    }
}

/* Rows while they are gathered. */
typedef struct {
    const kap_metric_at_t *at;
    const kap_metric_query_t *query;
    kap_metric_rows_t *out;
} rows_t;

/* Durations that there may be although n is 0: of cases, of returns that were expected. */
static bool counts_in(const value_t *value, const kap_vector_t *sum)
{
    if (value->shape == TIME && value->time == KAP_FIGURE_TIME_COMPLETE_CASE)
        return sum->counts[KAP_FIGURE_CASES_CLOSED] > 0;
    if (value->shape == TIME && value->time == KAP_FIGURE_TIME_GOT_BACK)
        return sum->counts[KAP_FIGURE_RETURNS] > 0;
    return sum_of(sum, value->a) > 0 || sum_of(sum, value->b) > 0;
}

/* Is there anything to tell of the metric? Metrics of their own say so by n. */
static bool counts_anything(const kap_metric_query_t *query, const kap_vector_t *sum, uint64_t n)
{
    if (n > 0)
        return true;
    for (int i = KAP_FIGURE_FLOW_DELIVERED;
         query->kind == KAP_KIND_OF_FLOW && i <= KAP_FIGURE_FLOW_WITHDRAWN; i++) {
        if (sum->counts[i] > 0)
            return true;
    }
    for (size_t i = 0; query->kind == KAP_KIND_OF_COHORT && i < VALUES; i++) {
        if (value_table[i].metric == query->metric && counts_in(&value_table[i], sum))
            return true;
    }
    return false;
}

/* Metrics whose numbers the table does not know. */
static bool is_its_own(kap_metric_t metric)
{
    return metric == KAP_METRIC_ORPHANS || metric == KAP_METRIC_MEETINGS ||
           metric == KAP_METRIC_FOLLOW_UP;
}

/* Those that are told from the index of what is followed, whatever was handed over. */
static bool is_indexed(kap_metric_t metric)
{
    return metric == KAP_METRIC_MEETINGS || metric == KAP_METRIC_FOLLOW_UP;
}

static int number_row(const rows_t *r, kap_metric_key_t *row, bool *any)
{
    kap_metric_query_t narrow;
    kap_metric_values_t values = {.row = true};
    kap_vector_t sum = {0};
    int rc;

    kap_metric_narrow(r->query, row, &narrow);
    if (is_its_own(narrow.metric)) {
        rc = kap_metric_values(r->at, &narrow, &values);
        kap_buf_fini(&values.pairs);
    } else {
        rc = counts_of(r->at, &narrow, &sum);
        numbers_of(&narrow, &sum, &values);
    }
    row->n = values.n;
    row->decided = values.decided;
    row->pending = values.pending;
    *any = counts_anything(&narrow, &sum, values.n);
    return rc;
}

/* Keeps the row if anything counts in it. */
static int add_row(rows_t *r, kap_metric_key_t *row, kap_span_t sort)
{
    kap_metric_rows_t *out = r->out;
    bool any;
    int rc = number_row(r, row, &any);

    if (rc != KAP_OK || !any)
        return rc;
    if (out->count == out->cap) {
        uint32_t cap = out->cap == 0 ? 64 : out->cap * 2;
        kap_metric_key_t *grown = kap_arena_alloc(r->at->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (out->count > 0)
            memcpy(grown, out->rows, out->count * sizeof *grown);
        out->rows = grown;
        out->cap = cap;
    }
    row->sort = sort;
    out->rows[out->count++] = *row;
    return sort.data == NULL ? KAP_E_NOMEM : KAP_OK;
}

kap_span_t kap_metric_sort(kap_arena_t *arena, kap_span_t a, kap_span_t b, kap_span_t c)
{
    const kap_span_t parts[] = {a, b, c};
    uint8_t *text = kap_arena_alloc(arena, a.size + b.size + c.size + 3);
    size_t size = 0;

    for (size_t i = 0; text != NULL && i < 3; i++) {
        if (parts[i].size > 0)
            memcpy(text + size, parts[i].data, parts[i].size);
        size += parts[i].size;
        text[size++] = 0;
    }
    return kap_span(text, text == NULL ? 0 : size);
}

/* A row like the question. */
static kap_metric_key_t row_of(const rows_t *r)
{
    return (kap_metric_key_t){.scope = r->query->what.scope, .window = r->query->what.window};
}

/* Puts a region into the row's scope, and says by which id it is sorted: none where all rows are
 * of one region. */
static int place_row(const rows_t *r, uint32_t region, kap_metric_key_t *row, kap_span_t *sort)
{
    *sort = (kap_span_t){0};
    if (r->query->what.scope.region.size > 0)
        return KAP_OK;
    row->scope.region_number = region;
    row->scope.area = (kap_span_t){0};
    int rc = kap_rows_text(r->at->txn, region, &row->scope.region);
    *sort = row->scope.region;
    return rc;
}

static int add_edge(void *arg, uint32_t region, uint32_t from, uint32_t to)
{
    rows_t *r = arg;
    kap_metric_key_t row = row_of(r);
    kap_span_t sort;

    if (from == to) /* its ends fell together since: it is no edge today */
        return KAP_OK;
    int rc = place_row(r, region, &row, &sort);
    row.scope.kind = KAP_SCOPE_EDGE;
    row.scope.a = from;
    row.scope.b = to;
    if (rc == KAP_OK)
        rc = kap_rows_text(r->at->txn, from, &row.scope.from);
    if (rc == KAP_OK)
        rc = kap_rows_text(r->at->txn, to, &row.scope.to);
    return rc != KAP_OK
               ? rc
               : add_row(r, &row,
                         kap_metric_sort(r->at->arena, sort, row.scope.from, row.scope.to));
}

/* Members of the scope: ends of its edges, each once in a region. */
typedef struct {
    rows_t *r;
    uint64_t *seen; /* region and member */
    size_t count, cap;
} members_t;

static int see_member(members_t *m, uint32_t region, uint32_t member)
{
    if (m->count == m->cap) {
        size_t cap = m->cap == 0 ? 256 : m->cap * 2;
        uint64_t *grown = realloc(m->seen, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        m->seen = grown;
        m->cap = cap;
    }
    m->seen[m->count++] = (uint64_t)region << 32 | member;
    return KAP_OK;
}

static int see_ends(void *arg, uint32_t region, uint32_t from, uint32_t to)
{
    members_t *m = arg;
    kap_side_t side = m->r->query->what.side;
    int rc = side == KAP_SIDE_GETS ? KAP_OK : see_member(m, region, from);

    return rc != KAP_OK || side == KAP_SIDE_SENDS ? rc : see_member(m, region, to);
}

/* Members that act in the scope's region, whether anything was ever handed to them or not. */
static int see_actors(void *arg, uint32_t region)
{
    members_t *m = arg;
    const kap_metric_at_t *at = m->r->at;
    kap_span_t id;
    int rc = kap_rows_text(at->txn, region, &id);
    const kap_region_t *known = rc == KAP_OK ? kap_directory_region(at->dir, id) : NULL;

    for (uint32_t i = 0; known != NULL && rc == KAP_OK && i < kap_directory_member_count(at->dir);
         i++) {
        const kap_member_t *member = kap_directory_member_at(at->dir, i);
        uint32_t number = 0;
        if (!kap_member_in_region(member, known))
            continue;
        rc = kap_rows_number(at->txn, member->id, &number);
        if (rc == KAP_OK && number != 0)
            rc = see_member(m, region, number);
    }
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool is_of(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t id)
{
    const kap_member_t *m = kap_directory_member(at->dir, id);

    if (scope->kind == KAP_SCOPE_MEMBER)
        return kap_span_eq(id, scope->member);
    return scope->kind != KAP_SCOPE_ORGANISATION ||
           (m != NULL && kap_span_eq(m->organisation, scope->organisation));
}

static int add_member(rows_t *r, uint64_t seen)
{
    kap_metric_key_t row = row_of(r);
    kap_span_t sort;
    int rc = place_row(r, (uint32_t)(seen >> 32), &row, &sort);

    row.scope.kind = KAP_SCOPE_MEMBER;
    row.scope.a = (uint32_t)seen;
    if (rc == KAP_OK)
        rc = kap_rows_text(r->at->txn, row.scope.a, &row.scope.member);
    if (rc != KAP_OK || !is_of(r->at, &r->query->what.scope, row.scope.member))
        return rc;
    return add_row(r, &row, kap_metric_sort(r->at->arena, sort, row.scope.member, (kap_span_t){0}));
}

static int add_members(rows_t *r)
{
    members_t m = {.r = r};
    const kap_scope_t *scope = &r->query->what.scope;
    int rc = kap_sum_edges(r->at->summer, scope, see_ends, &m);

    if (rc == KAP_OK &&
        (r->query->metric == KAP_METRIC_DATA_QUALITY || is_its_own(r->query->metric)))
        rc = is_indexed(r->query->metric) ? kap_own_regions(r->at, r->query, see_actors, &m)
                                          : kap_sum_regions(r->at->summer, scope, see_actors, &m);
    if (m.count > 0)
        qsort(m.seen, m.count, sizeof *m.seen, by_number);
    for (size_t i = 0; rc == KAP_OK && i < m.count; i++) {
        if (i == 0 || m.seen[i] != m.seen[i - 1])
            rc = add_member(r, m.seen[i]);
    }
    free(m.seen);
    return rc;
}

static int add_region(void *arg, uint32_t region)
{
    rows_t *r = arg;
    kap_metric_key_t row = row_of(r);
    kap_span_t sort;
    int rc = place_row(r, region, &row, &sort);

    if (row.scope.kind == KAP_SCOPE_AREA || row.scope.kind == KAP_SCOPE_NATION)
        row.scope.kind = KAP_SCOPE_REGION;
    return rc != KAP_OK
               ? rc
               : add_row(r, &row,
                         kap_metric_sort(r->at->arena, sort, (kap_span_t){0}, (kap_span_t){0}));
}

static int add_value(void *arg, uint16_t value)
{
    rows_t *r = arg;
    kap_metric_key_t row = row_of(r);

    row.breakdown = bys[r->query->by].breakdown;
    row.value = value;
    const char *name = kap_metric_value_name(row.breakdown, value);
    if (name == NULL)
        return KAP_E_CORRUPT;
    return add_row(
        r, &row,
        kap_metric_sort(r->at->arena, kap_span_str(name), (kap_span_t){0}, (kap_span_t){0}));
}

/* The part of the question's window that lies in a month. */
static void month_window(const kap_metric_query_t *query, int32_t month, kap_window_t *window)
{
    const kap_window_t *all = &query->what.window;
    kap_window_t whole;

    kap_window_month(&whole, all->zone, month / 12, month % 12 + 1);
    if (query->kind == KAP_KIND_OF_STOCK)
        whole.has_from = false;
    if (all->has_from && kap_date_cmp(all->from, whole.from) > 0)
        whole.from = all->from;
    if (all->has_to && kap_date_cmp(all->to, whole.to) < 0)
        whole.to = all->to;
    kap_window_days(window, all->zone, whole.has_from, whole.from, true, whole.to);
}

/* Events may be refused after the last referral was created, up to now. */
static void reach_now(const kap_metric_query_t *query, int32_t *first, int32_t *last)
{
    int32_t now = kap_cell_at(KAP_PERIOD_MONTH, kap_cell_zone(query->what.scope.utc), query->now);

    if (query->metric != KAP_METRIC_DATA_QUALITY)
        return;
    *first = *first < now ? *first : now;
    *last = *last > now ? *last : now;
}

static int add_months(rows_t *r)
{
    const kap_window_t *all = &r->query->what.window;
    int32_t first, last;
    int rc = is_indexed(r->query->metric)
                 ? kap_own_months(r->at, r->query, &first, &last)
                 : kap_sum_months(r->at->summer, &r->query->what, &first, &last);

    if (rc == KAP_OK)
        reach_now(r->query, &first, &last);
    if (rc != KAP_OK || first > last)
        return rc;
    /* the window's zone may see the same instant in the month beside */
    for (int32_t month = first - 1; rc == KAP_OK && month <= last + 1; month++) {
        kap_metric_key_t row = row_of(r);
        char text[KAP_TIME_TEXT];
        month_window(r->query, month, &row.window);
        bool stock = r->query->kind == KAP_KIND_OF_STOCK; /* of the cells' zone, and never empty */
        if (row.window.from_ms >= row.window.to_ms || (stock && month > last) ||
            (all->has_from && row.window.to_ms <= all->from_ms))
            continue;
        kap_date_format((kap_date_t){(int16_t)(month / 12), (int8_t)(month % 12 + 1), 1}, text);
        kap_span_t name = kap_arena_dup(r->at->arena, kap_span(text, strlen("2026-01")));
        rc = name.data == NULL
                 ? KAP_E_NOMEM
                 : add_row(r, &row,
                           kap_metric_sort(r->at->arena, name, (kap_span_t){0}, (kap_span_t){0}));
    }
    return rc;
}

/* Rows of what is told from the index. */
static int gather_indexed(rows_t *r)
{
    int rc = KAP_OK;

    if (r->query->by == KAP_BY_REGION)
        return kap_own_regions(r->at, r->query, add_region, r);
    for (uint16_t value = 0; rc == KAP_OK && value <= KAP_SEGMENT_COUNT; value++)
        rc = add_value(r, value);
    return rc;
}

static int gather(rows_t *r)
{
    const kap_sum_query_t *what = &r->query->what;
    kap_summer_t *summer = r->at->summer;

    if (is_indexed(r->query->metric) &&
        (r->query->by == KAP_BY_REGION || r->query->by == KAP_BY_SEGMENT))
        return gather_indexed(r);
    switch (r->query->by) {
    case KAP_BY_EDGE:
        return kap_sum_edges(summer, &what->scope, add_edge, r);
    case KAP_BY_MEMBER:
        return add_members(r);
    case KAP_BY_REGION:
        return kap_sum_regions(summer, &what->scope, add_region, r);
    case KAP_BY_MONTH:
        return add_months(r);
    case KAP_BY_SERVICE:
    case KAP_BY_SEGMENT:
    case KAP_BY_WARM:
    case KAP_BY_ORIGIN:
        return kap_sum_values(summer, what, bys[r->query->by].breakdown, add_value, r);
    default:
        return KAP_OK;
    }
}

static int by_sort(const void *a, const void *b)
{
    const kap_metric_key_t *x = a, *y = b;

    return kap_span_cmp(x->sort, y->sort);
}

int kap_metric_rows(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    kap_metric_rows_t *out)
{
    rows_t r = {at, query, out};
    kap_metric_key_t all = {.scope = query->what.scope, .window = query->what.window};
    bool any;

    *out = (kap_metric_rows_t){0};
    int rc = number_row(&r, &all, &any);
    out->n = all.n;
    out->decided = all.decided;
    out->pending = all.pending;
    if (rc == KAP_OK)
        rc = gather(&r);
    if (rc == KAP_OK && out->count > 0)
        qsort(out->rows, out->count, sizeof *out->rows, by_sort);
    return rc;
}
