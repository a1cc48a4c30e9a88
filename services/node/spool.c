/* SPDX-License-Identifier: MPL-2.0 */
#include "spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto.h"
#include "err.h"
#include "folder.h"
#include "idcheck.h"
#include "ids.h"
#include "intake_file.h"
#include "log.h"

enum {
    NAMES_MAX = 1000,     /* files looked at in one go; the next look takes the rest */
    BATCH_ACTS = 2000,    /* acts in one commit, beside the rows of spool.batch */
    LEFT_REMEMBERED = 256 /* entries that were said to be left alone */
};
#define LOOK_AGAIN_MS  700 /* a file that is still being written; a guess */
#define PAUSE_FIRST_MS 1000
#define PAUSE_LAST_MS  60000
#define SWEEP_EVERY_MS 600000
#define DIGEST_HEX     32

static const char *const unknown_choices[] = {"refuse", "ignore", NULL};

const kap_conf_key_t kap_spool_keys[] = {
    {"spool.directory", KAP_CONF_PATH, NULL, 1, 4096, NULL,
     "Folder with in, done and refused, where files of rows are dropped; without it there is none.",
     NULL, false},
    {"spool.kind", KAP_CONF_STRING, "siirto", 1, 60, NULL,
     "Kind of rows in files whose name and columns do not say it.", NULL, false},
    {"spool.columns", KAP_CONF_MAP, NULL, 0, 500, "columns",
     "Own column headers and the fields that they mean; \"-\" leaves a column out.", NULL, false},
    {"spool.values", KAP_CONF_MAP, NULL, 0, 5000, "values",
     "Own words: (\"service=Yrityslaina\", \"financing\"), (\"to=FV\", \"finnvera\").", NULL,
     false},
    {"spool.unknown_columns", KAP_CONF_ENUM, "refuse", 0, 0, NULL,
     "What becomes of a file with a column that nobody knows.", unknown_choices, false},
    {"spool.max_bytes", KAP_CONF_BYTES, "64MiB", 1024, INT64_C(1) << 30, NULL,
     "Larger files are refused.", NULL, false},
    {"spool.settle", KAP_CONF_DURATION_MS, "500ms", 0, 3600000, NULL,
     "A file is read when it has not changed for so long.", NULL, false},
    {"spool.batch", KAP_CONF_INT, "500", 1, 10000, "rows", "Rows in one commit.", NULL, false},
    {"spool.keep_done", KAP_CONF_DURATION_MS, "0s", 0, INT64_C(31536000000), NULL,
     "How long a finished file stays in done; 0: it is removed once its acts are durable.", NULL,
     false},
    {"spool.keep_refused", KAP_CONF_DURATION_MS, "30d", 0, INT64_C(31536000000), NULL,
     "How long refused rows and files stay in refused.", NULL, false},
    {NULL}};

typedef struct {
    uint64_t rows, acts, repeated, rows_refused;
} counts_t;

/* The file in hand. */
typedef struct {
    bool on;
    char name[KAP_FOLDER_NAME_BYTES + 140];
    char digest[DIGEST_HEX + 1];
    char part[DIGEST_HEX + 8];           /* refused rows on their way: .DIGEST.part */
    char refused[KAP_FOLDER_NAME_BYTES]; /* the name that they get */
    kap_folder_id_t id;
    kap_buf_t bytes;
    kap_intake_file_t *file;
    kap_intake_row_t *rows;
    size_t row_count, row_at; /* of the batch handed out */
    uint64_t first;           /* number of rows[0] in the file */
    uint64_t refused_bytes;   /* written so far */
    bool finished;            /* every row is done and said so in the mark */
    counts_t counts;
    int64_t begun_ms;
} taken_t;

struct kap_spool {
    kap_node_t *node;
    char name[24];
    kap_folder_t *top, *in, *done, *refused;
    kap_mapping_t *mapping;
    kap_intake_opts_t intake;
    kap_watch_t *watch;
    kap_timer_t *timer; /* the next turn */
    kap_timer_t *sweep;
    int64_t pause_ms;
    taken_t taken;
    uint64_t left[LEFT_REMEMBERED];
    size_t left_at;
};

/* --- entries that are left alone --- */

