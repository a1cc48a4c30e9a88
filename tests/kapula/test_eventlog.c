/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "err.h"
#include "eventlog.h"
#include "logs.h"

static void add(kap_eventlog_t *log, const char *id, const char *time, const char *actor)
{
    kap_logfault_t fault;
    bool nameless;

    cr_assert_eq(kap_eventlog_row(log, kap_span_str(id), kap_span_str(time), kap_span_str(actor),
                                  &fault, &nameless),
                 KAP_OK);
    cr_assert_eq(fault, KAP_LOGFAULT_NONE);
    cr_assert_not(nameless);
}

static kap_eventlog_t *new_log(kap_buf_t *why)
{
    kap_eventlog_t *log = NULL;

    cr_assert_eq(kap_eventlog_new(&kap_logs_rules, why, &log), KAP_OK);
    return log;
}

Test(eventlog, counts_the_worked_example_to_the_last_number)
{
    kap_logs_t logs;
    kap_buf_t traces = {0};

    kap_logs_worked_example(&traces);
    cr_assert_eq(kap_logs_traces(&logs, kap_buf_cstr(&traces)), KAP_OK, "%s", kap_logs_why(&logs));
    const kap_logtotals_t *t = kap_logs_totals(&logs);
    cr_expect_eq(t->traces, 3);
    cr_expect_eq(t->cases, 3);
    cr_expect_eq(t->events_read, 11);
    cr_expect_eq(t->events, 11);
    cr_expect_eq(t->actor_events, 10);
    cr_expect_eq(t->actors, 3);
    cr_expect_eq(t->handovers, 6);
    cr_expect_eq(t->handovers_break, 5);
    cr_expect_eq(t->handovers_actor, 7);
    cr_expect_eq(t->handovers_file, 5);
    cr_expect_eq(t->pingpongs, 3);
    cr_expect_eq(t->self_follows, 1);
    cr_expect_eq(t->with_handover, 2);
    cr_expect_eq(t->most_handovers, 4);
    cr_expect_eq(kap_eventlog_chains(logs.log, 0), 1);
    cr_expect_eq(kap_eventlog_chains(logs.log, 1), 0);
    cr_expect_eq(kap_eventlog_chains(logs.log, 2), 1);
    cr_expect_eq(kap_eventlog_chains(logs.log, 3), 0);
    cr_expect_eq(kap_eventlog_chains(logs.log, 4), 1);
    cr_expect_eq(kap_eventlog_chains(logs.log, 5), 0);
    cr_expect_eq(kap_logs_fault(&logs, KAP_LOGFAULT_NO_ACTOR), 1);
    kap_logcase_t c1 = kap_eventlog_case(logs.log, 0);
    kap_logrun_t a, b;
    size_t position = 0;
    cr_assert(kap_span_eq_str(c1.id, "c1"));
    cr_assert(kap_logcase_run(&c1, &position, &a) && kap_logcase_run(&c1, &position, &b));
    cr_expect_eq(b.first_ms - a.last_ms, 37800000);
    kap_logs_close(&logs);
    kap_buf_fini(&traces);
}

Test(eventlog, runs_skip_events_without_an_actor)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);
    kap_logfault_t fault;
    bool nameless;
    kap_logrun_t run;
    size_t position = 0;

    kap_eventlog_row(log, KAP_SPAN("c"), KAP_SPAN("2020-01-01T00:00:01Z"), KAP_SPAN(""), &fault,
                     &nameless);
    cr_assert_eq(fault, KAP_LOGFAULT_NO_ACTOR);
    add(log, "c", "2020-01-01T00:00:02Z", "A");
    kap_eventlog_row(log, KAP_SPAN("c"), KAP_SPAN("2020-01-01T00:00:03Z"), KAP_SPAN(""), &fault,
                     &nameless);
    add(log, "c", "2020-01-01T00:00:04Z", "A");
    add(log, "c", "2020-01-01T00:00:05Z", "B");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    kap_logcase_t c = kap_eventlog_case(log, 0);
    cr_assert_eq(c.count, 5);
    cr_assert(kap_logcase_run(&c, &position, &run));
    cr_expect_eq(run.count, 2);
    cr_expect_eq(run.begin, 1);
    cr_expect_eq(run.end, 4);
    cr_expect_eq(run.last_ms - run.first_ms, 2000);
    cr_assert(kap_logcase_run(&c, &position, &run));
    cr_expect(kap_span_eq_str(kap_eventlog_actor(log, run.actor), "B"));
    cr_expect_not(kap_logcase_run(&c, &position, &run));
    cr_expect_eq(kap_eventlog_totals(log)->handovers, 1);
    kap_eventlog_destroy(&log);
    cr_expect_null(log);
    kap_buf_fini(&why);
}

