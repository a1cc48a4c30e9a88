/* SPDX-License-Identifier: MPL-2.0 */
/* Metric 18, every number by hand: plans, surveys, feedback, customers, advice, indicators, and the
 * least that every contract follows; late and corrected reports, windows, regions apart and areas.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "meter.h"
#include "question.h"
#include "saying.h"

static desk_t desk, *d = &desk;
static meter_t meter, *m = &meter;

static void start(void)
{
    desk_open(d, true);
    saying_at(d, "2026-11-20");
}

static void stop(void)
{
    desk_audit(d);
    desk_close(d);
}

TestSuite(metric_follow, .init = start, .fini = stop, .timeout = 60);

static const kap_mp_t *ask(const char *from, const char *to)
{
    meter_begin(m, d, KAP_METRIC_FOLLOW_UP);
    meter_days(m, from, to);
    return meter_ask(m);
}

static const kap_mp_t *ask_year(void)
{
    return ask("2026-01-01", "2027-01-01");
}

static void area(void)
{
    meter_begin(m, d, KAP_METRIC_FOLLOW_UP);
    meter_days(m, "2026-01-01", "2027-01-01");
    m->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("etela-savo")};
}

static void segment(int code)
{
    m->query.what.breakdown = KAP_BREAKDOWN_SEGMENT;
    m->query.what.value = (uint16_t)(code + 1);
}

/* --- A: plans --- */

static void play_plans(void)
{
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i1;what=Käynnit;plan=action;year=2026;segment=founder");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i2;what=Seminaari;plan=action;year=2026;year_to=2027");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i3;what=Tiedote;plan=communication;year=2026");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i4;what=Kirje;plan=action;year=2026");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i5;what=Ilman vuotta ja lajia");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i6;what=Vanha;plan=action;year=2025;progress=100");
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026-09;progress=100");
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i2;period=2026-09;progress=90");
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i4;status=Luovuttu");
}

Test(metric_follow, plans_reached_by_kind_and_year)
{
    play_plans();
    cr_expect_str_eq(
        saying_told(d, ask_year(), "plans"),
        "plan none year - items 1 reached 0 share 0/1 unreported 1 dropped 0\n"
        "plan action year 2026 items 3 reached 1 share 1/3 unreported 0 dropped 1\n"
        "plan communication year 2026 items 1 reached 0 share 0/1 unreported 1 dropped 0\n");
    cr_expect_str_eq(saying_told(d, ask("2025-06-01", "2026-01-01"), "plans"),
                     "plan none year - items 1 reached 0 share 0/1 unreported 1 dropped 0\n"
                     "plan action year 2025 items 1 reached 1 share 1/1 unreported 0 dropped 0\n");
    cr_expect_str_eq(saying_told(d, ask("2027-01-01", "2028-01-01"), "plans"),
                     "plan none year - items 1 reached 0 share 0/1 unreported 1 dropped 0\n"
                     "plan action year 2027 items 1 reached 0 share 0/1 unreported 0 dropped 0\n");
}

Test(metric_follow, a_corrected_report_of_a_plan_counts_instead)
{
    play_plans();
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026-09;progress=80"); /* corrected */
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i2;period=2026-10;status=reached");
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i2;period=2026-03;status=not_started"); /* late */
    meter_rate(meter_item(ask_year(), "plans", "plan", "action", NULL, NULL), "share", 1, 3);
}

/* --- B and C: surveys --- */

static void answer(const char *who, const char *fields, int times)
{
    for (int i = 0; i < times; i++)
        say(d, who, KAP_EV_SURVEY_ANSWERED, fields);
}

