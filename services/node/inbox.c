/* SPDX-License-Identifier: MPL-2.0 */
#include "inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "again.h"
#include "answer.h"
#include "be.h"
#include "emit.h"
#include "err.h"
#include "followup.h"
#include "hooks.h"
#include "ids.h"
#include "log.h"
#include "mirror.h"
#include "seal.h"
#include "taken.h"
#include "uplink.h"
#include "seeded.h"

#define PAUSE_MS      500   /* after a failure; doubles */
#define PAUSE_MAX_MS  30000 /* a guess: an idle node asks twice a minute */
#define SIGNERS       8     /* public signing keys tried, the current one first */
#define CURSOR_META   "cursor"
#define EPOCH_META    "epoch"
#define ROLLBACK_ROWS 1000 /* rows taken back in one transaction */

struct kap_inbox {
    kap_node_t *node;
    char stream[210];
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    bool going;
    uint64_t ticket; /* of the FETCH outstanding; 0: none */
    kap_timer_t *pause;
    int64_t pause_ms;
    kap_inbox_state_t state;
};

static void fetch(kap_inbox_t *inbox);

/* --- rows --- */

/* Row: log position, committed at, verdict, unsealed, then open, ends, sealed. */
static int row_put(kap_work_t *work, const kap_inbox_row_t *in)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    kap_buf_u64be(&buf, in->log_seq);
    kap_buf_u64be(&buf, (uint64_t)in->committed_at_ms);
    kap_buf_u8(&buf, in->verdict);
    kap_buf_u8(&buf, in->unsealed);
    kap_row_put_span(&buf, in->open);
    kap_row_put_span(&buf, in->ends);
    kap_row_put_span(&buf, in->sealed);
    kap_key_t key = kap_key_u64(in->stream_seq);
    int rc = buf.err;
    if (rc == KAP_OK)
        rc = kap_txn_put(work->txn, KAP_TABLE_INBOX, kap_key_span(&key), kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return rc;
}

int kap_inbox_row_get(kap_txn_t *txn, uint64_t stream_seq, kap_inbox_row_t *in)
{
    kap_key_t key = kap_key_u64(stream_seq);
    kap_span_t value;
    int rc = kap_txn_get(txn, KAP_TABLE_INBOX, kap_key_span(&key), &value);
    if (rc != KAP_OK)
        return rc;
    kap_row_t row = kap_row(value);
    in->stream_seq = stream_seq;
    in->log_seq = kap_row_u64(&row);
    in->committed_at_ms = (int64_t)kap_row_u64(&row);
    in->verdict = kap_row_u8(&row);
    in->unsealed = kap_row_u8(&row) != 0;
    in->open = kap_row_span(&row);
    in->ends = kap_row_span(&row);
    in->sealed = kap_row_span(&row);
    return kap_row_end(&row);
}

int kap_inbox_row_load(kap_txn_t *txn, uint64_t stream_seq, kap_arena_t *arena, kap_inbox_row_t *in)
{
    kap_span_t *const spans[] = {&in->open, &in->ends, &in->sealed};
    int rc = kap_inbox_row_get(txn, stream_seq, in);
    return rc == KAP_OK ? kap_spans_keep(arena, spans, 3) : rc;
}

kap_received_t kap_inbox_received(const kap_node_t *node, const kap_inbox_row_t *row,
                                  const kap_event_t *event, kap_span_t contents)
{
    return (kap_received_t){.stream_seq = row->stream_seq,
                            .log_seq = row->log_seq,
                            .committed_at_ms = row->committed_at_ms,
                            .verdict = row->verdict,
                            .event = event,
                            .contents = contents,
                            .is_own = kap_span_eq_str(kap_followup_member(event), node->member),
                            .unsealed = row->unsealed};
}

/* --- contents --- */

