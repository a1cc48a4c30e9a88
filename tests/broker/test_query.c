/* SPDX-License-Identifier: MPL-2.0 */
/* Every question of query.def: its answer, and to whom it is not given. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "asker.h"
#include "clock.h"
#include "err.h"

static scene_t scene;
static asker_t kunta, te, other, reader, op;

static void setup(void)
{
    scene_open(&scene, "");
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &te, "te");
    scene_connect(&scene, &other, "other");
    scene_connect(&scene, &reader, "reader");
    scene_connect(&scene, &op, "op");
}

static void teardown(void)
{
    asker_t *all[] = {&kunta, &te, &other, &reader, &op};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        asker_fini(all[i]);
    scene_close(&scene);
}

TestSuite(query, .init = setup, .fini = teardown, .timeout = 60);

static uint16_t refusal(asker_t *asker, const char *name, const char *key, const char *value)
{
    kap_answer_t answer;
    if (key)
        asker_query(asker, name, &answer, key, value, NULL);
    else
        asker_query(asker, name, &answer, NULL);
    return answer.refusal;
}

Test(query, mark_tells_the_last_sequence_of_a_source_to_its_member)
{
    kap_answer_t answer;
    asker_query(&kunta, "mark", &answer, "source", "kunta/p1", NULL);
    cr_expect_eq(kap_mp_get_int(answer.root, "last", -1), 0);
    cr_expect_null(kap_mp_get(answer.root, "hash"));
    asker_refer(&kunta, 1, 3);
    asker_query(&kunta, "mark", &answer, "source", "kunta/p1", NULL);
    cr_expect_eq(kap_mp_get_int(answer.root, "last", -1), 3);
    cr_expect_eq(kap_mp_get_bin(answer.root, "hash").size, 32);
    cr_expect_eq(kap_mp_get_bin(answer.root, "epoch").size, 16);
    cr_expect_eq(answer.as_of_seq, 3);
    cr_expect_eq(refusal(&te, "mark", "source", "kunta/p1"), KAP_REFUSAL_NOT_ALLOWED_QUERY);
    cr_expect_eq(refusal(&op, "mark", "source", "kunta/p1"), 0);
    cr_expect_eq(refusal(&op, "mark", NULL, NULL), KAP_REFUSAL_REQUEST_PARAMETER);
}

Test(query, a_referral_is_told_in_full_to_its_ends_and_without_the_ends_part_to_its_region)
{
    kap_answer_t answer;
    asker_refer(&kunta, 1, 1);
    asker_query(&te, "referral", &answer, "id", "r-1", NULL);
    const kap_mp_t *referral = kap_mp_get(answer.root, "referral");
    cr_assert_not_null(referral);
    cr_expect(kap_span_eq_str(kap_mp_get_str(referral, "state"), "created"));
    cr_expect(kap_span_eq_str(kap_mp_get_str(referral, "case"), "case-r-1"));
    asker_query(&reader, "referral", &answer, "id", "r-1", NULL);
    referral = kap_mp_get(answer.root, "referral");
    cr_assert_not_null(referral);
    cr_expect(kap_span_eq_str(kap_mp_get_str(referral, "from"), "kunta"));
    cr_expect_null(kap_mp_get(referral, "case"));
    cr_expect_eq(refusal(&other, "referral", "id", "r-1"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&op, "referral", "id", "r-1"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&te, "referral", "id", "r-2"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&te, "referral", "id", ""), KAP_REFUSAL_REQUEST_PARAMETER);
}

Test(query, a_case_is_told_to_the_ends_of_its_referrals_only)
{
    kap_answer_t answer;
    asker_refer(&kunta, 1, 1);
    asker_query(&te, "case", &answer, "id", "case-r-1", NULL);
    cr_assert_eq(answer.refusal, 0);
    cr_expect_eq(kap_mp_get(answer.root, "referrals")->count, 1);
    cr_expect_eq(kap_mp_get_int(answer.root, "hidden", -1), 0);
    cr_expect_eq(refusal(&reader, "case", "id", "case-r-1"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&other, "case", "id", "case-r-1"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&te, "case", "id", "case-r-9"), KAP_REFUSAL_REQUEST_NOT_FOUND);
}

static void expect_edges(asker_t *asker, uint32_t edges, int64_t n)
{
    kap_answer_t answer;
    asker_query(asker, "edges", &answer, "region", "mikkeli", NULL);
    cr_assert_eq(answer.refusal, 0, "%.*s", KAP_SPAN_ARGS(answer.sentence));
    cr_expect_eq(kap_mp_get(answer.root, "edges")->count, edges);
    cr_expect_eq(kap_mp_get_int(answer.root, "n", -1), n);
}

Test(query, edges_are_told_in_full_to_the_region_and_as_totals_to_others)
{
    kap_answer_t answer;
    asker_refer(&kunta, 1, 4);
    asker_tell(&te, "te/p1", 1, KAP_EV_REFERRAL_DELIVERED, "r-1");
    asker_tell(&te, "te/p1", 2, KAP_EV_REFERRAL_ACCEPTED, "r-1");
    expect_edges(&kunta, 1, 4);
    expect_edges(&reader, 1, 4);
    expect_edges(&other, 0, 0);
    asker_refer(&kunta, 5, 2);
    expect_edges(&other, 0, 0); /* this month is not over */
    expect_edges(&op, 0, 6);
    asker_query(&te, "edges", &answer, "region", "mikkeli", "clock", "customer", "time", "elapsed",
                "zone", "UTC", "from", "2020-01-01", "to", "2030-01-01", NULL);
    cr_assert_eq(answer.refusal, 0);
    const kap_mp_t *edge = kap_mp_item(kap_mp_get(answer.root, "edges"), 0);
    cr_assert_not_null(edge);
    cr_expect_eq(kap_mp_get_int(edge, "referrals", -1), 6);
    cr_expect_eq(kap_mp_get_int(edge, "accepted", -1), 1);
    cr_expect_eq(answer.as_of_seq, 8, "the figures stand where the log stood");
    cr_expect_eq(refusal(&te, "edges", "region", "nowhere"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&te, "edges", NULL, NULL), KAP_REFUSAL_REQUEST_PARAMETER);
    asker_query(&te, "edges", &answer, "region", "mikkeli", "from", "2026-02-30", NULL);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_REQUEST_PARAMETER);
    asker_query(&te, "edges", &answer, "region", "mikkeli", "zone", "Mars", NULL);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_REQUEST_PARAMETER);
}

