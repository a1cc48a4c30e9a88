/* SPDX-License-Identifier: MPL-2.0 */
#include "desk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "crypto.h"
#include "err.h"
#include "ids.h"

#define START INT64_C(1767607200000) /* Monday 2026-01-05, 12:00 in Helsinki */

static const struct {
    const char *id, *organisation, *type, *roles, *regions;
    bool national;
} members[] = {
    {"a", "1234567-1", "other", "\"node\", \"party\", \"coordinator:mikkeli\"", "\"mikkeli\"",
     false},
    {"b", "1234574-3", "other", "\"node\", \"party\"", "\"mikkeli\"", false},
    {"c", "1234581-5", "other", "\"node\", \"party\"", "\"mikkeli\"", false},
    {"d", "1234588-2", "other", "\"node\", \"party\"", "\"mikkeli\"", false},
    {"e", "1234567-1", "other", "\"node\", \"party\"", "\"mikkeli\"", false}, /* a's organisation */
    {"f", "1234651-9", "other", "\"node\", \"party\"", "\"mikkeli\", \"pieksamaki\"", false},
    {"g", "1234658-6", "other", "\"node\", \"party\"", "\"mikkeli\", \"pieksamaki\"", false},
    {"n", "1234602-5", "other", "\"node\", \"party\"", "", true},
    {"op", "1234609-2", "other", "\"operator\", \"node\"", "", false},
    {"drv", "1234623-6", "other", "\"node\", \"speaker:bench\"", "\"bench\"", false},
    {"x", "1234637-5", "other", "\"node\"", "\"bench\"", false},
    {"y", "1234644-7", "other", "\"node\"", "\"bench\"", false},
    {"p", "1234652-7", "other", "\"node\", \"party\", \"coordinator:pieksamaki\"", "\"pieksamaki\"",
     false},
    {"t", "1234653-5", "other", "\"node\", \"party\", \"coordinator:turku\"", "\"turku\"", false},
};
enum { COUNT = sizeof members / sizeof *members };

static void write_json(desk_t *d, const uint8_t authority[32], char curves[][41])
{
    char hex[65];
    kap_buf_t *json = &d->json;

    kap_hex_encode(authority, 32, hex);
    kap_buf_printf(json,
                   "{\"mesh\": \"%s\", \"regions\": [{\"id\": \"mikkeli\", \"area\": "
                   "\"etela-savo\"}, {\"id\": \"pieksamaki\", \"area\": \"etela-savo\"}, {\"id\": "
                   "\"turku\", \"area\": \"varsinais-suomi\"}, {\"id\": \"bench\", \"kind\": "
                   "\"bench\"}], \"members\": [",
                   hex);
    for (int i = 0; i < COUNT; i++) {
        char sealing[65], signing[65];
        kap_seal_keys_t *seal = kap_seal_keys_new();
        kap_sign_keys_t *sign = kap_sign_keys_new();
        kap_hex_encode(seal->public, 32, sealing);
        kap_hex_encode(sign->public, 32, signing);
        kap_seal_keys_destroy(&seal);
        kap_sign_keys_destroy(&sign);
        kap_buf_printf(json,
                       "%s{\"id\": \"%s\", \"organisation\": \"%s\", \"type\": \"%s\", \"roles\": "
                       "[%s], \"regions\": [%s], \"national\": %s, \"sealing\": \"%s\", "
                       "\"signing\": \"%s\", \"name\": {\"fi\": \"Toimija %s\"}, \"curve\": \"",
                       i == 0 ? "" : ", ", members[i].id, members[i].organisation, members[i].type,
                       members[i].roles, members[i].regions, members[i].national ? "true" : "false",
                       sealing, signing, members[i].id);
        kap_buf_json_text(json, kap_span_str(curves[i]));
        kap_buf_str(json, "\"}");
    }
    kap_buf_str(json, "]}\n");
}

static void open_store(desk_t *d)
{
    kap_store_opts_t opts = {.path = d->path,
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .memory = d->memory};

    cr_assert_eq(kap_store_open(&opts, &d->store), KAP_OK);
    int rc = kap_engine_open(d->store, d->mesh, d->figures, &d->engine);
    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
    cr_assert_eq(kap_engine_set_directory(d->engine, d->dir, kap_buf_span(&d->json)), KAP_OK);
}

