/* SPDX-License-Identifier: MPL-2.0 */
#include "rows.h"

#include <string.h>

#include "be.h"
#include "err.h"
#include "hash.h"

const char *const kap_rows_tables[] = {
#define KAP_TABLE(NAME, name, key, value) name,
    KAP_ROWS_TABLES(KAP_TABLE)
#undef KAP_TABLE
        NULL};

enum {
    HASH = KAP_LIMIT_HASH_BYTES,
    HEAD_BYTES = HASH + 16 + 8 + 8 + HASH + 8 + 8 + 1,
    LOGGED_HEAD = 4 + 1 + 1 + 2 + 2 + 1 + 2 + 8 + 4 + 8 + HASH,
    PART_HEAD = 8 + 4,
    ENDED_BYTES = 16 + 8,
    VARINT_BYTES = 10, /* the longest */
    REFERRAL_ROW = 2,  /* version of its layout */
};

/* Bits of a logged event. */
enum { HAS_OPEN = 1, HAS_ENDS = 2, HAS_SEALED = 4, BEGINS_BATCH = 8 };

static const uint8_t zeroes[HASH];

/* --- meta --- */

void kap_head_pack(kap_buf_t *buf, const kap_head_t *head)
{
    kap_buf_append(buf, kap_span(head->mesh, sizeof head->mesh));
    kap_buf_append(buf, kap_span(head->epoch, sizeof head->epoch));
    kap_buf_u64be(buf, head->seq);
    kap_buf_u64be(buf, (uint64_t)head->time);
    kap_buf_append(buf, kap_span(head->chain, sizeof head->chain));
    kap_buf_u64be(buf, head->figures_seq);
    kap_buf_u64be(buf, (uint64_t)head->figures_time);
    kap_buf_u8(buf, head->figures_moving);
}

int kap_rows_head(kap_txn_t *txn, kap_head_t *head)
{
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_ROWS_META, KAP_SPAN("head"), &value);

    if (rc != KAP_OK)
        return rc;
    if (value.size != HEAD_BYTES)
        return KAP_E_CORRUPT;
    const uint8_t *p = value.data;
    memcpy(head->mesh, p, HASH);
    memcpy(head->epoch, p + 32, 16);
    head->seq = kap_be_get_u64(p + 48);
    head->time = (int64_t)kap_be_get_u64(p + 56);
    memcpy(head->chain, p + 64, HASH);
    head->figures_seq = kap_be_get_u64(p + 96);
    head->figures_time = (int64_t)kap_be_get_u64(p + 104);
    head->figures_moving = p[112] != 0;
    return KAP_OK;
}

void kap_ended_pack(kap_buf_t *buf, const kap_ended_t *ended)
{
    kap_buf_append(buf, kap_span(ended->epoch, sizeof ended->epoch));
    kap_buf_u64be(buf, ended->kept_to);
}

