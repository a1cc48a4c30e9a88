/* SPDX-License-Identifier: MPL-2.0 */
/* The real log receipt.xes against figures that an independent program computed. The data stands in
 * $KAPULA_TEST_DATA, or in a folder data/ beside the source tree; without it the tests say that
 * they were skipped. */
#include <criterion/criterion.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "logmap.h"
#include "logs.h"
#include "replay.h"

static char log_file[4096], truth_file[4096];

/* Where the data is; false when nowhere. */
static bool find_data(void)
{
    const char *given = getenv("KAPULA_TEST_DATA");
    glob_t found = {0};
    bool here = given != NULL;

    if (given) {
        snprintf(log_file, sizeof log_file, "%s/receipt.xes", given);
    } else if (!glob(KAP_TEST_SOURCE_DIR "/../*/data/receipt.xes", 0, NULL, &found)) {
        snprintf(log_file, sizeof log_file, "%s", found.gl_pathv[0]);
        here = true;
    }
    globfree(&found);
    if (!here)
        return false;
    snprintf(truth_file, sizeof truth_file, "%.*s/receipt.truth.json",
             (int)(strrchr(log_file, '/') - log_file), log_file);
    return !access(log_file, R_OK) && !access(truth_file, R_OK);
}

static uint64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    cr_assert(json_is_integer(value), "%s", key);
    return (uint64_t)json_integer_value(value);
}

static const char *text(const json_t *array, size_t index)
{
    return json_string_value(json_array_get(array, index));
}

static void compare_totals(const json_t *truth, const kap_logs_t *logs)
{
    const kap_logtotals_t *t = kap_logs_totals(logs);
    const json_t *others = json_object_get(truth, "handovers_total_other_policies");

    cr_expect_eq(t->traces, number(truth, "traces"));
    cr_expect_eq(t->cases, number(truth, "cases"));
    cr_expect_eq(t->events, number(truth, "events"));
    cr_expect_eq(t->actor_events, number(truth, "actor_events"));
    cr_expect_eq(t->declared, number(truth, "events_missing_actor"));
    cr_expect_eq(t->actors, number(truth, "actors"));
    cr_expect_eq(t->handovers, number(truth, "handovers_total"));
    cr_expect_eq(t->handovers_break, number(others, "missing_breaks_chain"));
    cr_expect_eq(t->handovers_actor, number(others, "missing_is_an_actor"));
    cr_expect_eq(t->handovers_file, number(others, "skip_in_file_order"));
    cr_expect_eq(t->self_follows, number(truth, "self_follows_total"));
    cr_expect_eq(t->with_handover, number(truth, "cases_with_handover"));
    cr_expect_eq(t->pingpongs, number(json_object_get(truth, "pingpong"), "total"));
    cr_expect_eq((uint64_t)t->first_ms, number(truth, "first_event_ms"));
    cr_expect_eq((uint64_t)t->last_ms, number(truth, "last_event_ms"));
}

static void compare_chains(const json_t *truth, const kap_logs_t *logs)
{
    json_t *per_case = json_object_get(truth, "handovers_per_case");
    const char *key;
    json_t *cases;
    uint64_t sum = 0;

    cr_expect_eq(kap_logs_totals(logs)->most_handovers, number(per_case, "max"));
    json_object_foreach(json_object_get(per_case, "histogram"), key, cases)
    {
        uint64_t n = kap_eventlog_chains(logs->log, strtoull(key, NULL, 10));
        cr_expect_eq(n, (uint64_t)json_integer_value(cases), "%s handovers", key);
        sum += n;
    }
    cr_expect_eq(sum, number(truth, "cases"));
}

