/* SPDX-License-Identifier: MPL-2.0 */
/* Organisations as they are today: the same questions in both views, and histories that are told a
 * second time with the names of today. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "err.h"
#include "now.h"
#include "question.h"
#include "rows.h"

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

TestSuite(now, .init = start, .fini = stop, .timeout = 120);

/* --- short words --- */

static void send_all(desk_t *at)
{
    cr_assert_eq(desk_send(at), KAP_RECEIPT_OK);
    for (uint32_t i = 0; i < at->last->results[0].count; i++)
        cr_assert_eq(desk_decided(at, i)->verdict, KAP_VERDICT_ACCEPTED, "%u: refusal %u", i,
                     desk_decided(at, i)->why.number);
}

static void tell(const char *who, kap_event_type_t type, const char *referral)
{
    desk_referral(d, who, type, referral);
    send_all(d);
}

static void hand(const char *referral, const char *case_id, const char *from, const char *to,
                 const char *region, const char *parent)
{
    desk_created(d, from, referral, case_id, from, to, region, parent);
    send_all(d);
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
    send_all(d);
    tell(to, KAP_EV_REFERRAL_DELIVERED, next);
}

static void play_golden(void)
{
    hand("1", "case1", "a", "b", "mikkeli", NULL);
    complete("b", "1");
    hand("2a", "case2", "a", "b", "mikkeli", NULL);
    redirect("b", "2a", "2b", "case2", "c");
    complete("c", "2b");
    hand("3a", "case3", "a", "b", "mikkeli", NULL);
    redirect("b", "3a", "3b", "case3", "a");
    redirect("a", "3b", "3c", "case3", "b");
    complete("b", "3c");
    desk_created(d, "a", "4a", "case4", "a", "c", "mikkeli", NULL);
    kap_event_builder_set_bool(&d->builder, KAP_F_RETURN_EXPECTED, true);
    send_all(d);
    tell("c", KAP_EV_REFERRAL_DELIVERED, "4a");
    complete("c", "4a");
    hand("4b", "case4", "c", "a", "mikkeli", "4a");
    complete("a", "4b");
    hand("5", "case5", "c", "b", "mikkeli", NULL);
    tell("b", KAP_EV_REFERRAL_DECLINED, "5");
}

static void follow(kap_event_type_t type, const char *from, const char *to, const char *by_region)
{
    desk_event(d, "op", type, d->now);
    desk_list(d, KAP_F_FROM_IDS, from);
    desk_list(d, KAP_F_TO_IDS, to);
    desk_span(d, KAP_F_VALID_FROM, "2026-01-01");
    if (by_region != NULL)
        desk_map(d, KAP_F_BY_REGION, by_region);
    send_all(d);
}

/* Asked by f, who reads both regions, or by the operator, who has the totals of all. */
static const kap_mp_t *ask(const char *words)
{
    question_t answer = question_as(d, "f", words);

    if (answer.refusal != 0)
        answer = question_as(d, "op", words);
    cr_assert_eq(answer.refusal, 0, "%s: %s", words, answer.why);
    return answer.root;
}

static void is_at(const kap_mp_t *answer, const char *row, const char *path, int64_t number,
                  int line)
{
    const kap_mp_t *map = row == NULL ? answer : question_row(answer, row);

    cr_assert_not_null(map, "line %d: no row %s", line, row);
    cr_expect_eq(question_number(map, path), number, "line %d: %s %s is %lld, not %lld", line,
                 row == NULL ? "all" : row, path, (long long)question_number(map, path),
                 (long long)number);
}
#define IS(answer, row, path, number) is_at(answer, row, path, number, __LINE__)

/* --- several that merged --- */

Test(now, what_lay_between_those_who_merged_is_internal_and_apart)
{
    play_golden();
    follow(KAP_EV_MEMBER_SUCCEEDED, "b,c", "d", NULL);
    const kap_mp_t *then = ask("metric=matrix region=mikkeli by=edge view=then");
    const kap_mp_t *now = ask("metric=matrix region=mikkeli by=edge view=now");

    cr_expect_eq(question_rows(then), 6);
    IS(then, NULL, "values.transfers", 9);
    IS(then, NULL, "values.internal", 0);
    cr_expect_eq(question_rows(now), 2);
    IS(now, "a>d", "values.transfers", 5);
    IS(now, "d>a", "values.transfers", 2);
    IS(now, NULL, "values.transfers", 7);
    IS(now, NULL, "values.internal", 2);
    now = ask("metric=acceptance region=mikkeli by=member view=now");
    IS(now, "d", "values.rate.num", 3);
    IS(now, "d", "values.rate.den", 5);
    IS(now, "a", "values.rate.num", 1);
    IS(now, "a", "values.rate.den", 2);
    IS(now, NULL, "values.accepted", 4);
}

