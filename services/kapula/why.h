/* SPDX-License-Identifier: MPL-2.0 */
/* Why a figure is another than it was: the events of a region's stream behind a position of the log
 * that belong to referrals of a window, and the tallies of its periods. A job that reads the
 * stream from its start. One thread; it judges nothing. */
#ifndef KAP_WHY_H
#define KAP_WHY_H

#include "shown.h"

typedef struct {
    const char *region;
    int64_t from_ms, to_ms; /* referrals created in here; INT64_MIN, INT64_MAX when open */
    kap_span_t from, to;    /* of an edge; empty: any */
    kap_span_t member;      /* at either end; empty: any */
    int64_t after_seq;      /* what the log held then */
    bool meetings;          /* also meetings, actions and the follow-up model */
} kap_why_t;

/* Appends maps {event, count, reported_late, subjects [ids]} to `out`, in the order of the event
 * table, texts in its arena, which is not the cli's. 0 or an exit code after saying why. */
int kap_why_read(kap_cli_t *cli, const kap_why_t *why, kap_shown_list_t *out);

#endif
