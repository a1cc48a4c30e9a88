/* SPDX-License-Identifier: MPL-2.0 */
/* A list in an answer as a table or as CSV. */
#include <string.h>

#include "measure.h"
#include "metricview.h"

enum { LIST_COLUMNS = 16 };

static bool ends_in_name(kap_span_t key)
{
    return key.size > 5 && memcmp(key.data + key.size - 5, "_name", 5) == 0;
}

static kap_mp_t flat_value(kap_cli_t *cli, const kap_mp_t *row, kap_span_t key,
                           const kap_mp_t *value)
{
    char text[KAP_SHOWN_BYTES] = "";
    kap_measure_form_t form = kap_measure_form(key, value);
    char name[64];
    snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(key));
    if (value->kind == KAP_MP_STR)
        return (kap_mp_t){.kind = KAP_MP_STR,
                          .s = kap_metricview_word(cli, name, kap_metricview_who(cli, row, name))};
    if (form == KAP_MEASURE_COUNT || value->kind == KAP_MP_BOOL)
        return *value;
    kap_measure_text(cli, key, value, false, text);
    return (kap_mp_t){.kind = KAP_MP_STR, .s = kap_arena_dup(cli->arena, kap_span_str(text))};
}

/* What has no column of its own: the name beside an id, the id of a forum that has a name, that a
 * row is hidden. */
static bool is_beside_a_cell(const kap_mp_t *row, kap_span_t key, bool with_region)
{
    return ends_in_name(key) || (kap_span_eq_str(key, "forum") && kap_mp_get(row, "name")) ||
           kap_span_eq_str(key, "hidden") || (!with_region && kap_span_eq_str(key, "region"));
}

/* A row for the table: each value a text or a number, names instead of ids; keys by the metric's
 * word for them, where it has one. */
static kap_mp_t flat_row(kap_cli_t *cli, kap_span_t metric, const kap_mp_t *row, bool with_region)
{
    const kap_mp_t small = {.kind = KAP_MP_STR, .s = KAP_SPAN("1-4")};
    kap_shown_list_t map = {.arena = cli->arena};
    for (uint32_t i = 0; row->kind == KAP_MP_MAP && i < row->count; i++) {
        char own[128];
        kap_span_t key = kap_mp_key(row, i)->s;
        kap_mp_t value = flat_value(cli, row, key, kap_mp_value(row, i));
        snprintf(own, sizeof own, "%.*s.%.*s", KAP_SPAN_ARGS(metric), KAP_SPAN_ARGS(key));
        bool has_own = kap_shown_key(cli, kap_span_str(own)).data != (const uint8_t *)own;
        char *name = kap_arena_str(cli->arena, has_own ? kap_span_str(own) : key);
        if (name && !is_beside_a_cell(row, key, with_region))
            kap_shown_set(&map, name, &value);
    }
    if (kap_mp_get_bool(row, "hidden", false))
        kap_shown_set(&map, "n", &small);
    return kap_shown_map(&map);
}

static bool is_number(const kap_mp_t *value)
{
    return value && (value->kind == KAP_MP_INT || value->kind == KAP_MP_UINT);
}

/* CSV has every key, the parts of shares and times as keys of their own. */
static void flat_pairs(kap_cli_t *cli, const kap_mp_t *row, kap_shown_list_t *map)
{
    for (uint32_t i = 0; row->kind == KAP_MP_MAP && i < row->count; i++) {
        kap_span_t key = kap_mp_key(row, i)->s;
        const kap_mp_t *value = kap_mp_value(row, i);
        for (uint32_t k = 0; value->kind == KAP_MP_MAP && k < value->count; k++) {
            char part[128];
            snprintf(part, sizeof part, "%.*s_%.*s", KAP_SPAN_ARGS(key),
                     KAP_SPAN_ARGS(kap_mp_key(value, k)->s));
            char *name = kap_arena_str(cli->arena, kap_span_str(part));
            if (name)
                kap_shown_set(map, name, kap_mp_value(value, k));
        }
        char *name = kap_arena_str(cli->arena, key);
        if (name && value->kind != KAP_MP_MAP)
            kap_shown_set(map, name, value);
    }
}

static bool is_measured(const kap_mp_t *row, const char *key)
{
    const char *dot = key ? strchr(key, '.') : NULL;
    key = dot ? dot + 1 : key;
    kap_measure_form_t form = key ? kap_measure_form(kap_span_str(key), kap_mp_get(row, key)) : 0;
    if (form == KAP_MEASURE_TEXT) /* decimals come as their digits */
        return strcmp(key, "mean") == 0 || strcmp(key, "value") == 0 || strcmp(key, "done") == 0 ||
               strcmp(key, "change") == 0;
    return form >= KAP_MEASURE_COUNT && form <= KAP_MEASURE_TIME;
}

/* Rows leave out what they do not say: a column for every key that any of them has. */
static void add_keys_of(kap_cli_t *cli, const kap_mp_t *row, const kap_mp_t *from,
                        kap_shown_column_t columns[LIST_COLUMNS + 1])
{
    for (uint32_t i = 0; i < row->count; i++) {
        kap_span_t key = kap_mp_key(row, i)->s;
        int at = 0;
        while (at < LIST_COLUMNS && columns[at].key && !kap_span_eq_str(key, columns[at].key))
            at++;
        if (at == LIST_COLUMNS || columns[at].key)
            continue;
        columns[at].key = kap_arena_str(cli->arena, key);
        columns[at].right = is_measured(from, columns[at].key);
        columns[at].tail = kap_span_eq_str(key, "referral");
    }
}

/* On a screen a column of nothing but 0 says nothing. */
static void drop_silent(const kap_mp_t *rows, kap_shown_column_t columns[])
{
    int kept = 0;
    for (int k = 0; columns[k].key; k++) {
        bool says = false;
        for (uint32_t i = 0; !says && i < rows->count; i++) {
            const kap_mp_t *value = kap_mp_get(kap_mp_item(rows, i), columns[k].key);
            says = value && !(is_number(value) && value->i == 0) &&
                   !(value->kind == KAP_MP_STR && value->s.size == 0);
        }
        if (says)
            columns[kept++] = columns[k];
    }
    columns[kept] = (kap_shown_column_t){0};
}

int kap_metricview_list(kap_cli_t *cli, kap_span_t metric, const kap_mp_t *list, bool with_region)
{
    kap_shown_column_t columns[LIST_COLUMNS + 1] = {{0}};
    kap_shown_list_t rows = {.arena = cli->arena};
    for (uint32_t i = 0; i < list->count; i++) {
        kap_shown_list_t pairs = {.arena = cli->arena};
        kap_mp_t row;
        if (cli->format == KAP_FORMAT_CSV) {
            flat_pairs(cli, kap_mp_item(list, i), &pairs);
            row = kap_shown_map(&pairs);
        } else {
            row = flat_row(cli, metric, kap_mp_item(list, i), with_region);
        }
        kap_shown_add(&rows, &row);
    }
    const kap_mp_t all = kap_shown_array(&rows);
    for (uint32_t i = 0; i < all.count; i++)
        add_keys_of(cli, kap_mp_item(&all, i), kap_mp_item(list, i), columns);
    if (cli->format == KAP_FORMAT_TABLE)
        drop_silent(&all, columns);
    return kap_shown_rows(cli, "list", &all, columns);
}
