/* SPDX-License-Identifier: MPL-2.0 */
#include "event.h"

#include "err.h"
#include "hash.h"
#include "idcheck.h"
#include "seeded.h"
#include "value.h"

enum { HASH = KAP_LIMIT_HASH_BYTES };

/* What goes through the steps of decoding; the first refusal ends them. */
typedef struct {
    kap_event_t *ev;
    kap_arena_t *arena;
    const kap_mp_t *data;
    kap_span_t type;
    kap_value_t *values;
    uint32_t value_count;
    uint32_t seen; /* bits of attributes */
    bool nomem;
    bool personal; /* a personal identity code stands in what the tables do not name */
} decoder_t;

static uint16_t refuse(decoder_t *d, uint16_t number, kap_field_t field)
{
    d->ev->refusal.field = (uint16_t)field;
    return number;
}

static const struct {
    const char *wire;
    size_t size;
} attribute_keys[KAP_ATTR_COUNT] = {
#define KAP_ATTRIBUTE(NAME, WIRE, TYPE, NEED) {WIRE, sizeof(WIRE) - 1},
#include "attributes.def"
#undef KAP_ATTRIBUTE
};

/* Bits of the attributes that every event must have. */
enum {
    OPTIONAL = 0,
    REQUIRED = 1,
    REQUIRED_ATTRIBUTES = 0
#define KAP_ATTRIBUTE(NAME, WIRE, TYPE, NEED) | NEED << KAP_ATTR_##NAME
#include "attributes.def"
#undef KAP_ATTRIBUTE
};

/* Attributes come in the builder's order as a rule: the one after the last is tried first. */
static int find_attribute(kap_span_t key, int hint)
{
    for (int i = 0; i < KAP_ATTR_COUNT; i++) {
        int at = hint + i < KAP_ATTR_COUNT ? hint + i : hint + i - KAP_ATTR_COUNT;
        if (attribute_keys[at].size == key.size &&
            memcmp(attribute_keys[at].wire, key.data, key.size) == 0) {
            return at;
        }
    }
    return -1;
}

static bool take_hash(const kap_mp_t *node, uint8_t out[HASH], bool *has)
{
    kap_span_t hash;
    if (!kap_mp_bin(node, &hash) || hash.size != HASH) {
        return false;
    }
    memcpy(out, hash.data, HASH);
    *has = true;
    return true;
}

static bool take_id(const kap_mp_t *node, kap_span_t *out)
{
    kap_span_t text;
    if (!kap_mp_str(node, &text) || !kap_text_is(KAP_TYPE_ID, text)) {
        return false;
    }
    *out = text;
    return true;
}

static bool take_time(const kap_mp_t *node, int64_t *out)
{
    return kap_mp_int(node, KAP_TIME_FIRST_MS, KAP_TIME_LAST_MS, out);
}

static bool take_attribute(decoder_t *d, kap_attribute_t attribute, const kap_mp_t *node)
{
    kap_event_t *ev = d->ev;
    kap_span_t version;
    int64_t number;
    switch (attribute) {
    case KAP_ATTR_SPECVERSION:
        return kap_mp_str(node, &version) && kap_span_eq(version, KAP_SPAN("1.0"));
    case KAP_ATTR_ID:
        return take_id(node, &ev->id);
    case KAP_ATTR_SOURCE:
        return take_id(node, &ev->source);
    case KAP_ATTR_SEQUENCE:
        if (!kap_mp_int(node, 1, INT64_MAX, &number)) {
            return false;
        }
        ev->sequence = (uint64_t)number;
        return true;
    case KAP_ATTR_TYPE:
        return take_id(node, &d->type);
    case KAP_ATTR_SUBJECT:
        return take_id(node, &ev->subject);
    case KAP_ATTR_TIME:
        return take_time(node, &ev->time);
    case KAP_ATTR_RECORDEDTIME:
        return take_time(node, &ev->recorded);
    case KAP_ATTR_CORRELATIONID:
        return take_id(node, &ev->correlation);
    case KAP_ATTR_CAUSATIONID:
        return take_id(node, &ev->causation);
    case KAP_ATTR_TRACEPARENT:
        return take_id(node, &ev->traceparent);
    case KAP_ATTR_GROUP:
        return take_id(node, &ev->group);
    case KAP_ATTR_ENDSHASH:
        return take_hash(node, ev->ends_hash, &ev->has_ends);
    case KAP_ATTR_SEALEDHASH:
        return take_hash(node, ev->sealed_hash, &ev->has_sealed);
    case KAP_ATTR_DATA:
        d->data = node;
        return node->kind == KAP_MP_MAP;
    case KAP_ATTR_COUNT:
        break;
    }
    return false;
}

