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

/* A list of texts between commas; nothing: an empty one. */
static void set_list(desk_t *d, kap_field_t field, const char *value)
{
    static kap_buf_t lists[8];
    static size_t next;
    kap_buf_t *buf = &lists[next++ % 8], items = {0};
    uint32_t count = 0;

    for (const char *at = value; *at; count++) {
        size_t size = strcspn(at, ",");
        kap_mp_put_str(&items, kap_span(at, size));
        at += size + (at[size] == ',');
    }
    kap_buf_reset(buf);
    kap_mp_put_array(buf, count);
    kap_buf_append(buf, kap_buf_span(&items));
    kap_buf_fini(&items);
    kap_event_builder_set_raw(&d->builder, field, kap_buf_span(buf));
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
        set_list(d, field, value);
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
