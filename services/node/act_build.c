/* SPDX-License-Identifier: MPL-2.0 */
#include "act_build.h"

#include <stdio.h>
#include <string.h>

#include "act_value.h"
#include "err.h"
#include "idcheck.h"
#include "ids.h"
#include "inbox.h"
#include "mirror.h"

static const struct {
    const char *word;
    kap_event_type_t type;
    kap_field_t reason; /* the field that `reason` means */
} verbs[KAP_ACT_COUNT] = {
#define KAP_ACT(NAME, WORD, EVENT, REASON, HELP) {WORD, KAP_EV_##EVENT, KAP_F_##REASON},
#include "act.def"
#undef KAP_ACT
};

/* -1 when the word names no verb. */
static int verb_parse(kap_span_t word)
{
    for (int i = 0; i < KAP_ACT_COUNT; i++)
        if (kap_span_eq_str(word, verbs[i].word))
            return i;
    return -1;
}

const char *kap_act_verb_word(kap_act_verb_t verb)
{
    return verbs[verb].word;
}

/* --- looking at names and values --- */

/* Text of at most n bytes for a sentence. */
static const char *shown(kap_span_t text, char out[61])
{
    snprintf(out, 61, "%.*s", KAP_SPAN_ARGS(kap_span_sub(text, 0, 60)));
    return out;
}

static int refuse_verb(kap_acting_t *acting)
{
    char words[KAP_ACT_SENTENCE_BYTES] = "", text[61];
    size_t at = 0;
    for (int i = 0; i < KAP_ACT_COUNT && at < sizeof words; i++)
        at += (size_t)snprintf(words + at, sizeof words - at, "%s%s", i ? ", " : "", verbs[i].word);
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_VERB, NULL,
                          shown(acting->act->verb, text), words);
}

/* "advice.given" or the whole type. */
static kap_event_type_t followup_parse(kap_span_t text)
{
    char whole[100];
    kap_event_type_t type = kap_event_type_parse(text);
    if (type == KAP_EV_NONE && text.size < 80) {
        snprintf(whole, sizeof whole, "kapula.%.*s.v1", KAP_SPAN_ARGS(text));
        type = kap_event_type_parse(kap_span_str(whole));
    }
    const kap_event_row_t *row = kap_event_row(type);
    return row && row->family == KAP_FAMILY_FOLLOWUP ? type : KAP_EV_NONE;
}

static int refuse_type(kap_acting_t *acting, kap_span_t given)
{
    char words[KAP_ACT_SENTENCE_BYTES] = "", text[61];
    size_t at = 0;
    for (int i = 1; i < KAP_EVENT_COUNT && at < sizeof words; i++) {
        const kap_event_row_t *row = kap_event_row((kap_event_type_t)i);
        if (row->family != KAP_FAMILY_FOLLOWUP)
            continue;
        size_t front = strlen("kapula."), back = strlen(".v1");
        at += (size_t)snprintf(words + at, sizeof words - at, "%s%.*s", at ? ", " : "",
                               (int)(strlen(row->type) - front - back), row->type + front);
    }
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_TYPE, "type", shown(given, text), words);
}

/* Fields that no one gives as text: the node fills them. */
static bool is_own_field(kap_field_t field)
{
    return field == KAP_F_CUSTOMER || field == KAP_F_NEXT || field == KAP_F_BASIS;
}

static bool is_basis_field(kap_span_t name)
{
    static const char *const names[] = {"basis.disclosure",      "basis.gdpr",
                                        "basis.statute",         "basis.consent_date",
                                        "basis.consent_version", "basis.consent_how"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kap_span_eq_str(name, names[i]))
            return true;
    return false;
}

static bool has_field(kap_event_type_t type, kap_field_t field, unsigned parts)
{
    const kap_event_row_t *row = kap_event_row(type);
    size_t count = (size_t)row->open_count + row->ends_count + row->sealed_count;
    for (size_t i = 0; i < count; i++)
        if (row->fields[i].field == field && (row->fields[i].part & parts))
            return true;
    return false;
}

static bool is_known(const kap_acting_t *acting, kap_event_type_t type, kap_span_t name)
{
    unsigned all = KAP_PART_OPEN | KAP_PART_ENDS | KAP_PART_SEALED;
    if (kap_span_eq_str(name, "reason") && verbs[acting->verb].reason != KAP_F_NONE)
        return true;
    if (is_basis_field(name))
        return has_field(type, KAP_F_BASIS, all);
    if (kap_span_starts(name, KAP_SPAN("sealed."))) {
        name = kap_span_sub(name, 7, name.size);
        all = KAP_PART_SEALED;
    }
    kap_field_t field = kap_field_parse(name);
    return field != KAP_F_NONE && !is_own_field(field) && has_field(type, field, all);
}

