/* SPDX-License-Identifier: MPL-2.0 */
#include "followup.h"

#include <string.h>

#include "clock.h"
#include "err.h"

enum { KEY_FIELDS = 7, SCALE_FIRST = 2, SCALE_LAST = 10 /* as of feedback_given */ };

typedef struct {
    const kap_event_t *ev;
    const kap_followup_facts_t *facts;
    kap_refusal_t *why;
} judging_t;

static int refuse(const judging_t *j, int number, kap_field_t field)
{
    *j->why = (kap_refusal_t){.number = (uint16_t)number, .field = (uint16_t)field};
    return KAP_VERDICT_REFUSED;
}

static kap_span_t span_of(const judging_t *j, kap_field_t field)
{
    return kap_event_span(j->ev, field);
}

static bool has(const judging_t *j, kap_field_t field)
{
    return kap_event_get(j->ev, field) != NULL;
}

kap_span_t kap_followup_member(const kap_event_t *ev)
{
    const uint8_t *slash =
        ev->source.size > 0 ? memchr(ev->source.data, '/', ev->source.size) : NULL;
    return slash ? kap_span(ev->source.data, (size_t)(slash - ev->source.data)) : ev->source;
}

/* --- checks that several types share --- */

/* In the region, as one of its members or its coordinator. */
static int check_region(const judging_t *j)
{
    if (!j->facts->region_known) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_REGION_UNKNOWN, KAP_F_REGION);
    }
    if (!j->facts->in_region && !j->facts->is_coordinator && !j->facts->is_operator) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_REGION, KAP_F_REGION);
    }
    return KAP_VERDICT_ACCEPTED;
}

/* Of itself; the coordinator also of others. An absent field means the publisher. */
static int check_own(const judging_t *j, kap_field_t field)
{
    kap_span_t member = span_of(j, field);
    bool own = kap_span_empty(member) || kap_span_eq(member, j->facts->publisher);
    if (own || j->facts->is_coordinator) {
        return KAP_VERDICT_ACCEPTED;
    }
    return refuse(j, KAP_REFUSAL_NOT_ALLOWED_MEMBER, field);
}

static int check_coordinator(const judging_t *j)
{
    return j->facts->is_coordinator ? KAP_VERDICT_ACCEPTED
                                    : refuse(j, KAP_REFUSAL_NOT_ALLOWED_COORDINATOR, KAP_F_NONE);
}

/* FROM and TO differ and are members; TO may be outside the mesh. */
static int check_edge(const judging_t *j)
{
    if (kap_span_eq(span_of(j, KAP_F_FROM), span_of(j, KAP_F_TO))) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_TO_SELF, KAP_F_TO);
    }
    if (has(j, KAP_F_FROM) && !j->facts->from_known) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_MEMBER, KAP_F_FROM);
    }
    bool external = kap_referral_is_external(span_of(j, KAP_F_TO));
    if (has(j, KAP_F_TO) && !external && !j->facts->to_known) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_TO_UNKNOWN, KAP_F_TO);
    }
    return KAP_VERDICT_ACCEPTED;
}

static int check_count(const judging_t *j)
{
    return kap_event_int(j->ev, KAP_F_COUNT, 0) >= 1
               ? KAP_VERDICT_ACCEPTED
               : refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_COUNT);
}

/* Dates are YYYY-MM-DD and checked: text order is time order. */
static int check_validity(const judging_t *j)
{
    bool both = has(j, KAP_F_VALID_FROM) && has(j, KAP_F_VALID_TO);
    bool turned =
        both && kap_span_cmp(span_of(j, KAP_F_VALID_TO), span_of(j, KAP_F_VALID_FROM)) < 0;
    return turned ? refuse(j, KAP_REFUSAL_MALFORMED_FIELDS_CLASH, KAP_F_VALID_TO)
                  : KAP_VERDICT_ACCEPTED;
}

/* --- the types --- */

static int judge_tally(const judging_t *j)
{
    bool own = kap_span_eq(span_of(j, KAP_F_FROM), j->facts->publisher);
    if (!own && !j->facts->is_coordinator && !j->facts->is_operator) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_MEMBER, KAP_F_FROM);
    }
    return check_edge(j); /* a count of 0 corrects an earlier one */
}

static int judge_customers(const judging_t *j)
{
    if (kap_event_int(j->ev, KAP_F_NEW, 0) > kap_event_int(j->ev, KAP_F_TOTAL, 0)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELDS_CLASH, KAP_F_NEW);
    }
    return check_own(j, KAP_F_MEMBER);
}

