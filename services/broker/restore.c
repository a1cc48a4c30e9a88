/* SPDX-License-Identifier: MPL-2.0 */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "anew.h"
#include "err.h"
#include "scrub.h"

enum { SLICE_EVENTS = 20000 /* entered before the figures are written: a guess */ };

/* A restore under way. */
typedef struct {
    const kap_restore_opts_t *opts;
    kap_store_t *backup;
    kap_head_t head; /* of the backup */
    kap_buf_t ended; /* epochs before it */
    uint64_t until;  /* the log is entered anew up to here; 0: the store is copied */
    kap_restored_t made;
    char anew[PATH_MAX]; /* entered anew; copied into: */
    char copy[PATH_MAX]; /* whole, with its new epoch; then renamed to: */
    char name[PATH_MAX];
} restore_t;

static int say(const restore_t *r, int rc, const char *sentence)
{
    if (r->opts->why->size == 0)
        kap_buf_str(r->opts->why, sentence);
    return rc;
}

/* --- files --- */

static void remove_in(const char *folder, const char *file)
{
    char name[PATH_MAX];

    if ((size_t)snprintf(name, sizeof name, "%s/%s", folder, file) < sizeof name)
        unlink(name);
}

/* Takes a store away that this made, or that a killed restore left. */
static void remove_store(const char *folder)
{
    remove_in(folder, "data.mdb");
    remove_in(folder, "lock.mdb");
    remove_in(folder, "owner.lock");
    rmdir(folder);
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return KAP_E_IO;
    int rc = fsync(fd) == 0 ? KAP_OK : KAP_E_IO;
    close(fd);
    return rc;
}

static int make_folders(restore_t *r)
{
    const char *to = r->opts->to;
    char above[PATH_MAX];

    if ((size_t)snprintf(r->anew, sizeof r->anew, "%s/anew", to) >= sizeof r->anew ||
        (size_t)snprintf(r->copy, sizeof r->copy, "%s/restored", to) >= sizeof r->copy ||
        (size_t)snprintf(r->name, sizeof r->name, "%s/data.mdb", to) >= sizeof r->name ||
        (size_t)snprintf(above, sizeof above, "%s/..", to) >= sizeof above)
        return say(r, KAP_E_INVALID, "the name of the store's folder is too long");
    if (access(r->name, F_OK) == 0)
        return say(r, KAP_E_EXISTS,
                   "there is a store already; move its folder away, and keep it until all is well");
    if (mkdir(to, 0700) != 0 && errno != EEXIST)
        return say(r, KAP_E_IO, "the store's folder cannot be made");
    remove_store(r->anew);
    remove_store(r->copy);
    return sync_folder(above);
}

/* --- the backup --- */

static bool is_there(const char *folder, const char *file)
{
    char name[PATH_MAX];

    return (size_t)snprintf(name, sizeof name, "%s/%s", folder, file) < sizeof name &&
           access(name, F_OK) == 0;
}

static int read_backup(restore_t *r)
{
    kap_txn_t *txn;
    kap_span_t ended;
    int rc = kap_txn_begin(r->backup, KAP_TXN_READ, &txn);

    if (rc != KAP_OK)
        return rc;
    rc = kap_rows_head(txn, &r->head);
    if (rc == KAP_OK)
        rc = kap_rows_ended(txn, &ended);
    if (rc == KAP_OK) {
        kap_buf_append(&r->ended, ended);
        rc = r->ended.err;
    }
    kap_txn_abort(&txn);
    return rc;
}

/* Opens it as of its version. A store that was in use (it has a lock file) may be so still: it is
 * read beside its writer. */
static int open_version(restore_t *r, uint32_t *version)
{
    const char *from = r->opts->from;
    bool used = is_there(from, "lock.mdb");
    kap_store_opts_t opts = {.path = from,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .read_only = !used,
                             .beside = used,
                             .why = r->opts->why};
    int rc;

    while ((rc = kap_store_open(&opts, &r->backup)) == KAP_E_VERSION &&
           opts.version > KAP_ROWS_OLDEST)
        opts.version--;
    if (rc == KAP_OK)
        kap_buf_reset(r->opts->why); /* of the versions that it is not */
    *version = opts.version;
    return rc;
}

