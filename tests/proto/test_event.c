/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "err.h"
#include "hash.h"
#include "sample.h"

static kap_arena_t *arena;
static kap_buf_t open_part, ends_part;
static kap_event_builder_t b;
static kap_event_t ev;
static kap_refusal_t why;

static const kap_span_t none;

static void setup(void)
{
    arena = kap_arena_new(16384);
    kap_buf_init(&open_part);
    kap_buf_init(&ends_part);
}

static void teardown(void)
{
    kap_buf_fini(&open_part);
    kap_buf_fini(&ends_part);
    kap_arena_destroy(&arena);
}

TestSuite(event, .init = setup, .fini = teardown);

static int decode(kap_span_t sealed)
{
    why = (kap_refusal_t){0};
    return kap_event_decode(kap_buf_span(&open_part), kap_buf_span(&ends_part), sealed, arena, &ev,
                            &why);
}

/* A created event, its parts in open_part and ends_part. */
static void created(kap_span_t sealed)
{
    kap_buf_reset(&open_part);
    kap_buf_reset(&ends_part);
    sample_begin(&b, KAP_EV_REFERRAL_CREATED);
    sample_fill(&b, true);
    sample_finish(&b, sealed, &open_part, &ends_part);
}

/* An open part of our own making: attributes given by `skip` and `change`. */
typedef struct {
    const char *skip;           /* attribute left out */
    const char *change;         /* attribute with another value */
    void (*value)(kap_buf_t *); /* that value */
    void (*data)(kap_buf_t *);  /* the data map; NULL: a delivered event's */
    const char *type;
} form_t;

static void data_delivered(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 1);
    kap_mp_put_cstr(buf, "referral");
    kap_mp_put_cstr(buf, "r1");
}

static void put_usual(kap_buf_t *buf, const char *key, const form_t *form)
{
    if (strcmp(key, "sequence") == 0) {
        kap_mp_put_uint(buf, 1);
    } else if (strcmp(key, "time") == 0) {
        kap_mp_put_int(buf, SAMPLE_TIME);
    } else if (strcmp(key, "specversion") == 0) {
        kap_mp_put_cstr(buf, "1.0");
    } else if (strcmp(key, "type") == 0) {
        kap_mp_put_cstr(buf, form->type ? form->type : "kapula.referral.delivered.v1");
    } else if (strcmp(key, "data") == 0) {
        (form->data ? form->data : data_delivered)(buf);
    } else {
        kap_mp_put_cstr(buf, SAMPLE_ID);
    }
}

static uint16_t decode_form(form_t form)
{
    static const char *const keys[] = {"specversion", "id",   "source", "sequence",
                                       "type",        "time", "data"};
    bool extra = form.change != NULL;
    for (size_t i = 0; extra && i < 7; i++) {
        extra = strcmp(form.change, keys[i]) != 0;
    }
    kap_buf_reset(&open_part);
    kap_buf_reset(&ends_part);
    kap_mp_put_map(&open_part, 7u - (form.skip != NULL) + extra);
    for (size_t i = 0; i < 7; i++) {
        if (form.skip && strcmp(form.skip, keys[i]) == 0) {
            continue;
        }
        kap_mp_put_cstr(&open_part, keys[i]);
        if (form.change && strcmp(form.change, keys[i]) == 0) {
            form.value(&open_part);
        } else {
            put_usual(&open_part, keys[i], &form);
        }
    }
    if (extra) {
        kap_mp_put_cstr(&open_part, form.change);
        form.value(&open_part);
    }
    int rc = decode(none);
    cr_expect_eq(rc == KAP_OK, why.number == 0);
    cr_expect_eq(ev.type == KAP_EV_NONE, rc != KAP_OK);
    return why.number;
}

