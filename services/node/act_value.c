/* SPDX-License-Identifier: MPL-2.0 */
#include "act_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "idcheck.h"

static const struct {
    const char *code, *sentence;
} refusals[KAP_ACT_REFUSAL_COUNT] = {
#define KAP_ACT_REFUSAL(NAME, CODE, SENTENCE) {CODE, SENTENCE},
#include "act_refusals.def"
#undef KAP_ACT_REFUSAL
};

int kap_act_refuse(kap_act_result_t *result, kap_act_refusal_t why, const char *field, ...)
{
    va_list args;
    result->accepted = false;
    snprintf(result->code, sizeof result->code, "%s", refusals[why].code);
    snprintf(result->field, sizeof result->field, "%s", field ? field : "");
    va_start(args, field);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the table holds nothing but %s */
    vsnprintf(result->sentence, sizeof result->sentence, refusals[why].sentence, args);
#pragma GCC diagnostic pop
    va_end(args);
    return KAP_E_DENIED;
}

int kap_act_refuse_proto(kap_act_result_t *result, const kap_refusal_t *why, const char *more)
{
    const char *code = kap_refusal_code(why->number);
    const char *sentence = kap_refusal_sentence(why->number);
    const kap_field_row_t *field = kap_field_row((kap_field_t)why->field);
    result->accepted = false;
    snprintf(result->code, sizeof result->code, "%s", code ? code : "refused");
    snprintf(result->field, sizeof result->field, "%s", field ? field->wire : "");
    snprintf(result->sentence, sizeof result->sentence, "%s%s%s", sentence ? sentence : "refused",
             more && *more ? "; " : "", more ? more : "");
    return KAP_E_DENIED;
}

kap_span_t kap_act_field(const kap_act_t *act, const char *prefix, const char *name)
{
    kap_span_t front = kap_span_str(prefix);
    for (size_t i = 0; i < act->count; i++) {
        kap_span_t at = act->fields[i].name;
        if (kap_span_starts(at, front) &&
            kap_span_eq_str(kap_span_sub(at, front.size, at.size), name))
            return kap_span_trim(act->fields[i].value);
    }
    return kap_span(NULL, 0);
}

/* "'x' is not <what>" with the text cut to what a sentence bears. */
static int not_value(kap_act_result_t *result, kap_field_t field, kap_span_t text, const char *what)
{
    char shown[61];
    snprintf(shown, sizeof shown, "%.*s", KAP_SPAN_ARGS(kap_span_sub(text, 0, 60)));
    return kap_act_refuse(result, KAP_ACT_REFUSAL_VALUE, kap_field_row(field)->wire, shown, what);
}

void kap_act_codes_form(kap_code_list_t list, char out[KAP_ACT_SENTENCE_BYTES])
{
    size_t at = (size_t)snprintf(out, KAP_ACT_SENTENCE_BYTES, "one of ");
    for (int i = 0; i < kap_code_count(list) && at < KAP_ACT_SENTENCE_BYTES; i++)
        at += (size_t)snprintf(out + at, KAP_ACT_SENTENCE_BYTES - at, "%s%s", i ? ", " : "",
                               kap_code_name(list, i));
}

/* What people may write for a type; the form on the wire is the specification's. */
static const char *form_for_people(kap_type_t type)
{
    switch (type) {
    case KAP_TYPE_ID:
        return "an id of 1 to 200 bytes";
    case KAP_TYPE_STR:
    case KAP_TYPE_TEXT:
        return "a text";
    case KAP_TYPE_UINT:
        return "a whole number, 0 to 1000000000";
    case KAP_TYPE_YEAR:
        return "a year, as 2026";
    case KAP_TYPE_PERCENT:
        return "a whole number, 0 to 100";
    case KAP_TYPE_MS:
        return "a time, as 2026-11-21T14:05:00+02:00 or 21.11.2026 14:05";
    case KAP_TYPE_DATE:
        return "a day, as 2026-11-21 or 21.11.2026";
    case KAP_TYPE_LOCAL:
        return "a local time, as 2026-11-21 14:05";
    case KAP_TYPE_PERIOD:
        return "a period, as 2026, 2026-11 or 2026-11-21";
    case KAP_TYPE_BASIS:
        return "disclosure and gdpr; a consent needs its date, a statute its reference";
    case KAP_TYPE_LIST:
        return "a list with commas";
    default:
        return kap_type_form(type);
    }
}

