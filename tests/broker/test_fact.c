/* SPDX-License-Identifier: MPL-2.0 */
/* Facts: what a referral counts, figure by figure, and the row that keeps it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "codes.h"
#include "err.h"
#include "fact.h"

enum { CREATED = 1000000, RANDOM_FACTS = 2000 };

static const kap_spent_t none = {KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};

/* --- referrals in words --- */

typedef struct {
    kap_referral_row_t row;
    kap_fact_path_t path;
} subject_t;

static bool say_state(kap_referral_t *r, const char *word)
{
    for (int i = 0; i < KAP_STATE_COUNT; i++) {
        if (strcmp(kap_state_name(i), word) == 0) {
            r->state = (int8_t)i;
            if (kap_state_is_terminal(i))
                r->ended_at = CREATED + 400;
            return true;
        }
    }
    return false;
}

static bool say_milestone(kap_referral_t *r, const char *word)
{
    bool implied = strncmp(word, "implied-", 8) == 0;
    const char *which = word + (implied ? 8 : 0);

    if (strcmp(which, "arrived") == 0) {
        r->delivered_at = CREATED + 100;
        r->implied |= implied ? KAP_MILESTONE_DELIVERED : 0;
    } else if (strcmp(which, "taken") == 0) {
        r->accepted_at = CREATED + 200;
        r->implied |= implied ? KAP_MILESTONE_ACCEPTED : 0;
    } else if (strcmp(which, "reached") == 0) {
        r->contact_at = CREATED + 300;
        r->implied |= implied ? KAP_MILESTONE_CONTACT : 0;
    } else {
        return false;
    }
    return true;
}

static bool say_flag(kap_referral_t *r, const char *word)
{
    static const struct {
        const char *word;
        uint32_t flag;
    } flags[] = {{"internal", KAP_RF_INTERNAL},
                 {"external", KAP_RF_EXTERNAL},
                 {"late", KAP_RF_LATE},
                 {"contact-late", KAP_RF_CONTACT_LATE},
                 {"expected", KAP_RF_RETURN_EXPECTED},
                 {"in-meeting", KAP_RF_MEETING},
                 {"came", KAP_RF_CAME},
                 {"stayed-away", KAP_RF_DID_NOT_COME},
                 {"held", KAP_RF_ON_HOLD},
                 {"warm", KAP_RF_WARM}};

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(flags[i].word, word) == 0) {
            r->flags |= flags[i].flag;
            return true;
        }
    }
    return false;
}

static bool say_code(kap_referral_t *r, const char *word)
{
    kap_span_t span = kap_span_str(word);
    int kind = kap_code_parse(KAP_LIST_KIND, span);
    int outcome = kap_code_parse(KAP_LIST_OUTCOME, span);
    int result = kap_code_parse(KAP_LIST_RESULT, span);

    if (kind >= 0)
        r->kind = (int16_t)kind;
    if (outcome >= 0)
        r->outcome = (int16_t)outcome;
    if (result >= 0)
        r->results |= 1u << result;
    if (strcmp(word, "detail-unknown") == 0) {
        r->detail = KAP_DETAIL_UNKNOWN;
        return true;
    }
    return kind >= 0 || outcome >= 0 || result >= 0;
}

static bool say_number(subject_t *s, const char *word)
{
    kap_referral_t *r = &s->row.r;
    int scale, score;
    long long ms;

    if (sscanf(word, "answered-after:%lld", &ms) == 1) {
        r->answer_received_at = CREATED + ms;
    } else if (sscanf(word, "feedback:%d/%d", &score, &scale) == 2) {
        r->flags |= KAP_RF_FEEDBACK;
        r->feedback_scale = (int16_t)scale;
        r->feedback_value = (int16_t)score;
    } else if (sscanf(word, "attempts:%u", &r->attempts) == 1 ||
               sscanf(word, "told-late:%u", &r->late_reports) == 1) {
        return true;
    } else if (strcmp(word, "clamped") == 0) {
        r->clamped = KAP_MILESTONE_ACCEPTED;
    } else {
        return false;
    }
    return true;
}

static bool say_path(kap_fact_path_t *path, const char *word)
{
    if (strcmp(word, "ping-pong") == 0)
        path->ping_pong = path->returned = true;
    else if (strcmp(word, "back") == 0)
        path->returned = true;
    else if (strcmp(word, "back-clamped") == 0)
        path->returned = path->clamped = true;
    else if (strcmp(word, "loop") == 0)
        path->loop = true;
    else
        return false;
    return true;
}

