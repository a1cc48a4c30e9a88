/* SPDX-License-Identifier: MPL-2.0 */
/*
 * metric_tell: the answer to a question as one map, that of ANSWER (proto/SPEC.md, QUERY metrics);
 * as many rows as a frame holds. Any thread, in the snapshot of the question.
 */
#ifndef KAP_METRIC_TELL_H
#define KAP_METRIC_TELL_H

#include "metric.h"

/* What may be told of it (hide.h says so). */
typedef struct {
    bool whole;                /* values of the whole scope, else its numbers only as the rows' */
    bool lists;                /* of members and referrals, one by one */
    uint64_t least, row_least; /* durations of fewer are not told, of the whole and of rows */
    uint32_t hidden_below;     /* told beside them, 0: nothing is hidden */
    const char *notes[4];
    uint32_t note_count;
} kap_metric_show_t;

/* Appends the map; values of the rows that are told are read here. */
int kap_metric_tell(const kap_metric_at_t *at, const kap_metric_query_t *query,
                    const kap_metric_rows_t *rows, const kap_metric_show_t *show, kap_buf_t *out);

#endif
