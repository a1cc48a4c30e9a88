/* SPDX-License-Identifier: MPL-2.0 */
/* kapula frozen: answers kept as they were; shown, and run again: old, new, why. */
#include <string.h>

#include "args.h"
#include "clock.h"
#include "compare.h"
#include "err.h"
#include "frozen.h"
#include "measure.h"
#include "metricview.h"
#include "report.h"
#include "tables.h"
#include "why.h"

enum { IDS_SHOWN = 8 };

/* --- list --- */

static kap_span_t title_of(kap_asking_t *asking, const kap_mp_t *file)
{
    const kap_mp_t *report = kap_mp_get(file, "report");
    const kap_mp_t *first = kap_mp_item(kap_mp_get(file, "questions"), 0);
    kap_buf_t text;
    kap_buf_init(&text);
    if (report)
        kap_buf_printf(&text, "%s, %.*s, %.*s", kap_shown_word(asking->cli, KAP_WORD_REPORT),
                       KAP_SPAN_ARGS(kap_mp_get_str(report, "region")),
                       KAP_SPAN_ARGS(kap_mp_get_str(report, "from")));
    else
        kap_metricview_title(asking->cli, kap_mp_get(first, "answer"), &text);
    kap_span_t title = kap_arena_dup(asking->arena, kap_buf_span(&text));
    kap_buf_fini(&text);
    return title;
}

static int list(kap_asking_t *asking)
{
    static const kap_shown_column_t columns[] = {
        {.key = "name"},   {.key = "frozen_at"}, {.key = "as_of_seq", .right = true},
        {.key = "intact"}, {.key = "what"},      {.key = NULL}};
    kap_shown_list_t names, rows = {.arena = asking->arena};
    int code = kap_frozen_names(asking->arena, &names);
    for (uint32_t i = 0; code == 0 && i < names.used; i++) {
        kap_shown_list_t row = {.arena = asking->arena};
        const kap_mp_t *file;
        bool fits;
        if (kap_frozen_read(asking, (const char *)names.items[i].s.data, &file, &fits) != 0)
            continue; /* it was told */
        kap_mp_t intact = {.kind = KAP_MP_BOOL, .b = fits};
        kap_shown_set(&row, "name", &names.items[i]);
        kap_shown_set_int(&row, "frozen_at", kap_mp_get_int(file, "frozen_at", 0));
        kap_shown_set_int(&row, "as_of_seq", kap_mp_get_int(file, "as_of_seq", 0));
        kap_shown_set(&row, "intact", &intact);
        kap_shown_set_text(&row, "what", title_of(asking, file));
        kap_mp_t made = kap_shown_map(&row);
        kap_shown_add(&rows, &made);
    }
    const kap_mp_t all = kap_shown_array(&rows);
    return code ? code : kap_shown_rows(asking->cli, "frozen", &all, columns);
}

/* --- show --- */

static void print_where_from(kap_cli_t *cli, const kap_mp_t *file, bool fits)
{
    char when[KAP_TIME_TEXT];
    kap_span_t hash = kap_mp_get_str(file, "hash");
    kap_time_format_local(kap_mp_get_int(file, "frozen_at", 0), when);
    printf("%s %s, %s %lld, BLAKE2b-256 %.*s...\n", kap_shown_word(cli, KAP_WORD_FROZEN), when,
           kap_shown_word(cli, KAP_WORD_POSITION), (long long)kap_mp_get_int(file, "as_of_seq", 0),
           hash.size < 16 ? (int)hash.size : 16, (const char *)hash.data);
    if (!fits)
        kap_shown_line(0, 0, kap_span_str(""),
                       kap_span_str(kap_shown_word(cli, KAP_WORD_FROZEN_CHANGED)));
    putchar('\n');
}

/* A file that was changed is shown, but told and refused by the exit code. */
static int told_as_changed(const char *name, bool fits)
{
    return fits ? KAP_EXIT_DONE
                : kap_cli_fail(KAP_EXIT_REFUSED,
                               "%s was changed after it was frozen: its hash does not fit", name);
}

