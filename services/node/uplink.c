/* SPDX-License-Identifier: MPL-2.0 */
#include "uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "again.h"
#include "answer.h"
#include "emit.h"
#include "err.h"
#include "fate.h"
#include "hash.h"
#include "inbox.h"
#include "log.h"
#include "mirror.h"
#include "renumber.h"
#include "seeded.h"

#define WINDOW_MAX    16
#define REQUEST_BYTES (512u * 1024) /* one frame; the protocol's limit is twice that */
#define PAUSE_GROWS   100           /* longest pause, in first pauses */

/* One PUBLISH outstanding. */
typedef struct {
    kap_uplink_t *uplink;
    uint64_t ticket; /* 0: the slot is free */
    uint32_t line;
    uint64_t first;
    uint32_t count;
} flight_t;

struct kap_uplink {
    kap_node_t *node;
    void (*on_checked)(void *arg);
    void *arg;
    flight_t flights[WINDOW_MAX];
    size_t flying;
    uint32_t line; /* being sent; 0: look for the oldest that waits */
    uint64_t next; /* sequence of it that goes next */
    kap_timer_t *pause;
    int64_t pause_ms;
    uint64_t check_ticket;
    uint32_t check_line; /* checked up to this one */
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    bool has_epoch;
    kap_uplink_state_t state;
};

static void pump(kap_uplink_t *uplink);
static void check_next(kap_uplink_t *uplink);

/* Forgets what is outstanding: everything without a receipt will go again. */
static void set_back(kap_uplink_t *uplink)
{
    for (size_t i = 0; i < WINDOW_MAX; i++)
        if (uplink->flights[i].ticket) {
            kap_client_cancel(uplink->node->client, uplink->flights[i].ticket);
            uplink->flights[i].ticket = 0;
        }
    uplink->flying = 0;
    uplink->line = 0;
}

static void pause_over(void *arg)
{
    kap_uplink_t *uplink = arg;
    kap_timer_stop(&uplink->pause);
    if (uplink->state.checked)
        pump(uplink);
    else
        check_next(uplink);
}

static void later(kap_uplink_t *uplink, const char *word)
{
    int64_t first = kap_conf_int(uplink->node->conf, "uplink.pause");
    snprintf(uplink->state.last_later, sizeof uplink->state.last_later, "%s", word);
    uplink->state.later++;
    set_back(uplink);
    uplink->pause_ms = uplink->pause_ms ? 2 * uplink->pause_ms : first;
    if (uplink->pause_ms > PAUSE_GROWS * first)
        uplink->pause_ms = PAUSE_GROWS * first;
    if (!uplink->pause)
        uplink->pause =
            kap_timer_start(uplink->node->loop, uplink->pause_ms, 0, pause_over, uplink);
}

/* Something a person has to mend; asked again all the same, slowly. */
static void stuck(kap_uplink_t *uplink, const char *word, kap_span_t what)
{
    KAP_LOG(KAP_LOG_ERROR, "uplink_stuck", KAP_S("status", word), KAP_SP("what", what));
    uplink->state.stuck = true;
    later(uplink, word);
}

/* --- receipts --- */

typedef struct {
    flight_t flight;
    const kap_receipt_t *receipt;
    uint64_t refused;
    bool stale; /* not the next ones: answered already, or not yet its turn */
} receipts_t;

/* After a restore the recipient's `delivered` may have come before the sender's `created`. When
 * that has come meanwhile the node says it once more. */
static int say_again(kap_work_t *work, const kap_outbox_row_t *row)
{
    kap_event_t event;
    bool queued;
    if (kap_event_decode(row->open, row->ends, row->sealed, work->arena, &event, NULL) != KAP_OK)
        return KAP_OK;
    kap_referral_t r;
    bool committed = false;
    int rc = kap_mirror_referral(work->txn, event.subject, &r, &committed);
    if (rc != KAP_OK || !committed)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    return kap_emit_own(work, event.type, event.subject, &queued);
}

