/* SPDX-License-Identifier: MPL-2.0 */
#include "door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "answer.h"
#include "err.h"
#include "log.h"
#include "referral.h"
#include "seen.h"

enum {
    LINGER_MS = 1000,
    JOB_ARENA_BYTES = 4096,
    EVENT_ARENA_BYTES = 768,
    EVENT_COST_BYTES = 256, /* what an event holds at least beside its bytes, for the budget */
};

/* A PUBLISH on its way through the ledger; free ones are chained by `next`. */
typedef struct {
    uint32_t round, peer, next;
    uint8_t req[KAP_LIMIT_REQ_BYTES];
    size_t req_size;
    kap_account_t *account;
    size_t bytes;
    uint8_t source[KAP_LIMIT_ID_BYTES];
    size_t source_size;
    uint64_t first;
} ticket_t;

enum { NO_TICKET = UINT32_MAX };

struct kap_door {
    kap_door_opts_t opts;
    kap_sock_t *sock;
    kap_ledger_t *ledger;
    kap_fetcher_t *fetcher;
    kap_queries_t *queries;
    bool draining;
    ticket_t *tickets;
    uint32_t ticket_count, ticket_free, pending;
    kap_verdict_t *verdicts; /* scratch of receipts */
    uint32_t verdict_room;
    kap_buf_t header, body;
    kap_arena_t *arena; /* sentences of one receipt */
    kap_seen_t *seen;   /* who was let in, and when */
    kap_door_counts_t counts;
};

/* --- answers --- */

const kap_member_t *kap_door_who(const kap_door_t *door, const char *key)
{
    return kap_access_who(kap_live_now(door->opts.live), key, kap_clock_now_ms(door->opts.clock));
}

const kap_metric_seen_t *kap_door_seen(const kap_door_t *door, kap_arena_t *arena)
{
    return kap_seen_copy(door->seen, kap_clock_now_ms(door->opts.clock), arena);
}

static kap_header_t header_of(const kap_door_t *door, kap_span_t req, kap_verb_t verb)
{
    kap_header_t header = {.version = KAP_LIMIT_VERSION, .req = req, .verb = verb};
    memcpy(header.mesh, kap_directory_mesh(kap_live_now(door->opts.live)), sizeof header.mesh);
    return header;
}

static int send_header(kap_door_t *door, uint32_t peer, const kap_header_t *header,
                       kap_blob_t *const blobs[], size_t n)
{
    kap_buf_reset(&door->header);
    kap_header_encode(&door->header, header);
    if (door->header.err)
        return door->header.err;
    return kap_sock_send_blobs(door->sock, peer, kap_buf_span(&door->header), blobs, n);
}

int kap_door_answer(kap_door_t *door, uint32_t peer, kap_span_t req, kap_verb_t verb,
                    uint32_t count, kap_blob_t *const blobs[], size_t n)
{
    kap_header_t header = header_of(door, req, verb);
    header.count = count;
    return send_header(door, peer, &header, blobs, n);
}

/* The map in door->body as one bin object in a blob of its own; NULL when out of memory. */
static kap_blob_t *body_blob(const kap_door_t *door)
{
    kap_buf_t bin = {0};
    kap_blob_t *blob = NULL;
    kap_bin_put(&bin, kap_buf_span(&door->body));
    if (!door->body.err && !bin.err)
        blob = kap_blob_new(bin.size);
    if (blob)
        memcpy(kap_blob_data(blob), bin.data, bin.size);
    kap_buf_fini(&bin);
    return blob;
}

void kap_door_refuse(kap_door_t *door, uint32_t peer, kap_span_t req, uint16_t refusal,
                     const char *why)
{
    if (req.size == 0)
        return; /* nobody could tell what it answers */
    kap_buf_reset(&door->body);
    kap_answer_error(&door->body, refusal, why);
    kap_blob_t *blob = body_blob(door);
    if (blob)
        (void)kap_door_answer(door, peer, req, KAP_VERB_ERROR, 0, &blob, 1);
    kap_blob_unref(&blob);
}

/* A receipt, counted against the member until it is read. */
static void send_receipt(kap_door_t *door, uint32_t peer, const kap_header_t *header,
                         kap_account_t *account, const kap_receipt_t *receipt)
{
    kap_buf_reset(&door->body);
    kap_receipt_encode(&door->body, receipt);
    kap_blob_t *blob = body_blob(door);
    kap_blob_t *lent = blob && account ? kap_account_lend(account, blob) : NULL;
    int rc = KAP_E_NOMEM;
    if (lent || (blob && !account))
        rc = send_header(door, peer, header, lent ? &lent : &blob, 1);
    if (rc != KAP_OK)
        door->counts.lost++;
    kap_blob_unref(&lent);
    kap_blob_unref(&blob);
}

