/* SPDX-License-Identifier: MPL-2.0 */
#include "scope.h"

#include "err.h"
#include "rows.h"

/* --- scope --- */

static int number_of(kap_txn_t *txn, kap_span_t id, uint32_t *number)
{
    return id.size > 0 ? kap_rows_number(txn, id, number) : KAP_OK;
}

int kap_scope_find(kap_txn_t *txn, kap_scope_t *scope)
{
    uint32_t archive = 0;
    int rc =
        number_of(txn, scope->region.size > 0 ? scope->region : scope->area, &scope->region_number);

    if (rc == KAP_OK && scope->region.size > 0)
        rc = kap_rows_scope(txn, scope->region, &archive);
    scope->utc = archive != 0;
    if (rc == KAP_OK && scope->kind == KAP_SCOPE_ORGANISATION)
        rc = number_of(txn, scope->organisation, &scope->a);
    if (rc == KAP_OK && scope->kind == KAP_SCOPE_MEMBER)
        rc = number_of(txn, scope->member, &scope->a);
    if (rc == KAP_OK && scope->kind == KAP_SCOPE_EDGE)
        rc = number_of(txn, scope->from, &scope->a);
    if (rc == KAP_OK && scope->kind == KAP_SCOPE_EDGE)
        rc = number_of(txn, scope->to, &scope->b);
    return rc;
}

/* --- window --- */

void kap_window_days(kap_window_t *window, kap_zone_t zone, bool has_from, kap_date_t from,
                     bool has_to, kap_date_t to)
{
    *window = (kap_window_t){
        .zone = zone, .has_from = has_from, .has_to = has_to, .from = from, .to = to};
    window->from_ms = has_from ? kap_day_start_ms(zone, from) : INT64_MIN;
    window->to_ms = has_to ? kap_day_start_ms(zone, to) : INT64_MAX;
}

void kap_window_month(kap_window_t *window, kap_zone_t zone, int year, int month)
{
    kap_date_t from = {(int16_t)year, (int8_t)month, 1};
    kap_date_t to = {(int16_t)(month == 12 ? year + 1 : year),
                     (int8_t)(month == 12 ? 1 : month + 1), 1};

    kap_window_days(window, zone, true, from, true, to);
}

void kap_window_year(kap_window_t *window, kap_zone_t zone, int year)
{
    kap_date_t from = {(int16_t)year, 1, 1}, to = {(int16_t)(year + 1), 1, 1};

    kap_window_days(window, zone, true, from, true, to);
}

bool kap_window_is_months(const kap_window_t *window)
{
    return (!window->has_from || window->from.day == 1) && (!window->has_to || window->to.day == 1);
}

/* A window while it is cut up: [inner_from, inner_to) is covered by pieces. */
typedef struct {
    kap_zone_t zone;
    kap_span_of_periods_t *pieces;
    uint32_t count;
} cutter_t;

/* Takes the whole periods of [*from, *to); true: there were some, and from and to are theirs. */
static bool cut(cutter_t *c, kap_period_t period, int64_t *from, int64_t *to)
{
    int32_t first = INT32_MIN, end = INT32_MAX;

    if (*from != INT64_MIN) {
        first = kap_cell_at(period, c->zone, *from);
        if (kap_cell_start(period, c->zone, first) < *from)
            first++;
    }
    if (*to != INT64_MAX)
        end = kap_cell_at(period, c->zone, *to);
    if (first >= end)
        return false;
    c->pieces[c->count++] = (kap_span_of_periods_t){period, first, end - 1};
    if (*from != INT64_MIN)
        *from = kap_cell_start(period, c->zone, first);
    if (*to != INT64_MAX)
        *to = kap_cell_start(period, c->zone, end);
    return true;
}

uint32_t kap_window_pieces(const kap_window_t *window, bool utc, unsigned periods,
                           kap_span_of_periods_t pieces[KAP_WINDOW_PIECES], kap_instants_t rest[2])
{
    static const kap_period_t longest_first[] = {KAP_PERIOD_YEAR, KAP_PERIOD_MONTH, KAP_PERIOD_DAY};
    cutter_t c = {.zone = utc ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI, .pieces = pieces};
    int64_t inner_from = window->from_ms, inner_to = window->to_ms;
    bool covered = false;

    for (size_t i = 0; i < sizeof longest_first / sizeof longest_first[0]; i++) {
        kap_period_t period = longest_first[i];
        int64_t left = window->from_ms, right = window->to_ms;
        if (!(periods & 1u << period))
            continue;
        if (!covered) {
            covered = cut(&c, period, &inner_from, &inner_to);
            continue;
        }
        if (left < inner_from && cut(&c, period, &left, &inner_from))
            inner_from = left;
        if (inner_to < right && cut(&c, period, &inner_to, &right))
            inner_to = right;
    }
    rest[0] = covered ? (kap_instants_t){window->from_ms, inner_from}
                      : (kap_instants_t){window->from_ms, window->to_ms};
    rest[1] = covered ? (kap_instants_t){inner_to, window->to_ms} : (kap_instants_t){0, 0};
    return c.count;
}