static void zero(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, 0);
}
static void one(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, 1);
}
static void minus_one(kap_buf_t *buf)
{
    kap_mp_put_int(buf, -1);
}
static void two_32_less_1(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, UINT32_MAX);
}
static void two_32(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, UINT64_C(1) << 32);
}
static void two_32_more_1(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, (UINT64_C(1) << 32) + 1);
}
static void two_63_less_1(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, INT64_MAX);
}
static void two_63(kap_buf_t *buf)
{
    kap_mp_put_uint(buf, UINT64_C(1) << 63);
}
static void nil(kap_buf_t *buf)
{
    kap_mp_put_nil(buf);
}
static void empty_text(kap_buf_t *buf)
{
    kap_mp_put_cstr(buf, "");
}
static void text_n(kap_buf_t *buf, size_t n)
{
    char text[2 * KAP_LIMIT_ID_BYTES];
    memset(text, 'a', sizeof text);
    kap_mp_put_str(buf, kap_span(text, n));
}
static void text_200(kap_buf_t *buf)
{
    text_n(buf, KAP_LIMIT_ID_BYTES);
}
static void text_201(kap_buf_t *buf)
{
    text_n(buf, KAP_LIMIT_ID_BYTES + 1);
}
static void year_1970(kap_buf_t *buf)
{
    kap_mp_put_int(buf, 0);
}
static void year_9999(kap_buf_t *buf)
{
    kap_mp_put_int(buf, KAP_TIME_LAST_MS);
}
static void year_10000(kap_buf_t *buf)
{
    kap_mp_put_int(buf, KAP_TIME_LAST_MS + 1);
}
static void year_1(kap_buf_t *buf)
{
    kap_mp_put_int(buf, KAP_TIME_FIRST_MS);
}
static void year_0(kap_buf_t *buf)
{
    kap_mp_put_int(buf, KAP_TIME_FIRST_MS - 1);
}
static void version_2(kap_buf_t *buf)
{
    kap_mp_put_cstr(buf, "2.0");
}
static void hash_31(kap_buf_t *buf)
{
    uint8_t bytes[31] = {0};
    kap_mp_put_bin(buf, kap_span(bytes, sizeof bytes));
}

Test(event, every_type_is_built_and_decoded_with_every_field)
{
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)type);
        for (int required_only = 0; required_only < 2; required_only++) {
            kap_buf_reset(&open_part);
            kap_buf_reset(&ends_part);
            sample_begin(&b, (kap_event_type_t)type);
            sample_fill(&b, required_only);
            uint32_t set = b.count;
            sample_finish(&b, none, &open_part, &ends_part);
            int rc = decode(none);
            cr_assert_eq(rc, KAP_OK, "%s: %d field %d", row->type, why.number, why.field);
            cr_expect_eq(ev.type, type);
            cr_expect_eq(ev.family, row->family);
            cr_expect_eq(ev.value_count, set);
            for (uint32_t i = 0; i < ev.value_count; i++) {
                const kap_value_t *want = &b.values[i], *have = &ev.values[i];
                cr_expect_eq(have->field, want->field);
                cr_expect_eq(have->part, want->part);
                cr_expect(want->kind != KAP_VALUE_SPAN || kap_span_eq(have->s, want->s));
                cr_expect(want->kind != KAP_VALUE_INT || have->i == want->i);
                cr_expect(want->kind != KAP_VALUE_CODES || have->mask == want->mask);
            }
            kap_arena_reset(arena);
        }
        cr_expect_leq(row->open_count + row->ends_count, KAP_EVENT_VALUES_MAX);
        cr_expect_leq(row->sealed_count, KAP_EVENT_VALUES_MAX);
    }
}

