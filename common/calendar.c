/* SPDX-License-Identifier: MPL-2.0 */
#include "calendar.h"

#include <pthread.h>

/* Working days are counted by sums: days before a year from a table, days before a date by
 * arithmetic and the year's list of off days. Years beyond the table are summed one by one. */
enum { FIRST_YEAR = 1900, YEARS = 300, OFF_DAYS = 11, START_HOUR = 8, END_HOUR = 16 };

typedef struct {
    int32_t first;         /* 1 January, days since 1970 */
    int32_t before;        /* working days from 1900-01-01 to it, negative before 1900 */
    int32_t count;         /* off days that are no weekend days */
    int32_t off[OFF_DAYS]; /* those, ascending, days since 1970 */
} year_t;

static struct {
    pthread_once_t once;
    year_t years[YEARS];
} table = {.once = PTHREAD_ONCE_INIT};

kap_date_t kap_calendar_easter(int year)
{
    /* Meeus, Jones, Butcher: the Gregorian computus without exceptions. */
    int a = year % 19, b = year / 100, c = year % 100;
    int g = (8 * b + 13) / 25;
    int h = (19 * a + b - b / 4 - g + 15) % 30;
    int l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    int m = (a + 11 * h + 19 * l) / 433;
    int month = (h + l - 7 * m + 90) / 25;
    int day = (h + l - 7 * m + 33 * month + 19) % 32;
    return (kap_date_t){(int16_t)year, (int8_t)month, (int8_t)day};
}

/* 0 Monday .. 6 Sunday. */
static int32_t weekday(int32_t days)
{
    int32_t day = (days + 3) % 7;
    return day < 0 ? day + 7 : day;
}

static int32_t days_of(int year, int month, int day)
{
    return kap_date_days((kap_date_t){(int16_t)year, (int8_t)month, (int8_t)day});
}

/* All off days of a year, ascending. */
static void off_days(int year, int32_t out[OFF_DAYS])
{
    int32_t easter = kap_date_days(kap_calendar_easter(year));
    int32_t june19 = days_of(year, 6, 19);
    int32_t may1 = days_of(year, 5, 1), ascension = easter + 39;
    out[0] = days_of(year, 1, 1);
    out[1] = days_of(year, 1, 6);
    out[2] = easter - 2;
    out[3] = easter + 1;
    out[4] = may1 < ascension ? may1 : ascension; /* Ascension is 30 April at the earliest */
    out[5] = may1 < ascension ? ascension : may1;
    out[6] = june19 + (4 - weekday(june19) + 7) % 7; /* the Friday of 19 to 25 June */
    out[7] = days_of(year, 12, 6);
    out[8] = days_of(year, 12, 24);
    out[9] = days_of(year, 12, 25);
    out[10] = days_of(year, 12, 26);
}

/* Mondays to Fridays in [a, b). */
static int32_t weekdays(int32_t a, int32_t b)
{
    int32_t weeks = (b - a) / 7, day = weekday(a), count = weeks * 5;
    for (int32_t i = (b - a) % 7; i > 0; i--, day = (day + 1) % 7)
        count += day < 5;
    return count;
}

static void make_year(int year, year_t *out)
{
    int32_t all[OFF_DAYS];
    off_days(year, all);
    *out = (year_t){.first = all[0]};
    for (int i = 0; i < OFF_DAYS; i++) {
        bool twice = i > 0 && all[i] == all[i - 1];
        if (weekday(all[i]) < 5 && !twice)
            out->off[out->count++] = all[i];
    }
}

static int32_t year_total(const year_t *year, int number)
{
    return weekdays(year->first, days_of(number + 1, 1, 1)) - year->count;
}

static void init_table(void)
{
    int32_t before = 0;
    for (int i = 0; i < YEARS; i++) {
        make_year(FIRST_YEAR + i, &table.years[i]);
        table.years[i].before = before;
        before += year_total(&table.years[i], FIRST_YEAR + i);
    }
}

/* The row of a year outside the table, made in *scratch. */
static const year_t *far_year(int number, year_t *scratch)
{
    int32_t before = 0;
    if (number < FIRST_YEAR) {
        for (int year = number; year < FIRST_YEAR; year++) {
            make_year(year, scratch);
            before -= year_total(scratch, year);
        }
    } else {
        before = table.years[YEARS - 1].before;
        for (int year = FIRST_YEAR + YEARS - 1; year < number; year++) {
            make_year(year, scratch);
            before += year_total(scratch, year);
        }
    }
    make_year(number, scratch);
    scratch->before = before;
    return scratch;
}

/* The row of the year a day lies in. Years of 365 days give the year or the next one. */
static const year_t *year_of(int32_t days, year_t *scratch)
{
    pthread_once(&table.once, init_table);
    if (days < table.years[0].first || days >= table.years[YEARS - 1].first)
        return far_year(kap_date_of_days(days).year, scratch);
    int32_t index = (days - table.years[0].first) / 365;
    while (table.years[index].first > days)
        index--;
    return &table.years[index];
}

/* Working days before a day since 1900-01-01, and whether it is one itself. */
static int32_t count_before(int32_t days, bool *working)
{
    year_t scratch;
    const year_t *year = year_of(days, &scratch);
    int32_t count = year->before + weekdays(year->first, days);
    *working = weekday(days) < 5;
    for (int i = 0; i < year->count && year->off[i] <= days; i++) {
        if (year->off[i] == days)
            *working = false;
        else
            count--;
    }
    return count;
}

