/* SPDX-License-Identifier: MPL-2.0 */
/* A region's agreement as a file: what is wrong with it, what it changes, what is in force. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "door.h"

static door_t *door;

static void begin(void)
{
    door = door_open();
}

static void end(void)
{
    door_close(&door);
}

TestSuite(cli_agreement, .init = begin, .fini = end, .timeout = 60);

#define has(text, part)     cr_expect(strstr(text, part), "no %s in:\n%s", part, text)
#define has_not(text, part) cr_expect_null(strstr(text, part), "%s in:\n%s", part, text)

static const run_t *with_file(const char *arguments, const char *text)
{
    char path[128], line[400];
    snprintf(path, sizeof path, "%s/sheet.csv", door_folder(door));
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
    snprintf(line, sizeof line, "%s %s", arguments, path);
    return door_kapula(door, line);
}

/* A complaint about a file of one line. */
static void complains(const char *line, const char *part)
{
    const run_t *run = with_file("agreement check", line);
    cr_expect_eq(run->code, 1, "%s: %d", line, run->code);
    has(run->err, "sheet.csv:1: ");
    has(run->err, part);
}

Test(cli_agreement, a_file_is_checked_line_by_line)
{
    complains("shout loudly", "'shout' begins no clause; region, refers, target");
    complains("refers a", "who refers to whom? Say FROM > TO");
    complains("refers > b", "who refers to whom?");
    complains("refers a > a", "a does not refer to itself");
    complains("refers a > b services magic", "'magic' is none of startup-advice");
    complains("refers a > b services", "something should follow services");
    complains("refers a > b kind lead kind lead", "kind stands twice");
    complains("refers a > b until soon", "'soon' is no day");
    complains("refers a > b from 2.2.2026 until 1.2.2026", "ends on 2026-02-01 before it begins");
    complains("refers \"a > b", "a quote is not closed");
    complains("target answer", "how much of what?");
    complains("target answer 0 days", "'0' is no number from 1 to 365");
    complains("target answer 366", "'366' is no number from 1 to 365");
    complains("target answer 5 hours", "'hours' should be days");
    complains("target joint_visits 5 days", "'days' should be the last word");
    complains("target nothing 5", "'nothing' is none of answer, contact");
    complains("limit unanswered 366", "no number from 1 to 365");
    complains("limit hidden 2", "no number from 3 to 100");
    complains("limit sleep 5", "'sleep' is none of undelivered");
    complains("visibility all", "'all' is none of ends, parties, area, nation");
    complains("forum x", "which kind of forum?");
    complains("forum x kind y rule FREQ=SECONDLY start 2026-01-13T09:00", "FREQ wants DAILY");
    complains("forum x kind y rule FREQ=DAILY", "a rule needs its start");
    complains("forum x kind y start noon", "is no local time");
    complains("forum two words kind y", "which forum? Say its id");
    complains("region", "which region?");
}

Test(cli_agreement, what_is_said_twice_is_told_with_the_line_it_stands_on)
{
    const run_t *run = with_file("agreement check", "region mikkeli\nrefers a > b\n\n"
                                                    "refers a > b services tax\nregion other\n"
                                                    "refers a > b kind lead\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv:4: line 2 says this already");
    has(run->err, "sheet.csv:5: a file is of one region");
    has_not(run->err, ":6:");
    has(run->out, "3 clauses, 2 wrong\n");
}

Test(cli_agreement, words_of_three_languages_and_codes_in_words_mean_the_same)
{
    static const char *const files[] = {
        "seutu mikkeli\nsiirtää a > b  palvelut rahoitus, neuvonta  asti 31.12.2027 # huomautus\n"
        "tavoite vastausaika 5 päivää  välillä * > b  palvelu rahoitus\nraja hidden 5\n",
        "region mikkeli\növerför a>b tjänster finansiering,startup-advice till 2027-12-31\n"
        "mål answer 5 dagar mellan *>b tjänst lån\ngräns hidden 5\n",
        "region mikkeli\r\nagreed a > \"b\" services startup-advice, financing until 2027-12-31\r\n"
        "target answer 5 between * > b service financing\r\nlimit hidden 5\r\n"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const run_t *run = with_file("agreement check", files[i]);
        cr_expect_eq(run->code, 0, "%s", run->err);
        has(run->out, "3 clauses, 0 wrong\n");
    }
}

