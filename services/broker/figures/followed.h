/* SPDX-License-Identifier: MPL-2.0 */
/*
 * followed: the index of meetings and of the follow-up model (metrics 17 and 18): what was reported
 * of a region, found by the time it is about. The writer (ledger thread, through book.h) is told
 * each accepted event once, in the order of the log; rows go with the batch's own transaction, so
 * that the index always stands where the log stands and a recount gives the same rows. The readers
 * (any thread, in one snapshot) cost what they walk: it is said at each. Nothing is judged here.
 *
 * Where a later event replaces an earlier one (kap_followup_key) the earlier one's row goes. Advice
 * and new customers are kept one by one and summed by month, answers to surveys summed by year
 * only: no single answer is kept apart. An event counts from the first moment of its period on.
 */
#ifndef KAP_FOLLOWED_H
#define KAP_FOLLOWED_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "event.h"
#include "meeting.h"
#include "rows.h"
#include "span.h"
#include "store.h"

/* Kinds of rows, behind the number of the region in every key. Numbers stay. */
typedef enum {
    KAP_FOLLOWED_ADVICE = 1,   /* at, position */
    KAP_FOLLOWED_NEW_CUSTOMER, /* at, position */
    KAP_FOLLOWED_CUSTOMERS,    /* at, position */
    KAP_FOLLOWED_PLAN,         /* at, position: items */
    KAP_FOLLOWED_REPORT,       /* item, at, position */
    KAP_FOLLOWED_INDICATOR,    /* indicator, segment, at, position */
    KAP_FOLLOWED_TARGET,       /* at, position */
    KAP_FOLLOWED_COMMENT,      /* member, at, position */
    KAP_FOLLOWED_FORUM,        /* id */
    KAP_FOLLOWED_MEETING,      /* at, id */
    KAP_FOLLOWED_ACTION,       /* meeting, id */
    KAP_FOLLOWED_ARISEN,       /* meeting, position: referrals */
    /* sums: with the member in front, and without it */
    KAP_FOLLOWED_ADVICE_SUM,          /* month, what */
    KAP_FOLLOWED_NEW_CUSTOMER_SUM,    /* month, what */
    KAP_FOLLOWED_ADVICE_OF_SUM,       /* member, month, what */
    KAP_FOLLOWED_NEW_CUSTOMER_OF_SUM, /* member, month, what */
    KAP_FOLLOWED_SURVEY_SUM,          /* year, survey, question, segment, scale */
} kap_followed_kind_t;

/* --- writing --- */

/* Where a row of a key, or a meeting, stands; seq 0: nowhere (a meeting: at KAP_REFERRAL_NO_TIME).
 */
typedef struct {
    int64_t at;
    uint64_t seq;
} kap_followed_place_t;

typedef enum { KAP_FOLLOWED_PUT, KAP_FOLLOWED_DELETE, KAP_FOLLOWED_ADD } kap_followed_how_t;

enum { KAP_FOLLOWED_SUMS = 3 };

typedef struct {
    kap_followed_how_t how;
    kap_span_t key;
    kap_span_t value;              /* PUT */
    int64_t by[KAP_FOLLOWED_SUMS]; /* ADD */
} kap_followed_change_t;

/* Who writes: gives numbers to names, and takes changes, copied, to apply them in order with
 * the batch. */
typedef struct {
    uint32_t (*number)(void *arg, kap_span_t text);
    void (*change)(void *arg, const kap_followed_change_t *change);
    void *arg;
} kap_followed_writer_t;

/* The instant at which an event of the follow-up model counts; `time`: when it happened. Years and
 * periods begin in Helsinki; what has no year stands at KAP_TIME_MIN. */
int64_t kap_followed_at(const kap_event_t *ev, int64_t time);

/* An event of the follow-up model that entered the log; others change nothing. *place: where the
 * last event of its key stands; then where this one does. KAP_E_NOMEM. */
