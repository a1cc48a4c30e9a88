/* SPDX-License-Identifier: MPL-2.0 */
/* Fields of a local act: from text to the typed values of an event.
 *
 * Purpose: everything between "a column says 3,5" and a value that proto takes, with a sentence
 * for what cannot be one. Pure but for the arena; any thread. Codes are taken by their wire names
 * or by their words for people in any of the three languages. */
#ifndef KAP_NODE_ACT_VALUE_H
#define KAP_NODE_ACT_VALUE_H

#include "act.h"
#include "arena.h"
#include "event.h"

typedef enum {
#define KAP_ACT_REFUSAL(NAME, CODE, SENTENCE) KAP_ACT_REFUSAL_##NAME,
#include "act_refusals.def"
#undef KAP_ACT_REFUSAL
    KAP_ACT_REFUSAL_COUNT
} kap_act_refusal_t;

/* Writes the refusal into the result and returns KAP_E_DENIED. `field` may be NULL. The variable
 * arguments fill the sentence's %s in order. */
int kap_act_refuse(kap_act_result_t *result, kap_act_refusal_t why, const char *field, ...);

/* The same for a refusal of the protocol, about `why->field`. */
int kap_act_refuse_proto(kap_act_result_t *result, const kap_refusal_t *why, const char *more);

/* Sets `field` of the builder from text. KAP_E_DENIED with the result filled; KAP_E_NOMEM. What
 * the builder lends from is the text or the arena. */
int kap_act_value_set(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                      kap_arena_t *arena, kap_act_result_t *result);

/* What would be right for the field: "one of a, b" for codes, else the form of its type. */
void kap_act_value_form(kap_field_t field, char out[KAP_ACT_SENTENCE_BYTES]);

/* The same for a list of codes. */
void kap_act_codes_form(kap_code_list_t list, char out[KAP_ACT_SENTENCE_BYTES]);

/* Makes a day (2026-11-21 or 21.11.2026) YYYY-MM-DD in the arena. KAP_E_INVALID, KAP_E_NOMEM. */
int kap_act_day_text(kap_span_t *text, kap_arena_t *arena);

/* A time: RFC 3339; date and time of Helsinki with or without seconds, ISO or as Finns write it
 * (21.11.2026 14:05, 21.11.2026 klo 14.05); a date alone is its first instant; or plain ms. */
int kap_act_time_parse(kap_span_t text, int64_t *at_ms);

/* The value of the act's field `prefix` + `name` ("next." and "to"; prefix "" for its own fields),
 * trimmed; empty when absent. */
kap_span_t kap_act_field(const kap_act_t *act, const char *prefix, const char *name);

#endif
