/* SPDX-License-Identifier: MPL-2.0 */
/* Private to proto: the two halves of the referral machine. referral.c decides whether an
 * event may happen, referral_apply.c what it does when it may. */
#ifndef KAP_REFERRAL_INNER_H
#define KAP_REFERRAL_INNER_H

#include "referral.h"

/* A row of transitions.def. */
typedef struct {
    uint8_t by;
    uint16_t from; /* 0: no row of this table */
    int8_t to;
    uint8_t milestone, implies;
    bool many, answer;
} kap_referral_rule_t;

/* One judgement under way: what comes in, what goes out. */
typedef struct {
    const kap_referral_t *before; /* NULL or of state none: not known yet */
    const kap_event_t *ev;
    const kap_referral_facts_t *facts;
    const kap_referral_rule_t *row;
    int64_t now, time;
    kap_referral_t *r; /* after */
    kap_effects_t *fx;
    kap_refusal_t *why;
} kap_judging_t;

static inline bool kap_is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

/* The code in a field, -1 when absent. */
static inline int16_t kap_code_of(const kap_event_t *ev, kap_field_t field)
{
    return (int16_t)kap_event_code(ev, field);
}

/* Does an accepted event: state, flags, times, limits and effects. Cannot fail. */
void kap_referral_apply(kap_judging_t *j);

#endif
