/* SPDX-License-Identifier: MPL-2.0 */
#include "count.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "case.h"
#include "err.h"
#include "index.h"
#include "seeded.h"

enum {
    WORDS = 7,     /* of a sum's key */
    SETS_MAX = 12, /* a guess: above it counts of single figures are cheaper than sets of them */
};

/* --- sums: what goes to one cell, or to all cells of one place --- */

/* So many rows count all of these figures. */
typedef struct {
    kap_figure_set_t figures;
    int64_t count;
} set_t;

typedef struct {
    uint16_t place; /* kap_sketch_place */
    bool used;
    int32_t by;
} bucket_t;

typedef struct sum {
    uint32_t key[WORDS];
    const kap_path_part_t *parts; /* of a place of cases; else NULL */
    uint32_t part_count;
    bool utc;
    uint32_t set_count, set_cap, bucket_count, bucket_cap;
    set_t *sets;
    int64_t *counts;   /* of single figures; NULL: none yet */
    bucket_t *buckets; /* durations, by hash of the place; bucket_cap is a power of two */
    struct sum *next;  /* in order of making */
} sum_t;

/* Sums that live and die together. */
typedef struct {
    kap_arena_t *arena;
    kap_index_t index;
    sum_t *first, **end;
    size_t count;
} sums_t;

static int sums_init(sums_t *s)
{
    kap_index_init(&s->index);
    s->arena = kap_arena_new(256 << 10);
    s->first = NULL;
    s->end = &s->first;
    s->count = 0;
    return s->arena == NULL ? KAP_E_NOMEM : KAP_OK;
}

static void sums_fini(sums_t *s)
{
    kap_index_fini(&s->index);
    kap_arena_destroy(&s->arena);
}

static void sums_reset(sums_t *s)
{
    kap_index_reset(&s->index);
    kap_arena_reset(s->arena);
    s->first = NULL;
    s->end = &s->first;
    s->count = 0;
}

static bool same_parts(const sum_t *sum, const kap_path_part_t *parts, uint32_t count, bool utc)
{
    return sum->part_count == count && sum->utc == utc &&
           (count == 0 || memcmp(sum->parts, parts, count * sizeof *parts) == 0);
}

static sum_t *make_sum(sums_t *s, uint64_t hash, const uint32_t key[WORDS])
{
    sum_t *sum = kap_arena_calloc(s->arena, 1, sizeof *sum);

    if (sum == NULL || kap_index_add(&s->index, hash, sum) != KAP_OK)
        return NULL;
    memcpy(sum->key, key, sizeof sum->key);
    *s->end = sum;
    s->end = &sum->next;
    s->count++;
    return sum;
}

/* The sum of a key; NULL when out of memory. */
static sum_t *sum_of(sums_t *s, const uint32_t key[WORDS])
{
    uint64_t hash = kap_index_hash(&s->index, 0, kap_span(key, WORDS * sizeof *key));
    size_t place = SIZE_MAX;
    sum_t *sum;

    while ((sum = kap_index_find(&s->index, hash, &place)) != NULL) {
        if (memcmp(sum->key, key, sizeof sum->key) == 0)
            return sum;
    }
    return make_sum(s, hash, key);
}

/* The sum of cases with these parts that began on a day. */
static sum_t *sum_of_parts(sums_t *s, const kap_path_t *path, int32_t day)
{
    const uint32_t key[WORDS] = {(uint32_t)day};
    size_t bytes = path->part_count * sizeof *path->parts;
    uint64_t hash = kap_index_hash(&s->index, (uint32_t)day, kap_span(path->parts, bytes));
    size_t place = SIZE_MAX;
    sum_t *sum;

    while ((sum = kap_index_find(&s->index, hash, &place)) != NULL) {
        if (memcmp(sum->key, key, sizeof sum->key) == 0 &&
            same_parts(sum, path->parts, path->part_count, path->utc))
            return sum;
    }
    kap_span_t parts = kap_arena_dup(s->arena, kap_span(path->parts, bytes));
    sum = parts.data == NULL ? NULL : make_sum(s, hash, key);
    if (sum == NULL)
        return NULL;
    sum->parts = (const kap_path_part_t *)(const void *)parts.data;
    sum->part_count = path->part_count;
    sum->utc = path->utc;
    return sum;
}

static int add_count(sums_t *s, sum_t *sum, unsigned figure, int64_t by)
{
    if (sum->counts == NULL)
        sum->counts = kap_arena_calloc(s->arena, KAP_FIGURE_COUNT, sizeof *sum->counts);
    if (sum->counts == NULL)
        return KAP_E_NOMEM;
    sum->counts[figure] += by;
    return KAP_OK;
}

