/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "err.h"
#include "logs.h"
#include "xes.h"

#define EVENT(actor, time)                                                                         \
    "<event><string key=\"org:resource\" value=\"" actor "\"/>"                                    \
    "<date key=\"time:timestamp\" value=\"" time "\"/></event>"
#define NAMED(name) "<string key=\"concept:name\" value=\"" name "\"/>"
#define GOOD        "<trace>" NAMED("c1") EVENT("A", "2020-01-01T00:00:01Z") "</trace>"

static int read_text(kap_logs_t *logs, const char *text)
{
    return kap_logs_xes(logs, kap_span_str(text), 0, NULL, NULL);
}

/* The text is refused, and the sentence holds `word`. */
static void expect_refused(const char *text, const char *word)
{
    kap_logs_t logs;

    cr_expect_eq(read_text(&logs, text), KAP_E_INVALID, "taken: %.60s", text);
    cr_expect(strstr(kap_logs_why(&logs), word), "\"%s\" lacks \"%s\"", kap_logs_why(&logs), word);
    cr_expect(strstr(kap_logs_why(&logs), "line "), "%s", kap_logs_why(&logs));
    cr_expect(strstr(kap_logs_why(&logs), "byte "), "%s", kap_logs_why(&logs));
    kap_logs_close(&logs);
}

Test(xes, reads_direct_attributes_of_events_in_traces_only)
{
    kap_logs_t logs;

    cr_assert_eq(
        read_text(
            &logs,
            "<?xml version='1.0' encoding='utf-8'?><log xmlns='http://www.xes-standard.org/'>"
            "<global scope='event'><string key='org:resource' value='GLOBAL'/>"
            "<date key='time:timestamp' value='1970-01-01T00:00:00Z'/></global>"
            "<string key='org:resource' value='LOG'/>"
            "<trace><list key='x'><values><string key='concept:name' value='wrong'/></values>"
            "</list><string key='concept:name' value='c1'>"
            "<string key='concept:name' value='nested'/></string>"
            "<string key='org:resource' value='TRACE'/>"
            "<event><string key='note' value='x'><string key='org:resource' value='NESTED'/>"
            "</string><list key='org:resource' value='LIST'><values>"
            "<string key='org:resource' value='IN LIST'/></values></list>"
            "<string key='org:resource' value='A'/>"
            "<date key='time:timestamp' value='2020-01-01T00:00:00Z'/></event></trace></log>"),
        KAP_OK, "%s", kap_logs_why(&logs));
    cr_expect_eq(kap_eventlog_case_count(logs.log), 1);
    cr_expect_eq(kap_eventlog_actor_count(logs.log), 1);
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 0), "A"));
    cr_expect(kap_span_eq_str(kap_eventlog_case(logs.log, 0).id, "c1"));
    kap_logs_close(&logs);
}

Test(xes, any_namespace_prefix_is_the_same)
{
    kap_logs_t logs;

    cr_assert_eq(read_text(&logs, "<x:log xmlns:x='urn:any'><x:trace>"
                                  "<x:string key='concept:name' value='c'/><x:event>"
                                  "<x:string key='org:resource' value='A'/>"
                                  "<x:date key='time:timestamp' value='2020-01-01T00:00:00Z'/>"
                                  "</x:event></x:trace></x:log>"),
                 KAP_OK);
    cr_expect_eq(kap_logs_totals(&logs)->actor_events, 1);
    kap_logs_close(&logs);
}

Test(xes, keys_may_have_spaces_and_colons)
{
    kap_logkeys_t keys = {"the case", "when: at", "organization involved"};
    kap_logs_t logs;
    kap_span_t text = kap_span_str("<log><trace><string key='the case' value='c'/><event>"
                                   "<string key='organization involved' value='Group 3'/>"
                                   "<string key='when: at' value='2020-01-01 00:00:00.5'/>"
                                   "</event></trace></log>");

    cr_assert_eq(kap_logs_xes(&logs, text, 0, &keys, NULL), KAP_OK);
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 0), "Group 3"));
    cr_expect_eq(kap_logs_totals(&logs)->without_zone, 1);
    kap_logs_close(&logs);
}

