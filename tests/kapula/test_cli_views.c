/* SPDX-License-Identifier: MPL-2.0 */
/* Views of the command against a door of canned answers. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "door.h"

#define ID "01932f8e-7c1a-7000-8000-2f1c5d6e7f80"
#define ROW                                                                                        \
    "{\"referral\": \"" ID "\", \"from\": \"municipality\", \"to\": \"finnvera\", "                \
    "\"region\": \"mikkeli\", \"case\": \"c-1\", \"state\": \"accepted\", "                        \
    "\"kind\": \"transfer\", \"service\": \"financing\", \"segment\": \"founder\", "               \
    "\"created_at\": 1732220641123, \"delivered_at\": 1732220741123, "                             \
    "\"accepted_at\": 1732307041123, \"due_at\": 1733300000000, \"on_hold\": true, "               \
    "\"late\": false, \"withdraw_requested\": false, \"committed\": true}"

static const char created[] =
    "{\\\"specversion\\\":\\\"1.0\\\",\\\"id\\\":\\\"e1\\\",\\\"source\\\":\\\"municipality/00\\\","
    "\\\"type\\\":\\\"kapula.referral.created.v1\\\",\\\"subject\\\":\\\"" ID "\\\","
    "\\\"time\\\":\\\"2024-11-21T20:24:01.123Z\\\",\\\"data\\\":{\\\"service\\\":\\\"financing\\\"}"
    ","
    "\\\"ends\\\":{\\\"case\\\":\\\"c-1\\\"},\\\"kapula\\\":{\\\"seq\\\":4,\\\"log_seq\\\":17,"
    "\\\"committed_at\\\":\\\"2024-11-21T20:24:02.000Z\\\",\\\"own\\\":false,"
    "\\\"verdict\\\":\\\"accepted\\\",\\\"unsealed\\\":true},\\\"contents\\\":{\\\"company\\\":"
    "\\\"Oy Esimerkki Ab\\\",\\\"need\\\":\\\"Tarvitsee lainaa koneisiin ja laitteisiin, jotta "
    "tilaus, joka on luvassa ensi vuodelle, saadaan ajoissa valmiiksi ja asiakkaalle.\\\"}}";
static const char declined[] =
    "{\\\"type\\\":\\\"kapula.referral.declined.v1\\\",\\\"source\\\":\\\"finnvera/00\\\","
    "\\\"time\\\":\\\"2024-11-22T20:24:01.123Z\\\",\\\"data\\\":{\\\"referral\\\":\\\"" ID "\\\"},"
    "\\\"ends\\\":{\\\"reason\\\":\\\"no_capacity\\\"},\\\"kapula\\\":{\\\"seq\\\":5,"
    "\\\"log_seq\\\":18,\\\"committed_at\\\":\\\"2024-11-22T20:24:02.000Z\\\",\\\"own\\\":true,"
    "\\\"verdict\\\":\\\"accepted\\\",\\\"unsealed\\\":true}}";

static door_t *door;

static void begin(void)
{
    door = door_open();
}

static void end(void)
{
    door_close(&door);
}

TestSuite(cli_views, .init = begin, .fini = end, .timeout = 60);

#define has(text, part) cr_expect(strstr(text, part), "no %s in:\n%s", part, text)

static const run_t *runs(const char *arguments)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    cr_expect_str_eq(run->err, "");
    cr_expect_leq(widest_line(run->out), 80, "wider than 80:\n%s", run->out);
    return run;
}

static json_t *json_run(const char *arguments)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    json_t *json = json_loads(run->out, 0, NULL);
    cr_assert(json, "no JSON: %s", run->out);
    return json;
}

static void show_answer(const char *row, const char *events)
{
    char text[8192];
    snprintf(text, sizeof text, "{\"referral\": %s, \"events\": [%s], \"more\": false}", row,
             events);
    door_answers(door, "show", text);
}

Test(cli_views, inbox_asks_for_what_is_open_and_shows_it)
{
    door_answers(door, "inbox", "{\"referrals\": [" ROW "], \"more\": false}");
    const run_t *run = runs("inbox");
    cr_expect_str_eq(door_request(door, 0),
                     "{\"local\":\"inbox\",\"side\":\"in\",\"open\":true,\"limit\":50}\n");
    has(run->out, "2f1c5d6e7f80");
    has(run->out, "21.11.2024 ");
    has(run->out, "4.12.2024");
    has(run->out, "accepted");
    has(run->out, "financing");
    run = runs("inbox --all --lang fi");
    has(run->out, "otettu vastaan");
    has(run->out, "Palvelu");
    cr_expect_null(strstr(door_request(door, 0), "open"));
    run = runs("--lang sv inbox");
    has(run->out, "mottagen");
}

Test(cli_views, inbox_in_json_has_referrals_with_ids_and_utc)
{
    door_answers(door, "inbox", "{\"referrals\": [" ROW "], \"more\": false}");
    json_t *json = json_run("inbox --format json"), *row;
    row = json_array_get(json_object_get(json, "referrals"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(row, "id")), ID);
    cr_expect_str_eq(json_string_value(json_object_get(row, "state")), "accepted");
    cr_expect_str_eq(json_string_value(json_object_get(row, "created_at")),
                     "2024-11-21T20:24:01.123Z");
    json_decref(json);
}

Test(cli_views, inbox_in_csv_has_a_header_and_whole_ids)
{
    door_answers(door, "inbox", "{\"referrals\": [" ROW "], \"more\": false}");
    const run_t *run = door_kapula(door, "--format csv inbox");
    cr_expect_eq(run->code, 0);
    cr_expect_eq(strncmp(run->out, "id,case,created_at,from,to,", 27), 0, "%s", run->out);
    has(run->out, "\r\n" ID ",c-1,2024-11-21T20:24:01.123Z,municipality,finnvera,transfer,"
                  "financing,accepted,");
}

Test(cli_views, an_empty_inbox_says_so)
{
    door_answers(door, "inbox", "{\"referrals\": [], \"more\": false}");
    cr_expect_str_eq(runs("inbox")->out, "Nothing to show.\n");
    cr_expect_str_eq(runs("inbox --lang fi")->out, "Ei mitään näytettävää.\n");
}

Test(cli_views, lists_are_read_page_by_page)
{
    door_answers(
        door, "inbox",
        "{\"referrals\": [{\"referral\": \"a\", \"state\": \"created\"}], \"more\": true}");
    door_answers(door, "inbox",
                 "{\"referrals\": [{\"referral\": \"b\", \"state\": \"created\"}], "
                 "\"more\": false}");
    json_t *json = json_run("outbox --format=json");
    cr_expect_eq(json_array_size(json_object_get(json, "referrals")), 2);
    has(door_request(door, 0), "\"side\":\"out\"");
    has(door_request(door, 1), "\"after\":\"a\"");
    json_decref(json);
}

Test(cli_views, show_tells_the_story)
{
    char events[4096];
    snprintf(events, sizeof events, "\"%s\", \"%s\"", created, declined);
    show_answer(ROW, events);
    const run_t *run = runs("show " ID);
    has(run->out, "Referral              " ID);
    has(run->out, "on hold");
    has(run->out, "Oy Esimerkki Ab");
    has(run->out, "22.11.2024 22:24");
    has(run->out, "declined, finnvera");
    has(run->out, "no capacity");
    run = runs("show " ID " --lang fi");
    has(run->out, "Yritys");
    has(run->out, "Tapahtumat");
}

Test(cli_views, show_in_json_has_state_and_events_on_top)
{
    char events[4096];
    snprintf(events, sizeof events, "\"%s\", \"%s\"", created, declined);
    show_answer(ROW, events);
    json_t *json = json_run("show " ID " --format json"), *event;
    cr_expect_str_eq(json_string_value(json_object_get(json, "id")), ID);
    cr_expect_str_eq(json_string_value(json_object_get(json, "state")), "accepted");
    cr_expect_str_eq(json_string_value(json_object_get(json, "case")), "c-1");
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(json, "flags"), 0)),
                     "on_hold");
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(json, "contents"), "company")),
        "Oy Esimerkki Ab");
    event = json_array_get(json_object_get(json, "events"), 1);
    cr_expect_str_eq(json_string_value(json_object_get(event, "by")), "finnvera");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(event, "data"), "reason")),
                     "no_capacity");
    cr_expect_eq(json_integer_value(json_object_get(event, "log_seq")), 18);
    json_decref(json);
}

Test(cli_views, show_without_events_has_its_keys_all_the_same)
{
    show_answer("{\"referral\": \"r\", \"state\": \"created\", \"committed\": false}", "");
    json_t *json = json_run("show r --format json");
    cr_expect(json_is_array(json_object_get(json, "events")));
    cr_expect(json_is_array(json_object_get(json, "flags")));
    cr_expect(json_is_object(json_object_get(json, "contents")));
    json_decref(json);
    has(runs("show r")->out, "on its way to the broker");
}

Test(cli_views, show_takes_the_end_of_an_id)
{
    door_answers(door, "inbox", "{\"referrals\": [" ROW "], \"more\": false}");
    door_answers(door, "inbox", "{\"referrals\": [], \"more\": false}");
    show_answer(ROW, "");
    has(runs("show 2f1c5d6e7f80")->out, ID);
    has(door_request(door, 2), "\"id\":\"" ID "\"");
}

Test(cli_views, an_end_that_ends_several_ids_is_refused)
{
    door_answers(door, "inbox",
                 "{\"referrals\": [" ROW ", {\"referral\": "
                 "\"01932f8e-7c1a-7000-8001-2f1c5d6e7f80\"}], \"more\": false}");
    door_answers(door, "inbox", "{\"referrals\": [], \"more\": false}");
    const run_t *run = door_kapula(door, "show 2f1c5d6e7f80");
    cr_expect_eq(run->code, 2);
    has(run->err, "ends several ids");
}

Test(cli_views, a_case_is_its_referrals_and_all_their_events_by_time)
{
    char text[4096];
    door_answers(door, "show",
                 "{\"case\": [" ROW ", {\"referral\": \"r2\", \"state\": \"created\"}], "
                 "\"events\": [], \"more\": false}");
    snprintf(text, sizeof text, "{\"referral\": " ROW ", \"events\": [\"%s\"], \"more\": false}",
             declined);
    door_answers(door, "show", text);
    snprintf(text, sizeof text, "{\"referral\": " ROW ", \"events\": [\"%s\"], \"more\": false}",
             created);
    door_answers(door, "show", text);
    json_t *json = json_run("show c-1 --format json"), *events;
    events = json_object_get(json, "events");
    cr_assert_eq(json_array_size(events), 2);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(events, 0), "type")),
                     "kapula.referral.created.v1");
    cr_expect_eq(json_array_size(json_object_get(json, "referrals")), 2);
    json_decref(json);
}

Test(cli_views, what_the_node_does_not_know_is_said_in_one_line)
{
    door_answers(door, "show",
                 "{\"error\": {\"code\": \"local.not_found\", \"sentence\": \"this node knows "
                 "nothing of that id\"}}");
    const run_t *run = door_kapula(door, "show nobody");
    cr_expect_eq(run->code, 1);
    cr_expect_str_eq(run->err, "kapula: this node knows nothing of that id\n");
    cr_expect_str_eq(run->out, "");
}

Test(cli_views, acts_shows_fates_newest_first)
{
    door_answers(door, "acts",
                 "{\"acts\": [{\"act\": 7, \"verb\": \"refer\", \"fate\": \"refused\", \"at\": "
                 "1732220641123, \"subject\": \"" ID "\", \"code\": \"illegal.state\", "
                 "\"sentence\": \"A very long sentence that says what is wrong and what would be "
                 "right, so that nobody has to ask\"}], \"more\": true}");
    const run_t *run = runs("acts");
    has(run->out, "refused");
    has(run->out, "21.11.2024 22:24");
    has(door_request(door, 0), "\"newest\":true");
    cr_expect_str_eq(door_request(door, 1), "");
}

Test(cli_views, health_tells_what_the_node_says)
{
    door_answers(door, "health",
                 "{\"ok\": true, \"health\": \"{\\\"ok\\\":true,\\\"why\\\":[],\\\"member\\\":"
                 "\\\"municipality\\\",\\\"broker\\\":{\\\"up\\\":true},\\\"outbox\\\":"
                 "{\\\"waiting\\\":3}}\"}");
    has(runs("health")->out, "outbox.waiting");
    cr_expect_str_eq(runs("health --quiet")->out, "");
    json_t *json = json_run("health --format json");
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(json, "outbox"), "waiting")),
                 3);
    json_decref(json);
    has(door_kapula(door, "health --format csv")->out, "outbox.waiting,3\r\n");
}

Test(cli_views, a_node_without_its_broker_is_not_healthy)
{
    door_answers(door, "health",
                 "{\"ok\": true, \"health\": \"{\\\"ok\\\":true,\\\"broker\\\":{\\\"up\\\":"
                 "false}}\"}");
    cr_expect_eq(door_kapula(door, "health --quiet")->code, 3);
    cr_expect_str_eq(door_kapula(door, "health --quiet")->err, "");
    const run_t *run = door_kapula(door, "health");
    cr_expect_eq(run->code, 3);
    has(run->err, "not connected to its broker");
}

static const char directory[] =
    "{\"rehearsal\": false, \"text\": \"{\\\"mesh\\\": "
    "\\\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\\\", \\\"regions\\\": "
    "[{\\\"id\\\": \\\"mikkeli\\\", \\\"kind\\\": \\\"ordinary\\\", \\\"area\\\": "
    "\\\"etela-savo\\\"}], \\\"members\\\": [{\\\"id\\\": \\\"finnvera\\\", \\\"type\\\": "
    "\\\"finnvera\\\", \\\"name\\\": {\\\"fi\\\": \\\"Finnvera Oyj\\\", \\\"sv\\\": \\\"Finnvera "
    "Abp\\\"}, \\\"curve\\\": \\\"])A6ggLyjk?Xp7wnb:Y&q]5A(c2w$a*1Bsk}2*ZG\\\", \\\"sealing\\\": "
    "\\\"10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\\\", \\\"signing\\\": "
    "\\\"20112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\\\", \\\"roles\\\": "
    "[\\\"node\\\"], \\\"regions\\\": [\\\"mikkeli\\\"], "
    "\\\"services\\\": "
    "[\\\"financing\\\", \\\"small-loan\\\", \\\"export\\\", \\\"internationalisation\\\", "
    "\\\"ownership-change\\\", \\\"business-planning\\\"]}]}\"}";

Test(cli_views, directory_shows_members_and_services)
{
    door_answers(door, "directory", directory);
    const run_t *run = runs("directory --lang sv");
    has(run->out, "Finnvera Abp (finnvera)");
    has(run->out, "finansiering");
    run = runs("directory --lang fi");
    has(run->out, "rahoitus");
    json_t *json = json_run("directory --format json"), *member;
    member = json_array_get(json_object_get(json, "members"), 0);
    cr_expect_eq(json_array_size(json_object_get(member, "services")), 6);
    json_decref(json);
    has(door_kapula(door, "directory --format csv")->out, "mikkeli");
}

static const char edges[] =
    "{\"window\": {\"from\": \"2025-01-01\", \"to\": null, \"zone\": \"Europe/Helsinki\"}, "
    "\"kind\": \"cohort\", \"as_of_seq\": 9, \"as_of_time\": 1732220641123, \"n\": 12, "
    "\"decided\": 10, \"pending\": 2, \"edges\": [{\"from\": \"municipality\", \"to\": "
    "\"finnvera\", \"from_name\": \"Mikkelin seudun elinkeinoyhti\u00f6 Miksei Oy\", "
    "\"to_name\": \"Finnvera Oyj, Mikkelin aluekonttori\", \"referrals\": 12, \"accepted\": 8, "
    "\"declined\": 1, \"redirected\": 1, \"reported\": 5, \"time_to_accept\": {\"n\": 8, "
    "\"p50_ms\": 5400000, \"p90_ms\": 92160000, \"p99_ms\": null, \"exact\": true}}]}";

Test(cli_views, edges_passes_its_questions_on)
{
    door_answers(door, "edges", edges);
    const run_t *run = runs("edges --from 2025-01-01 --clock customer --time elapsed");
    cr_expect_str_eq(door_request(door, 0),
                     "{\"query\":\"edges\",\"region\":\"mikkeli\",\"from\":\"2025-01-01\","
                     "\"clock\":\"customer\",\"time\":\"elapsed\"}\n");
    has(run->out, "12 transfers, 10 decided, 2 pending");
    has(run->out, "1.5 h");
    has(run->out, "1.1 d");
    has(run->out, "the customer's clock");
    has(run->out, "reported 5");
    run = runs("edges --region mikkeli --lang fi");
    has(run->out, "3.2 d"); /* a working day has 8 hours */
    has(run->out, "Siirrot seudulla mikkeli, alkaen 2025-01-01");
    runs("edges --lang sv");
}