int kap_followed_event(const kap_followed_writer_t *writer, const kap_event_t *ev, int64_t time,
                       uint64_t log_seq, kap_followed_place_t *place);

/* The day on which a meeting counts: when it was held, else as its plan stands now. */
int64_t kap_followed_meeting_at(const kap_meeting_t *meeting);

/* A forum, meeting or action as it is now, and a referral that names a meeting. */
void kap_followed_forum(const kap_followed_writer_t *writer, kap_span_t region, kap_span_t id);
void kap_followed_meeting(const kap_followed_writer_t *writer, kap_span_t id,
                          const kap_meeting_t *meeting, kap_followed_place_t *place);
void kap_followed_action(const kap_followed_writer_t *writer, kap_span_t id,
                         const kap_action_t *action);
void kap_followed_arisen(const kap_followed_writer_t *writer, kap_span_t region, kap_span_t meeting,
                         kap_span_t referral, uint64_t log_seq);

/* Applies one change. */
int kap_followed_write(kap_txn_t *txn, const kap_followed_change_t *change);

/* --- reading: numbers of regions and members are those of rows.h. Every walk stops at an error of
 * its callback; spans lend from the transaction --- */

/* A region's rows of [from_ms, to_ms), of one member or (0) of all. */
typedef struct {
    uint32_t region, member;
    int64_t from_ms, to_ms;
} kap_followed_range_t;

/* The region with the next number above *region that has any row; KAP_E_NOTFOUND. */
int kap_followed_next_region(kap_txn_t *txn, uint32_t *region);

/* Has it any row? Errors in *rc. */
bool kap_followed_has_region(kap_txn_t *txn, uint32_t region, int *rc);

/* Advice or new customers; codes, -1: not said. The same combination may come several times. */
typedef struct {
    int service, segment, channel, origin;
    uint64_t count;
} kap_followed_count_t;
typedef int (*kap_followed_count_fn)(void *arg, const kap_followed_count_t *count);

/* ADVICE or NEW_CUSTOMER: O(whole months x combinations + events in the days at the ends). */
int kap_followed_counts(kap_txn_t *txn, kap_followed_kind_t kind, const kap_followed_range_t *range,
                        kap_followed_count_fn fn, void *arg);

/* Answers to one question of a survey in a year, by segment and scale; code -1, scale 0: none. */
typedef struct {
    int year, segment, scale;
    kap_span_t survey, question;
    uint64_t n, texts; /* answers with a value, answers in words */
    int64_t sum_milli; /* of the values, in thousandths */
} kap_followed_survey_t;
typedef int (*kap_followed_survey_fn)(void *arg, const kap_followed_survey_t *survey);

/* Of the years first to last; O(years x questions x segments x scales). */
int kap_followed_surveys(kap_txn_t *txn, uint32_t region, int first, int last,
                         kap_followed_survey_fn fn, void *arg);

/* Customers of a year as a member reported them. */
typedef struct {
    uint32_t member;
    int year, segment;
    uint64_t total, new_ones;
} kap_followed_customers_t;
typedef int (*kap_followed_customers_fn)(void *arg, const kap_followed_customers_t *customers);

/* Of the years that begin in the range; O(reports). */
int kap_followed_customers(kap_txn_t *txn, const kap_followed_range_t *range,
                           kap_followed_customers_fn fn, void *arg);

/* An item of a plan, and how it stands by what was last said of it. */
typedef struct {
    uint32_t member; /* 0: none named */
    int plan, segment;
    int first_year, last_year; /* 0: it names none */
    bool reported;             /* something was ever said of how it stands */
    int64_t progress;          /* -1: not said */
    int status;                /* KAP_PLAN_STATUS_, -1: not said, or not in these words */
    kap_span_t item;
} kap_followed_item_t;
typedef int (*kap_followed_item_fn)(void *arg, const kap_followed_item_t *item);

/* Items whose first year begins before range->to_ms, and those without a year: O(items). */
int kap_followed_items(kap_txn_t *txn, const kap_followed_range_t *range, kap_followed_item_fn fn,
                       void *arg);