int kap_rows_ended(kap_txn_t *txn, kap_span_t *ended)
{
    *ended = kap_span(NULL, 0);
    int rc = kap_txn_get(txn, KAP_ROWS_META, KAP_SPAN("ended"), ended);

    if (rc == KAP_OK && ended->size % ENDED_BYTES != 0)
        return KAP_E_CORRUPT;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

bool kap_ended_next(kap_span_t *rest, kap_ended_t *ended)
{
    if (rest->size < ENDED_BYTES)
        return false;
    memcpy(ended->epoch, rest->data, sizeof ended->epoch);
    ended->kept_to = kap_be_get_u64(rest->data + sizeof ended->epoch);
    *rest = kap_span_sub(*rest, ENDED_BYTES, SIZE_MAX);
    return true;
}

uint64_t kap_ended_kept(kap_span_t ended, const uint8_t epoch[16])
{
    kap_ended_t one;
    uint64_t kept = 0;
    bool found = false;

    while (kap_ended_next(&ended, &one)) {
        if (!found && memcmp(one.epoch, epoch, sizeof one.epoch) != 0)
            continue;
        if (!found || one.kept_to < kept)
            kept = one.kept_to; /* a later restore may have gone further back */
        found = true;
    }
    return kept;
}

int kap_rows_first_epoch(kap_txn_t *txn, const kap_head_t *head, uint8_t epoch[16])
{
    kap_span_t rest;
    kap_ended_t first;
    int rc = kap_rows_ended(txn, &rest);

    if (rc == KAP_OK)
        memcpy(epoch, kap_ended_next(&rest, &first) ? first.epoch : head->epoch, 16);
    return rc;
}

/* --- names --- */

int kap_rows_number(kap_txn_t *txn, kap_span_t text, uint32_t *number)
{
    kap_span_t value;

    *number = 0;
    if (text.size == 0 || text.size > KAP_STORE_KEY_BYTES_MAX)
        return KAP_OK;
    int rc = kap_txn_get(txn, KAP_ROWS_NAMES, text, &value);
    if (rc == KAP_E_NOTFOUND)
        return KAP_OK;
    if (rc != KAP_OK)
        return rc;
    if (value.size != 4)
        return KAP_E_CORRUPT;
    *number = kap_be_get_u32(value.data);
    return KAP_OK;
}

int kap_rows_text(kap_txn_t *txn, uint32_t number, kap_span_t *text)
{
    uint8_t key[4];

    kap_be_put_u32(key, number);
    return kap_txn_get(txn, KAP_ROWS_TEXTS, kap_span(key, sizeof key), text);
}

/* --- the log --- */

void kap_logged_pack(kap_buf_t *buf, const kap_logged_t *e)
{
    bool open = e->open.size > 0, ends = memcmp(e->ends_hash, zeroes, HASH) != 0;
    bool sealed = memcmp(e->sealed_hash, zeroes, HASH) != 0;
    size_t size = LOGGED_HEAD + (open ? e->open.size : (size_t)HASH) + (ends ? HASH : 0) +
                  (sealed ? HASH : 0);
    uint8_t *p = kap_buf_reserve(buf, size);

    if (p == NULL)
        return;
    kap_be_put_u32(p, (uint32_t)size);
    p[4] = e->verdict;
    p[5] = (uint8_t)((open ? HAS_OPEN : 0) | (ends ? HAS_ENDS : 0) | (sealed ? HAS_SEALED : 0) |
                     (e->begins_batch ? BEGINS_BATCH : 0));
    kap_be_put_u16(p + 6, e->why.number);
    kap_be_put_u16(p + 8, e->why.field);
    p[10] = (uint8_t)e->state;
    kap_be_put_u16(p + 11, e->as);
    kap_be_put_u64(p + 13, (uint64_t)e->committed_at);
    kap_be_put_u32(p + 21, e->source);
    kap_be_put_u64(p + 25, e->sequence);
    memcpy(p + 33, e->leaf, HASH);
    p += LOGGED_HEAD;
    if (ends)
        memcpy(p, e->ends_hash, HASH), p += HASH;
    if (sealed)
        memcpy(p, e->sealed_hash, HASH), p += HASH;
    if (open)
        memcpy(p, e->open.data, e->open.size);
    else
        memcpy(p, e->content_hash, HASH);
    buf->size += size;
}

/* Reads the event at the start of `rest` and takes it off. */
static int logged_unpack(kap_span_t *rest, kap_logged_t *e)
{
    if (rest->size < LOGGED_HEAD)
        return KAP_E_CORRUPT;
    const uint8_t *p = rest->data;
    size_t size = kap_be_get_u32(p), fixed = LOGGED_HEAD;
    uint8_t bits = p[5];
    fixed += (bits & HAS_ENDS ? HASH : 0) + (bits & HAS_SEALED ? HASH : 0);
    if (size > rest->size || size < fixed + (bits & HAS_OPEN ? 1 : HASH))
        return KAP_E_CORRUPT;
    memset(e, 0, sizeof *e);
    e->verdict = p[4];
    e->begins_batch = (bits & BEGINS_BATCH) != 0;
    e->why.number = kap_be_get_u16(p + 6);
    e->why.field = kap_be_get_u16(p + 8);
    e->state = (int8_t)p[10];
    e->as = kap_be_get_u16(p + 11);
    e->committed_at = (int64_t)kap_be_get_u64(p + 13);
    e->source = kap_be_get_u32(p + 21);
    e->sequence = kap_be_get_u64(p + 25);
    memcpy(e->leaf, p + 33, HASH);
    p += LOGGED_HEAD;
    if (bits & HAS_ENDS)
        memcpy(e->ends_hash, p, HASH), p += HASH;
    if (bits & HAS_SEALED)
        memcpy(e->sealed_hash, p, HASH), p += HASH;
    if (bits & HAS_OPEN)
        e->open = kap_span(p, size - fixed);
    else
        memcpy(e->content_hash, p, HASH);
    *rest = kap_span(rest->data + size, rest->size - size);
    return KAP_OK;
}

int kap_log_walk_open(kap_txn_t *txn, kap_log_walk_t *walk)
{
    memset(walk, 0, sizeof *walk);
    int rc = kap_cursor_open(txn, KAP_ROWS_LOG, &walk->log);
    if (rc == KAP_OK)
        rc = kap_cursor_open(txn, KAP_ROWS_ENDS, &walk->ends);
    if (rc == KAP_OK)
        rc = kap_cursor_open(txn, KAP_ROWS_SEALED, &walk->sealed);
    if (rc != KAP_OK)
        kap_log_walk_close(walk);
    return rc;
}

void kap_log_walk_close(kap_log_walk_t *walk)
{
    kap_cursor_close(&walk->log);
    kap_cursor_close(&walk->ends);
    kap_cursor_close(&walk->sealed);
}

/* Takes the run in hand that may hold a position: the last that begins at or before it. */
static int take_run(kap_cursor_t *cursor, uint64_t log_seq, kap_span_t *run, uint64_t *first)
{
    uint8_t key[8];

    kap_be_put_u64(key, log_seq);
    int rc = kap_cursor_seek_le(cursor, kap_span(key, sizeof key));
    if (rc != KAP_OK)
        return rc;
    if (kap_cursor_key(cursor).size != 8)
        return KAP_E_CORRUPT;
    *first = kap_be_get_u64(kap_cursor_key(cursor).data);
    *run = kap_cursor_value(cursor);
    return KAP_OK;
}

/* Bytes of a part in its run; KAP_E_CORRUPT when it is not there. */
static int part_get(kap_log_walk_t *walk, int which, kap_cursor_t *cursor, uint64_t log_seq,
                    kap_span_t *part)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        kap_span_t rest = walk->run[which];
        while (walk->first[which] != 0 && rest.size >= PART_HEAD) {
            uint64_t seq = kap_be_get_u64(rest.data);
            size_t size = kap_be_get_u32(rest.data + 8);
            if (size > rest.size - PART_HEAD)
                return KAP_E_CORRUPT;
            if (seq == log_seq) {
                *part = kap_span(rest.data + PART_HEAD, size);
                return KAP_OK;
            }
            rest = kap_span(rest.data + PART_HEAD + size, rest.size - PART_HEAD - size);
        }
        int rc = take_run(cursor, log_seq, &walk->run[which], &walk->first[which]);
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    }
    return KAP_E_CORRUPT;
}

