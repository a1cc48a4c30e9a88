/* SPDX-License-Identifier: MPL-2.0 */
#include "reader.h"

#include <stdbool.h>
#include <stdlib.h>

#include "err.h"

typedef struct {
    kap_work_t *first, **last;
} queue_t;

struct kap_reader {
    kap_store_t *store;
    kap_wake_t *wake;
    pthread_t thread;
    pthread_mutex_t lock; /* the two queues and `stopping` */
    pthread_cond_t work;
    pthread_mutex_t *gate; /* held for the length of a slice */
    queue_t reads, questions, over;
    bool stopping;
    bool asked;  /* the last slice was a question's; the thread's own */
    size_t load; /* loop thread only */
};

static void queue_init(queue_t *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_put(queue_t *queue, kap_work_t *work)
{
    work->next = NULL;
    *queue->last = work;
    queue->last = &work->next;
}

static kap_work_t *queue_take(queue_t *queue)
{
    kap_work_t *work = queue->first;
    if (work) {
        queue->first = work->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    return work;
}

static void put_todo(kap_reader_t *reader, kap_work_t *work)
{
    queue_put(work->question ? &reader->questions : &reader->reads, work);
}

/* What is done next: questions and reads by turns while there are both. */
static kap_work_t *take_todo(kap_reader_t *reader)
{
    bool ask = reader->questions.first && (!reader->asked || !reader->reads.first);
    reader->asked = ask;
    return queue_take(ask ? &reader->questions : &reader->reads);
}

/* One slice: a snapshot only as long as the step. */
static int slice(kap_reader_t *reader, kap_txn_t *txn, kap_work_t *work)
{
    pthread_mutex_lock(reader->gate);
    int rc = kap_txn_renew(txn);
    if (rc == KAP_OK) {
        rc = work->step(work, txn);
        kap_txn_reset(txn);
    }
    pthread_mutex_unlock(reader->gate);
    return rc;
}

static void *run(void *arg)
{
    kap_reader_t *reader = arg;
    kap_txn_t *txn = NULL;
    pthread_mutex_lock(reader->gate);
    int begun = kap_txn_begin(reader->store, KAP_TXN_READ, &txn);
    if (begun == KAP_OK)
        kap_txn_reset(txn);
    pthread_mutex_unlock(reader->gate);
    pthread_mutex_lock(&reader->lock);
    while (!reader->stopping) {
        kap_work_t *work = take_todo(reader);
        if (!work) {
            pthread_cond_wait(&reader->work, &reader->lock);
            continue;
        }
        pthread_mutex_unlock(&reader->lock);
        work->rc = begun == KAP_OK ? slice(reader, txn, work) : begun;
        pthread_mutex_lock(&reader->lock);
        if (work->rc == KAP_E_AGAIN) {
            put_todo(reader, work);
            continue;
        }
        queue_put(&reader->over, work);
        kap_wake_send(reader->wake);
    }
    pthread_mutex_unlock(&reader->lock);
    kap_txn_abort(&txn);
    return NULL;
}

static void on_wake(void *arg)
{
    kap_reader_t *reader = arg;
    queue_t over;
    pthread_mutex_lock(&reader->lock);
    over = reader->over;
    queue_init(&reader->over);
    pthread_mutex_unlock(&reader->lock);
    for (kap_work_t *work = over.first, *next; work; work = next) {
        next = work->next;
        reader->load--;
        work->done(work, work->rc);
    }
}

int kap_reader_start(kap_loop_t *loop, kap_store_t *store, pthread_mutex_t *gate,
                     kap_reader_t **out)
{
    kap_reader_t *reader = calloc(1, sizeof *reader);
    if (!reader)
        return KAP_E_NOMEM;
    reader->store = store;
    reader->gate = gate;
    queue_init(&reader->reads);
    queue_init(&reader->questions);
    queue_init(&reader->over);
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->work, NULL);
    reader->wake = kap_wake_new(loop, on_wake, reader);
    int rc = reader->wake ? KAP_OK : KAP_E_NOMEM;
    if (rc == KAP_OK && pthread_create(&reader->thread, NULL, run, reader) != 0)
        rc = KAP_E_IO;
    if (rc != KAP_OK) {
        if (reader->wake)
            kap_wake_destroy(&reader->wake);
        free(reader);
        return rc;
    }
    *out = reader;
    return KAP_OK;
}

void kap_reader_submit(kap_reader_t *reader, kap_work_t *work)
{
    reader->load++;
    pthread_mutex_lock(&reader->lock);
    put_todo(reader, work);
    pthread_cond_signal(&reader->work);
    pthread_mutex_unlock(&reader->lock);
}

size_t kap_reader_load(const kap_reader_t *reader)
{
    return reader->load;
}

void kap_reader_stop(kap_reader_t **handle)
{
    kap_reader_t *reader = *handle;
    if (!reader)
        return;
    pthread_mutex_lock(&reader->lock);
    reader->stopping = true;
    pthread_cond_signal(&reader->work);
    pthread_mutex_unlock(&reader->lock);
    pthread_join(reader->thread, NULL);
    on_wake(reader);
    for (kap_work_t *work; (work = take_todo(reader)) != NULL;) {
        reader->load--;
        work->done(work, KAP_E_CLOSED);
    }
    kap_wake_destroy(&reader->wake);
    pthread_cond_destroy(&reader->work);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
    *handle = NULL;
}
