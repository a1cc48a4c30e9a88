/* SPDX-License-Identifier: MPL-2.0 */
#include "follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "client.h"
#include "cloudevents.h"
#include "err.h"
#include "folder.h"
#include "ids.h"
#include "log.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_LAST_MS  60000
#define IDLE_MS        30000 /* until the next look when no region is covered */
#define WAIT_MS        25000 /* a FETCH waits at the broker */

const kap_conf_key_t kap_follow_keys[] = {
    {"ely.feed", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Folder where the regions of this member's areas are followed, a file each; without it none "
     "is.",
     NULL, false},
    {"ely.feed_bytes", KAP_CONF_BYTES, "64MiB", 4096, INT64_C(1) << 34, NULL,
     "A feed's file is followed by a new one at this size.", NULL, false},
    {NULL}};

typedef struct {
    char region[KAP_LIMIT_ID_BYTES + 1];
    char stream[KAP_LIMIT_ID_BYTES + 8];
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    uint64_t seq;    /* the last one written */
    uint64_t first;  /* position that the file in hand begins with */
    uint64_t bytes;  /* of it that hold */
    kap_buf_t lines; /* of the answer in hand */
    uint64_t new_seq;
} feed_t;

typedef struct {
    kap_node_t *node;
    kap_folder_t *folder;
    kap_timer_t *timer;
    uint64_t ticket;
    int64_t pause_ms;
    feed_t *feeds[KAP_LIMIT_FETCH_STREAMS];
    size_t count;
} follow_t;

static void mark_key(const feed_t *feed, char out[KAP_LIMIT_ID_BYTES])
{
    snprintf(out, KAP_LIMIT_ID_BYTES, "feed/%.180s", feed->region);
}

/* "epoch seq first bytes" */
static int mark_put(follow_t *follow, const feed_t *feed)
{
    char key[KAP_LIMIT_ID_BYTES], epoch[2 * KAP_LIMIT_EPOCH_BYTES + 1], value[160];
    kap_act_result_t none;
    mark_key(feed, key);
    kap_hex_encode(feed->epoch, sizeof feed->epoch, epoch);
    snprintf(value, sizeof value, "%s %llu %llu %llu", epoch, (unsigned long long)feed->seq,
             (unsigned long long)feed->first, (unsigned long long)feed->bytes);
    kap_act_mark_t mark = {.key = kap_span_str(key), .value = kap_span_str(value)};
    return kap_act_submit_many(follow->node, NULL, 0, &mark, &none);
}