Test(metric_follow, the_self_evaluation_by_question)
{
    answer("b", "survey=self_evaluation;question=trust;period=2026;value=7", 3);
    answer("c", "survey=self_evaluation;question=trust;period=2026-11;value=4", 2);
    answer("b", "survey=self_evaluation;question=roles;period=2026;value=1", 4);
    answer("b", "survey=self_evaluation;question=best;period=2026;text=Yhteiset käynnit", 5);
    answer("b", "survey=self_evaluation;question=next;period=2026;text=Yksi vain", 1);
    cr_expect_str_eq(saying_told(d, ask_year(), "evaluation"),
                     "question best year 2026 n 5 mean - texts 5\n"
                     "question next year 2026 n - mean - hidden yes\n"
                     "question roles year 2026 n - mean - hidden yes\n"
                     "question trust year 2026 n 5 mean 5.8 texts 0\n");
    answer("d", "survey=self_evaluation;question=roles;period=2026;value=3", 1);
    cr_expect_str_eq(saying_told(d, ask_year(), "evaluation"),
                     "question best year 2026 n 5 mean - texts 5\n"
                     "question next year 2026 n - mean - hidden yes\n"
                     "question roles year 2026 n 5 mean 1.4 texts 0\n"
                     "question trust year 2026 n 5 mean 5.8 texts 0\n");
}

Test(metric_follow, no_window_tells_single_answers_apart)
{
    answer("b", "survey=s1;question=q1;period=2026-03;value=2", 5);
    answer("b", "survey=s1;question=q1;period=2026-04;value=5", 1);
    const char *year = "survey s1 question q1 year 2026 scale - n 6 mean 2.5 texts 0\n";
    cr_expect_str_eq(saying_told(d, ask("2026-01-01", "2027-01-01"), "surveys"), year);
    cr_expect_str_eq(saying_told(d, ask("2026-03-01", "2026-04-01"), "surveys"), year);
    cr_expect_str_eq(saying_told(d, ask("2026-04-01", "2026-05-01"), "surveys"), year);
    cr_expect_str_eq(saying_told(d, ask("2025-01-01", "2026-01-01"), "surveys"), "");
}

Test(metric_follow, no_segment_tells_single_answers_apart)
{
    answer("b", "survey=s1;question=q1;period=2026;value=2;scale=4;segment=founder", 6);
    answer("b", "survey=s1;question=q1;period=2026;value=3;scale=4;segment=large", 5);
    answer("b", "survey=s1;question=q1;period=2026;value=1;scale=4;segment=local_small", 1);
    cr_expect_str_eq(saying_told(d, ask_year(), "surveys"),
                     "survey s1 question q1 year 2026 scale 4 n 12 mean 2.333 texts 0\n");
    meter_begin(m, d, KAP_METRIC_FOLLOW_UP);
    segment(KAP_SEGMENT_FOUNDER);
    cr_expect_str_eq(saying_told(d, meter_ask(m), "surveys"),
                     "survey s1 question q1 year 2026 scale 4 n 6 mean 2 texts 0\n");
    segment(KAP_SEGMENT_LARGE); /* else the one of local_small is what is left */
    cr_expect_str_eq(saying_told(d, meter_ask(m), "surveys"),
                     "survey s1 question q1 year 2026 scale 4 n - mean - hidden yes\n");
    segment(KAP_SEGMENT_LOCAL_SMALL);
    cr_expect_str_eq(saying_told(d, meter_ask(m), "surveys"),
                     "survey s1 question q1 year 2026 scale 4 n - mean - hidden yes\n");
    segment(KAP_SEGMENT_INTERNATIONAL);
    cr_expect_str_eq(saying_told(d, meter_ask(m), "surveys"), "");
}

Test(metric_follow, an_area_adds_up_what_its_regions_may_tell)
{
    answer("b", "survey=s1;question=q1;period=2026;value=2", 6);
    answer("p", "region=pieksamaki;survey=s1;question=q1;period=2026;value=5", 2);
    answer("p", "region=pieksamaki;survey=s1;question=q2;period=2026;value=5", 2);
    area();
    cr_expect_str_eq(saying_told(d, meter_ask(m), "surveys"),
                     "survey s1 question q1 year 2026 scale - n 6 mean 2 texts 0 left_out 1\n"
                     "survey s1 question q2 year 2026 scale - n - mean - hidden yes\n");
    answer("p", "region=pieksamaki;survey=s1;question=q1;period=2026;value=5", 3);
    cr_expect_str_eq(saying_told(d, meter_ask(m), "surveys"),
                     "survey s1 question q1 year 2026 scale - n 11 mean 3.364 texts 0\n"
                     "survey s1 question q2 year 2026 scale - n - mean - hidden yes\n");
}

