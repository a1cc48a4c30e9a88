/* SPDX-License-Identifier: MPL-2.0 */
#include "matters.h"

#include <string.h>

#include "err.h"
#include "feed.h"
#include "tables.h"

typedef struct {
    kap_span_t id;
    kap_event_type_t type; /* that opened it */
    bool open;
    kap_mp_t map;
} matter_t;

typedef struct {
    kap_arena_t *arena;
    kap_span_t members;
    matter_t *items;
    uint32_t used, cap;
    int64_t seq;
    int rc;
} reading_t;

/* Whether the id stands in the list "a,b,c". */
static bool listed(kap_span_t list, kap_span_t id)
{
    for (size_t at = 0; at < list.size;) {
        size_t n = 0;
        while (at + n < list.size && list.data[at + n] != ',')
            n++;
        if (kap_span_eq(kap_span_trim(kap_span_sub(list, at, n)), id))
            return true;
        at += n + 1;
    }
    return false;
}

static matter_t *find(const reading_t *reading, kap_span_t id)
{
    for (uint32_t i = reading->used; i-- > 0;)
        if (kap_span_eq(reading->items[i].id, id))
            return &reading->items[i];
    return NULL;
}

static matter_t *add(reading_t *reading, const kap_event_t *event)
{
    if (reading->used == reading->cap) {
        uint32_t cap = reading->cap ? reading->cap * 2 : 64;
        matter_t *items = kap_arena_calloc(reading->arena, cap, sizeof *items);
        if (!items)
            return NULL;
        if (reading->used)
            memcpy(items, reading->items, reading->used * sizeof *items);
        reading->items = items;
        reading->cap = cap;
    }
    matter_t *matter = &reading->items[reading->used++];
    *matter = (matter_t){
        .id = kap_arena_dup(reading->arena, event->subject), .type = event->type, .open = true};
    return matter;
}

static void set_field(reading_t *reading, kap_shown_list_t *map, const kap_event_t *event,
                      kap_field_t field)
{
    const kap_value_t *value = kap_event_get(event, field);
    const kap_field_row_t *row = kap_field_row(field);
    const char *code =
        value && value->kind == KAP_VALUE_INT ? kap_code_name(row->list, (int)value->i) : NULL;
    if (code)
        kap_shown_set_text(map, row->wire, kap_span_str(code));
    else if (value && value->kind == KAP_VALUE_SPAN)
        kap_shown_set_text(map, row->wire, kap_arena_dup(reading->arena, value->s));
}

/* Fields that a matter is shown by, by the event that opens it. */
static const struct {
    kap_event_type_t type;
    const char *id;
    kap_field_t fields[6];
} openers[] = {
    {KAP_EV_REFERRAL_CREATED,
     "referral",
     {KAP_F_FROM, KAP_F_TO, KAP_F_KIND, KAP_F_SERVICE, KAP_F_SEGMENT}},
    {KAP_EV_ACTION_AGREED, "action", {KAP_F_WHAT, KAP_F_MEMBER, KAP_F_RESPONSIBLE, KAP_F_DUE}},
    {KAP_EV_STATEMENT_ASKED, "statement", {KAP_F_FROM, KAP_F_TO, KAP_F_STATEMENT_KIND, KAP_F_DUE}},
};

static bool concerns(const reading_t *reading, const kap_event_t *event)
{
    if (event->type == KAP_EV_ACTION_AGREED) {
        kap_span_t member = kap_event_span(event, KAP_F_MEMBER);
        return kap_span_empty(member) || listed(reading->members, member);
    }
    return listed(reading->members, kap_event_span(event, KAP_F_FROM)) &&
           listed(reading->members, kap_event_span(event, KAP_F_TO));
}

static void open_matter(reading_t *reading, const kap_event_t *event, size_t row)
{
    kap_shown_list_t map = {.arena = reading->arena};
    matter_t *matter = add(reading, event);
    if (!matter) {
        reading->rc = KAP_E_NOMEM;
        return;
    }
    kap_shown_set_text(&map, openers[row].id, matter->id);
    for (size_t i = 0; i < 6 && openers[row].fields[i]; i++)
        set_field(reading, &map, event, openers[row].fields[i]);
    kap_shown_set_text(&map, "state", kap_span_str("created"));
    kap_shown_set_int(&map, "created_at", event->time);
    matter->map = kap_shown_map(&map);
}

