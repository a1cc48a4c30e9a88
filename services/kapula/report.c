/* SPDX-License-Identifier: MPL-2.0 */
/* kapula report: the steering group's page. */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "err.h"
#include "frozen.h"
#include "metricview.h"

enum { COMMENT_DAYS = 14, HIDDEN_BELOW = 5, PATH_BYTES = 4096 };

static const char *const editions[] = {"parties", "steering", "public"};

/* --- the period --- */

static kap_date_t month_start(int year, int month)
{
    return (kap_date_t){(int16_t)(year + (month - 1) / 12), (int8_t)((month - 1) % 12 + 1), 1};
}

/* Where a period of the same length begins that ends at `from`: whole months by months. */
static kap_date_t before_of(kap_date_t from, kap_date_t to)
{
    if (from.day != 1 || to.day != 1)
        return kap_date_add(from, kap_date_days(from) - kap_date_days(to));
    int months = (to.year - from.year) * 12 + to.month - from.month;
    int first = from.year * 12 + from.month - 1 - months;
    return month_start(first / 12, first % 12 + 1);
}

static int bad_period(const char *option, const char *text, const char *right)
{
    return kap_cli_fail(KAP_EXIT_USAGE, "--%s %s: say %s", option, text, right);
}

static int read_day(const kap_args_t *args, const char *option, kap_date_t *day)
{
    const char *text = kap_args_option(args, option);
    if (!text || kap_date_parse(kap_span_str(text), day) != KAP_OK)
        return text ? bad_period(option, text, "a day that exists, YYYY-MM-DD")
                    : kap_cli_fail(KAP_EXIT_USAGE, "--from and --to go together");
    return 0;
}

/* The year, the month or the days asked for; else the last whole month. */
static int read_period(kap_report_t *report, const kap_args_t *args)
{
    const char *year = kap_args_option(args, "year"), *month = kap_args_option(args, "month");
    char text[16];
    kap_date_t first, now = kap_date_of(KAP_ZONE_HELSINKI, report->now);
    bool days = kap_args_option(args, "from") || kap_args_option(args, "to");
    if ((year != NULL) + (month != NULL) + days > 1)
        return kap_cli_fail(KAP_EXIT_USAGE, "say one of --year, --month, --from with --to");
    if (days) {
        int code = read_day(args, "from", &report->from);
        if (code == 0)
            code = read_day(args, "to", &report->to);
        if (code == 0 && kap_date_cmp(report->from, report->to) >= 0)
            code = bad_period("to", kap_args_option(args, "to"), "a day behind --from");
        return code;
    }
    snprintf(text, sizeof text, "%.8s-01", year ? year : month ? month : "");
    if (year)
        snprintf(text, sizeof text, "%.5s-01-01", year);
    if (!year && !month) {
        report->to = month_start(now.year, now.month);
        report->from = before_of(report->to, month_start(now.year, now.month + 1));
        return 0;
    }
    if (kap_date_parse(kap_span_str(text), &first) != KAP_OK)
        return bad_period(year ? "year" : "month", year ? year : month, year ? "YYYY" : "YYYY-MM");
    report->from = first;
    report->to = month_start(first.year, first.month + (year ? 12 : 1));
    return 0;
}

/* Outside the region: whole months that ended a while ago. */
static int check_public(const kap_report_t *report)
{
    kap_date_t today = kap_date_of(KAP_ZONE_HELSINKI, report->now);
    if (report->edition != KAP_EDITION_PUBLIC)
        return 0;
    if (report->from.day != 1 || report->to.day != 1)
        return kap_cli_fail(
            KAP_EXIT_REFUSED,
            "the public edition is of whole months or years: say --month or --year");
    if (kap_date_cmp(kap_date_add(report->to, COMMENT_DAYS), today) > 0)
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "the public edition comes %d days after its period ended, when members "
                            "had time to comment: say an earlier period",
                            COMMENT_DAYS);
    return 0;
}

/* --- the page --- */

