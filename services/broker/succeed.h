/* SPDX-License-Identifier: MPL-2.0 */
/*
 * succeed: who follows whom. Judges member_succeeded, region_succeeded and area_succeeded and keeps
 * them in the book: 1:1, n:1, or of members and areas 1:n by region. A succession is for ever; a
 * successor may be followed in turn, never in a loop. What it makes of the figures is
 * figures/succession.h. Owner: judge.c; the ledger's thread.
 */
#ifndef KAP_SUCCEED_H
#define KAP_SUCCEED_H

#include "book.h"
#include "directory.h"
#include "event.h"

/* Whom an event was about: those followed, then their successors. In the batch's arena. */
typedef struct {
    kap_succeeded_t kind;
    const kap_span_t *ids;
    uint32_t count;
} kap_succeed_t;

/* What the event is about; 0: it is no succession. */
kap_succeeded_t kap_succeed_kind(kap_event_type_t type);

/* KAP_VERDICT_ACCEPTED (the book has it, `named` is filled) or _REFUSED with *why. Ids are known
 * when the directory, the tables of regions and areas, or the log (streams, earlier successions)
 * know them; a new area begins with the succession that names it. Errors are the book's. */
int kap_succeed_judge(kap_book_t *book, const kap_directory_t *dir, const kap_event_t *ev,
                      kap_succeed_t *named, kap_refusal_t *why);

/* An accepted one entered the log: all that it names gets numbers. */
void kap_succeed_placed(kap_book_t *book, const kap_event_t *ev);

#endif
