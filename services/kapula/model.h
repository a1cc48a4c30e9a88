/* SPDX-License-Identifier: MPL-2.0 */
/* The follow-up model by command (model.def): what one line or one row of a table says, settled
 * before a node hears it. Owner: the command that says it; one thread. It judges nothing that the
 * node or the broker judges; it fills in what goes without saying, and understands values as
 * people write them: codes in three languages, members by name, numbers with commas and blanks. */
#ifndef KAP_MODEL_H
#define KAP_MODEL_H

#include "args.h"
#include "event.h"
#include "sheet.h"
#include "shown.h"

typedef enum {
#define KAP_MODEL(NAME, COMMAND, EVENT, SHEET, NEEDS, SPREAD, SPREAD_TO, HELP) KAP_MODEL_##NAME,
#include "model.def"
#undef KAP_MODEL
    KAP_MODEL_COUNT
} kap_model_t;

typedef struct {
    const char *command; /* "plan set" */
    kap_event_type_t type;
    kap_sheet_want_t sheet; /* kind 0: no --file */
    const char *help;
} kap_model_row_t;

const kap_model_row_t *kap_model_row(kap_model_t model);

/* Named texts on their way to an act. Names are lent, values live in the cli's arena. */
enum { KAP_MODEL_FIELDS = 40, KAP_MODEL_WHY = 300 };
typedef struct {
    const char *names[KAP_MODEL_FIELDS], *values[KAP_MODEL_FIELDS];
    int count;
} kap_said_t;

/* NULL when it is not said. */
const char *kap_said(const kap_said_t *said, const char *name);
/* Sets or replaces; an empty value takes it away. The value is copied. */
void kap_said_set(kap_cli_t *cli, kap_said_t *said, const char *name, kap_span_t value);

/* Values in the form that events have, and what goes without saying: the region, the id of a plan's
 * item (from its words, so that the same item has the same id), the unit of a known indicator, an
 * unknown segment. False with a sentence in why[] when nothing can be said so. `of_sheet`: a number
 * of an item is its number within its plan, not its id. */
bool kap_model_settle(kap_cli_t *cli, kap_model_t model, bool of_sheet, kap_said_t *said,
                      char why[KAP_MODEL_WHY]);

/* Answers to surveys are of a day: no time of day tells who gave them. Sets `time` where it is not
 * said; part of no key. */
void kap_model_stamp(kap_cli_t *cli, kap_model_t model, kap_said_t *said);

/* Says every row of the file; `args` fills what a row leaves empty. The same file again changes
 * nothing. Refused rows are told with their lines; the others count. Returns an exit code. */
int kap_model_file(kap_cli_t *cli, kap_model_t model, const kap_args_t *args, const char *path);

/* What is in force of a type in a region: rows {log_seq, at, by, data}, all pages. 0 or an exit
 * code after saying why; quiet: without saying. Lives in the cli's arena. */
int kap_model_in_force(kap_cli_t *cli, kap_event_type_t type, const char *region, bool quiet,
                       kap_mp_t *rows);

/* The row in force that what is said would replace, and whether it says the same; NULL: none. For
 * types that have a key. */
const kap_mp_t *kap_model_find(const kap_cli_t *cli, kap_event_type_t type, const kap_mp_t *rows,
                               const kap_said_t *said, bool *same);

/* `plan list` and so on, by the words of the command; argv[0] is the last of them. -1: there is no
 * such view. */
int kap_model_view(kap_cli_t *cli, const char *command, int argc, char **argv);

/* The same of what is told as figures only: surveys, the self-evaluation, advice, new customers. */
int kap_model_figures(kap_cli_t *cli, const kap_args_t *args);
/* What --help says of such a view; NULL: it is none. */
const char *kap_model_figures_doc(const char *command);

#endif
