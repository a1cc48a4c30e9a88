/* SPDX-License-Identifier: MPL-2.0 */
/* SPEC.md says what the program does: every table row by row, every vector byte by byte. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"
#include "directory.h"
#include "err.h"
#include "frame.h"
#include "hash.h"
#include "ids.h"
#include "meeting.h"
#include "sample.h"

#define SPEC KAP_TEST_SOURCE_DIR "/proto/SPEC.md"

enum { ROW_BYTES = 4096, VECTOR_BYTES = 4096 };

static char *text; /* the whole paper, ended by NUL */
static kap_arena_t *arena;
static kap_buf_t buf, other;

static void setup(void)
{
    FILE *file = fopen(SPEC, "rb");
    cr_assert_not_null(file);
    kap_buf_init(&buf);
    kap_buf_init(&other);
    arena = kap_arena_new(65536);
    text = calloc(1, 1 << 20);
    cr_assert_gt(fread(text, 1, (1 << 20) - 1, file), 0);
    fclose(file);
}

static void teardown(void)
{
    free(text);
    kap_buf_fini(&buf);
    kap_buf_fini(&other);
    kap_arena_destroy(&arena);
}

TestSuite(spec, .init = setup, .fini = teardown);

/* The text behind a heading line, up to the caller to stop at the next one. */
static const char *section(const char *heading)
{
    char line[200];
    snprintf(line, sizeof line, "\n%s\n", heading);
    const char *at = strstr(text, line);
    cr_assert_not_null(at, "SPEC.md has no heading %s", heading);
    cr_assert_null(strstr(at + 1, line), "SPEC.md has the heading %s twice", heading);
    return at + strlen(line);
}

static const char *line_end(const char *at)
{
    const char *end = strchr(at, '\n');
    return end ? end : at + strlen(at);
}

/* Behind the head and the ruler of the next table. */
static const char *table(const char *heading)
{
    const char *at = section(heading);
    while (*at && strncmp(at, "| --- ", 6) != 0) {
        cr_assert_neq(*at, '#', "no table under %s", heading);
        at = line_end(at) + 1;
    }
    return line_end(at) + 1;
}

/* The next row of the table must be this one. */
__attribute__((format(printf, 2, 3))) static void expect_row(const char **at, const char *format,
                                                             ...)
{
    char row[ROW_BYTES], have[ROW_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(row, sizeof row, format, args);
    va_end(args);
    const char *end = line_end(*at);
    snprintf(have, sizeof have, "%.*s", (int)(end - *at), *at);
    cr_assert_str_eq(have, row, "SPEC.md should say\n%s\nand says\n%s", row, have);
    *at = end + 1;
}

static void expect_end(const char *at)
{
    cr_expect_neq(*at, '|', "SPEC.md has a row too many: %.60s", at);
}

/* "| " and the text, or nothing, so that an empty cell is "| |". */
static void cell(kap_buf_t *row, const char *value)
{
    kap_buf_printf(row, "%s%s |", *value ? " " : "", value);
}

Test(spec, says_the_verbs_limits_types_and_attributes)
{
    const char *at = table("### Verbs");
#define KAP_VERB(NAME, NUMBER, WHAT) expect_row(&at, "| %s | %d | %s |", #NAME, NUMBER, WHAT);
#include "verbs.def"
#undef KAP_VERB
    expect_end(at);
    at = table("## Limits");
#define KAP_LIMIT(NAME, VALUE, UNIT, WHY)                                                          \
    expect_row(&at, "| %s | %ld |%s%s | %s |", #NAME, (long)(VALUE), *UNIT ? " " : "", UNIT, WHY);
#include "limits.def"
#undef KAP_LIMIT
    expect_end(at);
    at = table("### Types");
#define KAP_TYPE(NAME, FORM) expect_row(&at, "| %s | %s |", #NAME, FORM);
#include "types.def"
#undef KAP_TYPE
    expect_end(at);
    at = table("### Attributes");
    for (int i = 0; i < KAP_ATTR_COUNT; i++) {
        kap_attribute_t a = (kap_attribute_t)i;
        expect_row(&at, "| %s | %s | %s |", kap_attribute_wire(a),
                   kap_type_name(kap_attribute_type(a)),
                   kap_attribute_required(a) ? "required" : "optional");
    }
    expect_end(at);
}

Test(spec, says_the_fields)
{
    const char *at = table("### Fields");
    for (int f = KAP_F_NONE + 1; f < KAP_FIELD_COUNT; f++) {
        const kap_field_row_t *row = kap_field_row((kap_field_t)f);
        bool coded = row->list != KAP_LIST_NONE;
        expect_row(&at, "| %s | %s | %s |%s%s |", row->name, row->wire, kap_type_name(row->type),
                   coded ? " " : "", coded ? kap_code_list_name(row->list) : "");
    }
    expect_end(at);
}

static void fields_of(kap_buf_t *row, const kap_event_field_row_t *fields, int count)
{
    kap_buf_t list;
    kap_buf_init(&list);
    for (int i = 0; i < count; i++) {
        const char *mark = fields[i].required ? "**" : "";
        kap_buf_printf(&list, "%s%s%s%s", i ? ", " : "", mark, kap_field_row(fields[i].field)->wire,
                       mark);
    }
    cell(row, kap_buf_cstr(&list));
    kap_buf_fini(&list);
}

Test(spec, says_the_events)
{
    const char *at = table("### Event types");
    for (int e = KAP_EV_NONE + 1; e < KAP_EVENT_COUNT; e++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)e);
        kap_buf_reset(&buf);
        kap_buf_printf(&buf, "| %s | %s |", row->type, kap_family_name(row->family));
        fields_of(&buf, row->fields, row->open_count);
        fields_of(&buf, row->fields + row->open_count, row->ends_count);
        fields_of(&buf, row->fields + row->open_count + row->ends_count, row->sealed_count);
        expect_row(&at, "%s", kap_buf_cstr(&buf));
    }
    expect_end(at);
}

