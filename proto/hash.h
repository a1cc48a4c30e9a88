/* SPDX-License-Identifier: MPL-2.0 */
/* The hashes of the log (SPEC.md, Hashes), all BLAKE2b-256: content 0x01, leaf 0x00,
 * chain 0x02, start of a chain 0x03, Merkle node 0x04. Pure; any thread. */
#ifndef KAP_HASH_H
#define KAP_HASH_H

#include "limit.h"
#include "span.h"

/* H(0x01 | open) */
void kap_content_hash(kap_span_t open, uint8_t out[KAP_LIMIT_HASH_BYTES]);

/* H(part), salt included: what the open part binds. */
void kap_part_hash(kap_span_t part, uint8_t out[KAP_LIMIT_HASH_BYTES]);

/* H(0x00 | committed_at (8, big-endian) | verdict (1) | content | ends | sealed); NULL stands
 * for 32 zero bytes: the event has no such part. verdict: KAP_VERDICT_. */
void kap_leaf(int64_t committed_at, uint8_t verdict, const uint8_t content[KAP_LIMIT_HASH_BYTES],
              const uint8_t *ends_hash, const uint8_t *sealed_hash,
              uint8_t out[KAP_LIMIT_HASH_BYTES]);

/* H(0x03 | mesh | epoch): h(0) of a store, so that a chain belongs to one mesh. */
void kap_chain_start(const uint8_t mesh[KAP_LIMIT_HASH_BYTES],
                     const uint8_t epoch[KAP_LIMIT_EPOCH_BYTES], uint8_t out[KAP_LIMIT_HASH_BYTES]);

/* H(0x02 | h(n-1) | leaf(n)); out may be prev. */
void kap_chain(const uint8_t prev[KAP_LIMIT_HASH_BYTES], const uint8_t leaf[KAP_LIMIT_HASH_BYTES],
               uint8_t out[KAP_LIMIT_HASH_BYTES]);

/* Root over n leaves: pairs from the left become H(0x04 | left | right), an odd last one goes
 * up as it is, until one is left; 32 zero bytes when n is 0. Uses `leaves` as scratch. */
void kap_merkle_root(uint8_t (*leaves)[KAP_LIMIT_HASH_BYTES], size_t n,
                     uint8_t out[KAP_LIMIT_HASH_BYTES]);

#endif
