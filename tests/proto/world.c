/* SPDX-License-Identifier: MPL-2.0 */
#include "world.h"

#include <stdlib.h>

#include "err.h"

world_t *world_new(void)
{
    world_t *world = calloc(1, sizeof(*world));
    KAP_CHECK(world != NULL);
    world->arena = kap_arena_new(1 << 20);
    KAP_CHECK(world->arena != NULL);
    return world;
}

void world_destroy(world_t **world)
{
    kap_arena_destroy(&(*world)->arena);
    free(*world);
    *world = NULL;
}

world_member_t *world_member(world_t *world, kap_span_t id)
{
    for (int i = 0; i < world->member_count; i++) {
        if (kap_span_eq(world->members[i].id, id)) {
            return &world->members[i];
        }
    }
    return NULL;
}

world_region_t *world_region(world_t *world, kap_span_t id)
{
    for (int i = 0; i < world->region_count; i++) {
        if (kap_span_eq(world->regions[i].id, id)) {
            return &world->regions[i];
        }
    }
    return NULL;
}

world_row_t *world_row(world_t *world, row_kind_t kind, kap_span_t id)
{
    for (int i = world->row_count - 1; i >= 0; i--) {
        if (world->rows[i].kind == kind && kap_span_eq(world->rows[i].id, id)) {
            return &world->rows[i];
        }
    }
    return NULL;
}

static world_row_t *keep(world_t *world, row_kind_t kind, kap_span_t id, kap_buf_t *bytes)
{
    world_row_t *row = world_row(world, kind, id);
    if (!row) {
        KAP_CHECK(world->row_count < WORLD_ROWS);
        row = &world->rows[world->row_count++];
        *row = (world_row_t){
            .kind = kind, .id = kap_arena_dup(world->arena, id), .timer_at = KAP_REFERRAL_NO_TIME};
    }
    KAP_CHECK(bytes->err == KAP_OK);
    row->bytes = kap_arena_dup(world->arena, kap_buf_span(bytes));
    kap_buf_fini(bytes);
    return row;
}

bool world_referral(world_t *world, kap_span_t id, kap_referral_t *r)
{
    const world_row_t *row = world_row(world, ROW_REFERRAL, id);
    KAP_CHECK(!row || kap_referral_unpack(row->bytes, r) == KAP_OK);
    return row != NULL;
}

bool world_case(world_t *world, kap_span_t id, kap_case_t *c)
{
    const world_row_t *row = world_row(world, ROW_CASE, id);
    kap_case_init(c);
    KAP_CHECK(!row || kap_case_unpack(row->bytes, world->arena, c) == KAP_OK);
    return row != NULL;
}

bool world_meeting(world_t *world, kap_span_t id, kap_meeting_t *m)
{
    const world_row_t *row = world_row(world, ROW_MEETING, id);
    kap_meeting_init(m);
    KAP_CHECK(!row || kap_meeting_unpack(row->bytes, m) == KAP_OK);
    return row != NULL;
}

bool world_forum(world_t *world, kap_span_t id, kap_forum_t *f)
{
    const world_row_t *row = world_row(world, ROW_FORUM, id);
    kap_forum_init(f);
    KAP_CHECK(!row || kap_forum_unpack(row->bytes, f) == KAP_OK);
    return row != NULL;
}

bool world_action(world_t *world, kap_span_t id, kap_action_t *a)
{
    const world_row_t *row = world_row(world, ROW_ACTION, id);
    kap_action_init(a);
    KAP_CHECK(!row || kap_action_unpack(row->bytes, a) == KAP_OK);
    return row != NULL;
}

/* --- facts, as a ledger finds them --- */

static bool holds(const kap_span_t *list, int count, kap_span_t id)
{
    for (int i = 0; i < count; i++) {
        if (kap_span_eq(list[i], id)) {
            return true;
        }
    }
    return false;
}

static bool acts_in(const world_member_t *m, kap_span_t region)
{
    return m && holds(m->regions, m->region_count, region);
}

static bool coordinates(const world_member_t *m, kap_span_t region)
{
    return m && holds(m->coordinates, m->coordinate_count, region);
}

