/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The twin: each table is a treap whose nodes never change. A transaction holds
 * roots; a write copies the path from root to leaf, so that readers keep their
 * snapshot and an abort forgets the new roots. Nodes are counted (atomically:
 * readers may be other threads).
 */
#include "store_backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a record, shared by the copies of its node. */
typedef struct {
    atomic_uint refs;
    size_t key_size, size;
    uint8_t bytes[]; /* key, then value */
} record_t;

typedef struct node {
    atomic_uint refs;
    uint32_t priority;
    record_t *record;
    struct node *left, *right;
} node_t;

typedef struct {
    unsigned tables;
    pthread_mutex_t mutex; /* guards root */
    node_t *root[KAP_STORE_TABLES_MAX + 1];
    uint32_t seed;
} mem_t;

typedef struct {
    mem_t *mem;
    bool write;
    node_t *root[KAP_STORE_TABLES_MAX + 1];
} txn_t;

typedef struct {
    txn_t *txn;
    unsigned table;
    uint8_t key[KAP_STORE_KEY_BYTES_MAX]; /* where it stands */
    size_t key_size;                      /* 0: nowhere */
} cursor_t;

static kap_span_t key_of(const node_t *n)
{
    return kap_span(n->record->bytes, n->record->key_size);
}

static kap_span_t raw_of(const node_t *n)
{
    return kap_span(n->record->bytes + n->record->key_size, n->record->size);
}

static void release(record_t *record)
{
    if (atomic_fetch_sub(&record->refs, 1) == 1)
        free(record);
}

static node_t *ref(node_t *n)
{
    if (n != NULL)
        atomic_fetch_add(&n->refs, 1);
    return n;
}

static void unref(node_t *n)
{
    if (n == NULL || atomic_fetch_sub(&n->refs, 1) != 1)
        return;
    unref(n->left);
    unref(n->right);
    release(n->record);
    free(n);
}

/* Takes left and right; NULL on lack of memory, and then they are let go. */
static node_t *node_with(record_t *record, uint32_t priority, node_t *left, node_t *right)
{
    node_t *n = malloc(sizeof *n);

    if (n == NULL) {
        unref(left);
        unref(right);
        return NULL;
    }
    atomic_init(&n->refs, 1);
    atomic_fetch_add(&record->refs, 1);
    n->priority = priority;
    n->record = record;
    n->left = left;
    n->right = right;
    return n;
}

/* Splits a tree by a key that is not in it. False on lack of memory. */
static bool split(const node_t *t, kap_span_t key, node_t **left, node_t **right)
{
    node_t *middle;

    *left = *right = NULL;
    if (t == NULL)
        return true;
    if (kap_span_cmp(key_of(t), key) < 0) {
        if (!split(t->right, key, &middle, right))
            return false;
        *left = node_with(t->record, t->priority, ref(t->left), middle);
        if (*left != NULL)
            return true;
        unref(*right);
        return false;
    }
    if (!split(t->left, key, left, &middle))
        return false;
    *right = node_with(t->record, t->priority, middle, ref(t->right));
    if (*right != NULL)
        return true;
    unref(*left);
    return false;
}

/* The tree with a record put in, in place of one of the same key (then `priority` is
 * that one's); NULL on lack of memory. */
static node_t *insert(node_t *t, record_t *record, uint32_t priority)
{
    kap_span_t key = kap_span(record->bytes, record->key_size);
    node_t *left, *right;
    int order = t == NULL ? 0 : kap_span_cmp(key, key_of(t));

    if (t != NULL && order == 0)
        return node_with(record, t->priority, ref(t->left), ref(t->right));
    if (t == NULL || priority > t->priority) {
        if (!split(t, key, &left, &right))
            return NULL;
        return node_with(record, priority, left, right);
    }
    node_t *child = insert(order < 0 ? t->left : t->right, record, priority);
    if (child == NULL)
        return NULL;
    return order < 0 ? node_with(t->record, t->priority, child, ref(t->right))
                     : node_with(t->record, t->priority, ref(t->left), child);
}

/* Joins two trees, all keys of a below those of b. */
static bool join(node_t *a, node_t *b, node_t **out)
{
    node_t *middle;

    if (a == NULL || b == NULL) {
        *out = ref(a != NULL ? a : b);
        return true;
    }
    if (a->priority > b->priority) {
        if (!join(a->right, b, &middle))
            return false;
        *out = node_with(a->record, a->priority, ref(a->left), middle);
    } else {
        if (!join(a, b->left, &middle))
            return false;
        *out = node_with(b->record, b->priority, middle, ref(b->right));
    }
    return *out != NULL;
}

