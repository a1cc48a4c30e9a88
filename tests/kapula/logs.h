/* SPDX-License-Identifier: MPL-2.0 */
/* Reading small event logs in tests: text in, an eventlog (or a refusal) out. */
#ifndef KAP_TEST_LOGS_H
#define KAP_TEST_LOGS_H

#include "buf.h"
#include "eventlog.h"

/* What a reading came to; {0} before, kap_logs_close after. It must not move in between. */
typedef struct {
    kap_eventlog_t *log;
    kap_buf_t why;
    int rc;
    uint8_t digest[32]; /* files only */
} kap_logs_t;

/* Any number of faults, UTC, nothing declared missing. */
extern const kap_logrules_t kap_logs_rules;

/* concept:name, time:timestamp, org:resource. */
extern const kap_logkeys_t kap_logs_keys;

/* A whole text, fed in pieces of `piece` bytes (0: at once), then finished. rules and keys NULL:
 * the ones above. Returns logs->rc. */
int kap_logs_xes(kap_logs_t *logs, kap_span_t text, size_t piece, const kap_logkeys_t *keys,
                 const kap_logrules_t *rules);
int kap_logs_csv(kap_logs_t *logs, kap_span_t text, size_t piece, char delimiter,
                 const kap_logkeys_t *keys, const kap_logrules_t *rules);

/* The same for a string of traces, put between <log> and </log>. */
int kap_logs_traces(kap_logs_t *logs, const char *traces);

/* An XES file, plain or gzip. */
int kap_logs_file(kap_logs_t *logs, const char *path, const kap_logkeys_t *keys,
                  const kap_logrules_t *rules);

const char *kap_logs_why(kap_logs_t *logs);
uint64_t kap_logs_fault(const kap_logs_t *logs, kap_logfault_t fault);
const kap_logtotals_t *kap_logs_totals(const kap_logs_t *logs);
void kap_logs_close(kap_logs_t *logs);

/* Text of a trace: "<event>" with actor and time; NULL leaves the attribute out. */
void kap_logs_event(kap_buf_t *xes, const char *actor, const char *time);

/* The worked example of the definitions, as traces. */
void kap_logs_worked_example(kap_buf_t *xes);

#endif
