/* SPDX-License-Identifier: MPL-2.0 */
/* Coded values (codes.def): each list is an enum KAP_<LIST>_<NAME> from 0, and each code
 * has one name on the wire and one text in each of three languages. Pure; any thread. */
#ifndef KAP_CODES_H
#define KAP_CODES_H

#include "span.h"

/* enum of each list: KAP_KIND_TRANSFER ...; the last is KAP_<LIST>_COUNT */
#define KAP_LIST(LIST, WHAT)                   typedef enum {
#define KAP_CODE(LIST, NAME, WIRE, FI, SV, EN) KAP_##LIST##_##NAME,
#define KAP_LIST_END(LIST)                                                                         \
    KAP_##LIST##_COUNT                                                                             \
    }                                                                                              \
    kap_code_##LIST##_t;
#include "codes.def"
#undef KAP_LIST
#undef KAP_CODE
#undef KAP_LIST_END

/* The lists themselves: KAP_LIST_KIND ... */
typedef enum {
    KAP_LIST_NONE,
#define KAP_LIST(LIST, WHAT) KAP_LIST_##LIST,
#define KAP_CODE(LIST, NAME, WIRE, FI, SV, EN)
#define KAP_LIST_END(LIST)
#include "codes.def"
#undef KAP_LIST
#undef KAP_CODE
#undef KAP_LIST_END
    KAP_LIST_COUNT
} kap_code_list_t;

typedef enum { KAP_LANG_FI, KAP_LANG_SV, KAP_LANG_EN } kap_lang_t;

/* The code with this wire name, or -1. */
int kap_code_parse(kap_code_list_t list, kap_span_t name);

/* The wire name, or NULL when the list has no such code. */
const char *kap_code_name(kap_code_list_t list, int code);

/* The text for people, or NULL when the list has no such code. */
const char *kap_code_text(kap_code_list_t list, int code, kap_lang_t lang);

/* How many codes the list has. */
int kap_code_count(kap_code_list_t list);

/* The list's own name ("KIND"), and the list of that name or KAP_LIST_NONE. */
const char *kap_code_list_name(kap_code_list_t list);
kap_code_list_t kap_code_list_parse(kap_span_t name);

#endif
