/* SPDX-License-Identifier: MPL-2.0 */
/* Windows and the periods they are made of. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "desk.h"
#include "err.h"
#include "scope.h"

enum {
    YEARS = 1 << KAP_PERIOD_YEAR,
    MONTHS = 1 << KAP_PERIOD_MONTH,
    DAYS = 1 << KAP_PERIOD_DAY,
    ALL = YEARS | MONTHS | DAYS
};

static kap_span_of_periods_t pieces[KAP_WINDOW_PIECES];
static kap_instants_t rest[2];

static kap_date_t date(int year, int month, int day)
{
    return (kap_date_t){(int16_t)year, (int8_t)month, (int8_t)day};
}

static kap_window_t days(kap_zone_t zone, kap_date_t from, kap_date_t to)
{
    kap_window_t w;

    kap_window_days(&w, zone, true, from, true, to);
    return w;
}

static void is_piece(uint32_t i, kap_period_t period, int32_t first, int32_t last)
{
    cr_assert_eq(pieces[i].period, period, "%u: period %d", i, (int)pieces[i].period);
    cr_assert_eq(pieces[i].first, first, "%u: first %d", i, pieces[i].first);
    cr_assert_eq(pieces[i].last, last, "%u: last %d", i, pieces[i].last);
}

static int32_t month(int year, int of_year)
{
    return year * 12 + of_year - 1;
}

Test(scope, a_year_is_one_piece)
{
    kap_window_t w;

    kap_window_year(&w, KAP_ZONE_HELSINKI, 2026);
    cr_assert_eq(kap_window_pieces(&w, false, ALL, pieces, rest), 1);
    is_piece(0, KAP_PERIOD_YEAR, 2026, 2026);
    cr_assert_eq(rest[0].from_ms, rest[0].to_ms);
    cr_assert_eq(rest[1].from_ms, rest[1].to_ms);
    cr_assert(kap_window_is_months(&w));
    cr_assert_eq(kap_window_pieces(&w, false, MONTHS, pieces, rest), 1);
    is_piece(0, KAP_PERIOD_MONTH, month(2026, 1), month(2026, 12));
}

Test(scope, a_long_window_is_days_months_years_months_and_days)
{
    kap_window_t w = days(KAP_ZONE_HELSINKI, date(2023, 10, 30), date(2026, 3, 3));

    cr_assert_eq(kap_window_pieces(&w, false, ALL, pieces, rest), 5);
    is_piece(0, KAP_PERIOD_YEAR, 2024, 2025);
    is_piece(1, KAP_PERIOD_MONTH, month(2023, 11), month(2023, 12));
    is_piece(2, KAP_PERIOD_MONTH, month(2026, 1), month(2026, 2));
    is_piece(3, KAP_PERIOD_DAY, kap_date_days(date(2023, 10, 30)),
             kap_date_days(date(2023, 10, 31)));
    is_piece(4, KAP_PERIOD_DAY, kap_date_days(date(2026, 3, 1)), kap_date_days(date(2026, 3, 2)));
    cr_assert_not(kap_window_is_months(&w));
}

Test(scope, open_sides_reach_as_far_as_there_are_periods)
{
    kap_window_t w;

    kap_window_days(&w, KAP_ZONE_UTC, false, date(1, 1, 1), false, date(1, 1, 1));
    cr_assert_eq(kap_window_pieces(&w, false, ALL, pieces, rest), 1, "whatever the zone");
    is_piece(0, KAP_PERIOD_YEAR, INT32_MIN, INT32_MAX - 1);
    cr_assert_eq(rest[0].from_ms, rest[0].to_ms);
    cr_assert(kap_window_is_months(&w));
    kap_window_days(&w, KAP_ZONE_HELSINKI, true, date(2026, 12, 31), false, date(1, 1, 1));
    cr_assert_eq(kap_window_pieces(&w, false, YEARS | MONTHS, pieces, rest), 1);
    is_piece(0, KAP_PERIOD_YEAR, 2027, INT32_MAX - 1);
    cr_assert_eq(rest[0].to_ms - rest[0].from_ms, KAP_DAY_MS);
    kap_window_days(&w, KAP_ZONE_HELSINKI, false, date(1, 1, 1), true, date(2026, 2, 2));
    cr_assert_eq(kap_window_pieces(&w, false, ALL, pieces, rest), 3);
    is_piece(0, KAP_PERIOD_YEAR, INT32_MIN, 2025);
    is_piece(1, KAP_PERIOD_MONTH, month(2026, 1), month(2026, 1));
    is_piece(2, KAP_PERIOD_DAY, kap_date_days(date(2026, 2, 1)), kap_date_days(date(2026, 2, 1)));
}

Test(scope, the_other_zone_leaves_hours_at_both_ends)
{
    kap_window_t w;

    kap_window_month(&w, KAP_ZONE_UTC, 2026, 2);
    cr_assert_eq(kap_window_pieces(&w, false, ALL, pieces, rest), 1);
    is_piece(0, KAP_PERIOD_DAY, kap_date_days(date(2026, 2, 2)), kap_date_days(date(2026, 2, 28)));
    cr_assert_eq(rest[0].to_ms - rest[0].from_ms, 22 * KAP_HOUR_MS);
    cr_assert_eq(rest[1].to_ms - rest[1].from_ms, 2 * KAP_HOUR_MS);
    cr_assert_eq(rest[0].from_ms, w.from_ms);
    cr_assert_eq(rest[1].to_ms, w.to_ms);
    cr_assert_eq(kap_window_pieces(&w, true, ALL, pieces, rest), 1, "an archive has that zone");
    is_piece(0, KAP_PERIOD_MONTH, month(2026, 2), month(2026, 2));
}

Test(scope, what_is_not_kept_is_left)
{
    kap_window_t w = days(KAP_ZONE_HELSINKI, date(2026, 3, 29), date(2026, 3, 30));

    cr_assert_eq(kap_window_pieces(&w, false, YEARS | MONTHS, pieces, rest), 0);
    cr_assert_eq(rest[0].to_ms - rest[0].from_ms, 23 * KAP_HOUR_MS, "a day of 23 hours");
    cr_assert_eq(rest[1].from_ms, rest[1].to_ms);
    cr_assert_eq(kap_window_pieces(&w, false, ALL, pieces, rest), 1);
    is_piece(0, KAP_PERIOD_DAY, kap_date_days(w.from), kap_date_days(w.from));
    cr_assert_eq(kap_window_pieces(&w, false, 0, pieces, rest), 0);
    cr_assert_eq(rest[0].to_ms, w.to_ms);
}

/* Pieces and rests of random windows lie side by side and fill them. */
Test(scope, pieces_and_rests_fill_the_window_without_a_gap)
{
    unsigned short seed[3] = {1, 2, 3};

    for (int n = 0; n < 2000; n++) {
        kap_zone_t zone = nrand48(seed) % 2 ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI;
        bool utc = nrand48(seed) % 2;
        unsigned kept = (unsigned)nrand48(seed) % 8;
        int32_t first = 19000 + (int32_t)(nrand48(seed) % 1500);
        kap_window_t w = days(zone, kap_date_of_days(first),
                              kap_date_of_days(first + 1 + (int32_t)(nrand48(seed) % 1200)));
        uint32_t count = kap_window_pieces(&w, utc, kept, pieces, rest);
        int64_t covered = rest[0].to_ms - rest[0].from_ms + rest[1].to_ms - rest[1].from_ms;
        for (uint32_t i = 0; i < count; i++) {
            int64_t from = kap_cell_start(pieces[i].period, kap_cell_zone(utc), pieces[i].first);
            int64_t to = kap_cell_start(pieces[i].period, kap_cell_zone(utc), pieces[i].last + 1);
            cr_assert(w.from_ms <= from && from < to && to <= w.to_ms);
            cr_assert(kept >> pieces[i].period & 1);
            covered += to - from;
        }
        cr_assert_eq(covered, w.to_ms - w.from_ms);
        cr_assert(count == 0 || rest[0].from_ms == w.from_ms);
        cr_assert(count == 0 || rest[1].to_ms == w.to_ms);
    }
}

