/* SPDX-License-Identifier: MPL-2.0 */
/* Figures: the golden example, exact times, sketches, windows, corrections. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "calendar.h"
#include "desk.h"
#include "err.h"
#include "mp.h"
#include "sketch.h"

static desk_t desk, *d = &desk;

static void start(void)
{
    desk_open(d, true);
}

static void stop(void)
{
    desk_audit(d);
    desk_close(d);
}

/* Sends what was gathered; everything in it must be accepted. */
static void send_all(void)
{
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    for (uint32_t i = 0; i < d->last->results[0].count; i++)
        cr_assert_eq(desk_decided(d, i)->verdict, KAP_VERDICT_ACCEPTED, "%u: refusal %u", i,
                     desk_decided(d, i)->why.number);
}

static void hand(const char *referral, const char *case_id, const char *from, const char *to,
                 const char *parent)
{
    desk_created(d, from, referral, case_id, from, to, "mikkeli", parent);
    send_all();
    desk_referral(d, to, KAP_EV_REFERRAL_DELIVERED, referral);
    send_all();
}

static void complete(const char *who, const char *referral)
{
    desk_referral(d, who, KAP_EV_REFERRAL_ACCEPTED, referral);
    desk_referral(d, who, KAP_EV_REFERRAL_COMPLETED, referral);
    send_all();
}

static void redirect(const char *who, const char *referral, const char *next, const char *case_id,
                     const char *to)
{
    desk_referral(d, who, KAP_EV_REFERRAL_REDIRECTED, referral);
    desk_span(d, KAP_F_NEXT, next);
    desk_group(d, next);
    desk_created(d, who, next, case_id, who, to, "mikkeli", referral);
    desk_group(d, next);
    send_all();
    desk_referral(d, to, KAP_EV_REFERRAL_DELIVERED, next);
    send_all();
}

/* metrics.md, "Golden example": what edges shows of it. */
static void play_golden(void)
{
    hand("1", "case1", "a", "b", NULL);
    complete("b", "1");
    hand("2a", "case2", "a", "b", NULL);
    redirect("b", "2a", "2b", "case2", "c");
    complete("c", "2b");
    hand("3a", "case3", "a", "b", NULL);
    redirect("b", "3a", "3b", "case3", "a");
    redirect("a", "3b", "3c", "case3", "b");
    complete("b", "3c");
    desk_created(d, "a", "4a", "case4", "a", "c", "mikkeli", NULL);
    kap_event_builder_set_bool(&d->builder, KAP_F_RETURN_EXPECTED, true);
    send_all();
    desk_referral(d, "c", KAP_EV_REFERRAL_DELIVERED, "4a");
    send_all();
    hand("4b", "case4", "c", "a", "4a");
    complete("a", "4b");
    hand("5", "case5", "c", "b", NULL);
    desk_referral(d, "b", KAP_EV_REFERRAL_DECLINED, "5");
    send_all();
}

static void is(const kap_edges_t *edges, const char *from, const char *to, uint64_t referrals,
               uint64_t accepted)
{
    const kap_edge_t *edge = desk_edge(edges, from, to);

    cr_assert_not_null(edge, "%s>%s", from, to);
    cr_assert_eq(edge->counts[KAP_FIGURE_REFERRALS], referrals, "%s>%s", from, to);
    cr_assert_eq(edge->counts[KAP_FIGURE_ACCEPTED], accepted, "%s>%s: %llu", from, to,
                 (unsigned long long)edge->counts[KAP_FIGURE_ACCEPTED]);
}

Test(figures, show_the_golden_example, .init = start, .fini = stop)
{
    kap_edges_t edges;

    play_golden();
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.count, 6);
    cr_assert_eq(edges.n, 9);
    is(&edges, "a", "b", 4, 2);
    is(&edges, "b", "c", 1, 1);
    is(&edges, "b", "a", 1, 0);
    is(&edges, "a", "c", 1, 0);
    is(&edges, "c", "a", 1, 1);
    is(&edges, "c", "b", 1, 0);
    cr_assert_eq(desk_edge(&edges, "a", "b")->counts[KAP_FIGURE_REDIRECTED], 2);
    cr_assert_eq(desk_edge(&edges, "b", "a")->counts[KAP_FIGURE_REDIRECTED], 1);
    cr_assert_eq(desk_edge(&edges, "c", "b")->counts[KAP_FIGURE_DECLINED], 1);
    cr_assert_eq(desk_edge(&edges, "a", "c")->counts[KAP_FIGURE_PENDING], 1);
    cr_assert_eq(edges.pending, 1);
    cr_assert_eq(edges.decided, 8);
    cr_assert_eq(edges.as_of_seq, kap_engine_head(d->engine)->seq);
    cr_assert_eq(edges.as_of_time, d->now);
}

