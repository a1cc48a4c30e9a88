/* SPDX-License-Identifier: MPL-2.0 */
/* Tests' own view of a broker: the process itself, and a client that can also do what a good
 * client never does. */
#ifndef ASKER_H
#define ASKER_H

#include <sys/types.h>

#include "answer.h"
#include "arena.h"
#include "event.h"
#include "frame.h"
#include "loop.h"
#include "sock.h"
#include "world.h"

enum { ASKER_PATIENCE_MS = 20000 };

/* --- the process --- */

typedef struct {
    char dir[64], conf[96], directory[96], log[96];
    char endpoint[KAP_SOCK_ENDPOINT_MAX];
    kap_curve_t *keys;
    pid_t pid;
} broker_t;

/* A folder with keys, the world's directory and a configuration; `more` is appended to it. */
void broker_init(broker_t *broker, const world_t *world, const char *more);
/* Starts the process and waits until it says ready. */
void broker_start(broker_t *broker);
/* Starts it and returns its exit code: for configurations that must not start. */
int broker_fails(broker_t *broker);
/* SIGTERM, and its exit code. */
int broker_stop(broker_t *broker);
void broker_kill(broker_t *broker);
/* Writes the directory file anew, whole, and waits until the log says that it was read. */
void broker_directory(broker_t *broker, const char *text, const char *said);
/* How often the log says a word; waits until it is at least `times`. */
void broker_says(const broker_t *broker, const char *word, int times);
int broker_said(const broker_t *broker, const char *word);
void broker_fini(broker_t *broker);

/* --- the client --- */

typedef struct {
    kap_loop_t *loop;
    kap_sock_t *sock;
    kap_arena_t *arena;
    uint8_t mesh[32];
    uint32_t next_req;
    kap_msg_t *inbox[64];
    size_t inbox_count;
    uint64_t dropped; /* the oldest answers make room */
    bool up, refused, got;
} asker_t;

/* Connects with a member's keys. */
void asker_init(asker_t *asker, const world_t *world, const broker_t *broker,
                const kap_curve_t *keys);
/* Runs until the connection is up; false: it was refused. */
bool asker_up(asker_t *asker);
void asker_fini(asker_t *asker);

/* A header with a fresh request id. */
kap_header_t asker_header(asker_t *asker, kap_verb_t verb);
void asker_send(asker_t *asker, const kap_header_t *header, const kap_span_t frames[], size_t n);
/* The answer to `header`, within `ms`; NULL when there is none. It lives until 64 others came. */
const kap_msg_t *asker_answer(asker_t *asker, const kap_header_t *header, int64_t ms,
                              kap_header_t *answer);

/* --- whole requests --- */

/* Sends events (3 bins each, in one frame) and returns the receipt. */
void asker_publish(asker_t *asker, const char *source, uint64_t first, uint32_t count,
                   kap_span_t bins, kap_receipt_t *receipt);
/* The number of the refusal of an ERROR answer; 0 when the answer is no ERROR. */
uint16_t asker_error(asker_t *asker, const kap_header_t *header);

typedef struct {
    kap_event_meta_t meta;
    kap_span_t open, ends, sealed;
} asker_event_t;

typedef struct {
    uint16_t refusal; /* of an ERROR answer */
    kap_events_head_t head;
    asker_event_t events[1024];
    size_t count;
} asker_events_t;

kap_header_t asker_fetch_send(asker_t *asker, const kap_fetch_t *fetch);
/* False: no answer within `ms`. */
bool asker_fetched(asker_t *asker, const kap_header_t *header, int64_t ms, asker_events_t *events);
/* One stream after `seq` in the epoch of the asker's last answer; waits `wait_ms` at the broker. */
void asker_fetch(asker_t *asker, const char *stream, const uint8_t *epoch, uint64_t seq,
                 uint32_t wait_ms, asker_events_t *events);
/* A QUERY with string parameters: "key", "value", ..., NULL. */
void asker_query(asker_t *asker, const char *name, kap_answer_t *answer, ...);

/* kunta refers `count` customers to te in mikkeli, r-<first> and so on, by its producer p1; all
 * must be accepted. */
void asker_refer(asker_t *kunta, uint64_t first, uint32_t count);
/* One event of an existing referral; it must be accepted. */
void asker_tell(asker_t *asker, const char *source, uint64_t sequence, kap_event_type_t type,
                const char *referral);

/* --- the scene of most tests --- */

typedef struct {
    world_t world;
    broker_t broker;
} scene_t;

/* System, world and broker folder; the broker is started unless `conf` is NULL. */
void scene_open(scene_t *scene, const char *conf);
void scene_connect(scene_t *scene, asker_t *asker, const char *id);
void scene_close(scene_t *scene);

/* Appends the bins of a referral's event: created (from, to, region given), or another type. */
void event_bins(kap_buf_t *bins, const char *source, uint64_t sequence, kap_event_type_t type,
                const char *referral, const char *from, const char *to, const char *region);

#endif
