/* SPDX-License-Identifier: MPL-2.0 */
/* The newest events in memory, and the segments built of them and of the store. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "desk.h"
#include "err.h"
#include "map.h"
#include "ring.h"
#include "segment.h"

static desk_t desk;
static kap_ring_t *ring;
static int touched;

static void setup(void)
{
    desk_open(&desk, true);
    ring = kap_ring_new(1 << 17, 0, 0);
    touched = 0;
}

static void teardown(void)
{
    kap_ring_destroy(&ring);
    desk_close(&desk);
}

TestSuite(ring, .init = setup, .fini = teardown);

static void on_touch(void *arg, kap_stream_t *stream)
{
    (void)arg;
    (void)stream;
    touched++;
}

/* `count` referrals from a to b in one batch, r<first> and so on. */
static void commit(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char referral[32];
        snprintf(referral, sizeof referral, "r%d", i);
        desk_created(&desk, "a", referral, referral, "a", "b", "mikkeli", NULL);
    }
    cr_assert_eq(desk_send(&desk), KAP_RECEIPT_OK);
}

static void push(void)
{
    kap_ring_push(ring, desk.last, on_touch, NULL);
}

static kap_stream_t *stream(const char *name)
{
    return kap_ring_stream(ring, kap_span_str(name));
}

Test(ring, knows_the_events_of_each_stream_by_their_place)
{
    uint64_t position;
    int64_t time;
    commit(1, 3);
    push();
    cr_assert_eq(touched, 3, "region, sender, recipient: once each");
    cr_assert(stream("member/a")->known);
    cr_assert_eq(stream("member/a")->head, 3);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        const kap_entry_t *entry = kap_ring_at(stream("region/mikkeli"), seq);
        cr_assert_not_null(entry);
        cr_expect_eq(entry->log_seq, seq);
        cr_expect_eq(entry, kap_ring_at(stream("member/b"), seq));
    }
    cr_expect_null(kap_ring_at(stream("member/a"), 0));
    cr_expect_null(kap_ring_at(stream("member/a"), 4));
    cr_expect_not(stream("member/c")->known);
    kap_ring_head(ring, &position, &time);
    cr_expect_eq(position, 3);
    cr_expect_eq(time, desk.now);
}

Test(ring, lets_old_batches_go_and_says_so)
{
    for (int i = 1; i <= 60; i++) {
        commit(i, 1);
        push();
        cr_assert_eq(stream("member/a")->head, (uint64_t)i);
    }
    cr_expect_leq(kap_ring_bytes(ring), 1 << 17);
    const kap_stream_t *a = stream("member/a");
    cr_expect_gt(a->first, 1);
    cr_expect_leq(a->first, a->head, "the newest batch stays");
    cr_expect_null(kap_ring_at(a, a->first - 1));
    for (uint64_t seq = a->first; seq <= a->head; seq++)
        cr_expect_eq(kap_ring_at(a, seq)->log_seq, seq);
}

Test(ring, a_head_that_the_reader_saw_first_is_not_entered_again)
{
    commit(1, 2);
    kap_batch_t *late = kap_batch_ref(desk.last);
    kap_ring_learn(stream("member/a"), 2);
    kap_ring_push(ring, late, on_touch, NULL);
    cr_expect_eq(stream("member/a")->head, 2);
    cr_expect_null(kap_ring_at(stream("member/a"), 2), "it is read from the store");
    cr_expect_not_null(kap_ring_at(stream("member/b"), 2));
    commit(3, 1);
    push();
    cr_expect_eq(stream("member/a")->head, 3);
    cr_expect_not_null(kap_ring_at(stream("member/a"), 3));
    kap_ring_learn(stream("member/a"), 1);
    cr_expect_eq(stream("member/a")->head, 3, "the ring knows better");
    kap_batch_unref(&late);
}

static void compare(const kap_segment_t *hot, const kap_segment_t *cold)
{
    cr_assert_eq(hot->count, cold->count);
    cr_assert_eq(hot->last, cold->last);
    cr_assert_eq(hot->full, cold->full);
    cr_assert_eq(kap_blob_size(hot->blob), kap_blob_size(cold->blob));
    cr_expect_arr_eq(kap_blob_data(hot->blob), kap_blob_data(cold->blob), kap_blob_size(hot->blob));
}

