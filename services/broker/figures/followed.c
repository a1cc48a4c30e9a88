/* SPDX-License-Identifier: MPL-2.0 */
#include "followed.h"

#include <string.h>

#include "cell.h"
#include "clock.h"
#include "err.h"
#include "followed_inner.h"
#include "followup.h"

enum { MILLI = 1000, MILLI_DIGITS = 3 };

/* --- periods and decimals --- */

bool kap_period_range(kap_span_t period, int64_t *from_ms, int64_t *to_ms)
{
    char text[] = "0000-01-01";
    kap_date_t first, last;
    bool year = period.size == 4, month = period.size == 7;

    if (!year && !month && period.size != 10)
        return false;
    memcpy(text, period.data, period.size);
    if (kap_date_parse(kap_span_str(text), &first) != KAP_OK)
        return false;
    last = first;
    if (year)
        last = (kap_date_t){first.year, 12, 31};
    else if (month)
        last = kap_date_add((kap_date_t){first.year, first.month, 28}, 4);
    if (month) /* in the next month: back to this one's last day */
        last = kap_date_add(last, -last.day);
    *from_ms = kap_day_start_ms(KAP_ZONE_HELSINKI, first);
    *to_ms = kap_day_end_ms(KAP_ZONE_HELSINKI, last);
    return true;
}

/* Digits up to `end` or a point, into *value; false above 10^15. */
static bool digits(kap_span_t text, size_t *at, int64_t *value)
{
    size_t begun = *at;

    for (*value = 0; *at < text.size && text.data[*at] != '.'; ++*at) {
        uint8_t c = text.data[*at];
        if (c < '0' || c > '9' || *value >= INT64_C(100000000000000))
            return false;
        *value = *value * 10 + (c - '0');
    }
    return *at > begun;
}

bool kap_decimal_milli(kap_span_t text, int64_t *milli)
{
    size_t at = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    bool negative = at == 1;
    int64_t whole, rest = 0;

    if (!digits(text, &at, &whole))
        return false;
    for (int place = 0; place <= MILLI_DIGITS; place++) { /* one more, to round by */
        uint8_t c = at + 1 < text.size ? text.data[++at] : '0';
        if (c < '0' || c > '9')
            return false;
        rest = place < MILLI_DIGITS ? rest * 10 + (c - '0') : rest + (c >= '5');
    }
    *milli = whole * MILLI + rest;
    if (negative)
        *milli = -*milli;
    return true;
}

void kap_decimal_put(kap_buf_t *buf, int64_t milli)
{
    uint64_t size = milli < 0 ? 0 - (uint64_t)milli : (uint64_t)milli;
    unsigned rest = (unsigned)(size % MILLI);
    char text[8];
    int n = MILLI_DIGITS;

    kap_buf_printf(buf, "%s%llu", milli < 0 ? "-" : "", (unsigned long long)(size / MILLI));
    if (rest == 0)
        return;
    for (; rest % 10 == 0; n--)
        rest /= 10;
    for (int i = n; i > 0; i--, rest /= 10)
        text[i - 1] = (char)('0' + rest % 10);
    kap_buf_printf(buf, ".%.*s", n, text);
}

/* --- what an event says --- */

static int64_t year_start(int64_t year)
{
    return year == 0 ? KAP_TIME_MIN
                     : kap_day_start_ms(KAP_ZONE_HELSINKI, (kap_date_t){(int16_t)year, 1, 1});
}

int64_t kap_followed_at(const kap_event_t *ev, int64_t time)
{
    int64_t from, to;

    switch (ev->type) {
    case KAP_EV_CUSTOMERS_REPORTED:
    case KAP_EV_PLAN_ITEM_SET:
    case KAP_EV_TARGET_SET:
        return year_start(kap_event_int(ev, KAP_F_YEAR, 0));
    case KAP_EV_PLAN_ITEM_REPORTED: /* how it stood at the end, or when that was said */
        return kap_period_range(kap_event_span(ev, KAP_F_PERIOD), &from, &to) && to < time ? to
                                                                                           : time;
    case KAP_EV_ADVICE_GIVEN:
    case KAP_EV_NEW_CUSTOMER:
    case KAP_EV_SURVEY_ANSWERED:
    case KAP_EV_INDICATOR_REPORTED:
    case KAP_EV_FIGURES_COMMENTED:
        return kap_period_range(kap_event_span(ev, KAP_F_PERIOD), &from, &to) ? from : time;
    default:
        return time;
    }
}

