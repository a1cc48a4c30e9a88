/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "case.h"
#include "err.h"

static kap_arena_t *arena;
static kap_case_t c;
static kap_refusal_t why;

static void setup(void)
{
    arena = kap_arena_new(4096);
    kap_case_init(&c);
}

static void teardown(void)
{
    kap_arena_destroy(&arena);
}

TestSuite(case, .init = setup, .fini = teardown);

static kap_referral_t referral(const char *from, const char *to, const char *parent, int8_t state)
{
    kap_referral_t r;
    kap_referral_init(&r);
    r.state = state;
    r.kind = KAP_KIND_TRANSFER;
    r.from = kap_span_str(from);
    r.to = kap_span_str(to);
    r.parent = kap_span_str(parent);
    r.created_at = 1000;
    r.delivered_at = 2000;
    if (kap_state_is_terminal(state)) {
        r.ended_at = 5000;
    }
    return r;
}

static void put(const char *id, const char *from, const char *to, const char *parent, int8_t state)
{
    kap_referral_t r = referral(from, to, parent, state);
    cr_assert_eq(kap_case_put(&c, arena, kap_span_str(id), &r), KAP_OK);
}

static void put_times(const char *id, const char *parent, int64_t created, int64_t accepted,
                      int64_t ended)
{
    kap_referral_t r = referral("x", id, parent, KAP_STATE_COMPLETED);
    r.created_at = created;
    r.accepted_at = accepted;
    r.ended_at = ended;
    cr_assert_eq(kap_case_put(&c, arena, kap_span_str(id), &r), KAP_OK);
}

static bool admits(const char *parent, const char *sender)
{
    return kap_case_admits(&c, kap_span_str(parent), kap_span_str(sender), false, NULL, &why) ==
           KAP_OK;
}

Test(case, a_parent_is_here_unvoided_and_went_to_this_sender)
{
    put("r1", "a", "b", NULL, KAP_STATE_CREATED);
    put("r2", "a", "b", NULL, KAP_STATE_VOIDED);
    cr_expect(admits(NULL, "a"), "a root");
    cr_expect(admits("r1", "b"));
    cr_expect_not(admits("r1", "a"));
    cr_expect_eq(why.number, KAP_REFUSAL_ILLEGAL_PARENT);
    cr_expect_not(admits("r2", "b"));
    cr_expect_not(admits("r9", "b"));
}

Test(case, holds_512_and_no_more_but_an_archive_does)
{
    char ids[600][8];
    for (int i = 0; i < 511; i++) {
        snprintf(ids[i], sizeof(ids[i]), "r%d", i);
        put(ids[i], "a", "b", NULL, KAP_STATE_CREATED);
    }
    cr_expect(admits(NULL, "a"));
    put("r511", "a", "b", NULL, KAP_STATE_CREATED);
    cr_expect_not(admits(NULL, "a"));
    cr_expect_eq(why.number, KAP_REFUSAL_ILLEGAL_CASE_FULL);
    cr_expect_eq(kap_case_admits(&c, kap_span_str(NULL), KAP_SPAN("a"), true, NULL, &why), KAP_OK);
}

Test(case, facts_for_the_machine_come_with_it)
{
    kap_referral_facts_t facts = {0};
    put("r1", "a", "b", NULL, KAP_STATE_CREATED);
    kap_case_admits(&c, KAP_SPAN("r1"), KAP_SPAN("b"), false, &facts, &why);
    cr_expect(facts.parent_known && facts.parent_same_case && facts.parent_to_is_sender);
    cr_expect_not(facts.parent_voided);
    cr_expect_eq(facts.case_size, 1);
    cr_expect_eq(facts.root_created_at, 1000);
}

Test(case, a_voided_node_is_cut_out_and_its_children_hang_on_its_parent)
{
    kap_case_shape_t s;
    put("r1", "a", "b", NULL, KAP_STATE_REDIRECTED);
    put("r2", "b", "c", "r1", KAP_STATE_REDIRECTED);
    put("r3", "c", "b", "r2", KAP_STATE_COMPLETED);
    kap_case_shape(&c, &s);
    cr_expect_eq(s.chain, 3);
    cr_expect_eq(s.ping_pongs, 1);
    put("r2", "b", "c", "r1", KAP_STATE_VOIDED);
    kap_case_shape(&c, &s);
    cr_expect_eq(kap_case_parent(&c, 2), 0);
    cr_expect_eq(s.referrals, 2);
    cr_expect_eq(s.chain, 2);
    cr_expect_eq(s.ping_pongs, 0);
    put("r1", "a", "b", NULL, KAP_STATE_VOIDED);
    kap_case_shape(&c, &s);
    cr_expect_eq(s.roots, 1);
    cr_expect_eq(s.chain, 1);
}

