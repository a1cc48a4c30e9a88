/* SPDX-License-Identifier: MPL-2.0 */
#include "meeting.h"

#include <string.h>

#include "err.h"
#include "recurrence.h"

enum { ADHERENCE_DAYS = 7, RRULE_BYTES_MAX = 1000 };

typedef struct {
    const kap_event_t *ev;
    const kap_meeting_facts_t *facts;
    int64_t now, time;
    kap_effects_t *fx;
    kap_refusal_t *why;
} judging_t;

static bool is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

static int refuse(const judging_t *j, int number, kap_field_t field)
{
    *j->why = (kap_refusal_t){.number = (uint16_t)number, .field = (uint16_t)field};
    return KAP_VERDICT_REFUSED;
}

static judging_t begin(const kap_event_t *ev, const kap_meeting_facts_t *facts, int64_t now,
                       kap_effects_t *fx, kap_refusal_t *why)
{
    return (judging_t){.ev = ev,
                       .facts = facts,
                       .now = now,
                       .time = ev->time < now ? ev->time : now,
                       .fx = fx,
                       .why = why};
}

static void tell(judging_t *j, kap_span_t third)
{
    int64_t recorded = j->ev->recorded < j->now ? j->ev->recorded : j->now;
    bool late = recorded - j->time > KAP_DAY_MS;
    *j->fx = (kap_effects_t){.timer_kind = KAP_DEADLINE_NONE,
                             .streams = KAP_TELL_REGION | KAP_TELL_FROM |
                                        (kap_span_empty(third) ? 0 : KAP_TELL_THIRD),
                             .third = third,
                             .reported_late = late,
                             .clock_ahead = j->ev->time > j->now,
                             .time = j->time};
}

static kap_span_t span_of(const judging_t *j, kap_field_t field)
{
    return kap_event_span(j->ev, field);
}

/* May the publisher act for what `owner` owns? */
static bool may_act(const judging_t *j, kap_span_t owner)
{
    return j->facts->is_coordinator ||
           (!kap_span_empty(owner) && kap_span_eq(owner, j->facts->publisher));
}

/* --- forum --- */

void kap_forum_init(kap_forum_t *f)
{
    memset(f, 0, sizeof(*f));
    f->set_at = KAP_REFERRAL_NO_TIME;
}

/* The texts of a list field; false when an item is none or there are too many. */
static bool list_of(const judging_t *j, kap_field_t field, kap_span_t *out, uint32_t most,
                    uint32_t *count)
{
    const kap_mp_t *list = kap_event_node(j->ev, field);
    *count = 0;
    if (!list) {
        return true;
    }
    if (list->kind != KAP_MP_ARRAY || list->count > most) {
        return false;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (!kap_mp_str(kap_mp_item(list, i), &out[i]) || kap_span_empty(out[i]) ||
            out[i].size > KAP_LIMIT_ID_BYTES) {
            return false;
        }
    }
    *count = list->count;
    return true;
}

static bool rrule_ok(kap_span_t rrule)
{
    char text[RRULE_BYTES_MAX + 1];
    if (rrule.size > RRULE_BYTES_MAX) {
        return false;
    }
    memcpy(text, rrule.data, rrule.size);
    text[rrule.size] = '\0';
    return strlen(text) == rrule.size && kap_recurrence_check(text, NULL) == KAP_OK;
}

/* 0 or what is wrong with the clock of a forum: a rule with its start, or dates, or neither. */
static int wrong_clock(const judging_t *j)
{
    kap_span_t rrule = span_of(j, KAP_F_RRULE);
    const kap_mp_t *dates = kap_event_node(j->ev, KAP_F_DATES);
    if (kap_span_empty(rrule)) {
        return KAP_REFUSAL_NONE;
    }
    if (dates || kap_span_empty(span_of(j, KAP_F_DTSTART))) {
        return KAP_REFUSAL_MALFORMED_FIELDS_CLASH;
    }
    return rrule_ok(rrule) ? KAP_REFUSAL_NONE : KAP_REFUSAL_MALFORMED_RRULE;
}

