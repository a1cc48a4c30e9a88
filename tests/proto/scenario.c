/* SPDX-License-Identifier: MPL-2.0 */
#include "scenario.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "mp.h"
#include "world.h"

enum { LINE_BYTES = 4096, WORDS = 64, PARTS_BYTES = 65536, GROUP = 2 };

typedef struct {
    world_t *world;
    const char *path;
    int line;
    kap_buf_t *failure;
    jmp_buf failed;
    kap_span_t words[WORDS];
    int count, at; /* words of the line, and how many are taken */
    uint64_t sequence;
    bool open_verdict; /* an event was published and nothing said yet what became of it */
    int event_line;
    kap_span_t event_id; /* the id that the last event was about */
} run_t;

static _Noreturn void fail(run_t *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static _Noreturn void fail(run_t *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kap_buf_printf(run->failure, "%s:%d: ", run->path, run->line);
    kap_buf_vprintf(run->failure, format, args);
    va_end(args);
    longjmp(run->failed, 1);
}

/* --- words --- */

/* Splits a line at blanks; "..." is one word; # begins a comment. */
static void split(run_t *run, kap_span_t line)
{
    size_t i = 0;
    run->count = 0;
    run->at = 0;
    while (i < line.size) {
        if (line.data[i] == ' ' || line.data[i] == '\t' || line.data[i] == '\r') {
            i++;
            continue;
        }
        if (line.data[i] == '#') {
            return;
        }
        bool quoted = line.data[i] == '"';
        size_t start = i += quoted;
        while (i < line.size && (quoted ? line.data[i] != '"' : line.data[i] != ' ')) {
            i++;
        }
        if (run->count == WORDS) {
            fail(run, "more than %d words", WORDS);
        }
        run->words[run->count++] =
            kap_arena_dup(run->world->arena, kap_span_sub(line, start, i - start));
        i += quoted;
    }
}

static bool more(const run_t *run)
{
    return run->at < run->count;
}

static kap_span_t next(run_t *run)
{
    if (!more(run)) {
        fail(run, "the line ends too early");
    }
    return run->words[run->at++];
}

/* Takes the next word if it is this one. */
static bool take(run_t *run, const char *word)
{
    if (more(run) && kap_span_eq_str(run->words[run->at], word)) {
        run->at++;
        return true;
    }
    return false;
}

static int64_t next_int(run_t *run)
{
    int64_t value = 0;
    kap_span_t word = next(run);
    if (!kap_span_int(word, &value)) {
        fail(run, "\"%.*s\" is no number", KAP_SPAN_ARGS(word));
    }
    return value;
}

static int64_t time_of(run_t *run, kap_span_t word)
{
    char text[64];
    int64_t at = 0;
    bool minutes = word.size == 16; /* 2026-03-02T09:00, local */
    snprintf(text, sizeof(text), "%.*s%s", KAP_SPAN_ARGS(word), minutes ? ":00" : "");
    if (kap_time_parse(kap_span_str(text), KAP_ZONE_HELSINKI, &at, NULL) != KAP_OK) {
        fail(run, "\"%.*s\" is no time; 2026-03-02T09:00 would be right", KAP_SPAN_ARGS(word));
    }
    return at;
}

/* 90s, 2h, 2h30m, 10d (of 24 hours), 500ms */
static int64_t duration_of(run_t *run, kap_span_t word)
{
    int64_t total = 0, number = 0;
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];
        if (c >= '0' && c <= '9') {
            number = number * 10 + (c - '0');
            continue;
        }
        bool ms = c == 'm' && i + 1 < word.size && word.data[i + 1] == 's';
        int64_t unit = ms         ? 1
                       : c == 's' ? KAP_SECOND_MS
                       : c == 'm' ? KAP_MINUTE_MS
                       : c == 'h' ? KAP_HOUR_MS
                       : c == 'd' ? KAP_DAY_MS
                                  : 0;
        if (unit == 0) {
            fail(run, "\"%.*s\" is no duration; 2h30m would be right", KAP_SPAN_ARGS(word));
        }
        total += number * unit;
        number = 0;
        i += ms;
    }
    return total;
}

static kap_date_t date_of(run_t *run)
{
    kap_date_t date;
    kap_span_t word = next(run);
    if (kap_date_parse(word, &date) != KAP_OK) {
        fail(run, "\"%.*s\" is no day; 2026-03-02 would be right", KAP_SPAN_ARGS(word));
    }
    return date;
}

/* --- the world --- */

/* member ID in REGION... [national] [authority] [operator] [organisation BID] [coordinates REGION]
 * [closed DAY DAY] */
static void line_member(run_t *run)
{
    world_t *w = run->world;
    KAP_CHECK(w->member_count < WORLD_MEMBERS);
    world_member_t *m = &w->members[w->member_count++];
    *m = (world_member_t){.id = next(run)};
    while (more(run)) {
        if (take(run, "in")) {
            m->regions[m->region_count++] = next(run);
        } else if (take(run, "coordinates")) {
            m->coordinates[m->coordinate_count++] = next(run);
        } else if (take(run, "national")) {
            m->national = true;
        } else if (take(run, "authority")) {
            m->authority = true;
        } else if (take(run, "operator")) {
            m->is_operator = true;
        } else if (take(run, "organisation")) {
            m->organisation = next(run);
        } else if (take(run, "closed")) {
            kap_closure_t *c = &m->closures[m->closed.count++];
            c->first = date_of(run);
            c->last = date_of(run);
        } else {
            fail(run, "unknown word \"%.*s\"", KAP_SPAN_ARGS(run->words[run->at]));
        }
    }
    m->closed.items = m->closures;
}

