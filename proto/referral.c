/* SPDX-License-Identifier: MPL-2.0 */
#include "referral.h"

#include "err.h"

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

enum { SAME = -1, ONCE = 0, MANY = 1, NO_ANSWER = 0, ANSWER = 1 };
enum {
    NONE = KAP_MILESTONE_NONE,
    DELIVERED = KAP_MILESTONE_DELIVERED,
    ACCEPTED = KAP_MILESTONE_ACCEPTED,
    CONTACT = KAP_MILESTONE_CONTACT
};

typedef struct {
    uint8_t by;
    uint16_t from; /* 0: no row of this table */
    int8_t to;
    uint8_t milestone, implies;
    bool many, answer;
} row_t;

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

static const row_t rows[] = {
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

/* One judgement under way: what comes in, what goes out. */
typedef struct {
    const kap_referral_t *before; /* NULL or of state none: not known yet */
    const kap_event_t *ev;
    const kap_referral_facts_t *facts;
    const row_t *row;
    int64_t now, time;
    kap_referral_t *r; /* after */
    kap_effects_t *fx;
    kap_refusal_t *why;
} judging_t;

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
        .to_accept = none,
        .to_contact = none,
        .to_end = none,
        .customer_to_accept = none,
    };
}

static bool is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

static int refuse(const judging_t *j, int number)
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
    return is_set(r->due_at) && r->due_kind != KAP_DEADLINE_NONE && now >= r->due_at &&
           !(r->flags & KAP_RF_ON_HOLD) &&
           (IN(r->state) & (IN_CREATED | IN_DELIVERED | IN_ACCEPTED));
}

/* --- the recipient's clock --- */

/* Elapsed time without the days of closures. */
static int64_t unclosed_ms(int64_t from, int64_t to, const kap_closures_t *closures)
{
    int64_t open = to - from;
    int64_t counted_to = from; /* closures may overlap */
    for (size_t i = 0; closures && i < closures->count; i++) {
        int64_t begins = kap_day_start_ms(KAP_ZONE_HELSINKI, closures->items[i].first);
        int64_t ends =
            kap_day_start_ms(KAP_ZONE_HELSINKI, kap_date_add(closures->items[i].last, 1));
        begins = begins > counted_to ? begins : counted_to;
        ends = ends < to ? ends : to;
        if (ends > begins) {
            open -= ends - begins;
            counted_to = ends;
        }
    }
    return open;
}

static kap_spent_t spent(int64_t from, int64_t to, const kap_closures_t *closures)
{
    if (to <= from) {
        return (kap_spent_t){0, 0};
    }
    return (kap_spent_t){kap_calendar_working_ms(from, to, closures),
                         unclosed_ms(from, to, closures)};
}

/* All that holds took up to an instant, in time of the recipient's clock. */
static kap_spent_t held_until(const kap_referral_t *r, int64_t until,
                              const kap_closures_t *closures)
{
    kap_spent_t held = r->held;
    if (is_set(r->hold_from)) {
        int64_t to = is_set(r->hold_to) && r->hold_to < until ? r->hold_to : until;
        kap_spent_t last = spent(r->hold_from, to, closures);
        held.working_ms += last.working_ms;
        held.elapsed_ms += last.elapsed_ms;
    }
    return held;
}

static int64_t less(int64_t a, int64_t b)
{
    return a > b ? a - b : 0;
}

/* Recipient's clock between two milestones without `held`; sets the clamped bit. */
static kap_spent_t recipient_spent(judging_t *j, int64_t from, int64_t to, kap_spent_t held,
                                   uint8_t clamped)
{
    if (to < from) {
        j->r->clamped |= clamped;
    }
    kap_spent_t all = spent(from, to, j->facts->closures);
    return (kap_spent_t){less(all.working_ms, held.working_ms),
                         less(all.elapsed_ms, held.elapsed_ms)};
}

/* --- limits --- */

static bool has_limits(const kap_referral_t *r)
{
    return r->kind == KAP_KIND_TRANSFER && !(r->flags & (KAP_RF_EXTERNAL | KAP_RF_ARCHIVE));
}