/* An act that was receipted once and misses its referral now waits for it; it may be there. */
static int keep_act(kap_work_t *work, const flight_t *flight, uint64_t sequence, kap_span_t subject,
                    const kap_receipt_t *receipt)
{
    kap_referral_t r;
    bool committed = false;
    int rc = kap_again_keep(work, subject, flight->line, sequence);
    if (rc != KAP_OK || !kap_inbox_follows(work->node->inbox, receipt->epoch))
        return rc;
    rc = kap_mirror_referral(work->txn, subject, &r, &committed);
    if (rc != KAP_OK || !committed)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    return kap_again_say(work, subject);
}

/* What becomes of the act that the event was of. */
static int act_told(kap_work_t *work, uint64_t act, const kap_outbox_receipt_t *receipt,
                    const char *code, kap_span_t sentence)
{
    bool done = false, conflict = false;
    int rc = kap_fate_verdict(work->txn, act, receipt, code, sentence, &done, &conflict);
    if (rc == KAP_OK && conflict)
        KAP_LOG(KAP_LOG_ERROR, "restore_conflict", KAP_I("act", act), KAP_SP("sentence", sentence));
    return rc == KAP_OK && (done || conflict) ? kap_work_fate_changed(work, act) : rc;
}

static int verdict_store(kap_work_t *work, const flight_t *flight, uint32_t i,
                         const kap_receipt_t *told)
{
    const kap_verdict_t *verdict = &told->verdicts[i];
    uint64_t sequence = flight->first + i;
    kap_outbox_row_t row;
    kap_outbox_receipt_t receipt = {.verdict = (uint8_t)verdict->verdict,
                                    .refusal = verdict->refusal,
                                    .log_seq = verdict->log_seq,
                                    .at_ms = work->now_ms};
    bool refused = verdict->verdict == KAP_VERDICT_REFUSED, misses = false;
    kap_span_t missing = {0};
    const char *code = refused ? kap_refusal_code(verdict->refusal) : "";
    kap_span_t sentence = verdict->sentence;
    if (refused && kap_span_empty(sentence))
        sentence = kap_span_str(kap_refusal_sentence(verdict->refusal));
    int rc = kap_outbox_load(work->txn, flight->line, sequence, work->arena, &row);
    uint64_t act = rc == KAP_OK ? row.act : 0;
    if (rc == KAP_OK && act && refused)
        rc = kap_again_misses(work, flight->line, sequence, verdict, &misses, &missing);
    if (rc == KAP_OK)
        rc = kap_outbox_receipt_put(work->txn, flight->line, sequence, &receipt);
    if (rc == KAP_OK && refused)
        KAP_LOG(KAP_LOG_WARN, "event_refused", KAP_SP("subject", row.subject),
                KAP_S("code", code ? code : ""), KAP_SP("sentence", sentence));
    if (rc == KAP_OK)
        rc = kap_mirror_receipt(work, &row, flight->line, sequence, refused);
    if (rc == KAP_OK && !act && verdict->refusal == KAP_REFUSAL_ILLEGAL_UNKNOWN_REFERRAL)
        rc = say_again(work, &row);
    if (rc == KAP_OK && misses)
        rc = keep_act(work, flight, sequence, missing, told);
    else if (rc == KAP_OK && act)
        rc = act_told(work, act, &receipt, code ? code : "", sentence);
    return rc;
}

static int receipts_body(kap_work_t *work, void *arg)
{
    receipts_t *in = arg;
    kap_line_t line;
    in->refused = 0;
    int rc = kap_line_get(work->txn, in->flight.line, &line);
    if (rc != KAP_OK)
        return rc;
    in->stale = in->flight.first != line.receipted + 1;
    if (in->stale)
        return KAP_OK;
    for (uint32_t i = 0; rc == KAP_OK && i < in->flight.count; i++) {
        const kap_verdict_t *verdict = &in->receipt->verdicts[i];
        rc = verdict_store(work, &in->flight, i, in->receipt);
        in->refused += verdict->verdict == KAP_VERDICT_REFUSED;
        kap_arena_reset(work->arena);
    }
    line.receipted += in->flight.count;
    if (work->line.line == line.line) { /* something was said again: one row, both changes */
        work->line.receipted = line.receipted;
        return rc;
    }
    return rc == KAP_OK ? kap_line_put(work->txn, &line) : rc;
}