static uint64_t left_hash(const char *name, const kap_folder_id_t *id)
{
    uint8_t hash[KAP_HASH_BYTES];
    uint64_t number;
    kap_span_t parts[] = {kap_span_str(name), kap_span(id, sizeof *id)};
    kap_hash256(hash, parts, 2);
    memcpy(&number, hash, sizeof number);
    return number;
}

static bool left_known(const kap_spool_t *spool, uint64_t hash)
{
    for (size_t i = 0; i < LEFT_REMEMBERED; i++)
        if (spool->left[i] == hash)
            return true;
    return false;
}

/* A name for a log line; it may hold what no log line may. */
static kap_span_t name_shown(const char *name)
{
    return kap_personal_code_in(kap_span_str(name), NULL)
               ? KAP_SPAN("(a name with a personal identity code)")
               : kap_span_str(name);
}

/* Says once that the entry stays where it is, unread. */
static void leave(kap_spool_t *spool, const char *name, const kap_folder_id_t *id, const char *why)
{
    uint64_t hash = left_hash(name, id);
    if (left_known(spool, hash))
        return;
    spool->left[spool->left_at++ % LEFT_REMEMBERED] = hash;
    KAP_LOG(KAP_LOG_WARN, "spool_entry_left", KAP_S("spool", spool->name),
            KAP_SP("file", name_shown(name)), KAP_S("why", why));
}

/* --- marks: "first row of the batch in hand, refused bytes before it, finished, refused name" ---
 */

static void mark_key(const kap_spool_t *spool, char out[80])
{
    snprintf(out, 80, "%s/%s", spool->name, spool->taken.digest);
}

static void mark_value(const taken_t *taken, char out[200])
{
    snprintf(out, 200, "%llu %llu %d %s", (unsigned long long)(taken->first + taken->row_at),
             (unsigned long long)taken->refused_bytes, taken->finished, taken->refused);
}

static int mark_put(kap_spool_t *spool, bool clear)
{
    char key[80], value[200] = "";
    kap_act_result_t none;
    mark_key(spool, key);
    if (!clear)
        mark_value(&spool->taken, value);
    kap_act_mark_t mark = {.key = kap_span_str(key), .value = kap_span_str(value)};
    return kap_act_submit_many(spool->node, NULL, 0, &mark, &none);
}

/* Where an earlier run got to; zeroes when the file is new. */
static int mark_get(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    char key[80], name[KAP_FOLDER_NAME_BYTES] = "";
    unsigned long long row = 0, bytes = 0;
    int finished = 0, at = 0;
    kap_buf_t value = {0};
    mark_key(spool, key);
    int rc = kap_act_mark_get(spool->node, kap_span_str(key), &value);
    if (rc == KAP_OK) {
        const char *text = kap_buf_cstr(&value);
        if (!text || sscanf(text, "%llu %llu %d %n", &row, &bytes, &finished, &at) < 3)
            rc = KAP_E_CORRUPT;
        else
            snprintf(name, sizeof name, "%s", text + at);
    }
    kap_buf_fini(&value);
    if (rc == KAP_E_NOTFOUND)
        return KAP_OK;
    taken->first = row;
    taken->refused_bytes = bytes;
    taken->finished = finished == 1;
    memcpy(taken->refused, name, sizeof name);
    return rc;
}

/* --- turns --- */

static void turn(void *arg);

/* At least 1 ms: a timer set to "now" from its own callback runs before anything else on the loop.
 */
static void turn_in(kap_spool_t *spool, int64_t delay_ms)
{
    kap_timer_again(spool->timer, delay_ms > 0 ? delay_ms : 1, 0);
}

/* The node cannot take acts now (disk, outbox, stopping): the same again later. */
static void pause_for(kap_spool_t *spool)
{
    spool->pause_ms = spool->pause_ms ? 2 * spool->pause_ms : PAUSE_FIRST_MS;
    if (spool->pause_ms > PAUSE_LAST_MS)
        spool->pause_ms = PAUSE_LAST_MS;
    turn_in(spool, spool->pause_ms);
}

static void forget(taken_t *taken)
{
    kap_intake_file_close(&taken->file);
    kap_buf_wipe(&taken->bytes);
    *taken = (taken_t){0};
}

/* --- ending a file --- */

