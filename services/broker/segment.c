/* SPDX-License-Identifier: MPL-2.0 */
#include "segment.h"

#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "answer.h"
#include "arena.h"
#include "be.h"
#include "err.h"
#include "frame.h"
#include "rows.h"
#include "seeded.h"

/* One event with its parts already cut. */
typedef struct {
    size_t meta_at, meta_size; /* in build_t.metas */
    kap_span_t parts[3];
} piece_t;

typedef struct {
    const kap_segment_key_t *key;
    kap_buf_t metas;
    piece_t *pieces;
    uint32_t count, room;
    size_t bytes; /* of the frame */
    bool full;
} build_t;

bool kap_segment_key_eq(const kap_segment_key_t *a, const kap_segment_key_t *b)
{
    return a->stream == b->stream && a->index == b->index && a->parts == b->parts &&
           a->after == b->after && a->max == b->max && a->max_bytes == b->max_bytes &&
           a->kept_to == b->kept_to;
}

uint32_t kap_segment_key_hash(const kap_segment_key_t *key)
{
    uint64_t h = (uintptr_t)key->stream / 64 + key->after * 31 + key->index;
    h = (h ^ h >> 29) * UINT64_C(0x9fb21c651e98df25);
    return (uint32_t)(h >> 32);
}

/* Takes the event or, when it does not fit any more, says full. */
static int add(build_t *build, const kap_event_meta_t *meta, const kap_span_t parts[3])
{
    if (build->count == build->room) {
        uint32_t room = build->room ? build->room * 2 : 16;
        piece_t *pieces = realloc(build->pieces, room * sizeof *pieces);
        if (!pieces)
            return KAP_E_NOMEM;
        build->pieces = pieces;
        build->room = room;
    }
    piece_t *piece = &build->pieces[build->count];
    piece->meta_at = build->metas.size;
    kap_event_meta_encode(&build->metas, meta);
    piece->meta_size = build->metas.size - piece->meta_at;
    size_t bytes = kap_bin_size(piece->meta_size);
    for (int i = 0; i < 3; i++) {
        piece->parts[i] = parts[i];
        bytes += kap_bin_size(parts[i].size);
    }
    if (build->count > 0 && build->bytes + bytes > build->key->max_bytes) {
        build->full = true;
        return KAP_OK;
    }
    build->bytes += bytes;
    build->count++;
    build->full = build->count >= build->key->max;
    return build->metas.err;
}

