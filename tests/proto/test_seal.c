/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "err.h"
#include "seal.h"

static kap_sign_keys_t *sender, *stranger;
static kap_seal_keys_t *recipient, *own, *retired, *other;
static kap_buf_t box, clear;
static const uint8_t mesh[32] = {1}, other_mesh[32] = {2};
static kap_seal_binding_t bound;

enum { NOW = 1772437600 };

static void setup(void)
{
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    sender = kap_sign_keys_new();
    stranger = kap_sign_keys_new();
    recipient = kap_seal_keys_new();
    own = kap_seal_keys_new();
    retired = kap_seal_keys_new();
    other = kap_seal_keys_new();
    bound = (kap_seal_binding_t){mesh, KAP_SPAN("r1")};
}

static void teardown(void)
{
    kap_sign_keys_destroy(&sender);
    kap_sign_keys_destroy(&stranger);
    kap_seal_keys_destroy(&recipient);
    kap_seal_keys_destroy(&own);
    kap_seal_keys_destroy(&retired);
    kap_seal_keys_destroy(&other);
    kap_buf_fini(&box);
    kap_buf_fini(&clear);
}

TestSuite(seal, .init = setup, .fini = teardown);

static int seal(kap_span_t contents)
{
    uint8_t to[2][32];
    memcpy(to[0], recipient->public, 32);
    memcpy(to[1], own->public, 32);
    kap_buf_reset(&box);
    return kap_seal(contents, &bound, sender, (const uint8_t(*)[32])to, 2, NOW, &box);
}

static int unseal_with(const kap_seal_keys_t *const keys[], uint32_t n, kap_unsealed_t *out)
{
    kap_buf_reset(&clear);
    return kap_unseal(kap_buf_span(&box), &bound, keys, n, (const uint8_t(*)[32])sender->public, 1,
                      &clear, out);
}

static int unseal(const kap_seal_keys_t *keys)
{
    kap_unsealed_t out;
    return unseal_with(&keys, 1, &out);
}

Test(seal, recipient_and_sender_open_it_and_nobody_else)
{
    kap_unsealed_t out;
    cr_assert_eq(seal(KAP_SPAN("need: a loan")), KAP_OK);
    const kap_seal_keys_t *key = recipient;
    cr_assert_eq(unseal_with(&key, 1, &out), KAP_OK);
    cr_expect(kap_span_eq_str(kap_buf_span(&clear), "need: a loan"));
    cr_expect_eq(out.sealed_at, NOW);
    cr_expect_arr_eq(out.signer, sender->public, 32);
    cr_expect_eq(unseal(own), KAP_OK);
    cr_expect_eq(unseal(other), KAP_E_DENIED);
    cr_expect_eq(clear.size, 0);
}

Test(seal, a_retired_key_still_opens)
{
    kap_unsealed_t out;
    uint8_t to[1][32];
    memcpy(to[0], retired->public, 32);
    cr_assert_eq(kap_seal(KAP_SPAN("x"), &bound, sender, (const uint8_t(*)[32])to, 1, NOW, &box),
                 KAP_OK);
    const kap_seal_keys_t *keys[] = {recipient, other, retired};
    cr_expect_eq(unseal_with(keys, 2, &out), KAP_E_DENIED);
    cr_expect_eq(unseal_with(keys, 3, &out), KAP_OK);
}

Test(seal, it_is_bound_to_its_referral_and_its_mesh)
{
    cr_assert_eq(seal(KAP_SPAN("x")), KAP_OK);
    bound.referral = KAP_SPAN("r2");
    cr_expect_eq(unseal(recipient), KAP_E_CORRUPT);
    bound = (kap_seal_binding_t){other_mesh, KAP_SPAN("r1")};
    cr_expect_eq(unseal(recipient), KAP_E_CORRUPT);
    bound.mesh = mesh;
    cr_expect_eq(unseal(recipient), KAP_OK);
}

Test(seal, contents_of_another_signer_are_refused)
{
    uint8_t to[1][32];
    memcpy(to[0], recipient->public, 32);
    cr_assert_eq(kap_seal(KAP_SPAN("x"), &bound, stranger, (const uint8_t(*)[32])to, 1, NOW, &box),
                 KAP_OK);
    cr_expect_eq(unseal(recipient), KAP_E_CORRUPT);
}

