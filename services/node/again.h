/* SPDX-License-Identifier: MPL-2.0 */
/* Acts that a restored broker cannot place yet.
 *
 * Purpose: after a restore every node sends again what it holds, and an answer may come before the
 * referral it answers, whose sender is slower, or away for a day. Such an act was receipted once
 * and is refused now only for its place in the line: it is kept and said again, in a new place,
 * when the referral has come in the stream. Owner: uplink.c and inbox.c, inside their write
 * transactions. What is refused for another reason is a restore_conflict (fate.h), not this. */
#ifndef KAP_NODE_AGAIN_H
#define KAP_NODE_AGAIN_H

#include "answer.h"
#include "inside.h"

/* Was the event at (line, sequence), which had been accepted once, refused for want of its
 * referral, or with a group that was? *subject gets the referral that is missing, in the work's
 * arena. */
int kap_again_misses(kap_work_t *work, uint32_t line, uint64_t sequence,
                     const kap_verdict_t *verdict, bool *misses, kap_span_t *subject);

/* Keeps it until the referral comes. */
int kap_again_keep(kap_work_t *work, kap_span_t subject, uint32_t line, uint64_t sequence);

/* The referral is there: everything kept for it goes into the outbox, in its order. */
int kap_again_say(kap_work_t *work, kap_span_t subject);

#endif
