/* SPDX-License-Identifier: MPL-2.0 */
/* kapula forum list|show|clock, meeting list and action list: the groups of a region, their year
 * and what they agreed on. */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "clock.h"
#include "err.h"
#include "gathered.h"
#include "recurrence.h"
#include "saying.h"

enum { OCCURRENCES = 400, LABEL = 22 };

/* Members of a meeting: named, or those of its forum; its forum by name. */
static kap_span_t forum_name(const kap_gathered_t *gathered, kap_span_t id)
{
    const kap_mp_t *forum = kap_gathered_find(gathered, KAP_GATHERED_FORUMS, id);
    kap_span_t name = kap_mp_get_str(forum, "name");
    return kap_span_empty(name) ? id : name;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = kap_mp_get_int(a, "starts_at", 0), y = kap_mp_get_int(b, "starts_at", 0);
    return (x > y) - (x < y);
}

static int by_due(const void *a, const void *b)
{
    return kap_span_cmp(kap_mp_get_str(a, "due"), kap_mp_get_str(b, "due"));
}

static void sort(kap_shown_list_t *list, int (*order)(const void *, const void *))
{
    if (list->used > 1)
        qsort(list->items, list->used, sizeof *list->items, order);
}

/* --- forums --- */

static int list_forums(kap_cli_t *cli, const kap_gathered_t *gathered, bool all)
{
    static const kap_shown_column_t people[] = {
        {.key = "id"}, {.key = "name"}, {.key = "forum_kind"}, {.key = "rrule"}, {.key = NULL}};
    static const kap_shown_column_t programs[] = {
        {.key = "id"},      {.key = "name"},    {.key = "forum_kind"},   {.key = "region"},
        {.key = "rrule"},   {.key = "dtstart"}, {.key = "duration_min"}, {.key = "dates"},
        {.key = "members"}, {.key = "chair"},   {.key = "secretary"},    {.key = NULL}};
    kap_shown_list_t shown = {.arena = cli->arena};
    const kap_shown_list_t *forums = &gathered->kinds[KAP_GATHERED_FORUMS];
    for (uint32_t i = 0; i < forums->used; i++)
        if (all || !kap_mp_get_bool(&forums->items[i], "ended", false))
            kap_shown_add(&shown, &forums->items[i]);
    kap_mp_t rows = kap_shown_array(&shown);
    return kap_shown_rows(cli, "forums", &rows, cli->format == KAP_FORMAT_CSV ? programs : people);
}

static const kap_shown_column_t meeting_people[] = {
    {.key = "starts_at"}, {.key = "forum_name"},       {.key = "title"}, {.key = "place"},
    {.key = "state"},     {.key = "id", .tail = true}, {.key = NULL}};
static const kap_shown_column_t meeting_programs[] = {
    {.key = "id"},    {.key = "forum"},  {.key = "starts_at"},  {.key = "ends_at"},
    {.key = "title"}, {.key = "place"},  {.key = "state"},      {.key = "occurrence"},
    {.key = "memo"},  {.key = "topics"}, {.key = "attendance"}, {.key = NULL}};

/* The meetings of a forum (empty: of all), by time, with their forum's name. */
static kap_shown_list_t meetings_of(kap_cli_t *cli, const kap_gathered_t *gathered, kap_span_t of,
                                    bool all)
{
    kap_shown_list_t shown = {.arena = cli->arena};
    const kap_shown_list_t *meetings = &gathered->kinds[KAP_GATHERED_MEETINGS];
    for (uint32_t i = 0; i < meetings->used; i++) {
        const kap_mp_t *meeting = &meetings->items[i];
        kap_span_t forum = kap_mp_get_str(meeting, "forum");
        if (of.size > 0 && !kap_span_eq(forum, of))
            continue;
        if (!all && kap_span_eq_str(kap_mp_get_str(meeting, "state"), "cancelled"))
            continue;
        kap_shown_list_t map = {.arena = cli->arena};
        for (uint32_t k = 0; k < meeting->count; k++) {
            kap_shown_add(&map, kap_mp_key(meeting, k));
            kap_shown_add(&map, kap_mp_value(meeting, k));
        }
        kap_shown_set_text(&map, "forum_name", forum_name(gathered, forum));
        kap_mp_t made = kap_shown_map(&map);
        kap_shown_add(&shown, &made);
    }
    sort(&shown, by_time);
    return shown;
}

