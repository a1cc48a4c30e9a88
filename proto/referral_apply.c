/* SPDX-License-Identifier: MPL-2.0 */
/* What an accepted event does to a referral: clocks, limits, milestones, then each event. */
#include <string.h>

#include "err.h"
#include "referral_inner.h"
#include "seeded.h"

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

/* The hold that begins first of those that end after `at` and begin before `until`; one that still
 * lasts ends there. */
static bool next_hold(const kap_referral_t *r, int64_t at, int64_t until, kap_hold_t *out)
{
    bool found = false;
    for (int i = 0; i <= r->hold_count; i++) {
        kap_hold_t hold = {r->hold_from, kap_is_set(r->hold_to) ? r->hold_to : until};
        if (i < r->hold_count) {
            hold = r->holds[i];
        } else if (!kap_is_set(r->hold_from)) {
            break;
        }
        if (hold.to > at && hold.from < until && (!found || hold.from < out->from)) {
            *out = hold;
            found = true;
        }
    }
    return found;
}

/* What holds took between two instants, in time of the recipient's clock; overlapping ones once. */
static kap_spent_t held_in(const kap_referral_t *r, int64_t from, int64_t to,
                           const kap_closures_t *closures)
{
    kap_spent_t held = {0, 0};
    kap_hold_t hold;
    while (from < to && !KAP_SEEDED_BUG("holds_forgotten") && next_hold(r, from, to, &hold)) {
        int64_t begins = hold.from > from ? hold.from : from;
        from = hold.to < to ? hold.to : to;
        kap_spent_t part = spent(begins, from, closures);
        held.working_ms += part.working_ms;
        held.elapsed_ms += part.elapsed_ms;
    }
    return held;
}

/* The same from the delivery on: with the holds that are not kept one by one. */
static kap_spent_t held_until(const kap_referral_t *r, int64_t until,
                              const kap_closures_t *closures)
{
    kap_spent_t held = held_in(r, r->delivered_at, until, closures);
    held.working_ms += r->held.working_ms;
    held.elapsed_ms += r->held.elapsed_ms;
    return held;
}

static int64_t less(int64_t a, int64_t b)
{
    return a > b ? a - b : 0;
}

static kap_spent_t without(kap_spent_t all, kap_spent_t held)
{
    return (kap_spent_t){less(all.working_ms, held.working_ms),
                         less(all.elapsed_ms, held.elapsed_ms)};
}

