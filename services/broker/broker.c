/* SPDX-License-Identifier: MPL-2.0 */
#include "broker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "door.h"
#include "err.h"
#include "fetch.h"
#include "ledger.h"
#include "live.h"
#include "log.h"
#include "limit.h"
#include "mp.h"
#include "query.h"
#include "reader.h"
#include "sweep.h"

enum { TICK_MS = 1000, REHEARSAL_LOOK_MS = 5, DRAIN_LOOK_MS = 5 };

struct kap_broker {
    kap_loop_t *loop;
    const kap_conf_t *conf;
    kap_curve_t *keys;
    kap_clock_t *own_clock; /* of a rehearsal */
    const kap_clock_t *clock;
    kap_zap_t *zap;
    kap_live_t *live;
    kap_sweep_t *sweep;
    pthread_mutex_t gate; /* between the reader's slices and a growing store */
    kap_ledger_t *ledger;
    kap_reader_t *reader;
    kap_budget_t *budget;
    kap_ring_t *ring;
    kap_door_t *door;
    kap_fetcher_t *fetcher;
    kap_queries_t *queries;
    kap_timer_t *tick, *drain;
    int64_t ticked_at, drain_until;
    bool draining, closing;
    int rc; /* why the loop was stopped */
};

/* --- what the parts ask of each other --- */

static const kap_member_t *who_holds(void *arg, const char *key)
{
    kap_broker_t *broker = arg;
    return kap_door_who(broker->door, key);
}

/* A region that the directory does not know may be an archive; if it is none, it has no events. */
static unsigned parts_of(void *arg, const kap_member_t *who, kap_span_t stream)
{
    kap_broker_t *broker = arg;
    return kap_may_read(kap_live_now(broker->live), who, stream, true);
}

static int send_events(void *arg, uint32_t peer, kap_span_t req, uint32_t count,
                       kap_blob_t *const blobs[], size_t n)
{
    kap_broker_t *broker = arg;
    return kap_door_answer(broker->door, peer, req, KAP_VERB_EVENTS, count, blobs, n);
}

static int send_answer(void *arg, uint32_t peer, kap_span_t req, kap_blob_t *const blobs[],
                       size_t n)
{
    kap_broker_t *broker = arg;
    return kap_door_answer(broker->door, peer, req, KAP_VERB_ANSWER, 0, blobs, n);
}

static void send_refusal(void *arg, uint32_t peer, kap_span_t req, uint16_t refusal,
                         const char *why)
{
    kap_broker_t *broker = arg;
    kap_door_refuse(broker->door, peer, req, refusal, why);
}

static const kap_metric_seen_t *seen_of(void *arg, kap_arena_t *arena)
{
    kap_broker_t *broker = arg;
    return kap_door_seen(broker->door, arena);
}

static void on_results(void *arg, kap_batch_t *batch)
{
    kap_broker_t *broker = arg;
    if (!broker->door)
        return;
    kap_door_results(broker->door, batch);
    if (broker->closing)
        return;
    kap_fetcher_batch(broker->fetcher, batch);
    kap_queries_moved(broker->queries);
}

static void on_fatal(void *arg, int rc)
{
    kap_broker_t *broker = arg;
    KAP_LOG(KAP_LOG_ERROR, "ledger_failed", KAP_S("error", kap_err_text(rc)));
    broker->rc = rc;
    kap_loop_stop(broker->loop);
}

static void on_directory(void *arg, kap_directory_t *dir, kap_span_t json)
{
    kap_broker_t *broker = arg;
    if (!broker->fetcher)
        return;
    kap_ledger_set_directory(broker->ledger, dir, json);
    kap_fetcher_recheck(broker->fetcher);
}

static void hold_readers(void *arg)
{
    pthread_mutex_lock(&((kap_broker_t *)arg)->gate);
}

static void release_readers(void *arg)
{
    pthread_mutex_unlock(&((kap_broker_t *)arg)->gate);
}

/* --- health --- */

static uint32_t put_uint(kap_buf_t *pairs, const char *key, uint64_t value)
{
    kap_mp_put_cstr(pairs, key);
    kap_mp_put_uint(pairs, value);
    return 1;
}

