/* SPDX-License-Identifier: MPL-2.0 */
#include "hash.h"

#include "be.h"
#include "codes.h"
#include "crypto.h"
#include "err.h"
#include "seeded.h"

enum { TAG_LEAF = 0x00, TAG_CONTENT = 0x01, TAG_CHAIN = 0x02, TAG_START = 0x03, TAG_NODE = 0x04 };
enum { HASH = KAP_LIMIT_HASH_BYTES, ONE_SHOT = 1024 };

_Static_assert(KAP_HASH_BYTES == KAP_LIMIT_HASH_BYTES, "one size of hash");

void kap_content_hash(kap_span_t open, uint8_t out[HASH])
{
    uint8_t bytes[1 + ONE_SHOT] __attribute__((uninitialized));
    bytes[0] = TAG_CONTENT;
    if (open.size > ONE_SHOT) {
        kap_hash256(out, (kap_span_t[]){kap_span(bytes, 1), open}, 2);
        return;
    }
    /* a copy of a usual event is cheaper than hashing in steps */
    if (open.size) {
        memcpy(bytes + 1, open.data, open.size);
    }
    kap_part_hash(kap_span(bytes, 1 + open.size), out);
}

void kap_part_hash(kap_span_t part, uint8_t out[HASH])
{
    kap_hash256(out, &part, 1);
}

void kap_leaf(int64_t committed_at, uint8_t verdict, const uint8_t content[HASH],
              const uint8_t *ends_hash, const uint8_t *sealed_hash, uint8_t out[HASH])
{
    uint8_t bytes[1 + 8 + 1 + 3 * HASH] = {TAG_LEAF};
    kap_be_put_u64(bytes + 1, (uint64_t)committed_at);
    bytes[9] = KAP_SEEDED_BUG("verdict_not_hashed") ? 0 : verdict;
    memcpy(bytes + 10, content, HASH);
    if (ends_hash) {
        memcpy(bytes + 10 + HASH, ends_hash, HASH);
    }
    if (sealed_hash) {
        memcpy(bytes + 10 + 2 * HASH, sealed_hash, HASH);
    }
    kap_part_hash(kap_span(bytes, sizeof bytes), out);
}

void kap_chain_start(const uint8_t mesh[HASH], const uint8_t epoch[KAP_LIMIT_EPOCH_BYTES],
                     uint8_t out[HASH])
{
    uint8_t bytes[1 + HASH + KAP_LIMIT_EPOCH_BYTES] = {TAG_START};
    memcpy(bytes + 1, mesh, HASH);
    memcpy(bytes + 1 + HASH, epoch, KAP_LIMIT_EPOCH_BYTES);
    kap_part_hash(kap_span(bytes, sizeof bytes), out);
}

/* H(tag | left | right) */
static void pair(uint8_t tag, const uint8_t left[HASH], const uint8_t right[HASH],
                 uint8_t out[HASH])
{
    uint8_t bytes[1 + 2 * HASH];
    bytes[0] = tag;
    memcpy(bytes + 1, left, HASH);
    memcpy(bytes + 1 + HASH, right, HASH);
    kap_part_hash(kap_span(bytes, sizeof bytes), out);
}

void kap_chain(const uint8_t prev[HASH], const uint8_t leaf[HASH], uint8_t out[HASH])
{
    pair(TAG_CHAIN, prev, leaf, out);
}

void kap_merkle_root(uint8_t (*leaves)[HASH], size_t n, uint8_t out[HASH])
{
    if (n == 0) {
        memset(out, 0, HASH);
        return;
    }
    while (n > 1) {
        for (size_t i = 0; i < n / 2; i++) {
            pair(TAG_NODE, leaves[2 * i], leaves[2 * i + 1], leaves[i]);
        }
        if (n % 2) {
            memmove(leaves[n / 2], leaves[n - 1], HASH);
        }
        n = (n + 1) / 2;
    }
    memcpy(out, leaves[0], HASH);
}
