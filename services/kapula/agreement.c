/* SPDX-License-Identifier: MPL-2.0 */
/* kapula agreement check|set|show: a region's agreement as a file, and what is in force. */
#include "agreement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "gathered.h"
#include "modelvalue.h"
#include "saying.h"

typedef enum { NEW, CHANGED, ENDED, SAME, OPERATOR } change_t;

typedef struct {
    change_t change;
    kap_clause_t clause; /* as the file has it; of an ended one as it was */
    kap_clause_t was;    /* CHANGED, OPERATOR */
    int64_t act;
    bool refused;
} difference_t;

typedef struct {
    kap_cli_t *cli;
    const char *region, *path;
    kap_directory_t *dir;
    kap_agreement_t file, is; /* is: all of it, also what has ended */
    kap_gathered_t gathered;  /* forums with all their fields */
    difference_t *differences;
    uint32_t count, refused, queued;
} run_t;

/* --- what is in force --- */

static void said_of(kap_cli_t *cli, const kap_mp_t *data, kap_said_t *said)
{
    for (uint32_t i = 0; data && i < data->count; i++) {
        kap_field_t field = kap_field_parse(kap_mp_key(data, i)->s);
        const kap_field_row_t *row = kap_field_row(field);
        kap_buf_t text;
        if (!row || field == KAP_F_REGION)
            continue;
        kap_buf_init(&text);
        kap_value_text(kap_mp_value(data, i), &text);
        kap_said_set(cli, said, row->wire, kap_buf_span(&text));
        kap_buf_fini(&text);
    }
}

static const char *today(char out[KAP_TIME_TEXT], int days)
{
    kap_date_t date = kap_date_of(KAP_ZONE_HELSINKI, kap_clock_now_ms(kap_clock_system()));
    kap_date_format(kap_date_add(date, days), out);
    return out;
}

/* Still agreed, today or from a later day on. */
static bool holds(const kap_clause_t *clause)
{
    char day[KAP_TIME_TEXT];
    const char *last = kap_said(&clause->said, "valid_to"),
               *agreed = kap_said(&clause->said, "agreed"),
               *ended = kap_said(&clause->said, "ended");
    return !(agreed && strcmp(agreed, "true") != 0) && !(ended && strcmp(ended, "true") == 0) &&
           !(last && strcmp(last, today(day, 0)) < 0);
}

static int read_rows(run_t *run, kap_clause_kind_t kind)
{
    kap_mp_t rows;
    int code = kap_model_in_force(run->cli, kap_clause_type(kind), run->region, false, &rows);
    for (uint32_t i = 0; code == 0 && i < rows.count; i++) {
        kap_clause_t clause = {.kind = kind};
        said_of(run->cli, kap_mp_get(kap_mp_item(&rows, i), "data"), &clause.said);
        if (!kap_agreement_add(run->cli, &run->is, &clause))
            code = kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    }
    return code;
}

/* The feed empties the cli's arena again and again: it gets one of its own. */
static int gather(run_t *run)
{
    kap_arena_t *ours = run->cli->arena;
    run->cli->arena = kap_arena_new(65536);
    int code = run->cli->arena ? kap_gathered_read(run->cli, run->region, &run->gathered)
                               : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    kap_arena_destroy(&run->cli->arena);
    run->cli->arena = ours;
    return code;
}

static int read_forums(run_t *run)
{
    int code = gather(run);
    const kap_shown_list_t *forums = &run->gathered.kinds[KAP_GATHERED_FORUMS];
    for (uint32_t i = 0; code == 0 && i < forums->used; i++) {
        kap_clause_t clause = {.kind = KAP_CLAUSE_FORUM};
        said_of(run->cli, &forums->items[i], &clause.said);
        kap_said_set(run->cli, &clause.said, "ended",
                     kap_mp_get_bool(&forums->items[i], "ended", false) ? KAP_SPAN("true")
                                                                        : kap_span("", 0));
        if (!kap_agreement_add(run->cli, &run->is, &clause))
            code = kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    }
    return code;
}

static void add_setting(run_t *run, const char *name, int64_t value)
{
    kap_clause_t clause = {.kind = KAP_CLAUSE_LIMIT};
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    kap_said_set(run->cli, &clause.said, "limit", kap_span_str(name));
    kap_said_set(run->cli, &clause.said, "value", kap_span_str(text));
    kap_agreement_add(run->cli, &run->is, &clause);
}

