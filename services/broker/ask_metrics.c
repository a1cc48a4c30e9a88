/* SPDX-License-Identifier: MPL-2.0 */
#include "ask_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "access.h"
#include "err.h"
#include "hide.h"
#include "metric_ask.h"
#include "metric_tell.h"
#include "now.h"
#include "seeded.h"

enum { HIDDEN_BELOW = 5 }; /* where no region says it */

/* A question while it is answered. */
typedef struct {
    kap_ask_t *ask;
    kap_txn_t *txn;
    kap_metric_query_t query;
    kap_metric_rows_t rows;
    kap_metric_show_t show;
    kap_see_t see;    /* of the scope */
    bool wide;        /* its totals in full, whatever is seen of single members */
    bool settled;     /* the window is whole months that ended some time ago */
    bool month;       /* and one month */
    uint32_t k;       /* cells of 1 to k - 1 are hidden */
    uint16_t refusal; /* why there is no answer */
    const char *why;
} metrics_t;

static void note(metrics_t *m, const char *text)
{
    if (m->show.note_count < sizeof m->show.notes / sizeof m->show.notes[0])
        m->show.notes[m->show.note_count++] = text;
}

static int deny(metrics_t *m, uint16_t refusal, const char *why)
{
    m->refusal = refusal;
    m->why = why;
    return KAP_E_DENIED;
}

/* --- what of the scope may be seen --- */

/* Does the row or scope tell of single members? */
static bool is_deep(kap_scope_kind_t kind)
{
    return kind == KAP_SCOPE_MEMBER || kind == KAP_SCOPE_EDGE || kind == KAP_SCOPE_ORGANISATION;
}

static bool is_own(const metrics_t *m, const kap_scope_t *scope)
{
    kap_span_t self = m->ask->who->id;

    if (scope->utc)
        return false;
    return scope->kind == KAP_SCOPE_EDGE
               ? kap_span_eq(scope->from, self) || kap_span_eq(scope->to, self)
               : scope->kind == KAP_SCOPE_MEMBER && kap_span_eq(scope->member, self);
}

/* The region whose readers have the figures: itself, or what followed it when it is gone. */
static kap_span_t read_as(const metrics_t *m, kap_span_t region)
{
    kap_succession_row_t row;
    kap_span_t rest, where;

    while (kap_directory_region(m->ask->dir, region) == NULL &&
           kap_rows_succession(m->txn, KAP_SUCCEEDED_REGION, region, &row) == KAP_OK) {
        rest = row.heirs;
        if (!kap_heir_next(&rest, &where, &region))
            break;
    }
    return region;
}

/* Roles that have the totals of a region because they have those of its area or the nation. */
static bool sees_totals(const metrics_t *m, kap_span_t id)
{
    const kap_region_t *region = kap_directory_region(m->ask->dir, read_as(m, id));

    return region != NULL && region->area.size > 0 &&
           kap_may_see_area(m->ask->who, region->area) == KAP_SEE_FULL;
}

/* Totals of regions are everybody's, members' are not. */
static kap_see_t see_members(const metrics_t *m, const kap_scope_t *scope)
{
    const kap_directory_t *dir = m->ask->dir;
    kap_see_t see;

    if (is_own(m, scope) || KAP_SEEDED_BUG("metrics_unchecked"))
        return KAP_SEE_FULL;
    if (scope->region.size > 0)
        see = kap_may_see(dir, m->ask->who, read_as(m, scope->region), scope->utc);
    else if (scope->kind == KAP_SCOPE_ORGANISATION)
        see = kap_may_see_organisation(dir, m->ask->who, scope->organisation);
    else if (scope->kind == KAP_SCOPE_MEMBER)
        see = kap_may_see_member(dir, m->ask->who, scope->member);
    else {
        kap_see_t from = kap_may_see_member(dir, m->ask->who, scope->from);
        kap_see_t to = kap_may_see_member(dir, m->ask->who, scope->to);
        see = from < to ? from : to;
    }
    return see == KAP_SEE_TOTALS ? KAP_SEE_NOTHING : see;
}

static void look(metrics_t *m)
{
    const kap_scope_t *scope = &m->query.what.scope;
    kap_span_t read = read_as(m, scope->region);
    const kap_region_t *region = kap_directory_region(m->ask->dir, read);
    const kap_window_t *w = &m->query.what.window;
    int64_t now = m->ask->now > m->query.now ? m->ask->now : m->query.now;
    kap_window_t month;

    if (is_deep(scope->kind)) {
        m->see = see_members(m, scope);
    } else if (scope->kind == KAP_SCOPE_REGION) {
        m->see = kap_may_see(m->ask->dir, m->ask->who, read, scope->utc);
        m->wide = m->see == KAP_SEE_FULL || sees_totals(m, scope->region);
    } else {
        m->see = KAP_SEE_TOTALS; /* of members: as each region says */
        m->wide = (scope->kind == KAP_SCOPE_AREA ? kap_may_see_area(m->ask->who, scope->area)
                                                 : kap_may_see_nation(m->ask->who)) == KAP_SEE_FULL;
    }
    m->k = region != NULL ? region->hidden_below : HIDDEN_BELOW;
    /* months of two zones would tell of the hours between them */
    m->settled = w->has_to && kap_window_is_months(w) && w->zone == kap_cell_zone(scope->utc) &&
                 (w->has_from || m->query.kind == KAP_KIND_OF_STOCK) &&
                 w->to_ms + KAP_HIDE_DAYS * KAP_DAY_MS <= now;
    if (w->has_from)
        kap_window_month(&month, w->zone, w->from.year, w->from.month);
    m->month = m->settled && w->has_from && kap_date_cmp(w->to, month.to) == 0;
}

