/* SPDX-License-Identifier: MPL-2.0 */
#include "metric_ask.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "rows.h"
#include "tables.h"

enum { NAME_MAX_CHARS = 32, TWO_BREAKDOWNS_DAYS = 31, LIMIT_MAX = 100000 };

/* A request while it is read. */
typedef struct {
    kap_txn_t *txn;
    const kap_directory_t *dir;
    kap_arena_t *arena;
    const kap_mp_t *root;
    kap_metric_query_t *q;
    const char **why;
} reader_t;

/* --- refusing --- */

static int refuse(reader_t *r, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(reader_t *r, int rc, const char *format, ...)
{
    kap_buf_t buf = {0};
    va_list args;

    va_start(args, format);
    kap_buf_vprintf(&buf, format, args);
    va_end(args);
    *r->why = kap_arena_str(r->arena, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return *r->why == NULL ? KAP_E_NOMEM : rc;
}

/* Letters to change, add or take away to make one name of the other. */
static size_t distance(kap_span_t a, const char *b)
{
    size_t row[NAME_MAX_CHARS + 1], size = strlen(b);

    if (a.size > NAME_MAX_CHARS || size > NAME_MAX_CHARS)
        return SIZE_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 0; i < a.size; i++) {
        size_t before = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < size; j++) {
            size_t change = before + (a.data[i] != (uint8_t)b[j]);
            size_t least = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;
            before = row[j + 1];
            row[j + 1] = change < least ? change : least;
        }
    }
    return row[size];
}

/* Does the one begin with three letters of the other, or is it some slips away from it? */
static bool is_near(kap_span_t asked, const char *name)
{
    bool begins = asked.size >= 3 && strlen(name) >= 3 && memcmp(asked.data, name, 3) == 0;

    return begins || distance(asked, name) <= 3 ||
           (asked.size >= 4 && strlen(name) >= asked.size &&
            memmem(name, strlen(name), asked.data, asked.size) != NULL);
}

static int refuse_metric(reader_t *r, kap_span_t asked)
{
    kap_buf_t near = {0};

    for (int i = 0; i < KAP_METRIC_TOTAL; i++) {
        const char *name = kap_metric_row((kap_metric_t)i)->wire;
        if (is_near(asked, name))
            kap_buf_printf(&near, "%s%s", near.size > 0 ? ", " : "", name);
    }
    if (near.size == 0) {
        for (int i = 0; i < KAP_METRIC_TOTAL; i++)
            kap_buf_printf(&near, "%s%s", i > 0 ? ", " : "", kap_metric_row((kap_metric_t)i)->wire);
    }
    int rc = asked.size == 0
                 ? refuse(r, KAP_E_INVALID, "say which metric; there are %s", kap_buf_cstr(&near))
                 : refuse(r, KAP_E_INVALID, "there is no metric %.*s; there is %s",
                          KAP_SPAN_ARGS(kap_span_sub(asked, 0, KAP_LIMIT_ID_BYTES)),
                          kap_buf_cstr(&near));
    kap_buf_fini(&near);
    return rc;
}

/* Names joined by commas: of `by` and of kinds. */
static void join(kap_buf_t *buf, const char *name)
{
    kap_buf_printf(buf, "%s%s", buf->size > 0 ? ", " : "", name);
}

/* --- reading --- */

static kap_span_t text_of(const reader_t *r, const char *key)
{
    return kap_mp_get_str(r->root, key);
}

static bool has(const reader_t *r, const char *key)
{
    return kap_mp_get(r->root, key) != NULL;
}

/* One of two words; *second tells which, and stays as it is when there is none. */
static int read_word(reader_t *r, const char *key, const char *first, const char *second,
                     bool *is_second)
{
    kap_span_t text = text_of(r, key);

    if (!has(r, key))
        return KAP_OK;
    if (!kap_span_eq_str(text, first) && !kap_span_eq_str(text, second))
        return refuse(r, KAP_E_INVALID, "%s is %s or %s", key, first, second);
    *is_second = kap_span_eq_str(text, second);
    return KAP_OK;
}

