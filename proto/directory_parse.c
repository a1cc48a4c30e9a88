/* SPDX-License-Identifier: MPL-2.0 */
/* The directory file: the one door to JSON in this room. Every wrong thing gets a line;
 * the snapshot is made only when there is none. */
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "directory.h"
#include "directory_inner.h"
#include "err.h"
#include "idcheck.h"
#include "ids.h"
#include "tables.h"
#include "utf8.h"

enum {
    FILE_BYTES_MAX = 16 * 1024 * 1024,
    MEMBERS_MAX = 65536,
    REGIONS_MAX = 4096,
    LIST_MAX = 4096,
    NAME_BYTES_MAX = 400,
    CLOSED_DAYS_MAX = 30, /* working days a year that a member may announce */
    OLD_KEYS_MAX = 64,
    PATH_BYTES = 256,
};

typedef struct {
    kap_directory_t *dir;
    kap_buf_t *messages;
    char path[PATH_BYTES]; /* of the value being read: "members[3].roles[1]" */
    unsigned wrongs;
    bool nomem;
} parse_t;

/* --- where we are, and what is wrong --- */

static size_t enter(parse_t *p, const char *key)
{
    size_t length = strlen(p->path);
    snprintf(p->path + length, PATH_BYTES - length, "%s%s", length ? "." : "", key);
    return length;
}

static size_t enter_item(parse_t *p, size_t index)
{
    size_t length = strlen(p->path);
    snprintf(p->path + length, PATH_BYTES - length, "[%zu]", index);
    return length;
}

static void leave(parse_t *p, size_t length)
{
    p->path[length] = '\0';
}

static void wrong(parse_t *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(parse_t *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->wrongs++;
    if (p->messages) {
        kap_buf_printf(p->messages, "%s: ", p->path[0] ? p->path : "directory");
        kap_buf_vprintf(p->messages, format, args);
        kap_buf_str(p->messages, "\n");
    }
    va_end(args);
}

static void wrong_at(parse_t *p, const char *key, const char *what)
{
    size_t back = enter(p, key);
    wrong(p, "%s", what);
    leave(p, back);
}

/* --- values of an object --- */

static const char *kind_of(const json_t *value)
{
    static const char *const kinds[] = {"an object", "a list", "a text", "an integer",
                                        "a number",  "true",   "false",  "null"};
    return kinds[json_typeof(value)];
}

/* Unknown keys are refused: a misspelt one would silently change what is in force. */
static void check_keys(parse_t *p, const json_t *object, const char *const keys[])
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)object, key, value)
    {
        bool known = false;
        for (size_t i = 0; keys[i] && !known; i++) {
            known = strcmp(keys[i], key) == 0;
        }
        if (known) {
            continue;
        }
        kap_buf_t all = {0};
        for (size_t i = 0; keys[i]; i++) {
            kap_buf_printf(&all, "%s%s", i ? ", " : "", keys[i]);
        }
        wrong(p, "unknown key \"%.60s\"; known are %s", key, kap_buf_cstr(&all));
        kap_buf_fini(&all);
    }
}

static kap_span_t keep(parse_t *p, const char *text, size_t size)
{
    kap_span_t kept = kap_arena_dup(p->dir->arena, kap_span(text, size));
    p->nomem |= kept.data == NULL;
    return kept.data ? kept : kap_span("", 0);
}

static void *keep_array(parse_t *p, size_t count, size_t size)
{
    void *kept = kap_arena_calloc(p->dir->arena, count ? count : 1, size);
    p->nomem |= kept == NULL;
    return kept;
}

