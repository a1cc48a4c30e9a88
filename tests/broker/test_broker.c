/* SPDX-License-Identifier: MPL-2.0 */
/* The broker's process over TCP with CURVE: what it takes, what it tells, and whom it refuses. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "asker.h"
#include "broker.h"
#include "clock.h"
#include "err.h"
#include "zap.h"

#define QUIET_MS   300  /* long enough on loopback for an answer that must not come */
#define AT_ONCE_MS 5000 /* far less than the wait that it must not take */

static scene_t scene;
static asker_t kunta, te, other;

static void setup(void)
{
    scene_open(&scene, "");
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &te, "te");
    scene_connect(&scene, &other, "other");
}

static void teardown(void)
{
    asker_fini(&kunta);
    asker_fini(&te);
    asker_fini(&other);
    scene_close(&scene);
}

TestSuite(broker, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(broker_alone, .timeout = 60);

static void refer(uint64_t first, uint32_t count)
{
    asker_refer(&kunta, first, count);
}

Test(broker, takes_events_and_shows_them_to_both_ends_with_all_parts)
{
    asker_events_t events;
    refer(1, 3);
    asker_fetch(&te, "member/te", NULL, 0, 0, &events);
    cr_assert_eq(events.count, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(events.events[i].meta.stream_seq, i + 1);
        cr_expect_gt(events.events[i].open.size, 0);
        cr_expect_gt(events.events[i].ends.size, 0);
        cr_expect(kap_span_eq_str(events.events[i].meta.source, "kunta/p1"));
    }
    cr_expect_eq(events.head.streams[0].head, 3);
    asker_fetch(&kunta, "member/kunta", events.head.epoch, 2, 0, &events);
    cr_expect_eq(events.count, 1);
}

Test(broker, wakes_a_waiting_fetch_with_what_was_just_committed)
{
    kap_cursor_at_t at = {.stream = KAP_SPAN("member/te")};
    kap_fetch_t fetch = {.after = &at, .after_count = 1, .wait_ms = 20000};
    asker_events_t events;
    kap_header_t header = asker_fetch_send(&te, &fetch);
    cr_assert_not(asker_fetched(&te, &header, QUIET_MS, &events), "answered with nothing new");
    refer(1, 1);
    cr_assert(asker_fetched(&te, &header, ASKER_PATIENCE_MS, &events));
    cr_assert_eq(events.count, 1);
}

Test(broker, ends_a_wait_without_events_when_its_time_is_over)
{
    asker_events_t events;
    int64_t before = kap_monotonic_ms();
    asker_fetch(&te, "member/te", NULL, 0, 200, &events);
    cr_expect_geq(kap_monotonic_ms() - before, 195);
    cr_expect_eq(events.count, 0);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_OK);
    cr_expect_eq(events.head.streams[0].head, 0);
}

Test(broker, a_region_reader_never_gets_the_ends_part)
{
    asker_events_t events;
    asker_t reader;
    scene_connect(&scene, &reader, "reader");
    refer(1, 2);
    asker_fetch(&reader, "region/mikkeli", NULL, 0, 0, &events);
    cr_assert_eq(events.count, 2);
    for (size_t i = 0; i < events.count; i++) {
        cr_expect_gt(events.events[i].open.size, 0);
        cr_expect_eq(events.events[i].ends.size, 0);
        cr_expect_eq(events.events[i].sealed.size, 0);
    }
    asker_fini(&reader);
}

Test(broker, a_foreign_stream_is_not_allowed)
{
    static const char *const foreign[] = {"member/kunta", "member/te2", "region/shut",
                                          "region/nowhere", "member/t"};
    asker_events_t events;
    refer(1, 1);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        asker_fetch(&te, foreign[i], NULL, 0, 500, &events);
        cr_expect_eq(events.count, 0);
        cr_expect_eq(events.head.streams[0].status, KAP_FETCH_NOT_ALLOWED, "%s", foreign[i]);
    }
}