static int read_metric(reader_t *r)
{
    kap_span_t name = text_of(r, "metric"), kind = text_of(r, "kind");
    int metric = kap_metric_find(name), asked = kap_metric_kind_find(kind);
    kap_buf_t kinds = {0};
    int rc = KAP_OK;

    if (metric < 0)
        return refuse_metric(r, name);
    const kap_metric_row_t *row = kap_metric_row((kap_metric_t)metric);
    r->q->metric = (kap_metric_t)metric;
    r->q->what.side = row->side;
    /* the first of its kinds is meant when none is said */
    r->q->kind =
        (kap_metric_kind_t)(has(r, "kind") ? (unsigned)asked : row->kinds & (~row->kinds + 1));
    for (unsigned bit = KAP_KIND_OF_COHORT; bit <= KAP_KIND_OF_NOW; bit <<= 1) {
        if (row->kinds & bit)
            join(&kinds, kap_metric_kind_name((kap_metric_kind_t)bit));
    }
    if (has(r, "kind") && (asked < 0 || !(row->kinds & (unsigned)asked)))
        rc = refuse(r, KAP_E_INVALID, "%s is told as %s", row->wire, kap_buf_cstr(&kinds));
    kap_buf_fini(&kinds);
    return rc;
}

/* --- of what --- */

static bool is_id(kap_span_t id)
{
    return id.size >= 1 && id.size <= KAP_LIMIT_ID_BYTES;
}

static int read_edge(reader_t *r)
{
    const kap_mp_t *edge = kap_mp_get(r->root, "edge");
    kap_scope_t *scope = &r->q->what.scope;

    if (!kap_mp_str(kap_mp_item(edge, 0), &scope->from) ||
        !kap_mp_str(kap_mp_item(edge, 1), &scope->to) || edge->count != 2 || !is_id(scope->from) ||
        !is_id(scope->to))
        return refuse(r, KAP_E_INVALID, "edge is [from, to], two members");
    return KAP_OK;
}

/* Exactly one thing that figures are asked of. */
static int read_scope(reader_t *r)
{
    kap_scope_t *scope = &r->q->what.scope;
    bool region = has(r, "region"), area = has(r, "area"), organisation = has(r, "organisation");
    bool nation = kap_mp_get_bool(r->root, "nation", false), member = has(r, "member");
    bool edge = has(r, "edge");

    if (region + area + nation + organisation > 1)
        return refuse(r, KAP_E_INVALID, "ask of one: region, area, nation or organisation");
    if (member + edge > 1 || ((member || edge) && (area || nation || organisation)))
        return refuse(r, KAP_E_INVALID,
                      "a member or an edge stands alone or beside a region, nothing else");
    if (!(region || area || nation || organisation || member || edge))
        return refuse(r, KAP_E_INVALID,
                      "say of what: region, area, nation (true), organisation, member or edge");
    scope->region = text_of(r, "region");
    scope->area = text_of(r, "area");
    scope->organisation = text_of(r, "organisation");
    scope->member = text_of(r, "member");
    scope->kind = edge           ? KAP_SCOPE_EDGE
                  : member       ? KAP_SCOPE_MEMBER
                  : organisation ? KAP_SCOPE_ORGANISATION
                  : nation       ? KAP_SCOPE_NATION
                  : area         ? KAP_SCOPE_AREA
                                 : KAP_SCOPE_REGION;
    if ((region && !is_id(scope->region)) || (area && !is_id(scope->area)) ||
        (member && !is_id(scope->member)) || (organisation && !is_id(scope->organisation)))
        return refuse(r, KAP_E_INVALID, "region, area, organisation and member are ids");
    return edge ? read_edge(r) : KAP_OK;
}

/* Of the directory; one that is gone keeps its name, by its figures or by who followed it. */
static int is_region(const reader_t *r, const kap_scope_t *scope, bool *is)
{
    bool counted = scope->region_number != 0 && kap_region_find(scope->region) >= 0;

    *is = counted || kap_directory_region(r->dir, scope->region) != NULL;
    return *is ? KAP_OK
               : kap_rows_is_in_succession(r->txn, KAP_SUCCEEDED_REGION, scope->region, is);
}

