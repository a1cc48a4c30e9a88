/* SPDX-License-Identifier: MPL-2.0 */
#include "value.h"

#include "clock.h"
#include "idcheck.h"
#include "scan.h"
#include "utf8.h"

enum { DECIMAL_BYTES = 32 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_date(kap_span_t text)
{
    kap_date_t date;
    return text.size == 10 && kap_date_parse(text, &date) == 0 &&
           date.year >= KAP_LIMIT_YEAR_FIRST && date.year <= KAP_LIMIT_YEAR_LAST;
}

/* YYYY-MM-DDThh:mm */
static bool is_local(kap_span_t text)
{
    if (text.size != 16 || !is_date(kap_span(text.data, 10))) {
        return false;
    }
    const uint8_t *t = text.data + 10;
    if (t[0] != 'T' || t[3] != ':' || !is_digit(t[1]) || !is_digit(t[2]) || !is_digit(t[4]) ||
        !is_digit(t[5])) {
        return false;
    }
    return (t[1] - '0') * 10 + t[2] - '0' <= 23 && t[4] <= '5';
}

/* A year, a month or a day: what is cut off is put back, the day must exist. */
static bool is_period(kap_span_t text)
{
    uint8_t date[10] = "0000-01-01";
    if (text.size != 4 && text.size != 7 && text.size != 10) {
        return false;
    }
    memcpy(date, text.data, text.size);
    return is_date(kap_span(date, sizeof date));
}

static bool is_decimal(kap_span_t text)
{
    size_t i = text.size && text.data[0] == '-' ? 1 : 0;
    size_t digits = 0, points = 0;
    for (; i < text.size; i++) {
        if (text.data[i] == '.' && digits && !points && i + 1 < text.size) {
            points++;
        } else if (is_digit(text.data[i])) {
            digits++;
        } else {
            return false;
        }
    }
    return digits && text.size <= DECIMAL_BYTES;
}

bool kap_text_is(kap_type_t type, kap_span_t text)
{
    switch (type) {
    case KAP_TYPE_ID:
        return text.size >= 1 && text.size <= KAP_LIMIT_ID_BYTES;
    case KAP_TYPE_STR:
        return text.size >= 1 && text.size <= KAP_LIMIT_STR_BYTES;
    case KAP_TYPE_TEXT:
        return text.size >= 1 && text.size <= KAP_LIMIT_TEXT_BYTES;
    case KAP_TYPE_DATE:
        return is_date(text);
    case KAP_TYPE_LOCAL:
        return is_local(text);
    case KAP_TYPE_PERIOD:
        return is_period(text);
    case KAP_TYPE_DECIMAL:
        return is_decimal(text);
    case KAP_TYPE_BID:
        return kap_business_id_ok(text);
    default:
        return false;
    }
}

static bool bin_is(kap_type_t type, kap_span_t bytes)
{
    switch (type) {
    case KAP_TYPE_BIN:
        return bytes.size >= 1 && bytes.size <= KAP_LIMIT_OPEN_BYTES;
    case KAP_TYPE_HASH:
        return bytes.size == KAP_LIMIT_HASH_BYTES;
    case KAP_TYPE_EPOCH:
        return bytes.size == KAP_LIMIT_EPOCH_BYTES;
    default:
        return false;
    }
}

static bool int_is(kap_type_t type, int64_t i)
{
    switch (type) {
    case KAP_TYPE_UINT:
        return i >= 0 && i <= KAP_LIMIT_COUNT_LAST;
    case KAP_TYPE_SEQ:
        return i >= 0;
    case KAP_TYPE_YEAR:
        return i >= KAP_LIMIT_YEAR_FIRST && i <= KAP_LIMIT_YEAR_LAST;
    case KAP_TYPE_PERCENT:
        return i >= 0 && i <= 100;
    case KAP_TYPE_MS:
        return i >= KAP_TIME_FIRST_MS && i <= KAP_TIME_LAST_MS;
    default:
        return false;
    }
}

/* Distinct codes of one list, as a mask. */
static uint16_t read_codes(kap_code_list_t list, const kap_mp_t *node, uint64_t *mask)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        kap_span_t name;
        if (!kap_mp_str(&node->items[i], &name)) {
            return KAP_REFUSAL_MALFORMED_FIELD_TYPE;
        }
        int code = kap_code_parse(list, name);
        if (code < 0 || (seen >> code & 1)) {
            return KAP_REFUSAL_MALFORMED_FIELD_VALUE;
        }
        seen |= UINT64_C(1) << code;
    }
    *mask = seen;
    return 0;
}

