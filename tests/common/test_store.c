/* SPDX-License-Identifier: MPL-2.0 */
/* The store and its twin: each behaviour is shown on both. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "be.h"
#include "store.h"

static const char *const tables[] = {"first", "second", NULL};
static char directory[32];

static const char *fresh_path(void)
{
    snprintf(directory, sizeof directory, "/tmp/kapula-store-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    return directory;
}

static void remove_path(void)
{
    char command[160];

    snprintf(command, sizeof command, "rm -rf %s %s.copy %s.copy.part", directory, directory,
             directory);
    cr_assert_eq(system(command), 0);
}

static kap_store_t *open_store(bool memory, const char *path, size_t map_size)
{
    kap_store_opts_t opts = {.path = path,
                             .name = "test",
                             .version = 3,
                             .tables = tables,
                             .map_size = map_size,
                             .memory = memory};
    kap_store_t *store;

    cr_assert_eq(kap_store_open(&opts, &store), KAP_OK);
    return store;
}

static kap_txn_t *begin(kap_store_t *store, kap_txn_kind_t kind)
{
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(store, kind, &txn), KAP_OK);
    return txn;
}

static void put(kap_txn_t *txn, unsigned table, const char *key, const char *value)
{
    cr_assert_eq(kap_txn_put(txn, table, kap_span_str(key), kap_span_str(value)), KAP_OK);
}

static void expect(kap_txn_t *txn, unsigned table, const char *key, const char *value)
{
    kap_span_t found;
    int rc = kap_txn_get(txn, table, kap_span_str(key), &found);

    cr_assert_eq(rc, value == NULL ? KAP_E_NOTFOUND : KAP_OK, "%s: %s", key, kap_err_name(rc));
    if (value != NULL)
        cr_assert(kap_span_eq_str(found, value), "%s", key);
}

/* One behaviour, shown on LMDB and on the twin. */
#define BOTH(words)                                                                                \
    static void words(bool memory, kap_store_t *store);                                            \
    Test(store, words, .timeout = 60)                                                              \
    {                                                                                              \
        kap_store_t *store = open_store(false, fresh_path(), 0);                                   \
        words(false, store);                                                                       \
        kap_store_close(&store);                                                                   \
        remove_path();                                                                             \
    }                                                                                              \
    Test(store_twin, words, .timeout = 60)                                                         \
    {                                                                                              \
        kap_store_t *store = open_store(true, NULL, 0);                                            \
        words(true, store);                                                                        \
        kap_store_close(&store);                                                                   \
    }                                                                                              \
    static void words(bool memory, kap_store_t *store)

BOTH(keeps_what_was_committed_and_forgets_what_was_aborted)
{
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);

    (void)memory;
    put(txn, 0, "a", "1");
    put(txn, 1, "a", "other table");
    put(txn, 0, "empty", "");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    cr_assert_null(txn);
    txn = begin(store, KAP_TXN_WRITE);
    put(txn, 0, "a", "2");
    put(txn, 0, "b", "3");
    expect(txn, 0, "a", "2");
    kap_txn_abort(&txn);
    txn = begin(store, KAP_TXN_READ);
    expect(txn, 0, "a", "1");
    expect(txn, 0, "b", NULL);
    expect(txn, 0, "empty", "");
    expect(txn, 1, "a", "other table");
    kap_txn_abort(&txn);
}

BOTH(a_reader_keeps_its_snapshot_until_it_is_renewed)
{
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE), *reader;

    (void)memory;
    put(txn, 0, "a", "old");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    reader = begin(store, KAP_TXN_READ);
    txn = begin(store, KAP_TXN_WRITE);
    put(txn, 0, "a", "new");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    expect(reader, 0, "a", "old");
    kap_txn_reset(reader);
    cr_assert_eq(kap_txn_renew(reader), KAP_OK);
    expect(reader, 0, "a", "new");
    kap_txn_abort(&reader);
}

BOTH(takes_keys_of_1_to_511_bytes)
{
    static const uint8_t bytes[513];
    const struct {
        size_t size;
        int rc;
    } cases[] = {{0, KAP_E_INVALID}, {1, KAP_OK}, {511, KAP_OK}, {512, KAP_E_INVALID}};

    (void)memory;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
        int rc = kap_txn_put(txn, 0, kap_span(bytes, cases[i].size), KAP_SPAN("v"));
        cr_assert_eq(rc, cases[i].rc, "%zu", cases[i].size);
        cr_assert_eq(kap_txn_commit(&txn), cases[i].rc);
    }
}

