/* SPDX-License-Identifier: MPL-2.0 */
#include "metric_own.h"

#include <stdlib.h>
#include <string.h>

#include "codes.h"
#include "err.h"
#include "followup.h"
#include "mp.h"

/* --- where and when --- */

int kap_own_succession(const kap_metric_at_t *at, const kap_metric_query_t *query,
                       const kap_succession_t **out)
{
    kap_succession_t *loaded;

    *out = NULL;
    if (!query->now_view)
        return KAP_OK;
    int rc = kap_succession_load(at->txn, at->arena, query->now, &loaded);
    if (rc == KAP_OK)
        *out = loaded;
    return rc;
}

int kap_own_member(const kap_metric_at_t *at, const kap_succession_t *succession, uint32_t region,
                   kap_span_t id, kap_span_t *today)
{
    uint32_t number;

    *today = id;
    if (succession == NULL)
        return KAP_OK;
    int rc = kap_rows_number(at->txn, id, &number);
    if (rc != KAP_OK || number == 0)
        return rc;
    return kap_rows_text(at->txn, kap_succession_member(succession, region, number, NULL), today);
}

/* A walk over the regions of a scope. */
typedef struct {
    const kap_metric_at_t *at;
    const kap_scope_t *scope;
    const kap_succession_t *succession;
    kap_followed_range_t range;
    kap_own_range_fn fn;
    void *arg;
} ranges_t;

/* Is the region part of the scope? The nation is made of areas, and of regions that are gone. */
static bool is_in(const kap_scope_t *scope, const kap_own_region_t *region)
{
    if (scope->region.size > 0)
        return kap_span_eq(scope->region, region->id);
    if (scope->kind == KAP_SCOPE_AREA)
        return region->known != NULL && kap_span_eq(scope->area, region->known->area);
    return scope->kind != KAP_SCOPE_NATION || region->known == NULL || region->known->area.size > 0;
}

/* A member's part; in the view `now` that of everybody in whose place it stands, too. */
static int member_ranges(ranges_t *r, const kap_own_region_t *region, uint32_t member)
{
    const kap_succession_t *s = r->succession;
    uint32_t count = 0, rows_of = r->range.region;
    const uint32_t *followed = s == NULL ? NULL : kap_succession_members(s, &count);
    bool itself = s == NULL || kap_succession_member(s, rows_of, member, NULL) == member;
    int rc = KAP_OK;

    r->range.member = member;
    if (itself)
        rc = r->fn(r->arg, region, &r->range);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++) {
        if (followed[i] == member || kap_succession_member(s, rows_of, followed[i], NULL) != member)
            continue;
        r->range.member = followed[i];
        rc = r->fn(r->arg, region, &r->range);
    }
    return rc;
}

/* Each member of the organisation in the region. */
static int organisation_ranges(ranges_t *r, const kap_own_region_t *region)
{
    const kap_directory_t *dir = r->at->dir;
    uint32_t number;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < kap_directory_member_count(dir); i++) {
        const kap_member_t *member = kap_directory_member_at(dir, i);
        if (member->organisation.size == 0 ||
            !kap_span_eq(member->organisation, r->scope->organisation))
            continue;
        rc = kap_rows_number(r->at->txn, member->id, &number);
        if (rc == KAP_OK && number != 0)
            rc = member_ranges(r, region, number);
    }
    return rc;
}

static int region_ranges(ranges_t *r, const kap_own_region_t *region, uint32_t rows_of)
{
    r->range.region = rows_of;
    r->range.member = 0;
    if (!is_in(r->scope, region))
        return KAP_OK;
    if (r->scope->kind == KAP_SCOPE_ORGANISATION)
        return organisation_ranges(r, region);
    if (r->scope->kind == KAP_SCOPE_MEMBER)
        return r->scope->a == 0 ? KAP_OK : member_ranges(r, region, r->scope->a);
    return r->fn(r->arg, region, &r->range);
}

/* Regions of which something was said: of the view `now` as the regions that stand in their place.
 */