/* A printable text of 1 to `most` bytes; empty span when absent or wrong. */
static kap_span_t text_of(parse_t *p, const json_t *value, size_t most)
{
    if (!json_is_string(value)) {
        wrong(p, "is %s; a text of 1 to %zu bytes would be right", kind_of(value), most);
        return kap_span("", 0);
    }
    size_t size = json_string_length(value);
    const char *text = json_string_value(value);
    if (size < 1 || size > most) {
        wrong(p, "has %zu bytes; 1 to %zu would be right", size, most);
        return kap_span("", 0);
    }
    for (size_t i = 0; i < size; i++) {
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f) {
            wrong(p, "has a control character; printable text would be right");
            return kap_span("", 0);
        }
    }
    return keep(p, text, size);
}

static kap_span_t get_text(parse_t *p, const json_t *object, const char *key, size_t most,
                           bool required)
{
    kap_span_t text = kap_span("", 0);
    const json_t *value = json_object_get(object, key);
    size_t back = enter(p, key);
    if (value) {
        text = text_of(p, value, most);
    } else if (required) {
        wrong(p, "is missing; a text of 1 to %zu bytes would be right", most);
    }
    leave(p, back);
    return text;
}

static bool get_bool(parse_t *p, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value)) {
        wrong_at(p, key, "true or false would be right");
    }
    return json_is_true(value);
}

static int64_t get_int(parse_t *p, const json_t *object, const char *key, int64_t least,
                       int64_t most, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    if (!value) {
        return otherwise;
    }
    int64_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (!json_is_integer(value) || number < least || number > most) {
        size_t back = enter(p, key);
        wrong(p, "an integer from %lld to %lld would be right (without it: %lld)", (long long)least,
              (long long)most, (long long)otherwise);
        leave(p, back);
        return otherwise;
    }
    return number;
}

/* The list under a key, or NULL when absent or wrong. */
static const json_t *get_list(parse_t *p, const json_t *object, const char *key, size_t most)
{
    const json_t *value = json_object_get(object, key);
    if (!value) {
        return NULL;
    }
    if (!json_is_array(value) || json_array_size(value) > most) {
        size_t back = enter(p, key);
        wrong(p, "a list of at most %zu items would be right", most);
        leave(p, back);
        return NULL;
    }
    return value;
}

/* A key of 32 bytes: Z85 of 40 characters or hex of 64. */
static bool key_of(parse_t *p, const json_t *value, bool z85, uint8_t out[32])
{
    kap_span_t text = json_is_string(value)
                          ? kap_span(json_string_value(value), json_string_length(value))
                          : kap_span("", 0);
    bool ok = (z85 ? kap_z85_decode(out, 32, text) : kap_hex_decode(text, out, 32)) == KAP_OK;
    static const uint8_t zero[32];
    if (ok && memcmp(out, zero, 32) != 0) {
        return true;
    }
    wrong(p, z85 ? "a CURVE public key in Z85, 40 characters, would be right"
                 : "a public key in hex, 64 digits, would be right");
    return false;
}

static bool get_key(parse_t *p, const json_t *object, const char *key, bool z85, uint8_t out[32])
{
    const json_t *value = json_object_get(object, key);
    if (!value) {
        return false;
    }
    size_t back = enter(p, key);
    bool ok = key_of(p, value, z85, out);
    leave(p, back);
    return ok;
}

static bool date_of(parse_t *p, const json_t *value, kap_date_t *date)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (kap_date_parse(kap_span_str(text), date) == KAP_OK) {
        return true;
    }
    wrong(p, "a day as YYYY-MM-DD would be right");
    return false;
}

static bool get_date(parse_t *p, const json_t *object, const char *key, kap_date_t *date)
{
    const json_t *value = json_object_get(object, key);
    size_t back = enter(p, key);
    bool ok = value && date_of(p, value, date);
    leave(p, back);
    return ok;
}

/* --- regions --- */

