/* SPDX-License-Identifier: MPL-2.0 */
/* Rows: numbers, keys, and reading back what the engine wrote. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "audit.h"
#include "desk.h"
#include "err.h"
#include "hash.h"
#include "rows.h"

static desk_t desk, *d = &desk;

static kap_txn_t *reading(void)
{
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    return txn;
}

Test(rows, numbers_come_back_as_they_went)
{
    static const int64_t values[] = {
        0, 1, -1, 63, 64, -64, 127, 128, INT64_MAX, INT64_MIN, 1 << 20, -(1 << 20), 1769000000000};
    kap_buf_t buf = {0};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        kap_put_svarint(&buf, values[i]);
        kap_put_varint(&buf, (uint64_t)values[i]);
    }
    kap_span_t rest = kap_buf_span(&buf);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        int64_t s;
        uint64_t u;
        cr_assert(kap_get_svarint(&rest, &s));
        cr_assert_eq(s, values[i]);
        cr_assert(kap_get_varint(&rest, &u));
        cr_assert_eq(u, (uint64_t)values[i]);
    }
    cr_assert_eq(rest.size, 0);
    kap_buf_fini(&buf);
}

Test(rows, a_number_above_64_bits_or_cut_short_is_none)
{
    kap_span_t long_one = KAP_SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    kap_span_t cut = KAP_SPAN("\xff\xff"), text,
               short_text = KAP_SPAN("\x05"
                                     "abc");
    uint64_t value;

    cr_assert_not(kap_get_varint(&long_one, &value));
    cr_assert_not(kap_get_varint(&cut, &value));
    cr_assert_not(kap_get_text(&short_text, &text));
}

Test(rows, deadlines_sort_by_time_before_and_after_1970)
{
    static const int64_t times[] = {INT64_MIN, -5, -1, 0, 1, 1769000000000, INT64_MAX};
    kap_key_t before = {0}, key;
    int64_t at;
    uint32_t scope;
    kap_span_t id;

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        kap_key_due(&key, times[i], 3, KAP_SPAN("r"));
        cr_assert_lt(kap_span_cmp(kap_key_span(&before), kap_key_span(&key)), 0);
        cr_assert_eq(kap_key_due_split(kap_key_span(&key), &at, &scope, &id), KAP_OK);
        cr_assert_eq(at, times[i]);
        cr_assert_eq(scope, 3);
        cr_assert(kap_span_eq_str(id, "r"));
        before = key;
    }
    cr_assert_eq(kap_key_due_split(KAP_SPAN("123456789012"), &at, &scope, &id), KAP_E_CORRUPT);
}

/* 300 referrals in batches of 20 by three sources: enough for several runs of the log. */
static void fill(void)
{
    static const char *const who[] = {"a", "b", "c"};
    char id[24];

    for (int batch = 0; batch < 15; batch++) {
        for (int i = 0; i < 20; i++) {
            snprintf(id, sizeof id, "r%d-%d", batch, i);
            desk_created(d, who[batch % 3], id, id, who[batch % 3], who[(batch + 1) % 3], "mikkeli",
                         NULL);
        }
        cr_assert_eq(desk_said(d), 0);
    }
}

