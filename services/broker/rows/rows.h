/* SPDX-License-Identifier: MPL-2.0 */
/*
 * rows: the tables of the broker's store: names, keys and layouts of their rows, and the functions
 * that read them. Everything here works inside a transaction of the caller (reader, ledger, audit,
 * tests) and holds nothing beyond it; spans lend from the transaction. Numbers are big-endian in
 * keys, varints (LEB128) in values. It judges nothing. Writing is book.c's and count.c's.
 *
 * A *scope* keeps the ids of two archives, and of the mesh, apart: 0 for the mesh, else the number
 * of the archive's name.
 */
#ifndef KAP_ROWS_H
#define KAP_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "case.h"
#include "meeting.h"
#include "referral.h"
#include "span.h"
#include "store.h"

#define KAP_ROWS_STORE   "broker" /* name of the store */
#define KAP_ROWS_VERSION 3
/* The oldest version whose log, names and directories lie as today's do: a restore enters it anew.
 */
#define KAP_ROWS_OLDEST 2
/* What the operator does about an older store (kap_store_opts_t.older). */
#define KAP_ROWS_OLDER                                                                             \
    "stop the broker, move the folder away, and have it entered anew: kapula-broker --config "     \
    "FILE "                                                                                        \
    "--restore MOVED"

/* KAP_TABLE(NAME, "name", "key", "value") */
#define KAP_ROWS_TABLES(KAP_TABLE)                                                                 \
    KAP_TABLE(META, "meta", "what", "mesh, epoch, head, figures' position; ended epochs")          \
    KAP_TABLE(NAMES, "names", "text", "number")                                                    \
    KAP_TABLE(TEXTS, "texts", "number", "text")                                                    \
    KAP_TABLE(LOG, "log", "first position", "run of events, open parts")                           \
    KAP_TABLE(ENDS, "ends", "first position", "run of ends parts")                                 \
    KAP_TABLE(SEALED, "sealed", "first position", "run of sealed parts")                           \
    KAP_TABLE(STREAMS, "streams", "stream, first place", "positions of some batches in it")        \
    KAP_TABLE(TAIL, "tail", "first position", "places of a batch, until folded into streams")      \
    KAP_TABLE(PRODUCERS, "producers", "source", "mark: last sequence and hash, scope")             \
    KAP_TABLE(RECEIPTS, "receipts", "source, first sequence", "position, count")                   \
    KAP_TABLE(REFERRALS, "referrals", "scope, id", "state of a referral")                          \
    KAP_TABLE(CASES, "cases", "scope, id", "first accept, ids of its referrals in order")          \
    KAP_TABLE(FORUMS, "forums", "id", "state of a forum")                                          \
    KAP_TABLE(MEETINGS, "meetings", "id", "state of a meeting")                                    \
    KAP_TABLE(ACTIONS, "actions", "id", "state of an action")                                      \
    KAP_TABLE(LATEST, "latest", "kap_followup_key", "position and ends of the last of its key")    \
    KAP_TABLE(DUE, "due", "time, scope, referral", "nothing; may be early, never late")            \
    KAP_TABLE(ARCHIVES, "archives", "name", "what it holds, whether it is closed")                 \
    KAP_TABLE(TITLES, "titles", "scope, id", "full name that a hashed id stands for")              \
    KAP_TABLE(DIRECTORIES, "directories", "first position", "text of the directory from there")    \
    KAP_TABLE(COHORT, "cohort", "region, from, to, created, position", "what a referral counts")   \
    KAP_TABLE(PATHS, "paths", "scope, case", "what a case counts")                                 \
    KAP_TABLE(OPEN, "open", "as cohort", "referrals that somebody has to do something about")      \
    KAP_TABLE(CELLS, "cells", "level, scope, breakdown, period", "sums of what rows count")        \
    KAP_TABLE(SKETCHES, "sketches", "as cells", "durations, in log buckets")                       \
    KAP_TABLE(FOLLOWED, "followed", "region, kind, as the kind says",                              \
              "meetings, reports and sums of them")                                                \
    KAP_TABLE(SUCCESSIONS, "successions", "kind, id", "who follows it, from when and where")

enum {
#define KAP_TABLE(NAME, name, key, value) KAP_ROWS_##NAME,
    KAP_ROWS_TABLES(KAP_TABLE)
#undef KAP_TABLE
        KAP_ROWS_COUNT
};

/* Names of the tables for kap_store_open, ended by NULL. */
extern const char *const kap_rows_tables[];

