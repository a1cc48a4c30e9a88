/* SPDX-License-Identifier: MPL-2.0 */
/* Questions to the figures: each metric's numbers by hand, windows, rows, pages, refusals. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "err.h"
#include "frame.h"
#include "metric_tell.h"
#include "question.h"

static desk_t desk, *d = &desk;

static void start(void)
{
    desk_open(d, true);
}

static void stop(void)
{
    desk_audit(d);
    desk_close(d);
}

TestSuite(metric, .init = start, .fini = stop, .timeout = 60);

/* --- short words for histories --- */

/* Sends what was gathered; everything in it must be accepted. */
static void send_all(void)
{
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    for (uint32_t i = 0; i < d->last->results[0].count; i++)
        cr_assert_eq(desk_decided(d, i)->verdict, KAP_VERDICT_ACCEPTED, "%u: refusal %u", i,
                     desk_decided(d, i)->why.number);
}

static void tell(const char *who, kap_event_type_t type, const char *referral)
{
    desk_referral(d, who, type, referral);
    send_all();
}

static void create(const char *referral, const char *case_id, const char *from, const char *to,
                   const char *region, const char *parent)
{
    desk_created(d, from, referral, case_id, from, to, region, parent);
    send_all();
}

static void hand(const char *referral, const char *case_id, const char *from, const char *to,
                 const char *parent)
{
    create(referral, case_id, from, to, "mikkeli", parent);
    tell(to, KAP_EV_REFERRAL_DELIVERED, referral);
}

static void complete(const char *who, const char *referral)
{
    tell(who, KAP_EV_REFERRAL_ACCEPTED, referral);
    tell(who, KAP_EV_REFERRAL_COMPLETED, referral);
}

static void redirect(const char *who, const char *referral, const char *next, const char *case_id,
                     const char *to)
{
    desk_referral(d, who, KAP_EV_REFERRAL_REDIRECTED, referral);
    desk_span(d, KAP_F_NEXT, next);
    desk_group(d, next);
    desk_created(d, who, next, case_id, who, to, "mikkeli", referral);
    desk_group(d, next);
    send_all();
    tell(to, KAP_EV_REFERRAL_DELIVERED, next);
}

/* metrics.md, "Golden example". */
static void play_golden(void)
{
    hand("1", "case1", "a", "b", NULL);
    complete("b", "1");
    hand("2a", "case2", "a", "b", NULL);
    redirect("b", "2a", "2b", "case2", "c");
    complete("c", "2b");
    hand("3a", "case3", "a", "b", NULL);
    redirect("b", "3a", "3b", "case3", "a");
    redirect("a", "3b", "3c", "case3", "b");
    complete("b", "3c");
    desk_created(d, "a", "4a", "case4", "a", "c", "mikkeli", NULL);
    kap_event_builder_set_bool(&d->builder, KAP_F_RETURN_EXPECTED, true);
    send_all();
    tell("c", KAP_EV_REFERRAL_DELIVERED, "4a");
    complete("c", "4a");
    hand("4b", "case4", "c", "a", "4a");
    complete("a", "4b");
    hand("5", "case5", "c", "b", NULL);
    tell("b", KAP_EV_REFERRAL_DECLINED, "5");
}

static void is_at(const kap_mp_t *answer, const char *row, const char *path, int64_t number,
                  int line)
{
    const kap_mp_t *map = row == NULL ? answer : question_row(answer, row);

    cr_assert_not_null(map, "line %d: no row %s", line, row);
    cr_assert_eq(question_number(map, path), number, "line %d: %s %s is %lld, not %lld", line,
                 row == NULL ? "all" : row, path, (long long)question_number(map, path),
                 (long long)number);
}
#define IS(answer, row, path, number) is_at(answer, row, path, number, __LINE__)

/* --- the golden example --- */

Test(metric, the_golden_example_s_matrix)
{
    play_golden();
    const kap_mp_t *all = question(d, "metric=matrix region=mikkeli by=edge");
    static const struct {
        const char *edge;
        int64_t n;
    } h[] = {{"a>b", 4}, {"a>c", 1}, {"b>a", 1}, {"b>c", 1}, {"c>a", 1}, {"c>b", 1}};

    cr_assert_eq(question_rows(all), 6);
    for (size_t i = 0; i < 6; i++) {
        IS(all, h[i].edge, "n", h[i].n);
        IS(all, h[i].edge, "values.transfers", h[i].n);
        IS(all, h[i].edge, "values.share.num", h[i].n);
        IS(all, h[i].edge, "values.share.den", 9);
    }
    IS(all, NULL, "n", 9);
    IS(all, NULL, "decided", 9);
    IS(all, NULL, "values.transfers", 9);
    IS(all, NULL, "as_of_seq", (int64_t)kap_engine_head(d->engine)->seq);
    IS(all, NULL, "as_of_time", d->now);
}

Test(metric, the_golden_example_s_rates)
{
    play_golden();
    const kap_mp_t *all = question(d, "metric=acceptance region=mikkeli by=edge");
    IS(all, "a>b", "values.rate.num", 2);
    IS(all, "a>b", "values.rate.den", 4);
    IS(all, NULL, "values.rate.num", 5);
    IS(all, NULL, "values.rate.den", 9);
}

