/* SPDX-License-Identifier: MPL-2.0 */
/* Metrics 13 beside its shares: how the open ones of the cohort stand against their target now. */
#include "calendar.h"
#include "err.h"
#include "metric_list.h"
#include "mp.h"

enum { AT_RISK_PERCENT = 80 };

typedef struct {
    const kap_metric_at_t *at;
    int64_t now;
    uint64_t standing[KAP_STANDING_COUNT];
} open_t;

/* KAP_STANDING_ of a delivered transfer that waits for its answer or its first contact; -1: of any
 * other. */
static int standing_of(const open_t *o, const kap_referral_t *r)
{
    const kap_member_t *to = kap_directory_member(o->at->dir, r->to);
    bool contact = r->due_kind == KAP_DEADLINE_CONTACT;
    int64_t allowed = (contact ? r->contact_days : r->answer_days) * KAP_WORKING_DAY_MS;

    if (!kap_fact_is_transfer(r) || kap_state_is_terminal(r->state) ||
        r->delivered_at == KAP_REFERRAL_NO_TIME || (!contact && r->due_kind != KAP_DEADLINE_ANSWER))
        return -1;
    int64_t used = kap_referral_used_ms(r, to == NULL ? NULL : to->closures, o->now);
    if (r->state == KAP_STATE_EXPIRED || used > allowed)
        return KAP_STANDING_MISSED;
    return used * 100 >= allowed * AT_RISK_PERCENT ? KAP_STANDING_AT_RISK : KAP_STANDING_FINE;
}

static int add(void *arg, const kap_open_t *open, const kap_referral_row_t *row)
{
    open_t *o = arg;
    int standing = standing_of(o, &row->r);

    (void)open;
    if (standing >= 0)
        o->standing[standing]++;
    return KAP_OK;
}

int kap_metric_targets(const kap_metric_at_t *at, const kap_metric_query_t *query,
                       const kap_vector_t *sum, kap_metric_values_t *values)
{
    open_t open = {.at = at, .now = query->now};
    int rc = kap_sum_open(at->summer, &query->what, add, &open);

    (void)sum;
    if (rc != KAP_OK)
        return rc;
    kap_buf_t *buf = kap_metric_pair(values, "open");
    kap_mp_put_map(buf, KAP_STANDING_COUNT);
    for (int i = 0; i < KAP_STANDING_COUNT; i++)
        kap_metric_number(buf, kap_code_name(KAP_LIST_STANDING, i), open.standing[i]);
    return KAP_OK;
}
