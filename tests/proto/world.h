/* SPDX-License-Identifier: MPL-2.0 */
/* The world of a scenario: members, regions and archives, and the rows that the machines made,
 * packed and unpacked around every event as a store would. It finds the facts that a ledger
 * would find. One thread. */
#ifndef KAP_TEST_WORLD_H
#define KAP_TEST_WORLD_H

#include "arena.h"
#include "case.h"
#include "event.h"
#include "followup.h"
#include "meeting.h"
#include "referral.h"

enum { WORLD_MEMBERS = 32, WORLD_REGIONS = 8, WORLD_ROWS = 2048, WORLD_CLOSURES = 8 };

typedef struct {
    kap_span_t id, organisation;
    kap_span_t regions[WORLD_REGIONS], coordinates[WORLD_REGIONS];
    int region_count, coordinate_count;
    bool national, authority, is_operator;
    kap_closure_t closures[WORLD_CLOSURES];
    kap_closures_t closed;
} world_member_t;

typedef struct {
    kap_span_t id;
    bool archive, bench;
    uint16_t answer_days, contact_days;
} world_region_t;

typedef enum { ROW_REFERRAL, ROW_CASE, ROW_FORUM, ROW_MEETING, ROW_ACTION, ROW_LATEST } row_kind_t;

typedef struct {
    row_kind_t kind;
    kap_span_t id, bytes;
    int64_t timer_at; /* of a referral: when the broker's timer fires, or KAP_REFERRAL_NO_TIME */
    int8_t timer_kind;
} world_row_t;

typedef struct {
    kap_arena_t *arena;
    world_member_t members[WORLD_MEMBERS];
    int member_count;
    world_region_t regions[WORLD_REGIONS];
    int region_count;
    world_row_t rows[WORLD_ROWS];
    int row_count;
    int64_t now;
    /* of the last event */
    int verdict;
    kap_refusal_t why;
    kap_effects_t fx;
    bool replaced; /* a follow-up event took the place of an earlier one */
} world_t;

world_t *world_new(void);
void world_destroy(world_t **world);

world_member_t *world_member(world_t *world, kap_span_t id);
world_region_t *world_region(world_t *world, kap_span_t id);
world_row_t *world_row(world_t *world, row_kind_t kind, kap_span_t id); /* NULL: none */

/* Unpacked rows; false when there is none. */
bool world_referral(world_t *world, kap_span_t id, kap_referral_t *r);
bool world_case(world_t *world, kap_span_t id, kap_case_t *c);
bool world_meeting(world_t *world, kap_span_t id, kap_meeting_t *m);
bool world_forum(world_t *world, kap_span_t id, kap_forum_t *f);
bool world_action(world_t *world, kap_span_t id, kap_action_t *a);

/* Judges the events of one group by one publisher, all or none; verdict, why and fx are those
 * of the first that was not accepted, else of the first. "broker" publishes as the broker. */
void world_publish(world_t *world, kap_span_t who, const kap_event_t *events, uint32_t n);

#endif
