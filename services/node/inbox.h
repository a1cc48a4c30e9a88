/* SPDX-License-Identifier: MPL-2.0 */
/* Delivery: the member's stream, fetched from the broker, event by event, without a gap.
 *
 * Purpose: FETCH member/<self> from the cursor, for ever. Inbox rows, cursor, state (mirror.h) and
 * what the node says by itself commit together: `delivered` for a referral to this member once its
 * contents are stored and unsealed, `answer_received` for a terminal answer to one of its own. A
 * crash before the commit fetches the same events again; after it they are there once.
 * Contents that do not open here are stored and shown as such, logged, and not `delivered`.
 * A broker restored to an older epoch says how far its log was kept: the cursor goes back there,
 * and rows beyond it give way to what comes.
 * Owner: the node; loop thread only. It stores contents sealed, as they came. */
#ifndef KAP_NODE_INBOX_H
#define KAP_NODE_INBOX_H

#include "event.h"
#include "inside.h"

int kap_inbox_start(kap_node_t *node, kap_inbox_t **inbox);
void kap_inbox_stop(kap_inbox_t **inbox);

/* The marks were checked: fetching may begin, or go on. */
void kap_inbox_go(kap_inbox_t *inbox);

typedef struct {
    uint64_t cursor;     /* last stream sequence stored */
    uint64_t as_of_seq;  /* the broker's log position of the last answer */
    uint64_t received;   /* events in this run */
    uint64_t unreadable; /* sealed parts that did not open, in this run */
    char error[80];      /* why fetching stands still; "" when it does not */
} kap_inbox_state_t;

void kap_inbox_state(const kap_inbox_t *inbox, kap_inbox_state_t *state);

/* Does it follow the broker's epoch already? */
bool kap_inbox_follows(const kap_inbox_t *inbox, const uint8_t epoch[KAP_LIMIT_EPOCH_BYTES]);

/* Row of KAP_TABLE_INBOX, lent from the transaction. */
typedef struct {
    uint64_t stream_seq, log_seq;
    int64_t committed_at_ms;
    uint8_t verdict;
    bool unsealed; /* no sealed part, or it opened */
    kap_span_t open, ends, sealed;
} kap_inbox_row_t;

int kap_inbox_row_get(kap_txn_t *txn, uint64_t stream_seq, kap_inbox_row_t *row);

/* The same, its spans copied into the arena: they live through writes. */
int kap_inbox_row_load(kap_txn_t *txn, uint64_t stream_seq, kap_arena_t *arena,
                       kap_inbox_row_t *row);

/* The row as actors and listeners see it, without a state. `event` is its own, decoded;
 * `contents` what kap_inbox_unseal gave. All is lent. */
kap_received_t kap_inbox_received(const kap_node_t *node, const kap_inbox_row_t *row,
                                  const kap_event_t *event, kap_span_t contents);

/* Opens the sealed part of an event with this member's keys; appends the clear contents (a
 * MessagePack map). KAP_E_NOTFOUND: it has none; KAP_E_DENIED: not sealed to us; KAP_E_CORRUPT:
 * changed, or not by its sender. The caller wipes what it got. */
int kap_inbox_unseal(kap_node_t *node, const kap_event_t *event, kap_buf_t *contents);

/* Clear contents of a referral's `created`, as sent or as received; errors as above. */
int kap_inbox_contents(kap_work_t *work, kap_span_t referral, kap_buf_t *contents,
                       kap_event_t *created);

#endif
