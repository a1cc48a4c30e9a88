/* SPDX-License-Identifier: MPL-2.0 */
/* Buffers: bytes that grow. Errors are sticky: after the first failure every append does
 * nothing, and err says why; straight-line code, one check at the end. Embedded in its owner;
 * one thread at a time. {0} is a valid empty buffer. */
#ifndef KAP_BUF_H
#define KAP_BUF_H

#include <stdarg.h>

#include "span.h"

typedef struct {
    uint8_t *data;
    size_t size;
    size_t cap;
    int err; /* KAP_OK or the first failure */
} kap_buf_t;

void kap_buf_init(kap_buf_t *buf);

/* Frees the bytes; the buffer is empty and usable again. */
void kap_buf_fini(kap_buf_t *buf);

/* The same for clear text: the bytes are overwritten first. */
void kap_buf_wipe(kap_buf_t *buf);

/* Empties and clears err, keeps the memory. */
void kap_buf_reset(kap_buf_t *buf);

/* Room for `extra` more bytes: a pointer to them, or NULL (err set). Add to size what was
 * written there. */
static inline uint8_t *kap_buf_reserve(kap_buf_t *buf, size_t extra);

void kap_buf_append(kap_buf_t *buf, kap_span_t bytes);
void kap_buf_str(kap_buf_t *buf, const char *string);
void kap_buf_u8(kap_buf_t *buf, uint8_t value);
void kap_buf_u16be(kap_buf_t *buf, uint16_t value);
void kap_buf_u32be(kap_buf_t *buf, uint32_t value);
void kap_buf_u64be(kap_buf_t *buf, uint64_t value);

/* Appends formatted text, without its NUL. */
void kap_buf_printf(kap_buf_t *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kap_buf_vprintf(kap_buf_t *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The text inside a JSON string, quotes not included: control characters, quote and backslash
 * escaped, bytes that are not UTF-8 as \ufffd. */
void kap_buf_json_text(kap_buf_t *buf, kap_span_t text);

/* The bytes, ended by a NUL that is not counted; "" when empty. Lent until the next append;
 * NULL only when out of memory. */
const char *kap_buf_cstr(kap_buf_t *buf);

/* What kap_buf_reserve does when the room has to grow. */
uint8_t *kap_buf_make_room(kap_buf_t *buf, size_t extra);

static inline uint8_t *kap_buf_reserve(kap_buf_t *buf, size_t extra)
{
    bool fits = buf->err == 0 && buf->data && extra <= buf->cap - buf->size;
    return fits ? buf->data + buf->size : kap_buf_make_room(buf, extra);
}

/* The bytes so far, lent until the next append. */
static inline kap_span_t kap_buf_span(const kap_buf_t *buf)
{
    return (kap_span_t){buf->data, buf->size};
}

/* Takes the bytes out: yours to free(); the buffer is empty. NULL when size is 0 or err is set. */
uint8_t *kap_buf_take(kap_buf_t *buf, size_t *size);

#endif
