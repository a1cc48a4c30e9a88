/* SPDX-License-Identifier: MPL-2.0 */
/* Local acts: every verb becomes its event, every mistake a sentence. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "act_value.h"
#include "err.h"
#include "rig.h"

enum { MUNICIPALITY, TE_OFFICE, FINNVERA, MENTOR, ADVISER };

#define BASIS                                                                                      \
    "basis.disclosure", "customer_consent", "basis.gdpr", "6.1.a", "basis.consent_date",           \
        "2026-01-02"

/* A node without a broker: acts are durable all the same. */
static kap_node_t *alone(rig_t **rig, const char *more)
{
    *rig = rig_new();
    return rig_node_open(*rig, MUNICIPALITY, &rig_actor, more);
}

static void refused(kap_act_result_t result, const char *code, const char *field, const char *part)
{
    cr_expect_not(result.accepted, "taken, but %s was due", code);
    cr_expect_str_eq(result.code, code, "%s instead of %s: %s", result.code, code, result.sentence);
    cr_expect_str_eq(result.field, field, "%s: field %s", code, result.field);
    cr_expect(strstr(result.sentence, part), "%s: %s", code, result.sentence);
    cr_expect_eq(result.act, 0);
}

Test(act, refuses_with_a_sentence_that_says_what_is_right, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    refused(rig_act(node, "send", NULL), "act.verb", "", "refer, accept, decline");
    refused(rig_act(node, "refer", "too", "finnvera", NULL), "act.field", "too", "service");
    refused(rig_act(node, "refer", "to", "a", "to", "b", NULL), "act.twice", "to", "once");
    refused(rig_act(node, "refer", "kind", "gift", NULL), "act.value", "kind", "guidance");
    refused(rig_act(node, "refer", "to", "nokia", "service", "financing", NULL), "act.no_member",
            "to", "external:<type>");
    refused(rig_act(node, "refer", "need", "131052-308T", NULL), "act.personal_id", "need",
            "personal identity code");
    refused(rig_act(node, "refer", "business_id", "2617416-5", "to", "finnvera", "service",
                    "financing", BASIS, NULL),
            "act.business_id", "business_id", "check digit");
    refused(rig_act(node, "refer", "time", "2099-01-01T00:00:00Z", NULL), "act.future", "time",
            "future");
    refused(rig_act(node, "refer", "time", "yesterday", NULL), "act.value", "time", "21.11.2026");
    refused(rig_act(node, "refer", "to", "finnvera", BASIS, NULL), "act.missing", "service",
            "startup-advice");
    refused(rig_act(node, "refer", "to", "finnvera", "service", "financing", "basis.gdpr", "6.1.a",
                    NULL),
            "malformed.basis", "basis", "disclosure and gdpr");
    refused(
        rig_act(node, "refer", "to", "finnvera", "service", "financing", "basis.gdpr", "7", NULL),
        "act.value", "basis.gdpr", "6.1.a");
    refused(rig_act(node, "refer", "to", "finnvera", "service", "financing", "basis.disclosure",
                    "customer_consent", "basis.gdpr", "6.1.a", "basis.consent_date", "31.2.2026",
                    NULL),
            "act.value", "basis.consent_date", "'31.2.2026' is not a day");
    refused(rig_act(node, "refer", "service", "export", BASIS, NULL), "act.nobody", "to",
            "export in mikkeli");
    refused(rig_act(node, "refer", "service", "tax", BASIS, NULL), "act.choose", "to", "tax");
    refused(rig_act(node, "refer", "to", "te-office", "service", "recruitment", "region", "jamsa",
                    BASIS, NULL),
            "illegal.from_region", "", "sender's");
    refused(rig_act(node, "refer", "to", "municipality", "service", "financing", BASIS, NULL),
            "illegal.to_self", "", "differ");
    refused(rig_act(node, "accept", NULL), "act.missing", "referral", "which referral");
    refused(rig_act(node, "accept", "referral", "r-1", NULL), "act.unknown", "referral", "inbox");
    cr_assert(rig_is_empty(rig, node));
    rig_destroy(&rig);
}

