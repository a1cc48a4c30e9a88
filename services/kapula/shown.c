/* SPDX-License-Identifier: MPL-2.0 */
#include "shown.h"

#include <string.h>

#include "clock.h"
#include "err.h"
#include "table.h"
#include "tables.h"

static const struct {
    const char *key, *text[3]; /* by kap_lang_t */
} words[KAP_WORD_COUNT] = {
#define KAP_WORD(NAME, KEY, FI, SV, EN) {KEY, {FI, SV, EN}},
#include "words.def"
#undef KAP_WORD
};

kap_lang_t kap_shown_lang(const kap_cli_t *cli)
{
    return !cli->lang                     ? KAP_LANG_EN
           : strcmp(cli->lang, "fi") == 0 ? KAP_LANG_FI
           : strcmp(cli->lang, "sv") == 0 ? KAP_LANG_SV
                                          : KAP_LANG_EN;
}

const char *kap_shown_word(const kap_cli_t *cli, kap_word_t word)
{
    return words[word].text[kap_shown_lang(cli)];
}

kap_span_t kap_shown_key(const kap_cli_t *cli, kap_span_t key)
{
    for (int i = 0; i < KAP_WORD_COUNT; i++)
        if (words[i].key[0] && kap_span_eq_str(key, words[i].key))
            return kap_span_str(words[i].text[kap_shown_lang(cli)]);
    return key;
}

static bool ends_with(kap_span_t text, const char *end)
{
    size_t n = strlen(end);
    return text.size >= n && memcmp(text.data + text.size - n, end, n) == 0;
}

static bool is_time(kap_span_t key)
{
    return ends_with(key, "_at") || ends_with(key, "_time") || kap_span_eq_str(key, "at");
}

static bool is_member_key(kap_span_t key)
{
    static const char *const keys[] = {"from",  "to",   "member", "members",
                                       "owner", "with", "by",     "attendance"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (kap_span_eq_str(key, keys[i]))
            return true;
    return false;
}

/* Lists of codes behind a key: the field's own, or those of the door's keys. */
static kap_code_list_t list_of(kap_span_t key)
{
    static const struct {
        const char *key;
        kap_code_list_t list;
    } more[] = {{"state", KAP_LIST_STATE},
                {"forum_kind", KAP_LIST_FORUM},
                {"question", KAP_LIST_EVALUATION},
                {"survey", KAP_LIST_SURVEY},
                {"indicator", KAP_LIST_INDICATOR},
                {"unit", KAP_LIST_UNIT},
                {"way", KAP_LIST_WAY},
                {"minimum", KAP_LIST_MINIMUM}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (kap_span_eq_str(key, more[i].key))
            return more[i].list;
    const kap_field_row_t *row = kap_field_row(kap_field_parse(key));
    return row ? row->list : KAP_LIST_NONE;
}

/* Reasons share a key but not a list: the first list that knows the name. */
static const char *code_text(kap_span_t key, kap_span_t name, kap_lang_t lang)
{
    static const kap_code_list_t reasons[] = {KAP_LIST_DECLINE, KAP_LIST_WITHDRAW, KAP_LIST_VOID,
                                              KAP_LIST_HOLD};
    kap_code_list_t list = list_of(key);
    const char *text = list ? kap_code_text(list, kap_code_parse(list, name), lang) : NULL;
    if (!text && kap_span_eq_str(key, "state"))
        text = kap_code_text(KAP_LIST_MEETING, kap_code_parse(KAP_LIST_MEETING, name), lang);
    for (size_t i = 0; !text && ends_with(key, "reason") && i < 4; i++)
        text = kap_code_text(reasons[i], kap_code_parse(reasons[i], name), lang);
    return text;
}

static void copy(char out[KAP_SHOWN_BYTES], kap_span_t text)
{
    size_t n = text.size < KAP_SHOWN_BYTES ? text.size : KAP_SHOWN_BYTES - 1;
    while (n < text.size && n > 0 && (text.data[n] & 0xc0) == 0x80)
        n--;
    memcpy(out, text.data ? text.data : (const uint8_t *)"", n);
    out[n] = '\0';
}

static void text_value(kap_cli_t *cli, kap_span_t key, kap_span_t text, char out[KAP_SHOWN_BYTES])
{
    const char *code = code_text(key, text, kap_shown_lang(cli));
    if (code)
        copy(out, kap_span_str(code));
    else if (kap_span_eq_str(key, "flags") || kap_span_eq_str(key, "state") ||
             kap_span_eq_str(key, "fate"))
        copy(out, kap_shown_key(cli, text));
    else
        copy(out, is_member_key(key) ? kap_cli_member_name(cli, text) : text);
}

static void list_value(kap_cli_t *cli, kap_span_t key, const kap_mp_t *list,
                       char out[KAP_SHOWN_BYTES])
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < list->count; i++) {
        char one[KAP_SHOWN_BYTES];
        kap_shown_value(cli, key, kap_mp_item(list, i), one);
        size_t n = strlen(one);
        if (at + n + 3 > KAP_SHOWN_BYTES)
            return;
        at += (size_t)snprintf(out + at, KAP_SHOWN_BYTES - at, "%s%s", i ? ", " : "", one);
    }
}

