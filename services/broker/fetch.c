/* SPDX-License-Identifier: MPL-2.0 */
#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "err.h"
#include "log.h"
#include "map.h"
#include "rows.h"
#include "segment.h"
#include "seeded.h"

enum {
    SEGMENTS_MAX = 60, /* of one answer: frames, the status map's aside */
    SHARED_MAX = 256,  /* places for segments that the next request may want too; a guess */
    SHARED_BYTES_MAX = 4 << 20,
    BLOCKED_EVERY_MS = 5,
};

typedef enum { RUNNING, COLD, WAITING, BLOCKED, READY } phase_t;

typedef struct fetch fetch_t;
typedef struct conn conn_t;
typedef struct cold cold_t;

/* One stream of a request. */
typedef struct cursor {
    fetch_t *fetch;
    kap_span_t name;
    kap_stream_t *stream; /* NULL: not looked at, or may not be read */
    uint64_t seq;
    bool old_epoch;
    uint64_t kept_log, kept_to; /* old epoch: what was kept of the log; of the stream, once known */
    bool kept_known;
    int status; /* KAP_FETCH_ */
    kap_segment_t *segment;
    struct cursor *next, **prev; /* in stream->waiting, while the request waits */
} cursor_t;

struct fetch {
    kap_fetcher_t *fetcher;
    fetch_t *next, **prev; /* all of the fetcher */
    fetch_t *line;         /* next in the ready line, the blocked line or behind a cold read */
    fetch_t *sibling;      /* next of the connection */
    conn_t *conn;          /* NULL: cancelled while a cold read runs */
    kap_account_t *account;
    kap_timer_t *timer;
    phase_t phase;
    char key[41];
    uint8_t req[KAP_LIMIT_REQ_BYTES];
    size_t req_size;
    int64_t wait_until; /* monotonic */
    uint32_t max;
    size_t max_bytes;
    uint32_t count, start, at; /* cursors; where a run starts; how many it looked at */
    uint32_t events, segments; /* taken in this run */
    size_t bytes;
    cursor_t cursors[];
};

struct conn {
    uint32_t peer, count;
    fetch_t *first;
};

/* A read from the store, and the requests that want just this. */
struct cold {
    kap_work_t work; /* first: the reader hands it back */
    kap_fetcher_t *fetcher;
    kap_segment_key_t key;
    kap_segment_t *segment;
    fetch_t *line;
    cold_t *next;
};

typedef struct {
    fetch_t *first, **last;
} line_t;

struct kap_fetcher {
    kap_fetch_host_t host;
    kap_map_t *conns;
    fetch_t *all;
    line_t ready, blocked;
    cold_t *colds;
    kap_segment_t *shared[SHARED_MAX];
    size_t shared_bytes;
    kap_timer_t *timer; /* runs while anything is blocked */
    kap_arena_t *arena;
    kap_buf_t map, bin; /* scratch */
    kap_fetch_counts_t counts;
};

static void run(fetch_t *f);

static void line_init(line_t *line)
{
    line->first = NULL;
    line->last = &line->first;
}

static void line_put(line_t *line, fetch_t *f)
{
    f->line = NULL;
    *line->last = f;
    line->last = &f->line;
}

static fetch_t *line_take(line_t *line)
{
    fetch_t *f = line->first;
    if (f) {
        line->first = f->line;
        if (!line->first)
            line->last = &line->first;
    }
    return f;
}

static void line_remove(line_t *line, fetch_t *f)
{
    for (fetch_t **at = &line->first; *at; at = &(*at)->line) {
        if (*at != f)
            continue;
        *at = f->line;
        if (!f->line)
            line->last = at;
        return;
    }
}

/* --- a request's life --- */

static kap_span_t req_of(const fetch_t *f)
{
    return kap_span(f->req, f->req_size);
}

/* Gives back what a run has taken, to start anew. */
static void rewind_run(fetch_t *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        kap_segment_unref(&f->cursors[i].segment);
        f->cursors[i].status = KAP_FETCH_OK;
    }
    f->at = f->events = f->segments = 0;
    f->bytes = 0;
}

