/* SPDX-License-Identifier: MPL-2.0 */
#include "book.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "crypto.h"
#include "err.h"
#include "seeded.h"
#include "waiting.h"

enum {
    NAMES_KEPT_MAX = 200000, /* a guess: names in memory before they are read anew */
    TAIL_ROWS_MAX = 32,      /* so many batches are folded into streams at once, ... */
    TAIL_BYTES_MAX = 65536,  /* ... or those that together have so many bytes: who reads a
                              * stream to its end walks them all */
};

typedef struct {
    kap_object_t *object;
    void *copy;
} saved_t;

/* A small row that is put as it is: titles, and keys of `due` that go. */
typedef struct pending {
    kap_key_t key;
    kap_span_t value;
    struct pending *next;
} pending_t;

/* A row of the index of what is followed, in order. */
typedef struct followed {
    kap_followed_change_t change;
    struct followed *next;
} followed_t;

struct kap_book {
    kap_txn_t *txn;
    kap_arena_t *arena;
    int error;
    bool figures;
    kap_buf_t buf; /* a row being packed */
    /* kept from batch to batch */
    kap_arena_t *name_arena;
    kap_index_t names;
    uint32_t last_number; /* 0: not read yet */
    bool numbers_known;
    bool tail_known;
    uint32_t tail_rows; /* in `tail`, and their bytes */
    size_t tail_bytes;
    /* of this batch */
    kap_name_t *touched, *fresh, *fresh_last;
    kap_index_t objects;
    kap_object_t *dirty, *dirty_last;
    pending_t *titles, *due_gone;
    followed_t *followed, *followed_last;
    /* of this group */
    uint32_t group;
    bool in_group;
    saved_t *saved;
    uint32_t saved_count, saved_cap;
    kap_count_change_t *extra; /* changes that no referral's row tells */
    uint32_t extra_count, extra_cap;
    uint32_t directory;     /* number of the one in force */
    kap_waiting_t *waiting; /* to be counted, from batch to batch */
    bool urgent;
};

static const size_t object_bytes[KAP_OBJECT_KINDS] = {
    [KAP_OBJECT_REFERRAL] = sizeof(kap_referral_object_t),
    [KAP_OBJECT_CASE] = sizeof(kap_case_object_t),
    [KAP_OBJECT_FORUM] = sizeof(kap_forum_object_t),
    [KAP_OBJECT_MEETING] = sizeof(kap_meeting_object_t),
    [KAP_OBJECT_ACTION] = sizeof(kap_action_object_t),
    [KAP_OBJECT_LATEST] = sizeof(kap_latest_object_t),
    [KAP_OBJECT_ARCHIVE] = sizeof(kap_archive_object_t),
    [KAP_OBJECT_SUCCESSION] = sizeof(kap_succession_object_t),
};

kap_book_t *kap_book_new(bool figures)
{
    kap_book_t *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->figures = figures;
    s->name_arena = kap_arena_new(64 << 10);
    s->waiting = kap_waiting_new();
    s->directory = 1;
    kap_index_init(&s->names);
    kap_index_init(&s->objects);
    if (s->name_arena == NULL || s->waiting == NULL)
        kap_book_destroy(&s);
    return s;
}

void kap_book_destroy(kap_book_t **book)
{
    kap_book_t *s = *book;

    if (s == NULL)
        return;
    kap_arena_destroy(&s->name_arena);
    kap_waiting_destroy(&s->waiting);
    kap_index_fini(&s->names);
    kap_index_fini(&s->objects);
    kap_buf_fini(&s->buf);
    free(s);
    *book = NULL;
}

void kap_book_begin(kap_book_t *s, kap_txn_t *txn, kap_arena_t *arena)
{
    if (s->names.count > NAMES_KEPT_MAX)
        kap_book_forget(s);
    s->txn = txn;
    s->arena = arena;
    s->error = KAP_OK;
    s->touched = s->fresh = s->fresh_last = NULL;
    s->dirty = s->dirty_last = NULL;
    s->titles = s->due_gone = NULL;
    s->followed = s->followed_last = NULL;
    s->saved = NULL;
    s->saved_count = s->saved_cap = 0;
    s->group = 0;
    s->in_group = false;
    s->extra = NULL;
    s->extra_count = s->extra_cap = 0;
    kap_waiting_begin(s->waiting);
    kap_index_reset(&s->objects);
}

int kap_book_error(const kap_book_t *s)
{
    return s->error != KAP_OK ? s->error : kap_txn_error(s->txn);
}

void kap_book_fail(kap_book_t *s, int rc)
{
    if (s->error == KAP_OK)
        s->error = rc;
}

/* Notes an error; true when there is none and the row was found. */
static bool found(kap_book_t *s, int rc)
{
    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        kap_book_fail(s, rc);
    return rc == KAP_OK;
}

