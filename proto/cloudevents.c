/* SPDX-License-Identifier: MPL-2.0 */
#include "cloudevents.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "err.h"
#include "hash.h"

enum { ARENA_BYTES = 16384 };

/* RFC 4648, section 4, padded. The text is the caller's to free(); NULL: out of memory. */
static char *base64(kap_span_t bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((bytes.size + 2) / 3 * 4 + 1);
    char *at = text;
    for (size_t i = 0; text && i < bytes.size; i += 3) {
        size_t n = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t v = (uint32_t)bytes.data[i] << 16;
        v |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        v |= n > 2 ? bytes.data[i + 2] : 0;
        *at++ = letters[v >> 18];
        *at++ = letters[v >> 12 & 63];
        *at++ = n > 1 ? letters[v >> 6 & 63] : '=';
        *at++ = n > 2 ? letters[v & 63] : '=';
    }
    if (text) {
        *at = 0;
    }
    return text;
}

static json_t *json_base64(kap_span_t bytes)
{
    char *text = base64(bytes);
    json_t *json = text ? json_string(text) : NULL;
    free(text);
    return json;
}

static json_t *json_text(kap_span_t text)
{
    return json_stringn((const char *)text.data, text.size);
}

static json_t *json_u64_text(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return json_string(text);
}

static json_t *json_time(int64_t ms)
{
    char text[KAP_TIME_TEXT];
    kap_time_format_utc(ms, text);
    return json_string(text);
}

static json_t *json_of(const kap_mp_t *node);

static json_t *json_array_of(const kap_mp_t *node)
{
    json_t *array = json_array();
    for (uint32_t i = 0; array && i < node->count; i++) {
        if (json_array_append_new(array, json_of(&node->items[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static json_t *json_map_of(const kap_mp_t *node)
{
    json_t *map = json_object();
    for (uint32_t i = 0; map && i < node->count; i++) {
        kap_span_t key = kap_mp_key(node, i)->s;
        if (json_object_setn_new(map, (const char *)key.data, key.size,
                                 json_of(kap_mp_value(node, i))) != 0) {
            json_decref(map);
            map = NULL;
        }
    }
    return map;
}

/* Depth is bounded by the scan that made the nodes. NULL: out of memory. */
static json_t *json_of(const kap_mp_t *node)
{
    switch (node->kind) {
    case KAP_MP_NIL:
        return json_null();
    case KAP_MP_BOOL:
        return json_boolean(node->b);
    case KAP_MP_INT:
        return json_integer(node->i);
    case KAP_MP_UINT:
        return json_u64_text(node->u);
    case KAP_MP_STR:
        return json_text(node->s);
    case KAP_MP_BIN:
        return json_base64(node->s);
    case KAP_MP_ARRAY:
        return json_array_of(node);
    case KAP_MP_MAP:
        return json_map_of(node);
    }
    return NULL;
}

/* One attribute in its CloudEvents form. */
static json_t *attribute_of(const char *key, const kap_mp_t *node)
{
    for (int i = 0; i < KAP_ATTR_COUNT; i++) {
        if (strcmp(kap_attribute_wire((kap_attribute_t)i), key) != 0) {
            continue;
        }
        if (kap_attribute_type((kap_attribute_t)i) == KAP_TYPE_MS && node->kind == KAP_MP_INT) {
            return json_time(node->i);
        }
        if (i == KAP_ATTR_SEQUENCE && node->kind == KAP_MP_INT) {
            return json_u64_text((uint64_t)node->i);
        }
    }
    return json_of(node);
}

static int fill(json_t *event, const kap_mp_t *root, const kap_event_t *ev, bool with_ends)
{
    int bad = 0;
    for (uint32_t i = 0; i < root->count; i++) {
        kap_span_t key = kap_mp_key(root, i)->s;
        char name[64];
        if (key.size >= sizeof name || memchr(key.data, 0, key.size)) {
            continue; /* no CloudEvents attribute has such a name */
        }
        memcpy(name, key.data, key.size);
        name[key.size] = 0;
        bad |= json_object_set_new(event, name, attribute_of(name, kap_mp_value(root, i)));
    }
    bad |= json_object_set_new(event, "datacontenttype", json_string("application/json"));
    if (with_ends && ev->ends.size) {
        bad |= json_object_set_new(event, "ends", json_base64(ev->ends));
    }
    return bad ? KAP_E_NOMEM : KAP_OK;
}

int kap_cloudevents_json(const kap_event_t *ev, bool with_ends, kap_buf_t *out)
{
    int rc = KAP_E_NOMEM;
    kap_mp_t root;
    char *text = NULL;
    kap_arena_t *arena = kap_arena_new(ARENA_BYTES);
    json_t *event = json_object();
    if (!arena || !event) {
        goto done;
    }
    rc = kap_mp_read(ev->open, arena, &root, NULL);
    if (rc != KAP_OK || root.kind != KAP_MP_MAP) {
        rc = rc == KAP_E_NOMEM ? rc : KAP_E_INVALID;
        goto done;
    }
    rc = fill(event, &root, ev, with_ends);
    if (rc != KAP_OK) {
        goto done;
    }
    text = json_dumps(event, JSON_COMPACT);
    rc = KAP_E_NOMEM;
    if (text) {
        kap_buf_str(out, text);
        rc = out->err;
    }
done:
    free(text);
    json_decref(event);
    kap_arena_destroy(&arena);
    return rc;
}
