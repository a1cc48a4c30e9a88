/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics that no sum of figures says: the golden example, and each by hand. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "meter.h"

static desk_t desk, *d = &desk;
static meter_t meter, *m = &meter;

static void start(void)
{
    desk_open(d, true);
}

static void stop(void)
{
    desk_audit(d);
    desk_close(d);
}

TestSuite(metric_special, .init = start, .fini = stop);

static void hand(const char *referral, const char *case_id, const char *from, const char *to,
                 const char *parent, bool expected)
{
    desk_created(d, from, referral, case_id, from, to, "mikkeli", parent);
    if (expected)
        kap_event_builder_set_bool(&d->builder, KAP_F_RETURN_EXPECTED, true);
    meter_send(d);
    desk_referral(d, to, KAP_EV_REFERRAL_DELIVERED, referral);
    meter_send(d);
}

static void complete(const char *who, const char *referral)
{
    desk_referral(d, who, KAP_EV_REFERRAL_ACCEPTED, referral);
    desk_referral(d, who, KAP_EV_REFERRAL_COMPLETED, referral);
    meter_send(d);
}

static void redirect(const char *who, const char *referral, const char *next, const char *case_id,
                     const char *to)
{
    desk_referral(d, who, KAP_EV_REFERRAL_REDIRECTED, referral);
    desk_span(d, KAP_F_NEXT, next);
    desk_group(d, next);
    desk_created(d, who, next, case_id, who, to, "mikkeli", referral);
    desk_group(d, next);
    meter_send(d);
    desk_referral(d, to, KAP_EV_REFERRAL_DELIVERED, next);
    meter_send(d);
}

/* metrics.md, "Golden example". */
static void play_golden(void)
{
    hand("1", "case1", "a", "b", NULL, false);
    complete("b", "1");
    hand("2a", "case2", "a", "b", NULL, false);
    redirect("b", "2a", "2b", "case2", "c");
    complete("c", "2b");
    hand("3a", "case3", "a", "b", NULL, false);
    redirect("b", "3a", "3b", "case3", "a");
    redirect("a", "3b", "3c", "case3", "b");
    complete("b", "3c");
    hand("4a", "case4", "a", "c", NULL, true);
    complete("c", "4a");
    hand("4b", "case4", "c", "a", "4a", false);
    complete("a", "4b");
    hand("5", "case5", "c", "b", NULL, false);
    desk_referral(d, "b", KAP_EV_REFERRAL_DECLINED, "5");
    meter_send(d);
}

static const kap_mp_t *ask(kap_metric_t metric)
{
    meter_begin(m, d, metric);
    return meter_ask(m);
}

/* --- the golden example --- */

Test(metric_special, golden_reciprocity_with_and_without_those_expected_back)
{
    play_golden();
    const kap_mp_t *values = ask(KAP_METRIC_RECIPROCITY);
    meter_rate(values, "rate_all", 6, 9);
    meter_rate(values, "rate", 4, 8);  /* A>C is out: AB 1 of 4, BC 1 of 1, twice each */
    meter_rate(values, "edges", 4, 5); /* AB, BA, BC, CB; the reverse of CA is out */
    cr_expect_eq(meter_length(values, "pairs"), 3);
    const kap_mp_t *ab = meter_item(values, "pairs", "from", "a", "to", "b");
    meter_count(ab, "there", 4);
    meter_count(ab, "back", 1);
    meter_word(ab, "from_name", "Toimija a");
    const kap_mp_t *ac = meter_item(values, "pairs", "from", "a", "to", "c");
    meter_count(ac, "there", 0);
    meter_count(ac, "back", 1);
    const kap_mp_t *bc = meter_item(values, "pairs", "from", "b", "to", "c");
    meter_count(bc, "there", 1);
    meter_count(bc, "back", 1);
}

Test(metric_special, golden_chains)
{
    play_golden();
    const kap_mp_t *values = ask(KAP_METRIC_CHAIN_LENGTH);
    const kap_mp_t *mean = kap_mp_get(values, "mean");
    meter_count(mean, "sum", 9); /* 1.8 */
    meter_count(mean, "n", 5);
    meter_count(values, "p50", 2);
    meter_count(values, "p90", 3);
    meter_count(values, "max", 3);
    meter_rate(values, "above_2", 1, 5);
    const kap_mp_t *lengths = kap_mp_get(values, "lengths");
    cr_assert_eq(lengths->count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        static const int cases[] = {2, 2, 1};
        meter_count(kap_mp_item(lengths, i), "length", i + 1);
        meter_count(kap_mp_item(lengths, i), "cases", cases[i]);
    }
    cr_expect_eq(m->values.n, 5);
}

