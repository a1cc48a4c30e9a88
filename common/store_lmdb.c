/* SPDX-License-Identifier: MPL-2.0 */
/* The one door to LMDB 0.9. Default durability only: no NOMETASYNC, WRITEMAP; NOSYNC only for what
 * is made to be copied. */
#include "store_backend.h"
#include "seeded.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef struct {
    MDB_env *mdb;
    pthread_mutex_t map; /* usage may be asked in any thread; a growing map moves under it */
    int lock;            /* held while the store is open for writing */
    unsigned tables;
    MDB_dbi dbi[KAP_STORE_TABLES_MAX + 1];
    char path[PATH_MAX];
} env_t;

/* A writing transaction keeps a cursor a table: a key on the page of the one before is found
 * without a walk from the root. */
typedef struct {
    MDB_txn *mdb;
    env_t *env;
    bool write;
    MDB_cursor *at[KAP_STORE_TABLES_MAX + 1];
} txn_t;

static int translate(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return KAP_OK;
    case MDB_NOTFOUND:
        return KAP_E_NOTFOUND;
    case MDB_KEYEXIST:
        return KAP_E_EXISTS;
    case MDB_MAP_FULL:
        return KAP_E_MAPFULL;
    case MDB_READERS_FULL:
    case MDB_DBS_FULL:
    case MDB_TXN_FULL:
        return KAP_E_LIMIT;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_PANIC:
        return KAP_E_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return KAP_E_VERSION;
    case MDB_BAD_VALSIZE:
        return KAP_E_INVALID;
    case ENOMEM:
        return KAP_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return KAP_E_DISK;
    case EACCES:
    case EPERM:
    case EROFS:
        return KAP_E_DENIED;
    case ENOENT:
        return KAP_E_NOTFOUND;
    default:
        return KAP_E_IO;
    }
}

static MDB_val val(kap_span_t s)
{
    return (MDB_val){s.size, (void *)(uintptr_t)s.data};
}

static kap_span_t span(MDB_val v)
{
    return kap_span(v.mv_data, v.mv_size);
}

static void env_close(void *arg)
{
    env_t *env = arg;

    if (env->mdb != NULL)
        mdb_env_close(env->mdb);
    if (env->lock >= 0)
        close(env->lock);
    pthread_mutex_destroy(&env->map);
    free(env);
}

/* One writing process a store: LMDB itself would let two in, taking turns. */
static int take_lock(env_t *env)
{
    char name[PATH_MAX];

    if ((size_t)snprintf(name, sizeof name, "%s/owner.lock", env->path) >= sizeof name)
        return KAP_E_INVALID;
    env->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (env->lock < 0)
        return translate(errno);
    if (flock(env->lock, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? KAP_E_EXISTS : translate(errno);
    return KAP_OK;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return translate(errno);
    int rc = fsync(fd) == 0 ? KAP_OK : translate(errno);
    close(fd);
    return rc;
}

static int open_tables(env_t *env, const char *const *tables, bool read_only)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, read_only ? MDB_RDONLY : 0, &txn);

    if (rc != 0)
        return translate(rc);
    for (; rc == 0 && tables[env->tables] != NULL; env->tables++)
        rc = mdb_dbi_open(txn, tables[env->tables], read_only ? 0 : MDB_CREATE,
                          &env->dbi[env->tables]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return translate(rc);
    }
    return translate(mdb_txn_commit(txn));
}

static bool reads_only(const kap_store_opts_t *opts)
{
    return opts->read_only || opts->beside;
}

static int env_make(env_t *env, const kap_store_opts_t *opts, const char *const *tables)
{
    unsigned flags = MDB_NOTLS | (opts->beside      ? MDB_RDONLY
                                  : opts->read_only ? MDB_RDONLY | MDB_NOLOCK
                                                    : 0);
    int rc = mdb_env_create(&env->mdb), dead;

    if (opts->unsynced || KAP_SEEDED_BUG("sync_dropped") || KAP_SEEDED_BUG("receipt_before_sync"))
        flags |= MDB_NOSYNC;
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env->mdb, KAP_STORE_TABLES_MAX + 1);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env->mdb, opts->map_size != 0 ? opts->map_size : (size_t)64 << 30);
    if (rc == 0)
        rc = mdb_env_open(env->mdb, env->path, flags, 0600);
    if (rc == 0 && !reads_only(opts))
        rc = mdb_reader_check(env->mdb, &dead);
    if (rc != 0)
        return translate(rc);
    rc = open_tables(env, tables, reads_only(opts));
    return rc != KAP_OK || reads_only(opts) ? rc : sync_directory(env->path);
}