static int judge_counted(const judging_t *j)
{
    int verdict = check_count(j);
    return verdict == KAP_VERDICT_ACCEPTED ? check_own(j, KAP_F_MEMBER) : verdict;
}

static int judge_plan_item(const judging_t *j)
{
    int64_t from = kap_event_int(j->ev, KAP_F_YEAR, 0);
    int64_t to = kap_event_int(j->ev, KAP_F_YEAR_TO, from);
    if (to < from || (has(j, KAP_F_YEAR_TO) && !has(j, KAP_F_YEAR))) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELDS_CLASH, KAP_F_YEAR_TO);
    }
    const kap_mp_t *dates = kap_event_node(j->ev, KAP_F_DATES);
    for (uint32_t i = 0; dates && i < dates->count; i++) {
        kap_span_t text;
        kap_date_t date;
        if (!kap_mp_str(kap_mp_item(dates, i), &text) || kap_date_parse(text, &date) != KAP_OK) {
            return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_DATES);
        }
    }
    return KAP_VERDICT_ACCEPTED;
}

static int judge_plan_report(const judging_t *j)
{
    if (!j->facts->item_known) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_ITEM, KAP_F_ITEM);
    }
    bool says =
        has(j, KAP_F_PROGRESS) || has(j, KAP_F_STATUS) || has(j, KAP_F_VALUE) || has(j, KAP_F_TEXT);
    return says ? KAP_VERDICT_ACCEPTED
                : refuse(j, KAP_REFUSAL_MALFORMED_FIELD_MISSING, KAP_F_PROGRESS);
}

/* A decimal as a whole number; false when it is none or has a fraction. */
static bool whole(kap_span_t text, int64_t *value)
{
    const uint8_t *point = text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
    size_t digits = point ? (size_t)(point - text.data) : text.size;
    for (size_t i = digits + 1; i < text.size; i++) {
        if (text.data[i] != '0') {
            return false;
        }
    }
    return kap_span_int(kap_span_sub(text, 0, digits), value);
}

/* From 1 to the scale, fractions of a mean included. */
static bool on_scale(kap_span_t text, int64_t scale)
{
    const uint8_t *point = text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
    int64_t value, digits = point ? point - text.data : (int64_t)text.size;
    if (!kap_span_int(kap_span_sub(text, 0, (size_t)digits), &value)) {
        return false;
    }
    return value >= 1 && (value < scale || (value == scale && whole(text, &value)));
}

/* An answer of the self-evaluation: to one of its questions, in the question's own way. */
static int judge_evaluation(const judging_t *j)
{
    int question = kap_code_parse(KAP_LIST_EVALUATION, span_of(j, KAP_F_QUESTION));
    int64_t value;
    if (question < 0) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_QUESTION);
    }
    if (!kap_evaluation_is_scaled(question)) {
        return has(j, KAP_F_TEXT) ? KAP_VERDICT_ACCEPTED
                                  : refuse(j, KAP_REFUSAL_MALFORMED_FIELD_MISSING, KAP_F_TEXT);
    }
    if (!has(j, KAP_F_VALUE)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_MISSING, KAP_F_VALUE);
    }
    bool good = whole(span_of(j, KAP_F_VALUE), &value) &&
                on_scale(span_of(j, KAP_F_VALUE), KAP_EVALUATION_SCALE);
    return good ? KAP_VERDICT_ACCEPTED : refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_VALUE);
}

static int judge_survey(const judging_t *j)
{
    if (!has(j, KAP_F_VALUE) && !has(j, KAP_F_TEXT)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_MISSING, KAP_F_VALUE);
    }
    int64_t scale = kap_event_int(j->ev, KAP_F_SCALE, 0);
    if (has(j, KAP_F_SCALE) && (scale < SCALE_FIRST || scale > SCALE_LAST)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_SCALE);
    }
    if (scale != 0 && has(j, KAP_F_VALUE) && !on_scale(span_of(j, KAP_F_VALUE), scale)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_VALUE);
    }
    bool own =
        kap_code_parse(KAP_LIST_SURVEY, span_of(j, KAP_F_SURVEY)) == KAP_SURVEY_SELF_EVALUATION;
    return own ? judge_evaluation(j) : KAP_VERDICT_ACCEPTED;
}

