/* SPDX-License-Identifier: MPL-2.0 */
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "err.h"
#include "utf8.h"

enum { FILE_BYTES = 1024 * 1024, TEXT_BYTES = 4096, CHUNK_BYTES = 4096, KEY_BYTES = 256 };

typedef struct {
    bool given; /* by the file */
    bool set;   /* by the file or a default */
    const char *text;
    int64_t number;
    size_t count;
    const char **names; /* of a map's entries */
    const char **items;
} value_t;

struct kap_conf {
    kap_arena_t *arena;
    const kap_conf_key_t **rows;
    value_t *values;
    size_t n;
    const char *folder;
};

/* One loading: what is being built, and where complaints go. */
typedef struct {
    kap_conf_t *conf;
    const char *name;
    kap_buf_t *messages;
    int complaints;
    bool nomem;
} load_t;

/* --- units --- */

typedef struct {
    const char *word;
    int64_t factor;
} unit_t;

static const unit_t durations[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000},
                                   {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const unit_t sizes[] = {
    {"GiB", 1024 * 1024 * 1024}, {"MiB", 1024 * 1024}, {"KiB", 1024}, {"B", 1}, {NULL, 0}};

static const unit_t *units_of(kap_conf_type_t type)
{
    return type == KAP_CONF_DURATION_MS ? durations : type == KAP_CONF_BYTES ? sizes : NULL;
}

static bool parse_units(const char *text, const unit_t *units, int64_t *value)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number;
    if (digits == 0 || !kap_span_int(kap_span(text, digits), &number))
        return false;
    for (; units->word; units++) {
        if (strcmp(text + digits, units->word) == 0)
            return !__builtin_mul_overflow(number, units->factor, value);
    }
    return false;
}

/* The largest unit that needs no fraction: 90000 ms is "90s". */
static void put_number(kap_buf_t *out, kap_conf_type_t type, int64_t value)
{
    const unit_t *unit = units_of(type);
    while (unit && unit->factor > 1 && (value == 0 || value % unit->factor != 0))
        unit++;
    kap_buf_printf(out, "%lld%s", (long long)(unit ? value / unit->factor : value),
                   unit ? unit->word : "");
}

/* --- complaints --- */

/* file:line: key: ... ; line 0 is the file as a whole. The caller ends it with a newline. */
static kap_buf_t *complain(load_t *load, int line, const char *key)
{
    load->complaints++;
    kap_buf_str(load->messages, load->name);
    if (line > 0)
        kap_buf_printf(load->messages, ":%d", line);
    kap_buf_str(load->messages, ": ");
    if (key)
        kap_buf_printf(load->messages, "%s: ", key);
    return load->messages;
}

static bool bounded(const kap_conf_key_t *row)
{
    return row->min != 0 || row->max != 0;
}

static void put_choices(kap_buf_t *out, const kap_conf_key_t *row)
{
    for (size_t i = 0; row->choices[i]; i++)
        kap_buf_printf(out, "%s%s", i ? ", " : "", row->choices[i]);
}

static const char *counted(kap_conf_type_t type)
{
    return type == KAP_CONF_LIST ? " items" : type == KAP_CONF_MAP ? " entries" : " bytes";
}

/* "1 to 4096 connections", "1s to 10min", "1 to 16 items". */
static void put_bounds(kap_buf_t *out, const kap_conf_key_t *row)
{
    put_number(out, row->type, row->min);
    kap_buf_str(out, " to ");
    put_number(out, row->type, row->max);
    if (row->type == KAP_CONF_INT && row->unit)
        kap_buf_printf(out, " %s", row->unit);
    else if (row->type != KAP_CONF_INT && !units_of(row->type))
        kap_buf_str(out, counted(row->type));
}

