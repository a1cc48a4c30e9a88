/* SPDX-License-Identifier: MPL-2.0 */
#include "mp.h"

#include <msgpack.h>
#include <stddef.h>

#include "be.h"
#include "err.h"
#include "limit.h"
#include "scan.h"

enum { ZONE_BYTES = 4096 }; /* holds a usual event whole */

/* A zone that begins in memory of ours, so that a usual event allocates nothing. Only what
 * it takes beyond that is its own to free. */
static msgpack_zone zone_in(char *room, size_t size)
{
    return (msgpack_zone){.chunk_list = {.free = size, .ptr = room}, .chunk_size = size};
}

static void zone_done(msgpack_zone *zone)
{
    if (zone->chunk_list.head) {
        msgpack_zone_destroy(zone);
    }
}

static int convert(const msgpack_object *from, kap_arena_t *arena, kap_mp_t *to);

static int convert_map(const msgpack_object_map *map, kap_arena_t *arena, kap_mp_t *to)
{
    kap_mp_t *items = kap_arena_alloc(arena, 2 * (size_t)map->size * sizeof *items);
    int rc = items ? KAP_OK : KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < map->size; i++) {
        rc = convert(&map->ptr[i].key, arena, &items[2 * i]);
        rc = rc == KAP_OK ? convert(&map->ptr[i].val, arena, &items[2 * i + 1]) : rc;
    }
    to->kind = KAP_MP_MAP;
    to->count = map->size;
    to->items = items;
    return rc;
}

static int convert_array(const msgpack_object_array *array, kap_arena_t *arena, kap_mp_t *to)
{
    kap_mp_t *items = kap_arena_alloc(arena, (size_t)array->size * sizeof *items);
    int rc = items ? KAP_OK : KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < array->size; i++) {
        rc = convert(&array->ptr[i], arena, &items[i]);
    }
    to->kind = KAP_MP_ARRAY;
    to->count = array->size;
    to->items = items;
    return rc;
}

/* Depth is bounded by the scan, so this recursion is too. */
static int convert(const msgpack_object *from, kap_arena_t *arena, kap_mp_t *to)
{
    to->count = 0;
    switch (from->type) {
    case MSGPACK_OBJECT_NIL:
        to->kind = KAP_MP_NIL;
        return KAP_OK;
    case MSGPACK_OBJECT_BOOLEAN:
        to->kind = KAP_MP_BOOL;
        to->b = from->via.boolean;
        return KAP_OK;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        to->kind = from->via.u64 <= INT64_MAX ? KAP_MP_INT : KAP_MP_UINT;
        to->u = from->via.u64;
        return KAP_OK;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        to->kind = KAP_MP_INT;
        to->i = from->via.i64;
        return KAP_OK;
    case MSGPACK_OBJECT_STR:
        to->kind = KAP_MP_STR;
        to->s = kap_span(from->via.str.ptr, from->via.str.size);
        return KAP_OK;
    case MSGPACK_OBJECT_BIN:
        to->kind = KAP_MP_BIN;
        to->s = kap_span(from->via.bin.ptr, from->via.bin.size);
        return KAP_OK;
    case MSGPACK_OBJECT_ARRAY:
        return convert_array(&from->via.array, arena, to);
    case MSGPACK_OBJECT_MAP:
        return convert_map(&from->via.map, arena, to);
    default: /* the scan lets no float and no extension through */
        return KAP_E_INVALID;
    }
}

static int read_within(kap_span_t in, const kap_scan_limits_t *limits, kap_arena_t *arena,
                       kap_mp_t *root, const char **why)
{
    int rc = kap_scan(in, limits, why);
    if (rc != KAP_OK) {
        return rc;
    }
    _Alignas(max_align_t) char room[ZONE_BYTES] __attribute__((uninitialized));
    msgpack_zone zone = zone_in(room, sizeof room);
    msgpack_object object;
    size_t off = 0;
    kap_mp_t node;
    msgpack_unpack_return got =
        msgpack_unpack((const char *)in.data, in.size, &off, &zone, &object);
    if (got == MSGPACK_UNPACK_SUCCESS && off == in.size) {
        rc = convert(&object, arena, &node);
    } else {
        rc = got == MSGPACK_UNPACK_NOMEM_ERROR ? KAP_E_NOMEM : KAP_E_INVALID;
    }
    if (rc == KAP_OK) {
        *root = node;
    } else if (why) {
        *why = rc == KAP_E_NOMEM ? "out of memory" : "not decodable";
    }
    zone_done(&zone);
    return rc;
}

