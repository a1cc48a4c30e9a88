/* SPDX-License-Identifier: MPL-2.0 */
/*
 * waiting: what was put into the store and waits to be counted, from batch to batch. Of a case that
 * began since figures were written it keeps all rows, as they were put last: neither counting nor
 * judging has to read them again. Owner and only caller: the book. Errors: KAP_E_NOMEM.
 */
#ifndef KAP_WAITING_H
#define KAP_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "count.h"
#include "span.h"
#include "store.h"

typedef struct kap_waiting kap_waiting_t;

/* NULL when out of memory. */
kap_waiting_t *kap_waiting_new(void);
void kap_waiting_destroy(kap_waiting_t **waiting);

/* A change on its own (a tally); a later one of the same key replaces it. */
int kap_waiting_change(kap_waiting_t *waiting, const kap_count_change_t *change);

/* A refused event. Those of a batch that was not committed are forgotten by the next begin. */
int kap_waiting_refused(kap_waiting_t *waiting, uint32_t member, int64_t at);

/* A case that is counted anew, though nothing of it was put. */
int kap_waiting_case(kap_waiting_t *waiting, uint32_t scope, kap_span_t id, uint32_t region);

/* A referral's row was put. */
typedef struct {
    uint32_t scope, region;
    kap_span_t id, case_id;
    uint64_t created_seq;
    bool begins; /* its case is one of this batch */
    kap_span_t row;
} kap_waiting_put_t;
int kap_waiting_referral(kap_waiting_t *waiting, const kap_waiting_put_t *put);

/* The row as it was put last, if it is kept; lent until the next put. */
bool kap_waiting_find_referral(const kap_waiting_t *waiting, uint32_t scope, kap_span_t id,
                               kap_span_t *row);
/* Does anything wait; and how many cases, those counted in parts too. */
bool kap_waiting_any(const kap_waiting_t *waiting);
size_t kap_waiting_cases(const kap_waiting_t *waiting);

/* A batch begins. */
void kap_waiting_begin(kap_waiting_t *waiting);

/* Counts all that waits. counted_to: kap_count_work_t; the arena is the batch's. */
int kap_waiting_count(kap_waiting_t *waiting, kap_txn_t *txn, kap_arena_t *arena,
                      uint64_t counted_to);

/* Counts a part of the cases that wait when this is called for the first time since the end of all:
 * about one in `parts` of them, whole regions. *some: there were any; no more when all of them are
 * counted, and none when only few wait. */
int kap_waiting_count_some(kap_waiting_t *waiting, kap_txn_t *txn, kap_arena_t *arena,
                           uint64_t counted_to, uint32_t parts, bool *some);

/* The batch is committed; all: and all was counted with it. */
void kap_waiting_end(kap_waiting_t *waiting, bool all);

/* A batch came to nothing: what is kept may be of it, and is read from the store. */
void kap_waiting_doubt(kap_waiting_t *waiting);

#endif
