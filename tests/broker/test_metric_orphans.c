/* SPDX-License-Identifier: MPL-2.0 */
/* Orphans: each kind, at its limit, with its owner and next step. */
#include <criterion/criterion.h>
#include <string.h>

#include "meter.h"
#include "question.h"

static desk_t desk, *d = &desk;
static meter_t meter, *m = &meter;
static kap_directory_t *other; /* as of today, when it is another one */

static void start(void)
{
    other = NULL;
    desk_open(d, true);
}

static void stop(void)
{
    kap_directory_unref(&other);
    desk_audit(d);
    desk_close(d);
}

TestSuite(metric_orphans, .init = start, .fini = stop);

/* The directory of today is the desk's with one text in place of another. */
static void today(const char *old, const char *now)
{
    kap_buf_t json = {0}, messages = {0};
    const char *text = kap_buf_cstr(&d->json), *at = strstr(text, old);

    cr_assert_not_null(at, "%s", old);
    kap_buf_append(&json, kap_span(text, (size_t)(at - text)));
    kap_buf_str(&json, now);
    kap_buf_str(&json, at + strlen(old));
    kap_directory_unref(&other);
    int rc = kap_directory_parse(kap_buf_span(&json), &other, &messages);
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&json);
    kap_buf_fini(&messages);
}

static void begin(void)
{
    meter_begin(m, d, KAP_METRIC_ORPHANS);
    m->query.kind = KAP_KIND_OF_NOW;
    if (other != NULL)
        m->dir = other;
}

static const kap_mp_t *ask(void)
{
    begin();
    return meter_ask(m);
}

static void none(void)
{
    const kap_mp_t *values = ask();

    cr_expect_eq(meter_length(values, "orphans"), 0);
    cr_expect_eq(m->values.n, 0);
}

/* Exactly one, of this kind. */
static const kap_mp_t *one(const char *referral, const char *what, const char *owner,
                           const char *step)
{
    const kap_mp_t *values = ask(), *item = kap_mp_item(kap_mp_get(values, "orphans"), 0);

    cr_assert_eq(meter_length(values, "orphans"), 1);
    cr_expect_eq(m->values.n, 1);
    cr_expect_eq(m->values.pending, 1);
    meter_count(kap_mp_get(values, "what"), what, 1);
    meter_word(item, "referral", referral);
    meter_word(item, "what", what);
    meter_word(item, "owner", owner);
    meter_word(item, "step", step);
    meter_word(item, "region", "mikkeli");
    return item;
}

static void create(const char *referral, const char *from, const char *to, const char *parent)
{
    desk_created(d, from, referral, "case", from, to, "mikkeli", parent);
    meter_send(d);
}

static void say(const char *who, kap_event_type_t type, const char *referral)
{
    desk_referral(d, who, type, referral);
    if (type == KAP_EV_REFERRAL_HELD)
        desk_code(d, KAP_F_HOLD_REASON, 0);
    meter_send(d);
}

static void hand_on(const char *referral, const char *next, const char *to)
{
    desk_referral(d, "b", KAP_EV_REFERRAL_REDIRECTED, referral);
    desk_span(d, KAP_F_NEXT, next);
    desk_group(d, next);
    desk_created(d, "b", next, "case", "b", to, "mikkeli", referral);
    desk_group(d, next);
    meter_send(d);
}

/* Noon of the n-th working day behind Monday 2026-01-05; Tuesday the 6th is Epiphany. */
static void working_day(int n)
{
    static const int days[] = {0, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18};
    static int64_t monday;

    if (n == 0)
        monday = d->now;
    d->now = monday + days[n] * KAP_DAY_MS;
}

Test(metric_orphans, undelivered_for_more_than_an_hour)
{
    int64_t created = d->now;

    create("r", "a", "b", NULL);
    d->now += KAP_HOUR_MS;
    none();
    d->now += 1;
    const kap_mp_t *item = one("r", "undelivered", "b", "look_at_node");
    meter_count(item, "since_at", created);
    meter_word(item, "from", "a");
    meter_word(item, "to_name", "Toimija b");
    meter_word(item, "owner_name", "Toimija b");
    meter_word(item, "service", "startup-advice");
    d->now += 40 * KAP_DAY_MS; /* expired is no end */
    desk_expire(d);
    one("r", "undelivered", "b", "look_at_node");
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    none();
}

Test(metric_orphans, unanswered_for_more_than_five_working_days)
{
    int64_t delivered;

    working_day(0);
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    delivered = d->now;
    working_day(5);
    none();
    d->now += 1;
    meter_count(one("r", "unanswered", "b", "answer"), "since_at", delivered);
    working_day(11); /* past the deadline it stays so */
    desk_expire(d);
    one("r", "unanswered", "b", "answer");
    say("b", KAP_EV_REFERRAL_ACCEPTED, "r");
    none();
}