/* Stands the walk before a position. */
static int walk_seek(kap_log_walk_t *walk, uint64_t log_seq)
{
    if (walk->first[0] == 0 || log_seq < walk->first[0] ||
        (log_seq >= walk->next && walk->at >= walk->run[0].size)) {
        int rc = take_run(walk->log, log_seq, &walk->run[0], &walk->first[0]);
        if (rc != KAP_OK)
            return rc;
        walk->at = 0;
        walk->next = walk->first[0];
    }
    if (log_seq < walk->next) {
        walk->at = 0;
        walk->next = walk->first[0];
    }
    while (walk->next < log_seq && walk->at < walk->run[0].size) {
        size_t left = walk->run[0].size - walk->at;
        size_t size = left < LOGGED_HEAD ? 0 : kap_be_get_u32(walk->run[0].data + walk->at);
        if (size < LOGGED_HEAD || size > left)
            return KAP_E_CORRUPT;
        walk->at += size;
        walk->next++;
    }
    return KAP_OK;
}

static int check_leaf(kap_logged_t *e)
{
    uint8_t leaf[HASH];

    if (e->open.size > 0)
        kap_content_hash(e->open, e->content_hash);
    kap_leaf(e->committed_at, e->verdict, e->content_hash, e->ends_hash, e->sealed_hash, leaf);
    return memcmp(leaf, e->leaf, HASH) == 0 ? KAP_OK : KAP_E_CORRUPT;
}

int kap_log_walk_get(kap_log_walk_t *walk, uint64_t log_seq, unsigned parts, kap_logged_t *event)
{
    int rc = log_seq == 0 ? KAP_E_NOTFOUND : walk_seek(walk, log_seq);

    /* The run in hand may have ended just before it. */
    if (rc == KAP_OK && walk->at >= walk->run[0].size)
        rc = walk_seek(walk, log_seq);
    if (rc != KAP_OK)
        return rc;
    if (walk->next != log_seq || walk->at >= walk->run[0].size)
        return KAP_E_NOTFOUND;
    kap_span_t rest = kap_span_sub(walk->run[0], walk->at, SIZE_MAX);
    rc = logged_unpack(&rest, event);
    if (rc != KAP_OK)
        return rc;
    event->log_seq = log_seq;
    walk->at = walk->run[0].size - rest.size;
    walk->next = log_seq + 1;
    rc = check_leaf(event);
    bool body = event->open.size > 0;
    if (rc == KAP_OK && body && (parts & KAP_LOGGED_ENDS) &&
        memcmp(event->ends_hash, zeroes, HASH) != 0)
        rc = part_get(walk, 1, walk->ends, log_seq, &event->ends);
    if (rc == KAP_OK && body && (parts & KAP_LOGGED_SEALED) &&
        memcmp(event->sealed_hash, zeroes, HASH) != 0)
        rc = part_get(walk, 2, walk->sealed, log_seq, &event->sealed);
    return rc;
}

/* --- streams --- */

static int stream_number(kap_txn_t *txn, kap_span_t stream, uint32_t *number)
{
    uint8_t text[KAP_STORE_KEY_BYTES_MAX];

    *number = 0;
    if (stream.size == 0 || stream.size >= sizeof text)
        return KAP_OK;
    text[0] = KAP_ROWS_STREAM_MARK[0];
    memcpy(text + 1, stream.data, stream.size);
    return kap_rows_number(txn, kap_span(text, stream.size + 1), number);
}

/* Reads a row of a stream: its first place and the positions. */
typedef struct {
    uint64_t first, count;
    kap_span_t rest;
    uint64_t position;
} stream_row_t;

static int stream_row(const kap_cursor_t *cursor, uint32_t number, stream_row_t *row)
{
    kap_span_t key = kap_cursor_key(cursor);

    if (key.size != 12)
        return KAP_E_CORRUPT;
    if (kap_be_get_u32(key.data) != number)
        return KAP_E_NOTFOUND;
    row->first = kap_be_get_u64(key.data + 4);
    row->rest = kap_cursor_value(cursor);
    row->position = 0;
    return kap_get_varint(&row->rest, &row->count) && row->count > 0 ? KAP_OK : KAP_E_CORRUPT;
}

static bool stream_row_next(stream_row_t *row)
{
    uint64_t delta;

    if (!kap_get_varint(&row->rest, &delta))
        return false;
    row->position += delta;
    return true;
}

