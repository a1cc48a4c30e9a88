/* SPDX-License-Identifier: MPL-2.0 */
#include "gathered.h"

#include <string.h>

#include "answer.h"
#include "err.h"
#include "feed.h"

/* A value of an event as a node that outlives it. */
static bool value_node(kap_arena_t *arena, const kap_value_t *value, kap_mp_t *out)
{
    const kap_field_row_t *row = kap_field_row((kap_field_t)value->field);
    const char *code;
    switch (value->kind) {
    case KAP_VALUE_SPAN:
        *out = (kap_mp_t){.kind = KAP_MP_STR, .s = kap_arena_dup(arena, value->s)};
        return row->type != KAP_TYPE_BIN && out->s.data;
    case KAP_VALUE_INT:
        code = row->type == KAP_TYPE_CODE ? kap_code_name(row->list, (int)value->i) : NULL;
        *out = code ? (kap_mp_t){.kind = KAP_MP_STR, .s = kap_span_str(code)}
                    : (kap_mp_t){.kind = KAP_MP_INT, .i = value->i};
        return true;
    case KAP_VALUE_BOOL:
        *out = (kap_mp_t){.kind = KAP_MP_BOOL, .b = value->b};
        return true;
    default:
        return false;
    }
}

/* A list of texts; of maps (attendance) the member of each. */
static kap_mp_t list_node(kap_arena_t *arena, const kap_mp_t *from)
{
    kap_shown_list_t list = {.arena = arena};
    for (uint32_t i = 0; from && i < from->count; i++) {
        const kap_mp_t *item = kap_mp_item(from, i);
        kap_span_t text = item->kind == KAP_MP_MAP ? kap_mp_get_str(item, "member") : item->s;
        if (item->kind != KAP_MP_MAP && item->kind != KAP_MP_STR)
            continue;
        kap_mp_t copy = {.kind = KAP_MP_STR, .s = kap_arena_dup(arena, text)};
        if (copy.s.data)
            kap_shown_add(&list, &copy);
    }
    return kap_shown_array(&list);
}

static void set_values(kap_arena_t *arena, kap_shown_list_t *map, const kap_event_t *event)
{
    for (uint32_t i = 0; i < event->value_count; i++) {
        const kap_value_t *value = &event->values[i];
        const char *name = kap_field_row((kap_field_t)value->field)->wire;
        kap_mp_t node;
        if (value->kind == KAP_VALUE_NODE && value->node->kind == KAP_MP_ARRAY) {
            node = list_node(arena, value->node);
            kap_shown_set(map, name, &node);
        } else if (value_node(arena, value, &node)) {
            kap_shown_set(map, name, &node);
        }
    }
}

/* Which kind an event speaks of, and the state it leads to; -1: none of ours. */
static int kind_of(kap_event_type_t type, const char **state)
{
    *state = NULL;
    switch (type) {
    case KAP_EV_FORUM_SET:
        return KAP_GATHERED_FORUMS;
    case KAP_EV_MEETING_PLANNED:
        *state = "planned";
        return KAP_GATHERED_MEETINGS;
    case KAP_EV_MEETING_HELD:
        *state = "held";
        return KAP_GATHERED_MEETINGS;
    case KAP_EV_MEETING_CANCELLED:
        *state = "cancelled";
        return KAP_GATHERED_MEETINGS;
    case KAP_EV_MEETING_MOVED:
        return KAP_GATHERED_MEETINGS;
    case KAP_EV_ACTION_AGREED:
        *state = "agreed";
        return KAP_GATHERED_ACTIONS;
    case KAP_EV_ACTION_DONE:
        *state = "done";
        return KAP_GATHERED_ACTIONS;
    default:
        return -1;
    }
}

static kap_mp_t *find(const kap_shown_list_t *list, kap_span_t id)
{
    for (uint32_t i = 0; i < list->used; i++)
        if (kap_span_eq(kap_mp_get_str(&list->items[i], "id"), id))
            return &list->items[i];
    return NULL;
}

static bool on_event(void *arg, const kap_feed_item_t *item)
{
    kap_gathered_t *gathered = arg;
    const char *state;
    int kind = kind_of(item->event.type, &state);
    if (kind < 0 || item->meta.verdict != KAP_VERDICT_ACCEPTED)
        return true;
    kap_shown_list_t *list = &gathered->kinds[kind], map = {.arena = gathered->arena};
    kap_mp_t *known = find(list, item->event.subject);
    kap_shown_set_text(&map, "id", kap_arena_dup(gathered->arena, item->event.subject));
    if (known && kind != KAP_GATHERED_FORUMS) /* a forum is said anew as a whole */
        for (uint32_t i = 0; i < known->count; i++) {
            kap_shown_list_t *to = &map;
            kap_shown_set(to, kap_arena_str(gathered->arena, kap_mp_key(known, i)->s),
                          kap_mp_value(known, i));
        }
    set_values(gathered->arena, &map, &item->event);
    if (state)
        kap_shown_set_text(&map, "state", kap_span_str(state));
    if (item->event.type == KAP_EV_MEETING_HELD && !kap_event_get(&item->event, KAP_F_STARTS_AT) &&
        !(known && kap_mp_get(known, "starts_at")))
        kap_shown_set_int(&map, "starts_at", item->event.time);
    kap_mp_t made = kap_shown_map(&map);
    if (known)
        *known = made;
    else
        kap_shown_add(list, &made);
    return true;
}

/* The stream to read: the region's where this key may, else the member's own. */
static int choose_stream(kap_cli_t *cli, const char *region, char stream[256])
{
    const char *member = kap_conf_str(cli->conf, "member");
    const kap_mp_t *root;
    kap_buf_t map;
    char own[256];
    snprintf(stream, 256, "region/%s", region);
    snprintf(own, sizeof own, "member/%s", member ? member : "");
    kap_buf_init(&map);
    kap_query_begin(&map, "streams", 1);
    kap_mp_put_cstr(&map, "streams");
    kap_mp_put_array(&map, 1);
    kap_mp_put_cstr(&map, stream);
    int code = kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, &root);
    kap_buf_fini(&map);
    const kap_mp_t *readable = code == 0 ? kap_mp_get(root, "streams") : NULL;
    if (code == 0 && member && readable && readable->kind == KAP_MP_ARRAY && readable->count == 0)
        memcpy(stream, own, sizeof own);
    return code;
}

int kap_gathered_read(kap_cli_t *cli, const char *region, kap_gathered_t *gathered)
{
    char stream[256];
    memset(gathered, 0, sizeof *gathered);
    gathered->arena = kap_arena_new(65536);
    if (!gathered->arena)
        return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    for (int i = 0; i < 3; i++)
        gathered->kinds[i].arena = gathered->arena;
    int code = kap_cli_configure(cli);
    if (code != 0)
        return code;
    region = kap_cli_region(cli, region);
    if (!region)
        return KAP_EXIT_USAGE;
    code = choose_stream(cli, region, stream);
    if (code != 0)
        return code;
    kap_feed_t feed = {.stream = stream, .on_event = on_event, .arg = gathered};
    return kap_feed_run(cli, &feed);
}

void kap_gathered_free(kap_gathered_t *gathered)
{
    kap_arena_destroy(&gathered->arena);
}

const kap_mp_t *kap_gathered_find(const kap_gathered_t *gathered, int kind, kap_span_t id)
{
    return find(&gathered->kinds[kind], id);
}
