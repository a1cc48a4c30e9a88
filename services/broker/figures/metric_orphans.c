/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 11: handovers that nobody takes care of now, each with one owner and one next step. */
#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "err.h"
#include "metric_list.h"
#include "mp.h"

enum { DROPPED_PATIENCE_HOURS = 24 };

typedef struct {
    kap_span_t referral, region, from, to, owner;
    int16_t service;
    int what, step; /* KAP_ORPHAN_, KAP_STEP_ */
    int64_t since;
} orphan_t;

typedef struct {
    const kap_metric_at_t *at;
    const kap_scope_t *scope;
    int64_t now;
    orphan_t *orphans;
    uint32_t count, cap;
    uint64_t by_what[KAP_ORPHAN_COUNT];
} search_t;

/* One referral while it is looked at. */
typedef struct {
    const search_t *s;
    const kap_open_t *open;
    const kap_referral_t *r;
    const kap_region_t *region;
    const kap_member_t *to; /* NULL: nobody knows it any more */
    int64_t now;
    orphan_t *out;
} look_t;

static bool is_set(int64_t time)
{
    return time != KAP_REFERRAL_NO_TIME;
}

static bool found(const look_t *l, kap_span_t owner, int step, int64_t since)
{
    l->out->owner = owner;
    l->out->step = step;
    l->out->since = since;
    return true;
}

/* The recipient is no member any more: the sender has the customer back. */
static bool is_left(const look_t *l)
{
    bool gone = l->to != NULL && l->to->valid_to <= l->now;

    if (kap_state_is_terminal(l->r->state) || (l->to != NULL && kap_member_valid(l->to, l->now)))
        return false;
    return found(l, l->r->from, KAP_STEP_REFER_ANEW, gone ? l->to->valid_to : KAP_REFERRAL_NO_TIME);
}

static bool is_undelivered(const look_t *l)
{
    if (kap_state_is_terminal(l->r->state) || is_set(l->r->delivered_at) ||
        l->now - l->r->created_commit <= l->region->undelivered_ms)
        return false;
    return found(l, l->r->to, KAP_STEP_LOOK_AT_NODE, l->r->created_commit);
}

static int64_t waited_ms(const look_t *l)
{
    return kap_referral_waited(l->r, l->to->closures, l->now).working_ms;
}

static bool is_unanswered(const look_t *l)
{
    if (kap_state_is_terminal(l->r->state) || !is_set(l->r->delivered_at) ||
        is_set(l->r->accepted_at) ||
        waited_ms(l) <= l->region->unanswered_days * KAP_WORKING_DAY_MS)
        return false;
    return found(l, l->r->to, KAP_STEP_ANSWER, l->r->delivered_at);
}

static bool is_uncontacted(const look_t *l)
{
    int64_t limit = l->region->uncontacted_days * KAP_WORKING_DAY_MS;

    if (kap_state_is_terminal(l->r->state) || !is_set(l->r->accepted_at) ||
        is_set(l->r->contact_at) ||
        kap_referral_spent(l->r, l->r->accepted_at, l->now, l->to->closures).working_ms <= limit)
        return false;
    return found(l, l->r->to, KAP_STEP_CONTACT, l->r->accepted_at);
}

static bool is_silent(const look_t *l)
{
    if (kap_state_is_terminal(l->r->state) || !is_set(l->r->contact_at) ||
        l->now - l->r->news_at <= l->region->silent_days * KAP_DAY_MS)
        return false;
    return found(l, l->r->to, KAP_STEP_TELL, l->r->news_at);
}

/* Handed on, and nobody has it. */
static int look_for_dropped(const look_t *l, bool *dropped)
{
    const kap_metric_at_t *at = l->s->at;
    kap_case_t c;

    *dropped = false;
    if (!l->open->dropped)
        return KAP_OK;
    int rc = kap_rows_case(at->txn, l->open->scope, l->r->case_id, at->arena, &c);
    int32_t node = rc == KAP_OK ? kap_case_find(&c, l->open->referral) : -1;
    if (rc != KAP_OK || node < 0)
        return rc == KAP_OK || rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
    *dropped =
        kap_path_dropped(&c, node, l->r->next, l->now, DROPPED_PATIENCE_HOURS * KAP_HOUR_MS) &&
        found(l, l->r->to, KAP_STEP_HAND_ON, l->r->ended_at);
    return KAP_OK;
}

/* The first kind that holds; -1: it is none. */
static int kind_of(const look_t *l, bool dropped)
{
    if (is_left(l))
        return KAP_ORPHAN_LEFT;
    if (dropped)
        return KAP_ORPHAN_DROPPED;
    if (is_undelivered(l))
        return KAP_ORPHAN_UNDELIVERED;
    if (l->to == NULL)
        return -1;
    if (is_unanswered(l))
        return KAP_ORPHAN_UNANSWERED;
    if (is_uncontacted(l))
        return KAP_ORPHAN_UNCONTACTED;
    return is_silent(l) ? KAP_ORPHAN_SILENT : -1;
}

