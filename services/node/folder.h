/* SPDX-License-Identifier: MPL-2.0 */
/* A folder that others write into: the one door to its files.
 *
 * Purpose: nothing that lies there can make a daemon read what is not meant, wait, or tear what it
 * reads. Files are opened beneath the folder only, never through a link, never a FIFO, device,
 * folder or a second name (hard link) of another file, and only while nobody has them open for
 * writing. What is written here appears whole and durable, with mode 0600. Owner: whoever opened
 * it; loop thread only; every call is short of one that waits. Times here are the file system's. */
#ifndef KAP_NODE_FOLDER_H
#define KAP_NODE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

typedef struct kap_folder kap_folder_t;

enum { KAP_FOLDER_NAME_BYTES = 121 }; /* with its NUL */

/* Which file it was: the name alone may mean another one the moment after. */
typedef struct {
    uint64_t device, inode, size;
    int64_t modified_ns;
} kap_folder_id_t;

/* Opens, and makes the last part of the path with `mode` when it is missing. `parent` may be NULL;
 * else `path` is one name in it and may not be a link. KAP_E_NOTFOUND, KAP_E_DENIED, KAP_E_IO,
 * KAP_E_NOMEM. */
int kap_folder_open(const kap_folder_t *parent, const char *path, unsigned mode,
                    kap_folder_t **out);
void kap_folder_close(kap_folder_t **folder);
const char *kap_folder_path(const kap_folder_t *folder);

/* Letters (Finnish and Swedish too), digits, '.', '_', '-', blank; 1 to 120 bytes; beginning with a
 * letter or digit; no personal identity code. */
bool kap_folder_name_ok(kap_span_t name);

/* Left to their writer in silence: dot files, "*.part", "*.tmp", "*~". */
bool kap_folder_name_unfinished(kap_span_t name);

/* Names, oldest file first, at most `max`; each in out[i] (longer names are cut and are no good
 * names). Folders are left out. */
int kap_folder_list(const kap_folder_t *folder, char (*out)[KAP_FOLDER_NAME_BYTES + 140],
                    size_t max, size_t *count);

/* The whole file, appended to *bytes. KAP_E_AGAIN: open for writing, or changed less than settle_ms
 * ago, or while it was read; KAP_E_LIMIT: larger than max_bytes; KAP_E_DENIED with *why: not a
 * plain file of one name, or not readable; KAP_E_NOTFOUND; KAP_E_NOMEM, KAP_E_IO. */
int kap_folder_read(const kap_folder_t *folder, const char *name, size_t max_bytes,
                    int64_t settle_ms, kap_buf_t *bytes, kap_folder_id_t *id, const char **why);

/* Is the name still the file that was read? */
bool kap_folder_is(const kap_folder_t *folder, const char *name, const kap_folder_id_t *id);

/* Bytes of a plain file, -1 when there is none. */
int64_t kap_folder_size(const kap_folder_t *folder, const char *name);

bool kap_folder_has(const kap_folder_t *folder, const char *name);

/* Moves without ever overwriting; the file gets mode 0600 where that is ours to give.
 * KAP_E_EXISTS, KAP_E_NOTFOUND, KAP_E_IO. */
int kap_folder_move(const kap_folder_t *from, const char *name, const kap_folder_t *to,
                    const char *new_name);

/* A whole file, in place of an older one of the name; durable when it returns. */
int kap_folder_write(const kap_folder_t *folder, const char *name, kap_span_t bytes);

/* Cuts the file to `at` bytes (it may be missing when at is 0) and appends; durable. */
int kap_folder_append(const kap_folder_t *folder, const char *name, uint64_t at, kap_span_t bytes);

/* KAP_E_NOTFOUND is no failure here. */
int kap_folder_remove(const kap_folder_t *folder, const char *name);

/* Removes plain files, dot files apart, that came here (or changed) keep_ms ago; the number. */
size_t kap_folder_sweep(const kap_folder_t *folder, int64_t keep_ms);

/* A good file name from an id and an ending: the id itself, or its hash when it is no good name. */
void kap_folder_name_of(kap_span_t id, const char *ending, char out[KAP_FOLDER_NAME_BYTES]);

#endif
