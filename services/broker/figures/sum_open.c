/* SPDX-License-Identifier: MPL-2.0 */
/* Open referrals of a scope, and the survival of waiting. */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "now.h"
#include "rows.h"
#include "sum_inner.h"

enum { PREFIX_MAX = 12 };

/* --- open referrals --- */

typedef struct {
    kap_summer_t *s;
    const kap_sum_query_t *query;
    kap_sum_open_fn fn;
    void *arg;
    kap_cursor_t *cursor;
} opening_t;

/* Is the member one of the scope's, as far as the scope is about members? */
static int is_of_scope(const opening_t *o, uint32_t member, bool *is)
{
    const kap_scope_t *scope = &o->query->scope;
    kap_span_t id;

    *is = scope->kind == KAP_SCOPE_MEMBER && member == scope->a;
    if (scope->kind != KAP_SCOPE_ORGANISATION)
        return KAP_OK;
    int rc = kap_rows_text(o->s->txn, member, &id);
    const kap_member_t *m = rc == KAP_OK ? kap_directory_member(o->s->dir, id) : NULL;
    *is = m != NULL && kap_span_eq(m->organisation, scope->organisation);
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

static int ends_fit(const opening_t *o, const kap_cohort_key_t *key, bool *fit)
{
    const kap_scope_t *scope = &o->query->scope;
    kap_side_t side = o->query->side;
    bool sends = false, gets = false;
    int rc = KAP_OK;

    *fit = true;
    if (scope->kind == KAP_SCOPE_EDGE)
        *fit = key->from == scope->a && key->to == scope->b;
    if (scope->kind != KAP_SCOPE_MEMBER && scope->kind != KAP_SCOPE_ORGANISATION)
        return KAP_OK;
    if (side != KAP_SIDE_GETS)
        rc = is_of_scope(o, key->from, &sends);
    if (rc == KAP_OK && side != KAP_SIDE_SENDS)
        rc = is_of_scope(o, key->to, &gets);
    *fit = sends || gets;
    return rc;
}

static bool values_fit(const kap_sum_query_t *q, const kap_referral_row_t *row)
{
    kap_fact_path_t none = {0};
    kap_fact_t fact;

    if (q->breakdown == KAP_BREAKDOWN_NONE && q->breakdown2 == KAP_BREAKDOWN_NONE)
        return true;
    kap_fact_of(row, &none, 0, &fact);
    return (q->breakdown == KAP_BREAKDOWN_NONE || fact.breakdown[q->breakdown] == q->value) &&
           (q->breakdown2 == KAP_BREAKDOWN_NONE || fact.breakdown[q->breakdown2] == q->value2);
}

static int open_one(const opening_t *o)
{
    const kap_window_t *window = &o->query->window;
    kap_open_t open;
    kap_referral_row_t row;
    bool fit;
    int rc = kap_open_split(kap_cursor_key(o->cursor), kap_cursor_value(o->cursor), &open);

    if (rc != KAP_OK || open.key.at < window->from_ms || open.key.at >= window->to_ms)
        return rc;
    rc = ends_fit(o, &open.key, &fit);
    if (rc != KAP_OK || !fit)
        return rc;
    rc = kap_rows_referral(o->s->txn, open.scope, open.referral, &row);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    return values_fit(o->query, &row) ? o->fn(o->arg, &open, &row) : KAP_OK;
}

/* As much of the key as the scope tells. */
static size_t prefix_of(const kap_sum_query_t *q, uint32_t region, uint8_t key[PREFIX_MAX])
{
    const kap_scope_t *scope = &q->scope;
    bool from = scope->kind == KAP_SCOPE_MEMBER && q->side == KAP_SIDE_SENDS;

    kap_be_put_u32(key, region);
    kap_be_put_u32(key + 4, scope->a);
    kap_be_put_u32(key + 8, scope->b);
    return scope->kind == KAP_SCOPE_EDGE ? 12 : from ? 8 : 4;
}

static int open_region(const opening_t *o, uint32_t region)
{
    uint8_t bytes[PREFIX_MAX];
    kap_span_t prefix = kap_span(bytes, prefix_of(o->query, region, bytes));
    int rc = kap_cursor_seek_ge(o->cursor, prefix);

    for (; rc == KAP_OK; rc = kap_cursor_next(o->cursor)) {
        if (!kap_span_starts(kap_cursor_key(o->cursor), prefix))
            return KAP_OK;
        rc = open_one(o);
        if (rc != KAP_OK)
            return rc;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Does the region belong to the scope today? Bench regions have no area. */
static int region_fits(const opening_t *o, uint32_t number, bool *fits)
{
    const kap_scope_t *scope = &o->query->scope;
    kap_span_t id;

    *fits = true;
    if (scope->kind != KAP_SCOPE_AREA && scope->kind != KAP_SCOPE_NATION)
        return KAP_OK;
    int rc = kap_rows_text(o->s->txn, number, &id);
    const kap_region_t *region = rc == KAP_OK ? kap_directory_region(o->s->dir, id) : NULL;
    *fits = region != NULL && region->area.size > 0 &&
            (scope->kind == KAP_SCOPE_NATION || kap_span_eq(region->area, scope->area));
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

int kap_sum_open(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_open_fn fn, void *arg)
{
    opening_t o = {.s = summer, .query = query, .fn = fn, .arg = arg};
    bool one = query->scope.region.size > 0, fits;

    if (summer->now != NULL)
        return kap_now_open(summer, query, fn, arg);
    int rc = kap_cursor_open(summer->txn, KAP_ROWS_OPEN, &o.cursor);

    for (uint32_t i = 0; rc == KAP_OK && i < (one ? 1 : summer->region_count); i++) {
        uint32_t region = one ? query->scope.region_number : summer->regions[i];
        rc = region_fits(&o, region, &fits);
        if (rc == KAP_OK && fits)
            rc = open_region(&o, region);
    }
    kap_cursor_close(&o.cursor);
    return rc;
}

/* --- survival --- */

/* How many were accepted, and how many left or still wait, after so long. */
typedef struct {
    int64_t ms;
    uint64_t accepted, censored;
} step_t;

typedef struct {
    kap_summer_t *s;
    bool elapsed, exact;
    int64_t now;
    uint64_t waiting;
    step_t *steps;
    size_t count, cap;
} survival_t;

static int add_step(survival_t *v, int64_t ms, uint64_t accepted, uint64_t censored)
{
    if (v->count == v->cap) {
        size_t cap = v->cap == 0 ? 256 : v->cap * 2;
        step_t *grown = kap_arena_alloc(v->s->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (v->count > 0)
            memcpy(grown, v->steps, v->count * sizeof *grown);
        v->steps = grown;
        v->cap = cap;
    }
    v->steps[v->count++] = (step_t){ms, accepted, censored};
    return KAP_OK;
}

static int64_t hand_of(const survival_t *v, const kap_spent_t *spent)
{
    return v->elapsed ? spent->elapsed_ms : spent->working_ms;
}

static int add_fact(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact)
{
    survival_t *v = arg;
    int64_t accepted = hand_of(v, &fact->times[KAP_FIGURE_TIME_ACCEPT]);
    int64_t given_up = hand_of(v, &fact->times[KAP_FIGURE_TIME_GIVEN_UP]);
    int rc = KAP_OK;

    (void)key;
    if (accepted != KAP_REFERRAL_NO_SPAN_MS)
        rc = add_step(v, accepted, 1, 0);
    if (rc == KAP_OK && given_up != KAP_REFERRAL_NO_SPAN_MS)
        rc = add_step(v, given_up, 0, 1);
    return rc;
}

/* A transfer that arrived and waits for its accept. */
static int add_open(void *arg, const kap_open_t *open, const kap_referral_row_t *row)
{
    survival_t *v = arg;
    const kap_referral_t *r = &row->r;

    (void)open;
    if (!kap_fact_is_transfer(r) || r->delivered_at == KAP_REFERRAL_NO_TIME ||
        r->accepted_at != KAP_REFERRAL_NO_TIME || kap_state_is_terminal(r->state))
        return KAP_OK;
    const kap_member_t *to = kap_directory_member(v->s->dir, r->to);
    kap_spent_t waited = kap_referral_waited(r, to == NULL ? NULL : to->closures, v->now);
    int64_t ms = hand_of(v, &waited);
    v->waiting++;
    return add_step(v, v->exact ? ms : kap_sketch_value(kap_sketch_bucket(ms)), 0, 1);
}

static int by_ms(const void *a, const void *b)
{
    const step_t *x = a, *y = b;

    return (x->ms > y->ms) - (x->ms < y->ms);
}

/* The product of the shares that went on waiting, over the times at which some were accepted. Who
 * is censored at such a time was there until it. */
static int64_t median_of(step_t *steps, size_t count)
{
    const double half = 0.5 + 1e-12; /* a product of so many roundings */
    uint64_t there = 0;
    double wait = 1;

    if (count > 0)
        qsort(steps, count, sizeof *steps, by_ms);
    for (size_t i = 0; i < count; i++)
        there += steps[i].accepted + steps[i].censored;
    for (size_t i = 0; i < count;) {
        int64_t ms = steps[i].ms;
        uint64_t accepted = 0, gone = 0;
        for (; i < count && steps[i].ms == ms; i++) {
            accepted += steps[i].accepted;
            gone += steps[i].accepted + steps[i].censored;
        }
        wait *= (double)(there - accepted) / (double)there;
        if (accepted > 0 && wait <= half)
            return ms;
        there -= gone;
    }
    return -1;
}

static int add_buckets(survival_t *v, const kap_sum_query_t *query)
{
    uint64_t *accepted = kap_arena_calloc(v->s->arena, KAP_SKETCH_BUCKETS, sizeof *accepted);
    uint64_t *given_up = kap_arena_calloc(v->s->arena, KAP_SKETCH_BUCKETS, sizeof *given_up);
    int rc = accepted == NULL || given_up == NULL ? KAP_E_NOMEM : KAP_OK;

    if (rc == KAP_OK)
        rc = kap_sum_sketch(v->s, query, KAP_FIGURE_TIME_ACCEPT, v->elapsed, accepted);
    if (rc == KAP_OK)
        rc = kap_sum_sketch(v->s, query, KAP_FIGURE_TIME_GIVEN_UP, v->elapsed, given_up);
    for (uint32_t i = 0; rc == KAP_OK && i < KAP_SKETCH_BUCKETS; i++) {
        if (accepted[i] + given_up[i] > 0)
            rc = add_step(v, kap_sketch_value(i), accepted[i], given_up[i]);
    }
    return rc;
}

int kap_sum_survival(kap_summer_t *summer, const kap_sum_query_t *query, bool elapsed, int64_t now,
                     int64_t *median_ms, uint64_t *waiting)
{
    survival_t v = {.s = summer, .elapsed = elapsed, .now = now};
    kap_vector_t sum = {0};
    int rc = kap_sum_counts(summer, query, &sum);

    v.exact = sum.counts[KAP_FIGURE_REFERRALS] <= KAP_EXACT_MAX;
    if (rc == KAP_OK)
        rc = v.exact ? kap_sum_facts(summer, query, add_fact, &v) : add_buckets(&v, query);
    if (rc == KAP_OK)
        rc = kap_sum_open(summer, query, add_open, &v);
    if (rc != KAP_OK)
        return rc;
    *median_ms = median_of(v.steps, v.count);
    *waiting = v.waiting;
    return KAP_OK;
}