static void read_settings(run_t *run)
{
    enum { HOUR_MS = 3600000 };
    const kap_region_t *region = kap_directory_region(run->dir, kap_span_str(run->region));
    kap_clause_t clause = {.kind = KAP_CLAUSE_VISIBILITY};
    if (!region)
        return;
    add_setting(run, "undelivered", region->undelivered_ms / HOUR_MS);
    add_setting(run, "unanswered", region->unanswered_days);
    add_setting(run, "uncontacted", region->uncontacted_days);
    add_setting(run, "silent", region->silent_days);
    add_setting(run, "hidden", region->hidden_below);
    kap_said_set(run->cli, &clause.said, "visibility",
                 kap_span_str(kap_code_name(KAP_LIST_VISIBILITY, region->visibility)));
    kap_agreement_add(run->cli, &run->is, &clause);
}

static int read_in_force(run_t *run)
{
    int code = read_rows(run, KAP_CLAUSE_AGREED);
    if (code == 0)
        code = read_rows(run, KAP_CLAUSE_TARGET);
    if (code == 0)
        code = read_forums(run);
    if (code == 0 && run->is.count > 1)
        qsort(run->is.clauses, run->is.count, sizeof *run->is.clauses, kap_clause_order);
    if (code == 0)
        read_settings(run);
    return code;
}

/* --- show --- */

static kap_mp_t clause_map(const run_t *run, const kap_clause_t *clause)
{
    kap_shown_list_t map = {.arena = run->cli->arena};
    for (int i = 0; i < clause->said.count; i++)
        kap_shown_set_text(&map, clause->said.names[i], kap_span_str(clause->said.values[i]));
    return kap_shown_map(&map);
}

