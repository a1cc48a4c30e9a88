/* SPDX-License-Identifier: MPL-2.0 */
/* The index of meetings and of the follow-up model: what lies where after corrections, late reports
 * and moves. Every test ends with a recount of the log. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "err.h"
#include "followed.h"
#include "followup.h"
#include "saying.h"

static desk_t desk, *d = &desk;
static kap_txn_t *txn;

static void start(void)
{
    desk_open(d, true);
}

static void look(void)
{
    if (txn == NULL)
        cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
}

static void look_away(void)
{
    kap_txn_abort(&txn);
}

static void stop(void)
{
    look_away();
    desk_audit(d);
    desk_close(d);
}

TestSuite(followed, .init = start, .fini = stop);

static uint32_t number(const char *text)
{
    uint32_t n = 0;

    look();
    cr_assert_eq(kap_rows_number(txn, kap_span_str(text), &n), KAP_OK);
    return n;
}

/* [from, to): days, or "" for an open side. */
static kap_followed_range_t range(const char *region, const char *member, const char *from,
                                  const char *to)
{
    kap_followed_range_t r = {number(region), *member ? number(member) : 0, INT64_MIN, INT64_MAX};
    kap_date_t date;

    if (*from && kap_date_parse(kap_span_str(from), &date) == KAP_OK)
        r.from_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, date);
    if (*to && kap_date_parse(kap_span_str(to), &date) == KAP_OK)
        r.to_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, date);
    return r;
}

/* --- advice and new customers --- */

typedef struct {
    uint64_t all, tax, by_phone, harava, calls;
} sums_t;

static int sum_up(void *arg, const kap_followed_count_t *count)
{
    sums_t *s = arg;

    s->all += count->count;
    s->tax += count->service == KAP_SERVICE_TAX ? count->count : 0;
    s->by_phone += count->channel == KAP_CHANNEL_PHONE ? count->count : 0;
    s->harava += count->origin == KAP_ORIGIN_HARAVA ? count->count : 0;
    s->calls++;
    return KAP_OK;
}

static sums_t counted(kap_followed_kind_t kind, const char *region, const char *member,
                      const char *from, const char *to)
{
    kap_followed_range_t r = range(region, member, from, to);
    sums_t sums = {0};

    cr_assert_eq(kap_followed_counts(txn, kind, &r, sum_up, &sums), KAP_OK);
    look_away();
    return sums;
}

static sums_t advice(const char *region, const char *member, const char *from, const char *to)
{
    return counted(KAP_FOLLOWED_ADVICE, region, member, from, to);
}

static void advise(const char *who, const char *fields)
{
    char text[300];

    snprintf(text, sizeof text, "segment=founder;channel=phone;%s", fields);
    say(d, who, KAP_EV_ADVICE_GIVEN, text);
}

Test(followed, advice_is_found_by_any_window)
{
    saying_at(d, "2026-03-20");
    advise("b", "service=tax;count=3;period=2026-02-10");
    advise("b", "service=tax;count=4;period=2026-02-11");
    advise("c", "service=export;count=5;period=2026-01-31");
    advise("c", "service=export;count=6;channel=web;period=2026-03");
    advise("a", "service=export;count=7;member=b"); /* without a period: 20 March */
    cr_expect_eq(advice("mikkeli", "", "", "").all, 25);
    cr_expect_eq(advice("mikkeli", "", "2026-02-01", "2026-03-01").all, 7);
    cr_expect_eq(advice("mikkeli", "", "2026-02-11", "2026-03-01").all, 4);
    cr_expect_eq(advice("mikkeli", "", "2026-02-10", "2026-02-11").all, 3);
    cr_expect_eq(advice("mikkeli", "", "2026-01-31", "2026-03-02").all, 18);
    cr_expect_eq(advice("mikkeli", "", "2026-01-01", "2027-01-01").all, 25);
    cr_expect_eq(advice("mikkeli", "", "2026-03-02", "2026-03-21").all, 7);
    cr_expect_eq(advice("mikkeli", "", "", "2026-02-11").all, 8);
    cr_expect_eq(advice("mikkeli", "", "2026-02-11", "").all, 17);
    cr_expect_eq(advice("mikkeli", "", "2026-01-01", "2027-01-01").tax, 7);
    cr_expect_eq(advice("mikkeli", "", "2026-01-01", "2027-01-01").by_phone, 19);
    cr_expect_eq(advice("mikkeli", "b", "2026-01-01", "2027-01-01").all, 14);
    cr_expect_eq(advice("mikkeli", "b", "2026-02-10", "2026-02-11").all, 3);
    cr_expect_eq(advice("mikkeli", "c", "2026-02-01", "2026-03-01").all, 0);
}

