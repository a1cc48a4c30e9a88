/* SPDX-License-Identifier: MPL-2.0 */
/* Paths: what a case counts, what its shape makes of its referrals, dropped batons, and the golden
 * example of the metrics, number by number. Members are letters A to Z. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "codes.h"
#include "err.h"
#include "path.h"

enum { MOST = 16, HOUR = 3600000, FULL_CASE = 512 };

/* Monday 2026-03-02 08:00 in Helsinki. */
#define MONDAY INT64_C(1772431200000)

typedef struct {
    kap_case_t tree;
    kap_referral_row_t rows[FULL_CASE];
    char ids[FULL_CASE][8], ends[FULL_CASE][2][2];
    kap_path_t path;
    kap_fact_path_t of[FULL_CASE];
} tale_t;

static kap_arena_t *arena;
static tale_t *t;
static uint64_t places_seen[2 * FULL_CASE];
static uint32_t place_count;

static void setup(void)
{
    arena = kap_arena_new(1 << 20);
    t = kap_arena_calloc(arena, 1, sizeof *t);
    place_count = 0;
}

static void teardown(void)
{
    kap_arena_destroy(&arena);
}

TestSuite(path, .init = setup, .fini = teardown);

static void begin(void)
{
    kap_case_init(&t->tree);
}

static kap_referral_t *referral(int i)
{
    return &t->rows[i].r;
}

/* Adds "AB": A hands to B, as child of `parent` (-1: a root), created i hours after MONDAY,
 * delivered then, in the given state; a completed one was accepted and handled. Returns i. */
