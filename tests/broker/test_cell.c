/* SPDX-License-Identifier: MPL-2.0 */
/* Cells: keys, periods, vectors, and where a fact counts. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "cell.h"
#include "err.h"

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* --- keys --- */

static int sign(int64_t x)
{
    return (x > 0) - (x < 0);
}

/* The order that keys promise. */
static int order_of(const kap_cell_t *a, const kap_cell_t *b)
{
    const int64_t by[][2] = {
        {a->level, b->level},         {a->region, b->region}, {a->a, b->a},  {a->b, b->b},
        {a->breakdown, b->breakdown}, {a->period, b->period}, {a->at, b->at}};

    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++) {
        if (by[i][0] != by[i][1])
            return sign(by[i][0] - by[i][1]);
    }
    return 0;
}

static kap_cell_t random_cell(void)
{
    return (kap_cell_t){.level = (uint8_t)(1 + random_below(KAP_LEVEL_COUNT - 1)),
                        .region = random_below(3) * UINT32_C(70000),
                        .a = random_below(3),
                        .b = random_below(3) == 0 ? UINT32_MAX : random_below(2),
                        .breakdown = (uint8_t)random_below(KAP_BREAKDOWN_COUNT),
                        .period = (uint8_t)random_below(3),
                        .at = (int32_t)random_below(5) - 2};
}

Test(cell, keys_sort_as_cells_and_give_them_back)
{
    uint8_t x[KAP_CELL_KEY], y[KAP_CELL_KEY];
    kap_cell_t back;

    seed = 5;
    for (int i = 0; i < 20000; i++) {
        kap_cell_t a = random_cell(), b = random_cell();
        kap_cell_key(x, &a);
        kap_cell_key(y, &b);
        cr_assert_eq(sign(memcmp(x, y, sizeof x)), order_of(&a, &b));
        cr_assert(kap_cell_split(kap_span(x, sizeof x), &back));
        cr_assert_eq(order_of(&a, &back), 0);
    }
    cr_assert_not(kap_cell_split(kap_span(x, sizeof x - 1), &back));
    x[0] = KAP_LEVEL_COUNT;
    cr_assert_not(kap_cell_split(kap_span(x, sizeof x), &back));
    y[13] = KAP_BREAKDOWN_COUNT;
    cr_assert_not(kap_cell_split(kap_span(y, sizeof y), &back));
}

Test(cell, keys_of_the_cohort_sort_by_time_before_and_after_1970)
{
    const kap_cohort_key_t keys[] = {
        {.region = 1, .from = 2, .to = 3, .at = INT64_MIN, .seq = 9},
        {.region = 1, .from = 2, .to = 3, .at = -1, .seq = 8},
        {.region = 1, .from = 2, .to = 3, .at = 0, .seq = 7},
        {.region = 1, .from = 2, .to = 3, .at = 0, .seq = 8},
        {.region = 1, .from = 2, .to = 4, .at = -5, .seq = 1},
    };
    uint8_t last[KAP_COHORT_KEY] = {0}, bytes[KAP_COHORT_KEY];
    kap_cohort_key_t back;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        kap_cohort_key(bytes, &keys[i]);
        cr_assert_lt(memcmp(last, bytes, sizeof bytes), 0, "%zu", i);
        memcpy(last, bytes, sizeof bytes);
        cr_assert(kap_cohort_split(kap_span(bytes, sizeof bytes), &back));
        cr_assert_eq(back.at, keys[i].at);
        cr_assert_eq(back.seq, keys[i].seq);
        cr_assert_eq(back.to, keys[i].to);
    }
    cr_assert_not(kap_cohort_split(kap_span(bytes, sizeof bytes - 1), &back));
}

Test(cell, days_have_counts_of_all_and_nothing_else)
{
    for (int level = KAP_LEVEL_EDGE; level < KAP_LEVEL_COUNT; level++) {
        for (int b = KAP_BREAKDOWN_NONE; b < KAP_BREAKDOWN_COUNT; b++) {
            bool counts =
                kap_cell_kept((kap_level_t)level, (kap_breakdown_t)b, KAP_PERIOD_DAY, true);
            cr_assert_eq(counts, b == KAP_BREAKDOWN_NONE && level != KAP_LEVEL_EDGE);
            cr_assert_not(
                kap_cell_kept((kap_level_t)level, (kap_breakdown_t)b, KAP_PERIOD_DAY, false));
        }
        cr_assert(kap_cell_kept((kap_level_t)level, KAP_BREAKDOWN_NONE, KAP_PERIOD_MONTH, true));
    }
}

