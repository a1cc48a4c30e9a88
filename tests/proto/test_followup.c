/* SPDX-License-Identifier: MPL-2.0 */
/* What follow-up scenarios do not show: keys and facts. The rules: tests/scenarios/5*, 7*. */
#include <criterion/criterion.h>

#include "followup.h"

static kap_buf_t a, b;

static void teardown(void)
{
    kap_buf_fini(&a);
    kap_buf_fini(&b);
}

TestSuite(followup, .fini = teardown);

enum { VALUES = 8 };

static kap_value_t values[VALUES];

static kap_event_t event(kap_event_type_t type, uint32_t count)
{
    return (kap_event_t){.type = type,
                         .source = KAP_SPAN("te-office/0011223344556677"),
                         .values = values,
                         .value_count = count};
}

static kap_value_t text_value(kap_field_t field, const char *text)
{
    return (kap_value_t){.field = field, .kind = KAP_VALUE_SPAN, .s = kap_span_str(text)};
}

static bool same_key(const kap_event_t *one, const kap_event_t *two)
{
    kap_buf_reset(&a);
    kap_buf_reset(&b);
    kap_followup_key(one, &a);
    kap_followup_key(two, &b);
    return kap_span_eq(kap_buf_span(&a), kap_buf_span(&b));
}

Test(followup, a_source_names_its_member)
{
    kap_event_t ev = event(KAP_EV_ADVICE_GIVEN, 0);
    cr_expect(kap_span_eq_str(kap_followup_member(&ev), "te-office"));
    ev.source = KAP_SPAN("odd");
    cr_expect(kap_span_eq_str(kap_followup_member(&ev), "odd"));
    ev.source = kap_span(NULL, 0);
    cr_expect(kap_span_empty(kap_followup_member(&ev)));
}

Test(followup, what_counts_by_itself_has_no_key)
{
    static const kap_event_type_t types[] = {KAP_EV_ADVICE_GIVEN, KAP_EV_NEW_CUSTOMER,
                                             KAP_EV_SURVEY_ANSWERED};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        kap_event_t ev = event(types[i], 0);
        kap_followup_key(&ev, &a);
        cr_expect_eq(a.size, 0);
    }
}

Test(followup, an_absent_member_is_the_publisher)
{
    values[0] = text_value(KAP_F_REGION, "mikkeli");
    values[1] = text_value(KAP_F_MEMBER, "te-office");
    kap_event_t said = event(KAP_EV_CUSTOMERS_REPORTED, 2);
    kap_event_t silent = event(KAP_EV_CUSTOMERS_REPORTED, 1);
    cr_expect(same_key(&said, &silent));
    silent.source = KAP_SPAN("ely/0011223344556677");
    cr_expect_not(same_key(&said, &silent));
}

Test(followup, all_keys_of_a_region_begin_alike_and_no_others)
{
    values[0] = text_value(KAP_F_REGION, "mikkeli");
    values[1] = text_value(KAP_F_ITEM, "i-1");
    kap_event_t ev = event(KAP_EV_PLAN_ITEM_SET, 2);
    kap_buf_reset(&a);
    kap_buf_reset(&b);
    kap_followup_key(&ev, &a);
    cr_assert(kap_followup_key_front(ev.type, KAP_SPAN("mikkeli"), &b));
    cr_expect(kap_span_starts(kap_buf_span(&a), kap_buf_span(&b)));
    kap_buf_reset(&b);
    kap_followup_key_front(ev.type, KAP_SPAN("mikkel"), &b);
    cr_expect_not(kap_span_starts(kap_buf_span(&a), kap_buf_span(&b)));
    cr_expect_not(kap_followup_key_front(KAP_EV_ADVICE_GIVEN, KAP_SPAN("mikkeli"), &b));
    cr_expect_not(kap_followup_key_front(KAP_EV_STATEMENT_ASKED, KAP_SPAN("mikkeli"), &b));
}

