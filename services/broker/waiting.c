/* SPDX-License-Identifier: MPL-2.0 */
#include "waiting.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"

enum {
    SOME_MIN = 1024,    /* a guess: fewer cases are counted at once */
    KEPT_MAX = 8 << 20, /* a guess: bytes kept; rows of further cases are read again */
    ROOM = 48,          /* a guess: what later events add to a row */
};

/* A row in the arena, with room to grow. */
typedef struct {
    uint8_t *data;
    uint32_t size, cap;
} row_t;

/* A referral of a case that is kept whole. */
typedef struct {
    kap_span_t id;
    row_t row;
    uint64_t created_seq;
} referral_t;

typedef struct {
    uint32_t scope, region;
    kap_span_t id;
    bool whole;            /* began since figures were written: all its rows stand here */
    bool counted;          /* and nothing came since */
    bool before;           /* counted before, in a part */
    referral_t *referrals; /* in order of creation */
    uint32_t count, cap;
} case_t;

struct kap_waiting {
    kap_arena_t *arena;
    kap_index_t changes, cases, referrals; /* of kap_count_change_t; of case_t, by id; by those of
                                            * its referrals */
    kap_count_refused_t *refused;
    uint32_t refused_count, refused_cap, refused_before; /* before: of earlier batches */
    /* cases that are counted in parts, by region; done: with earlier batches, end: with this one */
    case_t **ordered;
    uint32_t ordered_count, ordered_done, ordered_end;
    bool doubtful;
};

kap_waiting_t *kap_waiting_new(void)
{
    kap_waiting_t *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    w->arena = kap_arena_new(256 << 10);
    kap_index_init(&w->changes);
    kap_index_init(&w->cases);
    kap_index_init(&w->referrals);
    if (w->arena == NULL)
        kap_waiting_destroy(&w);
    return w;
}

void kap_waiting_destroy(kap_waiting_t **waiting)
{
    kap_waiting_t *w = *waiting;

    if (w == NULL)
        return;
    kap_arena_destroy(&w->arena);
    kap_index_fini(&w->changes);
    kap_index_fini(&w->cases);
    kap_index_fini(&w->referrals);
    free(w->refused);
    free(w);
    *waiting = NULL;
}

/* --- changes and refused events --- */

int kap_waiting_change(kap_waiting_t *w, const kap_count_change_t *change)
{
    uint64_t hash = kap_index_hash(&w->changes, change->key.seq, kap_span(NULL, 0));
    size_t place = SIZE_MAX;
    kap_count_change_t *kept;

    while ((kept = kap_index_find(&w->changes, hash, &place)) != NULL) {
        if (kept->key.seq == change->key.seq) {
            *kept = *change;
            return KAP_OK;
        }
    }
    kept = kap_arena_alloc(w->arena, sizeof *kept);
    if (kept == NULL || kap_index_add(&w->changes, hash, kept) != KAP_OK)
        return KAP_E_NOMEM;
    *kept = *change;
    return KAP_OK;
}

int kap_waiting_refused(kap_waiting_t *w, uint32_t member, int64_t at)
{
    if (w->refused_count == w->refused_cap) {
        uint32_t cap = w->refused_cap == 0 ? 64 : w->refused_cap * 2;
        kap_count_refused_t *grown = realloc(w->refused, cap * sizeof *grown);
        if (grown == NULL)
            return KAP_E_NOMEM;
        w->refused = grown;
        w->refused_cap = cap;
    }
    w->refused[w->refused_count++] = (kap_count_refused_t){member, at};
    return KAP_OK;
}

/* --- cases and their rows --- */

static case_t *find_case(const kap_waiting_t *w, uint64_t hash, uint32_t scope, kap_span_t id)
{
    size_t place = SIZE_MAX;
    case_t *c;

    while ((c = kap_index_find(&w->cases, hash, &place)) != NULL) {
        if (c->scope == scope && kap_span_eq(c->id, id))
            return c;
    }
    return NULL;
}

/* The case, which waits from now on. */
static case_t *case_of(kap_waiting_t *w, uint32_t scope, kap_span_t id, uint32_t region,
                       bool begins)
{
    uint64_t hash = kap_index_hash(&w->cases, scope, id);
    case_t *c = find_case(w, hash, scope, id);

    if (c != NULL) {
        c->counted = false;
        return c;
    }
    c = kap_arena_calloc(w->arena, 1, sizeof *c);
    if (c != NULL)
        c->id = kap_arena_dup(w->arena, id);
    if (c == NULL || c->id.data == NULL || kap_index_add(&w->cases, hash, c) != KAP_OK)
        return NULL;
    c->scope = scope;
    c->region = region;
    c->whole = begins && kap_arena_held_bytes(w->arena) <= KEPT_MAX;
    return c;
}

