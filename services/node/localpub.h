/* SPDX-License-Identifier: MPL-2.0 */
/* The local stream: a PUB socket on ipc://<local.directory>/stream that says what arrives.
 *
 * Message: frame 1 the event type (subscribe to a prefix: "kapula.referral."), frame 2 one JSON
 * object: the CloudEvents attributes, `data` of the open part, `ends` with the fields of the ends
 * part, `kapula` {seq, log_seq, committed_at, own, verdict, unsealed, state?} and, where it opened
 * and configuration allows, `contents`. PUB drops what a slow listener misses; whoever must not
 * miss asks the local door (FETCH) from its last seq. All of a script:
 *
 *   import zmq, json
 *   s = zmq.Context().socket(zmq.SUB)
 *   s.connect("ipc:///var/lib/kapula/municipality/local/stream")
 *   s.subscribe("kapula.referral.created")
 *   while True:
 *       kind, event = s.recv_multipart()
 *       event = json.loads(event)
 *       print(event["data"]["referral"], event.get("contents", {}).get("company"))
 *
 * Owner: the node; loop thread only. */
#ifndef KAP_NODE_LOCALPUB_H
#define KAP_NODE_LOCALPUB_H

#include "inside.h"

int kap_localpub_start(kap_node_t *node, kap_localpub_t **pub);
void kap_localpub_stop(kap_localpub_t **pub);

/* Sends one row; what cannot be sent is dropped and counted. */
void kap_localpub_send(kap_localpub_t *pub, const kap_received_t *received);

/* The JSON object of the message; also for the spool and hooks. */
int kap_localpub_json(const kap_received_t *received, bool with_contents, kap_buf_t *json);

uint64_t kap_localpub_sent(const kap_localpub_t *pub);

#endif