Test(rows, the_log_is_read_forwards_backwards_and_by_leaps)
{
    kap_log_walk_t walk;
    kap_logged_t e;

    desk_open(d, false);
    fill();
    kap_txn_t *txn = reading();
    cr_assert_eq(kap_log_walk_open(txn, &walk), KAP_OK);
    for (uint64_t at = 1; at <= 300; at++) {
        cr_assert_eq(kap_log_walk_get(&walk, at, KAP_LOGGED_ENDS, &e), KAP_OK);
        cr_assert_eq(e.log_seq, at);
        cr_assert_eq(e.begins_batch, at % 20 == 1);
        cr_assert_gt(e.ends.size, 16);
    }
    for (uint64_t at = 300; at >= 1; at--)
        cr_assert_eq(kap_log_walk_get(&walk, at, 0, &e), KAP_OK);
    for (uint64_t at = 1, n = 0; n < 500; n++, at = at * 7 % 300 + 1) {
        cr_assert_eq(kap_log_walk_get(&walk, at, n % 4, &e), KAP_OK);
        cr_assert_eq(e.sequence, (at - 1) / 60 * 20 + (at - 1) % 20 + 1);
    }
    cr_assert_eq(kap_log_walk_get(&walk, 0, 0, &e), KAP_E_NOTFOUND);
    cr_assert_eq(kap_log_walk_get(&walk, 301, 0, &e), KAP_E_NOTFOUND);
    cr_assert_eq(kap_log_walk_get(&walk, INT64_MAX, 0, &e), KAP_E_NOTFOUND);
    cr_assert_eq(kap_log_walk_get(&walk, 300, 0, &e), KAP_OK);
    kap_log_walk_close(&walk);
    kap_txn_abort(&txn);
    desk_close(d);
}

Test(rows, the_chain_is_that_of_the_leaves)
{
    kap_log_walk_t walk;
    kap_logged_t e;
    kap_head_t head;
    uint8_t chain[32];

    desk_open(d, true);
    fill();
    kap_txn_t *txn = reading();
    cr_assert_eq(kap_rows_head(txn, &head), KAP_OK);
    kap_chain_start(head.mesh, head.epoch, chain);
    cr_assert_eq(kap_log_walk_open(txn, &walk), KAP_OK);
    for (uint64_t at = 1; at <= head.seq; at++) {
        cr_assert_eq(kap_log_walk_get(&walk, at, 0, &e), KAP_OK);
        kap_chain(chain, e.leaf, chain);
    }
    cr_assert_arr_eq(chain, head.chain, 32);
    kap_log_walk_close(&walk);
    kap_txn_abort(&txn);
    desk_close(d);
}

