/* SPDX-License-Identifier: MPL-2.0 */
/* Answers as JSON and CSV (cli.h, saying.h). */
#include "saying.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "ids.h"

static bool ends_with(kap_span_t text, const char *end)
{
    size_t n = strlen(end);
    return text.size >= n && memcmp(text.data + text.size - n, end, n) == 0;
}

static json_t *text_of_time(int64_t at_ms)
{
    char text[KAP_TIME_TEXT];
    kap_time_format_utc(at_ms, text);
    return json_string(text);
}

static json_t *text_of_bin(kap_span_t bin)
{
    kap_buf_t hex;
    kap_buf_init(&hex);
    for (size_t i = 0; i < bin.size; i++)
        kap_buf_printf(&hex, "%02x", bin.data[i]);
    json_t *text = json_stringn((const char *)hex.data, hex.size);
    kap_buf_fini(&hex);
    return text;
}

static json_t *json_of(const kap_mp_t *node, kap_span_t key)
{
    switch (node->kind) {
    case KAP_MP_NIL:
        return json_null();
    case KAP_MP_BOOL:
        return json_boolean(node->b);
    case KAP_MP_INT:
        return ends_with(key, "_at") || ends_with(key, "_time") ? text_of_time(node->i)
                                                                : json_integer(node->i);
    case KAP_MP_UINT:
        return json_real((double)node->u);
    case KAP_MP_STR:
        return json_stringn((const char *)node->s.data, node->s.size);
    case KAP_MP_BIN:
        return text_of_bin(node->s);
    case KAP_MP_ARRAY: {
        json_t *array = json_array();
        for (uint32_t i = 0; i < node->count; i++)
            json_array_append_new(array, json_of(kap_mp_item(node, i), kap_span_str("")));
        return array;
    }
    case KAP_MP_MAP: {
        json_t *object = json_object();
        for (uint32_t i = 0; i < node->count; i++) {
            kap_span_t name = kap_mp_key(node, i)->s;
            json_object_setn_new(object, (const char *)name.data, name.size,
                                 json_of(kap_mp_value(node, i), name));
        }
        return object;
    }
    }
    return json_null();
}

static void dump(const kap_mp_t *root, FILE *out, size_t flags)
{
    json_t *json = json_of(root, kap_span_str(""));
    json_dumpf(json, out, flags);
    fputc('\n', out);
    json_decref(json);
}

void kap_cli_print_json(const kap_mp_t *root, FILE *out)
{
    dump(root, out, JSON_INDENT(2));
}

void kap_cli_print_json_line(const kap_mp_t *root, FILE *out)
{
    dump(root, out, JSON_COMPACT);
}

void kap_cli_json_sorted(const kap_mp_t *root, const char *without, kap_buf_t *out)
{
    json_t *json = json_of(root, kap_span_str(""));
    if (without)
        json_object_del(json, without);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (text)
        kap_buf_str(out, text);
    else
        out->err = KAP_E_NOMEM;
    free(text);
    json_decref(json);
}

/* Depth is bounded by jansson. */
static int node_of(kap_arena_t *arena, const json_t *json, kap_mp_t *out);

static int text_node(kap_arena_t *arena, kap_span_t text, kap_mp_t *out)
{
    *out = (kap_mp_t){.kind = KAP_MP_STR, .s = kap_arena_dup(arena, text)};
    return out->s.data ? KAP_OK : KAP_E_NOMEM;
}

static int object_node(kap_arena_t *arena, const json_t *json, kap_mp_t *out)
{
    kap_mp_t *items = kap_arena_alloc(arena, (2 * json_object_size(json) + 1) * sizeof *items);
    const char *name;
    json_t *value;
    int rc = items ? KAP_OK : KAP_E_NOMEM;
    *out = (kap_mp_t){.kind = KAP_MP_MAP, .items = items};
    json_object_foreach((json_t *)json, name, value)
    {
        if (rc == KAP_OK)
            rc = text_node(arena, kap_span_str(name), &items[2 * (size_t)out->count]);
        if (rc == KAP_OK)
            rc = node_of(arena, value, &items[2 * (size_t)out->count + 1]);
        out->count += rc == KAP_OK;
    }
    return rc;
}

static int array_node(kap_arena_t *arena, const json_t *json, kap_mp_t *out)
{
    kap_mp_t *items = kap_arena_alloc(arena, (json_array_size(json) + 1) * sizeof *items);
    int rc = items ? KAP_OK : KAP_E_NOMEM;
    *out = (kap_mp_t){.kind = KAP_MP_ARRAY, .items = items};
    for (size_t i = 0; rc == KAP_OK && i < json_array_size(json); i++) {
        rc = node_of(arena, json_array_get(json, i), &items[i]);
        out->count += rc == KAP_OK;
    }
    return rc;
}

static int node_of(kap_arena_t *arena, const json_t *json, kap_mp_t *out)
{
    char number[64];
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return object_node(arena, json, out);
    case JSON_ARRAY:
        return array_node(arena, json, out);
    case JSON_STRING:
        return text_node(arena, kap_span(json_string_value(json), json_string_length(json)), out);
    case JSON_INTEGER:
        *out = (kap_mp_t){.kind = KAP_MP_INT, .i = json_integer_value(json)};
        return KAP_OK;
    case JSON_REAL:
        snprintf(number, sizeof number, "%.17g", json_real_value(json));
        return text_node(arena, kap_span_str(number), out);
    case JSON_NULL:
        *out = (kap_mp_t){.kind = KAP_MP_NIL};
        return KAP_OK;
    default:
        *out = (kap_mp_t){.kind = KAP_MP_BOOL, .b = json_is_true(json)};
        return KAP_OK;
    }
}

int kap_cli_read_json(kap_arena_t *arena, kap_span_t text, kap_mp_t *root)
{
    json_t *json = json_loadb((const char *)text.data, text.size, 0, NULL);
    int rc = json ? node_of(arena, json, root) : KAP_E_INVALID;
    json_decref(json);
    return rc;
}

static void set_text(json_t *object, const char *name, kap_span_t text)
{
    if (!kap_span_empty(text))
        json_object_set_new(object, name, json_stringn((const char *)text.data, text.size));
}

void kap_cli_print_act(const kap_cli_act_t *act, FILE *out)
{
    json_t *object = json_object();
    json_object_set_new(object, "act", json_integer(act->act));
    set_text(object, "subject", act->subject);
    if (act->of_referral)
        set_text(object, "referral", act->subject);
    set_text(object, "case", act->whole);
    set_text(object, "next", act->next);
    set_text(object, "fate", act->fate);
    if (act->log_seq > 0)
        json_object_set_new(object, "log_seq", json_integer(act->log_seq));
    set_text(object, "sentence", act->sentence);
    json_dumpf(object, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(object);
}

void kap_cli_csv_field(FILE *out, kap_span_t text, bool last)
{
    bool quoted = false;
    for (size_t i = 0; i < text.size; i++)
        quoted |= strchr("\",\r\n;", text.data[i]) != NULL;
    if (quoted)
        fputc('"', out);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            fputc('"', out);
        fputc(text.data[i], out);
    }
    if (quoted)
        fputc('"', out);
    fputs(last ? "\r\n" : ",", out);
}
