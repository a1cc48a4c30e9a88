/* SPDX-License-Identifier: MPL-2.0 */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KAP_ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KAP_ARENA_ASAN 1
#endif

#ifdef KAP_ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(at, size)   ASAN_POISON_MEMORY_REGION(at, size)
#define UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define POISON(at, size)   ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#endif

enum { ALIGN = alignof(max_align_t), CHUNK_MIN = 256 };

typedef struct chunk {
    struct chunk *next;
    size_t cap, used;
    alignas(max_align_t) uint8_t bytes[];
} chunk_t;

struct kap_arena {
    chunk_t *chunks; /* the first one is being filled */
    size_t chunk_bytes;
    size_t held;
};

kap_arena_t *kap_arena_new(size_t chunk_bytes)
{
    kap_arena_t *arena = calloc(1, sizeof *arena);
    if (arena)
        arena->chunk_bytes = chunk_bytes < CHUNK_MIN ? CHUNK_MIN : chunk_bytes;
    return arena;
}

static chunk_t *add_chunk(kap_arena_t *arena, size_t size)
{
    size_t cap = size > arena->chunk_bytes ? size : arena->chunk_bytes;
    if (cap > SIZE_MAX - sizeof(chunk_t))
        return NULL;
    chunk_t *chunk = malloc(sizeof *chunk + cap);
    if (!chunk)
        return NULL;
    *chunk = (chunk_t){.cap = cap};
    POISON(chunk->bytes, cap);
    arena->held += cap;
    /* A large one goes behind the chunk being filled, whose rest stays in use. */
    if (size > arena->chunk_bytes && arena->chunks) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

void *kap_arena_alloc(kap_arena_t *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGN)
        return NULL;
    size_t aligned = ((size ? size : 1) + ALIGN - 1) / ALIGN * ALIGN;
    chunk_t *chunk = arena->chunks;
    if (!chunk || chunk->cap - chunk->used < aligned)
        chunk = add_chunk(arena, aligned);
    if (!chunk)
        return NULL;
    void *at = chunk->bytes + chunk->used;
    chunk->used += aligned;
    UNPOISON(at, size);
    return at;
}

void *kap_arena_calloc(kap_arena_t *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *at = kap_arena_alloc(arena, bytes);
    if (at)
        memset(at, 0, bytes);
    return at;
}

/* A list of a power of two is full. */
void *kap_arena_more(kap_arena_t *arena, void *items, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return items;
    if (count > SIZE_MAX / 2 / size)
        return NULL;
    void *grown = kap_arena_alloc(arena, (count == 0 ? 1 : 2 * count) * size);
    if (grown && count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

kap_span_t kap_arena_dup(kap_arena_t *arena, kap_span_t span)
{
    void *at = kap_arena_alloc(arena, span.size);
    if (!at)
        return (kap_span_t){NULL, 0};
    if (span.size)
        memcpy(at, span.data, span.size);
    return kap_span(at, span.size);
}

char *kap_arena_str(kap_arena_t *arena, kap_span_t span)
{
    if (span.size == SIZE_MAX)
        return NULL;
    char *at = kap_arena_alloc(arena, span.size + 1);
    if (!at)
        return NULL;
    if (span.size)
        memcpy(at, span.data, span.size);
    at[span.size] = '\0';
    return at;
}

size_t kap_arena_held_bytes(const kap_arena_t *arena)
{
    return arena->held;
}

/* Keeps one chunk of the ordinary size, so that one huge message does not stay for ever. */
void kap_arena_reset(kap_arena_t *arena)
{
    chunk_t *kept = NULL, *next;
    for (chunk_t *chunk = arena->chunks; chunk; chunk = next) {
        next = chunk->next;
        if (!kept && chunk->cap == arena->chunk_bytes) {
            kept = chunk;
            continue;
        }
        arena->held -= chunk->cap;
        free(chunk);
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
        POISON(kept->bytes, kept->cap);
    }
    arena->chunks = kept;
}

void kap_arena_destroy(kap_arena_t **arena)
{
    if (!*arena)
        return;
    chunk_t *next;
    for (chunk_t *chunk = (*arena)->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(*arena);
    *arena = NULL;
}
