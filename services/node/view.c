/* SPDX-License-Identifier: MPL-2.0 */
#include "view.h"

#include <inttypes.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "event.h"
#include "fate.h"
#include "ids.h"
#include "inbox.h"
#include "localpub.h"
#include "mirror.h"

/* Rows of one answer; more would pass the limit of objects in one bin. */
#define ROWS_DEFAULT 50
#define ROWS_MAX     80
#define EVENTS_MAX   100
#define EVENTS_BYTES (700u * 1024)

/* --- maps whose size is known at the end --- */

typedef struct {
    kap_buf_t body;
    uint32_t pairs;
} map_t;

static void key(map_t *map, const char *name)
{
    map->pairs++;
    kap_mp_put_cstr(&map->body, name);
}

static void put_span(map_t *map, const char *name, kap_span_t value)
{
    if (kap_span_empty(value))
        return;
    key(map, name);
    kap_mp_put_str(&map->body, value);
}

static void put_str(map_t *map, const char *name, const char *value)
{
    put_span(map, name, kap_span_str(value));
}

static void put_int(map_t *map, const char *name, int64_t value)
{
    key(map, name);
    kap_mp_put_int(&map->body, value);
}

static void put_time(map_t *map, const char *name, int64_t value)
{
    if (value != KAP_REFERRAL_NO_TIME)
        put_int(map, name, value);
}

static void put_bool(map_t *map, const char *name, bool value)
{
    key(map, name);
    kap_mp_put_bool(&map->body, value);
}

static void put_code(map_t *map, const char *name, kap_code_list_t list, int code)
{
    put_str(map, name, kap_code_name(list, code));
}

/* Appends the map and frees what it held. */
static void map_end(map_t *map, kap_buf_t *out)
{
    kap_mp_put_map(out, map->pairs);
    kap_buf_append(out, kap_buf_span(&map->body));
    if (map->body.err && !out->err)
        out->err = map->body.err;
    kap_buf_fini(&map->body);
    map->pairs = 0;
}

/* An array of such maps. */
typedef struct {
    kap_buf_t body;
    uint32_t items;
} list_t;

static void put_list(map_t *map, const char *name, list_t *list)
{
    key(map, name);
    kap_mp_put_array(&map->body, list->items);
    kap_buf_append(&map->body, kap_buf_span(&list->body));
    kap_buf_wipe(&list->body);
}

/* The answer of one page of rows. The walk over them ended with rc: at the end of the table, or
 * with an error that is passed on. */
