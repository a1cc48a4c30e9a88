/* SPDX-License-Identifier: MPL-2.0 */
/* Cases as organisations are today: their paths, and what the tree makes of their referrals. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "now_inner.h"
#include "rows.h"

/* One case while it is counted anew. */
typedef struct {
    kap_summer_t *s;
    struct kap_now *n;
    kap_arena_t *scratch;
} counting_t;

/* --- parts --- */

/* A part of then becomes one of today. */
static int place_part(const counting_t *c, kap_path_part_t *part)
{
    int rc = KAP_OK;
    uint32_t organisation = 0, then = part->region;
    const kap_now_region_t *region = kap_now_region(c->s, c->n, then, &rc);

    if (region == NULL)
        return rc;
    part->member = kap_succession_member(c->n->successions, then, part->member, NULL);
    part->region = region->now;
    part->area = region->area;
    rc = kap_now_organisation(c->s, c->n, part->member, part->organisation, &organisation);
    part->organisation = organisation;
    return rc;
}

static int by_place(const void *left, const void *right)
{
    const kap_path_part_t *a = left, *b = right;

    if (a->region != b->region)
        return a->region < b->region ? -1 : 1;
    return a->member < b->member ? -1 : a->member > b->member;
}

/* Keeps a path whose parts are those of today, each place once. */
static int keep_path(const counting_t *c, const kap_path_t *path)
{
    struct kap_now *n = c->n;
    kap_path_t kept = *path;

    kept.parts = kap_arena_alloc(n->arena, (path->part_count + 1) * sizeof *kept.parts);
    n->paths = kap_arena_more(n->arena, n->paths, n->path_count, sizeof *n->paths);
    if (kept.parts == NULL || n->paths == NULL)
        return KAP_E_NOMEM;
    if (path->part_count > 0)
        qsort(path->parts, path->part_count, sizeof *path->parts, by_place);
    kept.part_count = 0;
    for (uint32_t i = 0; i < path->part_count; i++) {
        if (i == 0 || by_place(&path->parts[i], &path->parts[i - 1]) != 0)
            kept.parts[kept.part_count++] = path->parts[i];
    }
    n->paths[n->path_count++] = kept;
    return KAP_OK;
}

/* Does anybody of the case stand where another one does, or in two places? Then its tree is another
 * one today. */
static bool is_affected(const counting_t *c, const kap_path_t *path)
{
    const kap_succession_t *s = c->n->successions;

    for (uint32_t i = 0; i < path->part_count; i++) {
        const kap_path_part_t *a = &path->parts[i];
        uint32_t now = kap_succession_member(s, a->region, a->member, NULL);
        for (uint32_t k = 0; k < i; k++) {
            const kap_path_part_t *b = &path->parts[k];
            bool same_now = kap_succession_member(s, b->region, b->member, NULL) == now;
            if (same_now != (a->member == b->member))
                return true;
        }
    }
    return false;
}

/* --- the tree of today --- */

static int no_place(void *arg, kap_span_t region, kap_span_t member, uint64_t seq,
                    kap_path_part_t *part)
{
    (void)arg;
    (void)region;
    (void)member;
    (void)seq;
    *part = (kap_path_part_t){0};
    return KAP_OK;
}

/* Of a referral whose ends are those of today already. */
static int place_today(void *arg, kap_span_t region, kap_span_t member, uint64_t seq,
                       kap_path_part_t *part)
{
    const counting_t *c = arg;

    (void)seq;
    *part = (kap_path_part_t){0};
    int rc = kap_rows_number(c->s->txn, region, &part->region);
    const kap_now_region_t *at =
        rc == KAP_OK ? kap_now_region(c->s, c->n, part->region, &rc) : NULL;
    if (at != NULL)
        part->area = at->area;
    if (rc == KAP_OK)
        rc = kap_rows_number(c->s->txn, member, &part->member);
    return rc != KAP_OK ? rc
                        : kap_now_organisation(c->s, c->n, part->member, 0, &part->organisation);
}

