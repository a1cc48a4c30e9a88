/* SPDX-License-Identifier: MPL-2.0 */
/* Questions to the figures: each metric's numbers by hand, windows, rows, pages, refusals. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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
