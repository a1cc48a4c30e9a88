/* SPDX-License-Identifier: MPL-2.0 */
/* One JSON line into names and cells: {"basis":{"disclosure":"statute"},"results":["a","b"]} gives
 * basis.disclosure and "a,b". Numbers and truth become their text, null an empty cell. Pure. */
#ifndef KAP_NODE_INTAKE_JSON_H
#define KAP_NODE_INTAKE_JSON_H

#include "arena.h"

/* Everything given lives in the arena. *bad (static text) when the line is no such object: then the
 * one cell is the line itself, under the name `text`. KAP_E_NOMEM. */
int kap_intake_json_row(kap_span_t line, size_t max_bytes, kap_arena_t *arena, kap_span_t **names,
                        kap_span_t **cells, size_t *count, const char **bad);

#endif