static uint32_t health_of_ledger(const kap_broker_t *broker, kap_buf_t *pairs)
{
    kap_ledger_state_t state;
    kap_ledger_state(broker->ledger, &state);
    kap_mp_put_cstr(pairs, "epoch");
    kap_mp_put_bin(pairs, kap_span(kap_ledger_epoch(broker->ledger), KAP_LIMIT_EPOCH_BYTES));
    kap_mp_put_cstr(pairs, "disk_full");
    kap_mp_put_bool(pairs, state.disk_full);
    kap_mp_put_cstr(pairs, "deadlines_at");
    kap_mp_put_int(pairs, state.deadlines_at);
    uint32_t n = 3;
    n += put_uint(pairs, "figures_seq", state.figures_seq);
    n += put_uint(pairs, "events_refused", state.refused);
    n += put_uint(pairs, "batches", state.batches);
    n += put_uint(pairs, "last_commit_us", (uint64_t)state.last_commit_us);
    n += put_uint(pairs, "unjudged_bytes", kap_ledger_load(broker->ledger));
    uint64_t used = 0, map = 0;
    if (kap_store_usage(kap_ledger_store(broker->ledger), &used, &map) == KAP_OK)
        n += put_uint(pairs, "store_bytes", used);
    return n;
}

/* Damage of the store as the last whole pass saw it. */
static uint32_t health_of_store(const kap_broker_t *broker, kap_buf_t *pairs)
{
    kap_sweep_state_t s;
    kap_sweep_state(broker->sweep, &s);
    uint32_t n = put_uint(pairs, "scrub_passes", s.passes);
    n += put_uint(pairs, "scrubbed_at", (uint64_t)s.passed_at);
    n += put_uint(pairs, "scrubbed_to", s.position);
    n += put_uint(pairs, "store_damages", s.damages);
    return n;
}

static uint32_t health_of_door(const kap_broker_t *broker, kap_buf_t *pairs)
{
    kap_door_counts_t c;
    kap_door_counts(broker->door, &c);
    uint32_t n = put_uint(pairs, "publishes", c.publishes);
    n += put_uint(pairs, "fetches", c.fetches);
    n += put_uint(pairs, "queries", c.queries);
    n += put_uint(pairs, "events_published", c.events);
    n += put_uint(pairs, "requests_malformed", c.malformed);
    n += put_uint(pairs, "requests_other_version", c.versions);
    n += put_uint(pairs, "requests_other_mesh", c.meshes);
    n += put_uint(pairs, "requests_of_strangers", c.strangers);
    n += put_uint(pairs, "foreign", c.foreign);
    n += put_uint(pairs, "busy", c.busy);
    n += put_uint(pairs, "receipts_lost", c.lost);
    n += put_uint(pairs, "receipts_owed", kap_door_pending(broker->door));
    return n;
}

static uint32_t health_of_fetches(const kap_broker_t *broker, kap_buf_t *pairs)
{
    kap_fetch_counts_t c;
    kap_fetcher_counts(broker->fetcher, &c);
    uint32_t n = put_uint(pairs, "answers", c.answers);
    n += put_uint(pairs, "answers_lost", c.lost);
    n += put_uint(pairs, "events_sent", c.events);
    n += put_uint(pairs, "event_bytes_sent", c.bytes);
    n += put_uint(pairs, "segments_hot", c.hot);
    n += put_uint(pairs, "segments_cold", c.cold);
    n += put_uint(pairs, "segments_shared", c.shared);
    n += put_uint(pairs, "fetches_waiting", c.waiting);
    n += put_uint(pairs, "fetches_blocked", c.blocked);
    n += put_uint(pairs, "unread_bytes", (uint64_t)kap_budget_unread(broker->budget));
    n += put_uint(pairs, "ring_bytes", kap_ring_bytes(broker->ring));
    n += put_uint(pairs, "reader_load", kap_reader_load(broker->reader));
    return n;
}

