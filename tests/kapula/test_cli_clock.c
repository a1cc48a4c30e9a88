/* SPDX-License-Identifier: MPL-2.0 */
/* Forums, meetings and actions from a region's stream. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "door.h"

static door_t *door;

static void begin(void)
{
    door = door_open();
    door_answers(door, "streams", "{\"streams\": [{\"stream\": \"region/mikkeli\", \"head\": 9}]}");
    door_stream_begin(door);
    door_stream_add(door, "kapula.forum.set.v1", "wg", "municipality", "2026-01-02T08:00:00Z",
                    "{\"forum\": \"wg\", \"forum_kind\": \"working_group\", \"region\": "
                    "\"mikkeli\", \"name\": \"Old name\"}");
    door_stream_add(door, "kapula.forum.set.v1", "wg", "municipality", "2026-01-03T08:00:00Z",
                    "{\"forum\": \"wg\", \"forum_kind\": \"working_group\", \"region\": "
                    "\"mikkeli\", \"name\": \"Työryhmä\", \"members\": [\"finnvera\", \"ely\"], "
                    "\"rrule\": \"FREQ=MONTHLY;BYDAY=2TU\", \"dtstart\": \"2026-01-13T09:00\"}");
    door_stream_add(door, "kapula.meeting.planned.v1", "m1", "municipality", "2026-01-05T08:00:00Z",
                    "{\"meeting\": \"m1\", \"region\": \"mikkeli\", \"forum\": \"wg\", "
                    "\"starts_at\": 1770706800000, \"occurrence\": \"2026-02-10\", \"place\": "
                    "\"Kaupungintalo\"}");
    door_stream_add(door, "kapula.meeting.moved.v1", "m1", "municipality", "2026-01-06T08:00:00Z",
                    "{\"meeting\": \"m1\", \"starts_at\": 1770793200000, \"why\": \"illness\"}");
    door_stream_add(door, "kapula.meeting.held.v1", "m1", "municipality", "2026-02-11T09:00:00Z",
                    "{\"meeting\": \"m1\", \"topics\": 4}");
    door_stream_add(door, "kapula.meeting.planned.v1", "m2", "municipality", "2026-02-12T08:00:00Z",
                    "{\"meeting\": \"m2\", \"region\": \"mikkeli\", \"starts_at\": 1780000000000, "
                    "\"title\": \"Seminar\"}");
    door_stream_add(door, "kapula.meeting.cancelled.v1", "m2", "municipality",
                    "2026-02-13T08:00:00Z", "{\"meeting\": \"m2\"}");
    door_stream_add(door, "kapula.action.agreed.v1", "a1", "municipality", "2026-02-11T10:00:00Z",
                    "{\"action\": \"a1\", \"meeting\": \"m1\", \"what\": \"Call the companies that "
                    "have not answered and write down what they need, before the next meeting of "
                    "the group\", \"member\": \"ely\", \"due\": \"2026-03-01\"}");
    door_stream_add(door, "kapula.action.agreed.v1", "a2", "municipality", "2026-02-11T10:00:00Z",
                    "{\"action\": \"a2\", \"meeting\": \"m1\", \"what\": \"Book a room\"}");
    door_stream_add(door, "kapula.action.done.v1", "a2", "municipality", "2026-02-12T10:00:00Z",
                    "{\"action\": \"a2\"}");
}

static void end(void)
{
    door_close(&door);
}

TestSuite(cli_clock, .init = begin, .fini = end, .timeout = 60);

#define has(text, part)   cr_expect(strstr(text, part), "no %s in:\n%s", part, text)
#define lacks(text, part) cr_expect_null(strstr(text, part), "%s in:\n%s", part, text)

static const run_t *runs(const char *arguments)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    cr_expect_str_eq(run->err, "");
    cr_expect_leq(widest_line(run->out), 80, "wider than 80:\n%s", run->out);
    return run;
}

static json_t *rows_of(const char *arguments, const char *name)
{
    const run_t *run = door_kapula(door, arguments);
    cr_assert_eq(run->code, 0, "%d: %s", run->code, run->err);
    json_t *json = json_loads(run->out, 0, NULL);
    cr_assert(json, "%s", run->out);
    json_t *rows = json_incref(json_object_get(json, name));
    json_decref(json);
    return rows;
}

static const char *text_of(const json_t *rows, size_t i, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(rows, i), key));
    return text ? text : "";
}

Test(cli_clock, forums_are_listed_as_last_said)
{
    const run_t *run = runs("forum list");
    has(run->out, "Työryhmä");
    lacks(run->out, "Old name");
    has(run->out, "working group");
    json_t *rows = rows_of("forum list --format json", "forums");
    cr_expect_eq(json_array_size(rows), 1);
    cr_expect_str_eq(text_of(rows, 0, "forum_kind"), "working_group");
    json_decref(rows);
}

Test(cli_clock, a_forum_is_shown_with_its_meetings)
{
    const run_t *run = runs("forum show wg");
    has(run->out, "FREQ=MONTHLY;BYDAY=2TU");
    has(run->out, "11.2.2026 09:00");
    has(run->out, "held");
    run = door_kapula(door, "forum show nobody");
    cr_expect_eq(run->code, 1);
    cr_expect_eq(door_kapula(door, "forum show")->code, 2);
}

Test(cli_clock, the_clock_has_the_meetings_and_what_the_rule_gives_beside_them)
{
    json_t *rows = rows_of("forum clock 2026 --format json", "meetings");
    cr_assert_eq(json_array_size(rows), 13); /* 11 by the rule, the held one, the cancelled one */
    cr_expect_str_eq(text_of(rows, 0, "state"), "in_clock");
    cr_expect_str_eq(text_of(rows, 0, "starts_at"), "2026-01-13T07:00:00.000Z");
    cr_expect_str_eq(text_of(rows, 1, "state"), "held");
    cr_expect_str_eq(text_of(rows, 1, "starts_at"), "2026-02-11T07:00:00.000Z");
    cr_expect_str_eq(text_of(rows, 4, "starts_at"), "2026-05-12T06:00:00.000Z"); /* summer time */
    json_decref(rows);
    has(runs("forum clock 2026 --lang fi")->out, "vuosikellossa");
    cr_expect_eq(door_kapula(door, "forum clock twenty")->code, 2);
    rows = rows_of("forum clock 2025 --format json", "meetings");
    cr_expect_eq(json_array_size(rows), 0);
    json_decref(rows);
}

