/* SPDX-License-Identifier: MPL-2.0 */
#include "mapping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "tables.h"

enum { WORD_BYTES = 160, CHUNK_BYTES = 4096 };

typedef struct {
    kap_intake_group_t group;
    const char *field, *words[3], *help;
} column_row_t;

static const column_row_t rows[] = {
#define KAP_INTAKE_COLUMN(GROUP, FIELD, FI, SV, EN, HELP)                                          \
    {KAP_GROUP_##GROUP, FIELD, {FI, SV, EN}, HELP},
#include "intake_columns.def"
#undef KAP_INTAKE_COLUMN
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct {
    kap_code_list_t list;
    const char *wire, *words;
} aliases[] = {
#define KAP_ALIAS(LIST, WIRE, WORDS) {KAP_LIST_##LIST, WIRE, WORDS},
#include "aliases.def"
#undef KAP_ALIAS
};
enum { ALIASES = sizeof aliases / sizeof aliases[0] };

/* Fields of acts that are in no table of the protocol. */
static const char *const own_fields[] = {"-",
                                         "time",
                                         "type",
                                         "answer",
                                         "needs",
                                         "code",
                                         "basis.disclosure",
                                         "basis.gdpr",
                                         "basis.statute",
                                         "basis.consent_date",
                                         "basis.consent_version",
                                         "basis.consent_how"};

/* One header or value of the configuration, folded. */
typedef struct entry {
    struct entry *next;
    const char *field;
    kap_span_t own, word;
} entry_t;

/* What was looked up before: the same headers and words come in every row. A slot holds the latest
 * word of its hash, so memory is bounded whatever a file holds. */
enum { MEMO_SLOTS = 1024, MEMO_BYTES = 60 };
typedef struct {
    bool used;
    uint8_t size;
    uint16_t tag; /* a group of columns, or a list of codes */
    char text[MEMO_BYTES];
    kap_mapped_column_t found;
} memo_t;

struct kap_mapping {
    memo_t *memo;
    const kap_actor_column_t *own;
    kap_arena_t *arena;
    entry_t *columns, *values;
    entry_t *fronted; /* names with a front (next., sealed.), each kept once */
};

/* --- words --- */

/* The capital letters of Latin-1 stand 0x20 before the small ones, in UTF-8 too. */
static uint8_t folded_byte(uint8_t c, uint8_t before)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c + ('a' - 'A'));
    if (before == 0xc3 && c >= 0x80 && c <= 0x9e && c != 0x97)
        return (uint8_t)(c + 0x20);
    return c;
}

/* Small letters, single blanks, no trailing ':' or '*'; at most `size` bytes, the length. What is
 * longer gives 0: no word of any table is. */
static size_t fold(kap_span_t text, char *out, size_t size)
{
    size_t n = 0;
    text = kap_span_trim(text);
    while (text.size && (text.data[text.size - 1] == ':' || text.data[text.size - 1] == '*'))
        text = kap_span_trim(kap_span_sub(text, 0, text.size - 1));
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = folded_byte(text.data[i], i ? text.data[i - 1] : 0);
        bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (blank && n && out[n - 1] == ' ')
            continue;
        if (n == size)
            return 0;
        out[n++] = blank ? ' ' : (char)c;
    }
    return n;
}

static bool same(kap_span_t folded, kap_span_t word)
{
    char text[WORD_BYTES];
    size_t n = fold(word, text, sizeof text);
    return n && kap_span_eq(folded, kap_span(text, n));
}

static bool among(kap_span_t folded, const char *words)
{
    while (*words) {
        size_t n = strcspn(words, "|");
        if (same(folded, kap_span(words, n)))
            return true;
        words += n + (words[n] == '|');
    }
    return false;
}

bool kap_mapping_is_word(kap_span_t word, const char *words)
{
    char text[WORD_BYTES];
    size_t n = fold(word, text, sizeof text);
    return n && among(kap_span(text, n), words);
}

/* A name with a front, kept once: there are few such names, however many files come. */
static const char *fronted_name(kap_mapping_t *mapping, kap_span_t name)
{
    for (const entry_t *e = mapping->fronted; e; e = e->next)
        if (kap_span_eq(e->own, name))
            return e->field;
    entry_t *entry = kap_arena_alloc(mapping->arena, sizeof *entry);
    const char *text = kap_arena_str(mapping->arena, name);
    if (!entry || !text)
        return NULL;
    *entry = (entry_t){.next = mapping->fronted, .field = text, .own = kap_span_str(text)};
    mapping->fronted = entry;
    return text;
}

