/* SPDX-License-Identifier: MPL-2.0 */
#include "succession.h"

#include <stdlib.h>

#include "be.h"
#include "err.h"
#include "rows.h"

/* Who follows in a region; region 0: everywhere. */
typedef struct {
    uint32_t region, heir;
} heir_t;

typedef struct {
    uint32_t kind, id; /* kap_succeeded_t */
    const heir_t *heirs;
    uint32_t count;
} entry_t;

struct kap_succession {
    entry_t *entries; /* by kind and id */
    uint32_t count;
    uint32_t *members;
    uint32_t member_count;
};

/* --- loading --- */

/* All that a succession names got a number when it was kept. */
static int number_of(kap_txn_t *txn, kap_span_t id, uint32_t *number)
{
    int rc = id.size == 0 ? KAP_OK : kap_rows_number(txn, id, number);

    return rc == KAP_OK && id.size > 0 && *number == 0 ? KAP_E_CORRUPT : rc;
}

static int load_heirs(kap_txn_t *txn, kap_arena_t *arena, kap_span_t rest, entry_t *entry)
{
    heir_t *heirs = NULL;
    kap_span_t region, id;
    int rc = KAP_OK;

    while (rc == KAP_OK && kap_heir_next(&rest, &region, &id)) {
        heir_t heir = {0};
        rc = number_of(txn, region, &heir.region);
        if (rc == KAP_OK)
            rc = number_of(txn, id, &heir.heir);
        heirs = kap_arena_more(arena, heirs, entry->count, sizeof *heirs);
        if (heirs == NULL)
            return KAP_E_NOMEM;
        heirs[entry->count++] = heir;
    }
    entry->heirs = heirs;
    return rc;
}

static int load_one(kap_succession_t *s, kap_txn_t *txn, kap_arena_t *arena, kap_cursor_t *cursor,
                    int64_t now)
{
    kap_span_t key = kap_cursor_key(cursor);
    kap_succession_row_t row;
    entry_t entry = {0};
    int rc = kap_succession_row_unpack(kap_cursor_value(cursor), &row);

    if (rc != KAP_OK || key.size <= 4)
        return KAP_E_CORRUPT;
    if (row.from_at > now)
        return KAP_OK;
    entry.kind = kap_be_get_u32(key.data);
    rc = number_of(txn, kap_span_sub(key, 4, SIZE_MAX), &entry.id);
    if (rc == KAP_OK)
        rc = load_heirs(txn, arena, row.heirs, &entry);
    if (rc != KAP_OK)
        return rc;
    s->entries = kap_arena_more(arena, s->entries, s->count, sizeof *s->entries);
    if (s->entries == NULL)
        return KAP_E_NOMEM;
    s->entries[s->count++] = entry;
    return KAP_OK;
}

static int by_kind_and_id(const void *left, const void *right)
{
    const entry_t *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static int add_member(kap_succession_t *s, kap_arena_t *arena, uint32_t member)
{
    for (uint32_t i = 0; i < s->member_count; i++) {
        if (s->members[i] == member)
            return KAP_OK;
    }
    s->members = kap_arena_more(arena, s->members, s->member_count, sizeof *s->members);
    if (s->members == NULL)
        return KAP_E_NOMEM;
    s->members[s->member_count++] = member;
    return KAP_OK;
}

static int gather_members(kap_succession_t *s, kap_arena_t *arena)
{
    int rc = KAP_OK;

    for (uint32_t i = 0; rc == KAP_OK && i < s->count; i++) {
        const entry_t *e = &s->entries[i];
        if (e->kind != KAP_SUCCEEDED_MEMBER)
            continue;
        rc = add_member(s, arena, e->id);
        for (uint32_t k = 0; rc == KAP_OK && k < e->count; k++)
            rc = add_member(s, arena, e->heirs[k].heir);
    }
    return rc;
}

int kap_succession_load(kap_txn_t *txn, kap_arena_t *arena, int64_t now, kap_succession_t **out)
{
    kap_succession_t *s = kap_arena_calloc(arena, 1, sizeof *s);
    kap_cursor_t *cursor;

    if (s == NULL)
        return KAP_E_NOMEM;
    int rc = kap_cursor_open(txn, KAP_ROWS_SUCCESSIONS, &cursor);
    if (rc != KAP_OK)
        return rc;
    rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    while (rc == KAP_OK) {
        rc = load_one(s, txn, arena, cursor, now);
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    kap_cursor_close(&cursor);
    if (rc != KAP_E_NOTFOUND)
        return rc;
    if (s->count > 0)
        qsort(s->entries, s->count, sizeof *s->entries, by_kind_and_id);
    rc = gather_members(s, arena);
    if (rc == KAP_OK)
        *out = s;
    return rc;
}

/* --- asking --- */

bool kap_succession_is_empty(const kap_succession_t *s)
{
    return s->count == 0;
}

static const entry_t *find(const kap_succession_t *s, kap_succeeded_t kind, uint32_t id)
{
    const entry_t key = {.kind = kind, .id = id};

    return s->count == 0 ? NULL
                         : bsearch(&key, s->entries, s->count, sizeof *s->entries, by_kind_and_id);
}

/* The heir everywhere, or in one region; 0: none there. */
static uint32_t heir_in(const entry_t *e, uint32_t region)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->heirs[i].region == 0 || e->heirs[i].region == region)
            return e->heirs[i].heir;
    }
    return 0;
}

static uint32_t next_region(const kap_succession_t *s, uint32_t region)
{
    const entry_t *e = find(s, KAP_SUCCEEDED_REGION, region);

    return e == NULL ? 0 : heir_in(e, 0);
}

uint32_t kap_succession_region(const kap_succession_t *s, uint32_t region)
{
    uint32_t next;

    while ((next = next_region(s, region)) != 0)
        region = next;
    return region;
}

/* In the region as it was, or as the first that followed it and has an heir. */
static uint32_t heir_of(const kap_succession_t *s, const entry_t *e, uint32_t region)
{
    uint32_t heir = heir_in(e, region);

    while (heir == 0 && (region = next_region(s, region)) != 0)
        heir = heir_in(e, region);
    return heir;
}

/* Chains have no loops: succeed.c refuses them. */
static uint32_t follow(const kap_succession_t *s, kap_succeeded_t kind, uint32_t region,
                       uint32_t id, bool *unassigned)
{
    const entry_t *e;
    uint32_t heir = id;

    while ((e = find(s, kind, id)) != NULL && (heir = heir_of(s, e, region)) != 0)
        id = heir;
    if (unassigned != NULL)
        *unassigned = e != NULL;
    return id;
}

uint32_t kap_succession_member(const kap_succession_t *s, uint32_t region, uint32_t member,
                               bool *unassigned)
{
    return follow(s, KAP_SUCCEEDED_MEMBER, region, member, unassigned);
}

uint32_t kap_succession_area(const kap_succession_t *s, uint32_t region, uint32_t area,
                             bool *unassigned)
{
    return follow(s, KAP_SUCCEEDED_AREA, region, area, unassigned);
}

bool kap_succession_is_followed(const kap_succession_t *s, uint32_t member)
{
    return find(s, KAP_SUCCEEDED_MEMBER, member) != NULL;
}

const uint32_t *kap_succession_members(const kap_succession_t *s, uint32_t *count)
{
    *count = s->member_count;
    return s->members;
}
