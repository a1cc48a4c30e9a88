/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "ids.h"
#include "logmap.h"
#include "logs.h"
#include "replay.h"
#include "referral.h"

static const kap_logmap_opts_t plain = {.member = {(const uint8_t *)"operator", 8},
                                        .name = {(const uint8_t *)"worked", 6},
                                        .attribute = {(const uint8_t *)"org:resource", 12},
                                        .options = {(const uint8_t *)"{}", 2},
                                        .digest = {1, 2, 3}};

static void worked_example(kap_logs_t *logs)
{
    kap_buf_t traces = {0};

    kap_logs_worked_example(&traces);
    cr_assert_eq(kap_logs_traces(logs, kap_buf_cstr(&traces)), KAP_OK);
    kap_buf_fini(&traces);
}

static kap_logmap_t *map_of(const kap_logs_t *logs, const kap_logmap_opts_t *opts)
{
    kap_logmap_t *map = NULL;

    cr_assert_eq(kap_logmap_new(logs->log, opts, &map), KAP_OK);
    return map;
}

static int64_t at(const char *time)
{
    int64_t ms;

    cr_assert_eq(kap_time_parse(kap_span_str(time), KAP_ZONE_UTC, &ms, NULL), KAP_OK);
    return ms;
}

Test(logmap, the_worked_example_becomes_six_referrals_with_its_waits)
{
    kap_logs_t logs;
    kap_replay_t replay;
    int64_t waits[8];

    worked_example(&logs);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_expect_eq(replay.count, 6);
    cr_expect_eq(replay.events, 2 + 6 * 5);
    cr_expect_eq(kap_replay_pingpongs(&replay), 3);
    cr_expect_eq(kap_replay_edges(&replay), 4);
    cr_expect_eq(kap_replay_waits(&replay, "A", "B", waits, 8), 2);
    cr_expect_eq(waits[0], 3600000);
    cr_expect_eq(waits[1], 37800000);
    cr_expect_eq(kap_replay_waits(&replay, "B", "A", waits, 8), 1);
    cr_expect_eq(kap_replay_waits(&replay, "B", "C", waits, 8), 2);
    cr_expect_eq(waits[0], 0);
    cr_expect_eq(waits[1], 25 * 3600000);
    cr_expect_eq(kap_replay_waits(&replay, "C", "B", waits, 8), 1);
    cr_expect_eq(replay.summary_cases, 3);
    cr_expect_eq(replay.summary_without, 1);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    cr_expect_null(map);
    kap_logs_close(&logs);
}

Test(logmap, a_referral_runs_from_the_last_event_of_one_to_the_last_of_the_other)
{
    kap_logs_t logs;
    kap_replay_t replay;
    kap_buf_t xes = {0};

    kap_buf_str(&xes, "<trace><string key=\"concept:name\" value=\"c\"/>");
    kap_logs_event(&xes, "A", "2020-01-01T00:00:01Z");
    kap_logs_event(&xes, "A", "2020-01-01T00:00:02Z");
    kap_logs_event(&xes, "B", "2020-01-01T00:00:05Z");
    kap_logs_event(&xes, NULL, "2020-01-01T00:00:06Z");
    kap_logs_event(&xes, "B", "2020-01-01T00:00:07Z");
    kap_logs_event(&xes, "B", "2020-01-01T00:00:08Z");
    kap_logs_event(&xes, "C", "2020-01-01T00:00:10Z");
    kap_logs_event(&xes, NULL, "2020-01-01T00:00:11Z");
    kap_buf_str(&xes, "</trace>");
    kap_logs_traces(&logs, kap_buf_cstr(&xes));
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_assert_eq(replay.count, 2);
    const kap_replayed_t *r = replay.referrals;
    cr_expect_str_eq(r[0].id, "c#1");
    cr_expect_str_eq(r[0].parent, "");
    cr_expect_eq(r[0].created_ms, at("2020-01-01T00:00:02Z"));
    cr_expect_eq(r[0].accepted_ms, at("2020-01-01T00:00:05Z"));
    cr_expect_eq(r[0].ended_ms, at("2020-01-01T00:00:08Z"));
    cr_expect_eq(r[0].answer_ms, at("2020-01-01T00:00:08Z"));
    cr_expect_eq(r[0].notes, 2);
    cr_expect_eq(r[0].state, KAP_STATE_REDIRECTED);
    cr_expect_str_eq(r[1].id, "c#2");
    cr_expect_str_eq(r[1].parent, "c#1");
    cr_expect_eq(r[1].created_ms, at("2020-01-01T00:00:08Z"));
    cr_expect_eq(r[1].accepted_ms, at("2020-01-01T00:00:10Z"));
    cr_expect_eq(r[1].ended_ms, at("2020-01-01T00:00:10Z"));
    cr_expect_eq(r[1].state, KAP_STATE_COMPLETED);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&xes);
}

