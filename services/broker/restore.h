/* SPDX-License-Identifier: MPL-2.0 */
/*
 * restore: a store out of a backup, or out of any store that nobody is writing, whole or up to a
 * position of its log. It is made beside, read again to the last checksum, given a new epoch
 * (architecture: what readers and nodes do then), and gets its name last: a restore that is killed
 * leaves no store. A backup of an older version (rows.h, KAP_ROWS_OLDEST) is entered anew as a
 * whole. It prints nothing. Any thread; nobody uses the target's folder meanwhile.
 */
#ifndef KAP_RESTORE_H
#define KAP_RESTORE_H

#include <stdint.h>

#include "buf.h"
#include "rows.h"

typedef struct {
    const char *from; /* folder of the backup; only read */
    const char *to;   /* folder of the store: absent, or there is no store in it */
    uint64_t until;   /* last position to keep, 0: all. The log is entered anew up to there, so only
                       * the log and names need be whole. A group is not cut: it goes as a whole */
    uint8_t mesh[32]; /* a backup of another mesh is refused */
    int64_t now;      /* of `broker_restored` */
    kap_buf_t *why;   /* gets a sentence when there is no store */
} kap_restore_opts_t;

/* What was made: the head, its newest event being `broker_restored`, and what it kept. */
typedef struct {
    kap_head_t head;
    uint64_t kept_to;
    uint64_t differs; /* until: first position that the machines decide otherwise now, 0: none */
} kap_restored_t;

/* KAP_E_EXISTS: there is a store; KAP_E_NOTFOUND: there is no backup, or it does not reach `until`;
 * KAP_E_CONFLICT: of another mesh; KAP_E_VERSION; KAP_E_CORRUPT; KAP_E_DISK and the others. */
int kap_restore(const kap_restore_opts_t *opts, kap_restored_t *out);

#endif
