/* SPDX-License-Identifier: MPL-2.0 */
/*
 * ask: one question of query.def and its answer, without sockets and waiting: who asks, with which
 * parameters, and the map that is sent back. Made on the loop, answered in the reader's thread
 * (kap_ask_store), used by one thread at a time. What somebody may not see is left out or not
 * found; the two are not told apart.
 */
#ifndef KAP_ASK_H
#define KAP_ASK_H

#include <stdint.h>

#include "answer.h"
#include "arena.h"
#include "buf.h"
#include "directory.h"
#include "metric.h"
#include "store.h"

typedef struct {
    kap_arena_t *arena;
    kap_query_t query;       /* lends from the arena */
    kap_directory_t *dir;    /* a reference: as of the question */
    const kap_member_t *who; /* of dir */
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    struct kap_audit *audit;       /* a recount under way; NULL: none */
    int64_t now;                   /* the clock when the answer is made; 0: not known */
    const kap_metric_seen_t *seen; /* in the arena, where it is wanted; NULL: not known */
    kap_buf_t out;                 /* the answer's map */
    uint16_t refusal;              /* or why there is none */
    const char *why;               /* constant words beside the refusal; NULL: its own sentence */
} kap_ask_t;

/* Copies and decodes the request. KAP_E_INVALID with *why; KAP_E_NOMEM. kap_ask_fini in every
 * case. */
int kap_ask_init(kap_ask_t *ask, kap_directory_t *dir, const kap_member_t *who, kap_span_t body,
                 const char **why);
void kap_ask_fini(kap_ask_t *ask);

/* Does its answer tell whose nodes were heard of? */
bool kap_ask_wants_seen(const kap_ask_t *ask);

/* Another directory is in force, and `who` is the asker in it. */
void kap_ask_renew(kap_ask_t *ask, kap_directory_t *dir, const kap_member_t *who);

/* What can be said before the store is asked: 0, or the refusal with *why. */
uint16_t kap_ask_allowed(const kap_ask_t *ask, const char **why);

/* Answers from one snapshot into out, or sets refusal. KAP_E_AGAIN: call it again in a new
 * snapshot; else KAP_OK, or what the store says. */
int kap_ask_store(kap_ask_t *ask, kap_txn_t *txn);

#endif
