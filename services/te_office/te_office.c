/* SPDX-License-Identifier: MPL-2.0 */
#include "te_office.h"

#include <stdio.h>

#include "act_value.h"
#include "err.h"
#include "record.h"
#include "spool.h"

static const kap_conf_key_t keys[] = {
    {"te_office.statements", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Folder where statements are written: asked-ID.json that this office is asked for, "
     "given-ID.json that it asked for and got.",
     NULL, false},
    {NULL}};

static const kap_actor_column_t columns[] = {
    {"Hakija|Starttirahan hakija", "person", NULL, "who applies for the start-up grant"},
    {"Hakemuksen numero|Hakemusnumero", "own_reference", NULL, "number in the own register"},
    {"Suunniteltu yritystoiminta", "need", NULL, "what the business will be"},
    {"Perustettava yritys", "company", NULL, "name of the company to be"},
    {"Lausunnon antajan nimi", "to", NULL, "member that is asked"},
    {"Asiointipäivä", "time", NULL, "day"},
    {NULL}};

static const char *const types[] = {"te-office", "employment-area", NULL};

/* The state is the folder of statements. */
static int opened(kap_node_t *node, void **state)
{
    return kap_record_folder(node, "te_office.statements", state);
}

/* An authority sends nobody away without saying where to turn. The broker would refuse it too; here
 * the sentence names both ways out. */
static int rule(void *state, kap_node_t *node, const kap_act_t *act, kap_act_result_t *result)
{
    kap_span_t reason = kap_act_field(act, "", "reason");
    (void)state;
    (void)node;
    bool sent_away =
        kap_span_eq_str(act->verb, "decline") &&
        (kap_span_eq_str(reason, "wrong_service") || kap_span_eq_str(reason, "wrong_area"));
    if (!sent_away || !kap_span_empty(kap_act_field(act, "", "advised")))
        return KAP_OK;
    snprintf(result->code, sizeof result->code, "illegal.must_advise");
    snprintf(result->field, sizeof result->field, "advised");
    snprintf(result->sentence, sizeof result->sentence,
             "an authority that declines with %.*s says in `advised` where the customer was told "
             "to turn, or redirects the referral to the right member",
             KAP_SPAN_ARGS(reason));
    return KAP_E_DENIED;
}

static int received(void *state, kap_node_t *node, const kap_received_t *event)
{
    char id[240], name[KAP_FOLDER_NAME_BYTES];
    kap_event_type_t type = event->event->type;
    (void)node;
    if (!state || event->is_own ||
        (type != KAP_EV_STATEMENT_ASKED && type != KAP_EV_STATEMENT_GIVEN))
        return KAP_OK;
    snprintf(id, sizeof id, "%s-%.*s", type == KAP_EV_STATEMENT_ASKED ? "asked" : "given",
             KAP_SPAN_ARGS(kap_event_span(event->event, KAP_F_STATEMENT)));
    kap_folder_name_of(kap_span_str(id), ".json", name);
    return kap_record_write(state, name, event);
}

static const kap_node_extra_t *const extras[] = {&kap_spool_extra, NULL};

const kap_actor_t kap_te_office = {
    .program = "kapula-te-office",
    .summary = "the node of a TE office or an employment area",
    .types = types,
    .columns = columns,
    .keys = keys,
    .extras = extras,
    .opened = opened,
    .closing = kap_record_folder_close,
    .rule = rule,
    .received = received,
};
