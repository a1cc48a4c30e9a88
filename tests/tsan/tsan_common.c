/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What crosses threads in common/: wakes with a queue behind them, received messages destroyed
 * elsewhere, shared bytes freed by the library's own thread, the ZAP list swapped under load.
 * One loop serves clients; a worker thread takes every message, as a ledger would, and gives its
 * answer back through a wake.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "err.h"
#include "loop.h"
#include "sock.h"
#include "zap.h"

#define CLIENTS     3
#define EACH        400
#define WINDOW      50
#define PATIENCE_MS 50000

typedef struct job {
    kap_msg_t *msg;
    uint32_t peer;
    struct job *next;
} job_t;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t some;
    job_t *first;
    bool closed;
} queue_t;

typedef struct {
    kap_loop_t *loop;
    kap_sock_t *sock;
    kap_wake_t *answers_ready;
    queue_t jobs, answers;
    kap_blob_t *shared;
    int answered;
    bool done;
} server_t;

typedef struct {
    const char *endpoint;
    const kap_curve_t *keys;
    uint8_t server_public[32];
    kap_loop_t *loop;
    kap_sock_t *sock;
    int sent, received;
    bool done;
} client_t;

static void put(queue_t *queue, job_t *job)
{
    pthread_mutex_lock(&queue->lock);
    job->next = queue->first;
    queue->first = job;
    pthread_cond_signal(&queue->some);
    pthread_mutex_unlock(&queue->lock);
}

/* Everything there is; waits for something when asked to. */
static job_t *take(queue_t *queue, bool wait)
{
    pthread_mutex_lock(&queue->lock);
    while (wait && !queue->first && !queue->closed)
        pthread_cond_wait(&queue->some, &queue->lock);
    job_t *jobs = queue->first;
    queue->first = NULL;
    pthread_mutex_unlock(&queue->lock);
    return jobs;
}

static void close_queue(queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_signal(&queue->some);
    pthread_mutex_unlock(&queue->lock);
}

static void init_queue(queue_t *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->some, NULL);
}

/* --- the server: loop and worker --- */

static void on_request(void *arg, kap_msg_t **msg)
{
    server_t *server = arg;
    job_t *job = calloc(1, sizeof *job);
    KAP_CHECK(job);
    job->peer = kap_msg_peer(*msg);
    job->msg = *msg;
    *msg = NULL;
    put(&server->jobs, job);
}

static void *work(void *arg)
{
    server_t *server = arg;
    job_t *jobs;
    while ((jobs = take(&server->jobs, true))) {
        while (jobs) {
            job_t *job = jobs;
            jobs = job->next;
            KAP_CHECK(strlen(kap_msg_user(job->msg)) == KAP_Z85_KEY_CHARS);
            kap_msg_destroy(&job->msg);
            put(&server->answers, job);
        }
        kap_wake_send(server->answers_ready);
    }
    return NULL;
}

static void on_answers(void *arg)
{
    server_t *server = arg;
    for (job_t *job = take(&server->answers, false), *next; job; job = next) {
        next = job->next;
        kap_blob_t *blobs[] = {server->shared, server->shared};
        int rc = kap_sock_send_blobs(server->sock, job->peer, KAP_SPAN("answer"), blobs, 2);
        KAP_CHECK(rc == KAP_OK);
        free(job);
        server->done = ++server->answered == CLIENTS * EACH;
    }
}

/* --- the clients, a thread and a loop each --- */

static void fill(client_t *client)
{
    static const kap_span_t frames[] = {{(const uint8_t *)"header", 6},
                                        {(const uint8_t *)"payload", 7}};
    while (client->sent < EACH && client->sent - client->received < WINDOW) {
        if (kap_sock_send(client->sock, 0, frames, 2) != KAP_OK)
            return;
        client->sent++;
    }
}

static void on_answer(void *arg, kap_msg_t **msg)
{
    client_t *client = arg;
    KAP_CHECK(kap_msg_count(*msg) == 3 && kap_msg_frame(*msg, 2).data[0] == 'x');
    client->done = ++client->received == EACH;
    fill(client);
}

static void on_state(void *arg, kap_sock_state_t state)
{
    if (state == KAP_SOCK_UP)
        fill(arg);
}

