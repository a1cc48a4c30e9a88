/* SPDX-License-Identifier: MPL-2.0 */
/* Sums of scopes: where they come from does not show, but for what a sketch loses. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "err.h"
#include "sum_inner.h"

enum { MANY = 1100, DAYS_APART = 3 };

static desk_t desk, *d = &desk;
static kap_txn_t *txn;
static kap_arena_t *arena;
static kap_summer_t *summer;
static int64_t begun;

static void open_desk(void)
{
    desk_open(d, true);
    begun = d->now;
    arena = kap_arena_new(4096);
}

static void close_desk(void)
{
    kap_summer_destroy(&summer);
    kap_txn_abort(&txn);
    kap_arena_destroy(&arena);
    desk_close(d);
}

TestSuite(sum, .init = open_desk, .fini = close_desk, .timeout = 120);

static void look(void)
{
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_summer_new(txn, arena, d->dir, &summer), KAP_OK);
}

/* Sends what was gathered; everything in it must be accepted. */
static void send_all(void)
{
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    for (uint32_t i = 0; i < d->last->results[0].count; i++)
        cr_assert_eq(desk_decided(d, i)->verdict, KAP_VERDICT_ACCEPTED, "%u: refusal %u", i,
                     desk_decided(d, i)->why.number);
}

/* Transfers a>b, ten every third day, the i-th of them taken after i minutes (i from 1): events say
 * when they happened, the log has them all at once at the end. */
static void take_many(int count)
{
    char id[16];

    d->now = begun + (count / 10 + 2) * DAYS_APART * KAP_DAY_MS;
    for (int i = 1; i <= count; i++) {
        int64_t now = d->now;
        snprintf(id, sizeof id, "t%d", i);
        d->now = begun + (i - 1) / 10 * DAYS_APART * KAP_DAY_MS;
        desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        d->now = now;
        send_all();
        d->now = begun + (i - 1) / 10 * DAYS_APART * KAP_DAY_MS;
        desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, id);
        d->now += i * KAP_MINUTE_MS;
        desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, id);
        d->now = now;
        send_all();
    }
}

static kap_sum_query_t all_of(kap_scope_kind_t kind)
{
    kap_sum_query_t q = {.scope = {.kind = kind}};

    if (kind != KAP_SCOPE_NATION)
        q.scope.region = KAP_SPAN("mikkeli");
    q.scope.member = KAP_SPAN("b");
    q.scope.from = KAP_SPAN("a");
    q.scope.to = KAP_SPAN("b");
    kap_window_days(&q.window, KAP_ZONE_HELSINKI, false, (kap_date_t){1, 1, 1}, false,
                    (kap_date_t){1, 1, 1});
    cr_assert_eq(kap_scope_find(txn, &q.scope), KAP_OK);
    return q;
}

static kap_sum_time_t time_of(const kap_sum_query_t *q)
{
    kap_sum_time_t t;

    cr_assert_eq(kap_sum_time(summer, q, KAP_FIGURE_TIME_ACCEPT, true, &t), KAP_OK);
    return t;
}

static void is_near(int64_t have, int64_t want, const char *what)
{
    cr_assert(llabs(have - want) <= want / 100 + 1, "%s: %lld, not %lld", what, (long long)have,
              (long long)want);
}

static const kap_scope_kind_t kinds[] = {KAP_SCOPE_REGION, KAP_SCOPE_NATION, KAP_SCOPE_MEMBER,
                                         KAP_SCOPE_EDGE};

Test(sum, durations_of_a_thousand_transfers_are_exact)
{
    take_many(KAP_EXACT_MAX);
    look();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        kap_sum_query_t q = all_of(kinds[i]);
        kap_sum_time_t t = time_of(&q);
        cr_assert(t.exact);
        cr_assert_eq(t.n, 1000);
        cr_assert_eq(t.p50_ms, 500 * KAP_MINUTE_MS);
        cr_assert_eq(t.p90_ms, 900 * KAP_MINUTE_MS);
        cr_assert_eq(t.p99_ms, 990 * KAP_MINUTE_MS);
        cr_assert_eq(t.max_ms, 1000 * KAP_MINUTE_MS);
        cr_assert_eq((int64_t)t.mean_ms, 1001 * KAP_MINUTE_MS / 2);
    }
}

Test(sum, durations_of_more_come_from_sketches_within_one_percent)
{
    take_many(MANY);
    look();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        kap_sum_query_t q = all_of(kinds[i]);
        kap_sum_time_t t = time_of(&q);
        cr_assert_not(t.exact);
        cr_assert_eq(t.n, MANY);
        is_near(t.p50_ms, 550 * KAP_MINUTE_MS, "p50");
        is_near(t.p90_ms, 990 * KAP_MINUTE_MS, "p90");
        is_near(t.p99_ms, 1089 * KAP_MINUTE_MS, "p99");
        is_near(t.max_ms, MANY * KAP_MINUTE_MS, "max");
        is_near((int64_t)t.mean_ms, (MANY + 1) * KAP_MINUTE_MS / 2, "mean");
        /* one value of a breakdown, all of them: the rows of it, or the cohort */
        q.breakdown = KAP_BREAKDOWN_SERVICE;
        q.value = KAP_SERVICE_STARTUP_ADVICE + 1;
        t = time_of(&q);
        cr_assert_eq(t.n, MANY);
        is_near(t.p50_ms, 550 * KAP_MINUTE_MS, "p50 of a service");
        q.value = KAP_SERVICE_TRAINING + 1;
        cr_assert_eq(time_of(&q).n, 0);
        cr_assert(time_of(&q).exact);
    }
}