static void stop_limit(judging_t *j)
{
    if (j->r->due_kind != KAP_DEADLINE_NONE) {
        j->fx->timer = KAP_TIMER_CLEAR;
    }
}

static void set_limit(judging_t *j, int8_t kind, int64_t at)
{
    kap_referral_t *r = j->r;
    r->due_kind = kind;
    r->due_at = at;
    if (kind == KAP_DEADLINE_ANSWER) {
        r->answer_due_at = at;
    }
    if (!(r->flags & KAP_RF_ON_HOLD)) {
        j->fx->timer = KAP_TIMER_SET;
        j->fx->timer_at = at;
        j->fx->timer_kind = kind;
    }
}

static int64_t allowance_ms(const kap_referral_t *r)
{
    int64_t days = r->due_kind == KAP_DEADLINE_CONTACT ? r->contact_days : r->answer_days;
    return days * KAP_WORKING_DAY_MS;
}

/* A limit in the recipient's working time. It runs from max(event, its commit), and no
 * event counts as later than its commit: from the commit. */
static void start_limit(judging_t *j, int8_t kind)
{
    kap_referral_t *r = j->r;
    if (!has_limits(r)) {
        return;
    }
    r->due_kind = kind;
    r->clock_from = j->now;
    r->spent_working_ms = 0;
    set_limit(j, kind, kap_calendar_add_working_ms(j->now, allowance_ms(r), j->facts->closures));
}

/* An answer at or before the limit is in time; a hold that began before it stops it. */
static void judge_lateness(judging_t *j)
{
    kap_referral_t *r = j->r;
    bool stands = (r->flags & KAP_RF_ON_HOLD) && r->due_at >= r->hold_from;
    if (r->due_kind == KAP_DEADLINE_NONE || !is_set(r->due_at) || stands || j->time <= r->due_at) {
        return;
    }
    r->flags |= r->due_kind == KAP_DEADLINE_CONTACT ? KAP_RF_CONTACT_LATE : KAP_RF_LATE;
}

/* --- milestones --- */

static void reach_delivered(judging_t *j)
{
    j->r->delivered_at = j->time;
    j->r->delivered_commit = j->now;
    j->fx->reached |= KAP_MILESTONE_DELIVERED;
}

static void reach_accepted(judging_t *j)
{
    kap_referral_t *r = j->r;
    const kap_referral_facts_t *facts = j->facts;
    r->accepted_at = j->time;
    r->held_at_accept = held_until(r, j->time, facts->closures);
    j->fx->reached |= KAP_MILESTONE_ACCEPTED;
    if (r->implied & KAP_MILESTONE_ACCEPTED) {
        return;
    }
    if (!(r->implied & KAP_MILESTONE_DELIVERED)) {
        r->to_accept = recipient_spent(j, r->delivered_at, r->accepted_at, r->held_at_accept,
                                       KAP_MILESTONE_ACCEPTED);
    }
    if (is_set(facts->root_created_at)) {
        r->root_created_at = facts->root_created_at;
    }
    if (is_set(r->root_created_at)) {
        r->customer_to_accept = spent(r->root_created_at, r->accepted_at, NULL);
        if (r->accepted_at < r->root_created_at) {
            r->clamped |= KAP_MILESTONE_CUSTOMER;
        }
    }
}

static void reach_contact(judging_t *j)
{
    kap_referral_t *r = j->r;
    r->contact_at = j->time;
    j->fx->reached |= KAP_MILESTONE_CONTACT;
    if (!(r->implied & (KAP_MILESTONE_CONTACT | KAP_MILESTONE_DELIVERED))) {
        r->to_contact =
            recipient_spent(j, r->delivered_at, j->time, held_until(r, j->time, j->facts->closures),
                            KAP_MILESTONE_CONTACT);
    }
}