/* One transfer a>b that takes `ms` to be accepted. */
static void take(int n, int64_t ms)
{
    char referral[24], case_id[24];
    int64_t begun = d->now;

    snprintf(referral, sizeof referral, "t%d", n);
    snprintf(case_id, sizeof case_id, "tc%d", n);
    desk_created(d, "a", referral, case_id, "a", "b", "mikkeli", NULL);
    send_all();
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, referral);
    send_all();
    d->now += ms;
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, referral);
    send_all();
    d->now = begun + ms + 1;
}

Test(figures, times_are_exact_by_nearest_rank, .init = start, .fini = stop)
{
    kap_edges_t edges;

    for (int i = 10; i >= 1; i--)
        take(i, i * 1000);
    desk_edges(d, "mikkeli", &edges);
    const kap_edge_time_t *t = &edges.edges[0].to_accept;
    cr_assert(t->exact);
    cr_assert_eq(t->n, 10);
    cr_assert_eq(t->p50_ms, 5000);
    cr_assert_eq(t->p90_ms, 9000);
    cr_assert_eq(t->p99_ms, 10000);
}

Test(figures, working_and_elapsed_time_differ_over_a_weekend, .init = start, .fini = stop)
{
    kap_edges_query_t query = {.region = KAP_SPAN("mikkeli"), .zone = KAP_ZONE_HELSINKI};
    kap_edges_t edges;

    d->now += 4 * KAP_DAY_MS; /* Friday noon */
    take(1, 3 * KAP_DAY_MS);  /* to Monday noon */
    desk_ask(d, &query, &edges);
    cr_assert_eq(edges.edges[0].to_accept.p50_ms, 8 * KAP_HOUR_MS);
    query.elapsed = true;
    desk_ask(d, &query, &edges);
    cr_assert_eq(edges.edges[0].to_accept.p50_ms, 3 * KAP_DAY_MS);
}

Test(figures, the_customer_s_clock_runs_from_the_root_to_the_first_accept, .init = start,
     .fini = stop)
{
    kap_edges_query_t query = {.region = KAP_SPAN("mikkeli"),
                               .zone = KAP_ZONE_HELSINKI,
                               .clock = KAP_CLOCK_CUSTOMER,
                               .elapsed = true};
    kap_edges_t edges;

    hand("1", "c1", "a", "b", NULL);
    d->now += 5000;
    redirect("b", "1", "2", "c1", "c");
    d->now += 7000;
    desk_referral(d, "c", KAP_EV_REFERRAL_ACCEPTED, "2");
    send_all();
    desk_ask(d, &query, &edges);
    cr_assert_eq(desk_edge(&edges, "a", "b")->to_accept.n, 0);
    cr_assert_eq(desk_edge(&edges, "a", "b")->to_accept.p50_ms, -1);
    cr_assert_eq(desk_edge(&edges, "b", "c")->to_accept.p50_ms, 12000);
    /* the root is voided: its child is the earliest root now */
    desk_referral(d, "a", KAP_EV_REFERRAL_VOIDED, "1");
    send_all();
    desk_ask(d, &query, &edges);
    cr_assert_null(desk_edge(&edges, "a", "b"));
    cr_assert_eq(desk_edge(&edges, "b", "c")->to_accept.p50_ms, 7000);
}

Test(figures, a_voided_referral_counts_nowhere, .init = start, .fini = stop)
{
    kap_edges_t edges;

    hand("1", "c1", "a", "b", NULL);
    complete("b", "1");
    desk_referral(d, "a", KAP_EV_REFERRAL_VOIDED, "1");
    send_all();
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.count, 0);
    cr_assert_eq(edges.n, 0);
}

