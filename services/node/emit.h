/* SPDX-License-Identifier: MPL-2.0 */
/* From values to final frames: one event of this member, built, sealed, judged and queued.
 *
 * Purpose: the one way into the outbox, for local acts and for what the node says by itself.
 * Order: begin, set fields by the builder, seal_to, finish, then judge and queue (for a group all
 * are finished and judged before the first is queued). Owner: the caller's stack; everything lies
 * in the work's arena. Inside a write transaction. */
#ifndef KAP_NODE_EMIT_H
#define KAP_NODE_EMIT_H

#include "act.h"
#include "event.h"
#include "inside.h"
#include "seal.h"

typedef struct {
    kap_event_builder_t builder;
    uint8_t to[KAP_SEAL_RECIPIENTS][KAP_KEY_BYTES]; /* sealing keys; the own one joins at finish */
    uint32_t to_count;
    kap_span_t binding; /* id that the contents are bound to */
    kap_event_t event;  /* after finish */
} kap_draft_t;

/* `offset`: how many events of the same transaction stand before it and are not queued yet. */
int kap_draft_begin(kap_work_t *work, kap_draft_t *draft, kap_event_type_t type, int64_t time,
                    uint32_t offset);

/* Contents of this event will be sealed to this member, and always to the own one. */
int kap_draft_seal_to(kap_draft_t *draft, const kap_member_t *member);

/* Builds the frames and decodes them again, so that whatever the broker would call malformed is
 * found here. KAP_E_INVALID with *why, KAP_E_NOMEM, KAP_E_LIMIT. */
int kap_draft_finish(kap_work_t *work, kap_draft_t *draft, kap_refusal_t *why);

/* Puts it into the outbox as the next event and moves the state ahead. act 0: the node's own. */
int kap_draft_queue(kap_work_t *work, const kap_draft_t *draft, uint64_t act, bool continues);

/* The node's own word on a referral (delivered, answer_received): built, judged, queued. What the
 * machine would refuse or calls already_so is left out: KAP_OK with *queued false. */
int kap_emit_own(kap_work_t *work, kap_event_type_t type, kap_span_t referral, bool *queued);

#endif
