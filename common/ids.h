/* SPDX-License-Identifier: MPL-2.0 */
/* Ids: UUIDs (RFC 9562), random bytes, hex. UUIDs are pure functions of time and randomness given,
 * so that proto and tests can make them too; kap_random is the kernel's. Any thread. */
#ifndef KAP_IDS_H
#define KAP_IDS_H

#include "span.h"

enum { KAP_UUID_TEXT = 37 }; /* 36 characters and a NUL */

/* Version 7: 48 bits of ms, then 74 of the 80 random bits. Lower-case text. */
void kap_uuid_v7(int64_t now_ms, const uint8_t rnd[10], char out[KAP_UUID_TEXT]);

/* Version 7 of now_ms with the kernel's randomness. */
void kap_uuid_v7_random(int64_t now_ms, char out[KAP_UUID_TEXT]);

/* Version 8: 122 bits of a hash, for ids that are derived. */
void kap_uuid_v8(const uint8_t hash[16], char out[KAP_UUID_TEXT]);

/* The 8-4-4-4-12 form in hex of either case, any version; KAP_E_INVALID otherwise. */
int kap_uuid_parse(kap_span_t text, uint8_t out[16]);

/* n bytes from getrandom(2). Aborts if the kernel has none to give: nothing may run without. */
void kap_random(void *out, size_t n);

/* Lower-case hex of n bytes and a NUL: out holds 2 * n + 1. */
void kap_hex_encode(const void *bytes, size_t n, char *out);

/* Exactly n bytes from 2 * n hex digits of either case; KAP_E_INVALID otherwise, out untouched. */
int kap_hex_decode(kap_span_t text, void *out, size_t n);

#endif