/* An id of a member or region: it stands in sources, streams and file names. */
static void check_id(parse_t *p, kap_span_t id)
{
    size_t back = enter(p, "id");
    bool bad = kap_span_starts(id, KAP_SPAN("external:")) || kap_span_eq(id, KAP_SPAN("broker"));
    for (size_t i = 0; i < id.size; i++) {
        bad |= id.data[i] == '/' || id.data[i] == ' ';
    }
    if (bad) {
        wrong(p,
              "\"%.*s\" cannot be an id; one without / and blanks, not \"broker\" and not "
              "external:... would be right",
              (int)(id.size < 60 ? id.size : 60), (const char *)id.data);
    }
    leave(p, back);
}

static void read_settings(parse_t *p, const json_t *region, kap_region_t *r)
{
    static const char *const keys[] = {"visibility",       "answer_days",       "contact_days",
                                       "hidden_below",     "undelivered_hours", "unanswered_days",
                                       "uncontacted_days", "silent_days",       NULL};
    const json_t *settings = json_object_get(region, "settings");
    size_t back = enter(p, "settings");
    if (settings && !json_is_object(settings)) {
        wrong(p, "is %s; an object would be right", kind_of(settings));
        settings = NULL;
    }
    if (settings) {
        check_keys(p, settings, keys);
    }
    r->visibility = KAP_VISIBILITY_PARTIES;
    const json_t *visibility = json_object_get(settings, "visibility");
    if (visibility) {
        const char *name = json_is_string(visibility) ? json_string_value(visibility) : "";
        int code = kap_code_parse(KAP_LIST_VISIBILITY, kap_span_str(name));
        if (code < 0) {
            wrong_at(p, "visibility", "ends, parties, area or nation would be right");
        } else {
            r->visibility = (int16_t)code;
        }
    }
    r->answer_days = (uint16_t)get_int(p, settings, "answer_days", 1, 365, 10);
    r->contact_days = (uint16_t)get_int(p, settings, "contact_days", 1, 365, 10);
    r->hidden_below = (uint16_t)get_int(p, settings, "hidden_below", 3, 100, 5);
    r->undelivered_ms = KAP_HOUR_MS * get_int(p, settings, "undelivered_hours", 1, 720, 1);
    r->unanswered_days = get_int(p, settings, "unanswered_days", 1, 365, 5);
    r->uncontacted_days = get_int(p, settings, "uncontacted_days", 1, 365, 10);
    r->silent_days = get_int(p, settings, "silent_days", 1, 365, 30);
    leave(p, back);
}

static void read_region(parse_t *p, const json_t *object, kap_region_t *r)
{
    static const char *const keys[] = {"id", "kind", "area", "name", "settings", NULL};
    if (!json_is_object(object)) {
        wrong(p, "is %s; an object with id and kind would be right", kind_of(object));
        return;
    }
    check_keys(p, object, keys);
    r->id = get_text(p, object, "id", KAP_LIMIT_ID_BYTES, true);
    check_id(p, r->id);
    kap_span_t kind = get_text(p, object, "kind", 20, false);
    r->kind = KAP_REGION_KIND_ORDINARY;
    if (kap_span_eq_str(kind, "bench")) {
        r->kind = KAP_REGION_KIND_BENCH;
    } else if (!kap_span_empty(kind) && !kap_span_eq_str(kind, "ordinary")) {
        wrong_at(p, "kind", "ordinary or bench would be right (an archive is made by an import)");
    }
    r->area = get_text(p, object, "area", KAP_LIMIT_ID_BYTES, false);
    int known = kap_region_find(r->id);
    if (r->kind == KAP_REGION_KIND_BENCH && (known >= 0 || !kap_span_empty(r->area))) {
        wrong(p,
              "a bench region has no area and no id of a real region; another id would be right");
    }
    if (r->kind == KAP_REGION_KIND_ORDINARY && kap_span_empty(r->area)) {
        if (known < 0) {
            wrong_at(p, "area",
                     "is missing; a region that is not of the table of regions needs "
                     "the id of its area");
        } else {
            const char *area = kap_area_row(kap_region_row(known)->area)->id;
            r->area = kap_span_str(area); /* of the table: lives for ever */
        }
    }
    read_settings(p, object, r);
}