static bool dates_ok(const kap_forum_t *f)
{
    kap_date_t date;
    for (uint32_t i = 0; i < f->date_count; i++) {
        if (kap_date_parse(f->dates[i], &date) != KAP_OK) {
            return false;
        }
    }
    return true;
}

int kap_forum_judge(const kap_forum_t *before, const kap_event_t *ev,
                    const kap_meeting_facts_t *facts, int64_t now, kap_forum_t *after,
                    kap_effects_t *fx, kap_refusal_t *why)
{
    judging_t j = begin(ev, facts, now, fx, why);
    bool known = before && before->set;
    if (ev->type != KAP_EV_FORUM_SET) {
        return refuse(&j, KAP_REFUSAL_MALFORMED_TYPE, KAP_F_NONE);
    }
    if (!facts->region_known) {
        return refuse(&j, KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN, KAP_F_REGION);
    }
    kap_span_t owner = span_of(&j, KAP_F_OWNER);
    if (kap_span_empty(owner)) {
        owner = known ? before->owner : facts->publisher;
    }
    if (!may_act(&j, known ? before->owner : owner)) {
        return refuse(&j, KAP_REFUSAL_NOT_ALLOWED_COORDINATOR, KAP_F_OWNER);
    }
    if (!facts->is_coordinator && !facts->in_region) {
        return refuse(&j, KAP_REFUSAL_NOT_ALLOWED_REGION, KAP_F_REGION);
    }
    if (known && !kap_span_eq(before->region, span_of(&j, KAP_F_REGION))) {
        return refuse(&j, KAP_REFUSAL_MALFORMED_FIELDS_CLASH, KAP_F_REGION);
    }
    int number = wrong_clock(&j);
    if (number != KAP_REFUSAL_NONE) {
        return refuse(&j, number, KAP_F_RRULE);
    }
    kap_forum_t f;
    kap_forum_init(&f);
    if (!list_of(&j, KAP_F_MEMBERS, f.members, KAP_MEETING_MEMBERS, &f.member_count)) {
        return refuse(&j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_MEMBERS);
    }
    if (!list_of(&j, KAP_F_DATES, f.dates, KAP_MEETING_DATES, &f.date_count) || !dates_ok(&f)) {
        return refuse(&j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_DATES);
    }
    f.set = true;
    f.ended = kap_event_bool(ev, KAP_F_ENDED);
    f.region = span_of(&j, KAP_F_REGION);
    f.owner = owner;
    f.name = span_of(&j, KAP_F_NAME);
    f.kind = span_of(&j, KAP_F_FORUM_KIND);
    f.chair = span_of(&j, KAP_F_CHAIR);
    f.secretary = span_of(&j, KAP_F_SECRETARY);
    f.rrule = span_of(&j, KAP_F_RRULE);
    f.starts = span_of(&j, KAP_F_DTSTART);
    f.yearly_target = (uint32_t)kap_event_int(ev, KAP_F_YEARLY_TARGET, 0);
    f.set_at = j.time;
    *after = f;
    tell(&j, kap_span_eq(owner, facts->publisher) ? kap_span("", 0) : owner);
    return KAP_VERDICT_ACCEPTED;
}

/* --- meeting --- */

void kap_meeting_init(kap_meeting_t *m)
{
    memset(m, 0, sizeof(*m));
    m->state = KAP_MEETING_NONE;
    m->first_planned_at = KAP_REFERRAL_NO_TIME;
    m->planned_at = KAP_REFERRAL_NO_TIME;
    m->held_at = KAP_REFERRAL_NO_TIME;
    m->cancelled_at = KAP_REFERRAL_NO_TIME;
}

