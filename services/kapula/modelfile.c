/* SPDX-License-Identifier: MPL-2.0 */
/* kapula plan set --file and its like: every row of a table, said as acts. */
#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "err.h"
#include "followup.h"
#include "ids.h"
#include "model.h"
#include "progress.h"
#include "saying.h"
#include "shown.h"

/* What became of one act of the file. */
typedef enum { NEW, CHANGED, SAME, REPEATED, REFUSED } change_t;

typedef struct {
    int64_t line, act; /* act 0: nothing was said */
    change_t change;
    kap_said_t said;
    uint64_t all, key; /* hashes of what is said, of what identifies it: equal ones are looked at */
} item_t;

/* Rows in force of one region. */
typedef struct force {
    const char *region;
    kap_mp_t rows;
    struct force *next;
} force_t;

typedef struct {
    kap_cli_t *cli;
    kap_model_t model;
    const kap_args_t *args;
    const char *path, *name; /* name: of the file, without its folder */
    kap_sheet_t sheet;
    item_t *items;
    uint32_t count, cap;
    uint32_t rows, headings, queued;
    force_t *forces;
    kap_progress_t progress;
    kap_shown_list_t refusals; /* maps: line, field, sentence */
    int code;                  /* not 0: the node is silent, nothing more is said */
} run_t;

static bool is_dry(const run_t *run)
{
    return kap_args_option(run->args, "dry-run") != NULL;
}

/* --- refusals --- */

static void refuse(run_t *run, int64_t line, kap_span_t field, kap_span_t sentence)
{
    kap_shown_list_t map = {.arena = run->cli->arena};
    kap_progress_end(&run->progress); /* a line of its own; the bar comes back */
    kap_cli_fail(0, "%s:%lld: %.*s%s%.*s", run->path, (long long)line, KAP_SPAN_ARGS(field),
                 field.size ? ": " : "", KAP_SPAN_ARGS(sentence));
    kap_shown_set_int(&map, "line", line);
    if (field.size)
        kap_shown_set_text(&map, "field", kap_arena_dup(run->cli->arena, field));
    kap_shown_set_text(&map, "sentence", kap_arena_dup(run->cli->arena, sentence));
    kap_mp_t made = kap_shown_map(&map);
    kap_shown_add(&run->refusals, &made);
}

static void refuse_item(run_t *run, item_t *item, const char *field, const char *sentence)
{
    item->change = REFUSED;
    refuse(run, item->line, kap_span_str(field), kap_span_str(sentence));
}

/* --- what is in force --- */

/* Empty where it cannot be known: then everything is said, and the last word counts all the same.
 */
static const kap_mp_t *force_of(run_t *run, const char *region)
{
    for (force_t *force = run->forces; force; force = force->next)
        if (strcmp(force->region, region) == 0)
            return &force->rows;
    force_t *force = kap_arena_calloc(run->cli->arena, 1, sizeof *force);
    if (!force)
        return NULL;
    force->region = region;
    kap_model_in_force(run->cli, kap_model_row(run->model)->type, region, true, &force->rows);
    force->next = run->forces;
    run->forces = force;
    return &force->rows;
}

/* --- one act --- */

static bool same_said(const kap_said_t *a, const kap_said_t *b)
{
    bool same = a->count == b->count;
    for (int i = 0; same && i < a->count; i++) {
        const char *other = kap_said(b, a->names[i]);
        same = other && strcmp(other, a->values[i]) == 0;
    }
    return same;
}

static uint64_t hash_of(const kap_said_t *said, const kap_field_t *fields)
{
    uint8_t digest[KAP_HASH_BYTES];
    uint64_t out;
    kap_buf_t text;
    kap_buf_init(&text);
    for (int i = 0; fields && fields[i] != KAP_F_NONE; i++) {
        const char *value = kap_said(said, kap_field_row(fields[i])->wire);
        kap_buf_printf(&text, "%s%c", value ? value : "", 0);
    }
    for (int i = 0; !fields && i < said->count; i++)
        kap_buf_printf(&text, "%s%c%s%c", said->names[i], 0, said->values[i], 0);
    kap_span_t part = kap_buf_span(&text);
    kap_hash256(digest, &part, 1);
    kap_buf_fini(&text);
    memcpy(&out, digest, sizeof out);
    return out;
}

static bool same_key_said(const kap_field_t *fields, const kap_said_t *a, const kap_said_t *b)
{
    for (int i = 0; fields[i] != KAP_F_NONE; i++) {
        const char *name = kap_field_row(fields[i])->wire, *x = kap_said(a, name),
                   *y = kap_said(b, name);
        if ((x == NULL) != (y == NULL) || (x && strcmp(x, y) != 0))
            return false;
    }
    return true;
}

