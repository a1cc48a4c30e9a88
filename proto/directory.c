/* SPDX-License-Identifier: MPL-2.0 */
#include "directory.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "codes.h"
#include "directory_inner.h"
#include "err.h"

enum { ARENA_CHUNK_BYTES = 65536 };

kap_directory_t *kap_directory_inner_new(void)
{
    kap_directory_t *dir = calloc(1, sizeof(*dir));
    if (!dir) {
        return NULL;
    }
    dir->arena = kap_arena_new(ARENA_CHUNK_BYTES);
    if (!dir->arena) {
        free(dir);
        return NULL;
    }
    atomic_init(&dir->refs, 1);
    return dir;
}

kap_directory_t *kap_directory_ref(kap_directory_t *dir)
{
    atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
    return dir;
}

void kap_directory_unref(kap_directory_t **dir)
{
    kap_directory_t *it = *dir;
    *dir = NULL;
    if (it && atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) == 1) {
        kap_arena_destroy(&it->arena);
        free(it);
    }
}

/* --- indexes --- */

/* FNV-1a; entries are the mesh's own, not an attacker's. */
static uint32_t hash_of(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * 16777619u;
    }
    return hash;
}

static int index_init(kap_directory_t *dir, kap_directory_index_t *index, uint32_t entries)
{
    uint32_t slots = 8;
    while (slots < 2 * entries) {
        slots *= 2;
    }
    index->slots = kap_arena_calloc(dir->arena, slots, sizeof(uint32_t));
    index->mask = slots - 1;
    return index->slots ? KAP_OK : KAP_E_NOMEM;
}

static void index_put(kap_directory_index_t *index, uint32_t hash, uint32_t entry)
{
    uint32_t at = hash & index->mask;
    while (index->slots[at] != 0) {
        at = (at + 1) & index->mask;
    }
    index->slots[at] = entry + 1;
}

const kap_member_t *kap_directory_by_key(const kap_directory_t *dir, const uint8_t curve[32])
{
    uint32_t at = kap_be_get_u32(curve) & dir->by_key.mask; /* a key is random: no hash needed */
    for (; dir->by_key.slots[at] != 0; at = (at + 1) & dir->by_key.mask) {
        const kap_member_t *m = &dir->members[dir->by_key.slots[at] - 1];
        if (memcmp(m->curve, curve, 32) == 0) {
            return m;
        }
    }
    return NULL;
}

const kap_member_t *kap_directory_member(const kap_directory_t *dir, kap_span_t id)
{
    uint32_t at = hash_of(id.data, id.size) & dir->by_member.mask;
    for (; dir->by_member.slots[at] != 0; at = (at + 1) & dir->by_member.mask) {
        const kap_member_t *m = &dir->members[dir->by_member.slots[at] - 1];
        if (kap_span_eq(m->id, id)) {
            return m;
        }
    }
    return NULL;
}

const kap_region_t *kap_directory_region(const kap_directory_t *dir, kap_span_t id)
{
    uint32_t at = hash_of(id.data, id.size) & dir->by_region.mask;
    for (; dir->by_region.slots[at] != 0; at = (at + 1) & dir->by_region.mask) {
        const kap_region_t *r = &dir->regions[dir->by_region.slots[at] - 1];
        if (kap_span_eq(r->id, id)) {
            return r;
        }
    }
    return NULL;
}

static int index_regions(kap_directory_t *dir, uint32_t *a, uint32_t *b)
{
    for (uint32_t i = 0; i < dir->region_count; i++) {
        const kap_region_t *same = kap_directory_region(dir, dir->regions[i].id);
        if (same) {
            *a = same->index;
            *b = i;
            return KAP_E_EXISTS;
        }
        index_put(&dir->by_region, hash_of(dir->regions[i].id.data, dir->regions[i].id.size), i);
    }
    return KAP_OK;
}

static int index_members(kap_directory_t *dir, uint32_t *a, uint32_t *b)
{
    for (uint32_t i = 0; i < dir->member_count; i++) {
        const kap_member_t *m = &dir->members[i];
        const kap_member_t *same = kap_directory_member(dir, m->id);
        if (!same && m->has_curve) {
            same = kap_directory_by_key(dir, m->curve);
        }
        if (same) {
            *a = same->index;
            *b = i;
            return KAP_E_EXISTS;
        }
        index_put(&dir->by_member, hash_of(m->id.data, m->id.size), i);
        if (m->has_curve) {
            index_put(&dir->by_key, kap_be_get_u32(m->curve), i);
        }
    }
    return KAP_OK;
}

