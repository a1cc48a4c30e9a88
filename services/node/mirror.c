/* SPDX-License-Identifier: MPL-2.0 */
#include "mirror.h"

#include <string.h>

#include "be.h"
#include "err.h"
#include "followup.h"
#include "inbox.h"
#include "log.h"

typedef union {
    kap_referral_t referral;
    kap_forum_t forum;
    kap_meeting_t meeting;
    kap_action_t action;
} state_t;

typedef struct {
    kap_referral_facts_t referral;
    kap_meeting_facts_t meeting;
} facts_t;

/* A row: either state may be absent; without an ahead state the committed one holds. */
typedef struct {
    bool has_committed, has_ahead;
    state_t committed, ahead;
} row_t;

/* --- the four machines as one --- */

/* Table of the machine that judges the type; KAP_TABLE_COUNT when none does. */
static kap_node_table_t table_of(kap_event_type_t type)
{
    const kap_event_row_t *row = kap_event_row(type);
    if (row && row->family == KAP_FAMILY_REFERRAL)
        return KAP_TABLE_REFERRALS;
    switch (type) {
    case KAP_EV_FORUM_SET:
        return KAP_TABLE_FORUMS;
    case KAP_EV_MEETING_PLANNED:
    case KAP_EV_MEETING_MOVED:
    case KAP_EV_MEETING_CANCELLED:
    case KAP_EV_MEETING_HELD:
    case KAP_EV_MEETING_ATTENDED:
        return KAP_TABLE_MEETINGS;
    case KAP_EV_ACTION_AGREED:
    case KAP_EV_ACTION_DONE:
        return KAP_TABLE_ACTIONS;
    default:
        return KAP_TABLE_COUNT;
    }
}

static void state_init(kap_node_table_t table, state_t *state)
{
    if (table == KAP_TABLE_REFERRALS)
        kap_referral_init(&state->referral);
    else if (table == KAP_TABLE_FORUMS)
        kap_forum_init(&state->forum);
    else if (table == KAP_TABLE_MEETINGS)
        kap_meeting_init(&state->meeting);
    else
        kap_action_init(&state->action);
}

static void state_pack(kap_node_table_t table, kap_buf_t *buf, const state_t *state)
{
    if (table == KAP_TABLE_REFERRALS)
        kap_referral_pack(buf, &state->referral);
    else if (table == KAP_TABLE_FORUMS)
        kap_forum_pack(buf, &state->forum);
    else if (table == KAP_TABLE_MEETINGS)
        kap_meeting_pack(buf, &state->meeting);
    else
        kap_action_pack(buf, &state->action);
}

static int state_unpack(kap_node_table_t table, kap_span_t bytes, state_t *state)
{
    if (table == KAP_TABLE_REFERRALS)
        return kap_referral_unpack(bytes, &state->referral);
    if (table == KAP_TABLE_FORUMS)
        return kap_forum_unpack(bytes, &state->forum);
    if (table == KAP_TABLE_MEETINGS)
        return kap_meeting_unpack(bytes, &state->meeting);
    return kap_action_unpack(bytes, &state->action);
}

static int state_judge(kap_node_table_t table, const state_t *before, const kap_event_t *event,
                       const facts_t *facts, int64_t now, state_t *after, kap_refusal_t *why)
{
    kap_effects_t fx;
    memset(&fx, 0, sizeof fx);
    if (table == KAP_TABLE_REFERRALS)
        return kap_referral_judge(&before->referral, event, &facts->referral, now, &after->referral,
                                  &fx, why);
    if (table == KAP_TABLE_FORUMS)
        return kap_forum_judge(&before->forum, event, &facts->meeting, now, &after->forum, &fx,
                               why);
    if (table == KAP_TABLE_MEETINGS)
        return kap_meeting_judge(&before->meeting, event, &facts->meeting, now, &after->meeting,
                                 &fx, why);
    return kap_action_judge(&before->action, event, &facts->meeting, now, &after->action, &fx, why);
}

/* --- rows --- */

/* Row: flags, committed, ahead. */
static int row_decode(kap_node_table_t table, kap_span_t value, row_t *out)
{
    kap_row_t row = kap_row(value);
    uint8_t flags = kap_row_u8(&row);
    kap_span_t committed = kap_row_span(&row);
    kap_span_t ahead = kap_row_span(&row);
    int rc = kap_row_end(&row);
    out->has_committed = flags & 1;
    out->has_ahead = flags & 2;
    if (rc == KAP_OK && out->has_committed)
        rc = state_unpack(table, committed, &out->committed);
    if (rc == KAP_OK && out->has_ahead)
        rc = state_unpack(table, ahead, &out->ahead);
    return rc;
}

