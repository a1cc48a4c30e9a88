/* SPDX-License-Identifier: MPL-2.0 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "be.h"
#include "crypto.h"
#include "seeded.h"
#include "store_backend.h"

/* Table 0 of every store is the store's own; a caller's table n is n + 1 beneath. */
#define OWN_TABLE "kapula.store"
#define OWN_KEY   KAP_SPAN("identity")

enum {
    FORMAT = 1, /* of this file: checksums, identity record */
    TAG = KAP_SIPHASH_BYTES,
    NAME_BYTES_MAX = 32,
    IDENTITY_HEAD = 4 + 4 + KAP_STORE_ID_BYTES, /* format, version, id; the name follows */
};

struct kap_store {
    const kap_backend_t *backend;
    void *env;
    unsigned tables;
    bool read_only;
    uint32_t version;
    const char *name;
    const char *names[KAP_STORE_TABLES_MAX + 2]; /* of the tables, OWN_TABLE first */
    uint8_t id[KAP_STORE_ID_BYTES];
    atomic_int active; /* transactions that hold a snapshot or write */
    atomic_bool writing;
};

struct kap_txn {
    kap_store_t *store;
    void *inner;
    bool write;
    bool parked; /* reset, not renewed */
    int error;
    int cursors;
    pthread_t owner;
};

struct kap_cursor {
    kap_txn_t *txn;
    void *inner;
    unsigned table; /* beneath */
    kap_span_t key, value;
};

/* Checksum over store, table, key and value: a record that lands in another place,
 * or an old page that comes back from another store, does not pass. */
static void tag_of(const uint8_t id[KAP_STORE_ID_BYTES], unsigned table, kap_span_t key,
                   kap_span_t value, uint8_t out[TAG])
{
    const uint8_t head[2] = {(uint8_t)(table >> 8), (uint8_t)table};
    kap_span_t parts[] = {kap_span(head, sizeof head), key, value};

    kap_siphash128(out, id, parts, 3);
}

static int unwrap(const uint8_t id[KAP_STORE_ID_BYTES], unsigned table, kap_span_t key,
                  kap_span_t raw, kap_span_t *value)
{
    uint8_t tag[TAG];

    if (raw.size < TAG)
        return KAP_E_CORRUPT;
    kap_span_t bare = kap_span(raw.data, raw.size - TAG);
    tag_of(id, table, key, bare, tag);
    if (memcmp(tag, raw.data + bare.size, TAG) != 0 && !KAP_SEEDED_BUG("checksum_ignored"))
        return KAP_E_CORRUPT;
    *value = bare;
    return KAP_OK;
}

static int put_raw(kap_store_t *store, void *inner, unsigned table, kap_span_t key,
                   kap_span_t value, bool append)
{
    uint8_t *room, tag[TAG];

    tag_of(table == 0 ? (const uint8_t[KAP_STORE_ID_BYTES]){0} : store->id, table, key, value, tag);
    int rc = store->backend->put(inner, table, key, value.size + TAG, append, &room);
    if (rc != KAP_OK)
        return rc;
    if (value.size > 0)
        memcpy(room, value.data, value.size);
    memcpy(room + value.size, tag, TAG);
    return KAP_OK;
}

static int say(const kap_store_opts_t *opts, int rc, const char *sentence)
{
    if (opts->why != NULL)
        kap_buf_printf(opts->why, "store %s: %s", opts->memory ? "in memory" : opts->path,
                       sentence);
    return rc;
}

/* What stands in the identity record is compared with what the program expects. */
static int check_identity(kap_store_t *store, const kap_store_opts_t *opts, kap_span_t value)
{
    char sentence[300];

    if (value.size < IDENTITY_HEAD)
        return say(opts, KAP_E_CORRUPT, "its identity record is damaged");
    uint32_t format = kap_be_get_u32(value.data), version = kap_be_get_u32(value.data + 4);
    kap_span_t name = kap_span(value.data + IDENTITY_HEAD, value.size - IDENTITY_HEAD);
    if (!kap_span_eq_str(name, opts->name)) {
        snprintf(sentence, sizeof sentence, "it belongs to \"%.*s\", not to \"%s\"", (int)name.size,
                 (const char *)name.data, opts->name);
        return say(opts, KAP_E_CONFLICT, sentence);
    }
    if (format > FORMAT || version > opts->version) {
        snprintf(sentence, sizeof sentence,
                 "it was written by a newer program (rows %u, this program knows %u); "
                 "use that program",
                 version, opts->version);
        return say(opts, KAP_E_VERSION, sentence);
    }
    if (version < opts->version) {
        snprintf(sentence, sizeof sentence,
                 "it was written by an older program (rows %u, this program wants %u)%s%s", version,
                 opts->version, opts->older != NULL ? "; " : "",
                 opts->older != NULL ? opts->older : "");
        return say(opts, KAP_E_VERSION, sentence);
    }
    memcpy(store->id, value.data + 8, KAP_STORE_ID_BYTES);
    return KAP_OK;
}

