/* SPDX-License-Identifier: MPL-2.0 */
/*
 * figures: the answer to `edges`: what the edges of a region count over a window, and their times
 * to accept. Any thread, in one snapshot. It shows everything it is asked for: who may see what is
 * access.h's and hide.h's. Definitions: figures.def, SPEC.md.
 */
#ifndef KAP_FIGURES_H
#define KAP_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "directory.h"
#include "fact.h"
#include "rows.h"
#include "span.h"
#include "store.h"

/* Figures of an edge that are told: the first ones of figures.def. */
enum { KAP_EDGE_FIGURES = KAP_FIGURE_INTERNAL + 1 };

typedef enum { KAP_CLOCK_RECIPIENT, KAP_CLOCK_CUSTOMER } kap_figure_clock_t;

enum { KAP_FIGURES_EXACT_MAX = 1000 }; /* referrals up to which an edge's times are exact */

/* --- the answer to `edges` --- */

typedef struct {
    kap_span_t region; /* or an archive's name */
    kap_zone_t zone;   /* of the window's days */
    bool has_from, has_to;
    kap_date_t from, to;             /* [from, to), local days; only where has_ says so */
    kap_figure_clock_t clock;        /* whose time to accept */
    bool elapsed;                    /* else working time */
    kap_span_t after_from, after_to; /* tell the edges behind this one; empty: from the first on */
} kap_edges_query_t;

typedef struct {
    uint64_t n;                     /* times known */
    int64_t p50_ms, p90_ms, p99_ms; /* nearest rank; -1 when n is 0 */
    bool exact;                     /* else from a sketch, at most 1 % off */
} kap_edge_time_t;

typedef struct {
    kap_span_t from, to;           /* ids, byte for byte */
    kap_span_t from_name, to_name; /* of the directory (Finnish); else the ids */
    uint64_t counts[KAP_EDGE_FIGURES];
    kap_edge_time_t to_accept;
} kap_edge_t;

typedef struct {
    uint64_t as_of_seq;
    int64_t as_of_time;           /* committed_at of that position; 0 when the log is empty */
    uint64_t n, decided, pending; /* transfers: all; accepted or ended; the others */
    kap_edge_t *edges;            /* in order of from, then to, as bytes */
    uint32_t count;
} kap_edges_t;

/* Fills *out from one snapshot; everything in the arena or lent from txn and dir. An unknown region
 * has no edges. Whole months come from cells; the days of partial months, the other zone's days and
 * exact times from the cohort. `dir` may be NULL: names are ids. */
int kap_figures_edges(kap_txn_t *txn, const kap_edges_query_t *query, const kap_directory_t *dir,
                      kap_arena_t *arena, kap_edges_t *out);

/* Appends the answer as one MessagePack map, which is that of ANSWER: window, kind, as_of_seq,
 * as_of_time (ms), n, decided, pending, more, edges [{from, to, from_name, to_name, counts...,
 * time_to_accept}]. Edges stand in the order of from and to; what a frame does not hold is left to
 * the next question (`more`). n, decided and pending are of all. */
void kap_figures_edges_encode(kap_buf_t *buf, const kap_edges_query_t *query,
                              const kap_edges_t *edges);

#endif
