/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <jansson.h>

#include "cloudevents.h"
#include "err.h"
#include "sample.h"

#define SCHEMA KAP_TEST_SOURCE_DIR "/../shared/data/cloudevents.json"

static kap_arena_t *arena;
static kap_buf_t open_part, ends_part, json_text;
static kap_event_builder_t b;

static void setup(void)
{
    arena = kap_arena_new(16384);
    kap_buf_init(&open_part);
    kap_buf_init(&ends_part);
    kap_buf_init(&json_text);
}

static void teardown(void)
{
    kap_buf_fini(&open_part);
    kap_buf_fini(&ends_part);
    kap_buf_fini(&json_text);
    kap_arena_destroy(&arena);
}

TestSuite(cloudevents, .init = setup, .fini = teardown);

static json_t *export(bool with_ends)
{
    kap_event_t ev;
    kap_refusal_t why;
    kap_buf_reset(&open_part);
    kap_buf_reset(&ends_part);
    kap_buf_reset(&json_text);
    sample_finish(&b, kap_span(NULL, 0), &open_part, &ends_part);
    cr_assert_eq(kap_event_decode(kap_buf_span(&open_part), kap_buf_span(&ends_part),
                                  kap_span(NULL, 0), arena, &ev, &why),
                 KAP_OK);
    cr_assert_eq(kap_cloudevents_json(&ev, with_ends, &json_text), KAP_OK);
    json_t *event =
        json_loadb((const char *)json_text.data, json_text.size, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(event);
    kap_arena_reset(arena);
    return event;
}

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "(none)";
}

Test(cloudevents, attributes_have_their_cloudevents_form)
{
    sample_begin(&b, KAP_EV_REFERRAL_CREATED);
    b.sequence = INT64_MAX;
    b.recorded = SAMPLE_TIME + 5;
    sample_fill(&b, true);
    kap_event_builder_set_span(&b, KAP_F_CAMPAIGN, KAP_SPAN("\"Harava\" ä\n"));
    json_t *event = export(true);
    cr_expect_str_eq(text_of(event, "specversion"), "1.0");
    cr_expect_str_eq(text_of(event, "id"), SAMPLE_ID);
    cr_expect_str_eq(text_of(event, "source"), SAMPLE_SOURCE);
    cr_expect_str_eq(text_of(event, "sequence"), "9223372036854775807");
    cr_expect_str_eq(text_of(event, "type"), "kapula.referral.created.v1");
    cr_expect_str_eq(text_of(event, "time"), "2025-11-21T19:56:40.123Z");
    cr_expect_str_eq(text_of(event, "recordedtime"), "2025-11-21T19:56:40.128Z");
    cr_expect_str_eq(text_of(event, "datacontenttype"), "application/json");
    const json_t *data = json_object_get(event, "data");
    cr_expect_str_eq(text_of(data, "kind"), "transfer");
    cr_expect_str_eq(text_of(data, "campaign"), "\"Harava\" ä\n");
    cr_expect_eq(strlen(text_of(event, "endshash")), 44);
    cr_expect_eq(text_of(event, "ends")[0], 'o'); /* the salt begins with a0 */
    json_decref(event);
    event = export(false);
    cr_expect_null(json_object_get(event, "ends"));
    cr_expect_not_null(json_object_get(event, "endshash"));
    json_decref(event);
}

Test(cloudevents, bytes_are_padded_base64)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {{"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    for (size_t i = 0; i < 4; i++) {
        sample_begin(&b, KAP_EV_MEMBER_ADMITTED);
        sample_fill(&b, true);
        kap_event_builder_set_span(&b, KAP_F_RECORD, kap_span_str(cases[i].bytes));
        json_t *event = export(false);
        cr_expect_str_eq(text_of(json_object_get(event, "data"), "record"), cases[i].text);
        json_decref(event);
    }
}

Test(cloudevents, what_cannot_be_read_is_not_exported)
{
    kap_event_t ev = {.open = KAP_SPAN("\xdf\x10\x00\x00\x00")};
    cr_expect_eq(kap_cloudevents_json(&ev, true, &json_text), KAP_E_INVALID);
    cr_expect_eq(json_text.size, 0);
}

/* The part of JSON Schema that the CloudEvents schema uses: $ref, type, minLength. */
static bool type_is(const json_t *value, const char *type)
{
    return (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "null") == 0 && json_is_null(value));
}

static bool fits(const json_t *schema, const json_t *definition, const json_t *value)
{
    const char *ref = text_of(definition, "$ref");
    if (strncmp(ref, "#/definitions/", 14) == 0) {
        definition = json_object_get(json_object_get(schema, "definitions"), ref + 14);
    }
    const json_t *type = json_object_get(definition, "type");
    bool ok = json_is_string(type) && type_is(value, json_string_value(type));
    size_t i;
    const json_t *one;
    json_array_foreach(type, i, one)
    {
        ok = ok || type_is(value, json_string_value(one));
    }
    json_int_t least = json_integer_value(json_object_get(definition, "minLength"));
    return ok && (!json_is_string(value) || (json_int_t)json_string_length(value) >= least);
}

Test(cloudevents, every_type_validates_against_the_schema)
{
    json_t *schema = json_load_file(SCHEMA, 0, NULL);
    if (!schema) {
        cr_skip("no CloudEvents schema beside the source tree");
    }
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        sample_begin(&b, (kap_event_type_t)type);
        sample_fill(&b, false);
        json_t *event = export(true);
        size_t i;
        const char *key;
        json_t *value;
        json_array_foreach(json_object_get(schema, "required"), i, value)
        {
            cr_expect_not_null(json_object_get(event, json_string_value(value)));
        }
        json_object_foreach(event, key, value)
        {
            const json_t *definition = json_object_get(json_object_get(schema, "properties"), key);
            cr_expect(!definition || fits(schema, definition, value), "%s", key);
            cr_expect_lt(strlen(key), 21, "%s is a CloudEvents attribute name", key);
            cr_expect_eq(strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789"), strlen(key));
        }
        json_decref(event);
    }
    json_decref(schema);
}
