/* SPDX-License-Identifier: MPL-2.0 */
#include "sweep.h"

#include <stdlib.h>

#include "err.h"
#include "log.h"
#include "scrub.h"

enum { SLICE = 500 /* events or records: a few milliseconds */ };

struct kap_sweep {
    kap_work_t work; /* first: the reader hands it back */
    kap_reader_t *reader;
    const kap_clock_t *clock;
    kap_timer_t *timer;
    kap_scrub_t *scrub; /* the reader's thread's, while busy */
    bool busy, passed;
    kap_sweep_state_t state;
};

static void on_damage(void *arg, const char *words)
{
    (void)arg;
    KAP_LOG(KAP_LOG_ERROR, "store_damaged", KAP_S("what", words),
            KAP_S("message", "run kapula-broker --scrub: it says what to restore"));
}

/* One slice a work: the next one waits for the timer. */
static int step(kap_work_t *work, kap_txn_t *txn)
{
    kap_sweep_t *sweep = (kap_sweep_t *)work;
    int rc = kap_scrub_step(sweep->scrub, txn, SLICE);

    sweep->passed = rc == KAP_OK;
    return rc == KAP_E_AGAIN ? KAP_OK : rc;
}

static void done(kap_work_t *work, int rc)
{
    kap_sweep_t *sweep = (kap_sweep_t *)work;
    kap_scrub_report_t report;

    sweep->busy = false;
    if (rc != KAP_OK || !sweep->passed)
        return;
    kap_scrub_report(sweep->scrub, &report);
    sweep->state.passes++;
    sweep->state.passed_at = kap_clock_now_ms(sweep->clock);
    sweep->state.position = report.position;
    sweep->state.damages = report.damages;
}

static void on_time(void *arg)
{
    kap_sweep_t *sweep = arg;

    if (sweep->busy)
        return;
    sweep->busy = true;
    kap_reader_submit(sweep->reader, &sweep->work);
}

int kap_sweep_start(kap_loop_t *loop, kap_reader_t *reader, const kap_clock_t *clock,
                    int64_t pause_ms, kap_sweep_t **out)
{
    kap_sweep_t *sweep = calloc(1, sizeof *sweep);

    if (sweep == NULL)
        return KAP_E_NOMEM;
    sweep->work = (kap_work_t){.step = step, .done = done};
    sweep->reader = reader;
    sweep->clock = clock;
    int rc = kap_scrub_new(false, on_damage, NULL, &sweep->scrub);
    sweep->timer = rc == KAP_OK ? kap_timer_start(loop, pause_ms, pause_ms, on_time, sweep) : NULL;
    if (sweep->timer == NULL) {
        kap_sweep_stop(&sweep);
        return KAP_E_NOMEM;
    }
    *out = sweep;
    return KAP_OK;
}

void kap_sweep_stop(kap_sweep_t **handle)
{
    kap_sweep_t *sweep = *handle;

    if (sweep == NULL)
        return;
    KAP_CHECK(!sweep->busy);
    if (sweep->timer != NULL)
        kap_timer_stop(&sweep->timer);
    kap_scrub_destroy(&sweep->scrub);
    free(sweep);
    *handle = NULL;
}

void kap_sweep_state(const kap_sweep_t *sweep, kap_sweep_state_t *state)
{
    *state = sweep->state;
}
