/* SPDX-License-Identifier: MPL-2.0 */
/* Arenas: many small allocations that die together, a batch's or a message's.
 *
 * Memory comes in chunks; reset keeps the first one for the next round. Nothing is freed
 * singly. One owner: a thread at a time, handing over whole. Under AddressSanitizer memory
 * not handed out is poisoned. */
#ifndef KAP_ARENA_H
#define KAP_ARENA_H

#include "span.h"

typedef struct kap_arena kap_arena_t;

/* chunk_bytes: size of a chunk (at least 256 is taken); a larger allocation gets a chunk of its
 * own. Nothing but the head is allocated yet. NULL when out of memory. */
kap_arena_t *kap_arena_new(size_t chunk_bytes);

/* Aligned for any type, not zeroed; valid until reset or destroy. Size 0 gives a valid pointer.
 * NULL when out of memory. */
void *kap_arena_alloc(kap_arena_t *arena, size_t size);

/* The same, zeroed: count elements of size bytes; NULL also when the product overflows. */
void *kap_arena_calloc(kap_arena_t *arena, size_t count, size_t size);

/* Room for one item more behind `count` of `size` bytes in a list that began as NULL and grows by
 * this alone: the list, where it stands now. NULL when out of memory. */
void *kap_arena_more(kap_arena_t *arena, void *items, size_t count, size_t size);

/* A copy of the bytes; a span with data NULL when out of memory (an empty one has a pointer). */
kap_span_t kap_arena_dup(kap_arena_t *arena, kap_span_t span);

/* A copy ended by NUL; NULL when out of memory. A NUL inside is copied as it is. */
char *kap_arena_str(kap_arena_t *arena, kap_span_t span);

/* Bytes held in chunks, used or not. */
size_t kap_arena_held_bytes(const kap_arena_t *arena);

/* Gives up everything handed out; keeps one chunk. */
void kap_arena_reset(kap_arena_t *arena);

/* Frees and nulls; *arena may be NULL. */
void kap_arena_destroy(kap_arena_t **arena);

#endif
