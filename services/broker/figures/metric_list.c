/* SPDX-License-Identifier: MPL-2.0 */
#include "metric_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "mp.h"
#include "rows.h"

enum { KEY_MAX = 64 };

/* --- lists --- */

kap_buf_t *kap_metric_item(kap_metric_list_t *list, uint32_t pairs)
{
    if (list->count == KAP_METRIC_LIST_MAX) {
        list->left_out++;
        return NULL;
    }
    list->count++;
    kap_mp_put_map(&list->items, pairs);
    return &list->items;
}

void kap_metric_put_list(kap_metric_values_t *values, const char *wire, kap_metric_list_t *list)
{
    char key[KEY_MAX];
    kap_buf_t *buf = kap_metric_pair(values, wire);

    kap_mp_put_array(buf, list->count);
    kap_buf_append(buf, kap_buf_span(&list->items));
    if (buf->err == KAP_OK)
        buf->err = list->items.err;
    kap_buf_fini(&list->items);
    snprintf(key, sizeof key, "%s_left_out", wire);
    if (list->left_out > 0)
        kap_metric_put_count(values, key, list->left_out);
}

void kap_metric_text(kap_buf_t *buf, const char *key, kap_span_t text)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_str(buf, text);
}

void kap_metric_number(kap_buf_t *buf, const char *key, uint64_t number)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_uint(buf, number);
}

void kap_metric_instant(kap_buf_t *buf, const char *key, int64_t at)
{
    kap_mp_put_cstr(buf, key);
    if (at == KAP_REFERRAL_NO_TIME)
        kap_mp_put_nil(buf);
    else
        kap_mp_put_int(buf, at);
}

void kap_metric_rate(kap_buf_t *buf, const char *key, uint64_t num, uint64_t den)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_map(buf, 2);
    kap_metric_number(buf, "num", num);
    kap_metric_number(buf, "den", den);
}

int kap_metric_member(const kap_metric_at_t *at, const kap_scope_t *scope, kap_buf_t *buf,
                      const char *key, kap_span_t id)
{
    char name_key[KEY_MAX];
    kap_span_t name = id;
    const kap_member_t *m = scope->utc ? NULL : kap_directory_member(at->dir, id);
    int rc = scope->utc ? kap_rows_title(at->txn, scope->region_number, id, &name) : KAP_OK;

    if (m != NULL && m->name_fi.size > 0)
        name = m->name_fi;
    snprintf(name_key, sizeof name_key, "%s_name", key);
    kap_metric_text(buf, key, id);
    kap_metric_text(buf, name_key, name);
    return rc;
}

/* --- the matrix as a list --- */

typedef struct {
    const kap_metric_at_t *at;
    const kap_metric_query_t *query;
    bool merged;
    kap_handed_t *edges;
    uint32_t count, cap;
} handing_t;

static int keep(handing_t *h, const kap_handed_t *edge)
{
    if (h->count == h->cap) {
        uint32_t cap = h->cap == 0 ? 64 : h->cap * 2;
        kap_handed_t *grown = kap_arena_alloc(h->at->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (h->count > 0)
            memcpy(grown, h->edges, h->count * sizeof *grown);
        h->edges = grown;
        h->cap = cap;
    }
    h->edges[h->count++] = *edge;
    return KAP_OK;
}

static int text_of(const handing_t *h, uint32_t number, kap_span_t *text)
{
    int rc = kap_rows_text(h->at->txn, number, text);

    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

static int add_edge(void *arg, uint32_t region, uint32_t from, uint32_t to)
{
    handing_t *h = arg;
    kap_sum_query_t what = h->query->what;
    kap_vector_t sum = {0};
    kap_handed_t edge = {0};

    if (from == to) /* fell together since */
        return KAP_OK;
    what.scope = (kap_scope_t){.kind = KAP_SCOPE_EDGE,
                               .utc = h->query->what.scope.utc,
                               .region_number = region,
                               .a = from,
                               .b = to};
    int rc = text_of(h, region, &edge.region);
    if (rc == KAP_OK)
        rc = text_of(h, from, &edge.from);
    if (rc == KAP_OK)
        rc = text_of(h, to, &edge.to);
    what.scope.region = edge.region;
    what.scope.from = edge.from;
    what.scope.to = edge.to;
    if (rc == KAP_OK)
        rc = kap_sum_counts(h->at->summer, &what, &sum);
    edge.handed = sum.counts[KAP_FIGURE_REFERRALS];
    edge.expected = sum.counts[KAP_FIGURE_EXPECTED_BACK];
    if (h->merged)
        edge.region = (kap_span_t){0};
    return rc != KAP_OK || edge.handed == 0 ? rc : keep(h, &edge);
}

static int by_ends(const void *a, const void *b)
{
    const kap_handed_t *x = a, *y = b;
    int order = kap_span_cmp(x->from, y->from);

    order = order != 0 ? order : kap_span_cmp(x->to, y->to);
    return order != 0 ? order : kap_span_cmp(x->region, y->region);
}

void kap_metric_sort_handed(kap_handed_t *edges, uint32_t *count)
{
    uint32_t kept = 0;

    if (*count > 0)
        qsort(edges, *count, sizeof *edges, by_ends);
    for (uint32_t i = 0; i < *count; i++) {
        if (kept > 0 && by_ends(&edges[i], &edges[kept - 1]) == 0) {
            edges[kept - 1].handed += edges[i].handed;
            edges[kept - 1].expected += edges[i].expected;
        } else {
            edges[kept++] = edges[i];
        }
    }
    *count = kept;
}

int kap_metric_handed(const kap_metric_at_t *at, const kap_metric_query_t *query, bool merged,
                      kap_handed_t **edges, uint32_t *count)
{
    handing_t h = {.at = at, .query = query, .merged = merged};
    int rc = kap_sum_edges(at->summer, &query->what.scope, add_edge, &h);

    kap_metric_sort_handed(h.edges, &h.count);
    *edges = h.edges;
    *count = h.count;
    return rc;
}

const kap_handed_t *kap_metric_find_handed(const kap_handed_t *edges, uint32_t count,
                                           kap_span_t region, kap_span_t from, kap_span_t to)
{
    const kap_handed_t edge = {.region = region, .from = from, .to = to};

    return count == 0 ? NULL : bsearch(&edge, edges, count, sizeof edge, by_ends);
}