/* Cases of one transfer each, handled i minutes after they began (elapsed). */
static void handle_many(int count)
{
    char id[16];

    d->now = begun + (count / 10 + 2) * DAYS_APART * KAP_DAY_MS;
    for (int i = 1; i <= count; i++) {
        int64_t now = d->now, at = begun + (i - 1) / 10 * DAYS_APART * KAP_DAY_MS;
        snprintf(id, sizeof id, "t%d", i);
        d->now = at;
        desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        d->now = now;
        send_all();
        d->now = at + i * KAP_MINUTE_MS;
        desk_referral(d, "b", KAP_EV_REFERRAL_COMPLETED, id);
        d->now = now;
        send_all();
    }
}

static kap_sum_time_t case_time_of(const kap_sum_query_t *q)
{
    kap_sum_time_t t;

    cr_assert_eq(kap_sum_time(summer, q, KAP_FIGURE_TIME_COMPLETE_CASE, true, &t), KAP_OK);
    return t;
}

static const kap_scope_kind_t kinds_of_cases[] = {KAP_SCOPE_REGION, KAP_SCOPE_NATION,
                                                  KAP_SCOPE_MEMBER};

Test(sum, durations_of_a_thousand_cases_are_exact)
{
    handle_many(KAP_EXACT_MAX);
    look();
    for (size_t i = 0; i < sizeof kinds_of_cases / sizeof kinds_of_cases[0]; i++) {
        kap_sum_query_t q = all_of(kinds_of_cases[i]);
        kap_sum_time_t t = case_time_of(&q);
        cr_assert(t.exact);
        cr_assert_eq(t.n, 1000);
        cr_assert_eq(t.p50_ms, 500 * KAP_MINUTE_MS);
        cr_assert_eq(t.p99_ms, 990 * KAP_MINUTE_MS);
        cr_assert_eq(t.max_ms, 1000 * KAP_MINUTE_MS);
        cr_assert_eq((int64_t)t.mean_ms, 1001 * KAP_MINUTE_MS / 2);
        q.breakdown = KAP_BREAKDOWN_SERVICE; /* cases are broken down by nothing */
        q.value = KAP_SERVICE_STARTUP_ADVICE + 1;
        cr_assert_eq(case_time_of(&q).n, 0);
    }
}

Test(sum, of_one_case_more_durations_come_from_sketches_and_of_a_part_of_them_exactly)
{
    handle_many(KAP_EXACT_MAX + 1);
    look();
    for (size_t i = 0; i < sizeof kinds_of_cases / sizeof kinds_of_cases[0]; i++) {
        kap_sum_query_t q = all_of(kinds_of_cases[i]);
        kap_sum_time_t t = case_time_of(&q);
        cr_assert_not(t.exact);
        cr_assert_eq(t.n, 1001);
        is_near(t.p50_ms, 501 * KAP_MINUTE_MS, "p50");
        is_near(t.max_ms, 1001 * KAP_MINUTE_MS, "max");
        q.window.to_ms = begun + 30 * KAP_DAY_MS + 1; /* the first eleven days */
        t = case_time_of(&q);
        cr_assert(t.exact);
        cr_assert_eq(t.n, 110);
        cr_assert_eq(t.p90_ms, 99 * KAP_MINUTE_MS);
        cr_assert_eq(t.max_ms, 110 * KAP_MINUTE_MS);
    }
}

/* The day on which the last of a thousand begins is cut: whole days alone would not tell. */
Test(sum, a_walk_that_meets_too_many_cases_gives_way_to_the_sketch)
{
    handle_many(KAP_EXACT_MAX + 1);
    look();
    kap_sum_query_t q = all_of(KAP_SCOPE_REGION);
    q.window.to_ms = begun + 100 * DAYS_APART * KAP_DAY_MS + 1;
    kap_sum_time_t t = case_time_of(&q);
    cr_assert_not(t.exact);
    cr_assert_eq(t.n, 1001);
}

/* Whole months from sketches and their ends from the cohort add up to the same. */
Test(sum, a_window_that_cuts_months_has_the_durations_of_its_days)
{
    kap_vector_t sum = {0};

    take_many(MANY);
    look();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        kap_sum_query_t q = all_of(kinds[i]);
        kap_window_days(&q.window, KAP_ZONE_HELSINKI, true, (kap_date_t){2026, 1, 8}, false,
                        (kap_date_t){1, 1, 1});
        kap_sum_time_t t = time_of(&q);
        cr_assert_eq(t.n, MANY - 10);
        is_near(t.p50_ms, 555 * KAP_MINUTE_MS, "p50");
        kap_window_days(&q.window, KAP_ZONE_HELSINKI, true, (kap_date_t){2026, 1, 5}, true,
                        (kap_date_t){2026, 1, 6});
        t = time_of(&q);
        cr_assert(t.exact);
        cr_assert_eq(t.n, 10);
        cr_assert_eq(t.p50_ms, 5 * KAP_MINUTE_MS);
        sum = (kap_vector_t){0};
        cr_assert_eq(kap_sum_counts(summer, &q, &sum), KAP_OK);
        cr_assert_eq(sum.counts[KAP_FIGURE_REFERRALS], 10);
        cr_assert_eq(sum.counts[KAP_FIGURE_ACCEPTED], 10);
    }
}

