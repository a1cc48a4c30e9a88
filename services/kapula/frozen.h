/* SPDX-License-Identifier: MPL-2.0 */
/* Frozen answers: what was asked, at which position, when, what the answer was, and a hash of it
 * all; a file each under $XDG_DATA_HOME/kapula/frozen (mode 0600). A frozen answer is shown again
 * as it was, or run again and compared: old, new, and why. One thread. It never alters a file that
 * stands; a name is frozen once.
 *
 * A file is one JSON object: name, frozen_at, mesh, as_of_seq, as_of_time, questions [{query,
 * answer}], report? (what a report was made with) and hash: the BLAKE2b-256, in hex, of the object
 * without it, its keys sorted, without blanks (`jq -cSj 'del(.hash)'`). */
#ifndef KAP_FROZEN_H
#define KAP_FROZEN_H

#include "asking.h"

/* A name of 1 to 64 letters, digits, '.', '_' and '-', not beginning with '.'. 0, or an exit code
 * after saying what would be right. Also when that name is frozen already. */
int kap_frozen_check_name(const char *name);

/* Freezes everything that was asked. `report` NULL or a map. Says where it stands, on standard
 * error. Written beside and renamed. 0 or an exit code after saying why. */
int kap_frozen_write(const kap_asking_t *asking, const char *name, const kap_mp_t *report);

/* The file's map, its times as integers, in the asking's arena; the asking is frozen with its
 * questions. *fits: the hash is that of what stands there. 0 or an exit code after saying why. */
int kap_frozen_read(kap_asking_t *asking, const char *name, const kap_mp_t **file, bool *fits);

/* Names of the files there are, sorted; texts in the arena. */
int kap_frozen_names(kap_arena_t *arena, kap_shown_list_t *names);

#endif
