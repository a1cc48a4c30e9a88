/* SPDX-License-Identifier: MPL-2.0 */
#include "now.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "now_inner.h"
#include "rows.h"
#include "tables.h"

/* Sums of then, until kap_now_t is put back. */
static struct kap_now *leave(kap_summer_t *summer)
{
    struct kap_now *n = summer->now;

    summer->now = NULL;
    return n;
}

/* --- where things stand today --- */

static int text_index(struct kap_now *n, kap_span_t text, uint32_t *index)
{
    for (*index = 1; *index <= n->text_count; ++*index) {
        if (kap_span_eq(n->texts[*index - 1], text))
            return KAP_OK;
    }
    n->texts = kap_arena_more(n->arena, n->texts, n->text_count, sizeof *n->texts);
    if (n->texts == NULL)
        return KAP_E_NOMEM;
    n->texts[n->text_count++] = text;
    return KAP_OK;
}

/* By the directory, else as the table of regions has it; then what followed that. */
static int find_area(kap_summer_t *s, struct kap_now *n, kap_now_region_t *region)
{
    const kap_region_t *known;
    uint32_t number = 0, now;
    kap_span_t id, area;
    int rc = kap_rows_text(s->txn, region->now, &id);

    if (rc != KAP_OK)
        return rc;
    known = kap_directory_region(s->dir, id);
    int listed = kap_region_find(id);
    area = known != NULL ? known->area
           : listed < 0  ? (kap_span_t){0}
                         : kap_span_str(kap_area_row(kap_region_row(listed)->area)->id);
    if (area.size == 0)
        return KAP_OK;
    rc = kap_rows_number(s->txn, area, &number);
    now = number == 0 ? 0 : kap_succession_area(n->successions, region->now, number, NULL);
    if (rc == KAP_OK && now != number)
        rc = kap_rows_text(s->txn, now, &area);
    return rc != KAP_OK ? rc : text_index(n, area, &region->area);
}

const kap_now_region_t *kap_now_region(kap_summer_t *s, struct kap_now *n, uint32_t region, int *rc)
{
    for (uint32_t i = 0; i < n->region_count; i++) {
        if (n->regions[i].then == region)
            return &n->regions[i];
    }
    kap_now_region_t at = {.then = region, .now = kap_succession_region(n->successions, region)};
    *rc = kap_rows_text(s->txn, region, &at.text);
    if (*rc == KAP_OK)
        *rc = find_area(s, n, &at);
    if (*rc != KAP_OK)
        return NULL;
    n->regions = kap_arena_more(n->arena, n->regions, n->region_count, sizeof *n->regions);
    if (n->regions == NULL) {
        *rc = KAP_E_NOMEM;
        return NULL;
    }
    n->regions[n->region_count] = at;
    return &n->regions[n->region_count++];
}

int kap_now_organisation(kap_summer_t *s, struct kap_now *n, uint32_t member, uint32_t then,
                         uint32_t *index)
{
    kap_span_t id, organisation = {0};

    for (uint32_t i = 0; i < n->organisation_count; i += 2) {
        if (n->organisations[i] == member) {
            *index = n->organisations[i + 1];
            return KAP_OK;
        }
    }
    int rc = kap_rows_text(s->txn, member, &id);
    const kap_member_t *m = rc == KAP_OK ? kap_directory_member(s->dir, id) : NULL;
    if (m != NULL)
        organisation = m->organisation;
    else if (rc == KAP_OK && then != 0)
        rc = kap_rows_text(s->txn, then, &organisation);
    *index = 0;
    if (rc == KAP_OK && organisation.size > 0)
        rc = text_index(n, organisation, index);
    const uint32_t both[2] = {member, *index};
    for (int i = 0; rc == KAP_OK && i < 2; i++) {
        n->organisations = kap_arena_more(n->arena, n->organisations, n->organisation_count,
                                          sizeof *n->organisations);
        if (n->organisations == NULL)
            return KAP_E_NOMEM;
        n->organisations[n->organisation_count++] = both[i];
    }
    return rc;
}

static uint32_t member_now(const struct kap_now *n, uint32_t region, uint32_t member)
{
    return kap_succession_member(n->successions, region, member, NULL);
}