int kap_waiting_case(kap_waiting_t *w, uint32_t scope, kap_span_t id, uint32_t region)
{
    return case_of(w, scope, id, region, false) == NULL ? KAP_E_NOMEM : KAP_OK;
}

static int keep(kap_waiting_t *w, row_t *row, kap_span_t bytes)
{
    if (row->cap < bytes.size) {
        row->data = kap_arena_alloc(w->arena, bytes.size + ROOM);
        if (row->data == NULL)
            return KAP_E_NOMEM;
        row->cap = (uint32_t)bytes.size + ROOM;
    }
    memcpy(row->data, bytes.data, bytes.size);
    row->size = (uint32_t)bytes.size;
    return KAP_OK;
}

static referral_t *find_referral(const case_t *c, kap_span_t id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (kap_span_eq(c->referrals[i].id, id))
            return &c->referrals[i];
    }
    return NULL;
}

static bool grow(kap_waiting_t *w, case_t *c)
{
    uint32_t cap = c->cap == 0 ? 1 : c->cap * 2;
    referral_t *grown = kap_arena_alloc(w->arena, cap * sizeof *grown);

    if (grown == NULL)
        return false;
    if (c->count > 0)
        memcpy(grown, c->referrals, c->count * sizeof *grown);
    c->referrals = grown;
    c->cap = cap;
    return true;
}

/* Makes room for a referral in its case, in order of creation. */
static referral_t *add_referral(kap_waiting_t *w, case_t *c, const kap_waiting_put_t *put)
{
    kap_span_t id = kap_arena_dup(w->arena, put->id);
    uint32_t at = c->count;

    if (id.data == NULL || (c->count == c->cap && !grow(w, c)) ||
        kap_index_add(&w->referrals, kap_index_hash(&w->referrals, c->scope, id), c) != KAP_OK)
        return NULL;
    for (; at > 0 && c->referrals[at - 1].created_seq > put->created_seq; at--)
        c->referrals[at] = c->referrals[at - 1];
    c->referrals[at] = (referral_t){.id = id, .created_seq = put->created_seq};
    c->count++;
    return &c->referrals[at];
}

int kap_waiting_referral(kap_waiting_t *w, const kap_waiting_put_t *put)
{
    case_t *c = case_of(w, put->scope, put->case_id, put->region, put->begins);

    if (c == NULL)
        return KAP_E_NOMEM;
    if (!c->whole)
        return KAP_OK;
    referral_t *r = find_referral(c, put->id);
    if (r == NULL)
        r = add_referral(w, c, put);
    return r == NULL ? KAP_E_NOMEM : keep(w, &r->row, put->row);
}

bool kap_waiting_find_referral(const kap_waiting_t *w, uint32_t scope, kap_span_t id,
                               kap_span_t *row)
{
    uint64_t hash = kap_index_hash(&w->referrals, scope, id);
    size_t place = SIZE_MAX;
    const case_t *c;

    while (!w->doubtful && (c = kap_index_find(&w->referrals, hash, &place)) != NULL) {
        const referral_t *r = c->scope == scope ? find_referral(c, id) : NULL;
        if (r != NULL) {
            *row = kap_span(r->row.data, r->row.size);
            return true;
        }
    }
    return false;
}

/* --- counting --- */

bool kap_waiting_any(const kap_waiting_t *w)
{
    return w->changes.count > 0 || w->cases.count > 0 || w->refused_count > 0;
}

size_t kap_waiting_cases(const kap_waiting_t *w)
{
    return w->cases.count;
}

void kap_waiting_begin(kap_waiting_t *w)
{
    w->refused_count = w->refused_before;
    w->ordered_end = w->ordered_done;
}

static int tell_case(const kap_waiting_t *w, const case_t *c, kap_arena_t *arena,
                     kap_count_case_t *out)
{
    *out = (kap_count_case_t){
        .scope = c->scope, .id = c->id, .region = c->region, .counted = c->before};
    if (!c->whole || w->doubtful)
        return KAP_OK;
    kap_count_row_t *rows = kap_arena_alloc(arena, c->count * sizeof *rows);
    if (rows == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < c->count; i++) {
        const referral_t *r = &c->referrals[i];
        rows[i] = (kap_count_row_t){r->id, kap_span(r->row.data, r->row.size)};
    }
    out->rows = rows;
    out->row_count = c->count;
    return KAP_OK;
}