/* What a broker with a directory would answer; no agreement yet. */
static void answers(const char *agreements, const char *targets)
{
    static const char directory[] =
        "{\"text\": \"{\\\"mesh\\\": "
        "\\\"2dd9064b6e0269ce5902a63723eee83204c5a0a35eac03508b3ce7ec5547203b\\\", "
        "\\\"rehearsal\\\": false, \\\"members\\\": [], \\\"regions\\\": [{\\\"id\\\": "
        "\\\"mikkeli\\\", \\\"area\\\": \\\"etela-savo\\\", \\\"kind\\\": "
        "\\\"ordinary\\\"}]}\", \"rehearsal\": false}";
    door_answers(door, "directory", directory);
    door_answers(door, "streams", "{\"streams\": [{\"stream\": \"region/mikkeli\", \"head\": 1}]}");
    door_answers(door, "followed", agreements);
    door_answers(door, "followed", targets);
}

#define ROW(data) "{\"log_seq\": 1, \"at\": 1, \"by\": \"municipality\", \"data\": {" data "}}"

Test(cli_agreement, show_prints_what_is_in_force_as_a_file)
{
    answers(
        "{\"rows\": [" ROW(
            "\"from\": \"b\", \"to\": \"a\", \"agreed\": true, \"region\": "
            "\"mikkeli\", \"services\": [\"financing\", \"tax\"]") ", " ROW("\"from\": \"a\", "
                                                                            "\"to\": \"b\", "
                                                                            "\"agreed\": true, "
                                                                            "\"kind\": "
                                                                            "\"lead\"") ","
                                                                                        " " ROW(
                                                                                            "\"from"
                                                                                            "\": "
                                                                                            "\"a\","
                                                                                            " \"to"
                                                                                            "\": "
                                                                                            "\"c\","
                                                                                            " \"agr"
                                                                                            "eed\":"
                                                                                            " fals"
                                                                                            "e") "]"
                                                                                                 "}",
        "{\"rows\": [" ROW("\"target\": \"answer\", \"days\": 1, \"to\": \"b\"") ", " ROW(
            "\"target\": \"plans\", \"value\": \"80\", \"valid_to\": \"2020-01-01\"") "]}");
    door_stream_begin(door);
    door_stream_add(door, "kapula.forum.set.v1", "wg", "municipality", "2026-01-01T00:00:00Z",
                    "{\"forum\": \"wg\", \"forum_kind\": \"working_group\", \"region\": "
                    "\"mikkeli\", \"name\": \"Ryhmä A\", \"chair\": \"x\", \"yearly_target\": 4}");
    const run_t *run = door_kapula(door, "agreement show");
    cr_assert_eq(run->code, 0, "%s", run->err);
    has(run->out, "\nregion     mikkeli\n\n"
                  "refers     a > b  kind lead\n"
                  "refers     b > a  services financing, tax\n\n"
                  "target     answer 1 day  between * > b\n\n"
                  "forum      wg  kind working_group  name \"Ryhmä A\"  yearly 4  chair x\n\n"
                  "limit      undelivered 1 hour\n"
                  "limit      unanswered 5 days\n");
    has(run->out, "visibility parties\n");
}

static void takes(void)
{
    door_answers(door, "report", "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\"}");
    door_answers(door, "forum", "{\"accepted\": true, \"act\": 6, \"fate\": \"queued\"}");
    door_answers(door, "fate", "{\"act\": 5, \"fate\": \"committed\", \"log_seq\": 17}");
}

/* The request that says a field so; "" when there is none. */
static const char *request_with(const char *part)
{
    for (int i = 0; *door_request(door, i); i++)
        if (strstr(door_request(door, i), part))
            return door_request(door, i);
    return "";
}

static const char old_pairs[] =
    "{\"rows\": [" ROW("\"from\": \"x\", \"to\": \"y\", \"agreed\": true") ", " ROW(
        "\"from\": \"x\", \"to\": \"z\", \"agreed\": true, \"services\": [\"tax\"]") "]}";
