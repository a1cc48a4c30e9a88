/* SPDX-License-Identifier: MPL-2.0 */
/* Counting: after any sequence of rows, every cell equals a naive sum over what the rows say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "codes.h"
#include "count.h"
#include "err.h"
#include "rows.h"

enum { CASES = 30, MOST = 4, TALLIES = 12, REFERRALS = CASES * MOST, STEPS = 60 };

/* Monday 2026-03-02 08:00 in Helsinki. */
#define MONDAY INT64_C(1772431200000)

typedef struct {
    kap_referral_row_t rows[MOST];
    char ids[MOST][12], case_id[12];
    uint32_t count, scope;
} tale_t;

/* What counts now, as the naive sum sees it. */
typedef struct {
    kap_cohort_key_t keys[REFERRALS + TALLIES];
    kap_fact_t facts[REFERRALS + TALLIES];
    kap_path_t paths[CASES];
    uint32_t fact_count, path_count;
} truth_t;

static kap_store_t *store;
static kap_arena_t *arena;
static tale_t tales[CASES];
static kap_count_change_t tallies[TALLIES];
static truth_t truth;
static uint64_t position;
static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void setup(void)
{
    kap_store_opts_t opts = {.name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .memory = true};

    cr_assert_eq(kap_store_open(&opts, &store), KAP_OK);
    arena = kap_arena_new(1 << 16);
    memset(tales, 0, sizeof tales);
    memset(tallies, 0, sizeof tallies);
    position = 0;
    seed = 17;
}

static void teardown(void)
{
    kap_store_close(&store);
    kap_arena_destroy(&arena);
}

TestSuite(count, .init = setup, .fini = teardown);

/* --- random rows --- */

static int64_t soon(int64_t at)
{
    return at + (int64_t)random_below(50) * KAP_DAY_MS + random_below(80000000);
}

static void begin_referral(tale_t *t, uint32_t c)
{
    uint32_t i = t->count++;
    kap_referral_row_t *row = &t->rows[i];
    kap_referral_t *r = &row->r;
    bool archive = t->scope != 0;

    snprintf(t->case_id, sizeof t->case_id, "c%u", c);
    snprintf(t->ids[i], sizeof t->ids[i], "r%u-%u", c, i);
    *row = (kap_referral_row_t){.created_seq = ++position,
                                .due_indexed_at = KAP_REFERRAL_NO_TIME,
                                .customer = {KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS}};
    kap_referral_init(r);
    uint32_t region = archive ? 90 : 1 + random_below(3), from = 10 + random_below(4);
    row->places = (kap_places_t){.region = region,
                                 .area = archive || region == 3 ? 0 : 50 + region % 2,
                                 .from = from,
                                 .from_organisation = archive ? 0 : 60 + from % 3,
                                 .to = 10 + (from + 1 + random_below(3)) % 5};
    row->places.to_organisation = archive ? 0 : 60 + row->places.to % 3;
    r->flags = archive ? KAP_RF_ARCHIVE : random_below(8) == 0 ? KAP_RF_INTERNAL : 0;
    r->flags |= random_below(2) ? KAP_RF_WARM : 0;
    r->kind = random_below(6) == 0 ? KAP_KIND_GUIDANCE : KAP_KIND_TRANSFER;
    r->service = (int16_t)random_below(4) - 1;
    r->segment = (int16_t)random_below(3) - 1;
    r->state = KAP_STATE_CREATED;
    r->created_at = soon(MONDAY);
    r->from = KAP_SPAN("from"); /* the same for all: places tell them apart */
    r->to = KAP_SPAN("to");
    r->case_id = kap_span_str(t->case_id);
    if (i > 0)
        r->parent = kap_span_str(t->ids[i - 1]);
}

