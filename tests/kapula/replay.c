/* SPDX-License-Identifier: MPL-2.0 */
#include "replay.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "crypto.h"
#include "err.h"
#include "hash.h"
#include "referral.h"

/* The referral that is open and the one before it: no event names an older one. */
typedef struct {
    kap_referral_t state;
    kap_arena_t *arena; /* of the packed row */
    size_t index;
    bool used;
} live_t;

typedef struct {
    kap_replay_t *out;
    kap_arena_t *arena;
    live_t live[2]; /* the newest last */
    kap_hash_t hash;
    uint64_t last_sequence;
} replayer_t;

static char *text_of(kap_span_t span)
{
    char *text = malloc(span.size + 1);
    cr_assert(text);
    if (span.size)
        memcpy(text, span.data, span.size);
    text[span.size] = '\0';
    return text;
}

static char *name_of(const kap_event_t *ev, kap_field_t field, kap_field_t full)
{
    kap_span_t name = kap_event_span(ev, full);

    return text_of(name.size ? name : kap_event_span(ev, field));
}

static live_t *find_live(replayer_t *r, kap_span_t referral)
{
    for (int i = 1; i >= 0; i--)
        if (r->live[i].used && kap_span_eq_str(referral, r->out->referrals[r->live[i].index].id))
            return &r->live[i];
    return NULL;
}

static live_t *new_live(replayer_t *r, const kap_event_t *ev)
{
    kap_replay_t *out = r->out;

    if (out->count == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 1024;
        out->referrals = realloc(out->referrals, out->cap * sizeof *out->referrals);
        cr_assert(out->referrals);
    }
    kap_replayed_t *new = &out->referrals[out->count];
    memset(new, 0, sizeof *new);
    new->id = text_of(kap_event_span(ev, KAP_F_REFERRAL));
    new->from = name_of(ev, KAP_F_FROM, KAP_F_FROM_NAME);
    new->to = name_of(ev, KAP_F_TO, KAP_F_TO_NAME);
    new->case_id = name_of(ev, KAP_F_CASE, KAP_F_CASE_NAME);
    new->parent = text_of(kap_event_span(ev, KAP_F_PARENT));
    new->created_ms = ev->time;
    cr_assert(kap_span_eq_str(kap_event_span(ev, KAP_F_REGION), out->region));
    live_t first = r->live[0];
    r->live[0] = r->live[1];
    r->live[1] = first;
    r->live[1].index = out->count++;
    r->live[1].used = true;
    kap_referral_init(&r->live[1].state);
    return &r->live[1];
}

static kap_referral_facts_t facts_of(replayer_t *r, const kap_event_t *ev, const live_t *live)
{
    kap_referral_facts_t facts = {.is_sender = true,
                                  .is_recipient = true,
                                  .is_operator = true,
                                  .archive = true,
                                  .root_created_at = KAP_REFERRAL_NO_TIME,
                                  .group = NULL};

    if (ev->type == KAP_EV_REFERRAL_CREATED && r->out->referrals[live->index].parent[0]) {
        const kap_replayed_t *child = &r->out->referrals[live->index];
        const kap_replayed_t *parent = child - 1;
        facts.case_size = 1;
        facts.parent_known = !strcmp(parent->id, child->parent);
        facts.parent_same_case = !strcmp(parent->case_id, child->case_id);
        facts.parent_to_is_sender = !strcmp(parent->to, child->from);
    }
    return facts;
}

/* Keeps a state beyond the arena of its event. */
static void keep_state(live_t *live, const kap_referral_t *after)
{
    kap_buf_t row = {0};

    kap_referral_pack(&row, after);
    if (!live->arena)
        live->arena = kap_arena_new(1024);
    kap_arena_reset(live->arena);
    kap_span_t kept = kap_arena_dup(live->arena, kap_buf_span(&row));
    cr_assert_eq(kap_referral_unpack(kept, &live->state), KAP_OK);
    kap_buf_fini(&row);
}

static void judge(replayer_t *r, const kap_event_t *ev, const kap_event_t *group,
                  uint32_t group_count)
{
    live_t *live = ev->type == KAP_EV_REFERRAL_CREATED
                       ? new_live(r, ev)
                       : find_live(r, kap_event_span(ev, KAP_F_REFERRAL));
    cr_assert(live, "event %llu is of an unknown referral", (unsigned long long)ev->sequence);
    kap_referral_facts_t facts = facts_of(r, ev, live);
    facts.group = group;
    facts.group_count = group_count;
    kap_referral_t after;
    kap_effects_t fx;
    kap_refusal_t why = {0};
    int verdict =
        kap_referral_judge(&live->state, ev, &facts, INT64_C(1800000000000), &after, &fx, &why);
    cr_assert_eq(verdict, KAP_VERDICT_ACCEPTED, "event %llu: %s", (unsigned long long)ev->sequence,
                 kap_refusal_code(why.number));
    cr_assert_neq(fx.timer, KAP_TIMER_SET, "an archive has no deadlines");
    keep_state(live, &after);
    kap_replayed_t *out = &r->out->referrals[live->index];
    out->accepted_ms = after.accepted_at;
    out->ended_ms = after.ended_at;
    out->answer_ms = after.answer_received_at;
    out->to_accept_ms = after.to_accept.elapsed_ms;
    out->notes = after.notes;
    out->state = after.state;
}

