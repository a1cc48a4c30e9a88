/* SPDX-License-Identifier: MPL-2.0 */
/*
 * store: ordered tables of bytes on one disk file (LMDB), or the same in memory
 * for tests and simulation. Every record carries a checksum that is looked at on
 * each read. Owner: whoever opened it. One thread writes (the thread that begins a
 * write transaction must end it); any number of threads read, each with a
 * transaction of its own. A second process that opens the same store is refused.
 * It never syncs late (but see `unsynced`): a commit that returned KAP_OK is on the disk. It does
 * not grow by itself, interpret values, or prove that an absent key was never there.
 */
#ifndef KAP_STORE_H
#define KAP_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "span.h"

enum {
    KAP_STORE_ID_BYTES = 16,
    KAP_STORE_KEY_BYTES_MAX = 511,
    KAP_STORE_TABLES_MAX = 60, /* tables of one store */
};

typedef struct kap_store kap_store_t;
typedef struct kap_txn kap_txn_t;
typedef struct kap_cursor kap_cursor_t;

typedef struct {
    const char *path;  /* a directory, made 0700 if absent; ignored by the twin */
    const char *name;  /* whose store: "broker", "node"; another name is refused */
    uint32_t version;  /* of the rows in it; another version is refused */
    const char *older; /* may be NULL: what to do about an older version, ends the sentence */
    const char *const *tables; /* ended by NULL; a table is known by its place here */
    size_t map_size;           /* address space to begin with, 0 = 64 GiB (sparse) */
    bool memory;               /* the twin: nothing is kept after close */
    bool read_only;            /* must exist; only reading, no lock taken: nobody may write it */
    bool beside;    /* must exist; only reading, beside the process that writes it: takes a
                     * reader's slot. Not twice in one process */
    bool unsynced;  /* commits are not durable: for a store that counts only once it was copied by
                     * kap_store_backup */
    kap_buf_t *why; /* may be NULL; gets one sentence when opening fails */
} kap_store_opts_t;

/* Opens a store, making it when it is not there; *opts is lent for the call. Stale
 * reader slots of killed processes are freed. KAP_E_VERSION: written by a newer (or
 * a retired) program; KAP_E_EXISTS: open elsewhere; KAP_E_CONFLICT: another name;
 * KAP_E_CORRUPT, KAP_E_IO, KAP_E_NOMEM, KAP_E_DENIED. */
int kap_store_open(const kap_store_opts_t *opts, kap_store_t **out);

/* Closes it. No transaction may be open (checked). NULL inside is fine. */
void kap_store_close(kap_store_t **store);

/* Random identity given when the store was made; part of every checksum. */
const uint8_t *kap_store_id(const kap_store_t *store);

/* Doubles the address space after KAP_E_MAPFULL. BARRIER: no transaction of this
 * store may be active in any thread (a reset reader is not active); checked, since
 * a reader would be remapped under its feet. Then the whole batch is done anew. */
int kap_store_grow(kap_store_t *store);

/* Bytes used by pages in use and bytes of address space. Any thread. */
int kap_store_usage(kap_store_t *store, uint64_t *used_bytes, uint64_t *map_bytes);

/* Bytes that an unprivileged writer has left on the store's file system
 * (UINT64_MAX for the twin). The caller stops taking work below its reserve:
 * LMDB shows a full disk as a plain I/O error. */
int kap_store_disk(const kap_store_t *store, uint64_t *free_bytes);

/* Frees reader slots left by killed processes; *dead gets their count. */
int kap_store_check_readers(kap_store_t *store, int *dead);

/* Hot, compacting copy into `directory`, which must not exist: copied beside it,
 * synced, opened, every checksum read, asked of `check` (may be NULL; it reads the
 * copy), then renamed. Long: run it in a reading thread, off-peak, while the map cannot
 * grow, or in a process of its own (`beside`). KAP_E_EXISTS; KAP_E_INVALID (twin); what
 * check returned; KAP_E_NOTFOUND: there is no folder to put it in. */
int kap_store_backup(kap_store_t *store, const char *directory,
                     int (*check)(void *arg, kap_store_t *copy), void *arg);

/* Reads every record in one transaction; *records gets their number. KAP_E_CORRUPT
 * at the first bad one. For a backup or a store that is not in use; a live store is
 * scrubbed in slices with cursors. */