/* Skipped milestones take the event's time and the flag. */
static void imply(judging_t *j, uint8_t milestones)
{
    kap_referral_t *r = j->r;
    if ((milestones & KAP_MILESTONE_DELIVERED) && !is_set(r->delivered_at)) {
        r->implied |= KAP_MILESTONE_DELIVERED;
        reach_delivered(j);
    }
    if ((milestones & KAP_MILESTONE_ACCEPTED) && !is_set(r->accepted_at)) {
        r->implied |= KAP_MILESTONE_ACCEPTED;
        reach_accepted(j);
    }
    if ((milestones & KAP_MILESTONE_CONTACT) && !is_set(r->contact_at)) {
        r->implied |= KAP_MILESTONE_CONTACT;
        reach_contact(j);
    }
}

static void move_to(judging_t *j, int8_t state)
{
    j->r->state = state;
    j->r->open_state = state;
}

/* A terminal state: the clocks stop, a hold is over. */
static void end_as(judging_t *j, int8_t state)
{
    kap_referral_t *r = j->r;
    move_to(j, state);
    r->ended_at = j->time;
    if (r->flags & KAP_RF_ON_HOLD) {
        r->hold_to = j->time;
        r->flags &= ~(uint32_t)KAP_RF_ON_HOLD;
    }
    stop_limit(j);
    r->due_kind = KAP_DEADLINE_NONE;
    j->fx->reached |= KAP_MILESTONE_ENDED;
}

/* --- what each event does --- */

static int16_t code_of(const kap_event_t *ev, kap_field_t field)
{
    return (int16_t)kap_event_code(ev, field);
}

static void apply_created(judging_t *j)
{
    kap_referral_t *r = j->r;
    const kap_event_t *ev = j->ev;
    const kap_referral_facts_t *facts = j->facts;
    kap_referral_init(r);
    r->from = kap_event_span(ev, KAP_F_FROM);
    r->to = kap_event_span(ev, KAP_F_TO);
    r->region = kap_event_span(ev, KAP_F_REGION);
    r->case_id = kap_event_span(ev, KAP_F_CASE);
    r->parent = kap_event_span(ev, KAP_F_PARENT);
    r->kind = code_of(ev, KAP_F_KIND);
    r->service = code_of(ev, KAP_F_SERVICE);
    r->segment = code_of(ev, KAP_F_SEGMENT);
    r->language = code_of(ev, KAP_F_LANGUAGE);
    r->origin = code_of(ev, KAP_F_ORIGIN);
    r->flags = (kap_referral_is_external(r->to) ? KAP_RF_EXTERNAL : 0u) |
               (facts->internal ? KAP_RF_INTERNAL : 0u) | (facts->archive ? KAP_RF_ARCHIVE : 0u) |
               (kap_event_bool(ev, KAP_F_WARM) ? KAP_RF_WARM : 0u) |
               (kap_event_bool(ev, KAP_F_RETURN_EXPECTED) ? KAP_RF_RETURN_EXPECTED : 0u) |
               (kap_event_get(ev, KAP_F_REOPENS) ? KAP_RF_REOPENS : 0u) |
               (kap_event_get(ev, KAP_F_MEETING) ? KAP_RF_MEETING : 0u);
    r->answer_days = facts->answer_days ? facts->answer_days : KAP_REFERRAL_DAYS_DEFAULT;
    r->contact_days = facts->contact_days ? facts->contact_days : KAP_REFERRAL_DAYS_DEFAULT;
    r->created_at = j->time;
    r->created_commit = j->now;
    r->root_created_at = facts->root_created_at;
    bool earliest = !is_set(r->root_created_at) || j->time < r->root_created_at;
    if (kap_span_empty(r->parent) && earliest) {
        r->root_created_at = j->time;
    }
    move_to(j, KAP_STATE_CREATED);
    if (has_limits(r)) {
        set_limit(j, KAP_DEADLINE_DELIVERY, j->now + KAP_REFERRAL_UNDELIVERED_DAYS * KAP_DAY_MS);
    }
}

static void apply_delivered(judging_t *j)
{
    reach_delivered(j);
    move_to(j, KAP_STATE_DELIVERED);
    start_limit(j, KAP_DEADLINE_ANSWER);
}