bool kap_calendar_is_off_day(kap_date_t date)
{
    int32_t all[OFF_DAYS], days = kap_date_days(date);
    off_days(date.year, all);
    for (int i = 0; i < OFF_DAYS; i++) {
        if (all[i] == days)
            return true;
    }
    return false;
}

bool kap_calendar_is_working_day(kap_date_t date, const kap_closures_t *closures)
{
    bool working;
    count_before(kap_date_days(date), &working);
    for (size_t i = 0; working && closures && i < closures->count; i++) {
        const kap_closure_t *closure = &closures->items[i];
        working = kap_date_cmp(date, closure->first) < 0 || kap_date_cmp(date, closure->last) > 0;
    }
    return working;
}

int32_t kap_calendar_working_days(kap_date_t from, kap_date_t to, const kap_closures_t *closures)
{
    bool working;
    int32_t at = kap_date_days(from), end = kap_date_days(to);
    if (at >= end)
        return 0;
    int32_t count = count_before(end, &working) - count_before(at, &working);
    for (size_t i = 0; closures && i < closures->count && at < end; i++) {
        int32_t first = kap_date_days(closures->items[i].first);
        int32_t behind = kap_date_days(closures->items[i].last) + 1;
        first = first < at ? at : first;
        behind = behind > end ? end : behind;
        if (first >= behind)
            continue;
        count -= count_before(behind, &working) - count_before(first, &working);
        at = behind; /* what overlaps is taken off once */
    }
    return count;
}

/* Working time from 1900-01-01 to an instant, closures not regarded. The hours are counted back
 * from the next day's start, since clocks change before eight in the morning. */
static int64_t time_before(int64_t at_ms)
{
    bool working;
    int32_t days = kap_days_of(KAP_ZONE_HELSINKI, at_ms);
    int64_t sum = count_before(days, &working) * KAP_WORKING_DAY_MS;
    if (!working)
        return sum;
    int64_t end = kap_days_start_ms(KAP_ZONE_HELSINKI, days + 1);
    int64_t left = end - (24 - END_HOUR) * KAP_HOUR_MS - at_ms;
    int64_t full = (END_HOUR - START_HOUR) * KAP_HOUR_MS;
    return sum + full - (left < 0 ? 0 : left > full ? full : left);
}

int64_t kap_calendar_working_ms(int64_t from_ms, int64_t to_ms, const kap_closures_t *closures)
{
    if (to_ms <= from_ms)
        return 0;
    int64_t sum = time_before(to_ms) - time_before(from_ms);
    for (size_t i = 0; closures && i < closures->count && from_ms < to_ms; i++) {
        const kap_closure_t *closure = &closures->items[i];
        int64_t first = kap_day_start_ms(KAP_ZONE_HELSINKI, closure->first);
        if (first >= to_ms)
            break;
        int64_t behind = kap_day_end_ms(KAP_ZONE_HELSINKI, closure->last);
        first = first < from_ms ? from_ms : first;
        behind = behind > to_ms ? to_ms : behind;
        if (first >= behind)
            continue;
        sum -= time_before(behind) - time_before(first);
        from_ms = behind;
    }
    return sum;
}

/* The first day by whose end working_ms have passed; the last day there is when none. */
static int32_t day_reaching(int64_t from_ms, int64_t working_ms, const kap_closures_t *closures)
{
    int64_t weeks = working_ms / KAP_WORKING_DAY_MS / 5; /* that many are needed, but for 3 days */
    int32_t last = days_of(9999, 12, 31), low = kap_days_of(KAP_ZONE_HELSINKI, from_ms), high = low;
    if (weeks > 0 && weeks < (last - low) / 7)
        high = low += (int32_t)weeks * 7 - 3;
    for (int64_t step = 4; high < last; step *= 2) {
        high = step > last - low ? last : low + (int32_t)step;
        int64_t start = kap_days_start_ms(KAP_ZONE_HELSINKI, high);
        if (kap_calendar_working_ms(from_ms, start, closures) >= working_ms)
            break;
        low = high;
    }
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int64_t end = kap_days_start_ms(KAP_ZONE_HELSINKI, middle + 1);
        if (kap_calendar_working_ms(from_ms, end, closures) >= working_ms)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int64_t add_working_ms(int64_t from_ms, int64_t working_ms, const kap_closures_t *closures)
{
    int32_t day = day_reaching(from_ms, working_ms, closures);
    int64_t behind = kap_days_start_ms(KAP_ZONE_HELSINKI, day + 1);
    int64_t over = kap_calendar_working_ms(from_ms, behind, closures) - working_ms;
    if (over < 0)
        return KAP_TIME_MAX;
    return behind - (24 - END_HOUR) * KAP_HOUR_MS - over;
}

/* A batch of events asks the same question again and again (one commit time, one target): the last
 * answer is kept, a thread each. */
int64_t kap_calendar_add_working_ms(int64_t from_ms, int64_t working_ms,
                                    const kap_closures_t *closures)
{
    static _Thread_local int64_t last_from_ms, last_working_ms, last_answer; /* 0: none yet */

    if (working_ms <= 0)
        return from_ms;
    if (closures != NULL && closures->count > 0)
        return add_working_ms(from_ms, working_ms, closures);
    if (from_ms != last_from_ms || working_ms != last_working_ms) {
        last_answer = add_working_ms(from_ms, working_ms, NULL);
        last_from_ms = from_ms;
        last_working_ms = working_ms;
    }
    return last_answer;
}