static void receipted(kap_uplink_t *uplink, const flight_t *flight, const kap_receipt_t *receipt)
{
    receipts_t in = {.flight = *flight, .receipt = receipt};
    int rc = receipt->verdict_count == flight->count
                 ? kap_work_run(uplink->node, receipts_body, &in)
                 : KAP_E_INVALID;
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "receipt_failed", KAP_S("error", kap_err_name(rc)));
        later(uplink, "receipt_failed");
        return;
    }
    if (in.stale) {
        later(uplink, "out_of_order");
        return;
    }
    uplink->state.receipted += flight->count;
    uplink->state.refused += in.refused;
    uplink->state.stuck = false;
    uplink->pause_ms = 0;
    uplink->state.last_later[0] = '\0';
    pump(uplink);
}

/* --- the broker's mark and ours --- */

typedef struct {
    uint32_t line;
    uint64_t mark;
    const uint8_t *hash; /* content hash of the event at the mark; NULL when not told */
    bool unhealable;
} mark_t;

/* The broker has less than it once receipted: kept frames go again. */
static int mark_behind(kap_work_t *work, kap_line_t *line, mark_t *mark)
{
    int rc = KAP_OK;
    mark->unhealable = mark->mark + 1 < line->kept;
    if (mark->unhealable) { /* what is still kept goes under another producer */
        uint64_t moved;
        return kap_renumber(work, line->line, line->kept, &moved);
    }
    KAP_LOG(KAP_LOG_WARN, "receipted_again", KAP_I("line", line->line),
            KAP_I("from", mark->mark + 1), KAP_I("to", line->receipted));
    for (uint64_t seq = mark->mark + 1; rc == KAP_OK && seq <= line->receipted; seq++) {
        kap_outbox_row_t row;
        rc = kap_outbox_load(work->txn, line->line, seq, work->arena, &row);
        if (rc == KAP_OK)
            rc = kap_mirror_pending_again(work, &row, line->line, seq);
        kap_arena_reset(work->arena);
    }
    line->receipted = mark->mark;
    return rc == KAP_OK ? kap_line_put(work->txn, line) : rc;
}

/* Is the event at the mark the one that this store holds there? */
static bool is_same(kap_work_t *work, const kap_line_t *line, const mark_t *mark)
{
    kap_outbox_row_t row;
    uint8_t hash[KAP_LIMIT_HASH_BYTES];
    if (mark->mark == 0 || !mark->hash)
        return true;
    if (kap_outbox_get(work->txn, line->line, mark->mark, &row) != KAP_OK)
        return mark->mark <= line->receipted; /* trimmed after its receipt */
    kap_content_hash(row.open, hash);
    return memcmp(hash, mark->hash, sizeof hash) == 0;
}

static int mark_body(kap_work_t *work, void *arg)
{
    mark_t *mark = arg;
    kap_line_t line, last;
    int rc = kap_line_get(work->txn, mark->line, &line);
    if (rc == KAP_OK)
        rc = kap_line_last(work->txn, &last);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    bool ours = mark->mark < line.next && is_same(work, &line, mark);
    if (!ours)
        KAP_LOG(KAP_LOG_WARN, "old_copy", KAP_I("line", line.line), KAP_I("mark", mark->mark),
                KAP_I("held", line.next - 1));
    if (line.line == last.line && !work->node->line_sure)
        work->node->line_sure = ours;
    if (ours && mark->mark < line.receipted)
        rc = mark_behind(work, &line, mark);
    return rc;
}

static void mark_told(kap_uplink_t *uplink, uint64_t told, const uint8_t *hash)
{
    mark_t mark = {.line = uplink->check_line, .mark = told, .hash = hash};
    int rc = kap_work_run(uplink->node, mark_body, &mark);
    if (rc != KAP_OK) {
        later(uplink, "check_failed");
        uplink->check_line--;
        return;
    }
    if (mark.unhealable) {
        KAP_LOG(KAP_LOG_ERROR, "gap_cannot_be_healed", KAP_I("line", mark.line),
                KAP_I("mark", told),
                KAP_S("what", "the broker lacks events that are no longer kept here; what is "
                              "kept goes under a new producer"));
    }
    check_next(uplink);
}

