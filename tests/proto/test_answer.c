/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "err.h"
#include "tables.h"

static kap_arena_t *arena;
static kap_buf_t buf;
static const char *why;

static void setup(void)
{
    arena = kap_arena_new(16384);
    kap_buf_init(&buf);
}

static void teardown(void)
{
    kap_buf_fini(&buf);
    kap_arena_destroy(&arena);
}

TestSuite(answer, .init = setup, .fini = teardown);

Test(answer, a_fetch_is_read_back)
{
    kap_cursor_at_t after[2] = {{.stream = KAP_SPAN("region/mikkeli"), .seq = 12},
                                {.stream = KAP_SPAN("member/finnvera"), .seq = INT64_MAX}};
    memset(after[1].epoch, 0xee, sizeof after[1].epoch);
    kap_fetch_t fetch = {
        .after = after, .after_count = 2, .max = 10, .max_bytes = 1000, .wait_ms = 30000};
    kap_fetch_t back;
    kap_fetch_encode(&buf, &fetch);
    cr_assert_eq(kap_fetch_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.after_count, 2);
    cr_expect(kap_span_eq_str(back.after[0].stream, "region/mikkeli"));
    cr_expect_eq(back.after[1].seq, INT64_MAX);
    cr_expect_arr_eq(back.after[1].epoch, after[1].epoch, sizeof after[1].epoch);
    cr_expect_eq(back.max, 10);
    cr_expect_eq(back.max_bytes, 1000);
    cr_expect_eq(back.wait_ms, 30000);
}

/* A fetch of n streams with ids s0, s1 ... */
static int fetch_of(uint32_t n, uint32_t max, uint32_t max_bytes, uint32_t wait_ms)
{
    static kap_cursor_at_t after[KAP_LIMIT_FETCH_STREAMS + 1];
    static char names[KAP_LIMIT_FETCH_STREAMS + 1][12];
    for (uint32_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "s%u", i);
        after[i].stream = kap_span_str(names[i]);
    }
    kap_fetch_t fetch = {after, n, max, max_bytes, wait_ms}, back;
    kap_buf_reset(&buf);
    kap_fetch_encode(&buf, &fetch);
    return kap_fetch_decode(kap_buf_span(&buf), arena, &back, &why);
}

Test(answer, a_fetch_is_bounded)
{
    cr_expect_eq(fetch_of(0, 1, 1, 0), KAP_E_INVALID);
    cr_expect_eq(fetch_of(1, 1, 1, 0), KAP_OK);
    cr_expect_eq(fetch_of(KAP_LIMIT_FETCH_STREAMS, 1, 1, 0), KAP_OK);
    cr_expect_eq(fetch_of(KAP_LIMIT_FETCH_STREAMS + 1, 1, 1, 0), KAP_E_INVALID);
    cr_expect_eq(fetch_of(1, KAP_LIMIT_FETCH_EVENTS, 1, 0), KAP_OK);
    cr_expect_eq(fetch_of(1, KAP_LIMIT_FETCH_EVENTS + 1, 1, 0), KAP_E_INVALID);
    cr_expect_eq(fetch_of(1, 1, KAP_LIMIT_FETCH_BYTES, 0), KAP_OK);
    cr_expect_eq(fetch_of(1, 1, KAP_LIMIT_FETCH_BYTES + 1, 0), KAP_E_INVALID);
    cr_expect_eq(fetch_of(1, 1, 1, KAP_LIMIT_FETCH_WAIT_MS), KAP_OK);
    cr_expect_eq(fetch_of(1, 1, 1, KAP_LIMIT_FETCH_WAIT_MS + 1), KAP_E_INVALID);
}

Test(answer, a_fetch_names_a_stream_once)
{
    kap_cursor_at_t after[2] = {{.stream = KAP_SPAN("x")}, {.stream = KAP_SPAN("x")}};
    kap_fetch_t fetch = {.after = after, .after_count = 2}, back;
    kap_fetch_encode(&buf, &fetch);
    cr_expect_eq(kap_fetch_decode(kap_buf_span(&buf), arena, &back, &why), KAP_E_INVALID);
    cr_expect_str_eq(why, "a stream stands twice");
}

Test(answer, zero_or_nothing_asks_for_the_most)
{
    kap_fetch_t back;
    cr_expect_eq(fetch_of(1, 0, 0, 0), KAP_OK);
    kap_buf_reset(&buf);
    kap_mp_put_map(&buf, 1);
    kap_mp_put_cstr(&buf, "after");
    kap_mp_put_array(&buf, 1);
    kap_mp_put_array(&buf, 3);
    kap_mp_put_cstr(&buf, "x");
    kap_mp_put_bin(&buf, KAP_SPAN("0123456789abcdef"));
    kap_mp_put_uint(&buf, 0);
    cr_assert_eq(kap_fetch_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.max, KAP_LIMIT_FETCH_EVENTS);
    cr_expect_eq(back.max_bytes, KAP_LIMIT_FETCH_BYTES);
    cr_expect_eq(back.wait_ms, 0);
}