static const state_t *row_now(const row_t *row)
{
    return row->has_ahead ? &row->ahead : row->has_committed ? &row->committed : NULL;
}

/* Spans lend from the transaction's memory: only for reading at once. */
static int row_read(kap_txn_t *txn, kap_node_table_t table, kap_span_t id, row_t *row)
{
    kap_key_t key = kap_key_id(id);
    kap_span_t value;
    int rc = kap_txn_get(txn, table, kap_key_span(&key), &value);
    return rc == KAP_OK ? row_decode(table, value, row) : rc;
}

/* The same from a copy in the arena, which lives through writes; absent gives an empty row. */
static int row_load(kap_work_t *work, kap_node_table_t table, kap_span_t id, row_t *row)
{
    kap_key_t key = kap_key_id(id);
    kap_span_t value;
    memset(row, 0, sizeof *row);
    int rc = kap_txn_get(work->txn, table, kap_key_span(&key), &value);
    if (rc == KAP_E_NOTFOUND)
        return KAP_OK;
    if (rc != KAP_OK)
        return rc;
    value = kap_arena_dup(work->arena, value);
    return value.data ? row_decode(table, value, row) : KAP_E_NOMEM;
}

static int case_note(kap_work_t *work, kap_span_t id, const state_t *state)
{
    kap_span_t case_id = state->referral.case_id;
    if (kap_span_empty(case_id))
        return KAP_OK;
    kap_key_t key = kap_key_id_id(case_id, id);
    return kap_txn_put(work->txn, KAP_TABLE_CASES, kap_key_span(&key), kap_span(NULL, 0));
}

static int row_store(kap_work_t *work, kap_node_table_t table, kap_span_t id, const row_t *row)
{
    kap_key_t key = kap_key_id(id);
    const state_t *now = row_now(row);
    if (!now) {
        int gone = kap_txn_delete(work->txn, table, kap_key_span(&key));
        return gone == KAP_E_NOTFOUND ? KAP_OK : gone;
    }
    kap_buf_t committed, ahead, buf;
    kap_buf_init(&committed);
    kap_buf_init(&ahead);
    kap_buf_init(&buf);
    if (row->has_committed)
        state_pack(table, &committed, &row->committed);
    if (row->has_ahead)
        state_pack(table, &ahead, &row->ahead);
    kap_buf_u8(&buf, (uint8_t)((row->has_committed ? 1 : 0) | (row->has_ahead ? 2 : 0)));
    kap_row_put_span(&buf, kap_buf_span(&committed));
    kap_row_put_span(&buf, kap_buf_span(&ahead));
    int rc = committed.err ? committed.err : ahead.err ? ahead.err : buf.err;
    if (rc == KAP_OK)
        rc = kap_txn_put(work->txn, table, kap_key_span(&key), kap_buf_span(&buf));
    if (rc == KAP_OK && table == KAP_TABLE_REFERRALS)
        rc = case_note(work, id, now);
    kap_buf_fini(&committed);
    kap_buf_fini(&ahead);
    kap_buf_fini(&buf);
    return rc;
}

/* --- facts --- */

static kap_span_t region_of(kap_node_table_t table, const state_t *before, const kap_event_t *event)
{
    kap_span_t region = kap_event_span(event, KAP_F_REGION);
    if (!kap_span_empty(region) || !before)
        return region;
    if (table == KAP_TABLE_REFERRALS)
        return before->referral.region;
    if (table == KAP_TABLE_FORUMS)
        return before->forum.region;
    return table == KAP_TABLE_MEETINGS ? before->meeting.region : before->action.region;
}

/* What the rows know of the case and the parent. Its size and root are a lower bound: this node
 * sees only referrals that touch its member. */
