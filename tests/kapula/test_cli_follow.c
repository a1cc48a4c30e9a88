/* SPDX-License-Identifier: MPL-2.0 */
/* The follow-up model by command: what is said of a line and of a table, and how it is shown. */
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

TestSuite(cli_follow, .init = begin, .fini = end, .timeout = 60);

#define has(text, part)     cr_expect(strstr(text, part), "no %s in:\n%s", part, text)
#define has_not(text, part) cr_expect_null(strstr(text, part), "%s in:\n%s", part, text)

static void takes(void)
{
    door_answers(door, "report",
                 "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\", \"repeated\": false}");
    door_answers(door, "fate", "{\"act\": 5, \"fate\": \"committed\", \"log_seq\": 17}");
}

static const run_t *runs(const char *arguments)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    cr_expect_str_eq(run->err, "");
    cr_expect_leq(widest_line(run->out), 80, "%s", run->out);
    return run;
}

static const run_t *with_sheet(const char *arguments, const char *text)
{
    char path[128], line[400];
    snprintf(path, sizeof path, "%s/sheet.csv", door_folder(door));
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
    snprintf(line, sizeof line, "%s --file %s", arguments, path);
    return door_kapula(door, line);
}

/* The value of a field that the i-th request says; "" when it says none. */
static const char *said(int i, const char *field)
{
    static char text[400];
    json_t *json = json_loads(door_request(door, i), 0, NULL);
    const char *value = json_string_value(json_object_get(json_object_get(json, "fields"), field));
    snprintf(text, sizeof text, "%s", value ? value : "");
    json_decref(json);
    return text;
}

Test(cli_follow, an_item_of_a_plan_gets_an_id_from_its_words)
{
    char id[64];
    takes();
    has(runs("plan set --what Info --plan Viestintäsuunnitelma --year 2026-2028 --progress 40~%")
            ->out,
        "plan set: committed at 17\n");
    cr_expect_str_eq(said(0, "type"), "kapula.plan.item_set.v1");
    cr_expect_str_eq(said(0, "plan"), "communication");
    cr_expect_str_eq(said(0, "year"), "2026");
    cr_expect_str_eq(said(0, "year_to"), "2028");
    cr_expect_str_eq(said(0, "progress"), "40");
    cr_expect_str_eq(said(0, "region"), "mikkeli");
    snprintf(id, sizeof id, "%s", said(0, "item"));
    cr_expect_eq(strncmp(id, "item-", 5), 0);
    runs("plan set --what Info --plan communication --year 2026-2028 --status reached");
    cr_expect_str_eq(said(0, "item"), id, "the same item");
    runs("plan set --what Info --plan communication --year 2027");
    cr_expect_str_neq(said(0, "item"), id, "of another year");
    runs("plan set --what Info --item i-1");
    cr_expect_str_eq(said(0, "item"), "i-1");
}

Test(cli_follow, every_kind_names_its_event_and_what_goes_without_saying)
{
    takes();
    runs("plan report --item i-1 --progress 80 --status under_way");
    cr_expect_str_eq(said(0, "type"), "kapula.plan.item_reported.v1");
    runs("survey answer --survey members --question k1 --value hyvä --period 3/2026");
    cr_expect_str_eq(said(0, "text"), "hyvä");
    cr_expect_str_eq(said(0, "value"), "");
    cr_expect_str_eq(said(0, "period"), "2026-03");
    runs("indicator report --indicator Perustetut~yritykset --period 2025 --value 1~305,50 "
         "--source PRH");
    cr_expect_str_eq(said(0, "indicator"), "companies_founded");
    cr_expect_str_eq(said(0, "value"), "1305.50");
    cr_expect_str_eq(said(0, "unit"), "companies");
    runs("process set --name Perustaminen --owner partner --stages a,b");
    cr_expect_eq(strncmp(said(0, "process"), "process-", 8), 0);
    runs("customers report --year 2025 --total 10 --new 10");
    cr_expect_str_eq(said(0, "segment"), "unknown");
    runs("customers new --origin Yrityskäynti");
    cr_expect_str_eq(said(0, "origin"), "joint_visit");
    cr_expect_str_eq(said(0, "count"), "1");
    runs("advice --service neuvonta --segment alkavat --count 3");
    cr_expect_str_eq(said(0, "service"), "startup-advice");
    cr_expect_str_eq(said(0, "segment"), "founder");
    cr_expect_str_eq(said(0, "channel"), "other");
    runs("target set --target vastausaika --days 5~pv --to finnvera");
    cr_expect_str_eq(said(0, "target"), "answer");
    cr_expect_str_eq(said(0, "days"), "5");
    runs("comment --period 2026 --text Hyvä~vuosi");
    cr_expect_str_eq(said(0, "member"), "municipality");
    cr_expect_eq(door_kapula(door, "customers report --year 2025 --total 9 --new 10")->code, 1);
}