/* The file's own name in the folder, or with the digest when that is taken. */
static void free_name(const kap_spool_t *spool, const kap_folder_t *folder, const char *name,
                      char out[KAP_FOLDER_NAME_BYTES])
{
    const char *dot = strrchr(name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    snprintf(out, KAP_FOLDER_NAME_BYTES, "%s", name);
    if (kap_folder_has(folder, out))
        snprintf(out, KAP_FOLDER_NAME_BYTES, "%.*s-%.8s%s", stem > 100 ? 100 : stem, name,
                 spool->taken.digest, dot ? dot : "");
}

/* Out of in/: into done or away; only if it still is what was read. */
static int put_away(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    char name[KAP_FOLDER_NAME_BYTES];
    if (!kap_folder_is(spool->in, taken->name, &taken->id))
        return KAP_OK; /* another file by now: it gets its own look */
    if (kap_conf_int(kap_node_conf(spool->node), "spool.keep_done") == 0)
        return kap_folder_remove(spool->in, taken->name);
    free_name(spool, spool->done, taken->name, name);
    int rc = kap_folder_move(spool->in, taken->name, spool->done, name);
    if (rc == KAP_E_EXISTS) /* the same bytes lie there already */
        rc = kap_folder_remove(spool->in, taken->name);
    return rc == KAP_E_NOTFOUND ? KAP_OK : rc;
}

static void say_done(kap_spool_t *spool)
{
    const taken_t *taken = &spool->taken;
    KAP_LOG(taken->counts.rows_refused ? KAP_LOG_WARN : KAP_LOG_INFO, "spool_file_done",
            KAP_S("spool", spool->name), KAP_S("file", taken->name),
            KAP_I("rows", taken->counts.rows), KAP_I("acts", taken->counts.acts),
            KAP_I("repeated", taken->counts.repeated),
            KAP_I("rows_refused", taken->counts.rows_refused),
            KAP_S("refused_file", taken->refused_bytes ? taken->refused : ""),
            KAP_I("took_ms", kap_monotonic_ms() - taken->begun_ms));
}

/* Every row is done: the mark says so first, so that a crash between the steps repeats none. */
static int end_file(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    int rc = KAP_OK;
    if (!taken->finished) {
        if (taken->refused_bytes)
            free_name(spool, spool->refused, taken->name, taken->refused);
        taken->finished = true;
        rc = mark_put(spool, false);
        if (rc != KAP_OK) {
            taken->finished = false;
            return rc;
        }
    }
    if (taken->refused_bytes && kap_folder_has(spool->refused, taken->part)) {
        rc = kap_folder_move(spool->refused, taken->part, spool->refused, taken->refused);
        if (rc == KAP_E_EXISTS) {
            rc = kap_folder_remove(spool->refused, taken->refused);
            if (rc == KAP_OK)
                rc = kap_folder_move(spool->refused, taken->part, spool->refused, taken->refused);
        }
    }
    if (rc == KAP_OK)
        rc = put_away(spool);
    if (rc == KAP_OK)
        rc = mark_put(spool, true);
    if (rc != KAP_OK)
        return rc;
    say_done(spool);
    forget(taken);
    return KAP_OK;
}

/* The whole file moves to refused/, its reason beside it. */
static int refuse_file(kap_spool_t *spool, int64_t line, const kap_intake_why_t *why)
{
    taken_t *taken = &spool->taken;
    char name[KAP_FOLDER_NAME_BYTES], reason_name[KAP_FOLDER_NAME_BYTES + 12];
    kap_buf_t text = {0};
    free_name(spool, spool->refused, taken->name, name);
    snprintf(reason_name, sizeof reason_name, "%s.reason.txt", name);
    kap_buf_printf(&text, "%s:%lld: %s%s%s\n", taken->name, (long long)line, why->column,
                   why->column[0] ? ": " : "", why->reason);
    int rc =
        text.err ? text.err : kap_folder_write(spool->refused, reason_name, kap_buf_span(&text));
    if (rc == KAP_OK && kap_folder_is(spool->in, taken->name, &taken->id))
        rc = kap_folder_move(spool->in, taken->name, spool->refused, name);
    if (rc == KAP_E_EXISTS) /* the same bytes were refused before */
        rc = kap_folder_remove(spool->in, taken->name);
    kap_buf_fini(&text);
    if (rc != KAP_OK)
        return rc;
    KAP_LOG(KAP_LOG_WARN, "spool_file_refused", KAP_S("spool", spool->name),
            KAP_S("file", taken->name), KAP_I("line", line), KAP_S("column", why->column),
            KAP_S("why", why->reason));
    forget(taken);
    return KAP_OK;
}

/* --- a batch --- */

/* The acts of rows [row_at, to) on their way through the node. */
typedef struct {
    kap_act_t *acts;
    kap_act_result_t *results;
    char (*keys)[100];
    size_t count, to;
} batch_t;

static void batch_free(batch_t *batch)
{
    free(batch->acts);
    free(batch->results);
    free(batch->keys);
}

static int batch_make(const kap_spool_t *spool, batch_t *batch)
{
    const taken_t *taken = &spool->taken;
    size_t count = 0, to = taken->row_at, at = 0;
    while (to < taken->row_count &&
           (to == taken->row_at || count + taken->rows[to].act_count <= BATCH_ACTS))
        count += taken->rows[to++].act_count;
    batch->acts = calloc(count + 1, sizeof *batch->acts);
    batch->results = calloc(count + 1, sizeof *batch->results);
    batch->keys = calloc(count + 1, sizeof *batch->keys);
    if (!batch->acts || !batch->results || !batch->keys)
        return KAP_E_NOMEM;
    for (size_t i = taken->row_at; i < to; i++) {
        const kap_intake_row_t *row = &taken->rows[i];
        for (size_t j = 0; j < row->act_count; j++, at++) {
            snprintf(batch->keys[at], sizeof batch->keys[at], "%s/%s/%lld/%zu", spool->name,
                     taken->digest, (long long)row->line, j);
            batch->acts[at] = (kap_act_t){.verb = row->acts[j].verb,
                                          .key = kap_span_str(batch->keys[at]),
                                          .fields = row->acts[j].fields,
                                          .count = row->acts[j].count};
        }
    }
    batch->count = at;
    batch->to = to;
    return KAP_OK;
}

/* The column that the field came from, else the field itself. */
static void column_of(const kap_intake_row_t *row, const kap_intake_act_t *act, const char *field,
                      char *out, size_t size)
{
    int column = -1;
    for (size_t i = 0; i < act->count; i++)
        if (kap_span_eq_str(act->fields[i].name, field))
            column = act->columns[i];
    if (column >= 0 && (size_t)column < row->name_count)
        snprintf(out, size, "%.*s", KAP_SPAN_ARGS(kap_span_sub(row->names[column], 0, 110)));
    else
        snprintf(out, size, "%s", field);
}

/* What the node said of one act, added to what it said of the row's earlier ones. */
static void why_add(const kap_intake_row_t *row, const kap_intake_act_t *act,
                    const kap_act_result_t *result, kap_intake_why_t *why)
{
    size_t at = strlen(why->reason);
    if (at == 0)
        column_of(row, act, result->field, why->column, sizeof why->column);
    int n = snprintf(why->reason + at, sizeof why->reason - at, "%s%.*s%s%s", at ? "; " : "",
                     act->column >= 0 ? (int)(act->item.size > 60 ? 60 : act->item.size) : 0,
                     act->column >= 0 ? (const char *)act->item.data : "",
                     act->column >= 0 && act->item.size ? ": " : "", result->sentence);
    at += n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < result->candidate_count && at < sizeof why->reason; i++)
        at += (size_t)snprintf(why->reason + at, sizeof why->reason - at, "%s%s", i ? ", " : ": ",
                               result->candidates[i]);
}

