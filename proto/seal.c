/* SPDX-License-Identifier: MPL-2.0 */
#include "seal.h"

#include <sodium.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "limit.h"

/* version (1) | boxes (1) | boxes x (hint (8) | sealed content key) | nonce | ciphertext */
enum {
    VERSION = 1,
    HEAD_BYTES = 2,
    HINT_BYTES = 8,
    KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    BOX_BYTES = HINT_BYTES + KEY_BYTES + crypto_box_SEALBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    /* clear text: signature | signer | time | size of contents | contents | zeros */
    SIGNATURE_BYTES = crypto_sign_BYTES,
    CLEAR_HEAD_BYTES = SIGNATURE_BYTES + 32 + 8 + 4,
    PAD_LEAST = 256,
};

_Static_assert(HEAD_BYTES + KAP_SEAL_RECIPIENTS * BOX_BYTES + NONCE_BYTES + CLEAR_HEAD_BYTES +
                       KAP_SEAL_CONTENTS_BYTES + TAG_BYTES + KAP_LIMIT_SALT_BYTES <=
                   KAP_LIMIT_SEALED_BYTES,
               "the largest contents fit into a sealed part");

uint32_t kap_seal_padded(uint32_t bytes)
{
    uint32_t size = PAD_LEAST;
    while (size < bytes) {
        if (size + size / 2 >= bytes) {
            return size + size / 2;
        }
        size *= 2;
    }
    return size;
}

static void hint_of(const uint8_t public_key[32], uint8_t out[HINT_BYTES])
{
    uint8_t hash[32];
    crypto_generichash(hash, sizeof(hash), public_key, 32, NULL, 0);
    memcpy(out, hash, HINT_BYTES);
}

/* What the contents are bound to: mesh, referral and the head with every box, so that
 * nobody can add, drop or swap a recipient. */
static void bind(const kap_seal_binding_t *bound, kap_span_t head, uint8_t out[32])
{
    crypto_generichash_state state;
    uint8_t size[4];
    kap_be_put_u32(size, (uint32_t)bound->referral.size);
    crypto_generichash_init(&state, NULL, 0, 32);
    crypto_generichash_update(&state, (const uint8_t *)"kapula sealed 1", 15);
    crypto_generichash_update(&state, bound->mesh, 32);
    crypto_generichash_update(&state, size, sizeof(size));
    crypto_generichash_update(&state, bound->referral.data, bound->referral.size);
    crypto_generichash_update(&state, head.data, head.size);
    crypto_generichash_final(&state, out, 32);
}

/* What is signed: the binding and everything in the clear text behind the signature. */
static void digest_of(const uint8_t binding[32], kap_span_t said, uint8_t out[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 32);
    crypto_generichash_update(&state, (const uint8_t *)"kapula signed 1", 15);
    crypto_generichash_update(&state, binding, 32);
    crypto_generichash_update(&state, said.data, said.size);
    crypto_generichash_final(&state, out, 32);
}

static int put_head(uint8_t *head, const uint8_t (*to)[32], uint32_t n,
                    const uint8_t key[KEY_BYTES])
{
    head[0] = VERSION;
    head[1] = (uint8_t)n;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *box = head + HEAD_BYTES + i * BOX_BYTES;
        hint_of(to[i], box);
        if (crypto_box_seal(box + HINT_BYTES, key, KEY_BYTES, to[i]) != 0) {
            return KAP_E_INVALID; /* a key of low order: no secret would be kept from anybody */
        }
    }
    return KAP_OK;
}

/* signature | signer | time | size | contents | padding */
static void put_clear(uint8_t *clear, kap_span_t contents, uint32_t padded,
                      const kap_sign_keys_t *signer, const uint8_t binding[32], int64_t now_ms)
{
    uint8_t digest[32], *said = clear + SIGNATURE_BYTES;
    memcpy(said, signer->public, 32);
    kap_be_put_u64(said + 32, (uint64_t)now_ms);
    kap_be_put_u32(said + 40, (uint32_t)contents.size);
    if (contents.size > 0) {
        memcpy(said + 44, contents.data, contents.size);
    }
    memset(said + 44 + contents.size, 0, padded - contents.size);
    digest_of(binding, kap_span(said, 44 + contents.size), digest);
    crypto_sign_detached(clear, NULL, digest, sizeof(digest), signer->secret);
}

int kap_seal(kap_span_t contents, const kap_seal_binding_t *bound, const kap_sign_keys_t *signer,
             const uint8_t (*to)[32], uint32_t n, int64_t now_ms, kap_buf_t *buf)
{
    uint8_t key[KEY_BYTES], binding[32];
    if (contents.size > KAP_SEAL_CONTENTS_BYTES || n < 1 || n > KAP_SEAL_RECIPIENTS) {
        return KAP_E_LIMIT;
    }
    uint32_t padded = kap_seal_padded((uint32_t)contents.size);
    size_t head = HEAD_BYTES + (size_t)n * BOX_BYTES, clear = CLEAR_HEAD_BYTES + (size_t)padded;
    size_t size = head + NONCE_BYTES + clear + TAG_BYTES;
    uint8_t *out = kap_buf_reserve(buf, size);
    if (!out) {
        return KAP_E_NOMEM;
    }
    randombytes_buf(key, sizeof(key));
    int rc = put_head(out, to, n, key);
    if (rc == KAP_OK) {
        uint8_t *nonce = out + head, *text = nonce + NONCE_BYTES;
        bind(bound, kap_span(out, head), binding);
        randombytes_buf(nonce, NONCE_BYTES);
        put_clear(text, contents, padded, signer, binding, now_ms);
        crypto_aead_xchacha20poly1305_ietf_encrypt(text, NULL, text, clear, binding,
                                                   sizeof(binding), NULL, nonce, key);
        buf->size += size;
    }
    sodium_memzero(key, sizeof(key));
    return rc;
}

