/* SPDX-License-Identifier: MPL-2.0 */
/* What acts say to the node, and how their fate is told. */
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

TestSuite(cli_acts, .init = begin, .fini = end, .timeout = 60);

#define has(text, part) cr_expect(strstr(text, part), "no %s in:\n%s", part, text)

static void takes(const char *verb)
{
    door_answers(door, verb,
                 "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\", \"subject\": \"r-1\", "
                 "\"case\": \"c-1\", \"repeated\": false}");
    door_answers(door, "fate",
                 "{\"act\": 5, \"fate\": \"committed\", \"subject\": \"r-1\", \"log_seq\": 17}");
}

static const run_t *runs(const char *arguments)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    cr_expect_str_eq(run->err, "");
    return run;
}

Test(cli_acts, refer_says_its_fields_and_waits_for_the_fate)
{
    takes("refer");
    const run_t *run = runs("refer --to finnvera --service financing --business-id 2617416-4 "
                            "--basis statute --basis-ref 1~§ --customer company=Oy~Esimerkki~Ab "
                            "--text Tarvitsee~lainaa --warm --key k1");
    cr_expect_str_eq(run->out, "r-1: committed at 17\n");
    cr_expect_str_eq(
        door_request(door, 0),
        "{\"verb\":\"refer\",\"key\":\"k1\",\"fields\":{\"to\":\"finnvera\",\"service\":"
        "\"financing\",\"business_id\":\"2617416-4\",\"basis.disclosure\":\"statute\","
        "\"basis.statute\":\"1 §\",\"company\":\"Oy Esimerkki Ab\",\"need\":\"Tarvitsee "
        "lainaa\",\"warm\":\"true\","
        "\"basis.gdpr\":\"6.1.c\"}}\n");
    cr_expect_str_eq(door_request(door, 1), "{\"local\":\"fate\",\"act\":5,\"wait\":true}\n");
}

Test(cli_acts, a_consent_has_its_day_and_its_text)
{
    takes("refer");
    runs("refer --to ely --basis customer_consent --basis-ref v2 --time 2026-10-31T23:30:00Z");
    has(door_request(door, 0), "\"basis.consent_version\":\"v2\"");
    has(door_request(door, 0), "\"basis.consent_date\":\"2026-11-01\"");
    has(door_request(door, 0), "\"service\":\"other\"");
    runs("refer --to ely --basis customer_consent --consent-date 2026-10-01 --gdpr 6.1.e");
    has(door_request(door, 0), "\"basis.consent_date\":\"2026-10-01\"");
    has(door_request(door, 0), "\"basis.gdpr\":\"6.1.e\"");
}

Test(cli_acts, json_has_the_ids_and_the_fate)
{
    takes("refer");
    json_t *json = json_loads(runs("refer --to finnvera --format json")->out, 0, NULL);
    cr_assert(json);
    cr_expect_eq(json_integer_value(json_object_get(json, "act")), 5);
    cr_expect_str_eq(json_string_value(json_object_get(json, "referral")), "r-1");
    cr_expect_str_eq(json_string_value(json_object_get(json, "case")), "c-1");
    cr_expect_str_eq(json_string_value(json_object_get(json, "fate")), "committed");
    cr_expect_eq(json_integer_value(json_object_get(json, "log_seq")), 17);
    json_decref(json);
}

Test(cli_acts, an_act_whose_fate_comes_late_is_queued_and_done)
{
    door_answers(door, "refer",
                 "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\", \"subject\": \"r-1\"}");
    door_conf(door, "timeout", "\"300ms\"");
    cr_expect_str_eq(runs("refer --to finnvera")->out, "r-1: queued\n");
    cr_expect_str_eq(runs("refer --to finnvera --no-wait")->out, "r-1: queued\n");
    cr_expect_str_eq(door_request(door, 1), "");
}

Test(cli_acts, a_dry_run_says_possible)
{
    takes("refer");
    cr_expect_str_eq(runs("refer --to finnvera --dry-run")->out, "r-1: possible\n");
    has(door_request(door, 0), "\"try\":true");
}

Test(cli_acts, a_refusal_is_one_line_with_its_candidates)
{
    door_answers(
        door, "refer",
        "{\"accepted\": false, \"error\": {\"code\": \"act.choose\", \"sentence\": "
        "\"name the recipient; these offer startup-advice in mikkeli\", \"field\": \"to\", "
        "\"candidates\": [\"partner\", \"te-office\"]}}");
    const run_t *run = door_kapula(door, "refer --service startup-advice");
    cr_expect_eq(run->code, 1);
    cr_expect_str_eq(run->err, "kapula: to: name the recipient; these offer startup-advice in "
                               "mikkeli: partner, te-office\n");
}

Test(cli_acts, a_refusal_by_the_broker_is_told_by_its_sentence)
{
    door_answers(door, "accept",
                 "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\", "
                 "\"subject\": \"r-1\"}");
    door_answers(door, "fate",
                 "{\"act\": 5, \"fate\": \"refused\", \"code\": \"illegal.state\", "
                 "\"sentence\": \"it is withdrawn\"}");
    const run_t *run = door_kapula(door, "answer r-1 accept --expect delivered");
    cr_expect_eq(run->code, 1);
    cr_expect_str_eq(run->err, "kapula: it is withdrawn\n");
    has(door_request(door, 0), "\"expect_state\":\"delivered\"");
    has(door_request(door, 0), "\"referral\":\"r-1\"");
}

