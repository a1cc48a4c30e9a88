/* SPDX-License-Identifier: MPL-2.0 */
/* Metric 17, every number by hand: a year of meetings in one region, and one each in two others. */
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
}

static void stop(void)
{
    desk_audit(d);
    desk_close(d);
}

TestSuite(metric_meetings, .init = start, .fini = stop, .timeout = 60);

static void refer(const char *id, int kind, const char *meeting)
{
    desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
    desk_code(d, KAP_F_KIND, kind);
    desk_span(d, KAP_F_MEETING, meeting);
    cr_assert_eq(desk_said(d), 0);
}

/* RRULEs have the separator of the fields in them. */
static void set_clock(void)
{
    saying_at(d, "2026-01-02");
    saying_add(d, "a", KAP_EV_FORUM_SET,
               "forum=f1;forum_kind=working_group;name=Työryhmä;members=a,b,c;"
               "dtstart=2026-01-21T09:00");
    desk_span(d, KAP_F_RRULE, "FREQ=MONTHLY;BYDAY=3WE;COUNT=12");
    cr_assert_eq(desk_said(d), 0);
    say(d, "a", KAP_EV_FORUM_SET,
        "forum=f2;forum_kind=steering_group;members=a,d;dates=2026-02-10,2026-06-10,2026-10-10;"
        "yearly_target=3");
}

/* The working group f1: on time, twelve days late, cancelled, nothing said. The steering group f2:
 * two days late, and a denies that it was there. Two joint visits and a seminar. */