enum {
    KAP_ROWS_RUN_BYTES = 16384, /* a run of the log ends when it is this large */
    KAP_ROWS_KEY_BYTES = 511,
    KAP_ROWS_LATEST_KEY_MAX = 480,  /* a longer key of `latest` ... */
    KAP_ROWS_LATEST_KEY_HEAD = 256, /* ... is kept as so many bytes and its BLAKE2b-256 */
};

/* --- meta --- */

/* Where the log stands. */
typedef struct {
    uint8_t mesh[32], epoch[16];
    uint64_t seq;         /* newest position, 0: empty */
    int64_t time;         /* its committed_at */
    uint8_t chain[32];    /* h(seq); h(0) when empty (kap_chain_start) */
    uint64_t figures_seq; /* cells, cohort and sketches stand here, at or before seq */
    int64_t figures_time; /* committed_at of that position */
    bool figures_moving;  /* some of what came after it is counted already: ask again soon */
} kap_head_t;

/* KAP_OK; KAP_E_NOTFOUND in a store that was never opened by a ledger; KAP_E_CORRUPT. */
int kap_rows_head(kap_txn_t *txn, kap_head_t *head);

/* An epoch that a restore ended, and the last position of the log that was kept of it. */
typedef struct {
    uint8_t epoch[16];
    uint64_t kept_to;
} kap_ended_t;

/* Every one of them, oldest first: bytes for kap_ended_next; empty when nothing was restored. */
int kap_rows_ended(kap_txn_t *txn, kap_span_t *ended);

/* Takes the next one off; false at the end. */
bool kap_ended_next(kap_span_t *rest, kap_ended_t *ended);

/* Last position of the log that is still there of an epoch that ended; 0: none of it is, or it was
 * never this store's. */
uint64_t kap_ended_kept(kap_span_t ended, const uint8_t epoch[16]);

/* The epoch in which the log began: the chain starts with it, whatever was restored since. */
int kap_rows_first_epoch(kap_txn_t *txn, const kap_head_t *head, uint8_t epoch[16]);

/* --- names: every member, actor, region, source and stream has a number, from 1 --- */

/* Stands before the name of a stream in the table of names, so that no source equals one. */
#define KAP_ROWS_STREAM_MARK "\x1f"

/* 0 when the text has none. */
int kap_rows_number(kap_txn_t *txn, kap_span_t text, uint32_t *number);

/* The text of a number; KAP_E_NOTFOUND. */
int kap_rows_text(kap_txn_t *txn, uint32_t number, kap_span_t *text);

/* --- the log --- */

/* One event as it lies in the log. */
typedef struct {
    uint64_t log_seq;
    int64_t committed_at;
    uint8_t verdict;   /* KAP_VERDICT_ */
    kap_refusal_t why; /* number 0 when not refused */
    int8_t state;      /* refused: state of the referral it met; KAP_STATE_NONE: none */
    uint16_t as;       /* KAP_AS_: what the publisher was towards it */
    uint32_t source;   /* number of its source's name */
    uint64_t sequence; /* in its source */
    uint8_t content_hash[32], ends_hash[32], sealed_hash[32]; /* zeroes: has no such part */
    uint8_t leaf[32];
    bool begins_batch;
    kap_span_t open;         /* empty for a refused event */
    kap_span_t ends, sealed; /* as far as asked for and there */
} kap_logged_t;

enum { KAP_LOGGED_ENDS = 1, KAP_LOGGED_SEALED = 2 };

/* Walks a log in one transaction, cheapest in rising order. Embedded; close it before the
 * transaction ends or is reset. */
typedef struct {
    kap_cursor_t *log, *ends, *sealed;
    kap_span_t run[3]; /* runs in hand: log, ends, sealed */
    uint64_t first[3]; /* their first positions, 0: none in hand */
    size_t at;         /* next event in the log's run */
    uint64_t next;     /* and its position */
} kap_log_walk_t;

int kap_log_walk_open(kap_txn_t *txn, kap_log_walk_t *walk);
void kap_log_walk_close(kap_log_walk_t *walk);

/* The event at a position, with the parts asked for (KAP_LOGGED_). Its leaf is computed anew and
 * compared. KAP_E_NOTFOUND past the head; KAP_E_CORRUPT when something is missing or does not fit.
 */
int kap_log_walk_get(kap_log_walk_t *walk, uint64_t log_seq, unsigned parts, kap_logged_t *event);

/* --- streams ---
 * A batch touches most streams: a row for each would dirty a page for each. So its places stand in
 * one row of `tail`, and a row for each stream is written once for many batches (book.c). */

/* What a row of `tail` says of one stream. */
typedef struct {
    uint32_t stream;       /* number of its name */
    uint64_t first, count; /* places */
    kap_span_t rest;       /* positions not yet taken, each as distance from the one before */
    uint64_t position;     /* the one before */
} kap_tail_t;

