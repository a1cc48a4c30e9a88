/* SPDX-License-Identifier: MPL-2.0 */
#include "node.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "hooks.h"
#include "inbox.h"
#include "inside.h"
#include "local.h"
#include "localpub.h"
#include "log.h"
#include "taken.h"
#include "uplink.h"

#define TRIM_EVERY_MS 60000
#define TRIM_ROWS     2000
#define TRIM_TURN_MS  50
#define DRAIN_MS      5000 /* how long SIGTERM waits for receipts; a guess */

/* --- small accessors --- */

kap_loop_t *kap_node_loop(const kap_node_t *node)
{
    return node->loop;
}

const kap_conf_t *kap_node_conf(const kap_node_t *node)
{
    return node->conf;
}

int64_t kap_node_now_ms(const kap_node_t *node)
{
    return kap_clock_now_ms(node->clock);
}

kap_client_t *kap_node_client(const kap_node_t *node)
{
    return node->client;
}

const kap_actor_t *kap_node_actor(const kap_node_t *node)
{
    return node->actor;
}

const char *kap_node_member(const kap_node_t *node)
{
    return node->member;
}

const kap_directory_t *kap_node_directory(const kap_node_t *node)
{
    return node->directory;
}

const kap_member_t *kap_node_self(const kap_node_t *node)
{
    return kap_directory_member(node->directory, kap_span_str(node->member));
}

/* --- opening --- */

static int clock_open(kap_node_t *node)
{
    const char *path = kap_conf_str(node->conf, "clock");
    node->clock = kap_clock_system();
    if (!path)
        return KAP_OK;
    int rc = kap_clock_file_open(path, &node->clock_file);
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "clock", KAP_S("path", path), KAP_S("error", kap_err_text(rc)));
        return KAP_E_CONFIG;
    }
    node->clock = node->clock_file;
    return KAP_OK;
}

static int store_open(kap_node_t *node)
{
    kap_buf_t why;
    kap_buf_init(&why);
    kap_store_opts_t opts = {.path = kap_conf_str(node->conf, "store.path"),
                             .name = "node",
                             .version = KAP_NODE_STORE_VERSION,
                             .tables = kap_node_tables,
                             .why = &why};
    int rc = kap_store_open(&opts, &node->store);
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "store_not_opened", KAP_S("path", opts.path),
                KAP_S("error", kap_err_text(rc)), KAP_SP("why", kap_buf_span(&why)));
    kap_buf_fini(&why);
    return rc;
}

/* A store belongs to one member of one mesh. */
static int owner_body(kap_work_t *work, void *arg)
{
    kap_node_t *node = work->node;
    kap_span_t held;
    kap_buf_t mine;
    (void)arg;
    kap_buf_init(&mine);
    kap_buf_append(&mine, kap_span(node->mesh, sizeof node->mesh));
    kap_buf_str(&mine, node->member);
    int rc = kap_txn_get(work->txn, KAP_TABLE_META, KAP_SPAN("owner"), &held);
    if (rc == KAP_E_NOTFOUND)
        rc = kap_txn_put(work->txn, KAP_TABLE_META, KAP_SPAN("owner"), kap_buf_span(&mine));
    else if (rc == KAP_OK && !kap_span_eq(held, kap_buf_span(&mine)))
        rc = KAP_E_CONFLICT;
    kap_buf_fini(&mine);
    return rc;
}

static int owner_check(kap_node_t *node)
{
    int rc = kap_work_run(node, owner_body, NULL);
    if (rc == KAP_E_CONFLICT)
        KAP_LOG(
            KAP_LOG_ERROR, "store_of_another",
            KAP_S("path", kap_conf_str(node->conf, "store.path")),
            KAP_S("what", "the store belongs to another member or mesh; give this one its own"));
    return rc;
}

static void client_state(void *arg, kap_sock_state_t state)
{
    kap_node_t *node = arg;
    if (state == KAP_SOCK_REFUSED)
        KAP_LOG(KAP_LOG_ERROR, "broker_refused",
                KAP_S("what", "the broker does not know our key; ask the operator"));
    else
        KAP_LOG(KAP_LOG_INFO, state == KAP_SOCK_UP ? "broker_up" : "broker_down");
    if (state == KAP_SOCK_UP && node->uplink)
        kap_uplink_up(node->uplink);
}