Test(metric, the_golden_example_s_paths)
{
    play_golden();
    const kap_mp_t *all = question(d, "metric=ping-pong region=mikkeli by=edge");
    IS(all, NULL, "n", 5);
    IS(all, NULL, "decided", 5);
    IS(all, NULL, "values.rate.num", 1);
    IS(all, NULL, "values.rate.den", 5);
    IS(all, NULL, "values.ping_pongs", 2);
    IS(all, NULL, "values.loops", 0);
    IS(all, NULL, "values.cost.n", 3);
    IS(all, "b>a", "values.ping_pongs", 1);
    IS(all, "a>b", "values.ping_pongs", 1);
    IS(all, "c>a", "values.ping_pongs", 0);
    all = question(d, "metric=working-together region=mikkeli by=edge");
    IS(all, NULL, "values.returns", 3);
    IS(all, "b>a", "values.returns", 1);
    IS(all, "c>a", "values.returns", 1);
    IS(all, "a>b", "values.subcontracts", 1);
    IS(all, "b>a", "values.subcontracts", 1);
    IS(all, "a>c", "values.subcontracts", 1);
    IS(all, "a>b", "values.together.num", 3);
    IS(all, "a>b", "values.together.den", 4);
    IS(all, "c>a", "values.together.num", 2);
    IS(all, "c>a", "values.together.den", 3);
    all = question(d, "metric=served region=mikkeli by=member");
    IS(all, NULL, "values.rate.num", 4);
    IS(all, NULL, "values.rate.den", 5);
    IS(all, NULL, "values.cases", 5);
    IS(all, "a", "values.cases", 4);
    IS(all, "b", "values.cases", 4);
    IS(all, "c", "values.cases", 3);
    IS(all, "c", "values.rate.num", 2);
    all = question(d, "metric=loop-closed region=mikkeli by=edge");
    IS(all, NULL, "values.rate.num", 0);
    IS(all, NULL, "values.rate.den", 6);
    IS(all, "a>b", "values.rate.den", 2);
    IS(all, NULL, "values.case_rate.den", 5);
}

/* --- each row of the table, by hand --- */

/* Monday 2026-01-05, 12:00 and so many hours. */
static void later(int64_t hours)
{
    d->now += hours * KAP_HOUR_MS;
}

/* t1 a>b taken after 2 h, reached 3 h after it came, done 5 h after it was taken; t2 a>b declined
 * after an hour; t3 a>b withdrawn undelivered; t4 b>c delivered and waiting; t5 c>b taken by doing
 * (contacted), then declined: all of Monday to Wednesday. */
static void play_five(void)
{
    hand("t1", "c1", "a", "b", NULL);
    later(1);
    desk_created(d, "a", "t2", "c2", "a", "b", "mikkeli", NULL);
    send_all();
    tell("b", KAP_EV_REFERRAL_DELIVERED, "t2");
    later(1); /* 14:00 */
    tell("b", KAP_EV_REFERRAL_ACCEPTED, "t1");
    tell("b", KAP_EV_REFERRAL_DECLINED, "t2");
    create("t3", "c3", "a", "b", "mikkeli", NULL);
    tell("a", KAP_EV_REFERRAL_WITHDRAWN, "t3");
    desk_referral(d, "b", KAP_EV_REFERRAL_CONTACTED, "t1");
    kap_event_builder_set_code(&d->builder, KAP_F_CONTACT, KAP_CONTACT_NO_ANSWER);
    send_all();
    later(1); /* 15:00 */
    tell("b", KAP_EV_REFERRAL_CONTACTED, "t1");
    later(20); /* Tuesday 11:00: 4 working hours after it was taken, 21 in all */
    desk_referral(d, "b", KAP_EV_REFERRAL_COMPLETED, "t1");
    kap_event_builder_set_codes(&d->builder, KAP_F_RESULTS,
                                1 << KAP_RESULT_COMPANY_FOUNDED | 1 << KAP_RESULT_RECRUITED);
    kap_event_builder_set_code(&d->builder, KAP_F_DETAIL, KAP_DETAIL_UNKNOWN);
    send_all();
    tell("a", KAP_EV_REFERRAL_ANSWER_RECEIVED, "t1");
    hand("t4", "c4", "b", "c", NULL);
    hand("t5", "c5", "c", "b", NULL);
    tell("b", KAP_EV_REFERRAL_CONTACTED, "t5");
    tell("b", KAP_EV_REFERRAL_DECLINED, "t5");
}

Test(metric, the_matrix_counts_transfers_by_edge)
{
    play_five();
    const kap_mp_t *all = question(d, "metric=matrix region=mikkeli by=edge");
    IS(all, NULL, "n", 5);
    IS(all, NULL, "pending", 1);
    IS(all, NULL, "decided", 4);
    IS(all, NULL, "values.undelivered", 0);
    IS(all, "a>b", "n", 3);
    IS(all, "a>b", "values.share.num", 3);
    IS(all, "a>b", "values.share.den", 5);
    IS(all, "b>c", "pending", 1);
    IS(all, "c>b", "n", 1);
    all = question(d, "metric=matrix region=mikkeli by=member");
    IS(all, "a", "n", 3);
    IS(all, "b", "n", 1);
    IS(all, "c", "n", 1);
}

Test(metric, acceptance_is_of_those_decided_or_overdue)
{
    play_five();
    const kap_mp_t *all = question(d, "metric=acceptance region=mikkeli by=member");
    IS(all, NULL, "values.rate.num", 2);
    IS(all, NULL, "values.rate.den", 3);
    IS(all, NULL, "values.strict.den", 5);
    IS(all, NULL, "values.accepted", 2);
    IS(all, NULL, "values.turned_down", 1);
    IS(all, NULL, "values.overdue", 0);
    IS(all, NULL, "values.backed_out", 1);
    IS(all, NULL, "values.withdrawn_early", 1);
    IS(all, "b", "n", 4);
    IS(all, "b", "values.rate.num", 2);
    IS(all, "b", "values.rate.den", 3);
    IS(all, "c", "n", 1);
    cr_assert_null(question_row(all, "a"), "nobody hands anything to a");
    /* past its deadline t4 is overdue, and counts as not accepted */
    d->now += 30 * KAP_DAY_MS;
    desk_expire(d);
    all = question(d, "metric=acceptance region=mikkeli by=member");
    IS(all, NULL, "values.overdue", 1);
    IS(all, NULL, "values.rate.den", 4);
    IS(all, "c", "values.rate.num", 0);
    IS(all, "c", "values.rate.den", 1);
}