int kap_tail_next(kap_span_t *row, uint64_t base, kap_tail_t *tail)
{
    uint64_t number;
    size_t at = 0;

    if (row->size == 0)
        return KAP_E_NOTFOUND;
    if (!kap_get_varint(row, &number) || number > UINT32_MAX ||
        !kap_get_varint(row, &tail->first) || !kap_get_varint(row, &tail->count))
        return KAP_E_CORRUPT;
    for (uint64_t left = tail->count; left > 0 && at < row->size; at++)
        left -= row->data[at] < 0x80; /* the last byte of a varint */
    tail->stream = (uint32_t)number;
    tail->rest = kap_span_sub(*row, 0, at);
    tail->position = base;
    *row = kap_span_sub(*row, at, SIZE_MAX);
    return KAP_OK;
}

bool kap_tail_position(kap_tail_t *tail, uint64_t *position)
{
    uint64_t distance;

    if (!kap_get_varint(&tail->rest, &distance))
        return false;
    *position = tail->position += distance;
    return true;
}

/* What the row under the cursor says of a stream; KAP_E_NOTFOUND: nothing. */
static int tail_find(const kap_cursor_t *cursor, uint32_t number, kap_tail_t *tail)
{
    kap_span_t key = kap_cursor_key(cursor), row = kap_cursor_value(cursor);
    int rc = key.size == 8 ? KAP_OK : KAP_E_CORRUPT;

    while (rc == KAP_OK) {
        rc = kap_tail_next(&row, kap_be_get_u64(key.data), tail);
        if (rc == KAP_OK && tail->stream == number)
            return KAP_OK;
    }
    return rc;
}

/* Newest place that `tail` knows; KAP_E_NOTFOUND: the stream is not in it. */
static int tail_head(kap_txn_t *txn, uint32_t number, uint64_t *seq)
{
    kap_cursor_t *cursor;
    kap_tail_t tail;
    int rc = kap_cursor_open(txn, KAP_ROWS_TAIL, &cursor);

    if (rc != KAP_OK)
        return rc;
    for (rc = kap_cursor_last(cursor); rc == KAP_OK; rc = kap_cursor_prev(cursor)) {
        rc = tail_find(cursor, number, &tail);
        if (rc == KAP_OK)
            *seq = tail.first + tail.count - 1;
        if (rc != KAP_E_NOTFOUND)
            break;
    }
    kap_cursor_close(&cursor);
    return rc;
}