#define TAG_LIST 256 /* tags of code lists begin here, those of groups at 0 */

/* The slot of a word; *hit: it holds the word's result. NULL: too long to be remembered. */
static memo_t *memo_slot(const kap_mapping_t *mapping, uint16_t tag, kap_span_t text, bool *hit)
{
    uint32_t hash = 2166136261u ^ tag;
    *hit = false;
    if (text.size > MEMO_BYTES)
        return NULL;
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ text.data[i]) * 16777619u; /* FNV-1a */
    memo_t *slot = &mapping->memo[hash % MEMO_SLOTS];
    *hit = slot->used && slot->tag == tag && kap_span_eq(kap_span(slot->text, slot->size), text);
    return slot;
}

static void memo_set(memo_t *slot, uint16_t tag, kap_span_t text, kap_mapped_column_t found)
{
    if (!slot)
        return;
    *slot = (memo_t){.used = true, .size = (uint8_t)text.size, .tag = tag, .found = found};
    memcpy(slot->text, text.data, text.size);
}

/* The field's name as text that lasts, NULL when there is none. */
static const char *field_name(kap_mapping_t *mapping, kap_span_t name)
{
    kap_span_t core = name;
    for (size_t i = 0; i < sizeof own_fields / sizeof own_fields[0]; i++)
        if (kap_span_eq_str(name, own_fields[i]))
            return own_fields[i];
    if (kap_span_starts(core, KAP_SPAN("next.")))
        core = kap_span_sub(core, 5, core.size);
    if (kap_span_starts(core, KAP_SPAN("sealed.")))
        core = kap_span_sub(core, 7, core.size);
    kap_field_t field = kap_field_parse(core);
    if (field == KAP_F_NONE)
        return NULL;
    return core.size == name.size ? kap_field_row(field)->wire : fronted_name(mapping, name);
}

/* --- life --- */

int kap_mapping_new(const kap_actor_column_t *own, kap_mapping_t **out)
{
    kap_mapping_t *mapping = calloc(1, sizeof *mapping);
    if (!mapping)
        return KAP_E_NOMEM;
    mapping->own = own;
    mapping->arena = kap_arena_new(CHUNK_BYTES);
    mapping->memo = calloc(MEMO_SLOTS, sizeof *mapping->memo);
    if (!mapping->arena || !mapping->memo) {
        kap_mapping_destroy(&mapping);
        return KAP_E_NOMEM;
    }
    *out = mapping;
    return KAP_OK;
}

void kap_mapping_destroy(kap_mapping_t **mapping)
{
    if (!*mapping)
        return;
    kap_arena_destroy(&(*mapping)->arena);
    free((*mapping)->memo);
    free(*mapping);
    *mapping = NULL;
}

static int add(kap_mapping_t *mapping, entry_t **list, kap_span_t own, kap_span_t field,
               kap_span_t word)
{
    char text[WORD_BYTES];
    const char *name = field_name(mapping, field);
    size_t n = fold(own, text, sizeof text);
    if (!name || n == 0)
        return KAP_E_INVALID;
    entry_t *entry = kap_arena_alloc(mapping->arena, sizeof *entry);
    if (!entry)
        return KAP_E_NOMEM;
    *entry = (entry_t){.field = name,
                       .own = kap_arena_dup(mapping->arena, kap_span(text, n)),
                       .word = kap_arena_dup(mapping->arena, word)};
    if (!entry->own.data || !entry->word.data)
        return KAP_E_NOMEM;
    while (*list)
        list = &(*list)->next;
    *list = entry;
    memset(mapping->memo, 0, MEMO_SLOTS * sizeof *mapping->memo);
    return KAP_OK;
}

int kap_mapping_add_column(kap_mapping_t *mapping, kap_span_t column, kap_span_t field)
{
    return add(mapping, &mapping->columns, column, field, kap_span(NULL, 0));
}

int kap_mapping_add_value(kap_mapping_t *mapping, kap_span_t own, kap_span_t word)
{
    const uint8_t *equals = own.size ? memchr(own.data, '=', own.size) : NULL;
    if (!equals)
        return KAP_E_INVALID;
    size_t n = (size_t)(equals - own.data);
    return add(mapping, &mapping->values, kap_span_sub(own, n + 1, own.size),
               kap_span_sub(own, 0, n), word);
}

/* --- headers --- */

