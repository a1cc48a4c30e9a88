/* SPDX-License-Identifier: MPL-2.0 */
/* An event log in memory: who did something in which case, and when.
 *
 * Owner: whoever reads a log; one thread. A reader (xes.h, csvlog.h) fills it, kap_eventlog_finish
 * sorts it, then it only answers. 16 bytes an event, each name once, so that millions of events
 * fit. Here stand the definitions of case, order, actor, missing and handover, and the counted
 * skips; it knows no XML, no CSV and no referral, and compares names byte for byte. */
#ifndef KAP_EVENTLOG_H
#define KAP_EVENTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "clock.h"
#include "span.h"

typedef enum {
#define KAP_LOGFAULT(NAME, json, text) KAP_LOGFAULT_##NAME,
#include "logfaults.def"
#undef KAP_LOGFAULT
    KAP_LOGFAULT_COUNT,
    KAP_LOGFAULT_NONE = KAP_LOGFAULT_COUNT,
} kap_logfault_t;

/* The words of a fault, plural: "events without a time". */
const char *kap_logfault_text(kap_logfault_t fault);

/* The longest case id or actor name; a longer one refuses the log. It is shown in full later, so
 * an event must hold two of them. */
#define KAP_EVENTLOG_NAME_BYTES 1000

/* An actor index that is none: the event's actor is missing. */
#define KAP_EVENTLOG_NO_ACTOR UINT32_MAX

/* Where a log keeps what we need: attribute keys of XES, column names of CSV. */
typedef struct {
    const char *case_key;
    const char *time_key;
    const char *actor_key;
} kap_logkeys_t;

typedef struct {
    const char *const *missing; /* values that mean "no actor", lent until destroy */
    size_t missing_count;
    kap_zone_t zone;     /* of times that name none */
    int64_t offset_ms;   /* added to such times after `zone` (a fixed offset: UTC and minus it) */
    int64_t max_skipped; /* faults allowed; negative: any number */
} kap_logrules_t;

typedef struct {
    int64_t ms;       /* UTC */
    uint32_t case_no; /* in the order of first appearance in the file */
    uint32_t actor;   /* or KAP_EVENTLOG_NO_ACTOR */
} kap_logevent_t;

/* One case: its events by instant, equal instants in file order, those without an actor too. */
typedef struct {
    kap_span_t id;
    const kap_logevent_t *events;
    size_t count; /* at least 1 */
} kap_logcase_t;

/* Consecutive events of one actor in a case; events without an actor lie anywhere between. A
 * handover is two runs in a row. */
typedef struct {
    uint32_t actor;
    int64_t first_ms; /* of its first event */
    int64_t last_ms;  /* of its last event */
    size_t begin;     /* position of the first event in the case */
    size_t end;       /* position after the last one */
    size_t count;     /* events with the actor */
} kap_logrun_t;

typedef struct {
    uint64_t traces;       /* traces, or rows, of the file */
    uint64_t events_read;  /* in traces, faulty ones too */
    uint64_t events;       /* kept: with a time */
    uint64_t actor_events; /* of these, with an actor */
    uint64_t declared;     /* events whose actor is a value declared as missing */
    uint64_t cases;        /* with at least one kept event */
    uint64_t hollow;       /* cases of which no event could be kept */
    uint64_t merged;       /* traces whose case id had been seen before */
    uint64_t without_zone; /* times that named no zone */
    uint64_t before_1970;  /* times before 1970, and 1970-01-01 itself */
    int64_t first_ms;      /* both 0 without events */
    int64_t last_ms;
    uint64_t actors;          /* that act in at least one kept event */
    uint64_t handovers;       /* missing skipped: the policy of an import */
    uint64_t handovers_break; /* if a missing actor ended the chain */
    uint64_t handovers_actor; /* if missing were one more actor */
    uint64_t handovers_file;  /* if the file's order were believed */
    uint64_t self_follows;
    uint64_t pingpongs;      /* handover A to B whose next handover is B to A */
    uint64_t with_handover;  /* cases */
    uint64_t most_handovers; /* of a case */
    uint64_t faults[KAP_LOGFAULT_COUNT];
} kap_logtotals_t;

typedef struct kap_eventlog kap_eventlog_t;

/* `rules` are copied, `why` is lent until destroy and takes the sentence of a refusal.
 * KAP_E_NOMEM. */
int kap_eventlog_new(const kap_logrules_t *rules, kap_buf_t *why, kap_eventlog_t **log);
void kap_eventlog_destroy(kap_eventlog_t **log);

/* Between begin_trace and end_trace stand the events of one case (XES), whose id may come last. */
void kap_eventlog_begin_trace(kap_eventlog_t *log);

/* One event of the open trace. Data NULL means absent. *fault says what was wrong, or
 * KAP_LOGFAULT_NONE; the reader then calls kap_eventlog_fault, which knows the line. Without a
 * time nothing is kept. KAP_E_INVALID: the actor's name is too long. KAP_E_LIMIT: over 2^32 - 2
 * events. KAP_E_NOMEM. */
int kap_eventlog_add(kap_eventlog_t *log, kap_span_t time, kap_span_t actor, kap_logfault_t *fault);

/* Ends the open trace; an empty or absent id becomes #ordinal, an id seen before is merged.
 * *fault as above (EMPTY_TRACE before NO_ID). */
int kap_eventlog_end_trace(kap_eventlog_t *log, kap_span_t id, kap_logfault_t *fault);

/* One event and its case at once (CSV). *fault as in add; a case without an id is named by the
 * row's ordinal and *nameless is set. Rows of one case need not stand together, and do not count
 * as merged. */
int kap_eventlog_row(kap_eventlog_t *log, kap_span_t id, kap_span_t time, kap_span_t actor,
                     kap_logfault_t *fault, bool *nameless);

/* Counts a fault. KAP_E_LIMIT when there are more than allowed: the sentence, with the line, is
 * in `why`. */
int kap_eventlog_fault(kap_eventlog_t *log, kap_logfault_t fault, uint64_t line);

/* Sorts, counts, and lets nothing more in. */
int kap_eventlog_finish(kap_eventlog_t *log);

/* After finish. Cases are numbered in the order of their first event, equal instants by first
 * appearance in the file. */
const kap_logtotals_t *kap_eventlog_totals(const kap_eventlog_t *log);
size_t kap_eventlog_case_count(const kap_eventlog_t *log);
kap_logcase_t kap_eventlog_case(const kap_eventlog_t *log, size_t index);
size_t kap_eventlog_actor_count(const kap_eventlog_t *log);
kap_span_t kap_eventlog_actor(const kap_eventlog_t *log, uint32_t actor);

/* Kept events of an actor. */
uint64_t kap_eventlog_actor_events(const kap_eventlog_t *log, uint32_t actor);

/* Cases with exactly `handovers` handovers, 0 included; 0 above totals.most_handovers. */
uint64_t kap_eventlog_chains(const kap_eventlog_t *log, uint64_t handovers);

/* The next run of a case at or after *position (0 at first), which moves behind it. False when
 * there is none. */
bool kap_logcase_run(const kap_logcase_t *c, size_t *position, kap_logrun_t *run);

#endif