Test(now, cases_and_their_tree_are_counted_anew)
{
    play_golden();
    follow(KAP_EV_MEMBER_SUCCEEDED, "b,c", "d", NULL);
    const kap_mp_t *then = ask("metric=ping-pong region=mikkeli by=edge");
    const kap_mp_t *now = ask("metric=ping-pong region=mikkeli by=edge view=now");

    IS(then, NULL, "values.rate.num", 1);
    IS(then, NULL, "values.ping_pongs", 2);
    IS(now, NULL, "values.rate.num", 1);
    IS(now, NULL, "values.rate.den", 5);
    IS(now, NULL, "values.ping_pongs", 2);
    IS(now, "d>a", "values.ping_pongs", 1);
    IS(now, "a>d", "values.ping_pongs", 1);
    IS(ask("metric=served region=mikkeli"), NULL, "values.rate.num", 4);
    IS(ask("metric=served region=mikkeli"), NULL, "values.rate.den", 5);
    now = ask("metric=served region=mikkeli view=now");
    IS(now, NULL, "values.rate.num", 3);
    IS(now, NULL, "values.rate.den", 4);
    IS(now, NULL, "values.cases", 5);
    now = ask("metric=working-together region=mikkeli edge=a>d view=now");
    IS(now, NULL, "values.together.num", 4);
    IS(now, NULL, "values.together.den", 4);
    IS(now, NULL, "values.subcontracts", 2);
    now = ask("metric=chain-length region=mikkeli view=now");
    IS(now, NULL, "values.max", 3);
}

Test(now, a_way_back_that_a_merger_makes_is_one)
{
    hand("1", "case1", "a", "b", "mikkeli", NULL);
    d->now += KAP_HOUR_MS;
    redirect("b", "1", "2", "case1", "c");
    IS(ask("metric=ping-pong region=mikkeli"), NULL, "values.ping_pongs", 0);
    follow(KAP_EV_MEMBER_SUCCEEDED, "a,c", "d", NULL);
    const kap_mp_t *now = ask("metric=ping-pong region=mikkeli time=elapsed by=edge view=now");

    IS(now, NULL, "values.rate.num", 1);
    IS(now, "b>d", "values.ping_pongs", 1);
    IS(now, NULL, "values.cost.n", 1);
    IS(now, NULL, "values.cost.p50_ms", KAP_HOUR_MS);
    IS(ask("metric=ping-pong region=mikkeli"), NULL, "values.ping_pongs", 0);
    IS(ask("metric=ping-pong region=mikkeli"), NULL, "values.cost.n", 0);
}

Test(now, times_leave_out_what_became_internal)
{
    play_golden();
    follow(KAP_EV_MEMBER_SUCCEEDED, "b,c", "d", NULL);
    IS(ask("metric=time-to-accept region=mikkeli"), NULL, "values.time.n", 5);
    const kap_mp_t *now = ask("metric=time-to-accept region=mikkeli by=member view=now");
    IS(now, NULL, "values.time.n", 4);
    IS(now, "d", "values.time.n", 3);
    IS(now, "a", "values.time.n", 1);
}

/* n referrals from one to another, each accepted some minutes after it arrived. */
static void many(const char *from, const char *to, int n, int minutes, int prefix)
{
    char id[16];

    for (int i = 0; i < n; i++) {
        int64_t at = d->now;
        snprintf(id, sizeof id, "%c%d", prefix, i);
        hand(id, id, from, to, "mikkeli", NULL);
        d->now += minutes * KAP_MINUTE_MS;
        tell(to, KAP_EV_REFERRAL_ACCEPTED, id);
        d->now = at + KAP_SECOND_MS;
    }
}

Test(now, many_times_are_those_of_sketches_less_what_became_internal)
{
    many("a", "b", 501, 10, 'p');
    many("a", "c", 500, 20, 'q');
    many("b", "c", 60, 600, 'r');
    follow(KAP_EV_MEMBER_SUCCEEDED, "b,c", "d", NULL);
    const kap_mp_t *then = ask("metric=time-to-accept region=mikkeli time=elapsed");
    const kap_mp_t *now = ask("metric=time-to-accept region=mikkeli time=elapsed view=now by=edge");

    IS(then, NULL, "values.time.n", 1061);
    IS(now, NULL, "values.time.n", 1001);
    IS(now, NULL, "values.time.exact", false);
    IS(now, "a>d", "values.time.n", 1001);
    double median = (double)question_number(now, "values.time.p50_ms");
    double longest = (double)question_number(now, "values.time.max_ms");
    cr_expect_float_eq(median, 10 * KAP_MINUTE_MS, 0.01 * 10 * KAP_MINUTE_MS);
    cr_expect_float_eq(longest, 20 * KAP_MINUTE_MS, 0.01 * 20 * KAP_MINUTE_MS);
    IS(ask("metric=time-to-accept region=mikkeli member=d time=elapsed view=now"), NULL,
       "values.time.n", 1001);
}

/* --- one that was split, and who follows nowhere --- */

