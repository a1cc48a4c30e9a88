/* SPDX-License-Identifier: MPL-2.0 */
/* The ledger as a whole: its thread, restarts, kills, full disks, and random histories. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit.h"
#include "cell.h"
#include "desk.h"
#include "err.h"
#include "ledger.h"
#include "loop.h"

static desk_t desk, *d = &desk;

/* --- random histories --- */

static uint32_t rolled;

static uint32_t roll(uint32_t below)
{
    rolled = rolled * 1664525u + 1013904223u;
    return (rolled >> 8) % below;
}

static void random_tally(void)
{
    char period[16];

    snprintf(period, sizeof period, "2025-%02u", 1 + roll(4));
    desk_event(d, "a", KAP_EV_HANDOVER_TALLIED, d->now);
    desk_span(d, KAP_F_FROM, "a");
    desk_span(d, KAP_F_TO, roll(2) ? "b" : "external:bank");
    desk_code(d, KAP_F_KIND, KAP_KIND_TRANSFER);
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_span(d, KAP_F_PERIOD, period);
    desk_int(d, KAP_F_COUNT, roll(4));
}

/* One random step: often sensible, often not. */
static void random_event(uint32_t referrals)
{
    static const char *const who[] = {"a", "b", "c", "n", "e"};
    static const kap_event_type_t types[] = {
        KAP_EV_REFERRAL_DELIVERED, KAP_EV_REFERRAL_ACCEPTED,  KAP_EV_REFERRAL_DECLINED,
        KAP_EV_REFERRAL_CONTACTED, KAP_EV_REFERRAL_COMPLETED, KAP_EV_REFERRAL_WITHDRAWN,
        KAP_EV_REFERRAL_VOIDED,    KAP_EV_REFERRAL_NOTED,     KAP_EV_REFERRAL_ANSWER_RECEIVED,
        KAP_EV_REFERRAL_DELIVERED, KAP_EV_REFERRAL_ACCEPTED};
    char referral[24], case_id[24], parent[24];
    uint32_t n = roll(referrals), from = n % 5, to = n / 5 % 5;

    snprintf(referral, sizeof referral, "r%u", n);
    snprintf(case_id, sizeof case_id, "c%u", n / 7);
    snprintf(parent, sizeof parent, "r%u", roll(referrals));
    uint32_t kind = roll(13);
    if (kind == 12) {
        random_tally();
    } else if (kind < 4) {
        desk_created(d, who[from], referral, case_id, who[from], who[to], "mikkeli",
                     roll(3) == 0 ? parent : NULL);
        desk_code(d, KAP_F_KIND, (int)roll(3));
    } else if (kind < 5) {
        desk_referral(d, who[to], KAP_EV_REFERRAL_REDIRECTED, referral);
        desk_span(d, KAP_F_NEXT, parent);
        desk_group(d, "g");
        desk_created(d, who[to], parent, case_id, who[to], who[roll(5)], "mikkeli", referral);
        desk_group(d, "g");
    } else {
        desk_referral(d,
                      who[roll(4) == 0 ? roll(5)
                          : roll(2)    ? from
                                       : to],
                      types[roll(sizeof types / sizeof types[0])], referral);
    }
}

static bool busy(void *arg)
{
    (void)arg;
    return roll(3) == 0;
}

/* Commits what was gathered with whatever else waits; figures now and then only. */
static void random_batch(void)
{
    kap_job_t *jobs = NULL, **end = &jobs;
    kap_engine_turn_t turn = {.now = d->now, .expire = roll(4) == 0, .idle = busy};
    kap_batch_t *batch;
    bool more;

    for (uint32_t i = 1 + roll(6); i > 0; i--) {
        random_event(60);
        *end = desk_take(d);
        end = &(*end)->next;
    }
    cr_assert_eq(kap_engine_batch(d->engine, jobs, &turn, &batch, &more), KAP_OK);
    kap_batch_unref(&batch);
    d->now += roll(3) == 0 ? roll(5) * KAP_DAY_MS : roll(100000);
}

static void random_history(bool memory, uint32_t seed)
{
    rolled = seed;
    desk_open(d, memory);
    for (int i = 0; i < 250; i++) {
        random_batch();
        if (!memory && roll(40) == 0)
            desk_reopen(d); /* figures that waited are counted at the opening */
        if (roll(60) == 0)
            desk_audit(d);
    }
    desk_audit(d);
    desk_close(d);
}