static void mark_answered(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    kap_uplink_t *uplink = arg;
    kap_answer_t told;
    kap_span_t bin, hash;
    const char *why = "not an answer to QUERY";
    uplink->check_ticket = 0;
    if (status == KAP_E_CLOSED || uplink->node->failed)
        return;
    if (status != KAP_OK) {
        uplink->check_line--;
        later(uplink, kap_err_name(status));
        return;
    }
    kap_arena_t *arena = kap_arena_new(2048);
    kap_span_t rest = kap_msg_frame(*answer, 1);
    bool read = arena && kap_bins_next(&rest, &bin) == 1 &&
                kap_answer_decode(bin, arena, &told, &why) == KAP_OK;
    if (!read || told.refusal || header->verb != KAP_VERB_ANSWER) {
        uplink->check_line--;
        stuck(uplink, "mark", read ? told.sentence : kap_span_str(why));
    } else {
        hash = kap_mp_get_bin(told.root, "epoch");
        if (hash.size == sizeof uplink->epoch) {
            memcpy(uplink->epoch, hash.data, hash.size);
            uplink->has_epoch = true;
        }
        hash = kap_mp_get_bin(told.root, "hash");
        mark_told(uplink, (uint64_t)kap_mp_get_int(told.root, "last", 0),
                  hash.size == KAP_LIMIT_HASH_BYTES ? hash.data : NULL);
    }
    kap_arena_destroy(&arena);
}

static int line_body(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    kap_line_t *line = arg;
    (void)node;
    return kap_line_after(txn, line->line, line);
}

static void checked(kap_uplink_t *uplink)
{
    uplink->state.checked = true;
    uplink->pause_ms = 0;
    if (uplink->on_checked)
        uplink->on_checked(uplink->arg);
    pump(uplink);
}

/* Asks the mark of the next line; after the last one sending begins. */
static void check_next(kap_uplink_t *uplink)
{
    kap_node_t *node = uplink->node;
    char source[KAP_SOURCE_BYTES];
    kap_line_t line = {.line = uplink->check_line};
    if (uplink->check_ticket || uplink->pause || uplink->state.checked)
        return;
    int rc = kap_work_read(node, line_body, &line);
    if (rc == KAP_E_NOTFOUND) {
        checked(uplink);
        return;
    }
    kap_buf_t map = {0};
    if (rc == KAP_OK) {
        uplink->check_line = line.line;
        kap_line_source(&line, node->member, source);
        kap_query_begin(&map, kap_code_name(KAP_LIST_QUERY, KAP_QUERY_MARK), 1);
        kap_mp_put_cstr(&map, "source");
        kap_mp_put_cstr(&map, source);
        rc = kap_client_ask(node->client, KAP_VERB_QUERY, &map,
                            kap_conf_int(node->conf, "uplink.timeout"), mark_answered, uplink,
                            &uplink->check_ticket);
    }
    if (rc != KAP_OK) {
        if (uplink->check_line)
            uplink->check_line--;
        later(uplink, kap_err_name(rc));
    }
    kap_buf_fini(&map);
}

static void check_anew(kap_uplink_t *uplink)
{
    set_back(uplink);
    uplink->state.checked = false;
    uplink->check_line = 0;
    check_next(uplink);
}

/* --- sending --- */

static int conflict_body(kap_work_t *work, void *arg)
{
    uint64_t *moved = arg;
    kap_line_t line;
    int rc = kap_line_waiting(work->txn, &line);
    return rc == KAP_OK ? kap_renumber(work, line.line, line.receipted + 1, moved) : rc;
}

/* Another copy of this store has used our numbers: what has no receipt takes new ones. */
static void conflict(kap_uplink_t *uplink, const char *word)
{
    uint64_t moved = 0;
    int rc = kap_work_run(uplink->node, conflict_body, &moved);
    KAP_LOG(KAP_LOG_ERROR, "numbers_taken", KAP_I("renumbered", moved),
            KAP_S("result", rc == KAP_OK ? "ok" : kap_err_name(rc)),
            KAP_S("what", "another copy of this store has published; end it"));
    later(uplink, word);
}

