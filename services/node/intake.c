/* SPDX-License-Identifier: MPL-2.0 */
#include "intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "idcheck.h"
#include "tables.h"

enum { CHUNK_BYTES = 8192, SCRATCH_BYTES = 32768, HEADERS_BYTES = 380 };

static const struct {
    kap_intake_group_t group;
    const char *verb, *preset, *words;
} kinds[KAP_INTAKE_KIND_COUNT] = {
#define KAP_INTAKE_KIND(NAME, GROUP, VERB, PRESET, WORDS) {KAP_GROUP_##GROUP, VERB, PRESET, WORDS},
#define KAP_INTAKE_ANSWER(GROUP, VERB, WORDS)
#include "intake_words.def"
#undef KAP_INTAKE_KIND
#undef KAP_INTAKE_ANSWER
};

static const struct {
    kap_intake_group_t group;
    const char *verb, *words;
} answers[] = {
#define KAP_INTAKE_KIND(NAME, GROUP, VERB, PRESET, WORDS)
#define KAP_INTAKE_ANSWER(GROUP, VERB, WORDS) {KAP_GROUP_##GROUP, VERB, WORDS},
#include "intake_words.def"
#undef KAP_INTAKE_KIND
#undef KAP_INTAKE_ANSWER
};
enum { ANSWERS = sizeof answers / sizeof answers[0] };

static const char *const months[12] = {
    "tammikuu|januari|january", "helmikuu|februari|february", "maaliskuu|mars|march",
    "huhtikuu|april",           "toukokuu|maj|may",           "kesäkuu|juni|june",
    "heinäkuu|juli|july",       "elokuu|augusti|august",      "syyskuu|september",
    "lokakuu|oktober|october",  "marraskuu|november",         "joulukuu|december"};

/* How the columns of one kind are read, made at the kind's first row. */
typedef struct {
    bool made;
    kap_mapped_column_t columns[KAP_INTAKE_COLUMNS];
    bool matrix[KAP_INTAKE_COLUMNS]; /* of a tally sheet: the header is a recipient or a month */
    int type_column, answer_column, needs_column;
} reading_t;

struct kap_intake {
    kap_intake_opts_t opts;
    kap_arena_t *arena;
    kap_arena_t *scratch; /* acts of the row in hand */
    kap_span_t *names;
    size_t count;
    int type_column; /* -1: none */
    reading_t *readings[KAP_INTAKE_KIND_COUNT];
};

/* --- words --- */

int kap_intake_kind_of_word(kap_span_t word)
{
    for (int i = 0; i < KAP_INTAKE_KIND_COUNT; i++)
        if (kap_mapping_is_word(word, kinds[i].words))
            return i;
    return -1;
}

int kap_intake_kind_of_file(kap_span_t name)
{
    size_t n = name.size;
    while (n && name.data[n - 1] != '.')
        n--;
    kap_span_t stem = kap_span_sub(name, 0, n ? n - 1 : name.size);
    int kind = kap_intake_kind_of_word(stem);
    for (n = 0; n < stem.size && !strchr("0123456789-_. ", stem.data[n]); n++)
        ;
    return kind >= 0 ? kind : kap_intake_kind_of_word(kap_span_sub(stem, 0, n));
}

static int month_of_word(kap_span_t word)
{
    int64_t number;
    for (int i = 0; i < 12; i++)
        if (kap_mapping_is_word(word, months[i]))
            return i + 1;
    return kap_span_int(word, &number) && word.size <= 2 && number >= 1 && number <= 12
               ? (int)number
               : 0;
}

static bool year_of(kap_span_t text, int *year)
{
    int64_t number;
    if (text.size != 4 || !kap_span_int(text, &number) || number < KAP_LIMIT_YEAR_FIRST)
        return false;
    *year = (int)number;
    return true;
}

