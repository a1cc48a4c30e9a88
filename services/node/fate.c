/* SPDX-License-Identifier: MPL-2.0 */
#include "fate.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "referral.h"

const char *kap_fate_word(kap_fate_t fate)
{
    static const char *const words[] = {"queued", "committed", "already_so", "refused"};
    return words[fate];
}

/* Row: verb, fate, events still without a verdict, accepted at, log position, then key, subject,
 * correlation, code, sentence. Strings are lent while it is handled. */
typedef struct {
    uint8_t verb, fate, open_events;
    int64_t at_ms;
    uint64_t log_seq;
    kap_span_t key, subject, correlation, code, sentence;
} fate_row_t;

static int row_put(kap_txn_t *txn, uint64_t act, const fate_row_t *fate)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    kap_buf_u8(&buf, fate->verb);
    kap_buf_u8(&buf, fate->fate);
    kap_buf_u8(&buf, fate->open_events);
    kap_buf_u64be(&buf, (uint64_t)fate->at_ms);
    kap_buf_u64be(&buf, fate->log_seq);
    kap_row_put_span(&buf, fate->key);
    kap_row_put_span(&buf, fate->subject);
    kap_row_put_span(&buf, fate->correlation);
    kap_row_put_span(&buf, fate->code);
    kap_row_put_span(&buf, fate->sentence);
    kap_key_t key = kap_key_u64(act);
    int rc = buf.err;
    if (rc == KAP_OK)
        rc = kap_txn_put(txn, KAP_TABLE_ACTS, kap_key_span(&key), kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return rc;
}

static int row_get(kap_txn_t *txn, uint64_t act, fate_row_t *fate)
{
    kap_key_t key = kap_key_u64(act);
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_ACTS, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc;
    kap_row_t row = kap_row(value);
    fate->verb = kap_row_u8(&row);
    fate->fate = kap_row_u8(&row);
    fate->open_events = kap_row_u8(&row);
    fate->at_ms = (int64_t)kap_row_u64(&row);
    fate->log_seq = kap_row_u64(&row);
    fate->key = kap_row_span(&row);
    fate->subject = kap_row_span(&row);
    fate->correlation = kap_row_span(&row);
    fate->code = kap_row_span(&row);
    fate->sentence = kap_row_span(&row);
    if (kap_row_end(&row) != KAP_OK || fate->verb >= KAP_ACT_COUNT || fate->fate > KAP_FATE_REFUSED)
        return KAP_E_CORRUPT;
    return KAP_OK;
}

int kap_fate_put_new(kap_txn_t *txn, uint64_t act, kap_act_verb_t verb, kap_span_t key,
                     kap_span_t subject, kap_span_t correlation, int64_t now_ms, uint8_t events)
{
    fate_row_t row = {.verb = (uint8_t)verb,
                      .fate = KAP_FATE_QUEUED,
                      .open_events = events,
                      .at_ms = now_ms,
                      .key = key,
                      .subject = subject,
                      .correlation = correlation};
    int rc = row_put(txn, act, &row);
    if (rc != KAP_OK || kap_span_empty(key))
        return rc;
    kap_key_t number = kap_key_u64(act);
    return kap_txn_put(txn, KAP_TABLE_ACT_KEYS, key, kap_key_span(&number));
}

int kap_fate_by_key(kap_txn_t *txn, kap_span_t key, uint64_t *act)
{
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_ACT_KEYS, key, &value);
    if (rc != KAP_OK)
        return rc;
    kap_row_t row = kap_row(value);
    uint64_t number = kap_row_u64(&row);
    rc = kap_row_end(&row);
    if (rc == KAP_OK)
        *act = number;
    return rc;
}

int kap_fate_verdict(kap_txn_t *txn, uint64_t act, const kap_outbox_receipt_t *receipt,
                     const char *code, kap_span_t sentence, bool *done, bool *conflict)
{
    fate_row_t row;
    int rc = row_get(txn, act, &row);
    if (rc != KAP_OK)
        return rc;
    bool was_final = row.fate != KAP_FATE_QUEUED;
    bool refused = receipt->verdict == KAP_VERDICT_REFUSED;
    *conflict = was_final && refused && row.fate != KAP_FATE_REFUSED;
    if (!was_final && row.open_events > 0)
        row.open_events--;
    if (refused) {
        row.fate = KAP_FATE_REFUSED;
        row.code =
            kap_span_str(*conflict ? kap_refusal_code(KAP_REFUSAL_ILLEGAL_RESTORE_CONFLICT) : code);
        row.sentence = sentence;
    } else if (!was_final && row.open_events == 0) {
        row.fate =
            receipt->verdict == KAP_VERDICT_ALREADY_SO ? KAP_FATE_ALREADY : KAP_FATE_COMMITTED;
    }
    if (receipt->log_seq)
        row.log_seq = receipt->log_seq;
    *done = !was_final && row.fate != KAP_FATE_QUEUED;
    /* The row lends from the old value: the put copies before the old page changes. */
    return row_put(txn, act, &row);
}

static void copy(char *to, size_t size, kap_span_t from)
{
    size_t n = from.size < size ? from.size : size - 1;
    if (n)
        memcpy(to, from.data, n);
    to[n] = '\0';
}

int kap_fate_get(kap_txn_t *txn, uint64_t act, kap_act_fate_t *fate, char correlation[201])
{
    fate_row_t row;
    int rc = row_get(txn, act, &row);
    if (rc != KAP_OK)
        return rc;
    fate->act = act;
    fate->verb = (kap_act_verb_t)row.verb;
    fate->fate = (kap_fate_t)row.fate;
    fate->at_ms = row.at_ms;
    fate->log_seq = row.log_seq;
    copy(fate->subject, sizeof fate->subject, row.subject);
    copy(fate->code, sizeof fate->code, row.code);
    copy(fate->sentence, sizeof fate->sentence, row.sentence);
    if (correlation)
        copy(correlation, 201, row.correlation);
    return KAP_OK;
}