static int refuse_name(kap_acting_t *acting, kap_span_t name)
{
    char names[KAP_ACT_SENTENCE_BYTES] = "time", text[61];
    const kap_event_row_t *row = kap_event_row(acting->type);
    size_t count = (size_t)row->open_count + row->ends_count + row->sealed_count;
    size_t at = strlen(names);
    for (size_t i = 0; i < count && at < sizeof names; i++)
        if (!is_own_field(row->fields[i].field))
            at += (size_t)snprintf(names + at, sizeof names - at, ", %s",
                                   kap_field_row(row->fields[i].field)->wire);
    shown(name, text);
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_FIELD, text, text, names);
}

static int look_names(kap_acting_t *acting)
{
    const kap_act_t *act = acting->act;
    char text[61];
    for (size_t i = 0; i < act->count; i++) {
        kap_span_t name = act->fields[i].name;
        if (kap_personal_code_in(act->fields[i].value, NULL) || kap_personal_code_in(name, NULL))
            return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_PERSONAL_ID, shown(name, text));
        for (size_t j = 0; j < i; j++)
            if (kap_span_eq(name, act->fields[j].name))
                return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_TWICE, shown(name, text));
        if (kap_span_eq_str(name, "time") ||
            (acting->verb == KAP_ACT_REPORT && kap_span_eq_str(name, "type")))
            continue;
        bool known = is_known(acting, acting->type, name);
        if (acting->verb == KAP_ACT_REDIRECT && kap_span_starts(name, KAP_SPAN("next.")))
            known = is_known(acting, KAP_EV_REFERRAL_CREATED, kap_span_sub(name, 5, name.size));
        if (!known)
            return refuse_name(acting, name);
    }
    return KAP_OK;
}

static int look_time(kap_acting_t *acting)
{
    kap_span_t text = kap_act_field(acting->act, "", "time");
    char said[61];
    acting->time = acting->work->now_ms;
    if (kap_span_empty(text))
        return KAP_OK;
    if (kap_act_time_parse(text, &acting->time) != KAP_OK)
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_VALUE, "time", shown(text, said),
                              "a time, as 2026-11-21T14:05:00+02:00 or 21.11.2026 14:05");
    if (acting->time > acting->work->now_ms)
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_FUTURE, "time");
    return KAP_OK;
}

int kap_act_look(kap_acting_t *acting)
{
    int verb = verb_parse(acting->act->verb);
    if (verb < 0)
        return refuse_verb(acting);
    acting->verb = (kap_act_verb_t)verb;
    acting->type = verbs[verb].type;
    if (acting->verb == KAP_ACT_REPORT) {
        kap_span_t given = kap_act_field(acting->act, "", "type");
        acting->type = followup_parse(given);
        if (acting->type == KAP_EV_NONE)
            return refuse_type(acting, given);
    }
    int rc = look_names(acting);
    return rc == KAP_OK ? look_time(acting) : rc;
}

/* --- values --- */

/* Text of a field: by its name, or by `reason` where the verb says so. */
static kap_span_t text_of(const kap_acting_t *acting, const char *prefix, kap_field_t field)
{
    kap_span_t text = kap_act_field(acting->act, prefix, kap_field_row(field)->wire);
    if (kap_span_empty(text) && *prefix == '\0' && field != KAP_F_NONE &&
        verbs[acting->verb].reason == field)
        text = kap_act_field(acting->act, "", "reason");
    return text;
}

static int basis_code(kap_acting_t *acting, const char *name, kap_span_t text, kap_code_list_t list,
                      int *code)
{
    char said[61], names[KAP_ACT_SENTENCE_BYTES];
    *code = kap_code_parse(list, text);
    if (*code >= 0 || kap_span_empty(text))
        return KAP_OK;
    kap_act_codes_form(list, names);
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_VALUE, name, shown(text, said), names);
}

static int consent_day(kap_acting_t *acting, kap_span_t *day)
{
    char said[61];
    int rc = kap_act_day_text(day, acting->work->arena);
    if (rc != KAP_E_INVALID)
        return rc;
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_VALUE, "basis.consent_date",
                          shown(*day, said), "a day, as 2026-11-21 or 21.11.2026");
}