static int add_counts(sums_t *s, sum_t *sum, const kap_figure_set_t *figures, int64_t by)
{
    int rc = KAP_OK;

    for (unsigned word = 0; word < 2; word++) {
        for (uint64_t bits = figures->bits[word]; rc == KAP_OK && bits != 0; bits &= bits - 1)
            rc = add_count(s, sum, word * 64 + (unsigned)__builtin_ctzll(bits), by);
    }
    return rc;
}

static int grow_sets(sums_t *s, sum_t *sum)
{
    uint32_t cap = sum->set_cap == 0 ? 2 : sum->set_cap * 2;
    set_t *grown = kap_arena_alloc(s->arena, cap * sizeof *grown);

    if (grown == NULL)
        return KAP_E_NOMEM;
    if (sum->set_count > 0)
        memcpy(grown, sum->sets, sum->set_count * sizeof *grown);
    sum->sets = grown;
    sum->set_cap = cap;
    return KAP_OK;
}

/* Counts all figures of a set so many times. */
static int add_set(sums_t *s, sum_t *sum, const kap_figure_set_t *figures, int64_t count)
{
    for (uint32_t i = 0; i < sum->set_count; i++) {
        set_t *set = &sum->sets[i];
        if (set->figures.bits[0] == figures->bits[0] && set->figures.bits[1] == figures->bits[1]) {
            set->count += count;
            return KAP_OK;
        }
    }
    if (sum->set_count == SETS_MAX)
        return add_counts(s, sum, figures, count);
    if (sum->set_count == sum->set_cap && grow_sets(s, sum) != KAP_OK)
        return KAP_E_NOMEM;
    sum->sets[sum->set_count++] = (set_t){*figures, count};
    return KAP_OK;
}

static bucket_t *bucket_of(bucket_t *buckets, uint32_t cap, uint16_t place)
{
    uint32_t at = (place * UINT32_C(0x9e3779b1) >> 16) & (cap - 1);

    while (buckets[at].used && buckets[at].place != place)
        at = (at + 1) & (cap - 1);
    return &buckets[at];
}

static int grow_buckets(sums_t *s, sum_t *sum)
{
    uint32_t cap = sum->bucket_cap == 0 ? 16 : sum->bucket_cap * 2;
    bucket_t *grown = kap_arena_calloc(s->arena, cap, sizeof *grown);

    if (grown == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < sum->bucket_cap; i++) {
        if (sum->buckets[i].used)
            *bucket_of(grown, cap, sum->buckets[i].place) = sum->buckets[i];
    }
    sum->buckets = grown;
    sum->bucket_cap = cap;
    return KAP_OK;
}

static int add_time(sums_t *s, sum_t *sum, uint16_t place, int32_t by)
{
    if (2 * (sum->bucket_count + 1) > sum->bucket_cap && grow_buckets(s, sum) != KAP_OK)
        return KAP_E_NOMEM;
    bucket_t *bucket = bucket_of(sum->buckets, sum->bucket_cap, place);
    sum->bucket_count += !bucket->used;
    *bucket = (bucket_t){.place = place, .used = true, .by = bucket->by + by};
    return KAP_OK;
}

static bool has_counts(const sum_t *sum)
{
    return sum->set_count > 0 || sum->counts != NULL;
}

/* Adds all of one sum to another. */
static int merge_counts(sums_t *s, sum_t *to, const sum_t *from)
{
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < from->set_count; i++)
        rc = add_set(s, to, &from->sets[i].figures, from->sets[i].count);
    for (unsigned i = 0; from->counts != NULL && rc == KAP_OK && i < KAP_FIGURE_COUNT; i++) {
        if (from->counts[i] != 0)
            rc = add_count(s, to, i, from->counts[i]);
    }
    return rc;
}

static int merge_times(sums_t *s, sum_t *to, const sum_t *from)
{
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < from->bucket_cap; i++) {
        if (from->buckets[i].used && from->buckets[i].by != 0)
            rc = add_time(s, to, from->buckets[i].place, from->buckets[i].by);
    }
    return rc;
}

/* --- counting --- */

/* All of one writing. Facts are summed up by place (an edge on a day, a kind of case), places by
 * cell: those within a region are written when the next region begins, so that memory is that of a
 * region. */
typedef struct {
    kap_txn_t *txn;
    const kap_count_work_t *work;
    kap_arena_t *scratch; /* of one case, or of one row */
    kap_buf_t buf;
    sums_t places, cases, near, far;   /* near: cells within a region; far: the others */
    bool by_edge[KAP_BREAKDOWN_COUNT]; /* sketches of the breakdown are kept below the region */
} counting_t;