Test(figures, guidance_leads_internal_and_external_stand_beside, .init = start, .fini = stop)
{
    kap_edges_t edges;

    desk_created(d, "a", "g", "c1", "a", "b", "mikkeli", NULL);
    desk_code(d, KAP_F_KIND, KAP_KIND_GUIDANCE);
    desk_created(d, "a", "l", "c2", "a", "b", "mikkeli", NULL);
    desk_code(d, KAP_F_KIND, KAP_KIND_LEAD);
    desk_created(d, "a", "i", "c3", "a", "e", "mikkeli", NULL); /* one organisation */
    desk_created(d, "a", "x", "c4", "a", "external:bank", "mikkeli", NULL);
    send_all();
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.n, 0);
    cr_assert_eq(desk_edge(&edges, "a", "b")->counts[KAP_FIGURE_GUIDANCE], 1);
    cr_assert_eq(desk_edge(&edges, "a", "b")->counts[KAP_FIGURE_LEADS], 1);
    cr_assert_eq(desk_edge(&edges, "a", "e")->counts[KAP_FIGURE_INTERNAL], 1);
    cr_assert_eq(desk_edge(&edges, "a", "external:bank")->counts[KAP_FIGURE_REPORTED], 1);
}

/* Referrals of two months; windows that are whole months, parts of them, and both. */
Test(figures, answer_any_window, .init = start, .fini = stop)
{
    static const struct {
        kap_date_t from, to;
        uint64_t n;
    } cases[] = {
        {{2026, 1, 1}, {2026, 2, 1}, 27}, {{2026, 1, 1}, {2026, 3, 1}, 55},
        {{2026, 1, 5}, {2026, 1, 6}, 1},  {{2026, 1, 20}, {2026, 2, 10}, 21},
        {{2025, 1, 1}, {2026, 1, 5}, 0},  {{2026, 1, 31}, {2026, 3, 2}, 30},
        {{2026, 2, 1}, {2026, 2, 1}, 0},  {{2026, 3, 1}, {2026, 1, 1}, 0},
    };
    kap_edges_query_t query = {.region = KAP_SPAN("mikkeli"), .has_from = true, .has_to = true};
    kap_edges_t edges;
    char id[24];

    for (int i = 0; i < 60; i++) { /* one a day, from 5 January */
        snprintf(id, sizeof id, "r%d", i);
        desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        send_all();
        d->now += KAP_DAY_MS;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (kap_zone_t zone = KAP_ZONE_HELSINKI; zone <= KAP_ZONE_UTC; zone++) {
            query.zone = zone;
            query.from = cases[i].from;
            query.to = cases[i].to;
            desk_ask(d, &query, &edges);
            cr_assert_eq(edges.n, cases[i].n, "%zu: %llu", i, (unsigned long long)edges.n);
        }
    }
    query.has_to = false;
    query.from = (kap_date_t){2026, 2, 1};
    desk_ask(d, &query, &edges);
    cr_assert_eq(edges.n, 33);
}

Test(figures, encode_as_the_contract_says, .init = start, .fini = stop)
{
    kap_edges_query_t query = {.region = KAP_SPAN("mikkeli"), .zone = KAP_ZONE_HELSINKI};
    kap_edges_t edges;
    kap_buf_t buf = {0};
    kap_mp_t root;
    kap_span_t name;

    hand("1", "c1", "a", "b", NULL);
    desk_ask(d, &query, &edges);
    kap_figures_edges_encode(&buf, &query, &edges);
    cr_assert_eq(kap_mp_read(kap_buf_span(&buf), d->arena, &root, NULL), KAP_OK);
    const kap_mp_t *window = kap_mp_get(&root, "window");
    cr_assert_eq(kap_mp_get(window, "from")->kind, KAP_MP_NIL);
    cr_assert(kap_span_eq_str(kap_mp_get_str(window, "zone"), "Europe/Helsinki"));
    cr_assert(kap_span_eq_str(kap_mp_get_str(&root, "kind"), "cohort"));
    cr_assert_eq(kap_mp_get_int(&root, "as_of_seq", 0), 2);
    cr_assert_eq(kap_mp_get_int(&root, "as_of_time", 0), d->now);
    const kap_mp_t *edge = kap_mp_item(kap_mp_get(&root, "edges"), 0);
    cr_assert(kap_mp_str(kap_mp_get(edge, "from_name"), &name));
    cr_assert(kap_span_eq_str(name, "Toimija a"));
    cr_assert_eq(kap_mp_get_int(edge, "referrals", 0), 1);
    const kap_mp_t *time = kap_mp_get(edge, "time_to_accept");
    cr_assert_eq(kap_mp_get(time, "p90_ms")->kind, KAP_MP_NIL);
    cr_assert(kap_mp_get_bool(time, "exact", false));
    kap_buf_fini(&buf);
}