Test(followup, fields_of_a_key_cannot_run_into_each_other)
{
    kap_value_t other[2] = {text_value(KAP_F_REGION, "ab"), text_value(KAP_F_ITEM, "c")};
    values[0] = text_value(KAP_F_REGION, "a");
    values[1] = text_value(KAP_F_ITEM, "bc");
    kap_event_t one = event(KAP_EV_PLAN_ITEM_SET, 2);
    kap_event_t two = one;
    two.values = other;
    cr_expect_not(same_key(&one, &two));
}

Test(followup, zeroed_facts_refuse_everything)
{
    static const kap_followup_facts_t facts;
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)type);
        kap_event_t ev = event((kap_event_type_t)type, 0);
        kap_effects_t fx;
        kap_refusal_t why = {0};
        cr_expect_eq(kap_followup_judge(&ev, &facts, 0, &fx, &why), KAP_VERDICT_REFUSED, "%s",
                     row->name);
        cr_expect_neq(why.number, KAP_REFUSAL_NONE);
    }
}

Test(followup, a_comment_counts_by_member_and_period)
{
    values[0] = text_value(KAP_F_REGION, "mikkeli");
    values[1] = text_value(KAP_F_MEMBER, "te-office");
    values[2] = text_value(KAP_F_PERIOD, "2026-10");
    values[3] = text_value(KAP_F_TEXT, "lomat");
    kap_event_t said = event(KAP_EV_FIGURES_COMMENTED, 4);
    kap_event_t taken_back = event(KAP_EV_FIGURES_COMMENTED, 3);
    cr_expect(same_key(&said, &taken_back));
    kap_value_t other[3] = {values[0], values[1], text_value(KAP_F_PERIOD, "2026")};
    kap_event_t yearly = said;
    yearly.values = other;
    cr_expect_not(same_key(&said, &yearly));
}

Test(followup, nine_questions_have_a_scale_and_three_take_words)
{
    int scaled = 0;
    cr_assert_eq(KAP_EVALUATION_COUNT, 12);
    for (int q = -1; q <= KAP_EVALUATION_COUNT; q++) {
        scaled += kap_evaluation_is_scaled(q);
    }
    cr_expect_eq(scaled, 9);
    cr_expect(kap_evaluation_is_scaled(KAP_EVALUATION_CONTACT));
    cr_expect_not(kap_evaluation_is_scaled(KAP_EVALUATION_BEST));
}

Test(followup, a_status_is_understood_in_three_languages)
{
    cr_expect_eq(kap_plan_status(KAP_SPAN("reached")), KAP_PLAN_STATUS_REACHED);
    cr_expect_eq(kap_plan_status(KAP_SPAN(" Toteutunut ")), KAP_PLAN_STATUS_REACHED);
    cr_expect_eq(kap_plan_status(KAP_SPAN("förverkligad")), KAP_PLAN_STATUS_REACHED);
    cr_expect_eq(kap_plan_status(KAP_SPAN("EI TOTEUTUNUT")), KAP_PLAN_STATUS_NOT_REACHED);
    cr_expect_eq(kap_plan_status(KAP_SPAN("toteutunut osittain")), KAP_PLAN_STATUS_PARTLY);
    cr_expect_eq(kap_plan_status(KAP_SPAN("toteutunu")), -1);
    cr_expect_eq(kap_plan_status(kap_span(NULL, 0)), -1);
    cr_expect(kap_plan_reached(-1, KAP_PLAN_STATUS_REACHED));
    cr_expect(kap_plan_reached(100, -1));
    cr_expect_not(kap_plan_reached(99, -1));
    cr_expect_not(kap_plan_reached(-1, -1));
    cr_expect_not(kap_plan_reached(100, KAP_PLAN_STATUS_PARTLY)); /* the word says more */
}

Test(followup, every_suggested_indicator_has_its_unit)
{
    for (int i = 0; i < KAP_INDICATOR_COUNT; i++) {
        cr_expect_not_null(kap_code_name(KAP_LIST_UNIT, kap_indicator_unit(i)));
    }
    cr_expect_eq(kap_indicator_unit(KAP_INDICATOR_INVESTMENTS), KAP_UNIT_EUR);
    cr_expect_eq(kap_indicator_unit(-1), -1);
    cr_expect_eq(kap_indicator_unit(KAP_INDICATOR_COUNT), -1);
}