Test(metric, times_are_told_in_working_and_elapsed_time)
{
    play_five();
    const kap_mp_t *all = question(d, "metric=time-to-accept region=mikkeli by=edge");
    IS(all, NULL, "values.time.n", 1);
    IS(all, NULL, "values.time.p50_ms", 2 * KAP_HOUR_MS);
    IS(all, NULL, "values.time.exact", 1);
    IS(all, NULL, "values.implied", 1);
    IS(all, "b>c", "values.time.n", 0);
    IS(all, "b>c", "values.time.p50_ms", -1);
    all = question(d, "metric=time-to-contact region=mikkeli by=member");
    IS(all, NULL, "values.time.n", 2);
    IS(all, NULL, "values.time.p50_ms", 0);
    IS(all, NULL, "values.time.max_ms", 3 * KAP_HOUR_MS);
    IS(all, NULL, "values.time.mean_ms", 3 * KAP_HOUR_MS / 2);
    IS(all, NULL, "values.contacted", 2);
    IS(all, NULL, "values.attempts", 3);
    IS(all, "b", "values.time.n", 2);
    all = question(d, "metric=time-to-complete region=mikkeli");
    IS(all, NULL, "values.time.n", 1);
    IS(all, NULL, "values.time.p50_ms", 2 * KAP_HOUR_MS); /* Epiphany is off */
    IS(all, NULL, "values.case_time.n", 4);
    IS(all, NULL, "values.case_time.p50_ms", 0);
    IS(all, NULL, "values.case_time.exact", 1);
    IS(all, NULL, "values.case_time.max_ms", 4 * KAP_HOUR_MS);
    IS(all, NULL, "values.case_time.mean_ms", 5 * KAP_HOUR_MS / 4);
    all = question(d, "metric=time-to-complete region=mikkeli time=elapsed");
    IS(all, NULL, "values.time.p50_ms", 21 * KAP_HOUR_MS);
}

Test(metric, what_became_of_referrals_and_cases)
{
    play_five();
    const kap_mp_t *all = question(d, "metric=loop-closed region=mikkeli by=member");
    IS(all, NULL, "values.rate.num", 1);
    IS(all, NULL, "values.rate.den", 4);
    IS(all, NULL, "values.case_rate.num", 1);
    IS(all, NULL, "values.case_rate.den", 4);
    IS(all, "a", "values.rate.num", 1);
    IS(all, "a", "values.rate.den", 2);
    IS(all, "c", "values.rate.num", 0);
    all = question(d, "metric=served region=mikkeli by=member");
    IS(all, NULL, "n", 5);
    IS(all, NULL, "decided", 4);
    IS(all, NULL, "values.rate.num", 1);
    IS(all, NULL, "values.rate.den", 4);
    IS(all, NULL, "values.cases", 5);
    IS(all, NULL, "values.company_founded", 1);
    IS(all, NULL, "values.recruited", 1);
    IS(all, NULL, "values.exported", 0);
    IS(all, "c", "values.cases", 2);
    IS(all, "b", "values.company_founded", 1);
    all = question(d, "metric=chain-length region=mikkeli");
    IS(all, NULL, "n", 5);
    all = question(d, "metric=targets region=mikkeli by=edge");
    IS(all, NULL, "values.answered.num", 3);
    IS(all, NULL, "values.answered.den", 3);
    IS(all, NULL, "values.contacted.num", 2);
    IS(all, NULL, "values.contacted.den", 2);
    IS(all, "c>b", "values.answered.num", 1);
}

Test(metric, data_quality_tells_of_refused_events_too)
{
    play_five();
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "t3");
    cr_assert_gt(desk_said(d), 0);
    desk_referral(d, "d", KAP_EV_REFERRAL_ACCEPTED, "t4");
    cr_assert_gt(desk_said(d), 0);
    const kap_mp_t *all = question(d, "metric=data-quality region=mikkeli by=member");
    IS(all, NULL, "values.implied", 1);
    IS(all, NULL, "values.unknown_outcome", 1);
    IS(all, NULL, "values.clamped", 0);
    IS(all, NULL, "values.reported_late", 0);
    IS(all, NULL, "values.refused", 2);
    IS(all, "b", "values.implied", 1);
    IS(all, "b", "values.refused", 1);
    IS(all, "d", "values.refused", 1);
    IS(all, "d", "n", 0);
    IS(question_as(d, "op", "metric=data-quality nation=true").root, NULL, "values.refused", 2);
    IS(question_as(d, "op", "metric=data-quality area=etela-savo").root, NULL, "values.refused", 2);
    IS(question(d, "metric=data-quality member=b"), NULL, "values.refused", 1);
    IS(question(d, "metric=data-quality organisation=1234574-3"), NULL, "values.refused", 1);
}

/* --- windows --- */

static int64_t local(int year, int month, int day, int hour)
{
    return kap_local_ms(KAP_ZONE_HELSINKI, (kap_date_t){(int16_t)year, (int8_t)month, (int8_t)day},
                        hour * (int32_t)KAP_HOUR_MS);
}

static int made;

/* So many transfers a>b, created at that time. */
static void create_at(int64_t at, int count, const char *region)
{
    char id[16];

    d->now = at;
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "w%d", ++made);
        create(id, id, "f", "g", region, NULL);
    }
}

/* As f, who is a reader of both regions. */
static const kap_mp_t *by_f(const char *words)
{
    question_t answer = question_as(d, "f", words);

    cr_assert_eq(answer.refusal, 0, "%s: %s", words, answer.why);
    return answer.root;
}

static int64_t n_of(const char *words)
{
    return question_number(by_f(words), "n");
}

