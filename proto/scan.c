/* SPDX-License-Identifier: MPL-2.0 */
#include "scan.h"

#include "be.h"
#include "err.h"
#include "limit.h"
#include "utf8.h"

enum { FEW_KEYS = 16 }; /* up to here each key is compared with those before it */

typedef struct {
    const uint8_t *data;
    uint32_t size;
} scan_key_t;

typedef struct {
    uint32_t left;  /* objects still to come, keys and values */
    uint32_t first; /* the map's first key in keys */
    bool map;
    uint64_t seen; /* a bit for each key met, by size and edge bytes: most keys meet no other */
} level_t;

typedef struct {
    const uint8_t *at, *end;
    uint32_t depth, max_depth;
    uint32_t objects, max_objects;
    uint32_t key_count;
    const char *why;
    level_t levels[KAP_LIMIT_DEPTH];
    scan_key_t keys[KAP_LIMIT_OBJECTS];
} scan_t;

static int fail(scan_t *s, int code, const char *why)
{
    s->why = why;
    return code;
}

/* Names are ASCII as a rule: words of eight bytes, the last ones overlapping. */
static inline bool is_ascii(const uint8_t *data, size_t size)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t word;
    if (size < sizeof word && size >= 4) {
        uint32_t first, last;
        memcpy(&first, data, sizeof first);
        memcpy(&last, data + size - sizeof last, sizeof last);
        return ((first | last) & (uint32_t)high) == 0;
    }
    if (size < sizeof word) {
        uint8_t seen = 0;
        for (size_t i = 0; i < size; i++) {
            seen |= data[i];
        }
        return seen < 0x80;
    }
    for (size_t i = 0; i + sizeof word < size; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        if (word & high) {
            return false;
        }
    }
    memcpy(&word, data + size - sizeof word, sizeof word);
    return (word & high) == 0;
}

/* Same size given; names that differ mostly differ in their first or last byte. */
static inline bool key_eq(const uint8_t *a, const uint8_t *b, uint32_t size)
{
    return size == 0 || (a[0] == b[0] && a[size - 1] == b[size - 1] && memcmp(a, b, size) == 0);
}

static int key_cmp(const scan_key_t *a, const scan_key_t *b)
{
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    return a->size ? memcmp(a->data, b->data, a->size) : 0;
}

/* Shell sort: in place, no allocation, good enough for at most KAP_LIMIT_OBJECTS keys. */
static void sort_keys(scan_key_t *keys, uint32_t n)
{
    static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < n; i++) {
            scan_key_t key = keys[i];
            uint32_t j = i;
            for (; j >= gap && key_cmp(&keys[j - gap], &key) > 0; j -= gap) {
                keys[j] = keys[j - gap];
            }
            keys[j] = key;
        }
    }
}

/* A key of the innermost map has been read: kept, and compared while there are few. */
static inline int take_key(scan_t *s, level_t *level, const uint8_t *data, uint32_t size)
{
    scan_key_t key = {data, size};
    uint32_t n = s->key_count - level->first;
    uint64_t bit = UINT64_C(1) << ((size * 29 + (size ? data[0] * 5 + data[size - 1] : 0)) & 63);
    bool may_be_there = n < FEW_KEYS && (level->seen & bit);
    level->seen |= bit;
    for (uint32_t i = 0; may_be_there && i < n; i++) {
        const scan_key_t *other = &s->keys[level->first + i];
        if (other->size == size && key_eq(other->data, data, size)) {
            return fail(s, KAP_E_INVALID, "duplicate key in a map");
        }
    }
    if (s->key_count == KAP_LIMIT_OBJECTS) {
        return fail(s, KAP_E_LIMIT, "too many keys");
    }
    s->keys[s->key_count++] = key;
    return KAP_OK;
}

/* The innermost container is complete: many keys are sorted and compared now. */
static int leave(scan_t *s)
{
    level_t *level = &s->levels[--s->depth];
    uint32_t n = s->key_count - level->first;
    scan_key_t *keys = &s->keys[level->first];
    s->key_count = level->first;
    if (!level->map || n <= FEW_KEYS) {
        return KAP_OK;
    }
    sort_keys(keys, n);
    for (uint32_t i = 1; i < n; i++) {
        if (key_cmp(&keys[i - 1], &keys[i]) == 0) {
            return fail(s, KAP_E_INVALID, "duplicate key in a map");
        }
    }
    return KAP_OK;
}

static int enter(scan_t *s, uint32_t count, bool map)
{
    uint64_t items = map ? 2 * (uint64_t)count : count;
    if (items > (uint64_t)(s->end - s->at)) {
        return fail(s, KAP_E_INVALID, "more items announced than bytes left");
    }
    if (s->depth >= s->max_depth) {
        return fail(s, KAP_E_LIMIT, "nested too deep");
    }
    if (items > s->max_objects - s->objects) {
        return fail(s, KAP_E_LIMIT, "too many objects");
    }
    s->levels[s->depth++] = (level_t){.left = (uint32_t)items, .first = s->key_count, .map = map};
    return KAP_OK;
}