/* A receipt of a PUBLISH that did not get to the ledger: the sender goes on from `expected`. */
static void send_later(kap_door_t *door, kap_msg_t *msg, const kap_header_t *asked,
                       kap_account_t *account, int status)
{
    kap_ledger_state_t state;
    kap_ledger_state(door->ledger, &state);
    kap_receipt_t receipt = {.status = status,
                             .expected = status == KAP_RECEIPT_FOREIGN ? 0 : asked->first,
                             .position = state.head_seq};
    memcpy(receipt.epoch, kap_ledger_epoch(door->ledger), sizeof receipt.epoch);
    kap_header_t header = header_of(door, asked->req, KAP_VERB_RECEIPT);
    header.source = asked->source;
    header.first = asked->first;
    send_receipt(door, kap_msg_peer(msg), &header, account, &receipt);
}

/* --- tickets --- */

static ticket_t *ticket_new(kap_door_t *door, uint64_t *number)
{
    if (door->ticket_free == NO_TICKET) {
        uint32_t count = door->ticket_count ? door->ticket_count * 2 : 64;
        ticket_t *tickets = realloc(door->tickets, count * sizeof *tickets);
        if (!tickets)
            return NULL;
        door->tickets = tickets;
        for (uint32_t i = door->ticket_count; i < count; i++)
            tickets[i] = (ticket_t){.next = i + 1 < count ? i + 1 : NO_TICKET};
        door->ticket_free = door->ticket_count;
        door->ticket_count = count;
    }
    ticket_t *ticket = &door->tickets[door->ticket_free];
    *number = (uint64_t)ticket->round << 32 | door->ticket_free;
    door->ticket_free = ticket->next;
    door->pending++;
    return ticket;
}

static ticket_t *ticket_of(kap_door_t *door, uint64_t number)
{
    uint32_t index = (uint32_t)number;
    KAP_CHECK(index < door->ticket_count && door->tickets[index].round == (uint32_t)(number >> 32));
    return &door->tickets[index];
}

static void ticket_free(kap_door_t *door, ticket_t *ticket)
{
    ticket->round++;
    ticket->next = door->ticket_free;
    door->ticket_free = (uint32_t)(ticket - door->tickets);
    door->pending--;
}

/* --- PUBLISH --- */

/* Refuses an event that is well-formed by itself but not what the header announced. */
static void check_event(kap_event_t *ev, const kap_header_t *header, uint64_t sequence)
{
    uint16_t number = 0;
    if (ev->type == KAP_EV_NONE)
        return;
    if (ev->sequence != sequence || !kap_span_eq(ev->source, header->source))
        number = KAP_REFUSAL_MALFORMED_HEADER;
    else if (!kap_event_is_whole(ev))
        number = KAP_REFUSAL_MALFORMED_PART_MISSING;
    if (number == 0)
        return;
    ev->type = KAP_EV_NONE;
    ev->refusal = (kap_refusal_t){.number = number};
}

/* Decodes the frames into the job's events. KAP_E_INVALID: they are not what was announced. */
static int decode(kap_job_t *job, const kap_msg_t *msg)
{
    uint32_t at = 0;
    for (size_t i = 1; i < kap_msg_count(msg); i++) {
        kap_span_t rest = kap_msg_frame(msg, i), parts[3] = {{0}};
        int got = 1;
        while ((got = kap_bins_next(&rest, &parts[0])) == 1) {
            if (at == job->count || kap_bins_next(&rest, &parts[1]) != 1 ||
                kap_bins_next(&rest, &parts[2]) != 1)
                return KAP_E_INVALID;
            kap_event_t *ev = &job->events[at];
            int rc = kap_event_decode(parts[0], parts[1], parts[2], job->arena, ev, NULL);
            if (rc == KAP_E_NOMEM)
                return rc;
            check_event(ev, &job->header, job->header.first + at);
            at++;
        }
        if (got != 0)
            return KAP_E_INVALID;
    }
    return at == job->count ? KAP_OK : KAP_E_INVALID;
}

