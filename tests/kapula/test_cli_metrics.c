/* SPDX-License-Identifier: MPL-2.0 */
/* kapula metrics, orphans and frozen against a door of canned answers. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue.h"
#include "door.h"

static door_t *door;

#define has(text, part)    cr_expect(strstr(text, part), "no %s in:\n%s", part, text)
#define has_no(text, part) cr_expect_not(strstr(text, part), "%s in:\n%s", part, text)

#define HEAD(SEQ)                                                                                  \
    "\"as_of_seq\": " SEQ ", \"as_of_time\": 1793000000000, \"metric\": \"acceptance\", "          \
    "\"unit\": \"share\", \"kind\": \"cohort\", \"window\": {\"from\": \"2026-09-01\", \"to\": "   \
    "\"2026-10-01\", \"zone\": \"Europe/Helsinki\"}, \"clock\": \"recipient\", \"time\": "         \
    "\"working\", \"view\": \"then\", \"scope\": {\"kind\": \"region\", \"region\": "              \
    "\"mikkeli\"}, "
#define ROW(FROM, TO, NUM, DEN)                                                                    \
    "{\"key\": {\"edge\": [\"" FROM "\", \"" TO "\"]}, \"n\": " DEN ", \"decided\": " DEN          \
    ", \"pending\": 0, \"values\": {\"rate\": {\"num\": " NUM ", \"den\": " DEN                    \
    "}, \"accepted\": " NUM ", \"backed_out\": 0, \"cost\": {\"n\": 3, \"p50_ms\": 43200000, "     \
    "\"p90_ms\": 86400000, \"p99_ms\": 86400000, \"max_ms\": 86400000, \"mean_ms\": 50000000, "    \
    "\"exact\": true}}}"
#define TOTALS                                                                                     \
    "\"n\": 19, \"decided\": 15, \"pending\": 4, \"values\": {\"rate\": {\"num\": 12, \"den\": "   \
    "15}, \"accepted\": 12, \"backed_out\": 0, \"cost\": {\"n\": 3, \"p50_ms\": 43200000, "        \
    "\"p90_ms\": 86400000, \"p99_ms\": 86400000, \"max_ms\": 86400000, \"mean_ms\": 50000000, "    \
    "\"exact\": true}}"
#define REST ", \"more\": false, \"hidden\": 0, \"notes\": []"

static void begin(void)
{
    door = door_open();
    setenv("XDG_DATA_HOME", door_folder(door), 1);
}

static void end(void)
{
    char command[256]; /* the door removes its folder when that is empty of ours */
    snprintf(command, sizeof command, "rm -r %s/kapula 2>/dev/null", door_folder(door));
    cr_expect_neq(system(command), -1);
    door_close(&door);
}

TestSuite(cli_metrics, .init = begin, .fini = end, .timeout = 60);

static const run_t *runs(const char *arguments)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    if (!strstr(arguments, "--format"))
        cr_expect_leq(widest_line(run->out), 80, "wider than 80:\n%s", run->out);
    return run;
}

static void frozen_path(const char *name, char out[256])
{
    snprintf(out, 256, "%s/kapula/frozen/%s.json", door_folder(door), name);
}

static char *slurped(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    fclose(file);
    return text;
}

/* --- list --- */

Test(cli_metrics, the_list_asks_nobody_and_tells_every_metric)
{
    const run_t *run = runs("metrics list");
    cr_expect_str_eq(door_request(door, 0), "");
    for (int i = 0; kap_catalogue_metric(i); i++)
        has(run->out, kap_catalogue_metric(i)->name);
    has(run->out, "Squartini, Picciolo, Ruzzenenti, Garlaschelli 2013");
    has(run->out, "edge, member, region, service, segment, warm, origin, month");
    has(run->out, "accepted of those decided or overdue (rate)");
    has(runs("metrics list --lang fi")->out, "Määritelmä");
}

Test(cli_metrics, the_list_in_json_has_values_with_their_meaning)
{
    const run_t *run = runs("metrics list --format json");
    json_t *json = json_loads(run->out, 0, NULL), *rows = json_object_get(json, "metrics");
    cr_assert_eq(json_array_size(rows), 18);
    json_t *first = json_array_get(rows, 0);
    cr_expect_str_eq(json_string_value(json_object_get(first, "metric")), "matrix");
    cr_expect_str_eq(json_string_value(json_object_get(first, "kinds")), "cohort, flow, stock");
    json_t *value = json_array_get(json_object_get(first, "values"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(value, "value")), "transfers");
    cr_expect_str_eq(json_string_value(json_object_get(value, "form")), "count");
    json_decref(json);
}

/* --- asking --- */