static void change_referral(kap_referral_row_t *row)
{
    static const int8_t states[] = {KAP_STATE_CREATED,   KAP_STATE_ACCEPTED, KAP_STATE_COMPLETED,
                                    KAP_STATE_DECLINED,  KAP_STATE_EXPIRED,  KAP_STATE_REDIRECTED,
                                    KAP_STATE_WITHDRAWN, KAP_STATE_VOIDED};
    kap_referral_t *r = &row->r;

    r->state = states[random_below(8)];
    r->delivered_at = random_below(3) ? soon(r->created_at) : KAP_REFERRAL_NO_TIME;
    r->accepted_at = random_below(2) ? soon(r->created_at) : KAP_REFERRAL_NO_TIME;
    r->ended_at = kap_state_is_terminal(r->state) ? soon(r->created_at) : KAP_REFERRAL_NO_TIME;
    r->to_accept = r->accepted_at == KAP_REFERRAL_NO_TIME
                       ? (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS}
                       : (kap_spent_t){random_below(9), random_below(100000000)};
    r->attempts = random_below(4);
    r->late_reports = random_below(3);
    r->flags &= ~(uint32_t)KAP_RF_FEEDBACK;
    r->flags |= random_below(3) == 0 ? KAP_RF_FEEDBACK : 0;
    r->feedback_scale = random_below(2) ? 4 : 5;
    r->feedback_value = (int16_t)(1 + random_below(4));
    r->outcome = KAP_OUTCOME_HANDLED;
}

static void change_tally(kap_count_change_t *t, uint32_t i)
{
    if (t->key.seq == 0)
        t->key = (kap_cohort_key_t){1 + i % 3, 10 + i % 4, 14, soon(MONDAY), ++position, false};
    kap_fact_init(&t->fact);
    t->fact.amount = random_below(5);
    t->fact.area = 50 + i % 2;
    if (t->fact.amount > 0)
        kap_figure_add(&t->fact.figures, KAP_FIGURE_REPORTED);
}

/* --- the store's side --- */