Test(cli_acts, answers_name_their_fields_as_the_node_does)
{
    takes("decline");
    runs("answer r-1 decline --reason wrong_service --advised TE-toimisto");
    has(door_request(door, 0), "\"reason\":\"wrong_service\",\"advised\":\"TE-toimisto\"");
    takes("withdraw");
    runs("answer r-1 withdraw --reason customer_request");
    has(door_request(door, 0), "\"withdraw_reason\":\"customer_request\"");
    takes("redirect");
    runs("answer r-1 redirect --reason wrong_service --to partner --service mentoring");
    has(door_request(door, 0), "\"next.to\":\"partner\",\"next.service\":\"mentoring\"");
    takes("contacted");
    runs("answer r-1 contacted --contact reached --channel phone --text Soitettu");
    has(door_request(door, 0),
        "\"result\":\"reached\",\"channel\":\"phone\",\"note\":\"Soitettu\"");
    takes("complete");
    runs("answer r-1 complete --outcome handled --detail served --result recruited");
    has(door_request(door, 0), "\"outcome\":\"handled\",\"detail\":\"served\",\"results\":"
                               "\"recruited\"");
    takes("share");
    runs("answer r-1 share --to ely --basis statute");
    has(door_request(door, 0), "\"with\":\"ely\",\"basis.disclosure\":\"statute\"");
}

Test(cli_acts, an_answer_that_does_not_exist_is_usage)
{
    cr_expect_eq(door_kapula(door, "answer r-1 explode")->code, 2);
    cr_expect_eq(door_kapula(door, "answer r-1")->code, 2);
    cr_expect_eq(door_kapula(door, "meeting explode")->code, 2);
    cr_expect_eq(door_kapula(door, "action explode")->code, 2);
    cr_expect_eq(door_kapula(door, "forum explode")->code, 2);
    cr_expect_eq(door_kapula(door, "refer --nonsense")->code, 2);
    cr_expect_eq(door_kapula(door, "refer --field nothing")->code, 2);
    cr_expect_str_eq(door_request(door, 0), "");
}

Test(cli_acts, tallies_forums_meetings_actions_and_events_name_their_verbs)
{
    takes("tally");
    runs("tally --to finnvera --count 12 --period 2026-10");
    has(door_request(door, 0), "{\"verb\":\"tally\",\"key\":\"kapula/"); /* sent twice, said once */
    has(door_request(door, 0), "\"fields\":{\"to\":\"finnvera\",\"count\":"
                               "\"12\",\"period\":\"2026-10\"}}");
    takes("forum");
    runs("forum set --id wg --kind working_group --rrule FREQ=MONTHLY;BYDAY=2TU --start "
         "2026-01-13T09:00");
    has(door_request(door, 0), "\"forum\":\"wg\",\"forum_kind\":\"working_group\",\"rrule\":"
                               "\"FREQ=MONTHLY;BYDAY=2TU\",\"dtstart\":\"2026-01-13T09:00\"");
    takes("meeting-hold");
    runs("meeting hold --id m1 --attendance ely,finnvera --topics 4");
    has(door_request(door, 0), "\"verb\":\"meeting-hold\"");
    has(door_request(door, 0), "\"attendance\":\"ely,finnvera\"");
    takes("action-agree");
    runs("action agree --meeting m1 --what Soittaa --due 2026-03-01");
    has(door_request(door, 0), "\"verb\":\"action-agree\"");
    takes("report");
    runs("event advice.given --field service=startup-advice --field count=3");
    has(door_request(door, 0), "\"verb\":\"report\"");
    has(door_request(door, 0), "\"fields\":{\"service\":\"startup-advice\","
                               "\"count\":\"3\",\"type\":\"advice.given\"}}");
}

static void write_sheet(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/sheet.csv", door_folder(door));
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
}

static const run_t *run_sheet(const char *text)
{
    char line[256];
    write_sheet(text);
    snprintf(line, sizeof line, "tally --file %s/sheet.csv", door_folder(door));
    return door_kapula(door, line);
}

Test(cli_acts, a_tally_sheet_is_said_row_by_row)
{
    takes("tally");
    const run_t *run = run_sheet("to;count;period\nfinnvera;12;2026-10\nely;3;2026-10\n");
    cr_expect_eq(run->code, 0, "%s", run->err);
    has(run->out, "2 rows: 2 said, 0 refused");
    has(door_request(door, 0), "\"key\":\"tally/");
    has(door_request(door, 1),
        "\"fields\":{\"to\":\"ely\",\"count\":\"3\",\"period\":\"2026-10\"}");
}

Test(cli_acts, refused_rows_of_a_sheet_are_told_with_their_line)
{
    door_answers(door, "tally",
                 "{\"accepted\": false, \"error\": {\"code\": \"act.no_member\", "
                 "\"sentence\": \"there is no member 'x'\"}}");
    takes("tally");
    const run_t *run = run_sheet("to,count,period\nx,12,2026-10\nely,3\nely,3,2026-10\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv:2: there is no member 'x'\n");
    has(run->err, "sheet.csv:3: 2 fields; the header has 3\n");
    has(run->out, "3 rows: 1 said, 2 refused");
    run = run_sheet("to,count\n\"open");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv: line 2");
}
