/* SPDX-License-Identifier: MPL-2.0 */
/* Organisations as they are today: chains of successions, resolved. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "desk.h"
#include "err.h"
#include "rows.h"
#include "succession.h"

static desk_t desk, *d = &desk;
static kap_txn_t *txn;
static kap_succession_t *s;

static void setup(void)
{
    desk_open(d, true);
}

static void teardown(void)
{
    kap_txn_abort(&txn);
    desk_close(d);
}

TestSuite(succession, .init = setup, .fini = teardown);

static void says(kap_event_type_t type, const char *from, const char *to, const char *by_region,
                 const char *valid_from)
{
    desk_event(d, "op", type, d->now);
    desk_list(d, KAP_F_FROM_IDS, from);
    desk_list(d, KAP_F_TO_IDS, to);
    desk_span(d, KAP_F_VALID_FROM, valid_from);
    if (by_region != NULL)
        desk_map(d, KAP_F_BY_REGION, by_region);
    cr_assert_eq(desk_said(d), 0);
}

static void member(const char *from, const char *to, const char *by_region)
{
    says(KAP_EV_MEMBER_SUCCEEDED, from, to, by_region, "2026-01-01");
}

static void region(const char *from, const char *to)
{
    says(KAP_EV_REGION_SUCCEEDED, from, to, NULL, "2026-01-01");
}

static void load(void)
{
    kap_txn_abort(&txn);
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_succession_load(txn, d->arena, d->now, &s), KAP_OK);
}

/* A number for a name that has none yet: nobody followed it. */
static uint32_t number(const char *id)
{
    uint32_t number = 0;

    cr_assert_eq(kap_rows_number(txn, kap_span_str(id), &number), KAP_OK);
    return number == 0 ? 1000000 + (uint32_t)id[0] : number;
}

/* Does the member of the region stand in the place `id` today? A leading ! says unassigned. */
static bool is(const char *where, const char *who, const char *id)
{
    bool expected = id[0] == '!', unassigned;
    uint32_t now = kap_succession_member(s, number(where), number(who), &unassigned);

    return now == number(id + expected) && unassigned == expected;
}

Test(succession, without_any_today_is_as_then)
{
    load();
    cr_expect(kap_succession_is_empty(s));
    cr_expect(is("mikkeli", "a", "a"));
    cr_expect_eq(kap_succession_region(s, 7), 7);
}

Test(succession, several_that_merged_stand_in_one_place)
{
    uint32_t count;

    member("a,b", "c", NULL);
    load();
    cr_expect_not(kap_succession_is_empty(s));
    cr_expect(is("mikkeli", "a", "c"));
    cr_expect(is("pieksamaki", "b", "c"));
    cr_expect(is("mikkeli", "c", "c"));
    cr_expect(is("mikkeli", "d", "d"));
    kap_succession_members(s, &count);
    cr_expect_eq(count, 3);
    cr_expect(kap_succession_is_followed(s, number("a")));
    cr_expect_not(kap_succession_is_followed(s, number("c")));
}

Test(succession, one_that_was_split_stands_where_its_regions_say_else_unassigned)
{
    member("a", "b,c", "mikkeli=b,pieksamaki=c");
    load();
    cr_expect(is("mikkeli", "a", "b"));
    cr_expect(is("pieksamaki", "a", "c"));
    cr_expect(is("savonlinna", "a", "!a"));
}

Test(succession, chains_are_followed_to_their_end)
{
    member("a", "b,c", "mikkeli=b,pieksamaki=c");
    member("b", "d", NULL);
    member("c", "e,f", "mikkeli=e,savonlinna=f");
    member("d", "g", NULL);
    load();
    cr_expect(is("mikkeli", "a", "g"));
    cr_expect(is("mikkeli", "c", "e"));
    cr_expect(is("pieksamaki", "a", "!c"), "c has no heir there");
}

Test(succession, of_a_region_that_merged_what_followed_it_counts_too)
{
    region("pieksamaki", "mikkeli");
    member("a", "b,c", "mikkeli=b,savonlinna=c");
    member("d", "e,f", "mikkeli=e,pieksamaki=f");
    load();
    cr_expect_eq(kap_succession_region(s, number("pieksamaki")), number("mikkeli"));
    cr_expect(is("pieksamaki", "a", "b"), "as in mikkeli");
    cr_expect(is("pieksamaki", "d", "f"), "its own before that of the region that followed");
    region("mikkeli", "savonlinna");
    load();
    cr_expect_eq(kap_succession_region(s, number("pieksamaki")), number("savonlinna"));
    cr_expect(is("pieksamaki", "a", "b"), "the nearest that has one");
}

Test(succession, areas_are_followed_as_members_are)
{
    bool unassigned;

    says(KAP_EV_AREA_SUCCEEDED, "etela-savo,pohjois-savo", "itainen", NULL, "2026-01-01");
    says(KAP_EV_AREA_SUCCEEDED, "kainuu", "oulu,itainen", "mikkeli=oulu,pieksamaki=itainen",
         "2026-01-01");
    load();
    uint32_t mikkeli = number("mikkeli"), savonlinna = number("savonlinna");
    cr_expect_eq(kap_succession_area(s, mikkeli, number("etela-savo"), NULL), number("itainen"));
    cr_expect_eq(kap_succession_area(s, mikkeli, number("kainuu"), NULL), number("oulu"));
    cr_expect_eq(kap_succession_area(s, savonlinna, number("kainuu"), &unassigned),
                 number("kainuu"));
    cr_expect(unassigned);
    cr_expect(is("mikkeli", "a", "a"), "kinds are kept apart");
}

Test(succession, one_that_begins_later_is_not_in_force_yet)
{
    says(KAP_EV_MEMBER_SUCCEEDED, "a", "b", NULL, "2026-01-06");
    load();
    cr_expect(is("mikkeli", "a", "a"));
    d->now = INT64_C(1767650400000) - 1; /* the last millisecond before it, in Helsinki */
    load();
    cr_expect(is("mikkeli", "a", "a"));
    d->now++;
    load();
    cr_expect(is("mikkeli", "a", "b"));
}