Test(cli_metrics, options_become_the_question)
{
    door_answers(door, "metrics", "{" HEAD("7") TOTALS REST "}");
    runs(
        "metrics acceptance --month 2026-09 --by service --where segment=founder --clock customer");
    cr_expect_str_eq(door_request(door, 0),
                     "{\"query\":\"metrics\",\"metric\":\"acceptance\",\"region\":\"mikkeli\","
                     "\"month\":\"2026-09\",\"by\":\"service\",\"clock\":\"customer\","
                     "\"where\":{\"segment\":\"founder\"}}\n");
    runs("metrics acceptance --nation --year 2026");
    cr_expect_str_eq(door_request(door, 0), "{\"query\":\"metrics\",\"metric\":\"acceptance\","
                                            "\"nation\":true,\"year\":\"2026\"}\n");
    runs("metrics acceptance --edge te-office:finnvera");
    has(door_request(door, 0), "\"region\":\"mikkeli\",\"edge\":[\"te-office\",\"finnvera\"]");
    runs("metrics acceptance --member finnvera");
    cr_expect_str_eq(door_request(door, 0), "{\"query\":\"metrics\",\"metric\":\"acceptance\","
                                            "\"member\":\"finnvera\"}\n");
}

Test(cli_metrics, what_is_wrong_before_asking_is_told_at_once)
{
    static const struct {
        const char *arguments, *says;
    } wrong[] = {
        {"metrics acceptance --from 2026-02-30", "a day that exists"},
        {"metrics acceptance --from 2026-03-01 --to 2026-03-01", "the day after the last"},
        {"metrics acceptance --edge te-office", "FROM:TO"},
        {"metrics acceptance --where service", "NAME=VALUE"},
        {"metrics acceptance --freeze ../x", "a name has 1 to 64"},
        {"metrics", "missing"},
        {"frozen", "missing"},
        {"frozen again", "say list, show NAME or again NAME"},
        {"frozen thaw x", "say list, show NAME or again NAME"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const run_t *run = door_kapula(door, wrong[i].arguments);
        cr_expect_eq(run->code, 2, "%s: %d", wrong[i].arguments, run->code);
        has(run->err, wrong[i].says);
        cr_expect_str_eq(door_request(door, 0), "");
    }
}

Test(cli_metrics, a_refusal_is_the_brokers_sentence)
{
    door_answers(door, "metrics",
                 "{\"error\": {\"code\": \"query.metric\", \"sentence\": \"there is no metric "
                 "acceptanse; like it: acceptance\"}}");
    const run_t *run = door_kapula(door, "metrics acceptanse");
    cr_expect_eq(run->code, 1);
    cr_expect_str_eq(run->err, "kapula: there is no metric acceptanse; like it: acceptance\n");
}

/* --- showing --- */

Test(cli_metrics, a_share_stands_with_its_numbers_and_times_in_words)
{
    door_answers(door, "metrics", "{" HEAD("7") TOTALS REST "}");
    const run_t *run = runs("metrics acceptance");
    has(run->out, "Acceptance, Mikkeli, 2026-09-01 – 2026-09-30, cohort");
    has(run->out, "n 19, decided 15, pending 4");
    has(run->out, "12/15  80 %");
    has(run->out, "n 3, median 1.5 working days, 90 % 3.0 d");
    has(run->out, "As of 26.10.2026 ");
    has(run->out, "position 7");
    has(runs("metrics acceptance --lang fi")->out, "1,5 työpäivää");
}

Test(cli_metrics, rows_are_a_table_without_columns_that_say_nothing)
{
    door_answers(door, "metrics",
                 "{" HEAD("7") TOTALS
                 ", \"by\": \"edge\", \"rows\": [" ROW("finnvera", "te-office", "3", "4") "," ROW(
                     "te-office", "finnvera", "9", "11") "]" REST "}");
    const run_t *run = runs("metrics acceptance --by edge");
    has(run->out, "From       To          n");
    has(run->out, "3/4  75 %");
    has(run->out, "9/11  82 %");
    has_no(strstr(run->out, "From"), "backed out");
    cr_expect_lt(strstr(run->out, "3/4  75 %"), strstr(run->out, "9/11  82 %"));
}

Test(cli_metrics, pages_are_put_together)
{
    door_answers(door, "metrics",
                 "{" HEAD("7") TOTALS
                 ", \"by\": \"edge\", \"rows\": [" ROW("a", "b", "1", "2") "], \"more\": true}");
    door_answers(door, "metrics",
                 "{" HEAD("7") TOTALS
                 ", \"by\": \"edge\", \"rows\": [" ROW("b", "a", "2", "3") "]" REST "}");
    const run_t *run = runs("metrics acceptance --by edge --format json");
    has(door_request(door, 1), "\"after\":{\"edge\":[\"a\",\"b\"]}");
    json_t *json = json_loads(run->out, 0, NULL);
    cr_expect_eq(json_array_size(json_object_get(json, "rows")), 2);
    cr_expect_eq(json_is_true(json_object_get(json, "more")), 0);
    json_decref(json);
}

Test(cli_metrics, hidden_cells_are_a_range_and_the_reader_is_told)
{
    door_answers(door, "metrics",
                 "{" HEAD("7") TOTALS
                 ", \"by\": \"member\", \"rows\": [{\"key\": {\"member\": \"finnvera\"}, "
                 "\"hidden\": true}, {\"key\": {\"member\": \"te-office\"}, \"n\": 11, "
                 "\"values\": {\"accepted\": 9}}], \"hidden\": 1, \"more\": false}");
    const run_t *run = runs("metrics acceptance --by member");
    has(run->out, "1-4*");
    has(run->out, "* 1-4 or a number that would give such a one away.");
    run = runs("metrics acceptance --by member --format csv");
    has(run->out, "finnvera,,,,,,,,,,,,,,true\r\n");
}

Test(cli_metrics, a_number_too_small_to_be_told_is_a_range_too)
{
    door_answers(door, "metrics",
                 "{" HEAD("7") "\"n\": 20, \"values\": {\"guidance\": null, \"accepted\": 12}, "
                               "\"by\": \"region\", \"rows\": [{\"key\": {\"region\": "
                               "\"mikkeli\"}, \"n\": 20, \"values\": {\"guidance\": null, "
                               "\"accepted\": 12}}], \"hidden_below\": 4, \"hidden\": 0, "
                               "\"more\": false}");
    const run_t *run = runs("metrics acceptance --by region");
    has(run->out, "guidance                  1-3");
    has(run->out, "Mikkeli  20       1-3     12");
}

Test(cli_metrics, csv_names_the_parts_of_values)
{
    door_answers(door, "metrics",
                 "{" HEAD("7") TOTALS
                 ", \"by\": \"edge\", \"rows\": [" ROW("a", "b", "1", "2") "]" REST "}");
    has(runs("metrics acceptance --by edge --format csv")->out,
        "from,to,rate_num,rate_den,accepted,backed_out,cost_n,cost_p50_ms,cost_p90_ms,cost_p99_ms,"
        "cost_max_ms,cost_mean_ms,n,decided,pending,hidden\r\n"
        "a,b,1,2,1,0,3,43200000,86400000,86400000,86400000,50000000,2,2,0,false\r\n");
}

Test(cli_metrics, orphans_have_an_owner_and_a_step)
{
    door_answers(door, "metrics",
                 "{\"as_of_seq\": 9, \"as_of_time\": 1793000000000, \"metric\": \"orphans\", "
                 "\"kind\": \"now\", \"scope\": {\"kind\": \"region\", \"region\": \"mikkeli\"}, "
                 "\"n\": 1, \"values\": {\"orphans\": [{\"referral\": "
                 "\"01932f8e-7c1a-7000-8000-2f1c5d6e7f80\", \"from\": \"te-office\", "
                 "\"to\": \"finnvera\", \"what\": \"unanswered\", \"since_at\": 1792000000000, "
                 "\"owner\": \"finnvera\", \"step\": \"answer\"}]}, \"more\": false}");
    const run_t *run = runs("orphans");
    cr_expect_str_eq(door_request(door, 0), "{\"query\":\"metrics\",\"metric\":\"orphans\","
                                            "\"region\":\"mikkeli\"}\n");
    has(run->out, "2f1c5d6e7f80");
    has(run->out,
        "finnvera\n  2f1c5d6e7f80  te-office > finnvera, since 14.10.2026: not answered\n");
    has(run->out, "→ answer the referral");
    has(runs("orphans --lang fi")->out, "ei vastausta");
    has(runs("orphans --format csv")->out,
        "01932f8e-7c1a-7000-8000-2f1c5d6e7f80,te-office,finnvera,");
}

/* --- frozen --- */

static void freeze(const char *name)
{
    char arguments[128];
    snprintf(arguments, sizeof arguments, "metrics acceptance --month 2026-09 --freeze %s", name);
    has(runs(arguments)->err, "frozen as");
}

Test(cli_metrics, a_frozen_answer_is_private_hashed_and_frozen_once)
{
    char path[256];
    struct stat st;
    door_answers(door, "metrics", "{" HEAD("7") TOTALS REST "}");
    freeze("september");
    frozen_path("september", path);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    const run_t *run = door_kapula(door, "metrics acceptance --freeze september");
    cr_expect_eq(run->code, 1);
    has(run->err, "frozen already");
    cr_expect_str_eq(door_request(door, 0), "");
    run = runs("frozen list");
    has(run->out, "september");
    has(run->out, "yes");
    run = runs("frozen show september");
    cr_expect_str_eq(door_request(door, 0), "");
    has(run->out, "12/15  80 %");
    has(run->out, "BLAKE2b-256");
}

Test(cli_metrics, a_changed_file_is_told_as_changed)
{
    char path[256];
    door_answers(door, "metrics", "{" HEAD("7") TOTALS REST "}");
    freeze("september");
    frozen_path("september", path);
    char *text = slurped(path), *at = strstr(text, "\"accepted\":12");
    cr_assert(at, "%s", text);
    memcpy(at, "\"accepted\":13", 13);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    free(text);
    const run_t *run = door_kapula(door, "frozen show september");
    cr_expect_eq(run->code, 1);
    has(run->err, "changed after it was frozen");
    has(run->out, "The file was changed");
    has(runs("frozen list")->out, "no");
}

Test(cli_metrics, the_same_answer_again_is_told_as_the_same)
{
    door_answers(door, "metrics", "{" HEAD("7") TOTALS REST "}");
    freeze("september");
    has(runs("frozen again september")->out, "The same answer as then.");
    has(door_request(door, 0), "\"month\":\"2026-09\"");
}

Test(cli_metrics, run_again_it_shows_old_new_and_why)
{
#define CREATED                                                                                    \
    "{\"referral\": \"%s\", \"kind\": \"transfer\", \"from\": \"te-office\", \"to\": "             \
    "\"finnvera\", "                                                                               \
    "\"region\": \"mikkeli\", \"service\": \"financing\", \"segment\": \"founder\", "              \
    "\"language\": \"fi\", \"origin\": \"walk_in\", \"case\": \"c\"}"
    static const struct {
        const char *type, *id, *time, *data;
    } stream[] = {
        {"kapula.referral.created.v1", "r-1", "2026-09-10T09:00:00Z", NULL},
        {"kapula.referral.created.v1", "r-august", "2026-08-10T09:00:00Z", NULL},
        {"kapula.referral.delivered.v1", "r-1", "2026-09-10T09:01:00Z", "{\"referral\": \"r-1\"}"},
        {"kapula.referral.accepted.v1", "r-1", "2026-10-02T09:00:00Z", "{\"referral\": \"r-1\"}"},
        {"kapula.referral.accepted.v1", "r-august", "2026-10-02T09:00:00Z",
         "{\"referral\": \"r-august\"}"},
    };
    door_answers(door, "metrics", "{" HEAD("3") TOTALS REST "}");
    door_answers(door, "metrics",
                 "{" HEAD("5") "\"n\": 19, \"decided\": 16, \"pending\": 3, \"values\": {\"rate\": "
                               "{\"num\": 13, \"den\": 16}, \"accepted\": 13, \"backed_out\": 0, "
                               "\"cost\": {\"n\": 3, \"p50_ms\": 43200000, \"p90_ms\": 86400000, "
                               "\"p99_ms\": 86400000, \"max_ms\": 86400000, \"mean_ms\": 50000000, "
                               "\"exact\": true}}" REST "}");
    door_stream_begin(door);
    for (size_t i = 0; i < sizeof stream / sizeof *stream; i++) {
        char data[512];
        snprintf(data, sizeof data, CREATED, stream[i].id);
        door_stream_add(door, stream[i].type, stream[i].id, "te-office", stream[i].time,
                        stream[i].data ? stream[i].data : data);
    }
    freeze("september");
    const run_t *run = runs("frozen again september");
    has(run->out, "12/15  80 %  13/16  81 %");
    has(run->out, "accepted");
    has(run->out, "position 5");
    has(run->out, "r-1");
    has_no(run->out, "r-august");
    run = runs("frozen again september --format json");
    json_t *json = json_loads(run->out, 0, NULL), *why = json_object_get(json, "why");
    cr_assert_eq(json_array_size(why), 1);
    json_t *first = json_array_get(why, 0);
    cr_expect_str_eq(json_string_value(json_object_get(first, "event")),
                     "kapula.referral.accepted.v1");
    cr_expect_eq(json_integer_value(json_object_get(first, "count")), 1);
    cr_expect_eq(json_array_size(json_object_get(json, "differences")), 4);
    json_decref(json);
}

Test(cli_metrics, what_is_not_frozen_is_not_found)
{
    cr_expect_str_eq(runs("frozen list")->out, "Nothing to show.\n");
    const run_t *run = door_kapula(door, "frozen show september");
    cr_expect_eq(run->code, 1);
    has(run->err, "nothing is frozen as september");
}
