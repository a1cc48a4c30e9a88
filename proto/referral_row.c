/* SPDX-License-Identifier: MPL-2.0 */
/* The row of a referral: what referral.h keeps, in as few bytes as are easily had. */
#include "err.h"
#include "referral.h"
#include "row.h"

enum { ROW_VERSION = 2, TIMES = 15, SPENTS = 6, CODES = 10, COUNTS = 7, SPANS = 6 };

/* The fields of a row, each kind in one place for both directions. */
static void times_of(kap_referral_t *r, int64_t *out[TIMES])
{
    int64_t *all[TIMES] = {
        &r->created_at,
        &r->delivered_at,
        &r->delivered_commit,
        &r->accepted_at,
        &r->contact_at,
        &r->ended_at,
        &r->answer_received_at,
        &r->expired_at,
        &r->root_created_at,
        &r->clock_from,
        &r->hold_from,
        &r->hold_to,
        &r->due_at,
        &r->answer_due_at,
        &r->news_at,
    };
    memcpy(out, all, sizeof(all));
}

static void spents_of(kap_referral_t *r, kap_spent_t *out[SPENTS])
{
    kap_spent_t *all[SPENTS] = {
        &r->to_accept, &r->to_contact, &r->to_end, &r->customer_to_accept, &r->to_give_up, &r->held,
    };
    memcpy(out, all, sizeof(all));
}

static void codes_of(kap_referral_t *r, int16_t *out[CODES])
{
    int16_t *all[CODES] = {&r->kind,           &r->service,       &r->segment, &r->language,
                           &r->origin,         &r->outcome,       &r->detail,  &r->reason,
                           &r->feedback_scale, &r->feedback_value};
    memcpy(out, all, sizeof(all));
}

static void spans_of(kap_referral_t *r, kap_span_t *out[SPANS])
{
    kap_span_t *all[SPANS] = {&r->from, &r->to, &r->region, &r->case_id, &r->parent, &r->next};
    memcpy(out, all, sizeof(all));
}

static bool spent_differs(const kap_spent_t *spent, int64_t none)
{
    return spent->working_ms != none || spent->elapsed_ms != none;
}

/* Durations of milestones are absent as none, the sum of holds as 0. */
static int64_t none_of(int spent)
{
    return spent < SPENTS - 1 ? KAP_REFERRAL_NO_SPAN_MS : 0;
}

static uint8_t *put_times(uint8_t *p, kap_referral_t *r)
{
    int64_t *times[TIMES];
    uint64_t present = 0;
    times_of(r, times);
    for (int i = 0; i < TIMES; i++) {
        present |= (uint64_t)(*times[i] != KAP_REFERRAL_NO_TIME) << i;
    }
    p = kap_row_put_signed(p, r->created_commit);
    p = kap_row_put(p, present);
    for (int i = 0; i < TIMES; i++) {
        if (present >> i & 1) {
            p = kap_row_put_signed(p, (int64_t)((uint64_t)*times[i] - (uint64_t)r->created_commit));
        }
    }
    return p;
}

static void get_times(kap_row_t *row, kap_referral_t *r)
{
    int64_t *times[TIMES];
    times_of(r, times);
    r->created_commit = kap_row_get_signed(row);
    uint64_t present = kap_row_get(row);
    for (int i = 0; i < TIMES; i++) {
        if (present >> i & 1) {
            *times[i] = (int64_t)((uint64_t)kap_row_get_signed(row) + (uint64_t)r->created_commit);
        }
    }
}

static uint8_t *put_spents(uint8_t *p, kap_referral_t *r)
{
    kap_spent_t *spents[SPENTS];
    uint64_t present = 0;
    spents_of(r, spents);
    for (int i = 0; i < SPENTS; i++) {
        present |= (uint64_t)spent_differs(spents[i], none_of(i)) << i;
    }
    p = kap_row_put(p, present);
    for (int i = 0; i < SPENTS; i++) {
        if (present >> i & 1) {
            p = kap_row_put_signed(p, spents[i]->working_ms);
            p = kap_row_put_signed(p, spents[i]->elapsed_ms);
        }
    }
    return p;
}

static void get_spents(kap_row_t *row, kap_referral_t *r)
{
    kap_spent_t *spents[SPENTS];
    spents_of(r, spents);
    uint64_t present = kap_row_get(row);
    for (int i = 0; i < SPENTS; i++) {
        if (present >> i & 1) {
            spents[i]->working_ms = kap_row_get_signed(row);
            spents[i]->elapsed_ms = kap_row_get_signed(row);
        }
    }
}