/* The basis of its dotted names; nothing is set when none is given. */
static int basis_set(kap_acting_t *acting, kap_draft_t *draft, const char *prefix)
{
    char front[32];
    snprintf(front, sizeof front, "%sbasis.", prefix);
    kap_span_t disclosure = kap_act_field(acting->act, front, "disclosure");
    kap_span_t gdpr = kap_act_field(acting->act, front, "gdpr");
    kap_basis_t *basis = kap_arena_calloc(acting->work->arena, 1, sizeof *basis);
    if (!basis)
        return KAP_E_NOMEM;
    int rc =
        basis_code(acting, "basis.disclosure", disclosure, KAP_LIST_DISCLOSURE, &basis->disclosure);
    if (rc == KAP_OK)
        rc = basis_code(acting, "basis.gdpr", gdpr, KAP_LIST_GDPR, &basis->gdpr);
    if (rc == KAP_OK)
        rc = basis_code(acting, "basis.consent_how",
                        kap_act_field(acting->act, front, "consent_how"), KAP_LIST_CONSENT,
                        &basis->consent_how);
    basis->statute = kap_act_field(acting->act, front, "statute");
    basis->consent_date = kap_act_field(acting->act, front, "consent_date");
    basis->consent_version = kap_act_field(acting->act, front, "consent_version");
    if (rc == KAP_OK && !kap_span_empty(basis->consent_date))
        rc = consent_day(acting, &basis->consent_date);
    if (rc != KAP_OK || (kap_span_empty(disclosure) && kap_span_empty(gdpr)))
        return rc;
    if (kap_span_empty(disclosure) || kap_span_empty(gdpr)) {
        kap_refusal_t why = {.number = KAP_REFUSAL_MALFORMED_BASIS, .field = KAP_F_BASIS};
        return kap_act_refuse_proto(acting->result, &why, NULL);
    }
    kap_event_builder_set_basis(&draft->builder, basis);
    return KAP_OK;
}

/* Every field of the open and ends parts that the act gives; contents come after. */
static int clear_set(kap_acting_t *acting, kap_draft_t *draft, const char *prefix)
{
    const kap_event_row_t *row = kap_event_row(draft->builder.type);
    size_t count = (size_t)row->open_count + row->ends_count;
    for (size_t i = 0; i < count; i++) {
        kap_field_t field = row->fields[i].field;
        if (field == KAP_F_BASIS) {
            int rc = basis_set(acting, draft, prefix);
            if (rc != KAP_OK)
                return rc;
        }
        if (is_own_field(field))
            continue;
        kap_span_t text = text_of(acting, prefix, field);
        if (kap_span_empty(text))
            continue;
        int rc =
            kap_act_value_set(&draft->builder, field, text, acting->work->arena, acting->result);
        if (rc != KAP_OK)
            return rc;
    }
    return KAP_OK;
}

/* Fields of the sealed part; `sealed.` in front of a name that an earlier part has too. */
static int contents_set(kap_acting_t *acting, kap_draft_t *draft, const char *prefix)
{
    const kap_event_row_t *row = kap_event_row(draft->builder.type);
    size_t first = (size_t)row->open_count + row->ends_count;
    char front[32];
    snprintf(front, sizeof front, "%ssealed.", prefix);
    kap_event_builder_contents_begin(&draft->builder);
    for (size_t i = first; i < first + row->sealed_count; i++) {
        kap_field_t field = row->fields[i].field;
        kap_span_t text = kap_act_field(acting->act, front, kap_field_row(field)->wire);
        if (kap_span_empty(text) &&
            !has_field(draft->builder.type, field, KAP_PART_OPEN | KAP_PART_ENDS))
            text = kap_act_field(acting->act, prefix, kap_field_row(field)->wire);
        if (kap_span_empty(text))
            continue;
        int rc =
            kap_act_value_set(&draft->builder, field, text, acting->work->arena, acting->result);
        if (rc != KAP_OK)
            return rc;
    }
    return KAP_OK;
}

static bool has_contents(const kap_draft_t *draft)
{
    for (uint32_t i = 0; i < draft->builder.count; i++)
        if (draft->builder.values[i].part == KAP_PART_SEALED)
            return true;
    return false;
}

/* A decoded value into a builder. */
static void value_copy(kap_event_builder_t *b, const kap_value_t *value)
{
    kap_field_t field = (kap_field_t)value->field;
    switch (value->kind) {
    case KAP_VALUE_SPAN:
        kap_event_builder_set_span(b, field, value->s);
        break;
    case KAP_VALUE_INT:
        if (kap_field_row(field)->type == KAP_TYPE_CODE)
            kap_event_builder_set_code(b, field, (int)value->i);
        else
            kap_event_builder_set_int(b, field, value->i);
        break;
    case KAP_VALUE_BOOL:
        kap_event_builder_set_bool(b, field, value->b);
        break;
    case KAP_VALUE_CODES:
        kap_event_builder_set_codes(b, field, value->mask);
        break;
    case KAP_VALUE_BASIS:
        kap_event_builder_set_basis(b, value->basis);
        break;
    default: /* lists and maps are in no referral */
        break;
    }
}

