/* SPDX-License-Identifier: MPL-2.0 */
#include "eventlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "crypto.h"
#include "err.h"
#include "ids.h"

/* Runs of at most this many events are sorted in place. */
#define SMALL_SORT 24

#define DAY_MS 86400000

/* Names, each once, numbered in the order they came. */
typedef struct {
    kap_span_t *names;
    uint32_t count, cap;
    uint32_t *slots; /* number + 1, or 0; a power of two, at most half full */
    uint32_t slot_count;
} names_t;

struct kap_eventlog {
    kap_logrules_t rules;
    kap_buf_t *why;
    kap_arena_t *arena;
    uint8_t key[16];
    names_t cases, actors;
    kap_logevent_t *events;
    size_t count, cap;
    size_t trace_begin;  /* first event of the open trace */
    uint64_t trace_read; /* events of the open trace, faulty ones too */
    bool scattered;      /* events of one case do not all stand together */
    uint32_t last_case;  /* of the event before */
    size_t *begins;      /* a case's first event, by number; one more than cases */
    uint32_t *order;     /* case numbers as kap_eventlog_case counts them */
    uint64_t *acted;     /* kept events by actor */
    uint64_t *chains;    /* cases by handovers */
    kap_logtotals_t totals;
};

static const char *const fault_texts[] = {
#define KAP_LOGFAULT(NAME, json, text) text,
#include "logfaults.def"
#undef KAP_LOGFAULT
};

const char *kap_logfault_text(kap_logfault_t fault)
{
    KAP_CHECK(fault < KAP_LOGFAULT_COUNT);
    return fault_texts[fault];
}

/* --- names --- */

static uint32_t slot_of(const kap_eventlog_t *log, kap_span_t name)
{
    uint8_t hash[KAP_SIPHASH_BYTES];
    uint32_t slot;

    kap_siphash128(hash, log->key, &name, 1);
    memcpy(&slot, hash, sizeof slot);
    return slot;
}

static int names_grow(kap_eventlog_t *log, names_t *names)
{
    if (names->count == names->cap) {
        uint32_t cap = names->cap ? names->cap * 2 : 64;
        kap_span_t *grown = realloc(names->names, cap * sizeof *grown);
        if (!grown)
            return KAP_E_NOMEM;
        names->names = grown;
        names->cap = cap;
    }
    if (names->count * 2 < names->slot_count)
        return KAP_OK;

    uint32_t slot_count = names->slot_count ? names->slot_count * 2 : 256;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < names->count; i++) {
        uint32_t slot = slot_of(log, names->names[i]) & (slot_count - 1);
        while (slots[slot])
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = i + 1;
    }
    free(names->slots);
    names->slots = slots;
    names->slot_count = slot_count;
    return KAP_OK;
}

/* The number of a name, new or known. */
static int intern(kap_eventlog_t *log, names_t *names, kap_span_t name, uint32_t *number)
{
    if (names->count >= UINT32_MAX / 4) {
        kap_buf_printf(log->why, "more than %u different names", UINT32_MAX / 4);
        return KAP_E_LIMIT;
    }
    int rc = names_grow(log, names);
    if (rc)
        return rc;

    uint32_t mask = names->slot_count - 1;
    uint32_t slot = slot_of(log, name) & mask;
    for (; names->slots[slot]; slot = (slot + 1) & mask) {
        uint32_t known = names->slots[slot] - 1;
        if (kap_span_eq(names->names[known], name)) {
            *number = known;
            return KAP_OK;
        }
    }
    kap_span_t copy = kap_arena_dup(log->arena, name);
    if (!copy.data)
        return KAP_E_NOMEM;
    names->names[names->count] = copy;
    *number = names->count++;
    names->slots[slot] = *number + 1;
    return KAP_OK;
}

static void names_fini(names_t *names)
{
    free(names->names);
    free(names->slots);
}

/* --- life --- */

int kap_eventlog_new(const kap_logrules_t *rules, kap_buf_t *why, kap_eventlog_t **log)
{
    kap_eventlog_t *l = calloc(1, sizeof *l);
    if (!l)
        return KAP_E_NOMEM;
    l->rules = *rules;
    l->why = why;
    l->last_case = UINT32_MAX;
    kap_random(l->key, sizeof l->key);
    l->arena = kap_arena_new(64 * 1024);
    if (!l->arena) {
        free(l);
        return KAP_E_NOMEM;
    }
    *log = l;
    return KAP_OK;
}