static void play_year(void)
{
    set_clock();
    say(d, "a", KAP_EV_MEETING_PLANNED,
        "meeting=m1;region=mikkeli;forum=f1;starts_at=2026-01-21 09:00;occurrence=2026-01-21");
    say(d, "a", KAP_EV_MEETING_PLANNED,
        "meeting=m2;forum=f1;starts_at=2026-02-18 09:00;occurrence=2026-02-18");
    say(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m3;forum=f1;starts_at=2026-03-18 09:00");
    say(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m4;forum=f1;starts_at=2026-04-15 09:00");
    say(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m5;forum=f2;starts_at=2026-02-10 13:00");
    say(d, "a", KAP_EV_MEETING_PLANNED,
        "meeting=v2;forum_kind=joint_visit;starts_at=2026-05-10 10:00;members=b,c");
    saying_at(d, "2026-05-20");
    say(d, "a", KAP_EV_MEETING_HELD, "meeting=m1;starts_at=2026-01-21 09:00;attendance=a,b");
    say(d, "b", KAP_EV_MEETING_ATTENDED, "meeting=m1;member=b;present=present");
    say(d, "a", KAP_EV_MEETING_MOVED, "meeting=m2;starts_at=2026-02-25 09:00");
    say(d, "a", KAP_EV_MEETING_MOVED, "meeting=m2;starts_at=2026-03-02 09:00");
    say(d, "a", KAP_EV_MEETING_HELD, "meeting=m2;starts_at=2026-03-02 09:00;attendance=a,b,c");
    say(d, "a", KAP_EV_MEETING_CANCELLED, "meeting=m3");
    say(d, "a", KAP_EV_MEETING_HELD, "meeting=m5;starts_at=2026-02-12 13:00;attendance=a,n");
    say(d, "a", KAP_EV_MEETING_ATTENDED, "meeting=m5;member=a;present=absent");
    say(d, "a", KAP_EV_MEETING_HELD,
        "meeting=v1;region=mikkeli;forum_kind=joint_visit;starts_at=2026-02-20;attendance=a,b");
    say(d, "a", KAP_EV_MEETING_HELD, "meeting=v2;starts_at=2026-05-10 10:00;attendance=b,c");
    say(d, "a", KAP_EV_MEETING_HELD,
        "meeting=s1;region=mikkeli;forum_kind=seminar;starts_at=2026-03-10;attendance=a,b,c,d,e");
    refer("r1", KAP_KIND_LEAD, "v1");
    refer("r2", KAP_KIND_TRANSFER, "v1");
    refer("r3", KAP_KIND_TRANSFER, "v1");
    desk_referral(d, "a", KAP_EV_REFERRAL_VOIDED, "r3");
    cr_assert_eq(desk_said(d), 0);
    say(d, "a", KAP_EV_ACTION_AGREED, "action=x1;meeting=v1;what=Soitto;member=b");
    say(d, "a", KAP_EV_ACTION_AGREED, "action=x2;meeting=v1;what=Kirje");
    say(d, "a", KAP_EV_ACTION_AGREED, "action=x3;meeting=m1;what=Tiedote");
    say(d, "b", KAP_EV_ACTION_DONE, "action=x1");
}

/* One meeting of each of the other regions. */
static void play_others(void)
{
    say(d, "p", KAP_EV_MEETING_HELD,
        "meeting=p1;region=pieksamaki;forum_kind=joint_visit;starts_at=2026-03-03;attendance=p,f");
    say(d, "t", KAP_EV_MEETING_HELD,
        "meeting=t1;region=turku;forum_kind=seminar;starts_at=2026-03-03;attendance=t");
}

static const kap_mp_t *ask(const char *from, const char *to)
{
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    meter_days(m, from, to);
    return meter_ask(m);
}

static const kap_mp_t *ask_year(void)
{
    return ask("2026-01-01", "2027-01-01");
}

Test(metric_meetings, count_what_was_planned_held_and_cancelled)
{
    play_year();
    play_others();
    const kap_mp_t *values = ask_year();
    meter_count(values, "planned", 6); /* m1 to m5, v2 */
    meter_count(values, "open", 1);    /* m4 */
    meter_count(values, "held", 6);    /* m1, m2, m5, v1, v2, s1 */
    meter_count(values, "unplanned", 2);
    meter_count(values, "cancelled", 1);
    meter_count(values, "moved", 1);       /* twice, but one meeting */
    meter_rate(values, "adherence", 3, 6); /* m1, m5, v2; m4's time is past */
    cr_expect_eq(m->values.n, 8);
    cr_expect_eq(m->values.decided, 7);
    cr_expect_eq(m->values.pending, 1);
}

Test(metric_meetings, count_who_was_there_of_those_invited)
{
    play_year();
    const kap_mp_t *values = ask_year();
    meter_rate(values, "participation", 7, 10); /* m1 2 of 3, m2 3 of 3, m5 0 of 2, v2 2 of 2 */
    meter_count(values, "guests", 8);           /* n; a, b; a to e */
    meter_count(values, "confirmed", 1);
    meter_count(values, "denied", 1);
    cr_expect_str_eq(
        saying_told(d, values, "members"),
        "member a member_name Toimija a invited 3 came 2 guest 2 confirmed 0 denied 1\n"
        "member b member_name Toimija b invited 3 came 3 guest 2 confirmed 1 denied 0\n"
        "member c member_name Toimija c invited 3 came 2 guest 1 confirmed 0 denied 0\n"
        "member d member_name Toimija d invited 1 came 0 guest 1 confirmed 0 denied 0\n"
        "member e member_name Toimija e invited 0 came 0 guest 1 confirmed 0 denied 0\n"
        "member n member_name Toimija n invited 0 came 0 guest 1 confirmed 0 denied 0\n");
}

Test(metric_meetings, count_what_arose_in_them)
{
    play_year();
    const kap_mp_t *values = ask_year();
    meter_count(values, "referrals", 2);
    meter_count(values, "leads", 1);
    meter_rate(values, "actions", 1, 3);
    meter_count(values, "joint_visits", 2);
    meter_count(values, "visit_referrals", 2);
    meter_rate(values, "visit_actions", 1, 2);
    meter_count(values, "seminars", 1);
}

Test(metric_meetings, stand_by_the_kind_of_their_forum)
{
    play_year();
    cr_expect_str_eq(
        saying_told(d, ask_year(), "kinds"),
        "forum_kind joint_visit planned 1 open 0 held 2 unplanned 1 cancelled 0 moved 0 "
        "adherence 1/1 participation 2/2\n"
        "forum_kind seminar planned 0 open 0 held 1 unplanned 1 cancelled 0 moved 0 "
        "adherence 0/0 participation 0/0\n"
        "forum_kind steering_group planned 1 open 0 held 1 unplanned 0 cancelled 0 moved 0 "
        "adherence 1/1 participation 0/2\n"
        "forum_kind working_group planned 4 open 1 held 2 unplanned 0 cancelled 1 moved 1 "
        "adherence 1/4 participation 5/6\n");
}

Test(metric_meetings, are_held_against_the_clock_of_their_forums)
{
    play_year();
    const kap_mp_t *values = ask_year();
    cr_expect_str_eq(
        saying_told(d, values, "clock"),
        "forum f1 name Työryhmä forum_kind working_group expected 12 due 5 held 2 "
        "cancelled 1 adherence 1/4 yearly_target -\n"
        "forum f2 name - forum_kind steering_group expected 3 due 1 held 1 cancelled 0 "
        "adherence 1/1 yearly_target 3\n");
    meter_count(values, "expected", 15);
    meter_count(values, "due", 6);
    meter_count(ask("2026-02-01", "2026-04-01"), "expected", 3); /* 10 and 18 Feb, 18 March */
    meter_count(ask("2026-01-21", "2026-01-22"), "expected", 1);
    meter_count(ask("2026-01-22", "2026-02-10"), "expected", 0);
    saying_at(d, "2026-06-01");
    say(d, "a", KAP_EV_FORUM_SET, "forum=f2;forum_kind=steering_group;ended=yes;dates=2026-10-10");
    meter_count(ask_year(), "expected", 12); /* it ended before its date */
}

Test(metric_meetings, tell_when_two_members_last_met)
{
    play_year();
    const kap_mp_t *values = ask_year();
    cr_expect_eq(meter_length(values, "pairs"), 21); /* of seven members */
    const kap_mp_t *pair = meter_item(values, "pairs", "a", "a", "b", "b");
    meter_count(pair, "met", 4);   /* m1, v1, m2, s1 */
    meter_count(pair, "days", 71); /* 10 March to 20 May */
    pair = meter_item(values, "pairs", "a", "b", "b", "c");
    meter_count(pair, "met", 3);
    meter_count(pair, "days", 10);
    pair = meter_item(values, "pairs", "a", "f", "b", "g");
    meter_count(pair, "met", 0);
    cr_expect_eq(kap_mp_get(pair, "days")->kind, KAP_MP_NIL);
    values = ask("2026-03-01", "2026-03-05"); /* as of 4 March */
    pair = meter_item(values, "pairs", "a", "a", "b", "b");
    meter_count(pair, "met", 1);
    meter_count(pair, "days", 2);
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    meter_member(m, "mikkeli", "c");
    cr_expect_eq(meter_length(meter_ask(m), "pairs"), 6);
}

Test(metric_meetings, count_in_the_window_of_the_day_they_stand_at)
{
    play_year();
    const kap_mp_t *values = ask("2026-02-01", "2026-03-01"); /* m2 was moved to March */
    meter_count(values, "held", 2);
    meter_count(values, "planned", 1);
    meter_rate(values, "adherence", 1, 1);
    meter_count(ask("2026-02-12", "2026-02-13"), "held", 1);
    meter_count(ask("2026-02-13", "2026-02-20"), "held", 0);
    meter_count(ask(NULL, "2026-02-01"), "held", 1);
    meter_count(ask("2026-05-01", NULL), "held", 1);
    meter_count(ask("2027-01-01", NULL), "planned", 0);
}

Test(metric_meetings, of_a_member_are_those_it_was_invited_to_or_came_to)
{
    play_year();
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    meter_member(m, "mikkeli", "c");
    const kap_mp_t *values = meter_ask(m);
    meter_count(values, "held", 4); /* m1, m2, v2, s1 */
    meter_rate(values, "participation", 2, 3);
    meter_count(values, "guests", 1);
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    meter_edge(m, "a", "c");
    meter_count(meter_ask(m), "held", 2); /* m2, s1: both were there */
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    m->query.what.scope =
        (kap_scope_t){.kind = KAP_SCOPE_ORGANISATION, .organisation = KAP_SPAN("1234567-1")};
    values = meter_ask(m); /* a and e */
    meter_count(values, "held", 5);
    meter_rate(values, "participation", 2, 3);
    meter_count(values, "guests", 3);
}

Test(metric_meetings, of_an_area_and_the_nation_are_those_of_their_regions)
{
    play_year();
    play_others();
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    m->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("etela-savo")};
    const kap_mp_t *values = meter_ask(m);
    meter_count(values, "held", 7);
    meter_count(values, "joint_visits", 3);
    cr_expect_null(kap_mp_get(values, "pairs"));
    cr_expect_null(kap_mp_get(values, "members"));
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    meter_nation(m);
    values = meter_ask(m);
    meter_count(values, "held", 8);
    meter_count(values, "seminars", 2);
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    m->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_REGION, .region = KAP_SPAN("turku")};
    meter_count(meter_ask(m), "held", 1);
}

/* --- targets --- */

static void set_targets(void)
{
    say(d, "a", KAP_EV_TARGET_SET, "target=joint_visits;value=20;year=2026");
    say(d, "a", KAP_EV_TARGET_SET, "target=leads;value=2;year=2026");
    say(d, "a", KAP_EV_TARGET_SET, "target=leads;value=1;year=2026;from=a;to=b"); /* not told */
    say(d, "a", KAP_EV_TARGET_SET, "target=actions;value=3");
    say(d, "a", KAP_EV_TARGET_SET, "target=actions;value=99;valid_to=2025-12-31;service=tax");
    say(d, "a", KAP_EV_TARGET_SET, "target=new_customers;value=8");
    say(d, "a", KAP_EV_TARGET_SET, "target=new_customers;value=4;year=2026");
    say(d, "a", KAP_EV_TARGET_SET, "target=seminars;value=2;valid_to=2025-12-31"); /* no more */
    say(d, "a", KAP_EV_TARGET_SET, "target=meetings;value=10");
    say(d, "a", KAP_EV_TARGET_SET, "target=meetings;value=11;forum=f1");
    say(d, "a", KAP_EV_TARGET_SET, "target=plans;value=80");
    say(d, "a", KAP_EV_TARGET_SET, "target=feedback;value=3");
    say(d, "a", KAP_EV_TARGET_SET, "target=answer;days=5");
}

static void play_targets(void)
{
    play_year();
    set_targets();
    say(d, "b", KAP_EV_NEW_CUSTOMER, "origin=joint_visit;count=5;period=2026-02");
    say(d, "b", KAP_EV_NEW_CUSTOMER, "origin=web;count=7;period=2025-12");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i1;what=x;plan=action;year=2026;progress=100");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i2;what=x;plan=work;year=2025;year_to=2026");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i3;what=x;year=2026;status=toteutunut");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i4;what=x;status=toteutunut"); /* of no year */
    say(d, "b", KAP_EV_REFERRAL_FEEDBACK_GIVEN, "referral=r2;scale=4;score=4");
    say(d, "b", KAP_EV_SURVEY_ANSWERED,
        "survey=customers;question=useful;period=2026-03;value=3;scale=4");
    say(d, "b", KAP_EV_SURVEY_ANSWERED,
        "survey=customers;question=useful;period=2026-03;value=5;scale=5"); /* another scale */
}

