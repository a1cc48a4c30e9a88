/* SPDX-License-Identifier: MPL-2.0 */
#include "audit.h"

#include <stdlib.h>
#include <string.h>

#include "anew.h"
#include "be.h"
#include "engine.h"
#include "err.h"
#include "ids.h"
#include "rows.h"
#include "seeded.h"

enum {
    SLICE_EVENTS = 1000,
    LINES_MAX = 20, /* differences told in words */
};

struct kap_audit {
    kap_store_t *twin;
    kap_engine_t *engine;
    kap_anew_t anew;
    kap_audit_report_t report;
    uint32_t lines;
};

int kap_audit_new(kap_audit_t **out)
{
    kap_audit_t *a = calloc(1, sizeof *a);
    kap_store_opts_t opts = {.name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .memory = true};

    if (a == NULL)
        return KAP_E_NOMEM;
    int rc = kap_store_open(&opts, &a->twin);
    if (rc != KAP_OK) {
        free(a);
        return rc;
    }
    *out = a;
    return KAP_OK;
}

void kap_audit_destroy(kap_audit_t **audit)
{
    kap_audit_t *a = *audit;

    if (a == NULL)
        return;
    kap_engine_close(&a->engine);
    kap_store_close(&a->twin);
    kap_anew_fini(&a->anew);
    free(a);
    *audit = NULL;
}

void kap_audit_report(const kap_audit_t *a, kap_audit_report_t *report)
{
    *report = a->report;
}

/* --- comparing --- */

static void differ(kap_audit_t *a, kap_buf_t *what, const char *table, const char *how,
                   kap_span_t key)
{
    char hex[129];

    a->report.differences++;
    if (what == NULL || a->lines >= LINES_MAX)
        return;
    a->lines++;
    kap_hex_encode(key.data, key.size < 64 ? key.size : 64, hex);
    kap_buf_printf(what, "%s %s: %s\n", table, hex, how);
}

/* A referral's place in the index of deadlines depends on when the timer looked, not on the log. */
static bool same_referral(kap_span_t a, kap_span_t b)
{
    kap_referral_row_t x, y;
    kap_buf_t px = {0}, py = {0};

    if (kap_referral_row_unpack(a, &x) != KAP_OK || kap_referral_row_unpack(b, &y) != KAP_OK)
        return false;
    x.due_indexed_at = y.due_indexed_at = 0;
    kap_referral_row_pack(&px, &x);
    kap_referral_row_pack(&py, &y);
    bool same = kap_span_eq(kap_buf_span(&px), kap_buf_span(&py));
    kap_buf_fini(&px);
    kap_buf_fini(&py);
    return same;
}

static bool same_value(unsigned table, kap_span_t a, kap_span_t b)
{
    return kap_span_eq(a, b) || (table == KAP_ROWS_REFERRALS && same_referral(a, b));
}

static bool is_over(int *rc)
{
    bool over = *rc == KAP_E_NOTFOUND;

    if (over)
        *rc = KAP_OK;
    return over;
}

/* Walks both tables side by side: `stored` is what is, `anew` what the log says. */
static int compare_rows(kap_audit_t *a, unsigned table, kap_cursor_t *stored, kap_cursor_t *anew,
                        kap_buf_t *what)
{
    const char *name = kap_rows_tables[table];
    int rs = kap_cursor_seek_ge(stored, kap_span(NULL, 0));
    int rn = kap_cursor_seek_ge(anew, kap_span(NULL, 0));

    for (;;) {
        bool no_more_stored = is_over(&rs), no_more_anew = is_over(&rn);
        if (rs != KAP_OK || rn != KAP_OK)
            return rs != KAP_OK ? rs : rn;
        if (no_more_stored && no_more_anew)
            return KAP_OK;
        kap_span_t ks = kap_cursor_key(stored), kn = kap_cursor_key(anew);
        int order = no_more_stored ? 1 : no_more_anew ? -1 : kap_span_cmp(ks, kn);
        if (order < 0)
            differ(a, what, name, "stored, but the log does not say so", ks);
        else if (order > 0)
            differ(a, what, name, "missing", kn);
        else if (!same_value(table, kap_cursor_value(stored), kap_cursor_value(anew)))
            differ(a, what, name, "another value", ks);
        a->report.rows++;
        rs = no_more_stored ? KAP_E_NOTFOUND : order <= 0 ? kap_cursor_next(stored) : rs;
        rn = no_more_anew ? KAP_E_NOTFOUND : order >= 0 ? kap_cursor_next(anew) : rn;
    }
}

static int compare_table(kap_audit_t *a, unsigned table, kap_txn_t *txn, kap_txn_t *twin,
                         kap_buf_t *what)
{
    kap_cursor_t *stored, *anew;
    int rc = kap_cursor_open(txn, table, &stored);

    if (rc != KAP_OK)
        return rc;
    rc = kap_cursor_open(twin, table, &anew);
    if (rc == KAP_OK) {
        rc = compare_rows(a, table, stored, anew, what);
        kap_cursor_close(&anew);
    }
    kap_cursor_close(&stored);
    return rc;
}

