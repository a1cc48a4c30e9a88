/* SPDX-License-Identifier: MPL-2.0 */
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "ids.h"

enum { SIZE_MIN_ = 256 };

void kap_index_init(kap_index_t *index)
{
    *index = (kap_index_t){0};
    kap_random(&index->seed, sizeof index->seed);
}

void kap_index_fini(kap_index_t *index)
{
    free(index->slots);
    *index = (kap_index_t){.seed = index->seed};
}

void kap_index_reset(kap_index_t *index)
{
    if (index->size > SIZE_MIN_ && index->count < index->size / 32) {
        kap_index_fini(index);
        return;
    }
    if (index->count > 0)
        memset(index->slots, 0, index->size * sizeof *index->slots);
    index->count = 0;
}

static inline uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

uint64_t kap_index_hash(const kap_index_t *index, uint64_t number, kap_span_t text)
{
    uint64_t h = mix(index->seed, number), word;
    const uint8_t *p = text.data;
    size_t left = text.size;

    for (; left >= 8; p += 8, left -= 8) {
        memcpy(&word, p, 8);
        h = mix(h, word);
    }
    word = 0;
    if (left > 0)
        memcpy(&word, p, left);
    return mix(mix(h, word), text.size ^ index->seed >> 7);
}

void *kap_index_find(const kap_index_t *index, uint64_t hash, size_t *place)
{
    if (index->size == 0)
        return NULL;
    size_t mask = index->size - 1;
    size_t at = *place == SIZE_MAX ? hash & mask : (*place + 1) & mask;
    for (; index->slots[at].item != NULL; at = (at + 1) & mask) {
        if (index->slots[at].hash == hash) {
            *place = at;
            return index->slots[at].item;
        }
    }
    return NULL;
}

static void put(kap_slot_t *slots, size_t size, uint64_t hash, void *item)
{
    size_t at = hash & (size - 1);

    while (slots[at].item != NULL)
        at = (at + 1) & (size - 1);
    slots[at] = (kap_slot_t){hash, item};
}

int kap_index_add(kap_index_t *index, uint64_t hash, void *item)
{
    if (2 * (index->count + 1) > index->size) {
        size_t size = index->size == 0 ? SIZE_MIN_ : index->size * 2;
        kap_slot_t *slots = calloc(size, sizeof *slots);
        if (slots == NULL)
            return KAP_E_NOMEM;
        for (size_t i = 0; i < index->size; i++) {
            if (index->slots[i].item != NULL)
                put(slots, size, index->slots[i].hash, index->slots[i].item);
        }
        free(index->slots);
        index->slots = slots;
        index->size = size;
    }
    put(index->slots, index->size, hash, item);
    index->count++;
    return KAP_OK;
}