Test(followed, a_year_of_advice_costs_its_months_and_combinations)
{
    for (int i = 0; i < 60; i++)
        advise("b",
               i % 2 ? "service=tax;count=1;period=2026-02" : "service=tax;count=1;period=2026-04");
    sums_t year = advice("mikkeli", "", "2026-01-01", "2027-01-01");
    cr_expect_eq(year.all, 60);
    cr_expect_eq(year.calls, 2, "rows walked: %llu", (unsigned long long)year.calls);
}

Test(followed, advice_said_late_counts_in_its_own_period)
{
    saying_at(d, "2027-02-01");
    advise("b", "service=tax;count=3;time=2026-12-31 23:30");
    advise("b", "service=tax;count=2;period=2026");
    cr_expect_eq(advice("mikkeli", "", "2026-12-01", "2027-01-01").all, 3);
    cr_expect_eq(advice("mikkeli", "", "2026-01-01", "2027-01-01").all, 5);
    cr_expect_eq(advice("mikkeli", "", "2026-01-01", "2026-02-01").all, 2); /* from its first day */
    cr_expect_eq(advice("mikkeli", "", "2027-01-01", "").all, 0);
}

Test(followed, regions_lie_apart)
{
    advise("b", "service=tax;count=3");
    say(d, "p", KAP_EV_ADVICE_GIVEN,
        "region=pieksamaki;service=tax;segment=founder;channel=web;count=9");
    cr_expect_eq(advice("mikkeli", "", "", "").all, 3);
    cr_expect_eq(advice("pieksamaki", "", "", "").all, 9);
}

Test(followed, new_customers_are_counted_by_origin)
{
    saying_at(d, "2026-03-20");
    say(d, "b", KAP_EV_NEW_CUSTOMER, "origin=harava;count=8;period=2026-02");
    say(d, "b", KAP_EV_NEW_CUSTOMER, "origin=web;count=2;segment=founder;period=2026-03");
    sums_t sums = counted(KAP_FOLLOWED_NEW_CUSTOMER, "mikkeli", "", "2026-01-01", "2027-01-01");
    cr_expect_eq(sums.all, 10);
    cr_expect_eq(sums.harava, 8);
    cr_expect_eq(advice("mikkeli", "", "", "").all, 0);
}

/* --- what replaces --- */

static int add_customers(void *arg, const kap_followed_customers_t *row)
{
    *(uint64_t *)arg += row->total * 1000 + row->new_ones;
    return KAP_OK;
}

static uint64_t customers(const char *member, const char *from, const char *to)
{
    kap_followed_range_t r = range("mikkeli", member, from, to);
    uint64_t sum = 0;

    cr_assert_eq(kap_followed_customers(txn, &r, add_customers, &sum), KAP_OK);
    look_away();
    return sum;
}

