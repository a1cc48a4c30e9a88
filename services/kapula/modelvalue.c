/* SPDX-License-Identifier: MPL-2.0 */
#include "modelvalue.h"

#include <string.h>

#include "sheet.h"
#include "utf8.h"

/* Same words, when blanks, dashes and underscores are one thing. */
static bool same_words(kap_span_t a, kap_span_t b)
{
    bool same = a.size == b.size;
    for (size_t i = 0; same && i < a.size; i++) {
        bool gap = strchr(" -_", a.data[i]) && strchr(" -_", b.data[i]);
        same = gap || a.data[i] == b.data[i];
    }
    return same && a.size > 0;
}

/* Short words for codes, as intake files have them. */
static const struct {
    kap_code_list_t list;
    const char *wire, *words;
} aliases[] = {
#define KAP_ALIAS(LIST, WIRE, WORDS) {KAP_LIST_##LIST, WIRE, WORDS},
#include "aliases.def"
#undef KAP_ALIAS
};

static int alias_code(kap_code_list_t list, kap_span_t word)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (aliases[i].list == list && kap_sheet_is_among(word, aliases[i].words))
            return kap_code_parse(list, kap_span_str(aliases[i].wire));
    return -1;
}

int kap_value_code(kap_arena_t *arena, kap_code_list_t list, kap_span_t text)
{
    kap_span_t word = kap_sheet_word(arena, text);
    int found = kap_code_parse(list, text);
    for (int code = 0; found < 0 && code < kap_code_count(list); code++) {
        if (same_words(word, kap_span_str(kap_code_name(list, code))))
            found = code;
        for (int lang = KAP_LANG_FI; found < 0 && lang <= KAP_LANG_EN; lang++) {
            const char *says = kap_code_text(list, code, (kap_lang_t)lang);
            if (same_words(word, kap_sheet_word(arena, kap_span_str(says))))
                found = code;
        }
    }
    return found < 0 ? alias_code(list, word) : found;
}

kap_span_t kap_value_member_of(kap_arena_t *arena, const kap_directory_t *dir, kap_span_t text)
{
    kap_span_t word = kap_sheet_word(arena, text);
    for (uint32_t i = 0; dir && i < kap_directory_member_count(dir); i++) {
        const kap_member_t *m = kap_directory_member_at(dir, i);
        kap_span_t names[] = {m->id, m->name_fi, m->name_sv, m->name_en};
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (same_words(word, kap_sheet_word(arena, names[k])))
                return m->id;
    }
    return text;
}

kap_span_t kap_value_member(kap_cli_t *cli, kap_span_t text)
{
    return kap_value_member_of(cli->arena, kap_cli_directory(cli), text);
}

void kap_value_text(const kap_mp_t *value, kap_buf_t *out)
{
    for (uint32_t i = 0; value && value->kind == KAP_MP_ARRAY && i < value->count; i++) {
        kap_buf_str(out, i ? ", " : "");
        kap_buf_append(out, kap_mp_item(value, i)->s);
    }
    if (value && value->kind == KAP_MP_STR)
        kap_buf_append(out, value->s);
    else if (value && value->kind == KAP_MP_INT)
        kap_buf_printf(out, "%lld", (long long)value->i);
    else if (value && value->kind == KAP_MP_BOOL)
        kap_buf_str(out, value->b ? "true" : "false");
}

/* Is what follows a number only its unit? */
static bool is_unit(kap_span_t rest)
{
    static const char *const units[] = {"",        "%",         "€",          "e",  "eur",
                                        "kpl",     "st",        "pcs",        "pv", "päivää",
                                        "dagar",   "days",      "day",        "d",  "prosenttia",
                                        "procent", "työpäivää", "arbetsdagar"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (kap_span_eq_str(rest, units[i]))
            return true;
    return false;
}

/* A blank of any kind, a minus of any kind; else 0. Takes it off. */
static char take_mark(kap_span_t *rest)
{
    kap_span_t at = *rest;
    uint32_t point = kap_utf8_next(&at);
    bool blank = point == ' ' || point == 0xa0 || point == 0x202f || point == 0x2009;
    bool minus = point == '-' || point == 0x2212 || point == 0x2013;
    if (blank || minus)
        *rest = at;
    return blank ? ' ' : minus ? '-' : 0;
}

kap_span_t kap_value_number(kap_arena_t *arena, kap_span_t text)
{
    kap_span_t rest = kap_span_trim(text);
    bool comma = rest.size && memchr(rest.data, ',', rest.size);
    char *out = kap_arena_alloc(arena, rest.size + 1);
    size_t n = 0, digits = 0;
    while (out && rest.size > 0) {
        uint8_t c = rest.data[0];
        char mark = take_mark(&rest);
        if (mark == ' ')
            continue;
        if (mark == '-' && n == 0) {
            out[n++] = '-';
            continue;
        }
        bool digit = c >= '0' && c <= '9';
        if (mark || (!digit && c != ',' && c != '.'))
            break;
        digits += digit;
        if (digit || c == ',' || !comma) /* 1.234,5: the points part thousands */
            out[n++] = c == ',' ? '.' : (char)c;
        rest = kap_span_sub(rest, 1, rest.size);
    }
    bool whole = digits > 0 && is_unit(kap_span_trim(rest));
    return whole ? kap_span(out, n) : text;
}

bool kap_value_years(kap_span_t text, kap_span_t *first, kap_span_t *last)
{
    kap_span_t rest = kap_span_trim(text);
    char period[11];
    if (rest.size < 9 || !kap_sheet_period(kap_span_sub(rest, 0, 4), period))
        return false;
    *first = kap_span_sub(rest, 0, 4);
    rest = kap_span_sub(rest, 4, rest.size);
    bool dash = false;
    for (char mark; rest.size > 0 && (mark = take_mark(&rest)) != 0;)
        dash |= mark == '-';
    *last = rest;
    return dash && rest.size == 4 && kap_sheet_period(rest, period);
}

static kap_span_t named(kap_arena_t *arena, kap_code_list_t list, kap_span_t text)
{
    int code = kap_value_code(arena, list, text);
    return code < 0 ? text : kap_span_str(kap_code_name(list, code));
}

static bool is_member(kap_field_t field)
{
    return field == KAP_F_FROM || field == KAP_F_TO || field == KAP_F_MEMBER ||
           field == KAP_F_OWNER;
}

kap_span_t kap_value_plain(kap_cli_t *cli, kap_field_t field, kap_span_t text)
{
    const kap_field_row_t *row = kap_field_row(field);
    char period[11];
    if (!row)
        return text;
    if (is_member(field))
        return kap_value_member(cli, text);
    switch (row->type) {
    case KAP_TYPE_CODE:
        return named(cli->arena, row->list, text);
    case KAP_TYPE_UINT:
    case KAP_TYPE_YEAR:
    case KAP_TYPE_PERCENT:
    case KAP_TYPE_DECIMAL:
        return kap_value_number(cli->arena, text);
    case KAP_TYPE_PERIOD:
    case KAP_TYPE_DATE:
        return kap_sheet_period(text, period) ? kap_arena_dup(cli->arena, kap_span_str(period))
                                              : text;
    default:
        break;
    }
    if (field == KAP_F_INDICATOR)
        return named(cli->arena, KAP_LIST_INDICATOR, text);
    if (field == KAP_F_UNIT)
        return named(cli->arena, KAP_LIST_UNIT, text);
    if (field == KAP_F_SURVEY)
        return named(cli->arena, KAP_LIST_SURVEY, text);
    return text;
}
