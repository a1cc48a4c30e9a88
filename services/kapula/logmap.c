/* SPDX-License-Identifier: MPL-2.0 */
#include "logmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "be.h"
#include "crypto.h"
#include "err.h"
#include "ids.h"
#include "mp.h"
#include "referral.h"

/* Pairs of the chain histogram in the summary: more would not fit an event's open part. */
#define CHAINS_SHOWN 400

/* What the next event is. The order of the cases' steps is the order of their events. */
typedef enum {
    STEP_OPENED,
    STEP_CREATED,
    STEP_PARENT_ANSWERED, /* answer_received of the referral before, after its child's created */
    STEP_DELIVERED,
    STEP_ACCEPTED,
    STEP_NOTED,
    STEP_ENDED, /* redirected or completed */
    STEP_ANSWERED,
    STEP_CLOSED,
    STEP_END,
} step_t;

/* An actor or case id, with the room its hash needs. */
typedef struct {
    char room[KAP_LOGMAP_ID_TEXT];
    kap_span_t id;
    bool hashed;
} name_t;

/* A referral's id, kept for the events that name it. */
typedef struct {
    uint64_t k; /* 0: none yet */
    size_t case_index;
    char text[KAP_LIMIT_ID_BYTES + 1];
    kap_span_t id;
} referral_id_t;

struct kap_logmap {
    const kap_eventlog_t *log;
    kap_arena_t *arena;
    kap_span_t name, attribute, options, source;
    uint8_t digest[32];   /* as published */
    uint8_t id_key[16];   /* of the events' ids */
    uint8_t salt_key[16]; /* of the ends parts' salts */
    uint64_t total, referrals;

    /* where it stands */
    uint64_t sequence; /* of the next event */
    step_t step;
    size_t case_index;
    kap_logcase_t c;
    size_t position;             /* in the case, behind the run `next` */
    kap_logrun_t from, to, next; /* of the referral, and who comes after it */
    bool has_next;
    uint64_t k;     /* the referral's number in its case, from 1 */
    size_t note_at; /* event of the case that is noted next */

    referral_id_t ids[3]; /* of the referrals before, at and after k */

    /* the event just built */
    kap_event_builder_t builder;
    kap_buf_t open, ends;
    char id[KAP_UUID_TEXT], group[KAP_UUID_TEXT];
};

/* --- names --- */

static kap_span_t hash_text(kap_span_t name, char room[KAP_LOGMAP_ID_TEXT])
{
    uint8_t hash[KAP_HASH_BYTES];

    kap_hash256(hash, &name, 1);
    room[0] = '#';
    kap_hex_encode(hash, sizeof hash, room + 1);
    return kap_span(room, 1 + 2 * sizeof hash);
}

kap_span_t kap_logmap_id(kap_span_t name, char room[KAP_LOGMAP_ID_TEXT], bool *hashed)
{
    *hashed = name.size > KAP_LIMIT_ID_BYTES || kap_referral_is_external(name);
    return *hashed ? hash_text(name, room) : name;
}

static void name_of(name_t *name, kap_span_t full)
{
    name->id = kap_logmap_id(full, name->room, &name->hashed);
}

/* "#k"; returns its length. */
static size_t number_text(uint64_t k, char out[24])
{
    char digits[20];
    size_t n = 0, size = 0;

    do
        digits[n++] = (char)('0' + k % 10);
    while ((k /= 10) > 0);
    out[size++] = '#';
    while (n > 0)
        out[size++] = digits[--n];
    return size;
}

/* The id of the case's referral k: the case's id and "#k"; a case id that leaves no room for that
 * is hashed here, too. Lent until the id of another three referrals away is asked for. */
static kap_span_t referral_id(kap_logmap_t *map, uint64_t k)
{
    referral_id_t *slot = &map->ids[k % 3];
    char number[24];
    name_t name;

    if (slot->k == k && slot->case_index == map->case_index)
        return slot->id;
    size_t digits = number_text(k, number);
    name_of(&name, map->c.id);
    if (name.id.size + digits > KAP_LIMIT_ID_BYTES)
        name.id = hash_text(map->c.id, name.room);
    memcpy(slot->text, name.id.data, name.id.size);
    memcpy(slot->text + name.id.size, number, digits);
    slot->id = kap_span(slot->text, name.id.size + digits);
    slot->k = k;
    slot->case_index = map->case_index;
    return slot->id;
}

/* --- life --- */