int kap_node_broker_opts(kap_node_t *node, uint8_t server_public[32], kap_client_opts_t *opts)
{
    const char *key = kap_conf_str(node->conf, "broker.public_key");
    *opts = (kap_client_opts_t){.endpoint = kap_conf_str(node->conf, "broker.endpoint"),
                                .keys = node->curve,
                                .server_public = server_public};
    memcpy(opts->mesh, node->mesh, sizeof opts->mesh);
    if (strncmp(opts->endpoint, "tcp://", 6) != 0 || !strchr(opts->endpoint + 6, ':')) {
        KAP_LOG(KAP_LOG_ERROR, "config", KAP_S("key", "broker.endpoint"),
                KAP_S("what", "write tcp://host:port"));
        return KAP_E_CONFIG;
    }
    if (kap_z85_decode(server_public, 32, kap_span_str(key)) == KAP_OK)
        return KAP_OK;
    KAP_LOG(KAP_LOG_ERROR, "config", KAP_S("key", "broker.public_key"),
            KAP_S("what", "is no Z85 key of 40 characters"));
    return KAP_E_CONFIG;
}

static int client_open(kap_node_t *node)
{
    uint8_t server_public[32];
    kap_client_opts_t opts;
    int rc = kap_node_broker_opts(node, server_public, &opts);
    opts.on_state = client_state;
    opts.arg = node;
    if (rc == KAP_OK)
        rc = kap_client_open(node->loop, &opts, &node->client);
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "broker_endpoint", KAP_S("endpoint", opts.endpoint),
                KAP_S("error", kap_err_text(rc)));
    return rc;
}

static void uplink_checked(void *arg)
{
    kap_node_t *node = arg;
    kap_inbox_go(node->inbox);
}

static void directory_changed(void *arg)
{
    kap_node_directory_read(arg, false);
}

static int trim_body(kap_work_t *work, void *arg)
{
    int64_t keep_ms = kap_conf_int(work->node->conf, "store.keep");
    int rc = kap_taken_trim(work, work->now_ms - keep_ms);
    return rc == KAP_OK ? kap_outbox_trim(work->txn, work->now_ms - keep_ms, TRIM_ROWS, arg) : rc;
}

static void trim_due(void *arg)
{
    kap_node_t *node = arg;
    uint64_t trimmed = 0;
    if (kap_work_run(node, trim_body, &trimmed) == KAP_OK)
        kap_timer_again(node->trim_timer, trimmed == TRIM_ROWS ? TRIM_TURN_MS : TRIM_EVERY_MS, 0);
}

/* Doors and connection, once store and keys are there. */
static int parts_start(kap_node_t *node)
{
    int rc = client_open(node);
    if (rc == KAP_OK)
        rc = kap_inbox_start(node, &node->inbox);
    if (rc == KAP_OK)
        rc = kap_uplink_start(node, uplink_checked, node, &node->uplink);
    if (rc == KAP_OK)
        rc = kap_local_folder(kap_conf_str(node->conf, "local.directory"));
    if (rc == KAP_OK)
        rc = kap_localpub_start(node, &node->localpub);
    if (rc == KAP_OK)
        rc = kap_local_start(node, &node->local);
    if (rc != KAP_OK)
        return rc;
    node->directory_watch =
        kap_loop_watch(node->loop, kap_conf_str(node->conf, "directory"), directory_changed, node);
    node->trim_timer = kap_timer_start(node->loop, TRIM_EVERY_MS, 0, trim_due, node);
    return node->directory_watch && node->trim_timer ? KAP_OK : KAP_E_NOMEM;
}

/* A node with what can be read without opening anything that others see: clock, keys, directory.
 * *out is set also on failure, unless memory is short. */
static int node_new(const kap_conf_t *conf, const kap_actor_t *actor, kap_node_t **out)
{
    kap_node_t *node = calloc(1, sizeof *node);
    if (!node)
        return KAP_E_NOMEM;
    *out = node;
    node->conf = conf;
    node->actor = actor;
    snprintf(node->member, sizeof node->member, "%s", kap_conf_str(conf, "member"));
    int rc = clock_open(node);
    if (rc == KAP_OK)
        rc = kap_node_keys_open(node);
    return rc == KAP_OK ? kap_node_directory_read(node, true) : rc;
}

int kap_node_open(kap_loop_t *loop, const kap_conf_t *conf, const kap_actor_t *actor,
                  kap_node_t **out)
{
    kap_node_t *node = NULL;
    int rc = node_new(conf, actor, &node);
    if (rc == KAP_OK) {
        node->loop = loop;
        node->arena = kap_arena_new(65536);
        rc = node->arena ? store_open(node) : KAP_E_NOMEM;
    }
    if (rc == KAP_OK)
        rc = owner_check(node);
    if (rc == KAP_OK)
        rc = parts_start(node);
    if (rc != KAP_OK) {
        kap_node_close(&node);
        return rc;
    }
    *out = node;
    return KAP_OK;
}