Test(broker, a_forged_source_is_foreign_and_uses_nothing_up)
{
    kap_buf_t bins = {0};
    kap_receipt_t receipt;
    event_bins(&bins, "kunta/p1", 1, KAP_EV_REFERRAL_CREATED, "r-1", "kunta", "te", "mikkeli");
    asker_publish(&other, "kunta/p1", 1, 1, kap_buf_span(&bins), &receipt);
    cr_expect_eq(receipt.status, KAP_RECEIPT_FOREIGN);
    cr_expect_eq(receipt.verdict_count, 0);
    kap_buf_fini(&bins);
    refer(1, 1);
}

Test(broker, an_event_that_is_not_what_the_header_says_is_malformed_but_counted)
{
    kap_buf_t bins = {0};
    kap_receipt_t receipt;
    event_bins(&bins, "kunta/p2", 1, KAP_EV_REFERRAL_CREATED, "r-1", "kunta", "te", "mikkeli");
    asker_publish(&kunta, "kunta/p1", 1, 1, kap_buf_span(&bins), &receipt);
    cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    cr_expect_eq(receipt.verdicts[0].verdict, KAP_VERDICT_REFUSED);
    cr_expect_eq(receipt.verdicts[0].refusal, KAP_REFUSAL_MALFORMED_HEADER);
    cr_expect_gt(receipt.verdicts[0].sentence.size, 0);
    kap_buf_reset(&bins);
    kap_bin_put(&bins, KAP_SPAN("\xc1"));
    kap_bin_put(&bins, KAP_SPAN(""));
    kap_bin_put(&bins, KAP_SPAN(""));
    asker_publish(&kunta, "kunta/p1", 2, 1, kap_buf_span(&bins), &receipt);
    cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    cr_expect_eq(receipt.verdicts[0].refusal, KAP_REFUSAL_MALFORMED_ENCODING);
    kap_buf_fini(&bins);
    refer(3, 1);
}

static uint16_t send_changed(void (*change)(kap_header_t *), const kap_span_t *frames, size_t n)
{
    kap_header_t header = asker_header(&te, KAP_VERB_FETCH);
    change(&header);
    asker_send(&te, &header, frames, n);
    return asker_error(&te, &header);
}

static void other_version(kap_header_t *header)
{
    header->version = KAP_LIMIT_VERSION + 1;
}

static void other_mesh(kap_header_t *header)
{
    header->mesh[31] ^= 1;
}

static void answer_verb(kap_header_t *header)
{
    header->verb = KAP_VERB_EVENTS;
}

static void local_verb(kap_header_t *header)
{
    header->verb = KAP_VERB_ACT;
}

static void nothing(kap_header_t *header)
{
    (void)header;
}

static void no_events(kap_header_t *header)
{
    header->verb = KAP_VERB_PUBLISH;
    header->source = KAP_SPAN("te/p1");
    header->first = 1;
    header->count = 2;
}

Test(broker, answers_what_is_wrong_with_a_request)
{
    kap_buf_t bins = {0};
    kap_bin_put(&bins, KAP_SPAN("\x81\xa5"
                                "after\x90"));
    kap_span_t body = kap_buf_span(&bins), junk = KAP_SPAN("no bin object");
    cr_expect_eq(send_changed(other_version, &body, 1), KAP_REFUSAL_REQUEST_VERSION);
    cr_expect_eq(send_changed(other_mesh, &body, 1), KAP_REFUSAL_REQUEST_MESH);
    cr_expect_eq(send_changed(answer_verb, &body, 1), KAP_REFUSAL_REQUEST_VERB);
    cr_expect_eq(send_changed(local_verb, &body, 1), KAP_REFUSAL_REQUEST_VERB);
    cr_expect_eq(send_changed(nothing, NULL, 0), KAP_REFUSAL_REQUEST_FRAMES);
    cr_expect_eq(send_changed(nothing, &junk, 1), KAP_REFUSAL_REQUEST_FRAMES);
    cr_expect_eq(send_changed(nothing, &body, 1), KAP_REFUSAL_REQUEST_BODY);
    cr_expect_eq(send_changed(no_events, &body, 1), KAP_REFUSAL_REQUEST_FRAMES);
    cr_expect_eq(send_changed(no_events, NULL, 0), KAP_REFUSAL_REQUEST_FRAMES);
    kap_buf_fini(&bins);
    asker_events_t events;
    asker_fetch(&te, "member/te", NULL, 0, 0, &events);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_OK, "the connection lives on");
}

