/* SPDX-License-Identifier: MPL-2.0 */
/* What others said, this node was told, and a restored broker took back.
 *
 * Purpose: the other end of a restore_conflict. Whose act is refused after the restore hears of it
 * as the act's fate (fate.h); who had been told of that act has only this: it does not come again.
 * Kept by subject and type until something of the kind comes, or store.keep is over, since nobody
 * can resend it after that. Shown by health. Owner: inbox.c, inside its write transactions. */
#ifndef KAP_NODE_TAKEN_H
#define KAP_NODE_TAKEN_H

#include "event.h"
#include "inside.h"

/* The event was taken back; own ones and those that the broker says by itself are passed over. */
int kap_taken_put(kap_work_t *work, const kap_event_t *event);

/* An event came: it is not missing any more. */
int kap_taken_came(kap_work_t *work, const kap_event_t *event);

/* How many are missing; *one gets the words of one of them, as "type of subject". */
int kap_taken_count(kap_txn_t *txn, uint64_t *count, char one[320]);

/* Forgets those taken back before a time. */
int kap_taken_trim(kap_work_t *work, int64_t before_ms);

#endif