static kap_span_t length_of(kap_span_t text, uint8_t room[4])
{
    kap_be_put_u32(room, (uint32_t)text.size);
    return kap_span(room, 4);
}

static int make_source(kap_logmap_t *map, kap_span_t member)
{
    uint8_t hash[KAP_HASH_BYTES], sizes[3][4];
    char hex[33], text[KAP_LIMIT_ID_BYTES + 1];
    const kap_span_t parts[] = {
        KAP_SPAN("kapula import source"),
        length_of(map->name, sizes[0]),
        map->name,
        length_of(map->attribute, sizes[1]),
        map->attribute,
        length_of(map->options, sizes[2]),
        map->options,
    };

    kap_hash256(hash, parts, sizeof parts / sizeof *parts);
    kap_hex_encode(hash, 16, hex);
    int n = snprintf(text, sizeof text, "%.*s/import-%s", KAP_SPAN_ARGS(member), hex);
    if (n < 0 || (size_t)n >= sizeof text)
        return KAP_E_LIMIT;
    map->source = kap_arena_dup(map->arena, kap_span_str(text));
    return map->source.data ? KAP_OK : KAP_E_NOMEM;
}

static void make_keys(kap_logmap_t *map, const uint8_t digest[32])
{
    uint8_t hash[KAP_HASH_BYTES];
    const kap_span_t published[] = {KAP_SPAN("kapula import digest"), kap_span(digest, 32)};
    const kap_span_t ids[] = {KAP_SPAN("kapula import id"), map->source};
    const kap_span_t salts[] = {KAP_SPAN("kapula import salt"), kap_span(digest, 32), map->source};

    kap_hash256(map->digest, published, 2);
    kap_hash256(hash, ids, 2);
    memcpy(map->id_key, hash, sizeof map->id_key);
    kap_hash256(hash, salts, 3);
    memcpy(map->salt_key, hash, sizeof map->salt_key);
}

/* Events of one case, and its referrals. */
static uint64_t count_events(const kap_logcase_t *c, uint64_t *referrals)
{
    kap_logrun_t run;
    size_t position = 0;
    uint64_t events = 0;

    *referrals = 0;
    if (!kap_logcase_run(c, &position, &run))
        return 0;
    while (kap_logcase_run(c, &position, &run)) {
        /* created, delivered, accepted, its end, answer_received; and the further events */
        events += 5 + run.count - 1;
        ++*referrals;
    }
    return events;
}

static int copy_options(kap_logmap_t *map, const kap_logmap_opts_t *opts)
{
    if (opts->attribute.size > KAP_LIMIT_STR_BYTES || opts->options.size > KAP_LIMIT_TEXT_BYTES ||
        opts->name.size > KAP_LIMIT_ID_BYTES)
        return KAP_E_LIMIT;
    map->name = kap_arena_dup(map->arena, opts->name);
    map->attribute = kap_arena_dup(map->arena, opts->attribute);
    map->options = kap_arena_dup(map->arena, opts->options);
    return map->name.data && map->attribute.data && map->options.data ? KAP_OK : KAP_E_NOMEM;
}

int kap_logmap_new(const kap_eventlog_t *log, const kap_logmap_opts_t *opts, kap_logmap_t **map)
{
    kap_logmap_t *m = calloc(1, sizeof *m);

    if (!m)
        return KAP_E_NOMEM;
    m->log = log;
    m->arena = kap_arena_new(8192);
    int rc = m->arena ? copy_options(m, opts) : KAP_E_NOMEM;
    if (!rc)
        rc = make_source(m, opts->member);
    if (rc) {
        kap_logmap_destroy(&m);
        return rc;
    }
    make_keys(m, opts->digest);
    m->total = 2;
    for (size_t i = 0; i < kap_eventlog_case_count(log); i++) {
        kap_logcase_t c = kap_eventlog_case(log, i);
        uint64_t referrals;
        m->total += count_events(&c, &referrals);
        m->referrals += referrals;
    }
    kap_logmap_seek(m, 1);
    *map = m;
    return KAP_OK;
}

void kap_logmap_destroy(kap_logmap_t **map)
{
    kap_logmap_t *m = *map;

    if (!m)
        return;
    kap_buf_fini(&m->open);
    kap_buf_fini(&m->ends);
    kap_arena_destroy(&m->arena);
    free(m);
    *map = NULL;
}

kap_span_t kap_logmap_source(const kap_logmap_t *map)
{
    return map->source;
}