Test(broker, survives_junk_and_frames_that_are_too_large)
{
    static uint8_t large[(1 << 20) + 1];
    kap_span_t junk[] = {KAP_SPAN(""), KAP_SPAN("\xff\xff"), kap_span(large, sizeof large)};
    asker_events_t events;
    asker_t hostile;
    scene_connect(&scene, &hostile, "other");
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(kap_sock_send(hostile.sock, 0, &junk[i], 1), KAP_OK);
    cr_assert_eq(kap_sock_send(hostile.sock, 0, &junk[2], 1), KAP_OK);
    cr_assert_eq(hostile.inbox_count, 0);
    asker_fetch(&te, "member/te", NULL, 0, 0, &events);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_OK);
    asker_fini(&hostile);
}

Test(broker, a_cursor_above_the_head_is_an_error_and_never_a_wait)
{
    asker_events_t events;
    refer(1, 2);
    asker_fetch(&te, "member/te", NULL, 0, 0, &events);
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    memcpy(epoch, events.head.epoch, sizeof epoch);
    asker_fetch(&te, "member/te", epoch, 3, 20000, &events);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_AHEAD);
    cr_expect_eq(events.head.streams[0].head, 2);
    asker_fetch(&te, "member/te", epoch, INT64_MAX, 20000, &events);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_AHEAD);
    asker_fetch(&te, "member/te", epoch, 2, 0, &events);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_OK);
}

Test(broker, an_old_epoch_is_told_that_the_store_was_restored)
{
    asker_events_t events;
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES] = {7};
    asker_fetch(&te, "member/te", epoch, 1, 20000, &events);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_EPOCH_CHANGED);
    cr_expect_eq(events.head.streams[0].kept_to, 0);
}

Test(broker, a_newer_request_for_a_stream_replaces_the_older_one)
{
    kap_cursor_at_t at[2] = {{.stream = KAP_SPAN("member/te")},
                             {.stream = KAP_SPAN("region/mikkeli")}};
    kap_fetch_t both = {.after = at, .after_count = 2, .wait_ms = 20000};
    kap_fetch_t one = {.after = &at[1], .after_count = 1, .wait_ms = 20000};
    asker_events_t events;
    kap_header_t older = asker_fetch_send(&te, &both);
    kap_header_t newer = asker_fetch_send(&te, &one);
    cr_assert(asker_fetched(&te, &older, ASKER_PATIENCE_MS, &events));
    cr_expect_eq(events.count, 0);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_REPLACED);
    refer(1, 1);
    cr_assert(asker_fetched(&te, &newer, ASKER_PATIENCE_MS, &events));
    cr_expect_eq(events.count, 1);
}

/* The directory without some members. */
static void rewrite_without(const char *a)
{
    kap_buf_t json = {0};
    world_member(&scene.world, a)->left_out = true;
    world_json(&scene.world, &json);
    broker_directory(&scene.broker, kap_buf_cstr(&json), "directory_swapped");
    kap_buf_fini(&json);
}

Test(broker, a_removed_key_stops_at_its_next_message_and_in_its_waiting_fetch)
{
    kap_cursor_at_t at = {.stream = KAP_SPAN("member/te")};
    kap_fetch_t fetch = {.after = &at, .after_count = 1, .wait_ms = KAP_LIMIT_FETCH_WAIT_MS};
    asker_events_t events;
    kap_header_t header = asker_fetch_send(&te, &fetch);
    cr_assert_not(asker_fetched(&te, &header, QUIET_MS, &events));
    rewrite_without("te");
    cr_assert(asker_fetched(&te, &header, AT_ONCE_MS, &events), "it waits on");
    cr_expect_eq(events.refusal, KAP_REFUSAL_NOT_ALLOWED_KEY);
    header = asker_fetch_send(&te, &fetch);
    cr_assert(asker_fetched(&te, &header, ASKER_PATIENCE_MS, &events));
    cr_expect_eq(events.refusal, KAP_REFUSAL_NOT_ALLOWED_KEY);
    asker_t again;
    asker_init(&again, &scene.world, &scene.broker, world_member(&scene.world, "te")->keys);
    cr_expect_not(asker_up(&again), "a removed key connects");
    asker_fini(&again);
}

