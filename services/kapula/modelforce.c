/* SPDX-License-Identifier: MPL-2.0 */
/* What of the follow-up model is in force, and whether something said differs from it. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "followup.h"
#include "model.h"
#include "modelvalue.h"

int kap_model_in_force(kap_cli_t *cli, kap_event_type_t type, const char *region, bool quiet,
                       kap_mp_t *rows)
{
    kap_shown_list_t all = {.arena = cli->arena};
    kap_span_t next = kap_span("", 0);
    int code;
    do {
        const kap_mp_t *root;
        kap_buf_t map;
        kap_buf_init(&map);
        kap_query_begin(&map, "followed", next.size ? 3 : 2);
        kap_mp_put_cstr(&map, "region");
        kap_mp_put_cstr(&map, region);
        kap_mp_put_cstr(&map, "type");
        kap_mp_put_cstr(&map, kap_event_type_name(type));
        if (next.size) {
            kap_mp_put_cstr(&map, "after");
            kap_mp_put_bin(&map, next);
        }
        code = quiet ? kap_cli_ask_quietly(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, &root)
                     : kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, &root);
        kap_buf_fini(&map);
        if (code == 0 && kap_mp_get(root, "error"))
            code = KAP_EXIT_REFUSED;
        const kap_mp_t *page = code == 0 ? kap_mp_get(root, "rows") : NULL;
        for (uint32_t i = 0; page && i < page->count; i++)
            kap_shown_add(&all, kap_mp_item(page, i));
        next = code == 0 ? kap_mp_get_bin(root, "next") : next;
    } while (code == 0 && next.size);
    *rows = kap_shown_array(&all);
    return code;
}

/* Lists are compared item by item, whatever stands between. */
static bool same_text(kap_span_t a, kap_span_t b, bool list)
{
    size_t i = 0, k = 0;
    while (i < a.size && k < b.size) {
        if (list && strchr(" ,;", a.data[i]) && strchr(" ,;", b.data[k])) {
            while (i < a.size && strchr(" ,;", a.data[i]))
                i++;
            while (k < b.size && strchr(" ,;", b.data[k]))
                k++;
            continue;
        }
        if (a.data[i++] != b.data[k++])
            return false;
    }
    return i == a.size && k == b.size;
}

static bool same_field(const kap_said_t *said, const kap_mp_t *data, const char *name)
{
    const char *mine = kap_said(said, name);
    const kap_mp_t *value = kap_mp_get(data, name);
    kap_buf_t text;
    kap_buf_init(&text);
    kap_value_text(value, &text);
    bool same = same_text(kap_span_str(mine ? mine : ""), kap_buf_span(&text),
                          value && value->kind == KAP_MP_ARRAY);
    kap_buf_fini(&text);
    return same;
}

/* Have both the same key? Of a member that is left out: who publishes. */
static bool same_key(const kap_cli_t *cli, kap_event_type_t type, const kap_said_t *said,
                     const kap_mp_t *row)
{
    const kap_field_t *fields = kap_followup_key_fields(type);
    const kap_mp_t *data = kap_mp_get(row, "data");
    for (int i = 0; fields[i] != KAP_F_NONE; i++) {
        const char *name = kap_field_row(fields[i])->wire;
        if (fields[i] != KAP_F_MEMBER) {
            if (!same_field(said, data, name))
                return false;
            continue;
        }
        const char *mine = kap_said(said, name), *self = kap_conf_str(cli->conf, "member");
        kap_span_t theirs = kap_mp_get_str(data, name);
        if (kap_span_empty(theirs))
            theirs = kap_mp_get_str(row, "by");
        if (!kap_span_eq_str(theirs, mine ? mine : self ? self : ""))
            return false;
    }
    return true;
}

static bool same_values(const kap_said_t *said, const kap_mp_t *data)
{
    for (int i = 0; i < said->count; i++)
        if (strcmp(said->names[i], "time") != 0 && !same_field(said, data, said->names[i]))
            return false;
    for (uint32_t i = 0; i < data->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(kap_mp_key(data, i)->s));
        if (!kap_said(said, name))
            return false;
    }
    return true;
}

const kap_mp_t *kap_model_find(const kap_cli_t *cli, kap_event_type_t type, const kap_mp_t *rows,
                               const kap_said_t *said, bool *same)
{
    for (uint32_t i = 0; rows && i < rows->count; i++) {
        const kap_mp_t *row = kap_mp_item(rows, i);
        if (!same_key(cli, type, said, row))
            continue;
        *same = same_values(said, kap_mp_get(row, "data"));
        return row;
    }
    return NULL;
}