static int by_region_id(const void *a, const void *b)
{
    return kap_span_cmp(((const kap_region_t *)a)->id, ((const kap_region_t *)b)->id);
}

static void read_regions(parse_t *p, const json_t *root)
{
    const json_t *list = get_list(p, root, "regions", REGIONS_MAX);
    kap_directory_t *dir = p->dir;
    if (!list) {
        wrong_at(p, "regions", "a list of regions would be right");
    }
    size_t count = json_array_size(list);
    dir->regions = keep_array(p, count, sizeof(kap_region_t));
    if (!dir->regions) {
        return;
    }
    size_t back = enter(p, "regions");
    for (size_t i = 0; i < count; i++) {
        size_t item = enter_item(p, i);
        read_region(p, json_array_get(list, i), &dir->regions[i]);
        leave(p, item);
    }
    leave(p, back);
    dir->region_count = (uint32_t)count;
    qsort(dir->regions, count, sizeof(kap_region_t), by_region_id);
    for (uint32_t i = 0; i < dir->region_count; i++) {
        dir->regions[i].index = i;
    }
}

/* -1 when the file has no such region. Regions are sorted; the index is not built yet. */
static int64_t region_index(const parse_t *p, kap_span_t id)
{
    const kap_region_t key = {.id = id};
    const kap_region_t *found =
        bsearch(&key, p->dir->regions, p->dir->region_count, sizeof(kap_region_t), by_region_id);
    return found ? (int64_t)found->index : -1;
}

/* --- members --- */

static bool area_known(const parse_t *p, kap_span_t id)
{
    for (uint32_t i = 0; i < p->dir->region_count; i++) {
        if (kap_span_eq(p->dir->regions[i].area, id)) {
            return true;
        }
    }
    return kap_area_find(id) >= 0;
}

static void add_index(uint32_t *list, uint32_t *count, uint32_t index)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (list[i] == index) {
            return;
        }
    }
    list[(*count)++] = index;
}

/* "coordinator:mikkeli", "area:etela-savo", "speaker:bench-1" */
static void read_scoped_role(parse_t *p, kap_span_t role, kap_member_t *m, uint32_t *coordinated,
                             uint32_t *spoken, kap_span_t *areas)
{
    static const struct {
        const char *prefix;
        uint32_t bit;
    } scoped[] = {{"coordinator:", KAP_ROLE_COORDINATOR},
                  {"area:", KAP_ROLE_AREA},
                  {"speaker:", KAP_ROLE_SPEAKER}};
    for (size_t i = 0; i < sizeof(scoped) / sizeof(scoped[0]); i++) {
        if (!kap_span_starts(role, kap_span_str(scoped[i].prefix))) {
            continue;
        }
        kap_span_t id = kap_span_sub(role, strlen(scoped[i].prefix), role.size);
        m->roles |= scoped[i].bit;
        if (scoped[i].bit == KAP_ROLE_AREA) {
            if (!area_known(p, id)) {
                wrong(p, "names no area; the id of an area of the regions would be right");
            }
            areas[m->role_area_count++] = id;
            return;
        }
        int64_t at = region_index(p, id);
        bool bench = at >= 0 && p->dir->regions[at].kind == KAP_REGION_KIND_BENCH;
        if (at < 0) {
            wrong(p, "names no region of this file; one of its ids would be right");
        } else if (scoped[i].bit == KAP_ROLE_SPEAKER && !bench) {
            wrong(p, "a speaker speaks in bench regions only; the id of one would be right");
        } else if (scoped[i].bit == KAP_ROLE_SPEAKER) {
            add_index(spoken, &m->spoken_count, (uint32_t)at);
        } else {
            add_index(coordinated, &m->coordinated_count, (uint32_t)at);
        }
        return;
    }
    wrong(p, "is no role; node, party, steering, coordinator:<region>, area:<area>, ministry, "
             "operator, gateway or speaker:<bench region> would be right");
}

