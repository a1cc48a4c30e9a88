/* SPDX-License-Identifier: MPL-2.0 */
/*
 * recover: what the operator does with the store from the command line: a backup, a look for
 * damage. Each is a process of its own, which reads the store beside a running broker and never
 * writes to it. They speak to people: results on stdout, complaints on stderr. Caller: main.
 */
#ifndef KAP_RECOVER_H
#define KAP_RECOVER_H

#include "conf.h"

/* Hot, compacting copy of the configured store into `directory`, which must not be there; it gets
 * its name only when every checksum, leaf and the chain of the copy were found whole. KAP_OK, or
 * why there is no backup. */
int kap_recover_backup(const kap_conf_t *conf, const char *directory);

/* Reads the whole store and says what is damaged and what can be done. KAP_OK: nothing is;
 * KAP_E_CORRUPT: something is; else it could not be read. Works in a child, since a damaged page
 * can end whoever reads it: call it before any thread is there. */
int kap_recover_scrub(const kap_conf_t *conf);

#endif
