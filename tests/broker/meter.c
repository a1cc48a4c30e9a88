/* SPDX-License-Identifier: MPL-2.0 */
#include "meter.h"

#include <criterion/criterion.h>

#include "err.h"

void meter_begin(meter_t *meter, desk_t *desk, kap_metric_t metric)
{
    kap_date_t none = {0};

    *meter = (meter_t){.desk = desk, .dir = desk->dir};
    meter->query = (kap_metric_query_t){
        .metric = metric, .kind = KAP_KIND_OF_COHORT, .elapsed = true, .now = desk->now};
    meter->query.what.side = kap_metric_row(metric)->side;
    meter->query.what.scope =
        (kap_scope_t){.kind = KAP_SCOPE_REGION, .region = KAP_SPAN("mikkeli")};
    kap_window_days(&meter->query.what.window, KAP_ZONE_HELSINKI, false, none, false, none);
}

void meter_nation(meter_t *meter)
{
    meter->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_NATION};
}

void meter_member(meter_t *meter, const char *region, const char *member)
{
    meter->query.what.scope = (kap_scope_t){
        .kind = KAP_SCOPE_MEMBER, .region = kap_span_str(region), .member = kap_span_str(member)};
}

void meter_edge(meter_t *meter, const char *from, const char *to)
{
    meter->query.what.scope = (kap_scope_t){.kind = KAP_SCOPE_EDGE,
                                            .region = KAP_SPAN("mikkeli"),
                                            .from = kap_span_str(from),
                                            .to = kap_span_str(to)};
}

void meter_days(meter_t *meter, const char *from, const char *to)
{
    kap_date_t first = {0}, end = {0};

    if (from != NULL)
        cr_assert_eq(kap_date_parse(kap_span_str(from), &first), KAP_OK);
    if (to != NULL)
        cr_assert_eq(kap_date_parse(kap_span_str(to), &end), KAP_OK);
    kap_window_days(&meter->query.what.window, KAP_ZONE_HELSINKI, from != NULL, first, to != NULL,
                    end);
}

/* The pairs as a map in the desk's arena. */
static const kap_mp_t *map_of(desk_t *desk, const kap_metric_values_t *values)
{
    kap_mp_t *root = kap_arena_alloc(desk->arena, sizeof *root);
    kap_buf_t map = {0};
    const char *why = "";

    kap_mp_put_map(&map, values->count);
    kap_buf_append(&map, kap_buf_span(&values->pairs));
    kap_span_t kept = kap_arena_dup(desk->arena, kap_buf_span(&map));
    kap_buf_fini(&map);
    cr_assert_eq(kap_mp_read_answer(kept, desk->arena, root, &why), KAP_OK, "%s", why);
    return root;
}

const kap_mp_t *meter_ask(meter_t *meter)
{
    desk_t *desk = meter->desk;
    kap_metric_at_t at = {.dir = meter->dir, .arena = desk->arena, .seen = meter->seen};
    bool row = meter->values.row;

    meter->values = (kap_metric_values_t){.row = row};
    cr_assert_eq(kap_txn_begin(desk->store, KAP_TXN_READ, &at.txn), KAP_OK);
    cr_assert_eq(kap_summer_new(at.txn, at.arena, at.dir, &at.summer), KAP_OK);
    cr_assert_eq(kap_scope_find(at.txn, &meter->query.what.scope), KAP_OK);
    int rc = kap_metric_values(&at, &meter->query, &meter->values);
    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
    const kap_mp_t *map = map_of(desk, &meter->values);
    kap_buf_fini(&meter->values.pairs);
    kap_summer_destroy(&at.summer);
    kap_txn_abort(&at.txn);
    return map;
}

const kap_mp_t *meter_item(const kap_mp_t *values, const char *list, const char *key1,
                           const char *text1, const char *key2, const char *text2)
{
    const kap_mp_t *items = kap_mp_get(values, list);

    cr_assert_not_null(items, "no %s", list);
    for (uint32_t i = 0; i < items->count; i++) {
        const kap_mp_t *item = kap_mp_item(items, i);
        if (kap_span_eq_str(kap_mp_get_str(item, key1), text1) &&
            (key2 == NULL || kap_span_eq_str(kap_mp_get_str(item, key2), text2)))
            return item;
    }
    return NULL;
}

uint32_t meter_length(const kap_mp_t *values, const char *list)
{
    const kap_mp_t *items = kap_mp_get(values, list);

    cr_assert(items != NULL && items->kind == KAP_MP_ARRAY, "no %s", list);
    return items->count;
}

void meter_send(desk_t *desk)
{
    cr_assert_eq(desk_send(desk), KAP_RECEIPT_OK);
    for (uint32_t i = 0; i < desk->last->results[0].count; i++)
        cr_assert_eq(desk_decided(desk, i)->verdict, KAP_VERDICT_ACCEPTED, "%u: refusal %u", i,
                     desk_decided(desk, i)->why.number);
}
