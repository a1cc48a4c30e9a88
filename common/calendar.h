/* SPDX-License-Identifier: MPL-2.0 */
/* The Finnish working calendar: working time is Monday to Friday 08:00 to 16:00 in Helsinki,
 * without off days: 1 and 6 January, Good Friday, Easter Monday, 1 May, Ascension, Midsummer Eve
 * (the Friday of 19 to 25 June), 6, 24, 25 and 26 December; and without a member's closures. A
 * target of n working days is n * KAP_WORKING_DAY_MS of working time.
 *
 * Pure after kap_clock_init_zone; any thread. Counting uses sums, not loops over days: constant
 * time in the years 1900 to 2198, plus one step a closure. */
#ifndef KAP_CALENDAR_H
#define KAP_CALENDAR_H

#include "clock.h"

#define KAP_WORKING_DAY_MS INT64_C(28800000) /* 8 h */

/* Days from first to last, both included. */
typedef struct {
    kap_date_t first;
    kap_date_t last;
} kap_closure_t;

/* Sorted by first; they may touch or overlap. A list may be NULL: no closures. */
typedef struct {
    const kap_closure_t *items;
    size_t count;
} kap_closures_t;

/* Easter Sunday (Gregorian computus), years 1583..9999. */
kap_date_t kap_calendar_easter(int year);

/* One of the off days above, whatever its weekday; weekends as such are none. */
bool kap_calendar_is_off_day(kap_date_t date);

bool kap_calendar_is_working_day(kap_date_t date, const kap_closures_t *closures);

/* Working days in [from, to); 0 when to is not after from. */
int32_t kap_calendar_working_days(kap_date_t from, kap_date_t to, const kap_closures_t *closures);

/* Working time in [from_ms, to_ms); 0 when to_ms is not after from_ms. */
int64_t kap_calendar_working_ms(int64_t from_ms, int64_t to_ms, const kap_closures_t *closures);

/* The first instant by which working_ms of working time have passed since from_ms; from_ms itself
 * for 0 or less; KAP_TIME_MAX when there is none. */
int64_t kap_calendar_add_working_ms(int64_t from_ms, int64_t working_ms,
                                    const kap_closures_t *closures);

#endif