static void *run_client(void *arg)
{
    client_t *client = arg;
    kap_sock_opts_t opts = {.type = KAP_SOCK_DEALER,
                            .client_keys = client->keys,
                            .server_public = client->server_public,
                            .retry_ms = 20,
                            .retry_max_ms = 100,
                            .linger_ms = -1};
    client->loop = kap_loop_new();
    KAP_CHECK(client->loop);
    KAP_CHECK(kap_sock_open(client->loop, &opts, on_answer, on_state, client, &client->sock) ==
              KAP_OK);
    KAP_CHECK(kap_sock_connect(client->sock, client->endpoint) == KAP_OK);
    KAP_CHECK(kap_loop_run_until(client->loop, &client->done, PATIENCE_MS) == KAP_OK);
    kap_sock_close(&client->sock);
    kap_loop_destroy(&client->loop);
    return NULL;
}

/* --- the list, swapped all the time --- */

typedef struct {
    kap_zap_t *zap;
    uint8_t keys[CLIENTS][32];
    atomic_bool stop;
} swapper_t;

static void *swap(void *arg)
{
    swapper_t *swapper = arg;
    for (size_t i = 0; !atomic_load(&swapper->stop); i++) {
        kap_zap_counts_t counts;
        KAP_CHECK(kap_zap_allow(swapper->zap, (const uint8_t(*)[32])swapper->keys,
                                i % (CLIENTS + 1)) == KAP_OK);
        kap_zap_counts(swapper->zap, &counts);
    }
    return NULL;
}

static void serve(server_t *server, client_t clients[CLIENTS], swapper_t *swapper)
{
    pthread_t threads[CLIENTS], worker, swapping;
    KAP_CHECK(pthread_create(&worker, NULL, work, server) == 0);
    KAP_CHECK(pthread_create(&swapping, NULL, swap, swapper) == 0);
    for (int i = 0; i < CLIENTS; i++)
        KAP_CHECK(pthread_create(&threads[i], NULL, run_client, &clients[i]) == 0);
    KAP_CHECK(kap_loop_run_until(server->loop, &server->done, PATIENCE_MS) == KAP_OK);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&swapper->stop, true);
    pthread_join(swapping, NULL);
    close_queue(&server->jobs);
    pthread_join(worker, NULL);
}

int main(void)
{
    KAP_CHECK(kap_crypto_init() == KAP_OK);
    KAP_CHECK(kap_sock_system_start() == KAP_OK);
    static server_t server;
    static swapper_t swapper;
    static client_t clients[CLIENTS];
    kap_curve_t *server_keys = kap_curve_new(), *keys[CLIENTS];
    char endpoint[KAP_SOCK_ENDPOINT_MAX];
    init_queue(&server.jobs);
    init_queue(&server.answers);
    server.loop = kap_loop_new();
    server.shared = kap_blob_new(50000);
    memset(kap_blob_data(server.shared), 'x', 50000);
    server.answers_ready = kap_wake_new(server.loop, on_answers, &server);
    kap_sock_opts_t opts = {.type = KAP_SOCK_ROUTER, .server_keys = server_keys};
    KAP_CHECK(kap_zap_start(&swapper.zap) == KAP_OK);
    KAP_CHECK(kap_sock_open(server.loop, &opts, on_request, NULL, &server, &server.sock) == KAP_OK);
    KAP_CHECK(kap_sock_bind(server.sock, "tcp://127.0.0.1:*", endpoint) == KAP_OK);
    for (int i = 0; i < CLIENTS; i++) {
        keys[i] = kap_curve_new();
        memcpy(swapper.keys[i], keys[i]->public, 32);
        clients[i] = (client_t){.endpoint = endpoint, .keys = keys[i]};
        memcpy(clients[i].server_public, server_keys->public, 32);
    }
    serve(&server, clients, &swapper);
    kap_blob_unref(&server.shared);
    kap_wake_destroy(&server.answers_ready);
    kap_sock_close(&server.sock);
    kap_loop_destroy(&server.loop);
    kap_zap_stop(&swapper.zap);
    kap_sock_system_stop();
    for (int i = 0; i < CLIENTS; i++)
        kap_curve_destroy(&keys[i]);
    kap_curve_destroy(&server_keys);
    printf("%d answers crossed the threads\n", server.answered);
    return 0;
}