void *kap_book_alloc(kap_book_t *s, size_t bytes)
{
    void *p = kap_arena_calloc(s->arena, 1, bytes);

    if (p == NULL)
        kap_book_fail(s, KAP_E_NOMEM);
    return p;
}

kap_buf_t *kap_book_scratch(kap_book_t *s)
{
    kap_buf_reset(&s->buf);
    return &s->buf;
}

kap_span_t kap_book_keep(kap_book_t *s, kap_span_t bytes)
{
    kap_span_t copy = kap_arena_dup(s->arena, bytes);

    if (copy.data == NULL)
        kap_book_fail(s, KAP_E_NOMEM);
    return copy;
}

void kap_book_forget(kap_book_t *s)
{
    kap_index_fini(&s->names);
    kap_arena_reset(s->name_arena);
    s->last_number = 0;
    s->numbers_known = false;
    s->tail_known = false;
    kap_waiting_doubt(s->waiting);
}

/* --- names --- */

uint32_t kap_book_directory(const kap_book_t *s)
{
    return s->directory;
}

void kap_book_new_directory(kap_book_t *s)
{
    s->directory++;
}

static kap_name_t *make_name(kap_book_t *s, kap_span_t text, uint64_t hash)
{
    kap_name_t *name = kap_arena_calloc(s->name_arena, 1, sizeof *name);

    if (name != NULL)
        name->text = kap_arena_dup(s->name_arena, text);
    if (name == NULL || name->text.data == NULL || kap_index_add(&s->names, hash, name) != KAP_OK) {
        kap_book_fail(s, KAP_E_NOMEM);
        return NULL;
    }
    name->hash = hash;
    found(s, kap_rows_number(s->txn, text, &name->number));
    return name;
}

kap_name_t *kap_book_name(kap_book_t *s, kap_span_t text)
{
    uint64_t hash = kap_index_hash(&s->names, 0, text);
    size_t place = SIZE_MAX;
    kap_name_t *name;

    while ((name = kap_index_find(&s->names, hash, &place)) != NULL) {
        if (kap_span_eq(name->text, text))
            return name;
    }
    return make_name(s, text, hash);
}

kap_name_t *kap_book_stream(kap_book_t *s, const char *prefix, kap_span_t id)
{
    uint8_t text[KAP_STORE_KEY_BYTES_MAX];
    size_t size = strlen(prefix);

    KAP_CHECK(1 + size + id.size <= sizeof text);
    text[0] = KAP_ROWS_STREAM_MARK[0];
    memcpy(text + 1, prefix, size);
    memcpy(text + 1 + size, id.data, id.size);
    return kap_book_name(s, kap_span(text, 1 + size + id.size));
}

/* The highest number given so far: texts are in order of numbers. */
static void read_last_number(kap_book_t *s)
{
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(s->txn, KAP_ROWS_TEXTS, &cursor);

    s->numbers_known = true;
    if (!found(s, rc))
        return;
    if (found(s, kap_cursor_last(cursor)))
        s->last_number = kap_be_get_u32(kap_cursor_key(cursor).data);
    kap_cursor_close(&cursor);
}

uint32_t kap_book_number(kap_book_t *s, kap_name_t *name)
{
    if (name->number != 0)
        return name->number;
    if (!s->numbers_known)
        read_last_number(s);
    name->number = ++s->last_number;
    name->next_fresh = NULL;
    if (s->fresh == NULL)
        s->fresh = name;
    else
        s->fresh_last->next_fresh = name;
    s->fresh_last = name;
    return name->number;
}

kap_span_t kap_book_text(kap_book_t *s, uint32_t number)
{
    kap_span_t text = {0};

    for (const kap_name_t *n = s->fresh; n != NULL; n = n->next_fresh) {
        if (n->number == number)
            return n->text;
    }
    if (number != 0 && !found(s, kap_rows_text(s->txn, number, &text)))
        kap_book_fail(s, KAP_E_CORRUPT);
    return text;
}

/* Room for `more` values in what a name gathers in this batch. */
static uint64_t *room(kap_book_t *s, kap_name_t *name, uint32_t more)
{
    if (name->added_count == 0) {
        name->added = NULL;
        name->added_cap = 0;
        name->next_touched = s->touched;
        s->touched = name;
    }
    if (name->added_count + more > name->added_cap) {
        uint32_t cap = name->added_cap == 0 ? 8 : name->added_cap * 2;
        uint64_t *grown = kap_arena_alloc(s->arena, cap * sizeof *grown);
        if (grown == NULL) {
            kap_book_fail(s, KAP_E_NOMEM);
            return NULL;
        }
        if (name->added_count > 0)
            memcpy(grown, name->added, name->added_count * sizeof *grown);
        name->added = grown;
        name->added_cap = cap;
    }
    uint64_t *at = name->added + name->added_count;
    name->added_count += more;
    return at;
}