/* What would be right, for each type. */
static void put_expected(kap_buf_t *out, const kap_conf_key_t *row)
{
    static const char *const words[] = {
        [KAP_CONF_STRING] = "text in quotes",
        [KAP_CONF_PATH] = "a path in quotes",
        [KAP_CONF_INT] = "a whole number",
        [KAP_CONF_BOOL] = "true or false",
        [KAP_CONF_DURATION_MS] =
            "a duration in quotes like \"250ms\", \"5s\", \"2min\", \"8h\" or \"10d\"",
        [KAP_CONF_BYTES] = "a size in quotes like \"512B\", \"64KiB\", \"64MiB\" or \"2GiB\"",
        [KAP_CONF_ENUM] = "one of ",
        [KAP_CONF_LIST] = "a list like [\"a\", \"b\"]",
        [KAP_CONF_MAP] = "a map like { a = \"b\"; } or ((\"a\", \"b\"), (\"c\", \"d\"))",
    };
    kap_buf_str(out, words[row->type]);
    if (row->type == KAP_CONF_ENUM)
        put_choices(out, row);
    if (bounded(row)) {
        kap_buf_str(out, ", ");
        put_bounds(out, row);
    }
}

static void complain_expected(load_t *load, int line, const kap_conf_key_t *row, const char *found)
{
    kap_buf_t *out = complain(load, line, row->key);
    if (found)
        kap_buf_printf(out, "\"%s\" is not right, write ", found);
    else
        kap_buf_str(out, "not the right kind of value, write ");
    put_expected(out, row);
    kap_buf_u8(out, '\n');
}

/* --- values --- */

static const char *keep(load_t *load, kap_span_t text)
{
    const char *kept = kap_arena_str(load->conf->arena, text);
    load->nomem |= !kept;
    return kept;
}

static void check_bounds(load_t *load, int line, const kap_conf_key_t *row, int64_t measure)
{
    if (!bounded(row) || (measure >= row->min && measure <= row->max))
        return;
    kap_buf_t *out = complain(load, line, row->key);
    bool below = measure < row->min;
    if (units_of(row->type) || row->type == KAP_CONF_INT) {
        put_number(out, row->type, measure);
        kap_buf_str(out, below ? " is too small" : " is too large");
    } else {
        kap_buf_printf(out, "too %s%s (%lld)", below ? "few" : "many", counted(row->type),
                       (long long)measure);
    }
    kap_buf_str(out, ", write ");
    put_bounds(out, row);
    kap_buf_u8(out, '\n');
}

static void set_path(load_t *load, const char *text, value_t *value)
{
    kap_buf_t path = {0};
    if (text[0] != '/')
        kap_buf_printf(&path, "%s/", load->conf->folder);
    kap_buf_str(&path, text);
    load->nomem |= path.err != KAP_OK;
    value->text = keep(load, kap_buf_span(&path));
    kap_buf_fini(&path);
}

static void set_text(load_t *load, int line, const kap_conf_key_t *row, const char *text,
                     value_t *value)
{
    size_t size = strlen(text);
    if (size > TEXT_BYTES || (row->type == KAP_CONF_PATH && size == 0)) {
        kap_buf_printf(complain(load, line, row->key), "%zu bytes of text, write 1 to %d\n", size,
                       TEXT_BYTES);
        return;
    }
    check_bounds(load, line, row, (int64_t)size);
    if (row->type == KAP_CONF_PATH)
        set_path(load, text, value);
    else
        value->text = keep(load, kap_span_str(text));
}

static void set_number(load_t *load, int line, const kap_conf_key_t *row, int64_t number,
                       value_t *value)
{
    check_bounds(load, line, row, number);
    value->number = number;
}

static void set_choice(load_t *load, int line, const kap_conf_key_t *row, const char *text,
                       value_t *value)
{
    for (size_t i = 0; row->choices[i]; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            value->text = row->choices[i];
            value->number = (int64_t)i;
            return;
        }
    }
    complain_expected(load, line, row, text);
}

