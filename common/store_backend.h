/* SPDX-License-Identifier: MPL-2.0 */
/*
 * store_backend: what lies under store.c: LMDB (store_lmdb.c) or memory
 * (store_mem.c). Private to the store. A backend keeps ordered raw bytes and knows
 * neither checksums nor sticky errors; it answers in KAP_E codes.
 */
#ifndef KAP_STORE_BACKEND_H
#define KAP_STORE_BACKEND_H

#include "store.h"

typedef enum {
    KAP_MOVE_GE,
    KAP_MOVE_FIRST,
    KAP_MOVE_LAST,
    KAP_MOVE_NEXT,
    KAP_MOVE_PREV
} kap_move_t;

typedef struct {
    /* tables: names ended by NULL; made when absent and the store may be written. */
    int (*open)(const kap_store_opts_t *opts, const char *const *tables, void **env);
    void (*close)(void *env);
    int (*grow)(void *env);
    int (*usage)(void *env, uint64_t *used_bytes, uint64_t *map_bytes);
    int (*disk)(void *env, uint64_t *free_bytes);
    int (*check_readers)(void *env, int *dead);
    int (*copy)(void *env, const char *directory); /* synced; directory exists, empty */
    int (*begin)(void *env, bool write, void **txn);
    int (*commit)(void *txn); /* frees it in every case */
    void (*abort)(void *txn);
    void (*reset)(void *txn);
    int (*renew)(void *txn);
    int (*get)(void *txn, unsigned table, kap_span_t key, kap_span_t *raw);
    /* Room of `size` bytes to be filled before the next call. */
    int (*put)(void *txn, unsigned table, kap_span_t key, size_t size, bool append, uint8_t **room);
    int (*del)(void *txn, unsigned table, kap_span_t key);
    int (*cursor_open)(void *txn, unsigned table, void **cursor);
    void (*cursor_close)(void *cursor);
    int (*cursor_move)(void *cursor, kap_move_t move, kap_span_t key, kap_span_t *found,
                       kap_span_t *raw);
} kap_backend_t;

extern const kap_backend_t kap_store_lmdb;
extern const kap_backend_t kap_store_mem;

#endif
