/* SPDX-License-Identifier: MPL-2.0 */
/* Rows of a file into acts.
 *
 * Purpose: one row of a CRM export, a tally sheet or a campaign's answers becomes one act or
 * several: what kind of row it is, what its columns mean (mapping.h), which values go without
 * saying. What cannot be an act is refused here with line, column and what would be right;
 * everything about the act's own fields is left to act.h. A personal identity code in any cell
 * refuses the row, and no text that leaves here holds it. Owner: whoever made it; one thread; pure:
 * no file, no clock, no store. Acts and texts live in the arena given. */
#ifndef KAP_NODE_INTAKE_H
#define KAP_NODE_INTAKE_H

#include "mapping.h"

typedef enum {
#define KAP_INTAKE_KIND(NAME, GROUP, VERB, PRESET, WORDS) KAP_INTAKE_##NAME,
#define KAP_INTAKE_ANSWER(GROUP, VERB, WORDS)
#include "intake_words.def"
#undef KAP_INTAKE_KIND
#undef KAP_INTAKE_ANSWER
    KAP_INTAKE_KIND_COUNT
} kap_intake_kind_t;

/* -1: the word names no kind. */
int kap_intake_kind_of_word(kap_span_t word);

/* By the beginning of a file's name, up to a digit, '-', '_', '.' or blank ("siirrot-2026.csv"), or
 * by the whole name without its ending; -1 when it says nothing. */
int kap_intake_kind_of_file(kap_span_t name);

enum {
    KAP_INTAKE_COLUMNS = 200, /* of a row */
    KAP_INTAKE_FIELDS = 64,   /* of an act */
    KAP_INTAKE_ACTS = 200,    /* of a row: needs of a company, cells of a tally matrix */
    KAP_INTAKE_REASON_BYTES = 600
};

/* What stands behind one act: `column` is the cell it came from (item: the part of it), -1 when
 * the whole row is one act. Said of a refused one: only what was refused is laid beside. */
typedef struct {
    kap_act_field_t *fields;
    int *columns; /* of each field, -1 when no cell gave it */
    size_t count;
    kap_span_t verb;
    int column;
    kap_span_t item;
} kap_intake_act_t;

/* Why a row, or a file, is refused. Never holds a personal identity code. */
typedef struct {
    char column[120];
    char reason[KAP_INTAKE_REASON_BYTES];
} kap_intake_why_t;

/* The actor's own look at an act that is complete but for this: it may change values and add
 * fields (room is for KAP_INTAKE_FIELDS). KAP_E_DENIED with *why refuses the row. */
typedef int kap_intake_adapt_fn(void *arg, kap_intake_act_t *act, kap_arena_t *arena,
                                kap_intake_why_t *why);

typedef struct {
    kap_mapping_t *mapping;
    kap_intake_kind_t kind;     /* of rows that do not say theirs */
    uint32_t kinds;             /* bit for each kind that is taken here */
    bool ignore_unknown;        /* a column nobody knows is left out instead of refused */
    kap_intake_adapt_fn *adapt; /* may be NULL */
    void *adapt_arg;
} kap_intake_opts_t;

typedef struct kap_intake kap_intake_t;

/* The header of a file, or the names of one JSON object. `names` are copied. KAP_E_DENIED with
 * *why: unknown or doubled columns; a kind that is not taken; KAP_E_NOMEM. */
int kap_intake_new(const kap_intake_opts_t *opts, const kap_span_t *names, size_t count,
                   kap_intake_t **out, kap_intake_why_t *why);
void kap_intake_destroy(kap_intake_t **intake);

bool kap_intake_same_names(const kap_intake_t *intake, const kap_span_t *names, size_t count);
const kap_span_t *kap_intake_names(const kap_intake_t *intake, size_t *count);

/* Are the columns known for rows that do not say their kind? Rows of a file with a `type` column
 * are looked at one by one instead. KAP_E_DENIED with *why, KAP_E_NOMEM. */
int kap_intake_check(kap_intake_t *intake, const kap_directory_t *directory, kap_intake_why_t *why);

/* One row. At most KAP_INTAKE_ACTS acts in *acts (in the arena, as what their fields lend, unless
 * it is a cell itself). KAP_E_DENIED with *why: refused; KAP_E_NOMEM. A row of empty cells has no
 * acts and is no failure. */
int kap_intake_row(kap_intake_t *intake, const kap_directory_t *directory, const kap_span_t *cells,
                   size_t count, kap_arena_t *arena, kap_intake_act_t **acts, size_t *act_count,
                   kap_intake_why_t *why);

/* Adds or replaces a field: for adapt. KAP_E_LIMIT beyond KAP_INTAKE_FIELDS. */
int kap_intake_act_set(kap_intake_act_t *act, const char *field, kap_span_t value);
kap_span_t kap_intake_act_get(const kap_intake_act_t *act, const char *field);
void kap_intake_act_drop(kap_intake_act_t *act, const char *field);

/* The text with every personal identity code as ******-****; itself when there is none. */
kap_span_t kap_intake_mask(kap_span_t text, kap_arena_t *arena);

/* "10/2026", "10.2026", "lokakuu 2026", "2026-10", "21.11.2026": as the protocol writes periods.
 * A month alone wants `year` (may be empty). False: it is none. */
bool kap_intake_period(kap_span_t text, kap_span_t year, char out[16]);

#endif