bool kap_intake_period(kap_span_t text, kap_span_t year_text, char out[16])
{
    int year, day, month;
    char rest;
    char copy[40];
    text = kap_span_trim(text);
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    snprintf(copy, sizeof copy, "%.*s", KAP_SPAN_ARGS(text));
    if (sscanf(copy, "%2d.%2d.%4d%c", &day, &month, &year, &rest) == 3) {
        kap_date_t date = {(int16_t)year, (int8_t)month, (int8_t)day};
        snprintf(out, 16, "%04d-%02d-%02d", year % 10000, month % 100, day % 100);
        return year >= 1000 && kap_date_valid(date); /* 1.11.26 is no day of the first century */
    }
    size_t n = text.size;
    while (n && !strchr("/. ", text.data[n - 1]))
        n--;
    month = n ? month_of_word(kap_span_trim(kap_span_sub(text, 0, n - 1))) : month_of_word(text);
    if (month && year_of(n ? kap_span_sub(text, n, text.size) : year_text, &year)) {
        snprintf(out, 16, "%04d-%02d", year % 10000, month % 100);
        return true;
    }
    snprintf(out, 16, "%.*s", text.size < 16 ? (int)text.size : 0, copy);
    return text.size < 16 && kap_text_is(KAP_TYPE_PERIOD, text);
}

/* --- masking --- */

kap_span_t kap_intake_mask(kap_span_t text, kap_arena_t *arena)
{
    kap_span_t found;
    if (!kap_personal_code_in(text, NULL))
        return text;
    kap_span_t copy = kap_arena_dup(arena, text);
    if (!copy.data)
        return KAP_SPAN("***");
    while (kap_personal_code_in(copy, &found))
        memset((uint8_t *)found.data, '*', found.size);
    return copy;
}

