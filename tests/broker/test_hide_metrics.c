/* SPDX-License-Identifier: MPL-2.0 */
/* What of a metric is told to whom. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "question.h"

enum { K = 5 };

static desk_t desk, *d = &desk;
static kap_directory_t *wide; /* where mikkeli shows its edges to the nation */
static int made;

static void transfers(const char *from, const char *to, int count)
{
    char id[16];

    while (count > 0) {
        for (int i = 0; i < DESK_EVENTS && count > 0; i++, count--) {
            snprintf(id, sizeof id, "r%d", ++made);
            desk_created(d, from, id, id, from, to, "mikkeli", NULL);
        }
        cr_assert_eq(desk_send(d), KAP_RECEIPT_OK);
    }
}

/* The edges above in January, 5 days later in February one more. */
static void play(void)
{
    static const char *const at = "\"area\": \"etela-savo\"}";
    kap_buf_t json = {0}, messages = {0};

    made = 0;
    desk_open(d, true);
    const char *text = kap_buf_cstr(&d->json), *here = strstr(text, at);
    cr_assert_not_null(here);
    kap_buf_printf(&json,
                   "%.*s\"area\": \"etela-savo\", \"settings\": {\"visibility\": "
                   "\"nation\"}}%s",
                   (int)(here - text), text, here + strlen(at));
    int rc = kap_directory_parse(kap_buf_span(&json), &wide, &messages);
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&json);
    kap_buf_fini(&messages);
    transfers("a", "b", 10);
    transfers("a", "c", 3);
    transfers("b", "c", 20);
    transfers("c", "a", 7);
    transfers("c", "b", 30);
}

static void settle(int days)
{
    d->now = kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){2026, 2, 1}) + days * KAP_DAY_MS;
    transfers("d", "g", 1);
}

static void finish(void)
{
    kap_directory_unref(&wide);
    desk_close(d);
}

TestSuite(hide_metrics, .init = play, .fini = finish, .timeout = 60);

static const kap_mp_t *told(const char *who, const char *words)
{
    question_t answer = question_as(d, who, words);
    cr_assert_eq(answer.refusal, 0, "%s: %s", words, answer.why);
    return answer.root;
}

static const kap_mp_t *told_widely(const char *who, const char *words)
{
    question_t answer = question_of(d, wide, who, words);
    cr_assert_eq(answer.refusal, 0, "%s: %s", words, answer.why);
    return answer.root;
}

static void refused(const char *who, const char *words, const char *begins)
{
    question_t answer = question_as(d, who, words);
    cr_expect_eq(answer.refusal, KAP_REFUSAL_NOT_ALLOWED_QUERY, "%s", words);
    cr_expect_eq(strncmp(answer.why == NULL ? "" : answer.why, begins, strlen(begins)), 0, "%s: %s",
                 words, answer.why);
}

#define N(map)          question_number(map, "n")
#define MONTH           " region=mikkeli month=2026-01"
#define MATRIX_OF_MONTH "metric=matrix" MONTH

Test(hide_metrics, readers_of_the_region_see_all_of_it_at_once)
{
    const kap_mp_t *all = told("d", "metric=matrix region=mikkeli by=edge from=2026-01-05");
    cr_expect_eq(question_rows(all), 5);
    cr_expect_eq(question_number(all, "hidden"), 0);
    cr_expect_eq(question_number(all, "hidden_below"), -2);
    cr_expect_eq(N(question_row(all, "a>c")), 3);
}

Test(hide_metrics, others_wait_for_fourteen_days)
{
    settle(13);
    refused("x", MATRIX_OF_MONTH, "others see whole months and years from 14 days");
    settle(14);
    const kap_mp_t *all = told("x", MATRIX_OF_MONTH);
    cr_expect_eq(N(all), 70);
    cr_expect_eq(question_number(all, "values.transfers"), 70);
    cr_expect_eq(question_number(all, "hidden_below"), K);
    refused("x", "metric=matrix region=mikkeli", "others see whole months");
    refused("x", "metric=matrix region=mikkeli from=2026-01-02 to=2026-02-01", "others see whole");
    refused("x", MATRIX_OF_MONTH " zone=UTC", "others see whole months");
    refused("x", "metric=orphans region=mikkeli", "how things stand now is for readers");
    refused("x", MATRIX_OF_MONTH " where.service=startup-advice", "single values are for readers");
}

Test(hide_metrics, others_see_totals_and_no_rows_of_members)
{
    settle(20);
    const kap_mp_t *all = told("x", MATRIX_OF_MONTH " by=edge");
    cr_expect_eq(question_rows(all), 0);
    cr_expect_eq(N(all), 70);
    cr_expect_eq(kap_mp_get(all, "notes")->count, 1);
    refused("x", "metric=matrix member=a month=2026-01", "figures of single members are for");
    refused("x", "metric=matrix region=mikkeli edge=a>b month=2026-01", "figures of single");
    refused("x", "metric=matrix organisation=1234567-1 month=2026-01", "figures of single");
}

Test(hide_metrics, a_member_sees_its_own_edges_anywhere_and_at_once)
{
    transfers("n", "d", 2);
    const kap_mp_t *all = told("n", "metric=matrix region=mikkeli by=edge");
    cr_expect_eq(question_rows(all), 1);
    cr_expect_eq(N(question_row(all, "n>d")), 2);
    cr_expect_eq(N(all), 2, "the total is not told yet");
    cr_expect_eq(kap_mp_get(all, "values")->count, 0);
    cr_expect_eq(N(told("n", "metric=matrix member=n")), 2);
    cr_expect_eq(N(told("n", "metric=matrix region=mikkeli edge=n>d")), 2);
    refused("n", "metric=matrix region=mikkeli edge=a>b", "figures of single members");
    settle(20);
    all = told("n", MATRIX_OF_MONTH " by=edge");
    cr_expect_eq(question_rows(all), 1);
    cr_expect_eq(N(all), 72);
}

