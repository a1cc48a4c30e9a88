/* SPDX-License-Identifier: MPL-2.0 */
/*
 * cell: where figures are summed up. A cell is (level, scope, breakdown, period); its row holds
 * counts, a row of the same key in `sketches` the durations in log buckets. This file knows keys
 * and values and which cells are kept; count.h writes them, sum.h reads them. Pure.
 */
#ifndef KAP_CELL_H
#define KAP_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "fact.h"
#include "path.h"
#include "sketch.h"
#include "span.h"

/* Levels, and what (region, a, b) of a key mean. SENDS and GETS sum the edges of a member in one
 * region; MEMBER, ORGANISATION and PAIR hold KAP_FIGURE_CASE rows and nothing else, and with region
 * 0 each case once, whatever its regions. An archive has EDGE, SENDS, GETS, MEMBER, PAIR, REGION.
 */
typedef enum {
    KAP_LEVEL_EDGE = 1,     /* region, from, to */
    KAP_LEVEL_SENDS,        /* region, member, 0 */
    KAP_LEVEL_GETS,         /* region, member, 0 */
    KAP_LEVEL_MEMBER,       /* region or 0, member, 0 */
    KAP_LEVEL_PAIR,         /* region or 0, the lower number, the higher number */
    KAP_LEVEL_ORGANISATION, /* 0, organisation, 0 */
    KAP_LEVEL_REGION,       /* region, 0, 0 */
    KAP_LEVEL_AREA,         /* area, 0, 0 */
    KAP_LEVEL_NATION,       /* 0, 0, 0 */
    KAP_LEVEL_COUNT
} kap_level_t;

typedef enum { KAP_PERIOD_YEAR, KAP_PERIOD_MONTH, KAP_PERIOD_DAY } kap_period_t;

typedef struct {
    uint8_t level;   /* kap_level_t */
    uint32_t region; /* or area */
    uint32_t a, b;
    uint8_t breakdown; /* kap_breakdown_t: a row of NONE holds a vector, one of another kind a
                          vector for each of its values */
    uint8_t period;    /* kap_period_t */
    int32_t at;        /* the year; months since the year 0; days since 1970-01-01 */
} kap_cell_t;

enum { KAP_CELL_KEY = 1 + 4 + 4 + 4 + 1 + 1 + 4 };

/* Keys sort by level, region, a, b, breakdown, period, at: the periods of one scope lie together.
 */
void kap_cell_key(uint8_t key[KAP_CELL_KEY], const kap_cell_t *cell);
bool kap_cell_split(kap_span_t key, kap_cell_t *cell);

/* Is such a row kept? counts: of `cells`, else of `sketches`. One table decides (cell.c): days have
 * counts of NONE only, and none at EDGE; breakdowns of EDGE, SENDS and GETS have months only; their
 * sketches none (exact from the cohort). */
bool kap_cell_kept(kap_level_t level, kap_breakdown_t breakdown, kap_period_t period, bool counts);

/* The period an instant lies in. */
int32_t kap_cell_at(kap_period_t period, kap_zone_t zone, int64_t at_ms);

/* First instant of a period; of the next one with at + 1. */
int64_t kap_cell_start(kap_period_t period, kap_zone_t zone, int32_t at);

/* --- values: a vector is the figures that are not 0, and how many --- */

typedef struct {
    uint64_t counts[KAP_FIGURE_COUNT];
} kap_vector_t;

/* Adds a row of NONE, or of another breakdown all its values (`value` < 0) or one. KAP_E_CORRUPT.
 */
int kap_cell_add(kap_span_t row, kap_breakdown_t breakdown, int32_t value, kap_vector_t *to);

/* The same of a row of `sketches`: adds the counts of one sketch (kap_cell_which). */
int kap_cell_add_times(kap_span_t row, kap_breakdown_t breakdown, int32_t value, unsigned which,
                       uint64_t counts[KAP_SKETCH_BUCKETS]);

/* Walks the values of a breakdown's row of `cells`; begin with {row, -1}. False at its end, or *rc
 * KAP_E_CORRUPT. */
typedef struct {
    kap_span_t rest;
    int32_t last;
} kap_cell_walk_t;
bool kap_cell_next(kap_cell_walk_t *walk, uint16_t *value, kap_vector_t *vector, int *rc);

/* One change: a figure of a value of the breakdown (0 for NONE). */
typedef struct {
    uint16_t value;
    uint16_t figure;
    int64_t by;
} kap_cell_change_t;