/* The ends of a referral today; `key` gets their numbers. */
static int move_referral(const counting_t *c, kap_referral_t *r, kap_cohort_key_t *key)
{
    kap_txn_t *txn = c->s->txn;
    uint32_t region = 0, from = 0, to = 0;
    int rc = kap_rows_number(txn, r->region, &region);

    if (rc == KAP_OK)
        rc = kap_rows_number(txn, r->from, &from);
    if (rc == KAP_OK)
        rc = kap_rows_number(txn, r->to, &to);
    if (rc != KAP_OK || region == 0 || from == 0 || to == 0)
        return rc != KAP_OK ? rc : KAP_E_CORRUPT;
    key->region = kap_succession_region(c->n->successions, region);
    key->from = kap_succession_member(c->n->successions, region, from, NULL);
    key->to = kap_succession_member(c->n->successions, region, to, NULL);
    key->at = r->created_at;
    if (key->from == key->to)
        r->flags |= KAP_RF_INTERNAL;
    rc = kap_rows_text(txn, key->region, &r->region);
    if (rc == KAP_OK)
        rc = kap_rows_text(txn, key->from, &r->from);
    return rc != KAP_OK ? rc : kap_rows_text(txn, key->to, &r->to);
}

static bool same_shape(const kap_fact_path_t *a, const kap_fact_path_t *b)
{
    return a->ping_pong == b->ping_pong && a->returned == b->returned && a->loop == b->loop &&
           a->got_back.working_ms == b->got_back.working_ms &&
           a->got_back.elapsed_ms == b->got_back.elapsed_ms;
}

static int keep_shape(const counting_t *c, const kap_referral_row_t *row,
                      const kap_cohort_key_t *key, const kap_fact_path_t *then,
                      const kap_fact_path_t *now)
{
    struct kap_now *n = c->n;
    kap_fact_t fact;

    if (same_shape(then, now))
        return KAP_OK;
    n->shapes = kap_arena_more(n->arena, n->shapes, n->shape_count, sizeof *n->shapes);
    if (n->shapes == NULL)
        return KAP_E_NOMEM;
    kap_fact_of(row, now, 0, &fact);
    kap_now_shape_t *x = &n->shapes[n->shape_count++];
    *x = (kap_now_shape_t){.seq = row->created_seq, .key = *key, .then = *then, .now = *now};
    memcpy(x->breakdown, fact.breakdown, sizeof x->breakdown);
    return KAP_OK;
}

/* What a case was and is, in scratch memory. */
typedef struct {
    kap_case_t then, now;
    kap_referral_row_t *rows;
    kap_cohort_key_t *keys;
    kap_fact_path_t *of_then, *of_now;
} twice_t;

static int read_case(const counting_t *c, kap_span_t id, twice_t *t)
{
    kap_path_t unused;
    int rc = kap_rows_case(c->s->txn, 0, id, c->scratch, &t->then);

    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    uint32_t count = t->then.count;
    t->rows = kap_arena_calloc(c->scratch, count + 1, sizeof *t->rows);
    t->keys = kap_arena_calloc(c->scratch, count + 1, sizeof *t->keys);
    t->of_then = kap_arena_calloc(c->scratch, count + 1, sizeof *t->of_then);
    t->of_now = kap_arena_calloc(c->scratch, count + 1, sizeof *t->of_now);
    if (t->rows == NULL || t->keys == NULL || t->of_then == NULL || t->of_now == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        rc = kap_rows_referral(c->s->txn, 0, t->then.nodes[i].referral, &t->rows[i]);
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    }
    return kap_path_of(&t->then, t->rows, c->scratch, no_place, NULL, &unused, t->of_then);
}

static int move_case(counting_t *c, twice_t *t, kap_path_t *path)
{
    int rc = KAP_OK;

    kap_case_init(&t->now);
    for (uint32_t i = 0; rc == KAP_OK && i < t->then.count; i++) {
        rc = move_referral(c, &t->rows[i].r, &t->keys[i]);
        if (rc == KAP_OK)
            rc = kap_case_put(&t->now, c->scratch, t->then.nodes[i].referral, &t->rows[i].r);
    }
    return rc != KAP_OK
               ? rc
               : kap_path_of(&t->now, t->rows, c->scratch, place_today, c, path, t->of_now);
}

