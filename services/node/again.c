/* SPDX-License-Identifier: MPL-2.0 */
#include "again.h"

#include "be.h"
#include "err.h"
#include "log.h"
#include "renumber.h"

/* The first event of the group that an event is in; the event itself when it is in none. */
static int group_first(kap_work_t *work, uint32_t line, uint64_t *sequence, kap_outbox_row_t *row)
{
    int rc = kap_outbox_load(work->txn, line, *sequence, work->arena, row);
    while (rc == KAP_OK && *sequence > 1) {
        kap_outbox_row_t before;
        rc = kap_outbox_load(work->txn, line, *sequence - 1, work->arena, &before);
        if (rc != KAP_OK || !before.continues)
            break;
        *row = before;
        --*sequence;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_again_misses(kap_work_t *work, uint32_t line, uint64_t sequence,
                     const kap_verdict_t *verdict, bool *misses, kap_span_t *subject)
{
    kap_outbox_receipt_t receipt;
    kap_outbox_row_t row = {0};
    uint64_t first = sequence;
    uint16_t why = verdict->refusal;
    *misses = false;
    if (why != KAP_REFUSAL_ILLEGAL_UNKNOWN_REFERRAL && why != KAP_REFUSAL_ILLEGAL_GROUP)
        return KAP_OK;
    int rc = kap_outbox_receipt_get(work->txn, line, sequence, &receipt);
    if (rc != KAP_OK || receipt.verdict == KAP_VERDICT_REFUSED)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc; /* it is judged for the first time */
    rc = group_first(work, line, &first, &row);
    if (rc == KAP_OK && first != sequence) { /* its verdict came just before */
        rc = kap_outbox_receipt_get(work->txn, line, first, &receipt);
        why = rc == KAP_OK ? receipt.refusal : 0;
    }
    *misses = rc == KAP_OK && why == KAP_REFUSAL_ILLEGAL_UNKNOWN_REFERRAL;
    *subject = row.subject;
    return rc;
}

int kap_again_keep(kap_work_t *work, kap_span_t subject, uint32_t line, uint64_t sequence)
{
    kap_key_t key = kap_key_id_u32_u64(subject, line, sequence);
    KAP_LOG(KAP_LOG_INFO, "said_again_later", KAP_SP("subject", subject));
    return kap_txn_put(work->txn, KAP_TABLE_AGAIN, kap_key_span(&key), kap_span(NULL, 0));
}

/* Takes the first one that is kept for the subject; *line 0: none. */
static int take(kap_work_t *work, kap_span_t subject, uint32_t *line, uint64_t *sequence)
{
    kap_walk_t walk = kap_walk(work->txn, KAP_TABLE_AGAIN, subject, 0);
    *line = 0;
    if (kap_walk_next(&walk) && walk.rest.size == 12) {
        *line = kap_be_get_u32(walk.rest.data);
        *sequence = kap_be_get_u64(walk.rest.data + 4);
    }
    int rc = kap_walk_end(&walk);
    if (rc != KAP_OK || *line == 0)
        return rc;
    kap_key_t key = kap_key_id_u32_u64(subject, *line, *sequence);
    return kap_txn_delete(work->txn, KAP_TABLE_AGAIN, kap_key_span(&key));
}

int kap_again_say(kap_work_t *work, kap_span_t subject)
{
    uint32_t line;
    uint64_t sequence = 0;
    int rc;
    while ((rc = take(work, subject, &line, &sequence)) == KAP_OK && line != 0) {
        rc = kap_renumber_copy(work, line, sequence);
        if (rc != KAP_OK && rc != KAP_E_NOTFOUND) /* it may have been trimmed meanwhile */
            return rc;
    }
    return rc;
}
