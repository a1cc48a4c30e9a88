/* SPDX-License-Identifier: MPL-2.0 */
/* Recurrence: RFC 5545 RRULEs, expanded by libical, made safe.
 *
 * libical searches for seconds or for ever when a rule gives no day (a 30th of February) or has
 * a fine frequency. So only rules that always give one are taken:
 * - DAILY: INTERVAL 1..99; BYDAY or BYMONTH with INTERVAL 1
 * - WEEKLY: INTERVAL 1..52; BYDAY; BYMONTH with INTERVAL 1
 * - MONTHLY: INTERVAL 1..11; BYDAY (2TU, -1FR; 1 to 4 from either end) or BYMONTHDAY; with
 *   INTERVAL 1 and days 1..28 also BYMONTH
 * - YEARLY: INTERVAL 1..10; BYMONTH with BYDAY or with BYMONTHDAY that every year has
 * - each with COUNT (1..1,000) or UNTIL, and WKST; BYSETPOS (1..4, -1..-4) beside BYDAY without
 *   numbers in MONTHLY and YEARLY
 *
 * Occurrences keep their local time over clock changes. Pure; any thread. ical.h is included in
 * recurrence.c only. */
#ifndef KAP_RECURRENCE_H
#define KAP_RECURRENCE_H

#include "buf.h"
#include "clock.h"

/* KAP_OK, or KAP_E_INVALID with a sentence appended to *why (may be NULL) that says what would be
 * right. */
int kap_recurrence_check(const char *rrule, kap_buf_t *why);

/* The occurrences with from_ms <= t < to_ms, ascending, at most max, in out; their number in
 * *count. The first occurrence is never before `first` at time_of_day_ms, local time of zone; as
 * RFC 5545 has it, COUNT counts from there. More than max: the first ones, KAP_E_LIMIT, *count =
 * max. At most 20,000 occurrences are walked from `first` on. KAP_E_INVALID as by the check;
 * KAP_E_NOMEM. */
int kap_recurrence_expand(const char *rrule, kap_zone_t zone, kap_date_t first,
                          int32_t time_of_day_ms, int64_t from_ms, int64_t to_ms, int64_t out[],
                          size_t max, size_t *count);

#endif