int kap_waiting_count(kap_waiting_t *w, kap_txn_t *txn, kap_arena_t *arena, uint64_t counted_to)
{
    kap_count_work_t work = {.counted_to = counted_to,
                             .doubtful = w->doubtful,
                             .refused = w->refused,
                             .refused_count = w->refused_count};
    int rc = KAP_OK;

    work.changes = kap_arena_alloc(arena, w->changes.count * sizeof *work.changes);
    work.cases = kap_arena_alloc(arena, w->cases.count * sizeof *work.cases);
    if (work.changes == NULL || work.cases == NULL)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < w->changes.size; i++) {
        const kap_count_change_t *change = w->changes.slots[i].item;
        if (change != NULL)
            work.changes[work.change_count++] = *change;
    }
    for (size_t i = 0; rc == KAP_OK && i < w->cases.size; i++) {
        const case_t *c = w->cases.slots[i].item;
        if (c != NULL && !c->counted)
            rc = tell_case(w, c, arena, &work.cases[work.case_count++]);
    }
    return rc != KAP_OK ? rc : kap_count_apply(txn, &work);
}

static int by_region(const void *a, const void *b)
{
    const case_t *x = *(case_t *const *)a, *y = *(case_t *const *)b;

    return (x->region > y->region) - (x->region < y->region);
}

/* The cases that wait now, by region: parts are taken off this list. */
static int order(kap_waiting_t *w)
{
    w->ordered = kap_arena_alloc(w->arena, w->cases.count * sizeof(case_t *));
    if (w->ordered == NULL)
        return KAP_E_NOMEM;
    for (size_t i = 0; i < w->cases.size; i++) {
        if (w->cases.slots[i].item != NULL)
            w->ordered[w->ordered_count++] = w->cases.slots[i].item;
    }
    qsort(w->ordered, w->ordered_count, sizeof(case_t *), by_region);
    return KAP_OK;
}

/* Where the part that begins at `first` ends: with a region. */
static uint32_t end_of_part(const kap_waiting_t *w, uint32_t first, uint32_t parts)
{
    uint32_t end = first + (w->ordered_count + parts - 1) / parts;

    while (end < w->ordered_count && w->ordered[end]->region == w->ordered[end - 1]->region)
        end++;
    return end < w->ordered_count ? end : w->ordered_count;
}

int kap_waiting_count_some(kap_waiting_t *w, kap_txn_t *txn, kap_arena_t *arena,
                           uint64_t counted_to, uint32_t parts, bool *some)
{
    kap_count_work_t work = {.counted_to = counted_to, .doubtful = w->doubtful};
    int rc = KAP_OK;

    *some = false;
    if (w->ordered == NULL && w->cases.count >= SOME_MIN)
        rc = order(w);
    if (rc != KAP_OK || w->ordered_done == w->ordered_count)
        return rc;
    w->ordered_end = end_of_part(w, w->ordered_done, parts);
    size_t count = w->ordered_end - w->ordered_done;
    work.cases = kap_arena_alloc(arena, count * sizeof *work.cases);
    if (work.cases == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = w->ordered_done; rc == KAP_OK && i < w->ordered_end; i++)
        rc = tell_case(w, w->ordered[i], arena, &work.cases[work.case_count++]);
    *some = true;
    return rc != KAP_OK ? rc : kap_count_apply(txn, &work);
}

void kap_waiting_end(kap_waiting_t *w, bool all)
{
    if (all) {
        kap_index_reset(&w->changes);
        kap_index_reset(&w->cases);
        kap_index_reset(&w->referrals);
        kap_arena_reset(w->arena);
        w->doubtful = false;
        w->refused_count = 0;
        w->ordered = NULL;
        w->ordered_count = w->ordered_done = w->ordered_end = 0;
    }
    for (; w->ordered_done < w->ordered_end; w->ordered_done++) {
        case_t *c = w->ordered[w->ordered_done];
        c->counted = c->before = true;
    }
    w->refused_before = w->refused_count;
}

void kap_waiting_doubt(kap_waiting_t *w)
{
    w->doubtful = true;
}