static void take_archive(replayer_t *r, const kap_event_t *ev)
{
    kap_replay_t *out = r->out;

    if (ev->type == KAP_EV_ARCHIVE_OPENED) {
        cr_assert_eq(ev->sequence, 1);
        out->opened = true;
        out->region = text_of(kap_event_span(ev, KAP_F_REGION));
        out->attribute = text_of(kap_event_span(ev, KAP_F_ATTRIBUTE));
        out->options = text_of(kap_event_span(ev, KAP_F_OPTIONS));
        memcpy(out->digest, kap_event_span(ev, KAP_F_DIGEST).data, 32);
        return;
    }
    const kap_mp_t *summary = kap_event_node(ev, KAP_F_SUMMARY);
    cr_assert(summary);
    out->closed = true;
    out->summary_cases = (uint64_t)kap_mp_get_int(summary, "cases", -1);
    out->summary_without =
        out->summary_cases - (uint64_t)kap_mp_get_int(summary, "cases_with_handover", -1);
}

static void decode(replayer_t *r, kap_logmap_t *map, const kap_logmap_event_t *from,
                   kap_event_t *ev)
{
    kap_refusal_t why = {0};
    kap_span_t open = kap_arena_dup(r->arena, from->open);
    kap_span_t ends = kap_arena_dup(r->arena, from->ends);

    if (!from->ends.size)
        ends = kap_span(NULL, 0);
    kap_hash_update(&r->hash, open);
    kap_hash_update(&r->hash, ends);
    cr_assert_eq(kap_event_decode(open, ends, kap_span(NULL, 0), r->arena, ev, &why), KAP_OK,
                 "event %llu: %s", (unsigned long long)from->sequence,
                 kap_refusal_code(why.number));
    cr_assert(kap_event_is_whole(ev));
    cr_assert(kap_span_eq(ev->source, kap_logmap_source(map)));
    cr_assert_eq(ev->sequence, r->last_sequence + 1);
    cr_assert_eq(ev->recorded, ev->time);
    cr_assert_eq(ev->type, from->type);
    r->last_sequence = ev->sequence;
}

void kap_replay(kap_logmap_t *map, kap_replay_t *replay)
{
    replayer_t r = {.out = replay, .arena = kap_arena_new(64 * 1024)};
    kap_logmap_event_t event;
    kap_event_t evs[2];

    memset(replay, 0, sizeof *replay);
    kap_hash_init(&r.hash);
    kap_logmap_seek(map, 1);
    for (;;) {
        uint32_t n = 0;
        kap_arena_reset(r.arena);
        int rc = kap_logmap_next(map, &event);
        if (rc == KAP_E_NOTFOUND)
            break;
        cr_assert_eq(rc, KAP_OK);
        decode(&r, map, &event, &evs[n++]);
        if (event.bound) {
            cr_assert_eq(kap_logmap_next(map, &event), KAP_OK);
            decode(&r, map, &event, &evs[n++]);
            cr_assert(evs[0].group.size && kap_span_eq(evs[0].group, evs[1].group));
            cr_assert_eq(evs[0].type, KAP_EV_REFERRAL_REDIRECTED);
            cr_assert_eq(evs[1].type, KAP_EV_REFERRAL_CREATED);
        } else {
            cr_assert_eq(evs[0].group.size, 0);
        }
        for (uint32_t i = 0; i < n; i++) {
            if (evs[i].family == KAP_FAMILY_ARCHIVE)
                take_archive(&r, &evs[i]);
            else
                judge(&r, &evs[i], n > 1 ? evs : NULL, n > 1 ? n : 0);
        }
        replay->events += n;
    }
    kap_hash_final(&r.hash, replay->hash);
    for (int i = 0; i < 2; i++)
        kap_arena_destroy(&r.live[i].arena);
    kap_arena_destroy(&r.arena);
    cr_assert_eq(replay->events, kap_logmap_total(map));
    cr_assert_eq(replay->count, kap_logmap_referrals(map));
    cr_assert(replay->opened && replay->closed);
}

void kap_replay_free(kap_replay_t *replay)
{
    for (size_t i = 0; i < replay->count; i++) {
        kap_replayed_t *r = &replay->referrals[i];
        free(r->id);
        free(r->from);
        free(r->to);
        free(r->case_id);
        free(r->parent);
    }
    free(replay->referrals);
    free(replay->region);
    free(replay->attribute);
    free(replay->options);
    memset(replay, 0, sizeof *replay);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

size_t kap_replay_waits(const kap_replay_t *replay, const char *from, const char *to, int64_t *out,
                        size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < replay->count; i++) {
        const kap_replayed_t *r = &replay->referrals[i];
        if (strcmp(r->from, from) != 0 || strcmp(r->to, to) != 0)
            continue;
        if (n < max)
            out[n] = r->to_accept_ms;
        n++;
    }
    qsort(out, n < max ? n : max, sizeof *out, by_value);
    return n;
}

size_t kap_replay_edges(const kap_replay_t *replay)
{
    size_t edges = 0;

    for (size_t i = 0; i < replay->count; i++) {
        const kap_replayed_t *r = &replay->referrals[i];
        size_t j = 0;
        while (j < i && (strcmp(replay->referrals[j].from, r->from) != 0 ||
                         strcmp(replay->referrals[j].to, r->to) != 0))
            j++;
        edges += j == i;
    }
    return edges;
}

size_t kap_replay_pingpongs(const kap_replay_t *replay)
{
    size_t n = 0;

    for (size_t i = 1; i < replay->count; i++) {
        const kap_replayed_t *r = &replay->referrals[i];
        n += r->parent[0] && !strcmp(r->to, replay->referrals[i - 1].from);
    }
    return n;
}

int64_t kap_replay_percentile(const int64_t *sorted, size_t n, unsigned percent)
{
    size_t rank = (n * percent + 99) / 100;

    return sorted[rank ? rank - 1 : 0];
}