/* Without a key that is in it. */
static bool erase(const node_t *t, kap_span_t key, node_t **out)
{
    node_t *child;
    int order = kap_span_cmp(key, key_of(t));

    if (order == 0)
        return join(t->left, t->right, out);
    if (!erase(order < 0 ? t->left : t->right, key, &child))
        return false;
    *out = order < 0 ? node_with(t->record, t->priority, child, ref(t->right))
                     : node_with(t->record, t->priority, ref(t->left), child);
    return *out != NULL;
}

static const node_t *find(const node_t *t, kap_span_t key)
{
    while (t != NULL) {
        int order = kap_span_cmp(key, key_of(t));
        if (order == 0)
            return t;
        t = order < 0 ? t->left : t->right;
    }
    return NULL;
}

/* Nearest node above (or at, if `at`) a key; an empty key is below all. */
static const node_t *above(const node_t *t, kap_span_t key, bool at)
{
    const node_t *best = NULL;

    while (t != NULL) {
        int order = kap_span_cmp(key_of(t), key);
        if (order > 0 || (at && order == 0)) {
            best = t;
            t = t->left;
        } else {
            t = t->right;
        }
    }
    return best;
}

static const node_t *below(const node_t *t, kap_span_t key)
{
    const node_t *best = NULL;

    while (t != NULL) {
        if (kap_span_cmp(key_of(t), key) < 0) {
            best = t;
            t = t->right;
        } else {
            t = t->left;
        }
    }
    return best;
}

static const node_t *last(const node_t *t)
{
    while (t != NULL && t->right != NULL)
        t = t->right;
    return t;
}

static int mem_open(const kap_store_opts_t *opts, const char *const *tables, void **out)
{
    mem_t *mem = calloc(1, sizeof *mem);

    (void)opts;
    if (mem == NULL)
        return KAP_E_NOMEM;
    while (tables[mem->tables] != NULL)
        mem->tables++;
    pthread_mutex_init(&mem->mutex, NULL);
    mem->seed = 1;
    *out = mem;
    return KAP_OK;
}

static void mem_close(void *arg)
{
    mem_t *mem = arg;

    for (unsigned i = 0; i < mem->tables; i++)
        unref(mem->root[i]);
    pthread_mutex_destroy(&mem->mutex);
    free(mem);
}

static int mem_grow(void *arg)
{
    (void)arg;
    return KAP_OK;
}

static int mem_usage(void *arg, uint64_t *used_bytes, uint64_t *map_bytes)
{
    (void)arg;
    *used_bytes = 0;
    *map_bytes = UINT64_MAX;
    return KAP_OK;
}

static int mem_disk(void *arg, uint64_t *free_bytes)
{
    (void)arg;
    *free_bytes = UINT64_MAX;
    return KAP_OK;
}

static int mem_check_readers(void *arg, int *dead)
{
    (void)arg;
    *dead = 0;
    return KAP_OK;
}

static int mem_copy(void *arg, const char *directory)
{
    (void)arg;
    (void)directory;
    return KAP_E_INVALID;
}

static int txn_renew(void *arg)
{
    txn_t *txn = arg;

    pthread_mutex_lock(&txn->mem->mutex);
    for (unsigned i = 0; i < txn->mem->tables; i++)
        txn->root[i] = ref(txn->mem->root[i]);
    pthread_mutex_unlock(&txn->mem->mutex);
    return KAP_OK;
}

static void txn_reset(void *arg)
{
    txn_t *txn = arg;

    for (unsigned i = 0; i < txn->mem->tables; i++) {
        unref(txn->root[i]);
        txn->root[i] = NULL;
    }
}

static int txn_begin(void *arg, bool write, void **out)
{
    txn_t *txn = calloc(1, sizeof *txn);

    if (txn == NULL)
        return KAP_E_NOMEM;
    txn->mem = arg;
    txn->write = write;
    *out = txn;
    return txn_renew(txn);
}

static void txn_abort(void *arg)
{
    txn_reset(arg);
    free(arg);
}