/* --- what a verb adds --- */

static int new_id(kap_acting_t *acting, kap_span_t *id)
{
    char *text = kap_arena_alloc(acting->work->arena, KAP_UUID_TEXT);
    if (!text)
        return KAP_E_NOMEM;
    kap_uuid_v7_random(acting->work->now_ms, text);
    *id = kap_span_str(text);
    return KAP_OK;
}

/* H(label, secret, year, business id): the same in all nodes of the mesh, another each year. */
static int pseudonym_set(kap_acting_t *acting, kap_draft_t *draft, kap_span_t business_id)
{
    uint8_t *hash = kap_arena_alloc(acting->work->arena, KAP_HASH_BYTES);
    if (!hash)
        return KAP_E_NOMEM;
    char year[8];
    snprintf(year, sizeof year, "%04d", kap_date_of(KAP_ZONE_HELSINKI, acting->work->now_ms).year);
    kap_span_t parts[] = {KAP_SPAN("kapula pseudonym 1"),
                          kap_span(acting->work->node->pseudonym, 32), kap_span_str(year),
                          business_id};
    kap_hash256(hash, parts, sizeof parts / sizeof parts[0]);
    kap_event_builder_set_span(&draft->builder, KAP_F_CUSTOMER, kap_span(hash, KAP_HASH_BYTES));
    return KAP_OK;
}

/* The act's region, the member's only one, or the configured one. */
static int region_find(kap_acting_t *acting, const char *prefix, kap_span_t *region)
{
    kap_node_t *node = acting->work->node;
    const kap_member_t *self = kap_node_self(node);
    const char *configured = kap_conf_str(node->conf, "region");
    *region = kap_act_field(acting->act, prefix, "region");
    if (!kap_span_empty(*region))
        return KAP_OK;
    *region = kap_span_str(configured);
    if (!configured && self->region_count == 1)
        *region = kap_directory_region_at(node->directory, self->regions[0])->id;
    if (!kap_span_empty(*region))
        return KAP_OK;
    char names[200] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < self->region_count && at < sizeof names; i++) {
        const kap_region_t *one = kap_directory_region_at(node->directory, self->regions[i]);
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%.*s", i ? ", " : "",
                               KAP_SPAN_ARGS(one->id));
    }
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_NO_REGION, "region", names);
}

/* The only member that offers the service in the region, or a refusal that lists them. */
static int to_resolve(kap_acting_t *acting, int service, int language, kap_span_t region_id,
                      kap_span_t *to)
{
    kap_node_t *node = acting->work->node;
    kap_act_result_t *result = acting->result;
    const kap_region_t *region = kap_directory_region(node->directory, region_id);
    kap_candidate_t found[16];
    uint32_t count = 0;
    char what[120];
    if (service < 0)
        return kap_act_refuse(result, KAP_ACT_REFUSAL_MISSING, "to",
                              "a member, external:<type>, or a service to find one by");
    snprintf(what, sizeof what, "%s in %.*s", kap_code_name(KAP_LIST_SERVICE, service),
             KAP_SPAN_ARGS(region_id));
    if (region)
        count = kap_directory_candidates(node->directory, service, region, language,
                                         acting->work->now_ms, found, 16);
    const kap_candidate_t *only = NULL;
    for (uint32_t i = 0; i < count && i < 16; i++) {
        if (kap_span_eq_str(found[i].member->id, node->member))
            continue;
        only = &found[i];
        snprintf(result->candidates[result->candidate_count++], sizeof result->candidates[0],
                 "%.*s", KAP_SPAN_ARGS(found[i].member->id));
    }
    if (result->candidate_count == 0)
        return kap_act_refuse(result, KAP_ACT_REFUSAL_NOBODY, "to", what);
    if (result->candidate_count > 1 || only->is_private)
        return kap_act_refuse(result, KAP_ACT_REFUSAL_CHOOSE, "to", what);
    result->candidate_count = 0;
    *to = only->member->id;
    return KAP_OK;
}

static int no_member(kap_acting_t *acting, const char *field, kap_span_t id)
{
    char text[61];
    return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_NO_MEMBER, field, shown(id, text));
}

/* Sealing to a member of the directory, needed when there are contents. */
static int seal_to(kap_acting_t *acting, kap_draft_t *draft, const char *field, kap_span_t id)
{
    kap_node_t *node = acting->work->node;
    char text[61];
    if (kap_span_eq_str(id, node->member) || kap_referral_is_external(id) || !has_contents(draft))
        return KAP_OK;
    const kap_member_t *member = kap_directory_member(node->directory, id);
    if (!member)
        return no_member(acting, field, id);
    int rc = kap_draft_seal_to(draft, member);
    if (rc == KAP_E_NOTFOUND)
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_NO_SEALING_KEY, field,
                              shown(id, text));
    return rc;
}