static uint32_t health(void *arg, kap_buf_t *pairs)
{
    const kap_broker_t *broker = arg;
    kap_directory_t *dir = kap_live_now(broker->live);
    uint32_t n = health_of_ledger(broker, pairs) + health_of_door(broker, pairs) +
                 health_of_fetches(broker, pairs) + health_of_store(broker, pairs);
    n += put_uint(pairs, "members", kap_directory_member_count(dir));
    n += put_uint(pairs, "regions", kap_directory_region_count(dir));
    if (broker->zap) {
        kap_zap_counts_t c;
        kap_zap_counts(broker->zap, &c);
        n += put_uint(pairs, "handshakes", c.allowed);
        n += put_uint(pairs, "handshakes_refused", c.refused);
    }
    return n;
}

/* --- time and signals --- */

/* Each second, and in a rehearsal soon after its clock moved: are deadlines due? */
static void on_tick(void *arg)
{
    kap_broker_t *broker = arg;
    int64_t now = kap_clock_now_ms(broker->clock);
    if (broker->own_clock && now == broker->ticked_at)
        return;
    broker->ticked_at = now;
    kap_ledger_tick(broker->ledger);
}

static void on_drain(void *arg)
{
    kap_broker_t *broker = arg;
    if (kap_door_pending(broker->door) == 0 || kap_monotonic_ms() >= broker->drain_until)
        kap_loop_stop(broker->loop);
}

static void on_signal(void *arg, int signo)
{
    kap_broker_t *broker = arg;
    if (signo == SIGHUP) {
        (void)kap_live_reload(broker->live);
        return;
    }
    KAP_LOG(KAP_LOG_INFO, "stopping", KAP_I("receipts_owed", kap_door_pending(broker->door)));
    if (broker->draining) {
        kap_loop_stop(broker->loop);
        return;
    }
    broker->draining = true;
    kap_door_drain(broker->door);
    broker->drain_until = kap_monotonic_ms() + kap_conf_int(broker->conf, "drain");
    broker->drain = kap_timer_start(broker->loop, 0, DRAIN_LOOK_MS, on_drain, broker);
}

/* --- opening --- */

static int complain(const char *what)
{
    KAP_LOG(KAP_LOG_ERROR, "configuration_bad", KAP_S("message", what));
    return KAP_E_CONFIG;
}