/* Powers of two, so that each sum says what is in it. */
static void play_year(void)
{
    create_at(local(2026, 1, 31, 24) - 1, 1, "mikkeli");
    create_at(local(2026, 2, 1, 0), 2, "mikkeli");
    create_at(local(2026, 3, 29, 0), 4, "mikkeli");     /* a day of 23 hours */
    create_at(local(2026, 3, 30, 0) - 1, 8, "mikkeli"); /* its last instant */
    create_at(local(2026, 10, 25, 0), 16, "mikkeli");   /* a day of 25 hours */
    create_at(local(2026, 10, 26, 0) - 1, 32, "mikkeli");
    create_at(local(2027, 1, 1, 0) - 1, 64, "mikkeli");
    create_at(local(2027, 1, 1, 0), 128, "mikkeli");
}

Test(metric, windows_end_where_months_days_and_years_do)
{
    play_year();
    cr_expect_eq(n_of("metric=matrix region=mikkeli"), 255);
    cr_expect_eq(n_of("metric=matrix region=mikkeli month=2026-01"), 1);
    cr_expect_eq(n_of("metric=matrix region=mikkeli month=2026-02"), 2);
    cr_expect_eq(n_of("metric=matrix region=mikkeli month=2026-03"), 12);
    cr_expect_eq(n_of("metric=matrix region=mikkeli year=2026"), 127);
    cr_expect_eq(n_of("metric=matrix region=mikkeli year=2027"), 128);
    cr_expect_eq(n_of("metric=matrix region=mikkeli year=2025"), 0);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-03-29 to=2026-03-30"), 12);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-03-30 to=2026-10-25"), 0);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-10-25 to=2026-10-26"), 48);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-01-31 to=2026-02-02"), 3);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-02-01"), 254);
    cr_expect_eq(n_of("metric=matrix region=mikkeli to=2026-10-25"), 15);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-01-31 to=2027-01-02"), 255);
    cr_expect_eq(n_of("metric=matrix region=mikkeli from=2026-02-02 to=2027-01-01"), 124);
}

/* The same by the rows of an edge, of a member, of a value, of the mesh, and with the cohort. */
Test(metric, every_scope_has_the_same_windows)
{
    static const char *const scopes[] = {
        "region=mikkeli edge=f>g",        "edge=f>g",
        "region=mikkeli member=f",        "member=f",
        "organisation=1234651-9",         "region=mikkeli where.service=startup-advice",
        "member=f where.segment=unknown", "edge=f>g where.warm=false"};
    static const struct {
        const char *window;
        int64_t n;
    } windows[] = {{"", 255},
                   {"month=2026-03", 12},
                   {"year=2026", 127},
                   {"from=2026-03-29 to=2026-03-30", 12},
                   {"from=2026-01-31 to=2026-02-02", 3},
                   {"from=2026-02-01", 254},
                   {"to=2026-10-25", 15},
                   {"from=2026-01-31 to=2027-01-02", 255},
                   {"from=2026-02-02 to=2027-01-01", 124}};
    char words[160];

    play_year();
    for (size_t s = 0; s < sizeof scopes / sizeof scopes[0]; s++) {
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
            snprintf(words, sizeof words, "metric=matrix %s %s", scopes[s], windows[w].window);
            cr_expect_eq(n_of(words), windows[w].n, "%s: %lld", words, (long long)n_of(words));
        }
    }
    cr_expect_eq(n_of("metric=acceptance member=f"), 0, "it gets nothing");
    cr_expect_eq(n_of("metric=acceptance member=g year=2026"), 127);
    cr_expect_eq(
        question_number(question_as(d, "op", "metric=matrix nation=true year=2026").root, "n"),
        127);
}

Test(metric, days_of_the_other_zone_come_from_the_cohort)
{
    create_at(local(2026, 2, 1, 0), 1, "mikkeli"); /* 22:00 UTC of January */
    create_at(local(2026, 2, 1, 2), 2, "mikkeli");
    create_at(local(2026, 7, 1, 0), 4, "mikkeli"); /* 21:00 UTC of June */
    cr_expect_eq(n_of("metric=matrix region=mikkeli month=2026-01 zone=UTC"), 1);
    cr_expect_eq(n_of("metric=matrix region=mikkeli month=2026-02 zone=UTC"), 2);
    cr_expect_eq(n_of("metric=matrix region=mikkeli month=2026-06 zone=UTC"), 4);
    cr_expect_eq(n_of("metric=matrix region=mikkeli year=2026 zone=UTC"), 7);
    const kap_mp_t *all = question(d, "metric=matrix region=mikkeli by=month zone=UTC");
    cr_expect_eq(question_rows(all), 3);
    IS(all, "2026-01", "n", 1);
    IS(all, "2026-02", "n", 2);
    IS(all, "2026-06", "n", 4);
}

Test(metric, months_are_rows_cut_by_the_window)
{
    play_year();
    const kap_mp_t *all = question(d, "metric=matrix region=mikkeli by=month");
    cr_expect_eq(question_rows(all), 6);
    IS(all, "2026-01", "n", 1);
    IS(all, "2026-02", "n", 2);
    IS(all, "2026-03", "n", 12);
    IS(all, "2026-10", "n", 48);
    IS(all, "2026-12", "n", 64);
    IS(all, "2027-01", "n", 128);
    IS(all, "2027-01", "values.share.den", 255);
    all = by_f("metric=matrix edge=f>g from=2026-03-30 to=2026-10-26 by=month");
    cr_expect_eq(question_rows(all), 1);
    IS(all, "2026-10", "n", 48);
}

/* --- kinds --- */

