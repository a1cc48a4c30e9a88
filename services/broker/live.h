/* SPDX-License-Identifier: MPL-2.0 */
/*
 * live: the directory file, read again without a restart. A change of the file or SIGHUP makes it
 * parse all, then swap; a bad file changes nothing and every complaint about it is logged. With a
 * swap the list of keys that may connect is swapped too. Owner and only caller: the loop.
 * It decides no access: it says which directory is in force.
 */
#ifndef KAP_LIVE_H
#define KAP_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "directory.h"
#include "loop.h"
#include "zap.h"

typedef struct kap_live kap_live_t;

/* Called after a swap; `dir` and its text are lent, take a reference to keep it. */
typedef void kap_live_fn(void *arg, kap_directory_t *dir, kap_span_t json);

typedef struct {
    const char *path;
    const char *authority;    /* hex that the directory must name, or NULL */
    bool rehearsal;           /* time comes from a clock file: the directory must say rehearsal,
                                 and must not say it otherwise */
    bool plain;               /* no CURVE: every region must be a bench region */
    const kap_clock_t *clock; /* for the validity of keys */
    kap_zap_t *zap;           /* NULL when plain */
    kap_live_fn *on_change;
    void *arg;
} kap_live_opts_t;

/* Reads and checks a directory file as open would, complaints to the log. KAP_E_CONFIG. */
int kap_live_check(const kap_live_opts_t *opts, kap_directory_t **out);

/* Reads the file, lets its keys connect and watches it; on_change is not called for this first one.
 * The strings of opts outlive it. KAP_E_CONFIG (logged), KAP_E_NOMEM. */
int kap_live_open(kap_loop_t *loop, const kap_live_opts_t *opts, kap_live_t **out);

/* The directory in force, lent until the next turn of the loop. */
kap_directory_t *kap_live_now(const kap_live_t *live);

/* Its text, lent likewise. */
kap_span_t kap_live_text(const kap_live_t *live);

/* Reads the file again now. KAP_OK also when it says the same; else nothing has changed. */
int kap_live_reload(kap_live_t *live);

/* Takes and nulls; NULL inside is fine. */
void kap_live_close(kap_live_t **live);

#endif
