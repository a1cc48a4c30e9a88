/* SPDX-License-Identifier: MPL-2.0 */
/*
 * book: what the ledger knows while it judges a batch: every row that an event touches is read
 * once and put once, whatever happens to it in between. Objects live in the batch's arena; what
 * they held before a group can be brought back. Names, heads of streams and marks are kept from
 * batch to batch. Owner and only caller: the thread that writes. Errors stick (kap_book_error):
 * look once, before the commit. It judges nothing.
 *
 * Rows are read before the first write of a transaction, so what they lend stays valid to its end.
 */
#ifndef KAP_BOOK_H
#define KAP_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "count.h"
#include "directory.h"
#include "followed.h"
#include "index.h"
#include "meeting.h"
#include "rows.h"
#include "span.h"
#include "store.h"

typedef struct kap_book kap_book_t;

/* A text with its number; as a stream it has a head, as a source a mark. Lives as long as the
 * state, until kap_book_forget. Numbers are given when an accepted or logged event needs one,
 * never while judging, so that a recount gives the same ones. */
typedef struct kap_name {
    kap_span_t text; /* of a stream with KAP_ROWS_STREAM_MARK in front */
    uint64_t hash;
    uint32_t number; /* 0: none yet */
    int8_t targets;  /* as a region: 1 has targets of its own, -1 has none, 0 not looked up */
    /* as a region its area, as a member its organisation (numbers, 0: none), by the directory of
     * that number (kap_book_directory) */
    uint32_t area, area_by, organisation, organisation_by;
    bool head_known; /* as a stream */
    bool mark_known; /* as a source */
    uint64_t head;   /* newest place, those of this batch included */
    kap_mark_t mark; /* with the events of this batch */
    /* of this batch: positions added to the stream; pairs (position, count) of the source */
    uint64_t *added;
    uint32_t added_count, added_cap;
    uint64_t first_new; /* first place or sequence in `added` */
    kap_span_t shown;   /* the engine's: copy of the text in the batch numbered shown_in */
    uint64_t shown_in;
    struct kap_name *next_touched, *next_fresh;
} kap_name_t;

typedef enum {
    KAP_OBJECT_REFERRAL,
    KAP_OBJECT_CASE,
    KAP_OBJECT_FORUM,
    KAP_OBJECT_MEETING,
    KAP_OBJECT_ACTION,
    KAP_OBJECT_LATEST,
    KAP_OBJECT_ARCHIVE,
    KAP_OBJECT_SUCCESSION,
    KAP_OBJECT_KINDS
} kap_object_kind_t;

/* What all objects begin with. */
typedef struct kap_object {
    kap_span_t id;
    uint64_t hash;
    uint32_t scope;
    uint32_t group; /* number of the group that saved it last */
    uint8_t kind;   /* kap_object_kind_t */
    bool known;     /* there is such a row, or will be */
    bool dirty;     /* on the list of what is written */
    struct kap_object *next_dirty;
} kap_object_t;

typedef struct {
    kap_object_t o;
    kap_referral_row_t row;
    /* looked up once: names of its ends, and their streams; NULL: not yet */
    kap_name_t *from, *to;
    kap_name_t *region_stream, *from_stream, *to_stream;
} kap_referral_object_t;

typedef struct {
    kap_object_t o;
    kap_case_row_t row; /* `ids`: those of the stored row; new ones follow in `added` */
    const kap_span_t *added;
    uint32_t added_count, added_cap;
} kap_case_object_t;

typedef struct {
    kap_object_t o;
    kap_forum_t forum;
} kap_forum_object_t;

typedef struct {
    kap_object_t o;
    kap_meeting_t meeting;
    kap_followed_place_t followed; /* follow.c's: where the index has it */
} kap_meeting_object_t;

typedef struct {
    kap_object_t o;
    kap_action_t action;
} kap_action_object_t;

typedef struct {
    kap_object_t o;
    kap_latest_t latest;
    kap_followed_place_t followed; /* where the last one that has its position counts */
} kap_latest_object_t;

typedef struct {
    kap_object_t o;
    kap_archive_t archive;
} kap_archive_object_t;

typedef struct {
    kap_object_t o; /* its scope is a kap_succeeded_t */
    kap_succession_row_t row;
} kap_succession_object_t;

/* figures false: only what is urgent is gathered. NULL when out of memory. */
kap_book_t *kap_book_new(bool figures);
void kap_book_destroy(kap_book_t **book);

/* Begins a batch in a write transaction; the arena is the batch's. */
void kap_book_begin(kap_book_t *book, kap_txn_t *txn, kap_arena_t *arena);

/* First error of the batch, KAP_OK while there is none. */
int kap_book_error(const kap_book_t *book);

/* Takes an entry of the index of deadlines away, with the batch. */
void kap_book_due_delete(kap_book_t *book, kap_span_t key);

/* Puts every row that changed. Figures wait for kap_book_write_figures. */
int kap_book_write(kap_book_t *book);

/* True when no row changed in this batch. */
bool kap_book_is_clean(const kap_book_t *book);

/* True when figures were gathered that must not wait: another batch could not tell them again. */
bool kap_book_figures_urgent(const kap_book_t *book);