Test(metric_orphans, uncontacted_for_more_than_ten_working_days_after_the_accept)
{
    int64_t accepted;

    working_day(0);
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    working_day(1);
    say("b", KAP_EV_REFERRAL_HELD, "r"); /* a hold before the accept is no matter */
    working_day(2);
    say("b", KAP_EV_REFERRAL_RESUMED, "r");
    say("b", KAP_EV_REFERRAL_ACCEPTED, "r");
    accepted = d->now;
    desk_referral(d, "b", KAP_EV_REFERRAL_CONTACTED, "r");
    desk_code(d, KAP_F_CONTACT, KAP_CONTACT_NO_ANSWER);
    meter_send(d);
    working_day(12);
    none();
    d->now += 1;
    meter_count(one("r", "uncontacted", "b", "contact"), "since_at", accepted);
    say("b", KAP_EV_REFERRAL_CONTACTED, "r");
    none();
}

Test(metric_orphans, a_hold_behind_the_accept_is_cut_out)
{
    working_day(0);
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    say("b", KAP_EV_REFERRAL_ACCEPTED, "r");
    working_day(1);
    say("b", KAP_EV_REFERRAL_HELD, "r");
    working_day(3);
    say("b", KAP_EV_REFERRAL_RESUMED, "r");
    working_day(12);
    none();
    d->now += 1;
    one("r", "uncontacted", "b", "contact");
}

Test(metric_orphans, in_contact_without_news_for_more_than_thirty_days)
{
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    say("b", KAP_EV_REFERRAL_CONTACTED, "r");
    d->now += 20 * KAP_DAY_MS;
    say("a", KAP_EV_REFERRAL_NOTED, "r"); /* either end's news */
    int64_t noted = d->now;
    d->now += 30 * KAP_DAY_MS;
    none();
    d->now += 1;
    meter_count(one("r", "silent", "b", "tell"), "since_at", noted);
    say("b", KAP_EV_REFERRAL_COMPLETED, "r");
    none();
}

Test(metric_orphans, on_hold_is_none)
{
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    say("b", KAP_EV_REFERRAL_HELD, "r");
    d->now += 100 * KAP_DAY_MS;
    none();
    say("b", KAP_EV_REFERRAL_RESUMED, "r");
    none();
    d->now += 10 * KAP_DAY_MS;
    one("r", "unanswered", "b", "answer");
    say("b", KAP_EV_REFERRAL_CONTACTED, "r");
    say("b", KAP_EV_REFERRAL_HELD, "r");
    d->now += 40 * KAP_DAY_MS; /* nor is it silent, though nobody says anything */
    none();
    say("b", KAP_EV_REFERRAL_RESUMED, "r");
    none();
}

Test(metric_orphans, a_baton_is_dropped_when_the_next_referral_is_lost)
{
    int64_t handed_on;

    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    hand_on("r", "next", "c");
    handed_on = d->now;
    d->now += KAP_HOUR_MS;
    none();
    say("b", KAP_EV_REFERRAL_WITHDRAWN, "next");
    meter_count(one("r", "dropped", "b", "hand_on"), "since_at", handed_on);
    create("again", "b", "d", "r"); /* handed on once more */
    none();
    say("b", KAP_EV_REFERRAL_VOIDED, "again");
    one("r", "dropped", "b", "hand_on");
    create("third", "b", "d", "r");
    say("d", KAP_EV_REFERRAL_DELIVERED, "third");
    none();
}

Test(metric_orphans, a_baton_that_does_not_arrive_within_a_day_is_dropped)
{
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    hand_on("r", "next", "c");
    d->now += KAP_DAY_MS - 1;
    one("next", "undelivered", "c", "look_at_node"); /* and not yet the baton */
    d->now += 1;
    const kap_mp_t *values = ask();
    cr_expect_eq(meter_length(values, "orphans"), 2);
    meter_word(meter_item(values, "orphans", "referral", "r", NULL, NULL), "what", "dropped");
    meter_count(kap_mp_get(values, "what"), "dropped", 1);
    meter_count(kap_mp_get(values, "what"), "undelivered", 1);
    say("c", KAP_EV_REFERRAL_DELIVERED, "next");
    none();
}

Test(metric_orphans, addressed_to_a_member_that_left)
{
    create("r", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    d->now += 20 * KAP_DAY_MS; /* unanswered as well: the first that holds is told */
    today("\"id\": \"b\", ", "\"id\": \"b\", \"valid_to\": \"2026-01-11\", ");
    const kap_mp_t *item = one("r", "left", "a", "refer_anew");
    meter_count(item, "since_at", kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2026, 1, 12}));
    today("\"id\": \"b\", ", "\"id\": \"bb\", "); /* nobody of that name */
    item = one("r", "left", "a", "refer_anew");
    cr_expect_eq(kap_mp_get(item, "since_at")->kind, KAP_MP_NIL);
    meter_word(item, "to_name", "b");
    say("b", KAP_EV_REFERRAL_DECLINED, "r"); /* what has ended is nobody's any more */
    none();
}

