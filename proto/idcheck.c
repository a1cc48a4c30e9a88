/* SPDX-License-Identifier: MPL-2.0 */
#include "idcheck.h"

#include "clock.h"

enum { DATE_DIGITS = 6, NUMBER_DIGITS = 3, NUMBER_FIRST = 2, CODE_BYTES = 11 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A letter or a digit, or the first byte of a Latin, Greek or Cyrillic letter beyond ASCII: what
 * stands beside it is part of a longer word. Quotes and dashes (0xc2, 0xe2) are none. */
static bool is_word(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= 0xc3 && c <= 0xd4);
}

static uint8_t upper(uint8_t c)
{
    return (uint8_t)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

/* The number that n digits write, or -1. */
static int digits(const uint8_t *p, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (!is_digit(p[i])) {
            return -1;
        }
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

bool kap_business_id_ok(kap_span_t id)
{
    static const int weights[7] = {7, 9, 10, 5, 8, 4, 2};
    if (id.size != 9 || id.data[7] != '-' || !is_digit(id.data[8])) {
        return false;
    }
    int sum = 0;
    for (int i = 0; i < 7; i++) {
        if (!is_digit(id.data[i])) {
            return false;
        }
        sum += weights[i] * (id.data[i] - '0');
    }
    int rest = sum % 11;
    return rest != 1 && id.data[8] - '0' == (rest == 0 ? 0 : 11 - rest);
}

/* The century's first year that a sign between date and number stands for, or 0. The
 * letters beyond '-' and 'A' are in use since 2023. *size: bytes of the sign; dashes
 * that word processors make of '-' count as one. */
static int century_of(kap_span_t rest, size_t *size)
{
    *size = 1;
    if (rest.size == 0) {
        return 0;
    }
    switch (upper(rest.data[0])) {
    case '+':
        return 1800;
    case '-':
    case 'Y':
    case 'X':
    case 'W':
    case 'V':
    case 'U':
        return 1900;
    case 'A':
    case 'B':
    case 'C':
    case 'D':
    case 'E':
    case 'F':
        return 2000;
    default:
        break;
    }
    *size = 3;
    bool dash = rest.size >= 3 && rest.data[0] == 0xe2 &&
                ((rest.data[1] == 0x80 && rest.data[2] >= 0x90 && rest.data[2] <= 0x95) ||
                 (rest.data[1] == 0x88 && rest.data[2] == 0x92)); /* U+2010..2015, U+2212 */
    return dash ? 1900 : 0;
}

/* The size of a code that begins exactly at the start of the text, or 0. */
static size_t code_at(kap_span_t text)
{
    static const char checks[] = "0123456789ABCDEFHJKLMNPRSTUVWXY";
    size_t sign = 0;
    if (text.size < DATE_DIGITS) {
        return 0;
    }
    int day = digits(text.data, 2), month = digits(text.data + 2, 2);
    int year = digits(text.data + 4, 2);
    int century = century_of(kap_span_sub(text, DATE_DIGITS, text.size), &sign);
    size_t size = DATE_DIGITS + sign + NUMBER_DIGITS + 1;
    if (day < 0 || month < 0 || year < 0 || century == 0 || text.size < size) {
        return 0;
    }
    int number = digits(text.data + DATE_DIGITS + sign, NUMBER_DIGITS);
    kap_date_t born = {(int16_t)(century + year), (int8_t)month, (int8_t)day};
    if (number < NUMBER_FIRST || !kap_date_valid(born)) {
        return 0;
    }
    long whole = digits(text.data, DATE_DIGITS) * 1000L + number;
    if (upper(text.data[size - 1]) != (uint8_t)checks[whole % 31]) {
        return 0;
    }
    return text.size > size && is_word(text.data[size]) ? 0 : size;
}

/* Digits are compared from the right: where one fails, no code begins up to there. */
static size_t skip_to(kap_span_t text, size_t at)
{
    while (at + CODE_BYTES <= text.size) {
        size_t digit = DATE_DIGITS;
        while (digit > 0 && is_digit(text.data[at + digit - 1])) {
            digit--;
        }
        if (digit == 0) {
            return at;
        }
        at += digit;
    }
    return text.size;
}

bool kap_personal_code_in(kap_span_t text, kap_span_t *where)
{
    for (size_t at = skip_to(text, 0); at < text.size; at = skip_to(text, at + 1)) {
        if (at > 0 && is_word(text.data[at - 1])) {
            continue;
        }
        size_t size = code_at(kap_span_sub(text, at, text.size));
        if (size > 0) {
            if (where) {
                *where = kap_span_sub(text, at, size);
            }
            return true;
        }
    }
    return false;
}

/* --- in events --- */

static bool is_binary(kap_field_t field)
{
    const kap_field_row_t *row = kap_field_row(field);
    return row &&
           (row->type == KAP_TYPE_BIN || row->type == KAP_TYPE_HASH || row->type == KAP_TYPE_EPOCH);
}

/* Texts of a list or map, keys included. The scan bounds the depth (KAP_LIMIT_DEPTH). */
bool kap_personal_code_in_node(const kap_mp_t *node)
{
    if (node->kind == KAP_MP_STR) {
        return kap_personal_code_in(node->s, NULL);
    }
    uint32_t count = node->kind == KAP_MP_ARRAY ? node->count
                     : node->kind == KAP_MP_MAP ? 2 * node->count
                                                : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kap_personal_code_in_node(&node->items[i])) {
            return true;
        }
    }
    return false;
}

static bool code_in_value(const kap_value_t *value)
{
    switch (value->kind) {
    case KAP_VALUE_SPAN:
        return !is_binary((kap_field_t)value->field) && kap_personal_code_in(value->s, NULL);
    case KAP_VALUE_BASIS:
        return kap_personal_code_in(value->basis->statute, NULL) ||
               kap_personal_code_in(value->basis->consent_version, NULL);
    case KAP_VALUE_NODE:
        return kap_personal_code_in_node(value->node);
    default:
        return false;
    }
}

int kap_personal_code_in_values(const kap_value_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (code_in_value(&values[i])) {
            return values[i].field;
        }
    }
    return -1;
}

int kap_personal_code_in_event(const kap_event_t *ev)
{
    const kap_span_t envelope[] = {ev->id,        ev->source, ev->subject,    ev->correlation,
                                   ev->causation, ev->group,  ev->traceparent};
    for (size_t i = 0; i < sizeof(envelope) / sizeof(envelope[0]); i++) {
        if (kap_personal_code_in(envelope[i], NULL)) {
            return KAP_F_NONE;
        }
    }
    return kap_personal_code_in_values(ev->values, ev->value_count);
}