/* A transfer that was created, and what the words say of it. */
static subject_t subject(const char *words)
{
    subject_t s = {.row.customer = none};
    char text[256], *rest = NULL;
    kap_referral_t *r = &s.row.r;

    kap_referral_init(r);
    r->state = KAP_STATE_CREATED;
    r->kind = KAP_KIND_TRANSFER;
    r->created_at = CREATED;
    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        cr_assert(say_state(r, word) || say_milestone(r, word) || say_flag(r, word) ||
                      say_code(r, word) || say_number(&s, word) || say_path(&s.path, word),
                  "%s", word);
    return s;
}

static kap_fact_t fact(const char *words)
{
    subject_t s = subject(words);
    kap_fact_t f;

    kap_fact_of(&s.row, &s.path, 7, &f);
    return f;
}

static bool counts(const char *words, kap_figure_t figure)
{
    kap_fact_t f = fact(words);
    return kap_figure_in(&f.figures, figure);
}

/* --- each figure: who counts it, who does not --- */

#define LOOP_CLOSED_MS   "7776000000" /* 90 days */
#define LOOP_CLOSED_LATE "7776000001"

static const struct {
    kap_figure_t figure;
    const char *has, *has_not;
} rows[] = {
    {KAP_FIGURE_REFERRALS, "", "voided"},
    {KAP_FIGURE_REFERRALS, "declined", "guidance"},
    {KAP_FIGURE_REFERRALS, "expired", "internal"},
    {KAP_FIGURE_REFERRALS, "withdrawn", "external"},
    {KAP_FIGURE_REFERRALS, "warm", "lead"},
    {KAP_FIGURE_ACCEPTED, "accepted taken", "delivered arrived"},
    {KAP_FIGURE_ACCEPTED, "completed implied-taken", "declined arrived"},
    {KAP_FIGURE_ACCEPTED, "declined taken", "guidance completed taken"},
    {KAP_FIGURE_DECLINED, "declined", "redirected"},
    {KAP_FIGURE_REDIRECTED, "redirected", "declined"},
    {KAP_FIGURE_COMPLETED, "completed", "withdrawn"},
    {KAP_FIGURE_COMPLETED, "completed", "internal completed"},
    {KAP_FIGURE_WITHDRAWN, "withdrawn", "voided"},
    {KAP_FIGURE_EXPIRED, "expired arrived", "delivered arrived"},
    {KAP_FIGURE_PENDING, "delivered arrived", "accepted taken"},
    {KAP_FIGURE_PENDING, "expired", "withdrawn"},
    {KAP_FIGURE_UNDELIVERED, "", "delivered arrived"},
    {KAP_FIGURE_UNDELIVERED, "expired", "withdrawn"},
    {KAP_FIGURE_BACKED_OUT, "declined arrived taken", "declined arrived"},
    {KAP_FIGURE_BACKED_OUT, "redirected implied-taken", "withdrawn taken"},
    {KAP_FIGURE_IMPLIED, "in_contact implied-taken", "in_contact taken implied-reached"},
    {KAP_FIGURE_LATE, "accepted taken late", "accepted taken contact-late"},
    {KAP_FIGURE_CLAMPED, "accepted taken clamped", "accepted taken"},
    {KAP_FIGURE_CLAMPED, "guidance delivered arrived back-clamped", "guidance clamped"},
    {KAP_FIGURE_CLAMPED, "delivered arrived back-clamped", "delivered arrived back"},
    {KAP_FIGURE_GUIDANCE, "guidance", "lead"},
    {KAP_FIGURE_GUIDANCE, "guidance completed", "guidance internal"},
    {KAP_FIGURE_LEADS, "lead", "guidance"},
    {KAP_FIGURE_REPORTED, "external", "internal"},
    {KAP_FIGURE_REPORTED, "external guidance", "voided external"},
    {KAP_FIGURE_INTERNAL, "internal lead", ""},
    {KAP_FIGURE_DELIVERED, "delivered arrived", ""},
    {KAP_FIGURE_DELIVERED, "completed implied-arrived", "guidance delivered arrived"},
    {KAP_FIGURE_TURNED_DOWN, "declined arrived", "declined taken"},
    {KAP_FIGURE_TURNED_DOWN, "redirected implied-arrived", "withdrawn arrived"},
    {KAP_FIGURE_OVERDUE, "expired arrived", "expired"},
    {KAP_FIGURE_OVERDUE, "expired arrived", "expired arrived taken"},
    {KAP_FIGURE_OVERDUE, "expired arrived", "declined arrived late"},
    {KAP_FIGURE_WITHDRAWN_EARLY, "withdrawn arrived", "withdrawn taken"},
    {KAP_FIGURE_WITHDRAWN_EARLY, "withdrawn", "declined"},
    {KAP_FIGURE_EXPECTED_BACK, "expected", "warm"},
    {KAP_FIGURE_CONTACTED, "in_contact reached", "completed implied-reached"},
    {KAP_FIGURE_CONTACTED, "expired taken reached", "accepted taken attempts:2"},
    {KAP_FIGURE_ATTEMPTS, "attempts:2", ""},
    {KAP_FIGURE_ATTEMPTS, "attempts:1", "internal attempts:1"},
    {KAP_FIGURE_CLOSABLE, "delivered arrived", "withdrawn"},
    {KAP_FIGURE_CLOSABLE, "declined", "redirected"},
    {KAP_FIGURE_LOOP_CLOSED, "completed answered-after:" LOOP_CLOSED_MS,
     "completed answered-after:" LOOP_CLOSED_LATE},
    {KAP_FIGURE_LOOP_CLOSED, "declined answered-after:0", "declined"},
    {KAP_FIGURE_LOOP_CLOSED, "declined answered-after:-5", "redirected answered-after:5"},
    {KAP_FIGURE_LOOP_CLOSED, "declined answered-after:5", "withdrawn answered-after:5"},
    {KAP_FIGURE_HANDLED, "completed handled", "completed not_handled"},
    {KAP_FIGURE_HANDLED, "completed handled", "completed"},
    {KAP_FIGURE_NOT_HANDLED, "completed not_handled", "completed passed_on"},
    {KAP_FIGURE_PASSED_ON, "completed passed_on", "completed handled"},
    {KAP_FIGURE_COMPANY_FOUNDED, "completed company_founded", "completed exported"},
    {KAP_FIGURE_FUNDING_GRANTED, "completed funding_granted", "completed company_founded"},
    {KAP_FIGURE_OWNERSHIP_CHANGED, "completed ownership_changed", "completed funding_granted"},
    {KAP_FIGURE_SITING_DECIDED, "completed siting_decided exported", "completed siting_lost"},
    {KAP_FIGURE_SITING_LOST, "completed siting_lost", "completed siting_decided"},
    {KAP_FIGURE_RECRUITED, "completed recruited", "completed siting_lost"},
    {KAP_FIGURE_EXPORTED, "completed exported recruited", "internal completed exported"},
    {KAP_FIGURE_TARGET_MET, "accepted arrived taken", "accepted arrived taken late"},
    {KAP_FIGURE_TARGET_MET, "declined implied-arrived", "withdrawn arrived"},
    {KAP_FIGURE_TARGET_MET, "redirected arrived", "expired arrived"},
    {KAP_FIGURE_TARGET_MET, "completed arrived taken", "delivered arrived"},
    {KAP_FIGURE_TARGET_MET, "expired arrived taken", ""},
    {KAP_FIGURE_TARGET_MISSED, "declined arrived late", "declined arrived"},
    {KAP_FIGURE_TARGET_MISSED, "expired arrived", "expired"},
    {KAP_FIGURE_TARGET_MISSED, "completed arrived taken late", "expired arrived taken"},
    {KAP_FIGURE_TARGET_MISSED, "withdrawn arrived taken late", "withdrawn arrived"},
    {KAP_FIGURE_CONTACT_MET, "in_contact taken reached", "in_contact taken reached contact-late"},
    {KAP_FIGURE_CONTACT_MET, "completed taken implied-reached", "accepted taken"},
    {KAP_FIGURE_CONTACT_MET, "completed taken", "expired taken"},
    {KAP_FIGURE_CONTACT_MET, "declined taken reached", "declined taken"},
    {KAP_FIGURE_CONTACT_MISSED, "expired taken", "expired arrived"},
    {KAP_FIGURE_CONTACT_MISSED, "completed taken contact-late", "completed taken late"},
    {KAP_FIGURE_REPORTED_LATE, "told-late:3", ""},
    {KAP_FIGURE_REPORTED_LATE, "told-late:1", "guidance told-late:1"},
    {KAP_FIGURE_UNKNOWN_OUTCOME, "completed", "completed handled"},
    {KAP_FIGURE_UNKNOWN_OUTCOME, "completed handled detail-unknown", "declined"},
    {KAP_FIGURE_CAME, "guidance completed came", "guidance completed"},
    {KAP_FIGURE_CAME, "guidance completed came", "internal guidance came"},
    {KAP_FIGURE_DID_NOT_COME, "guidance stayed-away", "guidance"},
    {KAP_FIGURE_IN_MEETING, "in-meeting", ""},
    {KAP_FIGURE_FEEDBACK_4, "feedback:3/4", "feedback:3/5"},
    {KAP_FIGURE_FEEDBACK_4, "guidance feedback:1/4", "voided feedback:1/4"},
    {KAP_FIGURE_FEEDBACK_4_SUM, "feedback:3/4", "feedback:3/5"},
    {KAP_FIGURE_FEEDBACK_5, "internal feedback:3/5", "feedback:3/10"},
    {KAP_FIGURE_FEEDBACK_5_SUM, "feedback:5/5", "feedback:4/4"},
    {KAP_FIGURE_PING_PONGS, "delivered arrived ping-pong", "delivered arrived back"},
    {KAP_FIGURE_PING_PONGS, "guidance arrived ping-pong", "voided ping-pong"},
    {KAP_FIGURE_RETURNS, "delivered arrived back", "delivered arrived loop"},
    {KAP_FIGURE_RETURNS, "internal arrived back", ""},
    {KAP_FIGURE_LOOPS, "delivered arrived loop", "delivered arrived ping-pong"},
    {KAP_FIGURE_FLOW_DELIVERED, "delivered arrived", "completed implied-arrived"},
    {KAP_FIGURE_FLOW_ACCEPTED, "accepted taken", "completed implied-taken"},
    {KAP_FIGURE_FLOW_CONTACTED, "in_contact reached", "completed implied-reached"},
    {KAP_FIGURE_FLOW_COMPLETED, "completed", "declined"},
    {KAP_FIGURE_FLOW_TURNED_AWAY, "declined taken", "withdrawn"},
    {KAP_FIGURE_FLOW_TURNED_AWAY, "redirected", "completed"},
    {KAP_FIGURE_FLOW_WITHDRAWN, "withdrawn taken", "redirected"},
    {KAP_FIGURE_FLOW_WITHDRAWN, "withdrawn", "guidance withdrawn"},
};

