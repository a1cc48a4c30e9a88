/* SPDX-License-Identifier: MPL-2.0 */
#include "record.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "log.h"
#include "node.h"

static void pair(kap_buf_t *json, const char *name, kap_span_t text)
{
    kap_buf_printf(json, ",\"%s\":\"", name);
    kap_buf_json_text(json, text);
    kap_buf_str(json, "\"");
}

static void pair_time(kap_buf_t *json, const char *name, int64_t at_ms)
{
    char text[KAP_TIME_TEXT];
    kap_time_format_utc(at_ms, text);
    pair(json, name, kap_span_str(text));
}

static void pair_codes(kap_buf_t *json, const kap_field_row_t *row, uint64_t mask)
{
    bool first = true;
    kap_buf_printf(json, ",\"%s\":[", row->wire);
    for (int code = 0; code < kap_code_count(row->list); code++) {
        if (!(mask & (UINT64_C(1) << code)))
            continue;
        kap_buf_printf(json, "%s\"%s\"", first ? "" : ",", kap_code_name(row->list, code));
        first = false;
    }
    kap_buf_str(json, "]");
}

static void pair_basis(kap_buf_t *json, const kap_basis_t *basis)
{
    pair(json, "basis.disclosure",
         kap_span_str(kap_code_name(KAP_LIST_DISCLOSURE, basis->disclosure)));
    pair(json, "basis.gdpr", kap_span_str(kap_code_name(KAP_LIST_GDPR, basis->gdpr)));
    if (!kap_span_empty(basis->statute))
        pair(json, "basis.statute", basis->statute);
    if (!kap_span_empty(basis->consent_date))
        pair(json, "basis.consent_date", basis->consent_date);
}

static void value_put(kap_buf_t *json, const kap_value_t *value)
{
    const kap_field_row_t *row = kap_field_row((kap_field_t)value->field);
    bool is_bytes =
        row->type == KAP_TYPE_BIN || row->type == KAP_TYPE_HASH || row->type == KAP_TYPE_EPOCH;
    switch (value->kind) {
    case KAP_VALUE_SPAN:
        if (!is_bytes)
            pair(json, row->wire, value->s);
        break;
    case KAP_VALUE_INT:
        if (row->type == KAP_TYPE_CODE)
            pair(json, row->wire, kap_span_str(kap_code_name(row->list, (int)value->i)));
        else if (row->type == KAP_TYPE_MS)
            pair_time(json, row->wire, value->i);
        else
            kap_buf_printf(json, ",\"%s\":%lld", row->wire, (long long)value->i);
        break;
    case KAP_VALUE_BOOL:
        kap_buf_printf(json, ",\"%s\":%s", row->wire, value->b ? "true" : "false");
        break;
    case KAP_VALUE_CODES:
        pair_codes(json, row, value->mask);
        break;
    case KAP_VALUE_BASIS:
        pair_basis(json, value->basis);
        break;
    default: /* lists and maps are in nothing that is written to a file */
        break;
    }
}

static int json_of(const kap_received_t *received, kap_buf_t *json)
{
    const kap_event_t *ev = received->event;
    const kap_value_t *contents = NULL;
    uint32_t count = 0;
    kap_arena_t *arena = kap_arena_new(4096);
    int rc = arena ? KAP_OK : KAP_E_NOMEM;
    if (rc == KAP_OK && !kap_span_empty(received->contents))
        rc = kap_contents_decode(ev->type, received->contents, arena, &contents, &count, NULL);
    if (rc == KAP_OK) {
        kap_buf_printf(json, "{\"event\":\"%s\"", kap_event_type_name(ev->type));
        pair_time(json, "time", ev->time);
        for (uint32_t i = 0; i < ev->value_count; i++)
            value_put(json, &ev->values[i]);
        for (uint32_t i = 0; i < count; i++)
            if (!kap_event_get(ev, (kap_field_t)contents[i].field))
                value_put(json, &contents[i]);
        kap_buf_str(json, "}\n");
        rc = json->err;
    }
    kap_arena_destroy(&arena);
    return rc;
}

int kap_record_folder(const kap_node_t *node, const char *key, void **folder)
{
    const char *path = kap_conf_str(kap_node_conf(node), key);
    *folder = NULL;
    if (!path)
        return KAP_OK;
    int rc = kap_folder_open(NULL, path, 0700, (kap_folder_t **)folder);
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "folder_not_opened", KAP_S("key", key), KAP_S("path", path),
                KAP_S("error", kap_err_text(rc)));
    return rc;
}

void kap_record_folder_close(void **folder)
{
    kap_folder_close((kap_folder_t **)folder);
}

int kap_record_write(const kap_folder_t *folder, const char *name, const kap_received_t *received)
{
    kap_buf_t json = {0};
    int rc = json_of(received, &json);
    if (rc == KAP_OK)
        rc = kap_folder_write(folder, name, kap_buf_span(&json));
    kap_buf_wipe(&json);
    if (rc == KAP_OK)
        KAP_LOG(KAP_LOG_INFO, "record_written", KAP_S("file", name));
    return rc;
}