Test(now, a_split_goes_by_regions_and_the_rest_is_shown_as_unassigned)
{
    hand("1", "case1", "a", "f", "mikkeli", NULL);
    hand("2", "case2", "g", "f", "pieksamaki", NULL);
    hand("3", "case3", "g", "f", "pieksamaki", NULL);
    follow(KAP_EV_MEMBER_SUCCEEDED, "f", "b,c", "mikkeli=b,savonlinna=c");
    const kap_mp_t *now = ask("metric=matrix nation=true by=edge view=now");

    cr_expect_eq(question_rows(now), 2);
    IS(now, "mikkeli/a>b", "values.transfers", 1);
    IS(now, "mikkeli/a>b", "unassigned", -2);
    IS(now, "pieksamaki/g>f", "values.transfers", 2);
    IS(now, "pieksamaki/g>f", "unassigned", true);
    now = ask("metric=acceptance nation=true by=member view=now");
    IS(now, "mikkeli/b", "n", 1);
    IS(now, "pieksamaki/f", "n", 2);
    IS(now, "pieksamaki/f", "unassigned", true);
    IS(now, NULL, "n", 3);
    IS(ask("metric=acceptance member=b view=now"), NULL, "n", 1);
    IS(ask("metric=acceptance member=f view=now"), NULL, "n", 2);
    IS(ask("metric=acceptance member=f"), NULL, "n", 3);
}

/* --- regions and areas --- */

Test(now, a_region_that_merged_counts_in_the_one_that_followed_it)
{
    hand("1", "case1", "f", "g", "mikkeli", NULL);
    hand("2", "case1", "g", "f", "pieksamaki", "1");
    hand("3", "case3", "f", "g", "pieksamaki", NULL);
    follow(KAP_EV_REGION_SUCCEEDED, "pieksamaki", "mikkeli", NULL);
    const kap_mp_t *now = ask("metric=matrix region=mikkeli by=edge view=now");

    IS(ask("metric=matrix region=mikkeli"), NULL, "n", 1);
    IS(now, NULL, "n", 3);
    IS(now, "f>g", "n", 2);
    IS(now, "g>f", "n", 1);
    IS(ask("metric=matrix region=pieksamaki view=now"), NULL, "n", 0);
    IS(ask("metric=ping-pong region=mikkeli view=now"), NULL, "values.rate.den", 2);
    now = ask("metric=ping-pong nation=true by=region view=now");
    cr_expect_eq(question_rows(now), 1);
    IS(now, "mikkeli", "values.rate.den", 2);
    IS(ask("metric=ping-pong nation=true by=region"), "mikkeli", "values.rate.den", 1);
}

Test(now, who_waits_in_a_region_that_merged_waits_in_the_one_that_followed)
{
    desk_created(d, "f", "1", "case1", "f", "g", "pieksamaki", NULL);
    send_all(d);
    d->now += 3 * KAP_HOUR_MS;
    follow(KAP_EV_REGION_SUCCEEDED, "pieksamaki", "mikkeli", NULL);
    IS(ask("metric=orphans region=mikkeli"), NULL, "n", 0);
    IS(ask("metric=orphans region=mikkeli view=now"), NULL, "n", 1);
    IS(ask("metric=orphans region=mikkeli member=g view=now"), NULL, "n", 1);
    follow(KAP_EV_MEMBER_SUCCEEDED, "g", "f", NULL);
    IS(ask("metric=orphans region=mikkeli view=now"), NULL, "n", 0);
}

/* The desk's directory with savonlinna in place of pieksamaki, which is gone. */
static kap_directory_t *directory_without_pieksamaki(void)
{
    static const char gone[] = "pieksamaki", here[] = "savonlinna";
    kap_directory_t *dir = NULL;
    kap_buf_t messages = {0};
    char *json = kap_arena_str(d->arena, kap_buf_span(&d->json));

    _Static_assert(sizeof gone == sizeof here, "one is written over the other");
    for (char *at = json; (at = strstr(at, gone)) != NULL;)
        memcpy(at, here, strlen(here));
    int rc = kap_directory_parse(kap_span_str(json), &dir, &messages);
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    return dir;
}

Test(now, a_region_that_is_gone_keeps_its_name_for_who_reads_the_one_that_followed)
{
    hand("1", "case1", "f", "g", "pieksamaki", NULL);
    kap_directory_t *dir = directory_without_pieksamaki();
    const char *words = "metric=matrix region=pieksamaki by=edge";

    cr_expect_eq(question_of(d, dir, "f", words).refusal, KAP_REFUSAL_NOT_ALLOWED_QUERY);
    follow(KAP_EV_REGION_SUCCEEDED, "pieksamaki", "mikkeli", NULL);
    question_t then = question_of(d, dir, "f", words);
    cr_assert_eq(then.refusal, 0, "%s", then.why);
    IS(then.root, "f>g", "n", 1);
    question_t now = question_of(d, dir, "f", "metric=matrix region=mikkeli by=edge view=now");
    cr_assert_eq(now.refusal, 0, "%s", now.why);
    IS(now.root, "f>g", "n", 1);
    now = question_of(d, dir, "op", "metric=matrix area=etela-savo view=now");
    cr_assert_eq(now.refusal, 0, "%s", now.why);
    IS(now.root, NULL, "n", 1);
    kap_directory_unref(&dir);
}