Test(followed, the_last_report_of_a_years_customers_counts)
{
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=40;new=12");
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=41;new=13");
    say(d, "c", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=5;new=1");
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2024;segment=founder;total=30;new=0");
    cr_expect_eq(customers("", "2025-01-01", "2026-01-01"), 46014);
    cr_expect_eq(customers("", "2024-01-01", "2026-01-01"), 76014);
    cr_expect_eq(customers("b", "2025-01-01", "2026-01-01"), 41013);
    cr_expect_eq(customers("", "2025-01-02", "2026-01-01"), 0);
}

Test(followed, a_group_that_replaces_itself_leaves_the_last)
{
    for (int total = 1; total <= 3; total++) {
        char fields[80];
        snprintf(fields, sizeof fields, "year=2025;segment=founder;total=%d;new=0", total);
        saying_add(d, "b", KAP_EV_CUSTOMERS_REPORTED, fields);
        desk_group(d, "g1");
    }
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_expect_eq(customers("", "", ""), 3000);
    say(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=7;new=0");
    cr_expect_eq(customers("", "", ""), 7000);
}

Test(followed, tallies_of_a_group_that_replace_each_other_count_once)
{
    kap_edges_t edges;

    for (int count = 1; count <= 3; count++) {
        char fields[120];
        snprintf(fields, sizeof fields, "from=b;to=c;kind=transfer;period=2026-01;count=%d", count);
        saying_add(d, "b", KAP_EV_HANDOVER_TALLIED, fields);
        desk_group(d, "g1");
    }
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 2)->verdict, KAP_VERDICT_ACCEPTED);
    desk_edges(d, "mikkeli", &edges);
    cr_expect_eq(desk_edge(&edges, "b", "c")->counts[KAP_FIGURE_REPORTED], 3);
}

Test(followed, a_refused_group_leaves_nothing)
{
    saying_add(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=9;new=0");
    desk_group(d, "g1");
    saying_add(d, "b", KAP_EV_CUSTOMERS_REPORTED, "year=2025;segment=founder;total=1;new=2");
    desk_group(d, "g1");
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 0)->verdict, KAP_VERDICT_REFUSED);
    advise("b", "service=tax;count=1"); /* so that the region has a number */
    cr_expect_eq(customers("", "", ""), 0);
}

typedef struct {
    int items, reached, reported;
    int64_t progress;
    int status;
} plan_t;

static int add_item(void *arg, const kap_followed_item_t *item)
{
    plan_t *p = arg;

    p->items++;
    p->reached += kap_plan_reached(item->progress, item->status);
    p->reported += item->reported;
    p->progress = item->progress;
    p->status = item->status;
    return KAP_OK;
}

static plan_t plan(const char *to)
{
    kap_followed_range_t r = range("mikkeli", "", "", to);
    plan_t p = {0};

    cr_assert_eq(kap_followed_items(txn, &r, add_item, &p), KAP_OK);
    look_away();
    return p;
}

Test(followed, an_item_stands_as_the_report_of_the_latest_period_says)
{
    saying_at(d, "2026-06-10");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i1;what=Käynnit;plan=action;year=2026");
    cr_expect_eq(plan("").reported, 0);
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;progress=60");                /* in June */
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026-03;progress=20"); /* late */
    cr_expect_eq(plan("").progress, 60);
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026-05;text=Sanoin"); /* no standing */
    cr_expect_eq(plan("").progress, 60);
    saying_at(d, "2026-09-10");
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026-08;progress=100");
    cr_expect_eq(plan("").reached, 1);
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026-08;progress=90"); /* corrected */
    cr_expect_eq(plan("").reached, 0);
    cr_expect_eq(plan("").progress, 90);
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;period=2026;status=Toteutunut"); /* so far */
    cr_expect_eq(plan("").reached, 1);
    cr_expect_eq(plan("").items, 1);
}