Test(scope, months_and_years_are_those_of_the_calendar)
{
    kap_window_t w;

    kap_window_month(&w, KAP_ZONE_HELSINKI, 2026, 12);
    cr_assert_eq(kap_date_cmp(w.to, date(2027, 1, 1)), 0);
    cr_assert_eq(w.to_ms, kap_day_start_ms(KAP_ZONE_HELSINKI, date(2027, 1, 1)));
    cr_assert(kap_window_is_months(&w));
    kap_window_month(&w, KAP_ZONE_HELSINKI, 2026, 2);
    cr_assert_eq(w.to_ms - w.from_ms, 28 * KAP_DAY_MS);
    w = days(KAP_ZONE_HELSINKI, date(2026, 1, 1), date(2026, 2, 2));
    cr_assert_not(kap_window_is_months(&w));
}

Test(scope, names_are_looked_up_and_unknown_ones_are_none)
{
    desk_t desk;
    kap_txn_t *txn;
    kap_scope_t known = {.kind = KAP_SCOPE_EDGE,
                         .region = KAP_SPAN("mikkeli"),
                         .from = KAP_SPAN("a"),
                         .to = KAP_SPAN("b")};
    kap_scope_t nobody = {.kind = KAP_SCOPE_MEMBER, .member = KAP_SPAN("nobody")};
    kap_scope_t area = {.kind = KAP_SCOPE_AREA, .area = KAP_SPAN("etela-savo")};
    uint32_t number;

    desk_open(&desk, true);
    desk_created(&desk, "a", "1", "1", "a", "b", "mikkeli", NULL);
    cr_assert_eq(desk_said(&desk), 0);
    cr_assert_eq(kap_txn_begin(desk.store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_scope_find(txn, &known), KAP_OK);
    cr_assert_eq(kap_rows_number(txn, KAP_SPAN("b"), &number), KAP_OK);
    cr_assert_eq(known.b, number);
    cr_assert_neq(known.a, 0);
    cr_assert_neq(known.region_number, 0);
    cr_assert_not(known.utc);
    cr_assert_eq(kap_scope_find(txn, &nobody), KAP_OK);
    cr_assert_eq(nobody.a, 0);
    cr_assert_eq(kap_scope_find(txn, &area), KAP_OK);
    cr_assert_eq(kap_rows_number(txn, KAP_SPAN("etela-savo"), &number), KAP_OK);
    cr_assert_eq(area.region_number, number);
    kap_txn_abort(&txn);
    desk_close(&desk);
}
