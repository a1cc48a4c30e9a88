/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "loop.h"

#define PATIENCE_MS 10000

static kap_loop_t *loop;

typedef struct {
    int calls, want;
    bool reached;
} count_t;

static void count(void *arg)
{
    count_t *c = arg;
    c->reached = ++c->calls >= c->want;
}

static void start(void)
{
    cr_assert_not_null(loop = kap_loop_new());
}

static void stop(void)
{
    kap_loop_destroy(&loop);
    cr_assert_null(loop);
    kap_loop_destroy(&loop);
}

static void run_until(const bool *done)
{
    cr_assert_eq(kap_loop_run_until(loop, done, PATIENCE_MS), KAP_OK);
}

static void run_quietly(int64_t ms)
{
    bool never = false;
    cr_assert_eq(kap_loop_run_until(loop, &never, ms), KAP_E_TIMEOUT);
}

/* --- running and stopping --- */

Test(loop, an_empty_loop_returns_at_once, .init = start, .fini = stop, .timeout = 20)
{
    kap_loop_run(loop);
}

static void stop_it(void *arg)
{
    kap_loop_stop(arg);
}

Test(loop, stop_ends_the_run_and_it_may_run_again, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {0};
    kap_timer_t *forever = kap_timer_start(loop, 1, 1, count, &c);
    for (int i = 0; i < 2; i++) {
        kap_timer_t *end = kap_timer_start(loop, 10, 0, stop_it, loop);
        kap_loop_run(loop);
        kap_timer_stop(&end);
    }
    cr_assert_geq(c.calls, 2);
    kap_timer_stop(&forever);
}

Test(loop, a_stop_before_the_run_ends_the_next_run_only, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1};
    kap_timer_t *timer = kap_timer_start(loop, 20, 0, count, &c);
    kap_loop_stop(loop);
    kap_loop_run(loop);
    cr_assert_eq(c.calls, 0);
    kap_loop_run(loop);
    cr_assert_eq(c.calls, 1);
    kap_timer_stop(&timer);
}

Test(loop, run_until_tells_done_from_late_from_stopped, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1};
    bool never = false, already = true;
    cr_assert_eq(kap_loop_run_until(loop, &already, 0), KAP_OK);
    cr_assert_eq(kap_loop_run_until(loop, &never, 5), KAP_E_TIMEOUT);
    kap_timer_t *timer = kap_timer_start(loop, 5, 0, count, &c);
    cr_assert_eq(kap_loop_run_until(loop, &c.reached, PATIENCE_MS), KAP_OK);
    kap_timer_stop(&timer);
    timer = kap_timer_start(loop, 5, 0, stop_it, loop);
    cr_assert_eq(kap_loop_run_until(loop, &never, PATIENCE_MS), KAP_E_CLOSED);
    cr_assert_eq(kap_loop_run_until(loop, &never, 5), KAP_E_TIMEOUT);
    kap_timer_stop(&timer);
}

static void count_and_stop(void *arg)
{
    count(arg);
    kap_loop_stop(loop);
}

Test(loop, a_stop_together_with_done_is_still_owed, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1}, ticks = {0};
    kap_timer_t *both = kap_timer_start(loop, 1, 0, count_and_stop, &c);
    kap_timer_t *forever = kap_timer_start(loop, 1000, 1000, count, &ticks);
    cr_assert_eq(kap_loop_run_until(loop, &c.reached, PATIENCE_MS), KAP_OK);
    kap_loop_run(loop); /* returns */
    cr_assert_eq(ticks.calls, 0);
    kap_timer_stop(&both);
    kap_timer_stop(&forever);
}

Test(loop, a_forgotten_timer_aborts_the_destruction, .init = start, .signal = SIGABRT,
     .timeout = 20)
{
    count_t c = {0};
    kap_timer_start(loop, 1000, 0, count, &c);
    kap_loop_destroy(&loop);
}

/* --- timers --- */