static int extras_start(kap_node_t *node)
{
    const kap_node_extra_t *const *extras = node->actor->extras;
    for (size_t i = 0; extras && extras[i]; i++) {
        KAP_CHECK(i < KAP_NODE_EXTRAS);
        int rc = extras[i]->start(node, &node->extra_states[i]);
        if (rc != KAP_OK) {
            KAP_LOG(KAP_LOG_ERROR, "extra_not_started", KAP_S("extra", extras[i]->name),
                    KAP_S("error", kap_err_text(rc)));
            return rc;
        }
        node->extras_started = i + 1;
    }
    return KAP_OK;
}

/* Is this member of a type that the daemon serves? */
static int type_check(const kap_node_t *node)
{
    const char *const *types = node->actor->types;
    const kap_member_t *self = kap_node_self(node);
    char known[200] = "";
    size_t at = 0;
    if (!self || !types)
        return KAP_OK;
    for (; *types; types++) {
        if (kap_span_eq_str(self->type_id, *types))
            return KAP_OK;
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", *types);
    }
    KAP_LOG(KAP_LOG_ERROR, "actor_type", KAP_S("member", node->member),
            KAP_SP("type", self->type_id), KAP_S("types", known),
            KAP_S("what", "this daemon serves members of other types; kapula-partner serves any"));
    return KAP_E_CONFIG;
}

int kap_node_start(kap_node_t *node)
{
    int rc = type_check(node);
    if (rc != KAP_OK)
        return rc;
    if (node->actor->opened)
        rc = node->actor->opened(node, &node->actor_state);
    node->actor_started = rc == KAP_OK;
    if (rc == KAP_OK)
        rc = extras_start(node);
    if (rc == KAP_OK)
        rc = kap_hooks_start(node, &node->hooks);
    return rc;
}

/* --- ending --- */

void kap_node_drain_look(kap_node_t *node)
{
    uint64_t waiting = 0;
    int64_t oldest_ms;
    bool over = kap_monotonic_ms() >= node->drain_until || node->failed;
    if (!node->on_drained)
        return;
    if (!over && kap_node_waiting(node, &waiting, &oldest_ms) == KAP_OK && waiting > 0)
        return;
    void (*on_drained)(void *arg) = node->on_drained;
    node->on_drained = NULL;
    kap_timer_stop(&node->drain_timer);
    on_drained(node->drained_arg);
}

static void drain_due(void *arg)
{
    kap_node_drain_look(arg);
}

void kap_node_drain(kap_node_t *node, int64_t wait_ms, void (*on_drained)(void *arg), void *arg)
{
    if (node->on_drained)
        return;
    node->draining = true;
    node->drain_until = kap_monotonic_ms() + wait_ms;
    node->on_drained = on_drained;
    node->drained_arg = arg;
    node->drain_timer = kap_timer_start(node->loop, 0, 100, drain_due, node);
    if (!node->drain_timer)
        kap_node_drain_look(node);
}

void kap_node_close(kap_node_t **ref)
{
    kap_node_t *node = *ref;
    *ref = NULL;
    if (!node)
        return;
    node->draining = true;
    kap_hooks_stop(&node->hooks);
    while (node->extras_started > 0) {
        size_t i = --node->extras_started;
        node->actor->extras[i]->stop(&node->extra_states[i]);
    }
    if (node->actor_started && node->actor->closing)
        node->actor->closing(&node->actor_state);
    kap_local_stop(&node->local);
    kap_localpub_stop(&node->localpub);
    kap_uplink_stop(&node->uplink);
    kap_inbox_stop(&node->inbox);
    kap_client_close(&node->client);
    kap_watch_stop(&node->directory_watch);
    kap_timer_stop(&node->trim_timer);
    kap_timer_stop(&node->drain_timer);
    kap_store_close(&node->store);
    kap_directory_unref(&node->directory);
    kap_node_keys_close(node);
    kap_clock_destroy(&node->clock_file);
    kap_arena_destroy(&node->arena);
    free(node);
}

/* --- main --- */

static void usage(const kap_actor_t *actor, FILE *out)
{
    const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES];
    fprintf(out,
            "%s: %s\n\n"
            "usage: %s -c FILE [--check | --print-config | --backup DIR]\n"
            "  -c, --config FILE  configuration\n"
            "  --check            read configuration, keys and directory, say what is wrong, end\n"
            "  --print-config     print what is in force, end\n"
            "  --backup DIR       copy the store, of a running daemon too, into DIR, which must\n"
            "                     not be there; verify the copy, end\n"
            "  --version, --help\n\n"
            "configuration keys:\n",
            actor->program, actor->summary, actor->program);
    kap_node_conf_tables(actor, tables);
    kap_conf_help(tables, out);
}

typedef struct {
    const char *config, *backup;
    bool check, print;
    int exit_code; /* -1: go on */
} args_t;