static kap_span_t clause_text(const run_t *run, const kap_clause_t *clause)
{
    kap_buf_t text;
    kap_buf_init(&text);
    kap_clause_print(run->cli, clause, &text);
    kap_span_t made = kap_arena_dup(run->cli->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return made;
}

static void print_file(const run_t *run)
{
    char day[KAP_TIME_TEXT];
    kap_clause_t region = {.kind = KAP_CLAUSE_REGION};
    kap_span_t word = clause_text(run, &region);
    int last = -1;
    printf("# %s %s\n", kap_shown_word(run->cli, KAP_WORD_AGREEMENT_OF), today(day, 0));
    printf("%.*s%s\n", KAP_SPAN_ARGS(word), run->region);
    for (uint32_t i = 0; i < run->is.count; i++) {
        const kap_clause_t *clause = &run->is.clauses[i];
        if (!holds(clause))
            continue;
        if ((int)clause->kind != last)
            putchar('\n');
        last = (int)clause->kind;
        kap_span_t text = clause_text(run, clause);
        printf("%.*s\n", KAP_SPAN_ARGS(text));
    }
}

static int show(run_t *run)
{
    kap_shown_list_t list = {.arena = run->cli->arena}, root = {.arena = run->cli->arena};
    if (run->cli->format != KAP_FORMAT_JSON) {
        print_file(run);
        return KAP_EXIT_DONE;
    }
    for (uint32_t i = 0; i < run->is.count; i++) {
        kap_shown_list_t map = {.arena = run->cli->arena};
        if (!holds(&run->is.clauses[i]))
            continue;
        kap_mp_t fields = clause_map(run, &run->is.clauses[i]);
        kap_shown_set_text(&map, "line", clause_text(run, &run->is.clauses[i]));
        kap_shown_set(&map, "fields", &fields);
        kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(&list, &made);
    }
    kap_mp_t clauses = kap_shown_array(&list);
    kap_shown_set_text(&root, "region", kap_span_str(run->region));
    kap_shown_set(&root, "clauses", &clauses);
    kap_mp_t made = kap_shown_map(&root);
    kap_cli_print_json(&made, stdout);
    return KAP_EXIT_DONE;
}

/* --- differences --- */

static void add_difference(run_t *run, change_t change, const kap_clause_t *clause,
                           const kap_clause_t *was)
{
    difference_t *d = &run->differences[run->count++];
    *d = (difference_t){.change = change, .clause = *clause};
    if (was)
        d->was = *was;
}

static const kap_clause_t *find(const kap_agreement_t *agreement, const kap_clause_t *clause)
{
    for (uint32_t i = 0; i < agreement->count; i++)
        if (kap_clause_same_subject(&agreement->clauses[i], clause))
            return &agreement->clauses[i];
    return NULL;
}

static void compare_clause(run_t *run, const kap_clause_t *clause)
{
    const kap_clause_t *is = find(&run->is, clause);
    bool directory = kap_clause_type(clause->kind) == KAP_EV_NONE;
    bool ends = clause->kind != KAP_CLAUSE_FORUM && kap_said(&clause->said, "ended");
    if (directory)
        add_difference(run, is && kap_clause_same(clause, is) ? SAME : OPERATOR, clause, is);
    else if (ends)
        add_difference(run, is && holds(is) ? ENDED : SAME, is ? is : clause, NULL);
    else if (!is)
        add_difference(run, NEW, clause, NULL);
    else
        add_difference(run, kap_clause_same(clause, is) ? SAME : CHANGED, clause, is);
}

static bool speaks_of(const kap_agreement_t *file, kap_clause_kind_t kind)
{
    for (uint32_t i = 0; i < file->count; i++)
        if (file->clauses[i].kind == kind)
            return true;
    return false;
}

/* Pairs and targets in force that the file leaves out have ended, when it speaks of any such;
 * forums only where it says so: they are others' too. */
static int compare(run_t *run)
{
    size_t most = run->file.count + run->is.count + 1;
    run->differences = kap_arena_calloc(run->cli->arena, most, sizeof *run->differences);
    if (!run->differences)
        return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    for (uint32_t i = 0; i < run->file.count; i++)
        compare_clause(run, &run->file.clauses[i]);
    for (uint32_t i = 0; i < run->is.count; i++) {
        const kap_clause_t *is = &run->is.clauses[i];
        bool listed = is->kind == KAP_CLAUSE_AGREED || is->kind == KAP_CLAUSE_TARGET;
        if (listed && speaks_of(&run->file, is->kind) && holds(is) && !find(&run->file, is))
            add_difference(run, ENDED, is, NULL);
    }
    return 0;
}

/* Where the directory keeps it. */
static void setting_path(const run_t *run, const kap_clause_t *clause, char out[200])
{
    const char *limit = kap_said(&clause->said, "limit");
    const char *end = !limit                              ? "visibility"
                      : strcmp(limit, "undelivered") == 0 ? "undelivered_hours"
                      : strcmp(limit, "hidden") == 0      ? "hidden_below"
                                                          : NULL;
    snprintf(out, 200, "regions[%.80s].settings.%s%s = %s", run->region, end ? end : limit,
             end ? "" : "_days", kap_said(&clause->said, limit ? "value" : "visibility"));
}

static void print_difference(const run_t *run, const difference_t *d)
{
    char path[200];
    kap_span_t is = clause_text(run, &d->clause);
    kap_span_t was = d->was.said.count ? clause_text(run, &d->was) : kap_span("", 0);
    if (d->change == CHANGED || d->change == OPERATOR)
        kap_shown_line(0, 2, KAP_SPAN("-"), was);
    if (d->change != SAME)
        kap_shown_line(0, 2, d->change == ENDED ? KAP_SPAN("-") : KAP_SPAN("+"), is);
    if (d->change != OPERATOR)
        return;
    setting_path(run, &d->clause, path);
    printf("  %s\n", kap_shown_word(run->cli, KAP_WORD_OPERATOR_CHANGES));
    kap_shown_line(4, 0, kap_span("", 0), kap_span_str(path));
}

/* --- saying --- */

/* Everything that a forum said of itself, and over it what the file says. */
static void whole_forum(const run_t *run, const kap_clause_t *was, const kap_clause_t *clause,
                        kap_said_t *said)
{
    *said = was->said;
    for (int i = 0; i < clause->said.count; i++)
        kap_said_set(run->cli, said, clause->said.names[i], kap_span_str(clause->said.values[i]));
    if (kap_said(&clause->said, "rrule")) /* a rule and dates exclude each other */
        kap_said_set(run->cli, said, "dates", kap_span("", 0));
    if (kap_said(&clause->said, "dates")) {
        kap_said_set(run->cli, said, "rrule", kap_span("", 0));
        kap_said_set(run->cli, said, "dtstart", kap_span("", 0));
    }
}

/* What is said of a clause that is agreed no more. */
static void end_said(const run_t *run, const kap_clause_t *clause, kap_said_t *said)
{
    char day[KAP_TIME_TEXT];
    *said = clause->said;
    if (clause->kind == KAP_CLAUSE_AGREED) {
        kap_said_set(run->cli, said, "agreed", KAP_SPAN("false"));
        return;
    }
    today(day, -1);
    const char *first = kap_said(said, "valid_from");
    if (first && strcmp(first, day) > 0)
        kap_said_set(run->cli, said, "valid_from", kap_span("", 0));
    kap_said_set(run->cli, said, "valid_to", kap_span_str(day));
}

static void refused(run_t *run, difference_t *d, const kap_mp_t *error)
{
    kap_span_t sentence = kap_mp_get_str(error, "sentence");
    kap_span_t text = clause_text(run, &d->clause);
    d->refused = true;
    run->refused++;
    if (d->clause.line)
        kap_cli_fail(0, "%s:%lld: %.*s", run->path, (long long)d->clause.line,
                     KAP_SPAN_ARGS(sentence));
    else
        kap_cli_fail(0, "%.*s: %.*s", KAP_SPAN_ARGS(text), KAP_SPAN_ARGS(sentence));
}

static int say(run_t *run, difference_t *d)
{
    const kap_mp_t *answer;
    bool forum = d->clause.kind == KAP_CLAUSE_FORUM;
    char key[KAP_CLI_KEY];
    kap_said_t said = d->clause.said;
    kap_buf_t map;
    if (d->change == ENDED)
        end_said(run, &d->clause, &said);
    else if (forum && d->change == CHANGED)
        whole_forum(run, &d->was, &d->clause, &said);
    kap_said_set(run->cli, &said, "region", kap_span_str(run->region));
    if (!forum)
        kap_said_set(run->cli, &said, "type",
                     kap_span_str(kap_event_type_name(kap_clause_type(d->clause.kind))));
    kap_cli_own_key(key);
    kap_cli_say_t act = {.verb = forum ? "forum" : "report",
                         .key = key,
                         .names = said.names,
                         .values = said.values,
                         .count = said.count};
    kap_buf_init(&map);
    kap_cli_put_act(&map, &act);
    int code = kap_cli_ask_quietly(run->cli, KAP_VERB_ACT, kap_buf_span(&map), 0, &answer);
    kap_buf_fini(&map);
    if (code != 0)
        return kap_cli_fail(code,
                            "%s: the node does not answer; set the file again, what is in "
                            "force is not said twice",
                            run->path);
    if (kap_mp_get(answer, "error"))
        refused(run, d, kap_mp_get(answer, "error"));
    else
        d->act = kap_mp_get_int(answer, "act", 0);
    return 0;
}

static int say_all(run_t *run)
{
    int code = 0;
    for (uint32_t i = 0; i < run->count && code == 0; i++)
        if (run->differences[i].change <= ENDED)
            code = say(run, &run->differences[i]);
    for (uint32_t i = 0; i < run->count && code == 0; i++) {
        const kap_mp_t *fate;
        if (run->differences[i].act == 0)
            continue;
        if (run->queued || kap_cli_await_fate(run->cli, run->differences[i].act, &fate) != 0)
            run->queued++;
        else if (kap_span_eq_str(kap_mp_get_str(fate, "fate"), "refused"))
            refused(run, &run->differences[i], fate);
    }
    return code;
}

static void add_count(const run_t *run, kap_buf_t *text, uint32_t n, kap_word_t word)
{
    if (n > 0)
        kap_buf_printf(text, "%s%u %s", text->size ? ", " : "", n, kap_shown_word(run->cli, word));
}

/* Differences of a kind that were not refused. */
static uint32_t taken(const run_t *run, change_t change)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < run->count; i++)
        n += run->differences[i].change == change && !run->differences[i].refused;
    return n;
}