/* The refused items of one cell, with commas between. Empty when every one went through. */
static kap_span_t refused_items(const kap_intake_row_t *row, const kap_act_result_t *results,
                                int column, kap_arena_t *arena)
{
    kap_buf_t items = {0};
    for (size_t i = 0; i < row->act_count; i++) {
        if (row->acts[i].column != column || results[i].accepted)
            continue;
        kap_buf_str(&items, items.size ? ", " : "");
        kap_buf_append(&items, row->acts[i].item);
    }
    kap_span_t cell = kap_arena_dup(arena, kap_buf_span(&items));
    kap_buf_fini(&items);
    return cell;
}

/* A row of several acts of which some went through: beside the reason stand only those that did
 * not, so that the mended row does not double the others. */
static kap_span_t *only_refused(const kap_intake_row_t *row, const kap_act_result_t *results,
                                kap_arena_t *arena)
{
    kap_span_t *cells = kap_arena_alloc(arena, (row->count + 1) * sizeof *cells);
    if (!cells)
        return NULL;
    memcpy(cells, row->cells, row->count * sizeof *cells);
    for (size_t i = 0; i < row->act_count; i++) {
        int column = row->acts[i].column;
        bool first = i == 0 || row->acts[i - 1].column != column;
        if (column >= 0 && first)
            cells[column] = refused_items(row, results, column, arena);
    }
    return cells;
}

