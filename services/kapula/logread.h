/* SPDX-License-Identifier: MPL-2.0 */
/* A log file of either kind as an eventlog, with the digest of its bytes.
 *
 * Owner: the import; one thread; holds one chunk of the file at a time. The kind is told by the
 * options, else by the first bytes: what begins like XML is XES, else it is CSV. Packed or not
 * makes no difference. */
#ifndef KAP_LOGREAD_H
#define KAP_LOGREAD_H

#include "buf.h"
#include "eventlog.h"

typedef enum { KAP_LOGKIND_BY_FILE, KAP_LOGKIND_XES, KAP_LOGKIND_CSV } kap_logkind_t;

typedef struct {
    const char *path;
    kap_logkind_t kind;
    kap_logkeys_t keys; /* case_key and time_key NULL: the usual ones of the kind */
    char delimiter;     /* of CSV; 0: a comma */
    kap_logrules_t rules;
    bool progress; /* draw a bar where there is a terminal */
} kap_logread_opts_t;

typedef struct {
    kap_eventlog_t *log; /* finished; yours to destroy */
    kap_logkind_t kind;
    kap_logkeys_t keys; /* as used; strings of the options or constants */
    uint8_t digest[32]; /* of the bytes, unpacked */
} kap_logread_t;

/* Reads all of it. On failure nothing is left and `why` has a sentence with the place:
 * KAP_E_INVALID and KAP_E_LIMIT as the readers say, KAP_E_NOTFOUND, KAP_E_DENIED and KAP_E_IO of
 * the file, KAP_E_NOMEM. `why` is lent until the log is destroyed. */
int kap_logread(const kap_logread_opts_t *opts, kap_buf_t *why, kap_logread_t *out);

#endif
