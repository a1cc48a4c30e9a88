/* SPDX-License-Identifier: MPL-2.0 */
/* Scrub and sweep: what is damaged is named, once a pass, and nothing else is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "desk.h"
#include "err.h"
#include "rows.h"
#include "scrub.h"
#include "sweep.h"

enum { EVENTS = 40 };

static desk_t desk, *d = &desk;
static char told[2000];

static void setup(void)
{
    char id[16];

    desk_open(d, true);
    for (int i = 0; i < EVENTS; i++) {
        snprintf(id, sizeof id, "r%d", i);
        desk_created(d, "a", id, id, "a", "b", "mikkeli", NULL);
        cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    }
}

static void teardown(void)
{
    desk_close(d);
}

TestSuite(scrub, .init = setup, .fini = teardown, .timeout = 60);

static void on_damage(void *arg, const char *words)
{
    (void)arg;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", words);
}

static kap_scrub_report_t scrub(void)
{
    kap_scrub_report_t report;

    told[0] = '\0';
    cr_assert_eq(kap_scrub_all(d->store, on_damage, NULL, &report), KAP_OK);
    return report;
}

/* Writes a record whose checksum is right and whose content is not. */
static void write_over(unsigned table, kap_span_t key, size_t at, uint8_t bits)
{
    uint8_t bytes[KAP_ROWS_RUN_BYTES * 2];
    kap_txn_t *txn;
    kap_span_t value;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_txn_get(txn, table, key, &value), KAP_OK);
    size_t size = value.size;
    cr_assert(size <= sizeof bytes && at < size);
    memcpy(bytes, value.data, size);
    bytes[at] ^= bits;
    cr_assert_eq(kap_txn_put(txn, table, key, kap_span(bytes, size)), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
}

Test(scrub, a_whole_store_has_no_damage)
{
    kap_scrub_report_t report = scrub();

    cr_expect_eq(report.damages, 0, "%s", told);
    cr_expect_eq(report.position, EVENTS);
    cr_expect_eq(report.log_from, 0);
}

Test(scrub, an_event_that_was_changed_is_named_by_its_position)
{
    kap_key_t key;

    kap_key_u64(&key, 7);
    write_over(KAP_ROWS_LOG, kap_key_span(&key), 20, 1); /* its time */
    kap_scrub_report_t report = scrub();
    cr_expect_eq(report.damages, 1);
    cr_expect_eq(report.log_from, 7);
    cr_expect_str_eq(told, "log, positions 7 to 7: cannot be read\n");
}

Test(scrub, an_ends_part_that_was_changed_is_found)
{
    kap_key_t key;

    kap_key_u64(&key, EVENTS);
    write_over(KAP_ROWS_ENDS, kap_key_span(&key), 30, 1);
    kap_scrub_report_t report = scrub();
    cr_expect_eq(report.damages, 1);
    cr_expect_eq(report.log_from, EVENTS);
    cr_expect_eq(report.position, EVENTS);
}

Test(scrub, a_chain_that_ends_elsewhere_is_found)
{
    write_over(KAP_ROWS_META, KAP_SPAN("head"), 70, 1);
    kap_scrub_report_t report = scrub();
    cr_expect_eq(report.damages, 1);
    cr_expect_eq(report.log_from, 1);
    cr_expect_not_null(strstr(told, "its chain does not end where the head says"));
}

Test(scrub, a_name_that_is_hidden_is_found)
{
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_WRITE, &txn), KAP_OK);
    cr_assert_eq(kap_txn_delete(txn, KAP_ROWS_NAMES, KAP_SPAN("mikkeli")), KAP_OK);
    cr_assert_eq(kap_txn_commit(&txn), KAP_OK);
    kap_scrub_report_t report = scrub();
    cr_expect_eq(report.damages, 1);
    cr_expect_eq(report.log_from, 0);
    cr_expect_str_eq(told, "names, texts or receipts: a row is missing\n");
}

typedef struct {
    kap_sweep_t *sweep;
    uint64_t passes;
    bool over;
} awaited_t;

static void look(void *arg)
{
    awaited_t *a = arg;
    kap_sweep_state_t state;

    kap_sweep_state(a->sweep, &state);
    a->over = state.passes >= a->passes;
}

Test(scrub, a_sweep_goes_round_and_tells_what_its_last_pass_saw)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    kap_loop_t *loop = kap_loop_new();
    kap_reader_t *reader;
    awaited_t awaited = {.passes = 2};
    kap_sweep_state_t state;
    kap_key_t key;

    cr_assert_eq(kap_reader_start(loop, d->store, &gate, &reader), KAP_OK);
    cr_assert_eq(kap_sweep_start(loop, reader, kap_clock_system(), 1, &awaited.sweep), KAP_OK);
    kap_timer_t *timer = kap_timer_start(loop, 1, 1, look, &awaited);
    cr_assert_eq(kap_loop_run_until(loop, &awaited.over, 30000), KAP_OK);
    kap_sweep_state(awaited.sweep, &state);
    cr_expect_eq(state.damages, 0);
    cr_expect_eq(state.position, EVENTS);
    cr_expect_gt(state.passed_at, 0);
    pthread_mutex_lock(&gate);
    kap_key_u64(&key, 7);
    write_over(KAP_ROWS_LOG, kap_key_span(&key), 20, 1);
    pthread_mutex_unlock(&gate);
    awaited.passes = state.passes + 2;
    awaited.over = false;
    cr_assert_eq(kap_loop_run_until(loop, &awaited.over, 30000), KAP_OK);
    kap_sweep_state(awaited.sweep, &state);
    cr_expect_eq(state.damages, 1);
    kap_timer_stop(&timer);
    kap_reader_stop(&reader);
    kap_sweep_stop(&awaited.sweep);
    kap_loop_destroy(&loop);
}