Test(spec, says_the_codes)
{
    const char *at = table("### Codes");
    for (int l = 1; l < KAP_LIST_COUNT; l++) {
        kap_code_list_t list = (kap_code_list_t)l;
        for (int c = 0; c < kap_code_count(list); c++) {
            expect_row(&at, "| %s | %s | %s | %s | %s |", kap_code_list_name(list),
                       kap_code_name(list, c), kap_code_text(list, c, KAP_LANG_FI),
                       kap_code_text(list, c, KAP_LANG_SV), kap_code_text(list, c, KAP_LANG_EN));
        }
    }
    expect_end(at);
}

Test(spec, says_the_refusals)
{
    const char *at = table("## Refusals");
#define KAP_REFUSAL(NAME, NUMBER, CODE, SENTENCE)                                                  \
    expect_row(&at, "| %d | %s | %s |", NUMBER, CODE, SENTENCE);
#include "refusals.def"
#undef KAP_REFUSAL
    expect_end(at);
}

/* "IN_OPEN | IN_EXPIRED" of a .def table as the paper writes it: "OPEN, EXPIRED". */
static const char *set_text(const char *set, char out[200])
{
    size_t n = 0;
    bool first = true;
    while (*set) {
        size_t size = strcspn(set, " |");
        const char *word = strncmp(set, "IN_", 3) == 0 ? set + 3 : set;
        n += (size_t)snprintf(out + n, 200 - n, "%s%.*s", first ? "" : ", ",
                              (int)(set + size - word), word);
        set += size + strspn(set + size, " |");
        first = false;
    }
    return out;
}