static void set_if(kap_event_builder_t *b, kap_field_t field, kap_span_t value)
{
    if (!kap_span_empty(value))
        kap_event_builder_set_span(b, field, value);
}

/* What a builder holds already; empty when it does not. */
static kap_span_t span_of(const kap_draft_t *draft, kap_field_t field)
{
    for (uint32_t i = 0; i < draft->builder.count; i++)
        if (draft->builder.values[i].field == field &&
            draft->builder.values[i].kind == KAP_VALUE_SPAN)
            return draft->builder.values[i].s;
    return kap_span(NULL, 0);
}

static int code_of(const kap_draft_t *draft, kap_field_t field)
{
    for (uint32_t i = 0; i < draft->builder.count; i++)
        if (draft->builder.values[i].field == field &&
            draft->builder.values[i].kind == KAP_VALUE_INT)
            return (int)draft->builder.values[i].i;
    return -1;
}

static int finish(kap_acting_t *acting, kap_draft_t *draft, kap_field_t subject)
{
    kap_refusal_t why = {0};
    kap_span_t id = subject == KAP_F_NONE ? kap_span(NULL, 0) : span_of(draft, subject);
    kap_event_builder_set_subject(&draft->builder, id);
    draft->binding = id;
    int rc = kap_draft_finish(acting->work, draft, &why);
    if (rc != KAP_E_INVALID)
        return rc;
    const kap_field_row_t *field = kap_field_row((kap_field_t)why.field);
    bool missing = true;
    for (uint32_t i = 0; field && i < draft->builder.count; i++)
        if (draft->builder.values[i].field == why.field)
            missing = false;
    if (field && missing) {
        char form[KAP_ACT_SENTENCE_BYTES];
        kap_act_value_form((kap_field_t)why.field, form);
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_MISSING, field->wire, form);
    }
    return kap_act_refuse_proto(acting->result, &why, NULL);
}

/* --- created: by refer, or as the child of a redirect --- */

/* What a child takes from its parent where the act says nothing. */
static void child_defaults(kap_draft_t *draft, const kap_event_t *parent, kap_span_t region)
{
    static const kap_field_t taken[] = {KAP_F_KIND,     KAP_F_SERVICE, KAP_F_SEGMENT,
                                        KAP_F_LANGUAGE, KAP_F_BASIS,   KAP_F_SEGMENT_FLAGS,
                                        KAP_F_CASE,     KAP_F_CUSTOMER};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        const kap_value_t *value = kap_event_get(parent, taken[i]);
        if (value)
            value_copy(&draft->builder, value);
    }
    kap_event_builder_set_span(&draft->builder, KAP_F_REGION, region);
    kap_event_builder_set_span(&draft->builder, KAP_F_PARENT,
                               kap_event_span(parent, KAP_F_REFERRAL));
}

static int child_contents(kap_acting_t *acting, kap_draft_t *draft)
{
    const kap_value_t *values;
    uint32_t count;
    if (acting->clear.size == 0)
        return KAP_OK;
    int rc = kap_contents_decode(KAP_EV_REFERRAL_CREATED, kap_buf_span(&acting->clear),
                                 acting->work->arena, &values, &count, NULL);
    if (rc != KAP_OK)
        return rc;
    kap_event_builder_contents_begin(&draft->builder);
    for (uint32_t i = 0; i < count; i++)
        value_copy(&draft->builder, &values[i]);
    return KAP_OK;
}

/* Case, parent and defaults of a referral of refer. */
static int root_defaults(kap_acting_t *acting, kap_draft_t *draft)
{
    kap_event_builder_t *b = &draft->builder;
    kap_span_t case_id, region, parent = kap_act_field(acting->act, "", "parent");
    int rc = region_find(acting, "", &region);
    if (rc == KAP_OK)
        rc = new_id(acting, &case_id);
    if (rc == KAP_OK && !kap_span_empty(parent)) {
        kap_referral_t r;
        if (kap_mirror_referral(acting->work->txn, parent, &r, NULL) == KAP_OK) {
            case_id = kap_arena_dup(acting->work->arena, r.case_id);
            rc = case_id.data ? KAP_OK : KAP_E_NOMEM;
        }
    }
    if (rc != KAP_OK)
        return rc;
    kap_event_builder_set_code(b, KAP_F_KIND, KAP_KIND_TRANSFER);
    kap_event_builder_set_code(b, KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN);
    kap_event_builder_set_span(b, KAP_F_REGION, region);
    kap_event_builder_set_span(b, KAP_F_CASE, case_id);
    return KAP_OK;
}