static int told_regions(ranges_t *r)
{
    const kap_metric_at_t *at = r->at;
    uint32_t number = 0;
    int rc = kap_followed_next_region(at->txn, &number);

    while (rc == KAP_OK) {
        kap_own_region_t region = {
            .number = r->succession ? kap_succession_region(r->succession, number) : number};
        rc = kap_rows_text(at->txn, region.number, &region.id);
        region.known = rc == KAP_OK ? kap_directory_region(at->dir, region.id) : NULL;
        if (rc == KAP_OK)
            rc = region_ranges(r, &region, number);
        if (rc == KAP_OK)
            rc = kap_followed_next_region(at->txn, &number);
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Regions of the directory of which nothing was said. */
static int silent_regions(ranges_t *r)
{
    const kap_metric_at_t *at = r->at;
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < kap_directory_region_count(at->dir); i++) {
        kap_own_region_t region = {.known = kap_directory_region_at(at->dir, i)};
        region.id = region.known->id;
        rc = kap_rows_number(at->txn, region.id, &region.number);
        if (rc == KAP_OK && !kap_followed_has_region(at->txn, region.number, &rc) && rc == KAP_OK)
            rc = region_ranges(r, &region, region.number);
    }
    return rc;
}

int kap_own_ranges(const kap_metric_at_t *at, const kap_metric_query_t *query, kap_own_range_fn fn,
                   void *arg)
{
    const kap_window_t *window = &query->what.window;
    ranges_t r = {.at = at,
                  .scope = &query->what.scope,
                  .range = {.from_ms = window->from_ms, .to_ms = window->to_ms},
                  .fn = fn,
                  .arg = arg};
    int rc = kap_own_succession(at, query, &r.succession);

    if (rc != KAP_OK || r.scope->utc)
        return rc;
    rc = told_regions(&r);
    return rc != KAP_OK ? rc : silent_regions(&r);
}

typedef struct {
    kap_sum_region_fn fn;
    void *arg;
    kap_tallies_t seen; /* by id */
} regions_t;

static int add_region(void *arg, const kap_own_region_t *region, const kap_followed_range_t *range)
{
    regions_t *r = arg;
    size_t before = r->seen.count;

    (void)range;
    if (region->number == 0)
        return KAP_OK;
    if (kap_tally(&r->seen, region->id, kap_span("", 0), 0, 0, 0, 0) == NULL)
        return KAP_E_NOMEM;
    return r->seen.count == before ? KAP_OK : r->fn(r->arg, region->number);
}

int kap_own_regions(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    kap_sum_region_fn fn, void *arg)
{
    regions_t r = {.fn = fn, .arg = arg, .seen = {.arena = at->arena}};

    return kap_own_ranges(at, query, add_region, &r);
}

typedef struct {
    const kap_metric_at_t *at;
    int32_t *first, *last;
} months_t;

static int add_months(void *arg, const kap_own_region_t *region, const kap_followed_range_t *range)
{
    const months_t *m = arg;
    int64_t first_ms, last_ms;
    int rc = kap_followed_meeting_days(m->at->txn, range, &first_ms, &last_ms);

    (void)region;
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    int32_t first = kap_cell_at(KAP_PERIOD_MONTH, KAP_ZONE_HELSINKI, first_ms);
    int32_t last = kap_cell_at(KAP_PERIOD_MONTH, KAP_ZONE_HELSINKI, last_ms);
    *m->first = first < *m->first ? first : *m->first;
    *m->last = last > *m->last ? last : *m->last;
    return KAP_OK;
}

int kap_own_months(const kap_metric_at_t *at, const kap_metric_query_t *query, int32_t *first,
                   int32_t *last)
{
    months_t m = {.at = at, .first = first, .last = last};

    *first = INT32_MAX;
    *last = INT32_MIN;
    return kap_own_ranges(at, query, add_months, &m);
}

void kap_own_years(const kap_metric_query_t *query, int *first, int *last)
{
    const kap_window_t *w = &query->what.window;

    *first = w->from_ms < KAP_TIME_MIN ? 1970 : kap_date_of(KAP_ZONE_HELSINKI, w->from_ms).year;
    *last =
        kap_date_of(KAP_ZONE_HELSINKI, w->to_ms > KAP_TIME_MAX ? query->now : w->to_ms - 1).year;
}

kap_followed_range_t kap_own_years_range(const kap_followed_range_t *range, int first, int last)
{
    kap_followed_range_t years = *range;

    years.from_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){(int16_t)first, 1, 1});
    years.to_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){(int16_t)(last + 1), 1, 1});
    return years;
}

