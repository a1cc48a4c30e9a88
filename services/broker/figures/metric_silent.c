/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 14: what was agreed and is not done, what is done and was not agreed, and who is silent.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "event.h"
#include "metric_list.h"
#include "now.h"
#include "rows.h"

enum { HEARD_LATELY_MS = 3600000 }; /* a node asks for its events every half minute */

/* --- agreed pairs --- */

typedef struct {
    const kap_metric_at_t *at;
    const kap_metric_query_t *query;
    kap_handed_t *pairs;
    uint32_t count, cap;
} agreed_t;

static bool region_fits(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t id)
{
    const kap_region_t *region = kap_directory_region(at->dir, id);

    if (scope->region.size > 0)
        return kap_span_eq(id, scope->region);
    if (scope->kind == KAP_SCOPE_AREA)
        return region != NULL && kap_span_eq(region->area, scope->area);
    return region != NULL && (scope->kind != KAP_SCOPE_NATION || region->area.size > 0);
}

/* Of a member, an edge or an organisation: one of its own is at this end. */
static bool end_fits(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t id)
{
    const kap_member_t *m = kap_directory_member(at->dir, id);

    if (scope->kind == KAP_SCOPE_MEMBER)
        return kap_span_eq(id, scope->member);
    if (scope->kind == KAP_SCOPE_EDGE)
        return kap_span_eq(id, scope->from) || kap_span_eq(id, scope->to);
    return scope->kind != KAP_SCOPE_ORGANISATION ||
           (m != NULL && kap_span_eq(m->organisation, scope->organisation));
}

static bool agreement_fits(const agreed_t *a, const kap_latest_t *latest)
{
    const kap_scope_t *scope = &a->query->what.scope;
    const kap_window_t *window = &a->query->what.window;

    if (scope->kind == KAP_SCOPE_EDGE &&
        !(kap_span_eq(latest->from, scope->from) && kap_span_eq(latest->to, scope->to)))
        return false;
    return latest->agreed && (latest->kind < 0 || latest->kind == KAP_KIND_TRANSFER) &&
           latest->begins < window->to_ms && latest->ends > window->from_ms &&
           region_fits(a->at, scope, latest->region) &&
           (end_fits(a->at, scope, latest->from) || end_fits(a->at, scope, latest->to));
}