static kap_attendee_t *attendee_of(kap_meeting_t *m, kap_span_t member)
{
    for (uint32_t i = 0; i < m->attendee_count; i++) {
        if (kap_span_eq(m->attendees[i].member, member)) {
            return &m->attendees[i];
        }
    }
    return NULL;
}

/* Adds marks to a member, a new one when there is room. False when there is none. */
static bool mark(kap_meeting_t *m, kap_span_t member, uint8_t marks)
{
    kap_attendee_t *a = attendee_of(m, member);
    if (!a && m->attendee_count == KAP_MEETING_MEMBERS) {
        return false;
    }
    if (!a) {
        a = &m->attendees[m->attendee_count++];
        *a = (kap_attendee_t){.member = member};
    }
    a->marks |= marks;
    return true;
}

/* The attendance that minutes state: member ids, or maps {member, present}. */
static bool state_attendance(const judging_t *j, kap_meeting_t *m)
{
    const kap_mp_t *list = kap_event_node(j->ev, KAP_F_ATTENDANCE);
    if (!list) {
        return true;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const kap_mp_t *item = kap_mp_item(list, i);
        kap_span_t member = kap_span("", 0), present = KAP_SPAN("present");
        if (item->kind == KAP_MP_MAP) {
            member = kap_mp_get_str(item, "member");
            present = kap_mp_get(item, "present") ? kap_mp_get_str(item, "present") : present;
        } else if (!kap_mp_str(item, &member)) {
            return false;
        }
        int code = kap_code_parse(KAP_LIST_ATTENDANCE, present);
        if (kap_span_empty(member) || member.size > KAP_LIMIT_ID_BYTES || code < 0) {
            return false;
        }
        if (code != KAP_ATTENDANCE_ABSENT && !mark(m, member, KAP_ATTENDEE_STATED)) {
            return false;
        }
    }
    return true;
}

/* Those whom the plan invites by name: ids. */
static bool invite(const judging_t *j, kap_meeting_t *m)
{
    kap_span_t members[KAP_MEETING_MEMBERS];
    uint32_t count;
    if (!list_of(j, KAP_F_MEMBERS, members, KAP_MEETING_MEMBERS, &count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        mark(m, members[i], KAP_ATTENDEE_INVITED);
    }
    return true;
}

/* Members of the forum, as it is when the meeting is held, were invited. */
static void invite_forum(const judging_t *j, kap_meeting_t *m)
{
    for (uint32_t i = 0; i < j->facts->forum_member_count; i++) {
        mark(m, j->facts->forum_members[i], KAP_ATTENDEE_INVITED);
    }
}

/* What the publisher may do without a known meeting: plan one, or hold one unplanned. */
static int wrong_start(const judging_t *j)
{
    const kap_meeting_facts_t *f = j->facts;
    if (!f->region_known) {
        return KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN;
    }
    if (!kap_span_empty(span_of(j, KAP_F_FORUM))) {
        if (!f->forum_known) {
            return KAP_REFUSAL_ILLEGAL_UNKNOWN_FORUM;
        }
        if (!kap_span_eq(f->forum_region, span_of(j, KAP_F_REGION))) {
            return KAP_REFUSAL_MALFORMED_FIELDS_CLASH; /* another region's coordinator is none here
                                                        */
        }
        return may_act(j, f->forum_owner) ? KAP_REFUSAL_NONE : KAP_REFUSAL_NOT_ALLOWED_COORDINATOR;
    }
    return f->in_region || f->is_coordinator ? KAP_REFUSAL_NONE : KAP_REFUSAL_NOT_ALLOWED_REGION;
}

static bool may_change(const judging_t *j, const kap_meeting_t *m)
{
    return may_act(j, m->owner) ||
           (!kap_span_empty(m->forum) && kap_span_eq(j->facts->forum_owner, j->facts->publisher));
}

static void start(const judging_t *j, kap_meeting_t *m)
{
    m->forum = span_of(j, KAP_F_FORUM);
    m->region = span_of(j, KAP_F_REGION);
    m->kind = span_of(j, KAP_F_FORUM_KIND);
    m->occurrence = span_of(j, KAP_F_OCCURRENCE);
    m->owner = j->facts->publisher;
}

static int judge_planned(const judging_t *j, kap_meeting_t *m)
{
    int64_t at = kap_event_int(j->ev, KAP_F_STARTS_AT, KAP_REFERRAL_NO_TIME);
    if (m->state != KAP_MEETING_NONE) {
        bool same = at == m->first_planned_at && kap_span_eq(m->owner, j->facts->publisher) &&
                    kap_span_eq(m->forum, span_of(j, KAP_F_FORUM));
        return same ? KAP_VERDICT_ALREADY_SO
                    : refuse(j, KAP_REFUSAL_ILLEGAL_MEETING_EXISTS, KAP_F_MEETING);
    }
    int number = wrong_start(j);
    if (number != KAP_REFUSAL_NONE) {
        return refuse(j, number, KAP_F_NONE);
    }
    if (!invite(j, m)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_MEMBERS);
    }
    start(j, m);
    m->state = KAP_MEETING_PLANNED;
    m->first_planned_at = at;
    m->planned_at = at;
    return KAP_VERDICT_ACCEPTED;
}