void kap_act_value_form(kap_field_t field, char out[KAP_ACT_SENTENCE_BYTES])
{
    const kap_field_row_t *row = kap_field_row(field);
    if (row->list != KAP_LIST_NONE)
        kap_act_codes_form(row->list, out);
    else
        snprintf(out, KAP_ACT_SENTENCE_BYTES, "%s", form_for_people(row->type));
}

static int not_code(kap_act_result_t *result, kap_field_t field, kap_span_t text)
{
    char names[KAP_ACT_SENTENCE_BYTES];
    kap_act_value_form(field, names);
    return not_value(result, field, text, names);
}

/* By wire name, or by a word for people. */
static int code_parse(kap_code_list_t list, kap_span_t text)
{
    int code = kap_code_parse(list, text);
    for (int i = 0; code < 0 && i < kap_code_count(list); i++)
        for (int lang = KAP_LANG_FI; lang <= KAP_LANG_EN; lang++)
            if (kap_span_eq_str(text, kap_code_text(list, i, (kap_lang_t)lang)))
                code = i;
    return code;
}

/* Takes the next item of a comma-separated list, trimmed; false at the end. */
static bool item_next(kap_span_t *rest, kap_span_t *item)
{
    while (rest->size) {
        size_t n = 0;
        while (n < rest->size && rest->data[n] != ',' && rest->data[n] != ';')
            n++;
        *item = kap_span_trim(kap_span_sub(*rest, 0, n));
        *rest = kap_span_sub(*rest, n < rest->size ? n + 1 : n, rest->size);
        if (item->size)
            return true;
    }
    return false;
}

static int digits(kap_span_t *rest, size_t least, size_t most)
{
    int value = 0;
    size_t n = 0;
    while (n < rest->size && n < most && rest->data[n] >= '0' && rest->data[n] <= '9')
        value = value * 10 + (rest->data[n++] - '0');
    if (n < least)
        return -1;
    *rest = kap_span_sub(*rest, n, rest->size);
    return value;
}

static bool skip(kap_span_t *rest, char c)
{
    if (rest->size == 0 || rest->data[0] != (uint8_t)c)
        return false;
    *rest = kap_span_sub(*rest, 1, rest->size);
    return true;
}

/* 21.11.2026, what follows left in *rest. */
static bool finnish_date(kap_span_t *rest, kap_date_t *date)
{
    kap_span_t at = *rest;
    int day = digits(&at, 1, 2);
    if (day < 0 || !skip(&at, '.'))
        return false;
    int month = digits(&at, 1, 2);
    if (month < 0 || !skip(&at, '.'))
        return false;
    int year = digits(&at, 4, 4);
    *date = (kap_date_t){.year = (int16_t)year, .month = (int8_t)month, .day = (int8_t)day};
    if (year < 0 || !kap_date_valid(*date))
        return false;
    *rest = at;
    return true;
}

static bool any_date(kap_span_t *rest, kap_date_t *date)
{
    if (kap_date_parse(kap_span_sub(*rest, 0, 10), date) == KAP_OK) {
        *rest = kap_span_sub(*rest, 10, rest->size);
        return true;
    }
    return finnish_date(rest, date);
}

/* " 14:05", "T14:05:30", " klo 14.05"; nothing is midnight. */
static bool time_of_day(kap_span_t rest, int32_t *ms)
{
    *ms = 0;
    if (rest.size == 0)
        return true;
    if (!skip(&rest, 'T') && !skip(&rest, ' '))
        return false;
    if (kap_span_starts(rest, KAP_SPAN("klo ")))
        rest = kap_span_sub(rest, 4, rest.size);
    int hour = digits(&rest, 1, 2);
    if (hour < 0 || hour > 23 || (!skip(&rest, ':') && !skip(&rest, '.')))
        return false;
    int minute = digits(&rest, 2, 2), second = 0;
    if (minute < 0 || minute > 59)
        return false;
    if (skip(&rest, ':') || skip(&rest, '.'))
        second = digits(&rest, 2, 2);
    if (second < 0 || second > 59 || rest.size)
        return false;
    *ms = ((hour * 60 + minute) * 60 + second) * 1000;
    return true;
}