int kap_rows_stream_head(kap_txn_t *txn, kap_span_t stream, uint64_t *seq)
{
    kap_cursor_t *cursor;
    kap_key_t key;
    stream_row_t row;
    uint32_t number;
    int rc = stream_number(txn, stream, &number);

    if (rc != KAP_OK)
        return rc;
    *seq = 0;
    if (number == 0)
        return KAP_OK;
    rc = tail_head(txn, number, seq);
    if (rc != KAP_E_NOTFOUND)
        return rc;
    rc = kap_cursor_open(txn, KAP_ROWS_STREAMS, &cursor);
    if (rc != KAP_OK)
        return rc;
    kap_key_u32_u64(&key, number, UINT64_MAX);
    rc = kap_cursor_seek_le(cursor, kap_key_span(&key));
    if (rc == KAP_OK)
        rc = stream_row(cursor, number, &row);
    if (rc == KAP_OK)
        *seq = row.first + row.count - 1;
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Stands at the row that holds a place, or at the first after it. */
static int stream_seek(kap_cursor_t *cursor, uint32_t number, uint64_t place, stream_row_t *row)
{
    kap_key_t key;

    kap_key_u32_u64(&key, number, place);
    int rc = kap_cursor_seek_le(cursor, kap_key_span(&key));
    if (rc == KAP_OK)
        rc = stream_row(cursor, number, row);
    if (rc == KAP_OK && row->first + row->count > place)
        return KAP_OK;
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    rc = kap_cursor_seek_ge(cursor, kap_key_span(&key));
    return rc != KAP_OK ? rc : stream_row(cursor, number, row);
}

/* Copies positions from the row that begins at place after + 1 or holds it. */
static int stream_copy(kap_cursor_t *cursor, uint32_t number, uint64_t after, uint64_t log_seqs[],
                       uint32_t max, uint32_t *count)
{
    stream_row_t row;
    int rc = stream_seek(cursor, number, after + 1, &row);

    while (rc == KAP_OK && *count < max) {
        if (row.first > after + 1 + *count)
            return KAP_E_CORRUPT; /* streams are gapless */
        for (uint64_t i = 0; i < row.count && *count < max; i++) {
            if (!stream_row_next(&row))
                return KAP_E_CORRUPT;
            if (row.first + i > after)
                log_seqs[(*count)++] = row.position;
        }
        if (*count < max) {
            rc = kap_cursor_next(cursor);
            if (rc == KAP_OK)
                rc = stream_row(cursor, number, &row);
        }
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Goes on with what is not yet folded. */
static int tail_copy(kap_cursor_t *cursor, uint32_t number, uint64_t after, uint64_t log_seqs[],
                     uint32_t max, uint32_t *count)
{
    uint64_t position;
    kap_tail_t tail;
    int rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));

    for (; rc == KAP_OK && *count < max; rc = kap_cursor_next(cursor)) {
        rc = tail_find(cursor, number, &tail);
        if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
            return rc;
        if (rc == KAP_E_NOTFOUND)
            continue;
        if (tail.first > after + 1 + *count)
            return KAP_E_CORRUPT; /* streams are gapless */
        for (uint64_t i = 0; i < tail.count && *count < max; i++) {
            if (!kap_tail_position(&tail, &position))
                return KAP_E_CORRUPT;
            if (tail.first + i > after)
                log_seqs[(*count)++] = position;
        }
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_rows_stream_after(kap_txn_t *txn, kap_span_t stream, uint64_t after, uint64_t log_seqs[],
                          uint32_t max, uint32_t *count)
{
    kap_cursor_t *cursor;
    uint32_t number, n = 0;
    int rc = stream_number(txn, stream, &number);

    if (rc != KAP_OK)
        return rc;
    *count = 0;
    if (number == 0 || after == UINT64_MAX)
        return KAP_OK;
    rc = kap_cursor_open(txn, KAP_ROWS_STREAMS, &cursor);
    if (rc != KAP_OK)
        return rc;
    rc = stream_copy(cursor, number, after, log_seqs, max, &n);
    kap_cursor_close(&cursor);
    if (rc == KAP_OK && n < max)
        rc = kap_cursor_open(txn, KAP_ROWS_TAIL, &cursor);
    if (rc == KAP_OK && n < max) {
        rc = tail_copy(cursor, number, after, log_seqs, max, &n);
        kap_cursor_close(&cursor);
    }
    if (rc == KAP_OK)
        *count = n;
    return rc;
}

int kap_rows_stream_kept(kap_txn_t *txn, kap_span_t stream, uint64_t log_seq, uint64_t *count)
{
    uint64_t low = 0, high = 0, at;
    uint32_t found;
    int rc = kap_rows_stream_head(txn, stream, &high);

    while (rc == KAP_OK && low < high) { /* low places are at or below it, high + 1 is not */
        uint64_t middle = low + (high - low + 1) / 2;
        rc = kap_rows_stream_after(txn, stream, middle - 1, &at, 1, &found);
        if (rc == KAP_OK && found != 1)
            rc = KAP_E_CORRUPT;
        if (rc == KAP_OK && at <= log_seq)
            low = middle;
        else
            high = middle - 1;
    }
    if (rc == KAP_OK)
        *count = low;
    return rc;
}

/* --- producers --- */

void kap_mark_pack(kap_buf_t *buf, const kap_mark_t *mark)
{
    kap_put_varint(buf, mark->last);
    kap_buf_append(buf, kap_span(mark->hash, sizeof mark->hash));
    kap_put_varint(buf, mark->scope);
}

int kap_rows_mark(kap_txn_t *txn, kap_span_t source, kap_mark_t *mark)
{
    kap_span_t rest;
    uint64_t scope;
    uint32_t number;
    uint8_t key[4];
    int rc = kap_rows_number(txn, source, &number);

    if (rc != KAP_OK)
        return rc;
    memset(mark, 0, sizeof *mark);
    kap_be_put_u32(key, number);
    rc = number == 0 ? KAP_E_NOTFOUND
                     : kap_txn_get(txn, KAP_ROWS_PRODUCERS, kap_span(key, sizeof key), &rest);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    if (!kap_get_varint(&rest, &mark->last) || rest.size < HASH)
        return KAP_E_CORRUPT;
    memcpy(mark->hash, rest.data, HASH);
    rest = kap_span_sub(rest, HASH, SIZE_MAX);
    if (!kap_get_varint(&rest, &scope) || scope > UINT32_MAX || rest.size != 0)
        return KAP_E_CORRUPT;
    mark->scope = (uint32_t)scope;
    return KAP_OK;
}

int kap_rows_receipt(kap_txn_t *txn, kap_span_t source, uint64_t sequence, uint64_t *log_seq)
{
    kap_cursor_t *cursor;
    kap_key_t key;
    uint64_t position, count;
    uint32_t number;
    int rc = kap_rows_number(txn, source, &number);

    if (rc == KAP_OK)
        rc = number == 0 ? KAP_E_NOTFOUND : kap_cursor_open(txn, KAP_ROWS_RECEIPTS, &cursor);
    if (rc != KAP_OK)
        return rc;
    kap_key_u32_u64(&key, number, sequence);
    rc = kap_cursor_seek_le(cursor, kap_key_span(&key));
    kap_span_t found = kap_cursor_key(cursor), rest = kap_cursor_value(cursor);
    kap_cursor_close(&cursor);
    if (rc != KAP_OK)
        return rc;
    if (found.size != 12)
        return KAP_E_CORRUPT;
    if (kap_be_get_u32(found.data) != number)
        return KAP_E_NOTFOUND;
    uint64_t first = kap_be_get_u64(found.data + 4);
    while (rest.size > 0) {
        if (!kap_get_varint(&rest, &position) || !kap_get_varint(&rest, &count))
            return KAP_E_CORRUPT;
        if (sequence < first + count) {
            *log_seq = position + (sequence - first);
            return KAP_OK;
        }
        first += count;
    }
    return KAP_E_NOTFOUND;
}

/* --- state --- */

int kap_rows_scope(kap_txn_t *txn, kap_span_t archive, uint32_t *scope)
{
    kap_span_t value;
    int rc =
        archive.size == 0 ? KAP_E_NOTFOUND : kap_txn_get(txn, KAP_ROWS_ARCHIVES, archive, &value);

    *scope = 0;
    if (rc == KAP_OK)
        return kap_rows_number(txn, archive, scope);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static void put_places(kap_buf_t *buf, const kap_places_t *p)
{
    const uint32_t numbers[] = {p->region, p->area,           p->from, p->from_organisation,
                                p->to,     p->to_organisation};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        kap_put_varint(buf, numbers[i]);
}

static bool get_places(kap_span_t *rest, kap_places_t *p)
{
    uint32_t *numbers[] = {&p->region, &p->area,           &p->from, &p->from_organisation,
                           &p->to,     &p->to_organisation};
    uint64_t number;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!kap_get_varint(rest, &number) || number > UINT32_MAX)
            return false;
        *numbers[i] = (uint32_t)number;
    }
    return true;
}

void kap_referral_row_pack(kap_buf_t *buf, const kap_referral_row_t *row)
{
    kap_buf_u8(buf, REFERRAL_ROW);
    put_places(buf, &row->places);
    kap_put_varint(buf, row->created_seq);
    kap_put_svarint(buf, row->due_indexed_at);
    kap_put_svarint(buf, row->customer.working_ms);
    kap_put_svarint(buf, row->customer.elapsed_ms);
    kap_referral_pack(buf, &row->r);
}

int kap_referral_row_unpack(kap_span_t value, kap_referral_row_t *row)
{
    if (value.size == 0 || value.data[0] != REFERRAL_ROW)
        return KAP_E_CORRUPT;
    kap_span_t rest = kap_span_sub(value, 1, SIZE_MAX);
    if (!get_places(&rest, &row->places) || !kap_get_varint(&rest, &row->created_seq) ||
        !kap_get_svarint(&rest, &row->due_indexed_at) ||
        !kap_get_svarint(&rest, &row->customer.working_ms) ||
        !kap_get_svarint(&rest, &row->customer.elapsed_ms))
        return KAP_E_CORRUPT;
    return kap_referral_unpack(rest, &row->r);
}

int kap_rows_referral(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_referral_row_t *row)
{
    kap_key_t key;
    kap_span_t value;

    kap_key_scoped(&key, scope, id);
    int rc = kap_txn_get(txn, KAP_ROWS_REFERRALS, kap_key_span(&key), &value);
    return rc != KAP_OK ? rc : kap_referral_row_unpack(value, row);
}

void kap_case_row_pack(kap_buf_t *buf, const kap_case_row_t *row)
{
    kap_put_svarint(buf, row->started_at);
    kap_put_svarint(buf, row->first_accepted_at);
    kap_put_text(buf, row->first_accepted);
    kap_put_varint(buf, row->count);
    kap_buf_append(buf, row->ids);
}

int kap_case_row_unpack(kap_span_t rest, kap_case_row_t *row)
{
    uint64_t count;

    if (!kap_get_svarint(&rest, &row->started_at) ||
        !kap_get_svarint(&rest, &row->first_accepted_at) ||
        !kap_get_text(&rest, &row->first_accepted) || !kap_get_varint(&rest, &count))
        return KAP_E_CORRUPT;
    row->count = (uint32_t)count;
    row->ids = rest;
    return KAP_OK;
}

int kap_rows_case_row(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_case_row_t *row)
{
    kap_key_t key;
    kap_span_t value;

    kap_key_scoped(&key, scope, id);
    int rc = kap_txn_get(txn, KAP_ROWS_CASES, kap_key_span(&key), &value);
    return rc != KAP_OK ? rc : kap_case_row_unpack(value, row);
}

int kap_rows_title(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_span_t *title)
{
    kap_key_t key;

    kap_key_scoped(&key, scope, id);
    int rc = kap_txn_get(txn, KAP_ROWS_TITLES, kap_key_span(&key), title);
    if (rc == KAP_E_NOTFOUND)
        *title = id;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_rows_case(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_arena_t *arena,
                  kap_case_t *out)
{
    kap_case_row_t listed;
    kap_referral_row_t row;
    kap_span_t referral;
    int rc = kap_rows_case_row(txn, scope, id, &listed);

    if (rc != KAP_OK)
        return rc;
    kap_case_init(out);
    for (uint32_t i = 0; i < listed.count; i++) {
        if (!kap_get_text(&listed.ids, &referral))
            return KAP_E_CORRUPT;
        rc = kap_rows_referral(txn, scope, referral, &row);
        if (rc == KAP_OK)
            rc = kap_case_put(out, arena, referral, &row.r);
        if (rc != KAP_OK)
            return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc; /* it is listed: it must be there */
    }
    return KAP_OK;
}

int kap_rows_forum(kap_txn_t *txn, kap_span_t id, kap_forum_t *forum)
{
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_ROWS_FORUMS, id, &value);

    return rc != KAP_OK ? rc : kap_forum_unpack(value, forum);
}

int kap_rows_meeting(kap_txn_t *txn, kap_span_t id, kap_meeting_t *meeting)
{
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_ROWS_MEETINGS, id, &value);

    return rc != KAP_OK ? rc : kap_meeting_unpack(value, meeting);
}

int kap_rows_action(kap_txn_t *txn, kap_span_t id, kap_action_t *action)
{
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_ROWS_ACTIONS, id, &value);

    return rc != KAP_OK ? rc : kap_action_unpack(value, action);
}

