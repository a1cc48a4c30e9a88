/* SPDX-License-Identifier: MPL-2.0 */
#include "map.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "ids.h"

typedef struct {
    uint64_t hash;
    uint8_t *key;
    size_t size;
    void *value; /* NULL: the slot is empty */
} slot_t;

struct kap_map {
    uint64_t seed;
    size_t mask; /* slots - 1 */
    size_t count;
    slot_t *slots;
};

enum { FIRST_SLOTS = 16 };

static uint64_t hash_of(const kap_map_t *map, kap_span_t key)
{
    uint64_t h = map->seed ^ key.size, word;
    for (size_t at = 0; at < key.size; at += sizeof word) {
        size_t left = key.size - at;
        word = 0;
        memcpy(&word, key.data + at, left < sizeof word ? left : sizeof word);
        h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
        h ^= h >> 29;
    }
    return h ^ (h >> 32);
}

kap_map_t *kap_map_new(void)
{
    kap_map_t *map = calloc(1, sizeof *map);
    if (!map)
        return NULL;
    map->slots = calloc(FIRST_SLOTS, sizeof *map->slots);
    if (!map->slots) {
        free(map);
        return NULL;
    }
    map->mask = FIRST_SLOTS - 1;
    kap_random(&map->seed, sizeof map->seed);
    return map;
}

void kap_map_destroy(kap_map_t **map)
{
    if (!*map)
        return;
    for (size_t i = 0; i <= (*map)->mask; i++)
        free((*map)->slots[i].key);
    free((*map)->slots);
    free(*map);
    *map = NULL;
}

/* The slot of `key`, or the empty slot where it would stand. */
static slot_t *find(const kap_map_t *map, uint64_t hash, kap_span_t key)
{
    for (size_t i = hash & map->mask;; i = (i + 1) & map->mask) {
        slot_t *slot = &map->slots[i];
        if (!slot->value)
            return slot;
        if (slot->hash == hash && slot->size == key.size &&
            (key.size == 0 || memcmp(slot->key, key.data, key.size) == 0))
            return slot;
    }
}

void *kap_map_get(const kap_map_t *map, kap_span_t key)
{
    return find(map, hash_of(map, key), key)->value;
}

static int grow(kap_map_t *map)
{
    kap_map_t bigger = *map;
    bigger.mask = map->mask * 2 + 1;
    bigger.slots = calloc(bigger.mask + 1, sizeof *bigger.slots);
    if (!bigger.slots)
        return KAP_E_NOMEM;
    for (size_t i = 0; i <= map->mask; i++) {
        slot_t *old = &map->slots[i];
        if (old->value)
            *find(&bigger, old->hash, kap_span(old->key, old->size)) = *old;
    }
    free(map->slots);
    *map = bigger;
    return KAP_OK;
}

int kap_map_put(kap_map_t *map, kap_span_t key, void *value)
{
    KAP_CHECK(value != NULL);
    uint64_t hash = hash_of(map, key);
    slot_t *slot = find(map, hash, key);
    if (slot->value) {
        slot->value = value;
        return KAP_OK;
    }
    if ((map->count + 1) * 4 > (map->mask + 1) * 3) {
        int rc = grow(map);
        if (rc != KAP_OK)
            return rc;
        slot = find(map, hash, key);
    }
    uint8_t *copy = malloc(key.size + 1);
    if (!copy)
        return KAP_E_NOMEM;
    if (key.size)
        memcpy(copy, key.data, key.size);
    *slot = (slot_t){.hash = hash, .key = copy, .size = key.size, .value = value};
    map->count++;
    return KAP_OK;
}

void *kap_map_remove(kap_map_t *map, kap_span_t key)
{
    slot_t *slot = find(map, hash_of(map, key), key);
    void *value = slot->value;
    if (!value)
        return NULL;
    free(slot->key);
    *slot = (slot_t){0};
    map->count--;
    /* What stood behind it in the same run moves up: no tombstones. */
    for (size_t i = (size_t)(slot - map->slots + 1) & map->mask; map->slots[i].value;
         i = (i + 1) & map->mask) {
        slot_t moved = map->slots[i];
        map->slots[i] = (slot_t){0};
        *find(map, moved.hash, kap_span(moved.key, moved.size)) = moved;
    }
    return value;
}

size_t kap_map_count(const kap_map_t *map)
{
    return map->count;
}

void *kap_map_next(const kap_map_t *map, size_t *place, kap_span_t *key)
{
    while (*place <= map->mask) {
        slot_t *slot = &map->slots[(*place)++];
        if (!slot->value)
            continue;
        if (key)
            *key = kap_span(slot->key, slot->size);
        return slot->value;
    }
    return NULL;
}
