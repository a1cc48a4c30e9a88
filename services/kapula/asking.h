/* SPDX-License-Identifier: MPL-2.0 */
/* Questions to the figures and their answers, whole and kept: what `metrics`, `report` and frozen
 * answers stand on. A long answer comes in pages and is put together here; a question that was put
 * is not put again. A frozen asking has its answers from a file and asks nobody.
 *
 * Owner: the command; one thread. Answers live as long as the asking, whatever becomes of the
 * cli's arena. It judges no question: the broker does, with a sentence. */
#ifndef KAP_ASKING_H
#define KAP_ASKING_H

#include "shown.h"

typedef struct {
    kap_cli_t *cli;
    kap_arena_t *arena;
    kap_shown_list_t kept; /* maps {query, answer}, in the order they were put */
    bool frozen;
} kap_asking_t;

/* 0 or an exit code after saying why; fini in every case. */
int kap_asking_init(kap_asking_t *asking, kap_cli_t *cli);
void kap_asking_fini(kap_asking_t *asking);

/* The answer to a question (a map): its pair `query` names the broker's query, the others are its
 * parameters; query `matters` is answered from the region's stream (matters.h). 0 or an exit code;
 * `quietly` says nothing of a refusal, then *answer is {error}, which is kept as well. */
int kap_asking_put(kap_asking_t *asking, const kap_mp_t *question, bool quietly,
                   const kap_mp_t **answer);

/* A question about a metric: begin, then kap_shown_set*, then put. */
kap_shown_list_t kap_asking_question(kap_asking_t *asking, const char *metric);

/* Keeps a node as long as the asking; NULL without memory. */
const kap_mp_t *kap_asking_keep(kap_asking_t *asking, const kap_mp_t *node);

/* Two nodes say the same. */
bool kap_asking_same(const kap_mp_t *a, const kap_mp_t *b);

#endif