bool kap_now_is_unassigned(const kap_summer_t *summer, uint32_t region, uint32_t member)
{
    bool unassigned = false;

    if (summer->now != NULL)
        kap_succession_member(summer->now->successions, region, member, &unassigned);
    return unassigned;
}

/* The id of a number that is another one today. */
static int text_today(const kap_summer_t *summer, uint32_t then, uint32_t now, kap_span_t *id)
{
    return then == now ? KAP_OK : kap_rows_text(summer->txn, now, id);
}

int kap_now_place(const kap_summer_t *summer, kap_span_t *region, kap_span_t *member)
{
    uint32_t in = 0, who = 0;

    if (summer->now == NULL)
        return KAP_OK;
    int rc = kap_rows_number(summer->txn, *region, &in);
    if (rc == KAP_OK)
        rc = kap_rows_number(summer->txn, *member, &who);
    if (rc == KAP_OK && who != 0)
        rc = text_today(summer, who, member_now(summer->now, in, who), member);
    if (rc == KAP_OK && in != 0)
        rc = text_today(summer, in, kap_succession_region(summer->now->successions, in), region);
    return rc;
}

int kap_now_successor(const kap_summer_t *summer, const kap_member_t *member,
                      const kap_member_t **out)
{
    uint32_t number = 0;
    kap_span_t id;

    *out = member;
    if (summer->now == NULL)
        return KAP_OK;
    int rc = kap_rows_number(summer->txn, member->id, &number);
    uint32_t now = rc == KAP_OK ? member_now(summer->now, 0, number) : number;
    if (rc != KAP_OK || now == number)
        return rc;
    rc = kap_rows_text(summer->txn, now, &id);
    const kap_member_t *successor = rc == KAP_OK ? kap_directory_member(summer->dir, id) : NULL;
    if (successor != NULL)
        *out = successor;
    return rc;
}

static bool text_is(const struct kap_now *n, uint32_t index, kap_span_t text)
{
    return index != 0 && kap_span_eq(n->texts[index - 1], text);
}

/* Is what stands there today in the regions of the scope? */
static bool region_fits(const struct kap_now *n, const kap_scope_t *scope,
                        const kap_now_region_t *region)
{
    if (scope->region.size > 0)
        return region->now == scope->region_number;
    if (scope->kind == KAP_SCOPE_AREA)
        return text_is(n, region->area, scope->area);
    return scope->kind != KAP_SCOPE_NATION || region->area != 0;
}

int kap_now_edge_fits(kap_summer_t *s, struct kap_now *n, const kap_sum_query_t *q,
                      const kap_cohort_key_t *key, bool *fits)
{
    const kap_scope_t *scope = &q->scope;
    uint32_t member = q->side == KAP_SIDE_SENDS ? key->from : key->to, index = 0;
    int rc = KAP_OK;
    const kap_now_region_t *region = kap_now_region(s, n, key->region, &rc);

    *fits = region != NULL && region_fits(n, scope, region);
    if (*fits && scope->kind == KAP_SCOPE_MEMBER)
        *fits = member == scope->a;
    if (*fits && scope->kind == KAP_SCOPE_EDGE)
        *fits = key->from == scope->a && key->to == scope->b;
    if (*fits && scope->kind == KAP_SCOPE_ORGANISATION) {
        rc = kap_now_organisation(s, n, member, 0, &index);
        *fits = text_is(n, index, scope->organisation);
    }
    return rc;
}

static bool part_fits(const struct kap_now *n, const kap_scope_t *scope,
                      const kap_path_part_t *part, uint32_t member)
{
    if (scope->region.size > 0 && part->region != scope->region_number)
        return false;
    switch (scope->kind) {
    case KAP_SCOPE_REGION:
        return true;
    case KAP_SCOPE_AREA:
        return text_is(n, part->area, scope->area);
    case KAP_SCOPE_NATION:
        return part->area != 0;
    case KAP_SCOPE_ORGANISATION:
        return text_is(n, part->organisation, scope->organisation);
    case KAP_SCOPE_MEMBER:
    case KAP_SCOPE_EDGE:
        return member != 0 && part->member == member;
    }
    return false;
}

static bool any_part_fits(const struct kap_now *n, const kap_scope_t *scope, const kap_path_t *path,
                          uint32_t member)
{
    for (uint32_t i = 0; i < path->part_count; i++) {
        if (part_fits(n, scope, &path->parts[i], member))
            return true;
    }
    return false;
}