static const column_row_t *row_find(kap_intake_group_t group, kap_span_t folded)
{
    for (size_t i = 0; i < ROWS; i++)
        for (int lang = 0; rows[i].group == group && lang < 3; lang++)
            if (among(folded, rows[i].words[lang]))
                return &rows[i];
    return NULL;
}

static kap_mapped_column_t column_find(kap_mapping_t *mapping, kap_intake_group_t group,
                                       kap_span_t folded)
{
    for (const entry_t *e = mapping->columns; e; e = e->next)
        if (kap_span_eq(e->own, folded))
            return (kap_mapped_column_t){.field = e->field};
    for (const kap_actor_column_t *own = mapping->own; own && own->column; own++)
        if (among(folded, own->column))
            return (kap_mapped_column_t){.field = own->field, .constant = own->value};
    const column_row_t *row = row_find(group, folded);
    if (!row)
        row = row_find(KAP_GROUP_ANY, folded);
    return (kap_mapped_column_t){.field = row ? row->field : field_name(mapping, folded)};
}

kap_mapped_column_t kap_mapping_column(kap_mapping_t *mapping, kap_intake_group_t group,
                                       kap_span_t header)
{
    char text[WORD_BYTES];
    bool hit;
    kap_span_t folded = kap_span(text, fold(header, text, sizeof text));
    if (kap_span_empty(folded))
        return (kap_mapped_column_t){0};
    memo_t *slot = memo_slot(mapping, (uint16_t)group, folded, &hit);
    if (hit)
        return slot->found;
    kap_mapped_column_t found = column_find(mapping, group, folded);
    memo_set(slot, (uint16_t)group, folded, found);
    return found;
}

void kap_mapping_headers(const kap_mapping_t *mapping, kap_intake_group_t group, char *out,
                         size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (const kap_actor_column_t *own = mapping->own; own && own->column && at < size; own++)
        at += (size_t)snprintf(out + at, size - at, "%s%.*s", at ? ", " : "",
                               (int)strcspn(own->column, "|"), own->column);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < ROWS && at < size; i++)
            if (rows[i].group == (pass ? KAP_GROUP_ANY : group) && rows[i].field[0] != '-' &&
                (pass == 0 || group != KAP_GROUP_ANY))
                at += (size_t)snprintf(out + at, size - at, "%s%.*s", at ? ", " : "",
                                       (int)strcspn(rows[i].words[0], "|"), rows[i].words[0]);
}

/* --- values --- */

static const char *code_find(kap_code_list_t list, kap_span_t folded)
{
    int exact = kap_code_parse(list, folded);
    if (exact >= 0)
        return kap_code_name(list, exact);
    for (int code = 0; code < kap_code_count(list); code++) {
        if (same(folded, kap_span_str(kap_code_name(list, code))))
            return kap_code_name(list, code);
        for (int lang = KAP_LANG_FI; lang <= KAP_LANG_EN; lang++)
            if (same(folded, kap_span_str(kap_code_text(list, code, (kap_lang_t)lang))))
                return kap_code_name(list, code);
    }
    for (size_t i = 0; i < ALIASES; i++)
        if (aliases[i].list == list && among(folded, aliases[i].words))
            return aliases[i].wire;
    return NULL;
}

static const char *code_of_text(const kap_mapping_t *mapping, kap_code_list_t list,
                                kap_span_t folded)
{
    bool hit;
    uint16_t tag = (uint16_t)(TAG_LIST + list);
    memo_t *slot = memo_slot(mapping, tag, folded, &hit);
    if (hit)
        return slot->found.field;
    const char *name = code_find(list, folded);
    memo_set(slot, tag, folded, (kap_mapped_column_t){.field = name});
    return name;
}

static const char *region_of_text(kap_span_t folded)
{
    for (int i = 0; i < kap_region_count(); i++) {
        const kap_region_row_t *row = kap_region_row(i);
        if (same(folded, kap_span_str(row->fi)) || same(folded, kap_span_str(row->sv)))
            return row->id;
    }
    return NULL;
}

static kap_code_list_t list_of_basis(const char *name)
{
    if (strcmp(name, "disclosure") == 0)
        return KAP_LIST_DISCLOSURE;
    if (strcmp(name, "gdpr") == 0)
        return KAP_LIST_GDPR;
    return strcmp(name, "consent_how") == 0 ? KAP_LIST_CONSENT : KAP_LIST_NONE;
}

