/* SPDX-License-Identifier: MPL-2.0 */
/* A broker of a few lines for the import's tests: one source, marks and hashes, QUERY mark and
 * archive, and moods. On the test's own loop, at a local door. It judges nothing, but takes only
 * events that decode. */
#ifndef KAP_TEST_FAKEBROKER_H
#define KAP_TEST_FAKEBROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "loop.h"
#include "sock.h"

#define KAP_FAKE_EVENTS 40000

typedef struct {
    kap_loop_t *loop;
    kap_sock_t *sock;
    kap_arena_t *arena;
    char folder[64], endpoint[128];

    /* what it holds */
    uint64_t mark;
    uint8_t (*hashes)[32]; /* by sequence */
    char source[256];
    char region[128], attribute[128], options[512]; /* of archive_opened; "" before */
    uint8_t digest[32];

    /* what it saw */
    unsigned publishes, queries;
    uint32_t most_events; /* in one request */
    uint64_t duplicates;

    /* moods; 0 means: not */
    uint64_t deaf_after;    /* answers nothing once the mark is there */
    bool deaf_queries;      /* answers no query */
    unsigned busy;          /* so many requests are answered `busy` */
    unsigned lose;          /* so many requests are not taken, and answered `gap` behind it */
    uint64_t refuse;        /* refuses the event with this sequence */
    bool foreign, nonsense; /* answers so */
} kap_fake_t;

void kap_fake_open(kap_fake_t *fake);
void kap_fake_close(kap_fake_t *fake);

#endif
