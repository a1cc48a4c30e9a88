/* SPDX-License-Identifier: MPL-2.0 */
/* The least that a ZeroMQ and LMDB broker could do for this job, as a limit to compare with:
 * one thread drains the ROUTER into one LMDB transaction, counts each event in one of 1,000
 * rows that are put once a batch in three tables, commits durably, then acknowledges and
 * publishes. No decoding, no checks, no identity, no replay, no figures.
 *   floor_broker FOLDER INGEST FANOUT
 */
#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { BATCH = 1024, PEERS = 1024, EDGES = 1000, TABLES = 3 };

static MDB_env *env;
static MDB_dbi journal, table[TABLES];
static uint64_t rows[EDGES][8], next_event;
static bool dirty[EDGES];

static struct {
    uint8_t id[5];
    uint64_t count;
    bool owed;
} peers[PEERS];
static int peer_count;

static void check(int code, const char *what)
{
    if (code == 0)
        return;
    fprintf(stderr, "floor_broker: %s: %s\n", what, mdb_strerror(code));
    exit(1);
}

static void open_store(const char *folder)
{
    static const char *const names[TABLES] = {"state", "edge", "metric"};
    MDB_txn *txn;
    check(mdb_env_create(&env), "create");
    mdb_env_set_mapsize(env, (size_t)16 << 30);
    mdb_env_set_maxdbs(env, TABLES + 1);
    check(mdb_env_open(env, folder, 0, 0600), folder);
    check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, "log", MDB_CREATE | MDB_INTEGERKEY, &journal), "log");
    for (int i = 0; i < TABLES; i++)
        check(mdb_dbi_open(txn, names[i], MDB_CREATE, &table[i]), names[i]);
    check(mdb_txn_commit(txn), "commit");
}

static void store_batch(zmq_msg_t *batch, int n)
{
    MDB_txn *txn;
    check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    for (int i = 0; i < n; i++, next_event++) {
        MDB_val key = {sizeof next_event, &next_event};
        MDB_val value = {zmq_msg_size(&batch[i]), zmq_msg_data(&batch[i])};
        check(mdb_put(txn, journal, &key, &value, MDB_APPEND), "append");
        unsigned edge = (unsigned)(next_event * 2654435761u >> 7) % EDGES;
        rows[edge][0]++;
        rows[edge][1] = next_event;
        dirty[edge] = true;
    }
    for (unsigned edge = 0; edge < EDGES; edge++) {
        if (!dirty[edge])
            continue;
        dirty[edge] = false;
        MDB_val key = {sizeof edge, &edge}, value = {sizeof rows[edge], rows[edge]};
        for (int i = 0; i < TABLES; i++)
            check(mdb_put(txn, table[i], &key, &value, 0), "put");
    }
    check(mdb_txn_commit(txn), "commit");
}

static int peer_of(const uint8_t id[5])
{
    int i = 0;
    while (i < peer_count && memcmp(peers[i].id, id, 5) != 0)
        i++;
    if (i == PEERS)
        exit(1);
    if (i == peer_count)
        memcpy(peers[peer_count++].id, id, 5);
    return i;
}

static void *open_socket(void *context, int type, const char *endpoint)
{
    int zero = 0, one = 1;
    void *s = zmq_socket(context, type);
    zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
    if (type == ZMQ_XPUB)
        zmq_setsockopt(s, ZMQ_XPUB_VERBOSE, &one, sizeof one);
    if (zmq_bind(s, endpoint)) {
        fprintf(stderr, "floor_broker: %s: %s\n", endpoint, zmq_strerror(zmq_errno()));
        exit(1);
    }
    return s;
}

static int gather(void *in, zmq_msg_t *batch)
{
    uint8_t id[256];
    int n = 0;
    while (n < BATCH && zmq_recv(in, id, sizeof id, ZMQ_DONTWAIT) == 5) {
        zmq_msg_init(&batch[n]);
        zmq_msg_recv(&batch[n], in, 0);
        int who = peer_of(id);
        peers[who].count++;
        peers[who].owed = true;
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    static zmq_msg_t batch[BATCH];
    if (argc != 4) {
        fprintf(stderr, "usage: floor_broker FOLDER INGEST FANOUT\n");
        return 2;
    }
    void *context = zmq_ctx_new();
    void *in = open_socket(context, ZMQ_ROUTER, argv[2]);
    void *out = open_socket(context, ZMQ_XPUB, argv[3]);
    open_store(argv[1]);
    for (;;) {
        zmq_pollitem_t items[] = {{in, 0, ZMQ_POLLIN, 0}, {out, 0, ZMQ_POLLIN, 0}};
        char joined[16];
        zmq_poll(items, 2, -1);
        while (zmq_recv(out, joined, sizeof joined, ZMQ_DONTWAIT) > 0)
            zmq_send(out, "", 0, 0);
        int n = gather(in, batch);
        if (n == 0)
            continue;
        store_batch(batch, n);
        for (int i = 0; i < peer_count; i++) {
            if (!peers[i].owed)
                continue;
            peers[i].owed = false;
            zmq_send(in, peers[i].id, 5, ZMQ_SNDMORE);
            zmq_send(in, &peers[i].count, sizeof peers[i].count, 0);
        }
        for (int i = 0; i < n; i++)
            zmq_msg_send(&batch[i], out, 0);
    }
}
