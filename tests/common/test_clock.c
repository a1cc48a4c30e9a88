/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"

static kap_date_t day(int year, int month, int number)
{
    return (kap_date_t){(int16_t)year, (int8_t)month, (int8_t)number};
}

static int64_t at(const char *text)
{
    int64_t ms = 0;
    cr_assert_eq(kap_time_parse(kap_span_str(text), KAP_ZONE_HELSINKI, &ms, NULL), KAP_OK, "%s",
                 text);
    return ms;
}

static int64_t hours_of(int year, int month, int number)
{
    kap_date_t date = day(year, month, number);
    return (kap_day_end_ms(KAP_ZONE_HELSINKI, date) - kap_day_start_ms(KAP_ZONE_HELSINKI, date)) /
           KAP_HOUR_MS;
}

Test(clock, the_days_of_clock_changes_have_23_and_25_hours)
{
    cr_assert_eq(hours_of(2026, 3, 29), 23);
    cr_assert_eq(hours_of(2026, 10, 25), 25);
    cr_assert_eq(hours_of(2026, 3, 28), 24);
    cr_assert_eq(hours_of(2026, 10, 26), 24);
    cr_assert_eq(kap_day_start_ms(KAP_ZONE_HELSINKI, day(2026, 3, 29)), at("2026-03-28T22:00:00Z"));
    cr_assert_eq(kap_day_end_ms(KAP_ZONE_HELSINKI, day(2026, 3, 29)), at("2026-03-29T21:00:00Z"));
}

Test(clock, each_instant_lies_in_its_day_from_1900_to_2100)
{
    for (kap_date_t date = day(1900, 1, 1); date.year < 2100; date = kap_date_add(date, 1)) {
        int64_t start = kap_day_start_ms(KAP_ZONE_HELSINKI, date);
        int64_t end = kap_day_end_ms(KAP_ZONE_HELSINKI, date);
        cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_HELSINKI, start), date), 0, "%d-%d-%d",
                     date.year, date.month, date.day);
        cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_HELSINKI, end - 1), date), 0);
        cr_assert_lt(start, end);
    }
}

Test(clock, the_years_1970_and_9999_work)
{
    cr_assert_eq(kap_day_start_ms(KAP_ZONE_UTC, day(1970, 1, 1)), 0);
    cr_assert_eq(kap_day_start_ms(KAP_ZONE_HELSINKI, day(1970, 1, 1)), -2 * KAP_HOUR_MS);
    cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_HELSINKI, 0), day(1970, 1, 1)), 0);
    cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_UTC, -1), day(1969, 12, 31)), 0);
    cr_assert_eq(kap_day_start_ms(KAP_ZONE_UTC, day(9999, 12, 31)), KAP_TIME_MAX + 1 - KAP_DAY_MS);
    cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_UTC, INT64_MAX), day(9999, 12, 31)), 0);
    cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_HELSINKI, INT64_MAX), day(9999, 12, 31)), 0);
    cr_assert_eq(kap_date_cmp(kap_date_of(KAP_ZONE_UTC, INT64_MIN), day(1, 1, 1)), 0);
    cr_assert_eq(kap_date_cmp(kap_date_add(day(9999, 12, 31), 1), day(9999, 12, 31)), 0);
    cr_assert_eq(kap_date_cmp(kap_date_add(day(1, 1, 1), -1), day(1, 1, 1)), 0);
    char text[KAP_TIME_TEXT];
    kap_time_format_utc(INT64_MAX, text);
    cr_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
    kap_time_format_local(INT64_MAX, text);
    cr_assert_str_eq(text, "31.12.9999 23:59");
    kap_time_format_utc(INT64_MIN, text);
    cr_assert_str_eq(text, "0001-01-01T00:00:00.000Z");
}

Test(clock, dates_count_both_ways)
{
    for (int32_t days = -719162; days <= 2932896; days += 97)
        cr_assert_eq(kap_date_days(kap_date_of_days(days)), days);
    cr_assert_eq(kap_date_weekday(day(2026, 11, 21)), 6);
    cr_assert_eq(kap_date_weekday(day(1970, 1, 1)), 4);
    cr_assert_eq(kap_date_weekday(day(1969, 12, 28)), 7);
    cr_assert_eq(kap_date_cmp(kap_date_add(day(2024, 2, 28), 1), day(2024, 2, 29)), 0);
}

