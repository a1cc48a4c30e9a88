/* SPDX-License-Identifier: MPL-2.0 */
/* The median of Kaplan and Meier, by hand and against a plain reference; targets of open ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "meter.h"

enum { SUBJECTS_MAX = 1500 };

typedef enum { ACCEPTS, DECLINES, WITHDRAWN, WAITS } fate_t;

/* One transfer from a to b: delivered, and after so long accepted, given up or looked at. */
typedef struct {
    int64_t delivered_at, ms;
    fate_t fate;
} subject_t;

/* What happens when. */
typedef struct {
    int64_t at;
    int subject;
    bool end;
} step_t;

static desk_t desk, *d = &desk;
static meter_t meter, *m = &meter;
static subject_t subjects[SUBJECTS_MAX];
static int subject_count;

static void start(void)
{
    subject_count = 0;
    desk_open(d, true);
}

static void stop(void)
{
    desk_audit(d);
    desk_close(d);
}

TestSuite(metric_survival, .init = start, .fini = stop);

static void subject(int64_t delivered_at, int64_t ms, fate_t fate)
{
    cr_assert_lt(subject_count, SUBJECTS_MAX);
    subjects[subject_count++] = (subject_t){delivered_at, ms, fate};
}

static void begins(int i, bool arrives)
{
    char referral[16], case_id[16];

    snprintf(referral, sizeof referral, "r%d", i);
    snprintf(case_id, sizeof case_id, "c%d", i);
    desk_created(d, "a", referral, case_id, "a", "b", "mikkeli", NULL);
    meter_send(d);
    if (!arrives)
        return;
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, referral);
    meter_send(d);
}

static void ends(int i)
{
    static const struct {
        const char *who;
        kap_event_type_t type;
    } how[] = {[ACCEPTS] = {"b", KAP_EV_REFERRAL_ACCEPTED},
               [DECLINES] = {"b", KAP_EV_REFERRAL_DECLINED},
               [WITHDRAWN] = {"a", KAP_EV_REFERRAL_WITHDRAWN}};
    char referral[16];

    snprintf(referral, sizeof referral, "r%d", i);
    desk_referral(d, how[subjects[i].fate].who, how[subjects[i].fate].type, referral);
    meter_send(d);
}

static int by_time(const void *a, const void *b)
{
    const step_t *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->subject != y->subject ? x->subject - y->subject : x->end - y->end;
}

/* Plays them all in the order of time, and looks at `end`. */
static void play(int64_t end)
{
    static step_t steps[2 * SUBJECTS_MAX];
    int count = 0;

    for (int i = 0; i < subject_count; i++) {
        steps[count++] = (step_t){subjects[i].delivered_at, i, false};
        if (subjects[i].fate != WAITS)
            steps[count++] = (step_t){subjects[i].delivered_at + subjects[i].ms, i, true};
    }
    qsort(steps, (size_t)count, sizeof *steps, by_time);
    for (int i = 0; i < count; i++) {
        d->now = steps[i].at;
        if (steps[i].end)
            ends(steps[i].subject);
        else
            begins(steps[i].subject, true);
    }
    d->now = end;
}

/* The definition, word for word: the product of (1 - d/n) over the times of accepts. -1: none. */
static int64_t reference(void)
{
    double s = 1;
    int64_t last = -1;

    for (;;) {
        int64_t t = INT64_MAX;
        double events = 0, at_risk = 0;
        for (int i = 0; i < subject_count; i++) {
            if (subjects[i].fate == ACCEPTS && subjects[i].ms > last && subjects[i].ms < t)
                t = subjects[i].ms;
        }
        if (t == INT64_MAX)
            return -1;
        for (int i = 0; i < subject_count; i++) {
            events += subjects[i].fate == ACCEPTS && subjects[i].ms == t;
            at_risk += subjects[i].ms >= t;
        }
        s *= 1 - events / at_risk;
        if (s <= 0.5 + 1e-9)
            return t;
        last = t;
    }
}

static int64_t median(void)
{
    meter_begin(m, d, KAP_METRIC_TIME_TO_ACCEPT);
    const kap_mp_t *values = meter_ask(m);
    const kap_mp_t *ms = kap_mp_get(values, "survival_median_ms");
    cr_assert_not_null(ms);
    return ms->kind == KAP_MP_NIL ? -1 : kap_mp_get_int(values, "survival_median_ms", -2);
}

/* Freireich and others 1963, weeks of remission under 6-MP, as in every textbook: the median is 23.
 * Ties at 6 and 10, where some are censored at the same time. */
