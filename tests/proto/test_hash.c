/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "hash.h"
#include "ids.h"

static void expect_hex(const uint8_t hash[KAP_LIMIT_HASH_BYTES], const char *hex)
{
    char text[2 * KAP_LIMIT_HASH_BYTES + 1];
    kap_hex_encode(hash, KAP_LIMIT_HASH_BYTES, text);
    cr_expect_str_eq(text, hex);
}

/* Expected values by Python: hashlib.blake2b(bytes, digest_size=32).hexdigest() */
Test(hash, content_is_blake2b_of_01_and_the_open_part)
{
    uint8_t hash[KAP_LIMIT_HASH_BYTES];
    kap_content_hash(KAP_SPAN("open"), hash);
    expect_hex(hash, "dca72d20f9124a25bfd6c30f2c6de67a9b726ad8b11f4adc36a79348b4e4642b");
    kap_part_hash(KAP_SPAN("open"), hash);
    expect_hex(hash, "8a1b6a4c47c2ffe3955db8cb53bbc569bd614b0490271d541be1b7d3c35043c5");
}

Test(hash, a_large_open_part_hashes_alike)
{
    static uint8_t big[KAP_LIMIT_OPEN_BYTES];
    uint8_t hash[KAP_LIMIT_HASH_BYTES];
    kap_content_hash(kap_span(big, sizeof big), hash);
    expect_hex(hash, "96b982ac209929062bafc5c97e2cb702cf2e29967e1a1081856f96a33abbe3b6");
    kap_content_hash(kap_span(big, 1024), hash);
    expect_hex(hash, "dc364511f3c1f8327b0adf7df36893a516940cc982df611bbdf35af97c74e4f9");
    kap_content_hash(kap_span(big, 1025), hash);
    expect_hex(hash, "6beb74cb351f6916f8173361c860bbec88490506913f0f747786c0fbede5b8f1");
}

Test(hash, a_leaf_holds_time_verdict_and_the_three_hashes)
{
    uint8_t content[KAP_LIMIT_HASH_BYTES], ends[KAP_LIMIT_HASH_BYTES], out[KAP_LIMIT_HASH_BYTES];
    memset(content, 0x11, sizeof content);
    memset(ends, 0x22, sizeof ends);
    kap_leaf(1763755000123, 1, content, ends, NULL, out);
    expect_hex(out, "e222180459470cd4b947ebc8e7bba505e77900ad6354afbc06b6967808f395a3");
    kap_leaf(-1, 0, content, NULL, NULL, out);
    expect_hex(out, "d1403ff7ae9c62bfddf7e5b0fed4bbe2f16d92235d6b682820041ff81845e440");
}

Test(hash, a_chain_begins_with_mesh_and_epoch)
{
    uint8_t mesh[KAP_LIMIT_HASH_BYTES], epoch[KAP_LIMIT_EPOCH_BYTES], leaf[KAP_LIMIT_HASH_BYTES];
    uint8_t chain[KAP_LIMIT_HASH_BYTES];
    memset(mesh, 0x33, sizeof mesh);
    memset(epoch, 0x44, sizeof epoch);
    memset(leaf, 0x55, sizeof leaf);
    kap_chain_start(mesh, epoch, chain);
    expect_hex(chain, "da2840a704bfcc1cca709bf280a299f57e8572d8814982d821c67ea8afb1eb1e");
    kap_chain(chain, leaf, chain);
    expect_hex(chain, "a3f8eea58acd3ec5f3a0baeb7272ebd9cbbd49b56edd2b2f72bda050efb5b500");
}

Test(hash, a_merkle_root_passes_an_odd_leaf_up)
{
    uint8_t leaves[3][KAP_LIMIT_HASH_BYTES], out[KAP_LIMIT_HASH_BYTES];
    for (int i = 0; i < 3; i++) {
        memset(leaves[i], i + 1, sizeof leaves[i]);
    }
    kap_merkle_root(leaves, 1, out);
    cr_expect_arr_eq(out, leaves[0], sizeof out);
    kap_merkle_root(leaves, 3, out);
    expect_hex(out, "edde9caba7090c710f47512b1c5af8da3228011e9728dfcc7143555993668e36");
    kap_merkle_root(leaves, 0, out);
    expect_hex(out, "0000000000000000000000000000000000000000000000000000000000000000");
}
