/* SPDX-License-Identifier: MPL-2.0 */
#include "case.h"

#include <string.h>

#include "err.h"
#include "limit.h"
#include "row.h"

enum { ROW_VERSION = 1, CAP_FIRST = 4 };

void kap_case_init(kap_case_t *c)
{
    *c = (kap_case_t){NULL, 0, 0};
}

static bool is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

static bool is_voided(const kap_case_node_t *node)
{
    return node->state == KAP_STATE_VOIDED;
}

int32_t kap_case_find(const kap_case_t *c, kap_span_t referral)
{
    for (uint32_t i = c->count; i > 0; i--) { /* the latest are asked for most */
        if (kap_span_eq(c->nodes[i - 1].referral, referral)) {
            return (int32_t)(i - 1);
        }
    }
    return -1;
}

int32_t kap_case_parent(const kap_case_t *c, int32_t node)
{
    int32_t parent = c->nodes[node].parent;
    while (parent >= 0 && is_voided(&c->nodes[parent])) {
        parent = c->nodes[parent].parent;
    }
    return parent;
}

int64_t kap_case_started_at(const kap_case_t *c)
{
    int64_t started = KAP_REFERRAL_NO_TIME;
    for (uint32_t i = 0; i < c->count; i++) {
        const kap_case_node_t *node = &c->nodes[i];
        bool root = !is_voided(node) && kap_case_parent(c, (int32_t)i) < 0;
        if (root && (!is_set(started) || node->created_at < started)) {
            started = node->created_at;
        }
    }
    return started;
}

int kap_case_admits(const kap_case_t *c, kap_span_t parent, kap_span_t sender, bool archive,
                    kap_referral_facts_t *facts, kap_refusal_t *why)
{
    int32_t at = kap_span_empty(parent) ? -1 : kap_case_find(c, parent);
    bool known = at >= 0;
    bool to_sender = known && kap_span_eq(c->nodes[at].to, sender);
    bool voided = known && is_voided(&c->nodes[at]);
    if (facts) {
        facts->case_size = c->count;
        facts->parent_known = known;
        facts->parent_same_case = known;
        facts->parent_voided = voided;
        facts->parent_to_is_sender = to_sender;
        facts->root_created_at = kap_case_started_at(c);
    }
    if (c->count >= KAP_LIMIT_CASE_REFERRALS && !archive) {
        *why = (kap_refusal_t){KAP_REFUSAL_ILLEGAL_CASE_FULL, KAP_F_CASE};
        return KAP_E_INVALID;
    }
    if (!kap_span_empty(parent) && (!known || voided || !to_sender)) {
        *why = (kap_refusal_t){KAP_REFUSAL_ILLEGAL_PARENT, KAP_F_PARENT};
        return KAP_E_INVALID;
    }
    return KAP_OK;
}

/* --- growing --- */

/* Does the node return to a member that held the case more than one step before? */
static bool loops_back(const kap_case_t *c, int32_t node)
{
    int32_t parent = kap_case_parent(c, node);
    kap_span_t to = c->nodes[node].to;
    if (parent < 0 || kap_span_eq(c->nodes[parent].from, to)) {
        return false;
    }
    for (parent = kap_case_parent(c, parent); parent >= 0; parent = kap_case_parent(c, parent)) {
        if (kap_span_eq(c->nodes[parent].from, to)) {
            return true;
        }
    }
    return false;
}

/* Places nodes from `first` on in the tree: a parent stands before its children. */
static void place(kap_case_t *c, uint32_t first)
{
    for (uint32_t i = first; i < c->count; i++) {
        kap_case_node_t *node = &c->nodes[i];
        uint32_t above = node->parent >= 0 ? c->nodes[node->parent].depth : 0;
        node->depth = above + (is_voided(node) ? 0 : 1);
        node->loops = !is_voided(node) && loops_back(c, (int32_t)i);
    }
}

