/* SPDX-License-Identifier: MPL-2.0 */
/*
 * recover: what the operator does with the store from the command line: a backup, a look for
 * damage, a store out of a backup. Each is a process of its own; the first two read the store
 * beside a running broker and never write to it. They speak to people: results on stdout,
 * complaints on stderr. Caller: main.
 */
#ifndef KAP_RECOVER_H
#define KAP_RECOVER_H

#include <stdint.h>

#include "conf.h"

/* Hot, compacting copy of the configured store into `directory`, which must not be there; it gets
 * its name only when every checksum, leaf and the chain of the copy were found whole. KAP_OK, or
 * why there is no backup. */
int kap_recover_backup(const kap_conf_t *conf, const char *directory);

/* Reads the whole store and says what is damaged and what can be done. KAP_OK: nothing is;
 * KAP_E_CORRUPT: something is; else it could not be read. Works in a child, since a damaged page
 * can end whoever reads it: call it before any thread is there. */
int kap_recover_scrub(const kap_conf_t *conf);

/* Makes the configured store, which must not be there, out of the backup in `directory`; until: the
 * last position of its log to keep, 0: all of it. KAP_OK, or why there is none. */
int kap_recover_restore(const kap_conf_t *conf, const char *directory, uint64_t until);

#endif
