/* SPDX-License-Identifier: MPL-2.0 */
/* What every subcommand of `kapula` stands on: configuration, one connection, output, errors.
 *
 * Owner: main. One thread, blocking: a command asks, waits for the answer and prints it. A message
 * for people is one line on standard error, `kapula: what, where, what would be right`; what a
 * command was asked for goes to standard output. It decides nothing about referrals: the node or
 * the broker does. Exit codes: KAP_EXIT_.
 */
#ifndef KAP_CLI_H
#define KAP_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arena.h"
#include "buf.h"
#include "client.h"
#include "codes.h"
#include "conf.h"
#include "crypto.h"
#include "directory.h"
#include "loop.h"
#include "mp.h"
#include "span.h"

enum {
    KAP_EXIT_DONE = 0,
    KAP_EXIT_REFUSED = 1,     /* refused, or nothing usable */
    KAP_EXIT_USAGE = 2,       /* usage or configuration */
    KAP_EXIT_UNREACHABLE = 3, /* not reachable, or timed out */
};

typedef enum { KAP_FORMAT_TABLE, KAP_FORMAT_JSON, KAP_FORMAT_CSV, KAP_FORMAT_HTML } kap_format_t;

typedef struct kap_cli {
    const char *conf_path; /* -c; NULL: the usual places */
    kap_format_t format;
    bool format_given;
    const char *lang; /* fi, sv or en */
    kap_conf_t *conf; /* after kap_cli_configure */
    kap_loop_t *loop;
    kap_client_t *client;       /* after kap_cli_connect */
    kap_curve_t *keys;          /* tcp only */
    uint8_t mesh[32];           /* mesh id */
    kap_directory_t *directory; /* after kap_cli_directory */
    kap_arena_t *arena;         /* answers live here until the end */
} kap_cli_t;

/* One subcommand: its own arguments, argv[0] is its name. Returns an exit code. */
typedef int kap_command_fn(kap_cli_t *cli, int argc, char **argv);

#define KAP_COMMAND(name, function, help) kap_command_fn function;
#include "commands.def"
#undef KAP_COMMAND

/* Prints one line for people and returns `code`. */
int kap_cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An answer's {error}: its field, sentence and candidates in one line. KAP_EXIT_REFUSED; or
 * KAP_EXIT_UNREACHABLE when a node says that it cannot reach its broker. */
int kap_cli_refused(kap_cli_t *cli, const kap_mp_t *error);

/* Reads the configuration (-c, else $XDG_CONFIG_HOME/kapula/kapula.conf, else
 * /etc/kapula/kapula.conf). 0, or KAP_EXIT_USAGE after saying why. Repeatable. */
int kap_cli_configure(kap_cli_t *cli);

/* Configures and connects in the background. 0 or an exit code after saying why. Repeatable. */
int kap_cli_connect(kap_cli_t *cli);

/* Whether the endpoint is a node's local door; else it is the broker's. */
bool kap_cli_is_local(const kap_cli_t *cli);

/* Configures; KAP_EXIT_USAGE, after saying that only a member's node `does` ("knows") this, when
 * the endpoint is the broker's. */
int kap_cli_needs_node(kap_cli_t *cli, const char *does);

/* Asks and waits at most the configured timeout (at most `timeout_ms` when above 0). `map` is the
 * one bin of the payload. On 0 *root is the answer's map, in the cli's arena. Otherwise an exit
 * code, after saying why; an {error} in the answer is printed and returns KAP_EXIT_REFUSED. */
int kap_cli_ask(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                const kap_mp_t **root);

/* The same, but it prints nothing: silence is the exit code alone, an {error} stands in *root. */
int kap_cli_ask_quietly(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                        const kap_mp_t **root);

/* For FETCH: the payload frames of an EVENTS answer, at most `max`, in the cli's arena. */
int kap_cli_ask_frames(kap_cli_t *cli, kap_verb_t verb, kap_span_t map, int64_t timeout_ms,
                       kap_span_t *frames, size_t max, size_t *count);

/* The same as kap_cli_ask, for a broker's QUERY or a node's LOCAL of a name without parameters. */
int kap_cli_query(kap_cli_t *cli, const char *name, const kap_mp_t **root);
int kap_cli_local(kap_cli_t *cli, const char *word, const kap_mp_t **root);

/* Appends a file of at most 16 MiB. KAP_E_NOTFOUND, KAP_E_IO, KAP_E_LIMIT, KAP_E_NOMEM. */
int kap_cli_read_file(const char *path, kap_buf_t *out);

/* The directory file named by the configuration; NULL when there is none or it is bad (then names
 * are shown as ids). */
const kap_directory_t *kap_cli_directory(kap_cli_t *cli);

/* The directory as the endpoint tells it; the snapshot is the caller's. 0 or an exit code after
 * saying why. */
int kap_cli_ask_directory(kap_cli_t *cli, kap_directory_t **dir);

/* A member's name in the user's language; after kap_cli_configure. Lives with its directory. */
kap_span_t kap_cli_name_of(const kap_cli_t *cli, const kap_member_t *member);

/* The same by id, else the id itself. Lives with the cli. */
kap_span_t kap_cli_member_name(kap_cli_t *cli, kap_span_t id);

/* --region, else the configuration's; NULL after saying that one is needed. */
const char *kap_cli_region(kap_cli_t *cli, const char *given);

/* Columns of the terminal, 80 when standard output is none. */
int kap_cli_width(void);
/* Its rows; 0 when standard output is no terminal. */
int kap_cli_height(void);

/* An answer as JSON, two blanks deep, ending in a newline. Bins are hex; a key that ends in `_at`
 * or `_time` and is an integer is printed as RFC 3339 UTC. */
void kap_cli_print_json(const kap_mp_t *root, FILE *out);

/* The same on one line, for feeds. */
void kap_cli_print_json_line(const kap_mp_t *root, FILE *out);

/* The same on one line without blanks, its keys sorted, one top key left out when `without` is not
 * NULL: what a hash is taken of. */
void kap_cli_json_sorted(const kap_mp_t *root, const char *without, kap_buf_t *out);

/* A JSON text as nodes in the arena, its strings copied there; a number with a fraction becomes its
 * text. KAP_E_INVALID, KAP_E_NOMEM. */
int kap_cli_read_json(kap_arena_t *arena, kap_span_t text, kap_mp_t *root);

/* One CSV field by RFC 4180, quoted where needed. */
void kap_cli_csv_field(FILE *out, kap_span_t text, bool last);

void kap_cli_close(kap_cli_t *cli);

#endif