static int case_facts(kap_work_t *work, const kap_event_t *event, kap_referral_facts_t *facts)
{
    kap_span_t case_id = kap_event_span(event, KAP_F_CASE);
    kap_span_t parent = kap_event_span(event, KAP_F_PARENT);
    kap_span_t reopens = kap_event_span(event, KAP_F_REOPENS);
    row_t row;
    facts->root_created_at = KAP_REFERRAL_NO_TIME;
    kap_walk_t walk = kap_walk(work->txn, KAP_TABLE_CASES, case_id, 0);
    while (kap_walk_next(&walk)) {
        walk.err = row_load(work, KAP_TABLE_REFERRALS, kap_walk_id(&walk), &row);
        const state_t *now = walk.err == KAP_OK ? row_now(&row) : NULL;
        if (!now)
            continue;
        facts->case_size++;
        const kap_referral_t *r = &now->referral;
        if (kap_span_empty(r->parent) && r->state != KAP_STATE_VOIDED &&
            (facts->root_created_at == KAP_REFERRAL_NO_TIME ||
             r->created_at < facts->root_created_at))
            facts->root_created_at = r->created_at;
    }
    int rc = kap_walk_end(&walk);
    if (rc == KAP_OK && parent.size && parent.size <= KAP_LIMIT_ID_BYTES) {
        rc = row_load(work, KAP_TABLE_REFERRALS, parent, &row);
        const state_t *now = row_now(&row);
        if (rc == KAP_OK && now) {
            facts->parent_known = true;
            facts->parent_voided = now->referral.state == KAP_STATE_VOIDED;
            facts->parent_same_case = kap_span_eq(now->referral.case_id, case_id);
            facts->parent_to_is_sender =
                kap_span_eq(now->referral.to, kap_event_span(event, KAP_F_FROM));
        }
    }
    if (rc == KAP_OK && reopens.size && reopens.size <= KAP_LIMIT_ID_BYTES) {
        rc = row_load(work, KAP_TABLE_REFERRALS, reopens, &row);
        const state_t *now = row_now(&row);
        facts->reopens_known = rc == KAP_OK && now;
        facts->reopens_terminal = rc == KAP_OK && now && kap_state_is_terminal(now->referral.state);
    }
    return rc;
}

/* Who publishes, and the settings of region and recipient. */
static void referral_facts(kap_work_t *work, const kap_referral_t *before, const kap_event_t *event,
                           kap_referral_facts_t *facts)
{
    const kap_directory_t *dir = work->node->directory;
    bool creates = event->type == KAP_EV_REFERRAL_CREATED;
    kap_span_t who = kap_followup_member(event);
    kap_span_t from = creates || !before ? kap_event_span(event, KAP_F_FROM) : before->from;
    kap_span_t to = creates || !before ? kap_event_span(event, KAP_F_TO) : before->to;
    kap_span_t in = creates || !before ? kap_event_span(event, KAP_F_REGION) : before->region;
    const kap_member_t *publisher = kap_directory_member(dir, who);
    const kap_member_t *sender = kap_directory_member(dir, from);
    const kap_member_t *recipient = kap_directory_member(dir, to);
    const kap_region_t *region = kap_directory_region(dir, in);
    facts->is_sender = kap_span_eq(who, from);
    facts->is_recipient = kap_span_eq(who, to);
    facts->is_broker = kap_span_eq(who, KAP_SPAN("broker"));
    facts->is_operator = publisher && (publisher->roles & KAP_ROLE_OPERATOR);
    if (region && publisher && kap_member_speaks(publisher, region))
        facts->is_sender = facts->is_recipient = true;
    facts->bench = region && region->kind == KAP_REGION_KIND_BENCH;
    facts->from_in_region = region && sender && kap_member_in_region(sender, region);
    facts->to_known = recipient && kap_member_valid(recipient, work->now_ms);
    facts->to_in_region = region && recipient && kap_member_serves_region(recipient, region);
    facts->internal = sender && recipient && sender->organisation.size &&
                      kap_span_eq(sender->organisation, recipient->organisation);
    facts->recipient_is_authority = recipient && recipient->is_authority;
    facts->answer_days = region ? region->answer_days : 0;
    facts->contact_days = region ? region->contact_days : 0;
    facts->closures = recipient ? recipient->closures : NULL;
}

/* What is known of a forum. It may be another node's, seen in the region's stream only: let it
 * pass. */
