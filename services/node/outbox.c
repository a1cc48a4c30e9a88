/* SPDX-License-Identifier: MPL-2.0 */
#include "outbox.h"

#include <stdio.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "ids.h"
#include "seeded.h"

void kap_line_source(const kap_line_t *line, const char *member, char out[KAP_SOURCE_BYTES])
{
    char hex[2 * KAP_PRODUCER_BYTES + 1];
    kap_hex_encode(line->producer, sizeof line->producer, hex);
    snprintf(out, KAP_SOURCE_BYTES, "%s/%s", member, hex);
}

static int line_decode(kap_span_t key, kap_span_t value, kap_line_t *line)
{
    kap_row_t row = kap_row(value);
    const uint8_t *producer = kap_row_bytes(&row, KAP_PRODUCER_BYTES);
    kap_line_t decoded = {0};
    decoded.kept = kap_row_u64(&row);
    decoded.receipted = kap_row_u64(&row);
    decoded.next = kap_row_u64(&row);
    if (key.size != 4 || kap_row_end(&row) != KAP_OK)
        return KAP_E_CORRUPT;
    memcpy(decoded.producer, producer, KAP_PRODUCER_BYTES);
    decoded.line = kap_be_get_u32(key.data);
    *line = decoded;
    return KAP_OK;
}

int kap_line_last(kap_txn_t *txn, kap_line_t *line)
{
    kap_cursor_t *cursor = NULL;
    int rc = kap_cursor_open(txn, KAP_TABLE_LINES, &cursor);
    if (rc == KAP_OK)
        rc = kap_cursor_last(cursor);
    if (rc == KAP_OK)
        rc = line_decode(kap_cursor_key(cursor), kap_cursor_value(cursor), line);
    kap_cursor_close(&cursor);
    return rc;
}

int kap_line_get(kap_txn_t *txn, uint32_t number, kap_line_t *line)
{
    kap_key_t key = kap_key_u32(number);
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_LINES, kap_key_span(&key), &value);
    return rc == KAP_OK ? line_decode(kap_key_span(&key), value, line) : rc;
}

int kap_line_put(kap_txn_t *txn, const kap_line_t *line)
{
    uint8_t value[KAP_PRODUCER_BYTES + 24];
    memcpy(value, line->producer, KAP_PRODUCER_BYTES);
    kap_be_put_u64(value + KAP_PRODUCER_BYTES, line->kept);
    kap_be_put_u64(value + KAP_PRODUCER_BYTES + 8, line->receipted);
    kap_be_put_u64(value + KAP_PRODUCER_BYTES + 16, line->next);
    kap_key_t key = kap_key_u32(line->line);
    return kap_txn_put(txn, KAP_TABLE_LINES, kap_key_span(&key), kap_span(value, sizeof value));
}

int kap_line_new(kap_txn_t *txn, kap_line_t *line)
{
    kap_line_t last = {0};
    int rc = kap_line_last(txn, &last);
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    kap_line_t fresh = {.line = last.line + 1, .kept = 1, .receipted = 0, .next = 1};
    kap_random(fresh.producer, sizeof fresh.producer);
    rc = kap_line_put(txn, &fresh);
    if (rc == KAP_OK)
        *line = fresh;
    return rc;
}

int kap_line_after(kap_txn_t *txn, uint32_t after, kap_line_t *line)
{
    kap_cursor_t *cursor = NULL;
    kap_key_t key = kap_key_u32(after + 1);
    int rc = kap_cursor_open(txn, KAP_TABLE_LINES, &cursor);
    if (rc == KAP_OK)
        rc = kap_cursor_seek_ge(cursor, kap_key_span(&key));
    if (rc == KAP_OK)
        rc = line_decode(kap_cursor_key(cursor), kap_cursor_value(cursor), line);
    kap_cursor_close(&cursor);
    return rc;
}

int kap_line_waiting(kap_txn_t *txn, kap_line_t *line)
{
    kap_line_t at = {0};
    int rc;
    while ((rc = kap_line_after(txn, at.line, &at)) == KAP_OK)
        if (at.receipted + 1 < at.next) {
            *line = at;
            return KAP_OK;
        }
    return rc;
}

/* Row: act, queued_at, continues, then subject, open, ends and sealed with their lengths. */
int kap_outbox_put(kap_txn_t *txn, uint32_t line, uint64_t sequence, const kap_outbox_row_t *row)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    kap_buf_u64be(&buf, row->act);
    kap_buf_u64be(&buf, (uint64_t)row->queued_at);
    kap_buf_u8(&buf, row->continues);
    kap_row_put_span(&buf, row->subject);
    kap_row_put_span(&buf, row->open);
    kap_row_put_span(&buf, row->ends);
    kap_row_put_span(&buf, row->sealed);
    kap_key_t key = kap_key_u32_u64(line, sequence);
    int rc = buf.err;
    if (rc == KAP_OK && !(KAP_SEEDED_BUG("outbox_row_lost") && sequence % 5 == 0))
        rc = kap_txn_put(txn, KAP_TABLE_OUTBOX, kap_key_span(&key), kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return rc;
}

