/* SPDX-License-Identifier: MPL-2.0 */
#include "tables.h"

static const char *const type_names[] = {
#define KAP_TYPE(NAME, FORM) #NAME,
#include "types.def"
#undef KAP_TYPE
};

static const char *const type_forms[] = {
#define KAP_TYPE(NAME, FORM) FORM,
#include "types.def"
#undef KAP_TYPE
};

static const kap_field_row_t fields[KAP_FIELD_COUNT] = {
#define KAP_FIELD(NAME, WIRE, TYPE, LIST)                                                          \
    [KAP_F_##NAME] = {#NAME, WIRE, KAP_TYPE_##TYPE, KAP_LIST_##LIST, sizeof(WIRE) - 1},
#include "fields.def"
#undef KAP_FIELD
};

enum { OPTIONAL = 0, REQUIRED = 1 };

static const struct {
    const char *wire;
    kap_type_t type;
    bool required;
} attributes[KAP_ATTR_COUNT] = {
#define KAP_ATTRIBUTE(NAME, WIRE, TYPE, NEED) {WIRE, KAP_TYPE_##TYPE, NEED},
#include "attributes.def"
#undef KAP_ATTRIBUTE
};

/* Each event closes what stood before it and opens its own array of field rows. */
/* clang-format off */
static const kap_event_field_row_t rows_of_NONE[] = { {KAP_F_NONE, KAP_PART_OPEN, false},
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN) }; static const kap_event_field_row_t rows_of_##NAME[] = {
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED) {KAP_F_##FIELD, KAP_PART_##PART, NEED},
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
};

/* How many fields of each part: a struct with one char a field is one byte larger. */
#define COUNT_OPEN_OPEN(FIELD)     char FIELD;
#define COUNT_OPEN_ENDS(FIELD)
#define COUNT_OPEN_SEALED(FIELD)
#define COUNT_ENDS_OPEN(FIELD)
#define COUNT_ENDS_ENDS(FIELD)     char FIELD;
#define COUNT_ENDS_SEALED(FIELD)
#define COUNT_SEALED_OPEN(FIELD)
#define COUNT_SEALED_ENDS(FIELD)
#define COUNT_SEALED_SEALED(FIELD) char FIELD;

struct open_of_NONE { char none;
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN) }; struct open_of_##NAME { char none;
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED) COUNT_OPEN_##PART(FIELD)
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
};
struct ends_of_NONE { char none;
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN) }; struct ends_of_##NAME { char none;
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED) COUNT_ENDS_##PART(FIELD)
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
};
struct sealed_of_NONE { char none;
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN) }; struct sealed_of_##NAME { char none;
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED) COUNT_SEALED_##PART(FIELD)
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
};
/* clang-format on */