Test(followed, an_item_that_is_set_again_is_one_item)
{
    saying_at(d, "2026-06-10");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i1;what=Käynnit;plan=action;year=2026");
    say(d, "b", KAP_EV_PLAN_ITEM_REPORTED, "item=i1;progress=60");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i1;what=Käynnit;plan=work;year=2027;progress=10");
    cr_expect_eq(plan("").items, 1);
    cr_expect_eq(plan("").progress, 60); /* at the same time: the report */
    cr_expect_eq(plan("2027-01-01").items, 0);
    saying_at(d, "2026-06-11");
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i1;what=Käynnit;year=2027;status=reached");
    cr_expect_eq(plan("").status, KAP_PLAN_STATUS_REACHED); /* said later */
    say(d, "b", KAP_EV_PLAN_ITEM_SET, "item=i2;what=Ilman vuotta");
    cr_expect_eq(plan("2027-01-01").items, 1);
    cr_expect_eq(plan("").items, 2);
}

typedef struct {
    char text[600];
} told_t;

static int tell_indicator(void *arg, const kap_followed_indicator_t *row)
{
    told_t *t = arg;
    size_t at = strlen(t->text);

    snprintf(t->text + at, sizeof t->text - at, "%s%.*s %d %.*s=%.*s;", row->before ? "<" : "",
             KAP_SPAN_ARGS(row->indicator), row->segment, KAP_SPAN_ARGS(row->period),
             KAP_SPAN_ARGS(row->value));
    return KAP_OK;
}

static told_t indicators(const char *from, const char *to)
{
    kap_followed_range_t r = range("mikkeli", "", from, to);
    told_t told = {0};

    cr_assert_eq(kap_followed_indicators(txn, &r, tell_indicator, &told), KAP_OK);
    look_away();
    return told;
}

static void indicate(const char *fields)
{
    char text[200];

    snprintf(text, sizeof text, "unit=persons;info_source=tilasto;%s", fields);
    say(d, "b", KAP_EV_INDICATOR_REPORTED, text);
}

Test(followed, indicators_come_with_the_year_before)
{
    indicate("indicator=jobless;period=2026-02;value=1230");
    indicate("indicator=jobless;period=2026-01;value=1234"); /* late */
    indicate("indicator=jobless;period=2025-12;value=1300");
    indicate("indicator=jobless;period=2024-01;value=2000"); /* too long ago */
    indicate("indicator=jobless;period=2026-02;value=1231.5");
    indicate("indicator=job;period=2026-02;value=7");
    indicate("indicator=jobless;period=2026-02;value=31;segment=founder");
    cr_expect_str_eq(indicators("2026-01-01", "2027-01-01").text,
                     "job -1 2026-02=7;<jobless -1 2025-12=1300;jobless -1 2026-01=1234;"
                     "jobless -1 2026-02=1231.5;jobless 0 2026-02=31;");
    cr_expect_str_eq(indicators("2027-06-01", "2027-07-01").text, "");
    cr_expect_neq(strstr(indicators("", "").text, "jobless -1 2024-01=2000"), NULL);
}

static int tell_target(void *arg, const kap_followed_target_t *row)
{
    told_t *t = arg;
    size_t at = strlen(t->text);

    snprintf(t->text + at, sizeof t->text - at, "%s %d=%.*s;",
             kap_code_name(KAP_LIST_TARGET, row->target), row->year, KAP_SPAN_ARGS(row->value));
    return KAP_OK;
}

Test(followed, targets_of_counts_stand_by_year)
{
    told_t told = {0};

    say(d, "a", KAP_EV_TARGET_SET, "target=joint_visits;value=15;year=2026");
    say(d, "a", KAP_EV_TARGET_SET, "target=joint_visits;value=20;year=2026");
    say(d, "a", KAP_EV_TARGET_SET, "target=plans;value=80");
    say(d, "a", KAP_EV_TARGET_SET, "target=answer;days=5"); /* of the machines, not of the index */
    cr_assert_eq(kap_followed_targets((look(), txn), number("mikkeli"), tell_target, &told),
                 KAP_OK);
    cr_expect_str_eq(told.text, "plans 0=80;joint_visits 2026=20;");
}

static int tell_comment(void *arg, const kap_followed_comment_t *row)
{
    told_t *t = arg;
    size_t at = strlen(t->text);

    snprintf(t->text + at, sizeof t->text - at, "%.*s=%.*s;", KAP_SPAN_ARGS(row->period),
             KAP_SPAN_ARGS(row->text));
    return KAP_OK;
}