/* Does anything wait to be counted; and how many cases. */
bool kap_book_figures_waiting(const kap_book_t *book);
size_t kap_book_cases_waiting(const kap_book_t *book);

/* Counts what waits, in the same transaction. counted_to: kap_count_work_t. */
int kap_book_write_figures(kap_book_t *book, uint64_t counted_to);

/* Counts a part of the cases that wait, so that less is left for kap_book_write_figures
 * (kap_waiting_count_some). *some: there were any. */
int kap_book_count_some(kap_book_t *book, uint64_t counted_to, uint32_t parts, bool *some);

/* After the commit: what was gathered is done (figures_written says whether figures too). */
void kap_book_end(kap_book_t *book, bool figures_written);

/* After an aborted transaction: forgets names, heads and marks; the batch is begun anew. */
void kap_book_forget(kap_book_t *book);

/* --- names --- */

/* The name of a text (1 to 511 bytes); NULL on error. */
kap_name_t *kap_book_name(kap_book_t *book, kap_span_t text);

/* Number of the directory in force: another one each time that a new one is told. From 1 on. */
uint32_t kap_book_directory(const kap_book_t *book);
void kap_book_new_directory(kap_book_t *book);

/* The text of a number; empty on error and for 0. */
kap_span_t kap_book_text(kap_book_t *book, uint32_t number);

/* Its number, given now if it has none. */
uint32_t kap_book_number(kap_book_t *book, kap_name_t *name);

/* The stream "<prefix><id>", e.g. "member/" of a member; NULL on error. */
kap_name_t *kap_book_stream(kap_book_t *book, const char *prefix, kap_span_t id);

/* Appends a position to a stream; returns its place there. */
uint64_t kap_book_append(kap_book_t *book, kap_name_t *stream, uint64_t log_seq);

/* Reads the mark of a source; an unknown one has last 0. */
const kap_mark_t *kap_book_mark(kap_book_t *book, kap_name_t *source);

/* Moves the mark to the next sequence, which lies in the log at log_seq. */
void kap_book_advance(kap_book_t *book, kap_name_t *source, const uint8_t hash[32],
                      uint64_t log_seq);

/* Position of an event below the mark, in this batch or in the store; 0 on error. */
uint64_t kap_book_receipt(kap_book_t *book, kap_name_t *source, uint64_t sequence);

/* --- objects: `known` false when there is no such row; NULL on error --- */

kap_referral_object_t *kap_book_referral(kap_book_t *book, uint32_t scope, kap_span_t id);
kap_case_object_t *kap_book_case(kap_book_t *book, uint32_t scope, kap_span_t id);
kap_forum_object_t *kap_book_forum(kap_book_t *book, kap_span_t id);
kap_meeting_object_t *kap_book_meeting(kap_book_t *book, kap_span_t id);
kap_action_object_t *kap_book_action(kap_book_t *book, kap_span_t id);
kap_latest_object_t *kap_book_latest(kap_book_t *book, kap_span_t key);

/* True when `latest` may hold a key that begins so: looked up once a region, kept in *known
 * (kap_name_t.targets). */
bool kap_book_has_latest(kap_book_t *book, kap_span_t prefix, int8_t *known);
kap_archive_object_t *kap_book_archive(kap_book_t *book, kap_span_t name);
kap_succession_object_t *kap_book_succession(kap_book_t *book, kap_succeeded_t kind, kap_span_t id);

/* Before a machine may change an object: a rollback of the group brings it back. */
void kap_book_guard(kap_book_t *book, kap_object_t *object);

/* It changes, or did under guard: it will be written. */
void kap_book_touch(kap_book_t *book, kap_object_t *object);

/* Adds a referral to a case that was touched. */
void kap_book_case_add(kap_book_t *book, kap_case_object_t *c, kap_span_t referral);

/* The name that a hashed id stands for. */
void kap_book_title(kap_book_t *book, uint32_t scope, kap_span_t id, kap_span_t title);

/* A figure that no referral's row tells: urgent. */
void kap_book_figure(kap_book_t *book, const kap_count_change_t *change);

/* An event of a member that was refused. */
void kap_book_refused(kap_book_t *book, uint32_t member, int64_t at);

/* A case that is to be counted anew, though no row of it changes; the region of any of its
 * referrals. Rows that change are noted by themselves. */
void kap_book_count_case(kap_book_t *book, uint32_t scope, kap_span_t id, uint32_t region);

/* A row of the index of what is followed, copied: written with the batch, in this order. */
void kap_book_followed(kap_book_t *book, const kap_followed_change_t *change);

/* From here on changes can be taken back together; groups do not nest. */
void kap_book_group_begin(kap_book_t *book);
void kap_book_group_rollback(kap_book_t *book);
void kap_book_group_end(kap_book_t *book);

/* Copies bytes into the batch's arena. */
kap_span_t kap_book_keep(kap_book_t *book, kap_span_t bytes);

/* Zeroed room in the batch's arena; NULL on error. */
void *kap_book_alloc(kap_book_t *book, size_t bytes);

/* An empty buffer for the caller's next step; anything else of the book may use it too. */
kap_buf_t *kap_book_scratch(kap_book_t *book);

/* Notes an error that the caller met. */
void kap_book_fail(kap_book_t *book, int rc);

#endif
