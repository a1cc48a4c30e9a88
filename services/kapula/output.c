/* SPDX-License-Identifier: MPL-2.0 */
/* Answers as JSON and CSV (cli.h, saying.h). */
#include "saying.h"

#include <jansson.h>
#include <string.h>

#include "clock.h"
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
    set_text(object, "case", act->whole);
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
