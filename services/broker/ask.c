/* SPDX-License-Identifier: MPL-2.0 */
#include "ask.h"

#include <stdio.h>
#include <string.h>

#include "access.h"
#include "ask_follow.h"
#include "ask_metrics.h"
#include "audit.h"
#include "err.h"
#include "figures.h"
#include "frame.h"
#include "hide_edges.h"
#include "rows.h"
#include "seeded.h"

/* A map whose pairs are counted as they come. */
typedef struct {
    kap_buf_t buf;
    uint32_t count;
} pairs_t;

static kap_buf_t *pair(pairs_t *pairs, const char *key)
{
    pairs->count++;
    kap_mp_put_cstr(&pairs->buf, key);
    return &pairs->buf;
}

static void pair_span(pairs_t *pairs, const char *key, kap_span_t text)
{
    if (text.size > 0)
        kap_mp_put_str(pair(pairs, key), text);
}

static void pair_code(pairs_t *pairs, const char *key, kap_code_list_t list, int code)
{
    const char *name = code >= 0 ? kap_code_name(list, code) : NULL;
    if (name)
        kap_mp_put_cstr(pair(pairs, key), name);
}

static void pair_time(pairs_t *pairs, const char *key, int64_t at)
{
    if (at != KAP_REFERRAL_NO_TIME)
        kap_mp_put_int(pair(pairs, key), at);
}

/* Appends the pairs as a map and frees them. */
static void put_pairs(kap_buf_t *out, pairs_t *pairs)
{
    kap_mp_put_map(out, pairs->count);
    kap_buf_append(out, kap_buf_span(&pairs->buf));
    if (pairs->buf.err && !out->err)
        out->err = pairs->buf.err;
    kap_buf_fini(&pairs->buf);
}

static kap_span_t text_of(const kap_ask_t *ask, const char *key)
{
    return kap_mp_get_str(ask->query.root, key);
}

static int refuse(kap_ask_t *ask, uint16_t refusal, const char *why)
{
    ask->refusal = refusal;
    ask->why = why;
    return KAP_OK;
}

/* The same for a name that was asked for and is not there; at worst without the name. */
static int refuse_name(kap_ask_t *ask, const char *what, kap_span_t name)
{
    size_t size = strlen(what) + name.size + 16;
    char *why = kap_arena_alloc(ask->arena, size);
    if (why)
        snprintf(why, size, "there is no %s %.*s", what, (int)name.size, (const char *)name.data);
    return refuse(ask, KAP_REFUSAL_REQUEST_NOT_FOUND, why);
}

static void put_uint(kap_buf_t *out, const char *key, uint64_t value)
{
    kap_mp_put_cstr(out, key);
    kap_mp_put_uint(out, value);
}

/* Begins the answer with the position of this snapshot. */
static int begin(kap_ask_t *ask, kap_txn_t *txn, uint32_t pairs)
{
    kap_head_t head = {0};
    int rc = kap_rows_head(txn, &head);
    if (rc == KAP_OK)
        kap_answer_begin(&ask->out, head.seq, head.time, pairs);
    return rc;
}

