/* SPDX-License-Identifier: MPL-2.0 */
/* Reading one stream from a cursor on: what `follow` and `export` share. It asks again by itself,
 * heals over a restored store as the epoch rules say, and hands out each event once, in order. */
#ifndef KAP_FEED_H
#define KAP_FEED_H

#include "answer.h"
#include "cli.h"
#include "event.h"

typedef struct {
    kap_event_meta_t meta;
    kap_event_t event; /* type KAP_EV_NONE: not known here */
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
} kap_feed_item_t;

/* Returns false to stop. The item is lent for the call. */
typedef bool kap_feed_fn(void *arg, const kap_feed_item_t *item);

typedef struct {
    const char *stream;
    kap_cursor_at_t at; /* where to go on; moves with the events */
    bool follow;        /* wait for more at the end; else stop there */
    kap_feed_fn *on_event;
    void *arg;
} kap_feed_t;

enum { KAP_FEED_STREAM = 256 };

/* The stream asked for: `stream`, else that of `region`, else of the configuration's region; lent
 * from them or from `owned`. NULL after saying that one is needed. After
 * kap_cli_configure. */
const char *kap_feed_stream(kap_cli_t *cli, const char *stream, const char *region,
                            char owned[KAP_FEED_STREAM]);

/* "EPOCH:SEQ" (32 hex digits, a number), or "start". KAP_E_INVALID. */
int kap_feed_cursor_parse(const char *text, kap_cursor_at_t *at);
void kap_feed_cursor_text(const uint8_t epoch[KAP_LIMIT_EPOCH_BYTES], uint64_t seq, char out[64]);

/* Sets feed->at behind the newest event. 0 or an exit code after saying why. */
int kap_feed_seek_end(kap_cli_t *cli, kap_feed_t *feed);

/* Until the end, or on_event says no. 0 or an exit code after saying why. */
int kap_feed_run(kap_cli_t *cli, kap_feed_t *feed);

#endif