static int reserve(kap_case_t *c, kap_arena_t *arena, uint32_t count)
{
    if (count <= c->cap) {
        return KAP_OK;
    }
    uint32_t cap = c->cap ? 2 * c->cap : CAP_FIRST;
    cap = cap < count ? count : cap;
    kap_case_node_t *nodes = kap_arena_calloc(arena, cap, sizeof(*nodes));
    if (!nodes) {
        return KAP_E_NOMEM;
    }
    if (c->count > 0) {
        memcpy(nodes, c->nodes, c->count * sizeof(*nodes));
    }
    c->nodes = nodes;
    c->cap = cap;
    return KAP_OK;
}

int kap_case_put(kap_case_t *c, kap_arena_t *arena, kap_span_t referral, const kap_referral_t *r)
{
    int32_t at = kap_case_find(c, referral);
    bool is_new = at < 0;
    if (is_new) {
        if (reserve(c, arena, c->count + 1) != KAP_OK) {
            return KAP_E_NOMEM;
        }
        int32_t parent = kap_span_empty(r->parent) ? -1 : kap_case_find(c, r->parent);
        at = (int32_t)c->count++;
        c->nodes[at] =
            (kap_case_node_t){.referral = referral, .from = r->from, .to = r->to, .parent = parent};
    }
    kap_case_node_t *node = &c->nodes[at];
    bool cut = r->state == KAP_STATE_VOIDED && !is_voided(node);
    node->state = r->state;
    node->implied = r->implied;
    node->kind = r->kind;
    node->outcome = r->outcome;
    node->flags = r->flags;
    node->created_at = r->created_at;
    node->delivered_at = r->delivered_at;
    node->accepted_at = r->accepted_at;
    node->ended_at = r->ended_at;
    if (is_new || cut) {
        place(c, (uint32_t)at);
    }
    return KAP_OK;
}

/* --- shape --- */

bool kap_case_is_return(const kap_case_t *c, int32_t node)
{
    const kap_case_node_t *r = &c->nodes[node];
    int32_t parent = kap_case_parent(c, node);
    return !is_voided(r) && parent >= 0 && is_set(r->delivered_at) &&
           is_set(c->nodes[parent].delivered_at) && kap_span_eq(r->to, c->nodes[parent].from);
}

bool kap_case_is_ping_pong(const kap_case_t *c, int32_t node)
{
    return kap_case_is_return(c, node) &&
           !(c->nodes[kap_case_parent(c, node)].flags & KAP_RF_RETURN_EXPECTED);
}

static void shape_times(kap_case_shape_t *shape, const kap_case_node_t *node, int32_t at)
{
    if (is_set(node->accepted_at) &&
        (shape->first_accepted < 0 || node->accepted_at < shape->first_accepted_at)) {
        shape->first_accepted = at;
        shape->first_accepted_at = node->accepted_at;
    }
    if (!kap_state_is_terminal(node->state)) {
        shape->closed = false;
    } else if (shape->last < 0 || node->ended_at >= shape->ended_at) {
        shape->last = at;
        shape->ended_at = node->ended_at;
    }
}

void kap_case_shape(const kap_case_t *c, kap_case_shape_t *shape)
{
    kap_case_shape_t s = {.started_at = kap_case_started_at(c),
                          .first_accepted_at = KAP_REFERRAL_NO_TIME,
                          .first_accepted = -1,
                          .closed = true,
                          .last = -1,
                          .ended_at = KAP_REFERRAL_NO_TIME};
    for (uint32_t i = 0; i < c->count; i++) {
        const kap_case_node_t *node = &c->nodes[i];
        if (is_voided(node)) {
            continue;
        }
        bool delivered = is_set(node->delivered_at);
        s.referrals++;
        s.delivered += delivered;
        s.roots += kap_case_parent(c, (int32_t)i) < 0;
        s.chain = node->depth > s.chain ? node->depth : s.chain;
        s.ping_pongs += kap_case_is_ping_pong(c, (int32_t)i);
        s.subcontracts += kap_case_is_return(c, (int32_t)i);
        s.loops += delivered && node->loops;
        shape_times(&s, node, (int32_t)i);
    }
    s.closed = s.closed && s.referrals > 0;
    if (!s.closed) {
        s.last = -1;
        s.ended_at = KAP_REFERRAL_NO_TIME;
    }
    *shape = s;
}

/* --- row --- */

