/* SPDX-License-Identifier: MPL-2.0 */
/* What kapula-ely does that no other daemon does: it may follow the regions of its areas into files
 * (ely.feed, follow.h), and it knows the columns of development-grant applications. */
#ifndef KAP_ELY_H
#define KAP_ELY_H

#include "node.h"

extern const kap_actor_t kap_ely;

#endif
