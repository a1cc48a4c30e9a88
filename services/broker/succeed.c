/* SPDX-License-Identifier: MPL-2.0 */
#include "succeed.h"

#include <string.h>

#include "clock.h"
#include "err.h"

/* One judgement under way. */
typedef struct {
    kap_book_t *book;
    const kap_directory_t *dir;
    const kap_event_t *ev;
    kap_succeeded_t kind;
    const kap_span_t *from, *to;
    uint32_t from_count, to_count;
    const kap_mp_t *by_region; /* NULL: everywhere */
    kap_refusal_t *why;
} succeeding_t;

kap_succeeded_t kap_succeed_kind(kap_event_type_t type)
{
    switch (type) {
    case KAP_EV_MEMBER_SUCCEEDED:
        return KAP_SUCCEEDED_MEMBER;
    case KAP_EV_REGION_SUCCEEDED:
        return KAP_SUCCEEDED_REGION;
    case KAP_EV_AREA_SUCCEEDED:
        return KAP_SUCCEEDED_AREA;
    default:
        return 0;
    }
}

static bool refuse(const succeeding_t *s, int number, kap_field_t field)
{
    *s->why = (kap_refusal_t){.number = (uint16_t)number, .field = (uint16_t)field};
    return false;
}

static bool holds(const kap_span_t *ids, uint32_t count, kap_span_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (kap_span_eq(ids[i], id))
            return true;
    }
    return false;
}

/* --- what it says --- */

/* The ids of a list, each once. */
static bool read_ids(const succeeding_t *s, kap_field_t field, kap_span_t *ids, uint32_t *count)
{
    const kap_mp_t *list = kap_event_node(s->ev, field);

    for (uint32_t i = 0; i < list->count; i++) {
        kap_span_t id;
        if (!kap_mp_str(kap_mp_item(list, i), &id))
            return refuse(s, KAP_REFUSAL_MALFORMED_FIELD_TYPE, field);
        if (!kap_text_is(KAP_TYPE_ID, id) || holds(ids, *count, id))
            return refuse(s, KAP_REFUSAL_MALFORMED_FIELD_VALUE, field);
        ids[(*count)++] = id;
    }
    return *count > 0 || refuse(s, KAP_REFUSAL_MALFORMED_FIELD_VALUE, field);
}

static bool read_all(succeeding_t *s, kap_succeed_t *named)
{
    uint32_t from = kap_event_node(s->ev, KAP_F_FROM_IDS)->count;
    uint32_t to = kap_event_node(s->ev, KAP_F_TO_IDS)->count;
    kap_span_t *ids = kap_book_alloc(s->book, (from + to + 1) * sizeof *ids);

    if (ids == NULL || !read_ids(s, KAP_F_FROM_IDS, ids, &s->from_count) ||
        !read_ids(s, KAP_F_TO_IDS, ids + from, &s->to_count))
        return false;
    s->from = ids;
    s->to = ids + from;
    s->by_region = kap_event_node(s->ev, KAP_F_BY_REGION);
    *named = (kap_succeed_t){.kind = s->kind, .ids = ids, .count = from + to};
    return true;
}

static bool is_region(const succeeding_t *s, kap_span_t id)
{
    const kap_name_t *stream = kap_book_stream(s->book, "region/", id);

    return kap_directory_region(s->dir, id) != NULL || kap_region_find(id) >= 0 ||
           (stream != NULL && stream->number != 0);
}

