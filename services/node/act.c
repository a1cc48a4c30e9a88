/* SPDX-License-Identifier: MPL-2.0 */
#include "act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act_build.h"
#include "act_value.h"
#include "err.h"
#include "fate.h"
#include "log.h"
#include "mirror.h"

/* Body's way out of a transaction that shall not be kept. */
#define NOT_KEPT KAP_E_AGAIN

typedef struct {
    const kap_act_t *acts;
    size_t count;
    const kap_act_mark_t *mark;
    kap_act_result_t *results;
    bool try_only;
} batch_t;

/* --- one act --- */

/* The first acceptance of the same key, as it was. */
static int repeat(kap_work_t *work, uint64_t number, kap_act_result_t *result)
{
    kap_act_fate_t fate;
    int rc = kap_fate_get(work->txn, number, &fate, result->correlation);
    if (rc != KAP_OK)
        return rc;
    result->accepted = result->repeated = true;
    result->act = number;
    snprintf(result->subject, sizeof result->subject, "%s", fate.subject);
    return KAP_OK;
}

/* A refusal of the machine: its sentence, and how things stand. */
static int refuse_state(kap_acting_t *acting, const kap_event_t *event, const kap_refusal_t *why)
{
    char now[100] = "";
    kap_referral_t r;
    if (event->family == KAP_FAMILY_REFERRAL && event->type != KAP_EV_REFERRAL_CREATED &&
        kap_mirror_referral(acting->work->txn, event->subject, &r, NULL) == KAP_OK)
        snprintf(now, sizeof now, "it is now: %s", kap_state_name(r.state));
    return kap_act_refuse_proto(acting->result, why, now);
}

static int judge(kap_acting_t *acting, const kap_draft_t *drafts, uint32_t count)
{
    kap_event_t group[KAP_ACT_DRAFTS];
    kap_refusal_t why = {0};
    for (uint32_t i = 0; i < count; i++)
        group[i] = drafts[i].event;
    for (uint32_t i = 0; i < count; i++) {
        bool already; /* the broker says already_so: harmless, and its to say */
        int rc = kap_mirror_judge(acting->work, &group[i], count > 1 ? group : NULL,
                                  count > 1 ? count : 0, &already, &why);
        if (rc == KAP_E_DENIED)
            return refuse_state(acting, &group[i], &why);
        if (rc != KAP_OK)
            return rc;
    }
    return KAP_OK;
}

static int act_number(kap_work_t *work, uint64_t *number)
{
    int rc = kap_meta_u64(work->txn, "acts", number);
    return rc == KAP_OK ? kap_meta_put_u64(work->txn, "acts", ++*number) : rc;
}

static void span_copy(char *to, size_t size, kap_span_t from)
{
    snprintf(to, size, "%.*s", KAP_SPAN_ARGS(from));
}

/* Stores fate and events of a decided act. */
static int keep(kap_acting_t *acting, const kap_draft_t *drafts, uint32_t count)
{
    kap_work_t *work = acting->work;
    kap_act_result_t *result = acting->result;
    const kap_event_t *first = &drafts[0].event;
    kap_span_t case_id = kap_event_span(first, KAP_F_CASE);
    uint64_t number;
    int rc = act_number(work, &number);
    if (rc == KAP_OK)
        rc = kap_fate_put_new(work->txn, number, acting->verb, acting->act->key, first->subject,
                              case_id, work->now_ms, (uint8_t)count);
    for (uint32_t i = 0; rc == KAP_OK && i < count; i++)
        rc = kap_draft_queue(work, &drafts[i], number, i + 1 < count);
    if (rc == KAP_OK)
        rc = kap_work_fate_changed(work, number);
    if (rc != KAP_OK)
        return rc;
    result->accepted = true;
    result->act = number;
    span_copy(result->subject, sizeof result->subject, first->subject);
    span_copy(result->correlation, sizeof result->correlation, case_id);
    if (count > 1) /* a redirect: what goes on is the child */
        span_copy(result->next, sizeof result->next, drafts[1].event.subject);
    return KAP_OK;
}

/* Rules before the node's own: key, directory, actor. */
static int look_first(kap_acting_t *acting)
{
    kap_node_t *node = acting->work->node;
    const kap_actor_t *actor = node->actor;
    if (acting->act->key.size > KAP_LIMIT_ID_BYTES)
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_KEY, "key");
    if (!kap_node_self(node))
        return kap_act_refuse(acting->result, KAP_ACT_REFUSAL_NOT_MEMBER, NULL);
    if (!actor->rule)
        return KAP_OK;
    return actor->rule(node->actor_state, node, acting->act, acting->result);
}

/* KAP_OK: decided, also when refused. */
static int decide(kap_work_t *work, const kap_act_t *act, kap_act_result_t *result)
{
    kap_draft_t drafts[KAP_ACT_DRAFTS];
    uint32_t count = 0;
    uint64_t number;
    kap_acting_t acting = {.work = work, .act = act, .result = result};
    memset(result, 0, sizeof *result);
    if (!kap_span_empty(act->key) && act->key.size <= KAP_LIMIT_ID_BYTES) {
        int known = kap_fate_by_key(work->txn, act->key, &number);
        if (known != KAP_E_NOTFOUND)
            return known == KAP_OK ? repeat(work, number, result) : known;
    }
    kap_buf_init(&acting.clear);
    int rc = look_first(&acting);
    if (rc == KAP_OK)
        rc = kap_act_look(&acting);
    if (rc == KAP_OK)
        rc = kap_act_build(&acting, drafts, &count);
    if (rc == KAP_OK)
        rc = judge(&acting, drafts, count);
    if (rc == KAP_OK)
        rc = keep(&acting, drafts, count);
    kap_buf_wipe(&acting.clear);
    return rc == KAP_E_DENIED && result->code[0] ? KAP_OK : rc;
}

