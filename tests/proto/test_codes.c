/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "scan.h"
#include "tables.h"
#include "utf8.h"

Test(codes, every_code_has_a_name_and_three_texts_and_is_found_by_its_name)
{
    for (int list = 1; list < KAP_LIST_COUNT; list++) {
        int count = kap_code_count((kap_code_list_t)list);
        cr_expect_gt(count, 0);
        cr_expect_leq(count, 64, "%s fits a mask", kap_code_list_name((kap_code_list_t)list));
        for (int code = 0; code < count; code++) {
            const char *name = kap_code_name((kap_code_list_t)list, code);
            cr_assert_not_null(name);
            cr_expect_eq(kap_code_parse((kap_code_list_t)list, kap_span_str(name)), code, "%s",
                         name);
            for (int lang = 0; lang < 3; lang++) {
                const char *text = kap_code_text((kap_code_list_t)list, code, (kap_lang_t)lang);
                cr_expect(text && *text);
                cr_expect(kap_utf8_valid(kap_span_str(text), NULL));
            }
        }
        cr_expect_null(kap_code_name((kap_code_list_t)list, count));
        cr_expect_null(kap_code_name((kap_code_list_t)list, -1));
    }
}

Test(codes, an_unknown_name_is_no_code)
{
    cr_expect_eq(kap_code_parse(KAP_LIST_KIND, KAP_SPAN("transfe")), -1);
    cr_expect_eq(kap_code_parse(KAP_LIST_KIND, KAP_SPAN("transfers")), -1);
    cr_expect_eq(kap_code_parse(KAP_LIST_KIND, KAP_SPAN("TRANSFER")), -1);
    cr_expect_eq(kap_code_parse(KAP_LIST_KIND, KAP_SPAN("")), -1);
    cr_expect_eq(kap_code_parse(KAP_LIST_NONE, KAP_SPAN("transfer")), -1);
    cr_expect_eq(kap_code_parse(KAP_LIST_COUNT, KAP_SPAN("transfer")), -1);
}

Test(codes, lists_are_found_by_name)
{
    for (int list = 1; list < KAP_LIST_COUNT; list++) {
        const char *name = kap_code_list_name((kap_code_list_t)list);
        cr_expect_eq(kap_code_list_parse(kap_span_str(name)), list);
    }
    cr_expect_eq(kap_code_list_parse(KAP_SPAN("NOSUCH")), KAP_LIST_NONE);
}

Test(tables, every_field_is_found_by_its_wire_name_once)
{
    for (int f = KAP_F_NONE + 1; f < KAP_FIELD_COUNT; f++) {
        const kap_field_row_t *row = kap_field_row((kap_field_t)f);
        cr_assert_not_null(row);
        cr_expect_eq(kap_field_parse(kap_span_str(row->wire)), f, "%s", row->wire);
        cr_expect_eq(row->wire_size, strlen(row->wire));
        bool coded = row->type == KAP_TYPE_CODE || row->type == KAP_TYPE_CODES;
        cr_expect_eq(coded, row->list != KAP_LIST_NONE, "%s", row->name);
    }
    cr_expect_null(kap_field_row(KAP_F_NONE));
    cr_expect_null(kap_field_row(KAP_FIELD_COUNT));
    cr_expect_eq(kap_field_parse(KAP_SPAN("nosuch")), KAP_F_NONE);
}

Test(tables, every_field_is_used_by_some_event)
{
    bool used[KAP_FIELD_COUNT] = {false};
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)type);
        for (int i = 0; i < row->open_count + row->ends_count + row->sealed_count; i++) {
            used[row->fields[i].field] = true;
        }
    }
    for (int f = KAP_F_NONE + 1; f < KAP_FIELD_COUNT; f++) {
        cr_expect(used[f], "%s", kap_field_row((kap_field_t)f)->name);
    }
}

