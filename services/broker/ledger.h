/* SPDX-License-Identifier: MPL-2.0 */
/*
 * ledger: the broker's one writer. A thread of its own takes whole jobs (PUBLISH requests, decoded
 * by the door), judges their events in order of arrival, and commits everything that waits in one
 * transaction: log, state, marks, streams, chain. While one batch syncs, the next gathers; a lone
 * job does not wait for company. Results come back on the loop thread, after the commit only.
 * It knows no socket and decides no reading. Reading is rows.h over kap_ledger_store, in the
 * reader's thread. What it may not do: acknowledge after a failed commit. It then calls on_fatal
 * and takes nothing more; the process has to end.
 */
#ifndef KAP_LEDGER_H
#define KAP_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "directory.h"
#include "event.h"
#include "frame.h"
#include "loop.h"
#include "sock.h"
#include "span.h"
#include "store.h"

/* One PUBLISH request. The door fills it; header and events lend from `msg` and `arena`. */
typedef struct kap_job {
    uint64_t ticket;     /* the door's: comes back in the result */
    char key[41];        /* z85 of who sent it (User-Id), "" for the broker itself */
    kap_header_t header; /* source, first, count */
    kap_event_t
        *events; /* `count` of them; type KAP_EV_NONE: it could not be decoded, see refusal */
    uint32_t count;
    kap_arena_t *arena; /* owned: dies once judged */
    kap_msg_t *msg; /* owned: lives as long as the batch that refers to its bytes; may be NULL */
    size_t bytes;   /* of its parts, for budgets */
    struct kap_job *next; /* the ledger's own */
} kap_job_t;

/* A job from malloc, zeroed; NULL when out of memory. Destroy frees arena and msg too. */
kap_job_t *kap_job_new(void);
void kap_job_destroy(kap_job_t **job);

/* What became of one event of a job. */
typedef struct {
    uint8_t verdict;     /* KAP_VERDICT_ */
    kap_refusal_t why;   /* number 0 when not refused */
    int8_t state;        /* refused: state of the referral it met; KAP_STATE_NONE: none */
    uint64_t log_seq;    /* its place in the log, the original one for a duplicate */
    const uint8_t *leaf; /* 32 bytes */
} kap_decided_t;

/* The answer to one job. OK: every event has a durable verdict. Any other status: nothing was used
 * up or stored; the sender goes on from `expected`. */
typedef struct {
    uint64_t ticket;
    int status;        /* KAP_RECEIPT_ */
    uint64_t expected; /* next sequence the broker waits for of this source (0 when foreign) */
    uint64_t first;    /* sequence of decided[0] */
    uint32_t count;    /* of decided; 0 unless OK */
    const kap_decided_t *decided;
} kap_result_t;

/* A stream that carries an event, and the event's place in it. */
typedef struct {
    kap_span_t stream; /* "region/<id>" or "member/<id>" */
    uint64_t seq;
} kap_place_t;

/* One event that entered the log, in its order. */
typedef struct {
    uint64_t log_seq;
    int64_t committed_at;
    uint8_t verdict;
    uint16_t refusal, field; /* of kap_refusal_t */
    int8_t state;            /* refused: of the referral it met; KAP_STATE_NONE: none */
    kap_span_t source;
    uint64_t sequence;
    kap_span_t open, ends, sealed; /* empty: the event has none; a refused one has no open */
    kap_span_t from, to; /* of its referral (or tally), for kap_read_cut; empty when none */
    uint16_t answer_days, contact_days; /* an accepted `created`: its targets; else 0 */
    const uint8_t *content_hash;        /* 32 bytes each */
    const uint8_t *leaf;
    const kap_place_t *places; /* none for a refused event */
    uint32_t place_count;
} kap_entry_t;

/* A committed batch; immutable, counted references from any thread. */
typedef struct kap_batch {
    const kap_result_t *results;
    uint32_t result_count;
    const kap_entry_t *entries; /* log positions first_seq .. head_seq without a gap */
    uint32_t entry_count;
    uint64_t first_seq, head_seq; /* head after the batch; first_seq = head_seq + 1 when empty */
    int64_t head_time;            /* committed_at of the newest event */
    uint64_t figures_seq;         /* position at which the stored figures stand */
    size_t bytes;                 /* memory that the batch holds */
} kap_batch_t;