Test(fact, each_figure_counts_in_whom_it_should_and_in_no_other)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = kap_figure_name(rows[i].figure);
        cr_expect(counts(rows[i].has, rows[i].figure), "%s: %s", name, rows[i].has);
        cr_expect_not(counts(rows[i].has_not, rows[i].figure), "%s: %s", name, rows[i].has_not);
    }
}

Test(fact, no_figure_of_the_table_is_left_out)
{
    for (int figure = 0; figure < KAP_FIGURE_COUNT; figure++) {
        bool told = figure == KAP_FIGURE_REFUSED || kap_figure_is_of_case((kap_figure_t)figure);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            told |= (int)rows[i].figure == figure;
        cr_expect(told, "%s", kap_figure_name((kap_figure_t)figure));
    }
}

Test(fact, a_voided_referral_counts_nothing_at_all)
{
    kap_fact_t f = fact("voided arrived taken attempts:2 told-late:1 feedback:3/4 ping-pong loop"),
               empty;

    kap_fact_init(&empty);
    cr_expect(kap_fact_equal(&f, &empty));
}

Test(fact, sums_are_what_was_said_and_the_rest_counts_once)
{
    kap_fact_t f = fact("attempts:3 told-late:2 feedback:4/5");

    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_ATTEMPTS), 3);
    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_REPORTED_LATE), 2);
    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_FEEDBACK_5_SUM), 4);
    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_FEEDBACK_5), 1);
    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_REFERRALS), 1);
    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_FEEDBACK_4_SUM), 0);
    f.amount = 12; /* a tally's */
    cr_expect_eq(kap_fact_count(&f, KAP_FIGURE_REFERRALS), 12);
}

