/* SPDX-License-Identifier: MPL-2.0 */
/*
 * budget: how much of the broker's memory one member may hold. Two accounts a member: bytes
 * published and not yet judged, and bytes of answers that wait in the member's connections because
 * it does not read; the second one also in all. It decides nothing: the door says `busy`, fetch
 * lets the request wait its turn. Loop thread, but for the counting down of unread bytes, which
 * the sockets' threads do by themselves. A member's account lasts as long as the budget, so that
 * a reload of the directory or a reconnect does not forget what is still held.
 */
#ifndef KAP_BUDGET_H
#define KAP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sock.h"
#include "span.h"

typedef struct kap_budget kap_budget_t;
typedef struct kap_account kap_account_t;

typedef struct {
    int64_t unjudged_bytes;   /* a member */
    int64_t unread_bytes;     /* a member */
    int64_t unread_all_bytes; /* all members together */
    uint32_t fetches;         /* waiting, a member */
    uint32_t queries;         /* not yet answered, a member */
} kap_budget_limits_t;

/* NULL when out of memory. */
kap_budget_t *kap_budget_new(const kap_budget_limits_t *limits);

/* Takes and nulls; memory follows when the last lent answer is gone. NULL inside is fine. */
void kap_budget_destroy(kap_budget_t **budget);

/* The account of a member, made when first asked for; lent. NULL when out of memory. */
kap_account_t *kap_budget_account(kap_budget_t *budget, kap_span_t member);

/* Takes `bytes` of unjudged room; false when that is above the limit. A member that holds nothing
 * may always take one request. */
bool kap_account_take(kap_account_t *account, size_t bytes);
void kap_account_give(kap_account_t *account, size_t bytes);

/* Counts a waiting fetch; false when there are too many. */
bool kap_account_wait(kap_account_t *account);
void kap_account_unwait(kap_account_t *account);

/* The same for a query. */
bool kap_account_ask(kap_account_t *account);
void kap_account_unask(kap_account_t *account);

/* True while both unread accounts have room: the next answer may be sent. */
bool kap_account_reads(const kap_account_t *account);

/* Unread bytes now, of the member and of all. */
int64_t kap_account_unread(const kap_account_t *account);
int64_t kap_budget_unread(const kap_budget_t *budget);

/* The same bytes as `blob` (not taken), counted as unread from now until the socket has written
 * them out or dropped them. NULL when out of memory. */
kap_blob_t *kap_account_lend(kap_account_t *account, kap_blob_t *blob);

#endif
