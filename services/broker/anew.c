/* SPDX-License-Identifier: MPL-2.0 */
#include "anew.h"

#include <stdlib.h>

#include "directory.h"
#include "err.h"

int kap_anew_begin(kap_anew_t *a, kap_engine_t *engine, kap_txn_t *txn, const kap_head_t *head)
{
    kap_head_t first = *head;
    int rc = kap_rows_first_epoch(txn, head, first.epoch);

    a->engine = engine;
    return rc == KAP_OK ? kap_engine_adopt(engine, &first) : rc;
}

void kap_anew_fini(kap_anew_t *a)
{
    free(a->events);
    a->events = NULL;
}

static int keep(kap_anew_t *a, kap_txn_t *txn, const kap_logged_t *logged)
{
    if (a->count == a->cap) {
        uint32_t cap = a->cap == 0 ? 1024 : a->cap * 2;
        kap_replayed_t *grown = realloc(a->events, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        a->events = grown;
        a->cap = cap;
    }
    a->events[a->count].logged = *logged;
    int rc = kap_rows_text(txn, logged->source, &a->events[a->count].source);
    a->count++;
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

/* Reads the batch that begins after what was done, as far as `to`. */
static int read_batch(kap_anew_t *a, kap_txn_t *txn, kap_log_walk_t *walk, uint64_t to)
{
    kap_logged_t logged;
    int rc = KAP_OK;

    a->count = 0;
    for (uint64_t at = a->done + 1; rc == KAP_OK && at <= to; at++) {
        rc = kap_log_walk_get(walk, at, KAP_LOGGED_ENDS | KAP_LOGGED_SEALED, &logged);
        if (rc == KAP_E_NOTFOUND || (rc == KAP_OK && logged.begins_batch && a->count > 0))
            return a->count > 0 ? KAP_OK : KAP_E_CORRUPT;
        if (rc == KAP_OK)
            rc = keep(a, txn, &logged);
    }
    return rc;
}

/* The directory that was in force for a position. */
static int use_directory(kap_anew_t *a, kap_txn_t *txn, uint64_t position)
{
    kap_directory_t *dir;
    kap_buf_t messages = {0};
    kap_span_t json;
    uint64_t from;
    int rc = kap_rows_directory(txn, position, &from, &json);

    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    if (from == a->directory_from)
        return KAP_OK;
    rc = kap_directory_parse(json, &dir, &messages);
    kap_buf_fini(&messages);
    if (rc != KAP_OK)
        return rc == KAP_E_CONFIG ? KAP_E_CORRUPT : rc;
    rc = kap_engine_set_directory(a->engine, dir, json);
    kap_directory_unref(&dir);
    a->directory_from = from;
    return rc;
}

static int enter_batch(kap_anew_t *a, kap_txn_t *txn, kap_log_walk_t *walk, uint64_t to)
{
    int rc = read_batch(a, txn, walk, to);

    if (rc != KAP_OK)
        return rc;
    uint32_t count = a->count;
    a->count = 0;
    rc = use_directory(a, txn, a->done + 1);
    if (rc == KAP_OK)
        rc = kap_engine_replay(a->engine, a->events, count, &a->differs);
    if (rc == KAP_OK)
        a->done += count;
    return rc;
}

int kap_anew_to(kap_anew_t *a, kap_txn_t *txn, uint64_t to, uint64_t limit)
{
    kap_log_walk_t walk;
    uint64_t begun = a->done;
    int rc = kap_log_walk_open(txn, &walk);

    while (rc == KAP_OK && a->done < to && a->done - begun < limit)
        rc = enter_batch(a, txn, &walk, to);
    kap_log_walk_close(&walk);
    return rc != KAP_OK ? rc : a->done < to ? KAP_E_AGAIN : KAP_OK;
}