/* A job of the message, which it takes. KAP_E_INVALID, KAP_E_NOMEM. */
static int job_of(kap_msg_t **msg, const kap_header_t *header, const char *key, kap_job_t **out)
{
    int rc = KAP_E_NOMEM;
    kap_job_t *job = kap_job_new();
    if (!job)
        return rc;
    job->header = *header;
    job->count = header->count;
    job->bytes = kap_msg_size(*msg);
    snprintf(job->key, sizeof job->key, "%s", key);
    job->arena = kap_arena_new(JOB_ARENA_BYTES + header->count * (size_t)EVENT_ARENA_BYTES);
    if (job->arena)
        job->events = kap_arena_calloc(job->arena, job->count, sizeof *job->events);
    if (job->events)
        rc = decode(job, *msg);
    if (rc != KAP_OK) {
        kap_job_destroy(&job);
        return rc;
    }
    job->msg = *msg;
    *msg = NULL;
    *out = job;
    return KAP_OK;
}

static void note_ticket(ticket_t *ticket, uint32_t peer, const kap_header_t *header,
                        kap_account_t *account, size_t bytes)
{
    ticket->peer = peer;
    ticket->account = account;
    ticket->bytes = bytes;
    ticket->first = header->first;
    ticket->req_size = header->req.size;
    memcpy(ticket->req, header->req.data, header->req.size);
    ticket->source_size = header->source.size;
    memcpy(ticket->source, header->source.data, header->source.size);
}

static bool counts_fit(const kap_header_t *header)
{
    return header->count >= 1 && header->count <= KAP_LIMIT_EVENTS_PER_REQUEST &&
           header->first >= 1 && header->first <= (uint64_t)INT64_MAX - header->count &&
           header->source.size <= KAP_LIMIT_ID_BYTES;
}

static void on_publish(kap_door_t *door, kap_msg_t **msg, const kap_header_t *header,
                       const kap_member_t *who, const char *key)
{
    uint32_t peer = kap_msg_peer(*msg);
    size_t bytes = kap_msg_size(*msg) + header->count * (size_t)EVENT_COST_BYTES;
    if (!counts_fit(header)) {
        door->counts.malformed++;
        kap_door_refuse(door, peer, header->req, KAP_REFUSAL_REQUEST_LIMIT,
                        "count, first sequence or source is out of bounds");
        return;
    }
    kap_account_t *account = kap_budget_account(door->opts.budget, who->id);
    if (!kap_may_source(who, header->source)) {
        door->counts.foreign++;
        send_later(door, *msg, header, account, KAP_RECEIPT_FOREIGN);
        return;
    }
    if (door->draining || !account || !kap_account_reads(account) ||
        !kap_account_take(account, bytes)) {
        door->counts.busy++;
        send_later(door, *msg, header, account, KAP_RECEIPT_BUSY);
        return;
    }
    kap_job_t *job = NULL;
    uint64_t number;
    int rc = job_of(msg, header, key, &job);
    ticket_t *ticket = rc == KAP_OK ? ticket_new(door, &number) : NULL;
    if (ticket) {
        note_ticket(ticket, peer, header, account, bytes);
        job->ticket = number;
        door->counts.publishes++;
        door->counts.events += header->count;
        kap_ledger_submit(door->ledger, &job);
        return;
    }
    kap_account_give(account, bytes);
    if (rc == KAP_E_INVALID) {
        door->counts.malformed++;
        kap_door_refuse(door, peer, header->req, KAP_REFUSAL_REQUEST_FRAMES, NULL);
    }
    kap_job_destroy(&job); /* out of memory: no answer, the sender sends again */
}

/* Why an event was refused, with the field or the state that it is about. */
static kap_span_t sentence_of(kap_door_t *door, const kap_decided_t *decided)
{
    const char *sentence = kap_refusal_sentence(decided->why.number);
    const kap_field_row_t *field = kap_field_row(decided->why.field);
    kap_buf_reset(&door->body);
    kap_buf_str(&door->body, sentence ? sentence : "refused");
    if (field)
        kap_buf_printf(&door->body, " (field: %s)", field->wire);
    if (decided->state >= 0)
        kap_buf_printf(&door->body, " (state: %s)", kap_state_name(decided->state));
    return door->body.err ? kap_span_str(sentence)
                          : kap_arena_dup(door->arena, kap_buf_span(&door->body));
}