/* Every region has one of the successors, every successor a region. */
static bool has_regions(const succeeding_t *s)
{
    uint32_t used = 0;

    for (uint32_t k = 0; k < s->to_count; k++) {
        bool has = false;
        for (uint32_t i = 0; i < s->by_region->count; i++) {
            kap_span_t heir = {0};
            has |= kap_mp_str(kap_mp_value(s->by_region, i), &heir) && kap_span_eq(heir, s->to[k]);
        }
        used += has;
    }
    for (uint32_t i = 0; i < s->by_region->count; i++) {
        kap_span_t region = {0}, heir = {0};
        if (!kap_mp_str(kap_mp_key(s->by_region, i), &region) ||
            !kap_mp_str(kap_mp_value(s->by_region, i), &heir) || !holds(s->to, s->to_count, heir))
            return refuse(s, KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE, KAP_F_BY_REGION);
        if (region.size == 0 || region.size > KAP_LIMIT_ID_BYTES || !is_region(s, region))
            return refuse(s, KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN, KAP_F_BY_REGION);
    }
    return used == s->to_count || refuse(s, KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE, KAP_F_BY_REGION);
}

/* 1:1 and n:1 without regions, 1:n with them. */
static bool has_shape(const succeeding_t *s)
{
    bool splits = s->to_count > 1;

    if (splits && (s->from_count > 1 || s->kind == KAP_SUCCEEDED_REGION))
        return refuse(s, KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE, KAP_F_TO_IDS);
    if (splits != (s->by_region != NULL))
        return refuse(s, KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE, KAP_F_BY_REGION);
    return !splits || has_regions(s);
}

/* --- who it names --- */

static bool is_member(const succeeding_t *s, kap_span_t id)
{
    const kap_name_t *stream = kap_book_stream(s->book, "member/", id);

    return kap_directory_member(s->dir, id) != NULL || (stream != NULL && stream->number != 0);
}

static bool is_area(const succeeding_t *s, kap_span_t id)
{
    const kap_name_t *name = kap_book_name(s->book, id);

    for (uint32_t i = 0; i < kap_directory_region_count(s->dir); i++) {
        if (kap_span_eq(kap_directory_region_at(s->dir, i)->area, id))
            return true;
    }
    bool named = name != NULL && name->number != 0 && !is_member(s, id) && !is_region(s, id);
    return named || kap_area_find(id) >= 0;
}

static bool is_known(const succeeding_t *s, kap_span_t id, kap_field_t field)
{
    bool follows = field == KAP_F_TO_IDS;

    switch (s->kind) {
    case KAP_SUCCEEDED_MEMBER:
        return is_member(s, id) || refuse(s, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEMBER, field);
    case KAP_SUCCEEDED_REGION:
        return is_region(s, id) || refuse(s, KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN, field);
    case KAP_SUCCEEDED_AREA:
        return follows || is_area(s, id) || refuse(s, KAP_REFUSAL_ILLEGAL_AREA_UNKNOWN, field);
    }
    return false;
}

/* --- loops --- */

/* Everybody who follows the successors, at any distance; grows while it is walked. */
typedef struct {
    kap_span_t *ids;
    uint32_t count, cap;
} followers_t;