Test(act, refuses_what_is_reported_with_a_sentence_too, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    refused(rig_act(node, "tally", "to", "ely", "period", "2025", "count", "many", NULL),
            "act.value", "count", "whole number");
    refused(rig_act(node, "tally", "to", "ely", "period", "2025", "count", "-5", NULL), "act.value",
            "count", "'-5' is not a whole number");
    refused(rig_act(node, "tally", "to", "ely", "period", "2025", "count", "1000000001", NULL),
            "act.value", "count", "0 to 1000000000");
    refused(rig_act(node, "tally", "to", "ely", "count", "5", NULL), "act.missing", "period",
            "a period, as 2026");
    refused(rig_act(node, "forum", "forum", "f", "forum_kind", "plot", "members",
                    "finnvera, nobody", NULL),
            "act.no_member", "members", "'nobody'");
    refused(
        rig_act(node, "meeting-hold", "forum_kind", "plot", "attendance", "nobody=remote", NULL),
        "act.no_member", "attendance", "'nobody'");
    refused(rig_act(node, "report", "type", "referral.created", NULL), "act.type", "type",
            "advice.given");
    refused(rig_act(node, "statement-give", "statement", "s", "statement_result", "for", NULL),
            "act.unknown", "statement", "statement");
    refused(rig_act_key(node,
                        "0123456789012345678901234567890123456789012345678901234567890123456789"
                        "0123456789012345678901234567890123456789012345678901234567890123456789"
                        "0123456789012345678901234567890123456789012345678901234567890123456789",
                        "tally", NULL),
            "act.key", "key", "200 bytes");
    cr_assert(rig_is_empty(rig, node));
    rig_destroy(&rig);
}

Test(act, lists_the_candidates_when_there_is_not_exactly_one, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    kap_act_result_t r = rig_act(node, "refer", "service", "recruitment", BASIS, NULL);
    cr_assert_str_eq(r.code, "act.choose");
    cr_assert_eq(r.candidate_count, 2);
    cr_assert_str_eq(r.candidates[0], "mentor");
    cr_assert_str_eq(r.candidates[1], "te-office");
    r = rig_act(node, "refer", "service", "tax", BASIS, NULL);
    cr_assert_eq(r.candidate_count, 1, "a private provider is listed, never chosen");
    r = rig_act(node, "refer", "service", "starttiraha", BASIS, NULL);
    cr_assert(r.accepted, "a service by its Finnish word, one offers it: %s", r.sentence);
    rig_destroy(&rig);
}

Test(act, is_durable_before_it_is_accepted, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    kap_act_result_t r = rig_act_key(node, "spool/7", "refer", "to", "finnvera", "service",
                                     "financing", BASIS, NULL);
    cr_assert(r.accepted, "%s", r.sentence);
    rig_node_close(rig, MUNICIPALITY);
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    cr_assert_str_eq(rig_state(node, r.subject), "created");
    kap_act_fate_t fate;
    cr_assert_eq(kap_act_fate(node, r.act, &fate), KAP_OK);
    cr_assert_eq(fate.fate, KAP_FATE_QUEUED);
    cr_assert_eq(fate.verb, KAP_ACT_REFER);
    kap_act_result_t again = rig_act_key(node, "spool/7", "refer", "to", "finnvera", "service",
                                         "financing", BASIS, NULL);
    cr_assert(again.accepted && again.repeated);
    cr_assert_eq(again.act, r.act);
    cr_assert_str_eq(again.subject, r.subject);
    rig_destroy(&rig);
}