static int make_identity(kap_store_t *store, const kap_store_opts_t *opts, void *inner)
{
    uint8_t value[IDENTITY_HEAD + NAME_BYTES_MAX];
    size_t name = strlen(opts->name);

    KAP_CHECK(name > 0 && name <= NAME_BYTES_MAX);
    if (getrandom(store->id, sizeof store->id, 0) != (ssize_t)sizeof store->id)
        return KAP_E_IO;
    kap_be_put_u32(value, FORMAT);
    kap_be_put_u32(value + 4, opts->version);
    memcpy(value + 8, store->id, KAP_STORE_ID_BYTES);
    memcpy(value + IDENTITY_HEAD, opts->name, name);
    return put_raw(store, inner, 0, OWN_KEY, kap_span(value, IDENTITY_HEAD + name), false);
}

static int identify(kap_store_t *store, const kap_store_opts_t *opts)
{
    static const uint8_t nobody[KAP_STORE_ID_BYTES];
    kap_span_t raw, value;
    void *inner;
    int rc = store->backend->begin(store->env, !store->read_only, &inner);

    if (rc != KAP_OK)
        return say(opts, rc, kap_err_text(rc));
    rc = store->backend->get(inner, 0, OWN_KEY, &raw);
    if (rc == KAP_OK) {
        rc = unwrap(nobody, 0, OWN_KEY, raw, &value);
        rc = rc == KAP_OK ? check_identity(store, opts, value)
                          : say(opts, rc, "its identity record is damaged");
        store->backend->abort(inner);
        return rc;
    }
    if (rc == KAP_E_NOTFOUND && !store->read_only)
        rc = make_identity(store, opts, inner);
    if (rc != KAP_OK) {
        store->backend->abort(inner);
        return say(opts, rc, kap_err_text(rc));
    }
    rc = store->backend->commit(inner);
    return rc == KAP_OK ? KAP_OK : say(opts, rc, kap_err_text(rc));
}

int kap_store_open(const kap_store_opts_t *opts, kap_store_t **out)
{
    kap_store_t *store = calloc(1, sizeof *store);
    int rc;

    if (store == NULL)
        return KAP_E_NOMEM;
    store->names[0] = OWN_TABLE;
    store->name = opts->name;
    for (; opts->tables[store->tables] != NULL; store->tables++) {
        KAP_CHECK(store->tables < KAP_STORE_TABLES_MAX);
        store->names[store->tables + 1] = opts->tables[store->tables];
    }
    store->backend = opts->memory ? &kap_store_mem : &kap_store_lmdb;
    store->read_only = opts->read_only || opts->beside;
    store->version = opts->version;
    rc = store->backend->open(opts, store->names, &store->env);
    if (rc == KAP_E_EXISTS)
        say(opts, rc, "another process has it open");
    else if (rc != KAP_OK)
        say(opts, rc, kap_err_text(rc));
    else
        rc = identify(store, opts);
    if (rc != KAP_OK) {
        kap_store_close(&store);
        return rc;
    }
    *out = store;
    return KAP_OK;
}

void kap_store_close(kap_store_t **store)
{
    if (*store == NULL)
        return;
    KAP_CHECK(atomic_load(&(*store)->active) == 0);
    if ((*store)->env != NULL)
        (*store)->backend->close((*store)->env);
    free(*store);
    *store = NULL;
}

const uint8_t *kap_store_id(const kap_store_t *store)
{
    return store->id;
}

int kap_store_grow(kap_store_t *store)
{
    KAP_CHECK(atomic_load(&store->active) == 0);
    return store->backend->grow(store->env);
}

int kap_store_usage(kap_store_t *store, uint64_t *used_bytes, uint64_t *map_bytes)
{
    return store->backend->usage(store->env, used_bytes, map_bytes);
}

int kap_store_disk(const kap_store_t *store, uint64_t *free_bytes)
{
    return store->backend->disk(store->env, free_bytes);
}

int kap_store_check_readers(kap_store_t *store, int *dead)
{
    return store->backend->check_readers(store->env, dead);
}

