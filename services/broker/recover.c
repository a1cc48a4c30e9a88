/* SPDX-License-Identifier: MPL-2.0 */
#include "recover.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "directory.h"
#include "err.h"
#include "ids.h"
#include "live.h"
#include "restore.h"
#include "rows.h"
#include "scrub.h"

/* Opens the configured store beside the broker that may be writing it. */
static int open_beside(const kap_conf_t *conf, kap_store_t **store)
{
    kap_buf_t why = {0};
    kap_store_opts_t opts = {.path = kap_conf_str(conf, "store"),
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .older = KAP_ROWS_OLDER,
                             .tables = kap_rows_tables,
                             .beside = true,
                             .why = &why};
    int rc = kap_store_open(&opts, store);

    if (rc != KAP_OK)
        fprintf(stderr, "%s\n", kap_buf_cstr(&why));
    kap_buf_fini(&why);
    return rc;
}

static void print_damage(void *arg, const char *words)
{
    (void)arg;
    printf("damaged: %s\n", words);
}

/* --- backup --- */

static int read_head(kap_store_t *store, kap_head_t *head)
{
    kap_txn_t *txn;
    int rc = kap_txn_begin(store, KAP_TXN_READ, &txn);

    if (rc != KAP_OK)
        return rc;
    rc = kap_rows_head(txn, head);
    kap_txn_abort(&txn);
    return rc;
}

/* Is the copy whole? What was read at its head is what it holds. */
static int check_copy(void *arg, kap_store_t *copy)
{
    kap_scrub_report_t report;
    int rc = kap_scrub_all(copy, print_damage, NULL, &report);

    if (rc == KAP_OK && report.damages > 0)
        rc = KAP_E_CORRUPT;
    return rc == KAP_OK ? read_head(copy, arg) : rc;
}

static const char *no_backup(int rc)
{
    switch (rc) {
    case KAP_E_EXISTS:
        return "it is there already; name a folder that is not";
    case KAP_E_NOTFOUND:
        return "the folder it is to lie in is not there";
    case KAP_E_CORRUPT:
        return "the store is damaged; see --scrub";
    default:
        return kap_err_text(rc);
    }
}

static void print_head(const kap_head_t *head)
{
    char epoch[33], time[32];

    kap_hex_encode(head->epoch, sizeof head->epoch, epoch);
    kap_time_format_utc(head->time, time);
    printf("position %" PRIu64 "\nepoch %s\ntime %s\n", head->seq, epoch,
           head->seq > 0 ? time : "none");
}

static void print_size(const char *directory)
{
    char file[PATH_MAX];
    struct stat st;

    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", directory) < sizeof file &&
        stat(file, &st) == 0)
        printf("bytes %lld\n", (long long)st.st_size);
}

int kap_recover_backup(const kap_conf_t *conf, const char *directory)
{
    kap_store_t *store;
    kap_head_t head = {0};
    int64_t begun = kap_monotonic_ms();
    int rc = open_beside(conf, &store);

    if (rc != KAP_OK)
        return rc;
    rc = kap_store_backup(store, directory, check_copy, &head);
    kap_store_close(&store);
    if (rc != KAP_OK) {
        fprintf(stderr, "no backup in %s: %s\n", directory, no_backup(rc));
        return rc;
    }
    int64_t took = kap_monotonic_ms() - begun;
    printf("backup %s\n", directory);
    print_head(&head);
    print_size(directory);
    printf("seconds %lld.%03lld\n", (long long)(took / 1000), (long long)(took % 1000));
    return KAP_OK;
}

/* --- scrub --- */

static void print_advice(const kap_scrub_report_t *report)
{
    if (report->damages == 0)
        printf("whole: every record, leaf and the chain up to position %" PRIu64 "\n",
               report->position);
    else if (report->log_from == 0)
        printf("the log is whole up to position %" PRIu64 ": everything else can be made of it "
               "again. Stop the broker, move the store's folder away, and enter it anew: "
               "--restore MOVED --until %" PRIu64 "\n",
               report->position, report->position);
    else
        printf("the log is damaged from position %" PRIu64 " on. Stop the broker, move the "
               "store's folder away, and restore the newest backup: --restore BACKUP; what nodes "
               "hold beyond it they send again\n",
               report->log_from);
}

static int scrub(const kap_conf_t *conf)
{
    kap_store_t *store;
    kap_scrub_report_t report;
    int rc = open_beside(conf, &store);

    if (rc != KAP_OK)
        return rc;
    rc = kap_scrub_all(store, print_damage, NULL, &report);
    kap_store_close(&store);
    if (rc != KAP_OK)
        fprintf(stderr, "the store cannot be read: %s\n", kap_err_text(rc));
    else
        print_advice(&report);
    fflush(stdout);
    return rc == KAP_OK && report.damages > 0 ? KAP_E_CORRUPT : rc;
}

int kap_recover_scrub(const kap_conf_t *conf)
{
    int status = 0;

    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        return KAP_E_NOMEM;
    if (child == 0)
        _exit(-scrub(conf));
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFEXITED(status))
        return -WEXITSTATUS(status);
    printf("damaged: a page cannot be read, whoever reads it ends (signal %d)\n"
           "Stop the broker, move the store's folder away, and restore the newest backup: "
           "--restore BACKUP\n",
           WTERMSIG(status));
    return KAP_E_CORRUPT;
}

/* --- restore --- */

static int mesh_of(const kap_conf_t *conf, uint8_t mesh[32], int64_t *now)
{
    kap_directory_t *dir = NULL;
    kap_clock_t *own = NULL;
    const char *path = kap_conf_str(conf, "clock");
    int rc = path != NULL ? kap_clock_file_open(path, &own) : KAP_OK;
    const kap_clock_t *clock = own != NULL ? own : kap_clock_system();
    kap_live_opts_t live = {.path = kap_conf_str(conf, "directory"),
                            .authority = kap_conf_str(conf, "authority"),
                            .rehearsal = path != NULL,
                            .plain = kap_conf_bool(conf, "plain"),
                            .clock = clock};

    *now = kap_clock_now_ms(clock);
    rc = rc == KAP_OK ? kap_live_check(&live, &dir) : KAP_E_CONFIG;
    if (rc == KAP_OK)
        memcpy(mesh, kap_directory_mesh(dir), 32);
    kap_directory_unref(&dir);
    kap_clock_destroy(&own);
    return rc;
}

int kap_recover_restore(const kap_conf_t *conf, const char *directory, uint64_t until)
{
    kap_buf_t why = {0};
    kap_restored_t made;
    kap_restore_opts_t opts = {
        .from = directory, .to = kap_conf_str(conf, "store"), .until = until, .why = &why};
    int rc = mesh_of(conf, opts.mesh, &opts.now);

    if (rc != KAP_OK)
        return rc; /* said where it was found */
    rc = kap_restore(&opts, &made);
    if (rc == KAP_OK) {
        printf("restored %s\nkept_to %" PRIu64 "\n", opts.to, made.kept_to);
        print_head(&made.head);
        if (made.differs > 0)
            printf("differs %" PRIu64 ": this program decides that position otherwise than it was "
                   "decided then\n",
                   made.differs);
    } else {
        fprintf(stderr, "nothing was restored to %s: %s\n", opts.to, kap_buf_cstr(&why));
    }
    kap_buf_fini(&why);
    return rc;
}