Test(act, many_in_one_commit_with_the_mark_of_their_file, .timeout = 60)
{
    enum { N = 2000 };
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    static kap_act_t acts[N];
    static kap_act_result_t results[N];
    static char counts[N][8];
    static kap_act_field_t fields[N][3];
    for (int i = 0; i < N; i++) {
        snprintf(counts[i], sizeof counts[i], "%s", i == 1000 ? "none" : "3");
        fields[i][0] = (kap_act_field_t){KAP_SPAN("to"), KAP_SPAN("te-office")};
        fields[i][1] = (kap_act_field_t){KAP_SPAN("period"), KAP_SPAN("2025-03")};
        fields[i][2] = (kap_act_field_t){KAP_SPAN("count"), kap_span_str(counts[i])};
        acts[i] = (kap_act_t){.verb = KAP_SPAN("tally"), .fields = fields[i], .count = 3};
    }
    kap_act_mark_t mark = {.key = KAP_SPAN("spool/a.csv"), .value = KAP_SPAN("row 2000")};
    cr_assert_eq(kap_act_submit_many(node, acts, N, &mark, results), KAP_OK);
    cr_assert_not(results[1000].accepted);
    cr_assert_str_eq(results[1000].field, "count");
    cr_assert(results[999].accepted && results[1001].accepted);
    cr_assert_eq(results[N - 1].act, N - 1);
    kap_buf_t value;
    kap_buf_init(&value);
    cr_assert_eq(kap_act_mark_get(node, mark.key, &value), KAP_OK);
    cr_assert(kap_span_eq(kap_buf_span(&value), mark.value));
    kap_buf_fini(&value);
    rig_destroy(&rig);
}

Test(act, a_full_outbox_and_a_full_disk_refuse_clearly_and_lose_nothing, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, "outbox: { max_events = 100; };");
    kap_act_result_t r;
    for (int i = 0; i < 100; i++) {
        r = rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "1", NULL);
        cr_assert(r.accepted, "%s", r.sentence);
    }
    r = rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "1", NULL);
    cr_assert_not(r.accepted);
    cr_assert_str_eq(r.code, "act.full");
    rig_node_close(rig, MUNICIPALITY);
    rig->store_more = "reserve = \"1000GiB\";";
    node = rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    r = rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "1", NULL);
    cr_assert_not(r.accepted);
    cr_assert_str_eq(r.code, "act.disk");
    kap_buf_t health;
    kap_buf_init(&health);
    cr_assert_eq(kap_node_health(node, &health), KAP_OK);
    cr_assert(strstr(kap_buf_cstr(&health), "\"ok\":false"));
    cr_assert(strstr(kap_buf_cstr(&health), "\"waiting\":100"));
    kap_buf_fini(&health);
    rig_destroy(&rig);
}

Test(act, tried_only_is_stored_nowhere, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    kap_act_field_t fields[] = {{KAP_SPAN("to"), KAP_SPAN("te-office")},
                                {KAP_SPAN("period"), KAP_SPAN("2025")},
                                {KAP_SPAN("count"), KAP_SPAN("4")}};
    kap_act_t act = {.verb = KAP_SPAN("tally"), .fields = fields, .count = 3};
    kap_act_result_t r;
    cr_assert_eq(kap_act_try(node, &act, &r), KAP_OK);
    cr_assert(r.accepted);
    cr_assert(rig_is_empty(rig, node));
    fields[2].value = KAP_SPAN("-4");
    cr_assert_eq(kap_act_try(node, &act, &r), KAP_OK);
    cr_assert_not(r.accepted);
    rig_destroy(&rig);
}

Test(act, a_draining_node_takes_nothing, .timeout = 60)
{
    rig_t *rig;
    kap_node_t *node = alone(&rig, NULL);
    node->draining = true;
    kap_act_result_t r =
        rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "1", NULL);
    cr_assert_str_eq(r.code, "act.draining");
    rig_destroy(&rig);
}

static int no_tallies(void *state, kap_node_t *node, const kap_act_t *act, kap_act_result_t *result)
{
    (void)state;
    (void)node;
    if (!kap_span_eq_str(act->verb, "tally"))
        return KAP_OK;
    snprintf(result->code, sizeof result->code, "actor.tally");
    snprintf(result->sentence, sizeof result->sentence, "this actor keeps no tally sheet");
    return KAP_E_DENIED;
}

Test(act, the_actors_own_rule_comes_first, .timeout = 60)
{
    kap_actor_t strict = rig_actor;
    strict.rule = no_tallies;
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MUNICIPALITY, &strict, NULL);
    kap_act_result_t r =
        rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "1", NULL);
    cr_assert_str_eq(r.code, "actor.tally");
    rig_destroy(&rig);
}