/* Opens a copy as a reader would, reads every record of it and lets the caller look. */
static int verify_copy(const kap_store_t *store, const char *directory,
                       int (*check)(void *arg, kap_store_t *copy), void *arg)
{
    kap_store_opts_t opts = {.path = directory,
                             .name = store->name,
                             .version = store->version,
                             .tables = store->names + 1,
                             .read_only = true};
    kap_store_t *copy;
    uint64_t records;
    int rc = kap_store_open(&opts, &copy);

    if (rc != KAP_OK)
        return rc;
    rc = memcmp(copy->id, store->id, KAP_STORE_ID_BYTES) == 0 ? kap_store_verify(copy, &records)
                                                              : KAP_E_CORRUPT;
    if (rc == KAP_OK && check != NULL)
        rc = check(arg, copy);
    kap_store_close(&copy);
    return rc;
}

static void remove_copy(const char *directory)
{
    char file[PATH_MAX];

    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", directory) < sizeof file)
        unlink(file);
    rmdir(directory);
}

/* Renames and makes the rename durable. */
static int place(const char *temporary, const char *directory)
{
    char parent[PATH_MAX];

    if (rename(temporary, directory) != 0)
        return errno == EEXIST || errno == ENOTEMPTY ? KAP_E_EXISTS : KAP_E_IO;
    if ((size_t)snprintf(parent, sizeof parent, "%s/..", directory) >= sizeof parent)
        return KAP_E_INVALID;
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return KAP_E_IO;
    int rc = fsync(fd) == 0 ? KAP_OK : KAP_E_IO;
    close(fd);
    return rc;
}

int kap_store_backup(kap_store_t *store, const char *directory,
                     int (*check)(void *arg, kap_store_t *copy), void *arg)
{
    char temporary[PATH_MAX];
    struct stat st;
    int rc;

    if (stat(directory, &st) == 0)
        return KAP_E_EXISTS;
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.part", directory) >= sizeof temporary)
        return KAP_E_INVALID;
    remove_copy(temporary); /* what a killed backup left */
    if (mkdir(temporary, 0700) != 0)
        return errno == EEXIST   ? KAP_E_EXISTS
               : errno == ENOSPC ? KAP_E_DISK
               : errno == ENOENT ? KAP_E_NOTFOUND
               : errno == EACCES ? KAP_E_DENIED
                                 : KAP_E_IO;
    rc = store->backend->copy(store->env, temporary);
    if (rc == KAP_OK)
        rc = verify_copy(store, temporary, check, arg);
    if (rc == KAP_OK)
        rc = place(temporary, directory);
    if (rc != KAP_OK)
        remove_copy(temporary);
    return rc;
}

static int verify_table(kap_txn_t *txn, unsigned table, uint64_t *records)
{
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(txn, table, &cursor);

    if (rc != KAP_OK)
        return rc;
    for (rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0)); rc == KAP_OK;
         rc = kap_cursor_next(cursor))
        ++*records;
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_store_verify(kap_store_t *store, uint64_t *records)
{
    kap_txn_t *txn;
    uint64_t count = 0;
    int rc = kap_txn_begin(store, KAP_TXN_READ, &txn);

    if (rc != KAP_OK)
        return rc;
    for (unsigned table = 0; rc == KAP_OK && table < store->tables; table++)
        rc = verify_table(txn, table, &count);
    kap_txn_abort(&txn);
    if (rc == KAP_OK)
        *records = count;
    return rc;
}

int kap_txn_begin(kap_store_t *store, kap_txn_kind_t kind, kap_txn_t **out)
{
    bool write = kind == KAP_TXN_WRITE;
    kap_txn_t *txn = calloc(1, sizeof *txn);

    if (txn == NULL)
        return KAP_E_NOMEM;
    KAP_CHECK(!write || !store->read_only);
    KAP_CHECK(!write || !atomic_exchange(&store->writing, true));
    atomic_fetch_add(&store->active, 1);
    int rc = store->backend->begin(store->env, write, &txn->inner);
    if (rc != KAP_OK) {
        atomic_fetch_sub(&store->active, 1);
        if (write)
            atomic_store(&store->writing, false);
        free(txn);
        return rc;
    }
    txn->store = store;
    txn->write = write;
    txn->owner = pthread_self();
    *out = txn;
    return KAP_OK;
}

/* LMDB's write lock belongs to a thread: ending it in another one would return
 * success and hang the next writer for ever. */
static kap_txn_t *take(kap_txn_t **txn)
{
    kap_txn_t *t = *txn;

    *txn = NULL;
    KAP_CHECK(t->cursors == 0);
    KAP_CHECK(!t->write || pthread_equal(t->owner, pthread_self()));
    return t;
}