static int show_forum(kap_cli_t *cli, const kap_gathered_t *gathered, const char *word)
{
    if (!word)
        return kap_cli_fail(KAP_EXIT_USAGE, "forum show: which one? `kapula forum list` shows ids");
    kap_span_t id = kap_span_str(word);
    const kap_mp_t *forum = kap_gathered_find(gathered, KAP_GATHERED_FORUMS, id);
    if (!forum)
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "there is no forum %s here; `kapula forum list` shows them", word);
    kap_shown_list_t meetings = meetings_of(cli, gathered, id, true);
    kap_mp_t rows = kap_shown_array(&meetings);
    if (cli->format == KAP_FORMAT_CSV)
        return kap_shown_rows(cli, "meetings", &rows, meeting_programs);
    if (cli->format == KAP_FORMAT_JSON) {
        kap_shown_list_t map = {.arena = cli->arena};
        for (uint32_t i = 0; i < forum->count; i++) {
            kap_shown_add(&map, kap_mp_key(forum, i));
            kap_shown_add(&map, kap_mp_value(forum, i));
        }
        kap_shown_set(&map, "meetings", &rows);
        kap_mp_t root = kap_shown_map(&map);
        kap_cli_print_json(&root, stdout);
        return KAP_EXIT_DONE;
    }
    for (uint32_t i = 0; i < forum->count; i++) {
        char text[KAP_SHOWN_BYTES];
        kap_span_t key = kap_mp_key(forum, i)->s;
        if (kap_span_eq_str(key, "forum"))
            continue;
        kap_shown_value(cli, key, kap_mp_value(forum, i), text);
        kap_shown_line(0, LABEL, kap_shown_key(cli, key), kap_span_str(text));
    }
    printf("\n%s\n", kap_shown_word(cli, KAP_WORD_MEETINGS));
    return kap_shown_rows(cli, "meetings", &rows, meeting_people);
}

/* --- the annual clock --- */

typedef struct {
    kap_cli_t *cli;
    const kap_gathered_t *gathered;
    int64_t from_ms, to_ms;
    kap_shown_list_t rows;
} year_t;

/* Whether a meeting of the forum stands for that day of its clock. */
static bool is_realised(const year_t *year, kap_span_t forum, kap_date_t date)
{
    const kap_shown_list_t *meetings = &year->gathered->kinds[KAP_GATHERED_MEETINGS];
    char day[KAP_TIME_TEXT];
    kap_date_format(date, day);
    for (uint32_t i = 0; i < meetings->used; i++) {
        const kap_mp_t *meeting = &meetings->items[i];
        kap_span_t occurrence = kap_mp_get_str(meeting, "occurrence");
        int64_t at = kap_mp_get_int(meeting, "starts_at", INT64_MIN);
        if (!kap_span_eq(kap_mp_get_str(meeting, "forum"), forum))
            continue;
        if (kap_span_eq_str(occurrence, day))
            return true;
        if (kap_span_empty(occurrence) && at != INT64_MIN &&
            kap_date_cmp(kap_date_of(KAP_ZONE_HELSINKI, at), date) == 0)
            return true;
    }
    return false;
}