static void begin_page(kap_report_t *report)
{
    static const kap_say_t names[] = {KAP_SAY_EDITION_PARTIES, KAP_SAY_EDITION_STEERING,
                                      KAP_SAY_EDITION_PUBLIC};
    static const char *const langs[] = {"fi", "sv", "en"};
    kap_page_init(&report->page, report->asking->arena, langs[report->lang]);
    report->page.kicker =
        kap_report_say(report, report->members ? KAP_SAY_KICKER_ACTIVATION : KAP_SAY_KICKER, NULL);
    report->page.title = kap_report_region(report);
    if (report->members)
        report->page.subtitle =
            kap_report_date(report, kap_date_of(KAP_ZONE_HELSINKI, report->now));
    else
        report->page.subtitle = kap_report_say(
            report, KAP_SAY_SUBTITLE, kap_report_period(report, report->from, report->to),
            kap_report_say(report, names[report->edition], NULL), NULL);
}

static void put_standing(kap_report_t *report)
{
    kap_date_t today = kap_date_of(KAP_ZONE_HELSINKI, report->now);
    kap_date_t until = kap_date_add(report->to, COMMENT_DAYS);
    char below[16], k[16];
    snprintf(below, sizeof below, "%d", report->k - 1);
    snprintf(k, sizeof k, "%d", report->k);
    if (report->edition == KAP_EDITION_PUBLIC)
        kap_page_say(&report->page, KAP_PAGE_NOTE,
                     kap_report_say(report, KAP_SAY_HIDDEN_NOTE, below, k, NULL));
    else if (kap_date_cmp(today, report->to) < 0)
        kap_page_say(&report->page, KAP_PAGE_NOTE,
                     kap_report_say(report, KAP_SAY_UNFINISHED, NULL));
    else if (kap_date_cmp(today, until) < 0)
        kap_page_say(
            &report->page, KAP_PAGE_NOTE,
            kap_report_say(report, KAP_SAY_COMMENT_TIME, kap_report_date(report, until), NULL));
}

/* "Mikkeli, Finnvera": the members of an activation meeting by name. */
static void put_present(kap_report_t *report)
{
    kap_buf_t line;
    kap_buf_init(&line);
    for (const char *at = report->members; *at;) {
        size_t n = strcspn(at, ",");
        if (n > 0)
            kap_buf_printf(&line, "%s%s", line.size ? ", " : "",
                           kap_report_member(report, kap_span_trim(kap_span(at, n))));
        at += n + (at[n] == ',');
    }
    kap_page_say(&report->page, KAP_PAGE_TEXT,
                 kap_report_say(report, KAP_SAY_TALK_LINE,
                                kap_report_say(report, KAP_SAY_PRESENT, NULL), kap_buf_cstr(&line),
                                NULL));
    kap_buf_fini(&line);
}

static void put_foot(kap_report_t *report)
{
    const kap_mp_t *first = report->asking->kept.used ? &report->asking->kept.items[0] : NULL;
    const kap_mp_t *answer = kap_mp_get(first, "answer");
    char when[KAP_TIME_TEXT], seq[32];
    kap_time_format_local(kap_metricview_time(answer, "as_of_time"), when);
    snprintf(seq, sizeof seq, "%lld", (long long)kap_mp_get_int(answer, "as_of_seq", 0));
    report->page.foot = kap_report_say(report, KAP_SAY_FOOT, when, seq, NULL);
    if (report->refused)
        kap_page_say(&report->page, KAP_PAGE_NOTE,
                     kap_report_say(report, KAP_SAY_REFUSED, report->refused, NULL));
}