Test(eventlog, sorts_by_instant_and_keeps_file_order_of_equal_instants)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);
    char time[40], actor[16];
    int64_t last_ms = INT64_MIN;
    int64_t last = -1;

    /* 400 events at 20 instants in a scrambled order; the actor is the place in the file. */
    for (int i = 0; i < 400; i++) {
        snprintf(time, sizeof time, "2020-01-01T00:00:%02dZ", i * 7919 % 20);
        snprintf(actor, sizeof actor, "%d", i);
        add(log, "c", time, actor);
    }
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    kap_logcase_t c = kap_eventlog_case(log, 0);
    cr_assert_eq(c.count, 400);
    for (size_t i = 0; i < c.count; i++) {
        int64_t place = -1;
        cr_assert(kap_span_int(kap_eventlog_actor(log, c.events[i].actor), &place));
        cr_assert(c.events[i].ms > last_ms || (c.events[i].ms == last_ms && place > last));
        last_ms = c.events[i].ms;
        last = place;
    }
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, cases_come_in_the_order_of_their_first_event)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);

    add(log, "late", "2020-01-03T00:00:00Z", "A");
    add(log, "same b", "2020-01-02T00:00:00Z", "A");
    add(log, "same a", "2020-01-02T00:00:00Z", "A");
    add(log, "early", "2020-01-04T00:00:00Z", "A");
    add(log, "early", "2020-01-01T00:00:00Z", "B");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    static const char *const order[] = {"early", "same b", "same a", "late"};
    cr_assert_eq(kap_eventlog_case_count(log), 4);
    for (size_t i = 0; i < 4; i++)
        cr_expect(kap_span_eq_str(kap_eventlog_case(log, i).id, order[i]));
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, rows_of_a_case_need_not_stand_together)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);

    add(log, "x", "2020-01-01T00:00:01Z", "A");
    add(log, "y", "2020-01-01T00:00:02Z", "A");
    add(log, "x", "2020-01-01T00:00:03Z", "B");
    add(log, "z", "2020-01-01T00:00:04Z", "A");
    add(log, "y", "2020-01-01T00:00:05Z", "C");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_totals(log)->handovers, 2);
    cr_expect_eq(kap_eventlog_case_count(log), 3);
    cr_expect_eq(kap_eventlog_totals(log)->merged, 0);
    cr_expect_eq(kap_eventlog_case(log, 0).count, 2);
    cr_expect_eq(kap_eventlog_case(log, 1).count, 2);
    cr_expect_eq(kap_eventlog_case(log, 2).count, 1);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, names_are_compared_byte_for_byte)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);

    add(log, "c", "2020-01-01T00:00:01Z", "test");
    add(log, "c", "2020-01-01T00:00:02Z", "TEST");
    add(log, "c", "2020-01-01T00:00:03Z", "test ");
    add(log, "c", "2020-01-01T00:00:04Z", "test");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_totals(log)->handovers, 3);
    cr_expect_eq(kap_eventlog_totals(log)->actors, 3);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, declared_missing_values_are_no_actors_and_no_faults)
{
    static const char *const missing[] = {"EMPTY", "?"};
    kap_logrules_t rules = kap_logs_rules;
    kap_buf_t why = {0};
    kap_eventlog_t *log = NULL;

    rules.missing = missing;
    rules.missing_count = 2;
    rules.max_skipped = 0;
    cr_assert_eq(kap_eventlog_new(&rules, &why, &log), KAP_OK);
    add(log, "c", "2020-01-01T00:00:01Z", "A");
    add(log, "c", "2020-01-01T00:00:02Z", "EMPTY");
    add(log, "c", "2020-01-01T00:00:03Z", "?");
    add(log, "c", "2020-01-01T00:00:04Z", "empty");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_totals(log)->declared, 2);
    cr_expect_eq(kap_eventlog_totals(log)->handovers, 1);
    cr_expect_eq(kap_eventlog_totals(log)->faults[KAP_LOGFAULT_NO_ACTOR], 0);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, faults_are_fatal_one_above_the_limit)
{
    kap_logrules_t rules = kap_logs_rules;
    kap_buf_t why = {0};
    kap_eventlog_t *log = NULL;

    rules.max_skipped = 2;
    cr_assert_eq(kap_eventlog_new(&rules, &why, &log), KAP_OK);
    cr_expect_eq(kap_eventlog_fault(log, KAP_LOGFAULT_NO_TIME, 5), KAP_OK);
    cr_expect_eq(kap_eventlog_fault(log, KAP_LOGFAULT_BAD_TIME, 6), KAP_OK);
    cr_expect_eq(kap_eventlog_fault(log, KAP_LOGFAULT_NO_TIME, 7), KAP_E_LIMIT);
    cr_expect_str_eq(kap_buf_cstr(&why), "line 7: events without a time: 3 faults, 2 allowed");
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, times_without_a_zone_take_the_given_one)
{
    kap_logrules_t rules = kap_logs_rules;
    kap_buf_t why = {0};
    kap_eventlog_t *log = NULL;

    rules.zone = KAP_ZONE_HELSINKI;
    cr_assert_eq(kap_eventlog_new(&rules, &why, &log), KAP_OK);
    add(log, "c", "2024-07-01T12:00:00", "A");
    add(log, "c", "2024-07-01T12:00:00Z", "A");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    kap_logcase_t c = kap_eventlog_case(log, 0);
    cr_expect_eq(c.events[1].ms - c.events[0].ms, 3 * KAP_HOUR_MS);
    cr_expect_eq(kap_eventlog_totals(log)->without_zone, 1);
    kap_eventlog_destroy(&log);

    rules.zone = KAP_ZONE_UTC;
    rules.offset_ms = -90 * KAP_MINUTE_MS;
    cr_assert_eq(kap_eventlog_new(&rules, &why, &log), KAP_OK);
    add(log, "c", "2024-07-01T12:00:00", "A");
    add(log, "c", "2024-07-01T12:00:00Z", "A");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    c = kap_eventlog_case(log, 0);
    cr_expect_eq(c.events[1].ms - c.events[0].ms, 90 * KAP_MINUTE_MS);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, old_times_are_kept_and_counted)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);

    add(log, "c", "1899-12-31T00:00:00Z", "A");
    add(log, "c", "1970-01-01T23:59:59.999Z", "B");
    add(log, "c", "1970-01-02T00:00:00Z", "A");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_totals(log)->before_1970, 2);
    cr_expect_eq(kap_eventlog_totals(log)->handovers, 2);
    cr_expect_lt(kap_eventlog_totals(log)->first_ms, 0);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, times_outside_the_years_1_to_9999_are_impossible)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);
    kap_logfault_t fault;
    bool nameless;
    static const char *const times[] = {"9999-12-31T24:00:00Z", "9999-12-31T23:00:00-02:00",
                                        "0001-01-01T00:00:00+01:00"};

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(kap_eventlog_row(log, KAP_SPAN("c"), kap_span_str(times[i]), KAP_SPAN("A"),
                                      &fault, &nameless),
                     KAP_OK);
        cr_expect_eq(fault, KAP_LOGFAULT_BAD_TIME, "%s", times[i]);
    }
    add(log, "c", "9999-12-31T23:59:59.999Z", "A");
    add(log, "c", "0001-01-01T00:00:00Z", "A");
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_totals(log)->events, 2);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