Test(cli_clock, meetings_are_listed_by_time_without_the_cancelled)
{
    lacks(runs("meeting list")->out, "Seminar");
    has(runs("meeting list --all")->out, "Seminar");
    const run_t *run = door_kapula(door, "meeting list --all --format csv");
    has(run->out, "m1,wg,2026-02-11T07:00:00.000Z,");
    json_t *rows = rows_of("meeting list wg --format json", "meetings");
    cr_expect_eq(json_array_size(rows), 1);
    json_decref(rows);
}

Test(cli_clock, actions_are_listed_until_they_are_done)
{
    const run_t *run = runs("action list");
    has(run->out, "2026-03-01");
    lacks(run->out, "Book a room");
    json_t *rows = rows_of("action list --all --format json", "actions");
    cr_expect_eq(json_array_size(rows), 2);
    json_decref(rows);
}

Test(cli_clock, a_member_without_the_regions_stream_reads_its_own)
{
    door_close(&door);
    door_t *own = door_open();
    door_answers(own, "streams", "{\"streams\": []}");
    door_stream_begin(own);
    const run_t *run = door_kapula(own, "forum list");
    cr_expect_eq(run->code, 0, "%s", run->err);
    has(door_request(own, 1), "member/municipality");
    door = own;
}

Test(cli_clock, the_feed_is_a_line_an_event_within_80_columns)
{
    const run_t *run = runs("follow --until-end --from start");
    has(run->out, "municipality: forum set");
    has(run->out, "meeting planned");
    run = runs("follow --until-idle --from start --count 1 --lang fi");
    has(run->out, "ryhmän tiedot");
    lacks(run->out, "kokous");
}

Test(cli_clock, the_feed_in_json_carries_cursors_to_go_on_from)
{
    const run_t *run = door_kapula(door, "follow --from start --count 1 --format json");
    cr_assert_eq(run->code, 0, "%s", run->err);
    json_t *line = json_loads(run->out, 0, NULL);
    cr_assert(line, "%s", run->out);
    const char *cursor = json_string_value(json_object_get(line, "cursor"));
    cr_expect_str_eq(cursor, "07070707070707070707070707070707:1");
    char again[160];
    snprintf(again, sizeof again, "follow --until-end --format csv --from %s", cursor);
    run = door_kapula(door, again);
    cr_expect_eq(run->code, 0);
    has(run->out, "07070707070707070707070707070707:2,");
    lacks(run->out, "07070707070707070707070707070707:1,");
    json_decref(line);
    cr_expect_eq(door_kapula(door, "follow --from nowhere")->code, 2);
    cr_expect_eq(door_kapula(door, "follow --count zero")->code, 2);
}