static int hand(const char *ends, int parent, int state)
{
    int i = (int)t->tree.count;
    kap_referral_row_t *row = &t->rows[i];
    kap_referral_t *r = &row->r;

    kap_referral_init(r);
    snprintf(t->ids[i], sizeof t->ids[i], "r%d", i);
    t->ends[i][0][0] = ends[0];
    t->ends[i][1][0] = ends[1];
    *row = (kap_referral_row_t){.r = *r, .created_seq = 100 + (uint64_t)i};
    row->customer = (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    r->from = kap_span(t->ends[i][0], 1);
    r->to = ends[1] == '-' ? KAP_SPAN("external:bank") : kap_span(t->ends[i][1], 1);
    r->flags = ends[1] == '-' ? KAP_RF_EXTERNAL : 0;
    r->region = KAP_SPAN("mikkeli");
    r->parent = parent < 0 ? (kap_span_t){NULL, 0} : kap_span_str(t->ids[parent]);
    r->kind = KAP_KIND_TRANSFER;
    r->state = (int8_t)state;
    r->created_at = r->delivered_at = MONDAY + (int64_t)i * HOUR;
    if (kap_state_is_terminal(state))
        r->ended_at = r->created_at + HOUR;
    if (state == KAP_STATE_COMPLETED) {
        r->accepted_at = r->created_at;
        r->outcome = KAP_OUTCOME_HANDLED;
    }
    cr_assert_eq(kap_case_put(&t->tree, arena, kap_span_str(t->ids[i]), r), KAP_OK);
    return i;
}

/* After a change of rows: the tree as a store reads it, in the order of the log. */
static void again(void)
{
    uint32_t count = t->tree.count;

    kap_case_init(&t->tree);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(kap_case_put(&t->tree, arena, kap_span_str(t->ids[i]), referral((int)i)),
                     KAP_OK);
}

/* Region 1, members by letter; organisation by who asks first: the position. */
static int place(void *arg, kap_span_t region, kap_span_t member, uint64_t created_seq,
                 kap_path_part_t *part)
{
    int *rc = arg;

    places_seen[place_count++] = created_seq;
    *part = (kap_path_part_t){.region = kap_span_eq_str(region, "mikkeli") ? 1 : 2,
                              .area = 9,
                              .member = member.data[0],
                              .organisation = (uint32_t)created_seq};
    return *rc;
}

static const kap_path_t *look(void)
{
    int rc = KAP_OK;

    again();
    cr_assert_eq(kap_path_of(&t->tree, t->rows, arena, place, &rc, &t->path, t->of), KAP_OK);
    return &t->path;
}

static bool counts(kap_figure_t figure)
{
    return kap_figure_in(&look()->figures, figure);
}

/* --- the golden example --- */

enum { A, B, C, MEMBERS };

typedef struct {
    uint64_t h[MEMBERS][MEMBERS], accepted[MEMBERS][MEMBERS], turned_down[MEMBERS][MEMBERS];
    uint64_t overdue, ping_pongs, returns[MEMBERS][MEMBERS];
    uint64_t with[MEMBERS], together[MEMBERS][MEMBERS];
    uint64_t cases, delivered, cases_ping_pong, closed, served, chain_sum, chains[4];
} golden_t;

static void add_referral(golden_t *g, int i)
{
    const kap_referral_t *r = referral(i);
    int x = r->from.data[0] - 'A', y = r->to.data[0] - 'A';
    kap_fact_t f;

    kap_fact_of(&t->rows[i], &t->of[i], 0, &f);
    g->h[x][y] += kap_fact_count(&f, KAP_FIGURE_REFERRALS);
    g->accepted[x][y] += kap_fact_count(&f, KAP_FIGURE_ACCEPTED);
    g->turned_down[x][y] += kap_fact_count(&f, KAP_FIGURE_TURNED_DOWN);
    g->overdue += kap_fact_count(&f, KAP_FIGURE_OVERDUE);
    g->ping_pongs += kap_fact_count(&f, KAP_FIGURE_PING_PONGS);
    g->returns[y][x] += kap_fact_count(&f, KAP_FIGURE_RETURNS); /* y handed out and got back */
}

static void add_case(golden_t *g)
{
    const kap_path_t *p = look();

    for (uint32_t i = 0; i < t->tree.count; i++)
        add_referral(g, (int)i);
    for (uint32_t i = 0; i < p->part_count; i++) {
        g->with[p->parts[i].member - 'A']++;
        for (uint32_t k = 0; k < p->part_count; k++)
            g->together[p->parts[i].member - 'A'][p->parts[k].member - 'A'] += i != k;
    }
    g->cases += kap_figure_in(&p->figures, KAP_FIGURE_CASES);
    g->delivered += kap_figure_in(&p->figures, KAP_FIGURE_CASES_DELIVERED);
    g->cases_ping_pong += kap_figure_in(&p->figures, KAP_FIGURE_CASES_PING_PONG);
    g->closed += kap_figure_in(&p->figures, KAP_FIGURE_CASES_CLOSED);
    g->served += kap_figure_in(&p->figures, KAP_FIGURE_CASES_SERVED);
    g->chain_sum += p->chain;
    g->chains[p->chain]++;
}

static golden_t golden(void)
{
    golden_t g = {0};

    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    add_case(&g);
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BC", 0, KAP_STATE_COMPLETED);
    add_case(&g);
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BA", 0, KAP_STATE_REDIRECTED);
    hand("AB", 1, KAP_STATE_COMPLETED);
    add_case(&g);
    begin();
    hand("AC", -1, KAP_STATE_COMPLETED);
    referral(0)->flags |= KAP_RF_RETURN_EXPECTED;
    hand("CA", 0, KAP_STATE_COMPLETED);
    add_case(&g);
    begin();
    hand("CB", -1, KAP_STATE_DECLINED);
    add_case(&g);
    return g;
}

#define SAYS(found, ...)                                                                           \
    do {                                                                                           \
        const uint64_t expected[MEMBERS][MEMBERS] = __VA_ARGS__;                                   \
        cr_expect_arr_eq(found, expected, sizeof expected, #found);                                \
    } while (0)

Test(path, the_golden_example_is_counted_to_the_last_number)
{
    golden_t g = golden();
    uint64_t sum = 0, accepted = 0, turned_down = 0, mutual = 0;

    SAYS(g.h, {{0, 4, 1}, {1, 0, 1}, {1, 1, 0}});
    for (int x = 0; x < MEMBERS; x++) {
        for (int y = 0; y < MEMBERS; y++) {
            sum += g.h[x][y];
            accepted += g.accepted[x][y];
            turned_down += g.turned_down[x][y];
            mutual += g.h[x][y] < g.h[y][x] ? g.h[x][y] : g.h[y][x];
        }
    }
    cr_expect_eq(sum, 9);
    cr_expect_eq(g.accepted[A][B], 2);
    cr_expect_eq(g.accepted[A][B] + g.turned_down[A][B], 4);
    cr_expect_eq(g.overdue, 0);
    cr_expect_eq(accepted, 5);
    cr_expect_eq(accepted + turned_down, 9);
    cr_expect_eq(mutual, 6, "reciprocity is 6/9");
    cr_expect_eq(g.ping_pongs, 2);
    cr_expect_eq(g.cases, 5);
    cr_expect_eq(g.delivered, 5);
    cr_expect_eq(g.cases_ping_pong, 1);
    SAYS(g.returns, {{0, 1, 1}, {1, 0, 0}, {0, 0, 0}});
    SAYS(g.together, {{0, 3, 2}, {3, 0, 2}, {2, 2, 0}});
    cr_expect_eq(g.with[A], 4);
    cr_expect_eq(g.with[B], 4);
    cr_expect_eq(g.with[C], 3);
    cr_expect_eq(g.chain_sum, 9, "mean 9/5 = 1.8");
    cr_expect_eq(g.chains[1], 2);
    cr_expect_eq(g.chains[2], 2, "p50 2");
    cr_expect_eq(g.chains[3], 1, "max 3");
    cr_expect_eq(g.closed, 5);
    cr_expect_eq(g.served, 4);
}

/* --- figures of a case --- */

Test(path, a_case_whose_referrals_are_all_voided_counts_nothing)
{
    kap_path_t empty;

    begin();
    hand("AB", -1, KAP_STATE_VOIDED);
    kap_path_init(&empty);
    cr_expect(kap_path_equal(look(), &empty));
    cr_expect_eq(place_count, 0);
    hand("AB", -1, KAP_STATE_CREATED);
    cr_expect(counts(KAP_FIGURE_CASES));
    cr_expect_eq(t->path.started_at, referral(1)->created_at);
}

Test(path, a_case_is_delivered_when_one_of_it_is_whatever_its_kind)
{
    begin();
    hand("AB", -1, KAP_STATE_CREATED);
    referral(0)->delivered_at = KAP_REFERRAL_NO_TIME;
    cr_expect_not(counts(KAP_FIGURE_CASES_DELIVERED));
    hand("AC", -1, KAP_STATE_DELIVERED);
    referral(1)->kind = KAP_KIND_GUIDANCE;
    cr_expect(counts(KAP_FIGURE_CASES_DELIVERED));
}

Test(path, a_case_is_closed_when_it_has_transfers_and_all_ended)
{
    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    referral(0)->kind = KAP_KIND_GUIDANCE;
    cr_expect_not(counts(KAP_FIGURE_CASES_CLOSED), "no transfer");
    hand("AC", -1, KAP_STATE_DECLINED);
    cr_expect(counts(KAP_FIGURE_CASES_CLOSED));
    hand("AD", -1, KAP_STATE_DELIVERED);
    cr_expect_not(counts(KAP_FIGURE_CASES_CLOSED));
    referral(2)->flags |= KAP_RF_INTERNAL;
    cr_expect(counts(KAP_FIGURE_CASES_CLOSED), "an open internal one keeps none open");
    referral(2)->flags = 0;
    referral(2)->state = KAP_STATE_EXPIRED;
    cr_expect_not(counts(KAP_FIGURE_CASES_CLOSED), "expired is no end");
}

Test(path, a_case_is_served_when_the_transfer_that_ended_last_was_handled)
{
    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    hand("AC", -1, KAP_STATE_DECLINED);
    cr_expect_not(counts(KAP_FIGURE_CASES_SERVED));
    referral(0)->ended_at = referral(1)->ended_at + 1;
    cr_expect(counts(KAP_FIGURE_CASES_SERVED));
    referral(0)->ended_at = referral(1)->ended_at;
    cr_expect_not(counts(KAP_FIGURE_CASES_SERVED), "at the same time the later one is the last");
    referral(0)->ended_at++;
    referral(0)->outcome = KAP_OUTCOME_NOT_HANDLED;
    cr_expect_not(counts(KAP_FIGURE_CASES_SERVED));
    referral(0)->outcome = KAP_OUTCOME_HANDLED;
    hand("BC", 0, KAP_STATE_CREATED);
    cr_expect_not(counts(KAP_FIGURE_CASES_SERVED), "not closed");
}

Test(path, a_case_is_loop_closed_when_all_its_closable_transfers_are)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    cr_expect_not(counts(KAP_FIGURE_CASES_CLOSABLE));
    cr_expect_not(counts(KAP_FIGURE_CASES_LOOP_CLOSED));
    hand("BC", 0, KAP_STATE_COMPLETED);
    cr_expect(counts(KAP_FIGURE_CASES_CLOSABLE));
    cr_expect_not(counts(KAP_FIGURE_CASES_LOOP_CLOSED));
    referral(1)->answer_received_at = referral(1)->ended_at;
    cr_expect(counts(KAP_FIGURE_CASES_LOOP_CLOSED));
    hand("CD", 1, KAP_STATE_DELIVERED);
    cr_expect_not(counts(KAP_FIGURE_CASES_LOOP_CLOSED));
    referral(2)->kind = KAP_KIND_LEAD;
    cr_expect(counts(KAP_FIGURE_CASES_LOOP_CLOSED));
}

Test(path, the_time_of_a_case_is_from_its_earliest_root_to_its_last_end)
{
    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    hand("AC", -1, KAP_STATE_COMPLETED);
    referral(1)->created_at = MONDAY - 24 * HOUR; /* Sunday, told late */
    referral(0)->ended_at = MONDAY + 30 * HOUR;   /* Tuesday 14:00 */
    look();
    cr_expect_eq(t->path.started_at, MONDAY - 24 * HOUR);
    cr_expect_eq(t->path.complete.working_ms, 14 * HOUR);
    cr_expect_eq(t->path.complete.elapsed_ms, 54 * HOUR);
    referral(0)->ended_at = referral(1)->ended_at = MONDAY - 30 * HOUR;
    look();
    cr_expect_eq(t->path.complete.working_ms, 0, "never negative");
    cr_expect_eq(t->path.complete.elapsed_ms, 0, "never negative");
    hand("BC", 0, KAP_STATE_DELIVERED);
    look();
    cr_expect_eq(t->path.complete.elapsed_ms, KAP_REFERRAL_NO_SPAN_MS, "not closed");
}

Test(path, an_archive_counts_in_utc)
{
    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    cr_expect_not(look()->utc);
    referral(0)->flags |= KAP_RF_ARCHIVE;
    cr_expect(look()->utc);
}

/* --- the tree --- */

Test(path, a_void_in_mid_tree_hangs_its_children_on_its_parent)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BC", 0, KAP_STATE_REDIRECTED);
    hand("CB", 1, KAP_STATE_REDIRECTED);
    hand("BA", 2, KAP_STATE_COMPLETED);
    look();
    cr_expect_eq(t->path.chain, 4);
    cr_expect(t->of[2].ping_pong && t->of[2].returned && !t->of[2].loop);
    cr_expect(t->of[3].loop && !t->of[3].ping_pong && !t->of[3].returned);
    referral(1)->state = KAP_STATE_VOIDED;
    look();
    cr_expect_eq(t->path.chain, 3);
    cr_expect_not(t->of[2].ping_pong, "its parent is AB now, and it went to B");
    cr_expect(t->of[3].loop);
    referral(2)->state = KAP_STATE_VOIDED;
    look();
    cr_expect_eq(t->path.chain, 2);
    cr_expect(t->of[3].ping_pong && !t->of[3].loop, "BA hangs on AB");
    cr_expect_eq(t->of[3].got_back.elapsed_ms, 3 * HOUR);
    referral(0)->state = KAP_STATE_VOIDED;
    look();
    cr_expect_eq(t->path.chain, 1);
    cr_expect_not(t->of[3].returned);
    cr_expect(t->path.started_at == referral(3)->created_at, "it is the root now");
}