/* A figure that was reported. */
typedef struct {
    kap_span_t indicator, period, value, unit, source;
    int segment;
    int64_t at;  /* start of its period */
    bool before; /* it lies before the range, at most 400 days: to tell a trend */
} kap_followed_indicator_t;
typedef int (*kap_followed_indicator_fn)(void *arg, const kap_followed_indicator_t *indicator);

/* By indicator, segment and period; O(indicators x segments + figures in the range). */
int kap_followed_indicators(kap_txn_t *txn, const kap_followed_range_t *range,
                            kap_followed_indicator_fn fn, void *arg);

/* A target that is a count or a share. */
typedef struct {
    int target, year, service;    /* year 0: of every year; code -1: none */
    kap_span_t value;             /* decimal */
    kap_span_t forum, from, to;   /* as far as it is for one */
    int64_t valid_from, valid_to; /* [from, to) */
} kap_followed_target_t;
typedef int (*kap_followed_target_fn)(void *arg, const kap_followed_target_t *target);

/* Of all years: O(targets ever set). */
int kap_followed_targets(kap_txn_t *txn, uint32_t region, kap_followed_target_fn fn, void *arg);

/* What a member says of its figures in a period. */
typedef struct {
    uint32_t member;
    kap_span_t period, text;
} kap_followed_comment_t;
typedef int (*kap_followed_comment_fn)(void *arg, const kap_followed_comment_t *comment);

/* Comments on periods that lie in the range, by member (range->member 0: of all), then by period:
 * O(members' comments in it). */
int kap_followed_comments(kap_txn_t *txn, const kap_followed_range_t *range,
                          kap_followed_comment_fn fn, void *arg);

/* The comment that stands beside a member's figures of the range: of the longest period that lies
 * in it, the latest of these. KAP_E_NOTFOUND: none. */
int kap_followed_comment(kap_txn_t *txn, const kap_followed_range_t *range,
                         kap_followed_comment_t *comment);

typedef int (*kap_followed_forum_fn)(void *arg, kap_span_t id, const kap_forum_t *forum);
typedef int (*kap_followed_meeting_fn)(void *arg, kap_span_t id, const kap_meeting_t *meeting);
typedef int (*kap_followed_action_fn)(void *arg, kap_span_t id, const kap_action_t *action);
typedef int (*kap_followed_referral_fn)(void *arg, const kap_referral_row_t *referral);

/* Forums of the region; its meetings by day; what arose in one of them: actions, and referrals of
 * the same region that are not voided. O(what is told). */
int kap_followed_forums(kap_txn_t *txn, uint32_t region, kap_followed_forum_fn fn, void *arg);
int kap_followed_meetings(kap_txn_t *txn, const kap_followed_range_t *range,
                          kap_followed_meeting_fn fn, void *arg);
/* The days of the first and the last of its meetings in the range; KAP_E_NOTFOUND: none. */
int kap_followed_meeting_days(kap_txn_t *txn, const kap_followed_range_t *range, int64_t *first_ms,
                              int64_t *last_ms);
int kap_followed_actions(kap_txn_t *txn, uint32_t region, kap_span_t meeting,
                         kap_followed_action_fn fn, void *arg);
int kap_followed_referrals(kap_txn_t *txn, uint32_t region, kap_span_t meeting,
                           kap_followed_referral_fn fn, void *arg);

/* --- periods and decimals --- */

/* [*from_ms, *to_ms) of a year, month or day in Helsinki; false when it is none. */
bool kap_period_range(kap_span_t period, int64_t *from_ms, int64_t *to_ms);

/* A decimal in thousandths, further digits rounded; false when it is none or too large. */
bool kap_decimal_milli(kap_span_t text, int64_t *milli);

/* And back, without zeros at the end. */
void kap_decimal_put(kap_buf_t *buf, int64_t milli);

#endif