static void answer_read(kap_uplink_t *uplink, const flight_t *flight, const kap_receipt_t *receipt)
{
    const char *word = kap_code_name(KAP_LIST_RECEIPT, receipt->status);
    switch (receipt->status) {
    case KAP_RECEIPT_OK:
        receipted(uplink, flight, receipt);
        break;
    case KAP_RECEIPT_GAP: /* the marks differ from what we believe */
        later(uplink, word);
        uplink->state.checked = false;
        uplink->check_line = 0;
        break;
    case KAP_RECEIPT_CONFLICT:
        conflict(uplink, word);
        break;
    case KAP_RECEIPT_FOREIGN:
        stuck(uplink, word, kap_span_str("the broker does not take our source"));
        break;
    default:
        later(uplink, word ? word : "unknown status");
        break;
    }
    kap_uplink_epoch(uplink, kap_span(receipt->epoch, sizeof receipt->epoch));
}

static void published(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    flight_t *slot = arg;
    flight_t flight = *slot;
    kap_uplink_t *uplink = flight.uplink;
    kap_receipt_t receipt;
    kap_answer_t error;
    kap_span_t bin;
    const char *why = "not an answer to PUBLISH";
    slot->ticket = 0;
    uplink->flying--;
    if (status == KAP_E_CLOSED || uplink->node->failed)
        return;
    if (status != KAP_OK) {
        later(uplink, kap_err_name(status));
        return;
    }
    kap_arena_t *arena = kap_arena_new(4096);
    kap_span_t rest = kap_msg_frame(*answer, 1);
    bool has = arena && kap_bins_next(&rest, &bin) == 1;
    if (has && header->verb == KAP_VERB_RECEIPT &&
        kap_receipt_decode(bin, arena, &receipt, &why) == KAP_OK)
        answer_read(uplink, &flight, &receipt);
    else if (has && header->verb == KAP_VERB_ERROR &&
             kap_answer_decode(bin, arena, &error, &why) == KAP_OK)
        stuck(uplink, "error", error.sentence);
    else
        stuck(uplink, "malformed", kap_span_str(why));
    kap_arena_destroy(&arena);
}

typedef struct {
    kap_uplink_t *uplink;
    kap_buf_t frame;
    char source[KAP_SOURCE_BYTES];
    uint32_t line;
    uint64_t first;
    uint32_t count;
} load_t;

/* Events from the next one on: whole groups, up to the bounds of one request. */
static int load_events(kap_txn_t *txn, load_t *load, const kap_line_t *line, uint32_t most)
{
    size_t whole = 0;
    uint32_t count = 0;
    for (uint64_t seq = load->first; seq < line->next && count < most; seq++) {
        kap_outbox_row_t row;
        int rc = kap_outbox_get(txn, line->line, seq, &row);
        if (rc != KAP_OK)
            return rc;
        kap_bin_put(&load->frame, row.open);
        kap_bin_put(&load->frame, row.ends);
        kap_bin_put(&load->frame, row.sealed);
        count++;
        if (!row.continues && (load->frame.size <= REQUEST_BYTES || load->count == 0)) {
            load->count = count;
            whole = load->frame.size;
        }
        if (load->frame.size > REQUEST_BYTES)
            break;
    }
    if (load->frame.err)
        return load->frame.err;
    load->frame.size = whole;
    return KAP_OK;
}

static int load_body(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    load_t *load = arg;
    kap_uplink_t *uplink = load->uplink;
    kap_line_t line;
    int rc = uplink->line ? kap_line_get(txn, uplink->line, &line) : kap_line_waiting(txn, &line);
    if (rc != KAP_OK)
        return rc;
    if (uplink->line == 0) {
        uplink->line = line.line;
        uplink->next = KAP_SEEDED_BUG("outbox_not_resent") ? line.next : line.receipted + 1;
    }
    if (uplink->next >= line.next)
        return KAP_E_NOTFOUND; /* all of it is under way; another line waits for their receipts */
    load->line = line.line;
    load->first = uplink->next;
    kap_line_source(&line, node->member, load->source);
    return load_events(txn, load, &line, (uint32_t)kap_conf_int(node->conf, "uplink.batch"));
}