/* Room for `count` items, and names when it is a map. */
static bool make_items(load_t *load, const kap_conf_key_t *row, size_t count, value_t *value)
{
    value->items = kap_arena_calloc(load->conf->arena, count, sizeof *value->items);
    value->names = kap_arena_calloc(load->conf->arena, count, sizeof *value->names);
    load->nomem |= !value->items || !value->names;
    if (load->nomem || row->type != KAP_CONF_MAP)
        value->names = NULL;
    return !load->nomem;
}

static void add_item(load_t *load, int line, const kap_conf_key_t *row, kap_span_t name,
                     kap_span_t item, value_t *value)
{
    size_t at = value->count;
    if (item.size > TEXT_BYTES || name.size > TEXT_BYTES) {
        kap_buf_printf(complain(load, line, row->key),
                       "an item of more than %d bytes, write less\n", TEXT_BYTES);
        return;
    }
    for (size_t i = 0; value->names && i < at; i++) {
        if (kap_span_eq_str(name, value->names[i])) {
            kap_buf_printf(complain(load, line, row->key), "\"%s\" is there twice, write it once\n",
                           value->names[i]);
            return;
        }
    }
    value->items[at] = keep(load, item);
    if (value->names)
        value->names[at] = keep(load, name);
    if (!load->nomem)
        value->count++;
}

/* Defaults: "a,b" and "a=b,c=d". */
static void set_default_items(load_t *load, const kap_conf_key_t *row, const char *text,
                              value_t *value)
{
    size_t count = text[0] ? 1 : 0;
    for (const char *c = text; *c; c++)
        count += *c == ',';
    if (!make_items(load, row, count, value))
        return;
    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(text, ",");
        kap_span_t item = kap_span(text, size), name = {NULL, 0};
        if (row->type == KAP_CONF_MAP) {
            size_t at = strcspn(text, "=");
            KAP_CHECK(at < size);
            name = kap_span(text, at);
            item = kap_span(text + at + 1, size - at - 1);
        }
        add_item(load, 0, row, name, item, value);
        text += size + 1;
    }
    check_bounds(load, 0, row, (int64_t)value->count);
}

static void set_default(load_t *load, const kap_conf_key_t *row, value_t *value)
{
    int64_t number = 0;
    switch (row->type) {
    case KAP_CONF_STRING:
    case KAP_CONF_PATH:
        set_text(load, 0, row, row->def, value);
        break;
    case KAP_CONF_INT:
        KAP_CHECK(kap_span_int(kap_span_str(row->def), &number));
        set_number(load, 0, row, number, value);
        break;
    case KAP_CONF_BOOL:
        KAP_CHECK(strcmp(row->def, "true") == 0 || strcmp(row->def, "false") == 0);
        value->number = row->def[0] == 't';
        break;
    case KAP_CONF_DURATION_MS:
    case KAP_CONF_BYTES:
        KAP_CHECK(parse_units(row->def, units_of(row->type), &number));
        set_number(load, 0, row, number, value);
        break;
    case KAP_CONF_ENUM:
        set_choice(load, 0, row, row->def, value);
        break;
    case KAP_CONF_LIST:
    case KAP_CONF_MAP:
        set_default_items(load, row, row->def, value);
        break;
    }
    value->set = true;
}

/* An entry of a map: a = "b" in a group, ("a", "b") in a list. */
static bool map_entry(const config_setting_t *map, const config_setting_t *entry, kap_span_t *name,
                      kap_span_t *item)
{
    if (config_setting_type(map) == CONFIG_TYPE_GROUP) {
        *name = kap_span_str(config_setting_name(entry));
    } else {
        if (config_setting_type(entry) != CONFIG_TYPE_LIST || config_setting_length(entry) != 2)
            return false;
        const config_setting_t *first = config_setting_get_elem(entry, 0);
        if (config_setting_type(first) != CONFIG_TYPE_STRING)
            return false;
        *name = kap_span_str(config_setting_get_string(first));
        entry = config_setting_get_elem(entry, 1);
    }
    if (config_setting_type(entry) != CONFIG_TYPE_STRING)
        return false;
    *item = kap_span_str(config_setting_get_string(entry));
    return true;
}

