/* SPDX-License-Identifier: MPL-2.0 */
/* The question `followed`: the last value of each key, page by page, to those it is for. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "asker.h"
#include "clock.h"
#include "err.h"
#include "ids.h"

enum { PAGE = 1000, AT_ONCE = 500 };

static scene_t scene;
static asker_t kunta, te, other, reader;

static void setup(void)
{
    scene_open(&scene, "");
    scene_connect(&scene, &kunta, "kunta");
    scene_connect(&scene, &te, "te");
    scene_connect(&scene, &other, "other");
    scene_connect(&scene, &reader, "reader");
}

static void teardown(void)
{
    asker_t *all[] = {&kunta, &te, &other, &reader};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        asker_fini(all[i]);
    scene_close(&scene);
}

TestSuite(ask_follow, .init = setup, .fini = teardown, .timeout = 60);

/* A target of so many days for what te hands to finnvera, or for `service`. */
static void target_bins(kap_buf_t *bins, uint64_t sequence, const char *to, int days)
{
    kap_event_builder_t b;
    kap_buf_t open = {0}, ends = {0};
    char id[KAP_UUID_TEXT];
    uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1};
    int64_t now = kap_clock_now_ms(kap_clock_system());
    kap_uuid_v7_random(now, id);
    kap_event_builder_begin(&b, KAP_EV_TARGET_SET, kap_span_str(id), kap_span_str("kunta/p2"),
                            sequence, now, now);
    kap_event_builder_set_span(&b, KAP_F_REGION, kap_span_str("mikkeli"));
    kap_event_builder_set_code(&b, KAP_F_TARGET, KAP_TARGET_ANSWER);
    kap_event_builder_set_span(&b, KAP_F_TO, kap_span_str(to));
    kap_event_builder_set_int(&b, KAP_F_DAYS, days);
    cr_assert_eq(kap_event_builder_finish(&b, salt, (kap_span_t){0}, &open, &ends), KAP_OK);
    kap_bin_put(bins, kap_buf_span(&open));
    kap_bin_put(bins, kap_buf_span(&ends));
    kap_bin_put(bins, (kap_span_t){0});
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

static void set_target(uint64_t sequence, const char *to, int days)
{
    kap_buf_t bins = {0};
    kap_receipt_t receipt;
    target_bins(&bins, sequence, to, days);
    asker_publish(&kunta, "kunta/p2", sequence, 1, kap_buf_span(&bins), &receipt);
    cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
    cr_assert_eq(receipt.verdicts[0].verdict, KAP_VERDICT_ACCEPTED, "%.*s",
                 KAP_SPAN_ARGS(receipt.verdicts[0].sentence));
    kap_buf_fini(&bins);
}

static const kap_mp_t *rows_of(asker_t *asker, kap_answer_t *answer)
{
    asker_query(asker, "followed", answer, "region", "mikkeli", "type", "kapula.target.set.v1",
                NULL);
    cr_assert_eq(answer->refusal, 0, "%.*s", KAP_SPAN_ARGS(answer->sentence));
    return kap_mp_get(answer->root, "rows");
}

Test(ask_follow, tells_the_last_value_of_each_key_with_who_said_it)
{
    kap_answer_t answer;
    set_target(1, "te", 5);
    set_target(2, "finnvera", 7);
    set_target(3, "te", 3);
    const kap_mp_t *rows = rows_of(&reader, &answer);
    cr_assert_eq(rows->count, 2);
    const kap_mp_t *row = kap_mp_item(rows, 0), *data = kap_mp_get(row, "data");
    cr_expect(kap_span_eq_str(kap_mp_get_str(data, "to"), "te"));
    cr_expect_eq(kap_mp_get_int(data, "days", 0), 3);
    cr_expect_eq(kap_mp_get_int(row, "log_seq", 0), 3);
    cr_expect(kap_span_eq_str(kap_mp_get_str(row, "by"), "kunta"));
    cr_expect_gt(kap_mp_get_int(row, "at", 0), 0);
    data = kap_mp_get(kap_mp_item(rows, 1), "data");
    cr_expect(kap_span_eq_str(kap_mp_get_str(data, "to"), "finnvera"));
    cr_expect_null(kap_mp_get(answer.root, "next"));
    cr_expect_eq(answer.as_of_seq, 3);
}