static int is_area(const reader_t *r, kap_span_t id, bool *is)
{
    *is = kap_area_find(id) >= 0;
    for (uint32_t i = 0; !*is && i < kap_directory_region_count(r->dir); i++)
        *is = kap_span_eq(kap_directory_region_at(r->dir, i)->area, id);
    return *is ? KAP_OK : kap_rows_is_in_succession(r->txn, KAP_SUCCEEDED_AREA, id, is);
}

static bool is_organisation(const reader_t *r, kap_span_t id)
{
    for (uint32_t i = 0; i < kap_directory_member_count(r->dir); i++) {
        if (kap_span_eq(kap_directory_member_at(r->dir, i)->organisation, id))
            return true;
    }
    return false;
}

static int refuse_name(reader_t *r, const char *what, kap_span_t id)
{
    return refuse(r, KAP_E_NOTFOUND, "there is no %s %.*s; `kapula directory` lists them", what,
                  KAP_SPAN_ARGS(kap_span_sub(id, 0, KAP_LIMIT_ID_BYTES)));
}

/* A member of the directory, or a name that referrals ever had at an end. */
static int find_member(reader_t *r, kap_span_t id, uint32_t number)
{
    if (id.size == 0 || number != 0)
        return KAP_OK;
    return !r->q->what.scope.utc && kap_directory_member(r->dir, id) != NULL
               ? KAP_OK
               : refuse_name(r, "member", id);
}

static int find_place(reader_t *r)
{
    kap_scope_t *scope = &r->q->what.scope;
    bool is = true;
    int rc = kap_scope_find(r->txn, scope);

    if (rc == KAP_OK && scope->region.size > 0 && !scope->utc)
        rc = is_region(r, scope, &is);
    if (rc == KAP_OK && !is)
        return refuse_name(r, "region or archive", scope->region);
    if (rc == KAP_OK && scope->kind == KAP_SCOPE_AREA)
        rc = is_area(r, scope->area, &is);
    return rc == KAP_OK && !is ? refuse_name(r, "area", scope->area) : rc;
}

static int find_scope(reader_t *r)
{
    kap_scope_t *scope = &r->q->what.scope;
    int rc = find_place(r);

    if (rc != KAP_OK)
        return rc;
    if (scope->kind == KAP_SCOPE_ORGANISATION && !is_organisation(r, scope->organisation))
        return refuse_name(r, "organisation", scope->organisation);
    if (scope->kind == KAP_SCOPE_MEMBER)
        return find_member(r, scope->member, scope->a);
    if (scope->kind != KAP_SCOPE_EDGE)
        return KAP_OK;
    rc = find_member(r, scope->from, scope->a);
    return rc != KAP_OK ? rc : find_member(r, scope->to, scope->b);
}

/* --- over which time --- */

static int read_date(reader_t *r, const char *key, bool *there, kap_date_t *date)
{
    *there = has(r, key);
    if (*there && (kap_date_parse(text_of(r, key), date) != KAP_OK || date->year > 9998))
        return refuse(r, KAP_E_INVALID, "%s is a day as 2026-01-31", key);
    return KAP_OK;
}

/* "2026-10", or "2026" where `month` is NULL. */
static bool read_start(kap_span_t text, size_t size, const char *rest, kap_date_t *date)
{
    char day[16] = {0};

    if (text.size != size)
        return false;
    memcpy(day, text.data, size);
    memcpy(day + size, rest, strlen(rest));
    return kap_date_parse(kap_span_str(day), date) == KAP_OK && date->year <= 9998;
}

static int read_days(reader_t *r, kap_zone_t zone)
{
    kap_date_t from = {1, 1, 1}, to = {1, 1, 1};
    bool has_from, has_to;
    int rc = read_date(r, "from", &has_from, &from);

    if (rc == KAP_OK)
        rc = read_date(r, "to", &has_to, &to);
    if (rc != KAP_OK)
        return rc;
    if (has_from && has_to && kap_date_cmp(from, to) >= 0)
        return refuse(
            r, KAP_E_INVALID,
            "from is a day before to, which is the first day left out: from 2026-01-01 to "
            "2026-02-01 is January");
    kap_window_days(&r->q->what.window, zone, has_from, from, has_to, to);
    return KAP_OK;
}