static void set_items(load_t *load, const kap_conf_key_t *row, const config_setting_t *setting,
                      value_t *value)
{
    int line = (int)config_setting_source_line(setting), type = config_setting_type(setting);
    bool map = row->type == KAP_CONF_MAP;
    if (type != CONFIG_TYPE_LIST && type != (map ? CONFIG_TYPE_GROUP : CONFIG_TYPE_ARRAY)) {
        complain_expected(load, line, row, NULL);
        return;
    }
    int count = config_setting_length(setting);
    if (!make_items(load, row, (size_t)count, value))
        return;
    for (int i = 0; i < count; i++) {
        const config_setting_t *entry = config_setting_get_elem(setting, (unsigned)i);
        int at = (int)config_setting_source_line(entry);
        kap_span_t name = {NULL, 0}, item = {NULL, 0};
        bool right = map ? map_entry(setting, entry, &name, &item)
                         : config_setting_type(entry) == CONFIG_TYPE_STRING;
        if (right && !map)
            item = kap_span_str(config_setting_get_string(entry));
        if (right)
            add_item(load, at, row, name, item, value);
        else
            complain_expected(load, at, row, NULL);
    }
    check_bounds(load, line, row, count);
}

static void set_from_string(load_t *load, int line, const kap_conf_key_t *row, const char *text,
                            value_t *value)
{
    int64_t number;
    if (row->type == KAP_CONF_ENUM)
        set_choice(load, line, row, text, value);
    else if (!units_of(row->type))
        set_text(load, line, row, text, value);
    else if (parse_units(text, units_of(row->type), &number))
        set_number(load, line, row, number, value);
    else
        complain_expected(load, line, row, text);
}

static void set_value(load_t *load, const kap_conf_key_t *row, const config_setting_t *setting,
                      value_t *value)
{
    int line = (int)config_setting_source_line(setting), type = config_setting_type(setting);
    value->given = value->set = true;
    if (row->type == KAP_CONF_LIST || row->type == KAP_CONF_MAP)
        set_items(load, row, setting, value);
    else if (row->type == KAP_CONF_INT && (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64))
        set_number(load, line, row, config_setting_get_int64(setting), value);
    else if (row->type == KAP_CONF_BOOL && type == CONFIG_TYPE_BOOL)
        value->number = config_setting_get_bool(setting) != 0;
    else if (row->type != KAP_CONF_INT && row->type != KAP_CONF_BOOL && type == CONFIG_TYPE_STRING)
        set_from_string(load, line, row, config_setting_get_string(setting), value);
    else
        complain_expected(load, line, row, NULL);
}

/* --- the tree --- */

/* Single edits between two short keys (Levenshtein). */
static int distance(const char *a, const char *b)
{
    int row[KEY_BYTES + 1];
    int n = (int)strlen(b);
    if (strlen(a) > KEY_BYTES || n > KEY_BYTES)
        return KEY_BYTES;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[n];
}

static void complain_unknown(load_t *load, int line, const char *path)
{
    const char *nearest = NULL;
    int least = 4;
    for (size_t i = 0; i < load->conf->n; i++) {
        int edits = distance(path, load->conf->rows[i]->key);
        if (edits < least) {
            least = edits;
            nearest = load->conf->rows[i]->key;
        }
    }
    kap_buf_t *out = complain(load, line, path);
    if (nearest)
        kap_buf_printf(out, "unknown key, perhaps %s is meant\n", nearest);
    else
        kap_buf_str(out, "unknown key, take it out\n");
}

static bool is_group(const kap_conf_t *conf, const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < conf->n; i++) {
        if (strncmp(conf->rows[i]->key, path, size) == 0 && conf->rows[i]->key[size] == '.')
            return true;
    }
    return false;
}