static told_t comments(const char *member, const char *from, const char *to)
{
    kap_followed_range_t r = range("mikkeli", member, from, to);
    told_t told = {0};

    cr_assert_eq(kap_followed_comments(txn, &r, tell_comment, &told), KAP_OK);
    look_away();
    return told;
}

Test(followed, a_comment_can_be_changed_and_taken_back)
{
    kap_followed_comment_t comment;

    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2025-10;text=yksi");
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2025-10;text=kaksi");
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2025;text=vuosi");
    say(d, "c", KAP_EV_FIGURES_COMMENTED, "member=c;period=2025-11;text=kolme");
    cr_expect_str_eq(comments("", "2025-01-01", "2026-01-01").text,
                     "2025=vuosi;2025-10=kaksi;2025-11=kolme;");
    cr_expect_str_eq(comments("b", "2025-10-01", "2025-11-01").text, "2025-10=kaksi;");
    cr_expect_str_eq(comments("", "2025-10-02", "2025-12-01").text, "2025-11=kolme;");
    kap_followed_range_t year = range("mikkeli", "b", "2025-01-01", "2026-01-01");
    cr_assert_eq(kap_followed_comment(txn, &year, &comment), KAP_OK);
    cr_expect(kap_span_eq_str(comment.text, "vuosi"));
    look_away();
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2025");
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2025");
    cr_expect_str_eq(comments("b", "2025-01-01", "2026-01-01").text, "2025-10=kaksi;");
    say(d, "b", KAP_EV_FIGURES_COMMENTED, "member=b;period=2025;text=taas");
    cr_expect_str_eq(comments("b", "2025-01-01", "2026-01-01").text, "2025=taas;2025-10=kaksi;");
    kap_followed_range_t none = range("mikkeli", "c", "2025-10-01", "2025-11-01");
    cr_expect_eq(kap_followed_comment(txn, &none, &comment), KAP_E_NOTFOUND);
}

static int add_survey(void *arg, const kap_followed_survey_t *row)
{
    told_t *t = arg;
    size_t at = strlen(t->text);

    snprintf(t->text + at, sizeof t->text - at, "%d %.*s %.*s %d/%d: %llu %lld %llu;", row->year,
             KAP_SPAN_ARGS(row->survey), KAP_SPAN_ARGS(row->question), row->segment, row->scale,
             (unsigned long long)row->n, (long long)row->sum_milli, (unsigned long long)row->texts);
    return KAP_OK;
}

Test(followed, answers_are_summed_by_year_and_kept_nowhere_else)
{
    told_t told = {0};

    say(d, "b", KAP_EV_SURVEY_ANSWERED, "survey=s1;question=q1;period=2026-02-03;value=6");
    say(d, "c", KAP_EV_SURVEY_ANSWERED, "survey=s1;question=q1;period=2026-11;value=4.5");
    say(d, "c", KAP_EV_SURVEY_ANSWERED, "survey=s1;question=q1;period=2025;value=1;scale=4");
    say(d, "c", KAP_EV_SURVEY_ANSWERED, "survey=s1;question=q2;period=2026;text=hyvin");
    cr_assert_eq(
        kap_followed_surveys((look(), txn), number("mikkeli"), 2025, 2026, add_survey, &told),
        KAP_OK);
    cr_expect_str_eq(told.text, "2025 s1 q1 -1/4: 1 1000 0;2026 s1 q1 -1/0: 2 10500 0;"
                                "2026 s1 q2 -1/0: 0 0 1;");
}

/* --- meetings --- */

static int tell_meeting(void *arg, kap_span_t id, const kap_meeting_t *meeting)
{
    told_t *t = arg;
    size_t at = strlen(t->text);

    snprintf(t->text + at, sizeof t->text - at, "%.*s %s;", KAP_SPAN_ARGS(id),
             kap_code_name(KAP_LIST_MEETING, meeting->state));
    return KAP_OK;
}