/* region ID [answer DAYS] [contact DAYS] [archive] [bench] */
static void line_region(run_t *run)
{
    world_t *w = run->world;
    KAP_CHECK(w->region_count < WORLD_REGIONS);
    world_region_t *r = &w->regions[w->region_count++];
    *r = (world_region_t){.id = next(run)};
    while (more(run)) {
        if (take(run, "answer")) {
            r->answer_days = (uint16_t)next_int(run);
        } else if (take(run, "contact")) {
            r->contact_days = (uint16_t)next_int(run);
        } else if (take(run, "archive")) {
            r->archive = true;
        } else if (take(run, "bench")) {
            r->bench = true;
        } else {
            fail(run, "unknown word \"%.*s\"", KAP_SPAN_ARGS(run->words[run->at]));
        }
    }
}

static void default_world(run_t *run)
{
    static const char *const lines[] = {
        "region mikkeli",
        "region tampere",
        "member municipality in mikkeli authority coordinates mikkeli organisation 0165116-3",
        "member te-office in mikkeli authority",
        "member ely in mikkeli authority",
        "member finnvera national in mikkeli",
        "member partner in mikkeli",
        "member library in mikkeli organisation 0165116-3",
        "member tampere-agency in tampere",
        "member operator operator",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        split(run, kap_span_str(lines[i]));
        if (take(run, "member")) {
            line_member(run);
        } else {
            run->at++;
            line_region(run);
        }
    }
}

/* --- events --- */

typedef struct {
    const char *word;
    kap_event_type_t type;
    kap_field_t id; /* the field that the word behind the verb fills */
} verb_t;

static const verb_t verbs[] = {
    {"creates", KAP_EV_REFERRAL_CREATED, KAP_F_REFERRAL},
    {"delivers", KAP_EV_REFERRAL_DELIVERED, KAP_F_REFERRAL},
    {"accepts", KAP_EV_REFERRAL_ACCEPTED, KAP_F_REFERRAL},
    {"declines", KAP_EV_REFERRAL_DECLINED, KAP_F_REFERRAL},
    {"redirects", KAP_EV_REFERRAL_REDIRECTED, KAP_F_REFERRAL},
    {"contacts", KAP_EV_REFERRAL_CONTACTED, KAP_F_REFERRAL},
    {"reports-came", KAP_EV_REFERRAL_CAME, KAP_F_REFERRAL},
    {"reports-no-show", KAP_EV_REFERRAL_DID_NOT_COME, KAP_F_REFERRAL},
    {"completes", KAP_EV_REFERRAL_COMPLETED, KAP_F_REFERRAL},
    {"withdraws", KAP_EV_REFERRAL_WITHDRAWN, KAP_F_REFERRAL},
    {"holds", KAP_EV_REFERRAL_HELD, KAP_F_REFERRAL},
    {"resumes", KAP_EV_REFERRAL_RESUMED, KAP_F_REFERRAL},
    {"notes", KAP_EV_REFERRAL_NOTED, KAP_F_REFERRAL},
    {"receives-answer", KAP_EV_REFERRAL_ANSWER_RECEIVED, KAP_F_REFERRAL},
    {"expires", KAP_EV_REFERRAL_EXPIRED, KAP_F_REFERRAL},
    {"shares", KAP_EV_REFERRAL_SHARED, KAP_F_REFERRAL},
    {"withdraws-consent", KAP_EV_REFERRAL_CONSENT_WITHDRAWN, KAP_F_REFERRAL},
    {"gives-feedback", KAP_EV_REFERRAL_FEEDBACK_GIVEN, KAP_F_REFERRAL},
    {"voids", KAP_EV_REFERRAL_VOIDED, KAP_F_REFERRAL},
    {"tallies", KAP_EV_HANDOVER_TALLIED, KAP_F_COUNT},
    {"sets-forum", KAP_EV_FORUM_SET, KAP_F_FORUM},
    {"plans-meeting", KAP_EV_MEETING_PLANNED, KAP_F_MEETING},
    {"moves-meeting", KAP_EV_MEETING_MOVED, KAP_F_MEETING},
    {"cancels-meeting", KAP_EV_MEETING_CANCELLED, KAP_F_MEETING},
    {"holds-meeting", KAP_EV_MEETING_HELD, KAP_F_MEETING},
    {"attends-meeting", KAP_EV_MEETING_ATTENDED, KAP_F_MEETING},
    {"agrees-action", KAP_EV_ACTION_AGREED, KAP_F_ACTION},
    {"does-action", KAP_EV_ACTION_DONE, KAP_F_ACTION},
    {"reports-advice", KAP_EV_ADVICE_GIVEN, KAP_F_NONE},
    {"reports-customers", KAP_EV_CUSTOMERS_REPORTED, KAP_F_NONE},
    {"reports-new-customers", KAP_EV_NEW_CUSTOMER, KAP_F_NONE},
    {"sets-plan-item", KAP_EV_PLAN_ITEM_SET, KAP_F_ITEM},
    {"reports-plan-item", KAP_EV_PLAN_ITEM_REPORTED, KAP_F_ITEM},
    {"answers-survey", KAP_EV_SURVEY_ANSWERED, KAP_F_SURVEY},
    {"reports-indicator", KAP_EV_INDICATOR_REPORTED, KAP_F_INDICATOR},
    {"sets-target", KAP_EV_TARGET_SET, KAP_F_TARGET},
    {"sets-agreement", KAP_EV_AGREEMENT_SET, KAP_F_NONE},
    {"sets-process", KAP_EV_PROCESS_SET, KAP_F_PROCESS},
    {"sets-capacity", KAP_EV_CAPACITY_SET, KAP_F_NONE},
    {"sets-drain", KAP_EV_DRAIN_SET, KAP_F_NONE},
    {"asks-statement", KAP_EV_STATEMENT_ASKED, KAP_F_STATEMENT},
    {"gives-statement", KAP_EV_STATEMENT_GIVEN, KAP_F_STATEMENT},
    {"comments", KAP_EV_FIGURES_COMMENTED, KAP_F_PERIOD},
};