int kap_directory_inner_index(kap_directory_t *dir, uint32_t *a, uint32_t *b, bool *of_regions)
{
    if (index_init(dir, &dir->by_key, dir->member_count) != KAP_OK ||
        index_init(dir, &dir->by_member, dir->member_count) != KAP_OK ||
        index_init(dir, &dir->by_region, dir->region_count) != KAP_OK) {
        return KAP_E_NOMEM;
    }
    *of_regions = true;
    int rc = index_regions(dir, a, b);
    if (rc == KAP_OK) {
        *of_regions = false;
        rc = index_members(dir, a, b);
    }
    return rc;
}

/* --- reading --- */

const uint8_t *kap_directory_authority(const kap_directory_t *dir)
{
    return dir->authority;
}

const uint8_t *kap_directory_mesh(const kap_directory_t *dir)
{
    return dir->mesh;
}

bool kap_directory_rehearsal(const kap_directory_t *dir)
{
    return dir->rehearsal;
}

uint32_t kap_directory_member_count(const kap_directory_t *dir)
{
    return dir->member_count;
}

const kap_member_t *kap_directory_member_at(const kap_directory_t *dir, uint32_t index)
{
    return index < dir->member_count ? &dir->members[index] : NULL;
}

uint32_t kap_directory_region_count(const kap_directory_t *dir)
{
    return dir->region_count;
}

const kap_region_t *kap_directory_region_at(const kap_directory_t *dir, uint32_t index)
{
    return index < dir->region_count ? &dir->regions[index] : NULL;
}

bool kap_member_valid(const kap_member_t *m, int64_t at)
{
    return at >= m->valid_from && at < m->valid_to;
}

static bool holds(const uint32_t *list, uint32_t count, uint32_t index)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == index) {
            return true;
        }
    }
    return false;
}

bool kap_member_in_region(const kap_member_t *m, const kap_region_t *region)
{
    return holds(m->regions, m->region_count, region->index);
}

bool kap_member_serves_region(const kap_member_t *m, const kap_region_t *region)
{
    return m->national || kap_member_in_region(m, region);
}

bool kap_member_offers(const kap_member_t *m, int service)
{
    return service >= 0 && service < 64 && (m->services >> service & 1);
}

bool kap_member_coordinates(const kap_member_t *m, const kap_region_t *region)
{
    return holds(m->coordinated, m->coordinated_count, region->index);
}

bool kap_member_speaks(const kap_member_t *m, const kap_region_t *region)
{
    return region->kind == KAP_REGION_KIND_BENCH &&
           holds(m->spoken, m->spoken_count, region->index);
}

bool kap_member_covers(const kap_member_t *m, const kap_region_t *region)
{
    for (uint32_t i = 0; i < m->role_area_count; i++) {
        if (!kap_span_empty(region->area) && kap_span_eq(m->role_areas[i], region->area)) {
            return true;
        }
    }
    return false;
}

uint32_t kap_directory_keys(const kap_directory_t *dir, int64_t at, uint8_t (*keys)[32],
                            uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < dir->member_count; i++) {
        const kap_member_t *m = &dir->members[i];
        if (m->has_curve && kap_member_valid(m, at)) {
            if (count < max) {
                memcpy(keys[count], m->curve, 32);
            }
            count++;
        }
    }
    return count;
}

uint32_t kap_directory_candidates(const kap_directory_t *dir, int service,
                                  const kap_region_t *region, int language, int64_t at,
                                  kap_candidate_t *out, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < dir->member_count; i++) { /* members stand in order of id */
        const kap_member_t *m = &dir->members[i];
        if (!kap_member_valid(m, at) || !kap_member_offers(m, service) ||
            !kap_member_serves_region(m, region)) {
            continue;
        }
        if (count < max) {
            bool speaks = language < 0 || m->languages == 0 ||
                          (language < 32 && (m->languages >> language & 1));
            out[count] = (kap_candidate_t){m, m->is_private, speaks};
        }
        count++;
    }
    return count;
}
