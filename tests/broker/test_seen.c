/* SPDX-License-Identifier: MPL-2.0 */
/* Who was heard of when, and the copy that another thread reads. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "seen.h"

Test(seen, keeps_the_latest_time_of_each_member_in_order)
{
    kap_seen_t *seen = kap_seen_new(100);
    kap_arena_t *arena = kap_arena_new(1024);

    kap_seen_note(seen, KAP_SPAN("te"), 200);
    kap_seen_note(seen, KAP_SPAN("ely"), 300);
    kap_seen_note(seen, KAP_SPAN("te"), 400);
    kap_seen_note(seen, KAP_SPAN("te"), 350); /* a clock that goes back takes nothing away */
    const kap_metric_seen_t *copy = kap_seen_copy(seen, 500, arena);
    kap_seen_destroy(&seen); /* the copy stands on its own */
    cr_assert_null(seen);
    cr_expect_eq(copy->now, 500);
    cr_expect_eq(copy->since, 100);
    cr_assert_eq(copy->count, 2);
    cr_expect(kap_span_eq_str(copy->heard[0].member, "ely"));
    cr_expect_eq(copy->heard[0].at, 300);
    cr_expect(kap_span_eq_str(copy->heard[1].member, "te"));
    cr_expect_eq(copy->heard[1].at, 400);
    kap_arena_destroy(&arena);
}

Test(seen, holds_as_many_as_there_are)
{
    kap_seen_t *seen = kap_seen_new(0);
    kap_arena_t *arena = kap_arena_new(1024);
    char name[16];

    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 2000; i++) {
            snprintf(name, sizeof name, "m%04d", i);
            kap_seen_note(seen, kap_span_str(name), round * 10 + i);
        }
    }
    const kap_metric_seen_t *copy = kap_seen_copy(seen, 0, arena);
    cr_assert_eq(copy->count, 2000);
    for (uint32_t i = 0; i < copy->count; i++) {
        snprintf(name, sizeof name, "m%04u", i);
        cr_assert(kap_span_eq_str(copy->heard[i].member, name));
        cr_assert_eq(copy->heard[i].at, 20 + i);
    }
    kap_seen_destroy(&seen);
    kap_arena_destroy(&arena);
}

Test(seen, nobody_was_heard_of_at_first)
{
    kap_seen_t *seen = kap_seen_new(7);
    kap_arena_t *arena = kap_arena_new(1024);

    cr_expect_eq(kap_seen_copy(seen, 7, arena)->count, 0);
    kap_seen_destroy(&seen);
    kap_arena_destroy(&arena);
}
