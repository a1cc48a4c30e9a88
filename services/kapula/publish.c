/* SPDX-License-Identifier: MPL-2.0 */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "arena.h"
#include "err.h"
#include "frame.h"

/* Pauses before asking a broker again that said "later"; doubled each time. */
#define PAUSE_MS     100
#define PAUSE_MAX_MS 3000

#define HOUR_MS 3600000

typedef struct publisher publisher_t;

/* A request on its way. */
typedef struct {
    publisher_t *p;
    uint64_t ticket, first;
    uint32_t count; /* 0: the slot is free */
} slot_t;

struct publisher {
    const kap_publish_opts_t *opts;
    kap_arena_t *arena;
    kap_buf_t frame;
    kap_timer_t *timer;
    slot_t slots[KAP_PUBLISH_WINDOW];
    uint64_t receipted; /* every event up to here has its receipt */
    unsigned waiting;   /* requests on their way */
    bool rewind;        /* send nothing more until the window is empty, then go back */
    bool later;         /* the broker asked for a pause */
    uint64_t expected;  /* where to go back to */
    int64_t pause_ms, moved_at;
    int rc;
    bool done;
};

static void send_more(publisher_t *p);

static void fail(publisher_t *p, int rc)
{
    if (!p->rc)
        p->rc = rc;
}

/* --- packing --- */

/* Packs the next events into the frame; *first and *count name them. KAP_E_NOTFOUND at the end. */
static int pack(publisher_t *p, uint64_t *first, uint32_t *count)
{
    kap_logmap_event_t event = {0};
    int rc = KAP_OK;

    kap_buf_reset(&p->frame);
    *count = 0;
    while (*count < KAP_PUBLISH_EVENTS && p->frame.size < KAP_PUBLISH_BYTES) {
        do {
            rc = kap_logmap_next(p->opts->map, &event);
            if (rc)
                return rc == KAP_E_NOTFOUND && *count ? KAP_OK : rc;
            if (!*count)
                *first = event.sequence;
            ++*count;
            kap_bin_put(&p->frame, event.open);
            kap_bin_put(&p->frame, event.ends);
            kap_bin_put(&p->frame, kap_span(NULL, 0));
        } while (event.bound);
    }
    return p->frame.err;
}

/* --- receipts --- */

static void refused(publisher_t *p, uint64_t sequence, const kap_verdict_t *verdict)
{
    kap_buf_printf(p->opts->why, "the broker refused event %llu of %llu: %.*s",
                   (unsigned long long)sequence, (unsigned long long)kap_logmap_total(p->opts->map),
                   KAP_SPAN_ARGS(verdict->sentence));
    fail(p, KAP_E_INVALID);
}

static void take_verdicts(publisher_t *p, uint64_t first, uint32_t count,
                          const kap_receipt_t *receipt)
{
    if (receipt->verdict_count != count) {
        kap_buf_printf(p->opts->why, "a receipt with %u verdicts for %u events",
                       receipt->verdict_count, count);
        fail(p, KAP_E_INVALID);
        return;
    }
    for (uint32_t i = 0; i < receipt->verdict_count; i++)
        if (receipt->verdicts[i].verdict == KAP_VERDICT_REFUSED) {
            refused(p, first + i, &receipt->verdicts[i]);
            return;
        }
    uint64_t last = first + count - 1;
    p->moved_at = kap_monotonic_ms();
    p->pause_ms = PAUSE_MS;
    if (last > p->receipted)
        p->receipted = last;
    if (p->opts->on_progress)
        p->opts->on_progress(p->opts->arg, p->receipted);
}

/* Not taken, nothing used up: empty the window, then go on from where the broker stands. */
static void go_back(publisher_t *p, uint64_t expected, bool pause)
{
    p->rewind = true;
    p->later |= pause;
    p->expected = expected;
}

static void take_receipt(publisher_t *p, uint64_t first, uint32_t count,
                         const kap_receipt_t *receipt)
{
    switch (receipt->status) {
    case KAP_RECEIPT_OK:
        take_verdicts(p, first, count, receipt);
        break;
    case KAP_RECEIPT_GAP:
        go_back(p, receipt->expected, false);
        break;
    case KAP_RECEIPT_BUSY:
    case KAP_RECEIPT_DISK:
    case KAP_RECEIPT_RECOVERING:
        go_back(p, receipt->expected, true);
        break;
    case KAP_RECEIPT_CONFLICT:
        fail(p, KAP_E_CONFLICT);
        break;
    case KAP_RECEIPT_FOREIGN:
        kap_buf_printf(p->opts->why, "our key may not publish as %.*s",
                       KAP_SPAN_ARGS(kap_logmap_source(p->opts->map)));
        fail(p, KAP_E_DENIED);
        break;
    default:
        kap_buf_str(p->opts->why, "a receipt with a status this program does not know");
        fail(p, KAP_E_INVALID);
        break;
    }
}

/* The answer's one map: a receipt, or why the request was not understood. */
static void read_answer(publisher_t *p, uint64_t first, uint32_t count, const kap_header_t *header,
                        const kap_msg_t *answer)
{
    kap_span_t rest = kap_msg_frame(answer, 1), map;
    kap_receipt_t receipt;
    kap_answer_t error;
    const char *why = "no payload";

    kap_arena_reset(p->arena);
    if (kap_bins_next(&rest, &map) != 1)
        map = kap_span(NULL, 0);
    if (header->verb == KAP_VERB_RECEIPT &&
        kap_receipt_decode(map, p->arena, &receipt, &why) == KAP_OK) {
        take_receipt(p, first, count, &receipt);
        return;
    }
    if (header->verb != KAP_VERB_RECEIPT &&
        kap_answer_decode(map, p->arena, &error, &why) == KAP_OK && error.refusal)
        kap_buf_printf(p->opts->why, "the broker says: %.*s", KAP_SPAN_ARGS(error.sentence));
    else
        kap_buf_printf(p->opts->why, "an answer that cannot be read: %s", why);
    fail(p, KAP_E_INVALID);
}