static void print_counts(const run_t *run, bool dry)
{
    kap_buf_t text;
    kap_buf_init(&text);
    add_count(run, &text, taken(run, NEW), KAP_WORD_NEW_CLAUSES);
    add_count(run, &text, taken(run, CHANGED), KAP_WORD_CHANGED);
    add_count(run, &text, taken(run, ENDED), KAP_WORD_ENDED_CLAUSES);
    add_count(run, &text, taken(run, SAME), KAP_WORD_AS_IT_WAS);
    add_count(run, &text, taken(run, OPERATOR), KAP_WORD_FOR_THE_OPERATOR);
    add_count(run, &text, run->refused, KAP_WORD_WERE_REFUSED);
    add_count(run, &text, run->queued, KAP_WORD_STILL_QUEUED);
    kap_shown_line(0, 0, kap_span("", 0), kap_buf_span(&text));
    if (dry)
        kap_shown_line(0, 0, kap_span("", 0),
                       kap_span_str(kap_shown_word(run->cli, KAP_WORD_NOTHING_SAID)));
    kap_buf_fini(&text);
}

static void print_json(const run_t *run)
{
    static const char *const names[] = {"new", "changed", "ended", "same", "operator"};
    kap_shown_list_t list = {.arena = run->cli->arena}, root = {.arena = run->cli->arena};
    for (uint32_t i = 0; i < run->count; i++) {
        const difference_t *d = &run->differences[i];
        kap_shown_list_t map = {.arena = run->cli->arena};
        kap_shown_set_text(&map, "change", kap_span_str(names[d->change]));
        kap_shown_set_text(&map, "clause", clause_text(run, &d->clause));
        if (d->was.said.count)
            kap_shown_set_text(&map, "was", clause_text(run, &d->was));
        if (d->clause.line)
            kap_shown_set_int(&map, "line", d->clause.line);
        kap_mp_t refused_one = {.kind = KAP_MP_BOOL, .b = d->refused};
        kap_shown_set(&map, "refused", &refused_one);
        kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(&list, &made);
    }
    kap_mp_t changes = kap_shown_array(&list);
    kap_shown_set_text(&root, "region", kap_span_str(run->region));
    kap_shown_set_int(&root, "said", taken(run, NEW) + taken(run, CHANGED) + taken(run, ENDED));
    kap_shown_set_int(&root, "same", taken(run, SAME));
    kap_shown_set_int(&root, "operator", taken(run, OPERATOR));
    kap_shown_set_int(&root, "refused", run->refused);
    kap_shown_set_int(&root, "queued", run->queued);
    kap_shown_set(&root, "changes", &changes);
    kap_mp_t made = kap_shown_map(&root);
    kap_cli_print_json(&made, stdout);
}

