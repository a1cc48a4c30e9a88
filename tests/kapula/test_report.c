/* SPDX-License-Identifier: MPL-2.0 */
/* The report: what stands on its pages, from answers made here; and how a page is written. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "door.h"
#include "err.h"
#include "report.h"

#define has(text, part)    cr_expect(strstr(text, part), "no %s in:\n%s", part, text)
#define has_no(text, part) cr_expect_not(strstr(text, part), "%s in:\n%s", part, text)

static kap_cli_t cli;
static kap_asking_t asking;
static kap_report_t report;
static char *text, conf[32];

static void begin(void)
{
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    cr_assert_eq(kap_clock_init_zone(), KAP_OK);
    /* Without a directory members are shown by id. */
    strcpy(conf, "/tmp/kapula-report-XXXXXX");
    int fd = mkstemp(conf);
    cr_assert_geq(fd, 0);
    dprintf(fd, "endpoint = \"ipc:///nowhere\";\nmesh = \"%064d\";\n", 0);
    close(fd);
    cli = (kap_cli_t){.arena = kap_arena_new(4096), .lang = "en", .conf_path = conf};
    cr_assert_eq(kap_asking_init(&asking, &cli), 0);
    asking.frozen = true;
    report = (kap_report_t){.cli = &cli,
                            .asking = &asking,
                            .lang = KAP_LANG_EN,
                            .region = "mikkeli",
                            .from = {2026, 10, 1},
                            .to = {2026, 11, 1},
                            .before = {2026, 9, 1},
                            .k = 5};
    kap_page_init(&report.page, asking.arena, "en");
    report.page.title = "T";
}

static void end(void)
{
    free(text);
    kap_asking_fini(&asking);
    kap_cli_close(&cli);
    unlink(conf);
}

TestSuite(report, .init = begin, .fini = end, .timeout = 60);

/* From now on a question about the metric has this answer: `months` before the period. */
static void knows(const char *metric, const char *by, int months, const char *values,
                  const char *rows)
{
    static const char *const days[][2] = {
        {"2026-10-01", "2026-11-01"}, {"2026-09-01", "2026-10-01"}, {"2025-11-01", "2026-11-01"}};
    kap_buf_t json;
    kap_mp_t pair;
    kap_buf_init(&json);
    kap_buf_printf(&json,
                   "{\"query\": {\"query\": \"metrics\", \"metric\": \"%s\", \"region\": "
                   "\"mikkeli\"",
                   metric);
    if (by)
        kap_buf_printf(&json, ", \"by\": \"%s\"", by);
    if (months >= 0)
        kap_buf_printf(&json, ", \"from\": \"%s\", \"to\": \"%s\"", days[months][0],
                       days[months][1]);
    kap_buf_printf(&json,
                   "}, \"answer\": {\"n\": 20, \"pending\": 2, \"values\": %s, \"rows\": %s}}",
                   values, rows ? rows : "[]");
    cr_assert_eq(kap_cli_read_json(asking.arena, kap_buf_span(&json), &pair), KAP_OK, "%s",
                 kap_buf_cstr(&json));
    kap_shown_add(&asking.kept, &pair);
    kap_buf_fini(&json);
}

/* Everything else that is asked has an answer that says nothing. */
static void knows_nothing_else(void)
{
    static const char *const metrics[] = {
        "matrix",       "acceptance",  "time-to-accept", "time-to-contact", "time-to-complete",
        "targets",      "loop-closed", "served",         "ping-pong",       "silent-edges",
        "data-quality", "meetings",    "follow-up",      "orphans"};
    static const char *const bys[] = {NULL, "edge", "member", "month"};
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++)
        for (size_t b = 0; b < 4; b++)
            for (int months = -1; months < 3; months++)
                knows(metrics[m], bys[b], months, "{}", NULL);
}

static const char *written(int width)
{
    size_t size;
    free(text);
    text = NULL;
    FILE *memory = open_memstream(&text, &size);
    if (width)
        kap_page_text(&report.page, memory, width);
    else
        kap_page_html(&report.page, memory);
    fclose(memory);
    return text;
}