/* --- times as people write them --- */

Test(act, reads_times_as_people_write_them)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"2026-11-21T12:05:00Z", 1795262700000}, {"2026-11-21T14:05:00+02:00", 1795262700000},
        {"2026-11-21 14:05", 1795262700000},     {"21.11.2026 14:05", 1795262700000},
        {"21.11.2026 klo 14.05", 1795262700000}, {"1795262700000", 1795262700000},
        {"2026-11-21", 1795212000000},           {"21.11.2026", 1795212000000}};
    static const char *const bad[] = {"",           "2026",        "31.2.2026", "21.11.2026 25:00",
                                      "21.11.26",   "tomorrow",    "12:00",     "2026-11-21 14",
                                      "2026-13-01", "21.11.2026x", "1e12"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect_eq(kap_act_time_parse(kap_span_str(good[i].text), &ms), KAP_OK, "%s",
                     good[i].text);
        cr_expect_eq(ms, good[i].ms, "%s is %lld", good[i].text, (long long)ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_neq(kap_act_time_parse(kap_span_str(bad[i]), &ms), KAP_OK, "%s", bad[i]);
}

/* --- every verb --- */

typedef struct {
    const char *type;
    size_t count;
} seen_t;

static bool is_seen(rig_t *rig, void *arg)
{
    const seen_t *seen = arg;
    return rig_count(rig, seen->type) >= seen->count;
}

static void comes(rig_t *rig, kap_act_result_t result, const char *type)
{
    seen_t seen = {.type = type, .count = 1};
    cr_assert(result.accepted, "%s: %s %s (%s)", type, result.code, result.sentence, result.field);
    rig_until(rig, is_seen, &seen, type);
}

/* A referral that has been delivered to the TE office. */
static const char *delivered(rig_t *rig, const char *kind, char id[201])
{
    kap_act_result_t r =
        rig_act(rig->nodes[MUNICIPALITY], "refer", "to", "te-office", "service", "recruitment",
                "kind", kind, "region", "mikkeli", BASIS, "company", "Kone Oy", NULL);
    cr_assert(r.accepted, "%s (%s)", r.sentence, r.field);
    strcpy(id, r.subject);
    rig_until_state(rig, rig->nodes[TE_OFFICE], id, "delivered");
    rig_until_state(rig, rig->nodes[MUNICIPALITY], id, "delivered");
    return id;
}

static rig_t *pair(void)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    return rig;
}

Test(act, every_act_on_a_referral_becomes_its_event, .timeout = 60)
{
    rig_t *rig = pair();
    kap_node_t *sender = rig->nodes[MUNICIPALITY], *office = rig->nodes[TE_OFFICE];
    char a[201], b[201], c[201], d[201], e[201];
    delivered(rig, "transfer", a);
    comes(rig, rig_act(office, "accept", "referral", a, "role", "business_adviser", NULL),
          "kapula.referral.accepted.v1");
    comes(rig, rig_act(office, "hold", "referral", a, "reason", "waiting_customer", NULL),
          "kapula.referral.held.v1");
    comes(rig, rig_act(office, "resume", "referral", a, NULL), "kapula.referral.resumed.v1");
    comes(
        rig,
        rig_act(office, "contacted", "referral", a, "result", "reached", "channel", "phone", NULL),
        "kapula.referral.contacted.v1");
    comes(rig, rig_act(office, "note", "referral", a, "note", "soitetaan taas", NULL),
          "kapula.referral.noted.v1");
    comes(rig,
          rig_act(sender, "share", "referral", a, "with", "finnvera", BASIS, "company", "Kone Oy",
                  NULL),
          "kapula.referral.shared.v1");
    comes(rig,
          rig_act(office, "complete", "referral", a, "outcome", "handled", "results",
                  "recruited,exported", NULL),
          "kapula.referral.completed.v1");
    comes(rig, rig_act(sender, "feedback", "referral", a, "scale", "4", "score", "3", NULL),
          "kapula.referral.feedback_given.v1");
    delivered(rig, "transfer", b);
    comes(rig, rig_act(office, "decline", "referral", b, "reason", "no_capacity", NULL),
          "kapula.referral.declined.v1");
    comes(rig, rig_act(sender, "void", "referral", b, "reason", "mistake", NULL),
          "kapula.referral.voided.v1");
    delivered(rig, "transfer", c);
    comes(rig, rig_act(sender, "withdraw", "referral", c, "reason", "customer_request", NULL),
          "kapula.referral.withdrawn.v1");
    delivered(rig, "guidance", d);
    comes(rig, rig_act(office, "did-not-come", "referral", d, NULL),
          "kapula.referral.did_not_come.v1");
    comes(rig, rig_act(office, "came", "referral", d, NULL), "kapula.referral.came.v1");
    delivered(rig, "lead", e);
    comes(rig, rig_act(sender, "consent-withdrawn", "referral", e, NULL),
          "kapula.referral.consent_withdrawn.v1");
    rig_destroy(&rig);
}

