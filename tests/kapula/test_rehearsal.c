/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "calendar.h"
#include "clock.h"
#include "idcheck.h"
#include "rehearsal.h"

static kap_rehearsal_t *year_of(uint64_t seed, int referrals)
{
    kap_rehearsal_opts_t opts = {
        .year = 2025, .referrals = referrals, .seed = seed, .region = "mikkeli"};
    kap_clock_init_zone();
    return kap_rehearsal_new(&opts);
}

static const char *field(const kap_rehearsal_act_t *act, const char *name)
{
    for (int i = 0; i < act->count; i++)
        if (strcmp(act->fields[i].name, name) == 0)
            return act->fields[i].value;
    return NULL;
}

Test(rehearsal, the_same_seed_gives_the_same_year)
{
    kap_rehearsal_t *a = year_of(7, 50), *b = year_of(7, 50);
    kap_rehearsal_act_t one, two;
    while (kap_rehearsal_next(a, &one)) {
        cr_assert(kap_rehearsal_next(b, &two));
        cr_assert_eq(one.at_ms, two.at_ms);
        cr_assert_str_eq(one.verb, two.verb);
        cr_assert_eq(memcmp(one.fields, two.fields, sizeof one.fields), 0);
    }
    cr_assert_not(kap_rehearsal_next(b, &two));
    kap_rehearsal_destroy(&a);
    kap_rehearsal_destroy(&b);
}

Test(rehearsal, another_seed_gives_another_year)
{
    kap_rehearsal_t *a = year_of(1, 50), *b = year_of(2, 50);
    kap_rehearsal_act_t one, two;
    bool differ = false;
    while (kap_rehearsal_next(a, &one) && kap_rehearsal_next(b, &two))
        differ |= one.at_ms != two.at_ms;
    cr_assert(differ);
    kap_rehearsal_destroy(&a);
    kap_rehearsal_destroy(&b);
}

Test(rehearsal, acts_come_in_order_of_time_within_the_year)
{
    kap_rehearsal_t *year = year_of(3, 200);
    kap_rehearsal_act_t act;
    int64_t last = kap_rehearsal_from_ms(year);
    long referrals = 0, acts = 0;
    while (kap_rehearsal_next(year, &act)) {
        cr_assert_geq(act.at_ms, last);
        cr_assert_lt(act.at_ms, kap_rehearsal_to_ms(year));
        cr_assert_not_null(act.member);
        last = act.at_ms;
        referrals += strcmp(act.verb, "refer") == 0;
        acts++;
    }
    cr_assert_geq(referrals, 200);
    cr_assert_gt(acts, 3 * 200);
    cr_assert_eq(kap_rehearsal_permille(year), 1000);
    kap_rehearsal_destroy(&year);
}

Test(rehearsal, customers_come_in_office_hours_with_valid_business_ids)
{
    kap_rehearsal_t *year = year_of(4, 300);
    kap_rehearsal_act_t act;
    while (kap_rehearsal_next(year, &act)) {
        if (strcmp(act.verb, "refer") != 0 || field(&act, "parent"))
            continue;
        kap_date_t date = kap_date_of(KAP_ZONE_HELSINKI, act.at_ms);
        cr_assert(kap_calendar_is_working_day(date, NULL));
        cr_assert(kap_business_id_ok(kap_span_str(field(&act, "business_id"))));
        cr_assert_str_neq(act.member, field(&act, "to"));
    }
    kap_rehearsal_destroy(&year);
}

Test(rehearsal, options_out_of_bounds_give_nothing)
{
    cr_assert_null(year_of(1, 0));
    cr_assert_null(year_of(1, 100001));
    kap_rehearsal_opts_t opts = {.year = 1970, .referrals = 1, .region = "mikkeli"};
    cr_assert_null(kap_rehearsal_new(&opts));
    opts.year = 9999;
    cr_assert_null(kap_rehearsal_new(&opts));
}
