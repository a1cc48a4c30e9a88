/* SPDX-License-Identifier: MPL-2.0 */
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

#include "err.h"
#include "ids.h"

static const world_member_t members[] = {
    {.id = "kunta",
     .roles = "\"node\", \"party\", \"coordinator:mikkeli\"",
     .regions = "\"mikkeli\""},
    {.id = "te", .roles = "\"node\", \"party\"", .regions = "\"mikkeli\", \"shut\""},
    {.id = "finnvera", .roles = "\"node\", \"party\"", .regions = "\"mikkeli\"", .national = true},
    {.id = "other", .roles = "\"node\", \"party\"", .regions = "\"shut\""},
    {.id = "reader", .roles = "\"party\"", .regions = "\"mikkeli\""},
    {.id = "ely", .roles = "\"node\", \"area:etela-savo\"", .regions = "\"mikkeli\""},
    {.id = "tem", .roles = "\"ministry\"", .regions = ""},
    {.id = "op", .roles = "\"operator\"", .regions = ""},
    {.id = "driver", .roles = "\"node\", \"speaker:bench\"", .regions = "\"bench\""},
    {.id = "b1", .roles = "\"node\"", .regions = "\"bench\""},
    {.id = "b2", .roles = "\"node\"", .regions = "\"bench\""},
    {.id = "gate", .roles = "\"gateway\"", .regions = "\"mikkeli\""},
    {.id = "steer", .roles = "\"steering\"", .regions = "\"mikkeli\""},
};

void world_init(world_t *world)
{
    memset(world, 0, sizeof *world);
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    kap_random(world->authority, sizeof world->authority);
    kap_span_t authority = kap_span(world->authority, sizeof world->authority);
    kap_hash256(world->mesh, &authority, 1);
    world->count = sizeof members / sizeof *members;
    for (size_t i = 0; i < world->count; i++) {
        world->members[i] = members[i];
        world->members[i].keys = kap_curve_new();
        cr_assert_not_null(world->members[i].keys);
        kap_z85_encode(world->members[i].z85, world->members[i].keys->public, 32);
        kap_seal_keys_t *seal = kap_seal_keys_new();
        kap_sign_keys_t *sign = kap_sign_keys_new();
        kap_hex_encode(seal->public, 32, world->members[i].sealing);
        kap_hex_encode(sign->public, 32, world->members[i].signing);
        kap_seal_keys_destroy(&seal);
        kap_sign_keys_destroy(&sign);
    }
}

void world_fini(world_t *world)
{
    for (size_t i = 0; i < world->count; i++)
        kap_curve_destroy(&world->members[i].keys);
}

world_member_t *world_member(world_t *world, const char *id)
{
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(world->members[i].id, id) == 0)
            return &world->members[i];
    }
    cr_assert_fail("no member %s", id);
    return NULL;
}

void world_json(const world_t *world, kap_buf_t *json)
{
    char hex[65];
    kap_hex_encode(world->authority, 32, hex);
    kap_buf_printf(json, "{\"mesh\": \"%s\", \"rehearsal\": %s, \"regions\": [", hex,
                   world->rehearsal ? "true" : "false");
    if (!world->all_bench)
        kap_buf_str(json, "{\"id\": \"mikkeli\", \"area\": \"etela-savo\"},"
                          "{\"id\": \"shut\", \"area\": \"etela-savo\","
                          " \"settings\": {\"visibility\": \"ends\"}},"
                          "{\"id\": \"wide\", \"area\": \"etela-savo\","
                          " \"settings\": {\"visibility\": \"area\"}},");
    kap_buf_str(json, "{\"id\": \"bench\", \"kind\": \"bench\"}], \"members\": [");
    bool first = true;
    for (size_t i = 0; i < world->count; i++) {
        const world_member_t *m = &world->members[i];
        bool bench = strcmp(m->regions, "\"bench\"") == 0 || strcmp(m->id, "op") == 0;
        const char *organisation = strcmp(m->id, "kunta") == 0 ? "1234567-1" : "1484332-4";
        if (m->left_out || (world->all_bench && !bench))
            continue;
        kap_buf_printf(json,
                       "%s{\"id\": \"%s\", \"sealing\": \"%s\", \"signing\": \"%s\", "
                       "\"organisation\": \"%s\", \"type\": \"other\","
                       " \"roles\": [%s], \"regions\": [%s], \"national\": %s,"
                       " \"name\": {\"fi\": \"%s\"}, \"curve\": \"",
                       first ? "" : ", ", m->id, m->sealing, m->signing, organisation, m->roles,
                       m->regions, m->national ? "true" : "false", m->id);
        kap_buf_json_text(json, kap_span_str(m->z85));
        kap_buf_str(json, "\"}");
        first = false;
    }
    kap_buf_str(json, "]}\n");
    cr_assert_eq(json->err, KAP_OK);
}

kap_directory_t *world_directory(const world_t *world)
{
    kap_buf_t json = {0}, messages = {0};
    kap_directory_t *dir = NULL;
    world_json(world, &json);
    int rc = kap_directory_parse(kap_buf_span(&json), &dir, &messages);
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&json);
    kap_buf_fini(&messages);
    return dir;
}

const kap_member_t *world_who(const kap_directory_t *dir, const char *id)
{
    const kap_member_t *who = kap_directory_member(dir, kap_span_str(id));
    cr_assert_not_null(who, "%s", id);
    return who;
}