static flight_t *flight_free(kap_uplink_t *uplink)
{
    size_t window = (size_t)kap_conf_int(uplink->node->conf, "uplink.window");
    for (size_t i = 0; i < window && i < WINDOW_MAX; i++)
        if (uplink->flights[i].ticket == 0)
            return &uplink->flights[i];
    return NULL;
}

/* Sends one request; KAP_E_NOTFOUND when there is nothing to send. */
static int send_one(kap_uplink_t *uplink, flight_t *flight)
{
    load_t load = {.uplink = uplink};
    kap_buf_init(&load.frame);
    int rc = kap_work_read(uplink->node, load_body, &load);
    kap_span_t frames[] = {kap_buf_span(&load.frame)};
    kap_request_t request = {.verb = KAP_VERB_PUBLISH,
                             .source = kap_span_str(load.source),
                             .first = load.first,
                             .count = load.count,
                             .frames = frames,
                             .frame_count = 1,
                             .timeout_ms = kap_conf_int(uplink->node->conf, "uplink.timeout")};
    if (rc == KAP_OK) {
        flight->uplink = uplink;
        flight->line = load.line;
        flight->first = load.first;
        flight->count = load.count;
        rc = kap_client_request(uplink->node->client, &request, published, flight, &flight->ticket);
    }
    if (rc == KAP_OK) {
        uplink->flying++;
        uplink->next = load.first + load.count;
    }
    kap_buf_fini(&load.frame);
    return rc;
}

static void pump(kap_uplink_t *uplink)
{
    flight_t *flight;
    int rc = KAP_OK;
    if (!uplink->state.checked || uplink->pause || uplink->node->failed)
        return;
    if (uplink->flying == 0)
        uplink->line = 0;
    while (rc == KAP_OK && (flight = flight_free(uplink)) != NULL)
        rc = send_one(uplink, flight);
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND) {
        KAP_LOG(KAP_LOG_ERROR, "uplink_failed", KAP_S("error", kap_err_name(rc)));
        later(uplink, kap_err_name(rc));
    }
}

/* --- life --- */

int kap_uplink_start(kap_node_t *node, void (*on_checked)(void *arg), void *arg, kap_uplink_t **out)
{
    kap_uplink_t *uplink = calloc(1, sizeof *uplink);
    if (!uplink)
        return KAP_E_NOMEM;
    uplink->node = node;
    uplink->on_checked = on_checked;
    uplink->arg = arg;
    *out = uplink;
    return KAP_OK;
}

void kap_uplink_stop(kap_uplink_t **ref)
{
    kap_uplink_t *uplink = *ref;
    *ref = NULL;
    if (!uplink)
        return;
    set_back(uplink);
    if (uplink->check_ticket)
        kap_client_cancel(uplink->node->client, uplink->check_ticket);
    kap_timer_stop(&uplink->pause);
    free(uplink);
}

void kap_uplink_wake(kap_uplink_t *uplink)
{
    pump(uplink);
}

void kap_uplink_up(kap_uplink_t *uplink)
{
    kap_timer_stop(&uplink->pause);
    uplink->pause_ms = 0;
    if (uplink->state.checked)
        pump(uplink);
    else
        check_next(uplink);
}

void kap_uplink_epoch(kap_uplink_t *uplink, kap_span_t epoch)
{
    if (epoch.size != sizeof uplink->epoch)
        return;
    bool changed = uplink->has_epoch && memcmp(uplink->epoch, epoch.data, epoch.size) != 0;
    memcpy(uplink->epoch, epoch.data, epoch.size);
    uplink->has_epoch = true;
    if (changed) {
        KAP_LOG(KAP_LOG_WARN, "epoch_changed");
        check_anew(uplink);
    }
}

void kap_uplink_state(const kap_uplink_t *uplink, kap_uplink_state_t *state)
{
    *state = uplink->state;
    state->outstanding = uplink->flying;
}