/* moved and cancelled */
static int judge_changed(const judging_t *j, kap_meeting_t *m)
{
    bool cancels = j->ev->type == KAP_EV_MEETING_CANCELLED;
    int64_t at = kap_event_int(j->ev, KAP_F_STARTS_AT, KAP_REFERRAL_NO_TIME);
    if (m->state == KAP_MEETING_NONE) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, KAP_F_MEETING);
    }
    if (!may_change(j, m)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_COORDINATOR, KAP_F_NONE);
    }
    if (cancels ? m->state == KAP_MEETING_CANCELLED
                : m->state == KAP_MEETING_PLANNED && at == m->planned_at) {
        return KAP_VERDICT_ALREADY_SO;
    }
    if (m->state != KAP_MEETING_PLANNED) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_MEETING_STATE, KAP_F_MEETING);
    }
    if (cancels) {
        m->state = KAP_MEETING_CANCELLED;
        m->cancelled_at = j->time;
    } else {
        m->planned_at = at;
        m->moves++;
    }
    return KAP_VERDICT_ACCEPTED;
}

/* Held again with the same minutes says nothing new; other minutes are refused. */
static bool held_just_so(const judging_t *j, const kap_meeting_t *m)
{
    const kap_mp_t *list = kap_event_node(j->ev, KAP_F_ATTENDANCE);
    uint32_t stated = 0;
    for (uint32_t i = 0; i < m->attendee_count; i++) {
        stated += (m->attendees[i].marks & KAP_ATTENDEE_STATED) != 0;
    }
    return m->state == KAP_MEETING_HELD && kap_span_eq(m->memo, span_of(j, KAP_F_MEMO)) &&
           m->topics == kap_event_int(j->ev, KAP_F_TOPICS, 0) && stated <= (list ? list->count : 0);
}

