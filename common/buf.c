/* SPDX-License-Identifier: MPL-2.0 */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "utf8.h"

enum { FIRST_BYTES = 64 };

void kap_buf_init(kap_buf_t *buf)
{
    *buf = (kap_buf_t){0};
}

void kap_buf_fini(kap_buf_t *buf)
{
    free(buf->data);
    kap_buf_init(buf);
}

void kap_buf_wipe(kap_buf_t *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->cap);
    kap_buf_fini(buf);
}

void kap_buf_reset(kap_buf_t *buf)
{
    buf->size = 0;
    buf->err = KAP_OK;
}

static int grow(kap_buf_t *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : FIRST_BYTES;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    uint8_t *data = realloc(buf->data, cap);
    if (!data)
        return KAP_E_NOMEM;
    buf->data = data;
    buf->cap = cap;
    return KAP_OK;
}

uint8_t *kap_buf_make_room(kap_buf_t *buf, size_t extra)
{
    if (buf->err != KAP_OK)
        return NULL;
    size_t need;
    if (__builtin_add_overflow(buf->size, extra, &need))
        buf->err = KAP_E_NOMEM;
    else if (need > buf->cap || !buf->data)
        buf->err = grow(buf, need);
    return buf->err == KAP_OK ? buf->data + buf->size : NULL;
}

void kap_buf_append(kap_buf_t *buf, kap_span_t bytes)
{
    uint8_t *at = kap_buf_reserve(buf, bytes.size);
    if (!at || bytes.size == 0)
        return;
    memcpy(at, bytes.data, bytes.size);
    buf->size += bytes.size;
}

void kap_buf_str(kap_buf_t *buf, const char *string)
{
    kap_buf_append(buf, kap_span_str(string));
}

void kap_buf_u8(kap_buf_t *buf, uint8_t value)
{
    kap_buf_append(buf, kap_span(&value, 1));
}

void kap_buf_u16be(kap_buf_t *buf, uint16_t value)
{
    uint8_t bytes[2];
    kap_be_put_u16(bytes, value);
    kap_buf_append(buf, kap_span(bytes, sizeof bytes));
}

void kap_buf_u32be(kap_buf_t *buf, uint32_t value)
{
    uint8_t bytes[4];
    kap_be_put_u32(bytes, value);
    kap_buf_append(buf, kap_span(bytes, sizeof bytes));
}

void kap_buf_u64be(kap_buf_t *buf, uint64_t value)
{
    uint8_t bytes[8];
    kap_be_put_u64(bytes, value);
    kap_buf_append(buf, kap_span(bytes, sizeof bytes));
}

void kap_buf_printf(kap_buf_t *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kap_buf_vprintf(buf, format, args);
    va_end(args);
}

void kap_buf_vprintf(kap_buf_t *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    if (size < 0 && buf->err == KAP_OK)
        buf->err = KAP_E_INVALID;
    uint8_t *at = size < 0 ? NULL : kap_buf_reserve(buf, (size_t)size + 1);
    if (at) {
        vsnprintf((char *)at, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
}

static void json_escape(kap_buf_t *buf, uint32_t point)
{
    if (point == '"' || point == '\\')
        kap_buf_printf(buf, "\\%c", (int)point);
    else if (point == '\n')
        kap_buf_str(buf, "\\n");
    else if (point == '\t')
        kap_buf_str(buf, "\\t");
    else
        kap_buf_printf(buf, "\\u%04x", (unsigned)point);
}

void kap_buf_json_text(kap_buf_t *buf, kap_span_t text)
{
    const uint8_t *plain = text.data; /* start of what goes out as it is */
    while (text.size) {
        const uint8_t *at = text.data;
        bool byte = *at < 0x80;
        uint32_t point = kap_utf8_next(&text);
        /* U+FFFD is one byte taken only when that byte was bad. */
        bool bad = !byte && text.data == at + 1;
        if (!bad && point >= 0x20 && point != '"' && point != '\\' && point != 0x7f)
            continue;
        kap_buf_append(buf, kap_span(plain, (size_t)(at - plain)));
        json_escape(buf, point);
        plain = text.data;
    }
    kap_buf_append(buf, kap_span(plain, (size_t)(text.data - plain)));
}

const char *kap_buf_cstr(kap_buf_t *buf)
{
    int err = buf->err;
    buf->err = KAP_OK; /* what was written before a failure is still text */
    uint8_t *end = kap_buf_reserve(buf, 1);
    if (end)
        *end = '\0';
    if (err != KAP_OK)
        buf->err = err;
    return end ? (const char *)buf->data : NULL;
}

uint8_t *kap_buf_take(kap_buf_t *buf, size_t *size)
{
    if (buf->err != KAP_OK || buf->size == 0)
        return NULL;
    uint8_t *data = buf->data;
    *size = buf->size;
    kap_buf_init(buf);
    return data;
}