Test(now, an_area_is_its_regions_of_today)
{
    hand("1", "case1", "f", "g", "mikkeli", NULL);
    hand("2", "case1", "g", "f", "pieksamaki", "1");
    follow(KAP_EV_AREA_SUCCEEDED, "etela-savo", "itainen,keskinen",
           "mikkeli=itainen,pieksamaki=keskinen");
    IS(ask("metric=matrix area=etela-savo"), NULL, "n", 2);
    IS(ask("metric=matrix area=etela-savo view=now"), NULL, "n", 0);
    IS(ask("metric=matrix area=itainen view=now"), NULL, "n", 1);
    IS(ask("metric=matrix area=keskinen view=now"), NULL, "n", 1);
    IS(ask("metric=ping-pong area=keskinen view=now"), NULL, "values.ping_pongs", 1);
    IS(ask("metric=ping-pong area=itainen view=now"), NULL, "values.rate.den", 1);
    follow(KAP_EV_AREA_SUCCEEDED, "keskinen", "itainen", NULL);
    IS(ask("metric=matrix area=itainen view=now"), NULL, "n", 2);
    IS(ask("metric=ping-pong area=itainen view=now"), NULL, "values.rate.den", 1);
    IS(ask("metric=matrix nation=true view=now"), NULL, "n", 2);
}

Test(now, without_a_succession_today_is_as_then)
{
    play_golden();
    IS(ask("metric=matrix region=mikkeli view=now"), NULL, "values.transfers", 9);
    IS(ask("metric=ping-pong region=mikkeli view=now"), NULL, "values.rate.den", 5);
}

Test(now, what_has_no_today_is_refused)
{
    question_t answer = question_as(
        d, "op", "metric=matrix region=mikkeli kind=flow from=2026-01-02 to=2026-02-01 view=now");
    cr_expect_neq(answer.refusal, 0);
}

/* --- histories told twice: as it was, and with the names of today --- */

/* A succession, and what it makes of a place. */
typedef struct {
    const char *name;
    const char *members[2]; /* that act in mikkeli, in pieksamaki: one letter each */
    bool crosses;           /* cases go from one region to the other */
    struct {
        kap_event_type_t type;
        const char *from, *to, *by_region;
    } follows[3];
    const char *today[2]; /* of members[0], of members[1]: who stands in the place */
    bool merged;          /* pieksamaki is mikkeli today */
    bool splits;          /* a member stands in two places */
} change_t;

static const change_t changes[] = {
    {"a chain",
     {"abc", "fn"},
     false,
     {{KAP_EV_MEMBER_SUCCEEDED, "c", "d", NULL}, {KAP_EV_MEMBER_SUCCEEDED, "d", "g", NULL}},
     {"abg", "fn"},
     false},
    {"a split by region",
     {"abf", "fn"},
     false,
     {{KAP_EV_MEMBER_SUCCEEDED, "f", "d,g", "mikkeli=d,pieksamaki=g"}},
     {"abd", "gn"},
     false,
     true},
    {"regions that merge",
     {"abf", "fgn"},
     true,
     {{KAP_EV_REGION_SUCCEEDED, "pieksamaki", "mikkeli", NULL}},
     {"abf", "fgn"},
     true},
    {"a region that merges, and a member that follows in the new one",
     {"abf", "fgn"},
     true,
     {{KAP_EV_REGION_SUCCEEDED, "pieksamaki", "mikkeli", NULL},
      {KAP_EV_MEMBER_SUCCEEDED, "g", "c,d", "mikkeli=c,savonlinna=d"}},
     {"abf", "fcn"},
     true,
     true},
};

enum { CHANGES = sizeof changes / sizeof changes[0], SEEDS = 4, STEPS = 200, REFERRALS = 96 };

/* One teller: a desk, and whether it uses the names of today. */
typedef struct {
    desk_t *desk;
    const change_t *change;
    bool today;
    uint64_t random;
    struct {
        int region, from, to; /* indexes */
        int case_id, parent;
        bool ended;
    } referrals[REFERRALS];
    int count;
} teller_t;

static uint32_t dice(teller_t *t, uint32_t sides)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return (uint32_t)(t->random >> 33) % sides;
}

static const char *region_of(const teller_t *t, int region)
{
    return region == 0 || (t->today && t->change->merged) ? "mikkeli" : "pieksamaki";
}

static const char *member_of(const teller_t *t, int region, int index)
{
    static char names[4][2];
    static int at;
    char *name = names[at++ % 4];

    name[0] = (t->today ? t->change->today : t->change->members)[region][index];
    return name;
}

/* The same member in another region: its letter there; -1: it does not act in it. */
static int same_in(const teller_t *t, int region, int index, int other)
{
    const char *all = t->change->members[other];
    const char *there = strchr(all, t->change->members[region][index]);

    return there == NULL ? -1 : (int)(there - all);
}