BOTH(an_error_sticks_and_comes_back_from_commit)
{
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
    kap_span_t value;

    (void)memory;
    cr_assert_eq(kap_txn_append(txn, 0, KAP_SPAN("b"), KAP_SPAN("1")), KAP_OK);
    cr_assert_eq(kap_txn_append(txn, 0, KAP_SPAN("b"), KAP_SPAN("2")), KAP_E_EXISTS);
    cr_assert_eq(kap_txn_error(txn), KAP_E_EXISTS);
    cr_assert_eq(kap_txn_put(txn, 0, KAP_SPAN("c"), KAP_SPAN("3")), KAP_E_EXISTS);
    cr_assert_eq(kap_txn_get(txn, 0, KAP_SPAN("b"), &value), KAP_E_EXISTS);
    cr_assert_eq(kap_txn_commit(&txn), KAP_E_EXISTS);
    txn = begin(store, KAP_TXN_READ);
    expect(txn, 0, "b", NULL);
    kap_txn_abort(&txn);
}

BOTH(append_refuses_what_is_not_above_the_last)
{
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);

    (void)memory;
    cr_assert_eq(kap_txn_append(txn, 0, KAP_SPAN("b"), KAP_SPAN("1")), KAP_OK);
    cr_assert_eq(kap_txn_append(txn, 0, KAP_SPAN("c"), KAP_SPAN("2")), KAP_OK);
    cr_assert_eq(kap_txn_append(txn, 0, KAP_SPAN("a"), KAP_SPAN("3")), KAP_E_EXISTS);
    kap_txn_abort(&txn);
}

BOTH(deletes_a_key_and_says_when_there_is_none)
{
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);

    (void)memory;
    put(txn, 0, "a", "1");
    cr_assert_eq(kap_txn_delete(txn, 0, KAP_SPAN("a")), KAP_OK);
    cr_assert_eq(kap_txn_delete(txn, 0, KAP_SPAN("a")), KAP_E_NOTFOUND);
    expect(txn, 0, "a", NULL);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
}

static void stands_at(kap_cursor_t *cursor, int rc, const char *key)
{
    cr_assert_eq(rc, key == NULL ? KAP_E_NOTFOUND : KAP_OK, "%s", kap_err_name(rc));
    cr_assert(kap_span_eq(kap_cursor_key(cursor), kap_span_str(key)), "%s", key);
    cr_assert(kap_span_eq(kap_cursor_value(cursor), kap_span_str(key)));
}

BOTH(a_cursor_walks_in_order_of_bytes)
{
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
    kap_cursor_t *c;

    (void)memory;
    put(txn, 0, "m", "m");
    put(txn, 0, "b", "b");
    put(txn, 0, "ma", "ma");
    put(txn, 0, "x", "x");
    cr_assert_eq(kap_cursor_open(txn, 0, &c), KAP_OK);
    stands_at(c, kap_cursor_seek_ge(c, KAP_SPAN("")), "b");
    stands_at(c, kap_cursor_next(c), "m");
    stands_at(c, kap_cursor_next(c), "ma");
    stands_at(c, kap_cursor_prev(c), "m");
    stands_at(c, kap_cursor_seek_ge(c, KAP_SPAN("n")), "x");
    stands_at(c, kap_cursor_next(c), NULL);
    stands_at(c, kap_cursor_seek_ge(c, KAP_SPAN("y")), NULL);
    stands_at(c, kap_cursor_seek_le(c, KAP_SPAN("y")), "x");
    stands_at(c, kap_cursor_seek_le(c, KAP_SPAN("mb")), "ma");
    stands_at(c, kap_cursor_seek_le(c, KAP_SPAN("ma")), "ma");
    stands_at(c, kap_cursor_seek_le(c, KAP_SPAN("a")), NULL);
    stands_at(c, kap_cursor_last(c), "x");
    kap_cursor_close(&c);
    cr_assert_eq(kap_cursor_open(txn, 1, &c), KAP_OK);
    stands_at(c, kap_cursor_last(c), NULL);
    stands_at(c, kap_cursor_seek_ge(c, KAP_SPAN("")), NULL);
    kap_cursor_close(&c);
    kap_txn_abort(&txn);
}

