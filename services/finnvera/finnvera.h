/* SPDX-License-Identifier: MPL-2.0 */
/* What kapula-finnvera does that no other daemon does: it stands beside systems that are outside
 * the mesh. Each referral that arrives becomes an application file; decision files come back and
 * end the referral, their codes mapped to outcomes. What exactly was decided stays in the sealed
 * part (secrecy of the financier): the ends part says handled, not_handled or passed_on. */
#ifndef KAP_FINNVERA_H
#define KAP_FINNVERA_H

#include "node.h"

extern const kap_actor_t kap_finnvera;

#endif