static const char *numbered(char prefix, int number)
{
    static char texts[4][8];
    static int at;
    char *text = texts[at++ % 4];

    snprintf(text, sizeof texts[0], "%c%d", prefix, number);
    return text;
}

/* May be refused: both desks must say the same. */
static int send_one(teller_t *t)
{
    return desk_said(t->desk);
}

static int create(teller_t *t, int region, int from, int to, int case_id, int parent)
{
    int i = t->count;
    const char *who = member_of(t, region, from);

    desk_created(t->desk, who, numbered('r', i), numbered('c', case_id), who,
                 member_of(t, region, to), region_of(t, region),
                 parent < 0 ? NULL : numbered('r', parent));
    desk_code(t->desk, KAP_F_SERVICE, (int)dice(t, 3));
    if (dice(t, 6) == 0)
        desk_code(t->desk, KAP_F_KIND, KAP_KIND_GUIDANCE);
    if (dice(t, 5) == 0)
        kap_event_builder_set_bool(&t->desk->builder, KAP_F_RETURN_EXPECTED, true);
    int said = send_one(t);
    if (said == 0) {
        t->referrals[i].region = region;
        t->referrals[i].from = from;
        t->referrals[i].to = to;
        t->referrals[i].case_id = case_id;
        t->referrals[i].parent = parent;
        t->count++;
    }
    return said;
}

static int begin_case(teller_t *t)
{
    int region = (int)dice(t, 2), members = (int)strlen(t->change->members[region]);
    int from = (int)dice(t, (uint32_t)members), to = (int)dice(t, (uint32_t)members);
    bool sends = t->change->members[region][from] != 'n'; /* a national one has no region */

    return t->count == REFERRALS - 1 || from == to || !sends
               ? 0
               : create(t, region, from, to, t->count, -1);
}

static int go_on(teller_t *t, int parent)
{
    int region = t->referrals[parent].region, from = t->referrals[parent].to;
    int other = t->change->crosses && dice(t, 3) == 0 ? 1 - region : region;
    int there = same_in(t, region, from, other);
    int to = (int)dice(t, (uint32_t)strlen(t->change->members[other]));

    if (t->count == REFERRALS - 1 || there < 0 || there == to ||
        t->change->members[other][there] == 'n')
        return 0;
    return create(t, other, there, to, t->referrals[parent].case_id, parent);
}

static int answer(teller_t *t, int i)
{
    static const kap_event_type_t types[] = {
        KAP_EV_REFERRAL_DELIVERED, KAP_EV_REFERRAL_DELIVERED,       KAP_EV_REFERRAL_DELIVERED,
        KAP_EV_REFERRAL_ACCEPTED,  KAP_EV_REFERRAL_ACCEPTED,        KAP_EV_REFERRAL_CONTACTED,
        KAP_EV_REFERRAL_COMPLETED, KAP_EV_REFERRAL_DECLINED,        KAP_EV_REFERRAL_WITHDRAWN,
        KAP_EV_REFERRAL_VOIDED,    KAP_EV_REFERRAL_ANSWER_RECEIVED,
    };
    kap_event_type_t type = types[dice(t, sizeof types / sizeof types[0])];
    bool sender = type == KAP_EV_REFERRAL_WITHDRAWN || type == KAP_EV_REFERRAL_VOIDED ||
                  type == KAP_EV_REFERRAL_ANSWER_RECEIVED;
    int end = sender ? t->referrals[i].from : t->referrals[i].to;

    desk_referral(t->desk, member_of(t, t->referrals[i].region, end), type, numbered('r', i));
    return send_one(t);
}

static int step(teller_t *t)
{
    t->desk->now += (int64_t)dice(t, 30) * KAP_HOUR_MS;
    uint32_t what = dice(t, 10);
    if (t->count == 0 || what < 2)
        return begin_case(t);
    int i = (int)dice(t, (uint32_t)t->count);
    return what < 6 ? go_on(t, i) : answer(t, i);
}

/* --- comparing answers --- */

static bool may_differ(kap_span_t key)
{
    return kap_span_eq_str(key, "view") || kap_span_eq_str(key, "as_of_seq");
}

static kap_span_t differs_at; /* key of the first value that is not the same */

static bool same(const kap_mp_t *a, const kap_mp_t *b)
{
    bool list = a->kind == KAP_MP_ARRAY || a->kind == KAP_MP_MAP;

    if (a->kind != b->kind || (list && a->count != b->count))
        return false;
    switch (a->kind) {
    case KAP_MP_STR:
    case KAP_MP_BIN:
        return kap_span_eq(a->s, b->s);
    case KAP_MP_ARRAY:
        for (uint32_t i = 0; i < a->count; i++) {
            if (!same(kap_mp_item(a, i), kap_mp_item(b, i)))
                return false;
        }
        return true;
    case KAP_MP_MAP:
        for (uint32_t i = 0; i < a->count; i++) {
            kap_span_t key = kap_mp_key(a, i)->s;
            if (!may_differ(key) && !(same(kap_mp_key(a, i), kap_mp_key(b, i)) &&
                                      same(kap_mp_value(a, i), kap_mp_value(b, i)))) {
                differs_at = differs_at.size > 0 ? differs_at : key;
                return false;
            }
        }
        return true;
    case KAP_MP_BOOL:
        return a->b == b->b;
    case KAP_MP_NIL:
        return true;
    default:
        return a->i == b->i;
    }
}

