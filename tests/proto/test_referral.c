/* SPDX-License-Identifier: MPL-2.0 */
/* What no scenario shows: properties of the machine over all of its table and over random
 * histories. The rules themselves: tests/scenarios. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "referral.h"

enum { VALUES = 16, HISTORIES = 3000, EVENTS = 40 };

static kap_value_t values[VALUES];
static uint32_t value_count;
static const kap_basis_t basis;

static void add_text(kap_field_t field, const char *text)
{
    values[value_count++] =
        (kap_value_t){.field = field, .kind = KAP_VALUE_SPAN, .s = kap_span_str(text)};
}

static void add_int(kap_field_t field, int64_t value)
{
    values[value_count++] = (kap_value_t){.field = field, .kind = KAP_VALUE_INT, .i = value};
}

static kap_event_t event(kap_event_type_t type, int64_t time)
{
    return (kap_event_t){.type = type,
                         .family = KAP_FAMILY_REFERRAL,
                         .time = time,
                         .recorded = time,
                         .values = values,
                         .value_count = value_count};
}

static kap_event_t created(int kind, int64_t time)
{
    value_count = 0;
    add_text(KAP_F_REFERRAL, "r1");
    add_int(KAP_F_KIND, kind);
    add_text(KAP_F_FROM, "a");
    add_text(KAP_F_TO, "b");
    add_text(KAP_F_REGION, "mikkeli");
    add_text(KAP_F_CASE, "c1");
    add_int(KAP_F_SERVICE, KAP_SERVICE_TAX);
    values[value_count++] =
        (kap_value_t){.field = KAP_F_BASIS, .kind = KAP_VALUE_BASIS, .basis = &basis};
    return event(KAP_EV_REFERRAL_CREATED, time);
}

static kap_referral_facts_t facts_of(bool sender, bool recipient)
{
    return (kap_referral_facts_t){.is_sender = sender,
                                  .is_recipient = recipient,
                                  .from_in_region = true,
                                  .to_known = true,
                                  .to_in_region = true,
                                  .root_created_at = KAP_REFERRAL_NO_TIME};
}

Test(referral, every_referral_event_has_a_row_and_no_other_has)
{
    static const kap_referral_facts_t facts;
    for (int type = KAP_EV_NONE; type < KAP_EVENT_COUNT; type++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)type);
        kap_event_t ev = {.type = (kap_event_type_t)type};
        kap_referral_t after;
        kap_effects_t fx;
        kap_refusal_t why = {0};
        bool referral = row && row->family == KAP_FAMILY_REFERRAL;
        cr_expect_eq(kap_referral_judge(NULL, &ev, &facts, 0, &after, &fx, &why),
                     KAP_VERDICT_REFUSED, "zeroed facts refuse everything");
        cr_expect_eq(why.number == KAP_REFUSAL_MALFORMED_TYPE, !referral, "%s",
                     row ? row->name : "none");
    }
}

Test(referral, every_state_has_a_class)
{
    int open = 0, terminal = 0;
    for (int state = 0; state < KAP_STATE_COUNT; state++) {
        open += kap_state_is_open(state);
        terminal += kap_state_is_terminal(state);
    }
    cr_expect_eq(open, 4);
    cr_expect_eq(terminal, 5);
    cr_expect_not(kap_state_is_open(KAP_STATE_EXPIRED));
    cr_expect_not(kap_state_is_terminal(KAP_STATE_EXPIRED));
    cr_expect_not(kap_state_is_open(KAP_STATE_NONE));
    cr_expect_not(kap_state_is_terminal(KAP_STATE_NONE));
    cr_expect_not(kap_state_is_terminal(KAP_STATE_COUNT));
    cr_expect_str_eq(kap_state_name(KAP_STATE_NONE), "none");
    cr_expect_str_eq(kap_state_name(KAP_STATE_IN_CONTACT), "in_contact");
}

Test(referral, external_has_a_type)
{
    cr_expect(kap_referral_is_external(KAP_SPAN("external:bank")));
    cr_expect_not(kap_referral_is_external(KAP_SPAN("external:")));
    cr_expect_not(kap_referral_is_external(KAP_SPAN("externals")));
    cr_expect_not(kap_referral_is_external(KAP_SPAN("")));
}

Test(referral, answers_are_those_of_the_table)
{
    cr_expect(kap_referral_is_answer(KAP_EV_REFERRAL_ACCEPTED));
    cr_expect(kap_referral_is_answer(KAP_EV_REFERRAL_DECLINED));
    cr_expect_not(kap_referral_is_answer(KAP_EV_REFERRAL_WITHDRAWN));
    cr_expect_not(kap_referral_is_answer(KAP_EV_REFERRAL_DELIVERED));
    cr_expect_not(kap_referral_is_answer(KAP_EV_CHECKPOINT));
    cr_expect_not(kap_referral_is_answer(KAP_EVENT_COUNT));
}

Test(referral, a_refusal_touches_nothing)
{
    kap_referral_facts_t facts = facts_of(false, false);
    kap_event_t ev = created(KAP_KIND_TRANSFER, 1000);
    kap_referral_t after;
    kap_effects_t fx;
    kap_refusal_t why;
    memset(&after, 0x5a, sizeof(after));
    memset(&fx, 0x5a, sizeof(fx));
    cr_assert_eq(kap_referral_judge(NULL, &ev, &facts, 1000, &after, &fx, &why),
                 KAP_VERDICT_REFUSED);
    for (size_t i = 0; i < sizeof(after); i++) {
        cr_assert_eq(((uint8_t *)&after)[i], 0x5a);
    }
    for (size_t i = 0; i < sizeof(fx); i++) {
        cr_assert_eq(((uint8_t *)&fx)[i], 0x5a);
    }
}

Test(referral, before_and_after_may_be_one_object)
{
    kap_referral_facts_t sender = facts_of(true, false), recipient = facts_of(false, true);
    kap_event_t ev = created(KAP_KIND_TRANSFER, 1000);
    kap_referral_t r, apart;
    kap_effects_t fx;
    kap_refusal_t why;
    cr_assert_eq(kap_referral_judge(NULL, &ev, &sender, 1000, &r, &fx, &why), KAP_VERDICT_ACCEPTED);
    ev = event(KAP_EV_REFERRAL_ACCEPTED, 2000);
    cr_assert_eq(kap_referral_judge(&r, &ev, &recipient, 2000, &apart, &fx, &why),
                 KAP_VERDICT_ACCEPTED);
    cr_assert_eq(kap_referral_judge(&r, &ev, &recipient, 2000, &r, &fx, &why),
                 KAP_VERDICT_ACCEPTED);
    cr_expect_eq(r.state, apart.state);
    cr_expect_eq(r.due_at, apart.due_at);
    cr_expect_eq(r.implied, apart.implied);
}

Test(referral, times_of_the_last_years_do_no_harm)
{
    static const int64_t times[] = {-INT64_C(253402300799999), -1, 0, INT64_C(253402300799999)};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            kap_referral_facts_t both = facts_of(true, true);
            kap_event_t ev = created(KAP_KIND_TRANSFER, times[i]);
            kap_referral_t r;
            kap_effects_t fx;
            kap_refusal_t why;
            int64_t now = INT64_C(253402300799999);
            cr_assert_eq(kap_referral_judge(NULL, &ev, &both, now, &r, &fx, &why),
                         KAP_VERDICT_ACCEPTED);
            ev.type = KAP_EV_REFERRAL_DELIVERED;
            ev.time = times[k];
            cr_expect_eq(kap_referral_judge(&r, &ev, &both, now, &r, &fx, &why),
                         KAP_VERDICT_ACCEPTED);
            ev.type = KAP_EV_REFERRAL_ACCEPTED;
            cr_expect_eq(kap_referral_judge(&r, &ev, &both, now, &r, &fx, &why),
                         KAP_VERDICT_ACCEPTED);
        }
    }
}

/* --- random histories --- */

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % sides;
}

