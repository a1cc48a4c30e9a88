/* SPDX-License-Identifier: MPL-2.0 */
/* What kapula-partner does that no other daemon does: it serves every other type of actor, with
 * services, columns, origin and rules by the type that the directory says (partner_types.def), and
 * by the flags of proto/actor_types.def: only an authority discloses by statute or public task, a
 * private provider only with the consent of the customer. */
#ifndef KAP_PARTNER_H
#define KAP_PARTNER_H

#include "node.h"

extern const kap_actor_t kap_partner;

#endif