Test(fact, breakdowns_are_codes_from_1_and_0_is_unknown)
{
    subject_t s = subject("warm");
    kap_fact_t f;

    kap_fact_of(&s.row, &s.path, 7, &f);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_SERVICE], 0);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_WARM], 1);
    s.row.r.flags = 0;
    s.row.r.service = 3;
    s.row.r.segment = 0;
    s.row.r.origin = 5;
    kap_fact_of(&s.row, &s.path, 7, &f);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_NONE], 0);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_SERVICE], 4);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_SEGMENT], 1);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_WARM], 0);
    cr_expect_eq(f.breakdown[KAP_BREAKDOWN_ORIGIN], 6);
    cr_expect_eq(f.area, 7);
}

Test(fact, flows_have_times_only_where_they_count)
{
    kap_fact_t f = fact("completed arrived implied-taken reached");

    cr_expect_eq(f.delivered_at, CREATED + 100);
    cr_expect_eq(f.accepted_at, KAP_REFERRAL_NO_TIME);
    cr_expect_eq(f.contact_at, CREATED + 300);
    cr_expect_eq(f.ended_at, CREATED + 400);
    f = fact("guidance completed arrived");
    cr_expect_eq(f.delivered_at, KAP_REFERRAL_NO_TIME);
    cr_expect_eq(f.ended_at, KAP_REFERRAL_NO_TIME);
}

