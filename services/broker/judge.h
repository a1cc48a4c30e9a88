/* SPDX-License-Identifier: MPL-2.0 */
/*
 * judge: from an event to its verdict and effects. It gathers what the machines of proto want to
 * know from the book and the directory, asks may_publish, asks the machine, and changes the book's
 * objects when the event is accepted. No clock, no disk, no randomness: the same book, directory,
 * event and `now` give the same verdict, so a recount can apply the log anew. It enters nothing
 * into streams, marks or log: the engine does, once the verdict of the whole group is known.
 * Rules: referrals.md, SPEC.md, the tables of proto. Owner: the engine; one thread.
 */
#ifndef KAP_JUDGE_H
#define KAP_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "book.h"
#include "directory.h"
#include "event.h"

/* What holds for all events of a job. */
typedef struct {
    kap_book_t *book;
    const kap_directory_t *dir; /* as of this position */
    const kap_member_t *who;    /* who published; NULL: the broker itself, or a recount */
    bool recount;               /* do not ask access: `as` comes with each event */
    int64_t now;                /* commit time */
    kap_span_t source;
    kap_span_t archive; /* name of the archive that the source fills; empty: the mesh */
    uint32_t scope;     /* its number */
} kap_judge_t;

/* What was decided, and where it shows. */
typedef struct {
    uint8_t verdict;   /* KAP_VERDICT_ */
    kap_refusal_t why; /* number 0 when not refused */
    int8_t state;      /* refused: state of the referral it met; KAP_STATE_NONE: none */
    uint16_t as;       /* in: of a recount; out: KAP_AS_ of the publisher */
    kap_referral_object_t *referral; /* it concerns; NULL: none */
    kap_span_t from, to;             /* ends it concerns, for readers; empty: none */
    /* streams that carry it; empty: none. Members only, each once. */
    kap_span_t region, tell[3];
    const kap_span_t *others; /* and these members */
    uint32_t other_count;
    /* judge.c's own, for kap_judge_placed */
    bool creates, opens, closes; /* a referral or archive began, an archive ended with it */
    bool tallies;                /* it counts as reported */
    kap_object_t *placed;        /* object that keeps the event's position */
} kap_judged_t;

/* Judges one event and applies it to the book when it is accepted. `group`: the events of its
 * group, itself included; NULL when it is alone. Errors of the book stay there: then *out means
 * nothing. */
void kap_judge_event(const kap_judge_t *judge, const kap_event_t *ev, const kap_event_t *group,
                     uint32_t group_count, kap_judged_t *out);

/* The event entered the log at a position: gives numbers to the names it uses and notes the
 * position where rows keep it. For accepted events, in order of the log. */
void kap_judge_placed(const kap_judge_t *judge, const kap_event_t *ev, const kap_judged_t *judged,
                      uint64_t log_seq);

#endif
