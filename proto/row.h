/* SPDX-License-Identifier: MPL-2.0 */
/* Private to proto: how the rows of its machines are written. LEB128 varints, zigzag
 * for what may be negative, spans behind their length. A writer writes into room that
 * was reserved whole; a reader is sticky: after the first wrong byte it gives zeros and
 * `bad` stays set. Bytes of one version only; the version byte is the first. */
#ifndef KAP_ROW_H
#define KAP_ROW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "span.h"

enum { KAP_ROW_VARINT_BYTES = 10 };

static inline uint8_t *kap_row_put(uint8_t *p, uint64_t value)
{
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

static inline uint8_t *kap_row_put_signed(uint8_t *p, int64_t value)
{
    return kap_row_put(p, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline uint8_t *kap_row_put_span(uint8_t *p, kap_span_t span)
{
    p = kap_row_put(p, span.size);
    if (span.size > 0) {
        memcpy(p, span.data, span.size);
    }
    return p + span.size;
}

typedef struct {
    const uint8_t *p, *end;
    bool bad;
} kap_row_t;

static inline uint64_t kap_row_get(kap_row_t *row)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (row->p == row->end) {
            break;
        }
        uint8_t byte = *row->p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    row->bad = true;
    row->p = row->end;
    return 0;
}

static inline uint8_t kap_row_get_byte(kap_row_t *row)
{
    if (row->p == row->end) {
        row->bad = true;
        return 0;
    }
    return *row->p++;
}

/* A code that was written as its number + 1: -1 to count - 1, else the row is bad. */
static inline int8_t kap_row_get_code(kap_row_t *row, int count)
{
    int code = (int)kap_row_get_byte(row) - 1;
    row->bad |= code >= count;
    return (int8_t)(code < count ? code : -1);
}

static inline int64_t kap_row_get_signed(kap_row_t *row)
{
    uint64_t value = kap_row_get(row);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline kap_span_t kap_row_get_span(kap_row_t *row)
{
    uint64_t size = kap_row_get(row);
    if (size > (uint64_t)(row->end - row->p)) {
        row->bad = true;
        row->p = row->end;
        return (kap_span_t){NULL, 0};
    }
    kap_span_t span = kap_span(row->p, (size_t)size);
    row->p += size;
    return span;
}

/* Exactly one row was there. */
static inline bool kap_row_whole(const kap_row_t *row)
{
    return !row->bad && row->p == row->end;
}

#endif