void kap_archive_pack(kap_buf_t *buf, const kap_archive_t *archive)
{
    kap_put_varint(buf, archive->opened_seq);
    kap_put_varint(buf, archive->closed_seq);
    kap_buf_append(buf, kap_span(archive->digest, sizeof archive->digest));
    kap_put_text(buf, archive->source);
    kap_put_text(buf, archive->attribute);
    kap_put_text(buf, archive->options);
}

int kap_rows_archive(kap_txn_t *txn, kap_span_t name, kap_archive_t *archive)
{
    kap_span_t rest;
    int rc = kap_txn_get(txn, KAP_ROWS_ARCHIVES, name, &rest);

    if (rc != KAP_OK)
        return rc;
    if (!kap_get_varint(&rest, &archive->opened_seq) ||
        !kap_get_varint(&rest, &archive->closed_seq) || rest.size < sizeof archive->digest)
        return KAP_E_CORRUPT;
    memcpy(archive->digest, rest.data, sizeof archive->digest);
    rest = kap_span_sub(rest, sizeof archive->digest, SIZE_MAX);
    bool whole = kap_get_text(&rest, &archive->source) &&
                 kap_get_text(&rest, &archive->attribute) && kap_get_text(&rest, &archive->options);
    return whole && rest.size == 0 ? KAP_OK : KAP_E_CORRUPT;
}