void kap_eventlog_destroy(kap_eventlog_t **log)
{
    kap_eventlog_t *l = *log;

    if (!l)
        return;
    names_fini(&l->cases);
    names_fini(&l->actors);
    free(l->events);
    free(l->begins);
    free(l->order);
    free(l->acted);
    free(l->chains);
    kap_arena_destroy(&l->arena);
    free(l);
    *log = NULL;
}

/* --- filling --- */

void kap_eventlog_begin_trace(kap_eventlog_t *log)
{
    log->trace_begin = log->count;
    log->trace_read = 0;
    log->totals.traces++;
}

static int check_name(kap_eventlog_t *log, const char *what, kap_span_t name)
{
    if (name.size <= KAP_EVENTLOG_NAME_BYTES)
        return KAP_OK;
    kap_buf_printf(log->why, "%s of %zu bytes; at most %d", what, name.size,
                   KAP_EVENTLOG_NAME_BYTES);
    return KAP_E_INVALID;
}

static bool declared_missing(const kap_eventlog_t *log, kap_span_t actor)
{
    for (size_t i = 0; i < log->rules.missing_count; i++)
        if (kap_span_eq_str(actor, log->rules.missing[i]))
            return true;
    return false;
}

static int actor_number(kap_eventlog_t *log, kap_span_t actor, uint32_t *number,
                        kap_logfault_t *fault)
{
    *number = KAP_EVENTLOG_NO_ACTOR;
    if (declared_missing(log, actor)) {
        log->totals.declared++;
        return KAP_OK;
    }
    if (kap_span_empty(actor)) {
        *fault = KAP_LOGFAULT_NO_ACTOR;
        return KAP_OK;
    }
    int rc = check_name(log, "an actor's name", actor);
    return rc ? rc : intern(log, &log->actors, actor, number);
}

static int time_of(kap_eventlog_t *log, kap_span_t time, int64_t *ms, kap_logfault_t *fault)
{
    bool had_zone = true;

    if (kap_span_empty(time)) {
        *fault = KAP_LOGFAULT_NO_TIME;
        return KAP_OK;
    }
    if (kap_time_parse(time, log->rules.zone, ms, &had_zone)) {
        *fault = KAP_LOGFAULT_BAD_TIME;
        return KAP_OK;
    }
    if (!had_zone)
        *ms += log->rules.offset_ms;
    /* An offset, or 24:00, may lead out of the years that an event can say. */
    if (*ms < KAP_TIME_MIN || *ms > KAP_TIME_MAX) {
        *fault = KAP_LOGFAULT_BAD_TIME;
        return KAP_OK;
    }
    log->totals.without_zone += !had_zone;
    log->totals.before_1970 += *ms < DAY_MS;
    return KAP_OK;
}

static int append(kap_eventlog_t *log, kap_logevent_t event)
{
    if (log->count == log->cap) {
        size_t cap = log->cap ? log->cap + log->cap / 2 : 4096;
        kap_logevent_t *grown = realloc(log->events, cap * sizeof *grown);
        if (!grown)
            return KAP_E_NOMEM;
        log->events = grown;
        log->cap = cap;
    }
    log->events[log->count++] = event;
    return KAP_OK;
}

int kap_eventlog_add(kap_eventlog_t *log, kap_span_t time, kap_span_t actor, kap_logfault_t *fault)
{
    kap_logevent_t event = {.case_no = UINT32_MAX};

    *fault = KAP_LOGFAULT_NONE;
    log->totals.events_read++;
    log->trace_read++;
    if (log->count >= UINT32_MAX - 1) {
        kap_buf_printf(log->why, "more than %u events", UINT32_MAX - 1);
        return KAP_E_LIMIT;
    }
    int rc = time_of(log, time, &event.ms, fault);
    if (rc || *fault != KAP_LOGFAULT_NONE)
        return rc;
    rc = actor_number(log, actor, &event.actor, fault);
    return rc ? rc : append(log, event);
}

