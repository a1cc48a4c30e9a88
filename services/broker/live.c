/* SPDX-License-Identifier: MPL-2.0 */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codes.h"
#include "err.h"
#include "ids.h"
#include "log.h"

enum { FILE_BYTES_MAX = 16 << 20, READ_BYTES = 65536, KEYS_EVERY_MS = 60000 };

struct kap_live {
    kap_live_opts_t opts;
    kap_directory_t *dir;
    kap_watch_t *watch;
    kap_timer_t *timer; /* keys come and go with their validity */
    kap_buf_t text;
};

static int read_file(const char *path, kap_buf_t *out, kap_buf_t *messages)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        kap_buf_printf(messages, "%s: %s\n", path, strerror(errno));
        return KAP_E_CONFIG;
    }
    size_t got = 1;
    while (got > 0 && out->size <= FILE_BYTES_MAX) {
        uint8_t *room = kap_buf_reserve(out, READ_BYTES);
        got = room ? fread(room, 1, READ_BYTES, file) : 0;
        out->size += got;
    }
    int rc = ferror(file) || out->err || out->size > FILE_BYTES_MAX ? KAP_E_CONFIG : KAP_OK;
    if (rc != KAP_OK)
        kap_buf_printf(messages, "%s: cannot be read, or is larger than 16 MiB\n", path);
    fclose(file);
    return rc;
}

/* What a directory must be for this broker, beyond being well-formed. */
static int fits(const kap_live_opts_t *opts, const kap_directory_t *dir, kap_buf_t *messages)
{
    uint8_t authority[32];
    int rc = KAP_OK;
    if (opts->authority &&
        (kap_hex_decode(kap_span_str(opts->authority), authority, sizeof authority) != KAP_OK ||
         memcmp(authority, kap_directory_authority(dir), sizeof authority) != 0)) {
        kap_buf_printf(messages, "%s: mesh: another authority than the configuration's\n",
                       opts->path);
        rc = KAP_E_CONFIG;
    }
    if (kap_directory_rehearsal(dir) != opts->rehearsal) {
        kap_buf_printf(messages, "%s: rehearsal: %s\n", opts->path,
                       opts->rehearsal ? "false, but a clock file is configured; an ordinary mesh "
                                         "takes its time from the system"
                                       : "true, but no clock file is configured; a rehearsal mesh "
                                         "takes its time from one");
        rc = KAP_E_CONFIG;
    }
    for (uint32_t i = 0; opts->plain && i < kap_directory_region_count(dir); i++) {
        const kap_region_t *region = kap_directory_region_at(dir, i);
        if (region->kind == KAP_REGION_KIND_BENCH)
            continue;
        kap_buf_printf(messages, "%s: regions: %.*s is no bench region; plain takes no other\n",
                       opts->path, KAP_SPAN_ARGS(region->id));
        rc = KAP_E_CONFIG;
    }
    return rc;
}

/* One log line a complaint. */
static void complain(const kap_buf_t *messages)
{
    kap_span_t rest = kap_buf_span(messages);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        if (size > 0)
            KAP_LOG(KAP_LOG_ERROR, "directory_bad", KAP_SP("message", kap_span_sub(rest, 0, size)));
        rest = kap_span_sub(rest, size + 1, rest.size);
    }
}

/* *text is the file's; the caller frees it in every case. */
static int parse(const kap_live_opts_t *opts, kap_directory_t **out, kap_buf_t *text)
{
    kap_buf_t messages = {0};
    kap_directory_t *dir = NULL;
    int rc = read_file(opts->path, text, &messages);
    if (rc == KAP_OK)
        rc = kap_directory_parse(kap_buf_span(text), &dir, &messages);
    if (rc == KAP_OK)
        rc = fits(opts, dir, &messages);
    if (rc == KAP_OK) {
        *out = dir;
    } else {
        complain(&messages);
        if (dir)
            kap_directory_unref(&dir);
    }
    kap_buf_fini(&messages);
    return rc;
}