Test(event, the_envelope_is_read)
{
    kap_event_builder_begin(&b, KAP_EV_REFERRAL_DELIVERED, KAP_SPAN("e1"), KAP_SPAN("x/1"), 9, -5,
                            10);
    kap_event_builder_set_subject(&b, KAP_SPAN("subject"));
    kap_event_builder_set_group(&b, KAP_SPAN("g"));
    kap_event_builder_set_correlation(&b, KAP_SPAN("c"));
    kap_event_builder_set_causation(&b, KAP_SPAN("cause"));
    kap_event_builder_set_traceparent(&b, KAP_SPAN("00-1-2-01"));
    kap_event_builder_set_span(&b, KAP_F_REFERRAL, KAP_SPAN("r"));
    sample_finish(&b, none, &open_part, &ends_part);
    cr_assert_eq(decode(none), KAP_OK);
    cr_expect(kap_span_eq_str(ev.id, "e1"));
    cr_expect(kap_span_eq_str(ev.source, "x/1"));
    cr_expect_eq(ev.sequence, 9);
    cr_expect_eq(ev.time, -5);
    cr_expect_eq(ev.recorded, 10);
    cr_expect(kap_span_eq_str(ev.subject, "subject"));
    cr_expect(kap_span_eq_str(ev.group, "g"));
    cr_expect(kap_span_eq_str(ev.correlation, "c"));
    cr_expect(kap_span_eq_str(ev.causation, "cause"));
    cr_expect(kap_span_eq_str(ev.traceparent, "00-1-2-01"));
    cr_expect_not(ev.has_ends);
    uint8_t hash[KAP_LIMIT_HASH_BYTES];
    kap_content_hash(kap_buf_span(&open_part), hash);
    cr_expect_arr_eq(ev.content_hash, hash, sizeof hash);
}

Test(event, recorded_is_time_when_it_is_not_given)
{
    created(none);
    cr_assert_eq(decode(none), KAP_OK);
    cr_expect_eq(ev.recorded, SAMPLE_TIME);
}

Test(event, each_required_attribute_is_missed)
{
    static const char *const keys[] = {"specversion", "id",   "source", "sequence",
                                       "type",        "time", "data"};
    cr_expect_eq(decode_form((form_t){0}), 0);
    for (size_t i = 0; i < 7; i++) {
        cr_expect_eq(decode_form((form_t){.skip = keys[i]}), KAP_REFUSAL_MALFORMED_ATTRIBUTE);
    }
}

Test(event, sequence_is_1_to_2_63_less_1)
{
    const uint16_t bad = KAP_REFUSAL_MALFORMED_ATTRIBUTE;
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = zero}), bad);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = minus_one}), bad);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = two_63}), bad);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = empty_text}), bad);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = one}), 0);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = two_32_less_1}), 0);
    cr_expect_eq(ev.sequence, UINT32_MAX);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = two_32}), 0);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = two_32_more_1}), 0);
    cr_expect_eq(ev.sequence, (UINT64_C(1) << 32) + 1);
    cr_expect_eq(decode_form((form_t){.change = "sequence", .value = two_63_less_1}), 0);
    cr_expect_eq(ev.sequence, INT64_MAX);
}

Test(event, times_are_years_1_to_9999)
{
    const uint16_t bad = KAP_REFUSAL_MALFORMED_ATTRIBUTE;
    cr_expect_eq(decode_form((form_t){.change = "time", .value = year_1970}), 0);
    cr_expect_eq(ev.time, 0);
    cr_expect_eq(decode_form((form_t){.change = "time", .value = minus_one}), 0);
    cr_expect_eq(decode_form((form_t){.change = "time", .value = year_9999}), 0);
    cr_expect_eq(decode_form((form_t){.change = "time", .value = year_10000}), bad);
    cr_expect_eq(decode_form((form_t){.change = "time", .value = year_1}), 0);
    cr_expect_eq(decode_form((form_t){.change = "time", .value = year_0}), bad);
    cr_expect_eq(decode_form((form_t){.change = "time", .value = two_63}), bad);
    cr_expect_eq(decode_form((form_t){.change = "recordedtime", .value = year_10000}), bad);
    cr_expect_eq(decode_form((form_t){.change = "recordedtime", .value = year_9999}), 0);
    cr_expect_eq(ev.recorded, KAP_TIME_LAST_MS);
}

