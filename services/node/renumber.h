/* SPDX-License-Identifier: MPL-2.0 */
/* Moves events that can no longer go under their producer to a new line.
 *
 * Purpose: an accepted act reaches the broker even when its number is lost: another copy of this
 * store has used it (`conflict`), or the broker was restored to before what is kept here, so that
 * the gap cannot be filled. Source and sequence of the open part are written anew, everything else
 * stays byte for byte. Owner: uplink.c; inside a write transaction. The only exception to "a row's
 * bytes never change". */
#ifndef KAP_NODE_RENUMBER_H
#define KAP_NODE_RENUMBER_H

#include "inside.h"

/* Events of `line` from `first` on. The newest line takes them when it is another and has nothing
 * of its own yet, else a new one. */
int kap_renumber(kap_work_t *work, uint32_t line, uint64_t first, uint64_t *moved);

/* Says one event once more, as the newest of this node: the old row stays as it is. KAP_E_NOTFOUND:
 * it is no longer kept. */
int kap_renumber_copy(kap_work_t *work, uint32_t line, uint64_t sequence);

#endif
