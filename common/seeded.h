/* SPDX-License-Identifier: MPL-2.0 */
/*
 * seeded: bugs put in on purpose, so that the tests show that they would find them. One extra
 * build (-DKAP_SEEDED=ON) has them all, and the environment variable KAP_SEEDED_BUG names the one
 * that is on. Everywhere else KAP_SEEDED_BUG() is false and leaves no code. Any thread.
 */
#ifndef KAP_SEEDED_H
#define KAP_SEEDED_H

#include <stdbool.h>

#ifdef KAP_SEEDED
#include <stdlib.h>
#include <string.h>

static inline bool kap_seeded(const char *bug)
{
    const char *chosen = getenv("KAP_SEEDED_BUG");
    return chosen && strcmp(chosen, bug) == 0;
}
#define KAP_SEEDED_BUG(bug) kap_seeded(bug)
#else
#define KAP_SEEDED_BUG(bug) false
#endif

#endif