static int judge_held(const judging_t *j, kap_meeting_t *m)
{
    bool unplanned = m->state == KAP_MEETING_NONE;
    if (unplanned && kap_span_empty(span_of(j, KAP_F_REGION))) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, KAP_F_MEETING);
    }
    int number = unplanned ? wrong_start(j) : KAP_REFUSAL_NONE;
    if (number != KAP_REFUSAL_NONE) {
        return refuse(j, number, KAP_F_NONE);
    }
    if (!unplanned && !may_change(j, m)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_COORDINATOR, KAP_F_NONE);
    }
    if (held_just_so(j, m)) {
        return KAP_VERDICT_ALREADY_SO;
    }
    if (!unplanned && m->state != KAP_MEETING_PLANNED) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_MEETING_STATE, KAP_F_MEETING);
    }
    int64_t otherwise = is_set(m->planned_at) && m->planned_at <= j->now ? m->planned_at : j->time;
    int64_t at = kap_event_int(j->ev, KAP_F_STARTS_AT, otherwise);
    if (at > j->now) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_STARTS_AT);
    }
    if (!state_attendance(j, m)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_ATTENDANCE);
    }
    invite_forum(j, m);
    if (unplanned) {
        start(j, m);
        m->unplanned = true;
    }
    if (!kap_span_empty(span_of(j, KAP_F_OCCURRENCE))) {
        m->occurrence = span_of(j, KAP_F_OCCURRENCE);
    }
    m->state = KAP_MEETING_HELD;
    m->held_at = at;
    m->memo = span_of(j, KAP_F_MEMO);
    m->topics = (uint32_t)kap_event_int(j->ev, KAP_F_TOPICS, 0);
    return KAP_VERDICT_ACCEPTED;
}

/* Does the meeting have minutes that name its attendance? */
static bool has_attendance(const kap_meeting_t *m)
{
    for (uint32_t i = 0; i < m->attendee_count; i++) {
        if (m->attendees[i].marks & KAP_ATTENDEE_STATED) {
            return true;
        }
    }
    return false;
}

static int judge_attended(const judging_t *j, kap_meeting_t *m)
{
    kap_span_t member = span_of(j, KAP_F_MEMBER);
    int present = kap_event_code(j->ev, KAP_F_PRESENT);
    uint8_t marks = present == KAP_ATTENDANCE_ABSENT ? KAP_ATTENDEE_DENIED : KAP_ATTENDEE_CONFIRMED;
    if (m->state == KAP_MEETING_NONE) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, KAP_F_MEETING);
    }
    if (!kap_span_eq(member, j->facts->publisher)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_MEMBER, KAP_F_MEMBER);
    }
    if (m->state == KAP_MEETING_CANCELLED) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_MEETING_STATE, KAP_F_MEETING);
    }
    kap_attendee_t *a = attendee_of(m, member);
    bool named = a && (a->marks & ~KAP_ATTENDEE_INVITED) != 0;
    if (!named && has_attendance(m)) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_NOT_ATTENDING, KAP_F_MEMBER);
    }
    if (a && (a->marks & marks)) {
        return KAP_VERDICT_ALREADY_SO;
    }
    if (a) {
        a->marks &= (uint8_t) ~(KAP_ATTENDEE_CONFIRMED | KAP_ATTENDEE_DENIED);
    }
    return mark(m, member, marks) ? KAP_VERDICT_ACCEPTED
                                  : refuse(j, KAP_REFUSAL_ILLEGAL_NOT_ATTENDING, KAP_F_MEMBER);
}

static int judge_meeting(const judging_t *j, kap_meeting_t *m)
{
    switch (j->ev->type) {
    case KAP_EV_MEETING_PLANNED:
        return judge_planned(j, m);
    case KAP_EV_MEETING_MOVED:
    case KAP_EV_MEETING_CANCELLED:
        return judge_changed(j, m);
    case KAP_EV_MEETING_HELD:
        return judge_held(j, m);
    case KAP_EV_MEETING_ATTENDED:
        return judge_attended(j, m);
    default:
        return refuse(j, KAP_REFUSAL_MALFORMED_TYPE, KAP_F_NONE);
    }
}

int kap_meeting_judge(const kap_meeting_t *before, const kap_event_t *ev,
                      const kap_meeting_facts_t *facts, int64_t now, kap_meeting_t *after,
                      kap_effects_t *fx, kap_refusal_t *why)
{
    judging_t j = begin(ev, facts, now, fx, why);
    kap_meeting_t m;
    if (before) {
        m = *before;
    } else {
        kap_meeting_init(&m);
    }
    int verdict = judge_meeting(&j, &m);
    if (verdict != KAP_VERDICT_REFUSED) {
        *after = m;
        tell(&j, kap_span("", 0));
    }
    return verdict;
}