static void add_occurrence(year_t *year, const kap_mp_t *forum, int64_t at_ms)
{
    kap_span_t id = kap_mp_get_str(forum, "id");
    kap_date_t date = kap_date_of(KAP_ZONE_HELSINKI, at_ms);
    char text[KAP_TIME_TEXT];
    if (at_ms < year->from_ms || at_ms >= year->to_ms || is_realised(year, id, date))
        return;
    kap_shown_list_t map = {.arena = year->cli->arena};
    kap_date_format(date, text);
    kap_shown_set_int(&map, "starts_at", at_ms);
    kap_shown_set_text(&map, "forum", id);
    kap_shown_set_text(&map, "forum_name", forum_name(year->gathered, id));
    kap_shown_set_text(&map, "occurrence", kap_arena_dup(year->cli->arena, kap_span_str(text)));
    kap_shown_set_text(&map, "state",
                       year->cli->format == KAP_FORMAT_TABLE
                           ? kap_span_str(kap_shown_word(year->cli, KAP_WORD_IN_CLOCK))
                           : kap_span_str("in_clock"));
    kap_mp_t made = kap_shown_map(&map);
    kap_shown_add(&year->rows, &made);
}

/* "2026-01-13T09:00" as its day and the time on the wall; a day alone begins at 0:00. */
static bool read_start(kap_span_t text, kap_date_t *date, int32_t *time_ms)
{
    int hour = 0, minute = 0;
    char clock[8] = "";
    if (text.size < 10 || kap_date_parse(kap_span(text.data, 10), date) != KAP_OK)
        return false;
    if (text.size >= 16)
        memcpy(clock, text.data + 11, 5);
    if (*clock && sscanf(clock, "%2d:%2d", &hour, &minute) != 2)
        return false;
    *time_ms = (hour * 60 + minute) * 60000;
    return true;
}

static void expand_forum(year_t *year, const kap_mp_t *forum)
{
    static int64_t times[OCCURRENCES];
    kap_span_t rrule = kap_mp_get_str(forum, "rrule");
    const kap_mp_t *dates = kap_mp_get(forum, "dates");
    kap_date_t first;
    int32_t time_ms = 0;
    size_t count = 0;
    bool started = read_start(kap_mp_get_str(forum, "dtstart"), &first, &time_ms);
    if (kap_mp_get_bool(forum, "ended", false))
        return;
    char *rule = kap_arena_str(year->cli->arena, rrule);
    if (rule && *rule && started)
        kap_recurrence_expand(rule, KAP_ZONE_HELSINKI, first, time_ms, year->from_ms, year->to_ms,
                              times, OCCURRENCES, &count);
    for (size_t i = 0; i < count; i++)
        add_occurrence(year, forum, times[i]);
    for (uint32_t i = 0; dates && dates->kind == KAP_MP_ARRAY && i < dates->count; i++) {
        kap_date_t date;
        if (kap_date_parse(kap_mp_item(dates, i)->s, &date) == KAP_OK)
            add_occurrence(year, forum, kap_local_ms(KAP_ZONE_HELSINKI, date, time_ms));
    }
}

static int show_year(kap_cli_t *cli, const kap_gathered_t *gathered, const char *word)
{
    char *end = NULL;
    long number = word ? strtol(word, &end, 10)
                       : kap_date_of(KAP_ZONE_HELSINKI, kap_clock_now_ms(kap_clock_system())).year;
    if (number < 1970 || number > 9998 || (end && *end))
        return kap_cli_fail(KAP_EXIT_USAGE, "forum clock %s: a year from 1970 to 9998", word);
    kap_date_t first = {(int16_t)number, 1, 1}, next = {(int16_t)(number + 1), 1, 1};
    year_t year = {.cli = cli,
                   .gathered = gathered,
                   .from_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, first),
                   .to_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, next),
                   .rows = {.arena = cli->arena}};
    kap_shown_list_t meetings = meetings_of(cli, gathered, kap_span_str(""), true);
    for (uint32_t i = 0; i < meetings.used; i++) {
        int64_t at = kap_mp_get_int(&meetings.items[i], "starts_at", INT64_MIN);
        if (at >= year.from_ms && at < year.to_ms)
            kap_shown_add(&year.rows, &meetings.items[i]);
    }
    for (uint32_t i = 0; i < gathered->kinds[KAP_GATHERED_FORUMS].used; i++)
        expand_forum(&year, &gathered->kinds[KAP_GATHERED_FORUMS].items[i]);
    sort(&year.rows, by_time);
    kap_mp_t rows = kap_shown_array(&year.rows);
    return kap_shown_rows(cli, "meetings", &rows,
                          cli->format == KAP_FORMAT_CSV ? meeting_programs : meeting_people);
}