static const kap_event_row_t events[KAP_EVENT_COUNT] = {
    [KAP_EV_NONE] = {"NONE", "", KAP_FAMILY_NONE, {"", "", ""}, rows_of_NONE, 0, 0, 0},
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN)                                                  \
    [KAP_EV_##NAME] = {#NAME,                                                                      \
                       TYPE,                                                                       \
                       KAP_FAMILY_##FAMILY,                                                        \
                       {FI, SV, EN},                                                               \
                       rows_of_##NAME,                                                             \
                       sizeof(struct open_of_##NAME) - 1,                                          \
                       sizeof(struct ends_of_##NAME) - 1,                                          \
                       sizeof(struct sealed_of_##NAME) - 1},
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED)
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
};

static const uint8_t type_sizes[KAP_EVENT_COUNT] = {
#define KAP_EVENT(NAME, TYPE, FAMILY, FI, SV, EN) [KAP_EV_##NAME] = sizeof(TYPE) - 1,
#define KAP_EVENT_FIELD(EVENT, PART, FIELD, NEED)
#include "events.def"
#undef KAP_EVENT
#undef KAP_EVENT_FIELD
};

static const struct {
    uint16_t number;
    const char *code, *sentence;
} refusals[] = {
#define KAP_REFUSAL(NAME, NUMBER, CODE, SENTENCE) {NUMBER, CODE, SENTENCE},
#include "refusals.def"
#undef KAP_REFUSAL
};

enum {
#define KAP_AREA(NAME, ID, FI, SV, TO) AREA_##NAME,
#define KAP_REGION(NAME, ID, AREA, FI, SV)
#include "regions.def"
#undef KAP_AREA
#undef KAP_REGION
    AREA_COUNT
};

static const kap_area_row_t areas[AREA_COUNT] = {
#define KAP_AREA(NAME, ID, FI, SV, TO) {ID, FI, SV, TO},
#define KAP_REGION(NAME, ID, AREA, FI, SV)
#include "regions.def"
#undef KAP_AREA
#undef KAP_REGION
};

static const kap_region_row_t regions[] = {
#define KAP_AREA(NAME, ID, FI, SV, TO)
#define KAP_REGION(NAME, ID, AREA, FI, SV) {ID, FI, SV, AREA_##AREA},
#include "regions.def"
#undef KAP_AREA
#undef KAP_REGION
};

static const kap_actor_type_row_t actors[KAP_ACTOR_COUNT] = {
#define KAP_ACTOR_TYPE(NAME, ID, FI, SV, EN, FROM, TO, NEXT, AUTHORITY, PRIVATE)                   \
    {ID, {FI, SV, EN}, FROM, TO, NEXT, AUTHORITY, PRIVATE},
#include "actor_types.def"
#undef KAP_ACTOR_TYPE
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

const kap_field_row_t *kap_field_row(kap_field_t field)
{
    return field > KAP_F_NONE && field < KAP_FIELD_COUNT ? &fields[field] : NULL;
}

const kap_event_row_t *kap_event_row(kap_event_type_t type)
{
    return type > KAP_EV_NONE && type < KAP_EVENT_COUNT ? &events[type] : NULL;
}

const char *kap_type_name(kap_type_t type)
{
    return (unsigned)type < KAP_TYPE_COUNT ? type_names[type] : "";
}

const char *kap_type_form(kap_type_t type)
{
    return (unsigned)type < KAP_TYPE_COUNT ? type_forms[type] : "";
}

const char *kap_family_name(kap_family_t family)
{
    static const char *const names[KAP_FAMILY_COUNT] = {"NONE",     "REFERRAL", "TALLY",  "MEETING",
                                                        "FOLLOWUP", "MESH",     "ARCHIVE"};
    return (unsigned)family < KAP_FAMILY_COUNT ? names[family] : "NONE";
}

const char *kap_attribute_wire(kap_attribute_t attribute)
{
    return (unsigned)attribute < KAP_ATTR_COUNT ? attributes[attribute].wire : "";
}

kap_type_t kap_attribute_type(kap_attribute_t attribute)
{
    return (unsigned)attribute < KAP_ATTR_COUNT ? attributes[attribute].type : KAP_TYPE_ID;
}

bool kap_attribute_required(kap_attribute_t attribute)
{
    return (unsigned)attribute < KAP_ATTR_COUNT && attributes[attribute].required;
}

kap_field_t kap_field_parse(kap_span_t wire)
{
    for (int i = KAP_F_NONE + 1; i < KAP_FIELD_COUNT; i++) {
        if (kap_span_eq_str(wire, fields[i].wire)) {
            return (kap_field_t)i;
        }
    }
    return KAP_F_NONE;
}

kap_event_type_t kap_event_type_parse(kap_span_t type)
{
    for (int i = KAP_EV_NONE + 1; i < KAP_EVENT_COUNT; i++) {
        if (type_sizes[i] == type.size && memcmp(events[i].type, type.data, type.size) == 0) {
            return (kap_event_type_t)i;
        }
    }
    return KAP_EV_NONE;
}

const char *kap_event_type_name(kap_event_type_t type)
{
    const kap_event_row_t *row = kap_event_row(type);
    return row ? row->type : "";
}

const char *kap_event_type_text(kap_event_type_t type, kap_lang_t lang)
{
    const kap_event_row_t *row = kap_event_row(type);
    return row && (unsigned)lang < 3 ? row->text[lang] : "";
}

const char *kap_refusal_code(uint16_t number)
{
    for (int i = 0; i < COUNT(refusals); i++) {
        if (refusals[i].number == number) {
            return refusals[i].code;
        }
    }
    return NULL;
}

const char *kap_refusal_sentence(uint16_t number)
{
    for (int i = 0; i < COUNT(refusals); i++) {
        if (refusals[i].number == number) {
            return refusals[i].sentence;
        }
    }
    return NULL;
}

uint16_t kap_refusal_parse(kap_span_t code)
{
    for (int i = 0; i < COUNT(refusals); i++) {
        if (kap_span_eq_str(code, refusals[i].code)) {
            return refusals[i].number;
        }
    }
    return KAP_REFUSAL_NONE;
}

int kap_area_count(void)
{
    return AREA_COUNT;
}

const kap_area_row_t *kap_area_row(int index)
{
    return index >= 0 && index < AREA_COUNT ? &areas[index] : NULL;
}

int kap_area_find(kap_span_t id)
{
    for (int i = 0; i < AREA_COUNT; i++) {
        if (kap_span_eq_str(id, areas[i].id)) {
            return i;
        }
    }
    return -1;
}

int kap_region_count(void)
{
    return COUNT(regions);
}

const kap_region_row_t *kap_region_row(int index)
{
    return index >= 0 && index < COUNT(regions) ? &regions[index] : NULL;
}

int kap_region_find(kap_span_t id)
{
    for (int i = 0; i < COUNT(regions); i++) {
        if (kap_span_eq_str(id, regions[i].id)) {
            return i;
        }
    }
    return -1;
}

const kap_actor_type_row_t *kap_actor_type_row(int type)
{
    return type >= 0 && type < KAP_ACTOR_COUNT ? &actors[type] : NULL;
}

int kap_actor_type_find(kap_span_t id)
{
    for (int i = 0; i < KAP_ACTOR_COUNT; i++) {
        if (kap_span_eq_str(id, actors[i].id)) {
            return i;
        }
    }
    return -1;
}