/* A log has as many edges as it has pairs of actors; an answer is one frame. */
Test(figures, many_edges_are_told_in_pages, .init = start, .fini = stop)
{
    enum { SIDE = 64, ALL = SIDE * SIDE };
    static kap_edge_t all[ALL];
    static char names[SIDE][201];
    kap_edges_t edges = {.edges = all, .count = ALL, .n = ALL};
    kap_edges_query_t query = {.region = KAP_SPAN("receipt")};
    uint32_t told = 0, pages = 0;
    bool more = true;

    for (int i = 0; i < SIDE; i++)
        snprintf(names[i], sizeof names[i], "%0200d", i);
    for (int i = 0; i < ALL; i++) {
        kap_span_t from = kap_span_str(names[i / SIDE]), to = kap_span_str(names[i % SIDE]);
        all[i] = (kap_edge_t){.from = from, .to = to, .from_name = from, .to_name = to};
    }
    for (; more; pages++) {
        kap_buf_t buf = {0};
        kap_mp_t root;
        kap_figures_edges_encode(&buf, &query, &edges);
        cr_assert_leq(kap_bin_size(buf.size), KAP_LIMIT_FRAME_BYTES);
        kap_span_t kept = kap_arena_dup(d->arena, kap_buf_span(&buf));
        kap_buf_fini(&buf);
        cr_assert_eq(kap_mp_read_answer(kept, d->arena, &root, NULL), KAP_OK);
        cr_assert_eq(kap_mp_get_int(&root, "n", 0), ALL);
        const kap_mp_t *page = kap_mp_get(&root, "edges");
        cr_assert_gt(page->count, 0);
        for (uint32_t i = 0; i < page->count; i++, told++) {
            const kap_mp_t *edge = kap_mp_item(page, i);
            cr_assert(kap_span_eq(kap_mp_get_str(edge, "from"), all[told].from));
            cr_assert(kap_span_eq(kap_mp_get_str(edge, "to"), all[told].to));
        }
        query.after_from = all[told - 1].from;
        query.after_to = all[told - 1].to;
        more = kap_mp_get_bool(&root, "more", false);
    }
    cr_assert_eq(told, ALL);
    cr_assert_gt(pages, 1);
}

Test(figures, a_change_by_hand_is_found_by_the_recount, .init = start)
{
    kap_audit_report_t report;
    kap_buf_t what = {0};
    kap_txn_t *txn;
    kap_cursor_t *cursor;
    kap_key_t key = {.size = 0};

    play_golden();
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_cursor_open(txn, KAP_ROWS_CELLS, &cursor), KAP_OK);
    cr_assert_eq(kap_cursor_last(cursor), KAP_OK);
    key.size = kap_cursor_key(cursor).size;
    memcpy(key.bytes, kap_cursor_key(cursor).data, key.size);
    kap_cursor_close(&cursor);
    kap_txn_put(txn, KAP_ROWS_CELLS, kap_key_span(&key), KAP_SPAN("\x01\x01"));
    kap_txn_delete(txn, KAP_ROWS_REFERRALS,
                   KAP_SPAN("\0\0\0\0"
                            "5"));
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    cr_assert_eq(kap_ledger_audit(d->store, &report, &what), KAP_OK);
    cr_assert_eq(report.differences, 2, "%s", kap_buf_cstr(&what));
    kap_buf_fini(&what);
    desk_close(d);
}

static void write_foreign(unsigned table, bool there)
{
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_WRITE, &txn), KAP_OK);
    int rc = there ? kap_txn_put(txn, table, KAP_SPAN("\xff\xff"), KAP_SPAN("x"))
                   : kap_txn_delete(txn, table, KAP_SPAN("\xff\xff"));
    cr_assert_eq(rc, KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
}

