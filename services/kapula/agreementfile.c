/* SPDX-License-Identifier: MPL-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agreement.h"
#include "clock.h"
#include "err.h"
#include "followup.h"
#include "modelvalue.h"
#include "recurrence.h"

enum { WORDS_MAX = 200 }; /* of a line */

typedef struct {
    kap_cli_t *cli;
    const kap_directory_t *dir;
    const char *path;
    kap_agreement_t *agreement;
    const kap_region_t *region; /* NULL: unknown, or not looked up */
    int64_t line;
    struct {
        kap_span_t text;
        bool quoted;
    } words[WORDS_MAX];
    size_t count;
    bool bad; /* of this line */
} reading_t;

__attribute__((format(printf, 2, 3))) static void complain(reading_t *reading, const char *format,
                                                           ...)
{
    char sentence[400];
    kap_shown_list_t map = {.arena = reading->cli->arena};
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    kap_cli_fail(0, "%s:%lld: %s", reading->path, (long long)reading->line, sentence);
    kap_shown_set_int(&map, "line", reading->line);
    kap_shown_set_text(&map, "sentence",
                       kap_arena_dup(reading->cli->arena, kap_span_str(sentence)));
    kap_mp_t made = kap_shown_map(&map);
    kap_shown_add(&reading->agreement->messages, &made);
    reading->agreement->wrong++;
    reading->bad = true;
}

/* --- words of a line --- */

static bool ends_word(uint8_t c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '>' || c == '"' || c == '#';
}

/* Commas and > are words of their own; a comment ends the line. */
static void split(reading_t *reading, kap_span_t line)
{
    reading->count = 0;
    while (line.size > 0 && line.data[0] != '#') {
        size_t n = 0;
        bool quoted = line.data[0] == '"';
        if (line.data[0] == ' ' || line.data[0] == '\t') {
            line = kap_span_sub(line, 1, line.size);
            continue;
        }
        if (reading->count == WORDS_MAX) {
            complain(reading, "more than %d words in a line; make two clauses of it", WORDS_MAX);
            return;
        }
        if (quoted) {
            const uint8_t *end = memchr(line.data + 1, '"', line.size - 1);
            if (!end) {
                complain(reading, "a quote is not closed; put \" at its end");
                return;
            }
            n = (size_t)(end - line.data) + 1;
        } else if (line.data[0] == ',' || line.data[0] == '>') {
            n = 1;
        } else {
            while (n < line.size && !ends_word(line.data[n]))
                n++;
        }
        reading->words[reading->count].quoted = quoted;
        reading->words[reading->count++].text =
            quoted ? kap_span(line.data + 1, n - 2) : kap_span(line.data, n);
        line = kap_span_sub(line, n, line.size);
    }
}

static bool word_is(const reading_t *reading, size_t at, const char *text)
{
    return at < reading->count && !reading->words[at].quoted &&
           kap_span_eq_str(reading->words[at].text, text);
}

/* The part of the clause that a word begins; -1. */
static int part_at(const reading_t *reading, kap_clause_kind_t kind, size_t at)
{
    return reading->words[at].quoted
               ? -1
               : kap_clause_part(kind, reading->cli->arena, reading->words[at].text);
}

