/* SPDX-License-Identifier: MPL-2.0 */
/* kapula: the mesh from the command line. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "err.h"
#include "log.h"

static const struct {
    const char *name, *help;
    kap_command_fn *function;
} commands[] = {
#define KAP_COMMAND(name, function, help) {name, help, function},
#include "commands.def"
#undef KAP_COMMAND
};
enum { COMMANDS = sizeof commands / sizeof *commands };

const char *argp_program_version = "kapula " KAP_VERSION;

typedef struct {
    kap_cli_t cli;
    int argc;
    char **argv; /* of the subcommand */
} invocation_t;

static error_t take_option(kap_cli_t *cli, int key, const char *value)
{
    static const char *const formats[] = {"table", "json", "csv", "html", "text"};
    if (key == 'c') {
        cli->conf_path = value;
        return 0;
    }
    if (key == 'l' && (!strcmp(value, "fi") || !strcmp(value, "sv") || !strcmp(value, "en"))) {
        cli->lang = value;
        return 0;
    }
    for (int i = 0; key == 'f' && i < 5; i++)
        if (strcmp(value, formats[i]) == 0) {
            cli->format = i < 4 ? (kap_format_t)i : KAP_FORMAT_TABLE;
            cli->format_given = true;
            return 0;
        }
    exit(kap_cli_fail(KAP_EXIT_USAGE, "%s %s: say %s", key == 'f' ? "--format" : "--lang", value,
                      key == 'f' ? "table, json or csv; html of a report" : "fi, sv or en"));
}

static error_t on_option(int key, char *value, struct argp_state *state)
{
    invocation_t *run = state->input;
    switch (key) {
    case 'c':
    case 'f':
    case 'l':
        return take_option(&run->cli, key, value);
    case ARGP_KEY_ARG:
        run->argc = state->argc - state->next + 1;
        run->argv = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_state_help(state, stderr,
                        ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC |
                            ARGP_HELP_EXIT_ERR);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --format and --lang may stand behind the subcommand too: taken out of its arguments. */
static void take_late_options(invocation_t *run)
{
    static const struct {
        const char *name;
        int key;
    } late[] = {{"--format", 'f'}, {"--lang", 'l'}};
    int kept = 1;
    for (int i = 1; i < run->argc; i++) {
        int key = 0;
        const char *value = NULL;
        for (size_t k = 0; k < 2; k++) {
            size_t n = strlen(late[k].name);
            if (strncmp(run->argv[i], late[k].name, n) != 0)
                continue;
            if (run->argv[i][n] == '=')
                value = run->argv[i] + n + 1;
            else if (run->argv[i][n] == '\0' && i + 1 < run->argc)
                value = run->argv[++i];
            if (value)
                key = late[k].key;
            break;
        }
        if (key)
            take_option(&run->cli, key, value);
        else
            run->argv[kept++] = run->argv[i];
    }
    run->argc = kept;
    run->argv[kept] = NULL;
}

static char *list_commands(int key, const char *text, void *input)
{
    char *out = NULL;
    size_t size = 0;
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    FILE *memory = open_memstream(&out, &size);
    if (!memory)
        return (char *)text;
    fputs("Commands:\n", memory);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(memory, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs(
        "\n`kapula COMMAND --help` says more.\n\nExit codes: 0 done, 1 refused or nothing usable, "
        "2 usage or\nconfiguration, 3 not reachable or timed out.",
        memory);
    fclose(memory);
    return out;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"config", 'c', "FILE", 0, "Configuration of the connection", 0},
        {"format", 'f', "FORMAT", 0, "table (for people), json or csv; html of a report", 0},
        {"lang", 'l', "LANG", 0, "fi, sv or en", 0},
        {0}};
    static const struct argp argp = {
        options,
        on_option,
        "COMMAND [ARGUMENT...]",
        "Hands business customers from one organisation to the next, and measures it.\v",
        NULL,
        list_commands,
        NULL};
    invocation_t run = {.cli = {.arena = kap_arena_new(65536)}};
    kap_log_init("kapula", KAP_LOG_ERROR);
    if (!run.cli.arena || kap_crypto_init() != KAP_OK || kap_clock_init_zone() != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "cannot start: memory, randomness or time zones");
    argp_err_exit_status = KAP_EXIT_USAGE;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &run);
    if (!run.argv)
        return KAP_EXIT_USAGE;
    take_late_options(&run);
    int code = -1;
    if (run.cli.format == KAP_FORMAT_HTML && strcmp(run.argv[0], "report") != 0 &&
        strcmp(run.argv[0], "frozen") != 0)
        return kap_cli_fail(KAP_EXIT_USAGE, "--format html: only a report is a page");
    for (size_t i = 0; i < COMMANDS && code < 0; i++)
        if (strcmp(commands[i].name, run.argv[0]) == 0)
            code = commands[i].function(&run.cli, run.argc, run.argv);
    if (code < 0)
        code = kap_cli_fail(KAP_EXIT_USAGE, "there is no command %s; `kapula --help` lists them",
                            run.argv[0]);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == KAP_EXIT_DONE)
        code = kap_cli_fail(KAP_EXIT_REFUSED, "the output could not be written");
    kap_cli_close(&run.cli);
    return code;
}
