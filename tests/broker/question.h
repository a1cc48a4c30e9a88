/* SPDX-License-Identifier: MPL-2.0 */
/* Questions `metrics` to a desk's store, in short words: "metric=acceptance region=mikkeli
 * month=2026-01 by=edge". A word `where.service=training` makes a map, `a>b` a list of two,
 * `true` a bool, digits of `limit` a number. */
#ifndef QUESTION_H
#define QUESTION_H

#include "desk.h"
#include "mp.h"

typedef struct {
    uint16_t refusal; /* 0: answered */
    const char *why;
    const kap_mp_t *root;
} question_t;

/* Asks as the member, of the desk's directory. Lives in the desk's arena. */
question_t question_as(desk_t *d, const char *who, const char *words);
/* The same with the request's map as it is. */
question_t question_map(desk_t *d, kap_directory_t *dir, const char *who, kap_span_t map);
/* Of another directory. */
question_t question_of(desk_t *d, kap_directory_t *dir, const char *who, const char *words);

/* As the coordinator "a"; must be answered. */
const kap_mp_t *question(desk_t *d, const char *words);
/* The sentence with which "a" is refused. */
const char *question_refused(desk_t *d, const char *words);

/* The number at a path, as "values.rate.num"; -1 for nil, -2 when it is not there. */
int64_t question_number(const kap_mp_t *map, const char *path);
/* The row with such a key ("a>b", "2026-01", "pieksamaki/a>b"); NULL: none. */
const kap_mp_t *question_row(const kap_mp_t *answer, const char *key);
uint32_t question_rows(const kap_mp_t *answer);

#endif
