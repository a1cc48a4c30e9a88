/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sweep: the running broker looks for damage by itself: a slice of a scrub in the reader's thread
 * now and then, pass after pass. Damage is logged where it is met (`store_damaged`) and counted; it
 * stops nothing: what the ledger meets stops the ledger. Owner and only caller: the loop.
 */
#ifndef KAP_SWEEP_H
#define KAP_SWEEP_H

#include <stdint.h>

#include "clock.h"
#include "loop.h"
#include "reader.h"

typedef struct kap_sweep kap_sweep_t;

/* A slice each pause_ms, after the one before is done. Loop, reader and clock outlive it.
 * KAP_E_NOMEM. */
int kap_sweep_start(kap_loop_t *loop, kap_reader_t *reader, const kap_clock_t *clock,
                    int64_t pause_ms, kap_sweep_t **out);

/* After the reader has been stopped. Takes and nulls; NULL inside is fine. */
void kap_sweep_stop(kap_sweep_t **sweep);

typedef struct {
    uint64_t passes;   /* whole ones since the start */
    int64_t passed_at; /* wall time of the last one's end; 0: none yet */
    uint64_t position; /* the log was read up to here by it */
    uint64_t damages;  /* that the last whole pass found */
} kap_sweep_state_t;
void kap_sweep_state(const kap_sweep_t *sweep, kap_sweep_state_t *state);

#endif