/* --- opening --- */

/* The content key, by the first of the key pairs that a box is for. */
static int open_key(kap_span_t head, uint32_t boxes, const kap_seal_keys_t *const keys[],
                    uint32_t n, uint8_t key[KEY_BYTES])
{
    for (uint32_t k = 0; k < n; k++) {
        uint8_t hint[HINT_BYTES];
        hint_of(keys[k]->public, hint);
        for (uint32_t i = 0; i < boxes; i++) {
            const uint8_t *box = head.data + HEAD_BYTES + i * BOX_BYTES;
            if (memcmp(box, hint, HINT_BYTES) == 0 &&
                crypto_box_seal_open(key, box + HINT_BYTES, BOX_BYTES - HINT_BYTES, keys[k]->public,
                                     keys[k]->secret) == 0) {
                return KAP_OK;
            }
        }
    }
    return KAP_E_DENIED;
}

/* Size, signer and signature of an opened clear text. */
static int verify(kap_span_t clear, const uint8_t binding[32], const uint8_t (*signers)[32],
                  uint32_t m, kap_span_t *contents, kap_unsealed_t *out)
{
    const uint8_t *said = clear.data + SIGNATURE_BYTES;
    uint32_t size = kap_be_get_u32(said + 40);
    uint8_t digest[32];
    if (size > clear.size - CLEAR_HEAD_BYTES) {
        return KAP_E_CORRUPT;
    }
    digest_of(binding, kap_span(said, 44 + (size_t)size), digest);
    for (uint32_t i = 0; i < m; i++) {
        if (memcmp(said, signers[i], 32) == 0 &&
            crypto_sign_verify_detached(clear.data, digest, sizeof(digest), signers[i]) == 0) {
            out->sealed_at = (int64_t)kap_be_get_u64(said + 32);
            memcpy(out->signer, signers[i], 32);
            *contents = kap_span(said + 44, size);
            return KAP_OK;
        }
    }
    return KAP_E_CORRUPT;
}

/* Decrypts behind the head into `clear` and verifies. */
static int open_text(kap_span_t head, kap_span_t rest, const kap_seal_binding_t *bound,
                     const uint8_t key[KEY_BYTES], uint8_t *clear, kap_span_t *contents,
                     const uint8_t (*signers)[32], uint32_t m, kap_unsealed_t *out)
{
    uint8_t binding[32];
    bind(bound, head, binding);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(clear, NULL, NULL, rest.data + NONCE_BYTES,
                                                   rest.size - NONCE_BYTES, binding,
                                                   sizeof(binding), rest.data, key) != 0) {
        return KAP_E_CORRUPT;
    }
    size_t size = rest.size - NONCE_BYTES - TAG_BYTES;
    return verify(kap_span(clear, size), binding, signers, m, contents, out);
}

int kap_unseal(kap_span_t box, const kap_seal_binding_t *bound, const kap_seal_keys_t *const keys[],
               uint32_t n, const uint8_t (*signers)[32], uint32_t m, kap_buf_t *buf,
               kap_unsealed_t *out)
{
    uint8_t key[KEY_BYTES];
    if (box.size < HEAD_BYTES) {
        return KAP_E_CORRUPT;
    }
    if (box.data[0] != VERSION) {
        return KAP_E_VERSION;
    }
    size_t head = HEAD_BYTES + (size_t)box.data[1] * BOX_BYTES;
    size_t least = head + NONCE_BYTES + CLEAR_HEAD_BYTES + TAG_BYTES;
    if (box.data[1] > KAP_SEAL_RECIPIENTS || box.size < least ||
        box.size > least + KAP_SEAL_CONTENTS_BYTES) {
        return KAP_E_CORRUPT;
    }
    int rc = open_key(kap_span(box.data, head), box.data[1], keys, n, key);
    if (rc != KAP_OK) {
        return rc;
    }
    uint8_t *clear = kap_buf_reserve(buf, box.size);
    kap_span_t contents = kap_span("", 0);
    rc = KAP_E_NOMEM;
    if (clear) {
        rc = open_text(kap_span(box.data, head), kap_span(box.data + head, box.size - head), bound,
                       key, clear, &contents, signers, m, out);
    }
    if (rc == KAP_OK) {
        memmove(clear, contents.data, contents.size);
        buf->size += contents.size;
        sodium_memzero(clear + contents.size, box.size - contents.size);
    } else if (clear) {
        sodium_memzero(clear, box.size);
    }
    sodium_memzero(key, sizeof(key));
    return rc;
}