Test(metric_survival, the_textbook_s_example_has_its_median)
{
    static const struct {
        int weeks;
        fate_t fate;
    } arm[] = {{6, ACCEPTS},   {6, ACCEPTS},   {6, ACCEPTS}, {6, DECLINES}, {7, ACCEPTS},
               {9, WITHDRAWN}, {10, ACCEPTS},  {10, WAITS},  {11, WAITS},   {13, ACCEPTS},
               {16, ACCEPTS},  {17, DECLINES}, {19, WAITS},  {20, WAITS},   {22, ACCEPTS},
               {23, ACCEPTS},  {25, WAITS},    {32, WAITS},  {32, WAITS},   {34, WAITS},
               {35, WAITS}};
    int64_t end = d->now + 40 * KAP_HOUR_MS;

    for (size_t i = 0; i < sizeof arm / sizeof *arm; i++) {
        int64_t ms = arm[i].weeks * KAP_HOUR_MS; /* an hour for a week: no limit runs out */
        subject(end - ms, ms, arm[i].fate);
    }
    cr_assert_eq(reference(), 23 * KAP_HOUR_MS);
    play(end);
    cr_expect_eq(median(), 23 * KAP_HOUR_MS);
    meter_begin(m, d, KAP_METRIC_TIME_TO_ACCEPT);
    meter_count(meter_ask(m), "waiting", 9);
    meter_count(kap_mp_get(meter_ask(m), "time"), "p50_ms", 10 * KAP_HOUR_MS); /* the plain one */
}

Test(metric_survival, without_censoring_it_is_the_plain_median)
{
    for (int i = 1; i <= 6; i++)
        subject(d->now, i * KAP_HOUR_MS, ACCEPTS);
    play(d->now + 10 * KAP_HOUR_MS);
    cr_expect_eq(median(), 3 * KAP_HOUR_MS); /* three of six, not four */
}

Test(metric_survival, there_is_none_while_more_than_half_would_wait)
{
    int64_t end = d->now + 10 * KAP_HOUR_MS;

    subject(d->now, KAP_HOUR_MS, ACCEPTS);
    subject(end - 5 * KAP_HOUR_MS, 5 * KAP_HOUR_MS, WAITS);
    subject(end - 5 * KAP_HOUR_MS, 5 * KAP_HOUR_MS, WAITS);
    play(end);
    cr_expect_eq(median(), -1);
    meter_begin(m, d, KAP_METRIC_TIME_TO_ACCEPT);
    m->query.customer_clock = true; /* it is a thing of the recipient's clock */
    cr_expect_null(kap_mp_get(meter_ask(m), "survival_median_ms"));
}

Test(metric_survival, nobody_and_nothing)
{
    cr_expect_eq(median(), -1);
}

Test(metric_survival, undelivered_implied_and_held_time_are_out)
{
    int64_t end = d->now + 10 * KAP_HOUR_MS;

    begins(900, false); /* never arrived */
    begins(901, true);  /* accepted by doing only */
    d->now += KAP_MINUTE_MS;
    desk_referral(d, "b", KAP_EV_REFERRAL_CONTACTED, "r901");
    meter_send(d);
    begins(902, true); /* held for two of its hours */
    d->now += KAP_HOUR_MS;
    desk_referral(d, "b", KAP_EV_REFERRAL_HELD, "r902");
    desk_code(d, KAP_F_HOLD_REASON, 0);
    meter_send(d);
    d->now += 2 * KAP_HOUR_MS;
    desk_referral(d, "b", KAP_EV_REFERRAL_RESUMED, "r902");
    meter_send(d);
    begins(903, true);
    d->now += KAP_HOUR_MS + KAP_MINUTE_MS;
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "r903");
    meter_send(d); /* after 1 h 1 min, when r902 has waited 2 h 1 min */
    d->now = end;
    cr_expect_eq(median(), KAP_HOUR_MS + KAP_MINUTE_MS); /* one of two */
    meter_begin(m, d, KAP_METRIC_TIME_TO_ACCEPT);
    meter_count(meter_ask(m), "waiting", 1);
}

static void random_subjects(unsigned seed, int count, int64_t end, int64_t grain_ms)
{
    srand(seed);
    subject_count = 0;
    for (int i = 0; i < count; i++) {
        int64_t ms = (1 + rand() % 60) * grain_ms;
        int64_t begun = end - ms - rand() % 30 * grain_ms;
        int die = rand() % 10;
        fate_t fate = die < 5 ? ACCEPTS : die < 7 ? DECLINES : die < 8 ? WITHDRAWN : WAITS;
        subject(fate == WAITS ? end - ms : begun, ms, fate);
    }
}

