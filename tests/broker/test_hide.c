/* SPDX-License-Identifier: MPL-2.0 */
/* What of a region's figures is left out for others. */
#include <criterion/criterion.h>

#include "hide.h"
#include "hide_edges.h"

enum { K = 5 };

static kap_edge_t edges[6];
static kap_edges_t all;

/* a>b 10, a>c 3, b>c 20, c>a 7, c>b 30, d>a 0 */
static void fill(void)
{
    static const char *const names[6][2] = {{"a", "b"}, {"a", "c"}, {"b", "c"},
                                            {"c", "a"}, {"c", "b"}, {"d", "a"}};
    static const uint64_t sizes[6] = {10, 3, 20, 7, 30, 0};
    all = (kap_edges_t){.edges = edges, .count = 6};
    for (int i = 0; i < 6; i++) {
        edges[i] = (kap_edge_t){.from = kap_span_str(names[i][0]), .to = kap_span_str(names[i][1])};
        edges[i].counts[KAP_FIGURE_REFERRALS] = sizes[i];
        edges[i].counts[KAP_FIGURE_PENDING] = 1;
        all.n += sizes[i];
    }
    all.pending = 6;
    all.decided = all.n - all.pending;
}

TestSuite(hide, .init = fill);

static bool shows(const char *from, const char *to)
{
    for (uint32_t i = 0; i < all.count; i++) {
        if (kap_span_eq_str(edges[i].from, from) && kap_span_eq_str(edges[i].to, to))
            return true;
    }
    return false;
}

/* January, long ago. */
static const kap_edges_query_t january = {
    .has_from = true, .from = {2026, 1, 1}, .has_to = true, .to = {2026, 2, 1}};

/* What somebody is told of it so many days after its end. */
static void hide(const kap_edges_query_t *query, kap_see_t see, const char *self, int days)
{
    kap_date_t end = {2026, 2, 1};
    kap_hide_from_t whom = {.see = see,
                            .self = kap_span_str(self),
                            .k = K,
                            .now = kap_day_start_ms(KAP_ZONE_HELSINKI, end) + days * KAP_DAY_MS};
    kap_hide_edges(&all, query, &whom);
}

Test(hide, others_see_their_own_edges_and_the_totals_of_whole_months)
{
    hide(&january, KAP_SEE_TOTALS, "b", 14);
    cr_expect_eq(all.count, 3);
    cr_expect(shows("a", "b"));
    cr_expect(shows("b", "c"));
    cr_expect(shows("c", "b"));
    cr_expect_eq(all.n, 70);
    cr_expect_eq(all.pending, 6);
}

Test(hide, days_and_what_has_not_settled_are_nobodys_but_the_members_own)
{
    kap_edges_query_t cut = january, open = january, other = january;
    const kap_edges_query_t *const queries[] = {&cut, &open, &other, &january};

    cut.to.day = 2;
    open.has_from = false;
    other.zone = KAP_ZONE_UTC;
    for (int i = 0; i < 4; i++) {
        fill();
        hide(queries[i], KAP_SEE_EDGES, "b", i == 3 ? 13 : 100);
        cr_expect_eq(all.count, 3);
        cr_expect_eq(all.n, 60);
        cr_expect_eq(all.pending, 3);
        cr_expect_eq(all.decided, 57);
    }
}

Test(hide, small_totals_are_hidden)
{
    all.n = K - 1;
    hide(&january, KAP_SEE_TOTALS, "x", 14);
    cr_expect_eq(all.count, 0);
    cr_expect_eq(all.n, 0);
}

Test(hide, covering_roles_have_every_total)
{
    kap_edges_query_t all_time = {0};
    kap_hide_from_t whom = {.see = KAP_SEE_TOTALS, .totals = true, .self = KAP_SPAN("x"), .k = K};
    kap_hide_edges(&all, &all_time, &whom);
    cr_expect_eq(all.count, 0);
    cr_expect_eq(all.n, 70);
}