static int forum_facts(kap_work_t *work, kap_span_t forum, const kap_event_t *event,
                       kap_meeting_facts_t *facts)
{
    row_t row;
    if (forum.size == 0 || forum.size > KAP_LIMIT_ID_BYTES)
        return KAP_OK;
    int rc = row_load(work, KAP_TABLE_FORUMS, forum, &row);
    if (rc != KAP_OK)
        return rc;
    const state_t *now = row_now(&row);
    facts->forum_known = true;
    facts->forum_owner = now ? now->forum.owner : facts->publisher;
    facts->forum_region = now ? now->forum.region : kap_event_span(event, KAP_F_REGION);
    return KAP_OK;
}

static int meeting_facts(kap_work_t *work, kap_node_table_t table, const state_t *before,
                         const kap_event_t *event, kap_meeting_facts_t *facts)
{
    const kap_directory_t *dir = work->node->directory;
    row_t row;
    facts->publisher = kap_followup_member(event);
    const kap_member_t *publisher = kap_directory_member(dir, facts->publisher);
    kap_span_t forum = kap_event_span(event, KAP_F_FORUM);
    if (table == KAP_TABLE_MEETINGS && before && kap_span_empty(forum))
        forum = before->meeting.forum;
    kap_span_t region_id = region_of(table, before, event);
    kap_span_t meeting = kap_event_span(event, KAP_F_MEETING);
    if (table == KAP_TABLE_ACTIONS && meeting.size && meeting.size <= KAP_LIMIT_ID_BYTES) {
        int rc = row_load(work, KAP_TABLE_MEETINGS, meeting, &row);
        if (rc != KAP_OK)
            return rc;
        const state_t *now = row_now(&row);
        facts->meeting_known = now != NULL;
        facts->meeting_owner = now ? now->meeting.owner : kap_span(NULL, 0);
        facts->meeting_region = now ? now->meeting.region : kap_span(NULL, 0);
        forum = now ? now->meeting.forum : forum;
        if (kap_span_empty(region_id) && now)
            region_id = now->meeting.region;
    }
    const kap_region_t *region = kap_directory_region(dir, region_id);
    facts->is_coordinator = publisher && region && kap_member_coordinates(publisher, region);
    facts->region_known = region != NULL;
    facts->in_region = publisher && region && kap_member_serves_region(publisher, region);
    return table == KAP_TABLE_FORUMS ? KAP_OK : forum_facts(work, forum, event, facts);
}

/* For what the broker has decided: every fact says yes, but for who it was. */
static void all_known(kap_referral_facts_t *facts, const kap_referral_t *before)
{
    facts->bench = true;
    facts->from_in_region = facts->to_known = facts->to_in_region = true;
    facts->parent_known = facts->parent_same_case = facts->parent_to_is_sender = true;
    facts->parent_voided = false;
    facts->reopens_known = facts->reopens_terminal = true;
    facts->recipient_is_authority = false;
    facts->case_size = 0;
    bool known = facts->is_sender || facts->is_recipient || facts->is_operator || facts->is_broker;
    if (before && !known)
        facts->is_sender = facts->is_recipient = true; /* somebody who may speak for them */
}

/* --- judging and applying --- */

static int judge_followup(kap_work_t *work, const kap_event_t *event, kap_refusal_t *why)
{
    const kap_directory_t *dir = work->node->directory;
    kap_followup_facts_t facts = {.publisher = kap_followup_member(event)};
    const kap_member_t *publisher = kap_directory_member(dir, facts.publisher);
    const kap_region_t *region = kap_directory_region(dir, kap_event_span(event, KAP_F_REGION));
    kap_span_t to_id = kap_event_span(event, KAP_F_TO);
    const kap_member_t *from = kap_directory_member(dir, kap_event_span(event, KAP_F_FROM));
    const kap_member_t *to = kap_directory_member(dir, to_id);
    facts.is_operator = publisher && (publisher->roles & KAP_ROLE_OPERATOR);
    facts.is_coordinator = publisher && region && kap_member_coordinates(publisher, region);
    facts.region_known = region != NULL;
    facts.in_region = publisher && region && kap_member_serves_region(publisher, region);
    facts.from_known = from != NULL;
    facts.to_known = to != NULL || kap_referral_is_external(to_id);
    facts.item_known = true; /* it may be another member's, unseen here */
    kap_span_t statement = kap_event_span(event, KAP_F_STATEMENT);
    if (statement.size && statement.size <= KAP_LIMIT_ID_BYTES)
        facts.asked = kap_mirror_statement(work->txn, statement, &facts.asked_by, &facts.asked_of,
                                           &facts.given) == KAP_OK;
    kap_effects_t fx;
    memset(&fx, 0, sizeof fx);
    int verdict = kap_followup_judge(event, &facts, work->now_ms, &fx, why);
    return verdict == KAP_VERDICT_REFUSED ? KAP_E_DENIED : KAP_OK;
}