Test(case, ping_pong_needs_both_delivered_and_no_return_expected)
{
    put("r1", "a", "b", NULL, KAP_STATE_REDIRECTED);
    put("r2", "b", "a", "r1", KAP_STATE_DELIVERED);
    cr_expect(kap_case_is_ping_pong(&c, 1));
    c.nodes[1].delivered_at = KAP_REFERRAL_NO_TIME;
    cr_expect_not(kap_case_is_ping_pong(&c, 1));
    c.nodes[1].delivered_at = 1;
    c.nodes[0].delivered_at = KAP_REFERRAL_NO_TIME;
    cr_expect_not(kap_case_is_ping_pong(&c, 1));
    c.nodes[0].delivered_at = 1;
    c.nodes[0].flags = KAP_RF_RETURN_EXPECTED;
    cr_expect_not(kap_case_is_ping_pong(&c, 1));
    cr_expect(kap_case_is_return(&c, 1), "subcontracting counts it all the same");
}

Test(case, the_golden_example_of_the_metrics)
{
    static const struct {
        const char *from[3], *to[3];
        uint32_t n, chain, ping_pongs, subcontracts;
    } cases[] = {
        {{"A"}, {"B"}, 1, 1, 0, 0},
        {{"A", "B"}, {"B", "C"}, 2, 2, 0, 0},
        {{"A", "B", "A"}, {"B", "A", "B"}, 3, 3, 2, 2},
        {{"C"}, {"B"}, 1, 1, 0, 0},
    };
    static const char *const ids[] = {"1", "2", "3"};
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        kap_case_shape_t s;
        kap_case_init(&c);
        for (uint32_t i = 0; i < cases[k].n; i++) {
            put(ids[i], cases[k].from[i], cases[k].to[i], i ? ids[i - 1] : NULL,
                KAP_STATE_COMPLETED);
        }
        kap_case_shape(&c, &s);
        cr_expect_eq(s.chain, cases[k].chain);
        cr_expect_eq(s.ping_pongs, cases[k].ping_pongs);
        cr_expect_eq(s.subcontracts, cases[k].subcontracts);
        cr_expect(s.closed);
    }
}

Test(case, times_are_those_of_the_earliest_root_first_accept_and_last_end)
{
    kap_case_shape_t s;
    put_times("r1", NULL, 500, 4000, 9000);
    put_times("r2", NULL, 400, 3000, 7000);
    put_times("r3", "r1", 100, 3500, 9000);
    kap_case_shape(&c, &s);
    cr_expect_eq(s.started_at, 400, "r3 is no root");
    cr_expect_eq(s.first_accepted, 1);
    cr_expect_eq(s.first_accepted_at, 3000);
    cr_expect_eq(s.last, 2, "of the same instant the later one");
    cr_expect_eq(s.ended_at, 9000);
    put("r4", "x", "y", NULL, KAP_STATE_EXPIRED);
    kap_case_shape(&c, &s);
    cr_expect_not(s.closed, "expired is no end");
    cr_expect_eq(s.last, -1);
}

Test(case, a_row_comes_back_as_it_was)
{
    kap_buf_t row = {0}, again = {0};
    kap_case_t back;
    put("r1", "a", "b", NULL, KAP_STATE_REDIRECTED);
    put("r2", "b", "c", "r1", KAP_STATE_VOIDED);
    put("r3", "c", "d", "r2", KAP_STATE_REDIRECTED);
    put("r4", "d", "b", "r3", KAP_STATE_CREATED);
    kap_case_pack(&row, &c);
    cr_assert_eq(row.err, KAP_OK);
    cr_assert_eq(kap_case_unpack(kap_buf_span(&row), arena, &back), KAP_OK);
    cr_assert_eq(back.count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect(kap_span_eq(back.nodes[i].referral, c.nodes[i].referral));
        cr_expect_eq(back.nodes[i].parent, c.nodes[i].parent);
        cr_expect_eq(back.nodes[i].depth, c.nodes[i].depth);
        cr_expect_eq(back.nodes[i].loops, c.nodes[i].loops);
        cr_expect_eq(back.nodes[i].ended_at, c.nodes[i].ended_at);
    }
    kap_case_pack(&again, &back);
    cr_expect(kap_span_eq(kap_buf_span(&row), kap_buf_span(&again)));
    for (size_t cut = 0; cut < row.size; cut++) {
        cr_expect_neq(kap_case_unpack(kap_span(row.data, cut), arena, &back), KAP_OK);
    }
    row.data[0] = 99;
    cr_expect_eq(kap_case_unpack(kap_buf_span(&row), arena, &back), KAP_E_VERSION);
    kap_buf_fini(&row);
    kap_buf_fini(&again);
}
