/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 15: how many recipients a sender has, and how even. */
#include "err.h"
#include "metric_list.h"

enum { FIRST = 3 };

/* What one sender handed out: in all, to its first recipients, and the sum of squares. */
typedef struct {
    uint64_t sum, squares, first[FIRST];
} spread_t;

static void add(spread_t *s, uint64_t handed)
{
    s->sum += handed;
    s->squares += handed * handed;
    for (int i = 0; i < FIRST; i++) {
        uint64_t less = s->first[i] < handed ? s->first[i] : handed;
        s->first[i] = s->first[i] < handed ? handed : s->first[i];
        handed = less;
    }
}

/* Of a member or an organisation its own senders count, of what they hand within the scope. */
static bool is_sender(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t from)
{
    const kap_member_t *m = kap_directory_member(at->dir, from);

    if (scope->kind == KAP_SCOPE_MEMBER)
        return kap_span_eq(from, scope->member);
    return scope->kind != KAP_SCOPE_ORGANISATION ||
           (m != NULL && kap_span_eq(m->organisation, scope->organisation));
}

static int put_sender(const kap_metric_at_t *at, const kap_scope_t *scope, kap_span_t from,
                      const spread_t *s, kap_metric_list_t *list)
{
    kap_buf_t *item = kap_metric_item(list, 6);

    if (item == NULL)
        return KAP_OK;
    int rc = kap_metric_member(at, scope, item, "member", from);
    kap_metric_number(item, "n", s->sum);
    kap_metric_rate(item, "first1", s->first[0], s->sum);
    kap_metric_rate(item, "first3", s->first[0] + s->first[1] + s->first[2], s->sum);
    kap_metric_rate(item, "herfindahl", s->squares, s->sum * s->sum);
    return rc;
}

int kap_metric_concentration(const kap_metric_at_t *at, const kap_metric_query_t *query,
                             const kap_vector_t *sum, kap_metric_values_t *values)
{
    const kap_scope_t *scope = &query->what.scope;
    kap_metric_list_t list = {0};
    kap_handed_t *edges;
    uint32_t count, i = 0;
    int rc = kap_metric_handed(at, query, true, &edges, &count);

    (void)sum;
    while (rc == KAP_OK && i < count) {
        kap_span_t from = edges[i].from;
        spread_t spread = {0};
        for (; i < count && kap_span_eq(edges[i].from, from); i++)
            add(&spread, edges[i].handed);
        if (is_sender(at, scope, from))
            rc = put_sender(at, scope, from, &spread, &list);
    }
    kap_metric_put_list(values, "members", &list);
    return rc;
}