Test(spec, says_the_states_and_transitions_of_a_referral)
{
    char from[200], implies[200];
    const char *at = table("### States of a referral");
#define KAP_STATE_CLASS(NAME, CLASS) expect_row(&at, "| %s | %s |", #NAME, #CLASS);
#include "states.def"
#undef KAP_STATE_CLASS
    expect_end(at);
    at = table("### Transitions of a referral");
#define KAP_TRANSITION(EVENT, BY, FROM, TO, MILESTONE, IMPLIES, REPEAT, ANSWER)                    \
    expect_row(&at, "| %s | %s | %s | %s | %s | %s | %s | %s |", #EVENT, #BY,                      \
               set_text(#FROM, from), #TO, #MILESTONE, set_text(#IMPLIES, implies), #REPEAT,       \
               #ANSWER);
#include "transitions.def"
#undef KAP_TRANSITION
    expect_end(at);
}

/* An event of a meeting by the member "m" that would be right in some state. */
static void meeting_event(kap_event_type_t type, kap_event_t *ev)
{
    kap_event_builder_t b;
    kap_buf_reset(&buf);
    kap_buf_reset(&other);
    kap_event_builder_begin(&b, type, KAP_SPAN("e"), KAP_SPAN("m/1"), 1, 2000, 2000);
    kap_event_builder_set_span(&b, KAP_F_MEETING, KAP_SPAN("meeting"));
    if (type == KAP_EV_MEETING_PLANNED || type == KAP_EV_MEETING_HELD) {
        kap_event_builder_set_span(&b, KAP_F_REGION, KAP_SPAN("mikkeli"));
        kap_event_builder_set_span(&b, KAP_F_FORUM_KIND, KAP_SPAN("working_group"));
    }
    if (type == KAP_EV_MEETING_PLANNED || type == KAP_EV_MEETING_MOVED) {
        kap_event_builder_set_int(&b, KAP_F_STARTS_AT, 3000);
    }
    if (type == KAP_EV_MEETING_HELD) {
        kap_event_builder_set_int(&b, KAP_F_TOPICS, 4);
    }
    if (type == KAP_EV_MEETING_ATTENDED) {
        kap_event_builder_set_span(&b, KAP_F_MEMBER, KAP_SPAN("m"));
        kap_event_builder_set_code(&b, KAP_F_PRESENT, KAP_ATTENDANCE_PRESENT);
    }
    sample_finish(&b, kap_span(NULL, 0), &buf, &other);
    cr_assert_eq(kap_event_decode(kap_buf_span(&buf), kap_buf_span(&other), kap_span(NULL, 0),
                                  arena, ev, NULL),
                 KAP_OK);
}

/* The state after the event, or -2 when it is refused. `state` may be KAP_MEETING_NONE. */
static int meeting_after(kap_event_type_t type, int state)
{
    kap_event_t ev;
    kap_meeting_t before, after;
    kap_effects_t fx;
    kap_refusal_t why;
    kap_meeting_facts_t facts = {.publisher = KAP_SPAN("m"),
                                 .is_coordinator = true,
                                 .in_region = true,
                                 .region_known = true};
    meeting_event(type, &ev);
    kap_meeting_init(&before);
    before.state = (int8_t)state;
    before.owner = KAP_SPAN("m");
    before.region = KAP_SPAN("mikkeli");
    before.planned_at = before.first_planned_at = 1000;
    const kap_meeting_t *known = state == KAP_MEETING_NONE ? NULL : &before;
    int verdict = kap_meeting_judge(known, &ev, &facts, 5000, &after, &fx, &why);
    bool accepted = verdict == KAP_VERDICT_ACCEPTED;
    return accepted ? after.state : verdict == KAP_VERDICT_ALREADY_SO ? state : -2;
}

Test(spec, says_the_states_of_a_meeting_as_the_machine_has_them)
{
    static const kap_event_type_t types[] = {KAP_EV_MEETING_PLANNED, KAP_EV_MEETING_MOVED,
                                             KAP_EV_MEETING_CANCELLED, KAP_EV_MEETING_HELD,
                                             KAP_EV_MEETING_ATTENDED};
    const char *at = table("### States of a meeting");
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        char from[200] = "", to[50] = "";
        for (int state = KAP_MEETING_NONE; state < KAP_MEETING_COUNT; state++) {
            int after = meeting_after(types[t], state);
            bool repeated =
                after == state &&
                (state == KAP_MEETING_CANCELLED ||
                 (types[t] != KAP_EV_MEETING_MOVED && types[t] != KAP_EV_MEETING_ATTENDED));
            if (after == -2 || repeated) {
                continue;
            }
            const char *name = kap_code_name(KAP_LIST_MEETING, state);
            size_t n = strlen(from);
            snprintf(from + n, sizeof from - n, "%s%s", n ? ", " : "", name ? name : "none");
            snprintf(to, sizeof to, "%s", kap_code_name(KAP_LIST_MEETING, after));
        }
        bool same = types[t] == KAP_EV_MEETING_ATTENDED;
        expect_row(&at, "| %s | %s | %s |", kap_event_type_name(types[t]), from,
                   same ? "same" : to);
    }
    expect_end(at);
}

Test(spec, names_every_query_in_its_section)
{
    const char *at = table("## QUERY");
    for (int q = 0; q < KAP_QUERY_COUNT; q++) {
        char want[64];
        snprintf(want, sizeof want, "| `%s` |", kap_code_name(KAP_LIST_QUERY, q));
        cr_expect_eq(strncmp(at, want, strlen(want)), 0, "%s, not %.30s", want, at);
        at = line_end(at) + 1;
    }
    expect_end(at);
}

Test(spec, has_one_section_a_message)
{
    section("## PUBLISH");
    section("## RECEIPT");
    section("## FETCH");
    section("## EVENTS");
    section("## QUERY");
    section("## ANSWER");
    section("## ERROR");
    section("## ACT and LOCAL");
}

Test(spec, shows_a_directory_that_parses)
{
    const char *from = strstr(section("## Directory"), "```json\n") + 8;
    const char *to = strstr(from, "```");
    kap_directory_t *dir = NULL;
    int rc = kap_directory_parse(kap_span(from, (size_t)(to - from)), &dir, &buf);
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&buf));
    cr_expect_eq(kap_directory_member_count(dir), 1);
    cr_expect_not_null(kap_directory_region(dir, KAP_SPAN("mikkeli")));
    kap_directory_unref(&dir);
}