/* --- D: customers' feedback --- */

static void refer(const char *id, int of)
{
    desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
    desk_code(d, KAP_F_SEGMENT, of);
    cr_assert_eq(desk_said(d), 0);
}

static void play_feedback(void)
{
    char id[8], fields[80];

    for (int i = 0; i < 5; i++) { /* founders: 4 4 4 4 2 on 4 */
        snprintf(id, sizeof id, "r%d", i);
        refer(id, KAP_SEGMENT_FOUNDER);
        snprintf(fields, sizeof fields, "referral=%s;scale=4;score=%d", id, i < 4 ? 4 : 2);
        say(d, "b", KAP_EV_REFERRAL_FEEDBACK_GIVEN, fields);
    }
    for (int i = 5; i < 8; i++) { /* large ones: 3 3 3 */
        snprintf(id, sizeof id, "r%d", i);
        refer(id, KAP_SEGMENT_LARGE);
        snprintf(fields, sizeof fields, "referral=%s;scale=4;score=3", id);
        say(d, "b", KAP_EV_REFERRAL_FEEDBACK_GIVEN, fields);
    }
    answer("c", "survey=customers;question=useful;period=2026;value=2;scale=4;segment=large", 2);
    answer("c", "survey=customers;question=useful;period=2026;value=4.5;scale=5", 5);
    answer("c", "survey=customers;question=useful;period=2026;value=4", 9); /* on no scale */
}

Test(metric_follow, customers_feedback_by_segment_of_referrals_and_surveys)
{
    play_feedback();
    cr_expect_str_eq(saying_told(d, ask_year(), "feedback"),
                     "segment - scale 4 n 10 mean 3.1\n"
                     "segment founder scale 4 n 5 mean 3.6\n"
                     "segment large scale 4 n 5 mean 2.6\n"
                     "segment - scale 5 n 5 mean 4.5\n"
                     "segment none scale 5 n 5 mean 4.5\n");
    say(d, "b", KAP_EV_REFERRAL_FEEDBACK_GIVEN, "referral=r0;scale=4;score=1"); /* thought again */
    const kap_mp_t *feedback = kap_mp_get(ask_year(), "feedback");
    meter_word(kap_mp_item(feedback, 0), "mean", "2.8");
}

Test(metric_follow, feedback_of_few_is_hidden_and_cannot_be_worked_out)
{
    play_feedback();
    refer("r9", KAP_SEGMENT_LOCAL_SMALL);
    say(d, "b", KAP_EV_REFERRAL_FEEDBACK_GIVEN, "referral=r9;scale=4;score=1");
    cr_expect_str_eq(
        saying_told(d, ask_year(), "feedback"),
        "segment - scale 4 n 11 mean 2.909\n"
        "segment founder scale 4 n - mean - hidden yes\n" /* as small as the large ones */
        "segment local_small scale 4 n - mean - hidden yes\n"
        "segment large scale 4 n 5 mean 2.6\n"
        "segment - scale 5 n 5 mean 4.5\n"
        "segment none scale 5 n 5 mean 4.5\n");
}

/* --- customers a year --- */

