/* SPDX-License-Identifier: MPL-2.0 */
#include "referral_inner.h"
#include "seeded.h"

enum { BY_SENDER = 1, BY_RECIPIENT = 2, BY_OPERATOR = 4, BY_BROKER = 8 };
enum { BY_EITHER = BY_SENDER | BY_RECIPIENT, BY_SENDER_OR_OPERATOR = BY_SENDER | BY_OPERATOR };

#define IN(state) (1u << ((state) + 1))
enum {
    IN_NONE = IN(KAP_STATE_NONE),
    IN_CREATED = IN(KAP_STATE_CREATED),
    IN_DELIVERED = IN(KAP_STATE_DELIVERED),
    IN_ACCEPTED = IN(KAP_STATE_ACCEPTED),
    IN_CONTACT = IN(KAP_STATE_IN_CONTACT),
    IN_EXPIRED = IN(KAP_STATE_EXPIRED),
    IN_TERMINAL = IN(KAP_STATE_COMPLETED) | IN(KAP_STATE_DECLINED) | IN(KAP_STATE_REDIRECTED) |
                  IN(KAP_STATE_WITHDRAWN) | IN(KAP_STATE_VOIDED),
    IN_OPEN = IN_CREATED | IN_DELIVERED | IN_ACCEPTED | IN_CONTACT,
    IN_ANY = IN_OPEN | IN_EXPIRED | IN_TERMINAL,
    IN_UNVOIDED = IN_ANY & ~IN(KAP_STATE_VOIDED),
};

enum { SCALE_MOST = 10 }; /* of feedback; 4 and 5 are in use */
enum { SAME = -1, ONCE = 0, MANY = 1, NO_ANSWER = 0, ANSWER = 1 };
enum {
    NONE = KAP_MILESTONE_NONE,
    DELIVERED = KAP_MILESTONE_DELIVERED,
    ACCEPTED = KAP_MILESTONE_ACCEPTED,
    CONTACT = KAP_MILESTONE_CONTACT
};

#define TO_SAME       SAME
#define TO_CREATED    KAP_STATE_CREATED
#define TO_DELIVERED  KAP_STATE_DELIVERED
#define TO_ACCEPTED   KAP_STATE_ACCEPTED
#define TO_IN_CONTACT KAP_STATE_IN_CONTACT
#define TO_EXPIRED    KAP_STATE_EXPIRED
#define TO_COMPLETED  KAP_STATE_COMPLETED
#define TO_DECLINED   KAP_STATE_DECLINED
#define TO_REDIRECTED KAP_STATE_REDIRECTED
#define TO_WITHDRAWN  KAP_STATE_WITHDRAWN
#define TO_VOIDED     KAP_STATE_VOIDED

