/* SPDX-License-Identifier: MPL-2.0 */
/* Any text as the configuration of the adapter with the most keys: it is refused with complaints,
 * or what is printed of it is taken again and prints the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "err.h"
#include "node.h"
#include "spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const kap_conf_key_t fuzz_keys[] = {
    {"fuzz.int", KAP_CONF_INT, "5", -10, 10, "things", "A number.", NULL, false},
    {"fuzz.map", KAP_CONF_MAP, "a=b,c=d", 0, 5, NULL, "A map.", NULL, false},
    {"fuzz.list", KAP_CONF_LIST, "x,y", 0, 5, NULL, "A list.", NULL, false},
    {"fuzz.yes", KAP_CONF_BOOL, "true", 0, 0, NULL, "A truth.", NULL, false},
    {NULL}};
static const kap_node_extra_t fuzz_spool = {.name = "spool", .keys = kap_spool_keys};
static const kap_node_extra_t *const fuzz_extras[] = {&fuzz_spool, NULL};
static const kap_actor_t fuzz_actor = {.program = "fuzz", .keys = fuzz_keys, .extras = fuzz_extras};

/* The text that kap_conf_print makes; the caller frees. */
static char *printed(const kap_conf_t *conf)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    KAP_CHECK(out && kap_conf_print(conf, out) == KAP_OK);
    fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES];
    kap_conf_t *conf = NULL, *again = NULL;
    kap_buf_t messages = {0};
    kap_node_conf_tables(&fuzz_actor, tables);
    int rc = kap_conf_parse("/f/fuzz.conf", kap_span(data, size), tables, &conf, &messages);
    KAP_CHECK(rc == KAP_OK || messages.size > 0);
    if (rc == KAP_OK) {
        char *first = printed(conf);
        kap_buf_reset(&messages);
        rc = kap_conf_parse("/f/fuzz.conf", kap_span_str(first), tables, &again, &messages);
        KAP_CHECK(rc == KAP_OK);
        char *second = printed(again);
        KAP_CHECK(strcmp(first, second) == 0);
        free(first);
        free(second);
    }
    kap_conf_close(&conf);
    kap_conf_close(&again);
    kap_buf_fini(&messages);
    return 0;
}
