/* SPDX-License-Identifier: MPL-2.0 */
/*
 * follow: tells the index of meetings and of the follow-up model (figures/followed.h) what entered
 * the log, out of the book's objects. Owner: judge.c, once an event has its position; one thread.
 */
#ifndef KAP_FOLLOW_H
#define KAP_FOLLOW_H

#include "judge.h"

/* An accepted event at its position. The rows go with the batch; errors are the book's. */
void kap_follow_placed(const kap_judge_t *judge, const kap_event_t *ev, const kap_judged_t *judged,
                       uint64_t log_seq);

#endif