static int mark_get(follow_t *follow, feed_t *feed)
{
    char key[KAP_LIMIT_ID_BYTES], epoch[2 * KAP_LIMIT_EPOCH_BYTES + 1];
    unsigned long long seq, first, bytes;
    kap_buf_t value = {0};
    mark_key(feed, key);
    feed->first = 1;
    int rc = kap_act_mark_get(follow->node, kap_span_str(key), &value);
    if (rc == KAP_OK) {
        const char *text = kap_buf_cstr(&value);
        if (!text || sscanf(text, "%32s %llu %llu %llu", epoch, &seq, &first, &bytes) != 4 ||
            kap_hex_decode(kap_span_str(epoch), feed->epoch, sizeof feed->epoch) != KAP_OK) {
            rc = KAP_E_CORRUPT;
        } else {
            feed->seq = seq;
            feed->first = first;
            feed->bytes = bytes;
        }
    }
    kap_buf_fini(&value);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* --- which regions --- */

static feed_t *feed_find(const follow_t *follow, kap_span_t region)
{
    for (size_t i = 0; i < follow->count; i++)
        if (kap_span_eq_str(region, follow->feeds[i]->region))
            return follow->feeds[i];
    return NULL;
}

static int feed_add(follow_t *follow, kap_span_t region)
{
    feed_t *feed = calloc(1, sizeof *feed);
    if (!feed)
        return KAP_E_NOMEM;
    snprintf(feed->region, sizeof feed->region, "%.*s", KAP_SPAN_ARGS(region));
    snprintf(feed->stream, sizeof feed->stream, "region/%.*s", KAP_SPAN_ARGS(region));
    int rc = mark_get(follow, feed);
    if (rc != KAP_OK) {
        free(feed);
        return rc;
    }
    follow->feeds[follow->count++] = feed;
    return KAP_OK;
}

static void feed_free(feed_t *feed)
{
    kap_buf_fini(&feed->lines);
    free(feed);
}

/* Feeds of what the directory covers now; a region that is not any more is let go. */
static int regions_look(follow_t *follow)
{
    const kap_directory_t *dir = kap_node_directory(follow->node);
    const kap_member_t *self = kap_node_self(follow->node);
    int rc = KAP_OK;
    for (size_t i = 0; i < follow->count;) {
        const kap_region_t *region =
            kap_directory_region(dir, kap_span_str(follow->feeds[i]->region));
        if (self && region && kap_member_covers(self, region)) {
            i++;
            continue;
        }
        feed_free(follow->feeds[i]);
        follow->feeds[i] = follow->feeds[--follow->count];
    }
    for (uint32_t i = 0; rc == KAP_OK && self && i < kap_directory_region_count(dir); i++) {
        const kap_region_t *region = kap_directory_region_at(dir, i);
        if (kap_member_covers(self, region) && !feed_find(follow, region->id) &&
            follow->count < KAP_LIMIT_FETCH_STREAMS)
            rc = feed_add(follow, region->id);
    }
    return rc;
}

/* --- writing --- */

static void feed_name(const feed_t *feed, char out[KAP_FOLDER_NAME_BYTES])
{
    char ending[40];
    snprintf(ending, sizeof ending, "-%llu.jsonl", (unsigned long long)feed->first);
    kap_folder_name_of(kap_span_str(feed->region), ending, out);
}

static int feed_write(follow_t *follow, feed_t *feed)
{
    char name[KAP_FOLDER_NAME_BYTES];
    if (feed->lines.err)
        return feed->lines.err;
    if (feed->lines.size == 0)
        return KAP_OK;
    if (feed->bytes > (uint64_t)kap_conf_int(kap_node_conf(follow->node), "ely.feed_bytes")) {
        feed->first = feed->seq + 1;
        feed->bytes = 0;
    }
    feed_name(feed, name);
    int rc = kap_folder_append(follow->folder, name, feed->bytes, kap_buf_span(&feed->lines));
    if (rc == KAP_E_CORRUPT) { /* somebody took the file away: a new one goes on */
        feed->first = feed->seq + 1;
        feed->bytes = 0;
        feed_name(feed, name);
        rc = kap_folder_append(follow->folder, name, 0, kap_buf_span(&feed->lines));
    }
    if (rc != KAP_OK)
        return rc;
    feed->bytes += feed->lines.size;
    feed->seq = feed->new_seq;
    return mark_put(follow, feed);
}

static void line_put(feed_t *feed, const kap_event_meta_t *meta, const kap_event_t *ev)
{
    char at[KAP_TIME_TEXT];
    kap_time_format_utc(meta->committed_at, at);
    kap_buf_printf(&feed->lines,
                   "{\"stream\":\"%s\",\"seq\":%llu,\"log_seq\":%llu,\"committed_at\":\"%s\","
                   "\"verdict\":\"%s\",\"event\":",
                   feed->stream, (unsigned long long)meta->stream_seq,
                   (unsigned long long)meta->log_seq, at,
                   kap_code_name(KAP_LIST_VERDICT, meta->verdict));
    if (ev->type == KAP_EV_NONE || kap_cloudevents_json(ev, false, &feed->lines) != KAP_OK)
        kap_buf_str(&feed->lines, "null"); /* a type of a later version, or cut by retention */
    kap_buf_str(&feed->lines, "}\n");
    feed->new_seq = meta->stream_seq;
}

/* Four bins an event: meta, open, ends, sealed. */
static int event_take(follow_t *follow, kap_span_t *rest, kap_arena_t *arena)
{
    kap_span_t bins[4];
    kap_event_meta_t meta;
    kap_event_t ev;
    const char *why;
    for (int i = 0; i < 4; i++)
        if (kap_bins_next(rest, &bins[i]) != 1)
            return KAP_E_INVALID;
    if (kap_event_meta_decode(bins[0], arena, &meta, &why) != KAP_OK ||
        meta.stream >= follow->count)
        return KAP_E_INVALID;
    feed_t *feed = follow->feeds[meta.stream];
    if (meta.stream_seq <= feed->new_seq)
        return KAP_OK;
    ev = (kap_event_t){.type = KAP_EV_NONE};
    if (bins[1].size)
        kap_event_decode(bins[1], bins[2], bins[3], arena, &ev, NULL);
    line_put(feed, &meta, &ev);
    return KAP_OK;
}

static void restored(feed_t *feed, const kap_events_head_t *head, uint64_t kept_to)
{
    memcpy(feed->epoch, head->epoch, sizeof feed->epoch);
    if (kept_to >= feed->seq)
        return;
    kap_buf_printf(&feed->lines, "{\"stream\":\"%s\",\"restored\":true,\"kept_to\":%llu}\n",
                   feed->stream, (unsigned long long)kept_to);
    feed->new_seq = kept_to;
}

static int answer_take(follow_t *follow, const kap_msg_t *msg, kap_arena_t *arena)
{
    kap_events_head_t head;
    kap_span_t rest = kap_msg_frame(msg, 1), bin;
    const char *why;
    int rc = KAP_OK;
    if (kap_bins_next(&rest, &bin) != 1 ||
        kap_events_head_decode(bin, arena, &head, &why) != KAP_OK ||
        head.stream_count != follow->count)
        return KAP_E_INVALID;
    for (size_t i = 0; i < follow->count; i++) {
        feed_t *feed = follow->feeds[i];
        int status = head.streams[i].status;
        kap_buf_reset(&feed->lines);
        feed->new_seq = feed->seq;
        if (status == KAP_FETCH_EPOCH_CHANGED)
            restored(feed, &head, head.streams[i].kept_to);
        else if (status == KAP_FETCH_OK)
            memcpy(feed->epoch, head.epoch, sizeof feed->epoch);
        else
            rc = KAP_E_DENIED;
    }
    for (size_t f = 1; f < kap_msg_count(msg); f++) {
        if (f > 1)
            rest = kap_msg_frame(msg, f);
        while (rest.size) {
            int taken = event_take(follow, &rest, arena);
            if (taken != KAP_OK)
                return taken;
        }
    }
    for (size_t i = 0; i < follow->count; i++) {
        int written = feed_write(follow, follow->feeds[i]);
        rc = rc == KAP_OK ? written : rc;
    }
    return rc;
}

/* --- asking --- */

static void ask(void *arg);

static void again(follow_t *follow, int64_t delay_ms)
{
    kap_timer_again(follow->timer, delay_ms, 0);
}

static void later(follow_t *follow, int rc)
{
    follow->pause_ms = follow->pause_ms ? 2 * follow->pause_ms : PAUSE_FIRST_MS;
    if (follow->pause_ms > PAUSE_LAST_MS)
        follow->pause_ms = PAUSE_LAST_MS;
    KAP_LOG(KAP_LOG_WARN, "feed_waits", KAP_S("error", kap_err_text(rc)),
            KAP_I("pause_ms", follow->pause_ms));
    again(follow, follow->pause_ms);
}

static void answered(void *arg, int status, const kap_header_t *header, kap_msg_t **answer)
{
    follow_t *follow = arg;
    follow->ticket = 0;
    if (status == KAP_E_CLOSED)
        return;
    kap_arena_t *arena = kap_arena_new(65536);
    int rc = status;
    if (rc == KAP_OK)
        rc = !arena                            ? KAP_E_NOMEM
             : header->verb != KAP_VERB_EVENTS ? KAP_E_INVALID
                                               : answer_take(follow, *answer, arena);
    kap_arena_destroy(&arena);
    if (rc != KAP_OK) {
        later(follow, rc);
        return;
    }
    follow->pause_ms = 0;
    again(follow, 1);
}

static int request_send(follow_t *follow)
{
    kap_cursor_at_t at[KAP_LIMIT_FETCH_STREAMS];
    kap_buf_t map = {0};
    for (size_t i = 0; i < follow->count; i++) {
        at[i] = (kap_cursor_at_t){.stream = kap_span_str(follow->feeds[i]->stream),
                                  .seq = follow->feeds[i]->seq};
        memcpy(at[i].epoch, follow->feeds[i]->epoch, sizeof at[i].epoch);
    }
    kap_fetch_t fetch = {.after = at, .after_count = (uint32_t)follow->count, .wait_ms = WAIT_MS};
    kap_fetch_encode(&map, &fetch);
    int rc =
        kap_client_ask(kap_node_client(follow->node), KAP_VERB_FETCH, &map,
                       WAIT_MS + KAP_LIMIT_RESEND_MARGIN_MS, answered, follow, &follow->ticket);
    kap_buf_fini(&map);
    return rc;
}

static void ask(void *arg)
{
    follow_t *follow = arg;
    int rc = follow->ticket ? KAP_OK : regions_look(follow);
    if (rc == KAP_OK && !follow->ticket) {
        if (follow->count == 0) {
            again(follow, IDLE_MS);
            return;
        }
        rc = request_send(follow);
    }
    if (rc != KAP_OK)
        later(follow, rc);
}

/* --- life --- */

int kap_follow_start(kap_node_t *node, void **state)
{
    const char *path = kap_conf_str(kap_node_conf(node), "ely.feed");
    *state = NULL;
    if (!path)
        return KAP_OK;
    follow_t *follow = calloc(1, sizeof *follow);
    if (!follow)
        return KAP_E_NOMEM;
    follow->node = node;
    int rc = kap_folder_open(NULL, path, 0750, &follow->folder);
    if (rc == KAP_OK) {
        follow->timer = kap_timer_start(kap_node_loop(node), 0, 0, ask, follow);
        rc = follow->timer ? KAP_OK : KAP_E_NOMEM;
    }
    *state = follow;
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "feed_folder", KAP_S("path", path),
                KAP_S("error", kap_err_text(rc)));
        kap_follow_stop(state);
    }
    return rc;
}

void kap_follow_stop(void **state)
{
    follow_t *follow = *state;
    *state = NULL;
    if (!follow)
        return;
    if (follow->ticket)
        kap_client_cancel(kap_node_client(follow->node), follow->ticket);
    kap_timer_stop(&follow->timer);
    for (size_t i = 0; i < follow->count; i++)
        feed_free(follow->feeds[i]);
    kap_folder_close(&follow->folder);
    free(follow);
}
