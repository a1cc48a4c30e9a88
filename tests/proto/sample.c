/* SPDX-License-Identifier: MPL-2.0 */
#include "sample.h"

#include <criterion/criterion.h>

#include "err.h"

void sample_begin(kap_event_builder_t *b, kap_event_type_t type)
{
    kap_event_builder_begin(b, type, KAP_SPAN(SAMPLE_ID), KAP_SPAN(SAMPLE_SOURCE), 7, SAMPLE_TIME,
                            SAMPLE_TIME);
}

static kap_span_t sample_text(kap_type_t type)
{
    switch (type) {
    case KAP_TYPE_DATE:
        return KAP_SPAN("2026-11-21");
    case KAP_TYPE_LOCAL:
        return KAP_SPAN("2026-11-21T09:30");
    case KAP_TYPE_PERIOD:
        return KAP_SPAN("2026-11");
    case KAP_TYPE_DECIMAL:
        return KAP_SPAN("-12.50");
    case KAP_TYPE_BID:
        return KAP_SPAN("0737546-2");
    case KAP_TYPE_EPOCH:
        return KAP_SPAN("0123456789abcdef");
    case KAP_TYPE_BIN:
    case KAP_TYPE_HASH:
        return KAP_SPAN("0123456789abcdef0123456789abcdef");
    default:
        return KAP_SPAN("näyte");
    }
}

void sample_set(kap_event_builder_t *b, kap_field_t field)
{
    static const kap_basis_t basis = {.disclosure = KAP_DISCLOSURE_CUSTOMER_CONSENT,
                                      .gdpr = KAP_GDPR_CONSENT,
                                      .consent_how = KAP_CONSENT_SPOKEN,
                                      .consent_date = {(const uint8_t *)"2026-11-20", 10}};
    switch (kap_field_row(field)->type) {
    case KAP_TYPE_CODE:
        kap_event_builder_set_code(b, field, 0);
        break;
    case KAP_TYPE_CODES:
        kap_event_builder_set_codes(b, field, 5);
        break;
    case KAP_TYPE_BOOL:
        kap_event_builder_set_bool(b, field, true);
        break;
    case KAP_TYPE_YEAR:
        kap_event_builder_set_int(b, field, 2026);
        break;
    case KAP_TYPE_UINT:
    case KAP_TYPE_SEQ:
    case KAP_TYPE_PERCENT:
    case KAP_TYPE_MS:
        kap_event_builder_set_int(b, field, 42);
        break;
    case KAP_TYPE_BASIS:
        kap_event_builder_set_basis(b, &basis);
        break;
    case KAP_TYPE_LIST:
        kap_event_builder_set_raw(b, field, KAP_SPAN("\x92\xa1x\xa1y"));
        break;
    case KAP_TYPE_MAP:
        kap_event_builder_set_raw(b, field, KAP_SPAN("\x81\xa1x\x01"));
        break;
    default:
        kap_event_builder_set_span(b, field, sample_text(kap_field_row(field)->type));
        break;
    }
}

void sample_fill(kap_event_builder_t *b, bool required_only)
{
    const kap_event_row_t *row = kap_event_row(b->type);
    for (int i = 0; i < row->open_count + row->ends_count; i++) {
        if (row->fields[i].required || !required_only) {
            sample_set(b, row->fields[i].field);
        }
    }
}

void sample_finish(kap_event_builder_t *b, kap_span_t sealed, kap_buf_t *open, kap_buf_t *ends)
{
    static const uint8_t salt[KAP_LIMIT_SALT_BYTES] = {0xa0, 1, 2,  3,  4,  5,  6,  7,
                                                       8,    9, 10, 11, 12, 13, 14, 0xaf};
    int rc = kap_event_builder_finish(b, salt, sealed, open, ends);
    cr_assert_eq(rc, KAP_OK, "%s: field %d", kap_event_type_name(b->type), (int)b->field);
}