Test(rows, a_stream_is_read_from_any_cursor)
{
    uint64_t seqs[64], head;
    uint32_t n;

    desk_open(d, false);
    fill();
    kap_txn_t *txn = reading();
    cr_assert_eq(kap_rows_stream_head(txn, KAP_SPAN("region/mikkeli"), &head), KAP_OK);
    cr_assert_eq(head, 300);
    cr_assert_eq(kap_rows_stream_head(txn, KAP_SPAN("member/a"), &head), KAP_OK);
    cr_assert_eq(head, 200);
    for (uint64_t after = 0; after < 300; after += 13) {
        cr_assert_eq(kap_rows_stream_after(txn, KAP_SPAN("region/mikkeli"), after, seqs, 64, &n),
                     KAP_OK);
        cr_assert_eq(n, 300 - after < 64 ? 300 - after : 64);
        for (uint32_t i = 0; i < n; i++)
            cr_assert_eq(seqs[i], after + i + 1);
    }
    cr_assert_eq(kap_rows_stream_after(txn, KAP_SPAN("region/mikkeli"), 300, seqs, 64, &n), KAP_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(kap_rows_stream_after(txn, KAP_SPAN("region/mikkeli"), INT64_MAX, seqs, 64, &n),
                 KAP_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(kap_rows_stream_after(txn, KAP_SPAN("region/unknown"), 0, seqs, 64, &n), KAP_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(kap_rows_stream_head(txn, KAP_SPAN("region/unknown"), &head), KAP_OK);
    cr_assert_eq(head, 0);
    kap_txn_abort(&txn);
    desk_close(d);
}

/* One event a batch, and so many batches that places are folded more than once. */
Test(rows, a_stream_is_read_across_what_is_folded_and_what_is_not)
{
    enum { REFERRALS = 75, MAX = 200 };
    uint64_t seqs[MAX], head;
    uint32_t n;
    char id[32];
    kap_audit_report_t report;

    desk_open(d, false);
    for (int i = 0; i < REFERRALS; i++) {
        snprintf(id, sizeof id, "r%d", i);
        desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        desk_send(d);
        desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, id);
        desk_send(d);
        if (i % 20 == 10)
            desk_reopen(d);
        kap_txn_t *txn = reading();
        uint64_t all = 2 * (uint64_t)i + 2;
        cr_assert_eq(kap_rows_stream_head(txn, KAP_SPAN("member/b"), &head), KAP_OK);
        cr_assert_eq(head, all);
        for (uint64_t after = 0; after <= all; after += 7) {
            cr_assert_eq(kap_rows_stream_after(txn, KAP_SPAN("member/b"), after, seqs, MAX, &n),
                         KAP_OK);
            cr_assert_eq(n, all - after);
            for (uint32_t at = 0; at < n; at++)
                cr_assert_eq(seqs[at], after + at + 1);
        }
        kap_txn_abort(&txn);
    }
    cr_assert_eq(kap_ledger_audit(d->store, &report, NULL), KAP_OK);
    cr_assert_eq(report.differences, 0);
    desk_close(d);
}

Test(rows, a_source_has_its_mark_and_its_receipts)
{
    kap_mark_t mark;
    uint64_t at;

    desk_open(d, true);
    fill();
    kap_txn_t *txn = reading();
    cr_assert_eq(kap_rows_mark(txn, KAP_SPAN("a/p"), &mark), KAP_OK);
    cr_assert_eq(mark.last, 100);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        cr_assert_eq(kap_rows_receipt(txn, KAP_SPAN("b/p"), seq, &at), KAP_OK);
        cr_assert_eq(at, 20 + (seq - 1) / 20 * 60 + (seq - 1) % 20 + 1);
    }
    cr_assert_eq(kap_rows_receipt(txn, KAP_SPAN("b/p"), 101, &at), KAP_E_NOTFOUND);
    cr_assert_eq(kap_rows_receipt(txn, KAP_SPAN("x/p"), 1, &at), KAP_E_NOTFOUND);
    cr_assert_eq(kap_rows_mark(txn, KAP_SPAN("x/p"), &mark), KAP_OK);
    cr_assert_eq(mark.last, 0);
    kap_txn_abort(&txn);
    desk_close(d);
}

Test(rows, a_case_lists_its_referrals_as_they_stand)
{
    kap_case_t c;

    desk_open(d, true);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_created(d, "b", "r2", "c1", "b", "c", "mikkeli", "r1");
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "c", KAP_EV_REFERRAL_DELIVERED, "r2");
    cr_assert_eq(desk_said(d), 0);
    kap_txn_t *txn = reading();
    cr_assert_eq(kap_rows_case(txn, 0, KAP_SPAN("c1"), d->arena, &c), KAP_OK);
    cr_assert_eq(c.count, 2);
    cr_assert(kap_span_eq_str(c.nodes[1].referral, "r2"));
    cr_assert_eq(c.nodes[1].parent, 0);
    cr_assert_eq(c.nodes[1].state, KAP_STATE_DELIVERED);
    cr_assert_eq(kap_rows_case(txn, 0, KAP_SPAN("c2"), d->arena, &c), KAP_E_NOTFOUND);
    kap_txn_abort(&txn);
    desk_close(d);
}

Test(rows, the_directory_in_force_is_found_by_position)
{
    kap_span_t json;
    uint64_t from;

    desk_open(d, true);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    kap_buf_str(&d->json, " ");
    cr_assert_eq(kap_engine_set_directory(d->engine, d->dir, kap_buf_span(&d->json)), KAP_OK);
    desk_created(d, "a", "r2", "c2", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    kap_txn_t *txn = reading();
    cr_assert_eq(kap_rows_directory(txn, 1, &from, &json), KAP_OK);
    cr_assert_eq(from, 1);
    cr_assert_eq(json.size, d->json.size - 1);
    cr_assert_eq(kap_rows_directory(txn, 2, &from, &json), KAP_OK);
    cr_assert_eq(from, 2);
    cr_assert_eq(json.size, d->json.size);
    cr_assert_eq(kap_rows_directory(txn, 0, &from, &json), KAP_E_NOTFOUND);
    kap_txn_abort(&txn);
    desk_audit(d);
    desk_close(d);
}
