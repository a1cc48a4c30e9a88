/* SPDX-License-Identifier: MPL-2.0 */
#include "codes.h"

typedef struct {
    const char *wire;
    uint32_t size;
    const char *text[3];
} row_t;

/* one array a list: rows_KIND ... */
#define KAP_LIST(LIST, WHAT)                   static const row_t rows_##LIST[] = {
#define KAP_CODE(LIST, NAME, WIRE, FI, SV, EN) {WIRE, sizeof(WIRE) - 1, {FI, SV, EN}},
#define KAP_LIST_END(LIST)                                                                         \
    }                                                                                              \
    ;
/* clang-format off */
#include "codes.def"
/* clang-format on */
#undef KAP_LIST
#undef KAP_CODE
#undef KAP_LIST_END

static const struct {
    const char *name;
    const row_t *rows;
    int count;
} lists[KAP_LIST_COUNT] = {
    {"NONE", NULL, 0},
#define KAP_LIST(LIST, WHAT) {#LIST, rows_##LIST, KAP_##LIST##_COUNT},
#define KAP_CODE(LIST, NAME, WIRE, FI, SV, EN)
#define KAP_LIST_END(LIST)
#include "codes.def"
#undef KAP_LIST
#undef KAP_CODE
#undef KAP_LIST_END
};

static const row_t *row_of(kap_code_list_t list, int code)
{
    if ((unsigned)list >= KAP_LIST_COUNT || code < 0 || code >= lists[list].count) {
        return NULL;
    }
    return &lists[list].rows[code];
}

int kap_code_parse(kap_code_list_t list, kap_span_t name)
{
    if ((unsigned)list >= KAP_LIST_COUNT) {
        return -1;
    }
    const row_t *rows = lists[list].rows;
    for (int i = 0; i < lists[list].count; i++) {
        if (rows[i].size == name.size && memcmp(rows[i].wire, name.data, name.size) == 0) {
            return i;
        }
    }
    return -1;
}

const char *kap_code_name(kap_code_list_t list, int code)
{
    const row_t *row = row_of(list, code);
    return row ? row->wire : NULL;
}

const char *kap_code_text(kap_code_list_t list, int code, kap_lang_t lang)
{
    const row_t *row = row_of(list, code);
    return row && (unsigned)lang < 3 ? row->text[lang] : NULL;
}

int kap_code_count(kap_code_list_t list)
{
    return (unsigned)list < KAP_LIST_COUNT ? lists[list].count : 0;
}

const char *kap_code_list_name(kap_code_list_t list)
{
    return (unsigned)list < KAP_LIST_COUNT ? lists[list].name : "NONE";
}

kap_code_list_t kap_code_list_parse(kap_span_t name)
{
    for (int i = 1; i < KAP_LIST_COUNT; i++) {
        if (kap_span_eq_str(name, lists[i].name)) {
            return (kap_code_list_t)i;
        }
    }
    return KAP_LIST_NONE;
}
