/* SPDX-License-Identifier: MPL-2.0 */
/* A metric's answer on the screen, as JSON or as CSV. The answer may come from the broker or from a
 * frozen file. One thread; it asks nobody. */
#ifndef KAP_METRICVIEW_H
#define KAP_METRICVIEW_H

#include "shown.h"

/* Prints by the cli's format. Returns an exit code. */
int kap_metricview_show(kap_cli_t *cli, const kap_mp_t *answer);

/* The same as CSV: rows, or, of an answer without any, its totals, or else its first list. */
int kap_metricview_csv(kap_cli_t *cli, const kap_mp_t *answer);

/* "Acceptance, Mikkeli, 2026-10-01 to 2026-10-31": what was asked, for a heading. */
void kap_metricview_title(kap_cli_t *cli, const kap_mp_t *answer, kap_buf_t *out);

/* The name of a metric in the user's language; the name itself when it is not known here. */
kap_span_t kap_metricview_name(const kap_cli_t *cli, kap_span_t metric);

/* A list of maps as a table or as CSV, its columns their keys. For people names stand
 * instead of ids, and the region only where asked for. */
int kap_metricview_list(kap_cli_t *cli, kap_span_t metric, const kap_mp_t *list, bool with_region);

/* The orphans of an answer, owner by owner, for people. */
void kap_metricview_orphans(kap_cli_t *cli, const kap_mp_t *list);

/* Who stands under a key of a row: by the directory, else by the name beside it (KEY_name). */
kap_span_t kap_metricview_who(kap_cli_t *cli, const kap_mp_t *row, const char *key);

/* The region's name in Finnish or Swedish; `otherwise` of an archive or a bench region. */
const char *kap_metricview_region(const kap_cli_t *cli, kap_span_t id, const char *otherwise);

/* What is said by a code under a key of the figures: why an orphan, which step, how a target
 * stands; the text itself when it is none. */
kap_span_t kap_metricview_word(const kap_cli_t *cli, const char *key, kap_span_t code);

/* What a key is called: by the metric's own word ("meetings.due" in words.def), else by the word of
 * the key, else the key itself. */
kap_span_t kap_metricview_label(kap_cli_t *cli, kap_span_t metric, kap_span_t key);

/* The rows that a window is told by: its first and last day; empty when it is open there. Lent from
 * the answer and from `out`. */
void kap_metricview_days(const kap_mp_t *answer, char first[32], char last[32]);

/* What a row counts instead of a hidden number: "1-4". */
void kap_metricview_hidden(const kap_mp_t *answer, char out[16]);

/* A time in an answer: an integer, or RFC 3339 from a file. 0 when there is none. */
int64_t kap_metricview_time(const kap_mp_t *map, const char *key);

#endif