void desk_open(desk_t *d, bool memory)
{
    uint8_t authority[32];
    kap_buf_t messages = {0};

    memset(d, 0, sizeof *d);
    d->memory = memory;
    d->figures = true;
    d->now = START;
    d->arena = kap_arena_new(64 << 10);
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    kap_random(authority, sizeof authority);
    kap_span_t part = kap_span(authority, sizeof authority);
    kap_hash256(d->mesh, &part, 1);
    for (int i = 0; i < COUNT; i++) {
        kap_curve_t *keys = kap_curve_new();
        kap_z85_encode(d->keys[i], keys->public, 32);
        kap_curve_destroy(&keys);
    }
    write_json(d, authority, d->keys);
    int rc = kap_directory_parse(kap_buf_span(&d->json), &d->dir, &messages);
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    snprintf(d->path, sizeof d->path, "/tmp/kapula-desk-XXXXXX");
    if (!memory)
        cr_assert_not_null(mkdtemp(d->path));
    open_store(d);
}

void desk_close(desk_t *d)
{
    char command[64];

    kap_batch_unref(&d->last);
    kap_job_destroy(&d->job);
    kap_engine_close(&d->engine);
    kap_store_close(&d->store);
    kap_directory_unref(&d->dir);
    kap_buf_fini(&d->json);
    kap_arena_destroy(&d->arena);
    if (!d->memory) {
        snprintf(command, sizeof command, "rm -rf %s", d->path);
        cr_assert_eq(system(command), 0);
    }
}

void desk_reopen(desk_t *d)
{
    cr_assert(!d->memory);
    kap_engine_close(&d->engine);
    kap_store_close(&d->store);
    open_store(d);
}

const char *desk_key(const desk_t *d, const char *member)
{
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(members[i].id, member) == 0)
            return d->keys[i];
    }
    return "";
}

desk_source_t *desk_source(desk_t *d, const char *source)
{
    char name[64];

    snprintf(name, sizeof name, strchr(source, '/') ? "%s" : "%s/p", source);
    for (int i = 0; i < DESK_SOURCES; i++) {
        if (d->sources[i].name[0] == '\0')
            memcpy(d->sources[i].name, name, sizeof name);
        if (strcmp(d->sources[i].name, name) == 0)
            return &d->sources[i];
    }
    cr_assert_fail("too many sources");
    return NULL;
}

static void finish_event(desk_t *d)
{
    static const uint8_t salt[KAP_LIMIT_SALT_BYTES] = {1};
    kap_buf_t open = {0}, ends = {0};

    if (!d->building)
        return;
    d->building = false;
    int rc = kap_event_builder_finish(&d->builder, salt, kap_span(NULL, 0), &open, &ends);
    cr_assert_eq(rc, KAP_OK, "%s",
                 kap_field_row(d->builder.field) != NULL ? kap_field_row(d->builder.field)->wire
                                                         : "?");
    kap_span_t kept_open = kap_arena_dup(d->job->arena, kap_buf_span(&open));
    kap_span_t kept_ends = kap_arena_dup(d->job->arena, kap_buf_span(&ends));
    kap_event_t *ev = &d->job->events[d->job->count++];
    kap_event_decode(kept_open, kept_ends, kap_span(NULL, 0), d->job->arena, ev, NULL);
    d->job->bytes += open.size + ends.size;
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    d->text_used = 0;
}

static const char *lend(desk_t *d, const char *text)
{
    size_t size = strlen(text) + 1;

    cr_assert_leq(d->text_used + size, sizeof d->text);
    char *at = d->text + d->text_used;
    memcpy(at, text, size);
    d->text_used += size;
    return at;
}

static void begin_job(desk_t *d, desk_source_t *source)
{
    char member[64];

    if (d->job != NULL) {
        cr_assert_eq(d->source, source, "one job, one source: send first");
        return;
    }
    d->source = source;
    d->job = kap_job_new();
    d->job->arena = kap_arena_new(16 << 10);
    d->job->events = kap_arena_calloc(d->job->arena, DESK_EVENTS, sizeof *d->job->events);
    snprintf(member, sizeof member, "%.*s", (int)strcspn(source->name, "/"), source->name);
    snprintf(d->job->key, sizeof d->job->key, "%s", desk_key(d, member));
    kap_span_t name = kap_arena_dup(d->job->arena, kap_span_str(source->name));
    d->job->header.source = name;
    d->job->header.first = source->last + 1;
}

