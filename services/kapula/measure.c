/* SPDX-License-Identifier: MPL-2.0 */
#include "measure.h"

#include <string.h>

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, WORKING_HOURS = 8, HOURS = 24 };

static bool ends_in_ms(kap_span_t key)
{
    return key.size > 3 && memcmp(key.data + key.size - 3, "_ms", 3) == 0;
}

kap_measure_form_t kap_measure_form(kap_span_t key, const kap_mp_t *value)
{
    if (!value)
        return KAP_MEASURE_NONE;
    switch (value->kind) {
    case KAP_MP_INT:
    case KAP_MP_UINT:
        return ends_in_ms(key) ? KAP_MEASURE_MS : KAP_MEASURE_COUNT;
    case KAP_MP_ARRAY:
        return KAP_MEASURE_LIST;
    case KAP_MP_MAP:
        return kap_mp_get(value, "den")                                     ? KAP_MEASURE_RATE
               : kap_mp_get(value, "p50_ms")                                ? KAP_MEASURE_TIME
               : kap_mp_get(value, "sum") || kap_mp_get(value, "sum_milli") ? KAP_MEASURE_MEAN
                                                                            : KAP_MEASURE_MAP;
    case KAP_MP_NIL:
        return KAP_MEASURE_NONE;
    default:
        return KAP_MEASURE_TEXT;
    }
}

void kap_measure_number(kap_lang_t lang, double value, int decimals, char out[KAP_MEASURE_BYTES])
{
    snprintf(out, KAP_MEASURE_BYTES, "%.*f", decimals, value);
    char *point = strchr(out, '.');
    if (point && lang != KAP_LANG_EN)
        *point = ',';
}

void kap_measure_duration(kap_lang_t lang, int64_t ms, bool elapsed, bool words,
                          char out[KAP_MEASURE_BYTES])
{
    static const char *const units[][3] =
        {/* by kap_lang_t: minutes, hours, days */
         {"min", "h", "pv"},
         {"min", "h", "d"},
         {"min", "h", "d"}},
                             *const worded[][3] = {{"min", "tuntia", "työpäivää"},
                                                   {"min", "timmar", "arbetsdagar"},
                                                   {"min", "hours", "working days"}},
                             *const elapsed_day[] = {"vuorokautta", "dygn", "days"};
    double hours = (double)ms / HOUR_MS, day = elapsed ? HOURS : WORKING_HOURS;
    int unit = hours < 1 ? 0 : hours < day ? 1 : 2;
    const char *name = !words                 ? units[lang][unit]
                       : unit == 2 && elapsed ? elapsed_day[lang]
                                              : worded[lang][unit];
    char number[KAP_MEASURE_BYTES];
    if (ms < 0) {
        snprintf(out, KAP_MEASURE_BYTES, "-");
        return;
    }
    kap_measure_number(lang,
                       unit == 0   ? (double)ms / MINUTE_MS
                       : unit == 1 ? hours
                                   : hours / day,
                       unit == 0 ? 0 : 1, number);
    snprintf(out, KAP_MEASURE_BYTES, "%.32s %s", number, name);
}

double kap_measure_percent(const kap_mp_t *rate)
{
    int64_t num = kap_mp_get_int(rate, "num", 0), den = kap_mp_get_int(rate, "den", 0);
    return den > 0 ? 100.0 * (double)num / (double)den : -1;
}

void kap_measure_rate(const kap_mp_t *rate, char out[KAP_MEASURE_BYTES])
{
    double percent = kap_measure_percent(rate);
    if (percent < 0)
        snprintf(out, KAP_MEASURE_BYTES, "-");
    else
        snprintf(out, KAP_MEASURE_BYTES, "%lld/%lld %3.0f %%",
                 (long long)kap_mp_get_int(rate, "num", 0),
                 (long long)kap_mp_get_int(rate, "den", 0), percent);
}

/* A mean comes as sum and n; the sum in thousandths where what is summed has decimals. */
static void mean_text(kap_lang_t lang, const kap_mp_t *mean, char out[KAP_MEASURE_BYTES])
{
    int64_t n = kap_mp_get_int(mean, "n", 0);
    double sum = kap_mp_get(mean, "sum_milli") ? (double)kap_mp_get_int(mean, "sum_milli", 0) / 1000
                                               : (double)kap_mp_get_int(mean, "sum", 0);
    if (n > 0)
        kap_measure_number(lang, sum / (double)n, 2, out);
    else
        snprintf(out, KAP_MEASURE_BYTES, "-");
}

void kap_measure_text(kap_cli_t *cli, kap_span_t key, const kap_mp_t *value, bool elapsed,
                      char out[KAP_SHOWN_BYTES])
{
    char text[KAP_MEASURE_BYTES] = "";
    kap_lang_t lang = kap_shown_lang(cli);
    out[0] = '\0';
    switch (kap_measure_form(key, value)) {
    case KAP_MEASURE_MS:
        kap_measure_duration(lang, value->i, elapsed, false, text);
        break;
    case KAP_MEASURE_RATE:
        kap_measure_rate(value, text);
        break;
    case KAP_MEASURE_MEAN:
        mean_text(lang, value, text);
        break;
    case KAP_MEASURE_TIME:
        kap_measure_duration(lang, kap_mp_get_int(value, "p50_ms", -1), elapsed, false, text);
        break;
    case KAP_MEASURE_COUNT:
    case KAP_MEASURE_TEXT:
        kap_shown_value(cli, key, value, out);
        return;
    default:
        return;
    }
    snprintf(out, KAP_SHOWN_BYTES, "%s", text);
}