static int show(kap_asking_t *asking, const char *name)
{
    const kap_mp_t *file;
    bool fits;
    int code = kap_frozen_read(asking, name, &file, &fits);
    if (code != 0)
        return code;
    if (asking->cli->format == KAP_FORMAT_JSON) {
        kap_cli_print_json(file, stdout);
        return told_as_changed(name, fits);
    }
    if (asking->cli->format == KAP_FORMAT_HTML && !kap_mp_get(file, "report"))
        return kap_cli_fail(KAP_EXIT_USAGE, "%s is no report: only a report is a page", name);
    if (asking->cli->format == KAP_FORMAT_TABLE)
        print_where_from(asking->cli, file, fits);
    const kap_mp_t *report = kap_mp_get(file, "report"), *questions = kap_mp_get(file, "questions");
    if (report)
        code = kap_report_again(asking, report);
    for (uint32_t i = 0; !report && code == 0 && questions && i < questions->count; i++)
        code = kap_metricview_show(asking->cli, kap_mp_get(kap_mp_item(questions, i), "answer"));
    return code ? code : told_as_changed(name, fits);
}

/* --- again --- */

typedef struct {
    kap_asking_t *asking;
    const kap_mp_t *file;
    kap_shown_list_t differences, reasons;
    int64_t now_seq, now_time;
    bool untold; /* why: this key may not read the stream */
} again_t;

/* What a question was about: the metric, and where its window begins when that is not the report's.
 */
static kap_span_t about(const again_t *again, const kap_mp_t *answer, const kap_mp_t *question)
{
    kap_span_t metric = kap_mp_get_str(question, "metric");
    kap_span_t from = kap_mp_get_str(kap_mp_get(answer, "window"), "from");
    const kap_mp_t *report = kap_mp_get(again->file, "report");
    bool told = !report || kap_span_eq(from, kap_mp_get_str(report, "from"));
    char text[128];
    snprintf(text, sizeof text, "%.*s%s%.*s",
             KAP_SPAN_ARGS(kap_span_empty(metric) ? kap_mp_get_str(question, "query") : metric),
             told || kap_span_empty(from) ? "" : " ",
             KAP_SPAN_ARGS(told ? kap_span_str("") : from));
    return kap_arena_dup(again->asking->arena, kap_span_str(text));
}

static bool ends_with(kap_span_t text, const char *end)
{
    size_t n = strlen(end);
    return text.size >= n && memcmp(text.data + text.size - n, end, n) == 0;
}

/* How many are decided is told of a report's matrix; the same of every other metric is noise. */
static bool is_noise(const again_t *again, kap_span_t of, const kap_mp_t *row)
{
    kap_span_t what = kap_mp_get_str(row, "what");
    return kap_mp_get(again->file, "report") && !kap_span_starts(of, kap_span_str("matrix")) &&
           (ends_with(what, "decided") || ends_with(what, "pending"));
}

/* The totals of a metric stand in each of its answers: told once. */
static bool is_told(const again_t *again, kap_span_t of, const kap_mp_t *row)
{
    for (uint32_t i = 0; i < again->differences.used; i++) {
        const kap_mp_t *told = &again->differences.items[i];
        if (kap_span_eq(kap_mp_get_str(told, "of"), of) &&
            kap_span_eq(kap_mp_get_str(told, "what"), kap_mp_get_str(row, "what")))
            return true;
    }
    return false;
}

static void add_differences(again_t *again, const kap_mp_t *question, const kap_mp_t *before,
                            const kap_mp_t *after)
{
    kap_shown_list_t rows = {.arena = again->asking->arena};
    kap_span_t of = about(again, before, question);
    kap_compare(before, after, &rows);
    for (uint32_t i = 0; i < rows.used; i++) {
        kap_shown_list_t map = {.arena = again->asking->arena};
        if (is_told(again, of, &rows.items[i]) || is_noise(again, of, &rows.items[i]))
            continue;
        kap_shown_set_text(&map, "of", of);
        for (uint32_t k = 0; k < rows.items[i].count; k++) {
            kap_shown_add(&map, kap_mp_key(&rows.items[i], k));
            kap_shown_add(&map, kap_mp_value(&rows.items[i], k));
        }
        const kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(&again->differences, &made);
    }
}