static int count_again(counting_t *c, kap_span_t id)
{
    twice_t t;
    kap_path_t path;
    int rc = read_case(c, id, &t);

    if (rc == KAP_OK)
        rc = move_case(c, &t, &path);
    if (rc == KAP_OK)
        rc = keep_path(c, &path);
    for (uint32_t i = 0; rc == KAP_OK && i < t.then.count; i++)
        rc = keep_shape(c, &t.rows[i], &t.keys[i], &t.of_then[i], &t.of_now[i]);
    return rc;
}

static int count_case(void *arg, kap_span_t id)
{
    counting_t *c = arg;
    kap_path_t path;
    kap_key_t key;
    kap_span_t value;

    kap_arena_reset(c->scratch);
    kap_key_scoped(&key, 0, id);
    int rc = kap_txn_get(c->s->txn, KAP_ROWS_PATHS, kap_key_span(&key), &value);
    if (rc != KAP_OK) /* none of its referrals counts */
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    rc = kap_path_unpack(value, c->scratch, &path);
    if (rc != KAP_OK)
        return rc;
    if (is_affected(c, &path))
        return count_again(c, id);
    for (uint32_t i = 0; rc == KAP_OK && i < path.part_count; i++)
        rc = place_part(c, &path.parts[i]);
    return rc != KAP_OK ? rc : keep_path(c, &path);
}

static int by_seq(const void *left, const void *right)
{
    uint64_t a = ((const kap_now_shape_t *)left)->seq, b = ((const kap_now_shape_t *)right)->seq;

    return a < b ? -1 : a > b;
}

int kap_now_count_cases(kap_summer_t *summer, struct kap_now *n, const kap_window_t *window)
{
    counting_t c = {summer, n, kap_arena_new(16 << 10)};
    kap_instants_t span = {window->from_ms, window->to_ms};
    int rc = c.scratch == NULL ? KAP_E_NOMEM : kap_sum_touched(summer, 0, span, count_case, &c);

    if (n->shape_count > 0)
        qsort(n->shapes, n->shape_count, sizeof *n->shapes, by_seq);
    n->counted = true;
    kap_arena_destroy(&c.scratch);
    return rc;
}

/* --- asking --- */

int kap_now_cases(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_case_fn fn, void *arg)
{
    const kap_window_t *w = &query->window;
    const struct kap_now *n = summer->now;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < n->path_count; i++) {
        const kap_path_t *path = &n->paths[i];
        if (path->started_at >= w->from_ms && path->started_at < w->to_ms &&
            kap_now_path_fits(n, &query->scope, path))
            rc = fn(arg, path);
    }
    return rc;
}

typedef struct {
    uint32_t a, b;
} pair_t;

static int by_pair(const void *left, const void *right)
{
    const pair_t *x = left, *y = right;

    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

/* Parts stand by region, then member: in any region a pair may come in either order. */
static int pairs_of(const struct kap_now *n, const kap_path_t *path, uint32_t region,
                    pair_t **pairs, size_t *count)
{
    for (uint32_t i = 0; i < path->part_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const kap_path_part_t *x = &path->parts[k], *y = &path->parts[i];
            bool here = region == 0 || (x->region == region && y->region == region);
            if (!here || x->member == y->member)
                continue;
            *pairs = kap_arena_more(n->arena, *pairs, *count, sizeof **pairs);
            if (*pairs == NULL)
                return KAP_E_NOMEM;
            (*pairs)[(*count)++] = x->member < y->member ? (pair_t){x->member, y->member}
                                                         : (pair_t){y->member, x->member};
        }
    }
    return KAP_OK;
}

int kap_now_pairs(kap_summer_t *summer, uint32_t region, kap_now_pair_fn fn, void *arg)
{
    const struct kap_now *n = summer->now;
    pair_t *pairs = NULL;
    size_t count = 0;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < n->path_count; i++)
        rc = pairs_of(n, &n->paths[i], region, &pairs, &count);
    if (count > 0)
        qsort(pairs, count, sizeof *pairs, by_pair);
    for (size_t i = 0; rc == KAP_OK && i < count; i++) {
        if (i == 0 || by_pair(&pairs[i], &pairs[i - 1]) != 0)
            rc = fn(arg, pairs[i].a, pairs[i].b);
    }
    return rc;
}