static const char old_targets[] =
    "{\"rows\": [" ROW("\"target\": \"answer\", \"days\": 10") ", " ROW(
        "\"target\": \"contact\", \"days\": 3, \"valid_from\": \"2026-01-01\"") "]}";

static const char no_members[] = "there is no member";

Test(cli_agreement, names_are_looked_up_where_there_is_a_directory)
{
    answers("{\"rows\": []}", "{\"rows\": []}");
    const run_t *run = with_file("agreement set", "region mikkeli\nrefers x > y\n");
    cr_expect_eq(run->code, 1);
    has(run->err, no_members);
    has(run->err, "nothing was said; mend the file first");
    run = with_file("agreement set", "region nowhere\ntarget answer 5\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "there is no region 'nowhere'");
    cr_expect_str_eq(request_with("\"verb\""), "");
}

Test(cli_agreement, set_says_what_differs_and_ends_what_is_left_out)
{
    answers(old_pairs, old_targets);
    door_stream_begin(door);
    door_stream_add(door, "kapula.forum.set.v1", "wg", "municipality", "2026-01-01T00:00:00Z",
                    "{\"forum\": \"wg\", \"forum_kind\": \"working_group\", \"region\": "
                    "\"mikkeli\", \"chair\": \"x\", \"yearly_target\": 4}");
    takes();
    const run_t *run =
        with_file("agreement set", "region mikkeli\ntarget answer 7 days\nforum wg kind "
                                   "working_group yearly 6\nlimit silent 20 days\n");
    cr_assert_eq(run->code, 0, "%s", run->err);
    has(run->out, "- target     answer 10 days\n+ target     answer 7 days\n");
    has(run->out, "- target     contact 3 days  from 2026-01-01\n");
    has(run->out, "+ forum      wg  kind working_group  yearly 6\n");
    has(run->out, "regions[mikkeli].settings.silent_days = 20\n");
    has(run->out, "2 changed, 1 ended, 1 for the operator\n");
    has_not(run->out, "refers"); /* the file does not speak of pairs */
    has(request_with("\"days\":\"7\""), "\"type\":\"kapula.target.set.v1\"");
    has(request_with("\"target\":\"contact\""), "\"valid_to\":\"20");
    has(request_with("\"verb\":\"forum\""), "\"chair\":\"x\"");
    has(request_with("\"verb\":\"forum\""), "\"yearly_target\":\"6\"");
}

Test(cli_agreement, a_dry_run_shows_the_difference_and_says_nothing)
{
    answers(old_pairs, old_targets);
    door_stream_begin(door);
    const run_t *run =
        with_file("agreement set --dry-run", "region mikkeli\ntarget answer 10 days\ntarget "
                                             "contact 3 days ended\ntarget plans 80 year 2026\n");
    cr_assert_eq(run->code, 0, "%s", run->err);
    has(run->out, "+ target     plans 80  year 2026\n");
    has(run->out, "- target     contact 3 days  from 2026-01-01\n");
    has(run->out, "1 new, 1 ended, 1 as they were\nNothing was said.\n");
    cr_expect_str_eq(request_with("\"verb\""), "");
}

Test(cli_agreement, refusals_are_told_with_their_lines)
{
    answers(old_pairs, old_targets);
    door_stream_begin(door);
    door_answers(door, "report", "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\"}");
    door_answers(door, "fate",
                 "{\"act\": 5, \"fate\": \"refused\", \"sentence\": \"only the coordinator\"}");
    const run_t *run = with_file("agreement set", "region mikkeli\n\ntarget answer 7 days\n"
                                                  "target contact 3 days from 2026-01-01\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv:3: only the coordinator\n");
    has(run->out, "1 as they were, 1 refused\n");
}

Test(cli_agreement, words_that_are_no_commands_are_usage)
{
    cr_expect_eq(door_kapula(door, "agreement")->code, 2);
    cr_expect_eq(door_kapula(door, "agreement explode")->code, 2);
    cr_expect_eq(door_kapula(door, "agreement check /nowhere")->code, 2);
}