Test(cli_follow, the_self_evaluation_shows_its_questions_and_takes_answers)
{
    takes();
    const run_t *run = runs("--lang fi evaluate");
    has(run->out, "1   Miten toimijoiden keskinäinen yhteydenpito on kehittynyt? [contact: 1-7]\n");
    has(run->out, "[next: sanoin]");
    runs("evaluate --period 2026 --answer 2=6 --answer best=Käynnit");
    cr_expect_str_eq(said(0, "question"), "trust");
    cr_expect_str_eq(said(0, "value"), "6");
    cr_expect_str_eq(said(0, "survey"), "self_evaluation");
    cr_expect_str_eq(said(2, "question"), "best");
    cr_expect_str_eq(said(2, "text"), "Käynnit");
    run = door_kapula(door, "evaluate --period 2026 --answer 13=6");
    cr_expect_eq(run->code, 1);
    has(run->err, "'13' is none of the 12");
    run = door_kapula(door, "evaluate --period 2026 --answer trust=hyvä");
    cr_expect_eq(run->code, 1);
    has(run->err, "no number from 1 to 7");
}

#define PLAN                                                                                       \
    "Toimintasuunnitelma;;;\n\nTavoite;Toimenpide;Vastuu;Budjetti\nKasvu;;;\n;Info;Kunta;100\n"    \
    ";Kirje;;\n"

Test(cli_follow, a_table_is_said_row_by_row_and_told)
{
    takes();
    door_answers(door, "followed", "{\"rows\": []}");
    const run_t *run = with_sheet("plan set --plan action --year 2026", PLAN);
    cr_assert_eq(run->code, 0, "%s", run->err);
    has(run->out, "Read as       UTF-8, ';'\n");
    has(run->out, "Header        on line 3; rows above it passed over: 1\n");
    has(run->out, "Columns       Tavoite = goal, Toimenpide = what, Vastuu = responsible\n");
    has(run->out, "Not used      Budjetti\n");
    has(run->out, "Rows          2 said, 1 headings\n");
    cr_expect_str_eq(said(1, "what"), "Info");
    cr_expect_str_eq(said(1, "goal"), "Kasvu");
    cr_expect_str_eq(said(1, "plan"), "action");
    cr_expect_str_eq(said(2, "what"), "Kirje");
    cr_expect_str_eq(said(2, "responsible"), "");
    cr_expect_leq(widest_line(run->out), 80);
}

Test(cli_follow, only_what_differs_from_what_is_in_force_is_said)
{
    char rows[1200], first[64], second[64];
    takes();
    door_answers(door, "followed", "{\"rows\": []}");
    with_sheet("plan set --year 2026", PLAN);
    snprintf(first, sizeof first, "%s", said(1, "item"));
    snprintf(second, sizeof second, "%s", said(2, "item"));
    snprintf(rows, sizeof rows,
             "{\"rows\": [{\"log_seq\": 1, \"at\": 1, \"by\": \"municipality\", \"data\": "
             "{\"region\": \"mikkeli\", \"item\": \"%s\", \"what\": \"Info\", \"goal\": "
             "\"Kasvu\", \"responsible\": \"Kunta\", \"year\": 2026}}, {\"log_seq\": 2, \"at\": 1, "
             "\"by\": \"ely\", \"data\": {\"region\": \"mikkeli\", \"item\": \"%s\", \"what\": "
             "\"Kirje\", \"goal\": \"Kasvu\", \"status\": \"kesken\", \"year\": 2026}}]}",
             first, second);
    door_answers(door, "followed", rows);
    const run_t *run = with_sheet("plan set --year 2026", PLAN);
    has(run->out, "Rows          1 changed, 1 as they were, 1 headings\n");
    cr_expect_str_eq(said(1, "what"), "Kirje");
    run = with_sheet("plan set --year 2026 --time 2026-01-02", PLAN);
    has(run->out, "1 changed, 1 as they were");
    run = with_sheet("plan set --year 2026 --dry-run", PLAN);
    has(run->out, "   5  as they were  Info\n");
    has(run->out, "   6  changed       Kirje\n");
    has(run->out, "1 would change");
    has(door_request(door, 1), "\"try\":true");
}