static int init(counting_t *c, kap_txn_t *txn, const kap_count_work_t *work)
{
    *c = (counting_t){.txn = txn, .work = work};
    for (int b = 0; b < KAP_BREAKDOWN_COUNT; b++) {
        for (int level = KAP_LEVEL_EDGE; level <= KAP_LEVEL_GETS; level++) {
            for (int p = KAP_PERIOD_YEAR; p <= KAP_PERIOD_DAY; p++)
                c->by_edge[b] |=
                    kap_cell_kept((kap_level_t)level, (kap_breakdown_t)b, (kap_period_t)p, false);
        }
    }
    c->scratch = kap_arena_new(64 << 10);
    sums_t *sums[] = {&c->places, &c->cases, &c->near, &c->far};
    int rc = c->scratch == NULL ? KAP_E_NOMEM : KAP_OK;
    for (int i = 0; i < 4; i++)
        rc = sums_init(sums[i]) != KAP_OK ? KAP_E_NOMEM : rc;
    return rc;
}

static void fini(counting_t *c)
{
    sums_fini(&c->places);
    sums_fini(&c->cases);
    sums_fini(&c->near);
    sums_fini(&c->far);
    kap_arena_destroy(&c->scratch);
    kap_buf_fini(&c->buf);
}

/* The sum of an edge on a day, of one value of a breakdown. */
static sum_t *place_of(counting_t *c, const kap_cohort_key_t *key, bool ends,
                       const kap_fact_t *fact, unsigned breakdown, int32_t day)
{
    const uint32_t words[WORDS] = {
        key->region, ends ? key->from : 0, ends ? key->to : 0,
        fact->area,  (uint32_t)day,        breakdown << 16 | fact->breakdown[breakdown]};

    return sum_of(&c->places, words);
}

/* Figures that do not count the fact's amount, but a number of their own. */
static int add_numbers(counting_t *c, sum_t *sum, const kap_fact_t *fact, kap_figure_set_t *figures,
                       int sign)
{
    static const kap_figure_t numbers[] = {KAP_FIGURE_ATTEMPTS, KAP_FIGURE_REPORTED_LATE,
                                           KAP_FIGURE_FEEDBACK_4_SUM, KAP_FIGURE_FEEDBACK_5_SUM};
    int rc = KAP_OK;

    for (size_t i = 0; rc == KAP_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        kap_figure_t figure = numbers[i];
        if (!kap_figure_in(figures, figure))
            continue;
        figures->bits[figure / 64] &= ~(UINT64_C(1) << (figure % 64));
        rc = add_count(&c->places, sum, figure, sign * (int64_t)kap_fact_count(fact, figure));
    }
    return rc;
}

static int add_share(counting_t *c, const kap_cohort_key_t *key, const kap_fact_t *fact,
                     const kap_cell_share_t *share, int sign)
{
    int rc = KAP_OK;

    for (unsigned b = 0; rc == KAP_OK && b < KAP_BREAKDOWN_COUNT; b++) {
        kap_figure_set_t figures = share->figures;
        sum_t *sum = place_of(c, key, true, fact, b, share->day);
        rc = sum == NULL ? KAP_E_NOMEM : add_numbers(c, sum, fact, &figures, sign);
        if (rc == KAP_OK && (figures.bits[0] | figures.bits[1]) != 0)
            rc = add_set(&c->places, sum, &figures, sign * (int64_t)fact->amount);
    }
    return rc;
}

static int add_times(counting_t *c, const kap_cohort_key_t *key, const kap_fact_t *fact,
                     int32_t day, int sign)
{
    kap_cell_time_t times[KAP_CELL_TIMES];
    uint32_t count = kap_cell_times(fact, times);
    int rc = KAP_OK;

    for (unsigned b = 0; rc == KAP_OK && count > 0 && b < KAP_BREAKDOWN_COUNT; b++) {
        sum_t *sum = place_of(c, key, c->by_edge[b], fact, b, day);
        rc = sum == NULL ? KAP_E_NOMEM : KAP_OK;
        for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
            rc = add_time(&c->places, sum, kap_sketch_place(times[i].which, times[i].bucket), sign);
    }
    return rc;
}

