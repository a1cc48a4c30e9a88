/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "codes.h"
#include "crypto.h"
#include "directory.h"
#include "err.h"
#include "tables.h"

#define AUTHORITY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEX_KEY   "1122334455667788990011223344556677889900112233445566778899001122"
#define CURVE_A   "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define CURVE_B   "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define NODE_KEYS "\"sealing\":\"" HEX_KEY "\",\"signing\":\"" HEX_KEY "\""

static kap_directory_t *dir;
static kap_buf_t messages;

static void setup(void)
{
    cr_assert_eq(kap_crypto_init(), KAP_OK);
}

static void teardown(void)
{
    kap_directory_unref(&dir);
    kap_buf_fini(&messages);
}

TestSuite(directory, .init = setup, .fini = teardown);

static int parse(const char *json)
{
    kap_buf_reset(&messages);
    return kap_directory_parse(kap_span_str(json), &dir, &messages);
}

static const char good[] =
    "{\"mesh\":\"" AUTHORITY "\",\"regions\":["
    "{\"id\":\"mikkeli\",\"settings\":{\"answer_days\":5,\"visibility\":\"area\"}},"
    "{\"id\":\"bench-1\",\"kind\":\"bench\"},{\"id\":\"uusi\",\"area\":\"etela-savo\"}],"
    "\"members\":["
    "{\"id\":\"te-office\",\"organisation\":\"0165116-3\",\"name\":{\"fi\":\"TE-toimisto\"},"
    "\"type\":\"te-office\",\"roles\":[\"node\",\"party\",\"coordinator:mikkeli\","
    "\"area:etela-savo\"],\"regions\":[\"mikkeli\"],\"services\":[\"recruitment\",\"training\"],"
    "\"languages\":[\"fi\"],\"phone\":\"+358 295 000 000\",\"email\":\"posti@example.fi\","
    "\"curve\":\"" CURVE_A "\"," NODE_KEYS ",\"valid_from\":\"2020-01-01\","
    "\"valid_to\":\"2024-12-31\",\"closures\":[{\"from\":\"2024-07-15\",\"to\":\"2024-07-19\"},"
    "{\"from\":\"2024-07-01\",\"to\":\"2024-07-05\"}]},"
    "{\"id\":\"finnvera\",\"name\":{\"fi\":\"Finnvera\",\"sv\":\"Finnvera sv\"},"
    "\"type\":\"finnvera\",\"roles\":[],\"national\":true,\"services\":[\"financing\"]},"
    "{\"id\":\"bank\",\"name\":{\"fi\":\"Pankki\"},\"type\":\"private-provider\","
    "\"regions\":[\"mikkeli\"],\"services\":[\"financing\"],\"languages\":[\"sv\"]},"
    "{\"id\":\"driver\",\"name\":{\"fi\":\"Ajuri\"},\"type\":\"other\","
    "\"roles\":[\"speaker:bench-1\"],\"curve\":\"" CURVE_B "\"}]}";

Test(directory, a_good_file_is_read_whole)
{
    cr_assert_eq(parse(good), KAP_OK, "%s", kap_buf_cstr(&messages));
    cr_expect_eq(messages.size, 0);
    cr_expect_eq(kap_directory_member_count(dir), 4);
    cr_expect_eq(kap_directory_region_count(dir), 3);
    cr_expect_not(kap_directory_rehearsal(dir));
    const kap_member_t *m = kap_directory_member(dir, KAP_SPAN("te-office"));
    cr_assert_not_null(m);
    cr_expect(kap_span_eq_str(m->name_sv, "TE-toimisto"), "Swedish falls back to Finnish");
    cr_expect_eq(m->type, KAP_ACTOR_TE_OFFICE);
    cr_expect(m->is_authority);
    cr_expect_eq(m->roles, KAP_ROLE_NODE | KAP_ROLE_PARTY | KAP_ROLE_COORDINATOR | KAP_ROLE_AREA);
    cr_expect(kap_member_offers(m, KAP_SERVICE_TRAINING));
    cr_expect_not(kap_member_offers(m, KAP_SERVICE_TAX));
    cr_expect_eq(m->closures->count, 2);
    cr_expect_eq(m->closures->items[0].first.day, 1, "closures are sorted");
    kap_span_t authority = kap_span(kap_directory_authority(dir), 32);
    uint8_t mesh[32];
    kap_hash256(mesh, &authority, 1);
    cr_expect_arr_eq(kap_directory_mesh(dir), mesh, 32);
}

