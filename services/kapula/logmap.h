/* SPDX-License-Identifier: MPL-2.0 */
/* An event log as the events of an archive region, one after the other.
 *
 * Owner: the import; one thread; it allocates nothing after new. Everything an event holds is
 * derived from the log, the options and the event's place (ids, salts and times included): the
 * same import gives the same bytes again, so that an interrupted one resumes at any sequence.
 *
 * The sequence: archive_opened, then the cases in the order of their first event, then
 * archive_closed with the summary. The first actor of a case is its intake. Each handover is one
 * referral (id: case#k): created and delivered at the last event of who hands over, accepted at
 * the first event of who receives, a further event of the holder is noted, and at the holder's
 * last event it ends: redirected in one group with the next created, or completed; then
 * answer_received. A log knows work done, not offers: nothing is ever declined.
 * It knows no socket and no file. */
#ifndef KAP_LOGMAP_H
#define KAP_LOGMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "eventlog.h"
#include "event.h"
#include "span.h"

typedef struct kap_logmap kap_logmap_t;

/* Spans are copied. */
typedef struct {
    kap_span_t member;    /* who imports: the member of the operator's key */
    kap_span_t name;      /* of the archive */
    kap_span_t attribute; /* that names the actors */
    kap_span_t options;   /* what else decides what the log means; a text for people too */
    uint8_t digest[32];   /* of the log's bytes; itself never published */
} kap_logmap_opts_t;

/* One event, lent until the next call. */
typedef struct {
    uint64_t sequence;
    kap_event_type_t type;
    kap_span_t open, ends;
    bool bound; /* the next event is of the same group: both go in one PUBLISH */
} kap_logmap_event_t;

/* `log` is finished and lent until destroy. KAP_E_LIMIT: source or options too long for an event.
 * KAP_E_NOMEM. The next event is the first. */
int kap_logmap_new(const kap_eventlog_t *log, const kap_logmap_opts_t *opts, kap_logmap_t **map);
void kap_logmap_destroy(kap_logmap_t **map);

/* "<member>/import-<hash of name, attribute and options>". */
kap_span_t kap_logmap_source(const kap_logmap_t *map);

/* The digest as published in archive_opened: a hash of the bytes' digest, 32 bytes. The salts come
 * from the digest itself, so that only who has the file could guess at what an ends part hides. */
const uint8_t *kap_logmap_digest(const kap_logmap_t *map);

/* Events in all: the last one's sequence. At least 2. */
uint64_t kap_logmap_total(const kap_logmap_t *map);

/* Referrals, one a handover. */
uint64_t kap_logmap_referrals(const kap_logmap_t *map);

/* The next event will be the one with this sequence, 1 to total + 1 (the end), or the one before
 * it: never the second of a group. */
void kap_logmap_seek(kap_logmap_t *map, uint64_t sequence);

/* The next event; KAP_E_NOTFOUND after the last. KAP_E_NOMEM. */
int kap_logmap_next(kap_logmap_t *map, kap_logmap_event_t *event);

/* An actor's or a case's name as it stands in events: itself, or "#" and its hash in hex when it
 * is longer than an id may be, or would be taken for an external recipient. `room` holds the
 * hash's text; *hashed tells. */
enum { KAP_LOGMAP_ID_TEXT = 80 };
kap_span_t kap_logmap_id(kap_span_t name, char room[KAP_LOGMAP_ID_TEXT], bool *hashed);

#endif