int kap_inbox_unseal(kap_node_t *node, const kap_event_t *event, kap_buf_t *contents)
{
    uint8_t signers[SIGNERS][KAP_KEY_BYTES];
    uint32_t count = 0;
    kap_unsealed_t out;
    if (!event->has_sealed || event->sealed.size <= KAP_LIMIT_SALT_BYTES)
        return KAP_E_NOTFOUND;
    const kap_member_t *from = kap_directory_member(node->directory, kap_followup_member(event));
    if (!from || !from->has_signing)
        return KAP_E_CORRUPT;
    memcpy(signers[count++], from->signing, KAP_KEY_BYTES);
    for (uint32_t i = 0; i < from->old_signing_count && count < SIGNERS; i++)
        memcpy(signers[count++], from->old_signing[i], KAP_KEY_BYTES);
    kap_seal_binding_t bound = {.mesh = node->mesh, .referral = event->subject};
    return kap_unseal(kap_span_sub(event->sealed, KAP_LIMIT_SALT_BYTES, event->sealed.size), &bound,
                      (const kap_seal_keys_t *const *)node->sealing, node->sealing_count,
                      (const uint8_t(*)[32])signers, count, contents, &out);
}

/* Does it open here? Clear text is wiped at once. */
static bool opens(kap_inbox_t *inbox, const kap_event_t *event)
{
    kap_buf_t clear;
    kap_buf_init(&clear);
    int rc = kap_inbox_unseal(inbox->node, event, &clear);
    kap_buf_wipe(&clear);
    if (rc == KAP_OK || rc == KAP_E_NOTFOUND)
        return true;
    inbox->state.unreadable++;
    KAP_LOG(KAP_LOG_WARN, "contents_do_not_open", KAP_SP("subject", event->subject),
            KAP_SP("from", event->source), KAP_S("why", kap_err_text(rc)));
    return false;
}

int kap_inbox_contents(kap_work_t *work, kap_span_t referral, kap_buf_t *contents,
                       kap_event_t *created)
{
    kap_inbox_row_t row;
    bool found = false;
    kap_walk_t walk = kap_walk(work->txn, KAP_TABLE_SUBJECTS, referral, 0);
    while (!found && kap_walk_next(&walk)) {
        uint64_t seq = kap_walk_u64(&walk);
        if (walk.err == KAP_OK)
            walk.err = kap_inbox_row_load(work->txn, seq, work->arena, &row);
        found = walk.err == KAP_OK &&
                kap_event_decode(row.open, row.ends, row.sealed, work->arena, created, NULL) ==
                    KAP_OK &&
                created->type == KAP_EV_REFERRAL_CREATED;
    }
    int rc = kap_walk_end(&walk);
    if (!found)
        return rc == KAP_OK ? KAP_E_NOTFOUND : rc;
    if (!created->has_sealed)
        return KAP_OK;
    rc = kap_inbox_unseal(work->node, created, contents);
    return rc == KAP_E_NOTFOUND ? KAP_E_DENIED : rc; /* it was cut */
}

/* --- one event --- */