static kap_span_t pack_row(const kap_referral_row_t *row)
{
    kap_buf_t buf = {0};

    kap_referral_row_pack(&buf, row);
    kap_span_t packed = kap_arena_dup(arena, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return packed;
}

static void store_case(kap_txn_t *txn, const tale_t *t)
{
    kap_case_row_t row = {.started_at = KAP_REFERRAL_NO_TIME,
                          .first_accepted_at = KAP_REFERRAL_NO_TIME,
                          .count = t->count};
    kap_buf_t buf = {0};
    kap_key_t key;

    kap_case_row_pack(&buf, &row);
    for (uint32_t i = 0; i < t->count; i++) {
        kap_put_text(&buf, kap_span_str(t->ids[i]));
        kap_key_scoped(&key, t->scope, kap_span_str(t->ids[i]));
        kap_txn_put(txn, KAP_ROWS_REFERRALS, kap_key_span(&key), pack_row(&t->rows[i]));
    }
    kap_key_scoped(&key, t->scope, kap_span_str(t->case_id));
    kap_txn_put(txn, KAP_ROWS_CASES, kap_key_span(&key), kap_buf_span(&buf));
    kap_buf_fini(&buf);
}

/* A new case is told with its rows, another is read. */
static kap_count_case_t touched(const tale_t *t, bool fresh)
{
    kap_count_case_t c = {
        .scope = t->scope, .id = kap_span_str(t->case_id), .region = t->rows[0].places.region};

    if (!fresh)
        return c;
    kap_count_row_t *rows = kap_arena_alloc(arena, t->count * sizeof *rows);
    for (uint32_t i = 0; i < t->count; i++)
        rows[i] = (kap_count_row_t){kap_span_str(t->ids[i]), pack_row(&t->rows[i])};
    c.rows = rows;
    c.row_count = t->count;
    return c;
}

/* Changes some cases and tallies at random (all: takes all of it back), and counts. */
static void step(bool all)
{
    kap_count_case_t cases[CASES];
    kap_count_change_t changes[TALLIES];
    kap_count_work_t work = {.cases = cases, .changes = changes, .counted_to = position};
    kap_txn_t *txn;

    kap_arena_reset(arena);
    cr_assert_eq(kap_txn_begin(store, KAP_TXN_WRITE, &txn), KAP_OK);
    for (uint32_t c = 0; c < CASES; c++) {
        tale_t *t = &tales[c];
        bool fresh = t->count == 0;
        if (!all && random_below(4) != 0)
            continue;
        t->scope = c % 7 == 0 ? 90 : 0;
        if (fresh || (!all && t->count < MOST && random_below(4) == 0))
            begin_referral(t, c);
        for (uint32_t i = 0; i < t->count; i++) {
            if (random_below(2) || all)
                change_referral(&t->rows[i]);
            if (all)
                t->rows[i].r.state = KAP_STATE_VOIDED;
        }
        store_case(txn, t);
        cases[work.case_count++] = touched(t, fresh);
    }
    for (uint32_t i = 0; i < TALLIES; i++) {
        if (!all && random_below(4) != 0)
            continue;
        change_tally(&tallies[i], i);
        if (all)
            tallies[i].fact.figures = (kap_figure_set_t){{0}};
        changes[work.change_count++] = tallies[i];
    }
    cr_assert_eq(kap_count_apply(txn, &work), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
}

/* --- the naive side --- */

static int place_of(void *arg, kap_span_t region, kap_span_t member, uint64_t created_seq,
                    kap_path_part_t *part)
{
    const tale_t *t = arg;

    (void)region;
    for (uint32_t i = 0; i < t->count; i++) {
        const kap_places_t *p = &t->rows[i].places;
        if (t->rows[i].created_seq != created_seq)
            continue;
        bool sends = kap_span_eq_str(member, "from");
        *part = (kap_path_part_t){p->region, p->area, sends ? p->from : p->to,
                                  sends ? p->from_organisation : p->to_organisation};
        return KAP_OK;
    }
    return KAP_E_INTERNAL;
}

static void know_case(tale_t *t)
{
    kap_fact_path_t of[MOST];
    kap_case_t tree;

    kap_case_init(&tree);
    for (uint32_t i = 0; i < t->count; i++)
        kap_case_put(&tree, arena, kap_span_str(t->ids[i]), &t->rows[i].r);
    cr_assert_eq(
        kap_path_of(&tree, t->rows, arena, place_of, t, &truth.paths[truth.path_count++], of),
        KAP_OK);
    for (uint32_t i = 0; i < t->count; i++) {
        const kap_places_t *p = &t->rows[i].places;
        uint32_t n = truth.fact_count++;
        truth.keys[n] = (kap_cohort_key_t){
            p->region,    p->from, p->to, t->rows[i].r.created_at, t->rows[i].created_seq,
            t->scope != 0};
        kap_fact_of(&t->rows[i], &of[i], p->area, &truth.facts[n]);
    }
}

static void know(void)
{
    truth = (truth_t){0};
    for (uint32_t c = 0; c < CASES; c++) {
        if (tales[c].count > 0)
            know_case(&tales[c]);
    }
    for (uint32_t i = 0; i < TALLIES; i++) {
        truth.keys[truth.fact_count] = tallies[i].key;
        truth.facts[truth.fact_count++] = tallies[i].fact;
    }
}

/* When a figure of a fact counts; KAP_REFERRAL_NO_TIME: never. */
static int64_t time_of(const kap_cohort_key_t *key, const kap_fact_t *fact, kap_figure_t figure)
{
    switch (figure) {
    case KAP_FIGURE_FLOW_DELIVERED:
        return fact->delivered_at;
    case KAP_FIGURE_FLOW_ACCEPTED:
        return fact->accepted_at;
    case KAP_FIGURE_FLOW_CONTACTED:
        return fact->contact_at;
    case KAP_FIGURE_FLOW_COMPLETED:
    case KAP_FIGURE_FLOW_TURNED_AWAY:
    case KAP_FIGURE_FLOW_WITHDRAWN:
        return fact->ended_at;
    default:
        return key->at;
    }
}

static bool fact_is_in(const kap_cell_t *cell, uint16_t value, const kap_cohort_key_t *key,
                       const kap_fact_t *fact)
{
    if (cell->breakdown != KAP_BREAKDOWN_NONE && fact->breakdown[cell->breakdown] != value)
        return false;
    switch (cell->level) {
    case KAP_LEVEL_EDGE:
        return key->region == cell->region && key->from == cell->a && key->to == cell->b;
    case KAP_LEVEL_SENDS:
        return key->region == cell->region && key->from == cell->a;
    case KAP_LEVEL_GETS:
        return key->region == cell->region && key->to == cell->a;
    case KAP_LEVEL_REGION:
        return key->region == cell->region;
    case KAP_LEVEL_AREA:
        return fact->area == cell->region;
    case KAP_LEVEL_NATION:
        return fact->area != 0;
    default:
        return false;
    }
}

static bool has_part(const kap_path_t *path, uint32_t region, uint32_t member)
{
    for (uint32_t i = 0; i < path->part_count; i++) {
        if ((region == 0 ? !path->utc : path->parts[i].region == region) &&
            path->parts[i].member == member)
            return true;
    }
    return false;
}

static bool any_part(const kap_path_t *path, const kap_cell_t *cell)
{
    for (uint32_t i = 0; i < path->part_count; i++) {
        const kap_path_part_t *p = &path->parts[i];
        if (cell->level == KAP_LEVEL_ORGANISATION ? p->organisation == cell->a
            : cell->level == KAP_LEVEL_REGION     ? p->region == cell->region
            : cell->level == KAP_LEVEL_AREA       ? p->area == cell->region
                                                  : p->area != 0)
            return true;
    }
    return false;
}

static bool path_is_in(const kap_cell_t *cell, const kap_path_t *path)
{
    if (cell->breakdown != KAP_BREAKDOWN_NONE || cell->level < KAP_LEVEL_MEMBER)
        return false;
    if (cell->level == KAP_LEVEL_MEMBER)
        return has_part(path, cell->region, cell->a);
    if (cell->level == KAP_LEVEL_PAIR)
        return cell->a < cell->b && has_part(path, cell->region, cell->a) &&
               has_part(path, cell->region, cell->b);
    return any_part(path, cell);
}

static bool is_then(const kap_cell_t *cell, bool utc, int64_t at)
{
    return at != KAP_REFERRAL_NO_TIME &&
           kap_cell_at((kap_period_t)cell->period, kap_cell_zone(utc), at) == cell->at;
}

static uint64_t naive_count(const kap_cell_t *cell, uint16_t value, kap_figure_t figure)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < truth.fact_count; i++) {
        const kap_fact_t *f = &truth.facts[i];
        if (fact_is_in(cell, value, &truth.keys[i], f) &&
            is_then(cell, truth.keys[i].utc, time_of(&truth.keys[i], f, figure)))
            n += kap_fact_count(f, figure);
    }
    for (uint32_t i = 0; i < truth.path_count; i++) {
        const kap_path_t *p = &truth.paths[i];
        n += kap_figure_in(&p->figures, figure) && path_is_in(cell, p) &&
             is_then(cell, p->utc, p->started_at);
    }
    return n;
}