static const kap_referral_rule_t rows[] = {
#define KAP_TRANSITION(event, by, from, to, milestone, implies, repeat, answer)                    \
    [KAP_EV_##event] = {BY_##by, from, TO_##to, milestone, implies, repeat, answer},
#include "transitions.def"
#undef KAP_TRANSITION
};

enum { CLASS_OPEN, CLASS_SOFT, CLASS_TERMINAL };

static const uint8_t classes[] = {
#define KAP_STATE_CLASS(name, class) [KAP_STATE_##name] = CLASS_##class,
#include "states.def"
#undef KAP_STATE_CLASS
};

const char *kap_state_name(int state)
{
    return state == KAP_STATE_NONE ? "none" : kap_code_name(KAP_LIST_STATE, state);
}

bool kap_state_is_open(int state)
{
    return state >= 0 && (size_t)state < sizeof(classes) && classes[state] == CLASS_OPEN;
}

bool kap_state_is_terminal(int state)
{
    return state >= 0 && (size_t)state < sizeof(classes) && classes[state] == CLASS_TERMINAL;
}

void kap_referral_init(kap_referral_t *r)
{
    static const kap_spent_t none = {KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    *r = (kap_referral_t){
        .state = KAP_STATE_NONE,
        .open_state = KAP_STATE_NONE,
        .due_kind = KAP_DEADLINE_NONE,
        .kind = -1,
        .service = -1,
        .segment = -1,
        .language = -1,
        .origin = -1,
        .outcome = -1,
        .detail = -1,
        .reason = -1,
        .feedback_scale = -1,
        .feedback_value = -1,
        .created_at = KAP_REFERRAL_NO_TIME,
        .created_commit = KAP_REFERRAL_NO_TIME,
        .delivered_at = KAP_REFERRAL_NO_TIME,
        .delivered_commit = KAP_REFERRAL_NO_TIME,
        .accepted_at = KAP_REFERRAL_NO_TIME,
        .contact_at = KAP_REFERRAL_NO_TIME,
        .ended_at = KAP_REFERRAL_NO_TIME,
        .answer_received_at = KAP_REFERRAL_NO_TIME,
        .expired_at = KAP_REFERRAL_NO_TIME,
        .root_created_at = KAP_REFERRAL_NO_TIME,
        .clock_from = KAP_REFERRAL_NO_TIME,
        .hold_from = KAP_REFERRAL_NO_TIME,
        .hold_to = KAP_REFERRAL_NO_TIME,
        .due_at = KAP_REFERRAL_NO_TIME,
        .answer_due_at = KAP_REFERRAL_NO_TIME,
        .news_at = KAP_REFERRAL_NO_TIME,
        .to_accept = none,
        .to_contact = none,
        .to_end = none,
        .to_give_up = none,
        .customer_to_accept = none,
    };
}

static int refuse(const kap_judging_t *j, int number)
{
    *j->why = (kap_refusal_t){.number = (uint16_t)number, .field = KAP_F_NONE};
    return KAP_VERDICT_REFUSED;
}

bool kap_referral_is_external(kap_span_t to)
{
    return to.size > 9 && kap_span_starts(to, KAP_SPAN("external:"));
}

bool kap_referral_is_answer(kap_event_type_t type)
{
    return (size_t)type < sizeof(rows) / sizeof(rows[0]) && rows[type].answer;
}

bool kap_referral_is_due(const kap_referral_t *r, int64_t now)
{
    return kap_is_set(r->due_at) && r->due_kind != KAP_DEADLINE_NONE &&
           now >= r->due_at + KAP_SEEDED_BUG("deadline_off_by_one") &&
           !(r->flags & KAP_RF_ON_HOLD) &&
           (IN(r->state) & (IN_CREATED | IN_DELIVERED | IN_ACCEPTED));
}

/* --- who, when, and the rules that a row cannot say --- */

static bool is_party(const kap_judging_t *j)
{
    const kap_referral_facts_t *f = j->facts;
    return ((j->row->by & BY_SENDER) && f->is_sender) ||
           ((j->row->by & BY_RECIPIENT) && f->is_recipient) ||
           ((j->row->by & BY_OPERATOR) && f->is_operator) ||
           ((j->row->by & BY_BROKER) && f->is_broker);
}

static int not_party(const kap_judging_t *j)
{
    bool external = j->before && (j->before->flags & KAP_RF_EXTERNAL);
    switch (j->row->by) {
    case BY_RECIPIENT:
        return external ? KAP_REFUSAL_ILLEGAL_EXTERNAL : KAP_REFUSAL_NOT_ALLOWED_RECIPIENT;
    case BY_EITHER:
        return KAP_REFUSAL_NOT_ALLOWED_ENDS;
    case BY_BROKER:
        return KAP_REFUSAL_NOT_ALLOWED_BROKER;
    default:
        return KAP_REFUSAL_NOT_ALLOWED_SENDER;
    }
}

static bool same_code(const kap_judging_t *j, kap_field_t field, int16_t held)
{
    return kap_code_of(j->ev, field) == held;
}

/* A terminal event again: the same only when it says the same. */
static bool ended_just_so(const kap_judging_t *j)
{
    const kap_referral_t *b = j->before;
    const kap_referral_facts_t *f = j->facts;
    if (b->state != j->row->to) {
        return false;
    }
    switch (j->ev->type) {
    case KAP_EV_REFERRAL_CAME:
        return b->flags & KAP_RF_CAME;
    case KAP_EV_REFERRAL_COMPLETED:
        return !(b->flags & KAP_RF_CAME) && same_code(j, KAP_F_OUTCOME, b->outcome) &&
               same_code(j, KAP_F_DETAIL, b->detail);
    case KAP_EV_REFERRAL_REDIRECTED:
        return same_code(j, KAP_F_REASON, b->reason) &&
               kap_span_eq(kap_event_span(j->ev, KAP_F_NEXT), b->next);
    case KAP_EV_REFERRAL_DECLINED:
        return same_code(j, KAP_F_REASON, b->reason);
    case KAP_EV_REFERRAL_WITHDRAWN:
        return !(b->flags & KAP_RF_CONSENT_WITHDRAWN) &&
               same_code(j, KAP_F_WITHDRAW_REASON, b->reason) &&
               ((b->flags & KAP_RF_WITHDRAWN_BY_RECIPIENT) ? f->is_recipient : f->is_sender);
    case KAP_EV_REFERRAL_VOIDED:
        return same_code(j, KAP_F_VOID_REASON, b->reason) &&
               ((b->flags & KAP_RF_VOIDED_BY_OPERATOR) ? f->is_operator : f->is_sender);
    default:
        return false;
    }
}

/* Did the same party say so before: is its state reached or passed? */
static bool is_already_so(const kap_judging_t *j)
{
    const kap_referral_t *b = j->before;
    if (j->row->many) {
        return false;
    }
    if (j->row->milestone != KAP_MILESTONE_NONE) {
        return kap_is_set(j->row->milestone == KAP_MILESTONE_DELIVERED ? b->delivered_at
                                                                       : b->accepted_at);
    }
    switch (j->ev->type) {
    case KAP_EV_REFERRAL_DID_NOT_COME:
        return b->flags & KAP_RF_DID_NOT_COME;
    case KAP_EV_REFERRAL_ANSWER_RECEIVED:
        return kap_is_set(b->answer_received_at);
    case KAP_EV_REFERRAL_EXPIRED:
        return b->state == KAP_STATE_EXPIRED;
    case KAP_EV_REFERRAL_CONSENT_WITHDRAWN:
        return b->flags & KAP_RF_CONSENT_WITHDRAWN;
    case KAP_EV_REFERRAL_WITHDRAWN:
        if (b->state == KAP_STATE_IN_CONTACT) {
            return (b->flags & KAP_RF_WITHDRAW_REQUESTED) && !j->facts->is_recipient;
        }
        return ended_just_so(j);
    default:
        return ended_just_so(j);
    }
}

/* The child of a redirect: created by the recipient, in the same group, of the same case. */
static bool has_child_in_group(const kap_judging_t *j)
{
    kap_span_t next = kap_event_span(j->ev, KAP_F_NEXT);
    kap_span_t referral = kap_event_span(j->ev, KAP_F_REFERRAL);
    for (uint32_t i = 0; j->facts->group && i < j->facts->group_count; i++) {
        const kap_event_t *child = &j->facts->group[i];
        if (child->type == KAP_EV_REFERRAL_CREATED &&
            kap_span_eq(kap_event_span(child, KAP_F_REFERRAL), next) &&
            kap_span_eq(kap_event_span(child, KAP_F_PARENT), referral) &&
            kap_span_eq(kap_event_span(child, KAP_F_FROM), j->before->to) &&
            kap_span_eq(kap_event_span(child, KAP_F_CASE), j->before->case_id)) {
            return true;
        }
    }
    return false;
}

static bool must_advise(const kap_judging_t *j)
{
    int reason = kap_event_code(j->ev, KAP_F_REASON);
    return j->facts->recipient_is_authority &&
           (reason == KAP_DECLINE_WRONG_SERVICE || reason == KAP_DECLINE_WRONG_AREA) &&
           kap_span_empty(kap_event_span(j->ev, KAP_F_ADVISED));
}

/* A score from 1 to its scale. */
static bool is_score(const kap_event_t *ev)
{
    int64_t scale = kap_event_int(ev, KAP_F_SCALE, 0), score = kap_event_int(ev, KAP_F_SCORE, 0);
    return scale >= 2 && scale <= SCALE_MOST && score >= 1 && score <= scale;
}

/* 0 or why the event's own rules refuse it. */
static int broken_rule(const kap_judging_t *j)
{
    const kap_referral_t *b = j->before;
    switch (j->ev->type) {
    case KAP_EV_REFERRAL_CAME:
    case KAP_EV_REFERRAL_DID_NOT_COME:
        return b->kind == KAP_KIND_GUIDANCE ? KAP_REFUSAL_NONE : KAP_REFUSAL_ILLEGAL_KIND;
    case KAP_EV_REFERRAL_DECLINED:
        return must_advise(j) ? KAP_REFUSAL_ILLEGAL_MUST_ADVISE : KAP_REFUSAL_NONE;
    case KAP_EV_REFERRAL_REDIRECTED:
        return has_child_in_group(j) ? KAP_REFUSAL_NONE : KAP_REFUSAL_ILLEGAL_NEXT;
    case KAP_EV_REFERRAL_EXPIRED:
        return kap_referral_is_due(b, j->now) ? KAP_REFUSAL_NONE : KAP_REFUSAL_ILLEGAL_NOT_DUE;
    case KAP_EV_REFERRAL_FEEDBACK_GIVEN:
        return is_score(j->ev) ? KAP_REFUSAL_NONE : KAP_REFUSAL_MALFORMED_FIELD_VALUE;
    case KAP_EV_REFERRAL_RESUMED:
        return b->flags & KAP_RF_HELD_ONCE ? KAP_REFUSAL_NONE : KAP_REFUSAL_ILLEGAL_STATE;
    case KAP_EV_REFERRAL_WITHDRAWN:
        if (j->facts->is_sender) {
            return KAP_REFUSAL_NONE;
        }
        if (b->state != KAP_STATE_IN_CONTACT) {
            return KAP_REFUSAL_NOT_ALLOWED_SENDER;
        }
        return b->flags & KAP_RF_WITHDRAW_REQUESTED ? KAP_REFUSAL_NONE : KAP_REFUSAL_ILLEGAL_STATE;
    default:
        return KAP_REFUSAL_NONE;
    }
}

static int wrong_state(const kap_judging_t *j)
{
    const kap_referral_t *b = j->before;
    if (j->row->from & IN(b->state)) {
        return KAP_REFUSAL_NONE;
    }
    if (j->ev->type == KAP_EV_REFERRAL_ANSWER_RECEIVED) {
        return KAP_REFUSAL_ILLEGAL_NOTHING_TO_ANSWER;
    }
    return kap_state_is_terminal(b->state) ? KAP_REFUSAL_ILLEGAL_ENDED : KAP_REFUSAL_ILLEGAL_STATE;
}

/* --- created --- */

static int wrong_ends(const kap_judging_t *j)
{
    const kap_referral_facts_t *f = j->facts;
    kap_span_t to = kap_event_span(j->ev, KAP_F_TO);
    if (kap_span_eq(kap_event_span(j->ev, KAP_F_FROM), to)) {
        return KAP_REFUSAL_ILLEGAL_TO_SELF;
    }
    if (f->archive) {
        return KAP_REFUSAL_NONE;
    }
    if (!f->from_in_region) {
        return KAP_REFUSAL_ILLEGAL_FROM_REGION;
    }
    if (!f->bench && !kap_event_get(j->ev, KAP_F_BASIS)) {
        return KAP_REFUSAL_MALFORMED_BASIS;
    }
    if (kap_referral_is_external(to)) {
        return KAP_REFUSAL_NONE;
    }
    if (!f->to_known) {
        return KAP_REFUSAL_ILLEGAL_TO_UNKNOWN;
    }
    return f->to_in_region ? KAP_REFUSAL_NONE : KAP_REFUSAL_ILLEGAL_TO_REGION;
}

static int wrong_family(const kap_judging_t *j)
{
    const kap_referral_facts_t *f = j->facts;
    if (f->case_size >= KAP_LIMIT_CASE_REFERRALS && !f->archive) {
        return KAP_REFUSAL_ILLEGAL_CASE_FULL;
    }
    bool has_parent = kap_event_get(j->ev, KAP_F_PARENT) != NULL;
    bool fits =
        f->parent_known && !f->parent_voided && f->parent_same_case && f->parent_to_is_sender;
    if (has_parent && !fits) {
        return KAP_REFUSAL_ILLEGAL_PARENT;
    }
    bool reopens = kap_event_get(j->ev, KAP_F_REOPENS) != NULL;
    if (reopens && !(f->reopens_known && f->reopens_terminal)) {
        return KAP_REFUSAL_ILLEGAL_REOPENS;
    }
    return KAP_REFUSAL_NONE;
}

static bool created_just_so(const kap_judging_t *j)
{
    const kap_referral_t *b = j->before;
    const kap_event_t *ev = j->ev;
    return kap_span_eq(kap_event_span(ev, KAP_F_FROM), b->from) &&
           kap_span_eq(kap_event_span(ev, KAP_F_TO), b->to) &&
           kap_span_eq(kap_event_span(ev, KAP_F_REGION), b->region) &&
           kap_span_eq(kap_event_span(ev, KAP_F_CASE), b->case_id) &&
           kap_span_eq(kap_event_span(ev, KAP_F_PARENT), b->parent) &&
           same_code(j, KAP_F_KIND, b->kind) && same_code(j, KAP_F_SERVICE, b->service);
}

static int judge_created(const kap_judging_t *j)
{
    if (!is_party(j)) {
        return refuse(j, not_party(j));
    }
    if (j->before) {
        return created_just_so(j) ? KAP_VERDICT_ALREADY_SO
                                  : refuse(j, KAP_REFUSAL_ILLEGAL_REFERRAL_EXISTS);
    }
    int why = wrong_ends(j);
    if (why == KAP_REFUSAL_NONE) {
        why = wrong_family(j);
    }
    return why == KAP_REFUSAL_NONE ? KAP_VERDICT_ACCEPTED : refuse(j, why);
}

/* --- the judgement --- */

/* Party first, so that nobody learns a state that is not theirs; then what was said
 * before; then the expected state; then table and rules. */
static int judge_known(const kap_judging_t *j)
{
    if (!j->before) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_REFERRAL);
    }
    if (!is_party(j)) {
        return refuse(j, not_party(j));
    }
    if (is_already_so(j)) {
        return KAP_VERDICT_ALREADY_SO;
    }
    int expected = kap_event_code(j->ev, KAP_F_EXPECT_STATE);
    if (expected >= 0 && expected != j->before->state) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_EXPECT_STATE);
    }
    int why = wrong_state(j);
    if (why == KAP_REFUSAL_NONE) {
        why = broken_rule(j);
    }
    return why == KAP_REFUSAL_NONE ? KAP_VERDICT_ACCEPTED : refuse(j, why);
}