static int refuse(kap_intake_why_t *why, kap_span_t column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(kap_intake_why_t *why, kap_span_t column, const char *format, ...)
{
    va_list args;
    snprintf(why->column, sizeof why->column, "%.*s", KAP_SPAN_ARGS(kap_span_sub(column, 0, 110)));
    va_start(args, format);
    vsnprintf(why->reason, sizeof why->reason, format, args);
    va_end(args);
    return KAP_E_DENIED;
}

/* --- header --- */

/* Recipient or month as a column's header: "Finnvera", "external:prh", "lokakuu". */
static bool is_matrix_header(const kap_intake_t *intake, const kap_directory_t *directory,
                             kap_span_t name)
{
    char period[16];
    kap_span_t to = kap_mapping_member(intake->opts.mapping, directory, name, true, intake->arena);
    return !kap_span_empty(to) || kap_intake_period(name, KAP_SPAN("2000"), period);
}

static int refuse_header(const kap_intake_t *intake, kap_intake_group_t group, kap_span_t name,
                         kap_intake_why_t *why)
{
    char headers[HEADERS_BYTES];
    kap_mapping_headers(intake->opts.mapping, group, headers, sizeof headers);
    return refuse(why, name, "no such column; name it in spool.columns, or use one of: %s ...",
                  headers);
}

static int doubled(const kap_intake_t *intake, const reading_t *r, size_t i, kap_intake_why_t *why)
{
    for (size_t j = 0; j < i; j++)
        if (r->columns[j].field && strcmp(r->columns[j].field, r->columns[i].field) == 0)
            return refuse(why, intake->names[i],
                          "means the same as the column %.*s (%s); leave one of them out",
                          KAP_SPAN_ARGS(kap_span_sub(intake->names[j], 0, 60)),
                          r->columns[i].field);
    return KAP_OK;
}

/* A column of another kind's rows, in a file that holds several kinds: its cell stays empty here.
 */
static const char foreign[] = "?";

static bool any_group_knows(const kap_intake_t *intake, kap_span_t name)
{
    for (int group = KAP_GROUP_ANY; group <= KAP_GROUP_FOLLOWUP; group++)
        if (kap_mapping_column(intake->opts.mapping, (kap_intake_group_t)group, name).field)
            return true;
    return false;
}

static int read_header(kap_intake_t *intake, const kap_directory_t *directory, reading_t *r,
                       kap_intake_kind_t kind, kap_intake_why_t *why)
{
    kap_intake_group_t group = kinds[kind].group;
    for (size_t i = 0; i < intake->count; i++) {
        kap_span_t name = kap_span_trim(intake->names[i]);
        kap_mapped_column_t *column = &r->columns[i];
        if (kap_span_empty(name)) {
            column->field = "-";
            continue;
        }
        *column = kap_mapping_column(intake->opts.mapping, group, name);
        /* A sheet's headings are recipients first: "Finnvera" is no field, "Kunta" may be one. */
        if (kind == KAP_INTAKE_TALLY && !column->field)
            r->matrix[i] = is_matrix_header(intake, directory, name);
        if (r->matrix[i])
            continue;
        if (!column->field && intake->type_column >= 0 && any_group_knows(intake, name)) {
            column->field = foreign;
            continue;
        }
        if (!column->field && !intake->opts.ignore_unknown)
            return refuse_header(intake, group, name, why);
        if (!column->field)
            column->field = "-";
        int rc = strcmp(column->field, "-") == 0 ? KAP_OK : doubled(intake, r, i, why);
        if (rc != KAP_OK)
            return rc;
        if (strcmp(column->field, "answer") == 0)
            r->answer_column = (int)i;
        if (strcmp(column->field, "needs") == 0)
            r->needs_column = (int)i;
    }
    return KAP_OK;
}

static int reading_get(kap_intake_t *intake, const kap_directory_t *directory,
                       kap_intake_kind_t kind, reading_t **out, kap_intake_why_t *why)
{
    reading_t *r = intake->readings[kind];
    if (!r) {
        r = kap_arena_calloc(intake->arena, 1, sizeof *r);
        if (!r)
            return KAP_E_NOMEM;
        r->answer_column = r->needs_column = -1;
        int rc = read_header(intake, directory, r, kind, why);
        if (rc != KAP_OK)
            return rc;
        intake->readings[kind] = r;
    }
    *out = r;
    return KAP_OK;
}

static int names_copy(kap_intake_t *intake, const kap_span_t *names, kap_intake_why_t *why)
{
    for (size_t i = 0; i < intake->count; i++) {
        if (kap_personal_code_in(names[i], NULL))
            return refuse(why, kap_span(NULL, 0),
                          "the header holds a personal identity code; the first line of a file "
                          "names its columns");
        intake->names[i] = kap_arena_dup(intake->arena, names[i]);
        if (!intake->names[i].data)
            return KAP_E_NOMEM;
        kap_mapped_column_t column =
            kap_mapping_column(intake->opts.mapping, KAP_GROUP_ANY, names[i]);
        if (column.field && strcmp(column.field, "type") == 0)
            intake->type_column = (int)i;
    }
    return KAP_OK;
}

int kap_intake_new(const kap_intake_opts_t *opts, const kap_span_t *names, size_t count,
                   kap_intake_t **out, kap_intake_why_t *why)
{
    if (count > KAP_INTAKE_COLUMNS)
        return refuse(why, kap_span(NULL, 0), "%zu columns; at most %d", count, KAP_INTAKE_COLUMNS);
    kap_intake_t *intake = calloc(1, sizeof *intake);
    if (!intake)
        return KAP_E_NOMEM;
    intake->opts = *opts;
    intake->count = count;
    intake->type_column = -1;
    intake->arena = kap_arena_new(CHUNK_BYTES);
    intake->scratch = kap_arena_new(SCRATCH_BYTES);
    if (intake->arena && intake->scratch)
        intake->names = kap_arena_calloc(intake->arena, count + 1, sizeof *intake->names);
    int rc = intake->names ? names_copy(intake, names, why) : KAP_E_NOMEM;
    if (rc != KAP_OK)
        kap_intake_destroy(&intake);
    else
        *out = intake;
    return rc;
}

void kap_intake_destroy(kap_intake_t **intake)
{
    if (!*intake)
        return;
    kap_arena_destroy(&(*intake)->arena);
    kap_arena_destroy(&(*intake)->scratch);
    free(*intake);
    *intake = NULL;
}

bool kap_intake_same_names(const kap_intake_t *intake, const kap_span_t *names, size_t count)
{
    if (intake->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!kap_span_eq(intake->names[i], names[i]))
            return false;
    return true;
}

const kap_span_t *kap_intake_names(const kap_intake_t *intake, size_t *count)
{
    *count = intake->count;
    return intake->names;
}

/* --- fields of an act --- */

static size_t field_at(const kap_intake_act_t *act, const char *field)
{
    size_t i = 0;
    while (i < act->count && !kap_span_eq_str(act->fields[i].name, field))
        i++;
    return i;
}

int kap_intake_act_set(kap_intake_act_t *act, const char *field, kap_span_t value)
{
    size_t i = field_at(act, field);
    if (i == KAP_INTAKE_FIELDS)
        return KAP_E_LIMIT;
    if (i == act->count) {
        act->columns[act->count++] = -1;
        act->fields[i].name = kap_span_str(field);
    }
    act->fields[i].value = value;
    return KAP_OK;
}

kap_span_t kap_intake_act_get(const kap_intake_act_t *act, const char *field)
{
    size_t i = field_at(act, field);
    return i < act->count ? act->fields[i].value : kap_span(NULL, 0);
}

void kap_intake_act_drop(kap_intake_act_t *act, const char *field)
{
    size_t i = field_at(act, field);
    if (i == act->count)
        return;
    act->count--;
    for (; i < act->count; i++) {
        act->fields[i] = act->fields[i + 1];
        act->columns[i] = act->columns[i + 1];
    }
}

static int act_set_from(kap_intake_act_t *act, const char *field, kap_span_t value, int column)
{
    int rc = kap_intake_act_set(act, field, value);
    if (rc == KAP_OK)
        act->columns[field_at(act, field)] = column;
    return rc;
}

static int act_new(kap_arena_t *arena, const char *verb, kap_intake_act_t *act)
{
    *act = (kap_intake_act_t){.verb = kap_span_str(verb), .column = -1};
    act->fields = kap_arena_alloc(arena, KAP_INTAKE_FIELDS * sizeof *act->fields);
    act->columns = kap_arena_alloc(arena, KAP_INTAKE_FIELDS * sizeof *act->columns);
    return act->fields && act->columns ? KAP_OK : KAP_E_NOMEM;
}

/* A further act that begins as a copy of the first. */
static int act_copy(kap_arena_t *arena, const kap_intake_act_t *from, kap_intake_act_t *act)
{
    int rc = act_new(arena, "", act);
    if (rc != KAP_OK)
        return rc;
    memcpy(act->fields, from->fields, from->count * sizeof *act->fields);
    memcpy(act->columns, from->columns, from->count * sizeof *act->columns);
    act->count = from->count;
    act->verb = from->verb;
    return KAP_OK;
}

/* Sets "field=value field=value" where the row says nothing of the field. */
static int preset(kap_intake_act_t *act, const char *pairs)
{
    static const char *const names[] = {"kind", "origin", "type"};
    while (*pairs) {
        size_t n = strcspn(pairs, "="), end = strcspn(pairs, " ");
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (strlen(names[i]) == n && strncmp(names[i], pairs, n) == 0 &&
                field_at(act, names[i]) == act->count) {
                int rc = kap_intake_act_set(act, names[i], kap_span(pairs + n + 1, end - n - 1));
                if (rc != KAP_OK)
                    return rc;
            }
        pairs += end + (pairs[end] == ' ');
    }
    return KAP_OK;
}

/* --- values --- */

/* Takes the next item of a list; false at the end. */
static bool item_next(kap_span_t *rest, kap_span_t *item)
{
    while (rest->size) {
        size_t n = 0;
        while (n < rest->size && !strchr(",;\n", rest->data[n]))
            n++;
        *item = kap_span_trim(kap_span_sub(*rest, 0, n));
        *rest = kap_span_sub(*rest, n < rest->size ? n + 1 : n, rest->size);
        if (item->size)
            return true;
    }
    return false;
}

static bool is_list(const char *field)
{
    const char *core = strrchr(field, '.') ? strrchr(field, '.') + 1 : field;
    const kap_field_row_t *row = kap_field_row(kap_field_parse(kap_span_str(core)));
    return row && (row->type == KAP_TYPE_CODES || row->type == KAP_TYPE_LIST);
}

/* Each item of a list by the mapping; what stands behind a '=' is left as it is. */
static kap_span_t list_value(const kap_intake_t *intake, const kap_directory_t *directory,
                             const char *field, kap_span_t text, kap_arena_t *arena)
{
    kap_buf_t buf;
    kap_span_t rest = text, item;
    kap_buf_init(&buf);
    while (item_next(&rest, &item)) {
        size_t n = 0;
        while (n < item.size && item.data[n] != '=')
            n++;
        if (buf.size)
            kap_buf_str(&buf, ",");
        kap_buf_append(&buf, kap_mapping_value(intake->opts.mapping, directory, field,
                                               kap_span_trim(kap_span_sub(item, 0, n))));
        kap_buf_append(&buf, kap_span_sub(item, n, item.size));
    }
    kap_span_t value = buf.err ? text : kap_arena_dup(arena, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return value.data ? value : text;
}

static kap_span_t value_of(const kap_intake_t *intake, const kap_directory_t *directory,
                           kap_intake_kind_t kind, const char *field, kap_span_t text,
                           kap_arena_t *arena)
{
    char period[16];
    bool is_end = strcmp(field, "to") == 0 || strcmp(field, "from") == 0;
    if (strcmp(field, "basis.consent_date") == 0 &&
        kap_intake_period(text, kap_span(NULL, 0), period))
        return kap_arena_dup(arena, kap_span_str(period));
    if (is_end && kind == KAP_INTAKE_TALLY) {
        kap_span_t member = kap_mapping_member(intake->opts.mapping, directory, text, true, arena);
        return kap_span_empty(member) ? text : member;
    }
    if (is_list(field))
        return list_value(intake, directory, field, text, arena);
    return kap_mapping_value(intake->opts.mapping, directory, field, text);
}

/* Year and month of two columns, or one of the forms for people, as the protocol writes it. */
static int period_finish(kap_intake_act_t *act, kap_arena_t *arena)
{
    char period[16];
    size_t at = field_at(act, "period");
    kap_span_t year = kap_intake_act_get(act, "year");
    bool only_for_period = kap_span_eq_str(act->verb, "tally");
    if (at == act->count && only_for_period && !kap_span_empty(year)) {
        int rc = act_set_from(act, "period", year, act->columns[field_at(act, "year")]);
        if (rc != KAP_OK)
            return rc;
        at = field_at(act, "period");
    }
    if (at < act->count && kap_intake_period(act->fields[at].value, year, period)) {
        act->fields[at].value = kap_arena_dup(arena, kap_span_str(period));
        if (!act->fields[at].value.data)
            return KAP_E_NOMEM;
    }
    if (only_for_period)
        kap_intake_act_drop(act, "year");
    return KAP_OK;
}

/* A consent that is dated is the basis; a consent of the customer is article 6.1 a. */
static int basis_finish(kap_intake_act_t *act)
{
    int rc = KAP_OK;
    if (!kap_span_empty(kap_intake_act_get(act, "basis.consent_date")) &&
        kap_span_empty(kap_intake_act_get(act, "basis.disclosure")))
        rc = kap_intake_act_set(act, "basis.disclosure", KAP_SPAN("customer_consent"));
    if (rc == KAP_OK &&
        kap_span_eq_str(kap_intake_act_get(act, "basis.disclosure"), "customer_consent") &&
        kap_span_empty(kap_intake_act_get(act, "basis.gdpr")))
        rc = kap_intake_act_set(act, "basis.gdpr", KAP_SPAN("6.1.a"));
    return rc;
}

/* --- a row --- */

/* Everything about one row on its way. */
typedef struct {
    kap_intake_t *intake;
    const kap_directory_t *directory;
    const kap_span_t *cells;
    size_t count;
    kap_arena_t *arena;
    kap_intake_kind_t kind;
    reading_t *reading;
    kap_intake_why_t *why;
} row_t;

static int look_cells(const row_t *row, bool *empty)
{
    *empty = true;
    for (size_t i = 0; i < row->count; i++) {
        if (!kap_span_empty(kap_span_trim(row->cells[i])))
            *empty = false;
        if (kap_personal_code_in(row->cells[i], NULL))
            return refuse(row->why,
                          i < row->intake->count ? row->intake->names[i] : kap_span(NULL, 0),
                          "holds a personal identity code; it may not be given in any field, "
                          "leave it out");
    }
    if (!*empty && row->count != row->intake->count)
        return refuse(row->why, kap_span(NULL, 0),
                      "%zu cells under %zu columns; quote a cell that holds the delimiter",
                      row->count, row->intake->count);
    return KAP_OK;
}

static int look_kind(row_t *row)
{
    int column = row->intake->type_column;
    kap_span_t word = column >= 0 ? kap_span_trim(row->cells[column]) : kap_span(NULL, 0);
    int kind = kap_span_empty(word) ? (int)row->intake->opts.kind : kap_intake_kind_of_word(word);
    kap_span_t name = column >= 0 ? row->intake->names[column] : kap_span(NULL, 0);
    if (kind < 0)
        return refuse(row->why, name,
                      "'%.*s' is no kind of row; say siirto, ohjaus, liidi, vastaus, tukkimies, "
                      "kokous, toimenpide, lausunto, neuvonta, suunnitelma, tunnusluku ...",
                      KAP_SPAN_ARGS(kap_span_sub(word, 0, 60)));
    if (!(row->intake->opts.kinds & (UINT32_C(1) << kind)))
        return refuse(row->why, name, "rows of the kind '%.*s' are not taken by this daemon",
                      (int)strcspn(kinds[kind].words, "|"), kinds[kind].words);
    row->kind = (kap_intake_kind_t)kind;
    return reading_get(row->intake, row->directory, row->kind, &row->reading, row->why);
}

static int look_verb(const row_t *row, const char **verb)
{
    kap_intake_group_t group = kinds[row->kind].group;
    int column = row->reading->answer_column;
    kap_span_t word = column >= 0 ? kap_span_trim(row->cells[column]) : kap_span(NULL, 0);
    kap_span_t name = column >= 0 ? row->intake->names[column] : KAP_SPAN("Vastaus");
    char known[300] = "";
    size_t at = 0;
    *verb = kinds[row->kind].verb;
    if (**verb)
        return KAP_OK;
    for (size_t i = 0; i < ANSWERS; i++) {
        if (answers[i].group != group)
            continue;
        if (kap_span_empty(word) ? group != KAP_GROUP_ANSWER
                                 : kap_mapping_is_word(word, answers[i].words)) {
            *verb = answers[i].verb;
            return KAP_OK;
        }
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "",
                                   answers[i].verb);
    }
    return refuse(row->why, name, "'%.*s' is no answer; say one of %s",
                  KAP_SPAN_ARGS(kap_span_sub(word, 0, 60)), known);
}

/* The fields that every act of the row has. */
static int common_fields(const row_t *row, kap_intake_act_t *act)
{
    const reading_t *r = row->reading;
    int rc = KAP_OK;
    for (size_t i = 0; rc == KAP_OK && i < row->count; i++) {
        const char *field = r->columns[i].field;
        if (r->matrix[i] || (int)i == r->answer_column || (int)i == r->needs_column ||
            (int)i == row->intake->type_column || strcmp(field, "-") == 0)
            continue;
        kap_span_t text = kap_span_trim(row->cells[i]);
        if (kap_span_empty(text) && r->columns[i].constant)
            text = kap_span_str(r->columns[i].constant);
        if (kap_span_empty(text))
            continue;
        if (field == foreign)
            return refuse(row->why, row->intake->names[i],
                          "says something, but rows of this kind have no such column; leave the "
                          "cell empty");
        text = value_of(row->intake, row->directory, row->kind, field, text, row->arena);
        rc = text.data ? act_set_from(act, field, text, (int)i) : KAP_E_NOMEM;
    }
    return rc == KAP_E_LIMIT ? refuse(row->why, kap_span(NULL, 0),
                                      "more than %d cells that say "
                                      "something; cut the row",
                                      KAP_INTAKE_FIELDS)
                             : rc;
}

/* One lead for each need of the company. */
static int split_needs(const row_t *row, kap_intake_act_t *acts, size_t *count)
{
    int column = row->reading->needs_column;
    kap_intake_act_t first = acts[0];
    kap_span_t item, rest = column >= 0 ? row->cells[column] : kap_span(NULL, 0);
    kap_span_t name = column >= 0 ? row->intake->names[column] : KAP_SPAN("Palvelutarpeet");
    *count = 0;
    while (item_next(&rest, &item)) {
        if (*count == KAP_INTAKE_ACTS)
            return refuse(row->why, name, "more than %d needs; cut the row", KAP_INTAKE_ACTS);
        kap_intake_act_t *act = &acts[*count];
        int rc = act_copy(row->intake->scratch, &first, act);
        kap_span_t service =
            kap_mapping_value(row->intake->opts.mapping, row->directory, "needs", item);
        if (rc == KAP_OK)
            rc = act_set_from(act, "service", service, column);
        if (rc != KAP_OK)
            return rc;
        act->column = column;
        act->item = item;
        ++*count;
    }
    if (*count == 0)
        return refuse(row->why, name,
                      "names no need; say the services that the company asked "
                      "for, with commas between");
    return KAP_OK;
}

/* A cell of a tally sheet: "", "0" and "-" say nothing. */
static bool is_nothing(kap_span_t cell)
{
    return kap_span_empty(cell) || kap_span_eq_str(cell, "0") || kap_span_eq_str(cell, "-");
}

static int matrix_act(const row_t *row, const kap_intake_act_t *first, size_t column,
                      kap_intake_act_t *act)
{
    kap_span_t name = kap_span_trim(row->intake->names[column]);
    kap_span_t to =
        kap_mapping_member(row->intake->opts.mapping, row->directory, name, true, row->arena);
    int rc = act_copy(row->intake->scratch, first, act);
    if (rc == KAP_OK)
        rc = kap_span_empty(to) ? act_set_from(act, "period", name, (int)column)
                                : act_set_from(act, "to", to, (int)column);
    if (rc == KAP_OK)
        rc = act_set_from(act, "count", kap_span_trim(row->cells[column]), (int)column);
    act->column = (int)column;
    act->item = row->cells[column];
    return rc;
}

/* One tally for each filled cell under a recipient or a month. */
static int split_matrix(const row_t *row, kap_intake_act_t *acts, size_t *count)
{
    kap_intake_act_t first = acts[0];
    bool has_matrix = false;
    *count = 0;
    for (size_t i = 0; i < row->count; i++) {
        if (!row->reading->matrix[i])
            continue;
        has_matrix = true;
        if (is_nothing(kap_span_trim(row->cells[i])))
            continue;
        int rc = matrix_act(row, &first, i, &acts[*count]);
        if (rc != KAP_OK)
            return rc;
        ++*count;
    }
    if (!has_matrix) {
        acts[0] = first;
        *count = 1;
    }
    return KAP_OK;
}

static int finish(const row_t *row, kap_intake_act_t *act)
{
    int rc = preset(act, kinds[row->kind].preset);
    if (rc == KAP_OK)
        rc = period_finish(act, row->arena);
    if (rc == KAP_OK)
        rc = basis_finish(act);
    if (rc == KAP_OK && row->intake->opts.adapt)
        rc = row->intake->opts.adapt(row->intake->opts.adapt_arg, act, row->arena, row->why);
    if (rc == KAP_E_LIMIT)
        return refuse(row->why, kap_span(NULL, 0), "more than %d cells that say something",
                      KAP_INTAKE_FIELDS);
    return rc;
}

/* A statement row that says what the statement is gives it; else it asks. */
static const char *statement_verb(const row_t *row, const kap_intake_act_t *act, const char *verb)
{
    if (row->kind != KAP_INTAKE_STATEMENT || row->reading->answer_column >= 0)
        return verb;
    return kap_span_empty(kap_intake_act_get(act, "statement_result")) ? "statement-ask"
                                                                       : "statement-give";
}

static int row_acts(row_t *row, kap_intake_act_t *acts, size_t *count)
{
    const char *verb;
    int rc = look_kind(row);
    if (rc == KAP_OK)
        rc = look_verb(row, &verb);
    if (rc == KAP_OK)
        rc = act_new(row->intake->scratch, verb, &acts[0]);
    if (rc == KAP_OK)
        rc = common_fields(row, &acts[0]);
    if (rc != KAP_OK)
        return rc;
    acts[0].verb = kap_span_str(statement_verb(row, &acts[0], verb));
    *count = 1;
    if (row->kind == KAP_INTAKE_HARAVA)
        rc = split_needs(row, acts, count);
    else if (row->kind == KAP_INTAKE_TALLY)
        rc = split_matrix(row, acts, count);
    for (size_t i = 0; rc == KAP_OK && i < *count; i++)
        rc = finish(row, &acts[i]);
    return rc;
}

/* What is kept of the scratch: each act with just its fields. */
static int acts_keep(kap_arena_t *arena, const kap_intake_act_t *acts, size_t count,
                     kap_intake_act_t **out)
{
    kap_intake_act_t *kept = kap_arena_alloc(arena, count * sizeof *kept);
    for (size_t i = 0; kept && i < count; i++) {
        kept[i] = acts[i];
        kept[i].fields = kap_arena_alloc(arena, acts[i].count * sizeof *kept[i].fields);
        kept[i].columns = kap_arena_alloc(arena, acts[i].count * sizeof *kept[i].columns);
        if (!kept[i].fields || !kept[i].columns)
            return KAP_E_NOMEM;
        memcpy(kept[i].fields, acts[i].fields, acts[i].count * sizeof *kept[i].fields);
        memcpy(kept[i].columns, acts[i].columns, acts[i].count * sizeof *kept[i].columns);
    }
    *out = kept;
    return kept ? KAP_OK : KAP_E_NOMEM;
}

int kap_intake_check(kap_intake_t *intake, const kap_directory_t *directory, kap_intake_why_t *why)
{
    reading_t *reading;
    *why = (kap_intake_why_t){0};
    if (intake->type_column >= 0)
        return KAP_OK;
    row_t row = {.intake = intake, .directory = directory, .arena = intake->scratch, .why = why};
    int rc = look_kind(&row);
    return rc == KAP_OK ? reading_get(intake, directory, row.kind, &reading, why) : rc;
}

int kap_intake_row(kap_intake_t *intake, const kap_directory_t *directory, const kap_span_t *cells,
                   size_t count, kap_arena_t *arena, kap_intake_act_t **out, size_t *act_count,
                   kap_intake_why_t *why)
{
    bool empty;
    row_t row = {.intake = intake,
                 .directory = directory,
                 .cells = cells,
                 .count = count,
                 .arena = arena,
                 .why = why};
    *why = (kap_intake_why_t){0};
    *act_count = 0;
    int rc = look_cells(&row, &empty);
    if (rc != KAP_OK || empty)
        return rc;
    kap_arena_reset(intake->scratch);
    kap_intake_act_t *acts = kap_arena_alloc(intake->scratch, KAP_INTAKE_ACTS * sizeof *acts);
    rc = acts ? row_acts(&row, acts, act_count) : KAP_E_NOMEM;
    if (rc == KAP_OK)
        rc = acts_keep(arena, acts, *act_count, out);
    if (rc != KAP_OK)
        *act_count = 0;
    return rc;
}
