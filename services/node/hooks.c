/* SPDX-License-Identifier: MPL-2.0 */
#include "hooks.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "inbox.h"
#include "localpub.h"
#include "log.h"
#include "mirror.h"

#define TURN_ROWS 100  /* rows a turn, so that the doors stay fair */
#define HELD_MS   5000 /* pause after an actor refused a row; a guess */

struct kap_hooks {
    kap_node_t *node;
    kap_timer_t *timer; /* the next turn; NULL when nothing waits */
    uint64_t taken;     /* by actor and stream */
    uint64_t stored;    /* of it, in the store */
    bool held;
};

/* A row and what it is about, copied out so that the hook may write. */
typedef struct {
    kap_hooks_t *hooks;
    kap_arena_t *arena;
    kap_inbox_row_t row;
    bool has_row;
    kap_event_t event;
    bool has_event; /* false: a type that this version does not know */
    kap_referral_t referral;
    bool has_referral;
} look_t;

/* The state's row copied, since its spans lend from it. */
static int referral_copy(look_t *look, kap_txn_t *txn, kap_span_t id)
{
    kap_key_t key = kap_key_id(id);
    kap_span_t value;
    bool committed;
    int rc = kap_txn_get(txn, KAP_TABLE_REFERRALS, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    value = kap_arena_dup(look->arena, value);
    if (!value.data)
        return KAP_E_NOMEM;
    rc = kap_mirror_referral_row(value, &look->referral, &committed);
    look->has_referral = rc == KAP_OK;
    return rc;
}

static int look_body(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    look_t *look = arg;
    const kap_event_t *event = &look->event;
    (void)node;
    int rc = kap_inbox_row_load(txn, look->hooks->taken + 1, look->arena, &look->row);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    look->has_row = true;
    look->has_event = kap_event_decode(look->row.open, look->row.ends, look->row.sealed,
                                       look->arena, &look->event, NULL) == KAP_OK;
    if (look->has_event && event->subject.size && event->subject.size <= KAP_LIMIT_ID_BYTES)
        rc = referral_copy(look, txn, event->subject);
    return rc;
}

/* Shows one row to stream and actor. */
static int show(kap_hooks_t *hooks, const look_t *look)
{
    kap_node_t *node = hooks->node;
    kap_buf_t clear = {0};
    if (!look->has_event)
        return KAP_OK;
    kap_inbox_unseal(node, &look->event, &clear);
    kap_received_t received =
        kap_inbox_received(node, &look->row, &look->event, kap_buf_span(&clear));
    received.referral = look->has_referral ? &look->referral : NULL;
    int rc = KAP_OK;
    if (node->actor->received && node->actor_started)
        rc = node->actor->received(node->actor_state, node, &received);
    if (rc == KAP_OK && node->localpub)
        kap_localpub_send(node->localpub, &received);
    kap_buf_wipe(&clear);
    return rc;
}

static int taken_body(kap_work_t *work, void *arg)
{
    return kap_meta_put_u64(work->txn, KAP_HOOKS_META, *(const uint64_t *)arg);
}

static void keep_taken(kap_hooks_t *hooks)
{
    if (hooks->stored == hooks->taken)
        return;
    if (kap_work_run(hooks->node, taken_body, &hooks->taken) == KAP_OK)
        hooks->stored = hooks->taken;
}

static void turn(void *arg);

static void turn_in(kap_hooks_t *hooks, int64_t delay_ms)
{
    if (!hooks->timer)
        hooks->timer = kap_timer_start(hooks->node->loop, delay_ms, 0, turn, hooks);
}

static void turn(void *arg)
{
    kap_hooks_t *hooks = arg;
    kap_timer_stop(&hooks->timer);
    kap_arena_t *arena = kap_arena_new(16384);
    int rc = arena ? KAP_OK : KAP_E_NOMEM;
    int shown = 0;
    while (rc == KAP_OK && shown < TURN_ROWS && !hooks->node->failed) {
        look_t look = {.hooks = hooks, .arena = arena};
        uint64_t at = hooks->taken;
        kap_arena_reset(arena);
        rc = kap_work_read(hooks->node, look_body, &look);
        if (rc != KAP_OK || !look.has_row)
            break;
        rc = show(hooks, &look);
        if (rc == KAP_OK && hooks->taken == at)
            hooks->taken++;
        shown++;
    }
    kap_arena_destroy(&arena);
    hooks->held = rc != KAP_OK;
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_WARN, "received_held", KAP_I("seq", hooks->taken + 1),
                KAP_S("error", kap_err_name(rc)));
    keep_taken(hooks);
    if (rc != KAP_OK)
        turn_in(hooks, HELD_MS);
    else if (shown == TURN_ROWS)
        turn_in(hooks, 0);
}

static int start_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    kap_hooks_t *hooks = arg;
    (void)node;
    return kap_meta_u64(txn, KAP_HOOKS_META, &hooks->taken);
}

int kap_hooks_start(kap_node_t *node, kap_hooks_t **out)
{
    kap_hooks_t *hooks = calloc(1, sizeof *hooks);
    if (!hooks)
        return KAP_E_NOMEM;
    hooks->node = node;
    int rc = kap_work_read(node, start_read, hooks);
    hooks->stored = hooks->taken;
    if (rc != KAP_OK) {
        free(hooks);
        return rc;
    }
    *out = hooks;
    turn_in(hooks, 0);
    return KAP_OK;
}

void kap_hooks_stop(kap_hooks_t **ref)
{
    kap_hooks_t *hooks = *ref;
    *ref = NULL;
    if (!hooks)
        return;
    kap_timer_stop(&hooks->timer);
    free(hooks);
}

void kap_hooks_wake(kap_hooks_t *hooks)
{
    if (!hooks->held)
        turn_in(hooks, 0);
}

void kap_hooks_rewound(kap_hooks_t *hooks, uint64_t seq)
{
    if (hooks->taken > seq)
        hooks->taken = seq;
    if (hooks->stored > seq)
        hooks->stored = seq;
}

void kap_hooks_state(const kap_hooks_t *hooks, uint64_t *taken, bool *held)
{
    *taken = hooks->taken;
    *held = hooks->held;
}