void kap_shown_value(kap_cli_t *cli, kap_span_t key, const kap_mp_t *value,
                     char out[KAP_SHOWN_BYTES])
{
    out[0] = '\0';
    if (!value)
        return;
    switch (value->kind) {
    case KAP_MP_STR:
        text_value(cli, key, value->s, out);
        break;
    case KAP_MP_INT:
        if (is_time(key))
            kap_time_format_local(value->i, out);
        else
            snprintf(out, KAP_SHOWN_BYTES, "%lld", (long long)value->i);
        break;
    case KAP_MP_UINT:
        snprintf(out, KAP_SHOWN_BYTES, "%llu", (unsigned long long)value->u);
        break;
    case KAP_MP_BOOL:
        copy(out, kap_span_str(kap_shown_word(cli, value->b ? KAP_WORD_YES : KAP_WORD_NO)));
        break;
    case KAP_MP_ARRAY:
        list_value(cli, key, value, out);
        break;
    case KAP_MP_MAP: /* of an attendance: who */
        kap_shown_value(cli, kap_span_str("member"), kap_mp_get(value, "member"), out);
        break;
    default: /* bins say nothing to people */
        break;
    }
}

kap_span_t kap_shown_id(kap_span_t id)
{
    enum { UUID = 36, LAST = 12 };
    if (id.size != UUID || id.data[UUID - LAST - 1] != '-')
        return id;
    return kap_span(id.data + UUID - LAST, LAST);
}

/* --- rows --- */

enum { COLUMNS_MAX = 10 };

static int print_table(kap_cli_t *cli, const kap_mp_t *rows, const kap_shown_column_t columns[])
{
    kap_table_column_t heads[COLUMNS_MAX + 1] = {{0}};
    char titles[COLUMNS_MAX][64], text[COLUMNS_MAX][KAP_SHOWN_BYTES];
    const char *cells[COLUMNS_MAX];
    int n = 0;
    for (; columns[n].key; n++) {
        kap_span_t title = kap_shown_key(cli, kap_span_str(columns[n].key));
        snprintf(titles[n], sizeof titles[n], "%.*s", KAP_SPAN_ARGS(title));
        /* Ids, numbers and times stand right: they are the last to be cut. */
        bool right = columns[n].right || columns[n].tail || is_time(kap_span_str(columns[n].key));
        heads[n] = (kap_table_column_t){titles[n], right ? KAP_TABLE_RIGHT : KAP_TABLE_LEFT,
                                        columns[n].max};
        cells[n] = text[n];
    }
    kap_table_t *table = kap_table_new(heads);
    int rc = table ? KAP_OK : KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < rows->count; i++) {
        for (int k = 0; k < n; k++) {
            const kap_mp_t *value = kap_mp_get(kap_mp_item(rows, i), columns[k].key);
            if (columns[k].tail && value && value->kind == KAP_MP_STR)
                copy(text[k], kap_shown_id(value->s));
            else
                kap_shown_value(cli, kap_span_str(columns[k].key), value, text[k]);
            if (columns[k].day)
                text[k][strcspn(text[k], " ")] = '\0';
        }
        rc = kap_table_row(table, cells);
    }
    if (rc == KAP_OK)
        rc = kap_table_print(table, stdout, kap_cli_width());
    kap_table_destroy(&table);
    return rc == KAP_OK ? KAP_EXIT_DONE : kap_cli_fail(KAP_EXIT_REFUSED, "%s", kap_err_text(rc));
}

/* CSV is for programs: codes and ids as they are, times in UTC, lists with semicolons. */
static void csv_value(kap_buf_t *out, kap_span_t key, const kap_mp_t *value)
{
    char text[KAP_TIME_TEXT];
    if (!value)
        return;
    if (value->kind == KAP_MP_STR) {
        kap_buf_append(out, value->s);
    } else if (value->kind == KAP_MP_INT) {
        if (is_time(key))
            kap_time_format_utc(value->i, text);
        else
            snprintf(text, sizeof text, "%lld", (long long)value->i);
        kap_buf_str(out, text);
    } else if (value->kind == KAP_MP_BOOL) {
        kap_buf_str(out, value->b ? "true" : "false");
    } else if (value->kind == KAP_MP_ARRAY) {
        for (uint32_t i = 0; i < value->count; i++) {
            kap_buf_str(out, i ? ";" : "");
            csv_value(out, key, kap_mp_item(value, i));
        }
    }
}

static void print_csv(const kap_mp_t *rows, const kap_shown_column_t columns[])
{
    kap_buf_t text;
    kap_buf_init(&text);
    for (int k = 0; columns[k].key; k++)
        kap_cli_csv_field(stdout, kap_span_str(columns[k].key), !columns[k + 1].key);
    for (uint32_t i = 0; i < rows->count; i++)
        for (int k = 0; columns[k].key; k++) {
            kap_buf_reset(&text);
            csv_value(&text, kap_span_str(columns[k].key),
                      kap_mp_get(kap_mp_item(rows, i), columns[k].key));
            kap_cli_csv_field(stdout, kap_buf_span(&text), !columns[k + 1].key);
        }
    kap_buf_fini(&text);
}