kap_spent_t kap_referral_waited(const kap_referral_t *r, const kap_closures_t *closures,
                                int64_t now)
{
    if (!kap_is_set(r->delivered_at)) {
        return (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    }
    return without(spent(r->delivered_at, now, closures), held_until(r, now, closures));
}

kap_spent_t kap_referral_spent(const kap_referral_t *r, int64_t from, int64_t to,
                               const kap_closures_t *closures)
{
    return without(spent(from, to, closures), held_in(r, from, to, closures));
}

int64_t kap_referral_used_ms(const kap_referral_t *r, const kap_closures_t *closures, int64_t now)
{
    return r->spent_working_ms + kap_referral_spent(r, r->clock_from, now, closures).working_ms;
}

/* Recipient's clock between two milestones without `held`; sets the clamped bit. */
static kap_spent_t recipient_spent(kap_judging_t *j, int64_t from, int64_t to, kap_spent_t held,
                                   uint8_t clamped)
{
    if (to < from) {
        j->r->clamped |= clamped;
    }
    return without(spent(from, to, j->facts->closures), held);
}

/* --- limits --- */

static bool has_limits(const kap_referral_t *r)
{
    return r->kind == KAP_KIND_TRANSFER && !(r->flags & (KAP_RF_EXTERNAL | KAP_RF_ARCHIVE));
}

static void stop_limit(kap_judging_t *j)
{
    if (j->r->due_kind != KAP_DEADLINE_NONE) {
        j->fx->timer = KAP_TIMER_CLEAR;
    }
}

static void set_limit(kap_judging_t *j, int8_t kind, int64_t at)
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
static void start_limit(kap_judging_t *j, int8_t kind)
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
static void judge_lateness(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    bool stands = (r->flags & KAP_RF_ON_HOLD) && r->due_at >= r->hold_from;
    if (r->due_kind == KAP_DEADLINE_NONE || !kap_is_set(r->due_at) || stands ||
        j->time <= r->due_at) {
        return;
    }
    r->flags |= r->due_kind == KAP_DEADLINE_CONTACT ? KAP_RF_CONTACT_LATE : KAP_RF_LATE;
}

/* --- milestones --- */

static void reach_delivered(kap_judging_t *j)
{
    j->r->delivered_at = j->time;
    j->r->delivered_commit = j->now;
    j->fx->reached |= KAP_MILESTONE_DELIVERED;
}

static void reach_accepted(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    const kap_referral_facts_t *facts = j->facts;
    r->accepted_at = j->time;
    j->fx->reached |= KAP_MILESTONE_ACCEPTED;
    if (r->implied & KAP_MILESTONE_ACCEPTED) {
        return;
    }
    if (!(r->implied & KAP_MILESTONE_DELIVERED)) {
        r->to_accept =
            recipient_spent(j, r->delivered_at, r->accepted_at,
                            held_until(r, j->time, facts->closures), KAP_MILESTONE_ACCEPTED);
    }
    if (kap_is_set(facts->root_created_at)) {
        r->root_created_at = facts->root_created_at;
    }
    if (kap_is_set(r->root_created_at)) {
        r->customer_to_accept = spent(r->root_created_at, r->accepted_at, NULL);
        if (r->accepted_at < r->root_created_at) {
            r->clamped |= KAP_MILESTONE_CUSTOMER;
        }
    }
}

static void reach_contact(kap_judging_t *j)
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
static void imply(kap_judging_t *j, uint8_t milestones)
{
    kap_referral_t *r = j->r;
    if ((milestones & KAP_MILESTONE_DELIVERED) && !kap_is_set(r->delivered_at)) {
        r->implied |= KAP_MILESTONE_DELIVERED;
        reach_delivered(j);
    }
    if ((milestones & KAP_MILESTONE_ACCEPTED) && !kap_is_set(r->accepted_at)) {
        r->implied |= KAP_MILESTONE_ACCEPTED;
        reach_accepted(j);
    }
    if ((milestones & KAP_MILESTONE_CONTACT) && !kap_is_set(r->contact_at)) {
        r->implied |= KAP_MILESTONE_CONTACT;
        reach_contact(j);
    }
}

static void move_to(kap_judging_t *j, int8_t state)
{
    j->r->state = state;
    j->r->open_state = state;
}

/* A terminal state: the clocks stop, a hold is over. */
static void end_as(kap_judging_t *j, int8_t state)
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

/* Declined, redirected or withdrawn: who never accepted gives up waiting. */
static void give_up_as(kap_judging_t *j, int8_t state)
{
    kap_referral_t *r = j->r;
    end_as(j, state);
    bool was_delivered = kap_is_set(r->delivered_at) && !(r->implied & KAP_MILESTONE_DELIVERED);
    if (was_delivered && !kap_is_set(r->accepted_at)) {
        r->to_give_up =
            recipient_spent(j, r->delivered_at, j->time, held_until(r, j->time, j->facts->closures),
                            KAP_MILESTONE_ENDED);
    }
}

/* --- what each event does --- */

static void apply_created(kap_judging_t *j)
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
    r->kind = kap_code_of(ev, KAP_F_KIND);
    r->service = kap_code_of(ev, KAP_F_SERVICE);
    r->segment = kap_code_of(ev, KAP_F_SEGMENT);
    r->language = kap_code_of(ev, KAP_F_LANGUAGE);
    r->origin = kap_code_of(ev, KAP_F_ORIGIN);
    r->flags = (kap_referral_is_external(r->to) ? KAP_RF_EXTERNAL : 0u) |
               (facts->internal ? KAP_RF_INTERNAL : 0u) | (facts->archive ? KAP_RF_ARCHIVE : 0u) |
               (kap_event_bool(ev, KAP_F_WARM) ? KAP_RF_WARM : 0u) |
               (kap_event_bool(ev, KAP_F_RETURN_EXPECTED) ? KAP_RF_RETURN_EXPECTED : 0u) |
               (kap_event_get(ev, KAP_F_REOPENS) ? KAP_RF_REOPENS : 0u) |
               (kap_event_get(ev, KAP_F_MEETING) ? KAP_RF_MEETING : 0u);
    r->answer_days = facts->answer_days ? facts->answer_days : KAP_LIMIT_ANSWER_WORKING_DAYS;
    r->contact_days = facts->contact_days ? facts->contact_days : KAP_LIMIT_ANSWER_WORKING_DAYS;
    r->created_at = j->time;
    r->created_commit = j->now;
    r->root_created_at = facts->root_created_at;
    bool earliest = !kap_is_set(r->root_created_at) || j->time < r->root_created_at;
    if (kap_span_empty(r->parent) && earliest) {
        r->root_created_at = j->time;
    }
    move_to(j, KAP_STATE_CREATED);
    if (has_limits(r)) {
        set_limit(j, KAP_DEADLINE_DELIVERY, j->now + KAP_LIMIT_UNDELIVERED_DAYS * KAP_DAY_MS);
    }
}