static void unlist(fetch_t *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        cursor_t *cursor = &f->cursors[i];
        if (!cursor->prev)
            continue;
        *cursor->prev = cursor->next;
        if (cursor->next)
            cursor->next->prev = cursor->prev;
        cursor->prev = NULL;
    }
}

static void leave_conn(fetch_t *f)
{
    conn_t *conn = f->conn;
    for (fetch_t **at = &conn->first; *at; at = &(*at)->sibling) {
        if (*at == f) {
            *at = f->sibling;
            break;
        }
    }
    f->conn = NULL;
    if (--conn->count > 0)
        return;
    (void)kap_map_remove(f->fetcher->conns, kap_span(&conn->peer, sizeof conn->peer));
    free(conn);
}

static void free_fetch(fetch_t *f)
{
    rewind_run(f);
    if (f->timer)
        kap_timer_stop(&f->timer);
    *f->prev = f->next;
    if (f->next)
        f->next->prev = f->prev;
    kap_account_unwait(f->account);
    free(f);
}

/* Ends a request, whatever it is doing. While a cold read runs, the read frees it. */
static void drop(fetch_t *f)
{
    leave_conn(f);
    if (f->phase == COLD)
        return;
    if (f->phase == WAITING) {
        unlist(f);
        f->fetcher->counts.waiting--;
    }
    if (f->phase == BLOCKED) {
        line_remove(&f->fetcher->blocked, f);
        f->fetcher->counts.blocked--;
    }
    if (f->phase == READY)
        line_remove(&f->fetcher->ready, f);
    free_fetch(f);
}

/* --- answers --- */

/* The status map as a blob of one bin object. */
static kap_blob_t *head_blob(fetch_t *f)
{
    kap_fetcher_t *fetcher = f->fetcher;
    kap_stream_state_t states[KAP_LIMIT_FETCH_STREAMS];
    kap_events_head_t head = {.streams = states, .stream_count = f->count};
    memcpy(head.epoch, fetcher->host.epoch, sizeof head.epoch);
    kap_ring_head(fetcher->host.ring, &head.as_of_seq, &head.as_of_time);
    for (uint32_t i = 0; i < f->count; i++) {
        const cursor_t *cursor = &f->cursors[i];
        bool known = cursor->stream && cursor->stream->known;
        states[i] = (kap_stream_state_t){.stream = cursor->name,
                                         .status = cursor->status,
                                         .kept_to = cursor->kept_to,
                                         .head = known ? cursor->stream->head : cursor->seq};
    }
    kap_buf_reset(&fetcher->map);
    kap_buf_reset(&fetcher->bin);
    kap_events_head_encode(&fetcher->map, &head);
    kap_bin_put(&fetcher->bin, kap_buf_span(&fetcher->map));
    if (fetcher->map.err || fetcher->bin.err)
        return NULL;
    kap_blob_t *blob = kap_blob_new(fetcher->bin.size);
    if (blob)
        memcpy(kap_blob_data(blob), fetcher->bin.data, fetcher->bin.size);
    return blob;
}

/* Puts the blob, counted, into the answer; what it lends is given back after the send. */
static bool lend(fetch_t *f, kap_blob_t *blob, kap_blob_t **out)
{
    if (!blob)
        return false;
    *out = kap_account_lend(f->account, blob);
    return *out != NULL;
}

/* Sends what the request has and ends it. */
static void answer(fetch_t *f)
{
    kap_fetcher_t *fetcher = f->fetcher;
    kap_blob_t *blobs[SEGMENTS_MAX + 1];
    size_t n = 0, bytes = 0;
    kap_blob_t *head = head_blob(f);
    bool whole = lend(f, head, &blobs[n]);
    n += whole;
    for (uint32_t i = 0; whole && i < f->count; i++) {
        kap_segment_t *segment = f->cursors[(f->start + i) % f->count].segment;
        if (!segment || segment->count == 0)
            continue;
        bytes += kap_blob_size(segment->blob);
        whole = lend(f, segment->blob, &blobs[n]);
        n += whole;
    }
    int rc = KAP_E_NOMEM;
    if (whole)
        rc = fetcher->host.send(fetcher->host.arg, f->conn->peer, req_of(f), f->events, blobs, n);
    while (n > 0)
        kap_blob_unref(&blobs[--n]);
    kap_blob_unref(&head);
    if (rc == KAP_OK) {
        fetcher->counts.answers++;
        fetcher->counts.events += f->events;
        fetcher->counts.bytes += bytes;
    } else {
        fetcher->counts.lost++;
    }
    drop(f);
}

