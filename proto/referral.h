/* SPDX-License-Identifier: MPL-2.0 */
/* The referral machine: a pure function of (state, event, facts, now). Broker and
 * nodes run the same one. It reads no clock, no store and no directory: what the
 * caller must look up comes in as kap_referral_facts_t. Any thread; no allocation.
 * Spans of a kap_referral_t lend from the event or the packed row they came from.
 * Tables: states.def, transitions.def. It does not check who holds which key. */
#ifndef KAP_REFERRAL_H
#define KAP_REFERRAL_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "calendar.h"
#include "event.h"
#include "span.h"

#define KAP_REFERRAL_NO_TIME    INT64_MIN /* a time that is not there */
#define KAP_REFERRAL_NO_SPAN_MS (-1)      /* a duration that is not there */

/* A state is a code of the list STATE (KAP_STATE_CREATED ...), or none. */
#define KAP_STATE_NONE (-1)

const char *kap_state_name(int state); /* wire name; "none" when there is none */
bool kap_state_is_open(int state);     /* expired is not open and not terminal */
bool kap_state_is_terminal(int state);

/* Flags of a referral, for good or until cleared. */
typedef enum {
    KAP_RF_EXTERNAL = 1u << 0,        /* to external:<type>: no answer expected */
    KAP_RF_INTERNAL = 1u << 1,        /* both ends of one organisation */
    KAP_RF_ARCHIVE = 1u << 2,         /* of an imported log: no deadlines */
    KAP_RF_WARM = 1u << 3,            /* handed over together */
    KAP_RF_RETURN_EXPECTED = 1u << 4, /* subcontracting: the customer comes back */
    KAP_RF_ON_HOLD = 1u << 5,         /* clocks stand */
    KAP_RF_WITHDRAW_REQUESTED = 1u << 6,
    KAP_RF_WITHDRAWN_BY_RECIPIENT = 1u << 7,
    KAP_RF_DID_NOT_COME = 1u << 8,
    KAP_RF_CONSENT_WITHDRAWN = 1u << 9,
    KAP_RF_SHARED = 1u << 10,
    KAP_RF_LATE = 1u << 11,         /* answered after the answer deadline */
    KAP_RF_CONTACT_LATE = 1u << 12, /* contacted (or ended) after the contact limit */
    KAP_RF_CLOCK_AHEAD = 1u << 13,  /* some event's time lay after its commit */
    KAP_RF_REOPENS = 1u << 14,
    KAP_RF_BACKED_OUT = 1u << 15, /* declined or redirected after an accept */
    KAP_RF_VOIDED_BY_OPERATOR = 1u << 16,
    KAP_RF_FEEDBACK = 1u << 17,
    KAP_RF_HELD_ONCE = 1u << 18,
    KAP_RF_MEETING = 1u << 19, /* arose in a meeting */
    KAP_RF_CAME = 1u << 20,    /* completed by `came` */
} kap_referral_flag_t;

/* Milestones, as bits of `implied` and `clamped`. */
enum {
    KAP_MILESTONE_NONE = 0,
    KAP_MILESTONE_DELIVERED = 1,
    KAP_MILESTONE_ACCEPTED = 2,
    KAP_MILESTONE_CONTACT = 4,
    KAP_MILESTONE_ENDED = 8,
    KAP_MILESTONE_CUSTOMER = 16, /* only in clamped: the customer's clock */
};

/* Which limit runs: a code of the list DEADLINE (DELIVERY: 30 days from the commit of
 * created; ANSWER; CONTACT: after an accept, the first contact), or none. */
#define KAP_DEADLINE_NONE (-1)

/* A duration by both clocks' hands; KAP_REFERRAL_NO_SPAN_MS in both when there is none. */
typedef struct {
    int64_t working_ms, elapsed_ms;
} kap_spent_t;

/* A hold that is over. */
typedef struct {
    int64_t from, to;
} kap_hold_t;

enum { KAP_REFERRAL_HOLDS = 8 }; /* kept one by one; few referrals ever have two */

typedef struct {
    int8_t state;             /* KAP_STATE_ */
    int8_t open_state;        /* while expired: the open state beneath; else equal to state */
    int8_t due_kind;          /* KAP_DEADLINE_ */
    uint8_t implied, clamped; /* KAP_MILESTONE_ bits */
    uint32_t flags;           /* KAP_RF_ */
    int16_t kind, service, segment, language, origin; /* codes; -1 = none */
    int16_t outcome, detail, reason;                  /* of the terminal event; -1 = none */
    int16_t feedback_scale, feedback_value;           /* the last given; -1 = none */
    uint16_t answer_days, contact_days;               /* targets in force at creation */
    uint32_t attempts, contacts, notes, late_reports; /* tried; reached; noted; > 24 h late */
    uint32_t results; /* what `completed` said followed: bit n = code n of RESULT */
    kap_span_t from, to, region, case_id, parent, next;
    int64_t created_at, created_commit, delivered_at, delivered_commit, accepted_at, contact_at;
    int64_t ended_at, answer_received_at, expired_at;
    int64_t news_at;            /* the latest event of its ends; a timer's is none */
    int64_t root_created_at;    /* the case's earliest root when this was accepted or created */
    int64_t clock_from;         /* where the running limit started */
    int64_t hold_from, hold_to; /* the last hold; hold_to none = it still lasts */
    kap_hold_t holds[KAP_REFERRAL_HOLDS]; /* those before it, as they were told */
    uint8_t hold_count;
    /* Of holds before these, when there were more: what they took (cut from all that began with
     * the delivery), and what of the running limit was used before them. */
    kap_spent_t held;
    int64_t spent_working_ms;
    int64_t due_at;         /* the running limit; none when none runs or on hold */
    int64_t answer_due_at;  /* the answer deadline as it last stood, for target figures */
    kap_spent_t to_accept;  /* recipient's clock: delivered -> accepted, both real */
    kap_spent_t to_contact; /* recipient's clock: delivered -> first reached, both real */
    kap_spent_t to_end;     /* recipient's clock: accepted -> completed, both real */
    kap_spent_t to_give_up; /* recipient's clock: delivered (real) -> first end without an accept:
                               declined, redirected or withdrawn */
    kap_spent_t customer_to_accept; /* customer's clock: root created -> accepted (real) */
} kap_referral_t;

