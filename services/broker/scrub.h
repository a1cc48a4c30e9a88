/* SPDX-License-Identifier: MPL-2.0 */
/*
 * scrub: looks for damage: of the log every leaf, every part and the chain, then of the store every
 * record. In slices, each in a snapshot of the caller's, so that it runs beside the broker or, a
 * slice now and then, in the reader's thread. It reads only, mends nothing and goes on behind what
 * is damaged. Owner: one thread at a time.
 */
#ifndef KAP_SCRUB_H
#define KAP_SCRUB_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

typedef struct kap_scrub kap_scrub_t;

/* Called for each damage, with words for people: "log, positions 12 to 15: ...". */
typedef void kap_scrub_fn(void *arg, const char *words);

/* What a whole pass found. */
typedef struct {
    uint64_t damages;  /* told */
    uint64_t position; /* the log was read up to here */
    uint64_t log_from; /* first damaged position of the log or its chain, 0: the log is whole */
} kap_scrub_report_t;

/* A pass that has not begun; on_damage may be NULL. names: a last slice, as long as it takes, looks
 * for rows that are hidden (sound.h). KAP_E_NOMEM. */
int kap_scrub_new(bool names, kap_scrub_fn *on_damage, void *arg, kap_scrub_t **out);
void kap_scrub_destroy(kap_scrub_t **scrub);

/* One slice of at most `most` events or records. KAP_E_AGAIN: call again, in a new snapshot;
 * KAP_OK: the pass is over, the next call begins another; anything else: not damage but that
 * nothing can be read at present. */
int kap_scrub_step(kap_scrub_t *scrub, kap_txn_t *txn, uint32_t most);

/* Of the pass that is over. */
void kap_scrub_report(const kap_scrub_t *scrub, kap_scrub_report_t *report);

/* A whole pass over a store, names too. KAP_OK also when there is damage: see the report. */
int kap_scrub_all(kap_store_t *store, kap_scrub_fn *on_damage, void *arg,
                  kap_scrub_report_t *report);

#endif