/* An answer without events that says the same of every stream. */
static void answer_all(fetch_t *f, int status)
{
    rewind_run(f);
    for (uint32_t i = 0; i < f->count; i++)
        f->cursors[i].status = status;
    answer(f);
}

static void refuse(fetch_t *f, uint16_t refusal)
{
    const kap_fetch_host_t *host = &f->fetcher->host;
    host->refuse(host->arg, f->conn->peer, req_of(f), refusal, NULL);
    drop(f);
}

/* --- waiting --- */

/* A waiting request looks at everything anew: who asks, what may be read, what is there. */
static void run_again(fetch_t *f)
{
    unlist(f);
    f->fetcher->counts.waiting--;
    f->phase = RUNNING;
    rewind_run(f);
    run(f);
}

static void on_wait_over(void *arg)
{
    fetch_t *f = arg;
    if (f->phase != WAITING)
        return;
    f->wait_until = kap_monotonic_ms(); /* whatever the timer's clock says */
    run_again(f);
}

static void wait(fetch_t *f, int64_t left_ms)
{
    for (uint32_t i = 0; i < f->count; i++) {
        cursor_t *cursor = &f->cursors[i];
        cursor_t *first = cursor->stream->waiting;
        cursor->next = first;
        if (first)
            first->prev = &cursor->next;
        cursor->prev = (cursor_t **)&cursor->stream->waiting;
        cursor->stream->waiting = cursor;
    }
    f->phase = WAITING;
    f->fetcher->counts.waiting++;
    if (f->timer)
        kap_timer_again(f->timer, left_ms, 0);
    else
        f->timer = kap_timer_start(f->fetcher->host.loop, left_ms, 0, on_wait_over, f);
    if (!f->timer)
        drop(f);
}

/* One look at everybody who does not read: who has room again goes on, the others keep their place
 * behind those that were not served. */
static void on_blocked(void *arg)
{
    kap_fetcher_t *fetcher = arg;
    for (uint32_t n = fetcher->counts.blocked; n > 0; n--) {
        fetch_t *f = line_take(&fetcher->blocked);
        fetcher->counts.blocked--;
        f->phase = RUNNING;
        run(f);
    }
    if (fetcher->counts.blocked == 0)
        kap_timer_stop(&fetcher->timer);
}

static void block(fetch_t *f)
{
    kap_fetcher_t *fetcher = f->fetcher;
    rewind_run(f);
    f->phase = BLOCKED;
    line_put(&fetcher->blocked, f);
    fetcher->counts.blocked++;
    if (!fetcher->timer)
        fetcher->timer = kap_timer_start(fetcher->host.loop, BLOCKED_EVERY_MS, BLOCKED_EVERY_MS,
                                         on_blocked, fetcher);
}

/* --- segments --- */

static void let_go(kap_fetcher_t *fetcher, kap_segment_t **place)
{
    if (*place)
        fetcher->shared_bytes -= kap_blob_size((*place)->blob);
    kap_segment_unref(place);
}

/* With a new batch a segment that ended at the head may go on; a full one stays as it is. */
static void forget_shared(kap_fetcher_t *fetcher, bool all)
{
    for (int i = 0; i < SHARED_MAX; i++) {
        if (fetcher->shared[i] && (all || !fetcher->shared[i]->full))
            let_go(fetcher, &fetcher->shared[i]);
    }
}

static void share(kap_fetcher_t *fetcher, kap_segment_t *segment)
{
    if (segment->count == 0)
        return;
    if (fetcher->shared_bytes > SHARED_BYTES_MAX)
        forget_shared(fetcher, true);
    kap_segment_t **place = &fetcher->shared[kap_segment_key_hash(&segment->key) % SHARED_MAX];
    let_go(fetcher, place);
    *place = kap_segment_ref(segment);
    fetcher->shared_bytes += kap_blob_size(segment->blob);
}

