/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "err.h"
#include "frame.h"
#include "mp.h"

static kap_buf_t buf;

static void setup(void)
{
    kap_buf_init(&buf);
}

static void teardown(void)
{
    kap_buf_fini(&buf);
}

TestSuite(frame, .init = setup, .fini = teardown);

static kap_header_t usual(void)
{
    kap_header_t h = {.version = KAP_LIMIT_VERSION,
                      .req = KAP_SPAN("r1"),
                      .verb = KAP_VERB_PUBLISH,
                      .source = KAP_SPAN("municipality/0123456789abcdef"),
                      .first = 42,
                      .count = 2};
    memset(h.mesh, 0xab, sizeof h.mesh);
    return h;
}

static int round_trip(const kap_header_t *h, kap_header_t *back)
{
    kap_buf_reset(&buf);
    kap_header_encode(&buf, h);
    return kap_header_decode(kap_buf_span(&buf), back, NULL);
}

Test(frame, a_header_is_read_back)
{
    uint8_t signature[KAP_LIMIT_SIGNATURE_BYTES] = {7};
    kap_header_t h = usual(), back;
    h.signature = kap_span(signature, sizeof signature);
    cr_assert_eq(round_trip(&h, &back), KAP_OK);
    cr_expect_eq(back.version, h.version);
    cr_expect_arr_eq(back.mesh, h.mesh, sizeof h.mesh);
    cr_expect(kap_span_eq(back.req, h.req));
    cr_expect_eq(back.verb, KAP_VERB_PUBLISH);
    cr_expect(kap_span_eq(back.source, h.source));
    cr_expect_eq(back.first, 42);
    cr_expect_eq(back.count, 2);
    cr_expect(kap_span_eq(back.signature, h.signature));
}

Test(frame, numbers_of_a_header_are_bounded)
{
    kap_header_t h = usual(), back;
    static const uint64_t good[] = {0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < 5; i++) {
        h.first = good[i];
        cr_expect_eq(round_trip(&h, &back), KAP_OK);
        cr_expect_eq(back.first, good[i]);
    }
    h.first = (uint64_t)INT64_MAX + 1;
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
    h.first = 1;
    h.count = KAP_LIMIT_EVENTS_PER_REQUEST;
    cr_expect_eq(round_trip(&h, &back), KAP_OK);
    h.count++;
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
}

Test(frame, lengths_of_a_header_are_bounded)
{
    char text[KAP_LIMIT_ID_BYTES + 1];
    memset(text, 'x', sizeof text);
    kap_header_t h = usual(), back;
    h.source = kap_span(text, KAP_LIMIT_ID_BYTES);
    cr_expect_eq(round_trip(&h, &back), KAP_OK);
    h.source = kap_span(text, KAP_LIMIT_ID_BYTES + 1);
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
    h.source = kap_span(text, 0);
    cr_expect_eq(round_trip(&h, &back), KAP_OK);
    h.req = kap_span(text, 0);
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
    h.req = kap_span(text, KAP_LIMIT_REQ_BYTES);
    cr_expect_eq(round_trip(&h, &back), KAP_OK);
    h.req = kap_span(text, KAP_LIMIT_REQ_BYTES + 1);
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
    h = usual();
    h.signature = kap_span(text, 63);
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
    h.signature = kap_span(text, 65);
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
}

Test(frame, another_version_can_still_be_answered)
{
    kap_header_t h = usual(), back = {0};
    h.version = KAP_LIMIT_VERSION + 1;
    cr_expect_eq(round_trip(&h, &back), KAP_E_VERSION);
    cr_expect_eq(back.version, KAP_LIMIT_VERSION + 1);
    cr_expect(kap_span_eq(back.req, h.req));
    cr_expect_arr_eq(back.mesh, h.mesh, sizeof h.mesh);
    h.version = 0;
    cr_expect_eq(round_trip(&h, &back), KAP_E_VERSION);
}

Test(frame, a_later_version_may_have_more_items)
{
    kap_header_t h = usual(), back = {0};
    h.version = KAP_LIMIT_VERSION + 1;
    kap_header_encode(&buf, &h);
    buf.data[0] = 0x99;
    kap_mp_put_nil(&buf);
    cr_expect_eq(kap_header_decode(kap_buf_span(&buf), &back, NULL), KAP_E_VERSION);
    cr_expect(kap_span_eq(back.req, h.req));
    buf.data[1] = KAP_LIMIT_VERSION;
    cr_expect_eq(kap_header_decode(kap_buf_span(&buf), &back, NULL), KAP_E_INVALID);
}

Test(frame, an_unknown_verb_can_still_be_answered)
{
    kap_header_t h = usual(), back = {0};
    h.verb = (kap_verb_t)99;
    cr_expect_eq(round_trip(&h, &back), KAP_E_INVALID);
    cr_expect_eq(back.verb, KAP_VERB_NONE);
    cr_expect(kap_span_eq(back.req, h.req));
}

Test(frame, hostile_headers_are_refused)
{
    kap_header_t h = usual(), back;
    const char *why = NULL;
    uint8_t big[KAP_LIMIT_HEADER_BYTES + 1] = {0xc4};
    cr_expect_eq(kap_header_decode(kap_span(NULL, 0), &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_header_decode(KAP_SPAN("\xdf\x10\x00\x00\x00"), &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_header_decode(KAP_SPAN("\x98"), &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_header_decode(KAP_SPAN("\x80"), &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_header_decode(KAP_SPAN("\x01"), &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_header_decode(KAP_SPAN("\x93\x01\x01\x01"), &back, &why), KAP_E_INVALID);
    cr_expect_eq(kap_header_decode(kap_span(big, sizeof big), &back, &why), KAP_E_INVALID);
    cr_expect_str_eq(why, "header over 512 bytes");
    kap_header_encode(&buf, &h);
    for (size_t size = 0; size < buf.size; size++) {
        cr_expect_eq(kap_header_decode(kap_span(buf.data, size), &back, NULL), KAP_E_INVALID);
    }
    kap_mp_put_nil(&buf);
    cr_expect_eq(kap_header_decode(kap_buf_span(&buf), &back, NULL), KAP_E_INVALID);
}

Test(frame, bins_come_one_by_one)
{
    static uint8_t bytes[70000];
    static const size_t sizes[] = {0, 1, 255, 256, 65535, 65536};
    for (size_t i = 0; i < 6; i++) {
        size_t before = buf.size;
        kap_bin_put(&buf, kap_span(bytes, sizes[i]));
        cr_expect_eq(buf.size - before, kap_bin_size(sizes[i]));
    }
    kap_span_t rest = kap_buf_span(&buf), bin;
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(kap_bins_next(&rest, &bin), 1);
        cr_expect_eq(bin.size, sizes[i]);
    }
    cr_expect_eq(kap_bins_next(&rest, &bin), 0);
}

Test(frame, what_is_no_whole_bin_is_refused)
{
    static const char *const bad[] = {"\xc4",  "\xc4\x01", "\xc5\x01", "\xc6\xff\xff\xff\xff",
                                      "\xa1x", "\xc0",     "\x91\xc4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kap_span_t rest = kap_span_str(bad[i]), bin;
        size_t size = rest.size;
        cr_expect_eq(kap_bins_next(&rest, &bin), KAP_E_INVALID);
        cr_expect_eq(rest.size, size);
    }
}