Test(ledger, random_histories_agree_with_their_recount, .timeout = 600)
{
    const char *full = getenv("KAPULA_FULL");
    uint32_t seeds = full != NULL && strcmp(full, "yes") == 0 ? 40 : 4;

    for (uint32_t seed = 1; seed <= seeds; seed++) {
        random_history(false, seed);
        random_history(true, seed + 100);
    }
}

/* --- restarts --- */

Test(ledger, a_restart_goes_on_with_the_same_chain)
{
    kap_edges_t edges;

    desk_open(d, false);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    kap_head_t head = *kap_engine_head(d->engine);
    desk_reopen(d);
    cr_assert_arr_eq(kap_engine_head(d->engine), &head, sizeof head);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    cr_assert_eq(desk_said(d), 0);
    cr_assert_eq(d->last->entries[0].log_seq, 2);
    cr_assert_eq(d->last->entries[0].places[0].seq, 2);
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.n, 1);
    desk_audit(d);
    desk_close(d);
}

static bool never_idle(void *arg)
{
    (void)arg;
    return false;
}

Test(ledger, figures_that_a_crash_left_behind_are_counted_at_the_opening)
{
    kap_engine_turn_t turn = {.idle = never_idle};
    kap_batch_t *batch;
    kap_edges_t edges;
    bool more;

    desk_open(d, false);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "r1");
    turn.now = d->now;
    cr_assert_eq(kap_engine_batch(d->engine, desk_take(d), &turn, &batch, &more), KAP_OK);
    cr_assert_eq(batch->figures_seq, 1);
    cr_assert_eq(batch->head_seq, 3);
    kap_batch_unref(&batch);
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_ACCEPTED], 0);
    cr_assert_eq(edges.as_of_seq, 1);
    desk_audit(d);
    desk_reopen(d);
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_ACCEPTED], 1);
    cr_assert_eq(edges.as_of_seq, 3);
    desk_audit(d);
    desk_close(d);
}

static void tally(const char *period, int count)
{
    desk_event(d, "a", KAP_EV_HANDOVER_TALLIED, d->now);
    desk_span(d, KAP_F_FROM, "a");
    desk_span(d, KAP_F_TO, "b");
    desk_code(d, KAP_F_KIND, KAP_KIND_TRANSFER);
    desk_span(d, KAP_F_REGION, "mikkeli");
    desk_span(d, KAP_F_PERIOD, period);
    desk_int(d, KAP_F_COUNT, count);
    cr_assert_eq(desk_said(d), 0);
}

Test(ledger, what_came_while_no_figures_were_kept_is_counted_when_they_are)
{
    kap_edges_t edges;

    desk_open(d, false);
    tally("2025-10", 3);
    d->figures = false;
    desk_reopen(d);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    tally("2025-10", 5); /* in place of the 3 */
    tally("2025-11", 7);
    d->figures = true;
    desk_reopen(d);
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_REPORTED], 12);
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_REFERRALS], 1);
    desk_audit(d);
    desk_close(d);
}

/* Refused events of a member that are counted, as far as figures stand. */
static uint64_t refused_of(const char *member)
{
    kap_vector_t vector = {0};
    uint8_t key[KAP_CELL_KEY];
    kap_span_t row;
    kap_txn_t *txn;
    kap_cell_t cell = {.level = KAP_LEVEL_GETS, .period = KAP_PERIOD_YEAR};

    cell.at = kap_cell_at(KAP_PERIOD_YEAR, KAP_ZONE_HELSINKI, d->now);
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_number(txn, kap_span_str(member), &cell.a), KAP_OK);
    kap_cell_key(key, &cell);
    int rc = kap_txn_get(txn, KAP_ROWS_CELLS, kap_span(key, sizeof key), &row);
    if (rc == KAP_OK)
        rc = kap_cell_add(row, KAP_BREAKDOWN_NONE, 0, &vector);
    cr_assert(rc == KAP_OK || rc == KAP_E_NOTFOUND);
    kap_txn_abort(&txn);
    return vector.counts[KAP_FIGURE_REFUSED];
}

/* A batch whose figures wait: not the first after the opening. */
static void run_and_wait(void)
{
    kap_engine_turn_t turn = {.now = d->now, .idle = never_idle};
    kap_batch_t *batch;
    bool more;

    cr_assert_eq(kap_engine_batch(d->engine, desk_take(d), &turn, &batch, &more), KAP_OK);
    cr_assert_lt(batch->figures_seq, batch->head_seq);
    kap_batch_unref(&batch);
}