const uint8_t *kap_logmap_digest(const kap_logmap_t *map)
{
    return map->digest;
}

uint64_t kap_logmap_total(const kap_logmap_t *map)
{
    return map->total;
}

uint64_t kap_logmap_referrals(const kap_logmap_t *map)
{
    return map->referrals;
}

/* --- where it stands --- */

/* To the first event of the case at case_index or after it, or to archive_closed. */
static void enter_case(kap_logmap_t *map)
{
    for (; map->case_index < kap_eventlog_case_count(map->log); map->case_index++) {
        map->c = kap_eventlog_case(map->log, map->case_index);
        map->position = 0;
        map->k = 1;
        if (!kap_logcase_run(&map->c, &map->position, &map->from) ||
            !kap_logcase_run(&map->c, &map->position, &map->to))
            continue;
        map->has_next = kap_logcase_run(&map->c, &map->position, &map->next);
        map->step = STEP_CREATED;
        return;
    }
    map->step = STEP_CLOSED;
}

/* To the next event with an actor of the run `to`, from note_at on; false behind its end. */
static bool find_note(kap_logmap_t *map)
{
    while (map->note_at < map->to.end && map->c.events[map->note_at].actor == KAP_EVENTLOG_NO_ACTOR)
        map->note_at++;
    return map->note_at < map->to.end;
}

static void enter_child(kap_logmap_t *map)
{
    map->from = map->to;
    map->to = map->next;
    map->has_next = kap_logcase_run(&map->c, &map->position, &map->next);
    map->k++;
    map->step = STEP_CREATED;
}

static void advance(kap_logmap_t *map)
{
    map->sequence++;
    switch (map->step) {
    case STEP_OPENED:
        map->case_index = 0;
        enter_case(map);
        break;
    case STEP_CREATED:
        map->step = map->k > 1 ? STEP_PARENT_ANSWERED : STEP_DELIVERED;
        break;
    case STEP_PARENT_ANSWERED:
        map->step = STEP_DELIVERED;
        break;
    case STEP_DELIVERED:
        map->step = STEP_ACCEPTED;
        break;
    case STEP_ACCEPTED:
        map->note_at = map->to.begin + 1;
        map->step = find_note(map) ? STEP_NOTED : STEP_ENDED;
        break;
    case STEP_NOTED:
        map->note_at++;
        map->step = find_note(map) ? STEP_NOTED : STEP_ENDED;
        break;
    case STEP_ENDED:
        if (map->has_next)
            enter_child(map);
        else
            map->step = STEP_ANSWERED;
        break;
    case STEP_ANSWERED:
        map->case_index++;
        enter_case(map);
        break;
    case STEP_CLOSED:
    case STEP_END:
        map->step = STEP_END;
        break;
    }
}

void kap_logmap_seek(kap_logmap_t *map, uint64_t sequence)
{
    KAP_CHECK(sequence >= 1 && sequence <= map->total + 1);
    map->sequence = 1;
    map->step = STEP_OPENED;
    if (sequence > 1)
        advance(map);
    /* Whole cases are counted, not walked through. */
    while (map->step == STEP_CREATED) {
        uint64_t referrals, events = count_events(&map->c, &referrals);
        if (map->sequence + events > sequence)
            break;
        map->sequence += events;
        map->case_index++;
        enter_case(map);
    }
    while (map->sequence + 1 < sequence)
        advance(map);
    if (map->sequence < sequence && !(map->step == STEP_ENDED && map->has_next))
        advance(map);
}

/* --- building --- */

/* 16 bytes that belong to one place in the sequence. */
static void derive(const uint8_t key[16], uint64_t sequence, uint8_t out[KAP_SIPHASH_BYTES])
{
    uint8_t place[8] = {0};
    kap_span_t part = kap_span(place, sizeof place);

    kap_be_put_u64(place, sequence);
    kap_siphash128(out, key, &part, 1);
}

static void begin(kap_logmap_t *map, kap_event_type_t type, int64_t ms)
{
    uint8_t hash[KAP_SIPHASH_BYTES];

    derive(map->id_key, map->sequence, hash);
    kap_uuid_v8(hash, map->id);
    kap_event_builder_begin(&map->builder, type, kap_span(map->id, KAP_UUID_TEXT - 1), map->source,
                            map->sequence, ms, ms);
}

static int finish(kap_logmap_t *map)
{
    uint8_t salt[KAP_SIPHASH_BYTES];

    derive(map->salt_key, map->sequence, salt);
    kap_buf_reset(&map->open);
    kap_buf_reset(&map->ends);
    return kap_event_builder_finish(&map->builder, salt, kap_span(NULL, 0), &map->open, &map->ends);
}

