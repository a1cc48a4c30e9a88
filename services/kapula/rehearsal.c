/* SPDX-License-Identifier: MPL-2.0 */
#include "rehearsal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "clock.h"
#include "span.h"

enum { HOUR_MS = 3600 * 1000, MAX_DEPTH = 4, PERMILLE = 1000 };

/* Who hands on to whom for what; the weights are guesses. */
typedef struct {
    const char *from, *to, *service;
    int weight;
} route_t;

static const route_t routes[] = {
    {"municipality", "te-office", "startup-grant", 14},
    {"municipality", "te-office", "recruitment", 9},
    {"municipality", "finnvera", "financing", 17},
    {"municipality", "ely", "development-grant", 11},
    {"municipality", "partner", "startup-advice", 13},
    {"te-office", "municipality", "premises", 6},
    {"te-office", "municipality", "business-planning", 7},
    {"te-office", "partner", "startup-advice", 13},
    {"te-office", "finnvera", "financing", 5},
    {"ely", "municipality", "site-and-plot", 5},
    {"ely", "finnvera", "financing", 6},
    {"finnvera", "municipality", "business-planning", 6},
    {"finnvera", "ely", "internationalisation", 4},
    {"partner", "te-office", "startup-grant", 10},
    {"partner", "finnvera", "financing", 7},
    {"partner", "municipality", "needs-mapping", 6},
};
enum { ROUTES = sizeof routes / sizeof *routes };

/* How a recipient behaves: working hours until an answer (median), and of a thousand. */
typedef struct {
    const char *member;
    double answer_hours;
    int declines, redirects, silent;
} habit_t;

static const habit_t habits[] = {
    {"municipality", 6, 40, 90, 20}, {"te-office", 26, 90, 110, 90}, {"ely", 34, 110, 80, 70},
    {"finnvera", 14, 120, 60, 30},   {"partner", 9, 50, 70, 40},
};

typedef enum {
    STEP_REFER,
    STEP_ANSWER,
    STEP_CONTACT,
    STEP_COMPLETE,
    STEP_HOLD,
    STEP_RESUME,
    STEP_CAME,
    STEP_WITHDRAW,
    STEP_VOID,
    STEP_FEEDBACK,
    STEP_FORUM,
    STEP_PLAN,
    STEP_MEET,
    STEP_DONE,
    STEP_TALLY,
    STEP_ADVICE,
} step_kind_t;

typedef struct {
    int64_t at_ms;
    uint32_t order; /* of equal instants the earlier thought first */
    step_kind_t kind;
    uint32_t subject; /* journey, or month */
} step_t;

/* One referral as the rehearsal knows it. */
typedef struct {
    char id[48], case_id[48], parent[48];
    const char *from, *to, *service, *kind;
    int depth, customer;
    bool closed, tried;
} journey_t;

struct kap_rehearsal {
    kap_rehearsal_opts_t opts;
    int64_t from_ms, to_ms, now_ms;
    uint64_t random;
    uint32_t order;
    step_t *heap;
    size_t steps, step_room;
    journey_t *journeys;
    size_t journey_count, journey_room;
    char delivers[48];
};

