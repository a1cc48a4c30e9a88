/* SPDX-License-Identifier: MPL-2.0 */
/* Cases by the time they began, and their chains. */
#include <stdlib.h>

#include "err.h"
#include "event.h"
#include "now_inner.h"
#include "rows.h"
#include "sum_inner.h"

/* --- cases that began in a span of time --- */

/* A list of positions, then of the cases that their referrals belong to. */
typedef struct {
    kap_summer_t *s;
    uint64_t *seqs;
    kap_span_t *cases;
    size_t count, cap;
    size_t most; /* positions; one more: KAP_E_LIMIT */
} began_t;

static int add_seq(void *arg, const kap_cohort_key_t *key, const kap_fact_t *fact)
{
    began_t *b = arg;

    (void)fact;
    if (b->count == b->most)
        return KAP_E_LIMIT;
    if (b->count == b->cap) {
        size_t cap = b->cap == 0 ? 64 : b->cap * 2;
        uint64_t *grown = realloc(b->seqs, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        b->seqs = grown;
        b->cap = cap;
    }
    b->seqs[b->count++] = key->seq;
    return KAP_OK;
}

/* Everything created in the span: a case may begin in another region than the scope's. */
static int find_seqs(began_t *b, uint32_t archive, kap_instants_t span)
{
    kap_sum_query_t all = {.scope = {.kind = KAP_SCOPE_REGION, .utc = archive != 0},
                           .window = {.from_ms = span.from_ms, .to_ms = span.to_ms}};
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < (archive != 0 ? 1 : b->s->region_count); i++) {
        all.scope.region_number = archive != 0 ? archive : b->s->regions[i];
        rc = kap_rows_text(b->s->txn, all.scope.region_number, &all.scope.region);
        if (rc == KAP_OK)
            rc = kap_sum_facts(b->s, &all, add_seq, b);
    }
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
    return kap_span_cmp(*(const kap_span_t *)a, *(const kap_span_t *)b);
}