static uint64_t bucket_is(const kap_spent_t *t, bool elapsed, uint32_t bucket)
{
    int64_t ms = elapsed ? t->elapsed_ms : t->working_ms;

    return ms != KAP_REFERRAL_NO_SPAN_MS && kap_sketch_bucket(ms) == bucket;
}

static uint64_t naive_time(const kap_cell_t *cell, uint16_t value, kap_figure_time_t time,
                           bool elapsed, uint32_t bucket)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < truth.fact_count; i++) {
        if (fact_is_in(cell, value, &truth.keys[i], &truth.facts[i]) &&
            is_then(cell, truth.keys[i].utc, truth.keys[i].at))
            n += bucket_is(&truth.facts[i].times[time], elapsed, bucket);
    }
    for (uint32_t i = 0; i < truth.path_count; i++) {
        const kap_path_t *p = &truth.paths[i];
        if (!path_is_in(cell, p) || !is_then(cell, p->utc, p->started_at))
            continue;
        n += time == KAP_FIGURE_TIME_COMPLETE_CASE && bucket_is(&p->complete, elapsed, bucket);
        n += time == KAP_FIGURE_TIME_CHAIN && !elapsed && p->chain == bucket;
    }
    return n;
}

/* --- comparing --- */

static void check_vector(const kap_cell_t *cell, uint16_t value, kap_span_t row)
{
    kap_vector_t vector = {0};

    cr_assert_eq(kap_cell_add(row, (kap_breakdown_t)cell->breakdown, value, &vector), KAP_OK);
    for (int i = 0; i < KAP_FIGURE_COUNT; i++)
        cr_assert_eq(vector.counts[i], naive_count(cell, value, (kap_figure_t)i),
                     "level %d (%u %u %u) by %d=%d period %d %d: %s %llu", cell->level,
                     cell->region, cell->a, cell->b, cell->breakdown, value, cell->period, cell->at,
                     kap_figure_name((kap_figure_t)i), (unsigned long long)vector.counts[i]);
}