static int read_keys(const kap_conf_t *conf, kap_curve_t **keys)
{
    kap_buf_t messages = {0};
    const char *path = kap_conf_str(conf, "keys"), *endpoint = kap_conf_str(conf, "endpoint");
    if (kap_conf_bool(conf, "plain")) {
        if (strncmp(endpoint, "tcp://127.0.0.1:", 16) != 0)
            return complain("endpoint: plain listens on tcp://127.0.0.1: only");
        KAP_LOG(KAP_LOG_WARN, "plain",
                KAP_S("message", "no CURVE: everybody on this host is believed; for benchmarks"));
        return KAP_OK;
    }
    if (!path)
        return complain("keys: the broker's CURVE keys are missing; make them with kapula keygen");
    int rc = kap_curve_read(path, keys, &messages);
    if (rc != KAP_OK)
        complain(kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    return rc == KAP_OK ? KAP_OK : KAP_E_CONFIG;
}

static int open_clock(const kap_conf_t *conf, kap_clock_t **own, const kap_clock_t **clock)
{
    const char *path = kap_conf_str(conf, "clock");
    *clock = kap_clock_system();
    if (!path)
        return KAP_OK;
    if (kap_clock_file_open(path, own) != KAP_OK)
        return complain("clock: the file is not there or is not 8 bytes");
    *clock = *own;
    return KAP_OK;
}

static kap_live_opts_t live_opts(const kap_conf_t *conf, const kap_clock_t *clock)
{
    return (kap_live_opts_t){.path = kap_conf_str(conf, "directory"),
                             .authority = kap_conf_str(conf, "authority"),
                             .rehearsal = kap_conf_str(conf, "clock") != NULL,
                             .plain = kap_conf_bool(conf, "plain"),
                             .clock = clock};
}

int kap_broker_check(const kap_conf_t *conf)
{
    kap_curve_t *keys = NULL;
    kap_clock_t *own = NULL;
    const kap_clock_t *clock;
    kap_directory_t *dir = NULL;
    int rc = read_keys(conf, &keys);
    int clock_rc = open_clock(conf, &own, &clock);
    kap_live_opts_t live = live_opts(conf, clock);
    int live_rc = kap_live_check(&live, &dir);
    if (dir)
        kap_directory_unref(&dir);
    kap_clock_destroy(&own);
    kap_curve_destroy(&keys);
    return rc != KAP_OK ? rc : clock_rc != KAP_OK ? clock_rc : live_rc;
}

static int open_ledger(kap_broker_t *broker)
{
    kap_buf_t why = {0};
    kap_directory_t *dir = kap_live_now(broker->live);
    kap_ledger_opts_t opts = {.loop = broker->loop,
                              .path = kap_conf_str(broker->conf, "store"),
                              .clock = broker->clock,
                              .no_figures = !kap_conf_bool(broker->conf, "metrics"),
                              .reserve_bytes = (uint64_t)kap_conf_int(broker->conf, "reserve"),
                              .on_results = on_results,
                              .on_fatal = on_fatal,
                              .arg = broker,
                              .hold = hold_readers,
                              .release = release_readers,
                              .barrier_arg = broker,
                              .why = &why};
    memcpy(opts.mesh, kap_directory_mesh(dir), sizeof opts.mesh);
    int rc = kap_ledger_open(&opts, dir, kap_live_text(broker->live), &broker->ledger);
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "store_not_opened", KAP_S("path", opts.path),
                KAP_S("error", kap_err_text(rc)), KAP_S("message", kap_buf_cstr(&why)));
    kap_buf_fini(&why);
    return rc;
}

static int open_memory(kap_broker_t *broker)
{
    const kap_conf_t *conf = broker->conf;
    kap_ledger_state_t state;
    kap_ledger_state(broker->ledger, &state);
    kap_budget_limits_t limits = {.unjudged_bytes = kap_conf_int(conf, "budget.unjudged"),
                                  .unread_bytes = kap_conf_int(conf, "budget.unread"),
                                  .unread_all_bytes = kap_conf_int(conf, "budget.unread_all"),
                                  .fetches = (uint32_t)kap_conf_int(conf, "budget.fetches"),
                                  .queries = (uint32_t)kap_conf_int(conf, "budget.queries")};
    broker->budget = kap_budget_new(&limits);
    broker->ring =
        kap_ring_new((size_t)kap_conf_int(conf, "ring"), state.head_seq, state.head_time);
    return broker->budget && broker->ring ? KAP_OK : KAP_E_NOMEM;
}

static int open_requests(kap_broker_t *broker)
{
    kap_fetch_host_t fetch = {.loop = broker->loop,
                              .ring = broker->ring,
                              .reader = broker->reader,
                              .budget = broker->budget,
                              .epoch = kap_ledger_epoch(broker->ledger),
                              .ended = kap_ledger_ended(broker->ledger),
                              .who = who_holds,
                              .may_read = parts_of,
                              .send = send_events,
                              .refuse = send_refusal,
                              .arg = broker};
    kap_query_host_t query = {.loop = broker->loop,
                              .ledger = broker->ledger,
                              .reader = broker->reader,
                              .budget = broker->budget,
                              .live = broker->live,
                              .no_figures = !kap_conf_bool(broker->conf, "metrics"),
                              .who = who_holds,
                              .send = send_answer,
                              .refuse = send_refusal,
                              .seen = seen_of,
                              .clock = broker->clock,
                              .health = health,
                              .arg = broker};
    broker->fetcher = kap_fetcher_new(&fetch);
    broker->queries = kap_queries_new(&query);
    return broker->fetcher && broker->queries ? KAP_OK : KAP_E_NOMEM;
}

static int open_door(kap_broker_t *broker)
{
    kap_door_opts_t opts = {.loop = broker->loop,
                            .keys = broker->keys,
                            .clock = broker->clock,
                            .live = broker->live,
                            .budget = broker->budget};
    return kap_door_open(&opts, &broker->door);
}

