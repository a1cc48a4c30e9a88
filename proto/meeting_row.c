/* SPDX-License-Identifier: MPL-2.0 */
/* The rows of forums, meetings and actions. */
#include <string.h>

#include "err.h"
#include "meeting.h"
#include "row.h"

enum { ROW_VERSION = 1, FIXED_BYTES = 200 };

static size_t size_of(const kap_span_t *const spans[], size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += spans[i]->size + KAP_ROW_VARINT_BYTES;
    }
    return size;
}

/* Opens a row: its reader past the version byte, or an error. */
static int open_row(kap_span_t bytes, kap_row_t *row)
{
    *row = (kap_row_t){bytes.data, bytes.data + bytes.size, false};
    if (bytes.size < 2) {
        return KAP_E_CORRUPT;
    }
    return *row->p++ == ROW_VERSION ? KAP_OK : KAP_E_VERSION;
}

/* --- forum --- */

enum { FORUM_SPANS = 8 };

static void forum_spans(kap_forum_t *f, kap_span_t *out[FORUM_SPANS])
{
    kap_span_t *all[FORUM_SPANS] = {&f->region, &f->owner,     &f->name,  &f->kind,
                                    &f->chair,  &f->secretary, &f->rrule, &f->starts};
    memcpy(out, all, sizeof(all));
}

void kap_forum_pack(kap_buf_t *buf, const kap_forum_t *f)
{
    kap_span_t *spans[FORUM_SPANS];
    forum_spans((kap_forum_t *)f, spans); /* read only */
    size_t most = FIXED_BYTES + size_of((const kap_span_t *const *)spans, FORUM_SPANS);
    for (uint32_t i = 0; i < f->member_count; i++) {
        most += f->members[i].size + KAP_ROW_VARINT_BYTES;
    }
    for (uint32_t i = 0; i < f->date_count; i++) {
        most += f->dates[i].size + KAP_ROW_VARINT_BYTES;
    }
    uint8_t *start = kap_buf_reserve(buf, most);
    if (!start) {
        return;
    }
    uint8_t *p = start;
    *p++ = ROW_VERSION;
    *p++ = (uint8_t)(f->set | f->ended << 1);
    for (int i = 0; i < FORUM_SPANS; i++) {
        p = kap_row_put_span(p, *spans[i]);
    }
    p = kap_row_put(p, f->yearly_target);
    p = kap_row_put_signed(p, f->set_at);
    p = kap_row_put(p, f->member_count);
    for (uint32_t i = 0; i < f->member_count; i++) {
        p = kap_row_put_span(p, f->members[i]);
    }
    p = kap_row_put(p, f->date_count);
    for (uint32_t i = 0; i < f->date_count; i++) {
        p = kap_row_put_span(p, f->dates[i]);
    }
    buf->size += (size_t)(p - start);
}

int kap_forum_unpack(kap_span_t bytes, kap_forum_t *f)
{
    kap_row_t row;
    kap_span_t *spans[FORUM_SPANS];
    int rc = open_row(bytes, &row);
    if (rc != KAP_OK) {
        return rc;
    }
    kap_forum_init(f);
    forum_spans(f, spans);
    uint8_t bits = kap_row_get_byte(&row);
    f->set = bits & 1;
    f->ended = bits >> 1 & 1;
    for (int i = 0; i < FORUM_SPANS; i++) {
        *spans[i] = kap_row_get_span(&row);
    }
    f->yearly_target = (uint32_t)kap_row_get(&row);
    f->set_at = kap_row_get_signed(&row);
    uint64_t members = kap_row_get(&row);
    row.bad |= members > KAP_MEETING_MEMBERS;
    for (uint64_t i = 0; i < members && i < KAP_MEETING_MEMBERS; i++) {
        f->members[f->member_count++] = kap_row_get_span(&row);
    }
    uint64_t dates = kap_row_get(&row);
    row.bad |= dates > KAP_MEETING_DATES;
    for (uint64_t i = 0; i < dates && i < KAP_MEETING_DATES; i++) {
        f->dates[f->date_count++] = kap_row_get_span(&row);
    }
    return kap_row_whole(&row) ? KAP_OK : KAP_E_CORRUPT;
}

/* --- meeting --- */

enum { MEETING_SPANS = 6, MEETING_TIMES = 4 };

static void meeting_spans(kap_meeting_t *m, kap_span_t *out[MEETING_SPANS])
{
    kap_span_t *all[MEETING_SPANS] = {&m->forum, &m->region,     &m->owner,
                                      &m->kind,  &m->occurrence, &m->memo};
    memcpy(out, all, sizeof(all));
}

static void meeting_times(kap_meeting_t *m, int64_t *out[MEETING_TIMES])
{
    int64_t *all[MEETING_TIMES] = {&m->first_planned_at, &m->planned_at, &m->held_at,
                                   &m->cancelled_at};
    memcpy(out, all, sizeof(all));
}

