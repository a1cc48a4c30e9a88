/* SPDX-License-Identifier: MPL-2.0 */
/* The arguments of `kapula import`, checked: what is given wrongly is said before a file is opened
 * or a broker asked. Pure but for getopt's own state; one thread. */
#ifndef KAP_IMPORTARGS_H
#define KAP_IMPORTARGS_H

#include <stdio.h>

#include "buf.h"
#include "logread.h"

/* Declared missing values at most; each stands in the archive's options. */
#define KAP_IMPORT_MISSING 100

typedef struct {
    const char *into;                        /* the archive's name */
    kap_logread_opts_t read;                 /* path, kind, keys, delimiter, rules */
    const char *missing[KAP_IMPORT_MISSING]; /* sorted, each once; read.rules lends it */
    char zone[32];                           /* as it stands in the options: "UTC", "+02:00" */
} kap_importargs_t;

/* argv[0] is the command's name. On KAP_E_INVALID `why` has a sentence; *args must not move
 * afterwards (it lends to itself). */
int kap_importargs_parse(int argc, char **argv, kap_importargs_t *args, kap_buf_t *why);

/* Prints usage and options. */
void kap_importargs_help(FILE *out);

/* What decides, beside attribute and bytes, what a log means: JSON with sorted keys, the same for
 * the same import. `keys` and `kind` as the reading used them. */
void kap_importargs_options(const kap_importargs_t *args, kap_logkind_t kind,
                            const kap_logkeys_t *keys, kap_buf_t *out);

#endif