static void apply_accepted(judging_t *j)
{
    imply(j, j->row->implies);
    reach_accepted(j);
    move_to(j, KAP_STATE_ACCEPTED);
    start_limit(j, KAP_DEADLINE_CONTACT);
}

/* declined and redirected */
static void apply_turned_away(judging_t *j)
{
    kap_referral_t *r = j->r;
    imply(j, j->row->implies);
    if (is_set(r->accepted_at)) {
        r->flags |= KAP_RF_BACKED_OUT;
    }
    r->reason = code_of(j->ev, KAP_F_REASON);
    if (j->row->to == KAP_STATE_REDIRECTED) {
        r->next = kap_event_span(j->ev, KAP_F_NEXT);
    }
    end_as(j, j->row->to);
}

/* A try that reached nobody changes nothing but its count. */
static bool only_counts(const kap_event_t *ev)
{
    return ev->type == KAP_EV_REFERRAL_CONTACTED &&
           kap_event_code(ev, KAP_F_CONTACT) != KAP_CONTACT_REACHED;
}

static void apply_contacted(judging_t *j)
{
    kap_referral_t *r = j->r;
    r->attempts++;
    if (only_counts(j->ev)) {
        return;
    }
    r->contacts++;
    imply(j, j->row->implies);
    if (!is_set(r->contact_at)) {
        reach_contact(j);
    }
    move_to(j, KAP_STATE_IN_CONTACT);
    stop_limit(j);
    r->due_kind = KAP_DEADLINE_NONE;
}

static void apply_completed(judging_t *j)
{
    kap_referral_t *r = j->r;
    r->outcome = code_of(j->ev, KAP_F_OUTCOME);
    r->detail = code_of(j->ev, KAP_F_DETAIL);
    bool met = r->detail != KAP_DETAIL_NO_CONTACT;
    imply(j, (uint8_t)(j->row->implies & (met ? 0xff : ~KAP_MILESTONE_CONTACT)));
    end_as(j, KAP_STATE_COMPLETED);
    if (r->implied & KAP_MILESTONE_ACCEPTED) {
        return;
    }
    kap_spent_t held = held_until(r, j->time, j->facts->closures);
    held.working_ms -= r->held_at_accept.working_ms;
    held.elapsed_ms -= r->held_at_accept.elapsed_ms;
    r->to_end = recipient_spent(j, r->accepted_at, j->time, held, KAP_MILESTONE_ENDED);
}

static void apply_came(judging_t *j)
{
    imply(j, j->row->implies);
    j->r->flags |= KAP_RF_CAME;
    end_as(j, KAP_STATE_COMPLETED);
}

static void apply_withdrawn(judging_t *j)
{
    kap_referral_t *r = j->r;
    bool confirms = j->facts->is_recipient && (r->flags & KAP_RF_WITHDRAW_REQUESTED);
    if (r->state == KAP_STATE_IN_CONTACT && !confirms) {
        r->flags |= KAP_RF_WITHDRAW_REQUESTED;
        return;
    }
    r->flags |= confirms ? KAP_RF_WITHDRAWN_BY_RECIPIENT : 0u;
    r->reason = code_of(j->ev, KAP_F_WITHDRAW_REASON);
    end_as(j, KAP_STATE_WITHDRAWN);
}

/* Held again while on hold changes nothing. */
static void apply_held(judging_t *j)
{
    kap_referral_t *r = j->r;
    if (r->flags & KAP_RF_ON_HOLD) {
        return;
    }
    if (is_set(r->hold_from)) {
        kap_spent_t earlier = spent(r->hold_from, r->hold_to, j->facts->closures);
        r->held.working_ms += earlier.working_ms;
        r->held.elapsed_ms += earlier.elapsed_ms;
    }
    r->hold_from = j->time;
    if (is_set(r->delivered_at) && r->hold_from < r->delivered_at) {
        r->hold_from = r->delivered_at; /* before that no clock ran */
    }
    r->hold_to = KAP_REFERRAL_NO_TIME;
    r->flags |= KAP_RF_ON_HOLD | KAP_RF_HELD_ONCE;
    stop_limit(j);
}