Test(metric, flows_are_what_happened_and_stocks_what_was_open)
{
    d->now = local(2026, 1, 31, 12);
    hand("k1", "k1", "a", "b", NULL);
    hand("k2", "k2", "a", "b", NULL);
    hand("k3", "k3", "a", "b", NULL);
    d->now = local(2026, 2, 3, 12);
    complete("b", "k1");
    tell("b", KAP_EV_REFERRAL_DECLINED, "k2");
    hand("k4", "k4", "b", "c", NULL);
    d->now = local(2026, 3, 4, 12);
    tell("a", KAP_EV_REFERRAL_WITHDRAWN, "k3");
    tell("c", KAP_EV_REFERRAL_ACCEPTED, "k4");
    tell("c", KAP_EV_REFERRAL_CONTACTED, "k4");
    const kap_mp_t *all = question(d, "metric=matrix kind=flow region=mikkeli by=month");
    IS(all, NULL, "values.transfers", 4);
    IS(all, NULL, "values.delivered", 4);
    IS(all, NULL, "values.accepted", 2);
    IS(all, "2026-01", "values.transfers", 3);
    IS(all, "2026-01", "values.delivered", 3);
    IS(all, "2026-01", "values.completed", 0);
    IS(all, "2026-02", "values.transfers", 1);
    IS(all, "2026-02", "values.accepted", 1);
    IS(all, "2026-02", "values.completed", 1);
    IS(all, "2026-02", "values.turned_away", 1);
    IS(all, "2026-03", "values.transfers", 0);
    IS(all, "2026-03", "values.accepted", 1);
    IS(all, "2026-03", "values.contacted", 1);
    IS(all, "2026-03", "values.withdrawn", 1);
    cr_assert_null(question_row(all, "2026-04"));
    all = question(d, "metric=matrix kind=flow region=mikkeli month=2026-03 by=edge");
    cr_expect_eq(question_rows(all), 2);
    IS(all, "b>c", "values.accepted", 1);
    IS(all, "a>b", "values.withdrawn", 1);
    all = question(d, "metric=matrix kind=stock region=mikkeli to=2026-02-03");
    IS(all, NULL, "n", 3);
    IS(all, NULL, "values.open", 3);
    all = question(d, "metric=matrix kind=stock region=mikkeli month=2026-02 by=edge");
    IS(all, NULL, "n", 4);
    IS(all, NULL, "values.open", 2);
    IS(all, NULL, "pending", 2);
    IS(all, NULL, "decided", 2);
    IS(all, "a>b", "values.open", 1);
    IS(all, "b>c", "values.open", 1);
    all = question(d, "metric=matrix kind=stock region=mikkeli by=month");
    IS(all, "2026-01", "values.open", 3);
    IS(all, "2026-02", "values.open", 2);
    IS(all, "2026-03", "values.open", 1);
}

/* --- rows --- */

static void create_by(const char *id, kap_code_SERVICE_t service, kap_code_SEGMENT_t segment,
                      int warm, int origin)
{
    desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
    desk_code(d, KAP_F_SERVICE, service);
    desk_code(d, KAP_F_SEGMENT, segment);
    if (warm >= 0)
        kap_event_builder_set_bool(&d->builder, KAP_F_WARM, warm);
    if (origin >= 0)
        desk_code(d, KAP_F_ORIGIN, origin);
    send_all();
    tell("b", KAP_EV_REFERRAL_DELIVERED, id);
}

static void play_values(void)
{
    create_by("v1", KAP_SERVICE_TRAINING, KAP_SEGMENT_FOUNDER, true, KAP_ORIGIN_WEB);
    create_by("v2", KAP_SERVICE_TRAINING, KAP_SEGMENT_LARGE, false, KAP_ORIGIN_MEETING);
    create_by("v3", KAP_SERVICE_EXPORT, KAP_SEGMENT_FOUNDER, -1, -1);
    tell("b", KAP_EV_REFERRAL_ACCEPTED, "v1");
    tell("b", KAP_EV_REFERRAL_DECLINED, "v3");
}

Test(metric, rows_are_by_service_segment_warmth_and_origin)
{
    play_values();
    const kap_mp_t *all = question(d, "metric=acceptance region=mikkeli by=service");
    cr_expect_eq(question_rows(all), 2);
    IS(all, "training", "n", 2);
    IS(all, "training", "values.rate.num", 1);
    IS(all, "training", "values.rate.den", 1);
    IS(all, "export", "values.rate.den", 1);
    all = question(d, "metric=acceptance member=b by=segment");
    IS(all, "founder", "n", 2);
    IS(all, "founder", "values.rate.num", 1);
    IS(all, "founder", "values.rate.den", 2);
    IS(all, "large", "n", 1);
    all = question(d, "metric=acceptance edge=a>b by=warm");
    IS(all, "true", "n", 1);
    IS(all, "false", "n", 2);
    all = question(d, "metric=acceptance region=mikkeli by=origin");
    IS(all, "web", "n", 1);
    IS(all, "meeting", "n", 1);
    IS(all, "none", "n", 1);
    all = question(d, "metric=acceptance region=mikkeli where.service=training by=edge");
    IS(all, NULL, "n", 2);
    IS(all, "a>b", "n", 2);
    all = question(d, "metric=time-to-accept region=mikkeli by=service");
    IS(all, "training", "values.time.n", 1);
    IS(all, "export", "values.time.n", 0);
    /* days: from the cohort */
    all = question(d, "metric=acceptance region=mikkeli from=2026-01-05 to=2026-01-06 by=segment");
    IS(all, "founder", "n", 2);
    all = question(d, "metric=acceptance region=mikkeli from=2026-01-06 to=2026-01-07 by=segment");
    cr_expect_eq(question_rows(all), 0);
}

