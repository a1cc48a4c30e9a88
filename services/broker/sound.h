/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sound: a damaged page can hide a row without an error, since the checksum of a row says nothing
 * about a row that is not found. Where absence is believed (a name without a number, a producer
 * without a mark) a hidden row would be judged as new. This looks through those tables from both
 * sides, once, when a ledger is opened; it reads only. Any thread, in the caller's transaction.
 */
#ifndef KAP_SOUND_H
#define KAP_SOUND_H

#include <stdbool.h>

#include "store.h"

/* Every text has its number and the other way round, whatever has receipts has its mark, and the
 * head has its event. KAP_E_CORRUPT when not. fresh: there is no head. Then KAP_E_NOTFOUND when
 * there is nothing else either, so that a head can be made. Reads every name once. */
int kap_sound_check(kap_txn_t *txn, bool fresh);

#endif