static void write_refused(taken_t *taken, const kap_intake_row_t *row,
                          const kap_act_result_t *results, const kap_intake_why_t *why,
                          kap_buf_t *out)
{
    kap_span_t *cells = NULL;
    kap_arena_t *arena = NULL;
    if (taken->refused_bytes == 0 && out->size == 0)
        kap_intake_refused_head(taken->file, out);
    if (row->act_count > 0 && row->acts[0].column >= 0) {
        arena = kap_arena_new(4096);
        cells = arena ? only_refused(row, results, arena) : NULL;
        if (!cells)
            out->err = KAP_E_NOMEM;
    }
    kap_intake_refused_row(taken->file, row, cells, kap_span_str(taken->name), why, out);
    kap_arena_destroy(&arena);
}

/* Counts what became of one row and lays it into `out` when something of it was refused. */
static void row_done(taken_t *taken, const kap_intake_row_t *row, const kap_act_result_t *results,
                     kap_buf_t *out)
{
    kap_intake_why_t why = {0};
    bool refused = row->refused;
    if (row->refused)
        why = row->why;
    for (size_t i = 0; i < row->act_count; i++) {
        taken->counts.acts += results[i].accepted && !results[i].repeated;
        taken->counts.repeated += results[i].repeated;
        if (!results[i].accepted) {
            refused = true;
            why_add(row, &row->acts[i], &results[i], &why);
        }
    }
    taken->counts.rows++;
    taken->counts.rows_refused += refused;
    if (refused)
        write_refused(taken, row, results, &why, out);
}

/* Submits the rest of the rows in hand, or as much as one commit bears. */
static int submit_rows(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    batch_t batch = {0};
    char key[80], value[200];
    kap_buf_t out = {0};
    counts_t before = taken->counts;
    int rc = batch_make(spool, &batch);
    mark_key(spool, key);
    mark_value(taken, value);
    kap_act_mark_t mark = {.key = kap_span_str(key), .value = kap_span_str(value)};
    if (rc == KAP_OK)
        rc = kap_act_submit_many(spool->node, batch.acts, batch.count, &mark, batch.results);
    const kap_act_result_t *results = batch.results;
    for (size_t i = taken->row_at; rc == KAP_OK && i < batch.to; i++) {
        row_done(taken, &taken->rows[i], results, &out);
        results += taken->rows[i].act_count;
    }
    if (rc == KAP_OK && out.err)
        rc = out.err;
    if (rc == KAP_OK && out.size)
        rc = kap_folder_append(spool->refused, taken->part, taken->refused_bytes,
                               kap_buf_span(&out));
    if (rc == KAP_OK) {
        taken->refused_bytes += out.size;
        taken->row_at = batch.to;
    } else {
        taken->counts = before; /* the same rows come again, their acts under the same keys */
    }
    kap_buf_fini(&out);
    batch_free(&batch);
    return rc;
}

/* One turn of the file in hand. */
static int go_on(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    size_t max = (size_t)kap_conf_int(kap_node_conf(spool->node), "spool.batch");
    if (taken->finished)
        return end_file(spool);
    if (taken->row_at == taken->row_count) {
        taken->first = kap_intake_file_rows(taken->file);
        taken->row_at = taken->row_count = 0;
        int rc = kap_intake_file_next(taken->file, kap_node_directory(spool->node), max,
                                      &taken->rows, &taken->row_count);
        if (rc != KAP_OK)
            return rc;
        if (taken->row_count == 0)
            return end_file(spool);
    }
    return submit_rows(spool);
}