/* Items are texts or maps; what they mean is the machines' to check. */
static uint16_t check_list(const kap_mp_t *node)
{
    if (node->count > KAP_LIMIT_LIST_ITEMS) {
        return KAP_REFUSAL_MALFORMED_FIELD_VALUE;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        const kap_mp_t *item = &node->items[i];
        if (item->kind != KAP_MP_STR && item->kind != KAP_MP_MAP) {
            return KAP_REFUSAL_MALFORMED_FIELD_TYPE;
        }
        if (item->kind == KAP_MP_STR && !kap_text_is(KAP_TYPE_STR, item->s)) {
            return KAP_REFUSAL_MALFORMED_FIELD_VALUE;
        }
    }
    return 0;
}

/* An optional text of a basis: absent leaves *out empty. */
static bool basis_text(const kap_mp_t *map, const char *key, kap_type_t type, kap_span_t *out)
{
    const kap_mp_t *node = kap_mp_get(map, key);
    return !node || (kap_mp_str(node, out) && kap_text_is(type, *out));
}

static int basis_code(const kap_mp_t *map, const char *key, kap_code_list_t list)
{
    return kap_code_parse(list, kap_mp_get_str(map, key));
}

static uint16_t read_basis(const kap_mp_t *map, kap_basis_t *basis)
{
    basis->disclosure = basis_code(map, "disclosure", KAP_LIST_DISCLOSURE);
    basis->gdpr = basis_code(map, "gdpr", KAP_LIST_GDPR);
    basis->consent_how = basis_code(map, "consent_how", KAP_LIST_CONSENT);
    bool ok = basis->disclosure >= 0 && basis->gdpr >= 0 &&
              (basis->consent_how >= 0 || !kap_mp_get(map, "consent_how")) &&
              basis_text(map, "statute", KAP_TYPE_STR, &basis->statute) &&
              basis_text(map, "consent_date", KAP_TYPE_DATE, &basis->consent_date) &&
              basis_text(map, "consent_version", KAP_TYPE_STR, &basis->consent_version);
    ok = ok && (basis->disclosure != KAP_DISCLOSURE_CUSTOMER_CONSENT || basis->consent_date.size);
    ok = ok && (basis->disclosure != KAP_DISCLOSURE_STATUTE || basis->statute.size);
    return ok ? 0 : KAP_REFUSAL_MALFORMED_BASIS;
}

static uint16_t read_text(const kap_field_row_t *row, kap_span_t text, kap_value_t *value)
{
    if (row->type == KAP_TYPE_CODE) {
        value->kind = KAP_VALUE_INT;
        value->i = kap_code_parse(row->list, text);
        return value->i >= 0 ? 0 : KAP_REFUSAL_MALFORMED_FIELD_VALUE;
    }
    value->kind = KAP_VALUE_SPAN;
    value->s = text;
    if (kap_text_is(row->type, text)) {
        return 0;
    }
    return row->type == KAP_TYPE_BID ? KAP_REFUSAL_MALFORMED_BUSINESS_ID
                                     : KAP_REFUSAL_MALFORMED_FIELD_VALUE;
}

static bool is_text_type(kap_type_t type)
{
    return type == KAP_TYPE_ID || type == KAP_TYPE_STR || type == KAP_TYPE_TEXT ||
           type == KAP_TYPE_DATE || type == KAP_TYPE_LOCAL || type == KAP_TYPE_PERIOD ||
           type == KAP_TYPE_DECIMAL || type == KAP_TYPE_BID;
}

