/* SPDX-License-Identifier: MPL-2.0 */
/* A small mesh in one process: nodes on a loop, and a broker that is made of arrays.
 *
 * The broker speaks the protocol's frames over CURVE, keeps marks, puts every event it takes into
 * the streams of its ends, and can be told to misbehave. It accepts whatever is well-formed unless
 * told otherwise: judging is not what these tests are about. One thread. */
#ifndef KAP_TEST_RIG_H
#define KAP_TEST_RIG_H

#include "client.h"
#include "inside.h"
#include "zap.h"

enum { RIG_MEMBERS = 5, RIG_EVENTS = 4096, RIG_SOURCES = 64, RIG_WAITS = 16 };

/* municipality te-office finnvera mentor adviser (private) */
typedef struct {
    const char *id;
    kap_curve_t *curve;
    kap_seal_keys_t *seal;
    kap_sign_keys_t *sign;
} rig_member_t;

typedef struct {
    kap_span_t source, open, ends, sealed;
    uint64_t sequence, log_seq;
    kap_span_t referral, from, to; /* who gets it */
    int verdict;
    uint16_t refusal;
    uint16_t answer_days, contact_days; /* of a `created`: told when not 0 */
} rig_event_t;

typedef struct {
    kap_loop_t *loop;
    kap_sock_t *sock;
    kap_curve_t *curve;
    char endpoint[KAP_SOCK_ENDPOINT_MAX];
    uint8_t mesh[32];
    kap_arena_t *arena; /* all bytes that it keeps */
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    uint64_t kept_to[RIG_MEMBERS]; /* of the epoch before, a member's stream */
    rig_event_t events[RIG_EVENTS];
    size_t count;
    struct {
        bool on;
        uint32_t peer;
        uint8_t req[16];
        size_t req_size;
        int member;
        uint64_t seq;
    } waits[RIG_WAITS];

    /* what it was asked */
    uint64_t publishes, fetches, marks, resent;

    /* how it misbehaves */
    int later;                          /* so many PUBLISH are answered with `later_status` */
    int later_status;                   /* KAP_RECEIPT_ */
    int lose;                           /* so many receipts are lost after the commit */
    bool deaf;                          /* answers nothing */
    const char *refuse;                 /* events of this type are refused (illegal.state) */
    bool forge_sealed;                  /* contents come changed */
    uint16_t answer_days, contact_days; /* targets in force, told with `created`; 0: not told */
} rig_broker_t;

typedef struct {
    char dir[64];
    rig_member_t members[RIG_MEMBERS];
    kap_loop_t *loop;
    kap_zap_t *zap;
    rig_broker_t *broker;
    kap_conf_t *confs[RIG_MEMBERS];
    kap_node_t *nodes[RIG_MEMBERS];
    const char *store_more, *uplink_more; /* further keys of these groups, or NULL */
} rig_t;

rig_t *rig_new(void);
void rig_destroy(rig_t **rig);

void rig_broker_start(rig_t *rig);
void rig_broker_stop(rig_t *rig);
/* Forgets every event above log_seq and takes a new epoch. */
void rig_broker_restore(rig_t *rig, uint64_t log_seq);
/* Events of a type that the broker has taken with effect. */
size_t rig_count(const rig_t *rig, const char *type);
const rig_event_t *rig_find(const rig_t *rig, const char *type, size_t nth);

/* Opens the member's node; `more` is further configuration text or NULL. */
kap_node_t *rig_node_open(rig_t *rig, int member, const kap_actor_t *actor, const char *more);
void rig_node_close(rig_t *rig, int member);
/* Copies the closed member's store away and back. */
void rig_store_copy(rig_t *rig, int member, const char *from, const char *to);

/* Runs the loop until the condition holds; fails the test after 20 s. */
typedef bool rig_condition_fn(rig_t *rig, void *arg);
void rig_until(rig_t *rig, rig_condition_fn *holds, void *arg, const char *what);
/* Some turns of the loop, for what shall not happen. */
void rig_turns(rig_t *rig, int64_t ms);

/* An act of "name", "value" pairs ended by NULL. */
kap_act_result_t rig_act(kap_node_t *node, const char *verb, ...);
/* The same with a key in front. */
kap_act_result_t rig_act_key(kap_node_t *node, const char *key, const char *verb, ...);

/* All events queued by the node are receipted; arg is the node. */
bool rig_is_empty(rig_t *rig, void *node);
/* State of a referral at a node, "none" when it knows nothing. */
const char *rig_state(kap_node_t *node, const char *referral);

typedef struct {
    kap_node_t *node;
    const char *referral, *state;
} rig_wanted_t;
/* rig_until condition: the referral has come into this state. */
bool rig_has_state(rig_t *rig, void *wanted);
void rig_until_state(rig_t *rig, kap_node_t *node, const char *referral, const char *state);

extern const kap_actor_t rig_actor;

#endif