/* --- what of it is refused --- */

static bool by_members(const metrics_t *m)
{
    return m->query.by == KAP_BY_EDGE || m->query.by == KAP_BY_MEMBER;
}

/* Is something left to tell when only the asker's own rows are? */
static bool has_own_rows(const metrics_t *m)
{
    return by_members(m) && !is_deep(m->query.what.scope.kind);
}

static int check_others(metrics_t *m)
{
    const kap_metric_query_t *q = &m->query;

    if (q->metric == KAP_METRIC_ORPHANS || q->kind == KAP_KIND_OF_NOW)
        return deny(m, KAP_REFUSAL_NOT_ALLOWED_QUERY,
                    "how things stand now is for readers of the region; ask of your own member");
    if (q->what.breakdown != KAP_BREAKDOWN_NONE)
        return deny(m, KAP_REFUSAL_NOT_ALLOWED_QUERY,
                    "single values are for readers of the region; ask by service, segment, warm or "
                    "origin instead of where");
    if (!m->settled && !has_own_rows(m))
        return deny(m, KAP_REFUSAL_NOT_ALLOWED_QUERY,
                    "others see whole months and years from 14 days after their end on; ask for "
                    "such a month or year");
    if (!m->month && (by_members(m) ? is_deep(q->what.scope.kind)
                                    : q->by != KAP_BY_NOTHING && q->by != KAP_BY_MONTH &&
                                          q->by != KAP_BY_REGION))
        return deny(m, KAP_REFUSAL_NOT_ALLOWED_QUERY,
                    "others see totals of more than a month; ask for one month, or leave by out");
    return KAP_OK;
}

static int check(metrics_t *m)
{
    const kap_scope_t *scope = &m->query.what.scope;

    if (m->see == KAP_SEE_NOTHING)
        return deny(m, KAP_REFUSAL_NOT_ALLOWED_QUERY,
                    "figures of single members are for readers of their region and for the members "
                    "themselves; ask of the region");
    if (m->see == KAP_SEE_FULL || (m->wide && !by_members(m) && !is_deep(scope->kind)))
        return KAP_OK;
    if (m->wide)
        return KAP_OK; /* the total in full; rows are cut one by one */
    return check_others(m);
}

/* --- what of it is hidden --- */

static kap_see_t see_row(const metrics_t *m, const kap_metric_key_t *row)
{
    if (m->see == KAP_SEE_FULL || is_own(m, &row->scope))
        return KAP_SEE_FULL;
    if (!by_members(m))
        return m->wide ? KAP_SEE_FULL : KAP_SEE_EDGES;
    if (is_deep(m->query.what.scope.kind) && m->query.what.scope.region.size == 0)
        return m->see;
    return kap_may_see(m->ask->dir, m->ask->who, read_as(m, row->scope.region), row->scope.utc);
}

/* A cell for the table of what is small. What counts beside transfers is small where none are. */
static kap_hide_cell_t cell_of(const metrics_t *m, const kap_metric_key_t *row)
{
    const kap_region_t *region = kap_directory_region(m->ask->dir, row->scope.region);
    kap_hide_cell_t cell = {.column = row->sort,
                            .size = row->n > 0 ? row->n : 1,
                            .k = region != NULL ? region->hidden_below : m->k,
                            .own = see_row(m, row) == KAP_SEE_FULL};

    if (m->query.by == KAP_BY_EDGE || m->query.by == KAP_BY_MEMBER)
        cell.group = row->scope.region;
    if (m->query.by == KAP_BY_EDGE) {
        cell.row = row->scope.from;
        cell.column = row->scope.to;
    }
    return cell;
}

static int hide_small(metrics_t *m)
{
    kap_metric_rows_t *rows = &m->rows;
    kap_hide_cell_t *cells = calloc(rows->count + 1, sizeof *cells);

    if (cells == NULL)
        return KAP_E_NOMEM;
    for (uint32_t i = 0; i < rows->count; i++)
        cells[i] = cell_of(m, &rows->rows[i]);
    kap_hide(cells, rows->count);
    for (uint32_t i = 0; i < rows->count; i++)
        rows->rows[i].hidden = cells[i].hidden;
    free(cells);
    return KAP_OK;
}

