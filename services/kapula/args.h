/* SPDX-License-Identifier: MPL-2.0 */
/* The arguments of a subcommand, read by the table of all options (options.def), from which its
 * --help derives too.
 *
 * Owner: the command, on its stack; one thread. Texts are lent from argv and from the cli's arena.
 * What is given wrongly ends the program with KAP_EXIT_USAGE, after saying why. It judges no value:
 * the command, the node or the broker does. */
#ifndef KAP_ARGS_H
#define KAP_ARGS_H

#include "cli.h"

typedef struct {
    const char *commands; /* that have it, separated by ", " */
    const char *name;
    int letter;           /* its short form, or 0 */
    const char *argument; /* NULL: a flag */
    const char *field;    /* NULL: it says how, not what */
    const char *help;
} kap_option_t;

/* The next option of the command behind `before` (NULL: the first); NULL at the end. */
const kap_option_t *kap_option_next(const char *command, const kap_option_t *before);

typedef struct {
    const char *command;      /* "refer", "forum list" */
    const char *arguments;    /* what stands beside the options: "REFERRAL WORD" */
    int words_min, words_max; /* how many such words; at most KAP_ARGS_WORDS */
    const char *doc;          /* behind a \v what --help says below the options */
} kap_usage_t;

enum { KAP_ARGS_MAX = 128, KAP_ARGS_WORDS = 2 };

typedef struct {
    const char *option, *field,
        *value; /* field: NULL of an option without; value of a flag: true */
} kap_arg_t;

typedef struct {
    const kap_usage_t *usage;
    kap_arg_t said[KAP_ARGS_MAX]; /* in the order given */
    int count;
    const char *words[KAP_ARGS_WORDS];
    int word_count;
} kap_args_t;

/* Reads argv; argv[0] is not looked at. Does not return from --help or a wrong argument. */
void kap_args_parse(kap_cli_t *cli, const kap_usage_t *usage, int argc, char **argv,
                    kap_args_t *args);

/* A field that goes without saying. */
void kap_args_add(kap_args_t *args, const char *field, const char *value);

/* What was given last for an option of the command, or for a field; NULL when nothing was. */
const char *kap_args_option(const kap_args_t *args, const char *option);
const char *kap_args_field(const kap_args_t *args, const char *field);

/* The same as a number within bounds; `otherwise` when it was not given. */
long kap_args_number(const kap_args_t *args, const char *option, long min, long max,
                     long otherwise);

#endif
