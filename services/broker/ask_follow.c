/* SPDX-License-Identifier: MPL-2.0 */
#include "ask_follow.h"

#include "access.h"
#include "err.h"
#include "followup.h"
#include "rows.h"

enum { PAGE_ROWS = 1000, PAGE_BYTES = 256 * 1024 };

typedef struct {
    kap_ask_t *ask;
    kap_txn_t *txn;
    kap_log_walk_t walk;
    bool reads;     /* the region's stream: all of it */
    kap_buf_t rows; /* of the answer */
    uint32_t count;
    kap_span_t last; /* key of the last one; lent from the transaction */
} page_t;

static kap_span_t text_of(const kap_ask_t *ask, const char *key)
{
    return kap_mp_get_str(ask->query.root, key);
}

uint16_t kap_ask_followed_allowed(const kap_ask_t *ask, const char **why)
{
    kap_span_t region = text_of(ask, "region");
    kap_event_type_t type = kap_event_type_parse(text_of(ask, "type"));
    kap_buf_t front = {0};
    bool keyed = kap_followup_key_front(type, region, &front);
    kap_buf_fini(&front);
    *why = "type is the whole name of a follow-up event whose last value counts, as "
           "kapula.target.set.v1; the others are told by metrics";
    if (!keyed)
        return KAP_REFUSAL_REQUEST_PARAMETER;
    *why = "region is a region's id";
    if (region.size < 1 || region.size > KAP_LIMIT_ID_BYTES)
        return KAP_REFUSAL_REQUEST_PARAMETER;
    if (!kap_directory_region(ask->dir, region))
        return KAP_REFUSAL_REQUEST_NOT_FOUND;
    *why = NULL;
    return 0;
}

/* As the member's own stream would tell it: it said so itself, or is an end of it. */
static bool concerns(const kap_ask_t *ask, const kap_latest_t *row, kap_span_t source)
{
    return ask->who->roles & KAP_ROLE_NODE &&
           (kap_may_source(ask->who, source) || kap_span_eq(row->from, ask->who->id) ||
            kap_span_eq(row->to, ask->who->id));
}

static kap_span_t member_of(kap_span_t source)
{
    kap_event_t ev = {.source = source};
    return kap_followup_member(&ev);
}

/* The event behind a row of `latest`; one whose open part was cut is left out. */
static int put_row(page_t *page, kap_span_t key)
{
    kap_latest_t row;
    kap_logged_t logged;
    kap_span_t source;
    kap_mp_t open;
    int rc = kap_rows_latest(page->txn, key, &row);
    if (rc == KAP_OK)
        rc = kap_log_walk_get(&page->walk, row.log_seq, 0, &logged);
    if (rc == KAP_OK)
        rc = kap_rows_text(page->txn, logged.source, &source);
    if (rc != KAP_OK)
        return rc;
    page->last = key;
    if (logged.open.size == 0 || (!page->reads && !concerns(page->ask, &row, source)))
        return KAP_OK;
    rc = kap_mp_read(logged.open, page->ask->arena, &open, NULL);
    const kap_mp_t *data = rc == KAP_OK ? kap_mp_get(&open, "data") : NULL;
    if (!data)
        return rc == KAP_E_NOMEM ? rc : KAP_E_CORRUPT;
    kap_mp_put_map(&page->rows, 4);
    kap_mp_put_cstr(&page->rows, "log_seq");
    kap_mp_put_uint(&page->rows, row.log_seq);
    kap_mp_put_cstr(&page->rows, "at");
    kap_mp_put_int(&page->rows, kap_mp_get_int(&open, "time", 0));
    kap_mp_put_cstr(&page->rows, "by");
    kap_mp_put_str(&page->rows, member_of(source));
    kap_mp_put_cstr(&page->rows, "data");
    kap_mp_put_node(&page->rows, data);
    page->count++;
    return page->rows.err;
}

/* Rows whose keys begin with `front`, from behind `after`; *more: the page was full. */
static int walk_rows(page_t *page, kap_span_t front, kap_span_t after, bool *more)
{
    kap_cursor_t *cursor;
    *more = false;
    int rc = kap_cursor_open(page->txn, KAP_ROWS_LATEST, &cursor);
    if (rc != KAP_OK)
        return rc;
    rc = kap_cursor_seek_ge(cursor, after.size > 0 ? after : front);
    if (rc == KAP_OK && after.size > 0 && kap_span_eq(kap_cursor_key(cursor), after))
        rc = kap_cursor_next(cursor);
    while (rc == KAP_OK && kap_span_starts(kap_cursor_key(cursor), front)) {
        *more = page->count == PAGE_ROWS || page->rows.size >= PAGE_BYTES;
        if (*more)
            break;
        rc = put_row(page, kap_cursor_key(cursor));
        if (rc == KAP_OK)
            rc = kap_cursor_next(cursor);
    }
    kap_cursor_close(&cursor);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static int put_answer(page_t *page, bool more)
{
    kap_head_t head = {0};
    kap_buf_t *out = &page->ask->out;
    int rc = kap_rows_head(page->txn, &head);
    if (rc != KAP_OK)
        return rc;
    kap_answer_begin(out, head.seq, head.time, more ? 2 : 1);
    kap_mp_put_cstr(out, "rows");
    kap_mp_put_array(out, page->count);
    kap_buf_append(out, kap_buf_span(&page->rows));
    if (more) {
        kap_mp_put_cstr(out, "next");
        kap_mp_put_bin(out, page->last);
    }
    return KAP_OK;
}

/* "region/<id>" */
static bool reads_region(const kap_ask_t *ask, kap_span_t region)
{
    kap_buf_t stream = {0};
    kap_buf_str(&stream, "region/");
    kap_buf_append(&stream, region);
    bool reads = !stream.err &&
                 kap_may_read(ask->dir, ask->who, kap_buf_span(&stream), false) & KAP_READ_OPEN;
    kap_buf_fini(&stream);
    return reads;
}

int kap_ask_followed(kap_ask_t *ask, kap_txn_t *txn)
{
    kap_span_t region = text_of(ask, "region");
    page_t page = {.ask = ask, .txn = txn, .reads = reads_region(ask, region)};
    kap_buf_t front = {0};
    bool more = false;
    kap_followup_key_front(kap_event_type_parse(text_of(ask, "type")), region, &front);
    int rc = front.err ? front.err : kap_log_walk_open(txn, &page.walk);
    if (rc != KAP_OK)
        goto done;
    kap_span_t after = kap_mp_get_bin(ask->query.root, "after");
    if (!kap_span_starts(after, kap_buf_span(&front)))
        after = kap_span("", 0);
    rc = walk_rows(&page, kap_buf_span(&front), after, &more);
    if (rc == KAP_OK)
        rc = put_answer(&page, more);
    kap_log_walk_close(&page.walk);
done:
    kap_buf_fini(&front);
    kap_buf_fini(&page.rows);
    return rc;
}