static int created_build(kap_acting_t *acting, kap_draft_t *draft, const char *prefix,
                         kap_span_t id, const kap_event_t *parent, kap_span_t parent_region)
{
    kap_node_t *node = acting->work->node;
    kap_event_builder_t *b = &draft->builder;
    int rc = KAP_OK;
    if (parent)
        child_defaults(draft, parent, parent_region);
    else
        rc = root_defaults(acting, draft);
    if (rc != KAP_OK)
        return rc;
    kap_event_builder_set_span(b, KAP_F_REFERRAL, id);
    kap_event_builder_set_span(b, KAP_F_FROM, kap_span_str(node->member));
    rc = clear_set(acting, draft, prefix);
    kap_span_t to = span_of(draft, KAP_F_TO);
    if (rc == KAP_OK && kap_span_empty(to)) {
        rc = to_resolve(acting, code_of(draft, KAP_F_SERVICE), code_of(draft, KAP_F_LANGUAGE),
                        span_of(draft, KAP_F_REGION), &to);
        if (rc == KAP_OK)
            kap_event_builder_set_span(b, KAP_F_TO, to);
    }
    if (rc != KAP_OK)
        return rc;
    if (!kap_referral_is_external(to) && !kap_directory_member(node->directory, to))
        return no_member(acting, "to", to);
    kap_span_t business_id = kap_act_field(acting->act, prefix, "business_id");
    if (!kap_span_empty(business_id))
        rc = pseudonym_set(acting, draft, business_id);
    if (rc == KAP_OK && parent)
        rc = child_contents(acting, draft);
    if (rc == KAP_OK)
        rc = contents_set(acting, draft, prefix);
    if (rc == KAP_OK)
        rc = seal_to(acting, draft, "to", to);
    return rc == KAP_OK ? finish(acting, draft, KAP_F_REFERRAL) : rc;
}

static int refer(kap_acting_t *acting, kap_draft_t drafts[KAP_ACT_DRAFTS], uint32_t *count)
{
    kap_span_t id = kap_act_field(acting->act, "", "referral");
    int rc = kap_span_empty(id) ? new_id(acting, &id) : KAP_OK;
    if (rc == KAP_OK)
        rc = kap_draft_begin(acting->work, &drafts[0], KAP_EV_REFERRAL_CREATED, acting->time, 0);
    if (rc == KAP_OK)
        rc = created_build(acting, &drafts[0], "", id, NULL, kap_span(NULL, 0));
    *count = 1;
    return rc;
}

/* --- acts on a referral --- */

/* The referral that the act names, as this node sees it; its ids in the arena. */
static int referral_find(kap_acting_t *acting, kap_span_t *id, kap_span_t *from, kap_span_t *to,
                         kap_span_t *region)
{
    kap_referral_t r;
    char text[61];
    kap_arena_t *arena = acting->work->arena;
    *id = kap_act_field(acting->act, "", "referral");
    if (kap_span_empty(*id))
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_MISSING, "referral",
                              "which referral it is about");
    int rc = kap_mirror_referral(acting->work->txn, *id, &r, NULL);
    if (rc == KAP_E_NOTFOUND)
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_UNKNOWN, "referral", "referral",
                              shown(*id, text));
    if (rc != KAP_OK)
        return rc;
    *from = kap_arena_dup(arena, r.from);
    *to = kap_arena_dup(arena, r.to);
    *region = kap_arena_dup(arena, r.region);
    return from->data && to->data && region->data ? KAP_OK : KAP_E_NOMEM;
}

/* `next` and `group`: of a redirect, else empty. */
static int answer(kap_acting_t *acting, kap_draft_t *draft, kap_event_type_t type, kap_span_t next,
                  kap_span_t group)
{
    kap_span_t id, from, to, region;
    int rc = referral_find(acting, &id, &from, &to, &region);
    if (rc == KAP_OK)
        rc = kap_draft_begin(acting->work, draft, type, acting->time, 0);
    if (rc == KAP_OK)
        rc = clear_set(acting, draft, "");
    if (rc != KAP_OK)
        return rc;
    set_if(&draft->builder, KAP_F_NEXT, next);
    kap_event_builder_set_group(&draft->builder, group);
    rc = contents_set(acting, draft, "");
    if (rc != KAP_OK)
        return rc;
    if (type == KAP_EV_REFERRAL_SHARED)
        rc = seal_to(acting, draft, "with", span_of(draft, KAP_F_WITH));
    else
        rc = seal_to(acting, draft, "referral",
                     kap_span_eq_str(from, acting->work->node->member) ? to : from);
    return rc == KAP_OK ? finish(acting, draft, KAP_F_REFERRAL) : rc;
}

