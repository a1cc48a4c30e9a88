/* SPDX-License-Identifier: MPL-2.0 */
/* Who is in the mesh: an immutable snapshot of the directory, shared by reference
 * count between threads (ref and unref from any thread; everything else only reads).
 * It is parsed whole or not at all. Spans and pointers lend until the last unref.
 * It decides nothing: may_publish and may_read are the broker's. */
#ifndef KAP_DIRECTORY_H
#define KAP_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "calendar.h"
#include "span.h"

typedef struct kap_directory kap_directory_t;

typedef enum {
    KAP_ROLE_NODE = 1,        /* sends and answers for its own member */
    KAP_ROLE_PARTY = 2,       /* figures of its own regions */
    KAP_ROLE_STEERING = 4,    /* the same, reading */
    KAP_ROLE_COORDINATOR = 8, /* of regions: see coordinated */
    KAP_ROLE_AREA = 16,       /* all regions of areas */
    KAP_ROLE_MINISTRY = 32,
    KAP_ROLE_OPERATOR = 64,
    KAP_ROLE_GATEWAY = 128,
    KAP_ROLE_SPEAKER = 256, /* publishes for every member of bench regions: see coordinated */
} kap_role_t;

typedef struct {
    kap_span_t id, area;                /* area: of regions.def; empty for a bench region */
    int16_t kind;                       /* KAP_REGION_KIND_ */
    int16_t visibility;                 /* KAP_VISIBILITY_ */
    uint16_t answer_days, contact_days; /* targets in working days */
    uint16_t hidden_below;              /* k of the suppression rule, 3 to 100 */
    int64_t undelivered_ms, unanswered_days, uncontacted_days, silent_days; /* orphan limits */
    uint32_t index;
} kap_region_t;

typedef struct {
    kap_span_t id, organisation;          /* organisation: its business id */
    kap_span_t name_fi, name_sv, name_en; /* sv and en fall back to fi */
    int16_t type;                         /* actor type of actor_types.def */
    kap_span_t type_id;
    uint32_t roles; /* KAP_ROLE_ bits */
    bool national, is_authority, is_private;
    kap_span_t phone, email; /* functional, never personal */
    bool has_curve, has_sealing, has_signing;
    uint8_t curve[32], sealing[32], signing[32];
    const uint8_t (*old_signing)[32]; /* retired keys, newest first */
    uint32_t old_signing_count;
    int64_t valid_from, valid_to;   /* instants; INT64_MIN / INT64_MAX when open */
    uint64_t services;              /* bit per service code */
    uint32_t languages;             /* bit per language code; 0 = not stated */
    const kap_closures_t *closures; /* NULL when none */
    const uint32_t *regions;
    uint32_t region_count; /* indexes of its regions */
    const uint32_t *coordinated;
    uint32_t coordinated_count;
    const uint32_t *spoken; /* bench regions it may speak in for every member */
    uint32_t spoken_count;
    const kap_span_t *role_areas;
    uint32_t role_area_count;
    uint32_t index;
} kap_member_t;

/* Parses a directory file (JSON, docs in proto/SPEC.md, section Directory). On failure
 * nothing is made, KAP_E_CONFIG, and every thing wrong stands in `messages`, one a line:
 * path, what, bounds, what would be right. The snapshot starts with one reference. */
int kap_directory_parse(kap_span_t json, kap_directory_t **out, kap_buf_t *messages);
kap_directory_t *kap_directory_ref(kap_directory_t *dir);
void kap_directory_unref(kap_directory_t **dir);

const uint8_t *kap_directory_authority(const kap_directory_t *dir); /* 32 bytes */
const uint8_t *kap_directory_mesh(const kap_directory_t *dir); /* 32 bytes: BLAKE2b-256 of it */
bool kap_directory_rehearsal(const kap_directory_t *dir);

/* Lookups, O(1): NULL when there is none. Validity is the caller's question. */
const kap_member_t *kap_directory_by_key(const kap_directory_t *dir, const uint8_t curve[32]);
const kap_member_t *kap_directory_member(const kap_directory_t *dir, kap_span_t id);
const kap_region_t *kap_directory_region(const kap_directory_t *dir, kap_span_t id);
uint32_t kap_directory_member_count(const kap_directory_t *dir);
const kap_member_t *kap_directory_member_at(const kap_directory_t *dir, uint32_t index);
uint32_t kap_directory_region_count(const kap_directory_t *dir);
const kap_region_t *kap_directory_region_at(const kap_directory_t *dir, uint32_t index);

bool kap_member_valid(const kap_member_t *m, int64_t at);
bool kap_member_in_region(const kap_member_t *m, const kap_region_t *region); /* lists it */
bool kap_member_serves_region(const kap_member_t *m,
                              const kap_region_t *region); /* or is national */
bool kap_member_offers(const kap_member_t *m, int service);
bool kap_member_coordinates(const kap_member_t *m, const kap_region_t *region);
bool kap_member_speaks(const kap_member_t *m, const kap_region_t *region); /* bench regions */
bool kap_member_covers(const kap_member_t *m, const kap_region_t *region); /* area role */

/* Every CURVE key that may connect at `at`: for ZAP. Returns the count, fills at most max. */
uint32_t kap_directory_keys(const kap_directory_t *dir, int64_t at, uint8_t (*keys)[32],
                            uint32_t max);

typedef struct {
    const kap_member_t *member;
    bool is_private; /* never chosen by the machine: listed only */
    bool speaks;     /* serves in the language asked for */
} kap_candidate_t;

/* Members that offer the service in the region, valid at `at`, alphabetical by id;
 * language -1: any. Returns the count (may exceed max). A machine may choose only when
 * exactly one is not private and it is the only one. */
uint32_t kap_directory_candidates(const kap_directory_t *dir, int service,
                                  const kap_region_t *region, int language, int64_t at,
                                  kap_candidate_t *out, uint32_t max);

#endif
