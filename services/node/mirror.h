/* SPDX-License-Identifier: MPL-2.0 */
/* What this member knows of referrals, forums, meetings and actions, by the broker's own machines.
 *
 * Purpose: an act that cannot be is refused here at once, with the sentence the broker would give;
 * inbox and outbox lists come from these rows. Two states a row: `committed` follows the member's
 * stream alone; `ahead` adds the own events that are still on their way. The broker's verdict
 * counts: a committed event is applied as decided, even where this node would have judged it
 * otherwise, and deadlines follow the targets that the broker told with `created` (until then the
 * directory's, which nothing hangs on: they run from delivery). Owner: the node; inside a write
 * transaction. It knows nothing of cases and members that never touched this one, and lets pass
 * what it cannot know. */
#ifndef KAP_NODE_MIRROR_H
#define KAP_NODE_MIRROR_H

#include "event.h"
#include "inside.h"
#include "meeting.h"
#include "referral.h"

/* Would the broker take this own event now? KAP_OK, KAP_E_DENIED with *why (and *already for
 * already_so, which is no refusal); other errors are the store's. `group` as in referral.h. */
int kap_mirror_judge(kap_work_t *work, const kap_event_t *event, const kap_event_t *group,
                     uint32_t group_count, bool *already, kap_refusal_t *why);

/* The own event went into the outbox at (line, sequence): the state ahead moves. */
int kap_mirror_queue(kap_work_t *work, const kap_event_t *event, uint32_t line, uint64_t sequence);

/* Targets of a referral in working days, as the broker told them with its `created`; 0: untold. */
typedef struct {
    uint16_t answer_days, contact_days;
} kap_mirror_targets_t;

/* An event came in the member's stream, own or not. `targets` may be NULL. */
int kap_mirror_commit(kap_work_t *work, const kap_event_t *event, int verdict,
                      const kap_mirror_targets_t *targets, int64_t committed_at_ms,
                      uint32_t own_line);

/* An own event of this subject got its receipt: refused, or (for what no member stream carries)
 * accepted; it is no longer on its way. *row is loaded (outbox.h). */
int kap_mirror_receipt(kap_work_t *work, const kap_outbox_row_t *row, uint32_t line,
                       uint64_t sequence, bool refused);

/* An own event that had its receipt goes on its way once more (the broker was restored). *row is
 * loaded. */
int kap_mirror_pending_again(kap_work_t *work, const kap_outbox_row_t *row, uint32_t line,
                             uint64_t sequence);

/* Rows of the stream about this subject were taken back: its state anew from those that stay. */
int kap_mirror_rebuild(kap_work_t *work, kap_event_type_t type, kap_span_t subject);

/* State of a referral as this node sees it: with what is on its way, and whether it is in the
 * broker's log at all. Spans of *r lend from the transaction. KAP_E_NOTFOUND. */
int kap_mirror_referral(kap_txn_t *txn, kap_span_t id, kap_referral_t *r, bool *is_committed);
int kap_mirror_meeting(kap_txn_t *txn, kap_span_t id, kap_meeting_t *m);
int kap_mirror_forum(kap_txn_t *txn, kap_span_t id, kap_forum_t *f);
int kap_mirror_action(kap_txn_t *txn, kap_span_t id, kap_action_t *a);

/* Decodes a row of KAP_TABLE_REFERRALS, for lists. */
int kap_mirror_referral_row(kap_span_t value, kap_referral_t *r, bool *is_committed);

/* Who asked whom for a statement, and whether it was given. Spans lend from the transaction. */
int kap_mirror_statement(kap_txn_t *txn, kap_span_t id, kap_span_t *from, kap_span_t *to,
                         bool *given);

#endif