int kap_act_time_parse(kap_span_t text, int64_t *at_ms)
{
    bool had_zone;
    kap_date_t date;
    int32_t of_day;
    kap_span_t rest = text;
    if (kap_time_parse(text, KAP_ZONE_HELSINKI, at_ms, &had_zone) == KAP_OK)
        return KAP_OK;
    if (any_date(&rest, &date) && time_of_day(rest, &of_day)) {
        *at_ms = kap_local_ms(KAP_ZONE_HELSINKI, date, of_day);
        return KAP_OK;
    }
    /* Plain milliseconds: long enough not to be a year or a day. */
    if (text.size >= 11 && kap_span_int(text, at_ms))
        return KAP_OK;
    return KAP_E_INVALID;
}

/* --- one setter a kind of type --- */

int kap_act_day_text(kap_span_t *text, kap_arena_t *arena)
{
    kap_date_t date;
    kap_span_t rest = *text;
    if (!any_date(&rest, &date) || rest.size)
        return KAP_E_INVALID;
    char *out = kap_arena_alloc(arena, KAP_TIME_TEXT);
    if (!out)
        return KAP_E_NOMEM;
    kap_date_format(date, out);
    *text = kap_span_str(out);
    return KAP_OK;
}

static int set_date(kap_event_builder_t *b, kap_field_t field, kap_span_t text, kap_arena_t *arena,
                    kap_act_result_t *result)
{
    int rc = kap_act_day_text(&text, arena);
    if (rc == KAP_E_INVALID)
        return not_value(result, field, text, form_for_people(KAP_TYPE_DATE));
    if (rc == KAP_OK)
        kap_event_builder_set_span(b, field, text);
    return rc;
}

static int set_local(kap_event_builder_t *b, kap_field_t field, kap_span_t text, kap_arena_t *arena,
                     kap_act_result_t *result)
{
    kap_date_t date;
    int32_t ms;
    kap_span_t rest = text;
    if (!any_date(&rest, &date) || !time_of_day(rest, &ms))
        return not_value(result, field, text, form_for_people(KAP_TYPE_LOCAL));
    char *out = kap_arena_alloc(arena, KAP_TIME_TEXT + 8);
    if (!out)
        return KAP_E_NOMEM;
    kap_date_format(date, out);
    int minutes = ms / 60000;
    snprintf(out + 10, KAP_TIME_TEXT - 2, "T%02d:%02d", minutes / 60 % 24, minutes % 60);
    kap_event_builder_set_span(b, field, kap_span_str(out));
    return KAP_OK;
}

static int set_int(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                   kap_act_result_t *result)
{
    kap_type_t type = kap_field_row(field)->type;
    int64_t value;
    bool fits = kap_span_int(text, &value) && value >= 0;
    if (!fits || (type == KAP_TYPE_UINT && value > KAP_LIMIT_COUNT_LAST) ||
        (type == KAP_TYPE_PERCENT && value > 100))
        return not_value(result, field, text, form_for_people(type));
    kap_event_builder_set_int(b, field, value);
    return KAP_OK;
}

static int set_bool(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                    kap_act_result_t *result)
{
    static const char *const yes[] = {"true", "yes", "1", "kyllä", "ja", "x"};
    static const char *const no[] = {"false", "no", "0", "ei", "nej", "-"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (kap_span_eq_str(text, yes[i]) || kap_span_eq_str(text, no[i])) {
            kap_event_builder_set_bool(b, field, kap_span_eq_str(text, yes[i]));
            return KAP_OK;
        }
    }
    return not_value(result, field, text, "true or false (yes, no, kyllä, ei, 1, 0)");
}

static int set_codes(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                     kap_act_result_t *result)
{
    uint64_t mask = 0;
    kap_span_t rest = text, item;
    while (item_next(&rest, &item)) {
        int code = code_parse(kap_field_row(field)->list, item);
        if (code < 0)
            return not_code(result, field, item);
        mask |= UINT64_C(1) << code;
    }
    kap_event_builder_set_codes(b, field, mask);
    return KAP_OK;
}

/* "municipality, finnvera=remote": member, and for attendance how it was there. */
static void put_item(kap_buf_t *buf, kap_field_t field, kap_span_t item)
{
    if (field != KAP_F_ATTENDANCE) {
        kap_mp_put_str(buf, item);
        return;
    }
    size_t n = 0;
    while (n < item.size && item.data[n] != '=')
        n++;
    kap_span_t how = n < item.size ? kap_span_sub(item, n + 1, item.size) : KAP_SPAN("present");
    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, kap_field_row(KAP_F_MEMBER)->wire);
    kap_mp_put_str(buf, kap_span_trim(kap_span_sub(item, 0, n)));
    kap_mp_put_cstr(buf, kap_field_row(KAP_F_PRESENT)->wire);
    how = kap_span_trim(how);
    int code = code_parse(KAP_LIST_ATTENDANCE, how);
    kap_mp_put_str(buf, code < 0 ? how : kap_span_str(kap_code_name(KAP_LIST_ATTENDANCE, code)));
}

