/* SPDX-License-Identifier: MPL-2.0 */
#include "finnvera.h"

#include <stdio.h>
#include <string.h>

#include "act_value.h"
#include "err.h"
#include "log.h"
#include "record.h"
#include "spool.h"

/* Codes that stand for themselves until the configuration says those of the real system. Granted
 * and refused are both `handled`: the class must not tell them apart. */
static const char codes_default[] =
    "myönnetty=handled/funding_granted,osittain=handled/served_partly,"
    "hylätty=handled/funding_refused,neuvottu=handled/advice_only,"
    "ei edellytyksiä=not_handled/not_eligible,ei tavoitettu=not_handled/no_contact,"
    "peruttu=not_handled/customer_withdrew,ohjattu=passed_on";

static const kap_conf_key_t keys[] = {
    {"finnvera.applications", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Folder where each referral that arrives is written as an application, REFERRAL.json; removed "
     "when the referral has ended.",
     NULL, false},
    {"finnvera.decisions", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Folder where decision files are dropped (CSV, JSON lines); done and refused lie in it.", NULL,
     false},
    {"finnvera.codes", KAP_CONF_MAP, codes_default, 1, 500, "codes",
     "Decision codes: outcome, or outcome/detail.", NULL, false},
    {"finnvera.open_detail", KAP_CONF_BOOL, "false", 0, 0, NULL,
     "The detail of the outcome goes to the ends part instead of the sealed one.", NULL, false},
    {NULL}};

static const kap_actor_column_t columns[] = {
    {"Rahoitustarve|Hankkeen kuvaus", "need", NULL, "what is to be financed"},
    {"Hakijayritys", "company", NULL, "name of the company"},
    {"Päätösnumero", "own_reference", NULL, "number in the financier's register"},
    {NULL}};

static const char *const types[] = {"finnvera", NULL};

/* --- rules --- */

static int rule(void *state, kap_node_t *node, const kap_act_t *act, kap_act_result_t *result)
{
    (void)state;
    if (kap_conf_bool(kap_node_conf(node), "finnvera.open_detail") ||
        !kap_span_eq_str(act->verb, "complete"))
        return KAP_OK;
    const char *field = !kap_span_empty(kap_act_field(act, "", "detail"))    ? "detail"
                        : !kap_span_empty(kap_act_field(act, "", "results")) ? "results"
                                                                             : NULL;
    if (!field)
        return KAP_OK;
    snprintf(result->code, sizeof result->code, "finnvera.sealed_detail");
    snprintf(result->field, sizeof result->field, "%s", field);
    snprintf(result->sentence, sizeof result->sentence,
             "what exactly was decided stays sealed here: say it as sealed.detail, or set "
             "finnvera.open_detail = true");
    return KAP_E_DENIED;
}

/* --- applications out --- */

static int received(void *state, kap_node_t *node, const kap_received_t *event)
{
    const kap_folder_t *applications = state;
    char name[KAP_FOLDER_NAME_BYTES];
    if (!applications || !event->referral ||
        !kap_span_eq_str(event->referral->to, kap_node_member(node)))
        return KAP_OK;
    kap_span_t referral = kap_event_span(event->event, KAP_F_REFERRAL);
    kap_folder_name_of(referral, ".json", name);
    if (kap_state_is_terminal(event->referral->state))
        return kap_folder_remove(applications, name);
    if (event->event->type != KAP_EV_REFERRAL_CREATED)
        return KAP_OK;
    if (!event->event->has_sealed || event->unsealed)
        return kap_record_write(applications, name, event);
    KAP_LOG(KAP_LOG_ERROR, "application_unreadable", KAP_SP("referral", referral),
            KAP_S("what", "its contents do not open here; ask the sender to send it again"));
    return KAP_OK;
}

/* --- decisions in --- */

