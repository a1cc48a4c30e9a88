/* SPDX-License-Identifier: MPL-2.0 */
/* Events: decoding three parts by the tables, and building them (SPEC.md, Events). A
 * decoded event lends from the received bytes and from the arena; both must outlive it.
 * What fields mean together and whether an event may happen is the machines' business.
 * Pure: ids, times and salts come in. Any thread. */
#ifndef KAP_EVENT_H
#define KAP_EVENT_H

#include "arena.h"
#include "buf.h"
#include "mp.h"
#include "tables.h"

typedef struct {
    int disclosure;                                    /* KAP_DISCLOSURE_ */
    int gdpr;                                          /* KAP_GDPR_ */
    int consent_how;                                   /* KAP_CONSENT_, -1 when not said */
    kap_span_t statute, consent_date, consent_version; /* empty when not said */
} kap_basis_t;

typedef enum {
    KAP_VALUE_SPAN,  /* s: ID STR TEXT DATE LOCAL PERIOD DECIMAL BID BIN HASH EPOCH */
    KAP_VALUE_INT,   /* i: UINT SEQ YEAR PERCENT MS; CODE as the code */
    KAP_VALUE_BOOL,  /* b */
    KAP_VALUE_CODES, /* mask: bit n = code n of the list */
    KAP_VALUE_BASIS, /* basis */
    KAP_VALUE_NODE,  /* node: LIST MAP */
    KAP_VALUE_RAW,   /* s: encoded MessagePack; in builders only */
} kap_value_kind_t;

typedef struct {
    uint16_t field; /* kap_field_t */
    uint8_t part;   /* kap_part_t */
    uint8_t kind;   /* kap_value_kind_t */
    union {
        kap_span_t s;
        int64_t i;
        bool b;
        uint64_t mask;
        const kap_basis_t *basis;
        const kap_mp_t *node;
    };
} kap_value_t;

typedef struct {
    kap_event_type_t type; /* KAP_EV_NONE when it could not be decoded */
    kap_family_t family;
    kap_span_t id, source, subject, correlation, causation, traceparent, group; /* empty: absent */
    uint64_t sequence;
    int64_t time, recorded;        /* ms; recorded = time when it was not given */
    kap_span_t open, ends, sealed; /* the bytes as received; ends and sealed with their salt */
    uint8_t ends_hash[KAP_LIMIT_HASH_BYTES], sealed_hash[KAP_LIMIT_HASH_BYTES]; /* zero: none */
    uint8_t content_hash[KAP_LIMIT_HASH_BYTES]; /* always set, also when decoding failed */
    bool has_ends, has_sealed;                  /* the open part binds such a part */
    kap_refusal_t refusal;                      /* when type is KAP_EV_NONE: why */
    const kap_value_t *values; /* of the open and ends parts, in the order of the table */
    uint32_t value_count;
} kap_event_t;

/* Decodes and checks: encoding, envelope, part hashes, required fields, types and bounds, and
 * that no text holds a personal identity code (idcheck.h).
 * Unknown attributes and fields are ignored. An empty ends or sealed span where the open
 * part binds one: the part was cut; its fields are absent and not required (see
 * kap_event_is_whole). KAP_E_INVALID: *ev has type KAP_EV_NONE, its bytes, hashes and as
 * much of the envelope as was read, *why (may be NULL) and ev->refusal say what is wrong.
 * KAP_E_NOMEM. */
int kap_event_decode(kap_span_t open, kap_span_t ends, kap_span_t sealed, kap_arena_t *arena,
                     kap_event_t *ev, kap_refusal_t *why);

/* Are all parts here that the open part binds? A PUBLISH must bring them all. */
bool kap_event_is_whole(const kap_event_t *ev);

/* The value of a field, NULL when absent. Open and ends parts together. */
const kap_value_t *kap_event_get(const kap_event_t *ev, kap_field_t field);