static int ask_again(again_t *again)
{
    const kap_mp_t *questions = kap_mp_get(again->file, "questions");
    kap_asking_t anew;
    int code = kap_asking_init(&anew, again->asking->cli);
    for (uint32_t i = 0; code == 0 && questions && i < questions->count; i++) {
        const kap_mp_t *pair = kap_mp_item(questions, i), *answer = NULL;
        const kap_mp_t *question = kap_mp_get(pair, "query"), *before = kap_mp_get(pair, "answer");
        code = kap_asking_put(&anew, question, kap_mp_get(before, "error"), &answer);
        if (code != 0)
            break;
        answer = kap_asking_keep(again->asking, answer);
        if (!answer)
            code = kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
        else
            add_differences(again, question, before, answer);
        again->now_seq = kap_mp_get_int(answer, "as_of_seq", again->now_seq);
        again->now_time = kap_mp_get_int(answer, "as_of_time", again->now_time);
    }
    kap_asking_fini(&anew);
    return code;
}

static int64_t day_ms(const kap_mp_t *window, const char *key, int64_t otherwise)
{
    kap_date_t day;
    kap_zone_t zone =
        kap_span_eq_str(kap_mp_get_str(window, "zone"), "UTC") ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI;
    return kap_date_parse(kap_mp_get_str(window, key), &day) == KAP_OK ? kap_day_start_ms(zone, day)
                                                                       : otherwise;
}

/* Of a wider scope: every region of the area (none: of the mesh) whose stream this key may read. */
static int read_regions(again_t *again, kap_why_t *why, kap_span_t area)
{
    const kap_directory_t *dir = kap_cli_directory(again->asking->cli);
    int code = dir ? 0
                   : kap_cli_fail(KAP_EXIT_REFUSED,
                                  "why: the configuration names no directory, so the regions are "
                                  "not known here");
    for (uint32_t i = 0; dir && i < kap_directory_region_count(dir); i++) {
        const kap_region_t *region = kap_directory_region_at(dir, i);
        if (!kap_span_empty(area) && !kap_span_eq(area, region->area))
            continue;
        why->region = kap_arena_str(again->asking->arena, region->id);
        int one = kap_why_read(again->asking->cli, why, &again->reasons);
        code = code ? code : one;
    }
    return code;
}

/* What happened since, where this key may read the stream. */
static int read_reasons(again_t *again)
{
    const kap_mp_t *report = kap_mp_get(again->file, "report");
    const kap_mp_t *first = kap_mp_item(kap_mp_get(again->file, "questions"), 0);
    const kap_mp_t *answer = kap_mp_get(first, "answer"), *scope = kap_mp_get(answer, "scope");
    const kap_mp_t *window = report ? report : kap_mp_get(answer, "window");
    kap_span_t region = kap_mp_get_str(report ? report : scope, "region");
    kap_span_t metric = kap_mp_get_str(answer, "metric");
    kap_why_t why = {.from_ms = day_ms(window, "from", INT64_MIN),
                     .to_ms = day_ms(window, "to", INT64_MAX),
                     .after_seq = kap_mp_get_int(again->file, "as_of_seq", 0),
                     .meetings = report || kap_span_eq_str(metric, "meetings") ||
                                 kap_span_eq_str(metric, "follow-up")};
    if (!report) {
        why.from = kap_mp_get_str(scope, "from");
        why.to = kap_mp_get_str(scope, "to");
        why.member = kap_mp_get_str(scope, "member");
    }
    if (kap_span_empty(region))
        return read_regions(again, &why, kap_mp_get_str(scope, "area"));
    why.region = kap_arena_str(again->asking->arena, region);
    return kap_why_read(again->asking->cli, &why, &again->reasons);
}