/* --- periods --- */

Test(cell, a_period_holds_the_instants_from_its_start_to_the_next_one_s)
{
    const int64_t instants[] = {0,
                                -1,
                                KAP_TIME_MIN,
                                KAP_TIME_MAX,
                                INT64_C(1774742400000),
                                INT64_C(1792875600000) /* clocks change in Helsinki */};

    for (size_t i = 0; i < sizeof instants / sizeof instants[0]; i++) {
        for (int zone = KAP_ZONE_HELSINKI; zone <= KAP_ZONE_UTC; zone++) {
            for (int p = KAP_PERIOD_YEAR; p <= KAP_PERIOD_DAY; p++) {
                int32_t at = kap_cell_at((kap_period_t)p, (kap_zone_t)zone, instants[i]);
                cr_assert_leq(kap_cell_start((kap_period_t)p, (kap_zone_t)zone, at), instants[i]);
                if (instants[i] < KAP_TIME_MAX - 2 * KAP_DAY_MS)
                    cr_assert_gt(kap_cell_start((kap_period_t)p, (kap_zone_t)zone, at + 1),
                                 instants[i], "%zu %d %d", i, zone, p);
            }
        }
    }
    cr_assert_eq(kap_cell_at(KAP_PERIOD_MONTH, KAP_ZONE_UTC, 0), 1970 * 12);
    cr_assert_eq(kap_cell_at(KAP_PERIOD_YEAR, KAP_ZONE_UTC, -1), 1969);
    cr_assert_eq(kap_cell_at(KAP_PERIOD_DAY, KAP_ZONE_UTC, -1), -1);
    /* new year in Helsinki lies in the old one of UTC */
    cr_assert_eq(kap_cell_at(KAP_PERIOD_YEAR, KAP_ZONE_HELSINKI, -KAP_HOUR_MS), 1970);
}

/* --- values --- */

enum { VALUES = 4, ROUNDS = 300, CHANGES = 40 };

static void check_row(kap_span_t row, kap_breakdown_t breakdown,
                      uint64_t counts[VALUES][KAP_FIGURE_COUNT])
{
    uint64_t all[KAP_FIGURE_COUNT] = {0};
    kap_vector_t one, sum = {0};
    int values = breakdown == KAP_BREAKDOWN_NONE ? 1 : VALUES;

    for (int v = 0; v < values; v++) {
        one = (kap_vector_t){0};
        cr_assert_eq(kap_cell_add(row, breakdown, v, &one), KAP_OK);
        cr_assert_eq(memcmp(one.counts, counts[v], sizeof one.counts), 0, "value %d", v);
        for (int i = 0; i < KAP_FIGURE_COUNT; i++)
            all[i] += counts[v][i];
    }
    cr_assert_eq(kap_cell_add(row, breakdown, -1, &sum), KAP_OK);
    cr_assert_eq(memcmp(sum.counts, all, sizeof all), 0);
}

/* Random changes that never go below zero; *row follows. */
static void play_changes(kap_breakdown_t breakdown, kap_buf_t *row,
                         uint64_t counts[VALUES][KAP_FIGURE_COUNT])
{
    kap_cell_change_t changes[CHANGES];
    kap_buf_t next = {0};
    size_t n = random_below(CHANGES);

    for (size_t i = 0; i < n; i++) {
        uint16_t v = breakdown == KAP_BREAKDOWN_NONE ? 0 : (uint16_t)random_below(VALUES);
        uint16_t f = (uint16_t)random_below(KAP_FIGURE_COUNT);
        int64_t by = random_below(2) && counts[v][f] > 0
                         ? -(int64_t)random_below((uint32_t)counts[v][f] + 1)
                         : (int64_t)random_below(1000);
        counts[v][f] += (uint64_t)by;
        changes[i] = (kap_cell_change_t){v, f, by};
    }
    cr_assert_eq(kap_cell_merge(kap_buf_span(row), breakdown, changes, n, &next), KAP_OK);
    kap_buf_fini(row);
    *row = next;
}

