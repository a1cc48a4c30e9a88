/* SPDX-License-Identifier: MPL-2.0 */
/* Restore: what an epoch kept, a store out of a backup, groups are not cut. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "desk.h"
#include "err.h"
#include "restore.h"
#include "rows.h"

static desk_t desk, *d = &desk;
static char made[64];

static void setup(void)
{
    desk_open(d, false);
    snprintf(made, sizeof made, "%s-restored", d->path);
}

static void teardown(void)
{
    char command[128];

    desk_close(d);
    snprintf(command, sizeof command, "rm -rf %s", made);
    cr_assert_eq(system(command), 0);
}

TestSuite(restore, .init = setup, .fini = teardown, .timeout = 60);

static void fill(int count)
{
    char id[16];

    for (int i = 1; i <= count; i++) {
        snprintf(id, sizeof id, "r%d", i);
        desk_created(d, i % 3 == 0 ? "c" : "a", id, id, i % 3 == 0 ? "c" : "a", "b", "mikkeli",
                     NULL);
        cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    }
}

Test(restore, an_epoch_keeps_what_every_later_restore_kept)
{
    kap_buf_t buf = {0};
    kap_ended_t ended[] = {{{1}, 60}, {{2}, 30}, {{3}, 90}};

    for (int i = 0; i < 3; i++)
        kap_ended_pack(&buf, &ended[i]);
    cr_expect_eq(kap_ended_kept(kap_buf_span(&buf), ended[0].epoch), 30);
    cr_expect_eq(kap_ended_kept(kap_buf_span(&buf), ended[1].epoch), 30);
    cr_expect_eq(kap_ended_kept(kap_buf_span(&buf), ended[2].epoch), 90);
    cr_expect_eq(kap_ended_kept(kap_buf_span(&buf), (const uint8_t[16]){4}), 0);
    cr_expect_eq(kap_ended_kept(kap_span(NULL, 0), ended[0].epoch), 0);
    kap_buf_fini(&buf);
}

Test(restore, what_a_stream_keeps_is_counted_at_every_position)
{
    kap_txn_t *txn;
    uint64_t positions[64], kept;
    uint32_t count;
    kap_span_t stream = KAP_SPAN("member/c");

    fill(50);
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_stream_after(txn, stream, 0, positions, 64, &count), KAP_OK);
    cr_assert_eq(count, 16);
    for (uint64_t at = 0; at <= 51; at++) {
        uint32_t expected = 0;
        while (expected < count && positions[expected] <= at)
            expected++;
        cr_assert_eq(kap_rows_stream_kept(txn, stream, at, &kept), KAP_OK);
        cr_assert_eq(kept, expected, "at %llu", (unsigned long long)at);
    }
    cr_assert_eq(kap_rows_stream_kept(txn, KAP_SPAN("member/nobody"), 50, &kept), KAP_OK);
    cr_expect_eq(kept, 0);
    kap_txn_abort(&txn);
}

/* Restores the desk's store; the result. */
static int restore(uint64_t until, kap_restored_t *out, char why[200])
{
    kap_buf_t buf = {0};
    kap_restore_opts_t opts = {
        .from = d->path, .to = made, .until = until, .now = d->now, .why = &buf};

    memcpy(opts.mesh, d->mesh, 32);
    kap_engine_close(&d->engine);
    kap_store_close(&d->store);
    int rc = kap_restore(&opts, out);
    snprintf(why, 200, "%s", kap_buf_cstr(&buf));
    kap_buf_fini(&buf);
    kap_store_opts_t again = {.path = d->path,
                              .name = KAP_ROWS_STORE,
                              .version = KAP_ROWS_VERSION,
                              .tables = kap_rows_tables};
    cr_assert_eq(kap_store_open(&again, &d->store), KAP_OK);
    cr_assert_eq(kap_engine_open(d->store, d->mesh, true, &d->engine), KAP_OK);
    return rc;
}