/* Of types whose last value counts: an earlier row of the file says the same thing, or another
 * about the same. */
static bool settle_earlier(run_t *run, item_t *item)
{
    const kap_field_t *fields = kap_followup_key_fields(kap_model_row(run->model)->type);
    for (uint32_t i = 0; fields && i < run->count; i++) {
        const item_t *other = &run->items[i];
        char text[120];
        if (other->change == REFUSED || other->key != item->key ||
            !same_key_said(fields, &other->said, &item->said))
            continue;
        if (same_said(&other->said, &item->said)) {
            item->change = SAME;
            return true;
        }
        snprintf(text, sizeof text, "line %lld says otherwise of the same; leave one of them",
                 (long long)other->line);
        refuse_item(run, item, "", text);
        return true;
    }
    return false;
}

/* New, changed, or as it is in force. */
static void compare(run_t *run, item_t *item)
{
    kap_event_type_t type = kap_model_row(run->model)->type;
    const char *region = kap_said(&item->said, "region");
    bool same = false;
    item->change = NEW;
    if (!kap_followup_key_fields(type) || !region)
        return;
    if (kap_model_find(run->cli, type, force_of(run, region), &item->said, &same))
        item->change = same ? SAME : CHANGED;
}

/* A key made of what is said, of the file's name (or --key), and of how many equal ones stand
 * above it: the same file again, mended or longer, says nothing twice. */
static void content_key(const run_t *run, const item_t *item, char out[KAP_CLI_KEY])
{
    const char *given = kap_args_option(run->args, "key");
    uint8_t digest[KAP_HASH_BYTES];
    uint32_t equal = 0;
    kap_buf_t text;
    char hex[2 * 16 + 1];
    for (uint32_t i = 0; i < run->count; i++)
        equal += run->items[i].all == item->all && same_said(&run->items[i].said, &item->said);
    kap_buf_init(&text);
    kap_buf_printf(&text, "%s%c%s%c%u%c", kap_model_row(run->model)->command, 0,
                   given ? given : run->name, 0, equal, 0);
    for (int i = 0; i < item->said.count; i++)
        kap_buf_printf(&text, "%s%c%s%c", item->said.names[i], 0, item->said.values[i], 0);
    kap_span_t part = kap_buf_span(&text);
    kap_hash256(digest, &part, 1);
    kap_buf_fini(&text);
    kap_hex_encode(digest, 16, hex);
    snprintf(out, KAP_CLI_KEY, "table/%s", hex);
}

static void say_item(run_t *run, item_t *item)
{
    const kap_mp_t *answer;
    char key[KAP_CLI_KEY];
    kap_buf_t map;
    kap_said_t said = item->said;
    kap_said_set(run->cli, &said, "type",
                 kap_span_str(kap_event_type_name(kap_model_row(run->model)->type)));
    if (kap_followup_key_fields(kap_model_row(run->model)->type))
        kap_cli_own_key(key);
    else
        content_key(run, item, key);
    kap_model_stamp(run->cli, run->model, &said);
    kap_cli_say_t say = {.verb = "report",
                         .key = key,
                         .dry = is_dry(run),
                         .names = said.names,
                         .values = said.values,
                         .count = said.count};
    kap_buf_init(&map);
    kap_cli_put_act(&map, &say);
    run->code = kap_cli_ask_quietly(run->cli, KAP_VERB_ACT, kap_buf_span(&map), 0, &answer);
    kap_buf_fini(&map);
    if (run->code != 0) {
        kap_cli_fail(0,
                     "%s:%lld: the node does not answer; say the file again, what it has is not "
                     "said twice",
                     run->path, (long long)item->line);
        return;
    }
    const kap_mp_t *error = kap_mp_get(answer, "error");
    item->act = kap_mp_get_int(answer, "act", 0);
    if (!error && kap_mp_get_bool(answer, "repeated", false))
        item->change = REPEATED;
    if (!error)
        return;
    item->change = REFUSED;
    refuse(run, item->line, kap_mp_get_str(error, "field"), kap_mp_get_str(error, "sentence"));
}

static bool keep_item(run_t *run, const item_t *item)
{
    if (run->count == run->cap) {
        uint32_t cap = run->cap ? run->cap * 2 : 64;
        item_t *grown = kap_arena_alloc(run->cli->arena, cap * sizeof *grown);
        if (!grown)
            return false;
        if (run->count)
            memcpy(grown, run->items, run->count * sizeof *grown);
        run->items = grown;
        run->cap = cap;
    }
    run->items[run->count++] = *item;
    return true;
}

