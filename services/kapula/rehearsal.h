/* SPDX-License-Identifier: MPL-2.0 */
/* A year of a region's work, invented: who refers whom, who answers when, which meetings are held.
 *
 * A pure generator with a seed: the same options give the same year. It hands out acts in order
 * of time, as verb and named texts of a node's local door, and learns nothing from the mesh: ids
 * are its own. Owner: the rehearsal (rehearse.c), one thread. It does not send, wait or keep time.
 * What it invents (weights of edges, hours until an answer) is a guess for showing, not a
 * finding about any organisation.
 */
#ifndef KAP_REHEARSAL_H
#define KAP_REHEARSAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kap_rehearsal kap_rehearsal_t;

typedef struct {
    int year;      /* 1971 to 9998 */
    int referrals; /* first referrals of customers, 1 to 100,000; redirects come on top */
    uint64_t seed;
    const char *region; /* lent until destroy */
} kap_rehearsal_opts_t;

enum { KAP_REHEARSAL_FIELDS = 20, KAP_REHEARSAL_NAME = 32, KAP_REHEARSAL_VALUE = 160 };

typedef struct {
    char name[KAP_REHEARSAL_NAME];
    char value[KAP_REHEARSAL_VALUE];
} kap_rehearsal_field_t;

/* One act of one member at one moment. */
typedef struct {
    int64_t at_ms;
    const char *member; /* whose node says it */
    const char *verb;   /* word at the node's door */
    kap_rehearsal_field_t fields[KAP_REHEARSAL_FIELDS];
    int count;
    /* Time may go on only when this referral has reached its recipient; NULL: no need to wait. */
    const char *delivers; /* referral id, lent until the next call */
    const char *to;       /* its recipient */
    const char *answers;  /* likewise the referral whose sender shall have the answer, or NULL */
    const char *from;     /* that sender */
} kap_rehearsal_act_t;

/* NULL without memory or with options out of bounds. */
kap_rehearsal_t *kap_rehearsal_new(const kap_rehearsal_opts_t *opts);
void kap_rehearsal_destroy(kap_rehearsal_t **rehearsal);

/* First and last instant of the year, Europe/Helsinki. */
int64_t kap_rehearsal_from_ms(const kap_rehearsal_t *rehearsal);
int64_t kap_rehearsal_to_ms(const kap_rehearsal_t *rehearsal);

/* The next act, in order of time; false when the year is over. */
bool kap_rehearsal_next(kap_rehearsal_t *rehearsal, kap_rehearsal_act_t *act);

/* Share of the year that is past, 0 to 1000, for a progress bar. */
int kap_rehearsal_permille(const kap_rehearsal_t *rehearsal);

#endif