/* --- taking a file --- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcasecmp(name + n - m, end) == 0;
}

/* -1: no kind of file that is read. */
static int format_of(const char *name)
{
    if (ends_with(name, ".csv"))
        return KAP_INTAKE_CSV;
    return ends_with(name, ".jsonl") || ends_with(name, ".ndjson") ? KAP_INTAKE_JSON : -1;
}

static void digest_make(taken_t *taken, kap_intake_kind_t kind)
{
    uint8_t hash[KAP_HASH_BYTES];
    char front[16];
    snprintf(front, sizeof front, "%d\n", (int)kind);
    kap_span_t parts[] = {kap_span_str(front), kap_buf_span(&taken->bytes)};
    kap_hash256(hash, parts, 2);
    kap_hex_encode(hash, DIGEST_HEX / 2, taken->digest);
    snprintf(taken->part, sizeof taken->part, ".%s.part", taken->digest);
}

/* Refused rows that somebody took away in the middle of their file: all rows once more. Those that
 * went through have their keys, the refused ones are laid beside anew. */
static void look_part(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    if (taken->refused_bytes == 0 ||
        kap_folder_size(spool->refused, taken->part) >= (int64_t)taken->refused_bytes)
        return;
    KAP_LOG(KAP_LOG_WARN, "spool_refused_rows_gone", KAP_S("file", taken->name),
            KAP_S("what", "its refused rows were removed while it was read; it is read anew"));
    taken->first = taken->refused_bytes = 0;
}

/* Reads its rows from the mark on. */
static int begin_rows(kap_spool_t *spool)
{
    taken_t *taken = &spool->taken;
    kap_intake_why_t why;
    int64_t line = 1;
    kap_intake_opts_t opts = spool->intake;
    int kind = kap_intake_kind_of_file(kap_span_str(taken->name));
    if (kind >= 0)
        opts.kind = (kap_intake_kind_t)kind;
    digest_make(taken, opts.kind);
    int rc = mark_get(spool);
    if (rc != KAP_OK || taken->finished)
        return rc;
    look_part(spool);
    rc = kap_intake_file_open(kap_buf_span(&taken->bytes),
                              (kap_intake_format_t)format_of(taken->name), &opts,
                              kap_node_directory(spool->node), &taken->file, &line, &why);
    if (rc == KAP_E_DENIED)
        return refuse_file(spool, line, &why);
    if (rc != KAP_OK)
        return rc;
    return kap_intake_file_skip(taken->file, taken->first);
}

/* KAP_OK: taken (or refused whole); KAP_E_AGAIN: not yet; KAP_E_DENIED: left where it is. */
static int take(kap_spool_t *spool, const char *name)
{
    taken_t *taken = &spool->taken;
    const kap_conf_t *conf = kap_node_conf(spool->node);
    const char *why = NULL;
    *taken = (taken_t){.begun_ms = kap_monotonic_ms()};
    snprintf(taken->name, sizeof taken->name, "%s", name);
    int rc = kap_folder_read(spool->in, name, (size_t)kap_conf_int(conf, "spool.max_bytes"),
                             kap_conf_int(conf, "spool.settle"), &taken->bytes, &taken->id, &why);
    if (rc == KAP_E_LIMIT) {
        kap_intake_why_t large = {0};
        snprintf(large.reason, sizeof large.reason,
                 "the file has %llu bytes, at most %lld are taken; cut it, or raise "
                 "spool.max_bytes",
                 (unsigned long long)taken->id.size,
                 (long long)kap_conf_int(conf, "spool.max_bytes"));
        snprintf(taken->digest, sizeof taken->digest, "%08llx",
                 (unsigned long long)left_hash(name, &taken->id) & 0xffffffff);
        return refuse_file(spool, 1, &large);
    }
    if (rc == KAP_E_DENIED)
        leave(spool, name, &taken->id, why ? why : "may not be read");
    if (rc == KAP_OK) {
        taken->on = true;
        rc = begin_rows(spool);
    }
    if (rc != KAP_OK)
        forget(taken);
    return rc;
}

