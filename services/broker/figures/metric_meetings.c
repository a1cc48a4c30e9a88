/* SPDX-License-Identifier: MPL-2.0 */
/* Metric 17: meetings of the window, who was there, what arose in them, the forums' clock against
 * what was held, and the targets of the years that the window touches. */
#include <stdlib.h>

#include "clock.h"
#include "codes.h"
#include "err.h"
#include "metric_own.h"
#include "recurrence.h"

enum {
    OCCURRENCES_MAX = 1000, /* of one forum in one window */
    AHEAD_DAYS = 366,       /* how far an open window looks ahead */
    PAIR_MEMBERS_MAX = 400, /* a guess: members of a region whose pairs are told */
};

/* What is counted, also by kind of forum. */
enum {
    PLANNED, /* ever planned */
    OPEN,    /* and neither held nor cancelled yet */
    HELD,
    UNPLANNED, /* held without a plan */
    CANCELLED,
    MOVED,
    OVER, /* planned and over: what adherence is a share of */
    ADHERED,
    INVITED, /* of held ones: members invited, and those of them who were there */
    CAME,
    GUESTS, /* there without an invitation */
    COUNTS
};

/* Of one member. */
enum { M_INVITED, M_CAME, M_GUEST, M_CONFIRMED, M_DENIED };

typedef struct {
    const kap_metric_at_t *at;
    const kap_metric_query_t *query;
    const kap_succession_t *succession;
    uint32_t region; /* in hand: that of the rows */
    int err;         /* first error of what returns none */
    int64_t sums[COUNTS];
    uint64_t confirmed, denied, visits, seminars;
    uint64_t referrals, leads, actions, actions_done;
    uint64_t visit_referrals, visit_actions, visit_done;
    kap_tallies_t kinds, members, forums;
    bool visit; /* what is being walked arose in a joint visit */
} meetings_t;

/* --- one meeting --- */