/* The same seeded writes on the store and on a plain array agree. */
BOTH(agrees_with_an_array_after_many_random_writes)
{
    enum { KEYS = 300, ROUNDS = 40, WRITES = 60 };
    int model[KEYS], saved[KEYS];
    uint32_t seed = 7;

    (void)memory;
    for (int i = 0; i < KEYS; i++)
        model[i] = -1;
    for (int round = 0; round < ROUNDS; round++) {
        kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
        memcpy(saved, model, sizeof model);
        for (int i = 0; i < WRITES; i++) {
            seed = seed * 1664525u + 1013904223u;
            int at = (int)((seed >> 8) % KEYS), value = (int)(seed >> 20);
            uint8_t key[4], bytes[4];
            kap_be_put_u32(key, (uint32_t)at);
            kap_be_put_u32(bytes, (uint32_t)value);
            if (value % 4 == 0) {
                cr_assert_eq(kap_txn_delete(txn, 0, kap_span(key, 4)),
                             model[at] < 0 ? KAP_E_NOTFOUND : KAP_OK);
                model[at] = -1;
            } else {
                cr_assert_eq(kap_txn_put(txn, 0, kap_span(key, 4), kap_span(bytes, 4)), KAP_OK);
                model[at] = value;
            }
        }
        if (round % 5 == 4) {
            kap_txn_abort(&txn);
            memcpy(model, saved, sizeof model);
        } else {
            cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
        }
    }
    kap_txn_t *txn = begin(store, KAP_TXN_READ);
    kap_cursor_t *c;
    cr_assert_eq(kap_cursor_open(txn, 0, &c), KAP_OK);
    int rc = kap_cursor_seek_ge(c, kap_span(NULL, 0));
    for (int i = 0; i < KEYS; i++) {
        if (model[i] < 0)
            continue;
        cr_assert_eq(rc, KAP_OK);
        cr_assert_eq(kap_be_get_u32(kap_cursor_key(c).data), (uint32_t)i);
        cr_assert_eq(kap_be_get_u32(kap_cursor_value(c).data), (uint32_t)model[i]);
        rc = kap_cursor_next(c);
    }
    cr_assert_eq(rc, KAP_E_NOTFOUND);
    kap_cursor_close(&c);
    kap_txn_abort(&txn);
}

