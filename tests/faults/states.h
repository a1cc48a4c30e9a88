/* SPDX-License-Identifier: MPL-2.0 */
/*
 * states: what may lie on a disk after a power failure. From the record of a daemon's writes,
 * syncs and promises (record.c) it builds stores as a crash at any moment may leave them: all that
 * was synced, and any part of what was not, torn at sectors; and asks a judge about each whether
 * every promise made before that moment is kept. Also: the store at the end with a bit flipped.
 * Owner: one thread of a test program. It knows no rows; that is the judge's.
 */
#ifndef STATES_H
#define STATES_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

typedef struct states states_t;

/* Reads a record; ends the program with a sentence when it cannot. */
states_t *states_open(const char *record);
void states_close(states_t **states);

/* Text of the i-th promise, a line as the test wrote it; lives until close. */
const char *states_promise(const states_t *states, size_t i);
size_t states_promises(const states_t *states);

/* The store at the end of the record, in a fresh folder in memory; the folder lives until close. */
const char *states_end(states_t *states);

/* One store: all of the first `promises` promises must be kept. Anything wrong is said in `why`. */
typedef void states_judge_t(void *arg, const char *folder, size_t promises, uint64_t number,
                            kap_buf_t *why);

/* About `count` states, spread over the record's moments; prints a line of figures; the number of
 * states with something wrong. Before the file got its name there is an empty folder. */
uint64_t states_explore(states_t *states, uint64_t seed, uint64_t count, states_judge_t *judge,
                        void *arg);

/* What a reader of a damaged store came to; the exit code of a process of its own. */
enum {
    STATES_UNHARMED = 0, /* everything as it was */
    STATES_NOTICED = 1,  /* an error was returned */
    STATES_WRONG = 3,    /* another value than was written */
    STATES_ABSENT = 4,   /* what is there was said not to be, without an error */
};
typedef int states_reader_t(void *arg, const char *folder);

/* `count` times: flips one random bit of the store's end, reads in a process of its own; prints a
 * line of figures (a reader that dies has failed loudly). The numbers of WRONG and ABSENT. */
void states_rot(states_t *states, uint64_t seed, uint64_t count, states_reader_t *reader, void *arg,
                uint64_t *wrong, uint64_t *absent);

#endif
