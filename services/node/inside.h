/* SPDX-License-Identifier: MPL-2.0 */
/* What the node's own files share: its parts, and the write transaction in which they meet.
 *
 * Owner: node.c. Loop thread only. Not for extras and actors (they use node.h). */
#ifndef KAP_NODE_INSIDE_H
#define KAP_NODE_INSIDE_H

#include "arena.h"
#include "client.h"
#include "crypto.h"
#include "node.h"
#include "outbox.h"
#include "rows.h"

#define KAP_NODE_SEAL_KEYS 8
#define KAP_NODE_LISTENERS 8
#define KAP_NODE_EXTRAS    8

typedef struct kap_uplink kap_uplink_t;
typedef struct kap_inbox kap_inbox_t;
typedef struct kap_hooks kap_hooks_t;
typedef struct kap_local kap_local_t;
typedef struct kap_localpub kap_localpub_t;

struct kap_node {
    kap_loop_t *loop;
    const kap_conf_t *conf;
    const kap_actor_t *actor;
    void *actor_state;
    void *extra_states[KAP_NODE_EXTRAS];
    size_t extras_started;
    bool actor_started;

    const kap_clock_t *clock;
    kap_clock_t *clock_file; /* of a rehearsal; else NULL */
    kap_store_t *store;
    kap_arena_t *arena; /* of the transaction in hand */

    char member[201];
    uint8_t mesh[32];
    kap_directory_t *directory;
    int64_t directory_at_ms; /* when it was read */
    bool directory_bad;      /* the file as it stands now was refused; the old one is in force */
    kap_watch_t *directory_watch;

    kap_curve_t *curve;
    kap_seal_keys_t *sealing[KAP_NODE_SEAL_KEYS]; /* the current one first */
    uint32_t sealing_count;
    kap_sign_keys_t *signing;
    uint8_t pseudonym[32];

    kap_client_t *client;
    kap_uplink_t *uplink;
    kap_inbox_t *inbox;
    kap_hooks_t *hooks;
    kap_local_t *local;
    kap_localpub_t *localpub;

    struct {
        kap_act_fate_fn *on_fate;
        void *arg;
    } listeners[KAP_NODE_LISTENERS];
    size_t listener_count;

    /* The newest line is known to have been continued by nobody else: the broker said so, or it
     * began in this run. Until then new events begin a line of their own (outbox.h). */
    bool line_sure;
    bool draining;
    bool failed; /* the store refused a commit: nothing more is accepted, the process ends */
    kap_timer_t *trim_timer;
    kap_timer_t *drain_timer;
    int64_t drain_until;
    void (*on_drained)(void *arg);
    void *drained_arg;
};

/* One write transaction and what its parts carry along. */
typedef struct {
    kap_node_t *node;
    kap_txn_t *txn;
    kap_arena_t *arena; /* reset when it ends */
    int64_t now_ms;
    kap_line_t line; /* newest line as it will be committed; line 0: not looked up yet */
    bool line_new;   /* it begins in this transaction */
    bool queued;     /* events joined the outbox */
    bool delivered;  /* rows joined the inbox */
    uint64_t *fates; /* acts whose fate changed */
    size_t fate_count, fate_cap;
} kap_work_t;

/* Runs `work` in a write transaction and commits it; a full map grows and it is done anew, so it
 * must bear repetition. When it returns an error nothing is stored. A commit that fails for
 * another reason than a full disk means that the store can no longer be believed: the node is
 * marked as failed and its loop ends. Listeners, uplink and hooks hear of it after the commit.
 * KAP_E_DISK, KAP_E_CLOSED (failed earlier), what `work` returned, or the commit's error. */
int kap_work_run(kap_node_t *node, int (*work)(kap_work_t *work, void *arg), void *arg);

/* The same for reading: `read` gets a snapshot. */
int kap_work_read(kap_node_t *node, int (*read)(kap_node_t *node, kap_txn_t *txn, void *arg),
                  void *arg);

/* Remembers that the fate of an act changed. */
int kap_work_fate_changed(kap_work_t *work, uint64_t act);

/* The line that the next event joins, with its next sequence; a first use may begin a new one. */
int kap_work_line(kap_work_t *work, kap_line_t **line);

/* What waits in the outbox (kap_outbox_waiting), read by itself. */
int kap_node_waiting(kap_node_t *node, uint64_t *count, int64_t *oldest_ms);

/* Room on the disk for new local events: KAP_OK or KAP_E_DISK. */
int kap_node_has_room(kap_node_t *node);

/* keys.c: reads key files and secret as configured; messages are logged. */
int kap_node_keys_open(kap_node_t *node);
void kap_node_keys_close(kap_node_t *node);

/* directory_file.c: reads the directory file: parse all, check, then swap. Keeps the old one on
 * any failure. `first`: there is none yet. */
int kap_node_directory_read(kap_node_t *node, bool first);

/* How to connect to the broker; `server_public` must live as long as *opts. KAP_E_CONFIG. */
int kap_node_broker_opts(kap_node_t *node, uint8_t server_public[32], kap_client_opts_t *opts);

/* backup.c: hot, compacting copy of the configured store, beside the daemon that may be running,
 * into a folder that must not be there; every checksum of the copy is read before it gets its name.
 * Says on stdout what there is, on stderr why there is none. */
int kap_node_backup(const kap_conf_t *conf, const char *directory);

/* Calls the end of a drain when it is time. */
void kap_node_drain_look(kap_node_t *node);

#endif
