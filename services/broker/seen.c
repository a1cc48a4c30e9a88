/* SPDX-License-Identifier: MPL-2.0 */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"

/* One member; its id lies behind it. */
typedef struct {
    int64_t at;
    size_t size;
    uint8_t id[];
} heard_t;

struct kap_seen {
    int64_t since;
    kap_index_t index;
};

kap_seen_t *kap_seen_new(int64_t now)
{
    kap_seen_t *seen = calloc(1, sizeof *seen);
    if (seen) {
        seen->since = now;
        kap_index_init(&seen->index);
    }
    return seen;
}

void kap_seen_destroy(kap_seen_t **handle)
{
    kap_seen_t *seen = *handle;
    if (!seen)
        return;
    for (size_t i = 0; i < seen->index.size; i++)
        free(seen->index.slots[i].item);
    kap_index_fini(&seen->index);
    free(seen);
    *handle = NULL;
}

static kap_span_t id_of(const heard_t *heard)
{
    return kap_span(heard->id, heard->size);
}

void kap_seen_note(kap_seen_t *seen, kap_span_t member, int64_t now)
{
    uint64_t hash = kap_index_hash(&seen->index, 0, member);
    size_t place = SIZE_MAX;
    heard_t *heard;
    while ((heard = kap_index_find(&seen->index, hash, &place)) != NULL) {
        if (!kap_span_eq(id_of(heard), member))
            continue;
        heard->at = now > heard->at ? now : heard->at;
        return;
    }
    heard = malloc(sizeof *heard + member.size);
    if (!heard)
        return;
    *heard = (heard_t){.at = now, .size = member.size};
    memcpy(heard->id, member.data, member.size);
    if (kap_index_add(&seen->index, hash, heard) != KAP_OK)
        free(heard);
}

static int by_member(const void *a, const void *b)
{
    const kap_metric_heard_t *x = a, *y = b;
    return kap_span_cmp(x->member, y->member);
}

const kap_metric_seen_t *kap_seen_copy(const kap_seen_t *seen, int64_t now, kap_arena_t *arena)
{
    kap_metric_seen_t *copy = kap_arena_calloc(arena, 1, sizeof *copy);
    kap_metric_heard_t *all = kap_arena_calloc(arena, seen->index.count + 1, sizeof *all);
    uint32_t count = 0;
    if (!copy || !all)
        return NULL;
    for (size_t i = 0; i < seen->index.size; i++) {
        const heard_t *heard = seen->index.slots[i].item;
        if (!heard)
            continue;
        all[count] = (kap_metric_heard_t){kap_arena_dup(arena, id_of(heard)), heard->at};
        if (!all[count++].member.data)
            return NULL;
    }
    if (count > 0)
        qsort(all, count, sizeof *all, by_member);
    *copy = (kap_metric_seen_t){now, seen->since, all, count};
    return copy;
}
