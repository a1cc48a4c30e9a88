/* SPDX-License-Identifier: MPL-2.0 */
/* The first byte says which: a table of one of the kinds that --file reads, or an agreement.
 * Whatever the file holds, it is read or refused with a sentence, and what was read is whole. */
#include <stdlib.h>

#include "agreement.h"
#include "clock.h"
#include "err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void table(kap_arena_t *arena, kap_model_t model, kap_span_t bytes)
{
    kap_sheet_t sheet;
    kap_buf_t why;
    kap_buf_init(&why);
    int rc = kap_sheet_read(bytes, &kap_model_row(model)->sheet, arena, &sheet, &why);
    KAP_CHECK(rc == KAP_OK || why.size > 0 || rc == KAP_E_NOMEM);
    for (uint32_t i = 0; rc == KAP_OK && i < sheet.row_count; i++) {
        KAP_CHECK(sheet.rows[i].line >= sheet.header_line);
        for (uint32_t k = 0; k < sheet.column_count; k++)
            KAP_CHECK(sheet.rows[i].cells[k].size <= bytes.size * 3);
    }
    kap_buf_fini(&why);
}

/* What is written of a clause is read as the same clause. */
static void agreement(kap_arena_t *arena, kap_span_t bytes)
{
    kap_cli_t cli = {.arena = arena, .lang = "en"};
    kap_agreement_t read, again;
    KAP_CHECK(kap_agreement_read(&cli, NULL, "fuzz", bytes, &read) == KAP_OK);
    for (uint32_t i = 0; read.wrong == 0 && i < read.count; i++) {
        kap_buf_t text;
        kap_buf_init(&text);
        kap_clause_print(&cli, &read.clauses[i], &text);
        KAP_CHECK(kap_agreement_read(&cli, NULL, "fuzz", kap_buf_span(&text), &again) == KAP_OK);
        KAP_CHECK(again.count == 1 && kap_clause_same_subject(&again.clauses[0], &read.clauses[i]));
        KAP_CHECK(kap_clause_same(&again.clauses[0], &read.clauses[i]));
        kap_buf_fini(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || kap_clock_init_zone() != KAP_OK)
        return 0;
    kap_arena_t *arena = kap_arena_new(65536);
    kap_span_t rest = kap_span(data + 1, size - 1);
    unsigned which = data[0] % (KAP_MODEL_COUNT + 1);
    if (which == KAP_MODEL_COUNT)
        agreement(arena, rest);
    else if (kap_model_row((kap_model_t)which)->sheet.kind != 0)
        table(arena, (kap_model_t)which, rest);
    kap_arena_destroy(&arena);
    return 0;
}
