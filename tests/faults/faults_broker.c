/* SPDX-License-Identifier: MPL-2.0 */
/*
 * faults_broker: looks at a broker's store that nobody has open.
 *   log FOLDER                   head and log as JSON lines, leaves as the rows hold them
 *   explore RECORD SEED COUNT    crash states: promises are `source sequence log_seq leaf`
 *   rot RECORD SEED COUNT        bit flips of the store at the end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "crypto.h"
#include "engine.h"
#include "err.h"
#include "hash.h"
#include "ids.h"
#include "rows.h"
#include "scrub.h"
#include "sound.h"
#include "states.h"

enum { HASH = KAP_LIMIT_HASH_BYTES, AUDIT_EACH = 50 };

static int open_store(const char *folder, kap_buf_t *why, kap_store_t **store)
{
    kap_store_opts_t opts = {.path = folder,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .map_size = 256u << 20,
                             .why = why};
    return kap_store_open(&opts, store);
}

/* --- log --- */

static int print_log(kap_txn_t *txn)
{
    kap_head_t head;
    kap_log_walk_t walk;
    kap_logged_t e;
    kap_span_t source;
    char mesh[65], epoch[33], begun[33], chain[65], leaf[65];
    uint8_t first[16];
    int rc = kap_rows_head(txn, &head);
    if (rc == KAP_OK)
        rc = kap_rows_first_epoch(txn, &head, first);
    if (rc != KAP_OK)
        return rc;
    kap_hex_encode(head.mesh, 32, mesh);
    kap_hex_encode(head.epoch, 16, epoch);
    kap_hex_encode(first, 16, begun);
    kap_hex_encode(head.chain, 32, chain);
    printf(
        "{\"seq\":%llu,\"mesh\":\"%s\",\"epoch\":\"%s\",\"first_epoch\":\"%s\",\"chain\":\"%s\"}\n",
        (unsigned long long)head.seq, mesh, epoch, begun, chain);
    rc = kap_log_walk_open(txn, &walk);
    for (uint64_t seq = 1; rc == KAP_OK && seq <= head.seq; seq++) {
        rc = kap_log_walk_get(&walk, seq, KAP_LOGGED_ENDS | KAP_LOGGED_SEALED, &e);
        if (rc == KAP_OK)
            rc = kap_rows_text(txn, e.source, &source);
        if (rc != KAP_OK)
            break;
        kap_hex_encode(e.leaf, HASH, leaf);
        printf("{\"seq\":%llu,\"source\":\"%.*s\",\"sequence\":%llu,\"verdict\":%u,"
               "\"refusal\":%u,\"leaf\":\"%s\"}\n",
               (unsigned long long)seq, (int)source.size, (const char *)source.data,
               (unsigned long long)e.sequence, e.verdict, e.why.number, leaf);
    }
    kap_log_walk_close(&walk);
    return rc;
}

static int show_log(const char *folder)
{
    kap_store_t *store = NULL;
    kap_txn_t *txn = NULL;
    kap_buf_t why;
    kap_buf_init(&why);
    int rc = open_store(folder, &why, &store);
    if (rc == KAP_OK)
        rc = kap_txn_begin(store, KAP_TXN_READ, &txn);
    if (rc == KAP_OK)
        rc = print_log(txn);
    kap_txn_abort(&txn);
    kap_store_close(&store);
    if (rc != KAP_OK)
        fprintf(stderr, "%s: %s %s\n", folder, kap_err_name(rc), kap_buf_cstr(&why));
    kap_buf_fini(&why);
    return rc == KAP_OK ? 0 : 1;
}

/* --- crash states --- */

/* The chain anew from the rows, compared with the head. */
static int check_chain(kap_txn_t *txn, kap_log_walk_t *walk, const kap_head_t *head, kap_buf_t *why)
{
    uint8_t chain[HASH];
    uint8_t first[16];
    kap_logged_t e;
    int begun = kap_rows_first_epoch(txn, head, first);
    if (begun != KAP_OK)
        return begun;
    kap_chain_start(head->mesh, first, chain);
    for (uint64_t seq = 1; seq <= head->seq; seq++) {
        int rc = kap_log_walk_get(walk, seq, KAP_LOGGED_ENDS | KAP_LOGGED_SEALED, &e);
        if (rc != KAP_OK) {
            kap_buf_printf(why, "position %llu: %s", (unsigned long long)seq, kap_err_name(rc));
            return rc;
        }
        kap_chain(chain, e.leaf, chain);
    }
    if (memcmp(chain, head->chain, HASH) != 0)
        kap_buf_str(why, "the chain ends elsewhere");
    return KAP_OK;
}