Test(hide_metrics, small_cells_are_hidden_with_the_next_smallest_of_their_row_and_column)
{
    settle(20);
    const kap_mp_t *all = told_widely("x", MATRIX_OF_MONTH " by=edge");
    cr_expect_eq(question_rows(all), 5);
    cr_expect_eq(question_number(all, "hidden"), 5, "one draws the other");
    cr_expect_eq(question_number(question_row(all, "a>c"), "hidden"), 1);
    cr_expect_eq(N(question_row(all, "a>c")), -2);
    cr_expect_eq(N(all), 70);
    all = told_widely("x", MATRIX_OF_MONTH " by=member");
    cr_expect_eq(question_number(all, "hidden"), 0);
    cr_expect_eq(N(question_row(all, "a")), 13);
    refused("x", "metric=matrix region=mikkeli from=2025-12-01 to=2026-02-01 by=service",
            "others see totals of more than a month");
    all = told_widely("x", "metric=matrix region=mikkeli from=2025-12-01 to=2026-02-01 by=edge");
    cr_expect_eq(question_rows(all), 0, "of more than a month there are totals only");
    cr_expect_eq(N(all), 70);
}

Test(hide_metrics, large_cells_are_told_when_the_region_wants_it)
{
    transfers("a", "c", 2);
    settle(20);
    const kap_mp_t *all = told_widely("x", MATRIX_OF_MONTH " by=edge");
    cr_expect_eq(question_rows(all), 5);
    cr_expect_eq(question_number(all, "hidden"), 0);
    cr_expect_eq(N(question_row(all, "a>c")), 5);
    all = told_widely("x", "metric=matrix region=mikkeli member=a month=2026-01");
    cr_expect_eq(N(all), 15);
}

Test(hide_metrics, a_small_total_is_not_told)
{
    transfers("d", "n", 1);
    d->now += 30 * KAP_DAY_MS; /* February */
    transfers("d", "g", 4);
    d->now += 60 * KAP_DAY_MS;
    transfers("d", "g", 1);
    const kap_mp_t *all = told("x", "metric=matrix region=mikkeli month=2026-02");
    cr_expect_eq(N(all), 0);
    cr_expect_eq(kap_mp_get(all, "values")->count, 0);
    cr_expect_eq(kap_mp_get(all, "notes")->count, 1);
    all = told("x", "metric=matrix region=mikkeli from=2026-01-01 to=2026-03-01 by=month");
    cr_expect_eq(question_number(question_row(all, "2026-02"), "hidden"), 1);
    cr_expect_eq(question_number(question_row(all, "2026-01"), "hidden"), 1,
                 "else February is the total less it");
}

Test(hide_metrics, times_of_few_are_not_told_to_others)
{
    desk_referral(d, "b", KAP_EV_REFERRAL_DELIVERED, "r1");
    cr_assert_eq(desk_said(d), 0);
    desk_referral(d, "b", KAP_EV_REFERRAL_ACCEPTED, "r1");
    cr_assert_eq(desk_said(d), 0);
    settle(20);
    const char *const words = "metric=time-to-complete" MONTH " by=member";
    cr_expect_eq(question_number(told("a", "metric=time-to-accept" MONTH), "values.time.p50_ms"),
                 0);
    const kap_mp_t *all = told_widely("x", "metric=time-to-accept" MONTH);
    cr_expect_eq(question_number(all, "values.time.n"), 1);
    cr_expect_eq(question_number(all, "values.time.p50_ms"), -1);
    all = told_widely("x", words);
    cr_expect_eq(N(question_row(all, "b")), 40);
    cr_expect_eq(question_number(question_row(all, "b"), "values.time.p50_ms"), -1);
}

Test(hide_metrics, covering_roles_see_totals_at_once_and_members_as_the_region_says)
{
    const kap_mp_t *all = told("op", "metric=matrix nation=true");
    cr_expect_eq(N(all), 70);
    cr_expect_eq(question_number(all, "values.transfers"), 70);
    all = told("op", "metric=matrix area=etela-savo by=region from=2026-01-05");
    cr_expect_eq(N(question_row(all, "mikkeli")), 70);
    all = told("op", "metric=matrix region=mikkeli by=service");
    cr_expect_eq(N(question_row(all, "startup-advice")), 70);
    all = told("op", "metric=matrix nation=true by=edge");
    cr_expect_eq(question_rows(all), 0);
    cr_expect_eq(N(all), 70);
    refused("d", "metric=matrix nation=true", "others see whole months");
    settle(20);
    cr_expect_eq(N(told("d", "metric=matrix nation=true month=2026-01")), 70);
    all = told("d", "metric=matrix nation=true month=2026-01 by=edge");
    cr_expect_eq(question_rows(all), 5, "its own region in full");
    cr_expect_eq(question_number(all, "hidden"), 0);
}

Test(hide_metrics, lists_of_members_are_for_readers)
{
    settle(20);
    const kap_mp_t *all = told("d", "metric=reciprocity" MONTH);
    cr_expect_neq(question_number(all, "values.pairs"), -2);
    all = told("x", "metric=reciprocity" MONTH);
    cr_expect_eq(question_number(all, "values.pairs"), -2);
    cr_expect_eq(question_number(all, "values.rate.den"), 70);
}