Test(event, ids_are_1_to_200_bytes)
{
    static const char *const ids[] = {"id",          "source",      "subject", "correlationid",
                                      "causationid", "traceparent", "group"};
    const uint16_t bad = KAP_REFUSAL_MALFORMED_ATTRIBUTE;
    for (size_t i = 0; i < 7; i++) {
        cr_expect_eq(decode_form((form_t){.change = ids[i], .value = empty_text}), bad);
        cr_expect_eq(decode_form((form_t){.change = ids[i], .value = text_200}), 0);
        cr_expect_eq(decode_form((form_t){.change = ids[i], .value = text_201}), bad);
        cr_expect_eq(decode_form((form_t){.change = ids[i], .value = one}), bad);
        cr_expect_eq(decode_form((form_t){.change = ids[i], .value = nil}), bad);
    }
}

Test(event, other_attributes_of_wrong_form_are_refused)
{
    cr_expect_eq(decode_form((form_t){.change = "specversion", .value = version_2}),
                 KAP_REFUSAL_MALFORMED_SPECVERSION);
    cr_expect_eq(decode_form((form_t){.change = "endshash", .value = hash_31}),
                 KAP_REFUSAL_MALFORMED_ATTRIBUTE);
    cr_expect_eq(decode_form((form_t){.change = "data", .value = nil}),
                 KAP_REFUSAL_MALFORMED_ATTRIBUTE);
    cr_expect_eq(decode_form((form_t){.type = "kapula.referral.unheard_of.v1"}),
                 KAP_REFUSAL_MALFORMED_TYPE);
    cr_expect_eq(decode_form((form_t){.change = "laterattribute", .value = nil}), 0);
}

static void data_empty(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 0);
}
static void data_type(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 1);
    kap_mp_put_cstr(buf, "referral");
    kap_mp_put_uint(buf, 7);
}
static void data_long(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 1);
    kap_mp_put_cstr(buf, "referral");
    text_201(buf);
}
static void data_code(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, "referral");
    kap_mp_put_cstr(buf, "r1");
    kap_mp_put_cstr(buf, "expect_state");
    kap_mp_put_cstr(buf, "sleeping");
}
static void data_unknown(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, "of_a_later_version");
    kap_mp_put_uint(buf, 1);
    kap_mp_put_cstr(buf, "referral");
    kap_mp_put_cstr(buf, "r1");
}

Test(event, fields_are_checked_by_the_table)
{
    cr_expect_eq(decode_form((form_t){.data = data_empty}), KAP_REFUSAL_MALFORMED_FIELD_MISSING);
    cr_expect_eq(why.field, KAP_F_REFERRAL);
    cr_expect_eq(decode_form((form_t){.data = data_type}), KAP_REFUSAL_MALFORMED_FIELD_TYPE);
    cr_expect_eq(decode_form((form_t){.data = data_long}), KAP_REFUSAL_MALFORMED_FIELD_VALUE);
    cr_expect_eq(decode_form((form_t){.data = data_code}), KAP_REFUSAL_MALFORMED_FIELD_VALUE);
    cr_expect_eq(why.field, KAP_F_EXPECT_STATE);
    cr_expect_eq(decode_form((form_t){.data = data_unknown}), 0);
    cr_expect(kap_span_eq_str(kap_event_span(&ev, KAP_F_REFERRAL), "r1"));
}

static void personal(kap_buf_t *buf)
{
    kap_mp_put_array(buf, 1);
    kap_mp_put_cstr(buf, "hetu 131052-308T");
}
static void data_personal(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, "of_a_later_version");
    personal(buf);
    kap_mp_put_cstr(buf, "referral");
    kap_mp_put_cstr(buf, "r1");
}
static void data_personal_key(kap_buf_t *buf)
{
    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, "131052-308T");
    kap_mp_put_nil(buf);
    kap_mp_put_cstr(buf, "referral");
    kap_mp_put_cstr(buf, "r1");
}