static uint8_t *put_head(uint8_t *p, kap_referral_t *r)
{
    int16_t *codes[CODES];
    codes_of(r, codes);
    *p++ = ROW_VERSION;
    *p++ = (uint8_t)((r->state + 1) | (r->open_state + 1) << 4);
    *p++ = (uint8_t)(r->due_kind + 1);
    *p++ = r->implied;
    *p++ = r->clamped;
    p = kap_row_put(p, r->flags);
    for (int i = 0; i < CODES; i++) {
        p = kap_row_put(p, (uint16_t)(*codes[i] + 1));
    }
    const uint32_t counts[COUNTS] = {r->answer_days, r->contact_days, r->attempts, r->contacts,
                                     r->notes,       r->late_reports, r->results};
    for (int i = 0; i < COUNTS; i++) {
        p = kap_row_put(p, counts[i]);
    }
    return kap_row_put_signed(p, r->spent_working_ms);
}

static void get_head(kap_row_t *row, kap_referral_t *r)
{
    int16_t *codes[CODES];
    codes_of(r, codes);
    uint8_t states = kap_row_get_byte(row);
    r->state = (int8_t)((states & 15) - 1);
    r->open_state = (int8_t)((states >> 4) - 1);
    row->bad |= r->state >= KAP_STATE_COUNT || r->open_state >= KAP_STATE_COUNT;
    r->due_kind = kap_row_get_code(row, KAP_DEADLINE_COUNT);
    r->implied = kap_row_get_byte(row);
    r->clamped = kap_row_get_byte(row);
    r->flags = (uint32_t)kap_row_get(row);
    for (int i = 0; i < CODES; i++) {
        *codes[i] = (int16_t)(uint16_t)(kap_row_get(row) - 1);
    }
    uint32_t counts[COUNTS];
    for (int i = 0; i < COUNTS; i++) {
        counts[i] = (uint32_t)kap_row_get(row);
    }
    r->answer_days = (uint16_t)counts[0];
    r->contact_days = (uint16_t)counts[1];
    r->attempts = counts[2];
    r->contacts = counts[3];
    r->notes = counts[4];
    r->late_reports = counts[5];
    r->results = counts[6];
    r->spent_working_ms = kap_row_get_signed(row);
}

static uint8_t *put_holds(uint8_t *p, const kap_referral_t *r)
{
    p = kap_row_put(p, r->hold_count);
    for (int i = 0; i < r->hold_count; i++) {
        uint64_t from = (uint64_t)r->holds[i].from, to = (uint64_t)r->holds[i].to;
        p = kap_row_put_signed(p, (int64_t)(from - (uint64_t)r->created_commit));
        p = kap_row_put_signed(p, (int64_t)(to - from));
    }
    return p;
}

static void get_holds(kap_row_t *row, kap_referral_t *r)
{
    uint64_t count = kap_row_get(row);
    row->bad |= count > KAP_REFERRAL_HOLDS;
    r->hold_count = row->bad ? 0 : (uint8_t)count;
    for (int i = 0; i < r->hold_count; i++) {
        uint64_t from = (uint64_t)kap_row_get_signed(row) + (uint64_t)r->created_commit;
        uint64_t to = from + (uint64_t)kap_row_get_signed(row);
        r->holds[i] = (kap_hold_t){(int64_t)from, (int64_t)to};
    }
}

void kap_referral_pack(kap_buf_t *buf, const kap_referral_t *r)
{
    kap_referral_t copy = *r; /* the field lists point into it; nothing is changed */
    kap_span_t *spans[SPANS];
    spans_of(&copy, spans);
    size_t most =
        5 + (size_t)KAP_ROW_VARINT_BYTES * (2 + CODES + COUNTS + 2 + TIMES + 1 + 2 * SPENTS + 1 +
                                            2 * KAP_REFERRAL_HOLDS + SPANS);
    for (int i = 0; i < SPANS; i++) {
        most += spans[i]->size;
    }
    uint8_t *start = kap_buf_reserve(buf, most);
    if (!start) {
        return;
    }
    uint8_t *p = put_times(put_head(start, &copy), &copy);
    p = put_holds(put_spents(p, &copy), &copy);
    for (int i = 0; i < SPANS; i++) {
        p = kap_row_put_span(p, *spans[i]);
    }
    buf->size += (size_t)(p - start);
}

int kap_referral_unpack(kap_span_t bytes, kap_referral_t *r)
{
    kap_row_t row = {bytes.data, bytes.data + bytes.size, false};
    kap_referral_t out;
    if (bytes.size < 5) {
        return KAP_E_CORRUPT;
    }
    if (*row.p++ != ROW_VERSION) {
        return KAP_E_VERSION;
    }
    kap_referral_init(&out);
    get_head(&row, &out);
    get_times(&row, &out);
    get_spents(&row, &out);
    get_holds(&row, &out);
    kap_span_t *spans[SPANS];
    spans_of(&out, spans);
    for (int i = 0; i < SPANS; i++) {
        *spans[i] = kap_row_get_span(&row);
    }
    if (!kap_row_whole(&row)) {
        return KAP_E_CORRUPT;
    }
    *r = out;
    return KAP_OK;
}
