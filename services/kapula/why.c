/* SPDX-License-Identifier: MPL-2.0 */
#include "why.h"

#include <string.h>

#include "clock.h"
#include "err.h"
#include "feed.h"
#include "tables.h"

enum { SET_FIRST = 1024, LATE_MS = 24 * 3600 * 1000, HASH_START = 5381, HASH_FACTOR = 33 };

/* Ids of the window's referrals: open addressing, at most half full. */
typedef struct {
    kap_span_t *slots;
    size_t size, used;
} set_t;

typedef struct {
    const kap_why_t *why;
    kap_arena_t *arena;
    set_t ids;
    struct {
        int64_t count, late;
        kap_shown_list_t subjects;
    } types[KAP_EVENT_COUNT];
    int rc;
} reading_t;

static size_t slot_of(const set_t *set, kap_span_t id)
{
    size_t hash = HASH_START;
    for (size_t i = 0; i < id.size; i++)
        hash = hash * HASH_FACTOR + id.data[i];
    size_t at = hash & (set->size - 1);
    while (set->slots[at].data && !kap_span_eq(set->slots[at], id))
        at = (at + 1) & (set->size - 1);
    return at;
}

static bool has(const set_t *set, kap_span_t id)
{
    return set->size > 0 && set->slots[slot_of(set, id)].data;
}

static int grow(kap_arena_t *arena, set_t *set)
{
    set_t more = {.size = set->size ? set->size * 2 : SET_FIRST, .used = set->used};
    more.slots = kap_arena_calloc(arena, more.size, sizeof *more.slots);
    if (!more.slots)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < set->size; i++)
        if (set->slots[i].data)
            more.slots[slot_of(&more, set->slots[i])] = set->slots[i];
    *set = more;
    return KAP_OK;
}

static int add(kap_arena_t *arena, set_t *set, kap_span_t id)
{
    int rc = set->used * 2 >= set->size ? grow(arena, set) : KAP_OK;
    if (rc != KAP_OK || has(set, id))
        return rc;
    kap_span_t kept = kap_arena_dup(arena, id);
    if (!kept.data)
        return KAP_E_NOMEM;
    set->slots[slot_of(set, id)] = kept;
    set->used++;
    return KAP_OK;
}

static bool in_window(const kap_why_t *why, int64_t at)
{
    return at >= why->from_ms && at < why->to_ms;
}

static bool of_ends(const kap_why_t *why, const kap_event_t *event)
{
    kap_span_t from = kap_event_span(event, KAP_F_FROM), to = kap_event_span(event, KAP_F_TO);
    return (kap_span_empty(why->from) || kap_span_eq(why->from, from)) &&
           (kap_span_empty(why->to) || kap_span_eq(why->to, to)) &&
           (kap_span_empty(why->member) || kap_span_eq(why->member, from) ||
            kap_span_eq(why->member, to));
}

/* The first day of a tally's period: 2026, 2026-10 or a day. */
static bool tallied_in(const kap_why_t *why, const kap_event_t *event)
{
    char text[32];
    kap_date_t day;
    kap_span_t period = kap_event_span(event, KAP_F_PERIOD);
    snprintf(text, sizeof text, "%.*s%s", (int)(period.size < 10 ? period.size : 10),
             (const char *)period.data,
             period.size == 4   ? "-01-01"
             : period.size == 7 ? "-01"
                                : "");
    return kap_date_parse(kap_span_str(text), &day) == KAP_OK &&
           in_window(why, kap_day_start_ms(KAP_ZONE_HELSINKI, day));
}

static bool concerns(const reading_t *reading, const kap_event_t *event)
{
    const kap_event_row_t *row = kap_event_row(event->type);
    if (!row || event->type == KAP_EV_REFERRAL_NOTED || event->type == KAP_EV_REFERRAL_SHARED)
        return false;
    switch (row->family) {
    case KAP_FAMILY_REFERRAL:
        return has(&reading->ids, event->subject);
    case KAP_FAMILY_TALLY:
        return of_ends(reading->why, event) && tallied_in(reading->why, event);
    case KAP_FAMILY_MEETING:
    case KAP_FAMILY_FOLLOWUP:
        return reading->why->meetings;
    default:
        return false;
    }
}

static void count(reading_t *reading, const kap_feed_item_t *item)
{
    const kap_event_t *event = &item->event;
    kap_shown_list_t *subjects = &reading->types[event->type].subjects;
    kap_mp_t id = {.kind = KAP_MP_STR, .s = kap_arena_dup(reading->arena, event->subject)};
    reading->types[event->type].count++;
    reading->types[event->type].late += item->meta.committed_at - event->time > LATE_MS;
    subjects->arena = reading->arena;
    for (uint32_t i = 0; i < subjects->used; i++)
        if (kap_span_eq(subjects->items[i].s, event->subject))
            return;
    if (id.s.data && id.s.size > 0)
        kap_shown_add(subjects, &id);
}

static bool on_event(void *arg, const kap_feed_item_t *item)
{
    reading_t *reading = arg;
    const kap_event_t *event = &item->event;
    if (item->meta.verdict != KAP_VERDICT_ACCEPTED)
        return true;
    int64_t at = event->time < item->meta.committed_at ? event->time : item->meta.committed_at;
    if (event->type == KAP_EV_REFERRAL_CREATED && in_window(reading->why, at) &&
        of_ends(reading->why, event))
        reading->rc = add(reading->arena, &reading->ids, event->subject);
    if ((int64_t)item->meta.log_seq > reading->why->after_seq && concerns(reading, event))
        count(reading, item);
    return reading->rc == KAP_OK;
}

static void tell(const reading_t *reading, kap_shown_list_t *out)
{
    for (int type = 0; type < KAP_EVENT_COUNT; type++) {
        kap_shown_list_t map = {.arena = out->arena};
        const kap_mp_t subjects = kap_shown_array(&reading->types[type].subjects);
        if (reading->types[type].count == 0)
            continue;
        kap_shown_set_text(&map, "event",
                           kap_span_str(kap_event_type_name((kap_event_type_t)type)));
        kap_shown_set_int(&map, "count", reading->types[type].count);
        kap_shown_set_int(&map, "reported_late", reading->types[type].late);
        kap_shown_set(&map, "subjects", &subjects);
        const kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(out, &made);
    }
}

int kap_why_read(kap_cli_t *cli, const kap_why_t *why, kap_shown_list_t *out)
{
    char stream[256];
    reading_t *reading = kap_arena_calloc(out->arena, 1, sizeof *reading);
    if (!reading)
        return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    reading->why = why;
    reading->arena = out->arena;
    snprintf(stream, sizeof stream, "region/%s", why->region);
    kap_feed_t feed = {.stream = stream, .on_event = on_event, .arg = reading};
    int code = kap_feed_run(cli, &feed);
    if (code == 0 && reading->rc != KAP_OK)
        code = kap_cli_fail(KAP_EXIT_REFUSED, "%s", kap_err_text(reading->rc));
    if (code == 0)
        tell(reading, out);
    return code;
}