#define PAGE(seq, more, from, to)                                                                  \
    "{\"as_of_seq\": " seq ", \"as_of_time\": 0, \"n\": 9, \"more\": " more ", \"edges\": "        \
    "[{\"from\": \"" from "\", \"to\": \"" to "\", \"referrals\": 1}]}"

Test(cli_views, edges_gathers_the_pages_of_one_position)
{
    static const char *const froms[] = {"a", "b", "c"};
    door_answers(door, "edges", PAGE("5", "true", "a", "b"));
    door_answers(door, "edges", PAGE("6", "true", "b", "c")); /* it moved: from the first again */
    door_answers(door, "edges", PAGE("6", "true", "a", "b"));
    door_answers(door, "edges", PAGE("6", "true", "b", "c"));
    door_answers(door, "edges", PAGE("6", "false", "c", "d"));
    json_t *json = json_run("edges --format json"), *list = json_object_get(json, "edges");
    cr_assert_eq(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, i), "from")),
                         froms[i]);
    cr_expect_eq(json_integer_value(json_object_get(json, "as_of_seq")), 6);
    cr_expect(json_is_false(json_object_get(json, "more")));
    cr_expect_not_null(strstr(door_request(door, 1), "\"after\":[\"a\",\"b\"]"), "%s",
                       door_request(door, 1));
    cr_expect_null(strstr(door_request(door, 2), "after"));
    json_decref(json);
}