/* --- vectors --- */

typedef struct {
    uint8_t bytes[VECTOR_BYTES];
    size_t size;
} vector_t;

static kap_span_t vector(const char *name, vector_t *out)
{
    char heading[100];
    snprintf(heading, sizeof heading, "### %s", name);
    const char *at = strstr(section(heading), "```hex\n");
    cr_assert_not_null(at);
    at += 7;
    out->size = 0;
    while (*at != '`') {
        if (*at != '\n') {
            cr_assert_lt(out->size, sizeof out->bytes);
            cr_assert_eq(kap_hex_decode(kap_span(at, 2), &out->bytes[out->size++], 1), KAP_OK);
            at++;
        }
        at++;
    }
    return kap_span(out->bytes, out->size);
}

static void expect_same(const char *name, kap_span_t bytes)
{
    cr_expect(kap_span_eq(kap_buf_span(&buf), bytes), "%s is not encoded again alike", name);
    kap_buf_reset(&buf);
}

Test(spec, headers_are_decoded_and_encoded_again)
{
    static const char *const names[] = {"header publish", "header fetch", "header signed"};
    vector_t v;
    for (size_t i = 0; i < 3; i++) {
        kap_header_t header;
        kap_span_t bytes = vector(names[i], &v);
        cr_assert_eq(kap_header_decode(bytes, &header, NULL), KAP_OK);
        kap_header_encode(&buf, &header);
        expect_same(names[i], bytes);
    }
}

/* Sets the decoded values of an event in a builder again. */
static void rebuild(const kap_event_t *ev, kap_event_builder_t *b)
{
    kap_event_builder_begin(b, ev->type, ev->id, ev->source, ev->sequence, ev->time, ev->recorded);
    kap_event_builder_set_subject(b, ev->subject);
    kap_event_builder_set_group(b, ev->group);
    kap_event_builder_set_correlation(b, ev->correlation);
    kap_event_builder_set_causation(b, ev->causation);
    for (uint32_t i = 0; i < ev->value_count; i++) {
        b->values[b->count++] = ev->values[i];
    }
}

static void expect_event(const char *open_name, const char *ends_name, const char *sealed_name)
{
    static vector_t open, ends, sealed;
    kap_event_t ev;
    kap_refusal_t why;
    kap_event_builder_t b;
    kap_span_t none = {NULL, 0};
    kap_span_t o = vector(open_name, &open);
    kap_span_t e = ends_name ? vector(ends_name, &ends) : none;
    kap_span_t s = sealed_name ? vector(sealed_name, &sealed) : none;
    cr_assert_eq(kap_event_decode(o, e, s, arena, &ev, &why), KAP_OK, "%s: %d", open_name,
                 why.number);
    rebuild(&ev, &b);
    kap_buf_reset(&other);
    int rc = kap_event_builder_finish(&b, e.size ? e.data : NULL, s, &buf, &other);
    cr_assert_eq(rc, KAP_OK);
    expect_same(open_name, o);
    cr_expect(kap_span_eq(kap_buf_span(&other), e), "%s", open_name);
}

Test(spec, events_are_decoded_and_built_again)
{
    expect_event("event created open", "event created ends", "event created sealed");
    expect_event("event delivered open", NULL, NULL);
    expect_event("event completed open", "event completed ends", NULL);
}

