/* SPDX-License-Identifier: MPL-2.0 */
/*
 * reader: the thread that reads the ledger's store for the loop: cold FETCH, QUERY, recounts. Work
 * is done in slices; between two slices its read transaction is reset, so that no snapshot holds
 * back the reuse of pages, and the work goes to the end of the queue, so that a long recount does
 * not delay a short answer. Questions and reads of streams take turns, so that many questions of
 * one member do not keep the others from their events. Owner: the broker's loop. It writes nothing
 * and knows no socket.
 */
#ifndef KAP_READER_H
#define KAP_READER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "loop.h"
#include "store.h"

typedef struct kap_reader kap_reader_t;
typedef struct kap_work kap_work_t;

/* One piece of work, embedded in the caller's own struct. The caller sets `step` and `done`. */
struct kap_work {
    /* Reader thread: one slice in a fresh snapshot, about 1,000 rows or 20 ms at most. KAP_OK:
     * finished; KAP_E_AGAIN: call again in a new snapshot; anything else: failed with this. */
    int (*step)(kap_work_t *work, kap_txn_t *txn);
    /* Loop thread: the work is over and the caller's again. `rc` of the last step, or KAP_E_CLOSED
     * when the reader stopped first. */
    void (*done)(kap_work_t *work, int rc);
    bool question;    /* set by the caller: else it reads a stream */
    int rc;           /* the reader's own */
    kap_work_t *next; /* the reader's own */
};

/* Starts the thread over a store that outlives it. `gate` (lent) is held for the length of each
 * slice: whoever locks it stops the reader, so that the ledger can grow the store's map.
 * KAP_E_NOMEM, KAP_E_IO. */
int kap_reader_start(kap_loop_t *loop, kap_store_t *store, pthread_mutex_t *gate,
                     kap_reader_t **out);

/* Queues work; it stays the reader's until `done`. Loop thread. */
void kap_reader_submit(kap_reader_t *reader, kap_work_t *work);

/* Work that is queued or running. Loop thread. */
size_t kap_reader_load(const kap_reader_t *reader);

/* Ends the running slice, calls `done` with KAP_E_CLOSED for what is left, joins. Loop thread.
 * Takes and nulls; NULL inside is fine. */
void kap_reader_stop(kap_reader_t **reader);

#endif
