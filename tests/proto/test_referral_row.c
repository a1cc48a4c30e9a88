/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "err.h"
#include "referral.h"

static kap_buf_t row, again;

static void teardown(void)
{
    kap_buf_fini(&row);
    kap_buf_fini(&again);
}

TestSuite(referral_row, .fini = teardown);

/* A referral as they mostly are. */
static kap_referral_t typical(void)
{
    kap_referral_t r;
    kap_referral_init(&r);
    r.state = KAP_STATE_COMPLETED;
    r.open_state = KAP_STATE_COMPLETED;
    r.kind = KAP_KIND_TRANSFER;
    r.service = KAP_SERVICE_FINANCING;
    r.segment = KAP_SEGMENT_FOUNDER;
    r.outcome = KAP_OUTCOME_HANDLED;
    r.from = KAP_SPAN("te-office");
    r.to = KAP_SPAN("finnvera");
    r.region = KAP_SPAN("mikkeli");
    r.case_id = KAP_SPAN("0193a7b2-7c1e-7d4f-8a5b-1234567890ab");
    r.parent = KAP_SPAN("0193a7b2-7c1e-7d4f-8a5b-1234567890ac");
    r.answer_days = r.contact_days = 10;
    r.created_commit = INT64_C(1772437600000);
    r.created_at = r.created_commit - 10;
    r.delivered_at = r.delivered_commit = r.created_commit + 5000;
    r.accepted_at = r.created_commit + 90000000;
    r.contact_at = r.created_commit + 180000000;
    r.ended_at = r.created_commit + INT64_C(2000000000);
    r.answer_received_at = r.ended_at + 1000;
    r.root_created_at = r.created_at - 1000;
    r.clock_from = r.accepted_at;
    r.due_at = r.answer_due_at = r.accepted_at + INT64_C(1000000000);
    r.news_at = r.answer_received_at;
    r.to_accept = (kap_spent_t){50000000, 89995000};
    r.to_contact = (kap_spent_t){70000000, 179995000};
    r.to_end = (kap_spent_t){1000, 2000};
    r.results = 1u << KAP_RESULT_FUNDING_GRANTED;
    r.customer_to_accept = (kap_spent_t){1, 2};
    return r;
}

static bool comes_back(const kap_referral_t *r)
{
    kap_referral_t back;
    kap_buf_reset(&row);
    kap_buf_reset(&again);
    kap_referral_pack(&row, r);
    cr_assert_eq(row.err, KAP_OK);
    cr_assert_eq(kap_referral_unpack(kap_buf_span(&row), &back), KAP_OK);
    kap_referral_pack(&again, &back);
    return kap_span_eq(kap_buf_span(&row), kap_buf_span(&again)) && back.state == r->state &&
           back.flags == r->flags && back.created_at == r->created_at && back.due_at == r->due_at &&
           back.reason == r->reason && back.to_end.elapsed_ms == r->to_end.elapsed_ms &&
           back.held.working_ms == r->held.working_ms && back.results == r->results &&
           back.to_give_up.working_ms == r->to_give_up.working_ms &&
           back.hold_count == r->hold_count &&
           memcmp(back.holds, r->holds, sizeof back.holds) == 0 &&
           kap_span_eq(back.next, r->next) && kap_span_eq(back.case_id, r->case_id);
}

Test(referral_row, a_typical_row_is_small)
{
    kap_referral_t r = typical();
    cr_expect(comes_back(&r));
    cr_expect_leq(row.size, 250, "%zu bytes", row.size);
}

Test(referral_row, a_fresh_row_comes_back)
{
    kap_referral_t r;
    kap_referral_init(&r);
    cr_expect(comes_back(&r));
}

Test(referral_row, extremes_come_back)
{
    kap_referral_t r = typical();
    char id[200];
    memset(id, 'x', sizeof(id));
    r.next = kap_span(id, sizeof(id));
    r.created_commit = INT64_C(253402300799999);
    r.created_at = -INT64_C(253402300799999);
    r.due_at = INT64_C(253402300799999);
    r.flags = UINT32_MAX;
    r.attempts = UINT32_MAX;
    r.answer_days = UINT16_MAX;
    r.reason = INT16_MAX;
    r.held = (kap_spent_t){INT64_MAX, INT64_MAX};
    r.to_give_up = (kap_spent_t){INT64_MAX, 0};
    r.results = UINT32_MAX;
    r.implied = 255;
    for (r.hold_count = 0; r.hold_count < KAP_REFERRAL_HOLDS; r.hold_count++) {
        r.holds[r.hold_count] = (kap_hold_t){r.created_at, r.created_commit};
    }
    cr_expect(comes_back(&r));
}

Test(referral_row, no_cut_and_no_longer_row_is_read)
{
    kap_referral_t r = typical(), back;
    kap_referral_pack(&row, &r);
    for (size_t cut = 0; cut < row.size; cut++) {
        cr_expect_eq(kap_referral_unpack(kap_span(row.data, cut), &back), KAP_E_CORRUPT);
    }
    kap_buf_u8(&row, 0);
    cr_expect_eq(kap_referral_unpack(kap_buf_span(&row), &back), KAP_E_CORRUPT);
}

Test(referral_row, another_version_is_said)
{
    kap_referral_t r = typical(), back;
    kap_referral_pack(&row, &r);
    row.data[0]++;
    cr_expect_eq(kap_referral_unpack(kap_buf_span(&row), &back), KAP_E_VERSION);
}

Test(referral_row, no_changed_byte_does_harm)
{
    kap_referral_t r = typical(), back;
    kap_referral_pack(&row, &r);
    for (size_t i = 1; i < row.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            row.data[i] ^= (uint8_t)(1 << bit);
            (void)kap_referral_unpack(kap_buf_span(&row), &back);
            row.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    cr_expect_eq(kap_referral_unpack(kap_buf_span(&row), &back), KAP_OK);
}
