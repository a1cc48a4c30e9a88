/* SPDX-License-Identifier: MPL-2.0 */
/*
 * crypto - hashes, key pairs, key files and Z85, by libsodium.
 *
 * Pure but for the key files. kap_crypto_init once before anything else; then any thread.
 * Secrets live in locked memory that is wiped when destroyed and are never logged; it does not seal
 * or sign (proto/seal), and it does not decide who may do what.
 */
#ifndef KAP_CRYPTO_H
#define KAP_CRYPTO_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

#define KAP_HASH_BYTES    32
#define KAP_SIPHASH_BYTES 16
#define KAP_KEY_BYTES     32
#define KAP_Z85_KEY_CHARS 40

/* 0 or KAP_E_INTERNAL (no source of randomness). Repeatable. */
int kap_crypto_init(void);

/* --- hashes --- */

/* BLAKE2b-256 (RFC 7693, unkeyed) of the parts one after the other, without any separator. */
void kap_hash256(uint8_t out[KAP_HASH_BYTES], const kap_span_t parts[], size_t n);

/* The same in steps. Embedded; nothing to free. */
typedef struct {
    alignas(64) uint8_t opaque[384];
} kap_hash_t;
void kap_hash_init(kap_hash_t *hash);
void kap_hash_update(kap_hash_t *hash, kap_span_t part);
void kap_hash_final(kap_hash_t *hash, uint8_t out[KAP_HASH_BYTES]);

/* SipHash-2-4 with 128 bits. Several parts: each part is hashed with the hash of the ones before it
 * as the key, so parts cannot run into each other and nothing is copied. n = 0 gives the key
 * itself. */
void kap_siphash128(uint8_t out[KAP_SIPHASH_BYTES], const uint8_t key[16], const kap_span_t parts[],
                    size_t n);

/* Constant time. */
bool kap_crypto_equal(const void *a, const void *b, size_t n);

/* --- key pairs --- */

typedef struct { /* CURVE: who may connect */
    uint8_t public[32], secret[32];
} kap_curve_t;

typedef struct { /* X25519: who may read */
    uint8_t public[32], secret[32];
} kap_seal_keys_t;

typedef struct { /* Ed25519: who said it; secret is seed and public key */
    uint8_t public[32], secret[64];
} kap_sign_keys_t;

/* Fresh pairs in locked memory; NULL when out of it. */
kap_curve_t *kap_curve_new(void);
kap_seal_keys_t *kap_seal_keys_new(void);
kap_sign_keys_t *kap_sign_keys_new(void);
kap_curve_t *kap_curve_copy(const kap_curve_t *keys);

/* Wiped, then freed. NULL inside is allowed. */
void kap_curve_destroy(kap_curve_t **keys);
void kap_seal_keys_destroy(kap_seal_keys_t **keys);
void kap_sign_keys_destroy(kap_sign_keys_t **keys);

/* --- key files ---
 * Text: kind = "curve" | "seal" | "sign"; public = "..."; secret = "..."; each on a line, #
 * comments. CURVE keys are Z85, the others lower-case hex, as in the directory. */

/* Makes path with mode 0600, synced. KAP_E_EXISTS: there is one, and it stays as it is;
 * KAP_E_DENIED, KAP_E_NOTFOUND (no such folder), KAP_E_DISK. Nothing is left behind on failure. */
int kap_curve_write(const char *path, const kap_curve_t *keys);
int kap_seal_keys_write(const char *path, const kap_seal_keys_t *keys);
int kap_sign_keys_write(const char *path, const kap_sign_keys_t *keys);

/* Refuses a file that others may write, of another kind, or whose halves do not belong together; a
 * file that others may read is read with a line in messages and in the log. KAP_E_NOTFOUND,
 * KAP_E_DENIED, KAP_E_INVALID, KAP_E_IO, KAP_E_NOMEM, with "path: what, what would be right" in
 * messages (may be NULL). */
int kap_curve_read(const char *path, kap_curve_t **keys, kap_buf_t *messages);
int kap_seal_keys_read(const char *path, kap_seal_keys_t **keys, kap_buf_t *messages);
int kap_sign_keys_read(const char *path, kap_sign_keys_t **keys, kap_buf_t *messages);

/* --- Z85 (ZeroMQ RFC 32) --- */

/* size is a multiple of 4 (our bug otherwise); out gets size * 5 / 4 characters and a NUL. */
void kap_z85_encode(char *out, const uint8_t *data, size_t size);

/* Exactly size * 5 / 4 characters of the alphabet, else KAP_E_INVALID. */
int kap_z85_decode(uint8_t *out, size_t size, kap_span_t text);

#endif
