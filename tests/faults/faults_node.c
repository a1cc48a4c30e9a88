/* SPDX-License-Identifier: MPL-2.0 */
/*
 * faults_node: looks at a node's store that nobody has open.
 *   explore RECORD SEED COUNT    crash states: promises are `act key subject`
 *   rot RECORD SEED COUNT        bit flips of the store at the end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fate.h"
#include "outbox.h"
#include "rows.h"
#include "states.h"

static int open_store(const char *folder, kap_buf_t *why, kap_store_t **store)
{
    kap_store_opts_t opts = {.path = folder,
                             .name = "node",
                             .version = KAP_NODE_STORE_VERSION,
                             .tables = kap_node_tables,
                             .map_size = 256u << 20,
                             .why = why};
    return kap_store_open(&opts, store);
}

/* The act that a door promised: its row, its key, and its subject. */
static int check_promise(kap_txn_t *txn, const char *promise)
{
    unsigned long long act;
    char key[200], subject[201];
    kap_act_fate_t fate;
    uint64_t found = 0;
    KAP_CHECK(sscanf(promise, "%llu %199s %200s", &act, key, subject) == 3);
    int rc = kap_fate_by_key(txn, kap_span_str(key), &found);
    if (rc == KAP_OK)
        rc = kap_fate_get(txn, act, &fate, NULL);
    if (rc != KAP_OK)
        return rc;
    return found == act && strcmp(fate.subject, subject) == 0 ? KAP_OK : KAP_E_CONFLICT;
}

/* Every number of every line has its frames; what counts as receipted has its receipt. */
static int check_lines(kap_txn_t *txn, kap_buf_t *why)
{
    kap_line_t line = {0};
    int rc;
    while ((rc = kap_line_after(txn, line.line, &line)) == KAP_OK)
        for (uint64_t seq = line.kept; seq < line.next; seq++) {
            kap_outbox_row_t row;
            kap_outbox_receipt_t receipt;
            rc = kap_outbox_get(txn, line.line, seq, &row);
            if (rc == KAP_OK && seq <= line.receipted)
                rc = kap_outbox_receipt_get(txn, line.line, seq, &receipt);
            if (rc != KAP_OK) {
                kap_buf_printf(why, "line %u sequence %llu: %s; ", line.line,
                               (unsigned long long)seq, kap_err_name(rc));
                return rc;
            }
        }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static void judge(void *arg, const char *folder, size_t promises, uint64_t number, kap_buf_t *why)
{
    kap_store_t *store = NULL;
    kap_txn_t *txn = NULL;
    uint64_t records;
    int rc = open_store(folder, why, &store);
    (void)number;
    if (rc == KAP_OK)
        rc = kap_store_verify(store, &records);
    if (rc != KAP_OK)
        kap_buf_printf(why, " opening: %s", kap_err_name(rc));
    if (rc == KAP_OK && (rc = kap_txn_begin(store, KAP_TXN_READ, &txn)) == KAP_OK) {
        check_lines(txn, why);
        for (size_t i = 0; why->size == 0 && i < promises; i++) {
            const char *promise = states_promise(arg, i);
            if ((rc = check_promise(txn, promise)) != KAP_OK)
                kap_buf_printf(why, "accepted %s: %s", promise, kap_err_name(rc));
        }
        kap_txn_abort(&txn);
    }
    kap_store_close(&store);
}

/* A damaged store: each promise is kept, or its reader is told that something is broken. */
static int read_damaged(void *arg, const char *folder)
{
    kap_store_t *store = NULL;
    kap_txn_t *txn = NULL;
    kap_buf_t why;
    int rc = open_store(folder, NULL, &store), code = STATES_NOTICED;
    kap_buf_init(&why);
    if (rc == KAP_OK)
        rc = kap_txn_begin(store, KAP_TXN_READ, &txn);
    if (rc == KAP_OK)
        rc = check_lines(txn, &why);
    for (size_t i = 0; rc == KAP_OK && i < states_promises(arg); i++)
        rc = check_promise(txn, states_promise(arg, i));
    if (rc == KAP_OK)
        code = STATES_UNHARMED;
    else if (rc == KAP_E_CONFLICT)
        code = STATES_WRONG;
    else if (rc == KAP_E_NOTFOUND && why.size == 0)
        code = STATES_ABSENT;
    kap_txn_abort(&txn);
    kap_store_close(&store);
    kap_buf_fini(&why);
    return code;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: faults_node explore|rot RECORD SEED COUNT\n");
        return 2;
    }
    states_t *states = states_open(argv[2]);
    uint64_t seed = strtoull(argv[3], NULL, 10), count = strtoull(argv[4], NULL, 10);
    uint64_t wrong = 0, absent = 0;
    if (strcmp(argv[1], "explore") == 0)
        wrong = states_explore(states, seed, count, judge, states);
    else
        states_rot(states, seed, count, read_damaged, states, &wrong, &absent);
    states_close(&states);
    return wrong || absent ? 1 : 0;
}