/* --- the window --- */

static void settle(publisher_t *p)
{
    if (p->rc || (!p->waiting && !p->timer))
        p->done = true;
}

static void after_pause(void *arg)
{
    publisher_t *p = arg;

    kap_timer_stop(&p->timer);
    send_more(p);
    settle(p);
}

static bool stalled(publisher_t *p)
{
    if (kap_monotonic_ms() - p->moved_at < KAP_PUBLISH_STALL_MS)
        return false;
    kap_buf_printf(p->opts->why, "the broker has taken nothing for %d seconds and says: later",
                   KAP_PUBLISH_STALL_MS / 1000);
    fail(p, KAP_E_TIMEOUT);
    return true;
}

/* The window is empty: back to what the broker expects, now or after a pause. */
static void turn(publisher_t *p)
{
    uint64_t total = kap_logmap_total(p->opts->map);

    if (p->expected < 1 || p->expected > total + 1) {
        /* A number beyond our last event: the source holds another, longer import. */
        fail(p, KAP_E_CONFLICT);
        return;
    }
    if (stalled(p))
        return;
    bool pause = p->later;
    kap_logmap_seek(p->opts->map, p->expected);
    p->rewind = p->later = false;
    if (!pause) {
        send_more(p);
        return;
    }
    p->timer = kap_timer_start(p->opts->loop, p->pause_ms, 0, after_pause, p);
    if (!p->timer)
        fail(p, KAP_E_NOMEM);
    p->pause_ms = p->pause_ms * 2 < PAUSE_MAX_MS ? p->pause_ms * 2 : PAUSE_MAX_MS;
}

static void on_answer(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    slot_t *slot = arg;
    publisher_t *p = slot->p;
    uint32_t count = slot->count;

    slot->count = 0;
    p->waiting--;
    if (status)
        fail(p, status);
    else
        read_answer(p, slot->first, count, header, *answer);
    if (!p->rc && p->rewind && !p->waiting)
        turn(p);
    else if (!p->rc && !p->rewind)
        send_more(p);
    settle(p);
}

static slot_t *free_slot(publisher_t *p)
{
    for (size_t i = 0; i < KAP_PUBLISH_WINDOW; i++)
        if (!p->slots[i].count)
            return &p->slots[i];
    return NULL;
}

/* One request more; KAP_E_NOTFOUND when everything was sent. */
static int send_one(publisher_t *p, slot_t *slot)
{
    uint32_t count;
    int rc = pack(p, &slot->first, &count);

    if (rc)
        return rc;
    kap_span_t frame = kap_buf_span(&p->frame);
    kap_request_t request = {.verb = KAP_VERB_PUBLISH,
                             .source = kap_logmap_source(p->opts->map),
                             .first = slot->first,
                             .count = count,
                             .frames = &frame,
                             .frame_count = 1,
                             .timeout_ms = p->opts->timeout_ms};
    slot->p = p;
    rc = kap_client_request(p->opts->client, &request, on_answer, slot, &slot->ticket);
    if (rc)
        return rc;
    slot->count = count;
    p->waiting++;
    return KAP_OK;
}

static void send_more(publisher_t *p)
{
    slot_t *slot;

    while (!p->rc && !p->rewind && (slot = free_slot(p))) {
        int rc = send_one(p, slot);
        if (rc == KAP_E_NOTFOUND)
            return;
        fail(p, rc);
    }
}

/* Until everything is settled. Each request ends by its own time limit, so this does, too. */
static void run(publisher_t *p)
{
    while (!p->done) {
        int rc = kap_loop_run_until(p->opts->loop, &p->done, HOUR_MS);
        if (rc && rc != KAP_E_TIMEOUT) {
            fail(p, rc);
            return;
        }
    }
}

uint64_t kap_publish_begin_at(uint64_t mark)
{
    /* The window, each request one group longer than it need be. */
    const uint64_t window = KAP_PUBLISH_WINDOW * (KAP_PUBLISH_EVENTS + KAP_LIMIT_GROUP_EVENTS);

    return mark < window ? 1 : mark - window + 1;
}

int kap_publish_run(const kap_publish_opts_t *opts)
{
    publisher_t p = {.opts = opts,
                     .arena = kap_arena_new(64 * 1024),
                     .receipted = opts->first - 1,
                     .pause_ms = PAUSE_MS,
                     .moved_at = kap_monotonic_ms()};

    if (!p.arena)
        return KAP_E_NOMEM;
    kap_logmap_seek(opts->map, opts->first);
    send_more(&p);
    settle(&p);
    run(&p);
    if (!p.rc && p.receipted != kap_logmap_total(opts->map)) {
        kap_buf_str(opts->why, "the broker says it has events that it did not acknowledge");
        p.rc = KAP_E_INVALID;
    }
    for (size_t i = 0; i < KAP_PUBLISH_WINDOW; i++)
        if (p.slots[i].count)
            kap_client_cancel(opts->client, p.slots[i].ticket);
    if (p.timer)
        kap_timer_stop(&p.timer);
    kap_buf_fini(&p.frame);
    kap_arena_destroy(&p.arena);
    return p.rc;
}