Test(hide, a_small_edge_takes_the_next_smallest_of_its_row_and_column_with_it)
{
    hide(&january, KAP_SEE_EDGES, "x", 14);
    cr_expect_not(shows("a", "c"), "3 is small");
    cr_expect_not(shows("a", "b"), "else 3 = the row's sum less 10");
    cr_expect_not(shows("b", "c"), "else 3 = the column's sum less 20");
    cr_expect_not(shows("c", "b"), "else 10 = the column's sum less 30");
    cr_expect_not(shows("c", "a"), "else 30 = the row's sum less 7");
    cr_expect(shows("d", "a"));
    cr_expect_eq(all.n, 70);
}

Test(hide, edges_that_are_not_small_are_shown_to_the_nation_month_by_month)
{
    kap_edges_query_t longer = january;
    longer.from = (kap_date_t){2025, 12, 1};
    edges[1].counts[KAP_FIGURE_REFERRALS] = K;
    hide(&january, KAP_SEE_EDGES, "x", 14);
    cr_expect_eq(all.count, 6);
    hide(&longer, KAP_SEE_EDGES, "x", 14);
    cr_expect_eq(all.count, 0, "of more than a month there are totals only");
    cr_expect_eq(all.n, 70);
}

/* --- tables of any kind --- */

static kap_hide_cell_t cell(const char *row, const char *column, uint64_t size)
{
    return (kap_hide_cell_t){
        .row = kap_span_str(row), .column = kap_span_str(column), .size = size, .k = K};
}

Test(hide, a_list_is_a_table_of_one_row)
{
    kap_hide_cell_t cells[] = {cell("", "a", 9), cell("", "b", 4), cell("", "c", 7),
                               cell("", "d", 7)};
    kap_hide(cells, 4);
    cr_expect_not(cells[0].hidden);
    cr_expect(cells[1].hidden);
    cr_expect(cells[2].hidden, "the first of the smallest");
    cr_expect_not(cells[3].hidden);
}

Test(hide, two_hidden_cells_protect_each_other)
{
    kap_hide_cell_t cells[] = {cell("", "a", 9), cell("", "b", 1), cell("", "c", 4)};
    kap_hide(cells, 3);
    cr_expect_not(cells[0].hidden);
    cr_expect(cells[1].hidden);
    cr_expect(cells[2].hidden);
}

Test(hide, nothing_is_hidden_where_nothing_is_small)
{
    kap_hide_cell_t cells[] = {cell("", "a", K), cell("", "b", 0), cell("", "c", K + 1)};
    kap_hide(cells, 3);
    for (int i = 0; i < 3; i++)
        cr_expect_not(cells[i].hidden);
}

Test(hide, own_cells_are_shown_and_hide_nothing)
{
    kap_hide_cell_t cells[] = {cell("", "a", 2), cell("", "b", 3), cell("", "c", 6),
                               cell("", "d", 9)};
    cells[0].own = cells[2].own = true;
    kap_hide(cells, 4);
    cr_expect_not(cells[0].hidden);
    cr_expect(cells[1].hidden);
    cr_expect_not(cells[2].hidden, "known to the asker, it protects nothing");
    cr_expect(cells[3].hidden);
}

Test(hide, groups_are_tables_of_their_own)
{
    kap_hide_cell_t cells[] = {cell("", "a", 2), cell("", "b", 9), cell("", "a", 9)};
    cells[2].group = KAP_SPAN("elsewhere");
    kap_hide(cells, 3);
    cr_expect(cells[0].hidden);
    cr_expect(cells[1].hidden);
    cr_expect_not(cells[2].hidden);
}

Test(hide, each_cell_is_small_by_its_own_measure)
{
    kap_hide_cell_t cells[] = {cell("", "a", 9), cell("", "b", 9)};
    cells[0].k = 10;
    cells[1].row = KAP_SPAN("elsewhere");
    kap_hide(cells, 2);
    cr_expect(cells[0].hidden);
    cr_expect_not(cells[1].hidden);
}
