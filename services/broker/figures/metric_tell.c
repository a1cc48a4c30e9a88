/* SPDX-License-Identifier: MPL-2.0 */
#include "metric_tell.h"

#include <stdio.h>

#include "err.h"
#include "followed.h"
#include "mp.h"
#include "now.h"
#include "rows.h"
#include "tables.h"

enum { PAGE_BYTES = 900 << 10 }; /* of one answer without its last row: a frame holds both */

/* --- words --- */

static void put_str(kap_buf_t *buf, const char *key, const char *value)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_cstr(buf, value);
}

static void put_uint(kap_buf_t *buf, const char *key, uint64_t value)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_uint(buf, value);
}

static void put_date(kap_buf_t *buf, const char *key, bool there, kap_date_t date)
{
    char text[KAP_TIME_TEXT];

    kap_mp_put_cstr(buf, key);
    if (!there) {
        kap_mp_put_nil(buf);
        return;
    }
    kap_date_format(date, text);
    kap_mp_put_cstr(buf, text);
}

static void put_window(kap_buf_t *buf, const kap_window_t *window)
{
    kap_mp_put_cstr(buf, "window");
    kap_mp_put_map(buf, 3);
    put_date(buf, "from", window->has_from, window->from);
    put_date(buf, "to", window->has_to, window->to);
    put_str(buf, "zone", window->zone == KAP_ZONE_UTC ? "UTC" : "Europe/Helsinki");
}

static void put_edge(kap_buf_t *buf, const char *key, kap_span_t from, kap_span_t to)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_array(buf, 2);
    kap_mp_put_str(buf, from);
    kap_mp_put_str(buf, to);
}

static void put_id(kap_buf_t *buf, const char *key, kap_span_t id)
{
    if (id.size == 0)
        return;
    kap_mp_put_cstr(buf, key);
    kap_mp_put_str(buf, id);
}

static void put_scope(kap_buf_t *buf, const kap_scope_t *scope)
{
    static const char *const kinds[] = {
        [KAP_SCOPE_REGION] = "region", [KAP_SCOPE_AREA] = "area",
        [KAP_SCOPE_NATION] = "nation", [KAP_SCOPE_ORGANISATION] = "organisation",
        [KAP_SCOPE_MEMBER] = "member", [KAP_SCOPE_EDGE] = "edge",
    };
    bool edge = scope->kind == KAP_SCOPE_EDGE;

    kap_mp_put_cstr(buf, "scope");
    kap_mp_put_map(buf, 1u + (scope->region.size > 0) + (scope->area.size > 0) +
                            (scope->organisation.size > 0) + (scope->member.size > 0) +
                            (edge ? 2u : 0u));
    put_str(buf, "kind", kinds[scope->kind]);
    put_id(buf, "region", scope->region);
    put_id(buf, "area", scope->area);
    put_id(buf, "organisation", scope->organisation);
    put_id(buf, "member", scope->member);
    if (edge) {
        put_id(buf, "from", scope->from);
        put_id(buf, "to", scope->to);
    }
}

/* --- rows --- */

static void put_key(kap_buf_t *buf, const kap_metric_query_t *query, const kap_metric_key_t *row)
{
    bool placed = query->what.scope.region.size == 0 && row->scope.region.size > 0 &&
                  (query->by == KAP_BY_EDGE || query->by == KAP_BY_MEMBER);
    const char *by = kap_metric_by_name(query->by);
    kap_span_t sort = {row->sort.data, row->sort.size - 3};

    kap_mp_put_cstr(buf, "key");
    kap_mp_put_map(buf, placed ? 2 : 1);
    if (placed)
        put_id(buf, "region", row->scope.region);
    switch (query->by) {
    case KAP_BY_EDGE:
        put_edge(buf, by, row->scope.from, row->scope.to);
        break;
    case KAP_BY_MEMBER:
        put_id(buf, by, row->scope.member);
        break;
    case KAP_BY_REGION:
        put_id(buf, by, row->scope.region);
        break;
    case KAP_BY_WARM:
        kap_mp_put_cstr(buf, by);
        kap_mp_put_bool(buf, row->value != 0);
        break;
    default:
        put_id(buf, by, sort); /* its one part */
        break;
    }
}

/* Members by the directory, actors of an archive by what stood in its log; else the id. */
static int name_of(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t id,
                   kap_span_t *name)
{
    if (scope->utc)
        return kap_rows_title(at->txn, scope->region_number, id, name);
    const kap_member_t *m = kap_directory_member(at->dir, id);
    *name = m != NULL && m->name_fi.size > 0 ? m->name_fi : id;
    return KAP_OK;
}

static kap_span_t region_name(kap_span_t id)
{
    int index = kap_region_find(id);

    return index < 0 ? id : kap_span_str(kap_region_row(index)->fi);
}