bool kap_now_path_fits(const struct kap_now *n, const kap_scope_t *scope, const kap_path_t *path)
{
    return any_part_fits(n, scope, path, scope->a) &&
           (scope->kind != KAP_SCOPE_EDGE || any_part_fits(n, scope, path, scope->b));
}

/* --- the scopes then that a scope of today is made of --- */

typedef int (*part_fn)(void *arg, const kap_sum_query_t *part);

typedef struct {
    kap_summer_t *s; /* without the view */
    struct kap_now *n;
    const kap_sum_query_t *query;
    part_fn fn;
    void *arg;
} parting_t;

/* The next member then that stands in the place of `member` today in a region: those of
 * successions, then itself. 0: no more. */
static uint32_t next_then(const struct kap_now *n, uint32_t region, uint32_t member, uint32_t *at)
{
    uint32_t count;
    const uint32_t *all = kap_succession_members(n->successions, &count);

    for (; *at < count; ++*at) {
        if (all[*at] != member && member_now(n, region, all[*at]) == member)
            return all[(*at)++];
    }
    bool itself = *at == count && member_now(n, region, member) == member;
    *at = count + 1;
    return itself ? member : 0;
}

static kap_sum_query_t part_of(const kap_sum_query_t *query, kap_scope_kind_t kind,
                               const kap_now_region_t *region, uint32_t a, uint32_t b)
{
    kap_sum_query_t part = *query;

    part.scope = (kap_scope_t){
        .kind = kind, .region = region->text, .region_number = region->then, .a = a, .b = b};
    return part;
}

static int parts_of_edge(const parting_t *p, const kap_now_region_t *region)
{
    const kap_scope_t *scope = &p->query->scope;
    uint32_t i = 0, a, b;
    int rc = KAP_OK;

    while (rc == KAP_OK && (a = next_then(p->n, region->then, scope->a, &i)) != 0) {
        uint32_t k = 0;
        while (rc == KAP_OK && (b = next_then(p->n, region->then, scope->b, &k)) != 0) {
            kap_sum_query_t part = part_of(p->query, KAP_SCOPE_EDGE, region, a, b);
            rc = p->fn(p->arg, &part);
        }
    }
    return rc;
}

static int parts_of_member(const parting_t *p, const kap_now_region_t *region, uint32_t member)
{
    uint32_t i = 0, then;
    int rc = KAP_OK;

    while (rc == KAP_OK && (then = next_then(p->n, region->then, member, &i)) != 0) {
        kap_sum_query_t part = part_of(p->query, KAP_SCOPE_MEMBER, region, then, 0);
        rc = p->fn(p->arg, &part);
    }
    return rc;
}

static int parts_of_organisation(const parting_t *p, const kap_now_region_t *region)
{
    const kap_directory_t *dir = p->s->dir;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < kap_directory_member_count(dir); i++) {
        const kap_member_t *m = kap_directory_member_at(dir, i);
        uint32_t number = 0;
        if (!kap_span_eq(m->organisation, p->query->scope.organisation))
            continue;
        rc = kap_rows_number(p->s->txn, m->id, &number);
        if (rc == KAP_OK && number != 0)
            rc = parts_of_member(p, region, number);
    }
    return rc;
}

static int parts_in(const parting_t *p, const kap_now_region_t *region)
{
    const kap_scope_t *scope = &p->query->scope;

    switch (scope->kind) {
    case KAP_SCOPE_ORGANISATION:
        return parts_of_organisation(p, region);
    case KAP_SCOPE_MEMBER:
        return scope->a == 0 ? KAP_OK : parts_of_member(p, region, scope->a);
    case KAP_SCOPE_EDGE:
        return scope->a == 0 || scope->b == 0 ? KAP_OK : parts_of_edge(p, region);
    default: {
        kap_sum_query_t part = part_of(p->query, KAP_SCOPE_REGION, region, 0, 0);
        return p->fn(p->arg, &part);
    }
    }
}

static int each_part(const parting_t *p)
{
    int rc = KAP_OK;

    if (p->query->scope.kind == KAP_SCOPE_NATION)
        return p->fn(p->arg, p->query);
    for (uint32_t i = 0; rc == KAP_OK && i < p->n->region_count; i++) {
        if (region_fits(p->n, &p->query->scope, &p->n->regions[i]))
            rc = parts_in(p, &p->n->regions[i]);
    }
    return rc;
}

