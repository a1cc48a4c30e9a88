/* SPDX-License-Identifier: MPL-2.0 */
#include "recurrence.h"

#include <libical/ical.h>

#include "err.h"

enum { RULE_BYTES = 500, WALK_MAX = 20000, COUNT_MAX = 1000 };

typedef enum { DAILY, WEEKLY, MONTHLY, YEARLY, FREQUENCIES } freq_t;

static const struct {
    const char *word;
    int interval_max;
} freqs[FREQUENCIES] = {{"DAILY", 99}, {"WEEKLY", 52}, {"MONTHLY", 11}, {"YEARLY", 10}};

typedef enum {
    FREQ,
    INTERVAL,
    COUNT,
    UNTIL,
    BYDAY,
    BYMONTHDAY,
    BYMONTH,
    BYSETPOS,
    WKST,
    PARTS
} part_t;

static const char *const part_words[PARTS] = {
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"};

/* What the rules of safety need to know of an RRULE. */
typedef struct {
    bool has[PARTS];
    int freq;
    int64_t interval;
    bool numbered;     /* BYDAY has a number: 2TU */
    int64_t late_days; /* largest of BYMONTHDAY, without sign */
    unsigned months;   /* bit 1 January ... */
    unsigned days;     /* bit 1 .. bit 31, counted from either end */
} rule_t;

/* The part of *rest before the separator; *rest behind it. */
static kap_span_t next_token(kap_span_t *rest, char separator)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] != (uint8_t)separator)
        size++;
    kap_span_t token = kap_span(rest->data, size);
    *rest = kap_span_sub(*rest, size + 1, SIZE_MAX);
    return token;
}

static bool int_between(kap_span_t text, int64_t min, int64_t max, int64_t *value)
{
    if (text.size && text.data[0] == '+')
        text = kap_span_sub(text, 1, SIZE_MAX);
    return kap_span_int(text, value) && *value >= min && *value <= max;
}

static bool is_weekday(kap_span_t text)
{
    static const char *const words[] = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (kap_span_eq_str(text, words[i]))
            return true;
    }
    return false;
}

static const char *take_weekday(rule_t *rule, kap_span_t item)
{
    int64_t number = 0;
    kap_span_t day = kap_span_sub(item, item.size < 2 ? 0 : item.size - 2, 2);
    if (!is_weekday(day))
        return "BYDAY wants days like MO, 2TU or -1FR";
    if (item.size > 2) {
        if (!int_between(kap_span(item.data, item.size - 2), -4, 4, &number) || number == 0)
            return "BYDAY counts weekdays 1 to 4 or -1 to -4, like 2TU or -1FR";
        rule->numbered = true;
    }
    return NULL;
}

static const char *take_item(rule_t *rule, part_t part, kap_span_t item)
{
    int64_t number = 0;
    switch (part) {
    case BYDAY:
        return take_weekday(rule, item);
    case BYMONTHDAY:
        if (!int_between(item, -31, 31, &number) || number == 0)
            return "BYMONTHDAY wants days 1 to 31 or -1 to -31";
        number = number < 0 ? -number : number;
        rule->late_days = number > rule->late_days ? number : rule->late_days;
        rule->days |= 1u << number;
        return NULL;
    case BYMONTH:
        if (!int_between(item, 1, 12, &number))
            return "BYMONTH wants months 1 to 12";
        rule->months |= 1u << number;
        return NULL;
    default:
        if (!int_between(item, -4, 4, &number) || number == 0)
            return "BYSETPOS wants 1 to 4 or -1 to -4";
        return NULL;
    }
}

/* "20261231" or "20261231T235959" with or without Z. */
static bool until_form(kap_span_t text)
{
    static const char form[] = "########T######Z";
    if (text.size != 8 && text.size != 15 && text.size != 16)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        bool digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (form[i] == '#' ? !digit : text.data[i] != (uint8_t)form[i])
            return false;
    }
    kap_date_t date;
    uint8_t dashed[10] = {[4] = '-', [7] = '-'};
    memcpy(dashed, text.data, 4);
    memcpy(dashed + 5, text.data + 4, 2);
    memcpy(dashed + 8, text.data + 6, 2);
    return kap_date_parse(kap_span(dashed, sizeof dashed), &date) == KAP_OK;
}