Test(timer, fires_once_or_again_and_again, .init = start, .fini = stop, .timeout = 20)
{
    count_t once = {.want = 1}, often = {.want = 5};
    int64_t before = kap_monotonic_ms();
    kap_timer_t *a = kap_timer_start(loop, 5, 0, count, &once);
    kap_timer_t *b = kap_timer_start(loop, 5, 5, count, &often);
    run_until(&often.reached);
    cr_assert_eq(once.calls, 1);
    cr_assert_geq(kap_monotonic_ms() - before, 24);
    kap_timer_stop(&a);
    kap_timer_stop(&b);
    run_quietly(20);
    cr_assert_eq(often.calls, 5);
}

Test(timer, a_time_in_the_past_is_now, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1};
    kap_timer_t *timer = kap_timer_start(loop, -5, -1, count, &c);
    run_until(&c.reached);
    kap_timer_stop(&timer);
}

Test(timer, can_be_set_anew, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1};
    kap_timer_t *timer = kap_timer_start(loop, INT64_MAX / 2, 0, count, &c);
    kap_timer_again(timer, 5, 0);
    run_until(&c.reached);
    c = (count_t){.want = 1};
    kap_timer_again(timer, 5, 0);
    run_until(&c.reached);
    kap_timer_stop(&timer);
    kap_timer_stop(&timer);
}

static kap_timer_t *own_timer;

static void stop_own_timer(void *arg)
{
    count(arg);
    kap_timer_stop(&own_timer);
}

Test(timer, may_be_stopped_inside_its_callback, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1};
    own_timer = kap_timer_start(loop, 1, 1, stop_own_timer, &c);
    run_until(&c.reached);
    run_quietly(10);
    cr_assert_eq(c.calls, 1);
}

static void hold_up(void *arg)
{
    (void)arg;
    usleep(30000); /* stands for a slow start-up: the loop's own clock is old by now */
}

Test(timer, counts_from_its_start_not_from_the_turn, .init = start, .fini = stop, .timeout = 20)
{
    count_t c = {.want = 1};
    hold_up(NULL);
    int64_t before = kap_monotonic_ms();
    kap_timer_t *timer = kap_timer_start(loop, 25, 0, count, &c);
    run_until(&c.reached);
    cr_assert_geq(kap_monotonic_ms() - before, 24);
    kap_timer_stop(&timer);
}

/* --- wakes --- */

typedef struct {
    kap_wake_t *wake;
    atomic_int made;
    int seen;
    bool all;
} queue_t;

#define WAKES 10000

static void *produce(void *arg)
{
    queue_t *queue = arg;
    for (int i = 0; i < WAKES; i++) {
        atomic_fetch_add(&queue->made, 1);
        kap_wake_send(queue->wake);
    }
    return NULL;
}

static void consume(void *arg)
{
    queue_t *queue = arg;
    queue->seen = atomic_load(&queue->made);
    queue->all = queue->seen == 2 * WAKES;
}

Test(wake, no_send_of_another_thread_is_lost, .init = start, .fini = stop, .timeout = 20)
{
    queue_t queue = {0};
    cr_assert_not_null(queue.wake = kap_wake_new(loop, consume, &queue));
    pthread_t a, b;
    pthread_create(&a, NULL, produce, &queue);
    pthread_create(&b, NULL, produce, &queue);
    run_until(&queue.all);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    kap_wake_destroy(&queue.wake);
    kap_wake_destroy(&queue.wake);
}

/* --- signals --- */

static int last_signal;

static void on_signal(void *arg, int signo)
{
    last_signal = signo;
    kap_loop_stop(arg);
}

static void raise_it(void *arg)
{
    raise(*(int *)arg);
}

Test(signal, reach_the_loop_instead_of_killing, .init = start, .fini = stop, .timeout = 20)
{
    int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(kap_loop_on_signal(loop, signals[i], on_signal, loop), KAP_OK);
    for (int i = 0; i < 3; i++) {
        kap_timer_t *timer = kap_timer_start(loop, 1, 1000, raise_it, &signals[i]);
        kap_loop_run(loop);
        cr_assert_eq(last_signal, signals[i]);
        kap_timer_stop(&timer);
    }
    cr_assert_eq(kap_loop_on_signal(loop, SIGKILL, on_signal, loop), KAP_E_INVALID);
}

Test(signal, waiting_for_one_keeps_no_loop_running, .init = start, .fini = stop, .timeout = 20)
{
    cr_assert_eq(kap_loop_on_signal(loop, SIGTERM, on_signal, loop), KAP_OK);
    kap_loop_run(loop);
}

