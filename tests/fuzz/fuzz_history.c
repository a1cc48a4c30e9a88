/* SPDX-License-Identifier: MPL-2.0 */
/* Histories of one referral, four bytes an event: type, who publishes, days and codes. Whatever
 * happens, a terminal referral never reopens, a refusal has a reason, and timer and row agree. */
#include "err.h"
#include "referral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUES = 16, STEP = 4 };

static kap_value_t text_value(kap_field_t field, const char *text)
{
    return (kap_value_t){.field = field, .kind = KAP_VALUE_SPAN, .s = kap_span_str(text)};
}

static kap_value_t int_value(kap_field_t field, int64_t value)
{
    return (kap_value_t){.field = field, .kind = KAP_VALUE_INT, .i = value};
}

static uint32_t fields_of(uint8_t codes, kap_value_t values[VALUES])
{
    static const kap_basis_t basis;
    uint32_t n = 0;
    values[n++] = text_value(KAP_F_REFERRAL, "r1");
    values[n++] = text_value(KAP_F_FROM, "a");
    values[n++] = text_value(KAP_F_TO, codes & 64 ? "external:b" : "b");
    values[n++] = text_value(KAP_F_REGION, "mikkeli");
    values[n++] = text_value(KAP_F_CASE, "c1");
    values[n++] = int_value(KAP_F_KIND, codes % 3);
    values[n++] = int_value(KAP_F_REASON, codes & 7);
    values[n++] = int_value(KAP_F_OUTCOME, codes >> 3 & 1);
    values[n++] = int_value(KAP_F_DETAIL, codes >> 4);
    values[n++] = int_value(KAP_F_CONTACT, codes & 1);
    values[n++] = int_value(KAP_F_SCALE, codes >> 4);
    values[n++] = int_value(KAP_F_SCORE, codes & 15);
    if (codes & 128) {
        values[n++] = int_value(KAP_F_EXPECT_STATE, codes % KAP_STATE_COUNT);
    }
    values[n++] = (kap_value_t){.field = KAP_F_BASIS, .kind = KAP_VALUE_BASIS, .basis = &basis};
    return n;
}

static void check(const kap_referral_t *before, const kap_referral_t *after)
{
    bool was = kap_state_is_terminal(before->state), is = kap_state_is_terminal(after->state);
    KAP_CHECK(!was || after->state == before->state || after->state == KAP_STATE_VOIDED);
    KAP_CHECK(is == (after->ended_at != KAP_REFERRAL_NO_TIME));
    KAP_CHECK(!is || after->due_kind == KAP_DEADLINE_NONE);
    KAP_CHECK(after->to_accept.working_ms <= after->to_accept.elapsed_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kap_value_t values[VALUES];
    kap_referral_t before, after;
    int64_t now = INT64_C(1772437600000), timer = KAP_REFERRAL_NO_TIME;
    kap_referral_init(&before);
    for (size_t i = 0; i + STEP <= size; i += STEP) {
        const uint8_t *step = data + i;
        kap_referral_facts_t facts = {.is_sender = step[1] & 1,
                                      .is_recipient = step[1] & 2,
                                      .is_operator = step[1] & 4,
                                      .is_broker = step[1] & 8,
                                      .archive = step[1] & 16,
                                      .recipient_is_authority = step[1] & 32,
                                      .from_in_region = true,
                                      .to_known = true,
                                      .to_in_region = true,
                                      .root_created_at = KAP_REFERRAL_NO_TIME};
        now += (int64_t)(step[2] & 15) * KAP_DAY_MS;
        kap_event_t ev = {.type = (kap_event_type_t)(step[0] % KAP_EVENT_COUNT),
                          .time = now + ((int64_t)(step[2] >> 4) - 8) * KAP_DAY_MS,
                          .recorded = now,
                          .values = values,
                          .value_count = fields_of(step[3], values)};
        kap_effects_t fx = {0};
        kap_refusal_t why = {0};
        int verdict = kap_referral_judge(&before, &ev, &facts, now, &after, &fx, &why);
        KAP_CHECK((verdict == KAP_VERDICT_REFUSED) == (why.number != KAP_REFUSAL_NONE));
        if (verdict == KAP_VERDICT_REFUSED) {
            continue;
        }
        if (fx.timer != KAP_TIMER_KEEP) {
            timer = fx.timer == KAP_TIMER_SET ? fx.timer_at : KAP_REFERRAL_NO_TIME;
        }
        check(&before, &after);
        bool fires = timer != KAP_REFERRAL_NO_TIME && now >= timer;
        KAP_CHECK(fires == kap_referral_is_due(&after, now));
        before = after;
    }
    return 0;
}