/* A pair that no table names is carried along; what must not be carried is looked for in it too. */
static void search_unknown(decoder_t *d, const kap_mp_t *key)
{
    d->personal =
        d->personal || kap_personal_code_in_node(key) || kap_personal_code_in_node(key + 1);
}

static uint16_t read_envelope(decoder_t *d, const kap_mp_t *root)
{
    int next = 0;
    for (uint32_t i = 0; i < root->count; i++) {
        int at = find_attribute(kap_mp_key(root, i)->s, next);
        if (at < 0) {
            search_unknown(d, kap_mp_key(root, i));
            continue;
        }
        next = at + 1;
        if (!take_attribute(d, (kap_attribute_t)at, kap_mp_value(root, i))) {
            return at == KAP_ATTR_SPECVERSION ? KAP_REFUSAL_MALFORMED_SPECVERSION
                                              : KAP_REFUSAL_MALFORMED_ATTRIBUTE;
        }
        d->seen |= 1u << at;
    }
    if ((d->seen & REQUIRED_ATTRIBUTES) != REQUIRED_ATTRIBUTES) {
        return KAP_REFUSAL_MALFORMED_ATTRIBUTE;
    }
    if (!(d->seen & 1u << KAP_ATTR_RECORDEDTIME)) {
        d->ev->recorded = d->ev->time;
    }
    return 0;
}

/* A part against what the open part binds and what the type may have. */
static uint16_t check_part(kap_span_t part, bool bound, const uint8_t hash[HASH], bool may_have)
{
    uint8_t have[HASH];
    if (bound ? !may_have : part.size != 0) {
        return KAP_REFUSAL_MALFORMED_PART_UNEXPECTED;
    }
    if (part.size == 0) {
        return 0;
    }
    kap_part_hash(part, have);
    bool same = memcmp(have, hash, HASH) == 0 || KAP_SEEDED_BUG("part_hash_unchecked");
    return same ? 0 : KAP_REFUSAL_MALFORMED_PART_HASH;
}

/* Fields come in the builder's order as a rule. Puts the nodes of known fields in slots. */
static void fill_slots(decoder_t *d, const kap_event_field_row_t *rows, uint32_t count,
                       const kap_mp_t *map, const kap_mp_t **slots)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        kap_span_t key = kap_mp_key(map, i)->s;
        uint32_t tried = 0;
        for (; tried < count; tried++) {
            uint32_t at = next + tried < count ? next + tried : next + tried - count;
            const kap_field_row_t *row = kap_field_row(rows[at].field);
            if (row->wire_size == key.size && memcmp(row->wire, key.data, key.size) == 0) {
                slots[at] = kap_mp_value(map, i);
                next = at + 1;
                break;
            }
        }
        if (tried == count) {
            search_unknown(d, kap_mp_key(map, i));
        }
    }
}

static uint16_t read_fields(decoder_t *d, const kap_event_field_row_t *rows, uint32_t count,
                            const kap_mp_t *map)
{
    const kap_mp_t *slots[KAP_EVENT_VALUES_MAX] = {NULL};
    fill_slots(d, rows, count, map, slots);
    for (uint32_t i = 0; i < count; i++) {
        if (!slots[i]) {
            if (rows[i].required) {
                return refuse(d, KAP_REFUSAL_MALFORMED_FIELD_MISSING, rows[i].field);
            }
            continue;
        }
        kap_value_t *value = &d->values[d->value_count];
        uint16_t wrong = kap_value_read(rows[i].field, slots[i], d->arena, value, &d->nomem);
        if (wrong) {
            return refuse(d, wrong, rows[i].field);
        }
        if (value->kind == KAP_VALUE_BASIS && kap_personal_code_in_node(slots[i])) {
            return refuse(d, KAP_REFUSAL_MALFORMED_PERSONAL_ID, rows[i].field);
        }
        value->part = (uint8_t)rows[i].part;
        d->value_count++;
    }
    return 0;
}