Test(broker, a_bad_directory_file_changes_nothing)
{
    asker_events_t events;
    broker_directory(&scene.broker, "{\"mesh\": 7}", "directory_bad");
    broker_directory(&scene.broker, "", "directory_bad");
    world_t foreign;
    world_init(&foreign);
    kap_buf_t json = {0};
    world_json(&foreign, &json);
    broker_directory(&scene.broker, kap_buf_cstr(&json), "directory_bad");
    kap_buf_fini(&json);
    world_fini(&foreign);
    refer(1, 1);
    asker_fetch(&te, "member/te", NULL, 0, 0, &events);
    cr_expect_eq(events.count, 1);
    cr_expect_eq(broker_said(&scene.broker, "directory_swapped"), 0);
}

Test(broker, reads_the_directory_again_when_told_to)
{
    broker_directory(&scene.broker, "[]", "directory_bad");
    int times = broker_said(&scene.broker, "directory_bad");
    kill(scene.broker.pid, SIGHUP);
    broker_says(&scene.broker, "directory_bad", times + 1);
}

Test(broker, strangers_do_not_connect)
{
    kap_curve_t *keys = kap_curve_new();
    asker_t stranger;
    asker_init(&stranger, &scene.world, &scene.broker, keys);
    cr_expect_not(asker_up(&stranger));
    asker_fini(&stranger);
    kap_curve_destroy(&keys);
}

Test(broker, restarts_with_the_same_epoch_and_knows_what_it_had)
{
    asker_events_t events;
    refer(1, 5);
    asker_fetch(&te, "member/te", NULL, 0, 0, &events);
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    memcpy(epoch, events.head.epoch, sizeof epoch);
    asker_fini(&kunta);
    asker_fini(&te);
    cr_expect_eq(broker_stop(&scene.broker), 0);
    broker_start(&scene.broker);
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &te, "te");
    asker_fetch(&te, "member/te", epoch, 0, 0, &events);
    cr_assert_eq(events.count, 5);
    cr_expect_arr_eq(events.head.epoch, epoch, sizeof epoch);
    cr_expect_gt(events.events[4].ends.size, 0);
    refer(6, 1);
    asker_fetch(&te, "member/te", epoch, 3, 0, &events);
    cr_assert_eq(events.count, 3);
    cr_expect_eq(events.events[2].meta.stream_seq, 6);
    broker_kill(&scene.broker);
    asker_fini(&kunta);
    asker_fini(&te);
    broker_start(&scene.broker);
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &te, "te");
    asker_fetch(&te, "region/mikkeli", epoch, 0, 0, &events);
    cr_expect_eq(events.count, 6);
    refer(7, 1);
}

Test(broker, the_same_again_gets_the_same_receipt)
{
    kap_buf_t bins = {0};
    kap_receipt_t first, again;
    event_bins(&bins, "kunta/p1", 1, KAP_EV_REFERRAL_CREATED, "r-1", "kunta", "te", "mikkeli");
    asker_publish(&kunta, "kunta/p1", 1, 1, kap_buf_span(&bins), &first);
    asker_publish(&kunta, "kunta/p1", 1, 1, kap_buf_span(&bins), &again);
    cr_assert_eq(again.status, KAP_RECEIPT_OK);
    cr_expect_eq(again.verdicts[0].log_seq, first.verdicts[0].log_seq);
    cr_expect_arr_eq(again.verdicts[0].leaf, first.verdicts[0].leaf, 32);
    kap_buf_reset(&bins);
    event_bins(&bins, "kunta/p1", 3, KAP_EV_REFERRAL_CREATED, "r-3", "kunta", "te", "mikkeli");
    asker_publish(&kunta, "kunta/p1", 3, 1, kap_buf_span(&bins), &again);
    cr_expect_eq(again.status, KAP_RECEIPT_GAP);
    cr_expect_eq(again.expected, 2);
    kap_buf_fini(&bins);
}

