/* SPDX-License-Identifier: MPL-2.0 */
/*
 * metric_list: what the files of metrics share: lists in an answer, names in them, and the matrix
 * of a scope as a list. Any thread, in one snapshot.
 */
#ifndef KAP_METRIC_LIST_H
#define KAP_METRIC_LIST_H

#include "metric.h"

enum { KAP_METRIC_LIST_MAX = 1500 }; /* items of a list: an answer fits in a frame */

/* A list of maps while it grows. {0} is an empty one. */
typedef struct {
    kap_buf_t items;
    uint32_t count;
    uint64_t left_out;
} kap_metric_list_t;

/* Begins an item: append so many pairs. NULL: the list is full, the item is counted as left out. */
kap_buf_t *kap_metric_item(kap_metric_list_t *list, uint32_t pairs);

/* Puts the list and frees it; where something was left out also the pair "<wire>_left_out". */
void kap_metric_put_list(kap_metric_values_t *values, const char *wire, kap_metric_list_t *list);

/* A pair of a text, a number, an instant (nil: none), a rate. */
void kap_metric_text(kap_buf_t *buf, const char *key, kap_span_t text);
void kap_metric_number(kap_buf_t *buf, const char *key, uint64_t number);
void kap_metric_instant(kap_buf_t *buf, const char *key, int64_t at);
void kap_metric_rate(kap_buf_t *buf, const char *key, uint64_t num, uint64_t den);

/* Two pairs: `key` a member's id, `key`_name its Finnish name (of an archive's actor its title, of
 * somebody unknown the id). */
int kap_metric_member(const kap_metric_at_t *at, const kap_scope_t *scope, kap_buf_t *buf,
                      const char *key, kap_span_t id);

/* What one member handed to another in the query's window. */
typedef struct {
    kap_span_t region, from, to;
    uint64_t handed, expected; /* transfers; of them those said to come back */
} kap_handed_t;

/* The matrix of the query's scope, in order of from, to and region as bytes; edges without a
 * transfer in the window are none. `merged`: whatever the region, which is empty then. */
int kap_metric_handed(const kap_metric_at_t *at, const kap_metric_query_t *query, bool merged,
                      kap_handed_t **edges, uint32_t *count);

/* Brings edges into that order and adds up those that are the same. */
void kap_metric_sort_handed(kap_handed_t *edges, uint32_t *count);

/* The edge of a list in that order, NULL when it is not there. */
const kap_handed_t *kap_metric_find_handed(const kap_handed_t *edges, uint32_t count,
                                           kap_span_t region, kap_span_t from, kap_span_t to);

#endif