static void check_sketches(const kap_cell_t *cell, uint16_t value, kap_span_t row)
{
    static uint64_t counts[KAP_SKETCH_BUCKETS];

    for (int time = 0; time < KAP_FIGURE_TIME_COUNT * 2; time++) {
        memset(counts, 0, sizeof counts);
        cr_assert_eq(kap_cell_add_times(row, (kap_breakdown_t)cell->breakdown, value,
                                        (unsigned)time, counts),
                     KAP_OK);
        for (uint32_t i = 0; i < KAP_SKETCH_BUCKETS; i++) {
            if (counts[i] != 0)
                cr_assert_eq(counts[i], naive_time(cell, value, (kap_figure_time_t)(time / 2),
                                                   time % 2 != 0, i));
        }
    }
}

/* Every row that is there says the truth. */
static void check_rows(kap_txn_t *txn, unsigned table)
{
    kap_cursor_t *cursor;
    kap_cell_t cell;
    uint32_t rows = 0;

    cr_assert_eq(kap_cursor_open(txn, table, &cursor), KAP_OK);
    int rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    for (; rc == KAP_OK; rc = kap_cursor_next(cursor), rows++) {
        cr_assert(kap_cell_split(kap_cursor_key(cursor), &cell));
        for (uint16_t v = 0; v < (cell.breakdown == KAP_BREAKDOWN_NONE ? 1 : 6); v++) {
            if (table == KAP_ROWS_CELLS)
                check_vector(&cell, v, kap_cursor_value(cursor));
            else
                check_sketches(&cell, v, kap_cursor_value(cursor));
        }
    }
    cr_assert_gt(rows, 100);
    kap_cursor_close(&cursor);
}

static kap_span_t row_of(kap_txn_t *txn, unsigned table, const kap_cell_t *cell)
{
    uint8_t key[KAP_CELL_KEY];
    kap_span_t row = {0};

    kap_cell_key(key, cell);
    int rc = kap_txn_get(txn, table, kap_span(key, sizeof key), &row);
    cr_assert(rc == KAP_OK || rc == KAP_E_NOTFOUND);
    return row;
}

static int is_counted(void *arg, const kap_cell_t *cell, uint16_t value, kap_figure_t figure,
                      int64_t by)
{
    kap_vector_t vector = {0};

    cr_assert_eq(kap_cell_add(row_of(arg, KAP_ROWS_CELLS, cell), (kap_breakdown_t)cell->breakdown,
                              value, &vector),
                 KAP_OK);
    cr_assert_geq(vector.counts[figure], (uint64_t)by);
    return KAP_OK;
}

static int is_timed(void *arg, const kap_cell_t *cell, uint16_t value, unsigned which,
                    uint32_t bucket, int32_t by)
{
    static uint64_t counts[KAP_SKETCH_BUCKETS];

    memset(counts, 0, sizeof counts);
    cr_assert_eq(kap_cell_add_times(row_of(arg, KAP_ROWS_SKETCHES, cell),
                                    (kap_breakdown_t)cell->breakdown, value, which, counts),
                 KAP_OK);
    cr_assert_geq(counts[bucket], (uint64_t)by);
    return KAP_OK;
}

/* No row is missing. */
static void check_all_there(kap_txn_t *txn)
{
    for (uint32_t i = 0; i < truth.fact_count; i++) {
        if (truth.facts[i].amount > 0)
            kap_cell_spread(&truth.keys[i], &truth.facts[i], 1, is_counted, is_timed, txn);
    }
    for (uint32_t i = 0; i < truth.path_count; i++)
        kap_cell_spread_path(&truth.paths[i], 1, is_counted, is_timed, txn);
}