/* Takes the next stream off the row that begins at `base`. KAP_E_NOTFOUND at its end;
 * KAP_E_CORRUPT. */
int kap_tail_next(kap_span_t *row, uint64_t base, kap_tail_t *tail);

/* The next position in the log; false after the last. */
bool kap_tail_position(kap_tail_t *tail, uint64_t *position);

/* Newest place in a stream; 0 when it has no events or is unknown. */
int kap_rows_stream_head(kap_txn_t *txn, kap_span_t stream, uint64_t *seq);

/* Positions in the log of the stream's events after `after`, at most `max`: log_seqs[0] belongs to
 * place after + 1, and so on. *count 0: nothing after it. */
int kap_rows_stream_after(kap_txn_t *txn, kap_span_t stream, uint64_t after, uint64_t log_seqs[],
                          uint32_t max, uint32_t *count);

/* How many of the stream's events lie at or below a position of the log. */
int kap_rows_stream_kept(kap_txn_t *txn, kap_span_t stream, uint64_t log_seq, uint64_t *count);

/* --- producers --- */

typedef struct {
    uint64_t last;    /* sequence; 0: the source is unknown */
    uint8_t hash[32]; /* content hash of that event */
    uint32_t scope;   /* the archive it fills, 0: none */
} kap_mark_t;

/* The mark of a source; an unknown one has last 0. */
int kap_rows_mark(kap_txn_t *txn, kap_span_t source, kap_mark_t *mark);

/* Position in the log of an event that the source published; KAP_E_NOTFOUND above the mark. */
int kap_rows_receipt(kap_txn_t *txn, kap_span_t source, uint64_t sequence, uint64_t *log_seq);

/* --- state --- */

/* Where a referral counts: numbers of names, given with its creation, by the directory of then. 0:
 * none (an archive and a bench region have no area, actors of an archive no organisation). */
typedef struct {
    uint32_t region, area, from, from_organisation, to, to_organisation;
} kap_places_t;

/* A referral as it stands, and what the ledger keeps beside the machine's state. */
typedef struct {
    kap_referral_t r;
    kap_places_t places;
    uint64_t created_seq;   /* position of its `created` */
    int64_t due_indexed_at; /* earliest entry of it in `due`, KAP_REFERRAL_NO_TIME: none */
    kap_spent_t customer;   /* customer's clock, when the case's first accept is this one's */
} kap_referral_row_t;

/* Scope of a region's ids: 0 for the mesh, the archive's number for an archive (0 too when there
 * is no archive of that name). */
int kap_rows_scope(kap_txn_t *txn, kap_span_t archive, uint32_t *scope);

/* KAP_E_NOTFOUND; spans of the row lend from the transaction. */
int kap_rows_referral(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_referral_row_t *row);

/* A case row: what it lists, and where its first accept lies. */
typedef struct {
    int64_t started_at;        /* created of its earliest root; KAP_REFERRAL_NO_TIME: none */
    int64_t first_accepted_at; /* by the machine's time, implied ones too; NO_TIME: none yet */
    kap_span_t first_accepted; /* that referral; of several the one created first */
    uint32_t count;            /* referrals */
    kap_span_t ids;            /* each with its length in front (kap_get_text) */
} kap_case_row_t;

int kap_rows_case_row(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_case_row_t *row);

/* The name that a hashed id of an archive stands for: `id` itself when there is none. */
int kap_rows_title(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_span_t *title);

/* A case with its referrals as they stand; nodes and ids in the arena. KAP_E_NOTFOUND. */
int kap_rows_case(kap_txn_t *txn, uint32_t scope, kap_span_t id, kap_arena_t *arena,
                  kap_case_t *out);

int kap_rows_forum(kap_txn_t *txn, kap_span_t id, kap_forum_t *forum);
int kap_rows_meeting(kap_txn_t *txn, kap_span_t id, kap_meeting_t *meeting);
int kap_rows_action(kap_txn_t *txn, kap_span_t id, kap_action_t *action);

/* An archive: what NAME holds. */
typedef struct {
    kap_span_t source;             /* that fills it */
    kap_span_t attribute, options; /* as opened */
    uint8_t digest[32];
    uint64_t opened_seq, closed_seq; /* positions; closed 0: still open */
} kap_archive_t;

/* KAP_E_NOTFOUND. */
int kap_rows_archive(kap_txn_t *txn, kap_span_t name, kap_archive_t *archive);

/* The directory's text in force at a position; KAP_E_NOTFOUND before the first. *from (may be
 * NULL) gets the position it is valid from. */
