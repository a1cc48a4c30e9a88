/* SPDX-License-Identifier: MPL-2.0 */
/* The node's table of configuration keys (node.h). */
#include "node.h"

#include "err.h"
#include "log.h"

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const kap_conf_key_t node_keys[] = {
    {"member", KAP_CONF_STRING, NULL, 1, 200, NULL,
     "Id of this member in the directory; the node speaks for it alone.", NULL, true},
    {"region", KAP_CONF_STRING, NULL, 1, 200, NULL,
     "Region of acts that name none; needed only by a member of several regions.", NULL, false},
    {"broker.endpoint", KAP_CONF_STRING, NULL, 1, 255, NULL, "The broker's door, tcp://host:port.",
     NULL, true},
    {"broker.public_key", KAP_CONF_STRING, NULL, 40, 40, NULL,
     "The broker's CURVE public key, Z85.", NULL, true},
    {"keys.curve", KAP_CONF_PATH, NULL, 1, 4096, NULL, "Key file of the connection.", NULL, true},
    {"keys.sealing", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Key file that opens what is sealed to this member.", NULL, true},
    {"keys.sealing_retired", KAP_CONF_LIST, NULL, 0, 7, "files",
     "Key files of earlier sealing keys, kept while referrals sealed to them are open.", NULL,
     false},
    {"keys.signing", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Key file that signs what this member seals.", NULL, true},
    {"keys.pseudonym", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "File with the members' common secret, 64 hex digits, that makes customers' pseudonyms.", NULL,
     true},
    {"directory", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "The directory file of the mesh; read again when it changes.", NULL, true},
    {"store.path", KAP_CONF_PATH, NULL, 1, 4096, NULL, "Folder of node.lmdb.", NULL, true},
    {"store.reserve", KAP_CONF_BYTES, "64MiB", 1 << 20, INT64_C(1) << 40, NULL,
     "Below this much free disk new acts are refused.", NULL, false},
    {"store.keep", KAP_CONF_DURATION_MS, "90d", 60000, INT64_C(315360000000), NULL,
     "How long receipted frames are kept, to heal a broker restored from a backup.", NULL, false},
    {"local.directory", KAP_CONF_PATH, NULL, 1, 90, NULL,
     "Folder (0750) of the local sockets: door and stream.", NULL, true},
    {"local.contents", KAP_CONF_BOOL, "true", 0, 0, NULL,
     "The local stream carries unsealed contents.", NULL, false},
    {"outbox.max_events", KAP_CONF_INT, "1000000", 100, 100000000, "events",
     "Events that may wait for a receipt; then new acts are refused.", NULL, false},
    {"uplink.window", KAP_CONF_INT, "4", 1, 16, "requests", "PUBLISH requests outstanding at once.",
     NULL, false},
    {"uplink.batch", KAP_CONF_INT, "1000", 16, 4096, "events", "Events in one PUBLISH.", NULL,
     false},
    {"uplink.timeout", KAP_CONF_DURATION_MS, "10s", 100, 600000, NULL,
     "How long a request to the broker waits for its answer before it is asked again.", NULL,
     false},
    {"uplink.pause", KAP_CONF_DURATION_MS, "200ms", 10, 60000, NULL,
     "First pause after a `later` answer; it doubles up to 100 times as much.", NULL, false},
    {"delivery.wait", KAP_CONF_DURATION_MS, "25s", 100, 30000, NULL,
     "How long a FETCH waits at the broker for news.", NULL, false},
    {"clock", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Clock of a rehearsal; refused in an ordinary mesh.", NULL, false},
    {"log", KAP_CONF_ENUM, "info", 0, 0, NULL, "Least severe lines that are written.", levels,
     false},
    {NULL}};

void kap_node_conf_tables(const kap_actor_t *actor,
                          const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES])
{
    size_t n = 0;
    tables[n++] = node_keys;
    if (actor->keys)
        tables[n++] = actor->keys;
    for (size_t i = 0; actor->extras && actor->extras[i]; i++)
        if (actor->extras[i]->keys) {
            KAP_CHECK(n + 1 < KAP_NODE_CONF_TABLES);
            tables[n++] = actor->extras[i]->keys;
        }
    tables[n] = NULL;
}
