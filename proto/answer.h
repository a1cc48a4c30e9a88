/* SPDX-License-Identifier: MPL-2.0 */
/* The maps inside requests and answers (SPEC.md, one section a message): FETCH, QUERY,
 * RECEIPT, EVENTS, ANSWER, ERROR. Encoders append one map to a buffer; it travels as one
 * bin object (kap_bin_put). Decoders lend from the bytes and the arena. KAP_E_INVALID with
 * *why (may be NULL) in a few constant words. Pure; any thread. */
#ifndef KAP_ANSWER_H
#define KAP_ANSWER_H

#include "arena.h"
#include "buf.h"
#include "codes.h"
#include "limit.h"
#include "mp.h"
#include "span.h"

typedef struct {
    kap_span_t stream;                    /* "region/mikkeli", "member/finnvera" */
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES]; /* zero: never read before */
    uint64_t seq;                         /* events after this one; 0 = from the first */
} kap_cursor_at_t;

typedef struct {
    const kap_cursor_at_t *after;
    uint32_t after_count; /* 1 to KAP_LIMIT_FETCH_STREAMS, no stream twice */
    uint32_t max;         /* events, 1 to KAP_LIMIT_FETCH_EVENTS; 0 on the wire or absent = that */
    uint32_t max_bytes;   /* 1 to KAP_LIMIT_FETCH_BYTES; 0 or absent = that */
    uint32_t wait_ms;     /* 0 to KAP_LIMIT_FETCH_WAIT_MS */
} kap_fetch_t;

void kap_fetch_encode(kap_buf_t *buf, const kap_fetch_t *fetch);
int kap_fetch_decode(kap_span_t map, kap_arena_t *arena, kap_fetch_t *fetch, const char **why);

typedef struct {
    kap_span_t stream;
    int status;       /* KAP_FETCH_ */
    uint64_t head;    /* the stream's last sequence */
    uint64_t kept_to; /* with EPOCH_CHANGED: what the store kept of the reader's epoch */
} kap_stream_state_t;

/* The first bin of EVENTS; then four bins an event: meta, open, ends, sealed. */
typedef struct {
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    uint64_t as_of_seq;
    int64_t as_of_time;
    const kap_stream_state_t *streams; /* one for each stream asked for, in that order */
    uint32_t stream_count;
} kap_events_head_t;

void kap_events_head_encode(kap_buf_t *buf, const kap_events_head_t *head);
int kap_events_head_decode(kap_span_t map, kap_arena_t *arena, kap_events_head_t *head,
                           const char **why);

typedef struct {
    uint32_t stream; /* index into streams */
    uint64_t stream_seq, log_seq;
    int64_t committed_at;
    int verdict; /* KAP_VERDICT_ */
    kap_span_t source;
    uint64_t sequence;
    uint8_t leaf[KAP_LIMIT_HASH_BYTES];
    uint16_t answer_days, contact_days; /* a `created`: its targets, in working days; 0: not told */
} kap_event_meta_t;

void kap_event_meta_encode(kap_buf_t *buf, const kap_event_meta_t *meta);
int kap_event_meta_decode(kap_span_t array, kap_arena_t *arena, kap_event_meta_t *meta,
                          const char **why);

typedef struct {
    int verdict;         /* KAP_VERDICT_ */
    uint16_t refusal;    /* number, 0 when not refused */
    kap_span_t sentence; /* refused: what is wrong, state included; else empty */
    uint64_t log_seq;
    uint8_t leaf[KAP_LIMIT_HASH_BYTES];
} kap_verdict_t;

typedef struct {
    int status;        /* KAP_RECEIPT_ */
    uint64_t expected; /* the next sequence the broker takes of this source */
    uint64_t position; /* log position up to which everything of this receipt is durable */
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    const kap_verdict_t *verdicts; /* status ok: one an event of the PUBLISH, in order */
    uint32_t verdict_count;
} kap_receipt_t;

void kap_receipt_encode(kap_buf_t *buf, const kap_receipt_t *receipt);
int kap_receipt_decode(kap_span_t map, kap_arena_t *arena, kap_receipt_t *receipt,
                       const char **why);

typedef struct {
    int query;            /* KAP_QUERY_, -1 when the name is not known */
    kap_span_t name;      /* as asked */
    uint64_t min_seq;     /* wait for this position; 0 = none */
    uint32_t wait_ms;     /* how long, at most KAP_LIMIT_QUERY_WAIT_MS; that when absent */
    const kap_mp_t *root; /* the whole map: parameters by kap_mp_get */
} kap_query_t;

/* To build a request: a map of 1 + n pairs is begun with its query name; n pairs follow. */
void kap_query_begin(kap_buf_t *buf, const char *name, uint32_t more_pairs);
int kap_query_decode(kap_span_t map, kap_arena_t *arena, kap_query_t *query, const char **why);

/* ANSWER: begun with as_of_seq and as_of_time, n further pairs follow. */
void kap_answer_begin(kap_buf_t *buf, uint64_t as_of_seq, int64_t as_of_time, uint32_t more_pairs);

/* ANSWER or ERROR that says no: {error: {code, number, sentence}, versions: [oldest, newest]}.
 * `sentence` NULL: the table's. */
void kap_answer_error(kap_buf_t *buf, uint16_t refusal, const char *sentence);

typedef struct {
    uint64_t as_of_seq; /* 0 with an error */
    int64_t as_of_time;
    uint16_t refusal; /* 0: answered */
    kap_span_t code, sentence;
    const kap_mp_t *root;
} kap_answer_t;

int kap_answer_decode(kap_span_t map, kap_arena_t *arena, kap_answer_t *answer, const char **why);

#endif