void desk_event(desk_t *d, const char *source, kap_event_type_t type, int64_t time)
{
    desk_source_t *from = desk_source(d, source);
    char id[40];

    finish_event(d);
    begin_job(d, from);
    cr_assert_lt(d->job->count, DESK_EVENTS);
    snprintf(id, sizeof id, "event-%llu", (unsigned long long)++d->ids);
    kap_event_builder_begin(&d->builder, type, kap_span_str(lend(d, id)), d->job->header.source,
                            ++from->last, time, time);
    d->building = true;
}

void desk_span(desk_t *d, kap_field_t field, const char *value)
{
    kap_event_builder_set_span(&d->builder, field, kap_span_str(lend(d, value)));
}

void desk_code(desk_t *d, kap_field_t field, int code)
{
    kap_event_builder_set_code(&d->builder, field, code);
}

void desk_int(desk_t *d, kap_field_t field, int64_t value)
{
    kap_event_builder_set_int(&d->builder, field, value);
}

void desk_group(desk_t *d, const char *group)
{
    kap_event_builder_set_group(&d->builder, kap_span_str(lend(d, group)));
}

static void raw(desk_t *d, kap_field_t field, kap_buf_t *value)
{
    cr_assert_leq(d->text_used + value->size, sizeof d->text);
    memcpy(d->text + d->text_used, value->data, value->size);
    kap_event_builder_set_raw(&d->builder, field, kap_span(d->text + d->text_used, value->size));
    d->text_used += value->size;
    kap_buf_fini(value);
}

static uint32_t items_of(const char *text)
{
    uint32_t count = *text != '\0';

    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

/* Puts the words of a text that ',' and '=' part. */
static void put_words(kap_buf_t *value, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ",=");
        kap_mp_put_str(value, kap_span(text, size));
        text += size + (text[size] != '\0');
    }
}

void desk_list(desk_t *d, kap_field_t field, const char *items)
{
    kap_buf_t value = {0};

    kap_mp_put_array(&value, items_of(items));
    put_words(&value, items);
    raw(d, field, &value);
}

void desk_map(desk_t *d, kap_field_t field, const char *pairs)
{
    kap_buf_t value = {0};

    kap_mp_put_map(&value, items_of(pairs));
    put_words(&value, pairs);
    raw(d, field, &value);
}

void desk_created(desk_t *d, const char *source, const char *referral, const char *case_id,
                  const char *from, const char *to, const char *region, const char *parent)
{
    static const kap_basis_t basis = {
        .disclosure = KAP_DISCLOSURE_NOT_SECRET, .gdpr = KAP_GDPR_PUBLIC_TASK, .consent_how = -1};

    desk_event(d, source, KAP_EV_REFERRAL_CREATED, d->now);
    desk_span(d, KAP_F_REFERRAL, referral);
    desk_span(d, KAP_F_CASE, case_id);
    desk_span(d, KAP_F_FROM, from);
    desk_span(d, KAP_F_TO, to);
    desk_span(d, KAP_F_REGION, region);
    desk_code(d, KAP_F_KIND, KAP_KIND_TRANSFER);
    desk_code(d, KAP_F_SERVICE, KAP_SERVICE_STARTUP_ADVICE);
    desk_code(d, KAP_F_SEGMENT, KAP_SEGMENT_UNKNOWN);
    kap_event_builder_set_basis(&d->builder, &basis);
    if (parent != NULL)
        desk_span(d, KAP_F_PARENT, parent);
}

void desk_referral(desk_t *d, const char *source, kap_event_type_t type, const char *referral)
{
    desk_event(d, source, type, d->now);
    desk_span(d, KAP_F_REFERRAL, referral);
    if (type == KAP_EV_REFERRAL_COMPLETED)
        desk_code(d, KAP_F_OUTCOME, KAP_OUTCOME_HANDLED);
    if (type == KAP_EV_REFERRAL_DECLINED || type == KAP_EV_REFERRAL_REDIRECTED)
        desk_code(d, KAP_F_REASON, KAP_DECLINE_NO_CAPACITY);
    if (type == KAP_EV_REFERRAL_WITHDRAWN)
        desk_code(d, KAP_F_WITHDRAW_REASON, KAP_WITHDRAW_CUSTOMER_REQUEST);
    if (type == KAP_EV_REFERRAL_VOIDED)
        desk_code(d, KAP_F_VOID_REASON, 0);
    if (type == KAP_EV_REFERRAL_CONTACTED)
        desk_code(d, KAP_F_CONTACT, KAP_CONTACT_REACHED);
}