/* The line of this node that made the event; 0 when none did. */
static int own_line(kap_work_t *work, const kap_event_t *event, uint32_t *number)
{
    char source[KAP_SOURCE_BYTES];
    kap_line_t line = {0};
    int rc;
    *number = 0;
    if (!kap_span_eq_str(kap_followup_member(event), work->node->member))
        return KAP_OK;
    while ((rc = kap_line_after(work->txn, line.line, &line)) == KAP_OK) {
        kap_line_source(&line, work->node->member, source);
        if (kap_span_eq_str(event->source, source)) {
            *number = line.line;
            return KAP_OK;
        }
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* What the node says by itself, now that the event is stored. */
static int say(kap_work_t *work, const kap_event_t *event, bool unsealed)
{
    kap_referral_t r;
    bool queued = false;
    kap_span_t self = kap_span_str(work->node->member);
    if (event->family != KAP_FAMILY_REFERRAL || !unsealed)
        return KAP_OK;
    int rc = kap_mirror_referral(work->txn, event->subject, &r, NULL);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    kap_span_t id = kap_arena_dup(work->arena, event->subject);
    if (!id.data)
        return KAP_E_NOMEM;
    if (event->type == KAP_EV_REFERRAL_CREATED && kap_span_eq(r.to, self))
        return kap_emit_own(work, KAP_EV_REFERRAL_DELIVERED, id, &queued);
    bool from_other = !kap_span_eq(kap_followup_member(event), self);
    if (from_other && kap_span_eq(r.from, self) && kap_state_is_terminal(r.state) &&
        r.answer_received_at == KAP_REFERRAL_NO_TIME)
        return kap_emit_own(work, KAP_EV_REFERRAL_ANSWER_RECEIVED, id, &queued);
    return KAP_OK;
}

/* Contents that the customer took back are cut from the rows of the referral. */
static int contents_cut(kap_work_t *work, kap_span_t referral)
{
    uint64_t seq = 0;
    for (;;) { /* a walk for each row, since each is written */
        kap_inbox_row_t row;
        kap_walk_t walk = kap_walk(work->txn, KAP_TABLE_SUBJECTS, referral, seq + 1);
        bool here = kap_walk_next(&walk);
        seq = here ? kap_walk_u64(&walk) : 0;
        int rc = kap_walk_end(&walk);
        if (rc != KAP_OK || !here)
            return rc;
        rc = kap_inbox_row_get(work->txn, seq, &row);
        row.sealed = kap_span(NULL, 0);
        if (rc == KAP_OK)
            rc = row_put(work, &row);
        if (rc != KAP_OK)
            return rc;
    }
}

static int event_store(kap_inbox_t *inbox, kap_work_t *work, const kap_event_meta_t *meta,
                       kap_span_t open, kap_span_t ends, kap_span_t sealed)
{
    kap_event_t event;
    uint32_t line = 0;
    const kap_mirror_targets_t targets = {meta->answer_days, meta->contact_days};
    bool known = kap_event_decode(open, ends, sealed, work->arena, &event, NULL) == KAP_OK &&
                 event.subject.size <= KAP_LIMIT_ID_BYTES;
    kap_inbox_row_t row = {.stream_seq = meta->stream_seq,
                           .log_seq = meta->log_seq,
                           .committed_at_ms = meta->committed_at,
                           .verdict = (uint8_t)meta->verdict,
                           .unsealed = !known || opens(inbox, &event),
                           .open = open,
                           .ends = ends,
                           .sealed = sealed};
    int rc = row_put(work, &row);
    if (rc != KAP_OK || !known)
        return rc; /* an unknown type is passed over, its row stays */
    if (event.subject.size) {
        kap_key_t key = kap_key_id_u64(event.subject, meta->stream_seq);
        rc = kap_txn_put(work->txn, KAP_TABLE_SUBJECTS, kap_key_span(&key), kap_span(NULL, 0));
        if (rc == KAP_OK)
            rc = kap_taken_came(work, &event);
    }
    if (rc == KAP_OK)
        rc = own_line(work, &event, &line);
    if (rc == KAP_OK)
        rc = kap_mirror_commit(work, &event, meta->verdict, &targets, meta->committed_at, line);
    if (rc == KAP_OK && meta->verdict == KAP_VERDICT_ACCEPTED) {
        if (event.type == KAP_EV_REFERRAL_CONSENT_WITHDRAWN)
            rc = contents_cut(work, event.subject);
        if (rc == KAP_OK)
            rc = say(work, &event, row.unsealed);
        if (rc == KAP_OK && event.type == KAP_EV_REFERRAL_CREATED)
            rc = kap_again_say(work, event.subject);
    }
    return rc;
}

/* --- one answer --- */

typedef struct {
    kap_inbox_t *inbox;
    const kap_msg_t *msg;
    kap_events_head_t head;
    uint64_t cursor; /* as it will be committed */
    uint64_t stored;
    const char *why;
} batch_t;

/* Takes n bins off the payload frames one after the other; false at the end or on nonsense. */
static bool bins_take(const kap_msg_t *msg, size_t *frame, kap_span_t *rest, kap_span_t *bins,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        while (rest->size == 0 && *frame + 1 < kap_msg_count(msg))
            *rest = kap_msg_frame(msg, ++*frame);
        if (kap_bins_next(rest, &bins[i]) != 1)
            return false;
    }
    return true;
}

static int cursor_put(kap_work_t *work, uint64_t cursor, const uint8_t *epoch)
{
    int rc = kap_meta_put_u64(work->txn, CURSOR_META, cursor);
    if (rc == KAP_OK)
        rc = kap_txn_put(work->txn, KAP_TABLE_META, KAP_SPAN(EPOCH_META),
                         kap_span(epoch, KAP_LIMIT_EPOCH_BYTES));
    return rc;
}

/* Stores every event of the answer that is the next one; skips what is there already. */
static int batch_body(kap_work_t *work, void *arg)
{
    batch_t *batch = arg;
    kap_span_t bins[4], rest = kap_msg_frame(batch->msg, 1);
    size_t frame = 1;
    kap_event_meta_t meta;
    int rc = KAP_OK;
    batch->cursor = batch->inbox->state.cursor;
    batch->stored = 0;
    if (!bins_take(batch->msg, &frame, &rest, bins, 1))
        return KAP_E_INVALID;
    while (rc == KAP_OK && bins_take(batch->msg, &frame, &rest, bins, 4)) {
        rc = kap_event_meta_decode(bins[0], work->arena, &meta, &batch->why);
        if (rc != KAP_OK || meta.stream_seq <= batch->cursor)
            continue;
        if (meta.stream_seq != batch->cursor + 1) {
            batch->why = "a gap in the stream";
            return KAP_E_INVALID;
        }
        if (!KAP_SEEDED_BUG("inbox_row_lost") || meta.stream_seq % 3 != 0)
            rc = event_store(batch->inbox, work, &meta, bins[1], bins[2], bins[3]);
        kap_arena_reset(work->arena);
        batch->cursor = meta.stream_seq;
        batch->stored++;
    }
    if (rc == KAP_OK)
        rc = cursor_put(work, batch->cursor, batch->head.epoch);
    work->delivered = batch->stored > 0;
    return rc;
}

/* --- an older epoch --- */

typedef struct {
    uint64_t kept_to;
    bool more;
} rollback_t;

/* Takes back the newest row beyond kept_to; *none when there is none. */
static int row_take_back(kap_work_t *work, uint64_t kept_to, bool *none)
{
    kap_cursor_t *cursor = NULL;
    kap_inbox_row_t row;
    kap_event_t event;
    uint64_t seq = 0;
    int rc = kap_cursor_open(work->txn, KAP_TABLE_INBOX, &cursor);
    if (rc == KAP_OK)
        rc = kap_cursor_last(cursor);
    if (rc == KAP_OK)
        seq = kap_be_get_u64(kap_cursor_key(cursor).data);
    kap_cursor_close(&cursor);
    *none = seq <= kept_to;
    if (rc != KAP_OK || *none)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    rc = kap_inbox_row_load(work->txn, seq, work->arena, &row);
    kap_key_t key = kap_key_u64(seq);
    if (rc == KAP_OK)
        rc = kap_txn_delete(work->txn, KAP_TABLE_INBOX, kap_key_span(&key));
    if (rc != KAP_OK ||
        kap_event_decode(row.open, row.ends, row.sealed, work->arena, &event, NULL) != KAP_OK ||
        event.subject.size == 0 || event.subject.size > KAP_LIMIT_ID_BYTES)
        return rc;
    key = kap_key_id_u64(event.subject, seq);
    rc = kap_txn_delete(work->txn, KAP_TABLE_SUBJECTS, kap_key_span(&key));
    if (rc == KAP_OK || rc == KAP_E_NOTFOUND)
        rc = kap_taken_put(work, &event);
    if (rc == KAP_OK)
        rc = kap_mirror_rebuild(work, event.type, event.subject);
    return rc;
}

static int rollback_body(kap_work_t *work, void *arg)
{
    rollback_t *back = arg;
    bool none = false;
    uint64_t hook;
    int rc = KAP_OK;
    for (int i = 0; rc == KAP_OK && !none && i < ROLLBACK_ROWS; i++) {
        rc = row_take_back(work, back->kept_to, &none);
        kap_arena_reset(work->arena);
    }
    back->more = !none;
    if (rc == KAP_OK)
        rc = kap_meta_u64(work->txn, KAP_HOOKS_META, &hook);
    if (rc == KAP_OK && hook > back->kept_to)
        rc = kap_meta_put_u64(work->txn, KAP_HOOKS_META, back->kept_to);
    return rc;
}

typedef struct {
    uint64_t cursor;
    const uint8_t *epoch;
} cursor_t;

static int cursor_body(kap_work_t *work, void *arg)
{
    const cursor_t *at = arg;
    return cursor_put(work, at->cursor, at->epoch);
}

static int epoch_changed(kap_inbox_t *inbox, const kap_events_head_t *head)
{
    kap_node_t *node = inbox->node;
    rollback_t back = {.kept_to = head->streams[0].kept_to, .more = true};
    uint64_t old = inbox->state.cursor;
    if (back.kept_to > old)
        back.kept_to = old;
    KAP_LOG(KAP_LOG_WARN, "broker_restored", KAP_I("cursor", old), KAP_I("kept_to", back.kept_to));
    int rc = KAP_OK;
    while (rc == KAP_OK && back.more)
        rc = kap_work_run(node, rollback_body, &back);
    cursor_t at = {.cursor = back.kept_to, .epoch = head->epoch};
    if (rc == KAP_OK)
        rc = kap_work_run(node, cursor_body, &at);
    if (rc != KAP_OK)
        return rc;
    inbox->state.cursor = back.kept_to;
    memcpy(inbox->epoch, head->epoch, sizeof inbox->epoch);
    if (node->hooks)
        kap_hooks_rewound(node->hooks, back.kept_to);
    return KAP_OK;
}

/* --- fetching --- */

static void pause_over(void *arg)
{
    kap_inbox_t *inbox = arg;
    kap_timer_stop(&inbox->pause);
    fetch(inbox);
}

/* Asks again after a while that grows. */
static void later(kap_inbox_t *inbox, const char *why)
{
    snprintf(inbox->state.error, sizeof inbox->state.error, "%s", why);
    inbox->pause_ms = inbox->pause_ms ? 2 * inbox->pause_ms : PAUSE_MS;
    if (inbox->pause_ms > PAUSE_MAX_MS)
        inbox->pause_ms = PAUSE_MAX_MS;
    if (!inbox->pause)
        inbox->pause = kap_timer_start(inbox->node->loop, inbox->pause_ms, 0, pause_over, inbox);
}

/* Stores what an answer of status ok carries. */
static void take(kap_inbox_t *inbox, const kap_events_head_t *head, const kap_msg_t *msg)
{
    batch_t batch = {.inbox = inbox, .msg = msg, .head = *head};
    int rc = KAP_OK;
    if (head->streams[0].head != inbox->state.cursor ||
        memcmp(inbox->epoch, head->epoch, sizeof inbox->epoch) != 0)
        rc = kap_work_run(inbox->node, batch_body, &batch);
    else
        batch.cursor = inbox->state.cursor;
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "delivery_failed", KAP_S("error", kap_err_name(rc)),
                KAP_S("why", batch.why ? batch.why : ""));
        later(inbox, batch.why ? batch.why : kap_err_text(rc));
        return;
    }
    inbox->state.cursor = batch.cursor;
    inbox->state.received += batch.stored;
    inbox->state.as_of_seq = head->as_of_seq;
    inbox->state.error[0] = '\0';
    inbox->pause_ms = 0;
    memcpy(inbox->epoch, head->epoch, sizeof inbox->epoch);
    fetch(inbox);
}

