/* SPDX-License-Identifier: MPL-2.0 */
/* The outbox: final frames in the order in which they go to the broker.
 *
 * Purpose: what this node accepted is here before anybody is told so, and stays here until the
 * broker's receipt lies beside it, then for the kept time, so that a broker restored from a backup
 * can be healed. A row's bytes never change (but see renumber.h): a resend is byte-identical
 * (SPEC.md, PUBLISH). Owner: the node; everything happens inside a transaction that is lent. It
 * sends nothing.
 *
 * Lines. Events of one producer form a line with gapless sequences from 1. A new line begins with
 * the first event of a store, and when the old one may have been continued elsewhere (the store is
 * an old copy). Lines are sent one after the other, so order is kept across them. */
#ifndef KAP_NODE_OUTBOX_H
#define KAP_NODE_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "rows.h"

#define KAP_PRODUCER_BYTES 8
#define KAP_SOURCE_BYTES   240 /* "<member>/<16 hex digits>" and a NUL */

/* Row of KAP_TABLE_LINES. Sequences below `kept` are trimmed; `receipted` and below have a verdict
 * (a restored broker sets it back); `next` is the sequence of the event to come. */
typedef struct {
    uint32_t line; /* from 1 */
    uint8_t producer[KAP_PRODUCER_BYTES];
    uint64_t kept, receipted, next;
} kap_line_t;

/* "<member>/<producer>" */
void kap_line_source(const kap_line_t *line, const char *member, char out[KAP_SOURCE_BYTES]);

/* The newest line; KAP_E_NOTFOUND in a new store. */
int kap_line_last(kap_txn_t *txn, kap_line_t *line);
int kap_line_get(kap_txn_t *txn, uint32_t number, kap_line_t *line);
int kap_line_put(kap_txn_t *txn, const kap_line_t *line);

/* A line after the newest, with a random producer. */
int kap_line_new(kap_txn_t *txn, kap_line_t *line);

/* The oldest line that has something to send; KAP_E_NOTFOUND when all is receipted. */
int kap_line_waiting(kap_txn_t *txn, kap_line_t *line);

/* The first line whose number is above `after`; KAP_E_NOTFOUND past the last. */
int kap_line_after(kap_txn_t *txn, uint32_t after, kap_line_t *line);

/* One event. Spans are lent for put, and lent from the transaction by get. */
typedef struct {
    uint64_t act;       /* 0: the node's own (delivered, answer_received) */
    int64_t queued_at;  /* ms */
    bool continues;     /* the next event belongs to the same group */
    kap_span_t subject; /* referral, meeting, forum, ... */
    kap_span_t open, ends, sealed;
} kap_outbox_row_t;

int kap_outbox_put(kap_txn_t *txn, uint32_t line, uint64_t sequence, const kap_outbox_row_t *row);
int kap_outbox_get(kap_txn_t *txn, uint32_t line, uint64_t sequence, kap_outbox_row_t *row);

/* The same, its spans copied into the work's arena: they live through writes. */
int kap_outbox_load(kap_txn_t *txn, uint32_t line, uint64_t sequence, kap_arena_t *arena,
                    kap_outbox_row_t *row);

/* The broker's last word on an event. */
typedef struct {
    uint8_t verdict;  /* kap_verdict_t */
    uint16_t refusal; /* number of refusals.def, 0 when none */
    uint64_t log_seq;
    int64_t at_ms; /* when it came here */
} kap_outbox_receipt_t;

int kap_outbox_receipt_put(kap_txn_t *txn, uint32_t line, uint64_t sequence,
                           const kap_outbox_receipt_t *receipt);
int kap_outbox_receipt_get(kap_txn_t *txn, uint32_t line, uint64_t sequence,
                           kap_outbox_receipt_t *receipt);

/* Events without a receipt, all lines; *oldest_ms is when the first of them was queued (0: none).
 */
int kap_outbox_waiting(kap_txn_t *txn, uint64_t *count, int64_t *oldest_ms);

/* Removes receipted events, oldest first, whose receipt came before `before_ms`, at most `max`;
 * lines that are empty and not the newest go too. Acts keep their fate. */
int kap_outbox_trim(kap_txn_t *txn, int64_t before_ms, uint64_t max, uint64_t *trimmed);

#endif