static const verb_t *verb_of(kap_span_t word)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (kap_span_eq_str(word, verbs[i].word)) {
            return &verbs[i];
        }
    }
    return NULL;
}

/* The field of a word: the wire name, but `reason` and `result` mean the type's own. */
static kap_field_t field_of(run_t *run, kap_event_type_t type, kap_span_t word)
{
    if (kap_span_eq_str(word, "reason")) {
        switch (type) {
        case KAP_EV_REFERRAL_WITHDRAWN:
            return KAP_F_WITHDRAW_REASON;
        case KAP_EV_REFERRAL_VOIDED:
            return KAP_F_VOID_REASON;
        case KAP_EV_REFERRAL_HELD:
            return KAP_F_HOLD_REASON;
        default:
            return KAP_F_REASON;
        }
    }
    kap_field_t field = kap_field_parse(word);
    if (field == KAP_F_NONE) {
        fail(run, "unknown word \"%.*s\"", KAP_SPAN_ARGS(word));
    }
    return field;
}

/* The items of "a,b,c", encoded. */
static kap_span_t list_of(run_t *run, kap_span_t word)
{
    kap_buf_t buf = {0};
    uint32_t items = 1;
    for (size_t i = 0; i < word.size; i++) {
        items += word.data[i] == ',';
    }
    kap_mp_put_array(&buf, items);
    for (size_t start = 0, i = 0; i <= word.size; i++) {
        if (i == word.size || word.data[i] == ',') {
            kap_mp_put_str(&buf, kap_span_sub(word, start, i - start));
            start = i + 1;
        }
    }
    kap_span_t kept = kap_arena_dup(run->world->arena, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return kept;
}

static uint64_t codes_of(run_t *run, kap_code_list_t list, kap_span_t word)
{
    uint64_t mask = 0;
    for (size_t start = 0, i = 0; i <= word.size; i++) {
        if (i == word.size || word.data[i] == ',') {
            int code = kap_code_parse(list, kap_span_sub(word, start, i - start));
            if (code < 0) {
                fail(run, "\"%.*s\" is not of its list", KAP_SPAN_ARGS(word));
            }
            mask |= UINT64_C(1) << code;
            start = i + 1;
        }
    }
    return mask;
}

static void set_field(run_t *run, kap_event_builder_t *b, kap_field_t field)
{
    const kap_field_row_t *row = kap_field_row(field);
    kap_span_t word = row->type == KAP_TYPE_BOOL ? kap_span("", 0) : next(run);
    int64_t number = 0;
    int code = -1;
    switch (row->type) {
    case KAP_TYPE_BOOL:
        kap_event_builder_set_bool(b, field, !take(run, "no"));
        break;
    case KAP_TYPE_CODE:
        code = kap_code_parse(row->list, word);
        if (code < 0) {
            fail(run, "\"%.*s\" is no %s", KAP_SPAN_ARGS(word), row->wire);
        }
        kap_event_builder_set_code(b, field, code);
        break;
    case KAP_TYPE_CODES:
        kap_event_builder_set_codes(b, field, codes_of(run, row->list, word));
        break;
    case KAP_TYPE_MS:
        kap_event_builder_set_int(b, field, time_of(run, word));
        break;
    case KAP_TYPE_UINT:
    case KAP_TYPE_SEQ:
    case KAP_TYPE_YEAR:
    case KAP_TYPE_PERCENT:
        if (!kap_span_int(word, &number)) {
            fail(run, "\"%.*s\" is no number", KAP_SPAN_ARGS(word));
        }
        kap_event_builder_set_int(b, field, number);
        break;
    case KAP_TYPE_LIST:
        kap_event_builder_set_raw(b, field, list_of(run, word));
        break;
    default:
        kap_event_builder_set_span(b, field, word);
    }
}

static kap_span_t text(run_t *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static kap_span_t text(run_t *run, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    return kap_arena_dup(run->world->arena, kap_span(line, (size_t)size));
}

static void set_basis(kap_event_builder_t *b)
{
    static const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};
    kap_event_builder_set_basis(b, &basis);
}

/* Coded fields that a scenario need not say. */
static const struct {
    kap_field_t field;
    int code;
} default_codes[] = {{KAP_F_KIND, KAP_KIND_TRANSFER},
                     {KAP_F_SERVICE, KAP_SERVICE_STARTUP_ADVICE},
                     {KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN},
                     {KAP_F_REASON, KAP_DECLINE_OTHER},
                     {KAP_F_WITHDRAW_REASON, KAP_WITHDRAW_OTHER},
                     {KAP_F_VOID_REASON, KAP_VOID_OTHER},
                     {KAP_F_HOLD_REASON, KAP_HOLD_OTHER},
                     {KAP_F_CONTACT, KAP_CONTACT_REACHED},
                     {KAP_F_PRESENT, KAP_ATTENDANCE_PRESENT}};

static void set_default_code(kap_event_builder_t *b, kap_field_t field)
{
    for (size_t i = 0; i < sizeof default_codes / sizeof *default_codes; i++) {
        if (default_codes[i].field == field) {
            kap_event_builder_set_code(b, field, default_codes[i].code);
        }
    }
}

/* What a scenario need not say. */
static void set_defaults(run_t *run, kap_event_builder_t *b, kap_span_t who, kap_span_t id)
{
    const world_member_t *m = world_member(run->world, who);
    kap_span_t region = m && m->region_count > 0 ? m->regions[0] : KAP_SPAN("mikkeli");
    const kap_event_row_t *row = kap_event_row(b->type);
    for (uint16_t i = 0; i < row->open_count + row->ends_count; i++) {
        const kap_event_field_row_t *f = &row->fields[i];
        if (!f->required) {
            continue;
        }
        switch (f->field) {
        case KAP_F_REGION:
            kap_event_builder_set_span(b, KAP_F_REGION, region);
            break;
        case KAP_F_FROM:
        case KAP_F_MEMBER:
            kap_event_builder_set_span(b, f->field, who);
            break;
        case KAP_F_CASE:
            kap_event_builder_set_span(b, KAP_F_CASE, text(run, "case-%.*s", KAP_SPAN_ARGS(id)));
            break;
        case KAP_F_FORUM_KIND:
            kap_event_builder_set_span(b, f->field, KAP_SPAN("working_group"));
            break;
        case KAP_F_BASIS:
            set_basis(b);
            break;
        default:
            set_default_code(b, f->field);
            break;
        }
    }
    if (b->type == KAP_EV_REFERRAL_CREATED) {
        set_basis(b);
    }
}

static void begin(run_t *run, kap_event_builder_t *b, kap_event_type_t type, kap_span_t who)
{
    uint64_t sequence = ++run->sequence;
    kap_event_builder_begin(b, type, text(run, "event-%" PRIu64, sequence),
                            text(run, "%.*s/0011223344556677", KAP_SPAN_ARGS(who)), sequence,
                            run->world->now, run->world->now);
}

static void finish(run_t *run, kap_event_builder_t *b, kap_event_t *ev)
{
    static const uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1};
    kap_buf_t open = {0}, ends = {0};
    kap_arena_t *arena = run->world->arena;
    int rc = kap_event_builder_finish(b, salt, kap_span("", 0), &open, &ends);
    if (rc != KAP_OK) {
        const kap_field_row_t *row = kap_field_row(b->field);
        fail(run, "the event cannot be built: %s is missing, wrong or not of this event",
             row ? row->wire : "a field");
    }
    kap_span_t open_bytes = kap_arena_dup(arena, kap_buf_span(&open));
    kap_span_t ends_bytes = kap_arena_dup(arena, kap_buf_span(&ends));
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    rc = kap_event_decode(open_bytes, ends_bytes, kap_span("", 0), arena, ev, NULL);
    KAP_CHECK(rc == KAP_OK || rc == KAP_E_INVALID);
}

