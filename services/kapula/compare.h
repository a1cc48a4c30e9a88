/* SPDX-License-Identifier: MPL-2.0 */
/* What two answers to one question say differently: shares, means and times as one value, rows by
 * their key, other lists item by item. Position and time of the answers are no difference. Pure. */
#ifndef KAP_COMPARE_H
#define KAP_COMPARE_H

#include "shown.h"

/* Appends maps {what, old, new} to `out`: what is a path in words of the answer, old and new are
 * nodes of the answers, absent where there is none. */
void kap_compare(const kap_mp_t *before, const kap_mp_t *after, kap_shown_list_t *out);

#endif