static kap_mp_kind_t kind_of(kap_type_t type)
{
    switch (type) {
    case KAP_TYPE_UINT:
    case KAP_TYPE_SEQ:
    case KAP_TYPE_YEAR:
    case KAP_TYPE_PERCENT:
    case KAP_TYPE_MS:
        return KAP_MP_INT;
    case KAP_TYPE_BOOL:
        return KAP_MP_BOOL;
    case KAP_TYPE_BIN:
    case KAP_TYPE_HASH:
    case KAP_TYPE_EPOCH:
        return KAP_MP_BIN;
    case KAP_TYPE_CODES:
    case KAP_TYPE_LIST:
        return KAP_MP_ARRAY;
    case KAP_TYPE_BASIS:
    case KAP_TYPE_MAP:
        return KAP_MP_MAP;
    default:
        return KAP_MP_STR;
    }
}

uint16_t kap_value_read(kap_field_t field, const kap_mp_t *node, kap_arena_t *arena,
                        kap_value_t *value, bool *nomem)
{
    const kap_field_row_t *row = kap_field_row(field);
    kap_mp_kind_t want = kind_of(row->type);
    value->field = (uint16_t)field;
    if (node->kind != want) {
        bool huge = node->kind == KAP_MP_UINT && want == KAP_MP_INT;
        return huge ? KAP_REFUSAL_MALFORMED_FIELD_VALUE : KAP_REFUSAL_MALFORMED_FIELD_TYPE;
    }
    switch (want) {
    case KAP_MP_STR:
        return read_text(row, node->s, value);
    case KAP_MP_BIN:
        value->kind = KAP_VALUE_SPAN;
        value->s = node->s;
        return bin_is(row->type, node->s) ? 0 : KAP_REFUSAL_MALFORMED_FIELD_VALUE;
    case KAP_MP_INT:
        value->kind = KAP_VALUE_INT;
        value->i = node->i;
        return int_is(row->type, node->i) ? 0 : KAP_REFUSAL_MALFORMED_FIELD_VALUE;
    case KAP_MP_BOOL:
        value->kind = KAP_VALUE_BOOL;
        value->b = node->b;
        return 0;
    default:
        break;
    }
    if (row->type == KAP_TYPE_CODES) {
        value->kind = KAP_VALUE_CODES;
        return read_codes(row->list, node, &value->mask);
    }
    if (row->type == KAP_TYPE_BASIS) {
        kap_basis_t *basis = kap_arena_calloc(arena, 1, sizeof *basis);
        *nomem = *nomem || !basis;
        value->kind = KAP_VALUE_BASIS;
        value->basis = basis;
        return basis ? read_basis(node, basis) : KAP_REFUSAL_MALFORMED_BASIS;
    }
    value->kind = KAP_VALUE_NODE;
    value->node = node;
    return row->type == KAP_TYPE_LIST ? check_list(node) : 0;
}

static bool raw_ok(kap_type_t type, kap_span_t raw)
{
    if (kap_scan(raw, NULL, NULL) != 0) {
        return false;
    }
    uint8_t first = raw.data[0];
    bool array = (first & 0xf0) == 0x90 || first == 0xdc || first == 0xdd;
    bool map = (first & 0xf0) == 0x80 || first == 0xde || first == 0xdf;
    return type == KAP_TYPE_LIST ? array : map;
}

static bool basis_ok(const kap_basis_t *b)
{
    bool consent = b->disclosure == KAP_DISCLOSURE_CUSTOMER_CONSENT;
    return kap_code_name(KAP_LIST_DISCLOSURE, b->disclosure) &&
           kap_code_name(KAP_LIST_GDPR, b->gdpr) &&
           (b->consent_how < 0 || kap_code_name(KAP_LIST_CONSENT, b->consent_how)) &&
           (b->disclosure != KAP_DISCLOSURE_STATUTE || b->statute.size) &&
           (!consent || b->consent_date.size) && b->statute.size <= KAP_LIMIT_STR_BYTES &&
           b->consent_version.size <= KAP_LIMIT_STR_BYTES &&
           (b->consent_date.size == 0 || is_date(b->consent_date)) &&
           kap_utf8_valid(b->statute, NULL) && kap_utf8_valid(b->consent_version, NULL);
}

