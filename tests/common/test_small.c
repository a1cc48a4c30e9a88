/* SPDX-License-Identifier: MPL-2.0 */
/* Errors, spans, big-endian integers, UTF-8, arenas, buffers and ids. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "arena.h"
#include "be.h"
#include "buf.h"
#include "err.h"
#include "ids.h"
#include "utf8.h"

Test(err, every_code_has_a_name_a_text_and_its_own_number)
{
    static const int codes[] = {
#define KAP_ERR(name, number, text) KAP_E_##name,
#include "err.def"
#undef KAP_ERR
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        cr_assert_lt(codes[i], 0);
        cr_assert_str_neq(kap_err_name(codes[i]), "UNKNOWN");
        cr_assert_gt(strlen(kap_err_text(codes[i])), 4u);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(codes[i], codes[j]);
    }
    cr_assert_str_eq(kap_err_name(KAP_OK), "OK");
    cr_assert_str_eq(kap_err_name(KAP_E_NOTFOUND), "NOTFOUND");
    cr_assert_str_eq(kap_err_name(-999), "UNKNOWN");
}

Test(err, errno_is_translated)
{
    cr_assert_eq(kap_err_of_errno(ENOSPC), KAP_E_DISK);
    cr_assert_eq(kap_err_of_errno(ENOENT), KAP_E_NOTFOUND);
    cr_assert_eq(kap_err_of_errno(EACCES), KAP_E_DENIED);
    cr_assert_eq(kap_err_of_errno(EIO), KAP_E_IO);
}

Test(err, a_broken_check_aborts, .signal = SIGABRT)
{
    KAP_CHECK(1 + 1 == 3);
}

Test(span, compares_bytes_and_lengths)
{
    cr_assert(kap_span_eq(KAP_SPAN("ab"), kap_span_str("ab")));
    cr_assert_not(kap_span_eq(KAP_SPAN("ab"), KAP_SPAN("abc")));
    cr_assert(kap_span_eq(kap_span_str(NULL), KAP_SPAN("")));
    cr_assert(kap_span_eq_str(KAP_SPAN("x"), "x"));
    cr_assert_lt(kap_span_cmp(KAP_SPAN("a"), KAP_SPAN("ab")), 0);
    cr_assert_gt(kap_span_cmp(KAP_SPAN("\xff"), KAP_SPAN("a")), 0);
    cr_assert_eq(kap_span_cmp(KAP_SPAN("a"), KAP_SPAN("a")), 0);
    cr_assert(kap_span_starts(KAP_SPAN("region/mikkeli"), KAP_SPAN("region/")));
    cr_assert_not(kap_span_starts(KAP_SPAN("reg"), KAP_SPAN("region/")));
}

Test(span, cuts_and_trims)
{
    cr_assert(kap_span_eq_str(kap_span_sub(KAP_SPAN("kapula"), 2, 3), "pul"));
    cr_assert(kap_span_eq_str(kap_span_sub(KAP_SPAN("kapula"), 4, SIZE_MAX), "la"));
    cr_assert(kap_span_empty(kap_span_sub(KAP_SPAN("kapula"), 6, 1)));
    cr_assert(kap_span_eq_str(kap_span_trim(KAP_SPAN(" \t a b\r\n")), "a b"));
    cr_assert(kap_span_empty(kap_span_trim(KAP_SPAN(" \n"))));
}

Test(span, reads_whole_numbers_at_their_bounds)
{
    int64_t value = 7;
    cr_assert(kap_span_int(KAP_SPAN("9223372036854775807"), &value) && value == INT64_MAX);
    cr_assert(kap_span_int(KAP_SPAN("-9223372036854775808"), &value) && value == INT64_MIN);
    cr_assert(kap_span_int(KAP_SPAN("-0"), &value) && value == 0);
    static const char *const wrong[] = {
        "9223372036854775808", "-9223372036854775809", "", "-", "1 ", "+1", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(kap_span_int(kap_span_str(wrong[i]), &value), "%s", wrong[i]);
}

Test(be, bytes_stand_in_numeric_order)
{
    uint8_t at[9];
    kap_be_put_u64(at + 1, UINT64_C(0x0102030405060708));
    for (int i = 1; i <= 8; i++)
        cr_assert_eq(at[i], i);
    cr_assert_eq(kap_be_get_u64(at + 1), UINT64_C(0x0102030405060708));
    cr_assert_eq(kap_be_get_u32(at + 1), UINT32_C(0x01020304));
    cr_assert_eq(kap_be_get_u16(at + 1), 0x0102);
    kap_be_put_u32(at, UINT32_MAX);
    cr_assert_eq(kap_be_get_u32(at), UINT32_MAX);
}

Test(utf8, takes_what_rfc_3629_takes)
{
    static const char *const right[] = {"",
                                        "abcdefghijklmnop",
                                        "Mikkelin kaupunki äöå",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        cr_assert(kap_utf8_valid(kap_span_str(right[i]), NULL), "%zu", i);
    static const char *const wrong[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xc3",         "\xe2\x82",         "\xf0\x9f\x98",     "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(kap_utf8_valid(kap_span_str(wrong[i]), NULL), "%zu", i);
}

Test(utf8, says_where_the_first_bad_byte_is)
{
    size_t at = 0;
    cr_assert_not(kap_utf8_valid(KAP_SPAN("0123456789ä\xffrest"), &at));
    cr_assert_eq(at, 12u);
}

Test(utf8, knows_the_width_on_a_terminal)
{
    cr_assert_eq(kap_utf8_width(KAP_SPAN("Ääni")), 4);
    cr_assert_eq(kap_utf8_width(KAP_SPAN("a\xcc\x88")), 1); /* a with combining diaeresis */
    cr_assert_eq(kap_utf8_width(KAP_SPAN("漢字")), 4);
    cr_assert_eq(kap_utf8_width(KAP_SPAN("\xff")), 1);
}

