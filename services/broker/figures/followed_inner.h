/* SPDX-License-Identifier: MPL-2.0 */
/*
 * followed_inner: keys of the index, shared by its writer (followed.c) and its readers
 * (followed_walk.c). Nobody else includes it.
 */
#ifndef KAP_FOLLOWED_INNER_H
#define KAP_FOLLOWED_INNER_H

#include "be.h"
#include "followed.h"

/* A key under way: appended to in the order of followed.h. */
static inline void kap_fkey_begin(kap_key_t *key, uint32_t region, kap_followed_kind_t kind)
{
    kap_be_put_u32(key->bytes, region);
    key->bytes[4] = (uint8_t)kind;
    key->size = 5;
}

static inline void kap_fkey_u8(kap_key_t *key, uint8_t value)
{
    key->bytes[key->size++] = value;
}

static inline void kap_fkey_u32(kap_key_t *key, uint32_t value)
{
    kap_be_put_u32(key->bytes + key->size, value);
    key->size += 4;
}

static inline void kap_fkey_u64(kap_key_t *key, uint64_t value)
{
    kap_be_put_u64(key->bytes + key->size, value);
    key->size += 8;
}

/* In order also before 1970. */
static inline void kap_fkey_time(kap_key_t *key, int64_t at)
{
    kap_fkey_u64(key, (uint64_t)at ^ UINT64_C(1) << 63);
}

/* A text that others follow: its length in front. At most ID_BYTES. */
static inline void kap_fkey_text(kap_key_t *key, kap_span_t text)
{
    kap_be_put_u16(key->bytes + key->size, (uint16_t)text.size);
    memcpy(key->bytes + key->size + 2, text.data, text.size);
    key->size += 2 + text.size;
}

/* A text at the end. */
static inline void kap_fkey_tail(kap_key_t *key, kap_span_t text)
{
    memcpy(key->bytes + key->size, text.data, text.size);
    key->size += text.size;
}

/* Codes stand as code + 1, so that 0 is none. */
static inline uint8_t kap_fcode(int code)
{
    return (uint8_t)(code + 1);
}

#endif