Test(directory, regions_have_their_settings_and_area)
{
    cr_assert_eq(parse(good), KAP_OK);
    const kap_region_t *r = kap_directory_region(dir, KAP_SPAN("mikkeli"));
    cr_assert_not_null(r);
    cr_expect_eq(r->answer_days, 5);
    cr_expect_eq(r->contact_days, 10);
    cr_expect_eq(r->hidden_below, 5);
    cr_expect_eq(r->visibility, KAP_VISIBILITY_AREA);
    cr_expect(kap_span_eq_str(r->area, "etela-savo"));
    r = kap_directory_region(dir, KAP_SPAN("bench-1"));
    cr_expect_eq(r->kind, KAP_REGION_KIND_BENCH);
    cr_expect_eq(r->visibility, KAP_VISIBILITY_PARTIES);
    cr_expect_null(kap_directory_region(dir, KAP_SPAN("mikkel")));
    cr_expect_null(kap_directory_region(dir, KAP_SPAN("")));
}

Test(directory, keys_and_ids_are_found)
{
    uint8_t key[32], keys[4][32];
    cr_assert_eq(parse(good), KAP_OK);
    cr_assert_eq(kap_z85_decode(key, 32, KAP_SPAN(CURVE_B)), KAP_OK);
    const kap_member_t *m = kap_directory_by_key(dir, key);
    cr_assert_not_null(m);
    cr_expect(kap_span_eq_str(m->id, "driver"));
    key[31] ^= 1;
    cr_expect_null(kap_directory_by_key(dir, key));
    memset(key, 0, 32);
    cr_expect_null(kap_directory_by_key(dir, key), "members without a key are not found by zeros");
    cr_expect_null(kap_directory_member(dir, KAP_SPAN("te-offic")));
    int64_t in_2024 = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2024, 6, 1});
    int64_t in_2025 = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2025, 1, 1});
    cr_expect_eq(kap_directory_keys(dir, in_2024, keys, 4), 2);
    cr_expect_eq(kap_directory_keys(dir, in_2025, keys, 4), 1);
    cr_expect_eq(kap_directory_keys(dir, in_2024, NULL, 0), 2);
}

Test(directory, validity_is_whole_days_of_helsinki)
{
    cr_assert_eq(parse(good), KAP_OK);
    const kap_member_t *m = kap_directory_member(dir, KAP_SPAN("te-office"));
    int64_t first = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2020, 1, 1});
    int64_t after = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2025, 1, 1});
    cr_expect_not(kap_member_valid(m, first - 1));
    cr_expect(kap_member_valid(m, first));
    cr_expect(kap_member_valid(m, after - 1));
    cr_expect_not(kap_member_valid(m, after));
    m = kap_directory_member(dir, KAP_SPAN("finnvera"));
    cr_expect(kap_member_valid(m, INT64_MIN));
    cr_expect(kap_member_valid(m, INT64_MAX - 1));
}