Test(clock, dates_are_read_exactly)
{
    kap_date_t date;
    char text[KAP_TIME_TEXT];
    cr_assert_eq(kap_date_parse(KAP_SPAN("2024-02-29"), &date), KAP_OK);
    kap_date_format(date, text);
    cr_assert_str_eq(text, "2024-02-29");
    static const char *const wrong[] = {"2026-02-29", "1900-02-29", "2026-02-30", "2026-13-01",
                                        "2026-00-01", "2026-01-00", "2026-1-1",   "2026-01-011",
                                        "0000-01-01", "21.11.2026", "",           "2026/01/01"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(kap_date_parse(kap_span_str(wrong[i]), &date), KAP_E_INVALID, "%s", wrong[i]);
}

Test(clock, wall_times_skipped_and_doubled_follow_rfc_5545)
{
    int32_t half_past_three = 3 * 3600000 + 1800000;
    cr_assert_eq(kap_local_ms(KAP_ZONE_HELSINKI, day(2026, 3, 29), half_past_three),
                 at("2026-03-29T01:30:00Z")); /* skipped: the offset before, +02:00 */
    cr_assert_eq(kap_local_ms(KAP_ZONE_HELSINKI, day(2026, 10, 25), half_past_three),
                 at("2026-10-25T00:30:00Z")); /* doubled: the first, still +03:00 */
    cr_assert_eq(kap_local_ms(KAP_ZONE_HELSINKI, day(2026, 3, 29), 9 * 3600000),
                 at("2026-03-29T06:00:00Z"));
    cr_assert_eq(kap_local_ms(KAP_ZONE_HELSINKI, day(2026, 10, 25), 9 * 3600000),
                 at("2026-10-25T07:00:00Z"));
    cr_assert_eq(kap_zone_offset_ms(KAP_ZONE_HELSINKI, at("2026-03-29T00:59:59.999Z")),
                 2 * KAP_HOUR_MS);
    cr_assert_eq(kap_zone_offset_ms(KAP_ZONE_HELSINKI, at("2026-03-29T01:00:00Z")),
                 3 * KAP_HOUR_MS);
}

Test(clock, takes_the_forms_of_rfc_3339_and_xs_datetime)
{
    bool had = false;
    int64_t ms = 0;
    cr_assert_eq(at("2026-11-21T20:24:01.123Z"), INT64_C(1795292641123));
    cr_assert_eq(at("2026-11-21 20:24:01.123456789Z"), INT64_C(1795292641123));
    cr_assert_eq(at("2026-11-21T22:24:01.1+02:00"), INT64_C(1795292641100));
    cr_assert_eq(at("2026-11-21T15:54:01-04:30"), INT64_C(1795292641000));
    cr_assert_eq(at("2026-11-21T22:24:01"), INT64_C(1795292641000));
    cr_assert_eq(at("2026-11-20T24:00:00Z"), at("2026-11-21T00:00:00Z"));
    cr_assert_eq(at("2026-10-24T24:00:00"), at("2026-10-24T21:00:00Z"));
    cr_assert_eq(at("1969-12-31T23:59:59.999Z"), -1);
    cr_assert_eq(kap_time_parse(KAP_SPAN("2026-11-21T20:24:01"), KAP_ZONE_UTC, &ms, &had), KAP_OK);
    cr_assert_not(had);
    cr_assert_eq(ms, INT64_C(1795292641000));
    cr_assert_eq(kap_time_parse(KAP_SPAN("2026-11-21T20:24:01Z"), KAP_ZONE_UTC, &ms, &had), KAP_OK);
    cr_assert(had);
}

Test(clock, refuses_times_that_do_not_exist)
{
    static const char *const wrong[] = {"2026-02-30T10:00:00Z",
                                        "2026-01-01T24:61:00Z",
                                        "2026-01-01T24:00:01Z",
                                        "2026-01-01T24:00:00.0001Z",
                                        "2026-01-01T23:60:00Z",
                                        "2026-01-01T23:59:60Z",
                                        "2026-01-01T25:00:00Z",
                                        "2026-01-01T10:00Z",
                                        "2026-01-01",
                                        "2026-01-01T10:00:00.Z",
                                        "2026-01-01T10:00:00z",
                                        "2026-01-01T10:00:00+0200",
                                        "2026-01-01T10:00:00+14:01",
                                        "2026-01-01T10:00:00+02:60",
                                        "2026-01-01  10:00:00Z",
                                        "2026-01-01T10:00:00Z ",
                                        "",
                                        "2026-01-01T10:00:00,5Z"};
    int64_t ms = 42;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(kap_time_parse(kap_span_str(wrong[i]), KAP_ZONE_UTC, &ms, NULL), KAP_E_INVALID,
                     "%s", wrong[i]);
    cr_assert_eq(ms, 42, "the output is untouched");
}

Test(clock, shows_people_local_time)
{
    char text[KAP_TIME_TEXT];
    kap_time_format_local(at("2026-11-21T20:24:01.123Z"), text);
    cr_assert_str_eq(text, "21.11.2026 22:24");
    kap_time_format_local(at("2026-06-30T21:05:00Z"), text);
    cr_assert_str_eq(text, "1.7.2026 00:05");
    kap_time_format_utc(INT64_C(1795292641123), text);
    cr_assert_str_eq(text, "2026-11-21T20:24:01.123Z");
}

Test(clock, a_virtual_clock_stands_still_until_set)
{
    kap_clock_t *clock = kap_clock_virtual_new(5);
    cr_assert_eq(kap_clock_now_ms(clock), 5);
    kap_clock_virtual_set(clock, 77);
    cr_assert_eq(kap_clock_now_ms(clock), 77);
    kap_clock_destroy(&clock);
    cr_assert_null(clock);
    int64_t before = kap_monotonic_ms();
    cr_assert_geq(kap_monotonic_ms(), before);
    cr_assert_gt(kap_clock_now_ms(kap_clock_system()), INT64_C(1700000000000));
}

Test(clock, a_file_clock_is_seen_by_all_who_map_it)
{
    char path[] = "/tmp/kapula-clock-XXXXXX";
    int fd = mkstemp(path);
    kap_clock_t *driver = NULL, *reader = NULL;
    cr_assert_eq(kap_clock_file_open(path, &reader), KAP_E_INVALID, "an empty file is no clock");
    cr_assert_eq(kap_clock_file_create(path, 1000, &driver), KAP_OK);
    cr_assert_eq(kap_clock_file_open(path, &reader), KAP_OK);
    cr_assert_eq(kap_clock_now_ms(reader), 1000);
    kap_clock_file_set(driver, INT64_C(1795292641123));
    cr_assert_eq(kap_clock_now_ms(reader), INT64_C(1795292641123));
    uint8_t bytes[8];
    cr_assert_eq(read(fd, bytes, sizeof bytes), 8);
    cr_assert_eq(bytes[7], 1795292641123 & 0xff, "big-endian in the file");
    kap_clock_destroy(&driver);
    kap_clock_destroy(&reader);
    close(fd);
    unlink(path);
    cr_assert_eq(kap_clock_file_open(path, &reader), KAP_E_NOTFOUND);
}