/* Its own kind, else that of its forum. */
static int kind_of(const meetings_t *g, const kap_meeting_t *m, kap_span_t *kind)
{
    kap_forum_t forum;

    *kind = m->kind;
    if (kind->size > 0 || m->forum.size == 0)
        return KAP_OK;
    int rc = kap_rows_forum(g->at->txn, m->forum, &forum);
    if (rc == KAP_OK)
        *kind = forum.kind;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static bool is_kind(kap_span_t kind, int code)
{
    return kap_code_parse(KAP_LIST_FORUM, kind) == code;
}

/* The member that stands in its place, as the view has it. */
static kap_span_t today(meetings_t *g, kap_span_t member)
{
    kap_span_t id = member;
    int rc = kap_own_member(g->at, g->succession, g->region, member, &id);

    if (rc != KAP_OK && g->err == KAP_OK)
        g->err = rc;
    return id;
}

/* One at a meeting, as the view has it. */
typedef struct {
    kap_span_t member;
    bool invited, there, confirmed, denied;
} guest_t;

/* Everybody of a meeting; those who stand in one place today are one. */
static uint32_t guests_of(meetings_t *g, const kap_meeting_t *m, guest_t out[KAP_MEETING_MEMBERS])
{
    uint32_t count = 0, at;

    for (uint32_t i = 0; i < m->attendee_count; i++) {
        const kap_attendee_t *a = &m->attendees[i];
        kap_span_t member = today(g, a->member);
        for (at = g->succession == NULL ? count : 0;
             at < count && !kap_span_eq(out[at].member, member); at++)
            ;
        if (at == count)
            out[count++] = (guest_t){.member = member};
        out[at].invited |= (a->marks & KAP_ATTENDEE_INVITED) != 0;
        out[at].there |= kap_attendee_was_there(a);
        out[at].confirmed |= (a->marks & KAP_ATTENDEE_CONFIRMED) != 0;
        out[at].denied |= (a->marks & KAP_ATTENDEE_DENIED) != 0;
    }
    return count;
}

static bool of_organisation(const meetings_t *g, kap_span_t member)
{
    const kap_member_t *m = kap_directory_member(g->at->dir, member);

    return m != NULL && kap_span_eq(m->organisation, g->query->what.scope.organisation);
}

/* Is a member (of today) meant, when the scope is one of members? */
static bool is_meant(const meetings_t *g, kap_span_t member)
{
    const kap_scope_t *scope = &g->query->what.scope;

    if (scope->kind == KAP_SCOPE_MEMBER)
        return kap_span_eq(member, scope->member);
    return scope->kind != KAP_SCOPE_ORGANISATION || of_organisation(g, member);
}

/* Were both ends of the scope's edge there? */
static bool both_met(const meetings_t *g, const guest_t *guests, uint32_t count)
{
    const kap_scope_t *scope = &g->query->what.scope;
    bool from = false, to = false;

    for (uint32_t i = 0; i < count; i++) {
        from |= guests[i].there && kap_span_eq(guests[i].member, scope->from);
        to |= guests[i].there && kap_span_eq(guests[i].member, scope->to);
    }
    return from && to;
}

/* Is the meeting in the scope? A member's: it was invited or there; an edge's: both were there. */
static bool concerns(const meetings_t *g, const guest_t *guests, uint32_t count)
{
    const kap_scope_t *scope = &g->query->what.scope;

    if (scope->kind == KAP_SCOPE_EDGE)
        return both_met(g, guests, count);
    if (scope->kind != KAP_SCOPE_MEMBER && scope->kind != KAP_SCOPE_ORGANISATION)
        return true;
    for (uint32_t i = 0; i < count; i++) {
        if (is_meant(g, guests[i].member))
            return true;
    }
    return false;
}

/* What a meeting adds to the counts of all meetings and of its kind. A plan is over when it was
 * held or cancelled, or its day has passed. */
static void count_meeting(const kap_meeting_t *m, int64_t now, int64_t v[COUNTS])
{
    bool planned = !m->unplanned, open = m->state == KAP_MEETING_PLANNED;

    v[PLANNED] += planned;
    v[OPEN] += open;
    v[HELD] += m->state == KAP_MEETING_HELD;
    v[UNPLANNED] += m->unplanned;
    v[CANCELLED] += m->state == KAP_MEETING_CANCELLED;
    v[MOVED] += m->moves > 0;
    v[OVER] += planned && (!open || m->planned_at < now);
    v[ADHERED] += planned && kap_meeting_adheres(m);
}

static void count_member(meetings_t *g, const guest_t *guest)
{
    kap_tally_t *row = kap_tally(&g->members, guest->member, kap_span("", 0), 0, 0, 0, 0);

    if (row == NULL)
        return;
    row->v[M_INVITED] += guest->invited;
    row->v[M_CAME] += guest->invited && guest->there;
    row->v[M_GUEST] += !guest->invited && guest->there;
    row->v[M_CONFIRMED] += guest->confirmed;
    row->v[M_DENIED] += guest->denied;
}

/* Who was there, of a meeting that was held. */
static void count_attendance(meetings_t *g, const guest_t *guests, uint32_t count,
                             int64_t v[COUNTS])
{
    for (uint32_t i = 0; i < count; i++) {
        const guest_t *guest = &guests[i];
        if (!is_meant(g, guest->member))
            continue;
        v[INVITED] += guest->invited;
        v[CAME] += guest->invited && guest->there;
        v[GUESTS] += !guest->invited && guest->there;
        g->confirmed += guest->confirmed;
        g->denied += guest->denied;
        count_member(g, guest);
    }
}

static int add_referral(void *arg, const kap_referral_row_t *row)
{
    meetings_t *g = arg;

    g->referrals++;
    g->leads += row->r.kind == KAP_KIND_LEAD;
    g->visit_referrals += g->visit;
    return KAP_OK;
}

static int add_action(void *arg, kap_span_t id, const kap_action_t *action)
{
    meetings_t *g = arg;

    (void)id;
    g->actions++;
    g->actions_done += action->done;
    g->visit_actions += g->visit;
    g->visit_done += g->visit && action->done;
    return KAP_OK;
}

static int add_meeting(void *arg, kap_span_t id, const kap_meeting_t *m)
{
    meetings_t *g = arg;
    int64_t v[COUNTS] = {0};
    guest_t guests[KAP_MEETING_MEMBERS];
    uint32_t count = guests_of(g, m, guests);
    kap_span_t kind;
    bool held = m->state == KAP_MEETING_HELD;

    if (!concerns(g, guests, count))
        return g->err;
    int rc = kind_of(g, m, &kind);
    count_meeting(m, g->query->now, v);
    if (held)
        count_attendance(g, guests, count, v);
    g->visit = held && is_kind(kind, KAP_FORUM_JOINT_VISIT);
    g->visits += g->visit;
    g->seminars += held && is_kind(kind, KAP_FORUM_SEMINAR);
    if (rc == KAP_OK && held)
        rc = kap_followed_referrals(g->at->txn, g->region, id, add_referral, g);
    if (rc == KAP_OK && held)
        rc = kap_followed_actions(g->at->txn, g->region, id, add_action, g);
    kap_tally_t *by_kind = kap_tally(&g->kinds, kind, kap_span("", 0), 0, 0, 0, 0);
    kap_tally_t *by_forum = kap_tally(&g->forums, m->forum, kap_span("", 0), 0, 0, 0, 0);
    if (rc == KAP_OK && (by_kind == NULL || by_forum == NULL))
        rc = KAP_E_NOMEM;
    for (int i = 0; rc == KAP_OK && i < COUNTS; i++) {
        g->sums[i] += v[i];
        by_kind->v[i] += v[i];
        by_forum->v[i] += v[i];
    }
    return rc;
}

/* Meetings of a region in a range. */
static int gather(meetings_t *g, const kap_followed_range_t *range)
{
    g->region = range->region;
    int rc = kap_followed_meetings(g->at->txn, range, add_meeting, g);
    return rc != KAP_OK ? rc : g->err;
}

static void start(meetings_t *g, const kap_metric_at_t *at, const kap_metric_query_t *query,
                  const kap_succession_t *succession)
{
    kap_tallies_t none = {.arena = at->arena};

    *g = (meetings_t){.at = at,
                      .query = query,
                      .succession = succession,
                      .kinds = none,
                      .members = none,
                      .forums = none};
}

/* --- what the meetings come to --- */

static uint64_t sum_of(const int64_t v[COUNTS], int what)
{
    return (uint64_t)v[what];
}

static void put_sums(const meetings_t *g, kap_metric_values_t *values)
{
    static const struct {
        int what;
        const char *wire;
    } counts[] = {{PLANNED, "planned"},     {OPEN, "open"},           {HELD, "held"},
                  {UNPLANNED, "unplanned"}, {CANCELLED, "cancelled"}, {MOVED, "moved"},
                  {GUESTS, "guests"}};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        kap_metric_put_count(values, counts[i].wire, sum_of(g->sums, counts[i].what));
    kap_metric_put_rate(values, "adherence", sum_of(g->sums, ADHERED), sum_of(g->sums, OVER));
    kap_metric_put_rate(values, "participation", sum_of(g->sums, CAME), sum_of(g->sums, INVITED));
    kap_metric_put_count(values, "confirmed", g->confirmed);
    kap_metric_put_count(values, "denied", g->denied);
    kap_metric_put_count(values, "referrals", g->referrals);
    kap_metric_put_count(values, "leads", g->leads);
    kap_metric_put_rate(values, "actions", g->actions_done, g->actions);
    kap_metric_put_count(values, "joint_visits", g->visits);
    kap_metric_put_count(values, "visit_referrals", g->visit_referrals);
    kap_metric_put_rate(values, "visit_actions", g->visit_done, g->visit_actions);
    kap_metric_put_count(values, "seminars", g->seminars);
}

static void put_kinds(meetings_t *g, kap_metric_values_t *values)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&g->kinds);
    for (size_t i = 0; i < g->kinds.count; i++) {
        const kap_tally_t *row = g->kinds.rows[i];
        kap_buf_t *item = kap_metric_item(&list, 9);
        if (item == NULL)
            continue;
        kap_own_text(item, "forum_kind", row->a);
        kap_metric_number(item, "planned", sum_of(row->v, PLANNED));
        kap_metric_number(item, "open", sum_of(row->v, OPEN));
        kap_metric_number(item, "held", sum_of(row->v, HELD));
        kap_metric_number(item, "unplanned", sum_of(row->v, UNPLANNED));
        kap_metric_number(item, "cancelled", sum_of(row->v, CANCELLED));
        kap_metric_number(item, "moved", sum_of(row->v, MOVED));
        kap_metric_rate(item, "adherence", sum_of(row->v, ADHERED), sum_of(row->v, OVER));
        kap_metric_rate(item, "participation", sum_of(row->v, CAME), sum_of(row->v, INVITED));
    }
    kap_metric_put_list(values, "kinds", &list);
}