/* Some event with some fields, sensible or not. */
static kap_event_t any_event(int64_t now)
{
    int type =
        KAP_EV_REFERRAL_CREATED + (int)dice(KAP_EV_REFERRAL_VOIDED - KAP_EV_REFERRAL_CREATED + 1);
    int64_t time = now - (int64_t)dice(5) * KAP_DAY_MS + (int64_t)dice(3) * KAP_HOUR_MS;
    kap_event_t ev = created((int)dice(3), time);
    add_int(KAP_F_CONTACT, dice(2));
    add_int(KAP_F_OUTCOME, dice(3));
    add_int(KAP_F_REASON, dice(3));
    add_int(KAP_F_WITHDRAW_REASON, dice(2));
    add_int(KAP_F_VOID_REASON, dice(2));
    ev.type = (kap_event_type_t)type;
    ev.value_count = value_count;
    return ev;
}

static void check_row(const kap_referral_t *r)
{
    kap_buf_t row = {0}, again = {0};
    kap_referral_t back;
    kap_referral_pack(&row, r);
    cr_assert_eq(kap_referral_unpack(kap_buf_span(&row), &back), KAP_OK);
    kap_referral_pack(&again, &back);
    cr_assert(kap_span_eq(kap_buf_span(&row), kap_buf_span(&again)));
    kap_buf_fini(&row);
    kap_buf_fini(&again);
}

