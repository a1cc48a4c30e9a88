/* SPDX-License-Identifier: MPL-2.0 */
#include "ely.h"

#include "follow.h"
#include "record.h"
#include "spool.h"

static const kap_actor_column_t columns[] = {
    {"Hanke|Hankkeen nimi|Hankkeen numero", "own_reference", NULL, "name or number of the project"},
    {"Kehittämistarve|Kehittämiskohde|Kehittämistoimenpide", "need", NULL, "what is developed"},
    {"Avustuslaji|Tukimuoto|Haettu tuki", "service", "development-grant",
     "what is asked for; a development grant when left out"},
    {"Hakijayritys|Hakija", "company", NULL, "name of the company"},
    {"Hakemuspäivä", "time", NULL, "day of the application"},
    {"Esittelijä", "adviser", NULL, "who knows the matter"},
    {NULL}};

static const char *const types[] = {"ely", "vitality-centre", NULL};
static const char *const services[] = {"development-grant", "internationalisation", "training",
                                       "rural-business", NULL};

static int opened(kap_node_t *node, void **state)
{
    *state = NULL;
    return kap_record_check_type(node);
}

static int spool_start(kap_node_t *node, void **state)
{
    return kap_spool_start(node, KAP_SPOOL_KINDS, columns, state);
}

static const kap_node_extra_t spool = {
    .name = "spool", .keys = kap_spool_keys, .start = spool_start, .stop = kap_spool_stop};
static const kap_node_extra_t follow = {
    .name = "feed", .keys = kap_follow_keys, .start = kap_follow_start, .stop = kap_follow_stop};
static const kap_node_extra_t *const extras[] = {&spool, &follow, NULL};

const kap_actor_t kap_ely = {
    .program = "kapula-ely",
    .summary = "the node of an ELY centre or a vitality centre",
    .types = types,
    .services = services,
    .columns = columns,
    .extras = extras,
    .opened = opened,
};