/* name, or of an edge [name, name]; *count more pairs by one where there is one. */
static int put_name(kap_buf_t *buf, const kap_metric_at_t *at, const kap_metric_query_t *query,
                    const kap_metric_key_t *row)
{
    kap_span_t first, second;
    int rc = KAP_OK;

    switch (query->by) {
    case KAP_BY_EDGE:
        rc = name_of(at, &row->scope, row->scope.from, &first);
        if (rc == KAP_OK)
            rc = name_of(at, &row->scope, row->scope.to, &second);
        if (rc == KAP_OK)
            put_edge(buf, "name", first, second);
        return rc;
    case KAP_BY_MEMBER:
        rc = name_of(at, &row->scope, row->scope.member, &first);
        if (rc == KAP_OK)
            put_id(buf, "name", first);
        return rc;
    case KAP_BY_REGION:
        put_id(buf, "name", region_name(row->scope.region));
        return KAP_OK;
    default:
        return KAP_OK;
    }
}

/* Does the row tell of somebody who was followed, and nobody took over here? */
static bool is_unassigned(const kap_metric_at_t *at, const kap_metric_query_t *query,
                          const kap_metric_key_t *row)
{
    const kap_scope_t *scope = &row->scope;

    if (query->by != KAP_BY_EDGE && query->by != KAP_BY_MEMBER)
        return false;
    return kap_now_is_unassigned(at->summer, scope->region_number, scope->a) ||
           (query->by == KAP_BY_EDGE &&
            kap_now_is_unassigned(at->summer, scope->region_number, scope->b));
}

/* --- values --- */

/* The pairs without those that tell of members or referrals one by one. */
static int put_without_lists(const kap_metric_at_t *at, const kap_metric_query_t *query,
                             const kap_metric_values_t *values, kap_buf_t *out)
{
    kap_buf_t map = {0};
    kap_mp_t root;
    uint32_t kept = 0;

    kap_mp_put_map(&map, values->count);
    kap_buf_append(&map, kap_buf_span(&values->pairs));
    int rc = map.err != KAP_OK ? map.err
                               : kap_mp_read_answer(kap_buf_span(&map), at->arena, &root, NULL);
    for (uint32_t i = 0; rc == KAP_OK && i < root.count; i++)
        kept += !kap_metric_is_list(query->metric, kap_mp_key(&root, i)->s);
    if (rc == KAP_OK)
        kap_mp_put_map(out, kept);
    for (uint32_t i = 0; rc == KAP_OK && i < root.count; i++) {
        if (kap_metric_is_list(query->metric, kap_mp_key(&root, i)->s))
            continue;
        kap_mp_put_node(out, kap_mp_key(&root, i));
        kap_mp_put_node(out, kap_mp_value(&root, i));
    }
    kap_buf_fini(&map);
    return rc;
}

/* n, decided, pending and values: four pairs. */
static int put_values(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      const kap_metric_show_t *show, kap_metric_values_t *values, kap_buf_t *out)
{
    int rc = kap_metric_values(at, query, values);

    if (rc != KAP_OK)
        return rc;
    put_uint(out, "n", values->n);
    put_uint(out, "decided", values->decided);
    put_uint(out, "pending", values->pending);
    kap_mp_put_cstr(out, "values");
    if (!show->lists)
        return put_without_lists(at, query, values, out);
    kap_mp_put_map(out, values->count);
    kap_buf_append(out, kap_buf_span(&values->pairs));
    return KAP_OK;
}

/* What the row's member says of its figures in that region and window; *there false: nothing. */
static int comment_of(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      const kap_metric_key_t *row, kap_followed_comment_t *comment, bool *there)
{
    kap_followed_range_t range = {row->scope.region_number, row->scope.a, row->window.from_ms,
                                  row->window.to_ms};

    *there = false;
    if (query->by != KAP_BY_MEMBER || row->hidden || row->scope.utc || range.region == 0 ||
        range.member == 0)
        return KAP_OK;
    int rc = kap_followed_comment(at->txn, &range, comment);
    *there = rc == KAP_OK;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static void put_comment(kap_buf_t *buf, const kap_followed_comment_t *comment)
{
    kap_mp_put_cstr(buf, "comment");
    kap_mp_put_map(buf, 2);
    put_id(buf, "period", comment->period);
    put_id(buf, "text", comment->text);
}

static int put_row(const kap_metric_at_t *at, const kap_metric_query_t *query,
                   const kap_metric_show_t *show, const kap_metric_key_t *row, uint64_t whole,
                   kap_buf_t *out)
{
    kap_metric_query_t narrow;
    kap_metric_values_t values = {.row = true, .whole = whole, .least = show->row_least};
    bool named =
        query->by == KAP_BY_EDGE || query->by == KAP_BY_MEMBER || query->by == KAP_BY_REGION;
    bool unassigned = is_unassigned(at, query, row), commented;
    kap_followed_comment_t comment;
    int rc = comment_of(at, query, row, &comment, &commented);

    if (rc != KAP_OK)
        return rc;
    kap_mp_put_map(out, (row->hidden ? 2u : 5u) + named + unassigned + commented);
    put_key(out, query, row);
    rc = put_name(out, at, query, row);
    if (commented)
        put_comment(out, &comment);
    if (unassigned) {
        kap_mp_put_cstr(out, "unassigned");
        kap_mp_put_bool(out, true);
    }
    if (row->hidden) {
        kap_mp_put_cstr(out, "hidden");
        kap_mp_put_bool(out, true);
        return rc;
    }
    kap_metric_narrow(query, row, &narrow);
    if (rc == KAP_OK)
        rc = put_values(at, &narrow, show, &values, out);
    kap_buf_fini(&values.pairs);
    return rc;
}

/* A page of rows: those behind query->after, as many as fit. */
typedef struct {
    kap_buf_t rows;
    size_t room;
    uint32_t count, hidden;
    bool more;
} page_t;

static int put_rows(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    const kap_metric_rows_t *rows, const kap_metric_show_t *show, page_t *page)
{
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < rows->count; i++) {
        const kap_metric_key_t *row = &rows->rows[i];
        page->hidden += row->hidden && !row->omitted;
        if (row->omitted || (query->after.size > 0 && kap_span_cmp(row->sort, query->after) <= 0))
            continue;
        page->more = page->more || (page->count > 0 && page->rows.size >= page->room) ||
                     (query->limit > 0 && page->count == query->limit);
        if (page->more)
            continue;
        rc = put_row(at, query, show, row, rows->n, &page->rows);
        page->count++;
    }
    return rc != KAP_OK ? rc : page->rows.err;
}