static const char *name_trouble(const char *name)
{
    if (!kap_folder_name_ok(kap_span_str(name)))
        return "no name that is taken: letters, digits, '.', '_', '-', blanks, at most 120 bytes, "
               "no personal identity code";
    if (format_of(name) < 0)
        return "no file that is read: NAME.csv, NAME.jsonl or NAME.ndjson";
    return NULL;
}

/* Takes the oldest file that can be taken; true when one is in hand or was refused. */
static bool look(kap_spool_t *spool)
{
    static char names[NAMES_MAX][KAP_FOLDER_NAME_BYTES + 140];
    size_t count;
    bool again = false;
    int rc = kap_folder_list(spool->in, names, NAMES_MAX, &count);
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "spool_not_readable", KAP_S("path", kap_folder_path(spool->in)),
                KAP_S("error", kap_err_text(rc)));
    for (size_t i = 0; rc == KAP_OK && i < count; i++) {
        kap_folder_id_t none = {0};
        if (kap_folder_name_unfinished(kap_span_str(names[i])))
            continue;
        const char *trouble = name_trouble(names[i]);
        if (trouble) {
            leave(spool, names[i], &none, trouble);
            continue;
        }
        int taken = take(spool, names[i]);
        if (taken == KAP_OK)
            return true;
        again = again || taken == KAP_E_AGAIN;
        if (taken != KAP_E_AGAIN && taken != KAP_E_DENIED && taken != KAP_E_NOTFOUND)
            KAP_LOG(KAP_LOG_ERROR, "spool_file_not_read", KAP_S("file", names[i]),
                    KAP_S("error", kap_err_text(taken)));
    }
    if (again)
        turn_in(spool, LOOK_AGAIN_MS);
    return false;
}

static void turn(void *arg)
{
    kap_spool_t *spool = arg;
    if (!spool->taken.on) {
        if (look(spool))
            turn_in(spool, 0);
        return;
    }
    int rc = go_on(spool);
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_WARN, "spool_waits", KAP_S("spool", spool->name),
                KAP_S("file", spool->taken.name), KAP_S("error", kap_err_text(rc)));
        pause_for(spool);
        return;
    }
    spool->pause_ms = 0;
    turn_in(spool, 0);
}

static void on_change(void *arg)
{
    kap_spool_t *spool = arg;
    if (!spool->taken.on)
        turn_in(spool, 0);
}

static void on_sweep(void *arg)
{
    kap_spool_t *spool = arg;
    const kap_conf_t *conf = kap_node_conf(spool->node);
    size_t done = kap_folder_sweep(spool->done, kap_conf_int(conf, "spool.keep_done"));
    size_t refused = kap_folder_sweep(spool->refused, kap_conf_int(conf, "spool.keep_refused"));
    if (done + refused)
        KAP_LOG(KAP_LOG_INFO, "spool_swept", KAP_S("spool", spool->name), KAP_I("done", done),
                KAP_I("refused", refused));
}

/* --- life --- */

static int mapping_fill(kap_spool_t *spool)
{
    const kap_conf_t *conf = kap_node_conf(spool->node);
    const char *own, *word;
    for (size_t i = 0; kap_conf_map_item(conf, "spool.columns", i, &own, &word) == KAP_OK; i++)
        if (kap_mapping_add_column(spool->mapping, kap_span_str(own), kap_span_str(word))) {
            KAP_LOG(KAP_LOG_ERROR, "spool_mapping", KAP_S("key", "spool.columns"),
                    KAP_S("column", own), KAP_S("field", word),
                    KAP_S("what", "there is no such field; fields are those of proto/fields.def"));
            return KAP_E_CONFIG;
        }
    for (size_t i = 0; kap_conf_map_item(conf, "spool.values", i, &own, &word) == KAP_OK; i++)
        if (kap_mapping_add_value(spool->mapping, kap_span_str(own), kap_span_str(word))) {
            KAP_LOG(KAP_LOG_ERROR, "spool_mapping", KAP_S("key", "spool.values"),
                    KAP_S("value", own), KAP_S("word", word),
                    KAP_S("what", "say (\"field=own word\", \"word\") with a field that there is"));
            return KAP_E_CONFIG;
        }
    return KAP_OK;
}

