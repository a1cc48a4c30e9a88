/* SPDX-License-Identifier: MPL-2.0 */
#include "bench.h"

#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

bench_options_t bench = {.driver = "kapula",
                         .endpoint = "tcp://127.0.0.1:5700",
                         .folder = ".",
                         .publishers = 8,
                         .window = 128,
                         .size = 300,
                         .count = 100000};

static pthread_barrier_t line;

uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

void bench_start_line(void)
{
    pthread_barrier_wait(&line);
}

long bench_room(const bench_publisher_t *p)
{
    long room = bench.window - (p->sent - p->acked), left = p->share - p->sent;
    return room < left ? room : left;
}

void bench_sent(bench_publisher_t *p, long n)
{
    uint64_t now = bench_now_ns();
    if (p->sent == 0)
        p->first_ns = now;
    for (long i = 0; i < n; i++)
        p->sent_ns[p->sent++] = now;
}

void bench_acked(bench_publisher_t *p, long upto)
{
    uint64_t now = bench_now_ns();
    if (upto > p->sent)
        bench_die("a receipt for event %ld, which was never sent", upto);
    for (; p->acked < upto; p->acked++)
        p->ack_us10[p->acked] = (uint32_t)((now - p->sent_ns[p->acked]) / 100);
    p->last_ns = now;
}

bool bench_arrived(bench_reader_t *r, long n)
{
    r->got += n;
    r->last_ns = bench_now_ns();
    return r->got >= r->want;
}

static const bench_driver_t *driver;

static void *publisher_thread(void *p)
{
    driver->publish(p);
    return NULL;
}

static void *reader_thread(void *r)
{
    driver->read(r);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank. */
static double quantile_us(const uint32_t *sorted, long n, double q)
{
    long at = (long)(q * (double)n + 0.999999) - 1;
    return n ? sorted[at < 0 ? 0 : at] / 10.0 : 0;
}

static double processor_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static void print_result(const bench_publisher_t *p, const bench_reader_t *r, double client_us)
{
    uint64_t first = UINT64_MAX, last = 0, read_last = 0;
    long n = 0, delivered = 0;
    uint32_t *all = calloc((size_t)bench.count, sizeof *all);
    for (int i = 0; i < bench.publishers; i++) {
        memcpy(all + n, p[i].ack_us10, (size_t)p[i].share * sizeof *all);
        n += p[i].share;
        first = p[i].first_ns < first ? p[i].first_ns : first;
        last = p[i].last_ns > last ? p[i].last_ns : last;
    }
    for (int i = 0; i < bench.readers; i++) {
        delivered += r[i].got;
        read_last = r[i].last_ns > read_last ? r[i].last_ns : read_last;
    }
    qsort(all, (size_t)n, sizeof *all, by_value);
    double seconds = (double)(last - first) / 1e9;
    printf("{\"driver\":\"%s\",\"count\":%ld,\"events_per_s\":%.0f,\"ack_p50_us\":%.1f,"
           "\"ack_p99_us\":%.1f,\"delivered_per_s\":%.0f,\"client_us_per_event\":%.2f}\n",
           bench.driver, n, (double)n / seconds, quantile_us(all, n, 0.5),
           quantile_us(all, n, 0.99),
           read_last ? (double)delivered / ((double)(read_last - first) / 1e9) : 0,
           client_us / (double)n);
    free(all);
}

static void run(void)
{
    bench_publisher_t *p = calloc((size_t)bench.publishers, sizeof *p);
    bench_reader_t *r = calloc((size_t)bench.readers + 1, sizeof *r);
    pthread_t *thread = calloc((size_t)(bench.publishers + bench.readers), sizeof *thread);
    bench.count -= bench.count % bench.publishers;
    for (int i = 0; i < bench.publishers; i++) {
        p[i].id = i;
        p[i].share = bench.count / bench.publishers;
        p[i].sent_ns = calloc((size_t)p[i].share, sizeof *p[i].sent_ns);
        p[i].ack_us10 = calloc((size_t)p[i].share, sizeof *p[i].ack_us10);
    }
    pthread_barrier_init(&line, NULL, (unsigned)(bench.publishers + bench.readers + 1));
    if (driver->prepare)
        driver->prepare();
    for (int i = 0; i < bench.readers; i++) {
        r[i] = (bench_reader_t){.id = i, .want = bench.count};
        pthread_create(&thread[bench.publishers + i], NULL, reader_thread, &r[i]);
    }
    for (int i = 0; i < bench.publishers; i++)
        pthread_create(&thread[i], NULL, publisher_thread, &p[i]);
    bench_start_line();
    double before_us = processor_us();
    for (int i = 0; i < bench.publishers + bench.readers; i++)
        pthread_join(thread[i], NULL);
    print_result(p, r, processor_us() - before_us);
    for (int i = 0; i < bench.publishers; i++) {
        free(p[i].sent_ns);
        free(p[i].ack_us10);
    }
    free(p);
    free(r);
    free(thread);
}

static void parse(int argc, char **argv)
{
    static const struct option table[] = {
        {"driver", 1, 0, 'd'},     {"endpoint", 1, 0, 'e'}, {"folder", 1, 0, 'f'},
        {"publishers", 1, 0, 'p'}, {"window", 1, 0, 'w'},   {"readers", 1, 0, 'r'},
        {"size", 1, 0, 's'},       {"count", 1, 0, 'c'},    {"curve", 0, 0, 'C'},
        {"no-metrics", 0, 0, 'M'}, {"setup", 0, 0, 'S'},    {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;)
        switch (c) {
        case 'd':
            bench.driver = optarg;
            break;
        case 'e':
            bench.endpoint = optarg;
            break;
        case 'f':
            bench.folder = optarg;
            break;
        case 'p':
            bench.publishers = atoi(optarg);
            break;
        case 'w':
            bench.window = atoi(optarg);
            break;
        case 'r':
            bench.readers = atoi(optarg);
            break;
        case 's':
            bench.size = atoi(optarg);
            break;
        case 'c':
            bench.count = atol(optarg);
            break;
        case 'C':
            bench.curve = true;
            break;
        case 'M':
            bench.no_metrics = true;
            break;
        case 'S':
            bench.setup = true;
            break;
        default:
            bench_die("see tests/bench/README.md");
        }
    if (bench.publishers < 1 || bench.window < 1 || bench.readers < 0 || bench.size < 1 ||
        bench.count < bench.publishers)
        bench_die("publishers, window, size and count are at least 1");
}

int main(int argc, char **argv)
{
    static const bench_driver_t *const drivers[] = {&bench_floor, &bench_redis, &bench_kapula};
    parse(argc, argv);
    if (bench.setup) {
        bench_kapula_setup();
        return 0;
    }
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strcmp(drivers[i]->name, bench.driver) == 0)
            driver = drivers[i];
    if (!driver)
        bench_die("--driver is kapula, floor or redis, not %s", bench.driver);
    run();
    return 0;
}