/* Adds (sign 1) or subtracts (-1) a fact. */
static int add_fact(counting_t *c, const kap_cohort_key_t *key, const kap_fact_t *fact, int sign)
{
    kap_cell_share_t shares[KAP_CELL_SHARES];
    uint32_t count = kap_cell_shares(key, fact, shares);
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = add_share(c, key, fact, &shares[i], sign);
    return rc != KAP_OK ? rc : add_times(c, key, fact, shares[0].day, sign);
}

static bool counts_nowhere(const kap_figure_set_t *figures)
{
    return (figures->bits[0] | figures->bits[1]) == 0;
}

static int add_path(counting_t *c, const kap_path_t *path, int sign)
{
    kap_cell_time_t times[KAP_CELL_TIMES];
    uint32_t count = kap_cell_path_times(path, times);

    if (counts_nowhere(&path->figures))
        return KAP_OK;
    int32_t day = kap_days_of(kap_cell_zone(path->utc), path->started_at);
    sum_t *sum = sum_of_parts(&c->cases, path, day);
    int rc = sum == NULL ? KAP_E_NOMEM : add_set(&c->cases, sum, &path->figures, sign);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = add_time(&c->cases, sum, kap_sketch_place(times[i].which, times[i].bucket), sign);
    return rc;
}

/* --- rows: what they counted goes, what they count comes --- */

