/* SPDX-License-Identifier: MPL-2.0 */
/* Events in words, for tests at a desk: "region=mikkeli; count=3; attendance=a,b", fields by their
 * wire names, times as "2026-02-03 09:00" of Helsinki, yes and no for what is either. */
#ifndef SAYING_H
#define SAYING_H

#include "desk.h"
#include "mp.h"

/* Midday in Helsinki of "2026-02-03", or the very time of "2026-02-03 09:00". */
int64_t saying_time(const char *when);

/* Sets the desk's clock. */
void saying_at(desk_t *d, const char *when);

/* Adds an event to the job under way; region mikkeli where the type wants one and none is said. */
void saying_add(desk_t *d, const char *who, kap_event_type_t type, const char *fields);

/* The same, and sends it: it must be accepted. */
void say(desk_t *d, const char *who, kap_event_type_t type, const char *fields);

/* A list of an answer's values, a line an item: "kind steering_group held 3 adherence 2/3". Lives
 * in the desk's arena. */
const char *saying_told(desk_t *d, const kap_mp_t *values, const char *list);

#endif
