/* SPDX-License-Identifier: MPL-2.0 */
#include "fact.h"

#include <string.h>

#include "clock.h"
#include "codes.h"
#include "err.h"
#include "seeded.h"

static const struct {
    const char *wire, *meaning;
    bool of_case;
} figures[KAP_FIGURE_COUNT] = {
#define KAP_FIGURE(NAME, wire, meaning)      [KAP_FIGURE_##NAME] = {wire, meaning, false},
#define KAP_FIGURE_CASE(NAME, wire, meaning) [KAP_FIGURE_##NAME] = {wire, meaning, true},
#include "figures.def"
#undef KAP_FIGURE
#undef KAP_FIGURE_CASE
};

_Static_assert(KAP_FIGURE_COUNT > 64 && KAP_FIGURE_COUNT < 128, "a set has two words");

const char *kap_figure_name(kap_figure_t figure)
{
    return figures[figure].wire;
}

const char *kap_figure_meaning(kap_figure_t figure)
{
    return figures[figure].meaning;
}

bool kap_figure_is_of_case(kap_figure_t figure)
{
    return figures[figure].of_case;
}

const char *kap_figure_time_name(kap_figure_time_t time)
{
    static const char *const names[KAP_FIGURE_TIME_COUNT] = {
#define KAP_FIGURE_TIME(NAME, wire, meaning) wire,
#include "times.def"
#undef KAP_FIGURE_TIME
    };

    return names[time];
}

void kap_fact_init(kap_fact_t *fact)
{
    *fact = (kap_fact_t){.delivered_at = KAP_REFERRAL_NO_TIME,
                         .accepted_at = KAP_REFERRAL_NO_TIME,
                         .contact_at = KAP_REFERRAL_NO_TIME,
                         .ended_at = KAP_REFERRAL_NO_TIME};
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++)
        fact->times[i] = (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
}

/* --- what a referral counts --- */

/* A referral under count: `is` says a figure of it. */
typedef struct {
    const kap_referral_t *r;
    bool delivered, accepted, in_contact, ended; /* milestones, implied ones too */
    kap_fact_t *fact;
} counting_t;

static void is(const counting_t *c, kap_figure_t figure, bool so)
{
    if (so)
        kap_figure_add(&c->fact->figures, figure);
}

static bool is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

static bool was_turned_away(const kap_referral_t *r)
{
    return r->state == KAP_STATE_DECLINED || r->state == KAP_STATE_REDIRECTED;
}

static void count_state(const counting_t *c)
{
    const kap_referral_t *r = c->r;
    bool withdrawn = r->state == KAP_STATE_WITHDRAWN, expired = r->state == KAP_STATE_EXPIRED;

    is(c, KAP_FIGURE_REFERRALS, true);
    is(c, KAP_FIGURE_ACCEPTED, c->accepted);
    is(c, KAP_FIGURE_DECLINED, r->state == KAP_STATE_DECLINED);
    is(c, KAP_FIGURE_REDIRECTED, r->state == KAP_STATE_REDIRECTED);
    is(c, KAP_FIGURE_COMPLETED, r->state == KAP_STATE_COMPLETED);
    is(c, KAP_FIGURE_WITHDRAWN, withdrawn);
    is(c, KAP_FIGURE_EXPIRED, expired);
    is(c, KAP_FIGURE_PENDING, !c->accepted && !c->ended);
    is(c, KAP_FIGURE_UNDELIVERED, !c->delivered && !c->ended);
    is(c, KAP_FIGURE_DELIVERED, c->delivered);
    is(c, KAP_FIGURE_BACKED_OUT, was_turned_away(r) && c->accepted);
    is(c, KAP_FIGURE_TURNED_DOWN, was_turned_away(r) && !c->accepted);
    is(c, KAP_FIGURE_WITHDRAWN_EARLY, withdrawn && !c->accepted);
    is(c, KAP_FIGURE_OVERDUE, expired && c->delivered && !c->accepted);
    is(c, KAP_FIGURE_EXPECTED_BACK, r->flags & KAP_RF_RETURN_EXPECTED);
    is(c, KAP_FIGURE_IN_MEETING, r->flags & KAP_RF_MEETING);
    is(c, KAP_FIGURE_CONTACTED, c->in_contact && !(r->implied & KAP_MILESTONE_CONTACT));
}

