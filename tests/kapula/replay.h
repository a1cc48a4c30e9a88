/* SPDX-License-Identifier: MPL-2.0 */
/* What a broker would make of a mapping: every event is decoded, judged by the referral machine
 * as in an archive, and counted. Anything but "accepted" fails the test. */
#ifndef KAP_TEST_REPLAY_H
#define KAP_TEST_REPLAY_H

#include "eventlog.h"
#include "logmap.h"

/* One referral, in the order of creation. */
typedef struct {
    char *id, *from, *to, *case_id, *parent; /* names in full; parent "" when none */
    int64_t created_ms, accepted_ms, ended_ms, answer_ms;
    int64_t to_accept_ms; /* as the machine has it */
    uint32_t notes;
    int state;
} kap_replayed_t;

typedef struct {
    kap_replayed_t *referrals;
    size_t count, cap;
    uint64_t events;
    char *region, *attribute, *options;
    uint8_t digest[32];
    uint8_t hash[32]; /* over all parts of all events */
    uint64_t summary_cases, summary_without;
    bool opened, closed;
} kap_replay_t;

/* Runs the map from its first event to its last. */
void kap_replay(kap_logmap_t *map, kap_replay_t *replay);
void kap_replay_free(kap_replay_t *replay);

/* Waits (time to accept) of an edge, ascending, into `out`; returns how many (may exceed max). */
size_t kap_replay_waits(const kap_replay_t *replay, const char *from, const char *to, int64_t *out,
                        size_t max);

/* Different edges, and referrals that go straight back to the sender of their parent. */
size_t kap_replay_edges(const kap_replay_t *replay);
size_t kap_replay_pingpongs(const kap_replay_t *replay);

/* The ceil(p * n)-th smallest, p in hundredths. */
int64_t kap_replay_percentile(const int64_t *sorted, size_t n, unsigned percent);

#endif