Test(metric, two_breakdowns_at_once_come_from_the_cohort_of_a_month)
{
    play_values();
    const kap_mp_t *all = question(
        d, "metric=acceptance region=mikkeli month=2026-01 by=segment where.service=training");
    IS(all, NULL, "n", 2);
    IS(all, "founder", "n", 1);
    IS(all, "founder", "values.rate.num", 1);
    IS(all, "large", "n", 1);
    IS(all, "large", "values.rate.den", 0);
    cr_expect_eq(question_rows(all), 2);
    cr_expect_str_eq(
        question_refused(d, "metric=acceptance region=mikkeli from=2026-01-01 to=2026-02-02 "
                            "by=segment where.service=training"),
        "two breakdowns at once are answered for at most 31 days: shorten the window, or leave by "
        "or where out");
}

Test(metric, what_spans_regions_says_the_region_of_each_row)
{
    create_at(d->now, 3, "mikkeli");
    create_at(d->now, 2, "pieksamaki");
    question_t asked = question_as(d, "op", "metric=matrix area=etela-savo by=region");
    cr_assert_eq(asked.refusal, 0, "%s", asked.why);
    IS(asked.root, NULL, "n", 5);
    IS(asked.root, "mikkeli", "n", 3);
    IS(asked.root, "pieksamaki", "n", 2);
    const kap_mp_t *all = question_as(d, "g", "metric=matrix nation=true by=edge").root;
    IS(all, "mikkeli/f>g", "n", 3);
    IS(all, "pieksamaki/f>g", "n", 2);
    all = question_as(d, "f", "metric=matrix member=f by=edge").root;
    IS(all, "mikkeli/f>g", "n", 3);
    IS(all, "pieksamaki/f>g", "n", 2);
    all = question_as(d, "f", "metric=matrix member=f by=region").root;
    IS(all, NULL, "n", 5);
    IS(all, "pieksamaki", "n", 2);
    all = question_as(d, "f", "metric=matrix organisation=1234651-9 by=member").root;
    IS(all, "mikkeli/f", "n", 3);
    cr_expect_eq(question_rows(all), 2);
}

Test(metric, pages_go_on_behind_the_last_key)
{
    play_golden();
    const kap_mp_t *page = question(d, "metric=matrix region=mikkeli by=edge limit=4");
    cr_expect_eq(question_rows(page), 4);
    cr_expect_eq(question_number(page, "more"), 1);
    IS(page, NULL, "n", 9);
    page = question(d, "metric=matrix region=mikkeli by=edge limit=4 after.edge=b>c");
    cr_expect_eq(question_rows(page), 2);
    cr_expect_eq(question_number(page, "more"), 0);
    IS(page, "c>a", "n", 1);
    IS(page, "c>b", "n", 1);
    page = question(d, "metric=matrix region=mikkeli by=edge limit=4 after.edge=c>b");
    cr_expect_eq(question_rows(page), 0);
    page = question(d, "metric=matrix region=mikkeli by=member limit=1 after.member=a");
    IS(page, "b", "n", 2);
    page = question(d, "metric=matrix region=mikkeli by=warm after.warm=true");
    cr_expect_eq(question_rows(page), 0);
    page = question(d, "metric=matrix region=mikkeli by=month after.month=2025-12");
    cr_expect_eq(question_rows(page), 1);
}

/* A log has as many edges as it has pairs of actors; an answer is one frame. */
Test(metric, many_rows_are_told_in_pages_that_a_frame_holds)
{
    enum { SIDE = 48, ALL = SIDE * SIDE };
    static char names[SIDE][201];
    kap_metric_query_t query = {.metric = KAP_METRIC_MATRIX,
                                .kind = KAP_KIND_OF_COHORT,
                                .by = KAP_BY_EDGE,
                                .what = {.scope = {.region = KAP_SPAN("mikkeli")}}};
    kap_metric_rows_t rows = {.count = ALL, .n = ALL};
    kap_metric_show_t show = {.whole = true, .lists = true};
    kap_metric_at_t at = {.dir = d->dir, .arena = d->arena};
    uint32_t told = 0, pages = 0;

    rows.rows = kap_arena_calloc(d->arena, ALL, sizeof *rows.rows);
    for (int i = 0; i < SIDE; i++)
        snprintf(names[i], sizeof names[i], "%0200d", i);
    for (int i = 0; i < ALL; i++) {
        kap_scope_t *scope = &rows.rows[i].scope;
        *scope = (kap_scope_t){.kind = KAP_SCOPE_EDGE, .region = KAP_SPAN("mikkeli")};
        scope->from = kap_span_str(names[i / SIDE]);
        scope->to = kap_span_str(names[i % SIDE]);
        rows.rows[i].sort = kap_metric_sort(d->arena, (kap_span_t){0}, scope->from, scope->to);
    }
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &at.txn), KAP_OK);
    cr_assert_eq(kap_summer_new(at.txn, at.arena, at.dir, &at.summer), KAP_OK);
    for (bool more = true; more && pages < ALL; pages++) {
        kap_buf_t buf = {0};
        kap_mp_t root;
        cr_assert_eq(kap_metric_tell(&at, &query, &rows, &show, &buf), KAP_OK);
        cr_assert_leq(kap_bin_size(buf.size), KAP_LIMIT_FRAME_BYTES);
        kap_span_t kept = kap_arena_dup(d->arena, kap_buf_span(&buf));
        kap_buf_fini(&buf);
        cr_assert_eq(kap_mp_read_answer(kept, d->arena, &root, NULL), KAP_OK);
        const kap_mp_t *page = kap_mp_get(&root, "rows");
        cr_assert_gt(page->count, 0);
        for (uint32_t i = 0; i < page->count; i++, told++) {
            const kap_mp_t *edge = kap_mp_get(kap_mp_get(kap_mp_item(page, i), "key"), "edge");
            cr_assert(kap_span_eq(kap_mp_item(edge, 1)->s, rows.rows[told].scope.to));
        }
        query.after = rows.rows[told - 1].sort;
        more = kap_mp_get_bool(&root, "more", false);
    }
    cr_expect_eq(told, ALL);
    cr_expect_gt(pages, 1);
    kap_summer_destroy(&at.summer);
    kap_txn_abort(&at.txn);
}