/* --- files, folders, descriptors --- */

static char folder[64], path[128], other[128];

static void start_folder(void)
{
    start();
    strcpy(folder, "/tmp/kap-test-loop-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/watched", folder);
    snprintf(other, sizeof other, "%s/other", folder);
}

static void stop_folder(void)
{
    stop();
    unlink(path);
    unlink(other);
    rmdir(folder);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void again(count_t *c)
{
    *c = (count_t){.want = 1};
}

Test(watch, sees_a_file_appear_change_be_replaced_and_go, .init = start_folder, .fini = stop_folder,
     .timeout = 60)
{
    count_t c = {.want = 1};
    kap_watch_t *watch = kap_loop_watch(loop, path, count, &c);
    cr_assert_not_null(watch);
    write_file(path, "one");
    run_until(&c.reached);
    again(&c);
    write_file(path, "three");
    run_until(&c.reached);
    again(&c);
    write_file(other, "fresh");
    cr_assert_eq(rename(other, path), 0);
    run_until(&c.reached);
    again(&c);
    write_file(path, "changed after the replacement");
    run_until(&c.reached);
    again(&c);
    unlink(path);
    run_until(&c.reached);
    kap_watch_stop(&watch);
    kap_watch_stop(&watch);
}

Test(watch, of_a_file_keeps_still_about_its_neighbours, .init = start_folder, .fini = stop_folder,
     .timeout = 60)
{
    count_t c = {.want = 1};
    write_file(path, "mine");
    kap_watch_t *watch = kap_loop_watch(loop, path, count, &c);
    write_file(other, "not mine");
    run_quietly(2500); /* past one slow look */
    cr_assert_eq(c.calls, 0);
    kap_watch_stop(&watch);
}

Test(watch, makes_one_call_of_a_burst, .init = start_folder, .fini = stop_folder, .timeout = 60)
{
    count_t c = {.want = 1};
    kap_watch_t *watch = kap_loop_watch(loop, path, count, &c);
    for (int i = 0; i < 100; i++)
        write_file(path, "again");
    run_until(&c.reached);
    run_quietly(200);
    cr_assert_eq(c.calls, 1);
    kap_watch_stop(&watch);
}

Test(watch, of_a_folder_sees_files_come_and_looks_by_itself, .init = start_folder,
     .fini = stop_folder, .timeout = 60)
{
    count_t c = {.want = 1};
    kap_watch_t *watch = kap_loop_watch(loop, folder, count, &c);
    write_file(path, "dropped");
    run_until(&c.reached);
    again(&c);
    run_until(&c.reached); /* nothing happened: the slow look */
    kap_watch_stop(&watch);
}

Test(watch, finds_a_file_in_a_folder_that_was_made_later, .init = start_folder, .fini = stop_folder,
     .timeout = 60)
{
    count_t c = {.want = 1};
    rmdir(folder);
    kap_watch_t *watch = kap_loop_watch(loop, path, count, &c);
    cr_assert_not_null(watch);
    cr_assert_eq(mkdir(folder, 0700), 0);
    write_file(path, "late");
    run_until(&c.reached);
    kap_watch_stop(&watch);
    cr_assert_null(kap_loop_watch(loop, "", count, &c));
}

static int read_end;

static void read_one(void *arg)
{
    char byte;
    cr_assert_eq(read(read_end, &byte, 1), 1);
    count(arg);
}

Test(watch, of_a_descriptor_calls_while_it_is_readable, .init = start, .fini = stop, .timeout = 20)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    read_end = ends[0];
    count_t c = {.want = 3};
    kap_watch_t *watch = kap_loop_watch_fd(loop, ends[0], read_one, &c);
    cr_assert_not_null(watch);
    cr_assert_eq(write(ends[1], "abc", 3), 3);
    run_until(&c.reached); /* one byte a call: it is level-triggered */
    kap_watch_stop(&watch);
    close(ends[0]);
    close(ends[1]);
    int plain = open("/proc/self/exe", O_RDONLY);
    cr_assert_null(kap_loop_watch_fd(loop, plain, read_one, &c));
    close(plain);
}