static void check_promise(kap_txn_t *txn, kap_log_walk_t *walk, const char *promise, kap_buf_t *why)
{
    char source[200], leaf[65] = "";
    unsigned long long sequence, log_seq;
    kap_logged_t e = {0};
    uint64_t at = 0;
    KAP_CHECK(sscanf(promise, "%199s %llu %llu %64s", source, &sequence, &log_seq, leaf) == 4);
    int rc = kap_rows_receipt(txn, kap_span_str(source), sequence, &at);
    if (rc == KAP_OK)
        rc = kap_log_walk_get(walk, log_seq, 0, &e);
    char shown[65] = "";
    kap_hex_encode(e.leaf, HASH, shown);
    if (rc != KAP_OK || at != log_seq || e.sequence != sequence || strcmp(leaf, shown) != 0)
        kap_buf_printf(why, "receipted %s/%llu at %llu: %s, found at %llu; ", source, sequence,
                       log_seq, kap_err_name(rc), (unsigned long long)at);
}

static void check_rows(states_t *states, kap_txn_t *txn, size_t promises, kap_buf_t *why)
{
    kap_head_t head;
    kap_log_walk_t walk;
    int rc = kap_rows_head(txn, &head);
    if (rc != KAP_OK) {
        if (promises || rc != KAP_E_NOTFOUND)
            kap_buf_printf(why, "head: %s", kap_err_name(rc));
        return;
    }
    rc = kap_log_walk_open(txn, &walk);
    if (rc == KAP_OK)
        rc = check_chain(txn, &walk, &head, why);
    for (size_t i = 0; rc == KAP_OK && why->size == 0 && i < promises; i++)
        check_promise(txn, &walk, states_promise(states, i), why);
    kap_log_walk_close(&walk);
}

/* As the broker would open it: figures catch up, then everything is recounted. */
static void check_recount(kap_store_t *store, const kap_head_t *head, kap_buf_t *why)
{
    kap_engine_t *engine = NULL;
    kap_audit_report_t report = {0};
    int rc = kap_engine_open(store, head->mesh, true, &engine);
    if (rc == KAP_OK)
        rc = kap_ledger_audit(store, &report, why);
    if (rc != KAP_OK || report.differences)
        kap_buf_printf(why, "recount: %s, %llu differences", kap_err_name(rc),
                       (unsigned long long)report.differences);
    kap_engine_close(&engine);
}

static void judge(void *arg, const char *folder, size_t promises, uint64_t number, kap_buf_t *why)
{
    kap_store_t *store = NULL;
    kap_txn_t *txn = NULL;
    kap_head_t head = {0};
    uint64_t records;
    int rc = open_store(folder, why, &store);
    if (rc == KAP_OK)
        rc = kap_store_verify(store, &records);
    if (rc != KAP_OK)
        kap_buf_printf(why, " opening: %s", kap_err_name(rc));
    if (rc == KAP_OK && (rc = kap_txn_begin(store, KAP_TXN_READ, &txn)) == KAP_OK) {
        check_rows(arg, txn, promises, why);
        kap_rows_head(txn, &head);
        kap_txn_abort(&txn);
    }
    if (rc == KAP_OK && why->size == 0 && head.seq && number % AUDIT_EACH == 0)
        check_recount(store, &head, why);
    kap_store_close(&store);
}

/* --- bit rot --- */

/* What the store says when it is whole, by position and by source. */
typedef struct {
    uint8_t hash[HASH]; /* of everything shown of a position */
} seen_t;

typedef struct {
    states_t *states;
    uint64_t head;
    seen_t *seen; /* by position - 1 */
} truth_t;

static int look(kap_log_walk_t *walk, uint64_t seq, seen_t *seen)
{
    kap_logged_t e;
    uint8_t numbers[24];
    int rc = kap_log_walk_get(walk, seq, KAP_LOGGED_ENDS | KAP_LOGGED_SEALED, &e);
    if (rc != KAP_OK)
        return rc;
    memcpy(numbers, &e.committed_at, 8);
    memcpy(numbers + 8, &e.sequence, 8);
    memcpy(numbers + 16, &e.source, 4);
    numbers[20] = e.verdict;
    memset(numbers + 21, 0, 3);
    kap_span_t parts[] = {kap_span(numbers, sizeof numbers), kap_span(e.leaf, HASH), e.open, e.ends,
                          e.sealed};
    kap_hash256(seen->hash, parts, 5);
    return KAP_OK;
}