static int txn_commit(void *arg)
{
    txn_t *txn = arg;

    pthread_mutex_lock(&txn->mem->mutex);
    for (unsigned i = 0; i < txn->mem->tables; i++) {
        node_t *old = txn->mem->root[i];
        txn->mem->root[i] = txn->root[i];
        txn->root[i] = old;
    }
    pthread_mutex_unlock(&txn->mem->mutex);
    txn_abort(txn);
    return KAP_OK;
}

static int txn_get(void *arg, unsigned table, kap_span_t key, kap_span_t *raw)
{
    txn_t *txn = arg;
    const node_t *n = find(txn->root[table], key);

    if (n == NULL)
        return KAP_E_NOTFOUND;
    *raw = raw_of(n);
    return KAP_OK;
}

/* Priorities need only look random (xorshift32, Marsaglia 2003). */
static uint32_t next_priority(mem_t *mem)
{
    mem->seed ^= mem->seed << 13;
    mem->seed ^= mem->seed >> 17;
    mem->seed ^= mem->seed << 5;
    return mem->seed;
}

static int txn_put(void *arg, unsigned table, kap_span_t key, size_t size, bool append,
                   uint8_t **room)
{
    txn_t *txn = arg;
    const node_t *end = append ? last(txn->root[table]) : NULL;
    const node_t *old = find(txn->root[table], key);

    if (end != NULL && kap_span_cmp(key_of(end), key) >= 0)
        return KAP_E_EXISTS;
    record_t *record = malloc(sizeof *record + key.size + size);
    if (record == NULL)
        return KAP_E_NOMEM;
    atomic_init(&record->refs, 1); /* ours */
    record->key_size = key.size;
    record->size = size;
    memcpy(record->bytes, key.data, key.size);
    node_t *root =
        insert(txn->root[table], record, old != NULL ? old->priority : next_priority(txn->mem));
    release(record);
    if (root == NULL)
        return KAP_E_NOMEM;
    unref(txn->root[table]);
    txn->root[table] = root;
    *room = record->bytes + key.size;
    return KAP_OK;
}

static int txn_del(void *arg, unsigned table, kap_span_t key)
{
    txn_t *txn = arg;
    node_t *root;

    if (find(txn->root[table], key) == NULL)
        return KAP_E_NOTFOUND;
    if (!erase(txn->root[table], key, &root))
        return KAP_E_NOMEM;
    unref(txn->root[table]);
    txn->root[table] = root;
    return KAP_OK;
}

static int cursor_open(void *arg, unsigned table, void **out)
{
    cursor_t *cursor = malloc(sizeof *cursor);

    if (cursor == NULL)
        return KAP_E_NOMEM;
    cursor->txn = arg;
    cursor->table = table;
    cursor->key_size = 0;
    *out = cursor;
    return KAP_OK;
}

static void cursor_close(void *cursor)
{
    free(cursor);
}

static int cursor_move(void *arg, kap_move_t move, kap_span_t key, kap_span_t *found,
                       kap_span_t *raw)
{
    cursor_t *c = arg;
    const node_t *root = c->txn->root[c->table], *n = NULL;
    kap_span_t here = kap_span(c->key, c->key_size), least = kap_span(NULL, 0);

    switch (move) {
    case KAP_MOVE_GE:
        n = above(root, key, true);
        break;
    case KAP_MOVE_FIRST:
        n = above(root, least, true);
        break;
    case KAP_MOVE_NEXT:
        n = above(root, here, false);
        break;
    case KAP_MOVE_PREV:
        n = c->key_size == 0 ? last(root) : below(root, here);
        break;
    case KAP_MOVE_LAST:
        n = last(root);
        break;
    }
    if (n == NULL)
        return KAP_E_NOTFOUND;
    *found = key_of(n);
    *raw = raw_of(n);
    memcpy(c->key, found->data, found->size);
    c->key_size = found->size;
    return KAP_OK;
}

const kap_backend_t kap_store_mem = {
    .open = mem_open,
    .close = mem_close,
    .grow = mem_grow,
    .usage = mem_usage,
    .disk = mem_disk,
    .check_readers = mem_check_readers,
    .copy = mem_copy,
    .begin = txn_begin,
    .commit = txn_commit,
    .abort = txn_abort,
    .reset = txn_reset,
    .renew = txn_renew,
    .get = txn_get,
    .put = txn_put,
    .del = txn_del,
    .cursor_open = cursor_open,
    .cursor_close = cursor_close,
    .cursor_move = cursor_move,
};
