/* SPDX-License-Identifier: MPL-2.0 */
/* Local acts: what a person, a file or a program of this organisation wants said to the mesh.
 *
 * Purpose: turn "verb + named texts" into events in the outbox, or into a sentence that says what
 * would be right. Accepted means durable: KAP_OK is returned after the commit, never before.
 * Owner: the node; loop thread only. An act is judged here by the same pure machine that the
 * broker runs, against what this node knows, so that most impossible acts are refused at once;
 * the broker's verdict stays the one that counts, and reaches the act as its fate.
 * It does not wait for the network, and keeps no customer data in the clear.
 *
 * Fields. Every value is text, whatever door it came through: numbers in decimal, truth as
 * true/false (yes/no, 1/0), times as RFC 3339 or `YYYY-MM-DD hh:mm[:ss]` Helsinki, lists separated
 * by commas. An empty value counts as absent. Names are the wire names of proto/fields.def (open,
 * ends and sealed part alike: proto/events.def says which goes where), a dot between the levels
 * of a map (`basis.disclosure`), and these of the node's own:
 *   time          when it happened (default: now); a future time is refused
 *   business_id   refer: besides being sealed, it makes the year's pseudonym `customer`
 *   next.*        redirect: the fields of the child referral, as for refer; what it leaves out is
 *                 taken from the parent, contents included
 *   type          report: the follow-up event, `kapula.advice.given.v1` or short `advice.given`
 * Unknown names are refused with the nearest known ones. A personal identity code in any value
 * refuses the act. */
#ifndef KAP_ACT_H
#define KAP_ACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

typedef struct kap_node kap_node_t;

/* Verbs, one row each (act.def). */
typedef enum {
#define KAP_ACT(NAME, WORD, EVENT, REASON, HELP) KAP_ACT_##NAME,
#include "act.def"
#undef KAP_ACT
    KAP_ACT_COUNT
} kap_act_verb_t;

const char *kap_act_verb_word(kap_act_verb_t verb);

typedef struct {
    kap_span_t name;
    kap_span_t value;
} kap_act_field_t;

/* One act, lent for the call. `key` makes a repetition harmless: an act whose key this node has
 * accepted before changes nothing and returns the first one's result. Empty: no such protection.
 * Keys: 1 to 200 bytes, unique within the node (a door prefixes its own name: `spool/<digest>/7`).
 */
typedef struct {
    kap_span_t verb;
    kap_span_t key;
    const kap_act_field_t *fields;
    size_t count;
} kap_act_t;

/* Life of an act. */
typedef enum {
    KAP_FATE_QUEUED,    /* durable here, not yet receipted */
    KAP_FATE_COMMITTED, /* in the broker's log, with effect */
    KAP_FATE_ALREADY,   /* in the log without effect: it was so already */
    KAP_FATE_REFUSED,   /* by the broker, or here (then it has no row) */
} kap_fate_t;

const char *kap_fate_word(kap_fate_t fate); /* queued committed already_so refused */

#define KAP_ACT_SENTENCE_BYTES 400

/* What became of it at once. `act` is its number (0 when refused), `subject` the referral, meeting,
 * forum or other id it speaks of (made here for a new one). A refusal has a code of
 * proto/refusals.def or of act_refusals.def and a whole sentence; `field` names the field at fault.
 */
typedef struct {
    bool accepted;
    bool repeated; /* its key was known: nothing was done */
    uint64_t act;
    char subject[201];
    char correlation[201]; /* refer: its case, else empty */
    char next[201];        /* redirect: the child referral, else empty */
    char code[64];
    char field[64];
    char sentence[KAP_ACT_SENTENCE_BYTES];
    char candidates[16][64]; /* refer by service: members to choose from */
    size_t candidate_count;
} kap_act_result_t;

/* A note of the caller's own that is committed together with the acts (how far a file was read).
 * Keys are 1 to 200 bytes; an empty value deletes. */
typedef struct {
    kap_span_t key;
    kap_span_t value;
} kap_act_mark_t;

/* Decides and stores one act. KAP_OK: decided, see `result` (which may be a refusal). Errors
 * (KAP_E_DISK when the disk is nearly full, KAP_E_LIMIT when the outbox is full, KAP_E_IO):
 * nothing was decided and nothing was stored; try again later. result->sentence says why. */
int kap_act_submit(kap_node_t *node, const kap_act_t *act, kap_act_result_t *result);

/* The same for many in one commit: results[i] belongs to acts[i]; a refused act does not hinder
 * the others. With an error none of them is stored. Meant for up to some ten thousands of acts a
 * call; more are better cut into several calls. `mark` may be NULL. */
int kap_act_submit_many(kap_node_t *node, const kap_act_t *acts, size_t count,
                        const kap_act_mark_t *mark, kap_act_result_t *results);

/* Judges only: the same result, nothing stored. */
int kap_act_try(kap_node_t *node, const kap_act_t *act, kap_act_result_t *result);

/* The value of a mark, KAP_E_NOTFOUND when it was never set. */
int kap_act_mark_get(kap_node_t *node, kap_span_t key, kap_buf_t *value);

/* What is known of an act by its number. */
typedef struct {
    uint64_t act;
    kap_act_verb_t verb;
    kap_fate_t fate;
    int64_t at_ms; /* when it was accepted here */
    char subject[201];
    uint64_t log_seq; /* position in the broker's log, 0 before */
    char code[64];    /* refusal */
    char sentence[KAP_ACT_SENTENCE_BYTES];
} kap_act_fate_t;

int kap_act_fate(kap_node_t *node, uint64_t act, kap_act_fate_t *fate);

/* Called on the loop thread whenever fates changed in a commit, with the acts' numbers. */
typedef void kap_act_fate_fn(void *arg, const uint64_t *acts, size_t count);

/* One more listener (at most 8); KAP_E_LIMIT. It lives as long as the node. */
int kap_act_on_fate(kap_node_t *node, kap_act_fate_fn *on_fate, void *arg);

#endif
