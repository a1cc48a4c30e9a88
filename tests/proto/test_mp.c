/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "err.h"
#include "mp.h"

static kap_arena_t *arena;
static kap_buf_t buf;

static void setup(void)
{
    arena = kap_arena_new(4096);
    kap_buf_init(&buf);
}

static void teardown(void)
{
    kap_buf_fini(&buf);
    kap_arena_destroy(&arena);
}

TestSuite(mp, .init = setup, .fini = teardown);

static void expect_bytes(const char *bytes, size_t size)
{
    cr_expect_eq(buf.size, size);
    cr_expect(buf.size == size && memcmp(buf.data, bytes, size) == 0);
    kap_buf_reset(&buf);
}

#define EXPECT(literal) expect_bytes("" literal "", sizeof(literal) - 1)

Test(mp, integers_are_written_in_their_shortest_form)
{
    kap_mp_put_uint(&buf, 0);
    EXPECT("\x00");
    kap_mp_put_uint(&buf, 127);
    EXPECT("\x7f");
    kap_mp_put_uint(&buf, 128);
    EXPECT("\xcc\x80");
    kap_mp_put_uint(&buf, 255);
    EXPECT("\xcc\xff");
    kap_mp_put_uint(&buf, 256);
    EXPECT("\xcd\x01\x00");
    kap_mp_put_uint(&buf, 65535);
    EXPECT("\xcd\xff\xff");
    kap_mp_put_uint(&buf, 65536);
    EXPECT("\xce\x00\x01\x00\x00");
    kap_mp_put_uint(&buf, UINT32_MAX);
    EXPECT("\xce\xff\xff\xff\xff");
    kap_mp_put_uint(&buf, (uint64_t)UINT32_MAX + 1);
    EXPECT("\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
    kap_mp_put_uint(&buf, UINT64_MAX);
    EXPECT("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    kap_mp_put_int(&buf, -1);
    EXPECT("\xff");
    kap_mp_put_int(&buf, -32);
    EXPECT("\xe0");
    kap_mp_put_int(&buf, -33);
    EXPECT("\xd0\xdf");
    kap_mp_put_int(&buf, -128);
    EXPECT("\xd0\x80");
    kap_mp_put_int(&buf, -129);
    EXPECT("\xd1\xff\x7f");
    kap_mp_put_int(&buf, -32769);
    EXPECT("\xd2\xff\xff\x7f\xff");
    kap_mp_put_int(&buf, INT64_C(-2147483649));
    EXPECT("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff");
    kap_mp_put_int(&buf, INT64_MIN);
    EXPECT("\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    kap_mp_put_int(&buf, 5);
    EXPECT("\x05");
}

Test(mp, integers_at_the_edges_are_read_back)
{
    static const int64_t edges[] = {0,
                                    1,
                                    127,
                                    128,
                                    255,
                                    256,
                                    INT64_C(4294967295),
                                    INT64_C(4294967296),
                                    INT64_C(4294967297),
                                    INT64_MAX,
                                    -1,
                                    -32,
                                    -33,
                                    -129,
                                    INT64_MIN};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        kap_mp_t node;
        int64_t back;
        kap_buf_reset(&buf);
        kap_mp_put_int(&buf, edges[i]);
        cr_assert_eq(kap_mp_read(kap_buf_span(&buf), arena, &node, NULL), KAP_OK);
        cr_assert(kap_mp_int(&node, INT64_MIN, INT64_MAX, &back));
        cr_expect_eq(back, edges[i]);
    }
}

Test(mp, what_is_above_int64_is_no_int)
{
    kap_mp_t node;
    int64_t i;
    uint64_t u;
    kap_mp_put_uint(&buf, UINT64_C(1) << 63);
    cr_assert_eq(kap_mp_read(kap_buf_span(&buf), arena, &node, NULL), KAP_OK);
    cr_expect_eq(node.kind, KAP_MP_UINT);
    cr_expect_not(kap_mp_int(&node, INT64_MIN, INT64_MAX, &i));
    cr_expect(kap_mp_u64(&node, &u));
    cr_expect_eq(u, UINT64_C(1) << 63);
}

Test(mp, lengths_change_their_form_at_the_edges)
{
    static const struct {
        size_t size, head;
        uint8_t type;
    } strs[] = {{31, 1, 0xbf}, {32, 2, 0xd9}, {255, 2, 0xd9}, {256, 3, 0xda}, {65536, 5, 0xdb}},
      bins[] = {{0, 2, 0xc4}, {255, 2, 0xc4}, {256, 3, 0xc5}, {65535, 3, 0xc5}, {65536, 5, 0xc6}};
    uint8_t *zeros = calloc(1, 65536);
    for (size_t i = 0; i < 5; i++) {
        kap_buf_reset(&buf);
        kap_mp_put_str(&buf, kap_span(zeros, strs[i].size));
        cr_expect_eq(buf.size, strs[i].size + strs[i].head);
        cr_expect_eq(buf.data[0], strs[i].type);
        kap_buf_reset(&buf);
        kap_mp_put_bin(&buf, kap_span(zeros, bins[i].size));
        cr_expect_eq(buf.size, bins[i].size + bins[i].head);
        cr_expect_eq(buf.data[0], bins[i].type);
    }
    free(zeros);
}

Test(mp, maps_and_arrays_are_found_by_key_and_place)
{
    kap_mp_t root;
    kap_mp_put_map(&buf, 3);
    kap_mp_put_cstr(&buf, "list");
    kap_mp_put_array(&buf, 2);
    kap_mp_put_bool(&buf, true);
    kap_mp_put_nil(&buf);
    kap_mp_put_cstr(&buf, "text");
    kap_mp_put_cstr(&buf, "päivä");
    kap_mp_put_cstr(&buf, "count");
    kap_mp_put_int(&buf, 7);
    cr_assert_eq(kap_mp_read(kap_buf_span(&buf), arena, &root, NULL), KAP_OK);
    const kap_mp_t *list = kap_mp_get(&root, "list");
    bool b = false;
    cr_assert_not_null(list);
    cr_expect(kap_mp_bool(kap_mp_item(list, 0), &b) && b);
    cr_expect_eq(kap_mp_item(list, 1)->kind, KAP_MP_NIL);
    cr_expect_null(kap_mp_item(list, 2));
    cr_expect_null(kap_mp_key(list, 0));
    cr_expect_null(kap_mp_get(list, "list"));
    cr_expect_null(kap_mp_get(NULL, "list"));
    cr_expect_null(kap_mp_get(&root, "none"));
    cr_expect_null(kap_mp_value(&root, 3));
    cr_expect(kap_span_eq_str(kap_mp_key(&root, 1)->s, "text"));
    cr_expect(kap_span_eq_str(kap_mp_get_str(&root, "text"), "päivä"));
    cr_expect_eq(kap_mp_get_str(&root, "count").size, 0);
    cr_expect_eq(kap_mp_get_int(&root, "count", -1), 7);
    cr_expect_eq(kap_mp_get_int(&root, "text", -1), -1);
    cr_expect_eq(kap_mp_get_bool(&root, "none", true), true);
}

Test(mp, a_node_is_written_as_it_was_read)
{
    static const char bytes[] = "\x84\xa1"
                                "a\x93\xc0\xc2\xc3\xa1"
                                "b\xc4\x02\x00\xff\xa1"
                                "c\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1"
                                "d\x81\xa1"
                                "e\xe0";
    kap_mp_t root;
    cr_assert_eq(kap_mp_read(kap_span(bytes, sizeof bytes - 1), arena, &root, NULL), KAP_OK);
    kap_mp_put_node(&buf, &root);
    expect_bytes(bytes, sizeof bytes - 1);
}

Test(mp, hostile_bytes_never_reach_the_library)
{
    kap_mp_t root;
    const char *why = NULL;
    cr_expect_eq(kap_mp_read(KAP_SPAN("\xdf\x10\x00\x00\x00"), arena, &root, &why), KAP_E_INVALID);
    cr_expect_not_null(why);
    cr_expect_eq(kap_mp_read(KAP_SPAN("\xdd\xff\x00\x00\x00"), arena, &root, &why), KAP_E_INVALID);
    cr_expect_eq(kap_mp_read(KAP_SPAN("\xc1"), arena, &root, &why), KAP_E_INVALID);
    cr_expect_eq(kap_mp_read(KAP_SPAN("\xc0\xc0"), arena, &root, &why), KAP_E_INVALID);
    cr_expect_eq(kap_mp_read(kap_span(NULL, 0), arena, &root, &why), KAP_E_INVALID);
}