BOTH(keeps_large_values)
{
    static uint8_t big[200000];
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
    kap_span_t value;

    (void)memory;
    memset(big, 'x', sizeof big);
    cr_assert_eq(kap_txn_put(txn, 0, KAP_SPAN("k"), kap_span(big, sizeof big)), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    txn = begin(store, KAP_TXN_READ);
    cr_assert_eq(kap_txn_get(txn, 0, KAP_SPAN("k"), &value), KAP_OK);
    cr_assert(kap_span_eq(value, kap_span(big, sizeof big)));
    kap_txn_abort(&txn);
}

Test(store, is_there_again_after_it_was_closed)
{
    kap_store_t *store = open_store(false, fresh_path(), 0);
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
    uint8_t id[KAP_STORE_ID_BYTES];

    put(txn, 0, "a", "1");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    memcpy(id, kap_store_id(store), sizeof id);
    kap_store_close(&store);
    cr_assert_null(store);
    store = open_store(false, directory, 0);
    cr_assert_arr_eq(kap_store_id(store), id, sizeof id);
    txn = begin(store, KAP_TXN_READ);
    expect(txn, 0, "a", "1");
    kap_txn_abort(&txn);
    kap_store_close(&store);
    remove_path();
}

static int try_open(const char *name, uint32_t version, kap_buf_t *why)
{
    kap_store_opts_t opts = {.path = directory,
                             .name = name,
                             .version = version,
                             .tables = tables,
                             .older = "do this",
                             .why = why};
    kap_store_t *store = NULL;
    int rc = kap_store_open(&opts, &store);

    kap_store_close(&store);
    return rc;
}

Test(store, refuses_a_newer_version_with_a_sentence)
{
    kap_store_t *store = open_store(false, fresh_path(), 0);
    kap_buf_t why = {0};

    kap_store_close(&store);
    cr_assert_eq(try_open("test", 2, &why), KAP_E_VERSION);
    cr_assert_not_null(strstr(kap_buf_cstr(&why), "newer program (rows 3, this program knows 2)"));
    kap_buf_reset(&why);
    cr_assert_eq(try_open("test", 4, &why), KAP_E_VERSION);
    cr_assert_not_null(strstr(kap_buf_cstr(&why), "older program"));
    cr_assert_not_null(strstr(kap_buf_cstr(&why), "; do this"));
    kap_buf_reset(&why);
    cr_assert_eq(try_open("other", 3, &why), KAP_E_CONFLICT);
    cr_assert_not_null(strstr(kap_buf_cstr(&why), "it belongs to \"test\", not to \"other\""));
    cr_assert_eq(try_open("test", 3, NULL), KAP_OK);
    kap_buf_fini(&why);
    remove_path();
}

Test(store, is_open_in_one_place_only)
{
    kap_store_t *store = open_store(false, fresh_path(), 0);
    kap_buf_t why = {0};

    cr_assert_eq(try_open("test", 3, &why), KAP_E_EXISTS);
    cr_assert_not_null(strstr(kap_buf_cstr(&why), "another process has it open"));
    kap_store_close(&store);
    cr_assert_eq(try_open("test", 3, NULL), KAP_OK);
    kap_buf_fini(&why);
    remove_path();
}

/* Flips each byte of a record's value on the disk, one after another. */
Test(store, finds_a_flipped_bit)
{
    kap_store_t *store = open_store(false, fresh_path(), 0);
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
    char file[48];
    static char bytes[1 << 20];
    kap_span_t value;

    put(txn, 0, "key", "the value that will be damaged");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    kap_store_close(&store);
    snprintf(file, sizeof file, "%s/data.mdb", directory);
    int fd = open(file, O_RDWR);
    ssize_t size = read(fd, bytes, sizeof bytes);
    cr_assert_gt(size, 0);
    char *at = memmem(bytes, (size_t)size, "the value that", 14);
    cr_assert_not_null(at);
    cr_assert_eq(pwrite(fd, "X", 1, at - bytes), 1);
    close(fd);
    store = open_store(false, directory, 0);
    txn = begin(store, KAP_TXN_READ);
    cr_assert_eq(kap_txn_get(txn, 0, KAP_SPAN("key"), &value), KAP_E_CORRUPT);
    kap_txn_abort(&txn);
    uint64_t records;
    cr_assert_eq(kap_store_verify(store, &records), KAP_E_CORRUPT);
    kap_store_close(&store);
    remove_path();
}

Test(store, grows_after_its_map_was_full)
{
    enum { SMALL = 1 << 20 };
    kap_store_t *store = open_store(false, fresh_path(), SMALL);
    static uint8_t big[SMALL];
    uint64_t used, before, after;
    kap_txn_t *txn;
    int rc, grown = 0;

    cr_assert_eq(kap_store_usage(store, &used, &before), KAP_OK);
    do {
        txn = begin(store, KAP_TXN_WRITE);
        kap_txn_put(txn, 0, KAP_SPAN("k"), kap_span(big, sizeof big));
        rc = kap_txn_commit(&txn);
        if (rc == KAP_E_MAPFULL) {
            cr_assert_eq(kap_store_grow(store), KAP_OK);
            grown++;
        }
    } while (rc == KAP_E_MAPFULL && grown < 8);
    cr_assert_eq(rc, KAP_OK);
    cr_assert_gt(grown, 0);
    cr_assert_eq(kap_store_usage(store, &used, &after), KAP_OK);
    cr_assert_gt(after, before);
    cr_assert_leq(used, after);
    kap_store_close(&store);
    remove_path();
}

Test(store, growing_under_an_open_reader_is_a_bug, .signal = SIGABRT)
{
    kap_store_t *store = open_store(true, NULL, 0);

    begin(store, KAP_TXN_READ);
    kap_store_grow(store);
}

static void *commit_elsewhere(void *arg)
{
    kap_txn_t *txn = arg;

    kap_txn_commit(&txn);
    return NULL;
}

Test(store, committing_in_another_thread_is_a_bug, .signal = SIGABRT)
{
    kap_store_t *store = open_store(true, NULL, 0);
    pthread_t thread;

    pthread_create(&thread, NULL, commit_elsewhere, begin(store, KAP_TXN_WRITE));
    pthread_join(thread, NULL);
}

Test(store, a_backup_is_verified_and_opens_by_itself)
{
    kap_store_t *store = open_store(false, fresh_path(), 0);
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
    char copy[48];
    uint64_t records;

    put(txn, 0, "a", "1");
    put(txn, 1, "b", "2");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    snprintf(copy, sizeof copy, "%s.copy", directory);
    cr_assert_eq(kap_store_backup(store, copy, NULL, NULL), KAP_OK);
    cr_assert_eq(kap_store_backup(store, copy, NULL, NULL), KAP_E_EXISTS);
    kap_store_t *other = open_store(false, copy, 0);
    cr_assert_arr_eq(kap_store_id(other), kap_store_id(store), KAP_STORE_ID_BYTES);
    cr_assert_eq(kap_store_verify(other, &records), KAP_OK);
    cr_assert_eq(records, 2);
    txn = begin(other, KAP_TXN_READ);
    expect(txn, 1, "b", "2");
    kap_txn_abort(&txn);
    kap_store_close(&other);
    kap_store_close(&store);
    remove_path();
}

static int refuse_copy(void *arg, kap_store_t *copy)
{
    ++*(int *)arg;
    cr_assert_not_null(copy);
    return KAP_E_CONFLICT;
}

Test(store, a_copy_that_its_owner_refuses_is_no_backup)
{
    kap_store_t *store = open_store(false, fresh_path(), 0);
    char copy[48];
    int asked = 0;

    snprintf(copy, sizeof copy, "%s.copy", directory);
    cr_assert_eq(kap_store_backup(store, copy, refuse_copy, &asked), KAP_E_CONFLICT);
    cr_assert_eq(asked, 1);
    cr_assert_neq(access(copy, F_OK), 0);
    cr_assert_eq(kap_store_backup(store, "/tmp/kapula-no-such-folder/copy", NULL, NULL),
                 KAP_E_NOTFOUND);
    kap_store_close(&store);
    remove_path();
}

static void put_numbers(kap_store_t *store, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i <= to; i++) {
        uint8_t key[4];
        kap_be_put_u32(key, i);
        kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
        cr_assert_eq(kap_txn_append(txn, 0, kap_span(key, 4), KAP_SPAN("counted")), KAP_OK);
        cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    }
}