bool kap_value_ok(const kap_value_t *value)
{
    const kap_field_row_t *row = kap_field_row((kap_field_t)value->field);
    if (!row) {
        return false;
    }
    switch ((kap_value_kind_t)value->kind) {
    case KAP_VALUE_SPAN:
        if (is_text_type(row->type)) {
            return kap_text_is(row->type, value->s) && kap_utf8_valid(value->s, NULL);
        }
        return bin_is(row->type, value->s);
    case KAP_VALUE_INT:
        if (row->type == KAP_TYPE_CODE) {
            return value->i >= 0 && value->i < kap_code_count(row->list);
        }
        return int_is(row->type, value->i);
    case KAP_VALUE_BOOL:
        return row->type == KAP_TYPE_BOOL;
    case KAP_VALUE_CODES:
        return row->type == KAP_TYPE_CODES && value->mask >> kap_code_count(row->list) == 0;
    case KAP_VALUE_BASIS:
        return row->type == KAP_TYPE_BASIS && basis_ok(value->basis);
    case KAP_VALUE_RAW:
        return (row->type == KAP_TYPE_LIST || row->type == KAP_TYPE_MAP) &&
               raw_ok(row->type, value->s);
    case KAP_VALUE_NODE:
        return false;
    }
    return false;
}

static void write_codes(kap_buf_t *buf, kap_code_list_t list, uint64_t mask)
{
    kap_mp_put_array(buf, (uint32_t)__builtin_popcountll(mask));
    for (int code = 0; code < kap_code_count(list); code++) {
        if (mask >> code & 1) {
            kap_mp_put_cstr(buf, kap_code_name(list, code));
        }
    }
}

static void write_pair(kap_buf_t *buf, const char *key, kap_span_t text)
{
    if (text.size) {
        kap_mp_put_cstr(buf, key);
        kap_mp_put_str(buf, text);
    }
}

static void write_basis(kap_buf_t *buf, const kap_basis_t *b)
{
    uint32_t pairs = 2u + (b->statute.size != 0) + (b->consent_date.size != 0) +
                     (b->consent_version.size != 0) + (b->consent_how >= 0);
    const char *how = kap_code_name(KAP_LIST_CONSENT, b->consent_how);
    kap_mp_put_map(buf, pairs);
    write_pair(buf, "disclosure", kap_span_str(kap_code_name(KAP_LIST_DISCLOSURE, b->disclosure)));
    write_pair(buf, "gdpr", kap_span_str(kap_code_name(KAP_LIST_GDPR, b->gdpr)));
    write_pair(buf, "statute", b->statute);
    write_pair(buf, "consent_date", b->consent_date);
    write_pair(buf, "consent_version", b->consent_version);
    write_pair(buf, "consent_how", kap_span_str(how));
}

void kap_value_write(kap_buf_t *buf, const kap_value_t *value)
{
    const kap_field_row_t *row = kap_field_row((kap_field_t)value->field);
    switch ((kap_value_kind_t)value->kind) {
    case KAP_VALUE_SPAN:
        (is_text_type(row->type) ? kap_mp_put_str : kap_mp_put_bin)(buf, value->s);
        return;
    case KAP_VALUE_INT:
        if (row->type == KAP_TYPE_CODE) {
            kap_mp_put_cstr(buf, kap_code_name(row->list, (int)value->i));
        } else {
            kap_mp_put_int(buf, value->i);
        }
        return;
    case KAP_VALUE_BOOL:
        kap_mp_put_bool(buf, value->b);
        return;
    case KAP_VALUE_CODES:
        write_codes(buf, row->list, value->mask);
        return;
    case KAP_VALUE_BASIS:
        write_basis(buf, value->basis);
        return;
    case KAP_VALUE_RAW:
        kap_buf_append(buf, value->s);
        return;
    case KAP_VALUE_NODE:
        kap_mp_put_node(buf, value->node);
        return;
    }
}
