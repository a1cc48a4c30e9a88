/* SPDX-License-Identifier: MPL-2.0 */
/* What the commands that say something share with those that show it: the fate of an act, and
 * the views that stand under the same word. One thread. It builds no events: the node does. */
#ifndef KAP_SAYING_H
#define KAP_SAYING_H

#include "args.h"

typedef struct {
    int64_t act;
    kap_span_t subject, whole; /* the referral, meeting ...; the case of a referral, or empty */
    kap_span_t next;           /* redirect: the referral that goes on */
    bool of_referral;
    kap_span_t fate;
    int64_t log_seq;     /* 0 before it is committed */
    kap_span_t sentence; /* of a refusal */
} kap_cli_act_t;

/* One JSON object: act, subject, referral, case, next, fate, log_seq, sentence. */
void kap_cli_print_act(const kap_cli_act_t *act, FILE *out);

/* An act as it is said: verb and named texts. */
typedef struct {
    const char *verb, *key; /* key: NULL or what makes a repetition harmless */
    bool dry;               /* judge only */
    const char *const *names, *const *values;
    int count;
} kap_cli_say_t;

/* A key of one's own for one act: a request that a new connection sends again is said once. */
enum { KAP_CLI_KEY = 64 };
void kap_cli_own_key(char out[KAP_CLI_KEY]);

/* Appends the map of an ACT. */
void kap_cli_put_act(kap_buf_t *map, const kap_cli_say_t *say);

/* The act's fate once it is final. An exit code, silent, when it is not within the timeout. */
int kap_cli_await_fate(kap_cli_t *cli, int64_t act, const kap_mp_t **fate);

/* Says one act with the fields of the arguments, waits for its fate and shows it, as --key,
 * --no-wait and --dry-run say. Returns an exit code. */
int kap_cli_say_args(kap_cli_t *cli, const char *verb, const kap_args_t *args);

/* Says every row of a tally sheet (CSV with a header of field names). The same file again changes
 * nothing. Refused rows are told with their line; the others count. Returns an exit code. */
int kap_cli_tally_file(kap_cli_t *cli, const char *path);

/* The id that a person means: `text` itself, or, when it is the last part of a UUID as lists show
 * it, the referral of this node that ends so. Lent from text or the cli's arena. 0 or an exit code
 * after saying why. */
int kap_cli_whole_id(kap_cli_t *cli, const char *text, const char **id);

/* `forum list|show|clock`, `meeting list`, `action list`: argv[0] is the second word. */
int kap_cmd_forum_view(kap_cli_t *cli, int argc, char **argv);
int kap_cmd_meeting_view(kap_cli_t *cli, int argc, char **argv);
int kap_cmd_action_view(kap_cli_t *cli, int argc, char **argv);

#endif