Test(logmap, the_events_of_a_chain_come_in_their_order)
{
    static const kap_event_type_t order[] = {
        KAP_EV_ARCHIVE_OPENED,    KAP_EV_REFERRAL_CREATED,         KAP_EV_REFERRAL_DELIVERED,
        KAP_EV_REFERRAL_ACCEPTED, KAP_EV_REFERRAL_NOTED,           KAP_EV_REFERRAL_REDIRECTED,
        KAP_EV_REFERRAL_CREATED,  KAP_EV_REFERRAL_ANSWER_RECEIVED, KAP_EV_REFERRAL_DELIVERED,
        KAP_EV_REFERRAL_ACCEPTED, KAP_EV_REFERRAL_COMPLETED,       KAP_EV_REFERRAL_ANSWER_RECEIVED,
        KAP_EV_ARCHIVE_CLOSED};
    const size_t n = sizeof order / sizeof *order;
    kap_logs_t logs;
    kap_buf_t xes = {0};
    kap_logmap_event_t event;

    kap_buf_str(&xes, "<trace><string key=\"concept:name\" value=\"c\"/>");
    kap_logs_event(&xes, "A", "2020-01-01T00:00:01Z");
    kap_logs_event(&xes, "B", "2020-01-01T00:00:02Z");
    kap_logs_event(&xes, "B", "2020-01-01T00:00:03Z");
    kap_logs_event(&xes, "A", "2020-01-01T00:00:04Z");
    kap_buf_str(&xes, "</trace>");
    kap_logs_traces(&logs, kap_buf_cstr(&xes));
    kap_logmap_t *map = map_of(&logs, &plain);
    cr_assert_eq(kap_logmap_total(map), n);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(kap_logmap_next(map, &event), KAP_OK);
        cr_expect_eq(event.type, order[i], "event %zu", i + 1);
        cr_expect_eq(event.sequence, i + 1);
        cr_expect_eq(event.bound, i == 5);
    }
    cr_expect_eq(kap_logmap_next(map, &event), KAP_E_NOTFOUND);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&xes);
}

Test(logmap, the_same_import_gives_the_same_bytes_and_another_one_others)
{
    kap_logs_t logs;
    kap_replay_t first, again, other;
    kap_logmap_opts_t changed = plain;

    worked_example(&logs);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_logmap_t *twin = map_of(&logs, &plain);
    kap_replay(map, &first);
    kap_replay(twin, &again);
    cr_expect_arr_eq(first.hash, again.hash, 32);

    changed.digest[31] = 9;
    kap_logmap_t *file = map_of(&logs, &changed);
    kap_replay(file, &other);
    cr_expect(kap_span_eq(kap_logmap_source(file), kap_logmap_source(map)));
    cr_expect_arr_neq(first.hash, other.hash, 32);
    cr_expect_arr_neq(first.digest, other.digest, 32);
    cr_expect_arr_neq(changed.digest, other.digest, 32);
    kap_replay_free(&other);
    kap_logmap_destroy(&file);
    kap_replay_free(&first);
    kap_replay_free(&again);
    kap_logmap_destroy(&map);
    kap_logmap_destroy(&twin);
    kap_logs_close(&logs);
}