/* The segment under the key, from the ring and from the store. */
static void build(const kap_segment_key_t *key, kap_segment_t **hot, kap_segment_t **cold)
{
    kap_txn_t *txn = NULL;
    cr_assert_eq(kap_segment_hot(key, hot), KAP_OK);
    cr_assert_eq(kap_txn_begin(desk.store, KAP_TXN_READ, &txn), KAP_OK);
    cr_assert_eq(kap_segment_cold(key, txn, cold), KAP_OK);
    kap_txn_abort(&txn);
}

Test(ring, a_segment_is_the_same_from_ring_and_store_whatever_is_cut)
{
    commit(1, 5);
    push();
    static const unsigned masks[] = {KAP_READ_OPEN, KAP_READ_OPEN | KAP_READ_ENDS,
                                     KAP_READ_OPEN | KAP_READ_ENDS | KAP_READ_SEALED};
    static const size_t sizes[] = {1, 700, 1500, 1 << 18};
    for (size_t m = 0; m < 3; m++) {
        for (size_t b = 0; b < 4; b++) {
            for (uint32_t max = 1; max <= 6; max++) {
                kap_segment_t *hot = NULL, *cold = NULL;
                kap_segment_key_t key = {.stream = stream("member/b"),
                                         .index = 3,
                                         .parts = masks[m],
                                         .after = 1,
                                         .max = max,
                                         .max_bytes = sizes[b]};
                build(&key, &hot, &cold);
                cr_expect_geq(hot->count, 1, "one event is always given");
                cr_expect_leq(hot->count, max);
                compare(hot, cold);
                kap_segment_unref(&hot);
                kap_segment_unref(&cold);
            }
        }
    }
}

Test(ring, a_third_member_that_something_is_shared_with_loses_the_ends_part_in_both)
{
    commit(1, 1);
    push();
    desk_event(&desk, "a", KAP_EV_REFERRAL_SHARED, desk.now);
    desk_span(&desk, KAP_F_REFERRAL, "r1");
    desk_span(&desk, KAP_F_WITH, "c");
    static const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};
    kap_event_builder_set_basis(&desk.builder, &basis);
    cr_assert_eq(desk_said(&desk), 0);
    push();
    cr_assert(stream("member/c")->known);
    kap_segment_t *hot = NULL, *cold = NULL;
    kap_segment_key_t key = {.stream = stream("member/c"),
                             .parts = KAP_READ_OPEN | KAP_READ_ENDS | KAP_READ_SEALED,
                             .max = 10,
                             .max_bytes = 1 << 18};
    build(&key, &hot, &cold);
    compare(hot, cold);
    kap_segment_t *whole = NULL;
    kap_segment_key_t end = key;
    end.stream = stream("member/b");
    end.after = 1;
    cr_assert_eq(kap_segment_hot(&end, &whole), KAP_OK);
    cr_expect_lt(kap_blob_size(hot->blob), kap_blob_size(whole->blob));
    kap_segment_unref(&whole);
    kap_segment_unref(&hot);
    kap_segment_unref(&cold);
}

Test(map, finds_what_was_put_and_nothing_that_was_removed)
{
    enum { N = 1000 };
    static int values[N];
    kap_map_t *map = kap_map_new();
    char key[16];
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(kap_map_put(map, kap_span_str(key), &values[i]), KAP_OK);
    }
    for (int i = 0; i < N; i += 2) {
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(kap_map_remove(map, kap_span_str(key)), &values[i]);
        cr_assert_null(kap_map_remove(map, kap_span_str(key)));
    }
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(kap_map_get(map, kap_span_str(key)), i % 2 ? &values[i] : NULL);
    }
    cr_expect_eq(kap_map_count(map), N / 2);
    size_t place = 0, walked = 0;
    while (kap_map_next(map, &place, NULL))
        walked++;
    cr_expect_eq(walked, N / 2);
    cr_expect_eq(kap_map_put(map, KAP_SPAN(""), &values[0]), KAP_OK, "an empty key is a key");
    cr_expect_eq(kap_map_get(map, KAP_SPAN("")), &values[0]);
    kap_map_destroy(&map);
}