static uint8_t *put_node(uint8_t *p, const kap_case_node_t *node)
{
    const int64_t times[3] = {node->delivered_at, node->accepted_at, node->ended_at};
    uint8_t bits = (uint8_t)(node->loops << 3);
    for (int i = 0; i < 3; i++) {
        bits |= (uint8_t)(is_set(times[i]) << i);
    }
    p = kap_row_put_span(p, node->referral);
    p = kap_row_put_span(p, node->from);
    p = kap_row_put_span(p, node->to);
    p = kap_row_put(p, (uint64_t)(node->parent + 1));
    *p++ = (uint8_t)(node->state + 1);
    *p++ = node->implied;
    *p++ = bits;
    p = kap_row_put(p, (uint16_t)(node->kind + 1));
    p = kap_row_put(p, (uint16_t)(node->outcome + 1));
    p = kap_row_put(p, node->flags);
    p = kap_row_put_signed(p, node->created_at);
    for (int i = 0; i < 3; i++) {
        if (is_set(times[i])) {
            p = kap_row_put_signed(p, (int64_t)((uint64_t)times[i] - (uint64_t)node->created_at));
        }
    }
    return p;
}

static void get_node(kap_row_t *row, kap_case_node_t *node, uint32_t index)
{
    node->referral = kap_row_get_span(row);
    node->from = kap_row_get_span(row);
    node->to = kap_row_get_span(row);
    uint64_t parent = kap_row_get(row);
    row->bad |= parent > index; /* a parent stands before its child */
    node->parent = row->bad ? -1 : (int32_t)parent - 1;
    node->state = kap_row_get_code(row, KAP_STATE_COUNT);
    node->implied = kap_row_get_byte(row);
    uint8_t bits = kap_row_get_byte(row);
    node->loops = bits >> 3 & 1;
    node->kind = (int16_t)(uint16_t)(kap_row_get(row) - 1);
    node->outcome = (int16_t)(uint16_t)(kap_row_get(row) - 1);
    node->flags = (uint32_t)kap_row_get(row);
    node->created_at = kap_row_get_signed(row);
    int64_t *times[3] = {&node->delivered_at, &node->accepted_at, &node->ended_at};
    for (int i = 0; i < 3; i++) {
        *times[i] = KAP_REFERRAL_NO_TIME;
        if (bits >> i & 1) {
            *times[i] = (int64_t)((uint64_t)kap_row_get_signed(row) + (uint64_t)node->created_at);
        }
    }
}

void kap_case_pack(kap_buf_t *buf, const kap_case_t *c)
{
    enum { NODE_BYTES = 12 * KAP_ROW_VARINT_BYTES + 3 };
    size_t most = 1 + KAP_ROW_VARINT_BYTES + (size_t)c->count * NODE_BYTES;
    for (uint32_t i = 0; i < c->count; i++) {
        most += c->nodes[i].referral.size + c->nodes[i].from.size + c->nodes[i].to.size;
    }
    uint8_t *start = kap_buf_reserve(buf, most);
    if (!start) {
        return;
    }
    uint8_t *p = start;
    *p++ = ROW_VERSION;
    p = kap_row_put(p, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        p = put_node(p, &c->nodes[i]);
    }
    buf->size += (size_t)(p - start);
}

int kap_case_unpack(kap_span_t bytes, kap_arena_t *arena, kap_case_t *c)
{
    kap_row_t row = {bytes.data, bytes.data + bytes.size, false};
    kap_case_t out = {NULL, 0, 0};
    if (bytes.size < 2) {
        return KAP_E_CORRUPT;
    }
    if (*row.p++ != ROW_VERSION) {
        return KAP_E_VERSION;
    }
    uint64_t count = kap_row_get(&row);
    if (count > bytes.size) { /* a node has more than one byte */
        return KAP_E_CORRUPT;
    }
    if (reserve(&out, arena, (uint32_t)count) != KAP_OK) {
        return KAP_E_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        kap_case_node_t *node = &out.nodes[i];
        get_node(&row, node, i);
        uint32_t above = node->parent >= 0 ? out.nodes[node->parent].depth : 0;
        node->depth = above + (is_voided(node) ? 0 : 1);
        out.count++;
    }
    if (!kap_row_whole(&row)) {
        return KAP_E_CORRUPT;
    }
    *c = out;
    return KAP_OK;
}