/* Gives the events from `begin` on to a case. */
static void claim(kap_eventlog_t *log, size_t begin, uint32_t case_no)
{
    if (begin == log->count)
        return;
    /* Numbers rise with each new case: a lower one was seen before. */
    if (log->last_case != UINT32_MAX && case_no < log->last_case)
        log->scattered = true;
    log->last_case = case_no;
    for (size_t i = begin; i < log->count; i++)
        log->events[i].case_no = case_no;
}

/* The case of that id, or of the ordinal where it has none. */
static int case_number(kap_eventlog_t *log, kap_span_t id, uint32_t *number, bool *known)
{
    char ordinal[32];
    uint32_t before = log->cases.count;

    if (kap_span_empty(id)) {
        snprintf(ordinal, sizeof ordinal, "#%llu", (unsigned long long)log->totals.traces);
        id = kap_span_str(ordinal);
    }
    int rc = check_name(log, "a case id", id);
    if (!rc)
        rc = intern(log, &log->cases, id, number);
    *known = !rc && log->cases.count == before;
    return rc;
}

int kap_eventlog_end_trace(kap_eventlog_t *log, kap_span_t id, kap_logfault_t *fault)
{
    uint32_t number;
    bool known;

    *fault = KAP_LOGFAULT_NONE;
    if (!log->trace_read) {
        *fault = KAP_LOGFAULT_EMPTY_TRACE;
        return KAP_OK;
    }
    if (kap_span_empty(id))
        *fault = KAP_LOGFAULT_NO_ID;
    int rc = case_number(log, id, &number, &known);
    if (rc)
        return rc;
    log->totals.merged += known;
    claim(log, log->trace_begin, number);
    return KAP_OK;
}

int kap_eventlog_row(kap_eventlog_t *log, kap_span_t id, kap_span_t time, kap_span_t actor,
                     kap_logfault_t *fault, bool *nameless)
{
    uint32_t number;
    bool known;

    kap_eventlog_begin_trace(log);
    int rc = kap_eventlog_add(log, time, actor, fault);
    if (rc)
        return rc;
    *nameless = kap_span_empty(id);
    rc = case_number(log, id, &number, &known);
    if (rc)
        return rc;
    claim(log, log->trace_begin, number);
    return KAP_OK;
}

int kap_eventlog_fault(kap_eventlog_t *log, kap_logfault_t fault, uint64_t line)
{
    uint64_t all = 0;

    log->totals.faults[fault]++;
    if (log->rules.max_skipped < 0)
        return KAP_OK;
    for (int i = 0; i < KAP_LOGFAULT_COUNT; i++)
        all += log->totals.faults[i];
    if (all <= (uint64_t)log->rules.max_skipped)
        return KAP_OK;
    kap_buf_printf(log->why, "line %llu: %s: %llu faults, %lld allowed", (unsigned long long)line,
                   kap_logfault_text(fault), (unsigned long long)all,
                   (long long)log->rules.max_skipped);
    return KAP_E_LIMIT;
}

/* --- sorting --- */

/* Brings the events of each case together, in file order. */
static int gather(kap_eventlog_t *log)
{
    size_t cases = log->cases.count;

    log->begins = calloc(cases + 2, sizeof *log->begins);
    if (!log->begins)
        return KAP_E_NOMEM;
    size_t *ends = log->begins + 1;
    for (size_t i = 0; i < log->count; i++)
        ends[log->events[i].case_no + 1]++;
    for (size_t i = 1; i <= cases; i++)
        ends[i] += ends[i - 1];
    if (log->scattered) {
        kap_logevent_t *together = malloc((log->count + 1) * sizeof *together);
        if (!together)
            return KAP_E_NOMEM;
        for (size_t i = 0; i < log->count; i++)
            together[ends[log->events[i].case_no]++] = log->events[i];
        free(log->events);
        log->events = together;
        log->cap = log->count + 1;
    } else {
        for (size_t i = 0; i < cases; i++)
            ends[i] = ends[i + 1];
    }
    return KAP_OK;
}

static void insertion_sort(kap_logevent_t *events, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        kap_logevent_t event = events[i];
        size_t j = i;
        for (; j > 0 && events[j - 1].ms > event.ms; j--)
            events[j] = events[j - 1];
        events[j] = event;
    }
}