/* Makes the directory, so that it survives a power failure. */
static int make_directory(const char *path)
{
    char parent[PATH_MAX];

    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? KAP_OK : translate(errno);
    if ((size_t)snprintf(parent, sizeof parent, "%s/..", path) >= sizeof parent)
        return KAP_E_INVALID;
    return sync_directory(parent);
}

/* A file in the folder of a store; false when the name is too long. */
static bool file_in(char name[PATH_MAX], const char *folder, const char *file)
{
    return (size_t)snprintf(name, PATH_MAX, "%s/%s", folder, file) < PATH_MAX;
}

/* LMDB writes its first pages in place: torn by a power failure they would be no store. So a new
 * one is made whole in a folder beside, and gets its name when it is on the disk. */
static int make_whole(const env_t *env, const kap_store_opts_t *opts, const char *const *tables)
{
    env_t new = {.lock = -1};
    char made[PATH_MAX], name[PATH_MAX], lock[PATH_MAX];

    if (!file_in(name, env->path, "data.mdb") || !file_in(new.path, env->path, "new") ||
        !file_in(made, new.path, "data.mdb") || !file_in(lock, new.path, "lock.mdb"))
        return KAP_E_INVALID;
    if (access(name, F_OK) == 0)
        return KAP_OK;
    if ((unlink(made) != 0 && errno != ENOENT && errno != ENOTDIR) ||
        (mkdir(new.path, 0700) != 0 && errno != EEXIST))
        return translate(errno);
    int rc = env_make(&new, opts, tables);
    if (new.mdb != NULL)
        mdb_env_close(new.mdb);
    if (rc == KAP_OK && rename(made, name) != 0)
        rc = translate(errno);
    if (rc != KAP_OK)
        return rc;
    unlink(lock);
    rmdir(new.path);
    return sync_directory(env->path);
}

static int env_open(const kap_store_opts_t *opts, const char *const *tables, void **out)
{
    env_t *env = calloc(1, sizeof *env);
    int rc = KAP_OK;

    if (env == NULL)
        return KAP_E_NOMEM;
    env->lock = -1;
    pthread_mutex_init(&env->map, NULL);
    if ((size_t)snprintf(env->path, sizeof env->path, "%s", opts->path) >= sizeof env->path)
        rc = KAP_E_INVALID;
    if (rc == KAP_OK && !reads_only(opts)) {
        rc = make_directory(env->path);
        if (rc == KAP_OK)
            rc = take_lock(env);
        if (rc == KAP_OK)
            rc = make_whole(env, opts, tables);
    }
    if (rc == KAP_OK)
        rc = env_make(env, opts, tables);
    if (rc != KAP_OK) {
        env_close(env);
        return rc;
    }
    *out = env;
    return KAP_OK;
}

static int env_grow(void *arg)
{
    env_t *env = arg;
    MDB_envinfo info;

    pthread_mutex_lock(&env->map);
    int rc = mdb_env_info(env->mdb, &info);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env->mdb, info.me_mapsize * 2);
    pthread_mutex_unlock(&env->map);
    return translate(rc);
}

static int env_usage(void *arg, uint64_t *used_bytes, uint64_t *map_bytes)
{
    env_t *env = arg;
    MDB_envinfo info;
    MDB_stat stat;

    pthread_mutex_lock(&env->map);
    int rc = mdb_env_info(env->mdb, &info);
    if (rc == 0)
        rc = mdb_env_stat(env->mdb, &stat);
    pthread_mutex_unlock(&env->map);
    if (rc != 0)
        return translate(rc);
    *used_bytes = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    *map_bytes = info.me_mapsize;
    return KAP_OK;
}

static int env_disk(void *arg, uint64_t *free_bytes)
{
    env_t *env = arg;
    struct statvfs vfs;

    if (statvfs(env->path, &vfs) != 0)
        return translate(errno);
    *free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return KAP_OK;
}

static int env_check_readers(void *arg, int *dead)
{
    env_t *env = arg;

    return translate(mdb_reader_check(env->mdb, dead));
}

static int env_copy(void *arg, const char *directory)
{
    env_t *env = arg;
    char name[PATH_MAX];
    int rc = translate(mdb_env_copy2(env->mdb, directory, MDB_CP_COMPACT));

    if (rc != KAP_OK)
        return rc;
    if ((size_t)snprintf(name, sizeof name, "%s/data.mdb", directory) >= sizeof name)
        return KAP_E_INVALID;
    int fd = open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return translate(errno);
    rc = fsync(fd) == 0 ? KAP_OK : translate(errno);
    close(fd);
    return rc != KAP_OK ? rc : sync_directory(directory);
}