static uint32_t plain_role(kap_span_t role)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } plain[] = {{"node", KAP_ROLE_NODE},         {"party", KAP_ROLE_PARTY},
                 {"steering", KAP_ROLE_STEERING}, {"ministry", KAP_ROLE_MINISTRY},
                 {"operator", KAP_ROLE_OPERATOR}, {"gateway", KAP_ROLE_GATEWAY}};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (kap_span_eq_str(role, plain[i].name)) {
            return plain[i].bit;
        }
    }
    return 0;
}

static void read_roles(parse_t *p, const json_t *object, kap_member_t *m)
{
    const json_t *list = get_list(p, object, "roles", LIST_MAX);
    size_t count = json_array_size(list);
    uint32_t *coordinated = keep_array(p, count, sizeof(uint32_t));
    uint32_t *spoken = keep_array(p, count, sizeof(uint32_t));
    kap_span_t *areas = keep_array(p, count, sizeof(kap_span_t));
    if (p->nomem) {
        return;
    }
    size_t back = enter(p, "roles");
    for (size_t i = 0; i < count; i++) {
        size_t item = enter_item(p, i);
        kap_span_t role = text_of(p, json_array_get(list, i), KAP_LIMIT_ID_BYTES + 20);
        uint32_t bit = plain_role(role);
        if (bit) {
            m->roles |= bit;
        } else if (!kap_span_empty(role)) {
            read_scoped_role(p, role, m, coordinated, spoken, areas);
        }
        leave(p, item);
    }
    leave(p, back);
    m->coordinated = coordinated;
    m->spoken = spoken;
    m->role_areas = areas;
}

static void read_member_regions(parse_t *p, const json_t *object, kap_member_t *m)
{
    const json_t *list = get_list(p, object, "regions", LIST_MAX);
    size_t count = json_array_size(list);
    uint32_t *regions = keep_array(p, count, sizeof(uint32_t));
    if (!regions) {
        return;
    }
    size_t back = enter(p, "regions");
    for (size_t i = 0; i < count; i++) {
        size_t item = enter_item(p, i);
        kap_span_t id = text_of(p, json_array_get(list, i), KAP_LIMIT_ID_BYTES);
        int64_t at = region_index(p, id);
        if (at >= 0) {
            add_index(regions, &m->region_count, (uint32_t)at);
        } else if (!kap_span_empty(id)) {
            wrong(p, "is no region of this file; one of its ids would be right");
        }
        leave(p, item);
    }
    leave(p, back);
    m->regions = regions;
}

/* A list of codes as a mask. */
static uint64_t read_codes(parse_t *p, const json_t *object, const char *key, kap_code_list_t codes)
{
    const json_t *list = get_list(p, object, key, 64);
    uint64_t mask = 0;
    size_t back = enter(p, key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t item = enter_item(p, i);
        kap_span_t name = text_of(p, json_array_get(list, i), 60);
        int code = kap_code_parse(codes, name);
        if (code >= 0) {
            mask |= UINT64_C(1) << code;
        } else if (!kap_span_empty(name)) {
            kap_buf_t all = {0};
            for (int c = 0; c < kap_code_count(codes); c++) {
                kap_buf_printf(&all, "%s%s", c ? ", " : "", kap_code_name(codes, c));
            }
            wrong(p, "\"%.*s\" is not known; one of %s would be right", KAP_SPAN_ARGS(name),
                  kap_buf_cstr(&all));
            kap_buf_fini(&all);
        }
        leave(p, item);
    }
    leave(p, back);
    return mask;
}

