/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "err.h"
#include "fakebroker.h"
#include "import.h"
#include "logs.h"
#include "publish.h"

static kap_fake_t fake;
static char log_path[128];
static char *report; /* of the last run */
static char *said;   /* on standard error */

static void open_all(void)
{
    kap_fake_open(&fake);
    snprintf(log_path, sizeof log_path, "%s/log", fake.folder);
}

static void close_all(void)
{
    unlink(log_path);
    kap_fake_close(&fake);
    free(report);
    free(said);
}

TestSuite(import, .init = open_all, .fini = close_all, .timeout = 60);

static void write_text(const char *text)
{
    FILE *file = fopen(log_path, "w");

    cr_assert(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* `cases` cases of A, B, B, C: 2 referrals each, 11 events each, and 2 of the archive. */
static void write_log(int cases)
{
    kap_buf_t csv = {0};

    kap_buf_str(&csv, "case,when,who\n");
    for (int i = 0; i < cases; i++)
        for (int j = 0; j < 4; j++)
            kap_buf_printf(&csv, "case %d,2020-01-01T%02d:%02d:%02dZ,%c\n", i, i / 3600,
                           i / 60 % 60, i % 60, "ABBC"[j]);
    write_text(kap_buf_cstr(&csv));
    kap_buf_fini(&csv);
}

/* Takes over standard error for the run. */
static int run(int64_t timeout_ms, kap_format_t format, const char *const more[])
{
    static const char *const words[] = {"import", "--into", "box",    "--actor", "who",
                                        "--case", "case",   "--time", "when",    log_path};
    char *argv[32] = {NULL};
    int argc = 0;
    kap_client_t *client = NULL;
    kap_client_opts_t opts = {.endpoint = fake.endpoint, .local = true};
    size_t size, said_size;
    FILE *out, *was = stderr;
    kap_cli_t cli = {0};
    kap_args_t given;
    kap_importargs_t args;
    kap_buf_t why = {0};

    for (; argc < 10; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    for (; more && *more; more++)
        argv[argc++] = (char *)(uintptr_t)*more;
    free(report);
    free(said);
    out = open_memstream(&report, &size);
    stderr = open_memstream(&said, &said_size);
    cr_assert_eq(kap_client_open(fake.loop, &opts, &client), KAP_OK);
    kap_args_parse(&cli, &kap_importargs_usage, argc, argv, &given);
    cr_assert_eq(kap_importargs_check(&given, &args, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    int code = kap_import_run(client, fake.loop, "operator", timeout_ms, format, &args, out);
    kap_client_close(&client);
    kap_buf_fini(&why);
    fclose(out);
    fclose(stderr);
    stderr = was;
    return code;
}

static int plain_run(void)
{
    return run(5000, KAP_FORMAT_TABLE, NULL);
}

static int64_t reported(const char *key)
{
    json_t *root = json_loads(report, JSON_REJECT_DUPLICATES, NULL);

    cr_assert(root, "%s", report);
    int64_t value = json_integer_value(json_object_get(root, key));
    json_decref(root);
    return value;
}

Test(import, publishes_everything_and_reports)
{
    write_log(1000);
    cr_assert_eq(run(5000, KAP_FORMAT_JSON, NULL), 0, "%s", said);
    cr_expect_eq(fake.mark, 11002);
    cr_expect_str_eq(said, "");
    cr_expect_eq(reported("referrals"), 2000);
    cr_expect_eq(reported("events_published"), 11002);
    cr_expect_eq(reported("cases"), 1000);
    cr_expect_str_eq(fake.region, "box");
    cr_expect_str_eq(fake.attribute, "who");
    cr_expect_geq(fake.most_events, KAP_PUBLISH_EVENTS);
    cr_expect_leq(fake.most_events, KAP_PUBLISH_EVENTS + 1);
}

Test(import, a_second_time_changes_nothing)
{
    write_log(1000);
    cr_assert_eq(plain_run(), 0, "%s", said);
    uint64_t mark = fake.mark;
    cr_assert_eq(run(5000, KAP_FORMAT_JSON, NULL), 0, "%s", said);
    cr_expect_eq(fake.mark, mark);
    cr_expect_eq(reported("events_published"), 0);
    cr_assert_eq(plain_run(), 0);
    cr_expect(strstr(report, "holds this import already"));
}

Test(import, goes_on_where_it_was_interrupted)
{
    write_log(1000);
    fake.deaf_after = 5000;
    cr_assert_eq(run(300, KAP_FORMAT_TABLE, NULL), KAP_EXIT_UNREACHABLE);
    cr_expect(strstr(said, "did not answer in time"), "%s", said);
    uint64_t mark = fake.mark;
    cr_assert(mark >= 5000 && mark < 11002);
    fake.deaf_after = 0;
    cr_assert_eq(run(5000, KAP_FORMAT_JSON, NULL), 0, "%s", said);
    cr_expect_eq(fake.mark, 11002);
    cr_expect_eq((uint64_t)reported("events_published"), 11002 - mark);
}

Test(import, a_busy_broker_and_a_gap_cost_time_only)
{
    write_log(1000);
    fake.busy = 11;
    fake.lose = 3;
    cr_assert_eq(plain_run(), 0, "%s", said);
    cr_expect_eq(fake.mark, 11002);
}

Test(import, nobody_there_ends_in_time)
{
    write_log(3);
    fake.deaf_queries = true;
    cr_expect_eq(run(200, KAP_FORMAT_TABLE, NULL), KAP_EXIT_UNREACHABLE);
    cr_expect(strstr(said, "did not answer in time"), "%s", said);
    strcat(fake.endpoint, "-nowhere");
    cr_expect_eq(run(200, KAP_FORMAT_TABLE, NULL), KAP_EXIT_UNREACHABLE);
    cr_expect(strstr(said, "not reachable"), "%s", said);
}

Test(import, a_refused_event_ends_it_and_is_seen_again)
{
    write_log(1000);
    fake.refuse = 777;
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "refused event 777 of 11002: not possible here"), "%s", said);
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "refused event 777"), "%s", said);
}

Test(import, a_foreign_key_and_nonsense_end_it)
{
    write_log(3);
    fake.foreign = true;
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "may not publish as operator/import-"), "%s", said);
    fake.foreign = false;
    fake.nonsense = true;
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "cannot be read"), "%s", said);
}