Test(answer, the_head_of_events_is_read_back)
{
    kap_stream_state_t streams[2] = {
        {.stream = KAP_SPAN("region/mikkeli"), .status = KAP_FETCH_OK, .head = 9},
        {.stream = KAP_SPAN("member/x"),
         .status = KAP_FETCH_EPOCH_CHANGED,
         .head = 3,
         .kept_to = 2}};
    kap_events_head_t head = {
        .as_of_seq = 100, .as_of_time = -1, .streams = streams, .stream_count = 2};
    kap_events_head_t back;
    memset(head.epoch, 5, sizeof head.epoch);
    kap_events_head_encode(&buf, &head);
    cr_assert_eq(kap_events_head_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.as_of_seq, 100);
    cr_expect_eq(back.as_of_time, -1);
    cr_expect_eq(back.stream_count, 2);
    cr_expect_eq(back.streams[1].status, KAP_FETCH_EPOCH_CHANGED);
    cr_expect_eq(back.streams[1].kept_to, 2);
    cr_expect_eq(back.streams[0].head, 9);
}

Test(answer, meta_is_read_back)
{
    kap_event_meta_t meta = {.stream = 1,
                             .stream_seq = 2,
                             .log_seq = 3,
                             .committed_at = 4,
                             .verdict = KAP_VERDICT_ALREADY_SO,
                             .source = KAP_SPAN("x/1"),
                             .sequence = 5};
    kap_event_meta_t back;
    memset(meta.leaf, 6, sizeof meta.leaf);
    kap_event_meta_encode(&buf, &meta);
    cr_assert_eq(kap_event_meta_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.stream, 1);
    cr_expect_eq(back.stream_seq, 2);
    cr_expect_eq(back.log_seq, 3);
    cr_expect_eq(back.committed_at, 4);
    cr_expect_eq(back.verdict, KAP_VERDICT_ALREADY_SO);
    cr_expect(kap_span_eq_str(back.source, "x/1"));
    cr_expect_eq(back.sequence, 5);
    cr_expect_arr_eq(back.leaf, meta.leaf, sizeof meta.leaf);
    cr_expect_eq(back.answer_days, 0);
    cr_expect_eq(kap_event_meta_decode(KAP_SPAN("\x90"), arena, &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_event_meta_decode(KAP_SPAN("\xc1"), arena, &back, &why), KAP_E_INVALID);
}

Test(answer, meta_of_a_created_tells_its_targets_both_or_none)
{
    kap_event_meta_t back, meta = {.stream_seq = 1,
                                   .log_seq = 1,
                                   .source = KAP_SPAN("x/1"),
                                   .sequence = 1,
                                   .answer_days = UINT16_MAX,
                                   .contact_days = 1};
    kap_event_meta_encode(&buf, &meta);
    cr_assert_eq(kap_event_meta_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.answer_days, UINT16_MAX);
    cr_expect_eq(back.contact_days, 1);
    buf.data[buf.size - 1] = 0; /* contact days of 0 */
    cr_expect_eq(kap_event_meta_decode(kap_buf_span(&buf), arena, &back, &why), KAP_E_INVALID);
    kap_buf_reset(&buf);
    meta.contact_days = 0;
    kap_event_meta_encode(&buf, &meta);
    cr_assert_eq(kap_event_meta_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.answer_days, 0, "half of it is not told");
}

Test(answer, a_receipt_is_read_back)
{
    kap_verdict_t verdicts[2] = {{.verdict = KAP_VERDICT_ACCEPTED, .log_seq = 7},
                                 {.verdict = KAP_VERDICT_REFUSED,
                                  .refusal = KAP_REFUSAL_ILLEGAL_ENDED,
                                  .sentence = KAP_SPAN("it was declined"),
                                  .log_seq = 8}};
    kap_receipt_t receipt = {.status = KAP_RECEIPT_OK,
                             .expected = 3,
                             .position = 8,
                             .verdicts = verdicts,
                             .verdict_count = 2};
    kap_receipt_t back;
    kap_receipt_encode(&buf, &receipt);
    cr_assert_eq(kap_receipt_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK);
    cr_expect_eq(back.status, KAP_RECEIPT_OK);
    cr_expect_eq(back.expected, 3);
    cr_expect_eq(back.position, 8);
    cr_expect_eq(back.verdict_count, 2);
    cr_expect_eq(back.verdicts[0].sentence.size, 0);
    cr_expect_eq(back.verdicts[1].refusal, KAP_REFUSAL_ILLEGAL_ENDED);
    cr_expect(kap_span_eq_str(back.verdicts[1].sentence, "it was declined"));
}

/* A receipt that were larger than a frame could never be sent: the sender would ask for ever. */
Test(answer, the_largest_receipt_fits_in_a_frame_and_is_read_back)
{
    static kap_verdict_t verdicts[KAP_LIMIT_EVENTS_PER_REQUEST];
    kap_receipt_t receipt = {.verdicts = verdicts, .verdict_count = KAP_LIMIT_EVENTS_PER_REQUEST};
    kap_receipt_t back;
    char longest[400] = "";
    size_t field = 0;
    for (uint16_t number = 1; number < 1000; number++) {
        const char *sentence = kap_refusal_sentence(number);
        if (sentence && strlen(sentence) > strlen(longest))
            snprintf(longest, sizeof longest, "%s", sentence);
    }
    for (int f = 0; f < KAP_FIELD_COUNT; f++) {
        const kap_field_row_t *row = kap_field_row((kap_field_t)f);
        field = row && row->wire_size > field ? row->wire_size : field;
    }
    size_t size = strlen(longest);
    snprintf(longest + size, sizeof longest - size, " (field: %0*d) (state: in_contact)",
             (int)field, 0);
    for (uint32_t i = 0; i < KAP_LIMIT_EVENTS_PER_REQUEST; i++)
        verdicts[i] = (kap_verdict_t){.verdict = KAP_VERDICT_REFUSED,
                                      .refusal = UINT16_MAX,
                                      .sentence = kap_span_str(longest),
                                      .log_seq = INT64_MAX};
    kap_receipt_encode(&buf, &receipt);
    cr_expect_lt(buf.size, KAP_LIMIT_FRAME_BYTES);
    cr_assert_eq(kap_receipt_decode(kap_buf_span(&buf), arena, &back, &why), KAP_OK, "%s", why);
    cr_expect_eq(back.verdict_count, KAP_LIMIT_EVENTS_PER_REQUEST);
}

Test(answer, a_query_is_read)
{
    kap_query_t query;
    kap_query_begin(&buf, "edges", 2);
    kap_mp_put_cstr(&buf, "min_seq");
    kap_mp_put_uint(&buf, 77);
    kap_mp_put_cstr(&buf, "region");
    kap_mp_put_cstr(&buf, "mikkeli");
    cr_assert_eq(kap_query_decode(kap_buf_span(&buf), arena, &query, &why), KAP_OK);
    cr_expect_eq(query.query, KAP_QUERY_EDGES);
    cr_expect_eq(query.min_seq, 77);
    cr_expect(kap_span_eq_str(kap_mp_get_str(query.root, "region"), "mikkeli"));
    kap_buf_reset(&buf);
    kap_query_begin(&buf, "horoscope", 0);
    cr_assert_eq(kap_query_decode(kap_buf_span(&buf), arena, &query, &why), KAP_OK);
    cr_expect_eq(query.query, -1);
    cr_expect(kap_span_eq_str(query.name, "horoscope"));
    cr_expect_eq(kap_query_decode(KAP_SPAN("\x80"), arena, &query, &why), KAP_E_INVALID);
    cr_expect_eq(kap_query_decode(KAP_SPAN("\x90"), arena, &query, &why), KAP_E_INVALID);
}

Test(answer, an_answer_and_an_error_are_told_apart)
{
    kap_answer_t answer;
    kap_answer_begin(&buf, 5, 6, 1);
    kap_mp_put_cstr(&buf, "n");
    kap_mp_put_uint(&buf, 1208);
    cr_assert_eq(kap_answer_decode(kap_buf_span(&buf), arena, &answer, &why), KAP_OK);
    cr_expect_eq(answer.refusal, 0);
    cr_expect_eq(answer.as_of_seq, 5);
    cr_expect_eq(answer.as_of_time, 6);
    cr_expect_eq(kap_mp_get_int(answer.root, "n", 0), 1208);
    kap_buf_reset(&buf);
    kap_answer_error(&buf, KAP_REFUSAL_REQUEST_MESH, NULL);
    cr_assert_eq(kap_answer_decode(kap_buf_span(&buf), arena, &answer, &why), KAP_OK);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_REQUEST_MESH);
    cr_expect(kap_span_eq_str(answer.code, "request.mesh"));
    cr_expect_gt(answer.sentence.size, 0);
    cr_expect_eq(kap_answer_decode(KAP_SPAN("\x80"), arena, &answer, &why), KAP_E_INVALID);
}
