/* SPDX-License-Identifier: MPL-2.0 */
/* Recurrence: RFC 5545 RRULEs, expanded by libical, made safe.
 *
 * Taken: FREQ DAILY, WEEKLY, MONTHLY, YEARLY with INTERVAL (1..99), COUNT (1..1,000) or UNTIL,
 * BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS, WKST. Nothing else: libical runs for ever on some rules of
 * finer frequencies, and a rule that gives no day at all is refused. Occurrences keep their local
 * time over clock changes. Pure; any thread. ical.h is included in recurrence.c only. */
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