Test(xes, the_id_of_a_trace_may_come_after_its_events)
{
    kap_logs_t logs;

    kap_logs_traces(&logs, "<trace>" EVENT("A", "2020-01-01T00:00:01Z") NAMED("c9") "</trace>");
    cr_assert_eq(logs.rc, KAP_OK);
    cr_expect(kap_span_eq_str(kap_eventlog_case(logs.log, 0).id, "c9"));
    kap_logs_close(&logs);
}

Test(xes, escapes_are_decoded_and_line_ends_become_spaces)
{
    kap_logs_t logs;

    kap_logs_traces(&logs, "<trace>" NAMED("&lt;c&gt;&amp;&quot;") EVENT(
                               "a\tb\nc&#x41;&#228;&#10;", "2020-01-01T00:00:01Z") "</trace>");
    cr_assert_eq(logs.rc, KAP_OK, "%s", kap_logs_why(&logs));
    cr_expect(kap_span_eq_str(kap_eventlog_actor(logs.log, 0), "a b cA\xc3\xa4\n"));
    cr_expect(kap_span_eq_str(kap_eventlog_case(logs.log, 0).id, "<c>&\""));
    kap_logs_close(&logs);
}

Test(xes, the_pieces_a_file_comes_in_do_not_matter)
{
    kap_buf_t text = {0};

    kap_buf_str(&text, "\xef\xbb\xbf<log>");
    kap_logs_worked_example(&text);
    kap_buf_str(&text, "</log>");
    for (size_t piece = 1; piece < 20; piece++) {
        kap_logs_t logs;
        cr_assert_eq(kap_logs_xes(&logs, kap_buf_span(&text), piece, NULL, NULL), KAP_OK, "%s",
                     kap_logs_why(&logs));
        cr_expect_eq(kap_logs_totals(&logs)->handovers, 6);
        kap_logs_close(&logs);
    }
    kap_buf_fini(&text);
}

Test(xes, offsets_and_fractions_become_utc_milliseconds)
{
    kap_logs_t logs;

    kap_logs_traces(&logs, "<trace>" NAMED("c") EVENT("A", "2011-06-01T10:00:00.123456789+02:00")
                               EVENT("A", "2011-06-01T08:00:00.2Z")
                                   EVENT("A", "2011-06-01 09:00:00.3+01:00") "</trace>");
    cr_assert_eq(logs.rc, KAP_OK);
    kap_logcase_t c = kap_eventlog_case(logs.log, 0);
    cr_assert_eq(c.count, 3);
    cr_expect_eq(c.events[0].ms, INT64_C(1306915200123));
    cr_expect_eq(c.events[1].ms, INT64_C(1306915200200));
    cr_expect_eq(c.events[2].ms, INT64_C(1306915200300));
    kap_logs_close(&logs);
}

Test(xes, faults_are_skipped_and_counted_by_reason)
{
    kap_logs_t logs;

    kap_logs_traces(
        &logs,
        "<event/>"
        "<trace>" NAMED(
            "empty") "</trace>"
                     "<trace>" EVENT(
                         "A",
                         "2020-01-01T00:00:01Z") "</trace>"
                                                 "<trace>" NAMED("c") EVENT("A", "2020-02-30T00:00:"
                                                                                 "00Z")
                                                     EVENT("A", "2020-01-01T24:61:00Z") EVENT(
                                                         "A", "yesterday")
                                                         EVENT("B", "2020-01-02T00:00:00Z") EVENT(
                                                             "",
                                                             "2020-01-03T00:00:00Z") "<event><date "
                                                                                     "key='time:"
                                                                                     "timestamp' "
                                                                                     "value='2020-"
                                                                                     "01-"
                                                                                     "04T00:00:00Z'"
                                                                                     "/></"
                                                                                     "event>"
                                                                                     "<event><"
                                                                                     "string "
                                                                                     "key='org:"
                                                                                     "resource' "
                                                                                     "value='A'/></"
                                                                                     "event></"
                                                                                     "trace>");
    cr_assert_eq(logs.rc, KAP_OK, "%s", kap_logs_why(&logs));
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_OUTSIDE), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_EMPTY_TRACE), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_ID), 1);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_BAD_TIME), 3);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_ACTOR), 2);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_TIME), 1);
    cr_expect_eq(kap_logs_totals(&logs)->events, 4);
    cr_expect_eq(kap_logs_totals(&logs)->cases, 2);
    cr_expect(kap_span_eq_str(kap_eventlog_case(logs.log, 0).id, "#2"));
    kap_logs_close(&logs);
}