static void take_all(kap_breakdown_t breakdown, kap_buf_t *row,
                     uint64_t counts[VALUES][KAP_FIGURE_COUNT])
{
    static kap_cell_change_t changes[VALUES * KAP_FIGURE_COUNT];
    kap_buf_t next = {0};
    size_t n = 0;

    for (uint16_t v = 0; v < VALUES; v++) {
        for (uint16_t f = 0; f < KAP_FIGURE_COUNT; f++) {
            if (counts[v][f] > 0)
                changes[n++] = (kap_cell_change_t){v, f, -(int64_t)counts[v][f]};
        }
    }
    cr_assert_eq(kap_cell_merge(kap_buf_span(row), breakdown, changes, n, &next), KAP_OK);
    cr_assert_eq(next.size, 0);
    kap_buf_reset(&next);
    changes[0].by--;
    cr_assert_eq(kap_cell_merge(kap_buf_span(row), breakdown, changes, n, &next), KAP_E_CORRUPT);
    kap_buf_fini(&next);
}

Test(cell, a_row_holds_what_was_added_and_nothing_when_all_is_taken_back)
{
    static uint64_t counts[VALUES][KAP_FIGURE_COUNT];

    seed = 7;
    for (int b = KAP_BREAKDOWN_NONE; b <= KAP_BREAKDOWN_SERVICE; b++) {
        kap_buf_t row = {0};
        memset(counts, 0, sizeof counts);
        for (int i = 0; i < ROUNDS; i++) {
            play_changes((kap_breakdown_t)b, &row, counts);
            check_row(kap_buf_span(&row), (kap_breakdown_t)b, counts);
        }
        take_all((kap_breakdown_t)b, &row, counts);
        kap_buf_fini(&row);
    }
}

Test(cell, the_values_of_a_row_are_walked_in_order)
{
    kap_cell_change_t changes[] = {
        {9, KAP_FIGURE_LATE, 4}, {0, KAP_FIGURE_REFERRALS, 2}, {3, KAP_FIGURE_CASES, 1}};
    const uint16_t order[] = {0, 3, 9};
    kap_buf_t row = {0};
    kap_vector_t vector;
    uint16_t value;
    int rc, n = 0;

    cr_assert_eq(kap_cell_merge(kap_span(NULL, 0), KAP_BREAKDOWN_SERVICE, changes, 3, &row),
                 KAP_OK);
    kap_cell_walk_t walk = {kap_buf_span(&row), -1};
    while (kap_cell_next(&walk, &value, &vector, &rc))
        cr_assert_eq(value, order[n++]);
    cr_assert_eq(rc, KAP_OK);
    cr_assert_eq(n, 3);
    cr_assert_eq(vector.counts[KAP_FIGURE_LATE], 4);
    walk = (kap_cell_walk_t){kap_span(row.data, row.size - 1), -1};
    while (kap_cell_next(&walk, &value, &vector, &rc))
        continue;
    cr_assert_eq(rc, KAP_E_CORRUPT);
    kap_buf_fini(&row);
}

Test(cell, sketches_of_a_breakdown_stand_by_value)
{
    kap_sketch_change_t changes[] = {{kap_sketch_place(3, 100), 2, 1},
                                     {kap_sketch_place(3, 100), 7, 2},
                                     {kap_sketch_place(4, 100), 7, 5}};
    uint64_t counts[KAP_SKETCH_BUCKETS] = {0};
    kap_buf_t row = {0}, next = {0};
    kap_breakdown_t by = KAP_BREAKDOWN_SEGMENT;

    cr_assert_eq(kap_cell_merge_times(kap_span(NULL, 0), by, changes, 3, &row), KAP_OK);
    cr_assert_eq(kap_cell_add_times(kap_buf_span(&row), by, 7, 3, counts), KAP_OK);
    cr_assert_eq(counts[100], 2);
    cr_assert_eq(kap_cell_add_times(kap_buf_span(&row), by, -1, 3, counts), KAP_OK);
    cr_assert_eq(counts[100], 5);
    for (int i = 0; i < 3; i++)
        changes[i].by = -changes[i].by;
    cr_assert_eq(kap_cell_merge_times(kap_buf_span(&row), by, changes, 3, &next), KAP_OK);
    cr_assert_eq(next.size, 0);
    kap_buf_fini(&row);
    kap_buf_fini(&next);
}