void kap_heir_put(kap_buf_t *buf, kap_span_t region, kap_span_t heir)
{
    kap_put_text(buf, region);
    kap_put_text(buf, heir);
}

bool kap_heir_next(kap_span_t *rest, kap_span_t *region, kap_span_t *heir)
{
    return kap_get_text(rest, region) && kap_get_text(rest, heir);
}

void kap_succession_row_pack(kap_buf_t *buf, const kap_succession_row_t *row)
{
    kap_put_svarint(buf, row->from_at);
    kap_buf_append(buf, row->heirs);
}

int kap_succession_row_unpack(kap_span_t value, kap_succession_row_t *row)
{
    kap_span_t region, heir;

    if (!kap_get_svarint(&value, &row->from_at))
        return KAP_E_CORRUPT;
    row->heirs = value;
    while (kap_heir_next(&value, &region, &heir))
        ;
    return value.size == 0 && row->heirs.size > 0 ? KAP_OK : KAP_E_CORRUPT;
}

int kap_rows_succession(kap_txn_t *txn, kap_succeeded_t kind, kap_span_t id,
                        kap_succession_row_t *row)
{
    kap_key_t key;
    kap_span_t value;

    if (id.size == 0)
        return KAP_E_NOTFOUND;
    kap_key_scoped(&key, kind, id);
    int rc = kap_txn_get(txn, KAP_ROWS_SUCCESSIONS, kap_key_span(&key), &value);
    return rc == KAP_OK ? kap_succession_row_unpack(value, row) : rc;
}

/* Is the row about the id? */
static bool names(kap_span_t key, const kap_succession_row_t *row, kap_span_t id)
{
    kap_span_t rest = row->heirs, region, heir;
    bool is = kap_span_eq(kap_span_sub(key, 4, SIZE_MAX), id);

    while (!is && kap_heir_next(&rest, &region, &heir))
        is = kap_span_eq(heir, id);
    return is;
}