/* --- edges whose ends fell together --- */

/* Is the member in whose place both ends stand one of the scope's? */
static int place_fits(const parting_t *p, uint32_t member, bool *fits)
{
    const kap_scope_t *scope = &p->query->scope;
    uint32_t index = 0;
    int rc = KAP_OK;

    *fits = scope->kind != KAP_SCOPE_EDGE;
    if (scope->kind == KAP_SCOPE_MEMBER)
        *fits = member == scope->a;
    if (scope->kind == KAP_SCOPE_ORGANISATION) {
        rc = kap_now_organisation(p->s, p->n, member, 0, &index);
        *fits = text_is(p->n, index, scope->organisation);
    }
    return rc;
}

static int each_fallen(const parting_t *p)
{
    bool fits;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < p->n->fallen_count; i++) {
        const kap_now_fallen_t *edge = &p->n->fallen[i];
        const kap_now_region_t *region = &p->n->regions[edge->region];
        if (!region_fits(p->n, &p->query->scope, region))
            continue;
        rc = place_fits(p, edge->now, &fits);
        if (rc == KAP_OK && fits) {
            kap_sum_query_t part = part_of(p->query, KAP_SCOPE_EDGE, region, edge->from, edge->to);
            rc = p->fn(p->arg, &part);
        }
    }
    return rc;
}

static bool fell_together(const struct kap_now *n, const kap_cohort_key_t *key)
{
    return key->from != key->to &&
           member_now(n, key->region, key->from) == member_now(n, key->region, key->to);
}

/* While they are found. */
typedef struct {
    struct kap_now *n;
    uint32_t region;
} falling_t;

static int keep_fallen(void *arg, uint32_t region, uint32_t from, uint32_t to)
{
    const falling_t *f = arg;
    struct kap_now *n = f->n;
    const kap_cohort_key_t key = {.region = region, .from = from, .to = to};

    if (!fell_together(n, &key))
        return KAP_OK;
    n->fallen = kap_arena_more(n->arena, n->fallen, n->fallen_count, sizeof *n->fallen);
    if (n->fallen == NULL)
        return KAP_E_NOMEM;
    n->fallen[n->fallen_count++] =
        (kap_now_fallen_t){f->region, from, to, member_now(n, region, from)};
    return KAP_OK;
}

static int find_fallen(kap_summer_t *summer, struct kap_now *n)
{
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < n->region_count; i++) {
        falling_t f = {n, i};
        kap_scope_t scope = {.kind = KAP_SCOPE_REGION,
                             .region = n->regions[i].text,
                             .region_number = n->regions[i].then};
        rc = kap_sum_edges(summer, &scope, keep_fallen, &f);
    }
    return rc;
}

/* --- the view --- */

int kap_now_view(kap_summer_t *summer, int64_t now, const kap_window_t *window)
{
    struct kap_now *n = kap_arena_calloc(summer->arena, 1, sizeof *n);
    int rc = n == NULL ? KAP_E_NOMEM : KAP_OK;

    if (rc == KAP_OK)
        rc = kap_succession_load(summer->txn, summer->arena, now, &n->successions);
    if (rc != KAP_OK || kap_succession_is_empty(n->successions))
        return rc;
    n->arena = summer->arena;
    for (uint32_t i = 0; rc == KAP_OK && i < summer->region_count; i++)
        kap_now_region(summer, n, summer->regions[i], &rc);
    if (rc == KAP_OK)
        rc = find_fallen(summer, n);
    if (rc == KAP_OK && window != NULL)
        rc = kap_now_count_cases(summer, n, window);
    if (rc == KAP_OK)
        summer->now = n;
    return rc;
}

/* --- counts --- */

static bool is_of_tree(int figure)
{
    return figure == KAP_FIGURE_PING_PONGS || figure == KAP_FIGURE_RETURNS ||
           figure == KAP_FIGURE_LOOPS;
}

/* What an internal handover counts as any other does. */
static bool counts_inside(int figure)
{
    return is_of_tree(figure) || figure == KAP_FIGURE_INTERNAL || figure == KAP_FIGURE_FEEDBACK_4 ||
           figure == KAP_FIGURE_FEEDBACK_4_SUM || figure == KAP_FIGURE_FEEDBACK_5 ||
           figure == KAP_FIGURE_FEEDBACK_5_SUM;
}

