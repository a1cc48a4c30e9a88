/* SPDX-License-Identifier: MPL-2.0 */
/* Finnish identifiers in text: the business id (Y-tunnus) and the personal identity
 * code (henkilotunnus), which Kapula never takes in any field. Pure; any thread. */
#ifndef KAP_IDCHECK_H
#define KAP_IDCHECK_H

#include <stdbool.h>

#include "event.h"
#include "span.h"

/* Exactly 7 digits, a dash and the right check digit: weights 7 9 10 5 8 4 2, modulo
 * 11; remainder 0 gives 0, remainder 1 is never issued, else 11 minus it. */
bool kap_business_id_ok(kap_span_t id);

/* True when a personal identity code stands anywhere in the text, in either case:
 * a real day DDMMYY, one of the signs + - Y X W V U A B C D E F, a number 002 to 999
 * (the temporary 900s too) and the check character, with no letter or digit right
 * before or after. The check character keeps false alarms at about 1 in 31 of what
 * only looks like one. *where, when given, lends the code found. */
bool kap_personal_code_in(kap_span_t text, kap_span_t *where);

/* The same in the texts of a node and of everything in it, keys included. */
bool kap_personal_code_in_node(const kap_mp_t *node);

/* The field of the first value that holds one, -1 when none does: texts, lists and maps,
 * and the texts of a basis. For the clear contents before they are sealed. */
int kap_personal_code_in_values(const kap_value_t *values, uint32_t count);

/* The same for what the tables name in the open and ends parts of an event; KAP_F_NONE when the
 * envelope holds one. (kap_event_decode looks into the rest as well.) */
int kap_personal_code_in_event(const kap_event_t *ev);

#endif
