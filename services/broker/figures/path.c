/* SPDX-License-Identifier: MPL-2.0 */
#include "path.h"

#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "err.h"
#include "seeded.h"

static const kap_spent_t no_span = {KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};

void kap_path_init(kap_path_t *path)
{
    *path = (kap_path_t){.started_at = KAP_REFERRAL_NO_TIME, .complete = no_span};
}

static bool is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

static bool is_voided(const kap_case_node_t *node)
{
    return node->state == KAP_STATE_VOIDED;
}

/* The customer's clock: no holds, no closures; a negative span is 0. */
static kap_spent_t passed(int64_t from, int64_t to)
{
    return (kap_spent_t){kap_calendar_working_ms(from, to, NULL), to > from ? to - from : 0};
}

/* --- what the shape makes of a referral --- */

static kap_fact_path_t path_of_node(const kap_case_t *c, int32_t at)
{
    const kap_case_node_t *node = &c->nodes[at];
    kap_fact_path_t of = {0};

    if (is_voided(node))
        return of;
    of.returned = kap_case_is_return(c, at);
    of.ping_pong = kap_case_is_ping_pong(c, at);
    of.loop = is_set(node->delivered_at) && node->loops;
    if (of.returned) {
        int64_t handed_out = c->nodes[kap_case_parent(c, at)].created_at;
        of.got_back = passed(handed_out, node->delivered_at);
        of.clamped = node->delivered_at < handed_out;
    }
    return of;
}

/* --- what became of its transfers --- */

typedef struct {
    uint32_t transfers, closable, loop_closed, open;
    const kap_referral_t *last; /* that ended last, by time, then order; NULL: none ended */
} outcome_t;

static outcome_t outcome_of(const kap_case_t *c, const kap_referral_row_t *rows)
{
    outcome_t o = {0};

    for (uint32_t i = 0; i < c->count; i++) {
        const kap_referral_t *r = &rows[i].r;
        if (!kap_fact_is_transfer(r))
            continue;
        bool ended = kap_state_is_terminal(r->state);
        o.transfers++;
        o.open += !ended;
        o.closable += kap_fact_is_closable(r);
        o.loop_closed += kap_fact_is_loop_closed(r);
        if (ended && (o.last == NULL || r->ended_at >= o.last->ended_at))
            o.last = r;
    }
    return o;
}

static void is(kap_path_t *path, kap_figure_t figure, bool so)
{
    if (so)
        kap_figure_add(&path->figures, figure);
}

static void count(kap_path_t *path, const kap_case_shape_t *shape, const outcome_t *o)
{
    bool closed = o->transfers > 0 && o->open == 0;

    is(path, KAP_FIGURE_CASES, shape->referrals > 0);
    is(path, KAP_FIGURE_CASES_DELIVERED, shape->delivered > 0);
    is(path, KAP_FIGURE_CASES_PING_PONG, shape->ping_pongs > 0);
    is(path, KAP_FIGURE_CASES_CLOSED, closed);
    is(path, KAP_FIGURE_CASES_SERVED,
       closed && o->last->state == KAP_STATE_COMPLETED && o->last->outcome == KAP_OUTCOME_HANDLED);
    is(path, KAP_FIGURE_CASES_CLOSABLE, o->closable > 0);
    is(path, KAP_FIGURE_CASES_LOOP_CLOSED, o->closable > 0 && o->loop_closed == o->closable);
    path->chain = shape->chain;
    path->started_at = shape->started_at;
    if (closed)
        path->complete = passed(shape->started_at, o->last->ended_at);
}

/* --- who takes part, and where --- */

static int by_place(const void *left, const void *right)
{
    const kap_path_part_t *a = left, *b = right;

    if (a->region != b->region)
        return a->region < b->region ? -1 : 1;
    return a->member < b->member ? -1 : a->member > b->member;
}

/* Keeps parts sorted and the first of each place. By insertion: most ends are known already, and
 * cases are small; the large ones of archives have few actors. */
static void add_part(kap_path_t *path, const kap_path_part_t *part)
{
    uint32_t at = path->part_count;

    while (at > 0 && by_place(part, &path->parts[at - 1]) < 0)
        at--;
    if (at > 0 && by_place(part, &path->parts[at - 1]) == 0 && !KAP_SEEDED_BUG("case_twice"))
        return;
    memmove(&path->parts[at + 1], &path->parts[at], (path->part_count - at) * sizeof *part);
    path->parts[at] = *part;
    path->part_count++;
}

static int add_ends(kap_path_t *path, const kap_case_t *c, const kap_referral_row_t *rows,
                    kap_arena_t *arena, kap_path_place_fn place, void *arg)
{
    path->parts = kap_arena_calloc(arena, 2 * (size_t)c->count + 1, sizeof *path->parts);
    if (path->parts == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < c->count; i++) {
        const kap_referral_t *r = &rows[i].r;
        const kap_span_t ends[2] = {r->from, r->to};
        for (int k = 0; k < 2 && !is_voided(&c->nodes[i]); k++) {
            kap_path_part_t part = {0};
            if (kap_referral_is_external(ends[k]))
                continue;
            int rc = place(arg, r->region, ends[k], rows[i].created_seq, &part);
            if (rc != KAP_OK)
                return rc;
            add_part(path, &part);
        }
    }
    return KAP_OK;
}