/* What an event makes of the state; NULL: nothing. "" ends the matter. */
static const char *state_of(kap_event_type_t type)
{
    switch (type) {
    case KAP_EV_REFERRAL_DELIVERED:
        return "delivered";
    case KAP_EV_REFERRAL_ACCEPTED:
        return "accepted";
    case KAP_EV_REFERRAL_CONTACTED:
        return "in_contact";
    case KAP_EV_REFERRAL_EXPIRED:
        return "expired";
    case KAP_EV_REFERRAL_DECLINED:
    case KAP_EV_REFERRAL_REDIRECTED:
    case KAP_EV_REFERRAL_COMPLETED:
    case KAP_EV_REFERRAL_CAME:
    case KAP_EV_REFERRAL_WITHDRAWN:
    case KAP_EV_REFERRAL_CONSENT_WITHDRAWN:
    case KAP_EV_REFERRAL_VOIDED:
    case KAP_EV_ACTION_DONE:
    case KAP_EV_STATEMENT_GIVEN:
        return "";
    default:
        return NULL;
    }
}

/* The sender's `withdrawn` while the recipient is in contact only asks for it. */
static bool is_request_only(const matter_t *matter, const kap_event_t *event)
{
    kap_span_t from = kap_mp_get_str(&matter->map, "from");
    return event->type == KAP_EV_REFERRAL_WITHDRAWN &&
           kap_span_eq_str(kap_mp_get_str(&matter->map, "state"), "in_contact") &&
           kap_span_starts(event->source, from) && event->source.size > from.size &&
           event->source.data[from.size] == '/';
}

static void move_matter(reading_t *reading, const kap_event_t *event)
{
    const char *state = state_of(event->type);
    matter_t *matter = state ? find(reading, event->subject) : NULL;
    if (!matter || is_request_only(matter, event))
        return;
    if (!*state) {
        matter->open = false;
        return;
    }
    kap_shown_list_t map = {.arena = reading->arena,
                            .items = (kap_mp_t *)matter->map.items,
                            .used = matter->map.count * 2,
                            .cap = matter->map.count * 2};
    kap_shown_set_text(&map, "state", kap_span_str(state));
    matter->map = kap_shown_map(&map);
}

static bool on_event(void *arg, const kap_feed_item_t *item)
{
    reading_t *reading = arg;
    reading->seq = (int64_t)item->meta.log_seq;
    if (item->meta.verdict != KAP_VERDICT_ACCEPTED)
        return true;
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++)
        if (item->event.type == openers[i].type) {
            if (concerns(reading, &item->event))
                open_matter(reading, &item->event, i);
            return reading->rc == KAP_OK;
        }
    move_matter(reading, &item->event);
    return true;
}

static void tell(const reading_t *reading, kap_shown_list_t *root)
{
    static const char *const names[] = {"matters", "actions", "statements"}; /* as openers */
    kap_shown_set_int(root, "as_of_seq", reading->seq);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        kap_shown_list_t list = {.arena = reading->arena};
        for (uint32_t i = 0; i < reading->used; i++)
            if (reading->items[i].open && reading->items[i].type == openers[k].type)
                kap_shown_add(&list, &reading->items[i].map);
        const kap_mp_t all = kap_shown_array(&list);
        kap_shown_set(root, names[k], &all);
    }
}

int kap_matters_read(kap_cli_t *cli, const kap_mp_t *question, kap_arena_t *arena,
                     const kap_mp_t **answer)
{
    char stream[256];
    reading_t reading = {.arena = arena, .members = kap_mp_get_str(question, "members")};
    kap_shown_list_t root = {.arena = arena};
    kap_mp_t *made = kap_arena_alloc(arena, sizeof *made);
    snprintf(stream, sizeof stream, "region/%.*s",
             KAP_SPAN_ARGS(kap_mp_get_str(question, "region")));
    kap_feed_t feed = {.stream = stream, .on_event = on_event, .arg = &reading};
    int code = made ? kap_feed_run(cli, &feed) : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    if (code == 0 && reading.rc != KAP_OK)
        code = kap_cli_fail(KAP_EXIT_REFUSED, "%s", kap_err_text(reading.rc));
    if (code != 0)
        return code;
    tell(&reading, &root);
    *made = kap_shown_map(&root);
    *answer = made;
    return 0;
}