Test(cli_views, edges_that_never_stand_still_are_given_up)
{
    for (int i = 0; i < 20; i++)
        door_answers(door, "edges",
                     i % 2 ? PAGE("6", "true", "b", "c") : PAGE("5", "true", "a", "b"));
    const run_t *run = door_kapula(door, "edges");
    cr_expect_eq(run->code, 3);
    cr_expect_not_null(strstr(run->err, "the figures change"), "%s", run->err);
}

Test(cli_views, edges_in_json_is_the_brokers_answer)
{
    door_answers(door, "edges", edges);
    json_t *json = json_run("edges --format json"), *edge;
    edge = json_array_get(json_object_get(json, "edges"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(json, "as_of_time")),
                     "2024-11-21T20:24:01.123Z");
    cr_expect_eq(json_integer_value(json_object_get(edge, "accepted")), 8);
    cr_expect(json_is_null(json_object_get(json_object_get(edge, "time_to_accept"), "p99_ms")));
    json_decref(json);
    has(door_kapula(door, "edges --format csv")->out, ",12,8,1,1,0,0,0,0,0,5,0,8,5400000,92160000,"
                                                      "\r\n");
}

Test(cli_views, what_lies_in_an_archive_is_asked_of_the_broker)
{
    door_answers(door, "referral", "{\"error\": {\"code\": \"request.not_found\"}}");
    door_answers(door, "case",
                 "{\"case\": \"case-7\", \"hidden\": 0, \"referrals\": [{\"id\": \"h-1\", "
                 "\"from\": \"a\", \"to\": \"b\", \"state\": \"accepted\"}]}");
    const run_t *run = runs("show case-7 --region receipt");
    cr_expect_str_eq(door_request(door, 0),
                     "{\"query\":\"referral\",\"id\":\"case-7\",\"region\":\"receipt\"}\n");
    has(run->out, "h-1");
    cr_expect_str_eq(door_request(door, 2), ""); /* the node knows no events of it */
}