Test(event, a_personal_code_is_refused_in_fields_that_nobody_knows_too)
{
    const uint16_t bad = KAP_REFUSAL_MALFORMED_PERSONAL_ID;
    cr_expect_eq(decode_form((form_t){.change = "laterattribute", .value = personal}), bad);
    cr_expect_eq(decode_form((form_t){.data = data_personal}), bad);
    cr_expect_eq(decode_form((form_t){.data = data_personal_key}), bad);
}

Test(event, hostile_open_parts_are_malformed)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {{"\xdf\x10\x00\x00\x00", 5},
               {"\xdd\xff\x00\x00\x00", 5},
               {"\xc1", 1},
               {"", 0},
               {"\x90", 1},
               {"\x80\xc0", 2},
               {"\x81\xa2id", 4}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int rc =
            kap_event_decode(kap_span(bad[i].bytes, bad[i].size), none, none, arena, &ev, &why);
        uint8_t hash[KAP_LIMIT_HASH_BYTES];
        cr_expect_eq(rc, KAP_E_INVALID);
        cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_ENCODING);
        cr_expect_eq(ev.type, KAP_EV_NONE);
        kap_content_hash(ev.open, hash);
        cr_expect_arr_eq(ev.content_hash, hash, sizeof hash);
    }
}

Test(event, a_key_with_a_nul_inside_is_another_key)
{
    kap_mp_put_map(&open_part, 1);
    kap_mp_put_str(&open_part, KAP_SPAN("id\0zzzzzzzzzzzzzzzzzzzzzzzzzzz"));
    kap_mp_put_nil(&open_part);
    cr_expect_eq(decode(none), KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_ATTRIBUTE);
}

Test(event, parts_are_bound_by_their_hashes)
{
    kap_span_t sealed = KAP_SPAN("0123456789abcdefSEALED");
    created(sealed);
    cr_assert_eq(decode(sealed), KAP_OK);
    cr_expect(ev.has_ends && ev.has_sealed && kap_event_is_whole(&ev));
    cr_expect(kap_span_eq_str(kap_event_span(&ev, KAP_F_CASE), "näyte"));
    cr_expect_eq(decode(KAP_SPAN("0123456789abcdefOTHER!")), KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_PART_HASH);
    ends_part.data[0] ^= 1;
    cr_expect_eq(decode(sealed), KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_PART_HASH);
}

Test(event, a_cut_part_is_no_error_but_the_event_is_not_whole)
{
    kap_span_t sealed = KAP_SPAN("0123456789abcdefSEALED");
    created(sealed);
    kap_buf_reset(&ends_part);
    cr_assert_eq(decode(none), KAP_OK);
    cr_expect(ev.has_ends && ev.has_sealed);
    cr_expect_not(kap_event_is_whole(&ev));
    cr_expect_null(kap_event_get(&ev, KAP_F_CASE));
    cr_expect_not_null(kap_event_get(&ev, KAP_F_REFERRAL));
}

Test(event, a_part_that_nothing_binds_is_refused)
{
    created(none);
    cr_expect_eq(decode(KAP_SPAN("0123456789abcdefSEALED")), KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_PART_UNEXPECTED);
    cr_expect_eq(decode_form((form_t){0}), 0);
    cr_expect_eq(kap_event_decode(kap_buf_span(&open_part), KAP_SPAN("x"), none, arena, &ev, &why),
                 KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_PART_UNEXPECTED);
}

Test(event, oversized_parts_are_refused)
{
    static uint8_t bytes[KAP_LIMIT_SEALED_BYTES + 1];
    kap_span_t open = kap_span(bytes, KAP_LIMIT_OPEN_BYTES + 1);
    cr_expect_eq(kap_event_decode(open, none, none, arena, &ev, &why), KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_TOO_LARGE);
    created(none);
    cr_expect_eq(decode(kap_span(bytes, sizeof bytes)), KAP_E_INVALID);
    cr_expect_eq(why.number, KAP_REFUSAL_MALFORMED_TOO_LARGE);
}

