/* SPDX-License-Identifier: MPL-2.0 */
/* A customer case: the tree of its referrals, and what can be read from its shape
 * (metrics.md 5, 7 to 10). A pure value: nodes in the order of their commit, a child
 * after its parent, so that every walk is one pass. A voided node stays in the list
 * and is cut out of the tree: its children hang on its parent. Any thread. */
#ifndef KAP_CASE_H
#define KAP_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "event.h"
#include "referral.h"
#include "span.h"

#define KAP_CASE_NO_PARENT (-1)

typedef struct {
    kap_span_t referral, from, to;
    int32_t parent; /* index of the stated parent, or KAP_CASE_NO_PARENT */
    int8_t state;
    uint8_t implied;
    int16_t kind, outcome; /* codes; -1 = none */
    uint32_t flags;        /* KAP_RF_ */
    uint32_t depth;        /* referrals on the path from the root to here, voided ones left out */
    bool loops;            /* goes back to where the case was more than two steps ago */
    int64_t created_at, delivered_at, accepted_at, ended_at;
} kap_case_node_t;

typedef struct {
    kap_case_node_t *nodes;
    uint32_t count, cap;
} kap_case_t;

/* What the shape says. Voided nodes are in nothing; transfers, guidance and leads
 * count alike. */
typedef struct {
    uint32_t referrals, delivered, roots;
    uint32_t chain;            /* referrals on the longest path */
    uint32_t ping_pongs;       /* returns over one step, counted at the returning referral */
    uint32_t loops;            /* returns over more than two steps */
    uint32_t subcontracts;     /* x hands to y and gets it back, expected or not */
    int64_t started_at;        /* created of the earliest root; KAP_REFERRAL_NO_TIME when none */
    int64_t first_accepted_at; /* first real or implied accept, and its node; -1 none */
    int32_t first_accepted;
    bool closed;  /* every referral is terminal */
    int32_t last; /* the referral that ended last (by time, then order) when closed; else -1 */
    int64_t ended_at;
} kap_case_shape_t;

/* An empty case; its nodes live in the arena of put or unpack. */
void kap_case_init(kap_case_t *c);
/* Index of the referral, -1 when the case has none of that id. O(nodes). */
int32_t kap_case_find(const kap_case_t *c, kap_span_t referral);

/* May a new referral join? KAP_OK, or KAP_E_INVALID with *why: the parent is unknown,
 * voided, of another case (it is not here), or its recipient is not this sender; the
 * case is full (512; not for an archive). Fills the case facts of the referral machine
 * when `facts` is given. `parent` may be empty: a root. */
int kap_case_admits(const kap_case_t *c, kap_span_t parent, kap_span_t sender, bool archive,
                    kap_referral_facts_t *facts, kap_refusal_t *why);

/* Puts or updates the node of `referral` from its state. Grows in the arena; ids are
 * lent, not copied. KAP_E_NOMEM. */
int kap_case_put(kap_case_t *c, kap_arena_t *arena, kap_span_t referral, const kap_referral_t *r);

/* The nearest ancestor that is not voided, or KAP_CASE_NO_PARENT. */
int32_t kap_case_parent(const kap_case_t *c, int32_t node);
/* created of the earliest unvoided root (ties: order); KAP_REFERRAL_NO_TIME when none. */
int64_t kap_case_started_at(const kap_case_t *c);
/* metrics.md 8: delivered r whose parent p is delivered, r.to = p.from, p without return_expected.
 */
bool kap_case_is_ping_pong(const kap_case_t *c, int32_t node);
void kap_case_shape(const kap_case_t *c, kap_case_shape_t *shape);
/* Does the pair appear as x hands to y and gets it back? (metrics.md 9) */
bool kap_case_is_return(const kap_case_t *c, int32_t node);

/* The row of a store; same terms as kap_referral_pack. Spans lend from `row`. */
void kap_case_pack(kap_buf_t *buf, const kap_case_t *c);
int kap_case_unpack(kap_span_t row, kap_arena_t *arena, kap_case_t *c);

#endif