Test(xes, a_case_that_comes_twice_is_merged_and_counted)
{
    kap_logs_t logs;

    kap_logs_traces(
        &logs,
        "<trace>" NAMED("c") EVENT(
            "A", "2020-01-01T00:00:01Z") "</trace>"
                                         "<trace>" NAMED("d") EVENT(
                                             "A",
                                             "2020-01-01T00:00:02Z") "</trace>"
                                                                     "<trace>" NAMED("c") EVENT(
                                                                         "B", "2020-01-01T00:00:"
                                                                              "03Z") "</trace>");
    cr_assert_eq(logs.rc, KAP_OK);
    cr_expect_eq(kap_logs_totals(&logs)->merged, 1);
    cr_expect_eq(kap_logs_totals(&logs)->cases, 2);
    cr_expect_eq(kap_logs_totals(&logs)->handovers, 1);
    kap_logs_close(&logs);
}

Test(xes, equal_events_are_kept)
{
    kap_logs_t logs;

    kap_logs_traces(&logs, "<trace>" NAMED("c") EVENT("A", "2020-01-01T00:00:01Z")
                               EVENT("A", "2020-01-01T00:00:01Z") "</trace>");
    cr_assert_eq(logs.rc, KAP_OK);
    cr_expect_eq(kap_logs_totals(&logs)->self_follows, 1);
    kap_logs_close(&logs);
}

Test(xes, a_limit_of_faults_names_the_line)
{
    kap_logrules_t rules = kap_logs_rules;
    kap_logs_t logs;

    rules.max_skipped = 0;
    kap_span_t text = kap_span_str("<log>\n<trace>\n<event/>\n</trace></log>");
    cr_expect_eq(kap_logs_xes(&logs, text, 0, NULL, &rules), KAP_E_LIMIT);
    cr_expect_str_eq(kap_logs_why(&logs), "line 3: events without a time: 1 faults, 0 allowed");
    kap_logs_close(&logs);
}

Test(xes, refuses_what_is_not_well_formed)
{
    expect_refused("<log><trace></log>", "not well-formed XML (mismatched tag)");
    expect_refused("<log>" GOOD, "ends in the middle");
    expect_refused("<log>" GOOD "</log", "ends in the middle");
    expect_refused("<log>" GOOD "</log><log/>", "not well-formed");
    expect_refused("<log>&nbsp;</log>", "not well-formed");
    expect_refused("<log a='1' a='2'/>", "not well-formed");
    expect_refused("", "ends in the middle");
    expect_refused("   ", "ends in the middle");
    expect_refused("<l", "ends in the middle");
    expect_refused("case;time\n", "not well-formed");
}

Test(xes, refuses_another_document)
{
    expect_refused("<html><body/></html>", "not an XES log");
}

Test(xes, refuses_doctype_and_entities)
{
    expect_refused("<!DOCTYPE log SYSTEM 'file:///etc/passwd'><log/>", "DOCTYPE is refused");
    expect_refused("<?xml version='1.0'?><!DOCTYPE log [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>"
                   "<log>&b;</log>",
                   "DOCTYPE is refused");
}

Test(xes, refuses_other_encodings_by_name)
{
    kap_logs_t logs;

    expect_refused("<?xml version='1.0' encoding='ISO-8859-1'?><log/>", "encoding ISO-8859-1");
    expect_refused("<?xml version='1.0' encoding='UTF-16'?><log/>", "encoding UTF-16");
    expect_refused("<?xml version='1.0' encoding='US-ASCII'?><log/>", "encoding US-ASCII");
    expect_refused("<?xml version='1.0' encoding='windows-1252'?><log/>", "encoding windows-1252");
    static const char utf16[] = "\xff\xfe<\0l\0o\0g\0/\0>\0";
    static const char utf16be[] = "\0<\0l\0o\0g\0/\0>";
    cr_expect_eq(kap_logs_xes(&logs, kap_span(utf16, sizeof utf16 - 1), 1, NULL, NULL),
                 KAP_E_INVALID);
    cr_expect(strstr(kap_logs_why(&logs), "encoding UTF-16"));
    kap_logs_close(&logs);
    cr_expect_eq(kap_logs_xes(&logs, kap_span(utf16be, sizeof utf16be - 1), 0, NULL, NULL),
                 KAP_E_INVALID);
    cr_expect(strstr(kap_logs_why(&logs), "encoding UTF-16"));
    kap_logs_close(&logs);
}