static void set_span(kap_logmap_t *map, kap_field_t field, kap_span_t value)
{
    kap_event_builder_set_span(&map->builder, field, value);
}

static int build_opened(kap_logmap_t *map)
{
    begin(map, KAP_EV_ARCHIVE_OPENED, kap_eventlog_totals(map->log)->first_ms);
    set_span(map, KAP_F_REGION, map->name);
    set_span(map, KAP_F_ATTRIBUTE, map->attribute);
    set_span(map, KAP_F_OPTIONS, map->options);
    set_span(map, KAP_F_DIGEST, kap_span(map->digest, sizeof map->digest));
    return finish(map);
}

/* Chains by length, the shortest first; what is not shown can be counted from the referrals. */
static void put_chains(kap_buf_t *out, const kap_eventlog_t *log)
{
    uint64_t most = kap_eventlog_totals(log)->most_handovers;
    uint32_t pairs = 0;

    for (uint64_t k = 0; k <= most && pairs < CHAINS_SHOWN; k++)
        pairs += kap_eventlog_chains(log, k) > 0;
    kap_mp_put_array(out, pairs);
    for (uint64_t k = 0; k <= most && pairs > 0; k++) {
        uint64_t cases = kap_eventlog_chains(log, k);
        if (!cases)
            continue;
        kap_mp_put_array(out, 2);
        kap_mp_put_uint(out, k);
        kap_mp_put_uint(out, cases);
        pairs--;
    }
}

static void put_faults(kap_buf_t *out, const kap_logtotals_t *totals)
{
    static const char *const names[] = {
#define KAP_LOGFAULT(NAME, json, text) json,
#include "logfaults.def"
#undef KAP_LOGFAULT
    };

    kap_mp_put_map(out, KAP_LOGFAULT_COUNT);
    for (int i = 0; i < KAP_LOGFAULT_COUNT; i++) {
        kap_mp_put_cstr(out, names[i]);
        kap_mp_put_uint(out, totals->faults[i]);
    }
}

static int build_closed(kap_logmap_t *map)
{
    const kap_logtotals_t *t = kap_eventlog_totals(map->log);
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"cases", t->cases},
        {"cases_with_handover", t->with_handover},
        {"events", t->events},
        {"actor_events", t->actor_events},
        {"actors", t->actors},
        {"handovers", t->handovers},
        {"handovers_missing_breaks", t->handovers_break},
        {"handovers_missing_is_actor", t->handovers_actor},
        {"handovers_file_order", t->handovers_file},
        {"self_follows", t->self_follows},
        {"pingpongs", t->pingpongs},
        {"missing_declared", t->declared},
        {"merged", t->merged},
        {"without_zone", t->without_zone},
        {"before_1970", t->before_1970},
    };
    const uint32_t n = sizeof counts / sizeof *counts;
    kap_buf_t summary = {0};

    kap_mp_put_map(&summary, n + 4);
    for (uint32_t i = 0; i < n; i++) {
        kap_mp_put_cstr(&summary, counts[i].name);
        kap_mp_put_uint(&summary, counts[i].value);
    }
    kap_mp_put_cstr(&summary, "first_ms");
    kap_mp_put_int(&summary, t->first_ms);
    kap_mp_put_cstr(&summary, "last_ms");
    kap_mp_put_int(&summary, t->last_ms);
    kap_mp_put_cstr(&summary, "handovers_per_case");
    put_chains(&summary, map->log);
    kap_mp_put_cstr(&summary, "skipped");
    put_faults(&summary, t);
    begin(map, KAP_EV_ARCHIVE_CLOSED, t->last_ms);
    set_span(map, KAP_F_REGION, map->name);
    kap_event_builder_set_raw(&map->builder, KAP_F_SUMMARY, kap_buf_span(&summary));
    int rc = summary.err ? summary.err : finish(map);
    kap_buf_fini(&summary);
    return rc;
}

