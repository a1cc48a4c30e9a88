/* SPDX-License-Identifier: MPL-2.0 */
/* kapula-broker: keeps the one order of events, what became of each baton, and the figures. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "clock.h"
#include "crypto.h"
#include "err.h"
#include "log.h"
#include "recover.h"
#include "sock.h"

enum {
    EXIT_USAGE = 2,
    OPTION_CHECK = 1000,
    OPTION_PRINT,
    OPTION_BACKUP,
    OPTION_SCRUB,
    OPTION_RESTORE,
    OPTION_UNTIL
};

typedef struct {
    const char *config;
    const char *backup;  /* folder to make */
    const char *restore; /* folder to read */
    uint64_t until;      /* 0: all of it */
    bool check, print, scrub;
} args_t;

static uint64_t position(struct argp_state *state, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0 || value > INT64_MAX)
        argp_error(state, "--until: %s is no position of a log; they begin with 1", text);
    return value;
}

static int on_option(int key, char *value, struct argp_state *state)
{
    args_t *args = state->input;
    switch (key) {
    case 'c':
        args->config = value;
        return 0;
    case OPTION_CHECK:
        args->check = true;
        return 0;
    case OPTION_PRINT:
        args->print = true;
        return 0;
    case OPTION_BACKUP:
        args->backup = value;
        return 0;
    case OPTION_SCRUB:
        args->scrub = true;
        return 0;
    case OPTION_RESTORE:
        args->restore = value;
        return 0;
    case OPTION_UNTIL:
        args->until = position(state, value);
        return 0;
    case ARGP_KEY_END:
        if (!args->config)
            argp_error(state, "no configuration: give it with --config FILE");
        if (args->until && !args->restore)
            argp_error(state, "--until goes with --restore");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Configuration file", 0},
    {"check", OPTION_CHECK, NULL, 0, "Check configuration and directory, then end", 0},
    {"print-config", OPTION_PRINT, NULL, 0, "Print the configuration in force, then end", 0},
    {"backup", OPTION_BACKUP, "DIR", 0,
     "Copy the store, of a running broker too, into DIR, which must not be there; verify the copy, "
     "then end",
     0},
    {"scrub", OPTION_SCRUB, NULL, 0,
     "Read all of the store, of a running broker too, say what is damaged, then end", 0},
    {"restore", OPTION_RESTORE, "DIR", 0,
     "Make the store, which must not be there, out of the backup in DIR, in a new epoch, then end",
     0},
    {"until", OPTION_UNTIL, "POSITION", 0,
     "With --restore: keep the log up to this position and enter it anew", 0},
    {0},
};
const char *argp_program_version = "kapula-broker " KAP_VERSION;
static const struct argp argp = {options,
                                 on_option,
                                 NULL,
                                 "The broker of a Kapula mesh: judges, orders and counts events, "
                                 "and answers PUBLISH, FETCH and QUERY.",
                                 NULL,
                                 NULL,
                                 NULL};

/* The configuration, or NULL after its complaints were printed. */
static kap_conf_t *load(const char *path)
{
    static const kap_conf_key_t *const tables[] = {kap_broker_keys, NULL};
    kap_conf_t *conf = NULL;
    kap_buf_t messages = {0};
    if (kap_conf_load(path, tables, &conf, &messages) != KAP_OK)
        fprintf(stderr, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    return conf;
}

static int serve(const kap_conf_t *conf)
{
    kap_loop_t *loop = kap_loop_new();
    kap_broker_t *broker = NULL;
    int rc = loop ? kap_broker_open(loop, conf, &broker) : KAP_E_NOMEM;
    if (rc == KAP_OK) {
        kap_loop_run(loop);
        rc = kap_broker_close(&broker);
    }
    kap_loop_destroy(&loop);
    return rc;
}

/* The commands of recover.h have said what is wrong. */
static bool speaks_for_itself(const args_t *args)
{
    return args->backup || args->scrub || args->restore;
}

/* What was asked for, once the process is set up; default: serve. */
static int act(const args_t *args, const kap_conf_t *conf)
{
    if (args->print)
        return kap_conf_print(conf, stdout);
    if (args->backup)
        return kap_recover_backup(conf, args->backup);
    if (args->restore)
        return kap_recover_restore(conf, args->restore, args->until);
    if (args->scrub)
        return kap_recover_scrub(conf);
    if (args->check) {
        int rc = kap_broker_check(conf);
        if (rc == KAP_OK)
            printf("%s: configuration, keys and directory are usable\n", args->config);
        return rc;
    }
    int rc = kap_sock_system_start();
    if (rc == KAP_OK) {
        rc = serve(conf);
        kap_sock_system_stop();
    }
    return rc;
}

int main(int argc, char **argv)
{
    args_t args = {0};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &args);
    kap_log_init("broker", KAP_LOG_INFO);
    kap_conf_t *conf = load(args.config);
    if (!conf)
        return EXIT_USAGE;
    kap_log_init("broker", (kap_log_level_t)kap_conf_int(conf, "log"));
    int rc = kap_clock_init_zone();
    if (rc == KAP_OK)
        rc = kap_crypto_init();
    if (rc == KAP_OK)
        rc = act(&args, conf);
    if (rc != KAP_OK && !speaks_for_itself(&args))
        KAP_LOG(KAP_LOG_ERROR, "broker_failed", KAP_S("error", kap_err_text(rc)));
    kap_log_flush();
    kap_conf_close(&conf);
    return rc == KAP_OK ? EXIT_SUCCESS : rc == KAP_E_CONFIG ? EXIT_USAGE : EXIT_FAILURE;
}
