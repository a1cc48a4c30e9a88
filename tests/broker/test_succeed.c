/* SPDX-License-Identifier: MPL-2.0 */
/* Who follows whom: what the operator may say of members, regions and areas, and what is kept. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "desk.h"
#include "err.h"
#include "rows.h"

static desk_t desk, *d = &desk;

static void setup(void)
{
    desk_open(d, true);
}

static void teardown(void)
{
    desk_close(d);
}

TestSuite(succeed, .init = setup, .fini = teardown);

/* The refusal of a succession, 0 when it was accepted; by_region NULL: none. */
static int says(const char *who, kap_event_type_t type, const char *from, const char *to,
                const char *by_region)
{
    desk_event(d, who, type, d->now);
    desk_list(d, KAP_F_FROM_IDS, from);
    desk_list(d, KAP_F_TO_IDS, to);
    desk_span(d, KAP_F_VALID_FROM, "2026-01-01");
    if (by_region != NULL)
        desk_map(d, KAP_F_BY_REGION, by_region);
    return desk_said(d);
}

static int member(const char *from, const char *to, const char *by_region)
{
    return says("op", KAP_EV_MEMBER_SUCCEEDED, from, to, by_region);
}

static int region(const char *from, const char *to)
{
    return says("op", KAP_EV_REGION_SUCCEEDED, from, to, NULL);
}

static int area(const char *from, const char *to, const char *by_region)
{
    return says("op", KAP_EV_AREA_SUCCEEDED, from, to, by_region);
}

/* "region:heir " of each heir, as it is kept; empty: there is no successor. */
static const char *kept(kap_succeeded_t kind, const char *id)
{
    static char text[256];
    kap_txn_t *txn;
    kap_succession_row_t row;
    kap_span_t where, heir;
    size_t size = 0;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    int rc = kap_rows_succession(txn, kind, kap_span_str(id), &row);
    text[0] = '\0';
    if (rc == KAP_OK) {
        kap_span_t rest = row.heirs;
        cr_expect_eq(row.from_at, INT64_C(1767218400000), "midnight of the first, Helsinki");
        while (kap_heir_next(&rest, &where, &heir))
            size += (size_t)snprintf(text + size, sizeof text - size, "%.*s:%.*s ",
                                     KAP_SPAN_ARGS(where), KAP_SPAN_ARGS(heir));
    }
    kap_txn_abort(&txn);
    return text;
}

Test(succeed, one_or_several_are_followed_by_one)
{
    cr_expect_eq(member("a", "b", NULL), 0);
    cr_expect_eq(member("c,d", "e", NULL), 0);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "a"), ":b ");
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "c"), ":e ");
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "d"), ":e ");
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "b"), "");
    desk_audit(d);
}

Test(succeed, one_is_followed_by_several_only_with_their_regions)
{
    cr_expect_eq(member("a", "b,c", NULL), KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE);
    cr_expect_eq(member("a", "b", "mikkeli=b"), KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE);
    cr_expect_eq(member("a,d", "b,c", "mikkeli=b,pieksamaki=c"),
                 KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE);
    cr_expect_eq(member("a", "b,c", "mikkeli=b"), KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE,
                 "c has no region");
    cr_expect_eq(member("a", "b,c", "mikkeli=b,pieksamaki=c,savonlinna=d"),
                 KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE, "d is none of them");
    cr_expect_eq(member("a", "b,c", "mikkeli=b,atlantis=c"), KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "a"), "");
    cr_expect_eq(member("a", "b,c", "mikkeli=b,pieksamaki=c,savonlinna=b"), 0);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "a"), "mikkeli:b pieksamaki:c savonlinna:b ");
    desk_audit(d);
}

Test(succeed, ids_must_be_known_once_and_be_ids)
{
    cr_expect_eq(member("ghost", "b", NULL), KAP_REFUSAL_ILLEGAL_UNKNOWN_MEMBER);
    cr_expect_eq(desk_decided(d, 0)->why.field, KAP_F_FROM_IDS);
    cr_expect_eq(member("a", "ghost", NULL), KAP_REFUSAL_ILLEGAL_UNKNOWN_MEMBER);
    cr_expect_eq(desk_decided(d, 0)->why.field, KAP_F_TO_IDS);
    cr_expect_eq(member("a,a", "b", NULL), KAP_REFUSAL_MALFORMED_FIELD_VALUE);
    cr_expect_eq(member("", "b", NULL), KAP_REFUSAL_MALFORMED_FIELD_VALUE);
    cr_expect_eq(member("a", "", NULL), KAP_REFUSAL_MALFORMED_FIELD_VALUE);
    cr_expect_eq(region("atlantis", "mikkeli"), KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN);
    cr_expect_eq(region("pieksamaki", "atlantis"), KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN);
    cr_expect_eq(area("atlantis", "itainen", NULL), KAP_REFUSAL_ILLEGAL_AREA_UNKNOWN);
}