typedef struct {
    kap_summer_t *s;
    kap_vector_t sum;
} adding_t;

static int add_part(void *arg, const kap_sum_query_t *part)
{
    adding_t *a = arg;

    return kap_sum_counts(a->s, part, &a->sum);
}

static int take_fallen(void *arg, const kap_sum_query_t *part)
{
    adding_t *a = arg;
    kap_vector_t inside = {0};
    uint64_t *to = a->sum.counts;
    int rc = kap_sum_counts(a->s, part, &inside);

    to[KAP_FIGURE_INTERNAL] += inside.counts[KAP_FIGURE_REFERRALS] +
                               inside.counts[KAP_FIGURE_GUIDANCE] +
                               inside.counts[KAP_FIGURE_LEADS] + inside.counts[KAP_FIGURE_REPORTED];
    for (int i = 0; rc == KAP_OK && i < KAP_FIGURE_COUNT; i++) {
        if (!counts_inside(i) && !kap_figure_is_of_case((kap_figure_t)i))
            to[i] -= to[i] < inside.counts[i] ? to[i] : inside.counts[i];
    }
    return rc;
}

static bool values_fit(const kap_sum_query_t *q, const uint16_t breakdown[KAP_BREAKDOWN_COUNT])
{
    return (q->breakdown == KAP_BREAKDOWN_NONE || breakdown[q->breakdown] == q->value) &&
           (q->breakdown2 == KAP_BREAKDOWN_NONE || breakdown[q->breakdown2] == q->value2);
}

typedef int (*shape_fn)(void *arg, const kap_now_shape_t *shape);

/* Referrals of the query of which the tree makes something else today. */
static int each_shape(kap_summer_t *s, struct kap_now *n, const kap_sum_query_t *q, shape_fn fn,
                      void *arg)
{
    bool fits;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < n->shape_count; i++) {
        const kap_now_shape_t *x = &n->shapes[i];
        if (x->key.at < q->window.from_ms || x->key.at >= q->window.to_ms ||
            !values_fit(q, x->breakdown))
            continue;
        rc = kap_now_edge_fits(s, n, q, &x->key, &fits);
        if (rc == KAP_OK && fits)
            rc = fn(arg, x);
    }
    return rc;
}

static int reshape(void *arg, const kap_now_shape_t *x)
{
    uint64_t *to = ((adding_t *)arg)->sum.counts;

    to[KAP_FIGURE_PING_PONGS] += (uint64_t)x->now.ping_pong - (uint64_t)x->then.ping_pong;
    to[KAP_FIGURE_RETURNS] += (uint64_t)x->now.returned - (uint64_t)x->then.returned;
    to[KAP_FIGURE_LOOPS] += (uint64_t)x->now.loop - (uint64_t)x->then.loop;
    return KAP_OK;
}

static int add_case(void *arg, const kap_path_t *path)
{
    uint64_t *to = ((adding_t *)arg)->sum.counts;

    for (int i = 0; i < KAP_FIGURE_COUNT; i++)
        to[i] += kap_figure_in(&path->figures, (kap_figure_t)i);
    return KAP_OK;
}

/* Cases and the tree cannot be added up. */
static int count_anew(kap_summer_t *s, struct kap_now *n, const kap_sum_query_t *q, adding_t *a)
{
    bool broken = q->breakdown != KAP_BREAKDOWN_NONE || q->breakdown2 != KAP_BREAKDOWN_NONE;

    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        if (kap_figure_is_of_case((kap_figure_t)i) || (is_of_tree(i) && !n->counted))
            a->sum.counts[i] = 0;
    }
    int rc = each_shape(s, n, q, reshape, a);
    return rc != KAP_OK || broken ? rc : kap_now_cases(s, q, add_case, a);
}