/* Marks of every promised source: an event at or below it must never be taken for a new one. */
static int read_marks(const truth_t *truth, kap_txn_t *txn)
{
    for (size_t i = 0; i < states_promises(truth->states); i++) {
        char source[200];
        unsigned long long sequence, log_seq;
        uint64_t at;
        kap_mark_t mark;
        sscanf(states_promise(truth->states, i), "%199s %llu %llu", source, &sequence, &log_seq);
        int rc = kap_rows_mark(txn, kap_span_str(source), &mark);
        if (rc == KAP_OK && mark.last < sequence)
            return STATES_ABSENT;
        if (rc == KAP_OK)
            rc = kap_rows_receipt(txn, kap_span_str(source), sequence, &at);
        if (rc != KAP_OK) /* the mark says that it has to be there */
            return STATES_NOTICED;
        if (at != log_seq)
            return STATES_WRONG;
    }
    return STATES_UNHARMED;
}

static int read_log(const truth_t *truth, kap_txn_t *txn)
{
    kap_log_walk_t walk;
    kap_head_t head;
    seen_t seen;
    int rc = kap_rows_head(txn, &head), code = STATES_UNHARMED;
    if (rc == KAP_E_NOTFOUND || (rc == KAP_OK && head.seq < truth->head))
        return STATES_ABSENT;
    if (rc == KAP_OK)
        rc = kap_log_walk_open(txn, &walk);
    if (rc != KAP_OK)
        return STATES_NOTICED;
    for (uint64_t seq = 1; code == STATES_UNHARMED && seq <= truth->head; seq++) {
        rc = look(&walk, seq, &seen);
        if (rc != KAP_OK)
            code = STATES_NOTICED;
        else if (memcmp(seen.hash, truth->seen[seq - 1].hash, HASH) != 0)
            code = STATES_WRONG;
    }
    kap_log_walk_close(&walk);
    return code;
}

/* What a reader met, a scrub has to find. */
static int scrub_damaged(kap_store_t *store)
{
    kap_scrub_report_t report = {0};
    int rc = kap_scrub_all(store, NULL, NULL, &report);
    return rc == KAP_OK && report.damages == 0 ? STATES_WRONG : STATES_NOTICED;
}

static int read_damaged(void *arg, const char *folder)
{
    kap_store_t *store = NULL;
    kap_txn_t *txn = NULL;
    int code = STATES_NOTICED;
    if (open_store(folder, NULL, &store) == KAP_OK &&
        kap_txn_begin(store, KAP_TXN_READ, &txn) == KAP_OK) {
        code = kap_sound_check(txn, false) == KAP_OK ? read_log(arg, txn) : STATES_NOTICED;
        if (code == STATES_UNHARMED)
            code = read_marks(arg, txn);
        kap_txn_abort(&txn);
        if (code == STATES_NOTICED)
            code = scrub_damaged(store);
    }
    kap_store_close(&store);
    return code;
}

static void learn(truth_t *truth)
{
    kap_store_t *store = NULL;
    kap_txn_t *txn = NULL;
    kap_log_walk_t walk;
    kap_head_t head;
    KAP_CHECK(open_store(states_end(truth->states), NULL, &store) == KAP_OK);
    KAP_CHECK(kap_txn_begin(store, KAP_TXN_READ, &txn) == KAP_OK);
    KAP_CHECK(kap_rows_head(txn, &head) == KAP_OK);
    KAP_CHECK(kap_log_walk_open(txn, &walk) == KAP_OK);
    truth->head = head.seq;
    truth->seen = calloc(head.seq, sizeof *truth->seen);
    KAP_CHECK(truth->seen != NULL);
    for (uint64_t seq = 1; seq <= head.seq; seq++)
        KAP_CHECK(look(&walk, seq, &truth->seen[seq - 1]) == KAP_OK);
    kap_log_walk_close(&walk);
    kap_txn_abort(&txn);
    kap_store_close(&store);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "log") == 0)
        return show_log(argv[2]);
    if (argc != 5) {
        fprintf(stderr, "usage: faults_broker log FOLDER | explore|rot RECORD SEED COUNT\n");
        return 2;
    }
    states_t *states = states_open(argv[2]);
    uint64_t seed = strtoull(argv[3], NULL, 10), count = strtoull(argv[4], NULL, 10);
    uint64_t wrong = 0, absent = 0;
    if (strcmp(argv[1], "explore") == 0) {
        wrong = states_explore(states, seed, count, judge, states);
    } else {
        truth_t truth = {.states = states};
        learn(&truth);
        states_rot(states, seed, count, read_damaged, &truth, &wrong, &absent);
        free(truth.seen);
    }
    states_close(&states);
    return wrong || absent ? 1 : 0;
}