Test(metric_orphans, limits_are_the_region_s)
{
    today("\"id\": \"mikkeli\", ",
          "\"id\": \"mikkeli\", \"settings\": {\"undelivered_hours\": 3, \"unanswered_days\": 2, "
          "\"silent_days\": 7}, ");
    working_day(0);
    create("r", "a", "b", NULL);
    d->now += 3 * KAP_HOUR_MS;
    none();
    d->now += 1;
    one("r", "undelivered", "b", "look_at_node");
    working_day(0);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r");
    int64_t delivered = d->now;
    d->now = delivered + 3 * KAP_DAY_MS - 3 * KAP_HOUR_MS;
    none();
    d->now = delivered + 3 * KAP_DAY_MS + 1; /* Thursday: two working days */
    one("r", "unanswered", "b", "answer");
    say("b", KAP_EV_REFERRAL_CONTACTED, "r");
    d->now += 7 * KAP_DAY_MS;
    none();
    d->now += 1;
    one("r", "silent", "b", "tell");
}

Test(metric_orphans, transfers_only)
{
    desk_created(d, "a", "r", "case", "a", "e", "mikkeli", NULL); /* inside one organisation */
    meter_send(d);
    desk_event(d, "a", KAP_EV_REFERRAL_CREATED, d->now);
    desk_span(d, KAP_F_REFERRAL, "g");
    desk_span(d, KAP_F_CASE, "gcase");
    desk_span(d, KAP_F_FROM, "a");
    desk_span(d, KAP_F_TO, "b");
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_code(d, KAP_F_KIND, KAP_KIND_GUIDANCE);
    desk_code(d, KAP_F_SERVICE, KAP_SERVICE_TAX);
    desk_code(d, KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN);
    const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};
    kap_event_builder_set_basis(&d->builder, &basis);
    meter_send(d);
    d->now += 50 * KAP_DAY_MS;
    none();
}

Test(metric_orphans, a_member_has_those_that_it_answers_for)
{
    create("r1", "a", "b", NULL);
    say("b", KAP_EV_REFERRAL_DELIVERED, "r1");
    create("r2", "b", "c", NULL);
    d->now += 2 * KAP_HOUR_MS; /* r2 is not delivered: c's node */
    begin();
    meter_member(m, "mikkeli", "c");
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 1);
    meter_member(m, "mikkeli", "b");
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 0);
    today("\"id\": \"c\", ", "\"id\": \"c\", \"valid_to\": \"2026-01-04\", ");
    begin();
    meter_member(m, "mikkeli", "b"); /* the sender has it back */
    const kap_mp_t *values = meter_ask(m);
    meter_word(meter_item(values, "orphans", "referral", "r2", NULL, NULL), "what", "left");
    cr_expect_eq(m->values.n, 1);
    m->values.row = true; /* a row tells how many, not which */
    values = meter_ask(m);
    cr_expect_null(kap_mp_get(values, "orphans"));
    meter_count(kap_mp_get(values, "what"), "left", 1);
    meter_member(m, "", "b");
    m->values.row = false;
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 1);
    m->query.what.scope =
        (kap_scope_t){.kind = KAP_SCOPE_ORGANISATION, .organisation = KAP_SPAN("1234574-3")};
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 1);
}

Test(metric_orphans, a_quiet_log_does_not_stop_the_clock)
{
    create("r", "a", "b", NULL);
    d->now += 2 * KAP_HOUR_MS; /* nothing was committed since */
    const kap_mp_t *answer = question(d, "metric=orphans region=mikkeli");
    cr_expect_eq(question_number(answer, "n"), 1);
    cr_expect_eq(question_number(answer, "as_of_time"), d->now - 2 * KAP_HOUR_MS);
    answer = question(d, "metric=orphans region=mikkeli by=member");
    cr_expect_eq(question_rows(answer), 1);
    cr_expect_eq(question_number(question_row(answer, "b"), "values.what.undelivered"), 1);
    answer = question_as(d, "a", "metric=orphans area=etela-savo by=region").root;
    cr_expect_null(answer); /* of an area: for those who cover it */
    answer = question_as(d, "op", "metric=orphans area=etela-savo by=region").root;
    cr_assert_not_null(answer);
    cr_expect_eq(question_rows(answer), 1);
    cr_expect_eq(question_number(question_row(answer, "mikkeli"), "n"), 1);
    cr_expect_eq(question_number(answer, "values.orphans"), -2); /* which ones is the region's */
}

Test(metric_orphans, of_area_and_nation_those_of_their_regions)
{
    create("r1", "a", "b", NULL);
    desk_created(d, "f", "r2", "c2", "f", "g", "pieksamaki", NULL);
    meter_send(d);
    desk_created(d, "drv", "r3", "c3", "x", "y", "bench", NULL);
    meter_send(d);
    d->now += 2 * KAP_HOUR_MS;
    cr_expect_eq(meter_length(ask(), "orphans"), 1);
    begin();
    meter_nation(m);
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 2); /* a bench region is in no area */
    m->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("etela-savo")};
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 2);
    m->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("uusimaa")};
    cr_expect_eq(meter_length(meter_ask(m), "orphans"), 0);
}