Test(metric_survival, random_histories_are_as_the_definition_says)
{
    for (unsigned seed = 1; seed <= 12; seed++) {
        int64_t end = d->now + 60 * KAP_DAY_MS;
        if (seed > 1) {
            stop();
            desk_open(d, true);
            end = d->now + 60 * KAP_DAY_MS;
        }
        random_subjects(seed, 20 + (int)seed * 7, end, KAP_HOUR_MS);
        play(end);
        cr_expect_eq(median(), reference(), "seed %u", seed);
    }
}

Test(metric_survival, more_than_a_thousand_are_within_a_percent)
{
    int64_t end = d->now + 60 * KAP_DAY_MS;

    random_subjects(99, KAP_EXACT_MAX + 100, end, KAP_HOUR_MS / 7);
    play(end);
    int64_t exact = reference(), is = median();
    cr_expect_gt(is, 0);
    cr_expect_leq(llabs(is - exact), exact / 100, "%lld and %lld", (long long)is, (long long)exact);
    /* the first hundreds of them by days: exactly */
    meter_begin(m, d, KAP_METRIC_TIME_TO_ACCEPT);
    m->query.what.side = KAP_SIDE_SENDS;
    meter_member(m, "mikkeli", "c");
    cr_expect_eq(kap_mp_get(meter_ask(m), "survival_median_ms")->kind, KAP_MP_NIL);
}

/* --- targets of open ones: ten working days each --- */

static const kap_mp_t *standing(void)
{
    meter_begin(m, d, KAP_METRIC_TARGETS);
    return kap_mp_get(meter_ask(m), "open");
}

static void stands(int fine, int at_risk, int missed)
{
    const kap_mp_t *open = standing();
    meter_count(open, "fine", fine);
    meter_count(open, "at_risk", at_risk);
    meter_count(open, "missed", missed);
}

/* Noon of the n-th working day from Monday 2026-01-05 on; the 6th is Epiphany. */
static void working_day(int n)
{
    static const int days[] = {0, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15, 16};
    static int64_t monday;

    if (n == 0)
        monday = d->now;
    d->now = monday + days[n] * KAP_DAY_MS;
}

Test(metric_survival, an_open_one_is_at_risk_from_eighty_percent_of_its_target_on)
{
    working_day(0);
    begins(1, true);
    begins(2, true);
    begins(3, false); /* not arrived: it has no target yet */
    stands(2, 0, 0);
    working_day(8);
    d->now -= 1;
    stands(2, 0, 0);
    d->now += 1; /* 8 of 10 working days */
    stands(0, 2, 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "r1"); /* the contact's target begins */
    meter_send(d);
    stands(1, 1, 0);
    working_day(10);
    stands(1, 1, 0); /* an answer at the limit is in time */
    d->now += 1;
    stands(1, 0, 1);
    desk_expire(d);
    stands(1, 0, 1);
    desk_referral(d, "b", KAP_EV_REFERRAL_CONTACTED, "r1"); /* in contact nothing runs */
    meter_send(d);
    stands(0, 0, 1);
    desk_referral(d, "b", KAP_EV_REFERRAL_DECLINED, "r2");
    meter_send(d);
    stands(0, 0, 0);
}

Test(metric_survival, a_hold_stops_the_way_to_the_target)
{
    working_day(0);
    begins(1, true);
    working_day(5);
    desk_referral(d, "b", KAP_EV_REFERRAL_HELD, "r1");
    desk_code(d, KAP_F_HOLD_REASON, 0);
    meter_send(d);
    working_day(11);
    stands(1, 0, 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_RESUMED, "r1");
    meter_send(d);
    stands(1, 0, 0);
}

Test(metric_survival, targets_are_of_the_window_and_the_side_asked_for)
{
    working_day(0);
    begins(1, true);
    meter_begin(m, d, KAP_METRIC_TARGETS);
    meter_days(m, "2026-01-06", NULL);
    meter_count(kap_mp_get(meter_ask(m), "open"), "fine", 0);
    meter_days(m, "2026-01-05", "2026-01-06");
    meter_count(kap_mp_get(meter_ask(m), "open"), "fine", 1);
    meter_member(m, "mikkeli", "b");
    meter_count(kap_mp_get(meter_ask(m), "open"), "fine", 1);
    meter_member(m, "mikkeli", "a"); /* that sent it */
    meter_count(kap_mp_get(meter_ask(m), "open"), "fine", 0);
    meter_begin(m, d, KAP_METRIC_TARGETS);
    m->query.what.breakdown = KAP_BREAKDOWN_SERVICE;
    m->query.what.value = KAP_SERVICE_STARTUP_ADVICE + 1;
    meter_count(kap_mp_get(meter_ask(m), "open"), "fine", 1);
    m->query.what.value = KAP_SERVICE_TAX + 1;
    meter_count(kap_mp_get(meter_ask(m), "open"), "fine", 0);
}