static const char *const metrics[] = {
    "matrix",      "acceptance", "time-to-accept", "time-to-contact", "time-to-complete",
    "loop-closed", "served",     "ping-pong",      "chain-length",    "working-together",
    "reciprocity", "targets",    "data-quality",   "concentration",
};
static const char *const scopes[] = {"region=mikkeli",
                                     "region=pieksamaki",
                                     "nation=true",
                                     "area=etela-savo",
                                     "member=f",
                                     "member=d region=mikkeli",
                                     "member=g",
                                     "organisation=1234588-2",
                                     "edge=a>b",
                                     "edge=f>g region=mikkeli",
                                     "organisation=1234658-6"};
static const char *const breakdowns[] = {"",          " by=edge",    " by=member", " by=region",
                                         " by=month", " by=service", " by=warm"};
static const char *const windows[] = {"", " month=2026-01", " from=2026-01-08 to=2026-02-13",
                                      " month=2026-01 kind=flow", " month=2026-01 kind=stock"};

/* f reads both regions, op the totals of all. */
static int compare_one(desk_t *then, desk_t *today, const char *words, const change_t *change,
                       const char *who)
{
    char now[256];
    const char *name = change->name;
    snprintf(now, sizeof now, "%s view=now", words);
    question_t a = question_as(then, who, now), b = question_as(today, who, words);

    cr_assert_eq(a.refusal, b.refusal, "%s: %s: %s, %s", name, words, a.why, b.why);
    cr_assert(a.refusal != 0 || same(a.root, b.root), "%s: %s: %s: %.*s: n %lld, %lld", name, who,
              words, KAP_SPAN_ARGS(differs_at), (long long)question_number(a.root, "n"),
              (long long)question_number(b.root, "n"));
    return a.refusal == 0;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Of all questions that can be asked every fourth, each seed others; how many were answered. */
static int compare(desk_t *then, desk_t *today, const change_t *change, size_t seed)
{
    enum { METRICS = COUNT(metrics), SCOPES = COUNT(scopes), BYS = COUNT(breakdowns) };
    char words[256];
    int answered = 0;

    for (size_t i = seed; i < METRICS * SCOPES * BYS * COUNT(windows); i += SEEDS) {
        const char *metric = metrics[i % METRICS];
        if ((change->splits || change->merged) && strcmp(metric, "data-quality") == 0)
            continue; /* refused events have no region: they follow nobody there */
        snprintf(words, sizeof words, "metric=%s %s%s%s time=elapsed", metric,
                 scopes[i / METRICS % SCOPES], breakdowns[i / METRICS / SCOPES % BYS],
                 windows[i / METRICS / SCOPES / BYS]);
        answered += compare_one(then, today, words, change, "f");
        answered += compare_one(then, today, words, change, "op");
    }
    return answered;
}

static void tell_twice(const change_t *change, size_t seed)
{
    const uint64_t random = 88172645463325252u + seed * 7919;
    desk_t today;
    teller_t a = {.desk = d, .change = change, .random = random};
    teller_t b = {.desk = &today, .change = change, .today = true, .random = random};

    desk_open(&today, true);
    for (int i = 0; i < STEPS; i++) {
        int one = step(&a), other = step(&b);
        cr_assert_eq(one, other, "%s, seed %llu, step %d: %d, %d", change->name,
                     (unsigned long long)random, i, one, other);
    }
    cr_assert_eq(create(&a, 0, 0, 1, REFERRALS, -1), 0); /* the last word at the same time */
    cr_assert_eq(create(&b, 0, 0, 1, REFERRALS, -1), 0);
    for (int i = 0; i < 3 && change->follows[i].from != NULL; i++)
        follow(change->follows[i].type, change->follows[i].from, change->follows[i].to,
               change->follows[i].by_region);
    cr_expect_gt(compare(d, &today, change, seed), 500);
    desk_close(&today);
}

ParameterizedTestParameters(now, a_history_told_with_the_names_of_today_counts_the_same)
{
    static int params[CHANGES * SEEDS];

    for (int i = 0; i < CHANGES * SEEDS; i++)
        params[i] = i;
    return cr_make_param_array(int, params, CHANGES *SEEDS, NULL);
}

ParameterizedTest(int *param, now, a_history_told_with_the_names_of_today_counts_the_same)
{
    tell_twice(&changes[*param / SEEDS], (size_t)*param % SEEDS);
}

/* --- mergers of those who hand to each other, against a recount of every referral --- */

static const change_t mergers = {.name = "mergers", .members = {"abcdf", "fgn"}, .crosses = true};

/* b and c stand in d's place, g in f's. */
static char stands(char member)
{
    return member == 'b' || member == 'c' ? 'd' : member == 'g' ? 'f' : member;
}

/* What one referral, and one case, counts with the names of today. */
typedef struct {
    char region, from, to;
    int64_t at;
    kap_fact_t fact;
} counted_t;

typedef struct {
    counted_t facts[REFERRALS];
    kap_path_t paths[REFERRALS];
    uint32_t fact_count, path_count;
} recount_t;

static int place_letters(void *arg, kap_span_t region, kap_span_t member, uint64_t seq,
                         kap_path_part_t *part)
{
    (void)arg;
    (void)seq;
    *part = (kap_path_part_t){.region = region.data[0], .member = member.data[0]};
    return KAP_OK;
}

static kap_span_t letter(char member)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    return kap_span(&letters[member - 'a'], 1);
}