kap_batch_t *kap_batch_ref(kap_batch_t *batch);
/* Takes and nulls; NULL inside is fine. */
void kap_batch_unref(kap_batch_t **batch);

typedef struct kap_ledger kap_ledger_t;

typedef struct {
    kap_loop_t *loop;         /* results and on_fatal come on its thread */
    const char *path;         /* directory of the store */
    uint8_t mesh[32];         /* a store of another mesh is refused */
    const kap_clock_t *clock; /* outlives the ledger */
    bool memory;              /* the twin instead of LMDB: for tests */
    bool no_figures;        /* cells wait (but for tallies), none are answered: for the benchmark */
    size_t map_size;        /* 0: the store's default */
    uint64_t reserve_bytes; /* free disk below which PUBLISH is answered `disk`; 0: 256 MiB */
    uint64_t room_bytes;    /* free disk at which work is taken again; 0: reserve * 5 / 4 */
    /* Loop thread. The batch is lent for the call: ref it to keep it. Batches come in order. */
    void (*on_results)(void *arg, kap_batch_t *batch);
    /* Loop thread, at most once: a commit failed or the store is damaged. Nothing more is judged;
     * end the process. */
    void (*on_fatal)(void *arg, int rc);
    void *arg;
    /* Ledger thread, around a growing map: stop every reader, let them go on (kap_reader_hold,
     * kap_reader_release). NULL: there are no readers. */
    void (*hold)(void *arg);
    void (*release)(void *arg);
    void *barrier_arg;
    kap_buf_t *why; /* may be NULL: gets a sentence when opening fails */
} kap_ledger_opts_t;

/* Opens the store, finishes figures that a crash left behind, starts the thread. `dir` gets a
 * reference, `json` (its text) is kept in the store as of the next position, so that a recount
 * finds the directory that was in force; *opts is lent for the call. KAP_E_CONFLICT: another mesh;
 * KAP_E_CORRUPT and the other codes of the store. */
int kap_ledger_open(const kap_ledger_opts_t *opts, kap_directory_t *dir, kap_span_t json,
                    kap_ledger_t **out);

/* Takes no more, judges, commits and answers what waits, joins, closes the store. Results that
 * were not delivered yet are delivered before it returns. Loop thread; takes and nulls. */
void kap_ledger_close(kap_ledger_t **ledger);

/* Queues a job and takes it. Loop thread. There is always exactly one result for it, unless
 * on_fatal is called. */
void kap_ledger_submit(kap_ledger_t *ledger, kap_job_t **job);

/* Bytes of jobs submitted and not answered yet. Loop thread. */
size_t kap_ledger_load(const kap_ledger_t *ledger);

/* The directory from the next batch on. Loop thread; the ledger takes its own reference. */
void kap_ledger_set_directory(kap_ledger_t *ledger, kap_directory_t *dir, kap_span_t json);

/* Looks for deadlines that are due now, soon, in the ledger thread, and for the disk. Call it each
 * second or so, and whenever a rehearsal's clock moved. Loop thread. */
void kap_ledger_tick(kap_ledger_t *ledger);

/* Somebody waits for figures: they are written now, or with the next batch when one is under way.
 * Else they are once nothing comes for a while. Loop thread. */
void kap_ledger_want_figures(kap_ledger_t *ledger);

/* The store, for readers; lives until close. */
kap_store_t *kap_ledger_store(kap_ledger_t *ledger);

/* The random epoch of the store, KAP_LIMIT_EPOCH_BYTES; constant. */
const uint8_t *kap_ledger_epoch(const kap_ledger_t *ledger);

/* The epochs that restores ended, as kap_rows_ended has them; constant. */
kap_span_t kap_ledger_ended(const kap_ledger_t *ledger);

/* Head as last delivered to on_results (or as opened). Loop thread. */
typedef struct {
    uint64_t head_seq;
    int64_t head_time;
    uint64_t figures_seq;
    bool disk_full;         /* PUBLISH is answered `disk` at present */
    uint64_t refused;       /* events refused since the start */
    uint64_t batches;       /* committed since the start */
    int64_t last_commit_us; /* how long the last commit took */
    int64_t deadlines_at;   /* every deadline up to here has been judged; 0: not looked yet */
} kap_ledger_state_t;
void kap_ledger_state(const kap_ledger_t *ledger, kap_ledger_state_t *state);

#endif