#define EDGE(FROM, TO, N, VALUES)                                                                  \
    "{\"key\": {\"edge\": [\"" FROM "\", \"" TO "\"]}, \"n\": " #N ", \"values\": " VALUES "}"
#define RATE(NUM, DEN) "{\"rate\": {\"num\": " #NUM ", \"den\": " #DEN "}}"
#define TIME(N, MS)    "{\"time\": {\"n\": " #N ", \"p50_ms\": " #MS ", \"p90_ms\": " #MS "}}"

/* --- changes --- */

Test(report, a_change_is_a_sentence_with_both_numbers_good_and_bad_apart)
{
    knows("acceptance", NULL, 0, RATE(16, 20), NULL);
    knows("acceptance", NULL, 1, RATE(12, 20), NULL);
    knows("time-to-accept", NULL, 0, TIME(20, 57600000), NULL);
    knows("time-to-accept", NULL, 1, TIME(20, 28800000), NULL);
    knows("ping-pong", NULL, 0, RATE(4, 20), NULL);
    knows("ping-pong", NULL, 1, RATE(1, 20), NULL);
    knows_nothing_else();
    kap_report_changes(&report);
    const char *said = written(80), *worse = strstr(said, "What worsened");
    cr_assert(worse);
    has(said, "+ The whole region: accepted 16/20, 80 % (before 12/20, 60 %).");
    has(worse, "! The whole region: accepting took 2.0 working days (before 1.0 working days).");
    has(worse, "! The whole region: cases sent back and forth 4/20, 20 % (before 1/20, 5 %).");
    has(said, "Compared with September 2026.");
}