Test(ask_follow, who_does_not_read_the_region_sees_only_what_it_is_an_end_of)
{
    kap_answer_t answer;
    set_target(1, "te", 5);
    set_target(2, "other", 7);
    cr_expect_eq(rows_of(&te, &answer)->count, 2, "a party");
    const kap_mp_t *rows = rows_of(&other, &answer);
    cr_assert_eq(rows->count, 1);
    cr_expect(
        kap_span_eq_str(kap_mp_get_str(kap_mp_get(kap_mp_item(rows, 0), "data"), "to"), "other"));
}

static uint16_t refusal(const char *region, const char *type)
{
    kap_answer_t answer;
    asker_query(&reader, "followed", &answer, "region", region, "type", type, NULL);
    return answer.refusal;
}

Test(ask_follow, refuses_types_that_count_one_by_one_and_regions_that_are_none)
{
    static const char *const bad[] = {"kapula.advice.given.v1",
                                      "kapula.survey.answered.v1",
                                      "kapula.statement.asked.v1",
                                      "kapula.referral.created.v1",
                                      "target",
                                      ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(refusal("mikkeli", bad[i]), KAP_REFUSAL_REQUEST_PARAMETER, "%s", bad[i]);
    cr_expect_eq(refusal("nowhere", "kapula.target.set.v1"), KAP_REFUSAL_REQUEST_NOT_FOUND);
    cr_expect_eq(refusal("", "kapula.target.set.v1"), KAP_REFUSAL_REQUEST_PARAMETER);
    cr_expect_eq(refusal("mikkeli", "kapula.plan.item_set.v1"), 0);
}

/* The page behind `after`. */
static const kap_mp_t *page_after(kap_span_t after, kap_answer_t *answer)
{
    kap_buf_t map = {0}, bin = {0};
    kap_header_t header = asker_header(&reader, KAP_VERB_QUERY), got;
    kap_query_begin(&map, "followed", 3);
    kap_mp_put_cstr(&map, "region");
    kap_mp_put_cstr(&map, "mikkeli");
    kap_mp_put_cstr(&map, "type");
    kap_mp_put_cstr(&map, "kapula.target.set.v1");
    kap_mp_put_cstr(&map, "after");
    kap_mp_put_bin(&map, after);
    kap_bin_put(&bin, kap_buf_span(&map));
    kap_span_t frame = kap_buf_span(&bin), rest, one;
    asker_send(&reader, &header, &frame, 1);
    const kap_msg_t *msg = asker_answer(&reader, &header, ASKER_PATIENCE_MS, &got);
    cr_assert_not_null(msg);
    rest = kap_msg_frame(msg, 1);
    cr_assert_eq(kap_bins_next(&rest, &one), 1);
    cr_assert_eq(kap_answer_decode(one, reader.arena, answer, NULL), KAP_OK);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
    return kap_mp_get(answer->root, "rows");
}

Test(ask_follow, a_page_ends_and_the_next_one_goes_on_behind_it)
{
    enum { ALL = PAGE + 7 };
    kap_answer_t answer;
    uint64_t said = 0;
    while (said < ALL) {
        kap_buf_t bins = {0};
        kap_receipt_t receipt;
        char to[40];
        uint32_t n = ALL - said < AT_ONCE ? (uint32_t)(ALL - said) : AT_ONCE;
        for (uint32_t i = 0; i < n; i++) {
            snprintf(to, sizeof to, "external:x%04u", (unsigned)(said + i));
            target_bins(&bins, said + i + 1, to, 5);
        }
        asker_publish(&kunta, "kunta/p2", said + 1, n, kap_buf_span(&bins), &receipt);
        cr_assert_eq(receipt.status, KAP_RECEIPT_OK);
        cr_assert_eq(receipt.verdicts[n - 1].verdict, KAP_VERDICT_ACCEPTED);
        kap_buf_fini(&bins);
        said += n;
    }
    cr_expect_eq(rows_of(&reader, &answer)->count, PAGE);
    kap_span_t next = kap_mp_get_bin(answer.root, "next");
    cr_assert_gt(next.size, 0);
    const kap_mp_t *rows = page_after(next, &answer);
    cr_assert_eq(rows->count, 7);
    cr_expect(kap_span_eq_str(kap_mp_get_str(kap_mp_get(kap_mp_item(rows, 6), "data"), "to"),
                              "external:x1006"));
    cr_expect_null(kap_mp_get(answer.root, "next"));
    cr_expect_eq(page_after(kap_span_str("another key"), &answer)->count, PAGE, "from the first");
}
