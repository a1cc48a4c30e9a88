/* SPDX-License-Identifier: MPL-2.0 */
/* Private to proto: the inside of a directory, filled by directory_parse.c, read by
 * directory.c. Everything lives in the one arena and dies with it. */
#ifndef KAP_DIRECTORY_INNER_H
#define KAP_DIRECTORY_INNER_H

#include <stdatomic.h>

#include "arena.h"
#include "directory.h"

/* Open addressing over indexes; a slot holds index + 1, 0 is empty. */
typedef struct {
    uint32_t *slots;
    uint32_t mask; /* slots - 1, a power of two at least twice the entries */
} kap_directory_index_t;

struct kap_directory {
    atomic_uint refs;
    kap_arena_t *arena;
    uint8_t authority[32], mesh[32];
    bool rehearsal;
    kap_member_t *members; /* by id, alphabetical */
    uint32_t member_count;
    kap_region_t *regions; /* by id, alphabetical */
    uint32_t region_count;
    kap_directory_index_t by_key, by_member, by_region;
};

/* An empty directory with one reference; NULL when out of memory. */
kap_directory_t *kap_directory_inner_new(void);

/* Builds the indexes over members and regions, which are in place and sorted.
 * KAP_E_NOMEM; KAP_E_EXISTS when two entries share an id or a key, *a and *b say which
 * members or, with *of_regions, regions. */
int kap_directory_inner_index(kap_directory_t *dir, uint32_t *a, uint32_t *b, bool *of_regions);

#endif
