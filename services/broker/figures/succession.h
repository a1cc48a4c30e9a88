/* SPDX-License-Identifier: MPL-2.0 */
/*
 * succession: organisations as they are today. All successions of a snapshot that are in force at
 * an instant, resolved: a member in a region, a region, an area, followed to whom or what stands in
 * its place now, over any chain. Numbers are those of names. Immutable once loaded; any thread. It
 * counts nothing (now.h does) and changes nothing: history stays as it was.
 */
#ifndef KAP_SUCCESSION_H
#define KAP_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "store.h"

typedef struct kap_succession kap_succession_t;

/* Reads the table of successions; those that begin after `now` are not in force. Everything in the
 * arena. KAP_E_NOMEM, KAP_E_CORRUPT. */
int kap_succession_load(kap_txn_t *txn, kap_arena_t *arena, int64_t now, kap_succession_t **out);

/* Nobody ever followed anybody: today is as then. */
bool kap_succession_is_empty(const kap_succession_t *s);

/* The region in whose place it stands today: itself when nothing followed it. */
uint32_t kap_succession_region(const kap_succession_t *s, uint32_t region);

/* The member that stands in its place in a region. By regions the one of `region` counts, else that
 * of the first region that followed it and has one. Where nobody took over, the last of the chain
 * stays, *unassigned (may be NULL) says so. */
uint32_t kap_succession_member(const kap_succession_t *s, uint32_t region, uint32_t member,
                               bool *unassigned);

/* The same for the area of a region. */
uint32_t kap_succession_area(const kap_succession_t *s, uint32_t region, uint32_t area,
                             bool *unassigned);

/* Did somebody follow it, in any region? */
bool kap_succession_is_followed(const kap_succession_t *s, uint32_t member);

/* Every member that was followed or follows, each once: no other stands elsewhere today. */
const uint32_t *kap_succession_members(const kap_succession_t *s, uint32_t *count);

#endif