static void stands_still(kap_inbox_t *inbox, int status)
{
    const char *word = kap_code_name(KAP_LIST_FETCH, status);
    if (status == KAP_FETCH_NOT_ALLOWED || status == KAP_FETCH_UNKNOWN || status == KAP_FETCH_AHEAD)
        KAP_LOG(KAP_LOG_ERROR, "delivery_stands_still", KAP_S("stream", inbox->stream),
                KAP_S("status", word), KAP_I("cursor", inbox->state.cursor));
    later(inbox, word ? word : "unknown status");
}

/* Another answer than events: what the broker said, or what is wrong with it. */
static void failed(kap_inbox_t *inbox, const kap_header_t *header, kap_span_t bin, const char *why,
                   kap_arena_t *arena)
{
    kap_answer_t error;
    const char *odd = NULL, *said = NULL;
    if (arena && header->verb == KAP_VERB_ERROR &&
        kap_answer_decode(bin, arena, &error, &odd) == KAP_OK)
        said = kap_arena_str(arena, error.sentence);
    said = said ? said : why ? why : "malformed";
    KAP_LOG(KAP_LOG_ERROR, "delivery_failed", KAP_S("why", said));
    later(inbox, said);
}

static void answered(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    kap_inbox_t *inbox = arg;
    kap_node_t *node = inbox->node;
    kap_events_head_t head;
    kap_span_t rest, bin = kap_span(NULL, 0);
    const char *why = "not an answer to FETCH";
    inbox->ticket = 0;
    if (status == KAP_E_CLOSED || node->failed)
        return;
    if (status != KAP_OK) {
        later(inbox, kap_err_text(status));
        return;
    }
    kap_arena_t *arena = kap_arena_new(1024);
    rest = kap_msg_frame(*answer, 1);
    if (!arena || header->verb != KAP_VERB_EVENTS || kap_bins_next(&rest, &bin) != 1 ||
        kap_events_head_decode(bin, arena, &head, &why) != KAP_OK || head.stream_count != 1) {
        failed(inbox, header, bin, why, arena);
        kap_arena_destroy(&arena);
        return;
    }
    int rc = KAP_OK;
    if (head.streams[0].status == KAP_FETCH_OK) {
        take(inbox, &head, *answer);
    } else if (head.streams[0].status == KAP_FETCH_EPOCH_CHANGED) {
        rc = epoch_changed(inbox, &head);
        if (rc == KAP_OK)
            inbox->going = false; /* own events that go again come first: the marks' check */
        else
            later(inbox, kap_err_text(rc));
    } else {
        stands_still(inbox, head.streams[0].status);
    }
    kap_uplink_epoch(node->uplink, kap_span(head.epoch, sizeof head.epoch));
    kap_arena_destroy(&arena);
    kap_uplink_state_t uplink;
    kap_uplink_state(node->uplink, &uplink);
    if (!inbox->going && uplink.checked)
        kap_inbox_go(inbox);
}

