/* SPDX-License-Identifier: MPL-2.0 */
#include "taken.h"

#include <stdio.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "followup.h"

static kap_key_t key_of(kap_span_t subject, kap_event_type_t type)
{
    return kap_key_id_u32_u64(subject, (uint32_t)type, 0);
}

int kap_taken_put(kap_work_t *work, const kap_event_t *event)
{
    uint8_t at[8];
    kap_key_t key = key_of(event->subject, event->type);
    if (kap_span_eq_str(kap_followup_member(event), work->node->member) ||
        event->type == KAP_EV_REFERRAL_EXPIRED)
        return KAP_OK;
    kap_be_put_u64(at, (uint64_t)work->now_ms);
    return kap_txn_put(work->txn, KAP_TABLE_TAKEN, kap_key_span(&key), kap_span(at, sizeof at));
}

int kap_taken_came(kap_work_t *work, const kap_event_t *event)
{
    kap_span_t at;
    kap_key_t key = key_of(event->subject, event->type);
    int rc = kap_txn_get(work->txn, KAP_TABLE_TAKEN, kap_key_span(&key), &at);
    if (rc == KAP_OK)
        rc = kap_txn_delete(work->txn, KAP_TABLE_TAKEN, kap_key_span(&key));
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_taken_count(kap_txn_t *txn, uint64_t *count, char one[320])
{
    kap_cursor_t *cursor = NULL;
    int rc = kap_cursor_open(txn, KAP_TABLE_TAKEN, &cursor);
    *count = 0;
    one[0] = '\0';
    if (rc == KAP_OK)
        rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    for (; rc == KAP_OK; rc = kap_cursor_next(cursor)) {
        kap_span_t rest, subject = kap_key_first_id(kap_cursor_key(cursor), &rest);
        if (++*count == 1 && rest.size == 12)
            snprintf(one, 320, "%s of %.*s",
                     kap_event_type_name((kap_event_type_t)kap_be_get_u32(rest.data)),
                     KAP_SPAN_ARGS(subject));
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* The first key whose time is before; KAP_E_NOTFOUND: there is none. */
static int find_old(kap_txn_t *txn, int64_t before_ms, kap_key_t *key)
{
    kap_cursor_t *cursor = NULL;
    int rc = kap_cursor_open(txn, KAP_TABLE_TAKEN, &cursor);
    if (rc == KAP_OK)
        rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    while (rc == KAP_OK && (kap_cursor_value(cursor).size != 8 ||
                            (int64_t)kap_be_get_u64(kap_cursor_value(cursor).data) >= before_ms))
        rc = kap_cursor_next(cursor);
    if (rc == KAP_OK) {
        kap_span_t found = kap_cursor_key(cursor);
        key->size = found.size;
        memcpy(key->bytes, found.data, found.size);
    }
    kap_cursor_close(&cursor);
    return rc;
}

int kap_taken_trim(kap_work_t *work, int64_t before_ms)
{
    kap_key_t key;
    int rc;
    while ((rc = find_old(work->txn, before_ms, &key)) == KAP_OK) {
        rc = kap_txn_delete(work->txn, KAP_TABLE_TAKEN, kap_key_span(&key));
        if (rc != KAP_OK)
            return rc;
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}