bool kap_own_is_segment(const kap_metric_query_t *query, int segment)
{
    const kap_sum_query_t *what = &query->what;

    return (what->breakdown != KAP_BREAKDOWN_SEGMENT || what->value == segment + 1) &&
           (what->breakdown2 != KAP_BREAKDOWN_SEGMENT || what->value2 == segment + 1);
}

/* --- tables that add up --- */

static size_t hash_of(kap_span_t a, kap_span_t b, const int32_t k[KAP_TALLY_KEYS])
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < a.size; i++)
        h = (h ^ a.data[i]) * UINT64_C(1099511628211);
    h = (h ^ 0x100) * UINT64_C(1099511628211);
    for (size_t i = 0; i < b.size; i++)
        h = (h ^ b.data[i]) * UINT64_C(1099511628211);
    for (int i = 0; i < KAP_TALLY_KEYS; i++)
        h = (h ^ (uint32_t)k[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

static bool is_row(const kap_tally_t *row, kap_span_t a, kap_span_t b,
                   const int32_t k[KAP_TALLY_KEYS])
{
    return memcmp(row->k, k, sizeof row->k) == 0 && kap_span_eq(row->a, a) &&
           kap_span_eq(row->b, b);
}

static kap_tally_t **slot_of(kap_tally_t **slots, size_t size, kap_span_t a, kap_span_t b,
                             const int32_t k[KAP_TALLY_KEYS])
{
    size_t at = hash_of(a, b, k) & (size - 1);

    while (slots[at] != NULL && !is_row(slots[at], a, b, k))
        at = (at + 1) & (size - 1);
    return &slots[at];
}

/* Room for one more: slots are at most half full. */
static bool grow(kap_tallies_t *t)
{
    size_t size = t->size == 0 ? 64 : t->size * 2;

    if (t->count * 2 < t->size)
        return true;
    kap_tally_t **slots = kap_arena_calloc(t->arena, size, sizeof *slots);
    kap_tally_t **rows = kap_arena_alloc(t->arena, size * sizeof *rows);
    if (slots == NULL || rows == NULL)
        return false;
    for (size_t i = 0; i < t->count; i++) {
        rows[i] = t->rows[i];
        *slot_of(slots, size, rows[i]->a, rows[i]->b, rows[i]->k) = rows[i];
    }
    t->slots = slots;
    t->rows = rows;
    t->size = size;
    return true;
}

kap_tally_t *kap_tally(kap_tallies_t *t, kap_span_t a, kap_span_t b, int k0, int k1, int k2, int k3)
{
    const int32_t k[KAP_TALLY_KEYS] = {k0, k1, k2, k3};
    kap_tally_t **slot = grow(t) ? slot_of(t->slots, t->size, a, b, k) : NULL;

    if (slot != NULL && *slot == NULL) {
        *slot = kap_arena_calloc(t->arena, 1, sizeof **slot);
        if (*slot != NULL) {
            (*slot)->a = a;
            (*slot)->b = b;
            memcpy((*slot)->k, k, sizeof k);
            t->rows[t->count++] = *slot;
        }
    }
    if (slot == NULL || *slot == NULL)
        t->err = KAP_E_NOMEM;
    return slot == NULL ? NULL : *slot;
}

static int by_key(const void *a, const void *b)
{
    const kap_tally_t *x = *(kap_tally_t *const *)a, *y = *(kap_tally_t *const *)b;
    int order = kap_span_cmp(x->a, y->a);

    if (order == 0)
        order = kap_span_cmp(x->b, y->b);
    for (int i = 0; order == 0 && i < KAP_TALLY_KEYS; i++)
        order = (x->k[i] > y->k[i]) - (x->k[i] < y->k[i]);
    return order;
}

void kap_tally_sort(kap_tallies_t *t)
{
    if (t->count > 0)
        qsort(t->rows, t->count, sizeof *t->rows, by_key);
}

/* --- pairs of a list's item --- */

void kap_own_code(kap_buf_t *buf, const char *key, kap_code_list_t list, int code)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_cstr(buf, code < 0 ? "none" : kap_code_name(list, code));
}

void kap_own_decimal(kap_buf_t *buf, const char *key, int64_t milli)
{
    kap_buf_t text = {0};

    kap_decimal_put(&text, milli);
    kap_metric_text(buf, key, kap_buf_span(&text));
    if (text.err != KAP_OK)
        buf->err = text.err;
    kap_buf_fini(&text);
}

void kap_own_flag(kap_buf_t *buf, const char *key, bool flag)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_bool(buf, flag);
}