static void created_facts(world_t *world, const kap_event_t *ev, kap_referral_facts_t *facts)
{
    const world_member_t *from = world_member(world, kap_event_span(ev, KAP_F_FROM));
    const world_member_t *to = world_member(world, kap_event_span(ev, KAP_F_TO));
    kap_span_t region = kap_event_span(ev, KAP_F_REGION);
    kap_span_t reopens = kap_event_span(ev, KAP_F_REOPENS);
    kap_referral_t earlier;
    kap_case_t c;
    kap_refusal_t why;
    facts->from_in_region = acts_in(from, region);
    facts->to_known = to != NULL;
    facts->to_in_region = to && (to->national || acts_in(to, region));
    facts->internal = from && to && !kap_span_empty(from->organisation) &&
                      kap_span_eq(from->organisation, to->organisation);
    facts->reopens_known = world_referral(world, reopens, &earlier);
    facts->reopens_terminal = facts->reopens_known && kap_state_is_terminal(earlier.state);
    world_case(world, kap_event_span(ev, KAP_F_CASE), &c);
    kap_case_admits(&c, kap_event_span(ev, KAP_F_PARENT), kap_event_span(ev, KAP_F_FROM),
                    facts->archive, facts, &why);
}

static void referral_facts(world_t *world, kap_span_t who, const kap_event_t *ev,
                           const kap_referral_t *before, kap_referral_facts_t *facts)
{
    bool known = before->state != KAP_STATE_NONE;
    kap_span_t from = known ? before->from : kap_event_span(ev, KAP_F_FROM);
    kap_span_t to = known ? before->to : kap_event_span(ev, KAP_F_TO);
    const world_member_t *publisher = world_member(world, who);
    const world_member_t *recipient = world_member(world, to);
    const world_region_t *region =
        world_region(world, known ? before->region : kap_event_span(ev, KAP_F_REGION));
    facts->archive = region && region->archive;
    facts->bench = region && region->bench;
    bool speaks = facts->archive && publisher && publisher->is_operator;
    facts->is_sender = kap_span_eq(who, from) || speaks;
    facts->is_recipient = kap_span_eq(who, to) || speaks;
    facts->is_operator = publisher && publisher->is_operator;
    facts->is_broker = kap_span_eq_str(who, "broker");
    facts->recipient_is_authority = recipient && recipient->authority;
    facts->answer_days = region ? region->answer_days : 0;
    facts->contact_days = region ? region->contact_days : 0;
    facts->closures = recipient ? &recipient->closed : NULL;
    facts->root_created_at = KAP_REFERRAL_NO_TIME;
    if (ev->type == KAP_EV_REFERRAL_CREATED) {
        created_facts(world, ev, facts);
    } else if (known) {
        kap_case_t c;
        world_case(world, before->case_id, &c);
        facts->root_created_at = kap_case_started_at(&c);
    }
}

/* --- publishing --- */

static void note(world_t *world, int verdict, kap_refusal_t why, const kap_effects_t *fx)
{
    if (world->verdict == KAP_VERDICT_ACCEPTED) {
        world->verdict = verdict;
        world->why = why;
        if (verdict != KAP_VERDICT_REFUSED) {
            world->fx = *fx;
        }
    }
}

static void keep_referral(world_t *world, kap_span_t id, const kap_referral_t *r,
                          const kap_effects_t *fx)
{
    kap_buf_t bytes = {0};
    kap_referral_pack(&bytes, r);
    world_row_t *row = keep(world, ROW_REFERRAL, id, &bytes);
    if (fx->timer != KAP_TIMER_KEEP) {
        row->timer_at = fx->timer == KAP_TIMER_SET ? fx->timer_at : KAP_REFERRAL_NO_TIME;
        row->timer_kind = fx->timer_kind;
    }
    kap_case_t c;
    world_case(world, r->case_id, &c);
    KAP_CHECK(kap_case_put(&c, world->arena, id, r) == KAP_OK);
    kap_case_pack(&bytes, &c);
    keep(world, ROW_CASE, r->case_id, &bytes);
}

static void publish_referral(world_t *world, kap_span_t who, const kap_event_t *events, uint32_t n,
                             uint32_t at)
{
    kap_span_t id = kap_event_span(&events[at], KAP_F_REFERRAL);
    kap_referral_facts_t facts = {.group = events, .group_count = n};
    kap_referral_t before, after;
    kap_effects_t fx = {0};
    kap_refusal_t why = {0};
    if (!world_referral(world, id, &before)) {
        kap_referral_init(&before);
    }
    referral_facts(world, who, &events[at], &before, &facts);
    int verdict = kap_referral_judge(&before, &events[at], &facts, world->now, &after, &fx, &why);
    if (verdict == KAP_VERDICT_ACCEPTED) {
        keep_referral(world, id, &after, &fx);
    }
    note(world, verdict, why, &fx);
}

