/* SPDX-License-Identifier: MPL-2.0 */
/* FETCH from the ring, from the store and from both, shared, replaced, and not read at all. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "asker.h"
#include "clock.h"
#include "err.h"

enum { EVENTS = 600, A_TIME = 100 };

static scene_t scene;
static asker_t kunta, te, reader;

static void setup(void)
{
    /* a ring that holds a small part of the events, and little patience with who does not read */
    scene_open(&scene, "ring = \"64KiB\"; budget = { unread = \"64KiB\"; };");
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &te, "te");
    scene_connect(&scene, &reader, "reader");
}

static void teardown(void)
{
    asker_fini(&kunta);
    asker_fini(&te);
    asker_fini(&reader);
    scene_close(&scene);
}

TestSuite(fetch, .init = setup, .fini = teardown, .timeout = 60);

static void refer_many(void)
{
    for (uint64_t first = 1; first <= EVENTS; first += A_TIME)
        asker_refer(&kunta, first, A_TIME);
}

static int64_t health(const char *key)
{
    kap_answer_t answer;
    asker_query(&reader, "health", &answer, NULL);
    cr_assert_eq(answer.refusal, 0);
    int64_t value = kap_mp_get_int(answer.root, key, -1);
    cr_assert_neq(value, -1, "%s", key);
    return value;
}

/* Reads a stream from its beginning in answers of at most `max` events; each comes once. */
static void read_all(asker_t *asker, const char *stream, uint32_t max, uint32_t max_bytes,
                     bool ends)
{
    static asker_events_t events;
    kap_cursor_at_t at = {.stream = kap_span_str(stream)};
    uint64_t log_seq = 0;
    while (at.seq < EVENTS) {
        kap_fetch_t fetch = {
            .after = &at, .after_count = 1, .max = max, .max_bytes = max_bytes, .wait_ms = 1000};
        kap_header_t header = asker_fetch_send(asker, &fetch);
        cr_assert(asker_fetched(asker, &header, ASKER_PATIENCE_MS, &events));
        cr_assert_eq(events.head.streams[0].status, KAP_FETCH_OK);
        cr_assert_gt(events.count, 0, "nothing after %u", (unsigned)at.seq);
        cr_assert_leq(events.count, max);
        for (size_t i = 0; i < events.count; i++) {
            const asker_event_t *event = &events.events[i];
            cr_assert_eq(event->meta.stream_seq, ++at.seq);
            cr_assert_gt(event->meta.log_seq, log_seq);
            log_seq = event->meta.log_seq;
            cr_assert_eq(event->meta.sequence, at.seq);
            cr_assert_gt(event->open.size, 0);
            cr_assert_eq(event->ends.size > 0, ends);
        }
        memcpy(at.epoch, events.head.epoch, sizeof at.epoch);
        kap_msg_destroy(&asker->inbox[--asker->inbox_count]);
    }
}

Test(fetch, reads_a_stream_from_its_beginning_through_store_and_ring_without_a_gap)
{
    refer_many();
    cr_assert_leq(health("ring_bytes"), 65536 + (1 << 20));
    read_all(&te, "member/te", 7, 0, true);
    read_all(&te, "member/te", 500, 20000, true);
    read_all(&reader, "region/mikkeli", 100, 0, false);
    read_all(&te, "member/te", 500, 1, true);
    cr_expect_gt(health("segments_cold"), 0);
    cr_expect_gt(health("segments_hot"), 0);
}