static ptrdiff_t find(const kap_conf_t *conf, const char *key)
{
    for (size_t i = 0; i < conf->n; i++) {
        if (strcmp(conf->rows[i]->key, key) == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

/* Depth is bounded by the keys: only groups that are keys' prefixes are entered. */
static void walk(load_t *load, const config_setting_t *group, const char *prefix)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        int line = (int)config_setting_source_line(setting);
        char path[KEY_BYTES];
        int size = snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "." : "",
                            config_setting_name(setting));
        bool fits = size >= 0 && (size_t)size < sizeof path;
        ptrdiff_t row = fits ? find(load->conf, path) : -1;
        if (row >= 0)
            set_value(load, load->conf->rows[row], setting, &load->conf->values[row]);
        else if (!fits || !is_group(load->conf, path))
            complain_unknown(load, line, path);
        else if (config_setting_type(setting) != CONFIG_TYPE_GROUP)
            kap_buf_printf(complain(load, line, path), "is a group, write %s: { ... }\n",
                           config_setting_name(setting));
        else
            walk(load, setting, path);
    }
}

static void fill_defaults(load_t *load)
{
    for (size_t i = 0; i < load->conf->n; i++) {
        const kap_conf_key_t *row = load->conf->rows[i];
        if (load->conf->values[i].given)
            continue;
        if (row->required) {
            kap_buf_t *out = complain(load, 0, row->key);
            kap_buf_str(out, "is missing, write ");
            put_expected(out, row);
            kap_buf_u8(out, '\n');
        } else if (row->def) {
            set_default(load, row, &load->conf->values[i]);
        }
    }
}

/* --- the text, before libconfig sees it --- */

static int line_of(kap_span_t text, size_t at)
{
    int line = 1;
    for (size_t i = 0; i < at && i < text.size; i++)
        line += text.data[i] == '\n';
    return line;
}

/* What libconfig would take but we do not: other encodings, NUL, files drawn in. */
static void check_text(load_t *load, kap_span_t text)
{
    size_t bad_at;
    if (text.size > FILE_BYTES)
        kap_buf_printf(complain(load, 0, NULL), "larger than %d bytes\n", FILE_BYTES);
    if (!kap_utf8_valid(text, &bad_at))
        kap_buf_str(complain(load, line_of(text, bad_at), NULL),
                    "bytes that are not UTF-8, save the file as UTF-8\n");
    const uint8_t *nul = text.size ? memchr(text.data, 0, text.size) : NULL;
    if (nul)
        kap_buf_str(complain(load, line_of(text, (size_t)(nul - text.data)), NULL),
                    "a NUL byte, take it out\n");
    const uint8_t *escape = text.size ? memmem(text.data, text.size, "\\x00", 4) : NULL;
    if (escape)
        kap_buf_str(complain(load, line_of(text, (size_t)(escape - text.data)), NULL),
                    "\\x00 in a text, take it out\n");
    const uint8_t *include = text.size ? memmem(text.data, text.size, "@include", 8) : NULL;
    if (include)
        kap_buf_str(complain(load, line_of(text, (size_t)(include - text.data)), NULL),
                    "@include is not taken, write everything into this file\n");
}

static bool parse_text(load_t *load, const char *text)
{
    config_t file;
    config_init(&file);
    bool read = config_read_string(&file, text) == CONFIG_TRUE;
    if (read)
        walk(load, config_root_setting(&file), "");
    else
        kap_buf_printf(complain(load, config_error_line(&file), NULL), "%s\n",
                       config_error_text(&file));
    config_destroy(&file);
    return read;
}

/* --- lifetime --- */