static int set_list(kap_event_builder_t *b, kap_field_t field, kap_span_t text, kap_arena_t *arena)
{
    kap_buf_t buf;
    uint32_t count = 0;
    kap_span_t rest = text, item;
    while (item_next(&rest, &item))
        count++;
    kap_buf_init(&buf);
    kap_mp_put_array(&buf, count);
    for (rest = text; item_next(&rest, &item);)
        put_item(&buf, field, item);
    kap_span_t raw = kap_arena_dup(arena, kap_buf_span(&buf));
    int rc = buf.err ? buf.err : raw.data ? KAP_OK : KAP_E_NOMEM;
    kap_buf_fini(&buf);
    if (rc == KAP_OK)
        kap_event_builder_set_raw(b, field, raw);
    return rc;
}

/* A comma where the point should be is how Finns write decimals. */
static int set_decimal(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                       kap_arena_t *arena, kap_act_result_t *result)
{
    char *out = kap_arena_str(arena, text);
    if (!out)
        return KAP_E_NOMEM;
    char *comma = strchr(out, ',');
    if (comma)
        *comma = '.';
    if (!kap_text_is(KAP_TYPE_DECIMAL, kap_span_str(out)))
        return not_value(result, field, text, "a number, as 3 or 3.5");
    kap_event_builder_set_span(b, field, kap_span_str(out));
    return KAP_OK;
}

static int set_text(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                    kap_act_result_t *result)
{
    kap_type_t type = kap_field_row(field)->type;
    if (type == KAP_TYPE_BID && !kap_business_id_ok(text)) {
        char shown[41];
        snprintf(shown, sizeof shown, "%.*s", KAP_SPAN_ARGS(kap_span_sub(text, 0, 40)));
        return kap_act_refuse(result, KAP_ACT_REFUSAL_BUSINESS_ID, kap_field_row(field)->wire,
                              shown);
    }
    if (!kap_text_is(type, text))
        return not_value(result, field, text, form_for_people(type));
    kap_event_builder_set_span(b, field, text);
    return KAP_OK;
}

int kap_act_value_set(kap_event_builder_t *b, kap_field_t field, kap_span_t text,
                      kap_arena_t *arena, kap_act_result_t *result)
{
    const kap_field_row_t *row = kap_field_row(field);
    int64_t at_ms;
    int code;
    switch (row->type) {
    case KAP_TYPE_UINT:
    case KAP_TYPE_SEQ:
    case KAP_TYPE_YEAR:
    case KAP_TYPE_PERCENT:
        return set_int(b, field, text, result);
    case KAP_TYPE_MS:
        if (kap_act_time_parse(text, &at_ms) != KAP_OK)
            return not_value(result, field, text, form_for_people(KAP_TYPE_MS));
        kap_event_builder_set_int(b, field, at_ms);
        return KAP_OK;
    case KAP_TYPE_DATE:
        return set_date(b, field, text, arena, result);
    case KAP_TYPE_LOCAL:
        return set_local(b, field, text, arena, result);
    case KAP_TYPE_BOOL:
        return set_bool(b, field, text, result);
    case KAP_TYPE_CODE:
        code = code_parse(row->list, text);
        if (code < 0)
            return not_code(result, field, text);
        kap_event_builder_set_code(b, field, code);
        return KAP_OK;
    case KAP_TYPE_CODES:
        return set_codes(b, field, text, result);
    case KAP_TYPE_LIST:
        return set_list(b, field, text, arena);
    case KAP_TYPE_DECIMAL:
        return set_decimal(b, field, text, arena, result);
    case KAP_TYPE_ID:
    case KAP_TYPE_STR:
    case KAP_TYPE_TEXT:
    case KAP_TYPE_PERIOD:
    case KAP_TYPE_BID:
        return set_text(b, field, text, result);
    default: /* hashes, maps and the basis are not given as one text */
        return not_value(result, field, text, "given this way");
    }
}