static void take_item(run_t *run, item_t *item)
{
    char why[KAP_MODEL_WHY];
    bool settled = kap_model_settle(run->cli, run->model, true, &item->said, why);
    item->all = hash_of(&item->said, NULL);
    item->key = hash_of(&item->said, kap_followup_key_fields(kap_model_row(run->model)->type));
    if (!settled) {
        refuse_item(run, item, "", why);
    } else if (!settle_earlier(run, item)) {
        compare(run, item);
        if (item->change != SAME)
            say_item(run, item);
    }
    if (run->code == 0 && !keep_item(run, item))
        run->code = kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
}

/* --- rows --- */

/* What statistics and people write where nothing stands. */
static bool is_nothing(kap_span_t cell)
{
    static const char *const marks[] = {"", "-", "–", "—", "..", "...", "…"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (kap_span_eq_str(cell, marks[i]))
            return true;
    return false;
}

/* What the options say, then what the row says over it. */
static void begin_item(const run_t *run, const kap_sheet_row_t *row, item_t *item)
{
    *item = (item_t){.line = row->line};
    for (int i = 0; i < run->args->count; i++)
        if (run->args->said[i].field)
            kap_said_set(run->cli, &item->said, run->args->said[i].field,
                         kap_span_str(run->args->said[i].value));
    for (uint32_t i = 0; i < run->sheet.column_count; i++) {
        const kap_sheet_column_t *column = &run->sheet.columns[i];
        if (column->field && !column->spread && !is_nothing(row->cells[i]))
            kap_said_set(run->cli, &item->said, column->field, row->cells[i]);
    }
}

static void take_row(run_t *run, const kap_sheet_row_t *row)
{
    item_t item;
    bool spreads = false;
    run->rows++;
    if (row->is_heading) {
        run->headings++;
        return;
    }
    for (uint32_t i = 0; run->code == 0 && i < run->sheet.column_count; i++) {
        const kap_sheet_column_t *column = &run->sheet.columns[i];
        if (!column->spread)
            continue;
        spreads = true;
        if (is_nothing(row->cells[i]))
            continue;
        begin_item(run, row, &item);
        kap_said_set(run->cli, &item.said, column->spread, column->said);
        kap_said_set(run->cli, &item.said, column->field, row->cells[i]);
        take_item(run, &item);
    }
    if (spreads)
        return;
    begin_item(run, row, &item);
    take_item(run, &item);
}

static void take_rows(run_t *run)
{
    kap_progress_begin(&run->progress, run->name, run->sheet.row_count);
    for (uint32_t i = 0; run->code == 0 && i < run->sheet.row_count; i++) {
        take_row(run, &run->sheet.rows[i]);
        kap_progress_update(&run->progress, i + 1);
    }
    kap_progress_end(&run->progress);
}

/* The broker's verdicts on what was said; a silent broker is waited for once. */
static void await_fates(run_t *run)
{
    for (uint32_t i = 0; i < run->count; i++) {
        item_t *item = &run->items[i];
        const kap_mp_t *fate;
        if (item->act == 0 || item->change == REFUSED)
            continue;
        bool waits = run->queued == 0 && !kap_args_option(run->args, "no-wait");
        if (!waits || kap_cli_await_fate(run->cli, item->act, &fate) != 0) {
            run->queued++;
        } else if (kap_span_eq_str(kap_mp_get_str(fate, "fate"), "refused")) {
            item->change = REFUSED;
            refuse(run, item->line, kap_span_str(""), kap_mp_get_str(fate, "sentence"));
        }
    }
}

/* --- telling --- */

static uint32_t count_of(const run_t *run, change_t change)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < run->count; i++)
        n += run->items[i].change == change;
    return n;
}

static const char *coding_text(const run_t *run)
{
    static const char *const texts[] = {"UTF-8", "UTF-8 (BOM)", "Windows-1252"};
    return texts[run->sheet.coding];
}