static int build_created(kap_logmap_t *map)
{
    name_t from, to, case_id;
    kap_span_t from_name = kap_eventlog_actor(map->log, map->from.actor);
    kap_span_t to_name = kap_eventlog_actor(map->log, map->to.actor);

    name_of(&from, from_name);
    name_of(&to, to_name);
    name_of(&case_id, map->c.id);
    begin(map, KAP_EV_REFERRAL_CREATED, map->from.last_ms);
    if (map->k > 1)
        kap_event_builder_set_group(&map->builder, kap_span(map->group, KAP_UUID_TEXT - 1));
    kap_event_builder_set_code(&map->builder, KAP_F_KIND, KAP_KIND_TRANSFER);
    set_span(map, KAP_F_REFERRAL, referral_id(map, map->k));
    set_span(map, KAP_F_FROM, from.id);
    set_span(map, KAP_F_TO, to.id);
    kap_event_builder_set_code(&map->builder, KAP_F_SERVICE, KAP_SERVICE_OTHER);
    kap_event_builder_set_code(&map->builder, KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN);
    set_span(map, KAP_F_REGION, map->name);
    if (from.hashed)
        set_span(map, KAP_F_FROM_NAME, from_name);
    if (to.hashed)
        set_span(map, KAP_F_TO_NAME, to_name);
    set_span(map, KAP_F_CASE, case_id.id);
    if (case_id.hashed)
        set_span(map, KAP_F_CASE_NAME, map->c.id);
    if (map->k > 1)
        set_span(map, KAP_F_PARENT, referral_id(map, map->k - 1));
    return finish(map);
}

/* An event that says nothing but which referral. */
static int build_plain(kap_logmap_t *map, kap_event_type_t type, uint64_t k, int64_t ms)
{
    begin(map, type, ms);
    set_span(map, KAP_F_REFERRAL, referral_id(map, k));
    return finish(map);
}

static int build_redirected(kap_logmap_t *map)
{
    begin(map, KAP_EV_REFERRAL_REDIRECTED, map->to.last_ms);
    memcpy(map->group, map->id, sizeof map->group);
    kap_event_builder_set_group(&map->builder, kap_span(map->group, KAP_UUID_TEXT - 1));
    set_span(map, KAP_F_REFERRAL, referral_id(map, map->k));
    kap_event_builder_set_code(&map->builder, KAP_F_REASON, KAP_DECLINE_OTHER);
    set_span(map, KAP_F_NEXT, referral_id(map, map->k + 1));
    return finish(map);
}

static int build_completed(kap_logmap_t *map)
{
    begin(map, KAP_EV_REFERRAL_COMPLETED, map->to.last_ms);
    set_span(map, KAP_F_REFERRAL, referral_id(map, map->k));
    kap_event_builder_set_code(&map->builder, KAP_F_OUTCOME, KAP_OUTCOME_HANDLED);
    return finish(map);
}

/* The group's name is the id of the redirect right before this created: also after a seek. */
static void name_group(kap_logmap_t *map)
{
    uint8_t hash[KAP_SIPHASH_BYTES];

    derive(map->id_key, map->sequence - 1, hash);
    kap_uuid_v8(hash, map->group);
}

static int build(kap_logmap_t *map)
{
    switch (map->step) {
    case STEP_OPENED:
        return build_opened(map);
    case STEP_CREATED:
        name_group(map);
        return build_created(map);
    case STEP_PARENT_ANSWERED:
        return build_plain(map, KAP_EV_REFERRAL_ANSWER_RECEIVED, map->k - 1, map->from.last_ms);
    case STEP_DELIVERED:
        return build_plain(map, KAP_EV_REFERRAL_DELIVERED, map->k, map->from.last_ms);
    case STEP_ACCEPTED:
        return build_plain(map, KAP_EV_REFERRAL_ACCEPTED, map->k, map->to.first_ms);
    case STEP_NOTED:
        return build_plain(map, KAP_EV_REFERRAL_NOTED, map->k, map->c.events[map->note_at].ms);
    case STEP_ENDED:
        return map->has_next ? build_redirected(map) : build_completed(map);
    case STEP_ANSWERED:
        return build_plain(map, KAP_EV_REFERRAL_ANSWER_RECEIVED, map->k, map->to.last_ms);
    case STEP_CLOSED:
        return build_closed(map);
    case STEP_END:
        break;
    }
    return KAP_E_NOTFOUND;
}

int kap_logmap_next(kap_logmap_t *map, kap_logmap_event_t *event)
{
    int rc = build(map);

    if (rc)
        return rc;
    event->sequence = map->sequence;
    event->type = map->builder.type;
    event->open = kap_buf_span(&map->open);
    event->ends = kap_buf_span(&map->ends);
    event->bound = map->step == STEP_ENDED && map->has_next;
    advance(map);
    return KAP_OK;
}
