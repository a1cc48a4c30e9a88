/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who may publish what, and who may read which parts: the two questions, asked in one place each.
 * Pure: a directory snapshot and facts come in, an answer goes out; no store, no clock, no socket.
 * The ledger thread asks kap_may_publish inside the transaction, with the directory as of that
 * position; the loop asks kap_may_read at the last moment before every send. Any thread may call.
 * It does not judge the state of a referral or meeting: that is proto's machines.
 * The rules are the rows of access.def; referrals.md "by" and domain.md "Roles of a key".
 */
#ifndef KAP_ACCESS_H
#define KAP_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "directory.h"
#include "event.h"
#include "span.h"

/* What a publisher is towards one event: a set. */
typedef enum {
    KAP_AS_SENDER = 1u << 0,      /* the referral's or tally's `from`, or speaks for it */
    KAP_AS_RECIPIENT = 1u << 1,   /* the referral's `to`, or speaks for it */
    KAP_AS_OPERATOR = 1u << 2,    /* has the role operator */
    KAP_AS_COORDINATOR = 1u << 3, /* coordinator of the event's region */
    KAP_AS_OWNER = 1u << 4,       /* member that owns the forum (or the process) */
    KAP_AS_PARTY = 1u << 5,       /* a member that acts in the event's region */
    KAP_AS_NAMED = 1u << 6,       /* the member that the event itself names as its actor */
    KAP_AS_SPEAKER = 1u << 7,     /* speaks for others here: a bench region, an archive */
    KAP_AS_BROKER = 1u << 8,      /* the broker itself; never by a key */
} kap_access_as_t;

/* What the ledger knows and the event alone does not say. Empty spans where it knows nothing.
 * For an event that makes its object (created, tallied, forum set) they come from the event. */
typedef struct {
    kap_span_t from;   /* the referral's sender */
    kap_span_t to;     /* the referral's recipient */
    kap_span_t region; /* region of the referral, forum, meeting or record; may be an archive */
    kap_span_t owner;  /* member that owns the forum of a meeting, or the process */
    kap_span_t named;  /* member that the event names: who attended, who is responsible */
    bool archive;      /* `region` is an archive (they stand in the ledger, not in the directory) */
} kap_access_facts_t;

/* The member that holds the CURVE key `key` (z85, 40 characters) at `now`, or NULL: not in the
 * directory, not yet or no longer valid, or no key at all. Asked anew for every message. */
const kap_member_t *kap_access_who(const kap_directory_t *dir, const char *key, int64_t now);

/* True if `source` ("<member>/<producer>", producer not empty) is one of `who`. False means:
 * answer `foreign`, use up nothing. `who` may be NULL, here and below: then nothing is allowed. */
bool kap_may_source(const kap_member_t *who, kap_span_t source);

/* Decides whether `who` may publish `ev`. 0, or the number of the refusal (refusals.def,
 * not_allowed.*). *as is always set to what the publisher is towards the event, as far as the facts
 * tell; the machines want it (is_sender, is_recipient, is_operator). */
int kap_may_publish(const kap_directory_t *dir, const kap_member_t *who, const kap_event_t *ev,
                    const kap_access_facts_t *facts, unsigned *as);

/* Parts of an event that a reader may get: a mask; 0 is nothing. */
typedef enum {
    KAP_READ_OPEN = 1u << 0,
    KAP_READ_ENDS = 1u << 1,
    KAP_READ_SEALED = 1u << 2,
} kap_read_t;

/* The parts of events of `stream` ("region/<id>" or "member/<id>") that `who` may read. Readers of
 * a region get OPEN only, a member's own node gets all parts of its stream. `archive` says that a
 * region not in the directory is an archive. 0: unknown key, foreign or unknown stream. What a
 * named third member of `shared` may see: kap_read_cut below. */
unsigned kap_may_read(const kap_directory_t *dir, const kap_member_t *who, kap_span_t stream,
                      bool archive);

/* Narrows `parts` for one event of a stream: of a referral's event the two ends keep all, a third
 * member that stands beside it (a share) loses ENDS. Both spans empty: no referral, nothing is
 * taken away. A region's stream has OPEN only, whatever comes in. */
unsigned kap_read_cut(unsigned parts, kap_span_t stream, kap_span_t from, kap_span_t to);

/* How much of a region's figures `who` sees (metrics.md "Who sees what"). */
typedef enum {
    KAP_SEE_NOTHING, /* nobody known */
    KAP_SEE_TOTALS,  /* regional totals of whole months, small cells hidden; and own edges */
    KAP_SEE_EDGES,   /* every edge, month by month, small cells hidden */
    KAP_SEE_FULL,    /* everything, live */
} kap_see_t;
kap_see_t kap_may_see(const kap_directory_t *dir, const kap_member_t *who, kap_span_t region,
                      bool archive);

/* The same of an area, the nation, a member or an organisation in all its regions. FULL: a covering
 * role, the member itself, or a reader of every region that it acts in. TOTALS of an area and the
 * nation are everybody's; a member's and an organisation's are not (NOTHING). */
kap_see_t kap_may_see_area(const kap_member_t *who, kap_span_t area);
kap_see_t kap_may_see_nation(const kap_member_t *who);
kap_see_t kap_may_see_member(const kap_directory_t *dir, const kap_member_t *who,
                             kap_span_t member);
kap_see_t kap_may_see_organisation(const kap_directory_t *dir, const kap_member_t *who,
                                   kap_span_t organisation);

/* True if `who` has the role operator. */
bool kap_may_operate(const kap_member_t *who);

#endif
