/* SPDX-License-Identifier: MPL-2.0 */
/* Everything that bytes of a peer pass first: scan, header, bins, events, maps of messages.
 * The first byte of an input chooses the decoder; the rest are the bytes. What decodes must
 * hold its bounds, and an event must build into what decodes alike. */
#include <stdlib.h>

#include "answer.h"
#include "cloudevents.h"
#include "err.h"
#include "event.h"
#include "frame.h"
#include "hash.h"
#include "idcheck.h"
#include "scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE, HEADER, FETCH, EVENTS_HEAD, META, RECEIPT, QUERY, ANSWER, CONTENTS, DECODERS };

static void rebuild(const kap_event_t *ev, kap_arena_t *arena)
{
    static const uint8_t salt[KAP_LIMIT_SALT_BYTES];
    kap_event_builder_t b;
    kap_event_t again;
    kap_buf_t open = {0}, ends = {0};
    kap_event_builder_begin(&b, ev->type, ev->id, ev->source, ev->sequence, ev->time, ev->recorded);
    kap_event_builder_set_group(&b, ev->group);
    for (uint32_t i = 0; i < ev->value_count; i++) {
        b.values[b.count++] = ev->values[i];
    }
    KAP_CHECK(b.err == KAP_OK);
    if (kap_event_is_whole(ev)) {
        int rc = kap_event_builder_finish(&b, salt, ev->sealed, &open, &ends);
        /* integers and lengths may grow to their shortest form only: it never gets larger */
        KAP_CHECK(rc == KAP_OK);
        KAP_CHECK(kap_event_decode(kap_buf_span(&open), kap_buf_span(&ends), ev->sealed, arena,
                                   &again, NULL) == KAP_OK);
        KAP_CHECK(again.type == ev->type && again.value_count == ev->value_count);
    }
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
}

static void try_event(kap_span_t open, kap_span_t ends, kap_span_t sealed, kap_arena_t *arena)
{
    kap_event_t ev;
    kap_refusal_t why = {0};
    kap_buf_t json = {0};
    uint8_t hash[KAP_LIMIT_HASH_BYTES];
    int rc = kap_event_decode(open, ends, sealed, arena, &ev, &why);
    kap_content_hash(open, hash);
    KAP_CHECK(memcmp(hash, ev.content_hash, sizeof hash) == 0);
    if (rc != KAP_OK) {
        KAP_CHECK(ev.type == KAP_EV_NONE && kap_refusal_code(why.number) != NULL);
        return;
    }
    KAP_CHECK(kap_event_row(ev.type) && ev.sequence >= 1 && ev.sequence <= INT64_MAX);
    KAP_CHECK(ev.id.size >= 1 && ev.id.size <= KAP_LIMIT_ID_BYTES);
    (void)kap_personal_code_in_event(&ev);
    KAP_CHECK(kap_cloudevents_json(&ev, true, &json) == KAP_OK);
    rebuild(&ev, arena);
    kap_buf_fini(&json);
}

static void try_message(kap_span_t in, kap_arena_t *arena)
{
    kap_span_t bins[4] = {{0}};
    kap_header_t header;
    if (kap_bins_next(&in, &bins[3]) == 1) {
        (void)kap_header_decode(bins[3], &header, NULL);
    }
    while (kap_bins_next(&in, &bins[0]) == 1 && kap_bins_next(&in, &bins[1]) == 1 &&
           kap_bins_next(&in, &bins[2]) == 1) {
        try_event(bins[0], bins[1], bins[2], arena);
    }
}

static void try_header(kap_span_t in)
{
    kap_header_t header, again;
    kap_buf_t buf = {0};
    if (kap_header_decode(in, &header, NULL) == KAP_OK) {
        kap_header_encode(&buf, &header);
        KAP_CHECK(kap_header_decode(kap_buf_span(&buf), &again, NULL) == KAP_OK);
        KAP_CHECK(again.first == header.first && kap_span_eq(again.source, header.source));
    }
    kap_buf_fini(&buf);
}

static void try_contents(kap_span_t in, kap_arena_t *arena)
{
    const kap_value_t *values;
    uint32_t count;
    for (int type = KAP_EV_NONE; type <= KAP_EVENT_COUNT; type++) {
        (void)kap_contents_decode((kap_event_type_t)type, in, arena, &values, &count, NULL);
    }
}

static void try_map(int decoder, kap_span_t in, kap_arena_t *arena)
{
    kap_buf_t buf = {0};
    union {
        kap_fetch_t fetch;
        kap_events_head_t head;
        kap_event_meta_t meta;
        kap_receipt_t receipt;
        kap_query_t query;
        kap_answer_t answer;
    } of;
    if (decoder == FETCH && kap_fetch_decode(in, arena, &of.fetch, NULL) == KAP_OK) {
        kap_fetch_encode(&buf, &of.fetch);
        KAP_CHECK(kap_fetch_decode(kap_buf_span(&buf), arena, &of.fetch, NULL) == KAP_OK);
    } else if (decoder == EVENTS_HEAD &&
               kap_events_head_decode(in, arena, &of.head, NULL) == KAP_OK) {
        kap_events_head_encode(&buf, &of.head);
        KAP_CHECK(kap_events_head_decode(kap_buf_span(&buf), arena, &of.head, NULL) == KAP_OK);
    } else if (decoder == META && kap_event_meta_decode(in, arena, &of.meta, NULL) == KAP_OK) {
        kap_event_meta_encode(&buf, &of.meta);
        KAP_CHECK(kap_event_meta_decode(kap_buf_span(&buf), arena, &of.meta, NULL) == KAP_OK);
    } else if (decoder == RECEIPT && kap_receipt_decode(in, arena, &of.receipt, NULL) == KAP_OK) {
        kap_receipt_encode(&buf, &of.receipt);
        KAP_CHECK(kap_receipt_decode(kap_buf_span(&buf), arena, &of.receipt, NULL) == KAP_OK);
    } else if (decoder == QUERY) {
        (void)kap_query_decode(in, arena, &of.query, NULL);
    } else if (decoder == ANSWER) {
        (void)kap_answer_decode(in, arena, &of.answer, NULL);
    }
    kap_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    kap_arena_t *arena = kap_arena_new(8192);
    KAP_CHECK(arena != NULL);
    int decoder = data[0] % DECODERS;
    kap_span_t in = kap_span(data + 1, size - 1);
    (void)kap_scan(in, NULL, NULL);
    if (decoder == MESSAGE) {
        try_message(in, arena);
    } else if (decoder == HEADER) {
        try_header(in);
    } else if (decoder == CONTENTS) {
        try_contents(in, arena);
    } else {
        try_map(decoder, in, arena);
    }
    kap_arena_destroy(&arena);
    return 0;
}