/* One event while its rows are written. */
typedef struct {
    const kap_followed_writer_t *to;
    const kap_event_t *ev;
    int64_t at, time;
    uint64_t log_seq;
    uint32_t region;
    kap_followed_place_t *place;
    kap_buf_t value;
} writing_t;

static kap_span_t span_of(const writing_t *w, kap_field_t field)
{
    return kap_event_span(w->ev, field);
}

static uint8_t code_of(const writing_t *w, kap_field_t field)
{
    return kap_fcode(kap_event_code(w->ev, field));
}

/* A member that is named; 0: none. */
static uint32_t named(const writing_t *w)
{
    kap_span_t member = span_of(w, KAP_F_MEMBER);

    return member.size > 0 ? w->to->number(w->to->arg, member) : 0;
}

/* A member that is named, else who says it. */
static uint32_t concerned(const writing_t *w)
{
    uint32_t member = named(w);

    return member != 0 ? member : w->to->number(w->to->arg, kap_followup_member(w->ev));
}

static void change(const writing_t *w, kap_followed_how_t how, const kap_key_t *key)
{
    kap_followed_change_t c = {.how = how, .key = kap_key_span(key)};

    if (how == KAP_FOLLOWED_PUT)
        c.value = kap_buf_span(&w->value);
    w->to->change(w->to->arg, &c);
}

static void add(const writing_t *w, const kap_key_t *key, int64_t first, int64_t second,
                int64_t third)
{
    kap_followed_change_t c = {
        .how = KAP_FOLLOWED_ADD, .key = kap_key_span(key), .by = {first, second, third}};

    w->to->change(w->to->arg, &c);
}

/* The row of the event's key, of which all but time and position is given, goes to a new place. */
static void put_placed(const writing_t *w, const kap_key_t *front, bool there)
{
    kap_key_t key = *front;

    if (w->place->seq != 0) {
        kap_fkey_time(&key, w->place->at);
        kap_fkey_u64(&key, w->place->seq);
        change(w, KAP_FOLLOWED_DELETE, &key);
        key = *front;
    }
    *w->place = (kap_followed_place_t){there ? w->at : 0, there ? w->log_seq : 0};
    if (!there)
        return;
    kap_fkey_time(&key, w->at);
    kap_fkey_u64(&key, w->log_seq);
    change(w, KAP_FOLLOWED_PUT, &key);
}

static void put_plain(const writing_t *w, kap_followed_kind_t kind)
{
    kap_key_t key;

    kap_fkey_begin(&key, w->region, kind);
    put_placed(w, &key, true);
}

/* --- rows by type --- */

static void add_count(const writing_t *w, kap_followed_kind_t sum, uint32_t member,
                      const uint8_t what[4], int64_t count)
{
    kap_key_t key;

    kap_fkey_begin(&key, w->region, sum);
    if (member != 0)
        kap_fkey_u32(&key, member);
    kap_fkey_u32(&key, (uint32_t)kap_cell_at(KAP_PERIOD_MONTH, KAP_ZONE_HELSINKI, w->at));
    for (int i = 0; i < 4; i++)
        kap_fkey_u8(&key, what[i]);
    add(w, &key, count, 0, 0);
}

/* Advice, and new customers: one by one, and in both sums of its month. */
static void write_count(writing_t *w, bool advice)
{
    uint8_t what[4] = {code_of(w, KAP_F_SERVICE), code_of(w, KAP_F_SEGMENT),
                       code_of(w, KAP_F_CHANNEL), code_of(w, KAP_F_ORIGIN)};
    int64_t count = kap_event_int(w->ev, KAP_F_COUNT, 0);
    uint32_t member = concerned(w);

    kap_put_varint(&w->value, member);
    for (int i = 0; i < 4; i++)
        kap_put_varint(&w->value, what[i]);
    kap_put_varint(&w->value, (uint64_t)count);
    w->place->seq = 0; /* each counts by itself */
    put_plain(w, advice ? KAP_FOLLOWED_ADVICE : KAP_FOLLOWED_NEW_CUSTOMER);
    add_count(w, advice ? KAP_FOLLOWED_ADVICE_SUM : KAP_FOLLOWED_NEW_CUSTOMER_SUM, 0, what, count);
    add_count(w, advice ? KAP_FOLLOWED_ADVICE_OF_SUM : KAP_FOLLOWED_NEW_CUSTOMER_OF_SUM, member,
              what, count);
}