static int txn_begin(void *arg, bool write, void **out)
{
    env_t *env = arg;
    txn_t *txn = calloc(1, sizeof *txn);

    if (txn == NULL)
        return KAP_E_NOMEM;
    txn->env = env;
    txn->write = write;
    if (write && KAP_SEEDED_BUG("receipt_before_sync"))
        mdb_env_sync(env->mdb, 1);
    int rc = mdb_txn_begin(env->mdb, NULL, write ? 0 : MDB_RDONLY, &txn->mdb);
    if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(env->mdb, 0) == 0) /* by the writer beside */
        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn->mdb);
    if (rc != 0) {
        free(txn);
        return translate(rc);
    }
    *out = txn;
    return KAP_OK;
}

static void let_go(txn_t *txn, unsigned table)
{
    if (txn->at[table] != NULL)
        mdb_cursor_close(txn->at[table]);
    txn->at[table] = NULL;
}

static void let_all_go(txn_t *txn)
{
    for (unsigned i = 0; i < txn->env->tables; i++)
        let_go(txn, i);
}

static int at(txn_t *txn, unsigned table, MDB_cursor **out)
{
    int rc = txn->at[table] != NULL
                 ? 0
                 : mdb_cursor_open(txn->mdb, txn->env->dbi[table], &txn->at[table]);

    *out = txn->at[table];
    return rc;
}

static int txn_commit(void *arg)
{
    txn_t *txn = arg;

    let_all_go(txn);
    int rc = mdb_txn_commit(txn->mdb);

    free(txn);
    return translate(rc);
}

static void txn_abort(void *arg)
{
    txn_t *txn = arg;

    let_all_go(txn);
    mdb_txn_abort(txn->mdb);
    free(txn);
}

static void txn_reset(void *arg)
{
    txn_t *txn = arg;

    mdb_txn_reset(txn->mdb);
}

static int txn_renew(void *arg)
{
    txn_t *txn = arg;

    return translate(mdb_txn_renew(txn->mdb));
}

static int txn_get(void *arg, unsigned table, kap_span_t key, kap_span_t *raw)
{
    txn_t *txn = arg;
    MDB_val k = val(key), v;
    MDB_cursor *cursor;
    int rc;

    if (!txn->write)
        rc = mdb_get(txn->mdb, txn->env->dbi[table], &k, &v);
    else if ((rc = at(txn, table, &cursor)) == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
    if (rc == 0)
        *raw = span(v);
    return translate(rc);
}

static int txn_put(void *arg, unsigned table, kap_span_t key, size_t size, bool append,
                   uint8_t **room)
{
    txn_t *txn = arg;
    MDB_val k = val(key), v = {size, NULL};
    MDB_cursor *cursor;
    int rc = at(txn, table, &cursor);

    if (rc == 0)
        rc = mdb_cursor_put(cursor, &k, &v, MDB_RESERVE | (append ? MDB_APPEND : 0));
    if (rc == 0)
        *room = v.mv_data;
    return translate(rc);
}

static int txn_del(void *arg, unsigned table, kap_span_t key)
{
    txn_t *txn = arg;
    MDB_val k = val(key);

    let_go(txn, table); /* no cursor lives through a delete: pages merge under it */
    return translate(mdb_del(txn->mdb, txn->env->dbi[table], &k, NULL));
}

static int cursor_open(void *arg, unsigned table, void **out)
{
    txn_t *txn = arg;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn->mdb, txn->env->dbi[table], &cursor);

    if (rc == 0)
        *out = cursor;
    return translate(rc);
}

static void cursor_close(void *cursor)
{
    mdb_cursor_close(cursor);
}

static int cursor_move(void *cursor, kap_move_t move, kap_span_t key, kap_span_t *found,
                       kap_span_t *raw)
{
    static const MDB_cursor_op ops[] = {
        [KAP_MOVE_GE] = MDB_SET_RANGE, [KAP_MOVE_FIRST] = MDB_FIRST, [KAP_MOVE_LAST] = MDB_LAST,
        [KAP_MOVE_NEXT] = MDB_NEXT,    [KAP_MOVE_PREV] = MDB_PREV,
    };
    MDB_val k = val(key), v;
    int rc = mdb_cursor_get(cursor, &k, &v, ops[move]);

    if (rc == 0) {
        *found = span(k);
        *raw = span(v);
    }
    return translate(rc);
}

const kap_backend_t kap_store_lmdb = {
    .open = env_open,
    .close = env_close,
    .grow = env_grow,
    .usage = env_usage,
    .disk = env_disk,
    .check_readers = env_check_readers,
    .copy = env_copy,
    .begin = txn_begin,
    .commit = txn_commit,
    .abort = txn_abort,
    .reset = txn_reset,
    .renew = txn_renew,
    .get = txn_get,
    .put = txn_put,
    .del = txn_del,
    .cursor_open = cursor_open,
    .cursor_close = cursor_close,
    .cursor_move = cursor_move,
};
