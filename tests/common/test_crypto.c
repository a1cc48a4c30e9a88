/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "crypto.h"
#include "err.h"
#include "ids.h"

static char folder[64], path[128];
static kap_buf_t messages;

static void init(void)
{
    cr_assert_eq(kap_crypto_init(), KAP_OK);
}

static void init_folder(void)
{
    init();
    strcpy(folder, "/tmp/kap-test-crypto-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
    kap_buf_init(&messages);
}

static void fini_folder(void)
{
    unlink(path);
    rmdir(folder);
    kap_buf_fini(&messages);
}

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    for (size_t i = 0; i < size; i++) {
        unsigned value;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &value), 1);
        cr_assert_eq(bytes[i], value, "byte %zu", i);
    }
}

/* --- hashes --- */

Test(crypto, hash256_is_blake2b_of_32_bytes, .init = init)
{
    const char *abc = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
    uint8_t out[32];
    kap_span_t whole[] = {KAP_SPAN("abc")};
    kap_hash256(out, whole, 1);
    assert_hex(out, 32, abc);
    kap_span_t parts[] = {KAP_SPAN("a"), KAP_SPAN(""), KAP_SPAN("bc")};
    kap_hash256(out, parts, 3);
    assert_hex(out, 32, abc);
    kap_hash256(out, NULL, 0);
    assert_hex(out, 32, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

Test(crypto, hashing_in_steps_gives_the_same, .init = init)
{
    uint8_t at_once[32], stepwise[32];
    char text[1000];
    memset(text, 'q', sizeof text);
    kap_span_t all = kap_span(text, sizeof text);
    kap_hash256(at_once, &all, 1);
    kap_hash_t hash;
    kap_hash_init(&hash);
    for (size_t i = 0; i < sizeof text; i += 7)
        kap_hash_update(&hash, kap_span_sub(all, i, 7));
    kap_hash_final(&hash, stepwise);
    cr_assert(kap_crypto_equal(at_once, stepwise, 32));
    stepwise[31] ^= 1;
    cr_assert_not(kap_crypto_equal(at_once, stepwise, 32));
}

Test(crypto, siphash128_is_the_published_one_and_chains_its_parts, .init = init)
{
    uint8_t key[16], out[16], step[16];
    for (int i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    kap_span_t empty[] = {KAP_SPAN("")};
    kap_siphash128(out, key, empty, 1);
    assert_hex(out, 16, "a3817f04ba25a8e66df67214c7550293");
    kap_siphash128(out, key, NULL, 0);
    cr_assert_arr_eq(out, key, 16);

    kap_span_t parts[] = {KAP_SPAN("table"), KAP_SPAN("key")};
    kap_siphash128(out, key, parts, 2);
    kap_siphash128(step, key, parts, 1);
    kap_siphash128(step, step, parts + 1, 1);
    cr_assert_arr_eq(out, step, 16);
    kap_span_t shifted[] = {KAP_SPAN("tablek"), KAP_SPAN("ey")};
    kap_siphash128(step, key, shifted, 2);
    cr_assert(memcmp(out, step, 16) != 0);
}

/* --- Z85 --- */

Test(crypto, z85_is_the_published_one, .init = init)
{
    const uint8_t bytes[8] = {0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b};
    char text[11];
    uint8_t back[8];
    kap_z85_encode(text, bytes, 8);
    cr_assert_str_eq(text, "HelloWorld");
    cr_assert_eq(kap_z85_decode(back, 8, KAP_SPAN("HelloWorld")), KAP_OK);
    cr_assert_arr_eq(back, bytes, 8);
}

Test(crypto, z85_goes_there_and_back_at_the_bounds, .init = init)
{
    uint8_t bytes[4], back[4];
    char text[6];
    for (int value = 0; value < 256; value++) {
        memset(bytes, value, sizeof bytes);
        kap_z85_encode(text, bytes, 4);
        cr_assert_eq(kap_z85_decode(back, 4, kap_span_str(text)), KAP_OK);
        cr_assert_arr_eq(back, bytes, 4);
    }
    kap_z85_encode(text, bytes, 0);
    cr_assert_str_eq(text, "");
}

Test(crypto, z85_that_is_not_is_refused, .init = init)
{
    uint8_t out[8];
    cr_assert_eq(kap_z85_decode(out, 8, KAP_SPAN("HelloWorl")), KAP_E_INVALID);
    cr_assert_eq(kap_z85_decode(out, 8, KAP_SPAN("HelloWorlds")), KAP_E_INVALID);
    cr_assert_eq(kap_z85_decode(out, 8, KAP_SPAN("Hello,orld")), KAP_E_INVALID);
    cr_assert_eq(kap_z85_decode(out, 8, KAP_SPAN("Hello\0orld")), KAP_E_INVALID);
    cr_assert_eq(kap_z85_decode(out, 4, KAP_SPAN("%nSc0")), KAP_OK); /* 2^32 - 1 */
    cr_assert_eq(kap_z85_decode(out, 4, KAP_SPAN("%nSc1")), KAP_E_INVALID);
    cr_assert_eq(kap_z85_decode(out, 4, KAP_SPAN("#####")), KAP_E_INVALID);
}

/* --- key files --- */

static void write_text(const char *text, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(chmod(path, mode), 0);
}

static bool said(const char *what)
{
    const char *text = kap_buf_cstr(&messages);
    return strstr(text, path) && strstr(text, what);
}

Test(crypto, a_key_file_of_each_kind_reads_back, .init = init_folder, .fini = fini_folder)
{
    kap_curve_t *curve = kap_curve_new(), *curve_back = NULL;
    kap_seal_keys_t *seal = kap_seal_keys_new(), *seal_back = NULL;
    kap_sign_keys_t *sign = kap_sign_keys_new(), *sign_back = NULL;
    cr_assert_eq(kap_curve_write(path, curve), KAP_OK);
    cr_assert_eq(kap_curve_read(path, &curve_back, &messages), KAP_OK);
    cr_assert_arr_eq(curve_back, curve, sizeof *curve);
    unlink(path);
    cr_assert_eq(kap_seal_keys_write(path, seal), KAP_OK);
    cr_assert_eq(kap_seal_keys_read(path, &seal_back, &messages), KAP_OK);
    cr_assert_arr_eq(seal_back, seal, sizeof *seal);
    unlink(path);
    cr_assert_eq(kap_sign_keys_write(path, sign), KAP_OK);
    cr_assert_eq(kap_sign_keys_read(path, &sign_back, &messages), KAP_OK);
    cr_assert_arr_eq(sign_back, sign, sizeof *sign);
    cr_assert_eq(messages.size, 0);
    kap_curve_destroy(&curve);
    kap_curve_destroy(&curve_back);
    kap_seal_keys_destroy(&seal);
    kap_seal_keys_destroy(&seal_back);
    kap_sign_keys_destroy(&sign);
    kap_sign_keys_destroy(&sign_back);
}

Test(crypto, a_key_file_is_private_and_never_overwritten, .init = init_folder, .fini = fini_folder)
{
    kap_curve_t *first = kap_curve_new(), *second = kap_curve_new(), *back = NULL;
    cr_assert_eq(kap_curve_write(path, first), KAP_OK);
    struct stat st;
    stat(path, &st);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(kap_curve_write(path, second), KAP_E_EXISTS);
    cr_assert_eq(kap_curve_read(path, &back, NULL), KAP_OK);
    cr_assert_arr_eq(back, first, sizeof *first);
    cr_assert_eq(kap_curve_write("/nowhere/at/all", first), KAP_E_NOTFOUND);
    kap_curve_destroy(&first);
    kap_curve_destroy(&second);
    kap_curve_destroy(&back);
}

Test(crypto, a_key_file_others_may_write_is_refused_one_they_may_read_is_warned_of,
     .init = init_folder, .fini = fini_folder)
{
    kap_seal_keys_t *keys = kap_seal_keys_new(), *back = NULL;
    cr_assert_eq(kap_seal_keys_write(path, keys), KAP_OK);
    static const mode_t writable[] = {0620, 0602, 0666};
    for (size_t i = 0; i < 3; i++) {
        chmod(path, writable[i]);
        kap_buf_reset(&messages);
        cr_assert_eq(kap_seal_keys_read(path, &back, &messages), KAP_E_DENIED);
        cr_assert(said("may write"));
        cr_assert_null(back);
    }
    static const mode_t readable[] = {0640, 0604, 0444};
    for (size_t i = 0; i < 3; i++) {
        chmod(path, readable[i]);
        kap_buf_reset(&messages);
        cr_assert_eq(kap_seal_keys_read(path, &back, &messages), KAP_OK);
        cr_assert(said("warning: others may read"));
        kap_seal_keys_destroy(&back);
    }
    kap_seal_keys_destroy(&keys);
}

Test(crypto, what_is_no_key_file_is_refused_with_the_reason, .init = init_folder,
     .fini = fini_folder)
{
    static const char *const bad[] = {
        "",
        "kind = \"curve\";\n",
        "kind = curve;\npublic = \"\";\nsecret = \"\";\n",
        "kind = \"curve\";\nkind = \"curve\";\npublic = \"\";\nsecret = \"\";\n",
        "kind = \"curve\";\npublic = \"\";\nsecret = \"\";\ncolour = \"\";\n",
        "kind = \"curve\";\npublic = \"x\";\nsecret = \"y\";\n",
        "kind = \"\n",
    };
    kap_curve_t *keys = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(bad[i], 0600);
        kap_buf_reset(&messages);
        cr_assert_eq(kap_curve_read(path, &keys, &messages), KAP_E_INVALID, "case %zu", i);
        cr_assert(said("would be right"), "case %zu", i);
        cr_assert_null(keys);
    }
    unlink(path);
    cr_assert_eq(kap_curve_read(path, &keys, &messages), KAP_E_NOTFOUND);
    cr_assert_eq(kap_curve_read(folder, &keys, &messages), KAP_E_INVALID);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(kap_curve_read(path, &keys, &messages), KAP_E_INVALID);
}

Test(crypto, a_key_file_too_long_is_refused, .init = init_folder, .fini = fini_folder)
{
    char text[4000];
    memset(text, '#', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    write_text(text, 0600);
    kap_curve_t *keys = NULL;
    cr_assert_eq(kap_curve_read(path, &keys, &messages), KAP_E_INVALID);
    cr_assert(said("too long"));
}

Test(crypto, another_kind_and_halves_of_two_pairs_are_refused, .init = init_folder,
     .fini = fini_folder)
{
    kap_seal_keys_t *mixed = kap_seal_keys_new(), *other = kap_seal_keys_new(), *back = NULL;
    cr_assert_eq(kap_seal_keys_write(path, mixed), KAP_OK);
    kap_curve_t *curve = NULL;
    cr_assert_eq(kap_curve_read(path, &curve, &messages), KAP_E_INVALID);
    cr_assert(said("another kind"));
    unlink(path);
    memcpy(mixed->public, other->public, 32);
    cr_assert_eq(kap_seal_keys_write(path, mixed), KAP_OK);
    cr_assert_eq(kap_seal_keys_read(path, &back, &messages), KAP_E_INVALID);
    cr_assert(said("do not belong together"));
    unlink(path);
    kap_sign_keys_t *sign = kap_sign_keys_new(), *sign_back = NULL;
    sign->secret[40] ^= 1;
    cr_assert_eq(kap_sign_keys_write(path, sign), KAP_OK);
    cr_assert_eq(kap_sign_keys_read(path, &sign_back, &messages), KAP_E_INVALID);
    kap_sign_keys_destroy(&sign);
    kap_seal_keys_destroy(&mixed);
    kap_seal_keys_destroy(&other);
}

Test(crypto, two_fresh_pairs_differ, .init = init)
{
    kap_curve_t *a = kap_curve_new(), *b = kap_curve_new(), *copy = kap_curve_copy(a);
    cr_assert(memcmp(a, b, sizeof *a) != 0);
    cr_assert_arr_eq(copy, a, sizeof *a);
    kap_curve_destroy(&a);
    kap_curve_destroy(&b);
    kap_curve_destroy(&copy);
    cr_assert_null(a);
    kap_curve_destroy(&a);
}