/* Why a referral without contents cannot be handed on: it has ended, or only its sender's and
 * recipient's keys opened it. */
static int without_contents(kap_acting_t *acting, kap_span_t id)
{
    kap_referral_t r;
    kap_refusal_t why = {.number = KAP_REFUSAL_ILLEGAL_ENDED};
    char now[100];
    if (kap_mirror_referral(acting->work->txn, id, &r, NULL) != KAP_OK ||
        !kap_state_is_terminal(r.state))
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_NOT_SHARED, "referral");
    snprintf(now, sizeof now, "it is now: %s", kap_state_name(r.state));
    return kap_act_refuse_proto(acting->result, &why, now);
}

/* Two events, one group: this referral ends, its child begins. */
static int redirect(kap_acting_t *acting, kap_draft_t drafts[KAP_ACT_DRAFTS], uint32_t *count)
{
    kap_span_t id, from, to, region, child, group;
    kap_event_t parent;
    int rc = referral_find(acting, &id, &from, &to, &region);
    if (rc == KAP_OK)
        rc = kap_inbox_contents(acting->work, id, &acting->clear, &parent);
    if (rc == KAP_E_DENIED || rc == KAP_E_CORRUPT || rc == KAP_E_NOTFOUND)
        rc = acting->result->code[0] ? rc : without_contents(acting, id);
    if (rc != KAP_OK)
        return rc;
    child = kap_act_field(acting->act, "next.", "referral");
    rc = kap_span_empty(child) ? new_id(acting, &child) : KAP_OK;
    if (rc == KAP_OK)
        rc = new_id(acting, &group);
    if (rc == KAP_OK)
        rc = answer(acting, &drafts[0], KAP_EV_REFERRAL_REDIRECTED, child, group);
    if (rc == KAP_OK)
        rc = kap_draft_begin(acting->work, &drafts[1], KAP_EV_REFERRAL_CREATED, acting->time, 1);
    if (rc != KAP_OK)
        return rc;
    kap_event_builder_set_group(&drafts[1].builder, group);
    kap_span_t wanted = kap_act_field(acting->act, "next.", "region");
    *count = 2;
    return created_build(acting, &drafts[1], "next.", child, &parent,
                         kap_span_empty(wanted) ? region : wanted);
}

/* --- everything else: one event, by its table --- */

/* The field that identifies what the event is about, and whether the event may make it. */
static kap_field_t subject_of(kap_event_type_t type, bool *makes)
{
    *makes = true;
    switch (type) {
    case KAP_EV_FORUM_SET:
        return KAP_F_FORUM;
    case KAP_EV_MEETING_PLANNED:
    case KAP_EV_MEETING_HELD:
        return KAP_F_MEETING;
    case KAP_EV_ACTION_AGREED:
        return KAP_F_ACTION;
    case KAP_EV_STATEMENT_ASKED:
        return KAP_F_STATEMENT;
    case KAP_EV_PLAN_ITEM_SET:
        return KAP_F_ITEM;
    default:
        break;
    }
    *makes = false;
    switch (type) {
    case KAP_EV_MEETING_MOVED:
    case KAP_EV_MEETING_CANCELLED:
    case KAP_EV_MEETING_ATTENDED:
        return KAP_F_MEETING;
    case KAP_EV_ACTION_DONE:
        return KAP_F_ACTION;
    case KAP_EV_STATEMENT_GIVEN:
        return KAP_F_STATEMENT;
    case KAP_EV_PLAN_ITEM_REPORTED:
        return KAP_F_ITEM;
    default:
        return KAP_F_NONE;
    }
}

static bool is_required(kap_event_type_t type, kap_field_t field)
{
    const kap_event_row_t *row = kap_event_row(type);
    for (size_t i = 0; i < (size_t)row->open_count + row->ends_count; i++)
        if (row->fields[i].field == field)
            return row->fields[i].required;
    return false;
}