static int code_unknown(const kap_conf_t *conf, kap_span_t code, kap_intake_why_t *why)
{
    const char *own, *outcome;
    size_t at = (size_t)snprintf(why->reason, sizeof why->reason,
                                 "'%.*s' is no decision code of finnvera.codes; they are ",
                                 KAP_SPAN_ARGS(kap_span_sub(code, 0, 60)));
    snprintf(why->column, sizeof why->column, "Päätös");
    for (size_t i = 0; at < sizeof why->reason &&
                       kap_conf_map_item(conf, "finnvera.codes", i, &own, &outcome) == KAP_OK;
         i++)
        at +=
            (size_t)snprintf(why->reason + at, sizeof why->reason - at, "%s%s", i ? ", " : "", own);
    return KAP_E_DENIED;
}

/* The code of a decision becomes outcome and, where it may be seen, detail. */
static int adapt(void *arg, kap_intake_act_t *act, kap_arena_t *arena, kap_intake_why_t *why)
{
    const kap_conf_t *conf = arg;
    const char *own, *outcome, *found = NULL;
    kap_span_t code = kap_intake_act_get(act, "code");
    (void)arena;
    if (!kap_span_empty(kap_intake_act_get(act, "outcome")) && kap_span_empty(code))
        return KAP_OK;
    for (size_t i = 0;
         !found && kap_conf_map_item(conf, "finnvera.codes", i, &own, &outcome) == KAP_OK; i++)
        if (kap_mapping_is_word(code, own))
            found = outcome;
    if (!found)
        return code_unknown(conf, code, why);
    kap_intake_act_drop(act, "code");
    size_t n = strcspn(found, "/");
    bool open = kap_conf_bool(conf, "finnvera.open_detail");
    int rc = kap_intake_act_set(act, "outcome", kap_span(found, n));
    if (rc == KAP_OK && found[n])
        rc =
            kap_intake_act_set(act, open ? "detail" : "sealed.detail", kap_span_str(found + n + 1));
    return rc;
}

static bool code_ok(const char *outcome)
{
    size_t n = strcspn(outcome, "/");
    return kap_code_parse(KAP_LIST_OUTCOME, kap_span(outcome, n)) >= 0 &&
           (!outcome[n] || kap_code_parse(KAP_LIST_DETAIL, kap_span_str(outcome + n + 1)) >= 0);
}

static int codes_check(const kap_conf_t *conf)
{
    const char *own, *outcome;
    for (size_t i = 0; kap_conf_map_item(conf, "finnvera.codes", i, &own, &outcome) == KAP_OK; i++)
        if (!code_ok(outcome)) {
            KAP_LOG(KAP_LOG_ERROR, "finnvera_codes", KAP_S("code", own), KAP_S("outcome", outcome),
                    KAP_S("what", "say handled, not_handled or passed_on, and after a / a detail "
                                  "such as funding_granted"));
            return KAP_E_CONFIG;
        }
    return KAP_OK;
}

static int decisions_start(kap_node_t *node, void **state)
{
    const kap_conf_t *conf = kap_node_conf(node);
    kap_spool_opts_t opts = {.name = "decisions",
                             .directory = kap_conf_str(conf, "finnvera.decisions"),
                             .is_in = true,
                             .kind = KAP_INTAKE_DECISION,
                             .kinds = KAP_SPOOL_KIND(DECISION),
                             .columns = columns,
                             .adapt = adapt,
                             .adapt_arg = (void *)conf};
    *state = NULL;
    return opts.directory ? kap_spool_open(node, &opts, (kap_spool_t **)state) : KAP_OK;
}

/* --- life --- */

/* The state is the folder of applications. */
static int opened(kap_node_t *node, void **state)
{
    int rc = codes_check(kap_node_conf(node));
    return rc == KAP_OK ? kap_record_folder(node, "finnvera.applications", state) : rc;
}

static const kap_node_extra_t decisions = {
    .name = "decisions", .start = decisions_start, .stop = kap_spool_stop};
static const kap_node_extra_t *const extras[] = {&kap_spool_extra, &decisions, NULL};

const kap_actor_t kap_finnvera = {
    .program = "kapula-finnvera",
    .summary = "the adapter beside Finnvera's own systems: applications out, decisions in",
    .types = types,
    .columns = columns,
    .keys = keys,
    .extras = extras,
    .opened = opened,
    .closing = kap_record_folder_close,
    .rule = rule,
    .received = received,
};
