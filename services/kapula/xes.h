/* SPDX-License-Identifier: MPL-2.0 */
/* XES event logs (IEEE 1849), streamed by expat: the bytes go in, an eventlog fills.
 *
 * Owner: whoever reads the file; one thread. Only direct attributes of an <event> in a <trace>
 * count, by local name, with any or no namespace; globals, the log's own attributes, nested ones
 * and lists do not. It refuses what could hurt or mislead (DOCTYPE, other encodings, broken XML,
 * deep nesting, huge tags) and never validates against the XSD, which real logs fail. It opens no
 * file and no entity. */
#ifndef KAP_XES_H
#define KAP_XES_H

#include "buf.h"
#include "eventlog.h"
#include "span.h"

/* Elements in elements; real logs need 4 to 8. */
#define KAP_XES_DEPTH 64

/* A tag or a comment: the most that must be held before anything can be said about it. */
#define KAP_XES_TAG_BYTES (1024 * 1024)

typedef struct kap_xes kap_xes_t;

/* `keys` and their strings, `log` and `why` are lent until close. KAP_E_NOMEM. */
int kap_xes_open(const kap_logkeys_t *keys, kap_eventlog_t *log, kap_buf_t *why, kap_xes_t **xes);

/* The next bytes, any number. KAP_E_INVALID: refused, with "line N, byte N: sentence" in `why`.
 * KAP_E_LIMIT: more faults than allowed. KAP_E_NOMEM. After an error only close is left. */
int kap_xes_feed(kap_xes_t *xes, kap_span_t bytes);

/* The end of the file; errors as above: a file that stops in the middle is refused here. */
int kap_xes_finish(kap_xes_t *xes);

void kap_xes_close(kap_xes_t **xes);

#endif
