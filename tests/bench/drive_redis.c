/* SPDX-License-Identifier: MPL-2.0 */
/* Drives redis with appendfsync always: pipelined XADD to one stream, read by XREAD. */
#include "bench.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

static redisContext *connect_redis(void)
{
    redisContext *c = redisConnect("127.0.0.1", atoi(bench.endpoint));
    if (!c || c->err)
        bench_die("redis: %s", c ? c->errstr : "no memory");
    return c;
}

static void take_answers(redisContext *c, bench_publisher_t *p)
{
    redisReply *reply = NULL;
    if (redisGetReply(c, (void **)&reply) != REDIS_OK)
        bench_die("redis: %s", c->errstr);
    while (reply) {
        if (reply->type == REDIS_REPLY_ERROR)
            bench_die("XADD: %s", reply->str);
        freeReplyObject(reply);
        bench_acked(p, p->acked + 1);
        reply = NULL;
        if (redisGetReplyFromReader(c, (void **)&reply) != REDIS_OK)
            bench_die("redis: %s", c->errstr);
    }
}

static void publish(bench_publisher_t *p)
{
    redisContext *c = connect_redis();
    char *event = calloc(1, (size_t)bench.size);
    const char *words[] = {"XADD", "bench", "*", "e", event};
    const size_t sizes[] = {4, 5, 1, 1, (size_t)bench.size};
    bench_start_line();
    while (p->acked < p->share) {
        while (bench_room(p) > 0) {
            redisAppendCommandArgv(c, 5, words, sizes);
            bench_sent(p, 1);
        }
        take_answers(c, p);
    }
    redisFree(c);
    free(event);
}

static void follow(bench_reader_t *r)
{
    redisContext *c = connect_redis();
    char last[64] = "0-0";
    bench_start_line();
    for (bool done = false; !done;) {
        redisReply *reply =
            redisCommand(c, "XREAD COUNT 1000 BLOCK 1000 STREAMS %s %s", "bench", last);
        if (!reply || reply->type == REDIS_REPLY_ERROR)
            bench_die("XREAD: %s", reply ? reply->str : c->errstr);
        if (reply->type == REDIS_REPLY_ARRAY) {
            const redisReply *list = reply->element[0]->element[1];
            snprintf(last, sizeof last, "%s", list->element[list->elements - 1]->element[0]->str);
            done = bench_arrived(r, (long)list->elements);
        }
        freeReplyObject(reply);
    }
    redisFree(c);
}

const bench_driver_t bench_redis = {"redis", NULL, publish, follow};
