/* SPDX-License-Identifier: MPL-2.0 */
#include "loop.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "loop_uv.h"

#define WATCH_BURST_MS 50
#define WATCH_SLOW_MS  2000
#define DESTROY_TURNS  16 /* a closing socket needs one; a guess with room */

typedef struct signal_handler {
    uv_signal_t uv;
    kap_signal_fn *cb;
    void *arg;
    struct signal_handler *next;
} signal_handler_t;

struct kap_loop {
    uv_loop_t uv;
    bool stopped;
    signal_handler_t *signals;
};

struct kap_timer {
    uv_timer_t uv;
    kap_loop_fn *cb;
    void *arg;
};

struct kap_wake {
    uv_async_t uv;
    kap_loop_fn *cb;
    void *arg;
};

typedef enum { WATCH_FD, WATCH_FILE, WATCH_FOLDER } watch_kind_t;

struct kap_watch {
    watch_kind_t kind;
    kap_loop_fn *cb;
    void *arg;
    int open_handles;
    uv_poll_t poll; /* WATCH_FD; the rest for files and folders */
    uv_fs_event_t event;
    uv_timer_t burst, slow;
    struct stat seen;    /* of path */
    ino_t armed;         /* the folder that event watches, 0 when none */
    char path[PATH_MAX]; /* as given */
    char folder[PATH_MAX];
    const char *name; /* of the file in its folder, in path */
};

static void free_self(uv_handle_t *handle)
{
    free(handle->data);
}

/* --- the loop --- */

kap_loop_t *kap_loop_new(void)
{
    kap_loop_t *loop = calloc(1, sizeof *loop);
    if (loop && uv_loop_init(&loop->uv) != 0) {
        free(loop);
        loop = NULL;
    }
    return loop;
}

uv_loop_t *kap_loop_uv(kap_loop_t *loop)
{
    return &loop->uv;
}

void kap_loop_run(kap_loop_t *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->stopped = false;
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

int kap_loop_run_until(kap_loop_t *loop, const bool *done, int64_t timeout_ms)
{
    bool late = false;
    kap_timer_t *deadline = kap_timer_start(loop, timeout_ms, 0, set_flag, &late);
    if (!deadline)
        return KAP_E_NOMEM;
    while (!*done && !late && !loop->stopped)
        uv_run(&loop->uv, UV_RUN_ONCE);
    kap_timer_stop(&deadline);
    if (*done) {
        if (loop->stopped)
            uv_stop(&loop->uv); /* the stop is still owed to the next run */
        return KAP_OK;
    }
    if (!loop->stopped)
        return KAP_E_TIMEOUT;
    loop->stopped = false;
    return KAP_E_CLOSED;
}

void kap_loop_stop(kap_loop_t *loop)
{
    loop->stopped = true;
    uv_stop(&loop->uv);
}

void kap_loop_destroy(kap_loop_t **self)
{
    kap_loop_t *loop = *self;
    if (!loop)
        return;
    *self = NULL;
    for (signal_handler_t *s = loop->signals; s; s = s->next)
        uv_close((uv_handle_t *)&s->uv, free_self);
    int rc = UV_EBUSY;
    for (int i = 0; i < DESTROY_TURNS && rc != 0; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        rc = uv_loop_close(&loop->uv);
    }
    KAP_CHECK(rc == 0); /* a timer, wake, watch or socket was not stopped */
    free(loop);
}

/* --- timers --- */

static uint64_t not_negative(int64_t ms)
{
    return ms < 0 ? 0 : (uint64_t)ms;
}

static void on_timer(uv_timer_t *handle)
{
    kap_timer_t *timer = handle->data;
    timer->cb(timer->arg);
}

kap_timer_t *kap_timer_start(kap_loop_t *loop, int64_t delay_ms, int64_t repeat_ms, kap_loop_fn *cb,
                             void *arg)
{
    kap_timer_t *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    timer->cb = cb;
    timer->arg = arg;
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    kap_timer_again(timer, delay_ms, repeat_ms);
    return timer;
}

void kap_timer_again(kap_timer_t *timer, int64_t delay_ms, int64_t repeat_ms)
{
    uv_update_time(timer->uv.loop); /* else a delay counts from the start of the turn */
    uv_timer_start(&timer->uv, on_timer, not_negative(delay_ms), not_negative(repeat_ms));
}

void kap_timer_stop(kap_timer_t **self)
{
    if (*self)
        uv_close((uv_handle_t *)&(*self)->uv, free_self);
    *self = NULL;
}

/* --- wakes --- */

static void on_wake(uv_async_t *handle)
{
    kap_wake_t *wake = handle->data;
    wake->cb(wake->arg);
}

kap_wake_t *kap_wake_new(kap_loop_t *loop, kap_loop_fn *cb, void *arg)
{
    kap_wake_t *wake = calloc(1, sizeof *wake);
    if (!wake)
        return NULL;
    wake->cb = cb;
    wake->arg = arg;
    if (uv_async_init(&loop->uv, &wake->uv, on_wake) != 0) {
        free(wake);
        return NULL;
    }
    wake->uv.data = wake;
    return wake;
}

void kap_wake_send(kap_wake_t *wake)
{
    uv_async_send(&wake->uv);
}

void kap_wake_destroy(kap_wake_t **self)
{
    if (*self)
        uv_close((uv_handle_t *)&(*self)->uv, free_self);
    *self = NULL;
}

/* --- signals --- */

static void on_signal(uv_signal_t *handle, int signo)
{
    signal_handler_t *s = handle->data;
    s->cb(s->arg, signo);
}

int kap_loop_on_signal(kap_loop_t *loop, int signo, kap_signal_fn *cb, void *arg)
{
    signal_handler_t *s = calloc(1, sizeof *s);
    if (!s)
        return KAP_E_NOMEM;
    s->cb = cb;
    s->arg = arg;
    if (uv_signal_init(&loop->uv, &s->uv) != 0) {
        free(s);
        return KAP_E_IO;
    }
    s->uv.data = s;
    if (uv_signal_start(&s->uv, on_signal, signo) != 0) {
        uv_close((uv_handle_t *)&s->uv, free_self);
        return KAP_E_INVALID;
    }
    uv_unref((uv_handle_t *)&s->uv); /* waiting for a signal keeps no loop running */
    s->next = loop->signals;
    loop->signals = s;
    return KAP_OK;
}

/* --- files and folders --- */

static bool stat_changed(kap_watch_t *w)
{
    struct stat now;
    if (stat(w->path, &now) != 0)
        memset(&now, 0, sizeof now);
    const struct stat *old = &w->seen;
    bool changed = now.st_ino != old->st_ino || now.st_size != old->st_size ||
                   now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != old->st_mtim.tv_nsec;
    w->seen = now;
    return changed;
}

static void on_burst_over(uv_timer_t *handle)
{
    kap_watch_t *w = handle->data;
    stat_changed(w);
    w->cb(w->arg);
}

static void on_change(uv_fs_event_t *handle, const char *name, int events, int status)
{
    (void)events;
    (void)status;
    kap_watch_t *w = handle->data;
    if (w->kind == WATCH_FILE && name && strcmp(name, w->name) != 0)
        return;
    if (!uv_is_active((uv_handle_t *)&w->burst))
        uv_timer_start(&w->burst, on_burst_over, WATCH_BURST_MS, 0);
}

/* Watches the folder anew when it is not the one watched any more. */
static void arm(kap_watch_t *w)
{
    struct stat st;
    ino_t now = stat(w->folder, &st) == 0 && S_ISDIR(st.st_mode) ? st.st_ino : 0;
    if (now == w->armed)
        return;
    uv_fs_event_stop(&w->event);
    w->armed = 0;
    if (now && uv_fs_event_start(&w->event, on_change, w->folder, 0) == 0)
        w->armed = now;
}

static void on_slow_look(uv_timer_t *handle)
{
    kap_watch_t *w = handle->data;
    arm(w);
    if (w->kind == WATCH_FOLDER || stat_changed(w))
        w->cb(w->arg);
}

/* Splits path into the folder that is watched and the name in it. */
static bool set_path(kap_watch_t *w, const char *path)
{
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof w->path)
        return false;
    memcpy(w->path, path, size + 1);
    memcpy(w->folder, path, size + 1);
    w->name = w->path;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        w->kind = WATCH_FOLDER;
        return true;
    }
    w->kind = WATCH_FILE;
    char *slash = strrchr(w->folder, '/');
    if (!slash) {
        memcpy(w->folder, ".", 2);
        return true;
    }
    w->name = w->path + (slash - w->folder) + 1;
    slash[slash == w->folder ? 1 : 0] = '\0';
    return true;
}