/* Forums and meetings of others are told in the region's stream, which no node follows: that one
 * is unknown here says nothing. */
static bool is_ignorance(const kap_refusal_t *why)
{
    return why->number == KAP_REFUSAL_ILLEGAL_UNKNOWN_MEETING ||
           why->number == KAP_REFUSAL_ILLEGAL_UNKNOWN_ACTION ||
           why->number == KAP_REFUSAL_ILLEGAL_UNKNOWN_FORUM;
}

int kap_mirror_judge(kap_work_t *work, const kap_event_t *event, const kap_event_t *group,
                     uint32_t group_count, bool *already, kap_refusal_t *why)
{
    *already = false;
    kap_node_table_t table = table_of(event->type);
    if (table == KAP_TABLE_COUNT)
        return judge_followup(work, event, why);
    row_t row;
    state_t none, after;
    facts_t facts;
    memset(&facts, 0, sizeof facts);
    int rc = row_load(work, table, event->subject, &row);
    if (rc != KAP_OK)
        return rc;
    const state_t *before = row_now(&row);
    if (table == KAP_TABLE_REFERRALS) {
        referral_facts(work, before ? &before->referral : NULL, event, &facts.referral);
        facts.referral.group = group;
        facts.referral.group_count = group_count;
        if (event->type == KAP_EV_REFERRAL_CREATED)
            rc = case_facts(work, event, &facts.referral);
    } else {
        rc = meeting_facts(work, table, before, event, &facts.meeting);
    }
    if (rc != KAP_OK)
        return rc;
    if (!before) {
        state_init(table, &none);
        before = &none;
    }
    int verdict = state_judge(table, before, event, &facts, work->now_ms, &after, why);
    *already = verdict == KAP_VERDICT_ALREADY_SO;
    return verdict == KAP_VERDICT_REFUSED && !is_ignorance(why) ? KAP_E_DENIED : KAP_OK;
}

/* The child that a committed redirect must have had. */
static void child_made_up(const kap_event_t *event, const kap_referral_t *before,
                          kap_value_t values[4], kap_event_t *child)
{
    memset(child, 0, sizeof *child);
    values[0] = (kap_value_t){.field = KAP_F_REFERRAL, .part = KAP_PART_OPEN};
    values[0].s = kap_event_span(event, KAP_F_NEXT);
    values[1] = (kap_value_t){.field = KAP_F_FROM, .part = KAP_PART_OPEN};
    values[1].s = before->to;
    values[2] = (kap_value_t){.field = KAP_F_CASE, .part = KAP_PART_ENDS};
    values[2].s = before->case_id;
    values[3] = (kap_value_t){.field = KAP_F_PARENT, .part = KAP_PART_ENDS};
    values[3].s = kap_event_span(event, KAP_F_REFERRAL);
    child->type = KAP_EV_REFERRAL_CREATED;
    child->family = KAP_FAMILY_REFERRAL;
    child->values = values;
    child->value_count = 4;
}

/* Applies what was decided, or (own, on its way) will most likely be. Where this node's machine
 * says no all the same the state stays as it is. `targets`: of a `created`, as the broker told
 * them; NULL: the directory's. */