/* What holds whatever happened. */
static void check_state(const kap_referral_t *before, const kap_referral_t *r,
                        const kap_effects_t *fx)
{
    bool was_terminal = kap_state_is_terminal(before->state);
    bool is_terminal = kap_state_is_terminal(r->state);
    cr_assert(!was_terminal || is_terminal, "a terminal referral reopened");
    cr_assert(!was_terminal || r->state == before->state || r->state == KAP_STATE_VOIDED);
    cr_assert_eq(is_terminal, r->ended_at != KAP_REFERRAL_NO_TIME);
    cr_assert(!is_terminal || !(r->flags & KAP_RF_ON_HOLD));
    cr_assert(!is_terminal || r->due_kind == KAP_DEADLINE_NONE);
    cr_assert(r->kind == KAP_KIND_TRANSFER || r->due_kind == KAP_DEADLINE_NONE);
    cr_assert(r->state != KAP_STATE_IN_CONTACT || r->due_kind == KAP_DEADLINE_NONE);
    cr_assert(r->accepted_at == KAP_REFERRAL_NO_TIME || r->delivered_at != KAP_REFERRAL_NO_TIME);
    cr_assert(r->to_accept.working_ms <= r->to_accept.elapsed_ms);
    cr_assert_eq(r->created_at,
                 before->state == KAP_STATE_NONE ? r->created_at : before->created_at);
    cr_assert(!(r->implied & KAP_MILESTONE_DELIVERED) ||
              r->to_accept.working_ms == KAP_REFERRAL_NO_SPAN_MS);
    cr_assert(fx->timer != KAP_TIMER_SET ||
              (fx->timer_at == r->due_at && !(r->flags & KAP_RF_ON_HOLD)));
}

Test(referral, random_histories_keep_what_must_hold)
{
    for (seed = 1; seed <= HISTORIES; seed++) {
        uint64_t kept = seed;
        kap_referral_t r;
        int64_t now = INT64_C(1772437600000), timer = KAP_REFERRAL_NO_TIME;
        kap_referral_init(&r);
        for (int i = 0; i < EVENTS; i++) {
            kap_referral_facts_t facts = facts_of(dice(2), dice(2));
            kap_effects_t fx = {0};
            kap_refusal_t why = {0};
            kap_referral_t before = r;
            facts.is_broker = dice(2);
            facts.is_operator = dice(8) == 0;
            now += (int64_t)dice(4) * KAP_DAY_MS;
            kap_event_t ev = any_event(now);
            int verdict = kap_referral_judge(&before, &ev, &facts, now, &r, &fx, &why);
            if (verdict == KAP_VERDICT_REFUSED) {
                cr_assert_neq(why.number, KAP_REFUSAL_NONE);
                continue;
            }
            if (fx.timer != KAP_TIMER_KEEP) {
                timer = fx.timer == KAP_TIMER_SET ? fx.timer_at : KAP_REFERRAL_NO_TIME;
            }
            check_state(&before, &r, &fx);
            check_row(&r);
            bool waits = timer != KAP_REFERRAL_NO_TIME;
            cr_assert_eq(waits && now >= timer, kap_referral_is_due(&r, now),
                         "the timer and the row disagree");
        }
        seed = kept;
    }
}

/* --- facts that a scenario would need hundreds of lines for --- */

static int created_with(const kap_referral_facts_t *facts, uint16_t *number)
{
    kap_event_t ev = created(KAP_KIND_TRANSFER, 1000);
    kap_referral_t after;
    kap_effects_t fx;
    kap_refusal_t why = {0};
    int verdict = kap_referral_judge(NULL, &ev, facts, 1000, &after, &fx, &why);
    *number = why.number;
    return verdict;
}

Test(referral, a_case_holds_512_and_an_archives_more)
{
    kap_referral_facts_t facts = facts_of(true, false);
    uint16_t number = 0;
    facts.case_size = KAP_LIMIT_CASE_REFERRALS - 1;
    cr_expect_eq(created_with(&facts, &number), KAP_VERDICT_ACCEPTED);
    facts.case_size = KAP_LIMIT_CASE_REFERRALS;
    cr_expect_eq(created_with(&facts, &number), KAP_VERDICT_REFUSED);
    cr_expect_eq(number, KAP_REFUSAL_ILLEGAL_CASE_FULL);
    facts.archive = true;
    cr_expect_eq(created_with(&facts, &number), KAP_VERDICT_ACCEPTED);
}

Test(referral, a_limit_starts_and_ends_on_the_millisecond)
{
    kap_referral_facts_t both = facts_of(true, true);
    int64_t start = INT64_C(1772437600000);
    kap_event_t ev = created(KAP_KIND_TRANSFER, start);
    kap_referral_t r, in_time, late;
    kap_effects_t fx;
    kap_refusal_t why;
    kap_referral_judge(NULL, &ev, &both, start, &r, &fx, &why);
    ev.type = KAP_EV_REFERRAL_DELIVERED;
    kap_referral_judge(&r, &ev, &both, start, &r, &fx, &why);
    cr_expect_not(kap_referral_is_due(&r, r.due_at - 1));
    cr_expect(kap_referral_is_due(&r, r.due_at));
    ev.type = KAP_EV_REFERRAL_ACCEPTED;
    ev.time = r.due_at;
    kap_referral_judge(&r, &ev, &both, r.due_at + KAP_DAY_MS, &in_time, &fx, &why);
    cr_expect_not(in_time.flags & KAP_RF_LATE);
    ev.time = r.due_at + 1;
    kap_referral_judge(&r, &ev, &both, r.due_at + KAP_DAY_MS, &late, &fx, &why);
    cr_expect(late.flags & KAP_RF_LATE);
}