Test(path, a_redirect_tree_has_the_chain_of_its_longest_branch_and_counts_a_case_once)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BC", 0, KAP_STATE_WITHDRAWN);
    hand("BD", 0, KAP_STATE_REDIRECTED);
    hand("DB", 2, KAP_STATE_REDIRECTED);
    hand("BA", 3, KAP_STATE_COMPLETED);
    hand("DB", 2, KAP_STATE_COMPLETED);
    look();
    cr_expect_eq(t->path.chain, 4);
    cr_expect(t->of[3].ping_pong && t->of[5].ping_pong);
    cr_expect(t->of[4].loop && !t->of[4].returned);
    cr_expect(counts(KAP_FIGURE_CASES_PING_PONG));
    cr_expect_eq(t->path.part_count, 4);
}

Test(path, a_return_needs_both_delivered_and_an_expected_one_is_no_ping_pong)
{
    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    hand("BA", 0, KAP_STATE_CREATED);
    cr_expect(counts(KAP_FIGURE_CASES_PING_PONG));
    referral(1)->delivered_at = KAP_REFERRAL_NO_TIME;
    cr_expect_not(counts(KAP_FIGURE_CASES_PING_PONG));
    cr_expect_not(t->of[1].returned);
    referral(1)->delivered_at = referral(1)->created_at;
    referral(0)->flags |= KAP_RF_RETURN_EXPECTED;
    cr_expect_not(counts(KAP_FIGURE_CASES_PING_PONG));
    cr_expect(t->of[1].returned);
}

