/* SPDX-License-Identifier: MPL-2.0 */
/* The metrics as rows to be read: what metrics.def says, for those who ask and show. Constant,
 * pure, any thread. It knows nothing of how a metric is counted: the figures do. */
#ifndef KAP_CATALOGUE_H
#define KAP_CATALOGUE_H

#include <stdint.h>

typedef enum {
    KAP_CATALOGUE_COUNT,
    KAP_CATALOGUE_RATE,
    KAP_CATALOGUE_MEAN,
    KAP_CATALOGUE_TIME,
    KAP_CATALOGUE_OTHER /* shape: list, map, histogram ... */
} kap_catalogue_form_t;

typedef struct {
    int metric; /* index of its row */
    kap_catalogue_form_t form;
    const char *name, *shape, *meaning;
} kap_catalogue_value_t;

typedef struct {
    const char *name, *unit, *definition, *source;
    const char *text[3]; /* fi, sv, en */
    uint32_t kinds, by;  /* bits: see the words below */
} kap_catalogue_metric_t;

/* Rows in the order of the agreed list; NULL behind the last. */
const kap_catalogue_metric_t *kap_catalogue_metric(int index);

/* -1 when there is none. */
int kap_catalogue_find(const char *name);

/* The values of a metric: the first behind `before` (NULL: the first of all); NULL at the end. */
const kap_catalogue_value_t *kap_catalogue_next(int metric, const kap_catalogue_value_t *before);

/* Words of the bits: cohort, flow, stock, now; edge, member ... NULL behind the last. */
const char *kap_catalogue_kind_word(int bit);
const char *kap_catalogue_by_word(int bit);

#endif
