/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "calendar.h"
#include "err.h"

static kap_date_t day(int year, int month, int number)
{
    return (kap_date_t){(int16_t)year, (int8_t)month, (int8_t)number};
}

/* Local time of Helsinki when the text names no zone. */
static int64_t at(const char *text)
{
    int64_t ms = 0;
    cr_assert_eq(kap_time_parse(kap_span_str(text), KAP_ZONE_HELSINKI, &ms, NULL), KAP_OK, "%s",
                 text);
    return ms;
}

static bool easter_is(int year, int month, int number)
{
    return kap_date_cmp(kap_calendar_easter(year), day(year, month, number)) == 0;
}

Test(calendar, easter_falls_where_tables_say)
{
    cr_assert(easter_is(1818, 3, 22)); /* the earliest there is */
    cr_assert(easter_is(1943, 4, 25)); /* the latest */
    cr_assert(easter_is(1954, 4, 18));
    cr_assert(easter_is(1981, 4, 19));
    cr_assert(easter_is(2000, 4, 23));
    cr_assert(easter_is(2008, 3, 23));
    cr_assert(easter_is(2024, 3, 31));
    cr_assert(easter_is(2025, 4, 20));
    cr_assert(easter_is(2026, 4, 5));
    cr_assert(easter_is(2027, 3, 28));
    cr_assert(easter_is(2038, 4, 25));
    for (int year = 1583; year <= 9999; year++) {
        kap_date_t easter = kap_calendar_easter(year);
        cr_assert_eq(kap_date_weekday(easter), 7);
        cr_assert(kap_date_cmp(easter, day(year, 3, 22)) >= 0 &&
                  kap_date_cmp(easter, day(year, 4, 25)) <= 0);
    }
}

Test(calendar, the_off_days_of_2026)
{
    const kap_date_t off[] = {day(2026, 1, 1),   day(2026, 1, 6),  day(2026, 4, 3),
                              day(2026, 4, 6),   day(2026, 5, 1),  day(2026, 5, 14),
                              day(2026, 6, 19),  day(2026, 12, 6), day(2026, 12, 24),
                              day(2026, 12, 25), day(2026, 12, 26)};
    size_t next = 0;
    for (kap_date_t date = day(2026, 1, 1); date.year == 2026; date = kap_date_add(date, 1)) {
        bool expected = next < 11 && kap_date_cmp(date, off[next]) == 0;
        cr_assert_eq(kap_calendar_is_off_day(date), expected, "%d.%d.", date.day, date.month);
        bool weekend = kap_date_weekday(date) > 5;
        cr_assert_eq(kap_calendar_is_working_day(date, NULL), !expected && !weekend);
        next += expected;
    }
    cr_assert_eq(next, 11u);
}

Test(calendar, midsummer_eve_is_the_friday_of_19_to_25_june)
{
    for (int year = 1970; year <= 2199; year++) {
        int fridays = 0;
        for (int number = 19; number <= 25; number++) {
            bool friday = kap_date_weekday(day(year, 6, number)) == 5;
            cr_assert_eq(kap_calendar_is_off_day(day(year, 6, number)), friday);
            fridays += friday;
        }
        cr_assert_eq(fridays, 1);
        cr_assert_not(kap_calendar_is_off_day(day(year, 6, 18)));
        cr_assert_not(kap_calendar_is_off_day(day(year, 6, 26)));
    }
}

Test(calendar, ascension_on_the_first_of_may_counts_once)
{
    cr_assert(easter_is(2008, 3, 23));
    cr_assert(kap_calendar_is_off_day(day(2008, 5, 1)));
    cr_assert_eq(kap_calendar_working_days(day(2008, 4, 28), day(2008, 5, 5), NULL), 4);
}

Test(calendar, sums_equal_counting_day_by_day)
{
    int32_t count = 0;
    kap_date_t from = day(1897, 3, 5);
    for (kap_date_t date = from; date.year < 2204; date = kap_date_add(date, 1)) {
        if (date.day == 1 || date.year % 50 == 0)
            cr_assert_eq(kap_calendar_working_days(from, date, NULL), count, "%d-%d", date.year,
                         date.month);
        count += kap_date_weekday(date) <= 5 && !kap_calendar_is_off_day(date);
    }
    cr_assert_eq(kap_calendar_working_days(day(2026, 1, 2), day(2026, 1, 1), NULL), 0);
}

Test(calendar, counts_hours_within_a_day_and_over_days)
{
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-11-18T09:00:00"), at("2026-11-18T10:30:00"), NULL),
        90 * KAP_MINUTE_MS);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-11-18T06:00:00"), at("2026-11-18T08:00:00"), NULL), 0);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-11-18T07:59:59.999"), at("2026-11-18T08:00:00.001"), NULL),
        1);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-11-18T15:59:59.999"), at("2026-11-18T16:00:00.001"), NULL),
        1);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-11-20T15:00:00"), at("2026-11-23T09:00:00"), NULL),
        2 * KAP_HOUR_MS); /* Friday to Monday */
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-11-18T10:00:00"), at("2026-11-18T09:00:00"), NULL), 0);
}

Test(calendar, clock_changes_neither_add_nor_take_an_hour)
{
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-03-27T00:00:00"), at("2026-03-31T00:00:00"), NULL),
        16 * KAP_HOUR_MS);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-10-23T00:00:00"), at("2026-10-27T00:00:00"), NULL),
        16 * KAP_HOUR_MS);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-03-30T08:00:00"), at("2026-03-30T09:00:00"), NULL),
        KAP_HOUR_MS);
}

