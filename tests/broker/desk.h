/* SPDX-License-Identifier: MPL-2.0 */
/* A desk for tests of the ledger: a small mesh, an engine over a store or its twin, and short words
 * to publish with. Members a..e and national n act in region mikkeli, f and g in pieksamaki of the
 * same area too, p there and t in turku alone, op operates; speaker drv in bench. Events are at
 * d->now unless said otherwise. */
#ifndef DESK_H
#define DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "directory.h"
#include "engine.h"
#include "event.h"
#include "figures.h"
#include "store.h"

enum { DESK_MEMBERS = 16, DESK_SOURCES = 32, DESK_EVENTS = 64 };

typedef struct {
    char name[64];
    uint64_t last;
} desk_source_t;

typedef struct {
    bool memory, figures;
    char path[32];
    kap_store_t *store;
    kap_engine_t *engine;
    kap_directory_t *dir;
    kap_buf_t json;
    char keys[DESK_MEMBERS][41];
    uint8_t mesh[32];
    int64_t now;
    desk_source_t sources[DESK_SOURCES];
    /* the event being built */
    kap_event_builder_t builder;
    bool building;
    uint64_t ids;
    /* the job being filled */
    kap_job_t *job;
    desk_source_t *source;
    kap_batch_t *last; /* the newest batch */
    kap_arena_t *arena;
    char text[8192]; /* strings that events lend until they are built */
    size_t text_used;
} desk_t;

void desk_open(desk_t *d, bool memory);
void desk_close(desk_t *d);
/* Closes engine and store and opens them again (not the twin). */
void desk_reopen(desk_t *d);
/* The key of a member, z85. */
const char *desk_key(const desk_t *d, const char *member);
/* The source "<member>/p"; its sequence goes on where it was. */
desk_source_t *desk_source(desk_t *d, const char *source);

/* Begins an event of a member (source "<member>/p", or of `source` when it has a slash). Events
 * begun one after the other for the same source go into one job. */
void desk_event(desk_t *d, const char *source, kap_event_type_t type, int64_t time);
void desk_span(desk_t *d, kap_field_t field, const char *value);
void desk_code(desk_t *d, kap_field_t field, int code);
void desk_int(desk_t *d, kap_field_t field, int64_t value);
void desk_group(desk_t *d, const char *group);
/* A list of texts: "a,b"; a map of texts: "mikkeli=a,pieksamaki=b". */
void desk_list(desk_t *d, kap_field_t field, const char *items);
void desk_map(desk_t *d, kap_field_t field, const char *pairs);
/* created, as a transfer for advice with a basis. parent may be NULL. */
void desk_created(desk_t *d, const char *source, const char *referral, const char *case_id,
                  const char *from, const char *to, const char *region, const char *parent);
/* Any event of a referral that needs nothing else. */
void desk_referral(desk_t *d, const char *source, kap_event_type_t type, const char *referral);

/* The job gathered so far, taken; NULL when there is none. */
kap_job_t *desk_take(desk_t *d);
/* Judges and commits what was gathered; returns the status of its receipt. */
int desk_send(desk_t *d);
/* The same for one event: its refusal, 0 when accepted; -1 already so. */
int desk_said(desk_t *d);
/* Looks for deadlines that are over at d->now; how many events it made. */
uint32_t desk_expire(desk_t *d);
/* Runs jobs (linked) in one batch. */
void desk_run(desk_t *d, kap_job_t *jobs, bool expire);
/* Verdict and refusal of the newest batch's result. */
const kap_decided_t *desk_decided(const desk_t *d, uint32_t i);

/* State of a referral; KAP_STATE_NONE: there is none. */
int desk_state(desk_t *d, const char *referral);
/* The answer to edges, everything elapsed by the recipient's clock. */
void desk_edges(desk_t *d, const char *region, kap_edges_t *edges);
void desk_ask(desk_t *d, const kap_edges_query_t *query, kap_edges_t *edges);
const kap_edge_t *desk_edge(const kap_edges_t *edges, const char *from, const char *to);
/* Recounts the log; fails the test on any difference. */
void desk_audit(desk_t *d);

#endif