Test(query, metrics_are_told_as_the_asker_may_see_them)
{
    kap_answer_t answer;
    asker_refer(&kunta, 1, 4);
    asker_tell(&te, "te/p1", 1, KAP_EV_REFERRAL_DELIVERED, "r-1");
    asker_tell(&te, "te/p1", 2, KAP_EV_REFERRAL_ACCEPTED, "r-1");
    asker_query(&reader, "metrics", &answer, "metric", "acceptance", "region", "mikkeli", "by",
                "edge", NULL);
    cr_assert_eq(answer.refusal, 0, "%.*s", KAP_SPAN_ARGS(answer.sentence));
    cr_expect_eq(answer.as_of_seq, 6, "the figures stand where the log stood");
    cr_expect_eq(kap_mp_get_int(answer.root, "n", -1), 4);
    const kap_mp_t *row = kap_mp_item(kap_mp_get(answer.root, "rows"), 0);
    const kap_mp_t *values = kap_mp_get(row, "values");
    cr_expect_eq(kap_mp_get_int(kap_mp_get(values, "strict"), "num", -1), 1);
    cr_expect_eq(kap_mp_get_int(kap_mp_get(values, "strict"), "den", -1), 4);
    asker_query(&other, "metrics", &answer, "metric", "acceptance", "region", "mikkeli", NULL);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_NOT_ALLOWED_QUERY);
    asker_query(&te, "metrics", &answer, "metric", "acceptance", "member", "te", NULL);
    cr_expect_eq(kap_mp_get_int(answer.root, "n", -1), 4, "its own, anywhere");
    asker_query(&te, "metrics", &answer, "metric", "acceptances", "region", "mikkeli", NULL);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_REQUEST_PARAMETER);
    cr_expect(
        kap_span_eq_str(answer.sentence, "there is no metric acceptances; there is acceptance"));
    asker_query(&te, "metrics", &answer, "metric", "matrix", "region", "nowhere", NULL);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_REQUEST_NOT_FOUND);
    asker_t ely;
    scene_connect(&scene, &ely, "ely");
    cr_expect_eq(refusal(&ely, "health", NULL, NULL), 0);
    asker_query(&te, "metrics", &answer, "metric", "silent-edges", "region", "mikkeli", NULL);
    const kap_mp_t *members = kap_mp_get(kap_mp_get(answer.root, "values"), "members");
    bool seen = false;
    for (uint32_t i = 0; members && i < members->count; i++) {
        const kap_mp_t *member = kap_mp_item(members, i);
        seen = seen || (kap_span_eq_str(kap_mp_get_str(member, "member"), "ely") &&
                        kap_span_eq_str(kap_mp_get_str(member, "node"), "seen"));
    }
    cr_expect(seen, "it said nothing, but its node asked");
    asker_fini(&ely);
}