static void compare_edge(const json_t *edge, const kap_replay_t *replay)
{
    const char *from = text(edge, 0), *to = text(edge, 1);
    const json_t *waits = json_array_get(edge, 2);
    int64_t *own = malloc(replay->count * sizeof *own);
    int64_t sum = 0;

    cr_assert(own);
    size_t n = kap_replay_waits(replay, from, to, own, replay->count);
    cr_assert_eq(n, number(waits, "n"), "%s to %s: %zu", from, to, n);
    for (size_t i = 0; i < n; i++)
        sum += own[i];
    cr_expect_eq((uint64_t)sum, number(waits, "sum"), "%s to %s", from, to);
    cr_expect_eq((uint64_t)own[0], number(waits, "min"));
    cr_expect_eq((uint64_t)own[n - 1], number(waits, "max"));
    cr_expect_eq((uint64_t)kap_replay_percentile(own, n, 50), number(waits, "p50"));
    cr_expect_eq((uint64_t)kap_replay_percentile(own, n, 90), number(waits, "p90"));
    cr_expect_eq((uint64_t)kap_replay_percentile(own, n, 99), number(waits, "p99"));
    free(own);
}

static void compare_matrix(const json_t *truth, const kap_replay_t *replay)
{
    const json_t *matrix = json_object_get(truth, "matrix");
    const json_t *edges = json_object_get(truth, "wait_ms_per_edge");
    int64_t none;

    cr_expect_eq(replay->count, number(truth, "handovers_total"));
    cr_expect_eq(kap_replay_edges(replay), number(truth, "distinct_edges"));
    cr_expect_eq(json_array_size(matrix), number(truth, "distinct_edges"));
    for (size_t i = 0; i < json_array_size(matrix); i++) {
        const json_t *row = json_array_get(matrix, i);
        size_t n = kap_replay_waits(replay, text(row, 0), text(row, 1), &none, 1);
        cr_expect_eq(n, (size_t)json_integer_value(json_array_get(row, 2)), "%s to %s",
                     text(row, 0), text(row, 1));
    }
    for (size_t i = 0; i < json_array_size(edges); i++)
        compare_edge(json_array_get(edges, i), replay);
    cr_expect_eq(kap_replay_pingpongs(replay), number(json_object_get(truth, "pingpong"), "total"));
}

static void compare(const char *view, const char *actor, const char *const missing[], size_t n)
{
    kap_logkeys_t keys = {"concept:name", "time:timestamp", actor};
    kap_logrules_t rules = kap_logs_rules;
    kap_logs_t logs;
    kap_logmap_t *map = NULL;
    kap_replay_t replay;

    if (!find_data()) {
        cr_skip_test("no receipt.xes with its truth: not compared with the real log");
        return;
    }
    json_t *all = json_load_file(truth_file, JSON_REJECT_DUPLICATES, NULL);
    const json_t *truth = json_object_get(all, view);
    cr_assert(truth);
    rules.missing = missing;
    rules.missing_count = n;
    rules.max_skipped = 0;
    cr_assert_eq(kap_logs_file(&logs, log_file, &keys, &rules), KAP_OK, "%s", kap_logs_why(&logs));
    compare_totals(truth, &logs);
    compare_chains(truth, &logs);
    kap_logmap_opts_t opts = {.member = KAP_SPAN("operator"),
                              .name = KAP_SPAN("receipt"),
                              .attribute = kap_span_str(actor),
                              .options = KAP_SPAN("{}")};
    memcpy(opts.digest, logs.digest, sizeof opts.digest);
    cr_assert_eq(kap_logmap_new(logs.log, &opts, &map), KAP_OK);
    kap_replay(map, &replay);
    compare_matrix(truth, &replay);
    cr_expect_eq(replay.summary_without,
                 number(truth, "cases") - number(truth, "cases_with_handover"));
    kap_replay_free(&replay);
    kap_logmap_destroy(&map);
    kap_logs_close(&logs);
    json_decref(all);
}

Test(receipt, by_resource_equals_the_truth)
{
    compare("org:resource", "org:resource", NULL, 0);
}

Test(receipt, by_group_equals_the_truth)
{
    compare("org:group", "org:group", NULL, 0);
}

Test(receipt, by_group_with_empty_as_missing_equals_the_truth)
{
    static const char *const missing[] = {"EMPTY"};

    compare("org:group with EMPTY as missing", "org:group", missing, 1);
}