int kap_rows_is_in_succession(kap_txn_t *txn, kap_succeeded_t kind, kap_span_t id, bool *is)
{
    kap_cursor_t *cursor;
    kap_succession_row_t row;
    kap_key_t first;
    int rc = kap_cursor_open(txn, KAP_ROWS_SUCCESSIONS, &cursor);

    *is = false;
    if (rc != KAP_OK)
        return rc;
    kap_key_scoped(&first, kind, KAP_SPAN(""));
    rc = kap_cursor_seek_ge(cursor, kap_key_span(&first));
    while (rc == KAP_OK && !*is && kap_span_starts(kap_cursor_key(cursor), kap_key_span(&first))) {
        rc = kap_succession_row_unpack(kap_cursor_value(cursor), &row);
        *is = rc == KAP_OK && names(kap_cursor_key(cursor), &row, id);
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_rows_directory(kap_txn_t *txn, uint64_t log_seq, uint64_t *from, kap_span_t *json)
{
    kap_cursor_t *cursor;
    uint8_t key[8];
    int rc = kap_cursor_open(txn, KAP_ROWS_DIRECTORIES, &cursor);

    if (rc != KAP_OK)
        return rc;
    kap_be_put_u64(key, log_seq);
    rc = kap_cursor_seek_le(cursor, kap_span(key, sizeof key));
    if (rc == KAP_OK && from != NULL)
        *from = kap_be_get_u64(kap_cursor_key(cursor).data);
    if (rc == KAP_OK)
        *json = kap_cursor_value(cursor);
    kap_cursor_close(&cursor);
    return rc;
}

void kap_latest_pack(kap_buf_t *buf, const kap_latest_t *latest)
{
    kap_put_varint(buf, latest->log_seq);
    kap_put_svarint(buf, latest->at);
    kap_buf_u8(buf, (uint8_t)(latest->given | latest->agreed << 1));
    kap_put_svarint(buf, latest->kind);
    kap_put_svarint(buf, latest->days);
    kap_put_svarint(buf, latest->begins);
    kap_put_svarint(buf, latest->ends);
    kap_put_text(buf, latest->from);
    kap_put_text(buf, latest->to);
    kap_put_text(buf, latest->region);
}

int kap_rows_latest(kap_txn_t *txn, kap_span_t key, kap_latest_t *latest)
{
    kap_span_t rest;
    int rc = kap_txn_get(txn, KAP_ROWS_LATEST, key, &rest);

    return rc == KAP_OK ? kap_latest_unpack(rest, latest) : rc;
}

int kap_latest_unpack(kap_span_t rest, kap_latest_t *latest)
{
    uint64_t bits;
    int64_t kind;
    bool whole = kap_get_varint(&rest, &latest->log_seq) && kap_get_svarint(&rest, &latest->at) &&
                 kap_get_varint(&rest, &bits) && kap_get_svarint(&rest, &kind) &&
                 kap_get_svarint(&rest, &latest->days) && kap_get_svarint(&rest, &latest->begins) &&
                 kap_get_svarint(&rest, &latest->ends) && kap_get_text(&rest, &latest->from) &&
                 kap_get_text(&rest, &latest->to) && kap_get_text(&rest, &latest->region);

    if (!whole || rest.size != 0 || kind < -1 || kind >= KAP_KIND_COUNT)
        return KAP_E_CORRUPT;
    latest->given = bits & 1;
    latest->agreed = bits >> 1 & 1;
    latest->kind = (int16_t)kind;
    return KAP_OK;
}

/* --- keys --- */

static uint8_t *key_add(kap_key_t *key, size_t size)
{
    uint8_t *at = key->bytes + key->size;

    KAP_CHECK(key->size + size <= sizeof key->bytes);
    key->size += size;
    return at;
}

void kap_key_u64(kap_key_t *key, uint64_t value)
{
    key->size = 0;
    kap_be_put_u64(key_add(key, 8), value);
}

void kap_key_u32_u64(kap_key_t *key, uint32_t a, uint64_t b)
{
    key->size = 0;
    kap_be_put_u32(key_add(key, 4), a);
    kap_be_put_u64(key_add(key, 8), b);
}

void kap_key_scoped(kap_key_t *key, uint32_t scope, kap_span_t id)
{
    key->size = 0;
    kap_be_put_u32(key_add(key, 4), scope);
    memcpy(key_add(key, id.size), id.data, id.size);
}

/* Signed times in order of bytes. */
static uint64_t ordered(int64_t at)
{
    return (uint64_t)at ^ UINT64_C(1) << 63;
}

void kap_key_due(kap_key_t *key, int64_t at, uint32_t scope, kap_span_t id)
{
    key->size = 0;
    kap_be_put_u64(key_add(key, 8), ordered(at));
    kap_be_put_u32(key_add(key, 4), scope);
    memcpy(key_add(key, id.size), id.data, id.size);
}

int kap_key_due_split(kap_span_t key, int64_t *at, uint32_t *scope, kap_span_t *id)
{
    if (key.size <= 12)
        return KAP_E_CORRUPT;
    *at = (int64_t)(kap_be_get_u64(key.data) ^ UINT64_C(1) << 63);
    *scope = kap_be_get_u32(key.data + 8);
    *id = kap_span(key.data + 12, key.size - 12);
    return KAP_OK;
}

/* --- values --- */

void kap_put_varint(kap_buf_t *buf, uint64_t value)
{
    uint8_t *at = kap_buf_reserve(buf, VARINT_BYTES);

    if (at == NULL)
        return;
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    buf->size = (size_t)(at - buf->data);
}

void kap_put_svarint(kap_buf_t *buf, int64_t value)
{
    kap_put_varint(buf, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

bool kap_get_varint(kap_span_t *rest, uint64_t *value)
{
    uint64_t v = 0;

    for (size_t i = 0; i < rest->size && i < 10; i++) {
        uint8_t byte = rest->data[i];
        if (i == 9 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *rest = kap_span(rest->data + i + 1, rest->size - i - 1);
            *value = v;
            return true;
        }
    }
    return false;
}

bool kap_get_svarint(kap_span_t *rest, int64_t *value)
{
    uint64_t v;

    if (!kap_get_varint(rest, &v))
        return false;
    *value = (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
    return true;
}

void kap_put_text(kap_buf_t *buf, kap_span_t text)
{
    kap_put_varint(buf, text.size);
    kap_buf_append(buf, text);
}

bool kap_get_text(kap_span_t *rest, kap_span_t *text)
{
    uint64_t size;
    kap_span_t r = *rest;

    if (!kap_get_varint(&r, &size) || size > r.size)
        return false;
    *text = kap_span(r.data, (size_t)size);
    *rest = kap_span(r.data + size, r.size - (size_t)size);
    return true;
}