kap_span_t kap_event_span(const kap_event_t *ev, kap_field_t field); /* empty when absent */
int64_t kap_event_int(const kap_event_t *ev, kap_field_t field, int64_t otherwise);
bool kap_event_bool(const kap_event_t *ev, kap_field_t field);            /* false when absent */
int kap_event_code(const kap_event_t *ev, kap_field_t field);             /* -1 when absent */
uint64_t kap_event_codes(const kap_event_t *ev, kap_field_t field);       /* 0 when absent */
const kap_basis_t *kap_event_basis(const kap_event_t *ev);                /* NULL when absent */
const kap_mp_t *kap_event_node(const kap_event_t *ev, kap_field_t field); /* NULL when absent */

/* The clear contents of a sealed part (a map of the type's SEALED fields), after unsealing.
 * Values live in the arena and lend from `map`. Same errors as kap_event_decode. */
int kap_contents_decode(kap_event_type_t type, kap_span_t map, kap_arena_t *arena,
                        const kap_value_t **values, uint32_t *count, kap_refusal_t *why);
const kap_value_t *kap_value_find(const kap_value_t *values, uint32_t count, kap_field_t field);

/* Does the text have the form of the type (ID, STR, TEXT, DATE, LOCAL, PERIOD, DECIMAL, BID)? */
bool kap_text_is(kap_type_t type, kap_span_t text);

#define KAP_EVENT_VALUES_MAX 32

/* Building one event; embedded, no memory of its own. Everything set is lent until finish.
 * Errors are sticky: KAP_E_INVALID with `field` = what was wrong. */
typedef struct {
    kap_event_type_t type;
    kap_span_t id, source, subject, correlation, causation, traceparent, group;
    uint64_t sequence;
    int64_t time, recorded;
    kap_value_t values[KAP_EVENT_VALUES_MAX];
    uint32_t count;
    kap_part_t part; /* KAP_PART_SEALED after kap_event_builder_contents_begin */
    int err;
    kap_field_t field;
} kap_event_builder_t;

void kap_event_builder_begin(kap_event_builder_t *b, kap_event_type_t type, kap_span_t id,
                             kap_span_t source, uint64_t sequence, int64_t time, int64_t recorded);
/* Optional attributes; an empty span leaves it out. */
void kap_event_builder_set_subject(kap_event_builder_t *b, kap_span_t subject);
void kap_event_builder_set_group(kap_event_builder_t *b, kap_span_t group);
void kap_event_builder_set_correlation(kap_event_builder_t *b, kap_span_t correlation);
void kap_event_builder_set_causation(kap_event_builder_t *b, kap_span_t causation);
void kap_event_builder_set_traceparent(kap_event_builder_t *b, kap_span_t traceparent);

/* Fields go to the part the table says (open before ends). Setting one again replaces it; an
 * empty span leaves an optional field out. set_raw: LIST and MAP, one encoded object. */
void kap_event_builder_set_span(kap_event_builder_t *b, kap_field_t field, kap_span_t value);
void kap_event_builder_set_int(kap_event_builder_t *b, kap_field_t field, int64_t value);
void kap_event_builder_set_code(kap_event_builder_t *b, kap_field_t field, int code);
void kap_event_builder_set_codes(kap_event_builder_t *b, kap_field_t field, uint64_t mask);
void kap_event_builder_set_bool(kap_event_builder_t *b, kap_field_t field, bool value);
void kap_event_builder_set_basis(kap_event_builder_t *b, const kap_basis_t *basis);
void kap_event_builder_set_raw(kap_event_builder_t *b, kap_field_t field, kap_span_t value);

/* From now on fields are those of the sealed contents. */
void kap_event_builder_contents_begin(kap_event_builder_t *b);

/* Appends the clear contents map (to be sealed). Call before finish; nothing to do when no
 * contents were set: *any tells. */
int kap_event_builder_contents(kap_event_builder_t *b, kap_buf_t *out, bool *any);

/* Appends the open part and, when it has fields, the ends part (its salt in front). `sealed`:
 * the finished sealed part (salt and box) or empty. KAP_OK, or the first error: KAP_E_INVALID
 * for a field that is not the type's, of a wrong type or value, or required and missing. */
int kap_event_builder_finish(kap_event_builder_t *b, const uint8_t ends_salt[KAP_LIMIT_SALT_BYTES],
                             kap_span_t sealed, kap_buf_t *open, kap_buf_t *ends);

#endif