Test(query, health_directory_and_streams_are_for_everybody)
{
    kap_answer_t answer;
    asker_refer(&kunta, 1, 2);
    asker_query(&reader, "health", &answer, NULL);
    cr_assert_eq(answer.refusal, 0);
    cr_expect_eq(kap_mp_get_int(answer.root, "events_published", -1), 2);
    cr_expect_eq(kap_mp_get_int(answer.root, "publishes", -1), 1);
    asker_query(&other, "directory", &answer, NULL);
    kap_buf_t json = {0};
    world_json(&scene.world, &json);
    cr_expect(kap_span_eq(kap_mp_get_str(answer.root, "text"), kap_buf_span(&json)));
    kap_buf_fini(&json);
    asker_query(&te, "streams", &answer, NULL);
    const kap_mp_t *streams = kap_mp_get(answer.root, "streams");
    cr_assert_eq(streams->count, 2, "its own and its region's");
    for (uint32_t i = 0; i < 2; i++)
        cr_expect_eq(kap_mp_get_int(kap_mp_item(streams, i), "head", -1), 2);
    asker_query(&op, "streams", &answer, NULL);
    cr_expect_eq(kap_mp_get(answer.root, "streams")->count, 1, "the bench region's");
}

Test(query, audit_recounts_the_log_and_finds_no_difference)
{
    kap_answer_t answer;
    asker_refer(&kunta, 1, 20);
    asker_tell(&te, "te/p1", 1, KAP_EV_REFERRAL_DELIVERED, "r-1");
    asker_tell(&te, "te/p1", 2, KAP_EV_REFERRAL_ACCEPTED, "r-1");
    asker_query(&op, "audit", &answer, NULL);
    cr_assert_eq(answer.refusal, 0, "%.*s", KAP_SPAN_ARGS(answer.sentence));
    cr_expect_eq(kap_mp_get_int(answer.root, "events", -1), 22);
    cr_expect_eq(kap_mp_get_int(answer.root, "position", -1), 22);
    cr_expect_eq(kap_mp_get_int(answer.root, "differences", -1), 0, "%.*s",
                 KAP_SPAN_ARGS(kap_mp_get_str(answer.root, "what")));
}

