/* SPDX-License-Identifier: MPL-2.0 */
/*
 * map: from bytes to a pointer, for the few tables that live in the broker's loop (members'
 * budgets, streams, connections). Owner and only caller: the loop thread. Keys are copied,
 * values are the caller's. Not ordered; walking it while changing it is not allowed.
 */
#ifndef KAP_MAP_H
#define KAP_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "span.h"

typedef struct kap_map kap_map_t;

/* A new, empty map; NULL when out of memory. Hashing is keyed at random, so that names chosen by
 * a peer cannot pile up in one place. */
kap_map_t *kap_map_new(void);

/* Frees the map and its keys, never the values; takes and nulls. NULL inside is fine. */
void kap_map_destroy(kap_map_t **map);

/* The value of `key`, or NULL. */
void *kap_map_get(const kap_map_t *map, kap_span_t key);

/* Sets `key` to `value` (not NULL). 0 or KAP_E_NOMEM; on failure nothing changed. */
int kap_map_put(kap_map_t *map, kap_span_t key, void *value);

/* Removes `key` and returns its value, NULL when there was none. */
void *kap_map_remove(kap_map_t *map, kap_span_t key);

/* Number of entries. */
size_t kap_map_count(const kap_map_t *map);

/* Walks: start with *place = 0; returns the next value, or NULL at the end. `key` may be NULL. */
void *kap_map_next(const kap_map_t *map, size_t *place, kap_span_t *key);

#endif
