/* SPDX-License-Identifier: MPL-2.0 */
/* What meeting scenarios do not show: rows, limits, adherence. The rules: tests/scenarios/6*. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "meeting.h"

static kap_buf_t row;
static kap_meeting_t m;
static kap_forum_t f;

static void teardown(void)
{
    kap_buf_fini(&row);
}

TestSuite(meeting, .fini = teardown);

static int64_t noon(const char *day)
{
    kap_date_t date;
    cr_assert_eq(kap_date_parse(kap_span_str(day), &date), KAP_OK);
    return kap_day_start_ms(KAP_ZONE_HELSINKI, date) + 12 * KAP_HOUR_MS;
}

static bool adheres(const char *planned, const char *occurrence, const char *held)
{
    kap_meeting_init(&m);
    m.state = KAP_MEETING_HELD;
    m.first_planned_at = planned ? noon(planned) : KAP_REFERRAL_NO_TIME;
    m.occurrence = kap_span_str(occurrence);
    m.held_at = noon(held);
    return kap_meeting_adheres(&m);
}

Test(meeting, adheres_within_seven_days_of_its_plan)
{
    cr_expect(adheres("2026-03-10", NULL, "2026-03-10"));
    cr_expect(adheres("2026-03-10", NULL, "2026-03-17"));
    cr_expect_not(adheres("2026-03-10", NULL, "2026-03-18"));
    cr_expect(adheres("2026-03-10", NULL, "2026-03-03"));
    cr_expect_not(adheres("2026-03-10", NULL, "2026-03-02"));
    cr_expect(adheres("2026-03-25", NULL, "2026-04-01"), "over a clock change");
    cr_expect(adheres("2026-03-01", "2026-03-20", "2026-03-20"), "the occurrence counts");
    cr_expect_not(adheres(NULL, NULL, "2026-03-20"), "unplanned");
    m.state = KAP_MEETING_CANCELLED;
    cr_expect_not(kap_meeting_adheres(&m));
}

Test(meeting, rows_come_back_as_they_were)
{
    kap_meeting_t back;
    kap_meeting_init(&m);
    m.state = KAP_MEETING_HELD;
    m.unplanned = true;
    m.forum = KAP_SPAN("f1");
    m.region = KAP_SPAN("mikkeli");
    m.owner = KAP_SPAN("te-office");
    m.memo = KAP_SPAN("muistio 1/2026");
    m.held_at = noon("2026-03-01");
    m.topics = 4;
    m.attendees[0] = (kap_attendee_t){KAP_SPAN("ely"), KAP_ATTENDEE_STATED};
    m.attendees[1] = (kap_attendee_t){KAP_SPAN("finnvera"), KAP_ATTENDEE_CONFIRMED};
    m.attendee_count = 2;
    kap_meeting_pack(&row, &m);
    cr_assert_eq(kap_meeting_unpack(kap_buf_span(&row), &back), KAP_OK);
    cr_expect_eq(back.state, KAP_MEETING_HELD);
    cr_expect(back.unplanned);
    cr_expect(kap_span_eq(back.memo, m.memo));
    cr_expect_eq(back.planned_at, KAP_REFERRAL_NO_TIME);
    cr_expect_eq(back.held_at, m.held_at);
    cr_expect_eq(back.attendee_count, 2);
    cr_expect_eq(back.attendees[1].marks, KAP_ATTENDEE_CONFIRMED);
    for (size_t cut = 0; cut < row.size; cut++) {
        cr_expect_eq(kap_meeting_unpack(kap_span(row.data, cut), &back), KAP_E_CORRUPT);
    }
    row.data[0] = 9;
    cr_expect_eq(kap_meeting_unpack(kap_buf_span(&row), &back), KAP_E_VERSION);
}

Test(meeting, forum_rows_come_back_as_they_were)
{
    kap_forum_t back;
    char names[KAP_MEETING_MEMBERS][8];
    kap_forum_init(&f);
    f.set = true;
    f.rrule = KAP_SPAN("FREQ=MONTHLY;COUNT=12");
    f.starts = KAP_SPAN("2026-01-21T09:00");
    f.yearly_target = 20;
    for (int i = 0; i < KAP_MEETING_MEMBERS; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        f.members[f.member_count++] = kap_span_str(names[i]);
    }
    f.dates[f.date_count++] = KAP_SPAN("2026-02-03");
    kap_forum_pack(&row, &f);
    cr_assert_eq(kap_forum_unpack(kap_buf_span(&row), &back), KAP_OK);
    cr_expect(back.set && !back.ended);
    cr_expect(kap_span_eq(back.rrule, f.rrule));
    cr_expect_eq(back.member_count, KAP_MEETING_MEMBERS);
    cr_expect(kap_span_eq_str(back.members[255], "m255"));
    cr_expect_eq(back.yearly_target, 20);
    for (size_t cut = 0; cut < row.size; cut += 11) {
        cr_expect_eq(kap_forum_unpack(kap_span(row.data, cut), &back), KAP_E_CORRUPT);
    }
}

Test(meeting, action_rows_come_back_as_they_were)
{
    kap_action_t a, back;
    kap_action_init(&a);
    a.agreed = true;
    a.meeting = KAP_SPAN("m1");
    a.due = KAP_SPAN("2026-04-01");
    a.agreed_at = 5;
    kap_action_pack(&row, &a);
    cr_assert_eq(kap_action_unpack(kap_buf_span(&row), &back), KAP_OK);
    cr_expect(back.agreed && !back.done);
    cr_expect(kap_span_eq(back.due, a.due));
    cr_expect_eq(back.done_at, KAP_REFERRAL_NO_TIME);
}

Test(meeting, no_changed_byte_of_a_row_does_harm)
{
    kap_meeting_t back;
    kap_meeting_init(&m);
    m.attendee_count = 3;
    kap_meeting_pack(&row, &m);
    for (size_t i = 0; i < row.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            row.data[i] ^= (uint8_t)(1 << bit);
            (void)kap_meeting_unpack(kap_buf_span(&row), &back);
            row.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    cr_expect_eq(kap_meeting_unpack(kap_buf_span(&row), &back), KAP_OK);
}

Test(meeting, zeroed_facts_refuse_everything)
{
    static const kap_meeting_facts_t facts;
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        kap_event_t ev = {.type = (kap_event_type_t)type};
        kap_effects_t fx;
        kap_refusal_t why = {0};
        kap_action_t a;
        cr_expect_eq(kap_meeting_judge(NULL, &ev, &facts, 0, &m, &fx, &why), KAP_VERDICT_REFUSED);
        cr_expect_eq(kap_forum_judge(NULL, &ev, &facts, 0, &f, &fx, &why), KAP_VERDICT_REFUSED);
        cr_expect_eq(kap_action_judge(NULL, &ev, &facts, 0, &a, &fx, &why), KAP_VERDICT_REFUSED);
        cr_expect_neq(why.number, KAP_REFUSAL_NONE);
    }
}
