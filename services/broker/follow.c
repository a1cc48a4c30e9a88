/* SPDX-License-Identifier: MPL-2.0 */
#include "follow.h"

#include "err.h"
#include "followed.h"

static uint32_t number(void *arg, kap_span_t text)
{
    kap_book_t *book = arg;
    kap_name_t *name = kap_book_name(book, text);

    return name != NULL ? kap_book_number(book, name) : 0;
}

static void change(void *arg, const kap_followed_change_t *what)
{
    kap_book_followed(arg, what);
}

/* Members whom the event concerns get numbers, so that they can be asked for: as it was judged, for
 * the object may have moved on with its group, and a recount has to give the same ones. */
static void number_members(const kap_judge_t *j, const kap_judged_t *judged)
{
    for (uint32_t i = 0; i < judged->other_count; i++)
        number(j->book, judged->others[i]);
    for (size_t i = 0; i < sizeof judged->tell / sizeof judged->tell[0]; i++) {
        if (judged->tell[i].size > 0)
            number(j->book, judged->tell[i]);
    }
}

static void follow_meeting(const kap_judge_t *j, const kap_followed_writer_t *to,
                           const kap_event_t *ev, const kap_judged_t *judged)
{
    kap_meeting_object_t *m = kap_book_meeting(j->book, kap_event_span(ev, KAP_F_MEETING));

    if (m == NULL || !m->o.known)
        return;
    kap_followed_meeting(to, m->o.id, &m->meeting, &m->followed);
    number_members(j, judged);
}

static void follow_action(const kap_judge_t *j, const kap_followed_writer_t *to,
                          const kap_event_t *ev)
{
    const kap_action_object_t *a = kap_book_action(j->book, kap_event_span(ev, KAP_F_ACTION));

    if (a != NULL && a->o.known)
        kap_followed_action(to, a->o.id, &a->action);
}

/* Events of the follow-up model; of those whose last value counts `latest` keeps the place. */
static void follow_report(const kap_judge_t *j, const kap_followed_writer_t *to,
                          const kap_event_t *ev, kap_object_t *latest, uint64_t log_seq)
{
    kap_followed_place_t none = {0};
    kap_followed_place_t *place =
        latest != NULL ? &((kap_latest_object_t *)latest)->followed : &none;
    int64_t time = ev->time < j->now ? ev->time : j->now;
    int rc = kap_followed_event(to, ev, time, log_seq, place);

    if (rc != KAP_OK)
        kap_book_fail(j->book, rc);
}

void kap_follow_placed(const kap_judge_t *j, const kap_event_t *ev, const kap_judged_t *judged,
                       uint64_t log_seq)
{
    kap_followed_writer_t to = {.number = number, .change = change, .arg = j->book};
    kap_span_t meeting;

    switch (ev->family) {
    case KAP_FAMILY_FOLLOWUP:
        follow_report(j, &to, ev, judged->placed, log_seq);
        break;
    case KAP_FAMILY_MEETING:
        if (ev->type == KAP_EV_FORUM_SET)
            kap_followed_forum(&to, kap_event_span(ev, KAP_F_REGION),
                               kap_event_span(ev, KAP_F_FORUM));
        else if (ev->type == KAP_EV_ACTION_AGREED)
            follow_action(j, &to, ev);
        else if (ev->type != KAP_EV_ACTION_DONE)
            follow_meeting(j, &to, ev, judged);
        break;
    case KAP_FAMILY_REFERRAL:
        meeting =
            judged->creates && j->scope == 0 ? kap_event_span(ev, KAP_F_MEETING) : kap_span("", 0);
        if (meeting.size > 0)
            kap_followed_arisen(&to, kap_event_span(ev, KAP_F_REGION), meeting,
                                kap_event_span(ev, KAP_F_REFERRAL), log_seq);
        break;
    default:
        break;
    }
}