/* Metrics 16, and what else is said of how it was told. */
static void count_quality(const counting_t *c)
{
    const kap_referral_t *r = c->r;
    bool completed = r->state == KAP_STATE_COMPLETED;

    is(c, KAP_FIGURE_IMPLIED, r->implied & KAP_MILESTONE_ACCEPTED);
    is(c, KAP_FIGURE_LATE, r->flags & KAP_RF_LATE);
    is(c, KAP_FIGURE_CLAMPED, r->clamped != 0);
    is(c, KAP_FIGURE_REPORTED_LATE, r->late_reports > 0);
    is(c, KAP_FIGURE_ATTEMPTS, r->attempts > 0);
    is(c, KAP_FIGURE_UNKNOWN_OUTCOME,
       completed && (r->outcome < 0 || r->detail == KAP_DETAIL_UNKNOWN));
    c->fact->late_reports = r->late_reports;
    c->fact->attempts = r->attempts;
}

/* Metrics 6. */
static void count_loop_closed(const counting_t *c)
{
    const kap_referral_t *r = c->r;
    bool closable = kap_fact_is_closable(r);

    is(c, KAP_FIGURE_CLOSABLE, closable);
    is(c, KAP_FIGURE_LOOP_CLOSED, closable && kap_fact_is_loop_closed(r));
}

/* Metrics 7: outcome and results. */
static void count_outcome(const counting_t *c)
{
    static const kap_figure_t of_result[] = {
        [KAP_RESULT_COMPANY_FOUNDED] = KAP_FIGURE_COMPANY_FOUNDED,
        [KAP_RESULT_FUNDING_GRANTED] = KAP_FIGURE_FUNDING_GRANTED,
        [KAP_RESULT_OWNERSHIP_CHANGED] = KAP_FIGURE_OWNERSHIP_CHANGED,
        [KAP_RESULT_SITING_DECIDED] = KAP_FIGURE_SITING_DECIDED,
        [KAP_RESULT_SITING_LOST] = KAP_FIGURE_SITING_LOST,
        [KAP_RESULT_RECRUITED] = KAP_FIGURE_RECRUITED,
        [KAP_RESULT_EXPORTED] = KAP_FIGURE_EXPORTED,
    };
    _Static_assert(sizeof of_result / sizeof *of_result == KAP_RESULT_COUNT, "a figure a result");
    const kap_referral_t *r = c->r;

    if (r->state != KAP_STATE_COMPLETED)
        return;
    is(c, KAP_FIGURE_HANDLED, r->outcome == KAP_OUTCOME_HANDLED);
    is(c, KAP_FIGURE_NOT_HANDLED, r->outcome == KAP_OUTCOME_NOT_HANDLED);
    is(c, KAP_FIGURE_PASSED_ON, r->outcome == KAP_OUTCOME_PASSED_ON);
    for (unsigned i = 0; i < KAP_RESULT_COUNT; i++)
        is(c, of_result[i], r->results >> i & 1);
}

/* Metrics 13: withdrawn unanswered, undelivered and open in time are neither met nor missed. */
static void count_targets(const counting_t *c)
{
    const kap_referral_t *r = c->r;
    bool completed = r->state == KAP_STATE_COMPLETED, expired = r->state == KAP_STATE_EXPIRED;
    bool answered = c->accepted || completed || was_turned_away(r);
    bool late = r->flags & KAP_RF_LATE;

    if (c->delivered) {
        is(c, KAP_FIGURE_TARGET_MET, answered && !late);
        is(c, KAP_FIGURE_TARGET_MISSED, answered ? late : expired);
    }
    if (c->accepted) {
        bool missed = expired || (r->flags & KAP_RF_CONTACT_LATE);
        is(c, KAP_FIGURE_CONTACT_MISSED, missed);
        is(c, KAP_FIGURE_CONTACT_MET, !missed && (c->in_contact || completed));
    }
}

static void flow(const counting_t *c, kap_figure_t figure, bool so, int64_t at, int64_t *when)
{
    is(c, figure, so);
    if (so)
        *when = at;
}

