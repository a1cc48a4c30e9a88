/* SPDX-License-Identifier: MPL-2.0 */
#include "budget.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "err.h"
#include "map.h"

/* What outlives the budget while answers are still on their way. */
typedef struct {
    atomic_int refs;
    atomic_int_fast64_t bytes;
} unread_t;

struct kap_account {
    const kap_budget_t *budget;
    int64_t unjudged;
    uint32_t fetches, queries;
    unread_t *unread;
};

struct kap_budget {
    kap_budget_limits_t limits;
    kap_map_t *accounts;
    unread_t *unread;
};

/* One lent answer: what it counts against. */
typedef struct {
    unread_t *mine, *all;
    int64_t bytes;
} loan_t;

static unread_t *unread_new(void)
{
    unread_t *unread = calloc(1, sizeof *unread);
    if (unread)
        atomic_init(&unread->refs, 1);
    return unread;
}

static unread_t *unread_add(unread_t *unread, int64_t bytes)
{
    atomic_fetch_add_explicit(&unread->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&unread->bytes, bytes, memory_order_relaxed);
    return unread;
}

static void unread_drop(unread_t *unread, int64_t bytes)
{
    atomic_fetch_sub_explicit(&unread->bytes, bytes, memory_order_relaxed);
    if (atomic_fetch_sub_explicit(&unread->refs, 1, memory_order_acq_rel) == 1)
        free(unread);
}

kap_budget_t *kap_budget_new(const kap_budget_limits_t *limits)
{
    kap_budget_t *budget = calloc(1, sizeof *budget);
    if (!budget)
        return NULL;
    budget->limits = *limits;
    budget->accounts = kap_map_new();
    budget->unread = unread_new();
    if (!budget->accounts || !budget->unread)
        kap_budget_destroy(&budget);
    return budget;
}

void kap_budget_destroy(kap_budget_t **handle)
{
    kap_budget_t *budget = *handle;
    if (!budget)
        return;
    size_t place = 0;
    for (kap_account_t *account;
         budget->accounts && (account = kap_map_next(budget->accounts, &place, NULL)) != NULL;) {
        unread_drop(account->unread, 0);
        free(account);
    }
    kap_map_destroy(&budget->accounts);
    if (budget->unread)
        unread_drop(budget->unread, 0);
    free(budget);
    *handle = NULL;
}

kap_account_t *kap_budget_account(kap_budget_t *budget, kap_span_t member)
{
    kap_account_t *account = kap_map_get(budget->accounts, member);
    if (account)
        return account;
    account = calloc(1, sizeof *account);
    if (!account)
        return NULL;
    account->budget = budget;
    account->unread = unread_new();
    if (!account->unread || kap_map_put(budget->accounts, member, account) != KAP_OK) {
        free(account->unread);
        free(account);
        return NULL;
    }
    return account;
}

bool kap_account_take(kap_account_t *account, size_t bytes)
{
    int64_t limit = account->budget->limits.unjudged_bytes;
    if (account->unjudged > 0 && account->unjudged + (int64_t)bytes > limit)
        return false;
    account->unjudged += (int64_t)bytes;
    return true;
}

void kap_account_give(kap_account_t *account, size_t bytes)
{
    account->unjudged -= (int64_t)bytes;
    KAP_CHECK(account->unjudged >= 0);
}

bool kap_account_wait(kap_account_t *account)
{
    if (account->fetches >= account->budget->limits.fetches)
        return false;
    account->fetches++;
    return true;
}

void kap_account_unwait(kap_account_t *account)
{
    KAP_CHECK(account->fetches > 0);
    account->fetches--;
}

bool kap_account_ask(kap_account_t *account)
{
    if (account->queries >= account->budget->limits.queries)
        return false;
    account->queries++;
    return true;
}

void kap_account_unask(kap_account_t *account)
{
    KAP_CHECK(account->queries > 0);
    account->queries--;
}

bool kap_account_reads(const kap_account_t *account)
{
    const kap_budget_t *budget = account->budget;
    return kap_account_unread(account) < budget->limits.unread_bytes &&
           kap_budget_unread(budget) < budget->limits.unread_all_bytes;
}

int64_t kap_account_unread(const kap_account_t *account)
{
    return atomic_load_explicit(&account->unread->bytes, memory_order_relaxed);
}

int64_t kap_budget_unread(const kap_budget_t *budget)
{
    return atomic_load_explicit(&budget->unread->bytes, memory_order_relaxed);
}

/* The last reference to a lent answer went: usually in the thread of the sockets. */
static void on_gone(void *arg)
{
    loan_t *loan = arg;
    unread_drop(loan->mine, loan->bytes);
    unread_drop(loan->all, loan->bytes);
    free(loan);
}

kap_blob_t *kap_account_lend(kap_account_t *account, kap_blob_t *blob)
{
    loan_t *loan = malloc(sizeof *loan);
    if (!loan)
        return NULL;
    loan->bytes = (int64_t)kap_blob_size(blob);
    loan->mine = unread_add(account->unread, loan->bytes);
    loan->all = unread_add(account->budget->unread, loan->bytes);
    kap_blob_t *view = kap_blob_view(blob, on_gone, loan);
    if (!view)
        on_gone(loan);
    return view;
}