Test(event, no_single_changed_byte_gives_the_same_event)
{
    created(none);
    uint8_t content[KAP_LIMIT_HASH_BYTES];
    cr_assert_eq(decode(none), KAP_OK);
    memcpy(content, ev.content_hash, sizeof content);
    for (size_t i = 0; i < open_part.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            open_part.data[i] ^= (uint8_t)(1 << bit);
            decode(none);
            cr_expect_neq(memcmp(ev.content_hash, content, sizeof content), 0);
            open_part.data[i] ^= (uint8_t)(1 << bit);
            kap_arena_reset(arena);
        }
    }
}

Test(event, no_prefix_of_a_part_decodes)
{
    created(none);
    kap_span_t ends = kap_buf_span(&ends_part);
    for (size_t size = 0; size < open_part.size; size++) {
        cr_expect_eq(kap_event_decode(kap_span(open_part.data, size), ends, none, arena, &ev, &why),
                     KAP_E_INVALID);
    }
    for (size_t size = 1; size < ends.size; size++) {
        cr_expect_eq(kap_event_decode(kap_buf_span(&open_part), kap_span(ends.data, size), none,
                                      arena, &ev, &why),
                     KAP_E_INVALID);
    }
}

Test(event, the_builder_refuses_what_the_decoder_would)
{
    sample_begin(&b, KAP_EV_REFERRAL_DELIVERED);
    kap_event_builder_set_code(&b, KAP_F_OUTCOME, 0); /* not a field of delivered */
    cr_expect_eq(b.err, KAP_E_INVALID);
    cr_expect_eq(b.field, KAP_F_OUTCOME);
    sample_begin(&b, KAP_EV_REFERRAL_COMPLETED);
    kap_event_builder_set_code(&b, KAP_F_OUTCOME, KAP_OUTCOME_COUNT);
    cr_expect_eq(b.err, KAP_E_INVALID);
    sample_begin(&b, KAP_EV_REFERRAL_DELIVERED);
    kap_event_builder_set_span(&b, KAP_F_REFERRAL, KAP_SPAN("\xff"));
    cr_expect_eq(b.err, KAP_E_INVALID);
    sample_begin(&b, KAP_EV_REFERRAL_DELIVERED);
    cr_expect_eq(kap_event_builder_finish(&b, NULL, none, &open_part, &ends_part), KAP_E_INVALID);
    cr_expect_eq(b.field, KAP_F_REFERRAL);
    kap_event_builder_begin(&b, KAP_EV_NONE, KAP_SPAN("i"), KAP_SPAN("s"), 1, 0, 0);
    cr_expect_eq(b.err, KAP_E_INVALID);
    kap_event_builder_begin(&b, KAP_EV_CHECKPOINT, KAP_SPAN("i"), KAP_SPAN("s"), 0, 0, 0);
    cr_expect_eq(b.err, KAP_E_INVALID);
    cr_expect_eq(open_part.size, 0);
}

Test(event, contents_are_built_and_decoded)
{
    const kap_value_t *values;
    uint32_t count;
    kap_buf_t map;
    bool any = true;
    kap_buf_init(&map);
    sample_begin(&b, KAP_EV_REFERRAL_CREATED);
    cr_expect_eq(kap_event_builder_contents(&b, &map, &any), KAP_OK);
    cr_expect_not(any);
    kap_event_builder_contents_begin(&b);
    kap_event_builder_set_span(&b, KAP_F_COMPANY, KAP_SPAN("Esimerkki Oy"));
    kap_event_builder_set_span(&b, KAP_F_BUSINESS_ID, KAP_SPAN("0737546-2"));
    cr_expect_eq(kap_event_builder_contents(&b, &map, &any), KAP_OK);
    cr_expect(any);
    cr_assert_eq(kap_contents_decode(KAP_EV_REFERRAL_CREATED, kap_buf_span(&map), arena, &values,
                                     &count, &why),
                 KAP_OK);
    cr_expect_eq(count, 2);
    cr_expect(kap_span_eq_str(kap_value_find(values, count, KAP_F_COMPANY)->s, "Esimerkki Oy"));
    cr_expect_null(kap_value_find(values, count, KAP_F_NOTE));
    kap_event_builder_set_span(&b, KAP_F_BUSINESS_ID, KAP_SPAN("0737546-3"));
    cr_expect_eq(b.err, KAP_E_INVALID);
    cr_expect_eq(b.field, KAP_F_BUSINESS_ID);
    kap_buf_fini(&map);
}