Test(metric_special, golden_working_together_by_edge)
{
    static const struct {
        const char *x, *y;
        int both, cases, subcontracts;
    } golden[] = {{"a", "b", 3, 4, 1}, {"b", "a", 3, 4, 1}, {"a", "c", 2, 4, 1},
                  {"c", "a", 2, 3, 0}, {"b", "c", 2, 4, 0}, {"c", "b", 2, 3, 0}};

    play_golden();
    const kap_mp_t *all = ask(KAP_METRIC_WORKING_TOGETHER);
    cr_expect_eq(meter_length(all, "pairs"), 6);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        meter_begin(m, d, KAP_METRIC_WORKING_TOGETHER);
        meter_edge(m, golden[i].x, golden[i].y);
        const kap_mp_t *edge = meter_ask(m);
        const kap_mp_t *pair = meter_item(all, "pairs", "from", golden[i].x, "to", golden[i].y);
        cr_assert_not_null(pair);
        meter_rate(edge, "together", golden[i].both, golden[i].cases);
        meter_rate(pair, "together", golden[i].both, golden[i].cases);
        meter_count(edge, "subcontracts", golden[i].subcontracts);
        meter_count(pair, "subcontracts", golden[i].subcontracts);
    }
}

Test(metric_special, golden_concentration)
{
    play_golden();
    const kap_mp_t *values = ask(KAP_METRIC_CONCENTRATION);
    cr_expect_eq(meter_length(values, "members"), 3);
    const kap_mp_t *a = meter_item(values, "members", "member", "a", NULL, NULL);
    meter_count(a, "n", 5);
    meter_rate(a, "first1", 4, 5);
    meter_rate(a, "first3", 5, 5);
    meter_rate(a, "herfindahl", 17, 25);
    const kap_mp_t *c = meter_item(values, "members", "member", "c", NULL, NULL);
    meter_rate(c, "first1", 1, 2);
    meter_rate(c, "herfindahl", 2, 4);
}

/* --- meetings --- */

static void hold(const char *meeting, const char *region, const char *attendance)
{
    desk_event(d, "a", KAP_EV_MEETING_HELD, d->now);
    desk_span(d, KAP_F_MEETING, meeting);
    desk_span(d, KAP_F_REGION, region);
    desk_span(d, KAP_F_FORUM_KIND, "joint_visit");
    desk_list(d, KAP_F_ATTENDANCE, attendance);
    meter_send(d);
}

Test(metric_special, joint_meetings_of_a_pair_are_a_share_of_those_with_x)
{
    hand("1", "c1", "a", "b", NULL, false);
    hold("m1", "mikkeli", "a,b");
    hold("m2", "mikkeli", "a,c");
    hold("m3", "mikkeli", "b,c");
    desk_event(d, "a", KAP_EV_MEETING_PLANNED, d->now); /* not held yet */
    desk_span(d, KAP_F_MEETING, "m4");
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_int(d, KAP_F_STARTS_AT, d->now + KAP_DAY_MS);
    meter_send(d);
    meter_begin(m, d, KAP_METRIC_WORKING_TOGETHER);
    const kap_mp_t *pairs = meter_ask(m);
    meter_rate(meter_item(pairs, "pairs", "from", "a", "to", "b"), "meetings", 1, 2);
    meter_edge(m, "b", "a");
    meter_rate(meter_ask(m), "meetings", 1, 2);
    meter_edge(m, "c", "b");
    meter_rate(meter_ask(m), "meetings", 1, 2);
    meter_days(m, "2026-02-01", "2026-03-01");
    meter_rate(meter_ask(m), "meetings", 0, 0);
}

/* --- the table --- */

Test(metric_special, lists_and_what_is_of_this_moment_are_told_apart)
{
    cr_expect_not(kap_metric_is_list(KAP_METRIC_MATRIX, KAP_SPAN("share")));
    cr_expect_not(kap_metric_is_list(KAP_METRIC_TIME_TO_ACCEPT, KAP_SPAN("time")));
    cr_expect_not(kap_metric_is_list(KAP_METRIC_WORKING_TOGETHER, KAP_SPAN("together")));
    cr_expect_not(kap_metric_is_list(KAP_METRIC_ACCEPTANCE, KAP_SPAN("rate")));
    cr_expect(kap_metric_is_list(KAP_METRIC_SILENT_EDGES, KAP_SPAN("silent")));
    cr_expect(kap_metric_is_list(KAP_METRIC_TIME_TO_ACCEPT, KAP_SPAN("waiting")));
    cr_expect(kap_metric_is_list(KAP_METRIC_TARGETS, KAP_SPAN("open")));
}

