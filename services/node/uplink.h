/* SPDX-License-Identifier: MPL-2.0 */
/* The uplink: carries the outbox to the broker, in order, until each event has its receipt.
 *
 * Purpose: PUBLISH what is not receipted, a window of requests at once; `later` answers (busy,
 * disk, gap, recovering) and silence set it back to the first event without a receipt, with a
 * growing pause. At every start of the process, and whenever the broker shows a new epoch, it asks
 * the broker's mark of each line it still holds first:
 *   mark behind the receipts  the broker was restored from an older backup: kept frames from
 *                             there on are sent again
 *   mark ahead of the line    this store is an old copy: what it holds is sent again (the broker
 *                             answers with the first receipts), new events begin a new line
 * Numbers that are lost for good (another copy has used them, or the gap cannot be filled any more)
 * are given up: renumber.h. Owner: the node; loop thread only. It never drops an event. */
#ifndef KAP_NODE_UPLINK_H
#define KAP_NODE_UPLINK_H

#include "inside.h"

/* Begins with the check of marks as soon as the connection is up. `on_checked` (may be NULL) is
 * called each time a check is complete. */
int kap_uplink_start(kap_node_t *node, void (*on_checked)(void *arg), void *arg,
                     kap_uplink_t **uplink);
void kap_uplink_stop(kap_uplink_t **uplink);

/* Something joined the outbox. */
void kap_uplink_wake(kap_uplink_t *uplink);

/* The connection came up: what was unanswered is asked anew by the client; pauses end. */
void kap_uplink_up(kap_uplink_t *uplink);

/* The broker showed this epoch (16 bytes) in an answer. A new one starts a check. */
void kap_uplink_epoch(kap_uplink_t *uplink, kap_span_t epoch);

typedef struct {
    bool checked;         /* the marks were compared in this connection's epoch */
    uint64_t outstanding; /* requests */
    uint64_t receipted;   /* events in this run */
    uint64_t refused;
    uint64_t later;      /* busy, disk, gap, recovering, by count of answers */
    char last_later[32]; /* the last such word, "" when none */
    bool stuck;          /* the broker calls our source foreign, or a gap cannot be healed */
} kap_uplink_state_t;

void kap_uplink_state(const kap_uplink_t *uplink, kap_uplink_state_t *state);

#endif