/* --- refusals --- */

static const struct {
    const char *words, *sentence;
} refusals[] = {
    {"metric=acceptence region=mikkeli", "there is no metric acceptence; there is acceptance"},
    {"metric=time region=mikkeli",
     "there is no metric time; there is time-to-accept, time-to-contact, time-to-complete"},
    {"metric=matrix", "say of what: region, area, nation (true), organisation, member or edge"},
    {"metric=matrix region=mikkeli area=etela-savo",
     "ask of one: region, area, nation or organisation"},
    {"metric=matrix area=etela-savo member=a",
     "a member or an edge stands alone or beside a region, nothing else"},
    {"metric=matrix region=nowhere",
     "there is no region or archive nowhere; `kapula directory` lists them"},
    {"metric=matrix area=nowhere", "there is no area nowhere; `kapula directory` lists them"},
    {"metric=matrix organisation=7", "there is no organisation 7; `kapula directory` lists them"},
    {"metric=matrix member=nobody", "there is no member nobody; `kapula directory` lists them"},
    {"metric=matrix region=mikkeli edge=a>nobody",
     "there is no member nobody; `kapula directory` lists them"},
    {"metric=matrix region=mikkeli edge=a", "edge is [from, to], two members"},
    {"metric=matrix region=mikkeli from=2026-02-30", "from is a day as 2026-01-31"},
    {"metric=matrix region=mikkeli from=2026-01-02 to=2026-01-02",
     "from is a day before to, which is the first day left out: from 2026-01-01 to 2026-02-01 "
     "is January"},
    {"metric=matrix region=mikkeli month=2026-13", "month is as 2026-10"},
    {"metric=matrix region=mikkeli year=26", "year is as 2026"},
    {"metric=matrix region=mikkeli year=2026 month=2026-01",
     "give a month, a year, or from and to"},
    {"metric=matrix region=mikkeli zone=Mars", "zone is Europe/Helsinki or UTC"},
    {"metric=matrix region=mikkeli clock=wall", "clock is recipient or customer"},
    {"metric=matrix region=mikkeli time=spare", "time is working or elapsed"},
    {"metric=matrix region=mikkeli view=later", "view is then or now"},
    {"metric=acceptance region=mikkeli kind=flow", "acceptance is told as cohort"},
    {"metric=matrix region=mikkeli kind=most", "matrix is told as cohort, flow, stock"},
    {"metric=reciprocity region=mikkeli by=edge",
     "reciprocity cannot be broken down; leave by and where out"},
    {"metric=served region=mikkeli by=service",
     "served can be broken down by member, region, month"},
    {"metric=served region=mikkeli where.service=training",
     "served can be broken down by member, region, month"},
    {"metric=matrix region=mikkeli by=region",
     "by region wants an area, the nation, or a member or edge without a region"},
    {"metric=matrix region=mikkeli member=a by=member",
     "by edge and by member want a region, an area, the nation or an organisation; by edge a "
     "member too"},
    {"metric=matrix region=mikkeli where.colour=red",
     "where is one of service, segment, warm, origin and its value"},
    {"metric=matrix region=mikkeli where.warm=hot", "warm is one of false, true"},
    {"metric=matrix region=mikkeli by=warm where.warm=true",
     "by and where are two different breakdowns"},
    {"metric=matrix kind=flow edge=a>b from=2026-01-02",
     "flows and stocks of an edge, a service, a segment and the like are counted by months: "
     "let from and to be firsts of a month"},
    {"metric=matrix kind=flow region=mikkeli month=2026-01 zone=UTC",
     "flow is counted in days of Europe/Helsinki here; ask with that zone"},
    {"metric=served region=mikkeli month=2026-01 zone=UTC",
     "served is counted in days of Europe/Helsinki here; ask with that zone"},
    {"metric=matrix region=mikkeli limit=0", "limit is 1 to 100000 rows"},
    {"metric=matrix region=mikkeli by=edge after.member=a",
     "after is the key of the last row that you have"},
};

Test(metric, refuses_with_what_would_be_right)
{

    create_at(d->now, 1, "mikkeli");
    hand("x", "x", "a", "b", NULL);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        cr_expect_str_eq(question_refused(d, refusals[i].words), refusals[i].sentence, "%s: %s",
                         refusals[i].words, question_refused(d, refusals[i].words));
}

/* Objects of every kind. */
static void put_odd(kap_buf_t *map, int odd)
{
    char text[600];

    memset(text, 'x', sizeof text);
    switch (odd) {
    case 0:
        kap_mp_put_nil(map);
        return;
    case 1:
        kap_mp_put_bool(map, true);
        return;
    case 2:
        kap_mp_put_int(map, -7);
        return;
    case 3:
        kap_mp_put_cstr(map, "");
        return;
    case 4:
        kap_mp_put_str(map, kap_span(text, sizeof text));
        return;
    case 5:
        kap_mp_put_bin(map, kap_span(text, 3));
        return;
    case 6:
        kap_mp_put_array(map, 2);
        kap_mp_put_cstr(map, "a");
        kap_mp_put_str(map, kap_span(text, KAP_LIMIT_ID_BYTES + 1));
        return;
    default:
        kap_mp_put_map(map, 1);
        kap_mp_put_cstr(map, "edge");
        kap_mp_put_map(map, 0);
    }
}

