/* SPDX-License-Identifier: MPL-2.0 */
/* A node's local door that answers what a test told it, and the program kapula run against it as
 * a child. One thread: the door's loop turns while the child runs. */
#ifndef KAP_TEST_DOOR_H
#define KAP_TEST_DOOR_H

#include <stdbool.h>

#include "buf.h"
#include "event.h"

typedef struct door door_t;

/* A folder with kapula.conf (language en, timeout 2 s, region mikkeli, member municipality). Ends
 * the test when it cannot be made. */
door_t *door_open(void);
void door_close(door_t **door);

/* From now on a request of that name (a LOCAL word, a QUERY name, ACT's verb, "fetch") is answered
 * by this JSON as MessagePack; said again for the same name, the answers come one after another and
 * the last stays. A name without an answer gets silence. */
void door_answers(door_t *door, const char *name, const char *json);

/* "fetch" is answered by these events of stream region/mikkeli, all in one answer. */
void door_stream_begin(door_t *door);
/* One more: JSON data {wire name: value}, as `type`, of a member, at a time. */
void door_stream_add(door_t *door, const char *type, const char *subject, const char *member,
                     const char *time, const char *json);

typedef struct {
    int code; /* exit code; -1 killed: it did not end in 20 s; -2 died of a signal */
    char *out, *err;
    int64_t took_ms;
} run_t;

/* kapula -c FOLDER/kapula.conf ARGUMENTS, separated by single blanks; '~' in an argument stands for
 * a blank. out and err live until the next run. */
const run_t *door_kapula(door_t *door, const char *arguments);

/* From now on standard output goes to this file; out stays empty. The path is lent. */
void door_output(door_t *door, const char *path);

/* The i-th request (from 0) of the last run as one line of JSON; "" when there was none. */
const char *door_request(const door_t *door, int i);

/* Overwrites a line of the configuration, or adds it: `key = value;`. */
void door_conf(door_t *door, const char *key, const char *value);

const char *door_folder(const door_t *door);

/* Columns of the widest line. */
int widest_line(const char *text);

#endif