uint64_t kap_book_append(kap_book_t *s, kap_name_t *stream, uint64_t log_seq)
{
    kap_span_t bare = kap_span_sub(stream->text, 1, SIZE_MAX);

    if (!stream->head_known && stream->number != 0)
        found(s, kap_rows_stream_head(s->txn, bare, &stream->head));
    stream->head_known = true;
    kap_book_number(s, stream);
    if (stream->added_count == 0)
        stream->first_new = stream->head + 1;
    uint64_t *at = room(s, stream, 1);
    if (at == NULL)
        return 0;
    *at = log_seq;
    return ++stream->head;
}

const kap_mark_t *kap_book_mark(kap_book_t *s, kap_name_t *source)
{
    if (!source->mark_known)
        found(s, kap_rows_mark(s->txn, source->text, &source->mark));
    source->mark_known = true;
    return &source->mark;
}

void kap_book_advance(kap_book_t *s, kap_name_t *source, const uint8_t hash[32], uint64_t log_seq)
{
    kap_book_mark(s, source);
    kap_book_number(s, source);
    source->mark.last++;
    memcpy(source->mark.hash, hash, sizeof source->mark.hash);
    if (source->added_count > 0) {
        uint64_t *pair = source->added + source->added_count - 2;
        if (pair[0] + pair[1] == log_seq) {
            pair[1]++;
            return;
        }
    } else {
        source->first_new = source->mark.last;
    }
    uint64_t *pair = room(s, source, 2);
    if (pair != NULL) {
        pair[0] = log_seq;
        pair[1] = 1;
    }
}

uint64_t kap_book_receipt(kap_book_t *s, kap_name_t *source, uint64_t sequence)
{
    uint64_t log_seq = 0, first = source->first_new;

    if (source->added_count > 0 && sequence >= first) {
        for (uint32_t i = 0; i < source->added_count; first += source->added[i + 1], i += 2) {
            if (sequence < first + source->added[i + 1])
                return source->added[i] + (sequence - first);
        }
    }
    int rc = kap_rows_receipt(s->txn, source->text, sequence, &log_seq);
    if (rc != KAP_OK)
        kap_book_fail(s, rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc);
    return rc == KAP_OK ? log_seq : 0;
}

/* --- objects --- */

static uint64_t hash_of(const kap_book_t *s, kap_object_kind_t kind, uint32_t scope, kap_span_t id)
{
    return kap_index_hash(&s->objects, (uint64_t)kind << 32 | scope, id);
}

/* The object of a key, as far as this batch has asked for it. */
static kap_object_t *known_object(const kap_book_t *s, kap_object_kind_t kind, uint64_t hash,
                                  uint32_t scope, kap_span_t id)
{
    size_t place = SIZE_MAX;
    kap_object_t *o;

    while ((o = kap_index_find(&s->objects, hash, &place)) != NULL) {
        if (o->kind == kind && o->scope == scope && kap_span_eq(o->id, id))
            return o;
    }
    return NULL;
}

/* The object of a key in this batch; *made says that it must be read. */
static void *object(kap_book_t *s, kap_object_kind_t kind, uint32_t scope, kap_span_t id,
                    bool *made)
{
    uint64_t hash = hash_of(s, kind, scope, id);
    kap_object_t *o = known_object(s, kind, hash, scope, id);

    *made = false;
    if (o != NULL)
        return o;
    o = kap_book_alloc(s, object_bytes[kind]);
    if (o == NULL)
        return NULL;
    if (kap_index_add(&s->objects, hash, o) != KAP_OK) {
        kap_book_fail(s, KAP_E_NOMEM);
        return NULL;
    }
    o->kind = (uint8_t)kind;
    o->scope = scope;
    o->id = id;
    o->hash = hash;
    *made = true;
    return o;
}

/* A row that waits to be counted need not be read; it is copied, since the next put overwrites it.
 */
static int read_referral(kap_book_t *s, uint32_t scope, kap_span_t id, kap_referral_row_t *row)
{
    kap_span_t kept;

    if (!kap_waiting_find_referral(s->waiting, scope, id, &kept))
        return kap_rows_referral(s->txn, scope, id, row);
    kept = kap_arena_dup(s->arena, kept);
    return kept.data == NULL ? KAP_E_NOMEM : kap_referral_row_unpack(kept, row);
}

kap_referral_object_t *kap_book_referral(kap_book_t *s, uint32_t scope, kap_span_t id)
{
    bool made;
    kap_referral_object_t *r = object(s, KAP_OBJECT_REFERRAL, scope, id, &made);

    if (r == NULL || !made)
        return r;
    r->o.known = found(s, read_referral(s, scope, id, &r->row));
    if (!r->o.known) {
        kap_referral_init(&r->row.r);
        r->row.due_indexed_at = KAP_REFERRAL_NO_TIME;
        r->row.customer = (kap_spent_t){KAP_REFERRAL_NO_SPAN_MS, KAP_REFERRAL_NO_SPAN_MS};
    }
    return r;
}

