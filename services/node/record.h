/* SPDX-License-Identifier: MPL-2.0 */
/* Received events as files of one flat JSON object each, for an organisation's own system: the
 * event's type, who and when, every field of the open and ends part under its wire name, and the
 * unsealed contents. Codes are their wire names, times RFC 3339 UTC; what no file needs (pseudonym,
 * hashes) is left out. Owner: an actor's daemon, from its hooks; loop thread. */
#ifndef KAP_NODE_RECORD_H
#define KAP_NODE_RECORD_H

#include "actor.h"
#include "folder.h"

/* For the hooks `opened` and `closing` of an actor whose state is the folder of its records: the
 * one that `key` names in the configuration, NULL when it names none. Errors as kap_folder_open,
 * logged. */
int kap_record_folder(const kap_node_t *node, const char *key, void **folder);
void kap_record_folder_close(void **folder);

/* Writes the object and a line end as the file `name` (0600), in place of an older one.
 * KAP_E_INVALID when the contents cannot be read, KAP_E_NOMEM, else as kap_folder_write. */
int kap_record_write(const kap_folder_t *folder, const char *name, const kap_received_t *received);

#endif
