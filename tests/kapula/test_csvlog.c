/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "csvlog.h"
#include "err.h"
#include "logs.h"

static const kap_logkeys_t keys = {"case", "when", "who"};

static int read_csv(kap_logs_t *logs, const char *text, char delimiter)
{
    return kap_logs_csv(logs, kap_span_str(text), 0, delimiter, &keys, NULL);
}

static void expect_refused(const char *text, const char *word)
{
    kap_logs_t logs;

    cr_expect_eq(read_csv(&logs, text, ','), KAP_E_INVALID, "taken: %s", text);
    cr_expect(strstr(kap_logs_why(&logs), word), "\"%s\" lacks \"%s\"", kap_logs_why(&logs), word);
    cr_expect(strstr(kap_logs_why(&logs), "line "), "%s", kap_logs_why(&logs));
    kap_logs_close(&logs);
}

Test(csvlog, finds_its_columns_by_name_in_any_order)
{
    kap_logs_t logs;

    cr_assert_eq(read_csv(&logs,
                          "\xef\xbb\xbfwho,what,when,case\r\n"
                          "A,x,2020-01-01T00:00:01Z,c1\r\n"
                          "B,\"a, \"\"b\"\"\",2020-01-01 00:00:02.5+02:00,c1\r\n"
                          "C,x,2020-01-01T00:00:03Z,c2",
                          ','),
                 KAP_OK, "%s", kap_logs_why(&logs));
    cr_expect_eq(kap_logs_totals(&logs)->cases, 2);
    cr_expect_eq(kap_logs_totals(&logs)->events, 3);
    cr_expect_eq(kap_logs_totals(&logs)->handovers, 1);
    kap_logs_close(&logs);
}

Test(csvlog, takes_fields_byte_for_byte)
{
    kap_logs_t logs;

    cr_assert_eq(read_csv(&logs,
                          "case,when,who\n"
                          "c,2020-01-01T00:00:01Z, A \n"
                          "c,2020-01-01T00:00:02Z,\"A\n\tB\"\n",
                          ','),
                 KAP_OK, "%s", kap_logs_why(&logs));
    cr_assert_eq(kap_eventlog_actor_count(logs.log), 2);
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 0), " A "));
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 1), "A\n\tB"));
    kap_logs_close(&logs);
}

Test(csvlog, takes_another_delimiter)
{
    kap_logs_t logs;

    cr_assert_eq(read_csv(&logs, "case;when;who\nc;2020-01-01T00:00:01Z;A,B\n", ';'), KAP_OK);
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 0), "A,B"));
    kap_logs_close(&logs);
    cr_assert_eq(read_csv(&logs, "case\twhen\twho\nc\t2020-01-01T00:00:01Z\tA B\n", '\t'), KAP_OK);
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 0), "A B"));
    kap_logs_close(&logs);
}

Test(csvlog, faults_are_skipped_and_counted_by_reason)
{
    kap_logs_t logs;

    cr_assert_eq(read_csv(&logs,
                          "case,when,who\n"
                          "c,,A\n"
                          "c,2020-02-30,A\n"
                          "c,2020-01-01T00:00:01Z,\n"
                          ",2020-01-01T00:00:02Z,A\n"
                          "c,2020-01-01T00:00:03Z\n"
                          "c,2020-01-01T00:00:03Z,A,B\n"
                          "\n"
                          "c,2020-01-01T00:00:04Z,B\n",
                          ','),
                 KAP_OK, "%s", kap_logs_why(&logs));
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_TIME), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_BAD_TIME), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_ACTOR), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_ID), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_RAGGED), 2);
    cr_expect_eq(kap_logs_totals(&logs)->events, 3);
    cr_expect_eq(kap_logs_totals(&logs)->cases, 2);
    kap_logs_close(&logs);
}

Test(csvlog, a_limit_of_faults_names_the_line)
{
    kap_logrules_t rules = kap_logs_rules;
    kap_logs_t logs;

    rules.max_skipped = 0;
    kap_span_t text = kap_span_str("case,when,who\nc,2020-01-01T00:00:01Z,A\nc,never,A\n");
    cr_expect_eq(kap_logs_csv(&logs, text, 3, ',', &keys, &rules), KAP_E_LIMIT);
    cr_expect_str_eq(kap_logs_why(&logs),
                     "line 3: events with an impossible time: 1 faults, 0 allowed");
    kap_logs_close(&logs);
}

Test(csvlog, refuses_a_header_without_its_columns)
{
    expect_refused("case,when,whom\nc,2020-01-01T00:00:01Z,A\n",
                   "no column is called \"who\" (name it with --actor); the header has: \"case\", "
                   "\"when\", \"whom\"");
    expect_refused("case,who,when,who\n", "2 columns are called \"who\"");
    expect_refused("case;when;who\n", "is the delimiter ';' (--delimiter ';')?");
    expect_refused("case\twhen\twho\n", "is the delimiter a tab (--delimiter tab)?");
    expect_refused("", "empty");
}

Test(csvlog, refuses_broken_quotes_and_bytes_that_are_not_utf8)
{
    expect_refused("case,when,who\nc,2020-01-01T00:00:01Z,\"A\n", "quote");
    expect_refused("case,when,who\nc,2020-01-01T00:00:01Z,caf\xe9\n", "UTF-8");
}

Test(csvlog, a_name_that_is_too_long_names_its_line)
{
    kap_logs_t logs;
    kap_buf_t text = {0};

    kap_buf_str(&text, "case,when,who\nc,2020-01-01T00:00:01Z,");
    for (int i = 0; i <= KAP_EVENTLOG_NAME_BYTES; i++)
        kap_buf_u8(&text, 'x');
    cr_expect_eq(kap_logs_csv(&logs, kap_buf_span(&text), 0, ',', &keys, NULL), KAP_E_INVALID);
    cr_expect_str_eq(kap_logs_why(&logs), "an actor's name of 1001 bytes; at most 1000 (line 2)");
    kap_logs_close(&logs);
    kap_buf_fini(&text);
}
