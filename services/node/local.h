/* SPDX-License-Identifier: MPL-2.0 */
/* The local door: a ROUTER on ipc://<local.directory>/door for this organisation's own programs.
 *
 * Purpose: ACT and LOCAL are answered here, FETCH and QUERY are passed to the broker under this
 * member's key and the answers passed back with the asker's own request id. Whoever may open the
 * folder (0750) may speak for the member. Owner: the node; loop thread only.
 *
 * ACT request, one bin: {verb, key?, try?, fields: {name: text}}. ANSWER, one bin:
 *   {accepted, act, fate, subject, case?, repeated} or
 *   {accepted: false, error: {code, sentence, field?, candidates?: [member...]}}
 * LOCAL request, one bin: {local: WORD, ...}. ANSWER, one bin, by WORD:
 *   inbox   {side?: "in"|"out", open?: bool, after?: id, limit?} -> {referrals: [...], more}
 *   outbox  {after?: [line, sequence], limit?} -> {waiting, events: [...], more}
 *   show    {id} -> {referral|case|meeting|forum|action: ..., events: [...]}; contents unsealed
 *   acts    {after?: act, limit?} -> {acts: [...], more}
 *   fate    {act, wait?: bool} -> the act; with wait it is answered once the fate is final
 *   health  {} -> what kap_node_health gives
 * An error is {error: {code, sentence}}. */
#ifndef KAP_NODE_LOCAL_H
#define KAP_NODE_LOCAL_H

#include "inside.h"

int kap_local_start(kap_node_t *node, kap_local_t **local);
void kap_local_stop(kap_local_t **local);

/* Makes the folder (0750) when absent and checks it. KAP_E_CONFIG: its path is too long for a
 * socket, or it is not ours. */
int kap_local_folder(const char *path);

#endif