static void let_go(kap_txn_t *txn)
{
    if (!txn->parked)
        atomic_fetch_sub(&txn->store->active, 1);
    if (txn->write)
        atomic_store(&txn->store->writing, false);
    free(txn);
}

int kap_txn_commit(kap_txn_t **txn)
{
    kap_txn_t *t = take(txn);
    int rc = t->error;

    if (rc == KAP_OK && t->write && !KAP_SEEDED_BUG("commit_dropped"))
        rc = t->store->backend->commit(t->inner);
    else
        t->store->backend->abort(t->inner);
    let_go(t);
    return rc;
}

void kap_txn_abort(kap_txn_t **txn)
{
    if (*txn == NULL)
        return;
    kap_txn_t *t = take(txn);
    t->store->backend->abort(t->inner);
    let_go(t);
}

void kap_txn_reset(kap_txn_t *txn)
{
    KAP_CHECK(!txn->write && !txn->parked && txn->cursors == 0);
    txn->store->backend->reset(txn->inner);
    txn->parked = true;
    atomic_fetch_sub(&txn->store->active, 1);
}

int kap_txn_renew(kap_txn_t *txn)
{
    KAP_CHECK(!txn->write && txn->parked);
    atomic_fetch_add(&txn->store->active, 1);
    int rc = txn->store->backend->renew(txn->inner);
    if (rc != KAP_OK) {
        atomic_fetch_sub(&txn->store->active, 1);
        return rc;
    }
    txn->parked = false;
    txn->error = KAP_OK;
    return KAP_OK;
}

int kap_txn_error(const kap_txn_t *txn)
{
    return txn->error;
}

/* A failure sticks, an absent key is none. */
static int note(kap_txn_t *txn, int rc)
{
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND && txn->error == KAP_OK)
        txn->error = rc;
    return rc;
}

static bool key_fits(kap_span_t key)
{
    return key.size >= 1 && key.size <= KAP_STORE_KEY_BYTES_MAX;
}

int kap_txn_get(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t *value)
{
    kap_span_t raw;

    KAP_CHECK(table < txn->store->tables && !txn->parked);
    if (txn->error != KAP_OK)
        return txn->error;
    if (!key_fits(key))
        return note(txn, KAP_E_INVALID);
    int rc = txn->store->backend->get(txn->inner, table + 1, key, &raw);
    if (rc == KAP_OK)
        rc = unwrap(txn->store->id, table + 1, key, raw, value);
    return note(txn, rc);
}

static int put(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t value, bool append)
{
    KAP_CHECK(table < txn->store->tables && txn->write);
    if (txn->error != KAP_OK)
        return txn->error;
    if (!key_fits(key))
        return note(txn, KAP_E_INVALID);
    return note(txn, put_raw(txn->store, txn->inner, table + 1, key, value, append));
}

int kap_txn_put(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t value)
{
    return put(txn, table, key, value, false);
}

int kap_txn_append(kap_txn_t *txn, unsigned table, kap_span_t key, kap_span_t value)
{
    return put(txn, table, key, value, true);
}

int kap_txn_delete(kap_txn_t *txn, unsigned table, kap_span_t key)
{
    KAP_CHECK(table < txn->store->tables && txn->write);
    if (txn->error != KAP_OK)
        return txn->error;
    if (!key_fits(key))
        return note(txn, KAP_E_INVALID);
    return note(txn, txn->store->backend->del(txn->inner, table + 1, key));
}

int kap_cursor_open(kap_txn_t *txn, unsigned table, kap_cursor_t **out)
{
    KAP_CHECK(table < txn->store->tables && !txn->parked);
    if (txn->error != KAP_OK)
        return txn->error;
    kap_cursor_t *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        return note(txn, KAP_E_NOMEM);
    int rc = txn->store->backend->cursor_open(txn->inner, table + 1, &cursor->inner);
    if (rc != KAP_OK) {
        free(cursor);
        return note(txn, rc);
    }
    cursor->txn = txn;
    cursor->table = table + 1;
    txn->cursors++;
    *out = cursor;
    return KAP_OK;
}

void kap_cursor_close(kap_cursor_t **cursor)
{
    if (*cursor == NULL)
        return;
    (*cursor)->txn->cursors--;
    (*cursor)->txn->store->backend->cursor_close((*cursor)->inner);
    free(*cursor);
    *cursor = NULL;
}

static int move(kap_cursor_t *cursor, kap_move_t how, kap_span_t key)
{
    kap_txn_t *txn = cursor->txn;
    kap_span_t found, raw;

    cursor->key = cursor->value = kap_span(NULL, 0);
    if (txn->error != KAP_OK)
        return txn->error;
    int rc = txn->store->backend->cursor_move(cursor->inner, how, key, &found, &raw);
    if (rc == KAP_OK)
        rc = unwrap(txn->store->id, cursor->table, found, raw, &cursor->value);
    if (rc == KAP_OK)
        cursor->key = found;
    return note(txn, rc);
}

