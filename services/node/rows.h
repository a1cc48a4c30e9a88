/* SPDX-License-Identifier: MPL-2.0 */
/* Tables of node.lmdb and the codec of their rows.
 *
 * Purpose: one place that says what lies where. Pure but for the transaction that is lent. Rows
 * are big-endian numbers and length-prefixed bytes in the order that each module documents; a row
 * that does not parse is KAP_E_CORRUPT, never a guess. */
#ifndef KAP_NODE_ROWS_H
#define KAP_NODE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "span.h"
#include "store.h"

/* Version of the rows; another one is refused at opening. */
#define KAP_NODE_STORE_VERSION 1

typedef enum {
    KAP_TABLE_META,      /* name -> value */
    KAP_TABLE_LINES,     /* line -> producer and its marks (outbox.h) */
    KAP_TABLE_OUTBOX,    /* line, sequence -> final frames (outbox.h) */
    KAP_TABLE_RECEIPTS,  /* line, sequence -> verdict (outbox.h) */
    KAP_TABLE_ACTS,      /* act -> fate (fate.h) */
    KAP_TABLE_ACT_KEYS,  /* key of the caller -> act */
    KAP_TABLE_MARKS,     /* marks of callers (act.h) */
    KAP_TABLE_INBOX,     /* stream sequence -> event as delivered (inbox.h) */
    KAP_TABLE_SUBJECTS,  /* subject, stream sequence -> nothing: what was delivered about it */
    KAP_TABLE_REFERRALS, /* referral -> state here (mirror.h) */
    KAP_TABLE_CASES,     /* case, referral -> nothing */
    KAP_TABLE_FORUMS,    /* forum, meeting, action -> state here (mirror.h) */
    KAP_TABLE_MEETINGS,
    KAP_TABLE_ACTIONS,
    KAP_TABLE_STATEMENTS, /* statement -> who asked */
    KAP_TABLE_PENDING,    /* subject, line, sequence -> nothing: own events not yet in the stream */
    KAP_TABLE_AGAIN,      /* subject, line, sequence -> nothing: to be said again (again.h) */
    KAP_TABLE_TAKEN,      /* subject, type -> when: taken back by a restored broker (taken.h) */
    KAP_TABLE_COUNT
} kap_node_table_t;

extern const char *const kap_node_tables[KAP_TABLE_COUNT + 1];

/* Reader of a row: sticky err, straight-line code. */
typedef struct {
    kap_span_t rest;
    int err;
} kap_row_t;

kap_row_t kap_row(kap_span_t bytes);
uint8_t kap_row_u8(kap_row_t *row);
uint64_t kap_row_u64(kap_row_t *row);
/* Length-prefixed bytes, lent from the row. */
kap_span_t kap_row_span(kap_row_t *row);
/* n bytes as they are; NULL with err set when there are fewer. */
const uint8_t *kap_row_bytes(kap_row_t *row, size_t n);
/* KAP_OK when all was read without error, else KAP_E_CORRUPT. */
int kap_row_end(const kap_row_t *row);

/* The writer's counterpart of kap_row_span. */
void kap_row_put_span(kap_buf_t *buf, kap_span_t bytes);

/* Makes lent spans live through writes: each becomes its copy in the arena. KAP_E_NOMEM. */
int kap_spans_keep(kap_arena_t *arena, kap_span_t *const spans[], size_t count);

/* Keys: embedded, no allocation. */
typedef struct {
    uint8_t bytes[KAP_STORE_KEY_BYTES_MAX];
    size_t size;
} kap_key_t;

kap_span_t kap_key_span(const kap_key_t *key);
kap_key_t kap_key_u32(uint32_t value);
kap_key_t kap_key_u64(uint64_t value);
kap_key_t kap_key_u32_u64(uint32_t a, uint64_t b);
/* Ids (at most KAP_LIMIT_ID_BYTES) carry their length in front, so that no id is the beginning of
 * another one's keys. */
kap_key_t kap_key_id(kap_span_t id);
kap_key_t kap_key_id_u64(kap_span_t id, uint64_t b);
kap_key_t kap_key_id_u32_u64(kap_span_t id, uint32_t b, uint64_t c);
kap_key_t kap_key_id_id(kap_span_t a, kap_span_t b);
/* The id in front of a key, and what follows it. */
kap_span_t kap_key_first_id(kap_span_t key, kap_span_t *rest);

/* The keys of a table that begin with one id, in order; nothing may be written meanwhile:
 *     kap_walk_t walk = kap_walk(txn, KAP_TABLE_CASES, case_id, 0);
 *     while (kap_walk_next(&walk))
 *         walk.err = look_at(walk.rest);
 *     int rc = kap_walk_end(&walk);
 * An error ends the walk and is what kap_walk_end returns; KAP_E_NOTFOUND is none. */
typedef struct {
    kap_cursor_t *cursor;
    kap_key_t front;
    kap_span_t rest; /* of the key, behind the id */
    int err;
    bool begun;
} kap_walk_t;

/* From the number `from` behind the id on; 0: from the first. */
kap_walk_t kap_walk(kap_txn_t *txn, kap_node_table_t table, kap_span_t id, uint64_t from);
bool kap_walk_next(kap_walk_t *walk);
/* The rest as an id, or as a number (KAP_TABLE_SUBJECTS). */
kap_span_t kap_walk_id(const kap_walk_t *walk);
uint64_t kap_walk_u64(kap_walk_t *walk);
int kap_walk_end(kap_walk_t *walk);

/* Numbers in KAP_TABLE_META; NOTFOUND reads as 0. */
int kap_meta_u64(kap_txn_t *txn, const char *name, uint64_t *value);
int kap_meta_put_u64(kap_txn_t *txn, const char *name, uint64_t value);

#endif