static uint32_t rows_in(kap_txn_t *txn, unsigned table)
{
    kap_cursor_t *cursor;
    uint32_t n = 0;

    cr_assert_eq(kap_cursor_open(txn, table, &cursor), KAP_OK);
    for (int rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0)); rc == KAP_OK;
         rc = kap_cursor_next(cursor))
        n++;
    kap_cursor_close(&cursor);
    return n;
}

Test(count, every_cell_equals_a_naive_sum, .timeout = 120)
{
    kap_txn_t *txn;

    for (int i = 1; i <= STEPS; i++) {
        step(false);
        if (i % 20 != 0)
            continue;
        know();
        cr_assert_eq(kap_txn_begin(store, KAP_TXN_READ, &txn), KAP_OK);
        check_rows(txn, KAP_ROWS_CELLS);
        check_rows(txn, KAP_ROWS_SKETCHES);
        check_all_there(txn);
        kap_txn_abort(&txn);
    }
}

Test(count, nothing_is_left_when_all_is_taken_back, .timeout = 60)
{
    static const unsigned tables[] = {KAP_ROWS_COHORT, KAP_ROWS_PATHS, KAP_ROWS_OPEN,
                                      KAP_ROWS_CELLS, KAP_ROWS_SKETCHES};
    kap_txn_t *txn;

    for (int i = 0; i < 20; i++)
        step(false);
    cr_assert_eq(kap_txn_begin(store, KAP_TXN_READ, &txn), KAP_OK);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        cr_assert_gt(rows_in(txn, tables[i]), 0, "%s", kap_rows_tables[tables[i]]);
    kap_txn_abort(&txn);
    step(true);
    cr_assert_eq(kap_txn_begin(store, KAP_TXN_READ, &txn), KAP_OK);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        cr_assert_eq(rows_in(txn, tables[i]), 0, "%s", kap_rows_tables[tables[i]]);
    kap_txn_abort(&txn);
}

/* --- open ones, refused ones --- */

static void count_one(const tale_t *t, uint64_t counted_to)
{
    kap_count_case_t c = touched(t, false);
    kap_count_work_t work = {.cases = &c, .case_count = 1, .counted_to = counted_to};
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(store, KAP_TXN_WRITE, &txn), KAP_OK);
    store_case(txn, t);
    cr_assert_eq(kap_count_apply(txn, &work), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
}

/* How many are open; *last the last of them, its id copied. */
static uint32_t open_rows(kap_open_t *last, char id[12])
{
    kap_txn_t *txn;
    kap_cursor_t *cursor;
    uint32_t n = 0;

    cr_assert_eq(kap_txn_begin(store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_cursor_open(txn, KAP_ROWS_OPEN, &cursor), KAP_OK);
    for (int rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0)); rc == KAP_OK;
         rc = kap_cursor_next(cursor), n++) {
        cr_assert_eq(kap_open_split(kap_cursor_key(cursor), kap_cursor_value(cursor), last),
                     KAP_OK);
        snprintf(id, 12, "%.*s", KAP_SPAN_ARGS(last->referral));
    }
    kap_cursor_close(&cursor);
    kap_txn_abort(&txn);
    return n;
}

Test(count, a_referral_is_open_until_it_ends_and_a_dropped_baton_stays)
{
    tale_t *t = &tales[1];
    kap_referral_t *first = &t->rows[0].r, *child = &t->rows[1].r;
    kap_open_t open;
    char id[12];

    begin_referral(t, 1);
    first->flags = 0;
    first->kind = KAP_KIND_TRANSFER;
    count_one(t, 0);
    cr_assert_eq(open_rows(&open, id), 1);
    cr_assert_str_eq(id, "r1-0");
    cr_assert_not(open.dropped);
    cr_assert_eq(open.key.seq, 1);
    first->state = KAP_STATE_REDIRECTED;
    first->ended_at = soon(first->created_at);
    begin_referral(t, 1);
    child->flags = 0;
    child->kind = KAP_KIND_TRANSFER;
    first->next = kap_span_str(t->ids[1]);
    count_one(t, 1);
    cr_assert_eq(open_rows(&open, id), 2); /* the child is not there yet */
    child->delivered_at = soon(child->created_at);
    count_one(t, UINT64_MAX);
    cr_assert_eq(open_rows(&open, id), 1);
    cr_assert_str_eq(id, "r1-1");
    child->state = KAP_STATE_WITHDRAWN;
    child->ended_at = child->delivered_at;
    count_one(t, UINT64_MAX);
    cr_assert_eq(open_rows(&open, id), 1);
    cr_assert_str_eq(id, "r1-0");
    cr_assert(open.dropped);
}

