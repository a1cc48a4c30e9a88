/* SPDX-License-Identifier: MPL-2.0 */
/*
 * audit: the recount (guarantee G3). It enters the log anew, from the first event, into an empty
 * store in memory: what was decided is applied, no access is asked again; then every table is
 * compared with the stored one, row by row, and the chain with the head. It works in slices, each
 * in a snapshot of the caller's, and never writes to the store. Owner: one thread at a time.
 * It needs memory for a second copy of the store.
 */
#ifndef KAP_AUDIT_H
#define KAP_AUDIT_H

#include <stdint.h>

#include "buf.h"
#include "store.h"

typedef struct kap_audit kap_audit_t;

typedef struct {
    uint64_t position;    /* head of the log that was recounted */
    uint64_t figures_seq; /* cells were compared at this position */
    uint64_t events;      /* entered anew */
    uint64_t rows;        /* compared */
    uint64_t differences; /* rows that differ, are missing or too many; a chain that differs */
} kap_audit_report_t;

/* A recount that has not begun. KAP_E_NOMEM. */
int kap_audit_new(kap_audit_t **out);
void kap_audit_destroy(kap_audit_t **audit);

/* One slice, at most about a thousand events; the last one compares, however long it takes.
 * KAP_E_AGAIN: call again, in a new snapshot; KAP_OK: done; KAP_E_CORRUPT: the log itself cannot be
 * read or entered. `what` (may be NULL) gets a line for each of the first differences. */
int kap_audit_step(kap_audit_t *audit, kap_txn_t *txn, kap_buf_t *what);

/* What came out; whole once a step returned KAP_OK. */
void kap_audit_report(const kap_audit_t *audit, kap_audit_report_t *report);

/* All steps at once, over a store nobody else need be reading. KAP_E_AGAIN: it was left in the
 * middle of writing figures; open the ledger first. */
int kap_ledger_audit(kap_store_t *store, kap_audit_report_t *report, kap_buf_t *what);

#endif