/* Times have their target in days, counts and shares as a value. */
static int judge_target(const judging_t *j)
{
    int target = kap_event_code(j->ev, KAP_F_TARGET);
    bool is_time = target == KAP_TARGET_ANSWER || target == KAP_TARGET_CONTACT ||
                   target == KAP_TARGET_COMPLETE || target == KAP_TARGET_LOOP;
    int64_t days = kap_event_int(j->ev, KAP_F_DAYS, 0);
    if (is_time && (days < 1 || days > KAP_FOLLOWUP_DAYS_MAX)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_VALUE, KAP_F_DAYS);
    }
    if (!is_time && !has(j, KAP_F_VALUE)) {
        return refuse(j, KAP_REFUSAL_MALFORMED_FIELD_MISSING, KAP_F_VALUE);
    }
    if (has(j, KAP_F_FROM) && has(j, KAP_F_TO)) {
        int verdict = check_edge(j);
        if (verdict != KAP_VERDICT_ACCEPTED) {
            return verdict;
        }
    }
    return check_coordinator(j);
}

static int judge_agreement(const judging_t *j)
{
    int verdict = check_edge(j);
    return verdict == KAP_VERDICT_ACCEPTED ? check_coordinator(j) : verdict;
}

static int judge_process(const judging_t *j)
{
    kap_span_t owner = kap_span_empty(j->facts->owner) ? span_of(j, KAP_F_OWNER) : j->facts->owner;
    bool own = kap_span_empty(owner) || kap_span_eq(owner, j->facts->publisher);
    return own ? KAP_VERDICT_ACCEPTED : check_coordinator(j);
}

/* A member says of itself whether it takes customers, and what its figures mean; nobody else does.
 */
static int judge_own(const judging_t *j)
{
    if (!kap_span_eq(span_of(j, KAP_F_MEMBER), j->facts->publisher)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_MEMBER, KAP_F_MEMBER);
    }
    if (kap_span_eq(span_of(j, KAP_F_TO), j->facts->publisher)) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_TO_SELF, KAP_F_TO);
    }
    return KAP_VERDICT_ACCEPTED;
}

static int judge_asked(const judging_t *j)
{
    if (!kap_span_eq(span_of(j, KAP_F_FROM), j->facts->publisher)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_MEMBER, KAP_F_FROM);
    }
    if (j->facts->asked) {
        return kap_span_eq(j->facts->publisher, j->facts->asked_by) &&
                       kap_span_eq(span_of(j, KAP_F_TO), j->facts->asked_of)
                   ? KAP_VERDICT_ALREADY_SO
                   : refuse(j, KAP_REFUSAL_ILLEGAL_STATEMENT_EXISTS, KAP_F_STATEMENT);
    }
    return check_edge(j);
}

static int judge_given(const judging_t *j)
{
    if (!j->facts->asked) {
        return refuse(j, KAP_REFUSAL_ILLEGAL_UNKNOWN_STATEMENT, KAP_F_STATEMENT);
    }
    if (!kap_span_eq(j->facts->asked_of, j->facts->publisher)) {
        return refuse(j, KAP_REFUSAL_NOT_ALLOWED_RECIPIENT, KAP_F_STATEMENT);
    }
    return j->facts->given ? refuse(j, KAP_REFUSAL_ILLEGAL_STATEMENT_GIVEN, KAP_F_STATEMENT)
                           : KAP_VERDICT_ACCEPTED;
}

static int judge_type(const judging_t *j)
{
    switch (j->ev->type) {
    case KAP_EV_HANDOVER_TALLIED:
        return judge_tally(j);
    case KAP_EV_ADVICE_GIVEN:
    case KAP_EV_NEW_CUSTOMER:
        return judge_counted(j);
    case KAP_EV_CUSTOMERS_REPORTED:
        return judge_customers(j);
    case KAP_EV_PLAN_ITEM_SET:
        return judge_plan_item(j);
    case KAP_EV_PLAN_ITEM_REPORTED:
        return judge_plan_report(j);
    case KAP_EV_SURVEY_ANSWERED:
        return judge_survey(j);
    case KAP_EV_INDICATOR_REPORTED:
        return KAP_VERDICT_ACCEPTED;
    case KAP_EV_TARGET_SET:
        return judge_target(j);
    case KAP_EV_AGREEMENT_SET:
        return judge_agreement(j);
    case KAP_EV_PROCESS_SET:
        return judge_process(j);
    case KAP_EV_CAPACITY_SET:
    case KAP_EV_DRAIN_SET:
    case KAP_EV_FIGURES_COMMENTED:
        return judge_own(j);
    case KAP_EV_STATEMENT_ASKED:
        return judge_asked(j);
    case KAP_EV_STATEMENT_GIVEN:
        return judge_given(j);
    default:
        return refuse(j, KAP_REFUSAL_MALFORMED_TYPE, KAP_F_NONE);
    }
}