static bool is_member_field(kap_field_t field)
{
    return field == KAP_F_TO || field == KAP_F_FROM || field == KAP_F_WITH ||
           field == KAP_F_MEMBER || field == KAP_F_OWNER || field == KAP_F_MEMBERS ||
           field == KAP_F_ATTENDANCE;
}

kap_span_t kap_mapping_value(const kap_mapping_t *mapping, const kap_directory_t *directory,
                             const char *field, kap_span_t text)
{
    char folded_text[WORD_BYTES];
    kap_span_t folded = kap_span(folded_text, fold(text, folded_text, sizeof folded_text));
    const char *core = strrchr(field, '.') ? strrchr(field, '.') + 1 : field;
    const char *known = NULL;
    if (kap_span_empty(folded))
        return text;
    for (const entry_t *e = mapping->values; e; e = e->next)
        if (kap_span_eq(e->own, folded) &&
            (strcmp(e->field, field) == 0 || strcmp(e->field, core) == 0))
            return e->word;
    if (strncmp(field, "basis.", 6) == 0) {
        known = code_of_text(mapping, list_of_basis(core), folded);
        return known ? kap_span_str(known) : text;
    }
    kap_field_t number = kap_field_parse(kap_span_str(core));
    const kap_field_row_t *row = kap_field_row(number);
    if (strcmp(core, "needs") == 0)
        row = kap_field_row(KAP_F_SERVICE);
    if (row && row->list != KAP_LIST_NONE)
        known = code_of_text(mapping, row->list, folded);
    else if (number == KAP_F_FORUM_KIND)
        known = code_of_text(mapping, KAP_LIST_FORUM, folded);
    else if (number == KAP_F_REGION)
        known = region_of_text(folded);
    else if (is_member_field(number)) {
        kap_span_t member = kap_mapping_member(mapping, directory, text, false, NULL);
        return kap_span_empty(member) ? text : member;
    }
    return known ? kap_span_str(known) : text;
}

/* --- members --- */

static bool is_named(const kap_member_t *member, kap_span_t folded)
{
    return same(folded, member->id) || same(folded, member->name_fi) ||
           same(folded, member->name_sv) || same(folded, member->name_en);
}

static int type_of_text(kap_span_t folded)
{
    for (int i = 0; i < KAP_ACTOR_COUNT; i++) {
        const kap_actor_type_row_t *row = kap_actor_type_row(i);
        if (same(folded, kap_span_str(row->id)))
            return i;
        for (int lang = KAP_LANG_FI; lang <= KAP_LANG_EN; lang++)
            if (same(folded, kap_span_str(row->text[lang])))
                return i;
    }
    return -1;
}

static kap_span_t only_of_type(const kap_directory_t *directory, int type)
{
    kap_span_t found = kap_span(NULL, 0);
    for (uint32_t i = 0; i < kap_directory_member_count(directory); i++) {
        const kap_member_t *member = kap_directory_member_at(directory, i);
        if (member->type != type)
            continue;
        if (!kap_span_empty(found))
            return kap_span(NULL, 0);
        found = member->id;
    }
    return found;
}

kap_span_t kap_mapping_member(const kap_mapping_t *mapping, const kap_directory_t *directory,
                              kap_span_t text, bool or_external, kap_arena_t *arena)
{
    char folded_text[WORD_BYTES];
    kap_span_t folded = kap_span(folded_text, fold(text, folded_text, sizeof folded_text));
    kap_span_t none = kap_span(NULL, 0);
    if (kap_span_empty(folded))
        return none;
    for (const entry_t *e = mapping->values; e; e = e->next)
        if (kap_span_eq(e->own, folded) && is_member_field(kap_field_parse(kap_span_str(e->field))))
            return e->word;
    const kap_member_t *exact = directory ? kap_directory_member(directory, text) : NULL;
    if (exact)
        return exact->id;
    for (uint32_t i = 0; directory && i < kap_directory_member_count(directory); i++)
        if (is_named(kap_directory_member_at(directory, i), folded))
            return kap_directory_member_at(directory, i)->id;
    int type = type_of_text(folded);
    kap_span_t only = directory && type >= 0 ? only_of_type(directory, type) : none;
    if (!kap_span_empty(only) || !or_external)
        return only;
    if (kap_span_starts(folded, KAP_SPAN("external:")))
        return text;
    if (type < 0)
        return none;
    char external[80];
    snprintf(external, sizeof external, "external:%s", kap_actor_type_row(type)->id);
    return kap_arena_dup(arena, kap_span_str(external));
}
