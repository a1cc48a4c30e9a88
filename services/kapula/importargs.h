/* SPDX-License-Identifier: MPL-2.0 */
/* The arguments of `kapula import`, checked: what is given wrongly is said before a file is opened
 * or a broker asked. Pure; one thread. */
#ifndef KAP_IMPORTARGS_H
#define KAP_IMPORTARGS_H

#include "args.h"
#include "logread.h"

/* Declared missing values at most; each stands in the archive's options. */
#define KAP_IMPORT_MISSING 100

typedef struct {
    const char *into;                        /* the archive's name */
    kap_logread_opts_t read;                 /* path, kind, keys, delimiter, rules */
    const char *missing[KAP_IMPORT_MISSING]; /* sorted, each once; read.rules lends it */
    char zone[32];                           /* as it stands in the options: "UTC", "+02:00" */
} kap_importargs_t;

extern const kap_usage_t kap_importargs_usage;

/* On KAP_E_INVALID `why` has a sentence; *args must not move afterwards (it lends to itself, and
 * texts from `said`). */
int kap_importargs_check(const kap_args_t *said, kap_importargs_t *args, kap_buf_t *why);

/* What decides, beside attribute and bytes, what a log means: JSON with sorted keys, the same for
 * the same import. `keys` and `kind` as the reading used them. */
void kap_importargs_options(const kap_importargs_t *args, kap_logkind_t kind,
                            const kap_logkeys_t *keys, kap_buf_t *out);

#endif