/* Appends the row that follows from `row` and the changes, which it sorts; an empty result: nothing
 * is left. KAP_E_CORRUPT: the row cannot be read, or a count would fall below zero. */
int kap_cell_merge(kap_span_t row, kap_breakdown_t breakdown, kap_cell_change_t *changes,
                   size_t count, kap_buf_t *out);

/* The same for a row of `sketches`. */
int kap_cell_merge_times(kap_span_t row, kap_breakdown_t breakdown, kap_sketch_change_t *changes,
                         size_t count, kap_buf_t *out);

/* --- where a fact counts --- */

/* The edge and instant of a referral's fact. */
typedef struct {
    uint32_t region, from, to; /* numbers of their names */
    int64_t at;                /* created, as it counts; of a tally: start of its period */
    uint64_t seq;              /* position of the event that made it: makes the key unique */
    bool utc;                  /* the region is an archive: its days are UTC's */
} kap_cohort_key_t;

/* Receives every count (figure, by) of a fact at every kept cell: value is that of cell->breakdown.
 */
typedef int (*kap_cell_count_fn)(void *arg, const kap_cell_t *cell, uint16_t value,
                                 kap_figure_t figure, int64_t by);
/* Receives every duration, likewise: `which` is kap_cell_which. Of CHAIN the bucket is the number,
 * KAP_SKETCH_BUCKETS - 1 for all above it, and it stands in working time. */
typedef int (*kap_cell_time_fn)(void *arg, const kap_cell_t *cell, uint16_t value, unsigned which,
                                uint32_t bucket, int32_t by);

/* Number of a sketch in a row of sketches. */
static inline unsigned kap_cell_which(kap_figure_time_t time, bool elapsed)
{
    return (unsigned)time * 2 + (elapsed ? 1 : 0);
}

/* Tells all that a fact counts, times `sign` (1 or -1). Stops at a callback's error. */
int kap_cell_spread(const kap_cohort_key_t *key, const kap_fact_t *fact, int sign,
                    kap_cell_count_fn count, kap_cell_time_fn time, void *arg);
int kap_cell_spread_path(const kap_path_t *path, int sign, kap_cell_count_fn count,
                         kap_cell_time_fn time, void *arg);

/* --- the same in parts, for count.c: facts that go to the same cells are summed up first --- */

/* What of a fact counts on one day. */
typedef struct {
    int32_t day; /* in the cells' zone */
    kap_figure_set_t figures;
} kap_cell_share_t;

enum { KAP_CELL_SHARES = 5 };

/* Each day once, that of its creation first; how many. */
uint32_t kap_cell_shares(const kap_cohort_key_t *key, const kap_fact_t *fact,
                         kap_cell_share_t shares[KAP_CELL_SHARES]);

/* The sketch and bucket of each duration that a fact or path knows; how many. */
typedef struct {
    uint16_t which;
    uint16_t bucket;
} kap_cell_time_t;

enum { KAP_CELL_TIMES = 2 * KAP_FIGURE_TIME_COUNT };

uint32_t kap_cell_times(const kap_fact_t *fact, kap_cell_time_t times[KAP_CELL_TIMES]);
uint32_t kap_cell_path_times(const kap_path_t *path, kap_cell_time_t times[KAP_CELL_TIMES]);

/* Receives every cell of a place, and whether its counts and its sketches are kept. */
typedef int (*kap_cell_fn)(void *arg, const kap_cell_t *cell, bool counts, bool times);

/* Cells of an edge on a day, by one breakdown. area 0: of its region at most. */
int kap_cell_each(uint32_t region, uint32_t from, uint32_t to, uint32_t area, int32_t day,
                  kap_breakdown_t breakdown, kap_cell_fn fn, void *arg);

/* Cells of a case that began on that day. KAP_E_CORRUPT: more parts than a case of the mesh has. */
int kap_cell_each_path(const kap_path_part_t *parts, uint32_t count, bool utc, int32_t day,
                       kap_cell_fn fn, void *arg);

/* The zone whose days cells have. */
static inline kap_zone_t kap_cell_zone(bool utc)
{
    return utc ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI;
}

/* --- keys of the cohort --- */

enum { KAP_COHORT_KEY = 4 + 4 + 4 + 8 + 8 };

/* Sorts by region, from, to, at, seq. utc is not in it. */
void kap_cohort_key(uint8_t bytes[KAP_COHORT_KEY], const kap_cohort_key_t *key);
bool kap_cohort_split(kap_span_t bytes, kap_cohort_key_t *key);

#endif