Test(fact, times_are_those_of_the_row_and_the_way_back)
{
    subject_t s = subject("completed arrived taken back");
    kap_fact_t f;

    s.row.customer = (kap_spent_t){1, 2};
    s.row.r.to_accept = (kap_spent_t){3, 4};
    s.row.r.to_give_up = (kap_spent_t){5, 6};
    s.row.r.to_contact = (kap_spent_t){7, 8};
    s.row.r.to_end = (kap_spent_t){9, 10};
    s.path.got_back = (kap_spent_t){11, 12};
    kap_fact_of(&s.row, &s.path, 0, &f);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_ACCEPT].working_ms, 3);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_ACCEPT_CUSTOMER].elapsed_ms, 2);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_GIVEN_UP].working_ms, 5);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_CONTACT].elapsed_ms, 8);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_COMPLETE].working_ms, 9);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_GOT_BACK].elapsed_ms, 12);
    cr_expect_eq(f.times[KAP_FIGURE_TIME_CHAIN].elapsed_ms, KAP_REFERRAL_NO_SPAN_MS);
    s.path = (kap_fact_path_t){0};
    s.row.r.kind = KAP_KIND_GUIDANCE;
    kap_fact_of(&s.row, &s.path, 0, &f);
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++)
        cr_expect_eq(f.times[i].elapsed_ms, KAP_REFERRAL_NO_SPAN_MS, "%d", i);
}

Test(fact, a_figure_of_a_case_is_told_from_one_of_a_referral)
{
    cr_expect(kap_figure_is_of_case(KAP_FIGURE_CASES));
    cr_expect(kap_figure_is_of_case(KAP_FIGURE_CASES_LOOP_CLOSED));
    cr_expect_not(kap_figure_is_of_case(KAP_FIGURE_REFERRALS));
    cr_expect_not(kap_figure_is_of_case(KAP_FIGURE_FLOW_WITHDRAWN));
    cr_expect_str_eq(kap_figure_name(KAP_FIGURE_CASES_SERVED), "cases_served");
    cr_expect_str_eq(kap_figure_time_name(KAP_FIGURE_TIME_GOT_BACK), "got_back");
    cr_expect_gt(strlen(kap_figure_meaning(KAP_FIGURE_REFUSED)), 0);
}

/* --- the row --- */

static uint64_t state = 88172645463325252u;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Now and then nothing, now and then an extreme. */
static int64_t any(int64_t nothing)
{
    switch (rnd() % 5) {
    case 0:
        return nothing;
    case 1:
        return rnd() % 2 ? INT64_MAX : INT64_MIN;
    default:
        return (int64_t)(rnd() >> rnd() % 64);
    }
}

static kap_fact_t random_fact(void)
{
    kap_fact_t f;

    kap_fact_init(&f);
    f.figures.bits[0] = (uint64_t)any(0);
    f.figures.bits[1] = rnd() & ((UINT64_C(1) << (KAP_FIGURE_COUNT - 64)) - 1);
    f.amount = (uint32_t)any(1);
    f.attempts = (uint32_t)any(0);
    f.late_reports = (uint32_t)any(0);
    f.feedback_scale = (uint8_t)any(0);
    f.feedback_value = (uint8_t)any(0);
    f.area = (uint32_t)any(0);
    for (int i = 1; i < KAP_BREAKDOWN_COUNT; i++)
        f.breakdown[i] = (uint16_t)any(0);
    f.delivered_at = any(KAP_REFERRAL_NO_TIME);
    f.accepted_at = any(KAP_REFERRAL_NO_TIME);
    f.contact_at = any(KAP_REFERRAL_NO_TIME);
    f.ended_at = any(KAP_REFERRAL_NO_TIME);
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++)
        f.times[i] = (kap_spent_t){any(KAP_REFERRAL_NO_SPAN_MS), any(KAP_REFERRAL_NO_SPAN_MS)};
    return f;
}