static int add_name_of(size_t bytes, kap_buf_t *why)
{
    kap_eventlog_t *log = new_log(why);
    kap_buf_t name = {0};
    kap_logfault_t fault;
    bool nameless;

    for (size_t i = 0; i < bytes; i++)
        kap_buf_u8(&name, 'n');
    int rc = kap_eventlog_row(log, KAP_SPAN("c"), KAP_SPAN("2020-01-01T00:00:01Z"),
                              kap_buf_span(&name), &fault, &nameless);
    if (!rc)
        rc = kap_eventlog_row(log, kap_buf_span(&name), KAP_SPAN("2020-01-01T00:00:01Z"),
                              KAP_SPAN("A"), &fault, &nameless);
    kap_buf_fini(&name);
    kap_eventlog_destroy(&log);
    return rc;
}

Test(eventlog, names_have_a_longest_length)
{
    kap_buf_t why = {0};

    cr_expect_eq(add_name_of(KAP_EVENTLOG_NAME_BYTES, &why), KAP_OK);
    cr_expect_eq(why.size, 0);
    cr_expect_eq(add_name_of(KAP_EVENTLOG_NAME_BYTES + 1, &why), KAP_E_INVALID);
    cr_expect_str_eq(kap_buf_cstr(&why), "an actor's name of 1001 bytes; at most 1000");
    kap_buf_fini(&why);
}

Test(eventlog, many_names_stay_apart)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);
    char id[24], actor[24];

    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof id, "case %d", i % 5000);
        snprintf(actor, sizeof actor, "actor %d", i / 5000);
        add(log, id, "2020-01-01T00:00:01Z", actor);
    }
    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_case_count(log), 5000);
    cr_expect_eq(kap_eventlog_actor_count(log), 4);
    cr_expect_eq(kap_eventlog_actor_events(log, 3), 5000);
    cr_expect_eq(kap_eventlog_totals(log)->handovers, 15000);
    cr_expect_eq(kap_eventlog_chains(log, 3), 5000);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}

Test(eventlog, an_empty_log_has_no_figures)
{
    kap_buf_t why = {0};
    kap_eventlog_t *log = new_log(&why);

    cr_assert_eq(kap_eventlog_finish(log), KAP_OK);
    cr_expect_eq(kap_eventlog_case_count(log), 0);
    cr_expect_eq(kap_eventlog_totals(log)->events, 0);
    cr_expect_eq(kap_eventlog_totals(log)->first_ms, 0);
    cr_expect_eq(kap_eventlog_chains(log, 0), 0);
    kap_eventlog_destroy(&log);
    kap_buf_fini(&why);
}
