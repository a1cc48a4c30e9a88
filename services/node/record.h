/* SPDX-License-Identifier: MPL-2.0 */
/* A received event as one flat JSON object on one line, for files that an organisation's own system
 * reads: its type, who and when, every field of the open and ends part under its wire name, and the
 * unsealed contents. Codes are their wire names, times RFC 3339 UTC; what no file needs (pseudonym,
 * hashes) is left out. Pure but for the arena; loop thread. */
#ifndef KAP_NODE_RECORD_H
#define KAP_NODE_RECORD_H

#include "actor.h"

/* Appends the object and a line end. KAP_E_INVALID when the contents cannot be read, KAP_E_NOMEM.
 */
int kap_record_json(const kap_received_t *received, kap_buf_t *json);

/* The actor's daemon serves members of its own types only: logs what would be right and returns
 * KAP_E_CONFIG when the directory says another. For the hook `opened`. */
int kap_record_check_type(const kap_node_t *node);

#endif