static void print_json(again_t *again, bool fits)
{
    kap_shown_list_t map = {.arena = again->asking->arena};
    const kap_mp_t differences = kap_shown_array(&again->differences);
    const kap_mp_t reasons = kap_shown_array(&again->reasons);
    const kap_mp_t intact = {.kind = KAP_MP_BOOL, .b = fits};
    kap_shown_set(&map, "name", kap_mp_get(again->file, "name"));
    kap_shown_set(&map, "intact", &intact);
    kap_shown_set_int(&map, "as_of_seq", kap_mp_get_int(again->file, "as_of_seq", 0));
    kap_shown_set_int(&map, "as_of_time", kap_mp_get_int(again->file, "as_of_time", 0));
    kap_shown_set_int(&map, "now_seq", again->now_seq);
    kap_shown_set_int(&map, "now_time", again->now_time);
    kap_shown_set(&map, "differences", &differences);
    kap_shown_set(&map, "why", &reasons);
    const kap_mp_t root = kap_shown_map(&map);
    kap_cli_print_json(&root, stdout);
}

/* A value on one line; of a whole row its n, of an item of a list its referral, else that it is
 * there. */
static void one_line(kap_cli_t *cli, kap_span_t what, const kap_mp_t *node, kap_buf_t *out)
{
    char text[KAP_SHOWN_BYTES];
    kap_measure_form_t form = kap_measure_form(what, node);
    if (form == KAP_MEASURE_MAP && kap_mp_get(node, "n"))
        kap_buf_printf(out, "n %lld", (long long)kap_mp_get_int(node, "n", 0));
    else if (form == KAP_MEASURE_MAP && kap_mp_get(node, "referral"))
        kap_buf_append(out, kap_shown_id(kap_mp_get_str(node, "referral")));
    else if (form == KAP_MEASURE_MAP)
        kap_buf_str(out, kap_shown_word(cli, KAP_WORD_YES));
    else if (form == KAP_MEASURE_NONE)
        kap_buf_str(out, "-");
    else if (form == KAP_MEASURE_LIST)
        kap_buf_printf(out, "(%u)", node->count);
    else {
        kap_measure_text(cli, what, node, false, text);
        kap_buf_str(out, text);
    }
}

static kap_mp_t shown_difference(kap_asking_t *asking, const kap_mp_t *row)
{
    static const char *const sides[] = {"old", "new"};
    kap_span_t what = kap_mp_get_str(row, "what"), last = what;
    kap_shown_list_t map = {.arena = asking->arena};
    kap_buf_t text;
    for (size_t i = 0; i < what.size; i++)
        if (what.data[i] == ' ')
            last = kap_span(what.data + i + 1, what.size - i - 1);
    kap_buf_init(&text);
    kap_shown_set(&map, "of", kap_mp_get(row, "of"));
    kap_shown_set_text(&map, "what", what);
    for (int i = 0; i < 2; i++) {
        kap_buf_reset(&text);
        one_line(asking->cli, last, kap_mp_get(row, sides[i]), &text);
        kap_shown_set_text(&map, sides[i], kap_arena_dup(asking->arena, kap_buf_span(&text)));
    }
    kap_buf_fini(&text);
    return kap_shown_map(&map);
}

/* "accepted  3, of them 1 reported late: 2f1c5d6e7f80, ..." */
static void print_reasons(again_t *again)
{
    kap_cli_t *cli = again->asking->cli;
    kap_buf_t line;
    kap_buf_init(&line);
    for (uint32_t i = 0; i < again->reasons.used; i++) {
        const kap_mp_t *row = &again->reasons.items[i], *ids = kap_mp_get(row, "subjects");
        int64_t late = kap_mp_get_int(row, "reported_late", 0);
        const char *type = kap_event_type_text(kap_event_type_parse(kap_mp_get_str(row, "event")),
                                               kap_shown_lang(cli));
        kap_buf_reset(&line);
        kap_buf_printf(&line, "%lld", (long long)kap_mp_get_int(row, "count", 0));
        if (late > 0)
            kap_buf_printf(&line, ", %s %lld", kap_shown_word(cli, KAP_WORD_OF_THEM_LATE),
                           (long long)late);
        for (uint32_t k = 0; ids && k < ids->count && k < IDS_SHOWN; k++)
            kap_buf_printf(&line, "%s%.*s", k ? ", " : ": ",
                           KAP_SPAN_ARGS(kap_shown_id(kap_mp_item(ids, k)->s)));
        if (ids && ids->count > IDS_SHOWN)
            kap_buf_printf(&line, " +%u", ids->count - IDS_SHOWN);
        kap_shown_line(2, 24, kap_span_str(type), kap_buf_span(&line));
    }
    kap_buf_fini(&line);
}