/* kunta says `delivered` of its own referral, which only te may, as its second event. */
static void refused_twice(kap_span_t bins, kap_verdict_t *verdict, char sentence[200])
{
    kap_receipt_t receipt;
    asker_publish(&kunta, "kunta/p1", 2, 1, bins, &receipt);
    cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    *verdict = receipt.verdicts[0];
    snprintf(sentence, 200, "%.*s", KAP_SPAN_ARGS(verdict->sentence));
}

Test(broker, a_refusal_is_said_in_the_same_words_after_a_restart)
{
    kap_buf_t bins = {0};
    kap_verdict_t first, again;
    char words[200], words_again[200];
    refer(1, 1);
    event_bins(&bins, "kunta/p1", 2, KAP_EV_REFERRAL_DELIVERED, "r-1", NULL, NULL, NULL);
    refused_twice(kap_buf_span(&bins), &first, words);
    cr_expect_eq(first.refusal, KAP_REFUSAL_NOT_ALLOWED_RECIPIENT);
    cr_expect_not_null(strstr(words, "(state: created)"), "%s", words);
    asker_tell(&te, "te/p1", 1, KAP_EV_REFERRAL_DELIVERED, "r-1");
    asker_fini(&kunta);
    cr_expect_eq(broker_stop(&scene.broker), 0);
    broker_start(&scene.broker);
    scene_connect(&scene, &kunta, "kunta");
    refused_twice(kap_buf_span(&bins), &again, words_again);
    cr_expect_eq(again.refusal, first.refusal);
    cr_expect_eq(again.log_seq, first.log_seq);
    cr_expect_arr_eq(again.leaf, first.leaf, sizeof first.leaf);
    cr_expect_str_eq(words_again, words, "the state of that moment, not of today");
    kap_buf_fini(&bins);
}

Test(broker_alone, says_busy_under_a_tiny_budget_and_goes_on)
{
    scene_open(&scene, "budget = { unjudged = \"1024B\"; };");
    scene_connect(&scene, &kunta, "kunta");
    kap_buf_t bins = {0};
    kap_header_t headers[40], answer;
    uint64_t next = 1;
    int busy = 0;
    for (int i = 0; i < 40; i++) {
        char referral[32];
        snprintf(referral, sizeof referral, "r-%d", i);
        kap_buf_reset(&bins);
        event_bins(&bins, "kunta/p1", (uint64_t)i + 1, KAP_EV_REFERRAL_CREATED, referral, "kunta",
                   "te", "mikkeli");
        headers[i] = asker_header(&kunta, KAP_VERB_PUBLISH);
        headers[i].source = KAP_SPAN("kunta/p1");
        headers[i].first = (uint64_t)i + 1;
        headers[i].count = 1;
        kap_span_t frame = kap_buf_span(&bins);
        asker_send(&kunta, &headers[i], &frame, 1);
    }
    for (int i = 0; i < 40; i++) {
        kap_receipt_t receipt;
        const kap_msg_t *msg = asker_answer(&kunta, &headers[i], ASKER_PATIENCE_MS, &answer);
        cr_assert_not_null(msg);
        kap_span_t rest = kap_msg_frame(msg, 1), bin;
        cr_assert_eq(kap_bins_next(&rest, &bin), 1);
        cr_assert_eq(kap_receipt_decode(bin, kunta.arena, &receipt, NULL), KAP_OK);
        busy += receipt.status == KAP_RECEIPT_BUSY;
        if (receipt.status == KAP_RECEIPT_OK)
            next = answer.first + 1;
    }
    cr_expect_gt(busy, 0);
    char referral[32];
    snprintf(referral, sizeof referral, "r-%u", (unsigned)next - 1);
    kap_receipt_t receipt;
    kap_buf_reset(&bins);
    event_bins(&bins, "kunta/p1", next, KAP_EV_REFERRAL_CREATED, referral, "kunta", "te",
               "mikkeli");
    asker_publish(&kunta, "kunta/p1", next, 1, kap_buf_span(&bins), &receipt);
    cr_expect_eq(receipt.status, KAP_RECEIPT_OK);
    kap_buf_fini(&bins);
    asker_fini(&kunta);
    scene_close(&scene);
}