int kap_live_check(const kap_live_opts_t *opts, kap_directory_t **out)
{
    kap_buf_t text = {0};
    int rc = parse(opts, out, &text);
    kap_buf_fini(&text);
    return rc;
}

/* Lets exactly the keys connect that are valid now. */
static int allow_keys(const kap_live_opts_t *opts, const kap_directory_t *dir)
{
    if (!opts->zap)
        return KAP_OK;
    uint32_t max = kap_directory_member_count(dir);
    uint8_t(*keys)[32] = calloc(max + 1, sizeof *keys);
    if (!keys)
        return KAP_E_NOMEM;
    uint32_t n = kap_directory_keys(dir, kap_clock_now_ms(opts->clock), keys, max);
    int rc = kap_zap_allow(opts->zap, (const uint8_t(*)[32])keys, n < max ? n : max);
    free(keys);
    return rc;
}

static void on_watch(void *arg)
{
    (void)kap_live_reload(arg);
}

static void on_timer(void *arg)
{
    kap_live_t *live = arg;
    if (allow_keys(&live->opts, live->dir) != KAP_OK)
        KAP_LOG(KAP_LOG_WARN, "keys_not_swapped", KAP_S("error", "out of memory"));
}

int kap_live_open(kap_loop_t *loop, const kap_live_opts_t *opts, kap_live_t **out)
{
    kap_live_t *live = calloc(1, sizeof *live);
    if (!live)
        return KAP_E_NOMEM;
    live->opts = *opts;
    int rc = parse(opts, &live->dir, &live->text);
    if (rc == KAP_OK)
        rc = allow_keys(opts, live->dir);
    if (rc == KAP_OK) {
        live->watch = kap_loop_watch(loop, opts->path, on_watch, live);
        live->timer = kap_timer_start(loop, KEYS_EVERY_MS, KEYS_EVERY_MS, on_timer, live);
        rc = live->watch && live->timer ? KAP_OK : KAP_E_NOMEM;
    }
    if (rc != KAP_OK) {
        kap_live_close(&live);
        return rc;
    }
    *out = live;
    return KAP_OK;
}

kap_directory_t *kap_live_now(const kap_live_t *live)
{
    return live->dir;
}

kap_span_t kap_live_text(const kap_live_t *live)
{
    return kap_buf_span(&live->text);
}

/* May this one take the place of the one in force? */
static int replaces(kap_live_t *live, const kap_directory_t *dir)
{
    if (memcmp(kap_directory_mesh(dir), kap_directory_mesh(live->dir), 32) == 0)
        return allow_keys(&live->opts, dir);
    KAP_LOG(KAP_LOG_ERROR, "directory_bad",
            KAP_S("message", "the file is of another mesh; start another broker for it"));
    return KAP_E_CONFIG;
}

int kap_live_reload(kap_live_t *live)
{
    kap_directory_t *dir = NULL;
    kap_buf_t text = {0};
    int rc = parse(&live->opts, &dir, &text);
    if (rc != KAP_OK || kap_span_eq(kap_buf_span(&text), kap_buf_span(&live->text)))
        goto done;
    rc = replaces(live, dir);
    if (rc != KAP_OK)
        goto done;
    kap_directory_t *old = live->dir;
    kap_buf_t old_text = live->text;
    live->dir = dir;
    live->text = text;
    dir = old;
    text = old_text;
    KAP_LOG(KAP_LOG_INFO, "directory_swapped",
            KAP_I("members", kap_directory_member_count(live->dir)),
            KAP_I("regions", kap_directory_region_count(live->dir)));
    live->opts.on_change(live->opts.arg, live->dir, kap_buf_span(&live->text));
done:
    if (dir)
        kap_directory_unref(&dir);
    kap_buf_fini(&text);
    return rc;
}

void kap_live_close(kap_live_t **handle)
{
    kap_live_t *live = *handle;
    if (!live)
        return;
    if (live->timer)
        kap_timer_stop(&live->timer);
    if (live->watch)
        kap_watch_stop(&live->watch);
    if (live->dir)
        kap_directory_unref(&live->dir);
    kap_buf_fini(&live->text);
    free(live);
    *handle = NULL;
}