Test(cli_clock, an_export_is_a_cloudevent_a_line)
{
    const run_t *run = door_kapula(door, "export --region mikkeli");
    cr_assert_eq(run->code, 0, "%s", run->err);
    int lines = 0;
    for (char *at = run->out; *at; lines++) {
        char *end = strchr(at, '\n');
        cr_assert(end);
        *end = '\0';
        json_t *event = json_loads(at, 0, NULL);
        cr_assert(event, "%s", at);
        cr_expect_str_eq(json_string_value(json_object_get(event, "specversion")), "1.0");
        json_decref(event);
        at = end + 1;
    }
    cr_expect_eq(lines, 10);
}

/* Two referrals: one accepted, one voided. */
static void add_referrals(void)
{
    door_answers(door, "archive",
                 "{\"error\": {\"code\": \"request.not_found\", "
                 "\"sentence\": \"there is no archive mikkeli\"}}");
    for (int i = 1; i <= 2; i++) {
        char id[8], data[256];
        snprintf(id, sizeof id, "r-%d", i);
        snprintf(data, sizeof data,
                 "{\"referral\": \"%s\", \"case\": \"c, 1\", \"region\": \"mikkeli\", \"from\": "
                 "\"municipality\", "
                 "\"to\": \"ely\", \"kind\": \"transfer\", \"service\": \"financing\", "
                 "\"segment\": \"unknown\", \"language\": \"fi\", \"origin\": \"web\"}",
                 id);
        door_stream_add(door, "kapula.referral.created.v1", id, "municipality",
                        "2026-02-11T10:00:00Z", data);
    }
    door_stream_add(door, "kapula.referral.delivered.v1", "r-1", "ely", "2026-02-11T10:00:01Z",
                    "{\"referral\": \"r-1\"}");
    door_stream_add(door, "kapula.referral.accepted.v1", "r-1", "ely", "2026-02-11T11:00:00Z",
                    "{\"referral\": \"r-1\"}");
    door_stream_add(door, "kapula.referral.voided.v1", "r-2", "municipality",
                    "2026-02-11T12:00:00Z",
                    "{\"referral\": \"r-2\", \"void_reason\": \"mistake\"}");
}

Test(cli_clock, an_event_log_has_a_trace_a_referral_where_cases_are_not_known)
{
    add_referrals();
    const run_t *run = door_kapula(door, "export --region mikkeli --as csv");
    cr_assert_eq(run->code, 0, "%s", run->err);
    cr_expect_str_eq(run->out,
                     "case:concept:name,concept:name,time:timestamp,org:resource,referral,from,to,"
                     "kind,service,segment,origin,reason,outcome\r\n"
                     "r-1,created,2026-02-11T10:00:00.000Z,municipality,r-1,municipality,ely,"
                     "transfer,financing,unknown,web,,\r\n"
                     "r-1,delivered,2026-02-11T10:00:01.000Z,,r-1,municipality,ely,,,,,,\r\n"
                     "r-1,accepted,2026-02-11T11:00:00.000Z,ely,r-1,municipality,ely,,,,,,\r\n");
    run = door_kapula(door, "export --region mikkeli --as xes");
    cr_assert_eq(run->code, 0, "%s", run->err);
    has(run->out, "<trace><string key=\"concept:name\" value=\"r-1\"/>");
    lacks(run->out, "r-2");
    run = door_kapula(door, "export --region mikkeli --as xes --trace case");
    cr_expect_eq(run->code, 1);
    has(run->err, "say --trace referral");
}

Test(cli_clock, an_event_log_says_what_its_options_may_be)
{
    cr_expect_eq(door_kapula(door, "export --region mikkeli --as pdf")->code, 2);
    const run_t *run = door_kapula(door, "export --region mikkeli --as csv --trace day");
    cr_expect_eq(run->code, 2);
    cr_expect_str_eq(run->err, "kapula: --trace day: say case or referral\n");
    cr_expect_eq(door_kapula(door, "export --as csv --out /nowhere/x.csv")->code, 2);
}

Test(cli_clock, a_stream_that_may_not_be_read_is_refused)
{
    door_answers(door, "fetch",
                 "{\"error\": {\"code\": \"not_allowed.stream\", "
                 "\"sentence\": \"this stream is not yours to read\"}}");
    const run_t *run = door_kapula(door, "follow --stream member/finnvera");
    cr_expect_eq(run->code, 1);
    cr_expect_str_eq(run->err, "kapula: this stream is not yours to read\n");
}