Test(count, internal_external_and_archived_ones_are_never_open)
{
    static const uint32_t flags[] = {KAP_RF_INTERNAL, KAP_RF_EXTERNAL, KAP_RF_ARCHIVE};
    kap_open_t open;
    char id[12];

    for (uint32_t i = 0; i < 3; i++) {
        tales[i].scope = flags[i] == KAP_RF_ARCHIVE ? 90 : 0;
        begin_referral(&tales[i], i);
        tales[i].rows[0].r.flags = flags[i];
        count_one(&tales[i], 0);
    }
    cr_assert_eq(open_rows(&open, id), 0);
}

Test(count, what_counts_the_same_writes_nothing)
{
    tale_t *t = &tales[2];
    kap_count_case_t c;
    kap_count_work_t work = {.cases = &c, .case_count = 1, .counted_to = UINT64_MAX};
    kap_txn_t *txn;
    kap_span_t garbage = KAP_SPAN("\x00\x00");
    uint8_t key[KAP_CELL_KEY];

    begin_referral(t, 2);
    count_one(t, 0);
    kap_cell_t cell = {.level = KAP_LEVEL_REGION,
                       .region = t->rows[0].places.region,
                       .period = KAP_PERIOD_YEAR,
                       .at = 2026};
    kap_cell_key(key, &cell);
    cr_assert_eq(kap_txn_begin(store, KAP_TXN_WRITE, &txn), KAP_OK);
    /* whoever touches this cell fails */
    kap_txn_put(txn, KAP_ROWS_CELLS, kap_span(key, sizeof key), garbage);
    c = touched(t, false);
    cr_assert_eq(kap_count_apply(txn, &work), KAP_OK);
    t->rows[0].r.delivered_at = t->rows[0].r.created_at;
    t->rows[0].r.flags = 0;
    store_case(txn, t);
    cr_assert_eq(kap_count_apply(txn, &work), KAP_E_CORRUPT);
    kap_txn_abort(&txn);
}

Test(count, a_case_that_is_not_there_is_damage_unless_it_is_doubtful)
{
    kap_count_case_t c = {.id = KAP_SPAN("nobody")};
    kap_count_work_t work = {.cases = &c, .case_count = 1};
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_count_apply(txn, &work), KAP_E_CORRUPT);
    work.doubtful = true;
    cr_assert_eq(kap_count_apply(txn, &work), KAP_OK);
    kap_txn_abort(&txn);
}

Test(count, refused_events_count_for_their_member_and_the_nation)
{
    const kap_count_refused_t refused[] = {{7, MONDAY}, {7, MONDAY + 1}, {8, MONDAY}};
    kap_count_work_t work = {.refused = refused, .refused_count = 3};
    kap_cell_t cells[] = {{.level = KAP_LEVEL_GETS, .a = 7}, {.level = KAP_LEVEL_NATION}};
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_count_apply(txn, &work), KAP_OK);
    for (int i = 0; i < 6; i++) {
        kap_cell_t *cell = &cells[i / 3];
        kap_vector_t vector = {0};
        cell->period = (uint8_t)(i % 3);
        cell->at = kap_cell_at((kap_period_t)cell->period, KAP_ZONE_HELSINKI, MONDAY);
        kap_cell_add(row_of(txn, KAP_ROWS_CELLS, cell), KAP_BREAKDOWN_NONE, 0, &vector);
        cr_assert_eq(vector.counts[KAP_FIGURE_REFUSED], i / 3 == 0 ? 2 : 3);
    }
    kap_txn_abort(&txn);
}