/* Another process: opens it beside the writer and copies it. */
static int copy_beside(const char *path)
{
    kap_store_opts_t opts = {
        .path = path, .name = "test", .version = 3, .tables = tables, .beside = true};
    kap_store_t *store;
    char copy[48];
    int rc = kap_store_open(&opts, &store);

    if (rc != KAP_OK)
        return rc;
    snprintf(copy, sizeof copy, "%s.copy", path);
    rc = kap_store_backup(store, copy, NULL, NULL);
    kap_store_close(&store);
    return rc;
}

Test(store, another_process_copies_it_while_it_is_written, .timeout = 60)
{
    uint64_t records;
    char copy[48];
    int status = 0;

    fresh_path();
    kap_store_t *store = open_store(false, directory, 0);
    put_numbers(store, 1, 50);
    kap_store_close(&store); /* one environment a process: the child must not inherit it */
    pid_t child = fork();
    if (child == 0) {
        int rc = KAP_OK;
        for (int i = 0; rc == KAP_OK && i < 5; i++) {
            char command[160];
            rc = copy_beside(directory);
            snprintf(command, sizeof command, "mv %s.copy %s/copy%d", directory, directory, i);
            rc = rc == KAP_OK && system(command) == 0 ? KAP_OK : KAP_E_IO;
        }
        _exit(-rc);
    }
    store = open_store(false, directory, 0);
    for (uint32_t i = 51; waitpid(child, &status, WNOHANG) == 0; i++)
        put_numbers(store, i, i);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    kap_store_close(&store);
    snprintf(copy, sizeof copy, "%s/copy4", directory);
    store = open_store(false, copy, 0);
    cr_assert_eq(kap_store_verify(store, &records), KAP_OK);
    cr_assert_geq(records, 50);
    kap_store_close(&store);
    remove_path();
}