Test(cli_follow, refused_rows_are_told_with_their_lines_and_the_others_count)
{
    door_answers(door, "followed", "{\"rows\": []}");
    door_answers(door, "report",
                 "{\"accepted\": false, \"error\": {\"code\": \"act.value\", \"sentence\": "
                 "\"'x' is not a number\", \"field\": \"value\"}}");
    takes();
    door_answers(door, "fate", "{\"act\": 5, \"fate\": \"refused\", \"sentence\": \"no\"}");
    const run_t *run = with_sheet("indicator report --source PRH --unit kpl",
                                  "Tunnusluku;2024;2025\nA;x;1,5\nB;..;-\nC;2;3\nA;1;\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv:2: value: 'x' is not a number\n");
    has(run->err, "sheet.csv:4: no\n");
    has(run->out, "1 said, 4 refused\n");
    run = with_sheet("indicator report --source PRH --unit kpl --format json",
                     "Tunnusluku;2024\nA;1\nA;2\nA;1\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv:3: line 2 says otherwise of the same");
    has(run->out, "\"same\": 1,");
    has(run->out, "\"line\": 3,");
}

static void key_of(int i, char out[80])
{
    json_t *json = json_loads(door_request(door, i), 0, NULL);
    const char *key = json_string_value(json_object_get(json, "key"));
    snprintf(out, 80, "%s", key ? key : "");
    json_decref(json);
}

Test(cli_follow, what_counts_one_by_one_has_a_key_of_its_contents)
{
    static const char table[] = "Palvelu;Kpl;Kuukausi\nneuvonta;1;10/2026\nneuvonta;1;10/2026\n";
    char first[80], second[80], again[80];
    takes();
    cr_expect_eq(with_sheet("advice", table)->code, 0);
    key_of(0, first);
    key_of(1, second);
    cr_expect_eq(strncmp(first, "table/", 6), 0);
    cr_expect_str_neq(first, second, "two of the same are two");
    with_sheet("advice", "Palvelu;Kpl;Kuukausi\nrahoitus;2;10/2026\nneuvonta;1;10/2026\n");
    key_of(1, again);
    cr_expect_str_eq(again, first, "the same row of a longer table");
    with_sheet("advice --key toinen", table);
    key_of(0, again);
    cr_expect_str_neq(again, first);
    door_answers(door, "report",
                 "{\"accepted\": true, \"act\": 5, \"fate\": \"queued\", \"repeated\": true}");
    with_sheet("advice", table);
    has(with_sheet("advice", table)->out, "Rows          2 said before\n");
}

Test(cli_follow, answers_in_columns_become_an_act_each_without_who_gave_them)
{
    takes();
    const run_t *run = with_sheet("survey answer --survey members --period 2026",
                                  "Nimi,Yhteistyö,Terveiset\nMaija,4,Kiitos\nMatti,,\n");
    cr_assert_eq(run->code, 0, "%s", run->err);
    cr_expect_str_eq(said(0, "question"), "Yhteistyö");
    cr_expect_str_eq(said(0, "value"), "4");
    cr_expect_str_eq(said(1, "question"), "Terveiset");
    cr_expect_str_eq(said(1, "text"), "Kiitos");
    has(run->out, "Not used      Nimi\n");
    cr_expect_str_eq(said(0, "time") + 10, " 00:00", "of a day");
    for (int i = 0; i < 4; i++)
        has_not(door_request(door, i), "Maija");
}

Test(cli_follow, a_silent_node_is_said_once_and_the_file_can_be_said_again)
{
    door_answers(door, "followed", "{\"rows\": []}");
    door_conf(door, "timeout", "\"300ms\"");
    const run_t *run = with_sheet("plan set", PLAN);
    cr_expect_eq(run->code, 3);
    has(run->err, "sheet.csv:5: the node does not answer; say the file again");
    has_not(run->err, "sheet.csv:6");
}

Test(cli_follow, files_that_are_no_tables_say_what_would_be_right)
{
    door_answers(door, "followed", "{\"rows\": []}");
    const run_t *bare = with_sheet("plan set", "Toimenpide;Mittari\n;6 kirjettä\n");
    cr_expect_eq(bare->code, 1);
    has(bare->err, "sheet.csv:2: what: nothing stands there; where one cell spans several rows");
    const run_t *run = with_sheet("plan set", "a;b\n1;2\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv: no header in the first 30 rows: it needs a column what");
    run = with_sheet("plan set", "Toimenpide;Mittari\n;\n");
    cr_expect_eq(run->code, 1);
    has(run->err, "sheet.csv: nothing stands below the header on line 1");
    cr_expect_eq(door_kapula(door, "plan set --file /nowhere")->code, 2);
    cr_expect_eq(door_kapula(door, "plan explode")->code, 2);
    cr_expect_eq(door_kapula(door, "customers")->code, 2);
    cr_expect_str_eq(door_request(door, 0), "");
}