static int put_members(meetings_t *g, kap_metric_values_t *values)
{
    kap_metric_list_t list = {0};
    int rc = g->members.err;

    kap_tally_sort(&g->members);
    for (size_t i = 0; rc == KAP_OK && i < g->members.count; i++) {
        const kap_tally_t *row = g->members.rows[i];
        kap_buf_t *item = kap_metric_item(&list, 7);
        if (item == NULL)
            continue;
        rc = kap_metric_member(g->at, &g->query->what.scope, item, "member", row->a);
        kap_metric_number(item, "invited", (uint64_t)row->v[M_INVITED]);
        kap_metric_number(item, "came", (uint64_t)row->v[M_CAME]);
        kap_metric_number(item, "guest", (uint64_t)row->v[M_GUEST]);
        kap_metric_number(item, "confirmed", (uint64_t)row->v[M_CONFIRMED]);
        kap_metric_number(item, "denied", (uint64_t)row->v[M_DENIED]);
    }
    kap_metric_put_list(values, "members", &list);
    return rc;
}

/* --- when each two last met --- */

typedef struct {
    meetings_t *g;
    const kap_region_t *region; /* of the directory */
    kap_tallies_t pairs;        /* a < b; v: met in the window, when last */
    int64_t from_ms;
} pairs_t;

