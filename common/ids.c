/* SPDX-License-Identifier: MPL-2.0 */
#include "ids.h"

#include <errno.h>
#include <sys/random.h>

#include "be.h"
#include "err.h"

static const char digits[] = "0123456789abcdef";

static void uuid_text(uint8_t uuid[16], uint8_t version, char out[KAP_UUID_TEXT])
{
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | version << 4);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    char *at = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[uuid[i] >> 4];
        *at++ = digits[uuid[i] & 0x0f];
    }
    *at = '\0';
}

void kap_uuid_v7(int64_t now_ms, const uint8_t rnd[10], char out[KAP_UUID_TEXT])
{
    uint8_t uuid[16];
    kap_be_put_u64(uuid, (uint64_t)now_ms << 16);
    memcpy(uuid + 6, rnd, 10);
    uuid_text(uuid, 7, out);
}

void kap_uuid_v7_random(int64_t now_ms, char out[KAP_UUID_TEXT])
{
    uint8_t rnd[10];
    kap_random(rnd, sizeof rnd);
    kap_uuid_v7(now_ms, rnd, out);
}

void kap_uuid_v8(const uint8_t hash[16], char out[KAP_UUID_TEXT])
{
    uint8_t uuid[16];
    memcpy(uuid, hash, sizeof uuid);
    uuid_text(uuid, 8, out);
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int kap_uuid_parse(kap_span_t text, uint8_t out[16])
{
    if (text.size != KAP_UUID_TEXT - 1)
        return KAP_E_INVALID;
    uint8_t hex[32];
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text.data[i] == '-'))
            return KAP_E_INVALID;
        if (!dash)
            hex[n++] = text.data[i];
    }
    return kap_hex_decode(kap_span(hex, sizeof hex), out, 16);
}

void kap_random(void *out, size_t n)
{
    uint8_t *at = out;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        KAP_CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

void kap_hex_encode(const void *bytes, size_t n, char *out)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[at[i] >> 4];
        out[2 * i + 1] = digits[at[i] & 0x0f];
    }
    out[2 * n] = '\0';
}

int kap_hex_decode(kap_span_t text, void *out, size_t n)
{
    if (text.size != 2 * n)
        return KAP_E_INVALID;
    for (size_t i = 0; i < text.size; i++) {
        if (nibble(text.data[i]) < 0)
            return KAP_E_INVALID;
    }
    uint8_t *at = out;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(nibble(text.data[2 * i]) << 4 | nibble(text.data[2 * i + 1]));
    return KAP_OK;
}