Test(act, an_impossible_act_is_refused_at_once_with_the_present_state, .timeout = 60)
{
    rig_t *rig = pair();
    kap_node_t *sender = rig->nodes[MUNICIPALITY], *office = rig->nodes[TE_OFFICE];
    char id[201];
    delivered(rig, "transfer", id);
    refused(rig_act(sender, "accept", "referral", id, NULL), "not_allowed.recipient", "",
            "recipient");
    refused(rig_act(office, "came", "referral", id, NULL), "illegal.kind", "", "guidance");
    refused(rig_act(office, "accept", "referral", id, "expect_state", "created", NULL),
            "illegal.expect_state", "", "delivered");
    refused(rig_act(office, "decline", "referral", id, "reason", "wrong_service", NULL),
            "illegal.must_advise", "", "authority");
    cr_assert(rig_act(office, "complete", "referral", id, "outcome", "handled", NULL).accepted);
    /* Its own act is still on its way: the state ahead refuses already. */
    refused(rig_act(office, "decline", "referral", id, "reason", "no_capacity", NULL),
            "illegal.ended", "", "completed");
    rig_until_state(rig, sender, id, "completed");
    refused(rig_act(sender, "withdraw", "referral", id, "reason", "other", NULL), "illegal.ended",
            "", "completed");
    rig_destroy(&rig);
}

Test(act, a_redirect_travels_with_its_child_and_hands_the_contents_on, .timeout = 60)
{
    rig_t *rig = pair();
    kap_node_t *sender = rig->nodes[MUNICIPALITY], *office = rig->nodes[TE_OFFICE];
    kap_node_t *mentor = rig_node_open(rig, MENTOR, &rig_actor, NULL);
    char id[201];
    delivered(rig, "transfer", id);
    kap_act_result_t r = rig_act(office, "redirect", "referral", id, "reason", "wrong_service",
                                 "next.to", "mentor", "next.service", "mentoring", NULL);
    cr_assert(r.accepted, "%s (%s)", r.sentence, r.field);
    rig_until_state(rig, mentor, r.next, "delivered");
    rig_until_state(rig, sender, id, "redirected");
    cr_assert_str_eq(rig_state(office, id), "redirected");
    const rig_event_t *first = rig_find(rig, "kapula.referral.redirected.v1", 0);
    const rig_event_t *child = rig_find(rig, "kapula.referral.created.v1", 1);
    cr_assert_eq(child->sequence, first->sequence + 1);
    cr_assert(child->sealed.size > 0, "the contents were sealed anew to the next member");
    kap_act_fate_t fate;
    cr_assert_eq(kap_act_fate(office, r.act, &fate), KAP_OK);
    cr_assert_eq(fate.fate, KAP_FATE_COMMITTED, "one act, two events");
    rig_destroy(&rig);
}