int kap_shown_rows(kap_cli_t *cli, const char *name, const kap_mp_t *rows,
                   const kap_shown_column_t columns[])
{
    if (cli->format == KAP_FORMAT_JSON) {
        kap_shown_list_t map = {.arena = cli->arena};
        kap_shown_set(&map, name, rows);
        kap_mp_t root = kap_shown_map(&map);
        kap_cli_print_json(&root, stdout);
        return KAP_EXIT_DONE;
    }
    if (cli->format == KAP_FORMAT_CSV) {
        print_csv(rows, columns);
        return KAP_EXIT_DONE;
    }
    if (rows->count > 0)
        return print_table(cli, rows, columns);
    puts(kap_shown_word(cli, KAP_WORD_NOTHING));
    return KAP_EXIT_DONE;
}

/* --- lines --- */

static int columns_of(kap_span_t text)
{
    int n = 0;
    for (size_t i = 0; i < text.size; i++)
        n += (text.data[i] & 0xc0) != 0x80;
    return n;
}

/* How much of the text goes on a line of `width`: cut at a blank, or within a word that is longer
 * than the line. */
static size_t fitting(kap_span_t text, int width)
{
    size_t last_blank = 0, i = 0;
    int n = 0;
    for (; i < text.size; i++) {
        if (text.data[i] == '\n')
            return i;
        if ((text.data[i] & 0xc0) != 0x80 && n++ == width)
            break;
        if (text.data[i] == ' ')
            last_blank = i;
    }
    return i == text.size || last_blank == 0 || text.data[i] == ' ' ? i : last_blank;
}

/* Controls would move the terminal's cursor. */
static void put_clean(kap_span_t text)
{
    for (size_t i = 0; i < text.size; i++)
        putchar(text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i]);
}

void kap_shown_line(int indent, int label_columns, kap_span_t label, kap_span_t value)
{
    int used = indent + label_columns;
    bool first = true;
    while (value.size > 0) {
        size_t n = fitting(value, kap_cli_width() - used > 20 ? kap_cli_width() - used : 20);
        if (first)
            printf("%*s%.*s%*s", indent, "", KAP_SPAN_ARGS(label),
                   label_columns > columns_of(label) ? label_columns - columns_of(label) : 0, "");
        else
            printf("%*s", used, "");
        put_clean(kap_span(value.data, n));
        putchar('\n');
        first = false;
        if (n < value.size && (value.data[n] == ' ' || value.data[n] == '\n'))
            n++;
        value = kap_span(value.data + n, value.size - n);
    }
}

/* --- maps and lists --- */

void kap_shown_add(kap_shown_list_t *list, const kap_mp_t *item)
{
    if (list->used == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 16;
        kap_mp_t *items = kap_arena_alloc(list->arena, cap * sizeof *items);
        if (!items)
            return;
        if (list->used)
            memcpy(items, list->items, list->used * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->used++] = *item;
}

kap_mp_t kap_shown_array(const kap_shown_list_t *list)
{
    return (kap_mp_t){.kind = KAP_MP_ARRAY, .count = list->used, .items = list->items};
}

void kap_shown_set(kap_shown_list_t *map, const char *key, const kap_mp_t *value)
{
    for (uint32_t i = 0; i + 1 < map->used; i += 2)
        if (kap_span_eq_str(map->items[i].s, key)) {
            map->items[i + 1] = *value;
            return;
        }
    kap_mp_t name = {.kind = KAP_MP_STR, .s = kap_span_str(key)};
    uint32_t before = map->used;
    kap_shown_add(map, &name);
    kap_shown_add(map, value);
    if (map->used != before + 2)
        map->used = before;
}

void kap_shown_set_text(kap_shown_list_t *map, const char *key, kap_span_t text)
{
    kap_mp_t value = {.kind = KAP_MP_STR, .s = text};
    kap_shown_set(map, key, &value);
}

void kap_shown_set_int(kap_shown_list_t *map, const char *key, int64_t number)
{
    kap_mp_t value = {.kind = KAP_MP_INT, .i = number};
    kap_shown_set(map, key, &value);
}

kap_mp_t kap_shown_map(const kap_shown_list_t *map)
{
    return (kap_mp_t){.kind = KAP_MP_MAP, .count = map->used / 2, .items = map->items};
}

kap_mp_t kap_shown_with_id(kap_cli_t *cli, const kap_mp_t *row)
{
    kap_shown_list_t map = {.arena = cli->arena};
    if (kap_mp_get(row, "id") || row->kind != KAP_MP_MAP)
        return *row;
    kap_shown_set_text(&map, "id", kap_mp_get_str(row, "referral"));
    for (uint32_t i = 0; i < row->count; i++) {
        kap_shown_add(&map, kap_mp_key(row, i));
        kap_shown_add(&map, kap_mp_value(row, i));
    }
    return kap_shown_map(&map);
}