/* The case of the referral created at a position; empty: what happened there made none. */
static int case_at(const began_t *b, kap_log_walk_t *walk, uint64_t seq, uint32_t scope,
                   kap_arena_t *scratch, kap_span_t *id)
{
    kap_logged_t logged;
    kap_event_t ev;
    kap_referral_row_t row;
    const kap_span_t cut = {0};
    int rc = kap_log_walk_get(walk, seq, 0, &logged);

    *id = cut;
    if (rc == KAP_OK && logged.open.size == 0) /* retention cut it to its hash */
        return KAP_OK;
    if (rc == KAP_OK)
        rc = kap_event_decode(logged.open, cut, cut, scratch, &ev, NULL);
    if (rc != KAP_OK)
        return rc == KAP_E_NOMEM ? rc : KAP_E_CORRUPT;
    if (ev.type != KAP_EV_REFERRAL_CREATED)
        return KAP_OK;
    rc = kap_rows_referral(b->s->txn, scope, kap_event_span(&ev, KAP_F_REFERRAL), &row);
    if (rc == KAP_OK)
        *id = row.r.case_id;
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

/* Positions become cases, each once, in the order of their ids. */
static int find_cases(began_t *b, uint32_t scope, kap_arena_t *scratch)
{
    kap_log_walk_t walk;
    size_t found = 0, kept = 0;
    int rc = kap_log_walk_open(b->s->txn, &walk);

    if (rc != KAP_OK)
        return rc;
    b->cases = malloc((b->count + 1) * sizeof *b->cases);
    rc = b->cases == NULL ? KAP_E_NOMEM : KAP_OK;
    if (b->count > 0)
        qsort(b->seqs, b->count, sizeof *b->seqs, by_seq);
    for (size_t i = 0; rc == KAP_OK && i < b->count; i++) {
        kap_arena_reset(scratch);
        rc = case_at(b, &walk, b->seqs[i], scope, scratch, &b->cases[found]);
        found += rc == KAP_OK && b->cases[found].size > 0;
    }
    kap_log_walk_close(&walk);
    if (found > 0)
        qsort(b->cases, found, sizeof *b->cases, by_text);
    for (size_t i = 0; i < found; i++) {
        if (kept == 0 || !kap_span_eq(b->cases[i], b->cases[kept - 1]))
            b->cases[kept++] = b->cases[i];
    }
    b->count = kept;
    return rc;
}

static bool part_fits(const kap_scope_t *scope, const kap_path_part_t *part)
{
    bool in_region = scope->region.size == 0 || part->region == scope->region_number;

    switch (scope->kind) {
    case KAP_SCOPE_REGION:
        return in_region;
    case KAP_SCOPE_AREA:
        return part->area != 0 && part->area == scope->region_number;
    case KAP_SCOPE_NATION:
        return part->area != 0;
    case KAP_SCOPE_ORGANISATION:
        return part->organisation != 0 && part->organisation == scope->a;
    case KAP_SCOPE_MEMBER:
        return in_region && scope->a != 0 && part->member == scope->a;
    case KAP_SCOPE_EDGE:
        break;
    }
    return false;
}

/* As cells have it: kap_cell_spread_path. */
static bool path_fits(const kap_scope_t *scope, const kap_path_t *path)
{
    for (uint32_t i = 0; i < path->part_count; i++) {
        if (part_fits(scope, &path->parts[i]))
            return true;
    }
    return false;
}

/* The cases of the list that began in the span, in the summer's arena. */
static int read_paths(began_t *b, uint32_t scope, kap_sum_began_t *out)
{
    kap_key_t key;
    kap_span_t value;

    out->paths = kap_arena_calloc(b->s->arena, b->count + 1, sizeof *out->paths);
    for (size_t i = 0; out->paths != NULL && i < b->count; i++) {
        kap_path_t *path = &out->paths[out->count];
        kap_key_scoped(&key, scope, b->cases[i]);
        int rc = kap_txn_get(b->s->txn, KAP_ROWS_PATHS, kap_key_span(&key), &value);
        if (rc == KAP_E_NOTFOUND)
            continue; /* none of its referrals counts */
        if (rc == KAP_OK)
            rc = kap_path_unpack(value, b->s->arena, path);
        if (rc != KAP_OK)
            return rc;
        out->count += path->started_at >= out->span.from_ms && path->started_at < out->span.to_ms;
    }
    return out->paths == NULL ? KAP_E_NOMEM : KAP_OK;
}

/* The cases with a referral created in the span, in b->cases: free them and b->seqs. */
static int find_touched(began_t *b, uint32_t archive, kap_instants_t span)
{
    kap_arena_t *scratch = kap_arena_new(4096);
    int rc = scratch == NULL ? KAP_E_NOMEM : find_seqs(b, archive, span);

    if (rc == KAP_OK)
        rc = find_cases(b, archive, scratch);
    kap_arena_destroy(&scratch);
    return rc;
}

int kap_sum_touched(kap_summer_t *summer, uint32_t archive, kap_instants_t span,
                    kap_sum_case_id_fn fn, void *arg)
{
    began_t b = {.s = summer, .most = SIZE_MAX};
    int rc = span.from_ms < span.to_ms ? find_touched(&b, archive, span) : KAP_OK;

    for (size_t i = 0; rc == KAP_OK && i < b.count; i++)
        rc = fn(arg, b.cases[i]);
    free(b.seqs);
    free(b.cases);
    return rc;
}

static int find_began(kap_summer_t *summer, size_t most, kap_sum_began_t *out)
{
    began_t b = {.s = summer, .most = most};
    int rc = find_touched(&b, out->archive, out->span);

    out->beyond = rc == KAP_E_LIMIT;
    if (out->beyond)
        rc = KAP_OK;
    else if (rc == KAP_OK)
        rc = read_paths(&b, out->archive, out);
    free(b.seqs);
    free(b.cases);
    return rc;
}

/* The cases that began in the span, from the summer or found now; `most` referrals. */
static int began_in(kap_summer_t *summer, const kap_sum_query_t *query, kap_instants_t span,
                    size_t most, const kap_sum_began_t **out)
{
    uint32_t archive = query->scope.utc ? query->scope.region_number : 0;
    kap_sum_began_t *began = summer->began;

    while (began != NULL &&
           (began->span.from_ms != span.from_ms || began->span.to_ms != span.to_ms ||
            began->archive != archive || (began->beyond && most == SIZE_MAX)))
        began = began->next;
    *out = began;
    if (began != NULL)
        return KAP_OK;
    began = kap_arena_calloc(summer->arena, 1, sizeof *began);
    if (began == NULL)
        return KAP_E_NOMEM;
    *began = (kap_sum_began_t){.span = span, .archive = archive, .next = summer->began};
    int rc = find_began(summer, most, began);
    if (rc == KAP_OK)
        *out = summer->began = began;
    return rc;
}

static int cases_of(kap_summer_t *summer, const kap_sum_query_t *query, kap_instants_t span,
                    size_t most, kap_sum_case_fn fn, void *arg)
{
    const kap_sum_began_t *began;

    if (span.from_ms >= span.to_ms)
        return KAP_OK;
    int rc = began_in(summer, query, span, most, &began);
    if (rc == KAP_OK && began->beyond)
        return KAP_E_LIMIT;
    for (size_t i = 0; rc == KAP_OK && i < began->count; i++) {
        if (path_fits(&query->scope, &began->paths[i]))
            rc = fn(arg, &began->paths[i]);
    }
    return rc;
}

/* --- what sketches leave, and chains --- */

/* The periods of which sketches hold the cases of a scope. */
static unsigned kept_of(kap_scope_kind_t kind)
{
    static const kap_level_t levels[] = {
        [KAP_SCOPE_REGION] = KAP_LEVEL_REGION, [KAP_SCOPE_AREA] = KAP_LEVEL_AREA,
        [KAP_SCOPE_NATION] = KAP_LEVEL_NATION, [KAP_SCOPE_ORGANISATION] = KAP_LEVEL_ORGANISATION,
        [KAP_SCOPE_MEMBER] = KAP_LEVEL_MEMBER, [KAP_SCOPE_EDGE] = KAP_LEVEL_PAIR,
    };
    unsigned periods = 0;

    for (int period = KAP_PERIOD_YEAR; period <= KAP_PERIOD_DAY; period++) {
        if (kap_cell_kept(levels[kind], KAP_BREAKDOWN_NONE, (kap_period_t)period, false))
            periods |= 1u << period;
    }
    return periods;
}

int kap_sum_case_rest(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_case_fn fn,
                      void *arg)
{
    unsigned periods = kept_of(query->scope.kind);
    kap_span_of_periods_t pieces[KAP_WINDOW_PIECES];
    kap_instants_t rest[2];
    int rc = KAP_OK;

    if (periods == 0 || query->breakdown != KAP_BREAKDOWN_NONE)
        return KAP_OK;
    kap_window_pieces(&query->window, query->scope.utc, periods, pieces, rest);
    for (int i = 0; rc == KAP_OK && i < 2; i++)
        rc = cases_of(summer, query, rest[i], SIZE_MAX, fn, arg);
    return rc;
}

int kap_sum_cases(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_case_fn fn, void *arg)
{
    kap_instants_t span = {query->window.from_ms, query->window.to_ms};

    if (query->breakdown != KAP_BREAKDOWN_NONE || query->scope.kind == KAP_SCOPE_EDGE)
        return KAP_OK;
    return summer->now != NULL ? kap_now_cases(summer, query, fn, arg)
                               : cases_of(summer, query, span, KAP_CASE_WALK_MAX, fn, arg);
}

int kap_sum_chains(kap_summer_t *summer, const kap_sum_query_t *query, uint64_t *counts,
                   uint32_t max)
{
    uint64_t *buckets = kap_arena_calloc(summer->arena, KAP_SKETCH_BUCKETS, sizeof *buckets);
    int rc = buckets == NULL ? KAP_E_NOMEM
                             : kap_sum_sketch(summer, query, KAP_FIGURE_TIME_CHAIN, false, buckets);

    for (uint32_t i = 0; rc == KAP_OK && i < KAP_SKETCH_BUCKETS; i++)
        counts[i < max ? i : max] += buckets[i];
    return rc;
}
