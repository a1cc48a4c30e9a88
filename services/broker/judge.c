/* SPDX-License-Identifier: MPL-2.0 */
#include "judge.h"

#include <string.h>

#include "calendar.h"
#include "err.h"
#include "follow.h"
#include "followed.h"
#include "followup.h"
#include "succeed.h"

/* One judgement under way. */
typedef struct {
    const kap_judge_t *j;
    const kap_event_t *ev;
    const kap_event_t *group;
    uint32_t group_count;
    kap_judged_t *out;
    kap_span_t publisher; /* member part of the source */
} judging_t;

static const kap_span_t nothing = {(const uint8_t *)"", 0};

static void refuse(judging_t *g, int number, kap_field_t field)
{
    g->out->verdict = KAP_VERDICT_REFUSED;
    g->out->why = (kap_refusal_t){.number = (uint16_t)number, .field = (uint16_t)field};
}

static kap_span_t span_of(const judging_t *g, kap_field_t field)
{
    return kap_event_span(g->ev, field);
}

static bool may(judging_t *g, const kap_access_facts_t *facts)
{
    unsigned as = g->out->as;
    int why = 0;

    if (g->j->recount)
        return true;
    if (g->j->who == NULL)
        as = KAP_AS_BROKER;
    else
        why = kap_may_publish(g->j->dir, g->j->who, g->ev, facts, &as);
    g->out->as = (uint16_t)as;
    if (why != 0)
        refuse(g, why, KAP_F_NONE);
    return why == 0;
}

static bool as(const judging_t *g, unsigned what)
{
    return (g->out->as & what) != 0;
}

static const kap_member_t *member(const judging_t *g, kap_span_t id)
{
    const kap_member_t *m = kap_directory_member(g->j->dir, id);

    return m != NULL && kap_member_valid(m, g->j->now) ? m : NULL;
}

/* --- streams --- */

/* Adds a member to those who are told, once; external recipients and actors of archives have no
 * stream. */
static void tell(judging_t *g, kap_span_t id)
{
    kap_judged_t *out = g->out;

    if (g->j->scope != 0 || id.size == 0 || kap_referral_is_external(id))
        return;
    for (size_t i = 0; i < sizeof out->tell / sizeof out->tell[0]; i++) {
        if (kap_span_eq(out->tell[i], id))
            return;
        if (out->tell[i].size == 0) {
            out->tell[i] = id;
            return;
        }
    }
}

static void tell_effects(judging_t *g, const kap_effects_t *fx, kap_span_t region, kap_span_t from,
                         kap_span_t to)
{
    if (fx->streams & KAP_TELL_REGION)
        g->out->region = region;
    if (fx->streams & KAP_TELL_FROM)
        tell(g, from);
    if (fx->streams & KAP_TELL_TO)
        tell(g, to);
    if (fx->streams & KAP_TELL_THIRD && kap_directory_member(g->j->dir, fx->third) != NULL)
        tell(g, fx->third); /* named by the event: no stream for names that nobody has */
}

/* --- referrals: facts --- */

static void facts_of_case(judging_t *g, kap_referral_facts_t *f)
{
    kap_book_t *book = g->j->book;
    kap_span_t parent = span_of(g, KAP_F_PARENT), reopens = span_of(g, KAP_F_REOPENS);
    kap_span_t case_id = span_of(g, KAP_F_CASE);
    kap_case_object_t *c = kap_book_case(book, g->j->scope, case_id);

    if (c != NULL) {
        f->case_size = c->row.count;
        f->root_created_at = c->row.started_at;
    }
    if (parent.size > 0) {
        const kap_referral_object_t *p = kap_book_referral(book, g->j->scope, parent);
        if (p != NULL && p->o.known) {
            f->parent_known = true;
            f->parent_voided = p->row.r.state == KAP_STATE_VOIDED;
            f->parent_same_case = kap_span_eq(p->row.r.case_id, case_id);
            f->parent_to_is_sender = kap_span_eq(p->row.r.to, span_of(g, KAP_F_FROM));
        }
    }
    if (reopens.size > 0) {
        const kap_referral_object_t *r = kap_book_referral(book, g->j->scope, reopens);
        f->reopens_known = r != NULL && r->o.known;
        f->reopens_terminal = f->reopens_known && kap_state_is_terminal(r->row.r.state);
    }
}

static void facts_of_ends(const judging_t *g, const kap_region_t *region, kap_span_t from_id,
                          kap_span_t to_id, kap_referral_facts_t *f)
{
    const kap_member_t *from = member(g, from_id), *to = member(g, to_id);

    if (region != NULL) {
        f->bench = region->kind == KAP_REGION_KIND_BENCH;
        f->answer_days = region->answer_days;
        f->contact_days = region->contact_days;
        f->from_in_region = from != NULL && kap_member_serves_region(from, region);
        f->to_in_region = to != NULL && kap_member_serves_region(to, region);
    }
    f->to_known = to != NULL;
    f->internal = from != NULL && to != NULL && from->organisation.size > 0 &&
                  kap_span_eq(from->organisation, to->organisation);
}

/* --- referrals: targets --- */

/* A region's targets for times, from the most particular to the most general. */
typedef struct {
    bool from, to, service;
} target_key_t;

static const target_key_t target_keys[] = {
    {true, true, true},   {true, true, false},  {false, true, true},
    {false, true, false}, {false, false, true}, {false, false, false},
};