static int set(run_t *run, bool dry)
{
    bool json = run->cli->format == KAP_FORMAT_JSON;
    int code = compare(run);
    for (uint32_t i = 0; code == 0 && !json && i < run->count; i++)
        print_difference(run, &run->differences[i]);
    fflush(stdout);
    if (code == 0 && !dry)
        code = say_all(run);
    if (json)
        print_json(run);
    else
        print_counts(run, dry);
    return code == 0 && run->refused > 0 ? KAP_EXIT_REFUSED : code;
}

/* --- the file --- */

/* What a member does not offer can be agreed on, but hardly be meant. */
static void note_services(const run_t *run, const kap_clause_t *clause)
{
    const char *to = kap_said(&clause->said, "to"), *services = kap_said(&clause->said, "services");
    const kap_member_t *member = run->dir ? kap_directory_member(run->dir, kap_span_str(to)) : NULL;
    for (int code = 0; member && services && code < KAP_SERVICE_COUNT; code++) {
        const char *name = kap_code_name(KAP_LIST_SERVICE, code), *at = strstr(services, name);
        size_t n = strlen(name);
        bool named = at && (at == services || at[-1] == ' ') && (at[n] == ',' || at[n] == '\0');
        if (named && !kap_member_offers(member, code))
            printf("%s:%lld: %s %s %s\n", run->path, (long long)clause->line, to,
                   kap_shown_word(run->cli, KAP_WORD_DOES_NOT_OFFER), name);
    }
}

static int tell_check(run_t *run)
{
    kap_shown_list_t root = {.arena = run->cli->arena};
    kap_mp_t messages = kap_shown_array(&run->file.messages);
    if (run->cli->format == KAP_FORMAT_JSON) {
        kap_shown_set_text(&root, "region", kap_span_str(run->file.region ? run->file.region : ""));
        kap_shown_set_int(&root, "clauses", run->file.count);
        kap_shown_set_int(&root, "wrong", run->file.wrong);
        kap_shown_set(&root, "messages", &messages);
        kap_mp_t made = kap_shown_map(&root);
        kap_cli_print_json(&made, stdout);
        return KAP_EXIT_DONE;
    }
    for (uint32_t i = 0; i < run->file.count; i++)
        if (run->file.clauses[i].kind == KAP_CLAUSE_AGREED)
            note_services(run, &run->file.clauses[i]);
    if (!run->dir)
        puts(kap_shown_word(run->cli, KAP_WORD_NAMES_NOT_CHECKED));
    printf("%s: %u %s, %u %s\n", run->path, run->file.count,
           kap_shown_word(run->cli, KAP_WORD_CLAUSES), run->file.wrong,
           kap_shown_word(run->cli, KAP_WORD_WRONG));
    return KAP_EXIT_DONE;
}