/* --- many acts --- */

static int mark_put(kap_work_t *work, const kap_act_mark_t *mark)
{
    if (!kap_span_empty(mark->value))
        return kap_txn_put(work->txn, KAP_TABLE_MARKS, mark->key, mark->value);
    int rc = kap_txn_delete(work->txn, KAP_TABLE_MARKS, mark->key);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int batch_body(kap_work_t *work, void *arg)
{
    const batch_t *batch = arg;
    uint64_t waiting;
    int64_t oldest;
    int rc = kap_outbox_waiting(work->txn, &waiting, &oldest);
    if (rc == KAP_OK &&
        waiting + batch->count > (uint64_t)kap_conf_int(work->node->conf, "outbox.max_events"))
        rc = KAP_E_LIMIT;
    for (size_t i = 0; rc == KAP_OK && i < batch->count; i++) {
        rc = decide(work, &batch->acts[i], &batch->results[i]);
        kap_arena_reset(work->arena);
    }
    if (rc == KAP_OK && batch->mark)
        rc = mark_put(work, batch->mark);
    return rc == KAP_OK && batch->try_only ? NOT_KEPT : rc;
}

/* Why nothing was decided, in every result. */
static void tell_failure(const kap_node_t *node, const batch_t *batch, int rc)
{
    char most[24];
    snprintf(most, sizeof most, "%lld", (long long)kap_conf_int(node->conf, "outbox.max_events"));
    for (size_t i = 0; i < batch->count; i++) {
        kap_act_result_t *result = &batch->results[i];
        memset(result, 0, sizeof *result);
        if (rc == KAP_E_DISK)
            kap_act_refuse(result, KAP_ACT_REFUSAL_DISK, NULL);
        else if (rc == KAP_E_LIMIT)
            kap_act_refuse(result, KAP_ACT_REFUSAL_FULL, NULL, most);
        else if (rc == KAP_E_CLOSED)
            kap_act_refuse(result, KAP_ACT_REFUSAL_DRAINING, NULL);
        else
            kap_act_refuse(result, KAP_ACT_REFUSAL_STORE, NULL, kap_err_text(rc));
    }
}

static int submit(kap_node_t *node, const batch_t *batch)
{
    int rc = node->draining ? KAP_E_CLOSED : kap_node_has_room(node);
    if (rc == KAP_OK)
        rc = kap_work_run(node, batch_body, (void *)batch);
    if (rc == NOT_KEPT && batch->try_only)
        rc = KAP_OK;
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_WARN, "acts_not_taken", KAP_S("error", kap_err_name(rc)),
                KAP_I("acts", batch->count));
        tell_failure(node, batch, rc);
    }
    return rc;
}

int kap_act_submit(kap_node_t *node, const kap_act_t *act, kap_act_result_t *result)
{
    batch_t batch = {.acts = act, .count = 1, .results = result};
    return submit(node, &batch);
}

int kap_act_submit_many(kap_node_t *node, const kap_act_t *acts, size_t count,
                        const kap_act_mark_t *mark, kap_act_result_t *results)
{
    batch_t batch = {.acts = acts, .count = count, .mark = mark, .results = results};
    return submit(node, &batch);
}

int kap_act_try(kap_node_t *node, const kap_act_t *act, kap_act_result_t *result)
{
    batch_t batch = {.acts = act, .count = 1, .results = result, .try_only = true};
    int rc = submit(node, &batch);
    result->act = 0;
    return rc;
}

/* --- what is known --- */

typedef struct {
    kap_span_t key;
    kap_buf_t *value;
} mark_get_t;

static int mark_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    mark_get_t *get = arg;
    kap_span_t value;
    (void)node;
    int rc = kap_txn_get(txn, KAP_TABLE_MARKS, get->key, &value);
    if (rc == KAP_OK)
        kap_buf_append(get->value, value);
    return rc == KAP_OK ? get->value->err : rc;
}

int kap_act_mark_get(kap_node_t *node, kap_span_t key, kap_buf_t *value)
{
    mark_get_t get = {.key = key, .value = value};
    return kap_work_read(node, mark_read, &get);
}

static int fate_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    kap_act_fate_t *fate = arg;
    (void)node;
    return kap_fate_get(txn, fate->act, fate, NULL);
}

int kap_act_fate(kap_node_t *node, uint64_t act, kap_act_fate_t *fate)
{
    fate->act = act;
    return kap_work_read(node, fate_read, fate);
}

int kap_act_on_fate(kap_node_t *node, kap_act_fate_fn *on_fate, void *arg)
{
    if (node->listener_count == KAP_NODE_LISTENERS)
        return KAP_E_LIMIT;
    node->listeners[node->listener_count].on_fate = on_fate;
    node->listeners[node->listener_count].arg = arg;
    node->listener_count++;
    return KAP_OK;
}
