/* SPDX-License-Identifier: MPL-2.0 */
/* A stream as an event log: what the key may read of it, as XES or CSV that any tool of process
 * mining reads, and that `import` reads back to the same figures.
 *
 * Each accepted event of a referral that is not voided becomes an event of a trace: who did it
 * (org:resource; nobody where a machine did: delivered, expired, answer_received), what, when. A
 * trace is a case, or a referral where the key may not know the cases. Events are laid aside in an
 * unnamed file and written in order at the end; memory holds 40 bytes an event and the names of
 * referrals. Owner: the one command that exports. It writes nothing sealed. */
#ifndef KAP_EXPORTLOG_H
#define KAP_EXPORTLOG_H

#include <stdbool.h>
#include <stdio.h>

#include "feed.h"

typedef enum { KAP_EXPORT_XES, KAP_EXPORT_CSV } kap_export_form_t;

typedef struct kap_exportlog kap_exportlog_t;

/* `by_case`: a trace a case, else a referral. `archive`: referral ids are `<case>#<n>` (import.h),
 * so cases are known without the ends parts. NULL when out of memory or without a temporary file.
 */
kap_exportlog_t *kap_exportlog_new(kap_export_form_t form, bool by_case, bool archive);

/* Takes one event of the stream. KAP_OK; KAP_E_NOMEM; KAP_E_IO: the temporary file. */
int kap_exportlog_add(kap_exportlog_t *log, const kap_feed_item_t *item);

/* Events whose case the key may not know; with by_case there must be none to write. */
uint64_t kap_exportlog_caseless(const kap_exportlog_t *log);

/* Writes everything. XES: traces in the order of their first event, in a trace by time, then log
 * order. CSV: log order. KAP_E_IO. */
int kap_exportlog_write(kap_exportlog_t *log, FILE *out);

void kap_exportlog_destroy(kap_exportlog_t **log);

#endif
