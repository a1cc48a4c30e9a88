/* SPDX-License-Identifier: MPL-2.0 */
#include "municipality.h"

#include "record.h"
#include "spool.h"

/* Headers that the customer registers of municipalities and development companies use. */
static const kap_actor_column_t columns[] = {
    {"Asiakasnumero|Asiakkuuden numero", "own_reference", NULL, "number in the own register"},
    {"Asiakkuus|Asiakkaan nimi", "company", NULL, "name of the company"},
    {"Yhteyshenkilön nimi", "person", NULL, "whom to call"},
    {"Yhteydenottopyyntö|Toimenpide-ehdotus", "need", NULL, "what the customer needs"},
    {"Palvelupyyntö|Ohjattu palveluun", "service", NULL, "what is asked for"},
    {"Ohjattu toimijalle|Siirretty toimijalle", "to", NULL, "member, or its name"},
    {"Siirtopäivä|Ohjauspäivä", "time", NULL, "day of the handover"},
    {"Vastuuneuvoja|Asiakasvastaava", "adviser", NULL, "who knows the matter"},
    {"Haravakierros|Soittokierros", "campaign", NULL, "name of the calling campaign"},
    {"Elinkaaren vaihe", "segment", NULL, "customer segment"},
    {NULL}};

static const char *const types[] = {"municipality", NULL};

static int opened(kap_node_t *node, void **state)
{
    *state = NULL;
    return kap_record_check_type(node);
}

static int spool_start(kap_node_t *node, void **state)
{
    return kap_spool_start(node, KAP_SPOOL_KINDS | KAP_SPOOL_KIND(HARAVA), columns, state);
}

static const kap_node_extra_t spool = {
    .name = "spool", .keys = kap_spool_keys, .start = spool_start, .stop = kap_spool_stop};
static const kap_node_extra_t *const extras[] = {&spool, NULL};

const kap_actor_t kap_municipality = {
    .program = "kapula-municipality",
    .summary = "the node of a municipality or its development company",
    .types = types,
    .columns = columns,
    .extras = extras,
    .opened = opened,
};