Test(metric_meetings, are_told_beside_the_targets_of_the_year)
{
    play_targets();
    const char *of_2026 =
        "target joint_visits year 2026 forum - value 20 done 2 reached 0 regions 1\n"
        "target leads year 2026 forum - value 2 done 2 reached 1 regions 1\n"
        "target actions year 2026 forum - value 3 done 2 reached 0 regions 1\n"
        "target new_customers year 2026 forum - value 4 done 5 reached 1 regions 1\n"
        "target plans year 2026 forum - value 80 done 66.666 reached 0 regions 1\n"
        "target feedback year 2026 forum - value 3 done 3.5 reached 1 regions 1\n"
        "target meetings year 2026 forum - value 10 done 6 reached 0 regions 1\n"
        "target meetings year 2026 forum f1 value 11 done 2 reached 0 regions 1\n";
    cr_expect_str_eq(saying_told(d, ask_year(), "targets"), of_2026);
    cr_expect_str_eq(saying_told(d, ask("2026-02-01", "2026-02-02"), "targets"), of_2026);
    cr_expect_str_eq(saying_told(d, ask(NULL, NULL), "targets"), of_2026);
    cr_expect_str_eq(saying_told(d, ask("2027-01-01", "2028-01-01"), "targets"), ""); /* not yet */
    const kap_mp_t *before = ask("2025-01-01", "2026-01-01");
    meter_word(meter_item(before, "targets", "target", "new_customers", NULL, NULL), "done", "7");
    meter_word(meter_item(before, "targets", "target", "seminars", NULL, NULL), "value", "2");
    meter_word(meter_item(before, "targets", "target", "plans", NULL, NULL), "done", "0");
    cr_expect_eq(
        kap_mp_get(meter_item(before, "targets", "target", "feedback", NULL, NULL), "done")->kind,
        KAP_MP_NIL);
}

