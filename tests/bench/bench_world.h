/* SPDX-License-Identifier: MPL-2.0 */
/* What the benchmarks of the engine share: clocks, and directories of members with fresh keys. */
#ifndef KAP_BENCH_WORLD_H
#define KAP_BENCH_WORLD_H

#include <stdbool.h>

#include "buf.h"

double bench_now_s(void); /* monotonic */
double bench_cpu_s(void); /* of this thread */

/* Ends the program with `what` unless rc is KAP_OK. */
void bench_must(int rc, const char *what);

void bench_fresh_key(char z85[41]);

/* A business id with its check digit; a next number where none is issued. */
void bench_business_id(unsigned number, char out[16]);

/* Appends one member of a directory file; roles and regions as they stand between the brackets. */
void bench_put_member(kap_buf_t *json, const char *id, const char *organisation, const char *roles,
                      const char *regions, const char *key, bool first);

/* Appends the beginning of a directory file for a fresh authority; its mesh id. */
void bench_begin_directory(kap_buf_t *json, unsigned char mesh[32]);

#endif