static void apply_delivered(kap_judging_t *j)
{
    reach_delivered(j);
    move_to(j, KAP_STATE_DELIVERED);
    start_limit(j, KAP_DEADLINE_ANSWER);
}

static void apply_accepted(kap_judging_t *j)
{
    imply(j, j->row->implies);
    reach_accepted(j);
    move_to(j, KAP_STATE_ACCEPTED);
    start_limit(j, KAP_DEADLINE_CONTACT);
}

/* declined and redirected */
static void apply_turned_away(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    imply(j, j->row->implies);
    if (kap_is_set(r->accepted_at)) {
        r->flags |= KAP_RF_BACKED_OUT;
    }
    r->reason = kap_code_of(j->ev, KAP_F_REASON);
    if (j->row->to == KAP_STATE_REDIRECTED) {
        r->next = kap_event_span(j->ev, KAP_F_NEXT);
    }
    give_up_as(j, j->row->to);
}

/* A try that reached nobody changes nothing but its count. */
static bool only_counts(const kap_event_t *ev)
{
    return ev->type == KAP_EV_REFERRAL_CONTACTED &&
           kap_event_code(ev, KAP_F_CONTACT) != KAP_CONTACT_REACHED;
}

static void apply_contacted(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    r->attempts++;
    if (only_counts(j->ev)) {
        return;
    }
    r->contacts++;
    imply(j, j->row->implies);
    if (!kap_is_set(r->contact_at)) {
        reach_contact(j);
    }
    move_to(j, KAP_STATE_IN_CONTACT);
    stop_limit(j);
    r->due_kind = KAP_DEADLINE_NONE;
}

static void apply_completed(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    r->outcome = kap_code_of(j->ev, KAP_F_OUTCOME);
    r->detail = kap_code_of(j->ev, KAP_F_DETAIL);
    r->results = (uint32_t)kap_event_codes(j->ev, KAP_F_RESULTS);
    bool met = r->detail != KAP_DETAIL_NO_CONTACT;
    imply(j, (uint8_t)(j->row->implies & (met ? 0xff : ~KAP_MILESTONE_CONTACT)));
    end_as(j, KAP_STATE_COMPLETED);
    if (r->implied & KAP_MILESTONE_ACCEPTED) {
        return;
    }
    kap_spent_t held = held_in(r, r->accepted_at, j->time, j->facts->closures);
    r->to_end = recipient_spent(j, r->accepted_at, j->time, held, KAP_MILESTONE_ENDED);
}

static void apply_came(kap_judging_t *j)
{
    imply(j, j->row->implies);
    j->r->flags |= KAP_RF_CAME;
    end_as(j, KAP_STATE_COMPLETED);
}

static void apply_withdrawn(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    bool confirms = j->facts->is_recipient && (r->flags & KAP_RF_WITHDRAW_REQUESTED);
    if (r->state == KAP_STATE_IN_CONTACT && !confirms) {
        r->flags |= KAP_RF_WITHDRAW_REQUESTED;
        return;
    }
    r->flags |= confirms ? KAP_RF_WITHDRAWN_BY_RECIPIENT : 0u;
    r->reason = kap_code_of(j->ev, KAP_F_WITHDRAW_REASON);
    give_up_as(j, KAP_STATE_WITHDRAWN);
}

/* The oldest hold that is kept becomes a sum. */
static void fold_hold(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    const kap_hold_t oldest = r->holds[0];
    kap_spent_t took = spent(oldest.from, oldest.to, j->facts->closures);
    r->held.working_ms += took.working_ms;
    r->held.elapsed_ms += took.elapsed_ms;
    if (r->due_kind != KAP_DEADLINE_NONE && oldest.to > r->clock_from) {
        r->spent_working_ms +=
            kap_calendar_working_ms(r->clock_from, oldest.from, j->facts->closures);
        r->clock_from = oldest.to;
    }
    r->hold_count--;
    memmove(&r->holds[0], &r->holds[1], r->hold_count * sizeof r->holds[0]);
}