static int print_again(again_t *again, bool fits)
{
    static const kap_shown_column_t all_columns[] = {{.key = "of"},
                                                     {.key = "what"},
                                                     {.key = "old", .max = 20, .right = true},
                                                     {.key = "new", .max = 20, .right = true},
                                                     {.key = NULL}};
    const kap_shown_column_t *columns = /* of one question it need not be said */
        kap_mp_get(again->file, "report") ? all_columns : all_columns + 1;
    kap_cli_t *cli = again->asking->cli;
    kap_shown_list_t rows = {.arena = again->asking->arena};
    char when[KAP_TIME_TEXT];
    for (uint32_t i = 0; i < again->differences.used; i++) {
        kap_mp_t row = shown_difference(again->asking, &again->differences.items[i]);
        kap_shown_add(&rows, &row);
    }
    const kap_mp_t all = kap_shown_array(&rows);
    if (cli->format == KAP_FORMAT_CSV)
        return kap_shown_rows(cli, "differences", &all, columns);
    print_where_from(cli, again->file, fits);
    kap_time_format_local(again->now_time, when);
    printf("%s %s, %s %lld.\n\n", kap_shown_word(cli, KAP_WORD_NOW_AS_OF), when,
           kap_shown_word(cli, KAP_WORD_POSITION), (long long)again->now_seq);
    if (rows.used == 0) {
        puts(kap_shown_word(cli, KAP_WORD_NOTHING_CHANGED));
        return KAP_EXIT_DONE;
    }
    int code = kap_shown_rows(cli, "differences", &all, columns);
    printf("\n%s\n",
           kap_shown_word(cli, again->reasons.used ? KAP_WORD_WHY_EVENTS : KAP_WORD_WHY_NO_EVENTS));
    print_reasons(again);
    return code;
}

static int run_again(kap_asking_t *asking, const char *name)
{
    again_t again = {.asking = asking,
                     .differences = {.arena = asking->arena},
                     .reasons = {.arena = asking->arena}};
    bool fits;
    int code = kap_frozen_read(asking, name, &again.file, &fits);
    if (code == 0)
        code = ask_again(&again);
    if (code != 0)
        return code;
    if (again.differences.used > 0 && read_reasons(&again) != 0)
        again.untold = true; /* it was said why: old and new are told all the same */
    if (asking->cli->format == KAP_FORMAT_JSON)
        print_json(&again, fits);
    else
        code = print_again(&again, fits);
    return code ? code : told_as_changed(name, fits);
}

int kap_cmd_frozen(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "frozen", "list|show NAME|again NAME", 1, 2,
        "Answers that were kept with --freeze: listed, shown as they were, or run again and "
        "compared: old, new, and which events since made the difference."};
    kap_args_t args;
    kap_asking_t asking;
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *word = args.words[0], *name = args.words[1];
    bool lists = strcmp(word, "list") == 0, shows = strcmp(word, "show") == 0;
    if ((!lists && !shows && strcmp(word, "again") != 0) || lists == (name != NULL))
        return kap_cli_fail(KAP_EXIT_USAGE, "frozen: say list, show NAME or again NAME");
    if (cli->format == KAP_FORMAT_HTML && !shows)
        return kap_cli_fail(KAP_EXIT_USAGE, "--format html: only a report is a page");
    int code = kap_cli_configure(cli);
    if (code == 0)
        code = kap_asking_init(&asking, cli);
    if (code != 0)
        return code;
    code = lists ? list(&asking) : shows ? show(&asking, name) : run_again(&asking, name);
    kap_asking_fini(&asking);
    return code;
}