int kap_outbox_get(kap_txn_t *txn, uint32_t line, uint64_t sequence, kap_outbox_row_t *out)
{
    kap_key_t key = kap_key_u32_u64(line, sequence);
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_OUTBOX, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc;
    kap_row_t row = kap_row(value);
    kap_outbox_row_t decoded = {.act = kap_row_u64(&row)};
    decoded.queued_at = (int64_t)kap_row_u64(&row);
    decoded.continues = kap_row_u8(&row) != 0;
    decoded.subject = kap_row_span(&row);
    decoded.open = kap_row_span(&row);
    decoded.ends = kap_row_span(&row);
    decoded.sealed = kap_row_span(&row);
    rc = kap_row_end(&row);
    if (rc == KAP_OK)
        *out = decoded;
    return rc;
}

int kap_outbox_load(kap_txn_t *txn, uint32_t line, uint64_t sequence, kap_arena_t *arena,
                    kap_outbox_row_t *row)
{
    kap_span_t *const spans[] = {&row->subject, &row->open, &row->ends, &row->sealed};
    int rc = kap_outbox_get(txn, line, sequence, row);
    return rc == KAP_OK ? kap_spans_keep(arena, spans, 4) : rc;
}

int kap_outbox_receipt_put(kap_txn_t *txn, uint32_t line, uint64_t sequence,
                           const kap_outbox_receipt_t *receipt)
{
    uint8_t value[19];
    value[0] = receipt->verdict;
    kap_be_put_u16(value + 1, receipt->refusal);
    kap_be_put_u64(value + 3, receipt->log_seq);
    kap_be_put_u64(value + 11, (uint64_t)receipt->at_ms);
    kap_key_t key = kap_key_u32_u64(line, sequence);
    return kap_txn_put(txn, KAP_TABLE_RECEIPTS, kap_key_span(&key), kap_span(value, sizeof value));
}

int kap_outbox_receipt_get(kap_txn_t *txn, uint32_t line, uint64_t sequence,
                           kap_outbox_receipt_t *receipt)
{
    kap_key_t key = kap_key_u32_u64(line, sequence);
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_RECEIPTS, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc;
    if (value.size != 19)
        return KAP_E_CORRUPT;
    receipt->verdict = value.data[0];
    receipt->refusal = kap_be_get_u16(value.data + 1);
    receipt->log_seq = kap_be_get_u64(value.data + 3);
    receipt->at_ms = (int64_t)kap_be_get_u64(value.data + 11);
    return KAP_OK;
}

int kap_outbox_waiting(kap_txn_t *txn, uint64_t *count, int64_t *oldest_ms)
{
    kap_line_t line = {0};
    uint64_t waiting = 0;
    int64_t oldest = 0;
    int rc;
    while ((rc = kap_line_after(txn, line.line, &line)) == KAP_OK) {
        if (line.receipted + 1 >= line.next)
            continue;
        kap_outbox_row_t row;
        if (waiting == 0 && kap_outbox_get(txn, line.line, line.receipted + 1, &row) == KAP_OK)
            oldest = row.queued_at;
        waiting += line.next - 1 - line.receipted;
    }
    if (rc != KAP_E_NOTFOUND)
        return rc;
    *count = waiting;
    *oldest_ms = oldest;
    return KAP_OK;
}

static int event_remove(kap_txn_t *txn, uint32_t line, uint64_t sequence)
{
    kap_key_t key = kap_key_u32_u64(line, sequence);
    int rc = KAP_SEEDED_BUG("outbox_never_emptied")
                 ? KAP_OK
                 : kap_txn_delete(txn, KAP_TABLE_OUTBOX, kap_key_span(&key));
    if (rc == KAP_OK || rc == KAP_E_NOTFOUND)
        rc = kap_txn_delete(txn, KAP_TABLE_RECEIPTS, kap_key_span(&key));
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Trims one line; *rest counts down. */
static int line_trim(kap_txn_t *txn, kap_line_t *line, int64_t before_ms, uint64_t *rest)
{
    uint64_t kept = line->kept;
    int rc = KAP_OK;
    while (*rest > 0 && line->kept <= line->receipted && rc == KAP_OK) {
        kap_outbox_receipt_t receipt;
        rc = kap_outbox_receipt_get(txn, line->line, line->kept, &receipt);
        if (rc != KAP_OK || receipt.at_ms >= before_ms)
            break;
        rc = event_remove(txn, line->line, line->kept);
        line->kept++;
        (*rest)--;
    }
    return rc == KAP_OK && line->kept != kept ? kap_line_put(txn, line) : rc;
}

int kap_outbox_trim(kap_txn_t *txn, int64_t before_ms, uint64_t max, uint64_t *trimmed)
{
    kap_line_t last, line = {0};
    uint64_t rest = max;
    int rc = kap_line_last(txn, &last);
    while (rc == KAP_OK && (rc = kap_line_after(txn, line.line, &line)) == KAP_OK) {
        rc = line_trim(txn, &line, before_ms, &rest);
        if (rc == KAP_OK && line.line != last.line && line.kept == line.next) {
            kap_key_t key = kap_key_u32(line.line);
            rc = kap_txn_delete(txn, KAP_TABLE_LINES, kap_key_span(&key));
        }
    }
    *trimmed = max - rest;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}
