/* SPDX-License-Identifier: MPL-2.0 */
#include "te_office.h"

#include <stdio.h>
#include <stdlib.h>

#include "act_value.h"
#include "err.h"
#include "folder.h"
#include "log.h"
#include "record.h"
#include "spool.h"

typedef struct {
    kap_folder_t *statements; /* NULL: not configured */
} office_t;

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
static const char *const services[] = {"startup-grant", "recruitment", "training",
                                       "change-security", NULL};

static int opened(kap_node_t *node, void **state)
{
    const char *path = kap_conf_str(kap_node_conf(node), "te_office.statements");
    int rc = kap_record_check_type(node);
    if (rc != KAP_OK)
        return rc;
    office_t *office = calloc(1, sizeof *office);
    if (!office)
        return KAP_E_NOMEM;
    if (path)
        rc = kap_folder_open(NULL, path, 0700, &office->statements);
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "statements_folder", KAP_S("path", path),
                KAP_S("error", kap_err_text(rc)));
        free(office);
        return rc;
    }
    *state = office;
    return KAP_OK;
}

static void closing(void **state)
{
    office_t *office = *state;
    *state = NULL;
    if (!office)
        return;
    kap_folder_close(&office->statements);
    free(office);
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

static int statement_write(const office_t *office, const kap_received_t *received,
                           const char *front)
{
    char id[240], name[KAP_FOLDER_NAME_BYTES];
    kap_buf_t json = {0};
    snprintf(id, sizeof id, "%s%.*s", front,
             KAP_SPAN_ARGS(kap_event_span(received->event, KAP_F_STATEMENT)));
    kap_folder_name_of(kap_span_str(id), ".json", name);
    int rc = kap_record_json(received, &json);
    if (rc == KAP_OK)
        rc = kap_folder_write(office->statements, name, kap_buf_span(&json));
    kap_buf_fini(&json);
    if (rc == KAP_OK)
        KAP_LOG(KAP_LOG_INFO, "statement_file", KAP_S("file", name));
    return rc;
}

static int received(void *state, kap_node_t *node, const kap_received_t *event)
{
    const office_t *office = state;
    (void)node;
    if (!office->statements || event->is_own)
        return KAP_OK;
    if (event->event->type == KAP_EV_STATEMENT_ASKED)
        return statement_write(office, event, "asked-");
    if (event->event->type == KAP_EV_STATEMENT_GIVEN)
        return statement_write(office, event, "given-");
    return KAP_OK;
}

static int spool_start(kap_node_t *node, void **state)
{
    return kap_spool_start(node, KAP_SPOOL_KINDS, columns, state);
}

static const kap_node_extra_t spool = {
    .name = "spool", .keys = kap_spool_keys, .start = spool_start, .stop = kap_spool_stop};
static const kap_node_extra_t *const extras[] = {&spool, NULL};

const kap_actor_t kap_te_office = {
    .program = "kapula-te-office",
    .summary = "the node of a TE office or an employment area",
    .types = types,
    .services = services,
    .columns = columns,
    .keys = keys,
    .extras = extras,
    .opened = opened,
    .closing = closing,
    .rule = rule,
    .received = received,
};