static int read_file(run_t *run)
{
    kap_buf_t bytes;
    kap_buf_init(&bytes);
    int rc = kap_cli_read_file(run->path, &bytes);
    int code = rc == KAP_OK ? 0 : KAP_EXIT_USAGE;
    if (rc == KAP_OK)
        rc = kap_agreement_read(run->cli, run->dir, run->path, kap_buf_span(&bytes), &run->file);
    kap_buf_fini(&bytes);
    if (rc != KAP_OK)
        return kap_cli_fail(code ? code : KAP_EXIT_REFUSED, "%s: %s", run->path, kap_err_text(rc));
    return 0;
}

static void run_free(run_t *run)
{
    if (run->gathered.arena)
        kap_gathered_free(&run->gathered);
    if (run->dir)
        kap_directory_unref(&run->dir);
}

/* The file names its region; else it is that of the option or the configuration. */
static int choose_region(run_t *run, const char *given)
{
    run->region = run->file.region ? run->file.region : kap_cli_region(run->cli, given);
    if (!run->region)
        return KAP_EXIT_USAGE;
    if (!kap_directory_region(run->dir, kap_span_str(run->region)))
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "there is no region %s; `kapula directory` lists them", run->region);
    return 0;
}

static int cmd_check(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"agreement check", "FILE", 1, 1,
                                      "Reads an agreement's file and says what is wrong with it."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    run_t run = {.cli = cli, .path = args.words[0]};
    int code = kap_cli_configure(cli);
    if (code == 0 && kap_cli_directory(cli))
        run.dir = kap_directory_ref(cli->directory);
    if (code == 0)
        code = read_file(&run);
    if (code == 0)
        code = tell_check(&run);
    if (code == 0 && run.file.wrong > 0)
        code = KAP_EXIT_REFUSED;
    run_free(&run);
    return code;
}

static int cmd_set(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "agreement set", "FILE", 1, 1,
        "Says what an agreement's file has otherwise than what is in force.\v"
        "It shows the difference first. Limits and visibility stand in the directory: it tells "
        "what the operator has to change there."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    run_t run = {.cli = cli, .path = args.words[0]};
    int code = kap_cli_needs_node(cli, "can say");
    if (code == 0)
        code = kap_cli_ask_directory(cli, &run.dir);
    if (code == 0)
        code = read_file(&run);
    if (code == 0 && run.file.wrong > 0)
        code =
            kap_cli_fail(KAP_EXIT_REFUSED, "%s: nothing was said; mend the file first", run.path);
    if (code == 0)
        code = choose_region(&run, kap_args_option(&args, "region"));
    if (code == 0)
        code = read_in_force(&run);
    if (code == 0)
        code = set(&run, kap_args_option(&args, "dry-run"));
    run_free(&run);
    return code;
}

static int cmd_show(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"agreement show", "", 0, 0,
                                      "The agreement in force, as such a file."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    run_t run = {.cli = cli};
    int code = kap_cli_configure(cli);
    if (code == 0)
        code = kap_cli_ask_directory(cli, &run.dir);
    if (code == 0)
        code = choose_region(&run, kap_args_option(&args, "region"));
    if (code == 0)
        code = read_in_force(&run);
    if (code == 0)
        code = show(&run);
    run_free(&run);
    return code;
}

int kap_cmd_agreement(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "agreement", "check|set|show", 1, 1,
        "The agreement of a region as a text file: who refers what to whom, targets, forums.\v"
        "A line a clause:\n"
        "  region     mikkeli\n"
        "  refers     municipality > finnvera  services financing\n"
        "  target     answer 5 days  between municipality > finnvera\n"
        "  target     joint_visits 20  year 2026\n"
        "  forum      steering  kind steering_group  yearly 4\n"
        "  limit      unanswered 5 days\n"
        "  visibility parties"};
    kap_args_t args;
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return cmd_check(cli, argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "set") == 0)
        return cmd_set(cli, argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "show") == 0)
        return cmd_show(cli, argc - 1, argv + 1);
    kap_args_parse(cli, &usage, argc, argv, &args);
    return kap_cli_fail(KAP_EXIT_USAGE, "agreement %s: say check, set or show; see --help",
                        args.words[0]);
}