void kap_meeting_pack(kap_buf_t *buf, const kap_meeting_t *m)
{
    kap_span_t *spans[MEETING_SPANS];
    int64_t *times[MEETING_TIMES];
    meeting_spans((kap_meeting_t *)m, spans); /* read only */
    meeting_times((kap_meeting_t *)m, times);
    size_t most = FIXED_BYTES + size_of((const kap_span_t *const *)spans, MEETING_SPANS);
    for (uint32_t i = 0; i < m->attendee_count; i++) {
        most += m->attendees[i].member.size + KAP_ROW_VARINT_BYTES + 1;
    }
    uint8_t *start = kap_buf_reserve(buf, most);
    if (!start) {
        return;
    }
    uint8_t *p = start;
    *p++ = ROW_VERSION;
    *p++ = (uint8_t)(m->state + 1);
    *p++ = m->unplanned;
    for (int i = 0; i < MEETING_SPANS; i++) {
        p = kap_row_put_span(p, *spans[i]);
    }
    for (int i = 0; i < MEETING_TIMES; i++) {
        p = kap_row_put_signed(p, *times[i]);
    }
    p = kap_row_put(p, m->moves);
    p = kap_row_put(p, m->topics);
    p = kap_row_put(p, m->attendee_count);
    for (uint32_t i = 0; i < m->attendee_count; i++) {
        p = kap_row_put_span(p, m->attendees[i].member);
        *p++ = m->attendees[i].marks;
    }
    buf->size += (size_t)(p - start);
}

int kap_meeting_unpack(kap_span_t bytes, kap_meeting_t *m)
{
    kap_row_t row;
    kap_span_t *spans[MEETING_SPANS];
    int64_t *times[MEETING_TIMES];
    int rc = open_row(bytes, &row);
    if (rc != KAP_OK) {
        return rc;
    }
    kap_meeting_init(m);
    meeting_spans(m, spans);
    meeting_times(m, times);
    m->state = kap_row_get_code(&row, KAP_MEETING_COUNT);
    m->unplanned = kap_row_get_byte(&row) != 0;
    for (int i = 0; i < MEETING_SPANS; i++) {
        *spans[i] = kap_row_get_span(&row);
    }
    for (int i = 0; i < MEETING_TIMES; i++) {
        *times[i] = kap_row_get_signed(&row);
    }
    m->moves = (uint32_t)kap_row_get(&row);
    m->topics = (uint32_t)kap_row_get(&row);
    uint64_t attendees = kap_row_get(&row);
    row.bad |= attendees > KAP_MEETING_MEMBERS;
    for (uint64_t i = 0; i < attendees && i < KAP_MEETING_MEMBERS; i++) {
        kap_attendee_t *a = &m->attendees[m->attendee_count++];
        a->member = kap_row_get_span(&row);
        a->marks = kap_row_get_byte(&row);
    }
    return kap_row_whole(&row) ? KAP_OK : KAP_E_CORRUPT;
}

/* --- action --- */

enum { ACTION_SPANS = 6 };

static void action_spans(kap_action_t *a, kap_span_t *out[ACTION_SPANS])
{
    kap_span_t *all[ACTION_SPANS] = {&a->meeting, &a->region,      &a->owner,
                                     &a->member,  &a->responsible, &a->due};
    memcpy(out, all, sizeof(all));
}

void kap_action_pack(kap_buf_t *buf, const kap_action_t *a)
{
    kap_span_t *spans[ACTION_SPANS];
    action_spans((kap_action_t *)a, spans); /* read only */
    uint8_t *start =
        kap_buf_reserve(buf, FIXED_BYTES + size_of((const kap_span_t *const *)spans, ACTION_SPANS));
    if (!start) {
        return;
    }
    uint8_t *p = start;
    *p++ = ROW_VERSION;
    *p++ = (uint8_t)(a->agreed | a->done << 1);
    for (int i = 0; i < ACTION_SPANS; i++) {
        p = kap_row_put_span(p, *spans[i]);
    }
    p = kap_row_put_signed(p, a->agreed_at);
    p = kap_row_put_signed(p, a->done_at);
    buf->size += (size_t)(p - start);
}

int kap_action_unpack(kap_span_t bytes, kap_action_t *a)
{
    kap_row_t row;
    kap_span_t *spans[ACTION_SPANS];
    int rc = open_row(bytes, &row);
    if (rc != KAP_OK) {
        return rc;
    }
    kap_action_init(a);
    action_spans(a, spans);
    uint8_t bits = kap_row_get_byte(&row);
    a->agreed = bits & 1;
    a->done = bits >> 1 & 1;
    for (int i = 0; i < ACTION_SPANS; i++) {
        *spans[i] = kap_row_get_span(&row);
    }
    a->agreed_at = kap_row_get_signed(&row);
    a->done_at = kap_row_get_signed(&row);
    return kap_row_whole(&row) ? KAP_OK : KAP_E_CORRUPT;
}