enum { MET, LAST_MET, EVER_MET };

static bool in_region(const pairs_t *p, kap_span_t member)
{
    const kap_member_t *m = kap_directory_member(p->g->at->dir, member);

    return m != NULL && kap_member_in_region(m, p->region);
}

/* Are pairs of these two asked for? */
static bool is_asked(const pairs_t *p, kap_span_t a, kap_span_t b)
{
    const kap_scope_t *scope = &p->g->query->what.scope;

    if (scope->kind == KAP_SCOPE_EDGE)
        return (kap_span_eq(a, scope->from) && kap_span_eq(b, scope->to)) ||
               (kap_span_eq(a, scope->to) && kap_span_eq(b, scope->from));
    return scope->kind != KAP_SCOPE_MEMBER || kap_span_eq(a, scope->member) ||
           kap_span_eq(b, scope->member);
}

static kap_tally_t *pair_of(pairs_t *p, kap_span_t a, kap_span_t b)
{
    bool turned = kap_span_cmp(a, b) > 0;

    return kap_tally(&p->pairs, turned ? b : a, turned ? a : b, 0, 0, 0, 0);
}

/* Those who act in the region, each two of them: met or not. */
static int begin_pairs(pairs_t *p)
{
    const kap_directory_t *dir = p->g->at->dir;
    const kap_member_t *acting[PAIR_MEMBERS_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < kap_directory_member_count(dir) && count < PAIR_MEMBERS_MAX; i++) {
        const kap_member_t *m = kap_directory_member_at(dir, i);
        if (kap_member_in_region(m, p->region) && kap_member_valid(m, p->g->query->now))
            acting[count++] = m;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (is_asked(p, acting[i]->id, acting[j]->id) &&
                pair_of(p, acting[i]->id, acting[j]->id) == NULL)
                return KAP_E_NOMEM;
        }
    }
    return KAP_OK;
}

static void meet(pairs_t *p, kap_span_t a, kap_span_t b, int64_t at)
{
    kap_tally_t *pair = is_asked(p, a, b) ? pair_of(p, a, b) : NULL;

    if (pair == NULL)
        return;
    pair->v[MET] += at >= p->from_ms;
    if (!pair->v[EVER_MET] || at > pair->v[LAST_MET])
        pair->v[LAST_MET] = at;
    pair->v[EVER_MET] = 1;
}

static int add_pairs(void *arg, kap_span_t id, const kap_meeting_t *m)
{
    pairs_t *p = arg;
    guest_t guests[KAP_MEETING_MEMBERS];
    uint32_t count = m->state == KAP_MEETING_HELD ? guests_of(p->g, m, guests) : 0;

    (void)id;
    for (uint32_t i = 0; i < count; i++)
        guests[i].there = guests[i].there && in_region(p, guests[i].member);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = i + 1; j < count; j++) {
            if (guests[i].there && guests[j].there)
                meet(p, guests[i].member, guests[j].member, m->held_at);
        }
    }
    return p->pairs.err != KAP_OK ? p->pairs.err : p->g->err;
}

static int put_pairs(pairs_t *p, int64_t until, kap_metric_values_t *values)
{
    const kap_scope_t *scope = &p->g->query->what.scope;
    int32_t day = kap_days_of(KAP_ZONE_HELSINKI, until);
    kap_metric_list_t list = {0};
    int rc = KAP_OK;

    kap_tally_sort(&p->pairs);
    for (size_t i = 0; rc == KAP_OK && i < p->pairs.count; i++) {
        const kap_tally_t *pair = p->pairs.rows[i];
        kap_buf_t *item = kap_metric_item(&list, 6);
        if (item == NULL)
            continue;
        rc = kap_metric_member(p->g->at, scope, item, "a", pair->a);
        if (rc == KAP_OK)
            rc = kap_metric_member(p->g->at, scope, item, "b", pair->b);
        kap_metric_number(item, "met", (uint64_t)pair->v[MET]);
        if (!pair->v[EVER_MET]) {
            kap_metric_instant(item, "days", KAP_REFERRAL_NO_TIME);
            continue;
        }
        kap_metric_number(item, "days",
                          (uint64_t)(day - kap_days_of(KAP_ZONE_HELSINKI, pair->v[LAST_MET])));
    }
    kap_metric_put_list(values, "pairs", &list);
    return rc;
}

