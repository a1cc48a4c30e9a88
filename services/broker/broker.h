/* SPDX-License-Identifier: MPL-2.0 */
/*
 * broker: the daemon put together: ZAP, directory, ledger, ring, reader, fetches, door, in this
 * order, and taken apart in reverse. Owner and only caller: main, on the loop's thread. It decides
 * nothing itself; what is decided stands in access, the ledger's judge and the tables.
 *
 * On SIGTERM or SIGINT it drains: the door takes no new PUBLISH (busy), what was taken is judged,
 * committed and answered, then the loop is stopped. A second signal ends it at once, which loses
 * nothing that was acknowledged.
 */
#ifndef KAP_BROKER_H
#define KAP_BROKER_H

#include "conf.h"
#include "loop.h"

typedef struct kap_broker kap_broker_t;

/* The table of its configuration keys, for kap_conf_load. */
extern const kap_conf_key_t kap_broker_keys[];

/* Opens everything and listens; complaints are logged where they are found. kap_sock_system_start
 * came before. KAP_E_CONFIG: configuration, keys or directory are not usable; or what the ledger or
 * the sockets said. */
int kap_broker_open(kap_loop_t *loop, const kap_conf_t *conf, kap_broker_t **out);

/* Checks what open would read (keys, directory, clock) and opens nothing. KAP_OK, KAP_E_CONFIG. */
int kap_broker_check(const kap_conf_t *conf);

/* Takes and nulls. KAP_OK, or why the loop was stopped: a commit that failed (the process must end,
 * its supervisor starts it anew). */
int kap_broker_close(kap_broker_t **broker);

#endif
