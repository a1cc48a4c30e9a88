/* SPDX-License-Identifier: MPL-2.0 */
/*
 * loop - one event loop a thread: timers, wakes from other threads, signals, files and descriptors.
 *
 * Owner: the thread that runs it; every function here is for that thread, kap_wake_send alone may
 * be called from any. Sockets live on the same loop (sock.h). The loop never starts threads and
 * never waits for anything but its own descriptors. What was started on a loop is stopped before
 * the loop is destroyed: a forgotten timer, wake, watch or socket is our bug and aborts in
 * kap_loop_destroy, where it can still be found.
 */
#ifndef KAP_LOOP_H
#define KAP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kap_loop kap_loop_t;
typedef struct kap_timer kap_timer_t;
typedef struct kap_wake kap_wake_t;
typedef struct kap_watch kap_watch_t;

typedef void kap_loop_fn(void *arg);
typedef void kap_signal_fn(void *arg, int signo);

/* NULL when descriptors or memory are short. */
kap_loop_t *kap_loop_new(void);

/* Runs until kap_loop_stop, or until nothing is left on the loop. May be called again afterwards.
 */
void kap_loop_run(kap_loop_t *loop);

/* Runs until *done is true (set by a callback), at most timeout_ms.
 * KAP_OK, KAP_E_TIMEOUT, KAP_E_CLOSED when kap_loop_stop came first, KAP_E_NOMEM.
 * Not to be called from a callback of the same loop. */
int kap_loop_run_until(kap_loop_t *loop, const bool *done, int64_t timeout_ms);

/* Ends the run after the current turn; before a run, the next run ends at once. */
void kap_loop_stop(kap_loop_t *loop);

/* Lets closing sockets finish (they close asynchronously), then frees the loop and its signal
 * handlers. NULL inside is allowed. */
void kap_loop_destroy(kap_loop_t **loop);

/* Calls cb once after delay_ms, then each repeat_ms when that is not 0. Times below 0 count as 0.
 * Monotonic. A timer that fired once still wants its kap_timer_stop. NULL when out of memory. */
kap_timer_t *kap_timer_start(kap_loop_t *loop, int64_t delay_ms, int64_t repeat_ms, kap_loop_fn *cb,
                             void *arg);

/* Sets a timer anew, running or not; cheap enough for every message. */
void kap_timer_again(kap_timer_t *timer, int64_t delay_ms, int64_t repeat_ms);

/* After it cb is not called any more. Allowed inside cb. NULL inside is allowed. */
void kap_timer_stop(kap_timer_t **timer);

/* A door for other threads: cb runs on the loop after each send; several sends may become one call,
 * so cb empties its whole queue. NULL when out of descriptors or memory. */
kap_wake_t *kap_wake_new(kap_loop_t *loop, kap_loop_fn *cb, void *arg);

/* Any thread, async-signal-safe, never blocks. What the caller wrote before it is visible to cb. */
void kap_wake_send(kap_wake_t *wake);

/* No thread may send any more (join them first). */
void kap_wake_destroy(kap_wake_t **wake);

/* cb for each signo until the loop is destroyed; the process no longer dies of it. 0 or KAP_E_*. */
int kap_loop_on_signal(kap_loop_t *loop, int signo, kap_signal_fn *cb, void *arg);

/* Calls cb soon after the file or folder at path changed, appeared, was replaced or removed; a
 * burst becomes one call (50 ms). A slow look every 2 s finds what the system's events missed: a
 * file by its stat; for a folder cb is simply called, so cb must be right when nothing changed. The
 * path need not exist yet; it is a file unless it is a folder at the start. NULL: no memory. */
kap_watch_t *kap_loop_watch(kap_loop_t *loop, const char *path, kap_loop_fn *cb, void *arg);

/* cb while fd is readable (level-triggered). fd stays the caller's and outlives the watch.
 * NULL when fd cannot be polled (a plain file) or memory is short. */
kap_watch_t *kap_loop_watch_fd(kap_loop_t *loop, int fd, kap_loop_fn *cb, void *arg);

/* Ends either kind of watch. Allowed inside cb. An fd may be closed after it returned. NULL inside
 * is allowed. */
void kap_watch_stop(kap_watch_t **watch);

#endif