static void read_name(parse_t *p, const json_t *object, kap_member_t *m)
{
    static const char *const keys[] = {"fi", "sv", "en", NULL};
    const json_t *name = json_object_get(object, "name");
    size_t back = enter(p, "name");
    if (!json_is_object(name)) {
        wrong(p, "an object with fi, and if there are sv and en, would be right");
    } else {
        check_keys(p, name, keys);
        m->name_fi = get_text(p, name, "fi", NAME_BYTES_MAX, true);
        m->name_sv = get_text(p, name, "sv", NAME_BYTES_MAX, false);
        m->name_en = get_text(p, name, "en", NAME_BYTES_MAX, false);
    }
    leave(p, back);
    m->name_sv = kap_span_empty(m->name_sv) ? m->name_fi : m->name_sv;
    m->name_en = kap_span_empty(m->name_en) ? m->name_fi : m->name_en;
}

static void read_keys(parse_t *p, const json_t *object, kap_member_t *m)
{
    m->has_curve = get_key(p, object, "curve", true, m->curve);
    m->has_sealing = get_key(p, object, "sealing", false, m->sealing);
    m->has_signing = get_key(p, object, "signing", false, m->signing);
    const json_t *list = get_list(p, object, "old_signing", OLD_KEYS_MAX);
    size_t count = json_array_size(list);
    uint8_t(*old)[32] = keep_array(p, count, 32);
    if (!old) {
        return;
    }
    size_t back = enter(p, "old_signing");
    for (size_t i = 0; i < count; i++) {
        size_t item = enter_item(p, i);
        key_of(p, json_array_get(list, i), false, old[i]);
        leave(p, item);
    }
    leave(p, back);
    m->old_signing = (const uint8_t(*)[32])old;
    m->old_signing_count = (uint32_t)count;
    bool acts = m->roles & ~(uint32_t)(KAP_ROLE_PARTY | KAP_ROLE_STEERING);
    if (acts && !json_object_get(object, "curve")) {
        wrong_at(p, "curve", "is missing; a member with such a role needs its CURVE public key");
    }
    bool node = m->roles & KAP_ROLE_NODE;
    if (node && !(json_object_get(object, "sealing") && json_object_get(object, "signing"))) {
        wrong(p, "a node needs its public keys sealing and signing, in hex");
    }
}

static void read_validity(parse_t *p, const json_t *object, kap_member_t *m)
{
    kap_date_t date;
    m->valid_from = INT64_MIN;
    m->valid_to = INT64_MAX;
    if (json_object_get(object, "valid_from") && get_date(p, object, "valid_from", &date)) {
        m->valid_from = kap_day_start_ms(KAP_ZONE_HELSINKI, date);
    }
    if (json_object_get(object, "valid_to") && get_date(p, object, "valid_to", &date)) {
        m->valid_to = kap_day_start_ms(KAP_ZONE_HELSINKI, kap_date_add(date, 1));
    }
    if (m->valid_to <= m->valid_from) {
        wrong_at(p, "valid_to", "is before valid_from; a later day would be right");
    }
}

static int by_first_day(const void *a, const void *b)
{
    return kap_date_cmp(((const kap_closure_t *)a)->first, ((const kap_closure_t *)b)->first);
}

/* At most 30 working days a year may be closed; the list is sorted, days count once. */
static void check_closed_days(parse_t *p, const kap_closure_t *items, size_t count)
{
    int year = 0, days = 0;
    kap_date_t next = {0};
    for (size_t i = 0; i < count; i++) {
        kap_date_t day = items[i].first;
        if (i > 0 && kap_date_cmp(day, next) < 0) {
            day = next;
        }
        for (; kap_date_cmp(day, items[i].last) <= 0; day = kap_date_add(day, 1)) {
            days = day.year == year ? days : 0;
            year = day.year;
            days += kap_calendar_is_working_day(day, NULL);
            if (days > CLOSED_DAYS_MAX) {
                wrong(p, "more than %d working days of %d; at most that many would be right",
                      CLOSED_DAYS_MAX, year);
                return;
            }
        }
        next = day;
    }
}