static void write_survey(const writing_t *w)
{
    int64_t milli = 0;
    bool valued = kap_decimal_milli(span_of(w, KAP_F_VALUE), &milli);
    kap_key_t key;

    kap_fkey_begin(&key, w->region, KAP_FOLLOWED_SURVEY_SUM);
    kap_fkey_u32(&key, (uint32_t)kap_date_of(KAP_ZONE_HELSINKI, w->at).year);
    kap_fkey_text(&key, span_of(w, KAP_F_SURVEY));
    kap_fkey_text(&key, span_of(w, KAP_F_QUESTION));
    kap_fkey_u8(&key, code_of(w, KAP_F_SEGMENT));
    kap_fkey_u8(&key, (uint8_t)kap_event_int(w->ev, KAP_F_SCALE, 0));
    add(w, &key, valued, milli, span_of(w, KAP_F_TEXT).size > 0);
}

static void write_customers(writing_t *w)
{
    kap_put_varint(&w->value, concerned(w));
    kap_put_varint(&w->value, (uint64_t)kap_event_int(w->ev, KAP_F_YEAR, 0));
    kap_put_varint(&w->value, code_of(w, KAP_F_SEGMENT));
    kap_put_varint(&w->value, (uint64_t)kap_event_int(w->ev, KAP_F_TOTAL, 0));
    kap_put_varint(&w->value, (uint64_t)kap_event_int(w->ev, KAP_F_NEW, 0));
    put_plain(w, KAP_FOLLOWED_CUSTOMERS);
}

/* How an item stands: progress and status, each + 1. */
static void put_standing(writing_t *w)
{
    kap_put_varint(&w->value, (uint64_t)kap_event_int(w->ev, KAP_F_PROGRESS, -1) + 1);
    kap_put_varint(&w->value, kap_fcode(kap_plan_status(span_of(w, KAP_F_STATUS))));
}

static void write_item(writing_t *w)
{
    int64_t year = kap_event_int(w->ev, KAP_F_YEAR, 0);
    bool says = kap_event_get(w->ev, KAP_F_PROGRESS) || kap_event_get(w->ev, KAP_F_STATUS);

    kap_put_varint(&w->value, named(w));
    kap_put_varint(&w->value, code_of(w, KAP_F_PLAN));
    kap_put_varint(&w->value, code_of(w, KAP_F_SEGMENT));
    kap_put_varint(&w->value, (uint64_t)year);
    kap_put_varint(&w->value, (uint64_t)kap_event_int(w->ev, KAP_F_YEAR_TO, year));
    kap_put_varint(&w->value, says);
    kap_put_svarint(&w->value, w->time);
    put_standing(w);
    kap_put_text(&w->value, span_of(w, KAP_F_ITEM));
    put_plain(w, KAP_FOLLOWED_PLAN);
}

static void write_report(writing_t *w)
{
    kap_key_t key;

    put_standing(w);
    kap_fkey_begin(&key, w->region, KAP_FOLLOWED_REPORT);
    kap_fkey_text(&key, span_of(w, KAP_F_ITEM));
    put_placed(w, &key, true);
}

static void write_indicator(writing_t *w)
{
    kap_key_t key;

    kap_put_text(&w->value, span_of(w, KAP_F_PERIOD));
    kap_put_text(&w->value, span_of(w, KAP_F_VALUE));
    kap_put_text(&w->value, span_of(w, KAP_F_UNIT));
    kap_put_text(&w->value, span_of(w, KAP_F_INFO_SOURCE));
    kap_fkey_begin(&key, w->region, KAP_FOLLOWED_INDICATOR);
    kap_fkey_text(&key, span_of(w, KAP_F_INDICATOR));
    kap_fkey_u8(&key, code_of(w, KAP_F_SEGMENT));
    put_placed(w, &key, true);
}

