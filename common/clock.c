/* SPDX-License-Identifier: MPL-2.0 */
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "be.h"
#include "err.h"

/* --- the zone: a table of day starts --- */

enum { FIRST_YEAR = 1990, LAST_YEAR = 2080, TABLE_DAYS = 33240, DAYS_1990 = 7305 };

static struct {
    pthread_once_t once;
    int err;
    int32_t days;                /* in the table */
    int16_t minutes[TABLE_DAYS]; /* offset at the start of the local day, days from 1990-01-01 */
} helsinki = {.once = PTHREAD_ONCE_INIT};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Offset by the C library, any year. */
static int64_t slow_offset_ms(int64_t at_ms)
{
    time_t seconds = (time_t)floor_div(at_ms, KAP_SECOND_MS);
    struct tm tm;
    KAP_CHECK(localtime_r(&seconds, &tm));
    return (int64_t)tm.tm_gmtoff * KAP_SECOND_MS;
}

/* The first instant whose wall time is not before midnight, whether midnight exists once, twice (as
 * on 4 October 1942) or not at all. */
static int64_t slow_day_start_ms(int32_t days)
{
    int64_t wall = days * KAP_DAY_MS;
    int64_t before = slow_offset_ms(wall - KAP_DAY_MS), after = slow_offset_ms(wall + KAP_DAY_MS);
    int64_t high = before > after ? before : after, low = before > after ? after : before;
    return slow_offset_ms(wall - high) == high ? wall - high : wall - low;
}

/* Offset at the start of a local day. Years before standard time have seconds in it; the table's
 * have whole minutes. */
static int64_t day_offset_ms(int32_t days)
{
    return days * KAP_DAY_MS - slow_day_start_ms(days);
}

/* The days from..to - 1, with the offsets at from and to. A span of at most a quarter has one clock
 * change or none: halved until its ends agree. */
static void fill(int32_t from, int64_t first, int32_t to, int64_t last)
{
    if (first != last && to - from > 1) {
        int32_t middle = from + (to - from) / 2;
        int64_t offset = day_offset_ms(middle);
        fill(from, first, middle, offset);
        fill(middle, offset, to, last);
        return;
    }
    for (int32_t day = from; day < to; day++)
        helsinki.minutes[day - DAYS_1990] = (int16_t)(first / KAP_MINUTE_MS);
}

static void init_zone(void)
{
    helsinki.err = KAP_E_CONFIG;
    if (setenv("TZ", "Europe/Helsinki", 1) != 0)
        return;
    tzset();
    /* Without zone data the C library says UTC: 2020-01-15 is +02:00, 2020-07-15 is +03:00. */
    if (slow_offset_ms(INT64_C(1579089600000)) != 2 * KAP_HOUR_MS ||
        slow_offset_ms(INT64_C(1594814400000)) != 3 * KAP_HOUR_MS)
        return;
    int32_t from = DAYS_1990;
    int64_t first = day_offset_ms(from);
    for (int quarter = 1; quarter <= (LAST_YEAR - FIRST_YEAR + 1) * 4; quarter++) {
        kap_date_t next = {(int16_t)(FIRST_YEAR + quarter / 4), (int8_t)(quarter % 4 * 3 + 1), 1};
        int32_t to = kap_date_days(next);
        int64_t last = day_offset_ms(to);
        fill(from, first, to, last);
        from = to;
        first = last;
    }
    helsinki.days = from - DAYS_1990;
    helsinki.err = KAP_OK;
}

int kap_clock_init_zone(void)
{
    pthread_once(&helsinki.once, init_zone);
    return helsinki.err;
}

static void need_zone(void)
{
    pthread_once(&helsinki.once, init_zone);
    KAP_CHECK(helsinki.err == KAP_OK);
}

/* --- clocks --- */

struct kap_clock {
    enum { SYSTEM, VIRTUAL, FILE_READ, FILE_SET } kind;
    _Atomic int64_t now_ms;      /* VIRTUAL */
    _Atomic uint64_t *mapped_be; /* FILE_*: big-endian in memory */
};

static const struct kap_clock system_clock = {.kind = SYSTEM};

const kap_clock_t *kap_clock_system(void)
{
    return &system_clock;
}

kap_clock_t *kap_clock_virtual_new(int64_t start_ms)
{
    kap_clock_t *clock = calloc(1, sizeof *clock);
    if (clock) {
        clock->kind = VIRTUAL;
        atomic_init(&clock->now_ms, start_ms);
    }
    return clock;
}

void kap_clock_virtual_set(kap_clock_t *clock, int64_t now_ms)
{
    KAP_CHECK(clock->kind == VIRTUAL);
    atomic_store(&clock->now_ms, now_ms);
}

