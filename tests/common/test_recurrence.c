/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "err.h"
#include "recurrence.h"

enum { NINE = 9 * 3600000, MAX = 64 };

static const kap_date_t first = {2026, 1, 31}; /* a Saturday */

static int64_t at(const char *text)
{
    int64_t ms = 0;
    cr_assert_eq(kap_time_parse(kap_span_str(text), KAP_ZONE_UTC, &ms, NULL), KAP_OK);
    return ms;
}

/* The days at nine o'clock from `first` to `to`, as UTC texts without seconds. */
static void gives(const char *rrule, const char *to, const char *expected)
{
    int64_t out[MAX];
    size_t count = 0;
    cr_assert_eq(
        kap_recurrence_expand(rrule, KAP_ZONE_HELSINKI, first, NINE, 0, at(to), out, MAX, &count),
        KAP_OK, "%s", rrule);
    kap_buf_t seen = {0};
    for (size_t i = 0; i < count; i++) {
        char text[KAP_TIME_TEXT];
        kap_time_format_utc(out[i], text);
        kap_buf_printf(&seen, "%.16s ", text);
    }
    cr_assert_str_eq(kap_buf_cstr(&seen), expected, "%s", rrule);
    kap_buf_fini(&seen);
}

Test(recurrence, keeps_local_time_over_clock_changes)
{
    gives("FREQ=WEEKLY;BYDAY=MO;COUNT=10", "2026-04-07T00:00:00Z",
          "2026-02-02T07:00 2026-02-09T07:00 2026-02-16T07:00 2026-02-23T07:00 2026-03-02T07:00 "
          "2026-03-09T07:00 2026-03-16T07:00 2026-03-23T07:00 2026-03-30T06:00 2026-04-06T06:00 ");
}

Test(recurrence, months_years_positions_and_ends)
{
    gives("FREQ=MONTHLY;BYDAY=2TU;COUNT=3", "2027-01-01T00:00:00Z",
          "2026-02-10T07:00 2026-03-10T07:00 2026-04-14T06:00 ");
    gives("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260327", "2027-01-01T00:00:00Z",
          "2026-02-27T07:00 2026-03-27T07:00 ");
    gives("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1;COUNT=2", "2027-01-01T00:00:00Z",
          "2026-02-02T07:00 2026-03-02T07:00 ");
    gives("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", "2027-01-01T00:00:00Z",
          "2026-01-31T07:00 2026-03-31T06:00 2026-05-31T06:00 ");
    gives("FREQ=YEARLY;BYMONTH=9;BYMONTHDAY=15;COUNT=2", "2029-01-01T00:00:00Z",
          "2026-09-15T06:00 2027-09-15T06:00 ");
    gives("FREQ=DAILY;INTERVAL=2;UNTIL=20260204T070000Z", "2027-01-01T00:00:00Z",
          "2026-01-31T07:00 2026-02-02T07:00 2026-02-04T07:00 ");
    gives("FREQ=DAILY;INTERVAL=2;UNTIL=20260204T085959", "2027-01-01T00:00:00Z",
          "2026-01-31T07:00 2026-02-02T07:00 ");
}

Test(recurrence, the_window_is_half_open_and_bounded)
{
    int64_t out[2], from = at("2026-02-01T07:00:00Z");
    size_t count = 0;
    cr_assert_eq(kap_recurrence_expand("FREQ=DAILY", KAP_ZONE_HELSINKI, first, NINE, from,
                                       from + KAP_DAY_MS, out, 2, &count),
                 KAP_OK);
    cr_assert_eq(count, 1u);
    cr_assert_eq(out[0], from);
    cr_assert_eq(kap_recurrence_expand("FREQ=DAILY", KAP_ZONE_HELSINKI, first, NINE, from,
                                       from + 5 * KAP_DAY_MS, out, 2, &count),
                 KAP_E_LIMIT);
    cr_assert_eq(count, 2u);
    cr_assert_eq(kap_recurrence_expand("FREQ=DAILY", KAP_ZONE_HELSINKI, first, NINE,
                                       at("2400-01-01T00:00:00Z"), at("2400-01-02T00:00:00Z"), out,
                                       2, &count),
                 KAP_E_LIMIT, "no walk without an end");
    cr_assert_eq(kap_recurrence_expand("FREQ=DAILY", KAP_ZONE_HELSINKI, first, KAP_DAY_MS, 0, from,
                                       out, 2, &count),
                 KAP_E_INVALID);
}