static int apply(kap_work_t *work, kap_node_table_t table, const state_t *before_or_none,
                 const kap_event_t *event, const kap_mirror_targets_t *targets, int64_t at_ms,
                 state_t *after, bool *applied)
{
    state_t before;
    facts_t facts;
    kap_value_t values[4];
    kap_event_t child;
    kap_refusal_t why = {0};
    memset(&facts, 0, sizeof facts);
    if (before_or_none)
        before = *before_or_none;
    else
        state_init(table, &before);
    *applied = false;
    if (table == KAP_TABLE_REFERRALS) {
        referral_facts(work, before_or_none ? &before.referral : NULL, event, &facts.referral);
        facts.referral.root_created_at = KAP_REFERRAL_NO_TIME;
        if (event->type == KAP_EV_REFERRAL_CREATED) {
            int rc = case_facts(work, event, &facts.referral);
            if (rc != KAP_OK)
                return rc;
        }
        all_known(&facts.referral, before_or_none ? &before.referral : NULL);
        if (targets && targets->answer_days > 0) {
            facts.referral.answer_days = targets->answer_days;
            facts.referral.contact_days = targets->contact_days;
        }
        child_made_up(event, &before.referral, values, &child);
        facts.referral.group = &child;
        facts.referral.group_count = 1;
        if (event->type == KAP_EV_REFERRAL_EXPIRED && before.referral.due_at > at_ms)
            before.referral.due_at = at_ms; /* the broker's calendar decided */
    } else {
        int rc = meeting_facts(work, table, before_or_none, event, &facts.meeting);
        if (rc != KAP_OK)
            return rc;
        facts.meeting.is_coordinator = facts.meeting.region_known = facts.meeting.in_region = true;
        facts.meeting.forum_known = facts.meeting.meeting_known = true;
    }
    int verdict = state_judge(table, &before, event, &facts, at_ms, after, &why);
    *applied = verdict == KAP_VERDICT_ACCEPTED;
    return KAP_OK;
}