static void recount_case(recount_t *all, kap_txn_t *txn, kap_span_t id)
{
    kap_case_t then, now;
    kap_referral_row_t rows[REFERRALS];
    kap_fact_path_t of[REFERRALS];

    int rc = kap_rows_case(txn, 0, id, d->arena, &then);
    if (rc == KAP_E_NOTFOUND)
        return;
    cr_assert_eq(rc, KAP_OK);
    kap_case_init(&now);
    for (uint32_t i = 0; i < then.count; i++) {
        kap_referral_t *r = &rows[i].r;
        cr_assert_eq(kap_rows_referral(txn, 0, then.nodes[i].referral, &rows[i]), KAP_OK);
        r->from = letter(stands((char)r->from.data[0]));
        r->to = letter(stands((char)r->to.data[0]));
        r->flags |= kap_span_eq(r->from, r->to) ? KAP_RF_INTERNAL : 0;
        cr_assert_eq(kap_case_put(&now, d->arena, then.nodes[i].referral, r), KAP_OK);
    }
    kap_path_t *path = &all->paths[all->path_count++];
    cr_assert_eq(kap_path_of(&now, rows, d->arena, place_letters, NULL, path, of), KAP_OK);
    for (uint32_t i = 0; i < now.count; i++) {
        counted_t *c = &all->facts[all->fact_count++];
        const kap_referral_t *r = &rows[i].r;
        *c = (counted_t){.region = (char)r->region.data[0],
                         .from = (char)r->from.data[0],
                         .to = (char)r->to.data[0],
                         .at = r->created_at};
        kap_fact_of(&rows[i], &of[i], 0, &c->fact);
    }
}

/* Of a query: REGION, NATION, EDGE, or MEMBER by its side; names are their first letters. */
static bool counted_in(const kap_sum_query_t *q, const counted_t *c)
{
    const kap_scope_t *s = &q->scope;
    bool here = s->region.size == 0 || c->region == (char)s->region.data[0];
    bool in = c->at >= q->window.from_ms && c->at < q->window.to_ms;
    char end = q->side == KAP_SIDE_SENDS ? c->from : c->to;

    if (q->breakdown != KAP_BREAKDOWN_NONE && c->fact.breakdown[q->breakdown] != q->value)
        return false;
    if (s->kind == KAP_SCOPE_MEMBER)
        return here && in && end == (char)s->member.data[0];
    if (s->kind == KAP_SCOPE_EDGE)
        return here && in && c->from == (char)s->from.data[0] && c->to == (char)s->to.data[0];
    return here && in;
}

static bool takes_part(const kap_sum_query_t *q, const kap_path_t *path, kap_span_t member)
{
    for (uint32_t i = 0; i < path->part_count; i++) {
        const kap_path_part_t *part = &path->parts[i];
        if ((q->scope.region.size == 0 || part->region == q->scope.region.data[0]) &&
            (member.size == 0 || part->member == member.data[0]))
            return true;
    }
    return false;
}

static kap_vector_t expected(const recount_t *all, const kap_sum_query_t *q)
{
    kap_vector_t sum = {0};
    const kap_scope_t *s = &q->scope;

    for (uint32_t i = 0; i < all->fact_count; i++) {
        for (int k = 0; k < KAP_FIGURE_COUNT && counted_in(q, &all->facts[i]); k++)
            sum.counts[k] += kap_fact_count(&all->facts[i].fact, (kap_figure_t)k);
    }
    for (uint32_t i = 0; i < all->path_count && q->breakdown == KAP_BREAKDOWN_NONE; i++) {
        const kap_path_t *path = &all->paths[i];
        bool in = path->started_at >= q->window.from_ms && path->started_at < q->window.to_ms;
        kap_span_t one = s->kind == KAP_SCOPE_EDGE ? s->from : s->member;
        if (!in || !takes_part(q, path, one) || !takes_part(q, path, s->to))
            continue;
        for (int k = 0; k < KAP_FIGURE_COUNT; k++)
            sum.counts[k] += kap_figure_in(&path->figures, (kap_figure_t)k);
    }
    return sum;
}