/* Targets of days are judged by when referrals are created: they do not count here. */
static void write_target(writing_t *w)
{
    int64_t from, to;

    switch (kap_event_code(w->ev, KAP_F_TARGET)) {
    case KAP_TARGET_ANSWER:
    case KAP_TARGET_CONTACT:
    case KAP_TARGET_COMPLETE:
    case KAP_TARGET_LOOP:
        return;
    default:
        break;
    }
    kap_put_varint(&w->value, code_of(w, KAP_F_TARGET));
    kap_put_varint(&w->value, (uint64_t)kap_event_int(w->ev, KAP_F_YEAR, 0));
    kap_put_varint(&w->value, code_of(w, KAP_F_SERVICE));
    kap_put_svarint(&w->value, kap_period_range(span_of(w, KAP_F_VALID_FROM), &from, &to)
                                   ? from
                                   : KAP_TIME_MIN);
    kap_put_svarint(&w->value,
                    kap_period_range(span_of(w, KAP_F_VALID_TO), &from, &to) ? to : KAP_TIME_MAX);
    kap_put_text(&w->value, span_of(w, KAP_F_VALUE));
    kap_put_text(&w->value, span_of(w, KAP_F_FORUM));
    kap_put_text(&w->value, span_of(w, KAP_F_FROM));
    kap_put_text(&w->value, span_of(w, KAP_F_TO));
    put_plain(w, KAP_FOLLOWED_TARGET);
}

static void write_comment(writing_t *w)
{
    kap_key_t key;

    kap_put_text(&w->value, span_of(w, KAP_F_PERIOD));
    kap_put_text(&w->value, span_of(w, KAP_F_TEXT));
    kap_fkey_begin(&key, w->region, KAP_FOLLOWED_COMMENT);
    kap_fkey_u32(&key, concerned(w));
    put_placed(w, &key, span_of(w, KAP_F_TEXT).size > 0);
}

static void write_event(writing_t *w)
{
    switch (w->ev->type) {
    case KAP_EV_ADVICE_GIVEN:
    case KAP_EV_NEW_CUSTOMER:
        write_count(w, w->ev->type == KAP_EV_ADVICE_GIVEN);
        break;
    case KAP_EV_SURVEY_ANSWERED:
        write_survey(w);
        break;
    case KAP_EV_CUSTOMERS_REPORTED:
        write_customers(w);
        break;
    case KAP_EV_PLAN_ITEM_SET:
        write_item(w);
        break;
    case KAP_EV_PLAN_ITEM_REPORTED:
        write_report(w);
        break;
    case KAP_EV_INDICATOR_REPORTED:
        write_indicator(w);
        break;
    case KAP_EV_TARGET_SET:
        write_target(w);
        break;
    case KAP_EV_FIGURES_COMMENTED:
        write_comment(w);
        break;
    default:
        break;
    }
}

static bool is_followed(kap_event_type_t type)
{
    return type == KAP_EV_ADVICE_GIVEN || type == KAP_EV_NEW_CUSTOMER ||
           type == KAP_EV_SURVEY_ANSWERED || type == KAP_EV_CUSTOMERS_REPORTED ||
           type == KAP_EV_PLAN_ITEM_SET || type == KAP_EV_PLAN_ITEM_REPORTED ||
           type == KAP_EV_INDICATOR_REPORTED || type == KAP_EV_TARGET_SET ||
           type == KAP_EV_FIGURES_COMMENTED;
}

int kap_followed_event(const kap_followed_writer_t *writer, const kap_event_t *ev, int64_t time,
                       uint64_t log_seq, kap_followed_place_t *place)
{
    if (!is_followed(ev->type))
        return KAP_OK;
    writing_t w = {.to = writer,
                   .ev = ev,
                   .at = kap_followed_at(ev, time),
                   .time = time,
                   .log_seq = log_seq,
                   .place = place,
                   .region = writer->number(writer->arg, kap_event_span(ev, KAP_F_REGION))};
    write_event(&w);
    int rc = w.value.err;
    kap_buf_fini(&w.value);
    return rc;
}

/* --- objects --- */