Test(fact, a_row_gives_back_what_was_written)
{
    kap_buf_t row = {0};

    for (int i = 0; i < RANDOM_FACTS; i++) {
        kap_fact_t f = random_fact(), back;
        kap_buf_reset(&row);
        kap_fact_pack(&row, &f);
        cr_assert_eq(row.err, KAP_OK);
        cr_assert_eq(kap_fact_unpack(kap_buf_span(&row), &back), KAP_OK);
        cr_assert(kap_fact_equal(&f, &back), "fact %d", i);
    }
    kap_buf_fini(&row);
}

Test(fact, a_row_cut_short_too_long_or_out_of_bounds_is_corrupt)
{
    kap_buf_t row = {0};
    kap_fact_t f = random_fact(), back;

    kap_fact_pack(&row, &f);
    for (size_t cut = 0; cut < row.size; cut++)
        cr_expect_eq(kap_fact_unpack(kap_span(row.data, cut), &back), KAP_E_CORRUPT);
    kap_buf_u8(&row, 0);
    cr_expect_eq(kap_fact_unpack(kap_buf_span(&row), &back), KAP_E_CORRUPT);
    kap_fact_init(&f);
    f.figures.bits[1] = UINT64_C(1) << (KAP_FIGURE_COUNT - 64); /* a figure that is none */
    kap_buf_reset(&row);
    kap_fact_pack(&row, &f);
    cr_expect_eq(kap_fact_unpack(kap_buf_span(&row), &back), KAP_E_CORRUPT);
    kap_buf_fini(&row);
}

Test(fact, a_typical_row_is_small)
{
    kap_buf_t row = {0};
    subject_t s = subject("completed handled arrived taken reached attempts:1 answered-after:5");
    kap_fact_t f;

    s.row.r.created_at = INT64_C(1772437600000);
    s.row.r.delivered_at = s.row.r.created_at + 5000;
    s.row.r.accepted_at = s.row.r.created_at + 90000000;
    s.row.r.contact_at = s.row.r.created_at + 180000000;
    s.row.r.ended_at = s.row.r.created_at + INT64_C(2000000000);
    s.row.r.to_accept = s.row.r.to_contact = s.row.r.to_end = (kap_spent_t){50000000, 90000000};
    kap_fact_of(&s.row, &s.path, 80, &f);
    kap_fact_pack(&row, &f);
    cr_expect_leq(row.size, 80, "%zu bytes", row.size);
    kap_buf_fini(&row);
}

#define DIFFERS(field, change)                                                                     \
    do {                                                                                           \
        kap_fact_t other = f;                                                                      \
        other.field change;                                                                        \
        cr_expect_not(kap_fact_equal(&f, &other), #field);                                         \
    } while (0)

Test(fact, facts_that_differ_in_anything_differ)
{
    kap_fact_t f = random_fact(), same = f;

    cr_expect(kap_fact_equal(&f, &same));
    DIFFERS(figures.bits[0], ^= 1);
    DIFFERS(figures.bits[1], ^= 1);
    DIFFERS(amount, ++);
    DIFFERS(attempts, ++);
    DIFFERS(late_reports, ++);
    DIFFERS(feedback_scale, ++);
    DIFFERS(feedback_value, ++);
    DIFFERS(area, ++);
    DIFFERS(breakdown[KAP_BREAKDOWN_SERVICE], ++);
    DIFFERS(breakdown[KAP_BREAKDOWN_ORIGIN], ++);
    DIFFERS(delivered_at, ^= 1);
    DIFFERS(accepted_at, ^= 1);
    DIFFERS(contact_at, ^= 1);
    DIFFERS(ended_at, ^= 1);
    DIFFERS(times[0].working_ms, ^= 1);
    DIFFERS(times[KAP_FIGURE_TIME_COUNT - 1].elapsed_ms, ^= 1);
}