int kap_cursor_seek_ge(kap_cursor_t *cursor, kap_span_t key)
{
    return move(cursor, key.size == 0 ? KAP_MOVE_FIRST : KAP_MOVE_GE, key);
}

int kap_cursor_seek_le(kap_cursor_t *cursor, kap_span_t key)
{
    int rc = move(cursor, KAP_MOVE_GE, key);

    if (rc == KAP_E_NOTFOUND)
        return move(cursor, KAP_MOVE_LAST, key);
    if (rc == KAP_OK && !kap_span_eq(cursor->key, key))
        return move(cursor, KAP_MOVE_PREV, key);
    return rc;
}

int kap_cursor_next(kap_cursor_t *cursor)
{
    return move(cursor, KAP_MOVE_NEXT, kap_span(NULL, 0));
}

int kap_cursor_prev(kap_cursor_t *cursor)
{
    return move(cursor, KAP_MOVE_PREV, kap_span(NULL, 0));
}

int kap_cursor_last(kap_cursor_t *cursor)
{
    return move(cursor, KAP_MOVE_LAST, kap_span(NULL, 0));
}

kap_span_t kap_cursor_key(const kap_cursor_t *cursor)
{
    return cursor->key;
}

kap_span_t kap_cursor_value(const kap_cursor_t *cursor)
{
    return cursor->value;
}

/* --- scrubbing --- */

/* Goes to the first record after the place. */
static int to_place(const kap_backend_t *backend, void *cursor, const kap_scrub_place_t *place,
                    kap_span_t *key, kap_span_t *raw)
{
    kap_span_t last = kap_span(place->key, place->size);

    if (place->size == 0)
        return backend->cursor_move(cursor, KAP_MOVE_FIRST, last, key, raw);
    int rc = backend->cursor_move(cursor, KAP_MOVE_GE, last, key, raw);
    if (rc == KAP_OK && kap_span_eq(*key, last))
        rc = backend->cursor_move(cursor, KAP_MOVE_NEXT, last, key, raw);
    return rc;
}

/* Reads on in the place's table. KAP_E_NOTFOUND: at its end; KAP_E_CORRUPT: what is after the
 * place cannot be reached. */
static int scrub_table(kap_txn_t *txn, kap_scrub_place_t *place, uint32_t *left,
                       void (*on_damaged)(void *arg, const kap_damaged_t *damaged), void *arg)
{
    static const uint8_t nobody[KAP_STORE_ID_BYTES];
    const kap_backend_t *backend = txn->store->backend;
    const uint8_t *id = place->table == 0 ? nobody : txn->store->id;
    kap_span_t key, raw, value;
    void *cursor;
    int rc = backend->cursor_open(txn->inner, place->table, &cursor);

    if (rc != KAP_OK)
        return rc;
    rc = to_place(backend, cursor, place, &key, &raw);
    for (; rc == KAP_OK; rc = backend->cursor_move(cursor, KAP_MOVE_NEXT, key, &key, &raw)) {
        if (!key_fits(key) ||
            (place->size > 0 && kap_span_cmp(key, kap_span(place->key, place->size)) <= 0)) {
            rc = KAP_E_CORRUPT;
            break;
        }
        kap_damaged_t damaged = {.table = (int)place->table - 1, .key = key};
        if (unwrap(id, place->table, key, raw, &value) != KAP_OK)
            on_damaged(arg, &damaged);
        memcpy(place->key, key.data, key.size);
        place->size = key.size;
        if (--*left == 0)
            break;
    }
    backend->cursor_close(cursor);
    return rc;
}

int kap_txn_scrub(kap_txn_t *txn, kap_scrub_place_t *place, uint32_t most,
                  void (*on_damaged)(void *arg, const kap_damaged_t *damaged), void *arg)
{
    KAP_CHECK(!txn->write && !txn->parked);
    while (most > 0) {
        int rc = scrub_table(txn, place, &most, on_damaged, arg);
        if (rc == KAP_OK)
            continue;
        kap_damaged_t rest = {.table = (int)place->table - 1,
                              .key = kap_span(place->key, place->size),
                              .beyond = true};
        if (rc != KAP_E_NOTFOUND)
            on_damaged(arg, &rest);
        place->size = 0;
        if (++place->table <= txn->store->tables)
            continue;
        place->table = 0;
        return KAP_OK;
    }
    return KAP_E_AGAIN;
}
