/* SPDX-License-Identifier: MPL-2.0 */
/* The bounded scan in front of the MessagePack decoder: bytes of a peer are walked once,
 * iteratively and without allocation, before anything else touches them. What passes is
 * exactly one object in the subset of SPEC.md, Encoding: no floats, no extension types,
 * keys of maps are strings and differ, strings are UTF-8, depth and counts are bounded.
 * Pure; any thread. */
#ifndef KAP_SCAN_H
#define KAP_SCAN_H

#include "span.h"

typedef struct {
    uint32_t depth; /* at most KAP_LIMIT_DEPTH */
    uint32_t
        objects; /* at most KAP_LIMIT_ANSWER_OBJECTS; keys of open maps at most KAP_LIMIT_OBJECTS */
} kap_scan_limits_t;

/* KAP_OK when `in` is exactly one object within `limits` (NULL: KAP_LIMIT_DEPTH and
 * KAP_LIMIT_OBJECTS). Else KAP_E_INVALID or, over a limit, KAP_E_LIMIT, and *why (may be
 * NULL) says in a few constant words what is wrong. */
int kap_scan(kap_span_t in, const kap_scan_limits_t *limits, const char **why);

#endif