Test(logmap, the_source_names_the_archive_its_attribute_and_options)
{
    kap_logs_t logs;
    kap_logmap_opts_t changed[4] = {plain, plain, plain, plain};

    worked_example(&logs);
    changed[1].name = KAP_SPAN("other");
    changed[2].attribute = KAP_SPAN("org:group");
    changed[3].options = KAP_SPAN("{1}");
    kap_logmap_t *maps[4];
    for (int i = 0; i < 4; i++) {
        maps[i] = map_of(&logs, &changed[i]);
        cr_expect(kap_span_starts(kap_logmap_source(maps[i]), KAP_SPAN("operator/import-")));
        for (int j = 0; j < i; j++)
            cr_expect_not(kap_span_eq(kap_logmap_source(maps[i]), kap_logmap_source(maps[j])));
    }
    for (int i = 0; i < 4; i++)
        kap_logmap_destroy(&maps[i]);
    kap_logs_close(&logs);
}

Test(logmap, ids_are_uuids_of_version_8_and_all_different)
{
    kap_logs_t logs;
    kap_logmap_event_t event;
    kap_arena_t *arena = kap_arena_new(4096);
    kap_event_t ev;
    char seen[40][KAP_UUID_TEXT];
    int n = 0;

    worked_example(&logs);
    kap_logmap_t *map = map_of(&logs, &plain);
    while (kap_logmap_next(map, &event) == KAP_OK) {
        uint8_t raw[16];
        cr_assert_eq(kap_event_decode(event.open, event.ends, kap_span(NULL, 0), arena, &ev, NULL),
                     KAP_OK);
        cr_assert_eq(kap_uuid_parse(ev.id, raw), KAP_OK);
        cr_expect_eq(raw[6] >> 4, 8);
        for (int i = 0; i < n; i++)
            cr_expect_not(kap_span_eq_str(ev.id, seen[i]));
        memcpy(seen[n], ev.id.data, 36);
        seen[n++][36] = '\0';
    }
    cr_expect_eq(n, 32);
    kap_logmap_destroy(&map);
    kap_arena_destroy(&arena);
    kap_logs_close(&logs);
}

/* All open and ends parts of a map, one after the other, by sequence. */
static void collect(kap_logmap_t *map, kap_buf_t *bytes, size_t offsets[])
{
    kap_logmap_event_t event;

    kap_logmap_seek(map, 1);
    while (kap_logmap_next(map, &event) == KAP_OK) {
        offsets[event.sequence] = bytes->size;
        kap_buf_append(bytes, event.open);
        kap_buf_append(bytes, event.ends);
    }
    offsets[kap_logmap_total(map) + 1] = bytes->size;
}

Test(logmap, resumes_at_any_sequence_with_the_same_bytes)
{
    kap_logs_t logs;
    kap_buf_t all = {0};
    size_t offsets[40];
    kap_logmap_event_t event;

    worked_example(&logs);
    kap_logmap_t *map = map_of(&logs, &plain);
    uint64_t total = kap_logmap_total(map);
    collect(map, &all, offsets);
    for (uint64_t from = total; from >= 1; from--) {
        kap_logmap_seek(map, from);
        cr_assert_eq(kap_logmap_next(map, &event), KAP_OK);
        cr_expect(event.sequence == from || (event.sequence == from - 1 && event.bound));
        for (;;) {
            kap_span_t expected = kap_span(all.data + offsets[event.sequence],
                                           offsets[event.sequence + 1] - offsets[event.sequence]);
            kap_span_t open = kap_span_sub(expected, 0, event.open.size);
            kap_span_t ends = kap_span_sub(expected, event.open.size, expected.size);
            cr_assert(kap_span_eq(event.open, open) && kap_span_eq(event.ends, ends),
                      "event %llu after a seek to %llu", (unsigned long long)event.sequence,
                      (unsigned long long)from);
            if (event.sequence == total)
                break;
            cr_assert_eq(kap_logmap_next(map, &event), KAP_OK);
        }
    }
    kap_logmap_seek(map, total + 1);
    cr_expect_eq(kap_logmap_next(map, &event), KAP_E_NOTFOUND);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&all);
}

