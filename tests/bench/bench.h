/* SPDX-License-Identifier: MPL-2.0 */
/* The frame of a benchmark driver: publishers and readers as threads, windows, latencies,
 * one line of JSON. A driver says only how to connect, publish, take receipts and read.
 *
 * A publisher has at most `window` events without a receipt. Latency is measured from just
 * before the send to the receipt, in the publisher.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *driver, *endpoint, *folder;
    int publishers, window, readers, size;
    long count;
    bool curve, no_metrics, setup;
} bench_options_t;

typedef struct {
    int id;
    long share;         /* events this publisher sends */
    long sent, acked;   /* the window is sent - acked */
    uint64_t *sent_ns;  /* by event */
    uint32_t *ack_us10; /* latency by event, tenths of microseconds */
    uint64_t first_ns, last_ns;
} bench_publisher_t;

typedef struct {
    int id;
    long want, got;
    uint64_t last_ns;
} bench_reader_t;

typedef struct {
    const char *name;
    void (*prepare)(void);                /* once, untimed; may be NULL */
    void (*publish)(bench_publisher_t *); /* a thread each */
    void (*read)(bench_reader_t *);       /* a thread each */
} bench_driver_t;

extern bench_options_t bench;
extern const bench_driver_t bench_floor, bench_redis, bench_kapula;

/* Lays a bench mesh into the folder: directory, keys, broker.conf. */
void bench_kapula_setup(void);

uint64_t bench_now_ns(void);
/* Waits until every thread stands here; the clock starts after it. */
void bench_start_line(void);
/* How many events the window lets go now; 0: full, or all are sent. */
long bench_room(const bench_publisher_t *p);
/* The next `n` events leave now. */
void bench_sent(bench_publisher_t *p, long n);
/* All events below `upto` have receipts. */
void bench_acked(bench_publisher_t *p, long upto);
/* `n` more events arrived at a reader; true when it has them all. */
bool bench_arrived(bench_reader_t *r, long n);
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
