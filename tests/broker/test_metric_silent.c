/* SPDX-License-Identifier: MPL-2.0 */
/* What was agreed and is not done, what is done and was not agreed, who is silent, whose node. */
#include <criterion/criterion.h>

#include "meter.h"
#include "question.h"

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

TestSuite(metric_silent, .init = start, .fini = stop);

static void agree_event(const char *from, const char *to, bool agreed)
{
    desk_event(d, "a", KAP_EV_AGREEMENT_SET, d->now);
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_span(d, KAP_F_FROM, from);
    desk_span(d, KAP_F_TO, to);
    kap_event_builder_set_bool(&d->builder, KAP_F_AGREED, agreed);
}

static void agree(const char *from, const char *to, bool agreed)
{
    agree_event(from, to, agreed);
    meter_send(d);
}

static void hand(const char *referral, const char *from, const char *to)
{
    desk_created(d, from, referral, referral, from, to, "mikkeli", NULL);
    meter_send(d);
}

static const kap_mp_t *ask(const char *from, const char *to)
{
    meter_begin(m, d, KAP_METRIC_SILENT_EDGES);
    meter_days(m, from, to);
    return meter_ask(m);
}

Test(metric_silent, agreed_pairs_without_a_transfer_and_used_ones_that_nobody_agreed_on)
{
    agree("a", "b", true);
    agree("b", "a", true);
    agree("c", "d", true);
    agree("c", "d", false); /* taken back */
    hand("1", "a", "b");
    hand("2", "b", "c");
    hand("3", "b", "c");
    const kap_mp_t *values = ask(NULL, NULL);
    cr_expect_eq(meter_length(values, "silent"), 1);
    const kap_mp_t *silent = meter_item(values, "silent", "from", "b", "to", "a");
    cr_assert_not_null(silent);
    meter_word(silent, "region", "mikkeli");
    meter_word(silent, "to_name", "Toimija a");
    cr_expect_eq(meter_length(values, "unplanned"), 1);
    meter_count(meter_item(values, "unplanned", "from", "b", "to", "c"), "transfers", 2);
    /* of a member those at either of its ends */
    meter_member(m, "mikkeli", "a");
    cr_expect_eq(meter_length(meter_ask(m), "silent"), 1);
    cr_expect_eq(meter_length(meter_ask(m), "unplanned"), 0);
    meter_member(m, "mikkeli", "c");
    cr_expect_eq(meter_length(meter_ask(m), "silent"), 0);
    cr_expect_eq(meter_length(meter_ask(m), "unplanned"), 1);
    meter_nation(m);
    cr_expect_eq(meter_length(meter_ask(m), "silent"), 1);
}

Test(metric_silent, agreements_begin_and_end)
{
    agree_event("a", "b", true);
    desk_span(d, KAP_F_VALID_FROM, "2026-03-01");
    desk_span(d, KAP_F_VALID_TO, "2026-03-31");
    meter_send(d);
    hand("1", "a", "b"); /* 5 January: before it was agreed */
    cr_expect_eq(meter_length(ask("2026-01-01", "2026-03-01"), "silent"), 0);
    cr_expect_eq(meter_length(ask("2026-01-01", "2026-03-01"), "unplanned"), 1);
    cr_expect_eq(meter_length(ask("2026-02-01", "2026-03-02"), "silent"), 1);
    cr_expect_eq(meter_length(ask("2026-03-31", "2026-05-01"), "silent"), 1); /* its last day */
    cr_expect_eq(meter_length(ask("2026-04-01", "2026-05-01"), "silent"), 0);
    cr_expect_eq(meter_length(ask("2026-01-01", "2026-04-01"), "unplanned"), 0);
    cr_expect_eq(meter_length(ask("2026-01-01", "2026-04-01"), "silent"), 0);
}

Test(metric_silent, agreements_on_other_kinds_are_not_about_transfers)
{
    agree_event("a", "b", true);
    desk_code(d, KAP_F_KIND, KAP_KIND_GUIDANCE);
    meter_send(d);
    agree_event("b", "c", true);
    desk_code(d, KAP_F_KIND, KAP_KIND_TRANSFER);
    meter_send(d);
    agree("b", "c", true); /* of any kind: the same pair is told once */
    const kap_mp_t *values = ask(NULL, NULL);
    cr_expect_eq(meter_length(values, "silent"), 1);
    cr_assert_not_null(meter_item(values, "silent", "from", "b", "to", "c"));
}