Test(import, a_name_holds_one_import)
{
    write_log(3);
    cr_assert_eq(plain_run(), 0, "%s", said);
    uint64_t mark = fake.mark;
    const char *const option[] = {"--missing", "C", NULL};
    cr_expect_eq(run(5000, KAP_FORMAT_TABLE, option), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "archive box holds another import: attribute who, options {"), "%s",
              said);
    cr_expect(strstr(said, "of this file"), "%s", said);
    const char *const attribute[] = {"--actor", "case", NULL};
    cr_expect_eq(run(5000, KAP_FORMAT_TABLE, attribute), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "attribute who"), "%s", said);
    write_log(4);
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "a file with other bytes"), "%s", said);
    cr_expect_eq(fake.mark, mark);
}

Test(import, a_changed_file_is_noticed_by_the_mark_alone)
{
    write_log(3);
    cr_assert_eq(plain_run(), 0, "%s", said);
    write_log(4);
    fake.region[0] = '\0'; /* as if the archive's row were not there */
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "a file with other bytes"), "%s", said);
}

Test(import, nothing_is_published_of_a_bad_file)
{
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "cannot open the file"), "%s", said);
    write_text("<log><trace></log>");
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "line 1, byte "), "%s", said);
    write_text("case,when,who\nc,,A\nc,never,B\n");
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "no event could be used (2 read; events without a time: 1; events with "
                           "an impossible time: 1); does the log keep its times in another key"),
              "%s", said);
    write_text("case,when,who\nc,2020-01-01T00:00:00Z,010190-123M\n");
    cr_expect_eq(plain_run(), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "personal identity code"), "%s", said);
    cr_expect_eq(fake.publishes, 0);
    cr_expect_eq(fake.queries, 0);
}

Test(import, faults_end_it_when_asked)
{
    const char *const strict[] = {"--strict", NULL}, *const one[] = {"--max-skipped", "1", NULL};

    write_text("case,when,who\nc,2020-01-01T00:00:00Z,A\nc,2020-01-01T00:00:01Z,\n"
               "c,2020-01-01T00:00:02Z,B\n");
    cr_expect_eq(run(5000, KAP_FORMAT_TABLE, strict), KAP_EXIT_REFUSED);
    cr_expect(strstr(said, "line 3: events without an actor: 1 faults, 0 allowed; nothing was"),
              "%s", said);
    cr_expect_eq(fake.publishes, 0);
    cr_expect_eq(run(5000, KAP_FORMAT_TABLE, one), 0, "%s", said);
    cr_expect(strstr(report, "events without an actor"), "%s", report);
    cr_expect(strstr(report, "if they ended the chain"), "%s", report);
}

Test(import, the_report_warns_and_shows_the_most_frequent_actors)
{
    write_text("case,when,who\nc,1970-01-01T00:00:00,?\nc,2020-01-01T00:00:01,A\n"
               "c,2020-01-01T00:00:02,?\n");
    cr_assert_eq(plain_run(), 0, "%s", said);
    cr_expect(strstr(report, "3 times name no zone; they were read as UTC"), "%s", report);
    cr_expect(strstr(report, "1 times are of 1970-01-01 or before"), "%s", report);
    const char *sentinel = strstr(report, "most frequent actors");
    cr_assert(sentinel);
    cr_expect(strstr(sentinel, "?") && strstr(sentinel, "?") < strstr(sentinel, "\nA"), "%s",
              report);
    cr_assert_eq(run(5000, KAP_FORMAT_CSV, NULL), 0);
    cr_expect(strstr(report, "without_zone,3\r\n"), "%s", report);
    cr_expect(strstr(report, "skipped.no_time,0\r\n"), "%s", report);
}
