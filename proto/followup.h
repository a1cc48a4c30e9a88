/* SPDX-License-Identifier: MPL-2.0 */
/* Tallies and the follow-up model: events without a machine. One is valid or refused;
 * where a later one replaces an earlier (a target, a figure of a year, a plan item),
 * both have the same key and the last in broker order counts. Any thread. */
#ifndef KAP_FOLLOWUP_H
#define KAP_FOLLOWUP_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "event.h"
#include "referral.h"

#define KAP_FOLLOWUP_COUNT_MAX 10000000 /* a guess: no region reports more of anything */

typedef struct {
    kap_span_t publisher; /* member that publishes */
    bool is_coordinator;  /* of the event's region */
    bool is_operator;
    bool region_known; /* the event's region is one of the publisher's, or it coordinates it */
    bool archive;
    bool from_known, to_known; /* tallies: members (to: or external) of the region */
    bool internal;             /* tallies: both ends of one organisation */
    bool asked_known;          /* statement_given: the statement was asked */
} kap_followup_facts_t;

/* Accepted or refused; never already_so: the same value again is simply the last.
 * fx says whose streams carry it. */
int kap_followup_judge(const kap_event_t *ev, const kap_followup_facts_t *facts, int64_t now,
                       kap_effects_t *fx, kap_refusal_t *why);

/* The key under which the last value counts: type, then the identifying fields of
 * the event, each length-prefixed. Empty when each event of the type counts by itself
 * (advice given, new customers, answers to surveys). Appends to buf. */
void kap_followup_key(const kap_event_t *ev, kap_buf_t *buf);

/* A period: YYYY, YYYY-MM, YYYY-MM-DD, YYYY-Qn or YYYY-Hn of the years 1990 to 2099. */
bool kap_followup_period_ok(kap_span_t period);

#endif