static told_t meetings(const char *from, const char *to)
{
    kap_followed_range_t r = range("mikkeli", "", from, to);
    told_t told = {0};

    cr_assert_eq(kap_followed_meetings(txn, &r, tell_meeting, &told), KAP_OK);
    look_away();
    return told;
}

Test(followed, a_meeting_lies_where_it_was_held_or_is_planned)
{
    saying_at(d, "2026-03-20");
    say(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m2;starts_at=2026-02-10");
    say(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m1;starts_at=2026-02-20");
    say(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m3;starts_at=2026-02-11");
    cr_expect_str_eq(meetings("2026-02-01", "2026-03-01").text,
                     "m2 planned;m3 planned;m1 planned;");
    say(d, "a", KAP_EV_MEETING_MOVED, "meeting=m2;starts_at=2026-03-10");
    say(d, "a", KAP_EV_MEETING_CANCELLED, "meeting=m3");
    cr_expect_str_eq(meetings("2026-02-01", "2026-03-01").text, "m3 cancelled;m1 planned;");
    say(d, "a", KAP_EV_MEETING_HELD, "meeting=m2;starts_at=2026-02-12;attendance=a,b");
    say(d, "b", KAP_EV_MEETING_ATTENDED, "meeting=m2;member=b;present=present");
    say(d, "b", KAP_EV_MEETING_HELD, "meeting=m4;region=mikkeli;starts_at=2026-02-28 23:59");
    cr_expect_str_eq(meetings("2026-02-01", "2026-03-01").text,
                     "m3 cancelled;m2 held;m1 planned;m4 held;");
    cr_expect_str_eq(meetings("2026-03-01", "").text, "");
    cr_expect_str_eq(meetings("2026-02-12", "2026-02-13").text, "m2 held;");
}

Test(followed, meetings_of_a_group_are_recounted_to_the_same_names)
{
    saying_add(d, "a", KAP_EV_MEETING_PLANNED, "meeting=m1;starts_at=2026-01-03;members=c");
    desk_group(d, "g1");
    saying_add(d, "a", KAP_EV_MEETING_MOVED, "meeting=m1;starts_at=2026-01-04");
    desk_group(d, "g1");
    saying_add(d, "a", KAP_EV_MEETING_HELD, "meeting=m1;starts_at=2026-01-04;attendance=d,e");
    desk_group(d, "g1");
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 2)->verdict, KAP_VERDICT_ACCEPTED);
    cr_expect_str_eq(meetings("2026-01-01", "").text, "m1 held;");
    cr_expect_neq(number("e"), 0); /* it can be asked for */
}

static int count_action(void *arg, kap_span_t id, const kap_action_t *action)
{
    (void)id;
    *(int *)arg += action->done ? 10 : 1;
    return KAP_OK;
}

static int count_referral(void *arg, const kap_referral_row_t *referral)
{
    (void)referral;
    ++*(int *)arg;
    return KAP_OK;
}

static int arisen(const char *meeting)
{
    int count = 0;

    look();
    cr_assert_eq(kap_followed_referrals(txn, number("mikkeli"), kap_span_str(meeting),
                                        count_referral, &count),
                 KAP_OK);
    look_away();
    return count;
}

Test(followed, what_arose_in_a_meeting_is_found_by_it)
{
    int actions = 0;

    say(d, "a", KAP_EV_MEETING_HELD, "meeting=m1;region=mikkeli;forum_kind=joint_visit");
    say(d, "a", KAP_EV_MEETING_HELD, "meeting=m12;region=mikkeli;forum_kind=joint_visit");
    say(d, "a", KAP_EV_ACTION_AGREED, "action=x1;meeting=m1;what=soitto;member=b");
    say(d, "a", KAP_EV_ACTION_AGREED, "action=x2;meeting=m1;what=kirje");
    say(d, "a", KAP_EV_ACTION_AGREED, "action=x3;meeting=m12;what=muu");
    say(d, "b", KAP_EV_ACTION_DONE, "action=x1");
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        desk_span(d, KAP_F_MEETING, i < 2 ? "m1" : "m12");
        cr_assert_eq(desk_said(d), 0);
    }
    desk_created(d, "a", "r9", "r9", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    look();
    cr_assert_eq(
        kap_followed_actions(txn, number("mikkeli"), KAP_SPAN("m1"), count_action, &actions),
        KAP_OK);
    cr_expect_eq(actions, 11);
    look_away();
    cr_expect_eq(arisen("m1"), 2);
    cr_expect_eq(arisen("m12"), 1);
    desk_referral(d, "a", KAP_EV_REFERRAL_VOIDED, "r0");
    cr_assert_eq(desk_said(d), 0);
    cr_expect_eq(arisen("m1"), 1);
}

static int count_forum(void *arg, kap_span_t id, const kap_forum_t *forum)
{
    (void)id;
    *(int *)arg += forum->ended ? 10 : 1;
    return KAP_OK;
}

Test(followed, forums_of_a_region)
{
    int forums = 0;

    say(d, "a", KAP_EV_FORUM_SET, "forum=f1;forum_kind=working_group;members=a,b");
    say(d, "a", KAP_EV_FORUM_SET, "forum=f1;forum_kind=working_group;members=a,b,c");
    say(d, "a", KAP_EV_FORUM_SET, "forum=f2;forum_kind=project;ended=yes");
    look();
    cr_assert_eq(kap_followed_forums(txn, number("mikkeli"), count_forum, &forums), KAP_OK);
    cr_expect_eq(forums, 11);
}

Test(followed, periods_and_decimals)
{
    int64_t from, to, milli;
    kap_buf_t buf = {0};

    cr_assert(kap_period_range(KAP_SPAN("2026-02"), &from, &to));
    cr_expect_eq(from, saying_time("2026-02-01 00:00"));
    cr_expect_eq(to, saying_time("2026-03-01 00:00"));
    cr_assert(kap_period_range(KAP_SPAN("2026-12"), &from, &to));
    cr_expect_eq(to, saying_time("2027-01-01 00:00"));
    cr_assert(kap_period_range(KAP_SPAN("2026"), &from, &to));
    cr_expect_eq(from, saying_time("2026-01-01 00:00"));
    cr_expect_eq(to, saying_time("2027-01-01 00:00"));
    cr_assert(kap_period_range(KAP_SPAN("2026-03-29"), &from, &to));
    cr_expect_eq(to - from, 23 * KAP_HOUR_MS);
    cr_expect_not(kap_period_range(KAP_SPAN("2026-1"), &from, &to));
    cr_expect_not(kap_period_range(kap_span(NULL, 0), &from, &to));
    static const struct {
        const char *text, *back;
        int64_t milli;
    } good[] = {{"0", "0", 0},
                {"6", "6", 6000},
                {"4.5", "4.5", 4500},
                {"-1.25", "-1.25", -1250},
                {"0.0005", "0.001", 1},
                {"12.005", "12.005", 12005},
                {"1.2344", "1.234", 1234},
                {"99999999999999", "99999999999999", INT64_C(99999999999999000)}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(kap_decimal_milli(kap_span_str(good[i].text), &milli), "%s", good[i].text);
        cr_expect_eq(milli, good[i].milli, "%s: %lld", good[i].text, (long long)milli);
        kap_buf_reset(&buf);
        kap_decimal_put(&buf, milli);
        cr_expect_str_eq(kap_buf_cstr(&buf), good[i].back);
    }
    cr_expect_not(kap_decimal_milli(KAP_SPAN("9999999999999999"), &milli));
    cr_expect_not(kap_decimal_milli(KAP_SPAN(""), &milli));
    cr_expect_not(kap_decimal_milli(KAP_SPAN("x"), &milli));
    kap_buf_fini(&buf);
}