/* --- each by hand --- */

Test(metric_special, concentration_takes_the_three_largest_of_many)
{
    static const struct {
        const char *to;
        int count;
    } handed[] = {{"b", 2}, {"c", 5}, {"d", 1}, {"e", 4}, {"f", 3}};
    char referral[16], case_id[16];
    int n = 0;

    for (size_t i = 0; i < sizeof handed / sizeof *handed; i++) {
        for (int k = 0; k < handed[i].count; k++) {
            snprintf(referral, sizeof referral, "r%d", n);
            snprintf(case_id, sizeof case_id, "c%d", n++);
            hand(referral, case_id, "g", handed[i].to, NULL, false);
        }
    }
    hand("other", "other", "b", "c", NULL, false);
    meter_begin(m, d, KAP_METRIC_CONCENTRATION);
    meter_member(m, "mikkeli", "g");
    const kap_mp_t *values = meter_ask(m);
    cr_expect_eq(meter_length(values, "members"), 1);
    const kap_mp_t *g = meter_item(values, "members", "member", "g", NULL, NULL);
    meter_rate(g, "first1", 5, 15);
    meter_rate(g, "first3", 12, 15);
    meter_rate(g, "herfindahl", 25 + 16 + 9 + 4 + 1, 225);
}

Test(metric_special, reciprocity_of_nothing_is_nothing)
{
    const kap_mp_t *values = ask(KAP_METRIC_RECIPROCITY);
    meter_rate(values, "rate", 0, 0);
    meter_rate(values, "edges", 0, 0);
    cr_expect_eq(meter_length(values, "pairs"), 0);
}

Test(metric_special, reciprocity_of_the_nation_adds_up_regions)
{
    desk_created(d, "f", "1", "c1", "f", "g", "mikkeli", NULL);
    meter_send(d);
    desk_created(d, "g", "2", "c2", "g", "f", "pieksamaki", NULL);
    meter_send(d);
    meter_rate(ask(KAP_METRIC_RECIPROCITY), "rate", 0, 1);
    meter_begin(m, d, KAP_METRIC_RECIPROCITY);
    meter_nation(m);
    meter_rate(meter_ask(m), "rate", 2, 2);
}

Test(metric_special, chains_of_broken_months_count_cases_by_their_beginning)
{
    hand("1", "c1", "a", "b", NULL, false); /* 5 January */
    d->now += 10 * KAP_DAY_MS;              /* the 15th */
    redirect("b", "1", "2", "c1", "c");
    hand("3", "c2", "a", "d", NULL, false);
    d->now += 20 * KAP_DAY_MS; /* 4 February */
    hand("4", "c3", "a", "c", NULL, false);
    hand("5", "c3", "c", "d", "4", false);
    hand("6", "c3", "d", "b", "5", false);
    meter_begin(m, d, KAP_METRIC_CHAIN_LENGTH);
    meter_days(m, "2026-01-05", "2026-01-06");
    const kap_mp_t *day = meter_ask(m);
    meter_count(kap_mp_get(day, "mean"), "n", 1);
    meter_count(day, "max", 2); /* its second referral is of another day */
    meter_days(m, "2026-01-06", "2026-02-04");
    const kap_mp_t *weeks = meter_ask(m);
    meter_count(kap_mp_get(weeks, "mean"), "n", 1);
    meter_count(weeks, "max", 1);
    meter_days(m, "2026-01-01", "2026-02-05"); /* a whole month and some days */
    const kap_mp_t *both = meter_ask(m);
    meter_count(kap_mp_get(both, "mean"), "n", 3);
    meter_count(kap_mp_get(both, "mean"), "sum", 6);
    meter_member(m, "mikkeli", "b"); /* c3 began between others */
    meter_days(m, "2026-02-03", "2026-02-05");
    meter_count(meter_ask(m), "max", 3);
    meter_member(m, "mikkeli", "e");
    meter_count(kap_mp_get(meter_ask(m), "mean"), "n", 0);
}
