/* SPDX-License-Identifier: MPL-2.0 */
/* What kapula-municipality does that no other daemon does: answers of calling campaigns (Harava),
 * one lead for each need of a company, and the columns of the CRMs of municipalities and their
 * development companies. The coordinator of a region usually sits here; her acts go through any
 * node, and her node gets no further right by it. */
#ifndef KAP_MUNICIPALITY_H
#define KAP_MUNICIPALITY_H

#include "node.h"

extern const kap_actor_t kap_municipality;

#endif
