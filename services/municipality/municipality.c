/* SPDX-License-Identifier: MPL-2.0 */
#include "municipality.h"

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

static const kap_node_extra_t *const extras[] = {&kap_spool_extra, NULL};

const kap_actor_t kap_municipality = {
    .program = "kapula-municipality",
    .summary = "the node of a municipality or its development company",
    .types = types,
    .columns = columns,
    .kinds = KAP_SPOOL_KIND(HARAVA),
    .extras = extras,
};