/* --- who is there --- */

static uint32_t met;

static int meet_edge(void *arg, uint32_t region, uint32_t from, uint32_t to)
{
    (void)arg;
    (void)region;
    (void)from;
    (void)to;
    met++;
    return KAP_OK;
}

static int meet_region(void *arg, uint32_t region)
{
    (void)arg;
    (void)region;
    met++;
    return KAP_OK;
}

static uint32_t edges_of(const kap_scope_t *scope)
{
    met = 0;
    cr_assert_eq(kap_sum_edges(summer, scope, meet_edge, NULL), KAP_OK);
    return met;
}

static uint32_t regions_of(const kap_scope_t *scope)
{
    met = 0;
    cr_assert_eq(kap_sum_regions(summer, scope, meet_region, NULL), KAP_OK);
    return met;
}

static void refer(const char *id, const char *from, const char *to, const char *region)
{
    desk_created(d, strcmp(region, "bench") == 0 ? "drv" : from, id, id, from, to, region, NULL);
    send_all();
}

Test(sum, each_edge_and_region_is_met_once_and_a_bench_is_not_of_the_nation)
{
    refer("1", "a", "b", "mikkeli");
    refer("2", "a", "b", "mikkeli");
    refer("3", "b", "a", "mikkeli");
    refer("4", "f", "g", "mikkeli");
    refer("5", "f", "g", "pieksamaki");
    refer("6", "x", "y", "bench");
    look();
    kap_sum_query_t region = all_of(KAP_SCOPE_REGION), nation = all_of(KAP_SCOPE_NATION);
    kap_sum_query_t member = all_of(KAP_SCOPE_MEMBER), edge = all_of(KAP_SCOPE_EDGE);
    kap_scope_t area = {.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("etela-savo")};
    kap_scope_t f = {.kind = KAP_SCOPE_MEMBER, .member = KAP_SPAN("f")};
    kap_scope_t organisation = {.kind = KAP_SCOPE_ORGANISATION,
                                .organisation = KAP_SPAN("1234651-9")};
    kap_scope_t nobody = {.kind = KAP_SCOPE_MEMBER, .member = KAP_SPAN("nobody")};
    kap_vector_t sum = {0};

    cr_assert_eq(kap_scope_find(txn, &area), KAP_OK);
    cr_assert_eq(kap_scope_find(txn, &f), KAP_OK);
    cr_expect_eq(edges_of(&region.scope), 3);
    cr_expect_eq(edges_of(&nation.scope), 4);
    cr_expect_eq(edges_of(&area), 4);
    cr_expect_eq(edges_of(&member.scope), 2);
    cr_expect_eq(edges_of(&edge.scope), 1);
    cr_expect_eq(edges_of(&f), 2);
    cr_expect_eq(edges_of(&organisation), 2);
    cr_expect_eq(edges_of(&nobody), 0);
    cr_expect_eq(regions_of(&nation.scope), 2);
    cr_expect_eq(regions_of(&area), 2);
    cr_expect_eq(regions_of(&f), 3, "all of the mesh");
    cr_assert_eq(kap_sum_counts(summer, &nation, &sum), KAP_OK);
    cr_expect_eq(sum.counts[KAP_FIGURE_REFERRALS], 5);
}

Test(sum, months_are_the_first_and_the_last_in_which_anything_counts)
{
    int32_t first, last;

    refer("1", "a", "b", "mikkeli");
    d->now = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2026, 11, 1});
    refer("2", "a", "b", "mikkeli");
    look();
    kap_sum_query_t q = all_of(KAP_SCOPE_EDGE);
    cr_assert_eq(kap_sum_months(summer, &q, &first, &last), KAP_OK);
    cr_expect_eq(first, 2026 * 12);
    cr_expect_eq(last, 2026 * 12 + 10);
    kap_window_days(&q.window, KAP_ZONE_HELSINKI, true, (kap_date_t){2026, 2, 1}, true,
                    (kap_date_t){2026, 10, 31});
    cr_assert_eq(kap_sum_months(summer, &q, &first, &last), KAP_OK);
    cr_expect(first > last || (first >= 2026 * 12 + 1 && last <= 2026 * 12 + 9), "%d to %d", first,
              last);
    kap_sum_query_t other = all_of(KAP_SCOPE_EDGE);
    other.scope.b = other.scope.a;
    cr_assert_eq(kap_sum_months(summer, &other, &first, &last), KAP_OK);
    cr_expect_gt(first, last);
}
