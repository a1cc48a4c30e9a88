/* SPDX-License-Identifier: MPL-2.0 */
/* From an organisation's own words to Kapula's: headers of columns to fields, values to codes.
 *
 * Purpose: a file comes as the CRM writes it. A header is looked up, first that finds it, in what
 * the configuration maps, the actor's own columns, the table of columns of the kind's group and of
 * ANY (intake_columns.def), the names of fields. A value: what the configuration maps, then the
 * words for people of the code lists in three languages, a member's or a region's name. Case,
 * doubled blanks and a trailing ':' or '*' do not matter. Owner: whoever made it, one thread; pure
 * but for the directory that is lent for a call. It refuses nothing: a word nobody knows is handed
 * on as it is, and the act says what would be right. */
#ifndef KAP_NODE_MAPPING_H
#define KAP_NODE_MAPPING_H

#include "actor.h"
#include "arena.h"
#include "directory.h"

/* Groups of kinds whose columns mean the same. */
typedef enum {
    KAP_GROUP_ANY,
    KAP_GROUP_REFERRAL,
    KAP_GROUP_HARAVA,
    KAP_GROUP_ANSWER,
    KAP_GROUP_TALLY,
    KAP_GROUP_MEETING,
    KAP_GROUP_ACTION,
    KAP_GROUP_STATEMENT,
    KAP_GROUP_DECISION,
    KAP_GROUP_FOLLOWUP,
} kap_intake_group_t;

typedef struct kap_mapping kap_mapping_t;

/* A column's meaning. field NULL: nobody knows the header. "-": left out. */
typedef struct {
    const char *field;
    const char *constant; /* value of rows that leave the cell empty, or NULL */
} kap_mapped_column_t;

/* `own` (may be NULL) is lent for the life of the mapping. KAP_E_NOMEM. */
int kap_mapping_new(const kap_actor_column_t *own, kap_mapping_t **out);
void kap_mapping_destroy(kap_mapping_t **mapping);

/* One entry of the configuration: the header `column` means `field` ("-": leave it out).
 * KAP_E_INVALID when there is no such field; KAP_E_NOMEM. */
int kap_mapping_add_column(kap_mapping_t *mapping, kap_span_t column, kap_span_t field);

/* "service=Yrityslaina" -> "financing": in the field before the first '=' the text behind it
 * means `word`. KAP_E_INVALID when there is no '=' or no such field; KAP_E_NOMEM. */
int kap_mapping_add_value(kap_mapping_t *mapping, kap_span_t own, kap_span_t word);

kap_mapped_column_t kap_mapping_column(kap_mapping_t *mapping, kap_intake_group_t group,
                                       kap_span_t header);

/* What the text means in the field: lent by the mapping, the directory (may be NULL), a table, or
 * `text` itself when nothing is known of it. One item, not a list. */
kap_span_t kap_mapping_value(const kap_mapping_t *mapping, const kap_directory_t *directory,
                             const char *field, kap_span_t text);

/* The id of the member with this id or name, or the only member of the type of this name;
 * `or_external`: else "external:<type>" when the text is the name of a type. Empty: none. */
kap_span_t kap_mapping_member(const kap_mapping_t *mapping, const kap_directory_t *directory,
                              kap_span_t text, bool or_external, kap_arena_t *arena);

/* Is the word among those between the | of `words`, case aside? */
bool kap_mapping_is_word(kap_span_t word, const char *words);

/* The headers that a group knows, as the manual shows them: for a refusal. */
void kap_mapping_headers(const kap_mapping_t *mapping, kap_intake_group_t group, char *out,
                         size_t size);

#endif
