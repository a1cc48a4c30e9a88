/* SPDX-License-Identifier: MPL-2.0 */
#include "sound.h"

#include "be.h"
#include "err.h"
#include "rows.h"

/* What should be there and is not. */
static int must(int rc)
{
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

static int check_text(kap_txn_t *txn, kap_span_t key, kap_span_t text)
{
    uint32_t number;

    if (key.size != 4)
        return KAP_E_CORRUPT;
    int rc = kap_rows_number(txn, text, &number);
    return rc == KAP_OK && number != kap_be_get_u32(key.data) ? KAP_E_CORRUPT : rc;
}

static int check_name(kap_txn_t *txn, kap_span_t key, kap_span_t value)
{
    kap_span_t text;

    if (value.size != 4)
        return KAP_E_CORRUPT;
    int rc = must(kap_rows_text(txn, kap_be_get_u32(value.data), &text));
    return rc == KAP_OK && !kap_span_eq(text, key) ? KAP_E_CORRUPT : rc;
}

/* Every row of a table, from its first to its last. */
static int check_all(kap_txn_t *txn, unsigned table,
                     int (*check)(kap_txn_t *txn, kap_span_t key, kap_span_t value))
{
    kap_cursor_t *cursor = NULL;
    int rc = kap_cursor_open(txn, table, &cursor);

    if (rc == KAP_OK)
        rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    while (rc == KAP_OK) {
        rc = check(txn, kap_cursor_key(cursor), kap_cursor_value(cursor));
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int check_source(kap_txn_t *txn, uint32_t number)
{
    kap_span_t source;
    kap_mark_t mark;
    uint64_t at;
    int rc = must(kap_rows_text(txn, number, &source));

    if (rc == KAP_OK)
        rc = kap_rows_mark(txn, source, &mark);
    if (rc == KAP_OK && mark.last == 0)
        rc = KAP_E_CORRUPT;
    return rc == KAP_OK ? must(kap_rows_receipt(txn, source, mark.last, &at)) : rc;
}

/* One row of each source, found by leaping to the next number. */
static int check_sources(kap_txn_t *txn)
{
    kap_cursor_t *cursor = NULL;
    kap_key_t key;
    uint32_t number = 0;
    int rc = kap_cursor_open(txn, KAP_ROWS_RECEIPTS, &cursor);

    while (rc == KAP_OK && number < UINT32_MAX) {
        kap_key_u32_u64(&key, number + 1, 0);
        rc = kap_cursor_seek_ge(cursor, kap_key_span(&key));
        if (rc != KAP_OK)
            break;
        kap_span_t found = kap_cursor_key(cursor);
        uint32_t next = found.size == 12 ? kap_be_get_u32(found.data) : 0;
        rc = next <= number ? KAP_E_CORRUPT : check_source(txn, next);
        number = next;
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int check_head(kap_txn_t *txn)
{
    kap_head_t head;
    kap_log_walk_t walk;
    kap_logged_t event;
    int rc = must(kap_rows_head(txn, &head));

    if (rc != KAP_OK || head.seq == 0)
        return rc;
    rc = kap_log_walk_open(txn, &walk);
    if (rc == KAP_OK) {
        rc = must(kap_log_walk_get(&walk, head.seq, 0, &event));
        kap_log_walk_close(&walk);
    }
    return rc;
}

/* A row where none should be. */
static int unexpected(kap_txn_t *txn, kap_span_t key, kap_span_t value)
{
    (void)txn, (void)key, (void)value;
    return KAP_E_CORRUPT;
}

static int check_empty(kap_txn_t *txn)
{
    int rc = KAP_OK;

    for (unsigned table = 0; rc == KAP_OK && table < KAP_ROWS_COUNT; table++)
        rc = check_all(txn, table, unexpected);
    return rc == KAP_OK ? KAP_E_NOTFOUND : rc;
}

int kap_sound_check(kap_txn_t *txn, bool fresh)
{
    int rc = fresh ? check_empty(txn) : check_head(txn);

    if (rc == KAP_OK)
        rc = check_all(txn, KAP_ROWS_TEXTS, check_text);
    if (rc == KAP_OK)
        rc = check_all(txn, KAP_ROWS_NAMES, check_name);
    return rc == KAP_OK ? check_sources(txn) : rc;
}