int kap_store_verify(kap_store_t *store, uint64_t *records);

/* Where a scrub stands; zeroed: at the beginning. The store's own. */
typedef struct {
    unsigned table; /* as kap_damaged_t, plus one; 0: the store's own */
    size_t size;    /* of the last key looked at; 0: none of this table */
    uint8_t key[KAP_STORE_KEY_BYTES_MAX];
} kap_scrub_place_t;

/* One damaged record, or what of a table cannot be reached. */
typedef struct {
    int table;      /* as the caller knows it; -1: the store's own record */
    kap_span_t key; /* of the record; beyond: the last key before; lent */
    bool beyond;    /* everything of the table after the key is lost to reading */
} kap_damaged_t;

typedef enum { KAP_TXN_READ, KAP_TXN_WRITE } kap_txn_kind_t;

/* Begins a transaction. WRITE: one at a time, waits for none (a second one in this
 * process is a bug and checked). READ: a snapshot; keep it short, it holds back the
 * reuse of pages. The transaction's errors are sticky: after the first failed write
 * (KAP_E_NOTFOUND is no failure) every call returns it, and so does commit. */
int kap_txn_begin(kap_store_t *store, kap_txn_kind_t kind, kap_txn_t **out);

/* Durable when it returns KAP_OK. Takes the transaction in every case. After an
 * error nothing of it is there: KAP_E_MAPFULL -> grow and redo; anything else means
 * that the process must not acknowledge and must end (LMDB would let later commits
 * succeed as if nothing had happened). */
int kap_txn_commit(kap_txn_t **txn);

/* Undoes everything. NULL inside is fine. */
void kap_txn_abort(kap_txn_t **txn);

/* READ only: let go of the snapshot, and take a new one, without allocation. */
void kap_txn_reset(kap_txn_t *txn);
int kap_txn_renew(kap_txn_t *txn);

/* The sticky error, KAP_OK while there is none. */
int kap_txn_error(const kap_txn_t *txn);

/* Value of a key, lent until the next write of this transaction or its end.
 * KAP_E_NOTFOUND; KAP_E_CORRUPT when the checksum fails (sticky when writing);
 * KAP_E_INVALID for a key that is empty or above 511 bytes. */
int kap_txn_get(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t *value);

/* Sets a key's value (any size, also 0). */
int kap_txn_put(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t value);

/* The same for a key above every key of the table; else KAP_E_EXISTS (sticky):
 * a free assertion on logs. */
int kap_txn_append(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t value);

/* Removes a key; KAP_E_NOTFOUND when there is none (not sticky). */
int kap_txn_delete(kap_txn_t *txn, unsigned table, kap_span_t key);

/* Reads up to `most` records from *place on, whatever table they are in, and tells each that is
 * damaged; *place moves on. READ, whose error stays as it was. KAP_OK: past the last table, the
 * place is back at the beginning; KAP_E_AGAIN: there is more. A damaged page may still end the
 * process (LMDB believes its pages). */
int kap_txn_scrub(kap_txn_t *txn, kap_scrub_place_t *place, uint32_t most,
                  void (*on_damaged)(void *arg, const kap_damaged_t *damaged), void *arg);

/* A place in a table, in order of keys as bytes. Close it before its transaction
 * ends (checked). Moving gives KAP_E_NOTFOUND past either end; key and value are
 * lent as by kap_txn_get and empty when the cursor stands nowhere. A cursor of a
 * write transaction does not follow writes: seek again after one. */
int kap_cursor_open(kap_txn_t *txn, unsigned table, kap_cursor_t **out);
void kap_cursor_close(kap_cursor_t **cursor);
int kap_cursor_seek_ge(kap_cursor_t *cursor, kap_span_t key); /* first key >= key; empty = first */
int kap_cursor_seek_le(kap_cursor_t *cursor, kap_span_t key); /* last key <= key */
int kap_cursor_next(kap_cursor_t *cursor);
int kap_cursor_prev(kap_cursor_t *cursor);
int kap_cursor_last(kap_cursor_t *cursor);
kap_span_t kap_cursor_key(const kap_cursor_t *cursor);
kap_span_t kap_cursor_value(const kap_cursor_t *cursor);

#endif
