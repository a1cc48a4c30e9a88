/* SPDX-License-Identifier: MPL-2.0 */
/* A bar on the terminal for what takes long: one line on standard error, redrawn at most ten times
 * a second, gone when it ends. Silent where standard error is no terminal. Embedded; one thread. */
#ifndef KAP_PROGRESS_H
#define KAP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *label;
    uint64_t total;
    int64_t drawn_at; /* monotonic ms of the last drawing */
    bool on;          /* standard error is a terminal */
    bool drawn;
} kap_progress_t;

/* `label` is lent until end. A total of 0 draws nothing. */
void kap_progress_begin(kap_progress_t *p, const char *label, uint64_t total);
void kap_progress_update(kap_progress_t *p, uint64_t done);

/* Clears the line. Repeatable. */
void kap_progress_end(kap_progress_t *p);

/* The bar as text, without line ends: "reading [#####     ]  50 %". At most `size` bytes, NUL
 * included. */
void kap_progress_text(const kap_progress_t *p, uint64_t done, char *out, int size);

#endif
