/* SPDX-License-Identifier: MPL-2.0 */
/* --backup of a node's store (inside.h). */
#include <stdio.h>

#include "err.h"
#include "inside.h"

static int used_bytes(void *arg, kap_store_t *copy)
{
    uint64_t map;
    return kap_store_usage(copy, arg, &map);
}

int kap_node_backup(const kap_conf_t *conf, const char *directory)
{
    kap_buf_t why = {0};
    kap_store_t *store = NULL;
    uint64_t bytes = 0;
    int64_t begun = kap_monotonic_ms();
    kap_store_opts_t opts = {.path = kap_conf_str(conf, "store.path"),
                             .name = "node",
                             .version = KAP_NODE_STORE_VERSION,
                             .tables = kap_node_tables,
                             .beside = true,
                             .why = &why};
    int rc = kap_crypto_init();
    if (rc == KAP_OK)
        rc = kap_store_open(&opts, &store);
    if (rc == KAP_OK)
        rc = kap_store_backup(store, directory, used_bytes, &bytes);
    kap_store_close(&store);
    if (rc != KAP_OK)
        fprintf(stderr, "no backup in %s: %s\n", directory,
                why.size > 0 ? kap_buf_cstr(&why) : kap_err_text(rc));
    int64_t took = kap_monotonic_ms() - begun;
    if (rc == KAP_OK)
        printf("backup %s\nbytes %llu\nseconds %lld.%03lld\n", directory, (unsigned long long)bytes,
               (long long)(took / 1000), (long long)(took % 1000));
    kap_buf_fini(&why);
    return rc;
}