bool kap_meeting_adheres(const kap_meeting_t *m)
{
    kap_date_t plan;
    if (m->state != KAP_MEETING_HELD) {
        return false;
    }
    if (kap_date_parse(m->occurrence, &plan) != KAP_OK) {
        if (!is_set(m->first_planned_at)) {
            return false;
        }
        plan = kap_date_of(KAP_ZONE_HELSINKI, m->first_planned_at);
    }
    int32_t days = kap_date_days(kap_date_of(KAP_ZONE_HELSINKI, m->held_at)) - kap_date_days(plan);
    return days >= -ADHERENCE_DAYS && days <= ADHERENCE_DAYS;
}

/* --- action --- */

void kap_action_init(kap_action_t *a)
{
    memset(a, 0, sizeof(*a));
    a->agreed_at = KAP_REFERRAL_NO_TIME;
    a->done_at = KAP_REFERRAL_NO_TIME;
}

static int judge_agreed(const judging_t *j, kap_action_t *a)
{
    if (!j->facts->meeting_known) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, KAP_F_MEETING);
    }
    if (!may_act(j, j->facts->meeting_owner) && !may_act(j, j->facts->forum_owner)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_COORDINATOR, KAP_F_NONE);
    }
    if (a->agreed) {
        bool same = kap_span_eq(a->meeting, span_of(j, KAP_F_MEETING)) &&
                    kap_span_eq(a->member, span_of(j, KAP_F_MEMBER)) &&
                    kap_span_eq(a->responsible, span_of(j, KAP_F_RESPONSIBLE)) &&
                    kap_span_eq(a->due, span_of(j, KAP_F_DUE));
        return same ? KAP_VERDICT_ALREADY_SO
                    : refuse(j, KAP_REFUSAL_ILLEGAL_ACTION_EXISTS, KAP_F_ACTION);
    }
    a->agreed = true;
    a->meeting = span_of(j, KAP_F_MEETING);
    a->region = j->facts->meeting_region;
    a->owner = j->facts->publisher;
    a->member = span_of(j, KAP_F_MEMBER);
    a->responsible = span_of(j, KAP_F_RESPONSIBLE);
    a->due = span_of(j, KAP_F_DUE);
    a->agreed_at = j->time;
    return KAP_VERDICT_ACCEPTED;
}

static int judge_done(const judging_t *j, kap_action_t *a)
{
    if (!a->agreed) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_ACTION, KAP_F_ACTION);
    }
    if (!may_act(j, a->owner) && !may_act(j, a->member) && !may_act(j, j->facts->meeting_owner) &&
        !may_act(j, j->facts->forum_owner)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_COORDINATOR, KAP_F_NONE);
    }
    if (a->done) {
        return KAP_VERDICT_ALREADY_SO;
    }
    a->done = true;
    a->done_at = j->time;
    return KAP_VERDICT_ACCEPTED;
}

int kap_action_judge(const kap_action_t *before, const kap_event_t *ev,
                     const kap_meeting_facts_t *facts, int64_t now, kap_action_t *after,
                     kap_effects_t *fx, kap_refusal_t *why)
{
    judging_t j = begin(ev, facts, now, fx, why);
    kap_action_t a;
    int verdict = KAP_VERDICT_REFUSED;
    if (before) {
        a = *before;
    } else {
        kap_action_init(&a);
    }
    if (ev->type == KAP_EV_ACTION_AGREED) {
        verdict = judge_agreed(&j, &a);
    } else if (ev->type == KAP_EV_ACTION_DONE) {
        verdict = judge_done(&j, &a);
    } else {
        return refuse(&j, KAP_REFUSAL_MALFORMED_TYPE, KAP_F_NONE);
    }
    if (verdict != KAP_VERDICT_REFUSED) {
        *after = a;
        tell(&j, a.member);
    }
    return verdict;
}