static kap_segment_t *find_shared(kap_fetcher_t *fetcher, const kap_segment_key_t *key)
{
    kap_segment_t *segment = fetcher->shared[kap_segment_key_hash(key) % SHARED_MAX];
    if (!segment || !kap_segment_key_eq(&segment->key, key))
        return NULL;
    fetcher->counts.shared++;
    return kap_segment_ref(segment);
}

static int cold_step(kap_work_t *work, kap_txn_t *txn)
{
    cold_t *cold = (cold_t *)work;
    return kap_segment_cold(&cold->key, txn, &cold->segment);
}

/* The read is over: everybody who waited for it goes on. */
static void cold_done(kap_work_t *work, int rc)
{
    cold_t *cold = (cold_t *)work;
    kap_fetcher_t *fetcher = cold->fetcher;
    for (cold_t **at = &fetcher->colds; *at; at = &(*at)->next) {
        if (*at == cold) {
            *at = cold->next;
            break;
        }
    }
    if (rc == KAP_OK) {
        kap_ring_learn((kap_stream_t *)cold->key.stream, cold->segment->head);
        share(fetcher, cold->segment);
    } else if (rc != KAP_E_CLOSED) {
        KAP_LOG(KAP_LOG_ERROR, "fetch_failed", KAP_SP("stream", cold->key.stream->name),
                KAP_S("error", kap_err_text(rc)));
    }
    for (fetch_t *f = cold->line, *next; f; f = next) {
        next = f->line;
        f->phase = RUNNING;
        if (!f->conn) {
            free_fetch(f);
        } else if (rc == KAP_OK) {
            f->cursors[(f->start + f->at) % f->count].segment = kap_segment_ref(cold->segment);
            run(f);
        } else if (rc == KAP_E_CLOSED) {
            drop(f);
        } else {
            answer_all(f, KAP_FETCH_BUSY);
        }
    }
    kap_segment_unref(&cold->segment);
    free(cold);
}

/* Lets the reader build the segment; requests for the same share one read. */
static void go_cold(fetch_t *f, const kap_segment_key_t *key)
{
    kap_fetcher_t *fetcher = f->fetcher;
    cold_t *cold = fetcher->colds;
    while (cold && !kap_segment_key_eq(&cold->key, key))
        cold = cold->next;
    if (!cold) {
        cold = calloc(1, sizeof *cold);
        if (!cold) {
            answer_all(f, KAP_FETCH_BUSY);
            return;
        }
        cold->work = (kap_work_t){.step = cold_step, .done = cold_done};
        cold->fetcher = fetcher;
        cold->key = *key;
        cold->next = fetcher->colds;
        fetcher->colds = cold;
        fetcher->counts.cold++;
        kap_reader_submit(fetcher->host.reader, &cold->work);
    }
    f->phase = COLD;
    f->line = cold->line;
    cold->line = f;
}

/* --- a run over the cursors --- */

typedef enum { LOOK_NEXT, LOOK_FULL, LOOK_AWAY } look_t;

/* Segments are of the whole size asked for, so that requests share them wherever a stream stands in
 * them; one that has no room any more waits for the next request. */
static look_t take(fetch_t *f, cursor_t *cursor)
{
    const kap_segment_t *segment = cursor->segment;
    size_t bytes = kap_blob_size(segment->blob);
    if (f->segments > 0 &&
        (f->events + segment->count > f->max || f->bytes + bytes > f->max_bytes)) {
        kap_segment_unref(&cursor->segment);
        return LOOK_FULL;
    }
    f->events += segment->count;
    f->bytes += bytes;
    f->segments++;
    return LOOK_NEXT;
}

/* The segment under the key, remembered or built of the ring; NULL: out of memory. */
static kap_segment_t *hot_segment(kap_fetcher_t *fetcher, const kap_segment_key_t *key)
{
    kap_segment_t *segment = find_shared(fetcher, key);
    if (!segment && kap_segment_hot(key, &segment) == KAP_OK) {
        fetcher->counts.hot++;
        share(fetcher, segment);
    }
    return segment;
}