/* The words [from, to) as one text, single blanks between them. */
static kap_span_t joined(const reading_t *reading, size_t from, size_t to)
{
    kap_buf_t text;
    kap_buf_init(&text);
    for (size_t i = from; i < to; i++) {
        bool tight = word_is(reading, i, ",");
        kap_buf_str(&text, i > from && !tight ? " " : "");
        kap_buf_append(&text, reading->words[i].text);
    }
    kap_span_t made = kap_arena_dup(reading->cli->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return made;
}

/* --- values --- */

/* A member by id or name; its id. It must act in the region; beside it external:TYPE may stand. */
static kap_span_t member_of(reading_t *reading, kap_span_t text, bool may_be_outside)
{
    const kap_directory_t *dir = reading->dir;
    if (may_be_outside && kap_span_starts(text, KAP_SPAN("external:")))
        return text;
    kap_span_t id = kap_value_member_of(reading->cli->arena, dir, text);
    const kap_member_t *member = dir ? kap_directory_member(dir, id) : NULL;
    if (dir && !member)
        complain(reading, "there is no member '%.*s'; `kapula directory` lists them",
                 KAP_SPAN_ARGS(kap_span_sub(text, 0, 60)));
    else if (member && reading->region && !kap_member_serves_region(member, reading->region))
        complain(reading, "%.*s does not act in %.*s; the directory says who does",
                 KAP_SPAN_ARGS(id), KAP_SPAN_ARGS(reading->region->id));
    return id;
}

static void set(reading_t *reading, kap_clause_t *clause, const char *name, kap_span_t value)
{
    kap_said_set(reading->cli, &clause->said, name, value);
}

/* FROM > TO of the words [from, to); `*` for any, where that may be. */
static void take_pair(reading_t *reading, kap_clause_t *clause, size_t from, size_t to, bool any)
{
    size_t at = from;
    while (at < to && !word_is(reading, at, ">"))
        at++;
    if (at == from || at + 1 >= to) {
        complain(reading, "who refers to whom? Say FROM > TO%s", any ? ", `*` for anybody" : "");
        return;
    }
    kap_span_t ends[2] = {joined(reading, from, at), joined(reading, at + 1, to)};
    for (int i = 0; i < 2; i++)
        if (!(any && kap_span_eq_str(ends[i], "*")))
            set(reading, clause, i ? "to" : "from", member_of(reading, ends[i], i == 1));
    const char *a = kap_said(&clause->said, "from"), *b = kap_said(&clause->said, "to");
    if (a && b && strcmp(a, b) == 0)
        complain(reading, "%s does not refer to itself; name two members", a);
}

/* One code, or a complaint with the names that there are. */
static int code_of(reading_t *reading, kap_code_list_t list, kap_span_t text)
{
    int code = kap_value_code(reading->cli->arena, list, text);
    kap_buf_t names;
    if (code >= 0)
        return code;
    kap_buf_init(&names);
    for (int i = 0; i < kap_code_count(list); i++)
        kap_buf_printf(&names, "%s%s", i ? ", " : "", kap_code_name(list, i));
    complain(reading, "'%.*s' is none of %s", KAP_SPAN_ARGS(kap_span_sub(text, 0, 40)),
             kap_buf_cstr(&names));
    kap_buf_fini(&names);
    return -1;
}

/* Services in the order of their codes, so that the same ones read alike. */
static kap_span_t services_of(reading_t *reading, size_t from, size_t to)
{
    uint64_t mask = 0;
    kap_buf_t text;
    for (size_t at = from; at < to;) {
        size_t end = at;
        while (end < to && !word_is(reading, end, ","))
            end++;
        int code = code_of(reading, KAP_LIST_SERVICE, joined(reading, at, end));
        mask |= code >= 0 ? UINT64_C(1) << code : 0;
        at = end + 1;
    }
    kap_buf_init(&text);
    for (int code = 0; code < kap_code_count(KAP_LIST_SERVICE); code++)
        if (mask & UINT64_C(1) << code)
            kap_buf_printf(&text, "%s%s", text.size ? ", " : "",
                           kap_code_name(KAP_LIST_SERVICE, code));
    kap_span_t made = kap_arena_dup(reading->cli->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return made;
}

static kap_span_t members_of(reading_t *reading, size_t from, size_t to)
{
    kap_buf_t text;
    kap_buf_init(&text);
    for (size_t at = from; at < to;) {
        size_t end = at;
        while (end < to && !word_is(reading, end, ","))
            end++;
        kap_span_t id = member_of(reading, joined(reading, at, end), false);
        kap_buf_printf(&text, "%s%.*s", text.size ? ", " : "", KAP_SPAN_ARGS(id));
        at = end + 1;
    }
    kap_span_t made = kap_arena_dup(reading->cli->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return made;
}

static kap_span_t date_of(reading_t *reading, kap_span_t text)
{
    char day[11];
    if (kap_sheet_period(text, day) && strlen(day) == 10)
        return kap_arena_dup(reading->cli->arena, kap_span_str(day));
    complain(reading, "'%.*s' is no day, as 2026-12-31 or 31.12.2026",
             KAP_SPAN_ARGS(kap_span_sub(text, 0, 40)));
    return text;
}

static kap_span_t dates_of(reading_t *reading, size_t from, size_t to)
{
    kap_buf_t text;
    kap_buf_init(&text);
    for (size_t at = from; at < to; at++)
        if (!word_is(reading, at, ",")) {
            kap_span_t day = date_of(reading, reading->words[at].text);
            kap_buf_printf(&text, "%s%.*s", text.size ? ", " : "", KAP_SPAN_ARGS(day));
        }
    kap_span_t made = kap_arena_dup(reading->cli->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return made;
}

/* A rule has no blanks, whatever stood between its commas. */
static kap_span_t rule_of(reading_t *reading, kap_span_t text)
{
    kap_buf_t why;
    char *rule = kap_arena_str(reading->cli->arena, text);
    size_t n = 0;
    for (size_t i = 0; rule && i < text.size; i++)
        if (rule[i] != ' ')
            rule[n++] = rule[i];
    if (!rule)
        return text;
    rule[n] = '\0';
    kap_buf_init(&why);
    if (kap_recurrence_check(rule, &why) != KAP_OK)
        complain(reading, "%s", kap_buf_cstr(&why));
    kap_buf_fini(&why);
    return kap_span(rule, n);
}

/* 2026-01-13 09:00 as 2026-01-13T09:00 */
static kap_span_t start_of(reading_t *reading, kap_span_t text)
{
    char *start = kap_arena_str(reading->cli->arena, text);
    if (start && text.size == 16 && start[10] == ' ')
        start[10] = 'T';
    if (!start || !kap_text_is(KAP_TYPE_LOCAL, kap_span_str(start)))
        complain(reading, "'%.*s' is no local time, as 2026-01-13T09:00",
                 KAP_SPAN_ARGS(kap_span_sub(text, 0, 40)));
    return start ? kap_span_str(start) : text;
}

static kap_span_t number_of(reading_t *reading, kap_span_t text, int64_t min, int64_t max)
{
    int64_t number;
    kap_span_t plain = kap_value_number(reading->cli->arena, text);
    if (!kap_span_int(plain, &number) || number < min || number > max)
        complain(reading, "'%.*s' is no number from %lld to %lld",
                 KAP_SPAN_ARGS(kap_span_sub(text, 0, 40)), (long long)min, (long long)max);
    return plain;
}

/* The value of a part, from the words that follow its own. */
static kap_span_t value_of(reading_t *reading, kap_field_t field, size_t from, size_t to)
{
    kap_span_t text = joined(reading, from, to);
    int code;
    switch (field) {
    case KAP_F_KIND:
        code = code_of(reading, KAP_LIST_KIND, text);
        return code < 0 ? text : kap_span_str(kap_code_name(KAP_LIST_KIND, code));
    case KAP_F_SERVICE:
        code = code_of(reading, KAP_LIST_SERVICE, text);
        return code < 0 ? text : kap_span_str(kap_code_name(KAP_LIST_SERVICE, code));
    case KAP_F_SERVICES:
        return services_of(reading, from, to);
    case KAP_F_MEMBERS:
        return members_of(reading, from, to);
    case KAP_F_DATES:
        return dates_of(reading, from, to);
    case KAP_F_VALID_FROM:
    case KAP_F_VALID_TO:
        return date_of(reading, text);
    case KAP_F_YEAR:
        return number_of(reading, text, KAP_LIMIT_YEAR_FIRST, KAP_LIMIT_YEAR_LAST);
    case KAP_F_YEARLY_TARGET:
    case KAP_F_DURATION_MIN:
        return number_of(reading, text, 1, 10000);
    case KAP_F_RRULE:
        return rule_of(reading, text);
    case KAP_F_DTSTART:
        return start_of(reading, text);
    case KAP_F_ENDED:
        return KAP_SPAN("true");
    case KAP_F_FORUM_KIND:
        code = kap_value_code(reading->cli->arena, KAP_LIST_FORUM, text);
        return code < 0 ? text : kap_span_str(kap_code_name(KAP_LIST_FORUM, code));
    default:
        return text;
    }
}

/* --- clauses --- */

static void take_part(reading_t *reading, kap_clause_t *clause, int part, size_t from, size_t to)
{
    kap_field_t field = kap_clause_part_field(part);
    const char *name = kap_field_row(field)->wire;
    bool flag = field == KAP_F_ENDED;
    if (flag != (from == to)) {
        complain(reading, flag ? "%s stands alone" : "something should follow %s",
                 kap_clause_part_word(part));
        return;
    }
    if (kap_said(&clause->said, name)) {
        complain(reading, "%s stands twice; say it once", kap_clause_part_word(part));
        return;
    }
    if (field == KAP_F_FROM)
        take_pair(reading, clause, from, to, true);
    else
        set(reading, clause, name, value_of(reading, field, from, to));
}

static void wrong_unit(reading_t *reading, const char *unit, kap_span_t found)
{
    complain(reading, "'%.*s' should be %s", KAP_SPAN_ARGS(kap_span_sub(found, 0, 40)),
             *unit ? unit : "the last word");
}

/* Days, hours or nothing behind a number, in three languages. */
static void check_unit(reading_t *reading, const char *unit, kap_span_t found)
{
    const char *days = "days|day|päivää|päivä|pv|työpäivää|dagar|dag|arbetsdagar",
               *hours = "hours|hour|tuntia|tunti|h|timmar|timme";
    const char *right = strcmp(unit, "days") == 0 ? days : strcmp(unit, "hours") == 0 ? hours : "";
    kap_span_t word = kap_sheet_word(reading->cli->arena, found);
    if (found.size > 0 && !kap_sheet_is_among(word, right))
        wrong_unit(reading, unit, found);
}

static bool is_numeral(const reading_t *reading, size_t at)
{
    kap_span_t text = reading->words[at].text;
    return text.size > 0 && text.data[0] >= '0' && text.data[0] <= '9';
}

/* NAME NUMBER [UNIT] in the words [1, to): where the number stands; 0 after a complaint. */
static size_t find_number(reading_t *reading, size_t to, const char *example)
{
    size_t at = 1;
    while (at < to && !is_numeral(reading, at))
        at++;
    if (at > 1 && at < to && at + 2 >= to)
        return at;
    complain(reading, "how much of what? As `%s`", example);
    return 0;
}

static bool is_time(int target)
{
    return target == KAP_TARGET_ANSWER || target == KAP_TARGET_CONTACT ||
           target == KAP_TARGET_COMPLETE || target == KAP_TARGET_LOOP;
}

/* target answer 10 days; target joint_visits 20 */
static void head_of_target(reading_t *reading, kap_clause_t *clause, size_t to)
{
    size_t at = find_number(reading, to, "target answer 10 days");
    int code = at ? code_of(reading, KAP_LIST_TARGET, joined(reading, 1, at)) : -1;
    if (code < 0)
        return;
    kap_span_t number = reading->words[at].text;
    check_unit(reading, is_time(code) ? "days" : "", joined(reading, at + 1, to));
    set(reading, clause, "target", kap_span_str(kap_code_name(KAP_LIST_TARGET, code)));
    if (is_time(code)) {
        set(reading, clause, "days", number_of(reading, number, 1, KAP_FOLLOWUP_DAYS_MAX));
        return;
    }
    number = kap_value_number(reading->cli->arena, number);
    if (!kap_text_is(KAP_TYPE_DECIMAL, number))
        complain(reading, "'%.*s' is no number", KAP_SPAN_ARGS(kap_span_sub(number, 0, 40)));
    set(reading, clause, "value", number);
}

static void head_of_limit(reading_t *reading, kap_clause_t *clause, size_t to)
{
    size_t at = find_number(reading, to, "limit unanswered 5 days");
    if (at == 0)
        return;
    kap_span_t name = joined(reading, 1, at);
    const kap_clause_limit_t *limit = kap_clause_limit(name);
    if (limit) {
        check_unit(reading, limit->unit, joined(reading, at + 1, to));
        set(reading, clause, "limit", name);
        set(reading, clause, "value",
            number_of(reading, reading->words[at].text, limit->min, limit->max));
        return;
    }
    complain(reading, "'%.*s' is none of undelivered, unanswered, uncontacted, silent, hidden",
             KAP_SPAN_ARGS(kap_span_sub(name, 0, 40)));
}

static void head_of_region(reading_t *reading, size_t to)
{
    kap_span_t id = joined(reading, 1, to);
    kap_agreement_t *agreement = reading->agreement;
    reading->region = reading->dir ? kap_directory_region(reading->dir, id) : NULL;
    if (agreement->region)
        complain(reading, "a file is of one region; this one is of %s already", agreement->region);
    else if (kap_span_empty(id))
        complain(reading, "which region? Say its id");
    else if (reading->dir && !reading->region)
        complain(reading, "there is no region '%.*s'; `kapula directory` lists them",
                 KAP_SPAN_ARGS(kap_span_sub(id, 0, 60)));
    if (!agreement->region && !kap_span_empty(id))
        agreement->region = kap_arena_str(reading->cli->arena, id);
}

/* What stands before the first part. */
static void take_head(reading_t *reading, kap_clause_t *clause, size_t to)
{
    int code;
    switch (clause->kind) {
    case KAP_CLAUSE_REGION:
        head_of_region(reading, to);
        break;
    case KAP_CLAUSE_AGREED:
        take_pair(reading, clause, 1, to, false);
        set(reading, clause, "agreed", KAP_SPAN("true"));
        break;
    case KAP_CLAUSE_TARGET:
        head_of_target(reading, clause, to);
        break;
    case KAP_CLAUSE_LIMIT:
        head_of_limit(reading, clause, to);
        break;
    case KAP_CLAUSE_VISIBILITY:
        code = code_of(reading, KAP_LIST_VISIBILITY, joined(reading, 1, to));
        if (code >= 0)
            set(reading, clause, "visibility",
                kap_span_str(kap_code_name(KAP_LIST_VISIBILITY, code)));
        break;
    default:
        if (to != 2)
            complain(reading, "which forum? Say its id, one word, then what it is");
        else
            set(reading, clause, "forum", reading->words[1].text);
    }
}

/* What only the whole clause shows. */
static void check_whole(reading_t *reading, const kap_clause_t *clause)
{
    const kap_said_t *said = &clause->said;
    const char *first = kap_said(said, "valid_from"), *last = kap_said(said, "valid_to");
    if (first && last && strcmp(last, first) < 0)
        complain(reading, "it ends on %s before it begins on %s", last, first);
    if (clause->kind == KAP_CLAUSE_FORUM) {
        if (kap_said(said, "rrule") && !kap_said(said, "dtstart"))
            complain(reading, "a rule needs its start, as `start 2026-01-13T09:00`");
        if (kap_said(said, "rrule") && kap_said(said, "dates"))
            complain(reading, "a rule or dates, not both");
        if (!kap_said(said, "forum_kind"))
            complain(reading, "which kind of forum? As `kind steering_group`, or any text");
    }
    for (uint32_t i = 0; i < reading->agreement->count; i++)
        if (kap_clause_same_subject(&reading->agreement->clauses[i], clause))
            complain(reading, "line %lld says this already; leave one of them",
                     (long long)reading->agreement->clauses[i].line);
}

static int take_line(reading_t *reading)
{
    int kind = kap_clause_find(reading->cli->arena, reading->words[0].text);
    kap_clause_t clause = {.kind = (kap_clause_kind_t)kind, .line = reading->line};
    if (kind < 0) {
        complain(reading,
                 "'%.*s' begins no clause; region, refers, target, forum, limit and "
                 "visibility do",
                 KAP_SPAN_ARGS(kap_span_sub(reading->words[0].text, 0, 40)));
        return KAP_OK;
    }
    size_t at = 1;
    while (at < reading->count && part_at(reading, clause.kind, at) < 0)
        at++;
    take_head(reading, &clause, at);
    while (at < reading->count) {
        size_t end = at + 1;
        while (end < reading->count && part_at(reading, clause.kind, end) < 0)
            end++;
        take_part(reading, &clause, part_at(reading, clause.kind, at), at + 1, end);
        at = end;
    }
    if (reading->bad || clause.kind == KAP_CLAUSE_REGION)
        return KAP_OK;
    check_whole(reading, &clause);
    return kap_agreement_add(reading->cli, reading->agreement, &clause) ? KAP_OK : KAP_E_NOMEM;
}

int kap_agreement_read(kap_cli_t *cli, const kap_directory_t *dir, const char *path,
                       kap_span_t bytes, kap_agreement_t *agreement)
{
    reading_t reading = {.cli = cli, .dir = dir, .path = path, .agreement = agreement};
    kap_sheet_coding_t coding;
    kap_span_t text = kap_span("", 0);
    kap_buf_t why;
    *agreement = (kap_agreement_t){.messages = {.arena = cli->arena}};
    kap_buf_init(&why);
    int rc = kap_sheet_text(bytes, cli->arena, &coding, &text, &why);
    if (rc == KAP_E_INVALID) {
        complain(&reading, "%s", kap_buf_cstr(&why));
        rc = KAP_OK;
    }
    kap_buf_fini(&why);
    while (rc == KAP_OK && text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t n = end ? (size_t)(end - text.data) : text.size;
        reading.line++;
        reading.bad = false;
        split(&reading, kap_span_trim(kap_span(text.data, n)));
        if (!reading.bad && reading.count > 0)
            rc = take_line(&reading);
        text = kap_span_sub(text, end ? n + 1 : n, text.size);
    }
    return rc;
}