static void check_sums(kap_txn_t *txn, kap_summer_t *summer, const recount_t *all,
                       kap_sum_query_t *q)
{
    kap_vector_t sum = {0}, right = expected(all, q);

    cr_assert_eq(kap_scope_find(txn, &q->scope), KAP_OK);
    cr_assert_eq(kap_sum_counts(summer, q, &sum), KAP_OK);
    for (int i = 0; i < KAP_FIGURE_COUNT; i++) {
        bool flow = i >= KAP_FIGURE_FLOW_DELIVERED && i <= KAP_FIGURE_FLOW_WITHDRAWN;
        if (flow || i == KAP_FIGURE_REFUSED)
            continue; /* flows lie in other days, refused events are no referral's */
        cr_assert_eq(sum.counts[i], right.counts[i],
                     "%s: %llu, not %llu: kind %d %.*s %.*s%.*s%.*s side %d value %u",
                     kap_figure_name((kap_figure_t)i), (unsigned long long)sum.counts[i],
                     (unsigned long long)right.counts[i], q->scope.kind,
                     KAP_SPAN_ARGS(q->scope.region), KAP_SPAN_ARGS(q->scope.member),
                     KAP_SPAN_ARGS(q->scope.from), KAP_SPAN_ARGS(q->scope.to), q->side, q->value);
    }
}

/* Of all windows and breakdowns, one scope. */
static void check_scope(kap_txn_t *txn, const recount_t *all, kap_scope_t scope, kap_side_t side)
{
    static const kap_date_t from = {2026, 1, 9}, to = {2026, 2, 3};

    for (int w = 0; w < 2; w++) {
        kap_sum_query_t q = {.scope = scope, .side = side};
        kap_summer_t *summer;
        kap_window_days(&q.window, KAP_ZONE_HELSINKI, w > 0, from, w > 0, to);
        cr_assert_eq(kap_summer_new(txn, d->arena, d->dir, &summer), KAP_OK);
        cr_assert_eq(kap_now_view(summer, d->now, &q.window), KAP_OK);
        check_sums(txn, summer, all, &q);
        q.breakdown = KAP_BREAKDOWN_SERVICE;
        for (q.value = 1; q.value <= 3; q.value++)
            check_sums(txn, summer, all, &q);
        kap_summer_destroy(&summer);
    }
}

static void check_scopes(kap_txn_t *txn, const recount_t *all)
{
    static const char members[] = "abcdfgn";
    const kap_span_t regions[] = {KAP_SPAN(""), KAP_SPAN("mikkeli"), KAP_SPAN("pieksamaki")};

    check_scope(txn, all, (kap_scope_t){.kind = KAP_SCOPE_NATION}, KAP_SIDE_GETS);
    for (int r = 0; r < 3; r++) {
        kap_scope_t scope = {.kind = KAP_SCOPE_REGION, .region = regions[r]};
        if (r > 0)
            check_scope(txn, all, scope, KAP_SIDE_GETS);
        for (const char *x = members; *x != '\0'; x++) {
            scope =
                (kap_scope_t){.kind = KAP_SCOPE_MEMBER, .region = regions[r], .member = letter(*x)};
            check_scope(txn, all, scope, KAP_SIDE_GETS);
            check_scope(txn, all, scope, KAP_SIDE_SENDS);
            for (const char *y = members; *y != '\0'; y++) {
                scope = (kap_scope_t){.kind = KAP_SCOPE_EDGE,
                                      .region = regions[r],
                                      .from = letter(*x),
                                      .to = letter(*y)};
                if (*x != *y)
                    check_scope(txn, all, scope, KAP_SIDE_GETS);
            }
        }
    }
}

static void recount_mergers(uint64_t seed)
{
    static recount_t all;
    teller_t teller = {.desk = d, .change = &mergers, .random = seed};
    kap_txn_t *txn;

    for (int i = 0; i < STEPS; i++)
        step(&teller);
    follow(KAP_EV_MEMBER_SUCCEEDED, "b,c", "d", NULL);
    follow(KAP_EV_MEMBER_SUCCEEDED, "g", "f", NULL);
    cr_assert_eq(kap_engine_write_figures(d->engine), KAP_OK);
    all = (recount_t){.fact_count = 0};
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    for (int i = 0; i < teller.count; i++)
        recount_case(&all, txn, kap_span_str(numbered('c', i)));
    cr_expect_gt(all.fact_count, 20);
    check_scopes(txn, &all);
    kap_txn_abort(&txn);
}

ParameterizedTestParameters(now, mergers_count_as_every_referral_recounted)
{
    static int params[SEEDS];

    for (int i = 0; i < SEEDS; i++)
        params[i] = i;
    return cr_make_param_array(int, params, SEEDS, NULL);
}

ParameterizedTest(int *param, now, mergers_count_as_every_referral_recounted)
{
    recount_mergers(972163452367u + (uint64_t)*param * 104729);
}