/* Of a member or an organisation those that it answers for. */
static bool owner_fits(const search_t *s, kap_span_t owner)
{
    const kap_member_t *m = kap_directory_member(s->at->dir, owner);

    if (s->scope->kind == KAP_SCOPE_MEMBER)
        return kap_span_eq(owner, s->scope->member);
    return s->scope->kind != KAP_SCOPE_ORGANISATION ||
           (m != NULL && kap_span_eq(m->organisation, s->scope->organisation));
}

static int keep(search_t *s, const orphan_t *orphan)
{
    if (s->count == s->cap) {
        uint32_t cap = s->cap == 0 ? 64 : s->cap * 2;
        orphan_t *grown = kap_arena_alloc(s->at->arena, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        if (s->count > 0)
            memcpy(grown, s->orphans, s->count * sizeof *grown);
        s->orphans = grown;
        s->cap = cap;
    }
    s->orphans[s->count++] = *orphan;
    s->by_what[orphan->what]++;
    return KAP_OK;
}

static int look(void *arg, const kap_open_t *open, const kap_referral_row_t *row)
{
    search_t *s = arg;
    const kap_referral_t *r = &row->r;
    orphan_t orphan = {open->referral, r->region, r->from, r->to, {0}, r->service, 0, 0, 0};
    look_t l = {s,
                open,
                r,
                kap_directory_region(s->at->dir, r->region),
                kap_directory_member(s->at->dir, r->to),
                s->now,
                &orphan};
    bool dropped;

    if (!kap_fact_is_transfer(r) || (r->flags & KAP_RF_ON_HOLD) || l.region == NULL)
        return KAP_OK;
    int rc = look_for_dropped(&l, &dropped);
    orphan.what = rc == KAP_OK ? kind_of(&l, dropped) : -1;
    return orphan.what < 0 || !owner_fits(s, orphan.owner) ? rc : keep(s, &orphan);
}

/* By region, owner, then the oldest first. */
static int by_owner(const void *a, const void *b)
{
    const orphan_t *x = a, *y = b;
    int order = kap_span_cmp(x->region, y->region);

    order = order != 0 ? order : kap_span_cmp(x->owner, y->owner);
    if (order == 0 && x->since != y->since)
        order = x->since < y->since ? -1 : 1;
    return order != 0 ? order : kap_span_cmp(x->referral, y->referral);
}

static int put_orphan(const search_t *s, const orphan_t *o, kap_metric_list_t *list)
{
    kap_buf_t *item = kap_metric_item(list, 12);
    const char *service = o->service < 0 ? NULL : kap_code_name(KAP_LIST_SERVICE, o->service);

    if (item == NULL)
        return KAP_OK;
    kap_metric_text(item, "referral", o->referral);
    kap_metric_text(item, "region", o->region);
    int rc = kap_metric_member(s->at, s->scope, item, "from", o->from);
    if (rc == KAP_OK)
        rc = kap_metric_member(s->at, s->scope, item, "to", o->to);
    kap_metric_text(item, "service", kap_span_str(service == NULL ? "" : service));
    kap_metric_text(item, "what", kap_span_str(kap_code_name(KAP_LIST_ORPHAN, o->what)));
    kap_metric_instant(item, "since_at", o->since);
    if (rc == KAP_OK)
        rc = kap_metric_member(s->at, s->scope, item, "owner", o->owner);
    kap_metric_text(item, "step", kap_span_str(kap_code_name(KAP_LIST_STEP, o->step)));
    return rc;
}

static void put_counts(const search_t *s, kap_metric_values_t *values)
{
    kap_buf_t *buf = kap_metric_pair(values, "what");

    kap_mp_put_map(buf, KAP_ORPHAN_COUNT);
    for (int i = 0; i < KAP_ORPHAN_COUNT; i++)
        kap_metric_number(buf, kap_code_name(KAP_LIST_ORPHAN, i), s->by_what[i]);
}

int kap_metric_orphans(const kap_metric_at_t *at, const kap_metric_query_t *query,
                       const kap_vector_t *sum, kap_metric_values_t *values)
{
    search_t s = {.at = at, .scope = &query->what.scope, .now = query->now};
    kap_sum_query_t what = query->what;
    kap_metric_list_t list = {0};

    (void)sum;
    what.side = KAP_SIDE_CASES; /* either end: the owner may be any of them */
    what.window = (kap_window_t){.from_ms = INT64_MIN, .to_ms = INT64_MAX};
    int rc = kap_sum_open(at->summer, &what, look, &s);
    values->n = values->pending = s.count;
    values->decided = 0;
    put_counts(&s, values);
    if (rc != KAP_OK || values->row)
        return rc;
    if (s.count > 0)
        qsort(s.orphans, s.count, sizeof *s.orphans, by_owner);
    for (uint32_t i = 0; rc == KAP_OK && i < s.count; i++)
        rc = put_orphan(&s, &s.orphans[i], &list);
    kap_metric_put_list(values, "orphans", &list);
    return rc;
}
