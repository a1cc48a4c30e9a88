/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as an XES file; the first byte is the size of the pieces they come in (0: at once). */
#include "logs_fuzz.h"
#include "xes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = NULL;
    kap_xes_t *xes = NULL;
    kap_span_t text = kap_span_sub(kap_span(data, size), 1, size);
    size_t piece = size && data[0] ? data[0] : text.size;
    int rc = kap_eventlog_new(&fuzz_rules, &why, &log);

    KAP_CHECK(rc == KAP_OK && kap_xes_open(&fuzz_keys, log, &why, &xes) == KAP_OK);
    for (size_t at = 0; at < text.size && !rc; at += piece)
        rc = kap_xes_feed(xes, kap_span_sub(text, at, piece));
    if (!rc)
        rc = kap_xes_finish(xes);
    kap_xes_close(&xes);
    fuzz_finish(log, rc, &why);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
    return 0;
}