Test(xes, refuses_bytes_that_are_not_utf8)
{
    expect_refused("<log><trace>" NAMED("caf\xe9 x") "</trace></log>", "not valid UTF-8");
    expect_refused("<?xml version='1.0' encoding='UTF-8'?><log>\xc0\xaf</log>", "not valid UTF-8");
    expect_refused("<log>\xed\xa0\x80</log>", "not valid UTF-8");
    expect_refused("<log>\xc3", "ends in the middle");
}

static int nested(unsigned depth)
{
    kap_logs_t logs;
    kap_buf_t text = {0};

    kap_buf_str(&text, "<log>");
    for (unsigned i = 1; i < depth; i++)
        kap_buf_str(&text, "<string key='a' value='b'>");
    for (unsigned i = 1; i < depth; i++)
        kap_buf_str(&text, "</string>");
    kap_buf_str(&text, "</log>");
    int rc = kap_logs_xes(&logs, kap_buf_span(&text), 0, NULL, NULL);
    if (rc)
        cr_expect(strstr(kap_logs_why(&logs), "nested too deep"));
    kap_logs_close(&logs);
    kap_buf_fini(&text);
    return rc;
}

Test(xes, nesting_has_a_depth)
{
    cr_expect_eq(nested(KAP_XES_DEPTH), KAP_OK);
    cr_expect_eq(nested(KAP_XES_DEPTH + 1), KAP_E_INVALID);
}

/* One tag, or one comment, of about `bytes`. */
static int long_tag(size_t bytes, bool comment, bool close, size_t piece)
{
    kap_logs_t logs;
    kap_buf_t text = {0};

    kap_buf_str(&text, comment ? "<log><!--" : "<log><string key='a' value='");
    uint8_t *room = kap_buf_reserve(&text, bytes);
    memset(room, 'x', bytes);
    text.size += bytes;
    if (close)
        kap_buf_str(&text, comment ? "--></log>" : "'/></log>");
    int rc = kap_logs_xes(&logs, kap_buf_span(&text), piece, NULL, NULL);
    if (rc)
        cr_expect(strstr(kap_logs_why(&logs), "more than 1 MiB"), "%s", kap_logs_why(&logs));
    kap_logs_close(&logs);
    kap_buf_fini(&text);
    return rc;
}

Test(xes, a_tag_has_a_longest_length)
{
    cr_expect_eq(long_tag(KAP_XES_TAG_BYTES - 64, false, true, 0), KAP_OK);
    cr_expect_eq(long_tag(KAP_XES_TAG_BYTES + 1, false, true, 0), KAP_E_INVALID);
    cr_expect_eq(long_tag(KAP_XES_TAG_BYTES * 3, false, false, 4096), KAP_E_INVALID);
    cr_expect_eq(long_tag(KAP_XES_TAG_BYTES * 3, true, true, 100000), KAP_E_INVALID);
}

Test(xes, a_name_that_is_too_long_names_its_line)
{
    kap_logs_t logs;
    kap_buf_t text = {0};

    kap_buf_str(&text, "<log>\n<trace><event><date key='time:timestamp' "
                       "value='2020-01-01T00:00:00Z'/>\n<string key='org:resource' value='");
    for (int i = 0; i <= KAP_EVENTLOG_NAME_BYTES; i++)
        kap_buf_u8(&text, 'x');
    kap_buf_str(&text, "'/></event></trace></log>");
    cr_expect_eq(kap_logs_xes(&logs, kap_buf_span(&text), 0, NULL, NULL), KAP_E_INVALID);
    cr_expect(strstr(kap_logs_why(&logs), "an actor's name of 1001 bytes"));
    cr_expect(strstr(kap_logs_why(&logs), "line 3"), "%s", kap_logs_why(&logs));
    kap_logs_close(&logs);
    kap_buf_fini(&text);
}