void kap_own_nil(kap_buf_t *buf, const char *key)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_nil(buf);
}

void kap_own_text(kap_buf_t *buf, const char *key, kap_span_t text)
{
    if (text.size > 0)
        kap_metric_text(buf, key, text);
    else
        kap_own_nil(buf, key);
}

void kap_own_mean(kap_buf_t *buf, const char *key, int64_t sum_milli, uint64_t n)
{
    int64_t half = (int64_t)(n / 2), by = (int64_t)n;

    if (n == 0)
        kap_own_nil(buf, key);
    else
        kap_own_decimal(buf, key, (sum_milli + (sum_milli < 0 ? -half : half)) / by);
}

/* --- small numbers --- */

void kap_own_hide(const uint64_t *n, size_t count, bool *hidden)
{
    uint64_t sum = 0;
    size_t parts = 0, smallest;

    for (size_t i = 0; i < count; i++) {
        hidden[i] = n[i] > 0 && n[i] < KAP_OWN_LEAST;
        sum += hidden[i] ? n[i] : 0;
        parts += hidden[i];
    }
    while (parts == 1 || (parts > 0 && sum < KAP_OWN_LEAST)) {
        smallest = count;
        for (size_t i = 0; i < count; i++) {
            if (n[i] > 0 && !hidden[i] && (smallest == count || n[i] < n[smallest]))
                smallest = i;
        }
        if (smallest == count)
            return;
        hidden[smallest] = true;
        sum += n[smallest];
        parts++;
    }
}

/* --- what a year's targets ask --- */

typedef struct {
    int year;
    uint64_t *items, *reached;
} plans_t;

static int add_item(void *arg, const kap_followed_item_t *item)
{
    const plans_t *p = arg;

    if (item->first_year == 0 || p->year < item->first_year || p->year > item->last_year)
        return KAP_OK;
    ++*p->items;
    *p->reached += kap_plan_reached(item->progress, item->status);
    return KAP_OK;
}

int kap_own_plans(const kap_metric_at_t *at, const kap_followed_range_t *range, int year,
                  uint64_t *items, uint64_t *reached)
{
    kap_followed_range_t years = kap_own_years_range(range, year, year);
    plans_t p = {year, items, reached};

    *items = *reached = 0;
    return kap_followed_items(at->txn, &years, add_item, &p);
}

typedef struct {
    int scale;
    uint64_t *n;
    int64_t *sum_milli;
} feedback_t;

bool kap_own_is_feedback(const kap_followed_survey_t *survey)
{
    return kap_code_parse(KAP_LIST_SURVEY, survey->survey) == KAP_SURVEY_CUSTOMERS &&
           (survey->scale == 4 || survey->scale == 5);
}

static int add_answers(void *arg, const kap_followed_survey_t *survey)
{
    const feedback_t *f = arg;

    if (kap_own_is_feedback(survey) && survey->scale == f->scale) {
        *f->n += survey->n;
        *f->sum_milli += survey->sum_milli;
    }
    return KAP_OK;
}

int kap_own_feedback(const kap_metric_at_t *at, const kap_sum_query_t *what, int scale, uint64_t *n,
                     int64_t *sum_milli)
{
    kap_figure_t figure = scale == 4 ? KAP_FIGURE_FEEDBACK_4 : KAP_FIGURE_FEEDBACK_5;
    kap_figure_t figure_sum = scale == 4 ? KAP_FIGURE_FEEDBACK_4_SUM : KAP_FIGURE_FEEDBACK_5_SUM;
    kap_vector_t sum = {0};
    int rc = kap_sum_counts(at->summer, what, &sum);

    *n += sum.counts[figure];
    *sum_milli += (int64_t)sum.counts[figure_sum] * 1000;
    return rc;
}

int kap_own_answers(const kap_metric_at_t *at, uint32_t region, int first, int last, int scale,
                    uint64_t *n, int64_t *sum_milli)
{
    feedback_t f = {scale, n, sum_milli};

    return kap_followed_surveys(at->txn, region, first, last, add_answers, &f);
}