Test(metric_silent, agreements_of_those_who_were_followed_are_their_followers_today)
{
    agree("a", "b", true);
    agree("b", "c", true);
    agree("c", "f", true);
    hand("1", "a", "b");
    hand("2", "f", "b");
    desk_event(d, "op", KAP_EV_MEMBER_SUCCEEDED, d->now);
    desk_list(d, KAP_F_FROM_IDS, "b,c");
    desk_list(d, KAP_F_TO_IDS, "d");
    desk_span(d, KAP_F_VALID_FROM, "2026-01-01");
    meter_send(d);
    const kap_mp_t *then =
        kap_mp_get(question(d, "metric=silent-edges region=mikkeli view=then"), "values");
    cr_expect_eq(meter_length(then, "silent"), 2); /* b to c, c to f */
    cr_assert_not_null(meter_item(then, "unplanned", "from", "f", "to", "b"));
    const kap_mp_t *now =
        kap_mp_get(question(d, "metric=silent-edges region=mikkeli view=now"), "values");
    cr_expect_eq(meter_length(now, "silent"), 1); /* b to c is inside d today */
    cr_assert_not_null(meter_item(now, "silent", "from", "d", "to", "f"));
    cr_expect_eq(meter_length(now, "unplanned"), 1);
    cr_assert_not_null(meter_item(now, "unplanned", "from", "f", "to", "d"));
}

/* --- members --- */

static bool is_silent(const kap_mp_t *values, const char *member)
{
    return meter_item(values, "members", "member", member, NULL, NULL) != NULL;
}

Test(metric_silent, members_that_published_nothing_in_the_window)
{
    hand("1", "a", "b"); /* 5 January */
    d->now += 10 * KAP_DAY_MS;
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "1"); /* the 15th */
    meter_send(d);
    d->now += 10 * KAP_DAY_MS;
    desk_created(d, "a/q", "2", "2", "a", "c", "mikkeli", NULL); /* the 25th, another producer */
    meter_send(d);
    desk_referral(d, "e", KAP_EV_REFERRAL_DELIVERED, "2");
    cr_assert_neq(desk_said(d), 0); /* refused, and said all the same */
    const kap_mp_t *all = ask(NULL, NULL);
    cr_expect_not(is_silent(all, "a"));
    cr_expect_not(is_silent(all, "b"));
    cr_expect(is_silent(all, "c"));
    cr_expect_not(is_silent(all, "e"));
    cr_expect_not(is_silent(all, "op")); /* acts in no region */
    cr_expect_not(is_silent(all, "x"));  /* in another one */
    const kap_mp_t *between = ask("2026-01-06", "2026-01-25");
    cr_expect(is_silent(between, "a"));
    cr_expect_not(is_silent(between, "b"));
    cr_expect_not(is_silent(ask("2026-01-25", "2026-01-26"), "a"));
    cr_expect(is_silent(ask("2026-01-26", NULL), "a"));
    cr_expect(is_silent(ask(NULL, "2026-01-15"), "b"));
    cr_expect_not(is_silent(ask(NULL, "2026-01-16"), "b"));
}

Test(metric_silent, a_day_begins_with_its_first_moment)
{
    d->now = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2026, 1, 8});
    hand("1", "a", "b");
    cr_expect_not(is_silent(ask("2026-01-08", "2026-01-09"), "a"));
    cr_expect(is_silent(ask("2026-01-07", "2026-01-08"), "a"));
    cr_expect(is_silent(ask("2026-01-09", NULL), "a"));
}

Test(metric_silent, a_dead_node_is_told_apart_from_a_silent_member)
{
    const kap_metric_heard_t heard[] = {{KAP_SPAN("b"), 9 * KAP_HOUR_MS},
                                        {KAP_SPAN("c"), 9 * KAP_HOUR_MS + 1}};
    kap_metric_seen_t seen = {10 * KAP_HOUR_MS, 0, heard, 2};

    hand("1", "a", "b");
    meter_begin(m, d, KAP_METRIC_SILENT_EDGES);
    meter_word(meter_item(meter_ask(m), "members", "member", "b", NULL, NULL), "node", "unknown");
    m->seen = &seen;
    const kap_mp_t *values = meter_ask(m);
    const kap_mp_t *b = meter_item(values, "members", "member", "b", NULL, NULL);
    meter_word(b, "node", "dead"); /* an hour ago */
    meter_count(b, "heard_at", 9 * KAP_HOUR_MS);
    meter_word(meter_item(values, "members", "member", "c", NULL, NULL), "node", "seen");
    const kap_mp_t *never = meter_item(values, "members", "member", "d", NULL, NULL);
    meter_word(never, "node", "dead");
    cr_expect_eq(kap_mp_get(never, "heard_at")->kind, KAP_MP_NIL);
    seen.since = 9 * KAP_HOUR_MS + 1; /* the broker has just begun to listen */
    meter_word(meter_item(meter_ask(m), "members", "member", "d", NULL, NULL), "node", "unknown");
}