/* The rest of the limit runs on; one that was over before the hold stays where it was. */
static void apply_resumed(judging_t *j)
{
    kap_referral_t *r = j->r;
    const kap_closures_t *closures = j->facts->closures;
    if (!(r->flags & KAP_RF_ON_HOLD)) {
        return;
    }
    r->flags &= ~(uint32_t)KAP_RF_ON_HOLD;
    r->hold_to = j->time > r->hold_from ? j->time : r->hold_from;
    if (r->due_kind == KAP_DEADLINE_NONE) {
        return;
    }
    int64_t used =
        r->spent_working_ms + kap_calendar_working_ms(r->clock_from, r->hold_from, closures);
    int64_t left = allowance_ms(r) - used, at = r->due_at;
    if (left > 0) {
        r->spent_working_ms = used;
        r->clock_from = r->hold_to > r->clock_from ? r->hold_to : r->clock_from;
        at = kap_calendar_add_working_ms(r->clock_from, left, closures);
    }
    set_limit(j, r->due_kind, at);
}

static void apply_expired(judging_t *j)
{
    j->r->state = KAP_STATE_EXPIRED;
    j->r->expired_at = j->time;
    j->fx->timer = KAP_TIMER_CLEAR;
}

static void apply_consent_withdrawn(judging_t *j)
{
    j->r->flags |= KAP_RF_CONSENT_WITHDRAWN;
    j->fx->erase = true;
    if (!kap_state_is_terminal(j->r->state)) {
        end_as(j, KAP_STATE_WITHDRAWN);
    }
}

static void apply_voided(judging_t *j)
{
    j->r->flags |= j->facts->is_sender ? 0u : KAP_RF_VOIDED_BY_OPERATOR;
    j->r->reason = code_of(j->ev, KAP_F_VOID_REASON);
    end_as(j, KAP_STATE_VOIDED);
    j->fx->cut_out = true;
}

static void apply_shared(judging_t *j)
{
    j->r->flags |= KAP_RF_SHARED;
    j->fx->third = kap_event_span(j->ev, KAP_F_WITH);
    j->fx->streams |= KAP_TELL_THIRD;
}

static void apply_feedback(judging_t *j)
{
    j->r->flags |= KAP_RF_FEEDBACK;
    j->r->feedback_scale = (int16_t)kap_event_int(j->ev, KAP_F_SCALE, -1);
    j->r->feedback_value = (int16_t)kap_event_int(j->ev, KAP_F_SCORE, -1);
}

static void apply(judging_t *j)
{
    switch (j->ev->type) {
    case KAP_EV_REFERRAL_CREATED:
        apply_created(j);
        break;
    case KAP_EV_REFERRAL_DELIVERED:
        apply_delivered(j);
        break;
    case KAP_EV_REFERRAL_ACCEPTED:
        apply_accepted(j);
        break;
    case KAP_EV_REFERRAL_DECLINED:
    case KAP_EV_REFERRAL_REDIRECTED:
        apply_turned_away(j);
        break;
    case KAP_EV_REFERRAL_CONTACTED:
        apply_contacted(j);
        break;
    case KAP_EV_REFERRAL_CAME:
        apply_came(j);
        break;
    case KAP_EV_REFERRAL_DID_NOT_COME:
        j->r->flags |= KAP_RF_DID_NOT_COME;
        break;
    case KAP_EV_REFERRAL_COMPLETED:
        apply_completed(j);
        break;
    case KAP_EV_REFERRAL_WITHDRAWN:
        apply_withdrawn(j);
        break;
    case KAP_EV_REFERRAL_HELD:
        apply_held(j);
        break;
    case KAP_EV_REFERRAL_RESUMED:
        apply_resumed(j);
        break;
    case KAP_EV_REFERRAL_NOTED:
        j->r->notes++;
        break;
    case KAP_EV_REFERRAL_ANSWER_RECEIVED:
        j->r->answer_received_at = j->time;
        break;
    case KAP_EV_REFERRAL_EXPIRED:
        apply_expired(j);
        break;
    case KAP_EV_REFERRAL_SHARED:
        apply_shared(j);
        break;
    case KAP_EV_REFERRAL_CONSENT_WITHDRAWN:
        apply_consent_withdrawn(j);
        break;
    case KAP_EV_REFERRAL_FEEDBACK_GIVEN:
        apply_feedback(j);
        break;
    case KAP_EV_REFERRAL_VOIDED:
        apply_voided(j);
        break;
    default:
        KAP_CHECK(!"a row of transitions.def has no action");
    }
}