Test(figures, the_recount_looks_at_every_table_that_the_log_makes, .init = start)
{
    kap_audit_report_t report;
    kap_buf_t what = {0};

    play_golden();
    for (unsigned table = 0; table < KAP_ROWS_COUNT; table++) {
        /* what is not made of the log alone (audit.c) */
        if (table == KAP_ROWS_META || table == KAP_ROWS_DIRECTORIES || table == KAP_ROWS_DUE)
            continue;
        kap_buf_reset(&what);
        write_foreign(table, true);
        cr_assert_eq(kap_ledger_audit(d->store, &report, &what), KAP_OK);
        cr_expect_eq(report.differences, 1, "%s: %s", kap_rows_tables[table], kap_buf_cstr(&what));
        write_foreign(table, false);
    }
    kap_buf_fini(&what);
    desk_audit(d);
    desk_close(d);
}

/* --- sketches --- */

Test(sketch, a_bucket_is_at_most_one_percent_off)
{
    for (int64_t ms = 1; ms < INT64_C(100000000000000); ms += ms / 7 + 1) {
        double value = (double)kap_sketch_value(kap_sketch_bucket(ms));
        cr_assert_leq(value, 1.01 * (double)ms + 0.5, "%lld", (long long)ms);
        cr_assert_geq(value, 0.99 * (double)ms - 0.5, "%lld", (long long)ms);
    }
    cr_assert_eq(kap_sketch_bucket(0), 0);
    cr_assert_eq(kap_sketch_value(0), 0);
    cr_assert_lt(kap_sketch_bucket(INT64_MAX), KAP_SKETCH_BUCKETS);
}

Test(sketch, what_was_added_can_be_subtracted)
{
    kap_buf_t row = {0}, next = {0};
    uint32_t seed = 3;
    kap_sketch_change_t changes[200];

    for (int i = 0; i < 200; i++) {
        seed = seed * 1664525u + 1013904223u;
        changes[i] =
            (kap_sketch_change_t){kap_sketch_place(i % 4, kap_sketch_bucket(seed >> 4)), 0, 1};
    }
    cr_assert_eq(kap_sketch_merge(kap_span(NULL, 0), changes, 200, &row), KAP_OK);
    for (int i = 0; i < 200; i++)
        changes[i].by = -1;
    cr_assert_eq(kap_sketch_merge(kap_buf_span(&row), changes, 199, &next), KAP_OK);
    cr_assert_gt(next.size, 0);
    kap_sketch_change_t last = changes[199];
    kap_buf_reset(&row);
    cr_assert_eq(kap_sketch_merge(kap_buf_span(&next), &last, 1, &row), KAP_OK);
    cr_assert_eq(row.size, 0);
    kap_buf_reset(&next);
    cr_assert_eq(kap_sketch_merge(kap_buf_span(&row), &last, 1, &next), KAP_E_CORRUPT);
    kap_buf_fini(&row);
    kap_buf_fini(&next);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void near(int64_t sketch, int64_t exact)
{
    cr_assert_leq((double)sketch, 1.01 * (double)exact + 1, "%lld %lld", (long long)sketch,
                  (long long)exact);
    cr_assert_geq((double)sketch, 0.99 * (double)exact - 1, "%lld %lld", (long long)sketch,
                  (long long)exact);
}

/* At 1,000 referrals times are exact, at 1,001 they come from the sketch, 1 % off at most. */
Test(figures, above_1000_a_sketch_answers, .init = start, .fini = stop, .timeout = 120)
{
    static int64_t times[1001];
    kap_edges_query_t query = {
        .region = KAP_SPAN("mikkeli"), .zone = KAP_ZONE_HELSINKI, .elapsed = true};
    kap_edges_t edges;
    uint32_t seed = 11;

    for (int i = 0; i < 1001; i++) {
        seed = seed * 1664525u + 1013904223u;
        times[i] = (int64_t)(seed >> 8) % 3000000 + 1;
        take(i, times[i]);
        if (i == 999) {
            desk_ask(d, &query, &edges);
            cr_assert(edges.edges[0].to_accept.exact);
        }
    }
    desk_ask(d, &query, &edges);
    const kap_edge_time_t *t = &edges.edges[0].to_accept;
    cr_assert_not(t->exact);
    cr_assert_eq(t->n, 1001);
    qsort(times, 1001, sizeof times[0], by_value);
    near(t->p50_ms, times[500]);
    near(t->p90_ms, times[900]);
    near(t->p99_ms, times[990]);
    query.has_from = true; /* a part of January */
    query.from = (kap_date_t){2026, 1, 5};
    desk_ask(d, &query, &edges);
    near(edges.edges[0].to_accept.p50_ms, times[500]);
}
