/* SPDX-License-Identifier: MPL-2.0 */
#include "args.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

static const kap_option_t rows[] = {
#define KAP_OPTION(commands, name, letter, argument, field, help)                                  \
    {commands, name, letter, argument, field, help},
#include "options.def"
#undef KAP_OPTION
};
enum { ROWS = sizeof rows / sizeof *rows, FIRST_KEY = 256, NAME_MAX_BYTES = 64 };

static bool has_command(const char *commands, const char *command)
{
    size_t n = strlen(command);
    for (const char *at = commands; at; at = strchr(at, ',')) {
        at += strspn(at, ", ");
        if (strncmp(at, command, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

const kap_option_t *kap_option_next(const char *command, const kap_option_t *before)
{
    for (const kap_option_t *row = before ? before + 1 : rows; row < rows + ROWS; row++)
        if (has_command(row->commands, command))
            return row;
    return NULL;
}

static int key_of(const kap_option_t *row)
{
    return row->letter ? row->letter : FIRST_KEY + (int)(row - rows);
}

typedef struct {
    kap_cli_t *cli;
    kap_args_t *args;
} reading_t;

static void add(kap_args_t *args, const char *option, const char *field, const char *value)
{
    if (args->count == KAP_ARGS_MAX)
        exit(kap_cli_fail(KAP_EXIT_USAGE, "more than %d options and fields", KAP_ARGS_MAX));
    args->said[args->count++] = (kap_arg_t){option, field, value};
}

static void add_pair(const reading_t *reading, const char *option, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        exit(kap_cli_fail(KAP_EXIT_USAGE, "%s: say NAME=VALUE", pair));
    char *name = kap_arena_str(reading->cli->arena, kap_span(pair, (size_t)(equals - pair)));
    if (!name)
        exit(kap_cli_fail(KAP_EXIT_REFUSED, "out of memory"));
    add(reading->args, option, name, equals + 1);
}

static error_t on_argument(int key, char *value, struct argp_state *state)
{
    const reading_t *reading = state->input;
    kap_args_t *args = reading->args;
    if (key == ARGP_KEY_ARG) {
        if (args->word_count == args->usage->words_max)
            return ARGP_ERR_UNKNOWN;
        args->words[args->word_count++] = value;
        return 0;
    }
    if (key == ARGP_KEY_END && args->word_count < args->usage->words_min)
        argp_error(state, "something is missing; see --help");
    for (const kap_option_t *row = NULL; (row = kap_option_next(args->usage->command, row));) {
        if (key_of(row) != key)
            continue;
        if (row->argument && strcmp(row->argument, "NAME=VALUE") == 0)
            add_pair(reading, row->name, value);
        else
            add(args, row->name, row->field, value ? value : "true");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

void kap_args_parse(kap_cli_t *cli, const kap_usage_t *usage, int argc, char **argv,
                    kap_args_t *args)
{
    struct argp_option options[ROWS + 1] = {{0}};
    struct argp argp = {options, on_argument, usage->arguments, usage->doc, NULL, NULL, NULL};
    reading_t reading = {cli, args};
    char name[NAME_MAX_BYTES];
    int n = 0;
    *args = (kap_args_t){.usage = usage};
    for (const kap_option_t *row = NULL; (row = kap_option_next(usage->command, row));)
        options[n++] = (struct argp_option){row->name, key_of(row), row->argument,
                                            0,         row->help,   row->field ? 1 : 2};
    if (n == 0) /* of an empty list argp leaks */
        argp.options = NULL;
    snprintf(name, sizeof name, "kapula %s", usage->command);
    argv[0] = name; /* how errors and --help call it */
    argp_parse(&argp, argc, argv, 0, NULL, &reading);
    argv[0] = (char *)usage->command;
}

void kap_args_add(kap_args_t *args, const char *field, const char *value)
{
    add(args, NULL, field, value);
}

static bool has_option(const kap_usage_t *usage, const char *name)
{
    for (const kap_option_t *row = NULL; (row = kap_option_next(usage->command, row));)
        if (strcmp(row->name, name) == 0)
            return true;
    return false;
}

const char *kap_args_option(const kap_args_t *args, const char *option)
{
    KAP_CHECK(has_option(args->usage, option));
    for (int i = args->count; i-- > 0;)
        if (args->said[i].option && strcmp(args->said[i].option, option) == 0)
            return args->said[i].value;
    return NULL;
}

const char *kap_args_field(const kap_args_t *args, const char *field)
{
    for (int i = args->count; i-- > 0;)
        if (args->said[i].field && strcmp(args->said[i].field, field) == 0)
            return args->said[i].value;
    return NULL;
}

long kap_args_number(const kap_args_t *args, const char *option, long min, long max, long otherwise)
{
    const char *text = kap_args_option(args, option);
    int64_t value = otherwise;
    if (text && (!kap_span_int(kap_span_str(text), &value) || value < min || value > max))
        exit(kap_cli_fail(KAP_EXIT_USAGE, "%s: --%s %s: a number from %ld to %ld",
                          args->usage->command, option, text, min, max));
    return (long)value;
}