/* The store that was made, recounted; its head. */
static kap_head_t recount(void)
{
    kap_store_opts_t opts = {.path = made,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables};
    kap_audit_report_t report;
    kap_buf_t what = {0};
    kap_store_t *store;
    kap_txn_t *txn;
    kap_head_t head;

    cr_assert_eq(kap_store_open(&opts, &store), KAP_OK);
    int rc = kap_ledger_audit(store, &report, &what);
    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
    cr_assert_eq(report.differences, 0, "%s", kap_buf_cstr(&what));
    cr_assert_eq(kap_txn_begin(store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_head(txn, &head), KAP_OK);
    kap_txn_abort(&txn);
    kap_store_close(&store);
    kap_buf_fini(&what);
    return head;
}

Test(restore, the_whole_store_goes_on_in_a_new_epoch)
{
    kap_restored_t out;
    char why[200];

    fill(30);
    kap_head_t old = *kap_engine_head(d->engine);
    cr_assert_eq(restore(0, &out, why), KAP_OK, "%s", why);
    kap_head_t head = recount();
    cr_expect_eq(out.kept_to, 30);
    cr_expect_eq(head.seq, 31);
    cr_expect(memcmp(head.epoch, old.epoch, sizeof head.epoch) != 0);
    cr_expect_eq(memcmp(head.epoch, out.head.epoch, sizeof head.epoch), 0);
    cr_expect_eq(restore(0, &out, why), KAP_E_EXISTS);
    cr_expect_not_null(strstr(why, "there is a store already"));
}

Test(restore, any_position_can_be_gone_back_to_and_recounts)
{
    kap_restored_t out;
    char why[200], command[160];

    fill(12);
    for (uint64_t until = 1; until <= 12; until++) {
        cr_assert_eq(restore(until, &out, why), KAP_OK, "%s", why);
        cr_assert_eq(out.kept_to, until);
        cr_assert_eq(out.differs, 0);
        cr_assert_eq(recount().seq, until + 1);
        snprintf(command, sizeof command, "rm -rf %s", made);
        cr_assert_eq(system(command), 0);
    }
    cr_expect_eq(restore(13, &out, why), KAP_E_NOTFOUND);
    cr_expect_str_eq(why, "the backup ends at position 12");
}

Test(restore, a_group_is_kept_or_left_out_as_a_whole)
{
    kap_restored_t out;
    char why[200];

    fill(1);
    desk_referral(d, "b", KAP_EV_REFERRAL_REDIRECTED, "r1");
    desk_span(d, KAP_F_NEXT, "r2");
    desk_group(d, "g");
    desk_created(d, "b", "r2", "r1", "b", "e", "mikkeli", "r1");
    desk_group(d, "g");
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_assert_eq(desk_decided(d, 1)->verdict, KAP_VERDICT_ACCEPTED);
    cr_assert_eq(kap_engine_head(d->engine)->seq, 3);
    cr_assert_eq(restore(2, &out, why), KAP_OK, "%s", why);
    cr_expect_eq(out.kept_to, 1);
    cr_expect_eq(recount().seq, 2);
}

Test(restore, another_mesh_is_refused)
{
    kap_restored_t out;
    char why[200];

    fill(1);
    kap_buf_t buf = {0};
    kap_restore_opts_t opts = {.from = d->path, .to = made, .mesh = {1}, .why = &buf};
    kap_engine_close(&d->engine);
    kap_store_close(&d->store);
    cr_expect_eq(kap_restore(&opts, &out), KAP_E_CONFLICT);
    cr_expect_not_null(strstr(kap_buf_cstr(&buf), "another mesh"));
    kap_buf_fini(&buf);
    cr_expect_neq(access(made, R_OK) == 0 && rmdir(made) != 0, true, "something was left");
    cr_assert_eq(restore(1, &out, why), KAP_OK, "%s", why);
}

static void copy_table(kap_txn_t *from, kap_txn_t *to, unsigned table)
{
    kap_cursor_t *cursor;
    int rc;

    cr_assert_eq(kap_cursor_open(from, table, &cursor), KAP_OK);
    for (rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0)); rc == KAP_OK;
         rc = kap_cursor_next(cursor))
        cr_assert_eq(kap_txn_put(to, table, kap_cursor_key(cursor), kap_cursor_value(cursor)),
                     KAP_OK);
    cr_assert_eq(rc, KAP_E_NOTFOUND);
    kap_cursor_close(&cursor);
}

/* The desk's log and names in a store of another version; nothing of what is derived from them. */
static void write_version(uint32_t version, const char *path)
{
    static const unsigned kept[] = {KAP_ROWS_META,       KAP_ROWS_NAMES, KAP_ROWS_TEXTS,
                                    KAP_ROWS_LOG,        KAP_ROWS_ENDS,  KAP_ROWS_SEALED,
                                    KAP_ROWS_DIRECTORIES};
    kap_store_opts_t opts = {
        .path = path, .name = KAP_ROWS_STORE, .version = version, .tables = kap_rows_tables};
    kap_store_t *store;
    kap_txn_t *from, *to;

    cr_assert_eq(kap_store_open(&opts, &store), KAP_OK);
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &from), KAP_OK);
    cr_assert_eq(kap_txn_begin(store, KAP_TXN_WRITE, &to), KAP_OK);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        copy_table(from, to, kept[i]);
    cr_assert_eq(kap_txn_commit(&to), KAP_OK);
    kap_txn_abort(&from);
    kap_store_close(&store);
}

static int restore_from(const char *path, kap_restored_t *out, char why[300])
{
    kap_buf_t buf = {0};
    kap_restore_opts_t opts = {.from = path, .to = made, .now = d->now, .why = &buf};

    memcpy(opts.mesh, d->mesh, 32);
    int rc = kap_restore(&opts, out);
    snprintf(why, 300, "%s", kap_buf_cstr(&buf));
    kap_buf_fini(&buf);
    return rc;
}

Test(restore, an_older_version_is_entered_anew_and_others_are_refused)
{
    kap_restored_t out;
    char why[300], old[64], command[80];

    snprintf(old, sizeof old, "%s-old", d->path);
    snprintf(command, sizeof command, "rm -rf %s", old);
    fill(30);
    write_version(KAP_ROWS_OLDEST - 1, old);
    cr_expect_eq(restore_from(old, &out, why), KAP_E_VERSION);
    cr_expect_not_null(strstr(why, "it was written by an older program"));
    cr_assert_eq(system(command), 0);
    write_version(KAP_ROWS_VERSION + 1, old);
    cr_expect_eq(restore_from(old, &out, why), KAP_E_VERSION);
    cr_expect_not_null(strstr(why, "it was written by a newer program"));
    cr_assert_eq(system(command), 0);
    write_version(KAP_ROWS_OLDEST, old);
    cr_assert_eq(restore_from(old, &out, why), KAP_OK, "%s", why);
    cr_expect_eq(out.kept_to, 30);
    cr_expect_eq(recount().seq, 31);
    cr_assert_eq(system(command), 0);
}