Test(metric_meetings, of_regions_add_up_the_targets_that_are_counts)
{
    play_targets();
    play_others();
    say(d, "p", KAP_EV_TARGET_SET, "region=pieksamaki;target=joint_visits;value=1;year=2026");
    say(d, "p", KAP_EV_TARGET_SET, "region=pieksamaki;target=plans;value=50;year=2026");
    say(d, "p", KAP_EV_PLAN_ITEM_SET, "region=pieksamaki;item=i1;what=x;year=2026;progress=100");
    meter_begin(m, d, KAP_METRIC_MEETINGS);
    m->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("etela-savo")};
    meter_days(m, "2026-01-01", "2027-01-01");
    const kap_mp_t *values = meter_ask(m), *visits, *plans;
    visits = meter_item(values, "targets", "target", "joint_visits", NULL, NULL);
    meter_count(visits, "regions", 2);
    meter_count(visits, "reached", 1);
    meter_word(visits, "value", "21");
    meter_word(visits, "done", "3");
    plans = meter_item(values, "targets", "target", "plans", NULL, NULL);
    meter_count(plans, "regions", 2);
    meter_count(plans, "reached", 1);
    cr_expect_eq(kap_mp_get(plans, "value")->kind, KAP_MP_NIL);
}

/* --- asked by request --- */

