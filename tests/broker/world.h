/* SPDX-License-Identifier: MPL-2.0 */
/* A small mesh for tests: keys, and a directory file that can be changed. */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>

#include "buf.h"
#include "crypto.h"
#include "directory.h"

enum { WORLD_MEMBERS = 13 };

typedef struct {
    const char *id, *roles, *regions; /* JSON lists without brackets */
    bool national, left_out;
    kap_curve_t *keys;
    char z85[KAP_Z85_KEY_CHARS + 1];
    char sealing[65], signing[65];
} world_member_t;

typedef struct {
    world_member_t members[WORLD_MEMBERS];
    size_t count;
    bool rehearsal, all_bench;
    uint8_t authority[32], mesh[32];
} world_t;

/* The members and what they are for stand in world.c. */
void world_init(world_t *world);
void world_fini(world_t *world);
world_member_t *world_member(world_t *world, const char *id);
/* The directory as text, and parsed. */
void world_json(const world_t *world, kap_buf_t *json);
kap_directory_t *world_directory(const world_t *world);
const kap_member_t *world_who(const kap_directory_t *dir, const char *id);

#endif
