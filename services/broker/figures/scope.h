/* SPDX-License-Identifier: MPL-2.0 */
/*
 * scope: of what the figures are asked, and over which time. Pure but for the names' numbers, which
 * it reads in the caller's transaction. Any thread.
 */
#ifndef KAP_SCOPE_H
#define KAP_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "cell.h"
#include "clock.h"
#include "directory.h"
#include "span.h"
#include "store.h"

typedef enum {
    KAP_SCOPE_REGION, /* or an archive */
    KAP_SCOPE_AREA,
    KAP_SCOPE_NATION,
    KAP_SCOPE_ORGANISATION, /* in all regions */
    KAP_SCOPE_MEMBER,       /* in one region, or in all when region is empty */
    KAP_SCOPE_EDGE,         /* likewise */
} kap_scope_kind_t;

typedef struct {
    kap_scope_kind_t kind;
    kap_span_t region, area, organisation, member, from, to; /* ids, as far as the kind has them */
    bool utc;                                                /* an archive */
    uint32_t region_number, a, b; /* numbers of names; 0: nobody ever heard of it, all is 0 */
} kap_scope_t;

/* Fills the numbers, and utc, from the ids; all 0 when nobody ever used them. */
int kap_scope_find(kap_txn_t *txn, kap_scope_t *scope);

/* [from, to): instants of local days; INT64_MIN, INT64_MAX where open. */
typedef struct {
    kap_zone_t zone;
    bool has_from, has_to;
    kap_date_t from, to;
    int64_t from_ms, to_ms;
} kap_window_t;

/* A window of days; of a month, of a year. has_ false: open on that side. */
void kap_window_days(kap_window_t *window, kap_zone_t zone, bool has_from, kap_date_t from,
                     bool has_to, kap_date_t to);
void kap_window_month(kap_window_t *window, kap_zone_t zone, int year, int month);
void kap_window_year(kap_window_t *window, kap_zone_t zone, int year);

/* A run of cells' periods: [first, last]. */
typedef struct {
    kap_period_t period;
    int32_t first, last;
} kap_span_of_periods_t;

/* days, months, years, months, days */
enum { KAP_WINDOW_PIECES = 5 };

/* [from, to) of instants; empty when they are equal. */
typedef struct {
    int64_t from_ms, to_ms;
} kap_instants_t;

/* Splits a window into the longest whole periods that lie in it, in the cells' zone (UTC for an
 * archive), of those that are kept (bits 1 << KAP_PERIOD_), and what is left at its two ends, as
 * instants: rest[0] and rest[1]. Open sides reach to INT32_MIN and INT32_MAX - 1 of the longest
 * period. Nothing is kept: all of it is rest[0]. Returns the number of pieces. */
uint32_t kap_window_pieces(const kap_window_t *window, bool utc, unsigned periods,
                           kap_span_of_periods_t pieces[KAP_WINDOW_PIECES], kap_instants_t rest[2]);

/* True when the window is whole months of its zone, or open. */
bool kap_window_is_months(const kap_window_t *window);

#endif