Test(tables, rows_of_an_event_stand_open_ends_sealed_each_field_once_a_part)
{
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)type);
        int total = row->open_count + row->ends_count + row->sealed_count;
        cr_expect_eq(kap_event_type_parse(kap_span_str(row->type)), type);
        for (int i = 0; i < total; i++) {
            kap_part_t want = i < row->open_count                     ? KAP_PART_OPEN
                              : i < row->open_count + row->ends_count ? KAP_PART_ENDS
                                                                      : KAP_PART_SEALED;
            cr_expect_eq(row->fields[i].part, want, "%s row %d", row->name, i);
            for (int j = 0; j < i; j++) {
                cr_expect(row->fields[i].field != row->fields[j].field ||
                              row->fields[i].part != row->fields[j].part,
                          "%s row %d", row->name, i);
            }
        }
    }
    cr_expect_eq(kap_event_type_parse(KAP_SPAN("kapula.referral.created.v2")), KAP_EV_NONE);
    cr_expect_eq(kap_event_type_parse(KAP_SPAN("")), KAP_EV_NONE);
}

Test(tables, case_and_customer_and_reasons_never_stand_in_the_open_part)
{
    static const kap_field_t secret[] = {
        KAP_F_CASE,        KAP_F_PARENT,      KAP_F_CUSTOMER, KAP_F_REASON,
        KAP_F_OUTCOME,     KAP_F_DETAIL,      KAP_F_NEXT,     KAP_F_WITHDRAW_REASON,
        KAP_F_HOLD_REASON, KAP_F_VOID_REASON, KAP_F_RESULTS,  KAP_F_WITH};
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)type);
        for (int i = 0; i < row->open_count; i++) {
            for (size_t s = 0; s < sizeof secret / sizeof secret[0]; s++) {
                cr_expect_neq(row->fields[i].field, secret[s], "%s", row->name);
            }
        }
    }
}

Test(tables, refusals_are_found_both_ways)
{
#define KAP_REFUSAL(NAME, NUMBER, CODE, SENTENCE)                                                  \
    cr_expect_str_eq(kap_refusal_code(KAP_REFUSAL_##NAME), CODE);                                  \
    cr_expect_eq(kap_refusal_parse(KAP_SPAN(CODE)), NUMBER);                                       \
    cr_expect_str_eq(kap_refusal_sentence(NUMBER), SENTENCE);
#include "refusals.def"
#undef KAP_REFUSAL
    cr_expect_null(kap_refusal_code(KAP_REFUSAL_NONE));
    cr_expect_null(kap_refusal_sentence(65535));
    cr_expect_eq(kap_refusal_parse(KAP_SPAN("illegal.nosuch")), KAP_REFUSAL_NONE);
}

Test(tables, there_are_68_regions_in_15_areas)
{
    int per_area[15] = {0};
    cr_assert_eq(kap_area_count(), 15);
    cr_assert_eq(kap_region_count(), 68);
    for (int i = 0; i < 68; i++) {
        const kap_region_row_t *row = kap_region_row(i);
        cr_expect_eq(kap_region_find(kap_span_str(row->id)), i);
        per_area[row->area]++;
    }
    for (int i = 0; i < 15; i++) {
        cr_expect_eq(kap_area_find(kap_span_str(kap_area_row(i)->id)), i);
        cr_expect_gt(per_area[i], 0);
    }
    cr_expect_str_eq(kap_area_row(kap_region_row(kap_region_find(KAP_SPAN("mikkeli")))->area)->id,
                     "etela-savo");
    cr_expect_eq(kap_region_find(KAP_SPAN("atlantis")), -1);
    cr_expect_null(kap_region_row(68));
    cr_expect_null(kap_area_row(-1));
}

Test(tables, successors_of_actor_types_are_types)
{
    for (int i = 0; i < KAP_ACTOR_COUNT; i++) {
        const kap_actor_type_row_t *row = kap_actor_type_row(i);
        cr_expect_eq(kap_actor_type_find(kap_span_str(row->id)), i);
        cr_expect(*row->successors == 0 || kap_actor_type_find(kap_span_str(row->successors)) >= 0,
                  "%s", row->id);
        cr_expect_eq(*row->successors == 0, *row->valid_to == 0, "%s", row->id);
    }
    cr_expect(kap_actor_type_row(KAP_ACTOR_PRIVATE_PROVIDER)->is_private);
    cr_expect_null(kap_actor_type_row(KAP_ACTOR_COUNT));
}