/* Held again while on hold changes nothing. */
static void apply_held(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    if (r->flags & KAP_RF_ON_HOLD) {
        return;
    }
    if (kap_is_set(r->hold_from)) {
        if (r->hold_count == KAP_REFERRAL_HOLDS) {
            fold_hold(j);
        }
        r->holds[r->hold_count++] = (kap_hold_t){r->hold_from, r->hold_to};
    }
    r->hold_from = j->time;
    if (kap_is_set(r->delivered_at) && r->hold_from < r->delivered_at) {
        r->hold_from = r->delivered_at; /* before that no clock ran */
    }
    r->hold_to = KAP_REFERRAL_NO_TIME;
    r->flags |= KAP_RF_ON_HOLD | KAP_RF_HELD_ONCE;
    stop_limit(j);
}

/* When the limit that runs is over: its working time since it started, without the holds. */
static int64_t limit_over(const kap_referral_t *r, const kap_closures_t *closures)
{
    int64_t left = allowance_ms(r) - r->spent_working_ms, at = r->clock_from;
    kap_hold_t hold;
    if (left <= 0) {
        return r->due_at;
    }
    while (next_hold(r, at, INT64_MAX, &hold)) {
        int64_t used = kap_calendar_working_ms(at, hold.from, closures);
        if (used >= left) {
            break;
        }
        left -= used;
        at = hold.to;
    }
    return kap_calendar_add_working_ms(at, left, closures);
}

/* The rest of the limit runs on; one that was over before the hold stays where it was. */
static void apply_resumed(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    if (!(r->flags & KAP_RF_ON_HOLD)) {
        return;
    }
    r->flags &= ~(uint32_t)KAP_RF_ON_HOLD;
    r->hold_to = j->time > r->hold_from ? j->time : r->hold_from;
    if (r->due_kind != KAP_DEADLINE_NONE) {
        set_limit(j, r->due_kind, limit_over(r, j->facts->closures));
    }
}

static void apply_expired(kap_judging_t *j)
{
    j->r->state = KAP_STATE_EXPIRED;
    j->r->expired_at = j->time;
    j->fx->timer = KAP_TIMER_CLEAR;
}

static void apply_consent_withdrawn(kap_judging_t *j)
{
    j->r->flags |= KAP_RF_CONSENT_WITHDRAWN;
    j->fx->erase = true;
    if (!kap_state_is_terminal(j->r->state)) {
        give_up_as(j, KAP_STATE_WITHDRAWN);
    }
}

static void apply_voided(kap_judging_t *j)
{
    j->r->flags |= j->facts->is_sender ? 0u : KAP_RF_VOIDED_BY_OPERATOR;
    j->r->reason = kap_code_of(j->ev, KAP_F_VOID_REASON);
    end_as(j, KAP_STATE_VOIDED);
    j->fx->cut_out = true;
}

static void apply_shared(kap_judging_t *j)
{
    j->r->flags |= KAP_RF_SHARED;
    j->fx->third = kap_event_span(j->ev, KAP_F_WITH);
    j->fx->streams |= KAP_TELL_THIRD;
}

static void apply_feedback(kap_judging_t *j)
{
    j->r->flags |= KAP_RF_FEEDBACK;
    j->r->feedback_scale = (int16_t)kap_event_int(j->ev, KAP_F_SCALE, -1);
    j->r->feedback_value = (int16_t)kap_event_int(j->ev, KAP_F_SCORE, -1);
}

static void apply(kap_judging_t *j)
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

/* What every accepted event brings, whatever its type. */
static void apply_common(kap_judging_t *j)
{
    kap_referral_t *r = j->r;
    if (j->ev->time > j->now) {
        r->flags |= KAP_RF_CLOCK_AHEAD;
        j->fx->clock_ahead = true;
    }
    int64_t recorded = j->ev->recorded < j->now ? j->ev->recorded : j->now; /* as the time */
    if (!(r->flags & KAP_RF_ARCHIVE) && recorded - j->time > KAP_DAY_MS) {
        r->late_reports++;
        j->fx->reported_late = true;
    }
    if (j->ev->type != KAP_EV_REFERRAL_EXPIRED &&
        (!kap_is_set(r->news_at) || j->time > r->news_at)) {
        r->news_at = j->time;
    }
    /* the recipient may correct the segment */
    if (j->facts->is_recipient && kap_event_get(j->ev, KAP_F_SEGMENT)) {
        r->segment = kap_code_of(j->ev, KAP_F_SEGMENT);
    }
}

void kap_referral_apply(kap_judging_t *j)
{
    if (j->row->answer && !only_counts(j->ev)) {
        judge_lateness(j);
    }
    apply(j);
    apply_common(j);
}
