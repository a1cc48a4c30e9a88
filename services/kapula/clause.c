/* SPDX-License-Identifier: MPL-2.0 */
/* Clauses of an agreement: their words, what makes two the same, and how one is written. */
#include <stdio.h>
#include <string.h>

#include "agreement.h"

static const struct {
    kap_event_type_t type;
    const char *words[3];
} clauses[KAP_CLAUSE_COUNT] = {
#define KAP_CLAUSE(NAME, EVENT, FI, SV, EN) {KAP_EV_##EVENT, {FI, SV, EN}},
#define KAP_CLAUSE_PART(CLAUSE, FIELD, FI, SV, EN)
#include "agreement.def"
#undef KAP_CLAUSE
#undef KAP_CLAUSE_PART
};

static const struct {
    kap_clause_kind_t clause;
    kap_field_t field;
    const char *words[3];
} parts[] = {
#define KAP_CLAUSE(NAME, EVENT, FI, SV, EN)
#define KAP_CLAUSE_PART(CLAUSE, FIELD, FI, SV, EN)                                                 \
    {KAP_CLAUSE_##CLAUSE, KAP_F_##FIELD, {FI, SV, EN}},
#include "agreement.def"
#undef KAP_CLAUSE
#undef KAP_CLAUSE_PART
};
enum { PARTS = sizeof parts / sizeof *parts };

/* What the directory keeps as numbers: the name here, its unit, its bounds there. */
static const kap_clause_limit_t limits[] = {{"undelivered", "hours", 1, 720},
                                            {"unanswered", "days", 1, 365},
                                            {"uncontacted", "days", 1, 365},
                                            {"silent", "days", 1, 365},
                                            {"hidden", "", 3, 100}};
enum { LIMITS = sizeof limits / sizeof *limits };

kap_event_type_t kap_clause_type(kap_clause_kind_t kind)
{
    return clauses[kind].type;
}

static bool is_word(kap_span_t plain, const char *const words[3])
{
    bool found = false;
    for (int lang = 0; lang < 3; lang++)
        found |= kap_sheet_is_among(plain, words[lang]);
    return found;
}

int kap_clause_part(kap_clause_kind_t kind, kap_arena_t *arena, kap_span_t word)
{
    kap_span_t plain = kap_sheet_word(arena, word);
    for (int i = 0; i < PARTS; i++)
        if (parts[i].clause == kind && is_word(plain, parts[i].words))
            return i;
    return -1;
}

kap_field_t kap_clause_part_field(int part)
{
    return parts[part].field;
}

const char *kap_clause_part_word(int part)
{
    return parts[part].words[KAP_LANG_EN];
}

int kap_clause_find(kap_arena_t *arena, kap_span_t word)
{
    kap_span_t plain = kap_sheet_word(arena, word);
    for (int i = 0; i < KAP_CLAUSE_COUNT; i++)
        if (is_word(plain, clauses[i].words))
            return i;
    return -1;
}

const kap_clause_limit_t *kap_clause_limit(kap_span_t name)
{
    for (int i = 0; i < LIMITS; i++)
        if (kap_span_eq_str(name, limits[i].name))
            return &limits[i];
    return NULL;
}

bool kap_agreement_add(kap_cli_t *cli, kap_agreement_t *agreement, const kap_clause_t *clause)
{
    if (agreement->count == agreement->cap) {
        uint32_t cap = agreement->cap ? agreement->cap * 2 : 32;
        kap_clause_t *grown = kap_arena_alloc(cli->arena, cap * sizeof *grown);
        if (!grown)
            return false;
        if (agreement->count)
            memcpy(grown, agreement->clauses, agreement->count * sizeof *grown);
        agreement->clauses = grown;
        agreement->cap = cap;
    }
    agreement->clauses[agreement->count++] = *clause;
    return true;
}

/* --- comparing --- */

static bool same_value(const kap_clause_t *a, const kap_clause_t *b, const char *name)
{
    const char *x = kap_said(&a->said, name), *y = kap_said(&b->said, name);
    return x && y ? strcmp(x, y) == 0 : x == y;
}

/* The identifying fields of a clause, ended by NULL. */
static const char *const *subject_of(kap_clause_kind_t kind)
{
    static const char *const pair[] = {"from", "to", "kind", NULL},
                             *const forum[] = {"forum", NULL}, *const limit[] = {"limit", NULL},
                             *const none[] = {NULL}, *const target[] = {"target",  "from",  "to",
                                                                        "service", "forum", "year",
                                                                        NULL};
    return kind == KAP_CLAUSE_AGREED   ? pair
           : kind == KAP_CLAUSE_TARGET ? target
           : kind == KAP_CLAUSE_FORUM  ? forum
           : kind == KAP_CLAUSE_LIMIT  ? limit
                                       : none;
}

bool kap_clause_same_subject(const kap_clause_t *a, const kap_clause_t *b)
{
    bool same = a->kind == b->kind;
    const char *const *names = subject_of(a->kind);
    for (int i = 0; same && names[i]; i++)
        same = same_value(a, b, names[i]);
    return same;
}

int kap_clause_order(const void *left, const void *right)
{
    const kap_clause_t *a = left, *b = right;
    int order = (a->kind > b->kind) - (a->kind < b->kind);
    const char *const *names = subject_of(a->kind);
    for (int i = 0; order == 0 && names[i]; i++) {
        const char *x = kap_said(&a->said, names[i]), *y = kap_said(&b->said, names[i]);
        order = strcmp(x ? x : "", y ? y : "");
    }
    return order;
}

bool kap_clause_same(const kap_clause_t *said, const kap_clause_t *is)
{
    bool same = true;
    for (int i = 0; same && i < said->said.count; i++)
        same = same_value(said, is, said->said.names[i]);
    for (int i = 0; same && said->kind != KAP_CLAUSE_FORUM && i < is->said.count; i++)
        same = same_value(said, is, is->said.names[i]);
    return same;
}

/* --- writing --- */

static const char *word_of(const kap_cli_t *cli, const char *const words[3], int *size)
{
    const char *word = words[kap_shown_lang(cli)];
    *size = (int)strcspn(word, "|");
    return word;
}

/* Quoted where it is not one plain word. */
static void put_text(kap_buf_t *out, const char *text)
{
    bool plain = *text && !strpbrk(text, " \t,>\"#");
    kap_buf_str(out, plain ? "" : "\"");
    for (; *text; text++)
        kap_buf_u8(out, *text == '"' ? '\'' : (uint8_t)*text);
    kap_buf_str(out, plain ? "" : "\"");
}

/* The unit of a number, one or many. */
static const char *unit_word(const kap_cli_t *cli, const char *unit, const char *number)
{
    static const char *const days[][3] = {{"päivää", "dagar", "days"}, {"päivä", "dag", "day"}},
                             *const hours[][3] = {{"tuntia", "timmar", "hours"},
                                                  {"tunti", "timme", "hour"}};
    bool one = strcmp(number, "1") == 0;
    return *unit == 'd'   ? days[one][kap_shown_lang(cli)]
           : *unit == 'h' ? hours[one][kap_shown_lang(cli)]
                          : "";
}

static void put_head(const kap_cli_t *cli, const kap_clause_t *clause, kap_buf_t *out)
{
    const kap_said_t *said = &clause->said;
    const char *days = kap_said(said, "days"), *limit = kap_said(said, "limit");
    switch (clause->kind) {
    case KAP_CLAUSE_AGREED:
        kap_buf_printf(out, "%s > %s", kap_said(said, "from"), kap_said(said, "to"));
        return;
    case KAP_CLAUSE_TARGET:
        kap_buf_printf(out, "%s %s%s%s", kap_said(said, "target"),
                       days ? days : kap_said(said, "value"), days ? " " : "",
                       days ? unit_word(cli, "days", days) : "");
        return;
    case KAP_CLAUSE_FORUM:
        put_text(out, kap_said(said, "forum"));
        return;
    case KAP_CLAUSE_VISIBILITY:
        kap_buf_str(out, kap_said(said, "visibility"));
        return;
    default:
        break;
    }
    for (int i = 0; limit && i < LIMITS; i++)
        if (strcmp(limits[i].name, limit) == 0)
            kap_buf_printf(out, "%s %s%s%s", limit, kap_said(said, "value"),
                           *limits[i].unit ? " " : "",
                           unit_word(cli, limits[i].unit, kap_said(said, "value")));
}

static void put_part(const kap_cli_t *cli, const kap_clause_t *clause, int part, kap_buf_t *out)
{
    kap_field_t field = parts[part].field;
    const char *value = kap_said(&clause->said, kap_field_row(field)->wire),
               *to = kap_said(&clause->said, "to");
    bool pair = field == KAP_F_FROM, list = kap_field_row(field)->type == KAP_TYPE_LIST ||
                                            kap_field_row(field)->type == KAP_TYPE_CODES;
    int size;
    if (!value && !(pair && to))
        return;
    const char *word = word_of(cli, parts[part].words, &size);
    kap_buf_printf(out, "  %.*s", size, word);
    if (field == KAP_F_ENDED)
        return;
    kap_buf_str(out, " ");
    if (pair)
        kap_buf_printf(out, "%s > %s", value ? value : "*", to ? to : "*");
    else if (list || field == KAP_F_RRULE)
        kap_buf_str(out, value);
    else
        put_text(out, value);
}

void kap_clause_print(const kap_cli_t *cli, const kap_clause_t *clause, kap_buf_t *out)
{
    int size;
    const char *word = word_of(cli, clauses[clause->kind].words, &size);
    int columns = 0;
    for (int i = 0; i < size; i++)
        columns += ((unsigned char)word[i] & 0xc0) != 0x80;
    kap_buf_printf(out, "%.*s%*s ", size, word, columns < 10 ? 10 - columns : 0, "");
    put_head(cli, clause, out);
    for (int i = 0; i < PARTS; i++)
        if (parts[i].clause == clause->kind)
            put_part(cli, clause, i, out);
}
