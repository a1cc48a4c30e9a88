/* SPDX-License-Identifier: MPL-2.0 */
#include "ely.h"

#include "follow.h"
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

static const kap_node_extra_t follow = {
    .name = "feed", .keys = kap_follow_keys, .start = kap_follow_start, .stop = kap_follow_stop};
static const kap_node_extra_t *const extras[] = {&kap_spool_extra, &follow, NULL};

const kap_actor_t kap_ely = {
    .program = "kapula-ely",
    .summary = "the node of an ELY centre or a vitality centre",
    .types = types,
    .columns = columns,
    .extras = extras,
};