static int open_backup(restore_t *r)
{
    uint32_t version;
    int rc = open_version(r, &version);

    if (rc != KAP_OK)
        return rc;
    rc = read_backup(r);
    if (rc != KAP_OK)
        return say(r, rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc,
                   "the backup's head cannot be read; take another backup");
    if (memcmp(r->head.mesh, r->opts->mesh, sizeof r->head.mesh) != 0)
        return say(r, KAP_E_CONFLICT, "the backup is of another mesh than the directory");
    if (r->opts->until > r->head.seq) {
        kap_buf_printf(r->opts->why, "the backup ends at position %" PRIu64, r->head.seq);
        return KAP_E_NOTFOUND;
    }
    r->until = r->opts->until;
    if (version != KAP_ROWS_VERSION && r->until == 0)
        r->until = r->head.seq;
    return version != KAP_ROWS_VERSION && r->until == 0
               ? say(r, KAP_E_NOTFOUND, "the backup is of an older program and empty")
               : KAP_OK;
}

/* --- up to a position --- */

static int group_at(kap_log_walk_t *walk, kap_arena_t *arena, uint64_t at, kap_event_t *ev,
                    uint32_t *source)
{
    kap_logged_t logged = {0};
    kap_span_t none = {0};
    int rc = kap_log_walk_get(walk, at, 0, &logged);

    memset(ev, 0, sizeof *ev);
    *source = logged.source;
    if (rc == KAP_OK && logged.open.size > 0)
        (void)kap_event_decode(logged.open, none, none, arena, ev, NULL);
    return rc;
}

/* Is the position in the middle of a group, whose events are judged all or none? */
static int cuts_group(kap_log_walk_t *walk, uint64_t at, bool *cuts)
{
    kap_arena_t *arena = kap_arena_new(16 << 10);
    kap_event_t last, next;
    uint32_t of_last, of_next;

    if (arena == NULL)
        return KAP_E_NOMEM;
    int rc = group_at(walk, arena, at, &last, &of_last);
    if (rc == KAP_OK)
        rc = group_at(walk, arena, at + 1, &next, &of_next);
    *cuts = rc == KAP_OK && last.group.size > 0 && of_last == of_next &&
            kap_span_eq(last.group, next.group);
    kap_arena_destroy(&arena);
    return rc;
}

static int choose_until(restore_t *r, kap_txn_t *txn)
{
    kap_log_walk_t walk;
    bool cuts = true;
    int rc = kap_log_walk_open(txn, &walk);

    while (rc == KAP_OK && cuts && r->until > 0 && r->until < r->head.seq) {
        rc = cuts_group(&walk, r->until, &cuts);
        r->until -= rc == KAP_OK && cuts;
    }
    kap_log_walk_close(&walk);
    return rc == KAP_E_NOTFOUND || rc == KAP_E_CORRUPT ? KAP_OK : rc; /* what follows is lost */
}

/* One slice of the log; figures after it, so that they do not gather without end. */
static int enter_slice(restore_t *r, kap_anew_t *anew, kap_txn_t *txn)
{
    int rc = kap_anew_to(anew, txn, r->until, SLICE_EVENTS);

    if (rc == KAP_OK || rc == KAP_E_AGAIN) {
        int wrote = kap_engine_write_figures(anew->engine);
        return wrote != KAP_OK ? wrote : rc;
    }
    if (rc == KAP_E_CORRUPT && r->opts->why->size == 0)
        kap_buf_printf(r->opts->why,
                       "the log of the backup is damaged after position %" PRIu64
                       "; what is before is kept by --until %" PRIu64,
                       anew->done + anew->count, anew->done + anew->count);
    return rc;
}