Test(directory, roles_reach_their_regions_only)
{
    cr_assert_eq(parse(good), KAP_OK);
    const kap_region_t *mikkeli = kap_directory_region(dir, KAP_SPAN("mikkeli"));
    const kap_region_t *uusi = kap_directory_region(dir, KAP_SPAN("uusi"));
    const kap_region_t *bench = kap_directory_region(dir, KAP_SPAN("bench-1"));
    const kap_member_t *te = kap_directory_member(dir, KAP_SPAN("te-office"));
    const kap_member_t *driver = kap_directory_member(dir, KAP_SPAN("driver"));
    const kap_member_t *finnvera = kap_directory_member(dir, KAP_SPAN("finnvera"));
    cr_expect(kap_member_coordinates(te, mikkeli));
    cr_expect_not(kap_member_coordinates(te, uusi));
    cr_expect(kap_member_covers(te, uusi), "the area's region");
    cr_expect_not(kap_member_covers(te, bench), "a bench region has no area");
    cr_expect(kap_member_speaks(driver, bench));
    cr_expect_not(kap_member_speaks(driver, mikkeli));
    cr_expect_not(kap_member_in_region(finnvera, mikkeli));
    cr_expect(kap_member_serves_region(finnvera, mikkeli));
    cr_expect_not(kap_member_serves_region(te, uusi));
}

Test(directory, candidates_are_alphabetical_and_private_ones_flagged)
{
    kap_candidate_t found[4];
    cr_assert_eq(parse(good), KAP_OK);
    const kap_region_t *mikkeli = kap_directory_region(dir, KAP_SPAN("mikkeli"));
    uint32_t n = kap_directory_candidates(dir, KAP_SERVICE_FINANCING, mikkeli, KAP_LANGUAGE_FI,
                                          INT64_C(1717200000000), found, 4);
    cr_assert_eq(n, 2);
    cr_expect(kap_span_eq_str(found[0].member->id, "bank"));
    cr_expect(found[0].is_private);
    cr_expect_not(found[0].speaks, "Swedish only");
    cr_expect_not(found[1].is_private);
    cr_expect(found[1].speaks, "says nothing of languages");
    n = kap_directory_candidates(dir, KAP_SERVICE_TRAINING, mikkeli, -1, INT64_C(1717200000000),
                                 found, 4);
    cr_expect_eq(n, 1);
    n = kap_directory_candidates(dir, KAP_SERVICE_TRAINING, mikkeli, -1, INT64_C(1767200000000),
                                 found, 4);
    cr_expect_eq(n, 0, "no longer valid");
    n = kap_directory_candidates(dir, KAP_SERVICE_FINANCING, mikkeli, -1, 0, found, 1);
    cr_expect_eq(n, 2, "more than there was room for");
}

/* A wrong file: nothing is made, and a message says where and what would be right. */
static void refuses(const char *json, const char *where, const char *right)
{
    dir = NULL;
    cr_expect_eq(parse(json), KAP_E_CONFIG, "%s", json);
    cr_expect_null(dir);
    const char *said = kap_buf_cstr(&messages);
    cr_expect_not_null(strstr(said, where), "\"%s\" is not in: %s", where, said);
    cr_expect_not_null(strstr(said, right), "\"%s\" is not in: %s", right, said);
}

#define MESH "\"mesh\":\"" AUTHORITY "\""
#define MEMBER(more)                                                                               \
    "{" MESH ",\"regions\":[{\"id\":\"mikkeli\"}],\"members\":[{\"id\":\"a\",\"type\":\"ely\","    \
    "\"name\":{\"fi\":\"A\"}" more "}]}"

Test(directory, files_that_are_none_are_refused)
{
    refuses("", "line", "well-formed JSON");
    refuses("{", "line 1", "well-formed JSON");
    refuses("[]", "directory", "an object");
    refuses("{}", "mesh", "64 digits");
    refuses("{\"mesh\":1,\"mesh\":2}", "line", "each key once");
    refuses("{" MESH ",\"regions\":[],\"members\":[],\"memebrs\":[]}", "memebrs", "members");
    refuses("{\"mesh\":\"00\",\"regions\":[],\"members\":[]}", "mesh", "64 digits");
    refuses("{" MESH ",\"regions\":{},\"members\":[]}", "regions", "a list");
    refuses("\xff", "byte 0", "UTF-8");
}