static int make_rows(kap_conf_t *conf, const kap_conf_key_t *const *tables)
{
    size_t n = 0;
    for (size_t t = 0; tables[t]; t++) {
        for (const kap_conf_key_t *row = tables[t]; row->key; row++)
            n++;
    }
    conf->rows = kap_arena_calloc(conf->arena, n, sizeof *conf->rows);
    conf->values = kap_arena_calloc(conf->arena, n, sizeof *conf->values);
    if (!conf->rows || !conf->values)
        return KAP_E_NOMEM;
    for (size_t t = 0; tables[t]; t++) {
        for (const kap_conf_key_t *row = tables[t]; row->key; row++) {
            KAP_CHECK(find(conf, row->key) < 0);
            KAP_CHECK(row->type != KAP_CONF_ENUM || row->choices);
            conf->rows[conf->n++] = row;
        }
    }
    return KAP_OK;
}

/* The folder of the file, absolute when it can be, so that changing folder later does not matter.
 */
static const char *folder_of(kap_arena_t *arena, const char *name)
{
    char real[PATH_MAX];
    const char *slash = strrchr(name, '/');
    kap_span_t part =
        slash ? kap_span(name, slash == name ? 1 : (size_t)(slash - name)) : KAP_SPAN(".");
    const char *folder = kap_arena_str(arena, part);
    if (folder && realpath(folder, real))
        folder = kap_arena_str(arena, kap_span_str(strcmp(real, "/") == 0 ? "" : real));
    return folder;
}

static int conf_new(const char *name, const kap_conf_key_t *const *tables, kap_conf_t **out)
{
    kap_conf_t *conf = calloc(1, sizeof *conf);
    if (!conf)
        return KAP_E_NOMEM;
    conf->arena = kap_arena_new(CHUNK_BYTES);
    if (conf->arena)
        conf->folder = folder_of(conf->arena, name);
    if (!conf->folder || make_rows(conf, tables) != KAP_OK) {
        kap_conf_close(&conf);
        return KAP_E_NOMEM;
    }
    *out = conf;
    return KAP_OK;
}

int kap_conf_parse(const char *name, kap_span_t text, const kap_conf_key_t *const *tables,
                   kap_conf_t **out, kap_buf_t *messages)
{
    load_t load = {.name = name, .messages = messages};
    int err = conf_new(name, tables, &load.conf);
    if (err != KAP_OK)
        return err;
    check_text(&load, text);
    if (load.complaints == 0) {
        char *copy = kap_arena_str(load.conf->arena, text);
        load.nomem |= !copy;
        /* After a syntax error nothing was read, and all would seem to be missing. */
        if (copy && parse_text(&load, copy))
            fill_defaults(&load);
    }
    err = load.nomem ? KAP_E_NOMEM : load.complaints ? KAP_E_CONFIG : KAP_OK;
    if (err == KAP_OK)
        *out = load.conf;
    else
        kap_conf_close(&load.conf);
    return err;
}

static int read_file(const char *path, kap_buf_t *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return errno;
    struct stat stat;
    int err = fstat(fd, &stat) != 0 ? errno : S_ISREG(stat.st_mode) ? 0 : EINVAL;
    while (err == 0 && text->size <= FILE_BYTES) {
        uint8_t *at = kap_buf_reserve(text, 64 * 1024);
        ssize_t got = at ? read(fd, at, 64 * 1024) : -1;
        if (got == 0)
            break;
        if (got > 0)
            text->size += (size_t)got;
        else if (!at || errno != EINTR)
            err = at ? errno : ENOMEM;
    }
    close(fd);
    return err;
}

int kap_conf_load(const char *path, const kap_conf_key_t *const *tables, kap_conf_t **out,
                  kap_buf_t *messages)
{
    kap_buf_t text = {0};
    int failed = read_file(path, &text);
    int err;
    if (failed == 0) {
        err = kap_conf_parse(path, kap_buf_span(&text), tables, out, messages);
    } else {
        char why[128];
        kap_buf_printf(messages, "%s: cannot be read: %s\n", path,
                       failed == EINVAL ? "it is no regular file"
                                        : strerror_r(failed, why, sizeof why));
        err = failed == ENOMEM ? KAP_E_NOMEM : KAP_E_CONFIG;
    }
    kap_buf_fini(&text);
    return err;
}

