/* SPDX-License-Identifier: MPL-2.0 */
/* The runtime of every actor's daemon: one store, one connection to the broker, two local doors.
 *
 * Purpose: wiring. Owner: node_main, or a test. Loop thread only. What it decides stands in its
 * parts: act.h (local acts), outbox.h, uplink.h, inbox.h, mirror.h, local.h, localpub.h.
 * It never talks to another node, never opens a TCP port, and holds nothing that outlives a crash
 * anywhere but in node.lmdb. */
#ifndef KAP_NODE_H
#define KAP_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "actor.h"
#include "buf.h"
#include "client.h"
#include "clock.h"
#include "conf.h"
#include "directory.h"
#include "loop.h"
#include "store.h"

/* Opens store, keys, directory, doors and the connection, in that order. The loop and the
 * configuration are lent until close. Every failure is logged with what would be right.
 * KAP_E_CONFIG, KAP_E_CORRUPT, KAP_E_IO, KAP_E_DISK. */
int kap_node_open(kap_loop_t *loop, const kap_conf_t *conf, const kap_actor_t *actor,
                  kap_node_t **node);

/* Starts the actor and its extras. Separate from open so that a test can look at an open node.
 * KAP_E_CONFIG, logged: this member is of no type that the actor serves. */
int kap_node_start(kap_node_t *node);

/* Takes no new acts from now on and calls `on_drained` once what waited was receipted or
 * `wait_ms` is over; nothing is lost either way. */
void kap_node_drain(kap_node_t *node, int64_t wait_ms, void (*on_drained)(void *arg), void *arg);

/* Stops extras and actor, closes the doors and the store. */
void kap_node_close(kap_node_t **node);

/* Lent, valid until close unless said otherwise. */
kap_loop_t *kap_node_loop(const kap_node_t *node);
const kap_conf_t *kap_node_conf(const kap_node_t *node);
int64_t kap_node_now_ms(const kap_node_t *node);
/* The connection to the broker, for an extra that asks more of it than the node does. */
kap_client_t *kap_node_client(const kap_node_t *node);
const kap_actor_t *kap_node_actor(const kap_node_t *node);
const char *kap_node_member(const kap_node_t *node); /* own member id */
/* Own member as the directory has it now; NULL when it is not there. */
const kap_member_t *kap_node_self(const kap_node_t *node);
/* The directory in force; take a reference to keep it over a return to the loop. */
const kap_directory_t *kap_node_directory(const kap_node_t *node);

/* Health as a JSON object: connection, outbox (waiting, oldest), delivery (cursor), disk,
 * directory (members, when read), extras. `ok` false with `why` when something needs a person. */
int kap_node_health(kap_node_t *node, kap_buf_t *json);

/* Tables of configuration keys for kap_conf_load: the node's, the actor's, its extras', ended by
 * NULL. */
#define KAP_NODE_CONF_TABLES 12
void kap_node_conf_tables(const kap_actor_t *actor,
                          const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES]);

/* main() of a daemon: -c/--config FILE, --check, --print-config, --version, --help. SIGTERM and
 * SIGINT drain; SIGHUP reads the directory again. Exit code: 0 ended as asked, 1 failed while
 * running, 2 usage or configuration. */
int kap_node_main(int argc, char **argv, const kap_actor_t *actor);

#endif
