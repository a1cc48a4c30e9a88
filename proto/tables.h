/* SPDX-License-Identifier: MPL-2.0 */
/* The tables of the protocol as enums and look-ups: event types, fields, attributes,
 * refusals, regions and areas, actor types. Rows live in the .def files; nothing here
 * decides anything. Pure, constant, any thread. */
#ifndef KAP_TABLES_H
#define KAP_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"
#include "limit.h"
#include "span.h"

typedef enum {
#define KAP_TYPE(NAME, FORM) KAP_TYPE_##NAME,
#include "types.def"
#undef KAP_TYPE
    KAP_TYPE_COUNT
} kap_type_t;

typedef enum {
    KAP_F_NONE,
#define KAP_FIELD(NAME, WIRE, TYPE, LIST) KAP_F_##NAME,
#include "fields.def"
#undef KAP_FIELD
    KAP_FIELD_COUNT
} kap_field_t;

typedef enum {
#define KAP_ATTRIBUTE(NAME, WIRE, TYPE, NEED) KAP_ATTR_##NAME,
#include "attributes.def"
#undef KAP_ATTRIBUTE
    KAP_ATTR_COUNT
} kap_attribute_t;

/* KAP_EV_NONE: no known type. */
typedef enum {
    KAP_EV_NONE,
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN) KAP_EV_##NAME,
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED)
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
    KAP_EVENT_COUNT
} kap_event_type_t;

typedef enum {
    KAP_FAMILY_NONE,
    KAP_FAMILY_REFERRAL,
    KAP_FAMILY_TALLY,
    KAP_FAMILY_MEETING,
    KAP_FAMILY_FOLLOWUP,
    KAP_FAMILY_MESH,
    KAP_FAMILY_ARCHIVE,
    KAP_FAMILY_COUNT
} kap_family_t;

/* Parts of an event, also as bits of a mask. */
typedef enum { KAP_PART_OPEN = 1, KAP_PART_ENDS = 2, KAP_PART_SEALED = 4 } kap_part_t;

enum {
    KAP_REFUSAL_NONE = 0,
#define KAP_REFUSAL(NAME, NUMBER, CODE, SENTENCE) KAP_REFUSAL_##NAME = (NUMBER),
#include "refusals.def"
#undef KAP_REFUSAL
};

/* Why something was refused: a number of refusals.def, and the field it was about. */
typedef struct {
    uint16_t number;
    uint16_t field; /* kap_field_t, KAP_F_NONE when it is about no single field */
} kap_refusal_t;

typedef struct {
    const char *name; /* "REFERRAL" */
    const char *wire; /* "referral" */
    kap_type_t type;
    kap_code_list_t list; /* of CODE and CODES, else KAP_LIST_NONE */
    uint8_t wire_size;    /* strlen(wire) */
} kap_field_row_t;

typedef struct {
    kap_field_t field;
    kap_part_t part;
    bool required;
} kap_event_field_row_t;

typedef struct {
    const char *name; /* "REFERRAL_CREATED" */
    const char *type; /* "kapula.referral.created.v1" */
    kap_family_t family;
    const char *text[3];                 /* by kap_lang_t */
    const kap_event_field_row_t *fields; /* in the order of the table: open, ends, sealed */
    uint16_t open_count, ends_count, sealed_count;
} kap_event_row_t;

/* Rows; NULL for numbers outside the table (NONE included). */
const kap_field_row_t *kap_field_row(kap_field_t field);
const kap_event_row_t *kap_event_row(kap_event_type_t type);
const char *kap_type_name(kap_type_t type);
const char *kap_type_form(kap_type_t type);
const char *kap_family_name(kap_family_t family);
const char *kap_attribute_wire(kap_attribute_t attribute);
kap_type_t kap_attribute_type(kap_attribute_t attribute);
bool kap_attribute_required(kap_attribute_t attribute);

/* By name on the wire; KAP_F_NONE and KAP_EV_NONE when there is none. */
kap_field_t kap_field_parse(kap_span_t wire);
kap_event_type_t kap_event_type_parse(kap_span_t type);

/* "kapula.referral.created.v1", "" for NONE; and its text for people. */
const char *kap_event_type_name(kap_event_type_t type);
const char *kap_event_type_text(kap_event_type_t type, kap_lang_t lang);

/* "illegal.state" and its sentence; NULL for a number that is not in the table. */
const char *kap_refusal_code(uint16_t number);
const char *kap_refusal_sentence(uint16_t number);
uint16_t kap_refusal_parse(kap_span_t code); /* KAP_REFUSAL_NONE when unknown */

/* Regions and areas of the agreements. Index 0 to count - 1; ids are unique within each. */
typedef struct {
    const char *id, *fi, *sv;
    const char *valid_to; /* "YYYY-MM-DD" */
} kap_area_row_t;

typedef struct {
    const char *id, *fi, *sv;
    int area; /* index */
} kap_region_row_t;

int kap_area_count(void);
const kap_area_row_t *kap_area_row(int index);
int kap_area_find(kap_span_t id); /* -1 when there is none */
int kap_region_count(void);
const kap_region_row_t *kap_region_row(int index);
int kap_region_find(kap_span_t id); /* -1 when there is none */

typedef enum {
#define KAP_ACTOR_TYPE(NAME, ID, FI, SV, EN, FROM, TO, NEXT, AUTHORITY, PRIVATE) KAP_ACTOR_##NAME,
#include "actor_types.def"
#undef KAP_ACTOR_TYPE
    KAP_ACTOR_COUNT
} kap_actor_type_t;

typedef struct {
    const char *id, *text[3];          /* text by kap_lang_t */
    const char *valid_from, *valid_to; /* "YYYY-MM-DD" or ""; valid_to is the last day */
    const char *successors;            /* ids with spaces between, or "" */
    bool authority, is_private;
} kap_actor_type_row_t;

const kap_actor_type_row_t *kap_actor_type_row(int type); /* NULL outside the table */
int kap_actor_type_find(kap_span_t id);                   /* -1 when there is none */

#endif