static int put_or_delete(kap_txn_t *txn, unsigned table, kap_span_t key, const kap_buf_t *value)
{
    if (value->err != KAP_OK)
        return value->err;
    if (value->size > 0)
        return kap_txn_put(txn, table, key, kap_buf_span(value));
    int rc = kap_txn_delete(txn, table, key);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* fresh: nothing of the row was ever counted, so it is not looked for. */
static int count_fact(counting_t *c, const kap_cohort_key_t *key, const kap_fact_t *fact,
                      bool fresh)
{
    uint8_t bytes[KAP_COHORT_KEY] = {0};
    kap_span_t at = kap_span(bytes, sizeof bytes), value = {0};
    kap_fact_t old;
    bool now = !counts_nowhere(&fact->figures);

    kap_cohort_key(bytes, key);
    int rc = fresh ? KAP_E_NOTFOUND : kap_txn_get(c->txn, KAP_ROWS_COHORT, at, &value);
    bool was = rc == KAP_OK;
    if (was)
        rc = kap_fact_unpack(value, &old);
    if ((rc != KAP_OK && rc != KAP_E_NOTFOUND) || (was ? now && kap_fact_equal(&old, fact) : !now))
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    bool stays =
        KAP_SEEDED_BUG("double_count") || (KAP_SEEDED_BUG("late_not_subtracted") &&
                                           kap_figure_in(&fact->figures, KAP_FIGURE_REPORTED_LATE));
    rc = was && !stays ? add_fact(c, key, &old, -1) : KAP_OK;
    if (rc == KAP_OK && now)
        rc = add_fact(c, key, fact, 1);
    if (rc != KAP_OK)
        return rc;
    kap_buf_reset(&c->buf);
    if (now)
        kap_fact_pack(&c->buf, fact);
    return put_or_delete(c->txn, KAP_ROWS_COHORT, at, &c->buf);
}

static int count_path(counting_t *c, const kap_count_case_t *which, const kap_path_t *path,
                      bool fresh)
{
    kap_key_t key;
    kap_span_t value = {0};
    kap_path_t old;
    bool now = !counts_nowhere(&path->figures);

    kap_key_scoped(&key, which->scope, which->id);
    int rc =
        fresh ? KAP_E_NOTFOUND : kap_txn_get(c->txn, KAP_ROWS_PATHS, kap_key_span(&key), &value);
    bool was = rc == KAP_OK;
    if (was)
        rc = kap_path_unpack(value, c->scratch, &old);
    if ((rc != KAP_OK && rc != KAP_E_NOTFOUND) || (was ? now && kap_path_equal(&old, path) : !now))
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    rc = was ? add_path(c, &old, -1) : KAP_OK;
    if (rc == KAP_OK && now)
        rc = add_path(c, path, 1);
    if (rc != KAP_OK)
        return rc;
    kap_buf_reset(&c->buf);
    if (now)
        kap_path_pack(&c->buf, path);
    return put_or_delete(c->txn, KAP_ROWS_PATHS, kap_key_span(&key), &c->buf);
}

/* --- open referrals --- */

/* Whether it is one already does not matter here: whether it may be one, now or later. */
static bool may_be_dropped(const kap_case_t *tree, uint32_t i, const kap_referral_t *r)
{
    return kap_fact_is_transfer(r) && kap_path_dropped(tree, (int32_t)i, r->next, INT64_MAX / 2, 0);
}

static bool is_open(const kap_referral_t *r)
{
    return r->state != KAP_STATE_NONE && r->state != KAP_STATE_VOIDED &&
           !kap_state_is_terminal(r->state) && !(r->flags & (KAP_RF_INTERNAL | KAP_RF_EXTERNAL));
}

static int count_open(counting_t *c, const kap_cohort_key_t *key, uint32_t scope, kap_span_t id,
                      bool open, bool dropped, bool fresh)
{
    uint8_t bytes[KAP_COHORT_KEY] = {0};
    kap_span_t at = kap_span(bytes, sizeof bytes), old = {0};

    kap_cohort_key(bytes, key);
    int rc = fresh ? KAP_E_NOTFOUND : kap_txn_get(c->txn, KAP_ROWS_OPEN, at, &old);
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    kap_buf_reset(&c->buf);
    if (open || dropped) {
        kap_buf_u8(&c->buf, dropped);
        kap_put_varint(&c->buf, scope);
        kap_put_text(&c->buf, id);
    }
    if (kap_span_eq(old, kap_buf_span(&c->buf)) ||
        (KAP_SEEDED_BUG("open_row_kept") && c->buf.size == 0))
        return c->buf.err;
    return put_or_delete(c->txn, KAP_ROWS_OPEN, at, &c->buf);
}

int kap_open_split(kap_span_t key, kap_span_t value, kap_open_t *open)
{
    uint64_t scope;
    kap_span_t rest = kap_span_sub(value, 1, SIZE_MAX);

    if (!kap_cohort_split(key, &open->key) || value.size == 0 || value.data[0] > 1 ||
        !kap_get_varint(&rest, &scope) || scope > UINT32_MAX ||
        !kap_get_text(&rest, &open->referral) || rest.size != 0)
        return KAP_E_CORRUPT;
    open->key.utc = false; /* archives have none */
    open->scope = (uint32_t)scope;
    open->dropped = value.data[0] == 1;
    return KAP_OK;
}

/* --- cases --- */

/* A case while it is counted; everything in the scratch arena. */
typedef struct {
    kap_case_t tree;
    kap_referral_row_t *rows;
    uint32_t placed; /* row that was placed last */
} loaded_t;

static int load_row(counting_t *c, loaded_t *l, kap_span_t id, kap_span_t row)
{
    kap_referral_row_t *out = &l->rows[l->tree.count];
    int rc = kap_referral_row_unpack(row, out);

    return rc != KAP_OK ? rc : kap_case_put(&l->tree, c->scratch, id, &out->r);
}

/* A row of the store, copied: what is read lends until the first write only. */
static int load_stored(counting_t *c, loaded_t *l, uint32_t scope, kap_span_t id)
{
    kap_key_t key;
    kap_span_t value;

    kap_key_scoped(&key, scope, id);
    int rc = kap_txn_get(c->txn, KAP_ROWS_REFERRALS, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc; /* it is listed: it must be there */
    value = kap_arena_dup(c->scratch, value);
    return value.data == NULL ? KAP_E_NOMEM : load_row(c, l, id, value);
}

static int load_listed(counting_t *c, const kap_count_case_t *which, loaded_t *l)
{
    kap_case_row_t listed;
    kap_span_t id;
    int rc = kap_rows_case_row(c->txn, which->scope, which->id, &listed);

    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND && !c->work->doubtful ? KAP_E_CORRUPT : rc;
    if (listed.count > listed.ids.size)
        return KAP_E_CORRUPT;
    kap_span_t ids = kap_arena_dup(c->scratch, listed.ids);
    l->rows = kap_arena_alloc(c->scratch, listed.count * sizeof *l->rows);
    if (ids.data == NULL || l->rows == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < listed.count; i++)
        rc = kap_get_text(&ids, &id) ? load_stored(c, l, which->scope, id) : KAP_E_CORRUPT;
    return rc;
}

static int load(counting_t *c, const kap_count_case_t *which, loaded_t *l)
{
    int rc = KAP_OK;

    kap_case_init(&l->tree);
    if (which->rows == NULL)
        return load_listed(c, which, l);
    l->rows = kap_arena_alloc(c->scratch, which->row_count * sizeof *l->rows);
    if (l->rows == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < which->row_count; i++)
        rc = load_row(c, l, which->rows[i].id, which->rows[i].row);
    return rc;
}

/* Called in the order of the rows: each is asked for one end or both. */
static int place_part(void *arg, kap_span_t region, kap_span_t member, uint64_t created_seq,
                      kap_path_part_t *part)
{
    loaded_t *l = arg;

    (void)region;
    while (l->placed < l->tree.count && l->rows[l->placed].created_seq != created_seq)
        l->placed++;
    if (l->placed == l->tree.count)
        return KAP_E_INTERNAL;
    const kap_referral_row_t *row = &l->rows[l->placed];
    bool sends = kap_span_eq(member, row->r.from);
    *part = (kap_path_part_t){.region = row->places.region,
                              .area = row->places.area,
                              .member = sends ? row->places.from : row->places.to,
                              .organisation = sends ? row->places.from_organisation
                                                    : row->places.to_organisation};
    return KAP_OK;
}

static int count_referral(counting_t *c, const kap_count_case_t *which, const loaded_t *l,
                          uint32_t i, const kap_fact_path_t *of)
{
    const kap_referral_row_t *row = &l->rows[i];
    bool archive = (row->r.flags & KAP_RF_ARCHIVE) != 0;
    bool fresh = !which->counted && row->created_seq > c->work->counted_to;
    const kap_cohort_key_t key = {.region = row->places.region,
                                  .from = row->places.from,
                                  .to = row->places.to,
                                  .at = row->r.created_at,
                                  .seq = row->created_seq,
                                  .utc = archive};
    kap_fact_t fact;

    kap_fact_of(row, of, row->places.area, &fact);
    int rc = count_fact(c, &key, &fact, fresh);
    if (rc != KAP_OK || archive)
        return rc;
    return count_open(c, &key, which->scope, l->tree.nodes[i].referral, is_open(&row->r),
                      may_be_dropped(&l->tree, i, &row->r), fresh);
}

static bool has_voided(const loaded_t *l)
{
    for (uint32_t i = 0; i < l->tree.count; i++) {
        if (l->rows[i].r.state == KAP_STATE_VOIDED)
            return true;
    }
    return false;
}

static int count_case(counting_t *c, const kap_count_case_t *which)
{
    loaded_t l = {0};
    kap_path_t path;
    bool fresh = !which->counted;

    kap_arena_reset(c->scratch);
    int rc = load(c, which, &l);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    kap_fact_path_t *of = kap_arena_alloc(c->scratch, l.tree.count * sizeof *of);
    if (of == NULL)
        return KAP_E_NOMEM;
    rc = kap_path_of(&l.tree, l.rows, c->scratch, place_part, &l, &path, of);
    for (uint32_t i = 0; i < l.tree.count; i++)
        fresh = fresh && l.rows[i].created_seq > c->work->counted_to;
    if (rc == KAP_OK && !(KAP_SEEDED_BUG("void_keeps_path") && has_voided(&l)))
        rc = count_path(c, which, &path, fresh);
    for (uint32_t i = 0; rc == KAP_OK && i < l.tree.count; i++)
        rc = count_referral(c, which, &l, i, &of[i]);
    return rc;
}

/* --- from places to cells --- */

/* A place on its way to its cells. */
typedef struct {
    counting_t *c;
    const sum_t *place;
    uint16_t value;
} rolling_t;

static bool is_near(const kap_cell_t *cell)
{
    return cell->region != 0 && cell->level != KAP_LEVEL_AREA;
}

/* The sum of one value of a cell: its key sorts as the row's does, then by value. */
static sum_t *cell_of(sums_t *sums, const kap_cell_t *cell, uint16_t value)
{
    const uint32_t words[WORDS] = {cell->level,
                                   cell->region,
                                   cell->a,
                                   cell->b,
                                   (uint32_t)cell->breakdown << 8 | cell->period,
                                   (uint32_t)cell->at ^ UINT32_C(1) << 31,
                                   value};

    return sum_of(sums, words);
}

static void cell_from(const sum_t *sum, kap_cell_t *cell)
{
    *cell = (kap_cell_t){.level = (uint8_t)sum->key[0],
                         .region = sum->key[1],
                         .a = sum->key[2],
                         .b = sum->key[3],
                         .breakdown = (uint8_t)(sum->key[4] >> 8),
                         .period = (uint8_t)sum->key[4],
                         .at = (int32_t)(sum->key[5] ^ UINT32_C(1) << 31)};
}

static int roll_up(void *arg, const kap_cell_t *cell, bool counts, bool times)
{
    rolling_t *r = arg;
    sums_t *sums = is_near(cell) ? &r->c->near : &r->c->far;

    counts = counts && has_counts(r->place);
    times = times && r->place->bucket_count > 0;
    if (!counts && !times)
        return KAP_OK;
    sum_t *sum = cell_of(sums, cell, r->value);
    int rc = sum == NULL ? KAP_E_NOMEM : KAP_OK;
    if (rc == KAP_OK && counts)
        rc = merge_counts(sums, sum, r->place);
    return rc == KAP_OK && times ? merge_times(sums, sum, r->place) : rc;
}

static int roll_places(counting_t *c)
{
    int rc = KAP_OK;

    for (const sum_t *s = c->places.first; rc == KAP_OK && s != NULL; s = s->next) {
        rolling_t r = {c, s, (uint16_t)s->key[5]};
        rc = kap_cell_each(s->key[0], s->key[1], s->key[2], s->key[3], (int32_t)s->key[4],
                           (kap_breakdown_t)(s->key[5] >> 16), roll_up, &r);
    }
    for (const sum_t *s = c->cases.first; rc == KAP_OK && s != NULL; s = s->next) {
        rolling_t r = {c, s, 0};
        rc = kap_cell_each_path(s->parts, s->part_count, s->utc, (int32_t)s->key[0], roll_up, &r);
    }
    sums_reset(&c->places);
    sums_reset(&c->cases);
    return rc;
}

/* --- from cells to rows --- */

static int by_key(const void *a, const void *b)
{
    const sum_t *x = *(const sum_t *const *)a, *y = *(const sum_t *const *)b;

    for (int i = 0; i < WORDS; i++) {
        if (x->key[i] != y->key[i])
            return x->key[i] < y->key[i] ? -1 : 1;
    }
    return 0;
}

/* Changes of one row, in the scratch arena. */
typedef struct {
    kap_cell_change_t *counts;
    kap_sketch_change_t *times;
    size_t count, time_count;
} changes_t;

static void gather_counts(const sum_t *sum, uint16_t value, changes_t *out)
{
    int64_t counts[KAP_FIGURE_COUNT] = {0};

    if (sum->counts != NULL)
        memcpy(counts, sum->counts, sizeof counts);
    for (uint32_t i = 0; i < sum->set_count; i++) {
        for (unsigned word = 0; word < 2; word++) {
            for (uint64_t b = sum->sets[i].figures.bits[word]; b != 0; b &= b - 1)
                counts[word * 64 + (unsigned)__builtin_ctzll(b)] += sum->sets[i].count;
        }
    }
    for (uint16_t i = 0; i < KAP_FIGURE_COUNT; i++) {
        if (counts[i] != 0)
            out->counts[out->count++] = (kap_cell_change_t){value, i, counts[i]};
    }
}

static void gather_times(const sum_t *sum, uint16_t value, changes_t *out)
{
    for (uint32_t i = 0; i < sum->bucket_cap; i++) {
        if (sum->buckets[i].used && sum->buckets[i].by != 0)
            out->times[out->time_count++] =
                (kap_sketch_change_t){sum->buckets[i].place, value, sum->buckets[i].by};
    }
}

/* What the sums of one row change in it. */
static int gather(counting_t *c, sum_t *const *sums, size_t count, changes_t *out)
{
    size_t times = 0;

    for (size_t i = 0; i < count; i++)
        times += sums[i]->bucket_count;
    *out = (changes_t){0};
    out->counts = kap_arena_alloc(c->scratch, count * KAP_FIGURE_COUNT * sizeof *out->counts);
    out->times = kap_arena_alloc(c->scratch, times * sizeof *out->times);
    if (out->counts == NULL || out->times == NULL)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        gather_counts(sums[i], (uint16_t)sums[i]->key[6], out);
        gather_times(sums[i], (uint16_t)sums[i]->key[6], out);
    }
    return KAP_OK;
}

static int write_row(counting_t *c, unsigned table, kap_span_t key, const kap_cell_t *cell,
                     changes_t *changes)
{
    kap_breakdown_t breakdown = (kap_breakdown_t)cell->breakdown;
    kap_span_t row = {0};
    int rc = kap_txn_get(c->txn, table, key, &row);

    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    kap_buf_reset(&c->buf);
    if (table == KAP_ROWS_CELLS)
        rc = kap_cell_merge(row, breakdown, changes->counts, changes->count, &c->buf);
    else
        rc = kap_cell_merge_times(row, breakdown, changes->times, changes->time_count, &c->buf);
    return rc != KAP_OK ? rc : put_or_delete(c->txn, table, key, &c->buf);
}

/* The rows of one cell: its sums are those of its values. */
static int write_cell(counting_t *c, sum_t *const *sums, size_t count)
{
    uint8_t bytes[KAP_CELL_KEY];
    kap_cell_t cell;
    changes_t changes;

    kap_arena_reset(c->scratch);
    int rc = gather(c, sums, count, &changes);
    if (rc != KAP_OK)
        return rc;
    cell_from(sums[0], &cell);
    kap_cell_key(bytes, &cell);
    if (changes.count > 0 && !(KAP_SEEDED_BUG("stale_cell") && cell.level == KAP_LEVEL_GETS))
        rc = write_row(c, KAP_ROWS_CELLS, kap_span(bytes, sizeof bytes), &cell, &changes);
    if (rc == KAP_OK && changes.time_count > 0)
        rc = write_row(c, KAP_ROWS_SKETCHES, kap_span(bytes, sizeof bytes), &cell, &changes);
    return rc;
}

/* Writes every cell once, in order of keys. */
static int write_cells(counting_t *c, sums_t *sums)
{
    sum_t **all = kap_arena_alloc(sums->arena, (sums->count + 1) * sizeof(sum_t *));
    size_t n = 0;
    int rc = all == NULL ? KAP_E_NOMEM : KAP_OK;

    for (sum_t *s = sums->first; rc == KAP_OK && s != NULL; s = s->next)
        all[n++] = s;
    if (n > 0)
        qsort(all, n, sizeof *all, by_key);
    for (size_t i = 0, end; rc == KAP_OK && i < n; i = end) {
        for (end = i + 1;
             end < n && memcmp(all[i]->key, all[end]->key, 6 * sizeof *all[i]->key) == 0;)
            end++;
        rc = write_cell(c, all + i, end - i);
    }
    sums_reset(sums);
    return rc;
}

/* What was counted so far goes to the cells; those within regions are written. */
static int settle(counting_t *c)
{
    int rc = roll_places(c);

    return rc != KAP_OK ? rc : write_cells(c, &c->near);
}

/* --- all of it --- */

static int by_row(const void *a, const void *b)
{
    uint8_t x[KAP_COHORT_KEY], y[KAP_COHORT_KEY];

    kap_cohort_key(x, &((const kap_count_change_t *)a)->key);
    kap_cohort_key(y, &((const kap_count_change_t *)b)->key);
    return memcmp(x, y, sizeof x);
}

static int by_case(const void *a, const void *b)
{
    const kap_count_case_t *x = a, *y = b;

    if (x->region != y->region)
        return x->region < y->region ? -1 : 1;
    if (x->scope != y->scope)
        return x->scope < y->scope ? -1 : 1;
    return kap_span_cmp(x->id, y->id);
}

static int count_refused(counting_t *c, const kap_count_refused_t *refused)
{
    kap_cell_t cells[2] = {{.level = KAP_LEVEL_GETS, .a = refused->member},
                           {.level = KAP_LEVEL_NATION}};
    int rc = KAP_OK;

    for (int i = 0; i < 6 && rc == KAP_OK; i++) {
        kap_cell_t *cell = &cells[i / 3];
        cell->period = (uint8_t)(i % 3);
        cell->at = kap_cell_at((kap_period_t)cell->period, KAP_ZONE_HELSINKI, refused->at);
        sum_t *sum = cell_of(&c->far, cell, 0);
        rc = sum == NULL ? KAP_E_NOMEM : add_count(&c->far, sum, KAP_FIGURE_REFUSED, 1);
    }
    return rc;
}

static int count_all(counting_t *c)
{
    const kap_count_work_t *w = c->work;
    int rc = KAP_OK;

    if (w->change_count > 0)
        qsort(w->changes, w->change_count, sizeof *w->changes, by_row);
    if (w->case_count > 0)
        qsort(w->cases, w->case_count, sizeof *w->cases, by_case);
    for (size_t i = 0; rc == KAP_OK && i < w->change_count; i++)
        rc = count_fact(c, &w->changes[i].key, &w->changes[i].fact, false);
    for (size_t i = 0; rc == KAP_OK && i < w->case_count; i++) {
        if (i > 0 && w->cases[i].region != w->cases[i - 1].region)
            rc = settle(c);
        if (rc == KAP_OK)
            rc = count_case(c, &w->cases[i]);
    }
    for (size_t i = 0; rc == KAP_OK && i < w->refused_count; i++)
        rc = count_refused(c, &w->refused[i]);
    if (rc == KAP_OK)
        rc = settle(c);
    return rc != KAP_OK ? rc : write_cells(c, &c->far);
}

int kap_count_apply(kap_txn_t *txn, const kap_count_work_t *work)
{
    counting_t c;
    int rc = init(&c, txn, work);

    if (rc == KAP_OK)
        rc = count_all(&c);
    fini(&c);
    return rc;
}