static int keep(agreed_t *a, const kap_latest_t *latest)
{
    if (a->count == a->cap) {
        uint32_t cap = a->cap == 0 ? 64 : a->cap * 2;
        kap_handed_t *grown = kap_arena_alloc(a->at->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (a->count > 0)
            memcpy(grown, a->pairs, a->count * sizeof *grown);
        a->pairs = grown;
        a->cap = cap;
    }
    a->pairs[a->count++] =
        (kap_handed_t){.region = latest->region, .from = latest->from, .to = latest->to};
    return KAP_OK;
}

/* The keys of agreements begin with their type and region (kap_followup_key). */
static void put_prefix(kap_buf_t *prefix, kap_span_t region)
{
    kap_buf_str(prefix, kap_event_type_name(KAP_EV_AGREEMENT_SET));
    if (region.size == 0)
        return;
    kap_buf_u16be(prefix, (uint16_t)region.size);
    kap_buf_append(prefix, region);
}

/* An agreement, with its members and region as they are today where that is asked for. */
static int add_agreement(agreed_t *a, kap_latest_t *latest)
{
    kap_span_t region = latest->region;
    int rc = kap_now_place(a->at->summer, &region, &latest->from);

    region = latest->region;
    if (rc == KAP_OK)
        rc = kap_now_place(a->at->summer, &region, &latest->to);
    latest->region = region;
    if (rc != KAP_OK || !agreement_fits(a, latest))
        return rc;
    return kap_span_eq(latest->from, latest->to) ? KAP_OK : keep(a, latest); /* fell together */
}

static int find_agreed(agreed_t *a)
{
    kap_cursor_t *cursor;
    kap_buf_t prefix = {0};
    kap_latest_t latest;
    int rc = kap_cursor_open(a->at->txn, KAP_ROWS_LATEST, &cursor);

    if (rc != KAP_OK)
        return rc;
    put_prefix(&prefix, a->query->now_view ? (kap_span_t){0} : a->query->what.scope.region);
    rc = prefix.err != KAP_OK ? prefix.err : kap_cursor_seek_ge(cursor, kap_buf_span(&prefix));
    for (; rc == KAP_OK; rc = kap_cursor_next(cursor)) {
        if (!kap_span_starts(kap_cursor_key(cursor), kap_buf_span(&prefix)))
            break;
        rc = kap_latest_unpack(kap_cursor_value(cursor), &latest);
        if (rc == KAP_OK)
            rc = add_agreement(a, &latest);
        if (rc != KAP_OK)
            break;
    }
    kap_cursor_close(&cursor);
    kap_buf_fini(&prefix);
    kap_metric_sort_handed(a->pairs, &a->count);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* --- edges of the one list that are not in the other --- */

static int put_missing(const agreed_t *a, const char *wire, const kap_handed_t *edges,
                       uint32_t count, const kap_handed_t *others, uint32_t other_count,
                       kap_metric_values_t *values)
{
    kap_metric_list_t list = {0};
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < count; i++) {
        const kap_handed_t *e = &edges[i];
        if (kap_metric_find_handed(others, other_count, e->region, e->from, e->to) != NULL)
            continue;
        kap_buf_t *item = kap_metric_item(&list, 6);
        if (item == NULL)
            continue;
        kap_metric_text(item, "region", e->region);
        rc = kap_metric_member(a->at, &a->query->what.scope, item, "from", e->from);
        if (rc == KAP_OK)
            rc = kap_metric_member(a->at, &a->query->what.scope, item, "to", e->to);
        kap_metric_number(item, "transfers", e->handed);
    }
    kap_metric_put_list(values, wire, &list);
    return rc;
}

/* --- members without an event --- */

/* Positions of the log that were committed in the window: [first, end). */
typedef struct {
    uint64_t first, end;
} positions_t;

/* The first position committed at or after an instant; behind the head when there is none. */
static int position_at(kap_log_walk_t *walk, uint64_t head, int64_t at, uint64_t *position)
{
    uint64_t low = 1, high = head + 1;
    kap_logged_t logged;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int rc = kap_log_walk_get(walk, middle, 0, &logged);
        if (rc != KAP_OK)
            return rc;
        if (logged.committed_at < at)
            low = middle + 1;
        else
            high = middle;
    }
    *position = low;
    return KAP_OK;
}

static int positions_of(const kap_metric_at_t *at, const kap_window_t *window, positions_t *out)
{
    kap_log_walk_t walk;
    kap_head_t head;
    int rc = kap_rows_head(at->txn, &head);

    if (rc == KAP_OK)
        rc = kap_log_walk_open(at->txn, &walk);
    if (rc != KAP_OK)
        return rc;
    *out = (positions_t){1, head.seq + 1};
    if (window->from_ms != INT64_MIN)
        rc = position_at(&walk, head.seq, window->from_ms, &out->first);
    if (rc == KAP_OK && window->to_ms != INT64_MAX)
        rc = position_at(&walk, head.seq, window->to_ms, &out->end);
    kap_log_walk_close(&walk);
    return rc;
}

/* Did the source publish anything there? Its sequences rise as their positions do. */
static int source_spoke(kap_txn_t *txn, kap_span_t source, const positions_t *in, bool *spoke)
{
    kap_mark_t mark;
    uint64_t low = 1, position;
    int rc = kap_rows_mark(txn, source, &mark);
    uint64_t high = mark.last + 1;

    while (rc == KAP_OK && low < high) {
        uint64_t middle = low + (high - low) / 2;
        rc = kap_rows_receipt(txn, source, middle, &position);
        if (rc == KAP_OK && position < in->first)
            low = middle + 1;
        else
            high = middle;
    }
    if (rc != KAP_OK || low > mark.last)
        return rc;
    rc = kap_rows_receipt(txn, source, low, &position);
    *spoke = *spoke || position < in->end;
    return rc;
}