#define ROW(seq, by, data)                                                                         \
    "{\"log_seq\": " #seq ", \"at\": 1790000000000, \"by\": \"" by "\", \"data\": " data "}"

Test(cli_follow, lists_show_what_is_in_force)
{
    door_answers(door, "followed",
                 "{\"rows\": [" ROW(1, "ely",
                                    "{\"item\": \"i-1\", \"what\": \"Info\", \"year\": 2026, "
                                    "\"year_to\": 2028, \"responsible\": \"Kunta\"}") "]}");
    door_answers(door, "followed",
                 "{\"rows\": [" ROW(3, "ely", "{\"item\": \"i-1\", \"progress\": 70}") ", " ROW(
                     2, "ely", "{\"item\": \"i-1\", \"progress\": 50, \"status\": \"x\"}") "]}");
    const run_t *run = runs("plan list --year 2027");
    has(run->out, "2026-2028  Info  Kunta        70");
    has(run->out, "i-1");
    has(door_request(door, 0), "{\"query\":\"followed\",\"region\":\"mikkeli\",\"type\":"
                               "\"kapula.plan.item_set.v1\"}");
    has(runs("--lang fi plan list --year 2029")->out, "Ei mitään näytettävää.");
    run = door_kapula(door, "--lang fi plan show i-7");
    cr_expect_eq(run->code, 1);
    has(run->err, "there is none of that id or name here");
}

Test(cli_follow, one_item_is_shown_with_all_that_it_says)
{
    door_answers(door, "followed",
                 "{\"rows\": [" ROW(1, "ely",
                                    "{\"item\": \"i-1\", \"what\": \"Info\", "
                                    "\"who\": \"Kaikki\", \"plan\": \"work\"}") "]}");
    door_answers(door, "followed", "{\"rows\": []}");
    cr_expect_str_eq(runs("--lang fi plan show i-1")->out,
                     "Kohta           i-1\nSuunnitelma     työsuunnitelma\nMitä            Info\n"
                     "Kuka            Kaikki\n");
    cr_expect_eq(door_kapula(door, "plan show")->code, 2);
}

Test(cli_follow, lists_are_read_page_by_page_and_leave_out_what_has_ended)
{
    door_answers(door, "followed",
                 "{\"next\": \"x\", \"rows\": [" ROW(
                     1, "ely", "{\"target\": \"answer\", \"days\": 5, \"to\": \"finnvera\"}") "]}");
    door_answers(door, "followed",
                 "{\"rows\": [" ROW(2, "ely",
                                    "{\"target\": \"answer\", \"days\": 9, \"valid_to\": "
                                    "\"2020-01-01\"}") "]}");
    const run_t *run = runs("target list");
    has(run->out, "time to answer");
    has(run->out, "finnvera");
    has(run->out, "   5");
    has_not(run->out, "9");
    run = runs("target list --all --format csv");
    has(run->out, "answer,,,,,,9,,,2020-01-01\r\n");
}

Test(cli_follow, what_counts_one_by_one_is_listed_as_figures)
{
    door_answers(
        door, "metrics",
        "{\"metric\": \"follow-up\", \"as_of_seq\": 9, \"values\": {\"surveys\": [{\"survey\": "
        "\"members\", \"question\": \"k1\", \"year\": 2026, \"scale\": 4, \"n\": 6, \"texts\": 0, "
        "\"mean\": {\"sum_milli\": 20500, \"n\": 6}}, {\"survey\": \"members\", \"question\": "
        "\"k2\", \"year\": 2026, \"hidden\": true}], \"evaluation\": [{\"question\": \"trust\", "
        "\"year\": 2026, \"n\": 5, \"texts\": 0, \"mean\": {\"sum_milli\": 31000, \"n\": 5}}], "
        "\"advice\": [{\"service\": \"financing\", \"segment\": \"founder\", \"channel\": "
        "\"phone\", \"n\": 12}], \"new_customers\": [{\"origin\": \"joint_visit\", \"n\": 3}]}}");
    const run_t *run = runs("survey list --year 2026");
    has(door_request(door, 0), "\"metric\":\"follow-up\",\"region\":\"mikkeli\",\"year\":\"2026\"");
    has(run->out, "k1        2026  6      3.4      4         0\n");
    has(run->out, "too few");
    run = runs("evaluate list --lang fi");
    has(run->out, "Miten luottamus toimijoiden välillä on kehittynyt?");
    has(run->out, "6.2");
    has(runs("advice list")->out, "telephone");
    has(runs("customers list --new")->out, "joint company visit  3\n");
    has(runs("customers list --new --format csv")->out, "origin,n\r\njoint_visit,3\r\n");
}
