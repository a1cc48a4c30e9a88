/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fact: what one referral counts. A pure function of its row, of what its case makes of it (path.h)
 * and of where its ends stood when it was created; the cohort table keeps it, so that every later
 * event, correction and voiding subtracts exactly what was added. Any thread; no allocation.
 * It knows no cells (cell.h says where a fact counts).
 */
#ifndef KAP_FACT_H
#define KAP_FACT_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "rows.h"
#include "span.h"

typedef enum {
#define KAP_FIGURE(NAME, wire, meaning) KAP_FIGURE_##NAME,
#include "figures.def"
#undef KAP_FIGURE
    KAP_FIGURE_COUNT
} kap_figure_t;

typedef enum {
#define KAP_FIGURE_TIME(NAME, wire, meaning) KAP_FIGURE_TIME_##NAME,
#include "times.def"
#undef KAP_FIGURE_TIME
    KAP_FIGURE_TIME_COUNT
} kap_figure_time_t;

/* Wire names and meanings of the tables. */
const char *kap_figure_name(kap_figure_t figure);
const char *kap_figure_meaning(kap_figure_t figure);
bool kap_figure_is_of_case(kap_figure_t figure);
const char *kap_figure_time_name(kap_figure_time_t time);

/* Figures as a set, and how often a row counts each of them. */
typedef struct {
    uint64_t bits[2];
} kap_figure_set_t;

static inline void kap_figure_add(kap_figure_set_t *set, kap_figure_t figure)
{
    set->bits[figure / 64] |= UINT64_C(1) << (figure % 64);
}

static inline bool kap_figure_in(const kap_figure_set_t *set, kap_figure_t figure)
{
    return set->bits[figure / 64] >> (figure % 64) & 1;
}

/* What breaks figures down beside their scope (one at a time). */
typedef enum {
    KAP_BREAKDOWN_NONE,
    KAP_BREAKDOWN_SERVICE, /* values: code + 1, 0 for unknown */
    KAP_BREAKDOWN_SEGMENT, /* the same */
    KAP_BREAKDOWN_WARM,    /* values: 0, 1 */
    KAP_BREAKDOWN_ORIGIN,  /* code + 1, 0 for unknown */
    KAP_BREAKDOWN_COUNT
} kap_breakdown_t;

/* What the shape of its case makes of a referral (path.h fills it; zeroes: nothing). */
typedef struct {
    bool ping_pong, returned, loop;
    kap_spent_t got_back; /* of a return: created of the parent -> delivered of this one */
    bool clamped;         /* got_back was negative and is 0 */
} kap_fact_path_t;

/* What one referral (or tally) counts. All of it stands in the row, so that it can be taken back.
 */
typedef struct {
    kap_figure_set_t figures; /* empty: it counts nowhere */
    uint32_t amount;          /* each of them counts this many: 1, or a tally's count */
    uint32_t attempts, late_reports;
    uint8_t feedback_scale, feedback_value; /* 0: none given */
    uint32_t area; /* number of the area's name; 0: none (archive, bench) */
    uint16_t breakdown[KAP_BREAKDOWN_COUNT]; /* its value of each; [NONE] is 0 */
    /* When FLOW_ figures count, KAP_REFERRAL_NO_TIME: it did not happen. `ended` counts as what
     * the figures say (completed, declined or redirected, withdrawn). */
    int64_t delivered_at, accepted_at, contact_at, ended_at;
    kap_spent_t times[KAP_FIGURE_TIME_COUNT]; /* KAP_REFERRAL_NO_SPAN_MS: none */
} kap_fact_t;

/* What answers and times are told of: neither voided nor internal nor external, kind transfer. */
bool kap_fact_is_transfer(const kap_referral_t *r);

enum { KAP_LOOP_CLOSED_DAYS = 90 }; /* of 24 h, from created to the last answer (metrics 6) */

/* Of a transfer: neither withdrawn nor redirected; and of those, ended, and the sender's node had
 * the last answer in time. */
bool kap_fact_is_closable(const kap_referral_t *r);
bool kap_fact_is_loop_closed(const kap_referral_t *r);

/* A fact that counts nothing. */
void kap_fact_init(kap_fact_t *fact);

/* The fact of a referral. `area`: number of its region's area as of its creation. What `path` says
 * counts whatever the kind, a clamped way back too; so does feedback on a scale of 4 or 5. */
void kap_fact_of(const kap_referral_row_t *row, const kap_fact_path_t *path, uint32_t area,
                 kap_fact_t *out);

/* Counts of one figure: 0, `amount`, or what it sums (attempts, late reports, feedback). */
uint64_t kap_fact_count(const kap_fact_t *fact, kap_figure_t figure);

/* True when both count the same. */
bool kap_fact_equal(const kap_fact_t *a, const kap_fact_t *b);

/* The row of the cohort; errors are the buffer's. unpack: KAP_E_CORRUPT. */
void kap_fact_pack(kap_buf_t *buf, const kap_fact_t *fact);
int kap_fact_unpack(kap_span_t value, kap_fact_t *fact);

#endif
