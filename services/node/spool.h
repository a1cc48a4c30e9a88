/* SPDX-License-Identifier: MPL-2.0 */
/* The spool: files that an organisation's own systems drop become acts.
 *
 * Purpose: folders in/ done/ refused/. A file is renamed into in/ whole; it is read once, its rows
 * become acts in batches, each batch one commit together with a mark that says how far the file is
 * done. A crash anywhere goes on from the mark; the batch in hand is submitted again under the same
 * keys (digest of kind and bytes, line), so nothing is lost or doubled, and the same file again
 * changes nothing. Refused rows lie in refused/ under the file's name, with reasons, to be mended
 * and dropped again. A file that cannot be read at all moves there whole, beside NAME.reason.txt.
 * What is not a plain file of a good name (services/node/folder.h) stays where it is, unopened, and
 * is said once in the log. A finished file is removed, or kept in done/ for spool.keep_done.
 * Owner: the node; loop thread only. It never waits: a batch a turn. */
#ifndef KAP_NODE_SPOOL_H
#define KAP_NODE_SPOOL_H

#include "intake.h"
#include "node.h"

typedef struct kap_spool kap_spool_t;

/* Configuration, shared by every spool of a daemon. */
extern const kap_conf_key_t kap_spool_keys[];

/* The spool of spool.directory, with the columns and kinds of the actor's table; nothing when that
 * is not configured. */
extern const kap_node_extra_t kap_spool_extra;

#define KAP_SPOOL_KIND(NAME) (UINT32_C(1) << KAP_INTAKE_##NAME)
/* Kinds that every daemon takes: all but the campaign's answers and a financier's decisions. */
#define KAP_SPOOL_KINDS (UINT32_MAX & ~KAP_SPOOL_KIND(HARAVA) & ~KAP_SPOOL_KIND(DECISION))

typedef struct {
    const char *name;                  /* in keys of acts, marks and log lines */
    const char *directory;             /* lent for the call */
    bool is_in;                        /* the folder itself is `in`; done and refused lie in it */
    int kind;                          /* of files whose name and rows say none; -1: spool.kind */
    uint32_t kinds;                    /* that it takes */
    const kap_actor_column_t *columns; /* the actor's own; lent until close; may be NULL */
    kap_intake_adapt_fn *adapt;        /* may be NULL */
    void *adapt_arg;
} kap_spool_opts_t;

/* KAP_E_CONFIG (a mapping names a field that is none: logged), KAP_E_NOTFOUND, KAP_E_DENIED,
 * KAP_E_IO (the folder), KAP_E_NOMEM. */
int kap_spool_open(kap_node_t *node, const kap_spool_opts_t *opts, kap_spool_t **out);
void kap_spool_close(kap_spool_t **spool);

/* For an extra whose state is a spool. */
void kap_spool_stop(void **state);

#endif
