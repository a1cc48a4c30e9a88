/* SPDX-License-Identifier: MPL-2.0 */
/* What `kapula import` tells at its end: the log's figures, what was skipped and why, what is
 * worth a look, and the most frequent actors (a sentinel such as EMPTY or ? shows there). One
 * thread. */
#ifndef KAP_IMPORTREPORT_H
#define KAP_IMPORTREPORT_H

#include <stdio.h>

#include "cli.h"
#include "importargs.h"
#include "logmap.h"

/* Actors shown. */
#define KAP_IMPORTREPORT_TOP 10

typedef struct {
    const kap_importargs_t *args;
    const kap_logread_t *read;
    const kap_logmap_t *map;
    uint64_t mark; /* events that the broker had before */
} kap_importreport_t;

/* Prints in the format; KAP_E_NOMEM, KAP_E_IO. */
int kap_importreport_print(const kap_importreport_t *report, kap_format_t format, FILE *out);

/* What was wrong with a log in which nothing was usable, for one line. */
void kap_importreport_nothing(const kap_logtotals_t *totals, kap_buf_t *out);

#endif
