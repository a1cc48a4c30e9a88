/* SPDX-License-Identifier: MPL-2.0 */
/* MessagePack, the one door to msgpack-c. Reading: scanned bytes become nodes in an
 * arena; strings and bins lend from the input, which must outlive them. Writing: into a
 * kap_buf_t (sticky error there), integers in their shortest form. Pure; any thread. */
#ifndef KAP_MP_H
#define KAP_MP_H

#include "arena.h"
#include "buf.h"
#include "span.h"

typedef enum {
    KAP_MP_NIL,
    KAP_MP_BOOL,
    KAP_MP_INT,  /* fits int64 */
    KAP_MP_UINT, /* 2^63 and above */
    KAP_MP_STR,
    KAP_MP_BIN,
    KAP_MP_ARRAY,
    KAP_MP_MAP,
} kap_mp_kind_t;

typedef struct kap_mp kap_mp_t;
struct kap_mp {
    kap_mp_kind_t kind;
    uint32_t count; /* items of an array, pairs of a map */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        kap_span_t s;
        const kap_mp_t *items; /* array: count nodes; map: key, value, key, value ... */
    };
};

/* Scans (kap_scan, default limits) and reads exactly one object. KAP_E_INVALID or
 * KAP_E_LIMIT with *why (may be NULL) set, KAP_E_NOMEM. The nodes live in the arena. */
int kap_mp_read(kap_span_t in, kap_arena_t *arena, kap_mp_t *root, const char **why);

/* The same for the map of an answer: at most KAP_LIMIT_ANSWER_OBJECTS. */
int kap_mp_read_answer(kap_span_t in, kap_arena_t *arena, kap_mp_t *root, const char **why);

/* The value under a key, NULL when `map` is NULL, no map, or has no such key. */
const kap_mp_t *kap_mp_get(const kap_mp_t *map, const char *key);

/* The i-th item of an array, the i-th key or value of a map; NULL outside. */
static inline const kap_mp_t *kap_mp_item(const kap_mp_t *array, uint32_t index)
{
    bool there = array && array->kind == KAP_MP_ARRAY && index < array->count;
    return there ? &array->items[index] : NULL;
}

static inline const kap_mp_t *kap_mp_key(const kap_mp_t *map, uint32_t index)
{
    bool there = map && map->kind == KAP_MP_MAP && index < map->count;
    return there ? &map->items[2 * (size_t)index] : NULL;
}

static inline const kap_mp_t *kap_mp_value(const kap_mp_t *map, uint32_t index)
{
    const kap_mp_t *key = kap_mp_key(map, index);
    return key ? key + 1 : NULL;
}

/* Typed readings: true and *out set when the node is there and of that kind and range. */
bool kap_mp_int(const kap_mp_t *node, int64_t min, int64_t max, int64_t *out);
bool kap_mp_u64(const kap_mp_t *node, uint64_t *out);
bool kap_mp_bool(const kap_mp_t *node, bool *out);
bool kap_mp_str(const kap_mp_t *node, kap_span_t *out);
bool kap_mp_bin(const kap_mp_t *node, kap_span_t *out);

/* The same by key of a map, with a default where it is absent or of another kind. */
int64_t kap_mp_get_int(const kap_mp_t *map, const char *key, int64_t otherwise);
bool kap_mp_get_bool(const kap_mp_t *map, const char *key, bool otherwise);
kap_span_t kap_mp_get_str(const kap_mp_t *map, const char *key); /* empty when absent */
kap_span_t kap_mp_get_bin(const kap_mp_t *map, const char *key); /* empty when absent */

/* Writing. A map(n) is followed by n keys and values, an array(n) by n items. A span over
 * 2^32-1 bytes sets KAP_E_LIMIT in the buffer. */
void kap_mp_put_map(kap_buf_t *buf, uint32_t pairs);
void kap_mp_put_array(kap_buf_t *buf, uint32_t items);
void kap_mp_put_str(kap_buf_t *buf, kap_span_t text);
void kap_mp_put_cstr(kap_buf_t *buf, const char *text);
void kap_mp_put_bin(kap_buf_t *buf, kap_span_t bytes);
void kap_mp_put_int(kap_buf_t *buf, int64_t value);
void kap_mp_put_uint(kap_buf_t *buf, uint64_t value);
void kap_mp_put_bool(kap_buf_t *buf, bool value);
void kap_mp_put_nil(kap_buf_t *buf);

/* A whole node, as it was read. */
void kap_mp_put_node(kap_buf_t *buf, const kap_mp_t *node);

#endif