Test(path, getting_back_before_handing_out_took_no_time_and_is_clamped)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BA", 0, KAP_STATE_DELIVERED);
    look();
    cr_expect_eq(t->of[1].got_back.working_ms, HOUR);
    cr_expect_not(t->of[1].clamped);
    referral(1)->delivered_at = MONDAY - 1;
    look();
    cr_expect_eq(t->of[1].got_back.working_ms, 0);
    cr_expect_eq(t->of[1].got_back.elapsed_ms, 0);
    cr_expect(t->of[1].clamped);
}

/* --- parts --- */

Test(path, parts_are_each_member_of_a_region_once_as_it_was_first)
{
    begin();
    hand("CB", -1, KAP_STATE_REDIRECTED);
    hand("BA", 0, KAP_STATE_REDIRECTED);
    hand("AB", 1, KAP_STATE_VOIDED);
    hand("A-", 1, KAP_STATE_CREATED);
    hand("AB", 1, KAP_STATE_CREATED);
    referral(4)->region = KAP_SPAN("tampere");
    look();
    static const struct {
        uint32_t region, member, organisation;
    } expected[] = {{1, 'A', 101}, {1, 'B', 100}, {1, 'C', 100}, {2, 'A', 104}, {2, 'B', 104}};
    cr_assert_eq(t->path.part_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        cr_expect_eq(t->path.parts[i].region, expected[i].region, "%u", i);
        cr_expect_eq(t->path.parts[i].member, expected[i].member, "%u", i);
        cr_expect_eq(t->path.parts[i].organisation, expected[i].organisation, "%u", i);
    }
    static const uint64_t asked[] = {100, 100, 101, 101, 103, 104, 104};
    cr_assert_eq(place_count, 7);
    cr_expect_arr_eq(places_seen, asked, sizeof asked);
}