Test(fetch, stored_and_remembered_events_are_the_same_bytes)
{
    static asker_events_t hot, cold;
    asker_refer(&kunta, 1, 3);
    asker_fetch(&te, "member/te", NULL, 0, 0, &hot);
    for (uint64_t first = 4; first <= EVENTS; first += A_TIME)
        asker_refer(&kunta, first, A_TIME);
    kap_cursor_at_t at = {.stream = KAP_SPAN("member/te")};
    kap_fetch_t fetch = {.after = &at, .after_count = 1, .max = 3};
    kap_header_t header = asker_fetch_send(&te, &fetch);
    cr_assert(asker_fetched(&te, &header, ASKER_PATIENCE_MS, &cold));
    cr_assert_eq(hot.count, 3);
    cr_assert_eq(cold.count, 3);
    for (int i = 0; i < 3; i++) {
        cr_expect(kap_span_eq(hot.events[i].open, cold.events[i].open));
        cr_expect(kap_span_eq(hot.events[i].ends, cold.events[i].ends));
        cr_expect_eq(hot.events[i].meta.log_seq, cold.events[i].meta.log_seq);
        cr_expect_eq(hot.events[i].meta.committed_at, cold.events[i].meta.committed_at);
        cr_expect(kap_span_eq(hot.events[i].meta.source, cold.events[i].meta.source));
        cr_expect_arr_eq(hot.events[i].meta.leaf, cold.events[i].meta.leaf, 32);
        cr_expect_eq(hot.events[i].meta.answer_days, 10, "the region's, to an end of it");
        cr_expect_eq(hot.events[i].meta.contact_days, 10);
        cr_expect_eq(cold.events[i].meta.answer_days, 10);
        cr_expect_eq(cold.events[i].meta.contact_days, 10);
    }
    asker_fetch(&reader, "region/mikkeli", NULL, 0, 0, &cold);
    cr_assert_gt(cold.count, 0);
    cr_expect_eq(cold.events[0].meta.answer_days, 0, "not to a region's readers");
}

Test(fetch, answers_several_streams_at_once_by_their_index)
{
    static asker_events_t events;
    kap_cursor_at_t at[3] = {{.stream = KAP_SPAN("member/te")},
                             {.stream = KAP_SPAN("member/kunta")},
                             {.stream = KAP_SPAN("region/mikkeli")}};
    kap_fetch_t fetch = {.after = at, .after_count = 3, .wait_ms = 5000};
    asker_refer(&kunta, 1, 5);
    kap_header_t header = asker_fetch_send(&te, &fetch);
    cr_assert(asker_fetched(&te, &header, ASKER_PATIENCE_MS, &events));
    cr_expect_eq(events.count, 10);
    cr_expect_eq(events.head.streams[0].status, KAP_FETCH_OK);
    cr_expect_eq(events.head.streams[1].status, KAP_FETCH_NOT_ALLOWED);
    cr_expect_eq(events.head.streams[2].status, KAP_FETCH_OK);
    uint64_t seen[3] = {0};
    for (size_t i = 0; i < events.count; i++) {
        const asker_event_t *event = &events.events[i];
        cr_assert_lt(event->meta.stream, 3);
        cr_expect_eq(event->meta.stream_seq, ++seen[event->meta.stream]);
        cr_expect_eq(event->ends.size > 0, event->meta.stream == 0);
    }
    cr_expect_eq(seen[0], 5);
    cr_expect_eq(seen[1], 0);
    cr_expect_eq(seen[2], 5);
}

Test(fetch, a_connection_has_sixteen_requests_and_no_seventeenth)
{
    static asker_events_t events;
    char ids[17][32];
    kap_header_t headers[17];
    for (int i = 0; i < 17; i++) {
        snprintf(ids[i], sizeof ids[i], "region/archive-%d", i);
        kap_cursor_at_t at = {.stream = kap_span_str(ids[i])};
        kap_fetch_t fetch = {.after = &at, .after_count = 1, .wait_ms = 2000};
        headers[i] = asker_fetch_send(&te, &fetch);
    }
    /* te may read none of these: each is answered at once and holds no place */
    for (int i = 0; i < 17; i++) {
        cr_assert(asker_fetched(&te, &headers[i], ASKER_PATIENCE_MS, &events));
        cr_expect_eq(events.head.streams[0].status, KAP_FETCH_NOT_ALLOWED);
    }
    asker_t op;
    scene_connect(&scene, &op, "op");
    for (int i = 0; i < 17; i++) {
        kap_cursor_at_t at = {.stream = kap_span_str(ids[i])};
        kap_fetch_t fetch = {.after = &at, .after_count = 1, .wait_ms = 300};
        headers[i] = asker_fetch_send(&op, &fetch);
    }
    cr_assert(asker_fetched(&op, &headers[16], ASKER_PATIENCE_MS, &events));
    cr_expect_eq(events.refusal, KAP_REFUSAL_REQUEST_LIMIT);
    for (int i = 0; i < 16; i++) {
        cr_assert(asker_fetched(&op, &headers[i], ASKER_PATIENCE_MS, &events));
        cr_expect_eq(events.refusal, 0);
    }
    asker_fini(&op);
}