static const char *take_freq(rule_t *rule, kap_span_t value)
{
    for (rule->freq = 0; rule->freq < FREQUENCIES; rule->freq++) {
        if (kap_span_eq_str(value, freqs[rule->freq].word))
            return NULL;
    }
    return "FREQ wants DAILY, WEEKLY, MONTHLY or YEARLY";
}

static const char *take_part(rule_t *rule, part_t part, kap_span_t value)
{
    int64_t number;
    switch (part) {
    case FREQ:
        return take_freq(rule, value);
    case INTERVAL:
        return int_between(value, 1, 99, &rule->interval) ? NULL : "INTERVAL wants 1 to 99";
    case COUNT:
        return int_between(value, 1, COUNT_MAX, &number) ? NULL : "COUNT wants 1 to 1000";
    case UNTIL:
        return until_form(value) ? NULL : "UNTIL wants a day like 20261231 or 20261231T235959Z";
    case WKST:
        return is_weekday(value) ? NULL : "WKST wants a day like MO";
    default:
        break;
    }
    const char *why = value.size ? NULL : "an empty list";
    while (!why && value.size)
        why = take_item(rule, part, next_token(&value, ','));
    return why;
}

static const char *parse_rule(kap_span_t text, rule_t *rule)
{
    *rule = (rule_t){.interval = 1, .freq = FREQUENCIES};
    if (text.size == 0 || text.size > RULE_BYTES)
        return "a rule has 1 to 500 bytes, like FREQ=MONTHLY;BYDAY=2TU";
    while (text.size) {
        kap_span_t value = next_token(&text, ';'), key = next_token(&value, '=');
        int part = 0;
        while (part < PARTS && !kap_span_eq_str(key, part_words[part]))
            part++;
        if (part == PARTS)
            return "only FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS and "
                   "WKST "
                   "are taken";
        if (rule->has[part])
            return "each part stands once";
        rule->has[part] = true;
        const char *why = take_part(rule, (part_t)part, value);
        if (why)
            return why;
    }
    return rule->has[FREQ] ? NULL : "FREQ is missing, like FREQ=WEEKLY";
}

/* True when some month of the rule has some day of it in every year. */
static bool day_exists(const rule_t *rule)
{
    static const int8_t lengths[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 1; month <= 12; month++) {
        unsigned days = (UINT32_C(0xffffffff) >> (31 - lengths[month])) & ~1u;
        if ((rule->months & 1u << month) && (rule->days & days))
            return true;
    }
    return false;
}

/* The rules of the header: what passes always has a next day. */
static const char *why_unsafe(const rule_t *rule)
{
    const bool *has = rule->has;
    bool by_any = has[BYDAY] || has[BYMONTH];
    if (rule->interval > freqs[rule->freq].interval_max)
        return "INTERVAL is at most 99 days, 52 weeks, 11 months or 10 years";
    if (has[COUNT] && has[UNTIL])
        return "COUNT or UNTIL, not both";
    if (has[BYDAY] && has[BYMONTHDAY])
        return "BYDAY or BYMONTHDAY, not both";
    if (rule->freq == DAILY && by_any && rule->interval != 1)
        return "DAILY with BYDAY or BYMONTH goes with INTERVAL=1 only";
    if (rule->freq != YEARLY && has[BYMONTH] && rule->interval != 1)
        return "BYMONTH goes with INTERVAL=1 only, or write FREQ=YEARLY";
    if ((rule->freq == DAILY || rule->freq == WEEKLY) &&
        (has[BYMONTHDAY] || has[BYSETPOS] || rule->numbered))
        return "BYMONTHDAY, BYSETPOS and numbered days go with MONTHLY and YEARLY only";
    if (rule->freq == YEARLY && !has[BYMONTH] && (has[BYDAY] || has[BYMONTHDAY]))
        return "YEARLY with days wants BYMONTH too";
    if (rule->freq == MONTHLY && has[BYMONTH] && rule->late_days > 28)
        return "MONTHLY with BYMONTH takes days 1 to 28, or write FREQ=YEARLY";
    if (rule->freq >= MONTHLY && has[BYMONTH] && !has[BYDAY] && !has[BYMONTHDAY])
        return "BYMONTH wants BYDAY or BYMONTHDAY too";
    if (rule->freq == YEARLY && has[BYMONTHDAY] && !day_exists(rule))
        return "no month of BYMONTH has such a day in every year";
    if (has[BYSETPOS] && (!has[BYDAY] || rule->numbered))
        return "BYSETPOS goes with BYDAY without numbers, like BYDAY=MO,TU;BYSETPOS=1";
    return NULL;
}