int kap_mp_read(kap_span_t in, kap_arena_t *arena, kap_mp_t *root, const char **why)
{
    return read_within(in, NULL, arena, root, why);
}

int kap_mp_read_answer(kap_span_t in, kap_arena_t *arena, kap_mp_t *root, const char **why)
{
    kap_scan_limits_t limits = {KAP_LIMIT_DEPTH, KAP_LIMIT_ANSWER_OBJECTS};
    return read_within(in, &limits, arena, root, why);
}

const kap_mp_t *kap_mp_get(const kap_mp_t *map, const char *key)
{
    if (!map || map->kind != KAP_MP_MAP) {
        return NULL;
    }
    size_t size = strlen(key);
    for (uint32_t i = 0; i < map->count; i++) {
        kap_span_t have = map->items[2 * i].s;
        if (have.size == size && memcmp(have.data, key, size) == 0) {
            return &map->items[2 * i + 1];
        }
    }
    return NULL;
}

bool kap_mp_int(const kap_mp_t *node, int64_t min, int64_t max, int64_t *out)
{
    if (!node || node->kind != KAP_MP_INT || node->i < min || node->i > max) {
        return false;
    }
    *out = node->i;
    return true;
}

bool kap_mp_u64(const kap_mp_t *node, uint64_t *out)
{
    if (!node || !(node->kind == KAP_MP_UINT || (node->kind == KAP_MP_INT && node->i >= 0))) {
        return false;
    }
    *out = node->u;
    return true;
}

bool kap_mp_bool(const kap_mp_t *node, bool *out)
{
    if (!node || node->kind != KAP_MP_BOOL) {
        return false;
    }
    *out = node->b;
    return true;
}

bool kap_mp_str(const kap_mp_t *node, kap_span_t *out)
{
    if (!node || node->kind != KAP_MP_STR) {
        return false;
    }
    *out = node->s;
    return true;
}

bool kap_mp_bin(const kap_mp_t *node, kap_span_t *out)
{
    if (!node || node->kind != KAP_MP_BIN) {
        return false;
    }
    *out = node->s;
    return true;
}

int64_t kap_mp_get_int(const kap_mp_t *map, const char *key, int64_t otherwise)
{
    kap_mp_int(kap_mp_get(map, key), INT64_MIN, INT64_MAX, &otherwise);
    return otherwise;
}

bool kap_mp_get_bool(const kap_mp_t *map, const char *key, bool otherwise)
{
    kap_mp_bool(kap_mp_get(map, key), &otherwise);
    return otherwise;
}

kap_span_t kap_mp_get_str(const kap_mp_t *map, const char *key)
{
    kap_span_t out = {NULL, 0};
    kap_mp_str(kap_mp_get(map, key), &out);
    return out;
}

kap_span_t kap_mp_get_bin(const kap_mp_t *map, const char *key)
{
    kap_span_t out = {NULL, 0};
    kap_mp_bin(kap_mp_get(map, key), &out);
    return out;
}

/* One type byte and a big-endian number of 1, 2, 4 or 8 bytes. */
static void put_head(kap_buf_t *buf, uint8_t type, unsigned width, uint64_t number)
{
    uint8_t *at = kap_buf_reserve(buf, 1 + width);
    if (!at) {
        return;
    }
    at[0] = type;
    if (width == 1) {
        at[1] = (uint8_t)number;
    } else if (width == 2) {
        kap_be_put_u16(at + 1, (uint16_t)number);
    } else if (width == 4) {
        kap_be_put_u32(at + 1, (uint32_t)number);
    } else if (width == 8) {
        kap_be_put_u64(at + 1, number);
    }
    buf->size += 1 + width;
}

void kap_mp_put_map(kap_buf_t *buf, uint32_t pairs)
{
    if (pairs < 16) {
        put_head(buf, (uint8_t)(0x80 | pairs), 0, 0);
    } else if (pairs <= UINT16_MAX) {
        put_head(buf, 0xde, 2, pairs);
    } else {
        put_head(buf, 0xdf, 4, pairs);
    }
}