/* Days from the last meeting of each two up to the end of the window, or now: O(the region's
 * meetings so far). `places`: the regions whose rows are this one's. */
static int tell_pairs(meetings_t *g, const kap_region_t *region, const kap_tallies_t *places,
                      kap_metric_values_t *values)
{
    const kap_window_t *window = &g->query->what.window;
    int64_t until = window->to_ms <= g->query->now ? window->to_ms - 1 : g->query->now;
    kap_followed_range_t so_far = {.from_ms = INT64_MIN, .to_ms = until + 1};
    pairs_t p = {
        .g = g, .region = region, .pairs = {.arena = g->at->arena}, .from_ms = window->from_ms};
    int rc = begin_pairs(&p);

    for (size_t i = 0; rc == KAP_OK && i < places->count; i++) {
        so_far.region = g->region = (uint32_t)places->rows[i]->k[0];
        rc = kap_followed_meetings(g->at->txn, &so_far, add_pairs, &p);
    }
    return rc != KAP_OK ? rc : put_pairs(&p, until, values);
}

/* --- the forums' clock --- */

/* The year's wheel: what every forum's rule or dates say, against what was held. */
typedef struct {
    meetings_t *g;
    kap_metric_list_t list;
    int64_t from_ms, to_ms, now;
    uint64_t expected, due;
} wheel_t;

/* Start of a forum's rule: "YYYY-MM-DDThh:mm". */
static bool rule_start(const kap_forum_t *forum, kap_date_t *date, int32_t *time_ms)
{
    const uint8_t *t = forum->starts.data;

    if (forum->starts.size < 16 ||
        kap_date_parse(kap_span_sub(forum->starts, 0, 10), date) != KAP_OK)
        return false;
    *time_ms = ((t[11] - '0') * 10 + (t[12] - '0')) * (int32_t)KAP_HOUR_MS +
               ((t[14] - '0') * 10 + (t[15] - '0')) * (int32_t)KAP_MINUTE_MS;
    return true;
}

/* Occurrences of a forum in [from_ms, to_ms), by its rule or its dates. */
static int expect(const kap_metric_at_t *at, const kap_forum_t *forum, int64_t from_ms,
                  int64_t to_ms, int64_t out[OCCURRENCES_MAX], size_t *count)
{
    kap_date_t date;
    int32_t time_ms;

    *count = 0;
    for (uint32_t i = 0; i < forum->date_count; i++) {
        if (kap_date_parse(forum->dates[i], &date) != KAP_OK)
            return KAP_E_CORRUPT;
        int64_t day = kap_day_start_ms(KAP_ZONE_HELSINKI, date);
        if (day >= from_ms && day < to_ms)
            out[(*count)++] = day;
    }
    if (forum->rrule.size == 0 || !rule_start(forum, &date, &time_ms) || from_ms >= to_ms)
        return KAP_OK;
    const char *rule = kap_arena_str(at->arena, forum->rrule);
    if (rule == NULL)
        return KAP_E_NOMEM;
    int rc = kap_recurrence_expand(rule, KAP_ZONE_HELSINKI, date, time_ms, from_ms, to_ms, out,
                                   OCCURRENCES_MAX, count);
    return rc == KAP_E_LIMIT ? KAP_OK : rc;
}

static void put_forum(wheel_t *c, kap_span_t id, const kap_forum_t *forum, uint64_t expected,
                      uint64_t due)
{
    const kap_tally_t *row = kap_tally(&c->g->forums, id, kap_span("", 0), 0, 0, 0, 0);
    kap_buf_t *item = row == NULL ? NULL : kap_metric_item(&c->list, 9);

    if (item == NULL)
        return;
    kap_metric_text(item, "forum", id);
    kap_own_text(item, "name", forum->name);
    kap_own_text(item, "forum_kind", forum->kind);
    kap_metric_number(item, "expected", expected);
    kap_metric_number(item, "due", due);
    kap_metric_number(item, "held", sum_of(row->v, HELD));
    kap_metric_number(item, "cancelled", sum_of(row->v, CANCELLED));
    kap_metric_rate(item, "adherence", sum_of(row->v, ADHERED), sum_of(row->v, OVER));
    if (forum->yearly_target > 0)
        kap_metric_number(item, "yearly_target", forum->yearly_target);
    else
        kap_own_nil(item, "yearly_target");
}