/* The child of a redirect takes what it is not told from the one redirected. */
static void child_of(run_t *run, kap_event_builder_t *b, kap_span_t who, kap_span_t parent,
                     kap_span_t child)
{
    kap_referral_t r;
    kap_referral_init(&r);
    world_referral(run->world, parent, &r);
    begin(run, b, KAP_EV_REFERRAL_CREATED, who);
    set_defaults(run, b, who, child);
    kap_event_builder_set_span(b, KAP_F_REFERRAL, child);
    kap_event_builder_set_span(b, KAP_F_PARENT, parent);
    if (r.state != KAP_STATE_NONE) {
        kap_event_builder_set_span(b, KAP_F_CASE, r.case_id);
        kap_event_builder_set_span(b, KAP_F_REGION, r.region);
        kap_event_builder_set_code(b, KAP_F_KIND, r.kind);
        kap_event_builder_set_code(b, KAP_F_SERVICE, r.service);
    }
}

/* Words behind an id: `field value`, or one of time, recorded, expecting, without-basis. */
static void read_fields(run_t *run, kap_event_builder_t *b)
{
    while (more(run)) {
        if (take(run, "time")) {
            b->time = time_of(run, next(run));
        } else if (take(run, "recorded")) {
            b->recorded = time_of(run, next(run));
        } else if (take(run, "without-basis")) {
            for (uint32_t i = 0; i < b->count; i++) {
                if (b->values[i].field == KAP_F_BASIS) {
                    b->values[i] = b->values[--b->count];
                }
            }
        } else if (take(run, "expecting")) {
            int state = kap_code_parse(KAP_LIST_STATE, next(run));
            kap_event_builder_set_code(b, KAP_F_EXPECT_STATE, state);
        } else {
            set_field(run, b, field_of(run, b->type, next(run)));
        }
    }
}

/* WHO redirects R1 as R2 to WHOM ...: the redirect and its child as one group, or with
 * `alone` the redirect without it; `reason CODE` is the redirect's, the rest the child's. */