/* --- the commands --- */

int kap_cmd_forum_view(kap_cli_t *cli, int argc, char **argv)
{
    static const char doc[] =
        "Groups of a region, and the meetings that their rules give in a year.";
    static const kap_usage_t list = {"forum list", "", 0, 0, doc},
                             show = {"forum show", "FORUM", 0, 1, doc},
                             clock = {"forum clock", "[YEAR]", 0, 1, doc};
    const kap_usage_t *usage = strcmp(argv[0], "list") == 0   ? &list
                               : strcmp(argv[0], "show") == 0 ? &show
                                                              : &clock;
    kap_gathered_t gathered;
    kap_args_t args;
    kap_args_parse(cli, usage, argc, argv, &args);
    int code = kap_gathered_read(cli, kap_args_option(&args, "region"), &gathered);
    if (code == 0)
        code = usage == &list   ? list_forums(cli, &gathered, kap_args_option(&args, "all"))
               : usage == &show ? show_forum(cli, &gathered, args.words[0])
                                : show_year(cli, &gathered, args.words[0]);
    kap_gathered_free(&gathered);
    return code;
}

int kap_cmd_meeting_view(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"meeting list", "[FORUM]", 0, 1,
                                      "Meetings of a region or of one forum, by time."};
    kap_gathered_t gathered;
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_gathered_read(cli, kap_args_option(&args, "region"), &gathered);
    if (code == 0) {
        kap_span_t forum = kap_span_str(args.word_count ? args.words[0] : "");
        kap_shown_list_t list = meetings_of(cli, &gathered, forum, kap_args_option(&args, "all"));
        kap_mp_t rows = kap_shown_array(&list);
        code = kap_shown_rows(cli, "meetings", &rows,
                              cli->format == KAP_FORMAT_CSV ? meeting_programs : meeting_people);
    }
    kap_gathered_free(&gathered);
    return code;
}

int kap_cmd_action_view(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_shown_column_t people[] = {{.key = "due"},         {.key = "what"},
                                                {.key = "responsible"}, {.key = "member"},
                                                {.key = "state"},       {.key = "id", .tail = true},
                                                {.key = NULL}};
    static const kap_shown_column_t programs[] = {
        {.key = "id"},          {.key = "meeting"}, {.key = "what"},
        {.key = "responsible"}, {.key = "member"},  {.key = "due"},
        {.key = "state"},       {.key = "status"},  {.key = NULL}};
    static const kap_usage_t usage = {"action list", "", 0, 0,
                                      "What meetings agreed that someone does, by its due day."};
    kap_gathered_t gathered;
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_gathered_read(cli, kap_args_option(&args, "region"), &gathered);
    kap_shown_list_t list = {.arena = cli->arena};
    const kap_shown_list_t *actions = &gathered.kinds[KAP_GATHERED_ACTIONS];
    for (uint32_t i = 0; code == 0 && i < actions->used; i++)
        if (kap_args_option(&args, "all") ||
            !kap_span_eq_str(kap_mp_get_str(&actions->items[i], "state"), "done"))
            kap_shown_add(&list, &actions->items[i]);
    if (code == 0) {
        sort(&list, by_due);
        kap_mp_t rows = kap_shown_array(&list);
        code = kap_shown_rows(cli, "actions", &rows,
                              cli->format == KAP_FORMAT_CSV ? programs : people);
    }
    kap_gathered_free(&gathered);
    return code;
}