/* All producers of a member: names that begin with its id and a slash. */
static int member_spoke(const kap_metric_at_t *at, kap_span_t member, const positions_t *in,
                        bool *spoke)
{
    kap_cursor_t *names;
    kap_buf_t prefix = {0};
    int rc = kap_cursor_open(at->txn, KAP_ROWS_NAMES, &names);

    if (rc != KAP_OK)
        return rc;
    *spoke = false;
    kap_buf_append(&prefix, member);
    kap_buf_u8(&prefix, '/');
    rc = prefix.err != KAP_OK ? prefix.err : kap_cursor_seek_ge(names, kap_buf_span(&prefix));
    for (; rc == KAP_OK && !*spoke; rc = kap_cursor_next(names)) {
        if (!kap_span_starts(kap_cursor_key(names), kap_buf_span(&prefix)))
            break;
        rc = source_spoke(at->txn, kap_cursor_key(names), in, spoke);
        if (rc != KAP_OK)
            break;
    }
    kap_cursor_close(&names);
    kap_buf_fini(&prefix);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Has a node, acts in the scope, and was a member in the window. */
static bool member_fits(const kap_metric_at_t *at, const kap_metric_query_t *query,
                        const kap_member_t *m)
{
    const kap_scope_t *scope = &query->what.scope;
    const kap_window_t *window = &query->what.window;

    if (!(m->roles & KAP_ROLE_NODE) || m->valid_from >= window->to_ms ||
        m->valid_to <= window->from_ms || !end_fits(at, scope, m->id))
        return false;
    for (uint32_t i = 0; i < m->region_count; i++) {
        const kap_region_t *region = kap_directory_region_at(at->dir, m->regions[i]);
        if (region_fits(at, scope, region->id))
            return true;
    }
    return false;
}

static int by_member(const void *a, const void *b)
{
    const kap_metric_heard_t *x = a, *y = b;

    return kap_span_cmp(x->member, y->member);
}

/* KAP_NODE_, and when it was heard of. */
static int node_of(const kap_metric_seen_t *seen, kap_span_t member, int64_t *heard_at)
{
    const kap_metric_heard_t wanted = {.member = member};
    const kap_metric_heard_t *heard =
        seen == NULL || seen->count == 0
            ? NULL
            : bsearch(&wanted, seen->heard, seen->count, sizeof wanted, by_member);

    *heard_at = heard == NULL ? KAP_REFERRAL_NO_TIME : heard->at;
    if (heard != NULL && heard->at > seen->now - HEARD_LATELY_MS)
        return KAP_NODE_SEEN;
    return seen == NULL || seen->since > seen->now - HEARD_LATELY_MS ? KAP_NODE_UNKNOWN
                                                                     : KAP_NODE_DEAD;
}

static int put_member(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t id,
                      kap_metric_list_t *list)
{
    int64_t heard_at;
    int node = node_of(at->seen, id, &heard_at);
    kap_buf_t *item = kap_metric_item(list, 4);

    if (item == NULL)
        return KAP_OK;
    int rc = kap_metric_member(at, scope, item, "member", id);
    kap_metric_text(item, "node", kap_span_str(kap_code_name(KAP_LIST_NODE, node)));
    kap_metric_instant(item, "heard_at", heard_at);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    const kap_member_t *const *x = a, *const *y = b;

    return kap_span_cmp((*x)->id, (*y)->id);
}

static int put_silent_members(const kap_metric_at_t *at, const kap_metric_query_t *query,
                              kap_metric_values_t *values)
{
    uint32_t all = kap_directory_member_count(at->dir), count = 0;
    const kap_member_t **members = kap_arena_calloc(at->arena, all + 1, sizeof *members);
    kap_metric_list_t list = {0};
    positions_t in;
    int rc = members == NULL ? KAP_E_NOMEM : positions_of(at, &query->what.window, &in);

    for (uint32_t i = 0; rc == KAP_OK && i < all; i++) {
        const kap_member_t *m = kap_directory_member_at(at->dir, i);
        bool spoke = true;
        if (member_fits(at, query, m))
            rc = member_spoke(at, m->id, &in, &spoke);
        if (!spoke)
            members[count++] = m;
    }
    if (count > 0)
        qsort(members, count, sizeof *members, by_id);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = put_member(at, &query->what.scope, members[i]->id, &list);
    kap_metric_put_list(values, "members", &list);
    return rc;
}

int kap_metric_silent(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      const kap_vector_t *sum, kap_metric_values_t *values)
{
    agreed_t agreed = {.at = at, .query = query};
    kap_handed_t *handed;
    uint32_t count;
    int rc = find_agreed(&agreed);

    (void)sum;
    if (rc == KAP_OK)
        rc = kap_metric_handed(at, query, false, &handed, &count);
    if (rc == KAP_OK)
        rc = put_missing(&agreed, "silent", agreed.pairs, agreed.count, handed, count, values);
    if (rc == KAP_OK)
        rc = put_missing(&agreed, "unplanned", handed, count, agreed.pairs, agreed.count, values);
    return rc != KAP_OK ? rc : put_silent_members(at, query, values);
}