static void args_parse(int argc, char **argv, const kap_actor_t *actor, args_t *args)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"print-config", no_argument, NULL, 'p'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"backup", required_argument, NULL, 'b'},
                                            {NULL, 0, NULL, 0}};
    int option;
    *args = (args_t){.exit_code = -1};
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'c')
            args->config = optarg;
        else if (option == 'b')
            args->backup = optarg;
        else if (option == 'k')
            args->check = true;
        else if (option == 'p')
            args->print = true;
        else if (option == 'v' || option == 'h')
            args->exit_code = 0;
        else
            args->exit_code = 2;
        if (option == 'v')
            printf("%s %s\n", actor->program, KAP_VERSION);
        if (option == 'h')
            usage(actor, stdout);
    }
    if (args->exit_code == -1 && (!args->config || optind < argc)) {
        fprintf(stderr, "usage: %s -c FILE [--check | --print-config | --backup DIR]\n",
                actor->program);
        args->exit_code = 2;
    }
}

/* Type, keys, directory, and the broker's door as --check looks at them. */
static int check_only(const kap_conf_t *conf, const kap_actor_t *actor)
{
    kap_node_t *node = NULL;
    uint8_t server_public[32];
    kap_client_opts_t opts;
    int rc = node_new(conf, actor, &node);
    if (rc == KAP_OK)
        rc = type_check(node);
    if (rc == KAP_OK)
        rc = kap_node_broker_opts(node, server_public, &opts);
    kap_node_close(&node);
    return rc;
}

static void end_loop(void *arg)
{
    kap_loop_stop(arg);
}

static void on_end_signal(void *arg, int signo)
{
    kap_node_t *node = arg;
    KAP_LOG(KAP_LOG_INFO, "ending", KAP_I("signal", signo));
    if (node->draining)
        kap_loop_stop(node->loop);
    else
        kap_node_drain(node, DRAIN_MS, end_loop, node->loop);
}

static void on_reload_signal(void *arg, int signo)
{
    (void)signo;
    kap_node_directory_read(arg, false);
}

static int serve(const kap_conf_t *conf, const kap_actor_t *actor)
{
    kap_node_t *node = NULL;
    kap_loop_t *loop = NULL;
    int code = 1;
    if (kap_crypto_init() != KAP_OK || kap_sock_system_start() != KAP_OK)
        return 1;
    loop = kap_loop_new();
    if (!loop)
        goto done;
    int rc = kap_node_open(loop, conf, actor, &node);
    if (rc != KAP_OK) {
        code = rc == KAP_E_CONFIG ? 2 : 1;
        goto done;
    }
    if (kap_loop_on_signal(loop, SIGTERM, on_end_signal, node) != KAP_OK ||
        kap_loop_on_signal(loop, SIGINT, on_end_signal, node) != KAP_OK ||
        kap_loop_on_signal(loop, SIGHUP, on_reload_signal, node) != KAP_OK ||
        kap_node_start(node) != KAP_OK)
        goto done;
    KAP_LOG(KAP_LOG_INFO, "ready", KAP_S("member", node->member), KAP_S("version", KAP_VERSION));
    kap_loop_run(loop);
    code = node->failed ? 1 : 0;
done:
    kap_node_close(&node);
    kap_loop_destroy(&loop);
    kap_sock_system_stop();
    KAP_LOG(KAP_LOG_INFO, "ended", KAP_I("code", code));
    kap_log_flush();
    return code;
}

int kap_node_main(int argc, char **argv, const kap_actor_t *actor)
{
    const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES];
    kap_conf_t *conf = NULL;
    kap_buf_t messages;
    args_t args;
    args_parse(argc, argv, actor, &args);
    if (args.exit_code >= 0)
        return args.exit_code;
    int code = 2;
    kap_buf_init(&messages);
    kap_node_conf_tables(actor, tables);
    kap_log_init(actor->program, KAP_LOG_INFO);
    if (kap_clock_init_zone() != KAP_OK) {
        fprintf(stderr, "%s: the zone Europe/Helsinki is missing; install tzdata\n",
                actor->program);
        goto done;
    }
    if (kap_conf_load(args.config, tables, &conf, &messages) != KAP_OK) {
        fprintf(stderr, "%s", kap_buf_cstr(&messages));
        goto done;
    }
    kap_log_init(actor->program, (kap_log_level_t)kap_conf_int(conf, "log"));
    signal(SIGPIPE, SIG_IGN);
    if (args.print)
        code = kap_conf_print(conf, stdout) == KAP_OK ? 0 : 1;
    else if (args.check) {
        code = kap_crypto_init() == KAP_OK && check_only(conf, actor) == KAP_OK ? 0 : 2;
        if (code == 0)
            printf("%s: configuration, keys and directory are usable\n", args.config);
    } else if (args.backup)
        code = kap_node_backup(conf, args.backup) == KAP_OK ? 0 : 1;
    else
        code = serve(conf, actor);
done:
    kap_conf_close(&conf);
    kap_buf_fini(&messages);
    return code;
}