void kap_conf_close(kap_conf_t **conf)
{
    if (!*conf)
        return;
    kap_arena_destroy(&(*conf)->arena);
    free(*conf);
    *conf = NULL;
}

/* --- accessors --- */

static const value_t *value_of(const kap_conf_t *conf, const char *key, unsigned types)
{
    ptrdiff_t row = find(conf, key);
    KAP_CHECK(row >= 0);
    KAP_CHECK(types & 1u << conf->rows[row]->type);
    return &conf->values[row];
}

const char *kap_conf_str(const kap_conf_t *conf, const char *key)
{
    return value_of(conf, key, 1u << KAP_CONF_STRING | 1u << KAP_CONF_PATH | 1u << KAP_CONF_ENUM)
        ->text;
}

int64_t kap_conf_int(const kap_conf_t *conf, const char *key)
{
    return value_of(conf, key,
                    1u << KAP_CONF_INT | 1u << KAP_CONF_DURATION_MS | 1u << KAP_CONF_BYTES |
                        1u << KAP_CONF_ENUM)
        ->number;
}

bool kap_conf_bool(const kap_conf_t *conf, const char *key)
{
    return value_of(conf, key, 1u << KAP_CONF_BOOL)->number != 0;
}

bool kap_conf_given(const kap_conf_t *conf, const char *key)
{
    return value_of(conf, key, ~0u)->given;
}

size_t kap_conf_list_count(const kap_conf_t *conf, const char *key)
{
    return value_of(conf, key, 1u << KAP_CONF_LIST)->count;
}

const char *kap_conf_list_item(const kap_conf_t *conf, const char *key, size_t index)
{
    const value_t *value = value_of(conf, key, 1u << KAP_CONF_LIST);
    return index < value->count ? value->items[index] : NULL;
}

const char *kap_conf_map_get(const kap_conf_t *conf, const char *key, const char *entry)
{
    const value_t *value = value_of(conf, key, 1u << KAP_CONF_MAP);
    for (size_t i = 0; i < value->count; i++) {
        if (strcmp(value->names[i], entry) == 0)
            return value->items[i];
    }
    return NULL;
}

size_t kap_conf_map_count(const kap_conf_t *conf, const char *key)
{
    return value_of(conf, key, 1u << KAP_CONF_MAP)->count;
}

int kap_conf_map_item(const kap_conf_t *conf, const char *key, size_t index, const char **entry,
                      const char **value)
{
    const value_t *map = value_of(conf, key, 1u << KAP_CONF_MAP);
    if (index >= map->count)
        return KAP_E_NOTFOUND;
    *entry = map->names[index];
    *value = map->items[index];
    return KAP_OK;
}

/* --- printing --- */

static void put_quoted(kap_buf_t *out, const char *text)
{
    kap_buf_u8(out, '"');
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c == '"' || c == '\\')
            kap_buf_u8(out, '\\');
        if (c < 0x20 || c == 0x7f)
            kap_buf_printf(out, "\\x%02X", c);
        else
            kap_buf_u8(out, c);
    }
    kap_buf_u8(out, '"');
}

static void put_items(kap_buf_t *out, const value_t *value, bool map)
{
    kap_buf_str(out, map ? "(" : "[");
    for (size_t i = 0; i < value->count; i++) {
        kap_buf_str(out, i ? ", " : "");
        if (map) {
            kap_buf_u8(out, '(');
            put_quoted(out, value->names[i]);
            kap_buf_str(out, ", ");
        }
        put_quoted(out, value->items[i]);
        kap_buf_str(out, map ? ")" : "");
    }
    kap_buf_str(out, map ? ")" : "]");
}

