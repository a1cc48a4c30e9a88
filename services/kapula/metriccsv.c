/* SPDX-License-Identifier: MPL-2.0 */
/* An answer as CSV: ids and codes as they are, the parts of shares and times in columns of their
 * own. */
#include <string.h>

#include "measure.h"
#include "metricview.h"

static bool is_list(const kap_mp_t *value)
{
    return value && value->kind == KAP_MP_ARRAY;
}

static bool is_number(const kap_mp_t *value)
{
    return value && (value->kind == KAP_MP_INT || value->kind == KAP_MP_UINT);
}

static const char
    *const time_parts[] = {"n", "p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms", NULL},
           *const rate_parts[] = {"num", "den", NULL}, *const mean_parts[] = {"sum", "n", NULL};

static const char *const *parts_of(kap_measure_form_t form)
{
    return form == KAP_MEASURE_TIME   ? time_parts
           : form == KAP_MEASURE_RATE ? rate_parts
           : form == KAP_MEASURE_MEAN ? mean_parts
                                      : NULL;
}

static void csv_cell(const kap_mp_t *value, bool last)
{
    char text[32] = "";
    kap_span_t span = kap_span_str(text);
    if (is_number(value)) {
        snprintf(text, sizeof text, "%lld", (long long)value->i);
        span = kap_span_str(text);
    } else if (value && value->kind == KAP_MP_STR) {
        span = value->s;
    } else if (value && value->kind == KAP_MP_BOOL) {
        span = kap_span_str(value->b ? "true" : "false");
    }
    kap_cli_csv_field(stdout, span, last);
}

/* The values of a row as cells; with `names` their names instead. A map of counts is told by its
 * parts, lists stand in the JSON only. */
static void csv_values(const kap_mp_t *like, const kap_mp_t *values, bool names)
{
    for (uint32_t i = 0; like && i < like->count; i++) {
        kap_span_t key = kap_mp_key(like, i)->s;
        char text[128];
        kap_measure_form_t form = kap_measure_form(key, kap_mp_value(like, i));
        const char *const *parts = parts_of(form), *const whole[] = {"", NULL};
        if (form == KAP_MEASURE_LIST || form == KAP_MEASURE_MAP)
            continue;
        for (parts = parts ? parts : whole; *parts; parts++) {
            snprintf(text, sizeof text, "%.*s%s%s", KAP_SPAN_ARGS(key), **parts ? "_" : "", *parts);
            if (names) {
                kap_cli_csv_field(stdout, kap_span_str(text), false);
                continue;
            }
            snprintf(text, sizeof text, "%.*s", KAP_SPAN_ARGS(key));
            const kap_mp_t *value = kap_mp_get(values, text);
            csv_cell(**parts ? kap_mp_get(value, *parts) : value, false);
        }
    }
}

static void csv_key(const kap_mp_t *like, const kap_mp_t *key, bool names)
{
    for (uint32_t i = 0; like && i < like->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(kap_mp_key(like, i)->s));
        const kap_mp_t *value = kap_mp_get(key, name);
        bool pair = is_list(kap_mp_value(like, i));
        for (uint32_t k = 0; k <= pair; k++)
            if (names)
                kap_cli_csv_field(stdout, kap_span_str(!pair ? name : k ? "to" : "from"), false);
            else
                csv_cell(pair ? kap_mp_item(value, k) : value, false);
    }
}

static void csv_row(const kap_mp_t *row)
{
    static const char *const counts[] = {"n", "decided", "pending"};
    bool hidden = kap_mp_get_bool(row, "hidden", false);
    for (size_t i = 0; i < 3; i++)
        csv_cell(hidden ? NULL : kap_mp_get(row, counts[i]), false);
    kap_cli_csv_field(stdout, kap_span_str(hidden ? "true" : "false"), true);
}

/* Rows, or, of an answer without any, its totals, or else its first list. */
int kap_metricview_csv(kap_cli_t *cli, const kap_mp_t *answer)
{
    const kap_mp_t *rows = kap_mp_get(answer, "rows"), *values = kap_mp_get(answer, "values");
    kap_shown_list_t one = {.arena = cli->arena};
    kap_mp_t totals;
    for (uint32_t i = 0; values && (!rows || rows->count == 0) && i < values->count; i++)
        if (is_list(kap_mp_value(values, i)))
            return kap_metricview_list(cli, kap_span_str(""), kap_mp_value(values, i), true);
    if (!rows || rows->count == 0) {
        kap_shown_add(&one, answer);
        totals = kap_shown_array(&one);
        rows = &totals;
    }
    const kap_mp_t *first = kap_mp_item(rows, 0);
    for (uint32_t i = 0; i <= rows->count; i++) {
        const kap_mp_t *row = i ? kap_mp_item(rows, i - 1) : NULL;
        csv_key(kap_mp_get(first, "key"), kap_mp_get(row, "key"), !row);
        csv_values(values, kap_mp_get(row, "values"), !row);
        if (row)
            csv_row(row);
        else
            fputs("n,decided,pending,hidden\r\n", stdout);
    }
    return KAP_EXIT_DONE;
}