Test(ledger, refused_events_count_once_whatever_happens_to_the_figures)
{
    desk_open(d, false);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "nothing");
    cr_assert_neq(desk_said(d), 0);
    cr_assert_eq(refused_of("b"), 1);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "nothing");
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "nothing");
    run_and_wait();
    cr_assert_eq(refused_of("b"), 1);
    desk_reopen(d); /* as after a crash */
    cr_assert_eq(refused_of("b"), 3);
    desk_audit(d);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "nothing");
    run_and_wait();
    desk_referral(d, "c", KAP_EV_REFERRAL_ACCEPTED, "nothing");
    cr_assert_neq(desk_said(d), 0); /* figures are written with it */
    cr_assert_eq(refused_of("b"), 4);
    cr_assert_eq(refused_of("c"), 1);
    desk_reopen(d);
    cr_assert_eq(refused_of("b"), 4);
    d->figures = false;
    desk_reopen(d);
    desk_referral(d, "c", KAP_EV_REFERRAL_ACCEPTED, "nothing");
    cr_assert_neq(desk_said(d), 0);
    tally("2025-12", 1); /* written at once, though no figures are kept */
    cr_assert_eq(refused_of("c"), 1);
    d->figures = true;
    desk_reopen(d);
    cr_assert_eq(refused_of("c"), 2);
    desk_audit(d);
    desk_close(d);
}

/* A case that goes on while its first part is counted, waits, and is left behind by a crash. */
Test(ledger, a_case_is_counted_whole_wherever_its_events_fall)
{
    desk_open(d, false);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    desk_created(d, "a", "s1", "c2", "a", "c", "mikkeli", NULL);
    cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    run_and_wait();
    desk_created(d, "b", "r2", "c1", "b", "c", "mikkeli", "r1");
    run_and_wait();
    desk_referral(d, "c", KAP_EV_REFERRAL_DELIVERED, "r2");
    cr_assert_eq(desk_said(d), 0);
    desk_audit(d);
    desk_created(d, "c", "r3", "c1", "c", "b", "mikkeli", "r2");
    run_and_wait();
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r3");
    desk_referral(d, "b", KAP_EV_REFERRAL_COMPLETED, "r3");
    run_and_wait();
    desk_reopen(d);
    desk_audit(d);
    desk_referral(d, "a", KAP_EV_REFERRAL_VOIDED, "s1");
    cr_assert_eq(desk_said(d), 0);
    desk_created(d, "a", "s2", "c2", "a", "c", "mikkeli", NULL);
    desk_created(d, "a", "t1", "c3", "a", "c", "mikkeli", NULL);
    run_and_wait();
    desk_created(d, "c", "t2", "c3", "c", "a", "mikkeli", "t1");
    cr_assert_eq(desk_said(d), 0);
    desk_audit(d);
    desk_close(d);
}

/* What is left behind is counted in pieces: a case of the first one may go on in the second. */
Test(ledger, a_long_way_behind_is_made_up_for_in_pieces, .timeout = 120)
{
    enum { JOBS = 66, EACH = 63 }; /* more than a piece */

    desk_open(d, false);
    d->figures = false;
    desk_reopen(d);
    desk_created(d, "a", "r1", "c1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(d), 0);
    for (int i = 0; i < JOBS; i++) {
        for (int j = 0; j < EACH; j++)
            desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "nothing");
        cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    }
    desk_created(d, "b", "r2", "c1", "b", "c", "mikkeli", "r1");
    cr_assert_eq(desk_said(d), 0);
    d->figures = true;
    desk_reopen(d);
    cr_assert_eq(refused_of("b"), JOBS * EACH);
    desk_audit(d);
    desk_close(d);
}

/* --- figures counted part by part --- */

static bool figures_move(void)
{
    kap_txn_t *txn;
    kap_head_t head;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_head(txn, &head), KAP_OK);
    kap_txn_abort(&txn);
    return head.figures_moving;
}

/* A batch of new cases a>b, or of what happens to those of before; its figures wait as long as they
 * may. */