Test(spec, maps_of_messages_are_decoded_and_encoded_again)
{
    vector_t v;
    kap_fetch_t fetch;
    kap_events_head_t head;
    kap_event_meta_t meta;
    kap_receipt_t receipt;
    kap_span_t bytes = vector("fetch", &v);
    cr_assert_eq(kap_fetch_decode(bytes, arena, &fetch, NULL), KAP_OK);
    kap_fetch_encode(&buf, &fetch);
    expect_same("fetch", bytes);
    bytes = vector("events head", &v);
    cr_assert_eq(kap_events_head_decode(bytes, arena, &head, NULL), KAP_OK);
    kap_events_head_encode(&buf, &head);
    expect_same("events head", bytes);
    bytes = vector("meta", &v);
    cr_assert_eq(kap_event_meta_decode(bytes, arena, &meta, NULL), KAP_OK);
    kap_event_meta_encode(&buf, &meta);
    expect_same("meta", bytes);
    static const char *const receipts[] = {"receipt", "receipt busy"};
    for (size_t i = 0; i < 2; i++) {
        bytes = vector(receipts[i], &v);
        cr_assert_eq(kap_receipt_decode(bytes, arena, &receipt, NULL), KAP_OK);
        kap_receipt_encode(&buf, &receipt);
        expect_same(receipts[i], bytes);
    }
}

Test(spec, queries_answers_and_errors_are_decoded_and_encoded_again)
{
    vector_t v;
    kap_query_t query;
    kap_answer_t answer;
    kap_span_t bytes = vector("query", &v);
    cr_assert_eq(kap_query_decode(bytes, arena, &query, NULL), KAP_OK);
    cr_expect_eq(query.query, KAP_QUERY_EDGES);
    kap_query_begin(&buf, "edges", 2);
    kap_mp_put_cstr(&buf, "min_seq");
    kap_mp_put_uint(&buf, query.min_seq);
    kap_mp_put_cstr(&buf, "region");
    kap_mp_put_str(&buf, kap_mp_get_str(query.root, "region"));
    expect_same("query", bytes);
    bytes = vector("answer", &v);
    cr_assert_eq(kap_answer_decode(bytes, arena, &answer, NULL), KAP_OK);
    kap_answer_begin(&buf, answer.as_of_seq, answer.as_of_time, 1);
    kap_mp_put_cstr(&buf, "last");
    kap_mp_put_int(&buf, kap_mp_get_int(answer.root, "last", 0));
    expect_same("answer", bytes);
    bytes = vector("error", &v);
    cr_assert_eq(kap_answer_decode(bytes, arena, &answer, NULL), KAP_OK);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_REQUEST_MESH);
    kap_answer_error(&buf, answer.refusal, NULL);
    expect_same("error", bytes);
}

static void expect_hash(const char **at, const char *what, const uint8_t hash[KAP_LIMIT_HASH_BYTES])
{
    char hex[2 * KAP_LIMIT_HASH_BYTES + 1];
    kap_hex_encode(hash, KAP_LIMIT_HASH_BYTES, hex);
    expect_row(at, "| %s | %s |", what, hex);
}

Test(spec, hashes_of_the_created_event)
{
    static vector_t open, ends, sealed;
    uint8_t content[KAP_LIMIT_HASH_BYTES], e[KAP_LIMIT_HASH_BYTES], s[KAP_LIMIT_HASH_BYTES];
    uint8_t mesh[KAP_LIMIT_HASH_BYTES], epoch[KAP_LIMIT_EPOCH_BYTES],
        three[3][KAP_LIMIT_HASH_BYTES];
    uint8_t root[KAP_LIMIT_HASH_BYTES];
    memset(mesh, 0xab, sizeof mesh);
    memset(epoch, 0xe0, sizeof epoch);
    kap_content_hash(vector("event created open", &open), content);
    kap_part_hash(vector("event created ends", &ends), e);
    kap_part_hash(vector("event created sealed", &sealed), s);
    kap_chain_start(mesh, epoch, three[0]);
    kap_leaf(1763755000500, KAP_VERDICT_ACCEPTED, content, e, s, three[2]);
    kap_chain(three[0], three[2], three[1]);
    const char *at = table("### hashes");
    expect_hash(&at, "content", content);
    expect_hash(&at, "ends", e);
    expect_hash(&at, "sealed", s);
    expect_hash(&at, "leaf", three[2]);
    expect_hash(&at, "chain 0", three[0]);
    expect_hash(&at, "chain 1", three[1]);
    kap_merkle_root(three, 3, root);
    expect_hash(&at, "merkle of chain 0, chain 1, leaf", root);
}
