/* SPDX-License-Identifier: MPL-2.0 */
/* Configuration: a libconfig file checked against tables of keys; parse, validate, freeze.
 *
 * A key is one row: name, type, default, bounds, unit, help. Each program gives a NULL-ended array
 * of tables, its own and those of the rooms it uses, each ended by a row with key NULL:
 *
 *   static const kap_conf_key_t *const tables[] = {kap_log_keys, broker_keys, NULL};
 *
 * A key in two tables is our bug (checked). Dotted keys are groups: "spool.directory" is
 * spool: { directory = "..."; }. Every complaint names file, line, key, what is wrong, the bounds
 * and what would be right, and all of them are reported at once. Unknown keys are refused; @include
 * is not taken. After loading a kap_conf_t never changes: any thread may read.
 * libconfig.h is included in conf.c only. */
#ifndef KAP_CONF_H
#define KAP_CONF_H

#include <stdio.h>

#include "buf.h"

typedef enum {
    KAP_CONF_STRING,      /* min..max bytes of UTF-8 */
    KAP_CONF_PATH,        /* min..max bytes; a relative one is relative to the file's folder */
    KAP_CONF_INT,         /* min..max */
    KAP_CONF_BOOL,        /* true, false */
    KAP_CONF_DURATION_MS, /* "250ms" "5s" "2min" "8h" "10d"; min..max in ms */
    KAP_CONF_BYTES,       /* "512B" "64KiB" "64MiB" "2GiB"; min..max in bytes */
    KAP_CONF_ENUM,        /* one of choices */
    KAP_CONF_LIST,        /* ["a", "b"]; min..max items */
    KAP_CONF_MAP          /* { a = "b"; } or (("any key", "b"), ...); min..max entries */
} kap_conf_type_t;

typedef struct {
    const char *key;
    kap_conf_type_t type;
    const char *def;  /* as in the file without quotes; LIST "a,b", MAP "a=b,c=d"; NULL: none */
    int64_t min, max; /* both 0: no bounds (strings and paths: at most 4,096 bytes all the same) */
    const char *unit; /* for the help: "ms", "connections"; may be NULL */
    const char *help; /* one sentence; printed as a comment by kap_conf_print */
    const char *const *choices; /* ENUM only, NULL-ended */
    bool required;
} kap_conf_key_t;

typedef struct kap_conf kap_conf_t;

/* Reads and checks a file (at most 1 MiB). KAP_E_CONFIG with every complaint in *messages, a line
 * each; a missing or unreadable file is one too. KAP_E_NOMEM. The tables are lent for the life of
 * *out. */
int kap_conf_load(const char *path, const kap_conf_key_t *const *tables, kap_conf_t **out,
                  kap_buf_t *messages);

/* The same from memory; name stands in the messages and gives relative paths their folder. */
int kap_conf_parse(const char *name, kap_span_t text, const kap_conf_key_t *const *tables,
                   kap_conf_t **out, kap_buf_t *messages);

/* Frees and nulls; *conf may be NULL. */
void kap_conf_close(kap_conf_t **conf);

/* Accessors. Asking for a key that is in no table, or with another type, is our bug: abort.
 * What is returned lives as long as conf. */

/* STRING, PATH, ENUM; NULL when it has neither value nor default. */
const char *kap_conf_str(const kap_conf_t *conf, const char *key);

/* INT, DURATION_MS, BYTES; ENUM: the index of the choice. 0 when it has neither value nor default.
 */
int64_t kap_conf_int(const kap_conf_t *conf, const char *key);

bool kap_conf_bool(const kap_conf_t *conf, const char *key);

/* True when the file itself gives the key, false when the default is in force. */
bool kap_conf_given(const kap_conf_t *conf, const char *key);

/* LIST: items in the order of the file. index out of range: NULL. */
size_t kap_conf_list_count(const kap_conf_t *conf, const char *key);
const char *kap_conf_list_item(const kap_conf_t *conf, const char *key, size_t index);

/* MAP: the value of an entry, or NULL; entries in the order of the file. */
const char *kap_conf_map_get(const kap_conf_t *conf, const char *key, const char *entry);
size_t kap_conf_map_count(const kap_conf_t *conf, const char *key);
int kap_conf_map_item(const kap_conf_t *conf, const char *key, size_t index, const char **entry,
                      const char **value); /* KAP_E_NOTFOUND beyond the end */

/* Prints what is in force, in the order of the tables, with help, unit and bounds as comments; it
 * parses again to the same values. KAP_E_IO. */
int kap_conf_print(const kap_conf_t *conf, FILE *out);

/* Prints the keys as a manual: type, bounds, default, help; needs no file. KAP_E_IO. */
int kap_conf_help(const kap_conf_key_t *const *tables, FILE *out);

#endif