int kap_recurrence_check(const char *rrule, kap_buf_t *why)
{
    rule_t rule;
    const char *wrong = parse_rule(kap_span_str(rrule), &rule);
    if (!wrong)
        wrong = why_unsafe(&rule);
    if (wrong && why)
        kap_buf_printf(why, "the repetition is not taken: %s", wrong);
    return wrong ? KAP_E_INVALID : KAP_OK;
}

static int64_t instant_of(struct icaltimetype t, kap_zone_t zone)
{
    kap_date_t date = {(int16_t)t.year, (int8_t)t.month, (int8_t)t.day};
    int32_t of_day = ((t.hour * 60 + t.minute) * 60 + t.second) * 1000;
    return kap_local_ms(zone, date, of_day);
}

static struct icaltimetype wall_of(kap_date_t date, int32_t time_of_day_ms)
{
    struct icaltimetype t = icaltime_null_time();
    int32_t seconds = time_of_day_ms / 1000;
    t.year = date.year;
    t.month = date.month;
    t.day = date.day;
    t.hour = seconds / 3600;
    t.minute = seconds / 60 % 60;
    t.second = seconds % 60;
    return t;
}

/* UNTIL as the last instant: a plain day counts whole. libical would compare it with local walls.
 */
static int64_t take_until(struct icalrecurrencetype *rule, kap_zone_t zone)
{
    struct icaltimetype until = rule->until;
    if (icaltime_is_null_time(until))
        return INT64_MAX;
    rule->until = icaltime_null_time();
    kap_date_t date = {(int16_t)until.year, (int8_t)until.month, (int8_t)until.day};
    if (until.is_date)
        return kap_day_end_ms(zone, date) - 1;
    return instant_of(until, icaltime_is_utc(until) ? KAP_ZONE_UTC : zone);
}

int kap_recurrence_expand(const char *rrule, kap_zone_t zone, kap_date_t first,
                          int32_t time_of_day_ms, int64_t from_ms, int64_t to_ms, int64_t out[],
                          size_t max, size_t *count)
{
    if (kap_recurrence_check(rrule, NULL) != KAP_OK || !kap_date_valid(first) ||
        time_of_day_ms < 0 || time_of_day_ms >= KAP_DAY_MS)
        return KAP_E_INVALID;
    struct icalrecurrencetype rule = icalrecurrencetype_from_string(rrule);
    if (rule.freq == ICAL_NO_RECURRENCE)
        return KAP_E_INVALID;
    int64_t until_ms = take_until(&rule, zone);
    icalrecur_iterator *iterator = icalrecur_iterator_new(rule, wall_of(first, time_of_day_ms));
    if (!iterator)
        return KAP_E_NOMEM;
    size_t n = 0;
    int err = KAP_OK;
    for (int walked = 0; err == KAP_OK; walked++) {
        struct icaltimetype t = icalrecur_iterator_next(iterator);
        if (icaltime_is_null_time(t))
            break;
        int64_t at = instant_of(t, zone);
        if (at >= to_ms || at > until_ms)
            break;
        if (walked == WALK_MAX || (at >= from_ms && n == max))
            err = KAP_E_LIMIT;
        else if (at >= from_ms)
            out[n++] = at;
    }
    icalrecur_iterator_free(iterator);
    *count = n;
    return err;
}
