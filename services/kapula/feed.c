/* SPDX-License-Identifier: MPL-2.0 */
#include "feed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "ids.h"

enum { WAIT_MS = 20000, AGAIN_US = 100000, EPOCH_HEX = 2 * KAP_LIMIT_EPOCH_BYTES };

const char *kap_feed_stream(kap_cli_t *cli, const char *stream, const char *region,
                            char owned[KAP_FEED_STREAM])
{
    if (stream)
        return stream;
    region = kap_cli_region(cli, region);
    if (!region)
        return NULL;
    snprintf(owned, KAP_FEED_STREAM, "region/%s", region);
    return owned;
}

int kap_feed_cursor_parse(const char *text, kap_cursor_at_t *at)
{
    unsigned long long seq;
    char end;
    memset(at->epoch, 0, sizeof at->epoch);
    at->seq = 0;
    if (strcmp(text, "start") == 0)
        return KAP_OK;
    if (strlen(text) < EPOCH_HEX + 2 || text[EPOCH_HEX] != ':' ||
        kap_hex_decode(kap_span(text, EPOCH_HEX), at->epoch, sizeof at->epoch) != KAP_OK ||
        sscanf(text + EPOCH_HEX + 1, "%19llu%c", &seq, &end) != 1)
        return KAP_E_INVALID;
    at->seq = seq;
    return KAP_OK;
}

void kap_feed_cursor_text(const uint8_t epoch[KAP_LIMIT_EPOCH_BYTES], uint64_t seq, char out[64])
{
    kap_hex_encode(epoch, KAP_LIMIT_EPOCH_BYTES, out);
    snprintf(out + EPOCH_HEX, 64 - EPOCH_HEX, ":%llu", (unsigned long long)seq);
}

/* One FETCH; the answer's frames are copied into the arena, `head` and `rest` point there. */
static int fetch(kap_cli_t *cli, const kap_feed_t *feed, uint32_t max, uint32_t wait_ms,
                 kap_events_head_t *head, kap_span_t *rest, int *more)
{
    kap_cursor_at_t at = feed->at;
    at.stream = kap_span_str(feed->stream);
    kap_fetch_t request = {.after = &at, .after_count = 1, .max = max, .wait_ms = wait_ms};
    kap_buf_t map;
    kap_span_t frames[KAP_LIMIT_FRAMES], first;
    size_t count = 0;
    const char *why = "no payload";
    kap_buf_init(&map);
    kap_fetch_encode(&map, &request);
    int code = kap_cli_ask_frames(cli, KAP_VERB_FETCH, kap_buf_span(&map), wait_ms + 10000, frames,
                                  KAP_LIMIT_FRAMES, &count);
    kap_buf_fini(&map);
    if (code != 0)
        return code;
    if (count == 0 || kap_bins_next(&frames[0], &first) != 1 ||
        kap_events_head_decode(first, cli->arena, head, &why) != KAP_OK || head->stream_count != 1)
        return kap_cli_fail(KAP_EXIT_REFUSED, "an answer that cannot be read: %s", why);
    memcpy(rest, frames, count * sizeof *rest);
    *more = (int)count;
    return 0;
}

/* What the stream's state says: 1 go on with the events, 0 ask again, -1 stop with *code. */
static int heed(kap_feed_t *feed, const kap_events_head_t *head, int *code)
{
    const kap_stream_state_t *state = &head->streams[0];
    char text[64];
    switch (state->status) {
    case KAP_FETCH_OK:
        memcpy(feed->at.epoch, head->epoch, sizeof feed->at.epoch);
        return 1;
    case KAP_FETCH_EPOCH_CHANGED:
        if (feed->at.seq > state->kept_to)
            feed->at.seq = state->kept_to;
        memcpy(feed->at.epoch, head->epoch, sizeof feed->at.epoch);
        kap_feed_cursor_text(feed->at.epoch, feed->at.seq, text);
        kap_cli_fail(0, "the broker was restored from a backup; going on from %s", text);
        return 0;
    case KAP_FETCH_BUSY:
    case KAP_FETCH_REPLACED:
        return 0;
    case KAP_FETCH_AHEAD:
        *code = kap_cli_fail(KAP_EXIT_REFUSED,
                             "the cursor lies behind the end of %s, which is %llu; say --from now",
                             feed->stream, (unsigned long long)state->head);
        return -1;
    case KAP_FETCH_NOT_ALLOWED:
        *code = kap_cli_fail(KAP_EXIT_REFUSED, "this key may not read %s", feed->stream);
        return -1;
    default:
        *code = kap_cli_fail(KAP_EXIT_REFUSED,
                             "there is no stream %s; say region/NAME or member/NAME", feed->stream);
        return -1;
    }
}

/* The events of one frame; false when on_event wants no more. */
static bool hand_out(kap_cli_t *cli, kap_feed_t *feed, kap_span_t frame)
{
    kap_span_t meta, open, ends, sealed;
    while (kap_bins_next(&frame, &meta) == 1 && kap_bins_next(&frame, &open) == 1 &&
           kap_bins_next(&frame, &ends) == 1 && kap_bins_next(&frame, &sealed) == 1) {
        kap_feed_item_t item;
        if (kap_event_meta_decode(meta, cli->arena, &item.meta, NULL) != KAP_OK)
            continue;
        kap_event_decode(open, ends, sealed, cli->arena, &item.event, NULL);
        memcpy(item.epoch, feed->at.epoch, sizeof item.epoch);
        feed->at.seq = item.meta.stream_seq;
        if (!feed->on_event(feed->arg, &item))
            return false;
    }
    return true;
}

int kap_feed_seek_end(kap_cli_t *cli, kap_feed_t *feed)
{
    kap_events_head_t head;
    kap_span_t frames[KAP_LIMIT_FRAMES];
    int count, code;
    memset(&feed->at, 0, sizeof feed->at);
    code = fetch(cli, feed, 1, 0, &head, frames, &count);
    if (code != 0 || heed(feed, &head, &code) < 0)
        return code;
    feed->at.seq = head.streams[0].head;
    return 0;
}

int kap_feed_run(kap_cli_t *cli, kap_feed_t *feed)
{
    for (;;) {
        kap_events_head_t head;
        kap_span_t frames[KAP_LIMIT_FRAMES];
        int count;
        kap_arena_reset(cli->arena);
        int code = fetch(cli, feed, 0, feed->follow ? WAIT_MS : 0, &head, frames, &count);
        if (code != 0)
            return code;
        int go_on = heed(feed, &head, &code);
        if (go_on < 0)
            return code;
        if (go_on == 0)
            usleep(AGAIN_US);
        for (int i = 0; go_on == 1 && i < count; i++)
            if (!hand_out(cli, feed, frames[i]))
                return 0;
        if (go_on == 1 && !feed->follow && feed->at.seq >= head.streams[0].head)
            return 0;
    }
}