Test(fetch, readers_at_the_same_place_share_one_answer)
{
    static asker_events_t events;
    asker_t readers[6];
    kap_header_t headers[6];
    kap_cursor_at_t at = {.stream = KAP_SPAN("region/mikkeli")};
    kap_fetch_t fetch = {.after = &at, .after_count = 1, .wait_ms = 20000};
    for (int i = 0; i < 6; i++) {
        scene_connect(&scene, &readers[i], "reader");
        headers[i] = asker_fetch_send(&readers[i], &fetch);
        cr_assert_not(asker_fetched(&readers[i], &headers[i], 50, &events));
    }
    cr_expect_eq(health("fetches_waiting"), 6);
    asker_refer(&kunta, 1, 2);
    for (int i = 0; i < 6; i++) {
        cr_assert(asker_fetched(&readers[i], &headers[i], ASKER_PATIENCE_MS, &events));
        cr_expect_eq(events.count, 2);
    }
    cr_expect_eq(health("segments_hot"), 1);
    cr_expect_eq(health("segments_shared"), 5);
    for (int i = 0; i < 6; i++)
        asker_fini(&readers[i]);
}

/* A socket that will take nothing out of what it is sent. */
static void *stopped_reader(void *context)
{
    const kap_curve_t *keys = world_member(&scene.world, "te")->keys;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int zero = 0, one = 1, small = 4096;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &one, sizeof one);
    zmq_setsockopt(socket, ZMQ_RCVBUF, &small, sizeof small);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, scene.broker.keys->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret, 32);
    cr_assert_eq(zmq_connect(socket, scene.broker.endpoint), 0);
    return socket;
}

static void ask_for_everything(void *socket)
{
    kap_cursor_at_t at = {.stream = KAP_SPAN("member/te")};
    kap_fetch_t fetch = {.after = &at, .after_count = 1};
    kap_buf_t map = {0}, bin = {0}, frame = {0};
    kap_header_t header = asker_header(&te, KAP_VERB_FETCH);
    kap_fetch_encode(&map, &fetch);
    kap_bin_put(&bin, kap_buf_span(&map));
    kap_header_encode(&frame, &header);
    zmq_send(socket, frame.data, frame.size, ZMQ_SNDMORE);
    zmq_send(socket, bin.data, bin.size, 0);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
    kap_buf_fini(&frame);
}

Test(fetch, who_does_not_read_waits_its_turn_and_delays_nobody)
{
    static asker_events_t events;
    refer_many();
    void *context = zmq_ctx_new();
    void *socket = stopped_reader(context);
    int64_t give_up = kap_monotonic_ms() + ASKER_PATIENCE_MS;
    while (health("fetches_blocked") == 0) {
        ask_for_everything(socket);
        usleep(1000); /* else the next request replaces this one before its answer */
        cr_assert_lt(kap_monotonic_ms(), give_up, "nothing is held back");
    }
    cr_expect_leq(health("unread_bytes"), 65536 + (512 << 10), "more is sent to who does not read");
    for (int i = 0; i < 20; i++) {
        int64_t before = kap_monotonic_ms();
        asker_fetch(&reader, "region/mikkeli", NULL, 0, 0, &events);
        cr_expect_gt(events.count, 0);
        cr_expect_lt(kap_monotonic_ms() - before, 1000);
        kap_msg_destroy(&reader.inbox[--reader.inbox_count]);
    }
    asker_refer(&kunta, EVENTS + 1, 1);
    zmq_close(socket);
    zmq_ctx_term(context);
    while (health("unread_bytes") > 0)
        cr_assert_lt(kap_monotonic_ms(), give_up + ASKER_PATIENCE_MS, "memory is not given back");
}
