/* SPDX-License-Identifier: MPL-2.0 */
/* Files dropped into the spool of a node of the rig, and what lies in its folders. */
#ifndef KAP_TEST_DROP_H
#define KAP_TEST_DROP_H

#include "rig.h"

enum { MUNICIPALITY, TE_OFFICE, FINNVERA, MENTOR, ADVISER };

/* Configuration that rig_node_open adds: a spool in the folder `spool` of the rig. */
#define DROP_CONF "spool: { directory = \"spool\"; settle = \"0ms\"; };\n"

/* Path under the rig's folder. */
const char *drop_path(const rig_t *rig, const char *name);
/* Writes a file beside and renames it into place: name as "spool/in/a.csv". */
void drop_file(const rig_t *rig, const char *name, const char *text);
/* Runs the loop until the file is gone. */
void drop_until_gone(rig_t *rig, const char *name);
void drop_until_there(rig_t *rig, const char *name);
bool drop_is_there(const rig_t *rig, const char *name);
/* Text of a file, "" when there is none; the caller frees. */
char *drop_text(const rig_t *rig, const char *name);
/* How many entries a folder has, dot files included. */
size_t drop_count(const rig_t *rig, const char *folder);
/* Events in the node's outbox that wait for a receipt. */
uint64_t drop_waiting(kap_node_t *node);

#endif