/* The last step: from here on requests come. */
static int listen_now(kap_broker_t *broker)
{
    char actual[KAP_SOCK_ENDPOINT_MAX];
    const char *endpoint = kap_conf_str(broker->conf, "endpoint");
    int64_t tick_ms = broker->own_clock ? REHEARSAL_LOOK_MS : TICK_MS;
    broker->tick = kap_timer_start(broker->loop, 0, tick_ms, on_tick, broker);
    int rc = broker->tick ? KAP_OK : KAP_E_NOMEM;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; rc == KAP_OK && i < 3; i++)
        rc = kap_loop_on_signal(broker->loop, signals[i], on_signal, broker);
    if (rc == KAP_OK)
        rc = kap_door_serve(broker->door, broker->ledger, broker->fetcher, broker->queries,
                            endpoint, actual);
    if (rc == KAP_OK)
        KAP_LOG(KAP_LOG_INFO, "ready", KAP_S("endpoint", actual));
    else
        KAP_LOG(KAP_LOG_ERROR, "not_listening", KAP_S("endpoint", endpoint),
                KAP_S("error",
                      rc == KAP_E_EXISTS ? "another program listens there" : kap_err_text(rc)));
    return rc;
}

int kap_broker_open(kap_loop_t *loop, const kap_conf_t *conf, kap_broker_t **out)
{
    kap_broker_t *broker = calloc(1, sizeof *broker);
    if (!broker)
        return KAP_E_NOMEM;
    broker->loop = loop;
    broker->conf = conf;
    pthread_mutex_init(&broker->gate, NULL);
    int rc = read_keys(conf, &broker->keys);
    if (rc == KAP_OK)
        rc = open_clock(conf, &broker->own_clock, &broker->clock);
    if (rc == KAP_OK && broker->keys)
        rc = kap_zap_start(&broker->zap);
    kap_live_opts_t live = live_opts(conf, broker->clock);
    live.zap = broker->zap;
    live.on_change = on_directory;
    live.arg = broker;
    if (rc == KAP_OK)
        rc = kap_live_open(loop, &live, &broker->live);
    if (rc == KAP_OK)
        rc = open_ledger(broker);
    if (rc == KAP_OK)
        rc = open_memory(broker);
    if (rc == KAP_OK)
        rc = kap_reader_start(loop, kap_ledger_store(broker->ledger), &broker->gate,
                              &broker->reader);
    if (rc == KAP_OK)
        rc = kap_sweep_start(loop, broker->reader, broker->clock, kap_conf_int(conf, "scrub"),
                             &broker->sweep);
    if (rc == KAP_OK)
        rc = open_door(broker);
    if (rc == KAP_OK)
        rc = open_requests(broker);
    if (rc == KAP_OK)
        rc = listen_now(broker);
    if (rc != KAP_OK) {
        (void)kap_broker_close(&broker);
        return rc;
    }
    *out = broker;
    return KAP_OK;
}

int kap_broker_close(kap_broker_t **handle)
{
    kap_broker_t *broker = *handle;
    int rc = broker->rc;
    broker->closing = true;
    if (broker->drain)
        kap_timer_stop(&broker->drain);
    if (broker->tick)
        kap_timer_stop(&broker->tick);
    kap_reader_stop(&broker->reader);
    kap_sweep_stop(&broker->sweep);
    kap_ledger_close(&broker->ledger); /* judges, commits and answers what waits */
    kap_queries_destroy(&broker->queries);
    kap_fetcher_destroy(&broker->fetcher);
    kap_door_close(&broker->door);
    kap_ring_destroy(&broker->ring);
    kap_budget_destroy(&broker->budget);
    kap_live_close(&broker->live);
    kap_zap_stop(&broker->zap);
    kap_clock_destroy(&broker->own_clock);
    kap_curve_destroy(&broker->keys);
    pthread_mutex_destroy(&broker->gate);
    free(broker);
    *handle = NULL;
    return rc;
}