static int map_clock(int fd, bool set, kap_clock_t **out)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return kap_err_of_errno(errno);
    if (!S_ISREG(stat.st_mode) || stat.st_size != sizeof(uint64_t))
        return KAP_E_INVALID;
    kap_clock_t *clock = calloc(1, sizeof *clock);
    if (!clock)
        return KAP_E_NOMEM;
    int protection = set ? PROT_READ | PROT_WRITE : PROT_READ;
    void *mapped = mmap(NULL, sizeof(uint64_t), protection, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        int err = kap_err_of_errno(errno);
        free(clock);
        return err;
    }
    clock->kind = set ? FILE_SET : FILE_READ;
    clock->mapped_be = mapped;
    *out = clock;
    return KAP_OK;
}

int kap_clock_file_open(const char *path, kap_clock_t **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kap_err_of_errno(errno);
    int err = map_clock(fd, false, out);
    close(fd);
    return err;
}

int kap_clock_file_create(const char *path, int64_t start_ms, kap_clock_t **out)
{
    uint8_t bytes[8];
    kap_be_put_u64(bytes, (uint64_t)start_ms);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return kap_err_of_errno(errno);
    int err = KAP_OK;
    if (pwrite(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
        ftruncate(fd, sizeof bytes) != 0)
        err = errno ? kap_err_of_errno(errno) : KAP_E_IO;
    if (err == KAP_OK)
        err = map_clock(fd, true, out);
    close(fd);
    return err;
}

void kap_clock_file_set(kap_clock_t *clock, int64_t now_ms)
{
    KAP_CHECK(clock->kind == FILE_SET);
    uint64_t value;
    kap_be_put_u64((uint8_t *)&value, (uint64_t)now_ms);
    atomic_store(clock->mapped_be, value);
}

void kap_clock_destroy(kap_clock_t **clock)
{
    if (!*clock)
        return;
    KAP_CHECK((*clock)->kind != SYSTEM);
    if ((*clock)->mapped_be)
        munmap((void *)(*clock)->mapped_be, sizeof(uint64_t));
    free(*clock);
    *clock = NULL;
}

static int64_t read_clock_ms(clockid_t id)
{
    struct timespec now;
    KAP_CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * KAP_SECOND_MS + now.tv_nsec / 1000000;
}

int64_t kap_clock_now_ms(const kap_clock_t *clock)
{
    if (clock->kind == SYSTEM)
        return read_clock_ms(CLOCK_REALTIME);
    if (clock->kind == VIRTUAL)
        return atomic_load(&((kap_clock_t *)clock)->now_ms);
    uint64_t value = atomic_load(clock->mapped_be);
    return (int64_t)kap_be_get_u64((const uint8_t *)&value);
}

int64_t kap_monotonic_ms(void)
{
    return read_clock_ms(CLOCK_MONOTONIC);
}

/* --- dates --- */

enum { DAYS_MIN = -719162, DAYS_MAX = 2932896 }; /* 0001-01-01, 9999-12-31 */

static int month_days(int year, int month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool kap_date_valid(kap_date_t date)
{
    return date.year >= 1 && date.year <= 9999 && date.month >= 1 && date.month <= 12 &&
           date.day >= 1 && date.day <= month_days(date.year, date.month);
}

/* Years are counted from March, in eras of 400 years (Hinnant, "chrono-compatible low-level date
 * algorithms"). */
int32_t kap_date_days(kap_date_t date)
{
    int32_t year = date.year - (date.month <= 2);
    int32_t era = (year >= 0 ? year : year - 399) / 400;
    int32_t of_era = year - era * 400;
    int32_t of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

kap_date_t kap_date_of_days(int32_t days)
{
    int32_t z = days + 719468;
    int32_t era = (z >= 0 ? z : z - 146096) / 146097;
    int32_t of_era = z - era * 146097;
    int32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int32_t month = (5 * of_year + 2) / 153;
    int32_t day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    return (kap_date_t){(int16_t)(year + era * 400 + (month <= 2)), (int8_t)month, (int8_t)day};
}

kap_date_t kap_date_add(kap_date_t date, int32_t days)
{
    int64_t sum = (int64_t)kap_date_days(date) + days;
    sum = sum < DAYS_MIN ? DAYS_MIN : sum > DAYS_MAX ? DAYS_MAX : sum;
    return kap_date_of_days((int32_t)sum);
}

int kap_date_cmp(kap_date_t a, kap_date_t b)
{
    if (a.year != b.year)
        return a.year - b.year;
    if (a.month != b.month)
        return a.month - b.month;
    return a.day - b.day;
}

int kap_date_weekday(kap_date_t date)
{
    int32_t days = (kap_date_days(date) + 3) % 7; /* 1970-01-01 was a Thursday */
    return (days < 0 ? days + 7 : days) + 1;
}

/* n digits at `at` of the text; -1 when there are none. */
static int digits(kap_span_t text, size_t at, size_t n)
{
    if (at + n > text.size)
        return -1;
    int value = 0;
    for (size_t i = at; i < at + n; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static bool is_at(kap_span_t text, size_t at, char c)
{
    return at < text.size && text.data[at] == (uint8_t)c;
}

int kap_date_parse(kap_span_t text, kap_date_t *date)
{
    int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    if (text.size != 10 || !is_at(text, 4, '-') || !is_at(text, 7, '-') || year < 0 || month < 0 ||
        day < 0)
        return KAP_E_INVALID;
    kap_date_t parsed = {(int16_t)year, (int8_t)month, (int8_t)day};
    if (!kap_date_valid(parsed))
        return KAP_E_INVALID;
    *date = parsed;
    return KAP_OK;
}

void kap_date_format(kap_date_t date, char out[KAP_TIME_TEXT])
{
    snprintf(out, KAP_TIME_TEXT, "%04d-%02d-%02d", date.year, date.month, date.day);
}

/* --- days and zones --- */

int64_t kap_days_start_ms(kap_zone_t zone, int32_t days)
{
    if (zone == KAP_ZONE_UTC)
        return days * KAP_DAY_MS;
    need_zone();
    int32_t index = days - DAYS_1990;
    if (index >= 0 && index < helsinki.days)
        return days * KAP_DAY_MS - helsinki.minutes[index] * KAP_MINUTE_MS;
    return slow_day_start_ms(days);
}

static int64_t clamp_time(int64_t at_ms)
{
    return at_ms < KAP_TIME_MIN ? KAP_TIME_MIN : at_ms > KAP_TIME_MAX ? KAP_TIME_MAX : at_ms;
}

/* The local day of an instant, as days since 1970-01-01. */
static int32_t local_days(kap_zone_t zone, int64_t at_ms)
{
    int32_t days = (int32_t)floor_div(at_ms, KAP_DAY_MS);
    if (zone == KAP_ZONE_UTC)
        return days;
    /* Helsinki is east of UTC by less than a day: today by UTC, or the next day. */
    return at_ms >= kap_days_start_ms(zone, days + 1) ? days + 1 : days;
}

int32_t kap_days_of(kap_zone_t zone, int64_t at_ms)
{
    return local_days(zone, clamp_time(at_ms));
}

int64_t kap_day_start_ms(kap_zone_t zone, kap_date_t date)
{
    return kap_days_start_ms(zone, kap_date_days(date));
}

int64_t kap_day_end_ms(kap_zone_t zone, kap_date_t date)
{
    return kap_days_start_ms(zone, kap_date_days(date) + 1);
}

kap_date_t kap_date_of(kap_zone_t zone, int64_t at_ms)
{
    int32_t days = kap_days_of(zone, at_ms);
    return kap_date_of_days(days > DAYS_MAX ? DAYS_MAX : days);
}

int64_t kap_zone_offset_ms(kap_zone_t zone, int64_t at_ms)
{
    if (zone == KAP_ZONE_UTC)
        return 0;
    at_ms = clamp_time(at_ms);
    int32_t days = local_days(zone, at_ms);
    int32_t index = days - DAYS_1990;
    if (index >= 0 && index + 1 < helsinki.days &&
        helsinki.minutes[index] == helsinki.minutes[index + 1])
        return helsinki.minutes[index] * KAP_MINUTE_MS;
    return slow_offset_ms(at_ms);
}

int64_t kap_local_ms(kap_zone_t zone, kap_date_t date, int32_t time_of_day_ms)
{
    int64_t wall = kap_date_days(date) * KAP_DAY_MS + time_of_day_ms;
    int64_t before = kap_zone_offset_ms(zone, kap_day_start_ms(zone, date));
    int64_t early = wall - before;
    int64_t after = kap_zone_offset_ms(zone, early);
    if (after == before)
        return early;
    /* A change lies between the day's start and here: the later offset, unless the clocks skipped
     * it. */
    int64_t late = wall - after;
    return kap_zone_offset_ms(zone, late) == after ? late : early;
}

/* --- times as text --- */

/* The zone at the end: 'Z', an offset, or nothing. */
static int parse_zone(kap_span_t rest, bool *had_zone, int64_t *offset_ms)
{
    *had_zone = rest.size > 0;
    *offset_ms = 0;
    if (rest.size == 0 || (rest.size == 1 && rest.data[0] == 'Z'))
        return KAP_OK;
    int hours = digits(rest, 1, 2), minutes = digits(rest, 4, 2);
    bool signed_ = is_at(rest, 0, '+') || is_at(rest, 0, '-');
    if (rest.size != 6 || !signed_ || !is_at(rest, 3, ':') || hours < 0 || minutes < 0 ||
        minutes > 59 || hours * 60 + minutes > 14 * 60)
        return KAP_E_INVALID;
    int64_t offset = (hours * 60 + minutes) * KAP_MINUTE_MS;
    *offset_ms = rest.data[0] == '-' ? -offset : offset;
    return KAP_OK;
}

/* hh:mm:ss and a fraction at `at`; *end behind it. */
static int parse_wall(kap_span_t text, size_t at, int64_t *of_day_ms, size_t *end)
{
    int hour = digits(text, at, 2), minute = digits(text, at + 3, 2);
    int second = digits(text, at + 6, 2);
    if (hour < 0 || minute < 0 || second < 0 || !is_at(text, at + 2, ':') ||
        !is_at(text, at + 5, ':') || hour > 24 || minute > 59 || second > 59)
        return KAP_E_INVALID;
    int64_t ms = 0;
    bool rest = false; /* any digit of the fraction that is not 0 */
    at += 8;
    if (is_at(text, at, '.')) {
        size_t first = ++at;
        for (int64_t unit = 100; digits(text, at, 1) >= 0; unit /= 10, at++) {
            ms += unit * digits(text, at, 1);
            rest |= digits(text, at, 1) > 0;
        }
        if (at == first)
            return KAP_E_INVALID;
    }
    if (hour == 24 && (minute || second || rest))
        return KAP_E_INVALID;
    *of_day_ms = hour * KAP_HOUR_MS + minute * KAP_MINUTE_MS + second * KAP_SECOND_MS + ms;
    *end = at;
    return KAP_OK;
}

int kap_time_parse(kap_span_t text, kap_zone_t zone_when_none, int64_t *at_ms, bool *had_zone)
{
    kap_date_t date;
    int64_t of_day, offset;
    size_t end;
    bool had;
    if (kap_date_parse(kap_span_sub(text, 0, 10), &date) != KAP_OK ||
        !(is_at(text, 10, 'T') || is_at(text, 10, ' ')) ||
        parse_wall(text, 11, &of_day, &end) != KAP_OK ||
        parse_zone(kap_span_sub(text, end, SIZE_MAX), &had, &offset) != KAP_OK)
        return KAP_E_INVALID;
    int64_t at;
    if (had)
        at = kap_date_days(date) * KAP_DAY_MS + of_day - offset;
    else if (of_day == KAP_DAY_MS)
        at = kap_days_start_ms(zone_when_none, kap_date_days(date) + 1);
    else
        at = kap_local_ms(zone_when_none, date, (int32_t)of_day);
    *at_ms = at;
    if (had_zone)
        *had_zone = had;
    return KAP_OK;
}

/* Cut to their digits, so that the compiler sees that the text fits. */
static unsigned two(int64_t value)
{
    return (unsigned)(value % 100);
}

void kap_time_format_utc(int64_t at_ms, char out[KAP_TIME_TEXT])
{
    at_ms = clamp_time(at_ms);
    int64_t days = floor_div(at_ms, KAP_DAY_MS), ms = at_ms - days * KAP_DAY_MS;
    kap_date_t date = kap_date_of_days((int32_t)days);
    snprintf(out, KAP_TIME_TEXT, "%04d-%02d-%02dT%02u:%02u:%02u.%03uZ", date.year, date.month,
             date.day, two(ms / KAP_HOUR_MS), two(ms / KAP_MINUTE_MS % 60),
             two(ms / KAP_SECOND_MS % 60), (unsigned)(ms % 1000));
}

void kap_time_format_local(int64_t at_ms, char out[KAP_TIME_TEXT])
{
    at_ms = clamp_time(at_ms);
    int64_t wall = clamp_time(at_ms + kap_zone_offset_ms(KAP_ZONE_HELSINKI, at_ms));
    int64_t days = floor_div(wall, KAP_DAY_MS), ms = wall - days * KAP_DAY_MS;
    kap_date_t date = kap_date_of_days((int32_t)days);
    snprintf(out, KAP_TIME_TEXT, "%d.%d.%04d %02u:%02u", date.day, date.month, date.year,
             two(ms / KAP_HOUR_MS), two(ms / KAP_MINUTE_MS % 60));
}
