/* SPDX-License-Identifier: MPL-2.0 */
/* Tallies and the follow-up model: events without a machine. One is valid or refused;
 * where a later one replaces an earlier (a target, a figure of a year, a plan item, the
 * tally of a period), both have the same key and the last in broker order counts.
 * Pure; any thread. */
#ifndef KAP_FOLLOWUP_H
#define KAP_FOLLOWUP_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "event.h"
#include "referral.h"

#define KAP_FOLLOWUP_DAYS_MAX 365 /* a target of days */

/* What the caller found out. Zeroed facts refuse everything. */
typedef struct {
    kap_span_t publisher;          /* member that publishes */
    bool is_coordinator;           /* of the event's region */
    bool is_operator;              /* may enter tallies of past years for anybody */
    bool region_known;             /* the event's region exists (statement_given has none) */
    bool in_region;                /* the publisher acts in it */
    bool from_known, to_known;     /* fields FROM and TO are members; external: needs none */
    bool item_known;               /* plan_item_reported: the item was set */
    kap_span_t owner;              /* process_set: its owner so far, empty when it is new */
    bool asked, given;             /* statement events: it was asked, it was given */
    kap_span_t asked_by, asked_of; /* statement events: the ends (FROM, TO) of what was asked */
} kap_followup_facts_t;

/* KAP_VERDICT_ACCEPTED, or _ALREADY_SO for a statement asked or given twice, or _REFUSED
 * with *why. fx says whose streams carry it: the region's, the publisher's (KAP_TELL_FROM),
 * the event's field TO (KAP_TELL_TO) and for what a coordinator says of a member that
 * member in fx.third (KAP_TELL_THIRD). */
int kap_followup_judge(const kap_event_t *ev, const kap_followup_facts_t *facts, int64_t now,
                       kap_effects_t *fx, kap_refusal_t *why);

/* The key under which the last value counts: the type, then its identifying fields, each
 * behind its length. Nothing is appended when each event of the type counts by itself
 * (advice given, new customers, answers to surveys). Appends to buf (sticky error there). */
void kap_followup_key(const kap_event_t *ev, kap_buf_t *buf);

/* The identifying fields of a type, ended by KAP_F_NONE; NULL when it has no key. MEMBER stands for
 * the publisher where an event leaves it out. */
const kap_field_t *kap_followup_key_fields(kap_event_type_t type);

/* What all keys of a type in a region begin with, appended to buf. False when the type has no keys
 * or they do not begin with a region (statements). */
bool kap_followup_key_front(kap_event_type_t type, kap_span_t region, kap_buf_t *buf);

/* --- what the suggested codes mean --- */

#define KAP_EVALUATION_SCALE 7 /* of the questions of the self-evaluation that have one */

/* Is the question (list EVALUATION) answered on the scale, else in words? */
bool kap_evaluation_is_scaled(int question);

/* The code (list UNIT) of a suggested indicator, -1 outside the list. What has a unit here may be
 * added up over regions and segments. */
int kap_indicator_unit(int indicator);

/* The code (list WAY) of a channel of advice; OTHER outside the list. */
int kap_channel_way(int channel);

/* The code (list PLAN_STATUS) that a status means by its name or a text of any language, capitals
 * of ASCII apart; -1: none. */
int kap_plan_status(kap_span_t text);

/* Is an item of a plan reached? By its status where that is a code, else by progress 100; progress
 * and status -1: not said. */
bool kap_plan_reached(int64_t progress, int status);

/* The member part of an event's source `<member>/<producer>`. */
kap_span_t kap_followup_member(const kap_event_t *ev);

#endif
