/* SPDX-License-Identifier: MPL-2.0 */
/* The agreement of a region as a text that its parties agree on: a line a clause, in Finnish,
 * Swedish or English words (agreement.def); `#` begins a comment, "..." keeps words together.
 *
 *   region     mikkeli
 *   refers     municipality > finnvera  services financing, development-grant  until 2027-12-31
 *   refers     te-office > municipality  kind lead
 *   target     answer 10 days
 *   target     answer 5 days  between municipality > finnvera  service financing
 *   target     joint_visits 20  year 2026
 *   forum      steering  kind steering_group  name "Ohjausryhmä"  yearly 4
 *   limit      unanswered 5 days
 *   visibility parties
 *
 * Why no libconfig: what repeats (pairs, targets) would be lists of groups, which conf.h does not
 * have, and braces and quotes are nothing that a steering group reads aloud and amends.
 *
 * Owner: the command, one thread. Clauses live in the cli's arena. It publishes nothing. */
#ifndef KAP_AGREEMENT_H
#define KAP_AGREEMENT_H

#include "model.h"

typedef enum {
#define KAP_CLAUSE(NAME, EVENT, FI, SV, EN) KAP_CLAUSE_##NAME,
#define KAP_CLAUSE_PART(CLAUSE, FIELD, FI, SV, EN)
#include "agreement.def"
#undef KAP_CLAUSE
#undef KAP_CLAUSE_PART
    KAP_CLAUSE_COUNT
} kap_clause_kind_t;

/* What a line begins with, and the words within it, by agreement.def; -1: none. */
int kap_clause_find(kap_arena_t *arena, kap_span_t word);
int kap_clause_part(kap_clause_kind_t kind, kap_arena_t *arena, kap_span_t word);
kap_field_t kap_clause_part_field(int part);
const char *kap_clause_part_word(int part);

/* What the directory keeps as a number: its unit ("days", "hours", ""), its bounds there. */
typedef struct {
    const char *name, *unit;
    int64_t min, max;
} kap_clause_limit_t;

/* NULL: there is none of that name. */
const kap_clause_limit_t *kap_clause_limit(kap_span_t name);

/* The event that says such a clause; KAP_EV_NONE: the directory does. */
kap_event_type_t kap_clause_type(kap_clause_kind_t kind);

/* One clause: the fields of its event without the region, as texts in the form that events have
 * (services in the order of their codes). LIMIT: `limit` and `value` (hours of undelivered, days,
 * or the number of hidden). VISIBILITY: `visibility`. A target's other end may be empty. */
typedef struct {
    kap_clause_kind_t kind;
    int64_t line; /* 0: not of a file */
    kap_said_t said;
} kap_clause_t;

typedef struct {
    const char *region; /* NULL: the file names none */
    kap_clause_t *clauses;
    uint32_t count, cap;
    uint32_t wrong;            /* complaints */
    kap_shown_list_t messages; /* maps: line, sentence */
} kap_agreement_t;

/* Appends a copy; false when out of memory. */
bool kap_agreement_add(kap_cli_t *cli, kap_agreement_t *agreement, const kap_clause_t *clause);

/* Reads and checks a file: all complaints, `path:line: what would be right`, a line each on
 * standard error. `dir` NULL: names are not looked up. KAP_OK also with complaints; KAP_E_NOMEM. */
int kap_agreement_read(kap_cli_t *cli, const kap_directory_t *dir, const char *path,
                       kap_span_t bytes, kap_agreement_t *agreement);

/* Do both speak of the same pair, target, forum or limit? */
bool kap_clause_same_subject(const kap_clause_t *a, const kap_clause_t *b);
/* And say the same of it? A forum's clause says of it only what it names. */
bool kap_clause_same(const kap_clause_t *said, const kap_clause_t *is);

/* For qsort: by kind, then by what they speak of. */
int kap_clause_order(const void *left, const void *right);

/* Appends the clause as a line of a file, without its end, in the user's words. */
void kap_clause_print(const kap_cli_t *cli, const kap_clause_t *clause, kap_buf_t *out);

#endif
