/* SPDX-License-Identifier: MPL-2.0 */
/* Between JSON lines and what the broker speaks: events to be published, events of the log,
 * questions and answers. For the player only; a line that cannot be read ends the program. */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include <jansson.h>

#include "arena.h"
#include "event.h"
#include "mp.h"

/* Ends the program with a sentence about what is wrong with the line. */
_Noreturn void wrong_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text of an object; `otherwise` when it is absent. Lent from the object. */
const char *json_text(const json_t *object, const char *key, const char *otherwise);
int64_t json_number(const json_t *object, const char *key, int64_t otherwise);

/* {type, id, source, sequence, time, recorded?, group?, data {wire name: value}}, built and decoded
 * as if it had been received; bytes live in the arena. With "broken": bytes that nobody can read.
 */
void event_of_json(const json_t *json, kap_arena_t *arena, kap_event_t *ev);

/* A question's map as MessagePack. */
void put_json(kap_buf_t *buf, const json_t *json);

/* A MessagePack object as JSON; binary as hex. A new reference. */
json_t *json_of_node(const kap_mp_t *node);

/* An event of the log: type, time, recorded, data of its open and ends parts; added to `to`. */
void add_event(json_t *to, kap_span_t open, kap_span_t ends, kap_arena_t *arena);

#endif