static void line_redirect(run_t *run, kap_span_t who, kap_event_builder_t *b, kap_span_t id)
{
    kap_event_builder_t child;
    kap_event_t events[GROUP];
    kap_span_t next_id = kap_span("", 0);
    bool alone = false;
    child_of(run, &child, who, id, KAP_SPAN("none"));
    int kept = run->at;
    for (int i = run->at; i < run->count; i++) { /* words of the redirect leave the line */
        if (kap_span_eq_str(run->words[i], "alone")) {
            alone = true;
        } else if (i + 1 == run->count) {
            run->words[kept++] = run->words[i];
        } else if (kap_span_eq_str(run->words[i], "reason")) {
            int reason = kap_code_parse(KAP_LIST_DECLINE, run->words[++i]);
            kap_event_builder_set_code(b, KAP_F_REASON, reason);
        } else if (kap_span_eq_str(run->words[i], "expecting")) {
            int state = kap_code_parse(KAP_LIST_STATE, run->words[++i]);
            kap_event_builder_set_code(b, KAP_F_EXPECT_STATE, state);
        } else if (kap_span_eq_str(run->words[i], "time")) {
            b->time = child.time = time_of(run, run->words[++i]);
        } else if (kap_span_eq_str(run->words[i], "as")) {
            next_id = run->words[++i];
        } else {
            run->words[kept++] = run->words[i];
        }
    }
    run->count = kept;
    kap_event_builder_set_span(b, KAP_F_NEXT, next_id);
    kap_event_builder_set_span(&child, KAP_F_REFERRAL, next_id);
    kap_span_t group = text(run, "group-%" PRIu64, run->sequence);
    kap_event_builder_set_group(b, group);
    kap_event_builder_set_group(&child, group);
    finish(run, b, &events[0]);
    if (!alone) {
        read_fields(run, &child);
        finish(run, &child, &events[1]);
    }
    world_publish(run->world, who, events, alone ? 1 : 2);
}

/* The broker says which deadline, and when it was. */
static void expire_fields(run_t *run, kap_event_builder_t *b, kap_span_t id)
{
    kap_referral_t r;
    kap_referral_init(&r);
    world_referral(run->world, id, &r);
    bool has = r.due_kind != KAP_DEADLINE_NONE;
    kap_event_builder_set_code(b, KAP_F_DEADLINE, has ? r.due_kind : KAP_DEADLINE_ANSWER);
    kap_event_builder_set_int(b, KAP_F_DEADLINE_AT, has ? r.due_at : run->world->now);
}

/* --- expectations --- */

static const char *verdict_text(const run_t *run)
{
    const char *code = kap_refusal_code(run->world->why.number);
    return run->world->verdict == KAP_VERDICT_REFUSED
               ? (code ? code : "?")
               : kap_code_name(KAP_LIST_VERDICT, run->world->verdict);
}

/* An event that no line says more about must have been accepted. */
static void close_verdict(run_t *run)
{
    if (run->open_verdict && run->world->verdict != KAP_VERDICT_ACCEPTED) {
        run->line = run->event_line;
        fail(run, "accepted was expected, it is %s", verdict_text(run));
    }
    run->open_verdict = false;
}

static void line_verdict(run_t *run, int verdict)
{
    kap_span_t code = verdict == KAP_VERDICT_REFUSED ? next(run) : kap_span("", 0);
    bool same = run->world->verdict == verdict;
    if (verdict == KAP_VERDICT_REFUSED && kap_refusal_parse(code) == KAP_REFUSAL_NONE) {
        fail(run, "there is no refusal \"%.*s\"", KAP_SPAN_ARGS(code));
    }
    if (!run->open_verdict) {
        fail(run, "this line must stand right behind an event");
    }
    if (same && verdict == KAP_VERDICT_REFUSED) {
        same = kap_refusal_parse(code) == run->world->why.number;
    }
    if (!same) {
        fail(run, "%.*s was expected, it is %s", KAP_SPAN_ARGS(run->words[0]), verdict_text(run));
    }
    run->open_verdict = false;
}

static void check_int(run_t *run, const char *what, int64_t expected, int64_t found)
{
    if (expected != found) {
        fail(run, "%s %" PRId64 " was expected, it is %" PRId64, what, expected, found);
    }
}

typedef struct {
    const char *name;
    int64_t value;
} fact_t;

/* `name number` up to the end of the line. */
static void check_facts(run_t *run, const fact_t *facts, size_t n)
{
    while (more(run)) {
        kap_span_t what = next(run);
        size_t i = 0;
        while (i < n && !kap_span_eq_str(what, facts[i].name)) {
            i++;
        }
        if (i == n) {
            fail(run, "nothing is called \"%.*s\" here", KAP_SPAN_ARGS(what));
        }
        check_int(run, facts[i].name, next_int(run), facts[i].value);
    }
}

#define CHECK_FACTS(run, facts) check_facts(run, facts, sizeof(facts) / sizeof((facts)[0]))

static void get_referral(run_t *run, kap_span_t id, kap_referral_t *r)
{
    kap_referral_init(r);
    world_referral(run->world, id, r);
}

static void line_state(run_t *run)
{
    kap_referral_t r;
    get_referral(run, next(run), &r);
    kap_span_t state = next(run);
    if (!kap_span_eq_str(state, kap_state_name(r.state))) {
        fail(run, "state %.*s was expected, it is %s", KAP_SPAN_ARGS(state),
             kap_state_name(r.state));
    }
}