static void crowd(int first, int count, kap_event_type_t type)
{
    kap_engine_turn_t turn = {.now = d->now, .idle = never_idle};
    kap_job_t *jobs = NULL, **end = &jobs;
    kap_batch_t *batch;
    char id[24];
    bool more;

    for (int i = first; i < first + count; i++) {
        snprintf(id, sizeof id, "m%d", i);
        if (type == KAP_EV_REFERRAL_CREATED)
            desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        else
            desk_referral(d, "b", type, id);
        if ((i + 1) % 32 == 0 || i + 1 == first + count) {
            *end = desk_take(d);
            end = &(*end)->next;
        }
    }
    cr_assert_eq(kap_engine_batch(d->engine, jobs, &turn, &batch, &more), KAP_OK);
    kap_batch_unref(&batch);
    kap_arena_reset(d->arena);
    d->text_used = 0;
}

/* Until some of many cases are counted, and what else happened is not. Returns how many there are.
 */
static int move_figures(int cases)
{
    for (int go = 0; go < 40; go++) {
        crowd(cases, 1200, KAP_EV_REFERRAL_CREATED);
        cases += 1200;
        if (figures_move())
            return cases;
    }
    cr_assert(false, "figures were never counted in parts");
    return 0;
}

Test(ledger, cases_counted_before_the_others_may_go_on, .timeout = 120)
{
    kap_audit_report_t report;
    kap_edges_t edges;

    desk_open(d, false);
    int cases = move_figures(0);
    cr_assert_eq(kap_ledger_audit(d->store, &report, NULL), KAP_E_AGAIN);
    crowd(cases - 1100, 20, KAP_EV_REFERRAL_DELIVERED);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "m1");
    cr_assert_eq(desk_said(d), 0); /* the others are counted with it */
    cr_assert_not(figures_move());
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.n, cases);
    cr_assert_eq(edges.edges[0].counts[KAP_FIGURE_UNDELIVERED], cases - 21);
    desk_audit(d);
    desk_close(d);
}

Test(ledger, a_crash_between_parts_of_figures_loses_none_and_doubles_none, .timeout = 120)
{
    kap_edges_t edges;

    desk_open(d, false);
    int cases = move_figures(0);
    crowd(cases - 1100, 20, KAP_EV_REFERRAL_DELIVERED);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "nothing");
    kap_engine_turn_t turn = {.now = d->now, .idle = never_idle};
    kap_batch_t *batch;
    bool more;
    cr_assert_eq(kap_engine_batch(d->engine, desk_take(d), &turn, &batch, &more), KAP_OK);
    kap_batch_unref(&batch);
    d->figures = false; /* it is made whole all the same */
    desk_reopen(d);
    cr_assert_not(figures_move());
    d->figures = true;
    desk_reopen(d);
    desk_edges(d, "mikkeli", &edges);
    cr_assert_eq(edges.n, cases);
    cr_assert_eq(refused_of("b"), 1);
    desk_audit(d);
    desk_close(d);
}

/* --- the thread --- */

typedef struct {
    kap_loop_t *loop;
    kap_ledger_t *ledger;
    uint64_t results, wanted, decided, last_ticket, last_seq;
    uint64_t accepted;
    int status, fatal, held;
    bool done, figured; /* every job answered; figures stand at the head */
    int pipe;
} run_t;

static void on_results(void *arg, kap_batch_t *batch)
{
    run_t *r = arg;

    cr_assert_eq(batch->first_seq, r->last_seq + 1);
    r->last_seq = batch->head_seq;
    r->figured = batch->figures_seq == batch->head_seq;
    for (uint32_t i = 0; i < batch->result_count; i++) {
        const kap_result_t *result = &batch->results[i];
        cr_assert_eq(result->ticket, r->last_ticket + 1);
        r->last_ticket = result->ticket;
        r->status = result->status;
        r->decided += result->count;
        if (r->pipe > 0 && result->count > 0) {
            uint64_t last = result->first + result->count - 1;
            if (write(r->pipe, &last, sizeof last) != (ssize_t)sizeof last)
                _exit(1);
        }
    }
    for (uint32_t i = 0; i < batch->entry_count; i++)
        r->accepted += batch->entries[i].verdict == KAP_VERDICT_ACCEPTED;
    r->results += batch->result_count;
    r->done = r->results >= r->wanted;
}

static void on_fatal(void *arg, int rc)
{
    run_t *r = arg;

    r->fatal = rc;
    r->done = true;
}

static void hold(void *arg)
{
    ((run_t *)arg)->held++;
}

static void let_go(void *arg)
{
    (void)arg;
}