static void meeting_facts(world_t *world, kap_span_t who, const kap_event_t *ev,
                          const kap_meeting_t *meeting, kap_meeting_facts_t *facts)
{
    const world_member_t *publisher = world_member(world, who);
    kap_span_t region = kap_event_span(ev, KAP_F_REGION);
    kap_span_t forum = kap_event_span(ev, KAP_F_FORUM);
    kap_forum_t f;
    bool known = meeting->state != KAP_MEETING_NONE;
    region = kap_span_empty(region) && known ? meeting->region : region;
    forum = known && ev->type != KAP_EV_FORUM_SET ? meeting->forum : forum;
    facts->publisher = who;
    facts->forum_known = world_forum(world, forum, &f);
    facts->forum_owner = facts->forum_known ? f.owner : kap_span("", 0);
    facts->forum_region = facts->forum_known ? f.region : kap_span("", 0);
    if (facts->forum_known) {
        kap_span_t members = kap_span(f.members, f.member_count * sizeof(f.members[0]));
        facts->forum_members = (const void *)kap_arena_dup(world->arena, members).data;
        facts->forum_member_count = f.member_count;
    }
    facts->region_known = world_region(world, region) != NULL;
    facts->is_coordinator = coordinates(publisher, region);
    facts->in_region = acts_in(publisher, region);
    facts->meeting_known = known;
    facts->meeting_owner = known ? meeting->owner : kap_span("", 0);
    facts->meeting_region = region;
}

static void publish_forum(world_t *world, kap_span_t who, const kap_event_t *ev)
{
    kap_span_t id = kap_event_span(ev, KAP_F_FORUM);
    kap_meeting_facts_t facts = {0};
    kap_meeting_t none;
    kap_forum_t before, after;
    kap_effects_t fx = {0};
    kap_refusal_t why = {0};
    kap_buf_t bytes = {0};
    kap_meeting_init(&none);
    meeting_facts(world, who, ev, &none, &facts);
    world_forum(world, id, &before);
    int verdict = kap_forum_judge(&before, ev, &facts, world->now, &after, &fx, &why);
    if (verdict == KAP_VERDICT_ACCEPTED) {
        kap_forum_pack(&bytes, &after);
        keep(world, ROW_FORUM, id, &bytes);
    }
    note(world, verdict, why, &fx);
}

static void publish_action(world_t *world, kap_span_t who, const kap_event_t *ev)
{
    kap_span_t id = kap_event_span(ev, KAP_F_ACTION);
    kap_meeting_facts_t facts = {0};
    kap_action_t before, after;
    kap_meeting_t meeting;
    kap_effects_t fx = {0};
    kap_refusal_t why = {0};
    kap_buf_t bytes = {0};
    bool known = world_action(world, id, &before);
    world_meeting(world, known ? before.meeting : kap_event_span(ev, KAP_F_MEETING), &meeting);
    meeting_facts(world, who, ev, &meeting, &facts);
    int verdict = kap_action_judge(&before, ev, &facts, world->now, &after, &fx, &why);
    if (verdict == KAP_VERDICT_ACCEPTED) {
        kap_action_pack(&bytes, &after);
        keep(world, ROW_ACTION, id, &bytes);
    }
    note(world, verdict, why, &fx);
}

static void publish_meeting(world_t *world, kap_span_t who, const kap_event_t *ev)
{
    kap_span_t id = kap_event_span(ev, KAP_F_MEETING);
    kap_meeting_facts_t facts = {0};
    kap_meeting_t before, after;
    kap_effects_t fx = {0};
    kap_refusal_t why = {0};
    kap_buf_t bytes = {0};
    world_meeting(world, id, &before);
    meeting_facts(world, who, ev, &before, &facts);
    int verdict = kap_meeting_judge(&before, ev, &facts, world->now, &after, &fx, &why);
    if (verdict == KAP_VERDICT_ACCEPTED) {
        kap_meeting_pack(&bytes, &after);
        keep(world, ROW_MEETING, id, &bytes);
    }
    note(world, verdict, why, &fx);
}