/* --- the answer --- */

static void put_head(kap_buf_t *out, const kap_metric_query_t *query, const kap_head_t *head)
{
    const kap_metric_row_t *row = kap_metric_row(query->metric);

    put_str(out, "metric", row->wire);
    put_str(out, "unit", row->unit);
    put_str(out, "kind", kap_metric_kind_name(query->kind));
    put_window(out, &query->what.window);
    put_str(out, "clock", query->customer_clock ? "customer" : "recipient");
    put_str(out, "time", query->elapsed ? "elapsed" : "working");
    put_str(out, "view", query->now_view ? "now" : "then");
    put_scope(out, &query->what.scope);
    put_str(out, "by", kap_metric_by_name(query->by));
    put_uint(out, "as_of_seq", head->figures_seq);
    kap_mp_put_cstr(out, "as_of_time");
    kap_mp_put_int(out, head->figures_time);
}

/* The whole scope; of one that may not be told, what the rows that are told add up to. */
static int put_whole(const kap_metric_at_t *at, const kap_metric_query_t *query,
                     const kap_metric_rows_t *rows, const kap_metric_show_t *show, kap_buf_t *out)
{
    kap_metric_values_t values = {.least = show->least};
    int rc = KAP_OK;

    if (show->whole) {
        rc = put_values(at, query, show, &values, out);
    } else {
        put_uint(out, "n", rows->n);
        put_uint(out, "decided", rows->decided);
        put_uint(out, "pending", rows->pending);
        kap_mp_put_cstr(out, "values");
        kap_mp_put_map(out, 0);
    }
    kap_buf_fini(&values.pairs);
    return rc;
}

int kap_metric_tell(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    const kap_metric_rows_t *rows, const kap_metric_show_t *show, kap_buf_t *out)
{
    bool where = query->what.breakdown != KAP_BREAKDOWN_NONE;
    page_t page = {0};
    kap_head_t head;
    int rc = kap_rows_head(at->txn, &head);

    if (rc != KAP_OK)
        return rc;
    kap_mp_put_map(out, 19u + where + (show->hidden_below > 0));
    put_head(out, query, &head);
    if (where) {
        kap_mp_put_cstr(out, "where");
        kap_mp_put_map(out, 1);
        put_str(out, kap_metric_breakdown_name(query->what.breakdown),
                kap_metric_value_name(query->what.breakdown, query->what.value));
    }
    rc = put_whole(at, query, rows, show, out);
    page.room = out->size < PAGE_BYTES ? PAGE_BYTES - out->size : 0;
    if (rc == KAP_OK)
        rc = put_rows(at, query, rows, show, &page);
    put_uint(out, "hidden", page.hidden);
    if (show->hidden_below > 0)
        put_uint(out, "hidden_below", show->hidden_below);
    kap_mp_put_cstr(out, "more");
    kap_mp_put_bool(out, page.more);
    kap_mp_put_cstr(out, "rows");
    kap_mp_put_array(out, page.count);
    kap_buf_append(out, kap_buf_span(&page.rows));
    kap_mp_put_cstr(out, "notes");
    kap_mp_put_array(out, show->note_count);
    for (uint32_t i = 0; i < show->note_count; i++)
        kap_mp_put_cstr(out, show->notes[i]);
    kap_buf_fini(&page.rows);
    return rc != KAP_OK ? rc : out->err;
}
