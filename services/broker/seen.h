/* SPDX-License-Identifier: MPL-2.0 */
/*
 * seen: when each member's node was last heard of, since the broker started: every request that the
 * door lets in. Nothing of it is durable, and nothing is decided by it: it tells a member that says
 * nothing from a node that is dead (metrics 14). Owner and only caller: the loop; a copy may be
 * read by any thread.
 */
#ifndef KAP_SEEN_H
#define KAP_SEEN_H

#include <stdint.h>

#include "arena.h"
#include "metric.h"
#include "span.h"

typedef struct kap_seen kap_seen_t;

/* NULL when out of memory. `now`: the beginning. */
kap_seen_t *kap_seen_new(int64_t now);

/* Takes and nulls; NULL inside is fine. */
void kap_seen_destroy(kap_seen_t **seen);

/* A request of a member came in. Out of memory: it is not noted. */
void kap_seen_note(kap_seen_t *seen, kap_span_t member, int64_t now);

/* All of it as it is now, in the arena. NULL when out of memory. */
const kap_metric_seen_t *kap_seen_copy(const kap_seen_t *seen, int64_t now, kap_arena_t *arena);

#endif
