/* SPDX-License-Identifier: MPL-2.0 */
/* Publishing a long sequence of derived events: several requests on their way at once.
 *
 * Owner: the import; the loop's thread, blocking. Events are packed KAP_PUBLISH_EVENTS to a
 * request, groups kept whole, and at most KAP_PUBLISH_WINDOW requests wait for their receipts. Any
 * answer but a plain receipt empties the window; it then goes on from the sequence the broker
 * expects, so that a gap, a busy broker or a broker that was restarted cost time and nothing else.
 * It ends: done, refused, or with a time limit. It keeps nothing on disk: the broker's mark is the
 * memory. */
#ifndef KAP_PUBLISH_H
#define KAP_PUBLISH_H

#include <stdint.h>

#include "buf.h"
#include "client.h"
#include "logmap.h"
#include "loop.h"

#define KAP_PUBLISH_EVENTS 256
#define KAP_PUBLISH_WINDOW 24

/* A request is closed at this size, too: a full window stays below what a broker holds unjudged of
 * one member (4 MiB by default). */
#define KAP_PUBLISH_BYTES (128 * 1024)

/* How long a broker may go on saying "later" without taking one event. */
#define KAP_PUBLISH_STALL_MS 60000

typedef struct {
    kap_loop_t *loop;
    kap_client_t *client;
    kap_logmap_t *map;
    uint64_t first;     /* where to begin: at most the broker's mark + 1 */
    int64_t timeout_ms; /* of one request */
    void (*on_progress)(void *arg, uint64_t sequence); /* receipted so far; may be NULL */
    void *arg;
    kap_buf_t *why; /* gets a sentence on failure */
} kap_publish_opts_t;

/* Where to begin with a broker whose mark is `mark`: before it, by what may have been on its way
 * when an earlier run stopped. So an event that was refused then is seen again, and not passed over
 * in silence; the others only get their receipts again. */
uint64_t kap_publish_begin_at(uint64_t mark);

/* Publishes first..total. KAP_OK: all have receipts. KAP_E_CONFLICT: the broker holds other events
 * under these numbers. KAP_E_INVALID: it refused an event (or answered nonsense), its sentence in
 * `why`. KAP_E_DENIED: our key may not publish for this source, or is not known. KAP_E_TIMEOUT,
 * KAP_E_UNREACHABLE, KAP_E_NOMEM. */
int kap_publish_run(const kap_publish_opts_t *opts);

#endif
