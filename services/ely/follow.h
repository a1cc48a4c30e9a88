/* SPDX-License-Identifier: MPL-2.0 */
/* Follows the streams of the regions of this member's areas into files.
 *
 * Purpose: an area's contact person sees all its regions side by side with the tools at hand. One
 * file a region in the folder ely.feed, REGION-N.jsonl (N: the first position in it), a line an
 * event: stream, seq, log_seq, committed_at, verdict, event (CloudEvents JSON: the open part, which
 * is all that a region's reader gets). How far a file is true stands in the store together with the
 * cursor, so a crash neither repeats nor loses a line. After the broker was restored a line says
 * to which position what stands above it still holds. Which regions: those that the directory's
 * role area:<id> covers, looked up at every request. Owner: the daemon; loop thread only. It
 * changes nothing at the broker and holds no customer data. */
#ifndef KAP_ELY_FOLLOW_H
#define KAP_ELY_FOLLOW_H

#include "node.h"

extern const kap_conf_key_t kap_follow_keys[];

/* For an extra; *state NULL when ely.feed is not configured. */
int kap_follow_start(kap_node_t *node, void **state);
void kap_follow_stop(void **state);

#endif