static void open_ledger(run_t *r, const char *path, size_t map_size)
{
    kap_ledger_opts_t opts = {.loop = r->loop,
                              .path = path,
                              .clock = kap_clock_system(),
                              .map_size = map_size,
                              .reserve_bytes = 1,
                              .on_results = on_results,
                              .on_fatal = on_fatal,
                              .arg = r,
                              .hold = hold,
                              .release = let_go,
                              .barrier_arg = r};

    kap_ledger_state_t state;
    memcpy(opts.mesh, d->mesh, sizeof opts.mesh);
    int rc = kap_ledger_open(&opts, d->dir, kap_buf_span(&d->json), &r->ledger);
    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
    kap_ledger_state(r->ledger, &state);
    r->last_seq = state.head_seq;
}

/* Submits jobs of 16 referrals each. */
static void submit(run_t *r, uint64_t jobs)
{
    char id[32];

    for (uint64_t n = 0; n < jobs; n++) {
        for (int i = 0; i < 16; i++) {
            snprintf(id, sizeof id, "r%llu-%d", (unsigned long long)r->wanted, i);
            desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        }
        kap_job_t *job = desk_take(d);
        job->ticket = ++r->wanted;
        kap_ledger_submit(r->ledger, &job);
        cr_assert_null(job);
    }
}

static void begin(run_t *r)
{
    memset(r, 0, sizeof *r);
    desk_open(d, true);
    d->now = kap_clock_now_ms(kap_clock_system()) - KAP_DAY_MS;
    r->loop = kap_loop_new();
    snprintf(d->path, sizeof d->path, "/tmp/kapula-ledger-XXXXXX");
    cr_assert_not_null(mkdtemp(d->path));
}

static void end(run_t *r)
{
    char command[64];

    kap_ledger_close(&r->ledger);
    kap_loop_destroy(&r->loop);
    snprintf(command, sizeof command, "rm -rf %s", d->path);
    cr_assert_eq(system(command), 0);
    desk_close(d);
}

Test(ledger, answers_every_job_in_order_after_its_commit, .timeout = 60)
{
    run_t r;
    kap_ledger_state_t state;

    begin(&r);
    open_ledger(&r, d->path, 0);
    submit(&r, 200);
    cr_assert_eq(kap_loop_run_until(r.loop, &r.done, 30000), KAP_OK);
    cr_assert_eq(r.decided, 3200);
    cr_assert_eq(r.accepted, 3200);
    cr_assert_eq(kap_ledger_load(r.ledger), 0);
    kap_ledger_state(r.ledger, &state);
    cr_assert_eq(state.head_seq, 3200);
    cr_assert_eq(kap_loop_run_until(r.loop, &r.figured, 30000), KAP_OK);
    kap_ledger_state(r.ledger, &state);
    cr_assert_eq(state.figures_seq, 3200);
    cr_assert_lt(state.batches, 200);
    end(&r);
}

Test(ledger, closing_drains_what_waits, .timeout = 60)
{
    run_t r;

    begin(&r);
    open_ledger(&r, d->path, 0);
    submit(&r, 50);
    kap_ledger_close(&r.ledger);
    cr_assert_eq(r.results, 50);
    cr_assert_eq(r.accepted, 800);
    end(&r);
}

Test(ledger, a_full_map_grows_behind_the_barrier, .timeout = 60)
{
    run_t r;

    begin(&r);
    open_ledger(&r, d->path, 1 << 20);
    submit(&r, 300);
    cr_assert_eq(kap_loop_run_until(r.loop, &r.done, 30000), KAP_OK);
    cr_assert_eq(r.accepted, 4800);
    cr_assert_gt(r.held, 0);
    kap_ledger_want_figures(r.ledger); /* a recount wants them at one position */
    cr_assert_eq(kap_loop_run_until(r.loop, &r.figured, 30000), KAP_OK);
    kap_audit_report_t report;
    cr_assert_eq(kap_ledger_audit(kap_ledger_store(r.ledger), &report, NULL), KAP_OK);
    cr_assert_eq(report.differences, 0);
    end(&r);
}

Test(ledger, a_store_of_another_mesh_is_refused_with_a_sentence, .timeout = 60)
{
    run_t r;
    kap_buf_t why = {0};

    begin(&r);
    open_ledger(&r, d->path, 0);
    kap_ledger_close(&r.ledger);
    kap_ledger_opts_t opts = {.loop = r.loop,
                              .path = d->path,
                              .clock = kap_clock_system(),
                              .on_results = on_results,
                              .on_fatal = on_fatal,
                              .arg = &r,
                              .why = &why};
    kap_ledger_t *other;
    int rc = kap_ledger_open(&opts, d->dir, kap_buf_span(&d->json), &other);
    cr_assert_eq(rc, KAP_E_CONFLICT);
    cr_assert_not_null(strstr(kap_buf_cstr(&why), "another mesh"));
    kap_buf_fini(&why);
    end(&r);
}