void kap_referral_init(kap_referral_t *r); /* state none, every time and code none */

/* What the caller found out. Zeroed facts refuse everything. */
typedef struct {
    bool is_sender, is_recipient, is_operator, is_broker; /* who publishes; several may hold */
    bool archive;        /* the region is an archive: no directory, deadlines or case limit */
    bool bench;          /* a bench region: the basis may be missing */
    bool from_in_region; /* created: the region is one of the sender's */
    bool to_known;       /* created: `to` is a member, valid now (not needed for external:) */
    bool to_in_region;   /* created: the recipient lists the region or is national */
    bool internal;       /* created: both ends of one organisation */
    bool recipient_is_authority; /* declined: by the recipient's actor type */
    uint16_t answer_days,
        contact_days; /* targets of the region in working days; 0 = ANSWER_WORKING_DAYS */
    const kap_closures_t *closures; /* the recipient's; may be NULL */
    /* created */
    uint32_t case_size; /* referrals the case has already */
    bool parent_known, parent_voided, parent_same_case, parent_to_is_sender;
    bool reopens_known, reopens_terminal;
    int64_t root_created_at; /* earliest unvoided root of the case; NO_TIME when none yet */
    /* redirected: the events of its group, itself included; NULL when none */
    const kap_event_t *group;
    uint32_t group_count;
} kap_referral_facts_t;

typedef enum { KAP_TIMER_KEEP, KAP_TIMER_SET, KAP_TIMER_CLEAR } kap_timer_change_t;

enum { KAP_TELL_REGION = 1, KAP_TELL_FROM = 2, KAP_TELL_TO = 4, KAP_TELL_THIRD = 8 };

/* What else an accepted event does. */
typedef struct {
    kap_timer_change_t timer; /* the deadline of this referral */
    int64_t timer_at;         /* with SET: expire when now >= this */
    int8_t timer_kind;        /* KAP_DEADLINE_ */
    uint8_t reached;          /* milestones passed by this event, implied ones included */
    uint8_t streams;          /* KAP_TELL_: whose streams carry it */
    kap_span_t third;         /* with KAP_TELL_THIRD: the member shared with */
    bool erase;               /* contents (sealed and ends) are to be erased */
    bool cut_out;             /* now voided: its children hang on its parent */
    bool reported_late;       /* recorded more than 24 h after it occurred */
    bool clock_ahead;         /* time lay after the commit: counted as commit time */
    int64_t time;             /* the time that counts */
} kap_effects_t;

/* Judges one referral event: KAP_VERDICT_ACCEPTED, _ALREADY_SO or _REFUSED. `before` NULL or state
 * none: not known yet. `now` is the commit time. Accepted: *after and *fx are filled (after may be
 * the same object as before). Already so: *after = *before, fx says only where it is shown.
 * Refused: *why is set, *after and *fx are untouched; the current state is before's. */
int kap_referral_judge(const kap_referral_t *before, const kap_event_t *ev,
                       const kap_referral_facts_t *facts, int64_t now, kap_referral_t *after,
                       kap_effects_t *fx, kap_refusal_t *why);

/* True when the broker's timer must publish `expired` at `now`: a limit runs and is over. */
bool kap_referral_is_due(const kap_referral_t *r, int64_t now);

/* How long it lies with its recipient at `now`: the recipient's clock from delivered on, holds and
 * `closures` (may be NULL) cut out, 0 before. None while undelivered. Of use while it is open. */
kap_spent_t kap_referral_waited(const kap_referral_t *r, const kap_closures_t *closures,
                                int64_t now);

/* The recipient's clock between two instants, holds and `closures` (may be NULL) cut out; 0
 * backwards. */
kap_spent_t kap_referral_spent(const kap_referral_t *r, int64_t from, int64_t to,
                               const kap_closures_t *closures);

/* Working time used of the limit that runs, by the same clock. */
int64_t kap_referral_used_ms(const kap_referral_t *r, const kap_closures_t *closures, int64_t now);

/* Does the type answer, in the sense of the deadline? (table) */
bool kap_referral_is_answer(kap_event_type_t type);

/* "external:<type>" */
bool kap_referral_is_external(kap_span_t to);

/* The row of a store: versioned, compact (typically under 200 bytes). pack appends to
 * buf (sticky error in buf). unpack lends spans from `row`; KAP_E_CORRUPT when it does
 * not hold exactly one row, KAP_E_VERSION for a later layout. */
void kap_referral_pack(kap_buf_t *buf, const kap_referral_t *r);
int kap_referral_unpack(kap_span_t row, kap_referral_t *r);

#endif
