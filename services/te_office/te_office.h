/* SPDX-License-Identifier: MPL-2.0 */
/* What kapula-te-office does that no other daemon does: statements for start-up grants and small
 * loans as files (te_office.statements: one that this office is asked for, one that it asked for
 * and got), and the authority that declines says where the customer was advised to turn. */
#ifndef KAP_TE_OFFICE_H
#define KAP_TE_OFFICE_H

#include "node.h"

extern const kap_actor_t kap_te_office;

#endif
