/* SPDX-License-Identifier: MPL-2.0 */
#include "rows.h"

#include <string.h>

#include "be.h"
#include "err.h"

const char *const kap_node_tables[KAP_TABLE_COUNT + 1] = {
    "meta",       "lines",    "outbox",    "receipts", "acts",   "act_keys", "marks",
    "inbox",      "subjects", "referrals", "cases",    "forums", "meetings", "actions",
    "statements", "pending",  "again",     "taken",    NULL};

kap_row_t kap_row(kap_span_t bytes)
{
    return (kap_row_t){.rest = bytes};
}

const uint8_t *kap_row_bytes(kap_row_t *row, size_t n)
{
    if (row->err || row->rest.size < n) {
        row->err = KAP_E_CORRUPT;
        return NULL;
    }
    const uint8_t *at = row->rest.data;
    row->rest.data += n;
    row->rest.size -= n;
    return at;
}

uint8_t kap_row_u8(kap_row_t *row)
{
    const uint8_t *at = kap_row_bytes(row, 1);
    return at ? at[0] : 0;
}

static uint32_t row_u32(kap_row_t *row)
{
    const uint8_t *at = kap_row_bytes(row, 4);
    return at ? kap_be_get_u32(at) : 0;
}

uint64_t kap_row_u64(kap_row_t *row)
{
    const uint8_t *at = kap_row_bytes(row, 8);
    return at ? kap_be_get_u64(at) : 0;
}

kap_span_t kap_row_span(kap_row_t *row)
{
    uint32_t size = row_u32(row);
    const uint8_t *at = kap_row_bytes(row, size);
    return at ? kap_span(at, size) : kap_span(NULL, 0);
}

int kap_row_end(const kap_row_t *row)
{
    return row->err || row->rest.size ? KAP_E_CORRUPT : KAP_OK;
}

void kap_row_put_span(kap_buf_t *buf, kap_span_t bytes)
{
    kap_buf_u32be(buf, (uint32_t)bytes.size);
    kap_buf_append(buf, bytes);
}

int kap_spans_keep(kap_arena_t *arena, kap_span_t *const spans[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *spans[i] = kap_arena_dup(arena, *spans[i]);
        if (!spans[i]->data)
            return KAP_E_NOMEM;
    }
    return KAP_OK;
}

kap_span_t kap_key_span(const kap_key_t *key)
{
    return kap_span(key->bytes, key->size);
}

static void key_u32(kap_key_t *key, uint32_t value)
{
    kap_be_put_u32(key->bytes + key->size, value);
    key->size += 4;
}

static void key_u64(kap_key_t *key, uint64_t value)
{
    kap_be_put_u64(key->bytes + key->size, value);
    key->size += 8;
}

static void key_id(kap_key_t *key, kap_span_t id)
{
    KAP_CHECK(id.size <= 200);
    key->bytes[key->size++] = (uint8_t)id.size;
    if (id.size)
        memcpy(key->bytes + key->size, id.data, id.size);
    key->size += id.size;
}

kap_key_t kap_key_u32(uint32_t value)
{
    kap_key_t key = {.size = 0};
    key_u32(&key, value);
    return key;
}

kap_key_t kap_key_u64(uint64_t value)
{
    kap_key_t key = {.size = 0};
    key_u64(&key, value);
    return key;
}

kap_key_t kap_key_u32_u64(uint32_t a, uint64_t b)
{
    kap_key_t key = kap_key_u32(a);
    key_u64(&key, b);
    return key;
}

kap_key_t kap_key_id(kap_span_t id)
{
    kap_key_t key = {.size = 0};
    key_id(&key, id);
    return key;
}

kap_key_t kap_key_id_u64(kap_span_t id, uint64_t b)
{
    kap_key_t key = kap_key_id(id);
    key_u64(&key, b);
    return key;
}

kap_key_t kap_key_id_u32_u64(kap_span_t id, uint32_t b, uint64_t c)
{
    kap_key_t key = kap_key_id(id);
    key_u32(&key, b);
    key_u64(&key, c);
    return key;
}

kap_key_t kap_key_id_id(kap_span_t a, kap_span_t b)
{
    kap_key_t key = kap_key_id(a);
    key_id(&key, b);
    return key;
}

kap_span_t kap_key_first_id(kap_span_t key, kap_span_t *rest)
{
    size_t size = key.size ? key.data[0] : 0;
    if (key.size < 1 + size)
        size = 0;
    if (rest)
        *rest = kap_span_sub(key, 1 + size, key.size);
    return kap_span_sub(key, 1, size);
}

kap_walk_t kap_walk(kap_txn_t *txn, kap_node_table_t table, kap_span_t id, uint64_t from)
{
    kap_walk_t walk = {.front = kap_key_id(id)};
    kap_key_t first = from ? kap_key_id_u64(id, from) : walk.front;
    walk.err = kap_cursor_open(txn, table, &walk.cursor);
    if (walk.err == KAP_OK)
        walk.err = kap_cursor_seek_ge(walk.cursor, kap_key_span(&first));
    return walk;
}

bool kap_walk_next(kap_walk_t *walk)
{
    if (walk->begun && walk->err == KAP_OK)
        walk->err = kap_cursor_next(walk->cursor);
    walk->begun = true;
    if (walk->err != KAP_OK ||
        !kap_span_starts(kap_cursor_key(walk->cursor), kap_key_span(&walk->front)))
        return false;
    kap_key_first_id(kap_cursor_key(walk->cursor), &walk->rest);
    return true;
}

kap_span_t kap_walk_id(const kap_walk_t *walk)
{
    return kap_key_first_id(walk->rest, NULL);
}

uint64_t kap_walk_u64(kap_walk_t *walk)
{
    if (walk->rest.size == 8)
        return kap_be_get_u64(walk->rest.data);
    walk->err = KAP_E_CORRUPT;
    return 0;
}

int kap_walk_end(kap_walk_t *walk)
{
    kap_cursor_close(&walk->cursor);
    return walk->err == KAP_E_NOTFOUND ? KAP_OK : walk->err;
}

int kap_meta_u64(kap_txn_t *txn, const char *name, uint64_t *value)
{
    kap_span_t bytes;
    int rc = kap_txn_get(txn, KAP_TABLE_META, kap_span_str(name), &bytes);
    if (rc == KAP_E_NOTFOUND) {
        *value = 0;
        return KAP_OK;
    }
    if (rc != KAP_OK)
        return rc;
    if (bytes.size != 8)
        return KAP_E_CORRUPT;
    *value = kap_be_get_u64(bytes.data);
    return KAP_OK;
}

int kap_meta_put_u64(kap_txn_t *txn, const char *name, uint64_t value)
{
    uint8_t bytes[8];
    kap_be_put_u64(bytes, value);
    return kap_txn_put(txn, KAP_TABLE_META, kap_span_str(name), kap_span(bytes, sizeof bytes));
}