static int kind_set(kap_spool_t *spool, int kind)
{
    const char *word = kap_conf_str(kap_node_conf(spool->node), "spool.kind");
    if (kind < 0)
        kind = kap_intake_kind_of_word(kap_span_str(word));
    if (kind < 0) {
        KAP_LOG(
            KAP_LOG_ERROR, "spool_kind", KAP_S("spool.kind", word),
            KAP_S("what", "no kind of rows; say siirto, ohjaus, liidi, vastaus, tukkimies ..."));
        return KAP_E_CONFIG;
    }
    spool->intake.kind = (kap_intake_kind_t)kind;
    return KAP_OK;
}

static int folders_open(kap_spool_t *spool, const kap_spool_opts_t *opts)
{
    int rc = kap_folder_open(NULL, opts->directory, 0770, &spool->top);
    if (rc == KAP_OK)
        rc = kap_folder_open(spool->top, opts->is_in ? "." : "in", 0770, &spool->in);
    if (rc == KAP_OK)
        rc = kap_folder_open(spool->top, "done", 0700, &spool->done);
    if (rc == KAP_OK)
        rc = kap_folder_open(spool->top, "refused", 0700, &spool->refused);
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "spool_folder", KAP_S("path", opts->directory),
                KAP_S("error", kap_err_text(rc)),
                KAP_S("what", "make the folder, writable for the daemon's user"));
    return rc;
}

static int loop_join(kap_spool_t *spool)
{
    kap_loop_t *loop = kap_node_loop(spool->node);
    spool->timer = kap_timer_start(loop, 0, 0, turn, spool);
    spool->sweep = kap_timer_start(loop, 0, SWEEP_EVERY_MS, on_sweep, spool);
    spool->watch = kap_loop_watch(loop, kap_folder_path(spool->in), on_change, spool);
    return spool->timer && spool->sweep && spool->watch ? KAP_OK : KAP_E_NOMEM;
}

int kap_spool_open(kap_node_t *node, const kap_spool_opts_t *opts, kap_spool_t **out)
{
    kap_spool_t *spool = calloc(1, sizeof *spool);
    if (!spool)
        return KAP_E_NOMEM;
    spool->node = node;
    snprintf(spool->name, sizeof spool->name, "%s", opts->name);
    int rc = kap_mapping_new(opts->columns, &spool->mapping);
    if (rc == KAP_OK)
        rc = mapping_fill(spool);
    if (rc == KAP_OK)
        rc = kind_set(spool, opts->kind);
    if (rc == KAP_OK)
        rc = folders_open(spool, opts);
    spool->intake.mapping = spool->mapping;
    spool->intake.kinds = opts->kinds;
    spool->intake.ignore_unknown = kap_conf_int(kap_node_conf(node), "spool.unknown_columns") == 1;
    spool->intake.adapt = opts->adapt;
    spool->intake.adapt_arg = opts->adapt_arg;
    if (rc == KAP_OK)
        rc = loop_join(spool);
    if (rc != KAP_OK)
        kap_spool_close(&spool);
    else
        *out = spool;
    return rc;
}

void kap_spool_close(kap_spool_t **ref)
{
    kap_spool_t *spool = *ref;
    *ref = NULL;
    if (!spool)
        return;
    kap_timer_stop(&spool->timer);
    kap_timer_stop(&spool->sweep);
    kap_watch_stop(&spool->watch);
    forget(&spool->taken);
    kap_folder_close(&spool->in);
    kap_folder_close(&spool->done);
    kap_folder_close(&spool->refused);
    kap_folder_close(&spool->top);
    kap_mapping_destroy(&spool->mapping);
    free(spool);
}

void kap_spool_stop(void **state)
{
    kap_spool_close((kap_spool_t **)state);
}

static int start(kap_node_t *node, void **state)
{
    const kap_actor_t *actor = kap_node_actor(node);
    kap_spool_opts_t opts = {.name = "spool",
                             .directory = kap_conf_str(kap_node_conf(node), "spool.directory"),
                             .kind = -1,
                             .kinds = KAP_SPOOL_KINDS | actor->kinds,
                             .columns = actor->columns};
    *state = NULL;
    return opts.directory ? kap_spool_open(node, &opts, (kap_spool_t **)state) : KAP_OK;
}

const kap_node_extra_t kap_spool_extra = {
    .name = "spool", .keys = kap_spool_keys, .start = start, .stop = kap_spool_stop};