Test(directory, wrong_regions_are_refused)
{
    refuses("{" MESH ",\"regions\":[1],\"members\":[]}", "regions[0]", "an object");
    refuses("{" MESH ",\"regions\":[{}],\"members\":[]}", "regions[0].id", "1 to 200");
    refuses("{" MESH ",\"regions\":[{\"id\":\"a/b\",\"area\":\"x\"}],\"members\":[]}",
            "regions[0].id", "without /");
    refuses("{" MESH ",\"regions\":[{\"id\":\"nowhere\"}],\"members\":[]}", "regions[0].area",
            "area");
    refuses("{" MESH ",\"regions\":[{\"id\":\"mikkeli\",\"kind\":\"archive\"}],\"members\":[]}",
            "regions[0].kind", "ordinary or bench");
    refuses("{" MESH ",\"regions\":[{\"id\":\"mikkeli\",\"kind\":\"bench\"}],\"members\":[]}",
            "regions[0]", "another id");
    refuses("{" MESH ",\"regions\":[{\"id\":\"mikkeli\"},{\"id\":\"mikkeli\"}],\"members\":[]}",
            "regions", "each id once");
    refuses("{" MESH ",\"regions\":[{\"id\":\"mikkeli\",\"settings\":{\"answer_days\":0}}],"
            "\"members\":[]}",
            "regions[0].settings.answer_days", "from 1 to 365");
    refuses("{" MESH ",\"regions\":[{\"id\":\"mikkeli\",\"settings\":{\"visibility\":\"all\"}}],"
            "\"members\":[]}",
            "regions[0].settings.visibility", "nation");
    refuses("{" MESH ",\"regions\":[{\"id\":\"mikkeli\",\"settings\":{\"hidden_below\":2}}],"
            "\"members\":[]}",
            "hidden_below", "from 3 to 100");
}

Test(directory, wrong_members_are_refused)
{
    refuses(MEMBER(",\"roles\":[\"coordinater:mikkeli\"]"), "members[0].roles[0]", "coordinator:");
    refuses(MEMBER(",\"roles\":[\"coordinator:kuopio\"]"), "members[0].roles[0]", "region");
    refuses(MEMBER(",\"roles\":[\"area:nowhere\"]"), "members[0].roles[0]", "area");
    refuses(MEMBER(",\"roles\":[\"speaker:mikkeli\"]"), "members[0].roles[0]", "bench");
    refuses(MEMBER(",\"roles\":[\"node\"]"), "members[0].curve", "CURVE");
    refuses(MEMBER(",\"roles\":[\"node\"],\"curve\":\"" CURVE_A "\""), "members[0]", "sealing");
    refuses(MEMBER(",\"curve\":\"x\""), "members[0].curve", "40 characters");
    refuses(MEMBER(",\"sealing\":\"" CURVE_A "\""), "members[0].sealing", "64 digits");
    refuses(MEMBER(",\"regions\":[\"kuopio\"]"), "members[0].regions[0]", "one of its ids");
    refuses(MEMBER(",\"services\":[\"loans\"]"), "members[0].services[0]", "financing");
    refuses(MEMBER(",\"organisation\":\"0165116-4\""), "members[0].organisation", "check digit");
    refuses(MEMBER(",\"valid_from\":\"2026-02-30\""), "members[0].valid_from", "YYYY-MM-DD");
    refuses(MEMBER(",\"valid_from\":\"2026-02-03\",\"valid_to\":\"2026-02-01\""),
            "members[0].valid_to", "later");
    refuses(MEMBER(",\"national\":1"), "members[0].national", "true or false");
    refuses(MEMBER(",\"phone\":\"a\\nb\""), "members[0].phone", "printable");
    refuses(MEMBER(",\"closures\":[{\"from\":\"2026-07-02\",\"to\":\"2026-07-01\"}]"),
            "members[0].closures[0]", "from <= to");
    refuses(MEMBER(",\"closures\":[{\"from\":\"2026-01-01\",\"to\":\"2026-12-31\"}]"),
            "members[0].closures", "30 working days");
    refuses("{" MESH ",\"regions\":[],\"members\":[{\"id\":\"external:x\",\"type\":\"ely\","
            "\"name\":{\"fi\":\"A\"}}]}",
            "members[0].id", "external");
    refuses("{" MESH ",\"regions\":[],\"members\":[{\"id\":\"broker\",\"type\":\"els\","
            "\"name\":\"A\"}]}",
            "members[0].type", "actor type");
}