Test(cell, a_row_that_cannot_be_read_is_corrupt)
{
    static const struct {
        const char *bytes;
        size_t size;
        kap_breakdown_t breakdown;
    } cases[] = {
        {"\x01", 1, KAP_BREAKDOWN_NONE},                            /* a figure without a count */
        {"\x00\x01", 2, KAP_BREAKDOWN_NONE},                        /* no distance */
        {"\x7f\x01", 2, KAP_BREAKDOWN_NONE},                        /* no such figure */
        {"\x01\x00\x00\x00", 4, KAP_BREAKDOWN_SERVICE},             /* cut in its size */
        {"\x01\x00\x00\x00\x00", 5, KAP_BREAKDOWN_SERVICE},         /* an empty value */
        {"\x01\x00\x00\x00\x03\x01\x01", 7, KAP_BREAKDOWN_SERVICE}, /* longer than the row */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kap_span_t row = kap_span(cases[i].bytes, cases[i].size);
        kap_vector_t to = {0};
        kap_buf_t out = {0};
        cr_assert_eq(kap_cell_add(row, cases[i].breakdown, -1, &to), KAP_E_CORRUPT, "%zu", i);
        cr_assert_eq(kap_cell_merge(row, cases[i].breakdown, NULL, 0, &out), KAP_E_CORRUPT, "%zu",
                     i);
        kap_buf_fini(&out);
    }
}

/* --- where a fact counts --- */

typedef struct {
    uint64_t rows[KAP_LEVEL_COUNT][KAP_BREAKDOWN_COUNT][3];
    uint64_t times[KAP_LEVEL_COUNT];
    int64_t sum;
} told_t;

static int note_count(void *arg, const kap_cell_t *cell, uint16_t value, kap_figure_t figure,
                      int64_t by)
{
    told_t *told = arg;

    (void)figure;
    cr_assert(kap_cell_kept((kap_level_t)cell->level, (kap_breakdown_t)cell->breakdown,
                            (kap_period_t)cell->period, true));
    cr_assert_eq(value, cell->breakdown == KAP_BREAKDOWN_NONE ? 0 : 10u + cell->breakdown);
    told->rows[cell->level][cell->breakdown][cell->period]++;
    told->sum += by;
    return KAP_OK;
}

static int note_time(void *arg, const kap_cell_t *cell, uint16_t value, unsigned which,
                     uint32_t bucket, int32_t by)
{
    told_t *told = arg;

    (void)value;
    (void)which;
    (void)bucket;
    cr_assert(kap_cell_kept((kap_level_t)cell->level, (kap_breakdown_t)cell->breakdown,
                            (kap_period_t)cell->period, false));
    told->times[cell->level] += (uint64_t)(by > 0 ? by : -by);
    return KAP_OK;
}

static void a_fact(kap_fact_t *fact)
{
    kap_fact_init(fact);
    kap_figure_add(&fact->figures, KAP_FIGURE_REFERRALS);
    fact->amount = 1;
    fact->area = 3;
    for (uint16_t b = KAP_BREAKDOWN_SERVICE; b < KAP_BREAKDOWN_COUNT; b++)
        fact->breakdown[b] = 10 + b;
    fact->times[KAP_FIGURE_TIME_ACCEPT] = (kap_spent_t){1000, 2000};
}

Test(cell, a_fact_reaches_every_level_of_the_mesh)
{
    const kap_cohort_key_t key = {.region = 1, .from = 2, .to = 4, .at = 0, .seq = 1};
    told_t told = {0};
    kap_fact_t fact;

    a_fact(&fact);
    cr_assert_eq(kap_cell_spread(&key, &fact, -1, note_count, note_time, &told), KAP_OK);
    cr_assert_lt(told.sum, 0);
    for (int level = KAP_LEVEL_EDGE; level < KAP_LEVEL_COUNT; level++) {
        bool reached = level <= KAP_LEVEL_GETS || level >= KAP_LEVEL_REGION;
        cr_assert_eq(told.rows[level][KAP_BREAKDOWN_NONE][KAP_PERIOD_MONTH], reached);
        cr_assert_eq(told.rows[level][KAP_BREAKDOWN_WARM][KAP_PERIOD_MONTH], reached);
        cr_assert_eq(told.rows[level][KAP_BREAKDOWN_WARM][KAP_PERIOD_YEAR],
                     level >= KAP_LEVEL_REGION);
        cr_assert_eq(told.times[level] > 0, reached);
    }
}