/* Values that go without saying: this member, its region, a new id. */
static int record_defaults(kap_acting_t *acting, kap_draft_t *draft, kap_field_t subject,
                           bool makes)
{
    kap_event_builder_t *b = &draft->builder;
    kap_span_t self = kap_span_str(acting->work->node->member);
    kap_span_t id, region;
    kap_meeting_t meeting;
    int rc = KAP_OK;
    bool unplanned =
        acting->type == KAP_EV_MEETING_HELD &&
        kap_mirror_meeting(acting->work->txn, kap_act_field(acting->act, "", "meeting"),
                           &meeting) != KAP_OK;
    if (makes) {
        rc = new_id(acting, &id);
        if (rc == KAP_OK)
            kap_event_builder_set_span(b, subject, id);
    }
    if (rc == KAP_OK && (is_required(acting->type, KAP_F_REGION) || unplanned)) {
        rc = region_find(acting, "", &region);
        if (rc == KAP_OK)
            kap_event_builder_set_span(b, KAP_F_REGION, region);
    }
    if (rc != KAP_OK)
        return rc;
    if (is_required(acting->type, KAP_F_MEMBER))
        kap_event_builder_set_span(b, KAP_F_MEMBER, self);
    if (is_required(acting->type, KAP_F_FROM))
        kap_event_builder_set_span(b, KAP_F_FROM, self);
    if (acting->type == KAP_EV_HANDOVER_TALLIED)
        kap_event_builder_set_code(b, KAP_F_KIND, KAP_KIND_TRANSFER);
    if (acting->type == KAP_EV_MEETING_ATTENDED)
        kap_event_builder_set_code(b, KAP_F_PRESENT, KAP_ATTENDANCE_PRESENT);
    return KAP_OK;
}

static int statement_sealing(kap_acting_t *acting, kap_draft_t *draft)
{
    if (acting->type == KAP_EV_STATEMENT_ASKED)
        return seal_to(acting, draft, "to", span_of(draft, KAP_F_TO));
    kap_span_t id = span_of(draft, KAP_F_STATEMENT), from, to;
    bool given;
    char text[61];
    int rc = id.size > KAP_LIMIT_ID_BYTES || id.size == 0
                 ? KAP_E_NOTFOUND
                 : kap_mirror_statement(acting->work->txn, id, &from, &to, &given);
    if (rc == KAP_E_NOTFOUND)
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_UNKNOWN, "statement", "statement",
                              shown(id, text));
    return rc == KAP_OK ? seal_to(acting, draft, "statement", from) : rc;
}

/* Whom a list names (attendance: member=remote) must be in the directory. */
static int members_known(kap_acting_t *acting, const char *name)
{
    kap_span_t rest = kap_act_field(acting->act, "", name);
    while (rest.size) {
        size_t n = 0, end = 0;
        while (n < rest.size && rest.data[n] != ',' && rest.data[n] != ';')
            n++;
        while (end < n && rest.data[end] != '=')
            end++;
        kap_span_t id = kap_span_trim(kap_span_sub(rest, 0, end));
        if (id.size && !kap_directory_member(acting->work->node->directory, id))
            return no_member(acting, name, id);
        rest = kap_span_sub(rest, n < rest.size ? n + 1 : n, rest.size);
    }
    return KAP_OK;
}

static int record(kap_acting_t *acting, kap_draft_t drafts[KAP_ACT_DRAFTS], uint32_t *count)
{
    bool makes;
    kap_draft_t *draft = &drafts[0];
    kap_field_t subject = subject_of(acting->type, &makes);
    int rc = kap_draft_begin(acting->work, draft, acting->type, acting->time, 0);
    if (rc == KAP_OK)
        rc = record_defaults(acting, draft, subject, makes);
    if (rc == KAP_OK)
        rc = members_known(acting, kap_field_row(KAP_F_MEMBERS)->wire);
    if (rc == KAP_OK)
        rc = members_known(acting, kap_field_row(KAP_F_ATTENDANCE)->wire);
    if (rc == KAP_OK)
        rc = clear_set(acting, draft, "");
    kap_span_t business_id = kap_act_field(acting->act, "", "business_id");
    if (rc == KAP_OK && acting->type == KAP_EV_STATEMENT_ASKED && !kap_span_empty(business_id))
        rc = pseudonym_set(acting, draft, business_id);
    if (rc == KAP_OK)
        rc = contents_set(acting, draft, "");
    if (rc == KAP_OK && kap_event_row(acting->type)->sealed_count)
        rc = statement_sealing(acting, draft);
    *count = 1;
    return rc == KAP_OK ? finish(acting, draft, subject) : rc;
}

int kap_act_build(kap_acting_t *acting, kap_draft_t drafts[KAP_ACT_DRAFTS], uint32_t *count)
{
    if (acting->verb == KAP_ACT_REFER)
        return refer(acting, drafts, count);
    if (acting->verb == KAP_ACT_REDIRECT)
        return redirect(acting, drafts, count);
    if (kap_event_row(acting->type)->family != KAP_FAMILY_REFERRAL)
        return record(acting, drafts, count);
    *count = 1;
    return answer(acting, &drafts[0], acting->type, kap_span(NULL, 0), kap_span(NULL, 0));
}