/* Under its key the last follow-up event keeps who published it and whom it asked. */
static void publish_followup(world_t *world, kap_span_t who, const kap_event_t *ev)
{
    kap_buf_t key = {0}, bytes = {0};
    kap_span_t region = kap_event_span(ev, KAP_F_REGION);
    const world_member_t *publisher = world_member(world, who);
    const world_row_t *asked = NULL, *item = NULL;
    kap_effects_t fx = {0};
    kap_refusal_t why = {0};
    kap_followup_key(ev, &key);
    kap_span_t statement = kap_event_span(ev, KAP_F_STATEMENT);
    asked = world_row(world, ROW_LATEST, statement);
    item = world_row(world, ROW_LATEST, kap_event_span(ev, KAP_F_ITEM));
    const world_row_t *latest = world_row(world, ROW_LATEST, kap_buf_span(&key));
    kap_followup_facts_t facts = {
        .publisher = who,
        .is_coordinator = coordinates(publisher, region),
        .is_operator = publisher && publisher->is_operator,
        .region_known = world_region(world, region) != NULL,
        .in_region = acts_in(publisher, region),
        .from_known = world_member(world, kap_event_span(ev, KAP_F_FROM)) != NULL,
        .to_known = world_member(world, kap_event_span(ev, KAP_F_TO)) != NULL,
        .item_known = item != NULL,
        .asked = asked != NULL && !kap_span_empty(statement),
        .asked_by = latest ? latest->bytes : kap_span("", 0),
        .asked_of = asked ? asked->bytes : kap_span("", 0),
        .given = ev->type == KAP_EV_STATEMENT_GIVEN && latest != NULL,
        .owner = ev->type == KAP_EV_PROCESS_SET && latest ? latest->bytes : kap_span("", 0),
    };
    int verdict = kap_followup_judge(ev, &facts, world->now, &fx, &why);
    world->replaced = latest != NULL;
    if (verdict == KAP_VERDICT_ACCEPTED && key.size > 0) {
        kap_buf_append(&bytes, who);
        keep(world, ROW_LATEST, kap_buf_span(&key), &bytes);
    }
    if (verdict == KAP_VERDICT_ACCEPTED && ev->type == KAP_EV_STATEMENT_ASKED) {
        kap_buf_append(&bytes, kap_event_span(ev, KAP_F_TO));
        keep(world, ROW_LATEST, statement, &bytes);
    }
    if (verdict == KAP_VERDICT_ACCEPTED && ev->type == KAP_EV_PLAN_ITEM_SET) {
        keep(world, ROW_LATEST, kap_event_span(ev, KAP_F_ITEM), &bytes);
    }
    kap_buf_fini(&key);
    kap_buf_fini(&bytes);
    note(world, verdict, why, &fx);
}

static void publish_one(world_t *world, kap_span_t who, const kap_event_t *events, uint32_t n,
                        uint32_t at)
{
    const kap_event_t *ev = &events[at];
    switch (ev->type) {
    case KAP_EV_NONE:
        note(world, KAP_VERDICT_REFUSED, ev->refusal, NULL);
        break;
    case KAP_EV_FORUM_SET:
        publish_forum(world, who, ev);
        break;
    case KAP_EV_ACTION_AGREED:
    case KAP_EV_ACTION_DONE:
        publish_action(world, who, ev);
        break;
    default:
        if (ev->family == KAP_FAMILY_REFERRAL) {
            publish_referral(world, who, events, n, at);
        } else if (ev->family == KAP_FAMILY_MEETING) {
            publish_meeting(world, who, ev);
        } else {
            publish_followup(world, who, ev);
        }
    }
}

void world_publish(world_t *world, kap_span_t who, const kap_event_t *events, uint32_t n)
{
    world_row_t *saved = malloc(sizeof(world->rows));
    int saved_count = world->row_count;
    KAP_CHECK(saved != NULL);
    memcpy(saved, world->rows, sizeof(world->rows));
    world->verdict = KAP_VERDICT_ACCEPTED;
    world->why = (kap_refusal_t){0};
    world->fx = (kap_effects_t){0};
    for (uint32_t i = 0; i < n; i++) {
        kap_effects_t first = world->fx;
        publish_one(world, who, events, n, i);
        if (i > 0 && world->verdict == KAP_VERDICT_ACCEPTED) {
            world->fx = first;
        }
    }
    if (world->verdict == KAP_VERDICT_REFUSED) { /* a group: all or none */
        memcpy(world->rows, saved, sizeof(world->rows));
        world->row_count = saved_count;
    }
    free(saved);
}