void kap_mp_put_array(kap_buf_t *buf, uint32_t items)
{
    if (items < 16) {
        put_head(buf, (uint8_t)(0x90 | items), 0, 0);
    } else if (items <= UINT16_MAX) {
        put_head(buf, 0xdc, 2, items);
    } else {
        put_head(buf, 0xdd, 4, items);
    }
}

void kap_mp_put_str(kap_buf_t *buf, kap_span_t text)
{
    if (text.size < 32) {
        put_head(buf, (uint8_t)(0xa0 | text.size), 0, 0);
    } else if (text.size <= UINT8_MAX) {
        put_head(buf, 0xd9, 1, text.size);
    } else if (text.size <= UINT16_MAX) {
        put_head(buf, 0xda, 2, text.size);
    } else if (text.size <= UINT32_MAX) {
        put_head(buf, 0xdb, 4, text.size);
    } else {
        buf->err = buf->err ? buf->err : KAP_E_LIMIT;
    }
    kap_buf_append(buf, text);
}

void kap_mp_put_cstr(kap_buf_t *buf, const char *text)
{
    kap_mp_put_str(buf, kap_span_str(text));
}

void kap_mp_put_bin(kap_buf_t *buf, kap_span_t bytes)
{
    if (bytes.size <= UINT8_MAX) {
        put_head(buf, 0xc4, 1, bytes.size);
    } else if (bytes.size <= UINT16_MAX) {
        put_head(buf, 0xc5, 2, bytes.size);
    } else if (bytes.size <= UINT32_MAX) {
        put_head(buf, 0xc6, 4, bytes.size);
    } else {
        buf->err = buf->err ? buf->err : KAP_E_LIMIT;
    }
    kap_buf_append(buf, bytes);
}

void kap_mp_put_int(kap_buf_t *buf, int64_t value)
{
    if (value >= 0) {
        kap_mp_put_uint(buf, (uint64_t)value);
    } else if (value >= -32) {
        put_head(buf, (uint8_t)value, 0, 0);
    } else if (value >= INT8_MIN) {
        put_head(buf, 0xd0, 1, (uint64_t)value);
    } else if (value >= INT16_MIN) {
        put_head(buf, 0xd1, 2, (uint64_t)value);
    } else if (value >= INT32_MIN) {
        put_head(buf, 0xd2, 4, (uint64_t)value);
    } else {
        put_head(buf, 0xd3, 8, (uint64_t)value);
    }
}

void kap_mp_put_uint(kap_buf_t *buf, uint64_t value)
{
    if (value < 128) {
        put_head(buf, (uint8_t)value, 0, 0);
    } else if (value <= UINT8_MAX) {
        put_head(buf, 0xcc, 1, value);
    } else if (value <= UINT16_MAX) {
        put_head(buf, 0xcd, 2, value);
    } else if (value <= UINT32_MAX) {
        put_head(buf, 0xce, 4, value);
    } else {
        put_head(buf, 0xcf, 8, value);
    }
}

void kap_mp_put_bool(kap_buf_t *buf, bool value)
{
    put_head(buf, value ? 0xc3 : 0xc2, 0, 0);
}

void kap_mp_put_nil(kap_buf_t *buf)
{
    put_head(buf, 0xc0, 0, 0);
}

void kap_mp_put_node(kap_buf_t *buf, const kap_mp_t *node)
{
    switch (node->kind) {
    case KAP_MP_NIL:
        kap_mp_put_nil(buf);
        return;
    case KAP_MP_BOOL:
        kap_mp_put_bool(buf, node->b);
        return;
    case KAP_MP_INT:
        kap_mp_put_int(buf, node->i);
        return;
    case KAP_MP_UINT:
        kap_mp_put_uint(buf, node->u);
        return;
    case KAP_MP_STR:
        kap_mp_put_str(buf, node->s);
        return;
    case KAP_MP_BIN:
        kap_mp_put_bin(buf, node->s);
        return;
    case KAP_MP_ARRAY:
    case KAP_MP_MAP: {
        bool map = node->kind == KAP_MP_MAP;
        uint32_t n = map ? 2 * node->count : node->count;
        (map ? kap_mp_put_map : kap_mp_put_array)(buf, node->count);
        for (uint32_t i = 0; i < n; i++) {
            kap_mp_put_node(buf, &node->items[i]);
        }
        return;
    }
    }
}