/* A cursor of an epoch that ended: how far it still holds is counted in the store, once. */
static look_t look_back(fetch_t *f, cursor_t *cursor, unsigned parts)
{
    kap_segment_key_t key = {.stream = cursor->stream,
                             .index = (uint32_t)(cursor - f->cursors),
                             .parts = parts,
                             .kept_to = cursor->kept_log};
    if (cursor->segment && cursor->segment->key.kept_to > 0) {
        cursor->kept_to = cursor->segment->last;
        cursor->kept_known = true;
    }
    kap_segment_unref(&cursor->segment);
    if (cursor->kept_log > 0 && !cursor->kept_known) {
        go_cold(f, &key);
        return LOOK_AWAY;
    }
    cursor->status = KAP_FETCH_EPOCH_CHANGED;
    return LOOK_NEXT;
}

static unsigned may_read(const fetch_t *f, const kap_member_t *who, const cursor_t *cursor)
{
    const kap_fetch_host_t *host = &f->fetcher->host;
    if (KAP_SEEDED_BUG("replay_unchecked") && cursor->seq == 0)
        return ~0u;
    return host->may_read(host->arg, who, cursor->name);
}

/* Looks at one cursor. LOOK_FULL: the answer has no room for it; LOOK_AWAY: the request went
 * elsewhere and is not to be touched. */
static look_t look(fetch_t *f, const kap_member_t *who, cursor_t *cursor)
{
    kap_fetcher_t *fetcher = f->fetcher;
    const kap_fetch_host_t *host = &fetcher->host;
    unsigned parts = may_read(f, who, cursor);
    if (parts == 0 || !(cursor->stream = kap_ring_stream(host->ring, cursor->name))) {
        cursor->status = parts == 0 ? KAP_FETCH_NOT_ALLOWED : KAP_FETCH_BUSY;
        kap_segment_unref(&cursor->segment);
        return LOOK_NEXT;
    }
    if (cursor->old_epoch)
        return look_back(f, cursor, parts);
    if (cursor->segment && cursor->segment->count > 0 && cursor->segment->key.parts == parts)
        return take(f, cursor);
    kap_segment_unref(&cursor->segment);
    kap_stream_t *stream = cursor->stream;
    kap_segment_key_t key = {.stream = stream,
                             .index = (uint32_t)(cursor - f->cursors),
                             .parts = parts,
                             .after = cursor->seq,
                             .max = f->max,
                             .max_bytes = f->max_bytes};
    if (!stream->known || cursor->seq + 1 < stream->first) {
        cursor->segment = stream->known ? find_shared(fetcher, &key) : NULL;
        if (cursor->segment)
            return take(f, cursor);
        go_cold(f, &key);
        return LOOK_AWAY;
    } else if (cursor->seq > stream->head) {
        cursor->status = KAP_FETCH_AHEAD;
    } else if (cursor->seq < stream->head) {
        cursor->segment = hot_segment(fetcher, &key);
        if (cursor->segment)
            return take(f, cursor);
        cursor->status = KAP_FETCH_BUSY;
    }
    return LOOK_NEXT;
}

/* The last moment before a send: are these still the parts that may be read? */
static bool still_may(fetch_t *f, const kap_member_t *who)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const kap_segment_t *segment = f->cursors[i].segment;
        if (segment && may_read(f, who, &f->cursors[i]) != segment->key.parts)
            return false;
    }
    return true;
}

/* Everything was looked at: answer, or wait. */
static void conclude(fetch_t *f, const kap_member_t *who)
{
    bool says = f->events > 0;
    for (uint32_t i = 0; i < f->count; i++)
        says = says || f->cursors[i].status != KAP_FETCH_OK;
    int64_t left_ms = f->wait_until - kap_monotonic_ms();
    if (!says && left_ms > 0) {
        wait(f, left_ms);
        return;
    }
    if (!still_may(f, who)) {
        rewind_run(f);
        run(f);
        return;
    }
    answer(f);
}