kap_job_t *desk_take(desk_t *d)
{
    finish_event(d);
    kap_job_t *job = d->job;
    d->job = NULL;
    if (job != NULL)
        job->header.count = job->count;
    return job;
}

void desk_run(desk_t *d, kap_job_t *jobs, bool expire)
{
    kap_engine_turn_t turn = {.now = d->now, .expire = expire};
    bool more;

    kap_batch_unref(&d->last);
    int rc = kap_engine_batch(d->engine, jobs, &turn, &d->last, &more);
    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
}

int desk_send(desk_t *d)
{
    desk_run(d, desk_take(d), false);
    return d->last->result_count > 0 ? d->last->results[0].status : KAP_RECEIPT_OK;
}

const kap_decided_t *desk_decided(const desk_t *d, uint32_t i)
{
    cr_assert_gt(d->last->results[0].count, i);
    return &d->last->results[0].decided[i];
}

int desk_said(desk_t *d)
{
    int status = desk_send(d);

    cr_assert_eq(status, KAP_RECEIPT_OK, "status %d", status);
    const kap_decided_t *said = desk_decided(d, 0);
    if (said->verdict == KAP_VERDICT_ALREADY_SO)
        return -1;
    cr_assert_eq(said->verdict == KAP_VERDICT_REFUSED, said->why.number != 0);
    return said->why.number;
}

uint32_t desk_expire(desk_t *d)
{
    desk_run(d, NULL, true);
    return d->last->entry_count;
}

static kap_txn_t *reading(desk_t *d)
{
    kap_txn_t *txn;

    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    return txn;
}

int desk_state(desk_t *d, const char *referral)
{
    kap_txn_t *txn = reading(d);
    kap_referral_row_t row;
    int rc = kap_rows_referral(txn, 0, kap_span_str(referral), &row);

    kap_txn_abort(&txn);
    return rc == KAP_OK ? row.r.state : KAP_STATE_NONE;
}

/* The spans of the answer outlive the transaction: nobody writes before they are looked at. */
void desk_ask(desk_t *d, const kap_edges_query_t *query, kap_edges_t *edges)
{
    kap_txn_t *txn = reading(d);
    int rc = kap_figures_edges(txn, query, d->dir, d->arena, edges);

    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
    for (uint32_t i = 0; i < edges->count; i++) {
        edges->edges[i].from = kap_arena_dup(d->arena, edges->edges[i].from);
        edges->edges[i].to = kap_arena_dup(d->arena, edges->edges[i].to);
        edges->edges[i].from_name = kap_arena_dup(d->arena, edges->edges[i].from_name);
        edges->edges[i].to_name = kap_arena_dup(d->arena, edges->edges[i].to_name);
    }
    kap_txn_abort(&txn);
}

void desk_edges(desk_t *d, const char *region, kap_edges_t *edges)
{
    kap_edges_query_t query = {
        .region = kap_span_str(region), .zone = KAP_ZONE_HELSINKI, .elapsed = true};

    desk_ask(d, &query, edges);
}

const kap_edge_t *desk_edge(const kap_edges_t *edges, const char *from, const char *to)
{
    for (uint32_t i = 0; i < edges->count; i++) {
        if (kap_span_eq_str(edges->edges[i].from, from) && kap_span_eq_str(edges->edges[i].to, to))
            return &edges->edges[i];
    }
    return NULL;
}

/* An assertion that fails when a test is torn down fails nothing: a signal does. */
void desk_audit(desk_t *d)
{
    kap_audit_report_t report = {0};
    kap_buf_t what = {0};
    int rc = kap_ledger_audit(d->store, &report, &what);
    bool all = report.events == kap_engine_head(d->engine)->seq;

    if (rc != KAP_OK || report.differences != 0 || !all) {
        fprintf(stderr, "recount: %s, %llu events\n%s", kap_err_name(rc),
                (unsigned long long)report.events, kap_buf_cstr(&what));
        abort();
    }
    kap_buf_fini(&what);
}
