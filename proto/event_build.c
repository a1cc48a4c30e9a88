/* SPDX-License-Identifier: MPL-2.0 */
#include "err.h"
#include "event.h"
#include "hash.h"
#include "utf8.h"
#include "value.h"

static void fail(kap_event_builder_t *b, kap_field_t field)
{
    if (b->err == KAP_OK) {
        b->err = KAP_E_INVALID;
        b->field = field;
    }
}

static bool id_ok(kap_span_t id)
{
    return kap_text_is(KAP_TYPE_ID, id) && kap_utf8_valid(id, NULL);
}

static bool time_ok(int64_t ms)
{
    return ms >= KAP_TIME_FIRST_MS && ms <= KAP_TIME_LAST_MS;
}

void kap_event_builder_begin(kap_event_builder_t *b, kap_event_type_t type, kap_span_t id,
                             kap_span_t source, uint64_t sequence, int64_t time, int64_t recorded)
{
    *b = (kap_event_builder_t){.type = type,
                               .id = id,
                               .source = source,
                               .sequence = sequence,
                               .time = time,
                               .recorded = recorded,
                               .part = KAP_PART_OPEN};
    if (!kap_event_row(type) || !id_ok(id) || !id_ok(source) || sequence == 0 ||
        sequence > INT64_MAX || !time_ok(time) || !time_ok(recorded)) {
        fail(b, KAP_F_NONE);
    }
}

static void set_attribute(kap_event_builder_t *b, kap_span_t *attribute, kap_span_t text)
{
    if (text.size && !id_ok(text)) {
        fail(b, KAP_F_NONE);
    }
    *attribute = text;
}

void kap_event_builder_set_subject(kap_event_builder_t *b, kap_span_t subject)
{
    set_attribute(b, &b->subject, subject);
}

void kap_event_builder_set_group(kap_event_builder_t *b, kap_span_t group)
{
    set_attribute(b, &b->group, group);
}

void kap_event_builder_set_correlation(kap_event_builder_t *b, kap_span_t correlation)
{
    set_attribute(b, &b->correlation, correlation);
}

void kap_event_builder_set_causation(kap_event_builder_t *b, kap_span_t causation)
{
    set_attribute(b, &b->causation, causation);
}

void kap_event_builder_set_traceparent(kap_event_builder_t *b, kap_span_t traceparent)
{
    set_attribute(b, &b->traceparent, traceparent);
}

static uint32_t row_total(const kap_event_row_t *row)
{
    return (uint32_t)row->open_count + row->ends_count + row->sealed_count;
}

/* The part that this field goes to, 0 when the event has no such field. */
static kap_part_t part_of(const kap_event_builder_t *b, kap_field_t field)
{
    const kap_event_row_t *row = kap_event_row(b->type);
    bool contents = b->part == KAP_PART_SEALED;
    for (uint32_t i = 0; row && i < row_total(row); i++) {
        const kap_event_field_row_t *f = &row->fields[i];
        if (f->field == field && (f->part == KAP_PART_SEALED) == contents) {
            return f->part;
        }
    }
    return 0;
}

static kap_value_t *find(kap_event_builder_t *b, kap_field_t field, kap_part_t part)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->values[i].field == field && b->values[i].part == part) {
            return &b->values[i];
        }
    }
    return NULL;
}

static void set(kap_event_builder_t *b, kap_field_t field, kap_value_t value)
{
    value.field = (uint16_t)field;
    value.part = (uint8_t)part_of(b, field);
    kap_value_t *at = find(b, field, value.part);
    if (!value.part || !kap_value_ok(&value) || (!at && b->count == KAP_EVENT_VALUES_MAX)) {
        fail(b, field);
        return;
    }
    at = at ? at : &b->values[b->count++];
    *at = value;
}

void kap_event_builder_set_span(kap_event_builder_t *b, kap_field_t field, kap_span_t value)
{
    if (value.size) {
        set(b, field, (kap_value_t){.kind = KAP_VALUE_SPAN, .s = value});
    }
}

void kap_event_builder_set_int(kap_event_builder_t *b, kap_field_t field, int64_t value)
{
    const kap_field_row_t *row = kap_field_row(field);
    if (row && row->type == KAP_TYPE_CODE) {
        fail(b, field);
        return;
    }
    set(b, field, (kap_value_t){.kind = KAP_VALUE_INT, .i = value});
}

void kap_event_builder_set_code(kap_event_builder_t *b, kap_field_t field, int code)
{
    const kap_field_row_t *row = kap_field_row(field);
    if (!row || row->type != KAP_TYPE_CODE) {
        fail(b, field);
        return;
    }
    set(b, field, (kap_value_t){.kind = KAP_VALUE_INT, .i = code});
}

void kap_event_builder_set_codes(kap_event_builder_t *b, kap_field_t field, uint64_t mask)
{
    set(b, field, (kap_value_t){.kind = KAP_VALUE_CODES, .mask = mask});
}

void kap_event_builder_set_bool(kap_event_builder_t *b, kap_field_t field, bool value)
{
    set(b, field, (kap_value_t){.kind = KAP_VALUE_BOOL, .b = value});
}

void kap_event_builder_set_basis(kap_event_builder_t *b, const kap_basis_t *basis)
{
    set(b, KAP_F_BASIS, (kap_value_t){.kind = KAP_VALUE_BASIS, .basis = basis});
}

void kap_event_builder_set_raw(kap_event_builder_t *b, kap_field_t field, kap_span_t value)
{
    set(b, field, (kap_value_t){.kind = KAP_VALUE_RAW, .s = value});
}

void kap_event_builder_contents_begin(kap_event_builder_t *b)
{
    b->part = KAP_PART_SEALED;
}