static inline int take_bytes(scan_t *s, uint32_t size, bool text, level_t *key_of)
{
    if (size > (size_t)(s->end - s->at)) {
        return fail(s, KAP_E_INVALID, "truncated");
    }
    const uint8_t *data = s->at;
    s->at += size;
    if (text && !is_ascii(data, size) && !kap_utf8_valid(kap_span(data, size), NULL)) {
        return fail(s, KAP_E_INVALID, "a string is not UTF-8");
    }
    return key_of ? take_key(s, key_of, data, size) : KAP_OK;
}

/* A big-endian length of 1, 2 or 4 bytes after the type byte. */
static bool take_length(scan_t *s, unsigned width, uint32_t *length)
{
    if ((size_t)(s->end - s->at) < width) {
        return false;
    }
    *length = width == 1 ? s->at[0] : width == 2 ? kap_be_get_u16(s->at) : kap_be_get_u32(s->at);
    s->at += width;
    return true;
}

static int take_number(scan_t *s, unsigned width)
{
    if ((size_t)(s->end - s->at) < width) {
        return fail(s, KAP_E_INVALID, "truncated");
    }
    s->at += width;
    return KAP_OK;
}

/* Objects with a type byte of their own, 0xc0 to 0xdf; keys are strings only. */
static int take_typed(scan_t *s, uint8_t type, level_t *key_of)
{
    static const uint8_t widths[32] = {[0xc4 - 0xc0] = 1, [0xc5 - 0xc0] = 2, [0xc6 - 0xc0] = 4,
                                       [0xcc - 0xc0] = 1, [0xcd - 0xc0] = 2, [0xce - 0xc0] = 4,
                                       [0xcf - 0xc0] = 8, [0xd0 - 0xc0] = 1, [0xd1 - 0xc0] = 2,
                                       [0xd2 - 0xc0] = 4, [0xd3 - 0xc0] = 8, [0xd9 - 0xc0] = 1,
                                       [0xda - 0xc0] = 2, [0xdb - 0xc0] = 4, [0xdc - 0xc0] = 2,
                                       [0xdd - 0xc0] = 4, [0xde - 0xc0] = 2, [0xdf - 0xc0] = 4};
    unsigned width = widths[type - 0xc0];
    bool text = type >= 0xd9 && type <= 0xdb;
    if (key_of && !text) {
        return fail(s, KAP_E_INVALID, "a map key is not a string");
    }
    if (type == 0xc0 || type == 0xc2 || type == 0xc3) {
        return KAP_OK;
    }
    if (width == 0) { /* never used, floats, extensions */
        return fail(s, KAP_E_INVALID, "a type that the protocol does not use");
    }
    if (type >= 0xcc && type <= 0xd3) {
        return take_number(s, width);
    }
    uint32_t length;
    if (!take_length(s, width, &length)) {
        return fail(s, KAP_E_INVALID, "truncated");
    }
    return type >= 0xdc ? enter(s, length, type >= 0xde) : take_bytes(s, length, text, key_of);
}

static int take_object(scan_t *s)
{
    level_t *key_of = NULL;
    if (s->depth) {
        level_t *level = &s->levels[s->depth - 1];
        key_of = level->map && level->left % 2 == 0 ? level : NULL;
        level->left--;
    }
    if (s->objects++ >= s->max_objects) {
        return fail(s, KAP_E_LIMIT, "too many objects");
    }
    if (s->at == s->end) {
        return fail(s, KAP_E_INVALID, "truncated");
    }
    uint8_t type = *s->at++;
    if (type >= 0xa0 && type <= 0xbf) {
        return take_bytes(s, type & 0x1f, true, key_of);
    }
    if (type >= 0xc0 && type <= 0xdf) {
        return take_typed(s, type, key_of);
    }
    if (key_of) {
        return fail(s, KAP_E_INVALID, "a map key is not a string");
    }
    if (type >= 0x80 && type <= 0x9f) {
        return enter(s, type & 0x0f, type < 0x90);
    }
    return KAP_OK; /* small integers */
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int kap_scan(kap_span_t in, const kap_scan_limits_t *limits, const char **why)
{
    /* 64 KiB of which little is ever touched: never zeroed, whatever the compiler is told */
    scan_t s __attribute__((uninitialized));
    s.at = in.data;
    s.end = in.size ? in.data + in.size : in.data;
    s.depth = s.objects = s.key_count = 0;
    s.max_depth = limits ? lesser(limits->depth, KAP_LIMIT_DEPTH) : KAP_LIMIT_DEPTH;
    s.max_objects = limits ? lesser(limits->objects, KAP_LIMIT_ANSWER_OBJECTS) : KAP_LIMIT_OBJECTS;
    s.why = NULL;
    int rc = in.size ? take_object(&s) : fail(&s, KAP_E_INVALID, "empty");
    while (rc == KAP_OK && s.depth) {
        rc = s.levels[s.depth - 1].left ? take_object(&s) : leave(&s);
    }
    if (rc == KAP_OK && s.at != s.end) {
        rc = fail(&s, KAP_E_INVALID, "bytes after the object");
    }
    if (rc != KAP_OK && why) {
        *why = s.why;
    }
    return rc;
}