static int list_end(map_t *map, const char *name, list_t *list, bool more, int rc, kap_buf_t *out)
{
    put_list(map, name, list);
    put_bool(map, "more", more);
    map_end(map, out);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* --- errors and acts --- */

void kap_view_error(kap_buf_t *out, const char *code, const char *sentence)
{
    map_t error = {0};
    put_str(&error, "code", code);
    put_str(&error, "sentence", sentence);
    kap_mp_put_map(out, 1);
    kap_mp_put_cstr(out, "error");
    map_end(&error, out);
}

void kap_view_act_result(const kap_act_result_t *result, kap_buf_t *out)
{
    map_t map = {0}, error = {0};
    put_bool(&map, "accepted", result->accepted);
    if (result->accepted) {
        put_int(&map, "act", (int64_t)result->act);
        put_str(&map, "fate", kap_fate_word(KAP_FATE_QUEUED));
        put_str(&map, "subject", result->subject);
        put_str(&map, "case", result->correlation);
        put_str(&map, "next", result->next);
        put_bool(&map, "repeated", result->repeated);
        map_end(&map, out);
        return;
    }
    put_str(&error, "code", result->code);
    put_str(&error, "sentence", result->sentence);
    put_str(&error, "field", result->field);
    if (result->candidate_count) {
        key(&error, "candidates");
        kap_mp_put_array(&error.body, (uint32_t)result->candidate_count);
        for (size_t i = 0; i < result->candidate_count; i++)
            kap_mp_put_cstr(&error.body, result->candidates[i]);
    }
    key(&map, "error");
    map_end(&error, &map.body);
    map_end(&map, out);
}

void kap_view_fate(const kap_act_fate_t *fate, kap_buf_t *out)
{
    map_t map = {0};
    put_int(&map, "act", (int64_t)fate->act);
    put_str(&map, "verb", kap_act_verb_word(fate->verb));
    put_str(&map, "fate", kap_fate_word(fate->fate));
    put_int(&map, "at", fate->at_ms);
    put_str(&map, "subject", fate->subject);
    if (fate->log_seq)
        put_int(&map, "log_seq", (int64_t)fate->log_seq);
    put_str(&map, "code", fate->code);
    put_str(&map, "sentence", fate->sentence);
    map_end(&map, out);
}

/* --- one row --- */

static const struct {
    const char *name;
    uint32_t flag;
} shown_flags[] = {{"on_hold", KAP_RF_ON_HOLD},
                   {"withdraw_requested", KAP_RF_WITHDRAW_REQUESTED},
                   {"late", KAP_RF_LATE},
                   {"contact_late", KAP_RF_CONTACT_LATE},
                   {"warm", KAP_RF_WARM},
                   {"return_expected", KAP_RF_RETURN_EXPECTED},
                   {"did_not_come", KAP_RF_DID_NOT_COME},
                   {"consent_withdrawn", KAP_RF_CONSENT_WITHDRAWN},
                   {"shared", KAP_RF_SHARED}};

static void referral_map(kap_span_t id, const kap_referral_t *r, bool is_committed, map_t *map)
{
    put_span(map, "referral", id);
    put_span(map, "from", r->from);
    put_span(map, "to", r->to);
    put_span(map, "region", r->region);
    put_span(map, "case", r->case_id);
    put_span(map, "parent", r->parent);
    put_span(map, "next", r->next);
    put_str(map, "state", kap_state_name(r->state));
    put_code(map, "kind", KAP_LIST_KIND, r->kind);
    put_code(map, "service", KAP_LIST_SERVICE, r->service);
    put_code(map, "segment", KAP_LIST_SEGMENT, r->segment);
    put_code(map, "language", KAP_LIST_LANGUAGE, r->language);
    put_code(map, "origin", KAP_LIST_ORIGIN, r->origin);
    put_code(map, "outcome", KAP_LIST_OUTCOME, r->outcome);
    put_code(map, "detail", KAP_LIST_DETAIL, r->detail);
    put_code(map, "reason",
             r->state == KAP_STATE_WITHDRAWN ? KAP_LIST_WITHDRAW
             : r->state == KAP_STATE_VOIDED  ? KAP_LIST_VOID
                                             : KAP_LIST_DECLINE,
             r->reason);
    put_time(map, "created_at", r->created_at);
    put_time(map, "delivered_at", r->delivered_at);
    put_time(map, "accepted_at", r->accepted_at);
    put_time(map, "contact_at", r->contact_at);
    put_time(map, "ended_at", r->ended_at);
    put_time(map, "answer_received_at", r->answer_received_at);
    put_time(map, "expired_at", r->expired_at);
    if (r->due_kind != KAP_DEADLINE_NONE)
        put_time(map, "due_at", r->due_at);
    for (size_t i = 0; i < sizeof shown_flags / sizeof shown_flags[0]; i++)
        put_bool(map, shown_flags[i].name, (r->flags & shown_flags[i].flag) != 0);
    put_bool(map, "committed", is_committed);
}

static void referral_add(kap_span_t id, const kap_referral_t *r, bool is_committed, list_t *list)
{
    map_t one = {0};
    referral_map(id, r, is_committed, &one);
    map_end(&one, &list->body);
    list->items++;
}

typedef struct {
    const kap_mp_t *request;
    kap_arena_t *arena;
    kap_buf_t *out;
} ask_t;

static uint32_t limit_of(const kap_mp_t *request)
{
    int64_t limit = kap_mp_get_int(request, "limit", ROWS_DEFAULT);
    return limit < 1 ? 1 : limit > ROWS_MAX ? ROWS_MAX : (uint32_t)limit;
}

static bool is_wanted(const kap_node_t *node, const kap_mp_t *request, const kap_referral_t *r)
{
    kap_span_t side = kap_mp_get_str(request, "side");
    kap_span_t self = kap_span_str(node->member);
    bool open_only = kap_mp_get_bool(request, "open", false);
    if (open_only && kap_state_is_terminal(r->state))
        return false;
    if (kap_span_eq_str(side, "out"))
        return kap_span_eq(r->from, self);
    return kap_span_eq(r->to, self);
}

static bool ends_with(kap_span_t id, kap_span_t tail)
{
    return tail.size <= id.size &&
           kap_span_eq(kap_span_sub(id, id.size - tail.size, tail.size), tail);
}

static int view_inbox(kap_node_t *node, kap_txn_t *txn, const ask_t *ask)
{
    kap_span_t after = kap_mp_get_str(ask->request, "after");
    kap_span_t tail = kap_mp_get_str(ask->request, "ends");
    uint32_t limit = limit_of(ask->request);
    kap_cursor_t *cursor = NULL;
    list_t list = {0};
    map_t map = {0};
    bool more = false;
    kap_key_t from = kap_key_id(kap_span_sub(after, 0, KAP_LIMIT_ID_BYTES));
    int rc = kap_cursor_open(txn, KAP_TABLE_REFERRALS, &cursor);
    if (rc == KAP_OK)
        rc = kap_cursor_seek_ge(cursor, after.size ? kap_key_span(&from) : kap_span(NULL, 0));
    for (; rc == KAP_OK; rc = kap_cursor_next(cursor)) {
        kap_referral_t r;
        bool committed;
        kap_span_t id = kap_key_first_id(kap_cursor_key(cursor), NULL);
        if (!ends_with(id, tail))
            continue;
        rc = kap_mirror_referral_row(kap_cursor_value(cursor), &r, &committed);
        if (rc != KAP_OK)
            break;
        if (kap_span_eq(id, after) || !is_wanted(node, ask->request, &r))
            continue;
        more = list.items == limit;
        if (more)
            break;
        referral_add(id, &r, committed, &list);
    }
    kap_cursor_close(&cursor);
    return list_end(&map, "referrals", &list, more, rc, ask->out);
}

static void outbox_map(uint32_t line, uint64_t seq, const kap_outbox_row_t *row, kap_arena_t *arena,
                       map_t *map)
{
    kap_event_t event;
    kap_event_decode(row->open, row->ends, row->sealed, arena, &event, NULL);
    put_int(map, "line", line);
    put_int(map, "sequence", (int64_t)seq);
    put_str(map, "type", kap_event_type_name(event.type));
    put_span(map, "subject", row->subject);
    put_int(map, "queued_at", row->queued_at);
    if (row->act)
        put_int(map, "act", (int64_t)row->act);
}

static int view_outbox(kap_txn_t *txn, const ask_t *ask)
{
    const kap_mp_t *after = kap_mp_get(ask->request, "after");
    int64_t after_line = 0, after_seq = 0, oldest;
    uint32_t limit = limit_of(ask->request);
    uint64_t waiting = 0;
    kap_line_t line = {0};
    list_t list = {0};
    map_t map = {0};
    bool more = false;
    kap_mp_int(kap_mp_item(after, 0), 0, UINT32_MAX, &after_line);
    kap_mp_int(kap_mp_item(after, 1), 0, INT64_MAX, &after_seq);
    int rc = kap_outbox_waiting(txn, &waiting, &oldest);
    while (rc == KAP_OK && !more && (rc = kap_line_after(txn, line.line, &line)) == KAP_OK) {
        uint64_t seq = line.receipted + 1;
        if (line.line < after_line)
            continue;
        if (line.line == after_line && seq <= (uint64_t)after_seq)
            seq = (uint64_t)after_seq + 1;
        for (; rc == KAP_OK && seq < line.next; seq++) {
            kap_outbox_row_t row;
            more = list.items == limit;
            if (more)
                break;
            rc = kap_outbox_get(txn, line.line, seq, &row);
            if (rc == KAP_OK) {
                map_t one = {0};
                outbox_map(line.line, seq, &row, ask->arena, &one);
                map_end(&one, &list.body);
                list.items++;
            }
        }
    }
    put_int(&map, "waiting", (int64_t)waiting);
    return list_end(&map, "events", &list, more, rc, ask->out);
}

static int view_acts(kap_txn_t *txn, const ask_t *ask)
{
    bool newest = kap_mp_get_bool(ask->request, "newest", false);
    uint64_t after = (uint64_t)kap_mp_get_int(ask->request, "after", newest ? INT64_MAX : 0);
    uint32_t limit = limit_of(ask->request);
    kap_cursor_t *cursor = NULL;
    list_t list = {0};
    map_t map = {0};
    bool more = false;
    kap_key_t from = kap_key_u64(newest ? after - 1 : after + 1);
    int rc = kap_cursor_open(txn, KAP_TABLE_ACTS, &cursor);
    if (rc == KAP_OK)
        rc = newest ? kap_cursor_seek_le(cursor, kap_key_span(&from))
                    : kap_cursor_seek_ge(cursor, kap_key_span(&from));
    for (; rc == KAP_OK; rc = newest ? kap_cursor_prev(cursor) : kap_cursor_next(cursor)) {
        kap_act_fate_t fate;
        more = list.items == limit;
        if (more)
            break;
        rc = kap_fate_get(txn, kap_be_get_u64(kap_cursor_key(cursor).data), &fate, NULL);
        if (rc != KAP_OK)
            break;
        kap_view_fate(&fate, &list.body);
        list.items++;
    }
    kap_cursor_close(&cursor);
    return list_end(&map, "acts", &list, more, rc, ask->out);
}

static int view_fate(kap_txn_t *txn, const ask_t *ask)
{
    kap_act_fate_t fate;
    uint64_t act = (uint64_t)kap_mp_get_int(ask->request, "act", 0);
    int rc = kap_fate_get(txn, act, &fate, NULL);
    if (rc == KAP_OK)
        kap_view_fate(&fate, ask->out);
    if (rc == KAP_E_NOTFOUND)
        kap_view_error(ask->out, "local.not_found", "there is no act of this number");
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* --- show --- */

/* One event of the stream as the JSON text of localpub.h. */
static int event_text(kap_node_t *node, const kap_inbox_row_t *row, kap_arena_t *arena,
                      list_t *list)
{
    kap_event_t event;
    kap_buf_t clear = {0}, json = {0};
    if (kap_event_decode(row->open, row->ends, row->sealed, arena, &event, NULL) != KAP_OK)
        return KAP_OK;
    kap_inbox_unseal(node, &event, &clear);
    kap_received_t received = kap_inbox_received(node, row, &event, kap_buf_span(&clear));
    int rc = kap_localpub_json(&received, true, &json);
    if (rc == KAP_OK) {
        kap_mp_put_str(&list->body, kap_buf_span(&json));
        list->items++;
    }
    kap_buf_wipe(&clear);
    kap_buf_wipe(&json);
    return rc;
}

static int events_of(kap_node_t *node, kap_txn_t *txn, const ask_t *ask, kap_span_t id,
                     list_t *list, bool *more)
{
    uint64_t after = (uint64_t)kap_mp_get_int(ask->request, "after", 0);
    kap_walk_t walk = kap_walk(txn, KAP_TABLE_SUBJECTS, id, after + 1);
    *more = false;
    while (kap_walk_next(&walk)) {
        kap_inbox_row_t row;
        *more = list->items == EVENTS_MAX || list->body.size > EVENTS_BYTES;
        if (*more)
            break;
        uint64_t seq = kap_walk_u64(&walk);
        if (walk.err == KAP_OK)
            walk.err = kap_inbox_row_get(txn, seq, &row);
        if (walk.err == KAP_OK)
            walk.err = event_text(node, &row, ask->arena, list);
    }
    return kap_walk_end(&walk);
}

static int case_of(kap_txn_t *txn, kap_span_t id, list_t *list)
{
    kap_walk_t walk = kap_walk(txn, KAP_TABLE_CASES, id, 0);
    while (list->items < ROWS_MAX && kap_walk_next(&walk)) {
        kap_referral_t r;
        bool committed;
        kap_span_t referral = kap_walk_id(&walk);
        int found = kap_mirror_referral(txn, referral, &r, &committed);
        if (found == KAP_E_NOTFOUND)
            continue;
        walk.err = found;
        if (found == KAP_OK)
            referral_add(referral, &r, committed, list);
    }
    return kap_walk_end(&walk);
}

static void meeting_map(const kap_meeting_t *m, map_t *map)
{
    list_t list = {0};
    put_code(map, "state", KAP_LIST_MEETING, m->state);
    put_span(map, "forum", m->forum);
    put_span(map, "region", m->region);
    put_span(map, "owner", m->owner);
    put_time(map, "planned_at", m->planned_at);
    put_time(map, "held_at", m->held_at);
    put_time(map, "cancelled_at", m->cancelled_at);
    put_int(map, "moves", m->moves);
    put_span(map, "memo", m->memo);
    for (uint32_t i = 0; i < m->attendee_count; i++) {
        kap_mp_put_str(&list.body, m->attendees[i].member);
        list.items++;
    }
    put_list(map, "attendance", &list);
}

/* A meeting, forum or action of that id, under its own name; false when there is none. */
static bool other_map(kap_txn_t *txn, kap_span_t id, map_t *map)
{
    kap_meeting_t m;
    kap_forum_t f;
    kap_action_t a;
    map_t one = {0};
    const char *name = NULL;
    if (kap_mirror_meeting(txn, id, &m) == KAP_OK) {
        name = "meeting";
        meeting_map(&m, &one);
    } else if (kap_mirror_forum(txn, id, &f) == KAP_OK) {
        name = "forum";
        put_span(&one, "name", f.name);
        put_span(&one, "kind", f.kind);
        put_span(&one, "region", f.region);
        put_span(&one, "owner", f.owner);
        put_span(&one, "rrule", f.rrule);
        put_span(&one, "starts", f.starts);
    } else if (kap_mirror_action(txn, id, &a) == KAP_OK) {
        name = "action";
        put_span(&one, "meeting", a.meeting);
        put_span(&one, "responsible", a.responsible);
        put_span(&one, "due", a.due);
        put_bool(&one, "done", a.done);
    }
    if (!name)
        return false;
    key(map, name);
    map_end(&one, &map->body);
    return true;
}

static int view_show(kap_node_t *node, kap_txn_t *txn, const ask_t *ask)
{
    kap_span_t id = kap_mp_get_str(ask->request, "id");
    map_t map = {0}, one = {0};
    list_t events = {0}, referrals = {0};
    kap_referral_t r;
    bool committed, more = false, found = true;
    int rc = id.size && id.size <= KAP_LIMIT_ID_BYTES ? kap_mirror_referral(txn, id, &r, &committed)
                                                      : KAP_E_NOTFOUND;
    if (rc == KAP_OK) {
        referral_map(id, &r, committed, &one);
        key(&map, "referral");
        map_end(&one, &map.body);
    } else if (rc == KAP_E_NOTFOUND && id.size && id.size <= KAP_LIMIT_ID_BYTES) {
        rc = case_of(txn, id, &referrals);
        found = referrals.items > 0;
        if (found)
            put_list(&map, "case", &referrals);
        else
            found = other_map(txn, id, &map);
    } else {
        found = false;
    }
    if (found && (rc == KAP_OK || rc == KAP_E_NOTFOUND))
        rc = events_of(node, txn, ask, id, &events, &more);
    put_list(&map, "events", &events);
    put_bool(&map, "more", more);
    if (!found || rc != KAP_OK) {
        kap_buf_wipe(&map.body);
        if (rc == KAP_OK || rc == KAP_E_NOTFOUND)
            kap_view_error(ask->out, "local.not_found",
                           "this node knows nothing of that id; look in the inbox or the outbox");
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    }
    map_end(&map, ask->out);
    return KAP_OK;
}

static int answer_body(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    const ask_t *ask = arg;
    kap_span_t word = kap_mp_get_str(ask->request, "local");
    if (kap_span_eq_str(word, "inbox"))
        return view_inbox(node, txn, ask);
    if (kap_span_eq_str(word, "outbox"))
        return view_outbox(txn, ask);
    if (kap_span_eq_str(word, "show"))
        return view_show(node, txn, ask);
    if (kap_span_eq_str(word, "acts"))
        return view_acts(txn, ask);
    if (kap_span_eq_str(word, "fate"))
        return view_fate(txn, ask);
    kap_view_error(ask->out, "local.word",
                   "ask one of inbox, outbox, show, acts, fate, health in `local`");
    return KAP_OK;
}

int kap_view_answer(kap_node_t *node, const kap_mp_t *request, kap_buf_t *out)
{
    ask_t ask = {.request = request, .arena = kap_arena_new(16384), .out = out};
    int rc = ask.arena ? kap_work_read(node, answer_body, &ask) : KAP_E_NOMEM;
    kap_arena_destroy(&ask.arena);
    return rc == KAP_OK ? out->err : rc;
}

/* --- JSON --- */

static void json_text(kap_span_t text, kap_buf_t *json)
{
    kap_buf_u8(json, '"');
    kap_buf_json_text(json, text);
    kap_buf_u8(json, '"');
}

/* Depth is bounded by the scan that read the nodes. */
static void json_node(const kap_mp_t *node, kap_buf_t *json)
{
    switch (node->kind) {
    case KAP_MP_NIL:
        kap_buf_str(json, "null");
        break;
    case KAP_MP_BOOL:
        kap_buf_str(json, node->b ? "true" : "false");
        break;
    case KAP_MP_INT:
        kap_buf_printf(json, "%" PRId64, node->i);
        break;
    case KAP_MP_UINT:
        kap_buf_printf(json, "%" PRIu64, node->u);
        break;
    case KAP_MP_STR:
        json_text(node->s, json);
        break;
    case KAP_MP_BIN:
        kap_buf_u8(json, '"');
        for (size_t i = 0; i < node->s.size; i++)
            kap_buf_printf(json, "%02x", node->s.data[i]);
        kap_buf_u8(json, '"');
        break;
    case KAP_MP_ARRAY:
        kap_buf_u8(json, '[');
        for (uint32_t i = 0; i < node->count; i++) {
            kap_buf_str(json, i ? "," : "");
            json_node(kap_mp_item(node, i), json);
        }
        kap_buf_u8(json, ']');
        break;
    case KAP_MP_MAP:
        kap_buf_u8(json, '{');
        for (uint32_t i = 0; i < node->count; i++) {
            const kap_mp_t *name = kap_mp_key(node, i);
            kap_buf_str(json, i ? "," : "");
            json_text(name->kind == KAP_MP_STR ? name->s : KAP_SPAN("?"), json);
            kap_buf_u8(json, ':');
            json_node(kap_mp_value(node, i), json);
        }
        kap_buf_u8(json, '}');
        break;
    }
}

int kap_view_json(kap_span_t packed, kap_buf_t *json)
{
    kap_mp_t root;
    kap_arena_t *arena = kap_arena_new(4096);
    int rc = arena ? kap_mp_read(packed, arena, &root, NULL) : KAP_E_NOMEM;
    if (rc == KAP_OK)
        json_node(&root, json);
    kap_arena_destroy(&arena);
    return rc == KAP_OK ? json->err : rc;
}