int kap_followup_judge(const kap_event_t *ev, const kap_followup_facts_t *facts, int64_t now,
                       kap_effects_t *fx, kap_refusal_t *why)
{
    judging_t j = {ev, facts, why};
    int verdict = ev->type == KAP_EV_STATEMENT_GIVEN ? KAP_VERDICT_ACCEPTED : check_region(&j);
    if (verdict == KAP_VERDICT_ACCEPTED) {
        verdict = judge_type(&j);
    }
    if (verdict == KAP_VERDICT_ACCEPTED) {
        verdict = check_validity(&j);
    }
    if (verdict == KAP_VERDICT_REFUSED) {
        return verdict;
    }
    int64_t time = ev->time < now ? ev->time : now;
    int64_t recorded = ev->recorded < now ? ev->recorded : now;
    kap_span_t about = kap_event_span(ev, KAP_F_MEMBER);
    bool of_other = !kap_span_empty(about) && !kap_span_eq(about, facts->publisher);
    bool to_member =
        kap_event_get(ev, KAP_F_TO) && !kap_referral_is_external(kap_event_span(ev, KAP_F_TO));
    *fx =
        (kap_effects_t){.timer_kind = KAP_DEADLINE_NONE,
                        .streams = KAP_TELL_REGION | KAP_TELL_FROM | (to_member ? KAP_TELL_TO : 0) |
                                   (of_other ? KAP_TELL_THIRD : 0),
                        .third = of_other ? about : kap_span("", 0),
                        .reported_late = recorded - time > KAP_DAY_MS,
                        .clock_ahead = ev->time > now,
                        .time = time};
    return verdict;
}

/* --- keys --- */

const kap_field_t *kap_followup_key_fields(kap_event_type_t type)
{
    static const struct {
        kap_event_type_t type;
        kap_field_t fields[KEY_FIELDS + 1]; /* ended by KAP_F_NONE */
    } keys[] = {
        {KAP_EV_HANDOVER_TALLIED,
         {KAP_F_REGION, KAP_F_FROM, KAP_F_TO, KAP_F_KIND, KAP_F_SERVICE, KAP_F_SEGMENT,
          KAP_F_PERIOD}},
        {KAP_EV_CUSTOMERS_REPORTED, {KAP_F_REGION, KAP_F_MEMBER, KAP_F_YEAR, KAP_F_SEGMENT}},
        {KAP_EV_PLAN_ITEM_SET, {KAP_F_REGION, KAP_F_ITEM}},
        {KAP_EV_PLAN_ITEM_REPORTED, {KAP_F_REGION, KAP_F_ITEM, KAP_F_PERIOD}},
        {KAP_EV_INDICATOR_REPORTED, {KAP_F_REGION, KAP_F_INDICATOR, KAP_F_PERIOD, KAP_F_SEGMENT}},
        {KAP_EV_TARGET_SET,
         {KAP_F_REGION, KAP_F_TARGET, KAP_F_FROM, KAP_F_TO, KAP_F_SERVICE, KAP_F_FORUM,
          KAP_F_YEAR}},
        {KAP_EV_AGREEMENT_SET, {KAP_F_REGION, KAP_F_FROM, KAP_F_TO, KAP_F_KIND}},
        {KAP_EV_PROCESS_SET, {KAP_F_REGION, KAP_F_PROCESS}},
        {KAP_EV_CAPACITY_SET, {KAP_F_REGION, KAP_F_MEMBER, KAP_F_SERVICE}},
        {KAP_EV_DRAIN_SET, {KAP_F_REGION, KAP_F_MEMBER}},
        {KAP_EV_STATEMENT_ASKED, {KAP_F_STATEMENT}},
        {KAP_EV_STATEMENT_GIVEN, {KAP_F_STATEMENT}},
        {KAP_EV_FIGURES_COMMENTED, {KAP_F_REGION, KAP_F_MEMBER, KAP_F_PERIOD}},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].type == type) {
            return keys[i].fields;
        }
    }
    return NULL;
}