/* What happened in a period, and was said. */
static void count_flow(const counting_t *c)
{
    const kap_referral_t *r = c->r;
    kap_fact_t *f = c->fact;
    unsigned implied = KAP_SEEDED_BUG("implied_in_flow") ? 0 : r->implied;

    flow(c, KAP_FIGURE_FLOW_DELIVERED, c->delivered && !(implied & KAP_MILESTONE_DELIVERED),
         r->delivered_at, &f->delivered_at);
    flow(c, KAP_FIGURE_FLOW_ACCEPTED, c->accepted && !(implied & KAP_MILESTONE_ACCEPTED),
         r->accepted_at, &f->accepted_at);
    flow(c, KAP_FIGURE_FLOW_CONTACTED, c->in_contact && !(implied & KAP_MILESTONE_CONTACT),
         r->contact_at, &f->contact_at);
    flow(c, KAP_FIGURE_FLOW_COMPLETED, r->state == KAP_STATE_COMPLETED, r->ended_at, &f->ended_at);
    flow(c, KAP_FIGURE_FLOW_TURNED_AWAY, was_turned_away(r), r->ended_at, &f->ended_at);
    flow(c, KAP_FIGURE_FLOW_WITHDRAWN, r->state == KAP_STATE_WITHDRAWN, r->ended_at, &f->ended_at);
}

static void count_transfer(const counting_t *c, const kap_referral_row_t *row)
{
    kap_spent_t *times = c->fact->times;

    count_state(c);
    count_quality(c);
    count_loop_closed(c);
    count_outcome(c);
    count_targets(c);
    count_flow(c);
    times[KAP_FIGURE_TIME_ACCEPT] = c->r->to_accept;
    times[KAP_FIGURE_TIME_ACCEPT_CUSTOMER] = row->customer;
    times[KAP_FIGURE_TIME_GIVEN_UP] = c->r->to_give_up;
    times[KAP_FIGURE_TIME_CONTACT] = c->r->to_contact;
    times[KAP_FIGURE_TIME_COMPLETE] = c->r->to_end;
}

/* What is no transfer stands beside them, each in its own row. */
static void count_beside(const counting_t *c)
{
    const kap_referral_t *r = c->r;
    bool guidance = r->kind == KAP_KIND_GUIDANCE;

    if (r->flags & KAP_RF_INTERNAL) {
        is(c, KAP_FIGURE_INTERNAL, true);
    } else if (r->flags & KAP_RF_EXTERNAL) {
        is(c, KAP_FIGURE_REPORTED, true);
    } else {
        is(c, guidance ? KAP_FIGURE_GUIDANCE : KAP_FIGURE_LEADS, true);
        is(c, KAP_FIGURE_CAME, guidance && (r->flags & KAP_RF_CAME));
        is(c, KAP_FIGURE_DID_NOT_COME, guidance && (r->flags & KAP_RF_DID_NOT_COME));
    }
}

/* What any kind counts: the way back, and what the customer said. */
static void count_any(const counting_t *c, const kap_fact_path_t *path)
{
    const kap_referral_t *r = c->r;
    kap_fact_t *f = c->fact;

    is(c, KAP_FIGURE_PING_PONGS, path->ping_pong);
    is(c, KAP_FIGURE_RETURNS, path->returned);
    is(c, KAP_FIGURE_LOOPS, path->loop);
    if (path->returned) {
        f->times[KAP_FIGURE_TIME_GOT_BACK] = path->got_back;
        is(c, KAP_FIGURE_CLAMPED, path->clamped);
    }
    if (!(r->flags & KAP_RF_FEEDBACK) || (r->feedback_scale != 4 && r->feedback_scale != 5))
        return;
    bool four = r->feedback_scale == 4;
    f->feedback_scale = (uint8_t)r->feedback_scale;
    f->feedback_value = (uint8_t)r->feedback_value;
    is(c, four ? KAP_FIGURE_FEEDBACK_4 : KAP_FIGURE_FEEDBACK_5, true);
    is(c, four ? KAP_FIGURE_FEEDBACK_4_SUM : KAP_FIGURE_FEEDBACK_5_SUM, true);
}

bool kap_fact_is_transfer(const kap_referral_t *r)
{
    return r->state != KAP_STATE_VOIDED && r->state != KAP_STATE_NONE &&
           r->kind != KAP_KIND_GUIDANCE && r->kind != KAP_KIND_LEAD &&
           !(r->flags & (KAP_RF_INTERNAL | KAP_RF_EXTERNAL));
}

bool kap_fact_is_closable(const kap_referral_t *r)
{
    return r->state != KAP_STATE_WITHDRAWN && r->state != KAP_STATE_REDIRECTED;
}