Test(path, what_looking_up_a_part_says_is_passed_on)
{
    int rc = KAP_E_CORRUPT;

    begin();
    hand("AB", -1, KAP_STATE_CREATED);
    kap_path_init(&t->path);
    cr_expect_eq(kap_path_of(&t->tree, t->rows, arena, place, &rc, &t->path, t->of), KAP_E_CORRUPT);
    cr_expect_eq(t->path.part_count, 0, "untouched");
}

Test(path, a_full_case_has_512_links)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    for (int i = 1; i < FULL_CASE; i++)
        hand(i % 2 ? "BA" : "AB", i - 1, KAP_STATE_REDIRECTED);
    look();
    cr_expect_eq(t->path.chain, FULL_CASE);
    cr_expect_eq(t->path.part_count, 2);
    cr_expect(t->of[FULL_CASE - 1].ping_pong);
}

/* --- dropped batons --- */

static bool dropped(int node, int next, int64_t hours)
{
    again();
    return kap_path_dropped(&t->tree, node, kap_span_str(t->ids[next]), MONDAY + hours * HOUR,
                            24 * HOUR);
}

Test(path, a_baton_is_dropped_when_the_next_one_never_gets_it)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BC", 0, KAP_STATE_CREATED);
    cr_expect_not(dropped(0, 1, 1000), "it arrived");
    cr_expect_not(dropped(1, 0, 1000), "not redirected");
    referral(1)->delivered_at = KAP_REFERRAL_NO_TIME;
    cr_expect_not(dropped(0, 1, 24), "on its way for 23 hours");
    cr_expect(dropped(0, 1, 25));
    referral(1)->state = KAP_STATE_WITHDRAWN;
    cr_expect(dropped(0, 1, 2));
    referral(1)->state = KAP_STATE_VOIDED;
    referral(1)->delivered_at = referral(1)->created_at;
    cr_expect(dropped(0, 1, 2));
    referral(0)->state = KAP_STATE_VOIDED;
    cr_expect_not(dropped(0, 1, 2));
}