static int enter_all(restore_t *r, kap_anew_t *anew, kap_engine_t *engine)
{
    kap_txn_t *txn = NULL;
    int rc = kap_txn_begin(r->backup, KAP_TXN_READ, &txn);

    if (rc == KAP_OK)
        rc = choose_until(r, txn);
    if (rc == KAP_OK) { /* an error of what is not wanted would stick */
        kap_txn_reset(txn);
        rc = kap_txn_renew(txn);
    }
    if (rc == KAP_OK)
        rc = kap_anew_begin(anew, engine, txn, &r->head);
    while (rc == KAP_OK && (rc = enter_slice(r, anew, txn)) == KAP_E_AGAIN) {
        kap_txn_reset(txn);
        rc = kap_txn_renew(txn);
    }
    kap_txn_abort(&txn);
    return rc;
}

/* Enters the log anew into a store of its own, which is only there to be copied. */
static int enter_anew(restore_t *r, kap_store_t **out)
{
    kap_store_opts_t opts = {.path = r->anew,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .unsynced = true,
                             .why = r->opts->why};
    kap_engine_t *engine = NULL;
    kap_anew_t anew = {0};
    int rc = kap_store_open(&opts, out);

    if (rc == KAP_OK)
        rc = kap_engine_open(*out, r->head.mesh, true, &engine);
    if (rc == KAP_OK)
        rc = enter_all(r, &anew, engine);
    r->made.differs = anew.differs;
    kap_anew_fini(&anew);
    kap_engine_close(&engine);
    return rc;
}

/* --- the new store --- */

static int check_copy(void *arg, kap_store_t *copy)
{
    kap_scrub_report_t report;
    int rc = kap_scrub_all(copy, NULL, NULL, &report);

    (void)arg;
    return rc == KAP_OK && report.damages > 0 ? KAP_E_CORRUPT : rc;
}

static int copy_whole(restore_t *r)
{
    kap_store_t *anew = NULL;
    int rc = r->until > 0 ? enter_anew(r, &anew) : KAP_OK;

    if (rc == KAP_OK)
        rc = kap_store_backup(anew != NULL ? anew : r->backup, r->copy, check_copy, NULL);
    if (rc == KAP_E_CORRUPT)
        say(r, rc, "the backup is damaged; take another one, or what of its log is whole: --until");
    kap_store_close(&anew);
    remove_store(r->anew);
    return rc;
}

static int begin_epoch(restore_t *r)
{
    kap_store_opts_t opts = {.path = r->copy,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .why = r->opts->why};
    kap_store_t *store = NULL;
    kap_engine_t *engine = NULL;
    int rc = kap_store_open(&opts, &store);

    if (rc == KAP_OK)
        rc = kap_engine_open(store, r->opts->mesh, true, &engine);
    if (rc == KAP_OK) {
        r->made.kept_to = kap_engine_head(engine)->seq;
        rc = kap_engine_new_epoch(engine, r->head.epoch, kap_buf_span(&r->ended), r->opts->now);
    }
    if (rc == KAP_OK)
        r->made.head = *kap_engine_head(engine);
    kap_engine_close(&engine);
    kap_store_close(&store);
    return rc;
}

static int give_name(restore_t *r)
{
    char made[PATH_MAX];

    if ((size_t)snprintf(made, sizeof made, "%s/data.mdb", r->copy) >= sizeof made)
        return KAP_E_INVALID;
    return rename(made, r->name) == 0 ? sync_folder(r->opts->to) : KAP_E_IO;
}

int kap_restore(const kap_restore_opts_t *opts, kap_restored_t *out)
{
    restore_t r = {.opts = opts};
    int rc = make_folders(&r);

    if (rc == KAP_OK)
        rc = open_backup(&r);
    if (rc == KAP_OK)
        rc = copy_whole(&r);
    if (rc == KAP_OK)
        rc = begin_epoch(&r);
    if (rc == KAP_OK)
        rc = give_name(&r);
    if (rc == KAP_OK)
        *out = r.made;
    else
        say(&r, rc, kap_err_text(rc));
    kap_store_close(&r.backup);
    kap_buf_fini(&r.ended);
    if (r.copy[0] != '\0')
        remove_store(r.copy);
    return rc;
}