/* The agenda. */
static void make_page(kap_report_t *report)
{
    bool shown = report->edition != KAP_EDITION_PUBLIC;
    begin_page(report);
    if (report->members) {
        kap_report_ask(report, "orphans", NULL, KAP_REPORT_NOW); /* its position is the page's */
        put_present(report);
        kap_report_activation(report);
        put_foot(report);
        return;
    }
    kap_report_ask(report, "matrix", NULL, KAP_REPORT_PERIOD);
    put_standing(report);
    kap_report_plans(report);
    kap_report_visits(report);
    kap_report_handovers(report);
    if (shown)
        kap_report_members(report);
    kap_report_changes(report);
    if (shown)
        kap_report_talk(report);
    kap_report_quality(report);
    kap_report_follow(report);
    put_foot(report);
}

/* --- writing --- */

static void write_page(const kap_report_t *report, FILE *out)
{
    kap_shown_list_t map = {.arena = report->asking->arena};
    const kap_mp_t questions = kap_shown_array(&report->asking->kept);
    kap_shown_set(&map, "questions", &questions);
    const kap_mp_t root = kap_shown_map(&map);
    if (report->cli->format == KAP_FORMAT_JSON)
        kap_cli_print_json(&root, out);
    else if (report->cli->format == KAP_FORMAT_HTML)
        kap_page_html(&report->page, out);
    else
        kap_page_text(&report->page, out, out == stdout ? kap_cli_width() : 80);
}

/* Beside and renamed: a reader never sees half a report. */
static int write_file(const kap_report_t *report, const char *path)
{
    char beside[PATH_BYTES];
    if (snprintf(beside, sizeof beside, "%s.%ld.part", path, (long)getpid()) >= PATH_BYTES)
        return kap_cli_fail(KAP_EXIT_USAGE, "--out: the path is too long");
    FILE *out = fopen(beside, "wx");
    bool ok = out != NULL;
    if (out) {
        write_page(report, out);
        ok = fflush(out) == 0 && !ferror(out);
        ok = fclose(out) == 0 && ok;
    }
    ok = ok && rename(beside, path) == 0;
    int error = errno;
    if (!ok && out)
        unlink(beside);
    return ok ? 0 : kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s", path, strerror(error));
}

static int show(kap_report_t *report, const char *path)
{
    make_page(report);
    if (report->page.err)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE,
                            "the report could not be made: an answer did not come; try again");
    if (path)
        return write_file(report, path);
    write_page(report, stdout);
    return KAP_EXIT_DONE;
}

/* --- frozen --- */

static void set_date(kap_shown_list_t *map, const char *key, kap_date_t date)
{
    char text[KAP_TIME_TEXT];
    kap_date_format(date, text);
    kap_shown_set_text(map, key, kap_arena_dup(map->arena, kap_span_str(text)));
}

static kap_mp_t made_with(const kap_report_t *report)
{
    kap_shown_list_t map = {.arena = report->asking->arena};
    kap_shown_set_text(&map, "region", kap_span_str(report->region));
    set_date(&map, "from", report->from);
    set_date(&map, "to", report->to);
    kap_shown_set_text(&map, "edition", kap_span_str(editions[report->edition]));
    if (report->members)
        kap_shown_set_text(&map, "members", kap_span_str(report->members));
    kap_shown_set_int(&map, "now_at", report->now);
    kap_shown_set_int(&map, "hidden_below", report->k);
    return kap_shown_map(&map);
}

static int edition_of(kap_span_t name)
{
    for (int i = 0; i < 3; i++)
        if (kap_span_eq_str(name, editions[i]))
            return i;
    return -1;
}

int kap_report_again(kap_asking_t *asking, const kap_mp_t *map)
{
    int edition = edition_of(kap_mp_get_str(map, "edition"));
    kap_span_t members = kap_mp_get_str(map, "members");
    kap_report_t report = {.cli = asking->cli,
                           .asking = asking,
                           .lang = kap_shown_lang(asking->cli),
                           .region = kap_arena_str(asking->arena, kap_mp_get_str(map, "region")),
                           .now = kap_metricview_time(map, "now_at"),
                           .k = (int)kap_mp_get_int(map, "hidden_below", HIDDEN_BELOW)};
    if (edition < 0 || !report.region ||
        kap_date_parse(kap_mp_get_str(map, "from"), &report.from) != KAP_OK ||
        kap_date_parse(kap_mp_get_str(map, "to"), &report.to) != KAP_OK)
        return kap_cli_fail(KAP_EXIT_REFUSED, "the frozen file does not say what report it holds");
    report.edition = (kap_edition_t)edition;
    report.before = before_of(report.from, report.to);
    report.members = kap_span_empty(members) ? NULL : kap_arena_str(asking->arena, members);
    return show(&report, NULL);
}