static void change_key(const kap_followed_writer_t *to, kap_followed_how_t how,
                       const kap_key_t *key, kap_span_t value)
{
    kap_followed_change_t c = {.how = how, .key = kap_key_span(key), .value = value};

    to->change(to->arg, &c);
}

int64_t kap_followed_meeting_at(const kap_meeting_t *m)
{
    return m->held_at != KAP_REFERRAL_NO_TIME ? m->held_at : m->planned_at;
}

void kap_followed_forum(const kap_followed_writer_t *to, kap_span_t region, kap_span_t id)
{
    kap_key_t key;

    kap_fkey_begin(&key, to->number(to->arg, region), KAP_FOLLOWED_FORUM);
    kap_fkey_tail(&key, id);
    change_key(to, KAP_FOLLOWED_PUT, &key, kap_span("", 0));
}

void kap_followed_meeting(const kap_followed_writer_t *to, kap_span_t id, const kap_meeting_t *m,
                          kap_followed_place_t *place)
{
    int64_t at = kap_followed_meeting_at(m);
    uint32_t region = to->number(to->arg, m->region);
    kap_key_t key;

    if (place->at == at)
        return;
    kap_fkey_begin(&key, region, KAP_FOLLOWED_MEETING);
    kap_fkey_time(&key, place->at);
    kap_fkey_tail(&key, id);
    if (place->at != KAP_REFERRAL_NO_TIME)
        change_key(to, KAP_FOLLOWED_DELETE, &key, kap_span("", 0));
    kap_fkey_begin(&key, region, KAP_FOLLOWED_MEETING);
    kap_fkey_time(&key, at);
    kap_fkey_tail(&key, id);
    change_key(to, KAP_FOLLOWED_PUT, &key, kap_span("", 0));
    place->at = at;
}

void kap_followed_action(const kap_followed_writer_t *to, kap_span_t id, const kap_action_t *a)
{
    kap_key_t key;

    kap_fkey_begin(&key, to->number(to->arg, a->region), KAP_FOLLOWED_ACTION);
    kap_fkey_text(&key, a->meeting);
    kap_fkey_tail(&key, id);
    change_key(to, KAP_FOLLOWED_PUT, &key, kap_span("", 0));
}

void kap_followed_arisen(const kap_followed_writer_t *to, kap_span_t region, kap_span_t meeting,
                         kap_span_t referral, uint64_t log_seq)
{
    kap_key_t key;

    kap_fkey_begin(&key, to->number(to->arg, region), KAP_FOLLOWED_ARISEN);
    kap_fkey_text(&key, meeting);
    kap_fkey_u64(&key, log_seq);
    change_key(to, KAP_FOLLOWED_PUT, &key, referral);
}

/* --- into the store --- */

static int add_up(kap_txn_t *txn, const kap_followed_change_t *c)
{
    kap_buf_t buf = {0};
    kap_span_t row = {0};
    int64_t sum;
    int rc = kap_txn_get(txn, KAP_ROWS_FOLLOWED, c->key, &row);

    if (rc != KAP_OK && rc != KAP_E_NOTFOUND)
        return rc;
    for (int i = 0; i < KAP_FOLLOWED_SUMS; i++) {
        sum = 0;
        if (rc == KAP_OK && !kap_get_svarint(&row, &sum)) {
            kap_buf_fini(&buf);
            return KAP_E_CORRUPT;
        }
        kap_put_svarint(&buf, sum + c->by[i]);
    }
    rc = buf.err != KAP_OK ? buf.err
                           : kap_txn_put(txn, KAP_ROWS_FOLLOWED, c->key, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return rc;
}

int kap_followed_write(kap_txn_t *txn, const kap_followed_change_t *c)
{
    int rc;

    switch (c->how) {
    case KAP_FOLLOWED_PUT:
        return kap_txn_put(txn, KAP_ROWS_FOLLOWED, c->key, c->value);
    case KAP_FOLLOWED_DELETE: /* what was taken back has no row */
        rc = kap_txn_delete(txn, KAP_ROWS_FOLLOWED, c->key);
        return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
    case KAP_FOLLOWED_ADD:
        return add_up(txn, c);
    }
    return KAP_OK;
}