/* A forum that ended expects nothing from then on. */
static int add_forum(void *arg, kap_span_t id, const kap_forum_t *forum)
{
    wheel_t *c = arg;
    int64_t to_ms = forum->ended && forum->set_at < c->to_ms ? forum->set_at : c->to_ms;
    int64_t *at = kap_arena_alloc(c->g->at->arena, OCCURRENCES_MAX * sizeof *at);
    uint64_t due = 0;
    size_t count;

    if (at == NULL)
        return KAP_E_NOMEM;
    int rc = expect(c->g->at, forum, c->from_ms, to_ms, at, &count);
    for (size_t i = 0; rc == KAP_OK && i < count; i++)
        due += at[i] < c->now;
    if (rc != KAP_OK)
        return rc;
    c->expected += count;
    c->due += due;
    put_forum(c, id, forum, count, due);
    return c->g->forums.err;
}

/* Occurrences of all forums of the region in the range. */
static int tell_clock(wheel_t *c, const kap_followed_range_t *range)
{
    int64_t ahead = c->now + AHEAD_DAYS * KAP_DAY_MS;

    c->from_ms = range->from_ms < KAP_TIME_MIN ? KAP_TIME_MIN : range->from_ms;
    c->to_ms = range->to_ms > ahead ? ahead : range->to_ms;
    return kap_followed_forums(c->g->at->txn, range->region, add_forum, c);
}

/* --- targets --- */

/* What a target of a year says, and what became of it so far. */
typedef struct {
    const kap_metric_at_t *at;
    const kap_metric_query_t *query;
    const kap_succession_t *succession;
    const kap_own_region_t *region;
    const kap_followed_range_t *range;
    kap_tallies_t targets; /* of the region: k target, year; a forum; text[0] its value */
    kap_tallies_t told;    /* of the scope: k year, target; a forum */
    meetings_t year;       /* meetings of the year in hand */
} targets_t;

enum { T_REGIONS, T_REACHED, T_VALUE, T_DONE };

/* Those for all of the region or one forum: what is for single edges or services is not told here.
 */
static int add_target(void *arg, const kap_followed_target_t *target)
{
    targets_t *t = arg;

    if (target->from.size > 0 || target->to.size > 0 || target->service >= 0)
        return KAP_OK;
    kap_tally_t *row =
        kap_tally(&t->targets, target->forum, kap_span("", 0), target->target, target->year, 0, 0);
    if (row == NULL)
        return KAP_E_NOMEM;
    row->text[0] = target->value;
    row->v[0] = target->valid_from;
    row->v[1] = target->valid_to;
    return KAP_OK;
}

/* A target of every year gives way to one of this year, and holds while it is valid. */
static bool holds(targets_t *t, const kap_tally_t *target, int year)
{
    kap_followed_range_t range = kap_own_years_range(t->range, year, year);

    if (target->k[1] != 0)
        return target->k[1] == year;
    for (size_t i = 0; i < t->targets.count; i++) {
        const kap_tally_t *other = t->targets.rows[i];
        if (other->k[0] == target->k[0] && other->k[1] == year && kap_span_eq(other->a, target->a))
            return false;
    }
    return target->v[0] < range.to_ms && target->v[1] > range.from_ms;
}

static int add_count(void *arg, const kap_followed_count_t *count)
{
    *(int64_t *)arg += (int64_t)count->count;
    return KAP_OK;
}

/* The mean on the scale that the target is on, in thousandths. */
static int feedback_of(targets_t *t, int year, int64_t value_milli, int64_t *done)
{
    kap_sum_query_t what = t->query->what;
    int scale = value_milli > 4000 ? 5 : 4;
    uint64_t n = 0;
    int64_t sum = 0;

    what.scope = (kap_scope_t){
        .kind = KAP_SCOPE_REGION, .region = t->region->id, .region_number = t->range->region};
    what.breakdown = what.breakdown2 = KAP_BREAKDOWN_NONE;
    kap_window_year(&what.window, KAP_ZONE_HELSINKI, year);
    int rc = kap_own_feedback(t->at, &what, scale, &n, &sum);
    if (rc == KAP_OK)
        rc = kap_own_answers(t->at, t->range->region, year, year, scale, &n, &sum);
    *done = n == 0 ? -1 : sum / (int64_t)n;
    return rc;
}