/* Stable: halves are merged, the left one first where instants are equal. */
static void merge_sort(kap_logevent_t *events, size_t count, kap_logevent_t *scratch)
{
    if (count <= SMALL_SORT) {
        insertion_sort(events, count);
        return;
    }
    size_t left = count / 2;
    merge_sort(events, left, scratch);
    merge_sort(events + left, count - left, scratch);
    if (events[left - 1].ms <= events[left].ms)
        return;
    memcpy(scratch, events, left * sizeof *events);
    size_t i = 0, j = left, k = 0;
    while (i < left && j < count)
        events[k++] = events[j].ms < scratch[i].ms ? events[j++] : scratch[i++];
    memcpy(events + k, scratch + i, (left - i) * sizeof *events);
}

static bool in_order(const kap_logevent_t *events, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (events[i - 1].ms > events[i].ms)
            return false;
    return true;
}

/* --- counting --- */

static uint64_t handovers_skipping(const kap_logevent_t *events, size_t count)
{
    uint32_t holder = KAP_EVENTLOG_NO_ACTOR;
    uint64_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (events[i].actor == KAP_EVENTLOG_NO_ACTOR)
            continue;
        n += holder != KAP_EVENTLOG_NO_ACTOR && holder != events[i].actor;
        holder = events[i].actor;
    }
    return n;
}

static void count_other_policies(kap_logtotals_t *totals, const kap_logevent_t *events,
                                 size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t a = events[i - 1].actor, b = events[i].actor;
        totals->handovers_actor += a != b;
        totals->handovers_break +=
            a != b && a != KAP_EVENTLOG_NO_ACTOR && b != KAP_EVENTLOG_NO_ACTOR;
    }
}

/* Adds one sorted case. */
static uint64_t count_case(kap_eventlog_t *log, const kap_logcase_t *c)
{
    kap_logtotals_t *totals = &log->totals;
    kap_logrun_t run;
    size_t position = 0;
    uint64_t runs = 0;
    uint32_t last = KAP_EVENTLOG_NO_ACTOR, before_last = KAP_EVENTLOG_NO_ACTOR;

    while (kap_logcase_run(c, &position, &run)) {
        runs++;
        totals->self_follows += run.count - 1;
        totals->actor_events += run.count;
        totals->pingpongs += run.actor == before_last;
        log->acted[run.actor] += run.count;
        before_last = last;
        last = run.actor;
    }
    uint64_t handovers = runs ? runs - 1 : 0;
    totals->handovers += handovers;
    totals->with_handover += handovers > 0;
    if (handovers > totals->most_handovers)
        totals->most_handovers = handovers;
    count_other_policies(totals, c->events, c->count);
    return handovers;
}

static kap_logcase_t case_of(const kap_eventlog_t *log, uint32_t number)
{
    size_t begin = log->begins[number], count = log->begins[number + 1] - begin;

    return (kap_logcase_t){.id = log->cases.names[number],
                           .events = count ? log->events + begin : NULL,
                           .count = count};
}

static void count_span(kap_logtotals_t *totals, const kap_logcase_t *c)
{
    int64_t first = c->events[0].ms, last = c->events[c->count - 1].ms;

    if (!totals->cases || first < totals->first_ms)
        totals->first_ms = first;
    if (!totals->cases || last > totals->last_ms)
        totals->last_ms = last;
    totals->cases++;
}

static size_t longest_case(const kap_eventlog_t *log)
{
    size_t longest = 0;

    for (uint32_t i = 0; i < log->cases.count; i++)
        if (log->begins[i + 1] - log->begins[i] > longest)
            longest = log->begins[i + 1] - log->begins[i];
    return longest;
}

/* Sorts and counts every case; `handovers` gets each one's number. */
static int settle_cases(kap_eventlog_t *log, uint64_t *handovers)
{
    kap_logevent_t *scratch = malloc((longest_case(log) / 2 + 1) * sizeof *scratch);
    if (!scratch)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < log->cases.count; i++) {
        kap_logcase_t c = case_of(log, i);
        if (!c.count)
            continue;
        log->totals.handovers_file += handovers_skipping(c.events, c.count);
        if (!in_order(c.events, c.count))
            merge_sort(log->events + log->begins[i], c.count, scratch);
        handovers[i] = count_case(log, &c);
        count_span(&log->totals, &c);
    }
    free(scratch);
    return KAP_OK;
}