/* Rows of members are told of one settled month, where the region lets others see them at all. */
static void omit(metrics_t *m)
{
    for (uint32_t i = 0; by_members(m) && i < m->rows.count; i++) {
        kap_metric_key_t *row = &m->rows.rows[i];
        kap_see_t see = see_row(m, row);
        row->omitted = see < KAP_SEE_EDGES || (see == KAP_SEE_EDGES && !m->month);
        m->rows.omitted = m->rows.omitted || row->omitted;
    }
}

/* The total that may not be told: what the told rows add up to stands for it. */
static void add_up(metrics_t *m)
{
    kap_metric_rows_t *rows = &m->rows;

    m->show.whole = false;
    rows->n = rows->decided = rows->pending = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const kap_metric_key_t *row = &rows->rows[i];
        if (row->omitted || row->hidden)
            continue;
        rows->n += row->n;
        rows->decided += row->decided;
        rows->pending += row->pending;
    }
}

/* Meetings are no customers; the follow-up model hides its own small numbers. */
static bool tells_of_customers(const metrics_t *m)
{
    return m->query.metric != KAP_METRIC_MEETINGS && m->query.metric != KAP_METRIC_FOLLOW_UP;
}

static int cut(metrics_t *m)
{
    bool small = !m->wide && tells_of_customers(m);
    int rc = KAP_OK;

    m->show = (kap_metric_show_t){.whole = true, .lists = m->see == KAP_SEE_FULL};
    if (m->see == KAP_SEE_FULL)
        return KAP_OK;
    m->show.least = m->wide ? 0 : m->k;
    m->show.row_least = m->wide && !by_members(m) ? 0 : m->k;
    m->show.hidden_below = m->k;
    if (small || by_members(m))
        rc = hide_small(m);
    omit(m);
    if (m->rows.omitted)
        note(m, "rows of other members are left out: they are for readers of their region");
    if (!m->wide && (!m->settled || (small && m->rows.n > 0 && m->rows.n < m->k))) {
        add_up(m);
        note(m, "the total may not be told; the numbers are those of the rows");
    }
    return rc;
}

/* --- the answer --- */

static int refused(metrics_t *m)
{
    m->ask->refusal = m->refusal;
    m->ask->why = m->why;
    return KAP_OK;
}

/* What the numbers do not say by themselves. */
static void explain(metrics_t *m)
{
    const kap_metric_query_t *q = &m->query;
    bool cases = q->kind == KAP_KIND_OF_COHORT && kap_metric_has_cases(q->metric);
    bool broken = q->what.breakdown != KAP_BREAKDOWN_NONE ||
                  kap_metric_breakdown(q->by) != KAP_BREAKDOWN_NONE;

    if (cases && broken)
        note(m, "cases have no service, segment, warmth or origin: theirs stand in the total only");
}

static int answer(metrics_t *m, kap_txn_t *txn)
{
    kap_metric_at_t at = {
        .txn = txn, .dir = m->ask->dir, .arena = m->ask->arena, .seen = m->ask->seen};
    bool cases = kap_metric_has_cases(m->query.metric);
    int rc = kap_summer_new(txn, at.arena, at.dir, &at.summer);

    if (rc == KAP_OK && m->query.now_view)
        rc = kap_now_view(at.summer, m->query.now, cases ? &m->query.what.window : NULL);
    if (rc == KAP_OK)
        rc = kap_metric_rows(&at, &m->query, &m->rows);
    if (rc == KAP_OK)
        rc = cut(m);
    explain(m);
    if (rc == KAP_OK)
        rc = kap_metric_tell(&at, &m->query, &m->rows, &m->show, &m->ask->out);
    kap_summer_destroy(&at.summer);
    return rc;
}

/* How open ones stand is a matter of the clock: in a quiet mesh the log's time stands still. */
static void look_at_the_clock(metrics_t *m)
{
    kap_metric_query_t *q = &m->query;
    bool of_now = q->kind == KAP_KIND_OF_NOW || q->metric == KAP_METRIC_TARGETS;

    if (of_now && m->ask->now > q->now)
        q->now = m->ask->now;
}

int kap_ask_metrics(kap_ask_t *ask, kap_txn_t *txn)
{
    metrics_t m = {.ask = ask, .txn = txn};
    int rc = kap_metric_ask(txn, ask->dir, ask->arena, ask->query.root, &m.query, &m.why);

    if (rc == KAP_E_INVALID || rc == KAP_E_NOTFOUND) {
        m.refusal =
            rc == KAP_E_INVALID ? KAP_REFUSAL_REQUEST_PARAMETER : KAP_REFUSAL_REQUEST_NOT_FOUND;
        return refused(&m);
    }
    if (rc != KAP_OK)
        return rc;
    look_at_the_clock(&m);
    look(&m);
    return check(&m) == KAP_OK ? answer(&m, txn) : refused(&m);
}
