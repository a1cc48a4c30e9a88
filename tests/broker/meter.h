/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics of a desk's store, asked of the figures themselves: no request, no rights. */
#ifndef METER_H
#define METER_H

#include "desk.h"
#include "metric.h"
#include "mp.h"

typedef struct {
    desk_t *desk;
    const kap_directory_t *dir; /* as of today */
    const kap_metric_seen_t *seen;
    kap_metric_query_t query;
    kap_metric_values_t values; /* of the last answer */
} meter_t;

/* Region mikkeli, whenever it was, as of the desk's time, elapsed time; change what else is wanted
 * before it is asked. */
void meter_begin(meter_t *meter, desk_t *desk, kap_metric_t metric);

void meter_nation(meter_t *meter);
void meter_member(meter_t *meter, const char *region, const char *member);
void meter_edge(meter_t *meter, const char *from, const char *to);
void meter_days(meter_t *meter, const char *from, const char *to); /* NULL: open */

/* The values as a map; it lives as long as the desk. */
const kap_mp_t *meter_ask(meter_t *meter);

/* A rate of a map. */
#define meter_rate(map, key, NUM, DEN)                                                             \
    do {                                                                                           \
        const kap_mp_t *rate_ = kap_mp_get(map, key);                                              \
        cr_expect(rate_ != NULL, "no %s", key);                                                    \
        cr_expect_eq(kap_mp_get_int(rate_, "num", -1), NUM, "%s: num is %lld", key,                \
                     (long long)kap_mp_get_int(rate_, "num", -1));                                 \
        cr_expect_eq(kap_mp_get_int(rate_, "den", -1), DEN, "%s: den is %lld", key,                \
                     (long long)kap_mp_get_int(rate_, "den", -1));                                 \
    } while (0)

#define meter_count(map, key, COUNT)                                                               \
    cr_expect_eq(kap_mp_get_int(map, key, -1), COUNT, "%s is %lld", key,                           \
                 (long long)kap_mp_get_int(map, key, -1))

#define meter_word(map, key, WORD)                                                                 \
    cr_expect(kap_span_eq_str(kap_mp_get_str(map, key), WORD), "%s is %.*s", key,                  \
              (int)kap_mp_get_str(map, key).size, (const char *)kap_mp_get_str(map, key).data)

/* The item of a list whose texts of these two keys are so; NULL: there is none. */
const kap_mp_t *meter_item(const kap_mp_t *values, const char *list, const char *key1,
                           const char *text1, const char *key2, const char *text2);
uint32_t meter_length(const kap_mp_t *values, const char *list);

/* Sends what was gathered at the desk; everything in it must be accepted. */
void meter_send(desk_t *desk);

#endif