Test(metric_meetings, are_asked_for_by_member_month_and_region)
{
    play_year();
    const kap_mp_t *answer = question(d, "metric=meetings region=mikkeli year=2026 by=month");
    cr_expect_eq(question_rows(answer), 5);
    cr_expect_eq(question_number(question_row(answer, "2026-03"), "n"), 3); /* m2, m3, s1 */
    cr_expect_eq(question_number(question_row(answer, "2026-03"), "values.held"), 2);
    cr_expect_eq(question_number(question_row(answer, "2026-04"), "pending"), 1);
    answer = question(d, "metric=meetings region=mikkeli by=month");
    cr_expect_eq(question_rows(answer), 5);
    answer = question(d, "metric=meetings region=mikkeli year=2026 by=member");
    cr_expect_eq(question_rows(answer), 5); /* n acts in no region by name */
    cr_expect_eq(question_number(question_row(answer, "a"), "values.held"), 5);
    cr_expect_eq(question_number(question_row(answer, "a"), "values.participation.num"), 2);
    answer = question_as(d, "op", "metric=meetings nation=true year=2026 by=region").root;
    cr_expect_eq(question_number(question_row(answer, "mikkeli"), "values.held"), 6);
}

Test(metric_meetings, of_a_region_tell_outsiders_no_members)
{
    play_year();
    saying_at(d, "2027-02-01"); /* a year that ended long ago */
    say(d, "a", KAP_EV_ACTION_DONE, "action=x2");
    const kap_mp_t *answer = question_as(d, "t", "metric=meetings region=mikkeli year=2026").root;
    cr_assert_not_null(answer);
    const kap_mp_t *values = kap_mp_get(answer, "values");
    meter_count(values, "held", 6);
    cr_expect_gt(meter_length(values, "kinds"), 0);
    cr_expect_null(kap_mp_get(values, "members"));
    cr_expect_null(kap_mp_get(values, "pairs"));
    cr_expect_null(kap_mp_get(values, "clock"));
    answer = question(d, "metric=meetings region=mikkeli year=2026"); /* its coordinator */
    cr_expect_gt(meter_length(kap_mp_get(answer, "values"), "members"), 0);
}