Test(calendar, easter_week_has_its_gap)
{
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-04-02T15:00:00"), at("2026-04-07T09:00:00"), NULL),
        2 * KAP_HOUR_MS);
}

Test(calendar, closures_are_cut_once_even_when_they_overlap)
{
    const kap_closure_t items[] = {{day(2026, 7, 1), day(2026, 7, 10)},
                                   {day(2026, 7, 8), day(2026, 7, 9)},
                                   {day(2026, 7, 10), day(2026, 7, 14)},
                                   {day(2026, 8, 3), day(2026, 8, 3)}};
    const kap_closures_t closures = {items, 4};
    cr_assert_eq(kap_calendar_working_days(day(2026, 7, 1), day(2026, 8, 1), &closures), 13);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-07-01T00:00:00"), at("2026-08-01T00:00:00"), &closures),
        13 * KAP_WORKING_DAY_MS);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-06-30T15:00:00"), at("2026-07-15T09:00:00"), &closures),
        2 * KAP_HOUR_MS);
    cr_assert_eq(
        kap_calendar_working_ms(at("2026-07-09T09:00:00"), at("2026-07-15T09:00:00"), &closures),
        KAP_HOUR_MS);
    cr_assert_not(kap_calendar_is_working_day(day(2026, 8, 3), &closures));
    cr_assert(kap_calendar_is_working_day(day(2026, 8, 4), &closures));
}

Test(calendar, adding_is_the_inverse_of_counting)
{
    const kap_closure_t items[] = {{day(2026, 7, 1), day(2026, 7, 14)}};
    const kap_closures_t closures = {items, 1};
    const int64_t amounts[] = {1,
                               KAP_HOUR_MS,
                               KAP_WORKING_DAY_MS - 1,
                               KAP_WORKING_DAY_MS,
                               KAP_WORKING_DAY_MS + 1,
                               5 * KAP_WORKING_DAY_MS,
                               40 * KAP_WORKING_DAY_MS};
    int64_t from = at("2026-03-20T06:17:00");
    for (int i = 0; i < 300; i++, from += 17 * KAP_HOUR_MS + 12345) {
        for (size_t j = 0; j < sizeof amounts / sizeof amounts[0]; j++) {
            int64_t then = kap_calendar_add_working_ms(from, amounts[j], &closures);
            cr_assert_eq(kap_calendar_working_ms(from, then, &closures), amounts[j]);
            cr_assert_eq(kap_calendar_working_ms(from, then - 1, &closures), amounts[j] - 1,
                         "the first such instant");
        }
    }
}

Test(calendar, a_target_of_working_days_ends_where_people_expect)
{
    cr_assert_eq(
        kap_calendar_add_working_ms(at("2026-11-18T10:00:00"), 5 * KAP_WORKING_DAY_MS, NULL),
        at("2026-11-25T10:00:00"));
    cr_assert_eq(kap_calendar_add_working_ms(at("2026-11-21T10:00:00"), KAP_WORKING_DAY_MS, NULL),
                 at("2026-11-23T16:00:00"));
    cr_assert_eq(kap_calendar_add_working_ms(at("2026-12-23T12:00:00"), KAP_WORKING_DAY_MS, NULL),
                 at("2026-12-28T12:00:00"));
    cr_assert_eq(kap_calendar_add_working_ms(1234, 0, NULL), 1234);
    cr_assert_eq(kap_calendar_add_working_ms(0, INT64_MAX, NULL), KAP_TIME_MAX);
}

Test(calendar, the_years_1970_and_9999_work)
{
    cr_assert_eq(
        kap_calendar_working_ms(at("1970-01-01T00:00:00"), at("1970-01-03T00:00:00"), NULL),
        KAP_WORKING_DAY_MS); /* New Year's Day, then a Friday */
    cr_assert_eq(kap_calendar_working_ms(at("9999-12-31T00:00:00"), KAP_TIME_MAX, NULL),
                 KAP_WORKING_DAY_MS); /* a Friday */
    cr_assert_eq(kap_calendar_add_working_ms(at("9999-12-31T08:00:00"), KAP_HOUR_MS, NULL),
                 at("9999-12-31T09:00:00"));
    cr_assert_eq(kap_calendar_add_working_ms(at("9999-12-31T08:00:00"), 9 * KAP_HOUR_MS, NULL),
                 KAP_TIME_MAX);
}

Test(calendar, is_quick_enough_for_every_answered_referral)
{
    enum { ROUNDS = 200000 };
    const kap_closure_t items[] = {{day(2026, 7, 1), day(2026, 7, 14)}};
    const kap_closures_t closures = {items, 1};
    int64_t from = at("2026-06-20T09:00:00"), sum = 0, start = kap_monotonic_ms();
    for (int i = 0; i < ROUNDS; i++)
        sum += kap_calendar_working_ms(from + i, from + i + 20 * KAP_DAY_MS, &closures);
    int64_t took = kap_monotonic_ms() - start;
    cr_log_info("%lld ns a call", (long long)(took * 1000000 / ROUNDS));
    cr_assert_gt(sum, 0);
    cr_assert_lt(took, 2000, "10 us a call even unoptimised on a busy machine");
}