static int pending_set(kap_work_t *work, kap_span_t subject, uint32_t line, uint64_t sequence,
                       bool on)
{
    kap_key_t key = kap_key_id_u32_u64(subject, line, sequence);
    if (on)
        return kap_txn_put(work->txn, KAP_TABLE_PENDING, kap_key_span(&key), kap_span(NULL, 0));
    int rc = kap_txn_delete(work->txn, KAP_TABLE_PENDING, kap_key_span(&key));
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int outbox_decode(kap_work_t *work, const kap_outbox_row_t *row, kap_event_t *event)
{
    return kap_event_decode(row->open, row->ends, row->sealed, work->arena, event, NULL);
}

/* The state ahead anew: the committed one, then every own event of the subject on its way. */
static int ahead_anew(kap_work_t *work, kap_node_table_t table, kap_span_t subject, row_t *row)
{
    state_t now = row->committed;
    bool has = row->has_committed;
    row->has_ahead = false;
    kap_walk_t walk = kap_walk(work->txn, KAP_TABLE_PENDING, subject, 0);
    while (kap_walk_next(&walk)) {
        kap_outbox_row_t out;
        kap_event_t event;
        state_t after;
        bool applied = false;
        if (walk.rest.size != 12) {
            walk.err = KAP_E_CORRUPT;
            break;
        }
        walk.err = kap_outbox_load(work->txn, kap_be_get_u32(walk.rest.data),
                                   kap_be_get_u64(walk.rest.data + 4), work->arena, &out);
        if (walk.err == KAP_OK)
            walk.err = outbox_decode(work, &out, &event);
        if (walk.err == KAP_OK)
            walk.err =
                apply(work, table, has ? &now : NULL, &event, NULL, work->now_ms, &after, &applied);
        if (applied) {
            now = after;
            has = row->has_ahead = true;
        }
    }
    row->ahead = now;
    return kap_walk_end(&walk);
}

/* Stores a row whose committed state, or whose events on their way, have changed. */
static int settle(kap_work_t *work, kap_node_table_t table, kap_span_t subject, row_t *row)
{
    int rc = ahead_anew(work, table, subject, row);
    return rc == KAP_OK ? row_store(work, table, subject, row) : rc;
}

/* An own event goes on its way, or is no longer on it; nothing else changes. */
static int pending_moved(kap_work_t *work, kap_node_table_t table, kap_span_t subject,
                         uint32_t line, uint64_t sequence, bool on)
{
    row_t row;
    int rc = pending_set(work, subject, line, sequence, on);
    if (rc == KAP_OK)
        rc = row_load(work, table, subject, &row);
    return rc == KAP_OK ? settle(work, table, subject, &row) : rc;
}

/* The broker took the event: the committed state moves. */
static int apply_committed(kap_work_t *work, kap_node_table_t table, const kap_event_t *event,
                           const kap_mirror_targets_t *targets, int64_t at_ms, row_t *row)
{
    state_t after;
    bool applied;
    int rc = apply(work, table, row->has_committed ? &row->committed : NULL, event, targets, at_ms,
                   &after, &applied);
    if (rc == KAP_OK && applied) {
        row->has_committed = true;
        row->committed = after;
    }
    return rc;
}

/* Row: given, from, to. */
static int statement_note(kap_work_t *work, const kap_event_t *event)
{
    kap_span_t id = kap_event_span(event, KAP_F_STATEMENT);
    if (kap_span_empty(id) || id.size > KAP_LIMIT_ID_BYTES)
        return KAP_OK;
    kap_span_t from = kap_event_span(event, KAP_F_FROM), to = kap_event_span(event, KAP_F_TO);
    bool given = event->type == KAP_EV_STATEMENT_GIVEN, had;
    if (given && kap_mirror_statement(work->txn, id, &from, &to, &had) != KAP_OK)
        return KAP_OK;
    kap_buf_t buf;
    kap_buf_init(&buf);
    kap_buf_u8(&buf, given);
    kap_row_put_span(&buf, from);
    kap_row_put_span(&buf, to);
    kap_key_t key = kap_key_id(id);
    int rc = buf.err;
    if (rc == KAP_OK)
        rc = kap_txn_put(work->txn, KAP_TABLE_STATEMENTS, kap_key_span(&key), kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return rc;
}

int kap_mirror_statement(kap_txn_t *txn, kap_span_t id, kap_span_t *from, kap_span_t *to,
                         bool *given)
{
    kap_key_t key = kap_key_id(id);
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_STATEMENTS, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc;
    kap_row_t row = kap_row(value);
    *given = kap_row_u8(&row) != 0;
    *from = kap_row_span(&row);
    *to = kap_row_span(&row);
    return kap_row_end(&row);
}

int kap_mirror_queue(kap_work_t *work, const kap_event_t *event, uint32_t line, uint64_t sequence)
{
    kap_node_table_t table = table_of(event->type);
    if (table == KAP_TABLE_COUNT)
        return statement_note(work, event);
    row_t row;
    int rc = pending_set(work, event->subject, line, sequence, true);
    if (rc == KAP_OK)
        rc = row_load(work, table, event->subject, &row);
    if (rc == KAP_OK) {
        state_t after;
        bool applied;
        const state_t *before = row_now(&row);
        rc = apply(work, table, before, event, NULL, work->now_ms, &after, &applied);
        if (rc == KAP_OK && applied) {
            row.has_ahead = true;
            row.ahead = after;
            rc = row_store(work, table, event->subject, &row);
        }
    }
    return rc;
}

int kap_mirror_commit(kap_work_t *work, const kap_event_t *event, int verdict,
                      const kap_mirror_targets_t *targets, int64_t committed_at_ms,
                      uint32_t own_line)
{
    kap_node_table_t table = table_of(event->type);
    if (verdict == KAP_VERDICT_REFUSED || kap_span_empty(event->subject) ||
        event->subject.size > KAP_LIMIT_ID_BYTES)
        return KAP_OK;
    if (table == KAP_TABLE_COUNT)
        return statement_note(work, event);
    row_t row;
    int rc = row_load(work, table, event->subject, &row);
    if (rc == KAP_OK && verdict == KAP_VERDICT_ACCEPTED)
        rc = apply_committed(work, table, event, targets, committed_at_ms, &row);
    if (rc == KAP_OK && own_line)
        rc = pending_set(work, event->subject, own_line, event->sequence, false);
    return rc == KAP_OK ? settle(work, table, event->subject, &row) : rc;
}

int kap_mirror_receipt(kap_work_t *work, const kap_outbox_row_t *out, uint32_t line,
                       uint64_t sequence, bool refused)
{
    kap_event_t event;
    if (kap_span_empty(out->subject))
        return KAP_OK;
    int rc = outbox_decode(work, out, &event);
    if (rc != KAP_OK)
        return rc;
    kap_node_table_t table = table_of(event.type);
    /* A referral's accepted events come back in the member's stream, in the log's order. */
    if (table == KAP_TABLE_COUNT || (table == KAP_TABLE_REFERRALS && !refused))
        return KAP_OK;
    if (!refused)
        return kap_mirror_commit(work, &event, KAP_VERDICT_ACCEPTED, NULL, work->now_ms, line);
    return pending_moved(work, table, event.subject, line, sequence, false);
}

int kap_mirror_pending_again(kap_work_t *work, const kap_outbox_row_t *out, uint32_t line,
                             uint64_t sequence)
{
    kap_event_t event;
    if (kap_span_empty(out->subject))
        return KAP_OK;
    int rc = outbox_decode(work, out, &event);
    if (rc != KAP_OK || table_of(event.type) != KAP_TABLE_REFERRALS)
        return rc;
    return pending_moved(work, KAP_TABLE_REFERRALS, event.subject, line, sequence, true);
}

/* One row of the stream, applied to the committed state. */
static int replay(kap_work_t *work, kap_node_table_t table, uint64_t stream_seq,
                  const kap_mirror_targets_t *targets, row_t *row)
{
    kap_inbox_row_t in;
    kap_event_t event;
    int rc = kap_inbox_row_load(work->txn, stream_seq, work->arena, &in);
    if (rc != KAP_OK || in.verdict != KAP_VERDICT_ACCEPTED)
        return rc;
    if (kap_event_decode(in.open, in.ends, in.sealed, work->arena, &event, NULL) != KAP_OK ||
        table_of(event.type) != table)
        return KAP_OK;
    return apply_committed(work, table, &event, targets, in.committed_at_ms, row);
}

int kap_mirror_rebuild(kap_work_t *work, kap_event_type_t type, kap_span_t subject)
{
    kap_node_table_t table = table_of(type);
    row_t was, row = {0};
    kap_mirror_targets_t targets = {0};
    if (table != KAP_TABLE_REFERRALS)
        return KAP_OK;
    int rc = row_load(work, table, subject, &was);
    if (rc == KAP_OK && was.has_committed) /* the `created` that stays was told with these */
        targets = (kap_mirror_targets_t){was.committed.referral.answer_days,
                                         was.committed.referral.contact_days};
    kap_walk_t walk = kap_walk(work->txn, KAP_TABLE_SUBJECTS, subject, 0);
    if (rc != KAP_OK)
        walk.err = rc;
    while (kap_walk_next(&walk)) {
        uint64_t seq = kap_walk_u64(&walk);
        if (walk.err == KAP_OK)
            walk.err = replay(work, table, seq, &targets, &row);
    }
    rc = kap_walk_end(&walk);
    return rc == KAP_OK ? settle(work, table, subject, &row) : rc;
}

/* --- reading --- */

static int now_of(kap_txn_t *txn, kap_node_table_t table, kap_span_t id, state_t *state,
                  bool *is_committed)
{
    row_t row;
    if (kap_span_empty(id) || id.size > KAP_LIMIT_ID_BYTES)
        return KAP_E_NOTFOUND;
    int rc = row_read(txn, table, id, &row);
    const state_t *now = rc == KAP_OK ? row_now(&row) : NULL;
    if (!now)
        return rc == KAP_OK ? KAP_E_NOTFOUND : rc;
    *state = *now;
    if (is_committed)
        *is_committed = row.has_committed;
    return KAP_OK;
}

int kap_mirror_referral(kap_txn_t *txn, kap_span_t id, kap_referral_t *r, bool *is_committed)
{
    state_t state;
    int rc = now_of(txn, KAP_TABLE_REFERRALS, id, &state, is_committed);
    if (rc == KAP_OK)
        *r = state.referral;
    return rc;
}

int kap_mirror_referral_row(kap_span_t value, kap_referral_t *r, bool *is_committed)
{
    row_t row;
    int rc = row_decode(KAP_TABLE_REFERRALS, value, &row);
    const state_t *now = rc == KAP_OK ? row_now(&row) : NULL;
    if (!now)
        return rc == KAP_OK ? KAP_E_CORRUPT : rc;
    *r = now->referral;
    *is_committed = row.has_committed;
    return KAP_OK;
}

int kap_mirror_meeting(kap_txn_t *txn, kap_span_t id, kap_meeting_t *m)
{
    state_t state;
    int rc = now_of(txn, KAP_TABLE_MEETINGS, id, &state, NULL);
    if (rc == KAP_OK)
        *m = state.meeting;
    return rc;
}

int kap_mirror_forum(kap_txn_t *txn, kap_span_t id, kap_forum_t *f)
{
    state_t state;
    int rc = now_of(txn, KAP_TABLE_FORUMS, id, &state, NULL);
    if (rc == KAP_OK)
        *f = state.forum;
    return rc;
}

int kap_mirror_action(kap_txn_t *txn, kap_span_t id, kap_action_t *a)
{
    state_t state;
    int rc = now_of(txn, KAP_TABLE_ACTIONS, id, &state, NULL);
    if (rc == KAP_OK)
        *a = state.action;
    return rc;
}