Test(succeed, a_successor_may_be_followed_but_nobody_twice)
{
    cr_expect_eq(member("a", "b", NULL), 0);
    cr_expect_eq(member("a", "b", NULL), KAP_REFUSAL_ILLEGAL_SUCCEEDED);
    cr_expect_eq(member("d,a", "c", NULL), KAP_REFUSAL_ILLEGAL_SUCCEEDED);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "d"), "");
    cr_expect_eq(member("b", "c", NULL), 0);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "b"), ":c ");
    desk_audit(d);
}

Test(succeed, nobody_follows_itself_by_any_way)
{
    cr_expect_eq(member("a", "a", NULL), KAP_REFUSAL_ILLEGAL_SUCCESSION_LOOP);
    cr_expect_eq(member("a,b", "b", NULL), KAP_REFUSAL_ILLEGAL_SUCCESSION_LOOP);
    cr_expect_eq(member("a", "a,b", "mikkeli=a,pieksamaki=b"), KAP_REFUSAL_ILLEGAL_SUCCESSION_LOOP);
    cr_expect_eq(member("a", "b,c", "mikkeli=b,pieksamaki=c"), 0);
    cr_expect_eq(member("c", "d", NULL), 0);
    cr_expect_eq(member("d", "a", NULL), KAP_REFUSAL_ILLEGAL_SUCCESSION_LOOP);
    cr_expect_eq(member("d", "e", NULL), 0);
    cr_expect_eq(region("mikkeli", "pieksamaki"), 0);
    cr_expect_eq(region("pieksamaki", "mikkeli"), KAP_REFUSAL_ILLEGAL_SUCCESSION_LOOP);
}

Test(succeed, regions_merge_but_do_not_split)
{
    cr_expect_eq(region("pieksamaki", "mikkeli,savonlinna"), KAP_REFUSAL_ILLEGAL_SUCCESSION_SHAPE);
    cr_expect_eq(region("pieksamaki,savonlinna", "mikkeli"), 0);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_REGION, "savonlinna"), ":mikkeli ");
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "savonlinna"), "", "kinds are kept apart");
    desk_audit(d);
}

Test(succeed, an_area_is_followed_by_a_new_one_that_may_be_followed_in_turn)
{
    cr_expect_eq(area("mikkeli", "itainen", NULL), KAP_REFUSAL_ILLEGAL_AREA_UNKNOWN);
    cr_expect_eq(area("etela-savo,pohjois-savo", "itainen", NULL), 0);
    cr_expect_eq(area("itainen", "savo,karjala", "mikkeli=savo,pieksamaki=karjala"), 0);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_AREA, "etela-savo"), ":itainen ");
    cr_expect_str_eq(kept(KAP_SUCCEEDED_AREA, "itainen"), "mikkeli:savo pieksamaki:karjala ");
    desk_audit(d);
}

Test(succeed, only_the_operator_says_so)
{
    cr_expect_eq(says("a", KAP_EV_MEMBER_SUCCEEDED, "a", "b", NULL),
                 KAP_REFUSAL_NOT_ALLOWED_OPERATOR);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "a"), "");
}

Test(succeed, one_of_a_group_that_is_refused_leaves_nothing_behind)
{
    static const char *const to[] = {"b", "ghost"};

    for (int i = 0; i < 2; i++) {
        desk_event(d, "op", KAP_EV_MEMBER_SUCCEEDED, d->now);
        desk_group(d, "together");
        desk_list(d, KAP_F_FROM_IDS, i == 0 ? "a" : "c");
        desk_list(d, KAP_F_TO_IDS, to[i]);
        desk_span(d, KAP_F_VALID_FROM, "2026-01-01");
    }
    cr_expect_eq(desk_send(d), KAP_RECEIPT_OK);
    cr_expect_eq(desk_decided(d, 0)->verdict, KAP_VERDICT_REFUSED);
    cr_expect_str_eq(kept(KAP_SUCCEEDED_MEMBER, "a"), "");
    desk_audit(d);
}

/* Places in a member's stream. */
static uint64_t told(const char *stream)
{
    kap_txn_t *txn;
    uint64_t head = 0;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_rows_stream_head(txn, kap_span_str(stream), &head), KAP_OK);
    kap_txn_abort(&txn);
    return head;
}

Test(succeed, those_who_are_named_are_told)
{
    cr_expect_eq(member("a,b", "c", NULL), 0);
    cr_expect_eq(told("member/a"), 1);
    cr_expect_eq(told("member/b"), 1);
    cr_expect_eq(told("member/c"), 1);
    cr_expect_eq(told("member/d"), 0);
}