/* The verdicts of a result in door->verdicts; false when out of memory. */
static bool note_verdicts(kap_door_t *door, const kap_result_t *result)
{
    if (result->count > door->verdict_room) {
        kap_verdict_t *verdicts = realloc(door->verdicts, result->count * sizeof *verdicts);
        if (!verdicts)
            return false;
        door->verdicts = verdicts;
        door->verdict_room = result->count;
    }
    kap_arena_reset(door->arena);
    for (uint32_t i = 0; i < result->count; i++) {
        const kap_decided_t *decided = &result->decided[i];
        kap_verdict_t *verdict = &door->verdicts[i];
        *verdict = (kap_verdict_t){.verdict = decided->verdict,
                                   .refusal = decided->why.number,
                                   .log_seq = decided->log_seq};
        memcpy(verdict->leaf, decided->leaf, sizeof verdict->leaf);
        if (decided->why.number)
            verdict->sentence = sentence_of(door, decided);
    }
    return true;
}

static void send_result(kap_door_t *door, const ticket_t *ticket, const kap_result_t *result,
                        uint64_t position)
{
    if (!note_verdicts(door, result)) {
        door->counts.lost++;
        return;
    }
    kap_receipt_t receipt = {.status = result->status,
                             .expected = result->expected,
                             .position = position,
                             .verdicts = door->verdicts,
                             .verdict_count = result->count};
    memcpy(receipt.epoch, kap_ledger_epoch(door->ledger), sizeof receipt.epoch);
    kap_header_t header =
        header_of(door, kap_span(ticket->req, ticket->req_size), KAP_VERB_RECEIPT);
    header.source = kap_span(ticket->source, ticket->source_size);
    header.first = ticket->first;
    header.count = result->count;
    send_receipt(door, ticket->peer, &header, ticket->account, &receipt);
}

void kap_door_results(kap_door_t *door, const kap_batch_t *batch)
{
    for (uint32_t i = 0; i < batch->result_count; i++) {
        ticket_t *ticket = ticket_of(door, batch->results[i].ticket);
        kap_account_give(ticket->account, ticket->bytes);
        send_result(door, ticket, &batch->results[i], batch->head_seq);
        ticket_free(door, ticket);
    }
}

/* --- messages --- */

/* In a plain mesh, which is all bench: the source's member, else the first operator. */
static const kap_member_t *believed(const kap_door_t *door, const kap_header_t *header,
                                    char key[KAP_Z85_KEY_CHARS + 1])
{
    const kap_directory_t *dir = kap_live_now(door->opts.live);
    const kap_member_t *who = NULL;
    const uint8_t *slash =
        header->source.size ? memchr(header->source.data, '/', header->source.size) : NULL;
    if (slash)
        who = kap_directory_member(
            dir, kap_span_sub(header->source, 0, (size_t)(slash - header->source.data)));
    for (uint32_t i = 0; !slash && !who && i < kap_directory_member_count(dir); i++) {
        if (kap_may_operate(kap_directory_member_at(dir, i)))
            who = kap_directory_member_at(dir, i);
    }
    if (!who || !who->has_curve)
        return NULL;
    kap_z85_encode(key, who->curve, sizeof who->curve);
    return who;
}

/* The request's map: the one bin object of the one payload frame. */
static bool body_of(const kap_msg_t *msg, kap_span_t *body)
{
    kap_span_t rest = kap_msg_frame(msg, 1), more;
    return kap_msg_count(msg) == 2 && kap_bins_next(&rest, body) == 1 &&
           kap_bins_next(&rest, &more) == 0 && body->size <= KAP_LIMIT_REQUEST_BYTES;
}

static void on_request(kap_door_t *door, kap_msg_t **msg, const kap_header_t *header,
                       const kap_member_t *who, const char *key)
{
    uint32_t peer = kap_msg_peer(*msg);
    kap_span_t body;
    if (header->verb == KAP_VERB_PUBLISH) {
        on_publish(door, msg, header, who, key);
    } else if (header->verb != KAP_VERB_FETCH && header->verb != KAP_VERB_QUERY) {
        door->counts.malformed++;
        kap_door_refuse(door, peer, header->req, KAP_REFUSAL_REQUEST_VERB, NULL);
    } else if (!body_of(*msg, &body)) {
        door->counts.malformed++;
        kap_door_refuse(door, peer, header->req, KAP_REFUSAL_REQUEST_FRAMES, NULL);
    } else if (header->verb == KAP_VERB_FETCH) {
        door->counts.fetches++;
        kap_fetcher_request(door->fetcher, peer, key, who, header->req, body);
    } else {
        door->counts.queries++;
        kap_queries_request(door->queries, peer, key, who, header->req, body);
    }
}

