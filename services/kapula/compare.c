/* SPDX-License-Identifier: MPL-2.0 */
#include "compare.h"

#include "asking.h"
#include "measure.h"

static void compare(const char *path, kap_span_t key, const kap_mp_t *before, const kap_mp_t *after,
                    kap_shown_list_t *out);

static void add(const char *path, const kap_mp_t *before, const kap_mp_t *after,
                kap_shown_list_t *out)
{
    kap_shown_list_t map = {.arena = out->arena};
    kap_shown_set_text(&map, "what", kap_arena_dup(out->arena, kap_span_str(path)));
    if (before)
        kap_shown_set(&map, "old", before);
    if (after)
        kap_shown_set(&map, "new", after);
    const kap_mp_t made = kap_shown_map(&map);
    kap_shown_add(out, &made);
}

/* "values" names a level, not a thing. */
static void step(const char *path, kap_span_t key, char out[KAP_SHOWN_BYTES])
{
    if (kap_span_eq_str(key, "values"))
        snprintf(out, KAP_SHOWN_BYTES, "%s", path);
    else
        snprintf(out, KAP_SHOWN_BYTES, "%s%s%.*s", path, *path ? " " : "", KAP_SPAN_ARGS(key));
}

static bool is_position(kap_span_t key)
{
    return kap_span_eq_str(key, "as_of_seq") || kap_span_eq_str(key, "as_of_time");
}

static const kap_mp_t *get(const kap_mp_t *map, kap_span_t key)
{
    for (uint32_t i = 0; map && map->kind == KAP_MP_MAP && i < map->count; i++)
        if (kap_span_eq(kap_mp_key(map, i)->s, key))
            return kap_mp_value(map, i);
    return NULL;
}

static void compare_maps(const char *path, const kap_mp_t *before, const kap_mp_t *after,
                         kap_shown_list_t *out)
{
    for (uint32_t i = 0; i < before->count; i++) {
        kap_span_t key = kap_mp_key(before, i)->s;
        if (!is_position(key))
            compare(path, key, kap_mp_value(before, i), get(after, key), out);
    }
    for (uint32_t i = 0; i < after->count; i++) {
        kap_span_t key = kap_mp_key(after, i)->s;
        if (!get(before, key) && !is_position(key))
            compare(path, key, NULL, kap_mp_value(after, i), out);
    }
}

/* The item of the list that speaks of the same: a row by its key, else an item that says the same.
 */
static const kap_mp_t *counterpart(const kap_mp_t *list, const kap_mp_t *item)
{
    const kap_mp_t *key = kap_mp_get(item, "key");
    for (uint32_t i = 0; list && list->kind == KAP_MP_ARRAY && i < list->count; i++) {
        const kap_mp_t *other = &list->items[i], *other_key = kap_mp_get(other, "key");
        if (key ? other_key && kap_asking_same(key, other_key) : kap_asking_same(item, other))
            return other;
    }
    return NULL;
}

/* "te-office > finnvera", "2026-10": the key's values. */
static void row_path(const char *path, const kap_mp_t *row, char out[KAP_SHOWN_BYTES])
{
    const kap_mp_t *key = kap_mp_get(row, "key");
    char part[KAP_SHOWN_BYTES];
    snprintf(out, KAP_SHOWN_BYTES, "%s", kap_span_eq_str(kap_span_str(path), "rows") ? "" : path);
    for (uint32_t i = 0; key && i < key->count; i++) {
        const kap_mp_t *value = kap_mp_value(key, i);
        for (uint32_t k = 0; k < (value->kind == KAP_MP_ARRAY ? value->count : 1); k++) {
            const kap_mp_t *item = value->kind == KAP_MP_ARRAY ? &value->items[k] : value;
            kap_span_t text = item->kind == KAP_MP_STR ? item->s : kap_span_str("?");
            snprintf(part, sizeof part, "%.200s%s%.*s", out,
                     k      ? " > "
                     : *out ? " "
                            : "",
                     KAP_SPAN_ARGS(text));
            snprintf(out, KAP_SHOWN_BYTES, "%s", part);
        }
    }
}

static void compare_lists(const char *path, const kap_mp_t *before, const kap_mp_t *after,
                          kap_shown_list_t *out)
{
    for (uint32_t i = 0; i < before->count; i++) {
        const kap_mp_t *old = &before->items[i], *new = counterpart(after, old);
        char name[KAP_SHOWN_BYTES];
        row_path(path, old, name);
        if (!new)
            add(name, old, NULL, out);
        else if (kap_mp_get(old, "key"))
            compare_maps(name, old, new, out);
    }
    for (uint32_t i = 0; i < after->count; i++)
        if (!counterpart(before, &after->items[i])) {
            char name[KAP_SHOWN_BYTES];
            row_path(path, &after->items[i], name);
            add(name, NULL, &after->items[i], out);
        }
}

static void compare(const char *path, kap_span_t key, const kap_mp_t *before, const kap_mp_t *after,
                    kap_shown_list_t *out)
{
    char here[KAP_SHOWN_BYTES];
    step(path, key, here);
    if (before && after && kap_asking_same(before, after))
        return;
    if (before && after && kap_measure_form(key, before) == KAP_MEASURE_MAP &&
        kap_measure_form(key, after) == KAP_MEASURE_MAP)
        compare_maps(here, before, after, out);
    else if (before && after && before->kind == KAP_MP_ARRAY && after->kind == KAP_MP_ARRAY)
        compare_lists(here, before, after, out);
    else
        add(here, before, after, out);
}

void kap_compare(const kap_mp_t *before, const kap_mp_t *after, kap_shown_list_t *out)
{
    if (before->kind == KAP_MP_MAP && after->kind == KAP_MP_MAP)
        compare_maps("", before, after, out);
}