Test(arena, keeps_what_it_gave_and_aligns_it)
{
    kap_arena_t *arena = kap_arena_new(1);
    for (size_t size = 0; size < 600; size++) {
        uint8_t *at = kap_arena_alloc(arena, size);
        cr_assert_not_null(at);
        cr_assert_eq((uintptr_t)at % _Alignof(max_align_t), 0u);
        memset(at, 0x5a, size);
    }
    kap_span_t copy = kap_arena_dup(arena, KAP_SPAN("kapula"));
    cr_assert(kap_span_eq_str(copy, "kapula"));
    cr_assert_not_null(kap_arena_dup(arena, KAP_SPAN("")).data);
    cr_assert_str_eq(kap_arena_str(arena, KAP_SPAN("viesti")), "viesti");
    int *zeros = kap_arena_calloc(arena, 100, sizeof *zeros);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(zeros[i], 0);
    kap_arena_destroy(&arena);
    cr_assert_null(arena);
    kap_arena_destroy(&arena);
}

Test(arena, keeps_one_ordinary_chunk_over_a_reset)
{
    kap_arena_t *arena = kap_arena_new(1024);
    cr_assert_eq(kap_arena_held_bytes(arena), 0u);
    kap_arena_alloc(arena, 100);
    kap_arena_alloc(arena, 1 << 20);
    kap_arena_alloc(arena, 100);
    cr_assert_gt(kap_arena_held_bytes(arena), 1u << 20);
    kap_arena_reset(arena);
    cr_assert_eq(kap_arena_held_bytes(arena), 1024u);
    cr_assert_not_null(kap_arena_alloc(arena, 1024));
    cr_assert_eq(kap_arena_held_bytes(arena), 1024u);
    kap_arena_destroy(&arena);
}

Test(arena, refuses_sizes_no_memory_has)
{
    kap_arena_t *arena = kap_arena_new(256);
    cr_assert_null(kap_arena_alloc(arena, SIZE_MAX));
    cr_assert_null(kap_arena_calloc(arena, SIZE_MAX / 2, 4));
    kap_arena_destroy(&arena);
}

Test(buf, grows_and_keeps_bytes_in_order)
{
    kap_buf_t buf = {0};
    kap_buf_u8(&buf, 1);
    kap_buf_u16be(&buf, 0x0203);
    kap_buf_u32be(&buf, 0x04050607);
    kap_buf_u64be(&buf, UINT64_C(0x08090a0b0c0d0e0f));
    for (size_t i = 0; i < buf.size; i++)
        cr_assert_eq(buf.data[i], i + 1);
    cr_assert_eq(buf.size, 15u);
    kap_buf_reset(&buf);
    for (int i = 0; i < 1000; i++)
        kap_buf_printf(&buf, "%d,", i);
    cr_assert_eq(buf.size, 10u * 2 + 90 * 3 + 900 * 4);
    cr_assert_eq(strlen(kap_buf_cstr(&buf)), buf.size);
    cr_assert_eq(buf.err, KAP_OK);
    size_t size;
    uint8_t *taken = kap_buf_take(&buf, &size);
    cr_assert_eq(size, 3890u);
    cr_assert_eq(buf.size, 0u);
    free(taken);
    cr_assert_str_eq(kap_buf_cstr(&buf), "");
    kap_buf_fini(&buf);
}