Test(act, forums_meetings_actions_tallies_statements_and_reports, .timeout = 60)
{
    rig_t *rig = pair();
    kap_node_t *node = rig->nodes[MUNICIPALITY], *office = rig->nodes[TE_OFFICE];
    comes(rig,
          rig_act(node, "forum", "forum", "tyoryhma", "forum_kind", "working_group", "members",
                  "municipality, te-office", "rrule", "FREQ=MONTHLY", "dtstart", "2026-01-15 09:00",
                  NULL),
          "kapula.forum.set.v1");
    kap_act_result_t plan = rig_act(node, "meeting-plan", "forum", "tyoryhma", "starts_at",
                                    "15.12.2026 09:00", "place", "Mikkeli", NULL);
    comes(rig, plan, "kapula.meeting.planned.v1");
    comes(rig,
          rig_act(node, "meeting-move", "meeting", plan.subject, "starts_at", "2026-12-16 09:00",
                  "reason", "sairaus", NULL),
          "kapula.meeting.moved.v1");
    comes(rig,
          rig_act(node, "meeting-hold", "meeting", plan.subject, "attendance",
                  "municipality, te-office=etänä", "topics", "4", NULL),
          "kapula.meeting.held.v1");
    comes(rig, rig_act(node, "meeting-attend", "meeting", plan.subject, NULL),
          "kapula.meeting.attended.v1");
    refused(rig_act(node, "meeting-cancel", "meeting", plan.subject, NULL), "illegal.meeting_state",
            "meeting", "held");
    kap_act_result_t action = rig_act(node, "action-agree", "meeting", plan.subject, "what",
                                      "soitetaan yrityksille", "due", "31.1.2027", NULL);
    comes(rig, action, "kapula.action.agreed.v1");
    comes(rig, rig_act(node, "action-done", "action", action.subject, NULL),
          "kapula.action.done.v1");
    kap_act_result_t other =
        rig_act(node, "meeting-plan", "starts_at", "2026-12-20 10:00", "forum_kind", "plot", NULL);
    comes(rig, other, "kapula.meeting.planned.v1");
    comes(rig, rig_act(node, "meeting-cancel", "meeting", other.subject, NULL),
          "kapula.meeting.cancelled.v1");
    comes(rig, rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "12", NULL),
          "kapula.handover.tallied.v1");
    comes(rig,
          rig_act(node, "report", "type", "advice.given", "service", "startup-advice", "segment",
                  "founder", "channel", "phone", "count", "2", NULL),
          "kapula.advice.given.v1");
    comes(rig, rig_act(node, "report", "type", "kapula.plan.item_set.v1", "what", "messut", NULL),
          "kapula.plan.item_set.v1");
    kap_act_result_t asked =
        rig_act(office, "statement-ask", "statement_kind", "startup_grant", "to", "municipality",
                "company", "Uusi Oy", "business_id", "2617416-4", NULL);
    comes(rig, asked, "kapula.statement.asked.v1");
    rig_until(rig, rig_is_empty, office, "the office's outbox is empty");
    kap_act_result_t given;
    for (int i = 0; i < 200; i++) { /* it comes in the stream */
        given = rig_act(node, "statement-give", "statement", asked.subject, "statement_result",
                        "for", "note", "puollan", NULL);
        if (given.accepted)
            break;
        rig_turns(rig, 10);
    }
    comes(rig, given, "kapula.statement.given.v1");
    rig_destroy(&rig);
}

Test(act, what_the_broker_refuses_shows_as_its_fate, .timeout = 60)
{
    rig_t *rig = pair();
    kap_node_t *office = rig->nodes[TE_OFFICE];
    char id[201];
    delivered(rig, "transfer", id);
    rig->broker->refuse = "kapula.referral.accepted.v1";
    kap_act_result_t r = rig_act(office, "accept", "referral", id, NULL);
    cr_assert_str_eq(rig_state(office, id), "accepted", "ahead of the broker");
    rig_until_state(rig, office, id, "delivered");
    kap_act_fate_t fate;
    cr_assert_eq(kap_act_fate(office, r.act, &fate), KAP_OK);
    cr_assert_eq(fate.fate, KAP_FATE_REFUSED);
    cr_assert_str_eq(fate.code, "illegal.state");
    cr_assert(strlen(fate.sentence) > 10);
    rig_destroy(&rig);
}
