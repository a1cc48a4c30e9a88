/* SPDX-License-Identifier: MPL-2.0 */
/* Two nodes and a broker: what is sent arrives, is confirmed by itself, and is answered. */
#include <criterion/criterion.h>
#include <string.h>

#include "err.h"
#include "rig.h"

enum { MUNICIPALITY, TE_OFFICE, FINNVERA, MENTOR, ADVISER };

#define REFER                                                                                      \
    "region", "mikkeli", "basis.disclosure", "customer_consent", "basis.gdpr", "6.1.a",            \
        "basis.consent_date", "2026-01-02", "company", "Kone Oy", "business_id", "2617416-4",      \
        "need", "laina koneeseen"

static bool delivered_back(rig_t *rig, void *arg)
{
    (void)arg;
    return rig_count(rig, "kapula.referral.answer_received.v1") == 1;
}

Test(flow, a_referral_goes_through_delivered_and_answer_by_itself, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *sender = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    kap_node_t *bank = rig_node_open(rig, FINNVERA, &rig_actor, NULL);
    kap_act_result_t sent =
        rig_act(sender, "refer", "to", "finnvera", "service", "financing", REFER, NULL);
    cr_assert(sent.accepted, "%s: %s (%s)", sent.code, sent.sentence, sent.field);
    cr_assert_str_eq(rig_state(sender, sent.subject), "created");
    rig_until_state(rig, bank, sent.subject, "delivered");
    rig_until_state(rig, sender, sent.subject, "delivered");
    kap_act_result_t took = rig_act(bank, "accept", "referral", sent.subject, NULL);
    cr_assert(took.accepted, "%s", took.sentence);
    took = rig_act(bank, "complete", "referral", sent.subject, "outcome", "handled", "detail",
                   "funding_granted", "note", "Myönnetty", NULL);
    cr_assert(took.accepted, "%s", took.sentence);
    rig_until_state(rig, sender, sent.subject, "completed");
    rig_until(rig, delivered_back, NULL, "answer_received");
    rig_until(rig, rig_is_empty, sender, "the outbox is empty");
    rig_until(rig, rig_is_empty, bank, "the outbox is empty");
    cr_assert_eq(rig_count(rig, "kapula.referral.delivered.v1"), 1);
    kap_act_fate_t fate;
    cr_assert_eq(kap_act_fate(sender, sent.act, &fate), KAP_OK);
    cr_assert_eq(fate.fate, KAP_FATE_COMMITTED);
    cr_assert_eq(fate.log_seq, 1);
    rig_destroy(&rig);
}
