/* SPDX-License-Identifier: MPL-2.0 */
/* The steering group's page in the order of its agenda, in three editions and three languages; and
 * the open matters for an activation meeting. Everything on it comes from answers of the broker
 * that an asking keeps, so that a frozen report can be shown again as it was.
 *
 * Owner: the command; one thread. It counts nothing but differences between two answers, ranks
 * nobody, and hides in the public edition what the metrics' rules hide. */
#ifndef KAP_REPORT_H
#define KAP_REPORT_H

#include "asking.h"
#include "clock.h"
#include "page.h"

typedef enum {
#define KAP_REPORT_TEXT(NAME, FI, SV, EN) KAP_SAY_##NAME,
#include "report.def"
#undef KAP_REPORT_TEXT
    KAP_SAY_COUNT
} kap_say_t;

typedef enum { KAP_EDITION_PARTIES, KAP_EDITION_STEERING, KAP_EDITION_PUBLIC } kap_edition_t;

/* Windows of a report's questions. */
typedef enum {
    KAP_REPORT_PERIOD,
    KAP_REPORT_BEFORE, /* of the same length, directly before */
    KAP_REPORT_MONTHS, /* the twelve months that end with the period */
    KAP_REPORT_NOW
} kap_report_window_t;

typedef struct {
    kap_cli_t *cli;
    kap_asking_t *asking;
    kap_lang_t lang;
    const char *region;
    kap_date_t from, to, before; /* [from, to); before: where the previous period begins */
    kap_edition_t edition;
    const char *members; /* of an activation meeting: ids with commas; else NULL */
    int64_t now;         /* of the mesh */
    int k;               /* numbers below it are hidden in the public edition */
    bool of_work; /* what is said now counts plans and meetings, not customers: all of it is told */
    const char *refused; /* the first question that this key may not put: the sentence */
    kap_page_t page;
} kap_report_t;

/* --- asking: reportask.c --- */

/* The answer to a metric of the region over a window, broken down or not (`by` NULL); NULL when it
 * was refused. */
const kap_mp_t *kap_report_ask(kap_report_t *report, const char *metric, const char *by,
                               kap_report_window_t window);

/* A value of the answer's totals, and the row of an edge (`to` set) or a member. NULL without. */
const kap_mp_t *kap_report_value(const kap_mp_t *answer, const char *value);
const kap_mp_t *kap_report_row(const kap_mp_t *answer, kap_span_t from, kap_span_t to);

/* The answer's rows of edges or members in the alphabetical order of names as they are shown;
 * without those of no referral, unless `all`. NULL ends the list. */
const kap_mp_t *const *kap_report_rows(kap_report_t *report, const kap_mp_t *answer, bool all);

/* The same order for two ids, or two edges: < 0, 0, > 0. */
int kap_report_order(kap_report_t *report, kap_span_t a, kap_span_t b);

/* What members said of their figures of the period: rows {data {member, text}}; NULL without. */
const kap_mp_t *kap_report_comments(kap_report_t *report);

/* What is open between the members of an activation meeting: {matters, actions, statements}. */
const kap_mp_t *kap_report_matters(kap_report_t *report);

/* --- saying: reportsay.c; texts live as long as the asking --- */

/* The sentence in the report's language with its {0}, {1} ... filled in; ends with NULL. */
const char *kap_report_say(kap_report_t *report, kap_say_t text, ...);

/* "12/15, 80 %"; in the public edition "–" where there is too little behind it. */
const char *kap_report_rate(kap_report_t *report, const kap_mp_t *rate);
const char *kap_report_time(kap_report_t *report, const kap_mp_t *time, const char *part,
                            bool words);
const char *kap_report_count(kap_report_t *report, int64_t count);
/* The count under a key; "1–4" when the answer has nil there: too small to be told. */
const char *kap_report_number(kap_report_t *report, const kap_mp_t *map, const char *key);
const char *kap_report_member(kap_report_t *report, kap_span_t id);
const char *kap_report_region(kap_report_t *report);
const char *kap_report_edge(kap_report_t *report, kap_span_t from, kap_span_t to);
const char *kap_report_date(kap_report_t *report, kap_date_t date);
const char *kap_report_period(kap_report_t *report, kap_date_t from, kap_date_t to);

/* --- the page --- */

void kap_report_handovers(kap_report_t *report);  /* reporthand.c */
void kap_report_members(kap_report_t *report);    /* reporthand.c */
void kap_report_changes(kap_report_t *report);    /* reportchange.c */
void kap_report_talk(kap_report_t *report);       /* reporttalk.c */
void kap_report_quality(kap_report_t *report);    /* reporttalk.c */
void kap_report_plans(kap_report_t *report);      /* reportfollow.c */
void kap_report_visits(kap_report_t *report);     /* reportfollow.c */
void kap_report_follow(kap_report_t *report);     /* reportfollow.c */
void kap_report_activation(kap_report_t *report); /* reportopen.c */

/* A frozen report shown again, from the answers that stand in its file: `map` is what it was made
 * with. Returns an exit code. */
int kap_report_again(kap_asking_t *asking, const kap_mp_t *map);

#endif