/* One bin object (MessagePack bin 8, 16, 32) where the frame goes on; returns its end. */
static uint8_t *put_bin(uint8_t *at, kap_span_t bytes)
{
    if (bytes.size <= UINT8_MAX) {
        *at++ = 0xc4;
        *at++ = (uint8_t)bytes.size;
    } else if (bytes.size <= UINT16_MAX) {
        *at++ = 0xc5;
        kap_be_put_u16(at, (uint16_t)bytes.size);
        at += 2;
    } else {
        *at++ = 0xc6;
        kap_be_put_u32(at, (uint32_t)bytes.size);
        at += 4;
    }
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* The frame itself: one copy of each event's bytes. */
static int write_blob(const build_t *build, kap_segment_t *segment)
{
    if (build->count == 0)
        return KAP_OK;
    segment->blob = kap_blob_new(build->bytes);
    if (!segment->blob)
        return KAP_E_NOMEM;
    uint8_t *begin = kap_blob_data(segment->blob), *at = begin;
    for (uint32_t i = 0; i < build->count; i++) {
        const piece_t *piece = &build->pieces[i];
        at = put_bin(at, kap_span(build->metas.data + piece->meta_at, piece->meta_size));
        for (int k = 0; k < 3; k++)
            at = put_bin(at, piece->parts[k]);
    }
    KAP_CHECK((size_t)(at - begin) == build->bytes);
    return KAP_OK;
}

/* Ends the build, well or not, and frees what it held. */
static int finish(build_t *build, int rc, uint64_t head, kap_segment_t **out)
{
    kap_segment_t *segment = NULL;
    if (rc == KAP_OK && !(segment = calloc(1, sizeof *segment)))
        rc = KAP_E_NOMEM;
    if (rc == KAP_OK) {
        *segment = (kap_segment_t){.refs = 1,
                                   .key = *build->key,
                                   .count = build->count,
                                   .last = build->key->after + build->count,
                                   .head = head,
                                   .full = build->full};
        rc = write_blob(build, segment);
    }
    free(build->pieces);
    kap_buf_fini(&build->metas);
    if (rc == KAP_OK)
        *out = segment;
    else
        free(segment);
    return rc;
}

/* Targets are told to whom the ends are: they are of this referral alone. */
static void cut(kap_event_meta_t *meta, kap_span_t parts[3], unsigned mask)
{
    if (!(mask & KAP_READ_ENDS)) {
        parts[1] = (kap_span_t){0};
        meta->answer_days = meta->contact_days = 0;
    }
    if (!(mask & KAP_READ_SEALED))
        parts[2] = (kap_span_t){0};
}

int kap_segment_hot(const kap_segment_key_t *key, kap_segment_t **out)
{
    build_t build = {.key = key};
    int rc = KAP_OK;
    for (uint64_t seq = key->after + 1; rc == KAP_OK && !build.full && seq <= key->stream->head;
         seq++) {
        const kap_entry_t *entry = kap_ring_at(key->stream, seq);
        KAP_CHECK(entry != NULL);
        kap_event_meta_t meta = {.stream = key->index,
                                 .stream_seq = seq,
                                 .log_seq = entry->log_seq,
                                 .committed_at = entry->committed_at,
                                 .verdict = entry->verdict,
                                 .source = entry->source,
                                 .sequence = entry->sequence,
                                 .answer_days = entry->answer_days,
                                 .contact_days = entry->contact_days};
        memcpy(meta.leaf, entry->leaf, sizeof meta.leaf);
        kap_span_t parts[3] = {entry->open, entry->ends, entry->sealed};
        cut(&meta, parts, kap_read_cut(key->parts, key->stream->name, entry->from, entry->to));
        rc = add(&build, &meta, parts);
    }
    return finish(&build, rc, key->stream->head, out);
}

/* The ends of the referral (or tally, or statement) that a stored event is of, for the cut, and the
 * targets of an accepted `created`. */
static int ends_of(kap_txn_t *txn, kap_arena_t *arena, kap_span_t open, kap_event_meta_t *meta,
                   kap_span_t *from, kap_span_t *to)
{
    kap_event_t ev;
    kap_referral_row_t row;
    *from = *to = (kap_span_t){0};
    int rc = kap_event_decode(open, (kap_span_t){0}, (kap_span_t){0}, arena, &ev, NULL);
    if (rc != KAP_OK)
        return rc == KAP_E_INVALID ? KAP_E_CORRUPT : rc;
    bool creates = ev.type == KAP_EV_REFERRAL_CREATED;
    if (ev.family != KAP_FAMILY_REFERRAL || creates) {
        *from = kap_event_span(&ev, KAP_F_FROM);
        *to = kap_event_span(&ev, KAP_F_TO);
        if (!creates || meta->verdict != KAP_VERDICT_ACCEPTED)
            return KAP_OK;
    }
    rc = kap_rows_referral(txn, 0, kap_event_span(&ev, KAP_F_REFERRAL), &row);
    if (rc == KAP_OK && creates) {
        meta->answer_days = row.r.answer_days;
        meta->contact_days = row.r.contact_days;
    } else if (rc == KAP_OK) {
        *from = row.r.from;
        *to = row.r.to;
    }
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

/* One stored event, cut to what may be shown. */
static int add_stored(build_t *build, kap_txn_t *txn, kap_arena_t *arena, kap_log_walk_t *walk,
                      uint64_t log_seq, uint64_t seq)
{
    const kap_segment_key_t *key = build->key;
    unsigned want = (key->parts & KAP_READ_ENDS ? KAP_LOGGED_ENDS : 0u) |
                    (key->parts & KAP_READ_SEALED ? KAP_LOGGED_SEALED : 0u);
    kap_logged_t logged;
    int rc = kap_log_walk_get(walk, log_seq, want, &logged);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    kap_event_meta_t meta = {.stream = key->index,
                             .stream_seq = seq,
                             .log_seq = log_seq,
                             .committed_at = logged.committed_at,
                             .verdict = logged.verdict,
                             .sequence = logged.sequence};
    memcpy(meta.leaf, logged.leaf, sizeof meta.leaf);
    rc = kap_rows_text(txn, logged.source, &meta.source);
    kap_span_t parts[3] = {logged.open, logged.ends, logged.sealed}, from = {0}, to = {0};
    if (rc == KAP_OK && logged.ends.size > 0)
        rc = ends_of(txn, arena, logged.open, &meta, &from, &to);
    if (rc != KAP_OK)
        return rc;
    cut(&meta, parts, kap_read_cut(key->parts, key->stream->name, from, to));
    return add(build, &meta, parts);
}

static int cold_events(build_t *build, kap_txn_t *txn, kap_arena_t *arena)
{
    const kap_segment_key_t *key = build->key;
    uint64_t log_seqs[256];
    kap_log_walk_t walk;
    int rc = kap_log_walk_open(txn, &walk);
    if (rc != KAP_OK)
        return rc;
    uint64_t after = key->after;
    uint32_t count = 1;
    while (rc == KAP_OK && !build->full && count > 0) {
        rc = kap_rows_stream_after(txn, key->stream->name, after, log_seqs, 256, &count);
        for (uint32_t i = KAP_SEEDED_BUG("cursor_skips"); rc == KAP_OK && !build->full && i < count;
             i++)
            rc = add_stored(build, txn, arena, &walk, log_seqs[i], ++after);
    }
    kap_log_walk_close(&walk);
    return rc;
}

int kap_segment_cold(const kap_segment_key_t *key, kap_txn_t *txn, kap_segment_t **out)
{
    build_t build = {.key = key};
    uint64_t head = 0;
    kap_arena_t *arena = kap_arena_new(65536);
    if (!arena)
        return KAP_E_NOMEM;
    int rc = kap_rows_stream_head(txn, key->stream->name, &head);
    uint64_t kept = 0;
    if (rc == KAP_OK && key->kept_to > 0)
        rc = kap_rows_stream_kept(txn, key->stream->name, key->kept_to, &kept);
    else if (rc == KAP_OK && head > key->after)
        rc = cold_events(&build, txn, arena);
    rc = finish(&build, rc, head, out);
    if (rc == KAP_OK && key->kept_to > 0)
        (*out)->last = kept;
    kap_arena_destroy(&arena);
    return rc;
}

kap_segment_t *kap_segment_ref(kap_segment_t *segment)
{
    segment->refs++;
    return segment;
}

void kap_segment_unref(kap_segment_t **handle)
{
    kap_segment_t *segment = *handle;
    *handle = NULL;
    if (!segment || --segment->refs > 0)
        return;
    kap_blob_unref(&segment->blob);
    free(segment);
}