static bool has_flag(run_t *run, const kap_referral_t *r, kap_span_t name)
{
    static const struct {
        const char *name;
        uint32_t flag;
        uint8_t implied, clamped;
    } flags[] = {
        {"external", KAP_RF_EXTERNAL, 0, 0},
        {"internal", KAP_RF_INTERNAL, 0, 0},
        {"archive", KAP_RF_ARCHIVE, 0, 0},
        {"warm", KAP_RF_WARM, 0, 0},
        {"return_expected", KAP_RF_RETURN_EXPECTED, 0, 0},
        {"on_hold", KAP_RF_ON_HOLD, 0, 0},
        {"withdraw_requested", KAP_RF_WITHDRAW_REQUESTED, 0, 0},
        {"withdrawn_by_recipient", KAP_RF_WITHDRAWN_BY_RECIPIENT, 0, 0},
        {"did_not_come", KAP_RF_DID_NOT_COME, 0, 0},
        {"came", KAP_RF_CAME, 0, 0},
        {"consent_withdrawn", KAP_RF_CONSENT_WITHDRAWN, 0, 0},
        {"shared", KAP_RF_SHARED, 0, 0},
        {"late", KAP_RF_LATE, 0, 0},
        {"contact_late", KAP_RF_CONTACT_LATE, 0, 0},
        {"clock_ahead", KAP_RF_CLOCK_AHEAD, 0, 0},
        {"reopens", KAP_RF_REOPENS, 0, 0},
        {"backed_out", KAP_RF_BACKED_OUT, 0, 0},
        {"voided_by_operator", KAP_RF_VOIDED_BY_OPERATOR, 0, 0},
        {"feedback", KAP_RF_FEEDBACK, 0, 0},
        {"meeting", KAP_RF_MEETING, 0, 0},
        {"implied-delivered", 0, KAP_MILESTONE_DELIVERED, 0},
        {"implied-accepted", 0, KAP_MILESTONE_ACCEPTED, 0},
        {"implied-contact", 0, KAP_MILESTONE_CONTACT, 0},
        {"clamped-accept", 0, 0, KAP_MILESTONE_ACCEPTED},
        {"clamped-contact", 0, 0, KAP_MILESTONE_CONTACT},
        {"clamped-end", 0, 0, KAP_MILESTONE_ENDED},
        {"clamped-customer", 0, 0, KAP_MILESTONE_CUSTOMER},
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (kap_span_eq_str(name, flags[i].name)) {
            return (r->flags & flags[i].flag) || (r->implied & flags[i].implied) ||
                   (r->clamped & flags[i].clamped);
        }
    }
    fail(run, "there is no flag \"%.*s\"", KAP_SPAN_ARGS(name));
}

static void line_flags(run_t *run, bool expected)
{
    kap_referral_t r;
    get_referral(run, next(run), &r);
    while (more(run)) {
        kap_span_t name = next(run);
        if (has_flag(run, &r, name) != expected) {
            fail(run, "the flag %.*s was %sexpected", KAP_SPAN_ARGS(name), expected ? "" : "not ");
        }
    }
}

static void line_deadline(run_t *run)
{
    kap_span_t id = next(run), kind = next(run);
    const world_row_t *row = world_row(run->world, ROW_REFERRAL, id);
    int64_t found = row ? row->timer_at : KAP_REFERRAL_NO_TIME;
    char is[KAP_TIME_TEXT];
    kap_time_format_local(found, is);
    if (kap_span_eq_str(kind, "none")) {
        if (found != KAP_REFERRAL_NO_TIME) {
            fail(run, "no deadline was expected, it is %s", is);
        }
        return;
    }
    int64_t expected = time_of(run, next(run));
    if (found == KAP_REFERRAL_NO_TIME) {
        fail(run, "a deadline was expected, there is none");
    }
    const char *name = kap_code_name(KAP_LIST_DEADLINE, row->timer_kind);
    if (expected != found || !kap_span_eq_str(kind, name)) {
        fail(run, "another deadline was expected, it is %s %s", name, is);
    }
}

static void line_news(run_t *run)
{
    kap_referral_t r;
    char is[KAP_TIME_TEXT];
    get_referral(run, next(run), &r);
    kap_time_format_local(r.news_at, is);
    if (time_of(run, next(run)) != r.news_at) {
        fail(run, "the latest news are of %s", is);
    }
}

static void line_times(run_t *run)
{
    kap_referral_t r;
    get_referral(run, next(run), &r);
    kap_span_t which = next(run);
    const world_member_t *recipient = world_member(run->world, r.to);
    const kap_spent_t waited =
        kap_referral_waited(&r, recipient ? &recipient->closed : NULL, run->world->now);
    const kap_spent_t *spent = kap_span_eq_str(which, "to_accept")    ? &r.to_accept
                               : kap_span_eq_str(which, "to_contact") ? &r.to_contact
                               : kap_span_eq_str(which, "to_end")     ? &r.to_end
                               : kap_span_eq_str(which, "to_give_up") ? &r.to_give_up
                               : kap_span_eq_str(which, "customer")   ? &r.customer_to_accept
                               : kap_span_eq_str(which, "waited")     ? &waited
                                                                      : NULL;
    if (!spent) {
        fail(run, "to_accept, to_contact, to_end, to_give_up, customer or waited would be right");
    }
    if (take(run, "none")) {
        check_int(run, "working ms", KAP_REFERRAL_NO_SPAN_MS, spent->working_ms);
        check_int(run, "elapsed ms", KAP_REFERRAL_NO_SPAN_MS, spent->elapsed_ms);
        return;
    }
    while (more(run)) {
        bool working = take(run, "working");
        if (!working && !take(run, "elapsed")) {
            fail(run, "working or elapsed would be right");
        }
        int64_t expected = duration_of(run, next(run));
        check_int(run, working ? "working ms" : "elapsed ms", expected,
                  working ? spent->working_ms : spent->elapsed_ms);
    }
}

