/* SPDX-License-Identifier: MPL-2.0 */
/* Exact export of an event as CloudEvents 1.0 JSON: the attributes under their names,
 * sequence as a string, times as RFC 3339 UTC with milliseconds, hashes and other binary
 * as base64, integers beyond 2^63 as strings, data as the open part holds it, unknown keys
 * included. The ends part, when asked for and there, is the extension `ends`, base64 of its
 * bytes, so that its hash can be checked; the sealed part never leaves. Pure; any thread. */
#ifndef KAP_CLOUDEVENTS_H
#define KAP_CLOUDEVENTS_H

#include "buf.h"
#include "event.h"

/* Appends one JSON object on one line, no newline. KAP_E_INVALID when the open part cannot
 * be read, KAP_E_NOMEM. */
int kap_cloudevents_json(const kap_event_t *ev, bool with_ends, kap_buf_t *out);

#endif