static kap_buf_t long_name(char c, size_t bytes)
{
    kap_buf_t name = {0};

    for (size_t i = 0; i < bytes; i++)
        kap_buf_u8(&name, (uint8_t)c);
    return name;
}

Test(logmap, names_longer_than_an_id_travel_as_their_hash_and_in_full)
{
    kap_logs_t logs;
    kap_replay_t replay;
    kap_buf_t xes = {0};

    /* 200 bytes are an id, 201 are not; a case id of 199 leaves no room for "#1". */
    for (size_t bytes = 199; bytes <= 201; bytes++) {
        kap_buf_t name = long_name('n', bytes);
        kap_buf_printf(&xes, "<trace><string key=\"concept:name\" value=\"%s\"/>",
                       kap_buf_cstr(&name));
        kap_logs_event(&xes, "A", "2020-01-01T00:00:01Z");
        kap_logs_event(&xes, kap_buf_cstr(&name), "2020-01-01T00:00:02Z");
        kap_logs_event(&xes, "external:tax-office", "2020-01-01T00:00:03Z");
        kap_buf_str(&xes, "</trace>");
        kap_buf_fini(&name);
    }
    cr_assert_eq(kap_logs_traces(&logs, kap_buf_cstr(&xes)), KAP_OK);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_assert_eq(replay.count, 6);
    for (size_t i = 0; i < 6; i++) {
        const kap_replayed_t *r = &replay.referrals[i];
        cr_expect_eq(strlen(r->case_id), 199 + i / 2);
        cr_expect_eq(strlen(i % 2 ? r->from : r->to), 199 + i / 2);
        cr_expect_leq(strlen(r->id), 200);
        cr_expect_str_eq(i % 2 ? r->to : r->from, i % 2 ? "external:tax-office" : "A");
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(r->id, replay.referrals[j].id);
    }
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&xes);
}

Test(logmap, names_of_the_longest_length_fit_an_event)
{
    kap_logs_t logs;
    kap_replay_t replay;
    kap_buf_t xes = {0};
    kap_buf_t id = long_name('c', KAP_EVENTLOG_NAME_BYTES);
    kap_buf_t from = long_name('f', KAP_EVENTLOG_NAME_BYTES);
    kap_buf_t to = long_name('t', KAP_EVENTLOG_NAME_BYTES);

    kap_buf_printf(&xes, "<trace><string key=\"concept:name\" value=\"%s\"/>", kap_buf_cstr(&id));
    kap_logs_event(&xes, kap_buf_cstr(&from), "2020-01-01T00:00:01Z");
    kap_logs_event(&xes, kap_buf_cstr(&to), "2020-01-01T00:00:02Z");
    kap_logs_event(&xes, kap_buf_cstr(&from), "2020-01-01T00:00:03Z");
    kap_buf_str(&xes, "</trace>");
    cr_assert_eq(kap_logs_traces(&logs, kap_buf_cstr(&xes)), KAP_OK);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_expect_eq(replay.count, 2);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&xes);
    kap_buf_fini(&id);
    kap_buf_fini(&from);
    kap_buf_fini(&to);
}

Test(logmap, odd_names_and_old_times_survive)
{
    kap_logs_t logs;
    kap_replay_t replay;

    cr_assert_eq(kap_logs_traces(
                     &logs, "<trace><string key='concept:name' value='a#1'/><event>"
                            "<string key='org:resource' value='tab&#9;line&#10;&quot;,;'/>"
                            "<date key='time:timestamp' value='1900-01-01T00:00:00Z'/></event>"
                            "<event><string key='org:resource' value='\xc3\xa4 \xf0\x9f\x98\x80'/>"
                            "<date key='time:timestamp' value='1969-12-31T23:59:59.999Z'/>"
                            "</event></trace>"),
                 KAP_OK);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_assert_eq(replay.count, 1);
    cr_expect_str_eq(replay.referrals[0].from, "tab\tline\n\",;");
    cr_expect_str_eq(replay.referrals[0].to, "\xc3\xa4 \xf0\x9f\x98\x80");
    cr_expect_str_eq(replay.referrals[0].id, "a#1#1");
    cr_expect_eq(replay.referrals[0].accepted_ms, -1);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
}