static int plans_of(targets_t *t, int year, int64_t *done)
{
    uint64_t items, reached;
    int rc = kap_own_plans(t->at, t->range, year, &items, &reached);

    *done = items == 0 ? -1 : (int64_t)(reached * 100000 / items);
    return rc;
}

static int64_t held_of(targets_t *t, kap_span_t forum)
{
    const kap_tally_t *row = kap_tally(&t->year.forums, forum, kap_span("", 0), 0, 0, 0, 0);

    return forum.size == 0 ? t->year.sums[HELD] : row == NULL ? 0 : row->v[HELD];
}

/* How far the year came, in thousandths of what the target counts; -1: nothing to tell it by. */
static int done_of(targets_t *t, const kap_tally_t *target, int year, int64_t value, int64_t *done)
{
    kap_followed_range_t range = kap_own_years_range(t->range, year, year);
    const meetings_t *m = &t->year;
    int rc = KAP_OK;

    *done = 0;
    switch (target->k[0]) {
    case KAP_TARGET_JOINT_VISITS:
        *done = (int64_t)m->visits;
        break;
    case KAP_TARGET_LEADS:
        *done = (int64_t)m->visit_referrals;
        break;
    case KAP_TARGET_ACTIONS:
        *done = (int64_t)m->visit_actions;
        break;
    case KAP_TARGET_SEMINARS:
        *done = (int64_t)m->seminars;
        break;
    case KAP_TARGET_MEETINGS:
        *done = held_of(t, target->a);
        break;
    case KAP_TARGET_NEW_CUSTOMERS:
        rc = kap_followed_counts(t->at->txn, KAP_FOLLOWED_NEW_CUSTOMER, &range, add_count, done);
        break;
    case KAP_TARGET_PLANS:
        return plans_of(t, year, done);
    default:
        return feedback_of(t, year, value, done);
    }
    *done *= 1000;
    return rc;
}

static bool is_share(int target)
{
    return target == KAP_TARGET_PLANS || target == KAP_TARGET_FEEDBACK;
}

static int tell_target(targets_t *t, const kap_tally_t *target, int year)
{
    int64_t value = 0, done = 0;

    if (!kap_decimal_milli(target->text[0], &value))
        return KAP_OK; /* too large for anything that is counted */
    int rc = done_of(t, target, year, value, &done);
    kap_tally_t *row = kap_tally(&t->told, target->a, kap_span("", 0), year, target->k[0], 0, 0);
    if (rc != KAP_OK || row == NULL)
        return rc != KAP_OK ? rc : KAP_E_NOMEM;
    row->v[T_REGIONS]++;
    row->v[T_REACHED] += done >= value;
    row->v[T_VALUE] += value;
    row->v[T_DONE] = done < 0 || row->v[T_DONE] < 0 ? -1 : row->v[T_DONE] + done;
    return KAP_OK;
}

static int tell_year(targets_t *t, int year)
{
    kap_followed_range_t range = kap_own_years_range(t->range, year, year);
    bool any = false;

    for (size_t i = 0; i < t->targets.count; i++)
        any |= holds(t, t->targets.rows[i], year);
    if (!any)
        return KAP_OK;
    start(&t->year, t->at, t->query, t->succession);
    int rc = gather(&t->year, &range);
    for (size_t i = 0; rc == KAP_OK && i < t->targets.count; i++) {
        if (holds(t, t->targets.rows[i], year))
            rc = tell_target(t, t->targets.rows[i], year);
    }
    return rc;
}

/* Targets of a region in the years that the window touches, no further than the year of now; of a
 * window without a beginning the last one. */
static int add_targets(targets_t *t)
{
    int first, last, now = kap_date_of(KAP_ZONE_HELSINKI, t->query->now).year;
    int rc = kap_followed_targets(t->at->txn, t->range->region, add_target, t);

    kap_own_years(t->query, &first, &last);
    last = last < now ? last : now;
    if (t->query->what.window.from_ms < KAP_TIME_MIN)
        first = last;
    for (int year = first; rc == KAP_OK && year <= last; year++)
        rc = tell_year(t, year);
    return rc;
}