kap_watch_t *kap_loop_watch(kap_loop_t *loop, const char *path, kap_loop_fn *cb, void *arg)
{
    kap_watch_t *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->cb = cb;
    w->arg = arg;
    if (!set_path(w, path)) {
        free(w);
        return NULL;
    }
    w->open_handles = 3;
    w->event.data = w->burst.data = w->slow.data = w;
    uv_fs_event_init(&loop->uv, &w->event);
    uv_timer_init(&loop->uv, &w->burst);
    uv_timer_init(&loop->uv, &w->slow);
    arm(w);
    stat_changed(w);
    uv_timer_start(&w->slow, on_slow_look, WATCH_SLOW_MS, WATCH_SLOW_MS);
    return w;
}

/* --- descriptors --- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)status; /* an error is found by whoever reads the descriptor */
    (void)events;
    kap_watch_t *w = handle->data;
    w->cb(w->arg);
}

kap_watch_t *kap_loop_watch_fd(kap_loop_t *loop, int fd, kap_loop_fn *cb, void *arg)
{
    kap_watch_t *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->kind = WATCH_FD;
    w->cb = cb;
    w->arg = arg;
    if (uv_poll_init(&loop->uv, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->open_handles = 1;
    w->poll.data = w;
    uv_poll_start(&w->poll, UV_READABLE, on_poll);
    return w;
}

static void on_watch_closed(uv_handle_t *handle)
{
    kap_watch_t *w = handle->data;
    if (--w->open_handles == 0)
        free(w);
}

void kap_watch_stop(kap_watch_t **self)
{
    kap_watch_t *w = *self;
    if (!w)
        return;
    *self = NULL;
    if (w->kind == WATCH_FD) {
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        return;
    }
    uv_close((uv_handle_t *)&w->event, on_watch_closed);
    uv_close((uv_handle_t *)&w->burst, on_watch_closed);
    uv_close((uv_handle_t *)&w->slow, on_watch_closed);
}