Test(logmap, a_case_of_more_handovers_than_a_mesh_allows_is_mapped)
{
    kap_logs_t logs;
    kap_replay_t replay;
    kap_buf_t xes = {0};
    char time[40];

    kap_buf_str(&xes, "<trace><string key=\"concept:name\" value=\"c\"/>");
    for (int i = 0; i < 1001; i++) {
        snprintf(time, sizeof time, "2020-01-01T00:%02d:%02dZ", i / 60, i % 60);
        kap_logs_event(&xes, i % 2 ? "A" : "B", time);
    }
    kap_buf_str(&xes, "</trace>");
    cr_assert_eq(kap_logs_traces(&logs, kap_buf_cstr(&xes)), KAP_OK);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_expect_eq(replay.count, 1000);
    cr_expect_eq(kap_replay_pingpongs(&replay), 999);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&xes);
}

Test(logmap, a_log_without_handovers_is_an_archive_with_a_summary)
{
    kap_logs_t logs;
    kap_replay_t replay;

    kap_logs_traces(&logs, "<trace><string key='concept:name' value='c'/><event>"
                           "<string key='org:resource' value='A'/>"
                           "<date key='time:timestamp' value='2020-01-01T00:00:00Z'/></event>"
                           "</trace>");
    kap_logmap_t *map = map_of(&logs, &plain);
    cr_expect_eq(kap_logmap_total(map), 2);
    kap_replay(map, &replay);
    cr_expect_eq(replay.summary_cases, 1);
    cr_expect_eq(replay.summary_without, 1);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
}

Test(logmap, a_summary_of_many_chain_lengths_still_fits_its_event)
{
    kap_logs_t logs;
    kap_replay_t replay;
    kap_buf_t xes = {0};
    char time[40];

    for (int length = 1; length <= 600; length++) {
        kap_buf_printf(&xes, "<trace><string key=\"concept:name\" value=\"c%d\"/>", length);
        for (int i = 0; i < length; i++) {
            snprintf(time, sizeof time, "2020-01-01T00:%02d:%02dZ", i / 60, i % 60);
            kap_logs_event(&xes, i % 2 ? "A" : "B", time);
        }
        kap_buf_str(&xes, "</trace>");
    }
    cr_assert_eq(kap_logs_traces(&logs, kap_buf_cstr(&xes)), KAP_OK);
    kap_logmap_t *map = map_of(&logs, &plain);
    kap_replay(map, &replay);
    cr_expect_eq(replay.summary_cases, 600);
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    kap_buf_fini(&xes);
}

Test(logmap, what_an_event_cannot_hold_is_refused_at_once)
{
    kap_logs_t logs;
    kap_logmap_t *map = NULL;
    kap_logmap_opts_t opts = plain;
    kap_buf_t text = long_name('o', 4001);

    worked_example(&logs);
    opts.options = kap_span_sub(kap_buf_span(&text), 0, 4000);
    cr_assert_eq(kap_logmap_new(logs.log, &opts, &map), KAP_OK);
    kap_logmap_destroy(&map);
    opts.options = kap_buf_span(&text);
    cr_expect_eq(kap_logmap_new(logs.log, &opts, &map), KAP_E_LIMIT);
    cr_expect_null(map);
    opts = plain;
    opts.member = kap_span_sub(kap_buf_span(&text), 0, 162);
    cr_expect_eq(kap_logmap_new(logs.log, &opts, &map), KAP_E_LIMIT);
    kap_buf_fini(&text);
    kap_logs_close(&logs);
}
