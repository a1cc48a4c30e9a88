/* SPDX-License-Identifier: MPL-2.0 */
/* The directory file: taken whole or not at all, with a message; what is taken is found again. */
#include "crypto.h"
#include "directory.h"
#include "err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kap_directory_t *dir = NULL;
    kap_buf_t messages = {0};
    KAP_CHECK(kap_crypto_init() == KAP_OK);
    int rc = kap_directory_parse(kap_span(data, size), &dir, &messages);
    KAP_CHECK(rc == KAP_OK || rc == KAP_E_CONFIG);
    KAP_CHECK((rc == KAP_OK) == (dir != NULL) && (rc == KAP_OK) == (messages.size == 0));
    for (uint32_t i = 0; dir && i < kap_directory_member_count(dir); i++) {
        const kap_member_t *m = kap_directory_member_at(dir, i);
        KAP_CHECK(kap_directory_member(dir, m->id) == m);
        KAP_CHECK(!m->has_curve || kap_directory_by_key(dir, m->curve) == m);
        for (uint32_t k = 0; k < m->region_count; k++) {
            KAP_CHECK(kap_member_in_region(m, kap_directory_region_at(dir, m->regions[k])));
        }
    }
    for (uint32_t i = 0; dir && i < kap_directory_region_count(dir); i++) {
        const kap_region_t *r = kap_directory_region_at(dir, i);
        KAP_CHECK(kap_directory_region(dir, r->id) == r);
    }
    kap_directory_unref(&dir);
    kap_buf_fini(&messages);
    return 0;
}