int kap_now_counts(kap_summer_t *summer, const kap_sum_query_t *query, kap_vector_t *sum)
{
    struct kap_now *n = leave(summer);
    adding_t a = {.s = summer};
    parting_t parts = {summer, n, query, add_part, &a},
              fallen = {summer, n, query, take_fallen, &a};
    int rc = each_part(&parts);

    if (rc == KAP_OK)
        rc = each_fallen(&fallen);
    summer->now = n;
    if (rc == KAP_OK)
        rc = count_anew(summer, n, query, &a);
    for (int i = 0; rc == KAP_OK && i < KAP_FIGURE_COUNT; i++)
        sum->counts[i] += a.sum.counts[i];
    return rc;
}

/* --- facts and durations --- */

/* A fact as it counts today. */
typedef struct {
    kap_summer_t *s;
    struct kap_now *n;
    kap_sum_fact_fn fn;
    void *arg;
} telling_t;

static void become_internal(kap_fact_t *fact)
{
    const kap_fact_t was = *fact;

    fact->figures = (kap_figure_set_t){{0, 0}};
    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        if (counts_inside(i) && kap_figure_in(&was.figures, (kap_figure_t)i))
            kap_figure_add(&fact->figures, (kap_figure_t)i);
    }
    kap_figure_add(&fact->figures, KAP_FIGURE_INTERNAL);
    fact->delivered_at = fact->accepted_at = fact->contact_at = KAP_REFERRAL_NO_TIME;
    fact->ended_at = KAP_REFERRAL_NO_TIME;
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++) {
        if (i != KAP_FIGURE_TIME_GOT_BACK)
            fact->times[i] = (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    }
}

static void set(kap_fact_t *fact, kap_figure_t figure, bool so)
{
    fact->figures.bits[figure / 64] &= ~(UINT64_C(1) << (figure % 64));
    if (so)
        kap_figure_add(&fact->figures, figure);
}

static int by_seq(const void *key, const void *item)
{
    uint64_t a = *(const uint64_t *)key, b = ((const kap_now_shape_t *)item)->seq;

    return a < b ? -1 : a > b;
}

