/* SPDX-License-Identifier: MPL-2.0 */
/* The bytes of a log file, plain or gzip, in chunks, with their digest.
 *
 * Owner: whoever reads the file; one thread. zlib enters here only. It reads regular files,
 * notices a gzip file that was cut short, and holds one chunk at a time. It does not know what
 * the bytes mean. */
#ifndef KAP_LOGINPUT_H
#define KAP_LOGINPUT_H

#include <stdint.h>

#include "buf.h"
#include "span.h"

typedef struct kap_loginput kap_loginput_t;

/* `why` is lent until close and takes the sentence of a failure. KAP_E_NOTFOUND, KAP_E_IO,
 * KAP_E_INVALID (not a regular file), KAP_E_NOMEM. */
int kap_loginput_open(const char *path, kap_buf_t *why, kap_loginput_t **in);

/* The next chunk, valid until the next call; empty at the end. KAP_E_IO; KAP_E_INVALID: damaged
 * or truncated gzip, with the byte of the file in `why`. */
int kap_loginput_read(kap_loginput_t *in, kap_span_t *chunk);

/* Bytes of the file read so far, and its size. */
uint64_t kap_loginput_done_bytes(const kap_loginput_t *in);
uint64_t kap_loginput_size_bytes(const kap_loginput_t *in);

/* BLAKE2b-256 of everything read so far, unpacked: a file and its gzip have the same one. Call
 * once, at the end. */
void kap_loginput_digest(kap_loginput_t *in, uint8_t digest[32]);

void kap_loginput_close(kap_loginput_t **in);

#endif