/* --- comments, beside any metric --- */

Test(metric_meetings, a_members_comment_stands_beside_its_figures)
{
    play_year();
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2026-02;text=Kaksi lomalla");
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2026;text=Vilkas vuosi");
    say(d, "c", KAP_EV_FIGURES_COMMENTED, "member=c;period=2026-03;text=Muutto");
    const kap_mp_t *answer = question(d, "metric=meetings region=mikkeli year=2026 by=member");
    const kap_mp_t *comment = kap_mp_get(question_row(answer, "b"), "comment");
    meter_word(comment, "period", "2026");
    meter_word(comment, "text", "Vilkas vuosi");
    meter_word(kap_mp_get(question_row(answer, "c"), "comment"), "text", "Muutto");
    cr_expect_null(kap_mp_get(question_row(answer, "a"), "comment"));
    answer = question(d, "metric=acceptance region=mikkeli month=2026-02 by=member");
    cr_expect_eq(question_rows(answer), 0); /* what is handed over began in May */
    answer = question(d, "metric=meetings region=mikkeli month=2026-02 by=member");
    meter_word(kap_mp_get(question_row(answer, "b"), "comment"), "text", "Kaksi lomalla");
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2026-02");
    answer = question(d, "metric=meetings region=mikkeli month=2026-02 by=member");
    cr_expect_null(kap_mp_get(question_row(answer, "b"), "comment"));
}

/* --- organisations as they are today --- */

static void follow(kap_event_type_t type, const char *from, const char *to)
{
    char fields[80];

    snprintf(fields, sizeof fields, "from_ids=%s;to_ids=%s;valid_from=2026-05-01", from, to);
    say(d, "op", type, fields);
}

Test(metric_meetings, stand_with_who_followed_in_the_view_now)
{
    play_year();
    follow(KAP_EV_MEMBER_SUCCEEDED, "b", "d");
    const char *words = "metric=meetings region=mikkeli member=d year=2026";
    const kap_mp_t *then = question(d, words);
    cr_expect_eq(question_number(then, "values.held"), 1 + 1); /* m5, where it did not come; s1 */
    const kap_mp_t *now = question(d, "metric=meetings region=mikkeli member=d year=2026 view=now");
    cr_expect_eq(question_number(now, "values.held"), 6); /* those of b: m1, m2, v1, v2, s1 too */
    const kap_mp_t *pair = meter_item(kap_mp_get(now, "values"), "pairs", "a", "a", "b", "d");
    meter_count(pair, "met", 4);
    meter_count(pair, "days", 71);
    now = question(d, "metric=meetings region=mikkeli year=2026 view=now");
    meter_count(meter_item(kap_mp_get(now, "values"), "members", "member", "d", NULL, NULL), "came",
                3);
    meter_count(meter_item(kap_mp_get(now, "values"), "members", "member", "d", NULL, NULL),
                "guest", 2); /* v1 and s1, where both of them were */
    cr_expect_null(meter_item(kap_mp_get(now, "values"), "members", "member", "b", NULL, NULL));
}

Test(metric_meetings, of_a_region_that_was_merged_count_in_the_one_that_followed)
{
    play_year();
    play_others();
    follow(KAP_EV_REGION_SUCCEEDED, "pieksamaki", "mikkeli");
    cr_expect_eq(
        question_number(question(d, "metric=meetings region=mikkeli year=2026"), "values.held"), 6);
    const kap_mp_t *now = question(d, "metric=meetings region=mikkeli year=2026 view=now");
    cr_expect_eq(question_number(now, "values.held"), 7);
    cr_expect_eq(question_number(now, "values.joint_visits"), 3);
    now = question_as(d, "op", "metric=meetings nation=true year=2026 by=region view=now").root;
    cr_expect_eq(question_number(question_row(now, "mikkeli"), "values.held"), 7);
    cr_expect_null(question_row(now, "pieksamaki"));
    cr_expect_eq(question_number(now, "values.held"), 8);
}