/* Over several regions counts are added up; of shares only how many reached theirs is told. */
static void put_targets(targets_t *t, kap_metric_values_t *values)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&t->told);
    for (size_t i = 0; i < t->told.count; i++) {
        const kap_tally_t *row = t->told.rows[i];
        bool summed = !is_share(row->k[1]) || row->v[T_REGIONS] == 1;
        bool done = summed && row->v[T_DONE] >= 0;
        kap_buf_t *item = kap_metric_item(&list, 7);
        if (item == NULL)
            continue;
        kap_own_code(item, "target", KAP_LIST_TARGET, row->k[1]);
        kap_metric_number(item, "year", (uint64_t)row->k[0]);
        kap_own_text(item, "forum", row->a);
        if (summed)
            kap_own_decimal(item, "value", row->v[T_VALUE]);
        else
            kap_own_nil(item, "value");
        if (done)
            kap_own_decimal(item, "done", row->v[T_DONE]);
        else
            kap_own_nil(item, "done");
        kap_metric_number(item, "reached", (uint64_t)row->v[T_REACHED]);
        kap_metric_number(item, "regions", (uint64_t)row->v[T_REGIONS]);
    }
    kap_metric_put_list(values, "targets", &list);
}

/* --- all of it --- */

typedef struct {
    meetings_t g;
    targets_t t;
    wheel_t c;
    bool targets;
    const kap_region_t *only; /* the scope's one region, if it is still in the directory */
    kap_tallies_t places;     /* k0: regions whose rows were walked */
} whole_t;

/* Members of one region come one by one, its meetings once. */
static int add_range(void *arg, const kap_own_region_t *region, const kap_followed_range_t *range)
{
    whole_t *w = arg;
    size_t before = w->places.count;

    if (kap_tally(&w->places, kap_span("", 0), kap_span("", 0), (int)range->region, 0, 0, 0) ==
        NULL)
        return KAP_E_NOMEM;
    w->only = region->known;
    if (w->places.count == before)
        return KAP_OK;
    int rc = gather(&w->g, range);
    w->t.region = region;
    w->t.range = range;
    w->t.targets = (kap_tallies_t){.arena = w->g.at->arena};
    return rc != KAP_OK || !w->targets ? rc : add_targets(&w->t);
}

/* What is told of one region: its forums' clock, its members and its pairs. */
static int put_region(whole_t *w, const kap_metric_query_t *query, kap_metric_values_t *values)
{
    const kap_window_t *window = &query->what.window;
    bool region = query->what.scope.kind == KAP_SCOPE_REGION;
    int rc = KAP_OK;

    for (size_t i = 0; rc == KAP_OK && region && i < w->places.count; i++) {
        kap_followed_range_t range = {.region = (uint32_t)w->places.rows[i]->k[0],
                                      .from_ms = window->from_ms,
                                      .to_ms = window->to_ms};
        rc = tell_clock(&w->c, &range);
    }
    if (rc == KAP_OK && region) {
        kap_metric_put_count(values, "expected", w->c.expected);
        kap_metric_put_count(values, "due", w->c.due);
        kap_metric_put_list(values, "clock", &w->c.list);
        rc = put_members(&w->g, values);
    }
    return rc != KAP_OK || w->only == NULL ? rc : tell_pairs(&w->g, w->only, &w->places, values);
}

static int put_whole(whole_t *w, const kap_metric_query_t *query, kap_metric_values_t *values)
{
    bool region = query->what.scope.region.size > 0 && w->places.count > 0 && !values->row;

    put_sums(&w->g, values);
    put_kinds(&w->g, values);
    if (w->targets)
        put_targets(&w->t, values);
    return region ? put_region(w, query, values) : KAP_OK;
}

int kap_metric_meetings(const kap_metric_at_t *at, const kap_metric_query_t *query,
                        const kap_vector_t *sum, kap_metric_values_t *values)
{
    kap_scope_kind_t kind = query->what.scope.kind;
    whole_t *w = kap_arena_calloc(at->arena, 1, sizeof *w);
    const kap_succession_t *succession;
    int rc = kap_own_succession(at, query, &succession);

    (void)sum;
    if (w == NULL || rc != KAP_OK)
        return w == NULL ? KAP_E_NOMEM : rc;
    start(&w->g, at, query, succession);
    w->targets = query->by != KAP_BY_MONTH &&
                 (kind == KAP_SCOPE_REGION || kind == KAP_SCOPE_AREA || kind == KAP_SCOPE_NATION);
    w->t = (targets_t){
        .at = at, .query = query, .succession = succession, .told = {.arena = at->arena}};
    w->c = (wheel_t){.g = &w->g, .now = query->now};
    w->places.arena = at->arena;
    rc = kap_own_ranges(at, query, add_range, w);
    if (rc == KAP_OK)
        rc = put_whole(w, query, values);
    if (rc != KAP_OK)
        return rc;
    values->n = (uint64_t)(w->g.sums[PLANNED] + w->g.sums[UNPLANNED]);
    values->pending = (uint64_t)w->g.sums[OPEN];
    values->decided = values->n - values->pending;
    return values->pairs.err;
}