static void put_value(kap_buf_t *out, const kap_conf_key_t *row, const value_t *value)
{
    if (row->type == KAP_CONF_BOOL)
        kap_buf_str(out, value->number ? "true" : "false");
    else if (row->type == KAP_CONF_LIST || row->type == KAP_CONF_MAP)
        put_items(out, value, row->type == KAP_CONF_MAP);
    else if (value->text)
        put_quoted(out, value->text);
    else if (row->type == KAP_CONF_INT)
        kap_buf_printf(out, "%lld%s", (long long)value->number,
                       value->number > INT_MAX || value->number < INT_MIN ? "L" : "");
    else {
        kap_buf_u8(out, '"');
        put_number(out, row->type, value->number);
        kap_buf_u8(out, '"');
    }
}

static void put_comment(kap_buf_t *out, const kap_conf_key_t *row, int indent)
{
    kap_buf_printf(out, "%*s# %s", indent, "", row->help ? row->help : row->key);
    if (bounded(row) || row->type == KAP_CONF_ENUM) {
        kap_buf_str(out, " (");
        if (row->type == KAP_CONF_ENUM)
            put_choices(out, row);
        else
            put_bounds(out, row);
        kap_buf_u8(out, ')');
    }
    kap_buf_u8(out, '\n');
}

/* The group a key lies in directly below `depth` characters of prefix: its size, 0 for a plain key.
 */
static size_t group_size(const char *key, size_t depth)
{
    const char *dot = strchr(key + depth, '.');
    return dot ? (size_t)(dot - key) : 0;
}

static bool seen_before(const kap_conf_t *conf, size_t row, size_t size)
{
    for (size_t i = 0; i < row; i++) {
        if (strncmp(conf->rows[i]->key, conf->rows[row]->key, size + 1) == 0)
            return true;
    }
    return false;
}

/* The keys under rows[first]'s first `depth` characters; a group once, where its first key stands.
 */
static void put_level(kap_buf_t *out, const kap_conf_t *conf, size_t first, size_t depth,
                      int indent)
{
    const char *prefix = conf->n ? conf->rows[first]->key : "";
    for (size_t i = first; i < conf->n; i++) {
        const char *key = conf->rows[i]->key;
        if (strncmp(key, prefix, depth) != 0)
            continue;
        size_t size = group_size(key, depth);
        if (size && !seen_before(conf, i, size)) {
            kap_buf_printf(out, "%*s%.*s: {\n", indent, "", (int)(size - depth), key + depth);
            put_level(out, conf, i, size + 1, indent + 4);
            kap_buf_printf(out, "%*s};\n", indent, "");
        }
        if (size)
            continue;
        put_comment(out, conf->rows[i], indent);
        const value_t *value = &conf->values[i];
        kap_buf_printf(out, "%*s%s%s", indent, "", value->set ? "" : "# not set: ", key + depth);
        if (value->set) {
            kap_buf_str(out, " = ");
            put_value(out, conf->rows[i], value);
            kap_buf_u8(out, ';');
        }
        kap_buf_u8(out, '\n');
    }
}

static int print_buf(kap_buf_t *text, FILE *out)
{
    int err = text->err;
    if (err == KAP_OK && text->size && fwrite(text->data, 1, text->size, out) != text->size)
        err = KAP_E_IO;
    kap_buf_fini(text);
    return err;
}

int kap_conf_print(const kap_conf_t *conf, FILE *out)
{
    kap_buf_t text = {0};
    put_level(&text, conf, 0, 0, 0);
    return print_buf(&text, out);
}

int kap_conf_help(const kap_conf_key_t *const *tables, FILE *out)
{
    kap_buf_t text = {0};
    for (size_t t = 0; tables[t]; t++) {
        for (const kap_conf_key_t *row = tables[t]; row->key; row++) {
            kap_buf_printf(&text, "%s%s\n    %s\n    ", row->key,
                           row->required ? " (required)" : "", row->help ? row->help : "");
            put_expected(&text, row);
            if (row->def)
                kap_buf_printf(&text, "; default: %s", row->def[0] ? row->def : "empty");
            kap_buf_u8(&text, '\n');
        }
    }
    return print_buf(&text, out);
}