static void play_customers(void)
{
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=40;new=12");
    say(d, "c", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=5;new=5");
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2026;segment=founder;total=30;new=10");
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2026;segment=large;total=3;new=0");
}

Test(metric_follow, customers_a_year_and_their_trend)
{
    play_customers();
    cr_expect_str_eq(saying_told(d, ask_year(), "customers"),
                     "year 2026 segment - total 33 new 10 change -12 reports 2\n"
                     "year 2026 segment founder total 30 new 10 change -15 reports 1\n"
                     "year 2026 segment large total 3 new 0 change - reports 1\n");
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=20;new=2"); /* mended */
    cr_expect_str_eq(saying_told(d, ask("2025-01-01", "2027-01-01"), "customers"),
                     "year 2025 segment - total 25 new 7 change - reports 2\n"
                     "year 2025 segment founder total 25 new 7 change - reports 2\n"
                     "year 2026 segment - total 33 new 10 change 8 reports 2\n"
                     "year 2026 segment founder total 30 new 10 change 5 reports 1\n"
                     "year 2026 segment large total 3 new 0 change - reports 1\n");
    meter_begin(m, d, KAP_METRIC_FOLLOW_UP);
    meter_days(m, "2026-01-01", "2027-01-01");
    segment(KAP_SEGMENT_LARGE);
    cr_expect_str_eq(saying_told(d, meter_ask(m), "customers"),
                     "year 2026 segment large total 3 new 0 change - reports 1\n");
}

/* --- advice, channels, new customers --- */

static void play_advice(void)
{
    say(d, "b", KAP_EV_ADVICE_GIVEN,
        "service=tax;segment=founder;channel=phone;count=6;period=2026-02-10");
    say(d, "c", KAP_EV_ADVICE_GIVEN,
        "service=tax;segment=founder;channel=phone;count=4;period=2026-03-01");
    say(d, "b", KAP_EV_ADVICE_GIVEN, "service=tax;segment=founder;channel=web;count=3;period=2026");
    say(d, "b", KAP_EV_ADVICE_GIVEN,
        "service=export;segment=large;channel=video;count=2;period=2026-02");
    say(d, "b", KAP_EV_ADVICE_GIVEN,
        "service=export;segment=large;channel=visit;count=5;period=2025-12");
}

Test(metric_follow, the_content_of_advice_and_its_channels)
{
    play_advice();
    const kap_mp_t *values = ask_year();
    cr_expect_str_eq(saying_told(d, values, "advice"),
                     "service export segment large channel video n 2\n"
                     "service tax segment founder channel phone n 10\n"
                     "service tax segment founder channel web n 3\n");
    cr_expect_str_eq(saying_told(d, values, "channels"), "channel phone way phone n 10\n"
                                                         "channel video way electronic n 2\n"
                                                         "channel web way electronic n 3\n");
    meter_rate(values, "electronic", 5, 15);
    meter_rate(values, "phone", 10, 15);
    values = ask("2026-02-01", "2026-03-01");
    cr_expect_str_eq(saying_told(d, values, "channels"), "channel phone way phone n 6\n"
                                                         "channel video way electronic n 2\n");
    meter_rate(ask("2025-12-01", "2026-01-01"), "electronic", 0, 5);
    meter_rate(ask(NULL, NULL), "phone", 10, 20);
}

Test(metric_follow, new_customers_by_origin)
{
    say(d, "b", KAP_EV_NEW_CUSTOMER, "origin=harava;count=8;period=2026-02");
    say(d, "c", KAP_EV_NEW_CUSTOMER, "origin=harava;count=1;period=2026-02-20;segment=founder");
    say(d, "b", KAP_EV_NEW_CUSTOMER, "origin=phone_service;count=2;time=2026-02-28 23:30");
    cr_expect_str_eq(saying_told(d, ask_year(), "new_customers"),
                     "origin phone_service n 2\norigin harava n 9\n");
    cr_expect_str_eq(saying_told(d, ask("2026-02-20", "2026-03-01"), "new_customers"),
                     "origin phone_service n 2\norigin harava n 1\n");
    cr_expect_str_eq(saying_told(d, ask("2026-03-01", NULL), "new_customers"), "");
}

/* --- indicators --- */

static void indicate(const char *who, const char *fields)
{
    char text[200];

    snprintf(text, sizeof text, "info_source=tilasto;%s", fields);
    say(d, who, KAP_EV_INDICATOR_REPORTED, text);
}

Test(metric_follow, indicators_with_their_trend)
{
    indicate("b", "indicator=jobless;period=2025-12;value=1300;unit=persons");
    indicate("b", "indicator=jobless;period=2026-01;value=1234;unit=persons");
    indicate("b", "indicator=jobless;period=2026-02;value=1240.5;unit=persons");
    indicate("b", "indicator=jobless;period=2026;value=1250;unit=persons"); /* the first year */
    indicate("b", "indicator=mood;period=2026-02;value=3.25;unit=points");
    indicate("b", "indicator=jobless;period=2026-02;value=1240;unit=persons"); /* corrected */
    cr_expect_str_eq(saying_told(d, ask_year(), "indicators"),
                     "indicator jobless segment - period 2026 value 1250 change - unit persons "
                     "info_source tilasto regions 1\n"
                     "indicator jobless segment - period 2026-01 value 1234 change -66 unit "
                     "persons info_source tilasto regions 1\n"
                     "indicator jobless segment - period 2026-02 value 1240 change 6 unit persons "
                     "info_source tilasto regions 1\n"
                     "indicator mood segment - period 2026-02 value 3.25 change - unit points "
                     "info_source tilasto regions 1\n");
    cr_expect_eq(meter_length(ask("2026-02-01", "2026-03-01"), "indicators"), 2);
}

Test(metric_follow, suggested_indicators_of_regions_add_up)
{
    indicate("b", "indicator=jobless;period=2025;value=1000;unit=persons");
    indicate("p", "region=pieksamaki;indicator=jobless;period=2025;value=300;unit=persons");
    indicate("b", "indicator=jobless;period=2026;value=1100.5;unit=persons");
    indicate("p", "region=pieksamaki;indicator=jobless;period=2026;value=250;unit=persons");
    indicate("b", "indicator=mood;period=2026;value=3.25;unit=points");
    indicate("p", "region=pieksamaki;indicator=mood;period=2026;value=4;unit=points");
    area();
    cr_expect_str_eq(saying_told(d, meter_ask(m), "indicators"),
                     "indicator jobless segment - period 2026 value 1350.5 change 50.5 unit "
                     "persons info_source tilasto regions 2\n"
                     "indicator mood segment - period 2026 value - change - unit points "
                     "info_source tilasto regions 2\n");
}

/* --- the least that every contract follows --- */

Test(metric_follow, says_what_of_the_least_is_missing)
{
    cr_expect_str_eq(saying_told(d, ask_year(), "minimum"),
                     "minimum customers there no with 0 regions 1\n" /* nobody heard of it */
                     "minimum advice there no with 0 regions 1\n"
                     "minimum feedback there no with 0 regions 1\n"
                     "minimum referrals there no with 0 regions 1\n");
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=40;new=12");
    cr_expect_str_eq(saying_told(d, ask_year(), "minimum"),
                     "minimum customers there no with 0 regions 1\n" /* of another year */
                     "minimum advice there no with 0 regions 1\n"
                     "minimum feedback there no with 0 regions 1\n"
                     "minimum referrals there no with 0 regions 1\n");
    play_customers();
    play_advice();
    refer("r1", KAP_SEGMENT_FOUNDER);
    cr_expect_str_eq(saying_told(d, ask_year(), "minimum"),
                     "minimum customers there yes with 1 regions 1\n"
                     "minimum advice there yes with 1 regions 1\n"
                     "minimum feedback there no with 0 regions 1\n"
                     "minimum referrals there yes with 1 regions 1\n");
    say(d, "b", KAP_EV_REFERRAL_FEEDBACK_GIVEN, "referral=r1;scale=5;score=5");
    say(d, "p", KAP_EV_ADVICE_GIVEN,
        "region=pieksamaki;service=tax;segment=founder;channel=web;count=1;period=2026-05");
    area();
    cr_expect_str_eq(saying_told(d, meter_ask(m), "minimum"),
                     "minimum customers there no with 1 regions 2\n"
                     "minimum advice there yes with 2 regions 2\n"
                     "minimum feedback there no with 1 regions 2\n"
                     "minimum referrals there no with 1 regions 2\n");
}

/* --- scopes --- */

Test(metric_follow, regions_lie_apart_and_add_up)
{
    play_advice();
    say(d, "p", KAP_EV_ADVICE_GIVEN,
        "region=pieksamaki;service=tax;segment=founder;channel=phone;count=100;period=2026-02");
    say(d, "t", KAP_EV_ADVICE_GIVEN,
        "region=turku;service=tax;segment=founder;channel=phone;count=1000;period=2026-02");
    meter_rate(ask_year(), "phone", 10, 15);
    area();
    meter_rate(meter_ask(m), "phone", 110, 115);
    meter_nation(m);
    meter_rate(meter_ask(m), "phone", 1110, 1115);
}

Test(metric_follow, of_a_member_is_what_it_reports)
{
    play_advice();
    play_customers();
    say(d, "a", KAP_EV_PLAN_ITEM_SET, "item=i1;what=x;plan=work;year=2026;member=c;progress=100");
    answer("c", "survey=s1;question=q1;period=2026;value=2", 6);
    meter_begin(m, d, KAP_METRIC_FOLLOW_UP);
    meter_member(m, "mikkeli", "c");
    meter_days(m, "2026-01-01", "2027-01-01");
    const kap_mp_t *values = meter_ask(m);
    meter_rate(values, "phone", 4, 4);
    meter_rate(meter_item(values, "plans", "plan", "work", NULL, NULL), "share", 1, 1);
    cr_expect_eq(meter_length(values, "customers"), 0); /* it reported 2025 */
    cr_expect_null(kap_mp_get(values, "surveys"));
    cr_expect_null(kap_mp_get(values, "minimum"));
    m->query.what.scope =
        (kap_scope_t){.kind = KAP_SCOPE_ORGANISATION, .organisation = KAP_SPAN("1234581-5")};
    meter_rate(meter_ask(m), "phone", 4, 4);
    meter_edge(m, "b", "c");
    cr_expect_eq(meter_length(meter_ask(m), "advice"), 0);
}

Test(metric_follow, is_asked_for_by_region_and_segment)
{
    play_advice();
    play_customers();
    const kap_mp_t *all = question(d, "metric=follow-up region=mikkeli year=2026 by=segment");
    cr_expect_eq(question_rows(all), 2);
    const kap_mp_t *row = question_row(all, "founder");
    cr_expect_eq(question_number(row, "values.phone.num"), 10);
    cr_expect_eq(question_number(row, "values.phone.den"), 13);
    say(d, "p", KAP_EV_ADVICE_GIVEN,
        "region=pieksamaki;service=tax;segment=founder;channel=phone;count=100;period=2026-02");
    all = question_as(d, "op", "metric=follow-up nation=true year=2026 by=region").root;
    cr_assert_not_null(all);
    cr_expect_eq(question_number(question_row(all, "mikkeli"), "values.phone.num"), 10);
    cr_expect_eq(question_number(question_row(all, "pieksamaki"), "values.phone.num"), 100);
}

Test(metric_follow, nothing_reported_is_nothing_told)
{
    const kap_mp_t *values = ask(NULL, NULL);
    static const char *const lists[] = {"plans",    "evaluation",    "surveys",
                                        "feedback", "customers",     "advice",
                                        "channels", "new_customers", "indicators"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        cr_expect_eq(meter_length(values, lists[i]), 0, "%s", lists[i]);
    cr_expect_eq(m->values.n, 0);
}

Test(metric_follow, stands_with_who_followed_in_the_view_now)
{
    play_advice();
    say(d, "p", KAP_EV_ADVICE_GIVEN,
        "region=pieksamaki;service=tax;segment=founder;channel=phone;count=100;period=2026-02");
    say(d, "op", KAP_EV_MEMBER_SUCCEEDED, "from_ids=b;to_ids=c;valid_from=2026-05-01");
    say(d, "op", KAP_EV_REGION_SUCCEEDED,
        "from_ids=pieksamaki;to_ids=mikkeli;valid_from=2026-05-01");
    const kap_mp_t *now = question(d, "metric=follow-up region=mikkeli year=2026 view=now");
    cr_expect_eq(question_number(now, "values.phone.num"), 110);
    now = question(d, "metric=follow-up region=mikkeli member=c year=2026 view=now");
    cr_expect_eq(question_number(now, "values.phone.num"), 10);
    now = question(d, "metric=follow-up region=mikkeli member=c year=2026");
    cr_expect_eq(question_number(now, "values.phone.num"), 4);
}
