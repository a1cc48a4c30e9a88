/* SPDX-License-Identifier: MPL-2.0 */
/* Forums, meetings and actions of a region as its stream tells them, folded into maps whose keys
 * are the fields' names. Reads the region's stream, or, where this key may not, what concerned the
 * member itself. Owner: the one command that shows them. It judges nothing: what the broker
 * accepted is told, the last word counts. */
#ifndef KAP_GATHERED_H
#define KAP_GATHERED_H

#include "shown.h"

typedef struct {
    kap_arena_t *arena;        /* its own: the feed uses the cli's again and again */
    kap_shown_list_t kinds[3]; /* forums, meetings, actions: maps, by KAP_GATHERED_ */
} kap_gathered_t;

enum { KAP_GATHERED_FORUMS, KAP_GATHERED_MEETINGS, KAP_GATHERED_ACTIONS };

/* Reads all of it. `region` NULL: the configuration's. 0 or an exit code after saying why; to be
 * freed in every case. */
int kap_gathered_read(kap_cli_t *cli, const char *region, kap_gathered_t *gathered);
void kap_gathered_free(kap_gathered_t *gathered);

/* The map of that kind with that id; NULL. */
const kap_mp_t *kap_gathered_find(const kap_gathered_t *gathered, int kind, kap_span_t id);

#endif