Test(cell, an_archive_has_no_area_and_no_nation)
{
    const kap_cohort_key_t key = {.region = 1, .from = 2, .to = 4, .at = 0, .seq = 1, .utc = true};
    told_t told = {0};
    kap_fact_t fact;

    a_fact(&fact);
    fact.area = 0;
    cr_assert_eq(kap_cell_spread(&key, &fact, 1, note_count, note_time, &told), KAP_OK);
    cr_assert_eq(told.rows[KAP_LEVEL_REGION][0][KAP_PERIOD_YEAR], 1);
    cr_assert_eq(told.rows[KAP_LEVEL_AREA][0][KAP_PERIOD_YEAR], 0);
    cr_assert_eq(told.rows[KAP_LEVEL_NATION][0][KAP_PERIOD_YEAR], 0);
}

static int note_month(void *arg, const kap_cell_t *cell, uint16_t value, kap_figure_t figure,
                      int64_t by)
{
    int32_t *months = arg;

    (void)value;
    cr_assert_eq(by, 1);
    if (cell->level == KAP_LEVEL_NATION && cell->period == KAP_PERIOD_MONTH && cell->breakdown == 0)
        months[figure] = cell->at - 1970 * 12;
    return KAP_OK;
}

Test(cell, what_happened_counts_when_it_happened)
{
    const kap_cohort_key_t key = {.region = 1, .from = 2, .to = 4, .at = 0, .seq = 1};
    int32_t months[KAP_FIGURE_COUNT];
    kap_fact_t fact;

    for (int i = 0; i < KAP_FIGURE_COUNT; i++)
        months[i] = -1;
    a_fact(&fact);
    kap_figure_add(&fact.figures, KAP_FIGURE_FLOW_ACCEPTED);
    kap_figure_add(&fact.figures, KAP_FIGURE_FLOW_COMPLETED);
    fact.accepted_at = 40 * KAP_DAY_MS;
    fact.ended_at = 70 * KAP_DAY_MS;
    fact.times[KAP_FIGURE_TIME_ACCEPT] =
        (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    cr_assert_eq(kap_cell_spread(&key, &fact, 1, note_month, note_time, months), KAP_OK);
    cr_assert_eq(months[KAP_FIGURE_REFERRALS], 0);
    cr_assert_eq(months[KAP_FIGURE_FLOW_ACCEPTED], 1);
    cr_assert_eq(months[KAP_FIGURE_FLOW_COMPLETED], 2);
    cr_assert_eq(months[KAP_FIGURE_FLOW_DELIVERED], -1);
}

/* Two regions of one area; member 5 in both, with one organisation. */
Test(cell, a_case_counts_once_in_each_scope_that_it_touches)
{
    kap_path_part_t parts[] = {{1, 9, 5, 70}, {1, 9, 6, 71}, {2, 9, 5, 70}, {2, 9, 7, 0}};
    kap_path_t path = {.parts = parts, .part_count = 4, .chain = 2, .complete = {5, 6}};
    told_t told = {0};

    kap_figure_add(&path.figures, KAP_FIGURE_CASES);
    cr_assert_eq(kap_cell_spread_path(&path, 1, note_count, note_time, &told), KAP_OK);
    cr_assert_eq(told.rows[KAP_LEVEL_REGION][0][KAP_PERIOD_DAY], 2);
    cr_assert_eq(told.rows[KAP_LEVEL_AREA][0][KAP_PERIOD_DAY], 1);
    cr_assert_eq(told.rows[KAP_LEVEL_NATION][0][KAP_PERIOD_DAY], 1);
    cr_assert_eq(told.rows[KAP_LEVEL_ORGANISATION][0][KAP_PERIOD_DAY], 2);
    cr_assert_eq(told.rows[KAP_LEVEL_MEMBER][0][KAP_PERIOD_DAY], 4 + 3); /* regions, and all */
    cr_assert_eq(told.rows[KAP_LEVEL_PAIR][0][KAP_PERIOD_DAY], 2 + 3);
    cr_assert_eq(told.times[KAP_LEVEL_NATION], 3 * 2); /* chain and both times; year and month */
    told = (told_t){0};
    path.utc = true;
    cr_assert_eq(kap_cell_spread_path(&path, 1, note_count, note_time, &told), KAP_OK);
    cr_assert_eq(told.rows[KAP_LEVEL_MEMBER][0][KAP_PERIOD_DAY], 4);
    cr_assert_eq(told.rows[KAP_LEVEL_PAIR][0][KAP_PERIOD_DAY], 2);
    cr_assert_eq(told.rows[KAP_LEVEL_NATION][0][KAP_PERIOD_DAY], 0);
    cr_assert_eq(told.rows[KAP_LEVEL_ORGANISATION][0][KAP_PERIOD_DAY], 0);
}