static uint32_t count_part(const kap_event_builder_t *b, kap_part_t part)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        n += b->values[i].part == part;
    }
    return n;
}

/* The map of one part, fields in the order of the table. */
static void write_part(kap_event_builder_t *b, kap_part_t part, kap_buf_t *out)
{
    const kap_event_row_t *row = kap_event_row(b->type);
    kap_mp_put_map(out, count_part(b, part));
    for (uint32_t i = 0; i < row_total(row); i++) {
        const kap_event_field_row_t *f = &row->fields[i];
        const kap_value_t *value = f->part == part ? find(b, f->field, part) : NULL;
        if (value) {
            kap_mp_put_cstr(out, kap_field_row(f->field)->wire);
            kap_value_write(out, value);
        }
    }
}

int kap_event_builder_contents(kap_event_builder_t *b, kap_buf_t *out, bool *any)
{
    if (b->err != KAP_OK) {
        return b->err;
    }
    *any = count_part(b, KAP_PART_SEALED) != 0;
    if (*any) {
        write_part(b, KAP_PART_SEALED, out);
    }
    return out->err;
}

static void check_required(kap_event_builder_t *b)
{
    const kap_event_row_t *row = kap_event_row(b->type);
    for (uint32_t i = 0; i < row_total(row); i++) {
        const kap_event_field_row_t *f = &row->fields[i];
        if (f->required && f->part != KAP_PART_SEALED && !find(b, f->field, f->part)) {
            fail(b, f->field);
        }
    }
}

static void put_text(kap_buf_t *out, kap_attribute_t attribute, kap_span_t text)
{
    if (text.size) {
        kap_mp_put_cstr(out, kap_attribute_wire(attribute));
        kap_mp_put_str(out, text);
    }
}

static void put_hash(kap_buf_t *out, kap_attribute_t attribute, const uint8_t *hash)
{
    if (hash) {
        kap_mp_put_cstr(out, kap_attribute_wire(attribute));
        kap_mp_put_bin(out, kap_span(hash, KAP_LIMIT_HASH_BYTES));
    }
}

static void put_time(kap_buf_t *out, kap_attribute_t attribute, int64_t ms)
{
    kap_mp_put_cstr(out, kap_attribute_wire(attribute));
    kap_mp_put_int(out, ms);
}

static void write_open(kap_event_builder_t *b, const uint8_t *ends_hash, const uint8_t *sealed_hash,
                       kap_buf_t *out)
{
    bool recorded = b->recorded != b->time;
    uint32_t pairs = 7u + recorded + (b->subject.size != 0) + (b->correlation.size != 0) +
                     (b->causation.size != 0) + (b->traceparent.size != 0) + (b->group.size != 0) +
                     (ends_hash != NULL) + (sealed_hash != NULL);
    kap_mp_put_map(out, pairs);
    put_text(out, KAP_ATTR_SPECVERSION, KAP_SPAN("1.0"));
    put_text(out, KAP_ATTR_ID, b->id);
    put_text(out, KAP_ATTR_SOURCE, b->source);
    kap_mp_put_cstr(out, kap_attribute_wire(KAP_ATTR_SEQUENCE));
    kap_mp_put_uint(out, b->sequence);
    put_text(out, KAP_ATTR_TYPE, kap_span_str(kap_event_type_name(b->type)));
    put_text(out, KAP_ATTR_SUBJECT, b->subject);
    put_time(out, KAP_ATTR_TIME, b->time);
    if (recorded) {
        put_time(out, KAP_ATTR_RECORDEDTIME, b->recorded);
    }
    put_text(out, KAP_ATTR_CORRELATIONID, b->correlation);
    put_text(out, KAP_ATTR_CAUSATIONID, b->causation);
    put_text(out, KAP_ATTR_TRACEPARENT, b->traceparent);
    put_text(out, KAP_ATTR_GROUP, b->group);
    put_hash(out, KAP_ATTR_ENDSHASH, ends_hash);
    put_hash(out, KAP_ATTR_SEALEDHASH, sealed_hash);
    kap_mp_put_cstr(out, kap_attribute_wire(KAP_ATTR_DATA));
    write_part(b, KAP_PART_OPEN, out);
}

int kap_event_builder_finish(kap_event_builder_t *b, const uint8_t ends_salt[KAP_LIMIT_SALT_BYTES],
                             kap_span_t sealed, kap_buf_t *open, kap_buf_t *ends)
{
    uint8_t ends_hash[KAP_LIMIT_HASH_BYTES], sealed_hash[KAP_LIMIT_HASH_BYTES];
    size_t open_from = open->size, ends_from = ends->size;
    if (b->err == KAP_OK) {
        check_required(b);
    }
    if (b->err != KAP_OK) {
        return b->err;
    }
    bool has_ends = count_part(b, KAP_PART_ENDS) != 0;
    if (has_ends) {
        kap_buf_append(ends, kap_span(ends_salt, KAP_LIMIT_SALT_BYTES));
        write_part(b, KAP_PART_ENDS, ends);
        kap_part_hash(kap_span_sub(kap_buf_span(ends), ends_from, ends->size), ends_hash);
    }
    if (sealed.size) {
        kap_part_hash(sealed, sealed_hash);
    }
    write_open(b, has_ends ? ends_hash : NULL, sealed.size ? sealed_hash : NULL, open);
    if (open->size - open_from > KAP_LIMIT_OPEN_BYTES ||
        ends->size - ends_from > KAP_LIMIT_ENDS_BYTES || sealed.size > KAP_LIMIT_SEALED_BYTES) {
        fail(b, KAP_F_NONE);
        return b->err;
    }
    return open->err ? open->err : ends->err;
}