/* Publishes events `first`.. of kunta one by one without waiting, and takes the first `wanted` of
 * their receipts. */
static void publish_blindly(uint64_t first, uint32_t count, uint32_t wanted)
{
    kap_buf_t bins = {0};
    kap_header_t headers[64], answer;
    for (uint32_t i = 0; i < count; i++) {
        char referral[32];
        snprintf(referral, sizeof referral, "r-%u", (unsigned)(first + i));
        kap_buf_reset(&bins);
        event_bins(&bins, "kunta/p1", first + i, KAP_EV_REFERRAL_CREATED, referral, "kunta", "te",
                   "mikkeli");
        headers[i] = asker_header(&kunta, KAP_VERB_PUBLISH);
        headers[i].source = KAP_SPAN("kunta/p1");
        headers[i].first = first + i;
        headers[i].count = 1;
        kap_span_t frame = kap_buf_span(&bins);
        asker_send(&kunta, &headers[i], &frame, 1);
    }
    for (uint32_t i = 0; i < wanted; i++) {
        kap_receipt_t receipt;
        const kap_msg_t *msg = asker_answer(&kunta, &headers[i], ASKER_PATIENCE_MS, &answer);
        cr_assert_not_null(msg, "no receipt");
        kap_span_t rest = kap_msg_frame(msg, 1), bin;
        cr_assert_eq(kap_bins_next(&rest, &bin), 1);
        cr_assert_eq(kap_receipt_decode(bin, kunta.arena, &receipt, NULL), KAP_OK);
        cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    }
    kap_buf_fini(&bins);
}

Test(broker_alone, what_had_a_receipt_survives_kill_and_the_log_recounts_to_the_same_figures)
{
    enum { ROUNDS = 6, A_ROUND = 50 };
    asker_t op;
    kap_answer_t answer;
    uint64_t first = 1;
    scene_open(&scene, "");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        scene_connect(&scene, &kunta, "kunta");
        /* some receipts, none in the first round; then the broker dies amid the others */
        publish_blindly(first, A_ROUND, round * 3);
        broker_kill(&scene.broker);
        asker_fini(&kunta);
        broker_start(&scene.broker);
        scene_connect(&scene, &op, "op");
        asker_query(&op, "mark", &answer, "source", "kunta/p1", NULL);
        uint64_t mark = (uint64_t)kap_mp_get_int(answer.root, "last", -1);
        cr_expect_geq(mark + 1, first + round * 3, "a receipt for what is not there");
        first = mark + 1; /* new events: these would differ from what was committed */
        asker_query(&op, "audit", &answer, NULL);
        cr_expect_eq(kap_mp_get_int(answer.root, "differences", -1), 0, "%.*s",
                     KAP_SPAN_ARGS(kap_mp_get_str(answer.root, "what")));
        cr_expect_eq(kap_mp_get_int(answer.root, "events", -1), (int64_t)mark);
        asker_fini(&op);
    }
    scene_close(&scene);
}

Test(broker_alone, a_rehearsals_clock_lets_deadlines_pass_and_health_says_when_they_are_judged)
{
    static asker_events_t events;
    char path[128];
    kap_clock_t *clock = NULL;
    kap_answer_t answer;
    asker_t op;
    int64_t now = kap_clock_now_ms(kap_clock_system());
    scene_open(&scene, NULL);
    broker_fini(&scene.broker);
    scene.world.rehearsal = true;
    broker_init(&scene.broker, &scene.world, "clock = \"clock\";");
    snprintf(path, sizeof path, "%s/clock", scene.broker.dir);
    cr_assert_eq(kap_clock_file_create(path, now, &clock), KAP_OK);
    broker_start(&scene.broker);
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &op, "op");
    asker_refer(&kunta, 1, 2);
    now += 31 * KAP_DAY_MS;
    kap_clock_file_set(clock, now);
    int64_t give_up = kap_monotonic_ms() + ASKER_PATIENCE_MS;
    do {
        asker_query(&op, "health", &answer, NULL);
        cr_assert_lt(kap_monotonic_ms(), give_up, "deadlines are not looked at");
    } while (kap_mp_get_int(answer.root, "deadlines_at", 0) < now);
    asker_fetch(&kunta, "member/kunta", NULL, 0, 0, &events);
    cr_assert_eq(events.count, 4, "both have expired, undelivered for 30 days");
    cr_expect_eq(events.events[3].meta.committed_at, now);
    cr_expect(kap_span_starts(events.events[3].meta.source, KAP_SPAN("broker/")));
    asker_fetch(&op, "region/mikkeli", NULL, 0, 0, &events);
    cr_expect_eq(events.count, 4, "the operator of a rehearsal may follow");
    asker_fini(&kunta);
    asker_fini(&op);
    kap_clock_destroy(&clock);
    scene_close(&scene);
}