Test(directory, two_members_share_neither_id_nor_key)
{
    refuses("{" MESH ",\"regions\":[],\"members\":["
            "{\"id\":\"a\",\"type\":\"ely\",\"name\":{\"fi\":\"A\"}},"
            "{\"id\":\"a\",\"type\":\"ely\",\"name\":{\"fi\":\"A\"}}]}",
            "a and a", "id");
    refuses("{" MESH ",\"regions\":[],\"members\":["
            "{\"id\":\"a\",\"type\":\"ely\",\"name\":{\"fi\":\"A\"},\"curve\":\"" CURVE_A "\"},"
            "{\"id\":\"b\",\"type\":\"ely\",\"name\":{\"fi\":\"A\"},\"curve\":\"" CURVE_A "\"}]}",
            "a and b", "CURVE key");
}

Test(directory, every_wrong_thing_is_said_at_once)
{
    cr_expect_eq(parse(MEMBER(",\"national\":1,\"services\":[\"x\"],\"email\":\"\"")),
                 KAP_E_CONFIG);
    int lines = 0;
    for (size_t i = 0; i < messages.size; i++) {
        lines += messages.data[i] == '\n';
    }
    cr_expect_eq(lines, 3, "%s", kap_buf_cstr(&messages));
}

Test(directory, no_cut_file_is_taken)
{
    for (size_t cut = 0; cut + 1 < sizeof(good) - 1; cut += 7) {
        kap_buf_reset(&messages);
        cr_expect_eq(kap_directory_parse(kap_span(good, cut), &dir, &messages), KAP_E_CONFIG);
    }
}

static void *use(void *arg)
{
    kap_directory_t *shared = arg;
    for (int i = 0; i < 10000; i++) {
        kap_directory_t *mine = kap_directory_ref(shared);
        cr_assert_not_null(kap_directory_member(mine, KAP_SPAN("bank")));
        kap_directory_unref(&mine);
    }
    kap_directory_unref(&shared);
    return NULL;
}

Test(directory, references_are_counted_between_threads)
{
    pthread_t threads[4];
    cr_assert_eq(parse(good), KAP_OK);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, use, kap_directory_ref(dir)), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_expect_not_null(kap_directory_member(dir, KAP_SPAN("bank")));
}

Test(directory, a_large_mesh_is_found_in)
{
    enum { MEMBERS = 2000 };
    kap_buf_t json = {0};
    char id[32];
    kap_buf_str(&json, "{" MESH ",\"regions\":[{\"id\":\"mikkeli\"}],\"members\":[");
    for (int i = 0; i < MEMBERS; i++) {
        kap_buf_printf(&json,
                       "%s{\"id\":\"m%d\",\"type\":\"other\",\"name\":{\"fi\":\"M\"},"
                       "\"regions\":[\"mikkeli\"]}",
                       i ? "," : "", i);
    }
    kap_buf_str(&json, "]}");
    cr_assert_eq(kap_directory_parse(kap_buf_span(&json), &dir, &messages), KAP_OK);
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        const kap_member_t *m = kap_directory_member(dir, kap_span_str(id));
        cr_assert_not_null(m);
        cr_assert_eq(kap_directory_member_at(dir, m->index), m);
    }
    cr_expect_null(kap_directory_member_at(dir, MEMBERS));
    kap_buf_fini(&json);
}
