/* SPDX-License-Identifier: MPL-2.0 */
#include "renumber.h"

#include "err.h"
#include "event.h"
#include "mirror.h"
#include "mp.h"

/* The open part with another source and sequence. */
static int open_anew(kap_work_t *work, kap_span_t open, kap_span_t source, uint64_t sequence,
                     kap_span_t *out)
{
    kap_mp_t root;
    kap_buf_t buf;
    int rc = kap_mp_read(open, work->arena, &root, NULL);
    if (rc != KAP_OK || root.kind != KAP_MP_MAP)
        return KAP_E_CORRUPT;
    kap_buf_init(&buf);
    kap_mp_put_map(&buf, root.count);
    for (uint32_t i = 0; i < root.count; i++) {
        const kap_mp_t *key = kap_mp_key(&root, i);
        kap_mp_put_node(&buf, key);
        if (kap_span_eq_str(key->s, kap_attribute_wire(KAP_ATTR_SOURCE)))
            kap_mp_put_str(&buf, source);
        else if (kap_span_eq_str(key->s, kap_attribute_wire(KAP_ATTR_SEQUENCE)))
            kap_mp_put_uint(&buf, sequence);
        else
            kap_mp_put_node(&buf, kap_mp_value(&root, i));
    }
    *out = kap_arena_dup(work->arena, kap_buf_span(&buf));
    rc = buf.err ? buf.err : out->data ? KAP_OK : KAP_E_NOMEM;
    kap_buf_fini(&buf);
    return rc;
}

/* Puts an event behind the last of a line, under its producer. */
static int event_put(kap_work_t *work, kap_outbox_row_t *row, kap_line_t *to)
{
    char source[KAP_SOURCE_BYTES];
    kap_event_t event;
    kap_line_source(to, work->node->member, source);
    int rc = open_anew(work, row->open, kap_span_str(source), to->next, &row->open);
    if (rc == KAP_OK)
        rc = kap_event_decode(row->open, row->ends, row->sealed, work->arena, &event, NULL);
    if (rc == KAP_OK)
        rc = kap_outbox_put(work->txn, to->line, to->next, row);
    if (rc == KAP_OK)
        rc = kap_mirror_queue(work, &event, to->line, to->next);
    if (rc == KAP_OK)
        to->next++;
    return rc;
}

static int event_move(kap_work_t *work, uint32_t line, uint64_t sequence, kap_line_t *to)
{
    kap_outbox_row_t row;
    int rc = kap_outbox_load(work->txn, line, sequence, work->arena, &row);
    if (rc == KAP_OK)
        rc = kap_mirror_receipt(work, &row, line, sequence, true); /* no longer on its way */
    if (rc == KAP_OK)
        rc = event_put(work, &row, to);
    if (rc != KAP_OK)
        return rc;
    kap_key_t key = kap_key_u32_u64(line, sequence);
    return kap_txn_delete(work->txn, KAP_TABLE_OUTBOX, kap_key_span(&key));
}

int kap_renumber(kap_work_t *work, uint32_t number, uint64_t first, uint64_t *moved)
{
    kap_line_t from, to;
    *moved = 0;
    int rc = kap_line_get(work->txn, number, &from);
    if (rc == KAP_OK)
        rc = kap_line_last(work->txn, &to);
    if (rc == KAP_OK && (to.line == number || to.next > 1))
        rc = kap_line_new(work->txn, &to);
    for (uint64_t seq = first; rc == KAP_OK && seq < from.next; seq++) {
        rc = event_move(work, number, seq, &to);
        kap_arena_reset(work->arena);
        (*moved)++;
    }
    if (rc != KAP_OK)
        return rc;
    from.next = first;
    if (from.receipted >= first)
        from.receipted = first - 1;
    rc = kap_line_put(work->txn, &from);
    work->line_new = true;
    return rc == KAP_OK ? kap_line_put(work->txn, &to) : rc;
}

int kap_renumber_copy(kap_work_t *work, uint32_t line, uint64_t sequence)
{
    kap_outbox_row_t row;
    kap_line_t *to;
    int rc = kap_outbox_load(work->txn, line, sequence, work->arena, &row);
    if (rc == KAP_OK)
        rc = kap_work_line(work, &to);
    if (rc == KAP_OK)
        rc = event_put(work, &row, to);
    if (rc == KAP_OK)
        work->queued = true;
    return rc;
}