kap_case_object_t *kap_book_case(kap_book_t *s, uint32_t scope, kap_span_t id)
{
    bool made;
    kap_case_object_t *c = object(s, KAP_OBJECT_CASE, scope, id, &made);

    if (c == NULL || !made)
        return c;
    c->o.known = found(s, kap_rows_case_row(s->txn, scope, id, &c->row));
    if (!c->o.known)
        c->row = (kap_case_row_t){.started_at = KAP_REFERRAL_NO_TIME,
                                  .first_accepted_at = KAP_REFERRAL_NO_TIME};
    return c;
}

kap_forum_object_t *kap_book_forum(kap_book_t *s, kap_span_t id)
{
    bool made;
    kap_forum_object_t *f = object(s, KAP_OBJECT_FORUM, 0, id, &made);

    if (f == NULL || !made)
        return f;
    f->o.known = found(s, kap_rows_forum(s->txn, id, &f->forum));
    if (!f->o.known)
        kap_forum_init(&f->forum);
    return f;
}

kap_meeting_object_t *kap_book_meeting(kap_book_t *s, kap_span_t id)
{
    bool made;
    kap_meeting_object_t *m = object(s, KAP_OBJECT_MEETING, 0, id, &made);

    if (m == NULL || !made)
        return m;
    m->o.known = found(s, kap_rows_meeting(s->txn, id, &m->meeting));
    if (!m->o.known)
        kap_meeting_init(&m->meeting);
    m->followed.at = kap_followed_meeting_at(&m->meeting);
    return m;
}

kap_action_object_t *kap_book_action(kap_book_t *s, kap_span_t id)
{
    bool made;
    kap_action_object_t *a = object(s, KAP_OBJECT_ACTION, 0, id, &made);

    if (a == NULL || !made)
        return a;
    a->o.known = found(s, kap_rows_action(s->txn, id, &a->action));
    if (!a->o.known)
        kap_action_init(&a->action);
    return a;
}

/* A key of several ids may be longer than the store takes: then its hash stands for the end. */
static kap_span_t fitting(kap_book_t *s, kap_span_t key)
{
    uint8_t bytes[KAP_ROWS_LATEST_KEY_HEAD + KAP_HASH_BYTES];

    if (key.size <= KAP_ROWS_LATEST_KEY_MAX)
        return kap_book_keep(s, key);
    memcpy(bytes, key.data, KAP_ROWS_LATEST_KEY_HEAD);
    kap_hash256(bytes + KAP_ROWS_LATEST_KEY_HEAD, &key, 1);
    return kap_book_keep(s, kap_span(bytes, sizeof bytes));
}

kap_latest_object_t *kap_book_latest(kap_book_t *s, kap_span_t key)
{
    bool made;
    kap_span_t id = fitting(s, key);
    kap_latest_object_t *l = id.data == NULL ? NULL : object(s, KAP_OBJECT_LATEST, 0, id, &made);

    if (l == NULL || !made)
        return l;
    l->o.known = found(s, kap_rows_latest(s->txn, id, &l->latest));
    if (!l->o.known)
        l->latest = (kap_latest_t){0};
    l->followed = (kap_followed_place_t){l->latest.at, l->latest.log_seq};
    return l;
}

bool kap_book_has_latest(kap_book_t *s, kap_span_t prefix, int8_t *known)
{
    kap_cursor_t *cursor;

    if (*known != 0)
        return *known > 0;
    int rc = kap_cursor_open(s->txn, KAP_ROWS_LATEST, &cursor);
    if (!found(s, rc))
        return false;
    bool there = found(s, kap_cursor_seek_ge(cursor, prefix)) &&
                 kap_span_starts(kap_cursor_key(cursor), prefix);
    kap_cursor_close(&cursor);
    *known = there ? 1 : -1;
    return there;
}

kap_archive_object_t *kap_book_archive(kap_book_t *s, kap_span_t name)
{
    bool made;
    kap_archive_object_t *a = object(s, KAP_OBJECT_ARCHIVE, 0, name, &made);

    if (a == NULL || !made)
        return a;
    a->o.known = found(s, kap_rows_archive(s->txn, name, &a->archive));
    if (!a->o.known)
        a->archive = (kap_archive_t){0};
    return a;
}

kap_succession_object_t *kap_book_succession(kap_book_t *s, kap_succeeded_t kind, kap_span_t id)
{
    bool made;
    kap_succession_object_t *x = object(s, KAP_OBJECT_SUCCESSION, kind, id, &made);

    if (x != NULL && made)
        x->o.known = found(s, kap_rows_succession(s->txn, kind, id, &x->row));
    return x;
}

/* --- changing --- */