/* Each referral whose limit runs is found by the timer in time. */
static int check_due(kap_audit_t *a, kap_txn_t *txn, kap_buf_t *what)
{
    kap_cursor_t *cursor;
    kap_referral_row_t row;
    kap_key_t key;
    kap_span_t nothing;
    int rc = kap_cursor_open(txn, KAP_ROWS_REFERRALS, &cursor);

    if (rc != KAP_OK)
        return rc;
    for (rc = kap_cursor_seek_ge(cursor, kap_span(NULL, 0)); rc == KAP_OK;
         rc = kap_cursor_next(cursor)) {
        kap_span_t k = kap_cursor_key(cursor);
        if (kap_referral_row_unpack(kap_cursor_value(cursor), &row) != KAP_OK)
            break; /* told by the comparison */
        if (!kap_referral_is_due(&row.r, INT64_MAX))
            continue;
        bool indexed =
            row.due_indexed_at != KAP_REFERRAL_NO_TIME && row.due_indexed_at <= row.r.due_at;
        kap_key_due(&key, row.due_indexed_at, kap_be_get_u32(k.data), kap_span_sub(k, 4, SIZE_MAX));
        if (!indexed || kap_txn_get(txn, KAP_ROWS_DUE, kap_key_span(&key), &nothing) != KAP_OK)
            differ(a, what, "due", "the deadline is not found in time", k);
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

/* What cannot be compared row by row: the head itself, the texts of directories (they came from
 * outside), and the timer's index. */
static bool is_compared(unsigned table)
{
    return table != KAP_ROWS_META && table != KAP_ROWS_DIRECTORIES && table != KAP_ROWS_DUE &&
           !(KAP_SEEDED_BUG("audit_blind") && table == KAP_ROWS_CASES);
}

static int compare(kap_audit_t *a, kap_txn_t *txn, const kap_head_t *head, kap_buf_t *what)
{
    const kap_head_t *anew = kap_engine_head(a->engine);
    kap_txn_t *twin;
    int rc = kap_txn_begin(a->twin, KAP_TXN_READ, &twin);

    if (rc != KAP_OK)
        return rc;
    if (head->seq != anew->seq || memcmp(head->chain, anew->chain, sizeof head->chain) != 0)
        differ(a, what, "meta", "the chain ends elsewhere", kap_span(head->chain, 32));
    if (a->anew.differs != 0)
        differ(a, what, "log", "the machines decide otherwise at this position",
               kap_span(&a->anew.differs, sizeof a->anew.differs));
    for (unsigned table = 0; rc == KAP_OK && table < KAP_ROWS_COUNT; table++) {
        if (is_compared(table))
            rc = compare_table(a, table, txn, twin, what);
    }
    kap_txn_abort(&twin);
    return rc != KAP_OK ? rc : check_due(a, txn, what);
}

/* --- steps --- */

static int start(kap_audit_t *a, kap_txn_t *txn, const kap_head_t *head)
{
    if (a->engine != NULL)
        return KAP_OK;
    int rc = kap_engine_open(a->twin, head->mesh, true, &a->engine);
    return rc != KAP_OK ? rc : kap_anew_begin(&a->anew, a->engine, txn, head);
}

int kap_audit_step(kap_audit_t *a, kap_txn_t *txn, kap_buf_t *what)
{
    kap_head_t head;
    int rc = kap_rows_head(txn, &head);

    if (rc == KAP_OK && head.figures_moving)
        return KAP_E_AGAIN; /* nothing to compare with stands in this snapshot */
    if (rc == KAP_OK)
        rc = start(a, txn, &head);
    /* Not beyond the figures: a later slice has to stop where they stand then. */
    if (rc == KAP_OK)
        rc = kap_anew_to(&a->anew, txn, head.figures_seq, SLICE_EVENTS);
    if (rc == KAP_OK)
        rc = kap_engine_write_figures(a->engine);
    if (rc == KAP_OK)
        rc = kap_anew_to(&a->anew, txn, head.seq, UINT64_MAX);
    a->report.events = a->anew.done;
    if (rc != KAP_OK)
        return rc;
    a->report.position = head.seq;
    a->report.figures_seq = head.figures_seq;
    return compare(a, txn, &head, what);
}

int kap_ledger_audit(kap_store_t *store, kap_audit_report_t *report, kap_buf_t *what)
{
    kap_audit_t *audit;
    kap_txn_t *txn;
    kap_head_t head;
    int rc = kap_audit_new(&audit);

    if (rc != KAP_OK)
        return rc;
    do {
        rc = kap_txn_begin(store, KAP_TXN_READ, &txn);
        if (rc != KAP_OK)
            break;
        rc = kap_rows_head(txn, &head);
        if (rc == KAP_OK)
            rc = kap_audit_step(audit, txn, what);
        kap_txn_abort(&txn);
    } while (rc == KAP_E_AGAIN && !head.figures_moving);
    kap_audit_report(audit, report);
    kap_audit_destroy(&audit);
    return rc;
}