/* The row of a target, as if the event set it. */
static const kap_latest_object_t *target_row(judging_t *g, int target, const target_key_t *key)
{
    kap_value_t values[5] = {
        {.field = KAP_F_REGION, .kind = KAP_VALUE_SPAN, .s = span_of(g, KAP_F_REGION)},
        {.field = KAP_F_TARGET, .kind = KAP_VALUE_INT, .i = target}};
    kap_event_t set = {.type = KAP_EV_TARGET_SET, .source = g->ev->source, .values = values};
    kap_buf_t *text = kap_book_scratch(g->j->book);

    set.value_count = 2;
    if (key->from)
        values[set.value_count++] =
            (kap_value_t){.field = KAP_F_FROM, .kind = KAP_VALUE_SPAN, .s = span_of(g, KAP_F_FROM)};
    if (key->to)
        values[set.value_count++] =
            (kap_value_t){.field = KAP_F_TO, .kind = KAP_VALUE_SPAN, .s = span_of(g, KAP_F_TO)};
    if (key->service)
        values[set.value_count++] = (kap_value_t){.field = KAP_F_SERVICE,
                                                  .kind = KAP_VALUE_INT,
                                                  .i = kap_event_code(g->ev, KAP_F_SERVICE)};
    kap_followup_key(&set, text);
    return kap_book_latest(g->j->book, kap_buf_span(text));
}

/* Days of a target in force now, or `otherwise`. */
static uint16_t target_days(judging_t *g, int target, uint16_t otherwise)
{
    for (size_t i = 0; i < sizeof target_keys / sizeof target_keys[0]; i++) {
        const kap_latest_object_t *l = target_row(g, target, &target_keys[i]);
        if (l != NULL && l->o.known && l->latest.days > 0 && l->latest.days <= UINT16_MAX &&
            g->j->now >= l->latest.begins && g->j->now < l->latest.ends)
            return (uint16_t)l->latest.days;
    }
    return otherwise;
}

/* Has the region set any target? Most have not, and then nothing more is looked up. */
static bool has_targets(judging_t *g)
{
    kap_value_t value = {
        .field = KAP_F_REGION, .kind = KAP_VALUE_SPAN, .s = span_of(g, KAP_F_REGION)};
    kap_event_t set = {.type = KAP_EV_TARGET_SET, .values = &value, .value_count = 1};
    kap_name_t *region = kap_book_name(g->j->book, span_of(g, KAP_F_REGION));

    if (region == NULL || region->targets < 0)
        return false;
    kap_buf_t *text = kap_book_scratch(g->j->book);
    kap_followup_key(&set, text);
    /* type and region alone: without the lengths of the six fields that follow */
    kap_span_t prefix = kap_span_sub(kap_buf_span(text), 0, text->size - 12);
    return kap_book_has_latest(g->j->book, prefix, &region->targets);
}

static void facts_of_targets(judging_t *g, kap_referral_facts_t *f)
{
    if (!has_targets(g))
        return;
    f->answer_days = target_days(g, KAP_TARGET_ANSWER, f->answer_days);
    f->contact_days = target_days(g, KAP_TARGET_CONTACT, f->contact_days);
}

static void referral_facts(judging_t *g, const kap_referral_object_t *r, kap_span_t to,
                           kap_referral_facts_t *f)
{
    bool creates = g->ev->type == KAP_EV_REFERRAL_CREATED;

    *f = (kap_referral_facts_t){
        .is_sender = as(g, KAP_AS_SENDER),
        .is_recipient = as(g, KAP_AS_RECIPIENT),
        .is_operator = as(g, KAP_AS_OPERATOR),
        .is_broker = as(g, KAP_AS_BROKER),
        .archive = g->j->scope != 0,
        .root_created_at = KAP_REFERRAL_NO_TIME,
        .group = g->group,
        .group_count = g->group_count,
    };
    if (creates)
        facts_of_case(g, f);
    else
        f->root_created_at = r->row.r.root_created_at;
    if (g->j->scope != 0)
        return;
    const kap_member_t *recipient = kap_directory_member(g->j->dir, to);
    f->closures = recipient != NULL ? recipient->closures : NULL;
    f->recipient_is_authority = recipient != NULL && recipient->is_authority;
    if (!creates)
        return;
    facts_of_ends(g, kap_directory_region(g->j->dir, span_of(g, KAP_F_REGION)),
                  span_of(g, KAP_F_FROM), to, f);
    facts_of_targets(g, f);
}

/* --- referrals: what follows for the case --- */

static kap_spent_t since_start(int64_t started_at, int64_t accepted_at)
{
    if (accepted_at <= started_at)
        return (kap_spent_t){0, 0};
    return (kap_spent_t){kap_calendar_working_ms(started_at, accepted_at, NULL),
                         accepted_at - started_at};
}

/* The customer's clock of a case stops at its first accept and counts there; implied accepts are in
 * no percentile. */