Test(query, refuses_what_it_does_not_know_and_whom_it_does_not_serve)
{
    cr_expect_eq(refusal(&te, "everything", NULL, NULL), KAP_REFUSAL_REQUEST_QUERY);
    cr_expect_eq(refusal(&te, "audit", NULL, NULL), KAP_REFUSAL_NOT_ALLOWED_QUERY);
    cr_expect_eq(refusal(&te, "archive", "name", "nothing"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal(&te, "archive", NULL, NULL), KAP_REFUSAL_REQUEST_PARAMETER);
    cr_expect_eq(refusal(&te, "streams", "streams", "member/te"), KAP_REFUSAL_REQUEST_PARAMETER);
    cr_expect_eq(refusal(&te, "edges", "after", "a"), KAP_REFUSAL_REQUEST_PARAMETER, "no region");
}

/* op imports one referral, r-1 of Resource 1 and Resource 2, into the archive "receipt". */
static void import_one(void)
{
    static const uint8_t digest[32] = {7};
    kap_buf_t bins = {0}, open = {0}, ends = {0};
    kap_event_builder_t b;
    kap_receipt_t receipt;
    kap_event_builder_begin(&b, KAP_EV_ARCHIVE_OPENED, KAP_SPAN("o-1"), KAP_SPAN("op/i1"), 1, 0, 0);
    kap_event_builder_set_span(&b, KAP_F_REGION, KAP_SPAN("receipt"));
    kap_event_builder_set_span(&b, KAP_F_ATTRIBUTE, KAP_SPAN("org:resource"));
    kap_event_builder_set_span(&b, KAP_F_OPTIONS, KAP_SPAN("none"));
    kap_event_builder_set_span(&b, KAP_F_DIGEST, kap_span(digest, sizeof digest));
    cr_assert_eq(kap_event_builder_finish(&b, digest, (kap_span_t){0}, &open, &ends), KAP_OK);
    kap_bin_put(&bins, kap_buf_span(&open));
    kap_bin_put(&bins, kap_buf_span(&ends));
    kap_bin_put(&bins, (kap_span_t){0});
    event_bins(&bins, "op/i1", 2, KAP_EV_REFERRAL_CREATED, "r-1", "Resource 1", "Resource 2",
               "receipt");
    asker_publish(&op, "op/i1", 1, 2, kap_buf_span(&bins), &receipt);
    cr_assert_eq(receipt.verdict_count, 2);
    cr_assert_eq(receipt.verdicts[1].verdict, KAP_VERDICT_ACCEPTED);
    kap_buf_fini(&bins);
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

Test(query, an_archive_shows_its_figures_to_everybody_and_its_cases_to_the_operator)
{
    kap_answer_t answer;
    import_one();
    asker_query(&other, "edges", &answer, "region", "receipt", NULL);
    cr_expect_eq(kap_mp_get_int(answer.root, "n", -1), 1);
    cr_expect_eq(refusal(&other, "archive", "name", "receipt"), 0);
    asker_t *askers[] = {&op, &other, &reader};
    for (size_t i = 0; i < 3; i++) {
        uint16_t expected = i == 0 ? 0 : KAP_REFUSAL_REQUEST_NOT_FOUND;
        asker_query(askers[i], "referral", &answer, "id", "r-1", "region", "receipt", NULL);
        cr_expect_eq(answer.refusal, expected);
        asker_query(askers[i], "case", &answer, "id", "case-r-1", "region", "receipt", NULL);
        cr_expect_eq(answer.refusal, expected);
    }
    cr_expect_eq(refusal(&op, "referral", "id", "r-1"), KAP_REFUSAL_REQUEST_NOT_FOUND,
                 "an archive's ids are its own");
}

static kap_header_t ask_later(asker_t *asker, const char *name, const char *key, const char *value,
                              uint64_t min_seq, uint32_t wait_ms)
{
    kap_buf_t map = {0}, bin = {0};
    kap_query_begin(&map, name, 3);
    kap_mp_put_cstr(&map, key);
    kap_mp_put_cstr(&map, value);
    kap_mp_put_cstr(&map, "min_seq");
    kap_mp_put_uint(&map, min_seq);
    kap_mp_put_cstr(&map, "wait_ms");
    kap_mp_put_uint(&map, wait_ms);
    kap_bin_put(&bin, kap_buf_span(&map));
    kap_header_t header = asker_header(asker, KAP_VERB_QUERY);
    kap_span_t frame = kap_buf_span(&bin);
    asker_send(asker, &header, &frame, 1);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
    return header;
}

static kap_header_t ask_at(asker_t *asker, uint64_t min_seq, uint32_t wait_ms)
{
    return ask_later(asker, "mark", "source", "kunta/p1", min_seq, wait_ms);
}

Test(query, min_seq_waits_for_a_position_and_no_longer_than_it_was_told)
{
    kap_header_t header = ask_at(&op, 2, 20000), answer;
    cr_assert_null(asker_answer(&op, &header, 200, &answer), "answered before its position");
    asker_refer(&kunta, 1, 2);
    const kap_msg_t *msg = asker_answer(&op, &header, ASKER_PATIENCE_MS, &answer);
    cr_assert_not_null(msg);
    cr_expect_eq(answer.verb, KAP_VERB_ANSWER);
    header = ask_at(&op, 100, 100);
    cr_expect_eq(asker_error(&op, &header), KAP_REFUSAL_REQUEST_TIMEOUT);
    header = ask_at(&op, 100, 0);
    cr_expect_eq(asker_error(&op, &header), KAP_REFUSAL_REQUEST_TIMEOUT);
}

/* Puts the directory with what was changed in the world in force. */
static void rewrite(void)
{
    kap_buf_t json = {0};
    world_json(&scene.world, &json);
    broker_directory(&scene.broker, kap_buf_cstr(&json), "directory_swapped");
    kap_buf_fini(&json);
}

Test(query, what_waited_is_answered_with_the_rights_of_that_moment)
{
    kap_header_t key = ask_later(&te, "directory", "id", "", 2, 20000);
    kap_header_t role = ask_later(&reader, "referral", "id", "r-1", 2, 20000);
    kap_header_t left = ask_later(&kunta, "referral", "id", "r-1", 2, 20000);
    kap_header_t answer;
    asker_refer(&kunta, 1, 1);
    world_member(&scene.world, "te")->left_out = true;
    world_member(&scene.world, "reader")->roles = "\"ministry\"";
    rewrite();
    asker_tell(&kunta, "kunta/p1", 2, KAP_EV_REFERRAL_NOTED, "r-1");
    cr_expect_eq(asker_error(&te, &key), KAP_REFUSAL_NOT_ALLOWED_KEY);
    cr_expect_eq(asker_error(&reader, &role), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_assert_not_null(asker_answer(&kunta, &left, ASKER_PATIENCE_MS, &answer));
    cr_expect_eq(answer.verb, KAP_VERB_ANSWER);
}

Test(query, a_member_has_sixty_four_queries_and_no_sixty_fifth)
{
    kap_header_t headers[64], one, answer;
    for (int i = 0; i < 64; i++)
        headers[i] = ask_at(&op, 1, 20000);
    one = ask_at(&op, 1, 20000);
    cr_expect_eq(asker_error(&op, &one), KAP_REFUSAL_REQUEST_LIMIT);
    cr_expect_eq(refusal(&te, "health", NULL, NULL), 0, "others are served");
    asker_refer(&kunta, 1, 1);
    for (int i = 1; i < 64; i++)
        cr_assert_not_null(asker_answer(&op, &headers[i], ASKER_PATIENCE_MS, &answer));
}

static const kap_mp_t *of_member(const kap_mp_t *members, const char *member)
{
    for (uint32_t i = 0; members && i < members->count; i++) {
        if (kap_span_eq_str(kap_mp_get_str(kap_mp_item(members, i), "member"), member))
            return kap_mp_item(members, i);
    }
    return NULL;
}

Test(query, silent_members_are_told_with_whether_their_nodes_were_heard_of)
{
    kap_answer_t answer;
    cr_expect_eq(refusal(&te, "health", NULL, NULL), 0); /* is there, and publishes nothing */
    asker_refer(&kunta, 1, 1);
    asker_query(&kunta, "metrics", &answer, "metric", "silent-edges", "region", "mikkeli", NULL);
    const kap_mp_t *members = kap_mp_get(kap_mp_get(answer.root, "values"), "members");
    cr_assert_not_null(members);
    cr_expect_null(of_member(members, "kunta"));
    cr_expect(kap_span_eq_str(kap_mp_get_str(of_member(members, "te"), "node"), "seen"));
    cr_expect_gt(kap_mp_get_int(of_member(members, "te"), "heard_at", 0), 0);
    cr_expect(kap_span_eq_str(kap_mp_get_str(of_member(members, "finnvera"), "node"), "unknown"));
}

Test(query, a_broker_without_figures_says_so)
{
    asker_t again;
    broker_fini(&scene.broker);
    broker_init(&scene.broker, &scene.world, "metrics = false;");
    broker_start(&scene.broker);
    scene_connect(&scene, &again, "te");
    cr_expect_eq(refusal(&again, "edges", "region", "mikkeli"), KAP_REFUSAL_REQUEST_QUERY);
    cr_expect_eq(refusal(&again, "health", NULL, NULL), 0);
    asker_fini(&again);
}