static int read_window(reader_t *r)
{
    bool utc = r->q->what.scope.utc;
    kap_date_t date;
    int rc = read_word(r, "zone", "Europe/Helsinki", "UTC", &utc);

    if (rc != KAP_OK)
        return rc;
    kap_zone_t zone = utc ? KAP_ZONE_UTC : KAP_ZONE_HELSINKI;
    if (has(r, "month") + has(r, "year") + (has(r, "from") || has(r, "to")) > 1)
        return refuse(r, KAP_E_INVALID, "give a month, a year, or from and to");
    if (has(r, "month")) {
        if (!read_start(text_of(r, "month"), strlen("2026-10"), "-01", &date))
            return refuse(r, KAP_E_INVALID, "month is as 2026-10");
        kap_window_month(&r->q->what.window, zone, date.year, date.month);
        return KAP_OK;
    }
    if (!has(r, "year"))
        return read_days(r, zone);
    if (!read_start(text_of(r, "year"), strlen("2026"), "-01-01", &date))
        return refuse(r, KAP_E_INVALID, "year is as 2026");
    kap_window_year(&r->q->what.window, zone, date.year);
    return KAP_OK;
}

/* --- by what --- */

static int refuse_by(reader_t *r)
{
    const kap_metric_row_t *row = kap_metric_row(r->q->metric);
    kap_buf_t list = {0};
    int rc;

    for (unsigned by = KAP_BY_EDGE; by < KAP_BY_COUNT; by++) {
        if (row->by >> by & 1)
            join(&list, kap_metric_by_name((kap_metric_by_t)by));
    }
    rc = list.size == 0 ? refuse(r, KAP_E_INVALID,
                                 "%s cannot be broken down; leave by and where out", row->wire)
                        : refuse(r, KAP_E_INVALID, "%s can be broken down by %s", row->wire,
                                 kap_buf_cstr(&list));
    kap_buf_fini(&list);
    return rc;
}

/* Rows that the scope has. */
static int check_by(reader_t *r)
{
    const kap_scope_t *scope = &r->q->what.scope;
    kap_metric_by_t by = r->q->by;

    if (by == KAP_BY_REGION && (scope->region.size > 0 || scope->kind == KAP_SCOPE_ORGANISATION))
        return refuse(r, KAP_E_INVALID,
                      "by region wants an area, the nation, or a member or edge without a region");
    if ((by == KAP_BY_EDGE && scope->kind == KAP_SCOPE_EDGE) ||
        (by == KAP_BY_MEMBER && (scope->kind == KAP_SCOPE_EDGE || scope->kind == KAP_SCOPE_MEMBER)))
        return refuse(
            r, KAP_E_INVALID,
            "by edge and by member want a region, an area, the nation or an organisation; "
            "by edge a member too");
    return KAP_OK;
}

static int read_by(reader_t *r)
{
    kap_span_t name = text_of(r, "by");
    int by = has(r, "by") ? kap_metric_by_find(name) : KAP_BY_NOTHING;

    if (by < 0 || (by != KAP_BY_NOTHING && !(kap_metric_row(r->q->metric)->by >> by & 1)))
        return refuse_by(r);
    r->q->by = (kap_metric_by_t)by;
    return check_by(r);
}

/* Days of a window; INT64_MAX when it is open. */
static int64_t days_of(const kap_window_t *w)
{
    return w->has_from && w->has_to ? kap_date_days(w->to) - kap_date_days(w->from) : INT64_MAX;
}

static int refuse_value(reader_t *r, kap_metric_by_t by)
{
    kap_buf_t list = {0};
    kap_breakdown_t breakdown = kap_metric_breakdown(by);
    const char *name;
    int rc;

    for (uint16_t value = 0; (name = kap_metric_value_name(breakdown, value)) != NULL; value++) {
        join(&list, name);
        if (breakdown == KAP_BREAKDOWN_WARM && value == 1)
            break;
    }
    rc = refuse(r, KAP_E_INVALID, "%s is one of %s", kap_metric_by_name(by), kap_buf_cstr(&list));
    kap_buf_fini(&list);
    return rc;
}