static void run(fetch_t *f)
{
    const kap_fetch_host_t *host = &f->fetcher->host;
    const kap_member_t *who = host->who(host->arg, f->key);
    if (!who) {
        refuse(f, KAP_REFUSAL_NOT_ALLOWED_KEY);
        return;
    }
    if (!kap_account_reads(f->account)) {
        block(f);
        return;
    }
    look_t got = LOOK_NEXT;
    while (got == LOOK_NEXT && f->at < f->count && f->events < f->max &&
           f->bytes < f->max_bytes / 4 * 3 + 1 && f->segments < SEGMENTS_MAX) {
        got = look(f, who, &f->cursors[(f->start + f->at) % f->count]);
        if (got == LOOK_AWAY)
            return;
        f->at++;
    }
    conclude(f, who);
}

/* --- requests --- */

static bool names_one_of(const fetch_t *f, const kap_fetch_t *request)
{
    for (uint32_t i = 0; i < f->count; i++) {
        for (uint32_t k = 0; k < request->after_count; k++) {
            if (kap_span_eq(f->cursors[i].name, request->after[k].stream))
                return true;
        }
    }
    return false;
}

/* Older requests of the connection that name a stream of the new one are over. */
static void replace(conn_t *conn, const kap_fetch_t *request, kap_span_t req)
{
    for (fetch_t *f = conn->first, *next; f; f = next) {
        next = f->sibling;
        bool last = conn->count == 1;
        if (!names_one_of(f, request))
            continue;
        if (kap_span_eq(req_of(f), req))
            drop(f); /* the same asked again: the new one answers for both */
        else
            answer_all(f, KAP_FETCH_REPLACED);
        if (last)
            return; /* the connection went with it */
    }
}

static conn_t *conn_of(kap_fetcher_t *fetcher, uint32_t peer)
{
    conn_t *conn = kap_map_get(fetcher->conns, kap_span(&peer, sizeof peer));
    if (conn)
        return conn;
    conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->peer = peer;
    if (kap_map_put(fetcher->conns, kap_span(&conn->peer, sizeof conn->peer), conn) != KAP_OK) {
        free(conn);
        return NULL;
    }
    return conn;
}

/* A cursor of all zeroes was never read before: any epoch is right for it. */
static bool is_old(const kap_fetcher_t *fetcher, const kap_cursor_at_t *at)
{
    static const uint8_t never[KAP_LIMIT_EPOCH_BYTES];
    if (memcmp(at->epoch, fetcher->host.epoch, sizeof at->epoch) == 0 ||
        KAP_SEEDED_BUG("epoch_ignored"))
        return false;
    return at->seq > 0 || memcmp(at->epoch, never, sizeof never) != 0;
}

static fetch_t *fetch_new(kap_fetcher_t *fetcher, const char *key, kap_span_t req,
                          const kap_fetch_t *request)
{
    size_t names = 0;
    uint64_t places = 0;
    for (uint32_t i = 0; i < request->after_count; i++)
        names += request->after[i].stream.size;
    size_t cursors = request->after_count * sizeof(cursor_t);
    fetch_t *f = calloc(1, sizeof *f + cursors + names);
    if (!f)
        return NULL;
    f->fetcher = fetcher;
    snprintf(f->key, sizeof f->key, "%s", key);
    memcpy(f->req, req.data, req.size);
    f->req_size = req.size;
    f->wait_until = kap_monotonic_ms() + request->wait_ms;
    f->max = request->max;
    f->max_bytes = request->max_bytes;
    f->count = request->after_count;
    uint8_t *name = (uint8_t *)f->cursors + cursors;
    for (uint32_t i = 0; i < f->count; i++) {
        const kap_cursor_at_t *at = &request->after[i];
        memcpy(name, at->stream.data, at->stream.size);
        f->cursors[i] = (cursor_t){.fetch = f,
                                   .name = kap_span(name, at->stream.size),
                                   .seq = at->seq,
                                   .old_epoch = is_old(fetcher, at),
                                   .kept_log = kap_ended_kept(fetcher->host.ended, at->epoch),
                                   .status = KAP_FETCH_OK};
        name += at->stream.size;
        places += at->seq;
    }
    /* Not always the same stream comes first; equal requests look in the same order. */
    f->start = (uint32_t)(places % f->count);
    return f;
}