static void take_shape(const struct kap_now *n, uint64_t seq, kap_fact_t *fact)
{
    const kap_now_shape_t *x =
        n->shape_count == 0 ? NULL
                            : bsearch(&seq, n->shapes, n->shape_count, sizeof *n->shapes, by_seq);

    if (x == NULL)
        return;
    set(fact, KAP_FIGURE_PING_PONGS, x->now.ping_pong);
    set(fact, KAP_FIGURE_RETURNS, x->now.returned);
    set(fact, KAP_FIGURE_LOOPS, x->now.loop);
    fact->times[KAP_FIGURE_TIME_GOT_BACK] =
        x->now.returned ? x->now.got_back
                        : (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
}

static int tell_fact(void *arg, const kap_cohort_key_t *key, const kap_fact_t *then)
{
    const telling_t *t = arg;
    kap_cohort_key_t at = *key;
    kap_fact_t fact = *then;

    if (fell_together(t->n, key))
        become_internal(&fact);
    take_shape(t->n, key->seq, &fact);
    at.from = member_now(t->n, key->region, key->from);
    at.to = member_now(t->n, key->region, key->to);
    at.region = kap_succession_region(t->n->successions, key->region);
    t->s->now = t->n;
    int rc = t->fn(t->arg, &at, &fact);
    t->s->now = NULL;
    return rc;
}

static int facts_of_part(void *arg, const kap_sum_query_t *part)
{
    telling_t *t = arg;

    return kap_sum_facts(t->s, part, tell_fact, t);
}

int kap_now_facts(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_fact_fn fn, void *arg)
{
    struct kap_now *n = leave(summer);
    telling_t t = {summer, n, fn, arg};
    parting_t parts = {summer, n, query, facts_of_part, &t};
    int rc = each_part(&parts);

    summer->now = n;
    return rc;
}

typedef struct {
    kap_summer_t *s;
    kap_figure_time_t time;
    bool elapsed;
    uint64_t *counts;
    uint64_t *inside; /* of the edge in hand */
} timing_t;

static int time_part(void *arg, const kap_sum_query_t *part)
{
    const timing_t *t = arg;

    return kap_sum_sketch(t->s, part, t->time, t->elapsed, t->counts);
}

static int time_fallen(void *arg, const kap_sum_query_t *part)
{
    const timing_t *t = arg;

    memset(t->inside, 0, KAP_SKETCH_BUCKETS * sizeof *t->inside);
    int rc = kap_sum_sketch(t->s, part, t->time, t->elapsed, t->inside);
    for (int i = 0; rc == KAP_OK && i < KAP_SKETCH_BUCKETS; i++)
        t->counts[i] -= t->inside[i];
    return rc;
}

static int time_shape(void *arg, const kap_now_shape_t *x)
{
    const timing_t *t = arg;
    int64_t then = t->elapsed ? x->then.got_back.elapsed_ms : x->then.got_back.working_ms;
    int64_t now = t->elapsed ? x->now.got_back.elapsed_ms : x->now.got_back.working_ms;

    if (x->then.returned)
        t->counts[kap_sketch_bucket(then)]--;
    if (x->now.returned)
        t->counts[kap_sketch_bucket(now)]++;
    return KAP_OK;
}

static int time_case(void *arg, const kap_path_t *path)
{
    const timing_t *t = arg;
    int64_t ms = t->elapsed ? path->complete.elapsed_ms : path->complete.working_ms;
    uint32_t last = KAP_SKETCH_BUCKETS - 1;

    if (t->time == KAP_FIGURE_TIME_CHAIN)
        t->counts[path->chain < last ? path->chain : last]++;
    else if (ms != KAP_REFERRAL_NO_SPAN_MS)
        t->counts[kap_sketch_bucket(ms)]++;
    return KAP_OK;
}

static int time_referrals(kap_summer_t *summer, const kap_sum_query_t *query, timing_t *t)
{
    struct kap_now *n = leave(summer);
    parting_t parts = {summer, n, query, time_part, t}, fallen = {summer, n, query, time_fallen, t};
    bool of_tree = t->time == KAP_FIGURE_TIME_GOT_BACK;
    int rc = of_tree && !n->counted ? KAP_OK : each_part(&parts);

    if (rc == KAP_OK && !of_tree)
        rc = each_fallen(&fallen);
    summer->now = n;
    return rc == KAP_OK && of_tree ? each_shape(summer, n, query, time_shape, t) : rc;
}

int kap_now_sketch(kap_summer_t *summer, const kap_sum_query_t *query, kap_figure_time_t time,
                   bool elapsed, uint64_t counts[KAP_SKETCH_BUCKETS])
{
    timing_t t = {summer, time, elapsed, counts, NULL};

    if (kap_sum_is_of_cases(time))
        return query->breakdown != KAP_BREAKDOWN_NONE || query->scope.kind == KAP_SCOPE_EDGE
                   ? KAP_OK
                   : kap_now_cases(summer, query, time_case, &t);
    t.inside = malloc(KAP_SKETCH_BUCKETS * sizeof *t.inside);
    int rc = t.inside == NULL ? KAP_E_NOMEM : time_referrals(summer, query, &t);
    free(t.inside);
    return rc;
}

/* --- who is there --- */

int kap_now_regions(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_region_fn fn, void *arg)
{
    struct kap_now *n = summer->now;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < n->region_count; i++) {
        bool seen = !region_fits(n, scope, &n->regions[i]);
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = n->regions[k].now == n->regions[i].now;
        if (!seen)
            rc = fn(arg, n->regions[i].now);
    }
    return rc;
}

typedef struct {
    uint32_t region, from, to;
} edge_t;

/* Edges of today while they are gathered. */
typedef struct {
    kap_summer_t *s;
    struct kap_now *n;
    kap_sum_query_t ends; /* an edge of the scope has its member at either end */
    edge_t *edges;
    size_t count;
} edges_t;

static int keep_edge(void *arg, uint32_t region, uint32_t from, uint32_t to)
{
    edges_t *e = arg;
    kap_cohort_key_t key = {.region = region, .from = from, .to = to};
    bool fits, other = false;

    key.from = member_now(e->n, region, from);
    key.to = member_now(e->n, region, to);
    key.region = kap_succession_region(e->n->successions, region);
    e->ends.side = KAP_SIDE_GETS;
    int rc = kap_now_edge_fits(e->s, e->n, &e->ends, &key, &fits);
    e->ends.side = KAP_SIDE_SENDS;
    if (rc == KAP_OK && !fits)
        rc = kap_now_edge_fits(e->s, e->n, &e->ends, &key, &other);
    if (rc != KAP_OK || !(fits || other))
        return rc;
    e->edges = kap_arena_more(e->n->arena, e->edges, e->count, sizeof *e->edges);
    if (e->edges == NULL)
        return KAP_E_NOMEM;
    e->edges[e->count++] = (edge_t){key.region, key.from, key.to};
    return KAP_OK;
}

