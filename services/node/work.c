/* SPDX-License-Identifier: MPL-2.0 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hooks.h"
#include "log.h"
#include "uplink.h"

/* Twenty doublings of 64 GiB are beyond any disk: a bound, not a target. */
#define GROWS_MAX 20

int kap_node_has_room(kap_node_t *node)
{
    uint64_t free_bytes = 0;
    int rc = kap_store_disk(node->store, &free_bytes);
    if (rc != KAP_OK)
        return rc;
    return free_bytes < (uint64_t)kap_conf_int(node->conf, "store.reserve") ? KAP_E_DISK : KAP_OK;
}

typedef struct {
    uint64_t *count;
    int64_t *oldest_ms;
} waiting_t;

static int waiting_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    waiting_t *waiting = arg;
    (void)node;
    return kap_outbox_waiting(txn, waiting->count, waiting->oldest_ms);
}

int kap_node_waiting(kap_node_t *node, uint64_t *count, int64_t *oldest_ms)
{
    waiting_t waiting = {.count = count, .oldest_ms = oldest_ms};
    return kap_work_read(node, waiting_read, &waiting);
}

int kap_work_fate_changed(kap_work_t *work, uint64_t act)
{
    if (work->fate_count == work->fate_cap) {
        size_t cap = work->fate_cap ? 2 * work->fate_cap : 64;
        uint64_t *grown = realloc(work->fates, cap * sizeof *grown);
        if (!grown)
            return KAP_E_NOMEM;
        work->fates = grown;
        work->fate_cap = cap;
    }
    work->fates[work->fate_count++] = act;
    return KAP_OK;
}

int kap_work_line(kap_work_t *work, kap_line_t **line)
{
    if (work->line.line == 0) {
        kap_line_t last;
        int rc = kap_line_last(work->txn, &last);
        bool fresh = rc == KAP_E_NOTFOUND;
        if (rc != KAP_OK && !fresh)
            return rc;
        if (fresh || !work->node->line_sure) {
            rc = kap_line_new(work->txn, &last);
            if (rc != KAP_OK)
                return rc;
            work->line_new = true;
        }
        work->line = last;
    }
    *line = &work->line;
    return KAP_OK;
}

static void failed(kap_node_t *node, int rc)
{
    KAP_LOG(KAP_LOG_ERROR, "store_failed", KAP_S("error", kap_err_name(rc)),
            KAP_S("what", "a commit failed: nothing more is accepted until the next start"));
    node->failed = true;
    kap_loop_stop(node->loop);
}

/* One attempt; KAP_E_MAPFULL asks for another. */
static int attempt(kap_work_t *work, int (*body)(kap_work_t *work, void *arg), void *arg)
{
    kap_node_t *node = work->node;
    int rc = kap_txn_begin(node->store, KAP_TXN_WRITE, &work->txn);
    if (rc != KAP_OK)
        return rc;
    rc = body(work, arg);
    if (rc == KAP_OK && work->line.line)
        rc = kap_line_put(work->txn, &work->line);
    if (rc != KAP_OK) {
        kap_txn_abort(&work->txn);
        return rc;
    }
    rc = kap_txn_commit(&work->txn);
    if (rc != KAP_OK && rc != KAP_E_MAPFULL)
        failed(node, rc);
    return rc;
}

static void committed(kap_work_t *work)
{
    kap_node_t *node = work->node;
    if (work->line_new)
        node->line_sure = true;
    for (size_t i = 0; work->fate_count && i < node->listener_count; i++)
        node->listeners[i].on_fate(node->listeners[i].arg, work->fates, work->fate_count);
    if (work->queued && node->uplink)
        kap_uplink_wake(node->uplink);
    if (work->delivered && node->hooks)
        kap_hooks_wake(node->hooks);
    if (node->on_drained)
        kap_node_drain_look(node);
}

int kap_work_run(kap_node_t *node, int (*body)(kap_work_t *work, void *arg), void *arg)
{
    if (node->failed)
        return KAP_E_CLOSED;
    int rc = KAP_E_MAPFULL;
    kap_work_t work = {0};
    for (int i = 0; rc == KAP_E_MAPFULL && i < GROWS_MAX; i++) {
        uint64_t *fates = work.fates;
        size_t cap = work.fate_cap;
        work = (kap_work_t){.node = node, .arena = node->arena, .fates = fates, .fate_cap = cap};
        work.now_ms = kap_clock_now_ms(node->clock);
        kap_arena_reset(node->arena);
        rc = attempt(&work, body, arg);
        if (rc == KAP_E_MAPFULL) {
            int grown = kap_store_grow(node->store);
            if (grown != KAP_OK)
                rc = grown;
        }
    }
    if (rc == KAP_OK)
        committed(&work);
    free(work.fates);
    return rc;
}

int kap_work_read(kap_node_t *node, int (*body)(kap_node_t *node, kap_txn_t *txn, void *arg),
                  void *arg)
{
    kap_txn_t *txn = NULL;
    int rc = kap_txn_begin(node->store, KAP_TXN_READ, &txn);
    if (rc != KAP_OK)
        return rc;
    rc = body(node, txn, arg);
    kap_txn_abort(&txn);
    return rc;
}