static void save(kap_book_t *s, kap_object_t *o)
{
    if (s->saved_count == s->saved_cap) {
        uint32_t cap = s->saved_cap == 0 ? 32 : s->saved_cap * 2;
        saved_t *grown = kap_book_alloc(s, cap * sizeof *grown);
        if (grown == NULL)
            return;
        if (s->saved_count > 0)
            memcpy(grown, s->saved, s->saved_count * sizeof *grown);
        s->saved = grown;
        s->saved_cap = cap;
    }
    void *copy = kap_book_alloc(s, object_bytes[o->kind]);
    if (copy == NULL)
        return;
    memcpy(copy, o, object_bytes[o->kind]);
    s->saved[s->saved_count++] = (saved_t){o, copy};
    o->group = s->group;
}

void kap_book_guard(kap_book_t *s, kap_object_t *o)
{
    if (s->in_group && o->group != s->group)
        save(s, o);
}

void kap_book_touch(kap_book_t *s, kap_object_t *o)
{
    if (!o->dirty) {
        o->dirty = true;
        o->next_dirty = NULL;
        if (s->dirty == NULL)
            s->dirty = o;
        else
            s->dirty_last->next_dirty = o;
        s->dirty_last = o;
    }
    kap_book_guard(s, o);
}

void kap_book_group_begin(kap_book_t *s)
{
    s->group++;
    s->in_group = true;
    s->saved_count = 0;
}

/* Objects get their contents back, but stay where they are on the lists. */
void kap_book_group_rollback(kap_book_t *s)
{
    for (uint32_t i = s->saved_count; i > 0; i--) {
        kap_object_t *o = s->saved[i - 1].object, now = *o;
        memcpy(o, s->saved[i - 1].copy, object_bytes[o->kind]);
        o->dirty = now.dirty;
        o->next_dirty = now.next_dirty;
    }
    s->saved_count = 0;
}

void kap_book_group_end(kap_book_t *s)
{
    s->in_group = false;
}

void kap_book_case_add(kap_book_t *s, kap_case_object_t *c, kap_span_t referral)
{
    if (c->added_count == c->added_cap) {
        uint32_t cap = c->added_cap == 0 ? 4 : c->added_cap * 2;
        kap_span_t *grown = kap_book_alloc(s, cap * sizeof *grown);
        if (grown == NULL)
            return;
        if (c->added_count > 0)
            memcpy(grown, c->added, c->added_count * sizeof *grown);
        c->added = grown;
        c->added_cap = cap;
    }
    ((kap_span_t *)(uintptr_t)c->added)[c->added_count++] = referral;
    c->row.count++;
}

static pending_t *pend(kap_book_t *s, pending_t **list, kap_span_t value)
{
    pending_t *p = kap_book_alloc(s, sizeof *p);

    if (p == NULL)
        return NULL;
    p->value = value;
    p->next = *list;
    *list = p;
    return p;
}

void kap_book_title(kap_book_t *s, uint32_t scope, kap_span_t id, kap_span_t title)
{
    pending_t *p = pend(s, &s->titles, title);

    if (p != NULL)
        kap_key_scoped(&p->key, scope, id);
}

void kap_book_due_delete(kap_book_t *s, kap_span_t key)
{
    pending_t *p = pend(s, &s->due_gone, key);

    if (p != NULL) {
        KAP_CHECK(key.size <= sizeof p->key.bytes);
        memcpy(p->key.bytes, key.data, key.size);
        p->key.size = key.size;
    }
}

void kap_book_figure(kap_book_t *s, const kap_count_change_t *change)
{
    if (s->extra_count == s->extra_cap) {
        uint32_t cap = s->extra_cap == 0 ? 16 : s->extra_cap * 2;
        kap_count_change_t *grown = kap_book_alloc(s, cap * sizeof *grown);
        if (grown == NULL)
            return;
        if (s->extra_count > 0)
            memcpy(grown, s->extra, s->extra_count * sizeof *grown);
        s->extra = grown;
        s->extra_cap = cap;
    }
    s->extra[s->extra_count++] = *change;
}

void kap_book_refused(kap_book_t *s, uint32_t member, int64_t at)
{
    found(s, kap_waiting_refused(s->waiting, member, at));
}

void kap_book_followed(kap_book_t *s, const kap_followed_change_t *change)
{
    followed_t *f = kap_book_alloc(s, sizeof *f);

    if (f == NULL)
        return;
    f->change = *change;
    f->change.key = kap_book_keep(s, change->key);
    f->change.value = kap_book_keep(s, change->value);
    if (s->followed == NULL)
        s->followed = f;
    else
        s->followed_last->next = f;
    s->followed_last = f;
}

/* --- writing --- */

static void put(kap_book_t *s, unsigned table, kap_span_t key)
{
    if (s->buf.err != KAP_OK)
        kap_book_fail(s, s->buf.err);
    else
        kap_txn_put(s->txn, table, key, kap_buf_span(&s->buf)); /* errors stick in the txn */
}