Test(metric, parameters_of_any_kind_are_answered_or_refused_with_a_sentence)
{
    static const char *const keys[] = {"metric", "region", "area", "nation", "organisation",
                                       "member", "edge",   "from", "to",     "month",
                                       "year",   "zone",   "kind", "by",     "where",
                                       "clock",  "time",   "view", "after",  "limit"};
    enum { KEYS = sizeof keys / sizeof keys[0], ODDS = 8 };

    hand("1", "1", "a", "b", NULL);
    for (int k = 0; k < KEYS; k++) {
        for (int odd = 0; odd < ODDS; odd++) {
            bool metric = strcmp(keys[k], "metric") == 0, region = strcmp(keys[k], "region") == 0;
            bool by = strcmp(keys[k], "by") == 0;
            kap_buf_t map = {0};
            kap_query_begin(&map, "metrics", 1u + !metric + !region + !by);
            for (int other = 0; other < 3; other++) {
                static const char *const usual[3][2] = {
                    {"metric", "matrix"}, {"region", "mikkeli"}, {"by", "edge"}};
                if (strcmp(usual[other][0], keys[k]) == 0)
                    continue;
                kap_mp_put_cstr(&map, usual[other][0]);
                kap_mp_put_cstr(&map, usual[other][1]);
            }
            kap_mp_put_cstr(&map, keys[k]);
            put_odd(&map, odd);
            question_t answer = question_map(d, d->dir, "a", kap_buf_span(&map));
            cr_expect(answer.refusal == 0 || answer.why[0] != '\0', "%s, %d", keys[k], odd);
            cr_expect(answer.refusal != 0 || strcmp(keys[k], "nation") == 0, "%s, %d", keys[k],
                      odd);
            kap_buf_fini(&map);
        }
    }
}

/* --- the whole table --- */

/* What metrics.def promises of every answer of kind cohort. */
static const struct {
    const char *metric, *value, *first, *last; /* first and last key of its map; NULL: a number */
} promised[] = {
#define KAP_METRIC(NAME, wire, side, kinds, by, unit, definition, source, fi, sv, en)
#define KAP_METRIC_COUNT(METRIC, wire, figures, meaning) {#METRIC, wire, NULL, NULL},
#define KAP_METRIC_RATE(METRIC, wire, num, den, meaning) {#METRIC, wire, "num", "den"},
#define KAP_METRIC_MEAN(METRIC, wire, sum, n, meaning)   {#METRIC, wire, "sum", "n"},
#define KAP_METRIC_TIME(METRIC, wire, time, meaning)     {#METRIC, wire, "n", "exact"},
#define KAP_METRIC_OTHER(METRIC, wire, shape, meaning)
#include "metrics.def"
#undef KAP_METRIC
#undef KAP_METRIC_COUNT
#undef KAP_METRIC_RATE
#undef KAP_METRIC_MEAN
#undef KAP_METRIC_TIME
#undef KAP_METRIC_OTHER
};

/* TIME_TO_ACCEPT and time-to-accept. */
static bool is_named(const char *name, const char *wire)
{
    for (; *name != '\0' && *wire != '\0'; name++, wire++) {
        if (*name != (*wire == '-' ? '_' : *wire - 'a' + 'A'))
            return false;
    }
    return *name == *wire;
}

static void has_what_was_promised(const kap_mp_t *map, const char *wire)
{
    const kap_mp_t *values = kap_mp_get(map, "values");

    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++) {
        if (!is_named(promised[i].metric, wire))
            continue;
        const kap_mp_t *value = kap_mp_get(values, promised[i].value);
        cr_assert_not_null(value, "%s has no %s", wire, promised[i].value);
        if (promised[i].first == NULL) {
            cr_expect_eq(value->kind, KAP_MP_INT, "%s", promised[i].value);
        } else {
            cr_expect_not_null(kap_mp_get(value, promised[i].first), "%s", promised[i].value);
            cr_expect_not_null(kap_mp_get(value, promised[i].last), "%s", promised[i].value);
        }
    }
}

/* Parts of a whole that each transfer is in exactly one of. */
static bool is_a_partition(kap_metric_by_t by)
{
    return by >= KAP_BY_REGION || by == KAP_BY_EDGE;
}

Test(metric, every_metric_is_answered_by_everything_it_may_be_broken_down_by)
{
    static const char *const scopes[] = {"region=mikkeli", "member=b", "organisation=1234574-3",
                                         "area=etela-savo", "nation=true"};
    char words[160];

    play_five();
    play_values();
    create("p1", "p1", "f", "g", "pieksamaki", NULL);
    for (int metric = 0; metric < KAP_METRIC_TOTAL; metric++) {
        const kap_metric_row_t *row = kap_metric_row((kap_metric_t)metric);
        for (size_t s = 0; s < sizeof scopes / sizeof scopes[0]; s++) {
            for (unsigned by = KAP_BY_NOTHING; by < KAP_BY_COUNT; by++) {
                bool regions = by == KAP_BY_REGION && (s == 0 || s == 2);
                bool members = by == KAP_BY_MEMBER && s == 1;
                if ((by != KAP_BY_NOTHING && !(row->by >> by & 1)) || regions || members)
                    continue;
                snprintf(words, sizeof words, "metric=%s %s by=%s", row->wire, scopes[s],
                         kap_metric_by_name((kap_metric_by_t)by));
                question_t answer = question_as(d, s > 2 ? "op" : "b", words);
                cr_assert_eq(answer.refusal, 0, "%s: %s", words, answer.why);
                uint32_t rows = question_rows(answer.root);
                int64_t sum = 0;
                for (uint32_t i = 0; i < rows; i++)
                    sum += question_number(kap_mp_item(kap_mp_get(answer.root, "rows"), i), "n");
                if (row->side != KAP_SIDE_CASES && is_a_partition((kap_metric_by_t)by) && s == 0)
                    cr_expect_eq(sum, question_number(answer.root, "n"), "%s: %lld", words,
                                 (long long)sum);
                if (row->kinds & KAP_KIND_OF_COHORT)
                    has_what_was_promised(answer.root, row->wire);
            }
        }
    }
}