static void keep_damaged(void *arg, const kap_damaged_t *damaged)
{
    kap_damaged_t *kept = arg;

    kept[0] = *damaged;
    kept[0].key = kap_span_eq_str(damaged->key, "key") ? KAP_SPAN("key") : kap_span(NULL, 0);
}

/* A whole scrub in slices of one record; how many slices it took. */
static int scrub(kap_store_t *store, kap_damaged_t *damaged)
{
    kap_scrub_place_t place = {0};
    kap_txn_t *txn = begin(store, KAP_TXN_READ);
    int slices = 1;

    while (kap_txn_scrub(txn, &place, 1, keep_damaged, damaged) == KAP_E_AGAIN) {
        kap_txn_reset(txn);
        cr_assert_eq(kap_txn_renew(txn), KAP_OK);
        slices++;
    }
    cr_assert_eq(place.table, 0);
    kap_txn_abort(&txn);
    return slices;
}

Test(store, a_scrub_reads_everything_and_names_what_is_damaged)
{
    static uint8_t bytes[1 << 20];
    kap_damaged_t damaged = {.table = -2};
    kap_store_t *store = open_store(false, fresh_path(), 0);
    kap_txn_t *txn = begin(store, KAP_TXN_WRITE);

    put(txn, 0, "a", "1");
    put(txn, 1, "key", "the value that is hit");
    put(txn, 1, "z", "2");
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    cr_assert_eq(scrub(store, &damaged), 5); /* the store's own record, three, the end */
    cr_assert_eq(damaged.table, -2);
    kap_store_close(&store);
    char file[64];
    snprintf(file, sizeof file, "%s/data.mdb", directory);
    int fd = open(file, O_RDWR);
    ssize_t size = read(fd, bytes, sizeof bytes);
    cr_assert_gt(size, 0);
    char *at = memmem(bytes, (size_t)size, "the value that", 14);
    cr_assert_not_null(at);
    cr_assert_eq(pwrite(fd, "X", 1, at - (char *)bytes), 1);
    close(fd);
    store = open_store(false, directory, 0);
    cr_assert_eq(scrub(store, &damaged), 5);
    cr_assert_eq(damaged.table, 1);
    cr_assert(kap_span_eq_str(damaged.key, "key") && !damaged.beyond);
    kap_store_close(&store);
    remove_path();
}

Test(store, the_twin_has_no_backup)
{
    kap_store_t *store = open_store(true, NULL, 0);

    fresh_path();
    char copy[48];
    snprintf(copy, sizeof copy, "%s.copy", directory);
    cr_assert_eq(kap_store_backup(store, copy, NULL, NULL), KAP_E_INVALID);
    kap_store_close(&store);
    remove_path();
}

/* A child commits counters and reports each after its commit; it is killed in the
 * middle. Whatever it reported is there. */
Test(store, what_was_committed_survives_a_kill, .timeout = 60)
{
    int pipes[2];
    uint32_t seen = 0, next;

    fresh_path();
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        kap_store_t *store = open_store(false, directory, 0);
        for (uint32_t i = 1;; i++) {
            uint8_t key[4];
            kap_be_put_u32(key, i);
            kap_txn_t *txn = begin(store, KAP_TXN_WRITE);
            kap_txn_append(txn, 0, kap_span(key, 4), KAP_SPAN("counted"));
            if (kap_txn_commit(&txn) != KAP_OK || write(pipes[1], &i, sizeof i) != sizeof i)
                _exit(1);
        }
    }
    close(pipes[1]);
    while (seen < 200 && read(pipes[0], &next, sizeof next) == (ssize_t)sizeof next)
        seen = next;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(pipes[0], &next, sizeof next) == (ssize_t)sizeof next)
        seen = next;
    close(pipes[0]);
    kap_store_t *store = open_store(false, directory, 0);
    uint64_t records, free_bytes;
    int dead;
    cr_assert_eq(kap_store_check_readers(store, &dead), KAP_OK);
    cr_assert_eq(kap_store_verify(store, &records), KAP_OK);
    cr_assert_geq(records, seen);
    cr_assert_leq(records, seen + 1);
    cr_assert_eq(kap_store_disk(store, &free_bytes), KAP_OK);
    cr_assert_gt(free_bytes, 0);
    kap_store_close(&store);
    remove_path();
}