static void write_names(kap_book_t *s)
{
    uint8_t number[4];

    for (kap_name_t *n = s->fresh; n != NULL; n = n->next_fresh) {
        kap_be_put_u32(number, n->number);
        kap_txn_put(s->txn, KAP_ROWS_NAMES, n->text, kap_span(number, sizeof number));
        kap_txn_append(s->txn, KAP_ROWS_TEXTS, kap_span(number, sizeof number), n->text);
    }
}

static bool is_stream(const kap_name_t *n)
{
    return n->text.data[0] == (uint8_t)KAP_ROWS_STREAM_MARK[0];
}

/* Places of one stream while batches are folded. */
typedef struct fold {
    uint32_t stream;
    uint64_t first;
    uint64_t *positions;
    uint32_t count, cap;
    struct fold *next;
} fold_t;

/* Everything that `tail` holds. */
typedef struct {
    kap_index_t streams;
    fold_t *first, **end;
    kap_key_t keys[TAIL_ROWS_MAX];
    uint32_t rows;
} folding_t;

static fold_t *fold_of(kap_book_t *s, folding_t *f, const kap_tail_t *tail)
{
    uint64_t hash = kap_index_hash(&f->streams, tail->stream, kap_span(NULL, 0));
    size_t place = SIZE_MAX;
    fold_t *fold;

    while ((fold = kap_index_find(&f->streams, hash, &place)) != NULL) {
        if (fold->stream == tail->stream)
            return fold;
    }
    fold = kap_book_alloc(s, sizeof *fold);
    if (fold == NULL || kap_index_add(&f->streams, hash, fold) != KAP_OK) {
        kap_book_fail(s, KAP_E_NOMEM);
        return NULL;
    }
    fold->stream = tail->stream;
    fold->first = tail->first;
    *f->end = fold;
    f->end = &fold->next;
    return fold;
}

/* Takes over the places of one stream and one batch. */
static int fold_tail(kap_book_t *s, folding_t *f, kap_tail_t *tail)
{
    fold_t *fold = fold_of(s, f, tail);
    uint64_t position;

    if (fold == NULL)
        return KAP_E_NOMEM;
    if (tail->first != fold->first + fold->count)
        return KAP_E_CORRUPT; /* streams are gapless */
    while (kap_tail_position(tail, &position)) {
        if (fold->count == fold->cap) {
            uint32_t cap = fold->cap == 0 ? 32 : fold->cap * 2;
            uint64_t *grown = kap_arena_alloc(s->arena, cap * sizeof *grown);
            if (grown == NULL)
                return KAP_E_NOMEM;
            if (fold->count > 0)
                memcpy(grown, fold->positions, fold->count * sizeof *grown);
            fold->positions = grown;
            fold->cap = cap;
        }
        fold->positions[fold->count++] = position;
    }
    return tail->first + tail->count == fold->first + fold->count ? KAP_OK : KAP_E_CORRUPT;
}