static int by_edge(const void *left, const void *right)
{
    const edge_t *a = left, *b = right;

    if (a->region != b->region)
        return a->region < b->region ? -1 : 1;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

int kap_now_edges(kap_summer_t *summer, const kap_scope_t *scope, kap_sum_edge_fn fn, void *arg)
{
    struct kap_now *n = leave(summer);
    edges_t e = {.s = summer, .n = n, .ends = {.scope = *scope}};
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < n->region_count; i++) {
        const kap_now_region_t *region = &n->regions[i];
        kap_scope_t then = {
            .kind = KAP_SCOPE_REGION, .region = region->text, .region_number = region->then};
        if (region_fits(n, scope, region))
            rc = kap_sum_edges(summer, &then, keep_edge, &e);
    }
    summer->now = n;
    if (e.count > 0)
        qsort(e.edges, e.count, sizeof *e.edges, by_edge);
    for (size_t i = 0; rc == KAP_OK && i < e.count; i++) {
        const edge_t *x = &e.edges[i];
        if (i == 0 || by_edge(x, x - 1) != 0)
            rc = fn(arg, x->region, x->from, x->to);
    }
    return rc;
}

/* The first and last month, and values seen, of all parts. */
typedef struct {
    kap_summer_t *s;
    int32_t first, last;
    kap_breakdown_t breakdown;
    uint64_t seen;
} range_t;

static int months_of_part(void *arg, const kap_sum_query_t *part)
{
    range_t *r = arg;
    int32_t first, last;
    int rc = kap_sum_months(r->s, part, &first, &last);

    r->first = first < r->first ? first : r->first;
    r->last = last > r->last ? last : r->last;
    return rc;
}

int kap_now_months(kap_summer_t *summer, const kap_sum_query_t *query, int32_t *first,
                   int32_t *last)
{
    struct kap_now *n = leave(summer);
    range_t r = {.s = summer, .first = INT32_MAX, .last = INT32_MIN};
    parting_t parts = {summer, n, query, months_of_part, &r};
    int rc = each_part(&parts);

    summer->now = n;
    *first = r.first;
    *last = r.last;
    return rc;
}

static int see_value(void *arg, uint16_t value)
{
    range_t *r = arg;

    r->seen |= UINT64_C(1) << value;
    return KAP_OK;
}

static int values_of_part(void *arg, const kap_sum_query_t *part)
{
    range_t *r = arg;

    return kap_sum_values(r->s, part, r->breakdown, see_value, r);
}

int kap_now_values(kap_summer_t *summer, const kap_sum_query_t *query, kap_breakdown_t breakdown,
                   kap_sum_value_fn fn, void *arg)
{
    struct kap_now *n = leave(summer);
    range_t r = {.s = summer, .breakdown = breakdown};
    parting_t parts = {summer, n, query, values_of_part, &r};
    int rc = each_part(&parts);

    summer->now = n;
    for (uint16_t value = 0; rc == KAP_OK && value < 64; value++) {
        if (r.seen >> value & 1)
            rc = fn(arg, value);
    }
    return rc;
}

/* --- open referrals --- */

typedef struct {
    kap_summer_t *s;
    struct kap_now *n;
    kap_sum_open_fn fn;
    void *arg;
} opening_t;

static int tell_open(void *arg, const kap_open_t *open, const kap_referral_row_t *row)
{
    const opening_t *o = arg;

    if (fell_together(o->n, &open->key))
        return KAP_OK;
    o->s->now = o->n;
    int rc = o->fn(o->arg, open, row);
    o->s->now = NULL;
    return rc;
}

static int open_of_part(void *arg, const kap_sum_query_t *part)
{
    opening_t *o = arg;

    return kap_sum_open(o->s, part, tell_open, o);
}

int kap_now_open(kap_summer_t *summer, const kap_sum_query_t *query, kap_sum_open_fn fn, void *arg)
{
    struct kap_now *n = leave(summer);
    opening_t o = {summer, n, fn, arg};
    parting_t parts = {summer, n, query, open_of_part, &o};
    int rc = each_part(&parts);

    summer->now = n;
    return rc;
}