int kap_path_of(const kap_case_t *c, const kap_referral_row_t *rows, kap_arena_t *arena,
                kap_path_place_fn place, void *arg, kap_path_t *out, kap_fact_path_t *of)
{
    kap_case_shape_t shape;
    kap_path_t path;

    kap_path_init(&path);
    for (uint32_t i = 0; i < c->count; i++)
        of[i] = path_of_node(c, (int32_t)i);
    kap_case_shape(c, &shape);
    if (shape.referrals > 0) {
        outcome_t outcome = outcome_of(c, rows);
        path.utc = (rows[0].r.flags & KAP_RF_ARCHIVE) != 0;
        count(&path, &shape, &outcome);
        int rc = add_ends(&path, c, rows, arena, place, arg);
        if (rc != KAP_OK)
            return rc;
    }
    *out = path;
    return KAP_OK;
}

/* --- dropped batons --- */

/* Voided, withdrawn, or on its way for too long. */
static bool is_lost(const kap_case_node_t *node, int64_t now, int64_t patience_ms)
{
    return is_voided(node) || node->state == KAP_STATE_WITHDRAWN ||
           (!is_set(node->delivered_at) && now - node->created_at >= patience_ms);
}

bool kap_path_dropped(const kap_case_t *c, int32_t node, kap_span_t next, int64_t now,
                      int64_t patience_ms)
{
    int32_t child = kap_case_find(c, next);

    if (c->nodes[node].state != KAP_STATE_REDIRECTED ||
        (child >= 0 && !is_lost(&c->nodes[child], now, patience_ms)))
        return false;
    for (uint32_t i = (uint32_t)(child + 1); i < c->count; i++) {
        const kap_case_node_t *later = &c->nodes[i];
        if (!is_voided(later) && later->state != KAP_STATE_WITHDRAWN &&
            kap_case_parent(c, (int32_t)i) == node)
            return false;
    }
    return true;
}

/* --- the row of `paths` --- */

bool kap_path_equal(const kap_path_t *a, const kap_path_t *b)
{
    bool same = memcmp(&a->figures, &b->figures, sizeof a->figures) == 0 && a->chain == b->chain &&
                a->utc == b->utc && a->started_at == b->started_at &&
                a->complete.working_ms == b->complete.working_ms &&
                a->complete.elapsed_ms == b->complete.elapsed_ms && a->part_count == b->part_count;

    return same && (a->part_count == 0 ||
                    memcmp(a->parts, b->parts, a->part_count * sizeof *a->parts) == 0);
}

void kap_path_pack(kap_buf_t *buf, const kap_path_t *path)
{
    kap_put_varint(buf, path->figures.bits[0]);
    kap_put_varint(buf, path->figures.bits[1]);
    kap_put_varint(buf, path->chain);
    kap_put_varint(buf, path->utc);
    kap_put_svarint(buf, path->started_at);
    kap_put_svarint(buf, path->complete.working_ms);
    kap_put_svarint(buf, path->complete.elapsed_ms);
    kap_put_varint(buf, path->part_count);
    for (uint32_t i = 0; i < path->part_count; i++) {
        const kap_path_part_t *part = &path->parts[i];
        const uint32_t numbers[] = {part->region, part->area, part->member, part->organisation};
        for (int k = 0; k < 4; k++)
            kap_put_varint(buf, numbers[k]);
    }
}

static bool get_u32(kap_span_t *rest, uint32_t *out)
{
    uint64_t value;

    if (!kap_get_varint(rest, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool get_head(kap_span_t *rest, kap_path_t *path)
{
    uint32_t utc;
    bool whole = kap_get_varint(rest, &path->figures.bits[0]) &&
                 kap_get_varint(rest, &path->figures.bits[1]) && get_u32(rest, &path->chain) &&
                 get_u32(rest, &utc) && kap_get_svarint(rest, &path->started_at) &&
                 kap_get_svarint(rest, &path->complete.working_ms) &&
                 kap_get_svarint(rest, &path->complete.elapsed_ms) &&
                 get_u32(rest, &path->part_count);

    path->utc = whole && utc != 0;
    /* a part has four bytes at least */
    return whole && path->part_count <= rest->size / 4 &&
           path->figures.bits[1] >> (KAP_FIGURE_COUNT - 64) == 0;
}

static bool get_part(kap_span_t *rest, kap_path_part_t *part)
{
    return get_u32(rest, &part->region) && get_u32(rest, &part->area) &&
           get_u32(rest, &part->member) && get_u32(rest, &part->organisation);
}

int kap_path_unpack(kap_span_t value, kap_arena_t *arena, kap_path_t *path)
{
    kap_path_t p;

    kap_path_init(&p);
    if (!get_head(&value, &p))
        return KAP_E_CORRUPT;
    p.parts = kap_arena_calloc(arena, p.part_count + 1, sizeof *p.parts);
    if (p.parts == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < p.part_count; i++) {
        if (!get_part(&value, &p.parts[i]))
            return KAP_E_CORRUPT;
    }
    if (value.size != 0)
        return KAP_E_CORRUPT;
    *path = p;
    return KAP_OK;
}