/* Is NAME an archive? */
static int is_archive(kap_txn_t *txn, kap_span_t name, bool *archive)
{
    kap_archive_t row;
    int rc = name.size > 0 ? kap_rows_archive(txn, name, &row) : KAP_E_NOTFOUND;
    *archive = rc == KAP_OK;
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* --- mark --- */

static int ask_mark(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_mark_t mark;
    int rc = kap_rows_mark(txn, text_of(ask, "source"), &mark);
    if (rc != KAP_OK)
        return rc;
    rc = begin(ask, txn, mark.last ? 3 : 2);
    kap_mp_put_cstr(&ask->out, "last");
    kap_mp_put_uint(&ask->out, mark.last);
    if (mark.last) {
        kap_mp_put_cstr(&ask->out, "hash");
        kap_mp_put_bin(&ask->out, kap_span(mark.hash, sizeof mark.hash));
    }
    kap_mp_put_cstr(&ask->out, "epoch");
    kap_mp_put_bin(&ask->out, kap_span(ask->epoch, sizeof ask->epoch));
    return rc;
}

/* --- edges --- */

static bool date_param(const kap_ask_t *ask, const char *key, bool *has, kap_date_t *date)
{
    kap_span_t text = text_of(ask, key);
    *has = text.size > 0;
    return !*has || kap_date_parse(text, date) == KAP_OK;
}

/* One of two words, absent: the one that `second` says. */
static bool word_param(const kap_ask_t *ask, const char *key, const char *first, const char *second,
                       bool *is_second)
{
    kap_span_t text = text_of(ask, key);
    if (kap_span_eq_str(text, second))
        *is_second = true;
    else if (kap_span_eq_str(text, first))
        *is_second = false;
    else
        return text.size == 0;
    return true;
}

/* after? = [from, to] of the last edge that the asker has. */
static bool after_param(const kap_ask_t *ask, kap_edges_query_t *query)
{
    const kap_mp_t *after = kap_mp_get(ask->query.root, "after");
    return !after || (kap_mp_str(kap_mp_item(after, 0), &query->after_from) &&
                      kap_mp_str(kap_mp_item(after, 1), &query->after_to));
}

static bool edges_params(const kap_ask_t *ask, bool archive, kap_edges_query_t *query)
{
    bool utc = archive, elapsed = archive, customer = false;
    *query = (kap_edges_query_t){.region = text_of(ask, "region")};
    if (!date_param(ask, "from", &query->has_from, &query->from) ||
        !date_param(ask, "to", &query->has_to, &query->to) ||
        !word_param(ask, "zone", "Europe/Helsinki", "UTC", &utc) ||
        !word_param(ask, "time", "working", "elapsed", &elapsed) ||
        !word_param(ask, "clock", "recipient", "customer", &customer) || !after_param(ask, query))
        return false;
    query->zone = utc ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI;
    query->elapsed = elapsed;
    query->clock = customer ? KAP_CLOCK_CUSTOMER : KAP_CLOCK_RECIPIENT;
    return true;
}

/* The region is one of the directory: all else is seen in full or not at all. */
static void hide_edges(const kap_ask_t *ask, kap_see_t see, const kap_edges_query_t *query,
                       kap_edges_t *edges)
{
    const kap_region_t *region = kap_directory_region(ask->dir, query->region);
    kap_hide_from_t whom = {.see = see,
                            .totals = region->area.size > 0 &&
                                      kap_may_see_area(ask->who, region->area) == KAP_SEE_FULL,
                            .self = ask->who->id,
                            .k = region->hidden_below,
                            .now = ask->now > edges->as_of_time ? ask->now : edges->as_of_time};
    kap_hide_edges(edges, query, &whom);
}

static int ask_edges(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_edges_query_t query;
    kap_edges_t edges;
    bool archive;
    int rc = is_archive(txn, text_of(ask, "region"), &archive);
    if (rc != KAP_OK)
        return rc;
    kap_see_t see = kap_may_see(ask->dir, ask->who, text_of(ask, "region"), archive);
    if (see == KAP_SEE_NOTHING)
        return refuse_name(ask, "region or archive", text_of(ask, "region"));
    if (!edges_params(ask, archive, &query))
        return refuse(ask, KAP_REFUSAL_REQUEST_PARAMETER,
                      "from and to are YYYY-MM-DD, zone Europe/Helsinki or UTC, clock recipient or "
                      "customer, time working or elapsed, after [from, to] of an edge");
    rc = kap_figures_edges(txn, &query, ask->dir, ask->arena, &edges);
    if (rc != KAP_OK)
        return rc;
    if (see != KAP_SEE_FULL)
        hide_edges(ask, see, &query, &edges);
    kap_figures_edges_encode(&ask->out, &query, &edges);
    return KAP_OK;
}

/* --- referral, case --- */

static void put_referral(kap_buf_t *out, kap_span_t id, const kap_referral_t *r, bool ends)
{
    pairs_t p = {0};
    pair_span(&p, "id", id);
    kap_mp_put_cstr(pair(&p, "state"), kap_state_name(r->state));
    pair_span(&p, "from", r->from);
    pair_span(&p, "to", r->to);
    pair_span(&p, "region", r->region);
    pair_code(&p, "kind", KAP_LIST_KIND, r->kind);
    pair_code(&p, "service", KAP_LIST_SERVICE, r->service);
    pair_code(&p, "segment", KAP_LIST_SEGMENT, r->segment);
    pair_code(&p, "language", KAP_LIST_LANGUAGE, r->language);
    pair_code(&p, "origin", KAP_LIST_ORIGIN, r->origin);
    pair_time(&p, "created_at", r->created_at);
    pair_time(&p, "delivered_at", r->delivered_at);
    pair_time(&p, "accepted_at", r->accepted_at);
    pair_time(&p, "contact_at", r->contact_at);
    pair_time(&p, "ended_at", r->ended_at);
    pair_time(&p, "answer_received_at", r->answer_received_at);
    pair_time(&p, "expired_at", r->expired_at);
    if (r->due_kind != KAP_DEADLINE_NONE)
        pair_time(&p, "due_at", r->due_at);
    kap_mp_put_bool(pair(&p, "on_hold"), (r->flags & KAP_RF_ON_HOLD) != 0);
    kap_mp_put_bool(pair(&p, "late"), (r->flags & KAP_RF_LATE) != 0);
    kap_mp_put_bool(pair(&p, "withdraw_requested"), (r->flags & KAP_RF_WITHDRAW_REQUESTED) != 0);
    kap_mp_put_uint(pair(&p, "attempts"), r->attempts);
    if (ends) {
        pair_span(&p, "case", r->case_id);
        pair_span(&p, "parent", r->parent);
        pair_span(&p, "next", r->next);
        pair_code(&p, "outcome", KAP_LIST_OUTCOME, r->outcome);
        pair_code(&p, "detail", KAP_LIST_DETAIL, r->detail);
        pair_code(&p, "reason",
                  r->state == KAP_STATE_WITHDRAWN ? KAP_LIST_WITHDRAW
                  : r->state == KAP_STATE_VOIDED  ? KAP_LIST_VOID
                                                  : KAP_LIST_DECLINE,
                  r->reason);
    }
    put_pairs(out, &p);
}

/* May the asker see all of a referral? An archive's actors have no keys: it is the operator's. */
static bool is_end(const kap_ask_t *ask, bool archive, kap_span_t from, kap_span_t to)
{
    if (archive)
        return kap_may_operate(ask->who);
    return ask->who->roles & KAP_ROLE_NODE &&
           (kap_span_eq(from, ask->who->id) || kap_span_eq(to, ask->who->id));
}

/* Scope of the ids asked for: the mesh's, or those of the archive that `region` names. */
static int scope_of(const kap_ask_t *ask, kap_txn_t *txn, uint32_t *scope, bool *archive)
{
    int rc = is_archive(txn, text_of(ask, "region"), archive);
    *scope = 0;
    if (rc == KAP_OK && *archive)
        rc = kap_rows_scope(txn, text_of(ask, "region"), scope);
    return rc;
}

static int ask_referral(kap_ask_t *ask, kap_txn_t *txn)
{
    uint32_t scope;
    bool archive;
    kap_referral_row_t row;
    int rc = scope_of(ask, txn, &scope, &archive);
    if (rc != KAP_OK)
        return rc;
    rc = kap_rows_referral(txn, scope, text_of(ask, "id"), &row);
    if (rc == KAP_E_NOTFOUND)
        return refuse(ask, KAP_REFUSAL_REQUEST_NOT_FOUND, NULL);
    if (rc != KAP_OK)
        return rc;
    bool ends = is_end(ask, archive, row.r.from, row.r.to);
    if (!ends && (archive || kap_may_see(ask->dir, ask->who, row.r.region, false) != KAP_SEE_FULL))
        return refuse(ask, KAP_REFUSAL_REQUEST_NOT_FOUND, NULL);
    rc = begin(ask, txn, 1);
    kap_mp_put_cstr(&ask->out, "referral");
    put_referral(&ask->out, text_of(ask, "id"), &row.r, ends);
    return rc;
}

static void put_node(kap_buf_t *out, const kap_case_t *c, const kap_case_node_t *node, bool parent)
{
    pairs_t p = {0};
    pair_span(&p, "id", node->referral);
    pair_span(&p, "from", node->from);
    pair_span(&p, "to", node->to);
    if (parent)
        pair_span(&p, "parent", c->nodes[node->parent].referral);
    kap_mp_put_cstr(pair(&p, "state"), kap_state_name(node->state));
    pair_code(&p, "kind", KAP_LIST_KIND, node->kind);
    pair_code(&p, "outcome", KAP_LIST_OUTCOME, node->outcome);
    pair_time(&p, "created_at", node->created_at);
    pair_time(&p, "delivered_at", node->delivered_at);
    pair_time(&p, "accepted_at", node->accepted_at);
    pair_time(&p, "ended_at", node->ended_at);
    put_pairs(out, &p);
}

static int ask_case(kap_ask_t *ask, kap_txn_t *txn)
{
    uint32_t scope, shown = 0;
    bool archive;
    kap_case_t c;
    kap_buf_t list = {0};
    int rc = scope_of(ask, txn, &scope, &archive);
    if (rc == KAP_OK)
        rc = kap_rows_case(txn, scope, text_of(ask, "id"), ask->arena, &c);
    if (rc != KAP_OK)
        return rc == KAP_E_NOTFOUND ? refuse(ask, KAP_REFUSAL_REQUEST_NOT_FOUND, NULL) : rc;
    for (uint32_t i = 0; i < c.count; i++) {
        const kap_case_node_t *node = &c.nodes[i];
        if (!is_end(ask, archive, node->from, node->to))
            continue;
        put_node(&list, &c, node, node->parent != KAP_CASE_NO_PARENT);
        shown++;
    }
    if (shown == 0) {
        refuse(ask, KAP_REFUSAL_REQUEST_NOT_FOUND, NULL);
        goto done;
    }
    rc = begin(ask, txn, 3);
    kap_mp_put_cstr(&ask->out, "case");
    kap_mp_put_str(&ask->out, text_of(ask, "id"));
    kap_mp_put_cstr(&ask->out, "hidden");
    kap_mp_put_uint(&ask->out, c.count - shown);
    kap_mp_put_cstr(&ask->out, "referrals");
    kap_mp_put_array(&ask->out, shown);
    kap_buf_append(&ask->out, kap_buf_span(&list));
    if (list.err)
        rc = list.err;
done:
    kap_buf_fini(&list);
    return rc;
}

/* --- streams --- */

/* Adds the stream's head if it may be read. */
static int put_stream(kap_ask_t *ask, kap_txn_t *txn, kap_span_t name, kap_buf_t *list,
                      uint32_t *count)
{
    uint64_t head = 0;
    if (!kap_may_read(ask->dir, ask->who, name, true))
        return KAP_OK;
    int rc = kap_rows_stream_head(txn, name, &head);
    if (rc != KAP_OK)
        return rc;
    kap_mp_put_map(list, 2);
    kap_mp_put_cstr(list, "stream");
    kap_mp_put_str(list, name);
    kap_mp_put_cstr(list, "head");
    kap_mp_put_uint(list, head);
    ++*count;
    return KAP_OK;
}

static int put_named(kap_ask_t *ask, kap_txn_t *txn, kap_buf_t *name, const char *kind,
                     kap_span_t id, kap_buf_t *list, uint32_t *count)
{
    kap_buf_reset(name);
    kap_buf_str(name, kind);
    kap_buf_append(name, id);
    return name->err ? name->err : put_stream(ask, txn, kap_buf_span(name), list, count);
}

static int ask_streams(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_buf_t list = {0}, name = {0};
    uint32_t count = 0;
    int rc = KAP_OK;
    const kap_mp_t *named = kap_mp_get(ask->query.root, "streams"), *item;
    for (uint32_t i = 0; rc == KAP_OK && (item = kap_mp_item(named, i)) != NULL; i++) {
        kap_span_t text;
        if (kap_mp_str(item, &text))
            rc = put_stream(ask, txn, text, &list, &count);
    }
    if (!named)
        rc = put_named(ask, txn, &name, "member/", ask->who->id, &list, &count);
    for (uint32_t i = 0; !named && rc == KAP_OK && i < kap_directory_region_count(ask->dir); i++)
        rc = put_named(ask, txn, &name, "region/", kap_directory_region_at(ask->dir, i)->id, &list,
                       &count);
    if (rc == KAP_OK)
        rc = begin(ask, txn, 1);
    kap_mp_put_cstr(&ask->out, "streams");
    kap_mp_put_array(&ask->out, count);
    kap_buf_append(&ask->out, kap_buf_span(&list));
    if (rc == KAP_OK)
        rc = list.err;
    kap_buf_fini(&name);
    kap_buf_fini(&list);
    return rc;
}

/* --- archive --- */

static int ask_archive(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_archive_t row;
    int rc = kap_rows_archive(txn, text_of(ask, "name"), &row);
    if (rc == KAP_E_NOTFOUND)
        return refuse(ask, KAP_REFUSAL_REQUEST_NOT_FOUND, NULL);
    if (rc != KAP_OK)
        return rc;
    rc = begin(ask, txn, 1);
    pairs_t p = {0};
    pair_span(&p, "name", text_of(ask, "name"));
    pair_span(&p, "source", row.source);
    pair_span(&p, "attribute", row.attribute);
    pair_span(&p, "options", row.options);
    kap_mp_put_bin(pair(&p, "digest"), kap_span(row.digest, sizeof row.digest));
    kap_mp_put_uint(pair(&p, "opened_seq"), row.opened_seq);
    kap_mp_put_uint(pair(&p, "closed_seq"), row.closed_seq);
    kap_mp_put_cstr(&ask->out, "archive");
    put_pairs(&ask->out, &p);
    return rc;
}

/* --- audit --- */

/* One slice of the recount; the answer comes with the last one. */
static int ask_audit(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_audit_report_t report;
    kap_buf_t what = {0};
    int rc = ask->audit ? KAP_OK : kap_audit_new(&ask->audit);
    if (rc == KAP_OK)
        rc = kap_audit_step(ask->audit, txn, &what);
    if (rc == KAP_OK) {
        kap_audit_report(ask->audit, &report);
        rc = begin(ask, txn, 6);
        put_uint(&ask->out, "events", report.events);
        put_uint(&ask->out, "rows", report.rows);
        put_uint(&ask->out, "position", report.position);
        put_uint(&ask->out, "figures_seq", report.figures_seq);
        put_uint(&ask->out, "differences", report.differences);
        kap_mp_put_cstr(&ask->out, "what");
        kap_mp_put_str(&ask->out, kap_buf_span(&what));
    }
    kap_buf_fini(&what);
    return rc;
}

/* --- life --- */

int kap_ask_init(kap_ask_t *ask, kap_directory_t *dir, const kap_member_t *who, kap_span_t body,
                 const char **why)
{
    *ask = (kap_ask_t){.dir = kap_directory_ref(dir), .who = who};
    ask->arena = kap_arena_new(4096);
    if (!ask->arena)
        return KAP_E_NOMEM;
    kap_span_t copy = kap_arena_dup(ask->arena, body);
    if (!copy.data)
        return KAP_E_NOMEM;
    return kap_query_decode(copy, ask->arena, &ask->query, why);
}

void kap_ask_fini(kap_ask_t *ask)
{
    kap_audit_destroy(&ask->audit);
    kap_buf_fini(&ask->out);
    kap_arena_destroy(&ask->arena);
    if (ask->dir)
        kap_directory_unref(&ask->dir);
}

bool kap_ask_wants_seen(const kap_ask_t *ask)
{
    return ask->query.query == KAP_QUERY_METRICS &&
           kap_metric_find(text_of(ask, "metric")) == KAP_METRIC_SILENT_EDGES;
}

void kap_ask_renew(kap_ask_t *ask, kap_directory_t *dir, const kap_member_t *who)
{
    kap_directory_t *old = ask->dir;
    ask->dir = kap_directory_ref(dir);
    ask->who = who;
    ask->refusal = 0;
    ask->why = NULL;
    kap_directory_unref(&old);
}

static bool id_fits(kap_span_t id)
{
    return id.size >= 1 && id.size <= KAP_LIMIT_ID_BYTES;
}

uint16_t kap_ask_allowed(const kap_ask_t *ask, const char **why)
{
    switch (ask->query.query) {
    case KAP_QUERY_MARK:
        *why = "source is <member>/<producer>";
        if (!id_fits(text_of(ask, "source")))
            return KAP_REFUSAL_REQUEST_PARAMETER;
        *why = NULL;
        return kap_may_source(ask->who, text_of(ask, "source")) || kap_may_operate(ask->who)
                   ? 0
                   : KAP_REFUSAL_NOT_ALLOWED_QUERY;
    case KAP_QUERY_EDGES:
        *why = "region is a region's id or an archive's name";
        return id_fits(text_of(ask, "region")) ? 0 : KAP_REFUSAL_REQUEST_PARAMETER;
    case KAP_QUERY_REFERRAL:
    case KAP_QUERY_CASE:
        *why = "id is 1 to 200 bytes";
        return id_fits(text_of(ask, "id")) ? 0 : KAP_REFUSAL_REQUEST_PARAMETER;
    case KAP_QUERY_ARCHIVE:
        *why = "name is an archive's name";
        return id_fits(text_of(ask, "name")) ? 0 : KAP_REFUSAL_REQUEST_PARAMETER;
    case KAP_QUERY_STREAMS:
        *why = "streams is a list of names, or absent";
        return !kap_mp_get(ask->query.root, "streams") ||
                       kap_mp_get(ask->query.root, "streams")->kind == KAP_MP_ARRAY
                   ? 0
                   : KAP_REFUSAL_REQUEST_PARAMETER;
    case KAP_QUERY_AUDIT:
        return kap_may_operate(ask->who) || KAP_SEEDED_BUG("audit_unchecked")
                   ? 0
                   : KAP_REFUSAL_NOT_ALLOWED_QUERY;
    case KAP_QUERY_FOLLOWED:
        return kap_ask_followed_allowed(ask, why);
    default:
        return 0;
    }
}

int kap_ask_store(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_buf_reset(&ask->out);
    switch (ask->query.query) {
    case KAP_QUERY_MARK:
        return ask_mark(ask, txn);
    case KAP_QUERY_EDGES:
        return ask_edges(ask, txn);
    case KAP_QUERY_REFERRAL:
        return ask_referral(ask, txn);
    case KAP_QUERY_CASE:
        return ask_case(ask, txn);
    case KAP_QUERY_STREAMS:
        return ask_streams(ask, txn);
    case KAP_QUERY_ARCHIVE:
        return ask_archive(ask, txn);
    case KAP_QUERY_AUDIT:
        return ask_audit(ask, txn);
    case KAP_QUERY_FOLLOWED:
        return kap_ask_followed(ask, txn);
    case KAP_QUERY_METRICS:
        return kap_ask_metrics(ask, txn);
    default:
        return refuse(ask, KAP_REFUSAL_REQUEST_QUERY, NULL);
    }
}