Test(event, the_basis_says_what_it_needs)
{
    kap_basis_t basis = {.disclosure = KAP_DISCLOSURE_STATUTE,
                         .gdpr = KAP_GDPR_PUBLIC_TASK,
                         .consent_how = -1,
                         .statute = KAP_SPAN("laki julkisesta työvoima- ja yrityspalvelusta")};
    sample_begin(&b, KAP_EV_REFERRAL_CREATED);
    sample_fill(&b, true);
    kap_event_builder_set_basis(&b, &basis);
    sample_finish(&b, none, &open_part, &ends_part);
    cr_assert_eq(decode(none), KAP_OK);
    cr_expect_eq(kap_event_basis(&ev)->disclosure, KAP_DISCLOSURE_STATUTE);
    cr_expect_eq(kap_event_basis(&ev)->consent_how, -1);
    cr_expect(kap_span_eq(kap_event_basis(&ev)->statute, basis.statute));
    basis.statute = none;
    kap_event_builder_set_basis(&b, &basis);
    cr_expect_eq(b.err, KAP_E_INVALID);
    b.err = KAP_OK;
    basis.disclosure = KAP_DISCLOSURE_CUSTOMER_CONSENT;
    kap_event_builder_set_basis(&b, &basis);
    cr_expect_eq(b.err, KAP_E_INVALID);
}

Test(event, text_forms)
{
    cr_expect(kap_text_is(KAP_TYPE_DATE, KAP_SPAN("2024-02-29")));
    cr_expect_not(kap_text_is(KAP_TYPE_DATE, KAP_SPAN("2023-02-29")));
    cr_expect_not(kap_text_is(KAP_TYPE_DATE, KAP_SPAN("1969-12-31")));
    cr_expect(kap_text_is(KAP_TYPE_DATE, KAP_SPAN("1970-01-01")));
    cr_expect(kap_text_is(KAP_TYPE_DATE, KAP_SPAN("9999-12-31")));
    cr_expect(kap_text_is(KAP_TYPE_LOCAL, KAP_SPAN("2026-11-21T23:59")));
    cr_expect_not(kap_text_is(KAP_TYPE_LOCAL, KAP_SPAN("2026-11-21T24:00")));
    cr_expect_not(kap_text_is(KAP_TYPE_LOCAL, KAP_SPAN("2026-11-21 23:59")));
    cr_expect_not(kap_text_is(KAP_TYPE_LOCAL, KAP_SPAN("2026-11-21T23:60")));
    cr_expect(kap_text_is(KAP_TYPE_PERIOD, KAP_SPAN("2026")));
    cr_expect(kap_text_is(KAP_TYPE_PERIOD, KAP_SPAN("2026-12")));
    cr_expect(kap_text_is(KAP_TYPE_PERIOD, KAP_SPAN("2026-12-31")));
    cr_expect_not(kap_text_is(KAP_TYPE_PERIOD, KAP_SPAN("2026-13")));
    cr_expect_not(kap_text_is(KAP_TYPE_PERIOD, KAP_SPAN("2026-")));
    cr_expect(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("0")));
    cr_expect(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("-3.25")));
    cr_expect_not(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("-")));
    cr_expect_not(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("1.")));
    cr_expect_not(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN(".5")));
    cr_expect_not(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("1.2.3")));
    cr_expect_not(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("1e5")));
    cr_expect_not(kap_text_is(KAP_TYPE_DECIMAL, KAP_SPAN("")));
}