bool kap_fact_is_loop_closed(const kap_referral_t *r)
{
    return kap_fact_is_closable(r) && kap_state_is_terminal(r->state) &&
           is_set(r->answer_received_at) &&
           r->answer_received_at - r->created_at <= KAP_LOOP_CLOSED_DAYS * KAP_DAY_MS;
}

void kap_fact_of(const kap_referral_row_t *row, const kap_fact_path_t *path, uint32_t area,
                 kap_fact_t *out)
{
    const kap_referral_t *r = &row->r;
    const counting_t c = {.r = r,
                          .delivered = is_set(r->delivered_at),
                          .accepted = is_set(r->accepted_at),
                          .in_contact = is_set(r->contact_at),
                          .ended = kap_state_is_terminal(r->state),
                          .fact = out};

    kap_fact_init(out);
    if (r->state == KAP_STATE_VOIDED || r->state == KAP_STATE_NONE)
        return;
    out->amount = 1;
    out->area = area;
    out->breakdown[KAP_BREAKDOWN_SERVICE] = (uint16_t)(r->service + 1);
    out->breakdown[KAP_BREAKDOWN_SEGMENT] =
        (uint16_t)((KAP_SEEDED_BUG("breakdown_mixed") ? r->service : r->segment) + 1);
    out->breakdown[KAP_BREAKDOWN_WARM] = (r->flags & KAP_RF_WARM) != 0;
    out->breakdown[KAP_BREAKDOWN_ORIGIN] = (uint16_t)(r->origin + 1);
    if (kap_fact_is_transfer(r))
        count_transfer(&c, row);
    else
        count_beside(&c);
    count_any(&c, path);
}

uint64_t kap_fact_count(const kap_fact_t *fact, kap_figure_t figure)
{
    if (!kap_figure_in(&fact->figures, figure))
        return 0;
    switch (figure) {
    case KAP_FIGURE_ATTEMPTS:
        return fact->attempts;
    case KAP_FIGURE_REPORTED_LATE:
        return fact->late_reports;
    case KAP_FIGURE_FEEDBACK_4_SUM:
    case KAP_FIGURE_FEEDBACK_5_SUM:
        return fact->feedback_value;
    default:
        return fact->amount;
    }
}

bool kap_fact_equal(const kap_fact_t *a, const kap_fact_t *b)
{
    bool same = memcmp(&a->figures, &b->figures, sizeof a->figures) == 0 &&
                memcmp(a->breakdown, b->breakdown, sizeof a->breakdown) == 0 &&
                memcmp(a->times, b->times, sizeof a->times) == 0;

    return same && a->amount == b->amount && a->attempts == b->attempts &&
           a->late_reports == b->late_reports && a->feedback_scale == b->feedback_scale &&
           a->feedback_value == b->feedback_value && a->area == b->area &&
           a->delivered_at == b->delivered_at && a->accepted_at == b->accepted_at &&
           a->contact_at == b->contact_at && a->ended_at == b->ended_at;
}

/* --- the row of the cohort: what is there stands in a mask, so that little is written --- */

enum { NUMBERS = 5 + KAP_BREAKDOWN_COUNT, INSTANTS = 4 };

/* The numbers of a row, 0 mostly but for the amount, with the largest that each can hold. */
static void numbers_of(const kap_fact_t *f, uint64_t out[NUMBERS])
{
    const uint64_t first[] = {f->attempts, f->late_reports, f->feedback_scale, f->feedback_value,
                              f->area};

    memcpy(out, first, sizeof first);
    for (int i = 0; i < KAP_BREAKDOWN_COUNT; i++)
        out[5 + i] = f->breakdown[i];
}

static bool take_numbers(kap_fact_t *f, const uint64_t in[NUMBERS])
{
    if (in[0] > UINT32_MAX || in[1] > UINT32_MAX || in[2] > UINT8_MAX || in[3] > UINT8_MAX ||
        in[4] > UINT32_MAX)
        return false;
    f->attempts = (uint32_t)in[0];
    f->late_reports = (uint32_t)in[1];
    f->feedback_scale = (uint8_t)in[2];
    f->feedback_value = (uint8_t)in[3];
    f->area = (uint32_t)in[4];
    for (int i = 0; i < KAP_BREAKDOWN_COUNT; i++) {
        if (in[5 + i] > UINT16_MAX)
            return false;
        f->breakdown[i] = (uint16_t)in[5 + i];
    }
    return true;
}