/* --- who, when, and the rules that a row cannot say --- */

static bool is_party(const judging_t *j)
{
    const kap_referral_facts_t *f = j->facts;
    return ((j->row->by & BY_SENDER) && f->is_sender) ||
           ((j->row->by & BY_RECIPIENT) && f->is_recipient) ||
           ((j->row->by & BY_OPERATOR) && f->is_operator) ||
           ((j->row->by & BY_BROKER) && f->is_broker);
}

static int not_party(const judging_t *j)
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

static bool same_code(const judging_t *j, kap_field_t field, int16_t held)
{
    return code_of(j->ev, field) == held;
}

/* A terminal event again: the same only when it says the same. */
static bool ended_just_so(const judging_t *j)
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
static bool is_already_so(const judging_t *j)
{
    const kap_referral_t *b = j->before;
    if (j->row->many) {
        return false;
    }
    if (j->row->milestone != KAP_MILESTONE_NONE) {
        return is_set(j->row->milestone == KAP_MILESTONE_DELIVERED ? b->delivered_at
                                                                   : b->accepted_at);
    }
    switch (j->ev->type) {
    case KAP_EV_REFERRAL_DID_NOT_COME:
        return b->flags & KAP_RF_DID_NOT_COME;
    case KAP_EV_REFERRAL_ANSWER_RECEIVED:
        return is_set(b->answer_received_at);
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
static bool has_child_in_group(const judging_t *j)
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

static bool must_advise(const judging_t *j)
{
    int reason = kap_event_code(j->ev, KAP_F_REASON);
    return j->facts->recipient_is_authority &&
           (reason == KAP_DECLINE_WRONG_SERVICE || reason == KAP_DECLINE_WRONG_AREA) &&
           kap_span_empty(kap_event_span(j->ev, KAP_F_ADVISED));
}

/* 0 or why the event's own rules refuse it. */
static int broken_rule(const judging_t *j)
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

static int wrong_state(const judging_t *j)
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

static int wrong_ends(const judging_t *j)
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

static int wrong_family(const judging_t *j)
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

static bool created_just_so(const judging_t *j)
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

static int judge_created(const judging_t *j)
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
static int judge_known(const judging_t *j)
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

/* What every accepted event brings, whatever its type. */
static void apply_common(judging_t *j)
{
    kap_referral_t *r = j->r;
    if (j->ev->time > j->now) {
        r->flags |= KAP_RF_CLOCK_AHEAD;
        j->fx->clock_ahead = true;
    }
    if (!(r->flags & KAP_RF_ARCHIVE) && j->ev->recorded - j->time > KAP_DAY_MS) {
        r->late_reports++;
        j->fx->reported_late = true;
    }
    /* the recipient may correct the segment */
    if (j->facts->is_recipient && kap_event_get(j->ev, KAP_F_SEGMENT)) {
        r->segment = code_of(j->ev, KAP_F_SEGMENT);
    }
}

int kap_referral_judge(const kap_referral_t *before, const kap_event_t *ev,
                       const kap_referral_facts_t *facts, int64_t now, kap_referral_t *after,
                       kap_effects_t *fx, kap_refusal_t *why)
{
    judging_t j = {
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
        if (j.row->answer && !only_counts(ev)) {
            judge_lateness(&j);
        }
        apply(&j);
        apply_common(&j);
    }
    return verdict;
}