static void read_closures(parse_t *p, const json_t *object, kap_member_t *m)
{
    static const char *const keys[] = {"from", "to", NULL};
    const json_t *list = get_list(p, object, "closures", LIST_MAX);
    size_t count = json_array_size(list);
    if (count == 0) {
        return;
    }
    kap_closure_t *items = keep_array(p, count, sizeof(*items));
    kap_closures_t *closures = keep_array(p, 1, sizeof(*closures));
    if (p->nomem) {
        return;
    }
    unsigned before = p->wrongs;
    size_t back = enter(p, "closures");
    for (size_t i = 0; i < count; i++) {
        size_t item = enter_item(p, i);
        const json_t *range = json_array_get(list, i);
        if (!json_is_object(range)) {
            wrong(p, "an object with from and to would be right");
        } else {
            check_keys(p, range, keys);
            if (get_date(p, range, "from", &items[i].first) &&
                get_date(p, range, "to", &items[i].last) &&
                kap_date_cmp(items[i].last, items[i].first) < 0) {
                wrong(p, "to is before from; from <= to would be right");
            }
        }
        leave(p, item);
    }
    if (p->wrongs == before) {
        qsort(items, count, sizeof(*items), by_first_day);
        check_closed_days(p, items, count);
    }
    leave(p, back);
    *closures = (kap_closures_t){items, count};
    m->closures = closures;
}

static void read_type(parse_t *p, const json_t *object, kap_member_t *m)
{
    m->type_id = get_text(p, object, "type", KAP_LIMIT_ID_BYTES, true);
    m->type = (int16_t)kap_actor_type_find(m->type_id);
    const kap_actor_type_row_t *row = kap_actor_type_row(m->type);
    if (row) {
        m->is_authority = row->authority;
        m->is_private = row->is_private;
    } else if (!kap_span_empty(m->type_id)) {
        wrong_at(p, "type",
                 "is no actor type; one of the table of actor types would be right, "
                 "such as municipality, ely, finnvera or other");
    }
}

static void read_member(parse_t *p, const json_t *object, kap_member_t *m)
{
    static const char *const keys[] = {
        "id",          "organisation", "name",     "type",     "roles", "regions", "national",
        "services",    "languages",    "phone",    "email",    "curve", "sealing", "signing",
        "old_signing", "valid_from",   "valid_to", "closures", NULL};
    if (!json_is_object(object)) {
        wrong(p, "is %s; an object would be right", kind_of(object));
        return;
    }
    check_keys(p, object, keys);
    m->id = get_text(p, object, "id", KAP_LIMIT_ID_BYTES - 40, true); /* room for a producer */
    check_id(p, m->id);
    m->organisation = get_text(p, object, "organisation", 20, false);
    if (!kap_span_empty(m->organisation) && !kap_business_id_ok(m->organisation)) {
        wrong_at(p, "organisation",
                 "a business id, 7 digits, a dash and the right check digit, would be right");
    }
    read_name(p, object, m);
    read_type(p, object, m);
    read_roles(p, object, m);
    read_member_regions(p, object, m);
    m->national = get_bool(p, object, "national");
    m->services = read_codes(p, object, "services", KAP_LIST_SERVICE);
    m->languages = (uint32_t)read_codes(p, object, "languages", KAP_LIST_LANGUAGE);
    m->phone = get_text(p, object, "phone", 60, false);
    m->email = get_text(p, object, "email", 254, false);
    read_keys(p, object, m);
    read_validity(p, object, m);
    read_closures(p, object, m);
}

static int by_member_id(const void *a, const void *b)
{
    return kap_span_cmp(((const kap_member_t *)a)->id, ((const kap_member_t *)b)->id);
}