static uint16_t read_ends(decoder_t *d, const kap_event_row_t *row)
{
    static const kap_mp_t nothing = {.kind = KAP_MP_MAP};
    const kap_event_field_row_t *rows = row->fields + row->open_count;
    kap_event_t *ev = d->ev;
    kap_mp_t root;
    if (!ev->has_ends) {
        return read_fields(d, rows, row->ends_count, &nothing);
    }
    if (ev->ends.size == 0) { /* cut: nothing to check */
        return 0;
    }
    if (ev->ends.size <= KAP_LIMIT_SALT_BYTES) {
        return KAP_REFUSAL_MALFORMED_ENCODING;
    }
    kap_span_t map = kap_span_sub(ev->ends, KAP_LIMIT_SALT_BYTES, ev->ends.size);
    int rc = kap_mp_read(map, d->arena, &root, NULL);
    d->nomem = d->nomem || rc == KAP_E_NOMEM;
    if (rc != KAP_OK || root.kind != KAP_MP_MAP) {
        return KAP_REFUSAL_MALFORMED_ENCODING;
    }
    return read_fields(d, rows, row->ends_count, &root);
}

static uint16_t read_data(decoder_t *d, const kap_event_row_t *row)
{
    uint32_t most = (uint32_t)row->open_count + row->ends_count;
    d->values = kap_arena_alloc(d->arena, most * sizeof *d->values);
    if (!d->values) {
        d->nomem = true;
        return KAP_REFUSAL_MALFORMED_ENCODING;
    }
    uint16_t wrong = read_fields(d, row->fields, row->open_count, d->data);
    return wrong ? wrong : read_ends(d, row);
}

static uint16_t decode(decoder_t *d, kap_event_type_t *type)
{
    kap_event_t *ev = d->ev;
    kap_mp_t root;
    if (ev->open.size > KAP_LIMIT_OPEN_BYTES || ev->ends.size > KAP_LIMIT_ENDS_BYTES ||
        ev->sealed.size > KAP_LIMIT_SEALED_BYTES) {
        return KAP_REFUSAL_MALFORMED_TOO_LARGE;
    }
    int rc = kap_mp_read(ev->open, d->arena, &root, NULL);
    d->nomem = rc == KAP_E_NOMEM;
    if (rc != KAP_OK || root.kind != KAP_MP_MAP) {
        return KAP_REFUSAL_MALFORMED_ENCODING;
    }
    uint16_t wrong = read_envelope(d, &root);
    if (wrong) {
        return wrong;
    }
    *type = kap_event_type_parse(d->type);
    const kap_event_row_t *row = kap_event_row(*type);
    if (!row) {
        return KAP_REFUSAL_MALFORMED_TYPE;
    }
    wrong = check_part(ev->ends, ev->has_ends, ev->ends_hash, row->ends_count);
    wrong =
        wrong ? wrong : check_part(ev->sealed, ev->has_sealed, ev->sealed_hash, row->sealed_count);
    return wrong ? wrong : read_data(d, row);
}

/* A personal identity code in any text refuses the event, whoever sends it. */
static void refuse_personal_code(decoder_t *d)
{
    kap_event_t *ev = d->ev;
    ev->values = d->values;
    ev->value_count = d->value_count;
    int field = kap_personal_code_in_event(ev);
    field = field < 0 && d->personal ? KAP_F_NONE : field;
    if (field >= 0) {
        ev->refusal.number = KAP_REFUSAL_MALFORMED_PERSONAL_ID;
        ev->refusal.field = (uint16_t)field;
        ev->values = NULL;
        ev->value_count = 0;
    }
}