/* where: a map of one pair, {service: "training"}. */
static int read_where(reader_t *r)
{
    const kap_mp_t *where = kap_mp_get(r->root, "where");
    kap_span_t key = {0}, value = {0};
    bool warm;

    if (where == NULL)
        return KAP_OK;
    const kap_mp_t *node = kap_mp_value(where, 0);
    if (kap_mp_bool(node, &warm))
        value = warm ? KAP_SPAN("true") : KAP_SPAN("false");
    else
        (void)kap_mp_str(node, &value);
    if (where->kind != KAP_MP_MAP || where->count != 1 || !kap_mp_str(kap_mp_key(where, 0), &key))
        return refuse(r, KAP_E_INVALID,
                      "where is one of service, segment, warm, origin and its value");
    int by = kap_metric_by_find(key);
    kap_breakdown_t breakdown =
        by < 0 ? KAP_BREAKDOWN_NONE : kap_metric_breakdown((kap_metric_by_t)by);
    if (breakdown == KAP_BREAKDOWN_NONE)
        return refuse(r, KAP_E_INVALID,
                      "where is one of service, segment, warm, origin and its value");
    if (!(kap_metric_row(r->q->metric)->by >> by & 1))
        return refuse_by(r);
    if ((kap_metric_by_t)by == r->q->by)
        return refuse(r, KAP_E_INVALID, "by and where are two different breakdowns");
    int found = kap_metric_value_find(breakdown, value);
    if (found < 0)
        return refuse_value(r, (kap_metric_by_t)by);
    r->q->what.breakdown = breakdown;
    r->q->what.value = (uint16_t)found;
    if (kap_metric_breakdown(r->q->by) != KAP_BREAKDOWN_NONE &&
        days_of(&r->q->what.window) > TWO_BREAKDOWNS_DAYS)
        return refuse(
            r, KAP_E_INVALID,
            "two breakdowns at once are answered for at most 31 days: shorten the window, "
            "or leave by or where out");
    return KAP_OK;
}

/* --- what can be told of such a window --- */

/* Flows, cases and what was refused are counted in whole periods of the cells' zone. */
static int check_periods(reader_t *r)
{
    const kap_metric_query_t *q = r->q;
    const kap_window_t *w = &q->what.window;
    bool flow = q->kind == KAP_KIND_OF_FLOW || q->kind == KAP_KIND_OF_STOCK;
    bool cases = q->kind == KAP_KIND_OF_COHORT && kap_metric_has_cases(q->metric);
    bool months = kap_window_is_months(w);
    const char *zone = q->what.scope.utc ? "UTC" : "Europe/Helsinki";
    bool broken = q->by == KAP_BY_EDGE || q->what.scope.kind == KAP_SCOPE_EDGE ||
                  q->what.breakdown != KAP_BREAKDOWN_NONE ||
                  kap_metric_breakdown(q->by) != KAP_BREAKDOWN_NONE;

    bool refused = q->metric == KAP_METRIC_DATA_QUALITY;

    if ((flow || cases || refused) && (w->has_from || w->has_to) &&
        w->zone != kap_cell_zone(q->what.scope.utc))
        return refuse(r, KAP_E_INVALID, "%s is counted in days of %s here; ask with that zone",
                      flow ? kap_metric_kind_name(q->kind) : kap_metric_row(q->metric)->wire, zone);
    if (flow && broken && !months)
        return refuse(r, KAP_E_INVALID,
                      "flows and stocks of an edge, a service, a segment and the like are counted "
                      "by months: let from and to be firsts of a month");
    if (flow && q->what.breakdown != KAP_BREAKDOWN_NONE &&
        kap_metric_breakdown(q->by) != KAP_BREAKDOWN_NONE)
        return refuse(r, KAP_E_INVALID,
                      "two breakdowns at once are answered for kind cohort: leave by or where out");
    return KAP_OK;
}

