/* SPDX-License-Identifier: MPL-2.0 */
/* Values as people write them in tables and files, in the form that events have. Lent from the
 * arena or the text. What is not understood comes back as it was: the node says what would be
 * right. One thread. */
#ifndef KAP_MODELVALUE_H
#define KAP_MODELVALUE_H

#include "cli.h"
#include "tables.h"

/* The code that a text means: its name or its words in any of the three languages, capitals,
 * blanks, dashes and underscores apart; -1. */
int kap_value_code(kap_arena_t *arena, kap_code_list_t list, kap_span_t text);

/* The member that a text means: an id or a name in any language; else the text. `dir` NULL: the
 * text; without one: the configuration's. */
kap_span_t kap_value_member_of(kap_arena_t *arena, const kap_directory_t *dir, kap_span_t text);
kap_span_t kap_value_member(kap_cli_t *cli, kap_span_t text);

/* Appends a field's value in force as the text that would say it; lists with commas. */
void kap_value_text(const kap_mp_t *value, kap_buf_t *out);

/* "1 234,5 %" -> "1234.5", "10 pv" -> "10"; else the text. */
kap_span_t kap_value_number(kap_arena_t *arena, kap_span_t text);

/* By the type of the field. */
kap_span_t kap_value_plain(kap_cli_t *cli, kap_field_t field, kap_span_t text);

/* "2026-2028", "2026 – 2028": two years. */
bool kap_value_years(kap_span_t text, kap_span_t *first, kap_span_t *last);

#endif
