/* SPDX-License-Identifier: MPL-2.0 */
/* Clock, dates and times: where "now" comes from, and what a local day is.
 *
 * Instants are int64 milliseconds since 1970-01-01T00:00:00Z (leap seconds do not exist). A local
 * day of Helsinki is [kap_day_start_ms(d), kap_day_start_ms(d + 1)): 23, 24 or 25 hours, never
 * "+ 86,400,000". Dates are proleptic Gregorian, years 1..9999. Wall clocks never decide order
 * and never time anything out: kap_monotonic_ms does.
 * A program takes its time from one kap_clock_t that it is given: the system's, a virtual one
 * (tests), or a file's (rehearsal: all daemons of a mesh map the same file).
 * Any thread, after kap_clock_init_zone. */
#ifndef KAP_CLOCK_H
#define KAP_CLOCK_H

#include "span.h"

typedef struct kap_clock kap_clock_t;

typedef enum { KAP_ZONE_HELSINKI, KAP_ZONE_UTC } kap_zone_t;

typedef struct {
    int16_t year;
    int8_t month; /* 1..12 */
    int8_t day;   /* 1..31 */
} kap_date_t;

#define KAP_SECOND_MS INT64_C(1000)
#define KAP_MINUTE_MS INT64_C(60000)
#define KAP_HOUR_MS   INT64_C(3600000)
#define KAP_DAY_MS    INT64_C(86400000)        /* of UTC; a Helsinki day may be longer or shorter */
#define KAP_TIME_MIN  INT64_C(-62135596800000) /* 0001-01-01T00:00:00.000Z */
#define KAP_TIME_MAX  INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

enum { KAP_TIME_TEXT = 32 }; /* bytes that every format below fits in */

/* Sets TZ=Europe/Helsinki and builds the table of local days. Call it first thing in main, before
 * there are threads (setenv). KAP_E_CONFIG when the zone data is not installed (tzdata).
 * A function that needs the zone calls it by itself when main did not, and aborts on failure. */
int kap_clock_init_zone(void);

/* The system's clock, never destroyed. */
const kap_clock_t *kap_clock_system(void);

/* A clock that stands still until set; set and read from any thread. NULL when out of memory. */
kap_clock_t *kap_clock_virtual_new(int64_t start_ms);
void kap_clock_virtual_set(kap_clock_t *clock, int64_t now_ms);

/* A clock in a file of 8 bytes (ms, big-endian), mapped: reading is one load. Open reads (the
 * daemons), create makes or overwrites the file and may set it (the driver of a rehearsal).
 * KAP_E_NOTFOUND, KAP_E_IO, KAP_E_INVALID when the file is not 8 bytes, KAP_E_NOMEM. */
int kap_clock_file_open(const char *path, kap_clock_t **out);
int kap_clock_file_create(const char *path, int64_t start_ms, kap_clock_t **out);
void kap_clock_file_set(kap_clock_t *clock, int64_t now_ms);

/* Frees and nulls a virtual or file clock; leaves the file. *clock may be NULL. */
void kap_clock_destroy(kap_clock_t **clock);

int64_t kap_clock_now_ms(const kap_clock_t *clock);

/* Does not go back, does not jump; for timeouts and durations. Its zero means nothing. */
int64_t kap_monotonic_ms(void);

/* --- dates: pure --- */

bool kap_date_valid(kap_date_t date);

/* Days since 1970-01-01, negative before. */
int32_t kap_date_days(kap_date_t date);
kap_date_t kap_date_of_days(int32_t days);

/* `days` later, or earlier when negative. Leaving the years 1..9999 stops at their edge. */
kap_date_t kap_date_add(kap_date_t date, int32_t days);

/* < 0, 0, > 0. */
int kap_date_cmp(kap_date_t a, kap_date_t b);

/* 1 Monday .. 7 Sunday (ISO 8601). */
int kap_date_weekday(kap_date_t date);

/* Exactly "YYYY-MM-DD", a day that exists, else KAP_E_INVALID. */
int kap_date_parse(kap_span_t text, kap_date_t *date);

/* "2026-11-21". */
void kap_date_format(kap_date_t date, char out[KAP_TIME_TEXT]);

/* --- days and zones --- */

/* The local day of an instant as days since 1970-01-01, and such a day's first instant: the quick
 * forms for sums over days. */
int32_t kap_days_of(kap_zone_t zone, int64_t at_ms);
int64_t kap_days_start_ms(kap_zone_t zone, int32_t days);

/* The first instant of the local day. */
int64_t kap_day_start_ms(kap_zone_t zone, kap_date_t date);

/* The instant behind the local day: the next one's first. */
int64_t kap_day_end_ms(kap_zone_t zone, kap_date_t date);

/* The local day an instant lies in. Instants outside the years 1..9999 count as their edge. */
kap_date_t kap_date_of(kap_zone_t zone, int64_t at_ms);

/* Local time minus UTC at an instant, in ms: Helsinki 7,200,000 or 10,800,000 nowadays. */
int64_t kap_zone_offset_ms(kap_zone_t zone, int64_t at_ms);

/* Local wall time -> instant. time_of_day_ms: 0..86,399,999 on the wall. A time that exists twice
 * is its first; one that a clock change skips is read with the offset before it (RFC 5545 3.3.5).
 */
int64_t kap_local_ms(kap_zone_t zone, kap_date_t date, int32_t time_of_day_ms);

/* --- times as text --- */

/* RFC 3339 or xs:dateTime, the whole span: YYYY-MM-DD, 'T' or one space, hh:mm:ss, any number of
 * fraction digits after '.' (cut to ms), then 'Z', "+hh:mm", "-hh:mm" (up to 14:00) or nothing.
 * Nothing: read as local time of zone_when_none, *had_zone (may be NULL) false. 24:00:00 is the
 * next day's start (xs:dateTime). Days that do not exist, 24:61, a 61st second: KAP_E_INVALID. */
int kap_time_parse(kap_span_t text, kap_zone_t zone_when_none, int64_t *at_ms, bool *had_zone);

/* "2026-11-21T20:24:01.123Z"; outside the years 1..9999 its edge. */
void kap_time_format_utc(int64_t at_ms, char out[KAP_TIME_TEXT]);

/* For people, Helsinki: "21.11.2026 22:24". */
void kap_time_format_local(int64_t at_ms, char out[KAP_TIME_TEXT]);

#endif