Test(report, a_change_below_the_threshold_or_of_few_is_not_told)
{
    static const struct {
        const char *now, *then;
        bool told;
    } rows[] = {
        {RATE(60, 100), RATE(55, 100), true}, {RATE(59, 100), RATE(55, 100), false},
        {RATE(5, 5), RATE(3, 5), true},       {RATE(4, 4), RATE(3, 5), false},
        {RATE(5, 5), RATE(3, 4), false},      {RATE(0, 0), RATE(3, 5), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        asking.kept.used = 0;
        knows("acceptance", NULL, 0, rows[i].now, NULL);
        knows("acceptance", NULL, 1, rows[i].then, NULL);
        knows_nothing_else();
        kap_page_init(&report.page, asking.arena, "en");
        kap_report_changes(&report);
        cr_expect_eq(strstr(written(80), "accepted ") != NULL, rows[i].told, "row %zu: %s", i,
                     text);
    }
}

Test(report, edges_change_in_alphabetical_order_and_need_more_to_be_told)
{
    knows("matrix", "edge", 0, "{}",
          "[" EDGE("te", "ely", 20, "{}") "," EDGE("ely", "te", 20,
                                                   "{}") "," EDGE("ely", "finnvera", 9, "{}") "]");
    knows("acceptance", "edge", 0, "{}",
          "[" EDGE("te", "ely", 20, RATE(18, 20)) "," EDGE("ely", "te", 20, RATE(20, 20)) "," EDGE(
              "ely", "finnvera", 9, RATE(9, 9)) "]");
    knows("acceptance", "edge", 1, "{}",
          "[" EDGE("te", "ely", 20, RATE(10, 20)) "," EDGE("ely", "te", 20, RATE(12, 20)) "," EDGE(
              "ely", "finnvera", 9, RATE(4, 9)) "]");
    knows_nothing_else();
    kap_report_changes(&report);
    const char *said = written(80);
    const char *first = strstr(said, "ely → te: accepted 20/20, 100 % (before 12/20, 60 %)");
    const char *second = strstr(said, "te → ely: accepted 18/20, 90 % (before 10/20, 50 %)");
    cr_expect(first && second && first < second, "%s", said);
    has_no(said, "ely → finnvera"); /* 9 are too few for an edge */
}

/* --- which edge needs a talk --- */

#define ORPHANS                                                                                    \
    "{\"orphans\": [{\"referral\": \"01932f8e-7c1a-7000-8000-2f1c5d6e7f80\", \"from\": \"te\", "   \
    "\"to\": \"ely\", \"what\": \"unanswered\", \"since_at\": \"2026-10-14T17:46:40.000Z\", "      \
    "\"owner\": \"ely\", \"step\": \"answer\"}]}"

static void knows_troubles(void)
{
    knows("orphans", NULL, -1, ORPHANS, NULL);
    knows("matrix", "edge", 0, "{}",
          "[" EDGE("te", "ely", 8, "{}") "," EDGE("ely", "te", 3, "{}") "]");
    knows("targets", "edge", 0, "{}",
          "[" EDGE("te", "ely", 8, "{\"answered\": {\"num\": 5, \"den\": 8}}") "," EDGE(
              "ely", "te", 3, "{\"answered\": {\"num\": 3, \"den\": 3}}") "]");
    knows("silent-edges", NULL, 0,
          "{\"silent\": [{\"from\": \"finnvera\", \"to\": \"te\", \"transfers\": 0}], "
          "\"unplanned\": [], \"members\": [{\"member\": \"kummi\", \"node\": \"dead\"}]}",
          NULL);
    knows_nothing_else();
}

Test(report, a_talk_is_needed_where_something_waits_is_missed_or_silent)
{
    knows_troubles();
    kap_report_talk(&report);
    const char *said = written(80);
    has(said, "- finnvera → te: agreed, but not one handover.");
    has(said, "- te → ely: not answered (1); target missed (3/8).");
    has(said, "2f1c5d6e7f80, not answered, since 14.10.2026: ely – answer the referral");
    has(said, "kummi (the node is not in touch)");
    has_no(said, "- ely → te");
}

Test(report, the_steering_groups_edition_names_no_referral)
{
    knows_troubles();
    report.edition = KAP_EDITION_STEERING;
    kap_report_talk(&report);
    has(written(80), "not answered (1)");
    has_no(text, "2f1c5d6e7f80");
}

Test(report, without_any_agreement_used_edges_are_not_called_unplanned)
{
    knows("matrix", "edge", 0, "{}", "[" EDGE("te", "ely", 8, "{}") "]");
    knows("orphans", NULL, -1, "{\"orphans\": []}", NULL);
    knows("silent-edges", NULL, 0,
          "{\"silent\": [], \"unplanned\": [{\"from\": \"te\", \"to\": \"ely\"}], \"members\": []}",
          NULL);
    knows_nothing_else();
    kap_report_talk(&report);
    has(written(80), "No edge needs a talk.");
    has(text, "has no agreement");
}

/* --- handovers --- */

static void knows_handovers(void)
{
    knows("matrix", NULL, 0, "{\"transfers\": 20, \"guidance\": 3, \"leads\": 0}", NULL);
    knows("matrix", "edge", 0, "{}",
          "[" EDGE("te", "<b>ely</b>", 17, "{}") "," EDGE("<b>ely</b>", "te", 3, "{}") "]");
    knows("acceptance", NULL, 0, RATE(12, 15), NULL);
    knows("acceptance", "edge", 0, "{}", "[" EDGE("te", "<b>ely</b>", 17, RATE(12, 15)) "]");
    knows("time-to-accept", NULL, 0, TIME(4, 28800000), NULL);
    knows("data-quality", "edge", 0, "{}",
          "[" EDGE("te", "<b>ely</b>", 17, "{\"implied\": 2, \"reported_late\": 1}") "]");
    knows_nothing_else();
}

Test(report, handovers_have_data_quality_beside_each_edge)
{
    knows_handovers();
    kap_report_handovers(&report);
    has(written(80), "12/15, 80 %");
    has(text, "implied 2");
    has(text, "80 % (12/15");
    cr_expect_leq(widest_line(text), 80);
}

Test(report, the_public_edition_has_totals_only_and_hides_what_is_small)
{
    knows_handovers();
    report.edition = KAP_EDITION_PUBLIC;
    kap_report_handovers(&report);
    has(written(80), "guidance 1–4");
    has_no(text, "ely");
    has_no(text, "12/15"); /* 3 were not accepted: fewer than 5 */
    has_no(text, "1.0 d"); /* a time of 4 */
    report.k = 3;
    kap_page_init(&report.page, asking.arena, "en");
    kap_report_handovers(&report);
    has(written(80), "12/15");
}

Test(report, the_public_edition_tells_plans_and_meetings_whole_but_not_their_referrals)
{
    knows("follow-up", NULL, 0,
          "{\"plans\": [{\"plan\": \"action\", \"year\": 2026, \"items\": 4, \"reached\": 3, "
          "\"share\": {\"num\": 3, \"den\": 4}}]}",
          NULL);
    knows("meetings", NULL, 0,
          "{\"planned\": 3, \"held\": 2, \"referrals\": 3, \"adherence\": {\"num\": 2, \"den\": "
          "3}}",
          NULL);
    report.edition = KAP_EDITION_PUBLIC;
    kap_report_plans(&report);
    kap_report_visits(&report);
    has(written(80), "3/4, 75 %");
    has(text, "67 % (2/3)");
    has(text, "Handovers that arose in them  1–4");
    has_no(text, "Handovers that arose in them  3");
}

Test(report, a_hidden_month_has_no_height_of_its_own)
{
    static const char *const rows[] = {"1", "4"};
    char heights[2][64];
    report.edition = KAP_EDITION_PUBLIC;
    for (int i = 0; i < 2; i++) {
        char json[256];
        asking.kept.used = 0;
        snprintf(json, sizeof json,
                 "[{\"key\": {\"month\": \"2026-09\"}, \"n\": 20}, {\"key\": {\"month\": "
                 "\"2026-10\"}, \"n\": %s}]",
                 rows[i]);
        knows("matrix", "month", 2, "{}", json);
        knows_nothing_else();
        kap_page_init(&report.page, asking.arena, "en");
        report.page.title = "T";
        kap_report_handovers(&report);
        const char *bar = strstr(written(80), "10/26");
        cr_assert(bar, "%s", text);
        snprintf(heights[i], sizeof heights[i], "%.*s", (int)strcspn(bar, "\n"), bar);
        has(heights[i], "1–4");
    }
    cr_expect_str_eq(heights[0], heights[1]);
}

Test(report, names_of_members_are_escaped_in_html)
{
    knows_handovers();
    kap_report_handovers(&report);
    has(written(0), "&lt;b&gt;ely&lt;/b&gt;");
    has_no(text, "<b>");
}

/* --- pages --- */

Test(report, a_page_of_html_is_one_file_without_anything_from_elsewhere)
{
    static const char *const foreign[] = {"http://", "https://", "<script", "src=",  "url(",
                                          "@import", "<link",    "<iframe", "onload"};
    const char nasty[] = "\"><script src='https://x'>&\x01\xc3\xa4";
    const kap_page_cell_t cells[] = {{.text = nasty, .label = nasty, .share = 0.5}};
    report.page.kicker = report.page.title = report.page.subtitle = report.page.foot = "plain";
    for (int kind = KAP_PAGE_SECTION; kind <= KAP_PAGE_NOTE; kind++)
        kap_page_say(&report.page, (kap_page_kind_t)kind, nasty);
    kap_page_tile(&report.page, nasty, nasty, nasty, KAP_PAGE_GOOD);
    kap_page_item(&report.page, nasty, KAP_PAGE_BAD);
    kap_page_table(&report.page, 1, (const char *const[]){nasty}, 1);
    kap_page_row(&report.page, cells);
    kap_page_matrix(&report.page, nasty, 1, (const char *const[]){nasty});
    kap_page_cell(&report.page, cells);
    kap_page_bars(&report.page, nasty);
    kap_page_cell(&report.page, cells);
    written(0);
    has(text, "&quot;&gt;&lt;script src=&#39;https://x&#39;&gt;&amp; \xc3\xa4");
    for (char *at; (at = strstr(text, "script src=&#39;https://x"));)
        memset(at, '.', strlen("script src=&#39;https://x")); /* as text it does nothing */
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        has_no(text, foreign[i]);
}

Test(report, a_page_of_text_keeps_to_its_width)
{
    const char *words =
        "Vastaanottajan kellosta on leikattu pois odotus ja sulut, niin kuin seudun "
        "sopimus sanoo, eikä muuta; äöå äöå äöå äöå äöå äöå äöå äöå.";
    kap_page_say(&report.page, KAP_PAGE_TEXT, words);
    kap_page_tile(&report.page, "label", "value", words, KAP_PAGE_PLAIN);
    kap_page_item(&report.page, words, KAP_PAGE_PLAIN);
    cr_expect_leq(widest_line(written(80)), 80, "%s", text);
    cr_expect_leq(widest_line(written(60)), 60, "%s", text);
}

/* --- the command --- */

static door_t *door;

static void open_door(void)
{
    door = door_open();
    setenv("XDG_DATA_HOME", door_folder(door), 1);
    door_answers(door, "health", "{\"as_of_seq\": 9, \"as_of_time\": 1793000000000}");
    door_answers(door, "followed",
                 "{\"rows\": [{\"data\": {\"member\": \"te\", \"period\": \"2026-09\", \"text\": "
                 "\"Kesälomat <näkyvät>.\"}}, {\"data\": {\"member\": \"te\", \"period\": "
                 "\"2026-05\", \"text\": \"Vanha.\"}}]}");
    door_answers(door, "metrics",
                 "{\"as_of_seq\": 9, \"as_of_time\": 1793000000000, \"metric\": \"matrix\", "
                 "\"window\": {\"from\": \"2026-09-01\", \"to\": \"2026-10-01\"}, \"n\": 20, "
                 "\"pending\": 2, \"values\": {\"rate\": {\"num\": 12, \"den\": 15}}, \"rows\": "
                 "[{\"key\": {\"member\": \"te\"}, \"n\": 20, \"values\": {\"rate\": {\"num\": 12, "
                 "\"den\": 15}}}], \"more\": false}");
}

static void close_door(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -r %s/kapula 2>/dev/null", door_folder(door));
    cr_expect_neq(system(command), -1);
    door_close(&door);
}

TestSuite(cli_report, .init = open_door, .fini = close_door, .timeout = 60);

Test(cli_report, without_a_period_it_is_the_last_whole_month_beside_the_one_before)
{
    const run_t *run = door_kapula(door, "report");
    cr_assert_eq(run->code, 0, "%s", run->err);
    cr_expect_leq(widest_line(run->out), 80, "%s", run->out);
    has(run->out, "September 2026 · parties' edition");
    has(door_request(door, 1), "\"from\":\"2026-09-01\",\"to\":\"2026-10-01\"");
    has(run->out, "te: “Kesälomat <näkyvät>.”");
    has_no(run->out, "Vanha");
}

Test(cli_report, it_speaks_three_languages)
{
    has(door_kapula(door, "report --lang fi --month 2026-09")->out, "Mikä huononi");
    has(door_kapula(door, "report --lang sv --month 2026-09")->out, "Vad blev sämre");
    const run_t *run = door_kapula(door, "report --lang fi --month 2026-09 --format html");
    has(run->out, "<html lang=\"fi\">");
    has(run->out, "Kesälomat &lt;näkyvät&gt;.");
}

Test(cli_report, the_public_edition_is_of_whole_months_that_are_over)
{
    static const struct {
        const char *arguments, *says;
    } refused[] = {
        {"report --edition public --from 2026-08-02 --to 2026-09-01", "whole months or years"},
        {"report --edition public --month 2026-10", "14 days after its period ended"},
        {"report --edition public --year 2026", "14 days after its period ended"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const run_t *run = door_kapula(door, refused[i].arguments);
        cr_expect_eq(run->code, 1, "%s", refused[i].arguments);
        has(run->err, refused[i].says);
    }
    const run_t *run = door_kapula(door, "report --edition public --month 2026-09");
    cr_expect_eq(run->code, 0, "%s", run->err);
    has_no(run->out, "Kesälomat");
}

Test(cli_report, wrong_options_are_told_with_what_would_be_right)
{
    static const struct {
        const char *arguments, *says;
    } wrong[] = {
        {"report --edition all", "parties, steering or public"},
        {"report --month 2026-13", "YYYY-MM"},
        {"report --year 26", "YYYY"},
        {"report --from 2026-09-01", "go together"},
        {"report --from 2026-09-01 --to 2026-09-01", "a day behind --from"},
        {"report --year 2026 --month 2026-09", "say one of"},
        {"report --for christmas --members a,b", "activation"},
        {"report --for activation", "--members"},
        {"report --members a,b", "--for activation"},
        {"report --format csv", "text, html or json"},
        {"inbox --format html", "only a report is a page"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const run_t *run = door_kapula(door, wrong[i].arguments);
        cr_expect_eq(run->code, 2, "%s: %d", wrong[i].arguments, run->code);
        has(run->err, wrong[i].says);
    }
}

Test(cli_report, a_frozen_report_is_shown_again_in_any_language_without_asking)
{
    cr_assert_eq(door_kapula(door, "report --month 2026-09 --freeze syyskuu")->code, 0);
    const run_t *run = door_kapula(door, "frozen show syyskuu --lang sv");
    cr_expect_eq(run->code, 0, "%s", run->err);
    cr_expect_str_eq(door_request(door, 0), "");
    has(run->out, "september 2026 · parternas utgåva");
    has(run->out, "12/15, 80 %");
    has(door_kapula(door, "frozen show syyskuu --format html")->out, "<!DOCTYPE html>");
}

Test(cli_report, open_matters_are_those_between_the_members_present)
{
#define CREATED(ID, FROM, TO)                                                                      \
    "{\"referral\": \"" ID "\", \"kind\": \"transfer\", \"from\": \"" FROM "\", \"to\": \"" TO     \
    "\", \"region\": \"mikkeli\", \"service\": \"financing\", \"segment\": \"founder\", "          \
    "\"language\": \"fi\", \"origin\": \"walk_in\", \"case\": \"c\"}"
    static const char *const creations[][2] = {{"r-open", CREATED("r-open", "te", "ely")},
                                               {"r-done", CREATED("r-done", "te", "ely")},
                                               {"r-away", CREATED("r-away", "te", "finnvera")}};
    door_stream_begin(door);
    for (size_t i = 0; i < 3; i++)
        door_stream_add(door, "kapula.referral.created.v1", creations[i][0], "te",
                        "2026-09-10T09:00:00Z", creations[i][1]);
    door_stream_add(door, "kapula.referral.accepted.v1", "r-open", "ely", "2026-09-11T09:00:00Z",
                    "{\"referral\": \"r-open\"}");
    door_stream_add(door, "kapula.referral.completed.v1", "r-done", "ely", "2026-09-11T09:00:00Z",
                    "{\"referral\": \"r-done\", \"outcome\": \"handled\"}");
    door_stream_add(door, "kapula.action.agreed.v1", "a-1", "te", "2026-09-11T09:00:00Z",
                    "{\"action\": \"a-1\", \"meeting\": \"m-1\", \"what\": \"Soitetaan\", "
                    "\"member\": \"ely\"}");
    const run_t *run = door_kapula(door, "report --for activation --members te,ely");
    cr_assert_eq(run->code, 0, "%s", run->err);
    has(run->out, "Present: te, ely.");
    has(run->out, "te → ely");
    has(run->out, "r-open");
    has(run->out, "accepted");
    has(run->out, "Soitetaan");
    has_no(run->out, "r-done");
    has_no(run->out, "r-away");
}