static void instants_of(kap_fact_t *f, int64_t *out[INSTANTS])
{
    int64_t *all[] = {&f->delivered_at, &f->accepted_at, &f->contact_at, &f->ended_at};

    memcpy(out, all, sizeof all);
}

static bool is_spent(const kap_spent_t *spent)
{
    return spent->working_ms != KAP_REFERRAL_NO_SPAN_MS ||
           spent->elapsed_ms != KAP_REFERRAL_NO_SPAN_MS;
}

void kap_fact_pack(kap_buf_t *buf, const kap_fact_t *fact)
{
    kap_fact_t copy = *fact; /* its instants are listed by address; nothing is changed */
    uint64_t numbers[NUMBERS], mask = 0, last = 0;
    int64_t *instants[INSTANTS];

    numbers_of(fact, numbers);
    instants_of(&copy, instants);
    for (int i = 0; i < NUMBERS; i++)
        mask |= (uint64_t)(numbers[i] != 0) << i;
    for (int i = 0; i < INSTANTS; i++)
        mask |= (uint64_t)is_set(*instants[i]) << (NUMBERS + i);
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++)
        mask |= (uint64_t)is_spent(&fact->times[i]) << (NUMBERS + INSTANTS + i);
    kap_put_varint(buf, fact->figures.bits[0]);
    kap_put_varint(buf, fact->figures.bits[1]);
    kap_put_varint(buf, fact->amount);
    kap_put_varint(buf, mask);
    for (int i = 0; i < NUMBERS; i++) {
        if (numbers[i] != 0)
            kap_put_varint(buf, numbers[i]);
    }
    for (int i = 0; i < INSTANTS; i++) {
        if (is_set(*instants[i])) {
            kap_put_svarint(buf, (int64_t)((uint64_t)*instants[i] - last));
            last = (uint64_t)*instants[i];
        }
    }
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++) {
        if (is_spent(&fact->times[i])) {
            kap_put_svarint(buf, fact->times[i].working_ms);
            kap_put_svarint(buf, fact->times[i].elapsed_ms);
        }
    }
}

static bool get_instants(kap_span_t *rest, uint64_t mask, kap_fact_t *f)
{
    int64_t *instants[INSTANTS], by;
    uint64_t last = 0;

    instants_of(f, instants);
    for (int i = 0; i < INSTANTS; i++) {
        if (!(mask >> i & 1))
            continue;
        if (!kap_get_svarint(rest, &by))
            return false;
        last += (uint64_t)by;
        *instants[i] = (int64_t)last;
    }
    return true;
}

static bool get_times(kap_span_t *rest, uint64_t mask, kap_fact_t *f)
{
    for (int i = 0; i < KAP_FIGURE_TIME_COUNT; i++) {
        if ((mask >> i & 1) && (!kap_get_svarint(rest, &f->times[i].working_ms) ||
                                !kap_get_svarint(rest, &f->times[i].elapsed_ms)))
            return false;
    }
    return true;
}

int kap_fact_unpack(kap_span_t value, kap_fact_t *fact)
{
    kap_fact_t f;
    uint64_t amount, mask, numbers[NUMBERS] = {0};

    kap_fact_init(&f);
    if (!kap_get_varint(&value, &f.figures.bits[0]) ||
        !kap_get_varint(&value, &f.figures.bits[1]) || !kap_get_varint(&value, &amount) ||
        !kap_get_varint(&value, &mask))
        return KAP_E_CORRUPT;
    for (int i = 0; i < NUMBERS; i++) {
        if ((mask >> i & 1) && !kap_get_varint(&value, &numbers[i]))
            return KAP_E_CORRUPT;
    }
    if (amount > UINT32_MAX || f.figures.bits[1] >> (KAP_FIGURE_COUNT - 64) != 0 ||
        mask >> (NUMBERS + INSTANTS + KAP_FIGURE_TIME_COUNT) != 0 || !take_numbers(&f, numbers) ||
        !get_instants(&value, mask >> NUMBERS, &f) ||
        !get_times(&value, mask >> (NUMBERS + INSTANTS), &f) || value.size != 0)
        return KAP_E_CORRUPT;
    f.amount = (uint32_t)amount;
    *fact = f;
    return KAP_OK;
}