Test(path, a_dropped_baton_that_was_handed_on_again_is_none)
{
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BD", 0, KAP_STATE_COMPLETED); /* earlier, beside it */
    hand("BC", 0, KAP_STATE_VOIDED);
    cr_expect(dropped(0, 2, 100));
    hand("BE", 0, KAP_STATE_WITHDRAWN);
    cr_expect(dropped(0, 2, 100));
    hand("BF", 0, KAP_STATE_CREATED);
    cr_expect_not(dropped(0, 2, 100));
    referral(4)->parent = kap_span_str(t->ids[1]);
    cr_expect(dropped(0, 2, 100), "a child of another parent");
    referral(4)->parent = kap_span_str(t->ids[2]);
    cr_expect_not(dropped(0, 2, 100), "its parent was cut out");
}

/* --- the row --- */

static void comes_back(const kap_path_t *path)
{
    kap_buf_t row = {0};
    kap_path_t back;

    kap_path_pack(&row, path);
    cr_assert_eq(row.err, KAP_OK);
    cr_assert_eq(kap_path_unpack(kap_buf_span(&row), arena, &back), KAP_OK);
    cr_expect(kap_path_equal(path, &back));
    for (size_t cut = 0; cut < row.size; cut++)
        cr_expect_eq(kap_path_unpack(kap_span(row.data, cut), arena, &back), KAP_E_CORRUPT);
    kap_buf_u8(&row, 0);
    cr_expect_eq(kap_path_unpack(kap_buf_span(&row), arena, &back), KAP_E_CORRUPT);
    kap_buf_fini(&row);
}

Test(path, a_row_gives_back_what_was_written_and_nothing_else_is_one)
{
    kap_path_t empty;

    kap_path_init(&empty);
    comes_back(&empty);
    begin();
    hand("AB", -1, KAP_STATE_REDIRECTED);
    hand("BA", 0, KAP_STATE_REDIRECTED);
    hand("AC", 1, KAP_STATE_COMPLETED);
    referral(0)->flags |= KAP_RF_ARCHIVE;
    comes_back(look());
    t->path.complete = (kap_spent_t){INT64_MAX, INT64_MIN};
    t->path.chain = UINT32_MAX;
    t->path.started_at = INT64_MAX;
    comes_back(&t->path);
}

#define DIFFERS(change)                                                                            \
    do {                                                                                           \
        kap_path_part_t parts[MOST];                                                               \
        kap_path_t other = *p;                                                                     \
        memcpy(parts, p->parts, p->part_count * sizeof parts[0]);                                  \
        other.parts = parts;                                                                       \
        cr_expect(kap_path_equal(p, &other));                                                      \
        other.change;                                                                              \
        cr_expect_not(kap_path_equal(p, &other), #change);                                         \
    } while (0)

Test(path, paths_that_differ_in_anything_differ)
{
    begin();
    hand("AB", -1, KAP_STATE_COMPLETED);
    const kap_path_t *p = look();

    DIFFERS(figures.bits[0] ^= 1);
    DIFFERS(figures.bits[1] ^= 1);
    DIFFERS(chain++);
    DIFFERS(utc = true);
    DIFFERS(started_at++);
    DIFFERS(complete.working_ms++);
    DIFFERS(complete.elapsed_ms++);
    DIFFERS(part_count--);
    DIFFERS(parts[1].organisation++);
    DIFFERS(parts[0].area++);
}