static void set_customer(judging_t *g, kap_referral_object_t *r, const kap_case_object_t *c,
                         bool first)
{
    const kap_spent_t none = {KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    bool counts = first && !(r->row.r.implied & KAP_MILESTONE_ACCEPTED) &&
                  c->row.started_at != KAP_REFERRAL_NO_TIME;

    kap_book_touch(g->j->book, &r->o);
    r->row.customer = counts ? since_start(c->row.started_at, r->row.r.accepted_at) : none;
}

static void set_first_accept(judging_t *g, kap_case_object_t *c, kap_referral_object_t *first)
{
    kap_span_t old = c->row.first_accepted;

    if (old.size > 0 && (first == NULL || !kap_span_eq(old, first->o.id))) {
        kap_referral_object_t *was = kap_book_referral(g->j->book, g->j->scope, old);
        if (was != NULL)
            set_customer(g, was, c, false);
    }
    c->row.first_accepted = first != NULL ? first->o.id : nothing;
    c->row.first_accepted_at = first != NULL ? first->row.r.accepted_at : KAP_REFERRAL_NO_TIME;
    if (first != NULL)
        set_customer(g, first, c, true);
}

/* The next id of a case: those stored, then those of this batch. */
static bool next_id(const kap_case_object_t *c, kap_span_t *stored, uint32_t *added, kap_span_t *id)
{
    if (stored->size > 0)
        return kap_get_text(stored, id);
    if (*added == c->added_count)
        return false;
    *id = c->added[(*added)++];
    return true;
}

/* After a referral was cut out: which is the earliest root now, which the first accept. */
static void recount_case(judging_t *g, kap_case_object_t *c)
{
    kap_span_t stored = c->row.ids, id;
    uint32_t added = 0;
    kap_referral_object_t *first = NULL;

    c->row.started_at = KAP_REFERRAL_NO_TIME;
    while (next_id(c, &stored, &added, &id)) {
        kap_referral_object_t *r = kap_book_referral(g->j->book, g->j->scope, id), *p = r;
        if (r == NULL)
            return;
        if (r->row.r.state == KAP_STATE_VOIDED)
            continue;
        do { /* a child of a voided referral hangs on that one's parent */
            p = p->row.r.parent.size == 0
                    ? NULL
                    : kap_book_referral(g->j->book, g->j->scope, p->row.r.parent);
        } while (p != NULL && p->row.r.state == KAP_STATE_VOIDED);
        int64_t at = r->row.r.created_at, accepted = r->row.r.accepted_at;
        if (p == NULL && (c->row.started_at == KAP_REFERRAL_NO_TIME || at < c->row.started_at))
            c->row.started_at = at;
        if (accepted != KAP_REFERRAL_NO_TIME &&
            (first == NULL || accepted < first->row.r.accepted_at))
            first = r;
    }
    set_first_accept(g, c, first);
}

static void case_created(judging_t *g, kap_case_object_t *c, kap_referral_object_t *r)
{
    const kap_referral_t *s = &r->row.r;
    bool root = s->parent.size == 0;

    kap_book_touch(g->j->book, &c->o);
    c->o.known = true;
    kap_book_case_add(g->j->book, c, r->o.id);
    if (!root || (c->row.started_at != KAP_REFERRAL_NO_TIME && s->created_at >= c->row.started_at))
        return;
    c->row.started_at = s->created_at;
    if (c->row.first_accepted.size > 0) {
        kap_referral_object_t *first =
            kap_book_referral(g->j->book, g->j->scope, c->row.first_accepted);
        if (first != NULL)
            set_customer(g, first, c, true);
    }
}

/* Is it accepted before all others of its case? At the same time: the one that was created first,
 * as after a recount of the case. */
static bool accepts_first(judging_t *g, const kap_case_object_t *c, const kap_referral_object_t *r)
{
    if (c->row.first_accepted.size == 0 || r->row.r.accepted_at < c->row.first_accepted_at)
        return true;
    if (r->row.r.accepted_at > c->row.first_accepted_at)
        return false;
    const kap_referral_object_t *first =
        kap_book_referral(g->j->book, g->j->scope, c->row.first_accepted);
    return first != NULL && r->row.created_seq < first->row.created_seq;
}

static void update_case(judging_t *g, kap_referral_object_t *r, const kap_effects_t *fx)
{
    bool creates = g->ev->type == KAP_EV_REFERRAL_CREATED;
    bool accepts = (fx->reached & KAP_MILESTONE_ACCEPTED) != 0;

    if (!creates && !accepts && !fx->cut_out)
        return;
    kap_case_object_t *c = kap_book_case(g->j->book, g->j->scope, r->row.r.case_id);
    if (c == NULL)
        return;
    if (creates)
        case_created(g, c, r);
    bool first = accepts && accepts_first(g, c, r);
    if (!first && !fx->cut_out)
        return;
    kap_book_touch(g->j->book, &c->o);
    if (fx->cut_out)
        recount_case(g, c);
    else
        set_first_accept(g, c, r);
}

/* --- referrals --- */

/* 0, or why the region of a new referral cannot be. */
static int wrong_region(const judging_t *g)
{
    kap_span_t region = span_of(g, KAP_F_REGION);

    if (g->j->scope != 0)
        return kap_span_eq(region, g->j->archive) ? 0 : KAP_REFUSAL_ILLEGAL_ARCHIVE_UNKNOWN;
    return kap_directory_region(g->j->dir, region) != NULL ? 0 : KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN;
}

/* A refusal names the state to those only who may know it: the ends and the operator. */
static bool knows_state(const judging_t *g, const kap_referral_t *s)
{
    return as(g, KAP_AS_OPERATOR | KAP_AS_SPEAKER | KAP_AS_BROKER) ||
           kap_span_eq(g->publisher, s->from) || kap_span_eq(g->publisher, s->to);
}

/* What is shared goes to a member: nobody else has a stream to read it in. */
static bool shares_with_nobody(const judging_t *g)
{
    return g->ev->type == KAP_EV_REFERRAL_SHARED && g->j->scope == 0 &&
           member(g, span_of(g, KAP_F_WITH)) == NULL;
}

static void judge_referral(judging_t *g)
{
    bool creates = g->ev->type == KAP_EV_REFERRAL_CREATED;
    kap_referral_object_t *r =
        kap_book_referral(g->j->book, g->j->scope, span_of(g, KAP_F_REFERRAL));
    kap_referral_facts_t facts;
    kap_effects_t fx;

    if (r == NULL)
        return;
    kap_referral_t *s = &r->row.r;
    int why = creates ? wrong_region(g) : r->o.known ? 0 : KAP_REFUSAL_ILLEGAL_UNKNOWN_REFERRAL;
    if (why != 0) {
        refuse(g, why, KAP_F_NONE);
        return;
    }
    kap_span_t to = creates ? span_of(g, KAP_F_TO) : s->to;
    kap_access_facts_t access = {.from = creates ? span_of(g, KAP_F_FROM) : s->from,
                                 .to = to,
                                 .region = creates ? span_of(g, KAP_F_REGION) : s->region,
                                 .archive = g->j->scope != 0};
    bool allowed = may(g, &access);
    if (knows_state(g, s))
        g->out->state = s->state;
    if (!allowed)
        return;
    if (shares_with_nobody(g)) {
        refuse(g, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEMBER, KAP_F_WITH);
        return;
    }
    referral_facts(g, r, to, &facts);
    kap_book_guard(g->j->book, &r->o);
    g->out->verdict = (uint8_t)kap_referral_judge(r->o.known ? s : NULL, g->ev, &facts, g->j->now,
                                                  s, &fx, &g->out->why);
    if (g->out->verdict == KAP_VERDICT_REFUSED)
        return;
    g->out->referral = r;
    g->out->from = s->from;
    g->out->to = s->to;
    tell_effects(g, &fx, s->region, s->from, s->to);
    if (g->out->verdict != KAP_VERDICT_ACCEPTED)
        return;
    g->out->creates = creates;
    r->o.known = true;
    kap_book_touch(g->j->book, &r->o);
    update_case(g, r, &fx);
}

/* --- meetings --- */

/* Adds a member to a list, once; none that has no stream or was told already. */
static void tell_other(const judging_t *g, kap_span_t *list, kap_span_t id)
{
    kap_judged_t *out = g->out;

    if (kap_directory_member(g->j->dir, id) == NULL)
        return;
    for (size_t i = 0; i < sizeof out->tell / sizeof out->tell[0]; i++) {
        if (kap_span_eq(id, out->tell[i]))
            return;
    }
    for (uint32_t i = 0; i < out->other_count; i++) {
        if (kap_span_eq(id, list[i]))
            return;
    }
    list[out->other_count++] = id;
}

/* Members of the forum and those at the table. */
static void tell_others(judging_t *g, const kap_forum_t *forum, const kap_meeting_t *meeting)
{
    uint32_t members = forum != NULL ? forum->member_count : 0;
    uint32_t attendees = meeting != NULL ? meeting->attendee_count : 0;
    kap_span_t *list = kap_book_alloc(g->j->book, (members + attendees) * sizeof *list);

    if (list == NULL)
        return;
    g->out->others = list;
    for (uint32_t i = 0; i < members; i++)
        tell_other(g, list, forum->members[i]);
    for (uint32_t i = 0; i < attendees; i++)
        tell_other(g, list, meeting->attendees[i].member);
}

static void meeting_facts(const judging_t *g, kap_span_t region, kap_meeting_facts_t *f)
{
    *f = (kap_meeting_facts_t){
        .publisher = g->publisher,
        .is_coordinator = as(g, KAP_AS_COORDINATOR),
        .in_region = as(g, KAP_AS_PARTY),
        .region_known = kap_directory_region(g->j->dir, region) != NULL,
    };
}

static kap_span_t or_else(kap_span_t a, kap_span_t b)
{
    return a.size > 0 ? a : b;
}

static void judge_forum(judging_t *g)
{
    kap_forum_object_t *f = kap_book_forum(g->j->book, span_of(g, KAP_F_FORUM));
    kap_span_t region = span_of(g, KAP_F_REGION);
    kap_meeting_facts_t facts;
    kap_effects_t fx;

    if (f == NULL)
        return;
    kap_access_facts_t access = {.region = region, .owner = f->forum.owner};
    if (!may(g, &access))
        return;
    meeting_facts(g, region, &facts);
    kap_book_guard(g->j->book, &f->o);
    g->out->verdict = (uint8_t)kap_forum_judge(f->o.known ? &f->forum : NULL, g->ev, &facts,
                                               g->j->now, &f->forum, &fx, &g->out->why);
    if (g->out->verdict == KAP_VERDICT_REFUSED)
        return;
    tell_effects(g, &fx, region, g->publisher, nothing);
    tell_others(g, &f->forum, NULL);
    if (g->out->verdict == KAP_VERDICT_ACCEPTED) {
        f->o.known = true;
        kap_book_touch(g->j->book, &f->o);
    }
}

/* Events that only a known meeting can have; an unplanned one begins with `held` and its region. */
static bool needs_meeting(const judging_t *g)
{
    bool begins = g->ev->type == KAP_EV_MEETING_PLANNED ||
                  (g->ev->type == KAP_EV_MEETING_HELD && span_of(g, KAP_F_REGION).size > 0);

    return !begins;
}

static void judge_meeting(judging_t *g)
{
    kap_book_t *book = g->j->book;
    kap_meeting_object_t *m = kap_book_meeting(book, span_of(g, KAP_F_MEETING));
    kap_meeting_facts_t facts;
    kap_effects_t fx;

    if (m == NULL)
        return;
    if (!m->o.known && needs_meeting(g)) {
        refuse(g, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, KAP_F_MEETING);
        return;
    }
    kap_span_t forum_id = m->o.known ? m->meeting.forum : span_of(g, KAP_F_FORUM);
    kap_forum_object_t *f = forum_id.size > 0 ? kap_book_forum(book, forum_id) : NULL;
    bool has_forum = f != NULL && f->o.known;
    kap_span_t region = or_else(m->meeting.region, span_of(g, KAP_F_REGION));
    region = or_else(region, has_forum ? f->forum.region : nothing);
    kap_access_facts_t access = {.region = region,
                                 .owner = has_forum ? f->forum.owner : m->meeting.owner,
                                 .named = span_of(g, KAP_F_MEMBER)};
    if (!may(g, &access))
        return;
    meeting_facts(g, region, &facts);
    facts.forum_known = has_forum;
    facts.forum_owner = has_forum ? f->forum.owner : nothing;
    facts.forum_region = has_forum ? f->forum.region : nothing;
    facts.forum_members = has_forum ? f->forum.members : NULL;
    facts.forum_member_count = has_forum ? f->forum.member_count : 0;
    kap_book_guard(book, &m->o);
    g->out->verdict = (uint8_t)kap_meeting_judge(m->o.known ? &m->meeting : NULL, g->ev, &facts,
                                                 g->j->now, &m->meeting, &fx, &g->out->why);
    if (g->out->verdict == KAP_VERDICT_REFUSED)
        return;
    tell_effects(g, &fx, or_else(m->meeting.region, region), g->publisher, nothing);
    tell_others(g, has_forum ? &f->forum : NULL, &m->meeting);
    if (g->out->verdict == KAP_VERDICT_ACCEPTED) {
        m->o.known = true;
        kap_book_touch(book, &m->o);
    }
}

static void judge_action(judging_t *g)
{
    kap_book_t *book = g->j->book;
    kap_action_object_t *a = kap_book_action(book, span_of(g, KAP_F_ACTION));
    kap_meeting_facts_t facts;
    kap_effects_t fx;

    if (a == NULL)
        return;
    if (!a->o.known && g->ev->type == KAP_EV_ACTION_DONE) {
        refuse(g, KAP_REFUSAL_ILLEGAL_UNKNOWN_ACTION, KAP_F_ACTION);
        return;
    }
    kap_span_t meeting_id = a->o.known ? a->action.meeting : span_of(g, KAP_F_MEETING);
    kap_meeting_object_t *m = meeting_id.size > 0 ? kap_book_meeting(book, meeting_id) : NULL;
    if (m == NULL || !m->o.known) {
        refuse(g, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING, KAP_F_MEETING);
        return;
    }
    kap_forum_object_t *f =
        m->meeting.forum.size > 0 ? kap_book_forum(book, m->meeting.forum) : NULL;
    kap_span_t region = m->meeting.region, meeting_owner = m->meeting.owner;
    kap_span_t forum_owner = f != NULL && f->o.known ? f->forum.owner : nothing;
    bool owns_forum = kap_span_eq(g->publisher, forum_owner);
    kap_span_t named = a->o.known ? a->action.member : span_of(g, KAP_F_MEMBER);
    kap_access_facts_t access = {
        .region = region, .owner = owns_forum ? forum_owner : meeting_owner, .named = named};
    if (!may(g, &access))
        return;
    meeting_facts(g, region, &facts);
    facts.meeting_known = true;
    facts.meeting_owner = meeting_owner;
    facts.meeting_region = region;
    facts.forum_owner = forum_owner;
    kap_book_guard(book, &a->o);
    g->out->verdict = (uint8_t)kap_action_judge(a->o.known ? &a->action : NULL, g->ev, &facts,
                                                g->j->now, &a->action, &fx, &g->out->why);
    if (g->out->verdict == KAP_VERDICT_REFUSED)
        return;
    tell_effects(g, &fx, region, g->publisher, nothing);
    tell_others(g, NULL, &m->meeting);
    if (g->out->verdict == KAP_VERDICT_ACCEPTED) {
        a->o.known = true;
        kap_book_touch(book, &a->o);
    }
}

/* --- tallies and the follow-up model --- */

/* The row under which the last value of an event's key counts, as if it were of another type
 * where `type` says so; NULL: each event counts by itself. */
static kap_latest_object_t *latest(judging_t *g, kap_event_type_t type)
{
    kap_event_t ev = *g->ev;
    kap_buf_t *key = kap_book_scratch(g->j->book);

    ev.type = type;
    kap_followup_key(&ev, key);
    if (key->err != KAP_OK)
        kap_book_fail(g->j->book, key->err);
    return key->size == 0 ? NULL : kap_book_latest(g->j->book, kap_buf_span(key));
}

/* Start of a tally's period, in the cells' zone. */
static int64_t period_start(kap_span_t period)
{
    char text[16] = "0000-01-01";
    kap_date_t date;

    if (period.size < sizeof text)
        memcpy(text, period.data, period.size);
    if (kap_date_parse(kap_span_str(text), &date) != KAP_OK)
        return 0;
    return kap_day_start_ms(KAP_ZONE_HELSINKI, date);
}

static void followup_facts(judging_t *g, kap_span_t region, const kap_latest_object_t *asked,
                           kap_followup_facts_t *f)
{
    *f = (kap_followup_facts_t){
        .publisher = g->publisher,
        .is_coordinator = as(g, KAP_AS_COORDINATOR),
        .is_operator = as(g, KAP_AS_OPERATOR),
        .region_known = kap_directory_region(g->j->dir, region) != NULL,
        .in_region = as(g, KAP_AS_PARTY),
        .from_known = kap_directory_member(g->j->dir, span_of(g, KAP_F_FROM)) != NULL,
        .to_known = kap_directory_member(g->j->dir, span_of(g, KAP_F_TO)) != NULL,
    };
    if (asked != NULL) {
        f->asked = asked->o.known;
        f->given = asked->latest.given;
        f->asked_by = asked->latest.from;
        f->asked_of = asked->latest.to;
    }
    if (g->ev->type == KAP_EV_PLAN_ITEM_REPORTED) {
        const kap_latest_object_t *item = latest(g, KAP_EV_PLAN_ITEM_SET);
        f->item_known = item != NULL && item->o.known;
    }
}

static kap_latest_object_t *asked_statement(judging_t *g)
{
    bool statement = g->ev->type == KAP_EV_STATEMENT_ASKED || g->ev->type == KAP_EV_STATEMENT_GIVEN;

    return statement ? latest(g, KAP_EV_STATEMENT_ASKED) : NULL;
}

/* Start of the local day `days` after a date. */
static int64_t day_after(kap_span_t text, int days, int64_t otherwise)
{
    kap_date_t date;

    if (text.size == 0 || kap_date_parse(text, &date) != KAP_OK)
        return otherwise;
    return kap_day_start_ms(KAP_ZONE_HELSINKI, kap_date_add(date, days));
}

static void note_targets(judging_t *g, kap_span_t region)
{
    kap_name_t *name = kap_book_name(g->j->book, region);

    if (name != NULL)
        name->targets = 1;
}

static void keep_latest(judging_t *g, kap_latest_object_t *l, kap_span_t region, int64_t time)
{
    bool tally = g->ev->type == KAP_EV_HANDOVER_TALLIED;

    kap_book_touch(g->j->book, &l->o);
    l->latest = (kap_latest_t){
        .at = tally ? period_start(span_of(g, KAP_F_PERIOD)) : kap_followed_at(g->ev, time),
        .from = or_else(span_of(g, KAP_F_FROM), span_of(g, KAP_F_OWNER)),
        .to = span_of(g, KAP_F_TO),
        .region = region,
        .agreed = kap_event_bool(g->ev, KAP_F_AGREED),
        .kind = (int16_t)kap_event_code(g->ev, KAP_F_KIND),
        .begins = day_after(span_of(g, KAP_F_VALID_FROM), 0, INT64_MIN),
        .ends = day_after(span_of(g, KAP_F_VALID_TO), 1, INT64_MAX),
    };
    if (g->ev->type == KAP_EV_TARGET_SET) {
        l->latest.days = kap_event_int(g->ev, KAP_F_DAYS, 0);
        note_targets(g, region);
    }
    g->out->placed = &l->o;
    g->out->tallies = tally;
    l->o.known = true;
}

static void judge_followup(judging_t *g)
{
    kap_latest_object_t *asked = asked_statement(g), *l = latest(g, g->ev->type);
    bool given = g->ev->type == KAP_EV_STATEMENT_GIVEN;
    bool process = g->ev->type == KAP_EV_PROCESS_SET && l != NULL && l->o.known;
    kap_span_t region = given && asked != NULL ? asked->latest.region : span_of(g, KAP_F_REGION);
    kap_span_t from = given && asked != NULL ? asked->latest.from : span_of(g, KAP_F_FROM);
    kap_span_t to = given && asked != NULL ? asked->latest.to : span_of(g, KAP_F_TO);
    kap_followup_facts_t facts;
    kap_effects_t fx;

    if (given && (asked == NULL || !asked->o.known)) {
        refuse(g, KAP_REFUSAL_ILLEGAL_UNKNOWN_STATEMENT, KAP_F_STATEMENT);
        return;
    }
    kap_access_facts_t access = {.from = from,
                                 .to = to,
                                 .region = region,
                                 .owner = process ? l->latest.from : nothing,
                                 .named = or_else(span_of(g, KAP_F_MEMBER), g->publisher)};
    if (!may(g, &access))
        return;
    followup_facts(g, region, asked, &facts);
    facts.owner = process ? l->latest.from : nothing;
    g->out->verdict = (uint8_t)kap_followup_judge(g->ev, &facts, g->j->now, &fx, &g->out->why);
    if (g->out->verdict == KAP_VERDICT_REFUSED)
        return;
    g->out->from = from;
    g->out->to = to;
    tell_effects(g, &fx, region, g->publisher, to);
    if (given)
        tell(g, from);
    if (g->out->verdict != KAP_VERDICT_ACCEPTED)
        return;
    if (given) {
        kap_book_touch(g->j->book, &asked->o);
        asked->latest.given = true;
    }
    if (l != NULL)
        keep_latest(g, l, region, fx.time);
}

/* --- mesh and archives --- */

/* Who is followed and who follows are told. */
static void judge_succession(judging_t *g)
{
    kap_succeed_t named = {0};

    g->out->verdict =
        (uint8_t)kap_succeed_judge(g->j->book, g->j->dir, g->ev, &named, &g->out->why);
    kap_span_t *list = kap_book_alloc(g->j->book, (named.count + 1) * sizeof *list);
    if (list == NULL || g->out->verdict == KAP_VERDICT_REFUSED ||
        named.kind != KAP_SUCCEEDED_MEMBER)
        return;
    g->out->others = list;
    for (uint32_t i = 0; i < named.count; i++)
        tell_other(g, list, named.ids[i]);
}

static void judge_mesh(judging_t *g)
{
    kap_span_t id = span_of(g, KAP_F_REFERRAL), about = span_of(g, KAP_F_MEMBER);
    kap_referral_object_t *r = id.size > 0 ? kap_book_referral(g->j->book, 0, id) : NULL;
    kap_access_facts_t access = {.named = about};

    if (!may(g, &access))
        return;
    if (kap_succeed_kind(g->ev->type) != 0) {
        judge_succession(g);
        return;
    }
    g->out->verdict = KAP_VERDICT_ACCEPTED;
    if (r != NULL && r->o.known) {
        g->out->from = r->row.r.from;
        g->out->to = r->row.r.to;
        tell(g, r->row.r.from);
        tell(g, r->row.r.to);
    }
    if (about.size > 0 && kap_directory_member(g->j->dir, about) != NULL)
        tell(g, about);
}

static bool same_import(const judging_t *g, const kap_archive_t *a)
{
    return kap_span_eq(a->attribute, span_of(g, KAP_F_ATTRIBUTE)) &&
           kap_span_eq(a->options, span_of(g, KAP_F_OPTIONS)) &&
           kap_span_eq(kap_span(a->digest, sizeof a->digest), span_of(g, KAP_F_DIGEST));
}

static void open_archive(judging_t *g, kap_archive_object_t *a)
{
    kap_span_t name = span_of(g, KAP_F_REGION), digest = span_of(g, KAP_F_DIGEST);

    if (kap_directory_region(g->j->dir, name) != NULL) {
        refuse(g, KAP_REFUSAL_ILLEGAL_ARCHIVE_NAME, KAP_F_REGION);
        return;
    }
    bool mine = !a->o.known ||
                (kap_span_eq(a->archive.source, g->j->source) && same_import(g, &a->archive));
    bool free_to = g->j->scope == 0 || kap_span_eq(g->j->archive, name);
    if (!mine || !free_to) {
        refuse(g, KAP_REFUSAL_ILLEGAL_ARCHIVE_HOLDS_OTHER, KAP_F_REGION);
        return;
    }
    g->out->verdict = a->o.known ? KAP_VERDICT_ALREADY_SO : KAP_VERDICT_ACCEPTED;
    if (a->o.known)
        return;
    kap_book_touch(g->j->book, &a->o);
    a->o.known = true;
    a->archive = (kap_archive_t){.source = g->j->source,
                                 .attribute = span_of(g, KAP_F_ATTRIBUTE),
                                 .options = span_of(g, KAP_F_OPTIONS)};
    memcpy(a->archive.digest, digest.data, sizeof a->archive.digest);
    g->out->opens = true;
    g->out->placed = &a->o;
}

static void close_archive(judging_t *g, kap_archive_object_t *a)
{
    if (!a->o.known) {
        refuse(g, KAP_REFUSAL_ILLEGAL_ARCHIVE_UNKNOWN, KAP_F_REGION);
        return;
    }
    if (!kap_span_eq(a->archive.source, g->j->source)) {
        refuse(g, KAP_REFUSAL_ILLEGAL_ARCHIVE_HOLDS_OTHER, KAP_F_REGION);
        return;
    }
    bool closed = a->archive.closed_seq != 0;
    g->out->verdict = closed ? KAP_VERDICT_ALREADY_SO : KAP_VERDICT_ACCEPTED;
    if (closed)
        return;
    kap_book_touch(g->j->book, &a->o);
    g->out->closes = true;
    g->out->placed = &a->o;
}

static void judge_archive(judging_t *g)
{
    kap_span_t name = span_of(g, KAP_F_REGION);
    kap_archive_object_t *a = kap_book_archive(g->j->book, name);
    kap_access_facts_t access = {.region = name, .archive = true};

    if (a == NULL || !may(g, &access))
        return;
    if (g->ev->type == KAP_EV_ARCHIVE_OPENED)
        open_archive(g, a);
    else
        close_archive(g, a);
    if (g->out->verdict != KAP_VERDICT_REFUSED)
        g->out->region = name;
}

/* What fills an archive is its own kind of event, and only while it is open. */
static bool fits_scope(judging_t *g)
{
    if (g->j->scope == 0 || g->ev->family == KAP_FAMILY_ARCHIVE)
        return true;
    const kap_archive_object_t *a = kap_book_archive(g->j->book, g->j->archive);
    if (a != NULL && a->archive.closed_seq != 0)
        refuse(g, KAP_REFUSAL_ILLEGAL_ARCHIVE_CLOSED, KAP_F_NONE);
    else if (g->ev->family != KAP_FAMILY_REFERRAL)
        refuse(g, KAP_REFUSAL_ILLEGAL_ARCHIVE_UNKNOWN, KAP_F_NONE);
    else
        return true;
    return false;
}

/* 0, or what is wrong with the event whatever it says. */
static kap_refusal_t wrong_form(const judging_t *g)
{
    if (g->ev->type == KAP_EV_NONE)
        return g->ev->refusal;
    if (!g->j->recount && !kap_event_is_whole(g->ev))
        return (kap_refusal_t){KAP_REFUSAL_MALFORMED_PART_MISSING, KAP_F_NONE};
    return (kap_refusal_t){0};
}

void kap_judge_event(const kap_judge_t *judge, const kap_event_t *ev, const kap_event_t *group,
                     uint32_t group_count, kap_judged_t *out)
{
    judging_t g = {judge, ev, group, group_count, out, kap_followup_member(ev)};

    *out = (kap_judged_t){.as = out->as, .state = KAP_STATE_NONE, .verdict = KAP_VERDICT_REFUSED};
    out->why = wrong_form(&g);
    if (out->why.number != 0 || !fits_scope(&g))
        return;
    switch (ev->family) {
    case KAP_FAMILY_REFERRAL:
        judge_referral(&g);
        break;
    case KAP_FAMILY_TALLY:
    case KAP_FAMILY_FOLLOWUP:
        judge_followup(&g);
        break;
    case KAP_FAMILY_MEETING:
        if (ev->type == KAP_EV_FORUM_SET)
            judge_forum(&g);
        else if (ev->type == KAP_EV_ACTION_AGREED || ev->type == KAP_EV_ACTION_DONE)
            judge_action(&g);
        else
            judge_meeting(&g);
        break;
    case KAP_FAMILY_MESH:
        judge_mesh(&g);
        break;
    case KAP_FAMILY_ARCHIVE:
        judge_archive(&g);
        break;
    case KAP_FAMILY_NONE:
    case KAP_FAMILY_COUNT:
        refuse(&g, KAP_REFUSAL_MALFORMED_TYPE, KAP_F_NONE);
        break;
    }
    if (out->verdict != KAP_VERDICT_REFUSED) {
        out->why = (kap_refusal_t){0};
        out->state = KAP_STATE_NONE;
    }
}

/* --- after the verdict --- */

/* Number of a text of the directory; 0 when it is empty. */
static uint32_t number_of(const kap_judge_t *j, kap_span_t text)
{
    kap_name_t *name = text.size == 0 ? NULL : kap_book_name(j->book, text);

    return name == NULL ? 0 : kap_book_number(j->book, name);
}

/* Looked up once a directory. */
static uint32_t area_of(const kap_judge_t *j, kap_name_t *name)
{
    uint32_t directory = kap_book_directory(j->book);

    if (name->area_by != directory) {
        const kap_region_t *region = kap_directory_region(j->dir, name->text);
        name->area = region == NULL ? 0 : number_of(j, region->area);
        name->area_by = directory;
    }
    return name->area;
}

static uint32_t organisation_of(const kap_judge_t *j, kap_name_t *name)
{
    uint32_t directory = kap_book_directory(j->book);

    if (name->organisation_by != directory) {
        const kap_member_t *m = kap_directory_member(j->dir, name->text);
        name->organisation = m == NULL ? 0 : number_of(j, m->organisation);
        name->organisation_by = directory;
    }
    return name->organisation;
}

/* A tally counts as reported; the one it replaces counts no more. */
static void count_tally(const kap_judge_t *j, const kap_event_t *ev,
                        const kap_followed_place_t *replaced, const kap_latest_t *now)
{
    kap_name_t *region = kap_book_name(j->book, now->region);
    kap_name_t *from = kap_book_name(j->book, now->from), *to = kap_book_name(j->book, now->to);
    kap_count_change_t change = {0};
    int64_t count = kap_event_int(ev, KAP_F_COUNT, 0);

    if (region == NULL || from == NULL || to == NULL)
        return;
    kap_fact_init(&change.fact);
    change.key = (kap_cohort_key_t){.region = kap_book_number(j->book, region),
                                    .from = kap_book_number(j->book, from),
                                    .to = kap_book_number(j->book, to),
                                    .at = replaced->at,
                                    .seq = replaced->seq};
    change.fact.area = area_of(j, region);
    if (replaced->seq != 0)
        kap_book_figure(j->book, &change);
    if (count > 0)
        kap_figure_add(&change.fact.figures, KAP_FIGURE_REPORTED);
    change.fact.amount = (uint32_t)count;
    change.fact.breakdown[KAP_BREAKDOWN_SERVICE] =
        (uint16_t)(kap_event_code(ev, KAP_F_SERVICE) + 1);
    change.fact.breakdown[KAP_BREAKDOWN_SEGMENT] =
        (uint16_t)(kap_event_code(ev, KAP_F_SEGMENT) + 1);
    change.key.at = now->at;
    change.key.seq = now->log_seq;
    kap_book_figure(j->book, &change);
}

/* Where a new referral counts from now on. */
static void number_places(const kap_judge_t *j, kap_referral_object_t *r)
{
    kap_name_t *region = kap_book_name(j->book, r->row.r.region);
    kap_places_t *places = &r->row.places;

    if (r->from == NULL)
        r->from = kap_book_name(j->book, r->row.r.from);
    if (r->to == NULL)
        r->to = kap_book_name(j->book, r->row.r.to);
    if (region == NULL || r->from == NULL || r->to == NULL)
        return;
    places->region = kap_book_number(j->book, region);
    places->from = kap_book_number(j->book, r->from);
    places->to = kap_book_number(j->book, r->to);
    if (j->scope != 0)
        return;
    places->area = area_of(j, region);
    places->from_organisation = organisation_of(j, r->from);
    places->to_organisation = organisation_of(j, r->to);
}

/* A hashed id of an archive is shown by the name it stands for. */
static void keep_title(const kap_judge_t *j, const kap_event_t *ev, kap_field_t id,
                       kap_field_t name)
{
    kap_span_t title = kap_event_span(ev, name);

    if (j->scope != 0 && title.size > 0)
        kap_book_title(j->book, j->scope, kap_event_span(ev, id), title);
}

void kap_judge_placed(const kap_judge_t *j, const kap_event_t *ev, const kap_judged_t *judged,
                      uint64_t log_seq)
{
    kap_follow_placed(j, ev, judged, log_seq);
    if (judged->creates) {
        judged->referral->row.created_seq = log_seq;
        number_places(j, judged->referral);
        keep_title(j, ev, KAP_F_FROM, KAP_F_FROM_NAME);
        keep_title(j, ev, KAP_F_TO, KAP_F_TO_NAME);
        keep_title(j, ev, KAP_F_CASE, KAP_F_CASE_NAME);
    }
    if (kap_succeed_kind(ev->type) != 0)
        kap_succeed_placed(j->book, ev);
    if (judged->opens)
        ((kap_archive_object_t *)judged->placed)->archive.opened_seq = log_seq;
    else if (judged->closes)
        ((kap_archive_object_t *)judged->placed)->archive.closed_seq = log_seq;
    else if (judged->placed != NULL) {
        kap_latest_object_t *l = (kap_latest_object_t *)judged->placed;
        l->latest.log_seq = log_seq;
        if (judged->tallies) {
            count_tally(j, ev, &l->followed, &l->latest);
            l->followed = (kap_followed_place_t){l->latest.at, log_seq};
        }
    }
}