int kap_referral_judge(const kap_referral_t *before, const kap_event_t *ev,
                       const kap_referral_facts_t *facts, int64_t now, kap_referral_t *after,
                       kap_effects_t *fx, kap_refusal_t *why)
{
    kap_judging_t j = {
        .before = before && before->state != KAP_STATE_NONE ? before : NULL,
        .ev = ev,
        .facts = facts,
        .now = now,
        .time = ev->time < now ? ev->time : now,
        .r = after,
        .fx = fx,
        .why = why,
    };
    if ((size_t)ev->type >= sizeof(rows) / sizeof(rows[0]) || rows[ev->type].from == 0) {
        return refuse(&j, KAP_REFUSAL_MALFORMED_TYPE);
    }
    j.row = &rows[ev->type];
    int verdict = ev->type == KAP_EV_REFERRAL_CREATED ? judge_created(&j) : judge_known(&j);
    if (verdict == KAP_VERDICT_REFUSED) {
        return verdict;
    }
    *fx = (kap_effects_t){.timer_kind = KAP_DEADLINE_NONE,
                          .streams = KAP_TELL_REGION | KAP_TELL_FROM | KAP_TELL_TO,
                          .time = j.time};
    if (j.before && after != j.before) {
        *after = *j.before;
    }
    if (verdict == KAP_VERDICT_ACCEPTED) {
        kap_referral_apply(&j);
    }
    return verdict;
}
