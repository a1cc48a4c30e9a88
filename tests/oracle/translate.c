/* SPDX-License-Identifier: MPL-2.0 */
#include "translate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "ids.h"

_Noreturn void wrong_line(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("oracle_player: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

const char *json_text(const json_t *object, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_string_value(value) : otherwise;
}

int64_t json_number(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static kap_span_t span_of(const json_t *text)
{
    return kap_span(json_string_value(text), json_string_length(text));
}

/* --- an event to be published --- */

static kap_span_t raw_of(const json_t *value, kap_arena_t *arena)
{
    kap_buf_t buf = {0};

    put_json(&buf, value);
    kap_span_t kept = kap_arena_dup(arena, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return kept;
}

static uint64_t codes_of(const json_t *list, kap_code_list_t codes)
{
    uint64_t mask = 0;
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        int code = kap_code_parse(codes, span_of(item));
        if (code < 0)
            wrong_line("no code %s", json_string_value(item));
        mask |= UINT64_C(1) << code;
    }
    return mask;
}

static void set_field(kap_event_builder_t *b, const char *key, const json_t *value,
                      kap_arena_t *arena)
{
    kap_field_t field = kap_field_parse(kap_span_str(key));
    const kap_field_row_t *row = kap_field_row(field);

    if (row == NULL)
        wrong_line("no field %s", key);
    if (row->type == KAP_TYPE_CODE)
        kap_event_builder_set_code(b, field, kap_code_parse(row->list, span_of(value)));
    else if (row->type == KAP_TYPE_CODES)
        kap_event_builder_set_codes(b, field, codes_of(value, row->list));
    else if (json_is_boolean(value))
        kap_event_builder_set_bool(b, field, json_is_true(value));
    else if (json_is_integer(value))
        kap_event_builder_set_int(b, field, json_integer_value(value));
    else if (json_is_string(value))
        kap_event_builder_set_span(b, field, span_of(value));
    else
        kap_event_builder_set_raw(b, field, raw_of(value, arena));
}

/* Every created needs a basis, none of them a different one. */
static void set_basis(kap_event_builder_t *b)
{
    static const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};

    if (b->type == KAP_EV_REFERRAL_CREATED || b->type == KAP_EV_REFERRAL_SHARED)
        kap_event_builder_set_basis(b, &basis);
}

/* A digest of an archive: 32 bytes, as hex. */
static void set_digest(kap_event_builder_t *b, const char *hex, kap_arena_t *arena)
{
    uint8_t *digest = kap_arena_alloc(arena, KAP_LIMIT_HASH_BYTES);

    if (kap_hex_decode(kap_span_str(hex), digest, KAP_LIMIT_HASH_BYTES) != KAP_OK)
        wrong_line("a digest has 64 digits");
    kap_event_builder_set_span(b, KAP_F_DIGEST, kap_span(digest, KAP_LIMIT_HASH_BYTES));
}

static void build(const json_t *json, kap_arena_t *arena, kap_event_builder_t *b)
{
    const char *key;
    json_t *value;
    int64_t time = json_number(json, "time", 0);
    kap_span_t type = kap_span_str(json_text(json, "type", ""));

    kap_event_builder_begin(b, kap_event_type_parse(type), kap_span_str(json_text(json, "id", "e")),
                            kap_span_str(json_text(json, "source", "")),
                            (uint64_t)json_number(json, "sequence", 0), time,
                            json_number(json, "recorded", time));
    kap_event_builder_set_group(b, kap_span_str(json_text(json, "group", "")));
    set_basis(b);
    json_object_foreach(json_object_get(json, "data"), key, value)
    {
        if (strcmp(key, "digest") == 0)
            set_digest(b, json_string_value(value), arena);
        else
            set_field(b, key, value, arena);
    }
}

void event_of_json(const json_t *json, kap_arena_t *arena, kap_event_t *ev)
{
    static const uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1}, noise[] = {0xc1};
    kap_event_builder_t b;
    kap_buf_t open = {0}, ends = {0};

    build(json, arena, &b);
    if (json_is_true(json_object_get(json, "broken")))
        kap_buf_append(&open, kap_span(noise, sizeof noise));
    else if (kap_event_builder_finish(&b, salt, kap_span(NULL, 0), &open, &ends) != KAP_OK)
        wrong_line("%s cannot be built: field %s", json_text(json, "type", "?"),
                   kap_field_row(b.field) ? kap_field_row(b.field)->wire : "?");
    kap_event_decode(kap_arena_dup(arena, kap_buf_span(&open)),
                     kap_arena_dup(arena, kap_buf_span(&ends)), kap_span(NULL, 0), arena, ev, NULL);
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

/* --- objects --- */

void put_json(kap_buf_t *buf, const json_t *json)
{
    size_t i;
    const char *key;
    json_t *item;

    switch (json_typeof(json)) {
    case JSON_OBJECT:
        kap_mp_put_map(buf, (uint32_t)json_object_size(json));
        json_object_foreach((json_t *)json, key, item)
        {
            kap_mp_put_cstr(buf, key);
            put_json(buf, item);
        }
        break;
    case JSON_ARRAY:
        kap_mp_put_array(buf, (uint32_t)json_array_size(json));
        json_array_foreach(json, i, item) put_json(buf, item);
        break;
    case JSON_STRING:
        kap_mp_put_str(buf, span_of(json));
        break;
    case JSON_INTEGER:
        kap_mp_put_int(buf, json_integer_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        kap_mp_put_bool(buf, json_is_true(json));
        break;
    default:
        kap_mp_put_nil(buf);
    }
}

static json_t *json_of_bytes(kap_span_t bytes)
{
    char *hex = malloc(2 * bytes.size + 1);

    kap_hex_encode(bytes.data, bytes.size, hex);
    json_t *json = json_string(hex);
    free(hex);
    return json;
}

static json_t *json_of_map(const kap_mp_t *node)
{
    json_t *map = json_object();

    for (uint32_t i = 0; i < node->count; i++) {
        kap_span_t key = kap_mp_key(node, i)->s;
        json_object_setn_new(map, (const char *)key.data, key.size,
                             json_of_node(kap_mp_value(node, i)));
    }
    return map;
}

json_t *json_of_node(const kap_mp_t *node)
{
    json_t *array;

    switch (node->kind) {
    case KAP_MP_NIL:
        return json_null();
    case KAP_MP_BOOL:
        return json_boolean(node->b);
    case KAP_MP_INT:
        return json_integer(node->i);
    case KAP_MP_UINT:
        return json_integer((json_int_t)node->u);
    case KAP_MP_STR:
        return json_stringn((const char *)node->s.data, node->s.size);
    case KAP_MP_BIN:
        return json_of_bytes(node->s);
    case KAP_MP_MAP:
        return json_of_map(node);
    case KAP_MP_ARRAY:
        array = json_array();
        for (uint32_t i = 0; i < node->count; i++)
            json_array_append_new(array, json_of_node(kap_mp_item(node, i)));
        return array;
    }
    return NULL;
}

/* --- an event of the log --- */

static kap_mp_t read_map(kap_span_t bytes, kap_arena_t *arena)
{
    kap_mp_t root;

    if (kap_mp_read(bytes, arena, &root, NULL) != KAP_OK || root.kind != KAP_MP_MAP)
        wrong_line("the log has an event that cannot be read");
    return root;
}

void add_event(json_t *to, kap_span_t open, kap_span_t ends, kap_arena_t *arena)
{
    kap_mp_t root = read_map(open, arena);
    json_t *event = json_of_node(&root);
    json_t *data = json_object_get(event, "data"),
           *whole = data ? json_incref(data) : json_object();

    if (ends.size > KAP_LIMIT_SALT_BYTES) {
        kap_mp_t map = read_map(kap_span_sub(ends, KAP_LIMIT_SALT_BYTES, SIZE_MAX), arena);
        json_t *more = json_of_node(&map);
        json_object_update(whole, more);
        json_decref(more);
    }
    json_object_set(to, "type", json_object_get(event, "type"));
    json_object_set(to, "time", json_object_get(event, "time"));
    json_object_set(to, "recorded", json_object_get(event, "recordedtime"));
    json_object_set_new(to, "data", whole);
    json_decref(event);
}
