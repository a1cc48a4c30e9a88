/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "buf.h"
#include "err.h"
#include "limit.h"
#include "mp.h"
#include "scan.h"

static int scan_bytes(const char *bytes, size_t size)
{
    return kap_scan(kap_span(bytes, size), NULL, NULL);
}

#define SCAN(literal) scan_bytes("" literal "", sizeof(literal) - 1)

Test(scan, takes_every_form_of_the_subset)
{
    cr_expect_eq(SCAN("\xc0"), KAP_OK);
    cr_expect_eq(SCAN("\xc2"), KAP_OK);
    cr_expect_eq(SCAN("\xc3"), KAP_OK);
    cr_expect_eq(SCAN("\x00"), KAP_OK);
    cr_expect_eq(SCAN("\x7f"), KAP_OK);
    cr_expect_eq(SCAN("\xe0"), KAP_OK);
    cr_expect_eq(SCAN("\xff"), KAP_OK);
    cr_expect_eq(SCAN("\xcc\x80"), KAP_OK);
    cr_expect_eq(SCAN("\xcd\x80\x00"), KAP_OK);
    cr_expect_eq(SCAN("\xce\x80\x00\x00\x00"), KAP_OK);
    cr_expect_eq(SCAN("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), KAP_OK);
    cr_expect_eq(SCAN("\xd0\x80"), KAP_OK);
    cr_expect_eq(SCAN("\xd1\x80\x00"), KAP_OK);
    cr_expect_eq(SCAN("\xd2\x80\x00\x00\x00"), KAP_OK);
    cr_expect_eq(SCAN("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), KAP_OK);
    cr_expect_eq(SCAN("\xa0"), KAP_OK);
    cr_expect_eq(SCAN("\xd9\x01x"), KAP_OK);
    cr_expect_eq(SCAN("\xda\x00\x01x"), KAP_OK);
    cr_expect_eq(SCAN("\xdb\x00\x00\x00\x01x"), KAP_OK);
    cr_expect_eq(SCAN("\xc4\x01\xff"), KAP_OK);
    cr_expect_eq(SCAN("\xc5\x00\x01\xff"), KAP_OK);
    cr_expect_eq(SCAN("\xc6\x00\x00\x00\x01\xff"), KAP_OK);
    cr_expect_eq(SCAN("\x90"), KAP_OK);
    cr_expect_eq(SCAN("\xdc\x00\x01\xc0"), KAP_OK);
    cr_expect_eq(SCAN("\xdd\x00\x00\x00\x01\xc0"), KAP_OK);
    cr_expect_eq(SCAN("\x81\xa1x\xc0"), KAP_OK);
    cr_expect_eq(SCAN("\xde\x00\x01\xa1x\xc0"), KAP_OK);
    cr_expect_eq(SCAN("\xdf\x00\x00\x00\x01\xa1x\xc0"), KAP_OK);
}

Test(scan, refuses_counts_that_the_bytes_cannot_hold)
{
    cr_expect_eq(SCAN("\xdf\x10\x00\x00\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xdd\xff\x00\x00\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xdd\xff\xff\xff\xff"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xdf\xff\xff\xff\xff\xa0\xa0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xdf\x80\x00\x00\x00\xa0\xa0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xdb\xff\xff\xff\xffx"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xc6\xff\xff\xff\xffx"), KAP_E_INVALID);
}

Test(scan, refuses_what_is_not_exactly_one_object)
{
    cr_expect_eq(kap_scan(kap_span(NULL, 0), NULL, NULL), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xc0\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x91"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x81\xa1x"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xa2x"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xd9"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xda\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xdb\x00\x00\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xcf\x00\x00\x00\x00\x00\x00\x00"), KAP_E_INVALID);
}

Test(scan, refuses_types_that_the_protocol_does_not_use)
{
    cr_expect_eq(SCAN("\xc1"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xca\x00\x00\x00\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xd4\x01\x00"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xd8\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
                 KAP_E_INVALID);
    cr_expect_eq(SCAN("\xc7\x00\x01"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xc9\x00\x00\x00\x00\x01"), KAP_E_INVALID);
}

Test(scan, keys_are_strings_and_differ)
{
    cr_expect_eq(SCAN("\x81\x01\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x81\xc0\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x81\xc4\x01x\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x81\x90\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x82\xa1x\xc0\xa1x\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x82\xa1x\xc0\xd9\x01x\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x82\xa0\xc0\xa0\xc0"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\x82\xa1x\xc0\xa1y\xc0"), KAP_OK);
    /* the same key in a map and in the map inside it */
    cr_expect_eq(SCAN("\x81\xa1x\x81\xa1x\xc0"), KAP_OK);
    /* after an inner map the outer one still knows its keys */
    cr_expect_eq(SCAN("\x82\xa1x\x81\xa1y\xc0\xa1x\xc0"), KAP_E_INVALID);
}

/* A map of n keys "0000", "0001" ...; the last one repeats `again` when it is not negative. */
static void many_keys(kap_buf_t *buf, uint32_t n, int again)
{
    char key[12];
    kap_mp_put_map(buf, n);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%04u", i + 1 == n && again >= 0 ? (unsigned)again : i);
        kap_mp_put_cstr(buf, key);
        kap_mp_put_nil(buf);
    }
}

Test(scan, finds_a_duplicate_among_many_keys)
{
    static const uint32_t sizes[] = {15, 16, 17, 18, 100, 2047};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        kap_buf_t buf;
        kap_buf_init(&buf);
        many_keys(&buf, sizes[i], -1);
        cr_expect_eq(kap_scan(kap_buf_span(&buf), NULL, NULL), KAP_OK);
        for (int again = 0; again < (int)sizes[i] - 1; again += 7) {
            kap_buf_reset(&buf);
            many_keys(&buf, sizes[i], again);
            cr_expect_eq(kap_scan(kap_buf_span(&buf), NULL, NULL), KAP_E_INVALID);
        }
        kap_buf_fini(&buf);
    }
}

static int scan_depth(int depth)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    for (int i = 0; i < depth; i++) {
        kap_mp_put_array(&buf, i + 1 < depth);
    }
    int rc = kap_scan(kap_buf_span(&buf), NULL, NULL);
    kap_buf_fini(&buf);
    return rc;
}

Test(scan, depth_is_bounded)
{
    cr_expect_eq(scan_depth(KAP_LIMIT_DEPTH - 1), KAP_OK);
    cr_expect_eq(scan_depth(KAP_LIMIT_DEPTH), KAP_OK);
    cr_expect_eq(scan_depth(KAP_LIMIT_DEPTH + 1), KAP_E_LIMIT);
    cr_expect_eq(scan_depth(1000), KAP_E_LIMIT);
}

static int scan_objects(uint32_t items)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    kap_mp_put_array(&buf, items);
    for (uint32_t i = 0; i < items; i++) {
        kap_mp_put_nil(&buf);
    }
    int rc = kap_scan(kap_buf_span(&buf), NULL, NULL);
    kap_buf_fini(&buf);
    return rc;
}

Test(scan, objects_are_bounded)
{
    cr_expect_eq(scan_objects(KAP_LIMIT_OBJECTS - 2), KAP_OK);
    cr_expect_eq(scan_objects(KAP_LIMIT_OBJECTS - 1), KAP_OK);
    cr_expect_eq(scan_objects(KAP_LIMIT_OBJECTS), KAP_E_LIMIT);
    cr_expect_eq(scan_objects(KAP_LIMIT_OBJECTS + 1), KAP_E_LIMIT);
}

Test(scan, narrower_limits_hold_and_wider_ones_do_not)
{
    kap_scan_limits_t narrow = {.depth = 1, .objects = 2};
    cr_expect_eq(kap_scan(KAP_SPAN("\x91\xc0"), &narrow, NULL), KAP_OK);
    cr_expect_eq(kap_scan(KAP_SPAN("\x92\xc0\xc0"), &narrow, NULL), KAP_E_LIMIT);
    cr_expect_eq(kap_scan(KAP_SPAN("\x91\x90"), &narrow, NULL), KAP_E_LIMIT);
    kap_scan_limits_t wide = {.depth = 100, .objects = 100000000};
    uint8_t deep[KAP_LIMIT_DEPTH + 1];
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 0x90;
    cr_expect_eq(kap_scan(kap_span(deep, sizeof deep), &wide, NULL), KAP_E_LIMIT);
}

Test(scan, strings_are_utf8)
{
    cr_expect_eq(SCAN("\xa2\xc3\xa4"), KAP_OK);
    cr_expect_eq(SCAN("\xa4\xf0\x9f\x98\x80"), KAP_OK);
    cr_expect_eq(SCAN("\xa4\xf4\x8f\xbf\xbf"), KAP_OK);
    cr_expect_eq(SCAN("\xa1\xff"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xa1\xc3"), KAP_E_INVALID);
    cr_expect_eq(SCAN("\xa2\xc0\xaf"), KAP_E_INVALID);         /* overlong */
    cr_expect_eq(SCAN("\xa3\xe0\x80\xaf"), KAP_E_INVALID);     /* overlong */
    cr_expect_eq(SCAN("\xa3\xed\xa0\x80"), KAP_E_INVALID);     /* surrogate */
    cr_expect_eq(SCAN("\xa4\xf4\x90\x80\x80"), KAP_E_INVALID); /* above U+10FFFF */
    cr_expect_eq(SCAN("\x81\xa1\xff\xc0"), KAP_E_INVALID);     /* a key */
    cr_expect_eq(SCAN("\xaa"
                      "12345678\xc3\xa4"),
                 KAP_OK);
    cr_expect_eq(SCAN("\xaa"
                      "1234567\xff"
                      "90"),
                 KAP_E_INVALID);
}

Test(scan, says_why)
{
    const char *why = NULL;
    cr_assert_eq(kap_scan(KAP_SPAN("\xc1"), NULL, &why), KAP_E_INVALID);
    cr_assert_not_null(why);
    cr_expect_str_eq(why, "a type that the protocol does not use");
}

Test(scan, no_prefix_of_a_message_passes)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    kap_mp_put_map(&buf, 2);
    kap_mp_put_cstr(&buf, "after");
    kap_mp_put_array(&buf, 3);
    kap_mp_put_int(&buf, -70000);
    kap_mp_put_uint(&buf, UINT64_MAX);
    kap_mp_put_bin(&buf, KAP_SPAN("0123456789abcdef"));
    kap_mp_put_cstr(&buf, "note");
    kap_mp_put_cstr(&buf, "a text that is longer than thirty-one bytes");
    cr_expect_eq(kap_scan(kap_buf_span(&buf), NULL, NULL), KAP_OK);
    for (size_t size = 0; size < buf.size; size++) {
        cr_expect_neq(kap_scan(kap_span(buf.data, size), NULL, NULL), KAP_OK);
    }
    kap_buf_fini(&buf);
}