static void join(kap_fetcher_t *fetcher, conn_t *conn, kap_account_t *account, fetch_t *f)
{
    f->account = account;
    f->conn = conn;
    f->sibling = conn->first;
    conn->first = f;
    conn->count++;
    f->next = fetcher->all;
    f->prev = &fetcher->all;
    if (f->next)
        f->next->prev = &f->next;
    fetcher->all = f;
}

void kap_fetcher_request(kap_fetcher_t *fetcher, uint32_t peer, const char *key,
                         const kap_member_t *who, kap_span_t req, kap_span_t body)
{
    const kap_fetch_host_t *host = &fetcher->host;
    kap_fetch_t request;
    const char *why = NULL;
    fetcher->counts.requests++;
    kap_arena_reset(fetcher->arena);
    int rc = kap_fetch_decode(body, fetcher->arena, &request, &why);
    if (rc != KAP_OK) {
        host->refuse(host->arg, peer, req, KAP_REFUSAL_REQUEST_BODY, why);
        return;
    }
    conn_t *conn = kap_map_get(fetcher->conns, kap_span(&peer, sizeof peer));
    if (conn)
        replace(conn, &request, req);
    kap_account_t *account = kap_budget_account(host->budget, who->id);
    conn = conn_of(fetcher, peer);
    bool room = conn && conn->count < KAP_LIMIT_FETCH_OUTSTANDING;
    fetch_t *f = room ? fetch_new(fetcher, key, req, &request) : NULL;
    if (!f || !account || !kap_account_wait(account)) {
        free(f);
        if (conn && conn->count == 0)
            free(kap_map_remove(fetcher->conns, kap_span(&peer, sizeof peer)));
        host->refuse(host->arg, peer, req, KAP_REFUSAL_REQUEST_LIMIT,
                     "too many FETCH requests wait");
        return;
    }
    join(fetcher, conn, account, f);
    run(f);
}

/* A stream got events: who waits for it is ready. */
static void on_touch(void *arg, kap_stream_t *stream)
{
    kap_fetcher_t *fetcher = arg;
    while (stream->waiting) {
        fetch_t *f = ((cursor_t *)stream->waiting)->fetch;
        unlist(f);
        fetcher->counts.waiting--;
        f->phase = READY;
        line_put(&fetcher->ready, f);
    }
}

void kap_fetcher_batch(kap_fetcher_t *fetcher, kap_batch_t *batch)
{
    forget_shared(fetcher, false);
    kap_ring_push(fetcher->host.ring, batch, on_touch, fetcher);
    for (fetch_t *f; (f = line_take(&fetcher->ready)) != NULL;) {
        f->phase = RUNNING;
        rewind_run(f);
        run(f);
    }
}

void kap_fetcher_recheck(kap_fetcher_t *fetcher)
{
    for (fetch_t *f = fetcher->all, *next; f; f = next) {
        next = f->next;
        if (f->phase == WAITING && !KAP_SEEDED_BUG("waits_when_revoked"))
            run_again(f);
    }
}

kap_fetcher_t *kap_fetcher_new(const kap_fetch_host_t *host)
{
    kap_fetcher_t *fetcher = calloc(1, sizeof *fetcher);
    if (!fetcher)
        return NULL;
    fetcher->host = *host;
    line_init(&fetcher->ready);
    line_init(&fetcher->blocked);
    fetcher->conns = kap_map_new();
    fetcher->arena = kap_arena_new(16384);
    if (!fetcher->conns || !fetcher->arena)
        kap_fetcher_destroy(&fetcher);
    return fetcher;
}

void kap_fetcher_destroy(kap_fetcher_t **handle)
{
    kap_fetcher_t *fetcher = *handle;
    if (!fetcher)
        return;
    while (fetcher->all)
        drop(fetcher->all);
    forget_shared(fetcher, true);
    if (fetcher->timer)
        kap_timer_stop(&fetcher->timer);
    kap_map_destroy(&fetcher->conns);
    kap_arena_destroy(&fetcher->arena);
    kap_buf_fini(&fetcher->map);
    kap_buf_fini(&fetcher->bin);
    free(fetcher);
    *handle = NULL;
}

void kap_fetcher_counts(const kap_fetcher_t *fetcher, kap_fetch_counts_t *out)
{
    *out = fetcher->counts;
}
