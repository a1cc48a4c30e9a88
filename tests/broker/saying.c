/* SPDX-License-Identifier: MPL-2.0 */
#include "saying.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "mp.h"

int64_t saying_time(const char *when)
{
    char text[40];
    int64_t at;

    snprintf(text, sizeof text, strlen(when) > 10 ? "%s:00" : "%s 12:00:00", when);
    cr_assert_eq(kap_time_parse(kap_span_str(text), KAP_ZONE_HELSINKI, &at, NULL), KAP_OK, "%s",
                 when);
    return at;
}

void saying_at(desk_t *d, const char *when)
{
    d->now = saying_time(when);
}

static void set(desk_t *d, kap_field_t field, const char *value)
{
    const kap_field_row_t *row = kap_field_row(field);
    int64_t number;

    switch (row->type) {
    case KAP_TYPE_CODE:
        desk_code(d, field, kap_code_parse(row->list, kap_span_str(value)));
        break;
    case KAP_TYPE_UINT:
    case KAP_TYPE_YEAR:
    case KAP_TYPE_PERCENT:
        cr_assert(kap_span_int(kap_span_str(value), &number), "%s", value);
        desk_int(d, field, number);
        break;
    case KAP_TYPE_MS:
        desk_int(d, field, saying_time(value));
        break;
    case KAP_TYPE_BOOL:
        kap_event_builder_set_bool(&d->builder, field, strcmp(value, "yes") == 0);
        break;
    case KAP_TYPE_LIST:
        desk_list(d, field, value);
        break;
    default:
        desk_span(d, field, value);
        break;
    }
}

static bool wants_region(kap_event_type_t type)
{
    const kap_event_row_t *row = kap_event_row(type);

    for (uint16_t i = 0; i < row->open_count; i++) {
        if (row->fields[i].field == KAP_F_REGION)
            return row->fields[i].required;
    }
    return false;
}

void saying_add(desk_t *d, const char *who, kap_event_type_t type, const char *fields)
{
    char text[2000], *rest = text;
    int64_t time = d->now;

    snprintf(text, sizeof text, "%s", fields);
    desk_event(d, who, type, time);
    if (wants_region(type))
        desk_span(d, KAP_F_REGION, "mikkeli");
    for (char *pair; (pair = strsep(&rest, ";")) != NULL;) {
        char *name = pair + strspn(pair, " "), *value = strchr(name, '=');
        cr_assert_not_null(value, "%s", pair);
        *value++ = '\0';
        if (strcmp(name, "time") == 0) {
            d->builder.time = saying_time(value);
            continue;
        }
        kap_field_t field = kap_field_parse(kap_span_str(name));
        cr_assert_neq(field, KAP_F_NONE, "no field %s", name);
        set(d, field, value);
    }
}

void say(desk_t *d, const char *who, kap_event_type_t type, const char *fields)
{
    saying_add(d, who, type, fields);
    int refusal = desk_said(d);

    cr_assert_eq(refusal, 0, "%s %s: %s", kap_event_type_name(type), fields,
                 refusal > 0 ? kap_refusal_code((uint16_t)refusal) : "already so");
}

/* --- answers in words --- */

static void put_node(kap_buf_t *text, const kap_mp_t *node)
{
    switch (node->kind) {
    case KAP_MP_STR:
        kap_buf_append(text, node->s);
        break;
    case KAP_MP_INT:
        kap_buf_printf(text, "%lld", (long long)node->i);
        break;
    case KAP_MP_BOOL:
        kap_buf_str(text, node->b ? "yes" : "no");
        break;
    case KAP_MP_MAP: /* a rate or a mean: its two numbers */
        put_node(text, kap_mp_value(node, 0));
        kap_buf_str(text, "/");
        put_node(text, kap_mp_value(node, 1));
        break;
    default:
        kap_buf_str(text, "-");
        break;
    }
}

const char *saying_told(desk_t *d, const kap_mp_t *values, const char *list)
{
    const kap_mp_t *items = kap_mp_get(values, list);
    kap_buf_t text = {0};

    cr_assert(items != NULL && items->kind == KAP_MP_ARRAY, "no %s", list);
    for (uint32_t i = 0; i < items->count; i++) {
        const kap_mp_t *item = kap_mp_item(items, i);
        for (uint32_t k = 0; k < item->count; k++) {
            kap_buf_printf(&text, "%s%.*s ", k > 0 ? " " : "",
                           KAP_SPAN_ARGS(kap_mp_key(item, k)->s));
            put_node(&text, kap_mp_value(item, k));
        }
        kap_buf_str(&text, "\n");
    }
    const char *kept = kap_arena_str(d->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return kept;
}