Test(buf, errors_stick_until_a_reset)
{
    kap_buf_t buf = {0};
    kap_buf_str(&buf, "a");
    cr_assert_null(kap_buf_reserve(&buf, SIZE_MAX));
    cr_assert_eq(buf.err, KAP_E_NOMEM);
    kap_buf_str(&buf, "b");
    cr_assert(kap_span_eq_str(kap_buf_span(&buf), "a"));
    cr_assert_str_eq(kap_buf_cstr(&buf), "a");
    cr_assert_eq(buf.err, KAP_E_NOMEM);
    kap_buf_reset(&buf);
    kap_buf_str(&buf, "c");
    cr_assert(kap_span_eq_str(kap_buf_span(&buf), "c"));
    kap_buf_fini(&buf);
}

Test(buf, writes_text_that_json_takes)
{
    kap_buf_t buf = {0};
    kap_buf_json_text(&buf, KAP_SPAN("a\"b\\c\n\t\x01\x7f"
                                     "ä\xff"
                                     "漢\xef\xbf\xbd."));
    cr_assert_str_eq(kap_buf_cstr(&buf), "a\\\"b\\\\c\\n\\t\\u0001\\u007fä\\ufffd漢\xef\xbf\xbd.");
    kap_buf_fini(&buf);
}

Test(ids, version_7_has_its_time_in_front)
{
    uint8_t rnd[10];
    char id[KAP_UUID_TEXT], later[KAP_UUID_TEXT];
    memset(rnd, 0xff, sizeof rnd);
    kap_uuid_v7(INT64_C(0x017f22e279b0), rnd, id);
    cr_assert_str_eq(id, "017f22e2-79b0-7fff-bfff-ffffffffffff");
    kap_uuid_v7_random(1000, id);
    kap_uuid_v7_random(1001, later);
    cr_assert_lt(strcmp(id, later), 0);
}

Test(ids, version_8_is_made_of_a_hash)
{
    uint8_t hash[16], back[16];
    char id[KAP_UUID_TEXT];
    memset(hash, 0, sizeof hash);
    kap_uuid_v8(hash, id);
    cr_assert_str_eq(id, "00000000-0000-8000-8000-000000000000");
    cr_assert_eq(kap_uuid_parse(kap_span_str(id), back), KAP_OK);
    cr_assert_eq(back[6], 0x80);
}

Test(ids, refuses_what_is_no_uuid)
{
    uint8_t out[16];
    cr_assert_eq(kap_uuid_parse(KAP_SPAN("017F22E2-79B0-7fff-bfff-ffffffffffff"), out), KAP_OK);
    static const char *const wrong[] = {"",
                                        "017f22e2-79b0-7fff-bfff-fffffffffff",
                                        "017f22e2-79b0-7fff-bfff-fffffffffffff",
                                        "017f22e2079b0-7fff-bfff-ffffffffffff",
                                        "017f22e2-79b0-7fff-bfff-fffffffffffg",
                                        "-17f22e2-79b0-7fff-bfff-ffffffffffff"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(kap_uuid_parse(kap_span_str(wrong[i]), out), KAP_E_INVALID, "%s", wrong[i]);
}

Test(ids, hex_goes_there_and_back)
{
    uint8_t bytes[256], back[256];
    char text[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    kap_hex_encode(bytes, sizeof bytes, text);
    cr_assert_eq(kap_hex_decode(kap_span_str(text), back, sizeof back), KAP_OK);
    cr_assert_arr_eq(bytes, back, sizeof bytes);
    cr_assert_eq(kap_hex_decode(KAP_SPAN("0g"), back, 1), KAP_E_INVALID);
    cr_assert_eq(kap_hex_decode(KAP_SPAN("000"), back, 1), KAP_E_INVALID);
}

Test(ids, random_bytes_differ)
{
    uint8_t a[32] = {0}, b[32] = {0};
    kap_random(a, sizeof a);
    kap_random(b, sizeof b);
    cr_assert_arr_neq(a, b, sizeof a);
}