static void read_members(parse_t *p, const json_t *root)
{
    const json_t *list = get_list(p, root, "members", MEMBERS_MAX);
    kap_directory_t *dir = p->dir;
    if (!list) {
        wrong_at(p, "members", "a list of members would be right");
    }
    size_t count = json_array_size(list);
    dir->members = keep_array(p, count, sizeof(kap_member_t));
    if (!dir->members) {
        return;
    }
    size_t back = enter(p, "members");
    for (size_t i = 0; i < count && !p->nomem; i++) {
        size_t item = enter_item(p, i);
        read_member(p, json_array_get(list, i), &dir->members[i]);
        leave(p, item);
    }
    leave(p, back);
    dir->member_count = (uint32_t)count;
    qsort(dir->members, count, sizeof(kap_member_t), by_member_id);
    for (uint32_t i = 0; i < dir->member_count; i++) {
        dir->members[i].index = i;
    }
}

/* --- the whole --- */

static void build_index(parse_t *p)
{
    uint32_t a = 0, b = 0;
    bool of_regions = false;
    int rc = kap_directory_inner_index(p->dir, &a, &b, &of_regions);
    p->nomem |= rc == KAP_E_NOMEM;
    if (rc != KAP_E_EXISTS) {
        return;
    }
    if (of_regions) {
        wrong_at(p, "regions", "two have the same id; each id once would be right");
        return;
    }
    const kap_member_t *one = &p->dir->members[a], *two = &p->dir->members[b];
    size_t back = enter(p, "members");
    wrong(p, "%.*s and %.*s have the same %s; one of their own for each would be right",
          KAP_SPAN_ARGS(one->id), KAP_SPAN_ARGS(two->id),
          kap_span_eq(one->id, two->id) ? "id" : "CURVE key");
    leave(p, back);
}

static void read_root(parse_t *p, const json_t *root)
{
    static const char *const keys[] = {"mesh", "rehearsal", "regions", "members", NULL};
    if (!json_is_object(root)) {
        wrong(p, "is %s; an object with mesh, regions and members would be right", kind_of(root));
        return;
    }
    check_keys(p, root, keys);
    if (!json_object_get(root, "mesh")) {
        wrong_at(p, "mesh",
                 "is missing; the authority's public key in hex, 64 digits, would be right");
    }
    get_key(p, root, "mesh", false, p->dir->authority);
    const kap_span_t authority = kap_span(p->dir->authority, 32);
    kap_hash256(p->dir->mesh, &authority, 1);
    p->dir->rehearsal = get_bool(p, root, "rehearsal");
    read_regions(p, root);
    if (!p->nomem) {
        read_members(p, root);
    }
    if (p->wrongs == 0 && !p->nomem) {
        build_index(p);
    }
}

int kap_directory_parse(kap_span_t json, kap_directory_t **out, kap_buf_t *messages)
{
    parse_t p = {.messages = messages};
    json_error_t error;
    json_t *root = NULL;
    size_t bad_at = 0;
    int rc = KAP_E_NOMEM;
    p.dir = kap_directory_inner_new();
    if (!p.dir) {
        goto done;
    }
    rc = KAP_E_CONFIG;
    if (json.size > FILE_BYTES_MAX) {
        wrong(&p, "has %zu bytes; at most %d would be right", json.size, FILE_BYTES_MAX);
        goto done;
    }
    if (!kap_utf8_valid(json, &bad_at)) {
        wrong(&p, "is not UTF-8 at byte %zu; a file saved as UTF-8 would be right", bad_at);
        goto done;
    }
    root = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        wrong(&p, "line %d, column %d: %s; well-formed JSON with each key once would be right",
              error.line, error.column, error.text);
        goto done;
    }
    read_root(&p, root);
    if (p.nomem) {
        rc = KAP_E_NOMEM;
    } else if (p.wrongs == 0) {
        *out = p.dir;
        p.dir = NULL;
        rc = KAP_OK;
    }
done:
    json_decref(root);
    kap_directory_unref(&p.dir);
    return rc;
}