Test(recurrence, refuses_what_could_hang_and_says_why)
{
    static const char *const wrong[] = {"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=31",
                                        "FREQ=MINUTELY",
                                        "FREQ=HOURLY",
                                        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
                                        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
                                        "FREQ=YEARLY;BYMONTH=2",
                                        "FREQ=YEARLY;BYMONTHDAY=31",
                                        "FREQ=YEARLY;BYDAY=53MO",
                                        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
                                        "FREQ=MONTHLY;BYDAY=5MO",
                                        "FREQ=MONTHLY;BYDAY=0MO",
                                        "FREQ=MONTHLY;BYSETPOS=300;BYDAY=MO",
                                        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=2",
                                        "FREQ=MONTHLY;BYMONTHDAY=32",
                                        "FREQ=MONTHLY;BYMONTHDAY=0",
                                        "FREQ=MONTHLY;INTERVAL=12",
                                        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
                                        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
                                        "FREQ=DAILY;BYMONTHDAY=31",
                                        "FREQ=DAILY;INTERVAL=0",
                                        "FREQ=DAILY;INTERVAL=100",
                                        "FREQ=WEEKLY;BYDAY=2MO",
                                        "FREQ=WEEKLY;INTERVAL=53",
                                        "FREQ=WEEKLY;BYHOUR=9",
                                        "FREQ=WEEKLY;COUNT=0",
                                        "FREQ=WEEKLY;COUNT=1001",
                                        "FREQ=WEEKLY;COUNT=2;UNTIL=20270101",
                                        "FREQ=WEEKLY;UNTIL=20260230",
                                        "FREQ=WEEKLY;UNTIL=2026-02-03",
                                        "FREQ=WEEKLY;FREQ=DAILY",
                                        "FREQ=WEEKLY;BYDAY=",
                                        "FREQ=WEEKLY;BYDAY=MO,XX",
                                        "FREQ=WEEKLY;WKST=1",
                                        "FREQ=",
                                        "",
                                        ";",
                                        "INTERVAL=2",
                                        "freq=weekly",
                                        "FREQ=WEEKLY;X-A=1",
                                        "FREQ=WEEKLY;RSCALE=HEBREW"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kap_buf_t why = {0};
        cr_assert_eq(kap_recurrence_check(wrong[i], &why), KAP_E_INVALID, "%s", wrong[i]);
        cr_assert_gt(why.size, 40u, "%s", wrong[i]);
        kap_buf_fini(&why);
    }
}

/* Every rule the check lets through yields its next day at once, from any first day. */
Test(recurrence, whatever_is_taken_goes_on, .timeout = 60)
{
    static const char *const freqs[] = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"};
    static const char *const parts[] = {"",
                                        ";BYDAY=MO",
                                        ";BYDAY=4SU",
                                        ";BYDAY=-4MO",
                                        ";BYMONTHDAY=31",
                                        ";BYMONTHDAY=-31",
                                        ";BYMONTHDAY=30",
                                        ";BYMONTH=2",
                                        ";BYMONTH=2;BYMONTHDAY=28",
                                        ";BYMONTH=2;BYMONTHDAY=29",
                                        ";BYMONTH=2;BYDAY=-4SU",
                                        ";BYDAY=MO;BYSETPOS=4",
                                        ";BYDAY=MO;BYSETPOS=-4",
                                        ";BYMONTH=4;BYMONTHDAY=31",
                                        ";BYMONTH=2,4;BYDAY=SU"};
    static const int intervals[] = {1, 2, 4, 6, 7, 10, 11, 12, 52, 99};
    static const kap_date_t days[] = {{2026, 1, 31}, {2026, 2, 28}, {2024, 2, 29}, {2027, 4, 30}};
    int taken = 0;
    for (size_t i = 0; i < 4 * 15 * 10 * 4; i++) {
        char rule[96];
        snprintf(rule, sizeof rule, "FREQ=%s;INTERVAL=%d%s", freqs[i % 4], intervals[i / 4 % 10],
                 parts[i / 40 % 15]);
        kap_date_t from = days[i / 600 % 4];
        if (kap_recurrence_check(rule, NULL) != KAP_OK)
            continue;
        int64_t out[2], start = kap_day_start_ms(KAP_ZONE_HELSINKI, from);
        size_t count = 0;
        int64_t before = kap_monotonic_ms();
        int err = kap_recurrence_expand(rule, KAP_ZONE_HELSINKI, from, NINE, start,
                                        start + 100 * 366 * KAP_DAY_MS, out, 2, &count);
        cr_assert_eq(err, KAP_E_LIMIT, "%s from %d-%d", rule, from.year, from.month);
        cr_assert_lt(kap_monotonic_ms() - before, 50, "%s", rule);
        taken++;
    }
    cr_assert_gt(taken, 400);
}