Test(ledger, a_failed_commit_ends_acknowledging, .timeout = 60)
{
    run_t r;
    struct rlimit limit = {1 << 20, 1 << 20};

    begin(&r);
    open_ledger(&r, d->path, 0);
    submit(&r, 1);
    cr_assert_eq(kap_loop_run_until(r.loop, &r.done, 30000), KAP_OK);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0); /* no file grows beyond 1 MiB */
    r.done = false;
    submit(&r, 400);
    cr_assert_eq(kap_loop_run_until(r.loop, &r.done, 30000), KAP_OK);
    cr_assert_neq(r.fatal, KAP_OK);
    cr_assert_lt(r.results, 401);
    uint64_t before = r.results;
    submit(&r, 1);
    kap_ledger_close(&r.ledger);
    cr_assert_eq(r.results, before);
    end(&r);
}

Test(ledger, below_the_reserve_it_says_disk, .timeout = 60)
{
    run_t r;

    begin(&r);
    kap_ledger_opts_t opts = {.loop = r.loop,
                              .path = d->path,
                              .clock = kap_clock_system(),
                              .reserve_bytes = UINT64_MAX / 2,
                              .on_results = on_results,
                              .on_fatal = on_fatal,
                              .arg = &r};
    memcpy(opts.mesh, d->mesh, sizeof opts.mesh);
    cr_assert_eq(kap_ledger_open(&opts, d->dir, kap_buf_span(&d->json), &r.ledger), KAP_OK);
    submit(&r, 1);
    cr_assert_eq(kap_loop_run_until(r.loop, &r.done, 30000), KAP_OK);
    cr_assert_eq(r.status, KAP_RECEIPT_DISK);
    cr_assert_eq(r.decided, 0);
    end(&r);
}

/* --- kill -9 --- */

static void publish_for_ever(int out)
{
    run_t r = {.loop = kap_loop_new(), .pipe = out};

    open_ledger(&r, d->path, 0);
    for (;;) {
        r.done = false;
        submit(&r, 8);
        if (kap_loop_run_until(r.loop, &r.done, 30000) != KAP_OK)
            _exit(1);
    }
}

/* Reads what was acknowledged until `enough`, then kills; returns the last of all. */
static uint64_t kill_in_mid_load(pid_t child, int in, uint64_t enough)
{
    uint64_t acked = 0, next;

    while (acked < enough && read(in, &next, sizeof next) == (ssize_t)sizeof next)
        acked = next;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(in, &next, sizeof next) == (ssize_t)sizeof next)
        acked = next;
    return acked;
}

Test(ledger, what_was_acknowledged_survives_a_kill, .timeout = 120)
{
    run_t r;
    int pipes[2];
    uint64_t acked = 0;
    kap_mark_t mark;
    kap_audit_report_t report;
    kap_buf_t what = {0};
    kap_txn_t *txn;

    begin(&r);
    for (uint64_t round = 1; round <= 5; round++) {
        cr_assert_eq(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            close(pipes[0]);
            desk_source(d, "a")->last = acked;
            publish_for_ever(pipes[1]);
        }
        close(pipes[1]);
        uint64_t now = kill_in_mid_load(child, pipes[0], acked + 700 * round);
        close(pipes[0]);
        cr_assert_gt(now, acked, "round %llu", (unsigned long long)round);
        open_ledger(&r, d->path, 0);
        cr_assert_eq(kap_txn_begin(kap_ledger_store(r.ledger), KAP_TXN_READ, &txn), KAP_OK);
        cr_assert_eq(kap_rows_mark(txn, KAP_SPAN("a/p"), &mark), KAP_OK);
        kap_txn_abort(&txn);
        cr_assert_geq(mark.last, now);
        int rc = kap_ledger_audit(kap_ledger_store(r.ledger), &report, &what);
        cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
        cr_assert_eq(report.differences, 0, "%s", kap_buf_cstr(&what));
        kap_ledger_close(&r.ledger);
        acked = mark.last;
    }
    kap_buf_fini(&what);
    end(&r);
}