static void put_key_field(const kap_event_t *ev, kap_field_t field, kap_buf_t *buf)
{
    const kap_value_t *value = kap_event_get(ev, field);
    kap_span_t span = kap_span("", 0);
    if (value && value->kind == KAP_VALUE_INT) {
        kap_buf_u16be(buf, 8);
        kap_buf_u64be(buf, (uint64_t)value->i);
        return;
    }
    if (value && value->kind == KAP_VALUE_SPAN) {
        span = value->s;
    } else if (!value && field == KAP_F_MEMBER) {
        span = kap_followup_member(ev);
    }
    kap_buf_u16be(buf, (uint16_t)span.size);
    kap_buf_append(buf, span);
}

void kap_followup_key(const kap_event_t *ev, kap_buf_t *buf)
{
    const kap_field_t *fields = kap_followup_key_fields(ev->type);
    if (!fields) {
        return;
    }
    kap_buf_str(buf, kap_event_type_name(ev->type)); /* names stay, numbers may move */
    for (size_t i = 0; fields[i] != KAP_F_NONE; i++) {
        put_key_field(ev, fields[i], buf);
    }
}

bool kap_followup_key_front(kap_event_type_t type, kap_span_t region, kap_buf_t *buf)
{
    const kap_field_t *fields = kap_followup_key_fields(type);
    if (!fields || fields[0] != KAP_F_REGION) {
        return false;
    }
    kap_buf_str(buf, kap_event_type_name(type));
    kap_buf_u16be(buf, (uint16_t)region.size);
    kap_buf_append(buf, region);
    return true;
}

/* --- what the suggested codes mean --- */

bool kap_evaluation_is_scaled(int question)
{
    return question >= 0 && question <= KAP_EVALUATION_BENEFIT;
}

int kap_indicator_unit(int indicator)
{
    static const int units[KAP_INDICATOR_COUNT] = {
        [KAP_INDICATOR_COMPANIES_FOUNDED] = KAP_UNIT_COMPANIES,
        [KAP_INDICATOR_COMPANIES_CLOSED] = KAP_UNIT_COMPANIES,
        [KAP_INDICATOR_GROWTH_COMPANIES] = KAP_UNIT_COMPANIES,
        [KAP_INDICATOR_DEVELOPMENT_FUNDING] = KAP_UNIT_EUR,
        [KAP_INDICATOR_ADVICE_EVENTS] = KAP_UNIT_EVENTS,
        [KAP_INDICATOR_INVESTMENTS] = KAP_UNIT_EUR,
        [KAP_INDICATOR_JOBLESS] = KAP_UNIT_PERSONS,
        [KAP_INDICATOR_VACANCIES] = KAP_UNIT_VACANCIES,
    };
    return indicator >= 0 && indicator < KAP_INDICATOR_COUNT ? units[indicator] : -1;
}

int kap_channel_way(int channel)
{
    switch (channel) {
    case KAP_CHANNEL_EMAIL:
    case KAP_CHANNEL_VIDEO:
    case KAP_CHANNEL_WEB:
        return KAP_WAY_ELECTRONIC;
    case KAP_CHANNEL_PHONE:
        return KAP_WAY_PHONE;
    case KAP_CHANNEL_MEETING:
    case KAP_CHANNEL_VISIT:
    case KAP_CHANNEL_EVENT:
        return KAP_WAY_MEETING;
    default:
        return KAP_WAY_OTHER;
    }
}

static uint8_t small(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool same_word(kap_span_t text, const char *word)
{
    kap_span_t other = kap_span_str(word);
    bool same = text.size == other.size;
    for (size_t i = 0; same && i < text.size; i++) {
        same = small(text.data[i]) == small(other.data[i]);
    }
    return same;
}

int kap_plan_status(kap_span_t text)
{
    kap_span_t word = kap_span_trim(text);
    for (int code = 0; code < KAP_PLAN_STATUS_COUNT; code++) {
        if (same_word(word, kap_code_name(KAP_LIST_PLAN_STATUS, code))) {
            return code;
        }
        for (int lang = KAP_LANG_FI; lang <= KAP_LANG_EN; lang++) {
            if (same_word(word, kap_code_text(KAP_LIST_PLAN_STATUS, code, (kap_lang_t)lang))) {
                return code;
            }
        }
    }
    return -1;
}

bool kap_plan_reached(int64_t progress, int status)
{
    return status >= 0 ? status == KAP_PLAN_STATUS_REACHED : progress >= 100;
}