/* --- the command --- */

static int choose(const kap_args_t *args, const char *option, const char *const words[], int count,
                  const char *right)
{
    const char *text = kap_args_option(args, option);
    for (int i = 0; i < count; i++)
        if (!text || strcmp(text, words[i]) == 0)
            return i;
    kap_cli_fail(0, "--%s %s: say %s", option, text, right);
    return -1;
}

/* Which time it is in the mesh: a rehearsal has its own. */
static int ask_now(kap_report_t *report)
{
    const kap_mp_t *root;
    int code = kap_cli_query(report->cli, "health", &root);
    if (code == 0)
        report->now = kap_metricview_time(root, "as_of_time");
    return code;
}

static void read_hiding(kap_report_t *report)
{
    const kap_directory_t *dir = kap_cli_directory(report->cli);
    const kap_region_t *region =
        dir ? kap_directory_region(dir, kap_span_str(report->region)) : NULL;
    report->k = region && region->hidden_below > HIDDEN_BELOW ? region->hidden_below : HIDDEN_BELOW;
}

static int prepare(kap_report_t *report, const kap_args_t *args)
{
    static const char *const meetings[] = {"activation"};
    const char *members = kap_args_option(args, "members");
    int edition = choose(args, "edition", editions, 3, "parties, steering or public");
    bool meets = kap_args_option(args, "for");
    if (edition < 0 || choose(args, "for", meetings, 1, "activation") < 0)
        return KAP_EXIT_USAGE;
    if (meets != (members != NULL))
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "--for activation and --members ID,ID go together: who is present");
    report->edition = (kap_edition_t)edition;
    report->members = members;
    report->region = kap_cli_region(report->cli, kap_args_option(args, "region"));
    if (!report->region)
        return KAP_EXIT_USAGE;
    int code = ask_now(report);
    if (code == 0)
        code = read_period(report, args);
    report->before = before_of(report->from, report->to);
    read_hiding(report);
    return code ? code : check_public(report);
}

static int run(kap_asking_t *asking, const kap_args_t *args)
{
    const char *name = kap_args_option(args, "freeze");
    kap_report_t report = {.cli = asking->cli, .asking = asking};
    if (asking->cli->format == KAP_FORMAT_CSV)
        return kap_cli_fail(KAP_EXIT_USAGE, "--format csv: a report is text, html or json; "
                                            "`kapula metrics` gives its figures as csv");
    int code = name ? kap_frozen_check_name(name) : 0;
    if (code == 0)
        code = kap_cli_configure(asking->cli);
    if (code != 0)
        return code;
    report.lang = kap_shown_lang(asking->cli);
    code = prepare(&report, args);
    if (code == 0)
        code = show(&report, kap_args_option(args, "out"));
    const kap_mp_t made = made_with(&report);
    return code == 0 && name ? kap_frozen_write(asking, name, &made) : code;
}

int kap_cmd_report(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "report", "", 0, 0,
        "The steering group's page in the order of its agenda: plans, visits and actions, "
        "handovers, what improved and what worsened, which edges need a talk, how good the data "
        "is. Without a period the last whole month. As html it is one file, to be read or "
        "printed."};
    kap_args_t args;
    kap_asking_t asking;
    kap_args_parse(cli, &usage, argc, argv, &args);
    int code = kap_asking_init(&asking, cli);
    if (code == 0)
        code = run(&asking, &args);
    kap_asking_fini(&asking);
    return code;
}
