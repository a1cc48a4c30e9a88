/* SPDX-License-Identifier: MPL-2.0 */
#include "followed.h"

#include <string.h>

#include "cell.h"
#include "clock.h"
#include "err.h"
#include "followed_inner.h"

enum { BEFORE_DAYS = 400 }; /* a year and a month: the period before one's own lies in it */

/* --- walking rows --- */

/* A row: what stands in its key behind `front`, and its value. */
typedef int (*row_fn)(void *arg, kap_span_t rest, kap_span_t value);

/* Rows whose keys begin with the first `front` bytes of *from, from *from on, below *to (NULL: to
 * the end of the front). */
static int walk(kap_txn_t *txn, const kap_key_t *from, size_t front, const kap_key_t *to, row_fn fn,
                void *arg)
{
    kap_span_t prefix = kap_span_sub(kap_key_span(from), 0, front);
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(txn, KAP_ROWS_FOLLOWED, &cursor);

    if (rc != KAP_OK)
        return rc;
    rc = kap_cursor_seek_ge(cursor, kap_key_span(from));
    while (rc == KAP_OK) {
        kap_span_t key = kap_cursor_key(cursor);
        if (!kap_span_starts(key, prefix) || (to && kap_span_cmp(key, kap_key_span(to)) >= 0))
            break;
        rc = fn(arg, kap_span_sub(key, front, SIZE_MAX), kap_cursor_value(cursor));
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* Rows of a kind whose keys go on with a time, in [from_ms, to_ms). */
static int walk_times(kap_txn_t *txn, uint32_t region, kap_followed_kind_t kind, int64_t from_ms,
                      int64_t to_ms, row_fn fn, void *arg)
{
    kap_key_t from, to;

    kap_fkey_begin(&from, region, kind);
    to = from;
    size_t front = from.size;
    kap_fkey_time(&from, from_ms);
    kap_fkey_time(&to, to_ms);
    return walk(txn, &from, front, to_ms == INT64_MAX ? NULL : &to, fn, arg);
}

/* Reads varints off a row; sticky. */
static uint64_t number_of(kap_span_t *row, bool *bad)
{
    uint64_t value = 0;

    *bad |= !kap_get_varint(row, &value);
    return value;
}

static int code_of(kap_span_t *row, bool *bad)
{
    return (int)number_of(row, bad) - 1;
}

static int64_t signed_of(kap_span_t *row, bool *bad)
{
    int64_t value = 0;

    *bad |= !kap_get_svarint(row, &value);
    return value;
}

static kap_span_t text_of(kap_span_t *row, bool *bad)
{
    kap_span_t text = {0};

    *bad |= !kap_get_text(row, &text);
    return text;
}

/* A text in a key, with its length in front. */
static bool key_text(kap_span_t *rest, kap_span_t *text)
{
    size_t size = rest->size >= 2 ? kap_be_get_u16(rest->data) : 0;

    if (rest->size < 2 + size)
        return false;
    *text = kap_span_sub(*rest, 2, size);
    *rest = kap_span_sub(*rest, 2 + size, SIZE_MAX);
    return true;
}

static int64_t key_time(kap_span_t rest)
{
    return (int64_t)(kap_be_get_u64(rest.data) ^ UINT64_C(1) << 63);
}

/* --- regions --- */

int kap_followed_next_region(kap_txn_t *txn, uint32_t *region)
{
    uint8_t from[4];
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(txn, KAP_ROWS_FOLLOWED, &cursor);

    if (rc != KAP_OK)
        return rc;
    kap_be_put_u32(from, *region + 1);
    rc = kap_cursor_seek_ge(cursor, kap_span(from, sizeof from));
    if (rc == KAP_OK && kap_cursor_key(cursor).size < 5)
        rc = KAP_E_CORRUPT;
    if (rc == KAP_OK)
        *region = kap_be_get_u32(kap_cursor_key(cursor).data);
    kap_cursor_close(&cursor);
    return rc;
}

bool kap_followed_has_region(kap_txn_t *txn, uint32_t region, int *rc)
{
    uint32_t next = region - 1;

    if (region == 0)
        return false;
    int found = kap_followed_next_region(txn, &next);
    if (found != KAP_OK && found != KAP_E_NOTFOUND)
        *rc = found;
    return found == KAP_OK && next == region;
}

/* --- advice and new customers --- */

typedef struct {
    uint32_t member;
    kap_followed_count_fn fn;
    void *arg;
} counting_t;

static int tell_count(void *arg, kap_span_t rest, kap_span_t value)
{
    const counting_t *c = arg;
    bool bad = false;
    uint64_t member = number_of(&value, &bad);
    kap_followed_count_t count;

    (void)rest;
    count.service = code_of(&value, &bad);
    count.segment = code_of(&value, &bad);
    count.channel = code_of(&value, &bad);
    count.origin = code_of(&value, &bad);
    count.count = number_of(&value, &bad);
    if (bad)
        return KAP_E_CORRUPT;
    return c->member != 0 && c->member != member ? KAP_OK : c->fn(c->arg, &count);
}

static int tell_sum(void *arg, kap_span_t rest, kap_span_t value)
{
    const counting_t *c = arg;
    bool bad = rest.size != 8;

    if (bad)
        return KAP_E_CORRUPT;
    kap_followed_count_t count = {.service = rest.data[4] - 1,
                                  .segment = rest.data[5] - 1,
                                  .channel = rest.data[6] - 1,
                                  .origin = rest.data[7] - 1,
                                  .count = (uint64_t)signed_of(&value, &bad)};
    return bad ? KAP_E_CORRUPT : c->fn(c->arg, &count);
}

/* Sums of the months [first, last). */
static int walk_months(kap_txn_t *txn, bool advice, const kap_followed_range_t *range,
                       int32_t first, int32_t last, counting_t *c)
{
    kap_key_t from, to;
    bool own = range->member != 0;
    kap_followed_kind_t kind =
        advice ? (own ? KAP_FOLLOWED_ADVICE_OF_SUM : KAP_FOLLOWED_ADVICE_SUM)
               : (own ? KAP_FOLLOWED_NEW_CUSTOMER_OF_SUM : KAP_FOLLOWED_NEW_CUSTOMER_SUM);

    kap_fkey_begin(&from, range->region, kind);
    if (own)
        kap_fkey_u32(&from, range->member);
    to = from;
    size_t front = from.size;
    kap_fkey_u32(&from, (uint32_t)first);
    kap_fkey_u32(&to, (uint32_t)last);
    return walk(txn, &from, front, &to, tell_sum, c);
}

static int32_t month_of(int64_t at_ms)
{
    return kap_cell_at(KAP_PERIOD_MONTH, KAP_ZONE_HELSINKI, at_ms);
}

static int64_t month_start(int32_t month)
{
    return kap_cell_start(KAP_PERIOD_MONTH, KAP_ZONE_HELSINKI, month);
}

int kap_followed_counts(kap_txn_t *txn, kap_followed_kind_t kind, const kap_followed_range_t *range,
                        kap_followed_count_fn fn, void *arg)
{
    counting_t c = {range->member, fn, arg};
    bool open_from = range->from_ms<KAP_TIME_MIN, open_to = range->to_ms> KAP_TIME_MAX;
    int32_t first = open_from ? 0 : month_of(range->from_ms);
    int32_t last = open_to ? INT32_MAX : month_of(range->to_ms);
    int rc;

    if (!open_from && month_start(first) != range->from_ms)
        first++;
    if (first >= last)
        return walk_times(txn, range->region, kind, range->from_ms, range->to_ms, tell_count, &c);
    rc = walk_months(txn, kind == KAP_FOLLOWED_ADVICE, range, first, last, &c);
    if (rc == KAP_OK && !open_from)
        rc = walk_times(txn, range->region, kind, range->from_ms, month_start(first), tell_count,
                        &c);
    if (rc == KAP_OK && !open_to)
        rc = walk_times(txn, range->region, kind, month_start(last), range->to_ms, tell_count, &c);
    return rc;
}

/* --- surveys --- */

typedef struct {
    kap_followed_survey_fn fn;
    void *arg;
} surveying_t;

static int tell_survey(void *arg, kap_span_t rest, kap_span_t value)
{
    const surveying_t *s = arg;
    bool bad = rest.size < 4;
    kap_followed_survey_t survey = {.year = bad ? 0 : (int)kap_be_get_u32(rest.data)};

    rest = kap_span_sub(rest, 4, SIZE_MAX);
    if (bad || !key_text(&rest, &survey.survey) || !key_text(&rest, &survey.question) ||
        rest.size != 2)
        return KAP_E_CORRUPT;
    survey.segment = rest.data[0] - 1;
    survey.scale = rest.data[1];
    survey.n = (uint64_t)signed_of(&value, &bad);
    survey.sum_milli = signed_of(&value, &bad);
    survey.texts = (uint64_t)signed_of(&value, &bad);
    return bad ? KAP_E_CORRUPT : s->fn(s->arg, &survey);
}

int kap_followed_surveys(kap_txn_t *txn, uint32_t region, int first, int last,
                         kap_followed_survey_fn fn, void *arg)
{
    surveying_t s = {fn, arg};
    kap_key_t from, to;

    kap_fkey_begin(&from, region, KAP_FOLLOWED_SURVEY_SUM);
    to = from;
    size_t front = from.size;
    kap_fkey_u32(&from, (uint32_t)first);
    kap_fkey_u32(&to, (uint32_t)last + 1);
    return walk(txn, &from, front, &to, tell_survey, &s);
}

/* --- customers --- */

typedef struct {
    uint32_t member;
    kap_followed_customers_fn fn;
    void *arg;
} customers_t;

static int tell_customers(void *arg, kap_span_t rest, kap_span_t value)
{
    const customers_t *c = arg;
    bool bad = false;
    kap_followed_customers_t row;

    (void)rest;
    row.member = (uint32_t)number_of(&value, &bad);
    row.year = (int)number_of(&value, &bad);
    row.segment = code_of(&value, &bad);
    row.total = number_of(&value, &bad);
    row.new_ones = number_of(&value, &bad);
    if (bad)
        return KAP_E_CORRUPT;
    return c->member != 0 && c->member != row.member ? KAP_OK : c->fn(c->arg, &row);
}

int kap_followed_customers(kap_txn_t *txn, const kap_followed_range_t *range,
                           kap_followed_customers_fn fn, void *arg)
{
    customers_t c = {range->member, fn, arg};

    return walk_times(txn, range->region, KAP_FOLLOWED_CUSTOMERS, range->from_ms, range->to_ms,
                      tell_customers, &c);
}

/* --- items of plans --- */

typedef struct {
    kap_txn_t *txn;
    const kap_followed_range_t *range;
    kap_followed_item_fn fn;
    void *arg;
} items_t;

/* The newest report of an item that says how it stands, into *item when it is newer than what the
 * item itself said at `said_at` (NO_TIME: nothing). */
static int find_report(kap_txn_t *txn, uint32_t region, int64_t said_at, kap_followed_item_t *item)
{
    kap_key_t front, end;
    kap_cursor_t *cursor;
    bool bad = false, found = false;

    kap_fkey_begin(&front, region, KAP_FOLLOWED_REPORT);
    kap_fkey_text(&front, item->item);
    end = front;
    kap_fkey_u64(&end, UINT64_MAX);
    kap_fkey_u64(&end, UINT64_MAX);
    int rc = kap_cursor_open(txn, KAP_ROWS_FOLLOWED, &cursor);
    if (rc != KAP_OK)
        return rc;
    for (rc = kap_cursor_seek_le(cursor, kap_key_span(&end));
         rc == KAP_OK && !found && kap_span_starts(kap_cursor_key(cursor), kap_key_span(&front));
         rc = kap_cursor_prev(cursor)) {
        kap_span_t value = kap_cursor_value(cursor);
        kap_span_t rest = kap_span_sub(kap_cursor_key(cursor), front.size, SIZE_MAX);
        int64_t at = rest.size == 16 ? key_time(rest) : 0;
        bad |= rest.size != 16;
        int64_t progress = (int64_t)number_of(&value, &bad) - 1;
        int status = code_of(&value, &bad);
        bool says = progress >= 0 || status >= 0;
        item->reported = true;
        found = says || (said_at != KAP_REFERRAL_NO_TIME && at < said_at);
        if (says && (said_at == KAP_REFERRAL_NO_TIME || at >= said_at)) {
            item->progress = progress;
            item->status = status;
        }
    }
    kap_cursor_close(&cursor);
    return bad ? KAP_E_CORRUPT : rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int tell_item(void *arg, kap_span_t rest, kap_span_t value)
{
    const items_t *i = arg;
    bool bad = false;
    kap_followed_item_t item;

    (void)rest;
    item.member = (uint32_t)number_of(&value, &bad);
    item.plan = code_of(&value, &bad);
    item.segment = code_of(&value, &bad);
    item.first_year = (int)number_of(&value, &bad);
    item.last_year = (int)number_of(&value, &bad);
    item.reported = number_of(&value, &bad) != 0;
    int64_t said_at = signed_of(&value, &bad);
    item.progress = (int64_t)number_of(&value, &bad) - 1;
    item.status = code_of(&value, &bad);
    item.item = text_of(&value, &bad);
    if (bad)
        return KAP_E_CORRUPT;
    if (i->range->member != 0 && i->range->member != item.member)
        return KAP_OK;
    int rc = find_report(i->txn, i->range->region, item.reported ? said_at : KAP_REFERRAL_NO_TIME,
                         &item);
    return rc != KAP_OK ? rc : i->fn(i->arg, &item);
}

int kap_followed_items(kap_txn_t *txn, const kap_followed_range_t *range, kap_followed_item_fn fn,
                       void *arg)
{
    items_t i = {txn, range, fn, arg};

    return walk_times(txn, range->region, KAP_FOLLOWED_PLAN, INT64_MIN, range->to_ms, tell_item,
                      &i);
}

/* --- indicators --- */

typedef struct {
    kap_txn_t *txn;
    const kap_followed_range_t *range;
    kap_followed_indicator_t row;
    kap_followed_indicator_fn fn;
    void *arg;
} indicators_t;

static int tell_indicator(void *arg, kap_span_t rest, kap_span_t value)
{
    indicators_t *i = arg;
    bool bad = rest.size != 16;

    i->row.period = text_of(&value, &bad);
    i->row.value = text_of(&value, &bad);
    i->row.unit = text_of(&value, &bad);
    i->row.source = text_of(&value, &bad);
    if (bad)
        return KAP_E_CORRUPT;
    i->row.at = key_time(rest);
    i->row.before = i->row.at < i->range->from_ms;
    return i->fn(i->arg, &i->row);
}

/* Figures of one indicator and segment, whose key begins with *front. */
static int walk_indicator(indicators_t *i, const kap_key_t *front)
{
    int64_t from_ms =
        i->range->from_ms < KAP_TIME_MIN ? INT64_MIN : i->range->from_ms - BEFORE_DAYS * KAP_DAY_MS;
    kap_key_t from = *front, to = *front;

    kap_fkey_time(&from, from_ms);
    kap_fkey_time(&to, i->range->to_ms);
    return walk(i->txn, &from, front->size, &to, tell_indicator, i);
}

/* The next indicator and segment at or behind *at: *at becomes what its keys begin with. */
static int next_indicator(indicators_t *i, size_t front, kap_key_t *at)
{
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(i->txn, KAP_ROWS_FOLLOWED, &cursor);

    if (rc != KAP_OK)
        return rc;
    rc = kap_cursor_seek_ge(cursor, kap_key_span(at));
    if (rc == KAP_OK) {
        kap_span_t key = kap_cursor_key(cursor), rest = kap_span_sub(key, front, SIZE_MAX);
        bool same = kap_span_starts(key, kap_span(at->bytes, front));
        rc = !same                                                       ? KAP_E_NOTFOUND
             : key_text(&rest, &i->row.indicator) && rest.size == 1 + 16 ? KAP_OK
                                                                         : KAP_E_CORRUPT;
        if (rc == KAP_OK) {
            i->row.segment = rest.data[0] - 1;
            at->size = key.size - 16;
            memcpy(at->bytes, key.data, at->size);
        }
    }
    kap_cursor_close(&cursor);
    return rc;
}

int kap_followed_indicators(kap_txn_t *txn, const kap_followed_range_t *range,
                            kap_followed_indicator_fn fn, void *arg)
{
    indicators_t i = {.txn = txn, .range = range, .fn = fn, .arg = arg};
    kap_key_t at;

    kap_fkey_begin(&at, range->region, KAP_FOLLOWED_INDICATOR);
    size_t front = at.size;
    int rc = next_indicator(&i, front, &at);
    while (rc == KAP_OK) {
        rc = walk_indicator(&i, &at);
        for (int n = 0; n < 17; n++) /* behind all of its times and positions */
            kap_fkey_u8(&at, 0xff);
        if (rc == KAP_OK)
            rc = next_indicator(&i, front, &at);
    }
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* --- targets --- */

typedef struct {
    kap_followed_target_fn fn;
    void *arg;
} targets_t;

static int tell_target(void *arg, kap_span_t rest, kap_span_t value)
{
    const targets_t *t = arg;
    bool bad = false;
    kap_followed_target_t target;

    (void)rest;
    target.target = code_of(&value, &bad);
    target.year = (int)number_of(&value, &bad);
    target.service = code_of(&value, &bad);
    target.valid_from = signed_of(&value, &bad);
    target.valid_to = signed_of(&value, &bad);
    target.value = text_of(&value, &bad);
    target.forum = text_of(&value, &bad);
    target.from = text_of(&value, &bad);
    target.to = text_of(&value, &bad);
    return bad ? KAP_E_CORRUPT : t->fn(t->arg, &target);
}

int kap_followed_targets(kap_txn_t *txn, uint32_t region, kap_followed_target_fn fn, void *arg)
{
    targets_t t = {fn, arg};

    return walk_times(txn, region, KAP_FOLLOWED_TARGET, INT64_MIN, INT64_MAX, tell_target, &t);
}

/* --- comments --- */

typedef struct {
    const kap_followed_range_t *range;
    kap_followed_comment_fn fn;
    void *arg;
} comments_t;

static int tell_comment(void *arg, kap_span_t rest, kap_span_t value)
{
    const comments_t *c = arg;
    bool bad = rest.size != 4 + 16;
    kap_followed_comment_t comment;
    int64_t from, to;

    comment.period = text_of(&value, &bad);
    comment.text = text_of(&value, &bad);
    if (bad || !kap_period_range(comment.period, &from, &to))
        return KAP_E_CORRUPT;
    comment.member = kap_be_get_u32(rest.data);
    return from >= c->range->from_ms && to <= c->range->to_ms ? c->fn(c->arg, &comment) : KAP_OK;
}

int kap_followed_comments(kap_txn_t *txn, const kap_followed_range_t *range,
                          kap_followed_comment_fn fn, void *arg)
{
    comments_t c = {range, fn, arg};
    kap_key_t from, to;

    kap_fkey_begin(&from, range->region, KAP_FOLLOWED_COMMENT);
    size_t front = from.size;
    if (range->member == 0)
        return walk(txn, &from, front, NULL, tell_comment, &c);
    kap_fkey_u32(&from, range->member);
    to = from;
    kap_fkey_time(&from, range->from_ms);
    kap_fkey_time(&to, range->to_ms);
    return walk(txn, &from, front, &to, tell_comment, &c);
}

static int keep_longest(void *arg, const kap_followed_comment_t *comment)
{
    kap_followed_comment_t *kept = arg;

    if (kept->period.size == 0 || comment->period.size <= kept->period.size)
        *kept = *comment; /* the shorter its text, the longer a period; the last of equals */
    return KAP_OK;
}

int kap_followed_comment(kap_txn_t *txn, const kap_followed_range_t *range,
                         kap_followed_comment_t *comment)
{
    kap_followed_comment_t kept = {0};
    int rc = kap_followed_comments(txn, range, keep_longest, &kept);

    if (rc != KAP_OK)
        return rc;
    if (kept.period.size == 0)
        return KAP_E_NOTFOUND;
    *comment = kept;
    return KAP_OK;
}

/* --- forums, meetings and what arose in them --- */

typedef struct {
    kap_txn_t *txn;
    union {
        kap_followed_forum_fn forum;
        kap_followed_meeting_fn meeting;
        kap_followed_action_fn action;
        kap_followed_referral_fn referral;
    } fn;
    void *arg;
} objects_t;

/* What the index names is there. */
static int there(int rc)
{
    return rc == KAP_E_NOTFOUND ? KAP_E_CORRUPT : rc;
}

static int tell_forum(void *arg, kap_span_t rest, kap_span_t value)
{
    const objects_t *o = arg;
    kap_forum_t forum;
    int rc = there(kap_rows_forum(o->txn, rest, &forum));

    (void)value;
    return rc != KAP_OK ? rc : o->fn.forum(o->arg, rest, &forum);
}

int kap_followed_forums(kap_txn_t *txn, uint32_t region, kap_followed_forum_fn fn, void *arg)
{
    objects_t o = {.txn = txn, .fn.forum = fn, .arg = arg};
    kap_key_t key;

    kap_fkey_begin(&key, region, KAP_FOLLOWED_FORUM);
    return walk(txn, &key, key.size, NULL, tell_forum, &o);
}

static int tell_meeting(void *arg, kap_span_t rest, kap_span_t value)
{
    const objects_t *o = arg;
    kap_span_t id = kap_span_sub(rest, 8, SIZE_MAX);
    kap_meeting_t meeting;
    int rc = there(kap_rows_meeting(o->txn, id, &meeting));

    (void)value;
    return rc != KAP_OK ? rc : o->fn.meeting(o->arg, id, &meeting);
}

int kap_followed_meetings(kap_txn_t *txn, const kap_followed_range_t *range,
                          kap_followed_meeting_fn fn, void *arg)
{
    objects_t o = {.txn = txn, .fn.meeting = fn, .arg = arg};

    return walk_times(txn, range->region, KAP_FOLLOWED_MEETING, range->from_ms, range->to_ms,
                      tell_meeting, &o);
}

/* The time in the key where the cursor stands, if that is a meeting of the region. */
static int meeting_day(kap_cursor_t *cursor, const kap_key_t *front, int64_t *at)
{
    kap_span_t key = kap_cursor_key(cursor);

    if (!kap_span_starts(key, kap_span(front->bytes, 5)) || key.size < 5 + 8)
        return KAP_E_NOTFOUND;
    *at = key_time(kap_span_sub(key, 5, 8));
    return KAP_OK;
}

int kap_followed_meeting_days(kap_txn_t *txn, const kap_followed_range_t *range, int64_t *first_ms,
                              int64_t *last_ms)
{
    kap_key_t from, to;
    kap_cursor_t *cursor;
    int rc = kap_cursor_open(txn, KAP_ROWS_FOLLOWED, &cursor);

    if (rc != KAP_OK)
        return rc;
    kap_fkey_begin(&from, range->region, KAP_FOLLOWED_MEETING);
    to = from;
    kap_fkey_time(&from, range->from_ms);
    kap_fkey_time(&to, range->to_ms);
    rc = kap_cursor_seek_ge(cursor, kap_key_span(&from));
    if (rc == KAP_OK)
        rc = meeting_day(cursor, &from, first_ms);
    if (rc == KAP_OK)
        rc = kap_cursor_seek_le(cursor, kap_key_span(&to)); /* no id is empty: below `to` */
    if (rc == KAP_OK)
        rc = meeting_day(cursor, &from, last_ms);
    kap_cursor_close(&cursor);
    return rc == KAP_OK && *first_ms > *last_ms ? KAP_E_NOTFOUND : rc;
}

static int tell_action(void *arg, kap_span_t rest, kap_span_t value)
{
    const objects_t *o = arg;
    kap_action_t action;
    int rc = there(kap_rows_action(o->txn, rest, &action));

    (void)value;
    return rc != KAP_OK ? rc : o->fn.action(o->arg, rest, &action);
}

int kap_followed_actions(kap_txn_t *txn, uint32_t region, kap_span_t meeting,
                         kap_followed_action_fn fn, void *arg)
{
    objects_t o = {.txn = txn, .fn.action = fn, .arg = arg};
    kap_key_t key;

    kap_fkey_begin(&key, region, KAP_FOLLOWED_ACTION);
    kap_fkey_text(&key, meeting);
    return walk(txn, &key, key.size, NULL, tell_action, &o);
}

static int tell_referral(void *arg, kap_span_t rest, kap_span_t value)
{
    const objects_t *o = arg;
    kap_referral_row_t row;
    int rc = there(kap_rows_referral(o->txn, 0, value, &row));

    (void)rest;
    if (rc != KAP_OK || row.r.state == KAP_STATE_VOIDED)
        return rc;
    return o->fn.referral(o->arg, &row);
}

int kap_followed_referrals(kap_txn_t *txn, uint32_t region, kap_span_t meeting,
                           kap_followed_referral_fn fn, void *arg)
{
    objects_t o = {.txn = txn, .fn.referral = fn, .arg = arg};
    kap_key_t key;

    kap_fkey_begin(&key, region, KAP_FOLLOWED_ARISEN);
    kap_fkey_text(&key, meeting);
    return walk(txn, &key, key.size, NULL, tell_referral, &o);
}