/* The parts of a row's key, in their order; false: it is none of this answer. */
static bool read_key(const reader_t *r, const kap_mp_t *after, kap_span_t parts[3])
{
    const char *by = kap_metric_by_name(r->q->by);
    bool warm, placed = r->q->what.scope.region.size == 0;

    switch (r->q->by) {
    case KAP_BY_NOTHING:
        return false;
    case KAP_BY_EDGE:
    case KAP_BY_MEMBER:
        parts[0] = placed ? kap_mp_get_str(after, "region") : (kap_span_t){0};
        if (placed && parts[0].size == 0)
            return false;
        if (r->q->by == KAP_BY_MEMBER)
            return kap_mp_str(kap_mp_get(after, by), &parts[1]);
        return kap_mp_str(kap_mp_item(kap_mp_get(after, by), 0), &parts[1]) &&
               kap_mp_str(kap_mp_item(kap_mp_get(after, by), 1), &parts[2]);
    case KAP_BY_WARM:
        if (!kap_mp_bool(kap_mp_get(after, by), &warm))
            return false;
        parts[0] = warm ? KAP_SPAN("true") : KAP_SPAN("false");
        return true;
    default:
        return kap_mp_str(kap_mp_get(after, by), &parts[0]);
    }
}

static int read_page(reader_t *r)
{
    const kap_mp_t *after = kap_mp_get(r->root, "after");
    const kap_mp_t *limit = kap_mp_get(r->root, "limit");
    kap_span_t parts[3] = {{0}};
    int64_t count = 0;

    if (limit != NULL && !kap_mp_int(limit, 1, LIMIT_MAX, &count))
        return refuse(r, KAP_E_INVALID, "limit is 1 to %d rows", LIMIT_MAX);
    r->q->limit = (uint32_t)count;
    if (after == NULL)
        return KAP_OK;
    if (!read_key(r, after, parts))
        return refuse(r, KAP_E_INVALID, "after is the key of the last row that you have");
    r->q->after = kap_metric_sort(r->arena, parts[0], parts[1], parts[2]);
    return r->q->after.data == NULL ? KAP_E_NOMEM : KAP_OK;
}

/* --- all of it --- */

static int read_clocks(reader_t *r)
{
    int rc = read_word(r, "clock", "recipient", "customer", &r->q->customer_clock);

    r->q->elapsed = r->q->what.scope.utc;
    if (rc == KAP_OK)
        rc = read_word(r, "time", "working", "elapsed", &r->q->elapsed);
    return rc != KAP_OK ? rc : read_word(r, "view", "then", "now", &r->q->now_view);
}

/* What can be told of organisations as they are today. */
static int check_view(reader_t *r)
{
    const kap_metric_query_t *q = r->q;
    bool cohort = q->kind == KAP_KIND_OF_COHORT || q->kind == KAP_KIND_OF_NOW;

    if (!q->now_view)
        return KAP_OK;
    if (q->what.scope.utc)
        return refuse(r, KAP_E_INVALID, "an archive has no view now; leave view out");
    if (!cohort && !kap_window_is_months(&q->what.window))
        return refuse(r, KAP_E_INVALID,
                      "flows and stocks in view now are counted by months: let from and to be "
                      "firsts of a month");
    return KAP_OK;
}

int kap_metric_ask(kap_txn_t *txn, const kap_directory_t *dir, kap_arena_t *arena,
                   const kap_mp_t *root, kap_metric_query_t *out, const char **why)
{
    static int (*const steps[])(reader_t *) = {read_metric,   read_scope, find_scope, read_window,
                                               read_clocks,   read_by,    check_view, read_where,
                                               check_periods, read_page};
    reader_t r = {txn, dir, arena, root, out, why};
    kap_head_t head;
    int rc = kap_rows_head(txn, &head);

    *out = (kap_metric_query_t){0};
    out->now = head.figures_time;
    for (size_t i = 0; rc == KAP_OK && i < sizeof steps / sizeof steps[0]; i++)
        rc = steps[i](&r);
    if (rc == KAP_OK && out->kind == KAP_KIND_OF_STOCK) {
        const kap_window_t *w = &out->what.window;
        kap_window_days(&out->what.window, w->zone, false, w->from, w->has_to, w->to);
    }
    return rc;
}