static void line_counts(run_t *run)
{
    kap_referral_t r;
    get_referral(run, next(run), &r);
    const fact_t facts[] = {
        {"attempts", r.attempts},
        {"contacts", r.contacts},
        {"notes", r.notes},
        {"late_reports", r.late_reports},
        {"feedback", r.feedback_value},
        {"answer_received", r.answer_received_at != KAP_REFERRAL_NO_TIME},
    };
    CHECK_FACTS(run, facts);
}

static void line_codes(run_t *run)
{
    kap_referral_t r;
    get_referral(run, next(run), &r);
    while (more(run)) {
        kap_span_t what = next(run), expected = next(run);
        kap_code_list_t list = KAP_LIST_NONE;
        int code = -1;
        if (kap_span_eq_str(what, "results")) {
            bool none = kap_span_eq_str(expected, "none");
            uint64_t results = none ? 0 : codes_of(run, KAP_LIST_RESULT, expected);
            check_int(run, "results", (int64_t)results, r.results);
            continue;
        }
        if (kap_span_eq_str(what, "outcome")) {
            list = KAP_LIST_OUTCOME, code = r.outcome;
        } else if (kap_span_eq_str(what, "detail")) {
            list = KAP_LIST_DETAIL, code = r.detail;
        } else if (kap_span_eq_str(what, "reason")) {
            list = r.state == KAP_STATE_WITHDRAWN ? KAP_LIST_WITHDRAW
                   : r.state == KAP_STATE_VOIDED  ? KAP_LIST_VOID
                                                  : KAP_LIST_DECLINE;
            code = r.reason;
        } else if (kap_span_eq_str(what, "segment")) {
            list = KAP_LIST_SEGMENT, code = r.segment;
        } else {
            fail(run, "outcome, detail, reason, segment or results would be right");
        }
        const char *found = code < 0 ? "none" : kap_code_name(list, code);
        if (!found || !kap_span_eq_str(expected, found)) {
            fail(run, "%.*s %.*s was expected, it is %s", KAP_SPAN_ARGS(what),
                 KAP_SPAN_ARGS(expected), found ? found : "?");
        }
    }
}

/* What the last event did beside the state. */
static void line_effects(run_t *run)
{
    const kap_effects_t *fx = &run->world->fx;
    while (more(run)) {
        kap_span_t what = next(run);
        bool found =
            kap_span_eq_str(what, "erase")           ? fx->erase
            : kap_span_eq_str(what, "cut_out")       ? fx->cut_out
            : kap_span_eq_str(what, "reported_late") ? fx->reported_late
            : kap_span_eq_str(what, "clock_ahead")   ? fx->clock_ahead
            : kap_span_eq_str(what, "tells_third")   ? fx->streams & KAP_TELL_THIRD
            : kap_span_eq_str(what, "tells_both")
                ? (fx->streams & (KAP_TELL_FROM | KAP_TELL_TO)) == (KAP_TELL_FROM | KAP_TELL_TO)
            : kap_span_eq_str(what, "replaces") ? run->world->replaced
            : kap_span_eq_str(what, "adds")     ? !run->world->replaced
                                                : false;
        if (!found) {
            fail(run, "the effect %.*s was expected", KAP_SPAN_ARGS(what));
        }
    }
}

static void line_case(run_t *run)
{
    kap_case_t c;
    kap_case_shape_t s;
    world_case(run->world, next(run), &c);
    kap_case_shape(&c, &s);
    const fact_t facts[] = {
        {"referrals", s.referrals},
        {"delivered", s.delivered},
        {"roots", s.roots},
        {"chain", s.chain},
        {"ping_pongs", s.ping_pongs},
        {"loops", s.loops},
        {"subcontracts", s.subcontracts},
        {"closed", s.closed},
    };
    CHECK_FACTS(run, facts);
}

static void line_meeting(run_t *run)
{
    kap_meeting_t m;
    int64_t confirmed = 0, invited = 0, attendees = 0, there = 0;
    world_meeting(run->world, next(run), &m);
    kap_span_t state = next(run);
    const char *is =
        m.state == KAP_MEETING_NONE ? "none" : kap_code_name(KAP_LIST_MEETING, m.state);
    if (!kap_span_eq_str(state, is)) {
        fail(run, "%.*s was expected, the meeting is %s", KAP_SPAN_ARGS(state), is);
    }
    for (uint32_t i = 0; i < m.attendee_count; i++) {
        confirmed += (m.attendees[i].marks & KAP_ATTENDEE_CONFIRMED) != 0;
        invited += (m.attendees[i].marks & KAP_ATTENDEE_INVITED) != 0;
        attendees += (m.attendees[i].marks & ~KAP_ATTENDEE_INVITED) != 0;
        there += kap_attendee_was_there(&m.attendees[i]);
    }
    const fact_t facts[] = {
        {"moves", m.moves},       {"topics", m.topics},     {"unplanned", m.unplanned},
        {"attendees", attendees}, {"confirmed", confirmed}, {"adheres", kap_meeting_adheres(&m)},
        {"invited", invited},     {"there", there},
    };
    CHECK_FACTS(run, facts);
}

