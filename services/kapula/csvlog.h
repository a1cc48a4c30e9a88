/* SPDX-License-Identifier: MPL-2.0 */
/* CSV event logs: a header row, then one event a row; the bytes go in, an eventlog fills.
 *
 * Owner: whoever reads the file; one thread. Columns are found by their exact names. Fields are
 * taken byte for byte, spaces included. A row whose number of fields differs from the header's is
 * skipped and counted; broken quotes and bytes that are not UTF-8 refuse the file (common csv.h).
 * It does not guess a delimiter, but says which one the header seems to use. */
#ifndef KAP_CSVLOG_H
#define KAP_CSVLOG_H

#include "buf.h"
#include "eventlog.h"
#include "span.h"

typedef struct kap_csvlog kap_csvlog_t;

/* `keys` and their strings, `log` and `why` are lent until close. KAP_E_NOMEM. */
int kap_csvlog_open(const kap_logkeys_t *keys, char delimiter, kap_eventlog_t *log, kap_buf_t *why,
                    kap_csvlog_t **csv);

/* The next bytes, any number. KAP_E_INVALID: refused, with "line N: sentence" in `why`.
 * KAP_E_LIMIT: more faults than allowed. KAP_E_NOMEM. After an error only close is left. */
int kap_csvlog_feed(kap_csvlog_t *csv, kap_span_t bytes);

/* The end of the file; errors as above: a file without a header is refused here. */
int kap_csvlog_finish(kap_csvlog_t *csv);

void kap_csvlog_close(kap_csvlog_t **csv);

#endif
