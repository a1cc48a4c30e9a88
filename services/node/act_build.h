/* SPDX-License-Identifier: MPL-2.0 */
/* One local act becomes one event, or a group: names, defaults, recipients, contents.
 *
 * Purpose: what each verb adds to its fields. Inside a write transaction, but nothing is written
 * here. Owner: act.c. It does not judge the state (mirror.h) and does not queue. */
#ifndef KAP_NODE_ACT_BUILD_H
#define KAP_NODE_ACT_BUILD_H

#include "act.h"
#include "emit.h"

typedef struct {
    kap_work_t *work;
    const kap_act_t *act;
    kap_act_verb_t verb;
    kap_event_type_t type;
    int64_t time;
    kap_act_result_t *result;
    kap_buf_t clear; /* contents opened for handing on; wiped at the end */
} kap_acting_t;

#define KAP_ACT_DRAFTS 2

/* Verb, names and values as such: KAP_OK with verb, type and time set, or KAP_E_DENIED. */
int kap_act_look(kap_acting_t *acting);

/* Finished drafts in order; KAP_OK, KAP_E_DENIED with the result filled, or another error. */
int kap_act_build(kap_acting_t *acting, kap_draft_t drafts[KAP_ACT_DRAFTS], uint32_t *count);

#endif