int kap_event_decode(kap_span_t open, kap_span_t ends, kap_span_t sealed, kap_arena_t *arena,
                     kap_event_t *ev, kap_refusal_t *why)
{
    decoder_t d = {.ev = ev, .arena = arena};
    kap_event_type_t type = KAP_EV_NONE;
    *ev = (kap_event_t){.open = open, .ends = ends, .sealed = sealed};
    kap_content_hash(open, ev->content_hash);
    ev->refusal.number = decode(&d, &type);
    if (!ev->refusal.number) {
        refuse_personal_code(&d);
    }
    if (ev->refusal.number) {
        if (why) {
            *why = ev->refusal;
        }
        return d.nomem ? KAP_E_NOMEM : KAP_E_INVALID;
    }
    ev->type = type;
    ev->family = kap_event_row(type)->family;
    ev->values = d.values;
    ev->value_count = d.value_count;
    return KAP_OK;
}

bool kap_event_is_whole(const kap_event_t *ev)
{
    return (!ev->has_ends || ev->ends.size) && (!ev->has_sealed || ev->sealed.size);
}

const kap_value_t *kap_value_find(const kap_value_t *values, uint32_t count, kap_field_t field)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].field == field) {
            return &values[i];
        }
    }
    return NULL;
}

const kap_value_t *kap_event_get(const kap_event_t *ev, kap_field_t field)
{
    return kap_value_find(ev->values, ev->value_count, field);
}

static const kap_value_t *get_kind(const kap_event_t *ev, kap_field_t field, kap_value_kind_t kind)
{
    const kap_value_t *value = kap_event_get(ev, field);
    return value && value->kind == kind ? value : NULL;
}

kap_span_t kap_event_span(const kap_event_t *ev, kap_field_t field)
{
    const kap_value_t *value = get_kind(ev, field, KAP_VALUE_SPAN);
    return value ? value->s : kap_span(NULL, 0);
}

int64_t kap_event_int(const kap_event_t *ev, kap_field_t field, int64_t otherwise)
{
    const kap_value_t *value = get_kind(ev, field, KAP_VALUE_INT);
    return value ? value->i : otherwise;
}

bool kap_event_bool(const kap_event_t *ev, kap_field_t field)
{
    const kap_value_t *value = get_kind(ev, field, KAP_VALUE_BOOL);
    return value && value->b;
}

int kap_event_code(const kap_event_t *ev, kap_field_t field)
{
    return (int)kap_event_int(ev, field, -1);
}

uint64_t kap_event_codes(const kap_event_t *ev, kap_field_t field)
{
    const kap_value_t *value = get_kind(ev, field, KAP_VALUE_CODES);
    return value ? value->mask : 0;
}

const kap_basis_t *kap_event_basis(const kap_event_t *ev)
{
    const kap_value_t *value = get_kind(ev, KAP_F_BASIS, KAP_VALUE_BASIS);
    return value ? value->basis : NULL;
}

const kap_mp_t *kap_event_node(const kap_event_t *ev, kap_field_t field)
{
    const kap_value_t *value = get_kind(ev, field, KAP_VALUE_NODE);
    return value ? value->node : NULL;
}

static uint16_t decode_contents(decoder_t *d, const kap_event_row_t *row, kap_span_t map)
{
    kap_mp_t root;
    if (!row) {
        return KAP_REFUSAL_MALFORMED_TYPE;
    }
    if (map.size > KAP_LIMIT_SEALED_BYTES) {
        return KAP_REFUSAL_MALFORMED_TOO_LARGE;
    }
    int rc = kap_mp_read(map, d->arena, &root, NULL);
    d->values = kap_arena_alloc(d->arena, row->sealed_count * sizeof *d->values);
    d->nomem = rc == KAP_E_NOMEM || !d->values;
    if (rc != KAP_OK || d->nomem || root.kind != KAP_MP_MAP) {
        return KAP_REFUSAL_MALFORMED_ENCODING;
    }
    return read_fields(d, row->fields + row->open_count + row->ends_count, row->sealed_count,
                       &root);
}

int kap_contents_decode(kap_event_type_t type, kap_span_t map, kap_arena_t *arena,
                        const kap_value_t **values, uint32_t *count, kap_refusal_t *why)
{
    kap_event_t scratch = {0};
    decoder_t d = {.ev = &scratch, .arena = arena};
    scratch.refusal.number = decode_contents(&d, kap_event_row(type), map);
    if (scratch.refusal.number) {
        if (why) {
            *why = scratch.refusal;
        }
        return d.nomem ? KAP_E_NOMEM : KAP_E_INVALID;
    }
    *values = d.values;
    *count = d.value_count;
    return KAP_OK;
}