static int count_chains(kap_eventlog_t *log, const uint64_t *handovers)
{
    log->chains = calloc(log->totals.most_handovers + 1, sizeof *log->chains);
    if (!log->chains)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < log->cases.count; i++)
        if (log->begins[i + 1] > log->begins[i])
            log->chains[handovers[i]]++;
    log->totals.hollow = log->cases.count - log->totals.cases;
    for (uint32_t i = 0; i < log->actors.count; i++)
        log->totals.actors += log->acted[i] > 0;
    return KAP_OK;
}

typedef struct {
    int64_t ms;
    uint32_t case_no;
} beginning_t;

static int by_beginning(const void *left, const void *right)
{
    const beginning_t *a = left, *b = right;

    if (a->ms != b->ms)
        return a->ms < b->ms ? -1 : 1;
    return a->case_no < b->case_no ? -1 : a->case_no > b->case_no;
}

static int order_cases(kap_eventlog_t *log)
{
    size_t n = 0;
    beginning_t *beginnings = malloc((log->cases.count + 1) * sizeof *beginnings);

    log->order = malloc((log->cases.count + 1) * sizeof *log->order);
    if (!beginnings || !log->order) {
        free(beginnings);
        return KAP_E_NOMEM;
    }
    for (uint32_t i = 0; i < log->cases.count; i++)
        if (log->begins[i + 1] > log->begins[i])
            beginnings[n++] = (beginning_t){log->events[log->begins[i]].ms, i};
    qsort(beginnings, n, sizeof *beginnings, by_beginning);
    for (size_t i = 0; i < n; i++)
        log->order[i] = beginnings[i].case_no;
    free(beginnings);
    return KAP_OK;
}

int kap_eventlog_finish(kap_eventlog_t *log)
{
    log->totals.events = log->count;
    log->acted = calloc((size_t)log->actors.count + 1, sizeof *log->acted);
    uint64_t *handovers = calloc((size_t)log->cases.count + 1, sizeof *handovers);
    int rc = log->acted && handovers ? KAP_OK : KAP_E_NOMEM;

    if (!rc)
        rc = gather(log);
    if (!rc)
        rc = settle_cases(log, handovers);
    if (!rc)
        rc = count_chains(log, handovers);
    if (!rc)
        rc = order_cases(log);
    free(handovers);
    return rc;
}

/* --- answering --- */

const kap_logtotals_t *kap_eventlog_totals(const kap_eventlog_t *log)
{
    return &log->totals;
}

size_t kap_eventlog_case_count(const kap_eventlog_t *log)
{
    return log->totals.cases;
}

kap_logcase_t kap_eventlog_case(const kap_eventlog_t *log, size_t index)
{
    KAP_CHECK(index < log->totals.cases);
    return case_of(log, log->order[index]);
}

size_t kap_eventlog_actor_count(const kap_eventlog_t *log)
{
    return log->actors.count;
}

kap_span_t kap_eventlog_actor(const kap_eventlog_t *log, uint32_t actor)
{
    KAP_CHECK(actor < log->actors.count);
    return log->actors.names[actor];
}

uint64_t kap_eventlog_actor_events(const kap_eventlog_t *log, uint32_t actor)
{
    KAP_CHECK(actor < log->actors.count);
    return log->acted[actor];
}

uint64_t kap_eventlog_chains(const kap_eventlog_t *log, uint64_t handovers)
{
    return handovers <= log->totals.most_handovers ? log->chains[handovers] : 0;
}

bool kap_logcase_run(const kap_logcase_t *c, size_t *position, kap_logrun_t *run)
{
    size_t i = *position;

    while (i < c->count && c->events[i].actor == KAP_EVENTLOG_NO_ACTOR)
        i++;
    if (i == c->count)
        return false;
    *run = (kap_logrun_t){
        .actor = c->events[i].actor, .first_ms = c->events[i].ms, .begin = i, .count = 0};
    for (; i < c->count; i++) {
        if (c->events[i].actor == KAP_EVENTLOG_NO_ACTOR)
            continue;
        if (c->events[i].actor != run->actor)
            break;
        run->count++;
        run->last_ms = c->events[i].ms;
        run->end = i + 1;
    }
    *position = i;
    return true;
}
