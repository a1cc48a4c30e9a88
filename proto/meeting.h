/* SPDX-License-Identifier: MPL-2.0 */
/* Forums, their meetings and what meetings agree on: pure machines like referral.h.
 * forum: set, set again (last wins). meeting: none -> planned -> moved* -> held |
 * cancelled (terminal); held may follow none (unplanned). action: agreed -> done.
 * By the forum's owner or the region's coordinator, whose node may belong to any
 * member; an attending member confirms its own attendance; the one responsible may
 * say that an action is done. RRULEs are expanded by common/recurrence.h. Any thread. */
#ifndef KAP_MEETING_H
#define KAP_MEETING_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "event.h"
#include "referral.h"
#include "span.h"

#define KAP_MEETING_MEMBERS 256 /* of a forum, or of one meeting's attendance */
#define KAP_MEETING_DATES   64  /* of a forum without a rule */

/* A meeting's state is a code of the list MEETING (PLANNED, HELD, CANCELLED), or none. */
#define KAP_MEETING_NONE (-1)

typedef struct {
    bool set, ended;
    kap_span_t region, owner, name, kind; /* kind is open text with suggestions */
    kap_span_t chair, secretary;          /* roles, not names */
    kap_span_t rrule, starts; /* RFC 5545, and DTSTART local in Europe/Helsinki; or empty */
    kap_span_t dates[KAP_MEETING_DATES]; /* YYYY-MM-DD, without a rule */
    kap_span_t members[KAP_MEETING_MEMBERS];
    uint32_t date_count, member_count, yearly_target;
    int64_t set_at;
} kap_forum_t;

/* A member of a meeting: invited by name when it was planned or as a member of its forum when it
 * was held (as far as there is room); attendance stated by the minutes, confirmed or denied by
 * itself. */
enum {
    KAP_ATTENDEE_STATED = 1,
    KAP_ATTENDEE_CONFIRMED = 2,
    KAP_ATTENDEE_DENIED = 4,
    KAP_ATTENDEE_INVITED = 8
};

typedef struct {
    kap_span_t member;
    uint8_t marks; /* KAP_ATTENDEE_ */
} kap_attendee_t;

typedef struct {
    int8_t state; /* KAP_MEETING_ */
    bool unplanned;
    kap_span_t forum, region, owner; /* owner: who planned it, or held it unplanned */
    kap_span_t kind;                 /* of a meeting without a forum; or empty */
    kap_span_t occurrence;           /* YYYY-MM-DD of the clock that it realises, or empty */
    kap_span_t memo;
    int64_t first_planned_at; /* as first planned; KAP_REFERRAL_NO_TIME when unplanned */
    int64_t planned_at;       /* as it stands after moves */
    int64_t held_at, cancelled_at;
    uint32_t moves, topics;
    kap_attendee_t attendees[KAP_MEETING_MEMBERS];
    uint32_t attendee_count;
} kap_meeting_t;

typedef struct {
    bool agreed, done;
    kap_span_t meeting, region, owner; /* owner: who wrote it down */
    kap_span_t member, responsible;    /* who answers for it: a member, or a text */
    kap_span_t due;                    /* YYYY-MM-DD or empty */
    int64_t agreed_at, done_at;
} kap_action_t;

void kap_forum_init(kap_forum_t *f);
void kap_meeting_init(kap_meeting_t *m);
void kap_action_init(kap_action_t *a);

/* What the caller found out. Zeroed facts refuse everything. */
typedef struct {
    kap_span_t publisher; /* member that publishes */
    bool is_coordinator;  /* of the region of the event, the forum or the meeting */
    bool in_region;       /* the publisher acts in that region */
    bool region_known;    /* the event names a region that exists */
    bool forum_known;     /* the event names a forum that was set */
    kap_span_t forum_owner, forum_region;
    const kap_span_t *forum_members; /* of a known forum */
    uint32_t forum_member_count;
    bool meeting_known; /* action_agreed: its meeting */
    kap_span_t meeting_owner, meeting_region;
} kap_meeting_facts_t;

/* Same terms as kap_referral_judge. fx.streams: the region's and (KAP_TELL_FROM) the
 * publisher's; with KAP_TELL_THIRD the member in fx.third: who attended, who is to act.
 * Members of the forum and attendees stand in *after: whom else it concerns. */
int kap_forum_judge(const kap_forum_t *before, const kap_event_t *ev,
                    const kap_meeting_facts_t *facts, int64_t now, kap_forum_t *after,
                    kap_effects_t *fx, kap_refusal_t *why);
int kap_meeting_judge(const kap_meeting_t *before, const kap_event_t *ev,
                      const kap_meeting_facts_t *facts, int64_t now, kap_meeting_t *after,
                      kap_effects_t *fx, kap_refusal_t *why);
int kap_action_judge(const kap_action_t *before, const kap_event_t *ev,
                     const kap_meeting_facts_t *facts, int64_t now, kap_action_t *after,
                     kap_effects_t *fx, kap_refusal_t *why);

/* Held within 7 days of the plan (metrics.md 17): the occurrence where one is named,
 * else the plan as first made. False for the unplanned and the not held. */
bool kap_meeting_adheres(const kap_meeting_t *m);

/* Was the member there: stated or confirmed, and not denied by itself? */
static inline bool kap_attendee_was_there(const kap_attendee_t *a)
{
    return (a->marks & (KAP_ATTENDEE_STATED | KAP_ATTENDEE_CONFIRMED)) != 0 &&
           (a->marks & KAP_ATTENDEE_DENIED) == 0;
}

/* Rows; same terms as kap_referral_pack, but a failed unpack leaves its output undefined. */
void kap_forum_pack(kap_buf_t *buf, const kap_forum_t *f);
int kap_forum_unpack(kap_span_t row, kap_forum_t *f);
void kap_meeting_pack(kap_buf_t *buf, const kap_meeting_t *m);
int kap_meeting_unpack(kap_span_t row, kap_meeting_t *m);
void kap_action_pack(kap_buf_t *buf, const kap_action_t *a);
int kap_action_unpack(kap_span_t row, kap_action_t *a);

#endif
