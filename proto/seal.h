/* SPDX-License-Identifier: MPL-2.0 */
/* Sealed contents: signed by the sender, then sealed to the recipient and to the
 * sender itself, bound to the referral and to the mesh. A libsodium sealed box is
 * anonymous and anyone can make one, therefore the signature is inside and covers
 * both keys it was sealed to: nobody can re-seal contents to a third key as if the
 * sender had. Padded to size classes, so that the length says little. The caller
 * holds keys in locked memory; clear text given back is the caller's to wipe.
 * Layout (SPEC.md, section Sealed contents): version byte, count of boxes, for each
 * box the first 8 bytes of BLAKE2b of its public key and the content key in a sealed
 * box; nonce; XChaCha20-Poly1305 of (signature, time, signer, contents, padding). */
#ifndef KAP_SEAL_H
#define KAP_SEAL_H

#include <stdint.h>

#include "buf.h"
#include "crypto.h"
#include "span.h"

#define KAP_SEAL_CONTENTS_BYTES 49152 /* 48 KiB: with boxes and padding still below 64 KiB */
#define KAP_SEAL_RECIPIENTS     8

/* What sealed contents are bound to; a box opened with another binding fails. */
typedef struct {
    const uint8_t *mesh; /* 32 bytes */
    kap_span_t referral;
} kap_seal_binding_t;

/* Seals `contents` to n public sealing keys (recipient first, sender itself last).
 * Appends the box to buf. KAP_E_LIMIT: contents or n over the limit; KAP_E_INVALID: a
 * key that is no key; KAP_E_NOMEM. */
int kap_seal(kap_span_t contents, const kap_seal_binding_t *bound, const kap_sign_keys_t *signer,
             const uint8_t (*to)[32], uint32_t n, int64_t now_ms, kap_buf_t *buf);

/* What came out of a box. */
typedef struct {
    int64_t sealed_at;
    uint8_t signer[32]; /* the public signing key that signed; already verified */
} kap_unsealed_t;

/* Opens a box with the first of n key pairs that fits (the current one first, retired
 * ones after it) and verifies the signature by one of the sender's public signing
 * keys (m, the current one first). Appends the clear text to buf. KAP_E_DENIED: no key
 * fits; KAP_E_CORRUPT: not a box, changed, bound to another referral or mesh, or not
 * signed by any of the sender's keys; KAP_E_VERSION. Untouched on failure. */
int kap_unseal(kap_span_t box, const kap_seal_binding_t *bound, const kap_seal_keys_t *const keys[],
               uint32_t n, const uint8_t (*signers)[32], uint32_t m, kap_buf_t *buf,
               kap_unsealed_t *out);

/* The padded size of contents: 256 bytes, then each power of two and its half-way
 * step (384, 512, 768, ...) up to KAP_SEAL_CONTENTS_BYTES. */
uint32_t kap_seal_padded(uint32_t bytes);

#endif