static int fold_row(kap_book_t *s, folding_t *f, const kap_cursor_t *cursor)
{
    kap_span_t key = kap_cursor_key(cursor), row = kap_cursor_value(cursor);
    kap_tail_t tail;

    if (key.size != 8 || f->rows == TAIL_ROWS_MAX)
        return KAP_E_CORRUPT;
    kap_key_u64(&f->keys[f->rows++], kap_be_get_u64(key.data));
    int rc = kap_tail_next(&row, kap_be_get_u64(key.data), &tail);
    while (rc == KAP_OK) {
        rc = fold_tail(s, f, &tail);
        if (rc == KAP_OK)
            rc = kap_tail_next(&row, kap_be_get_u64(key.data), &tail);
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int gather_tail(kap_book_t *s, folding_t *f)
{
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(s->txn, KAP_ROWS_TAIL, &cursor);

    if (rc != KAP_OK)
        return rc;
    rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    while (rc == KAP_OK) {
        rc = fold_row(s, f, cursor);
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static void write_stream(kap_book_t *s, const fold_t *fold)
{
    kap_key_t key;
    uint64_t before = 0;

    kap_buf_reset(&s->buf);
    kap_put_varint(&s->buf, fold->count);
    for (uint32_t i = 0; i < fold->count; i++) {
        kap_put_varint(&s->buf, fold->positions[i] - before);
        before = fold->positions[i];
    }
    kap_key_u32_u64(&key, fold->stream, fold->first);
    put(s, KAP_ROWS_STREAMS, kap_key_span(&key));
}

/* A row for each stream in place of one for each batch. */
static void fold_all(kap_book_t *s)
{
    folding_t *f = kap_book_alloc(s, sizeof *f);

    if (f == NULL)
        return;
    kap_index_init(&f->streams);
    f->end = &f->first;
    int rc = gather_tail(s, f);
    for (const fold_t *fold = f->first; rc == KAP_OK && fold != NULL; fold = fold->next)
        write_stream(s, fold);
    for (uint32_t i = 0; rc == KAP_OK && i < f->rows; i++)
        rc = kap_txn_delete(s->txn, KAP_ROWS_TAIL, kap_key_span(&f->keys[i]));
    kap_index_fini(&f->streams);
    if (rc != KAP_OK)
        kap_book_fail(s, rc);
    s->tail_rows = 0;
    s->tail_bytes = 0;
}

static void look_at_tail(kap_book_t *s)
{
    kap_cursor_t *cursor;

    s->tail_rows = 0;
    s->tail_bytes = 0;
    s->tail_known = true;
    if (!found(s, kap_cursor_open(s->txn, KAP_ROWS_TAIL, &cursor)))
        return;
    int rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0));
    for (; found(s, rc); rc = kap_cursor_next(cursor)) {
        s->tail_rows++;
        s->tail_bytes += kap_cursor_value(cursor).size;
    }
    kap_cursor_close(&cursor);
}

/* The places of this batch in all its streams; `base` is the first of them. */
static void write_tail(kap_book_t *s, uint64_t base)
{
    kap_key_t key;

    if (!s->tail_known)
        look_at_tail(s);
    if (s->tail_rows >= TAIL_ROWS_MAX || s->tail_bytes >= TAIL_BYTES_MAX)
        fold_all(s);
    kap_buf_reset(&s->buf);
    for (const kap_name_t *n = s->touched; n != NULL; n = n->next_touched) {
        uint64_t before = base;
        if (!is_stream(n))
            continue;
        kap_put_varint(&s->buf, n->number);
        kap_put_varint(&s->buf, n->first_new);
        kap_put_varint(&s->buf, n->added_count);
        for (uint32_t i = 0; i < n->added_count; i++) {
            kap_put_varint(&s->buf, n->added[i] - before);
            before = n->added[i];
        }
    }
    s->tail_rows++;
    s->tail_bytes += s->buf.size;
    kap_key_u64(&key, base);
    put(s, KAP_ROWS_TAIL, kap_key_span(&key));
}

static void write_source(kap_book_t *s, const kap_name_t *n)
{
    kap_key_t key;
    uint8_t number[4];

    kap_buf_reset(&s->buf);
    for (uint32_t i = 0; i < n->added_count; i++)
        kap_put_varint(&s->buf, n->added[i]);
    kap_key_u32_u64(&key, n->number, n->first_new);
    put(s, KAP_ROWS_RECEIPTS, kap_key_span(&key));
    kap_be_put_u32(number, n->number);
    kap_buf_reset(&s->buf);
    kap_mark_pack(&s->buf, &n->mark);
    if (!KAP_SEEDED_BUG("mark_not_written") || n->mark.last < 12)
        put(s, KAP_ROWS_PRODUCERS, kap_span(number, sizeof number));
}

static void write_touched(kap_book_t *s)
{
    uint64_t base = UINT64_MAX;

    for (kap_name_t *n = s->touched; n != NULL; n = n->next_touched) {
        if (!is_stream(n))
            write_source(s, n);
        else if (n->added[0] < base)
            base = n->added[0];
    }
    if (base != UINT64_MAX)
        write_tail(s, base);
}

/* --- objects --- */

void kap_book_count_case(kap_book_t *s, uint32_t scope, kap_span_t id, uint32_t region)
{
    found(s, kap_waiting_case(s->waiting, scope, id, region));
}

/* Did the case begin in this batch? */
static bool begins(const kap_book_t *s, uint32_t scope, kap_span_t id)
{
    uint64_t hash = hash_of(s, KAP_OBJECT_CASE, scope, id);
    const kap_object_t *o = known_object(s, KAP_OBJECT_CASE, hash, scope, id);

    return o != NULL && ((const kap_case_object_t *)o)->row.ids.size == 0;
}

static void wait_for_count(kap_book_t *s, const kap_referral_object_t *r)
{
    kap_waiting_put_t put = {.scope = r->o.scope,
                             .region = r->row.places.region,
                             .id = r->o.id,
                             .case_id = r->row.r.case_id,
                             .created_seq = r->row.created_seq,
                             .row = kap_buf_span(&s->buf)};

    put.begins = begins(s, put.scope, put.case_id);
    if (s->buf.err == KAP_OK)
        found(s, kap_waiting_referral(s->waiting, &put));
}

/* The index of deadlines may name a time too early, never one too late. */
static void write_due(kap_book_t *s, kap_referral_object_t *r)
{
    kap_referral_row_t *row = &r->row;
    kap_key_t key;

    if (!kap_referral_is_due(&row->r, INT64_MAX) ||
        (row->due_indexed_at != KAP_REFERRAL_NO_TIME && row->due_indexed_at <= row->r.due_at))
        return;
    row->due_indexed_at = row->r.due_at;
    kap_key_due(&key, row->r.due_at, r->o.scope, r->o.id);
    if (!KAP_SEEDED_BUG("deadline_not_indexed"))
        kap_txn_put(s->txn, KAP_ROWS_DUE, kap_key_span(&key), kap_span(NULL, 0));
}

static void write_referral(kap_book_t *s, kap_referral_object_t *r)
{
    write_due(s, r);
    kap_referral_row_pack(&s->buf, &r->row);
    if (s->figures)
        wait_for_count(s, r);
}

static void write_case(kap_book_t *s, kap_case_object_t *c)
{
    kap_case_row_pack(&s->buf, &c->row);
    for (uint32_t i = 0; i < c->added_count; i++)
        kap_put_text(&s->buf, c->added[i]);
}

/* Packs an object; the table it belongs to. */
static unsigned pack(kap_book_t *s, kap_object_t *o)
{
    switch ((kap_object_kind_t)o->kind) {
    case KAP_OBJECT_REFERRAL:
        write_referral(s, (kap_referral_object_t *)o);
        return KAP_ROWS_REFERRALS;
    case KAP_OBJECT_CASE:
        write_case(s, (kap_case_object_t *)o);
        return KAP_ROWS_CASES;
    case KAP_OBJECT_FORUM:
        kap_forum_pack(&s->buf, &((kap_forum_object_t *)o)->forum);
        return KAP_ROWS_FORUMS;
    case KAP_OBJECT_MEETING:
        kap_meeting_pack(&s->buf, &((kap_meeting_object_t *)o)->meeting);
        return KAP_ROWS_MEETINGS;
    case KAP_OBJECT_ACTION:
        kap_action_pack(&s->buf, &((kap_action_object_t *)o)->action);
        return KAP_ROWS_ACTIONS;
    case KAP_OBJECT_LATEST:
        kap_latest_pack(&s->buf, &((kap_latest_object_t *)o)->latest);
        return KAP_ROWS_LATEST;
    case KAP_OBJECT_ARCHIVE:
        kap_archive_pack(&s->buf, &((kap_archive_object_t *)o)->archive);
        return KAP_ROWS_ARCHIVES;
    case KAP_OBJECT_SUCCESSION:
        kap_succession_row_pack(&s->buf, &((kap_succession_object_t *)o)->row);
        return KAP_ROWS_SUCCESSIONS;
    case KAP_OBJECT_KINDS:
        break;
    }
    KAP_CHECK(!"an object of no kind");
    return 0;
}

static void write_objects(kap_book_t *s)
{
    kap_key_t key;

    for (kap_object_t *o = s->dirty; o != NULL; o = o->next_dirty) {
        if (!o->known)
            continue;
        kap_buf_reset(&s->buf);
        unsigned table = pack(s, o);
        bool scoped =
            table == KAP_ROWS_REFERRALS || table == KAP_ROWS_CASES || table == KAP_ROWS_SUCCESSIONS;
        if (scoped)
            kap_key_scoped(&key, o->scope, o->id);
        put(s, table, scoped ? kap_key_span(&key) : o->id);
    }
}

int kap_book_write(kap_book_t *s)
{
    for (const pending_t *p = s->due_gone; p != NULL; p = p->next)
        kap_txn_delete(s->txn, KAP_ROWS_DUE, kap_key_span(&p->key));
    write_objects(s);
    for (const pending_t *p = s->titles; p != NULL; p = p->next)
        kap_txn_put(s->txn, KAP_ROWS_TITLES, kap_key_span(&p->key), p->value);
    for (const followed_t *f = s->followed; f != NULL; f = f->next)
        found(s, kap_followed_write(s->txn, &f->change));
    for (uint32_t i = 0; i < s->extra_count; i++) { /* without figures too: see replay.c */
        found(s, kap_waiting_change(s->waiting, &s->extra[i]));
        s->urgent = true;
    }
    write_names(s);
    write_touched(s);
    return kap_book_error(s);
}

bool kap_book_is_clean(const kap_book_t *s)
{
    return s->dirty == NULL && s->due_gone == NULL && s->touched == NULL && s->fresh == NULL;
}

/* --- figures --- */

bool kap_book_figures_urgent(const kap_book_t *s)
{
    return s->urgent;
}

bool kap_book_figures_waiting(const kap_book_t *s)
{
    return kap_waiting_any(s->waiting);
}

size_t kap_book_cases_waiting(const kap_book_t *s)
{
    return kap_waiting_cases(s->waiting);
}

int kap_book_write_figures(kap_book_t *s, uint64_t counted_to)
{
    return kap_waiting_count(s->waiting, s->txn, s->arena, counted_to);
}

int kap_book_count_some(kap_book_t *s, uint64_t counted_to, uint32_t parts, bool *some)
{
    return kap_waiting_count_some(s->waiting, s->txn, s->arena, counted_to, parts, some);
}

void kap_book_end(kap_book_t *s, bool figures_written)
{
    for (kap_name_t *n = s->touched; n != NULL; n = n->next_touched)
        n->added_count = 0;
    s->touched = NULL;
    s->urgent = s->urgent && !figures_written;
    kap_waiting_end(s->waiting, figures_written);
    s->txn = NULL;
    s->arena = NULL;
}