static void expect_no_start(const char *conf, bool rehearsal, const char *word)
{
    world_init(&scene.world);
    scene.world.rehearsal = rehearsal;
    broker_init(&scene.broker, &scene.world, conf);
    cr_expect_eq(broker_fails(&scene.broker), 2, "%s", conf);
    cr_expect_gt(broker_said(&scene.broker, word), 0, "%s: no word of %s", conf, word);
    broker_fini(&scene.broker);
    world_fini(&scene.world);
}

Test(broker_alone, refuses_configurations_that_would_mislead)
{
    expect_no_start("clock = \"clock\";", true, "clock");
    expect_no_start("", true, "rehearsal");
    expect_no_start("authority = "
                    "\"0000000000000000000000000000000000000000000000000000000000000000\";",
                    false, "authority");
    expect_no_start("plain = true;", false, "bench");
    expect_no_start("colour = \"blue\";", false, "colour");
    expect_no_start("ring = \"1B\";", false, "ring");
}

static int run_with(const char *words)
{
    char command[512];
    snprintf(command, sizeof command, KAP_TEST_BIN_DIR "/kapula-broker %s 2>>%s", words,
             scene.broker.log);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(broker_alone, budgets_are_the_limits_of_the_specification_unless_configured)
{
    static const kap_conf_key_t *const tables[] = {kap_broker_keys, NULL};
    kap_conf_t *conf = NULL;
    kap_buf_t messages = {0};
    kap_span_t text =
        KAP_SPAN("endpoint = \"tcp://127.0.0.1:*\"; store = \"s\"; directory = \"d\";");
    cr_assert_eq(kap_conf_parse("broker.conf", text, tables, &conf, &messages), KAP_OK, "%s",
                 kap_buf_cstr(&messages));
    cr_expect_eq(kap_conf_int(conf, "budget.unread"), KAP_LIMIT_MEMBER_UNREAD_BYTES);
    cr_expect_eq(kap_conf_int(conf, "budget.unread_all"), KAP_LIMIT_ALL_UNREAD_BYTES);
    kap_conf_close(&conf);
    kap_buf_fini(&messages);
}

Test(broker_alone, checks_and_prints_a_configuration_that_parses_again)
{
    char words[256];
    world_init(&scene.world);
    broker_init(&scene.broker, &scene.world, "drain = \"7s\";");
    snprintf(words, sizeof words, "-c %s --check >/dev/null", scene.broker.conf);
    cr_expect_eq(run_with(words), 0);
    snprintf(words, sizeof words, "-c %s --print-config >%s/printed.conf", scene.broker.conf,
             scene.broker.dir);
    cr_expect_eq(run_with(words), 0);
    snprintf(words, sizeof words, "-c %s/printed.conf --check >/dev/null", scene.broker.dir);
    cr_expect_eq(run_with(words), 0);
    snprintf(words, sizeof words, "-c %s/printed.conf --print-config | cmp - %s/printed.conf",
             scene.broker.dir, scene.broker.dir);
    cr_expect_eq(run_with(words), 0);
    cr_expect_eq(run_with("--check"), 2, "no configuration");
    cr_expect_eq(run_with("-c /nonexistent --check"), 2);
    cr_expect_eq(run_with("--version >/dev/null"), 0);
    broker_fini(&scene.broker);
    world_fini(&scene.world);
}
