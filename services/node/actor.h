/* SPDX-License-Identifier: MPL-2.0 */
/* What one actor's daemon fills in: everything that differs between municipality, te-office, ely,
 * finnvera and partner, as one constant table.
 *
 * Owner: static storage of the daemon's own file. All hooks run on the loop thread. A hook never
 * blocks for the network. It does not hold what is common: that is the node's. */
#ifndef KAP_ACTOR_H
#define KAP_ACTOR_H

#include <stdint.h>

#include "act.h"
#include "conf.h"
#include "event.h"
#include "referral.h"
#include "span.h"

/* A part of the daemon that lives beside the core (the spool, an adapter of folders): started
 * after the node is open and its doors are bound, stopped before they close, newest first. */
typedef struct {
    const char *name;           /* in log lines and health */
    const kap_conf_key_t *keys; /* its configuration, ended by key NULL; may be NULL */
    int (*start)(kap_node_t *node, void **state);
    void (*stop)(void **state); /* frees *state; must leave nothing running on the loop */
} kap_node_extra_t;

/* One event of the member's stream that is stored here. Lent for the call. */
typedef struct {
    uint64_t stream_seq; /* in member/<self> */
    uint64_t log_seq;
    int64_t committed_at_ms;
    int verdict; /* KAP_VERDICT_ACCEPTED, or _ALREADY_SO: in the log without effect */
    const kap_event_t *event;
    kap_span_t contents;            /* unsealed contents, a MessagePack map; empty when none */
    const kap_referral_t *referral; /* its state after the event, or NULL */
    bool is_own;                    /* this member published it */
    bool unsealed;                  /* false: there is a sealed part that does not open here */
} kap_received_t;

/* A column of an intake file: its header, the act's field that it fills, and what stands in the
 * manual. `value` may give a constant for rows that leave it out (NULL: none). */
typedef struct {
    const char *column;
    const char *field;
    const char *value;
    const char *help;
} kap_actor_column_t;

typedef struct {
    const char *program; /* kapula-municipality */
    const char *summary; /* one line for --help */
    /* Actor types of proto/actor_types.def that this daemon serves, ended by NULL; NULL: any. */
    const char *const *types;
    const kap_actor_column_t *columns;     /* intake, ended by column NULL; may be NULL */
    uint32_t kinds;                        /* of rows, beyond those that every spool takes */
    const kap_conf_key_t *keys;            /* further configuration keys; may be NULL */
    const kap_node_extra_t *const *extras; /* ended by NULL; may be NULL */

    /* Each may be NULL. */

    /* After the node is open, before the extras. Errors end the start. */
    int (*opened)(kap_node_t *node, void **state);
    void (*closing)(void **state);

    /* The actor's own rules: sees each act before it is judged. To refuse it fills result->code,
     * field and sentence and returns KAP_E_DENIED; KAP_OK lets it go on. `refused` acts never
     * reach the outbox. */
    int (*rule)(void *state, kap_node_t *node, const kap_act_t *act, kap_act_result_t *result);

    /* An event of the member's stream was stored. Called in order of the stream, again after a
     * crash until it has returned KAP_OK once (so it must bear repetition); an error is tried
     * again after a while and holds back the later ones, never the node itself. */
    int (*received)(void *state, kap_node_t *node, const kap_received_t *received);
} kap_actor_t;

#endif