static void on_message(void *arg, kap_msg_t **msg)
{
    kap_door_t *door = arg;
    kap_header_t header = {0};
    const char *why = NULL;
    uint32_t peer = kap_msg_peer(*msg);
    int rc = kap_header_decode(kap_msg_frame(*msg, 0), &header, &why);
    if (rc == KAP_E_VERSION) {
        door->counts.versions++;
        kap_door_refuse(door, peer, header.req, KAP_REFUSAL_REQUEST_VERSION, NULL);
        return;
    }
    if (rc != KAP_OK) {
        door->counts.malformed++;
        kap_door_refuse(door, peer, header.req, KAP_REFUSAL_REQUEST_HEADER, why);
        return;
    }
    if (memcmp(header.mesh, kap_directory_mesh(kap_live_now(door->opts.live)),
               sizeof header.mesh) != 0) {
        door->counts.meshes++;
        kap_door_refuse(door, peer, header.req, KAP_REFUSAL_REQUEST_MESH, NULL);
        return;
    }
    char key[KAP_Z85_KEY_CHARS + 1] = "";
    const kap_member_t *who = NULL;
    if (!door->opts.keys) {
        who = believed(door, &header, key);
    } else {
        snprintf(key, sizeof key, "%s", kap_msg_user(*msg));
        who = kap_door_who(door, key);
    }
    if (!who) {
        door->counts.strangers++;
        KAP_LOG(KAP_LOG_WARN, "stranger", KAP_S("key", key),
                KAP_S("verb", kap_verb_name(header.verb)));
        kap_door_refuse(door, peer, header.req, KAP_REFUSAL_NOT_ALLOWED_KEY, NULL);
        return;
    }
    kap_seen_note(door->seen, who->id, kap_clock_now_ms(door->opts.clock));
    on_request(door, msg, &header, who, key);
}

/* --- life --- */

int kap_door_open(const kap_door_opts_t *opts, kap_door_t **out)
{
    kap_door_t *door = calloc(1, sizeof *door);
    if (!door)
        return KAP_E_NOMEM;
    door->opts = *opts;
    door->ticket_free = NO_TICKET;
    door->arena = kap_arena_new(JOB_ARENA_BYTES);
    kap_sock_opts_t sock = {.type = KAP_SOCK_ROUTER,
                            .local = !opts->keys,
                            .loopback = !opts->keys,
                            .server_keys = opts->keys,
                            .max_frame_bytes = KAP_LIMIT_FRAME_BYTES,
                            .max_frames = KAP_LIMIT_FRAMES + 1,
                            .linger_ms = LINGER_MS};
    door->seen = kap_seen_new(kap_clock_now_ms(opts->clock));
    int rc = door->arena && door->seen
                 ? kap_sock_open(opts->loop, &sock, on_message, NULL, door, &door->sock)
                 : KAP_E_NOMEM;
    if (rc != KAP_OK) {
        kap_arena_destroy(&door->arena);
        kap_seen_destroy(&door->seen);
        free(door);
        return rc;
    }
    *out = door;
    return KAP_OK;
}

int kap_door_serve(kap_door_t *door, kap_ledger_t *ledger, kap_fetcher_t *fetcher,
                   kap_queries_t *queries, const char *endpoint, char actual[KAP_SOCK_ENDPOINT_MAX])
{
    door->ledger = ledger;
    door->fetcher = fetcher;
    door->queries = queries;
    return kap_sock_bind(door->sock, endpoint, actual);
}

void kap_door_drain(kap_door_t *door)
{
    door->draining = true;
}

uint32_t kap_door_pending(const kap_door_t *door)
{
    return door->pending;
}

void kap_door_counts(const kap_door_t *door, kap_door_counts_t *out)
{
    *out = door->counts;
}

void kap_door_close(kap_door_t **handle)
{
    kap_door_t *door = *handle;
    if (!door)
        return;
    kap_sock_close(&door->sock);
    free(door->tickets);
    free(door->verdicts);
    kap_arena_destroy(&door->arena);
    kap_seen_destroy(&door->seen);
    kap_buf_fini(&door->header);
    kap_buf_fini(&door->body);
    free(door);
    *handle = NULL;
}
