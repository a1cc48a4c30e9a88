/* SPDX-License-Identifier: MPL-2.0 */
/* In which order the reader does what waits, and what becomes of it when it stops. */
#include <criterion/criterion.h>

#include "err.h"
#include "reader.h"

static const char *const tables[] = {"rows", NULL};
static kap_loop_t *loop;
static kap_store_t *store;
static kap_reader_t *reader;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static char order[16];
static size_t steps, dones;
static bool all_done;

typedef struct {
    kap_work_t work; /* first */
    char name;
    int slices, rc;
} errand_t;

static int on_step(kap_work_t *work, kap_txn_t *txn)
{
    errand_t *errand = (errand_t *)work;
    (void)txn;
    order[steps++] = errand->name;
    return --errand->slices > 0 ? KAP_E_AGAIN : KAP_OK;
}

static void on_done(kap_work_t *work, int rc)
{
    ((errand_t *)work)->rc = rc;
    all_done = ++dones == 6;
}

static void setup(void)
{
    kap_store_opts_t opts = {.name = "test", .version = 1, .tables = tables, .memory = true};
    cr_assert_eq(kap_store_open(&opts, &store), KAP_OK);
    loop = kap_loop_new();
    cr_assert_eq(kap_reader_start(loop, store, &gate, &reader), KAP_OK);
}

static void teardown(void)
{
    kap_reader_stop(&reader);
    kap_loop_destroy(&loop);
    kap_store_close(&store);
}

TestSuite(reader, .init = setup, .fini = teardown, .timeout = 30);

static void submit(errand_t *errand, char name, bool question, int slices)
{
    *errand = (errand_t){.work = {.step = on_step, .done = on_done, .question = question},
                         .name = name,
                         .slices = slices};
    kap_reader_submit(reader, &errand->work);
}

Test(reader, questions_and_reads_of_streams_take_turns)
{
    errand_t a, b, c, d, x, y;
    pthread_mutex_lock(&gate); /* nothing runs until all wait */
    submit(&a, 'a', true, 2);
    submit(&b, 'b', true, 1);
    submit(&c, 'c', true, 1);
    submit(&d, 'd', true, 1);
    submit(&x, 'x', false, 1);
    submit(&y, 'y', false, 1);
    pthread_mutex_unlock(&gate);
    cr_assert_eq(kap_loop_run_until(loop, &all_done, 10000), KAP_OK);
    /* Whether the thread took a before the others came or not, it is first; a's second slice waits
     * behind the other questions. */
    cr_expect_str_eq(order, "axbycda");
    cr_expect_eq(kap_reader_load(reader), 0);
}

Test(reader, what_is_left_when_it_stops_is_closed)
{
    errand_t a, b;
    pthread_mutex_lock(&gate);
    submit(&a, 'a', true, 1000000);
    submit(&b, 'b', false, 1000000);
    pthread_mutex_unlock(&gate);
    kap_reader_stop(&reader);
    cr_expect_eq(dones, 2);
    cr_expect_eq(a.rc, KAP_E_CLOSED);
    cr_expect_eq(b.rc, KAP_E_CLOSED);
}
