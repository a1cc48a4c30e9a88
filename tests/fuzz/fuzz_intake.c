/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a file of rows; the first byte says CSV or JSON lines and the kind of row. No row is
 * lost, and nothing that is laid beside holds a personal identity code. */
#include <stdio.h>

#include "err.h"
#include "idcheck.h"
#include "intake_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(kap_intake_file_t *file, kap_buf_t *out)
{
    kap_intake_row_t *rows;
    size_t count = 1;
    uint64_t seen = 0;
    while (count) {
        KAP_CHECK(kap_intake_file_next(file, NULL, 7, &rows, &count) == KAP_OK);
        seen += count;
        for (size_t i = 0; i < count; i++) {
            KAP_CHECK(!rows[i].refused || rows[i].act_count == 0);
            KAP_CHECK(!rows[i].refused || rows[i].why.reason[0]);
            if (rows[i].refused)
                kap_intake_refused_row(file, &rows[i], NULL, KAP_SPAN("f"), &rows[i].why, out);
        }
    }
    KAP_CHECK(kap_intake_file_rows(file) == seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kap_mapping_t *mapping = NULL;
    kap_intake_file_t *file = NULL;
    kap_intake_why_t why;
    kap_buf_t out = {0};
    int64_t line;
    uint8_t how = size ? data[0] : 0;
    KAP_CHECK(kap_mapping_new(NULL, &mapping) == KAP_OK);
    kap_intake_opts_t opts = {.mapping = mapping,
                              .kind = (kap_intake_kind_t)((how >> 2) % KAP_INTAKE_KIND_COUNT),
                              .kinds = UINT32_MAX,
                              .ignore_unknown = how & 2};
    int rc = kap_intake_file_open(kap_span_sub(kap_span(data, size), 1, size),
                                  how & 1 ? KAP_INTAKE_JSON : KAP_INTAKE_CSV, &opts, NULL, &file,
                                  &line, &why);
    KAP_CHECK(rc == KAP_OK || (rc == KAP_E_DENIED && why.reason[0]));
    KAP_CHECK(rc == KAP_OK || !kap_personal_code_in(kap_span_str(why.reason), NULL));
    if (rc == KAP_OK)
        look(file, &out);
    KAP_CHECK(!kap_personal_code_in(kap_buf_span(&out), NULL));
    kap_intake_file_close(&file);
    kap_mapping_destroy(&mapping);
    kap_buf_fini(&out);
    return 0;
}