/* splitmix64 (Steele, Lea, Flood 2014): small, and the same everywhere for a seed. */
static uint64_t next_random(kap_rehearsal_t *r)
{
    uint64_t z = (r->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(kap_rehearsal_t *r, int n)
{
    return (int)(next_random(r) % (uint64_t)n);
}

static bool chance(kap_rehearsal_t *r, int permille)
{
    return below(r, PERMILLE) < permille;
}

/* Log-normal around a median: many soon, a few very late. */
static double hours_around(kap_rehearsal_t *r, double median)
{
    double u = (double)(next_random(r) >> 11) / 9007199254740992.0 + 1e-12;
    double v = (double)(next_random(r) >> 11) / 9007199254740992.0;
    return median * exp(0.8 * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static bool earlier(const step_t *a, const step_t *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

/* Steps after the year's end, or without memory, do not happen. */
static void plan(kap_rehearsal_t *r, int64_t at_ms, step_kind_t kind, size_t subject)
{
    if (at_ms >= r->to_ms)
        return;
    if (r->steps == r->step_room) {
        size_t room = r->step_room ? 2 * r->step_room : 256;
        step_t *heap = realloc(r->heap, room * sizeof *heap);
        if (!heap)
            return;
        r->heap = heap;
        r->step_room = room;
    }
    step_t step = {at_ms, r->order++, kind, (uint32_t)subject};
    size_t i = r->steps++;
    while (i > 0 && earlier(&step, &r->heap[(i - 1) / 2])) {
        r->heap[i] = r->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    r->heap[i] = step;
}

static step_t take_step(kap_rehearsal_t *r)
{
    step_t first = r->heap[0], last = r->heap[--r->steps];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= r->steps)
            break;
        if (child + 1 < r->steps && earlier(&r->heap[child + 1], &r->heap[child]))
            child++;
        if (!earlier(&r->heap[child], &last))
            break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = last;
    return first;
}

/* In office hours, so many of them later. */
static int64_t after_hours(kap_rehearsal_t *r, double hours)
{
    double ms = hours * HOUR_MS + below(r, 60000);
    return kap_calendar_add_working_ms(r->now_ms, (int64_t)ms, NULL);
}

static size_t new_journey(kap_rehearsal_t *r, const route_t *route)
{
    if (r->journey_count == r->journey_room) {
        size_t room = r->journey_room ? 2 * r->journey_room : 256;
        journey_t *journeys = realloc(r->journeys, room * sizeof *journeys);
        if (!journeys)
            return SIZE_MAX;
        r->journeys = journeys;
        r->journey_room = room;
    }
    size_t n = r->journey_count++;
    journey_t *j = &r->journeys[n];
    int draw = below(r, PERMILLE);
    *j = (journey_t){.from = route->from, .to = route->to, .service = route->service};
    j->kind = draw < 110 ? "guidance" : draw < 190 ? "lead" : "transfer";
    snprintf(j->id, sizeof j->id, "r%d-%zu", r->opts.year, n + 1);
    snprintf(j->case_id, sizeof j->case_id, "c%d-%zu", r->opts.year, n + 1);
    j->customer = (int)n;
    return n;
}

/* A child of the same case, from where the customer stands now. */
static size_t new_child(kap_rehearsal_t *r, size_t parent)
{
    const char *here = r->journeys[parent].to;
    route_t route = {here, NULL, NULL, 0};
    while (!route.to) {
        const route_t *any = &routes[below(r, ROUTES)];
        if (strcmp(any->from, here) == 0)
            route = *any;
    }
    size_t n = new_journey(r, &route);
    if (n == SIZE_MAX)
        return n;
    journey_t *child = &r->journeys[n];
    const journey_t *from = &r->journeys[parent];
    child->kind = "transfer";
    child->depth = from->depth + 1;
    child->customer = from->customer;
    memcpy(child->case_id, from->case_id, sizeof child->case_id);
    memcpy(child->parent, from->id, sizeof child->parent);
    return n;
}

static const habit_t *habit_of(const char *member)
{
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (strcmp(habits[i].member, member) == 0)
            return &habits[i];
    return &habits[0];
}

static void put(kap_rehearsal_act_t *act, const char *name, const char *value)
{
    if (act->count == KAP_REHEARSAL_FIELDS)
        return;
    kap_rehearsal_field_t *field = &act->fields[act->count++];
    snprintf(field->name, sizeof field->name, "%s", name);
    snprintf(field->value, sizeof field->value, "%s", value);
}

static void put_number(kap_rehearsal_act_t *act, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put(act, name, text);
}

static void say(kap_rehearsal_act_t *act, const char *member, const char *verb)
{
    act->member = member;
    act->verb = verb;
}

/* A business id that belongs to nobody here: number from the customer, check digit by rule. */
static void business_id(int customer, char out[16])
{
    static const int weight[7] = {7, 9, 10, 5, 8, 4, 2};
    for (int number = 9000000 + customer % 900000;; number++) {
        int sum = 0, rest = number;
        for (int i = 6; i >= 0; i--, rest /= 10)
            sum += weight[i] * (rest % 10);
        if (sum % 11 == 1)
            continue;
        snprintf(out, 16, "%07d-%d", number, sum % 11 ? 11 - sum % 11 : 0);
        return;
    }
}

static void put_customer(kap_rehearsal_t *r, const journey_t *j, kap_rehearsal_act_t *act,
                         const char *prefix)
{
    static const char *const segments[] = {"founder",     "local_small",   "local_small",
                                           "home_market", "international", "unknown"};
    char name[KAP_REHEARSAL_NAME], value[KAP_REHEARSAL_VALUE], id[16];
    char day[KAP_TIME_TEXT];
    kap_date_format(kap_date_of(KAP_ZONE_HELSINKI, r->now_ms), day);
    const char *fields[][2] = {{"referral", j->id},
                               {"to", j->to},
                               {"region", r->opts.region},
                               {"kind", j->kind},
                               {"service", j->service},
                               {"segment", segments[j->customer % 6]},
                               {"language", j->customer % 17 ? "fi" : "sv"},
                               {"basis.disclosure", "customer_consent"},
                               {"basis.gdpr", "6.1.a"},
                               {"basis.consent_date", day}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, fields[i][0]);
        put(act, name, fields[i][1]);
    }
    business_id(j->customer, id);
    snprintf(name, sizeof name, "%sbusiness_id", prefix);
    put(act, name, id);
    snprintf(name, sizeof name, "%scompany", prefix);
    snprintf(value, sizeof value, "Harjoitus %d Oy", j->customer + 1);
    put(act, name, value);
}

/* The recipient will answer some time, or another thing comes first. */
static void expect_answer(kap_rehearsal_t *r, size_t n)
{
    const journey_t *j = &r->journeys[n];
    const habit_t *habit = habit_of(j->to);
    if (strcmp(j->kind, "guidance") == 0) {
        plan(r, after_hours(r, 8 + below(r, 80)), STEP_CAME, n);
        return;
    }
    double hours = hours_around(r, habit->answer_hours);
    if (chance(r, habit->silent))
        hours += 85 + below(r, 120);
    plan(r, after_hours(r, hours), STEP_ANSWER, n);
    if (chance(r, 30))
        plan(r, after_hours(r, hours * 0.6), STEP_WITHDRAW, n);
    if (chance(r, 7))
        plan(r, after_hours(r, 0.2), STEP_VOID, n);
}

static void await_delivery(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    memcpy(r->delivers, r->journeys[n].id, sizeof r->delivers);
    act->delivers = r->delivers;
    act->to = r->journeys[n].to;
}

static void refer(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    static const char *const origins[] = {"walk_in", "phone_service", "web", "joint_visit",
                                          "meeting"};
    const journey_t *j = &r->journeys[n];
    say(act, j->from, "refer");
    put_customer(r, j, act, "");
    put(act, "case", j->case_id);
    if (j->parent[0])
        put(act, "parent", j->parent);
    else
        put(act, "origin", origins[below(r, 5)]);
    if (chance(r, 120))
        put(act, "warm", "true");
    await_delivery(r, n, act);
    expect_answer(r, n);
}

static void answer_with(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act, const char *verb)
{
    say(act, r->journeys[n].to, verb);
    put(act, "referral", r->journeys[n].id);
}

/* The same for an answer that ends it: its sender's node will say that it has it. */
static void end_with(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act, const char *verb)
{
    answer_with(r, n, act, verb);
    act->answers = r->journeys[n].id;
    act->from = r->journeys[n].from;
}

static void redirect(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    size_t child = new_child(r, n);
    if (child == SIZE_MAX)
        return;
    end_with(r, n, act, "redirect");
    put(act, "reason", "wrong_service");
    put_customer(r, &r->journeys[child], act, "next.");
    r->journeys[n].closed = true;
    await_delivery(r, child, act);
    expect_answer(r, child);
}

static void answer(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    const habit_t *habit = habit_of(r->journeys[n].to);
    int draw = below(r, PERMILLE);
    if (draw < habit->redirects && r->journeys[n].depth < MAX_DEPTH) {
        redirect(r, n, act);
        return;
    }
    if (draw < habit->redirects + habit->declines) {
        static const char *const reasons[] = {"no_capacity", "not_eligible", "insufficient_info",
                                              "customer_refused"};
        end_with(r, n, act, "decline");
        put(act, "reason", reasons[below(r, 4)]);
        r->journeys[n].closed = true;
        return;
    }
    answer_with(r, n, act, "accept");
    plan(r, after_hours(r, hours_around(r, 12)), STEP_CONTACT, n);
}

static void contact(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    static const char *const channels[] = {"phone", "phone", "email", "meeting", "video"};
    bool reached = r->journeys[n].tried || !chance(r, 180);
    answer_with(r, n, act, "contacted");
    put(act, "result", reached ? "reached" : "no_answer");
    put(act, "channel", channels[below(r, 5)]);
    r->journeys[n].tried = true;
    if (!reached)
        plan(r, after_hours(r, 6 + below(r, 10)), STEP_CONTACT, n);
    else if (chance(r, 60))
        plan(r, after_hours(r, 4), STEP_HOLD, n);
    else
        plan(r, after_hours(r, hours_around(r, 60)), STEP_COMPLETE, n);
}

static void complete(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    static const char *const details[] = {"served", "served", "advice_only", "funding_applied",
                                          "served_partly"};
    static const char *const failures[] = {"no_contact", "need_ceased", "not_eligible"};
    end_with(r, n, act, "complete");
    bool handled = chance(r, 870);
    put(act, "outcome", handled ? "handled" : "not_handled");
    /* What exactly was decided, Finnvera tells the two ends alone. */
    put(act, strcmp(r->journeys[n].to, "finnvera") == 0 ? "sealed.detail" : "detail",
        handled ? details[below(r, 5)] : failures[below(r, 3)]);
    r->journeys[n].closed = true;
    if (chance(r, 160))
        plan(r, after_hours(r, 40), STEP_FEEDBACK, n);
    if (handled && r->journeys[n].depth < MAX_DEPTH && chance(r, 90)) {
        size_t child = new_child(r, n);
        if (child != SIZE_MAX)
            plan(r, after_hours(r, 3), STEP_REFER, child);
    }
}

static void came(kap_rehearsal_t *r, size_t n, kap_rehearsal_act_t *act)
{
    int draw = below(r, 10);
    if (draw < 3 && r->journeys[n].tried)
        return;
    if (draw < 8)
        end_with(r, n, act, "came");
    else
        answer_with(r, n, act, "did-not-come");
    r->journeys[n].closed = true;
}

/* What speaks of one referral; false when it has nothing to say any more. */
static bool referral_step(kap_rehearsal_t *r, const step_t *step, kap_rehearsal_act_t *act)
{
    size_t n = step->subject;
    const journey_t *j = &r->journeys[n];
    if (j->closed && step->kind != STEP_FEEDBACK)
        return false;
    switch (step->kind) {
    case STEP_REFER:
        refer(r, n, act);
        break;
    case STEP_ANSWER:
        answer(r, n, act);
        break;
    case STEP_CONTACT:
        contact(r, n, act);
        break;
    case STEP_COMPLETE:
        complete(r, n, act);
        break;
    case STEP_CAME:
        came(r, n, act);
        break;
    case STEP_HOLD:
        answer_with(r, n, act, "hold");
        put(act, "hold_reason", "waiting_documents");
        plan(r, after_hours(r, 30), STEP_RESUME, n);
        break;
    case STEP_RESUME:
        answer_with(r, n, act, "resume");
        plan(r, after_hours(r, 20), STEP_COMPLETE, n);
        break;
    case STEP_WITHDRAW:
        say(act, j->from, "withdraw");
        put(act, "referral", j->id);
        put(act, "withdraw_reason", "solved_elsewhere");
        r->journeys[n].closed = true;
        break;
    case STEP_VOID:
        say(act, j->from, "void");
        put(act, "referral", j->id);
        put(act, "void_reason", "mistake");
        r->journeys[n].closed = true;
        break;
    case STEP_FEEDBACK:
        answer_with(r, n, act, "feedback");
        put(act, "scale", "4");
        put_number(act, "score", 2 + below(r, 3));
        break;
    default:
        return false;
    }
    return act->verb != NULL;
}

static void put_time(kap_rehearsal_act_t *act, const char *name, int64_t at_ms)
{
    char text[KAP_TIME_TEXT];
    kap_time_format_utc(at_ms, text);
    put(act, name, text);
}

/* The working group meets on the second Tuesday of a month at nine. */
static int64_t meeting_ms(const kap_rehearsal_t *r, uint32_t month)
{
    kap_date_t date = {(int16_t)r->opts.year, (int8_t)month, 8};
    while (kap_date_weekday(date) != kap_date_weekday((kap_date_t){2026, 1, 13}))
        date = kap_date_add(date, 1);
    return kap_local_ms(KAP_ZONE_HELSINKI, date, 9 * HOUR_MS);
}

static void put_id(const kap_rehearsal_t *r, kap_rehearsal_act_t *act, const char *name,
                   const char *what, uint32_t month)
{
    char id[48];
    snprintf(id, sizeof id, "%s-%d-%02u", what, r->opts.year, month);
    put(act, name, id);
}

static void forum(kap_rehearsal_t *r, kap_rehearsal_act_t *act)
{
    char start[32];
    kap_date_t date = kap_date_of(KAP_ZONE_HELSINKI, meeting_ms(r, 1));
    snprintf(start, sizeof start, "%04d-%02d-%02dT09:00", date.year, date.month, date.day);
    say(act, "municipality", "forum");
    put(act, "forum", "working-group");
    put(act, "forum_kind", "working_group");
    put(act, "region", r->opts.region);
    put(act, "name", "Seudun yrityspalvelujen työryhmä");
    put(act, "members", "municipality,te-office,ely,finnvera,partner");
    put(act, "rrule", "FREQ=MONTHLY;BYDAY=2TU");
    put(act, "dtstart", start);
    put(act, "duration_min", "120");
}

static void plan_meeting(kap_rehearsal_t *r, uint32_t month, kap_rehearsal_act_t *act)
{
    say(act, "municipality", "meeting-plan");
    put_id(r, act, "meeting", "meeting", month);
    put(act, "forum", "working-group");
    put(act, "region", r->opts.region);
    put_time(act, "starts_at", meeting_ms(r, month));
}

/* July's meeting is cancelled; every other one is held and agrees on something. */
static void meet(kap_rehearsal_t *r, uint32_t month, kap_rehearsal_act_t *act)
{
    bool cancelled = month == 7;
    say(act, "municipality", cancelled ? "meeting-cancel" : "meeting-hold");
    put_id(r, act, "meeting", "meeting", month);
    if (cancelled) {
        put(act, "why", "kesäloma");
        return;
    }
    put_time(act, "starts_at", meeting_ms(r, month));
    put(act, "attendance",
        month % 3 ? "municipality,te-office,ely,finnvera,partner"
                  : "municipality,te-office,partner");
    put_number(act, "topics", 3 + below(r, 5));
    plan(r, r->now_ms + 2 * HOUR_MS, STEP_DONE, month);
}

static void action(kap_rehearsal_t *r, uint32_t step, kap_rehearsal_act_t *act)
{
    uint32_t month = step % 100;
    bool done = step >= 100;
    say(act, "municipality", done ? "action-done" : "action-agree");
    put_id(r, act, "action", "action", month);
    if (done)
        return;
    put_id(r, act, "meeting", "meeting", month);
    put(act, "what", "Käydään läpi odottavat siirrot ja sovitaan vastuut");
    put(act, "member", "te-office");
    if (month % 4)
        plan(r, after_hours(r, 100), STEP_DONE, 100 + month);
}

static void counted(kap_rehearsal_t *r, const step_t *step, kap_rehearsal_act_t *act)
{
    char period[16];
    snprintf(period, sizeof period, "%04d-%02u", r->opts.year, step->subject);
    say(act, "partner", step->kind == STEP_TALLY ? "tally" : "report");
    put(act, "region", r->opts.region);
    put(act, "period", period);
    put_number(act, "count", 2 + below(r, 9));
    if (step->kind == STEP_TALLY) {
        put(act, "to", "municipality");
        put(act, "kind", "guidance");
        return;
    }
    put(act, "type", "kapula.advice.given.v1");
    put(act, "service", "startup-advice");
    put(act, "segment", "founder");
    put(act, "channel", "meeting");
}

static bool take(kap_rehearsal_t *r, const step_t *step, kap_rehearsal_act_t *act)
{
    switch (step->kind) {
    case STEP_FORUM:
        forum(r, act);
        return true;
    case STEP_PLAN:
        plan_meeting(r, step->subject, act);
        return true;
    case STEP_MEET:
        meet(r, step->subject, act);
        return true;
    case STEP_DONE:
        action(r, step->subject, act);
        return true;
    case STEP_TALLY:
    case STEP_ADVICE:
        counted(r, step, act);
        return true;
    default:
        return referral_step(r, step, act);
    }
}

/* Customers come in office hours, seldom in July. */
static int64_t some_moment(kap_rehearsal_t *r)
{
    kap_date_t first = {(int16_t)r->opts.year, 1, 1};
    for (;;) {
        kap_date_t date = kap_date_add(first, below(r, 365));
        if (!kap_calendar_is_working_day(date, NULL) || (date.month == 7 && chance(r, 650)))
            continue;
        return kap_local_ms(KAP_ZONE_HELSINKI, date, 8 * HOUR_MS + below(r, 8 * HOUR_MS));
    }
}

static const route_t *some_route(kap_rehearsal_t *r)
{
    int sum = 0;
    for (int i = 0; i < ROUTES; i++)
        sum += routes[i].weight;
    int draw = below(r, sum), i = 0;
    while (draw >= routes[i].weight)
        draw -= routes[i++].weight;
    return &routes[i];
}

static void plan_year(kap_rehearsal_t *r)
{
    plan(r, r->from_ms + 6 * 24 * HOUR_MS, STEP_FORUM, 0);
    for (uint32_t month = 1; month <= 12; month++) {
        int64_t meets = meeting_ms(r, month);
        plan(r, meets - 24 * HOUR_MS, STEP_PLAN, month);
        plan(r, meets + 2 * HOUR_MS, STEP_MEET, month);
        plan(r, meets + 10 * 24 * HOUR_MS, STEP_TALLY, month);
        plan(r, meets + 11 * 24 * HOUR_MS, STEP_ADVICE, month);
    }
    for (int i = 0; i < r->opts.referrals; i++) {
        size_t n = new_journey(r, some_route(r));
        if (n != SIZE_MAX)
            plan(r, some_moment(r), STEP_REFER, n);
    }
}

kap_rehearsal_t *kap_rehearsal_new(const kap_rehearsal_opts_t *opts)
{
    if (opts->year < 1971 || opts->year > 9998 || opts->referrals < 1 || opts->referrals > 100000)
        return NULL;
    kap_rehearsal_t *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->opts = *opts;
    r->random = opts->seed;
    r->from_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){(int16_t)opts->year, 1, 1});
    r->to_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){(int16_t)(opts->year + 1), 1, 1});
    r->now_ms = r->from_ms;
    plan_year(r);
    return r;
}

void kap_rehearsal_destroy(kap_rehearsal_t **rehearsal)
{
    if (!*rehearsal)
        return;
    free((*rehearsal)->heap);
    free((*rehearsal)->journeys);
    free(*rehearsal);
    *rehearsal = NULL;
}

int64_t kap_rehearsal_from_ms(const kap_rehearsal_t *rehearsal)
{
    return rehearsal->from_ms;
}

int64_t kap_rehearsal_to_ms(const kap_rehearsal_t *rehearsal)
{
    return rehearsal->to_ms;
}

int kap_rehearsal_permille(const kap_rehearsal_t *rehearsal)
{
    int64_t past = rehearsal->now_ms - rehearsal->from_ms;
    return (int)(past * PERMILLE / (rehearsal->to_ms - rehearsal->from_ms));
}

bool kap_rehearsal_next(kap_rehearsal_t *r, kap_rehearsal_act_t *act)
{
    while (r->steps > 0) {
        step_t step = take_step(r);
        r->now_ms = step.at_ms;
        memset(act, 0, sizeof *act);
        if (!take(r, &step, act))
            continue;
        act->at_ms = step.at_ms;
        return true;
    }
    r->now_ms = r->to_ms;
    return false;
}