/* Titles with what they say, or of those that say nothing. */
static kap_span_t columns_text(const run_t *run, bool used)
{
    kap_buf_t text;
    kap_buf_init(&text);
    for (uint32_t i = 0; i < run->sheet.column_count; i++) {
        const kap_sheet_column_t *column = &run->sheet.columns[i];
        if ((column->field != NULL) != used || kap_span_empty(column->title))
            continue;
        kap_buf_printf(&text, "%s%.*s", text.size ? ", " : "", KAP_SPAN_ARGS(column->title));
        if (column->field)
            kap_buf_printf(&text, " = %s", column->spread ? column->spread : column->field);
    }
    kap_span_t made = kap_arena_dup(run->cli->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return made;
}

/* The same to programs: titles, of used ones with the field that they say. */
static kap_mp_t columns_of(const run_t *run, bool used)
{
    kap_shown_list_t list = {.arena = run->cli->arena};
    for (uint32_t i = 0; i < run->sheet.column_count; i++) {
        const kap_sheet_column_t *column = &run->sheet.columns[i];
        kap_shown_list_t map = {.arena = run->cli->arena};
        if ((column->field != NULL) != used || kap_span_empty(column->title))
            continue;
        kap_mp_t made = {.kind = KAP_MP_STR, .s = column->title};
        if (used) {
            kap_shown_set_text(&map, "title", column->title);
            kap_shown_set_text(&map, "field",
                               kap_span_str(column->spread ? column->spread : column->field));
            made = kap_shown_map(&map);
        }
        kap_shown_add(&list, &made);
    }
    return kap_shown_array(&list);
}

static void line(const run_t *run, kap_word_t word, kap_span_t text)
{
    enum { LABEL = 14 };
    kap_shown_line(0, LABEL, kap_span_str(kap_shown_word(run->cli, word)), text);
}

static void print_reading(const run_t *run)
{
    const kap_sheet_t *sheet = &run->sheet;
    char text[120];
    snprintf(text, sizeof text, "%s, %s", coding_text(run),
             sheet->delimiter == '\t'  ? "tab"
             : sheet->delimiter == ';' ? "';'"
                                       : "','");
    line(run, KAP_WORD_READ_AS, kap_span_str(text));
    snprintf(text, sizeof text, "%s %lld", kap_shown_word(run->cli, KAP_WORD_ON_LINE),
             (long long)sheet->header_line);
    size_t at = strlen(text);
    if (sheet->passed_over)
        snprintf(text + at, sizeof text - at, "; %s %u",
                 kap_shown_word(run->cli, KAP_WORD_PASSED_OVER), sheet->passed_over);
    line(run, KAP_WORD_HEADER, kap_span_str(text));
    line(run, KAP_WORD_COLUMNS, columns_text(run, true));
    line(run, KAP_WORD_NOT_USED, columns_text(run, false));
}

static void add_count(const run_t *run, kap_buf_t *text, uint32_t n, kap_word_t word)
{
    if (n > 0)
        kap_buf_printf(text, "%s%u %s", text->size ? ", " : "", n, kap_shown_word(run->cli, word));
}

static void print_counts(const run_t *run)
{
    kap_buf_t text;
    kap_buf_init(&text);
    bool dry = is_dry(run);
    add_count(run, &text, count_of(run, NEW), dry ? KAP_WORD_WOULD_BE_SAID : KAP_WORD_SAID);
    add_count(run, &text, count_of(run, CHANGED), dry ? KAP_WORD_WOULD_CHANGE : KAP_WORD_CHANGED);
    add_count(run, &text, count_of(run, SAME), KAP_WORD_AS_IT_WAS);
    add_count(run, &text, count_of(run, REPEATED), KAP_WORD_SAID_BEFORE);
    add_count(run, &text, count_of(run, REFUSED), KAP_WORD_WERE_REFUSED);
    add_count(run, &text, run->headings, KAP_WORD_HEADINGS);
    add_count(run, &text, run->sheet.totals, KAP_WORD_TOTALS);
    add_count(run, &text, dry ? 0 : run->queued, KAP_WORD_STILL_QUEUED);
    line(run, KAP_WORD_ROWS, kap_buf_span(&text));
    kap_buf_fini(&text);
}

/* What a row is about, in a few words. */
static const char *about(const item_t *item)
{
    if (item->change == REFUSED) /* it may hold what must not be told: see its line */
        return "";
    static const char *const names[] = {"what",    "name", "indicator", "question", "target",
                                        "segment", "item", "service",   "origin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kap_said(&item->said, names[i]))
            return kap_said(&item->said, names[i]);
    return "";
}

/* Line, what would happen, what about: of a dry run; to JSON the fields too. */
static kap_mp_t items_of(const run_t *run)
{
    static const char *const names[] = {"new", "changed", "same", "repeated", "refused"};
    kap_shown_list_t list = {.arena = run->cli->arena};
    bool json = run->cli->format == KAP_FORMAT_JSON;
    for (uint32_t i = 0; i < run->count; i++) {
        const item_t *item = &run->items[i];
        kap_shown_list_t map = {.arena = run->cli->arena}, fields = {.arena = run->cli->arena};
        kap_shown_set_int(&map, "line", item->line);
        kap_span_t change = kap_span_str(names[item->change]);
        kap_shown_set_text(&map, "change", json ? change : kap_shown_key(run->cli, change));
        kap_shown_set_text(&map, "about", kap_span_str(about(item)));
        for (int k = 0; k < item->said.count; k++)
            kap_shown_set_text(&fields, item->said.names[k], kap_span_str(item->said.values[k]));
        kap_mp_t said = kap_shown_map(&fields);
        if (json && item->change != REFUSED)
            kap_shown_set(&map, "fields", &said);
        kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(&list, &made);
    }
    return kap_shown_array(&list);
}

static void print_json(const run_t *run)
{
    kap_shown_list_t map = {.arena = run->cli->arena};
    kap_mp_t items = items_of(run), refusals = kap_shown_array(&run->refusals);
    char delimiter[] = {run->sheet.delimiter, '\0'};
    kap_shown_set_text(&map, "coding", kap_span_str(coding_text(run)));
    kap_shown_set_text(&map, "delimiter", kap_span_str(delimiter));
    kap_shown_set_int(&map, "header_line", run->sheet.header_line);
    kap_shown_set_int(&map, "passed_over", run->sheet.passed_over);
    kap_mp_t columns = columns_of(run, true), not_used = columns_of(run, false);
    kap_shown_set(&map, "columns", &columns);
    kap_shown_set(&map, "not_used", &not_used);
    kap_shown_set_int(&map, "rows", run->rows);
    kap_shown_set_int(&map, "headings", run->headings);
    kap_shown_set_int(&map, "totals", run->sheet.totals);
    kap_shown_set_int(&map, "said", count_of(run, NEW) + count_of(run, CHANGED));
    kap_shown_set_int(&map, "same", count_of(run, SAME));
    kap_shown_set_int(&map, "repeated", count_of(run, REPEATED));
    kap_shown_set_int(&map, "refused", count_of(run, REFUSED));
    kap_shown_set_int(&map, "queued", is_dry(run) ? 0 : run->queued);
    kap_shown_set(&map, "refusals", &refusals);
    kap_shown_set(&map, "items", &items);
    kap_mp_t root = kap_shown_map(&map);
    kap_cli_print_json(&root, stdout);
}

static int tell(run_t *run)
{
    static const kap_shown_column_t columns[] = {
        {.key = "line", .right = true}, {.key = "change"}, {.key = "about"}, {.key = NULL}};
    if (run->cli->format == KAP_FORMAT_JSON) {
        print_json(run);
    } else {
        kap_mp_t items = items_of(run);
        print_reading(run);
        if (is_dry(run) && items.count > 0)
            kap_shown_rows(run->cli, "items", &items, columns);
        print_counts(run);
    }
    fflush(stdout);
    bool any = run->count > count_of(run, REFUSED);
    return run->code != 0                       ? run->code
           : count_of(run, REFUSED) > 0 || !any ? KAP_EXIT_REFUSED
                                                : KAP_EXIT_DONE;
}

/* --- the file --- */

static int read_sheet(run_t *run, kap_span_t bytes)
{
    const kap_sheet_want_t *want = &kap_model_row(run->model)->sheet;
    kap_buf_t why;
    kap_buf_init(&why);
    int rc = kap_sheet_read(bytes, want, run->cli->arena, &run->sheet, &why);
    if (rc != KAP_OK)
        run->code = kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s", run->path,
                                 why.size ? kap_buf_cstr(&why) : kap_err_text(rc));
    else if (run->sheet.row_count == 0)
        run->code =
            kap_cli_fail(KAP_EXIT_REFUSED, "%s: nothing stands below the header on line %lld",
                         run->path, (long long)run->sheet.header_line);
    kap_buf_fini(&why);
    return run->code;
}

int kap_model_file(kap_cli_t *cli, kap_model_t model, const kap_args_t *args, const char *path)
{
    const char *slash = strrchr(path, '/');
    run_t run = {.cli = cli,
                 .model = model,
                 .args = args,
                 .path = path,
                 .name = slash ? slash + 1 : path,
                 .refusals = {.arena = cli->arena}};
    kap_buf_t bytes;
    int code = kap_cli_needs_node(cli, "can say");
    if (code != 0)
        return code;
    kap_buf_init(&bytes);
    int rc = kap_cli_read_file(path, &bytes);
    if (rc != KAP_OK)
        code = kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", path, kap_err_text(rc));
    else
        code = read_sheet(&run, kap_buf_span(&bytes));
    if (code == 0) {
        take_rows(&run);
        if (!is_dry(&run))
            await_fates(&run);
        code = tell(&run);
    }
    kap_buf_fini(&bytes);
    return code;
}