int kap_rows_directory(kap_txn_t *txn, uint64_t log_seq, uint64_t *from, kap_span_t *json);

/* The last event of a follow-up key (a tally, a target, an agreement, a statement). */
typedef struct {
    uint64_t log_seq;
    int64_t at;                  /* when it counts: a tally's period, else its time */
    bool given;                  /* a statement that was asked was also given */
    bool agreed;                 /* an agreement holds; false: it was taken back */
    int16_t kind;                /* of an agreement or tally: KAP_KIND_, -1: any */
    int64_t days;                /* a target's, else 0 */
    int64_t begins, ends;        /* it holds for [begins, ends) */
    kap_span_t from, to, region; /* as far as it names them */
} kap_latest_t;

/* KAP_E_NOTFOUND. */
int kap_rows_latest(kap_txn_t *txn, kap_span_t key, kap_latest_t *latest);

/* Who follows a member, a region or an area. */
typedef enum { KAP_SUCCEEDED_MEMBER = 1, KAP_SUCCEEDED_REGION, KAP_SUCCEEDED_AREA } kap_succeeded_t;

typedef struct {
    int64_t from_at;  /* from this instant on */
    kap_span_t heirs; /* kap_heir_next: one for everywhere, or one a region */
} kap_succession_row_t;

/* KAP_E_NOTFOUND: nobody followed it. */
int kap_rows_succession(kap_txn_t *txn, kap_succeeded_t kind, kap_span_t id,
                        kap_succession_row_t *row);

/* Does any succession of the kind name the id, as one that was followed or follows? */
int kap_rows_is_in_succession(kap_txn_t *txn, kap_succeeded_t kind, kap_span_t id, bool *is);

/* Takes the next heir off the list; `region` empty: everywhere. false at the end of it. */
bool kap_heir_next(kap_span_t *rest, kap_span_t *region, kap_span_t *heir);
void kap_heir_put(kap_buf_t *buf, kap_span_t region, kap_span_t heir);

/* --- building keys and values; book.c, count.c and audit.c --- */

typedef struct {
    uint8_t bytes[KAP_ROWS_KEY_BYTES];
    size_t size;
} kap_key_t;

static inline kap_span_t kap_key_span(const kap_key_t *key)
{
    return kap_span(key->bytes, key->size);
}

void kap_key_u64(kap_key_t *key, uint64_t value);                   /* one position */
void kap_key_u32_u64(kap_key_t *key, uint32_t a, uint64_t b);       /* streams, receipts */
void kap_key_scoped(kap_key_t *key, uint32_t scope, kap_span_t id); /* referrals, cases */
void kap_key_due(kap_key_t *key, int64_t at, uint32_t scope, kap_span_t id);
int kap_key_due_split(kap_span_t key, int64_t *at, uint32_t *scope, kap_span_t *id);

/* Varints of LEB128; signed ones by zigzag. get returns false past the end or above 64 bits. */
void kap_put_varint(kap_buf_t *buf, uint64_t value);
void kap_put_svarint(kap_buf_t *buf, int64_t value);
bool kap_get_varint(kap_span_t *rest, uint64_t *value);
bool kap_get_svarint(kap_span_t *rest, int64_t *value);

/* Text with its length in front. */
void kap_put_text(kap_buf_t *buf, kap_span_t text);
bool kap_get_text(kap_span_t *rest, kap_span_t *text);

/* Rows as bytes; pack appends, errors are the buffer's. unpack: KAP_E_CORRUPT. */
void kap_head_pack(kap_buf_t *buf, const kap_head_t *head);
void kap_ended_pack(kap_buf_t *buf, const kap_ended_t *ended);
void kap_mark_pack(kap_buf_t *buf, const kap_mark_t *mark);
void kap_logged_pack(kap_buf_t *buf, const kap_logged_t *event); /* open part and hashes */
void kap_case_row_pack(kap_buf_t *buf, const kap_case_row_t *row);
int kap_case_row_unpack(kap_span_t value, kap_case_row_t *row);
void kap_latest_pack(kap_buf_t *buf, const kap_latest_t *latest);
int kap_latest_unpack(kap_span_t value, kap_latest_t *latest);
void kap_archive_pack(kap_buf_t *buf, const kap_archive_t *archive);
void kap_succession_row_pack(kap_buf_t *buf, const kap_succession_row_t *row);
int kap_succession_row_unpack(kap_span_t value, kap_succession_row_t *row);
void kap_referral_row_pack(kap_buf_t *buf, const kap_referral_row_t *row);
int kap_referral_row_unpack(kap_span_t value, kap_referral_row_t *row);

#endif
