/* SPDX-License-Identifier: MPL-2.0 */
/*
 * anew: enters a log again, batch by batch, into the engine of another, empty store: what was
 * decided is applied, no access is asked. For the recount (audit.h) and for a restore to a position
 * (restore.h). It reads the log of the caller's snapshots and writes to that engine alone.
 * Embedded. Owner: one thread at a time.
 */
#ifndef KAP_ANEW_H
#define KAP_ANEW_H

#include <stdint.h>

#include "engine.h"
#include "rows.h"

typedef struct {
    kap_engine_t *engine;    /* lent; NULL: not begun */
    uint64_t done;           /* position entered so far */
    uint64_t differs;        /* first position whose machine says otherwise now; 0: none */
    uint64_t directory_from; /* position of the directory in force, 0: none yet */
    kap_replayed_t *events;  /* of one batch */
    uint32_t count;          /* read of a batch that could not be read to its end, else 0 */
    uint32_t cap;
} kap_anew_t;

/* From the beginning, into an engine over a new store, which takes over the chain's start. `anew`
 * is zeroed before. */
int kap_anew_begin(kap_anew_t *anew, kap_engine_t *engine, kap_txn_t *txn, const kap_head_t *head);
void kap_anew_fini(kap_anew_t *anew);

/* On to a position (the batch it lies in is cut there), at most about `limit` events at once.
 * Figures wait in the engine. KAP_E_AGAIN: call again, in a new snapshot; KAP_OK: there;
 * KAP_E_CORRUPT: the log cannot be read or entered at done + 1. */
int kap_anew_to(kap_anew_t *anew, kap_txn_t *txn, uint64_t to, uint64_t limit);

#endif
