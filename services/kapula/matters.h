/* SPDX-License-Identifier: MPL-2.0 */
/* What is open between some members of a region, as its stream tells: referrals neither ended nor
 * voided, actions agreed and not done, statements asked and not given. One thread; it judges
 * nothing, and knows of an end only what the open part tells. */
#ifndef KAP_MATTERS_H
#define KAP_MATTERS_H

#include "shown.h"

/* `question` {region, members: ids with commas}. *answer, in the arena (not the cli's): {as_of_seq,
 * matters [{referral, from, to, kind, service, state, created_at}], actions [{action, what, member,
 * responsible, due}], statements [{statement, from, to, due}]}, in the order they arose. 0 or an
 * exit code after saying why. */
int kap_matters_read(kap_cli_t *cli, const kap_mp_t *question, kap_arena_t *arena,
                     const kap_mp_t **answer);

#endif
