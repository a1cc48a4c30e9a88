/* SPDX-License-Identifier: MPL-2.0 */
/* What every view shows alike: words in three languages, codes, times and names for people; a list
 * of maps as a table, as JSON or as CSV; texts wrapped to the width. One thread. It asks nobody. */
#ifndef KAP_SHOWN_H
#define KAP_SHOWN_H

#include "cli.h"

typedef enum {
#define KAP_WORD(NAME, KEY, FI, SV, EN) KAP_WORD_##NAME,
#include "words.def"
#undef KAP_WORD
    KAP_WORD_COUNT
} kap_word_t;

kap_lang_t kap_shown_lang(const kap_cli_t *cli);
const char *kap_shown_word(const kap_cli_t *cli, kap_word_t word);

/* The word of a key in answers; the key itself when words.def has none. Lent from the key. */
kap_span_t kap_shown_key(const kap_cli_t *cli, kap_span_t key);

/* Longest text that a cell, a code or a value takes; what is longer is cut. */
enum { KAP_SHOWN_BYTES = 512 };

/* The value under a key as people read it: times local, codes in words, members by name, lists
 * with commas. Empty when it is absent. */
void kap_shown_value(kap_cli_t *cli, kap_span_t key, const kap_mp_t *value,
                     char out[KAP_SHOWN_BYTES]);

/* An id in few columns: the last part of a UUID, any other id whole. Lent from the id. */
kap_span_t kap_shown_id(kap_span_t id);

typedef struct {
    const char *key;       /* of the rows' maps; NULL ends the list */
    int max;               /* columns on screen at most, 0 as wide as needed */
    bool right, tail, day; /* a number; an id by its last part; of a time the day alone */
} kap_shown_column_t;

/* The rows (maps) by the format asked for: a table, {"name": [...]}, or CSV with the columns'
 * keys and full values. Returns an exit code. */
int kap_shown_rows(kap_cli_t *cli, const char *name, const kap_mp_t *rows,
                   const kap_shown_column_t columns[]);

/* "  Label   value", the value wrapped and indented under itself. Nothing when it is empty. */
void kap_shown_line(int indent, int label_columns, kap_span_t label, kap_span_t value);

/* --- maps and lists made here, in an arena --- */

/* A list that grows; items are shallow copies. Without memory it stays as it was. */
typedef struct {
    kap_arena_t *arena;
    kap_mp_t *items; /* for a map: key, value, key, value ... */
    uint32_t used, cap;
} kap_shown_list_t;

void kap_shown_add(kap_shown_list_t *list, const kap_mp_t *item);
kap_mp_t kap_shown_array(const kap_shown_list_t *list);

/* Sets a pair: the key's value gives way to the new one. Strings are lent. */
void kap_shown_set(kap_shown_list_t *map, const char *key, const kap_mp_t *value);
void kap_shown_set_text(kap_shown_list_t *map, const char *key, kap_span_t text);
void kap_shown_set_int(kap_shown_list_t *map, const char *key, int64_t value);
kap_mp_t kap_shown_map(const kap_shown_list_t *map);

/* A referral of a node's door with its id under "id", first, as the broker says it. */
kap_mp_t kap_shown_with_id(kap_cli_t *cli, const kap_mp_t *row);

#endif