static bool follow(const succeeding_t *s, followers_t *all, kap_span_t id)
{
    if (holds(all->ids, all->count, id))
        return true;
    if (all->count == all->cap) {
        uint32_t cap = all->cap == 0 ? 16 : all->cap * 2;
        kap_span_t *grown = kap_book_alloc(s->book, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        if (all->count > 0)
            memcpy(grown, all->ids, all->count * sizeof *grown);
        all->ids = grown;
        all->cap = cap;
    }
    all->ids[all->count++] = id;
    return true;
}

static bool is_loop(const succeeding_t *s)
{
    followers_t all = {0};

    for (uint32_t i = 0; i < s->to_count; i++) {
        if (!follow(s, &all, s->to[i]))
            return false;
    }
    for (uint32_t i = 0; i < all.count; i++) {
        const kap_succession_object_t *next = kap_book_succession(s->book, s->kind, all.ids[i]);
        kap_span_t rest, region, heir;
        if (holds(s->from, s->from_count, all.ids[i]))
            return true;
        if (next == NULL || !next->o.known)
            continue;
        for (rest = next->row.heirs; kap_heir_next(&rest, &region, &heir);) {
            if (!follow(s, &all, heir))
                return false;
        }
    }
    return false;
}

static bool is_right(const succeeding_t *s)
{
    if (!has_shape(s))
        return false;
    for (uint32_t i = 0; i < s->from_count; i++) {
        if (!is_known(s, s->from[i], KAP_F_FROM_IDS))
            return false;
    }
    for (uint32_t i = 0; i < s->to_count; i++) {
        if (!is_known(s, s->to[i], KAP_F_TO_IDS))
            return false;
    }
    for (uint32_t i = 0; i < s->from_count; i++) {
        const kap_succession_object_t *x = kap_book_succession(s->book, s->kind, s->from[i]);
        if (x != NULL && x->o.known)
            return refuse(s, KAP_REFUSAL_ILLEGAL_SUCCEEDED, KAP_F_FROM_IDS);
    }
    return !is_loop(s) || refuse(s, KAP_REFUSAL_ILLEGAL_SUCCESSION_LOOP, KAP_F_TO_IDS);
}

/* --- keeping it --- */

static kap_span_t heirs_of(const succeeding_t *s)
{
    kap_buf_t *buf = kap_book_scratch(s->book);

    if (s->by_region == NULL)
        kap_heir_put(buf, KAP_SPAN(""), s->to[0]);
    for (uint32_t i = 0; s->by_region != NULL && i < s->by_region->count; i++) {
        kap_span_t region = {0}, heir = {0};
        kap_mp_str(kap_mp_key(s->by_region, i), &region);
        kap_mp_str(kap_mp_value(s->by_region, i), &heir);
        kap_heir_put(buf, region, heir);
    }
    if (buf->err != KAP_OK)
        kap_book_fail(s->book, buf->err);
    return kap_book_keep(s->book, kap_buf_span(buf));
}

static void keep(const succeeding_t *s)
{
    kap_succession_row_t row = {.heirs = heirs_of(s)};
    kap_date_t date = {0};

    KAP_CHECK(kap_date_parse(kap_event_span(s->ev, KAP_F_VALID_FROM), &date) == KAP_OK);
    row.from_at = kap_day_start_ms(KAP_ZONE_HELSINKI, date);
    for (uint32_t i = 0; i < s->from_count; i++) {
        kap_succession_object_t *x = kap_book_succession(s->book, s->kind, s->from[i]);
        if (x == NULL)
            return;
        kap_book_touch(s->book, &x->o);
        x->o.known = true;
        x->row = row;
    }
}

int kap_succeed_judge(kap_book_t *book, const kap_directory_t *dir, const kap_event_t *ev,
                      kap_succeed_t *named, kap_refusal_t *why)
{
    succeeding_t s = {
        .book = book, .dir = dir, .ev = ev, .kind = kap_succeed_kind(ev->type), .why = why};

    if (!read_all(&s, named) || !is_right(&s))
        return KAP_VERDICT_REFUSED;
    keep(&s);
    return KAP_VERDICT_ACCEPTED;
}

static void number(kap_book_t *book, kap_span_t id)
{
    kap_name_t *name = kap_book_name(book, id);

    if (name != NULL)
        kap_book_number(book, name);
}

void kap_succeed_placed(kap_book_t *book, const kap_event_t *ev)
{
    static const kap_field_t lists[] = {KAP_F_FROM_IDS, KAP_F_TO_IDS};
    const kap_mp_t *by_region = kap_event_node(ev, KAP_F_BY_REGION);
    kap_span_t id;

    for (int k = 0; k < 2; k++) {
        const kap_mp_t *list = kap_event_node(ev, lists[k]);
        for (uint32_t i = 0; i < list->count; i++) {
            if (kap_mp_str(kap_mp_item(list, i), &id))
                number(book, id);
        }
    }
    for (uint32_t i = 0; by_region != NULL && i < by_region->count; i++) {
        if (kap_mp_str(kap_mp_key(by_region, i), &id))
            number(book, id);
    }
}