static void fetch(kap_inbox_t *inbox)
{
    kap_node_t *node = inbox->node;
    if (!inbox->going || inbox->ticket || inbox->pause || node->failed)
        return;
    int64_t wait_ms = kap_conf_int(node->conf, "delivery.wait");
    kap_cursor_at_t at = {.stream = kap_span_str(inbox->stream), .seq = inbox->state.cursor};
    memcpy(at.epoch, inbox->epoch, sizeof at.epoch);
    kap_fetch_t ask = {.after = &at, .after_count = 1, .wait_ms = (uint32_t)wait_ms};
    kap_buf_t map = {0};
    kap_fetch_encode(&map, &ask);
    int rc = kap_client_ask(node->client, KAP_VERB_FETCH, &map,
                            wait_ms + KAP_LIMIT_RESEND_MARGIN_MS, answered, inbox, &inbox->ticket);
    if (rc != KAP_OK)
        later(inbox, kap_err_text(rc));
    kap_buf_fini(&map);
}

void kap_inbox_go(kap_inbox_t *inbox)
{
    inbox->going = true;
    kap_timer_stop(&inbox->pause);
    fetch(inbox);
}

static int cursor_read(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    kap_inbox_t *inbox = arg;
    kap_span_t epoch;
    (void)node;
    int rc = kap_meta_u64(txn, CURSOR_META, &inbox->state.cursor);
    if (rc != KAP_OK)
        return rc;
    rc = kap_txn_get(txn, KAP_TABLE_META, KAP_SPAN(EPOCH_META), &epoch);
    if (rc == KAP_OK && epoch.size == sizeof inbox->epoch)
        memcpy(inbox->epoch, epoch.data, sizeof inbox->epoch);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

int kap_inbox_start(kap_node_t *node, kap_inbox_t **out)
{
    kap_inbox_t *inbox = calloc(1, sizeof *inbox);
    if (!inbox)
        return KAP_E_NOMEM;
    inbox->node = node;
    snprintf(inbox->stream, sizeof inbox->stream, "member/%s", node->member);
    int rc = kap_work_read(node, cursor_read, inbox);
    if (rc != KAP_OK) {
        free(inbox);
        return rc;
    }
    *out = inbox;
    return KAP_OK;
}

void kap_inbox_stop(kap_inbox_t **ref)
{
    kap_inbox_t *inbox = *ref;
    *ref = NULL;
    if (!inbox)
        return;
    if (inbox->ticket)
        kap_client_cancel(inbox->node->client, inbox->ticket);
    kap_timer_stop(&inbox->pause);
    free(inbox);
}

bool kap_inbox_follows(const kap_inbox_t *inbox, const uint8_t epoch[KAP_LIMIT_EPOCH_BYTES])
{
    return memcmp(inbox->epoch, epoch, sizeof inbox->epoch) == 0;
}

void kap_inbox_state(const kap_inbox_t *inbox, kap_inbox_state_t *state)
{
    *state = inbox->state;
}