Test(seal, an_old_signing_key_verifies)
{
    kap_unsealed_t out;
    uint8_t signers[2][32];
    memcpy(signers[0], stranger->public, 32);
    memcpy(signers[1], sender->public, 32);
    cr_assert_eq(seal(KAP_SPAN("x")), KAP_OK);
    const kap_seal_keys_t *key = recipient;
    cr_expect_eq(kap_unseal(kap_buf_span(&box), &bound, &key, 1, (const uint8_t(*)[32])signers, 2,
                            &clear, &out),
                 KAP_OK);
}

Test(seal, no_changed_byte_is_taken)
{
    cr_assert_eq(seal(KAP_SPAN("contents")), KAP_OK);
    for (size_t i = 0; i < box.size; i++) {
        box.data[i] ^= 1;
        int rc = unseal(recipient);
        /* a changed hint or box for the sender hides nothing: the head is bound too */
        cr_expect_neq(rc, KAP_OK, "byte %zu", i);
        cr_expect_eq(clear.size, 0);
        box.data[i] ^= 1;
    }
    cr_expect_eq(unseal(recipient), KAP_OK);
}

Test(seal, no_cut_and_no_longer_box_is_taken)
{
    kap_unsealed_t out;
    cr_assert_eq(seal(KAP_SPAN("contents")), KAP_OK);
    size_t size = box.size;
    const kap_seal_keys_t *key = recipient;
    for (size_t cut = 0; cut < size; cut++) {
        kap_span_t part = kap_span(box.data, cut);
        int rc = kap_unseal(part, &bound, &key, 1, (const uint8_t(*)[32])sender->public, 1, &clear,
                            &out);
        cr_expect_neq(rc, KAP_OK);
    }
    kap_buf_u8(&box, 0);
    cr_expect_eq(unseal(recipient), KAP_E_CORRUPT);
}

Test(seal, another_version_is_said)
{
    cr_assert_eq(seal(KAP_SPAN("x")), KAP_OK);
    box.data[0] = 2;
    cr_expect_eq(unseal(recipient), KAP_E_VERSION);
}

Test(seal, sizes_come_in_classes)
{
    static const uint32_t rows[][2] = {{0, 256},       {256, 256},    {257, 384}, {384, 384},
                                       {385, 512},     {512, 512},    {513, 768}, {32768, 32768},
                                       {32769, 49152}, {49152, 49152}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_expect_eq(kap_seal_padded(rows[i][0]), rows[i][1], "%u", rows[i][0]);
    }
    cr_assert_eq(seal(KAP_SPAN("x")), KAP_OK);
    size_t one = box.size;
    cr_assert_eq(seal(KAP_SPAN("a name, a street and a telephone number")), KAP_OK);
    cr_expect_eq(box.size, one);
}

Test(seal, empty_and_largest_contents_go_through_and_no_larger)
{
    static uint8_t large[KAP_SEAL_CONTENTS_BYTES + 1];
    cr_assert_eq(seal(kap_span("", 0)), KAP_OK);
    cr_expect_eq(unseal(recipient), KAP_OK);
    cr_expect_eq(clear.size, 0);
    cr_assert_eq(seal(kap_span(large, KAP_SEAL_CONTENTS_BYTES)), KAP_OK);
    cr_expect_leq(box.size + 16, 65536);
    cr_expect_eq(unseal(own), KAP_OK);
    cr_expect_eq(clear.size, KAP_SEAL_CONTENTS_BYTES);
    cr_expect_eq(seal(kap_span(large, sizeof(large))), KAP_E_LIMIT);
}

Test(seal, number_of_recipients_is_bounded)
{
    static uint8_t to[KAP_SEAL_RECIPIENTS + 1][32];
    for (size_t i = 0; i < KAP_SEAL_RECIPIENTS + 1; i++) {
        memcpy(to[i], recipient->public, 32);
    }
    const uint8_t(*all)[32] = (const uint8_t(*)[32])to;
    cr_expect_eq(kap_seal(KAP_SPAN("x"), &bound, sender, all, 0, NOW, &box), KAP_E_LIMIT);
    cr_expect_eq(kap_seal(KAP_SPAN("x"), &bound, sender, all, KAP_SEAL_RECIPIENTS + 1, NOW, &box),
                 KAP_E_LIMIT);
    cr_expect_eq(kap_seal(KAP_SPAN("x"), &bound, sender, all, KAP_SEAL_RECIPIENTS, NOW, &box),
                 KAP_OK);
    cr_expect_eq(unseal(recipient), KAP_OK);
}

Test(seal, a_key_that_is_none_is_refused)
{
    static const uint8_t zero[1][32];
    cr_expect_eq(kap_seal(KAP_SPAN("x"), &bound, sender, zero, 1, NOW, &box), KAP_E_INVALID);
    cr_expect_eq(box.size, 0);
}