static void line_action(run_t *run)
{
    kap_action_t a;
    world_action(run->world, next(run), &a);
    kap_span_t state = next(run);
    const char *is = a.done ? "done" : a.agreed ? "agreed" : "none";
    if (!kap_span_eq_str(state, is)) {
        fail(run, "%.*s was expected, the action is %s", KAP_SPAN_ARGS(state), is);
    }
}

static bool line_expectation(run_t *run)
{
    static const struct {
        const char *word;
        void (*check)(run_t *run);
    } checks[] = {{"state", line_state},   {"deadline", line_deadline}, {"times", line_times},
                  {"counts", line_counts}, {"codes", line_codes},       {"effects", line_effects},
                  {"case", line_case},     {"meeting", line_meeting},   {"action", line_action},
                  {"news", line_news}};
    if (take(run, "refused")) {
        line_verdict(run, KAP_VERDICT_REFUSED);
        return true;
    }
    if (take(run, "already_so")) {
        line_verdict(run, KAP_VERDICT_ALREADY_SO);
        return true;
    }
    close_verdict(run);
    if (take(run, "flags")) {
        line_flags(run, true);
        return true;
    }
    if (take(run, "without")) {
        line_flags(run, false);
        return true;
    }
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (take(run, checks[i].word)) {
            checks[i].check(run);
            return true;
        }
    }
    return false;
}

/* --- running --- */

/* The broker's timer: every limit that is over at `until` expires at its own time. */
static void run_timers(run_t *run, int64_t until)
{
    for (;;) {
        world_row_t *due = NULL;
        for (int i = 0; i < run->world->row_count; i++) {
            world_row_t *row = &run->world->rows[i];
            bool set = row->kind == ROW_REFERRAL && row->timer_at != KAP_REFERRAL_NO_TIME;
            if (set && row->timer_at <= until && (!due || row->timer_at < due->timer_at)) {
                due = row;
            }
        }
        if (!due) {
            return;
        }
        kap_event_builder_t b;
        kap_event_t ev;
        run->world->now = due->timer_at > run->world->now ? due->timer_at : run->world->now;
        begin(run, &b, KAP_EV_REFERRAL_EXPIRED, KAP_SPAN("broker"));
        kap_event_builder_set_span(&b, KAP_F_REFERRAL, due->id);
        expire_fields(run, &b, due->id);
        finish(run, &b, &ev);
        world_publish(run->world, KAP_SPAN("broker"), &ev, 1);
        if (run->world->verdict != KAP_VERDICT_ACCEPTED) {
            fail(run, "the timer of %.*s fired and was refused: %s", KAP_SPAN_ARGS(due->id),
                 verdict_text(run));
        }
    }
}

static void line_event(run_t *run)
{
    kap_span_t who = next(run), word = next(run);
    const verb_t *verb = verb_of(word);
    kap_event_builder_t b;
    kap_event_t ev;
    if (!verb) {
        fail(run, "unknown: \"%.*s %.*s\"", KAP_SPAN_ARGS(who), KAP_SPAN_ARGS(word));
    }
    begin(run, &b, verb->type, who);
    kap_span_t id = verb->id != KAP_F_NONE ? run->words[run->at < run->count ? run->at : 0] : who;
    set_defaults(run, &b, who, id);
    if (verb->id != KAP_F_NONE) {
        set_field(run, &b, verb->id);
    }
    run->event_line = run->line;
    run->open_verdict = true;
    if (verb->type == KAP_EV_REFERRAL_REDIRECTED) {
        line_redirect(run, who, &b, id);
        return;
    }
    if (verb->type == KAP_EV_REFERRAL_EXPIRED) {
        expire_fields(run, &b, id);
    }
    read_fields(run, &b);
    finish(run, &b, &ev);
    world_publish(run->world, who, &ev, 1);
}

static void line_at(run_t *run)
{
    int64_t at = time_of(run, next(run));
    if (at < run->world->now) {
        fail(run, "the clock goes forward only");
    }
    run_timers(run, at);
    run->world->now = at;
}

static void run_line(run_t *run, kap_span_t line)
{
    split(run, line);
    if (!more(run)) {
        return;
    }
    if (line_expectation(run)) {
        if (more(run)) {
            fail(run, "unknown word \"%.*s\"", KAP_SPAN_ARGS(run->words[run->at]));
        }
        return;
    }
    if (take(run, "member")) {
        line_member(run);
    } else if (take(run, "region")) {
        line_region(run);
    } else {
        if (take(run, "at")) {
            line_at(run);
        }
        if (more(run)) {
            line_event(run);
        }
    }
}

bool kap_scenario_run(const char *path, kap_buf_t *failure)
{
    run_t run = {.path = path, .failure = failure};
    char line[LINE_BYTES];
    FILE *volatile file = fopen(path, "r");
    volatile bool ok = false;
    run.world = world_new();
    if (!file) {
        kap_buf_printf(failure, "%s: cannot be opened", path);
    } else if (setjmp(run.failed) == 0) {
        default_world(&run);
        while (fgets(line, sizeof(line), file)) {
            run.line++;
            run_line(&run, kap_span_trim(kap_span_str(line)));
        }
        close_verdict(&run);
        ok = true;
    }
    if (file) {
        fclose(file);
    }
    world_destroy(&run.world);
    return ok;
}
